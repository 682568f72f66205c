/* What the client does about each error of each answer: every cell of the table that consumer/reactions.c draws, seen
 * from the wire. */
#include "support_consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* after: what follows the error, up to and with the next group request. "join m": JoinGroup with member id m;
 * "join -": with an empty id. "wait": time had to pass before it. */
struct cell { int16_t api_key, error; const char *after; };

static const struct cell cells[] = {
    {RJ_API_JOIN_GROUP, 14, "wait,join m"},
    {RJ_API_JOIN_GROUP, 15, "wait,find,join m"},
    {RJ_API_JOIN_GROUP, 16, "wait,find,join m"},
    {RJ_API_JOIN_GROUP, 25, "join -"},
    {RJ_API_JOIN_GROUP, 27, "join m"},
    {RJ_API_JOIN_GROUP, 79, "join promised"},
    {RJ_API_JOIN_GROUP, 82, "fatal 82"},
    {RJ_API_JOIN_GROUP, 23, "fatal 23"},
    {RJ_API_JOIN_GROUP, 24, "fatal 24"},
    {RJ_API_JOIN_GROUP, 26, "fatal 26"},
    {RJ_API_JOIN_GROUP, 30, "fatal 30"},
    {RJ_API_JOIN_GROUP, 35, "fatal 35"},
    {RJ_API_JOIN_GROUP, 81, "fatal 81"},
    {RJ_API_JOIN_GROUP, 22, "fatal 22"},
    {RJ_API_SYNC_GROUP, 14, "wait,join m"},
    {RJ_API_SYNC_GROUP, 15, "wait,find,join m"},
    {RJ_API_SYNC_GROUP, 16, "wait,find,join m"},
    {RJ_API_SYNC_GROUP, 22, "join m"},
    {RJ_API_SYNC_GROUP, 25, "join -"},
    {RJ_API_SYNC_GROUP, 27, "join m"},
    {RJ_API_SYNC_GROUP, 82, "fatal 82"},
    {RJ_API_SYNC_GROUP, 23, "fatal 23"},
    {RJ_API_SYNC_GROUP, 30, "fatal 30"},
    {RJ_API_SYNC_GROUP, 35, "fatal 35"},
    {RJ_API_HEARTBEAT, 0, "wait,heartbeat"},
    {RJ_API_HEARTBEAT, 14, "wait,heartbeat"},
    {RJ_API_HEARTBEAT, 15, "wait,find,heartbeat"},
    {RJ_API_HEARTBEAT, 16, "wait,find,heartbeat"},
    {RJ_API_HEARTBEAT, 22, "lost 0 1,join m"},
    {RJ_API_HEARTBEAT, 25, "lost 0 1,join -"},
    {RJ_API_HEARTBEAT, 27, "revoked 0 1,join m"},
    {RJ_API_HEARTBEAT, 82, "lost 0 1,fatal 82"},
    {RJ_API_HEARTBEAT, 30, "lost 0 1,fatal 30"},
    {RJ_API_HEARTBEAT, 35, "lost 0 1,fatal 35"},
    {RJ_API_OFFSET_COMMIT, 0, "committed 0,wait,heartbeat"},
    {RJ_API_OFFSET_COMMIT, 3, "wait,commit 1"},
    {RJ_API_OFFSET_COMMIT, 14, "wait,commit 1"},
    {RJ_API_OFFSET_COMMIT, 15, "wait,find,commit 1"},
    {RJ_API_OFFSET_COMMIT, 16, "wait,find,commit 1"},
    {RJ_API_OFFSET_COMMIT, 7, "wait,find,commit 1"},
    {RJ_API_OFFSET_COMMIT, 22, "committed 22,lost 0 1,join m"},
    {RJ_API_OFFSET_COMMIT, 25, "committed 25,lost 0 1,join -"},
    {RJ_API_OFFSET_COMMIT, 27, "committed 27,commit 1"}, /* once more before the revocation */
    {RJ_API_OFFSET_COMMIT, 82, "committed 82,lost 0 1,fatal 82"},
    {RJ_API_OFFSET_COMMIT, 12, "committed 12,wait,heartbeat"},
    {RJ_API_OFFSET_COMMIT, 28, "committed 28,wait,heartbeat"},
    {RJ_API_OFFSET_COMMIT, 29, "committed 29,wait,heartbeat"},
    {RJ_API_OFFSET_COMMIT, 30, "committed 30,wait,heartbeat"},
    {RJ_API_OFFSET_FETCH, 14, "wait,offset-fetch"},
    {RJ_API_OFFSET_FETCH, 15, "wait,find,offset-fetch"},
    {RJ_API_OFFSET_FETCH, 16, "wait,find,offset-fetch"},
    {RJ_API_OFFSET_FETCH, 88, "wait,offset-fetch"},
    {RJ_API_OFFSET_FETCH, 30, "error 30,error 30,wait,heartbeat"},
    {RJ_API_OFFSET_FETCH, 29, "error 29,error 29,wait,heartbeat"},
    {RJ_API_LEAVE_GROUP, 16, "closed"},
    {RJ_API_LEAVE_GROUP, 25, "closed"},
    {RJ_API_LEAVE_GROUP, 14, "closed"},
};

