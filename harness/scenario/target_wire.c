/* Connections, frames and time of scenarios over TCP. */
#include "scenario/rights.h"
#include "scenario/wire.h"

#include "rejoin/conn.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_LIMIT_LEN = 16 * 1024 * 1024, START_EVERY_MS = 10, CONTROL_EVERY_MS = 30, PASSES = 3, FEW_AT_ONCE = 4 };

static void go_on(struct wire_run *run);

int64_t wire_now_ms(struct scn_run *run)
{
    (void)run;
    return (int64_t)(uv_hrtime() / 1000000);
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* Groups of others are not ours to look at. */
static void drop_foreign_groups(const struct scn_run *run, json_t *body)
{
    json_t *groups = json_object_get(body, "groups");
    for (size_t i = json_array_size(groups); run->prefix[0] != 0 && i-- > 0;) {
        const char *id = json_string_value(json_object_get(json_array_get(groups, i), "groupId"));
        if (id != NULL && strncmp(id, run->prefix, strlen(run->prefix)) != 0)
            json_array_remove(groups, i);
    }
}

static void take_frame(struct wire_run *run, struct rj_bytes frame)
{
    if (frame.len < 4)
        return;
    int32_t correlation_id = (int32_t)((uint32_t)frame.data[0] << 24 | (uint32_t)frame.data[1] << 16
                                       | (uint32_t)frame.data[2] << 8 | frame.data[3]);
    struct scn_exchange *exchange = scn_run_exchange(run->run, correlation_id);
    if (exchange == NULL)
        return;
    char error[400];
    json_t *body = scn_decode(frame, exchange->api_key, exchange->version, error, sizeof(error));
    if (body == NULL) {
        scn_run_end(run->run, SCN_FAILED, exchange->step->line, "%s", error);
        return;
    }
    if (exchange->api_key == 16)
        drop_foreign_groups(run->run, body);
    scn_run_take_answer(run->run, exchange, scn_take_prefix(run->run, body), wire_now_ms(run->run));
}

static void take_frames(struct wire_connection *connection)
{
    struct rejoin_buffer *received = &connection->received;
    size_t at = 0;
    uint32_t len;
    while (rj_frame_next((struct rj_bytes){received->data + at, (int32_t)(received->len - at)}, ANSWER_LIMIT_LEN, &len)
           == 1) {
        take_frame(connection->run, (struct rj_bytes){received->data + at + 4, (int32_t)len});
        at += 4 + len;
    }
    memmove(received->data, received->data + at, received->len - at);
    received->len -= at;
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static void connection_closed(uv_handle_t *handle)
{
    struct wire_connection *connection = handle->data;
    rejoin_buffer_free(&connection->received);
    rejoin_buffer_free(&connection->waiting);
    free(connection);
}

static void close_connection(struct wire_connection *connection)
{
    if (connection == NULL || connection->is_closing)
        return;
    connection->is_closing = true;
    connection->run->connections[connection->index] = NULL;
    uv_close((uv_handle_t *)&connection->handle, connection_closed);
}

/* The broker closed it: that is the answer to all that waits. */
static void lost(struct wire_connection *connection)
{
    struct wire_run *run = connection->run;
    int index = connection->index;
    close_connection(connection);
    for (struct scn_exchange *one = run->run->exchanges; one != NULL; one = one->next)
        if (one->connection == index && !one->answered && !run->is_over)
            scn_run_take_answer(run->run, one, NULL, wire_now_ms(run->run));
    go_on(run);
}

static void make_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = uv_buf_init(rejoin_alloc(wanted), (unsigned)wanted);
}

static void take_bytes(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct wire_connection *connection = stream->data;
    if (len > 0)
        rejoin_buffer_add(&connection->received, buffer->base, (size_t)len);
    free(buffer->base);
    if (len < 0) {
        lost(connection);
    } else if (len > 0) {
        take_frames(connection);
        go_on(connection->run);
    }
}

struct write { uv_write_t request; struct rejoin_buffer bytes; struct wire_run *run; int connection; };

static void written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;
    struct wire_run *run = write->run;
    /* A broker does not say when it has read it. (The mock does.) A connection that broke ends the reading too. */
    if (status == 0 && !run->is_over && run->wire->kind == SCN_BROKER)
        for (struct scn_exchange *one = run->run->exchanges; one != NULL; one = one->next)
            if (one->connection == write->connection && one->arrived_ms == 0)
                one->arrived_ms = wire_now_ms(run->run);
    rejoin_buffer_free(&write->bytes);
    free(write);
}

