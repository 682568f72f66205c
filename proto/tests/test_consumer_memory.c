/* No memory, at each place where memory is asked for: the consumer says so, leaks nothing and breaks nothing. */
#include "support_consumer.h"
#include "support_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct failing { int64_t left; int64_t held_len; }; /* so many allocations succeed */

static void *failing_alloc(void *context, size_t size)
{
    struct failing *failing = context;
    if (failing->left-- <= 0)
        return NULL;
    failing->held_len += (int64_t)size;
    return malloc(size);
}

static void failing_free(void *context, void *memory, size_t size)
{
    struct failing *failing = context;
    failing->held_len -= memory != NULL ? (int64_t)size : 0;
    free(memory);
}

/* Join, fetch offsets, consume, commit, rebalance with more, close: everything that takes memory. */
static void live(struct scripted *script)
{
    scripted_begin(script);
    for (int32_t generation_id = 1; generation_id <= 3; generation_id++) {
        scripted_join(script, generation_id);
        const struct scripted_request *offsets = scripted_wait(script, RJ_API_OFFSET_FETCH, 1000);
        if (offsets != NULL)
            scripted_answer_error(script, offsets, 0);
        for (int32_t p = 0; p < script->partition_count; p++)
            scripted_step(script, (struct rj_consumer_event){
                                      .type = RJ_CONSUMER_EVENT_CONSUMED,
                                      .as.consumed = {script->topic, p, 9 + generation_id, -1, RJ_NULL_STRING}});
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_COMMIT, .as.commit = {7, NULL, 0}});
        scripted_answer_error(script, scripted_wait(script, RJ_API_OFFSET_COMMIT, 1000), 0);
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_SUBSCRIBE,
                                                         .as.subscribe = {script->topics}});
    }
    scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
}

static bool live_with(int64_t allocations, enum rj_assignor assignor)
{
    struct failing failing = {allocations, 0};
    struct rj_allocator allocator = {failing_alloc, failing_free, &failing};
    static struct scripted script;
    jmp_buf out_of_memory;
    volatile bool lived = false;
    scripted_start(&script);
    script.allocator = &allocator;
    script.out_of_memory = &out_of_memory;
    script.config.assignors[0] = assignor;
    script.config.assignor_count = 1;
    script.partition_count = 3;
    if (setjmp(out_of_memory) == 0) {
        live(&script);
        lived = true;
    }
    scripted_end(&script);
    assert_int_equal(failing.held_len, 0);
    return lived;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    static const enum rj_assignor assignors[] = {RJ_ASSIGNOR_STICKY, RJ_ASSIGNOR_COOPERATIVE_STICKY};
    for (size_t a = 0; a < 2; a++) {
        int64_t allocations = 0;
        while (!live_with(allocations, assignors[a]))
            allocations++;
        assert_true(allocations > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
