#include "mock/transactions/transactions.h"

#include <stdlib.h>
#include <string.h>

/* The last epoch that a producer is given; one more can be taken, to fence it. */
static bool is_exhausted(int16_t epoch) { return epoch >= INT16_MAX - 1; }

const char *mock_transaction_state_name(enum transaction_state state)
{
    static const char *const names[] = {
        [TRANSACTION_EMPTY] = "Empty", [TRANSACTION_ONGOING] = "Ongoing",
        [TRANSACTION_PREPARE_COMMIT] = "PrepareCommit", [TRANSACTION_PREPARE_ABORT] = "PrepareAbort",
        [TRANSACTION_COMPLETE_COMMIT] = "CompleteCommit", [TRANSACTION_COMPLETE_ABORT] = "CompleteAbort"};
    return names[state];
}

bool mock_transaction_is_preparing(const struct transaction *transaction)
{
    return transaction->state == TRANSACTION_PREPARE_COMMIT || transaction->state == TRANSACTION_PREPARE_ABORT;
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static uint32_t bucket_of(struct rj_string transactional_id)
{
    uint32_t hash = 2166136261u;
    for (int32_t i = 0; i < transactional_id.len; i++)
        hash = (hash ^ (uint8_t)transactional_id.data[i]) * 16777619u;
    return hash & 255;
}

struct transaction *mock_transaction_find(const struct transactions *transactions, struct rj_string transactional_id)
{
    struct transaction *transaction = transactions->buckets[bucket_of(transactional_id)];
    while (transaction != NULL && !rj_string_equal(transaction->transactional_id, transactional_id))
        transaction = transaction->next_in_bucket;
    return transaction;
}

static struct transaction *new_transaction(struct transactions *transactions, struct rj_string transactional_id,
                                           int64_t producer_id)
{
    struct transaction *transaction = calloc(1, sizeof(*transaction) + (size_t)transactional_id.len + 1);
    if (transaction == NULL)
        return NULL;
    char *name = (char *)(transaction + 1);
    memcpy(name, transactional_id.data, (size_t)transactional_id.len);
    transaction->transactional_id = (struct rj_string){name, transactional_id.len};
    transaction->producer_id = producer_id;
    transaction->previous_producer_id = transaction->next_producer_id = -1;
    transaction->producer_epoch = transaction->last_producer_epoch = -1;
    transaction->start_ms = -1;
    struct transaction **bucket = &transactions->buckets[bucket_of(transactional_id)];
    transaction->next_in_bucket = *bucket;
    *bucket = transaction;
    transaction->next = transactions->first;
    transactions->first = transaction;
    transactions->count++;
    return transaction;
}

static struct transaction *open_transaction(struct transactions *transactions, struct rj_string transactional_id)
{
    struct transaction *transaction = mock_transaction_find(transactions, transactional_id);
    if (transaction != NULL || transactions->count >= transactions->limit)
        return transaction;
    int64_t producer_id = transactions->next_producer_id(transactions->context);
    return producer_id < 0 ? NULL : new_transaction(transactions, transactional_id, producer_id);
}

static void forget_partitions(struct transaction *transaction)
{
    for (int32_t i = 0; i < transaction->partition_count; i++)
        free(transaction->partitions[i].topic);
    transaction->partition_count = 0;
}

void mock_transactions_free(struct transactions *transactions)
{
    for (struct transaction *transaction = transactions->first, *next; transaction != NULL; transaction = next) {
        next = transaction->next;
        forget_partitions(transaction);
        free(transaction->partitions);
        free(transaction);
    }
    transactions->first = NULL;
}

bool mock_transaction_has(const struct transaction *transaction, struct rj_string topic, int32_t partition)
{
    for (int32_t i = 0; i < transaction->partition_count; i++) {
        const struct transaction_partition *one = &transaction->partitions[i];
        if (one->partition == partition && strlen(one->topic) == (size_t)topic.len &&
            memcmp(one->topic, topic.data, (size_t)topic.len) == 0)
            return true;
    }
    return false;
}

static bool add_partition(struct transaction *transaction, struct rj_string topic, int32_t partition)
{
    if (transaction->partition_count == transaction->partition_capacity) {
        int32_t capacity = transaction->partition_capacity ? transaction->partition_capacity * 2 : 4;
        struct transaction_partition *partitions =
            realloc(transaction->partitions, (size_t)capacity * sizeof(*partitions));
        if (partitions == NULL)
            return false;
        transaction->partitions = partitions;
        transaction->partition_capacity = capacity;
    }
    char *name = malloc((size_t)topic.len + 1);
    if (name == NULL)
        return false;
    memcpy(name, topic.data, (size_t)topic.len);
    name[topic.len] = 0;
    transaction->partitions[transaction->partition_count++] = (struct transaction_partition){name, partition};
    return true;
}

struct transaction *mock_transaction_restore(struct transactions *transactions, struct rj_string transactional_id)
{
    struct transaction *transaction = mock_transaction_find(transactions, transactional_id);
    if (transaction != NULL)
        forget_partitions(transaction);
    return transaction != NULL ? transaction : new_transaction(transactions, transactional_id, -1);
}

bool mock_transaction_restore_partition(struct transaction *transaction, struct rj_string topic, int32_t partition)
{
    return add_partition(transaction, topic, partition);
}

/* ---- Beginning --------------------------------------------------------------------------------------------------- */

/* A transaction is given up by the broker: whoever writes with the producer's epoch is fenced from now on. */
static void fence(const struct transactions *transactions, struct transaction *transaction)
{
    bool remembers = transactions->version >= 2; /* so that the producer may still go on from it (KIP-360) */
    transaction->last_producer_epoch = remembers ? transaction->producer_epoch : -1;
    transaction->producer_epoch++;
    transaction->state = TRANSACTION_PREPARE_ABORT;
}

static bool may_go_on(const struct transaction *transaction, struct producer_identity claimed)
{
    return transaction->producer_epoch == -1 || claimed.producer_id == transaction->producer_id ||
           (claimed.producer_id == transaction->previous_producer_id && is_exhausted(claimed.producer_epoch));
}

/* The next epoch, or the next producer id where its epochs are used up. */
static int16_t renew(struct transactions *transactions, struct transaction *transaction,
                     struct producer_identity claimed)
{
    bool is_new = claimed.producer_id < 0;
    if (is_exhausted(transaction->producer_epoch) && (is_new || claimed.producer_epoch == transaction->producer_epoch)) {
        int64_t producer_id = transactions->next_producer_id(transactions->context);
        if (producer_id < 0)
            return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
        transaction->last_producer_epoch = is_new ? -1 : transaction->producer_epoch;
        transaction->previous_producer_id = transaction->producer_id;
        transaction->producer_id = producer_id;
        transaction->producer_epoch = 0;
        return RJ_KAFKA_NONE;
    }
    bool is_current = transaction->producer_epoch == -1 || claimed.producer_epoch == transaction->producer_epoch;
    if (!is_new && !is_current && claimed.producer_epoch == transaction->last_producer_epoch)
        return RJ_KAFKA_NONE; /* asked again: nobody else came in between, or the last epoch would be -1 */
    if (!is_new && !is_current)
        return RJ_KAFKA_PRODUCER_FENCED;
    transaction->last_producer_epoch = is_new ? -1 : transaction->producer_epoch;
    transaction->previous_producer_id = transaction->producer_id;
    transaction->producer_epoch++;
    return RJ_KAFKA_NONE;
}

int16_t mock_transaction_init(struct transactions *transactions, struct rj_string transactional_id, int32_t timeout_ms,
                              struct producer_identity claimed, struct producer_identity *granted,
                              struct transaction **aborting)
{
    *aborting = NULL;
    if (rj_string_is_empty(transactional_id))
        return RJ_KAFKA_INVALID_REQUEST;
    if (timeout_ms <= 0 || timeout_ms > transactions->max_timeout_ms)
        return RJ_KAFKA_INVALID_TRANSACTION_TIMEOUT;
    struct transaction *transaction = open_transaction(transactions, transactional_id);
    if (transaction == NULL)
        return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (claimed.producer_id >= 0 && !may_go_on(transaction, claimed))
        return RJ_KAFKA_PRODUCER_FENCED;
    if (mock_transaction_is_preparing(transaction))
        return RJ_KAFKA_CONCURRENT_TRANSACTIONS;
    if (transaction->state == TRANSACTION_ONGOING) {
        fence(transactions, transaction);
        *aborting = transaction;
        return RJ_KAFKA_CONCURRENT_TRANSACTIONS;
    }
    int16_t error = renew(transactions, transaction, claimed);
    if (error != RJ_KAFKA_NONE)
        return error;
    transaction->state = TRANSACTION_EMPTY;
    transaction->timeout_ms = timeout_ms;
    transaction->start_ms = -1;
    *granted = (struct producer_identity){transaction->producer_id, transaction->producer_epoch};
    return RJ_KAFKA_NONE;
}

/* ---- Adding ------------------------------------------------------------------------------------------------------ */

static int16_t judge_producer(const struct transaction *transaction, struct producer_identity producer)
{
    if (transaction == NULL || transaction->producer_id != producer.producer_id)
        return RJ_KAFKA_INVALID_PRODUCER_ID_MAPPING;
    if (transaction->producer_epoch != producer.producer_epoch)
        return RJ_KAFKA_PRODUCER_FENCED;
    return mock_transaction_is_preparing(transaction) ? RJ_KAFKA_CONCURRENT_TRANSACTIONS : RJ_KAFKA_NONE;
}

int16_t mock_transaction_add(struct transactions *transactions, struct rj_string transactional_id,
                             struct producer_identity producer, struct rj_string topic,
                             const struct rj_int32_array *partitions, int64_t now_ms)
{
    if (rj_string_is_empty(transactional_id))
        return RJ_KAFKA_INVALID_REQUEST;
    struct transaction *transaction = mock_transaction_find(transactions, transactional_id);
    int16_t error = judge_producer(transaction, producer);
    if (error != RJ_KAFKA_NONE)
        return error;
    for (int32_t i = 0; i < partitions->count; i++)
        if (!mock_transaction_has(transaction, topic, partitions->items[i]) &&
            !add_partition(transaction, topic, partitions->items[i]))
            return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (transaction->state != TRANSACTION_ONGOING)
        transaction->start_ms = now_ms;
    transaction->state = TRANSACTION_ONGOING;
    return RJ_KAFKA_NONE;
}

int16_t mock_transaction_verify(const struct transactions *transactions, struct rj_string transactional_id,
                                struct producer_identity producer)
{
    if (rj_string_is_empty(transactional_id))
        return RJ_KAFKA_INVALID_REQUEST;
    return judge_producer(mock_transaction_find(transactions, transactional_id), producer);
}

/* ---- Ending ------------------------------------------------------------------------------------------------------ */

/* Who asks, by the producer that the transaction has now. */
enum asks { ASKS_NOW, ASKS_AGAIN /* what it was given is its answer, which it missed */, ASKS_NOT };

static enum asks who_asks(const struct transaction *transaction, struct producer_identity producer, bool gives_epoch)
{
    bool is_same = transaction->producer_epoch == producer.producer_epoch;
    if (!gives_epoch)
        return is_same ? ASKS_NOW : ASKS_NOT;
    bool before = transaction->producer_epoch == producer.producer_epoch + 1;
    bool before_new_id = transaction->previous_producer_id == producer.producer_id &&
                         producer.producer_epoch == INT16_MAX - 1 && transaction->producer_epoch == 0;
    bool is_open = transaction->state == TRANSACTION_EMPTY || transaction->state == TRANSACTION_ONGOING;
    bool is_over = !is_open && !mock_transaction_is_preparing(transaction);
    if (!is_open && (before || (is_over && before_new_id)))
        return ASKS_AGAIN;
    return is_same && (is_open || is_over) ? ASKS_NOW : ASKS_NOT;
}

/* What becomes of the question: an error, or that it was answered before, or that it begins to end. */
enum { ALREADY = -2, BEGIN = -3 };

/* BEGIN: a transaction ends, in the newer protocol an empty one too. Drawn after the comment in Kafka's coordinator. */
static int16_t judge_end(const struct transaction *transaction, bool commit, bool gives_epoch, bool again)
{
    enum { STATE = RJ_KAFKA_INVALID_TXN_STATE, BUSY = RJ_KAFKA_CONCURRENT_TRANSACTIONS };
    /*  the older protocol    the newer one:           asks now                asked again
     *  abort    commit                            abort    commit         abort     commit  */
    static const int16_t table[TRANSACTION_STATE_COUNT][6] = {
        [TRANSACTION_EMPTY] =
          { STATE,   STATE,                        BEGIN,   STATE,         STATE,    STATE   },
        [TRANSACTION_ONGOING] =
          { BEGIN,   BEGIN,                        BEGIN,   BEGIN,         STATE,    STATE   },
        [TRANSACTION_PREPARE_COMMIT] =
          { STATE,   BUSY,                         STATE,   BUSY,          STATE,    BUSY    },
        [TRANSACTION_PREPARE_ABORT] =
          { BUSY,    STATE,                        BUSY,    STATE,         BUSY,     STATE   },
        [TRANSACTION_COMPLETE_COMMIT] =
          { STATE,   ALREADY,                      BEGIN,   STATE,         STATE,    ALREADY },
        [TRANSACTION_COMPLETE_ABORT] =
          { ALREADY, STATE,                        BEGIN,   STATE,         ALREADY,  STATE   },
    };
    return table[transaction->state][(gives_epoch ? again ? 4 : 2 : 0) + commit];
}

/* The end of a transaction gives the producer its next epoch, or the next producer id where they are used up. */
static int16_t give_epoch(struct transactions *transactions, struct transaction *transaction)
{
    if (is_exhausted(transaction->producer_epoch)) {
        transaction->next_producer_id = transactions->next_producer_id(transactions->context);
        if (transaction->next_producer_id < 0)
            return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    transaction->last_producer_epoch = transaction->producer_epoch;
    transaction->producer_epoch++;
    return RJ_KAFKA_NONE;
}

int16_t mock_transaction_end(struct transactions *transactions, struct rj_string transactional_id,
                             struct producer_identity producer, bool commit, bool gives_epoch, int64_t now_ms,
                             struct producer_identity *granted, struct transaction **ending)
{
    *ending = NULL;
    if (rj_string_is_empty(transactional_id))
        return RJ_KAFKA_INVALID_REQUEST;
    struct transaction *transaction = mock_transaction_find(transactions, transactional_id);
    if (transaction == NULL)
        return RJ_KAFKA_INVALID_PRODUCER_ID_MAPPING;
    enum asks asks = who_asks(transaction, producer, gives_epoch);
    bool has_new_id = asks == ASKS_AGAIN && transaction->previous_producer_id == producer.producer_id;
    if (transaction->producer_id != producer.producer_id && !has_new_id)
        return RJ_KAFKA_INVALID_PRODUCER_ID_MAPPING;
    if (asks == ASKS_NOT)
        return RJ_KAFKA_PRODUCER_FENCED;
    int16_t verdict = judge_end(transaction, commit, gives_epoch, asks == ASKS_AGAIN);
    if (verdict == BEGIN) {
        if (transaction->state != TRANSACTION_ONGOING)
            transaction->start_ms = now_ms;
        verdict = gives_epoch ? give_epoch(transactions, transaction) : RJ_KAFKA_NONE;
        if (verdict != RJ_KAFKA_NONE)
            return verdict;
        transaction->state = commit ? TRANSACTION_PREPARE_COMMIT : TRANSACTION_PREPARE_ABORT;
        *ending = transaction;
    } else if (verdict != ALREADY) {
        return verdict;
    }
    *granted = (struct producer_identity){transaction->producer_id, transaction->producer_epoch};
    if (transaction->next_producer_id >= 0)
        *granted = (struct producer_identity){transaction->next_producer_id, 0};
    return RJ_KAFKA_NONE;
}

void mock_transaction_complete(struct transaction *transaction)
{
    bool committed = transaction->state == TRANSACTION_PREPARE_COMMIT;
    transaction->state = committed ? TRANSACTION_COMPLETE_COMMIT : TRANSACTION_COMPLETE_ABORT;
    transaction->previous_producer_id = transaction->producer_id;
    if (transaction->next_producer_id >= 0) {
        transaction->producer_id = transaction->next_producer_id;
        transaction->producer_epoch = 0;
        transaction->next_producer_id = -1;
    }
    forget_partitions(transaction);
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

struct transaction *mock_transaction_expire(struct transactions *transactions, int64_t now_ms)
{
    for (struct transaction *one = transactions->first; one != NULL; one = one->next)
        if (one->state == TRANSACTION_ONGOING && one->start_ms + one->timeout_ms <= now_ms) {
            fence(transactions, one);
            return one;
        }
    return NULL;
}

int64_t mock_transactions_deadline_ms(const struct transactions *transactions)
{
    int64_t deadline_ms = INT64_MAX;
    for (const struct transaction *one = transactions->first; one != NULL; one = one->next) {
        if (one->state == TRANSACTION_ONGOING && one->start_ms + one->timeout_ms < deadline_ms)
            deadline_ms = one->start_ms + one->timeout_ms;
        if (mock_transaction_is_preparing(one) && one->complete_at_ms < deadline_ms)
            deadline_ms = one->complete_at_ms;
    }
    return deadline_ms;
}
