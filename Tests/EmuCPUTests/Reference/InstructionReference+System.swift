/// System instructions as M-mode meets them, and those that configure vectors.
extension InstructionReference {
    private enum Status {
        static let sie: UInt64 = 1 << 1, mie: UInt64 = 1 << 3, spie: UInt64 = 1 << 5, mpie: UInt64 = 1 << 7, spp: UInt64 = 1 << 8, mpp: UInt64 = 3 << 11
        static let mprv: UInt64 = 1 << 17
    }

    /// The fields of mstatus this follows.
    static let followedStatus: UInt64 = Status.sie | Status.mie | Status.spie | Status.mpie | Status.spp | Status.mpp | Status.mprv

    /// Nil for other instructions.
    mutating func system(_ i: Operands) -> Outcome? {
        switch i.name {
        case "ecall": return .trap(cause: 11, value: 0)
        case "ebreak": return .trap(cause: 3, value: pc)
        case "mret":
            returned(to: UInt8(status >> 11 & 3), at: mepc, enable: Status.mie, previous: Status.mpie, cleared: Status.mpp)
        case "sret":
            returned(to: status & Status.spp != 0 ? 1 : 0, at: sepc, enable: Status.sie, previous: Status.spie, cleared: Status.spp)
        case "mnret":
            // mstatus keeps all but MPRV, which modes below M lose.
            privilege = UInt8(mnstatus >> 11 & 3)
            if privilege != 3 { status &= ~Status.mprv }
            jump(mnepc)
        case "sctrclr": break
        // Nothing is pending that could be waited for, and translations are never kept too long.
        case "wfi", "wrs.nto", "wrs.sto", "sfence.vma", "sinval.vma", "sfence.w.inval", "sfence.inval.ir",
            "hfence.vvma", "hfence.gvma", "hinval.vvma", "hinval.gvma": break
        case "csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci":
            // The tests name mscratch, all of which can be written.
            guard i.field(20, 12) == 0x340 else { return nil }
            let old = mscratch, operand = i.name.hasSuffix("i") ? UInt64(i.rs1) : x[i.rs1]
            switch i.name.dropLast(i.name.hasSuffix("i") ? 1 : 0) {
            case "csrrw": mscratch = operand
            case "csrrs": mscratch |= operand
            default: mscratch &= ~operand
            }
            write(i.rd, old)
        case "vsetvli", "vsetivli", "vsetvl": configureVectors(i)
        default: return nil
        }
        return .retired
    }

    /// xPIE becomes xIE and is set, xPP becomes U, MPRV is cleared unless M-mode goes on.
    private mutating func returned(to mode: UInt8, at target: UInt64, enable: UInt64, previous: UInt64, cleared: UInt64) {
        let isEnabled = status & previous != 0
        status &= ~(enable | cleared)
        status |= previous | (isEnabled ? enable : 0)
        if mode != 3 { status &= ~Status.mprv }
        privilege = mode
        jump(target)
    }

    /// "Configuration-Setting Instructions": vtype, then vl from the application's vector length.
    private mutating func configureVectors(_ i: Operands) {
        let wanted: UInt64 = i.name == "vsetvli" ? i.field(20, 11) : i.name == "vsetivli" ? i.field(20, 10) : x[i.rs2]
        let old = vlmax(vtype)
        guard let longest = vlmax(wanted), i.name == "vsetivli" || i.rs1 != 0 || i.rd != 0 || longest == old else {
            // Not supported, or the ratio would change where vl is to be kept.
            (vtype, vl) = (1 << 63, 0)
            return write(i.rd, 0)
        }
        let length: UInt64
        if i.name == "vsetivli" {
            length = UInt64(i.rs1)
        } else if i.rs1 != 0 {
            length = x[i.rs1]
        } else {
            length = i.rd != 0 ? .max : vl
        }
        vtype = wanted
        vl = min(length, longest)
        write(i.rd, vl)
    }

    /// VLEN × LMUL ÷ SEW; nil for what a hart with ELEN of 64 cannot have.
    private func vlmax(_ vtype: UInt64) -> UInt64? {
        guard vtype < 256, vtype >> 3 & 7 < 4, vtype & 7 != 4 else { return nil }
        let width: UInt64 = 8 << (vtype >> 3 & 7), exponent = vtype & 7
        // A fraction must leave room for an element of its share of ELEN.
        if exponent > 4 { return width <= 64 >> (8 - exponent) ? vlen >> (8 - exponent) / width : nil }
        return vlen << exponent / width
    }
}
