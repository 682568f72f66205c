/* Operations of the virtual coordinator. */
#include "core/core.h"

#include "rejoin/inspect.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>


void core_error(struct core_session *session, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_t *error = json_pack("{s:s, s:I}", "error", text, "line", (json_int_t)session->line);
    json_dumpf(error, session->out, JSON_COMPACT);
    fputc('\n', session->out);
    json_decref(error);
}

/* ---- Stepping ---------------------------------------------------------------------------------------------------- */

enum rj_err core_step(struct core_session *session, struct rj_event *event)
{
    struct rj_update update;
    event->now_ms = session->now_ms;
    enum rj_err err = rj_step(session->coord, event, &update);
    bool entropy_used = update.entropy_used;
    /* At most one write comes out of a step; its result is a step of its own and ends this update, unless it was taken
     * for granted. */
    bool is_granted = update.append_count > 0 && update.appends[0].append_id == 0;
    if (is_granted)
        core_take_append(session, &update.appends[0]);
    for (int32_t i = 0; i < update.reply_count; i++)
        core_take_reply(session, &update.replies[i]);
    for (int32_t i = 0; i < update.change_count && session->changes; i++)
        core_print_change(session, &update.changes[i]);
    if (update.append_count > 0 && !is_granted)
        core_take_append(session, &update.appends[0]);
    session->entropy_used = entropy_used;
    return err;
}

/* What is due at this moment, and requests that waited behind one that is answered. */
static void settle(struct core_session *session)
{
    bool more = true;
    while (more) {
        more = core_finish_answered(session);
        if (rj_next_deadline_ms(session->coord) > session->now_ms)
            continue;
        struct rj_event tick = {.type = RJ_EVENT_TICK};
        core_step(session, &tick);
        more = true;
    }
}

void core_run_until(struct core_session *session, int64_t until_ms)
{
    settle(session);
    for (int64_t next = rj_next_deadline_ms(session->coord); next <= until_ms;
         next = rj_next_deadline_ms(session->coord)) {
        if (next > session->now_ms)
            session->now_ms = next;
        settle(session);
    }
    if (until_ms > session->now_ms)
        session->now_ms = until_ms;
}

static void see_timer(void *context, const struct rj_timer_view *timer)
{
    int64_t *next_ms = context;
    if (timer->kind != RJ_TIMER_OF_EXPIRY && timer->deadline_ms < *next_ms)
        *next_ms = timer->deadline_ms;
}

int64_t core_next_timer_ms(const struct core_session *session)
{
    int64_t next_ms = INT64_MAX;
    rj_inspect(session->coord, &(struct rj_inspector){.context = &next_ms, .timer = see_timer});
    return next_ms;
}

/* ---- Simple operations ------------------------------------------------------------------------------------------- */

