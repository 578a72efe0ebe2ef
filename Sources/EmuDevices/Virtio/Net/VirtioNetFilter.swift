import EmuBus

/// Which received frames reach the guest, and the control commands that say so (virtio 1.2, 5.1.6.5.1–5.1.6.5.3).
struct VirtioNetFilter: Codable, Equatable, Sendable {
    /// On until a driver takes control of the filter.
    var promiscuous = true
    var allMulticast = false
    var allUnicast = false
    var noMulticast = false
    var noUnicast = false
    var noBroadcast = false
    /// More addresses than this are not kept; the filter then lets that kind pass, as the specification allows.
    private static let tableLimit = 64
    var unicast: [MACAddress] = []
    var multicast: [MACAddress] = []
    var unicastOverflow = false
    var multicastOverflow = false
    /// One bit per VLAN id.
    var vlans = [UInt64](repeating: 0, count: 64)

    func passes(_ frame: UnsafeRawBufferPointer, own: MACAddress, filtersVLANs: Bool) -> Bool {
        guard frame.count >= 14, let destination = MACAddress(bytes: frame.prefix(6)) else { return false }
        if promiscuous { return true }
        if filtersVLANs, frame.count >= 16, frame[12] == 0x81, frame[13] == 0 {
            let id = (UInt16(frame[14]) << 8 | UInt16(frame[15])) & 0xfff
            if !hasVLAN(id) { return false }
        }
        if destination.bytes.allSatisfy({ $0 == 0xff }) { return !noBroadcast }
        if destination.isMulticast {
            return !noMulticast && (allMulticast || multicastOverflow || multicast.contains(destination))
        }
        return !noUnicast && (allUnicast || destination == own || unicastOverflow || unicast.contains(destination))
    }

    func hasVLAN(_ id: UInt16) -> Bool { vlans[Int(id & 0xfff) / 64] & (1 << UInt64(id % 64)) != 0 }

    private enum RxCommand {
        static let promiscuous: UInt8 = 0
        static let allMulticast: UInt8 = 1
        static let allUnicast: UInt8 = 2
        static let noMulticast: UInt8 = 3
        static let noUnicast: UInt8 = 4
        static let noBroadcast: UInt8 = 5
    }

    /// A command of class VIRTIO_NET_CTRL_RX; false when it is malformed or not negotiated.
    mutating func setMode(_ command: UInt8, _ value: UInt8?, extra: Bool) -> Bool {
        guard let value, value <= 1 else { return false }
        let on = value == 1
        switch command {
        case RxCommand.promiscuous: promiscuous = on
        case RxCommand.allMulticast: allMulticast = on
        case RxCommand.allUnicast where extra: allUnicast = on
        case RxCommand.noMulticast where extra: noMulticast = on
        case RxCommand.noUnicast where extra: noUnicast = on
        case RxCommand.noBroadcast where extra: noBroadcast = on
        default: return false
        }
        return true
    }

    /// VIRTIO_NET_CTRL_MAC_TABLE_SET: a counted table of unicast addresses, then one of multicast addresses.
    mutating func setTables(_ data: GuestBuffer) -> Bool {
        var offset = 0
        guard let unicastTable = Self.table(data, &offset), let multicastTable = Self.table(data, &offset), offset == data.count else {
            return false
        }
        unicast = unicastTable.addresses
        unicastOverflow = unicastTable.overflow
        multicast = multicastTable.addresses
        multicastOverflow = multicastTable.overflow
        return true
    }

    private static func table(_ data: GuestBuffer, _ offset: inout Int) -> (addresses: [MACAddress], overflow: Bool)? {
        guard let count: UInt32 = data.load(at: offset) else { return nil }
        offset += 4
        guard Int(count) * 6 <= data.count - offset else { return nil }
        let kept = min(Int(count), tableLimit)
        let addresses = (0..<kept).compactMap { MACAddress(bytes: data.bytes(at: offset + 6 * $0, 6)) }
        offset += 6 * Int(count)
        return (count > tableLimit ? [] : addresses, count > tableLimit)
    }

    /// VIRTIO_NET_CTRL_VLAN_ADD (0) and _DEL (1).
    mutating func changeVLAN(_ command: UInt8, _ id: UInt16?) -> Bool {
        guard let id, id < 4096, command <= 1 else { return false }
        let bit: UInt64 = 1 << UInt64(id % 64)
        if command == 0 { vlans[Int(id) / 64] |= bit } else { vlans[Int(id) / 64] &= ~bit }
        return true
    }
}
