/* Rebalances. */
#include "coord/rebalance.h"

#include "coord/parked.h"
#include "coord/reply.h"
#include "coord/writes.h"

static struct rj_timers *timers_of(struct rj_group *group) { return &group->coord->timers; }

/* ---- What it takes ----------------------------------------------------------------------------------------------- */

struct rj_output_need rj_cascade_need(const struct rj_group *group, bool joining)
{
    int64_t members = (int64_t)group->members.count + (joining ? 2 : 1);
    size_t each = rj_output_len(sizeof(struct rj_join_group_response))
                  + rj_output_len(sizeof(struct rj_sync_group_response)) + sizeof(struct rj_join_group_response_member)
                  + sizeof(struct rj_group_metadata_value_member_metadata);
    return (struct rj_output_need){.replies = 2 * members + 2, .appends = 2, .changes = 6,
                                   .bytes = (size_t)members * each + 2048};
}

bool rj_cascade_reserve(struct rj_group *group, const struct rj_protocols *joining, bool is_joining)
{
    struct rj_coord *coord = group->coord;
    if (!rj_output_reserve(coord->output, rj_cascade_need(group, is_joining)))
        return false;
    if (coord->spare_write == NULL && (coord->spare_write = rj_write_prepare(coord, 0, 0, 0)) == NULL)
        return false;
    bool ok = true;
    rj_memory_free(&coord->memory, coord->subscribed);
    coord->subscribed = rj_subscribed_prepare(group, joining, &coord->subscribed_mask, &ok);
    return ok;
}

void rj_cascade_release(struct rj_coord *coord)
{
    if (coord->spare_write != NULL)
        rj_write_discard(coord, coord->spare_write);
    rj_memory_free(&coord->memory, coord->subscribed);
    coord->spare_write = NULL;
    coord->subscribed = NULL;
}

/* ---- Answers to parked requests ---------------------------------------------------------------------------------- */

static bool take_join(struct rj_group *group, struct rj_member *member, bool *owed)
{
    if (!member->join.waiting)
        return false;
    *owed = rj_parked_take(&member->join);
    member->join.waiting = false;
    group->awaiting_join_count--;
    return true;
}

void rj_answer_join_error(struct rj_group *group, struct rj_member *member, struct rj_string member_id, int16_t error,
                          enum rj_rule rule)
{
    bool owed;
    if (!take_join(group, member, &owed) || !owed)
        return;
    struct rj_join_group_response *response = rj_join_response(group->coord, member->join.origin.version);
    response->error_code = error;
    response->member_id = member_id;
    rj_reply(group->coord, &member->join.origin, response, rule);
}

void rj_answer_join(struct rj_group *group, struct rj_member *member, struct rj_string leader, bool with_members,
                    bool skip_assignment)
{
    bool owed;
    if (!take_join(group, member, &owed) || !owed)
        return;
    struct rj_join_group_response *response = rj_join_response(group->coord, member->join.origin.version);
    response->generation_id = group->generation_id;
    response->protocol_type = group->protocol_type;
    response->protocol_name = group->protocol_name;
    response->leader = leader;
    response->member_id = member->node.key;
    response->skip_assignment = skip_assignment;
    if (with_members)
        response->members = rj_join_members(group);
    rj_reply(group->coord, &member->join.origin, response, RJ_RULE_NONE);
}

void rj_answer_sync(struct rj_group *group, struct rj_member *member, int16_t error, enum rj_rule rule)
{
    if (!member->sync.waiting)
        return;
    bool owed = rj_parked_take(&member->sync);
    member->sync.waiting = false;
    if (!owed)
        return;
    struct rj_sync_group_response *response = rj_sync_response(group->coord);
    response->error_code = error;
    if (RJ_DOES(SYNC_SUCCESS_SHAPE, error == 0)) {
        response->protocol_type = group->protocol_type;
        response->protocol_name = group->protocol_name;
    }
    if (error == 0) {
        response->assignment = member->assignment;
    }
    rj_reply(group->coord, &member->sync.origin, response, rule);
}

