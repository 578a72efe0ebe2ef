#!/bin/sh
# Builds the test programs with the Swift toolchain alone (its clang, ld.lld and llvm-objcopy).
#   build.sh [NAME...]   builds all programs, or the named ones, beside their sources
#   build.sh tutorial    builds the tutorial's program
#   build.sh --check     builds all elsewhere and compares byte for byte with what is checked in
set -eu
cd "$(dirname "$0")"

swiftc=$(command -v swiftc) || { echo "testroms/build.sh: swiftc not found; install a Swift 6.3 toolchain" >&2; exit 1; }
# swiftc may be a link to a version switcher; the tools lie beside the real one.
tools=$(dirname "$(readlink -f "$swiftc")")
[ -x "$tools/ld.lld" ] || tools=$(dirname "$("$swiftc" -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1/p')")/usr/bin
for tool in clang ld.lld llvm-objcopy; do
    [ -x "$tools/$tool" ] || { echo "testroms/build.sh: $tool is not part of the Swift toolchain in $tools" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

compile() { # SOURCE OBJECT
    # Programs must not use floating point by accident: instructions beyond rv64imac are enabled where a test names them.
    # Warnings in the sources are errors: what is checked in builds cleanly.
    "$tools/clang" --target=riscv64-none-elf -march=rv64imac_zicsr_zifencei -menable-experimental-extensions -mabi=lp64 -mcmodel=medany \
        -std=gnu17 -Os -ffreestanding -fno-builtin -fno-jump-tables -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident \
        -ffunction-sections -fdata-sections -Wall -Wextra -Werror -Wno-unused-command-line-argument -Wno-unused-function \
        -Ilib -c "$1" -o "$2"
}

build() { # NAME FOLDER
    name=$1
    for source in "$name.c" "$name.S"; do
        [ ! -f "$source" ] || break
    done
    [ -f "$source" ] || { echo "testroms/build.sh: there is no $name.c or $name.S" >&2; exit 1; }
    compile "$source" "$work/$name.o"
    # An assembly program with its own _start stands alone.
    runtime="$work/start.o $work/rom.o $work/paging.o"
    ! grep -q '^_start:' "$source" || runtime=
    # Segments need no page alignment in a file that is loaded byte by byte; this keeps the files small.
    "$tools/ld.lld" --gc-sections --no-relax --build-id=none -z max-page-size=16 -z norelro -z nognustack -T lib/link.ld \
        "$work/$name.o" $runtime -o "$work/$name.linked"
    "$tools/llvm-objcopy" --strip-all --keep-symbol=tohost --keep-symbol=fromhost "$work/$name.linked" "$2/$name.elf"
    chmod 644 "$2/$name.elf"
}

tutorial() { # FILE: the guest of the tutorial in docs/debugger.md, with symbols and lines; the paths in it begin at the top of the repository
    for source in start.S logger.c; do
        "$tools/clang" --target=riscv64-none-elf -march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany -std=gnu17 -Os -g -gdwarf-5 -ffreestanding \
            -fno-builtin -fno-ident -Wall -Wextra -Werror -Wno-unused-command-line-argument -fdebug-compilation-dir=testroms \
            -c "tutorial/$source" -o "$work/$source.o"
    done
    "$tools/ld.lld" --gc-sections --no-relax --build-id=none -z max-page-size=16 -z norelro -z nognustack -T lib/link.ld \
        "$work/start.S.o" "$work/logger.c.o" -o "$1"
    chmod 644 "$1"
}

names() {
    # A fixed order, whatever the locale.
    (LC_ALL=C; export LC_ALL; for source in *.c *.S; do [ ! -f "$source" ] || echo "${source%.*}"; done)
}

for part in start.S rom.c paging.c; do compile "lib/$part" "$work/${part%.*}.o"; done

case ${1:-} in
    --check)
        mkdir "$work/out"
        for name in $(names); do
            build "$name" "$work/out"
            cmp -s "$work/out/$name.elf" "$name.elf" || {
                echo "testroms/build.sh: $name.elf is not what its source gives; run testroms/build.sh and check in the result" >&2
                exit 1
            }
        done
        for file in *.elf; do
            [ -f "$work/out/$file" ] || { echo "testroms/build.sh: $file has no source" >&2; exit 1; }
        done
        tutorial "$work/logger.elf"
        cmp -s "$work/logger.elf" tutorial/logger.elf || {
            echo "testroms/build.sh: tutorial/logger.elf is not what its source gives; run testroms/build.sh tutorial and check in the result" >&2
            exit 1
        }
        echo "the test programs match their sources" ;;
    -*) echo "usage: testroms/build.sh [--check | NAME...]" >&2; exit 2 ;;
    '') for name in $(names); do build "$name" .; done
        tutorial tutorial/logger.elf ;;
    tutorial) tutorial tutorial/logger.elf ;;
    *) for name in "$@"; do build "$name" .; done ;;
esac
