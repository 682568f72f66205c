/* DeleteGroups (API key 42).
 *
 * 1  answered before throttling (KIP-219)
 * 2  flexible */
#include "coord/api.h"
#include "coord/offsets.h"
#include "coord/reply.h"
#include "coord/writes.h"

typedef struct rj_delete_groups_response_deletable_group_result result;

static struct rj_verdict judge_rights(const struct rj_call *call, struct rj_string group_id)
{
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, RJ_OPERATION_DELETE), DEL_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge(const struct rj_call *call, struct rj_string group_id)
{
    const struct rj_coord *coord = call->coord;
    RJ_REQUIRE(coord->config.is_active, DEL_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(group_id.data != NULL, DEL_NULL_ID, INVALID_GROUP_ID);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, DEL_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(coord->status != RJ_COORD_LOADING, DEL_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    const struct rj_group *group = rj_group_find(coord, group_id);
    RJ_REQUIRE(group != NULL && group->state != RJ_GROUP_DEAD, DEL_MISSING, GROUP_ID_NOT_FOUND);
    RJ_REQUIRE(group->state == RJ_GROUP_EMPTY, DEL_NONEMPTY, NON_EMPTY_GROUP);
    return RJ_ACCEPTED;
}

static bool is_repeated(const struct rj_delete_groups_request *request, int32_t i)
{
    for (int32_t before = 0; before < i; before++)
        if (rj_string_equal(request->groups_names.items[before], request->groups_names.items[i]))
            return true;
    return false;
}

static void count_one(void *context, struct rj_offset_partition *partition)
{
    (void)partition;
    ++*(int32_t *)context;
}

static void sweep_one(void *context, struct rj_offset_partition *partition) { rj_sweep_partition(context, partition); }

static void add(struct rj_write *write, struct rj_string group_id, struct rj_verdict verdict)
{
    struct rj_delete_groups_response *response = write->body;
    response->results.items[response->results.count++] =
        (result){.group_id = rj_write_string(write, group_id), .error_code = verdict.error};
    if (write->rule == RJ_RULE_NONE)
        write->rule = verdict.rule;
}

void rj_fail_delete_groups(void *body, int16_t error)
{
    struct rj_delete_groups_response *response = body;
    for (int32_t i = 0; i < response->results.count; i++)
        if (response->results.items[i].error_code != RJ_KAFKA_GROUP_AUTHORIZATION_FAILED)
            response->results.items[i].error_code = error;
}

static void apply(const struct rj_call *call, struct rj_sweep *sweep)
{
    const struct rj_delete_groups_request *request = call->body;
    int32_t count = request->groups_names.count;
    for (int32_t i = 0; i < count; i++) {
        struct rj_string group_id = request->groups_names.items[i];
        if (is_repeated(request, i) || judge_rights(call, group_id).rule != RJ_RULE_NONE)
            continue;
        struct rj_verdict verdict = judge(call, group_id);
        add(sweep->write, group_id, verdict);
        if (verdict.rule != RJ_RULE_NONE)
            continue;
        struct rj_group *group = rj_group_find(call->coord, group_id);
        if (!RJ_DOES(DEL_EFFECT, true))
            continue;
        rj_offsets_each(group, sweep_one, sweep);
        rj_sweep_group(sweep, group);
    }
    for (int32_t i = 0; i < count; i++) {
        struct rj_verdict verdict = judge_rights(call, request->groups_names.items[i]);
        if (verdict.rule != RJ_RULE_NONE && !is_repeated(request, i))
            add(sweep->write, request->groups_names.items[i], verdict);
    }
}

bool rj_delete_groups(const struct rj_call *call)
{
    const struct rj_delete_groups_request *request = call->body;
    int32_t partitions = 0, groups = 0;
    size_t room = sizeof(struct rj_delete_groups_response) + 64;
    for (int32_t i = 0; i < request->groups_names.count; i++) {
        struct rj_string group_id = request->groups_names.items[i];
        struct rj_group *group = rj_group_find(call->coord, group_id);
        room += sizeof(result) + (size_t)group_id.len + 48;
        if (group == NULL || is_repeated(request, i))
            continue;
        groups++;
        rj_offsets_each(group, count_one, &partitions);
    }
    struct rj_sweep sweep;
    if (!rj_sweep_reserve(&sweep, call->coord, partitions, groups, room))
        return false;
    struct rj_delete_groups_response *response = rj_write_take(sweep.write, sizeof(*response));
    *response = (struct rj_delete_groups_response){.throttle_time_ms = 0};
    response->results.items =
        rj_write_take(sweep.write, (size_t)request->groups_names.count * sizeof(*response->results.items));
    sweep.write->origin = call->origin;
    sweep.write->body = response;
    apply(call, &sweep);
    rj_sweep_finish(&sweep, RJ_WRITE_REPLY);
    return true;
}
