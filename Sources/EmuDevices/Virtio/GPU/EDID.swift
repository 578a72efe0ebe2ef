/// What a screen says of itself (VESA Enhanced EDID 1.4): one block of 128 bytes.
enum EDID {
    /// Pixels and lines around the picture, as with reduced blanking.
    private enum Blanking {
        static let horizontal = 160, horizontalFront = 48, horizontalSync = 32
        static let vertical = 31, verticalFront = 3, verticalSync = 6
    }

    private static let refreshRate = 60
    /// Dots per inch the size in millimetres is computed with.
    private static let density = 100

    /// - Parameters: of the picture, pixels, at most 4095 each.
    static func block(width: Int, height: Int) -> [UInt8] {
        var block: [UInt8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]
        // Manufacturer EMU, five bits a letter; product, serial number, week, year since 1990, version 1.4.
        let letters = "EMU".utf8.reduce(0) { $0 << 5 | (Int($1) - 64) }
        block += big(letters) + [1, 0, 1, 0, 0, 0, 0, 36, 1, 4]
        let millimetres = (width * 254 / (10 * density), height * 254 / (10 * density))
        // Digital with 8 bits a colour; size in centimetres; gamma 2.2; RGB, sRGB is the default space, the first timing is the preferred one.
        block += [0xa5, UInt8(clamping: millimetres.0 / 10), UInt8(clamping: millimetres.1 / 10), 120, 0x06]
        // Chromaticity of sRGB.
        block += [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54]
        // No established timings; unused standard timings.
        block += [0, 0, 0] + [UInt8](repeating: 1, count: 16)
        block += timing(width, height, millimetres)
        block += text(0xfc, "emulate") + limits(width, height) + text(0xff, "1")
        block.append(0)
        return block + [UInt8(truncatingIfNeeded: -block.reduce(0) { $0 + Int($1) })]
    }

    private static func big(_ value: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }

    /// Pixels in ten thousands a second, which has 16 bits: a large screen has a lower rate.
    private static func clock(_ width: Int, _ height: Int) -> Int {
        min((width + Blanking.horizontal) * (height + Blanking.vertical) * refreshRate / 10_000, 0xffff)
    }

    private static func timing(_ width: Int, _ height: Int, _ millimetres: (Int, Int)) -> [UInt8] {
        let clock = clock(width, height)
        func low(_ value: Int) -> UInt8 { UInt8(truncatingIfNeeded: value) }
        /// The upper bits of two numbers share a byte.
        func high(_ first: Int, _ second: Int) -> UInt8 { low((first >> 8) << 4 | second >> 8) }
        return [
            low(clock), low(clock >> 8), low(width), low(Blanking.horizontal), high(width, Blanking.horizontal),
            low(height), low(Blanking.vertical), high(height, Blanking.vertical), low(Blanking.horizontalFront),
            low(Blanking.horizontalSync), low(Blanking.verticalFront << 4 | Blanking.verticalSync), 0,
            low(millimetres.0), low(millimetres.1), high(millimetres.0, millimetres.1), 0, 0,
            // Digital separate synchronisation, horizontal positive.
            0x1a,
        ]
    }

    /// A descriptor with text of at most 13 characters.
    private static func text(_ tag: UInt8, _ text: String) -> [UInt8] {
        [0, 0, 0, tag, 0] + (Array(text.utf8) + [10]).fitted(to: 13, filler: 0x20)
    }

    /// Rates the screen takes: any up to what its own picture needs.
    private static func limits(_ width: Int, _ height: Int) -> [UInt8] {
        let lines = clock(width, height) * 10 / (width + Blanking.horizontal)
        return [0, 0, 0, 0xfd, 0, 1, 75, 1, UInt8(clamping: lines + 1), UInt8(clamping: clock(width, height) / 1000 + 1), 1] + [10].fitted(to: 7, filler: 0x20)
    }
}
