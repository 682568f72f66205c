/* Produce. */
#include "mock/storage/storage.h"

#include <string.h>

enum {
    MAX_BATCH_LEN = 1048588, /* message.max.bytes as Kafka has it by default */
    PRODUCE_ADDS_PARTITIONS = 12, /* since this version to the producer's transaction (KIP-890) */
};

/* Commit or abort, and by which coordinator: the one record of a control batch. */
static void read_marker(const struct rj_record_batch *batch, struct log_batch *entry)
{
    enum { KEY_LEN = 4, TYPE_AT = 3, COMMIT = 1, VALUE_LEN = 6 };
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    rj_record_reader_init(&reader, batch, batch->records);
    if (rj_record_next(&reader, &record, &more, NULL) != RJ_OK || !more || record.key.len < KEY_LEN)
        return;
    entry->is_commit = record.key.data[TYPE_AT] == COMMIT;
    const uint8_t *value = record.value.data;
    if (record.value.len >= VALUE_LEN)
        entry->coordinator_epoch = (int32_t)((uint32_t)value[2] << 24 | value[3] << 16 | value[4] << 8 | value[5]);
}

struct log_batch mock_log_batch_of(const struct rj_record_batch *batch, const uint8_t *bytes)
{
    struct log_batch entry = {
        .bytes = bytes, .len = (uint32_t)batch->len, .record_count = batch->last_offset_delta + 1,
        .first_timestamp_ms = batch->base_timestamp_ms, .max_timestamp_ms = batch->max_timestamp_ms,
        .producer_id = batch->producer_id, .producer_epoch = batch->producer_epoch,
        .base_sequence = batch->base_sequence,
        .is_transactional = (batch->attributes & RJ_BATCH_TRANSACTIONAL) != 0,
        .is_control = (batch->attributes & RJ_BATCH_CONTROL) != 0};
    if (entry.is_control)
        read_marker(batch, &entry);
    return entry;
}

int16_t mock_append_in_memory(struct mock_cluster *cluster, struct log *log, const struct log_batch *batch,
                              int64_t *base_offset)
{
    if (batch->len > cluster->options.limits.records_len - cluster->records_len)
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    *base_offset = mock_log_append(log, batch);
    if (*base_offset < 0)
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    cluster->records_len += batch->len;
    cluster->has_news = true;
    return RJ_KAFKA_NONE;
}

static void answer_partition(struct mock_cluster *cluster, void *context, uint64_t number, int16_t error_code,
                         int64_t base_offset)
{
    (void)cluster;
    (void)number;
    struct rj_produce_response_partition_produce_response *out = context;
    out->error_code = error_code;
    out->base_offset = base_offset;
}

/* 0 with the offset in out, or Kafka's error. With a data directory out is filled by the next mock_storage_sync. */
static int16_t append_batch(struct request *request, struct log *log, const struct rj_record_batch *batch,
                            const uint8_t *bytes, struct rj_produce_response_partition_produce_response *out)
{
    struct mock_cluster *cluster = request->cluster;
    struct log_batch entry = mock_log_batch_of(batch, bytes);
    entry.is_strict = entry.is_transactional && request->version >= PRODUCE_ADDS_PARTITIONS &&
                      !mock_producer_is_open(&log->producers, batch->producer_id, batch->producer_epoch);
    int16_t error = mock_producers_judge(&log->producers, &entry, &out->base_offset);
    if (error == RJ_KAFKA_DUPLICATE_SEQUENCE_NUMBER)
        return RJ_KAFKA_NONE; /* sent again: the producer gets the answer that it missed */
    if (error != RJ_KAFKA_NONE)
        return error;
    struct rj_bytes whole = {bytes, (int32_t)batch->len};
    if (cluster->storage != NULL) {
        mock_storage_append(cluster, log, whole, RJ_KAFKA_NONE, answer_partition, out, 0);
        return RJ_KAFKA_NONE;
    }
    return mock_append_in_memory(cluster, log, &entry, &out->base_offset);
}

