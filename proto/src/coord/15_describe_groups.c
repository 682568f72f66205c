/* DescribeGroups (API key 15).
 *
 * 1  ThrottleTimeMs; 2 answered before throttling (KIP-219)
 * 3  authorized operations (KIP-430)
 * 4  GroupInstanceId (KIP-345)
 * 5  flexible
 * 6  a group that does not exist is an error, with a message (KIP-1043) */
#include "coord/api.h"
#include "coord/reply.h"

typedef struct rj_describe_groups_response_described_group answer_group;

/* Those on configurations stand last: releases before 4.0 have none of a group. */
static const enum rj_operation group_operations[] = {RJ_OPERATION_READ, RJ_OPERATION_DELETE, RJ_OPERATION_DESCRIBE,
                                                     RJ_OPERATION_DESCRIBE_CONFIGS, RJ_OPERATION_ALTER_CONFIGS};
enum { OPERATIONS_BEFORE_CONFIGS = 3, OPERATION_COUNT = sizeof(group_operations) / sizeof(group_operations[0]) };

static struct rj_verdict judge_rights(const struct rj_call *call, struct rj_string group_id)
{
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, RJ_OPERATION_DESCRIBE), DG_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge(const struct rj_call *call, struct rj_string group_id, const struct rj_group *group,
                               bool is_readable)
{
    RJ_REQUIRE(call->coord->config.is_active, DG_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(group_id.data != NULL, DG_NULL_ID, INVALID_GROUP_ID);
    RJ_REQUIRE(call->coord->status != RJ_COORD_UNLOADED, DG_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(call->coord->status != RJ_COORD_LOADING, DG_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    if (RJ_DOES(JOIN_DUPLICATE_PROTOCOLS, !is_readable))
        return (struct rj_verdict){RJ_RULE_JOIN_DUPLICATE_PROTOCOLS, RJ_KAFKA_UNKNOWN_SERVER_ERROR};
    RJ_REQUIRE(group != NULL || call->origin.version < 6, DG_MISSING, GROUP_ID_NOT_FOUND);
    return RJ_ACCEPTED;
}

static int32_t authorized_operations(const struct rj_call *call, struct rj_string group_id)
{
    int count = call->coord->config.behaviour.groups_have_configs ? OPERATION_COUNT : OPERATIONS_BEFORE_CONFIGS;
    int32_t bits = 0;
    for (int i = 0; i < count; i++)
        if (rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, group_operations[i]))
            bits |= 1 << group_operations[i];
    return bits;
}

static answer_group empty_answer(struct rj_string group_id)
{
    return (answer_group){.group_id = group_id.data ? group_id : RJ_EMPTY_STRING, /* of null Kafka names no group */
                          .group_state = RJ_EMPTY_STRING, .protocol_type = RJ_EMPTY_STRING,
                          .protocol_data = RJ_EMPTY_STRING, .authorized_operations = INT32_MIN};
}

static struct rj_string state_name(enum rj_group_state state)
{
    const char *name = rj_group_state_name(state);
    return (struct rj_string){name, (int32_t)strlen(name)};
}

/* False: one does not offer the chosen protocol, whose metadata is looked for where the group is Stable. */
static bool list_members(struct rj_group *group, answer_group *answer)
{
    bool all_offer_it = true;
    bool is_stable = group->state == RJ_GROUP_STABLE;
    answer->members.items =
        rj_output_take(group->coord->output, group->members.count * sizeof(*answer->members.items));
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        struct rj_bytes metadata = RJ_EMPTY_BYTES;
        if (!RJ_DOES(DG_METADATA_STABLE, !is_stable))
            metadata = rj_protocols_metadata(member->protocols, group->protocol_name);
        all_offer_it = all_offer_it && (!is_stable || metadata.data != NULL);
        answer->members.items[answer->members.count++] = (struct rj_describe_groups_response_described_group_member){
            .member_id = node->key, .group_instance_id = member->instance.key, .client_id = member->client_id,
            .client_host = member->client_host, .member_metadata = metadata.data ? metadata : RJ_EMPTY_BYTES,
            .member_assignment = member->assignment};
    }
    return all_offer_it;
}

static const char not_found_start[] = "Group ", not_found_end[] = " not found.";

/* One read describes all groups that one coordinator is asked for, and it throws at a member that does not offer the
 * chosen protocol: so the members come first, of all groups. */
static bool list_all_members(const struct rj_call *call, answer_group *answers)
{
    const struct rj_describe_groups_request *request = call->body;
    bool is_readable = true;
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct rj_string group_id = request->groups.items[i];
        if (judge_rights(call, group_id).rule != RJ_RULE_NONE)
            continue;
        answer_group *answer = answers++;
        *answer = empty_answer(rj_output_string(call->coord->output, group_id));
        struct rj_group *group = rj_group_find_committed(call->coord, group_id);
        if (group != NULL && rj_group_oldest_life(group) == NULL)
            is_readable = list_members(group, answer) && is_readable;
    }
    return is_readable;
}

