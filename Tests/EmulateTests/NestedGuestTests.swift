import Foundation
import Testing

/// What `make guest-kvm` put into the cache.
private enum NestedGuest {
    static var folder: String { DebianGuest.cache + "/debian-13-riscv64-kvm" }
    static var isThere: Bool { FileManager.default.fileExists(atPath: folder + "/stamp") }
}

/// A Linux in a Linux on the default processor: Debian's kernel with its module `kvm`, and QEMU that boots the same kernel with it. `make guest-kvm` fetches them.
@Suite(
    .serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"),
    .enabled(if: NestedGuest.isThere, "no nested guest in \(NestedGuest.folder): run 'make guest-kvm'"))
struct NestedGuestTests {
    /// Seconds a nested boot may take on a slow, busy machine before it counts as hung.
    private static let patience = 600.0

    @Test func kvmBootsANestedLinux() throws {
        let guest = try DebianGuest(), directory = try TemporaryDirectory()
        // The kernel unpacks one archive after the other.
        let initrd = directory.path("initrd")
        var archive = try Data(contentsOf: URL(filePath: guest.initrd))
        archive.append(try Data(contentsOf: URL(filePath: NestedGuest.folder + "/kvm.cpio")))
        try archive.write(to: URL(filePath: initrd))
        let command = Data("nested 'echo six times seven is $((6*7)) on $(uname -m)'".utf8).base64EncodedString()
        let machine = try Subprocess([
            "-machine", "virt", "-m", "1G", "-nographic", "-kernel", NestedGuest.folder + "/Image", "-initrd", initrd,
            "-append", "console=ttyS0 run=\(command)",
        ])
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        // Two kernels, and what the inner one was asked.
        #expect(text.components(separatedBy: "Linux version").count == 3)
        #expect(text.contains("six times seven is 42 on riscv64"))
        #expect(text.components(separatedBy: "run: exit 0").count == 3)
    }
}
