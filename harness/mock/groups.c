/* The coordinators: which one a request goes to, what becomes of what a step says, where its records are kept. */
#include "mock/commit_tail.h"
#include "mock/storage/storage.h"

#include <stdlib.h>
#include <string.h>

static void run_step(struct mock_cluster *cluster, int32_t partition, struct rj_event *event);

/* ---- Records of __consumer_offsets ------------------------------------------------------------------------------- */

static const struct rj_message_schema *record_schema(enum rj_message_kind kind, int16_t record_type)
{
    if (record_type == 1) /* all but a few */
        return kind == RJ_MESSAGE_KEY ? &rj_offset_commit_key_schema : &rj_offset_commit_value_schema;
    /* Those that every commit and every rebalance write are found at once. */
    static const struct rj_message_schema *const frequent[][2] = {
        [1] = {&rj_offset_commit_key_schema, &rj_offset_commit_value_schema},
        [2] = {&rj_group_metadata_key_schema, &rj_group_metadata_value_schema},
    };
    if (record_type == 1 || record_type == 2)
        return frequent[record_type][kind == RJ_MESSAGE_VALUE];
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (rj_all_schemas[i]->kind == kind && rj_all_schemas[i]->api_key == record_type)
            return rj_all_schemas[i];
    return NULL;
}

/* Key or value: its type or version as int16, then the message. Most fit into a small piece at the first attempt. */
static bool encode_part(struct mock_cluster *cluster, enum rj_message_kind kind, const struct rj_offsets_record *record,
                        struct rj_bytes *out)
{
    enum { PREFIX_LEN = 2, USUAL_LEN = 192 };
    bool is_key = kind == RJ_MESSAGE_KEY;
    const void *message = is_key ? record->key : record->value;
    *out = RJ_NULL_BYTES;
    if (message == NULL)
        return true;
    const struct rj_message_schema *schema = record_schema(kind, record->record_type);
    int16_t prefix = is_key ? record->record_type : record->value_version;
    int16_t version = is_key ? schema->versions.low : record->value_version;
    size_t len = USUAL_LEN;
    uint8_t *bytes = rj_arena_alloc(&cluster->arena, PREFIX_LEN + len);
    enum rj_err err = bytes == NULL ? RJ_ERR_MEMORY
                                    : rj_encode(schema, version, message, bytes + PREFIX_LEN, len, &len, NULL);
    if (err == RJ_ERR_SPACE) {
        if (rj_encoded_len(schema, version, message, &len, NULL) != RJ_OK)
            return false;
        bytes = rj_arena_alloc(&cluster->arena, PREFIX_LEN + len);
        err = bytes == NULL ? RJ_ERR_MEMORY
                            : rj_encode(schema, version, message, bytes + PREFIX_LEN, len, &len, NULL);
    }
    if (err != RJ_OK)
        return false;
    bytes[0] = (uint8_t)(prefix >> 8);
    bytes[1] = (uint8_t)prefix;
    *out = (struct rj_bytes){bytes, (int32_t)(len + PREFIX_LEN)};
    return true;
}

/* Made before the first step of a coordinator: a new topic is an event, which must not come while an update is read. */
static bool make_offsets_topic(struct mock_cluster *cluster)
{
    if (cluster->offsets_topic != NULL)
        return true;
    struct rj_string name = RJ_STRING("__consumer_offsets");
    struct topic *topic = mock_find_topic(cluster, name); /* from the data directory */
    if ((topic == NULL && mock_add_topic(cluster, name, OFFSETS_PARTITION_COUNT, true) != RJ_KAFKA_NONE) ||
        (topic != NULL && topic->partition_count != OFFSETS_PARTITION_COUNT))
        return false;
    cluster->offsets_topic = mock_find_topic(cluster, name);
    for (int i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        cluster->coordinators[i].log = mock_find_log(cluster->offsets_topic, i);
        cluster->coordinators[i].compact_at_len = cluster->options.offsets_segment_len;
    }
    return true;
}

static bool add_record(struct mock_cluster *cluster, struct rj_batch_writer *writer, const struct rj_append *append,
                       int32_t i, int32_t offset)
{
    struct rj_record record = {.offset = offset, .timestamp_ms = append->timestamp_ms};
    if (!encode_part(cluster, RJ_MESSAGE_KEY, &append->records[i], &record.key) ||
        !encode_part(cluster, RJ_MESSAGE_VALUE, &append->records[i], &record.value))
        return false;
    rj_batch_add(writer, &record, NULL, 0);
    return true;
}

int16_t mock_encode_append(struct mock_cluster *cluster, const struct rj_append *append, const int32_t *deltas,
                           struct rj_bytes *batch)
{
    const struct rj_record_batch transactional = {
        .magic = 2, .attributes = RJ_BATCH_TRANSACTIONAL, .producer_id = append->producer_id,
        .producer_epoch = append->producer_epoch, .base_sequence = -1};
    size_t room = cluster->scratch.capacity, len = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct rj_batch_writer writer;
        rj_batch_begin(&writer, 2, 0, cluster->scratch.data, room);
        for (int32_t i = 0; i < append->record_count; i++)
            if (!add_record(cluster, &writer, append, i, deltas ? deltas[i] - deltas[0] : i))
                return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
        enum rj_err err = rj_batch_finish(&writer, append->producer_id >= 0 ? &transactional : NULL, &len, NULL);
        if (err == RJ_OK)
            break;
        cluster->scratch.len = 0;
        if (err != RJ_ERR_SPACE || attempt == 1 || !mock_buffer_reserve(&cluster->scratch, len))
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
        room = cluster->scratch.capacity;
    }
    *batch = (struct rj_bytes){cluster->scratch.data, (int32_t)len};
    return RJ_KAFKA_NONE;
}

