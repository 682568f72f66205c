/* A commit whose records are taken for granted gives what one does whose result is told: the same answers, records and
 * state, one step earlier. */
#include "rejoin/inspect.h"
#include "support_coord.h"
#include "support_random.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What is compared. */
struct text { char chars[16384]; size_t len; };

__attribute__((format(printf, 2, 3)))
static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text->chars + text->len, sizeof(text->chars) - text->len, format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && text->len + (size_t)len < sizeof(text->chars));
    text->len += (size_t)len;
}

static void add_records(struct text *text, const struct rj_append *append)
{
    add(text, "records at %" PRId64 ":", append->timestamp_ms);
    for (int32_t i = 0; i < append->record_count; i++) {
        const struct rj_offset_commit_key *key = append->records[i].key;
        const struct rj_offset_commit_value *value = append->records[i].value;
        assert_int_equal(append->records[i].record_type, 1);
        add(text, " %.*s/%.*s/%d v%d", (int)key->group.len, key->group.data, (int)key->topic.len, key->topic.data,
            key->partition, append->records[i].value_version);
        if (value != NULL)
            add(text, "=%" PRId64 "@%d %" PRId64 " %" PRId64 " id %d '%.*s'", value->offset, value->leader_epoch,
                value->commit_timestamp, value->expire_timestamp, value->topic_id.bytes[0], (int)value->metadata.len,
                value->metadata.data);
    }
    add(text, "\n");
}

static void add_answer(struct text *text, const struct rj_offset_commit_response *answer)
{
    for (int32_t t = 0; t < answer->topics.count; t++)
        for (int32_t p = 0; p < answer->topics.items[t].partitions.count; p++)
            add(text, "%.*s/%d: %d\n", (int)answer->topics.items[t].name.len, answer->topics.items[t].name.data,
                answer->topics.items[t].partitions.items[p].partition_index,
                answer->topics.items[t].partitions.items[p].error_code);
}

/* Sends one request and tells what came of it, the result of its records included. */
static void tell(struct coord_world *world, int16_t api_key, int16_t version, const void *body, struct text *text)
{
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .now_ms = world->now_ms, .is_assured = world->assures};
    event.as.request.connection_id = 1;
    event.as.request.correlation_id = 1;
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.body = body;
    struct rj_update update;
    text->len = 0;
    assert_int_equal(rj_step(world->coord, &event, &update), RJ_OK);
    uint64_t append_id = update.append_count ? update.appends[0].append_id : 0;
    if (update.append_count > 0)
        add_records(text, &update.appends[0]);
    if (append_id != 0) {
        assert_int_equal(update.reply_count, 0);
        struct rj_event result = {.type = RJ_EVENT_APPEND_RESULT, .now_ms = world->now_ms,
                                  .as.append_result = {append_id, 0}};
        assert_int_equal(rj_step(world->coord, &result, &update), RJ_OK);
    }
    assert_int_equal(update.reply_count, 1);
    add(text, "rule %d\n", (int)update.replies[0].rule);
    if (api_key == 8)
        add_answer(text, update.replies[0].body);
    const char *broken = NULL;
    if (!rj_check(world->coord, &broken))
        fail_msg("broken: %s", broken);
}

static void add_state(struct coord_world *world, struct text *text)
{
    struct rj_offset_fetch_request_group group = {.group_id = str("g"), .member_epoch = -1, .topics = {NULL, -1}};
    struct rj_offset_fetch_request request = {.groups = {&group, 1}};
    assert_int_equal(send_request(world, 9, 9, &request), 0);
    const struct rj_offset_fetch_response *response = world->reply.body;
    for (int32_t t = 0; t < response->groups.items[0].topics.count; t++) {
        const struct rj_offset_fetch_response_topics *topic = &response->groups.items[0].topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++)
            add(text, "state %.*s/%d=%" PRId64 "@%d '%.*s'\n", (int)topic->name.len, topic->name.data,
                topic->partitions.items[p].partition_index, topic->partitions.items[p].committed_offset,
                topic->partitions.items[p].committed_leader_epoch, (int)topic->partitions.items[p].metadata.len,
                topic->partitions.items[p].metadata.data);
    }
}

/* ---- Random requests --------------------------------------------------------------------------------------------- */

enum { PARTITIONS = 4, METADATA_LEN = 6000 };
static char metadata_text[METADATA_LEN];

