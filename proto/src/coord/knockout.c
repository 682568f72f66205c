/* The knock-out build: one rule at a time is switched off, to see whether anything notices. In every other build this
 * file is empty, and the core holds no variable. */
#include "coord/state.h"

#ifdef REJOIN_KNOCKOUT
enum rj_rule rj_knocked_out = RJ_RULE_NONE;
#else
typedef int rj_no_knockout; /* a file must hold something */
#endif
