#!/bin/bash
# Shows Archetype at work: deploys containerlab's own frr01 lab, proves it, breaks it, watches it mend.
#
#   make demo                    prepares the machine first: packages, services, build, images
#   scripts/demo.sh [BINARY]     the demonstration alone; BINARY is target/release/archetype if not given
#   DEMO_DOWN=1                  takes down at the end what this run brought up, instead of leaving it running
#   DEMO_DIR                     where the lab's files are copied to (default ~/archetype-demo)
#
# An Archetype that serves already is used as it is. Needs root.
set -Eeuo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=$(realpath -m "${1:-$repo/target/release/archetype}")
folder=${DEMO_DIR:-$HOME/archetype-demo}/frr01
lab=frr01
# OSPF's first election takes 40 s by its own timers.
patience=120
log=/var/log/archetype-serve.log
served=/run/archetype-demo-serve.pid

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' blue=$'\e[1;34m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' blue='' dim='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$blue" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
# A command as one would type it, then what it prints.
show() { printf '\n%s$ %s%s\n' "$bold" "$(typed "$@")" "$plain"; "$@"; }
typed() {
    local word line=''
    for word in "$@"; do case $word in *[[:space:]\;\'\"]*) line+=" '$word'" ;; *) line+=" $word" ;; esac; done
    printf '%s' "${line# }"
}
now_ms() { date +%s%3N; }

on_error() {
    printf '\ndemo: stopped at line %s: %s\n' "$1" "$2" >&2
    if [ -f "$served" ]; then printf 'demo: the last words of archetype serve (%s):\n' "$log" >&2; tail -n 8 "$log" >&2 || true; fi
    printf 'demo: look with: %s inspect; %s journal\n' "$binary" "$binary" >&2
}
trap 'on_error $LINENO "$BASH_COMMAND"' ERR

# ---- parts ---------------------------------------------------------------------------------------------------------

check_machine() {
    [ "$(id -u)" -eq 0 ] || fail "this needs root: sudo make demo"
    [ -x "$binary" ] || fail "$binary is not there: run 'make demo', which builds it"
    ovs-vsctl -t 5 show >/dev/null 2>&1 || fail "Open vSwitch does not answer: run 'make demo', which starts it"
    timeout 10 docker version >/dev/null 2>&1 || fail "Docker Engine does not answer: run 'make demo', which starts it"
    # So that the commands below are what one would type.
    PATH=$(dirname "$binary"):$PATH
}

# Whether a process is an Archetype that lives; one that ended may stay as a zombie where nobody collects it.
serves() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = archetype ] && ! grep -q '^State:.Z' "/proc/$1/status"; }
answers() { archetype inspect --format json >/dev/null 2>&1; }

serve() {
    local try
    if answers; then
        say "An Archetype serves here already; this uses it."
        archetype version
        return
    fi
    printf '%s$ archetype serve &%s   %s# its log is %s%s\n' "$bold" "$plain" "$dim" "$log" "$plain"
    # A session of its own: it outlives this terminal.
    setsid archetype serve >>"$log" 2>&1 </dev/null &
    echo $! >"$served"
    sleep 0.1
    for try in $(seq 100); do
        if answers; then return; fi
        serves "$(cat "$served")" || { tail -n 5 "$log" >&2; rm -f "$served"; fail "archetype serve ended, see $log"; }
        sleep 0.1
    done
    fail "archetype serve does not answer, see $log"
}

copy_lab() {
    if [ ! -d "$folder" ]; then
        mkdir -p "$(dirname "$folder")"
        cp -r "$repo/labs/containerlab/lab-examples/$lab" "$folder"
    fi
    cd "$folder"
    say "The lab is containerlab's own example, unchanged: three FRR routers that run OSPF, a PC behind each."
    say "Its files are in $folder."
}

name_stand_ins() {
    local images
    images=$(docker image ls --filter label=archetype.stand-in=true --format '{{.Repository}}:{{.Tag}}')
    [ -n "$images" ] || return 0
    say
    say "Note: these images could not be pulled here. Stand-ins made from Debian's packages bear their names;"
    say "      they are labelled archetype.stand-in, and 'make clean-images' removes them:"
    say "$images" | sed 's/^/        /'
}

pings() { archetype exec "$lab" PC1 -- ping -c 1 -W 1 "$1" >/dev/null 2>&1; }

# Waits until PC1 reaches an address. OSPF has to find its neighbours first.
await() {
    local begin=$SECONDS
    until pings "$1"; do
        [ $((SECONDS - begin)) -lt "$patience" ] || return 1
        sleep 0.5
        [ ! -t 1 ] || printf '\r%s%s s …%s ' "$dim" "$((SECONDS - begin))" "$plain"
    done
    [ ! -t 1 ] || printf '\r          \r'
    if [ $((SECONDS - begin)) -eq 0 ]; then say "$2 at once."; else say "$2 after $((SECONDS - begin)) s."; fi
}

