#ifndef EMULATE_HOSTTERMINAL_H
#define EMULATE_HOSTTERMINAL_H

// Terminal modes and the signals that must put them back. In C because signal handlers may only call
// async-signal-safe functions, which Swift code cannot promise. One terminal and one set of handlers per process.

/// Puts the terminal `descriptor` into raw mode: no echo, no line editing, 8 bits, output processing kept. With
/// `keep_signals` Ctrl-C, Ctrl-Z and Ctrl-\ still raise signals. Remembers the old settings and restores them on exit.
/// While this process is in the background nothing happens until `host_terminal_refresh` finds it in the foreground.
/// Returns 0, or -1 with errno set (ENOTTY: not a terminal).
int host_terminal_enter_raw(int descriptor, int keep_signals);

/// Puts the remembered settings back and forgets them. Harmless when there is nothing to restore.
void host_terminal_restore(void);

/// Returns 1 when input of the terminal `descriptor` may be read: the process is in the foreground, or the
/// terminal does no job control. Re-enters raw mode when the process has come back to the foreground.
int host_terminal_refresh(int descriptor);

/// Installs the handlers: SIGINT, SIGTERM, SIGHUP and SIGQUIT are recorded (a second one of a kind ends the process
/// at once), SIGTSTP, SIGCONT and fatal signals restore or re-enter the terminal mode, SIGPIPE and
/// SIGXFSZ are ignored.
/// All but the ignored ones are unblocked. Returns a descriptor that becomes readable when a signal was recorded, or -1 with errno set.
int host_signals_install(void);

/// From now on SIGINT ends nothing: it only makes the descriptor readable and is kept for `host_signals_take_interrupt`.
void host_signals_catch_interrupts(void);

/// 1 when SIGINT came since the last call, else 0.
int host_signals_take_interrupt(void);

/// The first recorded termination signal, or 0.
int host_signals_pending(void);

/// Restores the terminal and ends the process by `signal`'s default action.
void host_signals_die(int signal);

#endif
