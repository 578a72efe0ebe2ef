import EmuBus

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
