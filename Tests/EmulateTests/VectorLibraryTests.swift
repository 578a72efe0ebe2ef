import Foundation
import Testing

/// What `make guest-vectors` put into the cache.
private enum VectorGuest {
    static var folder: String { DebianGuest.cache + "/debian-13-riscv64-vectors" }
    static var isThere: Bool { FileManager.default.fileExists(atPath: folder + "/stamp") }
}

/// Debian's programs whose libraries choose vectors when Linux tells them (hwprobe) that the processor has them: OpenSSL, whose answers are known,
/// and the AV1 decoder dav1d, whose pictures the host's decoder has decoded as well. `make guest-vectors` fetches them.
@Suite(
    .serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"),
    .enabled(if: VectorGuest.isThere, "no programs with vectors in \(VectorGuest.folder): run 'make guest-vectors'"))
struct VectorLibraryTests {
    /// Seconds a boot with what follows may take on a slow, busy machine before it counts as hung.
    private static let patience = 300.0

    /// A command that reads its input, given in hexadecimal, and what it prints.
    private struct Answer {
        var command: String
        var input: String
        var output: String
    }

    private static let blocks =
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    private static let sentence = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    private static let hexadecimal = "od -An -v -tx1 | tr -d ' \\n'"

    private static func hex(_ text: String) -> String { text.utf8.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }

    /// FIPS 180-4, GB/T 32905 and 32907, NIST SP 800-38A, NIST's vectors for GCM, RFC 8439.
    private static let answers = [
        Answer(command: "openssl dgst -sha256 -r", input: hex("abc"), output: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        Answer(
            command: "openssl dgst -sha512 -r", input: hex("abc"),
            output: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
        Answer(command: "openssl dgst -sm3 -r", input: hex("abc"), output: "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        Answer(
            command: "head -c 1000000 /dev/zero | tr '\\0' a | openssl dgst -sha256 -r", input: "",
            output: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        Answer(
            command: "head -c 1000000 /dev/zero | tr '\\0' a | openssl dgst -sha512 -r", input: "",
            output: "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"),
        Answer(
            command: "openssl enc -aes-128-cbc -nopad -K 2b7e151628aed2a6abf7158809cf4f3c -iv 000102030405060708090a0b0c0d0e0f | \(hexadecimal)", input: blocks,
            output: "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"),
        Answer(
            command: "openssl enc -aes-128-ctr -K 2b7e151628aed2a6abf7158809cf4f3c -iv f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff | \(hexadecimal)", input: blocks,
            output: "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"),
        Answer(
            command: "openssl mac -cipher AES-128-GCM -macopt hexkey:77be63708971c4e240d1cb79e8d77feb -macopt hexiv:e0e00f19fed7ba0136a797f3 GMAC",
            input: "7a43ec1d9c0a5a78a0b16533a6213cab", output: "209FCC8D3675ED938E9C7166709DD946"),
        Answer(
            command: "openssl enc -sm4-ecb -nopad -K 0123456789abcdeffedcba9876543210 | \(hexadecimal)", input: "0123456789abcdeffedcba9876543210",
            output: "681edf34d206965e86b3e94f536e4246"),
        Answer(
            command: "openssl enc -chacha20 -K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 01000000000000000000004a00000000 | \(hexadecimal)",
            input: hex(sentence),
            output: "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
                + "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d"),
    ]

    /// What the guest does: all answers with what the processor has, and again without vectors; the film in both ways.
    private static var script: String {
        var lines = ["export LD_LIBRARY_PATH=/usr/lib/riscv64-linux-gnu", "openssl info -cpusettings"]
        for (round, limit) in ["", "export OPENSSL_riscvcap=RV64GC"].enumerated() {
            lines.append(limit)
            for (number, answer) in answers.enumerated() {
                let bytes = stride(from: 0, to: answer.input.count, by: 2).map { UInt8(answer.input.dropFirst($0).prefix(2), radix: 16) ?? 0 }
                let source = bytes.isEmpty ? "" : "echo \(Data(bytes).base64EncodedString()) | base64 -d | "
                lines.append("echo \"answer \(round).\(number) $(\(source)\(answer.command))\"")
            }
        }
        lines += ["echo \"film $(dav1d -q -i /clip.ivf --muxer md5 -o -)\"", "echo \"plain film $(dav1d -q -i /clip.ivf --cpumask 0 --muxer md5 -o -)\""]
        lines.append("exit\n")
        return lines.joined(separator: "\n")
    }

    /// The default processor, and that with vector cryptography.
    @Test(arguments: [("rva23s64", ["_V", "ZVBB"], ["ZVKNED"]), ("max,vlen=128", ["_V", "ZVBB", "ZVBC", "ZVKG", "ZVKNED", "ZVKNHB", "ZVKSED", "ZVKSH", "vlen:128"], [])])
    func librariesComputeTheSameWithVectors(cpu: String, uses: [String], lacks: [String]) throws {
        let guest = try DebianGuest(), directory = try TemporaryDirectory()
        let initrd = directory.path("initrd")
        var archive = try Data(contentsOf: URL(filePath: guest.initrd))
        archive.append(try Data(contentsOf: URL(filePath: VectorGuest.folder + "/vectors.cpio")))
        try archive.write(to: URL(filePath: initrd))
        // A command line is too short for it; a disk has whole sectors.
        let script = directory.path("script"), lines = Data(Self.script.utf8)
        try (lines + Data(count: -lines.count & 511)).write(to: URL(filePath: script))
        let machine = try Subprocess([
            "-machine", "virt", "-cpu", cpu, "-m", "512M", "-nographic", "-kernel", guest.image, "-initrd", initrd,
            "-append", "console=ttyS0 run=\(Data("sh /dev/vda".utf8).base64EncodedString())",
            "-drive", "file=\(script),format=raw,readonly=on,if=none,id=script", "-device", "virtio-blk-device,drive=script",
        ])
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        let settings = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("OPENSSL_riscvcap=") } ?? ""
        #expect(uses.allSatisfy(settings.contains) && !lacks.contains(where: settings.contains), "\(settings)")
        for round in 0...1 {
            for (number, answer) in Self.answers.enumerated() { #expect(text.contains("answer \(round).\(number) \(answer.output)"), "\(answer.command), round \(round)") }
        }
        let film = try String(contentsOfFile: VectorGuest.folder + "/clip.md5", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(text.contains("\r\nfilm \(film)") && text.contains("plain film \(film)"))
    }
}
