import EmuBus

/// What a guest asks of the machine as a whole.
public enum PowerRequest: Equatable, Sendable {
    /// Power off; the code is 0 unless the guest gave one.
    case poweroff(code: Int)
    /// Power off and report failure with the guest's code.
    case failure(code: Int)
    case reset
}

/// SiFive test finisher: one write-only register through which a guest ends or restarts the run. It has no state.
public final class TestFinisher: MMIODevice {
    public static let size: UInt64 = 0x1000
    public static let accessSizes: AccessSizes = [.half, .word]

    /// Low half of the value written; the high half is an exit code.
    private enum Command {
        static let fail: UInt64 = 0x3333, pass: UInt64 = 0x5555, reset: UInt64 = 0x7777
    }

    public let name: String
    private let request: (PowerRequest) -> Void

    /// - Parameter request: called during the guest's store; the machine acts when the hart's slice ends.
    public init(name: String = "test", request: @escaping (PowerRequest) -> Void) {
        self.name = name
        self.request = request
    }

    public func read(_ offset: UInt64, size: Int) -> UInt64 { 0 }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        if offset == 0 {
            let code = size == 4 ? Int(value >> 16 & 0xFFFF) : 0
            switch value & 0xFFFF {
            case Command.fail: return request(.failure(code: code))
            case Command.pass: return request(.poweroff(code: code))
            case Command.reset: return request(.reset)
            default: break
            }
        }
        Log.write(.guestErrors, "\(name): write of \(hex(value)) at offset \(hex(offset)) means nothing")
    }

    public func reset() {}

    /// `test@…`; `poweroff` and `reboot` nodes refer to it by `phandle`.
    public func fdtNode(at base: UInt64, phandle: UInt32) -> FDTNode {
        var node = FDTNode("test@" + String(base, radix: 16))
        node.set("compatible", "sifive,test1", "sifive,test0", "syscon")
        node.set("reg", pairs: [base, Self.size])
        node.set("phandle", cells: [phandle])
        return node
    }

    /// The root's `poweroff` and `reboot` nodes, which tell a guest what to write to this device.
    public static func powerNodes(finisher phandle: UInt32) -> [FDTNode] {
        [("poweroff", "syscon-poweroff", Command.pass), ("reboot", "syscon-reboot", Command.reset)].map { name, compatible, value in
            var node = FDTNode(name)
            node.set("compatible", compatible)
            node.set("regmap", cells: [phandle])
            node.set("offset", cells: [0])
            node.set("value", cells: [UInt32(value)])
            return node
        }
    }
}
