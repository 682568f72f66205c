/* The assignors on worked examples whose results were taken from Kafka 4.1.1. */
#include "rejoin/assign.h"
#include "support_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 };

/* One line of a problem: "ID[=INSTANCE][@RACK] TOPIC,TOPIC [g=GENERATION] [TOPIC/N,...]" */
struct example {
    const char *name;
    enum rj_assignor assignor;
    const char *topics[4];  /* "t:7" or "t:r0 r1,r1 r2": racks of each partition */
    const char *members[4];
    const char *expected;   /* "A=t0 t1|B=" with topics sorted */
};

static struct rj_string cut(const char *from, const char *end)
{
    return (struct rj_string){from, (int32_t)(end - from)};
}

static const char *until(const char *from, const char *stops)
{
    return from + strcspn(from, stops);
}

static void read_topic(struct rj_arena *arena, const char *text, struct rj_assign_topic *topic)
{
    const char *colon = strchr(text, ':');
    int32_t count = 0;
    *topic = (struct rj_assign_topic){cut(text, colon), 0, NULL};
    if (sscanf(colon + 1, "%d", &topic->partition_count) == 1)
        return;
    struct rj_string_array *racks = rj_arena_alloc(arena, 32 * sizeof *racks);
    for (const char *at = colon + 1; *at != '\0'; count++) {
        racks[count] = (struct rj_string_array){rj_arena_alloc(arena, 4 * sizeof(struct rj_string)), 0};
        while (*at != '\0' && *at != ',') {
            const char *end = until(at, " ,");
            racks[count].items[racks[count].count++] = cut(at, end);
            at = *end == ' ' ? end + 1 : end;
        }
        at += *at == ',';
    }
    topic->partition_count = count;
    topic->partition_racks = racks;
}

static void read_owned(struct rj_arena *arena, const char *at, struct rj_consumer_protocol_subscription *subscription)
{
    struct rj_consumer_protocol_subscription_topic_partition_array *owned = &subscription->owned_partitions;
    owned->items = rj_arena_alloc(arena, 32 * sizeof *owned->items);
    while (*at != '\0') {
        const char *slash = strchr(at, '/');
        int32_t *number = rj_arena_alloc(arena, sizeof *number);
        *number = slash[1] - '0';
        owned->items[owned->count].topic = cut(at, slash);
        owned->items[owned->count++].partitions = (struct rj_int32_array){number, 1};
        at = slash + 2;
        at += *at == ',';
    }
}

/* The same claim as the eager assignor's user data, version 1. */
static void claim_as_user_data(struct rj_arena *arena, struct rj_consumer_protocol_subscription *subscription)
{
    struct rj_sticky_assignor_user_data data = {.generation = subscription->generation_id};
    size_t len;
    data.previous_assignment.count = subscription->owned_partitions.count;
    data.previous_assignment.items = rj_arena_alloc(arena, 32 * sizeof *data.previous_assignment.items);
    for (int32_t i = 0; i < data.previous_assignment.count; i++) {
        data.previous_assignment.items[i].topic = subscription->owned_partitions.items[i].topic;
        data.previous_assignment.items[i].partitions = subscription->owned_partitions.items[i].partitions;
    }
    uint8_t *bytes = rj_arena_alloc(arena, 1024);
    assert_int_equal(rj_encode(&rj_sticky_assignor_user_data_schema, 1, &data, bytes, 1024, &len, NULL), RJ_OK);
    subscription->user_data = (struct rj_bytes){bytes, (int32_t)len};
    subscription->owned_partitions.count = 0;
    subscription->generation_id = -1;
}

