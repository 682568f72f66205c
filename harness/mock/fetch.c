/* Fetch: what there is, or what comes within max_wait_ms. */
#include "mock/internal.h"

#include <stdlib.h>
#include <string.h>

struct waiting_fetch {
    struct waiting_fetch *next, *previous;
    struct connection *connection;
    struct fetch_session *session;
    bool is_full;
    int8_t isolation_level;
    int32_t min_bytes, max_bytes;
    int64_t due_ms;
};

/* ---- One partition ----------------------------------------------------------------------------------------------- */

static bool may_read(const struct request *request, const struct fetch_item *item)
{
    struct rj_string name = item->topic ? item->topic->name_view
                                        : (struct rj_string){item->topic_name, (int32_t)strlen(item->topic_name)};
    return mock_may_topic(request, name, RJ_OPERATION_READ);
}

static struct log *item_log(const struct request *request, struct fetch_item *item, int16_t *error)
{
    struct mock_cluster *cluster = request->cluster;
    if (item->topics_version != cluster->topics_version) {
        struct rj_string name = {item->topic_name, item->topic_name ? (int32_t)strlen(item->topic_name) : 0};
        item->topic = item->topic_name ? mock_find_topic(cluster, name)
                                       : mock_find_topic_by_id(cluster, &item->topic_id);
        item->topics_version = cluster->topics_version;
    }
    struct log *log = item->topic ? mock_find_log(item->topic, item->partition) : NULL;
    if (item->topic == NULL && item->topic_name == NULL)
        *error = RJ_KAFKA_UNKNOWN_TOPIC_ID;
    else if (mock_rights_of(request) != NULL && !may_read(request, item))
        *error = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    else if (log == NULL)
        *error = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (request->broker_id >= 0 &&
             mock_partition_leader(cluster, item->topic, item->partition) != request->broker_id)
        *error = RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    else if (item->current_leader_epoch > 0)
        *error = RJ_KAFKA_UNKNOWN_LEADER_EPOCH;
    else if (item->fetch_offset < log->start_offset || item->fetch_offset > log->end_offset)
        *error = RJ_KAFKA_OFFSET_OUT_OF_RANGE;
    else
        *error = RJ_KAFKA_NONE;
    return log;
}

/* Where reading ends: with read_committed no transaction is open before it. */
static int64_t readable_end(const struct waiting_fetch *fetch, struct log *log)
{
    return fetch->isolation_level == 0 ? log->end_offset : mock_log_stable_offset(log);
}

/* The batches before end_offset. A transaction begins with a batch, so whole ones stay. */
static struct rj_bytes cut_at(struct rj_bytes bytes, int64_t end_offset)
{
    for (int32_t at = 0; at < bytes.len;) {
        struct rj_record_batch batch;
        if (rj_batch_read_unchecked((struct rj_bytes){bytes.data + at, bytes.len - at}, &batch, NULL) != RJ_OK)
            break;
        if (batch.base_offset >= end_offset)
            return (struct rj_bytes){bytes.data, at};
        at += (int32_t)batch.len;
    }
    return bytes;
}

static struct rj_bytes read_log(const struct waiting_fetch *fetch, struct log *log, int64_t offset,
                                size_t max_len, bool at_least_one)
{
    int64_t end_offset = readable_end(fetch, log);
    if (offset >= end_offset)
        return RJ_EMPTY_BYTES;
    struct rj_bytes bytes = mock_log_read(log, offset, max_len, at_least_one);
    return end_offset < log->end_offset ? cut_at(bytes, end_offset) : bytes;
}

/* How much there is to read, at most max_len. */
static size_t available(const struct waiting_fetch *fetch, struct log *log, int64_t offset, size_t max_len)
{
    int64_t end_offset = readable_end(fetch, log);
    if (offset >= end_offset)
        return 0;
    return end_offset == log->end_offset ? mock_log_available(log, offset, max_len)
                                         : (size_t)read_log(fetch, log, offset, max_len, true).len;
}

