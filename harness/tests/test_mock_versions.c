/* Every API in every version that every release advertises is called over TCP, and answered in that version; what is not
 * advertised closes the connection. */
#include "mock/mock.h"
#include "support/memory.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const releases[] = {
    "0.11", "1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "3.0", "3.1", "3.2", "3.3",
    "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2",
};

/* ---- A mock in a child process ------------------------------------------------------------------------------------- */

struct server { pid_t pid; uint16_t port; };

static void print_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "mock: %s\n", line);
}

static struct server start_server(const char *release)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct server server = {.pid = fork()};
    if (server.pid == 0) {
        struct mock_topic topic = {"t", 3};
        struct mock_options options;
        struct mock_cluster *cluster;
        char error[256];
        mock_options_init(&options);
        options.kafka_version = release;
        options.topics = &topic;
        options.topic_count = 1;
        options.initial_rebalance_delay_ms = 0;
        options.log = getenv("REJOIN_TEST_VERBOSE") ? print_line : NULL;
        uint16_t port = 0;
        if (mock_start(&cluster, uv_default_loop(), &options, error, sizeof(error)) == MOCK_STARTED)
            port = mock_port(cluster, 0);
        if (write(ends[1], &port, sizeof(port)) == sizeof(port))
            uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        _exit(0);
    }
    assert_int_equal(read(ends[0], &server.port, sizeof(server.port)), sizeof(server.port));
    close(ends[0]);
    close(ends[1]);
    assert_int_not_equal(server.port, 0);
    return server;
}

