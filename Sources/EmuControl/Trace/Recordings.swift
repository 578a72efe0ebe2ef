/// What is being recorded of a guest's run under a session: a trace, a profile, a coverage count, each with the file it goes to at the end.
public final class Recordings {
    private let session: DebugSession
    private let symbols: SymbolTable
    private(set) var tracer: Tracer?
    /// The latest profile; the session's machine feeds it while `isProfiling`.
    private(set) var profiler: Profiler?
    private var profileFile: String?
    private(set) var coverage: Coverage?
    private(set) var isCovering = false
    private var coverageFile: String?

    public init(_ session: DebugSession, _ symbols: SymbolTable) {
        self.session = session
        self.symbols = symbols
    }

    // MARK: Trace

    /// Begins to write a trace to the file at `path`.
    /// - Parameter words: kinds of lines and filters, as the `trace` command takes them.
    public func startTrace(_ path: String, _ words: [String]) throws(DebugError) {
        if let tracer { throw DebugError("trace: '\(tracer.file.path)' is being written; 'trace stop' ends that") }
        let filter = try TraceFilter(words, session)
        let tracer = try Tracer(session, path: path, filter)
        self.tracer = tracer
        session.add(tracer)
    }

    /// Completes the trace's file and returns the number of lines in it.
    @discardableResult
    func stopTrace() throws(DebugError) -> Int {
        guard let tracer else { throw DebugError("trace: nothing is being traced") }
        self.tracer = nil
        session.remove(tracer)
        try tracer.file.finish("trace")
        return tracer.lines
    }

    // MARK: Profile

    var isProfiling: Bool { profiler != nil && session.machine.sampler === profiler }

    /// Begins a new profile.
    /// - Parameters:
    ///   - interval: cycles between two looks at a hart; nil for the usual number.
    ///   - path: where it is written by `finish`.
    public func startProfile(interval: Int? = nil, savingTo path: String? = nil) throws(DebugError) {
        if let path { try OutputFile.write("", to: path, for: "profile") }
        let interval = interval ?? Profiler.defaultInterval
        guard (1...1 << 40).contains(interval) else { throw DebugError("profile: the interval must be at least 1 cycle") }
        profiler = Profiler(session, interval: interval)
        profileFile = path
        session.machine.sampler = profiler
    }

    func stopProfile() throws(DebugError) {
        guard isProfiling else { throw DebugError("profile: nothing is being profiled; 'profile start' begins") }
        session.machine.sampler = nil
    }

    // MARK: Coverage

    /// Begins to count, from nothing unless counts are there already.
    /// - Parameter path: where it is written by `finish`.
    public func startCoverage(savingTo path: String? = nil) throws(DebugError) {
        if isCovering { throw DebugError("coverage: instructions are being counted already") }
        if let path { try OutputFile.write("", to: path, for: "coverage") }
        let coverage = coverage ?? Coverage()
        self.coverage = coverage
        coverageFile = path
        isCovering = true
        session.add(coverage)
    }

    func stopCoverage() throws(DebugError) {
        guard let coverage, isCovering else { throw DebugError("coverage: nothing is being counted; 'coverage start' begins") }
        isCovering = false
        session.remove(coverage)
    }

    // MARK: The end

    /// Completes every file: however the run has ended, this is called. Later ones are written even when earlier ones cannot be.
    /// - Returns: what could not be written, for the user.
    public func finish() -> [DebugError] {
        var problems: [DebugError] = []
        func attempt(_ body: () throws(DebugError) -> Void) {
            do throws(DebugError) { try body() } catch { problems.append(error) }
        }
        if tracer != nil { attempt { () throws(DebugError) in try stopTrace() } }
        if let profileFile, let profiler { attempt { () throws(DebugError) in try profiler.save(to: profileFile) } }
        if let coverageFile, let coverage {
            attempt { () throws(DebugError) in try OutputFile.write(try coverage.lcov(symbols), to: coverageFile, for: "coverage") }
        }
        profileFile = nil
        coverageFile = nil
        return problems
    }
}
