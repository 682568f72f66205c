#include "support_mock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

void support_stop(struct mock_cluster *cluster, uv_loop_t *loop)
{
    mock_stop(cluster, NULL, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

int16_t support_commit(struct mock_cluster *cluster, const char *group, int32_t partition, int64_t offset)
{
    struct rj_offset_commit_request_partition committed = {
        .partition_index = partition, .committed_offset = offset, .committed_leader_epoch = -1, .commit_timestamp = -1,
        .committed_metadata = RJ_EMPTY_STRING};
    struct rj_offset_commit_request_topic topic = {.name = RJ_STRING("t"), .partitions = {&committed, 1}};
    struct rj_offset_commit_request request;
    rj_message_init(&rj_offset_commit_request_schema, &request);
    request.group_id = (struct rj_string){group, (int32_t)strlen(group)};
    request.topics.items = &topic;
    request.topics.count = 1;
    const struct rj_offset_commit_response *answer = mock_ask(cluster, 8, 7, &request);
    assert_non_null(answer);
    return answer->topics.items[0].partitions.items[0].error_code;
}

int support_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(peer >= 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    return peer;
}
