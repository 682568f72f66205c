/* Metadata and the coordinator: asked for when they are wanted, again after a back-off when that failed. */
#include "consumer/state.h"

#include <string.h>

const struct known_topic *rj_metadata_topic(const struct rj_consumer *c, struct rj_string name)
{
    for (int32_t i = 0; i < c->metadata.topic_count; i++)
        if (rj_string_equal(c->metadata.topics[i].name, name))
            return &c->metadata.topics[i];
    return NULL;
}

const struct known_partition *rj_metadata_partition(const struct rj_consumer *c, struct rj_string topic, int32_t number)
{
    const struct known_topic *known = rj_metadata_topic(c, topic);
    return known != NULL && number >= 0 && number < known->partition_count ? &known->partitions[number] : NULL;
}

void rj_discovery_forget_coordinator(struct rj_consumer *c)
{
    int32_t node_id = c->coordinator_node;
    c->coordinator_node = NO_NODE;
    struct connection *connection = rj_connection_for(c, RJ_CONNECTION_COORDINATOR, node_id);
    if (node_id != NO_NODE && connection != NULL)
        rj_connection_close(c, connection->id);
}

void rj_discovery_failed(struct rj_consumer *c, int16_t api_key)
{
    if (api_key == RJ_API_METADATA) {
        c->metadata_failures++;
        c->metadata_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->metadata_failures);
        c->metadata_wanted = true;
    } else {
        c->coordinator_failures++;
        c->coordinator_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->coordinator_failures);
    }
}

static bool contains(const struct rj_metadata_request_topic *items, int32_t count, struct rj_string name)
{
    for (int32_t i = 0; i < count; i++)
        if (rj_string_equal(items[i].name, name))
            return true;
    return false;
}

static void ask_metadata(struct rj_consumer *c)
{
    struct connection *connection = rj_connection_for_discovery(c);
    if (connection == NULL)
        return;
    int16_t version = rj_connection_version(c, connection, RJ_API_METADATA);
    struct rj_metadata_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    int32_t most = c->topics.count + c->group.topics.count, count = 0;
    struct rj_metadata_request_topic *topics = rj_consumer_step_alloc(c, most, sizeof *topics);
    if (request == NULL || topics == NULL)
        return;
    rj_message_init(&rj_metadata_request_schema, request);
    const struct rj_string_array *lists[] = {&c->topics, &c->group.topics};
    for (int l = 0; l < 2; l++)
        for (int32_t i = 0; i < lists[l]->count; i++) {
            if (contains(topics, count, lists[l]->items[i]))
                continue;
            topics[count++].name = rj_consumer_step_string(c, lists[l]->items[i]);
        }
    request->topics.items = topics;
    request->topics.count = count;
    if (version >= 4)
        request->allow_auto_topic_creation = c->config.allow_auto_create_topics;
    if (rj_consumer_send(c, connection, RJ_API_METADATA, version, request) != NULL)
        c->metadata_wanted = false;
}

static void ask_coordinator(struct rj_consumer *c)
{
    struct connection *connection = rj_connection_for_discovery(c);
    if (connection == NULL)
        return;
    int16_t version = rj_connection_version(c, connection, RJ_API_FIND_COORDINATOR);
    struct rj_find_coordinator_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (request == NULL)
        return;
    rj_message_init(&rj_find_coordinator_request_schema, request);
    if (version >= 4) {
        request->coordinator_keys.items = rj_consumer_step_alloc(c, 1, sizeof(struct rj_string));
        if (request->coordinator_keys.items == NULL)
            return;
        request->coordinator_keys.items[0] = c->config.group_id;
        request->coordinator_keys.count = 1;
    } else {
        request->key = c->config.group_id;
    }
    rj_consumer_send(c, connection, RJ_API_FIND_COORDINATOR, version, request);
}

