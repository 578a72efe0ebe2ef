/// Runs the passes over units. Keep one: its tables are used again.
public struct IROptimizer {
    /// A pass, by the name options and dumps use.
    public enum Pass: String, CaseIterable, Sendable {
        case constantFolding = "constant-folding"
        case copyPropagation = "copy-propagation"
        case fusion
        case deadWrites = "dead-writes"
        case sharedProbes = "shared-probes"
    }

    /// What runs, in this order.
    public let passes: [Pass]

    private var constantFolding = ConstantFolding()
    private var copyPropagation = CopyPropagation()
    private var fusion = Fusion()
    private var deadWrites = DeadWrites()
    private var sharedProbes = SharedProbes()

    public init(passes: [Pass] = Pass.allCases) { self.passes = passes }

    /// - Parameter unit: one that verifies; it still does afterwards.
    public mutating func run(_ unit: inout IRUnit) {
        for index in unit.blocks.indices {
            for pass in passes { run(pass, &unit.blocks[index]) }
        }
    }

    /// Shows the unit after each pass.
    public mutating func run(_ unit: inout IRUnit, afterEach: (Pass, IRUnit) -> Void) {
        for pass in passes {
            for index in unit.blocks.indices { run(pass, &unit.blocks[index]) }
            afterEach(pass, unit)
        }
    }

    private mutating func run(_ pass: Pass, _ block: inout IRBlock) {
        switch pass {
        case .constantFolding: constantFolding.run(&block)
        case .copyPropagation: copyPropagation.run(&block)
        case .fusion: fusion.run(&block)
        case .deadWrites: deadWrites.run(&block)
        case .sharedProbes: sharedProbes.run(&block)
        }
    }
}

extension IRUnit {
    /// Runs all passes once. A translator keeps an `IROptimizer` instead.
    public mutating func optimise() {
        var optimizer = IROptimizer()
        optimizer.run(&self)
    }
}
