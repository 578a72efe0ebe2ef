import EmuControl
import TestSupport
import Testing

/// `profile`: trees, tables, flame graphs, and a program whose shares are known.
@Suite struct ProfileTests {
    private static let ram = DebugGuest.ram

    /// `main` keeps its return address, 0, on the stack and calls f, of 62 cycles, and g, of 22, for ever; with its own 3 that makes 87 a round.
    private func makeDebugger() throws -> (DebugGuest, Debugger) {
        let ret = RVAssembly.jumpRegister(0, 1)
        func loop(_ count: Int32) -> [UInt32] {
            [RVAssembly.addImmediate(7, 0, count), RVAssembly.addImmediate(7, 7, -1), RVAssembly.branchIfNotEqual(7, 0, -4), ret]
        }
        let main = [
            RVAssembly.addImmediate(2, 2, -16), RVAssembly.storeDouble(1, 2, 8), RVAssembly.call(0x18), RVAssembly.call(0x24), RVAssembly.jump(-8),
            RVAssembly.nop, RVAssembly.nop, RVAssembly.nop,
        ]
        let guest = try DebugGuest(main + loop(30) + loop(10))
        try guest.begin()
        guest["sp"] = Self.ram + 0x1_0000
        guest["ra"] = 0
        let debugger = Debugger(guest.session)
        let list = "0000000080000000 T main\n0000000080000020 T f\n0000000080000030 T g\n0000000080000040 T end\n"
        debugger.symbols.add(try SymbolFile(Array(list.utf8), name: "list"))
        _ = try debugger.execute("stepi 2")
        return (guest, debugger)
    }

    @Test("a look at every cycle counts exactly")
    func exact() throws {
        let (guest, debugger) = try makeDebugger()
        _ = try debugger.execute("profile start 1")
        _ = try debugger.execute("stepi 870")
        #expect(try debugger.execute("profile").text == """
            870 cycles, 870 samples
                self    total  function
              71.3 %    71.3 %  f
              25.3 %    25.3 %  g
               3.4 %   100.0 %  main

            """)
        #expect(try debugger.execute("profile tree").text == """
            870 cycles, 870 samples
                self    total  called
               3.4 %   100.0 %  main
              71.3 %    71.3 %    f
              25.3 %    25.3 %    g

            """)
        let file = ScratchFile()
        _ = try debugger.execute("profile save \(file.path)")
        #expect(file.text == "main 30\nmain;f 620\nmain;g 220\n")
        withExtendedLifetime(guest) {}
    }

    @Test("sampling finds the shares, the same in every run, and changes nothing in the guest", arguments: [37, 1000])
    func sampling(_ interval: Int) throws {
        func run(_ interval: Int?) throws -> (folded: String, hash: UInt64) {
            let (guest, debugger) = try makeDebugger()
            if let interval { try debugger.recordings.startProfile(interval: interval) }
            var turns = 50
            _ = guest.machine.run { turns -= 1; return turns < 0 }
            let file = ScratchFile()
            if interval != nil { _ = try debugger.execute("profile save \(file.path)") }
            return (file.text, try guest.machine.stateHash())
        }
        let first = try run(interval)
        #expect(try run(interval) == first)
        #expect(try run(nil).hash == first.hash)
        var shares: [Substring: Double] = [:]
        for line in first.folded.split(separator: "\n") {
            let parts = line.split(separator: " ")
            shares[parts[0]] = Double(parts[1]) ?? 0
        }
        let total = shares.values.reduce(0, +)
        #expect(abs(total - 1_000_000) <= Double(2 * interval))
        #expect(Set(shares.keys) == ["main", "main;f", "main;g"])
        #expect(abs((shares["main;f"] ?? 0) / total - 62.0 / 87) < 0.05)
    }

    @Test("stopping keeps the profile, and starting makes a new one")
    func lifecycle() throws {
        let (guest, debugger) = try makeDebugger()
        #expect(debugger.failure("profile") == "profile: there is none; 'profile start' begins one")
        #expect(debugger.failure("profile stop").contains("nothing is being profiled"))
        #expect(debugger.failure("profile start 0") == "profile: '0' is not a number of cycles")
        #expect(debugger.failure("profile nonsense").hasPrefix("write profile"))
        _ = try debugger.execute("profile start 1")
        _ = try debugger.execute("stepi 5")
        _ = try debugger.execute("profile stop")
        _ = try debugger.execute("stepi 5")
        #expect(try debugger.execute("profile").text.hasPrefix("5 cycles, 5 samples\n"))
        #expect(debugger.failure("profile save /nonexistent/x.svg") == "profile: cannot create '/nonexistent/x.svg': No such file or directory")
        _ = try debugger.execute("profile start 1")
        #expect(try debugger.execute("profile").text.hasPrefix("0 cycles, 0 samples\n"))
        withExtendedLifetime(guest) {}
    }

    @Test("recursion counts once, and what separates fields of a folded file is replaced")
    func tree() {
        var tree = CallTree()
        tree.add(["main", "f", "f"], cycles: 10)
        tree.add(["main", "a;b c\n"], cycles: 5)
        #expect(tree.folded == "main;a:b c? 5\nmain;f;f 10\n")
        #expect(tree.hotSpots == [
            CallTree.HotSpot(name: "f", own: 10, total: 10), CallTree.HotSpot(name: "a;b c\n", own: 5, total: 5), CallTree.HotSpot(name: "main", own: 0, total: 15),
        ])
    }

    @Test("a flame graph's names are text, whatever they are")
    func flameGraph() {
        var tree = CallTree()
        tree.add(["main", "</text><script>alert(1)</script>"], cycles: 75)
        tree.add(["main", "a\" onload='x' & \u{1}\u{fffe}"], cycles: 25)
        let svg = FlameGraph(tree: tree, title: "100 cycles <b>").svg
        #expect(!svg.contains("<script") && !svg.contains("onload='") && !svg.contains("\u{1}") && !svg.contains("\u{fffe}") && !svg.contains("<b>"))
        #expect(svg.contains("<title>&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt; (75 cycles, 75.0 %)</title>"))
        #expect(svg.contains("<title>a&quot; onload=&#39;x&#39; &amp; ?? (25 cycles, 25.0 %)</title>"))
        #expect(svg.contains("<title>main (100 cycles, 100.0 %)</title><rect x=\"10.00\" y=\"56.00\" width=\"1180.00\" height=\"15\""))
        #expect(svg.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\""))
        #expect(svg.hasSuffix("</svg>\n"))
        // Every element is closed.
        for name in ["g", "title", "text"] { #expect(svg.components(separatedBy: "<\(name)").count == svg.components(separatedBy: "</\(name)>").count, "\(name)") }
    }

    @Test("boxes lie above their callers, one after the other, and too narrow ones are left out")
    func layout() {
        var tree = CallTree()
        tree.add(["b"], cycles: 1_000_000)
        tree.add(["a"], cycles: 1_000_000)
        tree.add(["c"], cycles: 1)
        let svg = FlameGraph(tree: tree, title: "").svg
        #expect(svg.contains("<title>a (1000000 cycles, 50.0 %)</title><rect x=\"10.00\" y=\"40.00\" width=\"590.00\""))
        #expect(svg.contains("<title>b (1000000 cycles, 50.0 %)</title><rect x=\"600.00\" y=\"40.00\" width=\"590.00\""))
        #expect(!svg.contains("<title>c "))
        #expect(FlameGraph(tree: CallTree(), title: "nothing").svg.contains(">nothing</text>"))
    }
}
