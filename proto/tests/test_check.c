/* Every trace rule: a course of three groups that keeps them all, and for each rule one twist of that course that
 * breaks this rule and no other. */
#include "support_heap.h"
#include "support_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A "client-a-00000000-0000-4000-8000-00000000000a"
#define B "client-b-00000000-0000-4000-8000-00000000000b"
#define X "coop-x-00000000-0000-4000-8000-000000000001"
#define Y "coop-y-00000000-0000-4000-8000-000000000002"
#define SOLO "solo-00000000-0000-4000-8000-000000000003"
#define SOLO_2 "solo-00000000-0000-4000-8000-000000000033"
#define OLD "i1-00000000-0000-4000-8000-000000000004"
#define NEW "i1-00000000-0000-4000-8000-000000000005"
#define PROMISED "late-00000000-0000-4000-8000-000000000006"
#define PROMISED_2 "late-00000000-0000-4000-8000-000000000007"
#define LEADER "lead-00000000-0000-4000-8000-000000000008"
#define FOLLOWER "follow-00000000-0000-4000-8000-000000000009"

static enum rj_rule twist;

static bool is(enum rj_rule rule) { return twist == rule; }

/* ---- Group "g": two eager members -------------------------------------------------------------------------------- */

static struct rj_bytes plain(void) { return trace_subscription("", -1); }

static int32_t join_g(struct trace *t, uint64_t stream, const char *member)
{
    struct trace_protocol offers[] = {{"range", plain()}, {"roundrobin", plain()}};
    return trace_join(t, stream, "g", member, NULL, offers, 2);
}

static void promise(struct trace *t, uint64_t stream, const char *id)
{
    trace_joined(t, stream, join_g(t, stream, ""), 79, -1, NULL, "", id, NULL, 0);
}

static void first_generation(struct trace *t)
{
    const char *protocol = is(RJ_RULE_T_PROTOCOL_COMMON) ? "roundrobin" : "range";
    struct rj_bytes other = trace_subscription("3", -1);
    struct trace_member list[] = {{A, NULL, plain()},
                                  {B, NULL, is(RJ_RULE_T_MEMBER_METADATA_ECHO) ? other : plain()}};
    promise(t, 1, A);
    int32_t a = join_g(t, 1, A);
    promise(t, 2, B);
    int32_t b = join_g(t, 2, B);
    trace_joined(t, 1, a, 0, 1, protocol, A, A, list, is(RJ_RULE_T_LEADER_LIST_COMPLETE) ? 1 : 2);
    trace_joined(t, 2, b, 0, 1, is(RJ_RULE_T_GEN_SAME_PROTOCOL) ? "sticky" : protocol, A, B, list,
                 is(RJ_RULE_T_GEN_ONE_LEADER) ? 2 : 0);
}

static void share(struct trace *t, int32_t generation)
{
    const char *of_a = "01", *of_b = is(RJ_RULE_T_ONE_OWNER) ? "123" : is(RJ_RULE_T_ASSIGN_COMPLETE) ? "2" :
                                     is(RJ_RULE_T_ASSIGN_EXISTS) ? "234" : "23";
    struct rj_bytes for_a = trace_assignment("t", of_a);
    struct rj_bytes for_b = trace_assignment(is(RJ_RULE_T_ASSIGN_SUBSCRIBED) ? "u" : "t",
                                             is(RJ_RULE_T_ASSIGN_SUBSCRIBED) ? "0" : of_b);
    if (is(RJ_RULE_T_ASSIGN_SUBSCRIBED))
        for_a = trace_assignment("t", "0123");
    struct trace_share shares[] = {{A, for_a}, {B, for_b}};
    int32_t a = trace_sync(t, 1, "g", generation, A, shares, 2);
    if (is(RJ_RULE_T_COMMIT_NOT_COMPLETING) && generation == 2)
        trace_commit(t, 3, "g", 2, A, 0, 8, 27, 0);
    int32_t b = trace_sync(t, 2, "g", generation, B, NULL, 0);
    trace_synced(t, 1, a, 0, for_a);
    trace_synced(t, 2, b, 0, is(RJ_RULE_T_SYNC_BYTES) && generation == 1 ? for_a : for_b);
}

