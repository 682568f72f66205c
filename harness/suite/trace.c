#include "suite/trace.h"

#include "rejoin/errors.h"
#include "suite/apis.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void trace_init(struct trace *trace, int64_t started_us)
{
    *trace = (struct trace){.started_us = started_us};
    rj_arena_init(&trace->arena, &rejoin_heap, SIZE_MAX);
}

void trace_release(struct trace *trace)
{
    for (int32_t i = 0; i < trace->count; i++)
        if (trace->events[i].report != NULL)
            json_decref(trace->events[i].report);
    free(trace->events);
    rj_arena_release(&trace->arena);
    *trace = (struct trace){0};
}

static void *take(struct trace *trace, size_t size)
{
    void *memory = rj_arena_alloc(&trace->arena, size);
    if (memory == NULL) {
        fputs("rejoin: out of memory\n", stderr);
        exit(4);
    }
    return memory;
}

static const char *copy_string(struct trace *trace, struct rj_string from)
{
    if (rj_string_is_null(from))
        return NULL;
    char *text = take(trace, (size_t)from.len + 1);
    memcpy(text, from.data, (size_t)from.len);
    text[from.len] = '\0';
    return text;
}

static const char *or_empty(const char *text) { return text != NULL ? text : ""; }

const char *trace_copy(struct trace *trace, const char *text)
{
    return copy_string(trace, (struct rj_string){text, (int32_t)strlen(text)});
}

static struct trace_event *add(struct trace *trace, enum trace_kind kind, int64_t time_us)
{
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? trace->capacity * 2 : 64;
        trace->events = rejoin_realloc(trace->events, (size_t)trace->capacity * sizeof(*trace->events));
    }
    struct trace_event *event = &trace->events[trace->count++];
    *event = (struct trace_event){
        .kind = kind, .number = trace->count, .at_us = time_us - trace->started_us, .broker_id = -1, .process = -1,
        .api_key = -1, .version = -1, .client_id = "", .group = "", .member_id = "", .generation = INT32_MIN,
        .rule = RJ_RULE_NONE,
    };
    return event;
}

/* ---- Frames ----------------------------------------------------------------------------------------------------- */

static void fill_view(struct trace *trace, struct trace_event *event)
{
    struct api_view view;
    bool known = event->kind == TRACE_REQUEST ? api_view_request(event->api_key, event->version, event->body, &view)
                                              : api_view_answer(event->api_key, event->version, event->body, &view);
    if (!known)
        return;
    event->group = or_empty(copy_string(trace, view.group));
    event->member_id = or_empty(copy_string(trace, view.member_id));
    event->instance_id = copy_string(trace, view.instance_id);
    event->generation = view.generation;
    event->error = view.error;
}

/* The oldest request of this connection and correlation id that has no answer yet. */
static struct trace_event *unanswered(struct trace *trace, uint64_t connection_id, int32_t correlation_id)
{
    for (int32_t i = 0; i < trace->count; i++) {
        struct trace_event *event = &trace->events[i];
        if (event->kind == TRACE_REQUEST && event->connection_id == connection_id &&
            event->correlation_id == correlation_id && event->pair == 0)
            return event;
    }
    return NULL;
}

static bool is_bulk(int16_t api_key, bool is_response) { return api_key == 0 || (api_key == 1 && is_response); }

struct trace_event *trace_add_frame(struct trace *trace, const struct mock_frame *frame)
{
    struct trace_event *event = add(trace, frame->is_response ? TRACE_ANSWER : TRACE_REQUEST, frame->time_us);
    event->broker_id = frame->broker_id;
    event->connection_id = frame->connection_id;
    event->api_key = frame->api_key;
    event->version = frame->version;
    event->correlation_id = frame->correlation_id;
    event->client_id = or_empty(copy_string(trace, frame->client_id));
    event->schema = frame->schema;
    event->frame_len = (uint32_t)frame->bytes.len;
    event->rule = frame->is_response ? frame->rule : RJ_RULE_NONE;
    if (frame->fault != NULL) {
        char text[512];
        snprintf(text, sizeof(text), "malformed at byte %zu, field %s: found %s, expected %s", frame->fault->offset,
                 frame->fault->field, frame->fault->found, frame->fault->expected);
        event->text = trace_copy(trace, text);
    }
    if (frame->body != NULL && frame->schema != NULL && !is_bulk(frame->api_key, frame->is_response)) {
        void *copy = take(trace, frame->schema->root->size);
        if (rj_copy_message(frame->schema, frame->body, &trace->arena, copy) == RJ_OK) {
            event->body = copy;
            fill_view(trace, event);
        }
    }
    if (frame->is_response) {
        struct trace_event *request = unanswered(trace, frame->connection_id, frame->correlation_id);
        if (request != NULL) {
            request->pair = event->number;
            event->pair = request->number;
            event->injected = request->injected;
            if (event->text == NULL)
                event->text = request->text;
        }
    }
    return event;
}

