#include "mock/log.h"
#include "rejoin/errors.h"

#include <stdlib.h>
#include <string.h>

void mock_producers_free(struct log_producers *producers)
{
    free(producers->items);
    free(producers->aborted);
    *producers = (struct log_producers){0};
}

static struct log_producer *find(const struct log_producers *producers, int64_t producer_id)
{
    for (int32_t i = 0; i < producers->count; i++)
        if (producers->items[i].producer_id == producer_id)
            return &producers->items[i];
    return NULL;
}

const struct log_producer *mock_producer_find(const struct log_producers *producers, int64_t producer_id)
{
    return find(producers, producer_id);
}

bool mock_producer_is_open(const struct log_producers *producers, int64_t producer_id, int16_t epoch)
{
    const struct log_producer *producer = producers->open_count > 0 ? find(producers, producer_id) : NULL;
    return producer != NULL && producer->open_offset >= 0 && (epoch < 0 || producer->epoch == epoch);
}

bool mock_producer_aborted(const struct log_producers *producers, int64_t producer_id, int64_t offset)
{
    for (int32_t i = 0; i < producers->aborted_count; i++) {
        const struct aborted_transaction *one = &producers->aborted[i];
        if (one->producer_id == producer_id && one->first_offset <= offset && offset <= one->last_offset)
            return true;
    }
    return false;
}

/* ---- Judging ----------------------------------------------------------------------------------------------------- */

/* Sequences wrap from INT32_MAX to 0. */
static int32_t sequence_behind(int32_t sequence, int32_t count)
{
    return (int32_t)(((int64_t)sequence + count) % ((int64_t)INT32_MAX + 1));
}

