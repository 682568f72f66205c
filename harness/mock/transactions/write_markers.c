/* WriteTxnMarkers: the ends of transactions, as another broker's coordinator sends them, and kafka-transactions.sh. */
#include "mock/internal.h"

typedef struct rj_write_txn_markers_request_writable_txn_marker asked_marker;
typedef struct rj_write_txn_markers_response_writable_txn_marker_result marker_result;

/* Since 4.2 the protocol of the transaction is told: in the newer one each end has a later epoch than what it ends, so
 * that an end that was on its way for long does not end the next transaction too. */
static bool is_of_before(const struct log *log, const struct marker *marker, int8_t transaction_version)
{
    const struct log_producer *known = mock_producer_find(&log->producers, marker->producer.producer_id);
    return transaction_version >= 2 && known != NULL && known->open_offset >= 0 &&
           marker->producer.producer_epoch <= known->epoch;
}

static int16_t write_marker(struct request *request, struct rj_string name, int32_t partition,
                            const struct marker *marker, int8_t transaction_version)
{
    struct mock_cluster *cluster = request->cluster;
    const struct topic *topic = mock_find_topic(cluster, name);
    const struct log *log = topic != NULL ? mock_find_log(topic, partition) : NULL;
    if (log == NULL)
        return RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (request->broker_id >= 0 && mock_partition_leader(cluster, topic, partition) != request->broker_id)
        return RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (marker->producer.producer_id < 0 || marker->producer.producer_epoch < 0 || transaction_version < 0)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR; /* Kafka makes no batch of it */
    if (is_of_before(log, marker, transaction_version))
        return RJ_KAFKA_INVALID_PRODUCER_EPOCH;
    return mock_end_transaction_in(cluster, topic, partition, marker);
}

static void write_markers(struct request *request, const asked_marker *asked, marker_result *result)
{
    const struct marker marker = {{asked->producer_id, asked->producer_epoch}, asked->transaction_result,
                                  asked->coordinator_epoch};
    for (int32_t i = 0; i < asked->topics.count; i++) {
        const struct rj_int32_array *partitions = &asked->topics.items[i].partition_indexes;
        for (int32_t j = 0; j < partitions->count; j++)
            result->topics.items[i].partitions.items[j].error_code =
                write_marker(request, asked->topics.items[i].name, partitions->items[j], &marker,
                             asked->transaction_version);
    }
}

/* The answer has the shape of a refusal of the whole, in which each partition has its own error. */
enum outcome mock_handle_write_txn_markers(struct request *request)
{
    const struct rj_write_txn_markers_request *asked = request->body;
    bool may = mock_may_cluster(request, RJ_OPERATION_ALTER) || mock_may_cluster(request, RJ_OPERATION_CLUSTER_ACTION);
    struct rj_write_txn_markers_response *response =
        mock_error_response(request, may ? RJ_KAFKA_NONE : RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED);
    if (response == NULL)
        return OUTCOME_CLOSE;
    int32_t count = 0;
    for (int32_t i = 0; may && i < asked->markers.count; i++) {
        write_markers(request, &asked->markers.items[i], &response->markers.items[i]);
        if (asked->markers.items[i].topics.count > 0) /* else Kafka has nothing to say of it */
            response->markers.items[count++] = response->markers.items[i];
    }
    if (may)
        response->markers.count = count;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
