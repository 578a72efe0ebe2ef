import EmuBus
import Foundation

/// Serves requests of a guest's drivers, and counts them.
public protocol RequestServer: AnyObject {
    /// Requests given back to drivers since the machine was created.
    var requestsServed: UInt64 { get }
}

/// What transports do alike: configuration space, the setting up of queues, saved state.
extension VirtioCore {
    // MARK: Configuration space

    /// `size` bytes at `offset`, little-endian; what lies behind the end reads as zero.
    func readConfig(_ offset: Int, size: Int) -> UInt64 {
        let space = device.configSpace
        return (0..<size).reduce(0) { value, index in
            let position = offset + index
            return position < space.count ? value | UInt64(space[position]) << UInt64(8 * index) : value
        }
    }

    func writeConfig(_ offset: Int, _ value: UInt64, size: Int) {
        device.writeConfig(offset: offset, bytes: (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) })
    }

    // MARK: Queues

    /// The queue the driver selected, unless it does not exist or is in use, when its settings are frozen.
    func configurableQueue(_ number: Int) -> Int? {
        guard queues.indices.contains(number) else {
            Log.write(.guestErrors, "\(device.stateName): queue \(number) does not exist")
            return nil
        }
        guard !queues[number].state.ready else {
            Log.write(.guestErrors, "\(device.stateName): queue \(number) changed while in use")
            return nil
        }
        return number
    }

    func setQueue(_ number: Int, size: UInt16) {
        if let index = configurableQueue(number) { queues[index].state.size = size }
    }

    /// Sets one half of an address of a queue.
    func setQueue(_ number: Int, _ part: WritableKeyPath<QueueState, UInt64>, low: UInt32? = nil, high: UInt32? = nil) {
        guard let index = configurableQueue(number) else { return }
        let old = queues[index].state[keyPath: part]
        if let low { queues[index].state[keyPath: part] = old & ~0xffff_ffff | UInt64(low) }
        if let high { queues[index].state[keyPath: part] = old & 0xffff_ffff | UInt64(high) << 32 }
    }

    /// Lays out the parts of a legacy queue behind each other and enables it; a table at 0 disables it (2.7.2).
    /// - Parameter alignment: of the used ring, a power of two.
    func placeLegacyQueue(_ index: Int, table: UInt64, alignment: UInt64) {
        let queue = queues[index]
        let size = queue.state.size
        if table == 0 || queue.state.ready { disableQueue(index) }
        guard table != 0 else { return }
        queue.state.size = size
        let available = table &+ 16 &* UInt64(size)
        queue.state.descriptorArea = table
        queue.state.driverArea = available
        queue.state.deviceArea = (available &+ 6 &+ 2 &* UInt64(size) &+ (alignment - 1)) & ~(alignment - 1)
        enableQueue(index)
    }

    /// The driver's reset of one queue (2.6.1).
    func resetQueue(_ index: Int) {
        guard hasFeature(VirtioFeature.ringReset) else {
            Log.write(.guestErrors, "\(device.stateName): queue reset without VIRTIO_F_RING_RESET")
            return
        }
        disableQueue(index)
    }

    // MARK: State

    /// Core and device type together.
    struct Saved: Codable {
        var core: State
        /// The device type's own state in its canonical encoding.
        var device: Data?
    }

    var saved: Saved {
        get {
            quiesce()
            // Encoding plain integers cannot fail; a device that managed to would be restored to its reset state.
            return Saved(core: state, device: try? device.encodedState())
        }
        set {
            state = newValue.core
            guard let saved = newValue.device else { return }
            do { try device.restoreState(from: saved) } catch { fail("its saved state is not readable: \(error)") }
        }
    }
}
