// A vector access that faults in the middle leaves the element's number in vstart; when the page is there, the same instruction goes on with
// that element (unprivileged manual, "Exception Handling" of vector instructions). A fault-only-first load shortens vl instead.
#include "rom.h"

#define MSTATUS_VS (3ull << 9)
#define PAGE 0x300000000ull
#define START (PAGE + 0x1000 - 12)

#define V(text, ...) TRAP_OF(".option arch, +v\n" text, __VA_ARGS__)

static u64 configure(u64 vl) {
    u64 result;
    asm volatile(".option push\n.option arch, +v\nvsetvli %0, %1, e32, m1, tu, mu\n.option pop" : "=r"(result) : "r"(vl));
    return result;
}
static u64 load(u64 address) { return V("vle32.v v8, (%0)", :: "r"(address) : "memory"); }
static u64 store(u64 address) { return V("vse32.v v8, (%0)", :: "r"(address) : "memory"); }
static u64 load_strided(u64 address) { return V("vlse32.v v8, (%0), %1", :: "r"(address), "r"(4) : "memory"); }
static u64 load_first(u64 address) { return V("vle32ff.v v8, (%0)", :: "r"(address) : "memory"); }
static u64 increment(void) { return V("vadd.vi v8, v8, 1", ::: "memory"); }
static void put(u32 *to) { asm volatile(".option push\n.option arch, +v\nvse32.v v8, (%0)\n.option pop" :: "r"(to) : "memory"); }
static void clear(void) { asm volatile(".option push\n.option arch, +v\nvmv.v.i v8, 0\n.option pop"); }

static u32 found[4];

static void forget(u64 page) {
    *pte_of(page, 0) = 0;
    sfence();
}

static void check_elements(u32 a, u32 b, u32 c, u32 d) {
    put(found);
    check(found[0], a);
    check(found[1], b);
    check(found[2], c);
    check(found[3], d);
}

RULE("vector_restart") {
    csr_set(mstatus, MSTATUS_VS);
    paging_on(SV39);
    u32 *first = (u32 *)new_page(), *second = (u32 *)new_page();
    for (unsigned i = 0; i < 3; i++) first[1021 + i] = 100 + i;
    second[0] = 103;
    map(PAGE, (u64)first, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    check(call_in(MODE_S, configure, 4, 0), 4);

    for (int strided = 0; strided < 2; strided++) {
        void *access = strided ? load_strided : load;
        forget(PAGE + 0x1000);
        clear();
        check(call_in(MODE_S, access, START, 0), LOAD_PAGE);
        check(trap.tval, PAGE + 0x1000);
        check(csr_read(vstart), 3);
        check(csr_read(vl), 4);
        // Elements in front of it are done and are not loaded again: change them meanwhile.
        first[1021] = 7;
        map(PAGE + 0x1000, (u64)second, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
        check(call_in(MODE_S, access, START, 0), NO_TRAP);
        check(csr_read(vstart), 0);
        check_elements(100, 101, 102, 103);
        first[1021] = 100;
    }

    // A store does what lies in front of the page, then the rest.
    forget(PAGE + 0x1000);
    check(call_in(MODE_S, increment, 0, 0), NO_TRAP);
    check(call_in(MODE_S, store, START, 0), STORE_PAGE);
    check(csr_read(vstart), 3);
    check(first[1021], 101);
    check(first[1023], 103);
    check(second[0], 103);
    first[1022] = 9;
    map(PAGE + 0x1000, (u64)second, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    check(call_in(MODE_S, store, START, 0), NO_TRAP);
    check(first[1022], 9);
    check(second[0], 104);

    // Arithmetic starts at vstart, too.
    clear();
    csr_write(vstart, 2);
    check(call_in(MODE_S, increment, 0, 0), NO_TRAP);
    check_elements(0, 0, 1, 1);

    // Fault-only-first: three elements there are; none at the start of the missing page.
    forget(PAGE + 0x1000);
    clear();
    check(call_in(MODE_S, load_first, START, 0), NO_TRAP);
    check(csr_read(vl), 3);
    check(csr_read(vstart), 0);
    check(call_in(MODE_S, load_first, PAGE + 0x1000, 0), LOAD_PAGE);
    check(csr_read(vl), 3);
    check(csr_read(vstart), 0);
}
