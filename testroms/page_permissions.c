// Every combination of R, W, X and U against privilege, SUM and MXR, for loads, stores and fetches
// (privileged manual, "Virtual Address Translation Process", "Memory Privilege in mstatus Register").
#include "rom.h"

#define PAGE 0x300000000ull

RULE("page_permissions") {
    csr_set(menvcfg, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *code = new_page();
    *code = 0x8067;                     // ret
    for (u64 flags = 0; flags < 32; flags += 2) {
        for (u64 mode = MODE_U; mode <= MODE_S; mode++) {
            for (u64 controls = 0; controls < 4; controls++) {
                u64 sum = controls & 1, mxr = controls >> 1;
                map(PAGE, (u64)code, PTE_V | PTE_AD | flags, 0);
                csr_clear(mstatus, MSTATUS_SUM | MSTATUS_MXR);
                csr_set(mstatus, (sum ? MSTATUS_SUM : 0) | (mxr ? MSTATUS_MXR : 0));
                u64 valid = (flags & PTE_RWX) != 0 && (flags & (PTE_R | PTE_W)) != PTE_W;
                u64 user_page = (flags & PTE_U) != 0, user = mode == MODE_U;
                u64 data = valid && (user == user_page || (!user && sum));
                u64 readable = data && ((flags & PTE_R) || (mxr && (flags & PTE_X)));
                u64 writable = data && (flags & PTE_W);
                u64 executable = valid && user == user_page && (flags & PTE_X);
                check(load_trap(mode, PAGE), readable ? NO_TRAP : LOAD_PAGE);
                check(store_trap(mode, PAGE, 0x8067), writable ? NO_TRAP : STORE_PAGE);
                check(fetch_trap(mode, PAGE), executable ? NO_TRAP : FETCH_PAGE);
            }
        }
    }
    // M-mode is not translated.
    check(load_trap(MODE_M, (u64)code), NO_TRAP);
}
