import EmuDevices
import TestSupport
import Testing

/// Disk images, which may come from strangers.
@Suite struct StorageFuzzTargets {
    @Test func qcow2() throws {
        Fuzzing.read("qcow2", cases: 20, seeds: []) { bytes in
            // The same input is always used in the same way.
            Qcow2Exercise.run(bytes, seed: UInt64(bytes.reduce(0) { $0 &* 31 &+ UInt32($1) }))
        }
    }
}
