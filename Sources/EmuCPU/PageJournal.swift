import EmuBus
import Glibc

/// What two runs of the same code from the same state wrote to memory: pages copied before the first write, put back for the
/// second run, and compared after it.
///
/// Whoever writes says so beforehand (`willWrite`); direct TLB entries for writing exist only for pages that are copied already, and
/// only until the run ends (`open`).
///
/// SAFETY: a page's host address comes from the `GuestRAM` that holds it, which outlives the journal; copies have a page's size.
final class PageJournal {
    private struct Page {
        var address: UInt64
        var host: UnsafeMutableRawPointer
        /// Contents before the first run.
        var before: UnsafeMutableRawPointer
        /// Contents after the first run.
        var after: UnsafeMutableRawPointer
    }

    /// A TLB entry as it was before it was filled.
    private struct Fill {
        var entry: UnsafeMutablePointer<TLBEntry>
        var physical: UnsafeMutablePointer<UInt64>
        var oldEntry: TLBEntry
        var oldPhysical: UInt64
    }

    /// True between `begin` and `finish`.
    private(set) var isRecording = false
    private var isFirstRun = true
    private var pages: [Page] = []
    private var index: [UInt64: Int] = [:]
    private var opened: [UnsafeMutablePointer<TLBEntry>] = []
    private var fills: [Fill] = []
    /// Buffers of earlier pages, to be used again.
    private var spare: [UnsafeMutableRawPointer] = []

    deinit {
        for page in pages {
            page.before.deallocate()
            page.after.deallocate()
        }
        for buffer in spare { buffer.deallocate() }
    }

    // MARK: What happens in a run

    /// To be called before anything in the page of `physical` changes.
    func willWrite(_ memory: MappedMemory, _ physical: UInt64) {
        guard isRecording else { return }
        let address = physical & TLBEntry.pageMask
        if pages.last?.address == address || index[address] != nil { return }
        let page = Page(address: address, host: memory.host + Int(address &- memory.base), before: buffer(), after: buffer())
        page.before.copyMemory(from: page.host, byteCount: GuestRAM.pageSize)
        // In the second run: the first one left the page alone.
        if !isFirstRun { page.after.copyMemory(from: page.host, byteCount: GuestRAM.pageSize) }
        index[address] = pages.count
        pages.append(page)
    }

    /// A TLB entry is about to be filled.
    func willFill(_ entry: UnsafeMutablePointer<TLBEntry>, _ physical: UnsafeMutablePointer<UInt64>) {
        guard isRecording, isFirstRun else { return }
        var old = entry.pointee
        // What was opened in this run is closed again.
        if old.tag & ~TLBEntry.pageMask == 0 { old.tag |= TLBEntry.slow }
        fills.append(Fill(entry: entry, physical: physical, oldEntry: old, oldPhysical: physical.pointee))
    }

    /// True when direct writes by way of `entry`, whose page has just been written, are allowed until the run ends.
    func open(_ entry: UnsafeMutablePointer<TLBEntry>) -> Bool {
        guard isRecording else { return false }
        opened.append(entry)
        return true
    }

    // MARK: Runs

    func begin() {
        isRecording = true
        isFirstRun = true
    }

    /// After the first run: memory and TLB are as they were before it.
    func rewind() {
        close()
        for fill in fills.reversed() {
            fill.entry.pointee = fill.oldEntry
            fill.physical.pointee = fill.oldPhysical
        }
        fills.removeAll(keepingCapacity: true)
        for page in pages {
            page.after.copyMemory(from: page.host, byteCount: GuestRAM.pageSize)
            page.host.copyMemory(from: page.before, byteCount: GuestRAM.pageSize)
        }
        isFirstRun = false
    }

    /// Ends recording. To be called after the first run or after the second.
    func finish() {
        close()
        isRecording = false
        for page in pages {
            spare.append(page.before)
            spare.append(page.after)
        }
        pages.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        fills.removeAll(keepingCapacity: true)
    }

    /// The first bytes that differ after both runs: their physical address, what the first run left there and what the second one did.
    func difference() -> (address: UInt64, first: [UInt8], second: [UInt8])? {
        for page in pages {
            if memcmp(page.after, page.host, GuestRAM.pageSize) == 0 { continue }
            let first = UnsafeRawBufferPointer(start: page.after, count: GuestRAM.pageSize)
            let second = UnsafeRawBufferPointer(start: page.host, count: GuestRAM.pageSize)
            let start = zip(first, second).prefix { $0 == $1 }.count & ~7
            return (page.address + UInt64(start), Array(first[start..<start + 8]), Array(second[start..<start + 8]))
        }
        return nil
    }

    /// Takes direct writing away again.
    private func close() {
        for entry in opened where entry.pointee.tag & ~TLBEntry.pageMask == 0 { entry.pointee.tag |= TLBEntry.slow }
        opened.removeAll(keepingCapacity: true)
    }

    private func buffer() -> UnsafeMutableRawPointer {
        spare.popLast() ?? .allocate(byteCount: GuestRAM.pageSize, alignment: GuestRAM.pageSize)
    }
}
