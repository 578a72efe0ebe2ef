/// The extensions this processor can have, named as `-cpu rv64,NAME=on|off` names them.
///
/// The order is the canonical order of an ISA string (ISA manual, "ISA Extension Naming Conventions"): single letters, Zi…, Zm…,
/// Za…, Zf…, Zc…, Zb…, Zk…, Zt…, Zv…, then the machine-level Sm… and supervisor-level Ss…/Sv…. Some names bring no instruction and no
/// register: they promise something of memory or of traps (profiles, "Glossary of ISA Extensions"), and this processor keeps the promise.
public enum RVExtension: UInt8, CaseIterable, Sendable {
    case i, m, a, f, d, c, v, h
    case zic64b, zicbom, zicbop, zicboz, ziccamoa, ziccamoc, ziccif, zicclsm, ziccrse, zicfilp, zicfiss, zicntr, zicond, zicsr, zifencei, zihintntl, zihintpause, zihpm, zimop
    case za64rs, zaamo, zabha, zacas, zalrsc, zama16b, zawrs
    case zfa, zfbfmin, zfh, zfhmin
    case zca, zcb, zcd, zcmop
    case zba, zbb, zbc, zbkb, zbkc, zbkx, zbs
    case zknd, zkne, zknh, zkr, zksed, zksh, zkt
    case ztso
    case zvbb, zvbc, zvfbfmin, zvfbfwma, zvfh, zvfhmin, zvkb, zvkg, zvkned, zvknha, zvknhb, zvksed, zvksh, zvkt
    case sdtrig
    case sha, shcounterenw, shgatpa, shlcofideleg, shtvala, shvsatpa, shvstvala, shvstvecd
    case smaia, smcdeleg, smcntrpmf, smcsrind, smctr, smdbltrp, smepmp, smmpm, smnpm, smrnmi, smstateen
    case ssaia, ssccfg, ssccptr, sscofpmf, sscounterenw, sscsrind, ssctr, ssdbltrp, ssnpm, ssqosid, ssstateen, sstc, sstvala, sstvecd, ssu64xl, supm
    case svade, svadu, svbare, svinval, svnapot, svpbmt, svrsw60t59b, svvptc
    case sv39, sv48, sv57

    /// Lower-case name, as in an ISA string and on the command line.
    public var name: String { "\(self)" }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}

/// A set of extensions in one number, cheap enough to test in any instruction.
public struct RVExtensionSet: Equatable, Sendable {
    package var bits: UInt128 = 0

    public init(_ extensions: [RVExtension] = []) {
        for each in extensions { insert(each) }
    }

    @inline(__always)
    public func contains(_ each: RVExtension) -> Bool { bits >> UInt128(each.rawValue) & 1 != 0 }
    public mutating func insert(_ each: RVExtension) { bits |= 1 << UInt128(each.rawValue) }
    public mutating func remove(_ each: RVExtension) { bits &= ~(1 << UInt128(each.rawValue)) }
    package func isSubset(of other: RVExtensionSet) -> Bool { bits & ~other.bits == 0 }
    /// Members in canonical order.
    public var members: [RVExtension] { RVExtension.allCases.filter(contains) }
}