static void steady(struct trace *t)
{
    trace_heartbeat(t, 1, "g", is(RJ_RULE_T_HB_KNOWN_GEN) ? 5 : 1, A, NULL, is(RJ_RULE_T_HB_KNOWN_GEN) ? 22 : 0);
    trace_heartbeat(t, 2, "g", 1, B, NULL, is(RJ_RULE_T_ERROR_KNOWN) ? 79 : 0);
    trace_commit(t, 1, "g", 1, A, 0, 5, 0, 0);
    trace_commit(t, 1, "g", 1, A, 0, 7, 0, is(RJ_RULE_T_COMMIT_MIXED) ? 1 : 0);
    trace_commit(t, 1, "g", 1, A, 0, 9, 12, 0);
    trace_commit(t, 1, "g", 1, A, 1, 5, 0, 1);
    trace_commit(t, 1, "g", 1, A, 1, is(RJ_RULE_T_COMMIT_MONOTONIC) ? 3 : 6, 0, 1);
    if (is(RJ_RULE_T_COMMIT_ASSIGNED))
        trace_commit(t, 1, "g", 1, A, 2, 5, 0, 2);
    if (!is(RJ_RULE_T_COMMIT_MIXED))
        trace_fetch_offset(t, 1, "g", 0, is(RJ_RULE_T_OFFSET_FETCH_LATEST) ? 5 :
                                         is(RJ_RULE_T_OFFSET_FETCH_NOT_FAILED) ? 9 : 7);
    int64_t known = is(RJ_RULE_T_OFFSET_FETCH_LATEST) ? 5 : is(RJ_RULE_T_OFFSET_FETCH_NOT_FAILED) ? 9 : 7;
    trace_fetch(t, 3, 0, is(RJ_RULE_T_COMMIT_RESUME) ? 8 : known, 0);
    trace_fetch(t, 3, is(RJ_RULE_T_FETCH_ASSIGNED) ? 2 : 1, 6, 1);
}

/* The leader joins again: generation 2. */
static void second_generation(struct trace *t)
{
    struct trace_member list[] = {{A, NULL, plain()}, {B, NULL, plain()}};
    int32_t b = 0, a = join_g(t, 1, A);
    if (is(RJ_RULE_T_EAGER_FETCH_STOP))
        trace_fetch(t, 3, 0, 7, 2);
    trace_heartbeat(t, 2, "g", 1, B, NULL, 27);
    for (int i = 0; is(RJ_RULE_T_REJOIN_AFTER_27) && i < 4; i++) {
        t->time_ms += 8000;
        trace_heartbeat(t, 2, "g", 1, B, NULL, 27);
    }
    if (!is(RJ_RULE_T_JOIN_BARRIER))
        b = join_g(t, 2, B);
    trace_joined(t, 1, a, 0, 2, "range", A, A, list, 2);
    if (is(RJ_RULE_T_JOIN_BARRIER))
        b = join_g(t, 2, B);
    trace_joined(t, 2, b, 0, 2, "range", A, B, NULL, 0);
    if (is(RJ_RULE_T_SYNC_AFTER_JOIN))
        trace_synced(t, 2, trace_sync(t, 2, "g", 1, B, NULL, 0), 22, RJ_EMPTY_BYTES);
    share(t, 2);
    trace_heartbeat(t, 1, "g", 2, A, NULL, 0);
    trace_heartbeat(t, 2, "g", 2, B, NULL, 0);
    trace_leave(t, 2, "g", B, 0);
    if (is(RJ_RULE_T_LEAVE_FINAL))
        trace_heartbeat(t, 2, "g", 2, B, NULL, 25);
    trace_leave(t, 1, "g", A, 0);
}

/* ---- Group "c": two cooperative members -------------------------------------------------------------------------- */

static int32_t join_c(struct trace *t, uint64_t stream, const char *member, const char *owned, int32_t generation)
{
    struct trace_protocol offers[] = {{"cooperative-sticky", trace_subscription(owned, generation)}};
    return trace_join(t, stream, "c", member, NULL, offers, 1);
}

