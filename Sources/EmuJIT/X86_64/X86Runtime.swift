/// The code units share: how translated code is entered and left, and how it calls helpers. Made once, at the buffer's start.
struct X86Runtime {
    /// Executable addresses.
    var enter: UInt = 0
    var dispatchExit: UInt = 0
    var computedExit: UInt = 0
    /// rax: target as an offset in the page, edx: site, rcx: address of the word that becomes `exitUnit`.
    var linkExit: UInt = 0
    var budgetExit: UInt = 0
    var offsetExit: UInt = 0
    var bailExit: UInt = 0
    /// Where helper calls go whose helper does not want its block to run on. The state is in memory.
    var helperExit: UInt = 0
    /// Helper calls with the canonical assignment, by `HelperCall`. rax: operand, edx: site, rcx: address of the word that holds the block.
    var calls: [UInt] = []
}

/// A run of code that works on the hart's state.
struct X86State {
    /// Behind a reference: whoever asks a part of the compiler something asks a copy of it.
    private final class Shared {
        let layout: StateLayout
        init(_ layout: StateLayout) { self.layout = layout }
    }

    private let shared: Shared
    var layout: StateLayout { shared.layout }

    init(layout: StateLayout) { shared = Shared(layout) }

    /// A field of the state as a memory operand.
    func field(_ offset: Int) -> X86Memory { X86Memory(.rbp, Int32(truncatingIfNeeded: offset) - X86Assignment.stateBias) }

    func integer(_ guest: UInt8) -> X86Memory { field(layout.integers + 8 * Int(guest)) }
    func float(_ guest: UInt8) -> X86Memory { field(layout.floats + 8 * Int(guest)) }
    func temporary(_ slot: Int) -> X86Memory { field(layout.temporaries + 8 * slot) }
    typealias Window = (page: X86Memory, limit: X86Memory, addend: X86Memory, patience: X86Memory)

    func window(_ number: Int) -> Window {
        let start = layout.windows + 32 * number
        return (field(start), field(start + 8), field(start + 16), field(start + 24))
    }
}

extension X86State {
    /// MXCSR as compiled code of the emulator expects it.
    private static let hostControl: Int32 = 0x1f80

    /// Stores all guest registers that have a home.
    func spill(_ asm: inout X86Assembler, _ assignment: X86Assignment) {
        for (guest, host) in assignment.integers { asm.mov(integer(guest), host) }
        for (guest, host) in assignment.floats { asm.movs(.double, float(guest), host) }
    }

    func reload(_ asm: inout X86Assembler, _ assignment: X86Assignment, callerSavedOnly: Bool) {
        let kept = X86Assignment.available.dropFirst(X86Assignment.callerSaved)
        for (guest, host) in assignment.integers where !callerSavedOnly || !kept.contains(host) { asm.mov(host, integer(guest)) }
        for (guest, host) in assignment.floats { asm.movq(host, float(guest)) }
        loadBox(&asm, assignment)
    }

    /// Where f registers have homes, xmm2 holds the upper half of a boxed single. Uses rcx.
    private func loadBox(_ asm: inout X86Assembler, _ assignment: X86Assignment) {
        if assignment.floats.isEmpty { return }
        asm.mov(.rcx, immediate: ~0xffff_ffff)
        asm.movq(X86Assignment.box, .rcx)
    }

    /// From the canonical assignment to another one.
    func enter(_ asm: inout X86Assembler, _ assignment: X86Assignment) {
        let canonical = X86Assignment.canonical
        for (guest, host) in canonical.integers where assignment.integerHome[Int(guest)] != host { asm.mov(integer(guest), host) }
        for (guest, host) in assignment.integers where canonical.integerHome[Int(guest)] != host { asm.mov(host, integer(guest)) }
        for (guest, host) in assignment.floats { asm.movq(host, float(guest)) }
        loadBox(&asm, assignment)
    }

    /// From an assignment to the canonical one; changes no flags and none of the scratch registers.
    func leave(_ asm: inout X86Assembler, _ assignment: X86Assignment) {
        let canonical = X86Assignment.canonical
        for (guest, host) in assignment.integers where canonical.integerHome[Int(guest)] != host { asm.mov(integer(guest), host) }
        for (guest, host) in assignment.floats { asm.movs(.double, float(guest), host) }
        for (guest, host) in canonical.integers where assignment.integerHome[Int(guest)] != host { asm.mov(host, integer(guest)) }
    }

    /// The body of a helper call, entered by `call`: stores the guest's registers, calls, and comes back with the result in rax, unless the
    /// helper wants translated code to be left.
    func helperCall(_ asm: inout X86Assembler, _ helper: HelperCall, _ assignment: X86Assignment, helperExit: UInt) {
        spill(&asm, assignment)
        // The last temporaries are kept for what functions do not preserve of the pool.
        let held = assignment.pool.enumerated().filter { !X86Assignment.available.dropFirst(X86Assignment.callerSaved).contains($1) }
        for (position, host) in held { asm.mov(temporary(layout.temporaryCount - 1 - position), host) }
        asm.mov(field(layout.remaining), .r15)
        asm.lea(.rdi, X86Memory(.rbp, -X86Assignment.stateBias))
        asm.mov(.rsi, .rax)
        asm.mov(.rcx, X86Memory(.rcx))
        asm.alu(.sub, .rsp, immediate: 8)
        let isPlain = asm.newLabel(), wasPlain = asm.newLabel(), stays = asm.newLabel()
        asm.alu(.cmp, field(layout.floatLive), immediate: 0, .long)
        asm.jcc(.e, isPlain)
        asm.stmxcsr(field(layout.floatControl))
        asm.mov(X86Memory(.rsp), immediate: Self.hostControl, .long)
        asm.ldmxcsr(X86Memory(.rsp))
        asm.bind(isPlain)
        asm.vzeroupper()
        asm.call(field(layout.helpers + 8 * helper.rawValue))
        asm.alu(.cmp, field(layout.leave), immediate: 0, .long)
        asm.jcc(.e, stays)
        asm.alu(.add, .rsp, immediate: 16)
        asm.jmp(address: helperExit)
        asm.bind(stays)
        asm.alu(.cmp, field(layout.floatLive), immediate: 0, .long)
        asm.jcc(.e, wasPlain)
        asm.ldmxcsr(field(layout.floatControl))
        asm.bind(wasPlain)
        asm.alu(.add, .rsp, immediate: 8)
        reload(&asm, assignment, callerSavedOnly: helper != .interpret)
        for (position, host) in held { asm.mov(host, temporary(layout.temporaryCount - 1 - position)) }
        asm.ret()
    }

