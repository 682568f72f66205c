/* The requests of the sequence target. */
#include "lib/world.h"

#include "lib/messages.h"

#include <string.h>

static void *take(struct world *world, size_t size)
{
    void *memory = rj_arena_alloc(&world->scratch, size);
    memset(memory, 0, size);
    return memory;
}

/* ---- References --------------------------------------------------------------------------------------------------- */

static struct rj_string member_id(const struct world *world, const struct sequence_op *op, uint8_t group)
{
    const struct world_actor *own = &world->actors[op->actor];
    const struct world_actor *other = &world->actors[(op->actor + 1 + op->member_id / 16) % SEQUENCE_ACTORS];
    switch (op->member_id & 15) {
    case 11: return RJ_EMPTY_STRING;
    case 12: return world_string(other->member_id[group]);
    case 13: return world_string(own->stale_id[group]);
    case 14: return RJ_STRING("nobody-00000000-0000-0000-0000-000000000000");
    case 15: return RJ_STRING("\xff\x00 odd");
    default: return world_string(own->member_id[group]);
    }
}

static int32_t generation_id(const struct world *world, const struct sequence_op *op, uint8_t group)
{
    int32_t own = world->actors[op->actor].generation_id[group];
    switch (op->generation & 15) {
    case 12: return -1;
    case 13: return own + 1;
    case 14: return own - 1;
    case 15: return INT32_MAX;
    default: return own;
    }
}

static struct rj_string instance_id(const struct sequence_op *op)
{
    static const char *const shared[] = {"instance-a", "instance-b", ""};
    if ((op->instance & 15) >= 13)
        return world_string(shared[(op->instance & 15) - 13]);
    if (op->actor < SEQUENCE_ACTORS - 2)
        return RJ_NULL_STRING;
    return world_string(shared[op->actor - (SEQUENCE_ACTORS - 2)]); /* the last two actors are static members */
}

static struct rj_string group_id(const struct sequence_op *op)
{
    return op->group == 255 ? RJ_EMPTY_STRING : world_string(world_group_id(op->group));
}

static struct rj_string topic_name(uint8_t choice)
{
    static const char *const names[] = {"t0", "t1", "t2", "t3", "", "t0"};
    return world_string(names[choice % 6]);
}