static void cooperative(struct trace *t)
{
    struct trace_member alone[] = {{X, NULL, trace_subscription("", -1)}};
    struct trace_member both[] = {{X, NULL, trace_subscription("0123", 1)}, {Y, NULL, trace_subscription("", -1)}};
    struct trace_share everything[] = {{X, trace_assignment("t", "0123")}};
    struct trace_share shares[] = {{X, trace_assignment("t", "01")},
                                   {Y, trace_assignment("t", is(RJ_RULE_T_COOP_TRANSFER) ? "23" : "")}};
    trace_joined(t, 4, join_c(t, 4, "", "", -1), 79, -1, NULL, "", X, NULL, 0);
    trace_joined(t, 4, join_c(t, 4, X, "", -1), 0, 1, "cooperative-sticky", X, X, alone, 1);
    trace_synced(t, 4, trace_sync(t, 4, "c", 1, X, everything, 1), 0, everything[0].assignment);
    trace_joined(t, 5, join_c(t, 5, "", "", -1), 79, -1, NULL, "", Y, NULL, 0);
    int32_t y = join_c(t, 5, Y, "", -1);
    trace_heartbeat(t, 4, "c", 1, X, NULL, 27);
    int32_t x = join_c(t, 4, X, "0123", 1);
    trace_joined(t, 4, x, 0, 2, "cooperative-sticky", X, X, both, 2);
    trace_joined(t, 5, y, 0, 2, "cooperative-sticky", X, Y, NULL, 0);
    x = trace_sync(t, 4, "c", 2, X, shares, 2);
    y = trace_sync(t, 5, "c", 2, Y, NULL, 0);
    trace_synced(t, 4, x, 0, shares[0].assignment);
    trace_synced(t, 5, y, 0, shares[1].assignment);
}

/* ---- Group "s": a static member that returns --------------------------------------------------------------------- */

static int32_t join_s(struct trace *t, uint64_t stream, const char *member)
{
    struct trace_protocol offers[] = {{"range", plain()}};
    return trace_join(t, stream, "s", member, "i1", offers, 1);
}

static void static_member(struct trace *t)
{
    struct trace_member old[] = {{OLD, "i1", plain()}}, new[] = {{NEW, "i1", plain()}};
    struct trace_share shares[] = {{OLD, trace_assignment("t", "0123")}};
    trace_joined(t, 6, join_s(t, 6, ""), 0, 1, "range", OLD, OLD, old, 1);
    trace_synced(t, 6, trace_sync(t, 6, "s", 1, OLD, shares, 1), 0, shares[0].assignment);
    trace_heartbeat(t, 6, "s", 1, OLD, "i1", 0);
    trace_joined(t, 7, join_s(t, 7, ""), 0, 1, "range", NEW, NEW, new, 1);
    trace_synced(t, 7, trace_sync(t, 7, "s", 1, NEW, NULL, 0), 0, shares[0].assignment);
    trace_heartbeat(t, 7, "s", 1, NEW, "i1", 0);
    trace_heartbeat(t, 6, "s", 1, OLD, "i1", is(RJ_RULE_T_STATIC_ONE) ? 0 : 82);
}

/* ---- Group "solo": one member and its timers --------------------------------------------------------------------- */

static int32_t join_solo(struct trace *t, const char *member)
{
    struct trace_protocol offers[] = {{"range", plain()}};
    return trace_join(t, 8, "solo", member, NULL, offers, 1);
}

static void solo(struct trace *t)
{
    const char *id = is(RJ_RULE_T_ID_FORMAT) ? "solo-1" : SOLO;
    struct trace_member list[] = {{id, NULL, plain()}};
    struct trace_share shares[] = {{id, trace_assignment("t", "0123")}};
    int32_t again = is(RJ_RULE_T_LEADER_REJOIN) ? 1 : 2;
    trace_joined(t, 8, join_solo(t, ""), 79, -1, NULL, "", id, NULL, 0);
    trace_joined(t, 8, join_solo(t, id), 0, 1, "range", id, id, list, 1);
    trace_synced(t, 8, trace_sync(t, 8, "solo", 1, id, shares, 1), 0, shares[0].assignment);
    trace_heartbeat(t, 8, "solo", 1, id, NULL, is(RJ_RULE_T_27_WINDOW) ? 27 : 0);
    trace_heartbeat(t, 8, "solo", 1, id, NULL, 0);
    t->time_ms += is(RJ_RULE_T_HB_GAP) ? 11000 : 8000;
    if (is(RJ_RULE_T_MEMBER_EVICT)) {
        trace_commit(t, 8, "solo", 1, id, 0, 1, 3, 0);
        t->time_ms += 6000;
    }
    trace_heartbeat(t, 8, "solo", 1, id, NULL, 0);
    trace_joined(t, 8, join_solo(t, id), 0, again, "range", id, id, list, 1);
    trace_synced(t, 8, trace_sync(t, 8, "solo", again, id, shares, 1), 0, shares[0].assignment);
    trace_heartbeat(t, 8, "solo", again, id, NULL, is(RJ_RULE_T_NO_EARLY_EVICT) ? 25 : 0);
}

