#!/usr/bin/env bash
# Builds the benchmark programs with the Swift toolchain's clang and lld alone; nothing is done when nothing has changed.
#   benchmarks/build.sh [OUTPUT-FOLDER]      default .build/benchmarks
# A kernel's second word says where it runs (// variants: …); every variant lands as NAME.VARIANT:
#   host         this machine              machine      bare metal, M mode, no address translation
#   supervisor   bare metal, S mode, Sv39  linux        static program for Linux in the guest
# The kernel itself is compiled once for the guest; the variants differ in what surrounds it. linux.cpio.gz holds all linux programs
# as /bench/NAME, for an initramfs. Options are the same for guest and host; contraction of a*b+c is off, since baseline x86-64
# has no such instruction and the sums must agree. Neither side is vectorised automatically, since a comparison with vector code on one
# side would measure the instruction set; but both are where the kernel lies in kernels/vector (RV64GCV and x86-64-v3); sha256-v and
# aesgcm-v have both sides' instructions for ciphers and hashes, on the host without AVX, whose upper halves make SHA instructions wait.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$top/.build/benchmarks}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$top/benchmarks"
swiftc=$(command -v swiftc) || { echo "benchmarks/build.sh: the Swift toolchain is not on the PATH (swiftc)" >&2; exit 1; }
tools=$(dirname "$(readlink -f "$swiftc")")
for tool in clang ld.lld; do
    [ -x "$tools/$tool" ] || { echo "benchmarks/build.sh: $tools/$tool is missing from the Swift toolchain" >&2; exit 1; }
done
command -v cpio >/dev/null || { echo "benchmarks/build.sh: 'cpio' is missing; 'make deps' installs it" >&2; exit 1; }

options=(-O2 -ffreestanding -fno-builtin -ffp-contract=off -fno-math-errno -fno-strict-aliasing
    -Wall -Werror -Iplatform)
scalar=(-fno-vectorize -fno-slp-vectorize)
guest=(--target=riscv64-unknown-none-elf -mabi=lp64d -mcmodel=medany)

exec 9>"$out/lock"
flock 9
stamp=$({ "$tools/clang" --version; cat build.sh platform/* kernels/*/*; } | sha256sum | cut -d' ' -f1)
[ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
rm -f "$out/stamp"
"$tools/clang" --version | sed -n '1s/ (.*//p' >"$out/compiler"

# What surrounds a kernel, once for each variant.
compile() { "$tools/clang" "${guest[@]}" -march=rv64gc "${options[@]}" "${scalar[@]}" "$@"; }
for file in main memory linux; do compile -c -o "$out/$file.o" platform/$file.c; done
compile -DSUPERVISOR=0 -c -o "$out/bare-machine.o" platform/bare.c
compile -DSUPERVISOR=1 -c -o "$out/bare-supervisor.o" platform/bare.c
compile -c -o "$out/start.o" platform/bare.S

build_kernel() {
    set -euo pipefail
    # Behind -O2, which would switch vectors on again.
    local source=$1 name variant guest_kind="-march=rv64gc $scalar_options" host_kind=$scalar_options
    case $source in
    */vector/sha256-v.c | */vector/aesgcm-v.c) guest_kind=-march=rv64gcv_zvkned_zvknha_zvkg_zvkb host_kind="-march=x86-64-v2 -maes -mpclmul -msha" ;;
    */vector/*) guest_kind=-march=rv64gcv host_kind=-march=x86-64-v3 ;;
    esac
    name=$(basename "$source" .c)
    local variants
    variants=$(sed -n '1s,^// variants: ,,p' "$source")
    [ -n "$variants" ] || { echo "$source: its first line does not name variants" >&2; exit 1; }
    echo "$name" >&2
    case $variants in *machine*|*supervisor*|*linux*) $clang $guest_options $common_options $guest_kind -c -o "$out/$name.kernel.o" "$source" ;; esac
    for variant in $variants; do
        case $variant in
        host) $clang $common_options $host_kind -pthread -o "$out/$name.host" "$source" platform/main.c platform/host.c ;;
        machine | supervisor)
            $lld -T platform/bare.ld --build-id=none -o "$out/$name.$variant" \
                "$out/start.o" "$out/$name.kernel.o" "$out/main.o" "$out/memory.o" "$out/bare-$variant.o"
            ;;
        linux)
            $lld -static --build-id=none -z noexecstack -o "$out/$name.linux" \
                "$out/$name.kernel.o" "$out/main.o" "$out/memory.o" "$out/linux.o"
            ;;
        *) echo "$source: unknown variant '$variant'" >&2; exit 1 ;;
        esac
    done
}
export -f build_kernel
export out clang=$tools/clang lld=$tools/ld.lld guest_options="${guest[*]}" common_options="${options[*]}" scalar_options="${scalar[*]}"
printf '%s\0' kernels/*/*.c | xargs -0 -n 1 -P "$(nproc)" bash -c 'build_kernel "$0"'

rm -rf "$out/initramfs"
mkdir -p "$out/initramfs/bench"
for program in "$out"/*.linux; do cp "$program" "$out/initramfs/bench/$(basename "$program" .linux)"; done
(cd "$out/initramfs" && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --owner=0:0 | gzip -1n) >"$out/linux.cpio.gz"
rm -rf "$out/initramfs"
echo "$stamp" >"$out/stamp"
