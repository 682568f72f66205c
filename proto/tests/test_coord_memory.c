/* No allocation that fails leaves anything behind: the answer is 15 by rule limit-memory, the state is as before. */
#include "rejoin/inspect.h"
#include "support_coord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What a request could see, as one line: compared before and after a refusal. */
struct snapshot { char text[4096]; size_t len; };

__attribute__((format(printf, 2, 3)))
static void add(struct snapshot *snapshot, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(snapshot->text + snapshot->len, sizeof(snapshot->text) - snapshot->len, format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && snapshot->len + (size_t)len < sizeof(snapshot->text));
    snapshot->len += (size_t)len;
}

static void see_group(void *context, const struct rj_group_view *group)
{
    add(context, "[%.*s %s gen %d members %d joins %d syncs %d promised %d offsets %d lead %.*s]",
        (int)group->group_id.len, group->group_id.data, rj_group_state_name(group->state), group->generation_id,
        group->member_count, group->awaiting_join_count, group->pending_sync_count, group->promised_count,
        (int)group->offset_count, (int)group->leader.len, group->leader.data ? group->leader.data : "");
}

static void see_id(void *context, const struct rj_group_view *group, const struct rj_id_view *id)
{
    (void)group;
    add(context, "%.*s %d%d%d;", (int)id->member_id.len, id->member_id.data, id->is_member, id->is_promised,
        id->is_pending_sync);
}

static struct snapshot take(const struct rj_coord *coord)
{
    struct snapshot snapshot = {.len = 0};
    rj_inspect(coord, &(struct rj_inspector){.context = &snapshot, .group = see_group, .id = see_id});
    return snapshot;
}

/* ---- Requests ------------------------------------------------------------------------------------------------------- */

struct attempt {
    const char *name;
    enum rj_group_state state;
    int (*send)(struct coord_world *world, const struct pair *pair);
};

static int new_group(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    struct rj_join_group_request_protocol one = {.name = str("range"), .metadata = {(const uint8_t *)"m", 1}};
    struct rj_join_group_request request = {.group_id = str("other"), .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 20000, .member_id = str(""),
                                            .protocol_type = str("consumer"), .protocols = {&one, 1}};
    return send_request(world, 11, 3, &request);
}

static int join_old(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_join(world, 3, "", NULL, "range");
}

static int join_promise(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_join(world, 9, "", NULL, "range");
}

static int join_static(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_join(world, 9, "", "i", "range");
}

static int rejoin(struct coord_world *world, const struct pair *pair)
{
    return send_join(world, 9, pair->leader, NULL, "range");
}

static int rejoin_same(struct coord_world *world, const struct pair *pair)
{
    return send_join(world, 9, pair->follower, NULL, "range");
}

static int sync_leader(struct coord_world *world, const struct pair *pair)
{
    return send_sync(world, pair->leader, pair->generation_id, true);
}

static int sync_follower(struct coord_world *world, const struct pair *pair)
{
    return send_sync(world, pair->follower, pair->generation_id, false);
}

static int beat(struct coord_world *world, const struct pair *pair)
{
    return send_heartbeat(world, pair->follower, pair->generation_id);
}

static int leave(struct coord_world *world, const struct pair *pair) { return send_leave(world, pair->follower); }

static int commit(struct coord_world *world, const struct pair *pair)
{
    return send_commit(world, pair->follower, pair->generation_id, 7);
}

static int commit_simple(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_commit(world, "", -1, 7);
}

static int send_txn_commit(struct coord_world *world, const char *group_id, int32_t generation_id)
{
    struct rj_txn_offset_commit_request_partition partition = {.committed_offset = 5, .committed_leader_epoch = -1};
    struct rj_txn_offset_commit_request_topic topic = {.name = str("t"), .partitions = {&partition, 1}};
    struct rj_txn_offset_commit_request request = {.transactional_id = str("x"), .group_id = str(group_id),
                                                   .producer_id = 7, .generation_id = generation_id,
                                                   .member_id = str(""), .topics = {&topic, 1}};
    return send_request(world, 28, 3, &request);
}

static int txn_commit(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_txn_commit(world, "g", -1);
}

static int txn_commit_refused(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    return send_txn_commit(world, "other", 1);
}

static int fetch(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    struct rj_offset_fetch_request_group group = {.group_id = str("g"), .topics = {NULL, -1}};
    struct rj_offset_fetch_request request = {.groups = {&group, 1}};
    return send_request(world, 9, 9, &request);
}

static int delete_group(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    struct rj_string id = str("g");
    struct rj_delete_groups_request request = {.groups_names = {&id, 1}};
    return send_request(world, 42, 2, &request);
}