static struct rj_uuid topic_id(uint8_t choice)
{
    struct rj_uuid id;
    memset(&id, 0, sizeof(id));
    id.bytes[0] = choice % 6;
    return id;
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------- */

static struct rj_bytes subscription_bytes(struct world *world, const struct sequence_op *op)
{
    if (op->c >= 250)
        return (struct rj_bytes){(const uint8_t *)"\x00\x01\xff", op->c - 250 > 3 ? 3 : op->c - 250};
    struct rj_consumer_protocol_subscription subscription;
    rj_message_init(&rj_consumer_protocol_subscription_schema, &subscription);
    struct rj_string *topics = take(world, 4 * sizeof(*topics));
    int32_t count = 0;
    for (uint8_t i = 0; i < 4; i++)
        if ((op->c >> i & 1) || i == 0)
            topics[count++] = topic_name(i);
    subscription.topics = (struct rj_string_array){topics, count};
    subscription.generation_id = world->actors[op->actor].generation_id[0];
    int16_t version = (int16_t)(op->c >> 4 & 3);
    uint8_t *out = take(world, 256);
    size_t len = 0;
    rj_encode(&rj_consumer_protocol_subscription_schema, version, &subscription, out + 2, 254, &len, NULL);
    out[1] = (uint8_t)version;
    return (struct rj_bytes){out, (int32_t)len + 2};
}

const struct rj_consumer_protocol_subscription *world_subscription(struct rj_bytes metadata, struct rj_arena *arena)
{
    if (metadata.data == NULL || metadata.len < 2)
        return NULL;
    int16_t version = (int16_t)((uint16_t)metadata.data[0] << 8 | metadata.data[1]);
    if (version < 0)
        return NULL;
    const struct rj_message_schema *schema = &rj_consumer_protocol_subscription_schema;
    version = version > schema->versions.high ? schema->versions.high : version;
    struct rj_consumer_protocol_subscription *subscription = rj_arena_alloc(arena, sizeof(*subscription));
    size_t consumed;
    struct rj_bytes body = {metadata.data + 2, metadata.len - 2};
    if (subscription == NULL || rj_decode_prefix(schema, version, body, arena, subscription, &consumed, NULL) != RJ_OK)
        return NULL;
    return subscription;
}

static const void *join_body(struct world *world, const struct sequence_op *op, uint8_t group,
                             const struct rj_subscription_views **views)
{
    static const char *const sets[][3] = {{"range"}, {"range", "roundrobin"}, {"roundrobin", "range"},
                                          {"cooperative-sticky", "range"}, {"sticky"}, {"range", "range"}, {NULL},
                                          {"range", "", "x"}};
    static const int32_t sessions_ms[] = {10000, 10000, 10000, 6000, 30000, 5999, 1800000, 1800001};
    static const int32_t rebalances_ms[] = {60000, 60000, 1000, 300000, 0, -1, 60000, INT32_MAX};
    struct rj_join_group_request *join = take(world, sizeof(*join));
    rj_message_init(&rj_join_group_request_schema, join);
    join->group_id = group_id(op);
    join->member_id = member_id(world, op, group);
    join->group_instance_id = instance_id(op);
    join->session_timeout_ms = sessions_ms[op->b & 7];
    join->rebalance_timeout_ms = rebalances_ms[op->b >> 3 & 7];
    join->protocol_type = (op->b >> 6) == 3 ? op->a & 1 ? RJ_EMPTY_STRING : RJ_STRING("connect") : RJ_STRING("consumer");
    struct rj_join_group_request_protocol *protocols = take(world, 3 * sizeof(*protocols));
    const struct rj_consumer_protocol_subscription **items = take(world, 3 * sizeof(void *));
    int32_t count = 0;
    world->may_wedge |= op->a % 8 == 5;
    for (const char *const *name = sets[op->a % 8]; count < 3 && name[count] != NULL; count++) {
        protocols[count].name = world_string(name[count]);
        protocols[count].metadata = subscription_bytes(world, op);
        items[count] = world_subscription(protocols[count].metadata, &world->scratch);
    }
    join->protocols = (struct rj_join_group_request_protocol_array){protocols, count};
    struct rj_subscription_views *view = take(world, sizeof(*view));
    *view = (struct rj_subscription_views){items, count};
    *views = rj_string_equal(join->protocol_type, RJ_STRING("consumer")) ? view : NULL;
    return join;
}

static const void *sync_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    static const uint8_t assignment[] = {0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct rj_sync_group_request *sync = take(world, sizeof(*sync));
    rj_message_init(&rj_sync_group_request_schema, sync);
    sync->group_id = group_id(op);
    sync->generation_id = generation_id(world, op, group);
    sync->member_id = member_id(world, op, group);
    sync->group_instance_id = instance_id(op);
    sync->protocol_type = op->b >= 128 ? op->b >= 192 ? RJ_STRING("connect") : RJ_STRING("consumer") : RJ_NULL_STRING;
    sync->protocol_name = op->b & 32 ? op->b & 16 ? RJ_STRING("other") : RJ_STRING("range") : RJ_NULL_STRING;
    if (!world->actors[op->actor].leads[group] && op->a < 200)
        return sync;
    struct rj_sync_group_request_assignment *items = take(world, (SEQUENCE_ACTORS + 1) * sizeof(*items));
    int32_t count = 0;
    for (int i = 0; i < SEQUENCE_ACTORS; i++) {
        if (op->c >> i & 1)
            continue; /* left out */
        items[count].member_id = world_string(world->actors[i].member_id[group]);
        items[count].assignment = (struct rj_bytes){assignment, op->a & 1 ? 0 : (int32_t)sizeof(assignment)};
        count++;
    }
    if (op->a & 2) {
        items[count].member_id = RJ_STRING("nobody");
        items[count++].assignment = RJ_EMPTY_BYTES;
    }
    sync->assignments = (struct rj_sync_group_request_assignment_array){items, count};
    return sync;
}

static const void *heartbeat_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    struct rj_heartbeat_request *heartbeat = take(world, sizeof(*heartbeat));
    rj_message_init(&rj_heartbeat_request_schema, heartbeat);
    heartbeat->group_id = group_id(op);
    heartbeat->generation_id = generation_id(world, op, group);
    heartbeat->member_id = member_id(world, op, group);
    heartbeat->group_instance_id = instance_id(op);
    return heartbeat;
}

