/// A system call as the kernel declares it.
struct LinuxSystemCall {
    struct Parameter {
        var type: String
        var name: String
    }

    let number: UInt64
    let name: String
    /// Nil when the kernel does not keep them.
    let parameters: [Parameter]?
}

/// A system call that a task made.
struct LinuxCallRecord {
    enum Outcome: Equatable {
        case value(Int64)
        /// Has not returned yet, or never does.
        case unfinished
        /// Will be made again.
        case restarted
        /// Returned to where a signal had interrupted the program.
        case resumed
    }

    let task: UInt64
    let pid: Int
    let process: Int
    let taskName: String
    let hart: Int
    let call: LinuxSystemCall
    let arguments: [UInt64]
    /// The arguments as C writes them, with the parameters' names.
    let argumentTexts: [String]
    var outcome = Outcome.unfinished

    var resultText: String {
        switch outcome {
        case .value(let value):
            if (-4095..<0).contains(value), let name = LinuxErrors.name(Int(-value)) { return "\(value) \(name)" }
            // So large it is an address.
            return value > 1 << 28 ? hexText(UInt64(value)) : String(value)
        case .unfinished, .resumed: return "?"
        case .restarted: return "? (restarted)"
        }
    }

    var text: String {
        let who = "\(pid)".padded(6) + " " + taskName.padded(15)
        return "\(who) \(call.name)(\(argumentTexts.joined(separator: ", "))) = \(resultText)\n"
    }
}

/// What the guest's kernel knows about its system calls.
extension LinuxGuest {
    /// Greater numbers are nobody's.
    private static let numberLimit: UInt64 = 1024
    private static let shownText = 64

    /// The system call with a number: from what the kernel keeps for its tracing (CONFIG_FTRACE_SYSCALLS), or else its function's name.
    func systemCall(_ number: UInt64) -> LinuxSystemCall {
        described(number) ?? LinuxSystemCall(number: number, name: functionName(number) ?? "syscall_\(number)", parameters: nil)
    }

    private func described(_ number: UInt64) -> LinuxSystemCall? {
        guard number < Self.numberLimit, let table = address("syscalls_metadata").flatMap({ memory.read($0, size: 8) }), table != 0,
            let address = memory.read(table &+ 8 * number, size: 8), address != 0, let object = try? object("syscall_metadata", at: address),
            (try? object.number("syscall_nr")) == number, let name = (try? object.number("name")).flatMap({ text($0) }),
            let count = try? object.number("nb_args"), count <= 6, let types = try? object.number("types"), let names = try? object.number("args")
        else { return nil }
        var parameters: [LinuxSystemCall.Parameter] = []
        for index in 0..<count {
            guard let type = memory.read(types &+ 8 * index, size: 8).flatMap({ text($0) }), let name = memory.read(names &+ 8 * index, size: 8).flatMap({ text($0) })
            else { return nil }
            parameters.append(.init(type: type, name: name))
        }
        return LinuxSystemCall(number: number, name: Self.bare(name), parameters: parameters)
    }

    private func text(_ address: UInt64) -> String? { memory.text(address, limit: 128).map { GuestText.line($0) } }

    private func functionName(_ number: UInt64) -> String? {
        guard number < Self.numberLimit, let start = address("sys_call_table"), table.lookup(start &+ 8 * number)?.symbol.name == "sys_call_table",
            let function = memory.read(start &+ 8 * number, size: 8), let found = table.lookup(function), found.offset == 0
        else { return nil }
        return Self.bare(found.symbol.name)
    }

    /// `openat` for `sys_openat`, or for `__riscv_sys_openat`.
    private static func bare(_ name: String) -> String {
        guard let range = name.firstRange(of: "sys_") else { return name }
        return String(name[range.upperBound...])
    }

    // MARK: Arguments

    /// Arguments as C writes them; texts are read from the program's memory.
    func argumentTexts(_ call: LinuxSystemCall, _ values: [UInt64], _ memory: LinuxMemory) -> [String] {
        guard let parameters = call.parameters else { return values.map { hexText($0) } }
        return zip(parameters, values).enumerated().map { index, pair in
            let (parameter, value) = pair
            var shown = Self.number(parameter, value)
            let stars = parameter.type.count { $0 == "*" }
            if parameter.type.hasPrefix("const char"), stars == 2, value != 0 {
                shown = Self.quotedList(memory, value) ?? hexText(value)
            } else if parameter.type.hasPrefix("const char"), stars == 1, value != 0 {
                // A buffer whose length is told next need not end in a NUL.
                let next = index + 1 < min(parameters.count, values.count) ? parameters[index + 1] : nil
                let length = next?.type == "size_t" ? Int(min(values[index + 1], UInt64(Self.shownText) + 1)) : Self.shownText + 1
                shown = Self.quoted(memory, value, length, isBuffer: next?.type == "size_t") ?? hexText(value)
            }
            return "\(parameter.name)=\(shown)"
        }
    }

    private static func quoted(_ memory: LinuxMemory, _ address: UInt64, _ length: Int, isBuffer: Bool) -> String? {
        guard let bytes = isBuffer ? memory.bytes(address, length) : memory.text(address, limit: length) else { return nil }
        return "\"" + DisplayFormat.escaped(Array(bytes.prefix(shownText))) + "\"" + (bytes.count > shownText ? "…" : "")
    }

    /// The first texts of an array of pointers that ends in a zero: a program's arguments.
    private static func quotedList(_ memory: LinuxMemory, _ address: UInt64) -> String? {
        var texts: [String] = []
        while let pointer = memory.read(address &+ 8 * UInt64(texts.count), size: 8), pointer != 0 {
            if texts.count == 4 { return "[\(texts.joined(separator: ", ")), …]" }
            guard let text = quoted(memory, pointer, shownText + 1, isBuffer: false) else { return nil }
            texts.append(text)
        }
        return texts.isEmpty ? nil : "[\(texts.joined(separator: ", "))]"
    }

    private static func number(_ parameter: LinuxSystemCall.Parameter, _ value: UInt64) -> String {
        let type = parameter.type
        if type.contains("*") { return value == 0 ? "NULL" : hexText(value) }
        let isMask = ["flag", "prot", "mask", "option"].contains { parameter.name.contains($0) }
        switch type {
        case "umode_t": return (value & 0xffff == 0 ? "" : "0") + String(value & 0xffff, radix: 8)
        case "int", "pid_t", "clockid_t", "const clockid_t", "key_t", "key_serial_t", "timer_t", "mqd_t", "__s32", "rwf_t":
            let number = Int32(truncatingIfNeeded: value)
            // AT_FDCWD, the present folder.
            if number == -100, parameter.name.hasSuffix("fd") { return "AT_FDCWD" }
            return isMask ? hexText(value & 0xffff_ffff) : String(number)
        case "unsigned int", "unsigned", "u32", "__u32", "uint32_t", "uid_t", "gid_t", "qid_t": return isMask ? hexText(value & 0xffff_ffff) : String(UInt32(truncatingIfNeeded: value))
        case "long", "off_t", "loff_t", "ssize_t", "__s64": return String(Int64(bitPattern: value))
        case "size_t": return value < 1 << 40 ? String(value) : hexText(value)
        default: return isMask || value >= 1 << 16 ? hexText(value) : String(value)
        }
    }
}