static int delete_offsets(struct coord_world *world, const struct pair *pair)
{
    (void)pair;
    struct rj_offset_delete_request_partition partition = {0};
    struct rj_offset_delete_request_topic topic = {.name = str("t"), .partitions = {&partition, 1}};
    struct rj_offset_delete_request request = {.group_id = str("g"), .topics = {&topic, 1}};
    return send_request(world, 47, 0, &request);
}

static const struct attempt attempts[] = {
    {"the first member of a group", RJ_GROUP_STABLE, new_group},
    {"a new member, v3", RJ_GROUP_STABLE, join_old},
    {"a new member, promised", RJ_GROUP_STABLE, join_promise},
    {"a new static member", RJ_GROUP_STABLE, join_static},
    {"the leader rejoins", RJ_GROUP_STABLE, rejoin},
    {"a follower rejoins unchanged", RJ_GROUP_STABLE, rejoin_same},
    {"a member rejoins in a join phase", RJ_GROUP_PREPARING, rejoin},
    {"the leader syncs", RJ_GROUP_COMPLETING, sync_leader},
    {"a follower syncs", RJ_GROUP_COMPLETING, sync_follower},
    {"heartbeat", RJ_GROUP_STABLE, beat},
    {"a member leaves", RJ_GROUP_STABLE, leave},
    {"a member leaves before the assignment", RJ_GROUP_COMPLETING, leave},
    {"commit", RJ_GROUP_STABLE, commit},
    {"commit to an empty group", RJ_GROUP_EMPTY, commit_simple},
    {"transactional commit", RJ_GROUP_STABLE, txn_commit},
    {"transactional commit that is refused, and leaves a group behind in 3.9", RJ_GROUP_STABLE, txn_commit_refused},
    {"fetch", RJ_GROUP_STABLE, fetch},
    {"delete a group", RJ_GROUP_EMPTY, delete_group},
    {"delete offsets", RJ_GROUP_EMPTY, delete_offsets},
};

/* What a run without failures answers. */
static int run(const struct attempt *attempt, const char *release, bool assures, int64_t fail_at, struct snapshot *before,
               struct snapshot *after, enum rj_rule *rule, int64_t *calls)
{
    struct coord_world world;
    struct rj_config config;
    assert_true(rj_config_for_release(&config, str(release)));
    config.group_initial_rebalance_delay_ms = 0;
    coord_world_open(&world, &config);
    struct pair pair = bring_to(&world, attempt->state);
    if (attempt->state == RJ_GROUP_EMPTY)
        assert_int_equal(send_commit(&world, "", -1, 3), 0);
    *before = take(world.coord);
    world.assures = assures;
    int64_t start = world.heap.calls;
    world.heap.fail_at = fail_at ? start + fail_at : 0;
    int error = attempt->send(&world, &pair);
    world.heap.fail_at = 0;
    *calls = world.heap.calls - start;
    *rule = world.rule;
    *after = take(world.coord);
    coord_world_close(&world);
    return error;
}

static int fail_every_allocation(const char *release, bool assures)
{
    int refused = 0;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        struct snapshot before, after, fine;
        enum rj_rule rule;
        int64_t calls, unused;
        int usual = run(&attempts[i], release, assures, 0, &before, &fine, &rule, &calls);
        for (int64_t fail_at = 1; fail_at <= calls; fail_at++) {
            int error = run(&attempts[i], release, assures, fail_at, &before, &after, &rule, &unused);
            if (rule == RJ_RULE_LIMIT_MEMORY) {
                assert_int_equal(error, RJ_KAFKA_COORDINATOR_NOT_AVAILABLE);
                assert_string_equal(before.text, after.text);
                refused++;
            } else { /* the step that failed was repeated, or could do without */
                if (error != usual || strcmp(after.text, fine.text) != 0)
                    fail_msg("%s, allocation %d: error %d, state %s", attempts[i].name, (int)fail_at, error,
                             after.text);
            }
        }
    }
    printf("%d refusals\n", refused);
    return refused;
}

static void every_allocation(void **context)
{
    (void)context;
    assert_true(fail_every_allocation("4.1", false) >= 30);
    assert_true(fail_every_allocation("4.1", true) >= 28);
    assert_true(fail_every_allocation("3.9", false) >= 32);
}

static void every_allocation_of_creation(void **context)
{
    (void)context;
    struct rj_config config;
    struct rj_limits limits;
    rj_config_init(&config);
    rj_limits_init(&limits);
    for (int64_t fail_at = 1;; fail_at++) {
        struct counting_heap heap;
        counting_heap_init(&heap);
        heap.fail_at = fail_at;
        struct rj_coord *coord = NULL;
        enum rj_err err = rj_coord_create(&coord, &heap.allocator, &limits, &config);
        if (err == RJ_OK) {
            rj_coord_destroy(coord);
            assert_int_equal(heap.live_bytes, 0);
            assert_true(fail_at > 1);
            return;
        }
        assert_int_equal(err, RJ_ERR_MEMORY);
        assert_int_equal(heap.live_bytes, 0);
    }
}