/* The aborted transactions that reach into what is read: the client skips their records. false: no memory. */
static bool list_aborted(struct request *request, struct log *log, int64_t offset, int64_t end_offset,
                         struct rj_fetch_response_partition_data *out)
{
    const struct log_producers *producers = &log->producers;
    int32_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && !NEW_ITEMS(request, out->aborted_transactions, count))
            return false;
        count = 0;
        for (int32_t i = 0; i < producers->aborted_count; i++) {
            const struct aborted_transaction *one = &producers->aborted[i];
            if (one->last_offset < offset || one->first_offset >= end_offset)
                continue;
            if (pass == 1) {
                out->aborted_transactions.items[count].producer_id = one->producer_id;
                out->aborted_transactions.items[count].first_offset = one->first_offset;
            }
            count++;
        }
    }
    return true;
}

/* Batches become message sets of magic 0 (Fetch 0, 1) or 1 (2, 3), which know neither headers nor transactions. */
static int16_t convert_down(struct request *request, struct rj_bytes bytes, struct rj_bytes *converted)
{
    struct rj_arena *arena = &request->cluster->arena;
    size_t room = (size_t)bytes.len * 2 + 256, len = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint8_t *out = rj_arena_alloc(arena, room);
        struct rj_batch_writer writer;
        if (out == NULL)
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
        rj_batch_begin(&writer, request->version < 2 ? 0 : 1, 0, out, room);
        for (int32_t at = 0; at < bytes.len;) {
            struct rj_record_batch batch;
            struct rj_record_reader reader;
            struct rj_record record;
            bool more = true;
            if (rj_batch_read_unchecked((struct rj_bytes){bytes.data + at, bytes.len - at}, &batch, NULL) != RJ_OK)
                break;
            struct rj_bytes plain = batch.records;
            if (rj_batch_compression(&batch) != RJ_COMPRESSION_NONE &&
                !mock_decompress(rj_batch_compression(&batch), batch.magic, batch.records, arena, &plain))
                return RJ_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
            rj_record_reader_init(&reader, &batch, plain);
            while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more)
                if (!(batch.attributes & RJ_BATCH_CONTROL))
                    rj_batch_add(&writer, &record, NULL, 0);
            at += (int32_t)batch.len;
        }
        enum rj_err err = rj_batch_finish(&writer, NULL, &len, NULL);
        *converted = (struct rj_bytes){out, (int32_t)len};
        if (err == RJ_OK)
            return RJ_KAFKA_NONE;
        room = len;
    }
    return RJ_KAFKA_KAFKA_STORAGE_ERROR;
}

/* zstd is refused to those who fetch with a version from before it (KIP-110). */
static bool has_unknown_compression(const struct request *request, struct rj_bytes bytes)
{
    for (int32_t at = 0; request->version < 10 && at < bytes.len;) {
        struct rj_record_batch batch;
        if (rj_batch_read_unchecked((struct rj_bytes){bytes.data + at, bytes.len - at}, &batch, NULL) != RJ_OK)
            break;
        if (rj_batch_compression(&batch) == RJ_COMPRESSION_ZSTD)
            return true;
        at += (int32_t)batch.len;
    }
    return false;
}

/* Fills out; returns the length of the records. */
static int32_t read_item(struct request *request, const struct waiting_fetch *fetch, struct fetch_item *item,
                         int64_t room, bool at_least_one, struct rj_fetch_response_partition_data *out)
{
    *out = (struct rj_fetch_response_partition_data){
        .partition_index = item->partition, .high_watermark = -1, .last_stable_offset = -1, .log_start_offset = -1,
        .diverging_epoch = {.epoch = -1, .end_offset = -1}, .current_leader = {.leader_id = -1, .leader_epoch = -1},
        .snapshot_id = {.end_offset = -1, .epoch = -1}, .preferred_read_replica = -1, .records = RJ_EMPTY_BYTES};
    out->aborted_transactions.count = fetch->isolation_level == 0 ? -1 : 0;
    struct log *log = item_log(request, item, &out->error_code);
    if (out->error_code == RJ_KAFKA_NOT_LEADER_OR_FOLLOWER && request->version >= 12) {
        out->current_leader.leader_id = mock_partition_leader(request->cluster, item->topic, item->partition);
        out->current_leader.leader_epoch = 0;
    }
    if (out->error_code == RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED || item->topic == NULL)
        out->aborted_transactions.count = 0; /* not null: the log was not asked */
    if (out->error_code != RJ_KAFKA_NONE)
        return 0;
    out->high_watermark = log->end_offset;
    out->last_stable_offset = mock_log_stable_offset(log);
    out->log_start_offset = log->start_offset;
    int64_t max_len = item->max_bytes < room ? item->max_bytes : room;
    struct rj_bytes bytes =
        read_log(fetch, log, item->fetch_offset, max_len < 0 ? 0 : (size_t)max_len, at_least_one);
    if (fetch->isolation_level != 0 && bytes.len > 0 &&
        !list_aborted(request, log, item->fetch_offset, out->last_stable_offset, out))
        out->error_code = RJ_KAFKA_KAFKA_STORAGE_ERROR;
    else if (bytes.len > 0 && has_unknown_compression(request, bytes))
        out->error_code = RJ_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    else if (bytes.len > 0 && request->version < 4)
        out->error_code = convert_down(request, bytes, &out->records);
    else
        out->records = bytes;
    return out->error_code == RJ_KAFKA_NONE ? bytes.len : 0;
}

