import EmuBus

/// The virtio console device (virtio 1.2, 5.3), QEMU's `virtio-serial-device` with its ports.
///
/// With `maximumPorts` 1 it is the simple console; otherwise ports are announced over the control queues.
public final class VirtioConsole: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        var ports: [VirtioConsolePort.State] = []
        /// Control messages that wait for buffers of the guest.
        var control: [[UInt8]] = []
        var columns: UInt16 = 0
        var rows: UInt16 = 0
    }

    private enum Feature {
        static let size: UInt64 = 1 << 0
        static let multiport: UInt64 = 1 << 1
        static let emergencyWrite: UInt64 = 1 << 2
    }

    private enum Queue {
        static let controlReceive = 2
        static let controlTransmit = 3
    }

    /// Events of control messages (5.3.6.2).
    private enum Event {
        static let deviceReady: UInt16 = 0
        static let deviceAdd: UInt16 = 1
        static let portReady: UInt16 = 3
        static let consolePort: UInt16 = 4
        static let resize: UInt16 = 5
        static let portOpen: UInt16 = 6
        static let portName: UInt16 = 7
    }

    private static let emergencyOffset = 8
    /// Most bytes of one buffer, all of which the backend takes before anything else happens. Linux sends 32 KiB at most.
    private static let outputLimit = 16 << 20
    /// Control messages kept for a guest that asks without listening.
    private static let controlLimit = 512

    public let stateName: String
    public let deviceID = VirtioDeviceID.console
    public let deviceFeatures: UInt64
    public let queueSizes: [UInt16]
    public weak var core: VirtioCore?
    public let ports: [VirtioConsolePort]
    private let maximumPorts: Int
    private var control: [[UInt8]] = []
    private var columns: UInt16
    private var rows: UInt16

    /// - Parameters:
    ///   - name: unique on the board ("virtio-serial0").
    ///   - ports: at most `maximumPorts`; the first is port 0.
    ///   - maximumPorts: 1 for a device without control queues; QEMU's default is 31.
    ///   - size: of the terminal behind the consoles, in characters, when there is one.
    public init(name: String, ports: [VirtioConsolePort], maximumPorts: Int = 31, size: (columns: UInt16, rows: UInt16)? = nil) {
        precondition((1...511).contains(maximumPorts) && ports.count <= maximumPorts)
        stateName = name
        self.ports = ports
        self.maximumPorts = maximumPorts
        let isMultiport = maximumPorts > 1
        deviceFeatures = (size == nil ? 0 : Feature.size) | Feature.emergencyWrite | (isMultiport ? Feature.multiport : 0)
        columns = size?.columns ?? 0
        rows = size?.rows ?? 0
        queueSizes = Array(repeating: 128, count: isMultiport ? 2 * maximumPorts + 2 : 2)
        for (id, port) in ports.enumerated() {
            port.owner = self
            port.id = id
        }
    }

    public var state: State {
        get { State(ports: ports.map(\.state), control: control, columns: columns, rows: rows) }
        set {
            for (port, saved) in zip(ports, newValue.ports) { port.state = saved }
            control = newValue.control
            columns = newValue.columns
            rows = newValue.rows
        }
    }

    // MARK: Configuration space

    public var configSpace: [UInt8] {
        var space = ConfigWriter()
        space.put(columns)
        space.put(rows)
        space.put(UInt32(maximumPorts))
        space.put(UInt32(0))
        return space.bytes
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard offset == Self.emergencyOffset, let byte = bytes.first else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        ports.first?.backend?.write(byte)
    }

    /// Tells the guest the size of the terminal behind the consoles.
    public func resize(columns: UInt16, rows: UInt16) {
        guard (columns, rows) != (self.columns, self.rows) else { return }
        self.columns = columns
        self.rows = rows
        if usesControlQueues {
            for port in ports where port.isConsole && port.state.isGuestOpen { sendSize(port) }
            flushControl()
        }
        core?.configChanged()
    }

    // MARK: Life cycle

    private var usesControlQueues: Bool { core?.hasFeature(Feature.multiport) ?? false }

    public func driverReady() {
        // Without control messages there is one port, open from the start.
        if !usesControlQueues { ports.first?.setGuestOpen(true) }
    }

    public func reset() {
        control = []
        for port in ports { port.setGuestOpen(false) }
    }

    public func process(queue index: Int) {
        if usesControlQueues, index == Queue.controlReceive {
            flushControl()
        } else if usesControlQueues, index == Queue.controlTransmit {
            core?.serve(index) { chain in
                handleControl(chain.readable)
                return 0
            }
        } else if index % 2 == 0 {
            if let port = port(ofQueue: index) { deliverInput(port) }
        } else {
            transmit(index)
        }
    }

    /// Queues 0 and 1 are port 0's; those from 4 on belong to the others in turn.
    private func port(ofQueue index: Int) -> VirtioConsolePort? {
        let id = index < 2 ? 0 : index / 2 - 1
        return ports.indices.contains(id) ? ports[id] : nil
    }

    private func receiveQueue(of port: VirtioConsolePort) -> Int { port.id == 0 ? 0 : 2 * port.id + 2 }

    // MARK: Data

    private func transmit(_ index: Int) {
        let backend = port(ofQueue: index)?.backend
        core?.serve(index) { chain in
            guard chain.readable.count <= Self.outputLimit else {
                core?.fail("output of \(chain.readable.count) bytes in one buffer")
                return nil
            }
            if let backend {
                for buffer in chain.readable.hostBuffers { backend.write(UnsafeRawBufferPointer(buffer)) }
            }
            return 0
        }
    }

    /// Moves waiting input into the guest's buffers.
    func deliverInput(_ port: VirtioConsolePort) {
        guard let core else { return }
        // Legacy drivers may listen before DRIVER_OK.
        if core.isLegacy, !usesControlQueues, core.isRunning, port.id == 0, !port.state.isGuestOpen { port.setGuestOpen(true) }
        let index = receiveQueue(of: port)
        let wasFull = port.receiveCapacity == 0
        while !port.state.input.isEmpty, let chain = core.take(index) {
            guard chain.writable.count > 0 else {
                core.fail("receive buffer without room")
                return
            }
            let copied = chain.writable.copyIn(port.state.input)
            port.state.input.removeFirst(copied)
            core.giveBack(index, [(chain, UInt32(copied))])
        }
        core.signal(index)
        if wasFull, port.receiveCapacity > 0 { port.backend?.frontendReady() }
    }

    // MARK: Control messages

    private func handleControl(_ message: GuestBuffer) {
        guard let id: UInt32 = message.load(at: 0), let event: UInt16 = message.load(at: 4),
              let value: UInt16 = message.load(at: 6) else {
            Log.write(.guestErrors, "\(stateName): control message of \(message.count) bytes")
            return
        }
        if event == Event.deviceReady {
            if value == 1 {
                for port in ports { send(port, Event.deviceAdd, 1) }
            } else {
                Log.write(.guestErrors, "\(stateName): the driver failed to set the device up")
            }
            flushControl()
            return
        }
        guard let index = Int(exactly: id), ports.indices.contains(index) else {
            Log.write(.guestErrors, "\(stateName): control message for port \(id), which does not exist")
            return
        }
        handle(event, value, ports[index])
        flushControl()
    }

    private func handle(_ event: UInt16, _ value: UInt16, _ port: VirtioConsolePort) {
        switch event {
        case Event.portReady where value == 1:
            if port.isConsole {
                send(port, Event.consolePort, 1)
                if columns != 0 { sendSize(port) }
            }
            if let name = port.name { send(port, Event.portName, 1, Array(name.utf8)) }
            if port.backend != nil { send(port, Event.portOpen, 1) }
        case Event.portReady:
            Log.write(.guestErrors, "\(stateName): the driver failed to set port \(port.id) up")
        case Event.portOpen:
            port.setGuestOpen(value == 1)
        default:
            Log.write(.guestErrors, "\(stateName): control event \(event) is not one a driver sends")
        }
    }

    private func sendSize(_ port: VirtioConsolePort) {
        var size = ConfigWriter()
        size.put(columns)
        size.put(rows)
        send(port, Event.resize, 0, size.bytes)
    }

    private func send(_ port: VirtioConsolePort, _ event: UInt16, _ value: UInt16, _ extra: [UInt8] = []) {
        guard control.count < Self.controlLimit else {
            Log.write(.guestErrors, "\(stateName): control message dropped, the guest takes none")
            return
        }
        var message = ConfigWriter()
        message.put(UInt32(port.id))
        message.put(event)
        message.put(value)
        control.append(message.bytes + extra)
    }

    private func flushControl() {
        guard let core else { return }
        while let message = control.first, let chain = core.take(Queue.controlReceive) {
            guard chain.writable.count >= message.count else {
                core.fail("control receive buffer of \(chain.writable.count) bytes for a message of \(message.count)")
                return
            }
            chain.writable.copyIn(message)
            control.removeFirst()
            core.giveBack(Queue.controlReceive, [(chain, UInt32(message.count))])
        }
        core.signal(Queue.controlReceive)
    }
}