static int16_t judge_sequence(const struct log_producer *producer, const struct log_batch *batch)
{
    int32_t wanted = 0; /* of a new epoch */
    if (producer == NULL || producer->batch_count == 0) {
        /* Kafka takes any first sequence of a producer that it does not know (KAFKA-5793), but not in a transaction of
         * the newer protocol, nor where a marker has told the epoch. */
        if (producer == NULL && !batch->is_strict)
            return RJ_KAFKA_NONE;
    } else if (batch->producer_epoch == producer->epoch) {
        wanted = sequence_behind(producer->batches[producer->batch_count - 1].last_sequence, 1);
    }
    return batch->base_sequence == wanted ? RJ_KAFKA_NONE : RJ_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static bool is_repeated(const struct log_producer *producer, const struct log_batch *batch, int64_t *base_offset)
{
    int32_t last_sequence = sequence_behind(batch->base_sequence, batch->record_count - 1);
    for (int32_t i = 0; i < producer->batch_count; i++)
        if (batch->producer_epoch == producer->epoch &&
            producer->batches[i].first_sequence == batch->base_sequence &&
            producer->batches[i].last_sequence == last_sequence) {
            *base_offset = producer->batches[i].base_offset;
            return true;
        }
    return false;
}

int16_t mock_producers_judge(const struct log_producers *producers, const struct log_batch *batch, int64_t *base_offset)
{
    if (batch->producer_id < 0)
        return RJ_KAFKA_NONE;
    const struct log_producer *producer = find(producers, batch->producer_id);
    bool has_sequence = batch->base_sequence >= 0; /* markers and offsets of transactions have none */
    if (producer != NULL && has_sequence && is_repeated(producer, batch, base_offset))
        return RJ_KAFKA_DUPLICATE_SEQUENCE_NUMBER;
    if (producer != NULL && batch->producer_epoch < producer->epoch)
        return RJ_KAFKA_INVALID_PRODUCER_EPOCH;
    if (producer != NULL && batch->is_control && batch->coordinator_epoch < producer->coordinator_epoch)
        return RJ_KAFKA_TRANSACTION_COORDINATOR_FENCED;
    int16_t error = has_sequence ? judge_sequence(producer, batch) : RJ_KAFKA_NONE;
    if (error == RJ_KAFKA_NONE && producer != NULL && producer->open_offset >= 0 && !batch->is_transactional)
        return RJ_KAFKA_INVALID_TXN_STATE;
    return error;
}

/* ---- Remembering ------------------------------------------------------------------------------------------------- */

static struct log_producer *open_producer(struct log_producers *producers, const struct log_batch *batch)
{
    struct log_producer *producer = find(producers, batch->producer_id);
    if (producer != NULL)
        return producer;
    if (producers->count == producers->capacity) {
        int32_t capacity = producers->capacity ? producers->capacity * 2 : 4;
        struct log_producer *items = realloc(producers->items, (size_t)capacity * sizeof(*items));
        if (items == NULL)
            return NULL;
        producers->items = items;
        producers->capacity = capacity;
    }
    producer = &producers->items[producers->count++];
    *producer = (struct log_producer){.producer_id = batch->producer_id, .epoch = batch->producer_epoch,
                                      .coordinator_epoch = -1, .open_offset = -1};
    return producer;
}

static void note_sequence(struct log_producer *producer, const struct log_batch *batch, int64_t base_offset)
{
    if (producer->batch_count == PRODUCER_BATCH_COUNT) {
        memmove(&producer->batches[0], &producer->batches[1],
                sizeof(producer->batches) - sizeof(producer->batches[0]));
        producer->batch_count--;
    }
    producer->batches[producer->batch_count].first_sequence = batch->base_sequence;
    producer->batches[producer->batch_count].last_sequence =
        sequence_behind(batch->base_sequence, batch->record_count - 1);
    producer->batches[producer->batch_count].base_offset = base_offset;
    producer->batch_count++;
}

static void find_first_open(struct log_producers *producers)
{
    producers->first_open_offset = INT64_MAX;
    for (int32_t i = 0; i < producers->count; i++)
        if (producers->items[i].open_offset >= 0 && producers->items[i].open_offset < producers->first_open_offset)
            producers->first_open_offset = producers->items[i].open_offset;
}

static bool note_aborted(struct log_producers *producers, const struct log_producer *producer, int64_t marker_offset)
{
    if (producers->aborted_count == producers->aborted_capacity) {
        int32_t capacity = producers->aborted_capacity ? producers->aborted_capacity * 2 : 4;
        struct aborted_transaction *aborted = realloc(producers->aborted, (size_t)capacity * sizeof(*aborted));
        if (aborted == NULL)
            return false;
        producers->aborted = aborted;
        producers->aborted_capacity = capacity;
    }
    producers->aborted[producers->aborted_count++] =
        (struct aborted_transaction){producer->producer_id, producer->open_offset, marker_offset};
    return true;
}

static bool note_marker(struct log_producers *producers, struct log_producer *producer, const struct log_batch *batch,
                        int64_t base_offset)
{
    producer->coordinator_epoch = batch->coordinator_epoch;
    if (producer->open_offset < 0)
        return true;
    if (!batch->is_commit && !note_aborted(producers, producer, base_offset))
        return false;
    producer->open_offset = -1;
    producers->open_count--;
    find_first_open(producers);
    return true;
}

bool mock_producers_note(struct log_producers *producers, const struct log_batch *batch, int64_t base_offset)
{
    if (batch->producer_id < 0)
        return true;
    struct log_producer *producer = open_producer(producers, batch);
    if (producer == NULL)
        return false;
    if (batch->producer_epoch != producer->epoch) {
        producer->epoch = batch->producer_epoch;
        producer->batch_count = 0;
    }
    producer->last_timestamp_ms = batch->max_timestamp_ms;
    if (batch->is_control)
        return note_marker(producers, producer, batch, base_offset);
    if (batch->base_sequence >= 0)
        note_sequence(producer, batch, base_offset);
    if (batch->is_transactional && producer->open_offset < 0) {
        producer->open_offset = base_offset;
        if (producers->open_count++ == 0 || base_offset < producers->first_open_offset)
            producers->first_open_offset = base_offset;
    }
    return true;
}
