#!/usr/bin/env bash
# Brings Debian 13's riscv64 kernel and busybox from Debian's archive, checked by apt's signatures, and packs a small initramfs
# (busybox, the virtio, NVMe and ext4 modules, the init beside this file). Everything lands in a cache folder, whose path is printed last:
#   Image        the kernel         initrd.gz   the initramfs
#   fw_dynamic.bin, fw_jump.elf     OpenSBI     u-boot.bin   U-Boot's S-mode build     busybox   the static program
#
# apt runs with a configuration of its own (lists, cache, sources, architecture); the host's apt is only asked for its mirror.
#   DEBIAN_MIRROR=URL    use this mirror instead        EMULATE_CACHE=DIR    cache there instead
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${EMULATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/emulate}/debian-13-riscv64
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'emulate: %s\n' "$*" >&2; }
fail() {
    say "$1"
    say "Without Debian's archive you can still run: 'make test-offline' (all tests that need no download),"
    say "'make rom' (a bare-metal program), or any kernel of your own: emulate -kernel Image -append console=ttyS0"
    exit 1
}

mkdir -p "$cache"
cd "$cache"
# Two runs at once must not build the same cache.
exec 9>lock
flock 9

stamp="complete $(cat "$here/debian.sh" "$here/init" "$here/udhcpc.script" | sha256sum | cut -d' ' -f1)"
if [ "$(cat stamp 2>/dev/null)" = "$stamp" ]; then
    echo "$cache"
    exit 0
fi

for tool in apt-get dpkg-deb depmod modprobe cpio xz gzip; do
    command -v "$tool" >/dev/null || fail "'$tool' is missing; 'make deps' installs it (Debian and its derivatives)"
done
[ -r "$keyring" ] || fail "$keyring is missing; install debian-archive-keyring"

# The host's own mirror, unless one is given: first from apt itself, then from its files.
mirror=${DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 2>/dev/null | grep -v security | sort -u | head -n 1 || true)
fi
if [ -z "$mirror" ]; then
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        grep -v '^ *#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 || true)
fi
[ -n "$mirror" ] || fail "no Debian mirror found in this host's apt configuration; name one with DEBIAN_MIRROR=URL"

mkdir -p apt/lists/partial apt/cache/archives/partial debs
apt=(-o "Dir::Etc::SourceList=$cache/apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$cache/apt/lists"
    -o "Dir::Cache=$cache/apt/cache" -o Dir::State::status=/dev/null -o APT::Architecture=riscv64 -o APT::Architectures=riscv64
    -o APT::Sandbox::User=root -o Acquire::Retries=2)

# A mirror in the middle of its update can serve an index that does not match its signature under one name of the suite and a
# good one under the other, so both are tried; 'stable' counts only while it is still Debian 13.
suite=
for candidate in trixie stable; do
    say "reading Debian 13's package index ($candidate)"
    echo "deb [signed-by=$keyring arch=riscv64] $mirror $candidate main" >apt/sources.list
    if apt-get -qq "${apt[@]}" update >update.log 2>&1 && grep -qsE '^Codename: trixie' apt/lists/*_dists_"$candidate"_*Release; then
        suite=$candidate
        break
    fi
    rm -rf apt/lists
    mkdir -p apt/lists/partial
done
if [ -z "$suite" ]; then
    sed 's/^/  /' update.log >&2
    fail "Debian's archive could not be reached or its index did not verify (see above)"
fi

kernel=$(apt-cache "${apt[@]}" depends linux-image-riscv64 | awk '/Depends: linux-image-/ {print $2; exit}')
kernel=${kernel%%:*}
[ -n "$kernel" ] || fail "the archive has no linux-image-riscv64"
say "downloading $kernel, busybox-static, opensbi, u-boot-qemu"
rm -f debs/*.deb
progress=-q
[ -t 2 ] && progress=
(cd debs && apt-get $progress "${apt[@]}" download "$kernel" busybox-static opensbi u-boot-qemu >&2) ||
    fail "downloading from Debian's archive failed (see above)"

say "unpacking"
rm -rf x
mkdir x
for package in debs/*.deb; do dpkg-deb -x "$package" x; done
rm -f debs/*.deb
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

echo "$stamp" >stamp
echo "$cache"