static void compact_if_long(struct mock_cluster *cluster, struct coordinator *coordinator)
{
    if (coordinator->log->bytes_len < coordinator->compact_at_len)
        return;
    mock_compact(cluster, coordinator->log);
    size_t twice = coordinator->log->bytes_len * 2, least = cluster->options.offsets_segment_len;
    coordinator->compact_at_len = twice > least ? twice : least;
}

static void tell_result(struct mock_cluster *cluster, int32_t partition, uint64_t append_id, int16_t error_code)
{
    struct rj_event event = {.type = RJ_EVENT_APPEND_RESULT};
    event.as.append_result.append_id = append_id;
    event.as.append_result.error_code = error_code;
    run_step(cluster, partition, &event);
}

/* The disk has it, or will not: storage_done. */
static void end_append(struct mock_cluster *cluster, void *context, uint64_t append_id, int16_t error_code,
                       int64_t base_offset)
{
    struct coordinator *coordinator = context;
    (void)base_offset;
    tell_result(cluster, (int32_t)(coordinator - cluster->coordinators), append_id, error_code);
    compact_if_long(cluster, coordinator);
}

/* One batch of Kafka's own records at the end of the partition. true: *error_code is how the append ended; false: it
 * is on its way to the disk, and end_append will be told. */
static bool store_append(struct mock_cluster *cluster, int32_t partition, const struct rj_append *append,
                         int16_t *error_code)
{
    struct coordinator *coordinator = &cluster->coordinators[partition];
    struct rj_bytes batch = RJ_EMPTY_BYTES;
    bool is_empty = append->record_count == 0;
    *error_code = RJ_KAFKA_NONE;
    if (cluster->fail_append_count > 0) {
        cluster->fail_append_count--;
        *error_code = cluster->fail_append_error;
    } else if (!is_empty) {
        *error_code = mock_encode_append(cluster, append, NULL, &batch);
    }
    if (cluster->storage != NULL && !is_empty) {
        mock_storage_append(cluster, coordinator->log, batch, *error_code, end_append, coordinator, append->append_id);
        return false;
    }
    if (*error_code == RJ_KAFKA_NONE && !is_empty) {
        *error_code = mock_append_bytes(cluster, coordinator->log, batch);
        compact_if_long(cluster, coordinator);
    }
    return true;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void *coordinator_alloc(void *context, size_t size)
{
    struct mock_cluster *cluster = context;
    if (size > cluster->options.limits.coordinators_len - cluster->coordinators_len)
        return NULL;
    void *memory = slab_alloc(&cluster->coordinator_slab, size);
    if (memory != NULL)
        cluster->coordinators_len += size;
    return memory;
}

static void coordinator_free(void *context, void *memory, size_t size)
{
    struct mock_cluster *cluster = context;
    if (memory != NULL)
        cluster->coordinators_len -= size;
    slab_free(&cluster->coordinator_slab, memory, size);
}

static struct coordinator *open_coordinator(struct mock_cluster *cluster, int32_t partition)
{
    struct coordinator *coordinator = &cluster->coordinators[partition];
    if (coordinator->coord == NULL) {
        if (!make_offsets_topic(cluster))
            return NULL;
        const struct rj_limits *limits = &cluster->options.limits.coordinator;
        cluster->coordinator_allocator = (struct rj_allocator){coordinator_alloc, coordinator_free, cluster};
        if (cluster->coordinators_output == NULL &&
            rj_shared_output_create(&cluster->coordinators_output, &cluster->coordinator_allocator, limits->bytes) !=
                RJ_OK)
            return NULL;
        if (rj_coord_create_sharing(&coordinator->coord, &cluster->coordinator_allocator, limits, &cluster->config,
                                    cluster->coordinators_output) != RJ_OK) {
            coordinator->coord = NULL;
            return NULL;
        }
        struct rj_event event = {.type = RJ_EVENT_TOPIC_METADATA};
        event.as.topic_metadata.topics = &cluster->table;
        run_step(cluster, partition, &event);
    }
    return coordinator;
}

static void deliver_reply(struct mock_cluster *cluster, const struct rj_reply *reply)
{
    if (reply->connection_id == 0) {
        if (cluster->collect != NULL)
            cluster->collect(cluster->collect_context, reply);
        return;
    }
    struct connection *connection = cluster->stepping;
    if (connection == NULL || connection->id != reply->connection_id)
        connection = mock_find_connection(cluster, reply->connection_id);
    if (connection != NULL && connection->parked == PARKED_COORDINATOR &&
        connection->request.correlation_id == reply->correlation_id)
        mock_answer_connection(connection, reply->body, reply->rule);
}

static void tell_changes(struct mock_cluster *cluster, int32_t partition, const struct rj_update *update)
{
    for (int32_t i = 0; i < update->change_count; i++)
        for (struct mock_observer *observer = cluster->observers; observer != NULL; observer = observer->next)
            if (observer->group != NULL)
                observer->group(observer->context, mock_now_us(cluster), cluster->coordinators[partition].broker_id,
                                &update->changes[i]);
}

/* What an update points to goes with the next step of any coordinator, and an append's result is a step: so the replies
 * first, then all records are stored, then the results are told one by one (with a data directory: when the disk has
 * them). */
static void apply_update(struct mock_cluster *cluster, int32_t partition, const struct rj_update *update)
{
    for (int32_t i = 0; i < update->reply_count; i++)
        deliver_reply(cluster, &update->replies[i]);
    tell_changes(cluster, partition, update);
    enum { KEPT_SCRATCH_LEN = 64 * 1024 };
    int32_t count = 0;
    struct { uint64_t append_id; int16_t error_code; } few[8], *results = few;
    if (update->append_count > 8)
        results = rejoin_alloc_zeroed((size_t)update->append_count, sizeof(*results));
    for (int32_t i = 0; i < update->append_count; i++) {
        if (update->appends[i].append_id == 0) {
            mock_tail_add(cluster->coordinators[partition].log, &update->appends[i]);
            compact_if_long(cluster, &cluster->coordinators[partition]);
            continue;
        }
        results[count].append_id = update->appends[i].append_id;
        count += store_append(cluster, partition, &update->appends[i], &results[count].error_code);
    }
    if (cluster->scratch.capacity > KEPT_SCRATCH_LEN) /* the record of a large group */
        mock_buffer_free(&cluster->scratch);
    for (int32_t i = 0; i < count; i++)
        tell_result(cluster, partition, results[i].append_id, results[i].error_code);
    if (results != few)
        free(results);
}

static void run_step(struct mock_cluster *cluster, int32_t partition, struct rj_event *event)
{
    struct coordinator *coordinator = &cluster->coordinators[partition];
    struct rj_update update = {0};
    event->now_ms = mock_now_ms(cluster);
    if (rj_step(coordinator->coord, event, &update) == RJ_OK)
        apply_update(cluster, partition, &update);
    coordinator->deadline_ms = rj_next_deadline_ms(coordinator->coord);
    mock_wake_at(cluster, coordinator->deadline_ms);
}

/* ---- JoinGroup: what the members subscribe to -------------------------------------------------------------------- */

static struct rj_consumer_protocol_subscription *decode_subscription(struct mock_cluster *cluster,
                                                                     struct rj_bytes metadata)
{
    const struct rj_message_schema *schema = &rj_consumer_protocol_subscription_schema;
    if (metadata.len < 2)
        return NULL;
    int16_t version = (int16_t)(metadata.data[0] << 8 | metadata.data[1]);
    if (version < 0)
        return NULL;
    if (version > schema->versions.high)
        version = schema->versions.high; /* Kafka reads newer ones as the newest that it knows */
    struct rj_consumer_protocol_subscription *subscription = rj_arena_alloc(&cluster->arena, sizeof(*subscription));
    size_t consumed_len;
    struct rj_bytes body = {metadata.data + 2, metadata.len - 2};
    if (subscription == NULL || rj_decode_prefix(schema, version, body, &cluster->arena, subscription, &consumed_len,
                                                 NULL) != RJ_OK)
        return NULL;
    return subscription;
}

/* NULL: not of type "consumer", or no memory. */
static struct rj_subscription_views *join_subscriptions(struct request *request)
{
    const struct rj_join_group_request *join = request->body;
    if (request->api_key != 11 || !rj_string_equal(join->protocol_type, RJ_STRING("consumer")))
        return NULL;
    struct rj_subscription_views *views = mock_arena_array(request, 1, sizeof(*views));
    struct rj_consumer_protocol_subscription **items =
        mock_arena_array(request, (size_t)join->protocols.count, sizeof(*items));
    if (views == NULL || items == NULL)
        return NULL;
    for (int32_t i = 0; i < join->protocols.count; i++)
        items[i] = decode_subscription(request->cluster, join->protocols.items[i].metadata);
    views->items = (const struct rj_consumer_protocol_subscription *const *)items;
    views->count = join->protocols.count;
    return views;
}

/* ---- Requests for one group -------------------------------------------------------------------------------------- */

static void fill_event(struct request *request, const void *body, uint64_t connection_id, struct rj_event *event)
{
    struct connection *connection = request->connection;
    *event = (struct rj_event){.type = RJ_EVENT_REQUEST};
    event->as.request.connection_id = connection_id;
    event->as.request.correlation_id = request->correlation_id;
    event->as.request.api_key = request->api_key;
    event->as.request.version = request->version;
    event->as.request.client_id = request->client_id;
    event->as.request.client_host = connection ? connection->client_host : RJ_STRING("/127.0.0.1");
    event->as.request.body = body;
    event->as.request.rights = mock_rights_of(request);
    if (request->api_key == 11) {
        event->entropy = mock_random_uuid(request->cluster);
        event->as.request.subscriptions = join_subscriptions(request);
    }
}

/* Takes the answer of a step to the arena, where the next step cannot take it away. */
struct collected { struct request *request; void *body; enum rj_rule rule; };

static void collect_reply(void *context, const struct rj_reply *reply)
{
    struct collected *collected = context;
    const struct rj_message_schema *schema = rj_response_schema(reply->api_key);
    struct rj_arena *arena = &collected->request->cluster->arena;
    void *copy = rj_arena_alloc(arena, schema->root->size);
    if (copy != NULL && rj_copy_message(schema, reply->body, arena, copy) == RJ_OK)
        collected->body = copy;
    collected->rule = reply->rule;
}

/* What a principal must be allowed to do with a group before anything else is looked at. */
static enum rj_operation operation_on_group(int16_t api_key)
{
    switch (api_key) {
    case 9: case 15: return RJ_OPERATION_DESCRIBE;
    case 42: case 47: return RJ_OPERATION_DELETE;
    default: return RJ_OPERATION_READ;
    }
}

static bool may_group(const struct request *request, struct rj_string group_id)
{
    return mock_may(request, RJ_RESOURCE_GROUP, group_id, operation_on_group(request->api_key));
}

static bool is_coordinator(const struct request *request, int32_t partition)
{
    return request->broker_id < 0 || request->cluster->coordinators[partition].broker_id == request->broker_id;
}

/* Asks the coordinator of that partition as connection 0. NULL: no memory, or it parked. */
static const void *ask_coordinator(struct request *request, int32_t partition, const void *body, enum rj_rule *rule)
{
    struct mock_cluster *cluster = request->cluster;
    if (open_coordinator(cluster, partition) == NULL)
        return NULL;
    struct collected collected = {.request = request};
    struct rj_event event;
    fill_event(request, body, 0, &event);
    cluster->collect = collect_reply;
    cluster->collect_context = &collected;
    run_step(cluster, partition, &event);
    if (collected.body == NULL && cluster->storage != NULL)
        mock_storage_sync(cluster); /* its records first */
    cluster->collect = NULL;
    if (collected.rule != RJ_RULE_NONE && *rule == RJ_RULE_NONE)
        *rule = collected.rule;
    return collected.body;
}

static enum outcome refuse(struct request *request, int16_t error_code, enum rj_rule rule)
{
    const void *body = mock_error_response(request, error_code);
    return body ? mock_answer_request(request, body, rule) : OUTCOME_CLOSE;
}

/* The rule by which a broker that is not the group's coordinator refuses. */
static enum rj_rule wrong_broker_rule(int16_t api_key)
{
    switch (api_key) {
    case 8:
    case 28: return RJ_RULE_OC_WRONG_BROKER;
    case 9: return RJ_RULE_OF_WRONG_BROKER;
    case 11: return RJ_RULE_JOIN_WRONG_BROKER;
    case 12: return RJ_RULE_HB_WRONG_BROKER;
    case 13: return RJ_RULE_LEAVE_WRONG_BROKER;
    case 14: return RJ_RULE_SYNC_WRONG_BROKER;
    case 15: return RJ_RULE_DG_WRONG_BROKER;
    case 42: return RJ_RULE_DEL_WRONG_BROKER;
    case 47: return RJ_RULE_OD_WRONG_BROKER;
    default: return RJ_RULE_NONE;
    }
}

/* What the coordinator of that group answers, or NOT_COORDINATOR where it is another broker. NULL: no memory. */
static const void *ask_part(struct request *request, struct rj_string group_id, const void *body, enum rj_rule *rule)
{
    int32_t partition = rj_coordinator_partition(group_id, OFFSETS_PARTITION_COUNT);
    struct request part = *request;
    part.body = body;
    if (is_coordinator(request, partition) || !may_group(request, group_id)) /* which any broker refuses */
        return ask_coordinator(&part, partition, body, rule);
    if (*rule == RJ_RULE_NONE)
        *rule = wrong_broker_rule(request->api_key);
    return mock_error_response(&part, RJ_KAFKA_NOT_COORDINATOR);
}

/* A commit's records need no answer of the log where there is room for them in its tail. */
static bool vouch_for_commit(struct request *request, int32_t partition)
{
    struct mock_cluster *cluster = request->cluster;
    const struct rj_offset_commit_request *commit = request->body;
    return request->api_key == 8 && cluster->storage == NULL && cluster->fail_append_count == 0 &&
           commit->retention_time_ms == -1 &&
           mock_tail_reserve(cluster, cluster->coordinators[partition].log,
                             mock_tail_len(commit, (size_t)request->frame.len));
}

static enum outcome ask_one(struct request *request, struct rj_string group_id)
{
    struct mock_cluster *cluster = request->cluster;
    struct connection *connection = request->connection;
    int32_t partition = rj_coordinator_partition(group_id, OFFSETS_PARTITION_COUNT);
    /* Kafka looks at these ids before it looks for the coordinator, so any broker refuses an empty one with 24, and at
     * rights before that. */
    bool is_judged_anywhere = (group_id.len == 0 && request->api_key >= 11 && request->api_key <= 14) ||
                              !may_group(request, group_id);
    if (!is_judged_anywhere && !is_coordinator(request, partition))
        return refuse(request, RJ_KAFKA_NOT_COORDINATOR, wrong_broker_rule(request->api_key));
    if (open_coordinator(cluster, partition) == NULL)
        return refuse(request, RJ_KAFKA_COORDINATOR_NOT_AVAILABLE, RJ_RULE_LIMIT_MEMORY);
    if (connection == NULL) {
        enum rj_rule rule = RJ_RULE_NONE;
        const void *body = ask_coordinator(request, partition, request->body, &rule);
        return body ? mock_answer_request(request, body, rule) : OUTCOME_PARKED;
    }
    struct rj_event event;
    fill_event(request, request->body, connection->id, &event);
    event.is_assured = vouch_for_commit(request, partition);
    connection->parked = PARKED_COORDINATOR;
    connection->parked_partition = partition;
    cluster->stepping = connection;
    run_step(cluster, partition, &event);
    cluster->stepping = NULL;
    return connection->parked == PARKED_COORDINATOR ? OUTCOME_PARKED : OUTCOME_ANSWERED;
}

/* The broker asks the transaction coordinator first, and takes the partition of __consumer_offsets into the transaction
 * where the version says so. */
static enum outcome commit_in_transaction(struct request *request)
{
    const struct rj_txn_offset_commit_request *asked = request->body;
    int32_t partition = rj_coordinator_partition(asked->group_id, OFFSETS_PARTITION_COUNT);
    struct coordinator *coordinator = open_coordinator(request->cluster, partition);
    if (coordinator == NULL)
        return OUTCOME_CLOSE;
    if (mock_storage_is_waiting(coordinator->log))
        mock_storage_sync(request->cluster); /* what waits may be of the same producer */
    if (is_coordinator(request, partition) && coordinator->loads_until_ms == 0) {
        const void *refusal;
        if (!mock_judge_txn_offset_commit(request, partition, coordinator->log, &refusal))
            return OUTCOME_CLOSE;
        if (refusal != NULL)
            return mock_answer_request(request, refusal, RJ_RULE_NONE);
    }
    return ask_one(request, asked->group_id);
}

int16_t mock_end_offsets_transaction(struct mock_cluster *cluster, int32_t partition, const struct marker *marker)
{
    struct coordinator *coordinator = open_coordinator(cluster, partition);
    if (coordinator == NULL)
        return RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    int16_t error = mock_append_marker(cluster, coordinator->log, marker);
    if (error != RJ_KAFKA_NONE || coordinator->loads_until_ms != 0) /* the load will find it */
        return error;
    struct rj_event event = {.type = RJ_EVENT_TRANSACTION_MARKER};
    event.as.transaction_marker.producer_id = marker->producer.producer_id;
    event.as.transaction_marker.producer_epoch = marker->producer.producer_epoch;
    event.as.transaction_marker.commit = marker->commit;
    run_step(cluster, partition, &event);
    return RJ_KAFKA_NONE;
}

/* ---- Requests that span groups ----------------------------------------------------------------------------------- */

static enum outcome describe_groups(struct request *request)
{
    const struct rj_describe_groups_request *asked = request->body;
    struct rj_describe_groups_response *response = mock_new_response(request);
    enum rj_rule rule = RJ_RULE_NONE;
    if (response == NULL || !NEW_ITEMS(request, response->groups, asked->groups.count))
        return OUTCOME_CLOSE;
    int32_t count = 0;
    for (int32_t i = 0; i < 2 * asked->groups.count; i++) { /* those that rights refuse come first: rule dg-auth */
        const struct rj_string *group_id = &asked->groups.items[i % asked->groups.count];
        if (may_group(request, *group_id) != (i >= asked->groups.count))
            continue;
        struct rj_describe_groups_request one = *asked;
        one.groups = (struct rj_string_array){(struct rj_string *)(uintptr_t)group_id, 1};
        const struct rj_describe_groups_response *answer = ask_part(request, *group_id, &one, &rule);
        if (answer == NULL || answer->groups.count != 1)
            return OUTCOME_CLOSE;
        response->groups.items[count++] = answer->groups.items[0];
    }
    return mock_answer_request(request, response, rule);
}

static bool is_among(const struct rj_string_array *names, int32_t before)
{
    for (int32_t i = 0; i < before; i++)
        if (rj_string_equal(names->items[i], names->items[before]))
            return true;
    return false;
}

static enum outcome delete_groups(struct request *request)
{
    const struct rj_delete_groups_request *asked = request->body;
    struct rj_delete_groups_response *response = mock_new_response(request);
    enum rj_rule rule = RJ_RULE_NONE;
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->groups_names.count))
        return OUTCOME_CLOSE;
    int32_t count = 0;
    for (int32_t i = 0; i < 2 * asked->groups_names.count; i++) { /* those that rights refuse come last: del-auth */
        int32_t at = i % asked->groups_names.count;
        struct rj_string group_id = asked->groups_names.items[at];
        if (is_among(&asked->groups_names, at) || may_group(request, group_id) != (i < asked->groups_names.count))
            continue; /* rule del-*: a group that is named twice is answered once */
        struct rj_delete_groups_request one = *asked;
        one.groups_names = (struct rj_string_array){&asked->groups_names.items[at], 1};
        const struct rj_delete_groups_response *answer = ask_part(request, group_id, &one, &rule);
        if (answer == NULL || answer->results.count != 1)
            return OUTCOME_CLOSE;
        response->results.items[count++] = answer->results.items[0];
    }
    response->results.count = count;
    return mock_answer_request(request, response, rule);
}

