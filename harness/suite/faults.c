#include "suite/faults.h"

#include <stdio.h>
#include <string.h>

bool fault_arm(struct fault_slots *slots, const struct suite_fault *fault)
{
    if (slots->count == SUITE_MAX_FAULTS)
        return false;
    slots->slots[slots->count].fault = *fault;
    slots->slots[slots->count++].seen = 0;
    return true;
}

static bool matches(const struct suite_fault *fault, const struct trace_event *request)
{
    bool has_id = request->member_id[0] != '\0';
    if (fault->api_key != request->api_key)
        return false;
    switch (fault->match) {
    case SUITE_ANY: return true;
    case SUITE_WITH_ID: return has_id;
    case SUITE_WITHOUT_ID: return !has_id;
    case SUITE_PAST_79: return has_id || request->instance_id != NULL || request->version < 4;
    }
    return false;
}

const struct suite_fault *fault_for(struct fault_slots *slots, const struct trace_event *request)
{
    const struct suite_fault *found = NULL;
    for (int32_t i = 0; i < slots->count; i++) {
        const struct suite_fault *fault = &slots->slots[i].fault;
        if (!matches(fault, request))
            continue;
        int32_t number = ++slots->slots[i].seen;
        if (found == NULL && number >= fault->from && number < fault->from + fault->count)
            found = fault;
    }
    return found;
}

static const char *const action_names[] = {
    [MOCK_PASS] = "pass", [MOCK_ANSWER_ERROR] = "answer-error", [MOCK_ANSWER_BODY] = "answer-body",
    [MOCK_DELAY_REQUEST] = "delay-request", [MOCK_DELAY_ANSWER] = "delay-answer",
    [MOCK_HOLD_REQUEST] = "hold-request", [MOCK_HOLD_ANSWER] = "hold-answer",
    [MOCK_DROP_REQUEST] = "drop-request", [MOCK_DROP_ANSWER] = "drop-answer",
    [MOCK_DISCONNECT_BEFORE] = "disconnect-before", [MOCK_DISCONNECT_AFTER] = "disconnect-after",
    [MOCK_CUT_ANSWER] = "cut-answer",
};

void fault_describe(const struct suite_fault *fault, char *out, size_t out_len)
{
    static const char *const words[] = {
        [MOCK_PASS] = "none", [MOCK_ANSWER_BODY] = "answered by the case",
        [MOCK_HOLD_REQUEST] = "kept back before it is processed", [MOCK_HOLD_ANSWER] = "answer kept back",
        [MOCK_DROP_REQUEST] = "dropped without an answer", [MOCK_DROP_ANSWER] = "processed, never answered",
        [MOCK_DISCONNECT_BEFORE] = "connection closed, not processed",
        [MOCK_DISCONNECT_AFTER] = "processed, connection closed instead of an answer",
        [MOCK_CUT_ANSWER] = "answer cut off, connection closed",
    };
    char error[64];
    if (fault->last_partition_only)
        snprintf(out, out_len, "processed, its last partition answered %s",
                 trace_error_name(fault->error, error, sizeof(error)));
    else if (fault->action == MOCK_ANSWER_ERROR)
        snprintf(out, out_len, "answered %s", trace_error_name(fault->error, error, sizeof(error)));
    else if (fault->action == MOCK_DELAY_ANSWER || fault->action == MOCK_DELAY_REQUEST)
        snprintf(out, out_len, "%s %d ms late", fault->action == MOCK_DELAY_ANSWER ? "answered" : "processed",
                 fault->delay_ms);
    else
        snprintf(out, out_len, "%s", words[fault->action]);
}

json_t *fault_to_json(const struct suite_fault *fault)
{
    json_t *match = json_pack("{s:s}", "api", rj_api_name(fault->api_key));
    if (fault->match == SUITE_WITH_ID || fault->match == SUITE_PAST_79)
        json_object_set_new(match, "member", json_string("?*"));
    else if (fault->match == SUITE_WITHOUT_ID)
        json_object_set_new(match, "member", json_string(""));
    json_object_set_new(match, "from", json_integer(fault->from));
    json_object_set_new(match, "count", json_integer(fault->count));
    json_t *what = json_pack("{s:s}", "action", action_names[fault->action]);
    if (fault->action == MOCK_ANSWER_ERROR)
        json_object_set_new(what, "error", json_string(rj_kafka_error_name(fault->error)));
    if (fault->delay_ms != 0)
        json_object_set_new(what, "delay_ms", json_integer(fault->delay_ms));
    return json_pack("{s:o,s:o}", "match", match, "do", what);
}
