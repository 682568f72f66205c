/* Groups of consumer cores on coordinator cores, in virtual time. */
#include "support_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sim_config six_partitions = {.seed = 1, .brokers = 2, .partitions = 6, .delay_max_ms = 5};

static void settle(struct sim *sim, int64_t ms)
{
    char why[256];
    sim_run(sim, ms);
    if (!sim_is_settled(sim, why, sizeof why))
        fail_msg("after %lld ms: %s", (long long)ms, why);
}

static int start(struct sim *sim, enum rj_assignor assignor, const char *instance_id)
{
    struct rj_consumer_config config;
    sim_consumer_config(sim, &config);
    config.assignors[0] = assignor;
    config.assignor_count = 1;
    if (instance_id != NULL)
        config.instance_id = (struct rj_string){instance_id, (int32_t)strlen(instance_id)};
    return sim_start_consumer(sim, &config);
}

static void test_three_consumers_share_six_partitions(void **state)
{
    (void)state;
    for (int a = 0; a < RJ_ASSIGNOR_COUNT; a++) {
        struct sim *sim = sim_create(&six_partitions);
        for (int i = 0; i < 3; i++)
            start(sim, (enum rj_assignor)a, NULL);
        settle(sim, 10000);
        for (int i = 0; i < 3; i++)
            assert_int_equal(sim_count_owned(sim, i), 2);
        sim_destroy(sim);
    }
}

static void test_scale_1_2_3_2_1_delivers_every_record(void **state)
{
    (void)state;
    static const enum rj_assignor assignors[] = {RJ_ASSIGNOR_RANGE, RJ_ASSIGNOR_COOPERATIVE_STICKY};
    for (size_t a = 0; a < 2; a++) {
        struct sim *sim = sim_create(&six_partitions);
        sim_produce(sim, 50);
        start(sim, assignors[a], NULL);
        settle(sim, 10000);
        assert_int_equal(sim_count_owned(sim, 0), 6);
        start(sim, assignors[a], NULL);
        settle(sim, 10000);
        assert_int_equal(sim_count_owned(sim, 1), 3);
        start(sim, assignors[a], NULL);
        settle(sim, 10000);
        assert_int_equal(sim_count_owned(sim, 2), 2);
        sim_close_consumer(sim, 0);
        settle(sim, 10000);
        assert_true(sim_is_closed(sim, 0));
        assert_int_equal(sim_count_owned(sim, 1), 3);
        sim_close_consumer(sim, 1);
        settle(sim, 10000);
        assert_int_equal(sim_count_owned(sim, 2), 6);
        sim_produce(sim, 0);
        settle(sim, 10000);
        assert_int_equal(sim_gap_count(sim), 0);
        for (int32_t p = 0; p < 6; p++) {
            assert_true(sim_consumed(sim, p) > 50);
            assert_int_equal(sim_committed(sim, p), sim_consumed(sim, p));
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(sim_lost_count(sim, i), 0);
        sim_destroy(sim);
    }
}

/* Cooperative: who keeps a partition is never told that it went. */
static void test_a_cooperative_member_keeps_what_stays_its_own(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_COOPERATIVE_STICKY, NULL);
    settle(sim, 5000);
    start(sim, RJ_ASSIGNOR_COOPERATIVE_STICKY, NULL);
    for (int i = 0; i < 200; i++) {
        sim_run(sim, 50);
        assert_true(sim_count_owned(sim, 0) >= 3);
    }
    settle(sim, 1000);
    assert_int_equal(sim_count_owned(sim, 0), 3);
    sim_destroy(sim);
}

static void test_a_crashed_member_is_replaced_after_its_session(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    sim_kill_consumer(sim, 0);
    sim_run(sim, 8000);
    assert_int_equal(sim_count_owned(sim, 1), 3);
    settle(sim, 6000);
    assert_int_equal(sim_count_owned(sim, 1), 6);
    sim_destroy(sim);
}