static enum outcome fetch_offsets(struct request *request)
{
    const struct rj_offset_fetch_request *asked = request->body;
    struct rj_offset_fetch_response *response = mock_new_response(request);
    enum rj_rule rule = RJ_RULE_NONE;
    if (response == NULL || !NEW_ITEMS(request, response->groups, asked->groups.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->groups.count; i++) {
        struct rj_offset_fetch_request one = *asked;
        one.groups.items = &asked->groups.items[i];
        one.groups.count = 1;
        const struct rj_offset_fetch_response *answer = ask_part(request, asked->groups.items[i].group_id, &one, &rule);
        if (answer == NULL || answer->groups.count != 1)
            return OUTCOME_CLOSE;
        response->groups.items[i] = answer->groups.items[0];
    }
    return mock_answer_request(request, response, rule);
}

/* The groups of every coordinator on this broker. */
static enum outcome list_groups(struct request *request)
{
    struct mock_cluster *cluster = request->cluster;
    struct rj_list_groups_response *response = mock_new_response(request);
    const struct rj_list_groups_response *answers[OFFSETS_PARTITION_COUNT];
    enum rj_rule rule = RJ_RULE_NONE;
    int32_t group_count = 0, answer_count = 0;
    if (response == NULL)
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        if (cluster->coordinators[i].coord == NULL || !is_coordinator(request, i))
            continue;
        const struct rj_list_groups_response *answer = ask_coordinator(request, i, request->body, &rule);
        if (answer == NULL)
            return OUTCOME_CLOSE;
        if (answer->error_code != RJ_KAFKA_NONE && response->error_code == RJ_KAFKA_NONE)
            response->error_code = answer->error_code;
        answers[answer_count++] = answer;
        group_count += answer->groups.count;
    }
    bool is_refused = response->error_code != RJ_KAFKA_NONE &&
                      !cluster->config.behaviour.list_groups_partial_while_loading;
    if (is_refused)
        group_count = 0;
    if (!NEW_ITEMS(request, response->groups, group_count))
        return OUTCOME_CLOSE;
    int32_t count = 0;
    for (int32_t i = 0; i < answer_count && !is_refused; i++)
        for (int32_t j = 0; j < answers[i]->groups.count; j++)
            response->groups.items[count++] = answers[i]->groups.items[j];
    return mock_answer_request(request, response, rule);
}

