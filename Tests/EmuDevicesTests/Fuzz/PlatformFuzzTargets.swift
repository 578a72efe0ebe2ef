import EmuBus
import EmuDevices
import Foundation
import TestSupport
import Testing

/// The devices every board has, and semihosting.
@Suite struct PlatformFuzzTargets {
    enum Platform: String, CaseIterable {
        case aclint, sswi, plic, aplic, imsic, uart, rtc, htif, finisher
    }

    private static let ram: UInt64 = 0x8000_0000
    private static let registers: UInt64 = 0x1000_0000

    /// A device, where its registers are, and what else happens to it.
    private struct Subject {
        var device: any MMIODevice
        var size: UInt64
        var sizes: AccessSizes
        /// Offsets near which most accesses go.
        var hot: [UInt64] = [0]
        var stimulus: (inout FuzzInput) -> Void = { _ in }
    }

    private func make(_ platform: Platform, _ events: EventQueue, _ sink: InterruptRecorder, _ bus: AddressSpace, _ input: inout FuzzInput) -> Subject {
        switch platform {
        case .aclint: return Subject(device: ACLINT(events: events, harts: [sink, sink]), size: ACLINT.size, sizes: ACLINT.accessSizes, hot: [0, 0x4000, 0xBFF8])
        case .sswi: return Subject(device: ACLINTSSWI(harts: [sink, sink]), size: ACLINTSSWI.size, sizes: ACLINTSSWI.accessSizes)
        case .plic:
            let plic = PLIC(sources: 96, contexts: [InterruptLine(sink, 11), InterruptLine(sink, 9)])
            return Subject(device: plic, size: PLIC.size, sizes: PLIC.accessSizes, hot: [0, 0x1000, 0x2000, 0x2080, 0x20_0000, 0x20_1000]) {
                plic.setInterrupt($0.below(100), level: $0.below(2) == 0)
            }
        case .aplic:
            let files = IMSIC(name: "files", guests: 1, lines: [InterruptLine(sink, 0), InterruptLine(sink, 1)])
            let send: ((UInt64, UInt32) -> Void)? = input.below(2) == 0 ? nil : { files.write($0 % files.size & ~3, UInt64($1), size: 4) }
            let child = APLIC(name: "s", sources: 96, harts: 2, lines: [InterruptLine(sink, 2), InterruptLine(sink, 3)], send: send)
            let aplic = APLIC(name: "m", sources: 96, harts: 2, lines: [InterruptLine(sink, 4), InterruptLine(sink, 5)], child: child, send: send)
            return Subject(device: aplic, size: APLIC.size, sizes: APLIC.accessSizes, hot: [0, 4, 0x1bc0, 0x1c00, 0x1cdc, 0x1d00, 0x1e00, 0x2000, 0x3000, 0x3004, 0x4000, 0x4020]) {
                // Inputs, and the registers of the other domain.
                if $0.below(2) == 0 { return aplic.setInterrupt($0.below(100), level: $0.below(2) == 0) }
                let offset = UInt64($0.below(Int(APLIC.size))) & ~3
                child.write(offset, $0.extreme(), size: 4)
                _ = child.read(offset, size: 4)
            }
        case .imsic:
            let imsic = IMSIC(name: "imsic", guests: 3, lines: [InterruptLine(sink, 0), InterruptLine(sink, 1)]) { InterruptLine(sink, 2 + 4 * $0 + $1) }
            return Subject(device: imsic, size: imsic.size, sizes: IMSIC.accessSizes, hot: [0, 0x1000, 0x4000]) {
                let file = $0.pick([imsic.file(hart: $0.below(2))] + imsic.guestFiles(hart: $0.below(2)))
                let selector = $0.below(4) == 0 ? $0.extreme() : 0x70 + UInt64($0.below(0x90))
                switch $0.below(3) {
                case 0: file.write(selector, $0.extreme())
                case 1: _ = file.read(selector)
                default: file.claim()
                }
            }
        case .uart:
            let uart = UART16550(events: events, interrupt: InterruptLine(sink, 10)), console = BufferedConsole()
            uart.backend = console
            return Subject(device: uart, size: UART16550.size, sizes: UART16550.accessSizes) { input in
                withExtendedLifetime(console) { input.below(8) == 0 ? uart.receiveBreak() : uart.receive(input.bytes(input.below(20))) }
            }
        case .rtc:
            let rtc = GoldfishRTC(events: events, interrupt: InterruptLine(sink, 11), wallClock: GoldfishRTC.virtualClock(events, epoch: 1 << 60))
            return Subject(device: rtc, size: GoldfishRTC.size, sizes: GoldfishRTC.accessSizes)
        case .htif:
            let htif = HTIF(bus: bus, mailboxes: input.below(2) == 0 ? nil : .init(tohost: Self.ram, fromhost: Self.ram + 64)) { _ in }
            return Subject(device: htif, size: HTIF.size, sizes: HTIF.accessSizes) {
                switch $0.below(4) {
                case 0: htif.receive($0.bytes($0.below(4)))
                case 1: _ = bus.storeMemory(Self.ram + UInt64($0.below(64)) * 8, $0.extreme())
                default:
                    // A command, or a system call's block.
                    let command = $0.below(3) == 0 ? Self.ram + UInt64($0.below(512)) * 8 : UInt64($0.below(3)) << 56 | UInt64($0.below(3)) << 48 | $0.extreme() & 0xffff_ffff_ffff
                    _ = bus.storeMemory(Self.ram, command)
                    htif.poll()
                }
            }
        case .finisher: return Subject(device: TestFinisher { _ in }, size: TestFinisher.size, sizes: TestFinisher.accessSizes)
        }
    }

