extension RVCSR {
    /// Assembler name of any standard CSR number, whether or not this processor has the register.
    package static func name(of number: UInt16) -> String? {
        RVCSR(rawValue: number)?.name ?? absent[number]
    }

    /// Standard registers this processor lacks: debug and RV32's high halves.
    private static let absent: [UInt16: String] = {
        var names: [UInt16: String] = [:]
        for (first, list) in lists {
            for (offset, name) in list.split(separator: " ").enumerated() where name != "-" { names[first + UInt16(offset)] = String(name) }
        }
        for (first, stem, numbers, suffix) in families {
            for number in numbers { names[first + UInt16(number - numbers.lowerBound)] = "\(stem)\(number)\(suffix)" }
        }
        return names
    }()

    /// Names at successive numbers; `-` leaves one out.
    private static let lists: [(first: UInt16, names: String)] = [
        (0xc80, "cycleh timeh instreth"),
        (0x114, "sieh"), (0x154, "siph"), (0x15d, "stimecmph"),
        (0x214, "vsieh"), (0x254, "vsiph"), (0x25d, "vstimecmph"),
        (0x613, "hidelegh - htimedeltah - - hvienh - henvcfgh"), (0x655, "hviph hviprio1h hviprio2h"),
        (0x310, "mstatush - - midelegh mieh - - - mvienh mviph menvcfgh"),
        (0x354, "miph"), (0x757, "mseccfgh"),
        (0x7a5, "tcontrol"), (0x7aa, "mscontext"), (0x7b0, "dcsr dpc dscratch0 dscratch1"),
        (0xb80, "mcycleh - minstreth"),
    ]

    /// Numbered names at successive numbers.
    private static let families: [(first: UInt16, stem: String, numbers: ClosedRange<Int>, suffix: String)] = [
        (0x31c, "mstateen", 0...3, "h"), (0x61c, "hstateen", 0...3, "h"),
        (0x3a0, "pmpcfg", 0...15, ""), (0x3b0, "pmpaddr", 0...63, ""),
        (0x723, "mhpmevent", 3...31, "h"), (0xb83, "mhpmcounter", 3...31, "h"), (0xc83, "hpmcounter", 3...31, "h"),
    ]
}
