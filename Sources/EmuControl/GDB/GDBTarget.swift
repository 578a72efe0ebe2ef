/// A register under the number and name GDB knows it by.
struct GDBRegister: Sendable {
    /// GDB's own number, which is the one on the wire.
    var number: Int
    var bits = 64
    /// A type of the target description.
    var type: String
    var register: RegisterDescription
}

/// A group of registers that GDB looks for by the group's name.
struct GDBFeature: Sendable {
    var name: String
    /// Elements that define types, in XML.
    var types = ""
    var registers: [GDBRegister]
}

/// A processor as GDB knows it.
struct GDBTarget: Sendable {
    /// Name of the architecture, as `set architecture` takes it.
    var architecture: String
    var features: [GDBFeature]
    /// How many registers, counted from number 0, make up the `g` packet.
    var generalCount: Int
    /// Numbers of the registers that GDB looks at after every stop.
    var expedited: [Int]

    /// The document `target.xml`.
    var description: String {
        var text = """
            <?xml version="1.0"?>
            <!DOCTYPE target SYSTEM "gdb-target.dtd">
            <target version="1.0">
            <architecture>\(architecture)</architecture>

            """
        for feature in features {
            text += "<feature name=\"\(feature.name)\">\n" + feature.types
            for each in feature.registers {
                text += "<reg name=\"\(each.register.name)\" bitsize=\"\(each.bits)\" type=\"\(each.type)\" regnum=\"\(each.number)\"/>\n"
            }
            text += "</feature>\n"
        }
        return text + "</target>\n"
    }
}

/// A hart that GDB can be told about.
protocol GDBHart: DebugHart {
    var gdbTarget: GDBTarget { get }
}
