/* Transactions: what Kafka's transaction coordinator keeps of each transactional id, and what it answers. A state
 * machine without I/O and without a clock; transaction_requests.c asks it and writes the markers.
 *
 *   EMPTY ── add ──> ONGOING ── end ──> PREPARE_COMMIT or PREPARE_ABORT ── markers written ──> COMPLETE_...
 *     ^                 ^                                                                          │
 *     └── init ─────────┴────────────────────────── add ──────────────────────────────────────────┘
 *
 * Two versions of the protocol live side by side, told apart by how a transaction is ended (KIP-890): with EndTxn 0 to 4
 * the producer keeps its epoch, with EndTxn 5 each end gives it the next one. */
#ifndef REJOIN_MOCK_TRANSACTIONS_H
#define REJOIN_MOCK_TRANSACTIONS_H

#include "rejoin/base.h"
#include "rejoin/errors.h"

#include <stdbool.h>

enum transaction_state {
    TRANSACTION_EMPTY, TRANSACTION_ONGOING, TRANSACTION_PREPARE_COMMIT, TRANSACTION_PREPARE_ABORT,
    TRANSACTION_COMPLETE_COMMIT, TRANSACTION_COMPLETE_ABORT, TRANSACTION_STATE_COUNT,
};
const char *mock_transaction_state_name(enum transaction_state state); /* "Ongoing", as Kafka writes it */

struct transaction_partition { char *topic; int32_t partition; };

struct transaction {
    struct transaction *next_in_bucket, *next; /* all of them, the newest first */
    struct rj_string transactional_id;         /* owned */
    int64_t producer_id, previous_producer_id, next_producer_id; /* -1: none */
    int16_t producer_epoch, last_producer_epoch;                 /* -1: none */
    int32_t timeout_ms;
    enum transaction_state state;
    int64_t start_ms;                          /* -1: not begun */
    int64_t complete_at_ms;                    /* while preparing: when the markers are due */
    struct transaction_partition *partitions;
    int32_t partition_count, partition_capacity;
};

struct transactions {
    int8_t version;              /* 2: the broker gives transactions up by the newer protocol; 0: by the older one */
    int32_t limit;               /* transactional ids; the next one gets COORDINATOR_NOT_AVAILABLE */
    int32_t max_timeout_ms;      /* Kafka's transaction.max.timeout.ms */
    int64_t (*next_producer_id)(void *context); /* -1: none can be had */
    void *context;
    struct transaction *buckets[256], *first;
    int32_t count;
};

struct producer_identity { int64_t producer_id; int16_t producer_epoch; };
/* What ends a producer's transaction in a partition; a coordinator of before is refused, and the mock's has epoch 0. */
struct marker { struct producer_identity producer; bool commit; int32_t coordinator_epoch; };

void mock_transactions_free(struct transactions *transactions);
struct transaction *mock_transaction_find(const struct transactions *transactions, struct rj_string transactional_id);
bool mock_transaction_has(const struct transaction *transaction, struct rj_string topic, int32_t partition);

/* Each returns 0 or Kafka's error, PRODUCER_FENCED where older versions of an API say INVALID_PRODUCER_EPOCH. */

/* claimed.producer_id -1: the producer is new; else it goes on (KIP-360). CONCURRENT_TRANSACTIONS with *aborting set: a
 * transaction was going on and is being given up. */
int16_t mock_transaction_init(struct transactions *transactions, struct rj_string transactional_id, int32_t timeout_ms,
                              struct producer_identity claimed, struct producer_identity *granted,
                              struct transaction **aborting);
/* Takes in all partitions of one topic; asked again for those that are in, it says yes. */
int16_t mock_transaction_add(struct transactions *transactions, struct rj_string transactional_id,
                             struct producer_identity producer, struct rj_string topic,
                             const struct rj_int32_array *partitions, int64_t now_ms);
/* Whether that producer may be in a transaction now; which partitions are in it mock_transaction_has tells. */
int16_t mock_transaction_verify(const struct transactions *transactions, struct rj_string transactional_id,
                                struct producer_identity producer);
/* *ending set: markers are due, PREPARE_... until mock_transaction_complete. Not set with 0: it was ended before. */
int16_t mock_transaction_end(struct transactions *transactions, struct rj_string transactional_id,
                             struct producer_identity producer, bool commit, bool gives_epoch, int64_t now_ms,
                             struct producer_identity *granted, struct transaction **ending);
/* A transaction that has taken longer than its timeout; it is given up and its producer fenced. NULL: none. */
struct transaction *mock_transaction_expire(struct transactions *transactions, int64_t now_ms);
/* When the next one will have; INT64_MAX: none. */
int64_t mock_transactions_deadline_ms(const struct transactions *transactions);
bool mock_transaction_is_preparing(const struct transaction *transaction);
/* Its markers are written. */
void mock_transaction_complete(struct transaction *transaction);

/* From what was written down: the transaction of that id without partitions, for the caller to fill. NULL: no memory. */
struct transaction *mock_transaction_restore(struct transactions *transactions, struct rj_string transactional_id);
bool mock_transaction_restore_partition(struct transaction *transaction, struct rj_string topic, int32_t partition);

#endif
