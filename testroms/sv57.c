// Sv57: leaves at every level, invalid and reserved entries, misaligned superpages, canonical addresses
// (privileged manual, "Sv57: Page-Based 57-bit Virtual-Memory System").
#include "translation.h"

RULE("sv57") { check_translation(SV57); }
