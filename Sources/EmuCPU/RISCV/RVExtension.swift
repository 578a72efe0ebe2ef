/// The extensions this processor can have, named as `-cpu rv64,NAME=on|off` names them.
///
/// The order is the canonical order of an ISA string (ISA manual, "ISA Extension Naming Conventions"): single letters, Zi…, Zm…,
/// Za…, Zf…, Zc…, Zb…, Zv…, then the machine-level Sm… and supervisor-level Ss…/Sv….
public enum RVExtension: UInt8, CaseIterable, Sendable {
    case i, m, a, f, d, c, v
    case zicbom, zicbop, zicboz, zicntr, zicond, zicsr, zifencei, zihintntl, zihintpause, zihpm, zimop
    case zaamo, zabha, zacas, zalrsc, zawrs
    case zfa, zfh, zfhmin
    case zca, zcb, zcd, zcmop
    case zba, zbb, zbc, zbs
    case zvfh, zvfhmin
    case smaia, smstateen
    case ssaia, sscofpmf, ssstateen, sstc
    case svade, svadu, svinval, svnapot, svpbmt
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
    /// Members in canonical order.
    public var members: [RVExtension] { RVExtension.allCases.filter(contains) }
}
