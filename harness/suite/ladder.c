#include "suite/ladder.h"

#include "rejoin/errors.h"
#include "suite/apis.h"

#include <string.h>

#define SHOWN_FETCHES 6
#define SHOWN_RECORDS 4

struct selection { int32_t fetches, records, fetches_hidden, records_hidden; };

static bool is_record(const struct trace_event *event)
{
    const char *name = json_string_value(json_object_get(event->report, "event"));
    return event->kind == TRACE_CLIENT && name != NULL && strcmp(name, "record") == 0;
}

static bool shows(struct selection *selection, const struct trace_event *event)
{
    if (is_record(event))
        return ++selection->records <= SHOWN_RECORDS || (selection->records_hidden++, false);
    bool is_fetch = (event->kind == TRACE_REQUEST || event->kind == TRACE_ANSWER) && event->api_key == API_FETCH;
    if (is_fetch && !event->injected)
        return ++selection->fetches <= SHOWN_FETCHES || (selection->fetches_hidden++, false);
    return true;
}

void ladder_write(FILE *out, const struct trace *trace)
{
    struct selection selection = {0};
    char line[1024];
    fputs("# number, time since the case began, --> request <-- answer, b broker, c connection\n", out);
    for (int32_t i = 0; i < trace->count; i++) {
        if (!shows(&selection, &trace->events[i]))
            continue;
        trace_format(trace, &trace->events[i], line, sizeof(line));
        fprintf(out, "%s\n", line);
    }
    if (selection.fetches_hidden > 0 || selection.records_hidden > 0)
        fprintf(out, "# left out: %d Fetch requests and answers, %d delivered records\n", selection.fetches_hidden,
                selection.records_hidden);
}

static void put_string(json_t *row, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(row, name, json_stringn_nocheck(value, strlen(value)));
}

static void put_frame(json_t *row, const struct trace_event *event)
{
    put_string(row, "api", rj_api_name(event->api_key));
    json_object_set_new(row, "version", json_integer(event->version));
    if (event->generation != INT32_MIN)
        json_object_set_new(row, "generation", json_integer(event->generation));
    put_string(row, "member", event->member_id);
    put_string(row, "instance", event->instance_id);
    if (event->kind == TRACE_ANSWER)
        json_object_set_new(row, "error", json_integer(event->error));
    if (event->error != 0)
        put_string(row, "error_name", rj_kafka_error_name(event->error));
    if (event->rule != RJ_RULE_NONE)
        put_string(row, "rule", rj_rule_row(event->rule)->id);
    if (event->pair != 0)
        json_object_set_new(row, "pair", json_integer(event->pair));
    put_string(row, "client_id", event->client_id);
    put_string(row, event->injected ? "fault" : "text", event->text);
}

static json_t *to_row(const struct trace_event *event)
{
    static const char *const kinds[] = {
        [TRACE_REQUEST] = "request", [TRACE_ANSWER] = "answer", [TRACE_OPENED] = "opened", [TRACE_CLOSED] = "closed",
        [TRACE_CASE] = "case", [TRACE_CLIENT] = "client", [TRACE_GROUP] = "group",
    };
    json_t *row = json_pack("{s:i,s:I,s:s}", "n", (int)event->number, "at_us", (json_int_t)event->at_us, "kind",
                            kinds[event->kind]);
    if (event->broker_id >= 0)
        json_object_set_new(row, "broker", json_integer(event->broker_id));
    if (event->connection_id != 0)
        json_object_set_new(row, "connection", json_integer((json_int_t)event->connection_id));
    if (event->process >= 0)
        json_object_set_new(row, "client", json_integer(event->process + 1));
    if (event->kind == TRACE_REQUEST || event->kind == TRACE_ANSWER)
        put_frame(row, event);
    else
        put_string(row, "text", event->text);
    return row;
}

json_t *ladder_to_json(const struct trace *trace)
{
    struct selection selection = {0};
    json_t *rows = json_array();
    for (int32_t i = 0; i < trace->count; i++)
        if (shows(&selection, &trace->events[i]))
            json_array_append_new(rows, to_row(&trace->events[i]));
    return rows;
}
