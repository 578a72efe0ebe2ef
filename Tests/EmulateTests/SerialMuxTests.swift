import EmuBus
import EmuDevices
import EmuMachine
import Foundation
import Testing

/// The host's side of a line in memory.
final class MemoryLine: CharacterBackend {
    weak var frontend: (any CharacterFrontend)?
    var output: [UInt8] = []
    var breaks = 0

    func write(_ bytes: UnsafeRawBufferPointer) { output += bytes }
    func setBreak(_ active: Bool) { if active { breaks += 1 } }
    func frontendReady() {}

    var text: String { String(decoding: output, as: UTF8.self) }
    func type(_ text: String) { frontend?.receive(Array(text.utf8)) }
    func take() -> String {
        defer { output = [] }
        return text
    }
}

/// A guest's device in memory.
final class MemoryDevice: CharacterFrontend {
    var receiveCapacity = 1000
    var input: [UInt8] = []
    var breaks = 0

    func receive(_ bytes: [UInt8]) {
        input += bytes
        receiveCapacity -= bytes.count
    }
    func receiveBreak() { breaks += 1 }
    var text: String { String(decoding: input, as: UTF8.self) }
}

@Suite struct SerialMuxTests {
    final class Clock {
        var time: UInt64 = 0
    }

    let line = MemoryLine()
    let first = MemoryDevice()
    let second = MemoryDevice()
    let clock = Clock()
    let ports: (SerialMux.Port, SerialMux.Port)
    let mux: SerialMux

    init() {
        mux = SerialMux(line: line, now: { [clock] in clock.time })
        ports = (mux.addPort(), mux.addPort())
        ports.0.frontend = first
        ports.1.frontend = second
    }

    @Test func inputGoesToTheFirstPortAndOutputOfAllIsShown() {
        line.type("abc")
        ports.0.write(Array("1".utf8))
        ports.1.write(Array("2".utf8))
        #expect(first.text == "abc")
        #expect(second.text == "")
        #expect(line.text == "12")
    }

    @Test func escapeCSwitchesTheFocusInTurn() {
        var focused = 0
        ports.1.onFocus = { focused += 1 }
        line.type("a\u{1}cb\u{1}Cd")
        #expect(first.text == "ad")
        #expect(second.text == "b")
        #expect(focused == 1)
    }

    @Test func escapeTwiceSendsTheEscapeCharacter() {
        line.type("x\u{1}\u{1}y")
        #expect(first.input == [0x78, 1, 0x79])
    }

    @Test func escapeIsRecognisedAcrossReads() {
        var quits = 0
        mux.onQuit = { quits += 1 }
        line.type("\u{1}")
        #expect(quits == 0)
        line.type("x")
        #expect(quits == 1)
        #expect(first.text == "")
    }

    @Test func escapeBSendsABreakToThePortInFocus() {
        line.type("\u{1}b\u{1}c\u{1}b\u{1}b")
        #expect(first.breaks == 1)
        #expect(second.breaks == 2)
    }

    @Test func escapeSSyncsAndUnknownKeysAreSwallowed() {
        var syncs = 0
        mux.onSync = { syncs += 1 }
        line.type("\u{1}s\u{1}q\u{1}1z")
        #expect(syncs == 1)
        #expect(first.text == "z")
    }

    @Test func escapeWPrintsAnExplanation() {
        line.type("\u{1}w")
        #expect(line.text == "")
        mux.onExplain = { "it sleeps\nwell\n" }
        line.type("\u{1}w")
        #expect(line.text == "\r\nit sleeps\r\nwell\r\n")
        #expect(first.text == "")
    }

