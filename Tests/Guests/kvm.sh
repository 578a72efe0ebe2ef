#!/usr/bin/env bash
# Brings what a nested guest needs from Debian's archive: Debian 13's riscv64 kernel with its module kvm, and QEMU to use it (Debian has no
# kvmtool for riscv64). Everything lands in a cache folder, whose path is printed last:
#   Image      the kernel of both guests
#   kvm.cpio   an initramfs to be added to that of debian.sh: the module, QEMU with its libraries, kernel and initramfs of the nested guest,
#              and the command nested, which starts it; what follows it is the first command the nested guest runs before it powers off
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/archive.sh"
. "$here/libraries.sh"
base=$("$here/debian.sh")
enter_cache debian-13-riscv64-kvm "$here"/{archive.sh,libraries.sh,debian.sh,kvm.sh,init,nested} "$base/stamp"
open_archive depmod modprobe cpio xz

kernel=$(apt-cache "${apt[@]}" depends linux-image-riscv64 | awk '/Depends: linux-image-/ {print $2; exit}')
kernel=${kernel%%:*}
[ -n "$kernel" ] || fail "the archive has no linux-image-riscv64"
# Programs and libraries; what packages configure is not needed.
mapfile -t packages < <(apt-get "${apt[@]}" install --no-install-recommends -s qemu-system-riscv | awk '$1 == "Inst" {print $2}')
[ "${#packages[@]}" -gt 0 ] || fail "the archive has no qemu-system-riscv"
unpack "$kernel" "${packages[@]}"
modules=x/usr/lib/modules
[ -d "$modules" ] || modules=x/lib/modules
release=$(ls "$modules")
cp x/boot/vmlinu?-"$release" Image

say "packing the initramfs"
rm -rf root
mkdir -p root/{nested,bin,lib/modules/kvm,usr/share/qemu,usr/lib/riscv64-linux-gnu}
depmod -b "${modules%/lib/modules*}" "$release"
modprobe -d "${modules%/lib/modules*}" -S "$release" --show-depends kvm | awk '/^insmod/ {print $2}' | while read -r module; do
    target=root/lib/modules/kvm/$(basename "$module")
    case $module in
    *.xz) xz -dc "$module" >"${target%.xz}" ;;
    *) cp "$module" "$target" ;;
    esac
    basename "${target%.xz}" >>root/lib/modules/kvm/order
done
cp x/usr/bin/qemu-system-riscv64 root/bin/
add_libraries root/bin/qemu-system-riscv64
cp Image "$base/initrd.gz" root/nested/
cp "$here/nested" root/bin/nested
chmod 755 root/bin/nested
(cd root && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --owner=0:0) >kvm.cpio
rm -rf x root

leave_cache