struct trace_event *trace_add_connection(struct trace *trace, const struct mock_connection_event *connection)
{
    static const char *const how[] = {
        [MOCK_OPENED] = "opened", [MOCK_CLOSED_BY_PEER] = "closed by the client",
        [MOCK_CLOSED_MALFORMED] = "closed: malformed frame", [MOCK_CLOSED_LIMIT] = "closed: limit",
        [MOCK_CLOSED_UNSUPPORTED] = "closed: version not advertised", [MOCK_CLOSED_FAULT] = "closed by a fault",
        [MOCK_CLOSED_AUTHENTICATION] = "closed: not authenticated", [MOCK_CLOSED_BY_HOST] = "closed by the case",
    };
    bool opened = connection->what == MOCK_OPENED;
    struct trace_event *event = add(trace, opened ? TRACE_OPENED : TRACE_CLOSED, connection->time_us);
    event->broker_id = connection->broker_id;
    event->connection_id = connection->connection_id;
    event->text = how[connection->what];
    return event;
}

struct trace_event *trace_add_text(struct trace *trace, enum trace_kind kind, int64_t time_us, int32_t process,
                                   const char *text)
{
    struct trace_event *event = add(trace, kind, time_us);
    event->process = process;
    event->text = trace_copy(trace, text);
    return event;
}

/* ---- Looking ---------------------------------------------------------------------------------------------------- */

static const struct trace_event *find(const struct trace *trace, int32_t after, enum trace_kind kind, int16_t api_key)
{
    for (int32_t i = after; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        if (event->kind == kind && (api_key == TRACE_ANY_API || event->api_key == api_key))
            return event;
    }
    return NULL;
}

const struct trace_event *trace_request(const struct trace *trace, int32_t after, int16_t api_key)
{
    return find(trace, after, TRACE_REQUEST, api_key);
}

const struct trace_event *trace_answer(const struct trace *trace, int32_t after, int16_t api_key)
{
    return find(trace, after, TRACE_ANSWER, api_key);
}

const struct trace_event *trace_success(const struct trace *trace, int32_t after, int16_t api_key)
{
    const struct trace_event *event = trace_answer(trace, after, api_key);
    while (event != NULL && event->error != 0)
        event = trace_answer(trace, event->number, api_key);
    return event;
}

const struct trace_event *trace_injected(const struct trace *trace, int32_t after, int16_t api_key)
{
    for (int32_t i = after; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        if (!event->injected || (api_key != TRACE_ANY_API && event->api_key != api_key))
            continue;
        if (event->kind == TRACE_ANSWER)
            return event;
        if (event->kind == TRACE_REQUEST && event->pair == 0)
            for (int32_t j = i + 1; j < trace->count; j++)
                if (trace->events[j].kind == TRACE_CLOSED &&
                    trace->events[j].connection_id == event->connection_id)
                    return &trace->events[j];
    }
    return NULL;
}

const struct trace_event *trace_request_of(const struct trace *trace, const struct trace_event *answer)
{
    return answer->kind == TRACE_ANSWER ? trace_at(trace, answer->pair) : NULL;
}

const struct trace_event *trace_answer_of(const struct trace *trace, const struct trace_event *request)
{
    return request->kind == TRACE_REQUEST ? trace_at(trace, request->pair) : NULL;
}

const struct trace_event *trace_request_before(const struct trace *trace, int32_t before, int16_t api_key)
{
    for (int32_t i = before - 2; i >= 0; i--)
        if (trace->events[i].kind == TRACE_REQUEST && trace->events[i].api_key == api_key)
            return &trace->events[i];
    return NULL;
}

