// Runs a kernel: once cold, until it is warm, then measured. What it prints is what `emulate bench` reads:
//   @bench start NAME
//   @bench first CHECKSUM NANOSECONDS
//   @bench measure
//   @bench result CHECKSUM ITERATIONS NANOSECONDS INSTRUCTIONS OPERATIONS ALL-ITERATIONS
//   @bench end NAME                         (or: @bench fail NAME REASON)
#include "bench.h"

/// At least this long without measuring: caches fill, translators translate.
#define WARM_UP 50000000ull
/// At least this long measured.
#define MEASURE 200000000ull

int bench_argument_count;
char **bench_arguments;

static char line[192];
static unsigned long length;

static void put_text(const char *text) {
    while (*text && length < sizeof line - 1) line[length++] = *text++;
}

static void put_number(u64 value, unsigned base, int width) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || count < width);
    put_text(" ");
    while (count && length < sizeof line - 1) line[length++] = digits[--count];
}

static void end_line(void) {
    line[length++] = '\n';
    platform_write(line, length);
    length = 0;
}

static void say(const char *word, const char *text) {
    put_text("@bench ");
    put_text(word);
    if (text) {
        put_text(" ");
        put_text(text);
    }
    end_line();
}

void bench_fail(const char *reason) {
    length = 0;
    put_text("@bench fail ");
    put_text(bench_name);
    put_text(" ");
    put_text(reason);
    end_line();
    platform_exit(1);
}

int main(int argc, char **argv) {
    bench_argument_count = argc;
    bench_arguments = argv;
    bench_setup();
    say("start", bench_name);

    u64 start = platform_nanoseconds();
    u64 checksum = bench_run();
    u64 all = 1;
    u64 now = platform_nanoseconds();
    put_text("@bench first");
    put_number(checksum, 16, 16);
    put_number(now - start, 10, 1);
    end_line();

    while (now - start < WARM_UP) {
        if (bench_run() != checksum) bench_fail("the checksum changed between iterations");
        all++;
        now = platform_nanoseconds();
    }

    say("measure", 0);
    u64 iterations = 0;
    u64 instructions = platform_instructions();
    start = platform_nanoseconds();
    do {
        if (bench_run() != checksum) bench_fail("the checksum changed between iterations");
        iterations++;
        now = platform_nanoseconds();
    } while (now - start < MEASURE);
    instructions = platform_instructions() - instructions;

    put_text("@bench result");
    put_number(checksum, 16, 16);
    put_number(iterations, 10, 1);
    put_number(now - start, 10, 1);
    put_number(instructions, 10, 1);
    put_number(bench_operations, 10, 1);
    put_number(all + iterations, 10, 1);
    end_line();
    say("end", bench_name);
    platform_exit(0);
}
