import EmuIR

/// What one pass makes of the lines of a block: without header and guest positions, and without the jump that ends the block when the
/// lines end without a terminator.
func lines(after pass: IROptimizer.Pass, _ lines: String..., withPositions: Bool = false) throws -> [String] {
    var text = "unit\nblock 0x100 count \(lines.count + 1)\n"
    for (position, line) in lines.enumerated() { text += "\(position): \(line)\n" }
    let terminators = ["jump", "branch", "indirect", "return", "interpret.last"]
    let isTerminated = terminators.contains { lines.last?.hasPrefix($0) == true }
    if !isTerminated { text += "\(lines.count): jump -> 0x200\n" }

    var unit = try IRUnit(text: text)
    try unit.verify()
    var optimizer = IROptimizer(passes: [pass])
    optimizer.run(&unit)
    try unit.verify()

    let block = unit.blocks[0]
    var result = block.instructions.map { withPositions ? "\($0.guest): \($0)" : "\($0)" }
    if isTerminated { result.append("\(block.terminator)") }
    return result
}
