#!/usr/bin/env bash
# Prints how much slower the guest is, as medians of interleaved pairs on this machine:
#   benchmarks/ratios.sh kernel [PAIRS]   the sieve, quicksort and fib program: this emulator against native -O2, and QEMU if installed
#   benchmarks/ratios.sh boot [PAIRS]     Debian's kernel from start to power-off after reaching the shell: this emulator against QEMU
# EMULATE_FLAGS adds options to this emulator (for example "--engine interp").
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
emulate=$top/.build/release/emulate
[ -x "$emulate" ] || { echo "build first: make build" >&2; exit 1; }
what=${1:-kernel}
pairs=${2:-5}
read -ra flags <<<"${EMULATE_FLAGS:-}"
qemu=$(command -v qemu-system-riscv64 || true)

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

case $what in
kernel)
    "$top/benchmarks/build.sh" >/dev/null
    program=$top/.build/benchmarks/sieve-quicksort-fib
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    for ((i = 0; i < pairs; i++)); do
        "$program.native" >>"$work/native"
        "$emulate" -machine virt -nographic -bios none -kernel "$program.elf" ${flags[@]+"${flags[@]}"} </dev/null >>"$work/emulate"
        if [ -n "$qemu" ]; then "$qemu" -machine virt -nographic -bios none -kernel "$program.elf" </dev/null >>"$work/qemu"; fi
    done
    # The same work everywhere, or no figure at all.
    if [ "$(cat "$work"/* | tr -d '\r' | awk '{print $1, $2}' | sort -u | wc -l)" != 3 ]; then
        echo "checksums disagree:" >&2
        cat "$work"/* >&2
        exit 1
    fi
    total() { tr -d '\r' <"$work/$1" | awk '{sum += $3} NR % 3 == 0 {print sum / 1e6; sum = 0}' | median; }
    native=$(total native)
    printf '%-10s %10.1f ms\n' native "$native"
    for engine in emulate qemu; do
        [ -f "$work/$engine" ] || continue
        time=$(total $engine)
        printf '%-10s %10.1f ms  %6s times native\n' $engine "$time" "$(ratio "$time" "$native")"
    done
    ;;
boot)
    [ -n "$qemu" ] || { echo "qemu-system-riscv64 is not installed: make bench-deps" >&2; exit 1; }
    guest=$("$top/Tests/Guests/debian.sh")
    boot() {
        local start end
        start=$(date +%s%N)
        "$@" -machine virt -m 512M -nographic -kernel "$guest/Image" -initrd "$guest/initrd.gz" \
            -append "console=ttyS0 run=$(printf true | base64)" </dev/null >"$log" 2>&1
        end=$(date +%s%N)
        grep -q 'run: exit 0' "$log" || { echo "the guest did not reach its shell: see $log" >&2; exit 1; }
        echo $(((end - start) / 1000000))
    }
    log=$(mktemp)
    ours=() theirs=()
    for ((i = 0; i < pairs; i++)); do
        ours+=("$(boot "$emulate" ${flags[@]+"${flags[@]}"})")
        theirs+=("$(boot "$qemu")")
    done
    a=$(printf '%s\n' "${ours[@]}" | median)
    b=$(printf '%s\n' "${theirs[@]}" | median)
    printf 'emulate %8s ms\nqemu    %8s ms\nratio   %8s\n' "$a" "$b" "$(ratio "$a" "$b")"
    rm -f "$log"
    ;;
*)
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 1
    ;;
esac
