/// Loads, stores, atomics and cache blocks, on memory that lies in the order of its addresses, least significant byte first.
extension InstructionReference {
    /// Bytes from `address` on; nil outside of memory.
    private func place(_ address: UInt64, _ size: Int) -> Range<Int>? {
        let offset = address &- base
        guard offset < UInt64(memory.count), offset + UInt64(size) <= UInt64(memory.count) else { return nil }
        return Int(offset)..<Int(offset) + size
    }

    func load(_ address: UInt64, _ size: Int) -> UInt64? {
        place(address, size).map { memory[$0].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    }

    mutating func store(_ address: UInt64, _ size: Int, _ value: UInt64) -> Bool {
        guard let place = place(address, size) else { return false }
        for (byte, index) in place.enumerated() { memory[index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
        return true
    }

    /// Nil for other instructions.
    mutating func memoryAccess(_ i: Operands) -> Outcome? {
        if i.name.hasPrefix("amo") { return atomic(i) }
        let target = x[i.rs1] &+ UInt64(bitPattern: i.immediate)
        switch i.name {
        case "lb", "lh", "lw", "ld":
            return loaded(target, i.name == "lb" ? 1 : i.name == "lh" ? 2 : i.name == "lw" ? 4 : 8) { reference, value, size in
                reference.write(i.rd, Self.wrapped(Self.signed(value, 8 * size)))
            }
        case "lbu", "lhu", "lwu":
            return loaded(target, i.name == "lbu" ? 1 : i.name == "lhu" ? 2 : 4) { reference, value, _ in reference.write(i.rd, value) }
        // Neither stage translates.
        case "hlv.b", "hlv.h", "hlv.w", "hlv.d":
            return loaded(x[i.rs1], i.name == "hlv.b" ? 1 : i.name == "hlv.h" ? 2 : i.name == "hlv.w" ? 4 : 8) { reference, value, size in
                reference.write(i.rd, Self.wrapped(Self.signed(value, 8 * size)))
            }
        case "hlv.bu", "hlv.hu", "hlv.wu", "hlvx.hu", "hlvx.wu":
            return loaded(x[i.rs1], i.name.hasSuffix("bu") ? 1 : i.name.hasSuffix("hu") ? 2 : 4) { reference, value, _ in reference.write(i.rd, value) }
        case "hsv.b", "hsv.h", "hsv.w", "hsv.d":
            return stored(x[i.rs1], i.name == "hsv.b" ? 1 : i.name == "hsv.h" ? 2 : i.name == "hsv.w" ? 4 : 8, x[i.rs2])
        case "flh", "flw", "fld":
            return loaded(target, i.name == "flh" ? 2 : i.name == "flw" ? 4 : 8) { reference, value, size in
                // Narrower values are boxed: all bits above are ones.
                reference.f[i.rd] = size == 8 ? value : value | .max << UInt64(8 * size)
            }
        case "sb", "sh", "sw", "sd":
            return stored(target, i.name == "sb" ? 1 : i.name == "sh" ? 2 : i.name == "sw" ? 4 : 8, x[i.rs2])
        case "fsh", "fsw", "fsd":
            return stored(target, i.name == "fsh" ? 2 : i.name == "fsw" ? 4 : 8, f[i.rs2])
        case "lr.w", "lr.d":
            let size = i.name == "lr.w" ? 4 : 8
            return loaded(x[i.rs1], size) { [address = x[i.rs1]] reference, value, size in
                reference.reservation = (address, size)
                reference.write(i.rd, Self.wrapped(Self.signed(value, 8 * size)))
            }
        case "sc.w", "sc.d":
            let size = i.name == "sc.w" ? 4 : 8
            let address = x[i.rs1]
            // What must not be stored to is found out whether or not the store succeeds.
            guard load(address, size) != nil else { return .trap(cause: 7, value: address) }
            let holds = reservation.map { $0.address == address && $0.size == size } ?? false
            reservation = nil
            if holds { _ = store(address, size, x[i.rs2]) }
            write(i.rd, holds ? 0 : 1)
            return .retired
        case "ssamoswap.w", "ssamoswap.d":
            // M-mode has no shadow stacks: what the access reaches is none.
            return .trap(cause: 7, value: x[i.rs1])
        case "cbo.zero":
            let block = x[i.rs1] / 64 * 64
            for offset in stride(from: UInt64(0), to: 64, by: 8) where !store(block + offset, 8, 0) { return .trap(cause: 7, value: x[i.rs1]) }
            return .retired
        // Without caches nothing is out of date.
        case "cbo.clean", "cbo.flush", "cbo.inval": return .retired
        default: return nil
        }
    }

    private mutating func loaded(_ address: UInt64, _ size: Int, _ use: (inout InstructionReference, UInt64, Int) -> Void) -> Outcome {
        guard let value = load(address, size) else { return .trap(cause: 5, value: address) }
        use(&self, value, size)
        return .retired
    }

    private mutating func stored(_ address: UInt64, _ size: Int, _ value: UInt64) -> Outcome {
        store(address, size, value) ? .retired : .trap(cause: 7, value: address)
    }

    private mutating func atomic(_ i: Operands) -> Outcome? {
        let parts = i.name.dropFirst(3).split(separator: ".")
        let address = x[i.rs1]
        guard parts.count == 2, let size = ["b": 1, "h": 2, "w": 4, "d": 8, "q": 16][parts[1]] else { return nil }
        if size == 16 { return swapPair(i, address) }
        guard let old = load(address, size) else { return .trap(cause: 7, value: address) }
        let width = 8 * size
        let (a, b) = (Self.signed(old, width), Self.signed(x[i.rs2], width)), (u, v) = (Self.unsigned(old, width), Self.unsigned(x[i.rs2], width))
        let new: Int128
        switch parts[0] {
        case "swap": new = b
        case "add": new = a + b
        case "xor": new = a ^ b
        case "and": new = a & b
        case "or": new = a | b
        case "min": new = a < b ? a : b
        case "max": new = a > b ? a : b
        case "minu": new = u < v ? u : v
        case "maxu": new = u > v ? u : v
        // rd is what to compare with, too.
        case "cas": new = u == Self.unsigned(x[i.rd], width) ? v : u
        default: return nil
        }
        _ = store(address, size, UInt64(truncatingIfNeeded: new))
        write(i.rd, Self.wrapped(a))
        return .retired
    }

    /// amocas.q: pairs of registers, of which the pair of x0 is zero and is not written.
    private mutating func swapPair(_ i: Operands, _ address: UInt64) -> Outcome {
        guard let low = load(address, 8), let high = load(address + 8, 8) else { return .trap(cause: 7, value: address) }
        func pair(_ register: Int) -> (UInt64, UInt64) { register == 0 ? (0, 0) : (x[register], x[register + 1]) }
        let new = pair(i.rs2)
        if (low, high) == pair(i.rd) { _ = store(address, 8, new.0) && store(address + 8, 8, new.1) }
        if i.rd != 0 { (x[i.rd], x[i.rd + 1]) = (low, high) }
        return .retired
    }
}
