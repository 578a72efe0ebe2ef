import EmuDevices

/// One ACPI table before it has a place.
struct ACPITable {
    let signature: String
    let revision: UInt8
    /// What follows the header of 36 bytes.
    var body: LittleEndianBytes
    /// Pointers of 8 bytes to other tables, by their offset in this one, header included.
    var pointers: [(offset: Int, signature: String)] = []

    static let headerSize = 36

    init(_ signature: String, revision: UInt8, _ fill: (inout LittleEndianBytes) -> Void) {
        self.signature = signature
        self.revision = revision
        body = LittleEndianBytes()
        fill(&body)
    }

    /// The table, its checksum still missing.
    var bytes: LittleEndianBytes {
        var table = LittleEndianBytes()
        table.add(signature, width: 4)
        table.add(UInt32(Self.headerSize + body.count))
        table.add(revision)
        table.add(UInt8(0))
        table.add(ACPITables.vendor, width: 6, filler: UInt8(ascii: " "))
        table.add(ACPITables.product, width: 8, filler: UInt8(ascii: " "))
        table.add(UInt32(1))
        table.add("EMUL", width: 4)
        table.add(UInt32(1))
        table.add(body.bytes)
        return table
    }

    static let checksumOffset = 9
}

/// A board's ACPI tables as firmware finds them in fw_cfg: the tables in one file, the root pointer in another, and a script that says where
/// addresses and checksums go once the firmware has chosen the places (EDK2's QemuLoader.h).
struct ACPITables {
    static let vendor = "EMULAT"
    static let product = "VIRT"

    enum File {
        static let rootPointer = "etc/acpi/rsdp", tables = "etc/acpi/tables", script = "etc/table-loader"
    }

    let files: [(name: String, bytes: [UInt8])]

    /// - Parameter tables: the DSDT and everything the root table (XSDT) is to list, without that.
    init(_ tables: [ACPITable]) {
        var tables = tables
        let listed = tables.map(\.signature).filter { $0 != "DSDT" }
        var root = ACPITable("XSDT", revision: 1) { $0.addZeros(8 * listed.count) }
        root.pointers = listed.enumerated().map { (ACPITable.headerSize + 8 * $0, $1) }
        tables.append(root)

        var script = Script()
        script.allocate(File.rootPointer, alignment: 16, inLowMemory: true)
        script.allocate(File.tables, alignment: 64, inLowMemory: false)
        var blob = LittleEndianBytes()
        var places: [String: Int] = [:]
        for table in tables {
            blob.addZeros(-blob.count & 7)
            places[table.signature] = blob.count
            blob.add(table.bytes.bytes)
        }
        for table in tables {
            guard let place = places[table.signature] else { continue }
            for pointer in table.pointers {
                guard let target = places[pointer.signature] else { continue }
                blob.set(place + pointer.offset, UInt64(target))
                script.addPointer(in: File.tables, at: place + pointer.offset, to: File.tables)
            }
        }
        for table in tables {
            guard let place = places[table.signature] else { continue }
            script.addChecksum(File.tables, at: place + ACPITable.checksumOffset, of: place..<place + ACPITable.headerSize + table.body.count)
        }
        let pointer = Self.rootPointer(root: places["XSDT"] ?? 0)
        script.addPointer(in: File.rootPointer, at: 24, to: File.tables)
        script.addChecksum(File.rootPointer, at: 8, of: 0..<20)
        script.addChecksum(File.rootPointer, at: 32, of: 0..<36)
        files = [(File.rootPointer, pointer), (File.tables, blob.bytes), (File.script, script.commands.bytes)]
    }

    /// The root system description pointer, version 2; it has no table of 32-bit addresses.
    private static func rootPointer(root: Int) -> [UInt8] {
        var pointer = LittleEndianBytes()
        pointer.add("RSD PTR ", width: 8)
        pointer.add(UInt8(0))
        pointer.add(vendor, width: 6, filler: UInt8(ascii: " "))
        pointer.add(UInt8(2))
        pointer.add(UInt32(0))
        pointer.add(UInt32(36))
        pointer.add(UInt64(root))
        pointer.addZeros(4)
        return pointer.bytes
    }

    /// What the firmware has to do, in commands of 128 bytes.
    private struct Script {
        private(set) var commands = LittleEndianBytes()

        private static let commandSize = 128, nameSize = 56

        private mutating func command(_ number: UInt32, files: [String], _ fill: (inout LittleEndianBytes) -> Void) {
            let end = commands.count + Self.commandSize
            commands.add(number)
            for file in files { commands.add(file, width: Self.nameSize) }
            fill(&commands)
            commands.addZeros(end - commands.count)
        }

        mutating func allocate(_ file: String, alignment: UInt32, inLowMemory: Bool) {
            command(1, files: [file]) {
                $0.add(alignment)
                $0.add(UInt8(inLowMemory ? 2 : 1))
            }
        }

        /// Adds the address `target` gets to the 8 bytes at `offset`.
        mutating func addPointer(in file: String, at offset: Int, to target: String) {
            command(2, files: [file, target]) {
                $0.add(UInt32(offset))
                $0.add(UInt8(8))
            }
        }

        mutating func addChecksum(_ file: String, at offset: Int, of range: Range<Int>) {
            command(3, files: [file]) {
                $0.add(UInt32(offset))
                $0.add(UInt32(range.lowerBound))
                $0.add(UInt32(range.count))
            }
        }
    }
}
