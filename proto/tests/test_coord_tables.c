/* Every cell of the state table and of the request x state table. */
#include "coord/api.h"
#include "coord/rebalance.h"
#include "rejoin/inspect.h"
#include "support_coord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const enum rj_group_state states[] = {RJ_GROUP_EMPTY, RJ_GROUP_PREPARING, RJ_GROUP_COMPLETING, RJ_GROUP_STABLE,
                                             RJ_GROUP_DEAD};
enum { STATE_COUNT = sizeof(states) / sizeof(states[0]) };

/* Kafka's list reads the other way round: from which states one may come. */
static void every_transition(void **context)
{
    static const char *const from[STATE_COUNT] = {
        [RJ_GROUP_EMPTY] = "P", [RJ_GROUP_PREPARING] = "SCE", [RJ_GROUP_COMPLETING] = "P", [RJ_GROUP_STABLE] = "C",
        [RJ_GROUP_DEAD] = "SPCED"};
    static const char letters[STATE_COUNT + 1] = "EPCSD";
    (void)context;
    for (int to = 0; to < STATE_COUNT; to++)
        for (int before = 0; before < STATE_COUNT; before++)
            assert_int_equal(rj_transition_allowed(states[before], states[to]),
                             strchr(from[to], letters[before]) != NULL);
}

static void state_names(void **context)
{
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"};
    (void)context;
    for (int i = 0; i < STATE_COUNT; i++)
        assert_string_equal(rj_group_state_name(states[i]), names[i]);
}

/* ---- Requests ------------------------------------------------------------------------------------------------------------ */

static int send_txn_commit(struct coord_world *world, const char *member_id, int32_t generation_id)
{
    struct rj_txn_offset_commit_request_partition partition = {.committed_offset = 5, .committed_leader_epoch = -1};
    struct rj_txn_offset_commit_request_topic topic = {.name = str("t"), .partitions = {&partition, 1}};
    struct rj_txn_offset_commit_request request = {.transactional_id = str("x"), .group_id = str("g"),
                                                   .producer_id = 7, .generation_id = generation_id,
                                                   .member_id = str(member_id), .topics = {&topic, 1}};
    return send_request(world, 28, 3, &request);
}

static int send_delete(struct coord_world *world)
{
    struct rj_string id = str("g");
    struct rj_delete_groups_request request = {.groups_names = {&id, 1}};
    return send_request(world, 42, 2, &request);
}

static int send_kind(struct coord_world *world, enum rj_request_kind kind, const struct pair *pair)
{
    switch (kind) {
    case RJ_REQUEST_JOIN_NEW: return send_join(world, 3, "", NULL, "range");
    case RJ_REQUEST_JOIN_PROMISED: {
        /* Promised in the state at hand; a Dead group promises nothing. */
        int error = send_join(world, 9, "", NULL, "range");
        if (error != RJ_KAFKA_MEMBER_ID_REQUIRED)
            return error;
        char id[128];
        strcpy(id, world->member_id);
        return send_join(world, 9, id, NULL, "range");
    }
    case RJ_REQUEST_JOIN_LEADER: return send_join(world, 9, pair->leader, NULL, "range");
    case RJ_REQUEST_JOIN_FOLLOWER: return send_join(world, 9, pair->follower, NULL, "range");
    case RJ_REQUEST_SYNC_LEADER: return send_sync(world, pair->leader, pair->generation_id, true);
    case RJ_REQUEST_SYNC_FOLLOWER: return send_sync(world, pair->follower, pair->generation_id, false);
    case RJ_REQUEST_HEARTBEAT: return send_heartbeat(world, pair->follower, pair->generation_id);
    case RJ_REQUEST_COMMIT: return send_commit(world, pair->follower, pair->generation_id, 5);
    case RJ_REQUEST_COMMIT_ANONYMOUS: return send_commit(world, "", -1, 5);
    case RJ_REQUEST_TXN_COMMIT: return send_txn_commit(world, pair->follower, pair->generation_id);
    case RJ_REQUEST_TXN_COMMIT_ANONYMOUS: return send_txn_commit(world, "", -1);
    case RJ_REQUEST_LEAVE: return send_leave(world, pair->follower);
    case RJ_REQUEST_DELETE_GROUP: return send_delete(world);
    case RJ_REQUEST_KIND_COUNT: break;
    }
    return -100;
}

/* Section 2.14 of the rules, and what the other requests add to it. P: parked, 0 and up: the error. */
static const int expected[RJ_REQUEST_KIND_COUNT][STATE_COUNT] = {
    /*                                    Empty  Preparing  Completing  Stable  Dead */
    [RJ_REQUEST_JOIN_NEW] =              {0,     PARKED,    PARKED,     PARKED, 15},
    [RJ_REQUEST_JOIN_PROMISED] =         {0,     PARKED,    PARKED,     PARKED, 15},
    [RJ_REQUEST_JOIN_LEADER] =           {25,    PARKED,    0,          PARKED, 15},
    [RJ_REQUEST_JOIN_FOLLOWER] =         {25,    PARKED,    0,          0,      15},
    [RJ_REQUEST_SYNC_LEADER] =           {25,    27,        0,          0,      15},
    [RJ_REQUEST_SYNC_FOLLOWER] =         {25,    27,        PARKED,     0,      15},
    [RJ_REQUEST_HEARTBEAT] =             {25,    27,        0,          0,      15},
    [RJ_REQUEST_COMMIT] =                {25,    0,         27,         0,      15},
    [RJ_REQUEST_COMMIT_ANONYMOUS] =      {0,     25,        25,         25,     15},
    [RJ_REQUEST_TXN_COMMIT] =            {25,    0,         0,          0,      15},
    [RJ_REQUEST_TXN_COMMIT_ANONYMOUS] =  {0,     0,         0,          0,      15},
    [RJ_REQUEST_LEAVE] =                 {25,    0,         0,          0,      15},
    [RJ_REQUEST_DELETE_GROUP] =          {0,     68,        68,         68,     69},
};

static void every_cell(void **context)
{
    (void)context;
    for (int kind = 0; kind < RJ_REQUEST_KIND_COUNT; kind++)
        for (int state = 0; state < STATE_COUNT; state++) {
            struct coord_world world;
            coord_world_open(&world, NULL);
            struct pair pair = bring_to(&world, states[state]);
            int error = send_kind(&world, (enum rj_request_kind)kind, &pair);
            if (error != expected[kind][state])
                fail_msg("request kind %d in %s: %d, expected %d", kind, rj_group_state_name(states[state]), error,
                         expected[kind][state]);
            const struct rj_cell *cell = rj_admission_cell((enum rj_request_kind)kind, states[state]);
            if (cell->admission == RJ_ADMIT_REFUSE) {
                assert_int_equal(cell->error, error);
                assert_int_not_equal(world.rule, RJ_RULE_NONE);
            }
            assert_int_not_equal(cell->rule, RJ_RULE_NONE);
            if (states[state] == RJ_GROUP_DEAD) /* back to what events lead to, so that the world can be checked */
                rj_force_group_state(world.coord, str("g"), RJ_GROUP_STABLE);
            coord_world_close(&world);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transition),
        cmocka_unit_test(state_names),
        cmocka_unit_test(every_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
