/// All benchmarks. A new kernel is a file in benchmarks/kernels and a row here.
package enum BenchCatalogue {
    package static let all = integer + memory + float + vector + system + machine

    /// The empty program: what starting and ending costs, which is taken off counts for a whole process.
    package static let start = Benchmark("start", .system, "an empty program", in: [.host, .machine])

    package static func find(_ name: String) -> Benchmark? { all.first { $0.name == name } }

    /// The table of docs/benchmarks.md.
    package static var markdown: String {
        var table = TextTable(["benchmark", "group", "what it does", "where"])
        for benchmark in all {
            table.add([benchmark.name, benchmark.group.rawValue, benchmark.summary, benchmark.environments.map(\.rawValue).joined(separator: ", ")])
        }
        return "\n" + table.markdown + "\n"
    }

    private static let everywhere: [BenchEnvironment] = [.host, .machine, .supervisor, .linux]

    private static func kernel(_ name: String, _ group: BenchGroup, _ summary: String, _ unit: BenchUnit = .iteration) -> Benchmark {
        Benchmark(name, group, summary, unit, in: everywhere, quick: [.machine])
    }

    /// What a vector kernel is compared with; not in the quick profile.
    private static func scalar(_ name: String, _ group: BenchGroup, _ summary: String) -> Benchmark { Benchmark(name, group, summary, in: everywhere) }

    private static let integer = [
        kernel("sieve", .integer, "sieve of Eratosthenes: byte stores with growing strides"),
        kernel("sha256", .integer, "SHA-256: rotations and additions in registers"),
        kernel("crc32", .integer, "CRC-32 by table: a chain of dependent loads"),
        kernel("quicksort", .integer, "quicksort: branches that cannot be foreseen"),
        kernel("strings", .integer, "string operations byte by byte"),
        kernel("imatmul", .integer, "64-bit integer matrix product"),
        kernel("fib", .integer, "recursive calls"),
        kernel("bytecode", .integer, "a bytecode interpreter: indirect jumps"),
        kernel("dispatch", .integer, "calls through a table of functions"),
        kernel("lz", .integer, "LZ77 compression and decompression"),
        kernel("hashtable", .integer, "an open-addressing hash table"),
        scalar("aesgcm", .integer, "AES-128-GCM by tables"),
        scalar("convolution", .integer, "convolution of an image of bytes"),
        scalar("quantised", .integer, "a layer of a neural net in bytes"),
        scalar("strlen", .integer, "lengths of strings byte by byte"),
        kernel("bignum", .integer, "multiplication of 2048-bit numbers"),
        Benchmark(
            "sieve-quicksort-fib", .integer, "sieve, quicksort and fib in one, each large: the figure to follow over the years",
            in: everywhere),
    ]

    private static let memory = [
        kernel("chase-64k", .memory, "pointer chase through 64 KiB"),
        kernel("chase-64m", .memory, "pointer chase through 64 MiB"),
        kernel("stream", .memory, "streams: copy, scale, add, triad"),
        kernel("memcpy", .memory, "copies of 4 MiB and of short runs"),
        kernel("memset", .memory, "fills of 4 MiB"),
        kernel("pages", .memory, "one word of each of 4096 scattered pages"),
    ]

    private static let float = [
        kernel("nbody", .float, "n bodies: double precision with division and square root"),
        kernel("mandelbrot", .float, "Mandelbrot set: short double-precision loops"),
        kernel("fft", .float, "fast Fourier transform, double precision"),
        kernel("dmatmul", .float, "double-precision matrix product"),
        kernel("smatmul", .float, "single-precision matrix product"),
        kernel("neural", .float, "a small neural net, inference and training"),
        scalar("axpy", .float, "a·x + y, double precision"),
        scalar("dot", .float, "dot products, double precision"),
    ]

    private static func vectorised(_ name: String, _ summary: String) -> Benchmark {
        Benchmark(name, .vector, summary + ", vectorised on both sides", in: [.host, .machine, .supervisor], quick: [.machine])
    }

    private static let vector = [
        vectorised("stream-v", "streams"),
        vectorised("memcpy-v", "copies"),
        vectorised("memset-v", "fills"),
        vectorised("imatmul-v", "64-bit integer matrix product"),
        vectorised("dmatmul-v", "double-precision matrix product"),
        vectorised("smatmul-v", "single-precision matrix product"),
        vectorised("neural-v", "a small neural net"),
        vectorised("axpy-v", "a·x + y, double precision"),
        vectorised("dot-v", "dot products, double precision"),
        vectorised("convolution-v", "convolution of an image of bytes"),
        vectorised("quantised-v", "a layer of a neural net in bytes"),
        vectorised("strlen-v", "lengths of strings"),
        cipher("sha256", "SHA-256 by instructions made for it"),
        cipher("aesgcm", "AES-128-GCM by instructions made for it"),
    ]

    private static func cipher(_ scalar: String, _ summary: String) -> Benchmark {
        Benchmark(
            scalar + "-v", .vector, "\(summary); `\(scalar)` where an engine has no vector cryptography", in: [.host, .machine, .supervisor], quick: [.machine],
            scalarTwin: scalar)
    }

    private static func probe(_ name: String, _ summary: String, in environments: [BenchEnvironment], harts: Int = 1) -> Benchmark {
        Benchmark(name, .system, summary, .operation, in: environments, quick: environments.filter { $0 != .host }.prefix(1).map { $0 }, harts: harts)
    }

    private static let system = [
        probe("secall", "ecall from S mode to M mode and back", in: [.supervisor]),
        probe("uecall", "ecall from user mode to S mode and back", in: [.supervisor]),
        probe("fault", "page fault of a load, taken in S mode", in: [.supervisor]),
        probe("irq", "timer interrupt due at once", in: [.machine]),
        probe("tick", "timer 20 µs ahead, waited for (20000 ns is perfect)", in: [.machine]),
        probe("ctxsw", "the other of two address spaces, 16 pages touched", in: [.supervisor]),
        probe("sfence", "sfence.vma, 16 pages touched", in: [.supervisor]),
        probe("uart", "read of a UART register", in: [.machine, .supervisor]),
        probe("mtime", "read of the timer's register", in: [.machine, .supervisor]),
        probe("csr", "access to a control and status register", in: [.machine]),
        probe("amo", "atomic operation, one hart", in: [.host, .machine, .supervisor]),
        probe("lrsc", "LR/SC pair, one hart", in: [.host, .machine, .supervisor]),
        probe("amo-harts", "atomic addition, two harts on one word", in: [.host, .machine], harts: 2),
        probe("lrsc-harts", "LR/SC pair, two harts on one word", in: [.host, .machine], harts: 2),
        probe("compute-one", "sorting and sieving, one hart", in: [.host, .machine]),
        probe("compute-harts", "the same on two harts at once, per hart's share", in: [.host, .machine], harts: 2),
        probe("smc", "one instruction rewritten, fence.i, called", in: [.machine, .supervisor]),
        probe("cold", "an instruction written and run once", in: [.machine, .supervisor]),
    ]

    private static let machine = [
        Benchmark(
            "boot", .machine, "Debian's kernel from start through the shell to power-off", in: [.linux], quick: [.linux], isBoot: true),
        Benchmark(
            "boot-uefi", .machine, "U-Boot's UEFI, GRUB and Debian's kernel from a disk, from start through the root file system to power-off", in: [.linux],
            needs: [.bootDisk], isBoot: true),
        Benchmark("fork-exec", .machine, "fork, exec and wait", .operation, in: [.host, .linux]),
        Benchmark("pipe", .machine, "a byte through two pipes and back", .operation, in: [.host, .linux]),
        Benchmark("tree-walk", .machine, "walk over a tree of 1000 files", .operation, in: [.host, .linux], command: "cd /tmp; /bench/tree-walk"),
        Benchmark(
            "compress", .machine, "gzip, gunzip and SHA-256 of 1.3 MiB", in: [.linux],
            command: "seq 1 200000 >/tmp/numbers; /bench/command compress 1 /bin/sh -c 'gzip -c </tmp/numbers | gunzip -c | sha256sum'"),
        Benchmark(
            "compile", .machine, "a compile (GCC's C compiler, -O1, 60 functions)", in: [.linux],
            command: "/bench/command compile 1 /bin/sh -c 'chroot /mnt /usr/bin/cc1 -quiet -nostdinc -ffreestanding -O1 -o /tmp/bench.s /bench/compile.c && sha256sum </mnt/tmp/bench.s'",
            needs: [.tools]),
        Benchmark(
            "python", .machine, "a Python script", in: [.linux],
            command: "/bench/command python 1 /bin/sh -c 'chroot /mnt /usr/bin/python3 /bench/bench.py'", needs: [.tools]),
        Benchmark(
            "disk-write", .machine, "sequential writes to a virtio disk", .bytes, in: [.linux],
            command: "/bench/disk-write $scratch 16", needs: [.scratchDisk]),
        Benchmark(
            "disk-read", .machine, "sequential reads from a virtio disk", .bytes, in: [.linux],
            command: "/bench/disk-read $scratch 16", needs: [.scratchDisk]),
        Benchmark(
            "disk-random", .machine, "random 4 KiB reads from a virtio disk", .rate, in: [.linux],
            command: "/bench/disk-random $scratch 16", needs: [.scratchDisk]),
        Benchmark(
            "nvme-write", .machine, "sequential writes to an NVMe disk", .bytes, in: [.linux],
            command: "/bench/disk-write /dev/nvme0n1 16 nvme-write", needs: [.nvmeDisk]),
        Benchmark(
            "nvme-read", .machine, "sequential reads from an NVMe disk", .bytes, in: [.linux],
            command: "/bench/disk-read /dev/nvme0n1 16 nvme-read", needs: [.nvmeDisk]),
        Benchmark(
            "nvme-random", .machine, "random 4 KiB reads from an NVMe disk", .rate, in: [.linux],
            command: "/bench/disk-random /dev/nvme0n1 16 nvme-random", needs: [.nvmeDisk]),
        Benchmark(
            "net-receive", .machine, "TCP from the host through virtio and the user network", .bytes, in: [.linux],
            command: "/bench/net-receive 10 0 2 2 $port", needs: [.network]),
        Benchmark(
            "net-send", .machine, "TCP to the host through virtio and the user network", .bytes, in: [.linux],
            command: "/bench/net-send 10 0 2 2 $sink", needs: [.network]),
    ]
}
