// Zimop and Zcmop: may-be-operations write zero, their compressed forms write nothing ("Zimop", "Zcmop" extensions).
#include "rom.h"

#define MOP1(n) do { u64 r_ = 77; asm volatile(".option push\n.option arch, +zimop\nmop.r." #n " %0, %1\n.option pop" : "+r"(r_) : "r"(5)); check(r_, 0); } while (0)
#define MOP2(n) do { u64 r_ = 77; asm volatile(".option push\n.option arch, +zimop\nmop.rr." #n " %0, %1, %1\n.option pop" : "+r"(r_) : "r"(5)); check(r_, 0); } while (0)

RULE("zimop") {
    MOP1(0); MOP1(1); MOP1(2); MOP1(3); MOP1(4); MOP1(5); MOP1(6); MOP1(7); MOP1(8); MOP1(9); MOP1(10); MOP1(11); MOP1(12); MOP1(13); MOP1(14); MOP1(15);
    MOP1(16); MOP1(17); MOP1(18); MOP1(19); MOP1(20); MOP1(21); MOP1(22); MOP1(23); MOP1(24); MOP1(25); MOP1(26); MOP1(27); MOP1(28); MOP1(29); MOP1(30); MOP1(31);
    MOP2(0); MOP2(1); MOP2(2); MOP2(3); MOP2(4); MOP2(5); MOP2(6); MOP2(7);
    // The compressed ones name x1 to x15 and leave them all.
    register u64 t0 asm("t0") = 0x55;
    u64 kept_ra, ra_in = 0x66, traps_before = trap.count;
    asm volatile(".option push\n.option arch, +zcmop\nmv t1, ra\nmv ra, %2\nc.mop.1\nc.mop.3\nc.mop.5\nc.mop.7\nc.mop.9\nc.mop.11\nc.mop.13\nc.mop.15\nmv %1, ra\nmv ra, t1\n.option pop"
        : "+r"(t0), "=&r"(kept_ra) : "r"(ra_in) : "t1");
    check(t0, 0x55);
    check(kept_ra, 0x66);
    check(trap.count, traps_before);
}
