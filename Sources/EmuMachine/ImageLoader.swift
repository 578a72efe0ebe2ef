import EmuBus

/// What a kernel or firmware file turned out to be.
public enum ImageFormat: Equatable, Sendable {
    case elf
    /// Anything else: copied as it is.
    case raw
}

/// An image in guest memory.
struct LoadedImage {
    let format: ImageFormat
    /// Lowest address loaded.
    let start: UInt64
    /// First address after everything the image occupies, zero-filled parts included.
    let end: UInt64
    /// Where an ELF file wants to be entered; `start` for raw images.
    let entry: UInt64
    let elf: ELFFile?
}

/// Puts files into guest RAM and keeps track of who occupies what, so that two options cannot claim the same memory.
struct ImageLoader {
    private struct Claim {
        let owner: String
        let range: Range<UInt64>
    }

    private let ram: GuestRAM
    private let machine: ELFMachine
    /// RAM reads as zero where nothing was loaded: zero-filled parts need no work.
    private let memoryIsClear: Bool
    private let progress: LoadProgress?
    private var claims: [Claim] = []

    init(ram: GuestRAM, machine: ELFMachine, memoryIsClear: Bool, progress: LoadProgress? = nil) {
        self.ram = ram
        self.machine = machine
        self.memoryIsClear = memoryIsClear
        self.progress = progress
    }

    private var ramEnd: UInt64 { ram.base + ram.size }

    // MARK: Reading

    /// Opens an image, decompressed when it is a gzip file.
    /// - Parameter option: the option that names `path` ("-kernel").
    func open(_ path: String, option: String, decompress: Bool) throws(ConfigError) -> any ByteSource {
        do throws(ImageError) {
            let source = try FileSource.open(path, limit: ram.size, progress: progress)
            guard source.count > 0 else { throw ImageError("the file is empty") }
            guard decompress, Gzip.isGzip(try source.prefix(3)) else { return source }
            let contents = try Gzip.decompress(source, limit: ram.size)
            guard !contents.isEmpty else { throw ImageError("it decompresses to nothing") }
            return MemorySource(contents)
        } catch {
            throw ConfigError("\(option) \(path)", error.description)
        }
    }

    // MARK: Loading

    /// Loads an ELF file to its physical addresses, or anything else to `address`.
    /// - Parameters:
    ///   - option: how to name the image in errors ("-kernel FILE").
    ///   - rebase: where a position-independent ELF file linked outside RAM goes; nil refuses it.
    ///   - occupied: bytes a raw image occupies beyond its length, from its own header.
    mutating func load(
        _ source: any ByteSource, option: String, at address: UInt64, rebase: UInt64? = nil,
        occupied: ([UInt8]) -> UInt64 = { _ in 0 }
    ) throws(ConfigError) -> LoadedImage {
        do throws(ImageError) {
            let start = try source.prefix(64)
            if ELFFile.isELF(start) { return try loadELF(source, option, rebase) }
            let size = max(source.count, occupied(start))
            try claim(option, address, size)
            try source.read(at: 0, into: room(address, source.count))
            if !memoryIsClear { clear(address + source.count, size - source.count) }
            return LoadedImage(format: .raw, start: address, end: address + size, entry: address, elf: nil)
        } catch {
            throw ConfigError(option, error.description)
        }
    }

    /// Copies `source` to `address` as it is, whatever it looks like.
    mutating func loadData(_ source: any ByteSource, option: String, at address: UInt64) throws(ConfigError) {
        do throws(ImageError) {
            try claim(option, address, source.count)
            try source.read(at: 0, into: room(address, source.count))
        } catch {
            throw ConfigError(option, error.description)
        }
    }

    /// Loads bytes made by this program.
    mutating func load(_ bytes: [UInt8], owner: String, at address: UInt64) throws(ConfigError) {
        do throws(ImageError) {
            try claim(owner, address, UInt64(bytes.count))
            room(address, UInt64(bytes.count)).copyBytes(from: bytes)
        } catch {
            throw ConfigError(owner, error.description)
        }
    }

    private mutating func loadELF(_ source: any ByteSource, _ option: String, _ rebase: UInt64?) throws(ImageError) -> LoadedImage {
        let elf = try ELFFile(source, machine: machine)
        var bias: UInt64 = 0
        if let rebase, elf.isPositionIndependent, !ram.contains(elf.lowestAddress, elf.endAddress - elf.lowestAddress) {
            bias = rebase &- elf.lowestAddress
        }
        for segment in elf.segments {
            let address = segment.physicalAddress &+ bias
            try claim(option, address, segment.memorySize)
            try elf.load(segment, into: room(address, segment.fileSize))
            if !memoryIsClear { clear(address + segment.fileSize, segment.memorySize - segment.fileSize) }
        }
        return LoadedImage(
            format: .elf, start: elf.lowestAddress &+ bias, end: elf.endAddress &+ bias, entry: elf.entry &+ bias, elf: elf)
    }

    // MARK: Memory

    /// Reserves memory for `owner`, which must be inside RAM and free.
    private mutating func claim(_ owner: String, _ address: UInt64, _ size: UInt64) throws(ImageError) {
        guard ram.contains(address, size) else {
            throw ImageError(
                "its \(Self.amount(size)) at \(hex(address)) do not fit the guest's RAM, which is \(hex(ram.base)) to \(hex(ramEnd - 1));"
                    + " give the guest more memory with -m, or place it in that range")
        }
        let range = address..<address + size
        if let other = claims.first(where: { $0.range.overlaps(range) && $0.owner != owner }) {
            throw ImageError(
                "its \(Self.amount(size)) at \(hex(address)) overlap \(other.owner) at \(hex(other.range.lowerBound)) to \(hex(other.range.upperBound - 1))")
        }
        claims.append(Claim(owner: owner, range: range))
    }

    /// Rounded up, for any size: a file may claim 2^64 - 1 bytes.
    private static func amount(_ bytes: UInt64) -> String {
        bytes < 1 << 20 ? "\(bytes) bytes" : "\((bytes >> 20) + (bytes & 0xf_ffff == 0 ? 0 : 1)) MiB"
    }

    /// Host memory of a claimed range.
    /// SAFETY: `claim` found the range inside RAM; the buffer is used before the machine can go away.
    private func room(_ address: UInt64, _ size: UInt64) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: ram.host + Int(address - ram.base), count: Int(size))
    }

    private func clear(_ address: UInt64, _ size: UInt64) {
        let target = room(address, size)
        if target.count > 0 { target.initializeMemory(as: UInt8.self, repeating: 0) }
    }
}
