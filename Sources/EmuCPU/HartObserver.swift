/// Somebody who watches harts at work: a debugger.
///
/// Called on the hart's thread in the middle of a slice; `true` stops the hart right there, and `run` returns `.requested`.
/// An observer may read any state, and must change none of it before the slice has ended.
package protocol HartObserver: AnyObject {
    /// Hart `index` is about to execute the instruction at `pc`, which lies at a place watched for execution.
    /// True stops it before that instruction.
    func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool
    /// Something that was asked for has just happened. True stops the hart after the instruction in hand.
    func observe(hart index: Int, _ event: HartEvent) -> Bool
}

/// What a hart did.
package enum HartEvent {
    /// A load or store touched a watched page; whether it touched a watched range is for the observer to find out.
    case access(HartAccess)
    /// An exception or interrupt was taken. `pc` trapped, or is the first instruction not executed; `value` is what the handler is told.
    case trap(cause: UInt64, value: UInt64, pc: UInt64, from: UInt8, to: UInt8)
    /// An instruction wrote a control register; `new` is what it holds now.
    case registerWrite(number: UInt16, old: UInt64, new: UInt64, pc: UInt64)
    /// The privilege changed by a trap or by the return from one. `pc` is where that happened.
    case privilege(from: UInt8, to: UInt8, pc: UInt64)
}

/// One access to memory or a device register.
package struct HartAccess {
    package enum Kind: Sendable { case read, write, readWrite }

    package var kind: Kind
    /// Guest address of the first byte, and the physical one.
    package var address: UInt64
    package var physical: UInt64
    /// In bytes: 1 to 16, or a cache block.
    package var size: UInt64
    /// Little-endian contents before and after, zero-extended; nil for device registers that were not read and for more than 8 bytes.
    package var old: UInt64?
    package var new: UInt64?
    /// The instruction that did it.
    package var pc: UInt64
}

/// What an observer wants to hear of, shared by all harts of a machine.
///
/// Nothing here costs a hart anything where nothing is watched. Places watched for execution become block boundaries
/// (`TranslationCache.boundaries`); pages with watched data get slow TLB entries; events are rare by themselves.
/// To be changed only between slices, through the functions here.
package final class HartWatch {
    /// Rare events an observer can ask for.
    package struct Events: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let traps = Events(rawValue: 1)
        package static let registerWrites = Events(rawValue: 2)
        package static let privilege = Events(rawValue: 4)
    }

    /// A place watched for execution.
    package struct Code: Hashable, Sendable {
        package var address: UInt64
        package var isPhysical: Bool
        /// The address space (`RVProcessor.identity(ofSpace:)`) in which a virtual address is meant; nil for any.
        package var space: UInt64?

        package init(address: UInt64, isPhysical: Bool = false, space: UInt64? = nil) {
            self.address = address
            self.isPhysical = isPhysical
            self.space = space
        }
    }

    /// A range watched for loads and stores, both ends inclusive.
    package struct Data: Hashable, Sendable {
        package var first: UInt64
        package var last: UInt64
        package var isPhysical: Bool
        package var space: UInt64?

        package init(first: UInt64, last: UInt64, isPhysical: Bool = false, space: UInt64? = nil) {
            self.first = first
            self.last = last
            self.isPhysical = isPhysical
            self.space = space
        }

        /// True when `size` bytes, at least 1, from `address` overlap the range.
        package func overlaps(_ address: UInt64, _ size: UInt64) -> Bool { address <= last && first <= address &+ (size &- 1) }
    }

    private let caches: [TranslationCache]
    package unowned let observer: any HartObserver
    package var events: Events = []
    /// Interrupts stay pending: for steps that shall not end in a handler.
    package var holdsInterrupts = false
    private var present: Set<Code> = []
    private var virtualCode: [UInt64: [Code]] = [:]
    private var physicalCode: Set<UInt64> = []
    private var data: [Data] = []

    /// - Parameter caches: all of the machine's.
    package init(caches: [TranslationCache], observer: any HartObserver) {
        self.caches = caches
        self.observer = observer
    }

    /// Nothing is watched.
    package var isEmpty: Bool { events.isEmpty && virtualCode.isEmpty && physicalCode.isEmpty && data.isEmpty && !caches.contains(where: \.watchesEverything) }

    /// Replaces everything watched. Only between slices.
    /// - Parameter everyInstruction: each instruction counts as watched for execution; harts run slowly then.
    package func set(code: Set<Code>, data: [Data], everyInstruction: Bool = false) {
        for cache in caches { cache.watchesEverything = everyInstruction }
        // A debugger that takes all breakpoints out at each stop and puts them back must not cost the guest its TLB each time.
        if code == present, data == self.data { return }
        present = code
        let before = Set(virtualCode.values.joined().map { $0.address & 0xfff })
        virtualCode = Dictionary(grouping: code.filter { !$0.isPhysical }, by: { $0.address & TLBEntry.pageMask })
        physicalCode = Set(code.filter(\.isPhysical).map(\.address))
        self.data = data
        // Code may have been linked through pages that no TLB knows any more, so blocks are dropped by their place in the page.
        let offsets = Set(virtualCode.values.joined().map { $0.address & 0xfff }).subtracting(before)
        for cache in caches { cache.setBoundaries(physicalCode, pageOffsets: offsets) }
    }

    /// To be called for each page that enters a TLB for execution: places watched in it become block boundaries.
    func markCode(page: UInt64, physicalPage: UInt64, space: UInt64) {
        guard let places = virtualCode[page] else { return }
        for place in places where place.space ?? space == space {
            for cache in caches { cache.addBoundary(physicalPage | place.address & 0xfff) }
        }
    }

    /// True when loads from or stores to some byte of the page are watched.
    func watchesData(page: UInt64, physicalPage: UInt64, space: UInt64) -> Bool {
        data.contains { $0.overlaps($0.isPhysical ? physicalPage : page, 4096) && ($0.isPhysical || $0.space ?? space == space) }
    }
}