/* Takes the bytes. */
static void write_bytes(struct wire_connection *connection, struct rejoin_buffer bytes)
{
    struct write *write = rejoin_alloc_zeroed(1, sizeof(*write));
    *write = (struct write){.bytes = bytes, .run = connection->run, .connection = connection->index};
    uv_buf_t buffer = uv_buf_init((char *)bytes.data, (unsigned)bytes.len);
    if (uv_write(&write->request, (uv_stream_t *)&connection->handle, &buffer, 1, written) != 0)
        written(&write->request, UV_ECANCELED);
}

static void connected(uv_connect_t *request, int status)
{
    struct wire_connection *connection = request->handle->data;
    if (connection->is_closing)
        return;
    if (status != 0) {
        scn_run_end(connection->run->run, SCN_BROKEN, 0, "cannot connect: %s", uv_strerror(status));
        lost(connection);
        return;
    }
    connection->is_connected = true;
    uv_tcp_nodelay(&connection->handle, 1);
    uv_read_start((uv_stream_t *)&connection->handle, make_room, take_bytes);
    struct rejoin_buffer waiting = {0};
    if (connection->run->wire->options->user != NULL && connection->run->wire->kind == SCN_BROKER)
        wire_add_authentication(connection->run->wire, &waiting);
    rejoin_buffer_add(&waiting, connection->waiting.data, connection->waiting.len);
    rejoin_buffer_free(&connection->waiting);
    if (waiting.len > 0)
        write_bytes(connection, waiting);
}

static struct wire_connection *open_connection(struct wire_run *run, int index)
{
    struct wire_connection *connection = run->connections[index];
    if (connection != NULL)
        return connection;
    connection = rejoin_alloc_zeroed(1, sizeof(*connection));
    connection->run = run;
    connection->index = index;
    run->connections[index] = connection;
    uv_tcp_init(&run->wire->loop, &connection->handle);
    connection->handle.data = connection;
    int code = uv_tcp_connect(&connection->connect, &connection->handle, (const struct sockaddr *)&run->address,
                              connected);
    if (code != 0)
        scn_run_end(run->run, SCN_BROKEN, 0, "cannot connect: %s", uv_strerror(code));
    return connection;
}

bool wire_send(struct scn_run *run, struct scn_exchange *exchange, const json_t *body)
{
    struct wire_connection *connection = open_connection(run->host, exchange->connection);
    struct rejoin_buffer bytes = {0};
    if (!scn_encode(exchange->api_key, exchange->version, exchange->correlation_id,
                    scn_client_id(run, exchange->actor), body, &bytes, run->why, sizeof(run->why)))
        return false;
    if (connection->is_connected) {
        write_bytes(connection, bytes);
    } else {
        rejoin_buffer_add(&connection->waiting, bytes.data, bytes.len);
        rejoin_buffer_free(&bytes);
    }
    return true;
}

void wire_disconnect(struct scn_run *run, int connection)
{
    struct wire_run *of_wire = run->host;
    close_connection(of_wire->connections[connection]);
}

/* ---- A run ------------------------------------------------------------------------------------------------------- */

static void end_run(struct wire_run *run)
{
    struct wire *wire = run->wire;
    run->is_over = true;
    uv_close((uv_handle_t *)&run->timer, NULL);
    for (int i = 0; i < 32; i++)
        close_connection(run->connections[i]);
    if (run->mock != NULL)
        wire_mock_close(run);
    wire->active--;
    bool again = run->run->verdict == SCN_FAILED && run->run->tries < wire->last_pass && !run->run->rewrites;
    if (!again)
        wire->done(wire->context, run->run);
}

static void timer_fired(uv_timer_t *timer) { go_on(timer->data); }

