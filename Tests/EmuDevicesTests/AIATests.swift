import EmuBus
import EmuDevices
import Testing
import TestSupport

/// Rules of the RISC-V Advanced Interrupt Architecture, "Incoming MSI Controller (IMSIC)".
@Suite struct IMSICTests {
    let harts = InterruptRecorder()
    let imsic: IMSIC
    var file: IMSIC.File { imsic.file(hart: 1) }

    init() { imsic = IMSIC(name: "imsic-s", guests: 2, lines: [InterruptLine(harts, 0), InterruptLine(harts, 1)]) }

    private func open(_ identities: UInt64...) {
        file.write(0x70, 1)
        for identity in identities { file.write(0xC0 + identity / 64 * 2, file.read(0xC0 + identity / 64 * 2) | 1 << (identity % 64)) }
    }

    /// A message to the second hart, or one of its guests.
    private func send(_ identity: UInt64, guest: UInt64 = 0) { imsic.write(0x4000 + 0x1000 * guest, identity, size: 4) }

    @Test func aMessageIsPendingUntilItIsClaimed() {
        open(5)
        send(5)
        #expect(harts[1] && !harts[0])
        #expect(file.top == 5 && file.read(0x80) == 1 << 5)
        file.claim()
        #expect(!harts[1] && file.top == 0 && file.read(0x80) == 0)
    }

    @Test func theLowestEnabledIdentityComesFirst() {
        open(7, 200)
        for identity: UInt64 in [200, 3, 7] { send(identity) }
        #expect(file.top == 7)
        file.claim()
        #expect(file.top == 200)
        file.claim()
        #expect(file.top == 0 && file.read(0x80) == 1 << 3)
    }

    @Test func theThresholdHidesItselfAndAbove() {
        open(7, 8)
        send(7)
        send(8)
        file.write(0x72, 7)
        #expect(file.top == 0 && !harts[1])
        file.write(0x72, 8)
        #expect(file.top == 7 && harts[1])
        file.write(0x72, 0)
        #expect(file.top == 7)
    }

    @Test func deliveryOffHoldsTheLineDownAndNothingElse() {
        open(9)
        file.write(0x70, 0)
        send(9)
        #expect(!harts[1] && file.top == 9)
        file.write(0x70, 0x4000_0000)
        #expect(file.read(0x70) == 0)
        file.write(0x70, 1)
        #expect(harts[1])
    }

    @Test func identitiesThatDoNotExistAreIgnored() {
        for identity: UInt64 in [0, 256, 0xffff_ffff] { send(identity) }
        for word: UInt64 in stride(from: 0x80, through: 0xBE, by: 2) { #expect(file.read(word) == 0) }
        file.write(0x80, ~0)
        file.write(0x88, ~0)
        #expect(file.read(0x80) == ~1 && file.read(0x88) == 0)
    }

    @Test func guestsHaveFilesOfTheirOwnAndUnusedPagesNone() {
        open(5)
        send(5, guest: 1)
        send(5, guest: 3)
        imsic.write(0x4004, 5, size: 4)
        #expect(file.top == 0 && !harts[1])
        #expect(imsic.stride == 0x4000 && imsic.size == 0x8000)
    }

    @Test func aRestoredStateIsMadeLegal() {
        open(5)
        send(5)
        let saved = imsic.state
        imsic.reset()
        #expect(!harts[1])
        imsic.state = saved
        #expect(harts[1] && imsic.state == saved)
        var wrong = saved
        (wrong[0].delivery, wrong[0].threshold, wrong[0].pending, wrong[0].enabled) = (77, 4096, [~0], [])
        imsic.state = wrong
        #expect(imsic.file(hart: 0).read(0x80) == ~1 && imsic.file(hart: 0).read(0x70) == 1)
    }
}

/// Rules of "Advanced Platform-Level Interrupt Controller (APLIC)".
@Suite struct APLICTests {
    let machine = InterruptRecorder()
    let supervisor = InterruptRecorder()
    let child: APLIC
    let root: APLIC

    init() {
        child = APLIC(name: "aplic-s", sources: 96, harts: 2, lines: [InterruptLine(supervisor, 0), InterruptLine(supervisor, 1)])
        root = APLIC(name: "aplic-m", sources: 96, harts: 2, lines: [InterruptLine(machine, 0), InterruptLine(machine, 1)], child: child)
    }

    private func write(_ domain: APLIC, _ offset: UInt64, _ value: UInt64) { domain.write(offset, value, size: 4) }
    private func read(_ domain: APLIC, _ offset: UInt64) -> UInt64 { domain.read(offset, size: 4) }
    private func configure(_ domain: APLIC, _ source: UInt64, _ mode: UInt64, target: UInt64 = 1) {
        write(domain, 4 * source, mode)
        write(domain, 0x3000 + 4 * source, target)
        write(domain, 0x1EDC, source)
    }
    private func start(_ domain: APLIC, hart: UInt64 = 0) {
        write(domain, 0, 0x100)
        write(domain, 0x4000 + 32 * hart, 1)
    }
    private func claim(_ domain: APLIC, hart: UInt64 = 0) -> UInt64 { read(domain, 0x401C + 32 * hart) }

    @Test func aLevelIsPendingWhileItIsHighAndNoClaimClearsIt() {
        start(root)
        configure(root, 10, 6)
        root.setInterrupt(10, level: true)
        #expect(machine[0] && read(root, 0x1C00) == 1 << 10)
        #expect(claim(root) == 10 << 16 | 1)
        #expect(machine[0])
        write(root, 0x1DDC, 10)
        #expect(machine[0])
        root.setInterrupt(10, level: false)
        #expect(!machine[0] && claim(root) == 0)
        write(root, 0x1CDC, 10)
        #expect(!machine[0])
    }

