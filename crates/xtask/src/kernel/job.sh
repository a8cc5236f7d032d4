#!/bin/bash
# What runs inside the emulated machine, as its first process; lines that call `tests` follow.
exec </dev/null >/dev/console 2>&1
# The console's other end wants lines as they are.
stty -F /dev/console -opost
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
# Not below /run, over which sandboxes lay one of their own. It is memory as everything that is written here.
export ARCHETYPE_SANDBOX_BASE=/dev/shm
export ARCHETYPE_TEST_BUILT=yes ARCHETYPE_TEST_DATAPATH=kernel ARCHETYPE_TEST_PRIVILEGED=yes

# Hands the exit status over and switches off.
finish() {
    echo "kernel: $(uname -r), up $(up) s, $(free -m | awk '/^Mem/ { print $3 " MiB used of " $2 }')"
    if [ -e /run/failed ]; then echo "kernel: FAILED: $(sort /run/failed | paste -sd,)"; echo 1 >/dev/ttyS1; else echo 0 >/dev/ttyS1; fi
    echo o >/proc/sysrq-trigger
    while :; do sleep 1; done
}
up() { cut -d' ' -f1 /proc/uptime; }

# tests NAME FOLDER PROGRAM ARGUMENTS: one test program, in the folder of its package, its lines marked with its name.
# Open vSwitch 3.1 counts the processors once; asked within ten seconds of the boot it finds none, and then no frame
# passes (seen). So the clock is told to be twenty seconds ahead.
tests() {
    local name=$1 folder=$2 begun=$SECONDS
    shift 2
    cd "$folder" && unshare --time --monotonic 20 --fork "$@" 2>&1 | sed -u "s|^|$name: |"
    [ "${PIPESTATUS[0]}" = 0 ] || echo "$name" >>/run/failed
    echo "kernel: $name took $((SECONDS - begun)) s"
}

ip link set lo up
# What the host of a lab loads at its boot or by itself.
modprobe -a openvswitch veth vxlan tun bridge br_netfilter overlay dummy macvlan 8021q vrf sch_netem sch_tbf ||
    { echo modules >/run/failed; finish; }
# Large programs are read over once, at their best speed, before somebody waits for their parts.
cat /usr/bin/{docker,containerd,containerd-shim-runc-v2} /usr/sbin/{dockerd,runc} &>/dev/null
containerd --version &>/dev/null
echo "kernel: $(uname -r) is up after $(up) s"
