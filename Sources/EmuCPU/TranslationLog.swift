import EmuBus
import EmuIR
import EmuJIT

/// Writes what `-d ir,ir_opt,out_asm` show of a unit that is being translated.
struct TranslationLog {
    private let title: String
    /// Guest addresses of the unit's blocks.
    private let addresses: [UInt64]

    /// Nil unless something is to be logged of these blocks.
    @inline(__always)
    init?(_ ir: IRUnit, _ blocks: [UnsafeMutablePointer<Block>], page: UInt64, hart: Int, isLoop: Bool) {
        guard Log.isEnabled(.translation) else { return nil }
        self.init(translating: ir, blocks, page: page, hart: hart, isLoop: isLoop)
    }

    @inline(never)
    private init?(translating ir: IRUnit, _ blocks: [UnsafeMutablePointer<Block>], page: UInt64, hart: Int, isLoop: Bool) {
        addresses = ir.blocks.map { page | UInt64($0.offset) }
        guard addresses.contains(where: { Log.isEnabled(.translation, at: $0) }) else { return nil }
        let instructions = ir.blocks.reduce(0) { $0 + $1.guestCount }
        let bytes = blocks.reduce(0) { $0 + Int($1.pointee.byteLength) }
        title = "hart \(hart): \(isLoop ? "loop" : "block") \(addresses.map(hex).joined(separator: " ")), \(instructions) instructions, \(bytes) bytes"
    }

    func write(_ category: LogCategory, _ ir: IRUnit) {
        Log.write(category, "---- \(category == .ir ? "IR" : "optimised IR") of \(title)\n\(ir)")
    }

    /// Lists host code, with a label where a block is entered from outside.
    func write(_ compiled: CompiledUnit, _ buffer: CodeBuffer) {
        guard Log.isEnabled(.hostCode) else { return }
        var text = "---- host code of \(title), \(compiled.range.count) bytes\n"
        guard let architecture = HostDisassembler.Architecture.host, let disassembler = HostDisassembler(architecture) else {
            return Log.write(.hostCode, text + "libcapstone cannot list it\n")
        }
        // Before the code are the unit's number and its blocks' addresses, a word each.
        let position = (compiled.range.lowerBound + 8 * (1 + addresses.count) + CodeBuffer.alignment - 1) & -CodeBuffer.alignment
        let start = buffer.executable(position)
        var labels: [UInt64: UInt64] = [:]
        for (entry, address) in zip(compiled.entries, addresses) { labels[UInt64(UInt(bitPattern: buffer.executable(entry.position)))] = address }
        // SAFETY: the unit has just been placed there and the buffer outlives this call.
        for line in disassembler.lines(UnsafeRawBufferPointer(start: start, count: compiled.range.upperBound - position), address: UInt64(UInt(bitPattern: start))) {
            if let address = labels[line.address] { text += "block \(hex(address)):\n" }
            text += "  \(line)\n"
        }
        Log.write(.hostCode, text)
    }
}
