/* The transaction coordinator's requests, the markers that end a transaction, and what Produce and TxnOffsetCommit ask
 * it. Markers are written in the same turn as the answer, so that a client hardly ever meets CONCURRENT_TRANSACTIONS. */
#include "mock/internal.h"

#include <string.h>

enum { MARKER_ROOM = 256, STORE_AGAIN_MS = 100 };

/* ---- Which broker ------------------------------------------------------------------------------------------------ */

int32_t mock_transaction_coordinator(const struct mock_cluster *cluster, struct rj_string transactional_id)
{
    /* as the partitions of __transaction_state, had by the same rule as those of __consumer_offsets */
    return rj_coordinator_partition(transactional_id, OFFSETS_PARTITION_COUNT) % cluster->options.broker_count;
}

static bool is_coordinator(const struct request *request, struct rj_string transactional_id)
{
    return request->broker_id < 0 ||
           mock_transaction_coordinator(request->cluster, transactional_id) == request->broker_id;
}

/* What older clients know in place of PRODUCER_FENCED. */
static int16_t error_for(const struct request *request, int16_t knows_fenced_since, int16_t error)
{
    bool is_old = request->version < knows_fenced_since;
    return error == RJ_KAFKA_PRODUCER_FENCED && is_old ? RJ_KAFKA_INVALID_PRODUCER_EPOCH : error;
}

/* Right and place, which every request about one transactional id needs. */
static int16_t judge_place(const struct request *request, struct rj_string transactional_id)
{
    if (!mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, transactional_id, RJ_OPERATION_WRITE))
        return RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    return is_coordinator(request, transactional_id) ? RJ_KAFKA_NONE : RJ_KAFKA_NOT_COORDINATOR;
}

/* ---- Markers ----------------------------------------------------------------------------------------------------- */

int16_t mock_append_marker(struct mock_cluster *cluster, struct log *log, const struct marker *marker)
{
    uint8_t batch[MARKER_ROOM];
    const uint32_t epoch = (uint32_t)marker->coordinator_epoch;
    const uint8_t key[] = {0, 0, 0, marker->commit};
    const uint8_t value[] = {0, 0, (uint8_t)(epoch >> 24), (uint8_t)(epoch >> 16), (uint8_t)(epoch >> 8),
                             (uint8_t)epoch};
    struct rj_record record = {.timestamp_ms = mock_now_ms(cluster), .key = {key, sizeof(key)},
                               .value = {value, sizeof(value)}};
    struct rj_record_batch like = {.magic = 2, .attributes = RJ_BATCH_TRANSACTIONAL | RJ_BATCH_CONTROL,
                                   .producer_id = marker->producer.producer_id,
                                   .producer_epoch = marker->producer.producer_epoch, .base_sequence = -1};
    struct rj_batch_writer writer;
    size_t len;
    rj_batch_begin(&writer, 2, 0, batch, sizeof(batch));
    rj_batch_add(&writer, &record, NULL, 0);
    if (rj_batch_finish(&writer, &like, &len, NULL) != RJ_OK)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    return mock_append_bytes(cluster, log, (struct rj_bytes){batch, (int32_t)len});
}

int16_t mock_end_transaction_in(struct mock_cluster *cluster, const struct topic *topic, int32_t partition,
                                const struct marker *marker)
{
    if (topic == cluster->offsets_topic)
        return mock_end_offsets_transaction(cluster, partition, marker);
    return mock_append_marker(cluster, mock_find_log(topic, partition), marker);
}

/* The disk refused a part of it: all of it once more, which does no harm where it was done. */
static void write_markers_later(struct mock_cluster *cluster, struct transaction *transaction)
{
    transaction->complete_at_ms = mock_now_ms(cluster) + STORE_AGAIN_MS;
    mock_wake_at(cluster, transaction->complete_at_ms);
}

/* Ends the transaction in each of its partitions, when it is written down that this is due: a cluster that is killed
 * between two of them goes on with the others. */
