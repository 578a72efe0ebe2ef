/// The console: whichever device the device tree gives.
enum ConsoleDevice {
    case none
    case uart(UART16550)
    case htif(HTIF)

    /// Sends a byte. Returns false when the device stays busy.
    func write(_ byte: UInt8) -> Bool {
        switch self {
        case .none: true
        case .uart(let uart): uart.write(byte)
        case .htif(let htif): htif.write(byte)
        }
    }

    /// Takes a received byte if there is one.
    func read() -> UInt8? {
        switch self {
        case .none: nil
        case .uart(let uart): uart.read()
        case .htif(let htif): htif.read()
        }
    }
}

/// Keeps one hart's output together. The holder never waits for another hart.
nonisolated(unsafe) private var consoleLock: UInt64 = 0

@inline(__always)
func withConsole<Result>(_ body: (ConsoleDevice) -> Result) -> Result {
    while atomic_swap(&consoleLock, 1) != 0 { pause_hint() }
    let result = body(platform.pointee.console)
    atomic_store(&consoleLock, 0)
    return result
}

/// Text output for the firmware's own messages.
struct Printer {
    let console: ConsoleDevice

    func byte(_ byte: UInt8) {
        if byte == 0x0a { _ = console.write(0x0d) }
        _ = console.write(byte)
    }

    func text(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { byte(text.utf8Start[index]) }
    }

    func hex(_ value: UInt64) {
        text("0x")
        var shift: UInt64 = 60
        while shift > 0, value >> shift == 0 { shift -= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: value >> shift & 15)
            byte(digit < 10 ? 0x30 + digit : 0x57 + digit)
            if shift == 0 { return }
            shift -= 4
        }
    }

    func decimal(_ value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            byte(0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}

/// Reports an error the firmware cannot go on from and parks the hart.
func fail(_ message: StaticString, _ value: UInt64) -> Never {
    let printer = Printer(console: platform.pointee.console)
    printer.text("emulate SBI: ")
    printer.text(message)
    printer.text(" ")
    printer.hex(value)
    printer.text("\n")
    park()
}
