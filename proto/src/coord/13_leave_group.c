/* LeaveGroup (API key 13).
 *
 * 1  ThrottleTimeMs; 2 answered before throttling (KIP-219)
 * 3  several members, by member id or by instance id, each with its own error (KIP-345)
 * 4  flexible
 * 5  Reason for each member (KIP-800) */
#include "coord/api.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/reply.h"
#include "coord/writes.h"

struct facts {
    const struct rj_leave_group_request *request;
    int16_t version;
    struct rj_group *group;
};

typedef struct rj_leave_group_request_member_identity leaver;

static int32_t leaver_count(const struct facts *facts)
{
    return facts->version < 3 ? 1 : facts->request->members.count;
}

static leaver leaver_at(const struct facts *facts, int32_t i)
{
    if (facts->version >= 3)
        return facts->request->members.items[i];
    return (leaver){.member_id = facts->request->member_id};
}

static struct rj_verdict judge(const struct rj_call *call, const struct facts *facts)
{
    struct rj_string group_id = facts->request->group_id;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, RJ_OPERATION_READ), LEAVE_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(call->coord->config.is_active, LEAVE_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(group_id), LEAVE_GROUP_ID_EMPTY, INVALID_GROUP_ID);
    RJ_REQUIRE(call->coord->status != RJ_COORD_UNLOADED, LEAVE_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(call->coord->status != RJ_COORD_LOADING, LEAVE_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    RJ_REQUIRE(facts->group == NULL || facts->group->state != RJ_GROUP_DEAD, LEAVE_DEAD, COORDINATOR_NOT_AVAILABLE);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_leaver(const struct rj_group *group, const leaver *who)
{
    RJ_REQUIRE(group != NULL, LEAVE_UNKNOWN_GROUP, UNKNOWN_MEMBER_ID);
    const struct rj_identity *identity = rj_identity_find(group, who->member_id);
    if (who->member_id.len == 0) {
        bool is_known = who->group_instance_id.data != NULL
                        && rj_member_by_instance(group, who->group_instance_id) != NULL;
        RJ_REQUIRE(RJ_DOES(LEAVE_ADMIN_BY_INSTANCE, is_known), LEAVE_EMPTY_ID_UNKNOWN, UNKNOWN_MEMBER_ID);
        return RJ_ACCEPTED;
    }
    if (RJ_DOES(LEAVE_PENDING, identity != NULL && identity->is_pending))
        return RJ_ACCEPTED;
    const struct rj_member *member = identity ? identity->member : NULL;
    bool is_static = member != NULL && member->instance.key.data != NULL;
    if (RJ_WITHOUT(LEAVE_DYNAMIC_ID_OF_STATIC, is_static && who->group_instance_id.data == NULL)
        || RJ_WITHOUT(LEAVE_NO_GENERATION, member != NULL && group->state != RJ_GROUP_STABLE))
        return (struct rj_verdict){RJ_RULE_LEAVE_UNKNOWN_MEMBER, RJ_KAFKA_UNKNOWN_MEMBER_ID};
    return rj_judge_member(group, member, who->member_id, who->group_instance_id,
                           (struct rj_rule_set){RJ_RULE_LEAVE_UNKNOWN_MEMBER, RJ_RULE_LEAVE_FENCED,
                                                RJ_RULE_LEAVE_UNKNOWN_MEMBER});
}

/* Whether it was a member, rather than a promised id. */
static bool remove_leaver(struct rj_group *group, const leaver *who)
{
    struct rj_timers *timers = &group->coord->timers;
    struct rj_identity *identity = rj_identity_find(group, who->member_id);
    struct rj_member *member =
        who->member_id.len == 0 ? rj_member_by_instance(group, who->group_instance_id) : identity->member;
    if (who->member_id.len > 0 && identity->is_pending) {
        rj_timer_cancel(timers, &identity->timer);
        rj_group_set_pending(group, identity, false);
        rj_identity_forget_if_idle(identity);
        return false;
    }
    if (RJ_DOES(TMR_SESSION_CANCEL_ON_REMOVAL, true))
        rj_timer_cancel(timers, &member->identity->timer);
    rj_evict(group, member, RJ_RULE_LEAVE_PARKED_JOIN);
    return true;
}

static size_t room_for(const struct facts *facts)
{
    size_t room = sizeof(struct rj_leave_group_response) + 64;
    for (int32_t i = 0; i < leaver_count(facts); i++) {
        leaver who = leaver_at(facts, i);
        room += sizeof(struct rj_leave_group_response_member_response) + (size_t)who.member_id.len
                + (size_t)who.group_instance_id.len + 64;
    }
    return room;
}

static struct rj_write *prepare(const struct rj_call *call, const struct facts *facts)
{
    struct rj_write *write = rj_write_prepare(call->coord, room_for(facts), 0, 0);
    if (write == NULL)
        return NULL;
    struct rj_leave_group_response *response = rj_write_take(write, sizeof(*response));
    *response = (struct rj_leave_group_response){.error_code = 0};
    if (facts->version >= 3)
        response->members.items = rj_write_take(
            write, (size_t)leaver_count(facts) * sizeof(struct rj_leave_group_response_member_response));
    write->origin = call->origin;
    write->body = response;
    return write;
}

static void add_result(struct rj_write *write, const struct facts *facts, const leaver *who, struct rj_verdict verdict)
{
    struct rj_leave_group_response *response = write->body;
    if (write->rule == RJ_RULE_NONE)
        write->rule = verdict.rule;
    if (facts->version < 3) {
        response->error_code = RJ_DOES(LEAVE_V2_FLATTEN, verdict.error != 0) ? verdict.error : 0;
        return;
    }
    response->members.items[response->members.count++] = (struct rj_leave_group_response_member_response){
        .member_id = rj_write_string(write, who->member_id),
        .group_instance_id = rj_write_string(write, who->group_instance_id), .error_code = verdict.error};
}

void rj_fail_leave_group(void *body, int16_t error)
{
    struct rj_leave_group_response *response = body;
    response->error_code = error;
    response->members.count = 0;
}

static void refuse(const struct rj_call *call, struct rj_verdict verdict)
{
    struct rj_leave_group_response *response = rj_output_take(call->coord->output, sizeof(*response));
    *response = (struct rj_leave_group_response){.error_code = verdict.error};
    rj_reply(call->coord, &call->origin, response, verdict.rule);
}

static bool is_repeated(const struct facts *facts, int32_t i)
{
    leaver who = leaver_at(facts, i);
    for (int32_t before = 0; before < i; before++) {
        leaver other = leaver_at(facts, before);
        if (who.member_id.len > 0 && rj_string_equal(who.member_id, other.member_id))
            return true;
    }
    return false;
}

/* One batch is at most one rebalance (leave-then-rebalance). */
static enum rj_outcome apply(const struct facts *facts, struct rj_write *write)
{
    bool anybody = false, rebalances = facts->group && facts->group->coord->config.behaviour.pending_leave_rebalances;
    struct rj_cause cause = {RJ_RULE_LEAVE_THEN_REBALANCE, RJ_NULL_STRING};
    for (int32_t i = 0; i < leaver_count(facts); i++) {
        leaver who = leaver_at(facts, i);
        if (RJ_WITHOUT(LEAVE_RESPONSE_ORDER, leaver_count(facts) > 1))
            who = leaver_at(facts, leaver_count(facts) - 1 - i);
        struct rj_verdict verdict = judge_leaver(facts->group, &who);
        if (RJ_WITHOUT(LEAVE_DUPLICATE, is_repeated(facts, i)))
            verdict = RJ_ACCEPTED;
        add_result(write, facts, &who, verdict);
        if (verdict.rule != RJ_RULE_NONE || RJ_WITHOUT(LEAVE_DUPLICATE, is_repeated(facts, i)))
            continue;
        rebalances = remove_leaver(facts->group, &who) || rebalances;
        anybody = true;
    }
    if (RJ_DOES(LEAVE_ALL_FAILED, !anybody) || facts->group->state == RJ_GROUP_EMPTY
        || !RJ_DOES(LEAVE_THEN_REBALANCE, true))
        return RJ_OUTCOME_NONE;
    return rebalances ? rj_rebalance_or_complete(facts->group, cause) : rj_maybe_complete_join(facts->group, cause);
}

bool rj_leave_group(const struct rj_call *call)
{
    struct rj_coord *coord = call->coord;
    struct facts facts = {.request = call->body, .version = call->origin.version};
    facts.group = rj_group_find(coord, facts.request->group_id);
    if (!rj_output_reserve(coord->output, rj_refusal_need()))
        return false;
    struct rj_verdict verdict = judge(call, &facts);
    if (verdict.rule != RJ_RULE_NONE) {
        refuse(call, verdict);
        return true;
    }
    if (facts.group != NULL && !rj_cascade_reserve(facts.group, NULL, false))
        return false;
    struct rj_write *write = prepare(call, &facts);
    if (write == NULL)
        return false;
    enum rj_outcome outcome = apply(&facts, write);
    if (RJ_DOES(LEAVE_LAST, outcome == RJ_OUTCOME_EMPTIED)) {
        struct rj_offsets_record *record = rj_output_take(coord->output, sizeof(*record));
        *record = rj_group_record(facts.group, NULL);
        coord->next_position++;
        rj_write_start(coord, write, RJ_WRITE_REPLY, record, 1);
        return true;
    }
    if (outcome == RJ_OUTCOME_VOTE_FAILED) {
        rj_fail_leave_group(write->body, RJ_KAFKA_UNKNOWN_SERVER_ERROR);
        write->rule = RJ_RULE_JOIN_DUPLICATE_PROTOCOLS;
    }
    if (facts.group == NULL)
        rj_write_answer(coord, write); /* an exception in Kafka, which does not wait */
    else
        rj_write_wait(coord, write);
    return true;
}
