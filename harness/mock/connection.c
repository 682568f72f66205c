/* Connections: bytes in, frames out to dispatch, answers back in the order of their requests.
 *
 * A connection works on one request at a time, as Kafka's network threads do: while one is parked, what comes behind it
 * stays in the connection's buffer, and when the buffer is full the connection is not read. Everything that one read
 * brought is answered with one write. */
#include "mock/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_BUFFER_LEN = 256 * 1024, /* one read takes what a socket buffer holds by default */
    WAITING_LEN = 64 * 1024,      /* kept behind a parked request before the connection is no longer read */
    SPARE_LEN = 16 * 1024,        /* a larger buffer is not kept for the next connection with answers */
    LEAST_LEN = 24,               /* of a buffer: what the heap's smallest pieces hold, and most clients' names need */
};

/* ---- Buffers ----------------------------------------------------------------------------------------------------- */

bool mock_buffer_reserve(struct buffer *buffer, size_t more_len)
{
    size_t needed = buffer->len + more_len;
    if (needed <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : LEAST_LEN;
    if (capacity < needed)
        capacity = needed; /* what comes in one piece is often all that comes */
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool mock_buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    if (!mock_buffer_reserve(buffer, len))
        return false;
    if (len > 0)
        memcpy(buffer->data + buffer->len, bytes, len);
    buffer->len += len;
    return true;
}

void mock_buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void buffer_drop_front(struct buffer *buffer, size_t len)
{
    buffer->len -= len;
    if (buffer->len > 0)
        memmove(buffer->data, buffer->data + len, buffer->len);
    else
        mock_buffer_free(buffer);
}

/* Answers are made and written one connection after the other, so that one buffer does for thousands of them. */
static bool reserve_out(struct connection *connection, size_t more_len)
{
    struct buffer *out = &connection->out, *spare = &connection->cluster->spare_out;
    if (out->data == NULL) {
        *out = *spare;
        *spare = (struct buffer){.data = NULL};
    }
    return mock_buffer_reserve(out, more_len);
}

static void release_out(struct connection *connection)
{
    struct buffer *out = &connection->out, *spare = &connection->cluster->spare_out;
    out->len = 0;
    if (out->capacity > SPARE_LEN || out->capacity <= spare->capacity) {
        mock_buffer_free(out);
        return;
    }
    mock_buffer_free(spare);
    *spare = *out;
    *out = (struct buffer){.data = NULL};
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static struct connection **bucket(struct mock_cluster *cluster, uint64_t id)
{
    return &cluster->buckets[id % (sizeof(cluster->buckets) / sizeof(cluster->buckets[0]))];
}

struct connection *mock_find_connection(struct mock_cluster *cluster, uint64_t id)
{
    struct connection *connection = *bucket(cluster, id);
    while (connection != NULL && connection->id != id)
        connection = connection->next_in_bucket;
    return connection;
}

static void tell_connection(struct connection *connection, enum mock_connection_end what)
{
    struct mock_cluster *cluster = connection->cluster;
    if (cluster->observers == NULL)
        return;
    struct mock_connection_event event = {
        .what = what, .broker_id = connection->broker_id, .connection_id = connection->id, .peer = connection->peer,
        .peer_address = &connection->peer_address.any,
        .local_address = &connection->local_address.any, .time_us = mock_now_us(cluster),
    };
    for (struct mock_observer *observer = cluster->observers; observer != NULL; observer = observer->next)
        if (observer->connection != NULL)
            observer->connection(observer->context, &event);
}

static void connection_freed(uv_handle_t *handle)
{
    struct connection *connection = (struct connection *)handle;
    struct mock_cluster *cluster = connection->cluster;
    mock_buffer_free(&connection->in);
    mock_buffer_free(&connection->out);
    mock_buffer_free(&connection->kept_client_id);
    mock_buffer_free(&connection->kept_frame);
    free(connection->host_and_port);
    mock_sasl_end(connection);
    mock_tls_end(connection);
    free(connection);
    mock_handle_closed(cluster);
}

static void count_held(struct connection *connection, size_t held_len)
{
    connection->cluster->held_len += held_len - connection->held_len;
    connection->held_len = held_len;
}

static void unlink_connection(struct connection *connection)
{
    struct mock_cluster *cluster = connection->cluster;
    count_held(connection, 0);
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        cluster->connections = connection->next;
    cluster->connection_count--;
    struct connection **link = bucket(cluster, connection->id);
    while (*link != connection)
        link = &(*link)->next_in_bucket;
    *link = connection->next_in_bucket;
    if (connection->is_dirty) {
        link = &cluster->dirty;
        while (*link != connection)
            link = &(*link)->next_dirty;
        *link = connection->next_dirty;
    }
}

void mock_close_connection(struct connection *connection, enum mock_connection_end why)
{
    if (connection->is_closing)
        return;
    connection->is_closing = true;
    tell_connection(connection, why);
    unlink_connection(connection);
    if (connection->tls != NULL)
        mock_tls_seal(connection, true);
    /* A peer that ended its TLS still waits for the end of ours. */
    if ((why != MOCK_CLOSED_BY_PEER || connection->tls != NULL) && connection->out.len > 0 && connection->writing_len == 0) {
        uv_buf_t bytes = uv_buf_init((char *)connection->out.data, (unsigned)connection->out.len);
        uv_try_write((uv_stream_t *)&connection->handle, &bytes, 1); /* answers to what came before are due */
    }
    switch (connection->parked) {
    case PARKED_NOT: break;
    case PARKED_COORDINATOR: mock_coordinators_disconnect(connection->cluster, connection); break;
    case PARKED_FETCH: mock_forget_fetch(connection); break;
    case PARKED_FAULT: mock_forget_delay(connection); break;
    }
    uv_close((uv_handle_t *)&connection->handle, connection_freed);
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

struct pending_write { uv_write_t request; struct connection *connection; size_t len; uint8_t bytes[]; };

static void mark_dirty(struct connection *connection)
{
    if (connection->is_dirty || connection->is_closing)
        return;
    connection->is_dirty = true;
    connection->next_dirty = connection->cluster->dirty;
    connection->cluster->dirty = connection;
}

static void write_done(uv_write_t *request, int status)
{
    struct pending_write *pending = (struct pending_write *)request;
    struct connection *connection = pending->connection;
    connection->writing_len -= pending->len;
    free(pending);
    if (connection->is_closing)
        return;
    if (status < 0) {
        mock_close_connection(connection, MOCK_CLOSED_BY_PEER);
    } else if (connection->writing_len == 0) {
        if (connection->is_closing_after_write)
            mock_close_connection(connection, MOCK_CLOSED_FAULT);
        else
            mock_process_input(connection);
    }
    mock_flush_connections(connection->cluster);
}

/* Counts what the connection holds. Where all hold too much it is the one with most that goes, whoever it was that came
 * last: a client that takes its answers and ends its frames has next to nothing. */
static void bound_held(struct connection *connection)
{
    struct mock_cluster *cluster = connection->cluster;
    if (!connection->is_closing)
        count_held(connection, connection->in.capacity + connection->out.capacity + connection->writing_len);
    while (cluster->held_len > cluster->options.limits.held_len) {
        struct connection *most = cluster->connections;
        for (struct connection *one = most; one != NULL; one = one->next)
            if (one->held_len > most->held_len)
                most = one;
        mock_log_line(cluster, "%s: all connections hold %zu bytes of unfinished frames and answers not taken, the limit "
                               "is %zu; this one with most, %zu, is closed", most->peer, cluster->held_len,
                      cluster->options.limits.held_len, most->held_len);
        mock_close_connection(most, MOCK_CLOSED_LIMIT);
    }
}

/* The kernel takes no more now: what is left goes to libuv, which writes it when it can. */
static bool write_later(struct connection *connection, size_t written_len)
{
    size_t len = connection->out.len - written_len;
    struct pending_write *pending = malloc(sizeof(*pending) + len);
    if (pending == NULL)
        return false;
    pending->connection = connection;
    pending->len = len;
    memcpy(pending->bytes, connection->out.data + written_len, len);
    uv_buf_t bytes = uv_buf_init((char *)pending->bytes, (unsigned)len);
    if (uv_write(&pending->request, (uv_stream_t *)&connection->handle, &bytes, 1, write_done) != 0) {
        free(pending);
        return false;
    }
    connection->writing_len += len;
    return true;
}

/* How much the kernel took of out, or libuv's error. */
static int try_write(struct connection *connection)
{
    uv_buf_t bytes = uv_buf_init((char *)connection->out.data, (unsigned)connection->out.len);
    int written = uv_try_write((uv_stream_t *)&connection->handle, &bytes, 1);
    return written == UV_EAGAIN ? 0 : written;
}

/* An answer that somebody else's request set free need not wait for the others, of which there may be thousands: their
 * memory would all be taken at once. What goes wrong here goes wrong again when the connection is flushed. */
static void write_at_once(struct connection *connection)
{
    if (connection->tls != NULL || connection->writing_len > 0 || connection->is_closing ||
        connection->is_closing_after_write || connection->out.len == 0)
        return;
    int written = try_write(connection);
    if (written > 0 && (size_t)written == connection->out.len)
        release_out(connection);
    else if (written > 0)
        buffer_drop_front(&connection->out, (size_t)written);
}

static void flush_connection(struct connection *connection)
{
    size_t written_len = 0;
    if (connection->writing_len == 0) {
        int written = try_write(connection);
        if (written < 0) {
            mock_close_connection(connection, MOCK_CLOSED_BY_PEER);
            return;
        }
        written_len = (size_t)written;
    }
    if (written_len < connection->out.len && !write_later(connection, written_len)) {
        mock_close_connection(connection, MOCK_CLOSED_BY_PEER);
        return;
    }
    release_out(connection);
    if (connection->is_closing_after_write && connection->writing_len == 0)
        mock_close_connection(connection, MOCK_CLOSED_FAULT);
}

void mock_flush_connections(struct mock_cluster *cluster)
{
    if (cluster->depth > 0)
        return; /* inside a request: its end flushes */
    if (cluster->has_news)
        mock_wake_fetches(cluster);
    while (cluster->dirty != NULL) {
        struct connection *connection = cluster->dirty;
        cluster->dirty = connection->next_dirty;
        connection->is_dirty = false;
        mock_process_input(connection); /* what came in behind a request that was parked */
        if (connection->tls != NULL && !connection->is_closing && !mock_tls_seal(connection, false))
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        if (connection->out.len > 0 && !connection->is_closing)
            flush_connection(connection);
        bound_held(connection);
        if (cluster->has_news)
            mock_wake_fetches(cluster);
    }
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static void tell_answer(struct connection *connection, const void *body, enum rj_rule rule, struct rj_bytes bytes)
{
    struct request *request = &connection->request;
    struct mock_frame frame;
    mock_frame_of_request(request, &frame);
    bool is_refused = request->api_key == 18 && ((const struct rj_api_versions_response *)body)->error_code == 35;
    frame.is_response = true;
    frame.bytes = bytes;
    frame.schema = rj_response_schema(request->api_key);
    frame.body_version = is_refused ? 0 : request->version;
    frame.body_offset = rj_response_header_version(request->api_key, frame.body_version) == 1 ? 5 : 4;
    frame.body = body;
    frame.rule = rule;
    mock_tell_frame(connection->cluster, &frame);
}

/* An answer that is kept back is told of when it leaves; one that never leaves is not. */
static bool leaves_now(enum mock_action action)
{
    return action != MOCK_DELAY_ANSWER && action != MOCK_HOLD_ANSWER && action != MOCK_DROP_ANSWER &&
           action != MOCK_DISCONNECT_AFTER;
}

void mock_tell_kept_answer(struct connection *connection, struct rj_bytes frame)
{
    const struct request *request = &connection->request;
    struct rj_bytes bytes = {frame.data + 4, frame.len - 4};
    struct rj_response_frame response;
    struct rj_arena arena;
    if (connection->cluster->observers == NULL)
        return;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    if (rj_decode_response(bytes, request->api_key, request->version, &response, &arena, NULL) == RJ_OK)
        tell_answer(connection, response.body, connection->kept_rule, bytes);
    rj_arena_release(&arena);
}

/* Puts the answer's frame behind what connection->out holds. */
static bool encode_answer(struct connection *connection, const void *body, enum rj_rule rule)
{
    struct request *request = &connection->request;
    int16_t version = request->version;
    if (request->api_key == 18 && ((const struct rj_api_versions_response *)body)->error_code == 35)
        version = 0;
    enum { LEAST_ANSWER_LEN = 64 };
    struct buffer *out = &connection->out;
    struct rj_fault fault;
    size_t len = 0;
    if (!reserve_out(connection, LEAST_ANSWER_LEN))
        return false;
    enum rj_err err = rj_encode_response_frame(request->api_key, version, request->correlation_id, body,
                                               out->data + out->len, out->capacity - out->len, &len, &fault);
    if (err == RJ_ERR_SPACE && mock_buffer_reserve(out, len))
        err = rj_encode_response_frame(request->api_key, version, request->correlation_id, body, out->data + out->len,
                                       out->capacity - out->len, &len, &fault);
    if (err != RJ_OK) {
        mock_log_line(connection->cluster, "%s: cannot encode the %s v%d answer: %s at %s", connection->peer,
                 rj_api_name(request->api_key), version, rj_err_sentence(err), fault.field);
        return false;
    }
    out->len += len;
    if (connection->cluster->observers != NULL && leaves_now(connection->verdict.action))
        tell_answer(connection, body, rule,
                    (struct rj_bytes){out->data + out->len - len + 4, (int32_t)(len - 4)});
    return true;
}

/* The verdict of the faults on an answer whose bytes stand at the end of out. */
static void treat_answer(struct connection *connection, size_t start, enum rj_rule rule)
{
    struct buffer *out = &connection->out;
    const struct mock_verdict *verdict = &connection->verdict;
    switch (verdict->action) {
    case MOCK_CUT_ANSWER:
        if (out->len - start > verdict->cut_len)
            out->len = start + verdict->cut_len;
        connection->is_closing_after_write = true;
        if (out->len == 0)
            mock_close_connection(connection, MOCK_CLOSED_FAULT);
        break;
    case MOCK_DISCONNECT_AFTER: /* dispatch closes it next */
        out->len = start;
        break;
    case MOCK_DELAY_ANSWER:
    case MOCK_HOLD_ANSWER:
    case MOCK_DROP_ANSWER:
        connection->kept_rule = rule;
        mock_keep_answer_back(connection, (struct rj_bytes){out->data + start, (int32_t)(out->len - start)});
        out->len = start;
        break;
    case MOCK_PASS: case MOCK_ANSWER_ERROR: case MOCK_ANSWER_BODY: case MOCK_DELAY_REQUEST: case MOCK_HOLD_REQUEST:
    case MOCK_DROP_REQUEST: case MOCK_DISCONNECT_BEFORE:
        break;
    }
}

void mock_answer_connection(struct connection *connection, const void *body, enum rj_rule rule)
{
    if (connection->is_closing)
        return;
    struct mock_cluster *cluster = connection->cluster;
    if (cluster->interposer.edit != NULL) {
        struct mock_frame frame;
        mock_frame_of_request(&connection->request, &frame);
        cluster->interposer.edit(cluster->interposer.context, &frame, (void *)(uintptr_t)body);
    }
    bool has_waited = connection->parked == PARKED_COORDINATOR && connection != cluster->stepping;
    connection->parked = PARKED_NOT;
    size_t start = connection->out.len;
    if (!encode_answer(connection, body, rule)) {
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return;
    }
    if (connection->verdict.action != MOCK_PASS)
        treat_answer(connection, start, rule);
    if (has_waited)
        write_at_once(connection);
    mark_dirty(connection);
}

bool mock_answer_bare(struct connection *connection, struct rj_bytes bytes)
{
    uint32_t len = (uint32_t)bytes.len;
    uint8_t prefix[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    mark_dirty(connection);
    return reserve_out(connection, sizeof(prefix) + len) &&
           mock_buffer_append(&connection->out, prefix, sizeof(prefix)) &&
           mock_buffer_append(&connection->out, bytes.data, len);
}

void mock_resume_connection(struct connection *connection)
{
    connection->parked = PARKED_NOT;
    mark_dirty(connection);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void allocate(uv_handle_t *handle, size_t suggested_len, uv_buf_t *buf)
{
    (void)suggested_len;
    struct connection *connection = (struct connection *)handle;
    if (connection->in.len == 0 || connection->tls != NULL) {
        *buf = uv_buf_init((char *)connection->cluster->read_buffer, READ_BUFFER_LEN);
        return;
    }
    /* Behind a part of a frame: as much again as is there, so that the buffer grows by what really comes. */
    size_t room = connection->in.len < 4096 ? 4096 : connection->in.len;
    if (room > READ_BUFFER_LEN)
        room = READ_BUFFER_LEN;
    if (!mock_buffer_reserve(&connection->in, room))
        *buf = uv_buf_init(NULL, 0);
    else
        *buf = uv_buf_init((char *)connection->in.data + connection->in.len, (unsigned)room);
}

static bool may_process(const struct connection *connection)
{
    return !connection->is_closing && !connection->is_closing_after_write && connection->parked == PARKED_NOT &&
           connection->out.len + connection->writing_len <= connection->cluster->options.limits.unsent_len;
}

static void refuse_length(const struct connection *connection, const uint8_t *prefix)
{
    mock_log_line(connection->cluster,
                  "%s: offset %llu: a frame length of 0x%02x%02x%02x%02x is refused, the limit is %u bytes; "
                  "connection closed", connection->peer, (unsigned long long)connection->received_len, prefix[0],
                  prefix[1], prefix[2], prefix[3], connection->frame_limit);
}

/* Takes whole frames from the bytes; returns how many bytes were taken. */
static size_t take_frames(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t taken = 0, looked_at = 0;
    while (may_process(connection)) {
        size_t left = len - taken;
        if (taken >= looked_at)
            looked_at = taken + mock_look_ahead(connection->cluster, connection->frame_limit, bytes + taken, left);
        struct rj_bytes stream = {bytes + taken, left > INT32_MAX ? INT32_MAX : (int32_t)left};
        uint32_t frame_len;
        int found = rj_frame_next(stream, connection->frame_limit, &frame_len);
        if (found == 0)
            break;
        if (found < 0) {
            refuse_length(connection, stream.data);
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
            return taken;
        }
        taken += 4 + (size_t)frame_len;
        mock_process_frame(connection, (struct rj_bytes){stream.data + 4, (int32_t)frame_len}, false);
        connection->received_len += 4 + (uint64_t)frame_len;
    }
    return taken;
}

static void read_done(uv_stream_t *stream, ssize_t read_len, const uv_buf_t *buf);

/* Whether what comes may be kept until it can be processed. TLS itself answers, so there must be room for that. */
static bool may_wait(const struct connection *connection)
{
    return connection->tls == NULL ||
           connection->out.len + connection->writing_len <= connection->cluster->options.limits.unsent_len;
}

/* Reads again, or no more, by how much is waiting. */
static void adjust_reading(struct connection *connection)
{
    if (connection->is_closing)
        return;
    bool wanted = may_process(connection) || (connection->in.len < WAITING_LEN && may_wait(connection));
    if (wanted == connection->is_reading)
        return;
    connection->is_reading = wanted;
    if (wanted)
        uv_read_start((uv_stream_t *)&connection->handle, allocate, read_done);
    else
        uv_read_stop((uv_stream_t *)&connection->handle);
}

void mock_process_input(struct connection *connection)
{
    if (connection->is_processing || connection->is_closing)
        return;
    connection->is_processing = true;
    if (connection->in.len > 0 && may_process(connection)) {
        size_t taken = take_frames(connection, connection->in.data, connection->in.len);
        if (!connection->is_closing)
            buffer_drop_front(&connection->in, taken);
    }
    connection->is_processing = false;
    adjust_reading(connection);
}

static void read_done(uv_stream_t *stream, ssize_t read_len, const uv_buf_t *buf)
{
    struct connection *connection = (struct connection *)stream;
    struct mock_cluster *cluster = connection->cluster;
    if (read_len == 0 || connection->is_closing)
        return;
    if (read_len < 0) {
        if (read_len == UV_ENOBUFS)
            mock_log_line(cluster, "%s: no memory for its bytes; connection closed", connection->peer);
        mock_close_connection(connection, MOCK_CLOSED_BY_PEER);
    } else if (connection->tls != NULL) {
        if (mock_tls_open(connection, (struct rj_bytes){(const uint8_t *)buf->base, (int32_t)read_len})) {
            if (mock_tls_has_sealed(connection))
                mark_dirty(connection);
            mock_process_input(connection);
        }
    } else if (connection->in.len > 0) {
        connection->in.len += (size_t)read_len;
        mock_process_input(connection);
    } else {
        connection->is_processing = true;
        size_t taken = take_frames(connection, (const uint8_t *)buf->base, (size_t)read_len);
        connection->is_processing = false;
        if (!connection->is_closing && taken < (size_t)read_len &&
            !mock_buffer_append(&connection->in, buf->base + taken, (size_t)read_len - taken))
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        adjust_reading(connection);
    }
    connection->heard_ms = (int64_t)uv_now(cluster->loop);
    bound_held(connection);
    mock_flush_connections(cluster);
}

/* ---- Accepting --------------------------------------------------------------------------------------------------- */

static void print_address(const union address *address, char *out, size_t out_len)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
        snprintf(out, out_len, "[%s]:%d", host, ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
        snprintf(out, out_len, "%s:%d", host, ntohs(address->v4.sin_port));
    }
}

/* Its addresses, and the texts of its peer's; false: no memory. */
static bool name_ends(struct connection *connection)
{
    int len = sizeof(connection->peer_address);
    uv_tcp_getpeername(&connection->handle, &connection->peer_address.any, &len);
    len = sizeof(connection->local_address);
    uv_tcp_getsockname(&connection->handle, &connection->local_address.any, &len);
    char text[PEER_LEN] = "/";
    print_address(&connection->peer_address, text + 1, sizeof(text) - 1);
    connection->host_and_port = strdup(text);
    if (connection->host_and_port == NULL)
        return false;
    const char *port = strrchr(connection->host_and_port, ':');
    size_t host_len = port ? (size_t)(port - connection->host_and_port) : strlen(connection->host_and_port);
    connection->client_host = (struct rj_string){connection->host_and_port, (int32_t)host_len};
    connection->peer = connection->host_and_port + 1;
    return true;
}

static void connection_refused(uv_handle_t *handle)
{
    struct mock_cluster *cluster = ((struct connection *)handle)->cluster;
    free(handle);
    mock_handle_closed(cluster);
}

/* The one that was silent longest and waits for no answer; NULL: all wait. */
static struct connection *most_silent(const struct mock_cluster *cluster)
{
    struct connection *found = NULL;
    for (struct connection *one = cluster->connections; one != NULL; one = one->next)
        if (one->parked == PARKED_NOT && (found == NULL || one->heard_ms < found->heard_ms))
            found = one;
    return found;
}

/* Whether there is room for one more, if need be instead of another one. */
static bool make_room(struct mock_cluster *cluster, const struct broker *broker)
{
    if (cluster->connection_count < cluster->options.limits.connection_count)
        return true;
    struct connection *silent = most_silent(cluster);
    mock_log_line(cluster, "broker %d: %u connections are open, the limit; %s%s is closed",
                  (int)(broker - cluster->brokers), cluster->connection_count,
                  silent != NULL ? "the most silent, " : "all wait for answers; the next one",
                  silent != NULL ? silent->peer : "");
    if (silent != NULL)
        mock_close_connection(silent, MOCK_CLOSED_LIMIT);
    return silent != NULL;
}

void mock_accept_connection(uv_stream_t *listener, int status)
{
    struct broker *broker = listener->data;
    struct mock_cluster *cluster = broker->cluster;
    struct connection *connection = status == 0 ? calloc(1, sizeof(*connection)) : NULL;
    if (connection == NULL)
        return;
    connection->cluster = cluster;
    uv_tcp_init(cluster->loop, &connection->handle);
    cluster->open_handles++;
    if (uv_accept(listener, (uv_stream_t *)&connection->handle) != 0 || !make_room(cluster, broker) ||
        !name_ends(connection)) {
        uv_close((uv_handle_t *)&connection->handle, connection_refused);
        return;
    }
    connection->broker_id = (int32_t)(broker - cluster->brokers);
    connection->id = ++cluster->last_connection_id;
    connection->heard_ms = (int64_t)uv_now(cluster->loop);
    connection->next = cluster->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    cluster->connections = connection;
    cluster->connection_count++;
    connection->next_in_bucket = *bucket(cluster, connection->id);
    *bucket(cluster, connection->id) = connection;
    uv_tcp_nodelay(&connection->handle, 1);
    tell_connection(connection, MOCK_OPENED);
    if (!mock_sasl_begin(connection) || !mock_tls_begin(connection))
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
    adjust_reading(connection);
}
