// Vector state: mstatus.VS, vill, and the rules of vset{i}vl{i} (unprivileged manual, "V" Standard Extension for Vector Operations;
// privileged manual, "Extension Context Status in mstatus Register").
#include "rom.h"

#define MSTATUS_VS (3ull << 9)
#define VILL (1ull << 63)
#define V(text, ...) TRAP_OF(".option arch, +v\n" text, __VA_ARGS__)

static u8 memory[64];
static u64 vs(void) { return csr_read(mstatus) >> 9 & 3; }
static void set_vs(u64 value) { csr_field(mstatus, MSTATUS_VS, value << 9); }
#define OFF(text) check(V(text, :: "r"(memory) : "t0", "memory"), ILLEGAL)
#define ON(text) check(V(text, :: "r"(memory) : "t0", "memory"), NO_TRAP)
#define DIRTIES(text) do { set_vs(1); ON(text); check(vs(), 3); check(csr_read(mstatus) >> 63, 1); } while (0)

static u64 in_supervisor(void) { return V("vsetivli t0, 4, e8, m1, ta, ma", ::: "t0", "memory"); }
static u64 supervisor_status(void) { return csr_read(sstatus); }

RULE("vector_state") {
    check(csr_read(misa) >> 21 & 1, 1);
    set_vs(0);
    OFF("vsetivli t0, 4, e8, m1, ta, ma");
    OFF("vle8.v v1, (%0)");
    OFF("vse8.v v1, (%0)");
    OFF("vl1r.v v1, (%0)");
    OFF("vadd.vv v1, v2, v3");
    OFF("vmv1r.v v1, v2");
    OFF("vfadd.vv v1, v2, v3");
    OFF("csrr t0, vl");
    OFF("csrr t0, vtype");
    OFF("csrr t0, vlenb");
    OFF("csrr t0, vstart");
    OFF("csrw vcsr, zero");
    check(call_in(MODE_S, in_supervisor, 0, 0), ILLEGAL);

    DIRTIES("vsetivli t0, 4, e8, m1, ta, ma");
    DIRTIES("vadd.vv v1, v2, v3");
    DIRTIES("vle8.v v1, (%0)");
    DIRTIES("csrwi vxrm, 1");
    DIRTIES("csrwi vstart, 0");
    set_vs(1);
    ON("csrr t0, vl");
    check(vs(), 1);
    check(call_in(MODE_S, in_supervisor, 0, 0), NO_TRAP);
    check(call_in(MODE_S, supervisor_status, 0, 0) & (MSTATUS_VS | MSTATUS_SD), MSTATUS_VS | MSTATUS_SD);

    // Floating point asks for FS as well, and for a rounding mode.
    csr_field(mstatus, MSTATUS_FS, 0);
    u64 t;
    asm volatile(".option push\n.option arch, +v\nvsetivli %0, 2, e32, m1, ta, ma\n.option pop" : "=r"(t));
    OFF("vfadd.vv v1, v2, v3");
    csr_set(mstatus, MSTATUS_FS);
    ON("vfadd.vv v1, v2, v3");
    asm volatile("csrwi 0x002, 5");
    OFF("vfadd.vv v1, v2, v3");
    OFF("vfsgnj.vv v1, v2, v3");
    asm volatile("csrwi 0x002, 0");

    // A reserved type sets vill, nothing else, and vl is 0.
    asm volatile(".option push\n.option arch, +v\nvsetvl %0, %1, %2\n.option pop" : "=r"(t) : "r"(5), "r"(4));
    check(t, 0);
    check(csr_read(vtype), VILL);
    check(csr_read(vl), 0);
    OFF("vadd.vv v1, v2, v3");
    OFF("vle8.v v1, (%0)");
    OFF("vlm.v v1, (%0)");
    OFF("vmv1r.v v1, v2");
    OFF("vmv.x.s t0, v1");
    ON("vl1r.v v1, (%0)");
    ON("vs1r.v v1, (%0)");
    // vtype as it was read can be written back.
    asm volatile(".option push\n.option arch, +v\nvsetvl %0, %1, %2\n.option pop" : "=r"(t) : "r"(5), "r"(VILL));
    check(csr_read(vtype), VILL);
    asm volatile(".option push\n.option arch, +v\nvsetvli %0, %1, e16, m2, tu, mu\n.option pop" : "=r"(t) : "r"(5));
    check(t, 5);
    check(csr_read(vtype), 9);
    // Groups start at multiples of LMUL; a masked destination is not v0; widening takes twice the registers.
    OFF("vadd.vv v1, v2, v4");
    OFF("vadd.vv v2, v3, v4");
    ON("vadd.vv v2, v4, v6");
    OFF(".word 0x00430057");  // vadd.vv v0, v4, v6, v0.t
    OFF("vwadd.vv v2, v4, v6");
    ON("vwadd.vv v4, v8, v10");
    OFF(".word 0xc6452257");  // vwadd.vv v4, v4, v10
    ON("vwadd.vv v4, v6, v10");
    OFF(".word 0x3a20b157");  // vslideup.vi v2, v2, 1
    ON("vslidedown.vi v2, v2, 1");
    // Instructions that must start at element 0 are illegal elsewhere, and leave vstart alone.
    csr_write(vstart, 1);
    OFF("vredsum.vs v2, v4, v6");
    OFF("vcpop.m t0, v2");
    OFF("vcompress.vm v2, v4, v8");
    check(csr_read(vstart), 1);
    ON("vadd.vv v2, v4, v6");
    check(csr_read(vstart), 0);
}
