// Reserved and unknown encodings of both lengths trap, and xtval holds exactly the bits of the instruction
// (unprivileged manual, "Expanded Instruction-Length Encoding", instruction listings; privileged manual, "mtval").
#include "rom.h"

static u32 code[4] __attribute__((aligned(16)));

static void expect_illegal(u64 word) {
    u64 compressed = (word & 3) != 3;
    skip_bytes = compressed ? 2 : 4;
    code[0] = (u32)word;
    if (compressed) code[0] = (u32)word | 0x80820000;   // c.jr ra
    code[1] = 0x00008067;                               // ret
    fence_i();
    clear_trap();
    jump_to((u64)code);
    check(trap.cause, ILLEGAL);
    check(trap.pc, (u64)code);
    check(trap.tval, compressed ? word & 0xffff : word);
    skip_bytes = 4;
}

RULE("illegal_instruction") {
    static const u32 words[] = {
        0xffffffff, 0x0000000b, 0x0000002b, 0x0000005b, 0x0000007b,     // custom-0 to custom-3
        0x0000000f | 3 << 12, 0x0000000f | 7 << 12,                     // fence with reserved widths
        0x00007003,                                                     // load 7
        0x00004023, 0x00007023,                                         // store 4, 7
        0x00002063, 0x00003063,                                         // branch 2, 3
        0x00001067, 0x00007067,                                         // jalr 1, 7
        0x80001013, 0x40001013, 0x04005013 | 1u << 31,                  // slli, srli with bits above the amount
        0x0200101b, 0x4200501b, 0x0000201b,                             // slliw and sraiw by 32 or more, op-imm-32 2
        0x80000033, 0x40001033, 0x40002033, 0xfe000033,             // op with reserved function codes
        0x0000203b, 0x8000003b, 0x4000103b,                             // op-32
        0x00004073, 0x00300073, 0x00200073, 0x10300073, 0x7b200073,     // system 4; unknown; uret; dret
        0x00008073, 0x00100073 | 1 << 7, 0x10500073 | 1 << 15,          // ecall, ebreak and wfi with registers
        0x0000302f | 0x1f << 27, 0x0000602f, 0x0000702f,                // amo
        0x0000001f, 0x0000003f, 0x0000007f,                             // longer than 32 bits
        0x00000057, 0x00000007, 0x00007007, 0x0000006b, 0x00000077,     // vectors and reserved
    };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) expect_illegal(words[i]);
    static const u16 halves[] = {
        0x0000, 0x0004, 0x001c,     // all zeros; c.addi4spn by zero
        0x2001, 0x207d,             // c.addiw x0
        0x6301, 0x6101,             // c.lui t1 and c.addi16sp by zero
        0x4002, 0x6002,             // c.lwsp and c.ldsp to x0
        0x8002,                     // c.jr x0
        0x9c79, 0x9c7d,             // beside c.zext.w and c.not
        0x9c00, 0x8c40,             // reserved in quadrant 0
    };
    for (unsigned i = 0; i < sizeof halves / sizeof halves[0]; i++) expect_illegal(halves[i]);
}
