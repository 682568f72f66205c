/* DescribeTransactions, ListTransactions and DescribeProducers: what tools see of transactions (KIP-664). */
#include "mock/internal.h"

#include <string.h>

typedef struct rj_describe_transactions_response_transaction_state described;

/* Each topic once, with those of its partitions. */
static bool describe_topics(struct request *request, const struct transaction *transaction, described *out)
{
    if (!NEW_ITEMS(request, out->topics, transaction->partition_count))
        return false;
    out->topics.count = 0;
    for (int32_t i = 0; i < transaction->partition_count; i++) {
        struct rj_string name = {transaction->partitions[i].topic, (int32_t)strlen(transaction->partitions[i].topic)};
        if (!mock_may_topic(request, name, RJ_OPERATION_DESCRIBE))
            continue;
        int32_t at = 0;
        while (at < out->topics.count && !rj_string_equal(out->topics.items[at].topic, name))
            at++;
        if (at == out->topics.count) {
            out->topics.items[at].topic = name;
            out->topics.items[at].partitions.items =
                mock_arena_array(request, (size_t)transaction->partition_count, sizeof(int32_t));
            if (out->topics.items[at].partitions.items == NULL)
                return false;
            out->topics.count++;
        }
        struct rj_int32_array *partitions = &out->topics.items[at].partitions;
        ((int32_t *)(uintptr_t)partitions->items)[partitions->count++] = transaction->partitions[i].partition;
    }
    return true;
}

static struct rj_string state_name(enum transaction_state state)
{
    const char *name = mock_transaction_state_name(state);
    return (struct rj_string){name, (int32_t)strlen(name)};
}

static bool describe(struct request *request, struct rj_string transactional_id, described *out)
{
    const struct transaction *transaction = mock_transaction_find(&request->cluster->transactions, transactional_id);
    int32_t coordinator = mock_transaction_coordinator(request->cluster, transactional_id);
    *out = (described){.transactional_id = transactional_id, .transaction_state = RJ_EMPTY_STRING};
    if (!mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, transactional_id, RJ_OPERATION_DESCRIBE))
        out->error_code = RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (rj_string_is_empty(transactional_id))
        out->error_code = RJ_KAFKA_INVALID_REQUEST;
    else if (request->broker_id >= 0 && coordinator != request->broker_id)
        out->error_code = RJ_KAFKA_NOT_COORDINATOR;
    else if (transaction == NULL)
        out->error_code = RJ_KAFKA_TRANSACTIONAL_ID_NOT_FOUND;
    if (out->error_code != RJ_KAFKA_NONE)
        return true;
    out->transaction_state = state_name(transaction->state);
    out->transaction_timeout_ms = transaction->timeout_ms;
    out->transaction_start_time_ms = transaction->start_ms;
    out->producer_id = transaction->producer_id;
    out->producer_epoch = transaction->producer_epoch;
    return describe_topics(request, transaction, out);
}

enum outcome mock_handle_describe_transactions(struct request *request)
{
    const struct rj_describe_transactions_request *asked = request->body;
    struct rj_describe_transactions_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->transaction_states, asked->transactional_ids.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->transactional_ids.count; i++)
        if (!describe(request, asked->transactional_ids.items[i], &response->transaction_states.items[i]))
            return OUTCOME_CLOSE;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* ---- ListTransactions -------------------------------------------------------------------------------------------- */

static bool has_string(const struct rj_string_array *array, struct rj_string wanted)
{
    for (int32_t i = 0; i < array->count; i++)
        if (rj_string_equal(array->items[i], wanted))
            return true;
    return false;
}

static bool is_listed(const struct request *request, const struct rj_list_transactions_request *asked,
                      const struct transaction *transaction)
{
    bool has_producer = asked->producer_id_filters.count == 0;
    for (int32_t i = 0; i < asked->producer_id_filters.count; i++)
        has_producer = has_producer || asked->producer_id_filters.items[i] == transaction->producer_id;
    int64_t age_ms = mock_now_ms(request->cluster) - transaction->start_ms;
    int32_t coordinator = mock_transaction_coordinator(request->cluster, transaction->transactional_id);
    return has_producer && (request->broker_id < 0 || coordinator == request->broker_id) &&
           (asked->state_filters.count == 0 || has_string(&asked->state_filters, state_name(transaction->state))) &&
           (asked->duration_filter < 0 || age_ms > asked->duration_filter) &&
           mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, transaction->transactional_id, RJ_OPERATION_DESCRIBE);
}