static const void *leave_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    struct rj_leave_group_request *leave = take(world, sizeof(*leave));
    rj_message_init(&rj_leave_group_request_schema, leave);
    leave->group_id = group_id(op);
    leave->member_id = member_id(world, op, group);
    struct rj_leave_group_request_member_identity *members = take(world, 3 * sizeof(*members));
    int32_t count = 1 + op->a % 8 / 6;
    for (int32_t i = 0; i < count; i++) {
        struct sequence_op other = *op;
        other.actor = (uint8_t)((op->actor + i) % SEQUENCE_ACTORS);
        members[i].member_id = member_id(world, &other, group);
        members[i].group_instance_id = instance_id(&other);
        members[i].reason = op->b & 1 ? RJ_STRING("closed") : RJ_NULL_STRING;
    }
    leave->members = (struct rj_leave_group_request_member_identity_array){members, op->a == 255 ? 0 : count};
    return leave;
}

static const void *commit_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    static const int64_t offsets[] = {0, 1, 100, -1, INT64_MAX, -2};
    static char long_metadata[4097];
    memset(long_metadata, 'm', sizeof(long_metadata));
    struct rj_offset_commit_request *commit = take(world, sizeof(*commit));
    rj_message_init(&rj_offset_commit_request_schema, commit);
    commit->group_id = group_id(op);
    commit->generation_id_or_member_epoch = generation_id(world, op, group);
    commit->member_id = member_id(world, op, group);
    commit->group_instance_id = instance_id(op);
    commit->retention_time_ms = op->c >= 240 ? 1000 : -1;
    struct rj_offset_commit_request_topic *topic = take(world, sizeof(*topic));
    struct rj_offset_commit_request_partition *partitions = take(world, 4 * sizeof(*partitions));
    int32_t count = 1 + op->a / 16 % 4;
    for (int32_t i = 0; i < count; i++) {
        partitions[i].partition_index = op->c % 32 == 31 ? -1 - i : i * (op->c & 1);
        partitions[i].committed_offset = offsets[op->b % 8 % 6];
        partitions[i].committed_leader_epoch = -1;
        partitions[i].commit_timestamp = op->c >= 240 ? 5 : -1;
        partitions[i].committed_metadata = op->b >= 248 ? (struct rj_string){long_metadata, 4096 + (op->b & 1)}
                                                        : op->b & 8 ? RJ_NULL_STRING : RJ_STRING("m");
    }
    topic->name = topic_name(op->a);
    topic->topic_id = topic_id((uint8_t)(op->a % 6 + 1));
    topic->partitions = (struct rj_offset_commit_request_partition_array){partitions, count};
    commit->topics = (struct rj_offset_commit_request_topic_array){topic, op->a == 255 ? 0 : 1};
    return commit;
}

static const void *txn_commit_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    struct rj_txn_offset_commit_request *commit = take(world, sizeof(*commit));
    rj_message_init(&rj_txn_offset_commit_request_schema, commit);
    commit->transactional_id = RJ_STRING("txn");
    commit->group_id = group_id(op);
    commit->producer_id = 1 + op->b % 3;
    commit->producer_epoch = 0;
    commit->generation_id = generation_id(world, op, group);
    commit->member_id = member_id(world, op, group);
    commit->group_instance_id = instance_id(op);
    struct rj_txn_offset_commit_request_topic *topic = take(world, sizeof(*topic));
    struct rj_txn_offset_commit_request_partition *partition = take(world, sizeof(*partition));
    partition->partition_index = op->c % 4;
    partition->committed_offset = op->c;
    partition->committed_leader_epoch = -1;
    partition->committed_metadata = RJ_NULL_STRING;
    topic->name = topic_name(op->a);
    topic->partitions = (struct rj_txn_offset_commit_request_partition_array){partition, 1};
    commit->topics = (struct rj_txn_offset_commit_request_topic_array){topic, 1};
    return commit;
}

