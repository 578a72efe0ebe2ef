/// A 16550A-compatible UART.
struct UART16550 {
    let base: UInt64
    /// Registers are `1 << shift` bytes apart.
    let shift: UInt64
    /// Bytes per register access: 1, 2 or 4.
    let width: UInt64

    private enum Register {
        static let data: UInt64 = 0
        static let divisorLow: UInt64 = 0
        static let divisorHigh: UInt64 = 1
        static let interruptEnable: UInt64 = 1
        static let fifoControl: UInt64 = 2
        static let lineControl: UInt64 = 3
        static let modemControl: UInt64 = 4
        static let lineStatus: UInt64 = 5
    }

    /// Polls before a transmitter counts as stuck.
    private static let patience = 1_000_000

    /// 8 data bits, no parity, 1 stop bit, FIFOs on, interrupts off. The divisor is left alone when the clock is unknown.
    func initialize(clock: UInt64, baud: UInt64) {
        put(Register.interruptEnable, 0)
        if clock != 0, baud != 0 {
            let divisor = (clock &+ 8 &* baud) / (16 &* baud)
            put(Register.lineControl, 0x80)
            put(Register.divisorLow, UInt8(truncatingIfNeeded: divisor))
            put(Register.divisorHigh, UInt8(truncatingIfNeeded: divisor >> 8))
        }
        put(Register.lineControl, 0x03)
        put(Register.fifoControl, 0x01)
        put(Register.modemControl, 0x00)
    }

    func write(_ byte: UInt8) -> Bool {
        for _ in 0..<Self.patience where get(Register.lineStatus) & 0x20 != 0 {
            put(Register.data, byte)
            return true
        }
        return false
    }

    func read() -> UInt8? { get(Register.lineStatus) & 0x01 != 0 ? get(Register.data) : nil }

    private func get(_ register: UInt64) -> UInt8 {
        let address = base &+ register << shift
        return switch width {
        case 4: UInt8(truncatingIfNeeded: mmio_read32(address))
        case 2: UInt8(truncatingIfNeeded: mmio_read16(address))
        default: mmio_read8(address)
        }
    }

    private func put(_ register: UInt64, _ value: UInt8) {
        let address = base &+ register << shift
        switch width {
        case 4: mmio_write32(address, UInt32(value))
        case 2: mmio_write16(address, UInt16(value))
        default: mmio_write8(address, value)
        }
    }
}

/// Berkeley host-target interface: a command is written to `tohost`, answers appear in `fromhost`.
struct HTIF {
    let fromHost: UInt64
    let toHost: UInt64

    private static let consoleDevice: UInt64 = 1 << 56
    private static let getCommand: UInt64 = 0 << 48
    private static let putCommand: UInt64 = 1 << 48
    private static let patience = 1_000_000

    func write(_ byte: UInt8) -> Bool {
        guard waitIdle() else { return false }
        mmio_write64(toHost, Self.consoleDevice | Self.putCommand | UInt64(byte))
        return true
    }

    func read() -> UInt8? {
        let answer = takeAnswer()
        guard waitIdle() else { return answer }
        mmio_write64(toHost, Self.consoleDevice | Self.getCommand)
        return answer
    }

    /// Ends the simulation with `code`. Does not return where the host honours it.
    func exit(_ code: UInt64) {
        _ = waitIdle()
        mmio_write64(toHost, code << 1 | 1)
    }

    private func takeAnswer() -> UInt8? {
        let answer = mmio_read64(fromHost)
        guard answer != 0 else { return nil }
        mmio_write64(fromHost, 0)
        return answer >> 48 == (Self.consoleDevice | Self.getCommand) >> 48 ? UInt8(truncatingIfNeeded: answer) : nil
    }

    private func waitIdle() -> Bool {
        for _ in 0..<Self.patience where mmio_read64(toHost) == 0 { return true }
        return false
    }
}

/// A register whose write resets or switches off the machine.
struct ResetRegister {
    var address: UInt64 = 0
    var value: UInt32 = 0
    /// Bits of the register that `value` replaces.
    var mask: UInt32 = .max
    /// Bytes per access: 1, 2 or 4.
    var width: UInt64 = 4

    var exists: Bool { address != 0 }

    func trigger() {
        switch width {
        case 1:
            let kept = UInt32(mask == .max ? 0 : mmio_read8(address))
            mmio_write8(address, UInt8(truncatingIfNeeded: kept & ~mask | value & mask))
        case 2:
            let kept = UInt32(mask == .max ? 0 : mmio_read16(address))
            mmio_write16(address, UInt16(truncatingIfNeeded: kept & ~mask | value & mask))
        default:
            let kept = mask == .max ? 0 : mmio_read32(address)
            mmio_write32(address, kept & ~mask | value & mask)
        }
    }
}
