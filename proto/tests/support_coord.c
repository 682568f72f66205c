#include "support_coord.h"

#include "rejoin/inspect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct rj_topic topic_items[] = {{{"t", 1}, {{1}}, 6}};
static const struct rj_topic_table topics = {topic_items, 1};

struct rj_string str(const char *text) { return (struct rj_string){text, text ? (int32_t)strlen(text) : 0}; }

static void *counted_alloc(void *context, size_t size)
{
    struct counting_heap *heap = context;
    if (++heap->calls == heap->fail_at)
        return NULL;
    heap->live_bytes += (int64_t)size;
    return malloc(size);
}

static void counted_free(void *context, void *memory, size_t size)
{
    struct counting_heap *heap = context;
    heap->live_bytes -= (int64_t)size;
    free(memory);
}

void counting_heap_init(struct counting_heap *heap)
{
    *heap = (struct counting_heap){.allocator = {counted_alloc, counted_free, heap}};
}

void coord_world_open(struct coord_world *world, const struct rj_config *config)
{
    struct rj_config defaults;
    struct rj_limits limits;
    rj_config_init(&defaults);
    defaults.group_initial_rebalance_delay_ms = 0;
    rj_limits_init(&limits);
    memset(world, 0, sizeof(*world));
    counting_heap_init(&world->heap);
    world->now_ms = 1000;
    assert_int_equal(rj_coord_create(&world->coord, &world->heap.allocator, &limits, config ? config : &defaults),
                     RJ_OK);
    struct rj_event event = {.type = RJ_EVENT_TOPIC_METADATA, .as.topic_metadata = {&topics}};
    coord_world_step(world, &event);
}

void coord_world_close(struct coord_world *world)
{
    const char *broken = NULL;
    assert_true(rj_check(world->coord, &broken));
    rj_coord_destroy(world->coord);
    assert_int_equal(world->heap.live_bytes, 0);
}

static void see_reply(struct coord_world *world, const struct rj_reply *reply)
{
    if (reply->api_key == 11) {
        const struct rj_join_group_response *join = reply->body;
        if (reply->connection_id == world->connection) {
            snprintf(world->member_id, sizeof(world->member_id), "%.*s", (int)join->member_id.len,
                     join->member_id.data);
            world->generation_id = join->generation_id;
        }
    }
    if (reply->connection_id != world->connection)
        return;
    world->answered = true;
    world->reply = *reply;
    world->rule = reply->rule;
}

static void check(struct coord_world *world)
{
    const char *broken = NULL;
    if (!rj_check(world->coord, &broken))
        fail_msg("broken: %s", broken);
}

enum rj_err coord_world_step(struct coord_world *world, struct rj_event *event)
{
    event->now_ms = world->now_ms;
    event->is_assured = world->assures;
    enum rj_err err = rj_step(world->coord, event, &world->last);
    check(world);
    for (int32_t i = 0; i < world->last.reply_count; i++)
        see_reply(world, &world->last.replies[i]);
    world->append_count += world->last.append_count;
    if (world->last.append_count == 0)
        return err;
    assert_int_equal(world->last.append_count, 1);
    world->last_append_id = world->last.appends[0].append_id;
    if (world->holds_writes || world->last_append_id == 0)
        return err;
    struct rj_event result = {.type = RJ_EVENT_APPEND_RESULT,
                              .as.append_result = {world->last_append_id, world->append_error}};
    enum rj_err result_err = coord_world_step(world, &result);
    while (result_err == RJ_ERR_MEMORY) /* nothing has changed: the event is repeated */
        result_err = coord_world_step(world, &result);
    return err;
}

static void run_due(struct coord_world *world)
{
    while (rj_next_deadline_ms(world->coord) <= world->now_ms) {
        struct rj_event tick = {.type = RJ_EVENT_TICK};
        coord_world_step(world, &tick);
    }
}

void coord_world_advance(struct coord_world *world, int64_t ms)
{
    int64_t until_ms = world->now_ms + ms;
    for (int64_t next_ms; (next_ms = rj_next_deadline_ms(world->coord)) <= until_ms;) {
        world->now_ms = next_ms > world->now_ms ? next_ms : world->now_ms;
        run_due(world);
    }
    world->now_ms = until_ms;
}

static int16_t error_of(const struct rj_reply *reply)
{
    switch (reply->api_key) {
    case 8: {
        const struct rj_offset_commit_response *commit = reply->body;
        return commit->topics.count ? commit->topics.items[0].partitions.items[0].error_code : -100;
    }
    case 9: {
        const struct rj_offset_fetch_response *fetch = reply->body;
        return fetch->groups.count ? fetch->groups.items[0].error_code : fetch->error_code;
    }
    case 11: return ((const struct rj_join_group_response *)reply->body)->error_code;
    case 12: return ((const struct rj_heartbeat_response *)reply->body)->error_code;
    case 13: {
        const struct rj_leave_group_response *leave = reply->body;
        return leave->members.count ? leave->members.items[0].error_code : leave->error_code;
    }
    case 14: return ((const struct rj_sync_group_response *)reply->body)->error_code;
    case 28: {
        const struct rj_txn_offset_commit_response *commit = reply->body;
        return commit->topics.count ? commit->topics.items[0].partitions.items[0].error_code : -100;
    }
    case 42: return ((const struct rj_delete_groups_response *)reply->body)->results.items[0].error_code;
    case 47: return ((const struct rj_offset_delete_response *)reply->body)->error_code;
    default: return 0;
    }
}

