import Glibc

/// Names as the source has them, for the names compilers make of them: C++ (Itanium ABI), Swift, and Rust's older scheme.
///
/// The host's own libraries know the rules: `__cxa_demangle` of the C++ runtime, which Swift's runtime brings along, and
/// `swift_demangle` of that. Where one is missing the name is shown as it is.
public enum Demangler {
    /// How names begin that may be demangled.
    static let prefixes = ["_Z", "__Z", "$s", "_$s", "$S", "_$S", "$e", "_T0"]
    /// Longer names are damaged or hostile: demanglers recurse.
    private static let limit = 8 << 10

    private typealias CPlusPlus = @convention(c) (
        UnsafePointer<CChar>, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int32>?
    ) -> UnsafeMutablePointer<CChar>?
    private typealias SwiftRuntime = @convention(c) (
        UnsafePointer<CChar>, Int, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>?, UInt32
    ) -> UnsafeMutablePointer<CChar>?

    // SAFETY (of the two casts): these are the functions' documented C signatures.
    private static let cPlusPlus = function("__cxa_demangle").map { unsafeBitCast($0, to: CPlusPlus.self) }
    private static let swift = function("swift_demangle").map { unsafeBitCast($0, to: SwiftRuntime.self) }

    private static func function(_ name: String) -> UnsafeMutableRawPointer? {
        // The program itself and what it is linked with, then the C++ library by its name.
        if let found = dlsym(dlopen(nil, RTLD_NOW), name) { return found }
        return dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL).flatMap { dlsym($0, name) }
    }

    /// `name` demangled, or as it is when it is not mangled or cannot be demangled.
    public static func demangle(_ name: String) -> String {
        guard name.utf8.first.map({ $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "$") }) == true, name.utf8.count <= limit,
            prefixes.contains(where: name.hasPrefix)
        else { return name }
        if name.hasPrefix("_Z") || name.hasPrefix("__Z") {
            // A compiler may have split the function: NAME.cold, NAME.part.0.
            let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
            let shown = parts.first.flatMap { cPlusPlus?(String($0), nil, nil, nil) }.flatMap(take)
            guard let shown else { return name }
            return rustLegacy(shown) + (parts.count > 1 ? " [.\(parts[1])]" : "")
        }
        return swift?(name, name.utf8.count, nil, nil, 0).flatMap(take) ?? name
    }

    /// The text at `pointer`, which is freed: both demanglers return memory of malloc(3).
    private static func take(_ pointer: UnsafeMutablePointer<CChar>) -> String {
        defer { free(pointer) }
        return String(cString: pointer)
    }

    /// Rust's older scheme is C++'s with a hash as the last part and `$…$` for other characters.
    private static func rustLegacy(_ name: String) -> String {
        guard let hash = name.range(of: "::h", from: name), name[hash...].utf8.count == 19,
            name[hash...].dropFirst(3).allSatisfy(\.isHexDigit)
        else { return name }
        var result = String(name[..<hash])
        for (code, text) in [
            ("$LT$", "<"), ("$GT$", ">"), ("$RF$", "&"), ("$BP$", "*"), ("$LP$", "("), ("$RP$", ")"), ("$C$", ","), ("$u20$", " "),
            ("$u7b$", "{"), ("$u7d$", "}"), ("$u5b$", "["), ("$u5d$", "]"), ("$u27$", "'"), ("..", "::"),
        ] { result = result.split(separator: code, omittingEmptySubsequences: false).joined(separator: text) }
        return result
    }
}

extension String {
    /// Start of the last occurrence of `text` in `whole`.
    fileprivate func range(of text: String, from whole: String) -> Index? {
        var position = whole.endIndex
        while position > whole.startIndex {
            position = whole.index(before: position)
            if whole[position...].hasPrefix(text) { return position }
        }
        return nil
    }
}
