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

/* Allocations from the first join to the end of the join phase, and how many were answered then. */
static int64_t form(int32_t members, struct counting_heap *heap, int32_t *answered)
{
    struct rj_config config = with_initial_delay();
    struct rj_limits limits;
    struct rj_coord *coord;
    struct rj_update update;
    rj_limits_init(&limits);
    counting_heap_init(heap);
    assert_int_equal(rj_coord_create(&coord, &heap->allocator, &limits, &config), RJ_OK);
    struct rj_join_group_request_protocol one = {.name = str("range"), .metadata = {(const uint8_t *)"m", 1}};
    struct rj_join_group_request request = {.group_id = str("g"), .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 20000, .member_id = str(""),
                                            .protocol_type = str("consumer"), .protocols = {&one, 1}};
    for (int32_t i = 0; i < members; i++)
        send(coord, 1000, i, 11, 3, &request, &update);
    *answered = 0;
    for (int64_t now_ms = 4000; now_ms < 30000 && *answered == 0; now_ms += 1000) {
        struct rj_event tick = {.type = RJ_EVENT_TICK, .now_ms = now_ms};
        assert_int_equal(rj_step(coord, &tick, &update), RJ_OK);
        *answered = update.reply_count;
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_is_linear),
        cmocka_unit_test(heartbeats_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
