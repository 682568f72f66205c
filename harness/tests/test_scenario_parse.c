/* The language of scenarios: what is read, and what is said about what is not one, with line and column. */
#include "scenario/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TITLE "# trips hb-generation: a sentence\n"

static struct scenario *parse(const char *text, struct scn_error *error)
{
    memset(error, 0, sizeof(*error));
    return scenario_parse("test.scn", text, strlen(text), error);
}

static void parse_whole_scenario_gives_steps(void **state)
{
    (void)state;
    struct scn_error error;
    struct scenario *scenario = parse("# keeps hb-generation: all is well\n"
                                      "config initial-delay=3s max-size=2\n"
                                      "topic t 6\n"
                                      "member m1 instance=a session=1.5s\n"
                                      "use JoinGroup v7\n"
                                      "\n"
                                      "stable m1 m2\n"
                                      "+10s m1@m2 > Heartbeat v3 generation=7 < ILLEGAL_GENERATION !hb-generation # why\n"
                                      "  kafka<4.0: NONE # KAFKA-1\n"
                                      "m1 waits\n"
                                      "topic t gone\n",
                                      &error);
    assert_non_null(scenario);
    assert_false(scenario->trips);
    assert_int_equal(scenario->rule, RJ_RULE_HB_GENERATION);
    assert_string_equal(scenario->sentence, "all is well");
    assert_int_equal(scenario->settings[SCN_INITIAL_DELAY], 3000);
    assert_int_equal(scenario->settings[SCN_MAX_SIZE], 2);
    assert_int_equal(scenario->settings[SCN_MIN_SESSION], 1000);
    assert_int_equal(scenario->topics[0].partition_count, 6);
    /* stable: an id, a JoinGroup, its answer, a SyncGroup, its answer, for each of both */
    assert_int_equal(scenario->step_count, 10 + 3);
    const struct scn_step *beat = &scenario->steps[10];
    assert_int_equal(beat->verb, SCN_SEND);
    assert_int_equal(beat->delay_ms, 10000);
    assert_int_equal(beat->version, 3);
    assert_string_equal(scenario->actors[beat->actor].name, "m1");
    assert_string_equal(scenario->connections[beat->connection], "m2");
    assert_int_equal(beat->expect->rule, RJ_RULE_HB_GENERATION);
    assert_int_equal(beat->expect->fields.count, 1);
    assert_ptr_equal(scn_expect_for(beat->expect, 401), beat->expect);
    assert_string_equal(scn_expect_for(beat->expect, 309)->fields.items[0].value, "NONE");
    assert_string_equal(scn_expect_for(beat->expect, 309)->why, "KAFKA-1");
    assert_int_equal(scn_step_version(scenario, &scenario->steps[0]), 7);
    assert_int_equal(scn_duration_ms(scenario), 10000);
    scenario_free(scenario);
}

static const struct { const char *text; int line, column; const char *says; } wrong[] = {
    {"", 1, 1, "expected at least one step"},
    {"m1 > Heartbeat\n", 1, 1, "# trips RULE: SENTENCE"},
    {"# trips no-such-rule: x\n", 1, 9, "the id of a rule"},
    {"# trips hb-generation:\n", 1, 23, "expected a sentence"},
    {TITLE, 2, 1, "expected at least one step"},
    {TITLE "m1 > Hartbeat\n", 2, 6, "the name of an API"},
    {TITLE "m1 > Heartbeat v99\n", 2, 16, "v0 to v4"},
    {TITLE "m1 ! Heartbeat\n", 2, 4, "expected '>', '<'"},
    {TITLE "m1\n", 2, 3, "expected '>', '<'"},
    {TITLE "1m > Heartbeat\n", 2, 1, "expected an actor"},
    {TITLE "m1@ > Heartbeat\n", 2, 4, "the name of a connection"},
    {TITLE "+10 m1 > Heartbeat\n", 2, 1, "expected a time"},
    {TITLE "...\n", 2, 4, "ACTOR <"},
    {TITLE "m1 > Heartbeat generation=\n", 2, 27, "expected a value"},
    {TITLE "m1 > Heartbeat =7\n", 2, 16, "the name of a field"},
    {TITLE "m1 > Heartbeat {\"a\":\n", 2, 16, "expected '}'"},
    {TITLE "m1 > Heartbeat {\"a\" 1}\n", 2, 21, "expected JSON"},
    {TITLE "m1 > Heartbeat member=\"x\n", 2, 23, "expected '\"'"},
    {TITLE "m1 > Heartbeat < !nonsense\n", 2, 19, "the id of a rule"},
    {TITLE "m1 > Heartbeat < waits NONE\n", 2, 18, "nothing else"},
    {TITLE "kafka<4.0: NONE # x\n", 2, 1, "expected a line with '<' before"},
    {TITLE "m1 > Heartbeat < NONE\nkafka<4.0: NONE\n", 3, 16, "why that version differs"},
    {TITLE "m1 > Heartbeat < NONE\nkafka<4.0 NONE # x\n", 3, 10, "expected ':'"},
    {TITLE "m1 > Heartbeat < NONE\nkafka<four: NONE # x\n", 3, 7, "a version of Kafka"},
    {TITLE "config speed=7\n", 2, 8, "a name that --grammar lists"},
    {TITLE "config initial-delay=soon\n", 2, 22, "expected a time"},
    {TITLE "topic t\n", 2, 8, "a number of partitions"},
    {TITLE "topic t 1 1\n", 2, 11, "the end of the line"},
    {TITLE "needs kafka>=4.0\n", 2, 17, "why it is not run"},
    {TITLE "needs core\n", 2, 11, "why it is not run"},
    {TITLE "needs mock # x\n", 2, 7, "kafka<VERSION or core"},
    {TITLE "use JoinGroup\n", 2, 14, "expected a version"},
    {TITLE "fail-append\n", 2, 12, "ERROR [COUNT]"},
    {TITLE "reload now\n", 2, 8, "expected nothing behind 'reload'"},
    {TITLE "m1 > Heartbeat\nconfig initial-delay=1s\n", 3, 1, "before the first step"},
    {TITLE "stable a=b\n", 2, 8, "the name of an actor"},
};

