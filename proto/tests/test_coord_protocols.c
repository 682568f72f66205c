/* A protocol that a member names twice counts twice, so that one can win which another member does not offer. */
#include "coord/group.h"
#include "support_coord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A JoinGroup of a group that is not "consumer": its subscriptions are not read. */
static int join(struct coord_world *world, const char *member_id, const char *const *names)
{
    struct rj_join_group_request_protocol protocols[4];
    struct rj_join_group_request request = {.group_id = str("g"), .session_timeout_ms = 10000,
                                            .rebalance_timeout_ms = 20000, .member_id = str(member_id),
                                            .protocol_type = str("connect"), .protocols = {protocols, 0}};
    while (names[request.protocols.count] != NULL) {
        protocols[request.protocols.count] = (struct rj_join_group_request_protocol){
            .name = str(names[request.protocols.count]), .metadata = {(const uint8_t *)"m", 1}};
        request.protocols.count++;
    }
    return send_request(world, 11, 3, &request);
}

static const char *const sound[] = {"roundrobin", NULL};
static const char *const twice[] = {"range", "roundrobin", "range", NULL};

/* The leader offers one protocol; then a second member joins with the names given, and the leader again. */
static int two_join(struct coord_world *world, const char *const *second, char *leader)
{
    coord_world_open(world, NULL);
    assert_int_equal(join(world, "", sound), 0);
    strcpy(leader, world->member_id);
    assert_int_equal(join(world, "", second), PARKED);
    return join(world, leader, sound);
}

static void all_offer_what_won(void **context)
{
    static const char *const more[] = {"range", "roundrobin", NULL};
    struct coord_world world;
    char leader[128];
    (void)context;
    assert_int_equal(two_join(&world, more, leader), 0);
    struct rj_group *group = rj_group_find(world.coord, str("g"));
    assert_true(rj_string_equal(group->protocol_name, str("roundrobin")));
    assert_true(rj_all_offer_chosen(group));
    assert_int_equal(send_sync(&world, leader, 2, true), 0);
    coord_world_close(&world);
}

/* Its JoinGroup, which completes the phase, a repeated one and a SyncGroup get -1, and it counts as one that waits. */
static void the_leader_does_not_offer_what_won(void **context)
{
    struct coord_world world;
    char leader[128];
    (void)context;
    assert_int_equal(two_join(&world, twice, leader), RJ_KAFKA_UNKNOWN_SERVER_ERROR);
    struct rj_group *group = rj_group_find(world.coord, str("g"));
    assert_true(rj_string_equal(group->protocol_name, str("range")));
    assert_int_equal(group->state, RJ_GROUP_COMPLETING);
    assert_false(rj_all_offer_chosen(group));
    struct rj_member *member = rj_member_find(group, str(leader));
    assert_true(member->join.waiting);

    assert_int_equal(join(&world, leader, sound), RJ_KAFKA_UNKNOWN_SERVER_ERROR);
    assert_int_equal(world.rule, RJ_RULE_JOIN_DUPLICATE_PROTOCOLS);
    assert_false(member->sync.waiting);
    int32_t append_count = world.append_count;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_sync(&world, leader, 2, true), RJ_KAFKA_UNKNOWN_SERVER_ERROR);
        assert_int_equal(world.rule, RJ_RULE_JOIN_DUPLICATE_PROTOCOLS);
        assert_true(member->sync.waiting);
    }
    assert_int_equal(world.append_count, append_count);
    assert_int_equal(group->state, RJ_GROUP_COMPLETING);
    assert_int_equal(send_leave(&world, leader), 0);
    assert_null(rj_member_find(group, str(leader)));
    coord_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_offer_what_won),
        cmocka_unit_test(the_leader_does_not_offer_what_won),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
