import EmuBus
import EmuDevices
import TestSupport
import Testing

private enum Feature {
    static let size: UInt64 = 1 << 0, multiport: UInt64 = 1 << 1, emergency: UInt64 = 1 << 2
}

@Suite struct VirtioConsoleTests {
    private func control(_ id: UInt32, _ event: UInt16, _ value: UInt16) -> [UInt8] { .little(id) + .little(event) + .little(value) }

    @Test(arguments: VirtioSetup.allCases)
    func singlePortCarriesCharactersBothWays(_ setup: VirtioSetup) throws {
        let console = BufferedConsole()
        let device = VirtioConsole(name: "virtio-serial0", ports: [VirtioConsolePort(isConsole: true, backend: console)], maximumPorts: 1)
        let bench = try VirtioBench(setup, device)
        #expect(bench.driver.offeredFeatures() & 7 == Feature.emergency)
        bench.driver.start(queueCount: 2)
        let output = bench.driver.queues[1]!
        output.add([bench.driver.readable(Array("hello ".utf8)), bench.driver.readable(Array("world".utf8))])
        output.kick()
        #expect(console.text == "hello world")
        #expect(output.used().map(\.written) == [0])

        console.type("typed early")
        let input = bench.driver.queues[0]!
        let buffers = [bench.driver.writable(6), bench.driver.writable(16)]
        for buffer in buffers { input.add([buffer]) }
        #expect(input.kick())
        #expect(input.used().map(\.written) == [6, 5])
        #expect(bench.driver.contents(buffers[0]) == Array("typed ".utf8))
        #expect(bench.driver.contents(buffers[1])[..<5] == Array("early".utf8)[...])
        #expect(bench.interrupted)
    }

    @Test func aBufferThatWouldKeepTheMachineBusyBreaksTheDevice() throws {
        let console = BufferedConsole()
        let device = VirtioConsole(name: "virtio-serial0", ports: [VirtioConsolePort(isConsole: true, backend: console)], maximumPorts: 1)
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start(queueCount: 2)
        let output = bench.driver.queues[1]!
        output.add([bench.driver.readable([0x61]), MockBuffer(VirtioBench.ramBase + (16 << 20), 16 << 20, isWritable: false)])
        output.kick()
        #expect(bench.needsReset && output.used().isEmpty && console.text.isEmpty)
    }

    @Test func inputBeyondWhatFitsWaitsInTheBackend() throws {
        let console = BufferedConsole()
        let port = VirtioConsolePort(isConsole: true, backend: console)
        let bench = try VirtioBench(.modernSplit, VirtioConsole(name: "virtio-serial0", ports: [port], maximumPorts: 1))
        console.type(String(repeating: "x", count: 10_000))
        #expect(port.receiveCapacity == 0)
        bench.driver.start(queueCount: 2)
        let input = bench.driver.queues[0]!
        var received = 0
        for _ in 0..<20 where received < 10_000 {
            input.add([bench.driver.writable(1000)])
            input.kick()
            received += input.used().reduce(0) { $0 + Int($1.written) }
        }
        #expect(received == 10_000)
    }

    @Test(arguments: VirtioSetup.allCases)
    func portsAreAnnouncedNamedAndOpened(_ setup: VirtioSetup) throws {
        let consoles = [BufferedConsole(), BufferedConsole()]
        let ports = [VirtioConsolePort(isConsole: true, backend: consoles[0]),
                     VirtioConsolePort(name: "org.test.agent", isConsole: false, backend: consoles[1])]
        let device = VirtioConsole(name: "virtio-serial0", ports: ports, maximumPorts: 4)
        let bench = try VirtioBench(setup, device)
        #expect(bench.driver.config(4, size: 4) == 4)
        bench.driver.start(queueCount: 10)
        let fromDevice = bench.driver.queues[2]!, toDevice = bench.driver.queues[3]!
        let buffers = (0..<8).map { _ in bench.driver.writable(64) }
        for buffer in buffers { fromDevice.add([buffer]) }
        fromDevice.kick()
        var seen = 0
        func messages() -> [[UInt8]] {
            fromDevice.used().map { used in
                seen += 1
                return Array(bench.driver.contents(buffers[seen - 1])[..<Int(used.written)])
            }
        }
        func send(_ message: [UInt8]) {
            toDevice.add([bench.driver.readable(message)])
            toDevice.kick()
            _ = toDevice.used()
        }
        send(control(0, 0, 1))
        #expect(messages() == [control(0, 1, 1), control(1, 1, 1)])
        send(control(0, 3, 1))
        #expect(messages() == [control(0, 4, 1), control(0, 6, 1)])
        send(control(1, 3, 1))
        #expect(messages() == [control(1, 7, 1) + Array("org.test.agent".utf8), control(1, 6, 1)])

        consoles[1].type("ping")
        let input = bench.driver.queues[4]!
        let buffer = bench.driver.writable(16)
        input.add([buffer])
        input.kick()
        #expect(input.used().isEmpty)  // nobody in the guest has the port open
        send(control(1, 6, 1))
        #expect(input.used().map(\.written) == [4])
        #expect(bench.driver.contents(buffer)[..<4] == Array("ping".utf8)[...])
        let output = bench.driver.queues[5]!
        output.add([bench.driver.readable(Array("pong".utf8))])
        output.kick()
        #expect(consoles[1].text == "pong" && consoles[0].text.isEmpty)
        // Messages for ports that do not exist, and nonsense, harm nobody.
        send(control(77, 3, 1))
        send(control(0, 99, 1))
        send([1, 2])
        #expect(messages().isEmpty && !bench.needsReset)
    }