void rj_restart_session(struct rj_group *group, struct rj_identity *identity, int32_t timeout_ms)
{
    const struct rj_member *other = group->leader ? group->leader->member : NULL;
    if (RJ_WITHOUT(SESSION_PER_MEMBER, other != NULL && other->identity->session_timeout_ms != timeout_ms))
        timeout_ms = other->identity->session_timeout_ms;
    if (RJ_WITHOUT(SESSION_EXPIRY_NOT_EARLY, true))
        timeout_ms--;
    if (RJ_DOES(TMR_SESSION, true))
        rj_timer_start(timers_of(group), &identity->timer, group->coord->now_ms, timeout_ms);
}

/* Kafka restarts the session of a member whose parked SyncGroup is answered, since an expiry in the meantime was
 * swallowed. */
void rj_propagate_assignments(struct rj_group *group, int16_t error, enum rj_rule rule)
{
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        if (!member->sync.waiting)
            continue;
        rj_answer_sync(group, member, error, rule);
        if (RJ_DOES(SYNC_RESTART_SESSION, true))
            rj_restart_session(group, member->identity, member->identity->session_timeout_ms);
    }
}

void rj_reset_assignments(struct rj_group *group, int16_t error, enum rj_rule rule)
{
    assert(group->state == RJ_GROUP_COMPLETING);
    RJ_MAP_EACH (node, &group->members)
        rj_member_set_assignment(group, rj_member_of(node), RJ_EMPTY_BYTES);
    rj_propagate_assignments(group, error, rule);
}

/* ---- Entering ---------------------------------------------------------------------------------------------------- */

enum rj_outcome rj_prepare_rebalance(struct rj_group *group, struct rj_cause cause)
{
    struct rj_coord *coord = group->coord;
    if (RJ_DOES(REB_SYNC_ABORT, group->state == RJ_GROUP_COMPLETING))
        rj_reset_assignments(group, RJ_KAFKA_REBALANCE_IN_PROGRESS, RJ_RULE_REB_SYNC_ABORT);
    if (!RJ_WITHOUT(REB_SYNC_TIMER_OFF, group->sync_timer.place != 0)) {
        rj_group_clear_pending_sync(group);
        rj_timer_cancel(&coord->timers, &group->sync_timer);
    }
    bool initial = RJ_DOES(TMR_INITIAL_DELAY, group->state == RJ_GROUP_EMPTY);
    int32_t timeout_ms = rj_group_rebalance_timeout_ms(group);
    if (initial) {
        int32_t delay_ms = coord->config.group_initial_rebalance_delay_ms;
        group->join_timer_kind = RJ_JOIN_TIMER_INITIAL;
        group->initial_delay_ms = delay_ms;
        group->initial_remaining_ms = timeout_ms > delay_ms ? timeout_ms - delay_ms : 0;
        if (RJ_WITHOUT(INIT_DELAY_FIRST, true))
            group->initial_remaining_ms = timeout_ms;
        if (RJ_WITHOUT(INIT_DELAY_ZERO, delay_ms == 0))
            delay_ms++;
        rj_timer_start(&coord->timers, &group->join_timer, coord->now_ms, delay_ms);
    }
    rj_group_enter(group, RJ_GROUP_PREPARING, cause);
    if (initial)
        return RJ_OUTCOME_NONE;
    if (RJ_DOES(REB_IMMEDIATE, rj_all_joined(group)))
        return rj_complete_join(group, cause);
    group->join_timer_kind = RJ_JOIN_TIMER_PHASE;
    if (RJ_DOES(TMR_JOIN, true))
        rj_timer_start(&coord->timers, &group->join_timer, coord->now_ms, timeout_ms);
    return RJ_OUTCOME_NONE;
}