static void parse_says_line_column_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct scn_error error;
        struct scenario *scenario = parse(wrong[i].text, &error);
        if (scenario != NULL || error.line != wrong[i].line || error.column != wrong[i].column
            || strstr(error.text, wrong[i].says) == NULL)
            fail_msg("%s: %d:%d: %s, expected %d:%d: ...%s...", wrong[i].text, error.line, error.column, error.text,
                     wrong[i].line, wrong[i].column, wrong[i].says);
    }
}

static void parse_too_long_is_refused(void **state)
{
    (void)state;
    char text[2000] = TITLE;
    for (int i = 0; i < 40; i++)
        strcat(text, "m1 > Heartbeat < NONE\n");
    struct scn_error error;
    assert_null(parse(text, &error));
    assert_int_equal(error.line, 41);
}

/* Whatever stands in a file: it is read, or refused with a place in it, and nothing else happens. */
static void parse_hostile_text_is_read_or_refused(void **state)
{
    (void)state;
    static const char base[] = TITLE "config initial-delay=3s\nmember m1 instance=\"a b\"\nneeds kafka>=3.9 # why\n"
                                     "stable m1 m2\n... m1 < JoinGroup members=$m1,* {\"a\":[1,{}]} ?x=?y\n"
                                     "+1s m1@b > OffsetCommit v9 t-0=5:\"x\" < t-0=NONE|X !hb-generation\n"
                                     "kafka<4.0: waits # why\nfail-append NETWORK_EXCEPTION 2\n";
    static const char bytes[] = "\"{}[]<>=!?$#@:+-.\\ \n\t\0\xff" "09azAZ";
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(base)];
        memcpy(text, base, sizeof(base));
        size_t len = sizeof(base) - 1;
        for (int k = 0; k < 1 + round % 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[(seed >> 8) % len] = bytes[(seed >> 24) % (sizeof(bytes) - 1)];
        }
        if (round % 5 == 0)
            len = (seed >> 4) % len;
        char *exact = malloc(len + 1); /* so that a sanitizer sees the end */
        memcpy(exact, text, len);
        struct scn_error error = {.line = -1};
        struct scenario *scenario = scenario_parse("hostile", exact, len, &error);
        if (scenario == NULL)
            assert_true(error.line >= 1 && error.column >= 1 && error.text[0] != 0);
        scenario_free(scenario);
        free(exact);
    }
}

static void time_and_version_are_read(void **state)
{
    (void)state;
    assert_int_equal(scn_time_ms("10s"), 10000);
    assert_int_equal(scn_time_ms("+1.5s"), 1500);
    assert_int_equal(scn_time_ms("300ms"), 300);
    assert_int_equal(scn_time_ms("2min"), 120000);
    assert_int_equal(scn_time_ms("10"), -1);
    assert_int_equal(scn_time_ms("-1s"), -1);
    assert_int_equal(scn_time_ms("99999999999999999999s"), -1);
    assert_int_equal(scn_version("4.1.1"), 401);
    assert_int_equal(scn_version("3.9"), 309);
    assert_int_equal(scn_version("4"), 0);
    assert_int_equal(scn_version("4.x"), 0);
}

/* Every rule that requests alone cannot trip says why, and no other does. */
static void reach_has_a_reason_where_it_needs_one(void **state)
{
    (void)state;
    for (int i = 1; i < RJ_RULE_COUNT; i++) {
        const struct rj_rule_row *row = rj_rule_row((enum rj_rule)i);
        bool needs = row->reach == RJ_REACH_CONTROL || row->reach == RJ_REACH_CORE;
        if (needs != (rj_rule_reach_reason((enum rj_rule)i) != NULL))
            fail_msg("%s: proto/reach.def %s", row->id, needs ? "has no reason" : "has a reason that it does not need");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_whole_scenario_gives_steps),
        cmocka_unit_test(parse_says_line_column_and_what_was_expected),
        cmocka_unit_test(parse_too_long_is_refused),
        cmocka_unit_test(parse_hostile_text_is_read_or_refused),
        cmocka_unit_test(time_and_version_are_read),
        cmocka_unit_test(reach_has_a_reason_where_it_needs_one),
    };
    return cmocka_run_group_tests_name("scenario_parse", tests, NULL, NULL);
}