static void write_markers(struct mock_cluster *cluster, struct transaction *transaction)
{
    struct marker marker = {{transaction->producer_id, transaction->producer_epoch},
                            transaction->state == TRANSACTION_PREPARE_COMMIT, 0};
    bool is_refused = false;
    if (mock_keep_transaction(cluster, transaction) != RJ_KAFKA_NONE) {
        write_markers_later(cluster, transaction);
        return;
    }
    for (int32_t i = 0; i < transaction->partition_count; i++) {
        const struct transaction_partition *one = &transaction->partitions[i];
        struct topic *topic = mock_find_topic(cluster, (struct rj_string){one->topic, (int32_t)strlen(one->topic)});
        bool is_there = topic != NULL && mock_find_log(topic, one->partition) != NULL; /* else it was deleted since */
        int16_t error = is_there ? mock_end_transaction_in(cluster, topic, one->partition, &marker) : RJ_KAFKA_NONE;
        bool is_fenced = error == RJ_KAFKA_INVALID_PRODUCER_EPOCH || error == RJ_KAFKA_TRANSACTION_COORDINATOR_FENCED;
        is_refused = is_refused || (error != RJ_KAFKA_NONE && !is_fenced); /* somebody else has ended that for good */
        if (error != RJ_KAFKA_NONE)
            mock_log_line(cluster, "%s-%d: a marker of transactional id '%.*s' was refused: %s", one->topic,
                          one->partition, (int)transaction->transactional_id.len, transaction->transactional_id.data,
                          rj_kafka_error_name(error));
    }
    if (is_refused && cluster->storage != NULL) {
        write_markers_later(cluster, transaction);
        return;
    }
    mock_transaction_complete(transaction);
    mock_keep_transaction(cluster, transaction);
}

/* The transaction ends now, or after the delay that the options ask for. */
static void begin_markers(struct mock_cluster *cluster, struct transaction *transaction)
{
    int32_t delay_ms = cluster->options.transaction_marker_delay_ms;
    transaction->complete_at_ms = mock_now_ms(cluster) + delay_ms;
    if (delay_ms <= 0) {
        write_markers(cluster, transaction);
    } else {
        mock_keep_transaction(cluster, transaction);
        mock_wake_at(cluster, transaction->complete_at_ms);
    }
}

void mock_transactions_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms)
{
    struct transactions *transactions = &cluster->transactions;
    for (struct transaction *one; (one = mock_transaction_expire(transactions, now_ms)) != NULL;) {
        mock_log_line(cluster, "the transaction of '%.*s' took longer than %d ms and is aborted",
                      (int)one->transactional_id.len, one->transactional_id.data, one->timeout_ms);
        begin_markers(cluster, one);
    }
    for (struct transaction *one = transactions->first; one != NULL; one = one->next)
        if (mock_transaction_is_preparing(one) && one->complete_at_ms <= now_ms)
            write_markers(cluster, one);
    int64_t deadline_ms = mock_transactions_deadline_ms(transactions);
    if (deadline_ms < *next_ms)
        *next_ms = deadline_ms;
}

static bool is_known(const struct transactions *transactions, int64_t producer_id)
{
    for (const struct transaction *one = transactions->first; one != NULL; one = one->next)
        if (one->producer_id == producer_id && (one->state == TRANSACTION_ONGOING || mock_transaction_is_preparing(one)))
            return true;
    return false;
}

/* What is open in the logs of a data directory although __transaction_state does not know of it is aborted, as if its
 * time had run out, or readers would wait for its end for ever. */
void mock_transactions_recover(struct mock_cluster *cluster)
{
    for (int32_t t = 0; t < cluster->topic_count; t++)
        for (int32_t p = 0; p < cluster->topics[t]->partition_count; p++) {
            struct log *log = cluster->topics[t]->partitions[p];
            for (int32_t i = 0; i < log->producers.count; i++) {
                const struct log_producer *one = &log->producers.items[i];
                struct marker fenced = {{one->producer_id, one->epoch}, false,
                                        one->coordinator_epoch > 0 ? one->coordinator_epoch : 0};
                if (one->open_offset < 0 || is_known(&cluster->transactions, one->producer_id))
                    continue;
                if (fenced.producer.producer_epoch < INT16_MAX)
                    fenced.producer.producer_epoch++;
                mock_end_transaction_in(cluster, cluster->topics[t], p, &fenced);
            }
        }
}

