import EmuBus

/// The control queue (virtio 1.2, 5.1.6.5).
extension VirtioNet {
    private enum ControlClass {
        static let rx: UInt8 = 0
        static let mac: UInt8 = 1
        static let vlan: UInt8 = 2
        static let multiqueue: UInt8 = 4
        static let guestOffloads: UInt8 = 5
    }

    func control() {
        guard let core, core.hasFeature(VirtioNetConfig.Feature.controlQueue) else { return }
        core.serve(controlQueue) { chain in
            guard let group: UInt8 = chain.readable.load(at: 0), let command: UInt8 = chain.readable.load(at: 1),
                  chain.writable.count >= 1 else {
                core.fail("control command without class, command or place for the acknowledgement")
                return nil
            }
            let data = chain.readable.slice(2, chain.readable.count)
            chain.writable.store(at: 0, UInt8(perform(group, command, data, core) ? 0 : 1))
            return 1
        }
    }

    private func perform(_ group: UInt8, _ command: UInt8, _ data: GuestBuffer, _ core: VirtioCore) -> Bool {
        switch group {
        case ControlClass.rx where core.hasFeature(VirtioNetConfig.Feature.controlRx):
            return ownState.filter.setMode(command, data.load(at: 0), extra: core.hasFeature(VirtioNetConfig.Feature.controlRxExtra))
        case ControlClass.mac where command == 0 && core.hasFeature(VirtioNetConfig.Feature.controlRx):
            return ownState.filter.setTables(data)
        case ControlClass.mac where command == 1 && core.hasFeature(VirtioNetConfig.Feature.controlMAC):
            guard data.count == 6, let mac = MACAddress(bytes: data.bytes(6)) else { return false }
            ownState.mac = mac
            return true
        case ControlClass.vlan where core.hasFeature(VirtioNetConfig.Feature.controlVLAN):
            return ownState.filter.changeVLAN(command, data.load(at: 0))
        case ControlClass.multiqueue where command == 0 && core.hasFeature(VirtioNetConfig.Feature.multiqueue):
            guard data.count == 2, let pairs: UInt16 = data.load(at: 0), (1...maximumPairs).contains(Int(pairs)) else { return false }
            ownState.steering.use(pairs: Int(pairs))
            return true
        case ControlClass.guestOffloads where command == 0 && core.hasFeature(VirtioNetConfig.Feature.controlGuestOffloads):
            let known = core.features & VirtioNetConfig.Feature.guestChecksum
            guard data.count == 8, let wanted: UInt64 = data.load(at: 0), wanted & ~known == 0 else { return false }
            ownState.suspendedOffloads = known & ~wanted
            return true
        default:
            return false
        }
    }
}
