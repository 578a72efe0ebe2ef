import EmuMachine
import Foundation
import Glibc
import Testing
import emulate

/// The built command from outside: its streams, its exit codes.
@Suite(.serialized) struct CommandTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func run(_ arguments: String..., seconds: Double = Subprocess.patience) throws -> (output: String, errors: String, ending: Subprocess.Ending) {
        let run = try Subprocess(arguments)
        run.endInput()
        let output = run.outputToEnd(seconds: seconds)
        let errors = run.errorsToEnd(seconds: seconds)
        return (output, errors, run.wait(seconds: seconds))
    }

    @Test func versionIsReadableForToolsThatKnowQEMU() throws {
        let result = try run("--version")
        #expect(result.ending == .code(0))
        #expect(result.output.hasPrefix("emulate version \(Version.number)\n"))
        #expect(result.output.contains(/QEMU emulator version \d+\.\d+\.\d+/))
        #expect(result.errors.isEmpty)
    }

    @Test(arguments: [["-h"], ["--help"], ["run", "-help"], ["-machine", "help"], ["-cpu", "?"], ["-device", "help"], ["-d", "help"]])
    func helpGoesToStandardOutput(arguments: [String]) throws {
        let run = try Subprocess(arguments)
        #expect(!run.outputToEnd().isEmpty)
        #expect(run.wait() == .code(0))
    }

    @Test func wrongUsageIsOneLineAndExitCode1() throws {
        for arguments in [["-machne", "virt"], ["-m", "0"], ["-cpu", "rv65"], ["-smp", "0"], ["-kernel", "/nonexistent"], [], ["/nonexistent"]] {
            let run = try Subprocess(arguments)
            let errors = run.errorsToEnd()
            #expect(errors.hasPrefix("emulate: ") && errors.filter { $0 == "\n" }.count == 1, "\(arguments): \(errors)")
            #expect(run.outputToEnd() == "")
            #expect(run.wait() == .code(1))
        }
    }

    @Test func helpToAClosedOutputIsAnError() throws {
        let run = try Subprocess(["-h"], output: .file("/dev/full"))
        #expect(run.wait() == .code(1))
    }

    @Test func aGuestWorksOnPipesAndItsEndIsTheCommands() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-bios", "none", "-kernel", guest, "--stats"])
        run.send("hello!")
        #expect(run.outputToEnd() == ">hello!")
        #expect(run.errorsToEnd().contains("instructions in"))
        #expect(run.wait() == .code(0))
    }

    @Test func keysAndMonitorSayWhyTheGuestDoesNotMove() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        try #require(run.waitFor(">"))
        run.send("\u{1}w")
        #expect(run.waitFor("uart0+0x5 at 0x10000005"))
        #expect(run.waitFor("uart0: 1 character written so far"))
        run.send("\u{1}cwhy\rquit\r")
        #expect(run.outputToEnd().contains("for a character on uart0, looking for it again and again"))
        #expect(run.wait() == .code(0))
    }

    @Test func theWatchdogExplainsAndEndsWithTheCodeAskedFor() throws {
        let guest = try directory.program("spin.bin", [0x0000_006f])
        let run = try Subprocess(["-bios", "none", "-kernel", guest, "--watchdog", "1,exit=3"])
        let errors = run.errorsToEnd()
        // On a busy machine it may come to look late.
        let pattern = /emulate: --watchdog: the guest made no progress for \d+ s\nthe guest does not get any further\nhart 0: executes one instruction/
        #expect(errors.prefixMatch(of: pattern) != nil, "\(errors)")
        #expect(errors.hasSuffix("emulate: --watchdog: ends here with exit code 3\n"))
        #expect(run.wait() == .code(3))
    }

    @Test(arguments: ["", "0", "soon", "5,exit=0", "5,exit=256", "5,code=1"]) func theWatchdogWantsSeconds(value: String) throws {
        let run = try Subprocess(["-watchdog", value, "-kernel", "/nonexistent"])
        #expect(run.errorsToEnd().hasPrefix("emulate: -watchdog: "))
        #expect(run.wait() == .code(1))
    }

    @Test func theEndOfInputDoesNotEndTheGuest() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        run.send("a")
        #expect(run.waitFor(">a"))
        run.endInput()
        #expect(run.wait(seconds: 0.3) == .timeout)
    }

    @Test func escapeXWorksOnAPipe() throws {
        let guest = try directory.program("flood.bin", TestGuest.flood)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        run.send("\u{1}x")
        #expect(run.outputToEnd().hasSuffix("emulate: terminated\r\n"))
        #expect(run.wait() == .code(0))
    }

    @Test func aGuestStartedStoppedWaitsForTheMonitor() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-S", "-bios", "none", "-kernel", guest])
        run.send("\u{1}cinfo status\n")
        #expect(run.waitFor("VM status: paused"))
        #expect(!run.text.contains(">\r") && !run.text.hasPrefix(">"))
        run.send("cont\ninfo status\n")
        #expect(run.waitFor("VM status: running"))
        run.send("\u{1}c!")
        #expect(run.outputToEnd().contains("!"))
        #expect(run.wait() == .code(0))
    }

    @Test func inputBeyondTheGuestsFIFOWaits() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-bios", "none", "-kernel", guest, "-serial", "stdio"])
        let text = String((0..<2000).flatMap { Array("\($0) ") })
        run.send(text + "!")
        #expect(run.outputToEnd() == ">" + text + "!")
        #expect(run.wait() == .code(0))
    }

    @Test func closedOutputEndsTheRunWithAnError() throws {
        let guest = try directory.program("flood.bin", TestGuest.flood)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        #expect(run.waitFor("xxx"))
        run.endOutput()
        #expect(run.errorsToEnd().contains("standard output: Broken pipe"))
        #expect(run.wait() == .code(1))

        let closed = try Subprocess(["-bios", "none", "-kernel", guest], output: .closed)
        #expect(closed.errorsToEnd().contains("standard output: Bad file descriptor"))
        #expect(closed.wait() == .code(1))
    }

    @Test func aReaderThatDoesNotReadMakesTheGuestWaitAndSignalsStillWork() throws {
        let guest = try directory.program("flood.bin", TestGuest.flood)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        usleep(300_000)
        run.signal(SIGTERM)
        #expect(run.wait() == .signal(SIGTERM))
    }

    @Test func escapeXWorksWhileNobodyReadsTheOutput() throws {
        let guest = try directory.program("flood.bin", TestGuest.flood)
        let run = try Subprocess(["-bios", "none", "-kernel", guest])
        usleep(500_000)
        // Answers to keys have no place to go either.
        for _ in 0..<2000 { run.send("\u{1}h") }
        run.send("\u{1}x")
        #expect(run.wait() == .code(0))
    }

    private func waitForText(_ text: String, in file: String) {
        let deadline = Date(timeIntervalSinceNow: Subprocess.patience)
        while (try? String(contentsOfFile: file, encoding: .utf8)) != text, deadline.timeIntervalSinceNow > 0 { usleep(5000) }
    }

    @Test func noStreamAtAllIsNoObstacle() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let log = directory.path("log")
        let run = try Subprocess(
            ["-bios", "none", "-kernel", guest, "-serial", "file:\(log)"], input: .closed, output: .closed, errors: .closed)
        waitForText(">", in: log)
        #expect(try String(contentsOfFile: log, encoding: .utf8) == ">")
        run.signal(SIGTERM)
        #expect(run.wait() == .signal(SIGTERM))
    }

    @Test func aSerialFileIsEmptiedFirstAndAnImpossibleOneRefused() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let log = try directory.file("log", Array("old contents".utf8))
        let run = try Subprocess(["-bios", "none", "-kernel", guest, "-serial", "file:\(log)", "-monitor", "stdio"])
        #expect(run.waitFor("(emulate) "))
        waitForText(">", in: log)
        run.send("quit\n")
        #expect(run.wait() == .code(0))
        #expect(try String(contentsOfFile: log, encoding: .utf8) == ">")

        let refused = try self.run("-bios", "none", "-kernel", guest, "-serial", "file:/nonexistent/log")
        #expect(refused.errors == "emulate: -serial file:/nonexistent/log: cannot create it: No such file or directory\n")
        #expect(refused.ending == .code(1))
    }

    @Test func aSlowReaderOfASerialPipeDoesNotStopTheMachine() throws {
        let path = directory.path("pipe")
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        let line = try DescriptorBackend.file(path)
        // More than a pipe holds: the rest waits here, not in write(2).
        line.write([UInt8](repeating: 0x61, count: 64 << 10))
        line.write([UInt8](repeating: 0x62, count: 32 << 10))
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while received.count < 96 << 10 {
            let count = read(reader, &chunk, chunk.count)
            if count > 0 { received += chunk[..<count] }
            line.drain(seconds: 0)
        }
        #expect(received == [UInt8](repeating: 0x61, count: 64 << 10) + [UInt8](repeating: 0x62, count: 32 << 10))
    }

    @Test func aLogThatCouldNotBeWrittenIsAnErrorAtTheEnd() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let run = try Subprocess(["-bios", "none", "-kernel", guest, "-d", "in_asm", "-D", "/dev/full"])
        run.send("hello!")
        #expect(run.outputToEnd() == ">hello!")
        #expect(run.errorsToEnd() == "emulate: -D /dev/full: lines are missing at its end: No space left on device\n")
        #expect(run.wait() == .code(1))
    }

    @Test func standardStreamsHaveOneUser() throws {
        let guest = try directory.program("echo.bin", TestGuest.echo)
        let result = try run("-bios", "none", "-kernel", guest, "-serial", "stdio", "-monitor", "stdio")
        #expect(result.errors.contains("already in use"))
        #expect(result.ending == .code(1))
    }
}

