#include "suite/results.h"

#include "suite/ladder.h"

#include <string.h>

static const char *level_name(enum rj_rule_level level)
{
    static const char *const names[] = {[RJ_LEVEL_MUST] = "MUST", [RJ_LEVEL_SHOULD] = "SHOULD", [RJ_LEVEL_MAY] = "MAY",
                                        [RJ_LEVEL_OBSERVED] = "OBSERVED"};
    return names[level];
}

static json_t *rule_json(const char *id)
{
    enum rj_rule rule = rj_rule_by_id((struct rj_string){id, (int32_t)strlen(id)});
    if (rule == RJ_RULE_NONE)
        return json_pack("{s:s}", "id", id);
    const struct rj_rule_row *row = rj_rule_row(rule);
    return json_pack("{s:s,s:s,s:s,s:s}", "id", row->id, "level", level_name(row->level), "sentence", row->sentence,
                     "source", row->source);
}

static json_t *case_head(const struct suite_case *test)
{
    const char *slash = strchr(test->id, '/');
    return json_pack("{s:s,s:s%,s:o,s:s,s:s}", "id", test->id, "area", test->id,
                     slash != NULL ? (size_t)(slash - test->id) : strlen(test->id), "rule", rule_json(test->rule),
                     "requirement", test->requirement, "source", test->source);
}

static json_t *exits_json(const struct suite_run *run)
{
    json_t *exits = json_array();
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (suite_started(run, i))
            json_array_append_new(exits, json_integer(suite_exit(run, i)));
    return exits;
}

json_t *results_case(const struct suite_run *run, enum overlay overlay, const char *reason, const char *evidence)
{
    const struct suite_verdict *verdict = suite_run_verdict(run);
    json_t *out = case_head(suite_case_of(run));
    json_t *frames = json_array();
    for (size_t i = 0; i < sizeof(verdict->frames) / sizeof(verdict->frames[0]); i++)
        if (verdict->frames[i] != 0)
            json_array_append_new(frames, json_integer(verdict->frames[i]));
    json_object_set_new(out, "result", json_string(suite_result_name(verdict->result)));
    if (overlay != OVERLAY_NONE) {
        json_object_set_new(out, "overlay", json_string(overlay_name(overlay)));
        json_object_set_new(out, "reason", json_string(reason));
    }
    json_object_set_new(out, "expected", json_string(verdict->expected));
    json_object_set_new(out, "seen", json_string(verdict->seen));
    json_object_set_new(out, "frames", frames);
    json_object_set_new(out, "session_end", json_string(suite_end_name(suite_run_end(run))));
    json_object_set_new(out, "exits", exits_json(run));
    json_object_set_new(out, "duration_ms", json_integer(suite_run_duration_ms(run)));
    json_object_set_new(out, "evidence", evidence != NULL ? json_string(evidence) : json_null());
    json_object_set_new(out, "timeline", ladder_to_json(suite_trace(run)));
    return out;
}

json_t *results_skipped(const struct suite_case *test, const char *reason)
{
    json_t *out = case_head(test);
    json_object_set_new(out, "result", json_string(suite_result_name(SUITE_SKIPPED)));
    json_object_set_new(out, "expected", json_string("the case is run"));
    json_object_set_new(out, "seen", json_string(reason));
    json_object_set_new(out, "duration_ms", json_integer(0));
    json_object_set_new(out, "evidence", json_null());
    json_object_set_new(out, "timeline", json_array());
    return out;
}

static json_t *summary_json(const struct results_summary *summary)
{
    json_t *out = json_pack("{s:i}", "total", (int)summary->total);
    for (int i = 0; i < SUITE_RESULT_COUNT; i++)
        json_object_set_new(out, suite_result_name((enum suite_result)i), json_integer(summary->counts[i]));
    json_object_set_new(out, "XFAIL", json_integer(summary->xfail));
    json_object_set_new(out, "XPASS", json_integer(summary->xpass));
    json_object_set_new(out, "fell_short", json_integer(summary->fell_short));
    json_object_set_new(out, "stale", json_integer(summary->stale));
    return out;
}

json_t *results_document(const struct suite_options *options, const struct results_summary *summary,
                         const char *started_at, int64_t duration_ms, const char *void_reason, json_t *client,
                         json_t *canary, json_t *smoke, json_t *cases, json_t *stale)
{
    return json_pack("{s:i,s:s,s:{s:s,s:s},s:s,s:o,s:I,s:i,s:s,s:I,s:s?,s:o,s:o,s:o,s:o,s:o}", "schema", RESULTS_SCHEMA,
                     "kind", "test-client", "tool", "name", "rejoin", "version", REJOIN_VERSION, "driver",
                     options->driver, "client", client, "seed", (json_int_t)options->seed, "jobs", (int)options->jobs,
                     "started_at", started_at, "duration_ms", (json_int_t)duration_ms, "void", void_reason, "summary",
                     summary_json(summary), "canary", canary, "smoke", smoke, "stale", stale, "cases", cases);
}

json_t *results_client(const struct suite_run *run)
{
    const struct trace *trace = suite_trace(run);
    json_t *client = json_object(), *versions = json_object();
    const struct trace_event *event = trace_request(trace, 0, TRACE_ANY_API);
    for (; event != NULL; event = trace_request(trace, event->number, TRACE_ANY_API)) {
        const char *api = rj_api_name(event->api_key);
        const struct rj_api_versions_request *request = event->body;
        if (api != NULL)
            json_object_set_new(versions, api, json_integer(event->version));
        if (event->api_key != API_VERSIONS || event->version < 3 || request == NULL)
            continue;
        json_object_set_new(client, "name", json_stringn(request->client_software_name.data,
                                                         (size_t)request->client_software_name.len));
        json_object_set_new(client, "version", json_stringn(request->client_software_version.data,
                                                            (size_t)request->client_software_version.len));
    }
    json_object_set_new(client, "versions", versions);
    return client;
}
