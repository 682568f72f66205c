/* One partition: batches in memory, kept as they came. */
#ifndef REJOIN_MOCK_LOG_H
#define REJOIN_MOCK_LOG_H

#include "mock/transactions/producers.h"
#include "rejoin/base.h"

/* Where a batch stands. Batches of a segment lie one behind the other in its bytes. */
struct log_entry {
    int64_t base_offset, last_offset;
    int64_t first_timestamp_ms, max_timestamp_ms;
    uint32_t position, len;
};

struct log_segment {
    uint8_t *bytes;
    uint32_t len, capacity;
    struct log_entry *entries;
    int32_t entry_count, entry_capacity;
};

struct log {
    int64_t start_offset, end_offset; /* first kept, next given */
    struct log_segment *segments;
    int32_t segment_count;
    struct log_producers producers;
    size_t bytes_len;      /* of all segments, and of the tail */
    struct log_tail *tail; /* commit_tail.h: the last records, not yet as bytes; NULL: there are none */
    struct log_file *file; /* storage.h; NULL: in memory only */
};

/* What the log wants to know of a batch. */
struct log_batch {
    const uint8_t *bytes; /* the whole batch, base offset first */
    uint32_t len;
    int32_t record_count;   /* > 0: offsets base, base + 1, ... */
    int64_t first_timestamp_ms, max_timestamp_ms;
    int64_t producer_id;    /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence;  /* -1: none */
    bool is_transactional;
    bool is_control, is_commit; /* a marker, and of which kind */
    int32_t coordinator_epoch;  /* of a marker */
    bool is_strict;         /* a sequence that is not 0 needs one before it, also where the producer is unknown */
};

struct log *mock_log_create(void); /* NULL: no memory */
void mock_log_free(struct log *log);

/* Everything in the log is bytes from now on; false: no memory for all of them. What reads or appends does it first. */
bool mock_tail_settle(struct log *log);
void mock_tail_free(struct log *log);

/* Copies the batch to the end, gives it its offset (returned), and remembers its producer. -1: no memory. */
int64_t mock_log_append(struct log *log, const struct log_batch *batch);
/* Before it every transaction has ended: as far as read_committed goes. */
int64_t mock_log_stable_offset(const struct log *log);

/* Whole batches from the one that holds offset, at most max_len bytes, but at least one if at_least_one. One segment
 * only. Empty at the end of the log. Valid until the next append. */
struct rj_bytes mock_log_read(struct log *log, int64_t offset, size_t max_len, bool at_least_one);
/* How many bytes log_read could give over all segments, at most max_len. */
size_t mock_log_available(struct log *log, int64_t offset, size_t max_len);
/* The first batch whose highest timestamp is at least that; NULL: none. */
const struct log_entry *mock_log_find_time(struct log *log, int64_t timestamp_ms, const uint8_t **bytes);
/* The batch with the highest timestamp; NULL: the log is empty. */
const struct log_entry *mock_log_find_newest(struct log *log, const uint8_t **bytes);

#endif
