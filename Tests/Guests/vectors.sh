#!/usr/bin/env bash
# Brings programs of Debian 13's whose libraries use vectors where the processor has them: openssl (vector cryptography) and dav1d (an AV1
# decoder). Everything lands in a cache folder, whose path is printed last:
#   vectors.cpio   an initramfs to be added to that of debian.sh: the programs with their libraries, and /clip.ivf, a short film
#   clip.md5       what the pictures of the film sum up to, by this host's decoder
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/archive.sh"
. "$here/libraries.sh"
base=$("$here/debian.sh")
enter_cache debian-13-riscv64-vectors "$here"/{archive.sh,libraries.sh,vectors.sh} "$base/stamp"
open_archive cpio objdump perl aomenc aomdec

mapfile -t packages < <(apt-get "${apt[@]}" install --no-install-recommends -s openssl dav1d | awk '$1 == "Inst" {print $2}')
[ "${#packages[@]}" -gt 0 ] || fail "the archive has no openssl or no dav1d"
unpack "${packages[@]}"

say "packing the initramfs"
rm -rf root
mkdir -p root/{bin,lib,usr/lib/riscv64-linux-gnu}
cp x/usr/bin/{openssl,dav1d} root/bin/
add_libraries root/bin/*

# Ten pictures of patterns that move: sharp ones in the luma, soft ones in the chroma.
perl -e 'print "YUV4MPEG2 W352 H288 F25:1 Ip C420jpeg\n";
    for my $t (0..9) {
        print "FRAME\n";
        for my $y (0..287) { print pack("C*", map { (($_ * 3 + $t * 5) ^ ($y * 2 + $t * 3)) & 255 } 0..351) }
        for my $p (1, 2) { for my $y (0..143) { print pack("C*", map { 128 + 60 * sin(($_ * $p + $y + $t * 4) / 17) } 0..175) } }
    }' >clip.y4m
aomenc --quiet --cpu-used=6 --threads=1 --end-usage=q --cq-level=30 --ivf -o root/clip.ivf clip.y4m
aomdec --md5 --rawvideo root/clip.ivf | cut -d' ' -f1 >clip.md5
(cd root && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc --owner=0:0) >vectors.cpio
rm -rf x root clip.y4m

leave_cache
