#include "lib/world.h"

#include <stdlib.h>
#include <string.h>

/* The longest timeout that a client can ask for is INT32_MAX ms; offsets are looked through every 600 s. A run ticks no
 * more than RUN_TICKS times: many short timers would make it long and show nothing new. */
enum { HEAL_TICKS = 6000, RUN_TICKS = 8000 };

const char *world_group_id(uint8_t group)
{
    static const char *const ids[SEQUENCE_GROUPS] = {"g", "group-1", "group-2"};
    return ids[group % SEQUENCE_GROUPS];
}

struct rj_string world_string(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

/* ---- Steps ----------------------------------------------------------------------------------------------------- */

static void check_invariants(struct world *world)
{
    const char *broken = "";
    FUZZ_REQUIRE(rj_check(world->coord, &broken), "invariant", "%s", broken);
    int32_t count = rj_check_violation_count(world->checker);
    for (; world->violations_seen < count; world->violations_seen++) {
        const struct rj_violation *violation = rj_check_violation(world->checker, world->violations_seen);
        FUZZ_REQUIRE(rj_rule_row(violation->rule)->strength != RJ_STRENGTH_HARD, rj_rule_row(violation->rule)->id,
                     "%s; expected: %s", violation->sentence, violation->expected);
    }
}

static struct world_connection *find_connection(struct world *world, uint64_t id, struct world_actor **actor)
{
    for (int i = 0; i < SEQUENCE_ACTORS; i++)
        for (int j = 0; j < WORLD_CONNECTIONS; j++)
            if (world->actors[i].connections[j].id == id) {
                *actor = &world->actors[i];
                return &world->actors[i].connections[j];
            }
    return NULL;
}

static void take_reply(struct world *world, const struct rj_reply *reply)
{
    struct world_actor *actor = NULL;
    struct world_connection *connection = find_connection(world, reply->connection_id, &actor);
    FUZZ_REQUIRE(connection != NULL, "reply-unasked", "%s to a connection that is closed", rj_api_name(reply->api_key));
    FUZZ_REQUIRE(connection->is_busy && connection->correlation_id == reply->correlation_id &&
                 connection->api_key == reply->api_key && connection->version == reply->version, "reply-unasked",
                 "%s v%d, correlation id %d", rj_api_name(reply->api_key), reply->version, reply->correlation_id);
    FUZZ_REQUIRE(reply->rule < RJ_RULE_COUNT, "reply-rule", "rule %d", (int)reply->rule);
    struct rj_fault fault;
    size_t len;
    enum rj_err err = rj_encoded_len(rj_response_schema(reply->api_key), reply->version, reply->body, &len, &fault);
    FUZZ_REQUIRE(err == RJ_OK, "reply-encode", "%s v%d: %s at %s", rj_api_name(reply->api_key), reply->version,
                 rj_err_name(err), fault.field);
    connection->is_busy = false;
    int16_t error_code = world_error_of(reply->api_key, reply->version, reply->body);
    fuzz_trace("%lld  #%d %s answered: error %d, rule %s", (long long)world->now_ms, reply->correlation_id,
               rj_api_name(reply->api_key), error_code,
               reply->rule == RJ_RULE_NONE ? "-" : rj_rule_row(reply->rule)->id);
    world->accepted += error_code == 0;
    world->refused_for_memory |= reply->rule == RJ_RULE_LIMIT_MEMORY;
    struct rj_check_message message = {.stream = reply->connection_id, .frame = ++world->event_number,
        .time_ms = world->now_ms, .api_key = reply->api_key, .version = reply->version,
        .correlation_id = reply->correlation_id, .body = reply->body};
    rj_check_response(world->checker, &message);
    world_learn(world, actor, connection->group, reply->api_key, reply->body, error_code);
    /* Facts: what was answered in which state, and by which rule. */
    uint32_t answered[3] = {(uint32_t)reply->api_key, (uint32_t)error_code, world->group_state[connection->group]};
    fuzz_mark(2048 + fuzz_hash(1, answered, sizeof(answered)) % 2048);
    fuzz_mark(1024 + (uint32_t)reply->rule % 1024);
}

static void take_change(struct world *world, const struct rj_state_change *change)
{
    uint32_t facts[3] = {change->from, change->to, change->rule};
    fuzz_trace("%lld  %.*s: %s -> %s, generation %d, rule %s", (long long)world->now_ms, change->group_id.len,
               change->group_id.data, rj_group_state_name(change->from), rj_group_state_name(change->to),
               change->generation_id, change->rule == RJ_RULE_NONE ? "-" : rj_rule_row(change->rule)->id);
    fuzz_mark(fuzz_hash(2, facts, sizeof(facts)) % 1024);
    for (uint8_t group = 0; group < SEQUENCE_GROUPS; group++)
        if (rj_string_equal(change->group_id, world_string(world_group_id(group)))) {
            FUZZ_REQUIRE(!world->state_known[group] || world->group_state[group] == change->from ||
                         change->from == RJ_GROUP_EMPTY, "state-chain", "%s: from %s, was %s", world_group_id(group),
                         rj_group_state_name(change->from), rj_group_state_name(world->group_state[group]));
            world->group_state[group] = change->to;
            world->state_known[group] = true;
        }
}

enum rj_err world_step(struct world *world, struct rj_event *event)
{
    struct rj_update update;
    event->now_ms = world->now_ms;
    enum rj_err err = rj_step(world->coord, event, &update);
    world->heap.fail_at = 0; /* it was meant for this event */
    if (err != RJ_OK) {
        bool is_request = event->type == RJ_EVENT_REQUEST;
        FUZZ_REQUIRE(is_request ? err == RJ_ERR_API : err == RJ_ERR_MEMORY && world->is_tight, "step-error", "%s",
                     rj_err_name(err));
        world->may_wedge |= !is_request; /* what could not be done is not repeated here */
        return err;
    }
    for (int32_t i = 0; i < update.change_count; i++)
        take_change(world, &update.changes[i]);
    for (int32_t i = 0; i < update.append_count; i++)
        world_keep_records(world, &update.appends[i]);
    for (int32_t i = 0; i < update.reply_count; i++)
        take_reply(world, &update.replies[i]);
    check_invariants(world);
    while (!world->appends_wait && world->append_count > 0)
        world_resolve_append(world, 0);
    return RJ_OK;
}

/* ---- Operations that are no requests ------------------------------------------------------------------------------ */

/* What a tick does may make something else due at once, but not for ever. */
static void tick(struct world *world)
{
    enum { TICKS_AT_ONCE = 100 };
    struct rj_event event = {.type = RJ_EVENT_TICK};
    int ticks = 0;
    do {
        world->tick_count++;
        fuzz_trace("%lld  tick", (long long)world->now_ms);
        if (world_step(world, &event) != RJ_OK)
            return;
        FUZZ_REQUIRE(++ticks < TICKS_AT_ONCE, "deadline", "due at %lld after %d ticks at %lld",
                     (long long)rj_next_deadline_ms(world->coord), ticks, (long long)world->now_ms);
    } while (rj_next_deadline_ms(world->coord) <= world->now_ms);
}

/* Time never jumps over a deadline: the host ticks when one is due. */
static void advance_to(struct world *world, int64_t until_ms)
{
    while (world->tick_count < RUN_TICKS && rj_next_deadline_ms(world->coord) <= until_ms) {
        if (rj_next_deadline_ms(world->coord) > world->now_ms)
            world->now_ms = rj_next_deadline_ms(world->coord);
        tick(world);
    }
    world->now_ms = until_ms > world->now_ms ? until_ms : world->now_ms;
}

static void advance(struct world *world, const struct sequence_op *op)
{
    static const int32_t spans_ms[] = {0, 1, 100, 1000, 3000, 5000, 6000, 10000, 30000, 60000, 300000, 600000};
    int64_t deadline_ms = rj_next_deadline_ms(world->coord);
    if (op->a >= 64 && deadline_ms < INT64_MAX - 1 && deadline_ms + 1 > world->now_ms)
        advance_to(world, op->a >= 192 ? deadline_ms - 1 : op->a >= 160 ? deadline_ms + 1 : deadline_ms);
    else
        advance_to(world, world->now_ms + spans_ms[op->a % (sizeof(spans_ms) / sizeof(spans_ms[0]))]);
    if (op->b >= 250) /* a tick that nothing asked for */
        tick(world);
}

static void disconnect(struct world *world, const struct sequence_op *op)
{
    struct world_connection *connection = &world->actors[op->actor].connections[op->a % WORLD_CONNECTIONS];
    if (connection->id == 0)
        return;
    struct rj_event event = {.type = RJ_EVENT_DISCONNECT};
    fuzz_trace("%lld  actor %u disconnects", (long long)world->now_ms, op->actor);
    event.as.disconnect.connection_id = connection->id;
    rj_check_close(world->checker, connection->id, ++world->event_number, world->now_ms);
    memset(connection, 0, sizeof(*connection)); /* a reply to it would now be one that nobody asked for */
    world_step(world, &event);
}

static void change_topics(struct world *world, uint8_t present, uint8_t more)
{
    static const char *const names[SEQUENCE_TOPICS] = {"t0", "t1", "t2", "t3"};
    uint32_t next = 1 - world->topics_in_force;
    int32_t count = 0;
    for (int i = 0; i < SEQUENCE_TOPICS; i++) {
        if (!(present >> i & 1))
            continue;
        struct rj_topic *topic = &world->topics[next][count++];
        topic->name = world_string(names[i]);
        memset(&topic->topic_id, 0, sizeof(topic->topic_id));
        topic->topic_id.bytes[0] = (uint8_t)(i + 1);
        topic->topic_id.bytes[15] = present >> 7; /* recreated */
        topic->partition_count = 1 + (more >> i & 3);
    }
    world->topic_tables[next] = (struct rj_topic_table){world->topics[next], count};
    world->topics_in_force = next;
    struct rj_event event = {.type = RJ_EVENT_TOPIC_METADATA};
    event.as.topic_metadata.topics = &world->topic_tables[next];
    world_step(world, &event);
}

static void change_config(struct world *world, const struct sequence_op *op)
{
    static const int32_t delays_ms[] = {0, 3000, 100, 60000};
    world->config.group_initial_rebalance_delay_ms = delays_ms[op->a % 4];
    world->config.group_max_size = op->b & 1 ? 1 + op->b % 4 : INT32_MAX;
    world->config.group_min_session_timeout_ms = op->c & 1 ? 1 : 6000;
    fuzz_trace("%lld  config: initial delay %d ms, largest group %d, least session %d ms", (long long)world->now_ms,
               world->config.group_initial_rebalance_delay_ms, world->config.group_max_size,
               world->config.group_min_session_timeout_ms);
    struct rj_event event = {.type = RJ_EVENT_CONFIG};
    event.as.config.config = &world->config;
    world_step(world, &event);
}

static void end_transaction(struct world *world, const struct sequence_op *op)
{
    struct rj_event event = {.type = RJ_EVENT_TRANSACTION_MARKER};
    if (world->is_loading)
        return; /* what is loaded stands in the log */
    world_keep_marker(world, 1 + op->a % 3, op->b < 128);
    event.as.transaction_marker.producer_id = 1 + op->a % 3;
    event.as.transaction_marker.producer_epoch = 0;
    event.as.transaction_marker.commit = op->b < 128;
    world_step(world, &event);
}

/* A log has no holes: what was to stand behind a batch that failed fails too. */
static void resolve_append(struct world *world, const struct sequence_op *op)
{
    /* Those that Kafka's log answers with, and one that it never does. */
    static const int16_t errors[] = {3, 6, 7, 10, 14, 15, 16, 18, 19, 20, 56, -1};
    int16_t error_code = op->a < 160 ? 0 : errors[op->a % (sizeof(errors) / sizeof(errors[0]))];
    uint32_t count = error_code == 0 ? 1 : world->append_count;
    for (; count > 0 && world->append_count > 0; count--)
        world_resolve_append(world, error_code);
}

void world_run_op(struct world *world, const struct sequence_op *op)
{
    rj_arena_reset(&world->scratch);
    if (world->is_loading)
        world_load_some(world, 1 + op->c % 64u);
    switch (op->kind) {
    case OP_ADVANCE: advance(world, op); break;
    case OP_DISCONNECT: disconnect(world, op); break;
    case OP_APPEND_RESULT: resolve_append(world, op); break;
    case OP_TOPICS: change_topics(world, op->a, op->b); break;
    case OP_CONFIG: change_config(world, op); break;
    case OP_RELOAD: world_reload(world, op); break;
    case OP_MARKER: end_transaction(world, op); break;
    case OP_FAIL_MEMORY: world->fail_next = 1 + op->a % 24u; break;
    default: world_send_request(world, op); break;
    }
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void set_config(struct world *world)
{
    static const char *const releases[] = {"4.1", "4.1", "4.1", "3.9", "2.1", "4.2", "0.11", "2.6"};
    const char *release = releases[world->settings.release % 8];
    if (!rj_config_for_release(&world->config, world_string(release)))
        rj_config_init(&world->config);
    if (!(world->settings.flags & 1))
        world->config.group_initial_rebalance_delay_ms = 0;
    world->appends_wait = (world->settings.flags & 2) != 0;
}

void world_begin(struct world *world, struct sequence_settings settings)
{
    memset(world, 0, offsetof(struct world, appends));
    world->settings = settings;
    world->now_ms = 1000000;
    fuzz_heap_init(&world->heap, 0);
    fuzz_heap_init(&world->checker_heap, 0);
    fuzz_heap_init(&world->scratch_heap, 0);
    rj_arena_init(&world->scratch, &world->scratch_heap.allocator, SIZE_MAX);
    set_config(world);
    struct rj_limits limits;
    rj_limits_init(&limits);
    if (settings.limits & 1)
        limits.groups = 2;
    if (settings.limits & 2)
        limits.members_per_group = 3;
    if (settings.limits & 4)
        limits.offsets = 5;
    world->is_tight = (settings.limits & 8) != 0;
    if (world->is_tight)
        limits.bytes = (size_t)131072 << (settings.limits >> 6);
    struct rj_check_config check;
    rj_check_config_init(&check);
    check.from_start = true;
    enum rj_err err = rj_coord_create(&world->coord, &world->heap.allocator, &limits, &world->config);
    if (err == RJ_OK)
        err = rj_check_create(&world->checker, &world->checker_heap.allocator, &check);
    FUZZ_REQUIRE(err == RJ_OK, "create", "%s", rj_err_name(err));
    for (uint8_t group = 0; group < SEQUENCE_GROUPS; group++) {
        world->group_state[group] = RJ_GROUP_EMPTY;
        for (int i = 0; i < SEQUENCE_ACTORS; i++)
            world->actors[i].generation_id[group] = -1;
    }
    change_topics(world, 7, 0x55);
}

/* The first connection whose request is not answered; NULL: there is none. */
static const struct world_connection *waiting(const struct world *world)
{
    for (int i = 0; i < SEQUENCE_ACTORS; i++)
        for (int j = 0; j < WORLD_CONNECTIONS; j++)
            if (world->actors[i].connections[j].is_busy && !world->actors[i].connections[j].may_be_forgotten)
                return &world->actors[i].connections[j];
    return NULL;
}

void world_heal(struct world *world)
{
    rj_arena_reset(&world->scratch);
    world->appends_wait = false;
    world->fail_next = 0;
    while (world->is_loading)
        world_load_some(world, WORLD_MAX_RECORDS);
    while (world->append_count > 0)
        world_resolve_append(world, 0);
    const struct world_connection *connection;
    int64_t begun_ms = world->now_ms;
    world->tick_count = 0;
    for (int ticks = 0; !world->may_wedge && (connection = waiting(world)) != NULL; ticks++) {
        int64_t deadline_ms = rj_next_deadline_ms(world->coord);
        bool long_enough = world->now_ms - begun_ms > INT32_MAX;
        if (world->tick_count >= HEAL_TICKS && !long_enough)
            break; /* too little time has passed to judge */
        FUZZ_REQUIRE(deadline_ms != INT64_MAX && !long_enough, "liveness",
                     "%s v%d, correlation id %d, group %u, is not answered after %d ticks, %lld ms",
                     rj_api_name(connection->api_key), connection->version, connection->correlation_id,
                     connection->group, ticks, (long long)(world->now_ms - begun_ms));
        advance_to(world, deadline_ms);
    }
}

void world_end(struct world *world)
{
    rj_check_finish(world->checker, world->now_ms);
    check_invariants(world);
    rj_check_destroy(world->checker);
    rj_coord_destroy(world->coord);
    rj_arena_release(&world->scratch);
    world_end_log(world);
    fuzz_heap_finish(&world->heap, "heap-balance");
    fuzz_heap_finish(&world->checker_heap, "heap-balance-checker");
    fuzz_heap_finish(&world->scratch_heap, "heap-balance-scratch");
}