static void go_on(struct wire_run *run)
{
    if (run->is_over)
        return;
    enum scn_wait wait = scn_run_poll(run->run);
    if (wait == SCN_OVER) {
        end_run(run);
        return;
    }
    int64_t left_ms = run->run->wake_ms - wire_now_ms(run->run);
    bool controls = scn_verbs[run->run->scenario->steps[run->run->at].verb].name != NULL;
    if (wait == SCN_FOR_ANSWER && controls && left_ms > CONTROL_EVERY_MS)
        left_ms = CONTROL_EVERY_MS;
    uv_timer_start(&run->timer, timer_fired, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

static bool begin_run(struct wire_run *run)
{
    struct wire *wire = run->wire;
    const struct scn_target *target = wire->kind == SCN_MOCK ? &scn_mock_target : &scn_broker_target;
    char why[256];
    if (!scn_fits(run->run->scenario, wire->kind, target->name, run->run->kafka_version, why, sizeof(why))) {
        scn_run_end(run->run, SCN_NOT_RUN, 0, "%s", why);
        return false;
    }
    return wire->kind == SCN_MOCK ? wire_mock_open(run) : wire_broker_begin(run);
}

static void start_next(uv_timer_t *timer)
{
    struct wire *wire = timer->data;
    if (wire->next == wire->count) {
        uv_close((uv_handle_t *)timer, NULL);
        return;
    }
    /* Rights are one user's: scenarios that take them away cannot run side by side on a broker. */
    if (wire->active >= (wire->options->user != NULL ? 1 : wire->at_once))
        return;
    struct wire_run *run = wire->runs[wire->next++];
    wire->active++;
    uv_timer_init(&wire->loop, &run->timer);
    run->timer.data = run;
    if (begin_run(run))
        go_on(run);
    else
        end_run(run);
}

/* performance is new (pass 0), or the one that failed before. */
static void prepare_run(struct wire *wire, struct wire_run *run, struct scn_run *performance, int number, int pass)
{
    const struct scn_target *target = wire->kind == SCN_MOCK ? &scn_mock_target : &scn_broker_target;
    char before[sizeof(performance->before)] = "";
    if (pass > 0)
        snprintf(before, sizeof(before), "line %d: %.220s", performance->line, performance->why);
    *run = (struct wire_run){.run = performance, .wire = wire};
    scn_run_init(performance, performance->scenario, target, run, scn_version(wire->options->kafka_version));
    performance->rewrites = wire->options->rewrites;
    performance->tries = pass;
    snprintf(performance->before, sizeof(performance->before), "%s", before);
    if (wire->kind == SCN_BROKER)
        snprintf(performance->prefix, sizeof(performance->prefix), "%.20sx%ux%u.", wire->prefix, (unsigned)number & 0xfffff,
                 (unsigned)pass & 0xff);
}

static bool perform_pass(struct wire *wire, char *error, size_t error_len)
{
    if (wire->kind == SCN_BROKER && !wire_broker_make_topics(wire, error, error_len))
        return false;
    wire->next = wire->active = 0;
    uv_loop_init(&wire->loop);
    uv_timer_init(&wire->loop, &wire->starter);
    wire->starter.data = wire;
    uv_timer_start(&wire->starter, start_next, 0, START_EVERY_MS);
    uv_run(&wire->loop, UV_RUN_DEFAULT);
    uv_loop_close(&wire->loop);
    if (wire->kind == SCN_BROKER)
        wire_broker_drop_topics(wire);
    return true;
}

/* All of them, then what failed again, few at a time: on a machine that is busy, time is not what a scenario thinks it
 * is. What is really wrong fails every time. */
static bool perform_passes(struct wire *wire, struct wire_run *of_wire, struct scn_run *runs, int count, char *error,
                           size_t error_len)
{
    bool ok = true;
    for (int pass = 0; pass <= wire->last_pass && ok; pass++) {
        wire->count = 0;
        for (int i = 0; i < count; i++) {
            if (pass > 0 && (runs[i].verdict != SCN_FAILED || runs[i].tries != pass - 1))
                continue;
            if (pass > 0)
                scn_run_free(&runs[i]);
            prepare_run(wire, &of_wire[i], &runs[i], i, pass);
            wire->runs[wire->count++] = &of_wire[i];
        }
        wire->at_once = pass == 0 ? wire->options->at_once : FEW_AT_ONCE;
        ok = wire->count == 0 || perform_pass(wire, error, error_len);
    }
    return ok;
}

bool scn_run_on_wire(struct scn_run *runs, int count, enum scn_target_kind kind, const struct scn_options *options,
                     scn_done done, void *context, char *error, size_t error_len)
{
    struct wire wire = {.kind = kind, .options = options, .done = done, .context = context, .ask = {.socket = -1},
                        .last_pass = options->rewrites ? 0 : PASSES - 1};
    struct wire_run *of_wire = rejoin_alloc_zeroed((size_t)count + 1, sizeof(*of_wire));
    wire.runs = rejoin_alloc_zeroed((size_t)count + 1, sizeof(struct wire_run *));
    if (kind == SCN_BROKER)
        snprintf(wire.prefix, sizeof(wire.prefix), "s%x%x", (unsigned)getpid(), (unsigned)time(NULL) & 0xffff);
    bool ok = (kind == SCN_MOCK || wire_broker_open(&wire, error, error_len))
              && perform_passes(&wire, of_wire, runs, count, error, error_len);
    wire_broker_close(&wire);
    free(wire.runs);
    free(of_wire);
    return ok;
}
