import EmuBus

/// What the guest sends (virtio 1.2, 5.1.6.2).
extension VirtioNet {
    /// Time a frame takes beyond that of its bytes, in bytes; see `VirtioCore.spend`.
    private static let frameCost = 512

    func transmit(pair: Int) {
        guard let core else { return }
        let features = core.features
        core.serve(2 * pair + 1) { chain in
            guard let header = VirtioNetHeader(chain.readable, features: features), chain.readable.count >= headerSize else {
                core.fail("transmitted frame without header")
                return nil
            }
            transmit(chain, header, pair: pair)
            return 0
        }
    }

    private func transmit(_ chain: DescriptorChain, _ header: VirtioNetHeader, pair: Int) {
        let length = chain.readable.count - headerSize
        guard length >= 14, length <= Self.frameLimit, let segmentation = header.segmentation else {
            Log.write(.guestErrors, "\(stateName): frame of \(length) bytes dropped: it is too short, too long, or of an unknown segmentation type")
            return
        }
        guard ownState.isLinkUp else { return }
        var frame = chain.readable.bytes(at: headerSize, length)
        frame.withUnsafeMutableBytes { bytes in
            ownState.steering.noteSent(UnsafeRawBufferPointer(bytes), pair: pair)
            let isLeftWhole = segmentation == .none || segmentation != .udp && backend.takesLargeSegments
            if !isLeftWhole { return cut(UnsafeRawBufferPointer(bytes), header, segmentation) }
            if header.leavesChecksum,
               !InternetChecksum.complete(bytes, start: header.checksumStart, field: header.checksumStart + header.checksumOffset) {
                Log.write(.guestErrors, "\(stateName): checksum at \(header.checksumStart)+\(header.checksumOffset) is outside the frame")
                return
            }
            backend.send(UnsafeRawBufferPointer(bytes))
        }
    }

    private func cut(_ frame: UnsafeRawBufferPointer, _ header: VirtioNetHeader, _ kind: VirtioNetHeader.Segmentation) {
        do throws(Segmentation.Failure) {
            let segments = try Segmentation(frame, isTCP: kind != .udp, transport: header.checksumStart, size: header.segmentSize)
            core?.spend(segments.count * Self.frameCost)
            segments.forEach(backend.send)
        } catch {
            Log.write(.guestErrors, "\(stateName): packet of \(frame.count) bytes to cut dropped: \(error)")
        }
    }
}
