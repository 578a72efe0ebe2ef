import EmuBus
import EmuDevices

/// Makes a board's banks of flash memory.
enum FlashMemory {
    /// - Parameter image: what the bank holds, `PFlash.size` bytes; nil for an empty bank.
    static func make(name: String, at base: UInt64, _ image: (any BlockBackend)?, _ context: BoardContext) throws -> PFlash {
        let contents = try GuestRAM(base: base, size: PFlash.size, isReadOnly: true)
        if let image { try load(image, contents) }
        let flash = PFlash(name: name, bus: context.bus, contents: contents, image: image)
        let stopper = context.host.stopper
        // Firmware takes a failed write for a worn-out chip and goes on without its variables; nobody would learn why.
        flash.hostErrorHandler = { stopper.requestStop(.error("\(name): \($0); make room and start again")) }
        return flash
    }

    /// Most of an image is zeros, which the memory already holds and which would only cost host memory.
    private static func load(_ image: any BlockBackend, _ contents: GuestRAM) throws(HostError) {
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { chunk.deallocate() }
        for offset in stride(from: 0, to: contents.size, by: chunk.count) {
            try image.perform(.read(offset: offset, into: [chunk]))
            if chunk.bindMemory(to: UInt64.self).allSatisfy({ $0 == 0 }) { continue }
            let fits = contents.load(UnsafeRawBufferPointer(chunk), at: contents.base + offset)
            precondition(fits, "chunks divide the bank")
        }
    }
}