@Suite struct SerialConsoleTests {
    @Test func theSerialPortComesBeforeVirtioConsolesOnASharedLine() throws {
        let directory = try TemporaryDirectory()
        var config = try RunOptions.parse([
            "-bios", "none", "-chardev", "null,id=a", "-chardev", "null,id=b", "-device", "virtio-serial-device", "-device",
            "virtconsole,chardev=b", "-serial", "chardev:a",
        ]).config
        config.kernel = try directory.program("echo.bin", TestGuest.echo)
        var order: [String?] = []
        _ = try Machine(config, host: MachineHost { line in
            order.append(line.id)
            return NullBackend()
        })
        #expect(order == ["a", "b"])
    }

    @Test func aLineIsSharedOnlyWithMux() throws {
        let console = SerialConsole(version: "1")
        var shared = CharacterConfig(.null, id: "a")
        #expect(try console.makeBackend(shared) != nil)
        #expect(throws: ConfigError.self) { try console.makeBackend(shared) }
        let directory = try TemporaryDirectory()
        shared = CharacterConfig(.file(directory.path("log")), id: "b")
        shared.isMultiplexed = true
        let ports = try [console.makeBackend(shared), console.makeBackend(shared)]
        for (port, text) in zip(ports, ["one ", "two"]) { port?.write(Array(text.utf8)) }
        console.finish()
        #expect(try String(contentsOfFile: directory.path("log"), encoding: .utf8) == "one two")
    }
}

