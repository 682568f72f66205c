/* The deliberate faults: each shows on the wire, and a client without it does not do the same. */
#include "support_consumer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A course is a list of words, done one after the other:
 *   join, follow    JoinGroup succeeds in the next generation, as leader of three or as a follower
 *   sync            SyncGroup assigns both partitions;   offsets  OffsetFetch is answered
 *   join! sync! heartbeat! commit! and a number: answered with that error;   heartbeat, commit: answered in good order
 *   fetch           the Fetch that is out is answered with nothing
 *   consume ask rejoin close   what the application does;   pass and a number: so many milliseconds */
struct row {
    enum rj_consumer_fault fault;
    const char *instance_id;
    const char *course;
    const char *shows; /* in the trace of the faulty client, and not in that of the other */
};

#define IN "join sync offsets "

static const struct row rows[] = {
    {RJ_CONSUMER_FAULT_KEEP_ID_AFTER_25, NULL, IN "heartbeat!25 pass10", "lost 0 1,Join(m 0)"},
    {RJ_CONSUMER_FAULT_OLD_GENERATION_COMMIT, NULL, IN "rejoin join sync offsets consume ask pass10", "Commit(1 m 2)"},
    {RJ_CONSUMER_FAULT_HEARTBEAT_PROMISED_ID, NULL, "join!79 pass10", "Heartbeat(0 promised)"},
    {RJ_CONSUMER_FAULT_NEVER_LEAVE, NULL, IN "close", "revoked 0 1,closed"},
    {RJ_CONSUMER_FAULT_IGNORE_16, NULL, IN "heartbeat!16 pass4000", "Heartbeat(1 m),Heartbeat(1 m)"},
    {RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_27, NULL, IN "heartbeat!27 heartbeat", "Heartbeat(1 m),Heartbeat(1 m)"},
    {RJ_CONSUMER_FAULT_DROP_ID_ON_27, NULL, IN "heartbeat!27 pass10", "Heartbeat(1 m),lost 0 1,Join(- 0)"},
    {RJ_CONSUMER_FAULT_OMIT_EMPTY_MEMBERS, NULL, "join pass10", "Sync(1 m - 2)"},
    {RJ_CONSUMER_FAULT_FOLLOWER_ASSIGNS, NULL, "follow pass10", "Sync(1 m - 1)"},
    {RJ_CONSUMER_FAULT_HOT_LOOP, NULL, "join!14 pass1 join!14 pass1", "Join(- 0),Join(- 0),Join(- 0)"},
    {RJ_CONSUMER_FAULT_EMPTY_ID_AFTER_79, NULL, "join!79 pass200", "Join(- 0),Join(- 0)"},
    {RJ_CONSUMER_FAULT_COMMIT_BETWEEN_JOIN_AND_SYNC, NULL, "join pass600", "Commit(1 m 1),Sync(1 m - 3)"},
    {RJ_CONSUMER_FAULT_FETCH_REVOKED, NULL, IN "pass10 rejoin follow nothing fetch pass10", "assigned,Fetch"},
    {RJ_CONSUMER_FAULT_FATAL_14, NULL, "join!14 pass200", "fatal 14"},
    {RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_25, NULL, IN "heartbeat!25 heartbeat", "Heartbeat(1 m),Heartbeat(1 m)"},
    {RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_22, NULL, IN "heartbeat!22 heartbeat", "Heartbeat(1 m),Heartbeat(1 m)"},
    {RJ_CONSUMER_FAULT_DROP_ID_ON_22, NULL, "join sync!22 pass10", "Sync(1 m - 3),Join(- 0)"},
    {RJ_CONSUMER_FAULT_REJOIN_AFTER_82, "one", "join!82 pass10", "Join(- 0),Join(- 0)"},
    {RJ_CONSUMER_FAULT_NO_HEARTBEATS, NULL, IN "pass4000", NULL},
    {RJ_CONSUMER_FAULT_LEAVE_STATIC, "one", IN "close", "Leave(m)"},
    {RJ_CONSUMER_FAULT_HEARTBEAT_AFTER_LEAVE, NULL, IN "close", "Leave(m),Heartbeat(1 m)"},
    {RJ_CONSUMER_FAULT_KEEP_ON_REVOKE, NULL, IN "rejoin pass10", "Join(m 2)"},
    {RJ_CONSUMER_FAULT_SYNC_WRONG_GENERATION, NULL, "join pass10", "Sync(0 m - 3)"},
    {RJ_CONSUMER_FAULT_TWO_JOINS, NULL, "pass10", "Join(- 0),Join(- 0)"},
    {RJ_CONSUMER_FAULT_COMMIT_UNOWNED, NULL, "join sync1 offsets consume ask pass10", "Commit(1 m 2)"},
    {RJ_CONSUMER_FAULT_NO_INSTANCE_ID, "one", "join pass10", "Sync(1 m - 3)"},
    {RJ_CONSUMER_FAULT_IGNORE_COMMIT_ERRORS, NULL, IN "consume ask commit!25 pass10", "committed 0"},
    {RJ_CONSUMER_FAULT_SKIP_COMMIT_BEFORE_REVOKE, NULL, IN "consume rejoin pass10", "records 0,records 1,revoked"},
};