extension RVExtension {
    /// What the extension brings, in a few words.
    var summary: String {
        switch self {
        case .i: "base integer instructions"
        case .m: "integer multiplication and division"
        case .a: "atomics: zaamo and zalrsc"
        case .f: "single-precision floating point"
        case .d: "double-precision floating point"
        case .c: "compressed instructions: zca, and zcd with d"
        case .v: "vectors; see vlen"
        case .h: "hypervisor: guests in modes of their own, two-stage translation"
        case .zic64b: "cache blocks of 64 bytes"
        case .zicbom: "cache-block management"
        case .zicbop: "cache-block prefetch hints"
        case .zicboz: "cache-block zeroing"
        case .ziccamoa: "every atomic memory operation works on main memory"
        case .ziccamoc: "compare and swap of 128 bits works on main memory"
        case .ziccif: "fetches from main memory are indivisible up to 32 bits"
        case .zicclsm: "misaligned loads and stores of main memory work"
        case .ziccrse: "load-reserved and store-conditional work on main memory and come through"
        case .zicfilp: "landing pads"
        case .zicfiss: "shadow stacks"
        case .zicntr: "cycle, time and instret counters"
        case .zicond: "conditional zeroing"
        case .zicsr: "control and status registers"
        case .zifencei: "instruction-fetch fence"
        case .zihintntl: "non-temporal locality hints"
        case .zihintpause: "pause hint"
        case .zihpm: "hardware performance counters"
        case .zimop: "may-be-operations"
        case .za64rs: "reservations are of at most 64 bytes, naturally aligned"
        case .zaamo: "atomic memory operations"
        case .zabha: "byte and halfword atomics"
        case .zacas: "compare and swap"
        case .zalrsc: "load-reserved and store-conditional"
        case .zama16b: "misaligned atomics inside 16 bytes work and are indivisible"
        case .zawrs: "waiting on a reservation"
        case .zfa: "additional floating-point instructions"
        case .zfbfmin: "conversions between BF16 and single precision"
        case .zfh: "half-precision floating point"
        case .zfhmin: "half-precision loads, stores and conversions"
        case .zca: "compressed instructions without floating point"
        case .zcb: "additional compressed instructions"
        case .zcd: "compressed double-precision loads and stores"
        case .zcmop: "compressed may-be-operations"
        case .zba: "address generation"
        case .zbb: "basic bit manipulation"
        case .zbc: "carry-less multiplication"
        case .zbkb: "bit manipulation for cryptography"
        case .zbkc: "carry-less multiplication for cryptography"
        case .zbkx: "permutations of bytes and nibbles"
        case .zbs: "single-bit instructions"
        case .zknd: "AES decryption"
        case .zkne: "AES encryption"
        case .zknh: "SHA-256 and SHA-512"
        case .zkr: "entropy source, the seed register"
        case .zksed: "SM4 block cipher"
        case .zksh: "SM3 hash"
        case .zkt: "cycles do not depend on operands"
        case .ztso: "total store ordering"
        case .zvbb: "bit manipulation in vectors"
        case .zvbc: "carry-less multiplication in vectors"
        case .zvfbfmin: "conversions between BF16 and single precision in vectors"
        case .zvfbfwma: "products of BF16 added up in single precision"
        case .zvfh: "half-precision vectors"
        case .zvfhmin: "half-precision vectors, conversions only"
        case .zvkb: "bit manipulation for cryptography in vectors, a part of zvbb"
        case .zvkg: "GHASH in vectors"
        case .zvkned: "AES in vectors"
        case .zvknha: "SHA-256 in vectors"
        case .zvknhb: "SHA-256 and SHA-512 in vectors"
        case .zvksed: "SM4 in vectors"
        case .zvksh: "SM3 in vectors"
        case .zvkt: "cycles of vector instructions do not depend on operands"
        case .sdtrig: "debug triggers, for software on the hart"
        case .sha: "hypervisor as profiles want it: h and the extensions named sh… below, but for shlcofideleg"
        case .shcounterenw: "hcounteren has a bit for every counter"
        case .shgatpa: "hgatp knows every mode of satp, and none"
        case .shlcofideleg: "counter overflow interrupts may go to guests"
        case .shtvala: "htval tells the guest physical address of every fault"
        case .shvsatpa: "vsatp knows every mode of satp"
        case .shvstvala: "vstval tells the faulting address or instruction"
        case .shvstvecd: "vstvec holds any address that is a multiple of 4"
        case .smaia: "advanced interrupt architecture, machine level; with aia=aplic-imsic always on"
        case .smcdeleg: "counters delegated to supervisor mode, under menvcfg.CDE"
        case .smcntrpmf: "mode filters of mcycle and minstret"
        case .smcsrind: "registers behind a selector, machine level"
        case .smctr: "records of control transfers, machine level"
        case .smdbltrp: "double traps in machine mode are critical; traps start disabled (mstatus.MDT)"
        case .smepmp: "memory protection that binds machine mode, mseccfg"
        case .smmpm: "pointer masking in machine mode"
        case .smnpm: "pointer masking in supervisor mode"
        case .smrnmi: "resumable non-maskable interrupts; all interrupts start disabled (mnstatus.NMIE)"
        case .smstateen: "state enables, machine level"
        case .ssaia: "advanced interrupt architecture, supervisor level; with aia=aplic-imsic always on"
        case .ssccfg: "use of delegated counters"
        case .ssccptr: "page tables may lie in any main memory"
        case .sscofpmf: "counter overflow interrupts and mode filters"
        case .sscounterenw: "scounteren has a bit for every counter"
        case .sscsrind: "registers behind a selector, supervisor level"
        case .ssctr: "records of control transfers, supervisor level"
        case .ssdbltrp: "double traps in supervisor mode go to machine mode, under menvcfg.DTE"
        case .ssnpm: "pointer masking in user mode"
        case .ssqosid: "identifiers for quality of service"
        case .ssstateen: "state enables, supervisor level"
        case .sstc: "supervisor timer compare"
        case .sstvala: "stval tells the faulting address or instruction"
        case .sstvecd: "stvec holds any address that is a multiple of 4"
        case .ssu64xl: "user mode is 64-bit"
        case .supm: "pointer masking in user mode, for the system to switch"
        case .svade: "page faults on clear accessed and dirty bits"
        case .svadu: "accessed and dirty bits set by hardware, under menvcfg.ADUE"
        case .svbare: "satp can switch translation off"
        case .svinval: "fine-grained translation fences"
        case .svnapot: "64 KiB pages"
        case .svpbmt: "page-based memory types"
        case .svrsw60t59b: "bits 60 and 59 of page-table entries are the software's"
        case .svvptc: "entries made valid are seen without a fence"
        case .sv39: "three-level page tables"
        case .sv48: "four-level page tables"
        case .sv57: "five-level page tables"
        }
    }
}
