import EmuBus
import EmuDevices
import EmuMachine

/// What a property accepts.
package enum PropertyKind: Sendable {
    case text
    case bool
    /// Unsigned, decimal or 0x….
    case number(ClosedRange<UInt64>)
    /// Bytes; `unit` bytes when no unit is written.
    case size(unit: UInt64)
    case choice([String])
    case ipv4
    case mac
    /// Device and function on a PCI bus.
    case pciAddress

    /// For help: `on|off`.
    package var placeholder: String {
        switch self {
        case .text: "TEXT"
        case .bool: "on|off"
        case .number(let range): "\(range.lowerBound)..\(range.upperBound)"
        case .size: "SIZE"
        case .choice(let choices): choices.joined(separator: "|")
        case .ipv4: "ADDRESS"
        case .mac: "MAC"
        case .pciAddress: "DD[.F]"
        }
    }

    /// What is wrong with `value`, nil when nothing is.
    func problem(with value: String) -> String? {
        switch self {
        case .text: nil
        case .bool: Values.bool(value) == nil ? "is not on or off" : nil
        case .number(let range):
            Values.number(value).map(range.contains) ?? false
                ? nil : "is not a number from \(range.lowerBound) to \(range.upperBound)"
        case .size: Values.size(value) == nil ? "is not a size such as 512M or 2G" : nil
        case .choice(let choices):
            choices.contains(value)
                ? nil : "is not one of " + choices.joined(separator: ", ") + didYouMean(value, among: choices)
        case .ipv4: Values.isIPv4Address(value) ? nil : "is not an IPv4 address such as 10.0.2.15"
        case .pciAddress: PCISlot(value) == nil ? "is not a device number from 0 to 1f and maybe a function, such as 4 or 1f.7" : nil
        case .mac: Values.isUnicastMAC(value) ? nil : "is not a unicast Ethernet address such as 52:54:00:12:34:56"
        }
    }
}

/// One property of an option or a device.
package struct Property: Sendable {
    package let name: String
    package let kind: PropertyKind
    package let help: String

    init(_ name: String, _ kind: PropertyKind = .text, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
    }

    package var usage: String { "\(name)=\(kind.placeholder)" }
}

/// A value of the form `word,name=value,name=value`, in QEMU's grammar: a doubled comma stands for a comma, a boolean
/// property may stand alone (`readonly` for `readonly=on`, `noreadonly` for off).
package struct PropertyList: Sendable {
    package private(set) var items: [(name: String, value: String)] = []

    /// The last value given for `name`.
    package subscript(_ name: String) -> String? { items.last { $0.name == name }?.value }

    package func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    package func bool(_ name: String) -> Bool? { self[name].flatMap { Values.bool($0) } }

    package func number(_ name: String) -> UInt64? { self[name].flatMap { Values.number($0) } }

    /// Splits at single commas and turns doubled ones into one.
    package static func split(_ text: String) -> [String] {
        var elements = [""]
        var index = text.startIndex
        while index < text.endIndex {
            let character = text[index]
            index = text.index(after: index)
            if character != "," {
                elements[elements.count - 1].append(character)
            } else if index < text.endIndex, text[index] == "," {
                elements[elements.count - 1].append(",")
                index = text.index(after: index)
            } else {
                elements.append("")
            }
        }
        return elements
    }

    /// Reads and checks a list.
    /// - Parameters:
    ///   - implied: the property that the first element gives when it has no `=`.
    ///   - what: what has these properties, for messages: "-drive", "virtio-blk-device".
    package init(_ use: OptionUse, _ properties: [Property], implied: String? = nil, of what: String? = nil) throws(CommandEnd) {
        try self.init(elements: Self.split(use.value), use, properties, implied: implied, of: what)
    }

    init(
        elements: [String], _ use: OptionUse, _ properties: [Property], implied: String? = nil, of what: String? = nil
    ) throws(CommandEnd) {
        for (position, element) in elements.enumerated() {
            guard !element.isEmpty else {
                throw use.failed(elements.count == 1 ? "needs a value" : "there is an empty property (a comma too many)")
            }
            var name = element
            var value = ""
            if let equals = element.firstIndex(of: "=") {
                name = String(element[..<equals])
                value = String(element[element.index(after: equals)...])
            } else if position == 0, let implied {
                name = implied
                value = element
            } else if properties.contains(where: { $0.name == element }) {
                value = "on"
            } else if element.hasPrefix("no"), properties.contains(where: { $0.name == element.dropFirst(2) }) {
                name = String(element.dropFirst(2))
                value = "off"
            }
            guard let property = properties.first(where: { $0.name == name }) else {
                let names = properties.map(\.name)
                let owner = what.map { " of \($0)" } ?? ""
                throw use.failed(
                    "unknown property '\(name)'\(owner)" + didYouMean(name, among: names) + "; known are "
                        + names.joined(separator: ", "))
            }
            if !element.contains("="), name != implied, case .bool = property.kind {
            } else if !element.contains("="), name != implied {
                throw use.failed("property '\(name)' needs a value: \(property.usage)")
            }
            if let problem = property.kind.problem(with: value) {
                throw use.failed("\(name)=\(value): '\(value)' \(problem)")
            }
            items.append((name, value))
        }
    }
}