    @Test(arguments: Platform.allCases) func platform(_ platform: Platform) throws {
        try Fuzzing.run(platform.rawValue, cases: 20) { input in
            let events = EventQueue(mode: .virtual), sink = InterruptRecorder(), bus = AddressSpace()
            let subject = make(platform, events, sink, bus, &input)
            try bus.map(subject.device, at: Self.registers, size: subject.size, sizes: subject.sizes)
            try bus.map(GuestRAM(base: Self.ram, size: 0x1000), name: "ram")
            for _ in 0..<400 where input.hasMore {
                let width = input.pick([1, 2, 4, 4, 4, 8]), start = input.pick(subject.hot)
                let place = input.below(4) == 0 ? UInt64(input.below(Int(subject.size))) : start + UInt64(input.below(Int(min(subject.size - start, 0x40))))
                let address = Self.registers + place / UInt64(width) * UInt64(width)
                switch input.below(8) {
                case 0: events.run(to: events.virtualNow + UInt64(input.below(1 << 24)))
                case 1: subject.stimulus(&input)
                case 2...3: _ = bus.readDevice(address, size: width)
                default: _ = bus.writeDevice(address, input.below(2) == 0 ? UInt64(input.below(256)) : input.extreme(), size: width)
                }
            }
            if let saved = subject.device as? any Saveable { try saved.restoreState(from: saved.encodedState()) }
            subject.device.reset()
        }
    }

    // MARK: Semihosting

    /// A program with its parameter blocks in memory, and one folder of the host that it may use.
    @Test func semihosting() throws {
        try FuzzFolder.each("semihosting", cases: 20) { input, folder in
            var configuration = Semihosting.Configuration()
            configuration.folder = try SharedFolder(path: folder.path, isReadOnly: input.below(8) == 0, ownership: .none)
            let program = SemihostingTests.Program(), base = SemihostingTests.Program.base, line = BufferedConsole(), events = EventQueue(mode: .virtual)
            let service = Semihosting(configuration, console: line, hasInput: true, events: events, wallClock: { 1 << 60 }) { _ in }
            for name in ["a", "../a", "/etc/hostname", ":tt", ":semihosting-features", "b/../../c"].enumerated() { _ = program.text(name.element, at: base + 0x100 + UInt64(name.offset) * 0x40) }
            for _ in 0..<60 where input.hasMore {
                let fields = (0..<4).map { _ in input.pick([0, 1, UInt64(input.below(12)), base + 0x100 + UInt64(input.below(6)) * 0x40, base + UInt64(input.below(0x20000)), input.extreme()]) }
                let operation = input.below(10) == 0 ? input.extreme() : UInt64(input.below(0x32))
                _ = service.perform(operation, input.below(10) == 0 ? input.extreme() : program.block(fields), for: program)
                if input.below(8) == 0 { line.frontend?.receive(input.bytes(input.below(8))) }
            }
        }
    }
}
