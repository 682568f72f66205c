/* Fetching: one request at a time to each leader, for owned partitions that the application waits for. */
#include "consumer/state.h"

static bool wants_fetch(const struct rj_consumer *c, const struct partition *partition)
{
    return partition->state == POSITION_READY && !partition->handed_out && !partition->is_revoking &&
           partition->fetch_correlation_id == 0 && c->now_ms >= partition->retry_at_ms;
}

static bool is_fetching_from(const struct rj_consumer *c, uint32_t connection_id)
{
    for (int32_t i = 0; i < c->in_flight_count; i++)
        if (c->in_flight[i].connection_id == connection_id && c->in_flight[i].api_key == RJ_API_FETCH)
            return true;
    return false;
}

static int32_t fill_topics(struct rj_consumer *c, int16_t version, int32_t leader, int32_t correlation_id,
                           struct rj_fetch_request_fetch_topic *topics)
{
    int32_t count = 0;
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        const struct known_partition *known = rj_metadata_partition(c, partition->topic, partition->number);
        if (!wants_fetch(c, partition) || known == NULL || known->leader != leader)
            continue;
        int32_t t = 0;
        while (t < count && !rj_string_equal(topics[t].topic, partition->topic))
            t++;
        if (t == count) {
            topics[count].topic = rj_consumer_step_string(c, partition->topic);
            topics[count].partitions.items =
                rj_consumer_step_alloc(c, c->partition_count, sizeof(struct rj_fetch_request_fetch_partition));
            if (topics[count++].partitions.items == NULL)
                return 0;
        }
        struct rj_fetch_request_fetch_partition *item = &topics[t].partitions.items[topics[t].partitions.count++];
        *item = (struct rj_fetch_request_fetch_partition){
            .partition = partition->number,
            .current_leader_epoch = version >= 9 ? known->leader_epoch : -1,
            .fetch_offset = partition->position,
            .last_fetched_epoch = -1,
            .log_start_offset = -1,
            .partition_max_bytes = c->config.max_partition_fetch_bytes,
            .high_watermark = INT64_MAX,
        };
        partition->fetch_correlation_id = correlation_id;
    }
    return count;
}

static void send_fetch(struct rj_consumer *c, struct connection *connection, int32_t leader)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_FETCH);
    struct rj_fetch_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_fetch_request_fetch_topic *topics = rj_consumer_step_alloc(c, c->partition_count, sizeof *topics);
    if (request == NULL || topics == NULL)
        return;
    rj_message_init(&rj_fetch_request_schema, request);
    request->replica_id = -1;
    request->max_wait_ms = c->config.fetch_max_wait_ms;
    request->min_bytes = c->config.fetch_min_bytes;
    request->max_bytes = c->config.fetch_max_bytes;
    request->isolation_level = c->config.isolation_level;
    if (version >= 11 && !rj_string_is_null(c->config.rack))
        request->rack_id = c->config.rack;
    request->topics.items = topics;
    request->topics.count = fill_topics(c, version, leader, c->next_correlation_id + 1, topics);
    if (request->topics.count > 0)
        rj_consumer_send(c, connection, RJ_API_FETCH, version, request);
}

void rj_fetch_drive(struct rj_consumer *c)
{
    if (c->is_closing || !c->config.fetch_records)
        return;
    for (int32_t i = 0; i < c->partition_count && !c->out_of_memory; i++) {
        struct partition *partition = &c->partitions[i];
        if (partition->state == POSITION_READY && c->now_ms < partition->retry_at_ms)
            rj_consumer_wake(c, partition->retry_at_ms);
        if (!wants_fetch(c, partition))
            continue;
        const struct known_partition *known = rj_metadata_partition(c, partition->topic, partition->number);
        if (known == NULL || known->leader == NO_NODE) {
            c->metadata_wanted = true;
            partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
            rj_consumer_wake(c, partition->retry_at_ms);
            continue;
        }
        struct connection *connection = rj_connection_ready(c, RJ_CONNECTION_DATA, known->leader);
        if (connection != NULL && !is_fetching_from(c, connection->id))
            send_fetch(c, connection, known->leader);
    }
}

void rj_fetch_request_lost(struct rj_consumer *c, const struct in_flight *request)
{
    for (int32_t i = 0; i < c->partition_count; i++)
        if (c->partitions[i].fetch_correlation_id == request->correlation_id) {
            c->partitions[i].fetch_correlation_id = 0;
            c->partitions[i].retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
        }
}

static void fetch_refused(struct rj_consumer *c, struct partition *partition, int16_t error)
{
    partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
    switch (error) {
    case RJ_KAFKA_OFFSET_OUT_OF_RANGE:
        if (c->config.auto_offset_reset != RJ_OFFSET_RESET_NONE) {
            partition->state = POSITION_RESETTING;
            partition->retry_at_ms = 0;
            return;
        }
        partition->state = POSITION_STUCK;
        break;
    case RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED:
        partition->state = POSITION_STUCK;
        break;
    default: /* moved, not there yet, an old leader epoch: new metadata helps */
        c->metadata_wanted = true;
        return;
    }
    rj_consumer_report(c, RJ_API_FETCH, error, RJ_RULE_CL_FETCH_OWNED_ONLY, "a partition cannot be fetched");
}

static void take_partition(struct rj_consumer *c, const struct in_flight *request, struct rj_string topic,
                           const struct rj_fetch_response_partition_data *data)
{
    struct partition *partition = rj_partition_find(c, topic, data->partition_index);
    if (partition == NULL || partition->fetch_correlation_id != request->correlation_id)
        return; /* given up meanwhile, perhaps taken back with another position */
    partition->fetch_correlation_id = 0;
    partition->retry_at_ms = 0;
    if (data->error_code != 0) {
        fetch_refused(c, partition, data->error_code);
        return;
    }
    if (partition->is_ghost) {
        partition->retry_at_ms = c->now_ms + c->config.fetch_max_wait_ms; /* looks, but has nobody to hand it to */
        return;
    }
    if (data->records.data == NULL || data->records.len == 0 || partition->is_revoking)
        return;
    struct rj_consumer_action *action = rj_consumer_act(c, RJ_CONSUMER_RECORDS);
    if (action == NULL)
        return;
    action->as.records.topic = rj_consumer_step_string(c, partition->topic);
    action->as.records.partition = partition->number;
    action->as.records.fetch_offset = partition->position;
    action->as.records.high_watermark = data->high_watermark;
    action->as.records.records = data->records;
    partition->handed_out = true;
}

void rj_fetch_take(struct rj_consumer *c, const struct in_flight *request, const struct rj_fetch_response *response)
{
    if (response->error_code == 0)
        for (int32_t t = 0; t < response->responses.count; t++)
            for (int32_t p = 0; p < response->responses.items[t].partitions.count; p++)
                take_partition(c, request, response->responses.items[t].topic,
                               &response->responses.items[t].partitions.items[p]);
    rj_fetch_request_lost(c, request); /* what the answer left out */
}
