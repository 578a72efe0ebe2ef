#!/usr/bin/env bash
# Builds every kernel twice with the Swift toolchain's clang at -O2: for this host and as a bare-metal guest program.
#   benchmarks/build.sh [OUTPUT-FOLDER]      default .build/benchmarks
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$top/.build/benchmarks}
tools=$(dirname "$(readlink -f "$(command -v swiftc)")")
mkdir -p "$out"
cd "$top/benchmarks"
guest=(--target=riscv64-unknown-none-elf -march=rv64gc -mabi=lp64d -mcmodel=medany -O2 -ffreestanding -nostdlib)
for kernel in kernels/*.c; do
    name=$(basename "$kernel" .c)
    [ "$name" = platform-host ] && continue
    "$tools/clang" -O2 -o "$out/$name.native" "$kernel" kernels/platform-host.c
    for source in "$kernel" guest/platform-guest.c guest/start.S; do
        "$tools/clang" "${guest[@]}" -c -o "$out/$(basename "$source").o" "$source"
    done
    "$tools/ld.lld" -T guest/link.ld -o "$out/$name.elf" \
        "$out/start.S.o" "$out/$(basename "$kernel").o" "$out/platform-guest.c.o"
done