/* A generation that falls, for a member that never got its assignment. */
static void falling(struct trace *t)
{
    struct trace_protocol offers[] = {{"range", plain()}};
    struct trace_member list[] = {{SOLO_2, NULL, plain()}};
    trace_joined(t, 8, trace_join(t, 8, "fall", "", NULL, offers, 1), 79, -1, NULL, "", SOLO_2, NULL, 0);
    trace_joined(t, 8, trace_join(t, 8, "fall", SOLO_2, NULL, offers, 1), 0, 5, "range", SOLO_2, SOLO_2, list, 1);
    trace_joined(t, 8, trace_join(t, 8, "fall", SOLO_2, NULL, offers, 1), 0, is(RJ_RULE_T_GEN_MONOTONIC) ? 4 : 5,
                 "range", SOLO_2, SOLO_2, list, 1);
}

/* ---- Group "f": a follower that joins again unchanged ------------------------------------------------------------ */

static void follower(struct trace *t)
{
    struct trace_protocol offers[] = {{"range", plain()}};
    struct trace_member list[] = {{LEADER, NULL, plain()}, {FOLLOWER, NULL, plain()}};
    struct trace_share shares[] = {{LEADER, trace_assignment("t", "01")}, {FOLLOWER, trace_assignment("t", "23")}};
    trace_joined(t, 9, trace_join(t, 9, "f", "", NULL, offers, 1), 79, -1, NULL, "", LEADER, NULL, 0);
    trace_joined(t, 10, trace_join(t, 10, "f", "", NULL, offers, 1), 79, -1, NULL, "", FOLLOWER, NULL, 0);
    int32_t l = trace_join(t, 9, "f", LEADER, NULL, offers, 1), f = trace_join(t, 10, "f", FOLLOWER, NULL, offers, 1);
    trace_joined(t, 9, l, 0, 1, "range", LEADER, LEADER, list, 2);
    trace_joined(t, 10, f, 0, 1, "range", LEADER, FOLLOWER, NULL, 0);
    l = trace_sync(t, 9, "f", 1, LEADER, shares, 2);
    f = trace_sync(t, 10, "f", 1, FOLLOWER, NULL, 0);
    trace_synced(t, 9, l, 0, shares[0].assignment);
    trace_synced(t, 10, f, 0, shares[1].assignment);
    trace_joined(t, 10, trace_join(t, 10, "f", FOLLOWER, NULL, offers, 1), 0,
                 is(RJ_RULE_T_STABLE_FOLLOWER_FAST) ? 2 : 1, "range", LEADER, FOLLOWER, NULL, 0);
}

/* ---- Connections, and ids that are only promised ----------------------------------------------------------------- */

static void connections(struct trace *t)
{
    struct rj_metadata_request request;
    struct rj_metadata_response response;
    rj_message_init(&rj_metadata_request_schema, &request);
    rj_message_init(&rj_metadata_response_schema, &response);
    response.throttle_time_ms = is(RJ_RULE_T_THROTTLE) ? -1 : 0;
    trace_connect(t, 11, "plain");
    int32_t first = trace_ask(t, 11, RJ_API_METADATA, is(RJ_RULE_T_VERSION_RANGE) ? 13 : 12, &request);
    if (is(RJ_RULE_T_CORR_UNIQUE))
        t->correlation_ids[11]--;
    int32_t second = trace_ask(t, 11, RJ_API_METADATA, 12, is(RJ_RULE_T_LEN) ? NULL : &request);
    int32_t other = is(RJ_RULE_T_ORDER) ? second : first;
    trace_answer(t, 11, RJ_API_METADATA, is(RJ_RULE_T_VERSION_RANGE) ? 13 : 12, other, &response);
    response.throttle_time_ms = 0;
    trace_answer(t, 11, RJ_API_METADATA, 12, first + second - other, &response);
    if (is(RJ_RULE_T_ONE_RESPONSE))
        trace_answer(t, 11, RJ_API_METADATA, 12, second, &response);
    if (is(RJ_RULE_T_CORR_MATCH))
        trace_answer(t, 11, RJ_API_METADATA, 12, 999, &response);
    rj_check_open(t->checker, 12, ++t->frame, t->time_ms, true);
    if (is(RJ_RULE_T_APIVERSIONS_FIRST))
        trace_metadata(t, 12, 4);
}

