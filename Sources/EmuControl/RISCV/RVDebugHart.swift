import EmuBus
import EmuCPU

/// A RISC-V hart as the debugger sees it.
final class RVDebugHart: DebugHart {
    let cpu: RVProcessor
    private let bus: AddressSpace
    private let disassembler: RVDisassembler
    let registers: [RegisterDescription]
    private let byName: [String: RegisterDescription]

    init(_ cpu: RVProcessor, bus: AddressSpace) {
        self.cpu = cpu
        self.bus = bus
        disassembler = RVDisassembler(extensions: cpu.config.extensions, aliases: true)
        registers = Self.list(cpu.config.extensions)
        var names: [String: RegisterDescription] = [:]
        for register in registers.reversed() {
            for alias in register.aliases { names[alias] = register }
            names[register.name] = register
        }
        byName = names
    }

    // MARK: Registers

    private static let pcNumber = 32
    /// Not a CSR number; the privilege is no register of the architecture.
    private static let privilegeNumber = 0x1000

    private static func list(_ extensions: RVExtensionSet) -> [RegisterDescription] {
        var list = RVRegisterNames.integer.enumerated().map { number, name in
            RegisterDescription(
                name, aliases: ["x\(number)"] + (number == 8 ? ["fp"] : []), group: .general, number: number,
                isPointer: (1...4).contains(number), isReadOnly: number == 0)
        }
        list.append(RegisterDescription("pc", group: .general, number: pcNumber, isPointer: true))
        if extensions.contains(.f) {
            list += RVRegisterNames.float.enumerated().map { RegisterDescription($1, aliases: ["f\($0)"], group: .float, number: $0) }
        }
        if extensions.contains(.v) { list += (0..<32).map { RegisterDescription("v\($0)", group: .vector, number: $0) } }
        list += RVCSR.all.filter { $0.exists(in: extensions) }.map {
            RegisterDescription(
                $0.name, aliases: ["csr\($0.rawValue)"], group: .system, number: Int($0.rawValue), isPointer: $0.holdsAddress, isReadOnly: $0.isReadOnly)
        }
        list.append(RegisterDescription("priv", group: .system, number: privilegeNumber))
        return list
    }

    func register(named name: String) -> RegisterDescription? { byName[name] }

    func value(of register: RegisterDescription) -> UInt64 {
        switch register.group {
        case .general: register.number == Self.pcNumber ? cpu.pc : cpu.x[register.number]
        case .float: cpu.f[register.number]
        case .vector: vectorBytes(of: register).prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        case .system:
            if let csr = csr(register) { cpu.inspectCSR(csr) } else { UInt64(cpu.mode) }
        }
    }

    func set(_ register: RegisterDescription, to value: UInt64) {
        switch register.group {
        case .general where register.number == Self.pcNumber: cpu.pc = value
        case .general: if register.number != 0 { cpu.x[register.number] = value }
        case .float: cpu.f[register.number] = value
        case .vector: set(register, toBytes: (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } + vectorBytes(of: register).dropFirst(8))
        case .system:
            if let csr = csr(register) {
                cpu.writeCSR(csr, value)
            } else if modes.contains(value) {
                cpu.privilege = UInt8(value & 3)
                cpu.isGuest = value & 4 != 0
            }
        }
    }

    func vectorBytes(of register: RegisterDescription) -> [UInt8] {
        guard register.group == .vector else { return [] }
        // SAFETY: there are 32 registers of `vlenb` bytes each, one after the other.
        return Array(UnsafeRawBufferPointer(start: cpu.v + register.number * cpu.vlenb, count: cpu.vlenb))
    }

    func set(_ register: RegisterDescription, toBytes bytes: [UInt8]) {
        guard register.group == .vector, bytes.count == cpu.vlenb else { return }
        UnsafeMutableRawBufferPointer(start: cpu.v + register.number * cpu.vlenb, count: cpu.vlenb).copyBytes(from: bytes)
    }

    private func csr(_ register: RegisterDescription) -> RVCSR? { RVCSR(rawValue: UInt16(truncatingIfNeeded: register.number)) }

    func fields(of register: RegisterDescription) -> [RegisterField] {
        guard register.group == .system else { return [] }
        let value = value(of: register)
        guard let csr = csr(register) else {
            return [RegisterField(name: "privilege", high: 1, low: 0, value: value, meaning: privilegeName)]
        }
        return RVRegisterFields.fields(of: csr, value, cpu)
    }

