/* The step: an event in, then everything that is due. */
#include "consumer/state.h"

#include <string.h>

void rj_consumer_config_init(struct rj_consumer_config *config)
{
    *config = (struct rj_consumer_config){
        .client_id = RJ_STRING("rejoin"),
        .assignors = {RJ_ASSIGNOR_RANGE, RJ_ASSIGNOR_COOPERATIVE_STICKY},
        .assignor_count = 2,
        .subscription_version = 3,
        .session_timeout_ms = 45000,
        .heartbeat_interval_ms = 3000,
        .max_poll_interval_ms = 300000,
        .auto_commit_interval_ms = 5000,
        .commit_on_revoke = true,
        .retry_backoff_ms = 100,
        .retry_backoff_max_ms = 1000,
        .request_timeout_ms = 30000,
        .metadata_max_age_ms = 300000,
        .close_timeout_ms = 30000,
        .fetch_max_wait_ms = 500,
        .fetch_min_bytes = 1,
        .fetch_max_bytes = 52428800,
        .max_partition_fetch_bytes = 1048576,
        .fetch_records = true,
        .auto_offset_reset = RJ_OFFSET_RESET_LATEST,
        .allow_auto_create_topics = true,
    };
    memset(config->version_caps, 0xff, sizeof config->version_caps);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static bool copy_config(struct rj_consumer *c, const struct rj_consumer_config *config)
{
    bool ok = true;
    struct rj_consumer_bootstrap *bootstrap =
        rj_arena_alloc(&c->config_arena, (size_t)config->bootstrap_count * sizeof *bootstrap);
    if (bootstrap == NULL)
        return false;
    for (int32_t i = 0; i < config->bootstrap_count; i++) {
        bootstrap[i].host = rj_arena_copy_string(&c->config_arena, config->bootstrap[i].host, &ok);
        bootstrap[i].port = config->bootstrap[i].port;
    }
    c->config = *config;
    c->config.bootstrap = bootstrap;
    c->config.group_id = rj_arena_copy_string(&c->config_arena, config->group_id, &ok);
    c->config.client_id = rj_arena_copy_string(&c->config_arena, config->client_id, &ok);
    c->config.instance_id = rj_arena_copy_string(&c->config_arena, config->instance_id, &ok);
    c->config.rack = rj_arena_copy_string(&c->config_arena, config->rack, &ok);
    c->config.topics = (struct rj_string_array){NULL, 0};
    return ok;
}

static void free_topics(struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->topics.count; i++)
        rj_consumer_free_string(c, &c->topics.items[i]);
    if (c->topics.items != NULL)
        c->allocator.free(c->allocator.context, c->topics.items, (size_t)c->topics.count * sizeof(struct rj_string));
    c->topics = (struct rj_string_array){NULL, 0};
}

static bool take_topics(struct rj_consumer *c, struct rj_string_array topics)
{
    struct rj_string_array copy = {NULL, 0};
    if (topics.count > 0) {
        copy.items = c->allocator.alloc(c->allocator.context, (size_t)topics.count * sizeof *copy.items);
        if (copy.items == NULL) {
            c->out_of_memory = true;
            return false;
        }
    }
    for (int32_t i = 0; i < topics.count; i++)
        copy.items[i] = RJ_EMPTY_STRING;
    copy.count = topics.count;
    for (int32_t i = 0; i < topics.count; i++)
        rj_consumer_set_string(c, &copy.items[i], topics.items[i]);
    free_topics(c);
    c->topics = copy;
    return !c->out_of_memory;
}

