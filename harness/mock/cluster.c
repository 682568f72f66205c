/* The cluster's life: options, listeners, the clock, the end. */
#include "mock/storage/storage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void mock_options_init(struct mock_options *options)
{
    *options = (struct mock_options){
        .listen_host = "127.0.0.1", .broker_count = 1, .kafka_version = "4.1", .initial_rebalance_delay_ms = 3000,
        .min_session_timeout_ms = 6000,
        .auto_create_topics = true, .default_partition_count = 1, .fsync_interval_ms = 1000,
        .offsets_segment_len = 4 * 1024 * 1024, /* a few milliseconds of work, 50,000 commits of one partition apart */
        .limits = {
            .frame_len = 100 * 1024 * 1024,       /* Kafka's socket.request.max.bytes */
            .connection_count = 20000,            /* below the descriptors that a machine gives; 700 bytes each */
            .unsent_len = 16 * 1024 * 1024,       /* one Fetch answer of a client with default settings, twice */
            .held_len = (size_t)1024 * 1024 * 1024, /* ten of the longest requests at once */
            .coordinators_len = (size_t)2 * 1024 * 1024 * 1024, /* a million members, 2 kB each */
            .records_len = (size_t)2 * 1024 * 1024 * 1024, /* a test's records, not a disk's */
            .partition_count = 100000,            /* what a Metadata answer can still carry */
        },
    };
    rj_limits_init(&options->limits.coordinator);
}

/* ---- Log lines, time, numbers ------------------------------------------------------------------------------------ */

void mock_log_line(struct mock_cluster *cluster, const char *format, ...)
{
    if (cluster->options.log == NULL)
        return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    cluster->options.log(cluster->options.log_context, line);
}

static void set_clock(struct mock_cluster *cluster)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    uv_update_time(cluster->loop);
    cluster->wall_base_us = wall_us - (int64_t)(uv_hrtime() / 1000);
    cluster->wall_base_ms = wall_us / 1000 - (int64_t)uv_now(cluster->loop);
}

int64_t mock_now_ms(const struct mock_cluster *cluster)
{
    return cluster->wall_base_ms + (int64_t)uv_now(cluster->loop);
}

int64_t mock_now_us(const struct mock_cluster *cluster)
{
    return cluster->wall_base_us + (int64_t)(uv_hrtime() / 1000);
}

/* xorshift128+: repeatable from a seed; nothing here is a secret. */
uint64_t mock_random_number(struct mock_cluster *cluster)
{
    uint64_t a = cluster->random_state[0], b = cluster->random_state[1];
    cluster->random_state[0] = b;
    a ^= a << 23;
    cluster->random_state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return cluster->random_state[1] + b;
}

/* Of version 4, as java.util.UUID.randomUUID makes them. */
struct rj_uuid mock_random_uuid(struct mock_cluster *cluster)
{
    struct rj_uuid uuid;
    uint64_t words[2] = {mock_random_number(cluster), mock_random_number(cluster)};
    memcpy(uuid.bytes, words, sizeof(words));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static void seed_random(struct mock_cluster *cluster)
{
    cluster->random_state[0] = cluster->options.seed;
    cluster->random_state[1] = cluster->options.seed ^ 0x9e3779b97f4a7c15u;
    if (cluster->options.seed == 0)
        uv_random(NULL, NULL, cluster->random_state, sizeof(cluster->random_state), 0, NULL);
    for (int i = 0; i < 16; i++)
        mock_random_number(cluster);
}

/* Base64 without padding, as Kafka's Uuid.toString. */
static const char uuid_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void mock_uuid_print(const struct rj_uuid *uuid, char text[UUID_TEXT_LEN + 1])
{
    uint32_t bits = 0;
    int bit_count = 0, byte = 0;
    for (int i = 0; i < UUID_TEXT_LEN; i++) {
        if (bit_count < 6) {
            bits = bits << 8 | (byte < 16 ? uuid->bytes[byte] : 0);
            byte++;
            bit_count += 8;
        }
        text[i] = uuid_digits[(bits >> (bit_count - 6)) & 63];
        bit_count -= 6;
    }
    text[UUID_TEXT_LEN] = 0;
}

bool mock_uuid_parse(const char *text, struct rj_uuid *uuid)
{
    uint32_t bits = 0;
    int bit_count = 0, byte = 0;
    if (strlen(text) != UUID_TEXT_LEN)
        return false;
    for (int i = 0; i < UUID_TEXT_LEN; i++) {
        const char *digit = strchr(uuid_digits, text[i]);
        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - uuid_digits);
        bit_count += 6;
        if (bit_count >= 8 && byte < 16) {
            uuid->bytes[byte++] = (uint8_t)(bits >> (bit_count - 8));
            bit_count -= 8;
        }
    }
    return true;
}