static int64_t take_producer_id(void *cluster) { return mock_next_producer_id(cluster); }

void mock_transactions_begin(struct mock_cluster *cluster)
{
    enum { LIMIT = 100000 /* some 30 MB of a client that makes up ids */, MAX_TIMEOUT_MS = 15 * 60 * 1000 /* Kafka's */ };
    cluster->transactions.limit = LIMIT;
    cluster->transactions.max_timeout_ms = MAX_TIMEOUT_MS;
    cluster->transactions.next_producer_id = take_producer_id;
    cluster->transactions.context = cluster;
}

/* What a request did to a transaction is written down before it is answered. */
static int16_t keep(struct mock_cluster *cluster, struct rj_string transactional_id)
{
    return mock_keep_transaction(cluster, mock_transaction_find(&cluster->transactions, transactional_id));
}

/* ---- What Produce and TxnOffsetCommit ask ------------------------------------------------------------------------ */

int16_t mock_verify_transaction(struct mock_cluster *cluster, struct rj_string transactional_id,
                                struct producer_identity producer, struct rj_string topic, int32_t partition,
                                const struct log *log, enum transaction_question question)
{
    const struct log_producer *known = mock_producer_find(&log->producers, producer.producer_id);
    int16_t error;
    if (known != NULL && producer.producer_epoch < known->epoch)
        return RJ_KAFKA_INVALID_PRODUCER_EPOCH;
    if (mock_producer_is_open(&log->producers, producer.producer_id, producer.producer_epoch))
        return RJ_KAFKA_NONE;
    if (question == TRANSACTION_TAKES_IN) {
        struct rj_int32_array one = {&partition, 1};
        error = mock_transaction_add(&cluster->transactions, transactional_id, producer, topic, &one,
                                     mock_now_ms(cluster));
        if (error == RJ_KAFKA_NONE)
            error = keep(cluster, transactional_id);
        mock_wake_at(cluster, mock_transactions_deadline_ms(&cluster->transactions));
    } else if (!cluster->verifies_transactions) {
        return RJ_KAFKA_NONE;
    } else {
        error = mock_transaction_verify(&cluster->transactions, transactional_id, producer);
        if (error == RJ_KAFKA_NONE &&
            !mock_transaction_has(mock_transaction_find(&cluster->transactions, transactional_id), topic, partition))
            error = question == TRANSACTION_OLD_ERRORS ? RJ_KAFKA_INVALID_TXN_STATE : RJ_KAFKA_TRANSACTION_ABORTABLE;
    }
    return error == RJ_KAFKA_PRODUCER_FENCED ? RJ_KAFKA_INVALID_PRODUCER_EPOCH : error;
}

/* The answer of a TxnOffsetCommit that the transaction coordinator refused. NULL: no memory. */
static struct rj_txn_offset_commit_response *refuse_offsets(struct request *request, int16_t error)
{
    const struct rj_txn_offset_commit_request *asked = request->body;
    struct rj_txn_offset_commit_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return NULL;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_txn_offset_commit_response_topic *topic = &response->topics.items[i];
        const struct topic *known = mock_find_topic(request->cluster, asked->topics.items[i].name);
        bool may_read = mock_may_topic(request, asked->topics.items[i].name, RJ_OPERATION_READ);
        topic->name = asked->topics.items[i].name;
        if (!NEW_ITEMS(request, topic->partitions, asked->topics.items[i].partitions.count))
            return NULL;
        for (int32_t j = 0; j < topic->partitions.count; j++) {
            int32_t partition = asked->topics.items[i].partitions.items[j].partition_index;
            topic->partitions.items[j].partition_index = partition;
            topic->partitions.items[j].error_code = !may_read ? RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED
                                                    : known == NULL || mock_find_log(known, partition) == NULL
                                                        ? RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : error;
        }
    }
    return response;
}

/* Whether anything is left to commit once unknown partitions are taken out: only then is the coordinator asked. */
static bool names_a_partition(const struct request *request, const struct rj_txn_offset_commit_request *asked)
{
    for (int32_t i = 0; i < asked->topics.count; i++) {
        const struct topic *topic = mock_find_topic(request->cluster, asked->topics.items[i].name);
        for (int32_t j = 0; topic != NULL && j < asked->topics.items[i].partitions.count; j++)
            if (mock_find_log(topic, asked->topics.items[i].partitions.items[j].partition_index) != NULL)
                return mock_may_topic(request, asked->topics.items[i].name, RJ_OPERATION_READ);
    }
    return false;
}

