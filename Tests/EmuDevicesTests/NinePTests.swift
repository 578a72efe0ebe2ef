import EmuDevices
import Foundation
import TestSupport
import Testing

/// A 9P2000.L client that builds its messages byte by byte.
private final class Client {
    let server: NinePServer
    let shared: SharedFolder
    let folder: URL
    static let noTag: UInt16 = 7

    init(readOnly: Bool = false) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "ninep-\(UUID().uuidString)/shared")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data("secret".utf8).write(to: folder.deletingLastPathComponent().appending(path: "outside"))
        shared = try SharedFolder(path: folder.path, isReadOnly: readOnly, ownership: .none)
        server = NinePServer(shared)
    }

    deinit { try? FileManager.default.removeItem(at: folder.deletingLastPathComponent()) }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    static func le<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    static func text(_ text: String) -> [UInt8] { le(UInt16(text.utf8.count)) + Array(text.utf8) }

    /// The reply's body, or the error number.
    func ask(_ type: UInt8, _ body: [UInt8], room: Int = 8192) -> Result<[UInt8], Failure> {
        let request = Self.le(UInt32(7 + body.count)) + [type] + Self.le(Self.noTag) + body
        let reply = server.answer(request, room: room)
        #expect(reply.count <= room && reply.count >= 7 && Array(reply[0..<4]) == Self.le(UInt32(reply.count)) && Array(reply[5..<7]) == Self.le(Self.noTag))
        let rest = Array(reply[7...])
        if reply[4] == 7 { return .failure(Failure(code: Int32(rest[0]) | Int32(rest[1]) << 8)) }
        #expect(reply[4] == type + 1)
        return .success(rest)
    }

    struct Failure: Error, Equatable { let code: Int32 }

    func error(_ type: UInt8, _ body: [UInt8]) -> Int32? {
        if case .failure(let failure) = ask(type, body) { return failure.code }
        return nil
    }

    /// Version and attach: fid 0 is the root.
    func begin() throws {
        let version = try ask(100, Self.le(UInt32(65536)) + Self.text("9P2000.L")).get()
        #expect(version == Self.le(UInt32(65536)) + Self.text("9P2000.L"))
        let root = try ask(104, Self.le(UInt32(0)) + Self.le(UInt32.max) + Self.text("root") + Self.text("") + Self.le(UInt32(0))).get()
        #expect(root.count == 13 && root[0] == 0x80)
    }

    func walk(_ from: UInt32, _ to: UInt32, _ names: [String]) -> Result<[UInt8], Failure> {
        ask(110, Self.le(from) + Self.le(to) + Self.le(UInt16(names.count)) + names.flatMap(Self.text))
    }

    func open(_ fid: UInt32, _ flags: UInt32 = 0) -> Result<[UInt8], Failure> { ask(12, Self.le(fid) + Self.le(flags)) }

    func create(_ fid: UInt32, _ name: String, _ flags: UInt32 = 2, mode: UInt32 = 0o644) -> Result<[UInt8], Failure> {
        ask(14, Self.le(fid) + Self.text(name) + Self.le(flags) + Self.le(mode) + Self.le(UInt32(0)))
    }

    func read(_ fid: UInt32, at offset: UInt64, _ count: UInt32, room: Int = 8192) throws -> [UInt8] {
        let body = try ask(116, Self.le(fid) + Self.le(offset) + Self.le(count), room: room).get()
        #expect(Array(body[0..<4]) == Self.le(UInt32(body.count - 4)))
        return Array(body[4...])
    }

    func write(_ fid: UInt32, at offset: UInt64, _ data: String) -> Result<[UInt8], Failure> {
        ask(118, Self.le(fid) + Self.le(offset) + Self.le(UInt32(data.utf8.count)) + Array(data.utf8))
    }

    func clunk(_ fid: UInt32) -> Int32? { error(120, Self.le(fid)) }
}