enum outcome mock_handle_group_request(struct request *request)
{
    const void *body = request->body;
    switch (request->api_key) {
    case 8: return ask_one(request, ((const struct rj_offset_commit_request *)body)->group_id);
    case 9: {
        const struct rj_offset_fetch_request *fetch = body;
        if (request->version < 8)
            return ask_one(request, fetch->group_id);
        return fetch->groups.count == 1 ? ask_one(request, fetch->groups.items[0].group_id) : fetch_offsets(request);
    }
    case 11: return ask_one(request, ((const struct rj_join_group_request *)body)->group_id);
    case 12: return ask_one(request, ((const struct rj_heartbeat_request *)body)->group_id);
    case 13: return ask_one(request, ((const struct rj_leave_group_request *)body)->group_id);
    case 14: return ask_one(request, ((const struct rj_sync_group_request *)body)->group_id);
    case 15: return describe_groups(request);
    case 16: return list_groups(request);
    case 28: return commit_in_transaction(request);
    case 42: return delete_groups(request);
    case 47: return ask_one(request, ((const struct rj_offset_delete_request *)body)->group_id);
    default: return OUTCOME_CLOSE;
    }
}

/* ---- FindCoordinator --------------------------------------------------------------------------------------------- */

/* 0: a group; 1: a transactional id; 2 (share groups) has no coordinator here. */
static int16_t key_error(const struct request *request, int8_t key_type, struct rj_string key)
{
    if (key_type == 0 && !mock_may(request, RJ_RESOURCE_GROUP, key, RJ_OPERATION_DESCRIBE))
        return RJ_KAFKA_GROUP_AUTHORIZATION_FAILED;
    if (key_type == 0)
        return mock_group_coordinator(request->cluster, key)->broker_id != MOCK_NO_BROKER
                   ? RJ_KAFKA_NONE
                   : RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (key_type == 1 && !mock_may(request, RJ_RESOURCE_TRANSACTIONAL_ID, key, RJ_OPERATION_DESCRIBE))
        return RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (key_type == 1)
        return RJ_KAFKA_NONE;
    return key_type == 2 && request->version >= 6 ? RJ_KAFKA_COORDINATOR_NOT_AVAILABLE : RJ_KAFKA_INVALID_REQUEST;
}

