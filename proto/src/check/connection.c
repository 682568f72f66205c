/* Rules of one connection: pairing, order, versions, lengths, error codes. */
#include "check/state.h"

#include <string.h>

static struct finding at_connection(enum rj_rule rule, const struct stream *stream,
                                    const struct rj_check_message *message)
{
    return (struct finding){.rule = rule, .member_id = RJ_EMPTY_STRING, .client_id = stream->client_id,
                            .stream = stream->id, .frame = message->frame, .time_ms = message->time_ms};
}

static const char *api_name(int16_t api_key)
{
    const char *name = rj_api_name(api_key);
    return name ? name : "an unknown API";
}

static void judge_first_request(struct rj_checker *checker, struct stream *stream,
                                const struct rj_check_message *message)
{
    if (!stream->from_start || stream->has_request || stream->gap)
        return;
    if (rj_judged(checker, RJ_RULE_T_APIVERSIONS_FIRST,
                  message->api_key == RJ_API_API_VERSIONS || message->api_key == RJ_API_SASL_HANDSHAKE))
        return;
    struct finding finding = at_connection(RJ_RULE_T_APIVERSIONS_FIRST, stream, message);
    rj_expected(rj_report(checker, &finding, "the connection begins with %s", api_name(message->api_key)),
                "ApiVersions, or SaslHandshake");
}

static void judge_version(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message)
{
    if (!stream->has_ranges || message->api_key == RJ_API_API_VERSIONS)
        return;
    const struct version_range *range = NULL;
    for (int32_t i = 0; i < stream->ranges.count && range == NULL; i++)
        if (LIST_AT(&stream->ranges, struct version_range, i)->api_key == message->api_key)
            range = LIST_AT(&stream->ranges, struct version_range, i);
    bool holds = range != NULL && range->low <= message->version && message->version <= range->high;
    if (rj_judged(checker, RJ_RULE_T_VERSION_RANGE, holds))
        return;
    struct finding finding = at_connection(RJ_RULE_T_VERSION_RANGE, stream, message);
    struct rj_violation *violation = rj_report(checker, &finding, "%s (%d) is sent in version %d",
                                               api_name(message->api_key), message->api_key, message->version);
    if (range == NULL)
        rj_expected(violation, "nothing: the broker does not name this API");
    else
        rj_expected(violation, "version %d to %d, as the broker's ApiVersions answer says", range->low, range->high);
}

static void judge_length(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message,
                         const char *what)
{
    if (stream->gap || message->err == RJ_ERR_API || message->err == RJ_ERR_VERSION || message->err == RJ_ERR_MEMORY ||
        message->err == RJ_ERR_LIMIT)
        return;
    if (rj_judged(checker, RJ_RULE_T_LEN, message->err == RJ_OK))
        return;
    struct finding finding = at_connection(RJ_RULE_T_LEN, stream, message);
    rj_expected(rj_report(checker, &finding, "the %s %s v%d cannot be decoded: %s", api_name(message->api_key), what,
                          message->version, rj_err_sentence(message->err)),
                "a frame that holds this message and nothing else");
}