/* ---- The timer --------------------------------------------------------------------------------------------------- */

static void timer_fired(uv_timer_t *timer)
{
    struct mock_cluster *cluster = timer->data;
    cluster->timer_ms = INT64_MAX;
    int64_t now_ms = mock_now_ms(cluster), next_ms = INT64_MAX;
    if (cluster->depth == 0)
        rj_arena_reset(&cluster->arena);
    mock_coordinators_tick(cluster, now_ms, &next_ms);
    mock_transactions_tick(cluster, now_ms, &next_ms);
    mock_fetches_tick(cluster, now_ms, &next_ms);
    mock_release_due(cluster, &next_ms);
    mock_wake_at(cluster, next_ms);
    mock_flush_connections(cluster);
}

/* Deadlines move ahead with each heartbeat: the timer is only ever set earlier, and finds out when it fires. */
void mock_wake_at(struct mock_cluster *cluster, int64_t due_ms)
{
    if (due_ms >= cluster->timer_ms || cluster->is_stopping)
        return;
    int64_t wait_ms = due_ms - mock_now_ms(cluster);
    cluster->timer_ms = due_ms;
    uv_timer_start(&cluster->timer, timer_fired, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* ---- Starting ---------------------------------------------------------------------------------------------------- */

struct rj_string mock_advertised_host(const struct mock_cluster *cluster)
{
    const char *host = cluster->options.advertise_host ? cluster->options.advertise_host : cluster->options.listen_host;
    return (struct rj_string){host, (int32_t)strlen(host)};
}

static bool copy_options(struct mock_cluster *cluster, const struct mock_options *options, char *error,
                         size_t error_len)
{
    cluster->options = *options;
    cluster->options.listen_host = rejoin_strdup(options->listen_host);
    if (options->advertise_host != NULL)
        cluster->options.advertise_host = rejoin_strdup(options->advertise_host);
    cluster->options.kafka_version = rejoin_strdup(options->kafka_version);
    cluster->options.data_dir = options->data_dir ? rejoin_strdup(options->data_dir) : NULL;
    struct rj_string release = {cluster->options.kafka_version, (int32_t)strlen(cluster->options.kafka_version)};
    rj_config_init(&cluster->config);
    if (!mock_choose_versions(cluster) || !rj_config_for_release(&cluster->config, release)) {
        snprintf(error, error_len, "'%s' is not a Kafka release from 0.11 to 4.2", options->kafka_version);
        return false;
    }
    cluster->config.group_initial_rebalance_delay_ms = options->initial_rebalance_delay_ms;
    cluster->config.group_min_session_timeout_ms = options->min_session_timeout_ms;
    if (options->offsets_retention_ms > 0)
        cluster->config.offsets_retention_ms = options->offsets_retention_ms;
    if (options->offsets_retention_check_interval_ms > 0)
        cluster->config.offsets_retention_check_interval_ms = options->offsets_retention_check_interval_ms;
    if (options->config != NULL)
        cluster->config = *options->config;
    if (options->broker_count < 1 || options->broker_count > 1000) {
        snprintf(error, error_len, "%d brokers: 1 to 1000 can be", options->broker_count);
        return false;
    }
    return true;
}

/* Users, their rights, certificate and key. */
static bool read_security(struct mock_cluster *cluster, char *error, size_t error_len)
{
    const struct mock_options *options = &cluster->options;
    if ((options->tls_cert_path == NULL) != (options->tls_key_path == NULL)) {
        snprintf(error, error_len, "TLS needs both a certificate and its private key");
        return false;
    }
    if (options->users_path != NULL) {
        cluster->users = mock_users_read(options->users_path, error, error_len);
        if (cluster->users == NULL)
            return false;
    }
    if (options->acls_path != NULL) {
        cluster->acls = mock_acls_read(options->acls_path, error, error_len);
        if (cluster->acls == NULL)
            return false;
    }
    return options->tls_cert_path == NULL || mock_tls_start(cluster, error, error_len);
}

static bool listen_broker(struct mock_cluster *cluster, int32_t i, char *error, size_t error_len)
{
    struct broker *broker = &cluster->brokers[i];
    struct sockaddr_storage address;
    int port = i < cluster->options.port_count ? cluster->options.ports[i] : 0;
    int len = sizeof(address);
    const char *host = cluster->options.listen_host;
    broker->cluster = cluster;
    uv_tcp_init(cluster->loop, &broker->listener);
    broker->listener.data = broker;
    cluster->open_handles++;
    int status = uv_ip4_addr(host, port, (struct sockaddr_in *)&address);
    if (status != 0)
        status = uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address);
    if (status == 0)
        status = uv_tcp_bind(&broker->listener, (const struct sockaddr *)&address, 0);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&broker->listener, 1024, mock_accept_connection);
    if (status != 0) {
        snprintf(error, error_len, "cannot listen on %s:%d: %s", host, port, uv_strerror(status));
        return false;
    }
    uv_tcp_getsockname(&broker->listener, (struct sockaddr *)&address, &len);
    broker->port = address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                                 : ntohs(((struct sockaddr_in *)&address)->sin_port);
    return true;
}

