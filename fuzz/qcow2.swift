import TestSupport

/// libFuzzer's entry: the input is an image. Built by fuzz/build.sh together with Storage/ and Tests/EmuDevicesTests/Storage/Qcow2Exercise.swift.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzQcow2(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    // The same input is always used in the same way.
    Qcow2Exercise.run(bytes, seed: UInt64(bytes.reduce(0) { $0 &* 31 &+ UInt32($1) }))
    return 0
}
