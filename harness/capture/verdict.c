#include "capture/verdict.h"

#include <string.h>
#include <time.h>

/* ---- Feeding ----------------------------------------------------------------------------------------------------- */

static void on_opened(void *checker, struct capture_stream *stream, uint64_t frame, int64_t time_us)
{
    rj_check_open(checker, stream->id, frame, time_us / 1000, stream->from_start);
}

static void on_closed(void *checker, struct capture_stream *stream, uint64_t frame, int64_t time_us)
{
    rj_check_close(checker, stream->id, frame, time_us / 1000);
}

static void on_gap(void *checker, struct capture_stream *stream, enum rj_check_direction direction, uint64_t frame)
{
    rj_check_gap(checker, stream->id, direction, frame);
}

static void on_request(void *checker, struct capture_exchange *exchange)
{
    struct rj_check_message message = {
        .stream = exchange->stream->id, .frame = exchange->request_frame, .time_ms = exchange->request_time_us / 1000,
        .api_key = exchange->api_key, .version = exchange->version, .correlation_id = exchange->correlation_id,
        .client_id = exchange->client_id, .body = exchange->request, .err = exchange->request_err,
    };
    rj_check_request(checker, &message);
}

static void on_response(void *checker, struct capture_exchange *exchange)
{
    bool lower = exchange->api_key == RJ_API_API_VERSIONS && exchange->response != NULL;
    struct rj_check_message message = {
        .stream = exchange->stream->id, .frame = exchange->response_frame,
        .time_ms = exchange->response_time_us / 1000, .api_key = exchange->api_key,
        .version = lower ? exchange->response_version : exchange->version, .correlation_id = exchange->correlation_id,
        .body = exchange->response, .err = exchange->response_err,
    };
    rj_check_response(checker, &message);
}

struct capture_sink verdict_sink(struct rj_checker *checker)
{
    return (struct capture_sink){.context = checker, .opened = on_opened, .request = on_request,
                                 .response = on_response, .gap = on_gap, .closed = on_closed};
}

/* ---- Showing ----------------------------------------------------------------------------------------------------- */

const char *verdict_strength_name(enum rj_rule_strength strength)
{
    switch (strength) {
    case RJ_STRENGTH_HARD: return "hard";
    case RJ_STRENGTH_HARD_IF_COMPLETE: return "hard-if-complete";
    case RJ_STRENGTH_WARNING: return "warning";
    case RJ_STRENGTH_NONE: default: return "none";
    }
}

uint64_t verdict_failures(const struct rj_checker *checker, bool strict)
{
    uint64_t failures = 0;
    for (int32_t i = 0; i < rj_check_violation_count(checker); i++) {
        const struct rj_violation *violation = rj_check_violation(checker, i);
        bool warning = rj_rule_row(violation->rule)->strength == RJ_STRENGTH_WARNING;
        failures += rj_check_counts(checker, violation) || (strict && warning);
    }
    return failures;
}

static json_t *text(struct rj_string string)
{
    json_t *value = json_stringn(string.len > 0 ? string.data : "", (size_t)string.len);
    return value ? value : json_string("(not UTF-8)");
}

static json_t *violation_json(const struct rj_checker *checker, const struct rj_violation *violation)
{
    const struct rj_rule_row *row = rj_rule_row(violation->rule);
    json_t *frames = json_array();
    for (int32_t i = 0; i < violation->frame_count; i++)
        json_array_append_new(frames, json_integer((json_int_t)violation->frames[i]));
    return json_pack("{ss ss sb so so so sI so sI ss ss ss}", "rule", row->id, "strength",
                     verdict_strength_name(row->strength), "counts", (int)rj_check_counts(checker, violation), "group",
                     text(violation->group), "member", text(violation->member), "client_id",
                     text(violation->client_id), "stream", (json_int_t)violation->stream, "frames", frames, "time_ms",
                     (json_int_t)violation->time_ms, "sentence", violation->sentence, "expected", violation->expected,
                     "rule_sentence", row->sentence);
}

static bool is_trace_rule(int rule) { return rj_rule_row((enum rj_rule)rule)->role == RJ_ROLE_TRACE; }

