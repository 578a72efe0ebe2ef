import EmuJIT
import Testing

/// Instructions beside the text they are expected to read as when Capstone takes them apart again.
struct Listing: ~Copyable {
    private var assembler = X86Assembler()
    private var expected: [(start: Int, text: String, immediate: UInt64?, width: X86Width)] = []

    mutating func add(_ text: String, _ emit: (inout X86Assembler) -> Void) {
        expected.append((assembler.position, text, nil, .quad))
        emit(&assembler)
    }

    /// An instruction whose last operand is an immediate of `width`, sign-extended to it: Capstone decides instruction by instruction
    /// whether to show it as a signed or an unsigned number.
    mutating func add(_ text: String, immediate: Int64, _ width: X86Width, _ emit: (inout X86Assembler) -> Void) {
        expected.append((assembler.position, text, UInt64(bitPattern: immediate) & Self.mask(width), width))
        emit(&assembler)
    }

    private static func mask(_ width: X86Width) -> UInt64 { .max >> (64 - 8 << UInt64(width.rawValue)) }

    private static func matches(_ shown: String, _ text: String, _ immediate: UInt64?, _ width: X86Width) -> Bool {
        guard let immediate else { return shown == text }
        guard shown.hasPrefix(text + ", ") else { return false }
        var digits = shown.dropFirst(text.count + 2)
        let isNegative = digits.first == "-"
        if isNegative { digits = digits.dropFirst() }
        let number = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        guard let number else { return false }
        return (isNegative ? 0 &- number : number) & mask(width) == immediate
    }

    /// Expects every entry to be one instruction with the expected text, with nothing left over.
    consuming func check(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let disassembler = try #require(HostDisassembler(.x86_64))
        let end = assembler.position
        let wrong = assembler.withBytes { bytes in
            expected.indices.compactMap { index -> String? in
                let next = index + 1 < expected.count ? expected[index + 1].start : end
                let lines = disassembler.lines(UnsafeRawBufferPointer(rebasing: bytes[expected[index].start..<next]), address: 0)
                let (_, text, immediate, width) = expected[index]
                if lines.count == 1 && Self.matches(lines[0].text, text, immediate, width) { return nil }
                return "\(text) \(immediate.map(number) ?? ""): \(lines)"
            }
        }
        let count = expected.count
        let report = "\(wrong.count) of \(count) differ:\n" + wrong.prefix(20).joined(separator: "\n")
        #expect(wrong.isEmpty, "\(report)", sourceLocation: sourceLocation)
        #expect(count > 0)
    }
}

// MARK: The texts, composed without the package's help

private let longNames = [
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d",
]
private let byteNames = [
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b",
]

extension X86Register {
    func name(_ width: X86Width = .quad) -> String {
        let long = longNames[Int(rawValue)]
        switch width {
        case .byte: return byteNames[Int(rawValue)]
        case .word: return rawValue < 8 ? String(long.dropFirst()) : String(long.dropLast()) + "w"
        case .long: return long
        case .quad: return rawValue < 8 ? "r" + long.dropFirst() : String(long.dropLast())
        }
    }
}

/// A number as Capstone writes it: up to 9 in decimal, else in hexadecimal.
func number(_ value: UInt64) -> String { value <= 9 ? String(value) : "0x" + String(value, radix: 16) }

/// - Parameter size: "dword" and the like, empty for an address alone.
func text(_ memory: X86Memory, _ size: String) -> String {
    var address = memory.base.name()
    if let index = memory.index {
        address += " + " + index.name()
        if memory.scale != .by1 { address += "*\(1 << memory.scale.rawValue)" }
    }
    if memory.displacement < 0 {
        address += " - " + number(UInt64(memory.displacement.magnitude))
    } else if memory.displacement > 0 {
        address += " + " + number(UInt64(memory.displacement))
    }
    return size.isEmpty ? "[\(address)]" : "\(size) ptr [\(address)]"
}

func sizeName(_ width: X86Width) -> String { ["byte", "word", "dword", "qword"][Int(width.rawValue)] }

func text(_ operand: any X86IntegerOperand, _ width: X86Width) -> String {
    if let register = operand as? X86Register { return register.name(width) }
    return text(operand as! X86Memory, sizeName(width))
}

func text(_ operand: any X86VectorOperand, _ size: String) -> String {
    if let register = operand as? XMMRegister { return "xmm\(register.number)" }
    return text(operand as! X86Memory, size)
}

func sizeName(_ format: X86Float) -> String { format == .double ? "qword" : "dword" }
func suffix(_ format: X86Float) -> String { format == .double ? "sd" : "ss" }

// MARK: The operands

/// Every addressing form: all bases, with the special ones as an index too, and displacements on both sides of each size.
let displacements: [Int32] = [0, 1, 8, -8, 127, -128, 128, -129, 0x1234_5678, .max, .min + 1]

let everyMemory: [X86Memory] = X86Register.allCases.flatMap { base in
    displacements.flatMap { displacement in
        [X86Memory(base, displacement)]
            + [X86Register.rax, .rbp, .rdi, .r8, .r12, .r13, .r15].flatMap { index in
                X86Scale.allCases.map { X86Memory(base, index: index, $0, displacement) }
            }
    }
}

let someMemory: [X86Memory] = [
    X86Memory(.rax), X86Memory(.rsp), X86Memory(.rbp), X86Memory(.r12), X86Memory(.r13), X86Memory(.rdi, 8), X86Memory(.rsp, -8),
    X86Memory(.r12, 16), X86Memory(.rbp, 0x1000), X86Memory(.r13, -0x1000), X86Memory(.rbx, index: .rsi, .by4),
    X86Memory(.rbp, index: .r12, .by8), X86Memory(.r13, index: .rbp, .by2, 0x40), X86Memory(.r15, index: .r9, .by1, 0x400),
]

let someRegisters: [X86Register] = [.rax, .rcx, .rbx, .rsp, .rbp, .rsi, .rdi, .r8, .r12, .r13, .r15]
let integerOperands: [any X86IntegerOperand] = X86Register.allCases + someMemory
let someVectors = [0, 1, 5, 7, 8, 12, 15].map { XMMRegister($0) }
let vectorOperands: [any X86VectorOperand] = someVectors + someMemory
let wideWidths: [X86Width] = [.word, .long, .quad]
let bigWidths: [X86Width] = [.long, .quad]
