/// Cuts a TCP or UDP packet that is longer than any wire takes into frames, as the network stack that made it would have done.
struct Segmentation {
    /// What is wrong with a request to cut a packet.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// More frames than any network stack makes of one packet.
    private static let frameLimit = 2048
    private static let flagsOffset = 13
    private enum Flags {
        static let fin: UInt8 = 1, push: UInt8 = 8, congestionWindowReduced: UInt8 = 0x80
    }

    private let layout: EthernetFrame
    private let isTCP: Bool
    /// Of the TCP or UDP header.
    private let transport: Int
    /// All headers.
    private let headers: Int
    private let size: Int
    private let frame: UnsafeRawBufferPointer

    /// - Parameters:
    ///   - frame: with the sum of the pseudo header in the place of the checksum.
    ///   - transport: offset of the TCP or UDP header.
    ///   - size: bytes after the headers each frame may have.
    init(_ frame: UnsafeRawBufferPointer, isTCP: Bool, transport: Int, size: Int) throws(Failure) {
        guard let layout = EthernetFrame(frame), !layout.isFragment, layout.isIPv6 ? transport >= layout.payload : transport == layout.payload else {
            throw Failure(description: "no IP packet with a header at \(transport)")
        }
        // Extension headers may stand between; what they say comes last is the driver's word.
        if !layout.isIPv6 || transport == layout.payload {
            guard EthernetFrame.Transport(rawValue: layout.nextHeader) == (isTCP ? .tcp : .udp) else {
                throw Failure(description: "protocol \(layout.nextHeader) is not the one to cut")
            }
        }
        var length = 8
        if isTCP, frame.count >= transport + 20 { length = max(20, Int(frame[transport + 12] >> 4) * 4) } else if isTCP { length = 20 }
        guard frame.count > transport + length else { throw Failure(description: "its \(frame.count) bytes end with its headers") }
        headers = transport + length
        guard size > 0, (frame.count - headers - 1) / size < Self.frameLimit else {
            throw Failure(description: "segments of \(size) bytes make more than \(Self.frameLimit) frames of it")
        }
        self.layout = layout
        self.isTCP = isTCP
        self.transport = transport
        self.size = size
        self.frame = frame
    }

    /// Frames it makes.
    var count: Int { (frame.count - headers + size - 1) / size }

    /// Hands out the frames in order. SAFETY: each buffer is only valid during the call.
    func forEach(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: headers + min(size, frame.count - headers), alignment: 8) { buffer in
            for index in 0..<count {
                let start = headers + index * size
                let length = min(size, frame.count - start)
                let segment = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(headers + length)])
                segment.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<headers]))
                UnsafeMutableRawBufferPointer(rebasing: segment[headers...]).copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[start..<start + length]))
                finish(segment, index)
                body(UnsafeRawBufferPointer(segment))
            }
        }
    }

    /// Sets what differs from frame to frame in the headers.
    private func finish(_ segment: UnsafeMutableRawBufferPointer, _ index: Int) {
        func put16(_ offset: Int, _ value: Int) { segment.storeBytes(of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset, as: UInt16.self) }
        let network = layout.network
        if layout.isIPv6 {
            put16(network + 4, segment.count - network - 40)
        } else {
            put16(network + 2, segment.count - network)
            put16(network + 4, Int(frame.network16(network + 4)) + index)
            put16(network + 10, 0)
            // The header's length is even and so not zero: this lies inside.
            _ = InternetChecksum.complete(UnsafeMutableRawBufferPointer(rebasing: segment[..<layout.payload]), start: network, field: network + 10)
        }
        if isTCP {
            let sequence = frame.network32(transport + 4) &+ UInt32(truncatingIfNeeded: index * size)
            segment.storeBytes(of: sequence.bigEndian, toByteOffset: transport + 4, as: UInt32.self)
            if index > 0 { segment[transport + Self.flagsOffset] &= ~Flags.congestionWindowReduced }
            if index < count - 1 { segment[transport + Self.flagsOffset] &= ~(Flags.fin | Flags.push) }
        } else {
            put16(transport + 4, segment.count - transport)
        }
        // The pseudo header holds the length, of which this is a part.
        let field = transport + (isTCP ? 16 : 6)
        let whole = UInt64(frame.count - transport), part = UInt64(segment.count - transport)
        put16(field, Int(InternetChecksum.fold(UInt64(frame.network16(field)) + UInt64(~InternetChecksum.fold(whole)) + part)))
        _ = InternetChecksum.complete(segment, start: transport, field: field)
    }
}