    @Test func anEdgeIsPendingUntilItIsClaimed() {
        start(root)
        configure(root, 11, 4)
        configure(root, 12, 5)
        root.setInterrupt(11, level: true)
        root.setInterrupt(11, level: false)
        #expect(machine[0] && claim(root) == 11 << 16 | 1)
        #expect(!machine[0])
        // A falling edge.
        root.setInterrupt(12, level: true)
        #expect(!machine[0])
        root.setInterrupt(12, level: false)
        #expect(claim(root) == 12 << 16 | 1)
        write(root, 0x1CDC, 11)
        #expect(claim(root) == 11 << 16 | 1)
    }

    @Test func smallerPrioritiesThenSmallerNumbersComeFirstAndTheThresholdHides() {
        start(root, hart: 1)
        for (source, priority): (UInt64, UInt64) in [(3, 9), (5, 4), (40, 4), (96, 1)] {
            configure(root, source, 1, target: 1 << 18 | priority)
            write(root, 0x1CDC, source)
        }
        #expect(read(root, 0x4038) == 96 << 16 | 1)
        write(root, 0x4028, 4)
        #expect([claim(root, hart: 1), claim(root, hart: 1)] == [96 << 16 | 1, 0])
        #expect(!machine[1])
        write(root, 0x4028, 0)
        #expect([claim(root, hart: 1), claim(root, hart: 1), claim(root, hart: 1)] == [5 << 16 | 4, 40 << 16 | 4, 3 << 16 | 9])
        // Priority 0 does not exist.
        write(root, 0x300C, 0)
        #expect(read(root, 0x300C) == 1)
    }

    @Test func forcedInterruptsAreSpurious() {
        start(root)
        write(root, 0x4004, 1)
        #expect(machine[0] && claim(root) == 0)
        #expect(!machine[0] && read(root, 0x4004) == 0)
    }

    @Test func aDelegatedSourceIsTheChildsAlone() {
        start(child)
        write(child, 0x28, 6)
        #expect(read(child, 0x28) == 0)
        write(root, 0x28, 0x400)
        configure(child, 10, 6)
        root.setInterrupt(10, level: true)
        #expect(supervisor[0] && !machine[0] && read(root, 0x1C00) == 0)
        // The child has none to delegate to.
        write(child, 0x28, 0x400)
        #expect(read(child, 0x28) == 0 && !supervisor[0])
        configure(child, 10, 6)
        #expect(supervisor[0])
        write(root, 0x28, 6)
        #expect(read(child, 0x28) == 0 && !supervisor[0])
    }

    @Test func inactiveSourcesHaveNothing() {
        write(root, 0x1EDC, 10)
        write(root, 0x1CDC, 10)
        write(root, 0x3028, 5)
        #expect(read(root, 0x1E00) == 0 && read(root, 0x1C00) == 0 && read(root, 0x3028) == 0)
        configure(root, 10, 3)
        #expect(read(root, 0x28) == 0)
        for number: UInt64 in [0, 97, 1023, 0xffff_ffff] { for register: UInt64 in [0x1CDC, 0x1DDC, 0x1EDC, 0x1FDC, 0x2000] { write(root, register, number) } }
        for offset in stride(from: UInt64(0), to: APLIC.size, by: 4) {
            write(root, offset, 0xffff_ffff)
            _ = read(root, offset)
        }
        #expect(read(root, 0) == 0x8000_0100)
    }

    @Test func messagesGoWhereTheAddressRegistersSay() {
        final class Post { var sent: [[UInt64]] = [] }
        let post = Post()
        let child = APLIC(name: "s", sources: 96, harts: 8, lines: []) { post.sent.append([$0, UInt64($1)]) }
        let root = APLIC(name: "m", sources: 96, harts: 8, lines: [], child: child) { post.sent.append([$0, UInt64($1)]) }
        write(root, 0x1BC0, 0x24000)
        write(root, 0x1BC8, 0x28000)
        // Two harts to a group, groups 16 MiB apart; four pages to a hart of the supervisor's.
        write(root, 0x1BCC, 2 << 20)
        write(root, 0x1BC4, 1 << 31 | 1 << 12 | 2 << 16)
        write(root, 0x1BC0, 0)
        #expect(read(root, 0x1BC0) == 0x24000)
        write(root, 0x28, 0x400)
        for domain in [root, child] { write(domain, 0, 0x104) }
        configure(root, 11, 4, target: 5 << 18 | 77)
        configure(child, 10, 6, target: 3 << 18 | 1 << 12 | 33)
        root.setInterrupt(11, level: true)
        root.setInterrupt(10, level: true)
        #expect(post.sent == [[0x2600_1000, 77], [0x2900_5000, 33]])
        #expect(read(child, 0x1C00) == 0)
        // A level that stays is sent again when software asks for it, not once it is gone.
        write(child, 0x2000, 10)
        #expect(post.sent.count == 3)
        root.setInterrupt(10, level: false)
        write(child, 0x2000, 10)
        #expect(post.sent.count == 3)
        write(child, 0x3000, 1 << 18 | 9)
        #expect(post.sent.last == [0x2800_4000, 9])
    }

    @Test func aRestoredStateDrivesTheLinesAgain() {
        start(root)
        configure(root, 10, 6)
        root.setInterrupt(10, level: true)
        let saved = root.state
        root.reset()
        #expect(!machine[0])
        root.state = saved
        #expect(machine[0] && root.state == saved)
        var wrong = saved
        (wrong.source, wrong.target, wrong.pending, wrong.enabled) = ([], [.max], [.max], [.max])
        (wrong.level, wrong.delivery, wrong.force, wrong.threshold, wrong.addresses) = ([], [1], [], [], [])
        root.state = wrong
        #expect(claim(root) != 10 << 16 | 1)
    }
}
