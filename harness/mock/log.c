#include "mock/log.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENT_LEN = 1024 * 1024, FIRST_SEGMENT_LEN = 1024 };

struct log *mock_log_create(void) { return calloc(1, sizeof(struct log)); }

void mock_log_free(struct log *log)
{
    if (log == NULL)
        return;
    for (int32_t i = 0; i < log->segment_count; i++) {
        free(log->segments[i].bytes);
        free(log->segments[i].entries);
    }
    mock_tail_free(log);
    free(log->segments);
    mock_producers_free(&log->producers);
    free(log);
}

/* ---- Appending --------------------------------------------------------------------------------------------------- */

static bool room_for_bytes(struct log_segment *segment, uint32_t len)
{
    uint32_t needed = segment->len + len;
    if (needed <= segment->capacity)
        return true;
    uint32_t capacity = segment->capacity ? segment->capacity * 2 : FIRST_SEGMENT_LEN;
    if (capacity < needed)
        capacity = needed;
    uint8_t *bytes = realloc(segment->bytes, capacity);
    if (bytes == NULL)
        return false;
    segment->bytes = bytes;
    segment->capacity = capacity;
    return true;
}

static bool room_for_entry(struct log_segment *segment)
{
    if (segment->entry_count < segment->entry_capacity)
        return true;
    int32_t capacity = segment->entry_capacity ? segment->entry_capacity * 2 : 8;
    struct log_entry *entries = realloc(segment->entries, (size_t)capacity * sizeof(*entries));
    if (entries == NULL)
        return false;
    segment->entries = entries;
    segment->entry_capacity = capacity;
    return true;
}

/* The segment that the batch goes to, with room for it. */
static struct log_segment *open_segment(struct log *log, uint32_t len)
{
    struct log_segment *segment = log->segment_count ? &log->segments[log->segment_count - 1] : NULL;
    if (segment == NULL || (segment->len > 0 && segment->len + (uint64_t)len > SEGMENT_LEN)) {
        struct log_segment *segments =
            realloc(log->segments, (size_t)(log->segment_count + 1) * sizeof(*segments));
        if (segments == NULL)
            return NULL;
        log->segments = segments;
        segment = &segments[log->segment_count++];
        *segment = (struct log_segment){0};
    }
    return room_for_bytes(segment, len) && room_for_entry(segment) ? segment : NULL;
}

static void put_int64(uint8_t *out, int64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
}

int64_t mock_log_append(struct log *log, const struct log_batch *batch)
{
    enum { LEADER_EPOCH_AT = 12 };
    if (!mock_tail_settle(log))
        return -1;
    struct log_segment *segment = open_segment(log, batch->len);
    if (segment == NULL || !mock_producers_note(&log->producers, batch, log->end_offset))
        return -1;
    uint8_t *to = segment->bytes + segment->len;
    memcpy(to, batch->bytes, batch->len);
    put_int64(to, log->end_offset);
    memset(to + LEADER_EPOCH_AT, 0, 4); /* every leader here has epoch 0; the checksum does not cover it */
    segment->entries[segment->entry_count++] = (struct log_entry){
        .base_offset = log->end_offset, .last_offset = log->end_offset + batch->record_count - 1,
        .first_timestamp_ms = batch->first_timestamp_ms, .max_timestamp_ms = batch->max_timestamp_ms,
        .position = segment->len, .len = batch->len};
    segment->len += batch->len;
    log->bytes_len += batch->len;
    int64_t base_offset = log->end_offset;
    log->end_offset += batch->record_count;
    return base_offset;
}

int64_t mock_log_stable_offset(const struct log *log)
{
    return log->producers.open_count > 0 ? log->producers.first_open_offset : log->end_offset;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* The first entry whose last offset is at least that; false: there is none. */
static bool find_offset(const struct log *log, int64_t offset, int32_t *segment_at, int32_t *entry_at)
{
    if (offset >= log->end_offset || log->segment_count == 0)
        return false;
    int32_t low = 0, high = log->segment_count - 1;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        const struct log_segment *segment = &log->segments[middle];
        if (segment->entries[segment->entry_count - 1].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    *segment_at = low;
    const struct log_segment *segment = &log->segments[low];
    low = 0;
    high = segment->entry_count - 1;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (segment->entries[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    *entry_at = low;
    return segment->entries[low].last_offset >= offset; /* compaction may have taken the last records away */
}

struct rj_bytes mock_log_read(struct log *log, int64_t offset, size_t max_len, bool at_least_one)
{
    int32_t segment_at, entry_at;
    mock_tail_settle(log);
    if (!find_offset(log, offset, &segment_at, &entry_at))
        return RJ_EMPTY_BYTES;
    const struct log_segment *segment = &log->segments[segment_at];
    uint32_t start = segment->entries[entry_at].position, len = 0;
    if (segment->len - start <= max_len)
        return (struct rj_bytes){segment->bytes + start, (int32_t)(segment->len - start)};
    for (int32_t i = entry_at; i < segment->entry_count; i++) {
        uint32_t with_this = len + segment->entries[i].len;
        if (with_this > max_len && !(len == 0 && at_least_one))
            break;
        len = with_this;
    }
    return (struct rj_bytes){segment->bytes + start, (int32_t)len};
}

size_t mock_log_available(struct log *log, int64_t offset, size_t max_len)
{
    int32_t segment_at, entry_at;
    mock_tail_settle(log);
    if (!find_offset(log, offset, &segment_at, &entry_at))
        return 0;
    size_t len = log->segments[segment_at].len - log->segments[segment_at].entries[entry_at].position;
    for (int32_t i = segment_at + 1; i < log->segment_count && len < max_len; i++)
        len += log->segments[i].len;
    return len < max_len ? len : max_len;
}

const struct log_entry *mock_log_find_time(struct log *log, int64_t timestamp_ms, const uint8_t **bytes)
{
    mock_tail_settle(log);
    for (int32_t s = 0; s < log->segment_count; s++)
        for (int32_t i = 0; i < log->segments[s].entry_count; i++)
            if (log->segments[s].entries[i].max_timestamp_ms >= timestamp_ms) {
                *bytes = log->segments[s].bytes + log->segments[s].entries[i].position;
                return &log->segments[s].entries[i];
            }
    return NULL;
}

const struct log_entry *mock_log_find_newest(struct log *log, const uint8_t **bytes)
{
    mock_tail_settle(log);
    const struct log_entry *newest = NULL;
    for (int32_t s = 0; s < log->segment_count; s++)
        for (int32_t i = 0; i < log->segments[s].entry_count; i++)
            if (newest == NULL || log->segments[s].entries[i].max_timestamp_ms > newest->max_timestamp_ms) {
                newest = &log->segments[s].entries[i];
                *bytes = log->segments[s].bytes + newest->position;
            }
    return newest;
}
