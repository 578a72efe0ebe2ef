// With mstatus.FS = 0 every floating-point instruction and CSR is illegal; changing floating-point state makes FS dirty
// (privileged manual, "Extension Context Status in mstatus Register").
#include "float.h"

static u64 cell;
static u64 fs(void) { return csr_read(mstatus) >> 13 & 3; }
static void set_fs(u64 value) { csr_field(mstatus, MSTATUS_FS, value << 13); }
#define F(text, ...) TRAP_OF(".option arch, +f, +d, +zfh, +zfa\n" text, __VA_ARGS__)
#define DIRTIES(text) do { set_fs(1); check(F(text, :: "r"(&cell) : "t0", "memory"), NO_TRAP); check(fs(), 3); check(csr_read(mstatus) >> 63, 1); } while (0)
#define KEEPS(text) do { set_fs(1); check(F(text, :: "r"(&cell) : "t0", "memory"), NO_TRAP); check(fs(), 1); } while (0)
#define OFF(text) check(F(text, :: "r"(&cell) : "t0", "memory"), ILLEGAL)

static u64 in_supervisor(void) { return F("fadd.d ft0, ft0, ft0", :::  "memory"); }

RULE("float_off") {
    set_fs(0);
    OFF("flw ft0, 0(%0)");
    OFF("fld ft0, 0(%0)");
    OFF("flh ft0, 0(%0)");
    OFF("fsw ft0, 0(%0)");
    OFF("fsd ft0, 0(%0)");
    OFF("fsh ft0, 0(%0)");
    OFF("fadd.s ft0, ft0, ft0");
    OFF("fmadd.d ft0, ft0, ft0, ft0");
    OFF("fmv.x.d t0, ft0");
    OFF("fmv.w.x ft0, zero");
    OFF("fcvt.s.w ft0, zero");
    OFF("feq.d t0, ft0, ft0");
    OFF("fclass.s t0, ft0");
    OFF("fli.d ft0, 1.0");
    OFF("frcsr t0");
    OFF("fsrmi 0");
    OFF("csrr t0, 0x001");
    check(call_in(MODE_S, in_supervisor, 0, 0), ILLEGAL);
    // Compressed ones too: c.fld fa0, 0(a0) and c.fsdsp.
    skip_bytes = 2;
    clear_trap();
    asm volatile("mv a0, %0\n.short 0x2108" :: "r"(&cell) : "a0", "memory");
    check(trap.cause, ILLEGAL);
    clear_trap();
    asm volatile(".short 0xa002" ::: "memory");
    check(trap.cause, ILLEGAL);
    skip_bytes = 4;

    // From Initial to Dirty by anything that writes a register or a flag.
    DIRTIES("flw ft0, 0(%0)");
    DIRTIES("fld ft0, 0(%0)");
    DIRTIES("fadd.s ft0, ft1, ft2");
    DIRTIES("fmv.d.x ft0, zero");
    DIRTIES("fsrmi 0");
    DIRTIES("fscsr zero");
    // Reading and storing leave it.
    KEEPS("fsd ft0, 0(%0)");
    KEEPS("fsw ft0, 0(%0)");
    KEEPS("fmv.x.d t0, ft0");
    KEEPS("frcsr t0");
    KEEPS("fclass.d t0, ft0");
    // A comparison without flags may leave it, one that raises a flag must not: the flag is state.
    set_fs(3);
    asm volatile(FARCH "fmv.d.x ft0, %0\nfscsr zero\n.option pop" :: "r"(D_SNAN));
    set_fs(1);
    check(F("feq.d t0, ft0, ft0", ::: "t0"), NO_TRAP);
    check(fs(), 3);
    check(flags(), NV);
}