static bool is_state(struct rj_string name)
{
    for (int state = 0; state < TRANSACTION_STATE_COUNT; state++)
        if (rj_string_equal(name, state_name(state)))
            return true;
    return rj_string_equal(name, RJ_STRING("Dead")) || rj_string_equal(name, RJ_STRING("PrepareEpochFence"));
}

enum outcome mock_handle_list_transactions(struct request *request)
{
    const struct rj_list_transactions_request *asked = request->body;
    struct rj_list_transactions_response *response = mock_new_response(request);
    const struct transactions *transactions = &request->cluster->transactions;
    struct rj_string *unknown = mock_arena_array(request, (size_t)asked->state_filters.count, sizeof(*unknown));
    if (response == NULL || unknown == NULL || !NEW_ITEMS(request, response->transaction_states, transactions->count))
        return OUTCOME_CLOSE;
    response->transaction_states.count = 0;
    response->unknown_state_filters.items = unknown;
    for (int32_t i = 0; i < asked->state_filters.count; i++)
        if (!is_state(asked->state_filters.items[i]))
            unknown[response->unknown_state_filters.count++] = asked->state_filters.items[i];
    for (const struct transaction *one = transactions->first; one != NULL; one = one->next) {
        if (!is_listed(request, asked, one))
            continue;
        struct rj_list_transactions_response_transaction_state *out =
            &response->transaction_states.items[response->transaction_states.count++];
        out->transactional_id = one->transactional_id;
        out->producer_id = one->producer_id;
        out->transaction_state = state_name(one->state);
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* ---- DescribeProducers ------------------------------------------------------------------------------------------- */

static bool describe_producers(struct request *request, struct rj_string name, int32_t partition,
                               struct rj_describe_producers_response_partition_response *out)
{
    const struct topic *topic = mock_find_topic(request->cluster, name);
    struct log *log = topic ? mock_find_log(topic, partition) : NULL;
    out->partition_index = partition;
    out->error_message = RJ_NULL_STRING;
    if (!mock_may_topic(request, name, RJ_OPERATION_READ))
        out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    else if (log == NULL)
        out->error_code = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (request->broker_id >= 0 && mock_partition_leader(request->cluster, topic, partition) != request->broker_id)
        out->error_code = RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (out->error_code != RJ_KAFKA_NONE)
        return true;
    const struct log_producers *producers = &log->producers;
    if (!NEW_ITEMS(request, out->active_producers, producers->count))
        return false;
    for (int32_t i = 0; i < producers->count; i++) {
        const struct log_producer *one = &producers->items[i];
        struct rj_describe_producers_response_producer_state *state = &out->active_producers.items[i];
        state->producer_id = one->producer_id;
        state->producer_epoch = one->epoch;
        state->last_sequence = one->batch_count ? one->batches[one->batch_count - 1].last_sequence : -1;
        state->last_timestamp = one->last_timestamp_ms;
        state->coordinator_epoch = one->coordinator_epoch;
        state->current_txn_start_offset = one->open_offset;
    }
    return true;
}

enum outcome mock_handle_describe_producers(struct request *request)
{
    const struct rj_describe_producers_request *asked = request->body;
    struct rj_describe_producers_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        const struct rj_int32_array *partitions = &asked->topics.items[i].partition_indexes;
        response->topics.items[i].name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, response->topics.items[i].partitions, partitions->count))
            return OUTCOME_CLOSE;
        for (int32_t j = 0; j < partitions->count; j++)
            if (!describe_producers(request, asked->topics.items[i].name, partitions->items[j],
                                    &response->topics.items[i].partitions.items[j]))
                return OUTCOME_CLOSE;
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
