/* The partitions of __consumer_offsets are compacted as Kafka's are: of each key only the newest record stays, at its
 * offset. Tombstones go too, since nothing older is left that they could hide. */
#include "mock/storage.h"

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

/* Calls for each batch of the log; they are our own and not compressed. */
static bool each_batch(const struct log *log, bool (*take)(void *context, const struct rj_record_batch *batch),
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

static bool note_batch(void *context, const struct rj_record_batch *batch)
{
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    rj_record_reader_init(&reader, batch, batch->records);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more)
        if (!note_newest(context, &record))
            return false;
    return true;
}

struct rewriting { const struct newest_table *newest; struct log *to; struct buffer *scratch; };

/* The records of the batch that are still the newest of their keys, as a batch at their offsets. */
static bool keep_batch(void *context, const struct rj_record_batch *batch)
{
    struct rewriting *rewriting = context;
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
    struct rewriting rewriting = {&newest, compacted, &scratch};
    if (compacted != NULL && grow_table(&newest) && each_batch(log, note_batch, &newest) &&
        each_batch(log, keep_batch, &rewriting)) {
        compacted->end_offset = log->end_offset;
        cluster->records_len = cluster->records_len - log->bytes_len + compacted->bytes_len;
        struct log old = *log;
        *log = *compacted;
        *compacted = old;
        log->file = old.file;
        if (log->file != NULL)
            mock_storage_rewrite(cluster, log);
    }
    free(newest.slots);
    mock_buffer_free(&scratch);
    mock_log_free(compacted);
}