@Suite struct NinePTests {
    @Test func filesAreMadeWrittenReadAndRemoved() throws {
        let client = try Client()
        try client.begin()
        _ = try client.walk(0, 1, []).get()
        _ = try client.create(1, "new").get()
        #expect(try client.write(1, at: 3, "hello").get() == Client.le(UInt32(5)))
        #expect(try client.read(1, at: 0, 100) == [0, 0, 0] + Array("hello".utf8))
        #expect(try String(contentsOfFile: client.path("new"), encoding: .utf8) == "\0\0\0hello")
        #expect(client.clunk(1) == nil)
        #expect(client.clunk(1) == EBADF)
        // Truncated as it is opened.
        _ = try client.walk(0, 1, ["new"]).get()
        _ = try client.open(1, 0o1001).get()
        #expect(try Data(contentsOf: URL(filePath: client.path("new"))).isEmpty)
        #expect(client.error(76, Client.le(UInt32(0)) + Client.text("new") + Client.le(UInt32(0))) == nil)
        #expect(!FileManager.default.fileExists(atPath: client.path("new")))
        // What is open stays usable.
        #expect(try client.write(1, at: 0, "still").get() == Client.le(UInt32(5)))
    }

    @Test func foldersAreMadeListedRenamedAndRemoved() throws {
        let client = try Client()
        try client.begin()
        #expect(try client.ask(72, Client.le(UInt32(0)) + Client.text("sub") + Client.le(UInt32(0o755)) + Client.le(UInt32(0))).get()[0] == 0x80)
        for number in 0..<200 { try Data().write(to: URL(filePath: client.path("sub/file\(number)"))) }
        _ = try client.walk(0, 1, ["sub"]).get()
        _ = try client.open(1, 0o200000).get()
        var names: [String] = []
        var offset: UInt64 = 0
        while true {
            let body = try client.ask(40, Client.le(UInt32(1)) + Client.le(offset) + Client.le(UInt32(700))).get()
            var rest = body[4...]
            #expect(rest.count <= 700)
            if rest.isEmpty { break }
            while !rest.isEmpty {
                let entry = Array(rest)
                offset = (0..<8).reduce(0) { $0 | UInt64(entry[13 + $1]) << UInt64(8 * $1) }
                let length = Int(entry[22]) | Int(entry[23]) << 8
                names.append(String(decoding: entry[24..<24 + length], as: UTF8.self))
                rest = rest.dropFirst(24 + length)
            }
        }
        #expect(Set(names) == Set((0..<200).map { "file\($0)" } + [".", ".."]) && names.count == 202)
        // renameat, then a fid that was reached by the old name still is the file.
        _ = try client.walk(1, 2, ["file7"]).get()
        #expect(client.error(74, Client.le(UInt32(1)) + Client.text("file7") + Client.le(UInt32(0)) + Client.text("moved")) == nil)
        #expect(try client.ask(24, Client.le(UInt32(2)) + Client.le(UInt64(0x7ff))).get().count == 153)
        #expect(FileManager.default.fileExists(atPath: client.path("moved")))
        #expect(client.error(76, Client.le(UInt32(0)) + Client.text("sub") + Client.le(UInt32(0x200))) == ENOTEMPTY)
    }

    @Test("nothing leads out of the folder", arguments: ["..", "../outside", "/etc/passwd", "", ".", "a/b", "up/outside"]) func namesAreSingleComponents(name: String) throws {
        let client = try Client()
        try client.begin()
        try FileManager.default.createSymbolicLink(atPath: client.path("up"), withDestinationPath: "..")
        if name == ".." {
            // The root's parent is the root.
            let root = try client.ask(24, Client.le(UInt32(0)) + Client.le(UInt64(0))).get()
            _ = try client.walk(0, 1, ["..", "..", ".."]).get()
            #expect(try client.ask(24, Client.le(UInt32(1)) + Client.le(UInt64(0))).get() == root)
        } else {
            #expect(client.walk(0, 1, [name]) == .failure(Client.Failure(code: EINVAL)))
        }
        _ = try client.walk(0, 9, []).get()
        #expect(client.create(9, name) == .failure(Client.Failure(code: EINVAL)))
        #expect(client.error(72, Client.le(UInt32(0)) + Client.text(name) + Client.le(UInt32(0o755)) + Client.le(UInt32(0))) == EINVAL)
        #expect(client.error(16, Client.le(UInt32(0)) + Client.text(name) + Client.text("x") + Client.le(UInt32(0))) == EINVAL)
        #expect(client.error(76, Client.le(UInt32(0)) + Client.text(name) + Client.le(UInt32(0))) == EINVAL)
        #expect(client.error(74, Client.le(UInt32(0)) + Client.text("up") + Client.le(UInt32(0)) + Client.text(name)) == EINVAL)
    }

