/// The PCI Express capability (PCI Express Base 5.0, 7.5.3).
public enum PCIExpress {
    /// Device/port type, with what goes with it.
    public enum Kind {
        case endpoint
        case integratedEndpoint
        /// - Parameter slot: the registers of a slot, nil for a port that is not connected to one.
        case rootPort(port: UInt8, slot: UInt32?)

        fileprivate var code: UInt16 {
            switch self {
            case .endpoint: 0
            case .rootPort: 4
            case .integratedEndpoint: 9
            }
        }
    }

    /// Offsets inside the capability.
    enum Register {
        static let capabilities = 0x02
        static let deviceCapabilities = 0x04
        static let deviceControl = 0x08
        static let deviceStatus = 0x0a
        static let linkCapabilities = 0x0c
        static let linkControl = 0x10
        static let linkStatus = 0x12
        static let slotCapabilities = 0x14
        static let slotControl = 0x18
        static let slotStatus = 0x1a
        static let rootControl = 0x1c
        static let rootStatus = 0x20
        static let deviceControl2 = 0x28
        static let linkCapabilities2 = 0x2c
        static let linkControl2 = 0x30
    }

    /// Device Control: resets the function; reads as zero.
    static let initiateReset: UInt16 = 1 << 15
    /// Link Status: the link is up. Only ports that can report it have it.
    static let linkActive: UInt16 = 1 << 13
    private static let size = 0x3c
    /// 16 GT/s, four lanes.
    private static let speed: UInt16 = 4
    private static let width: UInt16 = 4

    /// Adds the capability to a configuration space; returns its offset.
    static func define(_ kind: Kind, in config: inout PCIConfigSpace) -> Int {
        let base = config.addCapability(PCICapability.express, size: size)
        var capabilities = 2 | kind.code << 4
        // Role-based error reporting; payloads of up to 128 bytes, which is all that a link nobody sees needs.
        var device: UInt32 = 1 << 15
        var control: UInt16 = 0x7fff
        switch kind {
        case .rootPort(_, let slot): if slot != nil { capabilities |= 1 << 8 }
        case .endpoint, .integratedEndpoint:
            device |= 1 << 28
            control |= initiateReset
        }
        config.define(base + Register.capabilities, capabilities)
        config.define(base + Register.deviceCapabilities, device)
        config.define(base + Register.deviceControl, UInt16(0x2000), writable: control)
        config.define(base + Register.deviceStatus, UInt16(0), clearable: 0xf)
        config.define(base + Register.deviceControl2, UInt16(0), writable: 0x1f)
        if case .integratedEndpoint = kind { return base }

        var link = UInt32(speed) | UInt32(width) << 4
        var status = speed | width << 4
        if case .rootPort(let port, let slot) = kind {
            link |= 1 << 20 | UInt32(port) << 24
            // No device is there yet.
            status = speed
            if let slot {
                config.define(base + Register.slotCapabilities, slot)
                config.define(base + Register.slotControl, UInt16(0), writable: slot & Slot.isHotPlug != 0 ? 0x1fff : 0)
                config.define(base + Register.slotStatus, UInt16(0), clearable: Slot.Status.events)
            }
            config.define(base + Register.rootControl, UInt16(0), writable: 0x1f)
            config.define(base + Register.rootStatus, UInt32(0), clearable: 1 << 16)
        }
        config.define(base + Register.linkCapabilities, link)
        config.define(base + Register.linkControl, UInt16(0), writable: 0x0dcb)
        config.define(base + Register.linkStatus, status)
        config.define(base + Register.linkCapabilities2, UInt32(0b1111 << 1))
        config.define(base + Register.linkControl2, speed, writable: 0xf)
        return base
    }

    /// Slot registers (7.5.3.9 to 7.5.3.11).
    enum Slot {
        static let attentionButton: UInt32 = 1 << 0
        static let powerController: UInt32 = 1 << 1
        static let attentionIndicator: UInt32 = 1 << 3
        static let powerIndicator: UInt32 = 1 << 4
        static let surprise: UInt32 = 1 << 5
        static let isHotPlug: UInt32 = 1 << 6
        /// Commands take effect at once, so nobody is told of their completion.
        static let noCommandCompleted: UInt32 = 1 << 18
        static let numberShift: UInt32 = 19

        enum Control {
            static let attentionButton: UInt16 = 1 << 0
            static let presence: UInt16 = 1 << 3
            static let interrupt: UInt16 = 1 << 5
            static let powerIndicator: UInt16 = 3 << 8
            static let powerIndicatorOff: UInt16 = 3 << 8
            static let powerOff: UInt16 = 1 << 10
            static let linkState: UInt16 = 1 << 12
        }

        enum Status {
            static let attentionButton: UInt16 = 1 << 0
            static let presenceChanged: UInt16 = 1 << 3
            static let isPresent: UInt16 = 1 << 6
            static let linkChanged: UInt16 = 1 << 8
            /// Everything software clears.
            static let events: UInt16 = 0x11f
        }
    }
}
