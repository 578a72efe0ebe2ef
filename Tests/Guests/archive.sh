# Sourced by the scripts beside it: Debian's riscv64 archive through an apt with a configuration of its own (lists, cache, sources,
# architecture), in the current folder; the host's apt is only asked for its mirror.
#   DEBIAN_MIRROR=URL    use this mirror instead        EMULATE_CACHE=DIR    cache there instead
cache_root=${EMULATE_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/emulate}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'emulate: %s\n' "$*" >&2; }
fail() {
    say "$1"
    say "Without Debian's archive you can still run: 'make test-offline' (all tests that need no download),"
    say "'make rom' (a bare-metal program), or any kernel of your own: emulate -kernel Image -append console=ttyS0"
    exit 1
}

# enter_cache NAME FILE...: goes to the cache folder, where two runs at once must not work; ends the script if it was made from these FILEs.
enter_cache() {
    cache=$cache_root/$1
    shift
    mkdir -p "$cache"
    stamp="complete $(cat "$@" | sha256sum | cut -d' ' -f1)"
    cd "$cache"
    exec 9>lock
    flock 9
    if [ "$(cat stamp 2>/dev/null)" = "$stamp" ]; then
        echo "$cache"
        exit 0
    fi
}

leave_cache() {
    echo "$stamp" >stamp
    echo "$cache"
}

# open_archive TOOL...: reads the package index; `apt` then holds the options for apt-get and apt-cache.
open_archive() {
    local tool mirror candidate suite=
    for tool in apt-get dpkg-deb "$@"; do
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
}

# unpack PACKAGE...: downloads packages and unpacks them into the folder x.
unpack() {
    local progress=-q package
    say "downloading $*"
    rm -f debs/*.deb
    [ -t 2 ] && progress=
    (cd debs && apt-get $progress "${apt[@]}" download "$@" >&2) || fail "downloading from Debian's archive failed (see above)"
    say "unpacking"
    rm -rf x
    mkdir x
    for package in debs/*.deb; do dpkg-deb -x "$package" x; done
    rm -f debs/*.deb
}