@Suite struct FileRecognitionTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func recognise(_ bytes: [UInt8]) throws -> FileKind { try FileKind.recognise(try directory.file("file", bytes)) }

    private func image(_ size: Int, _ marks: [(Int, [UInt8])]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        for (offset, mark) in marks { bytes.replaceSubrange(offset..<offset + mark.count, with: mark) }
        return bytes
    }

    @Test func programsAndKernelsAreToldByTheirMagicNumbers() throws {
        #expect(try recognise([0x7f, 0x45, 0x4c, 0x46, 2, 1]) == .program)
        // Nothing is read that could not be read again.
        #expect(try FileKind.recognise("/dev/zero") == .other("a pipe or device", advice: "say what comes out of it with -kernel, -bios or -initrd"))
        let header = image(4096, [(0, Array("MZ".utf8)), (16, [0, 0, 0x10]), (48, Array("RISCV".utf8)), (56, [0x52, 0x53, 0x43, 5])])
        #expect(try recognise(header) == .kernel)
        #expect(try recognise([0x27, 0x05, 0x19, 0x56]) == .kernel)
    }

    @Test func disksAreToldByWhatTheyHold() throws {
        #expect(try recognise(image(1 << 20, [(510, [0x55, 0xaa])])) == .disk("a disk image with a partition table or boot sector"))
        let protectiveAndGPT = image(1 << 20, [(510, [0x55, 0xaa]), (512, Array("EFI PART".utf8))])
        #expect(try recognise(protectiveAndGPT) == .disk("a disk image with a GPT partition table"))
        #expect(try recognise(image(1 << 20, [(0x438, [0x53, 0xef])])) == .disk("an ext2, ext3 or ext4 file system"))
        #expect(try recognise(image(1 << 20, [(0x8001, Array("CD001".utf8))])) == .disk("an ISO 9660 image"))
        #expect(try recognise(image(1 << 20, [])) == .disk("a blank disk image"))
        #expect(try recognise([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]) == .disk("a qcow2 disk image"))
    }

    @Test func otherFilesAreNamedWithTheRemedy() throws {
        guard case .other("a device tree", _) = try recognise([0xd0, 0x0d, 0xfe, 0xed]) else {
            Issue.record("device tree not recognised")
            return
        }
        #expect(try recognise([]) == .other("empty", advice: "nothing can be run from it"))
        #expect(try recognise(Array("just text\n".utf8)) == .unknown)
        #expect(throws: ImageError("it is a directory")) { try FileKind.recognise(directory.url.path) }
    }

    @Test func loadingAFileReportsProgressUpToItsSize() throws {
        let path = try directory.file("large", [UInt8](repeating: 1, count: 10 << 20))
        var reports: [UInt64] = []
        let source = try FileSource.open(path, limit: .max) { file, done, total in
            #expect(file == path && total == 10 << 20)
            reports.append(done)
        }
        _ = try source.bytes(at: 0, 10 << 20)
        #expect(reports.last == 10 << 20)
        #expect(reports.count > 1 && reports == reports.sorted())
    }

    @Test func aDiskAloneNeedsSomethingThatBootsIt() throws {
        let disk = try directory.file("disk.img", image(1 << 20, [(510, [0x55, 0xaa])]))
        var alone = try RunOptions.parse([disk])
        alone.findFirmware = { nil }
        do throws(CommandEnd) {
            try alone.recognisePath()
            Issue.record("accepted")
        } catch {
            guard case .failed(let problem) = error else { throw error }
            #expect(problem.description.contains("'apt install qemu-efi-riscv64'"))
        }
        var withKernel = try RunOptions.parse(["-kernel", "Image", disk, "-hda", "other"])
        try withKernel.recognisePath()
        #expect(withKernel.config.drives.map(\.file) == [disk, "other"])
    }

    @Test func aDiskAloneIsBootedByFirmwareOfTheHost() throws {
        let disk = try directory.file("disk.img", image(1 << 20, [(510, [0x55, 0xaa])]))
        let description = """
            {"mapping": {"device": "flash", "executable": {"filename": "\(disk)", "format": "raw"},
             "nvram-template": {"filename": "\(disk)", "format": "raw"}}, "targets": [{"architecture": "riscv64", "machines": ["virt"]}]}
            """
        try FileManager.default.createDirectory(atPath: directory.path("usr/share/qemu/firmware"), withIntermediateDirectories: true)
        _ = try directory.file("usr/share/qemu/firmware/a.json", Array(description.replacingOccurrences(of: directory.url.path, with: "").utf8))
        let root = directory.url.path
        var alone = try RunOptions.parse([disk, "-snapshot"])
        alone.findFirmware = { UEFIFirmware.find(root: root) }
        try alone.recognisePath()
        try alone.refuseNothingToRun()
        #expect(alone.config.memory == 2 << 30)
        #expect(alone.config.drives.map(\.interface) == [.virtio, .pflash, .pflash] && alone.config.drives.map(\.unit) == [nil, 0, 1])
        var small = try RunOptions.parse([disk, "-snapshot", "-m", "512M"])
        small.findFirmware = alone.findFirmware
        try small.recognisePath()
        #expect(small.config.memory == 512 << 20)
    }
}
