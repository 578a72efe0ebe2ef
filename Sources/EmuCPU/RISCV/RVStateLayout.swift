import EmuJIT

extension RVProcessor {
    /// Where translated code finds the fields of `RVHart`, TLB entries and jump cache entries. A test pins what the assembler relies on.
    package static let stateLayout: StateLayout = {
        func field<Value>(_ path: KeyPath<RVHart, Value>) -> Int {
            guard let offset = MemoryLayout<RVHart>.offset(of: path) else { preconditionFailure("a stored field has an offset") }
            return offset
        }
        func entry<Value>(_ path: KeyPath<TLBEntry, Value>) -> Int { MemoryLayout<TLBEntry>.offset(of: path) ?? 0 }
        func jump<Value>(_ path: KeyPath<JumpCacheEntry, Value>) -> Int { MemoryLayout<JumpCacheEntry>.offset(of: path) ?? 0 }
        return StateLayout(
            integers: field(\.x), floats: field(\.f), vectors: field(\.v), vectorLength: field(\.vl), vectorType: field(\.vtype), vectorStart: field(\.vstart),
            vectorKey: field(\.vectorKey), vectorScratch: field(\.vectorScratch), vectorRounding: field(\.vxrm), vectorSaturation: field(\.vxsat), remaining: field(\.remaining), pc: field(\.pc), pageBase: field(\.pageBase), loads: field(\.loads),
            loadMask: field(\.loadMask), loadPages: field(\.loadPages), storePages: field(\.storePages), stores: field(\.stores), storeMask: field(\.storeMask), jumps: field(\.jumps), jumpSalt: field(\.jumpSalt), leave: field(\.leave), exitReason: field(\.exitReason), exitSite: field(\.exitSite),
            exitUnit: field(\.exitUnit), reservedAddress: field(\.reservedAddress), reservedLength: field(\.reservedLength), reservedWrites: field(\.reservedWrites),
            foreignWrites: field(\.foreignWrites), reservationMark: field(\.reservationMark), reservedValue: field(\.reservedValue), distrust: field(\.distrust), privilege: field(\.csrLevel), floatLive: field(\.floatLive), floatControl: field(\.floatControl), storeValue: field(\.storeValue),
            temporaries: field(\.temporaries), temporaryCount: 32, windows: field(\.windows), windowCount: 1024,
            filledWindowCount: field(\.filledWindowCount), filledWindows: field(\.filledWindows), run: field(\.run), reserve: field(\.reserve), helpers: field(\.helpers),
            tlbEntryShift: MemoryLayout<TLBEntry>.stride.trailingZeroBitCount, tlbTag: entry(\.tag),
            tlbAddend: entry(\.addend),
            jumpEntryShift: MemoryLayout<JumpCacheEntry>.stride.trailingZeroBitCount, jumpEntryCount: TLBView.jumpCount,
            jumpKey: jump(\.key), jumpCode: jump(\.code))
    }()
}