/* A static member comes back with its partitions, and nobody else notices. */
static void test_a_static_restart_disturbs_nobody(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, "one");
    start(sim, RJ_ASSIGNOR_RANGE, "two");
    settle(sim, 10000);
    uint32_t owned = sim_owned(sim, 1);
    int rebalances = sim_rebalance_count(sim, 0);
    sim_close_consumer(sim, 1);
    sim_run(sim, 2000);
    assert_true(sim_is_closed(sim, 1));
    assert_int_equal(sim_requests(sim, 1, RJ_API_LEAVE_GROUP), 0);
    start(sim, RJ_ASSIGNOR_RANGE, "two");
    settle(sim, 5000);
    assert_int_equal(sim_owned(sim, 2), owned);
    assert_int_equal(sim_rebalance_count(sim, 0), rebalances);
    sim_destroy(sim);
}

static void test_a_second_static_member_of_one_name_fences_the_first(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, "one");
    settle(sim, 5000);
    start(sim, RJ_ASSIGNOR_RANGE, "one");
    sim_run(sim, 5000);
    assert_int_equal(sim_fatal_error(sim, 0), RJ_KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(sim_owned(sim, 0), 0);
    int heartbeats = sim_requests(sim, 0, RJ_API_HEARTBEAT);
    sim_run(sim, 20000);
    assert_int_equal(sim_requests(sim, 0, RJ_API_HEARTBEAT), heartbeats);
    assert_int_equal(sim_count_owned(sim, 1), 6);
    sim_destroy(sim);
}

/* The coordinator moves: 16, rediscovery, and on in the same generation. */
static void test_a_coordinator_move_keeps_the_generation(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    for (int i = 0; i < 3; i++)
        start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    int32_t generation_id = rj_consumer_generation_id(sim_consumer(sim, 0));
    sim_move_coordinator(sim, 1);
    settle(sim, 15000);
    assert_int_equal(rj_consumer_generation_id(sim_consumer(sim, 0)), generation_id);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    assert_int_equal(rj_consumer_generation_id(sim_consumer(sim, 0)), generation_id + 1);
    sim_destroy(sim);
}

static void test_a_broken_coordinator_connection_keeps_the_membership(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    int rebalances = sim_rebalance_count(sim, 0);
    for (int i = 0; i < 5; i++) {
        sim_break_connections(sim, 0, true);
        settle(sim, 3000);
    }
    assert_int_equal(sim_rebalance_count(sim, 0), rebalances);
    assert_int_equal(sim_lost_count(sim, 0), 0);
    sim_destroy(sim);
}

/* New partitions: the leader sees them in its metadata and rejoins (cl-leader-metadata). */
static void test_added_partitions_are_assigned(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    sim_add_partitions(sim, 2);
    settle(sim, 10000);
    assert_int_equal(sim_count_owned(sim, 0) + sim_count_owned(sim, 1), 8);
    sim_destroy(sim);
}

/* cl-poll-interval: who stops polling leaves and loses its partitions; it rejoins when it polls again. */
static void test_a_member_that_stops_polling_leaves_and_comes_back(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 10000);
    sim_pause_polling(sim, 0, true);
    sim_run(sim, 40000);
    assert_int_equal(sim_owned(sim, 0), 0);
    assert_int_equal(sim_lost_count(sim, 0), 1);
    assert_int_equal(sim_count_owned(sim, 1), 6);
    assert_int_equal(sim_requests(sim, 0, RJ_API_LEAVE_GROUP), 1);
    sim_pause_polling(sim, 0, false);
    settle(sim, 10000);
    assert_int_equal(sim_count_owned(sim, 0), 3);
    sim_destroy(sim);
}

