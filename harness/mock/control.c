#include "mock/control.h"
#include "support/memory.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_LIMIT_LEN = 1024 * 1024, ARGUMENT_LIMIT = 8 };

struct control_client {
    uv_pipe_t pipe;
    struct mock_control *control;
    struct control_client *next;
    char *line;
    size_t line_len;
};

struct mock_control {
    uv_pipe_t listener;
    struct mock_cluster *cluster;
    struct control_client *clients;
    char *path;
};

const char mock_control_help[] =
    "  move-coordinator GROUP BROKER [LOADING_MS]  the group's partition of __consumer_offsets moves; the new\n"
    "                                              coordinator loads for that long (default 0); BROKER none: the\n"
    "                                              partition has no leader until it is moved again\n"
    "  add-partitions TOPIC COUNT                  the topic has COUNT partitions from now on\n"
    "  create-topic TOPIC COUNT\n"
    "  delete-topic TOPIC\n"
    "  fail-append ERROR COUNT                     the next COUNT appends of group records fail with that error code\n"
    "  disconnect [CLIENT_ID]                      closes that client's connections (default: all)\n"
    "  faults FILE                                 takes the faults of the file instead of those in force; - for none\n"
    "  release HOLD_ID                             lets go what the faults hold under that id\n"
    "  coordinator GROUP                           which broker it is\n";

/* ---- Commands ---------------------------------------------------------------------------------------------------- */

struct call { struct mock_cluster *cluster; const char *arguments[ARGUMENT_LIMIT]; int count; };

static json_t *refused(const char *why) { return json_pack("{s:b,s:s}", "ok", 0, "error", why); }

static json_t *done(int16_t error_code)
{
    const char *name = rj_kafka_error_name(error_code);
    if (error_code == RJ_KAFKA_NONE)
        return json_pack("{s:b}", "ok", 1);
    return json_pack("{s:b,s:s,s:i}", "ok", 0, "error", name ? name : "?", "error_code", error_code);
}

static bool read_number(const char *text, int32_t *out)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || number < INT32_MIN || number > INT32_MAX)
        return false;
    *out = (int32_t)number;
    return true;
}

static json_t *move_coordinator(const struct call *call)
{
    int32_t broker_id = MOCK_NO_BROKER, loading_ms = 0;
    bool to_nobody = strcmp(call->arguments[1], "none") == 0;
    if ((!to_nobody && !read_number(call->arguments[1], &broker_id)) || (!to_nobody && broker_id < 0)
        || (call->count > 2 && !read_number(call->arguments[2], &loading_ms)))
        return refused("expected: move-coordinator GROUP BROKER|none [LOADING_MS]");
    if (!mock_move_coordinator(call->cluster, call->arguments[0], broker_id, loading_ms))
        return refused("there is no such broker");
    return json_pack("{s:b,s:s,s:i}", "ok", 1, "group", call->arguments[0], "coordinator", broker_id);
}

static json_t *add_partitions(const struct call *call)
{
    int32_t count;
    if (!read_number(call->arguments[1], &count))
        return refused("expected: add-partitions TOPIC COUNT");
    return done(mock_add_partitions(call->cluster, call->arguments[0], count));
}

static json_t *create_topic(const struct call *call)
{
    int32_t count;
    if (!read_number(call->arguments[1], &count))
        return refused("expected: create-topic TOPIC COUNT");
    return done(mock_create_topic(call->cluster, call->arguments[0], count));
}

static json_t *delete_topic(const struct call *call)
{
    return done(mock_delete_topic(call->cluster, call->arguments[0]));
}

static json_t *fail_append(const struct call *call)
{
    int32_t error_code, count;
    if (!read_number(call->arguments[0], &error_code) || !read_number(call->arguments[1], &count) ||
        rj_kafka_error_name((int16_t)error_code) == NULL)
        return refused("expected: fail-append ERROR COUNT, ERROR one of Kafka's error codes");
    mock_fail_appends(call->cluster, (int16_t)error_code, count);
    return done(RJ_KAFKA_NONE);
}

static json_t *disconnect(const struct call *call)
{
    return json_pack("{s:b,s:i}", "ok", 1, "connections",
                     mock_disconnect(call->cluster, call->count > 0 ? call->arguments[0] : NULL));
}

static json_t *set_faults(const struct call *call)
{
    char error[512];
    struct mock_faults *faults = NULL;
    if (strcmp(call->arguments[0], "-") != 0) {
        faults = mock_faults_read(call->arguments[0], error, sizeof(error));
        if (faults == NULL)
            return refused(error);
    }
    mock_set_faults(call->cluster, faults);
    return done(RJ_KAFKA_NONE);
}

static json_t *release(const struct call *call)
{
    int32_t hold_id;
    if (!read_number(call->arguments[0], &hold_id))
        return refused("expected: release HOLD_ID");
    return json_pack("{s:b,s:i}", "ok", 1, "released", mock_release(call->cluster, (uint64_t)hold_id));
}

static json_t *coordinator(const struct call *call)
{
    return json_pack("{s:b,s:i}", "ok", 1, "coordinator", mock_coordinator_of(call->cluster, call->arguments[0]));
}

