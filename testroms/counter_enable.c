// mcounteren decides what S-mode reads of the counters, and with scounteren what U-mode reads
// (privileged manual, "Machine Counter-Enable Register", "Counter-Enable Register (scounteren)").
#include "rom.h"

static u64 read_cycle(void) { return csr_read_trap(cycle); }
static u64 read_time(void) { return csr_read_trap(time); }
static u64 read_instret(void) { return csr_read_trap(instret); }
static u64 read_event(void) { return csr_read_trap(hpmcounter3); }
static void *const readers[] = { read_cycle, read_time, read_instret, read_event };

RULE("counter_enable") {
    for (u64 machine = 0; machine < 16; machine++) {
        for (u64 supervisor = 0; supervisor < 16; supervisor++) {
            csr_write(mcounteren, machine);
            csr_write(scounteren, supervisor);
            check(csr_read(mcounteren), machine);
            check(csr_read(scounteren), supervisor);
            for (u64 n = 0; n < 4; n++) {
                check(call_in(MODE_S, readers[n], 0, 0), machine >> n & 1 ? NO_TRAP : ILLEGAL);
                check(call_in(MODE_U, readers[n], 0, 0), machine & supervisor & 1ull << n ? NO_TRAP : ILLEGAL);
                check(call_in(MODE_M, readers[n], 0, 0), NO_TRAP);
            }
        }
    }
}