static int64_t number_or(const json_t *op, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(op, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void op_advance(struct core_session *session, const json_t *op)
{
    if (!json_is_true(json_object_get(op, "to_next"))) {
        core_run_until(session, session->now_ms + number_or(op, "ms", 0));
        return;
    }
    int64_t next_ms = core_next_timer_ms(session);
    if (next_ms != INT64_MAX)
        core_run_until(session, next_ms);
}

static void op_fail_append(struct core_session *session, const json_t *op)
{
    const char *name = json_string_value(json_object_get(op, "error"));
    session->fail_count = (int)number_or(op, "count", 1);
    session->fail_error = RJ_KAFKA_NOT_ENOUGH_REPLICAS;
    for (int16_t code = -1; name != NULL && code < 200; code++)
        if (rj_kafka_error_name(code) != NULL && strcmp(rj_kafka_error_name(code), name) == 0)
            session->fail_error = code;
}

static void op_end_txn(struct core_session *session, const json_t *op)
{
    int64_t producer_id = number_or(op, "producer_id", -1);
    bool commits = json_is_true(json_object_get(op, "commit"));
    const char *error = "NONE";
    if (session->fail_count > 0) {
        session->fail_count--;
        const char *name = rj_kafka_error_name(session->fail_error);
        error = name ? name : error;
    } else {
        core_append_marker(session, producer_id, commits);
        struct rj_event event = {
            .type = RJ_EVENT_TRANSACTION_MARKER,
            .as.transaction_marker = {producer_id, (int16_t)number_or(op, "producer_epoch", 0), commits}};
        core_step(session, &event);
    }
    json_t *answer = json_pack("{s:O?, s:I, s:s}", "end_txn", json_object_get(op, "group"), "at_ms",
                               (json_int_t)(session->now_ms - session->start_ms), "error", error);
    json_dumpf(answer, session->out, JSON_COMPACT);
    fputc('\n', session->out);
    json_decref(answer);
}

static void op_force_dead(struct core_session *session, const json_t *op)
{
    const char *group = json_string_value(json_object_get(op, "group"));
    const char *state = json_string_value(json_object_get(op, "state"));
    enum rj_group_state wanted = state != NULL && strcmp(state, "EMPTY") == 0 ? RJ_GROUP_EMPTY : RJ_GROUP_DEAD;
    if (group == NULL
        || !rj_force_group_state(session->coord, (struct rj_string){group, (int32_t)strlen(group)}, wanted))
        core_error(session, "no such group");
}

static void reconfigure(struct core_session *session)
{
    struct rj_event event = {.type = RJ_EVENT_CONFIG, .as.config = {&session->config}};
    core_step(session, &event);
}

static void push_uuids(struct core_session *session, const json_t *op)
{
    const json_t *list = json_object_get(op, "uuids");
    for (size_t i = 0; i < json_array_size(list); i++) {
        session->uuids = rejoin_realloc(session->uuids, (session->uuid_count + 1) * sizeof(*session->uuids));
        if (core_parse_uuid(json_string_value(json_array_get(list, i)), &session->uuids[session->uuid_count]))
            session->uuid_count++;
    }
}

/* ---- Dispatching ------------------------------------------------------------------------------------------------- */

static bool run_log_op(struct core_session *session, const char *name)
{
    if (strcmp(name, "reload") == 0) {
        core_op_unload(session);
        core_op_load(session, true);
    } else if (strcmp(name, "unload") == 0) {
        core_op_unload(session);
    } else if (strcmp(name, "load") == 0) {
        core_op_load(session, true);
    } else if (strcmp(name, "load_begin") == 0) {
        core_op_load(session, false);
    } else if (strcmp(name, "load_end") == 0) {
        core_op_load_end(session);
    } else if (strcmp(name, "commit") == 0) {
        core_op_commit(session);
    } else if (strcmp(name, "log") == 0) {
        core_op_log(session);
    } else {
        return false;
    }
    return true;
}

static bool run_codec_op(struct core_session *session, const char *name, const json_t *op)
{
    if (strcmp(name, "encode") == 0)
        core_op_encode(session, op);
    else if (strcmp(name, "decode") == 0)
        core_op_decode(session, op);
    else
        return false;
    return true;
}

static bool run_control_op(struct core_session *session, const char *name, const json_t *op)
{
    if (strcmp(name, "deny") == 0) {
        core_op_deny(session, op);
    } else if (strcmp(name, "inactive") == 0) {
        session->config.is_active = false;
        reconfigure(session);
    } else if (strcmp(name, "max_size") == 0) {
        session->config.group_max_size = (int32_t)number_or(op, "value", INT32_MAX);
        reconfigure(session);
    } else if (strcmp(name, "force_dead") == 0) {
        op_force_dead(session, op);
    } else if (strcmp(name, "fail_append") == 0) {
        op_fail_append(session, op);
    } else if (strcmp(name, "end_txn") == 0) {
        op_end_txn(session, op);
    } else if (strcmp(name, "disconnect") == 0) {
        core_op_disconnect(session, number_or(op, "conn", 0));
    } else if (strcmp(name, "group_config") != 0) { /* classic groups have none */
        return false;
    }
    return true;
}

static void run(struct core_session *session, const char *name, const json_t *op)
{
    if (session->coord == NULL && strcmp(name, "config") != 0)
        core_op_config(session, NULL);
    if (strcmp(name, "config") == 0)
        core_op_config(session, op);
    else if (strcmp(name, "topics") == 0)
        core_op_topics(session, op);
    else if (strcmp(name, "request") == 0)
        core_op_request(session, op);
    else if (strcmp(name, "advance") == 0)
        op_advance(session, op);
    else if (strcmp(name, "state") == 0)
        core_op_state(session);
    else if (!run_log_op(session, name) && !run_codec_op(session, name, op) && !run_control_op(session, name, op))
        core_error(session, "unknown op %s", name);
}

/* Puts what an earlier request saved in place of "$name". */
static json_t *substitute(struct core_session *session, json_t *value)
{
    if (json_is_string(value)) {
        json_t *saved = json_object_get(session->saved, json_string_value(value));
        return saved != NULL ? json_incref(saved) : json_incref(value);
    }
    json_t *copy = json_is_object(value) ? json_object() : json_is_array(value) ? json_array() : NULL;
    if (copy == NULL)
        return json_incref(value);
    const char *name;
    json_t *inner;
    json_object_foreach (value, name, inner)
        json_object_set_new(copy, name, substitute(session, inner));
    size_t i;
    json_array_foreach (value, i, inner)
        json_array_append_new(copy, substitute(session, inner));
    return copy;
}

static void print_done(struct core_session *session, const char *name)
{
    fprintf(session->out, "{\"done\":%" PRId64 ",\"op\":\"%s\"", session->line, name);
    if (session->coord != NULL) {
        int64_t next_ms = core_next_timer_ms(session);
        fprintf(session->out, ",\"at_ms\":%" PRId64 ",\"parked\":%d", session->now_ms - session->start_ms,
                core_parked(session));
        if (next_ms != INT64_MAX)
            fprintf(session->out, ",\"next_timer_ms\":%" PRId64, next_ms - session->start_ms);
        if (session->uuid_next < session->uuid_count)
            fprintf(session->out, ",\"uuids_left\":%zu", session->uuid_count - session->uuid_next);
    }
    fputs("}\n", session->out);
}

void core_line(struct core_session *session, const char *line, size_t len)
{
    session->line++;
    size_t blanks = strspn(line, " \t\r\n");
    if (blanks >= len || line[0] == '#')
        return;
    json_error_t fault;
    json_t *raw = json_loadb(line, len, JSON_ALLOW_NUL, &fault);
    const char *name = json_string_value(json_object_get(raw, "op"));
    if (name == NULL) {
        core_error(session, "%s", raw ? "no op" : fault.text);
        json_decref(raw);
        print_done(session, "?");
        return;
    }
    bool is_config = strcmp(name, "config") == 0;
    json_t *op = is_config ? json_incref(raw) : substitute(session, raw);
    if (!is_config)
        push_uuids(session, op);
    session->records = session->records_always || json_is_true(json_object_get(op, "records"));
    run(session, name, op);
    if (is_config)
        push_uuids(session, op);
    if (session->coord != NULL)
        settle(session);
    core_trace_rules(session);
    if (!session->quiet)
        print_done(session, name);
    json_decref(op);
    json_decref(raw);
}
