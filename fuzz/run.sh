#!/usr/bin/env bash
# Runs fuzz targets under libFuzzer: fuzz/run.sh SECONDS [TARGET…]
# Each runs for SECONDS (0: until Ctrl-C); without a name, every target that has a corpus. What breaks one is saved as fuzz/TARGET-….
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
targets=("$@")
if [ $# = 0 ]; then
    for folder in fuzz/corpus/*; do targets+=("${folder##*/}"); done
fi

# libFuzzer comes with the Swift toolchain; without its own main it is a library, which Tests/TestSupport/Fuzzing.swift calls.
resources=$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')
library=$resources/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a
[ -e "$library" ] || { echo "emulate: the Swift toolchain has no libFuzzer ($library)" >&2; exit 1; }
# Instrumented by the compiler only: asked for at linking, libFuzzer would bring its main along.
build=.build-fuzz
swift build --scratch-path $build --build-tests -Xswiftc -O -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer \
    -Xlinker --export-dynamic -Xlinker --whole-archive -Xlinker "$library" -Xlinker --no-whole-archive -Xlinker -lstdc++ >&2
# What breaks is libFuzzer's to save.
export SWIFT_BACKTRACE=enable=no

failed=()
for target in "${targets[@]}"; do
    [ -d "fuzz/corpus/$target" ] || { echo "emulate: there is no fuzz target '$target'; fuzz/corpus has a folder for each" >&2; exit 1; }
    found=$build/corpus/$target
    mkdir -p "$found"
    limit=$(find "fuzz/corpus/$target" -type f -printf '%s\n' | sort -n | tail -n 1)
    [ "$limit" -gt 2048 ] || limit=2048
    echo "== $target" >&2
    EMULATE_FUZZ=$target EMULATE_FUZZ_ARGUMENTS="-max_total_time=$seconds -timeout=25 -rss_limit_mb=4096 -max_len=$((2 * limit)) -print_final_stats=1 \
        -artifact_prefix=fuzz/$target- $found fuzz/corpus/$target" \
        "$build/debug/emulatePackageTests.xctest" --testing-library swift-testing --filter FuzzTargets --no-parallel || failed+=("$target")
done
[ ${#failed[@]} = 0 ] || { echo "emulate: these targets failed: ${failed[*]}" >&2; exit 1; }
