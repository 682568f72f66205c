/* Every API in every version that every release advertises is called over TCP, and answered in that version; what is
 * not advertised closes the connection. */
#include "mock/mock.h"
#include "rejoin/records.h"
#include "support/memory.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const releases[] = {
    "0.11", "1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "3.0", "3.1", "3.2", "3.3",
    "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2",
};

/* ---- A mock in a child process ----------------------------------------------------------------------------------- */

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
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion must not leave it behind */
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

/* ---- One request, one answer ------------------------------------------------------------------------------------- */

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

static uint8_t batch[256], message_sets[2][256];
static struct rj_uuid topic_id; /* of "t" */

static struct rj_bytes records_for(int16_t produce_version)
{
    uint8_t *out = produce_version >= 3 ? batch : message_sets[produce_version >= 2];
    struct rj_record record = {.timestamp_ms = 1700000000000, .key = {(const uint8_t *)"k", 1},
                               .value = {(const uint8_t *)"v", 1}};
    struct rj_batch_writer writer;
    size_t len;
    rj_batch_begin(&writer, produce_version >= 3 ? 2 : produce_version >= 2 ? 1 : 0, 0, out, sizeof(batch));
    rj_batch_add(&writer, &record, NULL, 0);
    assert_int_equal(rj_batch_finish(&writer, NULL, &len, NULL), RJ_OK);
    return (struct rj_bytes){out, (int32_t)len};
}

/* Requests about the topic "t" and what stands in its partition 0. */
static void fill_topic_request(int16_t api_key, int16_t version, void *body)
{
    static struct rj_produce_request_partition_produce_data produced;
    static struct rj_produce_request_topic_produce_data produced_topic;
    static struct rj_fetch_request_fetch_partition fetched;
    static struct rj_fetch_request_fetch_topic fetched_topic;
    static struct rj_list_offsets_request_list_offsets_partition listed;
    static struct rj_list_offsets_request_list_offsets_topic listed_topic;
    static struct rj_offset_for_leader_epoch_request_offset_for_leader_partition epoch;
    static struct rj_offset_for_leader_epoch_request_offset_for_leader_topic epoch_topic;
    if (api_key == 0) {
        struct rj_produce_request *produce = body;
        produced.records = records_for(version);
        produced_topic.name = version < 13 ? RJ_STRING("t") : RJ_EMPTY_STRING;
        produced_topic.topic_id = topic_id;
        produced_topic.partition_data.items = &produced;
        produce->topic_data.items = &produced_topic;
        produced_topic.partition_data.count = produce->topic_data.count = 1;
        produce->acks = -1;
    } else if (api_key == 1) {
        struct rj_fetch_request *fetch = body;
        fetched = (struct rj_fetch_request_fetch_partition){
            .current_leader_epoch = -1, .last_fetched_epoch = -1, .log_start_offset = -1, .partition_max_bytes = 1000,
            .high_watermark = INT64_MAX};
        fetched_topic.topic = RJ_STRING("t");
        fetched_topic.topic_id = topic_id;
        fetched_topic.partitions.items = &fetched;
        fetch->topics.items = &fetched_topic;
        fetched_topic.partitions.count = fetch->topics.count = 1;
    } else if (api_key == 2) {
        struct rj_list_offsets_request *list = body;
        listed = (struct rj_list_offsets_request_list_offsets_partition){
            .current_leader_epoch = -1, .timestamp = version < 1 ? -1 : 1600000000000, .max_num_offsets = 1};
        listed_topic.name = RJ_STRING("t");
        listed_topic.partitions.items = &listed;
        list->topics.items = &listed_topic;
        listed_topic.partitions.count = list->topics.count = 1;
    } else {
        struct rj_offset_for_leader_epoch_request *ask = body;
        epoch.current_leader_epoch = -1;
        epoch_topic.topic = RJ_STRING("t");
        epoch_topic.partitions.items = &epoch;
        ask->topics.items = &epoch_topic;
        epoch_topic.partitions.count = ask->topics.count = 1;
    }
}