/* In an incremental answer only what changed is told. */
static bool has_news(const struct waiting_fetch *fetch, struct fetch_item *item,
                     const struct rj_fetch_response_partition_data *data)
{
    bool news = fetch->is_full || data->records.len > 0 || data->error_code != RJ_KAFKA_NONE ||
                data->high_watermark != item->told_high_watermark || data->log_start_offset != item->told_log_start;
    item->told_high_watermark = data->error_code == RJ_KAFKA_NONE ? data->high_watermark : -1;
    item->told_log_start = data->log_start_offset;
    return news;
}

/* ---- The answer -------------------------------------------------------------------------------------------------- */

static bool is_same_topic(const struct fetch_item *a, const struct fetch_item *b)
{
    if (a->topic_name == NULL || b->topic_name == NULL)
        return a->topic_name == b->topic_name && rj_uuid_equal(&a->topic_id, &b->topic_id);
    return strcmp(a->topic_name, b->topic_name) == 0;
}

static void add_partition(struct rj_fetch_response *response, const struct fetch_item *item,
                          const struct fetch_item *previous, struct rj_fetch_response_partition_data *data)
{
    struct rj_fetch_response_fetchable_topic_response *topic;
    if (previous == NULL || !is_same_topic(item, previous)) {
        topic = &response->responses.items[response->responses.count++];
        *topic = (struct rj_fetch_response_fetchable_topic_response){.topic = RJ_EMPTY_STRING};
        if (item->topic_name != NULL)
            topic->topic = (struct rj_string){item->topic_name, (int32_t)strlen(item->topic_name)};
        topic->topic_id = item->topic_id;
        topic->partitions.items = data;
    }
    topic = &response->responses.items[response->responses.count - 1];
    topic->partitions.count++;
}

/* NULL: no memory. */
static struct rj_fetch_response *build_response(struct request *request, const struct waiting_fetch *fetch)
{
    struct fetch_session *session = fetch->session;
    struct rj_fetch_response *response = mock_new_response(request);
    size_t count = (size_t)session->item_count;
    struct rj_fetch_response_partition_data *data = mock_arena_array(request, count, sizeof(*data));
    if (response == NULL || data == NULL || !NEW_ITEMS(request, response->responses, count))
        return NULL;
    response->responses.count = 0;
    response->session_id = session->id;
    int64_t room = fetch->max_bytes;
    bool is_empty = true;
    const struct fetch_item *previous = NULL;
    int32_t first = session->first;
    for (int32_t i = 0; i < session->item_count; i++) {
        int32_t at = (first + i) % session->item_count;
        struct fetch_item *item = &session->items[at];
        int32_t len = read_item(request, fetch, item, room, is_empty && request->version >= 3, data);
        if (len > 0) {
            is_empty = false;
            session->first = (at + 1) % session->item_count;
        }
        room -= len;
        if (!has_news(fetch, item, data))
            continue;
        add_partition(response, item, previous, data++);
        previous = item;
    }
    return response;
}

