/* What each state does with each request, drawn as a table, and the check of member identity that several requests
 * share. */
#include "coord/api.h"

#define NO(rule, error) {RJ_ADMIT_REFUSE, RJ_RULE_##rule, RJ_KAFKA_##error}
#define PARK(rule) {RJ_ADMIT_PARK, RJ_RULE_##rule, 0}
#define SAME(rule) {RJ_ADMIT_SAME, RJ_RULE_##rule, 0}
#define OK(rule) {RJ_ADMIT_ANSWER, RJ_RULE_##rule, 0}
#define WAIT(rule) {RJ_ADMIT_WAIT, RJ_RULE_##rule, 0}
#define STORE(rule) {RJ_ADMIT_STORE, RJ_RULE_##rule, 0}

/* clang-format off */
static const struct rj_cell cells[RJ_REQUEST_KIND_COUNT][5] = {
[RJ_REQUEST_JOIN_NEW] = {
    [RJ_GROUP_EMPTY]      = PARK(JOIN_NOGROUP_EMPTY_ID),
    [RJ_GROUP_PREPARING]  = PARK(JOIN_NEW_DYNAMIC_V4),
    [RJ_GROUP_COMPLETING] = PARK(JOIN_NEW_DYNAMIC_V4),
    [RJ_GROUP_STABLE]     = PARK(JOIN_NEW_DYNAMIC_V4),
    [RJ_GROUP_DEAD]       = NO(JOIN_NEW_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_JOIN_PROMISED] = {
    [RJ_GROUP_EMPTY]      = PARK(JOIN_PENDING_ACCEPT),
    [RJ_GROUP_PREPARING]  = PARK(JOIN_PENDING_ACCEPT),
    [RJ_GROUP_COMPLETING] = PARK(JOIN_PENDING_ACCEPT),
    [RJ_GROUP_STABLE]     = PARK(JOIN_PENDING_ACCEPT),
    [RJ_GROUP_DEAD]       = NO(JOIN_KNOWN_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_JOIN_LEADER] = {
    [RJ_GROUP_EMPTY]      = NO(JOIN_EMPTY_KNOWN, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = PARK(JOIN_PREPARING),
    [RJ_GROUP_COMPLETING] = SAME(JOIN_COMPLETING_SAME),
    [RJ_GROUP_STABLE]     = PARK(JOIN_STABLE_LEADER),
    [RJ_GROUP_DEAD]       = NO(JOIN_KNOWN_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_JOIN_FOLLOWER] = {
    [RJ_GROUP_EMPTY]      = NO(JOIN_EMPTY_KNOWN, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = PARK(JOIN_PREPARING),
    [RJ_GROUP_COMPLETING] = SAME(JOIN_COMPLETING_SAME),
    [RJ_GROUP_STABLE]     = SAME(JOIN_STABLE_FOLLOWER_SAME),
    [RJ_GROUP_DEAD]       = NO(JOIN_KNOWN_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_SYNC_LEADER] = {
    [RJ_GROUP_EMPTY]      = NO(SYNC_UNKNOWN_GROUP, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = NO(SYNC_PREPARING, REBALANCE_IN_PROGRESS),
    [RJ_GROUP_COMPLETING] = STORE(SYNC_COMPLETING_LEADER),
    [RJ_GROUP_STABLE]     = OK(SYNC_STABLE),
    [RJ_GROUP_DEAD]       = NO(SYNC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_SYNC_FOLLOWER] = {
    [RJ_GROUP_EMPTY]      = NO(SYNC_UNKNOWN_GROUP, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = NO(SYNC_PREPARING, REBALANCE_IN_PROGRESS),
    [RJ_GROUP_COMPLETING] = WAIT(SYNC_COMPLETING_FOLLOWER),
    [RJ_GROUP_STABLE]     = OK(SYNC_STABLE),
    [RJ_GROUP_DEAD]       = NO(SYNC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_HEARTBEAT] = {
    [RJ_GROUP_EMPTY]      = NO(HB_EMPTY, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = NO(HB_PREPARING, REBALANCE_IN_PROGRESS),
    [RJ_GROUP_COMPLETING] = OK(HB_COMPLETING),
    [RJ_GROUP_STABLE]     = OK(HB_STABLE),
    [RJ_GROUP_DEAD]       = NO(HB_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_COMMIT] = {
    [RJ_GROUP_EMPTY]      = NO(OC_MEMBER_CHECKS, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = OK(OC_PREPARING_OK),
    [RJ_GROUP_COMPLETING] = NO(OC_COMPLETING, REBALANCE_IN_PROGRESS),
    [RJ_GROUP_STABLE]     = OK(OC_SESSION),
    [RJ_GROUP_DEAD]       = NO(OC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_COMMIT_ANONYMOUS] = {
    [RJ_GROUP_EMPTY]      = OK(OC_EMPTY_ANON),
    [RJ_GROUP_PREPARING]  = NO(OC_ANON_NONEMPTY, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_COMPLETING] = NO(OC_ANON_NONEMPTY, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_STABLE]     = NO(OC_ANON_NONEMPTY, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_DEAD]       = NO(OC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_TXN_COMMIT] = {
    [RJ_GROUP_EMPTY]      = NO(TOC_CHECKS, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = OK(TOC_CHECKS),
    [RJ_GROUP_COMPLETING] = OK(TOC_NEVER_27),
    [RJ_GROUP_STABLE]     = OK(TOC_CHECKS),
    [RJ_GROUP_DEAD]       = NO(OC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_TXN_COMMIT_ANONYMOUS] = {
    [RJ_GROUP_EMPTY]      = OK(TOC_ANON_OK),
    [RJ_GROUP_PREPARING]  = OK(TOC_ANON_OK),
    [RJ_GROUP_COMPLETING] = OK(TOC_ANON_OK),
    [RJ_GROUP_STABLE]     = OK(TOC_ANON_OK),
    [RJ_GROUP_DEAD]       = NO(OC_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_LEAVE] = {
    [RJ_GROUP_EMPTY]      = NO(LEAVE_UNKNOWN_MEMBER, UNKNOWN_MEMBER_ID),
    [RJ_GROUP_PREPARING]  = OK(LEAVE_THEN_REBALANCE),
    [RJ_GROUP_COMPLETING] = OK(LEAVE_THEN_REBALANCE),
    [RJ_GROUP_STABLE]     = OK(LEAVE_THEN_REBALANCE),
    [RJ_GROUP_DEAD]       = NO(LEAVE_DEAD, COORDINATOR_NOT_AVAILABLE)},
[RJ_REQUEST_DELETE_GROUP] = {
    [RJ_GROUP_EMPTY]      = OK(DEL_EFFECT),
    [RJ_GROUP_PREPARING]  = NO(DEL_NONEMPTY, NON_EMPTY_GROUP),
    [RJ_GROUP_COMPLETING] = NO(DEL_NONEMPTY, NON_EMPTY_GROUP),
    [RJ_GROUP_STABLE]     = NO(DEL_NONEMPTY, NON_EMPTY_GROUP),
    [RJ_GROUP_DEAD]       = NO(DEL_MISSING, GROUP_ID_NOT_FOUND)},
};
/* clang-format on */

const struct rj_cell *rj_admission_cell(enum rj_request_kind kind, enum rj_group_state state)
{
    static const struct rj_cell opened = {RJ_ADMIT_ANSWER, RJ_RULE_NONE, 0};
    const struct rj_cell *cell = &cells[kind][state];
    return cell->admission == RJ_ADMIT_REFUSE && RJ_HOLDS_BY(cell->rule, false) ? &opened : cell;
}

/* A guard whose rule depends on the request. */
#define REQUIRE_BY(condition, rule_value, ERROR)                                                                       \
    do {                                                                                                               \
        if (!RJ_HOLDS_BY(rule_value, condition))                                                                       \
            return (struct rj_verdict){rule_value, RJ_KAFKA_##ERROR};                                                  \
    } while (0)

struct rj_verdict rj_judge_member(const struct rj_group *group, const struct rj_member *member,
                                  struct rj_string member_id, struct rj_string instance_id, struct rj_rule_set rules)
{
    if (instance_id.data != NULL) {
        const struct rj_member *holder = rj_member_by_instance(group, instance_id);
        REQUIRE_BY(holder != NULL, rules.instance_unknown, UNKNOWN_MEMBER_ID);
        bool is_holder = holder == NULL || rj_string_equal(holder->node.key, member_id);
        REQUIRE_BY(is_holder || RJ_WITHOUT(STATIC_OLD_ID_FENCED, !is_holder), rules.instance_fenced,
                   FENCED_INSTANCE_ID);
    }
    bool was_replaced = member == NULL && instance_id.data == NULL && group->instances.count > 0;
    REQUIRE_BY(member != NULL || RJ_WITHOUT(STATIC_OLD_ID_NO_INSTANCE, was_replaced), rules.unknown_member,
               UNKNOWN_MEMBER_ID);
    return RJ_ACCEPTED;
}
