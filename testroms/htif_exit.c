// A program ends the spike board with an exit code of its own: tohost = code << 1 | 1.
#include "htif.h"

RULE("htif_exit") { machine_exit(23); }
