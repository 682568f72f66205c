/* __transaction_state: what a data directory keeps of transactions, in the formats of Kafka's transaction log. A cluster
 * in memory has no such topic, because nobody would ever read it. */
#include "mock/storage/storage.h"

#include <string.h>

static struct rj_string topic_name(void) { return RJ_STRING("__transaction_state"); }

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static struct log *log_of(struct mock_cluster *cluster, struct rj_string transactional_id)
{
    struct topic *topic = mock_find_topic(cluster, topic_name());
    if (topic == NULL && mock_add_topic(cluster, topic_name(), OFFSETS_PARTITION_COUNT, true) == RJ_KAFKA_NONE)
        topic = mock_find_topic(cluster, topic_name());
    return topic ? mock_find_log(topic, rj_coordinator_partition(transactional_id, topic->partition_count)) : NULL;
}

/* A version as int16, then the message, in the arena. */
static bool encode_part(struct mock_cluster *cluster, const struct rj_message_schema *schema, int16_t version,
                        const void *message, struct rj_bytes *out)
{
    enum { PREFIX_LEN = 2 };
    size_t len;
    if (rj_encoded_len(schema, version, message, &len, NULL) != RJ_OK)
        return false;
    uint8_t *bytes = rj_arena_alloc(&cluster->arena, PREFIX_LEN + len);
    if (bytes == NULL || rj_encode(schema, version, message, bytes + PREFIX_LEN, len, &len, NULL) != RJ_OK)
        return false;
    bytes[0] = (uint8_t)(version >> 8);
    bytes[1] = (uint8_t)version;
    *out = (struct rj_bytes){bytes, (int32_t)(PREFIX_LEN + len)};
    return true;
}

/* One entry a partition: readers add up what is of one topic. */
static bool fill_partitions(struct mock_cluster *cluster, const struct transaction *transaction,
                            struct rj_transaction_log_value *value)
{
    struct rj_transaction_log_value_partitions_schema *items =
        rj_arena_alloc(&cluster->arena, (size_t)transaction->partition_count * sizeof(*items));
    if (items == NULL && transaction->partition_count > 0)
        return false;
    for (int32_t i = 0; i < transaction->partition_count; i++) {
        struct transaction_partition *one = &transaction->partitions[i];
        items[i] = (struct rj_transaction_log_value_partitions_schema){
            .topic = {one->topic, (int32_t)strlen(one->topic)}, .partition_ids = {&one->partition, 1}};
    }
    value->transaction_partitions.items = items;
    value->transaction_partitions.count = transaction->partition_count;
    return true;
}

static bool encode_record(struct mock_cluster *cluster, const struct transaction *transaction, struct rj_record *record)
{
    struct rj_transaction_log_key key;
    struct rj_transaction_log_value value;
    int16_t version = cluster->transactions.version >= 2; /* the tagged fields came with the newer protocol */
    rj_message_init(&rj_transaction_log_key_schema, &key);
    rj_message_init(&rj_transaction_log_value_schema, &value);
    key.transactional_id = transaction->transactional_id;
    value.producer_id = transaction->producer_id;
    value.producer_epoch = transaction->producer_epoch;
    value.transaction_timeout_ms = transaction->timeout_ms;
    value.transaction_status = (int8_t)transaction->state; /* the states are numbered as Kafka's */
    value.transaction_last_update_timestamp_ms = record->timestamp_ms;
    value.transaction_start_timestamp_ms = transaction->start_ms;
    if (version > 0) {
        value.previous_producer_id = transaction->previous_producer_id;
        value.next_producer_id = transaction->next_producer_id;
        value.next_producer_epoch = transaction->next_producer_id >= 0 ? 0 : -1;
        value.client_transaction_version = cluster->transactions.version;
    }
    return fill_partitions(cluster, transaction, &value) &&
           encode_part(cluster, &rj_transaction_log_key_schema, 0, &key, &record->key) &&
           encode_part(cluster, &rj_transaction_log_value_schema, version, &value, &record->value);
}

