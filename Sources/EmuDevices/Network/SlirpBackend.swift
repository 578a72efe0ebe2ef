import CSlirp
import EmuBus
import Glibc

/// User-mode networking through libslirp: a private network with DHCP, DNS and NAT that needs no rights on the host.
///
/// Add it to the machine's `IOPollGroup`; its timers run on the machine's clock.
public final class SlirpBackend: NetworkBackend, IOPoller {
    public weak var receiver: (any NetworkReceiver)?
    private let events: EventQueue
    // SAFETY: created in init, freed in deinit; libslirp calls back only from within calls made here, on one thread,
    // so `self`, passed unretained as its opaque pointer, is alive whenever a callback runs.
    private var slirp: OpaquePointer!
    private let callbacks: UnsafeMutablePointer<SlirpCb>
    /// Frames the card had no room for. While there are any, libslirp is not polled, which stops the flow at its source.
    private var backlog = FrameBacklog()
    /// The set being filled or handled, for the callbacks.
    private var pollSet: PollSet?
    private var isPolling = false

    /// - Throws: `NetworkError` naming the option that cannot be had.
    public init(_ configuration: SlirpConfiguration, events: EventQueue) throws(NetworkError) {
        self.events = events
        callbacks = .allocate(capacity: 1)
        callbacks.initialize(to: Self.makeCallbacks())
        // libslirp writes to sockets whose far end may be gone; the error return is enough.
        signal(SIGPIPE, SIG_IGN)
        slirp = Self.create(configuration, callbacks, Unmanaged.passUnretained(self).toOpaque())
        guard slirp != nil else { throw NetworkError("-netdev user: libslirp refused its configuration") }
        for forward in configuration.hostForwards { try addHostForward(forward) }
        for forward in configuration.guestForwards {
            var address = forward.address.inAddress
            guard slirp_add_exec(slirp, forward.command, &address, Int32(forward.port)) >= 0 else {
                throw NetworkError("guestfwd=tcp:\(forward.address):\(forward.port): the address is not one of the guest's network, or is taken")
            }
        }
    }

    deinit {
        if let slirp { slirp_cleanup(slirp) }
        callbacks.deinitialize(count: 1)
        callbacks.deallocate()
    }

    /// Starts listening for a `hostfwd` rule.
    public func addHostForward(_ forward: HostForward) throws(NetworkError) {
        let guest = forward.guestAddress ?? IPv4Address(0)
        let result = slirp_add_hostfwd(slirp, forward.isUDP ? 1 : 0, forward.hostAddress.inAddress, Int32(forward.hostPort),
                                       guest.inAddress, Int32(forward.guestPort))
        guard result >= 0 else {
            let reason = String(cString: strerror(errno))
            throw NetworkError("hostfwd=\(forward.description): cannot listen on port \(forward.hostPort): \(reason); choose another port")
        }
    }

    /// Stops listening; false when there was no such rule.
    public func removeHostForward(isUDP: Bool, hostAddress: IPv4Address, hostPort: UInt16) -> Bool {
        slirp_remove_hostfwd(slirp, isUDP ? 1 : 0, hostAddress.inAddress, Int32(hostPort)) >= 0
    }

