import EmuJIT
import Foundation
import Testing

@Test func hostCodeIsListed() throws {
    let disassembler = try #require(HostDisassembler(.x86_64))
    let lines = disassembler.lines([0x48, 0x89, 0xd8, 0x06, 0xc3], address: 0x7f00_0000_1000)
    #expect(
        lines.map(\.description) == [
            "0x7f0000001000: 48 89 d8                 mov rax, rbx",
            "0x7f0000001003: 06                       .byte 0x06",
            "0x7f0000001004: c3                       ret",
        ])
    #expect(disassembler.lines([], address: 0).isEmpty)
}

@Test func aarch64CodeIsListed() throws {
    let disassembler = try #require(HostDisassembler(.aarch64))
    let lines = disassembler.lines([0x20, 0x00, 0x02, 0x8b, 0xc0, 0x03, 0x5f, 0xd6], address: 0x1000)
    #expect(lines.map(\.text) == ["add x0, x1, x2", "ret"])
    #expect(lines.map(\.address) == [0x1000, 0x1004])
}

@Test func perfMapNamesFunctions() throws {
    let map = try PerfMap()
    defer { unlink(map.path) }
    #expect(map.path == "/tmp/perf-\(getpid()).map")
    map.add(start: 0x7f12_3456_7000, size: 0x40, name: "guest 0x80000000\nno second line")
    #expect(try String(contentsOfFile: map.path, encoding: .utf8).isEmpty, "collected, not written")
    map.flush()
    let first = "7f1234567000 40 guest 0x80000000 no second line\n"
    #expect(try String(contentsOfFile: map.path, encoding: .utf8) == first)
    for index in 0..<3000 { map.add(start: UInt(index), size: 1, name: "function number \(index)") }
    map.flush()
    let all = try String(contentsOfFile: map.path, encoding: .utf8)
    #expect(all.split(separator: "\n").count == 3001)
    #expect(all.hasPrefix(first) && all.hasSuffix("bb7 1 function number 2999\n"))
}

#if arch(x86_64)
@Test func featuresAgreeWithTheKernel() throws {
    let flags = try #require(
        try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split(separator: "\n").first { $0.hasPrefix("flags") })
    let known = Set(flags.split(separator: " ").map(String.init))
    let kernelNames: [(HostFeatures, String)] = [
        (.bmi1, "bmi1"), (.bmi2, "bmi2"), (.lzcnt, "abm"), (.popcnt, "popcnt"), (.sse41, "sse4_1"), (.avx, "avx"), (.avx2, "avx2"),
        (.fma, "fma"), (.pclmulqdq, "pclmulqdq"), (.aes, "aes"), (.sha, "sha_ni"), (.gfni, "gfni"), (.avx512, "avx512vl"),
        (.vaes, "vaes"), (.vpclmulqdq, "vpclmulqdq"),
    ]
    for (feature, name) in kernelNames {
        #expect(HostFeatures.current.contains(feature) == known.contains(name), "\(name)")
    }
    #expect(HostFeatures([.bmi2, .avx]).list == ["bmi2", "avx"])
}
#else
@Test func otherHostsHaveNoneOfTheFeatures() {
    #expect(HostFeatures.current.isEmpty)
}
#endif