json_t *verdict_json(const struct rj_checker *checker, const struct oddities *oddities,
                     const struct capture_counts *counts, const char *note)
{
    json_t *rules = json_object(), *violations = json_array(), *not_judged = json_array(), *notes = json_array();
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++) {
        uint64_t times = rj_check_judged(checker, (enum rj_rule)rule);
        const char *id = rj_rule_row((enum rj_rule)rule)->id;
        if (is_trace_rule(rule) && times > 0)
            json_object_set_new(rules, id, json_integer((json_int_t)times));
        else if (is_trace_rule(rule))
            json_array_append_new(not_judged, json_string(id));
    }
    for (int32_t i = 0; i < rj_check_violation_count(checker); i++)
        json_array_append_new(violations, violation_json(checker, rj_check_violation(checker, i)));
    if (note[0] != 0)
        json_array_append_new(notes, json_string(note));
    return json_pack("{sI sI sI sI sI sI so so so so so}", "frames", (json_int_t)counts->frames, "streams",
                     (json_int_t)counts->streams, "requests", (json_int_t)counts->requests, "responses",
                     (json_int_t)counts->responses, "unanswered", (json_int_t)counts->unanswered, "gaps",
                     (json_int_t)counts->gaps, "judged", rules, "violations", violations, "odd_encodings",
                     oddities_json(oddities), "not_judged", not_judged, "notes", notes);
}

static void print_time(int64_t time_ms, FILE *out)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    fprintf(out, "%02d:%02d:%02d.%03d", utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(time_ms % 1000));
}

static void print_violation(const struct rj_checker *checker, const struct rj_violation *violation, FILE *out)
{
    const struct rj_rule_row *row = rj_rule_row(violation->rule);
    bool counts = rj_check_counts(checker, violation) || row->strength == RJ_STRENGTH_WARNING;
    fprintf(out, "\n%s %s (%s%s)\n  %s\n  frame", row->strength == RJ_STRENGTH_WARNING ? "WARNING" : "VIOLATION",
            row->id, verdict_strength_name(row->strength), counts ? "" : ", not counted: the group was not seen whole",
            violation->sentence);
    for (int32_t i = 0; i < violation->frame_count; i++)
        fprintf(out, "%s %llu", i ? "," : "", (unsigned long long)violation->frames[i]);
    fputs(" at ", out);
    print_time(violation->time_ms, out);
    fprintf(out, ", connection %llu", (unsigned long long)violation->stream);
    if (violation->group.len > 0)
        fprintf(out, ", group %.*s", (int)violation->group.len, violation->group.data);
    if (violation->member.len > 0)
        fprintf(out, ", member %.*s", (int)violation->member.len, violation->member.data);
    if (violation->client_id.len > 0)
        fprintf(out, ", client %.*s", (int)violation->client_id.len, violation->client_id.data);
    fprintf(out, "\n  expected: %s\n  rule: %s\n", violation->expected, row->sentence);
}

void verdict_print(const struct rj_checker *checker, const struct oddities *oddities,
                   const struct capture_counts *counts, const char *note, FILE *out)
{
    int judged = 0, trace_rules = 0;
    fprintf(out, "%llu frames, %llu Kafka connections, %llu requests, %llu responses\n",
            (unsigned long long)counts->frames, (unsigned long long)counts->streams,
            (unsigned long long)counts->requests, (unsigned long long)counts->responses);
    if (counts->gaps > 0 || counts->mid_streams > 0)
        fprintf(out, "incomplete: %llu holes in connections, %llu connections met in the middle\n",
                (unsigned long long)counts->gaps, (unsigned long long)counts->mid_streams);
    if (note[0] != 0)
        fprintf(out, "note: %s\n", note);
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++) {
        trace_rules += is_trace_rule(rule);
        judged += rj_check_judged(checker, (enum rj_rule)rule) > 0;
    }
    fprintf(out, "judged %d of %d rules:\n", judged, trace_rules);
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++)
        if (rj_check_judged(checker, (enum rj_rule)rule) > 0)
            fprintf(out, "  %-28s %8llu\n", rj_rule_row((enum rj_rule)rule)->id,
                    (unsigned long long)rj_check_judged(checker, (enum rj_rule)rule));
    for (int32_t i = 0; i < rj_check_violation_count(checker); i++)
        print_violation(checker, rj_check_violation(checker, i), out);
    oddities_print(oddities, out);
    fprintf(out, "\n%llu violations that count, %d findings in all\n",
            (unsigned long long)verdict_failures(checker, false), (int)rj_check_violation_count(checker));
}
