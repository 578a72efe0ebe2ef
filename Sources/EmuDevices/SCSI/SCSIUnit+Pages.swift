import EmuBus

/// What a unit says of itself and lets itself be told (SPC-5, 6.6, 7.5 and 7.7; SBC-4, 6.5 and 6.6; MMC-6, 7).
extension SCSIUnit {
    private var deviceType: UInt8 { kind == .disk ? 0 : 5 }
    private var product: String { identity.product ?? (kind == .disk ? "HARDDISK" : "CD-ROM") }

    private static func text(_ text: String, _ count: Int) -> [UInt8] {
        // Printable ASCII is all that is allowed.
        text.utf8.map { (0x20..<0x7f).contains($0) ? $0 : 0x3f }.fitted(to: count, filler: 0x20)
    }

    // MARK: INQUIRY

    func inquiry(_ command: SCSICommand) throws(SCSISense) -> [UInt8] {
        guard command[1] & 1 != 0 else {
            guard command[2] == 0 else { throw .invalidField }
            // SPC-3, responses in its format; 36 bytes in all; commands may be queued.
            return [deviceType, kind == .cdrom ? 0x80 : 0, 5, 2, 31, 0, 0, 2] + Self.text(identity.vendor, 8) + Self.text(product, 16)
                + Self.text(identity.revision, 4)
        }
        let page = try vitalPage(command[2])
        return [deviceType, command[2]] + bigEndian(UInt64(page.count), 2) + page
    }

    private func vitalPage(_ number: UInt8) throws(SCSISense) -> [UInt8] {
        let serial = Array(Self.text(identity.serial, min(identity.serial.utf8.count, 36)))
        switch number {
        case 0x00: return [0x00] + (serial.isEmpty ? [] : [0x80]) + [0x83] + (kind == .disk ? [0xb0, 0xb1, 0xb2] : [])
        case 0x80 where !serial.isEmpty: return serial
        case 0x83:
            // T10 vendor id and what the vendor says, in ASCII.
            let name = Self.text(identity.vendor, 8) + (serial.isEmpty ? Array(product.utf8.prefix(16)) : serial)
            return [0x02, 0x01, 0, UInt8(name.count)] + name
        case 0xb0 where kind == .disk:
            var page = [UInt8](repeating: 0, count: 60)
            page.replaceSubrange(4..<8, with: bigEndian(greatestTransfer, 4))
            page.replaceSubrange(16..<20, with: bigEndian(Self.unmapBlockLimit, 4))
            page.replaceSubrange(20..<24, with: bigEndian(UInt64(Self.unmapRangeLimit), 4))
            page.replaceSubrange(32..<40, with: bigEndian(Self.writeSameLimit, 8))
            return page
        case 0xb1 where kind == .disk:
            // No rotation.
            return [0, 1] + [UInt8](repeating: 0, count: 58)
        case 0xb2 where kind == .disk:
            // UNMAP and both forms of WRITE SAME unmap; thin provisioning.
            return isReadOnly ? [0, 0, 0, 0] : [0, 0xe0, 2, 0]
        default: throw .invalidField
        }
    }

    // MARK: Mode pages

    /// The pages by number, with code and length.
    private var modePages: [(number: UInt8, bytes: [UInt8])] {
        let recovery: (UInt8, [UInt8]) = (0x01, [0x01, 10, kind == .disk ? 0x80 : 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        // The write cache is on: SYNCHRONIZE CACHE and FUA are obeyed.
        let cache: (UInt8, [UInt8]) = (0x08, [0x08, 18, isReadOnly ? 0 : 0x04] + [UInt8](repeating: 0, count: 17))
        let control: (UInt8, [UInt8]) = (0x0a, [0x0a, 10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0])
        guard kind == .cdrom else { return [recovery, cache, control] }
        // Reads every CD and DVD-ROM; a tray that can be locked and opened; locked or not.
        let capabilities: [UInt8] = [0x2a, 18, 0x3b, 0, 0x71, 0x60, 0x29 | (state.isLocked ? 2 : 0), 0] + bigEndian(7056, 2) + bigEndian(2, 2)
            + bigEndian(512, 2) + bigEndian(7056, 2) + [0, 0, 0, 0]
        return [recovery, (0x2a, capabilities)]
    }

    func modeSense(_ command: SCSICommand, isShort: Bool) throws(SCSISense) -> [UInt8] {
        let number = command[2] & 0x3f, control = command[2] >> 6
        if control == 3 { throw .savingNotSupported }
        // Subpages there are none; all of them is what there is.
        guard command[3] == 0 || command[3] == 0xff else { throw .invalidField }
        var pages = modePages.filter { number == 0x3f || $0.number == number }.map(\.bytes)
        guard !pages.isEmpty else { throw .invalidField }
        // Nothing can be changed.
        if control == 1 { pages = pages.map { $0.prefix(2) + [UInt8](repeating: 0, count: $0.count - 2) } }
        let hasDescriptor = kind == .disk && command[1] & 0x08 == 0
        let descriptor = hasDescriptor ? bigEndian(min(blocks, 0xff_ffff), 4) + bigEndian(blockSize, 4) : []
        let content = descriptor + pages.flatMap { $0 }
        // Read-only; FUA is obeyed.
        let flags: UInt8 = kind == .disk ? (isReadOnly ? 0x80 : 0x10) : 0
        return isShort
            ? [UInt8(clamping: content.count + 3), 0, flags, UInt8(descriptor.count)] + content
            : bigEndian(UInt64(content.count + 6), 2) + [0, flags, 0, 0] + bigEndian(UInt64(descriptor.count), 2) + content
    }

    /// Takes pages that say what already is; nothing can be changed.
    func modeSelect(_ task: SCSITask, headerSize: Int, length: Int) throws(SCSISense) {
        guard task.command[1] & 0x11 == 0x10 else { throw .invalidField }
        guard length > 0 else { return task.complete(.good()) }
        guard length <= task.dataOut.count else { return task.complete(.overrun) }
        let list = SCSICommand(bytes: task.dataOut.bytes(length))
        guard length >= headerSize else { throw .parameterListLength }
        let descriptors = headerSize == 4 ? Int(list[3]) : Int(list.number(6, 2))
        var offset = headerSize + descriptors
        guard offset <= length else { throw .parameterListLength }
        while offset < length {
            guard offset + 2 <= length, offset + 2 + Int(list[offset + 1]) <= length else { throw .parameterListLength }
            let page = Array(list.bytes[offset..<offset + 2 + Int(list[offset + 1])])
            guard let known = modePages.first(where: { $0.number == page[0] & 0x3f }), known.bytes.dropFirst().elementsEqual(page.dropFirst()) else {
                throw .invalidParameter
            }
            offset += page.count
        }
        task.complete(.good(length))
    }
}