static void stop_server(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

/* ---- One request, one answer --------------------------------------------------------------------------------------- */

static int connect_to(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    struct timeval patience = {.tv_sec = 10};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_request(int fd, int16_t api_key, int16_t version, int32_t correlation_id, const void *body)
{
    uint8_t bytes[4096];
    size_t len;
    struct rj_fault fault;
    enum rj_err err = rj_encode_request_frame(api_key, version, correlation_id, RJ_STRING("test"), body, bytes,
                                              sizeof(bytes), &len, &fault);
    if (err != RJ_OK)
        fail_msg("request %d v%d: %s at %s", api_key, version, rj_err_sentence(err), fault.field);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* The answer's frame without its length; len 0: the connection was closed. */
static struct rj_bytes read_frame(int fd, uint8_t *buffer, size_t buffer_len)
{
    uint8_t prefix[4];
    if (recv(fd, prefix, 4, MSG_WAITALL) != 4)
        return RJ_EMPTY_BYTES;
    size_t len = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 | prefix[3];
    assert_true(len <= buffer_len);
    assert_int_equal(recv(fd, buffer, len, MSG_WAITALL), len);
    return (struct rj_bytes){buffer, (int32_t)len};
}

/* A request as a client could send it: defaults, and where a default would be no request, something small. */
static void fill_request(int16_t api_key, int16_t version, void *body)
{
    rj_message_init(rj_request_schema(api_key), body);
    switch (api_key) {
    case 0: ((struct rj_produce_request *)body)->acks = -1; break; /* 0 is not answered */
    case 1: ((struct rj_fetch_request *)body)->max_wait_ms = 0; break;
    case 9:
        if (version >= 8) {
            static struct rj_offset_fetch_request_group groups[2];
            struct rj_offset_fetch_request *fetch = body;
            for (int i = 0; i < 2; i++)
                groups[i] = (struct rj_offset_fetch_request_group){
                    .group_id = i ? RJ_STRING("g") : RJ_STRING("h"), .member_epoch = -1, .topics = {NULL, -1}};
            fetch->groups.items = groups;
            fetch->groups.count = 2;
        }
        break;
    case 11: ((struct rj_join_group_request *)body)->group_id = RJ_STRING("g"); break;
    case 15: {
        static struct rj_string names[] = {{"g", 1}, {"h", 1}};
        ((struct rj_describe_groups_request *)body)->groups = (struct rj_string_array){names, 2};
        break;
    }
    case 18:
        ((struct rj_api_versions_request *)body)->client_software_name = RJ_STRING("test");
        ((struct rj_api_versions_request *)body)->client_software_version = RJ_STRING("1");
        break;
    default: break;
    }
}

static void call(const struct server *server, const char *release, int16_t api_key, int16_t version)
{
    static uint8_t buffer[1 << 20];
    static union { char room[1024]; long long align; } body;
    struct rj_arena arena;
    struct rj_response_frame response;
    struct rj_fault fault = {0};
    int fd = connect_to(server);
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    fill_request(api_key, version, &body);
    send_request(fd, api_key, version, 7, &body);
    struct rj_bytes frame = read_frame(fd, buffer, sizeof(buffer));
    if (frame.len == 0)
        fail_msg("%s %s v%d: closed without an answer", release, rj_api_name(api_key), version);
    enum rj_err err = rj_decode_response(frame, api_key, version, &response, &arena, &fault);
    if (err != RJ_OK)
        fail_msg("%s %s v%d: %s at %s", release, rj_api_name(api_key), version, rj_err_sentence(err), fault.field);
    assert_int_equal(response.correlation_id, 7);
    rj_arena_release(&arena);
    close(fd);
}

static bool is_closed_on(const struct server *server, int16_t api_key, int16_t version)
{
    static union { char room[1024]; long long align; } body;
    uint8_t buffer[65536];
    int fd = connect_to(server);
    fill_request(api_key, version, &body);
    send_request(fd, api_key, version, 7, &body);
    bool closed = read_frame(fd, buffer, sizeof(buffer)).len == 0;
    close(fd);
    return closed;
}

/* What the server advertises. */
static int ask_versions(const struct server *server, struct mock_api *apis)
{
    static uint8_t buffer[65536];
    struct rj_api_versions_request body;
    struct rj_response_frame response;
    struct rj_arena arena;
    int fd = connect_to(server), count = 0;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    rj_message_init(&rj_api_versions_request_schema, &body);
    send_request(fd, 18, 0, 1, &body);
    assert_int_equal(rj_decode_response(read_frame(fd, buffer, sizeof(buffer)), 18, 0, &response, &arena, NULL), RJ_OK);
    const struct rj_api_versions_response *answer = response.body;
    for (; count < answer->api_keys.count; count++)
        apis[count] = (struct mock_api){answer->api_keys.items[count].api_key, answer->api_keys.items[count].min_version,
                                        answer->api_keys.items[count].max_version};
    rj_arena_release(&arena);
    close(fd);
    return count;
}

/* ---- Tests --------------------------------------------------------------------------------------------------------- */

/* Produce 0 to 2 is advertised since 4.0 and refused all the same, as Kafka does (KAFKA-18659). */
static bool is_refused_although_advertised(const char *release, int16_t api_key, int16_t version)
{
    return api_key == 0 && version < 3 && release[0] == '4';
}

static void every_advertised_version_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        struct mock_api apis[128];
        struct server server = start_server(releases[i]);
        int count = ask_versions(&server, apis), calls = 0;
        assert_true(count >= 16);
        for (int j = 0; j < count; j++)
            for (int16_t version = apis[j].low; version <= apis[j].high; version++, calls++)
                if (is_refused_although_advertised(releases[i], apis[j].api_key, version))
                    assert_true(is_closed_on(&server, apis[j].api_key, version));
                else
                    call(&server, releases[i], apis[j].api_key, version);
        print_message("%s: %d APIs, %d versions\n", releases[i], count, calls);
        stop_server(&server);
    }
}

/* One below and one above each range, and an API that is not served. */
static void what_is_not_advertised_closes_the_connection(void **state)
{
    (void)state;
    struct mock_api apis[128];
    struct server server = start_server("3.9");
    int count = ask_versions(&server, apis), tried = 0;
    for (int j = 0; j < count; j++) {
        int16_t above = (int16_t)(apis[j].high + 1);
        if (apis[j].api_key == 18 || above > rj_request_schema(apis[j].api_key)->versions.high)
            continue;
        assert_true(is_closed_on(&server, apis[j].api_key, above));
        tried++;
    }
    assert_true(tried >= 5);
    assert_true(is_closed_on(&server, 71, 0)); /* GetTelemetrySubscriptions */
    stop_server(&server);
}

/* KIP-511: the answer to an unknown ApiVersions is one of version 0 with error 35 and the range of ApiVersions. */
static void unknown_api_versions_is_answered_in_version_0(void **state)
{
    (void)state;
    static const uint8_t request[] = {0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 5, 0, 4, 't', 'e', 's', 't'};
    uint8_t buffer[256];
    struct server server = start_server("4.1");
    int fd = connect_to(&server);
    assert_int_equal(send(fd, request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
    struct rj_bytes frame = read_frame(fd, buffer, sizeof(buffer));
    static const uint8_t expected[] = {0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4};
    assert_int_equal(frame.len, sizeof(expected));
    assert_memory_equal(frame.data, expected, sizeof(expected));
    close(fd);
    stop_server(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_advertised_version_is_answered),
        cmocka_unit_test(what_is_not_advertised_closes_the_connection),
        cmocka_unit_test(unknown_api_versions_is_answered_in_version_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