/* The answer holds the group's members. */
static void describe(const struct rj_call *call, struct rj_string group_id, bool is_readable, answer_group *answer,
                     enum rj_rule *rule)
{
    struct rj_output *output = call->coord->output;
    struct rj_group *group = rj_group_find_committed(call->coord, group_id);
    struct rj_verdict verdict = judge(call, group_id, group, is_readable);
    if (verdict.rule != RJ_RULE_NONE)
        *answer = empty_answer(answer->group_id);
    answer->error_code = verdict.error;
    if (*rule == RJ_RULE_NONE)
        *rule = verdict.rule;
    if (verdict.rule != RJ_RULE_NONE && verdict.rule != RJ_RULE_DG_MISSING)
        return;
    if (group == NULL) {
        answer->group_state = state_name(RJ_GROUP_DEAD);
        if (verdict.rule == RJ_RULE_NONE)
            return;
        size_t start = sizeof(not_found_start) - 1, end = sizeof(not_found_end) - 1;
        char *text = rj_output_take(output, start + (size_t)group_id.len + end);
        memcpy(text, not_found_start, start);
        memcpy(text + start, group_id.data, (size_t)group_id.len);
        memcpy(text + start + group_id.len, not_found_end, end);
        answer->error_message = (struct rj_string){text, (int32_t)(start + end) + group_id.len};
        return;
    }
    const struct rj_past_life *life = rj_group_oldest_life(group);
    if (life != NULL) {
        answer->group_state = state_name(RJ_GROUP_EMPTY);
        answer->protocol_type = life->protocol_type.data ? life->protocol_type : RJ_EMPTY_STRING;
        return;
    }
    answer->group_state = state_name(group->state);
    if (group->protocol_type.data != NULL)
        answer->protocol_type = group->protocol_type;
    if (group->state == RJ_GROUP_STABLE && group->protocol_name.data != NULL)
        answer->protocol_data = group->protocol_name;
}

static struct rj_output_need need_of(const struct rj_call *call)
{
    const struct rj_describe_groups_request *request = call->body;
    struct rj_output_need need = {.replies = 1, .bytes = sizeof(struct rj_describe_groups_response) + 128};
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct rj_string group_id = request->groups.items[i];
        const struct rj_group *group = rj_group_find_committed(call->coord, group_id);
        need.bytes += sizeof(answer_group) + 2 * (size_t)group_id.len + 128;
        if (group != NULL)
            need.bytes += group->members.count * sizeof(struct rj_describe_groups_response_described_group_member) + 32;
    }
    return need;
}

bool rj_describe_groups(const struct rj_call *call)
{
    const struct rj_describe_groups_request *request = call->body;
    struct rj_output *output = call->coord->output;
    if (!rj_output_reserve(output, need_of(call)))
        return false;
    struct rj_describe_groups_response *response = rj_output_take(output, sizeof(*response));
    *response = (struct rj_describe_groups_response){.throttle_time_ms = 0};
    response->groups.items = rj_output_take(output, (size_t)request->groups.count * sizeof(answer_group));
    enum rj_rule rule = RJ_RULE_NONE;
    /* What rights refuse comes first, as the broker adds the coordinator's answers behind it. */
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct rj_verdict verdict = judge_rights(call, request->groups.items[i]);
        if (verdict.rule == RJ_RULE_NONE)
            continue;
        rule = verdict.rule;
        answer_group *answer = &response->groups.items[response->groups.count++];
        *answer = empty_answer(rj_output_string(output, request->groups.items[i]));
        answer->error_code = verdict.error;
    }
    bool is_readable = list_all_members(call, response->groups.items + response->groups.count);
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct rj_string group_id = request->groups.items[i];
        if (judge_rights(call, group_id).rule != RJ_RULE_NONE)
            continue;
        answer_group *answer = &response->groups.items[response->groups.count++];
        describe(call, group_id, is_readable, answer, &rule);
        if (request->include_authorized_operations && answer->error_code == 0)
            answer->authorized_operations = authorized_operations(call, group_id);
    }
    rj_reply(call->coord, &call->origin, response, rule);
    return true;
}
