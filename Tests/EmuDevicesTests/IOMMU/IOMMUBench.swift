import EmuBus
import EmuDevices
import TestSupport

/// An IOMMU on a PCI bus with a driver that has registers and memory only. Structures are written by the specification's layouts.
final class IOMMUBench {
    static let registers: UInt64 = 0x5f00_0000
    /// Bits of a page-table entry: V, R, W, X, U, A, D; and a leaf for everything.
    static let valid: UInt64 = 1, read: UInt64 = 2, write: UInt64 = 4, execute: UInt64 = 8, user: UInt64 = 0x10, accessed: UInt64 = 0x40, dirty: UInt64 = 0x80
    static let all: UInt64 = 0xdf

    /// What a device may ask for.
    enum Access: UInt64, CaseIterable {
        case read = 8, write = 0, execute = 12
    }

    let pci: PCIBench
    let iommu: RISCVIOMMU
    let function: PCIMockFunction
    let isExtended: Bool
    /// Above what other drivers on the same bus use.
    private var nextPage = PCIBench.ram + 0x100_0000
    /// Of the device directory.
    private(set) var root: UInt64 = 0
    private(set) var levels = 1
    private(set) var commands: UInt64 = 0
    private var tail: UInt64 = 0
    private(set) var faults: UInt64 = 0
    private var faultHead: UInt64 = 0

    init(_ configuration: RISCVIOMMU.Configuration = .init(), slot: Int = 31, on pci: PCIBench? = nil) throws {
        let pci = try pci ?? PCIBench()
        self.pci = pci
        isExtended = configuration.hasMessageTables
        iommu = RISCVIOMMU(name: "iommu", memory: pci.space, configuration: configuration)
        pci.host.root.plug(iommu, at: PCISlot(device: slot))
        function = pci.function(slot)
        function.place(0, at: Self.registers)
        function.enable()
    }

    // MARK: Registers and memory

    func get(_ offset: UInt64, size: Int = 8) -> UInt64 { pci.read(Self.registers + offset, size: size) }
    func put(_ offset: UInt64, _ value: UInt64, size: Int = 8) { pci.write(Self.registers + offset, value, size: size) }
    /// Zero where there is no memory.
    func word(_ address: UInt64) -> UInt64 { pci.space.loadMemory(address, as: UInt64.self) ?? 0 }
    func store(_ address: UInt64, _ values: UInt64...) {
        for (index, value) in values.enumerated() { _ = pci.space.storeMemory(address + 8 * UInt64(index), value) }
    }

    /// Zeroed pages, aligned to their size.
    func pages(_ count: UInt64 = 1) -> UInt64 {
        let size = count * 4096
        let first = (nextPage + size - 1) & ~(size - 1)
        nextPage = first + size
        return first
    }

    /// The PPN field of queues, directories and page-table entries.
    static func pageNumber(_ address: UInt64) -> UInt64 { (address >> 12) << 10 }
    /// The address such a field means.
    static func address(_ entry: UInt64) -> UInt64 { ((entry & 0x3f_ffff_ffff_fc00) >> 10) << 12 }
    /// Where the table is that `table` made.
    static func root(_ field: UInt64) -> UInt64 { (field << 20) >> 8 }

    // MARK: Queues

    /// Switches both queues on, empty, with interrupts.
    func startQueues() {
        for register: UInt64 in [72, 76, 36, 48] { put(register, 0, size: 4) }
        commands = pages()
        faults = pages()
        put(24, Self.pageNumber(commands) | 7)
        put(40, Self.pageNumber(faults) | 6)
        put(72, 3, size: 4)
        put(76, 3, size: 4)
        (tail, faultHead) = (0, 0)
    }

    /// Queues a command without telling.
    func add(_ first: UInt64, _ second: UInt64 = 0) {
        store(commands + 16 * tail, first, second)
        tail = (tail + 1) % 256
    }

    func ring() { put(36, tail, size: 4) }

