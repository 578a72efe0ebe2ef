import EmuBus
import Glibc

/// A logical unit: a disk (SBC-4) or a CD-ROM drive with a disc (MMC-6) over the block layer, with what all units do (SPC-5).
///
/// Knows no transport: whoever has one hands in `SCSITask`s.
public final class SCSIUnit {
    public enum Kind: Sendable {
        case disk, cdrom

        /// Bytes of a block.
        var blockSize: UInt64 { self == .disk ? 512 : 2048 }
    }

    /// What INQUIRY says; texts are cut to their fields.
    public struct Identity: Sendable {
        public var vendor = "EMULATE"
        public var product: String?
        public var revision = "1.0"
        public var serial = ""

        public init() {}
    }

    public struct State: Codable, Equatable, Sendable {
        /// Told to the initiator instead of carrying out its next command.
        var attention: SCSISense? = .powerOn
        var isLocked = false
        /// The disc is in the drive.
        var isLoaded = true
    }

    let kind: Kind
    let disk: any BlockBackend
    let identity: Identity
    var state = State()
    /// Told of every operation the host failed, after the guest got its error.
    public var hostErrorHandler: ((HostError) -> Void)?
    /// Work of a command beyond moving its buffers, in bytes; see `VirtioCore.spend`.
    var spend: ((Int) -> Void)?

    public init(_ kind: Kind, disk: any BlockBackend, identity: Identity = Identity()) {
        self.kind = kind
        self.disk = disk
        self.identity = identity
    }

    var isReadOnly: Bool { disk.isReadOnly || kind == .cdrom }
    /// Blocks of the medium.
    var blocks: UInt64 { disk.size / kind.blockSize }
    var blockSize: UInt64 { kind.blockSize }

    /// Back to power-on; what is under way must have been completed.
    func reset() { state = State() }

    // MARK: Commands

    func perform(_ task: SCSITask) {
        do throws(SCSISense) {
            try checkReady(task.command.operation)
            try start(task)
        } catch { task.complete(.failed(error)) }
    }

    /// Commands that answer whatever has happened (SPC-5, 5.9 and 5.14): INQUIRY, REPORT LUNS, REQUEST SENSE.
    private static let alwaysAnswered: Set<UInt8> = [0x12, 0xa0, 0x03]
    /// Those that need no disc: besides these what asks for or changes the state of the drive.
    private static let needNoDisc: Set<UInt8> = [0x12, 0xa0, 0x03, 0x1a, 0x5a, 0x15, 0x55, 0x1b, 0x1e, 0x46, 0x4a, 0xbd, 0x1d, 0x16, 0x17]

    private func checkReady(_ operation: UInt8) throws(SCSISense) {
        if let attention = state.attention, !Self.alwaysAnswered.contains(operation) {
            // GET EVENT STATUS NOTIFICATION is how drives are asked without losing the news.
            guard operation == 0x4a else {
                state.attention = nil
                throw attention
            }
        }
        if !state.isLoaded, !Self.needNoDisc.contains(operation) { throw .notReady }
    }

    private func start(_ task: SCSITask) throws(SCSISense) {
        let command = task.command
        switch command.operation {
        case 0x00, 0x16, 0x17: task.complete(.good())
        case 0x03:
            // What has happened is told here as well as by CHECK CONDITION, once.
            let sense = state.attention ?? .none
            state.attention = nil
            task.answer(sense.bytes, limit: command.number(4, 1))
        case 0x12: task.answer(try inquiry(command), limit: command.number(3, 2))
        case 0x1a: task.answer(try modeSense(command, isShort: true), limit: command.number(4, 1))
        case 0x5a: task.answer(try modeSense(command, isShort: false), limit: command.number(7, 2))
        case 0x15: try modeSelect(task, headerSize: 4, length: Int(command.number(4, 1)))
        case 0x55: try modeSelect(task, headerSize: 8, length: Int(command.number(7, 2)))
        case 0x1d:
            guard command[1] & 0x04 != 0 else { throw .invalidField }
            task.complete(.good())
        case 0x1b: try startStop(command, task)
        case 0x1e:
            state.isLocked = command[4] & 1 != 0
            task.complete(.good())
        case 0x25: task.answer(bigEndian(min(max(blocks, 1) - 1, 0xffff_ffff), 4) + bigEndian(blockSize, 4), limit: 8)
        case 0x9e where command[1] & 0x1f == 0x10 && kind == .disk: task.answer(longCapacity, limit: command.number(10, 4))
        case 0x35, 0x91: submit(.flush, 0, task)
        default:
            if try startTransfer(task) { return }
            guard kind == .cdrom, try startMultimedia(task) else { throw .invalidCommand }
        }
    }

    private var longCapacity: [UInt8] {
        // Thin provisioning; unmapped blocks may read as anything.
        bigEndian(max(blocks, 1) - 1, 8) + bigEndian(blockSize, 4) + [0, 0, isReadOnly ? 0 : 0x80, 0] + [UInt8](repeating: 0, count: 16)
    }

    private func startStop(_ command: SCSICommand, _ task: SCSITask) throws(SCSISense) {
        // Power conditions, and a disk's motor, mean nothing here.
        if command[4] >> 4 == 0, command[4] & 2 != 0, kind == .cdrom {
            let isLoading = command[4] & 1 != 0
            if !isLoading, state.isLocked { throw .removalPrevented }
            if isLoading, !state.isLoaded { state.attention = .mediumChanged }
            state.isLoaded = isLoading
        }
        task.complete(.good())
    }

    // MARK: The disk

    /// Carries out one operation of the disk and with it the command, `transferred` bytes of which then were moved.
    func submit(_ operation: BlockOperation, _ transferred: Int, filling filled: GuestBuffer? = nil, _ task: SCSITask, then: (() -> Void)? = nil) {
        let isRead = if case .read = operation { true } else { false }
        switch operation {
        case .read, .write: break
        case .flush, .discard: spend?(1 << 20)
        case .writeZeroes(_, let length, _): spend?(Int(clamping: length))
        }
        disk.submit(operation) { [self] error in
            filled?.didWrite()
            if let error {
                let isFull = [ENOSPC, EDQUOT, EFBIG].contains(error.code)
                task.complete(.failed(isRead ? .readError : isFull ? .noSpace : .writeError))
                hostErrorHandler?(error)
            } else if let then {
                then()
            } else {
                task.complete(.good(transferred))
            }
        }
    }
}
