import EmuBus
import EmuMachine
import Foundation
import Testing

/// Where images go: QEMU's rules, and what does not fit.
@Suite struct BootLoaderTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let ram: UInt64 = 0x8000_0000
    private static let mib: UInt64 = 1 << 20

    /// A Linux-style image: header, then a marker.
    private func image(size: Int, occupied: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0x13, count: size)
        bytes.replaceSubrange(16..<24, with: ELFBuilder.bytes(occupied))
        bytes.replaceSubrange(24..<32, with: ELFBuilder.bytes(UInt64(0)))
        bytes.replaceSubrange(48..<56, with: Array("RISCV\0\0\0".utf8))
        bytes.replaceSubrange(56..<60, with: Array("RSC\u{5}".utf8))
        return bytes
    }

    private func deviceTreeAddress(_ machine: Machine) -> UInt64? { machine.rom(1) }
    private func chosen(_ machine: Machine) throws -> FDTNode? { try FDT.parse(try machine.deviceTreeBlob())[child: "chosen"] }

    private func number(_ bytes: [UInt8]?) -> UInt64? { bytes.map { $0.reduce(0) { $0 << 8 | UInt64($1) } } }

    @Test func kernelsForOtherProcessorsAreRefusedByName() throws {
        for (offset, magic, processor) in [(56, "ARM\u{64}", "AArch64"), (0x202, "HdrS", "x86")] {
            var bytes = [UInt8](repeating: 0, count: 4096)
            bytes.replaceSubrange(offset..<offset + 4, with: Array(magic.utf8))
            let kernel = try directory.file("kernel-\(processor)", bytes)
            #expect(problem { $0.kernel = kernel }.hasSuffix("it is a Linux kernel for \(processor); this machine runs RISC-V kernels"))
        }
    }

    // MARK: Reset vector

    @Test func resetROMHandsOverHartTreeAndDynamicInformation() throws {
        let kernel = try directory.file("kernel", image(size: 4096, occupied: 0))
        let machine = try machine { $0.firmware = .builtIn; $0.kernel = kernel }
        let code: [UInt32] = [0x0000_0297, 0x0282_8613, 0xf140_2573, 0x0202_b583, 0x0182_b283, 0x0002_8067]
        for (index, word) in code.enumerated() {
            #expect(machine.bus.loadMemory(0x1000 + 4 * UInt64(index), as: UInt32.self) == word)
        }
        #expect(machine.rom(0) == Self.ram)
        #expect(machine.rom(1) == 0x87e0_0000)
        #expect((2..<8).map { machine.rom($0) } == [0x4942_534f, 2, 0x8020_0000, 1, 0, 0])
    }

    @Test func bootROMIsNotWritable() throws {
        let machine = try machine { _ in }
        #expect(!machine.bus.storeMemory(0x1000, UInt32(0)))
        #expect(machine.bus.memory(at: 0x1000)?.isReadOnly == true)
    }

    // MARK: Kernels

    @Test func rawKernelFollowsTheFirmwareAtTwoMiB() throws {
        let kernel = try directory.file("kernel", [1, 2, 3, 4])
        let firmware = try directory.file("firmware", [UInt8](repeating: 7, count: 3 << 20))
        let machine = try machine { $0.firmware = .file(firmware); $0.kernel = kernel }
        #expect(machine.bus.loadMemory(Self.ram, as: UInt8.self) == 7)
        #expect(machine.bus.loadMemory(Self.ram + 4 * Self.mib, as: UInt32.self) == 0x0403_0201)
        #expect(machine.rom(4) == Self.ram + 4 * Self.mib)
    }

    @Test func rawKernelWithoutFirmwareStartsTheRAM() throws {
        let kernel = try directory.file("kernel", [1, 2, 3, 4])
        let machine = try machine { $0.kernel = kernel }
        #expect(machine.bus.loadMemory(Self.ram, as: UInt32.self) == 0x0403_0201)
        #expect(machine.rom(0) == Self.ram)
    }

    @Test func withoutFirmwareTheStartIsNotTheEntry() throws {
        var builder = ELFBuilder.program(at: Self.ram + 0x1000, [1, 2, 3, 4])
        builder.entry = Self.ram + 0x1002
        let kernel = try directory.file("kernel.elf", builder.bytes)
        let machine = try machine { $0.kernel = kernel }
        #expect(machine.rom(0) == Self.ram)
        #expect(machine.bus.loadMemory(Self.ram + 0x1000, as: UInt32.self) == 0x0403_0201)
    }

    @Test func firmwareEntersAnELFKernelAtItsLowestAddress() throws {
        var builder = ELFBuilder.program(at: Self.ram + 0x40_0000, [1, 2, 3, 4])
        builder.entry = Self.ram + 0x40_0002
        let kernel = try directory.file("kernel.elf", builder.bytes)
        let machine = try machine { $0.firmware = .builtIn; $0.kernel = kernel }
        #expect(machine.rom(4) == Self.ram + 0x40_0000)
    }

    @Test func firmwareELFIsEnteredAtItsEntry() throws {
        var builder = ELFBuilder.program(at: Self.ram + 0x1000, [1, 2, 3, 4])
        builder.entry = Self.ram + 0x1002
        let firmware = try directory.file("firmware.elf", builder.bytes)
        #expect(try machine { $0.firmware = .file(firmware) }.rom(0) == Self.ram + 0x1002)
    }

    @Test func positionIndependentFirmwareMovesToTheRAM() throws {
        var builder = ELFBuilder.program(at: 0, [1, 2, 3, 4])
        builder.type = 3
        builder.entry = 2
        let firmware = try directory.file("firmware.elf", builder.bytes)
        let machine = try machine { $0.firmware = .file(firmware) }
        #expect(machine.rom(0) == Self.ram + 2)
        #expect(machine.bus.loadMemory(Self.ram, as: UInt32.self) == 0x0403_0201)
    }

    @Test func gzippedKernelsAreDecompressed() throws {
        let contents = image(size: 100_000, occupied: 0)
        let raw = try directory.file("image.gz", TestGzip.stored(contents))
        let elf = try directory.file("elf.gz", TestGzip.stored(ELFBuilder.program(at: Self.ram + 0x5000, [9]).bytes))
        // A machine's memory goes with it.
        func loaded<T: FixedWidthInteger>(_ kernel: String, _ address: UInt64, as type: T.Type) throws -> T? {
            let machine = try machine { $0.kernel = kernel }
            return withExtendedLifetime(machine) { machine.bus.loadMemory(address, as: type) }
        }
        #expect(try loaded(raw, Self.ram + 99_996, as: UInt32.self) == 0x1313_1313)
        #expect(try loaded(elf, Self.ram + 0x5000, as: UInt8.self) == 9)
        let two = try directory.file("two.gz", TestGzip.stored([1, 2]) + TestGzip.stored([3, 4]) + [0, 0, 0])
        #expect(try loaded(two, Self.ram, as: UInt32.self) == 0x0403_0201)
    }

    @Test func badGzipFilesAreErrors() throws {
        var bytes = TestGzip.stored([UInt8](repeating: 1, count: 1000))
        let short = try directory.file("short.gz", Array(bytes[..<900]))
        #expect(problem { $0.kernel = short } == "-kernel \(short): its gzip data is truncated")
        bytes[bytes.count - 6] ^= 1
        let wrong = try directory.file("wrong.gz", bytes)
        #expect(problem { $0.kernel = wrong } == "-kernel \(wrong): its gzip data is damaged")
        let bomb = try directory.file("bomb.gz", TestGzip.stored([UInt8](repeating: 0, count: 3 << 20)))
        #expect(problem { $0.kernel = bomb; $0.memory = 2 << 20 }.contains("decompresses to more than 2 MiB"))
        let empty = try directory.file("empty.gz", TestGzip.stored([]))
        #expect(problem { $0.kernel = empty }.contains("decompresses to nothing"))
    }

    @Test func imageHeaderCountsTheZeroFilledPart() throws {
        let big = try directory.file("big", image(size: 4096, occupied: 200 << 20))
        #expect(problem { $0.kernel = big }.contains("200 MiB at 0x80000000 do not fit"))
        let tight = try directory.file("tight", image(size: 4096, occupied: 80 << 20))
        let initrd = try directory.file("initrd", [1])
        #expect(problem { $0.kernel = tight; $0.initrd = initrd }.contains("overlap -kernel"))
    }

    // MARK: Initrd, command line

    @Test(arguments: [(UInt64(64), UInt64(32)), (128, 64), (1024, 512), (3072, 512)])
    func initrdLiesHalfTheRAMAfterTheKernel(ram: UInt64, distance: UInt64) throws {
        let kernel = try directory.file("kernel", [1])
        let initrd = try directory.file("initrd", [4, 5, 6])
        let machine = try machine { $0.kernel = kernel; $0.initrd = initrd; $0.memory = ram << 20; $0.append = "quiet" }
        let start = Self.ram + distance * Self.mib
        #expect(number(try chosen(machine)?["linux,initrd-start"]) == start)
        #expect(number(try chosen(machine)?["linux,initrd-end"]) == start + 3)
        #expect(machine.bus.loadMemory(start, as: UInt16.self) == 0x0504)
        #expect(try chosen(machine)?["bootargs"] == Array("quiet\0".utf8))
    }

    @Test func withoutAKernelInitrdAndCommandLineAreErrors() throws {
        let initrd = try directory.file("initrd", [4, 5, 6])
        #expect(problem { $0.initrd = initrd } == "-initrd \(initrd): it needs a kernel: add -kernel FILE")
        #expect(problem { $0.append = "quiet" } == "-append: it needs a kernel: add -kernel FILE")
    }

    @Test func noCommandLineMeansNoBootargs() throws {
        let kernel = try directory.file("kernel", [1])
        #expect(try chosen(try machine { $0.kernel = kernel; $0.append = "" })?["bootargs"] == nil)
    }

    // MARK: Device tree

    @Test(arguments: [UInt64(8), 128, 1024, 3072]) func deviceTreeEndsTheRAM(ram: UInt64) throws {
        let machine = try machine { $0.memory = ram << 20 }
        let address = Self.ram + (ram - 2) * Self.mib
        #expect(deviceTreeAddress(machine) == address)
        #expect(machine.bus.loadMemory(address, as: UInt32.self) == UInt32(0xd00d_feed).byteSwapped)
    }

    @Test func ownDeviceTreeGetsCommandLineAndInitrdOnly() throws {
        var tree = try FDT.parse(try machine { _ in }.deviceTreeBlob())
        tree[child: "chosen"]?.set("rng-seed", bytes: [1])
        tree.set("model", "mine")
        var whole = FDTTree(root: tree)
        whole.reservations = [FDTReservation(address: 0x8100_0000, size: 0x1000)]
        whole.bootCPU = 7
        let dtb = try directory.file("own.dtb", try FDT.blob(whole))
        let kernel = try directory.file("kernel", [1])
        let machine = try machine { $0.deviceTree = dtb; $0.kernel = kernel; $0.append = "a=b" }
        let result = try FDT.parse(try machine.deviceTreeBlob())
        #expect(result["model"] == Array("mine\0".utf8))
        #expect(result[child: "chosen"]?["rng-seed"] == [1])
        #expect(result[child: "chosen"]?["bootargs"] == Array("a=b\0".utf8))
        let final = try FDT.parseTree(try machine.deviceTreeBlob())
        #expect(final.reservations == whole.reservations && final.bootCPU == 7)
    }

    @Test func deviceTreesNestedWithoutEndAreRefused() throws {
        func word(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
        let depth = 300_000
        let nodes = word(1) + word(0) + (1..<depth).flatMap { _ in word(1) + [0x61, 0, 0, 0] } + (0..<depth).flatMap { _ in word(2) } + word(9)
        let header = [0xd00d_feed, 56 + nodes.count, 56, 56 + nodes.count, 40, 17, 16, 0, 0, nodes.count].flatMap(word)
        let deep = try directory.file("deep.dtb", header + [UInt8](repeating: 0, count: 16) + nodes)
        #expect(problem { $0.deviceTree = deep }.hasSuffix("nested deeper than 64 levels"))
    }

    @Test func foreignDeviceTreesAreRefused() throws {
        let broken = try directory.file("broken.dtb", [1, 2, 3])
        #expect(problem { $0.deviceTree = broken }.hasPrefix("-dtb \(broken): not a device tree"))
        var blob = try FDT.blob(FDTNode(""))
        let noCPU = try directory.file("nocpu.dtb", blob)
        #expect(problem { $0.deviceTree = noCPU } == "-dtb \(noCPU): it has no /cpus node")
        blob.removeLast(4)
        let short = try directory.file("short.dtb", blob)
        #expect(problem { $0.deviceTree = short }.contains("not a valid device tree"))
        var cpu = FDTNode("cpu@0")
        cpu.set("compatible", "arm,cortex-a57")
        var cpus = FDTNode("cpus")
        cpus.children = [cpu]
        var arm = FDTNode("")
        arm.children = [cpus]
        let foreign = try directory.file("arm.dtb", try FDT.blob(arm))
        #expect(problem { $0.deviceTree = foreign }.contains("another processor"))
    }

    // MARK: What does not fit

    @Test func filesThatCannotBeReadAreNamed() throws {
        let absent = directory.path + "/absent"
        #expect(problem { $0.kernel = absent } == "-kernel \(absent): No such file or directory")
        #expect(problem { $0.firmware = .file(absent) } == "-bios \(absent): No such file or directory")
        #expect(problem { $0.deviceTree = absent } == "-dtb \(absent): No such file or directory")
        #expect(problem { $0.kernel = directory.path } == "-kernel \(directory.path): it is a directory")
        let empty = try directory.file("empty", [])
        #expect(problem { $0.kernel = empty } == "-kernel \(empty): the file is empty")
        let kernel = try directory.file("kernel", [1])
        #expect(problem { $0.kernel = kernel; $0.initrd = absent } == "-initrd \(absent): No such file or directory")
    }

    @Test func imagesThatDoNotFitAreNamed() throws {
        let low = try directory.file("low.elf", ELFBuilder.program(at: 0x1_0000, [1]).bytes)
        #expect(problem { $0.kernel = low }.contains("-kernel \(low): its 1 bytes at 0x10000 do not fit the guest's RAM"))
        let huge = try directory.file("huge.elf", ELFBuilder.program(at: Self.ram, [1], memorySize: 1 << 40).bytes)
        #expect(problem { $0.kernel = huge }.contains("do not fit"))
        let whole = try directory.file("whole.elf", ELFBuilder.program(at: 0, [1], memorySize: .max).bytes)
        #expect(problem { $0.kernel = whole }.contains("17592186044416 MiB at 0x0 do not fit"))
        let boundless = try directory.file("boundless", image(size: 4096, occupied: .max))
        #expect(problem { $0.kernel = boundless }.contains("do not fit"))
        let kernel = try directory.file("kernel", [1])
        let initrd = try directory.file("initrd", [UInt8](repeating: 1, count: 5 << 20))
        #expect(problem { $0.kernel = kernel; $0.initrd = initrd; $0.memory = 8 << 20 }.contains("-initrd \(initrd): its 5 MiB"))
        #expect(problem { $0.kernel = kernel; $0.initrd = initrd; $0.memory = 4 << 20 }.contains("raise -m"))
    }

    @Test func kernelOverTheFirmwareHintsAtRunningWithout() throws {
        let kernel = try directory.file("kernel.elf", ELFBuilder.program(at: Self.ram, [1]).bytes)
        let text = problem { $0.firmware = .builtIn; $0.kernel = kernel }
        #expect(text.contains("overlap the built-in firmware") && text.contains("-bios none"))
    }

    @Test func programsForOtherMachinesAreRefused() throws {
        var builder = ELFBuilder.program(at: Self.ram, [1])
        builder.machine = 62
        let kernel = try directory.file("kernel.elf", builder.bytes)
        #expect(problem { $0.kernel = kernel } == "-kernel \(kernel): it is a program for x86-64; this machine runs RISC-V programs")
    }

    @Test func memorySizesAreChecked() {
        #expect(problem { $0.memory = 0 }.hasPrefix("-m 0"))
        #expect(problem { $0.memory = 1 << 60 }.contains("the host has only"))
        #expect(problem { $0.memory = 4096; $0.harts = 4 }.contains("give the guest more memory"))
    }

    @Test func hartCountsAreChecked() {
        #expect(problem { $0.harts = 0 } == "-smp 0: the virt board has 1 to 512 harts")
        #expect(problem { $0.harts = 513 } == "-smp 513: the virt board has 1 to 512 harts")
        #expect(problem { $0.board = .spike; $0.harts = 9 } == "-smp 9: the spike board has 1 to 8 harts")
    }

    // MARK: Reset

    @Test func resetLoadsTheImagesAgain() throws {
        let builder = ELFBuilder.program(at: Self.ram, [1, 2, 3, 4], memorySize: 64)
        let kernel = try directory.file("kernel.elf", builder.bytes)
        let machine = try machine { $0.kernel = kernel }
        let seed = try chosen(machine)?["rng-seed"]
        for address in [Self.ram, Self.ram + 60, Self.ram + 0x1_0000] { _ = machine.bus.storeMemory(address, UInt32(0x55aa_55aa)) }
        machine.requestReset()
        _ = machine.run(until: { machine.resets == 1 })
        #expect(machine.bus.loadMemory(Self.ram, as: UInt32.self) == 0x0403_0201)
        #expect(machine.bus.loadMemory(Self.ram + 60, as: UInt32.self) == 0)
        #expect(machine.bus.loadMemory(Self.ram + 0x1_0000, as: UInt32.self) == 0x55aa_55aa)
        #expect(try chosen(machine)?["rng-seed"] != seed)
    }
}
