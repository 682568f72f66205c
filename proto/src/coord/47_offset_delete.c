/* OffsetDelete (API key 47, KIP-496). One version. */
#include "coord/api.h"
#include "coord/offsets.h"
#include "coord/reply.h"
#include "coord/writes.h"

struct facts {
    const struct rj_offset_delete_request *request;
    struct rj_group *group;
};

static struct rj_verdict judge(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_coord *coord = call->coord;
    const struct rj_group *group = facts->group;
    struct rj_string group_id = facts->request->group_id;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group_id, RJ_OPERATION_DELETE), OD_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(coord->config.is_active, OD_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(group_id), OD_GROUP_ID, INVALID_GROUP_ID);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, OD_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(coord->status != RJ_COORD_LOADING, OD_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    RJ_REQUIRE(group != NULL && group->state != RJ_GROUP_DEAD, OD_MISSING, GROUP_ID_NOT_FOUND);
    RJ_REQUIRE(group->state == RJ_GROUP_EMPTY || rj_is_consumer(group), OD_NON_CONSUMER, NON_EMPTY_GROUP);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_topic(const struct rj_call *call, struct rj_string name)
{
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_TOPIC, name, RJ_OPERATION_READ), OD_AUTH,
               TOPIC_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_partition(const struct rj_call *call, struct rj_string name, int32_t partition)
{
    const struct rj_topic *topic = call->coord->topics ? rj_topic_by_name(call->coord->topics, name) : NULL;
    RJ_REQUIRE(topic != NULL && partition >= 0 && partition < topic->partition_count, OD_UNKNOWN_PARTITION,
               UNKNOWN_TOPIC_OR_PARTITION);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_broker(const struct rj_call *call, struct rj_string name, int32_t partition)
{
    struct rj_verdict verdict = judge_topic(call, name);
    return verdict.rule != RJ_RULE_NONE ? verdict : judge_partition(call, name, partition);
}

static struct rj_verdict judge_subscribed(const struct rj_group *group, struct rj_string name)
{
    RJ_REQUIRE(!rj_group_is_subscribed(group, name), OD_SUBSCRIBED, GROUP_SUBSCRIBED_TO_TOPIC);
    return RJ_ACCEPTED;
}

static void refuse(const struct rj_call *call, struct rj_verdict verdict)
{
    struct rj_offset_delete_response *response = rj_output_take(call->coord->output, sizeof(*response));
    *response = (struct rj_offset_delete_response){.error_code = verdict.error};
    rj_reply(call->coord, &call->origin, response, verdict.rule);
}

void rj_fail_offset_delete(void *body, int16_t error)
{
    struct rj_offset_delete_response *response = body;
    response->error_code = error;
    response->topics.count = 0;
}

static void add(struct rj_write *write, struct rj_offset_delete_response_topic *topic, int32_t partition,
                struct rj_verdict verdict)
{
    topic->partitions.items[topic->partitions.count++] =
        (struct rj_offset_delete_response_partition){.partition_index = partition, .error_code = verdict.error};
    if (write->rule == RJ_RULE_NONE)
        write->rule = verdict.rule;
}

/* What the broker itself refuses comes first, as in Kafka's merged answer. */
static void apply_pass(const struct rj_call *call, const struct facts *facts, struct rj_sweep *sweep,
                       int32_t *places, bool refused)
{
    struct rj_offset_delete_response *response = sweep->write->body;
    for (int32_t t = 0; t < facts->request->topics.count; t++) {
        const struct rj_offset_delete_request_topic *asked = &facts->request->topics.items[t];
        for (int32_t p = 0; p < asked->partitions.count; p++) {
            int32_t index = asked->partitions.items[p].partition_index;
            struct rj_verdict verdict = judge_broker(call, asked->name, index);
            if ((verdict.rule != RJ_RULE_NONE) != refused)
                continue;
            if (places[t] < 0) {
                places[t] = response->topics.count++;
                response->topics.items[places[t]] = (struct rj_offset_delete_response_topic){
                    .name = rj_write_string(sweep->write, asked->name),
                    .partitions.items = rj_write_take(
                        sweep->write, (size_t)asked->partitions.count
                                          * sizeof(struct rj_offset_delete_response_partition))};
            }
            if (!refused)
                verdict = judge_subscribed(facts->group, asked->name);
            struct rj_offset_partition *partition = rj_offset_partition_find(facts->group, asked->name, index);
            bool has = partition != NULL && (rj_offset_latest(partition) != NULL || rj_offset_is_open(partition));
            if (RJ_DOES(OD_OK, verdict.rule == RJ_RULE_NONE && has))
                rj_sweep_partition(sweep, partition);
            add(sweep->write, &response->topics.items[places[t]], index, verdict);
        }
    }
}

bool rj_offset_delete(const struct rj_call *call)
{
    struct rj_coord *coord = call->coord;
    struct facts facts = {.request = call->body};
    const struct rj_offset_delete_request *request = facts.request;
    facts.group = rj_group_find(coord, request->group_id);
    struct rj_verdict verdict = judge(call, &facts);
    int32_t partitions = 0;
    size_t room = sizeof(struct rj_offset_delete_response) + 64;
    for (int32_t t = 0; t < request->topics.count; t++) {
        partitions += request->topics.items[t].partitions.count;
        room += sizeof(struct rj_offset_delete_response_topic) + (size_t)request->topics.items[t].name.len + 64
                + (size_t)request->topics.items[t].partitions.count
                      * sizeof(struct rj_offset_delete_response_partition);
    }
    struct rj_output_need need = rj_refusal_need();
    need.bytes += (size_t)request->topics.count * sizeof(int32_t) + 16;
    if (!rj_output_reserve(coord->output, need))
        return false;
    if (verdict.rule != RJ_RULE_NONE) {
        refuse(call, verdict);
        return true;
    }
    int32_t *places = rj_output_take(coord->output, (size_t)request->topics.count * sizeof(int32_t));
    for (int32_t t = 0; t < request->topics.count; t++)
        places[t] = -1;
    struct rj_sweep sweep;
    if (!rj_sweep_reserve(&sweep, coord, partitions, 0, room))
        return false;
    struct rj_offset_delete_response *response = rj_write_take(sweep.write, sizeof(*response));
    *response = (struct rj_offset_delete_response){.error_code = 0};
    response->topics.items =
        rj_write_take(sweep.write, (size_t)request->topics.count * sizeof(*response->topics.items));
    sweep.write->origin = call->origin;
    sweep.write->body = response;
    apply_pass(call, &facts, &sweep, places, true);
    apply_pass(call, &facts, &sweep, places, false);
    rj_sweep_finish(&sweep, RJ_WRITE_REPLY);
    return true;
}
