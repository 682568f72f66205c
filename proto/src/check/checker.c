/* The checker's entry: keeps what may be needed later and hands each message to the areas that judge it. */
#include "check/state.h"

#include <string.h>

void rj_check_config_init(struct rj_check_config *config)
{
    *config = (struct rj_check_config){.timer_slack_ms = 2000, .violation_limit = 1000};
}

enum rj_err rj_check_create(struct rj_checker **out, const struct rj_allocator *allocator,
                            const struct rj_check_config *config)
{
    struct rj_checker *checker = allocator->alloc(allocator->context, sizeof(*checker));
    *out = NULL;
    if (checker == NULL)
        return RJ_ERR_MEMORY;
    memset(checker, 0, sizeof(*checker));
    checker->allocator = *allocator;
    rj_check_config_init(&checker->config);
    if (config != NULL)
        checker->config = *config;
    rj_arena_init(&checker->strings, &checker->allocator, SIZE_MAX);
    rj_arena_init(&checker->scratch, &checker->allocator, SIZE_MAX);
    *out = checker;
    return RJ_OK;
}

static enum rj_err outcome(const struct rj_checker *checker) { return checker->out_of_memory ? RJ_ERR_MEMORY : RJ_OK; }

enum rj_err rj_check_open(struct rj_checker *checker, uint64_t stream_id, uint64_t frame, int64_t time_ms,
                          bool from_start)
{
    (void)frame;
    struct stream *stream = rj_stream_of(checker, stream_id);
    if (stream != NULL) {
        stream->from_start = from_start;
        stream->seen_ms = time_ms;
    }
    return outcome(checker);
}

enum rj_err rj_check_close(struct rj_checker *checker, uint64_t stream_id, uint64_t frame, int64_t time_ms)
{
    (void)frame;
    (void)time_ms;
    struct stream *stream = rj_stream_of(checker, stream_id);
    if (stream != NULL) /* whoever opens the next connection starts afresh or knows more than was seen here */
        stream->expectations.count = 0;
    return outcome(checker);
}

/* Bytes were lost on a connection that was last understood at that time: what seemed a breach since then may have been
 * none. */
static void lose_sight(struct rj_checker *checker, struct group *group, int64_t since_ms)
{
    group->blind = true;
    group->missing = "bytes of a connection that spoke of it were lost";
    for (int32_t i = checker->violations.count - 1; i >= 0; i--) {
        const struct rj_violation *violation = LIST_AT(&checker->violations, struct rj_violation, i);
        if (violation->time_ms >= since_ms && same(violation->group, group->id) &&
            rj_rule_row(violation->rule)->strength != RJ_STRENGTH_HARD)
            rj_list_remove(&checker->violations, i);
    }
}

enum rj_err rj_check_gap(struct rj_checker *checker, uint64_t stream_id, enum rj_check_direction direction,
                         uint64_t frame)
{
    (void)direction;
    (void)frame;
    struct stream *stream = rj_stream_of(checker, stream_id);
    if (stream == NULL)
        return RJ_ERR_MEMORY;
    if (!stream->gap)
        stream->gap_since_ms = stream->seen_ms;
    stream->gap = true;
    stream->expectations.count = 0;
    for (int32_t i = 0; i < stream->groups.count; i++)
        lose_sight(checker, *LIST_AT(&stream->groups, struct group *, i), stream->seen_ms);
    return outcome(checker);
}

struct group *rj_touch_group(const struct dialogue_part *part, struct rj_string id)
{
    struct group *group = rj_check_group_of(part->checker, id);
    struct list *groups = &part->stream->groups;
    if (group == NULL)
        return NULL;
    if (part->stream->gap && !group->blind)
        lose_sight(part->checker, group, part->stream->gap_since_ms);
    for (int32_t i = 0; i < groups->count; i++)
        if (*LIST_AT(groups, struct group *, i) == group)
            return group;
    struct group **entry = rj_list_add(part->checker, groups, sizeof(*entry));
    if (entry != NULL)
        *entry = group;
    return group;
}

/* Requests whose bodies are needed when they are answered. */
static bool is_kept(int16_t api_key)
{
    switch (api_key) {
    case RJ_API_JOIN_GROUP: case RJ_API_SYNC_GROUP: case RJ_API_HEARTBEAT: case RJ_API_LEAVE_GROUP:
    case RJ_API_OFFSET_COMMIT: case RJ_API_OFFSET_FETCH: case RJ_API_FIND_COORDINATOR: case RJ_API_DELETE_GROUPS:
    case RJ_API_OFFSET_DELETE: case RJ_API_TXN_OFFSET_COMMIT:
        return true;
    default:
        return false;
    }
}

