import EmuBus

/// The virtio 9P transport (device id 9): a folder of the host, served to the guest under a mount tag.
///
/// The specification reserves the id; the configuration space (a length and the tag) and the single queue are as Linux's
/// `9pnet_virtio` has them.
public final class VirtioNineP: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        struct File: Codable, Equatable, Sendable {
            var fid: UInt32
            /// From the shared folder.
            var path: [String]
            /// What it was opened with; nil while it is not.
            var flags: Int32?
        }

        var messageSize: UInt32
        var files: [File]
    }

    public static let greatestTagLength = 31
    /// VIRTIO_9P_MOUNT_TAG
    private static let mountTagFeature: UInt64 = 1

    public let stateName: String
    public let deviceID = VirtioDeviceID.nineP
    public let deviceFeatures = mountTagFeature
    public let queueSizes: [UInt16] = [128]
    public weak var core: VirtioCore?
    private let server: NinePServer
    private let tag: String

    /// - Parameter tag: what the guest mounts, 1 to `greatestTagLength` bytes.
    public init(name: String, folder: SharedFolder, tag: String) {
        precondition(1...Self.greatestTagLength ~= tag.utf8.count)
        stateName = name
        self.tag = tag
        server = NinePServer(folder)
    }

    public var state: State {
        get {
            let files = server.fids.sorted { $0.key < $1.key }.map { State.File(fid: $0.key, path: $0.value.node.path, flags: $0.value.open?.flags) }
            return State(messageSize: server.messageSize, files: files)
        }
        set {
            server.reset()
            server.messageSize = min(max(newValue.messageSize, NinePServer.smallestMessage), NinePServer.greatestMessage)
            for file in newValue.files where !server.restore(file.fid, path: file.path, flags: file.flags) {
                Log.write(.guestErrors, "\(stateName): \(file.path.joined(separator: "/")) is not there any more")
            }
        }
    }

    public var configSpace: [UInt8] {
        var writer = ConfigWriter()
        writer.put(UInt16(tag.utf8.count))
        for byte in tag.utf8 { writer.put(byte) }
        return writer.bytes
    }

    public func process(queue index: Int) {
        core?.serve(index) { chain in
            let size = Int(chain.readable.load(at: 0, as: UInt32.self) ?? 0)
            guard size >= NinePServer.headerSize, size <= chain.readable.count, size <= Int(NinePServer.greatestMessage),
                chain.writable.count >= NinePServer.headerSize + 4 else {
                core?.fail("9P message of \(size) bytes in a buffer of \(chain.readable.count), with \(chain.writable.count) for the reply")
                return 0
            }
            core?.spend(NinePServer.cost(ofType: chain.readable.load(at: 4, as: UInt8.self) ?? 0))
            let reply = server.answer(chain.readable.bytes(size), room: chain.writable.count)
            return UInt32(chain.writable.copyIn(reply))
        }
    }

    public func reset() { server.reset() }
}
