/* Metadata, DescribeTopicPartitions, DescribeCluster: what the cluster looks like. */
#include "mock/internal.h"

static int32_t topic_operations(const struct request *request, struct rj_string name)
{
    return mock_authorized_operations(mock_rights_of(request), RJ_RESOURCE_TOPIC, name);
}

/* None, without the right to describe the cluster. */
static int32_t cluster_operations(const struct request *request)
{
    if (!mock_may_cluster(request, RJ_OPERATION_DESCRIBE))
        return 0;
    return mock_authorized_operations(mock_rights_of(request), RJ_RESOURCE_CLUSTER, RJ_STRING("kafka-cluster"));
}

/* Kafka lets either right do. */
static bool may_create_topic(const struct request *request, struct rj_string name)
{
    return mock_may_cluster(request, RJ_OPERATION_CREATE) || mock_may_topic(request, name, RJ_OPERATION_CREATE);
}

/* Of a failed allocation the count is -1: the answer then cannot be encoded and the connection closes. */
struct rj_int32_array mock_replicas_of(struct request *request, const struct topic *topic, int32_t partition)
{
    struct rj_int32_array replicas;
    if (!NEW_ITEMS(request, replicas, topic->replication_factor)) {
        replicas.count = -1;
        return replicas;
    }
    int32_t leader = mock_partition_leader(request->cluster, topic, partition);
    int32_t first = leader != MOCK_NO_BROKER ? leader : partition;
    for (int32_t i = 0; i < replicas.count; i++)
        replicas.items[i] = (first + i) % request->cluster->options.broker_count;
    return replicas;
}

static bool describe_topic(struct request *request, const struct topic *topic, bool with_operations,
                           struct rj_metadata_response_topic *out)
{
    out->name = topic->name_view;
    out->topic_id = topic->topic_id;
    out->is_internal = topic->is_internal;
    out->topic_authorized_operations = with_operations ? topic_operations(request, topic->name_view) : INT32_MIN;
    if (!NEW_ITEMS(request, out->partitions, topic->partition_count))
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct rj_metadata_response_partition *partition = &out->partitions.items[i];
        partition->partition_index = i;
        partition->leader_id = mock_partition_leader(request->cluster, topic, i);
        partition->error_code = partition->leader_id != MOCK_NO_BROKER ? RJ_KAFKA_NONE : RJ_KAFKA_LEADER_NOT_AVAILABLE;
        partition->replica_nodes = mock_replicas_of(request, topic, i);
        partition->isr_nodes = partition->replica_nodes;
    }
    return true;
}

static bool describe_topic_by_id(struct request *request, const struct rj_uuid *topic_id, bool with_operations,
                                 struct rj_metadata_response_topic *out)
{
    const struct topic *topic = mock_find_topic_by_id(request->cluster, topic_id);
    bool may = topic == NULL || mock_may_topic(request, topic->name_view, RJ_OPERATION_DESCRIBE);
    if (topic != NULL && may)
        return describe_topic(request, topic, with_operations, out);
    out->topic_id = *topic_id; /* an id is no secret, the name is */
    out->error_code = may ? RJ_KAFKA_UNKNOWN_TOPIC_ID : RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    if (request->version < 12)
        out->name = RJ_EMPTY_STRING;
    return true;
}

/* One topic by name, created where that is asked for and allowed; else by id. */
static bool describe_asked_topic(struct request *request, const struct rj_metadata_request_topic *asked,
                                 bool may_create, bool with_operations, struct rj_metadata_response_topic *out)
{
    struct mock_cluster *cluster = request->cluster;
    out->topic_authorized_operations = INT32_MIN;
    out->name = asked->name;
    if (rj_string_is_null(asked->name))
        return describe_topic_by_id(request, &asked->topic_id, with_operations, out);
    const struct topic *topic = mock_find_topic(cluster, asked->name);
    if (!mock_may_topic(request, asked->name, RJ_OPERATION_DESCRIBE) ||
        (topic == NULL && may_create && !may_create_topic(request, asked->name))) {
        out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED; /* whether it exists is not told */
        return true;
    }
    if (topic == NULL && with_operations)
        out->topic_authorized_operations = topic_operations(request, asked->name);
    if (topic == NULL && !mock_valid_topic_name(asked->name)) {
        out->error_code = RJ_KAFKA_INVALID_TOPIC_EXCEPTION;
        return true;
    }
    if (topic == NULL && may_create) {
        out->error_code = mock_add_topic(cluster, asked->name, cluster->options.default_partition_count, false);
        topic = mock_find_topic(cluster, asked->name);
    }
    if (topic != NULL)
        return describe_topic(request, topic, with_operations, out);
    if (out->error_code == RJ_KAFKA_NONE)
        out->error_code = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return true;
}

static bool list_brokers(struct request *request, struct rj_metadata_response *response)
{
    struct mock_cluster *cluster = request->cluster;
    if (!NEW_ITEMS(request, response->brokers, cluster->options.broker_count))
        return false;
    for (int32_t i = 0; i < response->brokers.count; i++)
        response->brokers.items[i] = (struct rj_metadata_response_broker){
            .node_id = i, .host = mock_advertised_host(cluster), .port = cluster->brokers[i].port};
    response->cluster_id = (struct rj_string){cluster->cluster_id, 22};
    response->controller_id = 0;
    return true;
}

