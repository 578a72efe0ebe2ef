#!/bin/sh
# Builds the ELF files for the tests of symbols, line tables and unwinding, and what the tests expect of them, with the Swift toolchain alone (its clang and ld.lld).
#   build.sh           builds all beside this script
#   build.sh --check   builds all elsewhere and compares byte for byte with what is checked in
set -eu
cd "$(dirname "$0")"

swiftc=$(command -v swiftc) || { echo "Fixtures/build.sh: swiftc not found; install a Swift 6.3 toolchain" >&2; exit 1; }
# swiftc may be a link to a version switcher; the tools lie beside the real one.
tools=$(dirname "$(readlink -f "$swiftc")")
[ -x "$tools/ld.lld" ] || tools=$(dirname "$("$swiftc" -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1/p')")/usr/bin

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
riscv="--target=riscv64-none-elf -march=rv64imac -mabi=lp64 -mcmodel=medany"
aarch64="--target=aarch64-none-elf -mgeneral-regs-only"

build() { # NAME "TARGET FLAGS" "COMPILER FLAGS" LINKER-FLAGS...
    name=$1 target=$2 flags=$3
    shift 3
    objects=
    for source in ${sources:-start.S calls.c shapes.cc}; do
        objects="$objects $work/$source.o"
        # shellcheck disable=SC2086 # the flags are words
        (cd source && "$tools/clang" $target -O2 -g $flags -ffreestanding -fno-ident -fno-exceptions -fno-rtti -Wall -Wextra -Werror \
            -Wno-unused-command-line-argument -fdebug-compilation-dir=/fixtures -c "$source" -o "$work/$source.o")
    done
    # shellcheck disable=SC2086
    "$tools/ld.lld" -T source/link.ld --build-id=none -z max-page-size=16 -z norelro -z nognustack "$@" \
        $objects -o "$out/$name.elf"
    chmod 644 "$out/$name.elf"
}

expect() { # NAME: what the toolchain's llvm-symbolizer says about every second byte of the code
    # Labels the assembler made are no functions.
    "$tools/llvm-objcopy" --discard-locals "$out/$1.elf" "$work/$1.named"
    size=$("$tools/llvm-objdump" -h "$out/$1.elf" | awk '$2 == ".text" { print $3 }')
    address=0
    while [ $address -lt $((0x$size)) ]; do
        printf '0x%x\n' $((0x80000000 + address))
        address=$((address + 2))
    done | "$tools/llvm-symbolizer" --obj="$work/$1.named" --inlines --functions=linkage --demangle --addresses |
        sed 's,/\./,/,g' >"$out/$1.expected"
}

strip() { # NAME SECTION...
    file=$out/$1.elf
    shift
    for section in "$@"; do "$tools/llvm-objcopy" --remove-section="$section" "$file"; done
}

all() {
    # Unwind information in .debug_frame, no frame pointers; the newest format.
    build riscv-dwarf5 "$riscv" "-gdwarf-5 -fno-asynchronous-unwind-tables -fomit-frame-pointer"
    # In .eh_frame; functions discarded by the linker leave their line tables behind.
    build riscv-dwarf4 "$riscv" "-gdwarf-4 -fasynchronous-unwind-tables -ffunction-sections -DDISCARDED" --gc-sections
    # Frame pointers and no unwind information; the 64-bit format; units without ranges of their own.
    build riscv-frame-pointer "$riscv" "-gdwarf-5 -gdwarf64 -gdwarf-aranges -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer"
    strip riscv-frame-pointer .debug_frame .eh_frame
    build riscv-compressed "$riscv" "-gdwarf-5 -fasynchronous-unwind-tables" --compress-debug-sections=zlib
    build aarch64-dwarf5 "$aarch64" "-gdwarf-5 -fasynchronous-unwind-tables"
    sources=rules.S build riscv-rules "$riscv" "" --entry=rules
    for name in riscv-dwarf5 riscv-dwarf4 riscv-frame-pointer aarch64-dwarf5; do expect $name; done
}

case ${1:-} in
    --check)
        out=$work/out
        mkdir "$out"
        all
        for file in *.elf *.expected; do
            cmp -s "$out/$file" "$file" || {
                echo "Fixtures/build.sh: $file is not what its source gives; run Tests/EmuControlTests/Fixtures/build.sh and check in the result" >&2
                exit 1
            }
        done
        echo "the symbol fixtures match their sources" ;;
    '') out=. && all ;;
    *) echo "usage: build.sh [--check]" >&2; exit 2 ;;
esac
