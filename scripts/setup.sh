#!/bin/bash
# Makes a Debian 12 or 13 machine ready for Archetype: packages, Open vSwitch, Docker Engine.
#
#   scripts/setup.sh packages      install what is missing, in one apt-get call
#   scripts/setup.sh packages-kernel  the same for the emulated machine of `make test-kernel`
#   scripts/setup.sh rust          say what to do where there is no Rust toolchain
#   scripts/setup.sh services      start Open vSwitch and Docker where neither they nor systemd run
#   scripts/setup.sh host BINARY   register our OCI runtime with the engine (`archetype host setup`)
#   scripts/setup.sh stop          end the services that this script started, and only those
#
# What is there already is left as it is; a running service is never restarted.
set -euo pipefail

# Which daemons are ours to stop: one file with a pid for each.
started=/run/archetype-setup

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

need_root() { [ "$(id -u)" -eq 0 ] || fail "this needs root: run it with sudo"; }
systemd_runs() { [ -d /run/systemd/system ]; }

# Debian package and the program by which it is recognised, where somebody has it from elsewhere.
wanted_packages() {
    cat <<'LIST'
openvswitch-switch ovs-vswitchd
docker.io dockerd
docker-cli docker
iproute2 ip
nftables nft
iptables iptables
ethtool ethtool
conntrack conntrack
procps ps
util-linux nsenter
tcpdump tcpdump
iputils-ping ping
busybox-static /bin/busybox
openssh-client ssh-keygen
build-essential cc
LIST
    # A file, not a program.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo "ca-certificates -"
}

# What the emulated machine takes beyond that. Debian 12 has virtiofsd inside QEMU's packages, Debian 13 in one of its
# own.
wanted_kernel_packages() {
    cat <<'LIST'
qemu-system-x86 qemu-system-x86_64
kmod modprobe
busybox-static /bin/busybox
LIST
    [ -e /usr/lib/qemu/virtiofsd ] || [ -e /usr/libexec/virtiofsd ] || echo "virtiofsd -"
}

missing_packages() {
    local package program
    "$1" | while read -r package program; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || echo "$package"
    done
}

# Debian 12 has the docker client inside docker.io, Debian 13 in a package of its own.
installable() {
    local package
    while read -r package; do
        if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then echo "$package"; fi
    done
}

# Installs what is missing of the list that the given function prints.
install_packages() {
    need_root
    local missing
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || { say "all packages are here"; return; }
    command -v apt-get >/dev/null || fail "this machine lacks $(echo $missing) and has no apt-get: install them by hand"
    apt-cache show openvswitch-switch >/dev/null 2>&1 || apt-get update -qq
    missing=$(installable <<<"$missing")
    [ -n "$missing" ] || return 0
    say "installing $(echo $missing)"
    # shellcheck disable=SC2086 # a list of words is what is wanted
    install_now $missing || { apt-get update -qq && install_now $missing; } || fail "apt-get could not install them, see above"
}

install_now() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

check_rust() {
    command -v cargo >/dev/null && return
    fail "no Rust toolchain on the PATH: install one with rustup (https://rustup.rs), then run this again"
}

# ---- Open vSwitch --------------------------------------------------------------------------------------------------

openvswitch_answers() { ovs-vsctl -t 5 show >/dev/null 2>&1; }
switch_answers() { ovs-appctl -T 5 version >/dev/null 2>&1; }

start_openvswitch() {
    if openvswitch_answers && switch_answers; then say "Open vSwitch runs"; return; fi
    if systemd_runs; then
        systemctl start openvswitch-switch
    else
        start_openvswitch_daemons
    fi
    openvswitch_answers && switch_answers || fail "Open vSwitch does not answer; see /var/log/openvswitch"
    say "Open vSwitch started"
}

# Without `ovs-ctl`, which locks all memory and starts a monitor process beside each daemon.
start_openvswitch_daemons() {
    local run=/run/openvswitch db=/etc/openvswitch/conf.db log=/var/log/openvswitch
    mkdir -p "$run" "$log" "$started" "$(dirname "$db")"
    [ -e "$db" ] || ovsdb-tool create "$db" /usr/share/openvswitch/vswitch.ovsschema
    if ! openvswitch_answers; then
        ovsdb-server "$db" --remote=punix:$run/db.sock --pidfile=$run/ovsdb-server.pid \
            --log-file=$log/ovsdb-server.log --detach --no-chdir -vconsole:off -vsyslog:off
        cp $run/ovsdb-server.pid "$started/ovsdb-server.pid"
        ovs-vsctl --no-wait init
    fi
    ovs-vswitchd unix:$run/db.sock --pidfile=$run/ovs-vswitchd.pid --log-file=$log/ovs-vswitchd.log \
        --detach --no-chdir -vconsole:off -vsyslog:off
    cp $run/ovs-vswitchd.pid "$started/ovs-vswitchd.pid"
}

# ---- Docker --------------------------------------------------------------------------------------------------------

docker_answers() { timeout 10 docker version >/dev/null 2>&1; }

start_docker() {
    if docker_answers; then say "Docker Engine answers"; return; fi
    # An engine that is being started, or that hangs, is not replaced by a second one.
    [ -z "${DOCKER_HOST:-}" ] || fail "no engine answers at DOCKER_HOST=$DOCKER_HOST"
    if systemd_runs; then systemctl start docker; else start_dockerd; fi
    wait_for_docker || fail "Docker Engine does not answer; see /var/log/archetype-dockerd.log or journalctl -u docker"
    say "Docker Engine started"
}

start_dockerd() {
    mkdir -p "$started"
    # A session of its own: it outlives this terminal.
    setsid dockerd >>/var/log/archetype-dockerd.log 2>&1 </dev/null &
    echo $! >"$started/dockerd.pid"
}

wait_for_docker() {
    local try
    for try in $(seq 150); do
        docker_answers && return
        sleep 0.2
    done
    return 1
}

# ---- our own part --------------------------------------------------------------------------------------------------

set_up_host() {
    [ -x "$1" ] || { say "$1 is not built yet; after 'make build' run: $1 host setup"; return; }
    "$1" host setup
}

# Ends the process of a pid file of ours, if that number still belongs to the same program.
stop_one() {
    local name=$1 pid
    [ -f "$started/$name.pid" ] || return 0
    pid=$(cat "$started/$name.pid")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ]; then
        kill "$pid"
        while [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.1; done
        say "$name stopped"
    fi
    rm -f "$started/$name.pid"
}

stop_services() {
    need_root
    local name
    for name in dockerd ovs-vswitchd ovsdb-server; do stop_one "$name"; done
    [ ! -d "$started" ] || rmdir --ignore-fail-on-non-empty "$started"
}

case ${1:-} in
    packages) install_packages wanted_packages ;;
    packages-kernel) install_packages wanted_kernel_packages ;;
    rust) check_rust ;;
    services) need_root; start_openvswitch; start_docker ;;
    host) set_up_host "${2:?the path of the archetype binary}" ;;
    stop) stop_services ;;
    *) fail "usage: $0 packages|packages-kernel|rust|services|host BINARY|stop" ;;
esac