static void every_allocation_of_a_shared_output(void **context)
{
    (void)context;
    for (int64_t fail_at = 1;; fail_at++) {
        struct counting_heap heap;
        counting_heap_init(&heap);
        heap.fail_at = fail_at;
        struct rj_shared_output *shared = NULL;
        enum rj_err err = rj_shared_output_create(&shared, &heap.allocator, SIZE_MAX);
        rj_shared_output_destroy(shared);
        assert_int_equal(heap.live_bytes, 0);
        if (err == RJ_OK) {
            assert_true(fail_at > 1);
            return;
        }
        assert_int_equal(err, RJ_ERR_MEMORY);
    }
}

/* The error of a JoinGroup to a group of so many members. */
static int16_t join_error(struct rj_coord *coord, const char *group_id, int32_t number)
{
    struct rj_join_group_request_protocol one = {.name = str("range"), .metadata = {(const uint8_t *)"m", 1}};
    struct rj_join_group_request request = {.group_id = str(group_id), .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 20000, .member_id = str(""),
                                            .protocol_type = str("consumer"), .protocols = {&one, 1}};
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .now_ms = 1000};
    struct rj_update update;
    memcpy(event.entropy.bytes, &number, sizeof(number));
    event.as.request.connection_id = (uint64_t)number + 1;
    event.as.request.api_key = 11;
    event.as.request.version = 3;
    event.as.request.body = &request;
    assert_int_equal(rj_step(coord, &event, &update), RJ_OK);
    return update.reply_count == 0 ? 0 : ((const struct rj_join_group_response *)update.replies[0].body)->error_code;
}

/* Two coordinators put their updates together in one place, each keeps its own groups, and its limit holds for both. */
static void output_can_be_shared(void **context)
{
    enum { MEMBERS = 1000, OUTPUT_LIMIT_LEN = 100 * 1024 };
    (void)context;
    struct counting_heap heap;
    struct rj_config config;
    struct rj_limits limits;
    struct rj_shared_output *shared;
    struct rj_coord *coords[2];
    const char *broken;
    counting_heap_init(&heap);
    rj_config_init(&config);
    rj_limits_init(&limits);
    assert_int_equal(rj_shared_output_create(&shared, &heap.allocator, OUTPUT_LIMIT_LEN), RJ_OK);
    int64_t with_output = heap.live_bytes;
    for (int i = 0; i < 2; i++)
        assert_int_equal(rj_coord_create_sharing(&coords[i], &heap.allocator, &limits, &config, shared), RJ_OK);
    assert_true(heap.live_bytes - with_output < 8 * 1024); /* without 64 KiB each */
    int refused[2] = {0, 0};
    for (int32_t i = 0; i < MEMBERS; i++) {
        refused[0] += join_error(coords[0], "large", i) == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
        if (i % 100 == 0)
            refused[1] += join_error(coords[1], "small", i) != 0;
    }
    assert_in_range(refused[0], 1, MEMBERS - 1);
    assert_int_equal(refused[1], 0);
    for (int i = 0; i < 2; i++) {
        assert_true(rj_check(coords[i], &broken));
        rj_coord_destroy(coords[i]);
    }
    rj_shared_output_destroy(shared);
    assert_int_equal(heap.live_bytes, 0);
}

/* The periodic clean-up needs memory for its tombstones: without it nothing expires, with it everything does. */
static void timers_wait_for_memory(void **context)
{
    enum { WEEK_AND_A_DAY_MS = 8 * 24 * 3600 * 1000 };
    (void)context;
    struct coord_world world;
    coord_world_open(&world, NULL);
    assert_int_equal(send_commit(&world, "", -1, 3), 0);
    int failures = 0;
    world.now_ms += WEEK_AND_A_DAY_MS;
    for (int64_t fail_at = 1; fail_at <= 2; fail_at++) {
        world.heap.fail_at = world.heap.calls + fail_at;
        struct rj_event tick = {.type = RJ_EVENT_TICK};
        failures += coord_world_step(&world, &tick) == RJ_ERR_MEMORY;
        world.heap.fail_at = 0;
        assert_non_null(strstr(take(world.coord).text, "offsets 1"));
    }
    assert_int_equal(failures, 2);
    coord_world_advance(&world, 0);
    assert_string_equal(take(world.coord).text, "");
    coord_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(every_allocation_of_creation),
        cmocka_unit_test(every_allocation_of_a_shared_output),
        cmocka_unit_test(output_can_be_shared),
        cmocka_unit_test(timers_wait_for_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
