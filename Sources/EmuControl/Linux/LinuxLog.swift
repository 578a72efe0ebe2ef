/// One message in the kernel's log.
struct LinuxMessage {
    let sequence: UInt64
    /// Nanoseconds since the kernel started to count.
    let time: UInt64
    /// 0 (emergency) to 7 (debug).
    let level: Int
    let facility: Int
    /// One or more lines.
    let lines: [String]

    /// As dmesg(1) shows it, each line with the time before it.
    var text: String {
        let seconds = String(time / 1_000_000_000), micro = String(time / 1000 % 1_000_000)
        let stamp = "[" + String(repeating: " ", count: max(0, 5 - seconds.count)) + seconds + "." + String(repeating: "0", count: 6 - micro.count) + micro + "] "
        return lines.map { stamp + $0 + "\n" }.joined()
    }
}

/// The kernel's log, out of its ring buffer (kernel/printk/printk_ringbuffer.c): there from the first message on, console or not.
extension LinuxGuest {
    /// Every message that is complete, oldest first.
    func log() throws(DebugError) -> Walk<LinuxMessage> {
        let ring = try object("printk_ringbuffer", at: try number(try required("prb")))
        let text = try TextRing(ring)
        let descriptorBits = try ring.number("desc_ring.count_bits")
        guard (1...20).contains(descriptorBits) else { throw DebugError("the kernel's log is damaged: it has 2^\(descriptorBits) descriptors") }
        let mask = (UInt64(1) << descriptorBits) - 1
        let descriptors = try ring.number("desc_ring.descs"), infos = try ring.number("desc_ring.infos")
        let descriptorSize = UInt64(try types.size("prb_desc")), infoSize = UInt64(try types.size("printk_info"))
        var walk = Walk<LinuxMessage>()
        var budget = Self.textLimit
        var id = try ring.number("desc_ring.tail_id.counter") & Self.idMask
        let head = try ring.number("desc_ring.head_id.counter") & Self.idMask
        // Identifiers count on; more of them than there are descriptors cannot be in use.
        guard (head &- id) & Self.idMask <= mask else { throw DebugError("the kernel's log is damaged: its first message is \((head &- id) & Self.idMask) before the last") }
        while true {
            let descriptor = try object("prb_desc", at: descriptors &+ (id & mask) &* descriptorSize)
            let state = try descriptor.number("state_var.counter")
            // Committed or finalised, and not of a later round.
            if state & Self.idMask == id, [1, 2].contains(state >> 62) {
                let info = try object("printk_info", at: infos &+ (id & mask) &* infoSize)
                do throws(DebugError) {
                    let length = try info.number("text_len")
                    let bytes = try text.bytes(
                        begin: try descriptor.number("text_blk_lpos.begin"), next: try descriptor.number("text_blk_lpos.next"), id: id, length: length, memory)
                    budget -= bytes.count
                    guard budget > 0 else { throw DebugError("the kernel's log is damaged: its messages overlap") }
                    walk.elements.append(LinuxMessage(
                        sequence: try info.number("seq"), time: try info.number("ts_nsec"), level: try info.signed("level"),
                        facility: try info.signed("facility"), lines: GuestText.lines(bytes)))
                } catch {
                    walk.problem = error.description
                }
            }
            if id == head { break }
            id = (id &+ 1) & Self.idMask
        }
        return walk
    }

    /// Of all messages together.
    private static let textLimit = 64 << 20
    /// The two bits above say what state a descriptor is in.
    private static let idMask: UInt64 = 1 << 62 - 1

    /// The texts, one after the other in a ring.
    private struct TextRing {
        let data: UInt64
        let bits: UInt64

        init(_ ring: LinuxObject) throws(DebugError) {
            data = try ring.number("text_data_ring.data")
            bits = try ring.number("text_data_ring.size_bits")
            guard (3...30).contains(bits) else { throw DebugError("the kernel's log is damaged: its texts have 2^\(bits) bytes") }
        }

        /// The text of a block between two logical positions.
        func bytes(begin: UInt64, next: UInt64, id: UInt64, length: UInt64, _ memory: LinuxMemory) throws(DebugError) -> [UInt8] {
            // Positions that are odd stand for "no text".
            if begin & 1 != 0 { return [] }
            let mask = UInt64(1) << bits - 1
            // A block that would go round the end begins anew at the start of the ring.
            let start = begin >> bits == (next &- 1) >> bits ? begin & mask : 0
            let end = begin >> bits == (next &- 1) >> bits ? start &+ (next &- begin) : next & mask
            guard start &+ 8 <= end, end <= mask &+ 1, memory.read(data &+ start, size: 8) == id else {
                throw DebugError("a message of the kernel's log is damaged: it lies at \(hexText(begin)) to \(hexText(next))")
            }
            guard let bytes = memory.bytes(data &+ start &+ 8, Int(min(length, end &- start &- 8))) else {
                throw DebugError("the kernel's log at \(hexText(data &+ start)) cannot be read: nothing is mapped there")
            }
            return bytes
        }
    }
}