static void read_member(struct rj_arena *arena, const char *text, bool as_user_data, struct rj_assign_member *member)
{
    struct rj_consumer_protocol_subscription *subscription = rj_arena_alloc(arena, sizeof *subscription);
    rj_message_init(&rj_consumer_protocol_subscription_schema, subscription);
    const char *end = until(text, "=@ ");
    *member = (struct rj_assign_member){cut(text, end), RJ_NULL_STRING, subscription};
    for (; *end != ' '; end = until(text, "=@ ")) {
        char kind = *end;
        text = end + 1;
        end = until(text, "=@ ");
        if (kind == '=')
            member->instance_id = cut(text, end);
        else
            subscription->rack_id = cut(text, end);
        if (*end == ' ')
            break;
        text = end;
    }
    subscription->topics.items = rj_arena_alloc(arena, 8 * sizeof(struct rj_string));
    for (const char *at = end + 1; *at != '\0' && *at != ' ';) {
        const char *stop = until(at, ", ");
        subscription->topics.items[subscription->topics.count++] = cut(at, stop);
        at = *stop == ',' ? stop + 1 : stop;
    }
    const char *generation = strstr(end, "g=");
    if (generation == NULL)
        return;
    sscanf(generation + 2, "%d", &subscription->generation_id);
    const char *owned = strchr(generation, ' ');
    if (owned != NULL)
        read_owned(arena, owned + 1, subscription);
    if (as_user_data)
        claim_as_user_data(arena, subscription);
}

static void print_result(const struct rj_assign_member *members, int32_t count,
                         const struct rj_consumer_protocol_assignment *assignments, char *out, size_t out_len)
{
    size_t len = 0;
    for (int32_t m = 0; m < count; m++) {
        len += (size_t)snprintf(out + len, out_len - len, "%s%.*s=", m > 0 ? "|" : "", members[m].member_id.len,
                                members[m].member_id.data);
        for (int32_t i = 0; i < assignments[m].assigned_partitions.count; i++)
            for (int32_t k = 0; k < assignments[m].assigned_partitions.items[i].partitions.count; k++)
                len += (size_t)snprintf(out + len, out_len - len, "%s%.*s/%d", out[len - 1] == '=' ? "" : " ",
                                        assignments[m].assigned_partitions.items[i].topic.len,
                                        assignments[m].assigned_partitions.items[i].topic.data,
                                        assignments[m].assigned_partitions.items[i].partitions.items[k]);
    }
}

static void run_example(const struct example *example)
{
    struct rj_arena arena;
    struct rj_assign_topic topics[MOST];
    struct rj_assign_member members[MOST];
    struct rj_consumer_protocol_assignment assignments[MOST];
    int32_t topic_count = 0, member_count = 0;
    char result[1024];
    rj_arena_init(&arena, &test_heap, SIZE_MAX);
    for (; topic_count < 4 && example->topics[topic_count] != NULL; topic_count++)
        read_topic(&arena, example->topics[topic_count], &topics[topic_count]);
    for (; member_count < 4 && example->members[member_count] != NULL; member_count++)
        read_member(&arena, example->members[member_count], example->assignor == RJ_ASSIGNOR_STICKY,
                    &members[member_count]);
    assert_int_equal(rj_assign(example->assignor, members, member_count, topics, topic_count, &arena, assignments),
                     RJ_OK);
    print_result(members, member_count, assignments, result, sizeof result);
    if (strcmp(result, example->expected) != 0)
        print_error("%s\n", example->name);
    assert_string_equal(result, example->expected);
    rj_arena_release(&arena);
}

#define RACKS "t:r0 r1,r1 r2,r2 r0,r0 r1,r1 r2,r2 r0"

