// Sv39: leaves at every level, invalid and reserved entries, misaligned superpages, canonical addresses
// (privileged manual, "Sv39: Page-Based 39-bit Virtual-Memory System").
#include "translation.h"

RULE("sv39") { check_translation(SV39); }
