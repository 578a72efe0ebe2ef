// Sv48: leaves at every level, invalid and reserved entries, misaligned superpages, canonical addresses
// (privileged manual, "Sv48: Page-Based 48-bit Virtual-Memory System").
#include "translation.h"

RULE("sv48") { check_translation(SV48); }
