// swift-tools-version: 6.1
import PackageDescription

// Micro-benchmarks of the emulator's own parts. A package of its own, so that what it depends on never weighs on the main build.
let package = Package(
    name: "emulate-micro",
    dependencies: [
        .package(name: "emulate", path: "../.."),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "EmulatorParts",
            dependencies: [
                .product(name: "EmuParts", package: "emulate"), .product(name: "EmuTestSupport", package: "emulate"),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/EmulatorParts",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
    ],
    swiftLanguageModes: [.v6]
)