/* What Kafka says of an error in versions 1 to 3. */
static struct rj_string coordinator_message(int16_t error_code)
{
    switch (error_code) {
    case RJ_KAFKA_GROUP_AUTHORIZATION_FAILED: return RJ_STRING("Group authorization failed.");
    case RJ_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED: return RJ_STRING("Transactional Id authorization failed.");
    case RJ_KAFKA_COORDINATOR_NOT_AVAILABLE: return RJ_STRING("The coordinator is not available.");
    default: {
        const char *name = rj_kafka_error_name(error_code);
        return (struct rj_string){name, (int32_t)strlen(name)};
    }
    }
}

static enum rj_rule coordinator_rule(int8_t key_type, int16_t error_code)
{
    switch (error_code) {
    case RJ_KAFKA_INVALID_REQUEST: return RJ_RULE_FC_SHARE_VERSION;
    case RJ_KAFKA_GROUP_AUTHORIZATION_FAILED: return RJ_RULE_FC_AUTH;
    case RJ_KAFKA_COORDINATOR_NOT_AVAILABLE: return key_type == 0 ? RJ_RULE_FC_NO_TOPIC : RJ_RULE_NONE;
    default: return RJ_RULE_NONE;
    }
}

enum outcome mock_handle_find_coordinator(struct request *request)
{
    const struct rj_find_coordinator_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_find_coordinator_response *response = mock_new_response(request);
    enum rj_rule rule = RJ_RULE_NONE;
    int32_t count = request->version >= 4 ? asked->coordinator_keys.count : 1;
    if (response == NULL || !NEW_ITEMS(request, response->coordinators, count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < count; i++) {
        struct rj_find_coordinator_response_coordinator *out = &response->coordinators.items[i];
        out->key = request->version >= 4 ? asked->coordinator_keys.items[i] : asked->key;
        out->error_code = key_error(request, asked->key_type, out->key);
        out->error_message = RJ_EMPTY_STRING;
        out->host = RJ_EMPTY_STRING;
        out->node_id = out->port = -1;
        if (rule == RJ_RULE_NONE)
            rule = coordinator_rule(asked->key_type, out->error_code);
        if (out->error_code != RJ_KAFKA_NONE)
            continue;
        out->node_id = asked->key_type == 1 ? mock_transaction_coordinator(cluster, out->key)
                                            : mock_group_coordinator(cluster, out->key)->broker_id;
        out->host = mock_advertised_host(cluster);
        out->port = cluster->brokers[out->node_id].port;
    }
    if (request->version < 4) {
        response->error_code = response->coordinators.items[0].error_code;
        response->error_message = coordinator_message(response->error_code);
        response->node_id = response->coordinators.items[0].node_id;
        response->host = response->coordinators.items[0].host;
        response->port = response->coordinators.items[0].port;
        response->coordinators.count = 0;
    }
    return mock_answer_request(request, response, rule);
}

/* ---- Time, topics, the end --------------------------------------------------------------------------------------- */

void mock_coordinators_topics_changed(struct mock_cluster *cluster)
{
    struct rj_topic *old = cluster->owned_table;
    struct rj_topic *items = rejoin_alloc_zeroed((size_t)cluster->topic_count, sizeof(*items));
    for (int32_t i = 0; i < cluster->topic_count; i++)
        items[i] = (struct rj_topic){cluster->topics[i]->name_view, cluster->topics[i]->topic_id,
                                     cluster->topics[i]->partition_count};
    cluster->owned_table = items;
    cluster->table = (struct rj_topic_table){items, cluster->topic_count};
    for (int32_t i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        if (cluster->coordinators[i].coord == NULL)
            continue;
        struct rj_event event = {.type = RJ_EVENT_TOPIC_METADATA};
        event.as.topic_metadata.topics = &cluster->table;
        run_step(cluster, i, &event);
    }
    free(old);
}

void mock_coordinators_disconnect(struct mock_cluster *cluster, struct connection *connection)
{
    struct rj_event event = {.type = RJ_EVENT_DISCONNECT};
    event.as.disconnect.connection_id = connection->id;
    run_step(cluster, connection->parked_partition, &event);
}

void mock_free_coordinators(struct mock_cluster *cluster)
{
    for (int32_t i = 0; i < OFFSETS_PARTITION_COUNT; i++)
        if (cluster->coordinators[i].coord != NULL)
            rj_coord_destroy(cluster->coordinators[i].coord);
    rj_shared_output_destroy(cluster->coordinators_output);
    slab_release(&cluster->coordinator_slab);
    free(cluster->owned_table);
}

/* ---- Moving ------------------------------------------------------------------------------------------------------ */

static const void *decode_part(struct mock_cluster *cluster, enum rj_message_kind kind, int16_t record_type,
                               struct rj_bytes bytes, int16_t *prefix)
{
    if (bytes.len < 2)
        return NULL;
    *prefix = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    if (kind == RJ_MESSAGE_KEY)
        record_type = *prefix;
    const struct rj_message_schema *schema = record_schema(kind, record_type);
    void *message = schema ? rj_arena_alloc(&cluster->arena, schema->root->size) : NULL;
    int16_t version = schema == NULL ? 0 : kind == RJ_MESSAGE_KEY ? schema->versions.low : *prefix;
    struct rj_bytes body = {bytes.data + 2, bytes.len - 2};
    if (message == NULL || rj_decode(schema, version, body, &cluster->arena, message, NULL) != RJ_OK)
        return NULL;
    return message;
}

/* The members' subscriptions inside a GroupMetadataValue; NULL for any other record. */
static const struct rj_subscription_views *loaded_subscriptions(struct mock_cluster *cluster,
                                                                const struct rj_offsets_record *record)
{
    const struct rj_group_metadata_value *group = record->value;
    if (record->record_type != 2 || group == NULL ||
        !rj_string_equal(group->protocol_type, RJ_STRING("consumer")))
        return NULL;
    struct rj_subscription_views *views = rj_arena_alloc(&cluster->arena, sizeof(*views));
    struct rj_consumer_protocol_subscription **items =
        rj_arena_alloc(&cluster->arena, (size_t)group->members.count * sizeof(void *));
    if (views == NULL || items == NULL)
        return NULL;
    for (int32_t i = 0; i < group->members.count; i++)
        items[i] = decode_subscription(cluster, group->members.items[i].subscription);
    views->items = (const struct rj_consumer_protocol_subscription *const *)items;
    views->count = group->members.count;
    return views;
}

static void load_record(struct mock_cluster *cluster, int32_t partition, const struct rj_record *from,
                        int64_t producer_id)
{
    struct rj_event event = {.type = RJ_EVENT_LOAD_RECORD};
    struct rj_offsets_record *record = &event.as.load_record.record;
    int16_t prefix;
    record->key = decode_part(cluster, RJ_MESSAGE_KEY, -1, from->key, &record->record_type);
    if (record->key == NULL)
        return;
    record->value = decode_part(cluster, RJ_MESSAGE_VALUE, record->record_type, from->value, &prefix);
    if (record->value == NULL && from->value.data != NULL)
        return;
    record->value_version = record->value ? prefix : 0;
    record->subscriptions = loaded_subscriptions(cluster, record);
    event.as.load_record.producer_id = producer_id;
    event.as.load_record.log_offset = from->offset;
    run_step(cluster, partition, &event);
}

static void load_batch(struct mock_cluster *cluster, int32_t partition, const struct rj_record_batch *batch,
                       const uint8_t *bytes)
{
    struct log_batch entry = mock_log_batch_of(batch, bytes);
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    if (entry.is_control) {
        struct rj_event event = {.type = RJ_EVENT_TRANSACTION_MARKER};
        event.as.transaction_marker.producer_id = entry.producer_id;
        event.as.transaction_marker.producer_epoch = entry.producer_epoch;
        event.as.transaction_marker.commit = entry.is_commit;
        run_step(cluster, partition, &event);
        return;
    }
    rj_record_reader_init(&reader, batch, batch->records);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more)
        load_record(cluster, partition, &record, entry.is_transactional ? entry.producer_id : -1);
}

