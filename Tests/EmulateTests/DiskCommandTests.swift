import EmuMachine
import Foundation
import Testing
import emulate

/// Debian's program for the same work.
private enum QemuImg {
    static let path = ["/usr/bin/qemu-img", "/usr/local/bin/qemu-img"].first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// `emulate disk` from outside, beside Debian's qemu-img where that is installed.
@Suite struct DiskCommandTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func path(_ name: String) -> String { directory.path(name) }

    private func disk(_ arguments: String...) throws -> (text: String, errors: String, code: Int32) {
        let run = try Subprocess(["disk"] + arguments)
        run.endInput()
        let text = run.outputToEnd(), errors = run.errorsToEnd()
        guard case .code(let code) = run.wait() else { return (text, errors, -1) }
        return (text, errors, code)
    }

    @discardableResult
    private func qemuImg(_ arguments: String...) throws -> (text: String, code: Int32) {
        let run = try Subprocess(arguments, program: QemuImg.path)
        let text = run.outputToEnd()
        guard case .code(let code) = run.wait() else { return (text, -1) }
        return (text, code)
    }

    private func object(_ text: String) throws -> NSObject {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSObject)
    }

    /// A raw disk of 3 MiB with data, zeroes and holes.
    private func rawDisk() throws -> String {
        var bytes = Data(count: 3 << 20)
        for index in 65536..<200_000 { bytes[index] = UInt8(truncatingIfNeeded: index >> 9) }
        try bytes.write(to: URL(filePath: path("a.raw")))
        return path("a.raw")
    }

    @Test func imagesAreCreatedConvertedComparedAndChecked() throws {
        let raw = try rawDisk(), qcow2 = path("a.qcow2")
        for options in [["-c"], ["-c", "-o", "compression_type=zstd"], ["-o", "extended_l2=on"], ["-S", "0"]] {
            let run = try Subprocess(["disk", "convert", "-O", "qcow2"] + options + [raw, qcow2])
            #expect(run.errorsToEnd() == "" && run.wait() == .code(0))
            #expect(try disk("compare", raw, qcow2) == ("Images are identical.\n", "", 0))
            #expect(try disk("check", qcow2).text.contains("No errors were found on the image."))
            if QemuImg.path != nil {
                #expect(try qemuImg("check", qcow2).code == 0)
                #expect(try qemuImg("compare", raw, qcow2).code == 0)
            }
        }
        #expect(try disk("create", "-f", "qcow2", path("b.qcow2"), "4M").code == 0)
        let differs = try disk("compare", raw, path("b.qcow2"))
        #expect(differs.code == 1 && differs.text == "Content mismatch at offset 65536!\n")
        #expect(try disk("compare", raw, path("gone")).code == 2)
    }

    @Test(.enabled(if: QemuImg.path != nil, "qemu-img is not installed")) func outputForProgramsIsQemuImgs() throws {
        let raw = try rawDisk()
        #expect(try disk("convert", "-O", "qcow2", raw, path("base.qcow2")).code == 0)
        #expect(try disk("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", path("top.qcow2")).code == 0)
        #expect(try disk("snapshot", "-c", "one", path("top.qcow2")).code == 0)
        for arguments in [["info"], ["info", "--backing-chain"], ["map"], ["check"]] {
            for image in [path("top.qcow2"), path("base.qcow2"), raw] where arguments[0] != "check" || image != raw {
                let words = arguments + ["--output=json", image]
                let own = try Subprocess(["disk"] + words), other = try Subprocess(words, program: QemuImg.path)
                let (mine, theirs) = (try object(own.outputToEnd()), try object(other.outputToEnd()))
                #expect(Self.covers(theirs, mine), "\(words): \(mine) is not \(theirs)")
            }
        }
        #expect(try disk("snapshot", "-l", path("top.qcow2")).text == qemuImg("snapshot", "-l", path("top.qcow2")).text)
        #expect(try disk("map", path("base.qcow2")).text == qemuImg("map", path("base.qcow2")).text)
    }

    /// True when everything in `own` is in `other`, which may say more (newer versions do).
    private static func covers(_ other: Any, _ own: Any) -> Bool {
        if let other = other as? [String: Any], let own = own as? [String: Any] {
            return own.allSatisfy { name, value in other[name].map { covers($0, value) } ?? false }
        }
        if let other = other as? [Any], let own = own as? [Any] { return other.count == own.count && zip(other, own).allSatisfy { covers($0, $1) } }
        return (other as? NSObject) == (own as? NSObject)
    }

    @Test func changesAreCommittedToTheImageBelow() throws {
        let raw = try rawDisk(), top = path("top.qcow2")
        #expect(try disk("create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top, "4M").code == 0)
        let other = path("other.raw")
        var bytes = try Data(contentsOf: URL(filePath: raw)) + Data(count: 1 << 20)
        bytes.replaceSubrange(100_000..<300_000, with: Data(repeating: 0x77, count: 200_000))
        try bytes.write(to: URL(filePath: other))
        #expect(try disk("convert", "-n", "-O", "qcow2", other, top).code == 0)
        #expect(try disk("commit", top).text == "Image committed.\n")
        #expect(try Data(contentsOf: URL(filePath: raw)) == bytes)
        #expect(try disk("compare", top, other).code == 0)
        #expect(try disk("check", top).code == 0)
    }

    @Test func sizesAndSnapshotsFollowTheCommandLine() throws {
        let image = path("a.qcow2")
        #expect(try disk("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k,lazy_refcounts=on", image, "1M").code == 0)
        #expect(try disk("resize", image, "+1M").text == "Image resized.\n")
        #expect(try disk("info", image).text.contains("virtual size: 2 MiB (2097152 bytes)"))
        let shrunk = try disk("resize", image, "1M")
        #expect(shrunk.code == 1 && shrunk.errors.contains("--shrink"))
        #expect(try disk("resize", "--shrink", image, "1M").code == 0)
        #expect(try disk("snapshot", "-c", "s", image).code == 0)
        #expect(try disk("snapshot", "-l", image).text.contains("s  "))
        #expect(try disk("snapshot", "-a", "s", image).code == 0)
        #expect(try disk("snapshot", "-d", "s", image).code == 0)
        #expect(try disk("check", image).code == 0)
    }

    @Test(arguments: [
        (["create", "x"], "needs a size"), (["create", "-f", "vmdk", "x", "1M"], "'vmdk' is not one of raw, qcow2"), (["info", "/nonexistent"], "no such file"),
        (["frobnicate"], "there is no such verb"), (["creat"], "did you mean 'create'"), (["convert", "a"], "something is missing"),
        (["create", "-f", "qcow2", "-o", "cluster_size=3", "/tmp/emulate-none", "1M"], "power of two"), (["snapshot", "-l", "/dev/null"], "neither a file"),
    ])
    func mistakesAreNamed(_ arguments: [String], _ expected: String) throws {
        let run = try Subprocess(["disk"] + arguments)
        let errors = run.errorsToEnd()
        #expect(errors.contains(expected) && errors.filter { $0 == "\n" }.count == 1, "\(errors)")
        #expect(run.wait() == .code(1))
    }
}

/// docs/storage.md and the verbs say the same. `UPDATE_GOLDEN=1` rewrites the page's generated part.
@Suite struct DiskDocumentationTests {
    @Test func thePageListsVerbsAndOptions() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/storage.md").standardizedFileURL
        var text = try String(contentsOf: page, encoding: .utf8)
        let from = try #require(text.range(of: "<!-- disk: written by `UPDATE_GOLDEN=1 swift test --filter DiskDocumentationTests` -->\n")).upperBound
        let to = try #require(text.range(of: "<!-- end of disk -->\n")).lowerBound
        let expected = "\n" + DiskCommand.markdown + "\n"
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            text.replaceSubrange(from..<to, with: expected)
            try text.write(to: page, atomically: true, encoding: .utf8)
        } else {
            #expect(text[from..<to] == expected, "docs/storage.md is out of date: run it with UPDATE_GOLDEN=1")
        }
    }
}
