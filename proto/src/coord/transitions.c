/* The states of a group and the one function that changes them. */
#include "coord/rebalance.h"

/* Kafka's ClassicGroupState.validPreviousStates, with the rows as the state that is left. Dead is the end: a group is
 * Dead when its partition is unloaded. */
static const bool allowed[5][5] = {
    /*  to:                  Empty  Preparing Completing Stable Dead */
    [RJ_GROUP_EMPTY] =      {false, true,     false,     false, true},
    [RJ_GROUP_PREPARING] =  {true,  false,    true,      false, true},
    [RJ_GROUP_COMPLETING] = {false, true,     false,     true,  true},
    [RJ_GROUP_STABLE] =     {false, true,     false,     false, true},
    [RJ_GROUP_DEAD] =       {false, false,    false,     false, true},
};

bool rj_transition_allowed(enum rj_group_state from, enum rj_group_state to) { return allowed[from][to]; }

void rj_group_enter(struct rj_group *group, enum rj_group_state state, struct rj_cause cause)
{
    assert(rj_transition_allowed(group->state, state));
    *rj_output_change(group->coord->output) = (struct rj_state_change){
        .group_id = group->node.key, .from = group->state, .to = state, .generation_id = group->generation_id,
        .rule = cause.rule, .member_id = cause.member_id};
    group->previous_state = group->state;
    group->state = state;
    group->state_since_ms = group->coord->now_ms;
}

const char *rj_group_state_name(enum rj_group_state state)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"};
    return RJ_DOES(STATES_NAMES, true) ? names[state] : "";
}
