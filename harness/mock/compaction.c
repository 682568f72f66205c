/* The partitions of __consumer_offsets are compacted as Kafka's are: of each key only the newest record stays, at its
 * offset. Tombstones go too, since nothing older is left that they could hide. */
#include "mock/storage/storage.h"

#include <stdlib.h>
#include <string.h>

struct newest { struct rj_bytes key; int64_t offset; };
struct newest_table { struct newest *slots; size_t size, count; }; /* size: a power of two */

static size_t hash_of(struct rj_bytes key)
{
    uint64_t hash = 14695981039346656037u;
    for (int32_t i = 0; i < key.len; i++)
        hash = (hash ^ key.data[i]) * 1099511628211u;
    return (size_t)hash;
}

/* The key's slot, or the free one where it belongs. */
static struct newest *find_slot(const struct newest_table *table, struct rj_bytes key)
{
    size_t at = hash_of(key) & (table->size - 1);
    while (table->slots[at].key.data != NULL && !rj_bytes_equal(table->slots[at].key, key))
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

static bool grow_table(struct newest_table *table)
{
    struct newest_table larger = {.size = table->size ? table->size * 2 : 1024, .count = table->count};
    larger.slots = calloc(larger.size, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].key.data != NULL)
            *find_slot(&larger, table->slots[i].key) = table->slots[i];
    free(table->slots);
    *table = larger;
    return true;
}

static bool note_newest(struct newest_table *table, const struct rj_record *record)
{
    if (table->count >= table->size / 2 && !grow_table(table))
        return false;
    struct newest *slot = find_slot(table, record->key);
    table->count += slot->key.data == NULL;
    *slot = (struct newest){record->key, record->offset};
    return true;
}

bool mock_each_batch(const struct log *log, bool (*take)(void *context, const struct rj_record_batch *batch),
                     void *context)
{
    for (int32_t s = 0; s < log->segment_count; s++)
        for (int32_t i = 0; i < log->segments[s].entry_count; i++) {
            const struct log_entry *entry = &log->segments[s].entries[i];
            struct rj_bytes bytes = {log->segments[s].bytes + entry->position, (int32_t)entry->len};
            struct rj_record_batch batch;
            if (rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK || !take(context, &batch))
                return false;
        }
    return true;
}

/* What a transaction wrote counts once it is committed: what was aborted and the markers go, and what is behind the
 * stable offset stays as it is, whether its transaction is open or not. */
static bool is_open_end(const struct log *log, const struct rj_record_batch *batch)
{
    return batch->base_offset >= mock_log_stable_offset(log);
}

static bool counts(const struct log *log, const struct rj_record_batch *batch)
{
    bool is_aborted = (batch->attributes & RJ_BATCH_TRANSACTIONAL) != 0 &&
                      mock_producer_aborted(&log->producers, batch->producer_id, batch->base_offset);
    return (batch->attributes & RJ_BATCH_CONTROL) == 0 && !is_aborted;
}

struct noting { const struct log *log; struct newest_table *newest; };

static bool note_batch(void *context, const struct rj_record_batch *batch)
{
    struct noting *noting = context;
    if (is_open_end(noting->log, batch) || !counts(noting->log, batch))
        return true;
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    rj_record_reader_init(&reader, batch, batch->records);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more)
        if (!note_newest(noting->newest, &record))
            return false;
    return true;
}

struct rewriting { const struct log *from; const struct newest_table *newest; struct log *to; struct buffer *scratch; };

/* The records of the batch that are still the newest of their keys, as a batch at their offsets. */
static bool keep_batch(void *context, const struct rj_record_batch *batch)
{
    struct rewriting *rewriting = context;
    if (is_open_end(rewriting->from, batch)) {
        struct log_batch same = mock_log_batch_of(batch, batch->records.data - RJ_BATCH_HEADER_LEN);
        rewriting->to->end_offset = batch->base_offset;
        return mock_log_append(rewriting->to, &same) >= 0;
    }
    if (!counts(rewriting->from, batch))
        return true;
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    size_t len = 0;
    struct rj_batch_writer writer;
    if (!mock_buffer_reserve(rewriting->scratch, batch->len + 64))
        return false;
    rj_record_reader_init(&reader, batch, batch->records);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more) {
        if (record.value.data == NULL || find_slot(rewriting->newest, record.key)->offset != record.offset)
            continue;
        if (len++ == 0)
            rj_batch_begin(&writer, 2, record.offset, rewriting->scratch->data, rewriting->scratch->capacity);
        rj_batch_add(&writer, &record, NULL, 0);
    }
    if (len == 0)
        return true;
    int64_t base_offset = writer.base_offset, last_offset = writer.last_offset;
    if (rj_batch_finish(&writer, NULL, &len, NULL) != RJ_OK)
        return false;
    struct log_batch kept = {
        .bytes = rewriting->scratch->data, .len = (uint32_t)len, 
        .record_count = (int32_t)(last_offset - base_offset) + 1,
        .first_timestamp_ms = batch->base_timestamp_ms, .max_timestamp_ms = batch->max_timestamp_ms, .producer_id = -1};
    rewriting->to->end_offset = base_offset;
    return mock_log_append(rewriting->to, &kept) >= 0;
}

/* What cannot be had for want of memory is left as it is: the log stays right, only longer. */
void mock_compact(struct mock_cluster *cluster, struct log *log)
{
    struct newest_table newest = {0};
    struct log *compacted = mock_log_create();
    struct buffer scratch = {0};
    struct noting noting = {log, &newest};
    struct rewriting rewriting = {log, &newest, compacted, &scratch};
    if (compacted != NULL && mock_tail_settle(log) && grow_table(&newest) &&
        mock_each_batch(log, note_batch, &noting) && mock_each_batch(log, keep_batch, &rewriting)) {
        compacted->end_offset = log->end_offset;
        cluster->records_len = cluster->records_len - log->bytes_len + compacted->bytes_len;
        struct log old = *log;
        *log = *compacted;
        *compacted = old;
        struct log_producers producers = log->producers; /* of what was kept: the old ones know more */
        log->producers = old.producers;
        compacted->producers = producers;
        log->file = old.file;
        log->tail = old.tail;
        compacted->tail = NULL;
        if (log->file != NULL)
            mock_storage_rewrite(cluster, log);
    }
    free(newest.slots);
    mock_buffer_free(&scratch);
    mock_log_free(compacted);
}
