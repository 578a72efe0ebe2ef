import CHost
import EmuBus
import Glibc

/// Where random bytes come from.
public enum EntropySource: Codable, Equatable, Sendable {
    /// The host's random number generator.
    case host
    /// A reproducible sequence (SplitMix64) for runs that must repeat. Holds the generator's present state.
    case seeded(UInt64)

    /// Fills `buffer`; returns how many bytes could be had.
    public mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        switch self {
        case .host:
            return host_getrandom(buffer.baseAddress, buffer.count) == 0 ? buffer.count : 0
        case .seeded(var generator):
            var offset = 0
            while offset < buffer.count {
                generator &+= 0x9e37_79b9_7f4a_7c15
                var word = generator
                word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
                word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
                word = (word ^ (word >> 31)).littleEndian
                withUnsafeBytes(of: word) { bytes in
                    for byte in bytes.prefix(buffer.count - offset) {
                        buffer[offset] = byte
                        offset += 1
                    }
                }
            }
            self = .seeded(generator)
            return buffer.count
        }
    }
}

/// The virtio entropy device (virtio 1.2, 5.4).
public final class VirtioEntropy: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        var source: EntropySource
    }

    public let stateName: String
    public let deviceID = VirtioDeviceID.entropy
    public let deviceFeatures: UInt64 = 0
    public let queueSizes: [UInt16] = [64]
    public weak var core: VirtioCore?
    public var state: State
    /// Most bytes given to one request; a device may use less of a buffer than there is.
    private static let requestLimit = 64 << 10

    /// - Parameter source: `.seeded` when the machine runs on the virtual clock.
    public init(name: String, source: EntropySource) {
        stateName = name
        state = State(source: source)
    }

    public func process(queue index: Int) {
        core?.serve(index) { chain in
            let wanted = min(chain.writable.count, Self.requestLimit)
            var bytes = [UInt8](repeating: 0, count: wanted)
            let got = bytes.withUnsafeMutableBytes { state.source.fill($0) }
            return UInt32(bytes.withUnsafeBytes { chain.writable.copyIn(from: UnsafeRawBufferPointer(rebasing: $0.prefix(got))) })
        }
    }

    /// A reset does not rewind the sequence: that would hand out the same bytes twice.
    public func reset() {}
}
