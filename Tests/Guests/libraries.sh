# Sourced by the scripts that put programs of Debian's into an initramfs.

# add_libraries PROGRAM...: puts the libraries that programs name, and those that these name, from packages unpacked in x into root, with the
# loader that starts them.
add_libraries() {
    local file name target found
    while [ $# -gt 0 ]; do
        file=$1
        shift
        for name in $(objdump -p "$file" | awk '$1 == "NEEDED" {print $2}'); do
            target=root/usr/lib/riscv64-linux-gnu/$name
            [ -e "$target" ] && continue
            found=$(find x -name "$name" | head -n 1)
            [ -n "$found" ] || fail "no package has the library $name"
            cp -L "$found" "$target"
            set -- "$@" "$target"
        done
    done
    cp -L "$(find x -name 'ld-linux-riscv64-lp64d.so.1' | head -n 1)" root/lib/ld-linux-riscv64-lp64d.so.1
}
