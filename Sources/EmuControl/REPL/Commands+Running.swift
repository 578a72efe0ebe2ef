/// Running and stopping.
extension CommandTable {
    static let running: [Command] = [
        Command(
            names: ["continue", "c", "cont", "fg"], arguments: "[COUNT]", section: .running, summary: "let the guest run until something stops it",
            details: "With COUNT, the breakpoint it stands at is passed over COUNT - 1 more times. Ctrl-C stops all harts.",
            examples: ["continue", "c 10"], repeats: true) { debugger, input throws(DebugError) in
            if !input.text.isEmpty {
                let count = try count(debugger, input)
                for id in debugger.session.lastStop.breakpoints where debugger.session.breakpoint(id) != nil {
                    try debugger.session.changeBreakpoint(id) { $0.ignoreCount = count - 1 }
                }
            }
            return try debugger.run { () throws(DebugError) in try debugger.session.resume() }
        },
        Command(
            names: ["stepi", "si"], arguments: "[COUNT]", section: .running, summary: "execute one instruction, or COUNT",
            details: "Only the selected hart runs ('set step-harts all' takes the others along), and interrupts are held off ('set step-interrupts on').",
            examples: ["stepi", "si 100"], repeats: true) { debugger, input throws(DebugError) in
            let count = try count(debugger, input)
            return try debugger.run { () throws(DebugError) in try debugger.session.step(count) }
        },
        Command(
            names: ["nexti", "ni"], arguments: "[COUNT]", section: .running, summary: "like stepi, but run calls and system calls to their return",
            examples: ["nexti", "ni 5"], repeats: true) { debugger, input throws(DebugError) in
            let count = try count(debugger, input)
            return try debugger.run { () throws(DebugError) in try debugger.session.next(count) }
        },
        Command(
            names: ["step", "s"], arguments: "[COUNT]", section: .running, summary: "execute to the next source line, into calls",
            details: "Where no line numbers are known it is stepi. Calls of functions without line numbers are run to their return.",
            repeats: true) { debugger, input throws(DebugError) in
            let count = try count(debugger, input)
            return try debugger.run { () throws(DebugError) in try debugger.session.stepLine(count, into: true) }
        },
        Command(
            names: ["next", "n"], arguments: "[COUNT]", section: .running, summary: "execute to the next source line, over calls", repeats: true
        ) { debugger, input throws(DebugError) in
            let count = try count(debugger, input)
            return try debugger.run { () throws(DebugError) in try debugger.session.stepLine(count, into: false) }
        },
        Command(
            names: ["finish", "fin"], arguments: "", section: .running, summary: "run until the present function returns",
            examples: ["finish"]) { debugger, input throws(DebugError) in
            try input.refuseArguments()
            var result = try debugger.run { () throws(DebugError) in try debugger.session.finish() }
            if case .location = debugger.session.lastStop.reason, let register = debugger.session.hart.register(named: "a0") {
                let value = ExpressionValue(debugger.session.read(register), .signed)
                let number = debugger.session.record(value)
                result.text += "returned (a0): $\(number) = \(debugger.valueText(value, nil))\n"
                if case .object(let members) = result.value { result.value = .object(members + [.init(name: "returned", value: .hex(value.bits))]) }
            }
            return result
        },
        Command(
            names: ["until", "u"], arguments: "[PLACE]", section: .running, summary: "run to PLACE or until the function returns; without one, to a later instruction",
            details: "Without PLACE it is nexti that does not go back: at the end of a loop it runs the loop to its end.",
            examples: ["until", "until *0x80200010", "until main.c:30"], completion: .place, repeats: true) { debugger, input throws(DebugError) in
            if input.text.isEmpty { return try debugger.run { () throws(DebugError) in try debugger.session.untilNext() } }
            let address = try debugger.session.location(input.text)
            return try debugger.run { () throws(DebugError) in try debugger.session.until(address) }
        },
        Command(
            names: ["advance"], arguments: "PLACE", section: .running, summary: "run until any hart comes to PLACE", examples: ["advance start_kernel"],
            completion: .place) { debugger, input throws(DebugError) in
            let address = try debugger.session.location(input.text)
            return try debugger.run { () throws(DebugError) in try debugger.session.advance(address) }
        },
        Command(
            names: ["jump", "j"], arguments: "PLACE", section: .running, summary: "go on from PLACE: sets pc and continues", completion: .place
        ) { debugger, input throws(DebugError) in
            let address = try debugger.session.location(input.text)
            try debugger.session.write(try debugger.session.register("pc"), address)
            return try debugger.run { () throws(DebugError) in try debugger.session.resume() }
        },
        Command(
            names: ["reset"], arguments: "", section: .running, summary: "reset the machine; harts stand at the reset vector, breakpoints stay"
        ) { debugger, input throws(DebugError) in
            try input.refuseArguments()
            try debugger.session.reset()
            return try debugger.report(debugger.session.lastStop)
        },
        Command(
            names: ["hart", "thread", "cpu"], arguments: "[N]", section: .running, summary: "make commands be about hart N, or say which one is selected",
            examples: ["hart 1"]) { debugger, input throws(DebugError) in
            if !input.text.isEmpty {
                guard let number = Int(input.text) else { throw DebugError("'\(input.text)' is not the number of a hart") }
                try debugger.session.select(hart: number)
                debugger.nextDisassembled = nil
                debugger.nextListed = nil
            }
            let session = debugger.session
            var text = "hart \(session.selected), \(StopReport.placeText(session.pc, session))\n"
            if let instruction = session.instruction(at: session.pc) { text += "=> \(Listing.line(instruction, session))\n" }
            return CommandResult(text, .object([.init(name: "hart", value: .int(session.selected))] + StopReport.placeValue(session.pc, session)))
        },
    ]

    /// A count given as an expression; 1 without one.
    static func count(_ debugger: Debugger, _ input: CommandInput) throws(DebugError) -> Int {
        if input.text.isEmpty { return 1 }
        let value = try debugger.session.evaluate(input.text).bits
        guard value > 0, value <= 1 << 40 else { throw DebugError("'\(input.text)': the count must be at least 1") }
        return Int(value)
    }
}