    @Test func symbolicLinksAreNotFollowed() throws {
        let client = try Client()
        try client.begin()
        try FileManager.default.createSymbolicLink(atPath: client.path("up"), withDestinationPath: "..")
        try FileManager.default.createSymbolicLink(atPath: client.path("out"), withDestinationPath: "../outside")
        // Through a folder's link, and by opening, creating through, truncating or changing a file's.
        #expect(try client.walk(0, 1, ["up", "outside"]).get().first == 1)
        #expect(client.clunk(1) == EBADF)
        _ = try client.walk(0, 2, ["out"]).get()
        #expect(try client.ask(22, Client.le(UInt32(2))).get() == Client.text("../outside"))
        #expect(client.open(2) == .failure(Client.Failure(code: ELOOP)))
        _ = try client.walk(0, 3, []).get()
        #expect(client.create(3, "out", 0o1002) == .failure(Client.Failure(code: ELOOP)))
        var change = Client.le(UInt32(2)) + Client.le(UInt32(8))
        change += [UInt8](repeating: 0, count: 12) + Client.le(UInt64(0)) + [UInt8](repeating: 0, count: 32)
        #expect(client.error(26, change) == EINVAL)
        var mode = Client.le(UInt32(2)) + Client.le(UInt32(1)) + Client.le(UInt32(0o777))
        mode += [UInt8](repeating: 0, count: 8 + 8 + 32)
        _ = client.error(26, mode)
        let outside = client.folder.deletingLastPathComponent().appending(path: "outside").path
        #expect(try String(contentsOfFile: outside, encoding: .utf8) == "secret")
        #expect(try FileManager.default.attributesOfItem(atPath: outside)[.posixPermissions] as? Int != 0o777)
        // A hard link to the link is a link, too.
        #expect(client.error(70, Client.le(UInt32(0)) + Client.le(UInt32(2)) + Client.text("again")) == nil)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: client.path("again")) == "../outside")
    }

    @Test func devicesAndSetIDBitsAreRefused() throws {
        let client = try Client()
        try client.begin()
        for kind in [0o020000, 0o060000] as [UInt32] {
            let body = Client.le(UInt32(0)) + Client.text("dev") + Client.le(kind | 0o666) + Client.le(UInt32(1)) + Client.le(UInt32(3)) + Client.le(UInt32(0))
            #expect(client.error(18, body) == EPERM)
        }
        #expect(client.error(18, Client.le(UInt32(0)) + Client.text("pipe") + Client.le(UInt32(0o010666)) + [UInt8](repeating: 0, count: 12)) == nil)
        _ = try client.walk(0, 1, ["pipe"]).get()
        #expect(client.open(1) == .failure(Client.Failure(code: ENXIO)))
        _ = try client.walk(0, 2, []).get()
        _ = try client.create(2, "program", 2, mode: 0o6755).get()
        // As it is, without changing it under other tests.
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let umask = try #require(status.firstMatch(of: /Umask:\s*(\d+)/).flatMap { Int($0.1, radix: 8) })
        #expect(try FileManager.default.attributesOfItem(atPath: client.path("program"))[.posixPermissions] as? Int == 0o755 & ~umask)
    }

