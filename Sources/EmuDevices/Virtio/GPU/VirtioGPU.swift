import EmuBus
import Foundation

/// The GPU in its 2D mode (virtio 1.2, 5.7): one screen, whose picture the driver transfers from its memory and the user takes as a file.
///
/// Resources are in `GPUResource`, what requests and responses look like in `GPUCommand`.
public final class VirtioGPU: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        /// In the order of their ids.
        var resources: [GPUResource.State] = []
        var scanout: Scanout?
        var cursor = Cursor()
        /// Set while the driver has not taken note of a change of the display.
        var events: UInt32 = 0
    }

    /// The part of a resource on the screen.
    struct Scanout: Codable, Equatable, Sendable {
        var resource: UInt32
        var area: GPURectangle
    }

    /// The pointer of a guest that leaves drawing it to the device; resource 0 for none.
    struct Cursor: Codable, Equatable, Sendable {
        var resource: UInt32 = 0
        var x: UInt32 = 0, y: UInt32 = 0
        var hotX: UInt32 = 0, hotY: UInt32 = 0
    }

    enum Feature {
        static let edid: UInt64 = 1 << 1
    }

    private enum Queue {
        static let control = 0, cursor = 1
    }

    private enum ConfigOffset {
        static let eventsClear = 4
    }

    /// Most memory of the host that resources may take, bytes, and how many there may be.
    static let memoryLimit = 256 << 20
    static let resourceLimit = 4096
    /// Pixels of the cursor along each edge.
    private static let cursorSize: UInt32 = 64
    /// Largest screen an EDID can describe, pixels along an edge.
    public static let sizeRange = 64...4095

    public let stateName: String
    public let deviceID = VirtioDeviceID.gpu
    public let deviceFeatures: UInt64
    public let queueSizes: [UInt16] = [64, 16]
    public let hasLegacyInterface = false
    public weak var core: VirtioCore?
    private var resources: [UInt32: GPUResource] = [:]
    private var scanout: Scanout?
    private var cursor = Cursor()
    private var events: UInt32 = 0
    private let width: UInt32
    private let height: UInt32

    /// - Parameters:
    ///   - name: unique on the board ("virtio-gpu0").
    ///   - width: preferred size of the screen, pixels in `sizeRange`; the driver may choose another.
    ///   - hasEDID: tell the driver what the screen is by an EDID, too.
    public init(name: String, width: Int = 1280, height: Int = 800, hasEDID: Bool = true) {
        precondition(Self.sizeRange.contains(width) && Self.sizeRange.contains(height))
        stateName = name
        self.width = UInt32(width)
        self.height = UInt32(height)
        deviceFeatures = hasEDID ? Feature.edid : 0
    }

    public var state: State {
        get { State(resources: resources.values.map(\.state).sorted { $0.id < $1.id }, scanout: scanout, cursor: cursor, events: events) }
        set {
            resources = Dictionary(newValue.resources.compactMap { saved in GPUResource(saved).map { (saved.id, $0) } }) { first, _ in first }
            scanout = newValue.scanout.flatMap { saved in resources[saved.resource].map { $0.contains(saved.area) } ?? false ? saved : nil }
            cursor = newValue.cursor
            events = newValue.events
        }
    }

    /// What is on the screen now; nil while it is off.
    public var picture: Picture? {
        guard let scanout, let resource = resources[scanout.resource] else { return nil }
        return resource.picture(of: scanout.area)
    }

    // MARK: VirtioDevice

    public var configSpace: [UInt8] {
        var space = ConfigWriter()
        for word in [events, 0, 1, 0] { space.put(word) }
        return space.bytes
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard offset == ConfigOffset.eventsClear, bytes.count == 4 else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        events &= ~bytes.enumerated().reduce(0) { $0 | UInt32($1.element) << UInt32(8 * $1.offset) }
    }

    public func process(queue index: Int) {
        core?.serve(index) { chain in
            guard let command = GPUCommand(chain.readable) else {
                core?.fail("GPU command of \(chain.readable.count) bytes")
                return nil
            }
            let response = index == Queue.cursor ? moveCursor(command) : perform(command)
            // Cursor commands mostly leave no room, as they need no answer.
            return UInt32(chain.writable.copyIn(command.encode(response)))
        }
    }

    public func reset() {
        resources = [:]
        scanout = nil
        cursor = Cursor()
        events = 0
    }

    // MARK: Commands

    private func perform(_ command: GPUCommand) -> GPUCommand.Response {
        switch command.kind {
        case .getDisplayInfo: return .displayInfo(width: width, height: height)
        case .getEDID where core?.hasFeature(Feature.edid) ?? false:
            guard let number = command.word(0) else { return .error(.invalidParameter) }
            return number == 0 ? .edid(EDID.block(width: Int(width), height: Int(height))) : .error(.invalidScanout)
        case .createResource: return createResource(command)
        case .unrefResource:
            return withResource(command, at: 0) { id, _ in
                resources[id] = nil
                if scanout?.resource == id { scanout = nil }
                return .done
            }
        case .setScanout: return setScanout(command)
        case .flushResource:
            // The screen shows what resources hold; there is nothing to bring anywhere.
            return withResource(command, at: 4) { _, resource in
                guard let area = command.rectangle(0), resource.contains(area) else { return .error(.invalidParameter) }
                return .done
            }
        case .transferToHost: return transfer(command)
        case .attachBacking: return attachBacking(command)
        case .detachBacking:
            return withResource(command, at: 0) { _, resource in
                guard resource.backing != nil else { return .error(.unspecified) }
                resource.backing = nil
                return .done
            }
        default:
            Log.write(.guestErrors, "\(stateName): command \(hex(UInt64(command.type))) is none of the 2D mode")
            return .error(.unspecified)
        }
    }

    private func withResource(_ command: GPUCommand, at word: Int, _ body: (UInt32, GPUResource) -> GPUCommand.Response) -> GPUCommand.Response {
        guard let id = command.word(word), let resource = resources[id] else { return .error(.invalidResource) }
        return body(id, resource)
    }

    private func createResource(_ command: GPUCommand) -> GPUCommand.Response {
        guard let id = command.word(0), let format = command.word(1).flatMap(PixelFormat.init), let width = command.word(2),
              let height = command.word(3), width > 0, height > 0 else { return .error(.invalidParameter) }
        guard id != 0, resources[id] == nil else { return .error(.invalidResource) }
        let used = resources.values.reduce(0) { $0 + $1.pixels.count }
        guard resources.count < Self.resourceLimit, UInt64(width) * UInt64(height) <= UInt64((Self.memoryLimit - used) / PixelFormat.bytes) else {
            return .error(.outOfMemory)
        }
        resources[id] = GPUResource(id, format, width: width, height: height)
        core?.spend(Int(width) * Int(height) * PixelFormat.bytes)
        return .done
    }

    private func setScanout(_ command: GPUCommand) -> GPUCommand.Response {
        guard let area = command.rectangle(0), let number = command.word(4), let id = command.word(5) else { return .error(.invalidParameter) }
        guard number == 0 else { return .error(.invalidScanout) }
        if id == 0 {
            scanout = nil
            return .done
        }
        guard let resource = resources[id] else { return .error(.invalidResource) }
        guard resource.contains(area), area.width > 0, area.height > 0 else { return .error(.invalidParameter) }
        scanout = Scanout(resource: id, area: area)
        return .done
    }

    private func transfer(_ command: GPUCommand) -> GPUCommand.Response {
        withResource(command, at: 6) { _, resource in
            guard let area = command.rectangle(0), let low = command.word(4), let high = command.word(5), resource.contains(area) else {
                return .error(.invalidParameter)
            }
            guard let core, let backing = resource.backing else { return .error(.unspecified) }
            core.spend(Int(area.width) * Int(area.height) * PixelFormat.bytes + Int(area.height) * 64)
            return resource.fill(area, from: backing, at: UInt64(low) | UInt64(high) << 32, core.memory) ? .done : .error(.invalidParameter)
        }
    }

    private func attachBacking(_ command: GPUCommand) -> GPUCommand.Response {
        withResource(command, at: 0) { _, resource in
            guard resource.backing == nil else { return .error(.unspecified) }
            guard let core, let count = command.word(1), let ranges = command.memoryRanges(count), let backing = GPUBacking(ranges, core.memory) else {
                return .error(.invalidParameter)
            }
            resource.backing = backing
            return .done
        }
    }

    private func moveCursor(_ command: GPUCommand) -> GPUCommand.Response {
        guard let number = command.word(0), let x = command.word(1), let y = command.word(2), let id = command.word(4),
              let hotX = command.word(5), let hotY = command.word(6) else { return .error(.invalidParameter) }
        guard number == 0 else { return .error(.invalidScanout) }
        switch command.kind {
        case .moveCursor: break
        case .updateCursor:
            if id != 0 {
                guard let resource = resources[id] else { return .error(.invalidResource) }
                guard resource.width == Self.cursorSize, resource.height == Self.cursorSize else { return .error(.invalidParameter) }
            }
            cursor.resource = id
            cursor.hotX = hotX
            cursor.hotY = hotY
        default: return .error(.unspecified)
        }
        cursor.x = x
        cursor.y = y
        return .done
    }
}
