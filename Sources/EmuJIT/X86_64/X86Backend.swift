import EmuBus
import EmuIR
import Glibc

/// The x86-64 back end: owns the code buffer, the runtime at its start, and the compiler.
public final class X86Backend: HostBackend {
    public let buffer: CodeBuffer
    private let state: X86State
    @exclusivity(unchecked) private var runtime = X86Runtime()
    @exclusivity(unchecked) private var compiler: X86Compiler
    private let features: HostFeatures

    /// What generated code takes for granted: x86-64-v3 without its vectors, and carry-less multiplication.
    public static let requirements: HostFeatures = [.bmi1, .bmi2, .lzcnt, .popcnt, .fma, .pclmulqdq]

    /// True on a host that can run the code made here.
    public static var isSupported: Bool { HostFeatures.current.isSuperset(of: requirements) }

    /// - Parameters:
    ///   - capacity: bytes the buffer may grow to.
    ///   - isShared: other threads access guest memory meanwhile.
    ///   - features: what code may use, the requirements at least.
    /// - Throws: when the host refuses executable memory.
    public init(layout: StateLayout, capacity: Int, isShared: Bool = false, features: HostFeatures = .current) throws(HostError) {
        buffer = try CodeBuffer(capacity: capacity)
        state = X86State(layout: layout)
        self.features = features
        compiler = X86Compiler(state, isShared: isShared, features: features)
        try assembleRuntime()
    }

    public var hasVectors: Bool { features.contains(.avx2) }
    public var hasCiphers: Bool { features.contains(.aes) }
    public var enter: UnsafeRawPointer { UnsafeRawPointer(bitPattern: runtime.enter).unsafelyUnwrapped }
    public var dispatchExit: UnsafeRawPointer { UnsafeRawPointer(bitPattern: runtime.dispatchExit).unsafelyUnwrapped }

    private func assembleRuntime() throws(HostError) {
        var asm = X86Assembler()
        let labels = state.assembleRuntime(&asm)
        guard let position = place(&asm) else { throw HostError("room for the translator's own code", ENOMEM) }
        let addresses = labels.map { UInt(bitPattern: buffer.executable(position + (asm.offset(of: $0) ?? 0))) }
        runtime.enter = addresses[0]
        runtime.dispatchExit = addresses[1]
        runtime.linkExit = addresses[2]
        runtime.budgetExit = addresses[3]
        runtime.offsetExit = addresses[4]
        runtime.bailExit = addresses[5]
        runtime.helperExit = addresses[6]
        runtime.computedExit = addresses[7]
        for helper in HelperCall.allCases {
            asm.reset()
            state.helperCall(&asm, helper, .canonical, helperExit: runtime.helperExit)
            guard let position = place(&asm) else { throw HostError("room for the translator's own code", ENOMEM) }
            runtime.calls.append(UInt(bitPattern: buffer.executable(position)))
        }
        buffer.keepUsed()
        compiler.runtime = runtime
    }

    /// Puts assembled code into the buffer; its position there, or nil without room.
    private func place(_ asm: inout X86Assembler) -> Int? {
        guard let position = buffer.allocate(asm.position), asm.link(at: UInt(bitPattern: buffer.executable(position))) else { return nil }
        asm.withBytes { buffer.write($0, at: position) }
        return position
    }

    public func compile(_ unit: IRUnit, number: UInt64, blockAddresses: [UInt], loop: LoopShape?, windows: [Int]) -> CompiledUnit? {
        let loops = loop?.innerLoops(in: unit) ?? []
        let assignment = loop.map { X86Assignment(for: unit, weights: $0.weights, addends: X86Compiler.addendCount(loops, unit)) } ?? .canonical
        guard compiler.assemble(unit, number: number, blockAddresses: blockAddresses, windows: windows, loops: loops, assignment), let position = place(&compiler.asm) else { return nil }
        return compiler.result(at: position)
    }

    public func link(_ link: CompiledUnit.Link, to entry: Int?) {
        buffer.patch32(at: link.site, Int32(truncatingIfNeeded: (entry ?? link.stub) - (link.site + 4)))
    }

    public func retire(_ entry: CompiledUnit.Entry) {
        // jmp rel32
        let displacement = UInt32(bitPattern: Int32(truncatingIfNeeded: entry.retired - (entry.position + 5)))
        let jump: [UInt8] = [0xe9] + (0..<4).map { UInt8(truncatingIfNeeded: displacement >> (8 * UInt32($0))) }
        jump.withUnsafeBytes { buffer.write($0, at: entry.position) }
    }
}