enum rj_err rj_consumer_create(struct rj_consumer **consumer, const struct rj_allocator *allocator,
                               const struct rj_consumer_config *config)
{
    *consumer = NULL;
    if (config->bootstrap_count < 1 || rj_string_is_empty(config->group_id) || config->assignor_count < 1 ||
        config->assignor_count > RJ_ASSIGNOR_COUNT || config->subscription_version < 0 ||
        config->subscription_version > 3)
        return RJ_ERR_VALUE;
    struct rj_consumer *c = allocator->alloc(allocator->context, sizeof *c);
    if (c == NULL)
        return RJ_ERR_MEMORY;
    memset(c, 0, sizeof *c);
    c->allocator = *allocator;
    struct rj_arena *arenas[] = {&c->config_arena, &c->step, &c->metadata.arena, &c->group.arena, &c->target_arena,
                                 &c->sticky_arena};
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
        rj_arena_init(arenas[i], &c->allocator, SIZE_MAX);
    c->coordinator_node = NO_NODE;
    c->generation_id = c->previous_generation_id = c->cooperative_generation = NO_GENERATION_ID;
    c->member_id = c->coordinator_host = RJ_EMPTY_STRING;
    c->deadline_ms = INT64_MIN; /* the first tick begins everything */
    c->polled_ms = INT64_MIN;
    if (!copy_config(c, config) || !take_topics(c, config->topics)) {
        rj_consumer_destroy(c);
        return RJ_ERR_MEMORY;
    }
    c->is_cooperative = true;
    for (int32_t i = 0; i < config->assignor_count; i++)
        c->is_cooperative = c->is_cooperative && rj_assignor_is_cooperative(config->assignors[i]);
    *consumer = c;
    return RJ_OK;
}

static void free_list(struct rj_consumer *c, void *items, int32_t capacity, size_t size)
{
    if (items != NULL)
        c->allocator.free(c->allocator.context, items, (size_t)capacity * size);
}

void rj_consumer_destroy(struct rj_consumer *c)
{
    if (c == NULL)
        return;
    while (c->commits != NULL) {
        struct commit *commit = c->commits;
        c->commits = commit->next;
        rj_arena_release(&commit->arena);
        c->allocator.free(c->allocator.context, commit, sizeof *commit);
    }
    for (int32_t i = 0; i < c->partition_count; i++)
        rj_consumer_free_string(c, &c->partitions[i].topic);
    free_topics(c);
    rj_consumer_free_string(c, &c->member_id);
    rj_consumer_free_string(c, &c->coordinator_host);
    free_list(c, c->partitions, c->partition_capacity, sizeof *c->partitions);
    free_list(c, c->actions, c->action_capacity, sizeof *c->actions);
    free_list(c, c->connections, c->connection_capacity, sizeof *c->connections);
    free_list(c, c->in_flight, c->in_flight_capacity, sizeof *c->in_flight);
    struct rj_arena *arenas[] = {&c->config_arena, &c->step, &c->metadata.arena, &c->group.arena, &c->target_arena,
                                 &c->sticky_arena};
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++)
        rj_arena_release(arenas[i]);
    c->allocator.free(c->allocator.context, c, sizeof *c);
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

static void take_body(struct rj_consumer *c, const struct in_flight *request, int16_t version, const void *body)
{
    switch (request->api_key) {
    case RJ_API_API_VERSIONS: {
        struct connection *connection = rj_connection_by_id(c, request->connection_id);
        if (connection != NULL)
            rj_connection_take_versions(c, connection, version, body);
        break;
    }
    case RJ_API_METADATA:
        rj_discovery_take_metadata(c, body);
        break;
    case RJ_API_FIND_COORDINATOR:
        rj_discovery_take_coordinator(c, body, version);
        break;
    case RJ_API_JOIN_GROUP:
        rj_rebalance_take_join(c, request, body);
        break;
    case RJ_API_SYNC_GROUP:
        rj_rebalance_take_sync(c, request, body);
        break;
    case RJ_API_HEARTBEAT:
        rj_membership_take_heartbeat(c, request, body);
        break;
    case RJ_API_LEAVE_GROUP:
        if (c->state == RJ_CONSUMER_LEAVING)
            rj_leave_done(c); /* cl-leave-ignore: whatever it says */
        break;
    case RJ_API_OFFSET_COMMIT:
        rj_commit_take(c, request, body);
        break;
    case RJ_API_OFFSET_FETCH:
        rj_positions_take_committed(c, request, body);
        break;
    case RJ_API_LIST_OFFSETS:
        rj_positions_take_listed(c, body);
        break;
    case RJ_API_FETCH:
        rj_fetch_take(c, request, body);
        break;
    default:
        break;
    }
}