int send_request(struct coord_world *world, int16_t api_key, int16_t version, const void *body)
{
    struct rj_event event = {.type = RJ_EVENT_REQUEST};
    memset(event.entropy.bytes, ++world->entropy, sizeof(event.entropy.bytes));
    event.as.request.connection_id = ++world->connection;
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.client_id = str("c");
    event.as.request.client_host = str("/127.0.0.1");
    event.as.request.body = body;
    world->answered = false;
    world->rule = RJ_RULE_NONE;
    assert_int_equal(coord_world_step(world, &event), RJ_OK);
    run_due(world);
    if (!world->answered)
        return PARKED;
    /* Answers live until the next step; those of the step itself are read in see_reply where they matter. */
    return world->error = error_of(&world->reply);
}

int send_join(struct coord_world *world, int16_t version, const char *member_id, const char *instance_id,
              const char *protocol)
{
    struct rj_join_group_request_protocol one = {.name = str(protocol), .metadata = {(const uint8_t *)"m", 1}};
    struct rj_join_group_request request = {
        .group_id = str("g"), .session_timeout_ms = 10000, .rebalance_timeout_ms = 20000, .member_id = str(member_id),
        .group_instance_id = str(instance_id), .protocol_type = str("consumer"), .protocols = {&one, 1}};
    return send_request(world, 11, version, &request);
}

int send_sync(struct coord_world *world, const char *member_id, int32_t generation_id, bool with_assignment)
{
    struct rj_sync_group_request_assignment one = {.member_id = str(member_id),
                                                   .assignment = {(const uint8_t *)"mine", 4}};
    struct rj_sync_group_request request = {.group_id = str("g"), .generation_id = generation_id,
                                            .member_id = str(member_id),
                                            .assignments = {&one, with_assignment ? 1 : 0}};
    return send_request(world, 14, 4, &request);
}

int send_heartbeat(struct coord_world *world, const char *member_id, int32_t generation_id)
{
    struct rj_heartbeat_request request = {.group_id = str("g"), .generation_id = generation_id,
                                           .member_id = str(member_id)};
    return send_request(world, 12, 4, &request);
}

int send_leave(struct coord_world *world, const char *member_id)
{
    struct rj_leave_group_request_member_identity one = {.member_id = str(member_id)};
    struct rj_leave_group_request request = {.group_id = str("g"), .members = {&one, 1}};
    return send_request(world, 13, 5, &request);
}

int send_commit(struct coord_world *world, const char *member_id, int32_t generation_id, int64_t offset)
{
    struct rj_offset_commit_request_partition partition = {.committed_offset = offset, .committed_leader_epoch = -1};
    struct rj_offset_commit_request_topic topic = {.name = str("t"), .partitions = {&partition, 1}};
    struct rj_offset_commit_request request = {.group_id = str("g"), .member_id = str(member_id),
                                               .generation_id_or_member_epoch = generation_id,
                                               .retention_time_ms = -1, .topics = {&topic, 1}};
    return send_request(world, 8, 9, &request);
}

int64_t fetch_offset(struct coord_world *world)
{
    int32_t index = 0;
    struct rj_offset_fetch_request_topics topic = {.name = str("t"), .partition_indexes = {&index, 1}};
    struct rj_offset_fetch_request_group group = {.group_id = str("g"), .member_epoch = -1, .topics = {&topic, 1}};
    struct rj_offset_fetch_request request = {.groups = {&group, 1}};
    assert_int_equal(send_request(world, 9, 9, &request), 0);
    const struct rj_offset_fetch_response *response = world->reply.body;
    return response->groups.items[0].topics.items[0].partitions.items[0].committed_offset;
}

/* ---- States ------------------------------------------------------------------------------------------------------------ */

/* The first member alone, up to the generation's JoinGroup answer. */
static void first_member(struct coord_world *world, char *id)
{
    assert_int_equal(send_join(world, 9, "", NULL, "range"), RJ_KAFKA_MEMBER_ID_REQUIRED);
    strcpy(id, world->member_id);
    assert_int_equal(send_join(world, 9, id, NULL, "range"), 0);
}

uint64_t open_with_held_commit(struct coord_world *world)
{
    coord_world_open(world, NULL);
    assert_int_equal(send_commit(world, "", -1, 3), 0);
    world->holds_writes = true;
    assert_int_equal(send_commit(world, "", -1, 8), PARKED);
    return world->last_append_id;
}

struct pair bring_to(struct coord_world *world, enum rj_group_state state)
{
    struct pair pair = {.generation_id = 0};
    first_member(world, pair.leader);
    if (state == RJ_GROUP_EMPTY) {
        assert_int_equal(send_leave(world, pair.leader), 0);
        strcpy(pair.follower, "nobody");
        pair.generation_id = 2;
        return pair;
    }
    assert_int_equal(send_join(world, 9, "", NULL, "range"), RJ_KAFKA_MEMBER_ID_REQUIRED);
    strcpy(pair.follower, world->member_id);
    assert_int_equal(send_join(world, 9, pair.follower, NULL, "range"), PARKED);
    assert_int_equal(send_join(world, 9, pair.leader, NULL, "range"), 0);
    pair.generation_id = 2;
    if (state == RJ_GROUP_COMPLETING)
        return pair;
    assert_int_equal(send_sync(world, pair.follower, 2, false), PARKED);
    assert_int_equal(send_sync(world, pair.leader, 2, true), 0);
    if (state == RJ_GROUP_STABLE)
        return pair;
    if (state == RJ_GROUP_DEAD) {
        assert_true(rj_force_group_state(world->coord, str("g"), RJ_GROUP_DEAD));
        return pair;
    }
    /* A third member's JoinGroup starts a rebalance. */
    assert_int_equal(send_join(world, 3, "", NULL, "range"), PARKED);
    return pair;
}
