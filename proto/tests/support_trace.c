#include "support_trace.h"

#include <stdio.h>
#include <string.h>

struct rj_string trace_string(const char *text)
{
    return text ? (struct rj_string){text, (int32_t)strlen(text)} : RJ_NULL_STRING;
}

static void note(struct trace *trace, enum rj_err err)
{
    if (trace->err == RJ_OK)
        trace->err = err;
}

int32_t trace_ask(struct trace *trace, uint64_t stream, int16_t api_key, int16_t version, const void *body)
{
    const char *client = trace->clients[stream] ? trace->clients[stream] : "client";
    struct rj_check_message message = {
        .stream = stream, .frame = ++trace->frame, .time_ms = trace->time_ms += 10, .api_key = api_key,
        .version = version, .correlation_id = ++trace->correlation_ids[stream], .client_id = trace_string(client),
        .body = body, .err = body ? RJ_OK : RJ_ERR_TRAILING,
    };
    note(trace, rj_check_request(trace->checker, &message));
    return message.correlation_id;
}

void trace_answer(struct trace *trace, uint64_t stream, int16_t api_key, int16_t version, int32_t correlation_id,
                  const void *body)
{
    struct rj_check_message message = {
        .stream = stream, .frame = ++trace->frame, .time_ms = trace->time_ms += 10, .api_key = api_key,
        .version = version, .correlation_id = correlation_id, .body = body,
    };
    note(trace, rj_check_response(trace->checker, &message));
}

void trace_connect(struct trace *trace, uint64_t stream, const char *client_id)
{
    static struct rj_api_versions_response_api_version ranges[] = {
        {RJ_API_FETCH, 4, 12, NULL}, {RJ_API_METADATA, 0, 12, NULL}, {RJ_API_OFFSET_COMMIT, 2, 9, NULL},
        {RJ_API_OFFSET_FETCH, 1, 9, NULL}, {RJ_API_JOIN_GROUP, 0, 9, NULL}, {RJ_API_SYNC_GROUP, 0, 5, NULL},
        {RJ_API_HEARTBEAT, 0, 4, NULL}, {RJ_API_LEAVE_GROUP, 0, 5, NULL}, {RJ_API_API_VERSIONS, 0, 4, NULL},
    };
    struct rj_api_versions_request request;
    struct rj_api_versions_response response;
    trace->clients[stream] = client_id;
    rj_message_init(&rj_api_versions_request_schema, &request);
    rj_message_init(&rj_api_versions_response_schema, &response);
    response.api_keys.items = ranges;
    response.api_keys.count = (int32_t)(sizeof(ranges) / sizeof(ranges[0]));
    note(trace, rj_check_open(trace->checker, stream, ++trace->frame, trace->time_ms, true));
    trace_answer(trace, stream, RJ_API_API_VERSIONS, 3,
                 trace_ask(trace, stream, RJ_API_API_VERSIONS, 3, &request), &response);
}

void trace_metadata(struct trace *trace, uint64_t stream, int partition_count)
{
    struct rj_metadata_request request;
    struct rj_metadata_response response;
    struct rj_metadata_response_topic topic;
    struct rj_metadata_response_partition partitions[16];
    rj_message_init(&rj_metadata_request_schema, &request);
    rj_message_init(&rj_metadata_response_schema, &response);
    memset(&topic, 0, sizeof(topic));
    memset(partitions, 0, sizeof(partitions));
    for (int i = 0; i < partition_count; i++)
        partitions[i].partition_index = i;
    topic.name = trace_string("t");
    topic.partitions.items = partitions;
    topic.partitions.count = partition_count;
    response.topics.items = &topic;
    response.topics.count = 1;
    trace_answer(trace, stream, RJ_API_METADATA, 12, trace_ask(trace, stream, RJ_API_METADATA, 12, &request),
                 &response);
}

int32_t trace_join(struct trace *trace, uint64_t stream, const char *group, const char *member, const char *instance,
                   const struct trace_protocol *protocols, int count)
{
    struct rj_join_group_request request;
    struct rj_join_group_request_protocol offered[8] = {0};
    rj_message_init(&rj_join_group_request_schema, &request);
    for (int i = 0; i < count; i++) {
        offered[i].name = trace_string(protocols[i].name);
        offered[i].metadata = protocols[i].metadata;
    }
    request.group_id = trace_string(group);
    request.session_timeout_ms = 10000;
    request.rebalance_timeout_ms = 30000;
    request.member_id = trace_string(member);
    request.group_instance_id = trace_string(instance);
    request.protocol_type = trace_string("consumer");
    request.protocols.items = offered;
    request.protocols.count = count;
    return trace_ask(trace, stream, RJ_API_JOIN_GROUP, 9, &request);
}

