/// Where the headers of an Ethernet frame with an IP packet lie. Everything is checked to lie inside the frame.
struct EthernetFrame {
    enum Transport: UInt8 {
        case tcp = 6, udp = 17
    }

    let isIPv6: Bool
    /// Of the IP header, bytes.
    let network: Int
    /// Of what follows the fixed IP header and IPv4's options.
    let payload: Int
    /// What the IP header says follows it.
    let nextHeader: UInt8
    /// A part of a packet, whose other parts come in other frames.
    let isFragment: Bool

    /// nil for a frame that holds no whole IP header.
    init?(_ frame: UnsafeRawBufferPointer) {
        var position = 12
        guard frame.count >= 14 else { return nil }
        var type = frame.network16(position)
        // At most two tags: 802.1ad around 802.1Q.
        for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
            position += 4
            guard frame.count >= position + 2 else { return nil }
            type = frame.network16(position)
        }
        network = position + 2
        switch type {
        case 0x0800:
            guard frame.count >= network + 20, frame[network] >> 4 == 4 else { return nil }
            let length = Int(frame[network] & 0xf) * 4
            guard length >= 20, frame.count >= network + length else { return nil }
            isIPv6 = false
            payload = network + length
            nextHeader = frame[network + 9]
            isFragment = frame.network16(network + 6) & 0x3fff != 0
        case 0x86dd:
            guard frame.count >= network + 40, frame[network] >> 4 == 6 else { return nil }
            isIPv6 = true
            payload = network + 40
            nextHeader = frame[network + 6]
            isFragment = nextHeader == 44
        default: return nil
        }
    }

    /// A number that all frames of a flow have in common, whichever way they go: of both addresses and, for TCP and UDP, both ports.
    func flowHash(_ frame: UnsafeRawBufferPointer) -> UInt32 {
        let addresses = isIPv6 ? network + 8..<network + 40 : network + 12..<network + 20
        var hash = stride(from: addresses.lowerBound, to: addresses.upperBound, by: 4).reduce(UInt32(nextHeader)) { $0 ^ frame.network32($1) }
        if !isFragment, Transport(rawValue: nextHeader) != nil, frame.count >= payload + 4 {
            hash ^= UInt32(frame.network16(payload) ^ frame.network16(payload + 2)) << 8
        }
        return hash &* 0x9e37_79b1
    }
}