    private static func create(
        _ configuration: SlirpConfiguration, _ callbacks: UnsafePointer<SlirpCb>, _ opaque: UnsafeMutableRawPointer
    ) -> OpaquePointer? {
        var config = SlirpConfig()
        // The oldest layout has all that is used here.
        config.version = UInt32(SLIRP_CONFIG_VERSION_MIN)
        config.restricted = configuration.isRestricted ? 1 : 0
        config.in_enabled = configuration.hasIPv4
        config.vnetwork = configuration.network.inAddress
        config.vnetmask = configuration.mask.inAddress
        config.vhost = configuration.host.inAddress
        config.vnameserver = configuration.nameServer.inAddress
        config.vdhcp_start = configuration.dhcpStart.inAddress
        config.in6_enabled = configuration.hasIPv6
        config.vprefix_len = 64
        _ = inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6)
        _ = inet_pton(AF_INET6, "fec0::2", &config.vhost6)
        _ = inet_pton(AF_INET6, "fec0::3", &config.vnameserver6)
        // SAFETY: libslirp copies every string and the search list before slirp_new returns.
        let names = [configuration.guestName, configuration.domainName, configuration.tftpDirectory, configuration.tftpServerName,
                     configuration.bootFile].map { $0.flatMap { strdup($0) } }
        let domains = configuration.searchDomains.map { strdup($0) }
        defer { for text in names + domains { free(text) } }
        config.vhostname = UnsafePointer(names[0])
        config.vdomainname = UnsafePointer(names[1])
        config.tftp_path = UnsafePointer(names[2])
        config.tftp_server_name = UnsafePointer(names[3])
        config.bootfile = UnsafePointer(names[4])
        var list = domains.map { UnsafePointer($0) } + [nil]
        return list.withUnsafeMutableBufferPointer { search in
            if !domains.isEmpty { config.vdnssearch = search.baseAddress }
            return slirp_new(&config, callbacks, opaque)
        }
    }

    // MARK: Frames

    public func send(_ frame: UnsafeRawBufferPointer) {
        guard let length = Int32(exactly: frame.count) else { return }
        slirp_input(slirp, frame.baseAddress?.assumingMemoryBound(to: UInt8.self), length)
    }

    public func receiverReady() { backlog.resume(receiver) }

    /// libslirp hands a segment's data on to a socket of the host, whatever its length.
    public var takesLargeSegments: Bool { true }
    public var vouchesForChecksums: Bool { true }

    // MARK: Polling

    public func fillPoll(_ set: PollSet) {
        isPolling = backlog.isEmpty
        guard isPolling else { return }
        pollSet = set
        defer { pollSet = nil }
        var timeout = UInt32.max
        slirp_pollfds_fill(slirp, &timeout, { descriptor, events, opaque in
            Int32(truncatingIfNeeded: SlirpBackend.from(opaque).pollSet?.add(descriptor, SlirpBackend.events(from: events)) ?? -1)
        }, Unmanaged.passUnretained(self).toOpaque())
        if timeout != .max { set.limitTimeout(nanoseconds: UInt64(timeout) * 1_000_000) }
    }

    public func handlePoll(_ set: PollSet) {
        guard isPolling else { return }
        pollSet = set
        defer { pollSet = nil }
        slirp_pollfds_poll(slirp, set.failed ? 1 : 0, { index, opaque in
            SlirpBackend.slirpEvents(from: SlirpBackend.from(opaque).pollSet?.ready(Int(index)) ?? [])
        }, Unmanaged.passUnretained(self).toOpaque())
    }

    private static let eventPairs: [(slirp: Int32, event: PollSet.Events)] = [
        (Int32(SLIRP_POLL_IN), .readable), (Int32(SLIRP_POLL_OUT), .writable),
        (Int32(SLIRP_POLL_PRI), .urgent), (Int32(SLIRP_POLL_ERR), .error),
        (Int32(SLIRP_POLL_HUP), .hangUp),
    ]

    private static func events(from bits: Int32) -> PollSet.Events {
        eventPairs.reduce(into: []) { if bits & $1.slirp != 0 { $0.insert($1.event) } }
    }

    private static func slirpEvents(from events: PollSet.Events) -> Int32 {
        eventPairs.reduce(0) { events.contains($1.event) ? $0 | $1.slirp : $0 }
    }

    // MARK: Callbacks

    /// libslirp's timer: an event of the machine that calls back into it.
    private final class Timer {
        var event: EventTimer?
    }

    private static func from(_ opaque: UnsafeMutableRawPointer?) -> SlirpBackend {
        // SAFETY: see `slirp`: always the live object that was passed to slirp_new.
        Unmanaged<SlirpBackend>.fromOpaque(opaque!).takeUnretainedValue()
    }

    private static func makeCallbacks() -> SlirpCb {
        var callbacks = SlirpCb()
        callbacks.send_packet = { bytes, length, opaque in
            let backend = SlirpBackend.from(opaque)
            backend.backlog.deliver(UnsafeRawBufferPointer(start: bytes, count: length), to: backend.receiver)
            return length
        }
        callbacks.guest_error = { message, _ in
            if let message { Log.write(.guestErrors, "user network: \(String(cString: message))") }
        }
        callbacks.clock_get_ns = { opaque in Int64(clamping: SlirpBackend.from(opaque).events.now) }
        callbacks.timer_new = { action, context, opaque in
            let timer = Timer()
            // SAFETY: libslirp keeps `context` valid until it frees the timer, which cancels the event.
            let address = UInt(bitPattern: context)
            timer.event = SlirpBackend.from(opaque).events.makeTimer("user network") { action?(UnsafeMutableRawPointer(bitPattern: address)) }
            return Unmanaged.passRetained(timer).toOpaque()
        }
        callbacks.timer_free = { timer, _ in
            guard let timer else { return }
            Unmanaged<Timer>.fromOpaque(timer).takeRetainedValue().event?.cancel()
        }
        callbacks.timer_mod = { timer, milliseconds, _ in
            guard let timer else { return }
            Unmanaged<Timer>.fromOpaque(timer).takeUnretainedValue().event?.schedule(at: UInt64(clamping: milliseconds) &* 1_000_000)
        }
        // poll(2) needs no registration, and everything runs on one thread.
        callbacks.register_poll_fd = { _, _ in }
        callbacks.unregister_poll_fd = { _, _ in }
        callbacks.notify = { _ in }
        return callbacks
    }
}