int32_t trace_count_requests(const struct trace *trace, int32_t after, int16_t api_key)
{
    int32_t count = 0;
    const struct trace_event *event = trace_request(trace, after, api_key);
    for (; event != NULL; event = trace_request(trace, event->number, api_key))
        count++;
    return count;
}

static bool is_report(const struct trace_event *event, const char *name, int32_t process)
{
    return event->kind == TRACE_CLIENT && event->report != NULL && (process < 0 || event->process == process) &&
           strcmp(or_empty(json_string_value(json_object_get(event->report, "event"))), name) == 0;
}

const struct trace_event *trace_report(const struct trace *trace, int32_t after, const char *name, int32_t process)
{
    for (int32_t i = after; i < trace->count; i++)
        if (is_report(&trace->events[i], name, process))
            return &trace->events[i];
    return NULL;
}

int32_t trace_count_reports(const struct trace *trace, const char *name, int32_t process)
{
    int32_t count = 0;
    for (int32_t i = 0; i < trace->count; i++)
        count += is_report(&trace->events[i], name, process);
    return count;
}

/* ---- Printing --------------------------------------------------------------------------------------------------- */

bool trace_is_group_api(int16_t api_key) { return api_key >= 8 && api_key <= 14; }

const char *trace_error_name(int16_t error, char *out, size_t out_len)
{
    const char *name = rj_kafka_error_name(error);
    snprintf(out, out_len, "%d %s", error, name != NULL ? name : "(unknown)");
    return out;
}

static void append(char *out, size_t out_len, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *out, size_t out_len, const char *format, ...)
{
    size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, out_len - used, format, arguments);
    va_end(arguments);
}

static void format_frame(const struct trace_event *event, char *out, size_t out_len)
{
    const char *api = rj_api_name(event->api_key);
    char error[64];
    append(out, out_len, "%s b%d c%-2" PRIu64 " %s%s v%d", event->kind == TRACE_REQUEST ? "-->" : "<--",
           event->broker_id, event->connection_id, api != NULL ? api : "?",
           event->kind == TRACE_REQUEST ? "" : " answer", event->version);
    if (event->generation != INT32_MIN)
        append(out, out_len, " generation=%d", event->generation);
    if (event->member_id[0] != '\0')
        append(out, out_len, " member=%s", event->member_id);
    else if (event->kind == TRACE_REQUEST && event->api_key == 11)
        append(out, out_len, " member=(empty)");
    if (event->instance_id != NULL)
        append(out, out_len, " instance=%s", event->instance_id);
    if (event->error != 0)
        append(out, out_len, " error=%s", trace_error_name(event->error, error, sizeof(error)));
    if (event->rule != RJ_RULE_NONE)
        append(out, out_len, " rule=%s", rj_rule_row(event->rule)->id);
    if (event->pair != 0 && event->kind == TRACE_ANSWER)
        append(out, out_len, " (to #%d)", event->pair);
    if (event->injected && event->text != NULL && event->kind == TRACE_REQUEST)
        append(out, out_len, " [fault: %s]", event->text);
    else if (event->injected)
        append(out, out_len, " [fault]");
    else if (event->text != NULL)
        append(out, out_len, " %s", event->text);
}

void trace_format(const struct trace *trace, const struct trace_event *event, char *out, size_t out_len)
{
    (void)trace;
    snprintf(out, out_len, "#%-4d +%8.3f s  ", event->number, (double)event->at_us / 1e6);
    switch (event->kind) {
    case TRACE_REQUEST:
    case TRACE_ANSWER:
        format_frame(event, out, out_len);
        break;
    case TRACE_OPENED:
    case TRACE_CLOSED:
        append(out, out_len, "... b%d c%-2" PRIu64 " connection %s", event->broker_id, event->connection_id,
               event->text);
        break;
    case TRACE_CASE:
        append(out, out_len, "*** case: %s", event->text);
        break;
    case TRACE_CLIENT:
        append(out, out_len, "    client %d: %s", event->process + 1, event->text);
        break;
    case TRACE_GROUP:
        append(out, out_len, "    group: %s", event->text);
        break;
    }
}