void rj_discovery_drive(struct rj_consumer *c)
{
    bool wants_topics = c->topics.count + c->group.topics.count > 0;
    int64_t stale_at_ms = c->metadata.is_known ? c->metadata_at_ms + c->config.metadata_max_age_ms : c->now_ms;
    if (wants_topics && !c->is_closing && !rj_consumer_is_out(c, RJ_API_METADATA)) {
        int64_t due_ms = c->metadata_wanted ? c->now_ms : stale_at_ms;
        if (due_ms < c->metadata_retry_at_ms)
            due_ms = c->metadata_retry_at_ms;
        if (due_ms <= c->now_ms)
            ask_metadata(c);
        else
            rj_consumer_wake(c, due_ms);
    }
    if (c->coordinator_node == NO_NODE && !rj_consumer_is_out(c, RJ_API_FIND_COORDINATOR)) {
        if (c->coordinator_retry_at_ms <= c->now_ms)
            ask_coordinator(c);
        else
            rj_consumer_wake(c, c->coordinator_retry_at_ms);
    }
}

static struct rj_string rack_of(const struct metadata *metadata, int32_t node_id)
{
    for (int32_t i = 0; i < metadata->node_count; i++)
        if (metadata->nodes[i].node_id == node_id)
            return metadata->nodes[i].rack;
    return RJ_NULL_STRING;
}

static bool copy_partition(struct metadata *to, const struct rj_metadata_response_partition *from,
                           struct known_partition *partition)
{
    partition->leader = from->leader_id;
    partition->leader_epoch = from->leader_epoch;
    int32_t replicas = from->replica_nodes.count > 0 ? from->replica_nodes.count : 0;
    partition->racks.items = rj_arena_alloc(&to->arena, (size_t)replicas * sizeof(struct rj_string));
    if (partition->racks.items == NULL)
        return false;
    partition->racks.count = replicas;
    for (int32_t i = 0; i < replicas; i++)
        partition->racks.items[i] = rack_of(to, from->replica_nodes.items[i]);
    return true;
}

static bool copy_topic(struct metadata *to, const struct rj_metadata_response_topic *from, struct known_topic *topic)
{
    bool ok = true;
    topic->name = rj_arena_copy_string(&to->arena, from->name, &ok);
    topic->error_code = from->error_code;
    topic->partition_count = from->partitions.count > 0 ? from->partitions.count : 0;
    topic->partitions = rj_arena_alloc(&to->arena, (size_t)topic->partition_count * sizeof *topic->partitions);
    if (!ok || topic->partitions == NULL)
        return false;
    for (int32_t p = 0; p < topic->partition_count; p++)
        topic->partitions[p] = (struct known_partition){NO_NODE, -1, {NULL, 0}};
    for (int32_t i = 0; i < topic->partition_count; i++) {
        int32_t number = from->partitions.items[i].partition_index;
        if (number >= 0 && number < topic->partition_count &&
            !copy_partition(to, &from->partitions.items[i], &topic->partitions[number]))
            return false;
    }
    return true;
}

static bool copy_metadata(struct metadata *to, const struct rj_metadata_response *from)
{
    bool ok = true;
    to->nodes = rj_arena_alloc(&to->arena, (size_t)(from->brokers.count + 1) * sizeof *to->nodes);
    to->topics = rj_arena_alloc(&to->arena, (size_t)(from->topics.count + 1) * sizeof *to->topics);
    if (to->nodes == NULL || to->topics == NULL)
        return false;
    for (int32_t i = 0; i < from->brokers.count; i++)
        to->nodes[to->node_count++] = (struct node){
            .node_id = from->brokers.items[i].node_id,
            .port = from->brokers.items[i].port,
            .host = rj_arena_copy_string(&to->arena, from->brokers.items[i].host, &ok),
            .rack = rj_arena_copy_string(&to->arena, from->brokers.items[i].rack, &ok),
        };
    for (int32_t i = 0; i < from->topics.count && ok; i++)
        ok = copy_topic(to, &from->topics.items[i], &to->topics[to->topic_count++]);
    return ok;
}