enum outcome mock_handle_metadata(struct request *request)
{
    const struct rj_metadata_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_metadata_response *response = mock_new_response(request);
    if (response == NULL || !list_brokers(request, response))
        return OUTCOME_CLOSE;
    if (asked->include_cluster_authorized_operations)
        response->cluster_authorized_operations = cluster_operations(request);
    bool with_operations = asked->include_topic_authorized_operations;
    bool is_all = request->version == 0 ? asked->topics.count <= 0 : asked->topics.count < 0;
    if (!NEW_ITEMS(request, response->topics, is_all ? cluster->topic_count : asked->topics.count))
        return OUTCOME_CLOSE;
    bool may_create = cluster->options.auto_create_topics && asked->allow_auto_topic_creation;
    int32_t wanted = response->topics.count;
    response->topics.count = 0;
    for (int32_t i = 0; i < wanted; i++) {
        if (is_all && !mock_may_topic(request, cluster->topics[i]->name_view, RJ_OPERATION_DESCRIBE))
            continue;
        struct rj_metadata_response_topic *out = &response->topics.items[response->topics.count++];
        bool ok = is_all ? describe_topic(request, cluster->topics[i], with_operations, out)
                         : describe_asked_topic(request, &asked->topics.items[i], may_create, with_operations, out);
        if (!ok)
            return OUTCOME_CLOSE;
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* ---- DescribeTopicPartitions ------------------------------------------------------------------------------------- */

/* The partitions of one topic from first on, at most limit. */
static bool describe_partitions(struct request *request, const struct topic *topic, int32_t first, int32_t limit,
                                struct rj_describe_topic_partitions_response_topic *out)
{
    int32_t count = topic->partition_count - first;
    if (count > limit)
        count = limit;
    out->name = topic->name_view;
    out->topic_id = topic->topic_id;
    out->is_internal = topic->is_internal;
    out->topic_authorized_operations = topic_operations(request, topic->name_view);
    if (!NEW_ITEMS(request, out->partitions, count < 0 ? 0 : count))
        return false;
    for (int32_t i = 0; i < out->partitions.count; i++) {
        struct rj_describe_topic_partitions_response_partition *partition = &out->partitions.items[i];
        partition->partition_index = first + i;
        partition->leader_id = mock_partition_leader(request->cluster, topic, first + i);
        partition->replica_nodes = mock_replicas_of(request, topic, first + i);
        partition->isr_nodes = partition->replica_nodes;
        partition->eligible_leader_replicas.items = partition->replica_nodes.items;
        partition->last_known_elr.items = partition->replica_nodes.items;
    }
    return true;
}

enum outcome mock_handle_describe_topic_partitions(struct request *request)
{
    const struct rj_describe_topic_partitions_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_describe_topic_partitions_response *response = mock_new_response(request);
    int32_t wanted = asked->topics.count > 0 ? asked->topics.count : cluster->topic_count;
    if (response == NULL || !NEW_ITEMS(request, response->topics, wanted))
        return OUTCOME_CLOSE;
    int32_t left = asked->response_partition_limit < 1 ? 1 : asked->response_partition_limit;
    int32_t count = 0;
    for (int32_t i = 0; i < wanted; i++) {
        struct rj_string name = asked->topics.count > 0 ? asked->topics.items[i].name : cluster->topics[i]->name_view;
        bool is_at_cursor = asked->cursor != NULL && rj_string_equal(asked->cursor->topic_name, name);
        int32_t first = is_at_cursor ? asked->cursor->partition_index : 0;
        const struct topic *topic = mock_find_topic(cluster, name);
        bool may = mock_may_topic(request, name, RJ_OPERATION_DESCRIBE);
        if (!may && asked->topics.count == 0)
            continue;
        struct rj_describe_topic_partitions_response_topic *out = &response->topics.items[count++];
        if (topic == NULL || !may) {
            out->name = name;
            out->error_code = may ? RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
            out->topic_authorized_operations = may ? topic_operations(request, name) : INT32_MIN;
            continue;
        }
        if (!describe_partitions(request, topic, first < 0 ? 0 : first, left, out))
            return OUTCOME_CLOSE;
        left -= out->partitions.count;
        if (left == 0 && (first + out->partitions.count < topic->partition_count || i + 1 < wanted)) {
            bool is_cut = first + out->partitions.count < topic->partition_count;
            response->next_cursor = mock_arena_array(request, 1, sizeof(*response->next_cursor));
            if (response->next_cursor == NULL)
                return OUTCOME_CLOSE;
            struct rj_string next = asked->topics.count > 0 ? asked->topics.items[i + !is_cut].name
                                                            : cluster->topics[i + !is_cut]->name_view;
            response->next_cursor->topic_name = next;
            response->next_cursor->partition_index = is_cut ? first + out->partitions.count : 0;
            break;
        }
    }
    response->topics.count = count;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* ---- DescribeCluster --------------------------------------------------------------------------------------------- */

enum outcome mock_handle_describe_cluster(struct request *request)
{
    const struct rj_describe_cluster_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_describe_cluster_response *response = mock_new_response(request);
    if (response == NULL)
        return OUTCOME_CLOSE;
    response->cluster_id = (struct rj_string){cluster->cluster_id, 22};
    response->controller_id = 0;
    response->endpoint_type = asked->endpoint_type;
    if (asked->endpoint_type != 1) { /* 1: brokers; a broker does not tell of controllers */
        response->error_code = RJ_KAFKA_MISMATCHED_ENDPOINT_TYPE;
        response->error_message = RJ_STRING("The request was sent to an endpoint of the wrong type.");
        return mock_answer_request(request, response, RJ_RULE_NONE);
    }
    if (asked->include_cluster_authorized_operations)
        response->cluster_authorized_operations = cluster_operations(request);
    if (!NEW_ITEMS(request, response->brokers, cluster->options.broker_count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < response->brokers.count; i++)
        response->brokers.items[i] = (struct rj_describe_cluster_response_describe_cluster_broker){
            .broker_id = i, .host = mock_advertised_host(cluster), .port = cluster->brokers[i].port};
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
