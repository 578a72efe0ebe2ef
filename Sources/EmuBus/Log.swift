import Glibc
import Synchronization

/// The categories of `-d`, in QEMU's words. `LogCategory.help` feeds `-d help`.
public struct LogCategory: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var guestErrors: LogCategory { LogCategory(rawValue: 1 << 0) }
    @inlinable public static var unimplemented: LogCategory { LogCategory(rawValue: 1 << 1) }
    @inlinable public static var interrupts: LogCategory { LogCategory(rawValue: 1 << 2) }
    @inlinable public static var guestCode: LogCategory { LogCategory(rawValue: 1 << 3) }
    @inlinable public static var execution: LogCategory { LogCategory(rawValue: 1 << 4) }
    @inlinable public static var mmu: LogCategory { LogCategory(rawValue: 1 << 5) }
    @inlinable public static var cpuReset: LogCategory { LogCategory(rawValue: 1 << 6) }
    @inlinable public static var ir: LogCategory { LogCategory(rawValue: 1 << 7) }
    @inlinable public static var optimisedIR: LogCategory { LogCategory(rawValue: 1 << 8) }
    @inlinable public static var hostCode: LogCategory { LogCategory(rawValue: 1 << 9) }
    /// Logs nothing: every translated block returns to the dispatcher.
    @inlinable public static var noChaining: LogCategory { LogCategory(rawValue: 1 << 10) }
    /// What is logged of each piece of translated code.
    public static var translation: LogCategory { [.ir, .optimisedIR, .hostCode] }

    /// (category, name on the command line, help text)
    public static let all: [(category: LogCategory, name: String, help: String)] = [
        (.guestErrors, "guest_errors", "what the guest does wrong: bad accesses, malformed queues, invalid registers"),
        (.unimplemented, "unimp", "features the guest asks for that this machine does not have"),
        (.interrupts, "int", "every trap: cause, pc, value and privilege"),
        (.guestCode, "in_asm", "guest instructions of each block when it is first decoded"),
        (.ir, "ir", "intermediate code of what is translated, as made from guest code"),
        (.optimisedIR, "ir_opt", "intermediate code of what is translated, after optimisation"),
        (.hostCode, "out_asm", "host code of what is translated"),
        (.execution, "exec", "the start address of every block executed (by the interpreter)"),
        (.noChaining, "nochain", "logs nothing; each translated block returns to the dispatcher instead of jumping to the next"),
        (.mmu, "mmu", "page-table walks and TLB flushes"),
        (.cpuReset, "cpu_reset", "registers of a hart when it is reset"),
    ]
}

/// Diagnostic output selected by `-d`, written to standard error or to the file of `-D`.
public enum Log {
    @usableFromInline static let mask = Atomic<UInt32>(0)
    private static let descriptor = Atomic<Int32>(2)
    private static let firstError = Atomic<Int32>(0)

    public static var enabled: LogCategory {
        get { LogCategory(rawValue: mask.load(ordering: .relaxed)) }
        set { mask.store(newValue.rawValue, ordering: .relaxed) }
    }

    private static let filters = Mutex<[ClosedRange<UInt64>]>([])

    /// `-dfilter`: guest addresses that in_asm, ir, ir_opt, out_asm and exec are logged for; all while empty.
    public static var filter: [ClosedRange<UInt64>] {
        get { filters.withLock { $0 } }
        set { filters.withLock { $0 = newValue } }
    }

    /// Whether what concerns code at a guest address is to be logged in `category`.
    public static func isEnabled(_ category: LogCategory, at address: UInt64) -> Bool {
        isEnabled(category) && filters.withLock { $0.isEmpty || $0.contains { $0.contains(address) } }
    }

    /// Sends further lines to `fileDescriptor`, which stays owned by the caller.
    public static func redirect(to fileDescriptor: Int32) {
        descriptor.store(fileDescriptor, ordering: .relaxed)
    }

    /// Why the first lost line could not be written (`errno`); 0 while the log is complete.
    public static var writeError: Int32 { firstError.load(ordering: .relaxed) }

    @inlinable @inline(__always)
    public static func isEnabled(_ category: LogCategory) -> Bool {
        mask.load(ordering: .relaxed) & category.rawValue != 0
    }

    /// Writes one line when `category` is enabled; the message is not built otherwise.
    @inlinable @inline(__always)
    public static func write(_ category: LogCategory, _ message: @autoclosure () -> String) {
        if isEnabled(category) { emit(message()) }
    }

    @usableFromInline @inline(never)
    static func emit(_ line: String) {
        var text = line + "\n"
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let start = rest.baseAddress, !rest.isEmpty {
                let written = Glibc.write(descriptor.load(ordering: .relaxed), start, rest.count)
                if written < 0, errno == EINTR { continue }
                if written <= 0 {
                    // A lost diagnostic must not stop the guest; whoever asked for the log is told at the end.
                    _ = firstError.compareExchange(expected: 0, desired: written < 0 ? errno : EIO, ordering: .relaxed)
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        }
    }
}