static void name_bootstrap(struct mock_cluster *cluster)
{
    struct rj_string host = mock_advertised_host(cluster);
    size_t room = (size_t)cluster->options.broker_count * ((size_t)host.len + 10) + 1, len = 0;
    cluster->bootstrap = rejoin_alloc(room);
    bool is_v6 = memchr(host.data, ':', (size_t)host.len) != NULL;
    for (int32_t i = 0; i < cluster->options.broker_count; i++)
        len += (size_t)snprintf(cluster->bootstrap + len, room - len, is_v6 ? "%s[%s]:%d" : "%s%s:%d", i ? "," : "",
                                host.data, cluster->brokers[i].port);
}

static bool create_topics(struct mock_cluster *cluster, char *error, size_t error_len)
{
    for (int32_t i = 0; i < cluster->options.topic_count; i++) {
        const struct mock_topic *topic = &cluster->options.topics[i];
        int32_t stored_count = cluster->storage ? mock_partition_count(cluster, topic->name) : -1;
        if (stored_count >= 0 && stored_count != topic->partition_count)
            mock_log_line(cluster, "topic '%s' keeps the %d partitions that it has in %s", topic->name, stored_count,
                          cluster->options.data_dir);
        if (stored_count >= 0)
            continue;
        int16_t code = mock_create_topic(cluster, topic->name, topic->partition_count);
        if (code != RJ_KAFKA_NONE) {
            snprintf(error, error_len, "topic '%s' with %d partitions: %s", topic->name, topic->partition_count,
                     rj_kafka_error_name(code));
            return false;
        }
    }
    return true;
}

static bool start_cluster(struct mock_cluster *cluster, char *error, size_t error_len)
{
    cluster->brokers = rejoin_alloc_zeroed((size_t)cluster->options.broker_count, sizeof(*cluster->brokers));
    for (int32_t i = 0; i < cluster->options.broker_count; i++)
        if (!listen_broker(cluster, i, error, error_len))
            return false;
    name_bootstrap(cluster);
    return true;
}

static enum mock_start open_cluster(struct mock_cluster *cluster, char *error, size_t error_len)
{
    if (cluster->options.data_dir != NULL) {
        enum mock_start opened = mock_storage_open(cluster, error, error_len);
        if (opened != MOCK_STARTED)
            return opened;
    }
    if (!create_topics(cluster, error, error_len))
        return MOCK_BAD_OPTION;
    if (!start_cluster(cluster, error, error_len))
        return MOCK_CANNOT_LISTEN;
    if (mock_load_coordinators(cluster) && mock_load_transactions(cluster)) {
        mock_transactions_recover(cluster);
        return MOCK_STARTED;
    }
    snprintf(error, error_len, "%s: no memory for its groups and transactions", cluster->options.data_dir);
    return MOCK_CANNOT_STORE;
}

enum mock_start mock_start(struct mock_cluster **out, uv_loop_t *loop, const struct mock_options *options, char *error,
                           size_t error_len)
{
    enum { ARENA_LIMIT_LEN = 1024 * 1024 * 1024, READ_LEN = 256 * 1024 };
    struct mock_cluster *cluster = rejoin_alloc_zeroed(1, sizeof(*cluster));
    *out = NULL;
    cluster->loop = loop;
    rj_arena_init(&cluster->arena, &rejoin_heap, ARENA_LIMIT_LEN);
    rj_arena_init(&cluster->ask_arena, &rejoin_heap, ARENA_LIMIT_LEN);
    cluster->read_buffer = rejoin_alloc(READ_LEN);
    cluster->next_producer_id = 1000;
    mock_transactions_begin(cluster);
    cluster->timer_ms = INT64_MAX;
    uv_timer_init(loop, &cluster->timer);
    cluster->timer.data = cluster;
    cluster->open_handles = 1;
    set_clock(cluster);
    bool ok = copy_options(cluster, options, error, error_len);
    for (int i = 0; i < OFFSETS_PARTITION_COUNT; i++) {
        cluster->coordinators[i].broker_id = i % (options->broker_count > 0 ? options->broker_count : 1);
        cluster->coordinators[i].deadline_ms = INT64_MAX;
        cluster->coordinators[i].compact_at_len = SIZE_MAX; /* until it has a log */
    }
    seed_random(cluster);
    struct rj_uuid cluster_id = mock_random_uuid(cluster);
    mock_uuid_print(&cluster_id, cluster->cluster_id);
    ok = ok && read_security(cluster, error, error_len);
    enum mock_start result = ok ? open_cluster(cluster, error, error_len) : MOCK_BAD_OPTION;
    if (result == MOCK_STARTED)
        *out = cluster;
    else
        mock_stop(cluster, NULL, NULL);
    return result;
}