bool mock_judge_txn_offset_commit(struct request *request, int32_t partition, const struct log *log,
                                  const void **refusal)
{
    const struct rj_txn_offset_commit_request *asked = request->body;
    *refusal = NULL;
    if (rj_string_is_empty(asked->group_id) || !names_a_partition(request, asked) ||
        !mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, asked->transactional_id, RJ_OPERATION_WRITE) ||
        !mock_may(request, RJ_RESOURCE_GROUP, asked->group_id, RJ_OPERATION_READ))
        return true; /* the group's coordinator says why */
    struct producer_identity producer = {asked->producer_id, asked->producer_epoch};
    int16_t error = mock_verify_transaction(
        request->cluster, asked->transactional_id, producer, RJ_STRING("__consumer_offsets"), partition, log,
        request->version >= 5 ? TRANSACTION_TAKES_IN : request->version == 4 ? TRANSACTION_KNOWS_ABORTABLE
                                                                              : TRANSACTION_OLD_ERRORS);
    if (error == RJ_KAFKA_NONE)
        return true;
    *refusal = refuse_offsets(request, error);
    return *refusal != NULL;
}

/* ---- InitProducerId ---------------------------------------------------------------------------------------------- */

/* Whoever may write to some topic needs no right of his own for an idempotent producer (KIP-679). */
static int16_t init_idempotent(struct request *request, struct producer_identity *granted)
{
    if (!mock_may_cluster(request, RJ_OPERATION_IDEMPOTENT_WRITE) &&
        !mock_is_allowed_somewhere(mock_rights_of(request), RJ_RESOURCE_TOPIC, RJ_OPERATION_WRITE))
        return RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
    *granted = (struct producer_identity){mock_next_producer_id(request->cluster), 0};
    return granted->producer_id < 0 ? RJ_KAFKA_COORDINATOR_NOT_AVAILABLE : RJ_KAFKA_NONE;
}

