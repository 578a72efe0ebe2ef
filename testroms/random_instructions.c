// Random instructions in U-mode, one at a time, on random registers: whatever they are, the machine goes on, and all state they leave is
// summed up in one number. The manifest's number was found equal on another implementation with the same extensions.
#include "float.h"

#define SEED 1
#define ROUNDS 12000
#define CODE 0x80900000ull
#define DATA 0x80a00000ull

// What an instruction starts with and leaves: x0…x31, f0…f31, then pc, cause, tval, fcsr.
static struct { u64 x[32], f[32], pc, cause, tval, fcsr; } state;
static u64 saved[16];

void run_state(void *state, u64 *saved);
asm(".text\n.option push\n.option arch, +d\n.balign 4\n.globl run_state\nrun_state:\n"
    "sd ra, 0(a1)\nsd sp, 8(a1)\nsd s0, 16(a1)\nsd s1, 24(a1)\nsd s2, 32(a1)\nsd s3, 40(a1)\nsd s4, 48(a1)\nsd s5, 56(a1)\n"
    "sd s6, 64(a1)\nsd s7, 72(a1)\nsd s8, 80(a1)\nsd s9, 88(a1)\nsd s10, 96(a1)\nsd s11, 104(a1)\nsd a1, 120(a1)\n"
    "csrr t0, mtvec\nsd t0, 112(a1)\nla t0, 1f\ncsrw mtvec, t0\nsd a1, 0(a0)\n"
    "csrr t0, mscratch\nla t1, keep_scratch\nsd t0, 0(t1)\ncsrw mscratch, a0\nmv t6, a0\n"
    "ld t0, 512(t6)\ncsrw mepc, t0\nld t0, 536(t6)\ncsrw 0x003, t0\nli t0, 3 << 11\ncsrc mstatus, t0\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nfld f\\n, 256 + 8 * \\n(t6)\n.endr\n"
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nld x\\n, 8 * \\n(t6)\n.endr\n"
    "mret\n"
    ".balign 4\n1: csrrw t6, mscratch, t6\n"
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30\nsd x\\n, 8 * \\n(t6)\n.endr\n"
    "csrr t0, mscratch\nsd t0, 248(t6)\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nfsd f\\n, 256 + 8 * \\n(t6)\n.endr\n"
    "csrr t0, mepc\nsd t0, 512(t6)\ncsrr t0, mcause\nsd t0, 520(t6)\ncsrr t0, mtval\nsd t0, 528(t6)\ncsrr t0, 0x003\nsd t0, 536(t6)\n"
    "la t1, keep_scratch\nld t0, 0(t1)\ncsrw mscratch, t0\nld a1, 0(t6)\nld t0, 112(a1)\ncsrw mtvec, t0\n"
    "ld ra, 0(a1)\nld sp, 8(a1)\nld s0, 16(a1)\nld s1, 24(a1)\nld s2, 32(a1)\nld s3, 40(a1)\nld s4, 48(a1)\nld s5, 56(a1)\n"
    "ld s6, 64(a1)\nld s7, 72(a1)\nld s8, 80(a1)\nld s9, 88(a1)\nld s10, 96(a1)\nld s11, 104(a1)\nret\n"
    ".option pop\n.bss\n.balign 8\nkeep_scratch: .zero 8\n.text\n");

static u64 seed = 0x9e3779b97f4a7c15 * SEED + 1;
static u64 next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static u64 below(u64 n) { return (next_random() >> 33) % n; }

// Values with an edge more often than chance would have it.
static u64 interesting(void) {
    static const u64 values[] = { 0, 1, ~0ull, 0x8000000000000000, 0x7fffffffffffffff, 0x80000000, 0x7fffffff, 0xffffffff, 0xffffffff80000000,
        0xffffffff7fc00000, 0xffffffff7f800001, 0xffffffff3f800000, 0xffffffff00000001, 0xffffffff7f7fffff, 0xffffffffffff3c00, 0xffffffffffff7e01,
        0x7ff8000000000000, 0x7ff0000000000001, 0xfff0000000000000, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
        0x3ff0000000000000, 0x43e0000000000000, 0xc1e0000000200000, 0x41efffffffe00000 };
    u64 kind = below(8);
    if (kind < 3) return values[below(sizeof values / 8)];
    if (kind == 3) return next_random() >> below(64);
    // Floats near others, boxed.
    if (kind == 4) return 0xffffffff00000000 | (u32)next_random();
    if (kind == 5) return 0x3f00000000000000 + (next_random() >> 7);
    return next_random();
}

