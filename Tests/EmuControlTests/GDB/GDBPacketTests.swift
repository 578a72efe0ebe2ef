import EmuControl
import TestSupport
import Testing

/// Framing, whatever the other side sends.
@Suite struct GDBPacketTests {
    private static func events(_ bytes: [UInt8]) -> [GDBPacketReader.Event] {
        var reader = GDBPacketReader()
        return bytes.compactMap { reader.take($0) }
    }

    private static func events(_ text: String) -> [GDBPacketReader.Event] { events(Array(text.utf8)) }

    @Test("a packet, acknowledgements and Ctrl-C are told apart; noise between them is nothing")
    func kinds() {
        #expect(Self.events("+-x\u{3}$OK#9a$#00") == [.acknowledge, .reject, .interrupt, .packet(Array("OK".utf8)), .packet([])])
        // Within a packet 0x03 is data.
        #expect(Self.events(GDBClient.frame([0x58, 0x03])) == [.packet([0x58, 0x03])])
    }

    @Test("a wrong checksum, digits that are none, and an escape of nothing are damage; the next packet is read")
    func damage() {
        for wrong in ["$OK#9b", "$OK#9", "$OK#zz", "$O}#cc"] {
            let events = Self.events(wrong + (wrong.count == 5 ? "." : "") + "$g#67")
            #expect(events == [.damaged, .packet(Array("g".utf8))], "\(wrong)")
        }
        // The end of a packet was lost.
        #expect(Self.events("$m800$g#67") == [.packet(Array("g".utf8))])
    }

    @Test("packets up to the size told are taken, longer ones are dropped to their end")
    func length() {
        let longest = [UInt8](repeating: 0x61, count: GDBPacket.size)
        #expect(Self.events(GDBClient.frame(longest)) == [.packet(longest)])
        #expect(Self.events(GDBClient.frame(longest + [0x61]) + GDBClient.frame([0x67])) == [.damaged, .packet([0x67])])
    }

    @Test("every byte survives framing")
    func escapes() {
        let all = (0...255).map { UInt8($0) }
        let frame = GDBPacket.frame(all)
        #expect(Self.events(frame) == [.packet(all)])
        #expect(frame.dropFirst().dropLast(3).allSatisfy { !"$#*".utf8.contains($0) })
    }

    @Test("numbers of more than 64 bits, threads that cannot be, odd digits are refused")
    func arguments() {
        var number = GDBArguments(Array("00ffffffffffffffff,12345678123456789".utf8)[...])
        let greatest = number.number()
        #expect(greatest == .max)
        let isPast = number.skip(",")
        #expect(isPast)
        let tooGreat = number.number()
        #expect(tooGreat == nil)
        let threads: [(String, GDBThread?)] = [
            ("-1", .all), ("0", .any), ("1", .hart(0)), ("ffffffffffffffff", .hart(.max)), ("p1.2", .hart(1)), ("p1.-1", .all), ("x", nil), ("", nil),
        ]
        for (text, thread) in threads {
            var arguments = GDBArguments(Array(text.utf8)[...])
            let found = arguments.thread()
            #expect(found == thread, "\(text)")
        }
        #expect(GDBPacket.bytes(hex: Array("0aF".utf8)) == nil)
        #expect(GDBPacket.bytes(hex: Array("0aFg".utf8)) == nil)
        #expect(GDBPacket.bytes(hex: Array("0aF0".utf8)) == [0x0a, 0xf0])
    }

    @Test("random bytes never make the reader keep more than a packet")
    func randomBytes() {
        var random = SplitMix(seed: 5)
        var reader = GDBPacketReader()
        let alphabet = Array("$#}+-0a\u{3}".utf8)
        for _ in 0..<200_000 {
            if case .packet(let body)? = reader.take(alphabet[Int(random.next() % UInt64(alphabet.count))]) { #expect(body.count <= GDBPacket.size) }
        }
    }
}