/* Whether it must be answered now: an error, or as many bytes as are asked for. */
static bool is_enough(const struct request *request, const struct waiting_fetch *fetch)
{
    struct fetch_session *session = fetch->session;
    size_t len = 0;
    for (int32_t i = 0; i < session->item_count; i++) {
        int16_t error;
        struct fetch_item *item = &session->items[i];
        struct log *log = item_log(request, item, &error);
        if (error != RJ_KAFKA_NONE)
            return true;
        len += available(fetch, log, item->fetch_offset, item->max_bytes > 0 ? (size_t)item->max_bytes : 1);
        if (len > 0 && len >= (size_t)(fetch->min_bytes > 0 ? fetch->min_bytes : 0))
            return true;
    }
    return fetch->min_bytes <= 0 || session->item_count == 0;
}

enum outcome mock_handle_fetch(struct request *request)
{
    const struct rj_fetch_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    int16_t error;
    struct waiting_fetch fetch = {
        .connection = request->connection, .isolation_level = asked->isolation_level, .min_bytes = asked->min_bytes,
        .max_bytes = asked->max_bytes};
    fetch.session = mock_session_of_request(request, &fetch.is_full, &error);
    if (fetch.session == NULL) {
        const void *body = mock_error_response(request, error);
        return body ? mock_answer_request(request, body, RJ_RULE_NONE) : OUTCOME_CLOSE;
    }
    if (asked->max_wait_ms <= 0 || request->connection == NULL || is_enough(request, &fetch)) {
        const void *body = build_response(request, &fetch);
        enum outcome outcome = body ? mock_answer_request(request, body, RJ_RULE_NONE) : OUTCOME_CLOSE;
        mock_session_release(cluster, fetch.session);
        return outcome;
    }
    struct waiting_fetch *waiting = malloc(sizeof(*waiting));
    if (waiting == NULL) {
        mock_session_release(cluster, fetch.session);
        return OUTCOME_CLOSE;
    }
    *waiting = fetch;
    waiting->due_ms = mock_now_ms(cluster) + asked->max_wait_ms;
    waiting->session->waiting = waiting;
    waiting->next = cluster->waiting_fetches;
    if (waiting->next != NULL)
        waiting->next->previous = waiting;
    cluster->waiting_fetches = waiting;
    request->connection->fetch = waiting;
    request->connection->parked = PARKED_FETCH;
    mock_wake_at(cluster, waiting->due_ms);
    return OUTCOME_PARKED;
}

/* ---- Those that wait --------------------------------------------------------------------------------------------- */

static void unlink_fetch(struct mock_cluster *cluster, struct waiting_fetch *fetch)
{
    if (fetch->next != NULL)
        fetch->next->previous = fetch->previous;
    if (fetch->previous != NULL)
        fetch->previous->next = fetch->next;
    else
        cluster->waiting_fetches = fetch->next;
    fetch->connection->fetch = NULL;
    fetch->session->waiting = NULL;
}

void mock_forget_fetch(struct connection *connection)
{
    struct waiting_fetch *fetch = connection->fetch;
    unlink_fetch(connection->cluster, fetch);
    mock_session_release(connection->cluster, fetch->session);
    free(fetch);
}

static void answer_fetch(struct mock_cluster *cluster, struct waiting_fetch *fetch)
{
    struct connection *connection = fetch->connection;
    unlink_fetch(cluster, fetch);
    if (cluster->depth == 0)
        rj_arena_reset(&cluster->arena);
    const void *body = build_response(&connection->request, fetch);
    connection->parked = PARKED_NOT;
    if (body != NULL)
        mock_answer_connection(connection, body, RJ_RULE_NONE);
    else
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
    mock_session_release(cluster, fetch->session);
    free(fetch);
}

void mock_wake_fetches(struct mock_cluster *cluster)
{
    cluster->has_news = false;
    for (struct waiting_fetch *fetch = cluster->waiting_fetches, *next; fetch != NULL; fetch = next) {
        next = fetch->next;
        if (is_enough(&fetch->connection->request, fetch))
            answer_fetch(cluster, fetch);
    }
}

void mock_answer_all_fetches(struct mock_cluster *cluster)
{
    while (cluster->waiting_fetches != NULL)
        answer_fetch(cluster, cluster->waiting_fetches);
}

void mock_fetches_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms)
{
    for (struct waiting_fetch *fetch = cluster->waiting_fetches, *next; fetch != NULL; fetch = next) {
        next = fetch->next;
        if (fetch->due_ms <= now_ms)
            answer_fetch(cluster, fetch);
        else if (fetch->due_ms < *next_ms)
            *next_ms = fetch->due_ms;
    }
}