static void test_a_fourth_member_on_three_partitions_stays_idle(void **state)
{
    (void)state;
    struct sim_config config = six_partitions;
    config.partitions = 3;
    struct sim *sim = sim_create(&config);
    for (int i = 0; i < 4; i++)
        start(sim, RJ_ASSIGNOR_RANGE, NULL);
    settle(sim, 20000);
    int idle = 0, rebalances = 0;
    for (int i = 0; i < 4; i++) {
        idle += sim_owned(sim, i) == 0;
        rebalances += sim_rebalance_count(sim, i);
    }
    assert_int_equal(idle, 1);
    settle(sim, 30000); /* cl-empty-assignment: it heartbeats on, and nothing happens */
    for (int i = 0; i < 4; i++)
        rebalances -= sim_rebalance_count(sim, i);
    assert_int_equal(rebalances, 0);
    sim_destroy(sim);
}

/* Old versions of everything: no promised ids, no instance ids, one member a LeaveGroup, groups one by one. */
static void test_old_versions_work(void **state)
{
    (void)state;
    struct sim *sim = sim_create(&six_partitions);
    struct rj_consumer_config config;
    sim_consumer_config(sim, &config);
    static const struct { int16_t api_key, version; } caps[] = {
        {RJ_API_JOIN_GROUP, 0}, {RJ_API_SYNC_GROUP, 0}, {RJ_API_HEARTBEAT, 0}, {RJ_API_LEAVE_GROUP, 0},
        {RJ_API_OFFSET_COMMIT, 2}, {RJ_API_OFFSET_FETCH, 1}, {RJ_API_FIND_COORDINATOR, 0}, {RJ_API_METADATA, 1},
        {RJ_API_FETCH, 4}, {RJ_API_LIST_OFFSETS, 1}, {RJ_API_API_VERSIONS, 0}};
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
        config.version_caps[caps[i].api_key] = caps[i].version;
    sim_produce(sim, 20);
    for (int i = 0; i < 3; i++)
        sim_start_consumer(sim, &config);
    settle(sim, 20000);
    sim_close_consumer(sim, 0);
    settle(sim, 20000);
    sim_produce(sim, 0);
    settle(sim, 10000);
    for (int32_t p = 0; p < 6; p++)
        assert_int_equal(sim_committed(sim, p), sim_consumed(sim, p));
    assert_int_equal(sim_gap_count(sim), 0);
    sim_destroy(sim);
}

/* ---- Random schedules -------------------------------------------------------------------------------------------- */