static void promised_only(struct trace *t)
{
    trace_connect(t, 13, "late");
    promise(t, 13, is(RJ_RULE_T_79_FRESH) ? A : PROMISED);
    if (is(RJ_RULE_T_HB_NOT_BEFORE_JOIN))
        trace_heartbeat(t, 13, "g", 1, PROMISED, NULL, 25);
    if (is(RJ_RULE_T_JOIN_79_FOLLOW))
        promise(t, 13, PROMISED_2);
    rj_check_close(t->checker, 13, ++t->frame, t->time_ms);
    trace_connect(t, 14, "ghost");
    for (int i = 0; i < (is(RJ_RULE_T_REJOIN_ID) ? 2 : 1); i++)
        trace_joined(t, 14, join_g(t, 14, "ghost"), 25, -1, NULL, "", "ghost", NULL, 0);
    rj_check_close(t->checker, 14, ++t->frame, t->time_ms);
}

static void course(struct trace *t)
{
    static const char *const clients[] = {NULL, "client-a", "client-b", "client-a", "coop-x", "coop-y", "static",
                                          "static", "solo", "lead", "follow"};
    for (uint64_t stream = 1; stream <= 10; stream++)
        trace_connect(t, stream, clients[stream]);
    trace_metadata(t, 3, 4);
    connections(t);
    first_generation(t);
    share(t, 1);
    steady(t);
    second_generation(t);
    promised_only(t);
    cooperative(t);
    static_member(t);
    solo(t);
    falling(t);
    follower(t);
    rj_check_finish(t->checker, t->time_ms);
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static struct trace begin(const struct rj_allocator *allocator)
{
    struct trace t = {.time_ms = 1000000};
    struct rj_check_config config;
    rj_check_config_init(&config);
    config.from_start = true;
    config.group_max_size = is(RJ_RULE_T_MAX_SIZE) ? 1 : 2;
    rj_check_create(&t.checker, allocator, &config);
    return t;
}

static void print_violations(const struct rj_checker *checker)
{
    for (int32_t i = 0; i < rj_check_violation_count(checker); i++) {
        const struct rj_violation *violation = rj_check_violation(checker, i);
        print_message("  %s frame %d: %s (expected: %s)\n", rj_rule_row(violation->rule)->id,
                      (int)violation->frames[0], violation->sentence, violation->expected);
    }
}

/* The course keeps every rule, and every rule is judged in it. */
static void test_good_course_judges_every_rule(void **state)
{
    (void)state;
    twist = RJ_RULE_NONE;
    struct trace t = begin(&test_heap);
    course(&t);
    print_violations(t.checker);
    assert_int_equal(t.err, RJ_OK);
    assert_int_equal(rj_check_violation_count(t.checker), 0);
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++)
        if (rj_rule_row((enum rj_rule)rule)->role == RJ_ROLE_TRACE &&
            rj_check_judged(t.checker, (enum rj_rule)rule) == 0) {
            print_message("%s was never judged\n", rj_rule_row((enum rj_rule)rule)->id);
            fail();
        }
    rj_check_destroy(t.checker);
}