static const struct example examples[] = {
    {"six partitions, three members: range", RJ_ASSIGNOR_RANGE, {"t:6"}, {"A t", "B t", "C t"},
     "A=t/0 t/1|B=t/2 t/3|C=t/4 t/5"},
    {"six partitions, three members: roundrobin", RJ_ASSIGNOR_ROUND_ROBIN, {"t:6"}, {"A t", "B t", "C t"},
     "A=t/0 t/3|B=t/1 t/4|C=t/2 t/5"},
    {"range R1", RJ_ASSIGNOR_RANGE, {"t:7", "u:2"}, {"A t,u", "B t,u", "C t,u"},
     "A=t/0 t/1 t/2 u/0|B=t/3 t/4 u/1|C=t/5 t/6"},
    {"range R2", RJ_ASSIGNOR_RANGE, {"u:2", "t:7"}, {"A t", "B t,u", "C u"},
     "A=t/0 t/1 t/2 t/3|B=t/4 t/5 t/6 u/0|C=u/1"},
    {"range R3: a static member comes first", RJ_ASSIGNOR_RANGE, {"t:7", "u:2"}, {"A t,u", "B t,u", "C=zz t,u"},
     "A=t/3 t/4 u/1|B=t/5 t/6|C=t/0 t/1 t/2 u/0"},
    {"range, fewer partitions than members", RJ_ASSIGNOR_RANGE, {"t:2"}, {"A t", "B t", "C t"}, "A=t/0|B=t/1|C="},
    {"range RK1", RJ_ASSIGNOR_RANGE, {RACKS}, {"A@r2 t", "B@r1 t", "C@r0 t"}, "A=t/1 t/2|B=t/0 t/3|C=t/4 t/5"},
    {"range RK3", RJ_ASSIGNOR_RANGE, {RACKS}, {"A@r0 t", "B@r0 t", "C@nowhere t"}, "A=t/0 t/2|B=t/3 t/5|C=t/1 t/4"},
    {"range RK4: topics of one shape stay aligned", RJ_ASSIGNOR_RANGE, {"t:r0,r1,r2", "u:r0,r1,r2"},
     {"A@r2 t,u", "B@r1 t,u", "C@r0 t,u"}, "A=t/2 u/2|B=t/1 u/1|C=t/0 u/0"},
    {"roundrobin RR1", RJ_ASSIGNOR_ROUND_ROBIN, {"t:7", "u:2"}, {"A t,u", "B t,u", "C t,u"},
     "A=t/0 t/3 t/6|B=t/1 t/4 u/0|C=t/2 t/5 u/1"},
    {"roundrobin RR2", RJ_ASSIGNOR_ROUND_ROBIN, {"t0:1", "t1:2", "t2:3"}, {"C0 t0", "C1 t0,t1", "C2 t0,t1,t2"},
     "C0=t0/0|C1=t1/0|C2=t1/1 t2/0 t2/1 t2/2"},
    {"sticky S1: fresh", RJ_ASSIGNOR_STICKY, {"t:7", "u:2"}, {"A t,u", "B t,u", "C t,u"},
     "A=t/0 t/3 t/6|B=t/1 t/4 u/0|C=t/2 t/5 u/1"},
    {"sticky S2: a third joins", RJ_ASSIGNOR_STICKY, {"t:6"},
     {"A t g=1 t/0,t/2,t/4", "B t g=1 t/1,t/3,t/5", "C t"}, "A=t/0 t/2|B=t/1 t/3|C=t/4 t/5"},
    {"cooperative S3: the first round withholds", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:6"},
     {"A t g=1 t/0,t/2,t/4", "B t g=1 t/1,t/3,t/5", "C t"}, "A=t/0 t/2|B=t/1 t/3|C="},
    {"cooperative S3: the second round gives", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:6"},
     {"A t g=2 t/0,t/2", "B t g=2 t/1,t/3", "C t g=2"}, "A=t/0 t/2|B=t/1 t/3|C=t/4 t/5"},
    {"cooperative C3: claimed twice in one generation", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:6"},
     {"A t g=5 t/0,t/1,t/2", "B t g=5 t/2,t/3,t/4", "C t g=4 t/5"}, "A=t/0 t/1|B=t/3 t/4|C=t/5"},
    {"cooperative C4: the newer generation wins", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:6"},
     {"A t g=4 t/0,t/1,t/2", "B t g=5 t/2,t/3,t/4", "C t g=5 t/5"}, "A=t/0 t/1|B=t/2 t/3|C=t/5"},
    {"cooperative C5: one left", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:6"}, {"A t g=3 t/0,t/3", "B t g=3 t/1,t/4"},
     "A=t/0 t/2 t/3|B=t/1 t/4 t/5"},
    {"cooperative RK2: racks", RJ_ASSIGNOR_COOPERATIVE_STICKY, {RACKS}, {"A@r2 t", "B@r1 t", "C@r0 t"},
     "A=t/1 t/4|B=t/0 t/3|C=t/2 t/5"},
    {"sticky S4: unequal subscriptions", RJ_ASSIGNOR_STICKY, {"t0:1", "t1:2", "t2:3"},
     {"C0 t0", "C1 t0,t1", "C2 t0,t1,t2"}, "C0=t0/0|C1=t1/0 t1/1|C2=t2/0 t2/1 t2/2"},
};