    /// A folder with so many others in it, one within the other, all called "d".
    private func nest(_ depth: Int, in client: Client) throws {
        try FileManager.default.createDirectory(atPath: client.path(Array(repeating: "d", count: depth).joined(separator: "/")), withIntermediateDirectories: true)
    }

    /// Goes down from the root, a fid at the end; how far it came, and the error that stopped it.
    private func descend(_ depth: Int, _ fid: UInt32, _ client: Client) throws -> (depth: Int, error: Int32?) {
        _ = try client.walk(0, fid, []).get()
        for step in 0..<depth {
            if case .failure(let failure) = client.walk(fid, fid, ["d"]) { return (step, failure.code) }
        }
        return (depth, nil)
    }

    @Test func pathsAreOfLimitedDepth() throws {
        let client = try Client()
        try client.begin()
        try nest(300, in: client)
        #expect(try descend(300, 1, client) == (255, ENAMETOOLONG))
        #expect(client.create(1, "file") == .failure(Client.Failure(code: ENAMETOOLONG)))
        #expect(client.error(72, Client.le(UInt32(1)) + Client.text("new") + Client.le(UInt32(0o755)) + Client.le(UInt32(0))) == ENAMETOOLONG)
        #expect(client.error(76, Client.le(UInt32(1)) + Client.text("d") + Client.le(UInt32(0x200))) == ENOTEMPTY)
        #expect(client.walk(1, 1, [".."]) != .failure(Client.Failure(code: ENAMETOOLONG)))
    }

    @Test("a file and the folders on the way to it count as long as the guest refers to them") func nodesAreLimited() throws {
        let client = try Client()
        try client.begin()
        client.shared.nodeLimit = 100
        try nest(60, in: client)
        #expect(try descend(60, 1, client) == (60, nil))
        // The root is one.
        #expect(try descend(60, 2, client) == (39, EMFILE))
        #expect(client.error(72, Client.le(UInt32(2)) + Client.text("new") + Client.le(UInt32(0o755)) + Client.le(UInt32(0))) == EMFILE)
        #expect(client.create(2, "file") == .failure(Client.Failure(code: EMFILE)))
        // What takes none goes on.
        try Data().write(to: URL(filePath: client.path("file")))
        #expect(client.error(76, Client.le(UInt32(0)) + Client.text("file") + Client.le(UInt32(0))) == nil)
        #expect(client.clunk(1) == nil && client.clunk(2) == nil)
        #expect(try descend(60, 1, client) == (60, nil))
    }

    @Test func synchronisingManyFilesLeavesTheMachineItsTurn() throws {
        let client = try Client()
        let bench = try VirtioBench(.modernSplit, VirtioNineP(name: "virtio-9p0", folder: client.shared, tag: "share"))
        let driver = bench.driver
        driver.start(size: 128)
        let queue = try #require(driver.queues[0])
        // Tfsync of a fid that is not there.
        let request = Client.le(UInt32(15)) + [50] + Client.le(UInt16(1)) + Client.le(UInt32(9)) + Client.le(UInt32(0))
        for _ in 0..<40 { queue.add([driver.readable(request), driver.writable(64)]) }
        queue.kick()
        var rounds: [Int] = []
        for _ in 0..<3 {
            rounds.append(queue.used().count)
            bench.runEvents()
        }
        #expect(rounds == [16, 16, 8])
    }

