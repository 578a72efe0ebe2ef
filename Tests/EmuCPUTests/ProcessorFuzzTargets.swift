import EmuCPU
import TestSupport
import Testing

/// What names a processor, and what it is given to decode. Programs are run by `FuzzTests`.
@Suite struct ProcessorFuzzTargets {
    @Test func options() {
        let seeds = ["rv64", "rv64,v=on,vlen=256", "rva22s64,zacas=on", "max,h=off", "rv64i,m=on,c=on,Zicsr=on", "rv64,sv57=off,pmp=on"]
        Fuzzing.read("cpu-options", cases: 100, seeds: seeds.map { Array($0.utf8) }) { bytes in
            guard let processor = try? RVConfig.parse(String(decoding: bytes, as: UTF8.self)) else { return }
            _ = processor.isaString
        }
    }

    @Test func instructions() {
        let disassembler = RVDisassembler(extensions: RVConfig.standard.extensions, aliases: true)
        let seeds: [[UInt32]] = [[0x0000_0013, 0x8082_4501, 0x0010_0073], [0x0205_f007, 0x5e00_3057, 0xc0e7_7057], [0x1005_272f, 0x0ff0_000f, 0x3020_0073]]
        Fuzzing.read("instructions", cases: 100, seeds: seeds.map { $0.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } } }) { bytes in
            for start in stride(from: 0, to: bytes.count - 3, by: 4) {
                let word = bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
                _ = disassembler.text(bits: word, address: 0x8000_0000)
            }
        }
    }
}
