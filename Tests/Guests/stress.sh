#!/usr/bin/env bash
# Boots Debian's kernel with several harts and keeps them busy with forks, futexes, signals, changing pages and changing code (stress.c).
#   stress.sh [SECONDS] [HARTS] [EMULATE] [OPTION...]     default: 60 4 .build/release/emulate; options are the emulator's
# Ends with 0 when the guest said that all was well and powered off.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:-60} harts=${2:-4} emulate=${3:-$here/../../.build/release/emulate}
shift $(($# < 3 ? $# : 3))
guest=$("$here/debian.sh")
# clang and ld.lld of the Swift toolchain; swiftc may be a link to a version switcher.
tools=$(dirname "$(readlink -f "$(command -v swiftc)")")
[ -x "$tools/ld.lld" ] || tools=$(dirname "$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1/p')")/usr/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
"$tools/clang" --target=riscv64-unknown-linux-gnu -march=rv64gc -mabi=lp64d -O2 -ffreestanding -fno-builtin -fno-stack-protector -Wall -Wextra -Werror \
    -c "$here/stress.c" -o "$work/stress.o"
"$tools/ld.lld" -static --no-relax "$work/stress.o" -o "$work/root/stress"
# Archives may follow each other.
(cd "$work/root" && echo stress | cpio --quiet -o -H newc --owner=0:0 | gzip) | cat "$guest/initrd.gz" - >"$work/initrd.gz"
"$emulate" -machine virt -smp "$harts" -m 1G -nographic "$@" -kernel "$guest/Image" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 run=$(echo "/stress $seconds; cat /proc/interrupts | tail -8" | base64 -w0)" </dev/null | tee "$work/output"
grep -q '^stress: all is well' "$work/output"