void trace_joined(struct trace *trace, uint64_t stream, int32_t correlation_id, int16_t error, int32_t generation,
                  const char *protocol, const char *leader, const char *member, const struct trace_member *list,
                  int count)
{
    struct rj_join_group_response response;
    struct rj_join_group_response_member members[8] = {0};
    rj_message_init(&rj_join_group_response_schema, &response);
    for (int i = 0; i < count; i++) {
        members[i].member_id = trace_string(list[i].id);
        members[i].group_instance_id = trace_string(list[i].instance_id);
        members[i].metadata = list[i].metadata;
    }
    response.error_code = error;
    response.generation_id = generation;
    response.protocol_type = error == 0 ? trace_string("consumer") : RJ_NULL_STRING;
    response.protocol_name = error == 0 ? trace_string(protocol) : RJ_NULL_STRING;
    response.leader = trace_string(leader);
    response.member_id = trace_string(member);
    response.members.items = members;
    response.members.count = count;
    trace_answer(trace, stream, RJ_API_JOIN_GROUP, 9, correlation_id, &response);
}

int32_t trace_sync(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                   const struct trace_share *shares, int count)
{
    struct rj_sync_group_request request;
    struct rj_sync_group_request_assignment assignments[8] = {0};
    rj_message_init(&rj_sync_group_request_schema, &request);
    for (int i = 0; i < count; i++) {
        assignments[i].member_id = trace_string(shares[i].member);
        assignments[i].assignment = shares[i].assignment;
    }
    request.group_id = trace_string(group);
    request.generation_id = generation;
    request.member_id = trace_string(member);
    request.assignments.items = assignments;
    request.assignments.count = count;
    return trace_ask(trace, stream, RJ_API_SYNC_GROUP, 5, &request);
}

void trace_synced(struct trace *trace, uint64_t stream, int32_t correlation_id, int16_t error,
                  struct rj_bytes assignment)
{
    struct rj_sync_group_response response;
    rj_message_init(&rj_sync_group_response_schema, &response);
    response.error_code = error;
    response.assignment = assignment;
    trace_answer(trace, stream, RJ_API_SYNC_GROUP, 5, correlation_id, &response);
}

void trace_heartbeat(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                     const char *instance, int16_t error)
{
    struct rj_heartbeat_request request;
    struct rj_heartbeat_response response;
    rj_message_init(&rj_heartbeat_request_schema, &request);
    rj_message_init(&rj_heartbeat_response_schema, &response);
    request.group_id = trace_string(group);
    request.generation_id = generation;
    request.member_id = trace_string(member);
    request.group_instance_id = trace_string(instance);
    response.error_code = error;
    trace_answer(trace, stream, RJ_API_HEARTBEAT, 4, trace_ask(trace, stream, RJ_API_HEARTBEAT, 4, &request),
                 &response);
}

void trace_leave(struct trace *trace, uint64_t stream, const char *group, const char *member, int16_t error)
{
    struct rj_leave_group_request request;
    struct rj_leave_group_response response;
    struct rj_leave_group_request_member_identity leaver = {.member_id = trace_string(member)};
    struct rj_leave_group_response_member_response left = {.member_id = trace_string(member), .error_code = error};
    rj_message_init(&rj_leave_group_request_schema, &request);
    rj_message_init(&rj_leave_group_response_schema, &response);
    request.group_id = trace_string(group);
    request.members.items = &leaver;
    request.members.count = 1;
    response.members.items = &left;
    response.members.count = 1;
    trace_answer(trace, stream, RJ_API_LEAVE_GROUP, 5, trace_ask(trace, stream, RJ_API_LEAVE_GROUP, 5, &request),
                 &response);
}