static void group_request(const struct dialogue_part *part)
{
    switch (part->request->api_key) {
    case RJ_API_JOIN_GROUP: rj_check_join_request(part); break;
    case RJ_API_SYNC_GROUP: rj_check_sync_request(part); break;
    case RJ_API_HEARTBEAT: rj_check_heartbeat_request(part); break;
    case RJ_API_LEAVE_GROUP: rj_check_leave_request(part); break;
    case RJ_API_OFFSET_COMMIT: rj_check_commit_request(part); break;
    case RJ_API_DELETE_GROUPS: case RJ_API_OFFSET_DELETE: case RJ_API_TXN_OFFSET_COMMIT:
        rj_offsets_disturbed(part);
        break;
    default: break;
    }
}

static void consumer_protocol_request(struct rj_checker *checker, const struct rj_check_message *request)
{
    const struct rj_consumer_group_heartbeat_request *body = request->body;
    struct group *group = rj_check_group_of(checker, body->group_id);
    if (group != NULL)
        group->is_consumer = true;
}

enum rj_err rj_check_request(struct rj_checker *checker, const struct rj_check_message *request)
{
    struct stream *stream = checker->out_of_memory ? NULL : rj_stream_of(checker, request->stream);
    if (stream == NULL)
        return RJ_ERR_MEMORY;
    rj_arena_reset(&checker->scratch);
    stream->seen_ms = request->time_ms;
    rj_check_connection_request(checker, stream, request);
    if (request->api_key == RJ_API_PRODUCE && request->body != NULL &&
        ((const struct rj_produce_request *)request->body)->acks == 0)
        return outcome(checker); /* it is never answered */
    if (request->body != NULL && request->api_key == RJ_API_FETCH)
        rj_check_fetch_request(checker, stream, request);
    if (request->body != NULL && request->api_key == RJ_API_CONSUMER_GROUP_HEARTBEAT)
        consumer_protocol_request(checker, request);
    if (request->api_key == RJ_API_DELETE_TOPICS)
        rj_topics_deleted(checker);
    struct kept_message *kept = rj_keep_message(checker, request,
                                                is_kept(request->api_key) ? rj_request_schema(request->api_key) : NULL);
    struct kept_message **entry = kept ? rj_list_add(checker, &stream->pending, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        rj_let_go(checker, &kept);
        return RJ_ERR_MEMORY;
    }
    *entry = kept;
    struct dialogue_part part = {checker, stream, kept};
    if (kept->body != NULL)
        group_request(&part);
    return outcome(checker);
}

static void group_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    switch (response->api_key) {
    case RJ_API_JOIN_GROUP: rj_check_join_response(part, response); break;
    case RJ_API_SYNC_GROUP: rj_check_sync_response(part, response); break;
    case RJ_API_HEARTBEAT: rj_check_heartbeat_response(part, response); break;
    case RJ_API_LEAVE_GROUP: rj_check_leave_response(part, response); break;
    case RJ_API_OFFSET_COMMIT: rj_check_commit_response(part, response); break;
    case RJ_API_OFFSET_FETCH: rj_check_offset_fetch_response(part, response); break;
    case RJ_API_FIND_COORDINATOR: rj_check_find_coordinator_response(part, response); break;
    default: break;
    }
}

enum rj_err rj_check_response(struct rj_checker *checker, const struct rj_check_message *response)
{
    struct stream *stream = checker->out_of_memory ? NULL : rj_stream_of(checker, response->stream);
    if (stream == NULL)
        return RJ_ERR_MEMORY;
    rj_arena_reset(&checker->scratch);
    stream->seen_ms = response->time_ms;
    struct kept_message *request = rj_check_connection_response(checker, stream, response);
    struct dialogue_part part = {checker, stream, request};
    if (request != NULL && response->body != NULL && request->api_key == response->api_key) {
        rj_check_errors_response(&part, response);
        if (response->api_key == RJ_API_API_VERSIONS)
            rj_check_api_versions_response(&part, response);
        if (response->api_key == RJ_API_METADATA)
            rj_check_metadata_response(checker, response->body);
        if (request->body != NULL)
            group_response(&part, response);
    }
    rj_let_go(checker, &request);
    return outcome(checker);
}

bool rj_check_pending(const struct rj_checker *checker, uint64_t stream_id, int32_t correlation_id, int16_t *api_key,
                      int16_t *version)
{
    for (int32_t i = 0; i < checker->streams.count; i++) {
        const struct stream *stream = *LIST_AT(&checker->streams, struct stream *, i);
        for (int32_t j = 0; stream->id == stream_id && j < stream->pending.count; j++) {
            const struct kept_message *request = *LIST_AT(&stream->pending, struct kept_message *, j);
            if (request->correlation_id != correlation_id)
                continue;
            *api_key = request->api_key;
            *version = request->version;
            return true;
        }
    }
    return false;
}

enum rj_err rj_check_finish(struct rj_checker *checker, int64_t time_ms)
{
    (void)time_ms;
    if (!checker->out_of_memory)
        rj_generations_finish(checker);
    return outcome(checker);
}