    @Test(arguments: ["h", "?"]) func helpListsEveryKey(key: String) {
        line.type("\u{1}" + key)
        for command in SerialMux.Command.allCases { #expect(line.text.contains("C-a \(command.key)    \(command.summary)\r\n")) }
        #expect(line.text.contains("C-a C-a  sends C-a\r\n"))
        #expect(first.text == "")
    }

    @Test func timestampsBeginEveryLine() {
        line.type("\u{1}t")
        clock.time = 3_723_004 * 1_000_000
        ports.0.write(Array("a\nb".utf8))
        clock.time += 1_000_000
        ports.0.write(Array("c\nd".utf8))
        #expect(line.take() == "[01:02:03.004] a\n[01:02:03.004] bc\n[01:02:03.005] d")
        line.type("\u{1}t")
        ports.0.write(Array("\ne\n".utf8))
        #expect(line.text == "\ne\n")
    }

    @Test func inputWaitsForADeviceThatIsFullAndCommandsStillWork() {
        first.receiveCapacity = 2
        var quits = 0
        mux.onQuit = { quits += 1 }
        line.type("abcdef\u{1}x")
        #expect(first.text == "ab")
        #expect(quits == 1)
        first.receiveCapacity = 3
        ports.0.frontendReady()
        #expect(first.text == "abcde")
        first.receiveCapacity = 10
        ports.0.frontendReady()
        #expect(first.text == "abcdef")
    }

    @Test func aDeviceThatNeverReadsEndsTheReadingOfTheLine() {
        first.receiveCapacity = 0
        #expect(mux.receiveCapacity == SerialMux.pendingLimit)
        line.frontend?.receive([UInt8](repeating: 0x61, count: SerialMux.pendingLimit))
        #expect(mux.receiveCapacity == 0)
        first.receiveCapacity = SerialMux.pendingLimit
        ports.0.frontendReady()
        #expect(mux.receiveCapacity == SerialMux.pendingLimit)
    }

    @Test func anotherEscapeCharacterCanBeChosen() {
        let line = MemoryLine()
        let mux = SerialMux(line: line, escape: 0x14)
        let port = mux.addPort()
        port.frontend = first
        line.type("\u{1}\u{14}h")
        #expect(first.input == [1])
        #expect(line.text.contains("C-t x    exit emulator"))
    }

    @Test func aBreakOfTheGuestReachesTheLine() {
        ports.1.setBreak(true)
        #expect(line.breaks == 1)
    }
}

@Suite struct MonitorTests {
    final class Target: MonitorTarget {
        var calls: [String] = []
        var statusLine: String { "running" }
        var explanation: String { "it sleeps\n" }
        func registers(hart: Int?) -> String { "registers of \(hart.map(String.init) ?? "all")" }
        func pause() { calls.append("pause") }
        func resume() { calls.append("resume") }
        func reset() { calls.append("reset") }
        func commit() { calls.append("commit") }
        func plug(_ device: String) -> String? {
            calls.append("plug " + device)
            return device.hasPrefix("virtio") ? nil : "unknown device"
        }
        func unplug(_ id: String) -> String? {
            calls.append("unplug " + id)
            return nil
        }
        func quit() { calls.append("quit") }
        var peripherals = MachinePeripherals()
    }

    let line = MemoryLine()
    let target = Target()
    let monitor: Monitor

    init() {
        monitor = Monitor(line: line, version: "1.2.3")
        monitor.target = target
        monitor.show()
        _ = line.take()
    }

    @Test func bannerComesOnceAndThePromptEachTime() {
        let line = MemoryLine()
        let monitor = Monitor(line: line, version: "1.2.3")
        monitor.show()
        #expect(line.take() == "\r\nemulate 1.2.3 monitor - type 'help' for more information\r\n(emulate) ")
        monitor.show()
        #expect(line.take() == "\r\n(emulate) ")
        _ = monitor
    }

    @Test func commandsReachTheMachine() {
        line.type("stop\rcont\nc\rs\rsystem_reset\rcommit all\rquit\rq\r")
        #expect(target.calls == ["pause", "resume", "resume", "pause", "reset", "commit", "quit", "quit"])
    }

    /// A machine with these devices in slots 7, 6 and on.
    private func machine(_ drivers: [String]) throws -> Machine {
        var config = MachineConfig()
        config.firmware = .none
        config.devices = drivers.map { DeviceConfig(driver: $0) }
        return try Machine(config)
    }

    private func answer(_ command: String) -> String {
        _ = line.take()
        line.type(command + "\r")
        return line.take().replacing("\r\n", with: "\n").replacing(command + "\n", with: "").replacing("(emulate) ", with: "")
    }