static int16_t init_producer(struct request *request, const struct rj_init_producer_id_request *asked,
                             struct producer_identity *granted)
{
    struct mock_cluster *cluster = request->cluster;
    struct producer_identity claimed = {asked->producer_id, asked->producer_epoch};
    struct transaction *aborting;
    bool has_id = !rj_string_is_null(asked->transactional_id);
    int16_t error = has_id ? judge_place(request, asked->transactional_id) : RJ_KAFKA_NONE;
    if (error == RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        return error;
    if ((claimed.producer_id == -1) != (claimed.producer_epoch == -1))
        return RJ_KAFKA_INVALID_REQUEST;
    if (!has_id)
        return init_idempotent(request, granted);
    if (error != RJ_KAFKA_NONE)
        return error;
    error = mock_transaction_init(&cluster->transactions, asked->transactional_id, asked->transaction_timeout_ms,
                                  claimed, granted, &aborting);
    if (aborting != NULL)
        begin_markers(cluster, aborting);
    return error != RJ_KAFKA_NONE ? error : keep(cluster, asked->transactional_id);
}

enum outcome mock_handle_init_producer_id(struct request *request)
{
    struct rj_init_producer_id_response *response = mock_new_response(request);
    struct producer_identity granted = {-1, -1};
    if (response == NULL)
        return OUTCOME_CLOSE;
    response->error_code = error_for(request, 4, init_producer(request, request->body, &granted));
    bool is_granted = response->error_code == RJ_KAFKA_NONE;
    response->producer_id = is_granted ? granted.producer_id : -1;
    response->producer_epoch = is_granted ? granted.producer_epoch : -1;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* ---- AddPartitionsToTxn ------------------------------------------------------------------------------------------ */

struct added { /* one transaction of the request, in whatever version */
    struct rj_string transactional_id;
    struct producer_identity producer;
    bool verify_only;
    const struct rj_add_partitions_to_txn_request_add_partitions_to_txn_topic *topics;
    int32_t topic_count;
};
typedef struct rj_add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_result;

/* UNKNOWN_TOPIC_OR_PARTITION and the like: one such and nothing of the transaction is added. */
static int16_t judge_partition(const struct request *request, struct rj_string name, int32_t partition)
{
    const struct topic *topic = mock_find_topic(request->cluster, name);
    if (request->version < 4 && !(topic != NULL && topic->is_internal) &&
        !mock_may_topic(request, name, RJ_OPERATION_WRITE))
        return RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    return topic != NULL && mock_find_log(topic, partition) != NULL ? RJ_KAFKA_NONE
                                                                    : RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static int16_t add_topics(struct request *request, const struct added *added)
{
    struct transactions *transactions = &request->cluster->transactions;
    int16_t error = request->version < 4 ? judge_place(request, added->transactional_id)
                    : is_coordinator(request, added->transactional_id) ? RJ_KAFKA_NONE : RJ_KAFKA_NOT_COORDINATOR;
    if (error != RJ_KAFKA_NONE)
        return error;
    if (added->verify_only)
        return mock_transaction_verify(transactions, added->transactional_id, added->producer);
    for (int32_t i = 0; i < added->topic_count && error == RJ_KAFKA_NONE; i++)
        error = mock_transaction_add(transactions, added->transactional_id, added->producer, added->topics[i].name,
                                     &added->topics[i].partitions, mock_now_ms(request->cluster));
    if (error == RJ_KAFKA_NONE)
        error = keep(request->cluster, added->transactional_id);
    mock_wake_at(request->cluster, mock_transactions_deadline_ms(transactions));
    return error_for(request, 2, error);
}

static int16_t result_of(const struct request *request, const struct added *added, struct rj_string topic,
                         int32_t partition, bool is_refused, int16_t error)
{
    if (is_refused) {
        int16_t own = judge_partition(request, topic, partition);
        return own != RJ_KAFKA_NONE ? own : RJ_KAFKA_OPERATION_NOT_ATTEMPTED;
    }
    if (error != RJ_KAFKA_NONE || !added->verify_only)
        return error;
    bool has = mock_transaction_has(
        mock_transaction_find(&request->cluster->transactions, added->transactional_id), topic, partition);
    return has ? RJ_KAFKA_NONE : RJ_KAFKA_TRANSACTION_ABORTABLE;
}

static bool is_any_refused(const struct request *request, const struct added *added)
{
    for (int32_t i = 0; i < added->topic_count; i++)
        for (int32_t j = 0; j < added->topics[i].partitions.count; j++)
            if (judge_partition(request, added->topics[i].name, added->topics[i].partitions.items[j]) != RJ_KAFKA_NONE)
                return true;
    return false;
}

/* NULL: no memory. */
static topic_result *add_transaction(struct request *request, const struct added *added)
{
    topic_result *results = mock_arena_array(request, (size_t)added->topic_count, sizeof(*results));
    bool is_refused = is_any_refused(request, added);
    int16_t error = is_refused ? RJ_KAFKA_NONE : add_topics(request, added);
    for (int32_t i = 0; results != NULL && i < added->topic_count; i++) {
        const struct rj_int32_array *partitions = &added->topics[i].partitions;
        results[i].name = added->topics[i].name;
        if (!NEW_ITEMS(request, results[i].results_by_partition, partitions->count))
            return NULL;
        for (int32_t j = 0; j < partitions->count; j++) {
            results[i].results_by_partition.items[j].partition_index = partitions->items[j];
            results[i].results_by_partition.items[j].partition_error_code =
                result_of(request, added, added->topics[i].name, partitions->items[j], is_refused, error);
        }
    }
    return results;
}

static bool add_batch(struct request *request, const struct rj_add_partitions_to_txn_request *asked,
                      struct rj_add_partitions_to_txn_response *response)
{
    if (!mock_may_cluster(request, RJ_OPERATION_CLUSTER_ACTION)) {
        response->error_code = RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
        return true;
    }
    if (!NEW_ITEMS(request, response->results_by_transaction, asked->transactions.count))
        return false;
    for (int32_t i = 0; i < asked->transactions.count; i++) {
        const struct rj_add_partitions_to_txn_request_add_partitions_to_txn_transaction *one =
            &asked->transactions.items[i];
        struct added added = {one->transactional_id, {one->producer_id, one->producer_epoch}, one->verify_only,
                              one->topics.items, one->topics.count};
        response->results_by_transaction.items[i].transactional_id = one->transactional_id;
        response->results_by_transaction.items[i].topic_results.items = add_transaction(request, &added);
        response->results_by_transaction.items[i].topic_results.count = one->topics.count;
        if (response->results_by_transaction.items[i].topic_results.items == NULL)
            return false;
    }
    return true;
}

enum outcome mock_handle_add_partitions_to_txn(struct request *request)
{
    const struct rj_add_partitions_to_txn_request *asked = request->body;
    struct rj_add_partitions_to_txn_response *response = mock_new_response(request);
    if (response == NULL)
        return OUTCOME_CLOSE;
    if (request->version >= 4)
        return add_batch(request, asked, response) ? mock_answer_request(request, response, RJ_RULE_NONE)
                                                   : OUTCOME_CLOSE;
    struct added added = {asked->v3_and_below_transactional_id,
                          {asked->v3_and_below_producer_id, asked->v3_and_below_producer_epoch}, false,
                          asked->v3_and_below_topics.items, asked->v3_and_below_topics.count};
    response->results_by_topic_v3_and_below.items = add_transaction(request, &added);
    response->results_by_topic_v3_and_below.count = added.topic_count;
    return response->results_by_topic_v3_and_below.items ? mock_answer_request(request, response, RJ_RULE_NONE)
                                                         : OUTCOME_CLOSE;
}

/* ---- AddOffsetsToTxn, EndTxn ------------------------------------------------------------------------------------- */

enum outcome mock_handle_add_offsets_to_txn(struct request *request)
{
    const struct rj_add_offsets_to_txn_request *asked = request->body;
    struct rj_add_offsets_to_txn_response *response = mock_new_response(request);
    struct transactions *transactions = &request->cluster->transactions;
    if (response == NULL)
        return OUTCOME_CLOSE;
    int16_t error = judge_place(request, asked->transactional_id);
    if (error != RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED &&
        !mock_may(request, RJ_RESOURCE_GROUP, asked->group_id, RJ_OPERATION_READ))
        error = RJ_KAFKA_GROUP_AUTHORIZATION_FAILED;
    if (error == RJ_KAFKA_NONE) {
        int32_t partition = rj_coordinator_partition(asked->group_id, OFFSETS_PARTITION_COUNT);
        struct rj_int32_array one = {&partition, 1};
        struct producer_identity producer = {asked->producer_id, asked->producer_epoch};
        error = mock_transaction_add(transactions, asked->transactional_id, producer, RJ_STRING("__consumer_offsets"),
                                     &one, mock_now_ms(request->cluster));
        if (error == RJ_KAFKA_NONE)
            error = keep(request->cluster, asked->transactional_id);
        mock_wake_at(request->cluster, mock_transactions_deadline_ms(transactions));
    }
    response->error_code = error_for(request, 2, error);
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

enum outcome mock_handle_end_txn(struct request *request)
{
    enum { GIVES_EPOCH = 5 /* since this version (KIP-890) */ };
    const struct rj_end_txn_request *asked = request->body;
    struct rj_end_txn_response *response = mock_new_response(request);
    struct producer_identity producer = {asked->producer_id, asked->producer_epoch}, granted = {-1, -1};
    struct transaction *ending = NULL;
    if (response == NULL)
        return OUTCOME_CLOSE;
    int16_t error = judge_place(request, asked->transactional_id);
    if (error == RJ_KAFKA_NONE)
        error = mock_transaction_end(&request->cluster->transactions, asked->transactional_id, producer,
                                     asked->committed, request->version >= GIVES_EPOCH, mock_now_ms(request->cluster),
                                     &granted, &ending);
    if (ending != NULL)
        begin_markers(request->cluster, ending);
    response->error_code = error_for(request, 2, error);
    response->producer_id = error == RJ_KAFKA_NONE ? granted.producer_id : -1;
    response->producer_epoch = error == RJ_KAFKA_NONE ? granted.producer_epoch : -1;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
