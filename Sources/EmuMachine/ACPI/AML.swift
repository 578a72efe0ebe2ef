import EmuBus

/// Writes ACPI Machine Language, as far as boards need it to name their devices (ACPI Specification 6.6, chapter 20).
///
/// Each function returns the encoding of one term.
enum AML {
    // MARK: Values

    /// The shortest encoding of a number.
    static func integer(_ value: UInt64) -> [UInt8] {
        switch value {
        case 0, 1: [UInt8(value)]
        case ...0xff: [0x0a] + little(UInt8(value))
        case ...0xffff: [0x0b] + little(UInt16(value))
        case ...0xffff_ffff: [0x0c] + little(UInt32(value))
        default: [0x0e] + little(value)
        }
    }

    static func string(_ text: String) -> [UInt8] { [0x0d] + Array(text.utf8) + [0] }

    /// - Parameter elements: at most 255.
    static func package(_ elements: [[UInt8]]) -> [UInt8] { [0x12] + counted([UInt8(elements.count)] + elements.joined()) }

    static func buffer(_ contents: [UInt8]) -> [UInt8] { [0x11] + counted(integer(UInt64(contents.count)) + contents) }

    /// A universally unique identifier, "daffd814-6eba-4d8c-8a91-bc9bbf4aa301", as the buffer `ToUUID` makes.
    static func uuid(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8.filter { $0 != UInt8(ascii: "-") })
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0 }
        return buffer(bytes[0..<4].reversed() + bytes[4..<6].reversed() + bytes[6..<8].reversed() + bytes[8...])
    }

    // MARK: Names

    /// - Parameter name: at most four characters.
    static func named(_ name: String, _ value: [UInt8]) -> [UInt8] { [0x08] + segment(name) + value }

    static func named(_ name: String, _ value: UInt64) -> [UInt8] { named(name, integer(value)) }

    static func named(_ name: String, _ value: String) -> [UInt8] { named(name, string(value)) }

    /// What is below the system bus, `\_SB`.
    static func systemBus(_ terms: [[UInt8]]) -> [UInt8] { [0x10] + counted([UInt8(ascii: "\\")] + segment("_SB") + terms.joined()) }

    static func device(_ name: String, _ terms: [[UInt8]]) -> [UInt8] { [0x5b, 0x82] + counted(segment(name) + terms.joined()) }

    /// A method that does nothing, or returns a value.
    static func method(_ name: String, arguments: Int = 0, returning value: [UInt8]? = nil) -> [UInt8] {
        [0x14] + counted(segment(name) + [UInt8(arguments)] + (value.map { [0xa4] + $0 } ?? []))
    }

    /// A reference to another object by its name.
    static func name(_ name: String) -> [UInt8] { segment(name) }

    /// Properties of a device (`_DSD`) in the form of the device-properties UUID.
    static func properties(_ values: [(String, UInt64)]) -> [UInt8] {
        named("_DSD", package([
            uuid("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"), package(values.map { package([string($0.0), integer($0.1)]) }),
        ]))
    }

    // MARK: Statements

    /// What a method returns.
    private static func result(_ value: [UInt8]) -> [UInt8] { [0xa4] + value }

    private static func argument(_ number: UInt8) -> [UInt8] { [0x68 + number] }

    private static func equal(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { [0x93] + left + right }

    private static func not(_ condition: [UInt8]) -> [UInt8] { [0x92] + condition }

    private static func when(_ condition: [UInt8], _ body: [[UInt8]], otherwise: [[UInt8]] = []) -> [UInt8] {
        [0xa0] + counted(condition + body.joined()) + (otherwise.isEmpty ? [] : [0xa1] + counted(Array(otherwise.joined())))
    }

    /// `target |= value`, and `target = source & value`.
    private static func setBits(_ value: UInt64, _ target: [UInt8]) -> [UInt8] { [0x7d] + target + integer(value) + target }
    private static func and(_ source: [UInt8], _ value: UInt64, _ target: [UInt8]) -> [UInt8] { [0x7b] + source + integer(value) + target }

    private static func store(_ source: [UInt8], _ target: [UInt8]) -> [UInt8] { [0x70] + source + target }

    /// Names 32 bits of a buffer.
    private static func doubleWord(_ name: String, in buffer: [UInt8], at offset: UInt64) -> [UInt8] { [0x8a] + buffer + integer(offset) + segment(name) }

    /// `_OSC` of a PCI Express host bridge: what of `control` the operating system asks for it gets (PCI Firmware Specification 3.2, section 4.5.1;
    /// ACPI, section 6.2.12).
    static func hostBridgeCapabilities(control: UInt64) -> [UInt8] {
        let identifier = argument(0), capabilities = argument(3), granted: [UInt8] = [0x60]
        let status = segment("CDW1"), asked = segment("CDW3")
        let unknownIdentifier: UInt64 = 1 << 2, masked: UInt64 = 1 << 4
        let fourArgumentsSerialized: UInt8 = 4 | 1 << 3
        let body = doubleWord("CDW1", in: capabilities, at: 0)
            + when(equal(identifier, uuid("33db4d5b-1ff7-401c-9657-7441c03dd766")), [
                doubleWord("CDW3", in: capabilities, at: 8), and(asked, control, granted),
                when(not(equal(granted, asked)), [setBits(masked, status)]), store(granted, asked),
            ], otherwise: [setBits(unknownIdentifier, status)])
            + result(capabilities)
        return [0x14] + counted(segment("_OSC") + [fourArgumentsSerialized] + body)
    }

    /// `_DSM` of a PCI Express host bridge: what the firmware has set up is to stay as it is (PCI Firmware Specification 3.2, section 4.6.5).
    static var preservedBootConfiguration: [UInt8] {
        let identifier = argument(0), function = argument(2), preserve: UInt64 = 5
        // Function 0 tells which there are.
        let body = when(equal(identifier, uuid("e5c937d0-3553-4d7a-9117-ea4d19c3434d")), [
            when(equal(function, integer(0)), [result(buffer([1 | 1 << UInt8(preserve)]))]), when(equal(function, integer(preserve)), [result(integer(0))]),
        ]) + result(buffer([0]))
        let fourArgumentsSerialized: UInt8 = 4 | 1 << 3
        return [0x14] + counted(segment("_DSM") + [fourArgumentsSerialized] + body)
    }

    private static func segment(_ name: String) -> [UInt8] {
        precondition((1...4).contains(name.utf8.count))
        return Array(name.utf8) + Array(repeating: UInt8(ascii: "_"), count: 4 - name.utf8.count)
    }

    /// Puts the length in front, which counts itself.
    private static func counted(_ contents: [UInt8]) -> [UInt8] {
        if contents.count + 1 < 0x40 { return [UInt8(contents.count + 1)] + contents }
        // The first byte has the low four bits and the number of the others.
        let others = contents.count + 2 < 1 << 12 ? 1 : contents.count + 3 < 1 << 20 ? 2 : 3
        let length = contents.count + 1 + others
        return [UInt8(others << 6 | length & 0xf)] + (0..<others).map { UInt8(truncatingIfNeeded: length >> (4 + 8 * $0)) } + contents
    }

    private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    // MARK: Resources

    /// The device's resources (`_CRS`; section 6.4).
    static func resources(_ descriptors: [[UInt8]]) -> [UInt8] { named("_CRS", buffer(descriptors.joined() + [0x79, 0])) }

    /// The resources a device could have (`_PRS`).
    static func possibleResources(_ descriptors: [[UInt8]]) -> [UInt8] { named("_PRS", buffer(descriptors.joined() + [0x79, 0])) }

    /// Registers below 4 GiB.
    static func memory(_ base: UInt64, _ size: UInt64) -> [UInt8] {
        [0x86, 9, 0, 1] + little(UInt32(truncatingIfNeeded: base)) + little(UInt32(truncatingIfNeeded: size))
    }

    /// A level-triggered, active-high interrupt.
    static func interrupt(_ number: Int) -> [UInt8] { [0x89, 6, 0, 1, 1] + little(UInt32(truncatingIfNeeded: number)) }

    /// Bus numbers a bridge passes on.
    static func busNumbers(_ range: ClosedRange<UInt16>) -> [UInt8] {
        [0x88, 13, 0, 2, produced, 0] + little(UInt16(0)) + little(range.lowerBound) + little(range.upperBound) + little(UInt16(0))
            + little(UInt16(range.count))
    }

    /// Memory addresses a bridge passes on, below 4 GiB and anywhere.
    static func memoryWindow32(_ base: UInt64, _ size: UInt64) -> [UInt8] { window(0x87, UInt32(base), UInt32(size)) }

    static func memoryWindow64(_ base: UInt64, _ size: UInt64) -> [UInt8] { window(0x8a, base, size) }

    /// Flags of a bridge's window: both ends fixed.
    private static let produced: UInt8 = 0x0c

    private static func window<T: FixedWidthInteger & UnsignedInteger>(_ kind: UInt8, _ base: T, _ size: T) -> [UInt8] {
        let numbers = [0, base, base + (size - 1), 0, size].flatMap { little($0) }
        return [kind] + little(UInt16(3 + numbers.count)) + [0, produced, 1] + numbers
    }
}
