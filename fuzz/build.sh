#!/bin/bash
# Builds the fuzz target for qcow2 images: fuzz/build.sh OUTPUT
set -eu
cd "$(dirname "$0")/.."
swift build --target TestSupport
bin=$(swift build --show-bin-path)
# As one module with the parser, so that the fuzzer's instrumentation sees all of it.
swiftc -O -wmo -sanitize=fuzzer -parse-as-library -swift-version 6 -module-name EmuDevices -package-name "$(basename "$PWD")" \
    -I "$bin/Modules" -Xcc -fmodule-map-file="$bin/CHost.build/module.modulemap" -Xcc -ISources/CHost/include \
    -Xcc -fmodule-map-file=Sources/CLibFDT/module.modulemap -Xcc -fmodule-map-file=Sources/CZlib/module.modulemap \
    -Xcc -fmodule-map-file=Sources/CZstd/module.modulemap \
    fuzz/qcow2.swift Tests/EmuDevicesTests/Storage/Qcow2Exercise.swift $(find Sources/EmuDevices/Storage -name '*.swift') \
    $(find "$bin/EmuBus.build" "$bin/CHost.build" "$bin/TestSupport.build" "$bin/EmuIR.build" -name '*.o') -o "$1"
