#!/usr/bin/env bash
# What the debugger costs: steps, scripts, breakpoints and watchpoints that are never reached, a GDB client that lets the guest run, stopping four harts.
#   benchmarks/debugger.sh [EMULATE]      default .build/release/emulate
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
emulate=${1:-$top/.build/release/emulate}
"$top/benchmarks/build.sh"
kernel=$top/.build/benchmarks/quicksort.supervisor
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
options=(-bios none -kernel "$kernel" -nographic)

# Microseconds since the time in $1, as EPOCHREALTIME has it.
since() { local now=$EPOCHREALTIME; echo $((${now/./} - ${1/./})); }
median() { sort -n | sed -n '2p'; }

for round in 1 2 3; do
    start=$EPOCHREALTIME
    "$emulate" debug "${options[@]}" -batch -ex 'stepi 100000' >/dev/null 2>&1
    since "$start"
done | median | awk '{ printf "stepi 100000:                          %.2f µs a step, start included\n", $1 / 100000 }'

printf 'stepi\n%.0s' {1..10000} >"$folder/steps"
for round in 1 2 3; do
    start=$EPOCHREALTIME
    "$emulate" debug "${options[@]}" -batch -x "$folder/steps" >/dev/null 2>&1
    since "$start"
done | median | awk '{ printf "a script of 10000 stepi:               %.2f s, start included\n", $1 / 1e6 }'

# Nanoseconds of one round of the kernel, by the guest's clock; in turns.
figure() { awk '/@bench result/ { print $5 / $4 }'; }
for round in 1 2 3; do
    "$emulate" debug "${options[@]}" -batch -ex 'break *0x80700000' -ex 'watch *(u64*)0x80700000' -ex continue 2>&1 | figure >>"$folder/with"
    "$emulate" "${options[@]}" | figure >>"$folder/without"
done
paste <(median <"$folder/with") <(median <"$folder/without") |
    awk '{ printf "breakpoint and watchpoint not reached: %.3f times the time without\n", $1 / $2 }'

# A client that stops the guest, lets it run and stays; each run beside one without.
attached() {
    "$emulate" "${options[@]}" -S -gdb tcp::0 2>"$folder/port" >"$folder/attached.out" &
    local process=$! port=
    while ! port=$(grep -om1 '[0-9]*$' "$folder/port"); do sleep 0.05; done
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    printf '$?#3f+$c#63' >&5
    wait "$process"
    exec 5>&-
    figure <"$folder/attached.out"
}
for round in {1..5}; do
    paste <(attached) <("$emulate" "${options[@]}" | figure)
done | awk '{ print $1 / $2 }' | sort -n | awk 'NR == 3 { printf "GDB attached, the guest running:        %.3f times the time without\n", $1 }'

# A kernel that runs for a quarter of a second, on the first of four harts; the others wait.
for round in 1 2 3; do
    mkfifo "$folder/commands$round" "$folder/answers$round"
    # Jobs in the background of a script ignore SIGINT; env gives it back.
    env --default-signal=INT "$emulate" debug -smp 4 "${options[@]}" <"$folder/commands$round" >"$folder/answers$round" 2>&1 &
    process=$!
    exec 3>"$folder/commands$round" 4<"$folder/answers$round"
    echo continue >&3
    sleep 0.15
    start=$EPOCHREALTIME
    kill -INT "$process"
    while read -r -t 5 line <&4 && [[ $line != interrupted* ]]; do :; done
    since "$start"
    exec 3>&- 4<&-
    wait "$process" || true
done | median | awk '{ printf "stopping a guest with four harts:      %.2f ms\n", $1 / 1000 }'