    var pc: UInt64 {
        get { cpu.pc }
        set { cpu.pc = newValue }
    }
    var stackPointer: UInt64 { cpu.x[2] }
    var framePointer: UInt64 { cpu.x[8] }
    var returnAddress: UInt64 { cpu.x[1] }
    var unwinding: (architecture: UnwindArchitecture, registers: FrameRegisters) {
        // SAFETY: of the 33 slots behind `x` those of x1 to x31 are read.
        (.riscv, FrameRegisters(pc: cpu.pc, Dictionary(uniqueKeysWithValues: (1...31).map { ($0, cpu.x[$0]) })))
    }
    var systemCallNumber: UInt64 { cpu.x[17] }

    // MARK: State

    var index: Int { cpu.index }
    var hart: any Hart { cpu }
    var watch: HartWatch? {
        get { cpu.watch }
        set { cpu.watch = newValue }
    }
    var isWaiting: Bool { cpu.isWaiting }
    var space: UInt64 { cpu.privilege == 3 || cpu.isGuest ? cpu.presentRights(.load).space : cpu.inspectCSR(.satp) }
    var privilege: UInt8 { cpu.mode }
    var privilegeName: String { privilegeName(cpu.mode) }
    func privilegeName(_ privilege: UInt8) -> String { RVPrivilege.name(privilege) }

    /// What `priv` can be set to: U, S and M, and with the hypervisor extension VU and VS.
    private var modes: [UInt64] { cpu.config.extensions.contains(.h) ? [0, 1, 3, 4, 5] : [0, 1, 3] }

    func privilege(named text: String) -> UInt8? {
        switch text.lowercased() {
        case "u", "user", "0": 0
        case "s", "supervisor", "1": 1
        case "m", "machine", "3": 3
        case "vu" where modes.contains(4): 4
        case "vs" where modes.contains(5): 5
        default: nil
        }
    }

    // MARK: Memory

    func identity(ofSpace space: UInt64) -> UInt64 { RVProcessor.identity(ofSpace: space) }
    func physical(_ address: UInt64) -> UInt64? { physical(address, space: space) }
    func physical(_ address: UInt64, space: UInt64) -> UInt64? { cpu.explain(address, .load, space: space).physical }

    func story(_ address: UInt64, _ access: DebugAccess) -> TranslationStory {
        let kind: RVAccess = switch access {
        case .read: .load
        case .write: .store
        case .execute: .fetch
        }
        let report = cpu.explain(address, kind)
        return TranslationStory(
            address: address, access: access, scheme: Self.scheme(report), privilege: privilegeName(RVPrivilege.mode(report.privilege, isGuest: report.isGuest)),
            steps: report.steps.map {
                TranslationStory.Step(level: $0.level, position: $0.position, entry: $0.entry, text: ($0.isSecondStage ? "second stage: " : "") + ($0.entry.map(Self.entryText) ?? "no memory answers"))
            },
            physical: report.physical, pageSize: report.pageSize, fault: report.fault.map(causeName), reason: report.reason)
    }

    /// What the registers that a report goes by say.
    private static func scheme(_ report: RVWalkReport) -> String {
        guard report.isGuest else { return scheme(report.space) }
        let second = report.guestSpace == 0
            ? "no second stage: guest physical addresses are physical"
            : "then Sv\([8: 39, 9: 48, 10: 57][report.guestSpace >> 60] ?? 0)x4, VMID \(report.guestSpace >> 44 & 0x3fff), root table at \(hexText((report.guestSpace & (1 << 44 - 1)) << 12))"
        return (report.space == 0 ? "no first stage: addresses are guest physical" : scheme(report.space)) + "; " + second
    }

    /// What a satp value says.
    static func scheme(_ satp: UInt64) -> String {
        guard satp != 0 else { return "no translation: addresses are physical" }
        let bits = [8: 39, 9: 48, 10: 57][satp >> 60].map { "Sv\($0)" } ?? "unknown mode \(satp >> 60)"
        return "\(bits), ASID \(satp >> 44 & 0xffff), root table at \(hexText((satp & (1 << 44 - 1)) << 12))"
    }

    private static let flagNames: [(bit: UInt64, letter: Character)] = [(1, "r"), (2, "w"), (3, "x"), (4, "u"), (5, "g"), (6, "a"), (7, "d")]

    private static func rights(_ entry: UInt64) -> String { String(flagNames.map { entry >> $0.bit & 1 != 0 ? $0.letter : "-" }) }

