import EmuCPU

/// RISC-V harts as GDB's "RISC-V Features" describe them.
extension RVDebugHart: GDBHart {
    /// GDB numbers the program counter after the integer registers, then come the floating-point registers and all CSRs.
    private enum Number {
        static let pc = 32
        static let float = 33
        static let csr = 65
        /// The privilege, which is no CSR, behind the last of them.
        static let privilege = csr + 0x1000
        static let vector = privilege + 1
    }

    var gdbTarget: GDBTarget {
        let float = registers.filter { $0.group == .float }
        let system = registers.filter { $0.group == .system }
        // The unit's own CSRs belong to its feature.
        let floatControl = ["fflags", "frm", "fcsr"]
        func csr(_ register: RegisterDescription) -> GDBRegister {
            GDBRegister(number: Number.csr + register.number, type: register.isPointer ? "data_ptr" : "int", register: register)
        }
        var features = [
            GDBFeature(name: "org.gnu.gdb.riscv.cpu", registers: registers.filter { $0.group == .general }.map {
                GDBRegister(number: $0.number, type: $0.number == Number.pc || $0.number == 1 ? "code_ptr" : $0.isPointer ? "data_ptr" : "int", register: $0)
            }),
            GDBFeature(
                name: "org.gnu.gdb.riscv.csr",
                registers: system.filter { $0.number < 0x1000 && !floatControl.contains($0.name) }.map(csr)),
            GDBFeature(
                name: "org.gnu.gdb.riscv.virtual",
                registers: system.filter { $0.number >= 0x1000 }.map { GDBRegister(number: Number.privilege, type: "int", register: $0) }),
        ]
        if !float.isEmpty {
            let isDouble = cpu.config.extensions.contains(.d)
            let union = """
                <union id="riscv_double"><field name="float" type="ieee_single"/><field name="double" type="ieee_double"/></union>

                """
            features.insert(
                GDBFeature(
                    name: "org.gnu.gdb.riscv.fpu", types: isDouble ? union : "",
                    registers: float.map {
                        GDBRegister(number: Number.float + $0.number, bits: isDouble ? 64 : 32, type: isDouble ? "riscv_double" : "ieee_single", register: $0)
                    }
                        + system.filter { floatControl.contains($0.name) }.map(csr)),
                at: 1)
        }
        let vectors = registers.filter { $0.group == .vector }
        if !vectors.isEmpty {
            let bytes = cpu.vlenb
            let elements = [("bytes", "uint8", bytes), ("shorts", "uint16", bytes / 2), ("words", "uint32", bytes / 4), ("longs", "uint64", bytes / 8)]
            let types = elements.map { "<vector id=\"\($0)\" type=\"\($1)\" count=\"\($2)\"/>\n" }.joined()
                + "<union id=\"riscv_vector\">" + elements.map { "<field name=\"\($0.0)\" type=\"\($0.0)\"/>" }.joined() + "</union>\n"
            features.append(GDBFeature(name: "org.gnu.gdb.riscv.vector", types: types, registers: vectors.map {
                GDBRegister(number: Number.vector + $0.number, bits: 8 * bytes, type: "riscv_vector", register: $0)
            }))
        }
        return GDBTarget(architecture: "riscv:rv64", features: features, generalCount: 33, expedited: [2, 8, Number.pc])
    }
}
