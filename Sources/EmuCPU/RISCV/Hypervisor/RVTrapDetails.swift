/// What a trap tells M-mode or HS-mode beside cause and value (privileged manual, "Transformed Instruction or Pseudoinstruction for mtinst or htinst").
struct RVTrapDetails {
    /// For mtval2 or htval: of a guest-page fault the guest physical address without its two lowest bits.
    var value: UInt64 = 0
    /// For mtinst or htinst.
    var instruction: UInt64 = 0
    /// For GVA: what xtval receives is an address of a guest's.
    var isGuests = false

    /// Pseudoinstructions: 64-bit accesses to a guest's page tables.
    static let tableRead: UInt64 = 0x3000
    static let tableWrite: UInt64 = 0x3020
}

extension RVProcessor {
    /// The details of the exception being taken; the hart is still where it was raised.
    @inline(__always)
    func details(ofException cause: UInt64, _ value: UInt64, _ pc: UInt64) -> RVTrapDetails {
        // Zeros are always allowed; what concerns no guest tells no more.
        h.pointee.isGuest || h.pointee.trapIsGuests ? details(ofGuests: cause, value, pc) : RVTrapDetails()
    }

    private func details(ofGuests cause: UInt64, _ value: UInt64, _ pc: UInt64) -> RVTrapDetails {
        var details = RVTrapDetails()
        switch cause {
        case RVCause.fetchMisaligned, RVCause.fetchAccess, RVCause.breakpoint, RVCause.fetchPage, RVCause.fetchGuestPage:
            details.isGuests = h.pointee.isGuest
        case RVCause.loadMisaligned, RVCause.loadAccess, RVCause.storeMisaligned, RVCause.storeAccess, RVCause.loadPage, RVCause.storePage,
            RVCause.loadGuestPage, RVCause.storeGuestPage:
            details.isGuests = h.pointee.trapIsGuests
        default: return details
        }
        let pseudoinstruction = h.pointee.trapPseudoinstruction
        switch cause {
        case RVCause.fetchGuestPage, RVCause.loadGuestPage, RVCause.storeGuestPage:
            // The address of a page-table entry, or the very byte that xtval tells of.
            let address = h.pointee.trapGuestAddress
            details.value = (pseudoinstruction != 0 ? address : address & ~0xfff | value & 0xfff) >> 2
        default: break
        }
        switch cause {
        case RVCause.fetchMisaligned, RVCause.fetchAccess, RVCause.breakpoint, RVCause.fetchPage: break
        case _ where pseudoinstruction != 0 && details.value != 0: details.instruction = pseudoinstruction
        case RVCause.fetchGuestPage: break
        default: details.instruction = transformedInstruction(at: pc, faulting: value)
        }
        return details
    }

    /// The load, store or atomic instruction at `pc` with its address replaced by the distance from there to the byte that faulted; 0 for others.
    private func transformedInstruction(at pc: UInt64, faulting value: UInt64) -> UInt64 {
        let (cause, trapValue) = (h.pointee.trapCause, h.pointee.trapValue)
        defer { (h.pointee.trapCause, h.pointee.trapValue) = (cause, trapValue) }
        guard let bits = fetch(pc) else { return 0 }
        let op = decoder.decode(bits)
        let base = x[Int(op.rs1)]
        let isCompressed = op.length == 2
        switch op.rv {
        case .lb, .lh, .lw, .ld, .lbu, .lhu, .lwu, .flw, .fld, .flh:
            let address = base &+ UInt64(bitPattern: Int64(op.imm))
            return Self.expansion(op.rv) | UInt64(op.rd & 31) << 7 | Self.offset(value, address) - (isCompressed ? 2 : 0)
        case .sb, .sh, .sw, .sd, .fsw, .fsd, .fsh:
            let address = base &+ UInt64(bitPattern: Int64(op.imm))
            return Self.expansion(op.rv) | UInt64(op.rs2) << 20 | Self.offset(value, address) - (isCompressed ? 2 : 0)
        case _ where bits & 0x7f == 0x2f || op.rv.isGuestAccess:
            return UInt64(bits & ~(0x1f << 15)) | Self.offset(value, base)
        default: return 0
        }
    }

    /// The field "Addr. Offset": not 0 only where a misaligned access has crossed into a second page.
    private static func offset(_ value: UInt64, _ address: UInt64) -> UInt64 {
        // Bits that pointer masking ignores count on neither side.
        let distance = (value &- address) & 0xfff
        return distance < 8 ? distance << 15 : 0
    }

    /// The 32-bit encoding of a load or store with all operands zero.
    private static func expansion(_ op: RVOp) -> UInt64 {
        let load: UInt64 = 0x03, store: UInt64 = 0x23, loadFloat: UInt64 = 0x07, storeFloat: UInt64 = 0x27
        switch op {
        case .lb: return load
        case .lh: return load | 1 << 12
        case .lw: return load | 2 << 12
        case .ld: return load | 3 << 12
        case .lbu: return load | 4 << 12
        case .lhu: return load | 5 << 12
        case .lwu: return load | 6 << 12
        case .flh: return loadFloat | 1 << 12
        case .flw: return loadFloat | 2 << 12
        case .fld: return loadFloat | 3 << 12
        case .sb: return store
        case .sh: return store | 1 << 12
        case .sw: return store | 2 << 12
        case .sd: return store | 3 << 12
        case .fsh: return storeFloat | 1 << 12
        case .fsw: return storeFloat | 2 << 12
        default: return storeFloat | 3 << 12
        }
    }
}
