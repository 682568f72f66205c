/* Appends: what waits for them, what their failure takes back, what a lost partition answers. */
#include "rejoin/inspect.h"
#include "support_coord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void finish(struct coord_world *world, uint64_t append_id, int16_t error)
{
    struct rj_event event = {.type = RJ_EVENT_APPEND_RESULT, .as.append_result = {append_id, error}};
    assert_int_equal(coord_world_step(world, &event), RJ_OK);
}

static int16_t commit_error(const struct rj_reply *reply)
{
    const struct rj_offset_commit_response *response = reply->body;
    return response->topics.items[0].partitions.items[0].error_code;
}

static void a_commit_waits(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    assert_int_equal(send_commit(&world, "", -1, 3), 0);
    world.holds_writes = true;
    assert_int_equal(send_commit(&world, "", -1, 9), PARKED);
    assert_int_equal(fetch_offset(&world), 3); /* only what is replicated */
    finish(&world, world.last_append_id, 0);
    assert_int_equal(world.last.reply_count, 1);
    assert_int_equal(commit_error(&world.last.replies[0]), 0);
    assert_int_equal(fetch_offset(&world), 9);
    coord_world_close(&world);
}

static void a_failed_commit_is_taken_back(void **context)
{
    (void)context;
    static const int16_t errors[][2] = {{3, 15}, {19, 15}, {7, 15}, {6, 16}, {56, 16}, {10, -1}, {18, -1}, {4, -1},
                                        {13, 14}, {20, 20}};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct coord_world world;
        coord_world_open(&world, NULL);
        assert_int_equal(send_commit(&world, "", -1, 3), 0);
        world.append_error = errors[i][0];
        assert_int_equal(send_commit(&world, "", -1, 9), errors[i][1]);
        assert_int_equal(world.rule, RJ_RULE_APPEND_ERROR);
        world.append_error = 0;
        assert_int_equal(fetch_offset(&world), 3);
        coord_world_close(&world);
    }
}

static void writes_fail_in_any_order(void **context)
{
    (void)context;
    struct coord_world world;
    uint64_t first = open_with_held_commit(&world);
    assert_int_equal(send_commit(&world, "", -1, 9), PARKED);
    uint64_t second = world.last_append_id;
    finish(&world, first, RJ_KAFKA_NOT_ENOUGH_REPLICAS);
    assert_int_equal(commit_error(&world.last.replies[0]), 15);
    assert_int_equal(fetch_offset(&world), 3);
    finish(&world, second, 0);
    assert_int_equal(fetch_offset(&world), 9);
    coord_world_close(&world);
}

static void a_write_without_a_result_times_out(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    world.holds_writes = true;
    assert_int_equal(send_commit(&world, "", -1, 9), PARKED);
    uint64_t append_id = world.last_append_id;
    coord_world_advance(&world, 4999);
    assert_false(world.answered);
    coord_world_advance(&world, 1);
    assert_true(world.answered);
    finish(&world, append_id, 0); /* it was written after all */
    assert_int_equal(world.last.reply_count, 0);
    assert_int_equal(fetch_offset(&world), 9);
    coord_world_close(&world);
}

