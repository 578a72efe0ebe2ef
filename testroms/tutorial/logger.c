// A data logger: a timer interrupt samples a sensor, the program averages the samples and reports.
// It is the guest of the tutorial in docs/debugger.md, and has the bug that is hunted there.
#include <stdint.h>

enum {
    SAMPLES = 2000,  // to be logged altogether
    SLOTS = 64,      // of the buffer between the interrupt and the program
    PERIOD = 18,     // ticks of the 10 MHz timer from sample to sample
    WINDOW = 16,     // samples that are averaged
    REPORT = 500,    // samples from report to report
};

#define MTIMECMP (*(volatile uint64_t *)0x2004000)
#define MTIME (*(volatile uint64_t *)0x200bff8)
#define UART ((volatile uint8_t *)0x10000000)
#define FINISHER (*(volatile uint32_t *)0x100000)

uint32_t samples[SLOTS];
volatile uint32_t waiting;  // samples in the buffer that nobody has taken
uint32_t next_in, next_out;
uint32_t made, lost;

static void interrupts_on(void) {
    __asm__ volatile("csrsi mstatus, 8" ::: "memory");
}

static void interrupts_off(void) {
    __asm__ volatile("csrci mstatus, 8" ::: "memory");
}

static uint32_t read_sensor(void) {
    static uint32_t level = 1;
    level = level * 1103515245 + 12345;
    return level >> 22;
}

__attribute__((interrupt("machine"), aligned(4))) void sample(void) {
    if (waiting < SLOTS) {
        samples[next_in] = read_sensor();
        next_in = (next_in + 1) % SLOTS;
        waiting++;
    } else {
        lost++;
    }
    made++;
    MTIMECMP = made < SAMPLES ? MTIMECMP + PERIOD : UINT64_MAX;
}

// Takes the oldest sample out of the buffer.
__attribute__((noinline)) uint32_t take(void) {
    interrupts_off();
    while (waiting == 0) {
        // An interrupt ends the wait even now; it is taken when interrupts are on.
        __asm__ volatile("wfi");
        interrupts_on();
        interrupts_off();
    }
    interrupts_on();
    uint32_t value = samples[next_out];
    next_out = (next_out + 1) % SLOTS;
    waiting--;
    return value;
}

static void print(const char *text) {
    while (*text) {
        while (!(UART[5] & 0x20)) {}
        UART[0] = (uint8_t)*text++;
    }
}

static void print_number(uint64_t number) {
    char digits[21];
    char *first = digits + 20;
    *first = 0;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print(first);
}

// The mean of the last samples: the sensor is noisy.
__attribute__((noinline)) uint32_t smooth(uint32_t value) {
    static uint32_t recent[WINDOW];
    static uint32_t oldest;
    recent[oldest] = value;
    oldest = (oldest + 1) % WINDOW;
    uint32_t sum = 0;
    for (int i = 0; i < WINDOW; i++) sum += recent[i];
    return sum / WINDOW;
}

__attribute__((noinline)) void report(uint32_t count, uint32_t level) {
    print_number(count);
    print(" samples, level ");
    print_number(level);
    print("\n");
}

void program(void) {
    __asm__ volatile("csrw mtvec, %0" ::"r"(sample));
    MTIMECMP = MTIME + PERIOD;
    __asm__ volatile("csrw mie, %0" ::"r"(1 << 7));
    interrupts_on();
    for (uint32_t count = 1; count <= SAMPLES; count++) {
        uint32_t level = smooth(take());
        if (count % REPORT == 0) report(count, level);
    }
    print("done\n");
    FINISHER = 0x5555;
}