    @Test func theBalloonIsSetAndShown() throws {
        let machine = try machine(["virtio-balloon-device"])
        #expect(answer("balloon 64").contains("there is no balloon"))
        target.peripherals = machine.peripherals
        #expect(answer("balloon 64").isEmpty)
        #expect(machine.bus.readDevice(0x1000_8100, size: 4) == (128 - 64) << 8)
        #expect(answer("info balloon") == "balloon: actual=128\n")
        for wrong in ["balloon", "balloon 0", "balloon x", "balloon 99999999999999999", "balloon 1 2"] { #expect(answer(wrong).contains("at least 1")) }
    }

    @Test func keysAndPointersAreForTheirDevices() throws {
        for command in ["sendkey a", "mouse_move 1 1", "mouse_button 1", "info mice"] { #expect(answer(command).contains("there is no ")) }
        let machine = try machine(["virtio-keyboard-device", "virtio-mouse-device", "virtio-tablet-device"])
        target.peripherals = machine.peripherals
        for command in ["sendkey ctrl-alt-f2", "sendkey a 10", "mouse_move 1 -1", "mouse_move 0 0 1", "mouse_button 7"] { #expect(answer(command).isEmpty) }
        #expect(answer("sendkey ctrl-nokey") == "sendkey: unknown key: 'nokey'\n")
        for wrong in ["sendkey", "sendkey a b", "sendkey a 99999999", "mouse_move 1", "mouse_move 1 x", "mouse_button 8", "mouse_button -1"] {
            #expect(answer(wrong).contains("write "))
        }
        #expect(answer("info mice") == "  Mouse #0: Virtio Mouse\n* Mouse #1: Virtio Tablet (absolute)\n")
    }

    @Test func aScreenThatIsOffIsNoFile() throws {
        let file = NSTemporaryDirectory() + "screen-\(UUID().uuidString).png"
        #expect(answer("screendump \(file)").contains("there is no screen"))
        let machine = try machine(["virtio-gpu-device"])
        target.peripherals = machine.peripherals
        #expect(answer("screendump \(file)").contains("the screen is off"))
        #expect(!FileManager.default.fileExists(atPath: file))
        for wrong in ["screendump", "screendump a -f", "screendump a -f bmp", "screendump a b c"] { #expect(answer(wrong).contains("write the name")) }
    }

    @Test func devicesArePluggedInAndOut() {
        line.type("device_add virtio-rng-pci,bus=p\r")
        #expect(line.take() == "device_add virtio-rng-pci,bus=p\r\n(emulate) ")
        line.type("device_add foo\rdevice_del\r")
        #expect(line.take() == "device_add foo\r\nunknown device\r\n(emulate) device_del\r\ndevice_del: needs the id of one device\r\n(emulate) ")
        line.type("device_del a\r")
        #expect(target.calls == ["plug virtio-rng-pci,bus=p", "plug foo", "unplug a"])
    }

    @Test func whatIsTypedIsEchoedAndAnswered() {
        line.type("info status\r")
        #expect(line.take() == "info status\r\nVM status: running\r\n(emulate) ")
        line.type("info version\r")
        #expect(line.take() == "info version\r\n1.2.3\r\n(emulate) ")
        line.type("\r")
        #expect(line.take() == "\r\n(emulate) ")
    }

    @Test func registersAreThoseOfAHartOrOfAll() {
        #expect(answer("info registers") == "registers of 0\n")
        #expect(answer("info registers 2") == "registers of 2\n")
        #expect(answer("info registers -a") == "registers of all\n")
        #expect(answer("info registers x").contains("write the number of a hart"))
    }

    @Test func unknownWordsAreNamed() {
        line.type("foo bar\r")
        #expect(line.take().contains("unknown command: 'foo'"))
        line.type("info foo\r")
        #expect(line.take().contains("unknown subject: 'foo'"))
        line.type("help foo\r")
        #expect(line.take().contains("unknown command: 'foo'"))
    }

    @Test func helpListsTheCommandsOrShowsOne() {
        line.type("help\r")
        let all = line.take()
        for name in ["help", "info", "stop", "cont", "why", "system_reset", "quit"] { #expect(all.contains("\r\n\(name)|") || all.contains("\r\n\(name) ")) }
        line.type("help q\r")
        #expect(line.take() == "help q\r\nquit|q -- end the emulator\r\n(emulate) ")
    }

    @Test func aLineIsEditedBeforeItCounts() {
        line.type("stopp\u{7F}\r")
        line.type("junk\u{15}cont\r")
        line.type("junk\u{3}stop\r")
        line.type("quitü\u{8}\r")
        #expect(target.calls == ["pause", "resume", "pause", "quit"])
    }

    @Test func arrowsRecallEarlierLinesAndOtherKeysDoNothing() {
        line.type("stop\rcont\r")
        line.type("\u{1B}[A\u{1B}[A\r")
        line.type("\u{1B}[A\u{1B}[A\u{1B}[B\u{1B}[5~\u{1B}OH\r")
        line.type("\u{1B}[B\r")
        #expect(target.calls == ["pause", "resume", "pause", "pause"])
    }

    @Test func aLineHasALimit() {
        line.type(String(repeating: "x", count: 5000) + "\r")
        #expect(line.take().utf8.count < 3000)
        line.type("quit\r")
        #expect(target.calls == ["quit"])
    }
}
