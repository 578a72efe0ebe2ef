/// Keys by the names QEMU's `sendkey` has for them.
public enum InputKeys {
    /// Linux's key code of each.
    public static let codes: [String: UInt16] = {
        var codes: [String: UInt16] = [
            "esc": 1, "minus": 12, "equal": 13, "backspace": 14, "tab": 15, "bracket_left": 26, "bracket_right": 27, "ret": 28, "ctrl": 29,
            "semicolon": 39, "apostrophe": 40, "grave_accent": 41, "shift": 42, "backslash": 43, "comma": 51, "dot": 52, "slash": 53,
            "shift_r": 54, "asterisk": 55, "kp_multiply": 55, "alt": 56, "spc": 57, "caps_lock": 58, "num_lock": 69, "scroll_lock": 70,
            "kp_subtract": 74, "kp_add": 78, "kp_decimal": 83, "less": 86, "<": 86, "f11": 87, "f12": 88, "kp_enter": 96, "ctrl_r": 97,
            "kp_divide": 98, "print": 99, "sysrq": 99, "alt_r": 100, "home": 102, "up": 103, "pgup": 104, "left": 105, "right": 106,
            "end": 107, "down": 108, "pgdn": 109, "insert": 110, "delete": 111, "audiomute": 113, "volumedown": 114, "volumeup": 115,
            "power": 116, "kp_equals": 117, "pause": 119, "kp_comma": 121, "meta_l": 125, "meta_r": 126, "compose": 127, "menu": 127,
            "help": 138, "sleep": 142, "wake": 143, "0": 11, "kp_0": 82,
        ]
        for (first, keys) in [(16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm"), (2, "123456789")] {
            for (index, key) in keys.enumerated() { codes[String(key)] = UInt16(first + index) }
        }
        for (first, digits) in [(71, 7...9), (75, 4...6), (79, 1...3)] {
            for digit in digits { codes["kp_\(digit)"] = UInt16(first + digit - digits.lowerBound) }
        }
        for number in 1...10 { codes["f\(number)"] = UInt16(58 + number) }
        for number in 13...24 { codes["f\(number)"] = UInt16(170 + number) }
        return codes
    }()

    /// Most keys of one combination, as in QEMU.
    private static let limit = 16

    /// The keys of `ctrl-alt-delete`; nil with the part that is no key's name.
    public static func parse(_ combination: some StringProtocol) -> Result<[UInt16], UnknownKey> {
        let names = combination.split(omittingEmptySubsequences: false) { $0 == "-" }.map { String($0) }
        guard names.count <= limit else { return .failure(UnknownKey(name: String(combination))) }
        var keys: [UInt16] = []
        for name in names {
            guard let code = codes[name] else { return .failure(UnknownKey(name: name)) }
            keys.append(code)
        }
        return .success(keys)
    }

    public struct UnknownKey: Error, Equatable {
        public let name: String
        public init(name: String) { self.name = name }
    }
}