void trace_commit(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                  int32_t partition, int64_t offset, int16_t error, int32_t answered_partition)
{
    struct rj_offset_commit_request request;
    struct rj_offset_commit_response response;
    struct rj_offset_commit_request_partition asked = {.partition_index = partition, .committed_offset = offset};
    struct rj_offset_commit_request_topic asked_topic = {.name = trace_string("t"), .partitions = {&asked, 1}};
    struct rj_offset_commit_response_partition said = {.partition_index = answered_partition, .error_code = error};
    struct rj_offset_commit_response_topic said_topic = {.name = trace_string("t"), .partitions = {&said, 1}};
    rj_message_init(&rj_offset_commit_request_schema, &request);
    rj_message_init(&rj_offset_commit_response_schema, &response);
    request.group_id = trace_string(group);
    request.generation_id_or_member_epoch = generation;
    request.member_id = trace_string(member);
    request.topics.items = &asked_topic;
    request.topics.count = 1;
    response.topics.items = &said_topic;
    response.topics.count = 1;
    trace_answer(trace, stream, RJ_API_OFFSET_COMMIT, 8, trace_ask(trace, stream, RJ_API_OFFSET_COMMIT, 8, &request),
                 &response);
}

void trace_fetch_offset(struct trace *trace, uint64_t stream, const char *group, int32_t partition, int64_t offset)
{
    struct rj_offset_fetch_request request;
    struct rj_offset_fetch_response response;
    struct rj_offset_fetch_request_topic asked = {.name = trace_string("t"), .partition_indexes = {&partition, 1}};
    struct rj_offset_fetch_response_partition said = {.partition_index = partition, .committed_offset = offset};
    struct rj_offset_fetch_response_topic said_topic = {.name = trace_string("t"), .partitions = {&said, 1}};
    rj_message_init(&rj_offset_fetch_request_schema, &request);
    rj_message_init(&rj_offset_fetch_response_schema, &response);
    request.group_id = trace_string(group);
    request.topics.items = &asked;
    request.topics.count = 1;
    response.topics.items = &said_topic;
    response.topics.count = 1;
    trace_answer(trace, stream, RJ_API_OFFSET_FETCH, 7, trace_ask(trace, stream, RJ_API_OFFSET_FETCH, 7, &request),
                 &response);
}

void trace_fetch(struct trace *trace, uint64_t stream, int32_t partition, int64_t offset, int32_t session_epoch)
{
    struct rj_fetch_request request;
    struct rj_fetch_response response;
    struct rj_fetch_request_fetch_partition asked = {.partition = partition, .fetch_offset = offset};
    struct rj_fetch_request_fetch_topic topic = {.topic = trace_string("t"), .partitions = {&asked, 1}};
    rj_message_init(&rj_fetch_request_schema, &request);
    rj_message_init(&rj_fetch_response_schema, &response);
    request.session_epoch = session_epoch;
    request.topics.items = &topic;
    request.topics.count = 1;
    trace_answer(trace, stream, RJ_API_FETCH, 12, trace_ask(trace, stream, RJ_API_FETCH, 12, &request), &response);
}

/* ---- What members put inside ------------------------------------------------------------------------------------- */

static uint8_t *next_buffer(void)
{
    static uint8_t buffers[64][256];
    static int turn;
    return buffers[turn++ % 64];
}

static uint8_t *put32(uint8_t *at, int32_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)((uint32_t)number >> (24 - 8 * i));
    return at + 4;
}

static uint8_t *put_topic(uint8_t *at, const char *topic)
{
    size_t len = strlen(topic);
    *at++ = 0;
    *at++ = (uint8_t)len;
    memcpy(at, topic, len);
    return at + len;
}

static uint8_t *put_partitions(uint8_t *at, const char *topic, const char *partitions)
{
    size_t count = strlen(partitions);
    at = put32(at, count > 0 ? 1 : 0);
    if (count == 0)
        return at;
    at = put_topic(at, topic);
    at = put32(at, (int32_t)count);
    for (size_t i = 0; i < count; i++)
        at = put32(at, partitions[i] - '0');
    return at;
}

struct rj_bytes trace_subscription(const char *owned, int32_t generation)
{
    uint8_t *start = next_buffer(), *at = start;
    *at++ = 0;
    *at++ = 2;
    at = put32(at, 1);
    at = put_topic(at, "t");
    at = put32(at, -1); /* no user data */
    at = put_partitions(at, "t", owned);
    at = put32(at, generation);
    return (struct rj_bytes){start, (int32_t)(at - start)};
}

struct rj_bytes trace_assignment(const char *topic, const char *partitions)
{
    uint8_t *start = next_buffer(), *at = start;
    *at++ = 0;
    *at++ = 1;
    at = put_partitions(at, topic, partitions);
    at = put32(at, -1);
    return (struct rj_bytes){start, (int32_t)(at - start)};
}
