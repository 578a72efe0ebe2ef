import EmuBus
import EmuMachine
import Testing
import emulate

/// The text a command line that must not run is answered with: an error's or help.
func answer(to arguments: String...) -> String {
    do throws(CommandEnd) {
        _ = try RunOptions.parse(arguments)
        return "(accepted)"
    } catch {
        switch error {
        case .failed(let problem): return problem.description
        case .answered(let text): return text
        }
    }
}

func parse(_ arguments: String...) throws -> RunOptions { try RunOptions.parse(arguments) }

@Suite struct OptionTableTests {
    @Test func everyOptionIsTakenWithOneDashOrTwo() throws {
        for dashes in ["-", "--"] {
            let options = try parse(
                dashes + "machine", "spike", dashes + "m", "2G", dashes + "smp", "2", dashes + "append", "-x", dashes + "no-reboot",
                dashes + "time", "virtual")
            #expect(options.config.board == .spike)
            #expect(options.config.memory == 2 << 30)
            #expect(options.config.harts == 2)
            #expect(options.config.append == "-x")
            #expect(options.config.exitsOnReset)
            #expect(options.config.clock == .virtual)
        }
    }

    @Test func aValueMayFollowAnEqualsSign() throws {
        #expect(try parse("--time=virtual").config.clock == .virtual)
        #expect(try parse("-append=a=b").config.append == "a=b")
        #expect(answer(to: "--stats=yes") == "-stats: takes no value")
    }

    @Test func namesAreUnique() {
        let names = RunCommand.options.options.flatMap(\.names)
        #expect(Set(names).count == names.count)
        #expect(Set(names).isDisjoint(with: RunCommand.options.missing.keys))
    }

    @Test func everyOptionAppearsInHelp() {
        let help = answer(to: "-h")
        for option in RunCommand.options.options { #expect(help.contains("  " + option.usage)) }
        #expect(answer(to: "--help") == help)
    }

    @Test func aFileIsWhatIsNoOption() throws {
        #expect(try parse("-m", "1G", "Image").path == "Image")
        #expect(try parse("--", "-odd").path == "-odd")
        #expect(answer(to: "a", "b") == "b: only one file can be given without an option; use -drive file=… for further disks")
    }

    @Test(arguments: [
        ("-machne", "-machne: unknown option; did you mean -machine?; 'emulate -h' lists them all"),
        ("--kernal", "--kernal: unknown option; did you mean -kernel?; 'emulate -h' lists them all"),
        ("-qqqqqqqq", "-qqqqqqqq: unknown option; 'emulate -h' lists them all"),
        ("---m", "---m: unknown option; did you mean -m?; 'emulate -h' lists them all"),
        ("-vnc", "-vnc: a QEMU option that emulate does not have; the console is on -serial"),
        ("-qmp", "-qmp: a QEMU option that emulate does not have"),
        ("-kernel", "-kernel: needs a value: FILE"),
    ])
    func unknownOptionsNameTheNearest(option: String, message: String) {
        #expect(answer(to: option) == message)
    }

    @Test func anOptionInPlaceOfAValueIsPointedOut() {
        #expect(answer(to: "-kernel", "-nographic") == "-kernel: needs a value (FILE), but the next word is the option -nographic")
    }
}

@Suite struct PropertyListTests {
    @Test func commasSeparateAndDoubledCommasStay() {
        #expect(PropertyList.split("a,b") == ["a", "b"])
        #expect(PropertyList.split("file=a,,b,if=none") == ["file=a,b", "if=none"])
        #expect(PropertyList.split("a,,,b") == ["a,", "b"])
        #expect(PropertyList.split(",,,,") == [",,"])
        #expect(PropertyList.split("") == [""])
    }

    @Test func aBooleanPropertyMayStandAlone() throws {
        let drive = try parse("-drive", "file=x,readonly,nosnapshot").config.drives[0]
        #expect(drive.isReadOnly)
        #expect(!drive.isSnapshot)
    }
}