static void compact_if_long(struct mock_cluster *cluster, struct log *log)
{
    size_t least = cluster->options.offsets_segment_len;
    if (log->bytes_len < least || log->bytes_len < log->file->compact_at_len)
        return;
    mock_compact(cluster, log);
    log->file->compact_at_len = log->bytes_len * 2;
}

int16_t mock_keep_transaction(struct mock_cluster *cluster, const struct transaction *transaction)
{
    struct rj_record record = {.timestamp_ms = mock_now_ms(cluster)};
    if (cluster->storage == NULL || transaction == NULL)
        return RJ_KAFKA_NONE;
    struct log *log = log_of(cluster, transaction->transactional_id);
    if (log == NULL || !encode_record(cluster, transaction, &record))
        return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    size_t room = (size_t)record.key.len + (size_t)record.value.len + 128, len = 0;
    uint8_t *batch = rj_arena_alloc(&cluster->arena, room);
    struct rj_batch_writer writer;
    rj_batch_begin(&writer, 2, 0, batch, batch ? room : 0);
    rj_batch_add(&writer, &record, NULL, 0);
    if (rj_batch_finish(&writer, NULL, &len, NULL) != RJ_OK ||
        mock_append_bytes(cluster, log, (struct rj_bytes){batch, (int32_t)len}) != RJ_KAFKA_NONE)
        return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    compact_if_long(cluster, log);
    return RJ_KAFKA_NONE;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void *decode_part(struct mock_cluster *cluster, const struct rj_message_schema *schema, struct rj_bytes bytes)
{
    if (bytes.len < 2)
        return NULL;
    int16_t version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    struct rj_bytes body = {bytes.data + 2, bytes.len - 2};
    void *message = rj_arena_alloc(&cluster->arena, schema->root->size);
    return message != NULL && rj_decode(schema, version, body, &cluster->arena, message, NULL) == RJ_OK ? message : NULL;
}

static bool restore(struct mock_cluster *cluster, const struct rj_transaction_log_key *key,
                    const struct rj_transaction_log_value *value)
{
    struct transaction *transaction = mock_transaction_restore(&cluster->transactions, key->transactional_id);
    if (transaction == NULL)
        return false;
    transaction->producer_id = value->producer_id;
    transaction->previous_producer_id = value->previous_producer_id;
    transaction->next_producer_id = value->next_producer_id;
    transaction->producer_epoch = value->producer_epoch;
    transaction->timeout_ms = value->transaction_timeout_ms;
    transaction->state = (enum transaction_state)value->transaction_status;
    transaction->start_ms = value->transaction_start_timestamp_ms;
    transaction->complete_at_ms = mock_now_ms(cluster); /* if it was preparing: what is missing of the markers */
    for (int32_t i = 0; i < value->transaction_partitions.count; i++) {
        const struct rj_transaction_log_value_partitions_schema *one = &value->transaction_partitions.items[i];
        for (int32_t j = 0; j < one->partition_ids.count; j++)
            if (!mock_transaction_restore_partition(transaction, one->topic, one->partition_ids.items[j]))
                return false;
    }
    return true;
}

/* Of each id the last record is what it is. */
static bool restore_batch(void *context, const struct rj_record_batch *batch)
{
    struct mock_cluster *cluster = context;
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    rj_record_reader_init(&reader, batch, batch->records);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more) {
        const struct rj_transaction_log_key *key = decode_part(cluster, &rj_transaction_log_key_schema, record.key);
        const struct rj_transaction_log_value *value =
            decode_part(cluster, &rj_transaction_log_value_schema, record.value);
        bool is_known = key != NULL && value != NULL && value->transaction_status >= 0 &&
                        value->transaction_status < TRANSACTION_STATE_COUNT;
        if (is_known && !restore(cluster, key, value))
            return false;
    }
    rj_arena_reset(&cluster->arena);
    return true;
}

bool mock_load_transactions(struct mock_cluster *cluster)
{
    const struct topic *topic = cluster->storage ? mock_find_topic(cluster, topic_name()) : NULL;
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++)
        if (!mock_each_batch(topic->partitions[i], restore_batch, cluster))
            return false;
    mock_wake_at(cluster, mock_transactions_deadline_ms(&cluster->transactions));
    return true;
}