/* Errors of single topics: some pass, some the application must hear about. */
static void judge_topics(struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->metadata.topic_count; i++) {
        int16_t error = c->metadata.topics[i].error_code;
        if (error == RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED || error == RJ_KAFKA_INVALID_TOPIC_EXCEPTION)
            rj_consumer_report(c, RJ_API_METADATA, error, RJ_RULE_CL_LEADER_METADATA, "a subscribed topic is refused");
        bool passes = error != 0 || c->metadata.topics[i].partition_count == 0;
        for (int32_t p = 0; p < c->metadata.topics[i].partition_count; p++)
            passes = passes || c->metadata.topics[i].partitions[p].leader == NO_NODE;
        if (passes)
            c->metadata_wanted = true; /* not there yet, or without a leader: ask again, slower and slower */
    }
}

void rj_discovery_take_metadata(struct rj_consumer *c, const struct rj_metadata_response *response)
{
    struct metadata fresh = {.is_known = true};
    rj_arena_init(&fresh.arena, &c->allocator, SIZE_MAX);
    if (!copy_metadata(&fresh, response)) {
        rj_arena_release(&fresh.arena);
        c->out_of_memory = true;
        return;
    }
    for (int32_t i = 0; i < fresh.node_count; i++)
        for (int32_t k = 0; k < c->metadata.node_count; k++)
            if (fresh.nodes[i].node_id == c->metadata.nodes[k].node_id) {
                fresh.nodes[i].failures = c->metadata.nodes[k].failures;
                fresh.nodes[i].retry_at_ms = c->metadata.nodes[k].retry_at_ms;
            }
    rj_arena_release(&c->metadata.arena);
    c->metadata = fresh;
    c->metadata_at_ms = c->now_ms;
    judge_topics(c);
    if (c->metadata_wanted) {
        c->metadata_failures++;
        c->metadata_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->metadata_failures);
    } else {
        c->metadata_failures = 0;
        c->metadata_retry_at_ms = c->now_ms + c->config.retry_backoff_ms;
    }
    /* cl-leader-metadata, cl-metadata-during-rebalance: what was assigned is no longer what there is. */
    if (c->group.is_leader && c->group.has_signature && rj_rebalance_signature(c) != c->group.signature) {
        c->group.has_signature = false;
        rj_membership_want_rejoin(c, "the partitions of the group's topics changed");
    }
}

void rj_discovery_take_coordinator(struct rj_consumer *c, const struct rj_find_coordinator_response *response,
                                   int16_t version)
{
    int16_t error = response->error_code;
    int32_t node_id = response->node_id, port = response->port;
    struct rj_string host = response->host;
    if (version >= 4) {
        if (response->coordinators.count < 1) {
            rj_discovery_failed(c, RJ_API_FIND_COORDINATOR);
            return;
        }
        const struct rj_find_coordinator_response_coordinator *found = &response->coordinators.items[0];
        error = found->error_code;
        node_id = found->node_id;
        port = found->port;
        host = found->host;
    }
    struct verdict verdict = rj_consumer_judge(RJ_API_FIND_COORDINATOR, error);
    if (verdict.reaction == REACTION_FATAL) {
        rj_consumer_fail(c, RJ_API_FIND_COORDINATOR, error, verdict.rule, "the group's coordinator is refused");
    } else if (verdict.reaction != REACTION_DONE) {
        /* "on another broker": the next question goes over another connection */
        struct connection *connection = rj_connection_for(c, RJ_CONNECTION_BOOTSTRAP, NO_NODE);
        if (c->metadata.node_count > 1 && connection != NULL && !rj_consumer_is_out(c, RJ_API_METADATA))
            rj_connection_close(c, connection->id);
        rj_discovery_failed(c, RJ_API_FIND_COORDINATOR);
    } else if (rj_consumer_set_string(c, &c->coordinator_host, host)) {
        c->coordinator_node = node_id;
        c->coordinator_port = port;
        c->heartbeat_ok_ms = c->now_ms;
    }
}
