// swift-tools-version: 6.1
import PackageDescription

// Imports run one way: EmuBus knows nothing; EmuCPU and EmuDevices know EmuBus; EmuMachine joins them;
// only `emulate` parses argv. See docs/ARCHITECTURE.md.
let package = Package(
    name: "emulate",
    products: [
        .executable(name: "emulate", targets: ["emulate"]),
        // For benchmarks/micro.
        .library(name: "EmuParts", targets: ["EmuBus", "EmuCPU", "EmuDevices", "EmuMachine"]),
        .library(name: "EmuTestSupport", targets: ["TestSupport"]),
    ],
    targets: [
        // C: the few calls Swift's Glibc overlay lacks, and module maps for system libraries.
        .target(name: "CHost"),
        .systemLibrary(name: "CCapstone", providers: [.apt(["libcapstone-dev"])]),
        .systemLibrary(name: "CLibFDT", providers: [.apt(["libfdt-dev"])]),
        .systemLibrary(name: "CEditline", providers: [.apt(["libedit-dev"])]),
        .systemLibrary(name: "CSlirp", providers: [.apt(["libslirp-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),

        .target(name: "EmuBus", dependencies: ["CHost", "CLibFDT"]),
        .target(name: "EmuIR"),
        .target(name: "EmuJIT", dependencies: ["EmuBus", "EmuIR", "CHost", "CCapstone"]),
        .target(name: "EmuCPU", dependencies: ["EmuBus", "EmuIR", "EmuJIT"]),
        .target(name: "EmuDevices", dependencies: ["EmuBus", "CHost", "CSlirp", "CZlib", "CZstd"]),
        .target(
            name: "EmuMachine",
            dependencies: ["EmuBus", "EmuCPU", "EmuDevices", "EmuJIT", "CHost", "CZlib"],
            resources: [.embedInCode("Resources/firmware.bin")]),
        .target(
            name: "EmuControl",
            dependencies: ["EmuMachine", "EmuCPU", "EmuDevices", "EmuBus", "CHost", "CEditline", "CZlib", "CZstd"]),
        .executableTarget(
            name: "emulate",
            dependencies: ["EmuControl", "EmuMachine", "EmuDevices", "EmuBus", "CHost"]),

        .target(name: "TestSupport", dependencies: ["EmuBus", "EmuIR"], path: "Tests/TestSupport"),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        .testTarget(name: "EmuBusTests", dependencies: ["EmuBus", "CHost", "TestSupport"]),
        .testTarget(name: "EmuIRTests", dependencies: ["EmuIR", "TestSupport"]),
        // EmuCPU for its arithmetic and the layout of its state.
        .testTarget(name: "EmuJITTests", dependencies: ["EmuJIT", "EmuIR", "EmuCPU", "TestSupport"]),
        .testTarget(name: "EmuCPUTests", dependencies: ["EmuCPU", "EmuJIT", "EmuIR", "EmuBus", "TestSupport"], exclude: ["Golden", "FuzzCases"]),
        .testTarget(name: "EmuDevicesTests", dependencies: ["EmuDevices", "EmuBus", "TestSupport"]),
        .testTarget(
            name: "EmuMachineTests", dependencies: ["EmuMachine", "EmuBus", "EmuCPU", "EmuDevices", "TestSupport"], exclude: ["Golden"]),
        .testTarget(
            name: "EmuControlTests",
            dependencies: ["EmuControl", "EmuMachine", "EmuCPU", "EmuBus", "TestSupport", "CZlib", "CZstd"], exclude: ["Fixtures"]),
        .testTarget(name: "EmulateTests", dependencies: ["emulate", "EmuControl", "EmuMachine", "EmuJIT", "EmuDevices", "EmuBus", "TestSupport", "CTestSupport"]),
    ],
    swiftLanguageModes: [.v6]
)
