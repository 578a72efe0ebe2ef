// The goldfish real-time clock: nanoseconds read as a latched pair, an alarm with its interrupt, setting the time (the board's RTC).
#include "rom.h"

enum { TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c, IRQ_ENABLE = 0x10, CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c };

static u64 now(void) {
    u64 low = load32(RTC + TIME_LOW);
    return (u64)load32(RTC + TIME_HIGH) << 32 | low;
}
static void alarm_at(u64 time) {
    store32(RTC + ALARM_HIGH, (u32)(time >> 32));
    store32(RTC + ALARM_LOW, (u32)time);
}
static u64 pending(void) { return load32(PLIC + 0x1000) >> RTC_IRQ & 1; }

RULE("rtc") {
    store32(PLIC + 4 * RTC_IRQ, 1);
    store32(PLIC + 0x2000, 1 << RTC_IRQ);
    u64 first = now();
    // After the year 2000 and before 2200.
    check(first > 946684800000000000, 1);
    check(first < 7258118400000000000, 1);
    check(WAIT_FOR(now() > first), 1);
    // A millisecond of the one clock is a millisecond of the other, within a wide margin.
    u64 ticks = mtime(), start = now();
    while (mtime() < ticks + 20000) ;
    u64 passed = now() - start;
    check(passed >= 1000000, 1);
    check(passed < 3000000000, 1);

    // An alarm in the future is armed, fires, disarms itself and raises the interrupt.
    store32(RTC + IRQ_ENABLE, 1);
    u64 due = now() + 2000000;
    alarm_at(due);
    u64 armed = load32(RTC + ALARM_STATUS);
    if (now() < due) check(armed, 1);
    check(WAIT_FOR(pending()), 1);
    check(now() >= due, 1);
    check(load32(RTC + ALARM_STATUS), 0);
    check(csr_read(mip) & BIT(MEI), BIT(MEI));
    store32(RTC + CLEAR_INTERRUPT, 1);
    check(load32(PLIC + 0x200004), RTC_IRQ);
    store32(PLIC + 0x200004, RTC_IRQ);
    check(pending(), 0);
    // In the past it fires at once; masked it stays silent.
    store32(RTC + IRQ_ENABLE, 0);
    alarm_at(now() - 1000);
    check(load32(RTC + ALARM_STATUS), 0);
    check(pending(), 0);
    store32(RTC + CLEAR_INTERRUPT, 1);
    // Cleared before it is due it never fires.
    store32(RTC + IRQ_ENABLE, 1);
    alarm_at(now() + 1000000000000);
    check(load32(RTC + ALARM_STATUS), 1);
    store32(RTC + CLEAR_ALARM, 1);
    check(load32(RTC + ALARM_STATUS), 0);
    check(pending(), 0);
    // The time can be set.
    store32(RTC + TIME_HIGH, 0x10000000);
    store32(RTC + TIME_LOW, 0);
    check(load32(RTC + TIME_LOW) < 0xf0000000, 1);
    check(load32(RTC + TIME_HIGH), 0x10000000);
}
