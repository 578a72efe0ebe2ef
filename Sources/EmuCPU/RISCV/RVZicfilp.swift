import EmuBus

extension RVTable {
    /// Zicfilp: landing pads, which are `auipc` to x0.
    static let zicfilp: [RVInstruction] = [
        .init("lpad", "llllllllllllllllllll 00000 0010111", .all(.zicfilp), .landingPad, .hint, refines: "auipc"),
    ]
}

/// Kinds of blocks (`Block.mode`): code is decoded for each apart.
enum BlockMode {
    static let landingPads: UInt8 = 1
    static let recording: UInt8 = 2
}

/// Landing pads (unprivileged manual, "Zicfilp for Landing Pad"; privileged manual, section of the same name).
///
/// Where a privilege wants them, its code has blocks of its own, in which computed jumps are `jalr_lp`; nobody else asks. Such a jump only notes what
/// it expects; before the next instruction the run loop looks whether that is a landing pad, which by itself does nothing.
extension RVProcessor {
    private static let landingPadFault: UInt64 = 2

    func expectLandingPad(_ isExpected: Bool) {
        h.pointee.expectedLandingPad = isExpected ? 1 : 0
        if isExpected { h.pointee.request |= RVRequest.landingPad } else { h.pointee.request &= ~RVRequest.landingPad }
    }

    /// What blocks of the present privilege are decoded for.
    @inline(__always)
    var blockMode: UInt8 { UInt8(truncatingIfNeeded: h.pointee.fetchView.pointee.key.rights >> RVRights.blockModeShift & RVRights.blockModes) }

    /// `jalr` through a register that is not exempt: x1 and x5 hold return addresses, x7 what software guards itself.
    static func expectsLandingPad(_ r: DecodedOp) -> Bool { r.rv == .jalr && r.rs1 != 1 && r.rs1 != 5 && r.rs1 != 7 }

    /// `jalr` whose target must be a landing pad; `pc` holds the following address. False when it trapped.
    func executeGuardedJump(_ r: DecodedOp) -> Bool {
        let target = (x[Int(r.rs1)] &+ UInt64(bitPattern: Int64(r.imm))) & ~1
        guard target & ~instructionAddressMask == 0 else { return raise(RVCause.fetchMisaligned, target) }
        x[Int(r.rd)] = h.pointee.pc
        h.pointee.pc = target
        expectLandingPad(true)
        return true
    }

    /// The instruction at `pc` may come next: it is a landing pad, whose label, if it has one, is in bits 31:12 of x7. If not, the trap is noted.
    func landsOnPad(_ pc: UInt64) -> Bool {
        guard translate(pc, 2, .fetch) != nil else { return false }
        guard pc & 3 == 0 else { return raise(RVCause.softwareCheck, Self.landingPadFault) }
        guard let physical = translate(pc, 4, .fetch) else { return false }
        guard let memory = bus.codeMemory(at: physical, length: 4) else { return raise(RVCause.fetchAccess, pc) }
        let bits = (memory.host + Int(physical &- memory.base)).loadUnaligned(as: UInt32.self)
        let label = bits >> 12
        guard bits & 0xfff == 0x017, label == 0 || label == UInt32(truncatingIfNeeded: x[7]) >> 12 else {
            return raise(RVCause.softwareCheck, Self.landingPadFault)
        }
        expectLandingPad(false)
        return true
    }
}
