// Zicond: czero.eqz and czero.nez ("Zicond" extension).
#include "rom.h"

#define Z(instruction, a, b) ({ u64 r_; asm volatile(".option push\n.option arch, +zicond\n" instruction " %0, %1, %2\n.option pop" : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b))); r_; })

RULE("zicond") {
    check(Z("czero.eqz", 0x123456789abcdef0, 0), 0);
    check(Z("czero.eqz", 0x123456789abcdef0, 1), 0x123456789abcdef0);
    check(Z("czero.eqz", 5, 0x8000000000000000), 5);
    check(Z("czero.nez", 0x123456789abcdef0, 0), 0x123456789abcdef0);
    check(Z("czero.nez", 0x123456789abcdef0, 0x100000000), 0);
    check(Z("czero.nez", 7, -1), 0);
}