static void a_new_group_is_taken_back(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    world.append_error = RJ_KAFKA_NOT_LEADER_OR_FOLLOWER;
    assert_int_equal(send_join(&world, 9, "", NULL, "range"), RJ_KAFKA_MEMBER_ID_REQUIRED); /* waits for nothing */
    char promised[128];
    strcpy(promised, world.member_id);
    world.append_error = 0;
    assert_int_equal(send_join(&world, 9, promised, NULL, "range"), RJ_KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(world.rule, RJ_RULE_JOIN_NOGROUP_KNOWN_ID);
    coord_world_close(&world);
}

static int send_delete(struct coord_world *world)
{
    struct rj_string names[] = {str("g")};
    struct rj_delete_groups_request request = {.groups_names = {names, 1}};
    return send_request(world, 42, 1, &request);
}

/* The state of the group that DescribeGroups shows. */
static const char *described(struct coord_world *world)
{
    struct rj_string names[] = {str("g")};
    struct rj_describe_groups_request request = {.groups = {names, 1}};
    assert_int_equal(send_request(world, 15, 5, &request), 0);
    return ((const struct rj_describe_groups_response *)world->reply.body)->groups.items[0].group_state.data;
}

/* What was deleted and made anew comes back when the records of both fail, in whichever order that is told. */
static void a_deletion_and_a_new_group_are_taken_back(void **context)
{
    (void)context;
    for (int newest_first = 0; newest_first < 2; newest_first++) {
        struct coord_world world;
        coord_world_open(&world, NULL);
        world.holds_writes = true;
        assert_int_equal(send_commit(&world, "", -1, 3), PARKED);
        uint64_t made = world.last_append_id;
        assert_int_equal(send_delete(&world), PARKED);
        finish(&world, made, 0); /* acknowledged after the deletion was asked for */
        assert_int_equal(fetch_offset(&world), 3);
        assert_int_equal(send_join(&world, 9, "", NULL, "range"), RJ_KAFKA_MEMBER_ID_REQUIRED);
        assert_int_equal(fetch_offset(&world), 3);
        for (uint64_t i = 1; i <= 2; i++)
            finish(&world, newest_first ? made + 3 - i : made + i, RJ_KAFKA_REQUEST_TIMED_OUT);
        assert_int_equal(fetch_offset(&world), 3);
        assert_string_equal(described(&world), "Empty");
        assert_int_equal(send_join(&world, 9, world.member_id, NULL, "range"), RJ_KAFKA_UNKNOWN_MEMBER_ID);
        assert_int_equal(world.rule, RJ_RULE_JOIN_UNKNOWN_MEMBER);
        coord_world_close(&world);
    }
}

/* A read of committed state sees the life whose end is not replicated, one after the other. */
static void a_group_is_deleted_twice(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    assert_int_equal(send_commit(&world, "", -1, 3), 0);
    world.holds_writes = true;
    uint64_t first = world.last_append_id + 1;
    assert_int_equal(send_delete(&world), PARKED);
    assert_int_equal(send_commit(&world, "", -1, 4), PARKED);
    assert_int_equal(send_delete(&world), PARKED);
    assert_int_equal(send_commit(&world, "", -1, 5), PARKED);
    static const char *const seen[] = {"Dead", "Empty", "Dead", "Empty"};
    static const int64_t offsets[] = {-1, 4, -1, 5};
    for (uint64_t i = 0; i < 4; i++) {
        finish(&world, first + i, 0);
        assert_int_equal(fetch_offset(&world), offsets[i]);
        assert_string_equal(described(&world), seen[i]);
    }
    coord_world_close(&world);
}

/* Its timer is overdue and starts anew without a delay, behind the promise that is due before. */
static void a_group_comes_again_while_its_timer_is_overdue(void **context)
{
    (void)context;
    struct rj_config config;
    rj_config_init(&config);
    struct coord_world world;
    coord_world_open(&world, &config);
    world.holds_writes = true;
    assert_int_equal(send_join(&world, 9, "", NULL, "range"), RJ_KAFKA_MEMBER_ID_REQUIRED);
    uint64_t made = world.last_append_id;
    assert_int_equal(send_join(&world, 1, "", NULL, "range"), PARKED);
    world.now_ms += 60000;
    finish(&world, made, RJ_KAFKA_REQUEST_TIMED_OUT);
    config.group_initial_rebalance_delay_ms = 0;
    struct rj_event event = {.type = RJ_EVENT_CONFIG, .as.config.config = &config};
    assert_int_equal(coord_world_step(&world, &event), RJ_OK);
    send_join(&world, 1, "", NULL, "range"); /* each step checks the heap */
    coord_world_close(&world);
}

static void losing_the_partition_answers_all(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    bring_to(&world, RJ_GROUP_PREPARING); /* one JoinGroup is parked */
    world.holds_writes = true;
    assert_int_equal(send_commit(&world, "", -1, 9), RJ_KAFKA_UNKNOWN_MEMBER_ID);
    struct rj_event event = {.type = RJ_EVENT_UNLOAD};
    assert_int_equal(coord_world_step(&world, &event), RJ_OK);
    assert_int_equal(world.last.reply_count, 1);
    assert_int_equal(((const struct rj_join_group_response *)world.last.replies[0].body)->error_code, 16);
    assert_int_equal(world.last.replies[0].rule, RJ_RULE_UNLOAD_PARKED_JOIN);
    assert_int_equal(send_heartbeat(&world, "m", 1), RJ_KAFKA_NOT_COORDINATOR);
    coord_world_close(&world);
}

/* Kafka tells everybody who waits for the first assignment, then the first SyncGroup itself. */
static void losing_the_partition_answers_the_later_of_two_syncs_first(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    struct pair pair = bring_to(&world, RJ_GROUP_COMPLETING);
    world.holds_writes = true;
    assert_int_equal(send_sync(&world, pair.leader, pair.generation_id, true), PARKED);
    uint64_t first = world.connection;
    assert_int_equal(send_sync(&world, pair.leader, pair.generation_id, true), PARKED);
    struct rj_event event = {.type = RJ_EVENT_UNLOAD};
    assert_int_equal(coord_world_step(&world, &event), RJ_OK);
    assert_int_equal(world.last.reply_count, 2);
    assert_int_equal(world.last.replies[1].connection_id, first);
    coord_world_close(&world);
}

static void a_disconnected_client_gets_nothing(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    bring_to(&world, RJ_GROUP_PREPARING);
    struct rj_event event = {.type = RJ_EVENT_DISCONNECT, .as.disconnect = {world.connection}};
    coord_world_step(&world, &event);
    int32_t replies = 0;
    struct rj_event unload = {.type = RJ_EVENT_UNLOAD};
    coord_world_step(&world, &unload);
    replies += world.last.reply_count;
    assert_int_equal(replies, 0);
    coord_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_waits),
        cmocka_unit_test(a_failed_commit_is_taken_back),
        cmocka_unit_test(writes_fail_in_any_order),
        cmocka_unit_test(a_write_without_a_result_times_out),
        cmocka_unit_test(a_new_group_is_taken_back),
        cmocka_unit_test(a_deletion_and_a_new_group_are_taken_back),
        cmocka_unit_test(a_group_is_deleted_twice),
        cmocka_unit_test(a_group_comes_again_while_its_timer_is_overdue),
        cmocka_unit_test(losing_the_partition_answers_all),
        cmocka_unit_test(losing_the_partition_answers_the_later_of_two_syncs_first),
        cmocka_unit_test(a_disconnected_client_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