static void fill_partition(uint64_t *random, struct rj_offset_commit_request_partition *partition)
{
    static const int32_t lens[] = {0, 0, 0, 1, 3, 40, METADATA_LEN};
    *partition = (struct rj_offset_commit_request_partition){
        .partition_index = (int32_t)test_random(random, PARTITIONS), /* the same one twice, too */
        .committed_offset = test_random(random, 1000), .committed_leader_epoch = (int32_t)test_random(random, 3) - 1,
        .commit_timestamp = -1, .committed_metadata = {metadata_text + test_random(random, 40), 0}};
    partition->committed_metadata.len = lens[test_random(random, 7)];
    if (partition->committed_metadata.len == METADATA_LEN)
        partition->committed_metadata.data = metadata_text;
    if (test_random(random, 10) == 0)
        partition->committed_metadata = RJ_NULL_STRING;
}

static void random_commit(uint64_t *random, struct coord_world *worlds, struct text *texts)
{
    static const int16_t versions[] = {1, 2, 5, 8, 9};
    struct rj_offset_commit_request_partition partitions[2][5];
    struct rj_offset_commit_request_topic topics[2];
    int32_t topic_count = 1 + (int32_t)test_random(random, 2);
    for (int32_t t = 0; t < topic_count; t++) {
        int32_t count = 1 + (int32_t)test_random(random, 5);
        topics[t] = (struct rj_offset_commit_request_topic){.name = str(test_random(random, 8) ? "t" : "unknown"),
                                                            .partitions = {partitions[t], count}};
        for (int32_t p = 0; p < count; p++)
            fill_partition(random, &partitions[t][p]);
    }
    int16_t version = versions[test_random(random, 5)];
    struct rj_offset_commit_request request = {
        .group_id = str("g"), .generation_id_or_member_epoch = -1, .member_id = str(test_random(random, 12) ? "" : "m"),
        .retention_time_ms = version == 2 ? 100000 : -1, .topics = {topics, topic_count}};
    for (int i = 0; i < 2; i++)
        tell(&worlds[i], 8, version, &request, &texts[i]);
}

static void random_delete(uint64_t *random, struct coord_world *worlds, struct text *texts)
{
    struct rj_offset_delete_request_partition partition = {
        .partition_index = (int32_t)test_random(random, PARTITIONS)};
    struct rj_offset_delete_request_topic topic = {.name = str("t"), .partitions = {&partition, 1}};
    struct rj_offset_delete_request request = {.group_id = str("g"), .topics = {&topic, 1}};
    for (int i = 0; i < 2; i++)
        tell(&worlds[i], 47, 0, &request, &texts[i]);
}

static void both_ways_are_the_same(void **context)
{
    (void)context;
    struct text texts[2];
    memset(metadata_text, 'm', sizeof(metadata_text));
    for (int i = 0; i < 60; i++)
        metadata_text[i] = (char)('a' + i % 26);
    int32_t direct_count = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct coord_world worlds[2];
        uint64_t random = seed;
        for (int i = 0; i < 2; i++) {
            coord_world_open(&worlds[i], NULL);
            worlds[i].assures = i == 1;
        }
        for (int step = 0; step < 40; step++) {
            if (test_random(&random, 8) == 0)
                random_delete(&random, worlds, texts);
            else
                random_commit(&random, worlds, texts);
            for (int i = 0; i < 2; i++) {
                add_state(&worlds[i], &texts[i]);
                worlds[i].now_ms += 10;
            }
            assert_string_equal(texts[0].chars, texts[1].chars);
        }
        direct_count += worlds[0].heap.calls > worlds[1].heap.calls;
        coord_world_close(&worlds[0]);
        coord_world_close(&worlds[1]);
    }
    assert_int_equal(direct_count, 300); /* it saved memory, so it was another way */
}

/* Where something is on its way before it, a commit waits in line however much it is assured. */
static void it_waits_behind_a_write(void **context)
{
    (void)context;
    struct coord_world world;
    uint64_t first = open_with_held_commit(&world);
    world.assures = true;
    assert_int_equal(send_commit(&world, "", -1, 9), PARKED);
    assert_true(world.last_append_id > first);
    coord_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_are_the_same),
        cmocka_unit_test(it_waits_behind_a_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