    /// Goes to the guest address in rax: straight to its code where the jump cache knows it, else to the dispatcher.
    /// - Parameter otherwise: jumps to an exit to the dispatcher if the flags say ne.
    func jumpThroughCache(_ asm: inout X86Assembler, otherwise: (inout X86Assembler) -> Void) {
        // An index of halfwords, times 16 bytes, is the address times 8.
        asm.mov(.rcx, .rax, .long)
        asm.alu(.and, .rcx, immediate: Int32((layout.jumpEntryCount - 1) << 1), .long)
        asm.mov(.rdx, field(layout.jumps))
        asm.lea(.rcx, X86Memory(.rdx, index: .rcx, .by8))
        asm.mov(.rdx, .rax)
        asm.alu(.xor, .rdx, field(layout.jumpSalt))
        asm.alu(.cmp, .rdx, X86Memory(.rcx, Int32(layout.jumpKey)))
        otherwise(&asm)
        asm.mov(.rdx, .rax)
        asm.alu(.and, .rdx, immediate: -4096)
        asm.mov(field(layout.pageBase), .rdx)
        asm.jmp(X86Memory(.rcx, Int32(layout.jumpCode)))
    }

    /// Assembles what `X86Runtime` lists; `labels` in its order, helper calls last.
    func assembleRuntime(_ asm: inout X86Assembler) -> [X86Label] {
        let canonical = X86Assignment.canonical
        let saved: [X86Register] = [.rbp, .rbx, .r12, .r13, .r14, .r15]

        let enter = asm.here()
        for register in saved { asm.push(register) }
        asm.alu(.sub, .rsp, immediate: 8)
        asm.lea(.rbp, X86Memory(.rdi, X86Assignment.stateBias))
        asm.mov(.rax, .rsi)
        reload(&asm, canonical, callerSavedOnly: false)
        asm.mov(.r15, field(layout.remaining))
        asm.jmp(.rax)

        asm.align(to: 16)
        let bareExit = asm.here()
        asm.mov(.rax, field(layout.exitReason), .long)
        let isPlain = asm.newLabel()
        asm.alu(.cmp, field(layout.floatLive), immediate: 0, .long)
        asm.jcc(.e, isPlain)
        // After a helper the host's modes are in force already; the flags it left there are nobody's.
        asm.alu(.cmp, field(layout.leave), immediate: 0, .long)
        asm.jcc(.ne, isPlain)
        asm.stmxcsr(field(layout.floatControl))
        asm.mov(X86Memory(.rsp), immediate: Self.hostControl, .long)
        asm.ldmxcsr(X86Memory(.rsp))
        asm.bind(isPlain)
        asm.vzeroupper()
        asm.alu(.add, .rsp, immediate: 8)
        for register in saved.reversed() { asm.pop(register) }
        asm.ret()

        func exit(_ reason: CodeExit, _ prepare: (inout X86Assembler) -> Void) -> X86Label {
            asm.align(to: 16)
            let label = asm.here()
            prepare(&asm)
            asm.mov(field(layout.exitReason), immediate: Int32(reason.rawValue), .long)
            spill(&asm, canonical)
            asm.mov(field(layout.remaining), .r15)
            asm.jmp(bareExit)
            return label
        }
        func toOffset(_ asm: inout X86Assembler) {
            asm.alu(.add, .rax, field(layout.pageBase))
            asm.mov(field(layout.pc), .rax)
        }
        func withSite(_ asm: inout X86Assembler) {
            asm.mov(field(layout.exitSite), .rdx, .long)
            asm.mov(.rcx, X86Memory(.rcx))
            asm.mov(field(layout.exitUnit), .rcx)
        }
        let dispatchExit = exit(.dispatch) { $0.mov(field(layout.pc), .rax) }
        let computedExit = exit(.computed) { $0.mov(field(layout.pc), .rax) }
        let linkExit = exit(.link) { toOffset(&$0); withSite(&$0) }
        let budgetExit = exit(.budget) { toOffset(&$0); withSite(&$0) }
        let offsetExit = exit(.dispatch) { toOffset(&$0) }
        let bailExit = exit(.bail) { withSite(&$0) }

        asm.align(to: 16)
        let helperExit = asm.here()
        asm.alu(.cmp, field(layout.leave), immediate: 2, .long)
        asm.jcc(.ne, bareExit)
        asm.mov(field(layout.leave), immediate: 0, .long)
        asm.mov(.rax, field(layout.pc))
        reload(&asm, canonical, callerSavedOnly: false)
        asm.mov(.r15, field(layout.remaining))
        jumpThroughCache(&asm) { $0.jcc(.ne, dispatchExit) }
        return [enter, dispatchExit, linkExit, budgetExit, offsetExit, bailExit, helperExit, computedExit]
    }
}
