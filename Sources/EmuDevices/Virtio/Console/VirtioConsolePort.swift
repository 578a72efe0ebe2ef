import EmuBus

/// One port of the virtio console: QEMU's `virtconsole` or `virtserialport`.
public final class VirtioConsolePort: CharacterFrontend {
    /// What a port must remember.
    public struct State: Codable, Equatable, Sendable {
        /// A program or a terminal in the guest has the port open.
        var isGuestOpen = false
        /// Input that waits for buffers of the guest.
        var input: [UInt8] = []
    }

    /// What the guest finds under /sys/class/virtio-ports and links in /dev/virtio-ports.
    public let name: String?
    /// A console gets a terminal in the guest (hvc); others are plain character devices.
    public let isConsole: Bool
    let backend: (any CharacterBackend)?
    weak var owner: VirtioConsole?
    var id = 0
    var state = State()
    private static let inputLimit = 4096

    public init(name: String? = nil, isConsole: Bool, backend: (any CharacterBackend)?) {
        self.name = name
        self.isConsole = isConsole
        self.backend = backend
        backend?.frontend = self
    }

    public var receiveCapacity: Int { state.isGuestOpen ? Self.inputLimit - state.input.count : 0 }

    public func receive(_ bytes: [UInt8]) {
        state.input.append(contentsOf: bytes.prefix(receiveCapacity))
        owner?.deliverInput(self)
    }

    /// A virtual port has no line to hold in break.
    public func receiveBreak() {}

    func setGuestOpen(_ isOpen: Bool) {
        let becameOpen = isOpen && !state.isGuestOpen
        state.isGuestOpen = isOpen
        if !isOpen { state.input = [] }
        if becameOpen { backend?.frontendReady() }
    }
}