    func run(_ first: UInt64, _ second: UInt64 = 0) {
        add(first, second)
        ring()
    }

    /// Everything cached is invalid.
    func invalidateAll() {
        run(3)
        run(1)
        run(1 | 1 << 7)
    }

    /// The oldest fault record software has not seen; nil when there is none.
    func takeFault() -> [UInt64]? {
        guard get(52, size: 4) != faultHead else { return nil }
        let record = (0..<4).map { word(faults + 32 * faultHead + 8 * $0) }
        faultHead = (faultHead + 1) % 128
        put(48, faultHead, size: 4)
        return record
    }

    // MARK: Directories

    /// An empty device directory in use.
    func start(levels: Int = 1) {
        self.levels = levels
        root = pages()
        put(16, Self.pageNumber(root) | UInt64(levels + 1))
    }

    /// Where the context of a device is, or would be; tables on the way are made.
    func context(_ device: UInt64) -> UInt64 {
        let widths: [UInt64] = isExtended ? [6, 9, 9] : [7, 9, 8]
        var table = root
        for level in (1..<levels).reversed() {
            let shift = widths.prefix(level).reduce(0, +)
            let entry = table + 8 * (device >> shift & (1 << widths[level] - 1))
            if word(entry) == 0 { store(entry, Self.pageNumber(pages()) | 1) }
            table = Self.address(word(entry))
        }
        return table + (device & (1 << widths[0] - 1)) * (isExtended ? 64 : 32)
    }

    func setContext(
        _ device: UInt64, control: UInt64 = 1, second: UInt64 = 0, attributes: UInt64 = 0, first: UInt64 = 0, messages: (UInt64, UInt64, UInt64) = (0, 0, 0)
    ) {
        let position = context(device)
        store(position, control, second, attributes, first)
        if isExtended { store(position + 32, messages.0, messages.1, messages.2, 0) }
    }

    /// A root page table and the field that names it: Sv39 has 3 levels.
    func table(_ levels: Int, isSecond: Bool = false) -> UInt64 { UInt64(levels + 5) << 60 | pages(isSecond ? 4 : 1) >> 12 }

    /// Where the entry for an address lies at a level, tables on the way being made.
    func entry(_ field: UInt64, _ address: UInt64, level: Int = 0, isSecond: Bool = false) -> UInt64 {
        let levels = Int(field >> 60) - 5
        var table = Self.root(field)
        var current = levels - 1
        while true {
            let mask: UInt64 = isSecond && current == levels - 1 ? 0x7ff : 0x1ff
            let position = table + 8 * (address >> UInt64(12 + 9 * current) & mask)
            if current == level { return position }
            if word(position) == 0 { store(position, Self.pageNumber(pages()) | 1) }
            table = Self.address(word(position))
            current -= 1
        }
    }

    func map(_ field: UInt64, _ address: UInt64, to target: UInt64, _ flags: UInt64 = IOMMUBench.all, level: Int = 0, isSecond: Bool = false) {
        store(entry(field, address, level: level, isSecond: isSecond), Self.pageNumber(target) | flags)
    }

    // MARK: Requests

    /// Where a request goes, by the translation-request interface; nil for a fault.
    func translate(_ address: UInt64, device: UInt64 = 8, _ access: Access = .read, process: UInt64? = nil, isPrivileged: Bool = false) -> UInt64? {
        put(600, address)
        put(608, device << 40 | (process.map { 1 << 32 | $0 << 12 } ?? 0) | access.rawValue | (isPrivileged ? 2 : 0) | 1)
        let response = get(616)
        return response & 1 == 1 ? nil : Self.address(response)
    }

    /// Cause of the fault a request meets; nil when it meets none.
    func cause(_ address: UInt64, device: UInt64 = 8, _ access: Access = .read, process: UInt64? = nil, isPrivileged: Bool = false) -> UInt64? {
        guard translate(address, device: device, access, process: process, isPrivileged: isPrivileged) == nil else { return nil }
        return takeFault().map { $0[0] & 0xfff }
    }
}
