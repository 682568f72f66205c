/* What a partition knows of those who write to it with a producer id: sequences, epochs, open and aborted transactions.
 * All of it can be had again from the partition's batches. */
#ifndef REJOIN_MOCK_PRODUCERS_H
#define REJOIN_MOCK_PRODUCERS_H

#include <stdbool.h>
#include <stdint.h>

struct log_batch;

/* The five last batches, as Kafka keeps them, tell a repetition from a gap. */
enum { PRODUCER_BATCH_COUNT = 5 };
struct log_producer {
    int64_t producer_id;
    int16_t epoch;
    int32_t coordinator_epoch; /* of the last marker; -1: none */
    int64_t last_timestamp_ms;
    int64_t open_offset;       /* where its open transaction begins; -1: none is open */
    struct { int32_t first_sequence, last_sequence; int64_t base_offset; } batches[PRODUCER_BATCH_COUNT];
    /* oldest first */
    int32_t batch_count;
};

struct aborted_transaction { int64_t producer_id, first_offset, last_offset; /* the marker's */ };

struct log_producers {
    struct log_producer *items;
    int32_t count, capacity;
    int32_t open_count;                   /* open transactions */
    int64_t first_open_offset;            /* the least of them; holds where open_count is not 0 */
    struct aborted_transaction *aborted;  /* in the order of their markers */
    int32_t aborted_count, aborted_capacity;
};

void mock_producers_free(struct log_producers *producers);

/* 0: append it; 46: it was appended before, *base_offset says where; else Kafka's error: 45 out of order, 47 an old
 * epoch, 48 not transactional within a transaction, 52 a marker of a coordinator of before. */
int16_t mock_producers_judge(const struct log_producers *producers, const struct log_batch *batch,
                             int64_t *base_offset);
/* The batch has been appended at base_offset. false: no memory. */
bool mock_producers_note(struct log_producers *producers, const struct log_batch *batch, int64_t base_offset);

const struct log_producer *mock_producer_find(const struct log_producers *producers, int64_t producer_id);
/* Whether a transaction of that producer is open here; epoch -1: of any epoch. */
bool mock_producer_is_open(const struct log_producers *producers, int64_t producer_id, int16_t epoch);
/* Whether what that producer wrote at offset was aborted. */
bool mock_producer_aborted(const struct log_producers *producers, int64_t producer_id, int64_t offset);

#endif
