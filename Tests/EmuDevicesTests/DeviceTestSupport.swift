import EmuBus
import EmuDevices
import Testing

/// A host console that keeps what the guest printed and feeds input as far as the guest takes it.
final class BufferedConsole: CharacterBackend {
    weak var frontend: (any CharacterFrontend)?
    private(set) var output: [UInt8] = []
    private(set) var breaks: [Bool] = []
    private(set) var readyCalls = 0
    private var waiting: [UInt8] = []

    var text: String { String(decoding: output, as: UTF8.self) }

    func write(_ bytes: UnsafeRawBufferPointer) { output += bytes }

    func setBreak(_ active: Bool) { breaks.append(active) }

    func frontendReady() {
        readyCalls += 1
        pump()
    }

    func type(_ text: String) {
        waiting += Array(text.utf8)
        pump()
    }

    private func pump() {
        while let frontend, !waiting.isEmpty, frontend.receiveCapacity > 0 {
            let count = min(frontend.receiveCapacity, waiting.count)
            let bytes = Array(waiting.prefix(count))
            waiting.removeFirst(count)
            frontend.receive(bytes)
        }
    }
}

/// Carries `source`'s state through its saved bytes into `target` and checks that it arrives unchanged.
func transplant<Device: Saveable>(_ source: Device, into target: Device) throws {
    let saved = try source.encodedState()
    try target.restoreState(from: saved)
    #expect(try target.encodedState() == saved)
}

extension EventQueue {
    /// Moves virtual time to `time`, running every event on the way.
    func run(to time: UInt64) {
        while nextDeadline <= time {
            advanceVirtual(to: nextDeadline)
            runDue()
        }
        advanceVirtual(to: time)
    }
}

/// A disk whose operations wait until they are drained, if it is told so.
protocol DelayingBackend: BlockBackend {
    var isDelayed: Bool { get }
    var delayed: [() -> Void] { get set }
}

extension DelayingBackend {
    func submit(_ operation: BlockOperation, completion: @escaping (HostError?) -> Void) {
        let work = { [self] in
            do throws(HostError) {
                try perform(operation)
                completion(nil)
            } catch { completion(error) }
        }
        if isDelayed { delayed.append(work) } else { work() }
    }

    func drain() {
        while !delayed.isEmpty { delayed.removeFirst()() }
    }
}