/* Each twist breaks its rule, and no other. */
static void test_each_twist_breaks_one_rule(void **state)
{
    (void)state;
    int failures = 0;
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++) {
        if (rj_rule_row((enum rj_rule)rule)->role != RJ_ROLE_TRACE)
            continue;
        twist = (enum rj_rule)rule;
        struct trace t = begin(&test_heap);
        course(&t);
        bool wrong = rj_check_violation_count(t.checker) == 0;
        for (int32_t i = 0; i < rj_check_violation_count(t.checker); i++)
            wrong |= rj_check_violation(t.checker, i)->rule != twist;
        if (wrong) {
            print_message("%s:\n", rj_rule_row(twist)->id);
            print_violations(t.checker);
            failures++;
        } else if (rj_rule_row(twist)->strength != RJ_STRENGTH_WARNING) {
            assert_true(rj_check_counts(t.checker, rj_check_violation(t.checker, 0)));
        }
        rj_check_destroy(t.checker);
    }
    assert_int_equal(failures, 0);
}

/* Memory that runs out after so many allocations. */
struct scarce { long left; };

static void *scarce_alloc(void *context, size_t size)
{
    struct scarce *scarce = context;
    return scarce->left-- > 0 ? malloc(size) : NULL;
}

static void scarce_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

/* Whichever allocation fails: the checker says so, invents nothing, and gives everything back. */
static void test_each_failing_allocation_is_survived(void **state)
{
    (void)state;
    twist = RJ_RULE_NONE;
    bool finished = false;
    for (long index = 0; !finished; index += index < 400 ? 1 : 37) {
        struct scarce scarce = {index};
        struct rj_allocator allocator = {scarce_alloc, scarce_free, &scarce};
        struct trace t = begin(&allocator);
        if (t.checker == NULL)
            continue;
        course(&t);
        finished = scarce.left >= 0;
        assert_int_equal(t.err, finished ? RJ_OK : RJ_ERR_MEMORY);
        rj_check_destroy(t.checker);
    }
}

/* A capture that begins in mid-session: ids that nobody was given are no breach, and the group is not complete. */
static void test_unseen_members_are_not_blamed(void **state)
{
    (void)state;
    const char *reason;
    struct trace t = {.time_ms = 1000};
    assert_int_equal(rj_check_create(&t.checker, &test_heap, NULL), RJ_OK);
    trace_heartbeat(&t, 1, "g", 7, A, NULL, 0);
    trace_commit(&t, 1, "g", 7, A, 0, 5, 0, 0);
    trace_heartbeat(&t, 1, "g", 7, A, NULL, 25);
    rj_check_finish(t.checker, t.time_ms);
    assert_int_equal(rj_check_violation_count(t.checker), 0);
    assert_false(rj_check_group_complete(t.checker, trace_string("g"), &reason));
    assert_string_equal(reason, "a member's JoinGroup was not seen");
    rj_check_destroy(t.checker);
}

/* A hard-if-complete breach in a group that was joined in mid-session is reported, but does not count. */
static void test_breach_in_incomplete_group_does_not_count(void **state)
{
    (void)state;
    twist = RJ_RULE_NONE;
    struct trace t = {.time_ms = 1000};
    struct trace_protocol offers[] = {{"range", plain()}};
    assert_int_equal(rj_check_create(&t.checker, &test_heap, NULL), RJ_OK);
    t.clients[2] = "client-b";
    trace_heartbeat(&t, 1, "g", 7, "stranger", NULL, 0);
    int32_t b = trace_join(&t, 2, "g", "", NULL, offers, 1);
    trace_joined(&t, 2, b, 79, -1, NULL, "", B, NULL, 0);
    trace_heartbeat(&t, 2, "g", 7, B, NULL, 25);
    rj_check_finish(t.checker, t.time_ms);
    assert_int_equal(rj_check_violation_count(t.checker), 1);
    assert_int_equal(rj_check_violation(t.checker, 0)->rule, RJ_RULE_T_HB_NOT_BEFORE_JOIN);
    assert_false(rj_check_counts(t.checker, rj_check_violation(t.checker, 0)));
    rj_check_destroy(t.checker);
}

/* After lost bytes nothing is judged that could have been explained by them. */
static void test_gap_blinds_the_groups_of_its_stream(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        twist = RJ_RULE_NONE;
        struct trace t = begin(&test_heap);
        trace_connect(&t, 1, "client-a");
        trace_connect(&t, 2, "client-b");
        first_generation(&t);
        if (lost)
            rj_check_gap(t.checker, 1, RJ_CHECK_BOTH, t.frame);
        trace_heartbeat(&t, 1, "g", 5, A, NULL, 22);
        rj_check_finish(t.checker, t.time_ms);
        assert_int_equal(rj_check_violation_count(t.checker), lost ? 0 : 1);
        assert_int_equal(rj_check_group_complete(t.checker, trace_string("g"), NULL), !lost);
        rj_check_destroy(t.checker);
    }
}

