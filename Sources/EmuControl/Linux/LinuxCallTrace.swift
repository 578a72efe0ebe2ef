import EmuCPU

/// Follows the system calls of a running guest, from the events of its harts.
final class LinuxCallTrace: Instrument {
    private struct Pending {
        let record: LinuxCallRecord
        /// Of the call, and of what follows it.
        let pc: UInt64
        let next: UInt64
    }

    private let guest: LinuxGuest
    /// Only this task, or the tasks of this process.
    private let only: Int?
    private let limit: Int
    private let show: (LinuxCallRecord) -> Void
    private var known: [UInt64: LinuxSystemCall] = [:]
    /// Calls that have not returned, by the task; several where handlers of signals make calls before the one they interrupted has returned.
    private var pending: [UInt64: [Pending]] = [:]
    /// Guests that invent tasks, or leave handlers without returning, are not followed for ever.
    private static let taskLimit = 1 << 16
    private static let depthLimit = 16
    /// Records kept for programs; the texts are shown as they come.
    private static let keptLimit = 10_000

    /// Calls that have returned.
    private(set) var count = 0
    /// The latest of them.
    private(set) var records: [LinuxCallRecord] = []

    /// - Parameter limit: calls after which the guest stops.
    init(_ guest: LinuxGuest, only: Int?, limit: Int, show: @escaping (LinuxCallRecord) -> Void) {
        self.guest = guest
        self.only = only
        self.limit = limit
        self.show = show
    }

    let wantsInstructions = false
    let watchedData: [HartWatch.Data] = []
    let watchedEvents: HartWatch.Events = [.traps, .privilege]
    func willExecute(_ hart: any DebugHart, pc: UInt64, physical: UInt64) {}

    func observe(_ hart: any DebugHart, _ event: HartEvent) {
        guard count < limit, let hart = hart as? any LinuxHart else { return }
        switch event {
        case .trap(let cause, _, let pc, _, _) where hart.isUserSystemCall(cause: cause): enter(hart, pc)
        case .privilege(let from, let to, _) where hart.isReturnToUser(from: from, to: to): leave(hart)
        default: return
        }
        if count >= limit { guest.session.interrupt() }
    }

    private func enter(_ hart: any LinuxHart, _ pc: UInt64) {
        guard let task = hart.currentTask, pending[task] != nil || pending.count < Self.taskLimit, let who = identity(task) else { return }
        if let only, who.pid != only, who.process != only { return }
        let number = hart.systemCallNumber, arguments = hart.systemCallArguments
        let call = known[number] ?? guest.systemCall(number)
        if known.count < 4096 { known[number] = call }
        let memory = guest.memory.with(userSpace: hart.space)
        let record = LinuxCallRecord(
            task: task, pid: who.pid, process: who.process, taskName: who.name, hart: hart.index, call: call, arguments: arguments,
            argumentTexts: guest.argumentTexts(call, arguments, memory))
        var calls = pending[task] ?? []
        if calls.count >= Self.depthLimit { calls.removeFirst() }
        calls.append(Pending(record: record, pc: pc, next: pc &+ hart.systemCallLength))
        pending[task] = calls
    }

    private func leave(_ hart: any LinuxHart) {
        guard let task = hart.currentTask, var calls = pending[task] else { return }
        // Back from a handler: then the call that its signal interrupted may return, too.
        if let last = calls.last, last.record.call.name == "rt_sigreturn" {
            calls.removeLast()
            add(last.record, .resumed)
        }
        if let last = calls.last {
            // A program that was replaced starts anew.
            let isReplaced = ["execve", "execveat"].contains(last.record.call.name) && hart.systemCallResult == 0
            if hart.pc == last.next || isReplaced {
                calls = isReplaced ? [] : calls.dropLast()
                add(last.record, .value(Int64(bitPattern: hart.systemCallResult)))
            } else if hart.pc == last.pc {
                calls.removeLast()
                add(last.record, .restarted)
            }
        }
        pending[task] = calls.isEmpty ? nil : calls
    }

    private func add(_ record: LinuxCallRecord, _ outcome: LinuxCallRecord.Outcome) {
        var record = record
        record.outcome = outcome
        count += 1
        if records.count >= Self.keptLimit { records.removeFirst(Self.keptLimit / 2) }
        records.append(record)
        show(record)
    }

    /// Shows the calls that have not returned.
    func finish() {
        for call in pending.values.joined().sorted(by: { $0.record.pid < $1.record.pid }) {
            if records.count < 2 * Self.keptLimit { records.append(call.record) }
            show(call.record)
        }
        pending = [:]
    }

    private func identity(_ task: UInt64) -> (pid: Int, process: Int, name: String)? {
        guard let places = try? (guest.types.offset("task_struct", "pid"), guest.types.offset("task_struct", "tgid"), guest.types.offset("task_struct", "comm")),
            let pid = guest.memory.read(task &+ places.0, size: 4), let process = guest.memory.read(task &+ places.1, size: 4),
            let name = guest.memory.text(task &+ places.2, limit: 16)
        else { return nil }
        return (Int(Int32(truncatingIfNeeded: pid)), Int(Int32(truncatingIfNeeded: process)), GuestText.line(name))
    }
}