static void consume(struct scripted *script)
{
    for (int32_t p = 0; p < script->partition_count; p++) {
        scripted_trace(script, "records %d", p);
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CONSUMED,
                                                         .as.consumed = {script->topic, p, 9, -1, RJ_NULL_STRING}});
    }
}

static void answer(struct scripted *script, int16_t api_key, int16_t error_code)
{
    const struct scripted_request *request = scripted_wait(script, api_key, 10000);
    if (request != NULL) /* a faulty client may have stopped asking */
        scripted_answer_error(script, request, error_code);
}

static void apply(struct scripted *script, const char *word, int32_t *generation_id)
{
    static const struct { const char *name; int16_t api_key; } apis[] = {
        {"join!", RJ_API_JOIN_GROUP}, {"sync!", RJ_API_SYNC_GROUP}, {"heartbeat!", RJ_API_HEARTBEAT},
        {"commit!", RJ_API_OFFSET_COMMIT}};
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++)
        if (strncmp(word, apis[i].name, strlen(apis[i].name)) == 0) {
            answer(script, apis[i].api_key, (int16_t)atoi(word + strlen(apis[i].name)));
            return;
        }
    if (strcmp(word, "join") == 0 || strcmp(word, "follow") == 0)
        scripted_answer_join(script, ++*generation_id, "m", *word == 'j');
    else if (strcmp(word, "sync") == 0 || strcmp(word, "sync1") == 0)
        scripted_answer_sync(script, word[4] == '1' ? 1 : script->partition_count);
    else if (strcmp(word, "nothing") == 0)
        scripted_answer_sync(script, 0);
    else if (strcmp(word, "offsets") == 0)
        answer(script, RJ_API_OFFSET_FETCH, 0);
    else if (strcmp(word, "heartbeat") == 0)
        answer(script, RJ_API_HEARTBEAT, 0);
    else if (strcmp(word, "fetch") == 0)
        scripted_answer(script, scripted_wait(script, RJ_API_FETCH, 0), &(struct rj_fetch_response){.error_code = 0});
    else if (strcmp(word, "consume") == 0)
        consume(script);
    else if (strcmp(word, "ask") == 0)
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_COMMIT, .as.commit = {7, NULL, 0}});
    else if (strcmp(word, "rejoin") == 0)
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_REJOIN});
    else if (strcmp(word, "close") == 0)
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
    else if (strncmp(word, "pass", 4) == 0)
        scripted_pass(script, atoi(word + 4));
    else
        fail_msg("no word %s", word);
}

static void run_course(const struct row *row, bool faulty, char *trace, size_t trace_len)
{
    struct scripted script;
    char course[256];
    int32_t generation_id = 0;
    scripted_start(&script);
    script.traces_requests = true;
    if (row->instance_id != NULL)
        script.config.instance_id = (struct rj_string){row->instance_id, (int32_t)strlen(row->instance_id)};
    if (faulty)
        script.config.faults = (uint64_t)1 << row->fault;
    scripted_begin(&script);
    snprintf(course, sizeof course, "%s", row->course);
    for (char *word = strtok(course, " "); word != NULL; word = strtok(NULL, " "))
        apply(&script, word, &generation_id);
    snprintf(trace, trace_len, "%s", script.trace);
    scripted_end(&script);
}

static void test_each_fault_shows_on_the_wire(void **state)
{
    (void)state;
    bool seen[RJ_CONSUMER_FAULT_COUNT] = {false};
    int failed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char good[2048], bad[2048];
        const struct row *row = &rows[i];
        run_course(row, false, good, sizeof good);
        run_course(row, true, bad, sizeof bad);
        seen[row->fault] = true;
        /* What shows, or for the one that leaves something out: what is missing. */
        const char *with = row->shows != NULL ? bad : good, *without = row->shows != NULL ? good : bad;
        const char *shows = row->shows != NULL ? row->shows : "Heartbeat(1 m)";
        if (strstr(with, shows) == NULL || strstr(without, shows) != NULL) {
            failed++;
            print_error("%s: good %s\n                    bad  %s\n", rj_consumer_fault_name(row->fault).data, good,
                        bad);
        }
    }
    assert_int_equal(failed, 0);
    for (int fault = 0; fault < RJ_CONSUMER_FAULT_COUNT; fault++)
        assert_true(seen[fault]);
}

static void test_each_fault_names_a_rule(void **state)
{
    (void)state;
    for (int i = 0; i < RJ_CONSUMER_FAULT_COUNT; i++) {
        enum rj_consumer_fault fault = (enum rj_consumer_fault)i, found;
        assert_int_not_equal(rj_consumer_fault_rule(fault), RJ_RULE_NONE);
        assert_int_equal(rj_rule_row(rj_consumer_fault_rule(fault))->role, RJ_ROLE_CLIENT);
        assert_true(rj_consumer_fault_by_name(rj_consumer_fault_name(fault), &found));
        assert_int_equal(found, fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_shows_on_the_wire),
        cmocka_unit_test(test_each_fault_names_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