static int32_t commit_partitions(const struct rj_offset_commit_request *commit)
{
    int32_t count = 0;
    for (int32_t t = 0; t < commit->topics.count; t++)
        count += commit->topics.items[t].partitions.count;
    return count;
}

static void trace_request(struct scripted *script, const struct scripted_request *request)
{
    const struct rj_join_group_request *join = request->body;
    switch (request->api_key) {
    case RJ_API_JOIN_GROUP:
        scripted_trace(script, "join %.*s", join->member_id.len > 0 ? join->member_id.len : 1,
                       join->member_id.len > 0 ? join->member_id.data : "-");
        break;
    case RJ_API_HEARTBEAT:
        scripted_trace(script, "heartbeat");
        break;
    case RJ_API_OFFSET_COMMIT:
        scripted_trace(script, "commit %d", commit_partitions(request->body));
        break;
    case RJ_API_OFFSET_FETCH:
        scripted_trace(script, "offset-fetch");
        break;
    default:
        scripted_trace(script, "%s", rj_api_name(request->api_key));
    }
}

/* The next request but for Fetch, which goes on beside all this. */
static const struct scripted_request *next_request(struct scripted *script)
{
    int64_t end_ms = script->now_ms + 20000;
    while (script->now_ms < end_ms) {
        struct scripted_request *request = scripted_wait(script, -1, end_ms - script->now_ms);
        if (request == NULL)
            return NULL;
        if (request->api_key != RJ_API_FETCH)
            return request;
        scripted_answer(script, request, &(struct rj_fetch_response){.responses = {NULL, 0}});
    }
    return NULL;
}

static void consume(struct scripted *script)
{
    for (int32_t p = 0; p < 2; p++)
        scripted_step(script, (struct rj_consumer_event){
                                  .type = RJ_CONSUMER_EVENT_CONSUMED,
                                  .as.consumed = {script->topic, p, 9, -1, RJ_NULL_STRING}});
}

/* Brings the consumer to where it waits for an answer of that API, as member m. */
static const struct scripted_request *reach(struct scripted *script, int16_t api_key)
{
    scripted_join(script, 1);
    if (api_key == RJ_API_OFFSET_FETCH)
        return scripted_wait(script, api_key, 1000);
    scripted_answer_error(script, scripted_wait(script, RJ_API_OFFSET_FETCH, 1000), 0);
    switch (api_key) {
    case RJ_API_OFFSET_COMMIT:
        consume(script);
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_COMMIT, .as.commit = {7, NULL, 0}});
        break;
    case RJ_API_LEAVE_GROUP:
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
        break;
    case RJ_API_JOIN_GROUP:
    case RJ_API_SYNC_GROUP:
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_REJOIN});
        if (api_key == RJ_API_SYNC_GROUP)
            scripted_answer_join(script, 2, "m", true);
        break;
    default:
        break;
    }
    return scripted_wait(script, api_key, 5000);
}

