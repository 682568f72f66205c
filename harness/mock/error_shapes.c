/* An answer of any API that carries one error code, wherever the API has a place for it: what a broker that refuses a
 * whole request sends. */
#include "mock/internal.h"

#include <string.h>

#define ERROR_CASE(number, name) case number: return name(request, request->body, error_code);

static void *join(struct request *request, const struct rj_join_group_request *asked, int16_t error_code)
{
    struct rj_join_group_response *response = mock_new_response(request);
    if (response == NULL)
        return NULL;
    response->error_code = error_code;
    response->member_id = asked->member_id;
    if (request->version < 7)
        response->protocol_name = RJ_EMPTY_STRING;
    return response;
}

static void *offset_commit(struct request *request, const struct rj_offset_commit_request *asked, int16_t error_code)
{
    struct rj_offset_commit_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_offset_commit_response_topic *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        topic->topic_id = asked->topics.items[i].topic_id;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            topic->partitions.items[j].partition_index = asked->topics.items[i].partitions.items[j].partition_index;
            topic->partitions.items[j].error_code = error_code;
        }
    }
    return response;
}

static void *txn_offset_commit(struct request *request, const struct rj_txn_offset_commit_request *asked,
                               int16_t error_code)
{
    struct rj_txn_offset_commit_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_txn_offset_commit_response_topic *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            topic->partitions.items[j].partition_index = asked->topics.items[i].partitions.items[j].partition_index;
            topic->partitions.items[j].error_code = error_code;
        }
    }
    return response;
}

/* Versions 0 and 1 have a place in each partition only. */
static bool offset_fetch_partitions(struct request *request, const struct rj_offset_fetch_request *asked,
                                    struct rj_offset_fetch_response *response, int16_t error_code)
{
    if (!NEW_ITEMS(request, response->topics, asked->topics.count))
        return false;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_offset_fetch_response_topic *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partition_indexes.count))
            return false;
        for (int32_t j = 0; j < topic->partitions.count; j++)
            topic->partitions.items[j] = (struct rj_offset_fetch_response_partition){
                .partition_index = asked->topics.items[i].partition_indexes.items[j], .committed_offset = -1,
                .committed_leader_epoch = -1, .metadata = RJ_EMPTY_STRING, .error_code = error_code};
    }
    return true;
}

static void *offset_fetch(struct request *request, const struct rj_offset_fetch_request *asked, int16_t error_code)
{
    struct rj_offset_fetch_response *response = mock_new_response(request);
    if (response == NULL)
        return NULL;
    if (request->version < 2)
        return offset_fetch_partitions(request, asked, response, error_code) ? response : NULL;
    if (request->version < 8) {
        response->error_code = error_code;
        return response;
    }
    if (!NEW_ITEMS(request, response->groups, asked->groups.count))
        return NULL;
    for (int32_t i = 0; i < asked->groups.count; i++) {
        response->groups.items[i].group_id = asked->groups.items[i].group_id;
        response->groups.items[i].error_code = error_code;
    }
    return response;
}

static void *find_coordinator(struct request *request, const struct rj_find_coordinator_request *asked,
                              int16_t error_code)
{
    struct rj_find_coordinator_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->coordinators, asked->coordinator_keys.count))
        return NULL;
    if (request->version < 4) {
        response->error_code = error_code;
        response->node_id = response->port = -1;
        response->host = RJ_EMPTY_STRING;
    }
    for (int32_t i = 0; i < response->coordinators.count; i++)
        response->coordinators.items[i] = (struct rj_find_coordinator_response_coordinator){
            .key = asked->coordinator_keys.items[i], .node_id = -1, .port = -1, .host = RJ_EMPTY_STRING,
            .error_message = RJ_EMPTY_STRING, .error_code = error_code};
    return response;
}

static void *describe_groups(struct request *request, const struct rj_describe_groups_request *asked,
                             int16_t error_code)
{
    struct rj_describe_groups_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->groups, asked->groups.count))
        return NULL;
    for (int32_t i = 0; i < asked->groups.count; i++)
        response->groups.items[i] = (struct rj_describe_groups_response_described_group){
            .error_code = error_code, .group_id = asked->groups.items[i], .group_state = RJ_EMPTY_STRING,
            .protocol_type = RJ_EMPTY_STRING, .protocol_data = RJ_EMPTY_STRING, .authorized_operations = INT32_MIN};
    return response;
}

static void *delete_groups(struct request *request, const struct rj_delete_groups_request *asked, int16_t error_code)
{
    struct rj_delete_groups_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->groups_names.count))
        return NULL;
    for (int32_t i = 0; i < asked->groups_names.count; i++) {
        response->results.items[i].group_id = asked->groups_names.items[i];
        response->results.items[i].error_code = error_code;
    }
    return response;
}