    @Test func aReadOnlyFolderStaysAsItIs() throws {
        let client = try Client(readOnly: true)
        try client.begin()
        try Data("text".utf8).write(to: URL(filePath: client.path("file")))
        _ = try client.walk(0, 1, ["file"]).get()
        for flags in [1, 2, 0o1000] as [UInt32] { #expect(client.open(1, flags) == .failure(Client.Failure(code: EROFS))) }
        #expect(client.create(0, "new") == .failure(Client.Failure(code: EROFS)))
        #expect(client.error(76, Client.le(UInt32(0)) + Client.text("file") + Client.le(UInt32(0))) == EROFS)
        #expect(client.error(72, Client.le(UInt32(0)) + Client.text("d") + Client.le(UInt32(0)) + Client.le(UInt32(0))) == EROFS)
        #expect(client.error(74, Client.le(UInt32(0)) + Client.text("file") + Client.le(UInt32(0)) + Client.text("b")) == EROFS)
        #expect(client.error(26, Client.le(UInt32(1)) + Client.le(UInt32(1)) + [UInt8](repeating: 0, count: 52)) == EROFS)
        #expect(client.error(122, Client.le(UInt32(1))) == EROFS)
        _ = try client.walk(0, 1, ["file"]).get()
        _ = try client.open(1).get()
        #expect(try client.read(1, at: 0, 10) == Array("text".utf8))
        #expect(client.write(1, at: 0, "x") == .failure(Client.Failure(code: EROFS)))
    }

    @Test func readsFitTheReply() throws {
        let client = try Client()
        try client.begin()
        try Data(repeating: 0x61, count: 10_000).write(to: URL(filePath: client.path("file")))
        _ = try client.walk(0, 1, ["file"]).get()
        _ = try client.open(1).get()
        #expect(try client.read(1, at: 0, .max, room: 100).count == 89)
        #expect(try client.read(1, at: 9_999, .max) == [0x61])
        #expect(client.error(116, Client.le(UInt32(1)) + Client.le(UInt64.max) + Client.le(UInt32(10))) == EINVAL)
        #expect(try client.read(1, at: 1 << 62, 10).isEmpty)
    }

    @Test func locksBlockOthers() throws {
        let client = try Client()
        try client.begin()
        try Data("text".utf8).write(to: URL(filePath: client.path("file")))
        for fid in [1, 2] as [UInt32] {
            _ = try client.walk(0, fid, ["file"]).get()
            _ = try client.open(fid, 2).get()
        }
        func lock(_ fid: UInt32, _ type: UInt8) throws -> [UInt8] {
            try client.ask(52, Client.le(fid) + [type] + Client.le(UInt32(0)) + Client.le(UInt64(0)) + Client.le(UInt64(0)) + Client.le(UInt32(1)) + Client.text("me")).get()
        }
        #expect(try lock(1, 1) == [0])
        #expect(try lock(2, 0) == [1])
        let test = try client.ask(54, Client.le(UInt32(2)) + [0] + Client.le(UInt64(0)) + Client.le(UInt64(0)) + Client.le(UInt32(1)) + Client.text("me")).get()
        #expect(test.first == 1)
        #expect(try lock(1, 2) == [0])
        #expect(try lock(2, 1) == [0])
    }

    @Test("whatever bytes come, there is an answer") func malformedMessagesAreErrors() throws {
        let client = try Client()
        try client.begin()
        for type in UInt8.min...UInt8.max where type != 120 && type != 122 && type != 100 {
            for count in [0, 1, 3, 4, 5, 9, 20] {
                if case .success(let body) = client.ask(type, [UInt8](repeating: 0xff, count: count)) {
                    // Tflush alone cannot fail.
                    #expect(type == 108 && body.isEmpty)
                }
            }
        }
        #expect(client.server.answer([1, 2], room: 100).count == 11)
        // More fids than there may be, and more names than a walk may have.
        var number: UInt32 = 100
        while case .success = client.walk(0, number, []) { number += 1 }
        #expect(number > 1000 && client.walk(0, number, []) == .failure(Client.Failure(code: EMFILE)))
        #expect(client.walk(0, 0, Array(repeating: "..", count: 17)) == .failure(Client.Failure(code: EINVAL)))
        #expect(client.error(100, Client.le(UInt32(100)) + Client.text("9P2000.L")) == EMSGSIZE)
        #expect(try client.ask(100, Client.le(UInt32(8192)) + Client.text("9P2000")).get() == Client.le(UInt32(8192)) + Client.text("unknown"))
    }
}
