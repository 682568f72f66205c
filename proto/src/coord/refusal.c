/* Refusals by rule limit-memory: Kafka's COORDINATOR_NOT_AVAILABLE in the form of each API. */
#include "coord/load.h"
#include "coord/reply.h"

static const struct rj_verdict no_memory = {RJ_RULE_LIMIT_MEMORY, RJ_KAFKA_COORDINATOR_NOT_AVAILABLE};

static bool room_for(struct rj_coord *coord, size_t bytes)
{
    struct rj_output_need need = {.replies = 1, .bytes = bytes};
    return rj_output_reserve(coord->output, need);
}

static void *refuse_commit(struct rj_coord *coord, const struct rj_offset_commit_request *request)
{
    struct rj_offset_commit_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_offset_commit_response){.throttle_time_ms = 0};
    size_t room = (size_t)request->topics.count * (sizeof(*response->topics.items) + 32) + 64;
    for (int32_t t = 0; t < request->topics.count; t++)
        room += (size_t)request->topics.items[t].partitions.count
                    * sizeof(struct rj_offset_commit_response_partition)
                + (size_t)request->topics.items[t].name.len + 64;
    if (!room_for(coord, room))
        return response;
    response->topics.items =
        rj_output_take(coord->output, (size_t)request->topics.count * sizeof(*response->topics.items));
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct rj_offset_commit_request_topic *asked = &request->topics.items[t];
        struct rj_offset_commit_response_topic *topic = &response->topics.items[response->topics.count++];
        *topic = (struct rj_offset_commit_response_topic){
            .name = rj_output_string(coord->output, asked->name), .topic_id = asked->topic_id};
        topic->partitions.items =
            rj_output_take(coord->output, (size_t)asked->partitions.count * sizeof(*topic->partitions.items));
        for (int32_t p = 0; p < asked->partitions.count; p++)
            topic->partitions.items[topic->partitions.count++] = (struct rj_offset_commit_response_partition){
                .partition_index = asked->partitions.items[p].partition_index, .error_code = no_memory.error};
    }
    return response;
}

static void *refuse_txn_commit(struct rj_coord *coord, const struct rj_txn_offset_commit_request *request)
{
    struct rj_txn_offset_commit_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_txn_offset_commit_response){.throttle_time_ms = 0};
    size_t room = 64;
    for (int32_t t = 0; t < request->topics.count; t++)
        room += sizeof(*response->topics.items)
                + (size_t)request->topics.items[t].partitions.count
                      * sizeof(struct rj_txn_offset_commit_response_partition)
                + (size_t)request->topics.items[t].name.len + 96;
    if (!room_for(coord, room))
        return response;
    response->topics.items =
        rj_output_take(coord->output, (size_t)request->topics.count * sizeof(*response->topics.items));
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct rj_txn_offset_commit_request_topic *asked = &request->topics.items[t];
        struct rj_txn_offset_commit_response_topic *topic = &response->topics.items[response->topics.count++];
        *topic = (struct rj_txn_offset_commit_response_topic){.name = rj_output_string(coord->output, asked->name)};
        topic->partitions.items =
            rj_output_take(coord->output, (size_t)asked->partitions.count * sizeof(*topic->partitions.items));
        for (int32_t p = 0; p < asked->partitions.count; p++)
            topic->partitions.items[topic->partitions.count++] = (struct rj_txn_offset_commit_response_partition){
                .partition_index = asked->partitions.items[p].partition_index, .error_code = no_memory.error};
    }
    return response;
}

static void *refuse_fetch(struct rj_coord *coord, const struct rj_offset_fetch_request *request, int16_t version)
{
    struct rj_offset_fetch_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_offset_fetch_response){.error_code = no_memory.error};
    size_t room = 64;
    for (int32_t g = 0; g < request->groups.count; g++)
        room += sizeof(*response->groups.items) + (size_t)request->groups.items[g].group_id.len + 32;
    if (version < 8 || !room_for(coord, room))
        return response;
    response->groups.items =
        rj_output_take(coord->output, (size_t)request->groups.count * sizeof(*response->groups.items));
    for (int32_t g = 0; g < request->groups.count; g++)
        response->groups.items[response->groups.count++] = (struct rj_offset_fetch_response_group){
            .group_id = rj_output_string(coord->output, request->groups.items[g].group_id),
            .error_code = no_memory.error};
    return response;
}