enum rj_outcome rj_maybe_complete_join(struct rj_group *group, struct rj_cause cause)
{
    if (group->state != RJ_GROUP_PREPARING || !rj_all_joined(group)
        || RJ_DOES(INIT_DELAY_NO_EARLY_JOIN, group->previous_state == RJ_GROUP_EMPTY))
        return RJ_OUTCOME_NONE;
    return rj_complete_join(group, cause);
}

enum rj_outcome rj_rebalance_or_complete(struct rj_group *group, struct rj_cause cause)
{
    if (rj_transition_allowed(group->state, RJ_GROUP_PREPARING))
        return rj_prepare_rebalance(group, cause);
    return rj_maybe_complete_join(group, cause);
}

/* ---- Completing the join phase ----------------------------------------------------------------------------------- */

static void remove_absent_dynamic(struct rj_group *group)
{
    if (group->members.count == (uint32_t)group->awaiting_join_count)
        return;
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        if (member->join.waiting || RJ_DOES(JOINC_KEEP_STATIC, member->instance.key.data != NULL)
            || !RJ_DOES(JOINC_REMOVE_DYNAMIC, true))
            continue;
        rj_timer_cancel(timers_of(group), &member->identity->timer);
        rj_member_remove(group, member);
    }
}

/* Whether somebody who leads has joined: the recorded leader, or the first in map order that did. */
static bool elect_joined_leader(struct rj_group *group)
{
    const struct rj_pins *pins = group->coord->pins;
    if (pins != NULL && pins->leader.data != NULL) {
        struct rj_member *pinned = rj_member_find(group, pins->leader);
        if (pinned != NULL && pinned->join.waiting)
            rj_group_set_leader(group, pinned->identity);
    }
    if (group->leader == NULL)
        return false;
    if (group->leader->member != NULL && group->leader->member->join.waiting)
        return true;
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        if (RJ_DOES(JOINC_LEADER_ELECT, member->join.waiting)) {
            rj_group_set_leader(group, member->identity);
            return true;
        }
    }
    return false;
}

static struct rj_protocol_counter *choose_protocol(struct rj_group *group)
{
    struct rj_protocol_counter *voted = rj_group_vote(group);
    const struct rj_pins *pins = group->coord->pins;
    if (voted == NULL || pins == NULL || pins->protocol_name.data == NULL)
        return voted;
    struct rj_map_node *node =
        rj_map_find(&group->counters, pins->protocol_name, rj_mixed_hash(pins->protocol_name));
    struct rj_protocol_counter *pinned = node ? RJ_CONTAINER(node, struct rj_protocol_counter, node) : NULL;
    return pinned != NULL && pinned->count == (int32_t)group->members.count ? pinned : voted;
}

static void take_subscribed(struct rj_group *group)
{
    struct rj_coord *coord = group->coord;
    rj_subscribed_compute(group, coord->subscribed, coord->subscribed_mask);
    coord->subscribed = NULL;
}

/* False where Kafka throws half-way: the leader's list shows what each member offers under the chosen name. */
static bool answer_joined(struct rj_group *group)
{
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        if (member->identity == group->leader && RJ_DOES(JOIN_DUPLICATE_PROTOCOLS, !rj_all_offer_chosen(group)))
            return false;
        rj_answer_join(group, member, group->leader->node.key,
                       RJ_DOES(JOINC_RESPONSE_LEADER, member->identity == group->leader), false);
        if (RJ_DOES(JOINC_GENERATION, true))
            rj_restart_session(group, member->identity, member->identity->session_timeout_ms);
        member->is_new = false;
        rj_group_set_pending_sync(group, member->identity, true);
    }
    group->sync_timer_generation = group->generation_id;
    if (RJ_DOES(TMR_PENDING_SYNC, group->coord->config.behaviour.pending_sync_expires))
        rj_timer_start(timers_of(group), &group->sync_timer,
                       group->coord->now_ms, rj_group_rebalance_timeout_ms(group));
    return true;
}

