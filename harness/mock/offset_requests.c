/* ListOffsets and OffsetForLeaderEpoch: where a log begins and ends. */
#include "mock/internal.h"

enum {
    TIME_LATEST = -1, TIME_EARLIEST = -2, TIME_MAX = -3 /* since version 7 */, TIME_EARLIEST_LOCAL = -4 /* 8 */,
    TIME_LATEST_TIERED = -5 /* 9 */, TIME_EARLIEST_PENDING_UPLOAD = -6 /* 11 */,
};

/* Every leader has epoch 0 from its first moment. */
static int16_t judge_epoch(int32_t current_leader_epoch)
{
    return current_leader_epoch > 0 ? RJ_KAFKA_UNKNOWN_LEADER_EPOCH : RJ_KAFKA_NONE;
}

static struct log *find_led_log(const struct request *request, struct rj_string name, int32_t partition, int16_t *error)
{
    const struct topic *topic = mock_find_topic(request->cluster, name);
    struct log *log = topic ? mock_find_log(topic, partition) : NULL;
    if (log == NULL)
        *error = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (request->broker_id >= 0 && mock_partition_leader(request->cluster, topic, partition) != request->broker_id)
        *error = RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    else
        return log;
    return NULL;
}

/* The first record of the batch at or behind that time, or its newest one (timestamp_ms INT64_MIN). */
static void search_batch(struct request *request, const struct log_entry *entry, const uint8_t *bytes,
                         int64_t timestamp_ms, struct rj_list_offsets_response_list_offsets_partition_response *out)
{
    struct rj_record_batch batch;
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    out->offset = entry->base_offset;
    out->timestamp = entry->max_timestamp_ms;
    if (rj_batch_read_unchecked((struct rj_bytes){bytes, (int32_t)entry->len}, &batch, NULL) != RJ_OK)
        return;
    struct rj_bytes plain = batch.records;
    if (rj_batch_compression(&batch) != RJ_COMPRESSION_NONE &&
        !mock_decompress(rj_batch_compression(&batch), batch.magic, batch.records, &request->cluster->arena, &plain))
        return;
    rj_record_reader_init(&reader, &batch, plain);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more) {
        bool is_it = timestamp_ms == INT64_MIN ? record.timestamp_ms == entry->max_timestamp_ms
                                               : record.timestamp_ms >= timestamp_ms;
        if (is_it) {
            out->offset = record.offset;
            out->timestamp = record.timestamp_ms;
            return;
        }
    }
}

static int16_t find_offset(struct request *request, struct log *log, int64_t timestamp_ms, int64_t end_offset,
                           struct rj_list_offsets_response_list_offsets_partition_response *out)
{
    static const int8_t special_since[] = {1, 1, 7, 8, 9, 11}; /* of -1, -2, ... */
    const uint8_t *bytes = NULL;
    const struct log_entry *entry = NULL;
    if (timestamp_ms < 0 && (timestamp_ms < -6 || request->version < special_since[-1 - timestamp_ms]))
        return RJ_KAFKA_UNSUPPORTED_VERSION;
    switch (timestamp_ms) {
    case TIME_LATEST: out->offset = end_offset; break;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL: out->offset = log->start_offset; break;
    case TIME_LATEST_TIERED:
    case TIME_EARLIEST_PENDING_UPLOAD: break;
    case TIME_MAX:
        entry = mock_log_find_newest(log, &bytes);
        timestamp_ms = INT64_MIN;
        break;
    default: entry = mock_log_find_time(log, timestamp_ms, &bytes); break;
    }
    if (entry != NULL)
        search_batch(request, entry, bytes, timestamp_ms, out);
    if (entry != NULL && out->offset >= end_offset)
        out->offset = out->timestamp = -1; /* nothing that may be read yet */
    if (out->offset >= 0 && request->version >= 4)
        out->leader_epoch = 0;
    return RJ_KAFKA_NONE;
}

/* Version 0 answers with a list, newest first: the end, then where segments begin. */
static bool list_old_style(struct request *request, struct log *log, int64_t timestamp_ms, int32_t max_count,
                           struct rj_list_offsets_response_list_offsets_partition_response *out)
{
    int64_t *items = mock_arena_array(request, 2, sizeof(*items));
    int32_t count = 0;
    if (items == NULL)
        return false;
    if (timestamp_ms == TIME_LATEST && log->end_offset > log->start_offset)
        items[count++] = log->end_offset;
    items[count++] = log->start_offset;
    out->old_style_offsets.items = items;
    out->old_style_offsets.count = count < max_count ? count : max_count < 0 ? 0 : max_count;
    return true;
}

enum outcome mock_handle_list_offsets(struct request *request)
{
    const struct rj_list_offsets_request *asked = request->body;
    struct rj_list_offsets_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_list_offsets_response_list_offsets_topic_response *topic = &response->topics.items[i];
        topic->name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return OUTCOME_CLOSE;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            const struct rj_list_offsets_request_list_offsets_partition *in =
                &asked->topics.items[i].partitions.items[j];
            struct rj_list_offsets_response_list_offsets_partition_response *out = &topic->partitions.items[j];
            out->partition_index = in->partition_index;
            out->timestamp = out->offset = out->leader_epoch = -1;
            if (!mock_may_topic(request, topic->name, RJ_OPERATION_DESCRIBE)) {
                out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
                continue;
            }
            struct log *log = find_led_log(request, topic->name, in->partition_index, &out->error_code);
            if (log != NULL)
                out->error_code = judge_epoch(in->current_leader_epoch);
            if (out->error_code != RJ_KAFKA_NONE)
                continue;
            if (request->version > 0)
                out->error_code = find_offset(request, log, in->timestamp, asked->isolation_level == 0
                                                  ? log->end_offset : mock_log_stable_offset(log), out);
            else if (!list_old_style(request, log, in->timestamp, in->max_num_offsets, out))
                return OUTCOME_CLOSE;
        }
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

enum outcome mock_handle_offset_for_leader_epoch(struct request *request)
{
    const struct rj_offset_for_leader_epoch_request *asked = request->body;
    struct rj_offset_for_leader_epoch_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_offset_for_leader_epoch_response_offset_for_leader_topic_result *topic = &response->topics.items[i];
        topic->topic = asked->topics.items[i].topic;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return OUTCOME_CLOSE;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            const struct rj_offset_for_leader_epoch_request_offset_for_leader_partition *in =
                &asked->topics.items[i].partitions.items[j];
            struct rj_offset_for_leader_epoch_response_epoch_end_offset *out = &topic->partitions.items[j];
            out->partition = in->partition;
            out->leader_epoch = -1;
            out->end_offset = -1;
            if (!mock_may_topic(request, topic->topic, RJ_OPERATION_DESCRIBE) &&
                !mock_may_cluster(request, RJ_OPERATION_CLUSTER_ACTION)) {
                out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
                continue;
            }
            struct log *log = find_led_log(request, topic->topic, in->partition, &out->error_code);
            if (log != NULL)
                out->error_code = judge_epoch(in->current_leader_epoch);
            if (out->error_code == RJ_KAFKA_NONE && in->leader_epoch == 0) {
                out->leader_epoch = 0;
                out->end_offset = log->end_offset;
            }
        }
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
