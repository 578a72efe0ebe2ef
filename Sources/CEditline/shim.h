// The interface libedit shares with readline: its own one takes variable arguments, which Swift cannot pass. Its global variables are
// set by functions here, because Swift takes a C global for shared state.
#include <stdio.h>
#include <editline/readline.h>

/// Sets the name for ~/.editrc and what completes words: it gets the word and where in the line it starts and ends, and returns a list
/// as rl_completion_matches makes it. File names are never offered.
static inline void edit_initialize(const char *name, rl_completion_func_t *complete) {
    rl_readline_name = name;
    rl_attempted_completion_function = complete;
    rl_initialize();
    using_history();
}

/// Keeps file names from being offered where nothing else fits; to be called in each completion.
static inline void edit_offer_no_files(void) { rl_attempted_completion_over = 1; }

/// The line as typed so far.
static inline const char *edit_line(void) { return rl_line_buffer; }