static void fill_admin_request(int16_t api_key, int16_t version, void *body)
{
    static struct rj_metadata_request_topic asked = {.name = {"t", 1}};
    static struct rj_create_topics_request_creatable_topic created = {
        .name = {"made", 4}, .num_partitions = 1, .replication_factor = 1};
    static struct rj_delete_topics_request_delete_topic_state deleted = {.name = {"made", 4}};
    static struct rj_string deleted_name = {"made", 4};
    static struct rj_create_partitions_request_create_partitions_topic grown = {
        .name = {"t", 1}, .count = 3, .assignments = {NULL, -1}};
    static struct rj_describe_configs_request_describe_configs_resource described[2] = {
        {.resource_type = 2, .resource_name = {"t", 1}, .configuration_keys = {NULL, -1}},
        {.resource_type = 4, .resource_name = {"0", 1}, .configuration_keys = {NULL, -1}}};
    static struct rj_alter_configs_request_alterable_config given = {.name = {"retention.ms", 12}, .value = {"7", 1}};
    static struct rj_alter_configs_request_alter_configs_resource replaced = {
        .resource_type = 2, .resource_name = {"t", 1}, .configs = {&given, 1}};
    static struct rj_incremental_alter_configs_request_alterable_config removed = {.name = {"retention.ms", 12},
                                                                                   .config_operation = 1};
    static struct rj_incremental_alter_configs_request_alter_configs_resource changed = {
        .resource_type = 2, .resource_name = {"t", 1}, .configs = {&removed, 1}};
    static struct rj_describe_topic_partitions_request_topic_request listed = {.name = {"t", 1}};
    switch (api_key) {
    case 3:
        ((struct rj_metadata_request *)body)->topics.items = &asked;
        ((struct rj_metadata_request *)body)->topics.count = 1;
        ((struct rj_metadata_request *)body)->include_topic_authorized_operations = version >= 8;
        break;
    case 19:
        ((struct rj_create_topics_request *)body)->topics.items = &created;
        ((struct rj_create_topics_request *)body)->topics.count = 1;
        break;
    case 20:
        ((struct rj_delete_topics_request *)body)->topics.items = &deleted;
        ((struct rj_delete_topics_request *)body)->topics.count = version >= 6;
        ((struct rj_delete_topics_request *)body)->topic_names = (struct rj_string_array){&deleted_name, version < 6};
        break;
    case 32:
        ((struct rj_describe_configs_request *)body)->resources.items = described;
        ((struct rj_describe_configs_request *)body)->resources.count = 2;
        break;
    case 33:
        ((struct rj_alter_configs_request *)body)->resources.items = &replaced;
        ((struct rj_alter_configs_request *)body)->resources.count = 1;
        break;
    case 44:
        ((struct rj_incremental_alter_configs_request *)body)->resources.items = &changed;
        ((struct rj_incremental_alter_configs_request *)body)->resources.count = 1;
        break;
    case 37:
        ((struct rj_create_partitions_request *)body)->topics.items = &grown;
        ((struct rj_create_partitions_request *)body)->topics.count = 1;
        break;
    default:
        ((struct rj_describe_topic_partitions_request *)body)->topics.items = &listed;
        ((struct rj_describe_topic_partitions_request *)body)->topics.count = 1;
        break;
    }
}

static void fill_group_request(int16_t api_key, int16_t version, void *body)
{
    static struct rj_string names[] = {{"g", 1}, {"h", 1}};
    static struct rj_offset_fetch_request_group groups[2];
    static struct rj_join_group_request_protocol protocol = {
        .name = {"range", 5}, .metadata = {(const uint8_t *)"", 0}};
    static struct rj_offset_commit_request_partition committed = {
        .committed_offset = 5, .committed_leader_epoch = -1, .commit_timestamp = -1, .committed_metadata = {"", 0}};
    static struct rj_offset_commit_request_topic committed_topic = {.name = {"t", 1}};
    switch (api_key) {
    case 8: {
        struct rj_offset_commit_request *commit = body;
        commit->group_id = RJ_STRING("h");
        committed_topic.topic_id = topic_id;
        committed_topic.partitions.items = &committed;
        commit->topics.items = &committed_topic;
        committed_topic.partitions.count = commit->topics.count = 1;
        break;
    }
    case 9:
        for (int i = 0; i < 2; i++)
            groups[i] = (struct rj_offset_fetch_request_group){
                .group_id = names[i], .member_epoch = -1, .topics = {NULL, -1}};
        ((struct rj_offset_fetch_request *)body)->groups.items = groups;
        ((struct rj_offset_fetch_request *)body)->groups.count = version >= 8 ? 2 : 0;
        break;
    case 10:
        ((struct rj_find_coordinator_request *)body)->coordinator_keys =
            (struct rj_string_array){names, version >= 4 ? 2 : 0};
        break;
    case 11: {
        struct rj_join_group_request *join = body;
        static const char own_groups[] = "ABCDEFGHIJ"; /* one a version: nobody waits for another member */
        join->group_id = (struct rj_string){&own_groups[version], 1};
        join->session_timeout_ms = 10000;
        join->protocol_type = RJ_STRING("consumer");
        join->protocols.items = &protocol;
        join->protocols.count = 1;
        break;
    }
    case 15: ((struct rj_describe_groups_request *)body)->groups = (struct rj_string_array){names, 2}; break;
    default: ((struct rj_delete_groups_request *)body)->groups_names = (struct rj_string_array){names, 2}; break;
    }
}

