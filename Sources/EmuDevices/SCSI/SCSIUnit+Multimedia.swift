/// What only drives for discs do (MMC-6, 6): a disc with one data track in one closed session.
extension SCSIUnit {
    private static let leadOut: UInt8 = 0xaa
    /// Data, recorded without interruption; a track of the current session.
    private static let dataTrack: UInt8 = 0x14
    /// Blocks of the longest CD; what is longer is a DVD.
    private static let compactDiscLimit: UInt64 = 80 * 60 * 75

    private enum Profile {
        static let compactDisc: UInt16 = 0x08, dvd: UInt16 = 0x10
    }

    private var profile: UInt16 { !state.isLoaded ? 0 : blocks > Self.compactDiscLimit ? Profile.dvd : Profile.compactDisc }

    /// False for commands there are not.
    func startMultimedia(_ task: SCSITask) throws(SCSISense) -> Bool {
        let command = task.command
        switch command.operation {
        case 0x43: task.answer(try tableOfContents(command), limit: command.number(7, 2))
        case 0x46: task.answer(configuration(command), limit: command.number(7, 2))
        case 0x4a: task.answer(try eventStatus(command), limit: command.number(7, 2))
        case 0x51:
            guard command[1] & 7 == 0 else { throw .invalidField }
            // Complete, not erasable; one session with one track.
            task.answer([0, 32, 0x0e, 1, 1, 1, 1, 0x20] + [UInt8](repeating: 0, count: 26), limit: command.number(7, 2))
        case 0xbd: task.answer([0, 0, 0, 0, 0, 0, 0, 0], limit: command.number(8, 2))
        default: return false
        }
        return true
    }

    /// An address as a block or, if the command wants that, as minute, second and frame.
    private func address(_ block: UInt64, _ command: SCSICommand) -> [UInt8] {
        guard command[1] & 2 != 0 else { return bigEndian(min(block, 0xffff_ffff), 4) }
        let frames = block + 150
        return [0, UInt8(clamping: frames / 75 / 60), UInt8(frames / 75 % 60), UInt8(frames % 75)]
    }

    private func tableOfContents(_ command: SCSICommand) throws(SCSISense) -> [UInt8] {
        let first = command[6]
        // Old drivers ask for the format where the control byte is.
        switch command[2] & 0xf != 0 ? command[2] & 0xf : command[9] >> 6 {
        case 0:
            guard first <= 1 || first == Self.leadOut else { throw .invalidField }
            let track = first <= 1 ? [0, Self.dataTrack, 1, 0] + address(0, command) : []
            let entries = track + [0, Self.dataTrack, Self.leadOut, 0] + address(blocks, command)
            return bigEndian(UInt64(entries.count + 2), 2) + [1, 1] + entries
        case 1: return [0, 10, 1, 1, 0, Self.dataTrack, 1, 0] + address(0, command)
        default: throw .invalidField
        }
    }

    private func configuration(_ command: SCSICommand) -> [UInt8] {
        func feature(_ number: UInt16, version: UInt8, _ data: [UInt8]) -> (number: UInt16, bytes: [UInt8]) {
            // Persistent and current.
            (number, bigEndian(UInt64(number), 2) + [version << 2 | 3, UInt8(data.count)] + data)
        }
        let current = profile
        let profiles = [Profile.dvd, Profile.compactDisc].flatMap { (number: UInt16) -> [UInt8] in bigEndian(UInt64(number), 2) + [number == current ? 1 : 0, 0] }
        let features = [
            feature(0, version: 0, profiles),
            // SCSI family, and the removable medium's events.
            feature(1, version: 2, [0, 0, 0, 1, 1, 0, 0, 0]),
            // A tray that can be locked and opened.
            feature(3, version: 0, [0x29, 0, 0, 0]),
            feature(0x10, version: 0, bigEndian(blockSize, 4) + [0, 1, 0, 0]),
        ]
        let start = UInt16(truncatingIfNeeded: command.number(2, 2))
        let wanted = features.filter { command[1] & 3 == 2 ? $0.number == start : $0.number >= start }.flatMap(\.bytes)
        return bigEndian(UInt64(wanted.count + 4), 4) + [0, 0] + bigEndian(UInt64(profile), 2) + wanted
    }

    private func eventStatus(_ command: SCSICommand) throws(SCSISense) -> [UInt8] {
        // Only on request, and only what becomes of the medium.
        guard command[1] & 1 != 0 else { throw .invalidField }
        let media: UInt8 = 4
        guard command[4] & 1 << media != 0 else { return [0, 2, 0x80, 1 << media] }
        let isNew = state.attention == .mediumChanged
        return [0, 6, media, 1 << media, isNew ? 2 : 0, state.isLoaded ? 2 : 1, 0, 0]
    }
}