    @Test func queueOfAPortThatDoesNotExistSwallowsItsOutput() throws {
        let console = BufferedConsole()
        let device = VirtioConsole(name: "virtio-serial0", ports: [VirtioConsolePort(isConsole: true, backend: console)], maximumPorts: 4)
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start(queueCount: 10)
        bench.driver.queues[9]!.add([bench.driver.readable([65])])
        bench.driver.queues[9]!.kick()
        #expect(bench.driver.queues[9]!.used().count == 1)
        #expect(console.output.isEmpty)
    }

    @Test func emergencyWriteNeedsNoDriver() throws {
        let console = BufferedConsole()
        let device = VirtioConsole(name: "virtio-serial0", ports: [VirtioConsolePort(isConsole: true, backend: console)])
        let bench = try VirtioBench(.modernSplit, device)
        bench.slot.write(0x108, UInt64(UInt8(ascii: "!")), size: 4)
        #expect(console.text == "!")
    }

    @Test func sizeChangesReachTheDriver() throws {
        let port = VirtioConsolePort(isConsole: true, backend: BufferedConsole())
        let device = VirtioConsole(name: "virtio-serial0", ports: [port], maximumPorts: 1, size: (80, 24))
        let bench = try VirtioBench(.modernSplit, device)
        #expect(bench.driver.offeredFeatures() & Feature.size != 0)
        bench.driver.start(queueCount: 2)
        #expect(bench.driver.config(0, size: 4) == 24 << 16 | 80)
        device.resize(columns: 132, rows: 50)
        #expect(bench.driver.config(0, size: 4) == 50 << 16 | 132)
        #expect(bench.driver.read(VirtioMockDriver.Offset.interruptStatus) == 2)
    }

    @Test func stateWithWaitingInputContinues() throws {
        func make() throws -> (VirtioBench, BufferedConsole) {
            let console = BufferedConsole()
            let device = VirtioConsole(name: "virtio-serial0", ports: [VirtioConsolePort(isConsole: true, backend: console)], maximumPorts: 1)
            return (try VirtioBench(.modernSplit, device), console)
        }
        let (first, console) = try make()
        first.driver.start(queueCount: 2)
        console.type("abc")
        let saved = try first.transport.encodedState()
        let (second, _) = try make()
        second.driver.start(queueCount: 2)
        try second.transport.restoreState(from: saved)
        let buffer = second.driver.writable(8)
        second.driver.queues[0]!.add([buffer])
        second.driver.queues[0]!.notify()
        #expect(second.driver.contents(buffer)[..<3] == Array("abc".utf8)[...])
    }
}

@Suite struct VirtioEntropyTests {
    private func bytes(_ setup: VirtioSetup, _ source: EntropySource, _ lengths: [Int] = [13, 64]) throws -> [[UInt8]] {
        let bench = try VirtioBench(setup, VirtioEntropy(name: "virtio-rng0", source: source))
        bench.driver.start()
        return lengths.map { length in
            let buffer = bench.driver.writable(length)
            bench.driver.queues[0]!.add([buffer])
            bench.driver.queues[0]!.kick()
            #expect(bench.driver.queues[0]!.used().map(\.written) == [UInt32(length)])
            return bench.driver.contents(buffer)
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func buffersAreFilledWithRandomBytes(_ setup: VirtioSetup) throws {
        let first = try bytes(setup, .host), second = try bytes(setup, .host)
        #expect(first[1] != second[1] && first[1].contains { $0 != 0 })
    }

    @Test func seededSequenceRepeatsAndDoesNotStandStill() throws {
        let first = try bytes(.modernSplit, .seeded(1), [64, 64]), second = try bytes(.modernSplit, .seeded(1), [64, 64])
        #expect(first == second && first[0] != first[1])
        #expect(try bytes(.modernSplit, .seeded(2), [64])[0] != first[0])
    }

    @Test func savedGeneratorContinuesItsSequence() throws {
        let device = VirtioEntropy(name: "virtio-rng0", source: .seeded(5))
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start()
        func next() -> [UInt8] {
            let buffer = bench.driver.writable(32)
            bench.driver.queues[0]!.add([buffer])
            bench.driver.queues[0]!.kick()
            _ = bench.driver.queues[0]!.used()
            return bench.driver.contents(buffer)
        }
        _ = next()
        let saved = device.state
        let expected = next()
        device.state = saved
        #expect(next() == expected)
    }

    @Test func hugeBufferIsFilledInPart() throws {
        let bench = try VirtioBench(.modernSplit, VirtioEntropy(name: "virtio-rng0", source: .seeded(1)))
        bench.driver.start()
        bench.driver.queues[0]!.add([MockBuffer(VirtioBench.ramBase + (16 << 20), 8 << 20, isWritable: true)])
        bench.driver.queues[0]!.kick()
        #expect(bench.driver.queues[0]!.used().map(\.written) == [64 << 10])
    }
}
