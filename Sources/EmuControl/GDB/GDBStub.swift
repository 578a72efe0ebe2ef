import EmuMachine

/// Answers GDB's packets over a debugger's session. Knows no sockets: packets come as bodies and leave by `send`.
///
/// Packets are carried out between slices of the guest. What a client asks to run is kept in `resumption` until whoever
/// drives the guest calls `performResumption`.
final class GDBStub {
    let debugger: Debugger
    let target: GDBTarget
    let registers: [Int: GDBRegister]
    let harts: Range<Int>
    /// Sends the body of a packet.
    var send: ([UInt8]) -> Void = { _ in }
    /// The client wants no more acknowledgements from its next packet on.
    var onNoAcknowledgements: () -> Void = {}

    /// What the client asked the guest to do, until it has done it.
    enum Resumption: Equatable {
        /// All harts but those held run.
        case run(held: Set<Int>)
        /// `hart` executes an instruction, or those in a range; the others get as many turns unless they are held.
        case step(hart: Int, range: Range<UInt64>?, held: Set<Int>)
    }

    /// How the client ended its session.
    enum Ending: Equatable {
        /// The guest runs on without a debugger.
        case detached
        /// The machine is to end, with this exit code.
        case killed(Int32)
    }

    /// The client has asked for the guest's state: the guest stands still but for what the client lets it do.
    private(set) var isAttached = false
    var resumption: Resumption?
    var ending: Ending?
    /// A packet is being carried out, which may run the guest.
    private(set) var isBusy = false
    /// Packets about registers and memory are about this hart (`Hg`), `c` and `s` about the other (`Hc`).
    var generalHart = 0
    var resumedHart: Int?
    /// Memory packets mean physical addresses (QEMU's `PhyMemMode`).
    var usesPhysicalMemory = false
    var reportsSoftwareBreaks = false
    var reportsHardwareBreaks = false
    var breakpoints: [GDBBreakpoint: Int] = [:]

    var session: DebugSession { debugger.session }

    /// - Throws: when GDB cannot be told about this kind of hart.
    init(_ debugger: Debugger) throws(DebugError) {
        guard let hart = debugger.session.harts.first as? any GDBHart else { throw DebugError("GDB cannot be told about this kind of processor") }
        self.debugger = debugger
        target = hart.gdbTarget
        registers = Dictionary(uniqueKeysWithValues: target.features.flatMap(\.registers).map { ($0.number, $0) })
        harts = 0..<debugger.session.hartCount
    }

    // MARK: Packets

    /// One kind of packet.
    struct Packet: Sendable {
        /// What the body begins with.
        let name: String
        /// Nothing may follow the name.
        var isWhole = false
        /// Asks for the state of the guest, or changes it: from then on the guest stands still.
        var attaches = false
        let action: @Sendable (GDBStub, inout GDBArguments) throws(GDBRefusal) -> Reply
    }

    enum Reply {
        case text(String)
        case bytes([UInt8])
        case ok
        /// The answer comes later, or never.
        case none
        /// What a client gets for a packet the stub does not know.
        case unknown
    }

    /// The first row that fits counts.
    private static let packets: [Packet] = stopping + registerAccess + memoryAccess + breakpointing + queries

    /// Carries out one packet and sends the answer.
    func receive(_ body: [UInt8]) {
        isBusy = true
        defer { isBusy = false }
        guard let packet = Self.packets.first(where: { body.starts(with: $0.name.utf8) && (!$0.isWhole || body.count == $0.name.utf8.count) }) else {
            return send([])
        }
        if packet.attaches { isAttached = true }
        var arguments = GDBArguments(body.dropFirst(packet.name.utf8.count))
        try? session.select(hart: generalHart)
        do throws(GDBRefusal) {
            switch try packet.action(self, &arguments) {
            case .text(let text): send(Array(text.utf8))
            case .bytes(let bytes): send(bytes)
            case .ok: send(Array("OK".utf8))
            case .unknown: send([])
            case .none: break
            }
        } catch {
            send(Array(error.text.utf8))
        }
    }

    /// Forgets the client: what it watched is not watched any more, and the guest may run.
    func leave() {
        for id in breakpoints.values { session.removeBreakpoint(id) }
        breakpoints = [:]
        isAttached = false
        resumption = nil
        ending = nil
        generalHart = 0
        resumedHart = nil
        usesPhysicalMemory = false
        reportsSoftwareBreaks = false
        reportsHardwareBreaks = false
    }

    // MARK: Kinds of packets

    private static let stopping: [Packet] = [
        Packet(name: "?", isWhole: true, attaches: true) { stub, _ in
            // Not how the guest came to stop, which was none of this client's doing.
            .text(stub.stopReply(Stop(reason: .start, hart: stub.generalHart, pc: stub.session.pc)))
        },
        Packet(name: "vCont?", isWhole: true) { _, _ in .text("vCont;c;C;s;S;t;r") },
        Packet(name: "vCont;", attaches: true) { stub, arguments throws(GDBRefusal) in try stub.resume(actions: &arguments) },
        Packet(name: "c", attaches: true) { stub, arguments throws(GDBRefusal) in try stub.resume(isStep: false, at: &arguments) },
        Packet(name: "s", attaches: true) { stub, arguments throws(GDBRefusal) in try stub.resume(isStep: true, at: &arguments) },
        Packet(name: "C", attaches: true) { stub, arguments throws(GDBRefusal) in
            try stub.skipSignal(&arguments)
            return try stub.resume(isStep: false, at: &arguments)
        },
        Packet(name: "S", attaches: true) { stub, arguments throws(GDBRefusal) in
            try stub.skipSignal(&arguments)
            return try stub.resume(isStep: true, at: &arguments)
        },
        Packet(name: "vKill") { stub, _ in
            stub.ending = .killed(0)
            return .ok
        },
        Packet(name: "k", isWhole: true) { stub, _ in
            stub.ending = .killed(0)
            return .none
        },
        Packet(name: "D") { stub, _ in
            stub.ending = .detached
            return .ok
        },
        Packet(name: "!", isWhole: true) { _, _ in .ok },
        Packet(name: "R", attaches: true) { stub, _ in
            try? stub.session.reset()
            return .none
        },
    ]
}

/// Why a packet is refused, as the number of a host error.
enum GDBRefusal: Error {
    /// The packet makes no sense.
    case malformed
    /// Nothing can be read or written there.
    case noMemory
    /// There is no such hart or register, or it cannot be written.
    case noSuchThing
    /// There are too many of them.
    case tooMany

    var text: String {
        switch self {
        case .noSuchThing: "E03"
        case .noMemory: "E0e"
        case .malformed: "E16"
        case .tooMany: "E1c"
        }
    }
}