enum rj_outcome rj_complete_join(struct rj_group *group, struct rj_cause cause)
{
    struct rj_coord *coord = group->coord;
    rj_timer_cancel(&coord->timers, &group->join_timer);
    remove_absent_dynamic(group);
    if (RJ_DOES(JOINC_NOBODY, !elect_joined_leader(group) && group->members.count > 0)) {
        /* Only static members are left and none of them has joined. Kafka waits as long again; a timeout of 0 or less
         * (clients may send any) must still let time pass, or one step would never end. */
        int32_t timeout_ms = rj_group_rebalance_timeout_ms(group);
        group->join_timer_kind = RJ_JOIN_TIMER_PHASE;
        rj_timer_start(&coord->timers, &group->join_timer, coord->now_ms, (timeout_ms > 0 ? timeout_ms : 1));
        return RJ_OUTCOME_NONE;
    }
    group->generation_id += RJ_DOES(GENERATION_START, true);
    if (group->members.count == 0) {
        rj_group_set_protocol(group, NULL);
        take_subscribed(group);
        if (group->state == RJ_GROUP_EMPTY) /* a timer of an earlier group by this id: Kafka's transition throws */
            return RJ_OUTCOME_NONE;
        rj_group_enter(group, RJ_GROUP_EMPTY, cause);
        rj_group_clear_pending_sync(group);
        return RJ_DOES(JOINC_EMPTY, true) ? RJ_OUTCOME_EMPTIED : RJ_OUTCOME_NONE;
    }
    struct rj_protocol_counter *protocol = choose_protocol(group);
    if (protocol != NULL)
        rj_group_set_protocol(group, protocol);
    if (RJ_DOES(JOIN_DUPLICATE_PROTOCOLS, protocol == NULL || !rj_subscribed_is_readable(group)))
        return RJ_OUTCOME_VOTE_FAILED;
    take_subscribed(group);
    rj_group_enter(group, RJ_GROUP_COMPLETING, cause);
    rj_group_clear_pending_sync(group);
    if (!answer_joined(group))
        return RJ_OUTCOME_VOTE_FAILED;
    return RJ_WITHOUT(LOAD_MEMBER_NEW_ONLY_AT_SYNC, true) ? RJ_OUTCOME_EMPTIED : RJ_OUTCOME_NONE;
}

/* ---- Timers ------------------------------------------------------------------------------------------------------ */

void rj_evict(struct rj_group *group, struct rj_member *member, enum rj_rule rule)
{
    if (RJ_DOES_BY(rule, member->join.waiting))
        rj_answer_join_error(group, member, RJ_EMPTY_STRING, RJ_KAFKA_UNKNOWN_MEMBER_ID, rule);
    rj_member_remove(group, member);
}

/* The initial delay may be cut short by an expiry, unlike by a JoinGroup. */
static bool expiry_may_complete(const struct rj_group *group)
{
    return group->previous_state != RJ_GROUP_EMPTY
           || RJ_DOES(INIT_DELAY_EARLY_BY_EXPIRY, group->coord->config.behaviour.expiry_ends_initial_delay);
}

static enum rj_outcome after_removal(struct rj_group *group, struct rj_cause cause)
{
    if (group->state == RJ_GROUP_STABLE || group->state == RJ_GROUP_COMPLETING)
        return rj_rebalance_or_complete(group, cause);
    if (group->state != RJ_GROUP_PREPARING || !rj_all_joined(group) || !expiry_may_complete(group))
        return RJ_OUTCOME_NONE;
    if (cause.rule == RJ_RULE_TMR_NEW_MEMBER && !RJ_DOES(TMR_NEW_MEMBER_EXPIRY_COMPLETES, true))
        return RJ_OUTCOME_NONE;
    return rj_complete_join(group, cause);
}

