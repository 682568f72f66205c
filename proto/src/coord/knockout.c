/* The knock-out build: one rule at a time is switched off, to see whether anything notices, and each rule that was met
 * is counted. In every other build this file is empty, and the core holds no variable. */
#include "coord/state.h"

#ifdef REJOIN_KNOCKOUT
extern enum rj_rule rj_knocked_out;
extern uint32_t rj_rule_hits[RJ_RULE_COUNT];

enum rj_rule rj_knocked_out = RJ_RULE_NONE;
uint32_t rj_rule_hits[RJ_RULE_COUNT];

bool rj_rule_holds(enum rj_rule rule, bool condition)
{
    rj_rule_hits[rule] += !condition;
    return condition || rj_knocked_out == rule;
}

bool rj_rule_does(enum rj_rule rule, bool condition)
{
    rj_rule_hits[rule] += condition;
    return condition && rj_knocked_out != rule;
}

bool rj_rule_without(enum rj_rule rule, bool condition)
{
    rj_rule_hits[rule] += condition;
    return condition && rj_knocked_out == rule;
}
#else
typedef int rj_no_knockout; /* a file must hold something */
#endif
