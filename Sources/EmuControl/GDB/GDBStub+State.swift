/// Packets about registers, memory and breakpoints.
extension GDBStub {
    // MARK: Registers

    static let registerAccess: [Packet] = [
        Packet(name: "g", isWhole: true, attaches: true) { stub, _ in
            .text(stub.generalRegisters.map { text(of: $0, stub.session.hart) }.joined())
        },
        Packet(name: "G", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let bytes = GDBPacket.bytes(hex: arguments.rest), bytes.count == 8 * stub.target.generalCount else { throw .malformed }
            for (index, register) in stub.generalRegisters.enumerated() where !register.register.isReadOnly {
                stub.session.hart.set(register.register, to: number(bytes[8 * index..<8 * index + 8]))
            }
            return .ok
        },
        Packet(name: "p", attaches: true) { stub, arguments throws(GDBRefusal) in
            let register = try stub.register(&arguments)
            guard arguments.isEmpty else { throw .malformed }
            return .text(text(of: register, stub.session.hart))
        },
        Packet(name: "P", attaches: true) { stub, arguments throws(GDBRefusal) in
            let register = try stub.register(&arguments)
            guard arguments.skip("="), let bytes = GDBPacket.bytes(hex: arguments.rest), bytes.count == register.bits / 8 else { throw .malformed }
            guard !register.register.isReadOnly else { throw .noSuchThing }
            if register.register.group == .vector {
                stub.session.hart.set(register.register, toBytes: bytes)
                return .ok
            }
            stub.session.hart.set(register.register, to: register.filled(number(bytes[...])))
            return .ok
        },
    ]

    private var generalRegisters: [GDBRegister] { (0..<target.generalCount).compactMap { registers[$0] } }

    private func register(_ arguments: inout GDBArguments) throws(GDBRefusal) -> GDBRegister {
        guard let number = arguments.number() else { throw .malformed }
        guard let found = registers[Int(clamping: number)] else { throw .noSuchThing }
        return found
    }

    /// A register's bytes in hexadecimal, in the guest's order.
    static func text(of register: GDBRegister, _ hart: any DebugHart) -> String {
        if register.register.group == .vector { return String(decoding: GDBPacket.hex(hart.vectorBytes(of: register.register)), as: UTF8.self) }
        let value = hart.value(of: register.register)
        return String(decoding: GDBPacket.hex((0..<register.bits / 8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }), as: UTF8.self)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

    // MARK: Memory

    static let memoryAccess: [Packet] = [
        Packet(name: "m", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let (address, count) = arguments.pair(), arguments.isEmpty else { throw .malformed }
            return .bytes(GDBPacket.hex(try stub.read(address, Int(clamping: min(count, UInt64(GDBPacket.size / 2))))))
        },
        Packet(name: "M", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let (address, count) = arguments.pair(), arguments.skip(":"), let bytes = GDBPacket.bytes(hex: arguments.rest) else { throw .malformed }
            return try stub.write(address, bytes, count)
        },
        Packet(name: "X", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let (address, count) = arguments.pair(), arguments.skip(":") else { throw .malformed }
            return try stub.write(address, Array(arguments.rest), count)
        },
    ]

    private var addressKind: DebugSession.AddressKind { usesPhysicalMemory ? .physical : .virtual }

    /// What can be read of `count` bytes, at least one of them. Nothing is no mistake when nothing was asked for.
    private func read(_ address: UInt64, _ count: Int) throws(GDBRefusal) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let here = address &+ UInt64(bytes.count)
            // By pages: what follows may not be mapped.
            let part = min(count - bytes.count, 4096 - Int(here & 0xfff))
            guard let read = try? session.readMemory(here, part, addressKind, touchingDevices: debugger.touchesDevices) else {
                if bytes.isEmpty { throw .noMemory }
                return bytes
            }
            bytes += read
        }
        return bytes
    }

    private func write(_ address: UInt64, _ bytes: [UInt8], _ count: UInt64) throws(GDBRefusal) -> Reply {
        guard UInt64(bytes.count) == count else { throw .malformed }
        do throws(DebugError) {
            try session.writeMemory(address, bytes, addressKind, touchingDevices: debugger.touchesDevices)
        } catch {
            throw .noMemory
        }
        return .ok
    }

    // MARK: Breakpoints

    static let breakpointing: [Packet] = [
        Packet(name: "Z", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let place = GDBBreakpoint(&arguments) else { return .unknown }
            // Conditions and commands are not offered, so nobody may count on them.
            guard arguments.isEmpty else { throw .malformed }
            if stub.breakpoints[place] != nil { return .ok }
            guard stub.breakpoints.count < GDBBreakpoint.limit else { throw .tooMany }
            do throws(DebugError) {
                stub.breakpoints[place] = try stub.session.addBreakpoint(place.meaning, location: "GDB " + hexText(place.address))
            } catch {
                throw .malformed
            }
            return .ok
        },
        Packet(name: "z", attaches: true) { stub, arguments throws(GDBRefusal) in
            guard let place = GDBBreakpoint(&arguments) else { return .unknown }
            if let id = stub.breakpoints.removeValue(forKey: place) { stub.session.removeBreakpoint(id) }
            return .ok
        },
    ]
}

/// A breakpoint or watchpoint as `Z` packets name it.
struct GDBBreakpoint: Hashable {
    enum Kind: UInt8 { case software, hardware, write, read, access }

    /// More than anybody sets by hand; a client cannot make the emulator remember without end.
    static let limit = 10_000

    let kind: Kind
    let address: UInt64
    /// For watchpoints the number of bytes.
    let length: UInt64

    /// Nil for a kind that does not exist and for what is no place at all.
    init?(_ arguments: inout GDBArguments) {
        guard let number = arguments.number(), let kind = UInt8(exactly: number).flatMap(Kind.init), arguments.skip(","), let (address, length) = arguments.pair()
        else { return nil }
        self.kind = kind
        self.address = address
        self.length = length
    }

    /// What the session is asked for. Both kinds for code are the same here: neither is written into guest memory.
    var meaning: Breakpoint.Kind {
        switch kind {
        case .software, .hardware: .code(address: address, isPhysical: false)
        case .write: .data(address: address, length: length, isPhysical: false, .write)
        case .read: .data(address: address, length: length, isPhysical: false, .read)
        case .access: .data(address: address, length: length, isPhysical: false, .access)
        }
    }
}

extension GDBRegister {
    /// As the hart keeps a value of this width: narrower floating-point values have all bits above set.
    func filled(_ value: UInt64) -> UInt64 { bits < 64 && register.group == .float ? value | ~0 << UInt64(bits) : value }
}
