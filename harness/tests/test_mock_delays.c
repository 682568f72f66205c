/* What a fault keeps back for a time is never sooner, however often the loop is woken meanwhile. */
#include "support_mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct mock_verdict verdict;

static struct mock_verdict delayed(void *context, const struct mock_frame *request)
{
    (void)context;
    (void)request;
    return verdict;
}

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* From the moment that the request is sent until its answer is there; the loop runs all the time. */
static int64_t ask_us(uv_loop_t *loop, int peer)
{
    static const uint8_t api_versions[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff};
    uint8_t answer[4096];
    ssize_t len;
    int64_t sent_us = monotonic_us();
    assert_int_equal(send(peer, api_versions, sizeof(api_versions), 0), sizeof(api_versions));
    do {
        uv_run(loop, UV_RUN_NOWAIT);
        len = recv(peer, answer, sizeof(answer), 0);
    } while (len < 0 && errno == EAGAIN && monotonic_us() - sent_us < 5000000);
    int64_t took_us = monotonic_us() - sent_us;
    assert_true(len > 8);
    return took_us;
}

/* From every part of the loop's millisecond. */
static void nothing_is_sooner(enum mock_action action, int32_t delay_ms)
{
    struct mock_options options;
    struct mock_cluster *cluster;
    struct mock_interposer interposer = {.request = delayed};
    uv_loop_t loop;
    char error[256];
    mock_options_init(&options);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(mock_start(&cluster, &loop, &options, error, sizeof(error)), MOCK_STARTED);
    mock_set_interposer(cluster, &interposer);
    verdict = (struct mock_verdict){.action = action, .delay_ms = delay_ms};
    int peer = support_connect(mock_port(cluster, 0));
    int64_t longest_us = 0;
    for (int i = 0; i < 60; i++) {
        for (int64_t until_us = monotonic_us() + 17 * i; monotonic_us() < until_us;)
            uv_run(&loop, UV_RUN_NOWAIT);
        int64_t took_us = ask_us(&loop, peer);
        if (took_us < (int64_t)delay_ms * 1000)
            fail_msg("answered after %lld us, %d ms were to be waited", (long long)took_us, delay_ms);
        longest_us = took_us > longest_us ? took_us : longest_us;
    }
    assert_true(longest_us < 1000000);
    close(peer);
    support_stop(cluster, &loop);
}

static void an_answer_is_not_sooner(void **state)
{
    (void)state;
    nothing_is_sooner(MOCK_DELAY_ANSWER, 1);
    nothing_is_sooner(MOCK_DELAY_ANSWER, 3);
}

static void a_request_is_not_sooner(void **state)
{
    (void)state;
    nothing_is_sooner(MOCK_DELAY_REQUEST, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_answer_is_not_sooner),
                                       cmocka_unit_test(a_request_is_not_sooner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