static const void *fetch_body(struct world *world, const struct sequence_op *op, uint8_t group)
{
    struct rj_offset_fetch_request *fetch = take(world, sizeof(*fetch));
    rj_message_init(&rj_offset_fetch_request_schema, fetch);
    int32_t *partitions = take(world, 4 * sizeof(*partitions));
    for (int32_t i = 0; i < 4; i++)
        partitions[i] = op->c == 255 ? -1 : i;
    bool all = op->a & 1;
    fetch->group_id = group_id(op);
    fetch->require_stable = op->b & 1;
    struct rj_offset_fetch_request_topic *topic = take(world, sizeof(*topic));
    topic->name = topic_name(op->a / 2);
    topic->partition_indexes = (struct rj_int32_array){partitions, 4};
    fetch->topics = (struct rj_offset_fetch_request_topic_array){all ? NULL : topic, all ? -1 : 1};
    struct rj_offset_fetch_request_group *groups = take(world, 2 * sizeof(*groups));
    struct rj_offset_fetch_request_topics *topics = take(world, sizeof(*topics));
    topics->name = topic->name;
    topics->topic_id = topic_id((uint8_t)(op->a / 2 % 6 + 1));
    topics->partition_indexes = topic->partition_indexes;
    int32_t count = 1 + (op->b >> 1 & 1);
    for (int32_t i = 0; i < count; i++) {
        groups[i].group_id = i == 0 ? fetch->group_id : world_string(world_group_id(1));
        groups[i].member_id = op->b & 4 ? member_id(world, op, group) : RJ_NULL_STRING;
        groups[i].member_epoch = op->b & 4 ? generation_id(world, op, group) : -1;
        groups[i].topics = (struct rj_offset_fetch_request_topics_array){all ? NULL : topics, all ? -1 : 1};
    }
    fetch->groups = (struct rj_offset_fetch_request_group_array){groups, count};
    return fetch;
}

static struct rj_string_array group_names(struct world *world, const struct sequence_op *op)
{
    struct rj_string *names = take(world, 3 * sizeof(*names));
    names[0] = group_id(op);
    names[1] = world_string(world_group_id(1));
    names[2] = RJ_STRING("unheard-of");
    return (struct rj_string_array){names, 1 + op->a % 3};
}

static const void *describe_body(struct world *world, const struct sequence_op *op)
{
    struct rj_describe_groups_request *describe = take(world, sizeof(*describe));
    rj_message_init(&rj_describe_groups_request_schema, describe);
    describe->groups = group_names(world, op);
    describe->include_authorized_operations = op->b & 1;
    return describe;
}

static const void *list_body(struct world *world, const struct sequence_op *op)
{
    static const char *const states[] = {"Stable", "empty", "PreparingRebalance", "nonsense"};
    struct rj_list_groups_request *list = take(world, sizeof(*list));
    rj_message_init(&rj_list_groups_request_schema, list);
    struct rj_string *filter = take(world, sizeof(*filter));
    *filter = world_string(states[op->a % 4]);
    list->states_filter = (struct rj_string_array){filter, op->b & 1};
    struct rj_string *type = take(world, sizeof(*type));
    *type = world_string(op->c & 2 ? "classic" : "odd");
    list->types_filter = (struct rj_string_array){type, op->c & 1};
    return list;
}

static const void *delete_groups_body(struct world *world, const struct sequence_op *op)
{
    struct rj_delete_groups_request *delete_groups = take(world, sizeof(*delete_groups));
    rj_message_init(&rj_delete_groups_request_schema, delete_groups);
    delete_groups->groups_names = group_names(world, op);
    return delete_groups;
}

static const void *delete_offsets_body(struct world *world, const struct sequence_op *op)
{
    struct rj_offset_delete_request *delete_offsets = take(world, sizeof(*delete_offsets));
    rj_message_init(&rj_offset_delete_request_schema, delete_offsets);
    delete_offsets->group_id = group_id(op);
    struct rj_offset_delete_request_topic *topic = take(world, sizeof(*topic));
    struct rj_offset_delete_request_partition *partitions = take(world, 2 * sizeof(*partitions));
    partitions[1].partition_index = op->b % 5;
    topic->name = topic_name(op->a);
    topic->partitions = (struct rj_offset_delete_request_partition_array){partitions, 2};
    delete_offsets->topics = (struct rj_offset_delete_request_topic_array){topic, 1};
    return delete_offsets;
}

