/* The transaction coordinator's state machine: every cell of the table of ends, epochs that are used up, time. What a
 * client sees of it is compared with Kafka in test_mock_transactions.py. */
#include "mock/transactions/transactions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct rj_string id = {"txn", 3}, topic = {"t", 1};

static int64_t count_up(void *context) { return ++*(int64_t *)context; }

static struct transactions make(int64_t *producer_id, int8_t version)
{
    return (struct transactions){.version = version, .limit = 2, .max_timeout_ms = 900000,
                                 .next_producer_id = count_up, .context = producer_id};
}

static struct producer_identity begin(struct transactions *transactions, struct producer_identity claimed)
{
    struct producer_identity granted = {-1, -1};
    struct transaction *aborting;
    assert_int_equal(mock_transaction_init(transactions, id, 1000, claimed, &granted, &aborting), RJ_KAFKA_NONE);
    assert_null(aborting);
    return granted;
}

static int16_t add(struct transactions *transactions, struct producer_identity producer, int64_t now_ms)
{
    int32_t partition = 0;
    struct rj_int32_array one = {&partition, 1};
    return mock_transaction_add(transactions, id, producer, topic, &one, now_ms);
}

/* Brings a fresh transaction to that state; who its producer is then. */
static struct producer_identity bring_to(struct transactions *transactions, enum transaction_state state,
                                         bool gives_epoch)
{
    struct producer_identity producer = begin(transactions, (struct producer_identity){-1, -1}), granted = producer;
    struct transaction *ending;
    if (state == TRANSACTION_EMPTY)
        return producer;
    assert_int_equal(add(transactions, producer, 5), RJ_KAFKA_NONE);
    if (state == TRANSACTION_ONGOING)
        return producer;
    bool commit = state == TRANSACTION_PREPARE_COMMIT || state == TRANSACTION_COMPLETE_COMMIT;
    assert_int_equal(mock_transaction_end(transactions, id, producer, commit, gives_epoch, 6, &granted, &ending),
                     RJ_KAFKA_NONE);
    assert_non_null(ending);
    if (state == TRANSACTION_COMPLETE_COMMIT || state == TRANSACTION_COMPLETE_ABORT)
        mock_transaction_complete(ending);
    assert_int_equal(ending->state, state);
    return granted;
}

/* Kafka's own table, in the comment above endTransaction in its TransactionCoordinator, and what its code does before
 * that: abort and commit by whoever has the epoch of now, then by whoever has the one before. */
static void every_state_ends_as_in_kafka(void **state)
{
    (void)state;
    enum { OK = 0, ST = 48, BUSY = 51, FENCED = 90 };
    static const struct { bool gives_epoch; int16_t now[2], before[2]; } expected[2][TRANSACTION_STATE_COUNT] = {
        {{false, {ST, ST}, {FENCED, FENCED}}, {false, {OK, OK}, {FENCED, FENCED}}, {false, {ST, BUSY}, {FENCED, FENCED}},
         {false, {BUSY, ST}, {FENCED, FENCED}}, {false, {ST, OK}, {FENCED, FENCED}},
         {false, {OK, ST}, {FENCED, FENCED}}},
        {{true, {OK, ST}, {FENCED, FENCED}}, {true, {OK, OK}, {FENCED, FENCED}}, {true, {FENCED, FENCED}, {ST, BUSY}},
         {true, {FENCED, FENCED}, {BUSY, ST}}, {true, {OK, ST}, {ST, OK}}, {true, {OK, ST}, {OK, ST}}},
    };
    for (int newer = 0; newer < 2; newer++)
        for (int s = 0; s < TRANSACTION_STATE_COUNT; s++)
            for (int commit = 0; commit < 2; commit++)
                for (int before = 0; before < 2; before++) {
                    int64_t producer_id = 100;
                    struct transactions transactions = make(&producer_id, newer ? 2 : 0);
                    struct producer_identity producer = bring_to(&transactions, s, newer), granted;
                    struct transaction *ending;
                    producer.producer_epoch = (int16_t)(producer.producer_epoch - before);
                    int16_t error = mock_transaction_end(&transactions, id, producer, commit, newer, 7, &granted, &ending);
                    int16_t wanted = before ? expected[newer][s].before[commit] : expected[newer][s].now[commit];
                    if (error != wanted)
                        fail_msg("%s, %s protocol, %s, epoch %s: %d, expected %d", mock_transaction_state_name(s),
                                 newer ? "newer" : "older", commit ? "commit" : "abort", before ? "before" : "of now",
                                 error, wanted);
                    mock_transactions_free(&transactions);
                }
}