/* Every record of the partition, in log order, then the end of the load. */
static void finish_load(struct mock_cluster *cluster, int32_t partition)
{
    struct coordinator *coordinator = &cluster->coordinators[partition];
    coordinator->loads_until_ms = 0;
    int64_t offset = coordinator->log ? coordinator->log->start_offset : 0;
    while (coordinator->log != NULL && offset < coordinator->log->end_offset) {
        struct rj_bytes bytes = mock_log_read(coordinator->log, offset, 1, true);
        struct rj_record_batch batch;
        if (rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK)
            break;
        load_batch(cluster, partition, &batch, bytes.data);
        offset = batch.base_offset + batch.last_offset_delta + 1;
    }
    struct rj_event event = {.type = RJ_EVENT_LOAD_END};
    run_step(cluster, partition, &event);
}

bool mock_load_coordinators(struct mock_cluster *cluster)
{
    if (mock_find_topic(cluster, RJ_STRING("__consumer_offsets")) == NULL)
        return true;
    if (!make_offsets_topic(cluster))
        return false;
    for (int32_t i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        if (cluster->coordinators[i].log->end_offset == 0)
            continue;
        struct rj_event begin = {.type = RJ_EVENT_LOAD_BEGIN};
        if (open_coordinator(cluster, i) == NULL)
            return false;
        run_step(cluster, i, &begin);
        finish_load(cluster, i);
        rj_arena_reset(&cluster->arena);
    }
    return true;
}

