/* Heartbeat (API key 12).
 *
 * 1  ThrottleTimeMs; 2 answered before throttling (KIP-219)
 * 3  GroupInstanceId (KIP-345)
 * 4  flexible */
#include "coord/api.h"
#include "coord/rebalance.h"
#include "coord/reply.h"
#include "coord/writes.h"

struct facts {
    const struct rj_heartbeat_request *request;
    struct rj_group *group;
    struct rj_identity *identity; /* NULL: the group does not know the id */
    struct rj_member *member;     /* NULL: not in the group */
};

static struct facts look_up(const struct rj_call *call)
{
    struct facts facts = {.request = call->body};
    facts.group = rj_group_find(call->coord, facts.request->group_id);
    facts.identity = facts.group ? rj_identity_find(facts.group, facts.request->member_id) : NULL;
    facts.member = facts.identity ? facts.identity->member : NULL;
    return facts;
}

static struct rj_verdict judge_broker(const struct rj_call *call, const struct facts *facts)
{
    struct rj_string group_id = facts->request->group_id;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, RJ_OPERATION_READ), HB_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(call->coord->config.is_active, HB_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(group_id), HB_GROUP_ID_EMPTY, INVALID_GROUP_ID);
    RJ_REQUIRE(call->coord->status != RJ_COORD_UNLOADED, HB_WRONG_BROKER, NOT_COORDINATOR);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_member(const struct facts *facts)
{
    const struct rj_heartbeat_request *request = facts->request;
    RJ_REQUIRE(facts->group != NULL, HB_UNKNOWN_GROUP, UNKNOWN_MEMBER_ID);
    RJ_REQUIRE(facts->group->state != RJ_GROUP_DEAD, HB_DEAD, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(facts->group->state != RJ_GROUP_EMPTY, HB_EMPTY, UNKNOWN_MEMBER_ID);
    if (RJ_WITHOUT(HB_PENDING_ID, facts->identity != NULL && facts->identity->is_pending))
        return RJ_ACCEPTED;
    struct rj_verdict verdict =
        rj_judge_member(facts->group, facts->member, request->member_id, request->group_instance_id,
                        (struct rj_rule_set){RJ_RULE_HB_INSTANCE_UNKNOWN, RJ_RULE_HB_INSTANCE_FENCED,
                                             RJ_RULE_HB_UNKNOWN_MEMBER});
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    RJ_REQUIRE(request->generation_id == facts->group->generation_id, HB_GENERATION, ILLEGAL_GENERATION);
    return RJ_ACCEPTED;
}

/* Waits its turn behind the writes on their way, as every operation of Kafka's write queue does. */
static bool answer(const struct rj_call *call, struct rj_verdict verdict)
{
    struct rj_coord *coord = call->coord;
    if (coord->first_write == NULL) {
        struct rj_heartbeat_response *response = rj_output_take(coord->output, sizeof(*response));
        *response = (struct rj_heartbeat_response){.error_code = verdict.error};
        rj_reply(coord, &call->origin, response, verdict.rule);
        return true;
    }
    struct rj_write *write = rj_write_prepare(coord, sizeof(struct rj_heartbeat_response) + 16, 0, 0);
    if (write == NULL)
        return false;
    struct rj_heartbeat_response *response = rj_write_take(write, sizeof(*response));
    *response = (struct rj_heartbeat_response){.error_code = verdict.error};
    write->origin = call->origin;
    write->body = response;
    write->rule = verdict.rule;
    rj_write_wait(coord, write);
    return true;
}

static void refuse(const struct rj_call *call, struct rj_verdict verdict)
{
    struct rj_heartbeat_response *response = rj_output_take(call->coord->output, sizeof(*response));
    *response = (struct rj_heartbeat_response){.error_code = verdict.error};
    rj_reply(call->coord, &call->origin, response, verdict.rule);
}

void rj_fail_heartbeat(void *body, int16_t error) { ((struct rj_heartbeat_response *)body)->error_code = error; }

bool rj_heartbeat(const struct rj_call *call)
{
    struct facts facts = look_up(call);
    if (!rj_output_reserve(call->coord->output, rj_refusal_need()))
        return false;
    struct rj_verdict verdict = judge_broker(call, &facts);
    if (verdict.rule != RJ_RULE_NONE || RJ_DOES(HB_LOADING, call->coord->status == RJ_COORD_LOADING)) {
        refuse(call, verdict);
        return true;
    }
    verdict = judge_member(&facts);
    if (verdict.rule != RJ_RULE_NONE) {
        refuse(call, verdict); /* an exception in Kafka, which does not wait */
        return true;
    }
    const struct rj_cell *cell = rj_admission_cell(RJ_REQUEST_HEARTBEAT, facts.group->state);
    if (cell->admission == RJ_ADMIT_REFUSE)
        verdict = (struct rj_verdict){cell->rule, cell->error};
    if (facts.group->state == RJ_GROUP_COMPLETING
        && call->coord->config.behaviour.heartbeat_in_completing_error != 0)
        verdict = (struct rj_verdict){RJ_RULE_HB_COMPLETING,
                                      call->coord->config.behaviour.heartbeat_in_completing_error};
    if (!answer(call, verdict))
        return false;
    bool is_fine = cell->admission == RJ_ADMIT_REFUSE || RJ_DOES_BY(cell->rule, true);
    if (facts.member != NULL && is_fine)
        rj_restart_session(facts.group, facts.identity, facts.identity->session_timeout_ms);
    return true;
}
