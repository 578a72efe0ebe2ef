import EmuBus
import EmuMachine
import Glibc

/// Runs a machine that GDB can attach to, one client at a time.
///
/// The server drives the guest: `run` takes the place of `Machine.run`. As a poller it only moves bytes and, when a packet or
/// Ctrl-C has arrived, ends the slice in hand; packets are carried out between slices. A client that has not asked for the guest's
/// state yet does not stop it, one that goes away gives it back.
public final class GDBServer: IOPoller {
    private let session: DebugSession
    private let stub: GDBStub
    private let endpoint: SocketAddress?
    /// -1 when nobody else may come.
    private var listener: Int32
    private var listenerIndex: Int?
    /// The host had no descriptor for a client; until then (host time in nanoseconds) nobody is let in.
    private var pausesUntil: UInt64 = 0
    private var connection: GDBConnection?

    /// Listens at `endpoint`.
    /// - Throws: `ConfigError` naming the endpoint when that is impossible, `DebugError` when GDB does not know the processor.
    public init(_ debugger: Debugger, at endpoint: SocketAddress) throws {
        session = debugger.session
        stub = try GDBStub(debugger)
        self.endpoint = endpoint
        do throws(SocketError) {
            listener = try endpoint.listen()
        } catch {
            throw ConfigError("-gdb \(Self.option(endpoint))", error.description)
        }
        connectStub()
    }

    /// Serves one client on `descriptor`, a connected stream socket, and listens for no others.
    package init(_ debugger: Debugger, serving descriptor: Int32) throws {
        session = debugger.session
        stub = try GDBStub(debugger)
        endpoint = nil
        listener = -1
        connection = GDBConnection(descriptor)
        connectStub()
    }

    deinit { stopListening() }

    /// As `-gdb` takes it.
    package static func option(_ endpoint: SocketAddress) -> String {
        if case .unix = endpoint { "unix:\(endpoint.text)" } else { "tcp:\(endpoint.text)" }
    }

    private func connectStub() {
        stub.send = { [unowned self] in connection?.send($0) }
        stub.onNoAcknowledgements = { [unowned self] in connection?.acknowledges = false }
    }

    private func stopListening() {
        guard listener >= 0 else { return }
        close(listener)
        listener = -1
        if case .unix(let path)? = endpoint { unlink(path) }
    }

    /// The port it listens on, for one that was left to the host to choose.
    public var port: UInt16? { address?.port }
    /// Clients can come from this computer only.
    package var isLoopback: Bool { address?.isLoopback ?? true }

    /// What it listens on, for TCP.
    private var address: (port: UInt16, isLoopback: Bool)? {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let found = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) == 0 }
        }
        guard found else { return nil }
        // SAFETY: `sockaddr_storage` has room for every family's address.
        return withUnsafeBytes(of: &address) {
            switch Int32($0.load(as: sockaddr_storage.self).ss_family) {
            case AF_INET:
                let found = $0.load(as: sockaddr_in.self)
                return (UInt16(bigEndian: found.sin_port), UInt32(bigEndian: found.sin_addr.s_addr) >> 24 == 127)
            case AF_INET6:
                return (UInt16(bigEndian: $0.load(as: sockaddr_in6.self).sin6_port), false)
            default: return nil
            }
        }
    }

    /// A client keeps the guest from running.
    public var isHolding: Bool { stub.isAttached && stub.resumption == nil }

    /// Somebody is connected.
    package var hasClient: Bool { connection != nil }

    // MARK: Driving the guest

    /// Runs the machine until the guest, the user, the host or a client ends the run.
    public func run() -> ExitStatus {
        session.machine.pollers.add(self)
        let status = drive()
        session.machine.pollers.remove(self)
        connection?.drain(milliseconds: 500)
        connection = nil
        stopListening()
        return status
    }

    private func drive() -> ExitStatus {
        while true {
            if let status = serve() { return status }
            if let status = session.machine.host.stopper.request { return status }
            guard !isHolding else {
                session.machine.pollers.wait(timeout: .max)
                continue
            }
            do throws(DebugError) {
                let stop = if let resumption = stub.resumption { try stub.performResumption(resumption) } else { try session.resume() }
                took(stop)
                if case .ended(let end) = stop.reason { return end.status }
            } catch {
                return .error("\(error)")
            }
        }
    }

    private func took(_ stop: Stop) {
        let isInterrupted = connection?.isInterrupted == true
        connection?.clearInterrupt()
        guard stub.resumption != nil else { return }
        // Something else than the client wanted the loop to look around: the guest goes on.
        if case .interrupted = stop.reason, !isInterrupted { return }
        stub.report(stop)
    }

    /// Carries out what clients have sent, until there is nothing more or the guest is to run.
    private func serve() -> ExitStatus? {
        while let client = connection {
            if stub.resumption != nil, client.isInterrupted { took(Stop(reason: .interrupted, hart: stub.generalHart, pc: session.pc)) }
            guard stub.resumption == nil, let packet = client.nextPacket() else {
                if client.isEnded { lose() }
                return nil
            }
            stub.receive(packet)
            if let end = session.end { return end.status }
            switch stub.ending {
            case .killed(let code)?: return ExitStatus(code: code, reason: .user)
            case .detached?: release()
            case nil: break
            }
        }
        return nil
    }

    /// The client has let go of the guest, whatever had paused it.
    private func release() {
        stub.leave()
        connection?.hasSpoken = false
        session.machine.isPaused = false
    }

    /// The client is gone without a word. A guest that has never been let run still is not.
    private func lose() {
        stub.leave()
        connection = nil
    }

    // MARK: Polling

    public func fillPoll(_ set: PollSet) {
        listenerIndex = nil
        if listener >= 0 {
            let now = pausesUntil == 0 ? 0 : HostClock.now()
            if now >= pausesUntil {
                pausesUntil = 0
                listenerIndex = set.add(listener, .readable)
            } else {
                set.limitTimeout(nanoseconds: pausesUntil - now)
            }
        }
        connection?.fillPoll(set)
    }

    public func handlePoll(_ set: PollSet) {
        connection?.handlePoll(set)
        if let listenerIndex, !set.ready(listenerIndex).isEmpty { accept() }
        guard let connection, session.isRunning else { return }
        // What the guest does on the client's behalf is ended by Ctrl-C only; otherwise any packet wants to be looked at.
        let isAtWork = stub.isBusy || stub.resumption != nil
        if connection.isEnded || (isAtWork ? connection.isInterrupted : connection.mayBeServed) { session.interrupt() }
    }

    private func accept() {
        // The loop is about to let go of one that has ended; the next has to wait for that.
        if connection?.isEnded == true { return }
        let client = Glibc.accept(listener, nil, nil)
        guard client >= 0 else {
            if errno != EAGAIN && errno != EINTR && errno != ECONNABORTED { pausesUntil = HostClock.now() + 1_000_000_000 }
            return
        }
        // One that has said nothing yet may be half-open, and must not keep others out.
        if connection?.hasSpoken == false { connection = nil }
        guard connection == nil else {
            close(client)
            return
        }
        connection = GDBConnection(client)
    }
}