void rj_check_connection_request(struct rj_checker *checker, struct stream *stream,
                                 const struct rj_check_message *message)
{
    stream->client_id = rj_intern(checker, message->client_id);
    judge_first_request(checker, stream, message);
    stream->has_request = true;
    judge_version(checker, stream, message);
    judge_length(checker, stream, message, "request");
    bool unique = true;
    for (int32_t i = 0; i < stream->pending.count; i++)
        unique &= (*LIST_AT(&stream->pending, struct kept_message *, i))->correlation_id != message->correlation_id;
    if (stream->gap || rj_judged(checker, RJ_RULE_T_CORR_UNIQUE, unique))
        return;
    struct finding finding = at_connection(RJ_RULE_T_CORR_UNIQUE, stream, message);
    rj_expected(rj_report(checker, &finding, "correlation id %d is used while an earlier request with it is unanswered",
                          message->correlation_id), "another correlation id");
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

static bool was_answered(const struct stream *stream, int32_t correlation_id)
{
    uint32_t count = stream->recent_count < RECENT_ANSWERS ? stream->recent_count : RECENT_ANSWERS;
    for (uint32_t i = 0; i < count; i++)
        if (stream->recent[i] == correlation_id)
            return true;
    return false;
}

static void judge_unmatched(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message)
{
    if (stream->gap || !stream->from_start)
        return; /* its request may not have been seen */
    bool twice = was_answered(stream, message->correlation_id);
    enum rj_rule rule = twice ? RJ_RULE_T_ONE_RESPONSE : RJ_RULE_T_CORR_MATCH;
    rj_judged(checker, rule, false);
    struct finding finding = at_connection(rule, stream, message);
    struct rj_violation *violation = rj_report(checker, &finding, twice ?
        "a second response with correlation id %d" : "a response with correlation id %d, which no request carried",
        message->correlation_id);
    rj_expected(violation, twice ? "one response a request" : "the correlation id of an unanswered request");
}

/* The younger request was answered first. */
static void judge_order(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message,
                        int32_t index)
{
    struct kept_message *oldest = *LIST_AT(&stream->pending, struct kept_message *, 0);
    if (stream->gap || (!stream->from_start && !stream->has_response))
        return;
    bool reported = index > 0 && oldest->overtaken;
    if (rj_judged(checker, RJ_RULE_T_ORDER, index == 0 || reported))
        return;
    struct finding finding = at_connection(RJ_RULE_T_ORDER, stream, message);
    finding.other_frame = oldest->frame;
    rj_expected(rj_report(checker, &finding,
                          "the response to correlation id %d comes before the one to %d, which was asked "
                          "earlier", message->correlation_id, oldest->correlation_id),
                              "responses in the order of requests");
    for (int32_t i = 0; i < index; i++)
        (*LIST_AT(&stream->pending, struct kept_message *, i))->overtaken = true;
}

struct kept_message *rj_check_connection_response(struct rj_checker *checker, struct stream *stream,
                                                  const struct rj_check_message *message)
{
    int32_t index = 0;
    while (index < stream->pending.count &&
           (*LIST_AT(&stream->pending, struct kept_message *, index))->correlation_id != message->correlation_id)
        index++;
    if (index == stream->pending.count) {
        judge_unmatched(checker, stream, message);
        return NULL;
    }
    rj_judged(checker, RJ_RULE_T_CORR_MATCH, true);
    rj_judged(checker, RJ_RULE_T_ONE_RESPONSE, true);
    judge_order(checker, stream, message, index);
    judge_length(checker, stream, message, "response");
    bool older_lost = stream->gap || (!stream->from_start && !stream->has_response);
    int32_t at = older_lost ? 0 : index;
    while (older_lost && index-- > 0) { /* the answers of older requests were not seen */
        rj_let_go(checker, LIST_AT(&stream->pending, struct kept_message *, 0));
        rj_list_remove(&stream->pending, 0);
    }
    stream->has_response = true;
    struct kept_message *request = *LIST_AT(&stream->pending, struct kept_message *, at);
    rj_list_remove(&stream->pending, at);
    stream->recent[stream->recent_count++ % RECENT_ANSWERS] = message->correlation_id;
    return request;
}

void rj_check_api_versions_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_api_versions_response *body = response->body;
    if (body->error_code != RJ_KAFKA_NONE)
        return;
    part->stream->ranges.count = 0;
    part->stream->has_ranges = true;
    for (int32_t i = 0; i < body->api_keys.count; i++) {
        struct version_range *range = rj_list_add(part->checker, &part->stream->ranges, sizeof(*range));
        if (range == NULL) {
            part->stream->has_ranges = false;
            return;
        }
        *range = (struct version_range){body->api_keys.items[i].api_key, body->api_keys.items[i].min_version,
                                        body->api_keys.items[i].max_version};
    }
}

/* ---- Error codes and throttle times ------------------------------------------------------------------------------ */

/* What each API may answer: the coordinator's own codes, the mapped append errors, and what the broker's entry adds. */
static const struct { int16_t api_key; int8_t count; int16_t codes[28]; } known_errors[] = {
    {RJ_API_JOIN_GROUP, 19, {-1, 0, 3, 7, 13, 14, 15, 16, 20, 23, 24, 25, 26, 27, 30, 35, 79, 81, 82}},
    {RJ_API_SYNC_GROUP, 16, {-1, 0, 7, 13, 14, 15, 16, 20, 22, 23, 24, 25, 27, 30, 35, 82}},
    {RJ_API_HEARTBEAT, 13, {-1, 0, 7, 14, 15, 16, 22, 24, 25, 27, 30, 35, 82}},
    {RJ_API_LEAVE_GROUP, 13, {-1, 0, 7, 14, 15, 16, 20, 24, 25, 30, 35, 42, 82}},
    {RJ_API_OFFSET_COMMIT, 24, {-1, 0, 3, 7, 10, 12, 14, 15, 16, 17, 18, 20, 22, 24, 25, 27, 28, 29, 30, 35, 69, 82,
                                100, 113}},
    {RJ_API_OFFSET_FETCH, 16, {-1, 0, 3, 7, 14, 15, 16, 24, 25, 29, 30, 35, 69, 88, 100, 113}},
    {RJ_API_FIND_COORDINATOR, 9, {-1, 0, 14, 15, 24, 30, 35, 42, 53}},
};

