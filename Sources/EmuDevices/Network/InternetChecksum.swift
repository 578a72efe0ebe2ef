/// The checksum of IP, TCP and UDP (RFC 1071): the complement of a ones' complement sum of 16-bit words, most significant byte first.
package enum InternetChecksum {
    /// The sum over `bytes`, as if a zero byte followed an odd number of them, folded to 16 bits.
    package static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        // The sum of words in the host's byte order is the right one with its bytes in the host's order (RFC 1071, 2 B).
        var sum: UInt64 = 0
        var index = 0
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // 2^32 of these fit, and no frame is that long.
            sum &+= word & 0xffff_ffff &+ word >> 32
            index += 8
        }
        while index + 2 <= bytes.count {
            sum &+= UInt64(bytes.loadUnaligned(fromByteOffset: index, as: UInt16.self))
            index += 2
        }
        if index < bytes.count { sum &+= UInt64(UInt16(bytes[index]).littleEndian) }
        return fold(sum).bigEndian
    }

    /// Adds words up to one.
    static func fold(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return UInt16(sum)
    }

    /// Completes the checksum at `field` of what begins at `start`, where so far only the sum of a pseudo header is; false when either
    /// lies outside the frame.
    package static func complete(_ frame: UnsafeMutableRawBufferPointer, start: Int, field: Int) -> Bool {
        guard start >= 0, start < frame.count, field >= start, field + 2 <= frame.count else { return false }
        let sum = sum(UnsafeRawBufferPointer(rebasing: frame[start...]))
        // Zero means "none" in UDP; its complement means the same sum.
        frame.storeBytes(of: (sum == 0xffff ? sum : ~sum).bigEndian, toByteOffset: field, as: UInt16.self)
        return true
    }
}

extension UnsafeRawBufferPointer {
    /// The 16 bits at `offset`, most significant byte first; the caller has checked that they are there.
    func network16(_ offset: Int) -> UInt16 { loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian }

    /// The 32 bits at `offset`, most significant byte first; the caller has checked that they are there.
    func network32(_ offset: Int) -> UInt32 { loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian }
}
