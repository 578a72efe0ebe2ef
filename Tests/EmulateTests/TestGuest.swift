import Foundation

/// Small guests without firmware, written out as machine code.
enum TestGuest {
    /// Prints '>', then echoes what it receives; '!' powers off.
    static let echo: [UInt32] = [
        0x1000_02b7,  //     lui  t0, 0x10000        UART
        0x03e0_0393,  //     li   t2, '>'
        0x0072_8023,  //     sb   t2, 0(t0)
        0x0052_c303,  // 1:  lbu  t1, 5(t0)          line status
        0x0013_7313,  //     andi t1, t1, 1          data ready
        0xfe03_0ce3,  //     beqz t1, 1b
        0x0002_c383,  //     lbu  t2, 0(t0)
        0x0072_8023,  //     sb   t2, 0(t0)
        0x0210_0e13,  //     li   t3, '!'
        0xffc3_94e3,  //     bne  t2, t3, 1b
        0x0010_0eb7,  //     lui  t4, 0x100          test finisher
        0x0000_5f37,  //     lui  t5, 0x5
        0x555f_0f13,  //     addi t5, t5, 0x555      pass
        0x01ee_a023,  //     sw   t5, 0(t4)
        0x0000_006f,  // 2:  j    2b
    ]

    /// Prints 'x' for ever.
    static let flood: [UInt32] = [
        0x1000_02b7,  //     lui  t0, 0x10000        UART
        0x0780_0393,  //     li   t2, 'x'
        0x0072_8023,  // 1:  sb   t2, 0(t0)
        0xffdf_f06f,  //     j    1b
    ]
}

/// A directory for one test, gone with it.
final class TemporaryDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "emulate-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// Writes a file and returns its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = url.appending(path: name)
        try Data(bytes).write(to: file)
        return file.path
    }

    func program(_ name: String, _ words: [UInt32]) throws -> String {
        try file(name, words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } })
    }

    func path(_ name: String) -> String { url.appending(path: name).path }
}