static void a_producer_whose_epochs_are_used_up_gets_a_new_id(void **state)
{
    (void)state;
    int64_t producer_id = 100;
    struct transactions transactions = make(&producer_id, 2);
    struct producer_identity producer = begin(&transactions, (struct producer_identity){-1, -1}), granted;
    struct transaction *transaction = mock_transaction_find(&transactions, id), *ending;
    transaction->producer_epoch = producer.producer_epoch = INT16_MAX - 1;
    assert_int_equal(add(&transactions, producer, 0), RJ_KAFKA_NONE);
    assert_int_equal(mock_transaction_end(&transactions, id, producer, true, true, 1, &granted, &ending), RJ_KAFKA_NONE);
    assert_int_equal(ending->producer_epoch, INT16_MAX); /* that of the markers */
    assert_int_equal(granted.producer_id, 102);
    assert_int_equal(granted.producer_epoch, 0);
    mock_transaction_complete(ending);
    struct producer_identity again;
    assert_int_equal(mock_transaction_end(&transactions, id, producer, true, true, 2, &again, &ending), RJ_KAFKA_NONE);
    assert_null(ending); /* asked again: what it was given */
    assert_int_equal(again.producer_id, 102);
    assert_int_equal(mock_transaction_end(&transactions, id, producer, false, true, 2, &again, &ending),
                     RJ_KAFKA_INVALID_TXN_STATE);
    transaction->producer_epoch = INT16_MAX - 1;
    granted = begin(&transactions, (struct producer_identity){102, INT16_MAX - 1});
    assert_int_equal(granted.producer_id, 103);
    assert_int_equal(granted.producer_epoch, 0);
    mock_transactions_free(&transactions);
}

static void time_runs_out_once(void **state)
{
    (void)state;
    int64_t producer_id = 100;
    struct transactions transactions = make(&producer_id, 2);
    struct producer_identity producer = begin(&transactions, (struct producer_identity){-1, -1});
    assert_true(mock_transactions_deadline_ms(&transactions) == INT64_MAX);
    assert_int_equal(add(&transactions, producer, 500), RJ_KAFKA_NONE);
    assert_int_equal(add(&transactions, producer, 900), RJ_KAFKA_NONE); /* it began at 500 */
    assert_int_equal(mock_transactions_deadline_ms(&transactions), 1500);
    assert_null(mock_transaction_expire(&transactions, 1499));
    struct transaction *expired = mock_transaction_expire(&transactions, 1500);
    assert_non_null(expired);
    assert_int_equal(expired->state, TRANSACTION_PREPARE_ABORT);
    assert_null(mock_transaction_expire(&transactions, 1500));
    assert_int_equal(add(&transactions, producer, 1501), RJ_KAFKA_PRODUCER_FENCED);
    struct producer_identity next = {producer.producer_id, (int16_t)(producer.producer_epoch + 1)};
    assert_int_equal(add(&transactions, next, 1501), RJ_KAFKA_CONCURRENT_TRANSACTIONS);
    mock_transaction_complete(expired);
    assert_int_equal(expired->partition_count, 0);
    mock_transactions_free(&transactions);
}

static void ids_are_limited(void **state)
{
    (void)state;
    int64_t producer_id = 100;
    struct transactions transactions = make(&producer_id, 2);
    struct producer_identity none = {-1, -1}, granted;
    struct transaction *aborting;
    static const struct rj_string names[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(mock_transaction_init(&transactions, names[i], 1000, none, &granted, &aborting),
                         i < 2 ? RJ_KAFKA_NONE : RJ_KAFKA_COORDINATOR_NOT_AVAILABLE);
    mock_transactions_free(&transactions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_ends_as_in_kafka),
        cmocka_unit_test(a_producer_whose_epochs_are_used_up_gets_a_new_id),
        cmocka_unit_test(time_runs_out_once),
        cmocka_unit_test(ids_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
