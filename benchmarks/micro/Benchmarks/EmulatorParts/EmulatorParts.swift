import Benchmark
import EmuBus
import EmuCPU
import EmuMachine

/// Each benchmark is one part of the emulator; figures are for one operation.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput, .instructions], warmupIterations: 3, scalingFactor: .kilo, maxDuration: .seconds(2))

    Benchmark("decode an instruction") { benchmark in
        let decoder = RVDecoder(extensions: try RVConfig.parse("rv64").extensions)
        let code = GuestCode.straightLine(1000, seed: 1)
        benchmark.startMeasurement()
        for index in benchmark.scaledIterations { blackHole(decoder.decode(code[index])) }
    }

    // Writing the code is part of it: that is how code becomes new.
    Benchmark("translate and first run 8192 instructions", configuration: .init(scalingFactor: .one)) { benchmark in
        let hart = try BareHart(code: GuestCode.straightLine(4096, seed: 1))
        let versions = [GuestCode.straightLine(4096, seed: 2), GuestCode.straightLine(4096, seed: 3)]
        benchmark.startMeasurement()
        for version in versions {
            hart.processor.reset()
            hart.write(version)
            hart.run(4096)
        }
    }

    Benchmark("fill the TLB") { benchmark in
        let pages = 64
        let hart = try BareHart.translationFills(pages: pages)
        hart.run(10_000)
        benchmark.startMeasurement()
        // Two cycles a page and three a turn.
        hart.run(benchmark.scaledIterations.count * (2 * pages + 3) / pages)
    }

    Benchmark("read a device's register") { benchmark in
        let bus = try busOfDevices(20)
        benchmark.startMeasurement()
        for index in benchmark.scaledIterations { blackHole(bus.readDevice(0x1000_0000 + UInt64(index % 20) << 12, size: 4)) }
    }

    Benchmark("serve a virtio request") { benchmark in
        let pair = try VirtioPair()
        benchmark.startMeasurement()
        for _ in 0..<benchmark.scaledIterations.count / 20 { pair.serve(20) }
    }

    Benchmark("save a machine's state", configuration: .init(scalingFactor: .one)) { benchmark in
        var config = MachineConfig()
        config.memory = 16 << 20
        let machine = try Machine(config)
        benchmark.startMeasurement()
        for part in machine.savedParts { blackHole(try part.encodedState()) }
        for hart in machine.harts { blackHole(try hart.encodedState()) }
    }
}
