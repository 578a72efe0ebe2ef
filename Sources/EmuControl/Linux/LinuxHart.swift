/// What looking into a Linux guest needs to know of a processor; one implementation per guest architecture.
package protocol LinuxHart: DebugHart {
    /// The kernel's trap handler, an address in its image, and the translation register it is found by. Nil while the hart has no
    /// page tables of a kernel.
    var kernelHint: (address: UInt64, space: UInt64)? { get }
    /// True for addresses of the kernel's half.
    func isKernelAddress(_ address: UInt64) -> Bool
    /// Where kernels are linked to run.
    var kernelLinkAddress: UInt64 { get }
    /// What `other` would be with another root table.
    func space(rootTable: UInt64, like other: UInt64) -> UInt64

    /// The `task_struct` of the task that executes; nil when firmware does.
    var currentTask: UInt64? { get }
    /// True when a user program executes.
    var isInUserMode: Bool { get }
    /// Where in `task_struct` a task that does not execute has its program counter, and the other registers that are kept, by DWARF number.
    var savedProgramCounter: String { get }
    var savedRegisters: [(member: String, register: Int)] { get }
    /// The kernel's array of hart numbers by CPU number.
    var hartNumbersSymbol: String { get }

    /// True for the trap of a user program's system call.
    func isUserSystemCall(cause: UInt64) -> Bool
    /// True when a change of privilege returns to a user program.
    func isReturnToUser(from: UInt8, to: UInt8) -> Bool
    /// The arguments of a system call at its trap.
    var systemCallArguments: [UInt64] { get }
    /// Its result at the return to the program.
    var systemCallResult: UInt64 { get }
    /// Bytes of the instruction that makes one.
    var systemCallLength: UInt64 { get }
}