enum rj_outcome rj_expire_session(struct rj_identity *identity)
{
    struct rj_group *group = identity->group;
    struct rj_cause cause = {RJ_RULE_SESSION_EXPIRY, identity->node.key};
    if (!group->exists || group->state == RJ_GROUP_DEAD)
        return RJ_OUTCOME_NONE;
    if (identity->is_pending) {
        cause.rule = RJ_RULE_TMR_PENDING_MEMBER;
        rj_group_set_pending(group, identity, false);
        if (group->state != RJ_GROUP_PREPARING || !rj_all_joined(group) || !expiry_may_complete(group))
            return RJ_OUTCOME_NONE;
        return rj_complete_join(group, cause);
    }
    struct rj_member *member = identity->member;
    if (RJ_WITHOUT(TMR_SESSION_CANCEL_ON_REMOVAL, member == NULL))
        return after_removal(group, cause);
    if (member == NULL)
        return RJ_OUTCOME_NONE;
    bool is_parked = member->join.waiting || member->sync.waiting;
    if (RJ_DOES(TMR_PARKED_ALIVE, !member->is_new && is_parked)
        || RJ_WITHOUT(TMR_NEW_NOT_ALIVE, member->is_new && is_parked))
        return RJ_OUTCOME_NONE;
    if (!RJ_DOES(SESSION_EXPIRY, true))
        return RJ_OUTCOME_NONE;
    if (member->is_new)
        cause.rule = RJ_RULE_TMR_NEW_MEMBER;
    rj_evict(group, member, cause.rule);
    return after_removal(group, cause);
}

enum rj_outcome rj_expire_join(struct rj_group *group)
{
    struct rj_coord *coord = group->coord;
    if (!group->exists)
        return RJ_OUTCOME_NONE;
    struct rj_cause cause = {RJ_RULE_TMR_JOIN, RJ_NULL_STRING};
    if (group->join_timer_kind == RJ_JOIN_TIMER_INITIAL) {
        cause.rule = RJ_RULE_TMR_INITIAL_DELAY;
        int32_t remaining_ms = group->initial_remaining_ms, delay_ms = coord->config.group_initial_rebalance_delay_ms;
        if (RJ_DOES(INIT_DELAY_EXTEND, group->new_member_added && remaining_ms != 0)) {
            group->new_member_added = false;
            group->initial_remaining_ms =
                remaining_ms > group->initial_delay_ms ? remaining_ms - group->initial_delay_ms : 0;
            group->initial_delay_ms = delay_ms < remaining_ms ? delay_ms : remaining_ms;
            rj_timer_start(&coord->timers, &group->join_timer, coord->now_ms, group->initial_delay_ms);
            return RJ_OUTCOME_NONE;
        }
    }
    return rj_complete_join(group, cause);
}

enum rj_outcome rj_expire_sync(struct rj_group *group)
{
    bool is_in_time = group->state == RJ_GROUP_COMPLETING || group->state == RJ_GROUP_STABLE
                      || RJ_WITHOUT(REB_SYNC_TIMER_OFF, group->state == RJ_GROUP_PREPARING);
    if (!group->exists || group->sync_timer_generation != group->generation_id || !is_in_time
        || group->pending_sync_count == 0 || !RJ_DOES(SYNC_PENDING_EXPIRY, true))
        return RJ_OUTCOME_NONE;
    RJ_MAP_EACH (node, &group->identities) {
        struct rj_identity *identity = rj_identity_of(node);
        if (!identity->is_pending_sync)
            continue;
        rj_timer_cancel(timers_of(group), &identity->timer);
        if (identity->member != NULL) {
            rj_member_remove(group, identity->member);
        } else {
            rj_group_set_pending_sync(group, identity, false);
            rj_identity_forget_if_idle(identity);
        }
    }
    return rj_rebalance_or_complete(group, (struct rj_cause){RJ_RULE_SYNC_PENDING_EXPIRY, RJ_NULL_STRING});
}
