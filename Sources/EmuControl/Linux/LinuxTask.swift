/// A task (process, thread or kernel thread) of a Linux guest.
struct LinuxTask {
    /// Of its `task_struct`.
    let address: UInt64
    /// The kernel's number of this thread, and that of its process.
    let pid: Int
    let process: Int
    let parent: Int
    let user: Int
    /// At most 15 characters; programs may change theirs.
    let name: String
    /// As ps(1) shows it: R, S, D, T, t, X, Z, P, I.
    let state: Character
    let cpu: Int
    let isKernelThread: Bool
    /// Its `mm_struct`, 0 for kernel threads.
    let memoryMap: UInt64

    /// "sh", or "[kthreadd]" for what runs in the kernel only.
    var shownName: String { isKernelThread ? "[\(name)]" : name }
}

/// The guest's tasks.
extension LinuxGuest {
    /// Tasks listed at most; a list that is longer is damaged or hostile.
    private static let taskLimit = 1 << 15
    private static let cpuLimit = 4096

    /// The task whose `task_struct` is at an address.
    func task(at address: UInt64) throws(DebugError) -> LinuxTask {
        let object = try object("task_struct", at: address)
        let parent = try object.number("real_parent")
        let credentials = try object.number("cred")
        let flags = try object.number("flags")
        let cpu = try object.has("thread_info.cpu") ? object.number("thread_info.cpu") : object.number("cpu")
        return LinuxTask(
            address: address, pid: try object.signed("pid"), process: try object.signed("tgid"),
            parent: Int(Int32(truncatingIfNeeded: memory.read(parent &+ (try types.offset("task_struct", "tgid")), size: 4) ?? 0)),
            user: Int(Int32(truncatingIfNeeded: memory.read(credentials &+ (try types.offset("cred", "uid")), size: 4) ?? 0)),
            name: try object.text("comm"), state: try Self.state(object), cpu: Int(truncatingIfNeeded: cpu & 0xffff_ffff),
            isKernelThread: flags & Self.kernelThreadFlag != 0, memoryMap: try object.number("mm"))
    }

    /// PF_KTHREAD of include/linux/sched.h.
    private static let kernelThreadFlag: UInt64 = 0x20_0000

    /// The state's letter (include/linux/sched.h, TASK_*; fs/proc/array.c).
    private static func state(_ object: LinuxObject) throws(DebugError) -> Character {
        // Called `state` before Linux 5.14.
        let state = try object.number(object.has("__state") ? "__state" : "state") & 0xffff_ffff
        // Sleeps without counting as load.
        if state & 0x402 == 0x402 { return "I" }
        let reported = (state | (try object.number("exit_state"))) & 0x7f
        let letters: [Character] = ["R", "S", "D", "T", "t", "X", "Z", "P"]
        return letters[reported == 0 ? 0 : 64 - reported.leadingZeroBitCount]
    }

    /// Every process, with its threads if wanted, in the kernel's order.
    func tasks(threads: Bool) throws(DebugError) -> Walk<LinuxTask> {
        let first = try required("init_task")
        let leaders = try list(first &+ (try types.offset("task_struct", "tasks")), "task_struct", "tasks", limit: Self.taskLimit)
        var result = Walk<LinuxTask>(problem: leaders.problem)
        var budget = Self.taskLimit
        for address in leaders.elements {
            do throws(DebugError) {
                result.elements.append(try task(at: address))
                if threads { try addThreads(address, &result, &budget) }
            } catch {
                result.problem = error.description
            }
            if budget <= 0 { break }
        }
        return result
    }

    private func addThreads(_ leader: UInt64, _ result: inout Walk<LinuxTask>, _ budget: inout Int) throws(DebugError) {
        let signal = try object("task_struct", at: leader).number("signal")
        let head = signal &+ (try types.offset("signal_struct", "thread_head"))
        let threads = try list(head, "task_struct", "thread_node", limit: budget)
        budget -= threads.elements.count
        if let problem = threads.problem { result.problem = problem }
        for address in threads.elements where address != leader { result.elements.append(try task(at: address)) }
    }

    /// The task with a number.
    func task(pid: Int) throws(DebugError) -> LinuxTask {
        // Idle tasks are on no list.
        if pid == 0 { return try task(at: try required("init_task")) }
        let processes = try tasks(threads: false)
        if let found = processes.elements.first(where: { $0.pid == pid }) { return found }
        let all = try tasks(threads: true)
        if let found = all.elements.first(where: { $0.pid == pid }) { return found }
        throw DebugError("there is no task \(pid)" + (all.problem.map { " (\($0))" } ?? "") + "; 'guest ps' lists them")
    }