static const char *const instance_ids[SIM_CONSUMERS_MAX] = {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7"};

/* What may happen in a schedule. There are static members, or the coordinator moves, but not both: one that moves
 * before a replacement (also by the same member, whose JoinGroup answer was lost) is in the log knows the instance
 * under its old member id, and fences the new one (82), as Kafka does. */
struct schedule { bool cooperative, has_statics; int live, started; };

/* Every third: static, in the place of one that was killed if there is one. */
static void make_static(struct sim *sim, const struct schedule *schedule, struct rj_consumer_config *config)
{
    if (!schedule->has_statics || sim_random(sim, 3) != 0)
        return;
    config->instance_id = (struct rj_string){instance_ids[schedule->started], 2};
    for (int i = 0; i < schedule->started; i++)
        if (!sim_is_live(sim, i) && sim_instance_id(sim, i).len > 0 && !sim_has_instance(sim, sim_instance_id(sim, i)))
            config->instance_id = sim_instance_id(sim, i);
}

/* Cooperative members are all of one kind: behind a coordinator move only the protocol that was chosen is known of each
 * member, so that one that does not offer it may not come back (23). */
static void random_event(struct sim *sim, struct schedule *schedule)
{
    int target = (int)sim_random(sim, (uint32_t)schedule->started);
    struct rj_consumer_config config;
    switch (sim_random(sim, 9)) {
    case 0:
        if (schedule->started == SIM_CONSUMERS_MAX)
            break;
        sim_consumer_config(sim, &config);
        if (schedule->cooperative)
            config.assignors[0] = RJ_ASSIGNOR_COOPERATIVE_STICKY;
        config.assignor_count = schedule->cooperative ? 1 : 2;
        make_static(sim, schedule, &config);
        sim_start_consumer(sim, &config);
        schedule->started++;
        schedule->live++;
        break;
    case 1:
        if (schedule->live < 2 || !sim_is_live(sim, target))
            break;
        if (sim_random(sim, 2) == 0)
            sim_close_consumer(sim, target);
        else
            sim_kill_consumer(sim, target);
        schedule->live--;
        break;
    case 2:
    case 3:
        sim_break_connections(sim, target, sim_random(sim, 2) == 0);
        break;
    case 4:
        if (!schedule->has_statics)
            sim_move_coordinator(sim, (int)sim_random(sim, 3));
        break;
    case 5:
    case 6:
        sim_lose_answers(sim, sim_random(sim, 2) == 0 ? 0 : 5 + sim_random(sim, 30));
        break;
    case 7:
        sim_pause_polling(sim, target, sim_random(sim, 2) == 0);
        break;
    default:
        break;
    }
}

/* Whatever happened, the group settles once the network is calm: every partition is owned exactly once. Along the way
 * no two members of one generation own the same partition (support_sim.c), and no record is skipped. */
static void run_schedule(uint64_t seed)
{
    struct sim_config config = {.seed = seed, .brokers = 3, .partitions = 6};
    config.delay_max_ms = (int32_t)(seed % 7) * 30;
    config.initial_rebalance_delay_ms = seed % 5 == 0 ? 3000 : 0;
    struct sim *sim = sim_create(&config);
    struct schedule schedule = {seed % 2 == 0, seed % 3 == 0, 3, 3};
    char why[256];
    for (int i = 0; i < 3; i++) {
        struct rj_consumer_config consumer;
        sim_consumer_config(sim, &consumer);
        if (schedule.cooperative) {
            consumer.assignors[0] = RJ_ASSIGNOR_COOPERATIVE_STICKY;
            consumer.assignor_count = 1;
        }
        sim_start_consumer(sim, &consumer);
    }
    sim_produce(sim, 10);
    for (int i = 0; i < 30; i++) {
        random_event(sim, &schedule);
        sim_run(sim, sim_random(sim, 3000));
    }
    sim_lose_answers(sim, 0);
    for (int i = 0; i < schedule.started; i++)
        sim_pause_polling(sim, i, false);
    sim_run(sim, 120000);
    if (!sim_is_settled(sim, why, sizeof why))
        fail_msg("seed %llu: %s", (unsigned long long)seed, why);
    if (sim_gap_count(sim) != 0)
        fail_msg("seed %llu: %lld records were skipped", (unsigned long long)seed, (long long)sim_gap_count(sim));
    sim_destroy(sim);
}

static void test_random_schedules_end_with_every_partition_owned_once(void **state)
{
    (void)state;
    const char *first = getenv("REJOIN_SEED"), *rounds = getenv("REJOIN_ROUNDS");
    uint64_t seed = first != NULL ? strtoull(first, NULL, 10) : 1;
    for (int i = 0; i < (rounds != NULL ? atoi(rounds) : 100); i++, seed++)
        run_schedule(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_consumers_share_six_partitions),
        cmocka_unit_test(test_scale_1_2_3_2_1_delivers_every_record),
        cmocka_unit_test(test_a_cooperative_member_keeps_what_stays_its_own),
        cmocka_unit_test(test_a_crashed_member_is_replaced_after_its_session),
        cmocka_unit_test(test_a_static_restart_disturbs_nobody),
        cmocka_unit_test(test_a_second_static_member_of_one_name_fences_the_first),
        cmocka_unit_test(test_a_coordinator_move_keeps_the_generation),
        cmocka_unit_test(test_a_broken_coordinator_connection_keeps_the_membership),
        cmocka_unit_test(test_added_partitions_are_assigned),
        cmocka_unit_test(test_a_member_that_stops_polling_leaves_and_comes_back),
        cmocka_unit_test(test_a_fourth_member_on_three_partitions_stays_idle),
        cmocka_unit_test(test_old_versions_work),
        cmocka_unit_test(test_random_schedules_end_with_every_partition_owned_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