int16_t mock_append_bytes(struct mock_cluster *cluster, struct log *log, struct rj_bytes bytes)
{
    struct rj_record_batch batch;
    int64_t base_offset;
    if (rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    if (cluster->storage != NULL)
        return mock_storage_append_now(cluster, log, bytes, &base_offset);
    struct log_batch entry = mock_log_batch_of(&batch, bytes.data);
    int16_t error = mock_producers_judge(&log->producers, &entry, &base_offset);
    return error ? error : mock_append_in_memory(cluster, log, &entry, &base_offset);
}

/* What Kafka demands of the batch of a Produce since version 3: exactly one, of magic 2, as its header says. */
static int16_t judge_batch(const struct request *request, struct rj_bytes bytes, enum rj_err err,
                           const struct rj_record_batch *batch)
{
    if (err == RJ_ERR_CORRUPT || err == RJ_ERR_LENGTH)
        return RJ_KAFKA_CORRUPT_MESSAGE;
    if (err != RJ_OK || batch->magic != 2 || batch->len != (size_t)bytes.len || batch->record_count < 1 ||
        batch->last_offset_delta != batch->record_count - 1)
        return RJ_KAFKA_INVALID_RECORD;
    if (batch->attributes & RJ_BATCH_CONTROL)
        return RJ_KAFKA_INVALID_RECORD;
    if (rj_batch_compression(batch) > RJ_COMPRESSION_ZSTD ||
        (rj_batch_compression(batch) == RJ_COMPRESSION_ZSTD && request->version < 7))
        return RJ_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    if (batch->len > MAX_BATCH_LEN)
        return RJ_KAFKA_MESSAGE_TOO_LARGE;
    if (batch->producer_id >= 0 && batch->base_sequence < 0)
        return RJ_KAFKA_INVALID_RECORD;
    return RJ_KAFKA_NONE;
}

/* Message sets of magic 0 and 1 become one batch of magic 2, in the scratch buffer. */
static int16_t convert_up(struct request *request, struct rj_bytes bytes, struct rj_bytes *converted)
{
    struct mock_cluster *cluster = request->cluster;
    size_t len = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct rj_batch_writer writer;
        int64_t offset = 0;
        rj_batch_begin(&writer, 2, 0, cluster->scratch.data, cluster->scratch.capacity);
        for (int32_t at = 0; at < bytes.len;) {
            struct rj_record_batch message;
            struct rj_record record;
            struct rj_record_reader reader;
            bool more = true;
            struct rj_bytes rest = {bytes.data + at, bytes.len - at};
            if (rj_batch_read(rest, &message, NULL) != RJ_OK || message.magic > 1)
                return RJ_KAFKA_CORRUPT_MESSAGE;
            struct rj_bytes plain = message.records;
            if (rj_batch_compression(&message) != RJ_COMPRESSION_NONE &&
                !mock_decompress(rj_batch_compression(&message), message.magic, message.records, &cluster->arena,
                                 &plain))
                return RJ_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
            rj_record_reader_init(&reader, &message, plain);
            while (more && rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more) {
                record.offset = offset++;
                rj_batch_add(&writer, &record, NULL, 0);
            }
            if (more)
                return RJ_KAFKA_CORRUPT_MESSAGE;
            at += (int32_t)message.len;
        }
        if (offset == 0)
            return RJ_KAFKA_INVALID_RECORD;
        enum rj_err err = rj_batch_finish(&writer, NULL, &len, NULL);
        if (err == RJ_OK)
            break;
        cluster->scratch.len = 0;
        if (err != RJ_ERR_SPACE || attempt == 1 || !mock_buffer_reserve(&cluster->scratch, len))
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    *converted = (struct rj_bytes){cluster->scratch.data, (int32_t)len};
    return RJ_KAFKA_NONE;
}

/* Whether the partition belongs to the producer's transaction; since version 12 it is taken in. */
static int16_t judge_transaction(const struct request *request, const struct topic *topic, int32_t partition,
                                 const struct log *log, const struct rj_record_batch *batch)
{
    const struct rj_produce_request *asked = request->body;
    enum transaction_question question = request->version >= PRODUCE_ADDS_PARTITIONS ? TRANSACTION_TAKES_IN
                                         : request->version == PRODUCE_ADDS_PARTITIONS - 1
                                             ? TRANSACTION_KNOWS_ABORTABLE : TRANSACTION_OLD_ERRORS;
    if (rj_string_is_null(asked->transactional_id) ||
        !mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, asked->transactional_id, RJ_OPERATION_WRITE))
        return RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    struct producer_identity producer = {batch->producer_id, batch->producer_epoch};
    int16_t error = mock_verify_transaction(request->cluster, asked->transactional_id, producer, topic->name_view,
                                            partition, log, question);
    bool is_old = question != TRANSACTION_TAKES_IN && error == RJ_KAFKA_CONCURRENT_TRANSACTIONS;
    return is_old ? RJ_KAFKA_NOT_ENOUGH_REPLICAS : error; /* which older producers repeat */
}

