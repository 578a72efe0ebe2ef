import EmuBus

/// Memory as the selected hart sees it, or as it lies in the physical address space.
extension DebugSession {
    /// How an address is meant.
    public enum AddressKind: Equatable, Sendable {
        /// By the selected hart's present translation, whatever the rights.
        case virtual
        case physical
        /// By what this value of the translation register would make of it.
        case space(UInt64)
    }

    /// The physical address behind a virtual one of the selected hart.
    public func physical(_ address: UInt64) -> UInt64? { hart.physical(address) }

    private func resolve(_ address: UInt64, _ kind: AddressKind) throws(DebugError) -> UInt64 {
        switch kind {
        case .physical: return address
        case .virtual:
            if let physical = hart.physical(address) { return physical }
            let reason = hart.story(address, .read).reason
            throw DebugError("cannot access memory at \(hexText(address)): not mapped (\(reason)); 'translate \(hexText(address))' tells more")
        case .space(let space):
            if let physical = hart.physical(address, space: space) { return physical }
            throw DebugError("cannot access memory at \(hexText(address)): not mapped in the address space \(hexText(space))")
        }
    }

    /// Copies `count` bytes out. No bit in any page table changes, and no device is read unless `touchingDevices` says so.
    /// - Throws: for the first byte that cannot be read.
    public func readMemory(_ address: UInt64, _ count: Int, _ kind: AddressKind = .virtual, touchingDevices: Bool = false) throws(DebugError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let here = address &+ UInt64(bytes.count)
            let physical = try resolve(here, kind)
            let left = min(count - bytes.count, 4096 - Int(physical & 0xfff))
            if let memory = machine.bus.codeMemory(at: physical, length: UInt64(left)) {
                // SAFETY: `codeMemory` vouches for `left` bytes.
                bytes += UnsafeRawBufferPointer(start: memory.pointer(to: physical), count: left)
                continue
            }
            bytes += try readDevice(physical, min(left, count - bytes.count), here, touchingDevices)
        }
        return bytes
    }

    /// One register access where there is no memory.
    private func readDevice(_ physical: UInt64, _ count: Int, _ address: UInt64, _ isAllowed: Bool) throws(DebugError) -> [UInt8] {
        guard let region = machine.bus.region(at: physical) else {
            throw DebugError("cannot access memory at \(hexText(address)): nothing is at physical address \(hexText(physical))")
        }
        guard isAllowed else {
            throw DebugError(
                "\(hexText(address)) is a register of \(region.device.name): reading it can have effects; 'info device \(region.device.name)' shows "
                    + "its state without, and 'x/d…' after 'set devices on' reads it")
        }
        for size in [8, 4, 2, 1] where size <= count && physical % UInt64(size) == 0 && region.sizes.rawValue & UInt8(size) != 0 {
            if let value = machine.bus.readDevice(physical, size: size) {
                return (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
            }
        }
        throw DebugError("\(region.device.name) does not take an access of \(count) bytes at \(hexText(address))")
    }

    /// Copies bytes in, over page boundaries, dropping translated code they overwrite. Nothing is written when some of it cannot be.
    public func writeMemory(_ address: UInt64, _ bytes: [UInt8], _ kind: AddressKind = .virtual, touchingDevices: Bool = false) throws(DebugError) {
        var parts: [(physical: UInt64, range: Range<Int>)] = []
        var done = 0
        while done < bytes.count {
            let here = address &+ UInt64(done)
            let physical = try resolve(here, kind)
            let length = min(bytes.count - done, 4096 - Int(physical & 0xfff))
            if let memory = machine.bus.memory(at: physical, length: UInt64(length)) {
                if memory.isReadOnly { throw DebugError("\(hexText(here)) is read-only memory") }
            } else if machine.bus.region(at: physical) == nil {
                throw DebugError("cannot access memory at \(hexText(here)): nothing is at physical address \(hexText(physical))")
            } else if !touchingDevices {
                throw DebugError("\(hexText(here)) is a device register; 'set devices on' allows writing it")
            }
            parts.append((physical, done..<done + length))
            done += length
        }
        for part in parts {
            if bytes[part.range].withUnsafeBytes({ machine.bus.writeMemory(part.physical, from: $0) }) { continue }
            let value = bytes[part.range].prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard [1, 2, 4, 8].contains(part.range.count), machine.bus.writeDevice(part.physical, value, size: part.range.count) else {
                throw DebugError("the device does not take a write of \(part.range.count) bytes at \(hexText(part.physical))")
            }
        }
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes.
    public func readNumber(_ address: UInt64, _ bytes: Int, _ kind: AddressKind = .virtual, touchingDevices: Bool = false) throws(DebugError) -> UInt64 {
        try readMemory(address, bytes, kind, touchingDevices: touchingDevices).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The bytes before the first zero, at most `limit`.
    public func readString(_ address: UInt64, limit: Int = 4096, _ kind: AddressKind = .virtual) throws(DebugError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let here = address &+ UInt64(bytes.count)
            let chunk: [UInt8]
            do throws(DebugError) {
                chunk = try readMemory(here, min(limit - bytes.count, 64 - Int(here & 63)), kind)
            } catch {
                if bytes.isEmpty { throw error }
                return bytes
            }
            if let end = chunk.firstIndex(of: 0) { return bytes + chunk[..<end] }
            bytes += chunk
        }
        return bytes
    }

    // MARK: Instructions

    /// The instruction at `address`; nil where there is none to read.
    public func instruction(at address: UInt64, _ kind: AddressKind = .virtual) -> DebugInstruction? {
        let longest = hart.maximumInstructionLength
        var bytes: [UInt8] = []
        // The second half may lie in a page that is not mapped.
        for length in [longest, 2] where bytes.isEmpty { bytes = (try? readMemory(address, length, kind)) ?? [] }
        return hart.instruction(bytes, at: address) { [symbols] in symbols?.symbol(at: $0)?.text }
    }

    /// Up to `count` instructions from `address` on.
    /// - Throws: when not even the first can be read.
    public func disassemble(_ address: UInt64, count: Int, _ kind: AddressKind = .virtual) throws(DebugError) -> [DebugInstruction] {
        var list: [DebugInstruction] = []
        var next = address
        while list.count < count, let one = instruction(at: next, kind) {
            list.append(one)
            next = next &+ one.length
        }
        if list.isEmpty { _ = try readMemory(address, 2, kind) }
        return list
    }

    // MARK: Translation

    /// Why `address` can or cannot be accessed, level by level.
    public func story(_ address: UInt64, _ access: DebugAccess) -> TranslationStory { hart.story(address, access) }
}
