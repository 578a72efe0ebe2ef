#!/usr/bin/env bash
# Makes a disk image with a compiler (GCC's cc1) and Python for riscv64 from Debian's archive, checked by apt's signatures, for the benchmarks
# that run them in the guest. Prints the image's path last. Uses what Tests/Guests/debian.sh prepared; same cache, same variables.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
say() { printf 'emulate: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

guest=$("$here/../Tests/Guests/debian.sh" | tail -n 1)
cache=${guest%/*}/bench-tools-riscv64
export PATH=$PATH:/usr/sbin:/sbin
for tool in mke2fs apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail "'$tool' is missing; 'make bench-deps' installs it"
done
mkdir -p "$cache"
cd "$cache"
exec 9>lock
flock 9
stamp="complete $(cat "$here/guest-tools.sh" "$here"/guest-tools/* | sha256sum | cut -d' ' -f1)"
if [ "$(cat stamp 2>/dev/null)" = "$stamp" ]; then
    echo "$cache/tools.ext4"
    exit 0
fi

apt=(-o "Dir::Etc::SourceList=$guest/apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$guest/apt/lists"
    -o "Dir::Cache=$guest/apt/cache" -o Dir::State::status=/dev/null -o APT::Architecture=riscv64 -o APT::Architectures=riscv64
    -o APT::Sandbox::User=root -o Acquire::Retries=2)
python=$(apt-cache "${apt[@]}" depends python3-minimal | awk '/Depends: python3\.[0-9]+-minimal/ {print $2; exit}')
python=${python%%:*}
[ -n "$python" ] || fail "the archive has no python3-minimal"
packages=(cpp-14-riscv64-linux-gnu libgmp10 libisl23 libmpc3 libmpfr6 libzstd1 libc6 libgcc-s1 libexpat1 zlib1g "$python" "lib$python" "lib${python%-minimal}-stdlib")
say "downloading ${packages[*]}"
rm -rf debs root
mkdir -p debs root
(cd debs && apt-get -q "${apt[@]}" download "${packages[@]}" >&2) || fail "downloading from Debian's archive failed (see above)"

say "packing the image"
# Merged /usr, as Debian has it.
mkdir -p root/usr/{bin,lib,sbin} root/{tmp,dev,proc,bench}
for folder in bin lib sbin; do ln -s usr/$folder root/$folder; done
for package in debs/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x -C root --keep-directory-symlink --no-same-owner; done
ln -sf "$(cd root && find usr/libexec usr/lib -name cc1 -type f | sed 's,^,/,;q')" root/usr/bin/cc1
ln -sf "${python%-minimal}" root/usr/bin/python3
rm -rf root/usr/share
cp "$here"/guest-tools/* root/bench/
# A source file large enough to take a while: functions that call each other.
awk 'BEGIN {
    print "static unsigned state;"
    for (i = 0; i < 60; i++) {
        printf "unsigned function%d(unsigned a, unsigned b) {\n    unsigned sum = state + %du, i;\n", i, i * 2654435 % 65521
        print "    for (i = 0; i < a; i++) {\n        if (i & 1) sum += b * i; else sum ^= b >> (i & 7);"
        print "        switch (sum % 4) { case 0: sum += 3; break; case 1: sum *= 5; break; case 2: sum -= b; break; default: sum = ~sum; }\n    }"
        if (i) printf "    return sum + function%d(a / 2, b + 1);\n}\n", i - 1; else print "    return state = sum;\n}"
    }
}' >root/bench/compile.c
rm -f tools.ext4
size=$(($(du -sm root | cut -f1) * 5 / 4 + 8))
mke2fs -q -t ext4 -d root -O ^has_journal -E root_owner=0:0 tools.ext4 "${size}M" || fail "mke2fs could not make the image"
rm -rf debs root
echo "$stamp" >stamp
echo "$cache/tools.ext4"