static void *produce(struct request *request, const struct rj_produce_request *asked, int16_t error_code)
{
    struct rj_produce_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->topic_data.count))
        return NULL;
    for (int32_t i = 0; i < asked->topic_data.count; i++) {
        struct rj_produce_response_topic_produce_response *topic = &response->responses.items[i];
        topic->name = asked->topic_data.items[i].name;
        topic->topic_id = asked->topic_data.items[i].topic_id;
        if (!NEW_ITEMS(request, topic->partition_responses, asked->topic_data.items[i].partition_data.count))
            return NULL;
        for (int32_t j = 0; j < topic->partition_responses.count; j++)
            topic->partition_responses.items[j] = (struct rj_produce_response_partition_produce_response){
                .index = asked->topic_data.items[i].partition_data.items[j].index, .error_code = error_code,
                .base_offset = -1, .log_append_time_ms = -1, .log_start_offset = -1,
                .current_leader = {.leader_id = -1, .leader_epoch = -1}};
    }
    return response;
}

/* From version 7 on a fetch session may leave the partitions out, so the error stands on top. */
static void *fetch(struct request *request, const struct rj_fetch_request *asked, int16_t error_code)
{
    struct rj_fetch_response *response = mock_new_response(request);
    if (response == NULL)
        return NULL;
    if (request->version >= 7) {
        response->error_code = error_code;
        return response;
    }
    if (!NEW_ITEMS(request, response->responses, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_fetch_response_fetchable_topic_response *topic = &response->responses.items[i];
        topic->topic = asked->topics.items[i].topic;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            struct rj_fetch_response_partition_data *partition = &topic->partitions.items[j];
            partition->partition_index = asked->topics.items[i].partitions.items[j].partition;
            partition->error_code = error_code;
            partition->high_watermark = partition->last_stable_offset = partition->log_start_offset = -1;
            partition->aborted_transactions.count = -1;
            partition->preferred_read_replica = -1;
            partition->records = RJ_EMPTY_BYTES;
        }
    }
    return response;
}

static void *list_offsets(struct request *request, const struct rj_list_offsets_request *asked, int16_t error_code)
{
    struct rj_list_offsets_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_list_offsets_response_list_offsets_topic_response *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++)
            topic->partitions.items[j] = (struct rj_list_offsets_response_list_offsets_partition_response){
                .partition_index = asked->topics.items[i].partitions.items[j].partition_index,
                .error_code = error_code, .timestamp = -1, .offset = -1, .leader_epoch = -1};
    }
    return response;
}

static void *leader_epochs(struct request *request, const struct rj_offset_for_leader_epoch_request *asked,
                           int16_t error_code)
{
    struct rj_offset_for_leader_epoch_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_offset_for_leader_epoch_response_offset_for_leader_topic_result *topic = &response->topics.items[i];
        topic->topic = asked->topics.items[i].topic;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++)
            topic->partitions.items[j] = (struct rj_offset_for_leader_epoch_response_epoch_end_offset){
                .partition = asked->topics.items[i].partitions.items[j].partition, .error_code = error_code,
                .leader_epoch = -1, .end_offset = -1};
    }
    return response;
}

static void *metadata(struct request *request, const struct rj_metadata_request *asked, int16_t error_code)
{
    struct rj_metadata_response *response = mock_new_response(request);
    int32_t count = asked->topics.count > 0 ? asked->topics.count : 0;
    if (response == NULL || !NEW_ITEMS(request, response->topics, count))
        return NULL;
    if (request->version >= 13)
        response->error_code = error_code;
    for (int32_t i = 0; i < count; i++)
        response->topics.items[i] = (struct rj_metadata_response_topic){
            .error_code = error_code, .name = asked->topics.items[i].name, .topic_id = asked->topics.items[i].topic_id,
            .topic_authorized_operations = INT32_MIN};
    return response;
}

static void *create_topics(struct request *request, const struct rj_create_topics_request *asked, int16_t error_code)
{
    struct rj_create_topics_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_create_topics_response_creatable_topic_result *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        topic->error_code = error_code;
        topic->num_partitions = topic->replication_factor = -1;
        topic->configs.count = -1;
    }
    return response;
}

static void *delete_topics(struct request *request, const struct rj_delete_topics_request *asked, int16_t error_code)
{
    struct rj_delete_topics_response *response = mock_new_response(request);
    bool has_ids = request->version >= 6;
    int32_t count = has_ids ? asked->topics.count : asked->topic_names.count;
    if (response == NULL || !NEW_ITEMS(request, response->responses, count))
        return NULL;
    for (int32_t i = 0; i < count; i++) {
        struct rj_delete_topics_response_deletable_topic_result *topic = &response->responses.items[i];
        topic->name = has_ids ? asked->topics.items[i].name : asked->topic_names.items[i];
        if (has_ids)
            topic->topic_id = asked->topics.items[i].topic_id;
        topic->error_code = error_code;
    }
    return response;
}

static void *create_partitions(struct request *request, const struct rj_create_partitions_request *asked,
                               int16_t error_code)
{
    struct rj_create_partitions_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        response->results.items[i].name = asked->topics.items[i].name;
        response->results.items[i].error_code = error_code;
    }
    return response;
}