static void *refuse_describe(struct rj_coord *coord, const struct rj_describe_groups_request *request)
{
    struct rj_describe_groups_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_describe_groups_response){.throttle_time_ms = 0};
    size_t room = 64;
    for (int32_t g = 0; g < request->groups.count; g++)
        room += sizeof(*response->groups.items) + (size_t)request->groups.items[g].len + 32;
    if (!room_for(coord, room))
        return response;
    response->groups.items =
        rj_output_take(coord->output, (size_t)request->groups.count * sizeof(*response->groups.items));
    for (int32_t g = 0; g < request->groups.count; g++)
        response->groups.items[response->groups.count++] = (struct rj_describe_groups_response_described_group){
            .error_code = no_memory.error, .group_id = rj_output_string(coord->output, request->groups.items[g]),
            .group_state = RJ_EMPTY_STRING, .protocol_type = RJ_EMPTY_STRING, .protocol_data = RJ_EMPTY_STRING,
            .authorized_operations = INT32_MIN};
    return response;
}

static void *refuse_delete(struct rj_coord *coord, const struct rj_delete_groups_request *request)
{
    struct rj_delete_groups_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_delete_groups_response){.throttle_time_ms = 0};
    size_t room = 64;
    for (int32_t g = 0; g < request->groups_names.count; g++)
        room += sizeof(*response->results.items) + (size_t)request->groups_names.items[g].len + 32;
    if (!room_for(coord, room))
        return response;
    response->results.items =
        rj_output_take(coord->output, (size_t)request->groups_names.count * sizeof(*response->results.items));
    for (int32_t g = 0; g < request->groups_names.count; g++)
        response->results.items[response->results.count++] = (struct rj_delete_groups_response_deletable_group_result){
            .group_id = rj_output_string(coord->output, request->groups_names.items[g]),
            .error_code = no_memory.error};
    return response;
}

/* APIs whose answer has one error and nothing to echo. */
static void *refuse_plain(struct rj_coord *coord, int16_t api_key)
{
    struct rj_output *output = coord->output;
    if (api_key == 12) {
        struct rj_heartbeat_response *response = rj_output_take(output, sizeof(*response));
        *response = (struct rj_heartbeat_response){.error_code = no_memory.error};
        return response;
    }
    if (api_key == 13) {
        struct rj_leave_group_response *response = rj_output_take(output, sizeof(*response));
        *response = (struct rj_leave_group_response){.error_code = no_memory.error};
        return response;
    }
    if (api_key == 16) {
        struct rj_list_groups_response *response = rj_output_take(output, sizeof(*response));
        *response = (struct rj_list_groups_response){.error_code = no_memory.error};
        return response;
    }
    struct rj_offset_delete_response *response = rj_output_take(output, sizeof(*response));
    *response = (struct rj_offset_delete_response){.error_code = no_memory.error};
    return response;
}

void rj_refuse_for_memory(struct rj_coord *coord, const struct rj_origin *origin, const void *request)
{
    void *body = NULL;
    switch (origin->api_key) {
    case 8: body = refuse_commit(coord, request); break;
    case 9: body = refuse_fetch(coord, request, origin->version); break;
    case 11: {
        struct rj_string id = ((const struct rj_join_group_request *)request)->member_id;
        rj_refuse_join(coord, origin, room_for(coord, (size_t)id.len + 512) ? id : RJ_EMPTY_STRING, no_memory);
        return;
    }
    case 14: rj_refuse_sync(coord, origin, no_memory); return;
    case 15: body = refuse_describe(coord, request); break;
    case 28: body = refuse_txn_commit(coord, request); break;
    case 42: body = refuse_delete(coord, request); break;
    default: body = refuse_plain(coord, origin->api_key); break;
    }
    rj_reply(coord, origin, body, no_memory.rule);
}