    // MARK: Address spaces

    /// What the translation register holds while a task's program executes, apart from tags the kernel gives it.
    /// - Throws: for a kernel thread, which has no address space of its own.
    func space(of task: LinuxTask) throws(DebugError) -> UInt64 {
        guard task.memoryMap != 0 else { throw DebugError("task \(task.pid), \(task.shownName), has no address space of its own: it runs in the kernel only") }
        let root = try number(task.memoryMap &+ (try types.offset("mm_struct", "pgd")))
        guard let physical = memory.hart.physical(root, space: memory.kernelSpace), physical & 0xfff == 0 else {
            throw DebugError("the page table of task \(task.pid) is not where its mm_struct says, at \(hexText(root))")
        }
        return memory.hart.space(rootTable: physical, like: memory.kernelSpace)
    }

    /// The words a program was started with; empty when they are not in memory.
    func arguments(of task: LinuxTask) -> [String] {
        guard task.memoryMap != 0, let space = try? space(of: task), let map = try? object("mm_struct", at: task.memoryMap),
            let start = try? map.number("arg_start"), let end = try? map.number("arg_end"), start < end,
            let bytes = memory.with(userSpace: space).bytes(start, Int(min(end - start, 256)))
        else { return [] }
        return bytes.split(separator: 0).map { GuestText.line($0) }
    }

    // MARK: Processors

    /// A CPU as the kernel numbers them, and what it is at.
    struct Processor {
        let cpu: Int
        /// The hart's index.
        let hart: Int
        let task: LinuxTask?
    }

    /// The CPUs that are harts of the machine, with the task each executes.
    func processors() throws(DebugError) -> [Processor] {
        let count = Int(min(try number(try required("nr_cpu_ids"), 4), UInt64(Self.cpuLimit)))
        let numbers = try required(memory.hart.hartNumbersSymbol)
        let queues = try required("runqueues"), offsets = try required("__per_cpu_offset")
        let current = try types.offset("rq", "curr")
        var result: [Processor] = []
        for cpu in 0..<count {
            let distance = 8 * UInt64(cpu)
            guard let number = memory.read(numbers &+ distance, size: 8), let offset = memory.read(offsets &+ distance, size: 8),
                let hart = session.harts.firstIndex(where: { UInt64($0.index) == number })
            else { continue }
            let running = memory.read(queues &+ offset &+ current, size: 8) ?? 0
            result.append(Processor(cpu: cpu, hart: hart, task: running == 0 ? nil : try? task(at: running)))
        }
        return result
    }

    // MARK: Stacks

    /// The hart that executes a task.
    func hart(of task: LinuxTask) -> (any LinuxHart)? {
        let running = (try? processors())?.first { $0.task?.address == task.address }
        return running.flatMap { session.harts[$0.hart] as? any LinuxHart }
    }

    /// The functions a task is in, innermost first.
    func backtrace(_ task: LinuxTask, limit: Int) throws(DebugError) -> [CallerFrame] {
        let hart = hart(of: task)
        let architecture = memory.hart.unwinding.architecture
        let registers: FrameRegisters
        if let hart { registers = hart.unwinding.registers } else { registers = try savedRegisters(task) }
        let unwinder = Unwinder(symbols: table, memory: memory.with(userSpace: try? space(of: task)), architecture: architecture)
        return Backtrace(registers, unwinder, limit: limit).frames.map { CallerFrame($0, architecture) }
    }

    private func savedRegisters(_ task: LinuxTask) throws(DebugError) -> FrameRegisters {
        let object = try object("task_struct", at: task.address)
        var registers = FrameRegisters(pc: try object.number(memory.hart.savedProgramCounter))
        for (member, register) in memory.hart.savedRegisters { registers[register] = try object.number(member) }
        return registers
    }

    /// The function in which a task that does not run waits: the first one outside of the scheduler.
    func waitingPlace(of task: LinuxTask) -> String? {
        guard task.state != "R", let start = address("__sched_text_start"), let end = address("__sched_text_end"),
            let frames = try? backtrace(task, limit: 12)
        else { return nil }
        // The first address is that of the switch itself.
        return frames.dropFirst().first { !(start..<max(start, end)).contains($0.pc) }.flatMap { table.lookup($0.pc &- 1)?.symbol.displayName }
    }
}
