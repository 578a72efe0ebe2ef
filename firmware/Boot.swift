/// Layout of the structure a loader passes in a2 (fw_dynamic): six 64-bit words.
private enum DynamicInfo {
    static let magic: UInt64 = 0x4942_534f
    static let magicWord = 0
    static let versionWord = 1
    static let nextAddressWord = 2
    static let nextModeWord = 3
    static let bootHartWord = 5
}

/// The first hart sets the machine up for all: from here to `warm_boot` the others sleep in Entry.S.
@c(fw_cold_boot)
public func coldBoot(_ hartID: UInt64, _ treeAddress: UInt64, _ info: UInt64) -> Never {
    guard let loaded = FDT(address: treeAddress) else { park() }
    platform.initialize(to: Platform())
    platform.discoverConsole(loaded)
    platform.discoverMemory(loaded)
    platform.pointee.nextStage = readDynamicInfo(info)
    settle(loaded)
    platform.discoverHartFeatures(loaded)
    platform.discoverHartDevices(loaded)
    platform.discoverReset(loaded)

    let bootHart = chooseBootHart(hartID)
    platform.routeInterrupts(loaded)
    guard let tree = loaded.reserving(platform.pointee.firmwareRegion) else {
        fail("no room for a longer device tree than the one at", treeAddress)
    }
    tree.setBootHart(bootHart.pointee.id)
    printBanner(tree, bootHart)
    checkNextStage()

    publish_harts(platform.pointee.hartCount, platform.pointee.hartAreas)
    // The hart starts as soon as it is configured; a boot hart that is another one gets woken below.
    _ = startHart(
        bootHart, address: platform.pointee.nextStage.address, argument: tree.address, mode: platform.pointee.nextStage.mode)
    atomic_store(boot_done_flag(), 1)
    for index in 0..<HartTable.count { wake(HartTable.pointer(index)) }
    warm_boot(hartID)
}

/// Every hart, on its own stack, once the cold boot is done.
@c(fw_warm_boot)
public func warmBoot(_ index: UInt64, _ state: UnsafeMutableRawPointer) -> Never {
    let hart = state.assumingMemoryBound(to: Hart.self)
    configureHart(hart)
    waitForStart(hart)
}

/// What to enter next. A loader that gives no such structure is taken to follow the custom of a kernel at 2 MiB.
private func readDynamicInfo(_ address: UInt64) -> NextStage {
    var next = NextStage(address: firmware_start_address() + 0x20_0000)
    guard address != 0, address & 7 == 0 else { return next }
    // SAFETY: a2 is the loader's to set; a wrong one is caught by the magic number or reported as a fault.
    let words = UnsafePointer<UInt64>(bitPattern: UInt(address)).unsafelyUnwrapped
    guard words[DynamicInfo.magicWord] == DynamicInfo.magic else { return next }
    next.address = words[DynamicInfo.nextAddressWord]
    next.mode = words[DynamicInfo.nextModeWord]
    if words[DynamicInfo.versionWord] >= 2 { next.bootHart = words[DynamicInfo.bootHartWord] }
    return next
}

/// Lists the harts, sets an area aside for each behind the image, and fixes the region to protect.
private func settle(_ tree: FDT) {
    let count = platform.collectHarts(tree)
    if count == 0 { fail("the device tree lists no usable hart; tree at", tree.address) }
    platform.pointee.hartCount = count
    platform.pointee.hartAreas = firmware_image_end_address()

    let start = firmware_start_address()
    let end = platform.pointee.hartAreas + count * UInt64(HART_AREA_SIZE)
    var size: UInt64 = 0x1_0000
    while size < end - start { size *= 2 }
    platform.pointee.firmwareRegion = PhysicalRange(start: start, size: size)

    if platform.pointee.firmwareRegion.overlaps(start: tree.address, size: UInt64(tree.totalSize)) {
        fail("the device tree lies in the firmware's memory, at", tree.address)
    }
    if platform.pointee.firmwareRegion.overlaps(platform.pointee.initialRAMDisk) {
        fail("the initial RAM disk lies in the firmware's memory, at", platform.pointee.initialRAMDisk.start)
    }
    if MemoryLayout<Platform>.size > PLATFORM_SIZE {
        fail("the platform's description outgrew its room:", UInt64(MemoryLayout<Platform>.size))
    }
    if MemoryLayout<Hart>.size > HART_STATE_SIZE { fail("the hart state outgrew its area:", UInt64(MemoryLayout<Hart>.size)) }
    for index in 0..<Int(count) {
        HartTable.pointer(index).initialize(to: Hart())
        HartTable.pointer(index).pointee.id = hart_ids()[index]
        HartTable.pointer(index).pointee.index = UInt64(index)
    }
}

/// The loader's choice if that hart exists and can be woken, else the executing hart.
private func chooseBootHart(_ own: UInt64) -> HartPointer {
    guard let ownHart = HartTable.find(id: own) else { fail("the device tree does not list the booting hart", own) }
    guard let wanted = HartTable.find(id: platform.pointee.nextStage.bootHart),
        wanted.canBeWoken
    else { return ownHart }
    return wanted
}

/// Refuses what could only hang silently.
private func checkNextStage() {
    let next = platform.pointee.nextStage
    guard next.mode == PrivilegeMode.user || next.mode == PrivilegeMode.supervisor || next.mode == PrivilegeMode.machine
    else { fail("the loader asks for an unknown privilege mode:", next.mode) }
    if platform.pointee.firmwareRegion.overlaps(start: next.address, size: 1) {
        fail("the next stage lies in the firmware's memory, at", next.address)
    }
    // An instruction of zero bits is illegal by definition: nothing was loaded.
    var trap = ProbedTrap()
    let low = physical_load8(next.address, &trap)
    let high = physical_load8(next.address &+ 1, &trap)
    if trap.cause != .max { fail("nothing answers at the next stage's address", next.address) }
    if low == 0, high == 0 { fail("no next stage (a kernel or boot loader) was loaded at", next.address) }
}

private func printBanner(_ tree: FDT, _ bootHart: HartPointer) {
    let printer = Printer(console: platform.pointee.console)
    printer.text("\nemulate SBI ")
    printer.decimal(SBIVersion.release >> 16)
    printer.text(".")
    printer.decimal(SBIVersion.release & 0xffff)
    printer.text(" (SBI specification ")
    printer.decimal(SBIVersion.specification >> 24)
    printer.text(".")
    printer.decimal(SBIVersion.specification & 0xff_ffff)
    printer.text(")\n  Harts        ")
    printer.decimal(platform.pointee.hartCount)
    printer.text(", boot hart ")
    printer.decimal(bootHart.pointee.id)
    printer.text("\n  Time base    ")
    printer.decimal(platform.pointee.timebase)
    printer.text(" Hz\n  Firmware     ")
    printer.hex(platform.pointee.firmwareRegion.start)
    printer.text("-")
    printer.hex(platform.pointee.firmwareRegion.end - 1)
    printer.text("\n  Device tree  ")
    printer.hex(tree.address)
    printer.text("\n  Next stage   ")
    printer.hex(platform.pointee.nextStage.address)
    switch platform.pointee.nextStage.mode {
    case PrivilegeMode.machine: printer.text(" in M-mode\n\n")
    case PrivilegeMode.supervisor: printer.text(" in S-mode\n\n")
    default: printer.text(" in U-mode\n\n")
    }
}