int32_t mock_broker_count(const struct mock_cluster *cluster) { return cluster->options.broker_count; }

uint16_t mock_port(const struct mock_cluster *cluster, int32_t broker_id) { return cluster->brokers[broker_id].port; }

const char *mock_bootstrap(const struct mock_cluster *cluster) { return cluster->bootstrap; }

/* ---- Stopping ---------------------------------------------------------------------------------------------------- */

static void free_cluster(struct mock_cluster *cluster)
{
    void (*stopped)(void *) = cluster->stopped;
    void *context = cluster->stopped_context;
    mock_free_sessions(cluster);
    mock_free_topics(cluster);
    mock_transactions_free(&cluster->transactions);
    if (cluster->storage != NULL)
        mock_storage_free(cluster);
    mock_faults_free(cluster->faults);
    mock_users_free(cluster->users);
    mock_acls_free(cluster->acls);
    mock_tls_stop(cluster);
    rj_arena_release(&cluster->arena);
    rj_arena_release(&cluster->ask_arena);
    mock_buffer_free(&cluster->scratch);
    mock_buffer_free(&cluster->spare_out);
    free(cluster->read_buffer);
    free(cluster->brokers);
    free(cluster->bootstrap);
    free(cluster->apis);
    free((void *)(uintptr_t)cluster->options.listen_host);
    free((void *)(uintptr_t)cluster->options.advertise_host);
    free((void *)(uintptr_t)cluster->options.kafka_version);
    free((void *)(uintptr_t)cluster->options.data_dir);
    free(cluster);
    if (stopped != NULL)
        stopped(context);
}

void mock_handle_closed(struct mock_cluster *cluster)
{
    if (--cluster->open_handles == 0)
        free_cluster(cluster);
}

static void timer_closed(uv_handle_t *handle) { mock_handle_closed(handle->data); }

static void listener_closed(uv_handle_t *handle) { mock_handle_closed(((struct broker *)handle->data)->cluster); }

void mock_stop(struct mock_cluster *cluster, void (*done)(void *context), void *context)
{
    cluster->is_stopping = true;
    cluster->stopped = done;
    cluster->stopped_context = context;
    mock_flush_connections(cluster);
    if (cluster->storage != NULL)
        mock_storage_close(cluster);
    mock_disconnect(cluster, NULL);
    mock_free_coordinators(cluster);
    for (int32_t i = 0; cluster->brokers != NULL && i < cluster->options.broker_count; i++)
        if (cluster->brokers[i].cluster != NULL)
            uv_close((uv_handle_t *)&cluster->brokers[i].listener, listener_closed);
    uv_close((uv_handle_t *)&cluster->timer, timer_closed);
}

/* ---- Steering ---------------------------------------------------------------------------------------------------- */

void mock_add_observer(struct mock_cluster *cluster, struct mock_observer *observer)
{
    observer->next = cluster->observers;
    cluster->observers = observer;
}

void mock_remove_observer(struct mock_cluster *cluster, struct mock_observer *observer)
{
    struct mock_observer **link = &cluster->observers;
    while (*link != NULL && *link != observer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = observer->next;
}

void mock_set_interposer(struct mock_cluster *cluster, const struct mock_interposer *interposer)
{
    cluster->interposer = interposer ? *interposer : (struct mock_interposer){0};
}

void mock_set_faults(struct mock_cluster *cluster, struct mock_faults *faults)
{
    mock_faults_free(cluster->faults);
    cluster->faults = faults;
}

int mock_disconnect(struct mock_cluster *cluster, const char *client_id)
{
    int count = 0;
    struct rj_string wanted = {client_id, client_id ? (int32_t)strlen(client_id) : 0};
    for (struct connection *connection = cluster->connections, *next; connection != NULL; connection = next) {
        next = connection->next;
        const struct buffer *kept = &connection->kept_client_id;
        struct rj_string name = {(const char *)kept->data, (int32_t)kept->len};
        if (client_id == NULL || rj_string_equal(name, wanted)) {
            mock_close_connection(connection, MOCK_CLOSED_BY_HOST);
            count++;
        }
    }
    return count;
}
