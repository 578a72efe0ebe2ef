import EmuBus
import EmuDevices
import EmuMachine
import Foundation
import TestSupport
import Testing

/// What files say to the machine: programs, kernels, device trees, saved states.
@Suite struct MachineFuzzTargets {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func images() throws {
        var image = [UInt8](repeating: 0x13, count: 256)
        image.replaceSubrange(56..<60, with: [0x52, 0x53, 0x43, 0x05])
        let corpus = [ELFBuilder.program(at: 0x8000_0000, Array(repeating: 0x13, count: 64), memorySize: 4096).bytes, image, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3] + image]
        try Fuzzing.run("images", cases: 30) { random in
            let path = try directory.file("image", random.mutated(random.pick(corpus)))
            _ = try? FileKind.recognise(path)
            _ = problem {
                $0.kernel = path
                $0.memory = 16 << 20
            }
        }
    }

    @Test func deviceTrees() throws {
        let blob = try machine { $0.memory = 16 << 20 }.deviceTreeBlob()
        Fuzzing.run("deviceTrees", cases: 200) { random in
            guard let tree = try? FDT.parseTree(random.mutated(blob)) else { return }
            _ = try? FDT.blob(tree)
        }
    }

    @Test func savedStates() throws {
        let devices = ["virtio-rng-pci", "virtio-balloon-pci", "virtio-serial-pci", "virtio-gpu-pci", "virtio-keyboard-pci", "virtio-scsi-pci", "pcie-root-port,id=p", "riscv-iommu-pci", "virtio-rng-device"]
        try Fuzzing.run("savedStates", cases: 4) { random in
            let machine = try machine {
                $0.memory = 16 << 20
                $0.clock = .virtual
                $0.interrupts = random.pick([.plic, .aplic, .imsic])
                $0.devices = devices.map { DeviceConfig(line: $0) }
            }
            for part in machine.savedParts {
                let saved = Array(try part.encodedState())
                for _ in 0..<6 { try? part.restoreState(from: Data(random.mutated(saved))) }
                // Numbers that are numbers still, but others.
                for _ in 0..<6 {
                    let text = String(decoding: saved, as: UTF8.self).replacing(/[0-9]+/) { random.below(6) == 0 ? "\(random.extreme())" : String($0.output) }
                    try? part.restoreState(from: Data(text.utf8))
                }
            }
            for region in machine.bus.regions {
                for offset in stride(from: 0, to: min(region.size, 0x400), by: 4) { _ = machine.bus.readDevice(region.base + offset, size: 4) }
            }
        }
    }
}
