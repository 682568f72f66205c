/* What the mock keeps of groups: the records of __consumer_offsets, compacted, and a coordinator that moves. */
#include "support_mock.h"

#include "rejoin/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mock_cluster *start(uv_loop_t *loop)
{
    struct mock_topic topic = {"t", 3};
    struct mock_options options;
    struct mock_cluster *cluster;
    char error[256];
    mock_options_init(&options);
    options.topics = &topic;
    options.topic_count = 1;
    options.broker_count = 2;
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(mock_start(&cluster, loop, &options, error, sizeof(error)), MOCK_STARTED);
    return cluster;
}

/* The offsets partition of the group: how many records it holds. */
static int record_count(struct mock_cluster *cluster, const char *group, size_t *bytes_len)
{
    int32_t partition = rj_coordinator_partition((struct rj_string){group, (int32_t)strlen(group)}, 50);
    int64_t offset, end_offset;
    int count = 0;
    *bytes_len = 0;
    assert_true(mock_log_range(cluster, "__consumer_offsets", partition, &offset, &end_offset));
    while (offset < end_offset) {
        struct rj_bytes bytes = mock_read(cluster, "__consumer_offsets", partition, offset);
        for (int32_t at = 0; at < bytes.len;) {
            struct rj_record_batch batch;
            assert_int_equal(rj_batch_read((struct rj_bytes){bytes.data + at, bytes.len - at}, &batch, NULL), RJ_OK);
            at += (int32_t)batch.len;
            count += batch.record_count;
            *bytes_len += batch.len;
            assert_true(batch.base_offset + batch.last_offset_delta >= offset);
            offset = batch.base_offset + batch.last_offset_delta + 1;
        }
        if (bytes.len == 0)
            break;
    }
    return count;
}

static void commits_are_records_that_are_compacted(void **state)
{
    (void)state;
    enum { COMMITS = 150000 };
    uv_loop_t loop;
    size_t bytes_len;
    struct mock_cluster *cluster = start(&loop);
    for (int i = 0; i < COMMITS; i++)
        assert_int_equal(support_commit(cluster, "g", i % 3, i), 0);
    int count = record_count(cluster, "g", &bytes_len);
    print_message("%d commits, %d records of %zu bytes left\n", COMMITS, count, bytes_len);
    assert_true(count >= 3 && count < COMMITS / 2);
    assert_true(bytes_len < 5 * 1024 * 1024);
    for (int32_t p = 0; p < 3; p++)
        assert_int_equal(mock_committed_offset(cluster, "g", "t", p), COMMITS - 3 + p);
    /* A coordinator that has nothing but these records knows the same. */
    int32_t other = 1 - mock_coordinator_of(cluster, "g");
    assert_true(mock_move_coordinator(cluster, "g", other, 0));
    assert_int_equal(mock_coordinator_of(cluster, "g"), other);
    for (int32_t p = 0; p < 3; p++)
        assert_int_equal(mock_committed_offset(cluster, "g", "t", p), COMMITS - 3 + p);
    support_stop(cluster, &loop);
}

static void a_failed_append_refuses_the_commit(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct mock_cluster *cluster = start(&loop);
    assert_int_equal(support_commit(cluster, "g", 0, 5), 0);
    mock_fail_appends(cluster, RJ_KAFKA_NOT_ENOUGH_REPLICAS, 1);
    assert_int_equal(support_commit(cluster, "g", 0, 6), RJ_KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 5);
    assert_int_equal(support_commit(cluster, "g", 0, 7), 0);
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 7);
    support_stop(cluster, &loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_are_records_that_are_compacted),
        cmocka_unit_test(a_failed_append_refuses_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