static void take_response(struct rj_consumer *c, const struct rj_consumer_event *event)
{
    for (int32_t i = 0; i < c->in_flight_count; i++) {
        struct in_flight request = c->in_flight[i];
        if (request.connection_id != event->as.response.connection_id ||
            request.correlation_id != event->as.response.correlation_id)
            continue;
        memmove(&c->in_flight[i], &c->in_flight[i + 1], (size_t)(--c->in_flight_count - i) * sizeof request);
        if (!request.ignored && (c->state != RJ_CONSUMER_FAILED || request.api_key == RJ_API_API_VERSIONS))
            take_body(c, &request, event->as.response.version, event->as.response.body);
        return;
    }
}

static void take_consumed(struct rj_consumer *c, const struct rj_consumer_offset *consumed)
{
    struct partition *partition = rj_partition_find(c, consumed->topic, consumed->partition);
    if (partition == NULL || partition->is_ghost || partition->is_revoking)
        return; /* cl-no-fetch-after-revoke-commit: its position stands still */
    partition->handed_out = false;
    if (partition->state == POSITION_READY && consumed->offset >= partition->position) {
        partition->position = consumed->offset;
        partition->leader_epoch = consumed->leader_epoch;
    }
}

static void take_event(struct rj_consumer *c, const struct rj_consumer_event *event)
{
    struct connection *connection;
    switch (event->type) {
    case RJ_CONSUMER_EVENT_TICK:
        break;
    case RJ_CONSUMER_EVENT_CONNECTED:
        connection = rj_connection_by_id(c, event->as.connected.connection_id);
        if (connection != NULL)
            rj_connection_opened(c, connection);
        break;
    case RJ_CONSUMER_EVENT_DISCONNECTED:
        rj_connection_lost(c, event->as.disconnected.connection_id);
        break;
    case RJ_CONSUMER_EVENT_RESPONSE:
        take_response(c, event);
        break;
    case RJ_CONSUMER_EVENT_POLL:
        c->polled_ms = c->now_ms;
        c->poll_expired = false;
        break;
    case RJ_CONSUMER_EVENT_CONSUMED:
        take_consumed(c, &event->as.consumed);
        break;
    case RJ_CONSUMER_EVENT_COMMIT:
        if (event->as.commit.offsets == NULL)
            rj_commit_consumed(c, COMMIT_ASKED, event->as.commit.commit_id, NULL);
        else
            rj_commit_offsets(c, event->as.commit.commit_id, event->as.commit.offsets, event->as.commit.offset_count);
        break;
    case RJ_CONSUMER_EVENT_SUBSCRIBE:
        if (take_topics(c, event->as.subscribe.topics)) {
            c->metadata_wanted = true;
            rj_membership_want_rejoin(c, "the subscription changed");
        }
        break;
    case RJ_CONSUMER_EVENT_REJOIN:
        rj_membership_want_rejoin(c, "the application asked for a rebalance");
        break;
    case RJ_CONSUMER_EVENT_CLOSE:
        if (!c->is_closing)
            c->close_deadline_ms = c->now_ms + c->config.close_timeout_ms;
        c->is_closing = true;
        break;
    }
}

/* Requests and connections that take too long. */
static void drive_timeouts(struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->in_flight_count; i++) {
        if (c->now_ms >= c->in_flight[i].deadline_ms) {
            rj_connection_close(c, c->in_flight[i].connection_id);
            i = -1;
        }
    }
    for (int32_t i = 0; i < c->connection_count; i++) {
        if (c->connections[i].state == CONNECTION_OPENING &&
            c->now_ms >= c->connections[i].opened_ms + c->config.request_timeout_ms) {
            rj_connection_close(c, c->connections[i].id);
            i = -1;
        }
    }
}

static void wake_for_timeouts(struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->in_flight_count; i++)
        rj_consumer_wake(c, c->in_flight[i].deadline_ms);
    for (int32_t i = 0; i < c->connection_count; i++)
        if (c->connections[i].state == CONNECTION_OPENING)
            rj_consumer_wake(c, c->connections[i].opened_ms + c->config.request_timeout_ms);
}

