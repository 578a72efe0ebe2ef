#!/usr/bin/env bash
# Brings the kernel of Debian's release after 13, which has a driver for the RISC-V IOMMU, and adds its modules for disks and networks to
# the initramfs of debian.sh. Everything lands in a cache folder, whose path is printed last:
#   Image        the kernel         initrd.gz   the initramfs
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
guest=$("$here/debian.sh")
. "$here/archive.sh"
enter_cache debian-14-riscv64 "$here"/{archive.sh,forky.sh} "$guest/stamp"
open_archive depmod modprobe cpio xz gzip

say "reading the package index of the next release (forky)"
sed -i -E 's/ (trixie|stable) main$/ forky main/' apt/sources.list
apt-get -qq "${apt[@]}" update >update.log 2>&1 || fail "Debian's archive could not be reached or its index did not verify ($cache/update.log)"
image=$(apt-cache "${apt[@]}" depends linux-image-riscv64 | awk '/Depends: linux-image-/ {print $2; exit}')
release=${image#linux-image-}
[ -n "$release" ] || fail "the archive has no linux-image-riscv64"
unpack "linux-binary-$release" "linux-modules-$release"
cp x/usr/lib/modules/"$release"/vmlinuz Image

say "packing the modules"
rm -rf root
mkdir -p "root/lib/modules/$release"
depmod -b x/usr "$release" 2>/dev/null
for module in virtio_blk virtio_net nvme; do
    modprobe -d "$PWD/x/usr" -S "$release" --show-depends "$module" | awk '/^insmod/ {print $2}'
done | sort -u | while read -r module; do
    xz -dc "$module" >"root/lib/modules/$release/$(basename "${module%.xz}")"
done
depmod -b root "$release" 2>/dev/null
(cd root && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --owner=0:0 | gzip -9n) | cat "$guest/initrd.gz" - >initrd.gz
rm -rf x root

leave_cache