static int16_t produce_partition(struct request *request, struct topic *topic,
                                 const struct rj_produce_request_partition_produce_data *data,
                                 struct rj_produce_response_partition_produce_response *out)
{
    struct mock_cluster *cluster = request->cluster;
    struct log *log = mock_find_log(topic, data->index);
    if (log == NULL)
        return RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int32_t leader = mock_partition_leader(cluster, topic, data->index);
    if (request->broker_id >= 0 && leader != request->broker_id) {
        if (request->version >= 10) {
            out->current_leader.leader_id = leader;
            out->current_leader.leader_epoch = 0;
        }
        return RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    }
    if (topic->is_internal)
        return RJ_KAFKA_INVALID_TOPIC_EXCEPTION;
    struct rj_bytes bytes = data->records;
    if (bytes.len <= 0)
        return RJ_KAFKA_INVALID_RECORD;
    struct rj_record_batch batch;
    int16_t error = request->version < 3 ? convert_up(request, bytes, &bytes) : RJ_KAFKA_NONE;
    if (error == RJ_KAFKA_NONE) {
        enum rj_err err = rj_batch_read(bytes, &batch, NULL);
        error = judge_batch(request, bytes, err, &batch);
    }
    if (error == RJ_KAFKA_NONE && mock_storage_is_waiting(log))
        mock_storage_sync(cluster); /* what waits may be of the same producer */
    if (error == RJ_KAFKA_NONE && (batch.attributes & RJ_BATCH_TRANSACTIONAL) && batch.producer_id >= 0)
        error = judge_transaction(request, topic, data->index, log, &batch);
    if (error == RJ_KAFKA_NONE)
        error = append_batch(request, log, &batch, bytes.data, out);
    if (error == RJ_KAFKA_NONE)
        out->log_start_offset = log->start_offset;
    return error;
}

static bool produce_topic(struct request *request, const struct rj_produce_request *asked,
                          const struct rj_produce_request_topic_produce_data *data,
                          struct rj_produce_response_topic_produce_response *out)
{
    struct mock_cluster *cluster = request->cluster;
    struct topic *topic = request->version >= 13 ? mock_find_topic_by_id(cluster, &data->topic_id)
                                                 : mock_find_topic(cluster, data->name);
    out->name = data->name;
    out->topic_id = data->topic_id;
    if (!NEW_ITEMS(request, out->partition_responses, data->partition_data.count))
        return false;
    for (int32_t i = 0; i < data->partition_data.count; i++) {
        struct rj_produce_response_partition_produce_response *partition = &out->partition_responses.items[i];
        *partition = (struct rj_produce_response_partition_produce_response){
            .index = data->partition_data.items[i].index, .base_offset = -1, .log_append_time_ms = -1,
            .log_start_offset = -1, .current_leader = {.leader_id = -1, .leader_epoch = -1}};
        if (!mock_may_topic(request, topic ? topic->name_view : data->name, RJ_OPERATION_WRITE) &&
            (topic != NULL || request->version < 13))
            partition->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
        else if (asked->acks < -1 || asked->acks > 1)
            partition->error_code = RJ_KAFKA_INVALID_REQUIRED_ACKS;
        else if (topic == NULL)
            partition->error_code = request->version >= 13 ? RJ_KAFKA_UNKNOWN_TOPIC_ID
                                                           : RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else
            partition->error_code = produce_partition(request, topic, &data->partition_data.items[i], partition);
    }
    return true;
}

static bool is_refused(const struct rj_produce_response *response)
{
    for (int32_t i = 0; i < response->responses.count; i++)
        for (int32_t j = 0; j < response->responses.items[i].partition_responses.count; j++)
            if (response->responses.items[i].partition_responses.items[j].error_code != RJ_KAFKA_NONE)
                return true;
    return false;
}

enum outcome mock_handle_produce(struct request *request)
{
    const struct rj_produce_request *asked = request->body;
    struct rj_produce_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->topic_data.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topic_data.count; i++)
        if (!produce_topic(request, asked, &asked->topic_data.items[i], &response->responses.items[i]))
            return OUTCOME_CLOSE;
    if (request->cluster->storage != NULL)
        mock_storage_sync(request->cluster);
    if (asked->acks == 0) /* nobody hears of an error: Kafka closes the connection, so that the producer looks again */
        return is_refused(response) ? OUTCOME_CLOSE : OUTCOME_SILENT;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

int64_t mock_next_producer_id(struct mock_cluster *cluster)
{
    return cluster->storage != NULL ? mock_storage_next_producer_id(cluster) : cluster->next_producer_id++;
}

int16_t mock_append(struct mock_cluster *cluster, const char *topic_name, int32_t partition, struct rj_bytes key,
                    struct rj_bytes value)
{
    struct topic *topic = mock_find_topic(cluster, (struct rj_string){topic_name, (int32_t)strlen(topic_name)});
    struct log *log = topic ? mock_find_log(topic, partition) : NULL;
    if (log == NULL)
        return RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    struct rj_record record = {.timestamp_ms = mock_now_ms(cluster), .key = key, .value = value};
    size_t len = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct rj_batch_writer writer;
        rj_batch_begin(&writer, 2, 0, cluster->scratch.data, cluster->scratch.capacity);
        rj_batch_add(&writer, &record, NULL, 0);
        enum rj_err err = rj_batch_finish(&writer, NULL, &len, NULL);
        if (err == RJ_OK)
            break;
        cluster->scratch.len = 0;
        if (err != RJ_ERR_SPACE || attempt == 1 || !mock_buffer_reserve(&cluster->scratch, len))
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    int16_t error = mock_append_bytes(cluster, log, (struct rj_bytes){cluster->scratch.data, (int32_t)len});
    mock_flush_connections(cluster);
    return error;
}
