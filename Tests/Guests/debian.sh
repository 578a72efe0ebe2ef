#!/usr/bin/env bash
# Brings Debian 13's riscv64 kernel and busybox from Debian's archive, checked by apt's signatures, and packs a small initramfs
# (busybox, the virtio, NVMe and ext4 modules, the init beside this file). Everything lands in a cache folder, whose path is printed last:
#   Image        the kernel         initrd.gz   the initramfs
#   fw_dynamic.bin, fw_jump.elf     OpenSBI     u-boot.bin   U-Boot's S-mode build     busybox   the static program
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/archive.sh"
enter_cache debian-13-riscv64 "$here"/{archive.sh,debian.sh,init,udhcpc.script}
open_archive depmod modprobe cpio xz gzip

kernel=$(apt-cache "${apt[@]}" depends linux-image-riscv64 | awk '/Depends: linux-image-/ {print $2; exit}')
kernel=${kernel%%:*}
[ -n "$kernel" ] || fail "the archive has no linux-image-riscv64"
unpack "$kernel" busybox-static opensbi u-boot-qemu
release=$(ls x/usr/lib/modules 2>/dev/null || ls x/lib/modules)
modules=x/usr/lib/modules
base=$cache/x/usr
if [ ! -d "$modules" ]; then
    modules=x/lib/modules
    base=$cache/x
fi
cp x/boot/vmlinu?-"$release" Image
cp x/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin x/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf .
cp x/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin u-boot.bin

say "packing the initramfs"
rm -rf root
mkdir -p root/{bin,sbin,proc,sys,dev,mnt,root,etc,tmp,run} "root/lib/modules/$release"
cp "$(find x -path '*bin/busybox' -type f | head -n 1)" busybox
mkdir -p root/etc/udhcpc
cp busybox root/bin/busybox
cp "$here/init" root/init
cp "$here/udhcpc.script" root/etc/udhcpc/default.script
chmod 755 root/init root/etc/udhcpc/default.script
depmod -b "$base" "$release"
# ext4 asks for crc32c by its name in the crypto API, which no dependency lists.
for module in virtio_mmio virtio_blk virtio_net virtio-rng virtio_console nvme ext4 crc32c_generic 9p 9pnet_virtio; do
    modprobe -d "$base" -S "$release" --show-depends "$module" 2>/dev/null | awk '/^insmod/ {print $2}' || true
done | sort -u | while read -r module; do
    target=root/lib/modules/$release/$(basename "$module")
    case $module in
    *.xz) xz -dc "$module" >"${target%.xz}" ;;
    *) cp "$module" "$target" ;;
    esac
done
cp x/usr/lib/modules/"$release"/modules.{order,builtin} "root/lib/modules/$release/" 2>/dev/null || true
depmod -b root "$release"
(cd root && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --owner=0:0 | gzip -9n) >initrd.gz
rm -rf x root

leave_cache