static const void *find_body(struct world *world, const struct sequence_op *op)
{
    struct rj_find_coordinator_request *find = take(world, sizeof(*find));
    rj_message_init(&rj_find_coordinator_request_schema, find);
    find->key = group_id(op);
    find->coordinator_keys = group_names(world, op);
    return find;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------ */

static const int16_t api_keys[] = {
    [OP_JOIN] = RJ_API_JOIN_GROUP, [OP_SYNC] = RJ_API_SYNC_GROUP, [OP_HEARTBEAT] = RJ_API_HEARTBEAT,
    [OP_LEAVE] = RJ_API_LEAVE_GROUP, [OP_COMMIT] = RJ_API_OFFSET_COMMIT, [OP_FETCH] = RJ_API_OFFSET_FETCH,
    [OP_DESCRIBE] = RJ_API_DESCRIBE_GROUPS, [OP_LIST] = RJ_API_LIST_GROUPS,
    [OP_DELETE_GROUPS] = RJ_API_DELETE_GROUPS, [OP_DELETE_OFFSETS] = RJ_API_OFFSET_DELETE,
    [OP_TXN_COMMIT] = RJ_API_TXN_OFFSET_COMMIT, [OP_FIND] = RJ_API_FIND_COORDINATOR,
};

static const void *make_body(struct world *world, const struct sequence_op *op, uint8_t group,
                             const struct rj_subscription_views **views)
{
    switch (op->kind) {
    case OP_JOIN: return join_body(world, op, group, views);
    case OP_SYNC: return sync_body(world, op, group);
    case OP_HEARTBEAT: return heartbeat_body(world, op, group);
    case OP_LEAVE: return leave_body(world, op, group);
    case OP_COMMIT: return commit_body(world, op, group);
    case OP_FETCH: return fetch_body(world, op, group);
    case OP_DESCRIBE: return describe_body(world, op);
    case OP_LIST: return list_body(world, op);
    case OP_DELETE_GROUPS: return delete_groups_body(world, op);
    case OP_DELETE_OFFSETS: return delete_offsets_body(world, op);
    case OP_TXN_COMMIT: return txn_commit_body(world, op, group);
    default: return find_body(world, op);
    }
}

/* An idle connection of the actor, opened where needed; NULL: both wait for an answer. */
static struct world_connection *idle_connection(struct world *world, struct world_actor *actor)
{
    for (int i = 0; i < WORLD_CONNECTIONS; i++) {
        struct world_connection *connection = &actor->connections[i];
        if (connection->is_busy)
            continue;
        if (connection->id == 0) {
            connection->id = ++world->last_connection_id;
            rj_check_open(world->checker, connection->id, ++world->event_number, world->now_ms, true);
        }
        return connection;
    }
    return NULL;
}

/* What the coordinator gets is what a decoder gives: through bytes and back, so that what the version cannot carry is
 * gone. NULL: the version cannot carry it at all. */
static const void *through_the_wire(struct world *world, int16_t api_key, int16_t version, const void *body)
{
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    size_t len;
    if (rj_encoded_len(schema, version, body, &len, NULL) != RJ_OK)
        return NULL;
    uint8_t *bytes = take(world, len);
    void *decoded = take(world, schema->root->size);
    enum rj_err err = rj_encode(schema, version, body, bytes, len, &len, NULL);
    if (err == RJ_OK)
        err = rj_decode(schema, version, (struct rj_bytes){bytes, (int32_t)len}, &world->scratch, decoded, NULL);
    FUZZ_REQUIRE(err == RJ_OK, "request-encode", "%s v%d: %s", schema->name, version, rj_err_name(err));
    return decoded;
}

/* Kafka keeps one parked request a member: a later JoinGroup or SyncGroup of the same member overwrites it, and it is
 * never answered (join-preparing, sync-completing-follower); nor is the parked SyncGroup of a member that leaves
 * (leave-parked-join). */
static void forget_older(struct world *world, const struct sequence_op *op, uint8_t group)
{
    struct rj_string id = member_id(world, op, group), instance = instance_id(op);
    for (int i = 0; i < SEQUENCE_ACTORS; i++)
        for (int j = 0; j < WORLD_CONNECTIONS; j++) {
            struct world_connection *older = &world->actors[i].connections[j];
            bool same_id = id.len > 0 && rj_string_equal(id, world_string(older->member_id));
            bool same_instance = instance.data != NULL && rj_string_equal(instance, older->instance_id);
            bool parks = older->api_key == RJ_API_JOIN_GROUP || older->api_key == RJ_API_SYNC_GROUP;
            if (older->is_busy && older->group == group && parks && (same_id || same_instance))
                older->may_be_forgotten = true;
        }
}

/* What the connection waits for from now on. */
static void note_request(struct world *world, const struct sequence_op *op, struct world_connection *connection,
                         uint8_t group, int16_t api_key, int16_t version)
{
    struct sequence_op other = *op;
    if (op->kind == OP_JOIN || op->kind == OP_SYNC || op->kind == OP_LEAVE)
        forget_older(world, op, group);
    other.actor = (uint8_t)((op->actor + 1) % SEQUENCE_ACTORS);
    if (op->kind == OP_LEAVE) /* it may name two members */
        forget_older(world, &other, group);
    struct rj_string id = member_id(world, op, group);
    uint64_t connection_id = connection->id;
    memset(connection, 0, sizeof(*connection));
    connection->id = connection_id;
    connection->is_busy = true;
    connection->correlation_id = ++world->last_correlation_id;
    connection->api_key = api_key;
    connection->version = version;
    connection->group = group;
    memcpy(connection->member_id, id.data, (size_t)id.len);
    connection->instance_id = instance_id(op);
}

void world_send_request(struct world *world, const struct sequence_op *op)
{
    uint8_t group = op->group % SEQUENCE_GROUPS;
    struct world_connection *connection = idle_connection(world, &world->actors[op->actor]);
    if (connection == NULL)
        return;
    struct rj_event event = {.type = RJ_EVENT_REQUEST};
    int16_t api_key = api_keys[op->kind];
    int16_t version = fuzz_pick_version(rj_request_schema(api_key), op->version);
    event.as.request.body = through_the_wire(world, api_key, version,
                                             make_body(world, op, group, &event.as.request.subscriptions));
    if (event.as.request.body == NULL)
        return;
    event.as.request.connection_id = connection->id;
    note_request(world, op, connection, group, api_key, version);
    event.as.request.correlation_id = connection->correlation_id;
    /* Where results follow at once anyway, the host may as well vouch for them beforehand: both ways are taken. */
    event.is_assured = !world->appends_wait && (connection->correlation_id & 1) != 0;
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.client_id = op->actor == 3 ? RJ_NULL_STRING : RJ_STRING("client");
    event.as.request.client_host = RJ_STRING("/127.0.0.1");
    for (size_t i = 0; i < sizeof(event.entropy.bytes); i++)
        event.entropy.bytes[i] = (uint8_t)(fuzz_hash(world->settings.seed, &world->entropy_count, 4) >> i);
    world->entropy_count++;
    event.entropy.bytes[15] = (uint8_t)world->entropy_count;
    event.entropy.bytes[14] = (uint8_t)(world->entropy_count >> 8);
    struct rj_check_message message = {.stream = connection->id, .frame = ++world->event_number,
        .time_ms = world->now_ms, .api_key = api_key, .version = version, .correlation_id = connection->correlation_id,
        .client_id = event.as.request.client_id, .body = event.as.request.body};
    if (op->kind != OP_FIND) /* the coordinator leaves it to the broker: no answer will come */
        rj_check_request(world->checker, &message);
    world->requests++;
    fuzz_trace("%lld  #%d actor %u sends %s v%d to group %u, member '%s', generation %d%s", (long long)world->now_ms,
               connection->correlation_id, op->actor, rj_api_name(api_key), version, group,
               world->actors[op->actor].member_id[group], world->actors[op->actor].generation_id[group],
               world->fail_next > 0 ? ", without memory" : "");
    bool fails = world->fail_next > 0;
    char *before = fails ? world_describe(world, group, false) : NULL;
    world->heap.fail_at = fails ? world->heap.allocation_count + world->fail_next : 0;
    world->heap.failed = world->refused_for_memory = false;
    world->fail_next = 0;
    enum rj_err err = world_step(world, &event);
    world->heap.fail_at = 0;
    if (err == RJ_ERR_API)
        connection->is_busy = false;
    if (world->heap.failed && world->refused_for_memory && before != NULL) { /* it can do without some pieces */
        char *after = world_describe(world, group, false);
        FUZZ_REQUIRE(strcmp(before, after) == 0, "memory-state", "%s v%d without memory changed %s\ninto %s",
                     rj_api_name(api_key), version, before, after);
    }
}