static void fill_transaction_request(int16_t api_key, int16_t version, void *body)
{
    static int32_t partitions[] = {0, 1};
    static struct rj_string names[] = {{"x", 1}, {"y", 1}};
    static struct rj_add_partitions_to_txn_request_add_partitions_to_txn_topic added = {
        .name = {"t", 1}, .partitions = {partitions, 2}};
    static struct rj_add_partitions_to_txn_request_add_partitions_to_txn_transaction one = {
        .transactional_id = {"x", 1}, .producer_id = 7, .topics = {&added, 1}};
    static struct rj_txn_offset_commit_request_partition committed = {
        .committed_offset = 5, .committed_leader_epoch = -1, .committed_metadata = {"", 0}};
    static struct rj_txn_offset_commit_request_topic committed_topic = {
        .name = {"t", 1}, .partitions = {&committed, 1}};
    static struct rj_describe_producers_request_topic_request described = {
        .name = {"t", 1}, .partition_indexes = {partitions, 2}};
    static struct rj_write_txn_markers_request_writable_txn_marker_topic ended = {
        .name = {"t", 1}, .partition_indexes = {partitions, 2}};
    static struct rj_write_txn_markers_request_writable_txn_marker marker = {.producer_id = 7, .topics = {&ended, 1}};
    switch (api_key) {
    case 27:
        ((struct rj_write_txn_markers_request *)body)->markers.items = &marker;
        ((struct rj_write_txn_markers_request *)body)->markers.count = 1;
        break;
    case 22: ((struct rj_init_producer_id_request *)body)->transactional_id = RJ_STRING("x"); break;
    case 24:
        ((struct rj_add_partitions_to_txn_request *)body)->transactions.items = &one;
        ((struct rj_add_partitions_to_txn_request *)body)->transactions.count = version >= 4;
        if (version < 4)
            ((struct rj_add_partitions_to_txn_request *)body)->v3_and_below_transactional_id = RJ_STRING("x");
        ((struct rj_add_partitions_to_txn_request *)body)->v3_and_below_topics.items = &added;
        ((struct rj_add_partitions_to_txn_request *)body)->v3_and_below_topics.count = version < 4;
        break;
    case 28:
        ((struct rj_txn_offset_commit_request *)body)->group_id = RJ_STRING("g");
        ((struct rj_txn_offset_commit_request *)body)->transactional_id = RJ_STRING("x");
        ((struct rj_txn_offset_commit_request *)body)->topics.items = &committed_topic;
        ((struct rj_txn_offset_commit_request *)body)->topics.count = 1;
        break;
    case 61:
        ((struct rj_describe_producers_request *)body)->topics.items = &described;
        ((struct rj_describe_producers_request *)body)->topics.count = 1;
        break;
    case 65:
        ((struct rj_describe_transactions_request *)body)->transactional_ids = (struct rj_string_array){names, 2};
        break;
    default:
        ((struct rj_list_transactions_request *)body)->state_filters = (struct rj_string_array){names, 2};
        break;
    }
}

/* A request as a client could send it, with something in every list. */
static void fill_request(int16_t api_key, int16_t version, void *body)
{
    rj_message_init(rj_request_schema(api_key), body);
    switch (api_key) {
    case 0: case 1: case 2: case 23: fill_topic_request(api_key, version, body); break;
    case 3: case 19: case 20: case 32: case 33: case 37: case 44: case 75:
        fill_admin_request(api_key, version, body);
        break;
    case 8: case 9: case 10: case 11: case 15: case 42: fill_group_request(api_key, version, body); break;
    case 22: case 24: case 27: case 28: case 61: case 65: case 66:
        fill_transaction_request(api_key, version, body);
        break;
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
        apis[count] = (struct mock_api){.api_key = answer->api_keys.items[count].api_key,
                                        .low = answer->api_keys.items[count].min_version,
                                        .high = answer->api_keys.items[count].max_version};
    rj_arena_release(&arena);
    close(fd);
    return count;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

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
