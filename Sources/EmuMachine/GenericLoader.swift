import EmuBus

/// One `-device loader`: something put into memory at each reset, or where a hart starts (QEMU documentation, "Generic Loader").
struct GenericLoader {
    private enum Load {
        case data([UInt8], at: UInt64)
        case file(String, at: UInt64?, isRaw: Bool)
        case start(UInt64)
    }

    private let load: Load
    /// The hart that starts at the address, or at the file's entry.
    private let hart: Int?
    private let option: String

    /// - Parameter harts: of the machine.
    init(_ device: DeviceConfig, harts: Int) throws(ConfigError) {
        let option = "-device loader" + device.properties.map { ",\($0.name)=\($0.value)" }.joined()
        self.option = option
        func number(_ name: String) throws(ConfigError) -> UInt64? {
            guard let text = device[name] else { return nil }
            let value = text.hasPrefix("0x") || text.hasPrefix("0X") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
            guard let value else { throw ConfigError(option, "\(name)=\(text) is not a number below 2^64") }
            return value
        }
        func flag(_ name: String) -> Bool { ["on", "true", "yes", "y"].contains(device[name] ?? "") }
        let address = try number("addr")
        let hart = try number("cpu-num").map { Int(clamping: $0) }
        self.hart = hart
        if let hart, hart >= harts { throw ConfigError(option, "the machine has harts 0 to \(harts - 1)") }
        if let file = device["file"] {
            guard device["data"] == nil, device["data-len"] == nil else { throw ConfigError(option, "either file or data, not both") }
            load = .file(file, at: address, isRaw: flag("force-raw"))
        } else if let value = try number("data") {
            guard let address else { throw ConfigError(option, "data needs addr=ADDRESS") }
            guard let length = try number("data-len"), (1...8).contains(length) else { throw ConfigError(option, "data needs data-len, 1 to 8 bytes") }
            guard length == 8 || value >> (8 * length) == 0 else { throw ConfigError(option, "data has more than \(length) bytes") }
            guard hart == nil else { throw ConfigError(option, "cpu-num is for a file or an address alone") }
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            load = .data(flag("data-be") ? bytes.reversed() : bytes, at: address)
        } else if let address, hart != nil {
            load = .start(address)
        } else {
            throw ConfigError(option, "it needs file=FILE, or addr=, data= and data-len=, or addr= and cpu-num=")
        }
    }

    /// Loads it.
    /// - Returns: the hart that does not start as the others do, and where.
    func run(_ loader: inout ImageLoader) throws(ConfigError) -> (hart: Int, start: UInt64)? {
        var start: UInt64
        switch load {
        case .data(let bytes, let address):
            try loader.load(bytes, owner: option, at: address)
            return nil
        case .start(let address): start = address
        case .file(let path, let address, let isRaw):
            let source = try loader.open(path, option: option, decompress: false)
            guard !isRaw, let prefix = try? source.prefix(64), ELFFile.isELF(prefix) else {
                guard let address else { throw ConfigError(option, "it is no ELF file, so it needs addr=ADDRESS") }
                try loader.loadData(source, option: option, at: address)
                start = address
                break
            }
            start = try loader.load(source, option: option, at: 0).entry
            if let address, hart != nil { start = address }
        }
        return hart.map { ($0, start) }
    }
}
