#define _GNU_SOURCE
#include "HostMeasure.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// User-mode instructions of `process` and what it starts, from its next exec on.
static int count_instructions(pid_t process) {
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.disabled = 1;
    attributes.enable_on_exec = 1;
    attributes.inherit = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return (int)syscall(SYS_perf_event_open, &attributes, process, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int host_spawn_measured(const char *program, char *const arguments[], const char *directory, int output, int errors, int *counter) {
    // The child waits on `gate` until it is counted, and reports on `report` when it cannot be executed.
    int gate[2], report[2];
    if (pipe2(gate, O_CLOEXEC) < 0) return -1;
    if (pipe2(report, O_CLOEXEC) < 0) {
        int code = errno;
        close(gate[0]);
        close(gate[1]);
        errno = code;
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(gate[1]);
        char byte;
        if (read(gate[0], &byte, 1) != 1) _exit(127);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, 0);
        int input = open("/dev/null", O_RDONLY);
        if (input >= 0 && dup2(input, 0) >= 0 && dup2(output, 1) >= 0 && dup2(errors, 2) >= 0 && chdir(directory) == 0)
            execvp(program, arguments);
        int code = errno;
        if (write(report[1], &code, sizeof code) < 0) _exit(126);
        _exit(127);
    }
    int code = errno;
    close(gate[0]);
    close(report[1]);
    *counter = -1;
    if (child > 0) {
        *counter = count_instructions(child);
        if (write(gate[1], "", 1) != 1) code = errno;
        int failure;
        ssize_t length;
        do length = read(report[0], &failure, sizeof failure);
        while (length < 0 && errno == EINTR);
        if (length == sizeof failure) {
            waitpid(child, 0, 0);
            if (*counter >= 0) close(*counter);
            *counter = -1;
            child = -1;
            code = failure;
        }
    }
    close(gate[1]);
    close(report[0]);
    if (child < 0) errno = code;
    return child;
}

int host_read_counter(int counter, uint64_t *value) {
    struct { uint64_t value, enabled, running; } reading;
    if (read(counter, &reading, sizeof reading) != sizeof reading || !reading.running) return -1;
    // Shared with other counters, it ran only part of the time.
    *value = reading.running == reading.enabled ? reading.value
                                                : (uint64_t)((double)reading.value * (double)reading.enabled / (double)reading.running);
    return 0;
}
