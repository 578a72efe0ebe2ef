// Each letter of misa says whether the instructions of that extension execute (privileged manual, "Machine ISA Register").
#include "rom.h"

static u64 has(char letter) { return csr_read(misa) >> (letter - 'A') & 1; }

RULE("misa_truth") {
    u64 misa = csr_read(misa);
    static u64 cell;
    check(misa >> 62, 2);
    check(misa >> 26 & 0xfffffffff, 0);
    check(has('I'), 1);
    check(has('S'), 1);
    check(has('U'), 1);
    csr_set(mstatus, MSTATUS_FS);
    check(TRAP_OF(".insn r 0x33, 0, 1, t0, t0, t0", ::: "t0") == NO_TRAP, has('M'));                  // mul
    check(TRAP_OF(".insn r 0x2f, 2, 0, t0, %0, zero", :: "r"(&cell) : "t0") == NO_TRAP, has('A'));    // amoadd.w
    check(TRAP_OF(".insn r 0x53, 0, 0, f0, f0, f0") == NO_TRAP, has('F'));                             // fadd.s
    check(TRAP_OF(".insn r 0x53, 0, 1, f0, f0, f0") == NO_TRAP, has('D'));                             // fadd.d
    check(TRAP_OF(".insn r 0x53, 0, 3, f0, f0, f0") == NO_TRAP, has('Q'));                             // fadd.q
    check(TRAP_OF(".short 0x0001, 0x0001") == NO_TRAP, has('C'));                                      // c.nop twice
    check(TRAP_OF("csrr zero, 0x600") == NO_TRAP, has('H'));                                           // hstatus
    csr_set(mstatus, 3 << 9);
    check(TRAP_OF(".word 0xcd8072d7", ::: "t0") == NO_TRAP, has('V'));                                 // vsetivli t0, 0, e64
    // F without D, or D without F, cannot be.
    check(has('D') & !has('F'), 0);
    // FS is writable exactly where there is floating-point state.
    check((csr_read(mstatus) & MSTATUS_FS) != 0, has('F'));
    // MXL is fixed, and a write cannot invent extensions.
    csr_write(misa, ~0ull);
    check(csr_read(misa) >> 62, 2);
    check(csr_read(misa) & ~misa & 0x3ffffff, 0);
    csr_write(misa, misa);
}