bool mock_move_coordinator(struct mock_cluster *cluster, const char *group, int32_t broker_id, int32_t loading_ms)
{
    if (broker_id < MOCK_NO_BROKER || broker_id >= cluster->options.broker_count)
        return false;
    struct rj_string group_id = {group, (int32_t)strlen(group)};
    int32_t partition = rj_coordinator_partition(group_id, OFFSETS_PARTITION_COUNT);
    struct coordinator *coordinator = open_coordinator(cluster, partition);
    if (coordinator == NULL)
        return false;
    struct rj_event unload = {.type = RJ_EVENT_UNLOAD}, begin = {.type = RJ_EVENT_LOAD_BEGIN};
    if (cluster->storage != NULL)
        mock_storage_sync(cluster); /* what is on its way is acknowledged by the old one */
    run_step(cluster, partition, &unload);
    coordinator->broker_id = broker_id;
    if (cluster->storage != NULL)
        mock_storage_save(cluster, NULL);
    coordinator->loads_until_ms = 0;
    if (broker_id != MOCK_NO_BROKER) {
        run_step(cluster, partition, &begin);
        coordinator->loads_until_ms = mock_now_ms(cluster) + loading_ms;
        if (loading_ms > 0)
            mock_wake_at(cluster, coordinator->loads_until_ms);
        else
            finish_load(cluster, partition);
    }
    mock_flush_connections(cluster);
    return true;
}

