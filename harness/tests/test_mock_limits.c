/* Each limit of the mock, set low: what hits it, who pays for it, and that others are served on. */
#include "support_mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char last_line[512];

static void keep_line(void *context, const char *line)
{
    (void)context;
    snprintf(last_line, sizeof(last_line), "%s", line);
}

struct setup { uv_loop_t loop; struct mock_cluster *cluster; uint16_t port; };

static void start(struct setup *setup, void (*lower)(struct mock_limits *limits))
{
    struct mock_options options;
    char error[256];
    mock_options_init(&options);
    options.initial_rebalance_delay_ms = 0;
    options.log = keep_line;
    lower(&options.limits);
    last_line[0] = '\0';
    assert_int_equal(uv_loop_init(&setup->loop), 0);
    assert_int_equal(mock_start(&setup->cluster, &setup->loop, &options, error, sizeof(error)), MOCK_STARTED);
    setup->port = (uint16_t)atoi(strrchr(mock_bootstrap(setup->cluster), ':') + 1);
}

static void turn(struct setup *setup)
{
    for (int i = 0; i < 20; i++)
        uv_run(&setup->loop, UV_RUN_NOWAIT);
}

static void stop(struct setup *setup) { support_stop(setup->cluster, &setup->loop); }

static int connect_to(struct setup *setup)
{
    int peer = support_connect(setup->port);
    turn(setup);
    return peer;
}

static bool is_closed(int peer)
{
    char byte;
    ssize_t got = recv(peer, &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* Heartbeat v0 of nobody in group "g"; answered 25. */
static bool is_served(struct setup *setup, int peer)
{
    static const uint8_t heartbeat[] = {0, 0, 0, 23, 0, 12, 0, 0, 0, 0, 0, 7, 0, 1, 'c', 0, 1, 'g', 0, 0, 0, 1,
                                        0, 3, 'x', 'y', 'z'};
    uint8_t answer[10];
    if (send(peer, heartbeat, sizeof(heartbeat), MSG_NOSIGNAL) != (ssize_t)sizeof(heartbeat))
        return false;
    turn(setup);
    return recv(peer, answer, sizeof(answer), 0) == (ssize_t)sizeof(answer) && answer[7] == 7 && answer[9] == 25;
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static void three_connections(struct mock_limits *limits) { limits->connection_count = 3; }

static void the_most_silent_makes_room(void **state)
{
    (void)state;
    struct setup setup;
    start(&setup, three_connections);
    int peers[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = connect_to(&setup);
        usleep(3000);
        assert_true(is_served(&setup, peers[i]));
    }
    usleep(3000);
    assert_true(is_served(&setup, peers[0])); /* now the second one has been silent longest */
    int fourth = connect_to(&setup);
    assert_true(is_served(&setup, fourth));
    assert_true(is_closed(peers[1]) && !is_closed(peers[0]) && !is_closed(peers[2]));
    assert_non_null(strstr(last_line, "3 connections are open, the limit; the most silent, 127.0.0.1:"));
    for (int i = 0; i < 3; i++)
        close(peers[i]);
    close(fourth);
    stop(&setup);
}

/* ---- Bytes that wait --------------------------------------------------------------------------------------------- */

static void little_held(struct mock_limits *limits) { limits->held_len = 200000; }

static void send_part(struct setup *setup, int peer, size_t len)
{
    static const uint8_t length[] = {0, 16, 0, 0}; /* 1 MiB */
    static uint8_t bytes[60000];
    assert_int_equal(send(peer, length, sizeof(length), MSG_NOSIGNAL), sizeof(length));
    while (len > 0) {
        ssize_t sent = send(peer, bytes, len < sizeof(bytes) ? len : sizeof(bytes), MSG_NOSIGNAL);
        turn(setup);
        if (sent < 0 && errno != EAGAIN)
            return;
        len -= sent > 0 ? (size_t)sent : 0;
    }
}

static void who_holds_most_is_closed(void **state)
{
    (void)state;
    struct setup setup;
    start(&setup, little_held);
    int healthy = connect_to(&setup), small = connect_to(&setup), large = connect_to(&setup);
    send_part(&setup, small, 20000);
    send_part(&setup, large, 120000);
    assert_true(is_served(&setup, healthy) && !is_closed(large));
    int another = connect_to(&setup);
    send_part(&setup, another, 100000);
    assert_true(is_closed(large) != is_closed(another)); /* one of the two, and then it is enough */
    assert_false(is_closed(small));
    assert_true(is_served(&setup, healthy));
    assert_non_null(strstr(last_line, "the limit is 200000; this one with most"));
    close(healthy);
    close(small);
    close(large);
    close(another);
    stop(&setup);
}

/* ---- Coordinators ------------------------------------------------------------------------------------------------ */

static void little_for_coordinators(struct mock_limits *limits) { limits->coordinators_len = 200000; }

/* JoinGroup v4 of a new member, each in a group of its own: answered 79 while there is room, then 15. */
static void coordinators_answer_15_when_full(void **state)
{
    (void)state;
    struct setup setup;
    int promised = 0, refused = 0;
    start(&setup, little_for_coordinators);
    int healthy = connect_to(&setup);
    assert_true(is_served(&setup, healthy));
    struct rj_join_group_request_protocol protocol = {.name = RJ_STRING("range"), .metadata = RJ_EMPTY_BYTES};
    for (int i = 0; i < 3000; i++) {
        char group[32];
        struct rj_join_group_request request = {
            .session_timeout_ms = 10000, .rebalance_timeout_ms = 10000, .member_id = RJ_EMPTY_STRING,
            .group_instance_id = RJ_NULL_STRING, .protocol_type = RJ_STRING("consumer"), .protocols = {&protocol, 1},
            .reason = RJ_NULL_STRING,
        };
        request.group_id = (struct rj_string){group, snprintf(group, sizeof(group), "group-%d", i)};
        const struct rj_join_group_response *answer = mock_ask(setup.cluster, 11, 4, &request);
        assert_non_null(answer);
        promised += answer->error_code == RJ_KAFKA_MEMBER_ID_REQUIRED;
        refused += answer->error_code == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    assert_int_equal(promised + refused, 3000);
    assert_true(promised > 50 && refused > 50);
    assert_true(is_served(&setup, healthy)); /* a group whose coordinator was there before goes on */
    close(healthy);
    stop(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_silent_makes_room),
        cmocka_unit_test(who_holds_most_is_closed),
        cmocka_unit_test(coordinators_answer_15_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
