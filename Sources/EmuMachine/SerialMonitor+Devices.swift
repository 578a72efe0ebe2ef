import EmuDevices
import Foundation

/// Commands for devices of the machine, in QEMU's words.
extension Monitor {
    static let deviceCommands: [Command] = [
        Command(names: ["balloon"], arguments: "MEGABYTES", help: "ask the guest to make do with so much memory") { $0.setBalloon($1) },
        Command(names: ["sendkey"], arguments: "KEY[-KEY…] [MILLISECONDS]", help: "press keys together and release them (after 100)") { $0.sendKeys($1) },
        Command(names: ["mouse_move"], arguments: "DX DY [WHEEL]", help: "move the pointer: a mouse's steps, or a tablet's 32768ths of the screen") {
            $0.movePointer($1)
        },
        Command(names: ["mouse_button"], arguments: "BUTTONS", help: "hold down buttons of the pointer: 1 left, 2 middle, 4 right, added up; 0 none") {
            $0.pressButtons($1)
        },
        Command(names: ["screendump", "screenshot"], arguments: "FILE [-f ppm|png]", help: "write what is on the screen to a file; NAME.png is PNG, others PPM") {
            $0.saveScreen($1)
        },
    ]

    static let deviceSubjects: [Subject] = [
        Subject(name: "balloon", help: "the memory the guest has, and what it says of it") { monitor, _ in monitor.balloonText },
        Subject(name: "mice", help: "mice and tablets, and which of them moves") { monitor, _ in monitor.pointerText },
    ]

    private static let noBalloon = "there is no balloon; '-device virtio-balloon-pci' adds one"
    private static let noPointer = "there is no pointer; '-device virtio-tablet-pci' or '-device virtio-mouse-pci' adds one"

    private func complain(_ text: String) { print(text + "\n") }

    // MARK: Balloon

    private func setBalloon(_ words: [Substring]) {
        guard let balloon = target?.peripherals.balloon else { return complain(Self.noBalloon) }
        guard words.count == 1, let megabytes = UInt64(words[0]), megabytes > 0, megabytes <= .max >> 20 else {
            return complain("balloon: write a number of megabytes, at least 1")
        }
        balloon.setTarget(megabytes << 20)
    }

    private var balloonText: String {
        guard let balloon = target?.peripherals.balloon else { return Self.noBalloon }
        // For the next time: the guest takes a while to answer.
        defer { balloon.requestStatistics() }
        return (["balloon: actual=\(balloon.actualMemory >> 20)"] + balloon.statistics.map { "\($0.name)=\($0.value)" }).joined(separator: "\n")
    }

    // MARK: Input

    /// Longest time `sendkey` holds keys, milliseconds.
    private static let longestPress: UInt64 = 60_000

    private func sendKeys(_ words: [Substring]) {
        guard let keyboard = target?.peripherals.keyboards.last else { return complain("there is no keyboard; '-device virtio-keyboard-pci' adds one") }
        guard (1...2).contains(words.count), let time = words.count == 2 ? UInt64(words[1]) : 100, time <= Self.longestPress else {
            return complain("sendkey: write keys joined by '-', such as ctrl-alt-f2, and maybe milliseconds up to \(Self.longestPress)")
        }
        switch InputKeys.parse(words[0]) {
        case .success(let keys): keyboard.type(keys, for: time * 1_000_000)
        case .failure(let unknown): complain("sendkey: unknown key: '\(unknown.name)'")
        }
    }

    private func movePointer(_ words: [Substring]) {
        guard let pointer = target?.peripherals.pointers.last else { return complain(Self.noPointer) }
        let numbers = words.compactMap { Int($0) }
        guard (2...3).contains(words.count), numbers.count == words.count else { return complain("mouse_move: write two or three numbers") }
        pointer.move(x: numbers[0], y: numbers[1], wheel: numbers.count == 3 ? numbers[2] : 0)
    }

    private func pressButtons(_ words: [Substring]) {
        guard let pointer = target?.peripherals.pointers.last else { return complain(Self.noPointer) }
        guard words.count == 1, let buttons = Int(words[0]), 0..<1 << InputKind.buttons.count ~= buttons else {
            return complain("mouse_button: write a number from 0 to \(1 << InputKind.buttons.count - 1)")
        }
        pointer.press(buttons: buttons)
    }

    private var pointerText: String {
        guard let pointers = target?.peripherals.pointers, !pointers.isEmpty else { return Self.noPointer }
        return pointers.enumerated().map { index, pointer in
            "\(index == pointers.count - 1 ? "*" : " ") Mouse #\(index): \(pointer.kind.title)\(pointer.kind == .tablet ? " (absolute)" : "")"
        }.joined(separator: "\n")
    }

    // MARK: Screen

    private func saveScreen(_ words: [Substring]) {
        guard let screen = target?.peripherals.screens.first else { return complain("there is no screen; '-device virtio-gpu-pci' adds one") }
        let format = words.count == 3 ? words[2] : words.first?.lowercased().hasSuffix(".png") ?? false ? "png" : "ppm"
        guard words.count == 1 || words.count == 3 && words[1] == "-f", let file = words.first, ["ppm", "png"].contains(format) else {
            return complain("screendump: write the name of a file, and maybe -f ppm or -f png")
        }
        guard let picture = screen.picture else { return complain("the screen is off: no driver in the guest has set it up") }
        do {
            try Data(format == "png" ? picture.png : picture.ppm).write(to: URL(filePath: String(file)))
        } catch {
            complain("screendump \(file): the file cannot be written: \(error.localizedDescription)")
        }
    }
}
