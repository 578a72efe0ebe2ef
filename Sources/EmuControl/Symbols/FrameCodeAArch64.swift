/// Reads the beginning of AArch64 functions: the instructions compilers make frames with.
enum FrameCodeAArch64 {
    /// - Parameter code: from the function's first instruction up to the program counter. What an end of the function undoes is not seen.
    @Sendable
    static func analyse(_ code: [UInt8]) -> FrameState? {
        var state = FrameState()
        for position in stride(from: 0, to: code.count - code.count % 4, by: 4) {
            let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(code[position + $1]) << UInt32($1 * 8) }
            if !instruction(word, &state) { break }
        }
        return state
    }

    private static func instruction(_ word: UInt32, _ state: inout FrameState) -> Bool {
        let first = Int(word & 31)
        let base = Int(word >> 5 & 31)
        let immediate = Int64(word >> 10 & 0xfff) << (word >> 22 & 1 == 0 ? 0 : 12)
        switch word >> 22 {
        // sub and add of an immediate, 64-bit, shifted by 0 or 12.
        case 0x344, 0x345: if first == 31, base == 31 { state.frameSize += immediate }
        case 0x244, 0x245:
            if first == 31, base == 31 { state.frameSize -= immediate }
            if first == 29, base == 31 { state.framePointer = immediate - state.frameSize }
        // stp of 64-bit registers: with pre-index, with offset.
        case 0x2a6, 0x2a4:
            guard base == 31 else { break }
            let offset = Int64(Int32(bitPattern: word << 10) >> 25) * 8
            let before = word >> 22 == 0x2a6
            if before { state.frameSize -= offset }
            let place = (before ? 0 : offset) - state.frameSize
            for (register, shift) in [(first, Int64(0)), (Int(word >> 10 & 31), 8)] where state.saved[register] == nil {
                state.saved[register] = place + shift
            }
        // str of a 64-bit register: with offset; with pre-index.
        case 0x3e4: if base == 31, state.saved[first] == nil { state.saved[first] = Int64(word >> 10 & 0xfff) * 8 - state.frameSize }
        case 0x3e0:
            guard base == 31, word >> 10 & 3 == 3 else { break }
            state.frameSize -= Int64(Int32(bitPattern: word << 11) >> 23)
            if state.saved[first] == nil { state.saved[first] = -state.frameSize }
        default:
            // Calls, returns, exceptions: the frame is made by then. Branches lead to where it is made.
            if word >> 26 == 0x25 || word >> 24 == 0xd6 || word >> 24 == 0xd4 { return false }
        }
        return true
    }
}
