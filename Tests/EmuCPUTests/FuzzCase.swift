import EmuBus
import EmuCPU
import EmuJIT
import Foundation
import TestSupport

/// A program and what it starts from; equal cases run equally.
///
/// As text, one instruction a line, `>` where a segment begins (trap handlers go on with the next segment):
///
///     seed 0x1234
///     cpu rv64
///     at 0x80010f00
///     > 00a50513  addi a0,a0,10
///       8082  ret
///
/// Registers, CSRs, page rights, memory, slices and interrupts come from the seed.
struct FuzzCase: Equatable {
    var seed: UInt64
    var cpu = "rv64"
    var start: UInt64
    var code: [UInt32] = []
    /// Positions in `code` where segments begin.
    var segments: [Int] = []

    /// Turns, at most.
    static let turns = 40

    // MARK: Text

    struct Malformed: Error { let line: String }

    init(seed: UInt64, cpu: String = "rv64", start: UInt64) {
        self.seed = seed
        self.cpu = cpu
        self.start = start
    }

    init(text: String) throws {
        self.init(seed: 0, start: FuzzMap.code)
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            switch words.first {
            case "seed" where words.count > 1: seed = UInt64(words[1].dropFirst(2), radix: 16) ?? 0
            case "cpu" where words.count > 1: cpu = String(words[1])
            case "at" where words.count > 1: start = UInt64(words[1].dropFirst(2), radix: 16) ?? 0
            default:
                let isFirst = words.first == ">"
                guard let bits = words.dropFirst(isFirst ? 1 : 0).first.flatMap({ UInt32($0, radix: 16) }) else { throw Malformed(line: String(line)) }
                if isFirst { segments.append(code.count) }
                code.append(bits)
            }
        }
    }

    func text(comment: String = "") -> String {
        var text = comment.split(separator: "\n").map { "# \($0)\n" }.joined()
        text += "seed \(hex(seed))\ncpu \(cpu)\nat \(hex(start))\n"
        let disassembler = RVDisassembler(extensions: DecodeTableTests.everything, aliases: true)
        var address = start
        for (position, bits) in code.enumerated() {
            let digits = String(bits, radix: 16)
            let length = bits & 3 == 3 ? 4 : 2
            let listing = disassembler.text(bits: bits, address: address).text.replacingOccurrences(of: "\t", with: " ")
            text += "\(segments.contains(position) ? ">" : " ") \(String(repeating: "0", count: max(0, 2 * length - digits.count)))\(digits)  \(listing)\n"
            address += UInt64(length)
        }
        return text
    }

    // MARK: Running

    /// Addresses of the segments' first instructions.
    var segmentAddresses: [UInt64] {
        var addresses: [UInt64] = []
        var address = start
        for (position, bits) in code.enumerated() {
            if segments.contains(position) { addresses.append(address) }
            address += bits & 3 == 3 ? 4 : 2
        }
        return addresses.isEmpty ? [start] : addresses
    }

    /// A machine for cases of one processor. Those of one length of vectors do without what many hosts do not have.
    static func machine(_ engine: FuzzEngine, _ cpu: String) throws -> FuzzMachine {
        try FuzzMachine(engine, cpu: cpu, features: cpu.contains("vlen=512") ? HostFeatures.current.subtracting([.sha, .vaes, .vpclmulqdq]) : .current)
    }

    /// Runs the case on two fresh machines; what differs, or nil.
    func failure(_ engine: FuzzEngine) throws -> String? {
        try failure(FuzzMachine(.interpreter, cpu: cpu), Self.machine(engine, cpu))
    }

    /// Runs the case on two machines, which forget what they did before.
    func failure(_ reference: FuzzMachine, _ machine: FuzzMachine) throws -> String? {
        for each in [reference, machine] { prepare(each) }
        var random = SplitMix(seed: seed ^ 0x5EED)
        // Twice, the second time with everything translated and linked.
        for round in 0..<2 {
            let values = random.next()
            for each in [reference, machine] { start(each, seed: values) }
            for turn in 0..<Self.turns {
                let budget = [1, 2, 3, 7, 20, 50, 150, 400][random.below(8)]
                let event = random.below(16)
                for each in [reference, machine] where event < 4 { each.cpu.setInterrupt([1, 3, 7, 9][event], level: turn % 2 == 0) }
                let expected = reference.run(budget)
                let reason = machine.run(budget)
                let place = "round \(round), turn \(turn) of \(budget) cycles"
                if let difference = reference.difference(machine) { return "\(place): \(difference)" }
                if reason != expected { return "\(place): ended with \(expected), \(reason)" }
                if reason == .waiting { for each in [reference, machine] { each.cpu.setInterrupt(3, level: true) } }
            }
            if let difference = reference.memoryDifference(machine) { return "round \(round): \(difference)" }
        }
        return nil
    }

    /// The case with as many instructions as possible made to do nothing.
    func shrunk(_ engine: FuzzEngine) throws -> FuzzCase {
        var best = self
        func tries(_ change: (inout FuzzCase) -> Void) throws -> Bool {
            var candidate = best
            change(&candidate)
            guard candidate != best, try candidate.failure(engine) != nil else { return false }
            best = candidate
            return true
        }
        func blank(_ bits: UInt32) -> UInt32 { bits & 3 == 3 ? 0x13 : 0x01 }
        var size = code.count
        while size >= 1 {
            var position = 0
            while position < best.code.count {
                let range = position..<min(position + size, best.code.count)
                _ = try tries { for each in range { $0.code[each] = blank($0.code[each]) } }
                position += size
            }
            size /= 2
        }
        // What follows the last instruction that does something.
        while best.code.count > 1, try tries({ $0.code.removeLast(); $0.segments.removeAll { [count = $0.code.count] in $0 >= count } }) {}
        return best
    }
}