/* A coordinator that moved may have lost the latest generation. */
static void test_moved_coordinator_may_fall_back(void **state)
{
    (void)state;
    struct trace t = begin(&test_heap);
    struct trace_protocol offers[] = {{"range", plain()}};
    struct trace_member list[] = {{SOLO_2, NULL, plain()}};
    trace_connect(&t, 1, "solo");
    trace_joined(&t, 1, trace_join(&t, 1, "g", "", NULL, offers, 1), 79, -1, NULL, "", SOLO_2, NULL, 0);
    trace_joined(&t, 1, trace_join(&t, 1, "g", SOLO_2, NULL, offers, 1), 0, 5, "range", SOLO_2, SOLO_2, list, 1);
    trace_heartbeat(&t, 1, "g", 5, SOLO_2, NULL, 16);
    trace_joined(&t, 1, trace_join(&t, 1, "g", SOLO_2, NULL, offers, 1), 0, 4, "range", SOLO_2, SOLO_2, list, 1);
    rj_check_finish(t.checker, t.time_ms);
    print_violations(t.checker);
    assert_int_equal(rj_check_violation_count(t.checker), 0);
    rj_check_destroy(t.checker);
}

/* A member's first Fetch may have been recorded just before the answer that told it where to begin; the second, at the
 * next record, is no breach then. */
static void test_fetch_recorded_too_early_was_the_first(void **state)
{
    (void)state;
    for (int too_early = 0; too_early < 2; too_early++) {
        twist = RJ_RULE_NONE;
        struct trace t = begin(&test_heap);
        trace_connect(&t, 1, "client-a");
        trace_connect(&t, 2, "client-b");
        trace_connect(&t, 3, "client-a");
        first_generation(&t);
        share(&t, 1);
        trace_commit(&t, 1, "g", 1, A, 0, 7, 0, 0);
        trace_fetch(&t, 3, 0, 7, 0);
        if (too_early)
            t.time_ms -= 28; /* each frame takes 10 ms: the answer to OffsetFetch comes 2 ms after the Fetch */
        trace_fetch_offset(&t, 1, "g", 0, 7);
        trace_fetch(&t, 3, 0, 8, 0);
        rj_check_finish(t.checker, t.time_ms);
        assert_int_equal(rj_check_violation_count(t.checker), !too_early);
        if (!too_early)
            assert_int_equal(rj_check_violation(t.checker, 0)->rule, RJ_RULE_T_COMMIT_RESUME);
        rj_check_destroy(t.checker);
    }
}

/* Unanswered requests at the end are nobody's fault. */
static void test_unanswered_requests_are_not_blamed(void **state)
{
    (void)state;
    struct trace t = begin(&test_heap);
    int16_t api_key, version;
    trace_connect(&t, 1, "client-a");
    int32_t correlation_id = join_g(&t, 1, "");
    assert_true(rj_check_pending(t.checker, 1, correlation_id, &api_key, &version));
    assert_int_equal(api_key, RJ_API_JOIN_GROUP);
    assert_int_equal(version, 9);
    assert_false(rj_check_pending(t.checker, 1, correlation_id + 1, &api_key, &version));
    rj_check_finish(t.checker, t.time_ms);
    assert_int_equal(rj_check_violation_count(t.checker), 0);
    rj_check_destroy(t.checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_course_judges_every_rule),
        cmocka_unit_test(test_each_twist_breaks_one_rule),
        cmocka_unit_test(test_each_failing_allocation_is_survived),
        cmocka_unit_test(test_unseen_members_are_not_blamed),
        cmocka_unit_test(test_breach_in_incomplete_group_does_not_count),
        cmocka_unit_test(test_gap_blinds_the_groups_of_its_stream),
        cmocka_unit_test(test_moved_coordinator_may_fall_back),
        cmocka_unit_test(test_fetch_recorded_too_early_was_the_first),
        cmocka_unit_test(test_unanswered_requests_are_not_blamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