static const struct { const char *name; int least, most; json_t *(*run)(const struct call *call); } commands[] = {
    {"move-coordinator", 2, 3, move_coordinator}, {"add-partitions", 2, 2, add_partitions},
    {"create-topic", 2, 2, create_topic}, {"delete-topic", 1, 1, delete_topic}, {"fail-append", 2, 2, fail_append},
    {"disconnect", 0, 1, disconnect}, {"faults", 1, 1, set_faults}, {"release", 1, 1, release},
    {"coordinator", 1, 1, coordinator},
};

static json_t *run_line(struct mock_cluster *cluster, const char *line, size_t len)
{
    json_error_t problem;
    json_t *words = json_loadb(line, len, 0, &problem), *answer = NULL;
    struct call call = {.cluster = cluster};
    const char *name = json_string_value(json_array_get(words, 0));
    for (size_t i = 1; i < json_array_size(words) && i <= ARGUMENT_LIMIT; i++) {
        const char *argument = json_string_value(json_array_get(words, i));
        call.arguments[call.count++] = argument ? argument : "";
    }
    for (size_t i = 0; name != NULL && answer == NULL && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            answer = call.count < commands[i].least || call.count > commands[i].most
                         ? refused("a wrong number of arguments; rejoin ctl --help lists the commands")
                         : commands[i].run(&call);
    if (answer == NULL)
        answer = refused(name ? "there is no such command; rejoin ctl --help lists them"
                              : "expected a JSON list of strings: the command and its arguments");
    json_decref(words);
    return answer;
}

/* ---- The socket -------------------------------------------------------------------------------------------------- */

static void client_closed(uv_handle_t *handle)
{
    struct control_client *client = (struct control_client *)handle;
    free(client->line);
    free(client);
}

static void close_client(struct control_client *client)
{
    struct control_client **link = &client->control->clients;
    while (*link != NULL && *link != client)
        link = &(*link)->next;
    if (*link == NULL)
        return;
    *link = client->next;
    uv_close((uv_handle_t *)&client->pipe, client_closed);
}

static void written(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
    free(request);
}

static void answer_client(struct control_client *client, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    uv_write_t *request = rejoin_alloc_zeroed(1, sizeof(*request));
    size_t len = strlen(text);
    text[len] = '\n'; /* in place of the NUL: the length is known */
    request->data = text;
    uv_buf_t bytes = uv_buf_init(text, (unsigned)len + 1);
    if (uv_write(request, (uv_stream_t *)&client->pipe, &bytes, 1, written) != 0)
        written(request, 0);
}

static void allocate(uv_handle_t *handle, size_t suggested_len, uv_buf_t *buf)
{
    struct control_client *client = (struct control_client *)handle;
    (void)suggested_len;
    client->line = rejoin_realloc(client->line, client->line_len + 4096);
    *buf = uv_buf_init(client->line + client->line_len, 4096);
}

static void read_done(uv_stream_t *stream, ssize_t read_len, const uv_buf_t *buf)
{
    struct control_client *client = (struct control_client *)stream;
    (void)buf;
    if (read_len < 0 || client->line_len > LINE_LIMIT_LEN) {
        close_client(client);
        return;
    }
    client->line_len += (size_t)read_len;
    for (char *end; (end = memchr(client->line, '\n', client->line_len)) != NULL;) {
        size_t len = (size_t)(end - client->line);
        answer_client(client, run_line(client->control->cluster, client->line, len));
        client->line_len -= len + 1;
        memmove(client->line, end + 1, client->line_len);
    }
}

static void accept_client(uv_stream_t *listener, int status)
{
    struct mock_control *control = listener->data;
    if (status != 0)
        return;
    struct control_client *client = rejoin_alloc_zeroed(1, sizeof(*client));
    client->control = control;
    uv_pipe_init(listener->loop, &client->pipe, 0);
    client->next = control->clients;
    control->clients = client;
    if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&client->pipe, allocate, read_done) != 0)
        close_client(client);
}

static void listener_closed(uv_handle_t *handle)
{
    struct mock_control *control = handle->data;
    free(control->path);
    free(control);
}

struct mock_control *mock_control_start(struct mock_cluster *cluster, uv_loop_t *loop, const char *path, char *error,
                                        size_t error_len)
{
    struct mock_control *control = rejoin_alloc_zeroed(1, sizeof(*control));
    struct stat what;
    control->cluster = cluster;
    control->path = rejoin_strdup(path);
    uv_pipe_init(loop, &control->listener, 0);
    control->listener.data = control;
    if (lstat(path, &what) == 0 && S_ISSOCK(what.st_mode))
        unlink(path);
    int status = uv_pipe_bind(&control->listener, path);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&control->listener, 16, accept_client);
    if (status == 0)
        return control;
    snprintf(error, error_len, "%s: cannot listen on this socket: %s", path, uv_strerror(status));
    uv_close((uv_handle_t *)&control->listener, listener_closed);
    return NULL;
}

void mock_control_stop(struct mock_control *control)
{
    while (control->clients != NULL)
        close_client(control->clients);
    uv_close((uv_handle_t *)&control->listener, listener_closed);
}
