#define _GNU_SOURCE
#include "HostTerminal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

// `saved` and `raw` are written before `wanted` is set and not afterwards, so handlers always see complete values.
static struct termios saved, raw;
static atomic_int wanted;      // raw mode was asked for
static atomic_int active;      // raw mode is set at this moment
static int terminal = -1;

static int wake_descriptor = -1;
static atomic_int pending_signal;
static atomic_int interrupts_are_caught, interrupted;
static atomic_int seen[NSIG];
static struct sigaction previous[NSIG];

static int may_use_terminal(int descriptor) {
    pid_t foreground = tcgetpgrp(descriptor);
    return foreground < 0 || foreground == getpgrp();
}

// tcsetattr interrupted by a signal has changed nothing.
static int set_attributes(const struct termios *settings) {
    int result;
    do result = tcsetattr(terminal, TCSANOW, settings);
    while (result < 0 && errno == EINTR);
    return result;
}

static void enter_if_wanted(void) {
    if (!atomic_load(&wanted) || atomic_load(&active) || !may_use_terminal(terminal)) return;
    if (set_attributes(&raw) == 0) atomic_store(&active, 1);
}

static void leave(void) {
    if (!atomic_exchange(&active, 0)) return;
    // In the background the settings are somebody else's by now, and tcsetattr would stop this process.
    if (may_use_terminal(terminal)) set_attributes(&saved);
}

int host_terminal_enter_raw(int descriptor, int keep_signals) {
    if (tcgetattr(descriptor, &saved) < 0) return -1;
    terminal = descriptor;
    raw = saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!keep_signals) raw.c_lflag &= ~(tcflag_t)ISIG;
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    static int registered;
    if (!registered) registered = atexit(host_terminal_restore) == 0;
    atomic_store(&wanted, 1);
    enter_if_wanted();
    return 0;
}

void host_terminal_restore(void) {
    atomic_store(&wanted, 0);
    leave();
}

int host_terminal_refresh(int descriptor) {
    if (!may_use_terminal(descriptor)) return 0;
    enter_if_wanted();
    return 1;
}

static void wake(void) {
    eventfd_t one = 1;
    ssize_t written = write(wake_descriptor, &one, sizeof one);
    (void)written;  // a full counter is readable already
}

void host_signals_die(int signal) {
    host_terminal_restore();
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + signal);
}

static void on_termination(int signal) {
    int error = errno;
    if (signal == SIGINT && atomic_load(&interrupts_are_caught)) {
        atomic_store(&interrupted, 1);
        wake();
        errno = error;
        return;
    }
    if (atomic_exchange(&seen[signal], 1)) host_signals_die(signal);
    int none = 0;
    atomic_compare_exchange_strong(&pending_signal, &none, signal);
    wake();
    errno = error;
}

static void on_stop(int signal) {
    int error = errno;
    leave();
    struct sigaction ours, standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, &ours);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);  // stops here until SIGCONT, whose handler runs before this returns
    sigaction(signal, &ours, NULL);
    enter_if_wanted();  // the kernel does not stop a process group nobody could continue
    errno = error;
}

static void on_continue(int signal) {
    (void)signal;
    int error = errno;
    // Another program may have changed the settings meanwhile: set them again.
    if (may_use_terminal(terminal)) atomic_store(&active, 0);
    enter_if_wanted();
    wake();
    errno = error;
}

static void on_fatal(int signal, siginfo_t *info, void *context) {
    (void)context;
    leave();
    sigaction(signal, &previous[signal], NULL);
    // A fault happens again when the handler returns; a signal that was sent has to be sent again.
    if (info->si_code <= 0 || signal == SIGABRT) raise(signal);
}

static int install(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    struct sigaction old;
    if (sigaction(signal, NULL, &old) < 0) return -1;
    // What nohup or a shell's `&` has set to be ignored stays ignored.
    if (old.sa_handler == SIG_IGN) return 0;
    return sigaction(signal, &action, NULL);
}

int host_signals_install(void) {
    if (wake_descriptor >= 0) return wake_descriptor;
    wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_descriptor < 0) return -1;

    // A stack overflow must still find room for the handler.
    static char stack[64 * 1024];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    if (sigaltstack(&alternate, NULL) < 0) return -1;

    static const int termination[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof termination / sizeof *termination; i++)
        if (install(termination[i], on_termination) < 0) return -1;
    if (install(SIGTSTP, on_stop) < 0 || install(SIGCONT, on_continue) < 0) return -1;

    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        if (sigaction(fatal[i], &action, &previous[fatal[i]]) < 0) return -1;
    }
    // A parent's blocked signals are inherited, but these are how this process is told to end.
    sigset_t wanted_signals;
    sigemptyset(&wanted_signals);
    for (size_t i = 0; i < sizeof termination / sizeof *termination; i++) sigaddset(&wanted_signals, termination[i]);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaddset(&wanted_signals, fatal[i]);
    sigaddset(&wanted_signals, SIGTSTP);
    sigaddset(&wanted_signals, SIGCONT);
    sigprocmask(SIG_UNBLOCK, &wanted_signals, NULL);

    // Both are reported by the write that failed, which can then be reported in turn.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return wake_descriptor;
}

void host_signals_catch_interrupts(void) { atomic_store(&interrupts_are_caught, 1); }

int host_signals_take_interrupt(void) { return atomic_exchange(&interrupted, 0); }

int host_signals_pending(void) { return atomic_load(&pending_signal); }
