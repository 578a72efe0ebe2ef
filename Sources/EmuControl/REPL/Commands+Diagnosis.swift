/// Explaining the guest.
extension CommandTable {
    static let diagnosis: [Command] = [
        Command(
            names: ["why"], arguments: "", section: .looking, summary: "say why the guest does not move",
            details: """
                Tells of each hart whether it works, waits (for what, and whether that can come), spins (where, and what it reads there) or is in a loop of
                exceptions (which, and how it began); and of the machine: the first illegal instruction, the last access to nothing, a jump to memory
                with no program in it, a console that was never written. It finds out by letting a copy of the harts run on for a moment over a copy
                of the memory; the guest itself does not change.
                The same text comes on Ctrl-A w while the guest runs, and from the option --watchdog.
                """,
            examples: ["why"]) { debugger, input throws(DebugError) in
            try input.refuseArguments()
            let diagnosis = try Diagnosis(debugger.session.machine, symbols: debugger.session.symbols)
            return CommandResult(diagnosis.text, diagnosis.value)
        },
    ]
}
