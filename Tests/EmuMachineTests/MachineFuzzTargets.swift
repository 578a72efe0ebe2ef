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
        try Fuzzing.read("images", cases: 30, seeds: corpus) { bytes in
            let path = try directory.file("image", bytes)
            _ = try? FileKind.recognise(path)
            _ = problem {
                $0.kernel = path
                $0.memory = 16 << 20
            }
        }
    }

    @Test func deviceTrees() throws {
        let blob = try machine { $0.memory = 16 << 20 }.deviceTreeBlob()
        Fuzzing.read("device-trees", cases: 200, seeds: [blob]) { bytes in
            guard let tree = try? FDT.parseTree(bytes) else { return }
            _ = try? FDT.blob(tree)
        }
    }

    /// A file of `-smbios file=`: a system's structure with two strings.
    @Test func smbiosFiles() throws {
        let structure: [UInt8] = [1, 27, 0, 1, 1, 2, 0, 0] + Array(repeating: 0x55, count: 16) + [6, 0, 0] + Array("Maker\0Product\0\0".utf8)
        try Fuzzing.read("smbios", cases: 20, seeds: [structure, [127, 4, 0, 2, 0, 0]]) { bytes in
            let path = try directory.file("structure", bytes)
            _ = problem {
                $0.smbiosFiles = [path]
                $0.memory = 16 << 20
            }
        }
    }

    /// Descriptions of firmware in the folders of the host.
    @Test func firmwareDescriptions() throws {
        let folder = directory.path + "/usr/share/qemu/firmware"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let description = #"""
            {"interface-types": ["uefi"], "mapping": {"device": "flash", "executable": {"filename": "/code", "format": "raw"}, "nvram-template": {"filename": "/vars", "format": "qcow2"}},
             "targets": [{"architecture": "riscv64", "machines": ["virt", "virt-*"]}]}
            """#
        for name in ["code", "vars"] { _ = try directory.file(name, []) }
        try Fuzzing.read("firmware-descriptions", cases: 50, seeds: [Array(description.utf8)]) { bytes in
            _ = try directory.file("usr/share/qemu/firmware/one.json", bytes)
            _ = UEFIFirmware.find(root: directory.path)
        }
    }

    @Test func savedStates() throws {
        let devices = ["virtio-rng-pci", "virtio-balloon-pci", "virtio-serial-pci", "virtio-gpu-pci", "virtio-keyboard-pci", "virtio-scsi-pci", "pcie-root-port,id=p", "riscv-iommu-pci", "virtio-rng-device"]
        try Fuzzing.run("saved-states", cases: 4) { input in
            let machine = try machine {
                $0.memory = 16 << 20
                $0.clock = .virtual
                $0.interrupts = input.pick([.plic, .aplic, .imsic])
                $0.devices = devices.map { DeviceConfig(line: $0) }
            }
            for part in machine.savedParts {
                let saved = Array(try part.encodedState())
                for _ in 0..<6 { try? part.restoreState(from: Data(input.mutated(saved))) }
                // Numbers that are numbers still, but others.
                for _ in 0..<6 {
                    let text = String(decoding: saved, as: UTF8.self).replacing(/[0-9]+/) { input.below(6) == 0 ? "\(input.extreme())" : String($0.output) }
                    try? part.restoreState(from: Data(text.utf8))
                }
            }
            for region in machine.bus.regions {
                for offset in stride(from: 0, to: min(region.size, 0x400), by: 4) { _ = machine.bus.readDevice(region.base + offset, size: 4) }
            }
        }
    }
}
