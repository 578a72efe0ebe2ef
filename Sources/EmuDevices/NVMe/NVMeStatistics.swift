import EmuBus

/// What the log pages tell of the controller's past (NVM Express Base 1.4, 5.14.1).
struct NVMeStatistics: Codable, Equatable {
    /// Commands and bytes in one direction.
    struct Traffic: Codable, Equatable {
        var commands: UInt64 = 0
        var bytes: UInt64 = 0

        mutating func count(_ length: UInt64) {
            commands &+= 1
            bytes &+= length
        }

        /// In thousands of 512 bytes, begun ones counted.
        var units: UInt64 { bytes / 512_000 + (bytes % 512_000 == 0 ? 0 : 1) }
    }

    private struct Failure: Codable, Equatable {
        var number: UInt64
        var request: NVMeRequest
        var status: UInt16
    }

    static let errorLogEntries = 4

    var read = Traffic()
    var written = Traffic()
    private var failures: [Failure] = []
    private var failureCount: UInt64 = 0

    mutating func note(_ request: NVMeRequest, _ status: NVMeStatus) {
        failureCount &+= 1
        failures.insert(Failure(number: failureCount, request: request, status: status.value), at: 0)
        failures = Array(failures.prefix(Self.errorLogEntries))
    }

    /// Error information, the newest first (5.14.1.1).
    var errorLog: [UInt8] {
        let entrySize = 64
        var data = LittleEndianBytes(size: Self.errorLogEntries * entrySize)
        for (index, failure) in failures.prefix(Self.errorLogEntries).enumerated() {
            let base = index * entrySize
            data.set(base, failure.number)
            data.set(base + 8, UInt16(truncatingIfNeeded: failure.request.queue))
            data.set(base + 10, failure.request.id)
            data.set(base + 12, (failure.status | NVMeStatus.doNotRetry) << 1)
            data.set(base + 14, UInt16.max)  // no part of the command is named
        }
        return data.bytes
    }

    /// Health information (5.14.1.2).
    func healthLog(isTooWarm: Bool, powerOnHours: UInt64) -> [UInt8] {
        var data = LittleEndianBytes(size: 512)
        data.set(0, UInt8(isTooWarm ? 1 << 1 : 0))
        data.set(1, UInt16(NVMeFeatures.temperature))
        data.set(3, UInt8(100))  // spare, per cent
        data.set(4, UInt8(10))  // spare below which it would warn
        data.set(32, read.units)
        data.set(48, written.units)
        data.set(64, read.commands)
        data.set(80, written.commands)
        data.set(112, UInt64(1))  // power cycles
        data.set(128, powerOnHours)
        data.set(176, failureCount)
        return data.bytes
    }
}