    private static func entryText(_ entry: UInt64) -> String {
        guard entry & 1 != 0 else { return "not valid" }
        let target = hexText((entry >> 10 & (1 << 44 - 1)) << 12)
        return entry & 0xe == 0 ? "next table at \(target)" : "\(rights(entry)) page at \(target)"
    }

    func mappings(limit: Int) -> [MappedRange] {
        let (space, guestSpace) = cpu.isGuest ? (self.space, cpu.inspectCSR(.hgatp)) : (cpu.inspectCSR(.satp), 0)
        return cpu.mappings(space: space, guestSpace: guestSpace, limit: limit).map {
            MappedRange(address: $0.address, physical: $0.physical, size: $0.size, rights: Self.rights($0.flags))
        }
    }

    var tlb: [TLBPage] {
        cpu.tlbLines.map {
            TLBPage(
                space: $0.space, privilege: privilegeName(RVPrivilege.mode($0.privilege, isGuest: $0.isGuest)), address: $0.address, physical: $0.physical,
                rights: "\($0.readable ? "r" : "-")\($0.writable ? "w" : "-")\($0.executable ? "x" : "-")", isSlow: $0.isSlow, isCurrent: $0.isCurrent)
        }
    }

    // MARK: Instructions

    let maximumInstructionLength = 4

    func instruction(_ bytes: [UInt8], at address: UInt64, symbol: (UInt64) -> String?) -> DebugInstruction? {
        guard bytes.count >= 2 else { return nil }
        let length = bytes[0] & 3 == 3 ? 4 : 2
        guard bytes.count >= length else { return nil }
        var bits: UInt32 = 0
        for index in (0..<length).reversed() { bits = bits << 8 | UInt32(bytes[index]) }
        let text = withoutActuallyEscaping(symbol) { disassembler.text(bits: bits, address: address, symbol: $0).text }
        let op = cpu.decoder.decode(bits)
        var flow = DebugInstruction.Flow.other
        var target: UInt64?
        switch op.rv {
        case .jal:
            target = address &+ UInt64(bitPattern: Int64(op.imm))
            if op.rd == 1 || op.rd == 5 { flow = .call }
        case .jalr:
            if op.rd == 1 || op.rd == 5 { flow = .call } else if op.rs1 == 1 || op.rs1 == 5 { flow = .return }
        case .beq, .bne, .blt, .bge, .bltu, .bgeu: target = address &+ UInt64(bitPattern: Int64(op.imm))
        case .ecall: flow = .systemCall
        default: break
        }
        return DebugInstruction(address: address, bytes: Array(bytes[..<length]), text: text, flow: flow, target: target)
    }

    // MARK: Causes

    func causeName(_ cause: UInt64) -> String { RVCause.name(cause) }
    func isInterrupt(_ cause: UInt64) -> Bool { cause >> 63 != 0 }
    func isSystemCall(_ cause: UInt64) -> Bool { (8...11).contains(cause) }

    func causes(named text: String, interrupts: Bool) -> [UInt64] {
        let base: UInt64 = interrupts ? 1 << 63 : 0
        if let number = UInt64(text) { return number < 64 ? [base | number] : [] }
        let words = text.lowercased().split { $0 == "-" || $0 == "_" || $0 == " " }
        return (0..<64).map { base | $0 }.filter { cause in
            let name = causeName(cause)
            guard !name.hasSuffix(" \(cause & 63)") else { return false }
            return words.allSatisfy { name.contains($0) }
        }
    }

    var interruptFacts: [String] {
        let pending = cpu.inspectCSR(.mip), enabled = cpu.inspectCSR(.mie), status = cpu.inspectCSR(.mstatus)
        func names(_ bits: UInt64) -> String {
            let list = (0..<64).filter { bits >> UInt64($0) & 1 != 0 }.map { causeName(1 << 63 | UInt64($0)) }
            return list.isEmpty ? "none" : list.joined(separator: ", ")
        }
        return [
            "pending (mip): \(names(pending))",
            "enabled (mie): \(names(enabled))",
            "delegated to S-mode (mideleg): \(names(cpu.inspectCSR(.mideleg)))",
            "taken at all (mstatus): MIE \(status >> 3 & 1), SIE \(status >> 1 & 1), in \(privilegeName)-mode",
        ]
    }
}

extension RVCSR {
    /// Registers that hold an address.
    fileprivate var holdsAddress: Bool { [.stvec, .sepc, .mtvec, .mepc, .stval, .mtval, .vstvec, .vsepc, .vstval].contains(self) }
}