static void drive_parts(struct rj_consumer *c)
{
    c->deadline_ms = INT64_MAX;
    if (c->state != RJ_CONSUMER_FAILED && c->state != RJ_CONSUMER_DONE) {
        rj_discovery_drive(c);
        rj_membership_drive(c);
        if (!c->is_closing)
            rj_rebalance_drive(c);
        rj_commit_drive(c);
        rj_positions_drive(c);
        rj_fetch_drive(c);
    }
    rj_leave_drive(c);
}

/* Again for as long as something happens, because a part may leave work to one that was driven before it. It comes to
 * rest: what is done once is not done again in one step, and what failed waits. */
static void drive(struct rj_consumer *c)
{
    enum { ROUNDS_MAX = 16 };
    bool happens = true;
    drive_timeouts(c);
    for (int round = 0; round < ROUNDS_MAX && happens && !c->out_of_memory; round++) {
        enum rj_consumer_state state = c->state;
        int32_t action_count = c->action_count;
        bool metadata_wanted = c->metadata_wanted;
        int32_t coordinator_node = c->coordinator_node;
        drive_parts(c);
        happens = c->state != state || c->action_count != action_count || c->metadata_wanted != metadata_wanted ||
                  c->coordinator_node != coordinator_node;
    }
    if (c->state == RJ_CONSUMER_FAILED || c->state == RJ_CONSUMER_DONE)
        c->deadline_ms = INT64_MAX;
    else if (happens)
        c->deadline_ms = c->now_ms; /* there is more to do than one step should */
    else
        wake_for_timeouts(c);
}

enum rj_err rj_consumer_step(struct rj_consumer *c, const struct rj_consumer_event *event,
                             struct rj_consumer_update *update)
{
    rj_arena_reset(&c->step);
    c->action_count = 0;
    c->now_ms = event->now_ms;
    if (c->polled_ms == INT64_MIN)
        c->polled_ms = c->now_ms;
    for (int i = 0; i < 4; i++)
        c->random = c->random * 31 + event->entropy.bytes[i];
    if (c->state != RJ_CONSUMER_DONE && !c->out_of_memory) {
        take_event(c, event);
        if (!c->out_of_memory)
            drive(c);
    }
    if (c->out_of_memory) {
        c->state = RJ_CONSUMER_DONE;
        c->deadline_ms = INT64_MAX;
        *update = (struct rj_consumer_update){NULL, 0};
        return RJ_ERR_MEMORY;
    }
    *update = (struct rj_consumer_update){c->actions, c->action_count};
    return RJ_OK;
}

/* ---- Questions --------------------------------------------------------------------------------------------------- */

int64_t rj_consumer_next_deadline_ms(const struct rj_consumer *c) { return c->deadline_ms; }

enum rj_consumer_state rj_consumer_state(const struct rj_consumer *c) { return c->state; }

const char *rj_consumer_state_name(enum rj_consumer_state state)
{
    static const char *const names[] = {
        [RJ_CONSUMER_UNJOINED] = "unjoined",   [RJ_CONSUMER_PREPARING] = "preparing",
        [RJ_CONSUMER_JOINING] = "joining",     [RJ_CONSUMER_ASSIGNING] = "assigning",
        [RJ_CONSUMER_SYNCING] = "syncing",     [RJ_CONSUMER_REVOKING] = "revoking",
        [RJ_CONSUMER_STABLE] = "stable",       [RJ_CONSUMER_LEAVING] = "leaving",
        [RJ_CONSUMER_FAILED] = "failed",       [RJ_CONSUMER_DONE] = "done",
    };
    return names[state];
}

struct rj_string rj_consumer_member_id(const struct rj_consumer *c) { return c->member_id; }

int32_t rj_consumer_generation_id(const struct rj_consumer *c) { return c->generation_id; }

bool rj_consumer_owns(const struct rj_consumer *c, struct rj_string topic, int32_t partition)
{
    for (int32_t i = 0; i < c->partition_count; i++)
        if (!c->partitions[i].is_ghost && c->partitions[i].number == partition &&
            rj_string_equal(c->partitions[i].topic, topic))
            return true;
    return false;
}
