#!/bin/sh
# Builds the firmware with the Swift toolchain alone.
#   build.sh OUTPUT    writes the raw image to OUTPUT
#   build.sh --check   builds and compares with the image that is checked in
set -eu
cd "$(dirname "$0")"
image=../Sources/EmuMachine/Resources/firmware.bin

usage() { echo "usage: firmware/build.sh OUTPUT | --check" >&2; exit 2; }
[ $# -eq 1 ] || usage
case $1 in
    --check) output= ;;
    -*|'') usage ;;
    /*) output=$1 ;;
    *) output=$OLDPWD/$1 ;;
esac

swiftc=$(command -v swiftc) || { echo "firmware/build.sh: swiftc not found; install a Swift 6.3 toolchain" >&2; exit 1; }
# swiftc may be a link to a version switcher; the tools lie beside the real one.
tools=$(dirname "$(readlink -f "$swiftc")")
[ -x "$tools/ld.lld" ] || tools=$(dirname "$("$swiftc" -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)\/lib\/swift".*/\1/p')")/usr/bin
for tool in clang ld.lld llvm-objcopy; do
    [ -x "$tools/$tool" ] || { echo "firmware/build.sh: $tool is not part of the Swift toolchain in $tools" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for source in Entry Probe; do
    "$tools/clang" --target=riscv64-none-elf -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany \
        -Iinclude -c $source.S -o "$work/$source.o"
done
# The order of the sources is fixed, so that the image does not depend on the locale.
sources=$(LC_ALL=C; export LC_ALL; echo *.swift)
"$swiftc" -target riscv64-none-none-eabi -Osize -wmo -parse-as-library -swift-version 6 -module-name Firmware \
    -enable-experimental-feature Embedded -no-allocations -enforce-exclusivity=unchecked \
    -Xfrontend -disable-stack-protector -Xfrontend -function-sections \
    -import-objc-header include/Firmware.h -Xcc -Iinclude \
    -Xcc -ffreestanding -Xcc -mcmodel=medany \
    -c $sources -o "$work/Firmware.o"
"$tools/ld.lld" --gc-sections --no-relax --build-id=none -T firmware.ld \
    "$work/Entry.o" "$work/Probe.o" "$work/Firmware.o" -o "$work/firmware.elf"
"$tools/llvm-objcopy" -O binary "$work/firmware.elf" "$work/firmware.bin"

if [ -z "$output" ]; then
    cmp "$work/firmware.bin" "$image" || {
        echo "firmware/build.sh: the checked-in image is not what the sources give; run: make firmware" >&2
        exit 1
    }
    echo "firmware.bin matches its sources"
else
    chmod 644 "$work/firmware.bin"
    cp "$work/firmware.bin" "$output"
    [ -z "${FIRMWARE_ELF:-}" ] || cp "$work/firmware.elf" "$FIRMWARE_ELF"
fi
