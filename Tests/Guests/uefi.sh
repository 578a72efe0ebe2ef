#!/usr/bin/env bash
# Brings Debian 13's UEFI firmware, GRUB and installer for riscv64 from Debian's archive, and makes a disk of the guest of debian.sh that
# boots as an installed system does. Everything lands in a cache folder, whose path is printed last:
#   RISCV_VIRT_CODE.fd, RISCV_VIRT_VARS.fd   EDK2     installer-kernel, installer-initrd.gz   the network installer
#   disk.img     GPT: an EFI system partition with GRUB, and ext4 with kernel, initrd and a root file system whose /sbin/init is `root-init`
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
guest=$("$here/debian.sh")
. "$here/archive.sh"
enter_cache debian-13-riscv64-uefi "$here"/{archive.sh,uefi.sh,root-init} "$guest/stamp"
open_archive sfdisk mformat mcopy mke2fs
unpack qemu-efi-riscv64 grub-efi-riscv64-unsigned debian-installer-13-netboot-riscv64
cp x/usr/share/qemu-efi-riscv64/RISCV_VIRT_{CODE,VARS}.fd .
installer=$(find x -type d -path '*/text/debian-installer/riscv64')
cp "$installer/linux" installer-kernel
cp "$installer/initrd.gz" installer-initrd.gz

say "making the disk"
rm -rf root disk.img
mkdir -p root/{boot,bin,sbin,proc,sys,dev,tmp}
cp "$guest/Image" root/boot/vmlinuz
cp "$guest/initrd.gz" root/boot/initrd.gz
cp "$guest/busybox" root/bin/busybox
cp "$here/root-init" root/sbin/init
chmod 755 root/sbin/init
cat >grub.cfg <<'END'
set timeout=0
search --file --set=root /boot/vmlinuz
menuentry "Debian" {
    linux /boot/vmlinuz console=ttyS0 root=/dev/vda2
    initrd /boot/initrd.gz
}
END
truncate -s 160M disk.img
printf 'label: gpt\nsize=8M, type=uefi\ntype=linux\n' | sfdisk -q disk.img
# The partitions begin after 1 and 9 MiB.
system=disk.img@@1M
mformat -i "$system" -T $((8 << 11)) ::
mmd -i "$system" ::EFI ::EFI/BOOT ::EFI/debian
mcopy -i "$system" x/usr/lib/grub/riscv64-efi/monolithic/grubriscv64.efi ::EFI/BOOT/BOOTRISCV64.EFI
mcopy -i "$system" grub.cfg ::EFI/debian/grub.cfg
mke2fs -q -t ext4 -d root -E offset=$((9 << 20)) disk.img 150M
rm -rf x root grub.cfg
leave_cache