static void *describe_configs(struct request *request, const struct rj_describe_configs_request *asked,
                              int16_t error_code)
{
    struct rj_describe_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->resources.count))
        return NULL;
    for (int32_t i = 0; i < asked->resources.count; i++) {
        response->results.items[i].error_code = error_code;
        response->results.items[i].resource_type = asked->resources.items[i].resource_type;
        response->results.items[i].resource_name = asked->resources.items[i].resource_name;
    }
    return response;
}

static void *alter_configs(struct request *request, const struct rj_alter_configs_request *asked,
                           int16_t error_code)
{
    struct rj_alter_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->resources.count))
        return NULL;
    for (int32_t i = 0; i < asked->resources.count; i++)
        response->responses.items[i] = (struct rj_alter_configs_response_alter_configs_resource_response){
            .error_code = error_code, .resource_type = asked->resources.items[i].resource_type,
            .resource_name = asked->resources.items[i].resource_name};
    return response;
}

static void *incremental_alter_configs(struct request *request,
                                       const struct rj_incremental_alter_configs_request *asked, int16_t error_code)
{
    struct rj_incremental_alter_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->resources.count))
        return NULL;
    for (int32_t i = 0; i < asked->resources.count; i++)
        response->responses.items[i] = (struct rj_incremental_alter_configs_response_alter_configs_resource_response){
            .error_code = error_code, .resource_type = asked->resources.items[i].resource_type,
            .resource_name = asked->resources.items[i].resource_name};
    return response;
}

static bool refuse_marker(struct request *request, const struct rj_write_txn_markers_request_writable_txn_marker *asked,
                          int16_t error_code, struct rj_write_txn_markers_response_writable_txn_marker_result *out)
{
    out->producer_id = asked->producer_id;
    if (!NEW_ITEMS(request, out->topics, asked->topics.count))
        return false;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        const struct rj_int32_array *partitions = &asked->topics.items[i].partition_indexes;
        out->topics.items[i].name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, out->topics.items[i].partitions, partitions->count))
            return false;
        for (int32_t j = 0; j < partitions->count; j++)
            out->topics.items[i].partitions.items[j] =
                (struct rj_write_txn_markers_response_writable_txn_marker_partition_result){
                    .partition_index = partitions->items[j], .error_code = error_code};
    }
    return true;
}

static void *write_txn_markers(struct request *request, const struct rj_write_txn_markers_request *asked,
                               int16_t error_code)
{
    struct rj_write_txn_markers_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->markers, asked->markers.count))
        return NULL;
    for (int32_t i = 0; i < asked->markers.count; i++)
        if (!refuse_marker(request, &asked->markers.items[i], error_code, &response->markers.items[i]))
            return NULL;
    return response;
}

static void *describe_topic_partitions(struct request *request,
                                       const struct rj_describe_topic_partitions_request *asked, int16_t error_code)
{
    struct rj_describe_topic_partitions_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        response->topics.items[i].name = asked->topics.items[i].name;
        response->topics.items[i].error_code = error_code;
        response->topics.items[i].topic_authorized_operations = INT32_MIN;
    }
    return response;
}

/* What has one place, on top: the answer's member errorCode, found by its name. */
static void *on_top(struct request *request, int16_t error_code)
{
    const struct rj_schema_struct *root = rj_response_schema(request->api_key)->root;
    char *response = mock_new_response(request);
    if (response == NULL)
        return NULL;
    for (uint32_t i = 0; i < root->field_count; i++) {
        const struct rj_schema_field *field = &root->fields[i];
        if (field->type == RJ_TYPE_INT16 && strcmp(field->c_name, "error_code") == 0)
            *(int16_t *)(void *)(response + field->offset) = error_code;
    }
    return response;
}

void *mock_error_response(struct request *request, int16_t error_code)
{
    switch (request->api_key) {
        ERROR_CASE(0, produce)
        ERROR_CASE(1, fetch)
        ERROR_CASE(2, list_offsets)
        ERROR_CASE(3, metadata)
        ERROR_CASE(8, offset_commit)
        ERROR_CASE(9, offset_fetch)
        ERROR_CASE(10, find_coordinator)
        ERROR_CASE(11, join)
        ERROR_CASE(15, describe_groups)
        ERROR_CASE(19, create_topics)
        ERROR_CASE(20, delete_topics)
        ERROR_CASE(23, leader_epochs)
        ERROR_CASE(27, write_txn_markers)
        ERROR_CASE(28, txn_offset_commit)
        ERROR_CASE(32, describe_configs)
        ERROR_CASE(33, alter_configs)
        ERROR_CASE(37, create_partitions)
        ERROR_CASE(42, delete_groups)
        ERROR_CASE(44, incremental_alter_configs)
        ERROR_CASE(75, describe_topic_partitions)
    default: return on_top(request, error_code); /* Sync, Heartbeat, LeaveGroup, ListGroups, InitProducerId, ... */
    }
}