void mock_coordinators_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms)
{
    for (int32_t i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        struct coordinator *coordinator = &cluster->coordinators[i];
        if (coordinator->coord == NULL)
            continue;
        if (coordinator->loads_until_ms != 0 && coordinator->loads_until_ms <= now_ms)
            finish_load(cluster, i);
        if (coordinator->deadline_ms <= now_ms) {
            struct rj_event event = {.type = RJ_EVENT_TICK};
            run_step(cluster, i, &event);
        }
        if (coordinator->deadline_ms < *next_ms)
            *next_ms = coordinator->deadline_ms;
        if (coordinator->loads_until_ms != 0 && coordinator->loads_until_ms < *next_ms)
            *next_ms = coordinator->loads_until_ms;
    }
}

int32_t mock_coordinator_of(const struct mock_cluster *cluster, const char *group)
{
    return mock_group_coordinator(cluster, (struct rj_string){group, (int32_t)strlen(group)})->broker_id;
}

void mock_fail_appends(struct mock_cluster *cluster, int16_t error_code, int32_t count)
{
    cluster->fail_append_error = error_code;
    cluster->fail_append_count = count;
}

int64_t mock_committed_offset(struct mock_cluster *cluster, const char *group, const char *topic, int32_t partition)
{
    struct rj_offset_fetch_request_topic asked = {
        .name = {topic, (int32_t)strlen(topic)}, .partition_indexes = {&partition, 1}};
    struct rj_offset_fetch_request request;
    rj_message_init(&rj_offset_fetch_request_schema, &request);
    request.group_id = (struct rj_string){group, (int32_t)strlen(group)};
    request.topics.items = &asked;
    request.topics.count = 1;
    const struct rj_offset_fetch_response *answer = mock_ask(cluster, 9, 5, &request);
    if (answer == NULL || answer->topics.count != 1 || answer->topics.items[0].partitions.count != 1)
        return -1;
    return answer->topics.items[0].partitions.items[0].committed_offset;
}
