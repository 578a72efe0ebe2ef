/// Runs the passes over units. Keep one: its tables are used again.
public struct IROptimizer {
    /// A pass, by the name options and dumps use.
    public enum Pass: String, CaseIterable, Sendable {
        case constantFolding = "constant-folding"
        case copyPropagation = "copy-propagation"
        case fusion
        case deadWrites = "dead-writes"
        case sharedProbes = "shared-probes"
        /// Over a whole loop, and for loops only.
        case steadyProbes = "steady-probes"
    }

    /// How accesses may be answered by probes, at the price of going on in the interpreter where one fails.
    public enum ProbeUse: UInt8, Comparable, Sendable {
        case none
        /// In loops, for one access each.
        case single
        /// Several accesses share one.
        case shared

        public static func < (a: ProbeUse, b: ProbeUse) -> Bool { a.rawValue < b.rawValue }
    }

    /// What runs, in this order.
    public let passes: [Pass]

    private var constantFolding = ConstantFolding()
    private var copyPropagation = CopyPropagation()
    private var fusion = Fusion()
    private var deadWrites = DeadWrites()
    private var sharedProbes = SharedProbes()
    private var steadyProbes = SteadyProbes()

    public init(passes: [Pass] = Pass.allCases) { self.passes = passes }

    /// - Parameters:
    ///   - unit: one that verifies; it still does afterwards.
    ///   - cycles: when its blocks form a loop, for each the blocks of the innermost loop around it, or none where that runs rarely.
    public mutating func run(_ unit: inout IRUnit, cycles: [[Int]] = [], probes: ProbeUse = .shared, afterEach: (Pass, IRUnit) -> Void = { _, _ in }) {
        for pass in passes {
            switch pass {
            case .sharedProbes where probes < .shared: continue
            case .steadyProbes:
                guard !cycles.isEmpty && probes > .none else { continue }
                steadyProbes.run(&unit, cycles: cycles)
            default:
                for index in unit.blocks.indices { run(pass, &unit.blocks[index]) }
            }
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
        case .steadyProbes: break
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