static u32 random_instruction(void) {
    static const u8 opcodes[] = { 0x33, 0x33, 0x3b, 0x3b, 0x13, 0x1b, 0x03, 0x23, 0x2f, 0x63, 0x6f, 0x67, 0x37, 0x17, 0x07, 0x27, 0x53, 0x53, 0x53, 0x53,
        0x43, 0x47, 0x4b, 0x4f, 0x0f, 0x73 };
    static const u8 functions[] = { 0, 0x20, 1, 5, 0x10, 0x24, 0x34, 0x14, 0x30, 4 };
    u32 word = (u32)next_random();
    u64 kind = below(32);
    if (kind < 6) return (word & ~3u) | (u32)below(3);           // compressed
    if (kind == 6) return word;
    u32 opcode = opcodes[below(sizeof opcodes)];
    word = (word & ~0x7fu) | opcode;
    if (opcode == 0x33 || opcode == 0x3b || ((opcode == 0x13 || opcode == 0x1b) && (word >> 12 & 3) == 1)) {
        if (below(4)) word = (word & 0x01ffffff) | (u32)functions[below(sizeof functions)] << 25;
    } else if (opcode == 0x53) {
        // Formats S, D and H; few values of rs2, for conversions.
        if (below(8)) word = (word & ~(3u << 25)) | (u32)below(3) << 25;
        if (below(2)) word = (word & ~(0x1fu << 20)) | (u32)below(4) << 20;
        if (below(2)) word &= ~(7u << 12);
    } else if (opcode == 0x2f) {
        word = (word & ~(7u << 12)) | (u32)(2 + below(2)) << 12;
        if (below(4)) word &= 0xe7ffffff;
    } else if (opcode == 0x73 && below(2)) {
        // fflags, frm, fcsr
        word = (word & 0x000fffff) | (u32)(1 + below(3)) << 20;
    }
    return word;
}

// Jumps and branches to themselves would never end; an sc without a reservation may fail before it faults.
static int is_left_out(u32 word) {
    u32 half = word & 0xffff;
    if ((word & 0x7f) == 0x2f && word >> 27 == 3) return 1;
    if ((word & 3) != 3) return half == 0xa001 || ((half & 0xdc7f) == 0xc001);
    return ((word & 0x7f) == 0x6f && word >> 12 == 0) || ((word & 0x7f) == 0x63 && !(word & 0xfe000f80));
}

static u64 sum = 0xcbf29ce484222325;
static void add(u64 value) { sum = (sum ^ value) * 0x100000001b3; sum ^= sum >> 29; }

RULE("random_instructions") {
    float_on();
    csr_write(mcounteren, 0);
    // U-mode has a page of code and a page of data, and nothing else.
    csr_write(pmpaddr0, CODE >> 2 | 0x1ff);
    csr_write(pmpaddr1, DATA >> 2 | 0x1ff);
    csr_write(pmpcfg0, 0x1b1d);
    csr_write(pmpcfg2, 0);
    for (u64 i = 0; i < 4096; i += 8) store64(CODE + i, 0x9002900290029002);      // c.ebreak
    for (u64 i = 0; i < 4096; i += 8) store64(DATA + i, interesting());
    for (u64 round = 0; round < ROUNDS; round++) {
        u64 at = CODE + 0x800;
        u32 word = random_instruction();
        while (is_left_out(word)) word = random_instruction();
        store32(at, word);
        fence_i();
        for (int i = 1; i < 32; i++) state.x[i] = below(3) ? interesting() : DATA + 0x400 + below(0x800);
        for (int i = 0; i < 32; i++) state.f[i] = interesting();
        state.pc = at;
        state.fcsr = below(2) ? below(5) << 5 : below(256);
        u64 watched = DATA + below(512) * 8;
        run_state(&state, saved);
        for (int i = 1; i < 32; i++) add(state.x[i]);
        for (int i = 0; i < 32; i++) add(state.f[i]);
        add(state.pc);
        // Whether an atomic access that fails is a load or a store is known (see amo_faults) and told differently elsewhere.
        u64 atomic = (word & 0x7f) == 0x2f;
        add(atomic && state.cause == LOAD_MISALIGNED ? STORE_MISALIGNED : atomic && state.cause == LOAD_ACCESS ? STORE_ACCESS : state.cause);
        // What xtval holds is not laid down for a breakpoint.
        if (state.cause != BREAKPOINT) add(state.tval);
        add(state.fcsr);
        add(load64(watched));
        store32(at, 0x90029002);
    }
    for (u64 i = 0; i < 4096; i += 8) add(load64(DATA + i));
    csr_write(pmpcfg2, 0x1full << 56);
    print("sum ");
    print_hex(sum);
    print("\n");
}