static void check_cell(const struct cell *cell)
{
    struct scripted script;
    scripted_start(&script);
    scripted_begin(&script);
    const struct scripted_request *request = reach(&script, cell->api_key);
    assert_non_null(request);
    script.trace[0] = '\0';
    int64_t asked_ms = script.now_ms;
    scripted_answer_error(&script, request, cell->error);
    char before[sizeof script.trace];
    snprintf(before, sizeof before, "%s", script.trace);
    const struct scripted_request *next = next_request(&script);
    if (script.now_ms > asked_ms && next != NULL) { /* put the wait where it was: before what came after it */
        char later[sizeof script.trace];
        size_t len = strlen(before);
        snprintf(later, sizeof later, "%s", script.trace + len + (len > 0 && script.trace[len] == ','));
        script.trace[len] = '\0';
        scripted_trace(&script, "wait");
        if (later[0] != '\0')
            scripted_trace(&script, "%s", later);
    }
    if (next != NULL)
        trace_request(&script, next);
    if (strcmp(script.trace, cell->after) != 0)
        print_error("%s answered with %d:\n", rj_api_name(cell->api_key), cell->error);
    assert_string_equal(script.trace, cell->after);
    scripted_end(&script);
}

static void test_every_error_leads_to_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        check_cell(&cells[i]);
}

static void test_find_coordinator_errors(void **state)
{
    (void)state;
    static const struct { int16_t error; const char *after; } rows[] = {
        {15, "find,find"}, {30, "find,fatal 30"}, {24, "find,fatal 24"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scripted script;
        scripted_start(&script);
        script.find_error = rows[i].error;
        int64_t began_ms = script.now_ms;
        scripted_begin(&script);
        scripted_wait(&script, RJ_API_JOIN_GROUP, 10000);
        assert_string_equal(script.trace, rows[i].after);
        if (rows[i].error == 15)
            assert_true(script.now_ms - began_ms >= 80);
        scripted_end(&script);
    }
}

/* 79, 25 and 27 are answered at once the first time; the same again backs off (cl-no-hot-loop). */
static void test_a_rejoin_that_fails_again_in_the_same_way_waits(void **state)
{
    (void)state;
    static const int16_t errors[] = {79, 25, 27};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct scripted script;
        scripted_start(&script);
        scripted_begin(&script);
        int64_t last_ms = 0;
        for (int round = 0; round < 5; round++) {
            const struct scripted_request *join = scripted_wait(&script, RJ_API_JOIN_GROUP, 5000);
            assert_non_null(join);
            if (round == 1)
                assert_int_equal(join->sent_ms, last_ms);
            if (round > 1)
                assert_true(join->sent_ms >= last_ms + 80);
            last_ms = script.now_ms;
            scripted_answer_error(&script, join, errors[i]);
        }
        scripted_end(&script);
    }
}

/* An answer to a heartbeat of an older membership changes nothing. */
static void test_a_stale_heartbeat_error_is_ignored(void **state)
{
    (void)state;
    static const int16_t errors[] = {22, 25, 82};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct scripted script;
        scripted_start(&script);
        scripted_begin(&script);
        scripted_join(&script, 1);
        scripted_answer_error(&script, scripted_wait(&script, RJ_API_OFFSET_FETCH, 1000), 0);
        assert_non_null(scripted_wait(&script, RJ_API_HEARTBEAT, 5000)); /* left without an answer */
        scripted_step(&script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_REJOIN});
        scripted_join(&script, 2);
        script.trace[0] = '\0';
        scripted_answer_error(&script, scripted_wait(&script, RJ_API_HEARTBEAT, 0), errors[i]);
        assert_string_equal(script.trace, "");
        assert_int_equal(rj_consumer_generation_id(script.consumer), 2);
        assert_int_equal(rj_consumer_state(script.consumer), RJ_CONSUMER_STABLE);
        scripted_end(&script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error_leads_to_what_the_table_says),
        cmocka_unit_test(test_find_coordinator_errors),
        cmocka_unit_test(test_a_rejoin_that_fails_again_in_the_same_way_waits),
        cmocka_unit_test(test_a_stale_heartbeat_error_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