static void judge_error(const struct dialogue_part *part, const struct rj_check_message *response, int16_t code)
{
    for (size_t row = 0; row < sizeof(known_errors) / sizeof(known_errors[0]); row++) {
        if (known_errors[row].api_key != response->api_key)
            continue;
        bool known = false;
        for (int i = 0; i < known_errors[row].count; i++)
            known |= known_errors[row].codes[i] == code;
        if (rj_judged(part->checker, RJ_RULE_T_ERROR_KNOWN, known))
            return;
        const char *name = rj_kafka_error_name(code);
        struct finding finding = at_connection(RJ_RULE_T_ERROR_KNOWN, part->stream, response);
        finding.other_frame = part->request->frame;
        rj_expected(rj_report(part->checker, &finding, "%s is answered with error %d (%s)",
                              api_name(response->api_key), code,
                              name ? name : "unknown to Kafka 4.2"), "an error that Kafka returns for this API");
    }
}

static void judge_throttle(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_message_schema *schema = rj_response_schema(response->api_key);
    for (uint32_t i = 0; schema != NULL && i < schema->root->field_count; i++) {
        const struct rj_schema_field *field = &schema->root->fields[i];
        int32_t throttle_time_ms;
        struct rj_string name = {field->c_name, (int32_t)strlen(field->c_name)};
        if (!rj_string_equal(name, RJ_STRING("throttle_time_ms")) || !rj_in_range(field->versions, response->version))
            continue;
        memcpy(&throttle_time_ms, (const char *)response->body + field->offset, sizeof(throttle_time_ms));
        if (rj_judged(part->checker, RJ_RULE_T_THROTTLE, throttle_time_ms >= 0))
            return;
        struct finding finding = at_connection(RJ_RULE_T_THROTTLE, part->stream, response);
        rj_expected(rj_report(part->checker, &finding, "the throttle time is %d ms", (int)throttle_time_ms),
                    "0 or more");
    }
}

static void judge_offset_fetch_errors(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_offset_fetch_response *body = response->body;
    judge_error(part, response, body->error_code);
    for (int32_t i = 0; i < body->topics.count; i++)
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++)
            judge_error(part, response, body->topics.items[i].partitions.items[j].error_code);
    for (int32_t g = 0; g < body->groups.count; g++) {
        judge_error(part, response, body->groups.items[g].error_code);
        for (int32_t i = 0; i < body->groups.items[g].topics.count; i++)
            for (int32_t j = 0; j < body->groups.items[g].topics.items[i].partitions.count; j++)
                judge_error(part, response, body->groups.items[g].topics.items[i].partitions.items[j].error_code);
    }
}

void rj_check_errors_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    judge_throttle(part, response);
    if (response->api_key == RJ_API_JOIN_GROUP)
        judge_error(part, response, ((const struct rj_join_group_response *)response->body)->error_code);
    else if (response->api_key == RJ_API_SYNC_GROUP)
        judge_error(part, response, ((const struct rj_sync_group_response *)response->body)->error_code);
    else if (response->api_key == RJ_API_HEARTBEAT)
        judge_error(part, response, ((const struct rj_heartbeat_response *)response->body)->error_code);
    else if (response->api_key == RJ_API_OFFSET_FETCH)
        judge_offset_fetch_errors(part, response);
    else if (response->api_key == RJ_API_LEAVE_GROUP) {
        const struct rj_leave_group_response *body = response->body;
        judge_error(part, response, body->error_code);
        for (int32_t i = 0; i < body->members.count; i++)
            judge_error(part, response, body->members.items[i].error_code);
    } else if (response->api_key == RJ_API_FIND_COORDINATOR) {
        const struct rj_find_coordinator_response *body = response->body;
        judge_error(part, response, body->error_code);
        for (int32_t i = 0; i < body->coordinators.count; i++)
            judge_error(part, response, body->coordinators.items[i].error_code);
    } else if (response->api_key == RJ_API_OFFSET_COMMIT) {
        const struct rj_offset_commit_response *body = response->body;
        for (int32_t i = 0; i < body->topics.count; i++)
            for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++)
                judge_error(part, response, body->topics.items[i].partitions.items[j].error_code);
    }
}