static void test_worked_examples_give_kafkas_results(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        run_example(&examples[i]);
}

static void test_a_topic_without_metadata_is_skipped(void **state)
{
    (void)state;
    run_example(&(struct example){"missing", RJ_ASSIGNOR_RANGE, {"t:2", "empty:0"}, {"A t,empty,gone", "B t"},
                                  "A=t/0|B=t/1"});
}

/* Java's constrained builder would hand partitions out twice here. */
static void test_a_claim_of_a_partition_that_does_not_exist_is_dropped(void **state)
{
    (void)state;
    run_example(&(struct example){"phantom", RJ_ASSIGNOR_COOPERATIVE_STICKY, {"t:2"},
                                  {"A t g=1 t/0,t/7", "B t g=1 t/1"}, "A=t/0|B=t/1"});
}

/* Unreadable user data is no claim (KAFKA-7962). */
static void test_broken_user_data_is_no_claim(void **state)
{
    (void)state;
    static const uint8_t broken[] = {0, 0, 0, 9, 0};
    struct rj_string topic = RJ_STRING("t");
    struct rj_arena arena;
    struct rj_consumer_protocol_subscription subscription;
    struct rj_consumer_protocol_assignment assignment;
    rj_arena_init(&arena, &test_heap, SIZE_MAX);
    rj_message_init(&rj_consumer_protocol_subscription_schema, &subscription);
    subscription.topics = (struct rj_string_array){&topic, 1};
    subscription.user_data = (struct rj_bytes){broken, sizeof broken};
    struct rj_assign_member member = {RJ_STRING("A"), RJ_NULL_STRING, &subscription};
    struct rj_assign_topic topics = {topic, 2, NULL};
    assert_int_equal(rj_assign(RJ_ASSIGNOR_STICKY, &member, 1, &topics, 1, &arena, &assignment), RJ_OK);
    assert_int_equal(assignment.assigned_partitions.count, 1);
    assert_int_equal(assignment.assigned_partitions.items[0].partitions.count, 2);
    rj_arena_release(&arena);
}

static void test_names_are_those_on_the_wire(void **state)
{
    (void)state;
    enum rj_assignor assignor;
    assert_true(rj_assignor_by_name(RJ_STRING("cooperative-sticky"), &assignor));
    assert_int_equal(assignor, RJ_ASSIGNOR_COOPERATIVE_STICKY);
    assert_false(rj_assignor_by_name(RJ_STRING("uniform"), &assignor));
    assert_true(rj_assignor_is_cooperative(RJ_ASSIGNOR_COOPERATIVE_STICKY));
    assert_false(rj_assignor_is_cooperative(RJ_ASSIGNOR_RANGE));
}

/* U+1F600 is two surrogates in UTF-16 and sorts before U+FF5E there, after it in UTF-8. */
static void test_strings_compare_and_hash_as_in_java(void **state)
{
    (void)state;
    assert_true(rj_java_compare(RJ_STRING("\xf0\x9f\x98\x80"), RJ_STRING("\xef\xbd\x9e")) < 0);
    assert_true(rj_java_compare(RJ_STRING("a"), RJ_STRING("ab")) < 0);
    assert_true(rj_java_compare(RJ_STRING("b"), RJ_STRING("ab")) > 0);
    assert_int_equal(rj_java_hash(RJ_STRING("my-group")), -1906497762);
    assert_int_equal(rj_java_hash(RJ_STRING("rejoin-d36af698-3daa-4786-83ac")), -1938637375);
    assert_int_equal(rj_java_hash(RJ_STRING("consumer-\xc3\xa4-of-more-than-eight")), 1635591141);
    assert_int_equal(rj_java_hash(RJ_STRING("\xf0\x9f\x98\x80")), 1772899);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_examples_give_kafkas_results),
        cmocka_unit_test(test_a_topic_without_metadata_is_skipped),
        cmocka_unit_test(test_a_claim_of_a_partition_that_does_not_exist_is_dropped),
        cmocka_unit_test(test_broken_user_data_is_no_claim),
        cmocka_unit_test(test_names_are_those_on_the_wire),
        cmocka_unit_test(test_strings_compare_and_hash_as_in_java),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
