import EmuBus
import Glibc

extension Qcow2Image {
    /// A snapshot's contents as a disk of its own, only to be read, while this image stays as it is.
    package func snapshotView(_ name: String) throws(DiskError) -> any DiskImage {
        guard isReadOnly else { throw DiskError("disk '\(path)' is open for writing") }
        guard let snapshot = snapshot(named: name) else { throw noSnapshot(name) }
        let view = try Qcow2Image(file, path: path, isReadOnly: true, backing: backing)
        let size = snapshot.diskSize ?? header.size
        do throws(HostError) {
            let entries = try Qcow2Map.readEntries(file, offset: snapshot.l1Offset, count: snapshot.l1Size)
            // Behind the disk's end its machine state is kept, in the same table.
            guard size >= 512, header.l1Entries(for: size) <= UInt64(entries.count) else {
                throw HostError("\(file.name): snapshot '\(name)' is longer than its table", EIO)
            }
            view.header.size = size
            view.map.replaceL1(entries, at: snapshot.l1Offset)
        } catch { throw DiskError("\(error)") }
        return view
    }

    /// Drops all data of this image, so that it shows the one below it everywhere.
    package func empty() throws(DiskError) {
        try exclusively { () throws(DiskError) in
            do throws(HostError) {
                try prepareToWrite()
                for index in map.l1.indices {
                    guard try map.table(index) != nil else { continue }
                    let table = try writableTable(index)
                    for entry in 0..<map.entriesPerTable {
                        let old = try map.entry(table, entry)
                        if old == Qcow2Entry() { continue }
                        map.set(table, entry, Qcow2Entry())
                        free(old.mapping)
                    }
                }
                try flush()
            } catch {
                failure = failure ?? error
                throw DiskError("\(error)")
            }
        }
    }
}
