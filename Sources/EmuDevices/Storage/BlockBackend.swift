import EmuBus

/// A disk image or block device of the host that cannot be used: names the file, what is wrong and what to do.
public struct DiskError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// One operation on a disk. Offsets and lengths are bytes; buffers stay valid until the operation completes.
public enum BlockOperation {
    /// Most bytes that devices have one operation move: what EDK2 keeps to, and other drivers by far. A request of more is refused.
    public static let greatestLength: UInt64 = 1 << 30

    case read(offset: UInt64, into: [UnsafeMutableRawBufferPointer])
    case write(offset: UInt64, from: [UnsafeMutableRawBufferPointer])
    /// Everything completed before is on stable storage when this completes.
    case flush
    /// The range's contents are no longer needed.
    case discard(offset: UInt64, length: UInt64)
    /// The range reads as zeroes afterwards; with `mayUnmap` its space may be given back.
    case writeZeroes(offset: UInt64, length: UInt64, mayUnmap: Bool)
}

/// Where the contents of a virtual disk are kept.
///
/// Devices use `submit` and `drain`: completions run on the machine's thread, in any order. `DiskQueue` overlaps operations with the
/// guest; everything below it (images, what drive properties make of them) just does each at once (`perform`).
public protocol BlockBackend: AnyObject {
    /// Bytes, a positive multiple of 512. The caller keeps every operation inside.
    var size: UInt64 { get }
    var isReadOnly: Bool { get }

    /// Does all of `operation` before it returns. A failed write may have changed any part of its range.
    func perform(_ operation: BlockOperation) throws(HostError)

    /// Starts `operation`; `completion` is called exactly once, with the error if there was one, before or after this returns.
    func submit(_ operation: BlockOperation, completion: @escaping (HostError?) -> Void)

    /// Returns when every submitted operation has completed and its completion has been called.
    func drain()
}

extension BlockBackend {
    public func submit(_ operation: BlockOperation, completion: @escaping (HostError?) -> Void) {
        do {
            try perform(operation)
            completion(nil)
        } catch {
            completion(error)
        }
    }

    public func drain() {}
}