prove_traffic() {
    say "The wires are proven; now the routers find each other (OSPF's own timers: some 45 s at the first start)."
    await 192.168.13.2 "PC1 reaches PC3" || fail "PC1 did not reach PC3 within $patience s: archetype exec $lab router1 -- vtysh -c 'show ip ospf neighbor'"
    await 192.168.12.2 "PC1 reaches PC2" || fail "PC1 did not reach PC2 within $patience s"
    show archetype exec "$lab" router1 -- vtysh -c 'show ip ospf neighbor'
    show archetype exec "$lab" PC1 -- ping -c 2 192.168.12.2
    show archetype exec "$lab" PC1 -- ping -c 2 192.168.13.2
}

port_of() { ovs-vsctl --bare --columns=name find port "external_ids:archetype-lab=$lab" "external_ids:archetype-node=$1" "external_ids:archetype-interface=$2"; }

break_a_link() {
    local port tag begin last
    port=$(port_of PC1 eth1)
    tag=$(ovs-vsctl get port "$port" tag)
    last=$(last_entry)
    say "PC1's cable ends at the Open vSwitch port $port, in VLAN $tag. Somebody moves it to VLAN 4000:"
    show ovs-vsctl set port "$port" tag=4000
    begin=$(now_ms)
    until [ "$(ovs-vsctl get port "$port" tag)" = "$tag" ]; do
        [ $(($(now_ms) - begin)) -lt 10000 ] || fail "the port was not mended within 10 s: archetype explain $lab PC1:eth1"
    done
    say "It is VLAN $(ovs-vsctl get port "$port" tag) again $(($(now_ms) - begin)) ms later. The journal says:"
    await_repair "$last"
    await_lab
    show archetype journal "$lab" --since "$last"
    say
    say "And every fact behind that link's 'up', each with the command by which you can check it:"
    show archetype explain "$lab" PC1:eth1
    show archetype exec "$lab" PC1 -- ping -c 1 192.168.13.2
}

# The number of the journal's last entry.
last_entry() { archetype journal "$lab" --format json | grep -o '"id": *[0-9]*' | grep -o '[0-9]*$' | sort -n | tail -n 1; }

# The agent tells of a repair when the wire carries again, a moment after the row is right.
await_repair() {
    local try
    for try in $(seq 100); do
        if archetype journal "$lab" --since "$1" | grep -qw repair; then return; fi
        sleep 0.1
    done
    fail "the journal does not tell of the repair: archetype journal $lab"
}

# Until the whole lab is up: the tables after it then show it at rest.
await_lab() {
    local try
    for try in $(seq 100); do
        if archetype inspect "$lab" | head -n 1 | grep -q "^$lab is up"; then return; fi
        sleep 0.1
    done
    fail "the lab did not come up again: archetype inspect $lab"
}

restart_a_node() {
    say "With plain Docker networking a container loses hand-made wires when it restarts. Not here:"
    show docker restart -t 1 "clab-$lab-PC1"
    await 192.168.11.1 "PC1 reaches its router again" || fail "PC1 did not reach its router: archetype inspect $lab"
    say "Its cable had lost carrier, so OSPF told the other routers; it lets some 5 s pass before it tells them otherwise."
    await 192.168.13.2 "PC1 reaches PC3 again" || fail "PC1 did not reach PC3 within $patience s: archetype inspect $lab"
}

# A command, and what it is for.
hint() { printf '  %-44s %s\n' "$1" "$2"; }

look_around() {
    say "  export PATH=$(dirname "$binary"):\$PATH"
    hint "archetype inspect $lab" "nodes and links, as read back"
    hint "archetype explain $lab router1:eth1" "why a link is in its state"
    hint "archetype exec -it $lab router1 -- vtysh" "a router's own command line"
    hint "archetype node $lab router2 stop" "switch a router off; start brings it back"
    hint "archetype journal --follow" "what happens, as it happens"
    say "  Change $folder/$lab.clab.yml"
    hint "and there: archetype deploy" "only the difference is touched"
}

how_to_end() {
    hint "archetype destroy $lab" "the lab, without a trace"
    [ ! -f "$served" ] || hint "kill \$(cat $served)" "archetype serve; when it stops, labs stay as they are"
    hint "make clean-images" "stand-in images, where there are any"
    hint "make stop-services" "Open vSwitch and Docker, if 'make setup' started them"
}

take_down() {
    local pid
    show archetype destroy "$lab"
    if [ -f "$served" ]; then
        pid=$(cat "$served")
        if serves "$pid"; then kill "$pid"; fi
        while serves "$pid"; do sleep 0.1; done
        rm -f "$served"
        say "archetype serve ended."
    fi
    cd "$repo"
    rm -rf "$folder"
    rmdir --ignore-fail-on-non-empty "$(dirname "$folder")"
}

# ---- the demonstration ---------------------------------------------------------------------------------------------

check_machine
heading "Archetype serves"
serve

heading "A topology file"
copy_lab

heading "Deploy: nodes start, wires are made, a frame proves each wire in both directions"
show archetype deploy --wait "${patience}s"
name_stand_ins

heading "Traffic across the lab"
prove_traffic

heading "A link is broken behind our back, and mended"
break_a_link

heading "docker restart does not unplug anything"
restart_a_node

if [ -n "${DEMO_DOWN:-}" ]; then
    heading "Down again"
    take_down
else
    heading "The lab runs. Look around:"
    look_around
    heading "How to take it down:"
    how_to_end
fi
