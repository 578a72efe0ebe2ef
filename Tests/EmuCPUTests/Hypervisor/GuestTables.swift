import EmuBus
import EmuCPU
import Testing

/// A hart with the hypervisor extension whose RAM holds tables of both stages. Guest physical addresses are the machine's less `distance`.
final class GuestTables {
    static let distance: UInt64 = 0x4000_0000
    /// Where the guest's accesses end up, and the guest physical address of it.
    static let page = TestHart.ram + 0xf_0000
    static let guestPage = page - distance
    /// V R W X U A D: what the second stage needs to allow everything; and the same for a guest's supervisor.
    static let all: UInt64 = 0xdf, supervisors: UInt64 = 0xcf
    /// `rights` of `RVProcessor.walk`.
    enum Rights {
        static let user: UInt64 = 0, supervisor: UInt64 = 1, sum: UInt64 = 4, mxr: UInt64 = 8, guest: UInt64 = 0x100, secondMXR: UInt64 = 0x200
        static let executeForRead: UInt64 = 0x400
    }

    let hart: TestHart
    private var free = TestHart.ram + 0x1_0000
    /// The second stage's root has 16 KiB.
    private let guestRoot = TestHart.ram + 0x4000, root = TestHart.ram + 0x8000
    let mode: UInt64, guestMode: UInt64

    init(_ option: String = "rv64,h=on", mode: UInt64 = 8, guestMode: UInt64 = 8) throws {
        hart = try TestHart(option)
        (self.mode, self.guestMode) = (mode, guestMode)
        // The guest may read and write its own tables.
        mapSecond(root - Self.distance, to: root)
    }

    var space: UInt64 { mode << 60 | 7 << 44 | (root - Self.distance) >> 12 }
    var guestSpace: UInt64 { guestMode << 60 | 5 << 44 | guestRoot >> 12 }

    private func table() -> UInt64 {
        defer { free += 0x1000 }
        return free
    }

    private func entry(_ physical: UInt64, _ flags: UInt64) -> UInt64 { (physical >> 12) << 10 | flags }

    /// Maps a guest physical page; returns where the leaf is.
    @discardableResult
    func mapSecond(_ guest: UInt64, to physical: UInt64, _ flags: UInt64 = GuestTables.all, level leafLevel: Int = 0) -> UInt64 {
        var table = guestRoot, level = Int(guestMode) - 6, mask: UInt64 = 0x7ff
        while true {
            let position = table + (guest >> UInt64(12 + 9 * level) & mask) * 8
            mask = 0x1ff
            if level == leafLevel {
                hart.store(position, entry(physical, flags))
                return position
            }
            var next = hart.load(position) ?? 0
            if next == 0 {
                next = entry(self.table(), 1)
                hart.store(position, next)
            }
            table = (next >> 10) << 12
            level -= 1
        }
    }

    /// Maps a guest virtual page in the guest's own tables; returns the guest physical address of the leaf.
    @discardableResult
    func map(_ virtual: UInt64, to guest: UInt64, _ flags: UInt64 = GuestTables.supervisors, level leafLevel: Int = 0) -> UInt64 {
        var table = root - Self.distance, level = Int(mode) - 6
        while true {
            let position = table + (virtual >> UInt64(12 + 9 * level) & 0x1ff) * 8
            if level == leafLevel {
                hart.store(position + Self.distance, entry(guest, flags))
                return position
            }
            var next = hart.load(position + Self.distance) ?? 0
            if next == 0 {
                let physical = self.table()
                mapSecond(physical - Self.distance, to: physical)
                next = entry(physical - Self.distance, 1)
                hart.store(position + Self.distance, next)
            }
            table = (next >> 10) << 12
            level -= 1
        }
    }

    func walk(_ address: UInt64, _ access: RVAccess, _ rights: UInt64 = Rights.supervisor) -> RVTranslation {
        hart.cpu.views.flush()
        return hart.cpu.walk(address, access, rights: rights | Rights.guest, space: space, guestSpace: guestSpace)
    }

    func fault(_ address: UInt64, _ access: RVAccess, _ rights: UInt64 = Rights.supervisor) -> UInt64? {
        PrivilegedWalkerTests.fault(walk(address, access, rights))
    }

    func page(_ address: UInt64, _ access: RVAccess, _ rights: UInt64 = Rights.supervisor) -> RVPage? {
        PrivilegedWalkerTests.page(walk(address, access, rights))
    }

    /// Enters the guest.
    func enter(_ privilege: UInt8 = Mode.supervisor) {
        hart[.vsatp] = space
        hart[.hgatp] = guestSpace
        hart.cpu.privilege = privilege
        hart.cpu.isGuest = true
    }
}
