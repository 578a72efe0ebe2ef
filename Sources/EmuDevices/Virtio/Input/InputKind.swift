/// An event as Linux's input layer has it, which is how virtio has it, too.
struct InputEvent: Codable, Equatable, Sendable {
    /// Types of events.
    static let key: UInt16 = 1, relative: UInt16 = 2, absolute: UInt16 = 3, lamp: UInt16 = 0x11, repetition: UInt16 = 0x14
    /// Ends an update.
    static let end = InputEvent(0, 0, 0)

    let type: UInt16
    let code: UInt16
    let value: Int32

    init(_ type: UInt16, _ code: UInt16, _ value: Int32) {
        self.type = type
        self.code = code
        self.value = value
    }

    /// As virtio sends it (5.8.6).
    var bytes: [UInt8] {
        var writer = ConfigWriter()
        writer.put(type)
        writer.put(code)
        writer.put(value)
        return writer.bytes
    }
}

/// What a `VirtioInput` is: the events it can send, and what it is called.
public enum InputKind: Sendable {
    case keyboard, mouse, tablet

    /// Units of each axis of a tablet, from one edge of the screen to the other.
    public static let tabletRange = 0...0x7fff
    /// Code of a wheel among the relative axes.
    static let wheel: UInt16 = 8
    /// Left, middle, right; the bits of the monitor's `mouse_button`.
    public static let buttons: [UInt16] = [0x110, 0x112, 0x111]

    static let virtualBus: UInt16 = 6, vendor: UInt16 = 0x0627, version: UInt16 = 1

    var product: UInt16 {
        switch self {
        case .keyboard: 1
        case .mouse: 2
        case .tablet: 3
        }
    }

    public var title: String {
        switch self {
        case .keyboard: "Virtio Keyboard"
        case .mouse: "Virtio Mouse"
        case .tablet: "Virtio Tablet"
        }
    }

    func codes(ofType type: UInt16) -> [UInt16] {
        switch (self, type) {
        case (.keyboard, InputEvent.key): Array(InputKeys.codes.values)
        // Num Lock, Caps Lock, Scroll Lock.
        case (.keyboard, InputEvent.lamp): [0, 1, 2]
        // The guest repeats keys that stay down, after a delay and at a rate.
        case (.keyboard, InputEvent.repetition): [0, 1]
        case (.mouse, InputEvent.key), (.tablet, InputEvent.key): Self.buttons
        case (.mouse, InputEvent.relative): [0, 1, Self.wheel]
        case (.tablet, InputEvent.relative): [Self.wheel]
        case (.tablet, InputEvent.absolute): [0, 1]
        default: []
        }
    }
}
