/* Work grows with what is asked, not with what is there: counted in allocations, the one thing that takes no clock. */
#include "support_coord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rj_config with_initial_delay(void)
{
    struct rj_config config;
    rj_config_init(&config);
    return config;
}

static void send(struct rj_coord *coord, int64_t now_ms, int32_t number, int16_t api_key, int16_t version,
                 const void *body, struct rj_update *update)
{
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .now_ms = now_ms};
    memcpy(event.entropy.bytes, &number, sizeof(number));
    event.as.request.connection_id = (uint64_t)number + 1;
    event.as.request.correlation_id = number;
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.client_id = str("c");
    event.as.request.client_host = str("/127.0.0.1");
    event.as.request.body = body;
    assert_int_equal(rj_step(coord, &event, update), RJ_OK);
    for (int32_t i = 0; i < update->append_count; i++) {
        struct rj_event result = {.type = RJ_EVENT_APPEND_RESULT, .now_ms = now_ms,
                                  .as.append_result = {update->appends[i].append_id, 0}};
        assert_int_equal(rj_step(coord, &result, update), RJ_OK);
    }
}

/* Lets time pass until the join phase ends; how many are answered then. */
static int32_t end_join_phase(struct rj_coord *coord, int64_t *now_ms)
{
    struct rj_update update = {.reply_count = 0};
    for (*now_ms = 4000; *now_ms < 30000 && update.reply_count == 0; *now_ms += 1000) {
        struct rj_event tick = {.type = RJ_EVENT_TICK, .now_ms = *now_ms};
        assert_int_equal(rj_step(coord, &tick, &update), RJ_OK);
    }
    return update.reply_count;
}

static struct rj_coord *open_coord(struct counting_heap *heap)
{
    struct rj_config config = with_initial_delay();
    struct rj_limits limits;
    struct rj_coord *coord;
    rj_limits_init(&limits);
    counting_heap_init(heap);
    assert_int_equal(rj_coord_create(&coord, &heap->allocator, &limits, &config), RJ_OK);
    return coord;
}

static void join(struct rj_coord *coord, const char *group_id, int32_t number)
{
    struct rj_update update;
    struct rj_join_group_request_protocol one = {.name = str("range"), .metadata = {(const uint8_t *)"m", 1}};
    struct rj_join_group_request request = {.group_id = str(group_id), .session_timeout_ms = 300000,
                                            .rebalance_timeout_ms = 20000, .member_id = str(""),
                                            .protocol_type = str("consumer"), .protocols = {&one, 1}};
    send(coord, 1000, number, 11, 3, &request, &update);
}

/* Allocations from the first join to the end of the join phase, and how many were answered then. */
static int64_t form(int32_t members, struct counting_heap *heap, int32_t *answered)
{
    struct rj_coord *coord = open_coord(heap);
    for (int32_t i = 0; i < members; i++)
        join(coord, "g", i);
    int64_t now_ms;
    *answered = end_join_phase(coord, &now_ms);
    int64_t calls = heap->calls;
    const char *broken;
    assert_true(rj_check(coord, &broken));
    rj_coord_destroy(coord);
    assert_int_equal(heap->live_bytes, 0);
    return calls;
}

static void joining_is_linear(void **context)
{
    (void)context;
    struct counting_heap heap;
    int32_t answered;
    int64_t thousand = form(1000, &heap, &answered);
    assert_int_equal(answered, 1000);
    int64_t ten_thousand = form(10000, &heap, &answered);
    assert_int_equal(answered, 10000);
    assert_true(ten_thousand <= thousand * 11);
}

/* A heartbeat takes no memory, whoever else is there. */
static void heartbeats_allocate_nothing(void **context)
{
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    struct pair pair = bring_to(&world, RJ_GROUP_STABLE);
    assert_int_equal(send_heartbeat(&world, pair.follower, pair.generation_id), 0);
    int64_t calls = world.heap.calls;
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_heartbeat(&world, pair.follower, pair.generation_id), 0);
    assert_int_equal(world.heap.calls, calls);
    coord_world_close(&world);
}

/* What the output of a large group took is not kept for the small ones that follow. */
static void a_large_rebalance_is_forgotten(void **context)
{
    enum { MEMBERS = 1000 };
    const int64_t answers_len = MEMBERS * (int64_t)sizeof(struct rj_join_group_response);
    (void)context;
    struct counting_heap heap;
    struct rj_update update;
    struct rj_coord *coord = open_coord(&heap);
    for (int32_t i = 0; i < MEMBERS; i++)
        join(coord, "g", i);
    int64_t now_ms;
    assert_int_equal(end_join_phase(coord, &now_ms), MEMBERS);
    int64_t during = heap.live_bytes;
    struct rj_heartbeat_request heartbeat = {.group_id = str("other"), .member_id = str("m")};
    for (int i = 0; i < 20; i++)
        send(coord, now_ms, 0, 12, 3, &heartbeat, &update);
    assert_true(heap.live_bytes < during - answers_len);
    rj_coord_destroy(coord);
    assert_int_equal(heap.live_bytes, 0);
}

static int steps_ahead(const struct rj_coord *coord, const char *group_id)
{
    int steps = 0;
    struct rj_ahead ahead;
    rj_look_ahead(coord, str(group_id), str("nobody"), &ahead);
    while (rj_look_further(&ahead))
        steps++;
    assert_false(rj_look_further(&ahead)); /* and stays at its end */
    return steps;
}

static void looking_ahead_only_looks(void **context)
{
    enum { GROUPS = 300 };
    (void)context;
    struct counting_heap heap;
    struct rj_coord *coord = open_coord(&heap);
    assert_int_equal(steps_ahead(coord, "g"), 0);
    char name[16];
    for (int32_t i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        join(coord, name, i);
    }
    int64_t calls = heap.calls;
    int to_the_bucket = 0;
    for (int32_t i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        int steps = steps_ahead(coord, name);
        assert_in_range(steps, 2, 3); /* the group and its bucket of ids, with one in it or none */
        to_the_bucket += steps == 3;
    }
    assert_in_range(to_the_bucket, 1, GROUPS - 1);
    assert_in_range(steps_ahead(coord, "unknown"), 0, 1);
    assert_int_equal(heap.calls, calls);
    const char *broken;
    assert_true(rj_check(coord, &broken));
    rj_coord_destroy(coord);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_is_linear),
        cmocka_unit_test(heartbeats_allocate_nothing),
        cmocka_unit_test(a_large_rebalance_is_forgotten),
        cmocka_unit_test(looking_ahead_only_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
