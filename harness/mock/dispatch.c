/* From a frame to its handler, and what watchers and faults have to do with it. */
#include "mock/internal.h"

#include <string.h>

enum { KEPT_ARENA_LEN = 128 * 1024 }; /* less would be taken anew by each request of some size */

/*   key  versions  handler; what a release advertises is this cut with its row in versions.c */
const struct api_row mock_api_rows[] = {
    {0, 0, 13, mock_handle_produce},
    {1, 0, 18, mock_handle_fetch},
    {2, 0, 11, mock_handle_list_offsets},
    {3, 0, 13, mock_handle_metadata},
    {8, 0, 10, mock_handle_group_request},   /* OffsetCommit */
    {9, 0, 10, mock_handle_group_request},   /* OffsetFetch */
    {10, 0, 6, mock_handle_find_coordinator},
    {11, 0, 9, mock_handle_group_request},   /* JoinGroup */
    {12, 0, 4, mock_handle_group_request},   /* Heartbeat */
    {13, 0, 5, mock_handle_group_request},   /* LeaveGroup */
    {14, 0, 5, mock_handle_group_request},   /* SyncGroup */
    {15, 0, 6, mock_handle_group_request},   /* DescribeGroups */
    {16, 0, 5, mock_handle_group_request},   /* ListGroups */
    {17, 0, 1, mock_handle_sasl_handshake},
    {18, 0, 4, mock_handle_api_versions},
    {19, 0, 7, mock_handle_create_topics},
    {20, 0, 6, mock_handle_delete_topics},
    {22, 0, 5, mock_handle_init_producer_id},
    {23, 0, 4, mock_handle_offset_for_leader_epoch},
    {24, 0, 5, mock_handle_add_partitions_to_txn},
    {25, 0, 4, mock_handle_add_offsets_to_txn},
    {26, 0, 5, mock_handle_end_txn},
    {27, 0, 2, mock_handle_write_txn_markers},
    {28, 0, 5, mock_handle_group_request},   /* TxnOffsetCommit */
    {32, 0, 4, mock_handle_describe_configs},
    {33, 0, 2, mock_handle_alter_configs},
    {36, 0, 2, mock_handle_sasl_authenticate},
    {37, 0, 3, mock_handle_create_partitions},
    {42, 0, 2, mock_handle_group_request},   /* DeleteGroups */
    {44, 0, 1, mock_handle_incremental_alter_configs},
    {47, 0, 0, mock_handle_group_request},   /* OffsetDelete */
    {60, 0, 2, mock_handle_describe_cluster},
    {61, 0, 0, mock_handle_describe_producers},
    {65, 0, 0, mock_handle_describe_transactions},
    {66, 0, 1, mock_handle_list_transactions}, /* 2: a regular expression in Java's dialect */
    {74, 0, 1, mock_handle_list_config_resources},
    {75, 0, 0, mock_handle_describe_topic_partitions},
};
const int mock_api_row_count = sizeof(mock_api_rows) / sizeof(mock_api_rows[0]);

/* ---- Watching ---------------------------------------------------------------------------------------------------- */

void mock_frame_of_request(const struct request *request, struct mock_frame *frame)
{
    struct connection *connection = request->connection;
    *frame = (struct mock_frame){
        .broker_id = request->broker_id, .api_key = request->api_key, .version = request->version,
        .correlation_id = request->correlation_id, .client_id = request->client_id, .bytes = request->frame,
        .body_offset = request->body_offset, .schema = rj_request_schema(request->api_key),
        .body_version = request->version, .body = request->body, .time_us = mock_now_us(request->cluster), .peer = "",
    };
    if (connection != NULL) {
        frame->connection_id = connection->id;
        frame->peer = connection->peer;
        frame->peer_address = &connection->peer_address.any;
        frame->local_address = &connection->local_address.any;
    }
}

void mock_tell_frame(struct mock_cluster *cluster, const struct mock_frame *frame)
{
    for (struct mock_observer *observer = cluster->observers; observer != NULL; observer = observer->next)
        if (observer->frame != NULL)
            observer->frame(observer->context, frame);
}

/* ---- Memory of one request --------------------------------------------------------------------------------------- */

void *mock_new_response(struct request *request)
{
    const struct rj_message_schema *schema = rj_response_schema(request->api_key);
    void *response = rj_arena_alloc(&request->cluster->arena, schema->root->size);
    if (response != NULL)
        rj_message_init(schema, response);
    return response;
}

void *mock_arena_array(struct request *request, size_t count, size_t size)
{
    void *items = rj_arena_alloc(&request->cluster->arena, count * size);
    if (items != NULL)
        memset(items, 0, count * size);
    return items;
}

struct rj_string mock_arena_text(struct request *request, const char *text)
{
    bool ok = true;
    struct rj_string whole = {text, (int32_t)strlen(text)};
    struct rj_string copy = rj_arena_copy_string(&request->cluster->arena, whole, &ok);
    return ok && whole.len > 0 ? copy : RJ_NULL_STRING;
}

static void reset_arena(struct mock_cluster *cluster)
{
    if (cluster->depth > 0)
        return;
    if (cluster->arena.allocated_len > KEPT_ARENA_LEN)
        rj_arena_release(&cluster->arena);
    else
        rj_arena_reset(&cluster->arena);
}

/* ---- Requests from a connection ---------------------------------------------------------------------------------- */

enum outcome mock_answer_request(struct request *request, const void *body, enum rj_rule rule)
{
    if (request->connection != NULL)
        mock_answer_connection(request->connection, body, rule);
    else
        request->body = body; /* mock_ask takes it from there */
    return OUTCOME_ANSWERED;
}

/* A frame that cannot be served: a line for the log, word to the observers, the end of the connection. */
static void refuse_frame(struct connection *connection, const struct rj_fault *fault, enum mock_connection_end why)
{
    struct request *request = &connection->request;
    const char *api = request->api_key >= 0 ? rj_api_name(request->api_key) : NULL;
    if (why == MOCK_CLOSED_UNSUPPORTED)
        mock_log_line(connection->cluster, "%s: offset %llu: API %d (%s) version %d is not served; connection closed",
                 connection->peer, (unsigned long long)connection->received_len, request->api_key,
                 api ? api : "unknown", request->version);
    else
        mock_log_line(connection->cluster, "%s: offset %llu: %s v%d, field %s at byte %zu of the frame: %s, found %s, "
                 "expected %s; connection closed", connection->peer, (unsigned long long)connection->received_len,
                 api ? api : "request", request->version, fault->field[0] ? fault->field : "(header)", fault->offset,
                 rj_err_sentence(fault->err), fault->found, fault->expected);
    if (connection->cluster->observers != NULL) {
        struct mock_frame frame;
        mock_frame_of_request(request, &frame);
        frame.fault = fault;
        mock_tell_frame(connection->cluster, &frame);
    }
    mock_close_connection(connection, why);
}

/* Kafka answers an ApiVersions of a version that it does not have in the form of version 0, so that client and broker
 * can agree on one. */
static void answer_unknown_api_versions(struct connection *connection)
{
    struct request *request = &connection->request;
    struct rj_api_versions_response *response = mock_new_response(request);
    struct rj_api_versions_response_api_version *range = mock_arena_array(request, 1, sizeof(*range));
    if (response == NULL || range == NULL) {
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return;
    }
    *range = (struct rj_api_versions_response_api_version){
        .api_key = 18, .min_version = connection->cluster->low_by_key[18],
        .max_version = connection->cluster->high_by_key[18]};
    response->error_code = RJ_KAFKA_UNSUPPORTED_VERSION;
    response->api_keys.items = range;
    response->api_keys.count = 1;
    mock_answer_connection(connection, response, RJ_RULE_NONE);
}

/* All but the room for its texts. */
static void clear_fault(struct rj_fault *fault)
{
    fault->err = RJ_OK;
    fault->offset = 0;
    fault->api_key = fault->version = -1;
    fault->field[0] = fault->found[0] = fault->expected[0] = '\0';
}

/* Header and body. false: the frame is dealt with. */
static bool decode_frame(struct connection *connection, struct rj_bytes bytes)
{
    struct mock_cluster *cluster = connection->cluster;
    struct request *request = &connection->request;
    struct rj_request_frame frame = {.api_key = -1, .version = -1};
    struct rj_fault fault;
    clear_fault(&fault);
    enum rj_err err = rj_decode_request_header(bytes, &frame, &cluster->arena, &fault);
    *request = (struct request){
        .cluster = cluster, .connection = connection, .broker_id = connection->broker_id, .api_key = frame.api_key,
        .version = frame.version, .correlation_id = frame.correlation_id, .client_id = frame.client_id,
        .frame = bytes, .body_offset = frame.body_offset};
    if (err != RJ_OK && err != RJ_ERR_API && err != RJ_ERR_VERSION) {
        refuse_frame(connection, &fault, MOCK_CLOSED_MALFORMED);
        return false;
    }
    bool is_served = err == RJ_OK && cluster->row_by_key[frame.api_key] >= 0 &&
                     frame.version >= cluster->low_by_key[frame.api_key] &&
                     frame.version <= cluster->high_by_key[frame.api_key];
    if (!is_served && frame.api_key == 18) {
        answer_unknown_api_versions(connection);
        return false;
    }
    if (!is_served) {
        refuse_frame(connection, &fault, MOCK_CLOSED_UNSUPPORTED);
        return false;
    }
    enum rj_err body_err = rj_decode_request_body(bytes, &frame, &cluster->arena, &fault);
    if (body_err != RJ_OK && body_err != RJ_ERR_TRAILING) { /* what follows a body no broker looks at */
        refuse_frame(connection, &fault, MOCK_CLOSED_MALFORMED);
        return false;
    }
    request->body = frame.body;
    return true;
}

static bool is_watched(const struct mock_cluster *cluster)
{
    return cluster->observers != NULL || cluster->faults != NULL || cluster->interposer.request != NULL;
}

static struct mock_verdict judge_request(struct mock_cluster *cluster, const struct request *request)
{
    struct mock_verdict verdict = {.action = MOCK_PASS};
    struct mock_frame frame;
    mock_frame_of_request(request, &frame);
    mock_tell_frame(cluster, &frame);
    if (cluster->faults != NULL && mock_faults_judge(cluster->faults, &frame, &verdict))
        return verdict;
    if (cluster->interposer.request != NULL)
        verdict = cluster->interposer.request(cluster->interposer.context, &frame);
    return verdict;
}

enum outcome mock_dispatch_request(struct request *request)
{
    return mock_api_rows[request->cluster->row_by_key[request->api_key]].handle(request);
}

/* The parked request outlives the frame that it came in. */
static void park(struct connection *connection)
{
    struct request *request = &connection->request;
    connection->kept_client_id.len = 0;
    if (request->client_id.len > 0 &&
        !mock_buffer_append(&connection->kept_client_id, request->client_id.data, (size_t)request->client_id.len)) {
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return;
    }
    if (request->client_id.len > 0)
        request->client_id.data = (const char *)connection->kept_client_id.data;
    request->body = NULL;
    request->frame = RJ_NULL_BYTES;
}

static void serve(struct connection *connection)
{
    switch (mock_dispatch_request(&connection->request)) {
    case OUTCOME_SILENT: break;
    case OUTCOME_ANSWERED:
        if (connection->parked == PARKED_FAULT && !connection->is_closing)
            park(connection); /* the answer is kept back */
        break;
    case OUTCOME_PARKED:
        if (!connection->is_closing)
            park(connection);
        break;
    case OUTCOME_CLOSE: mock_close_connection(connection, MOCK_CLOSED_LIMIT); break;
    }
}

/* Faults that take effect before the request is processed. false: there was one. */
static bool goes_on(struct connection *connection, struct rj_bytes bytes)
{
    struct request *request = &connection->request;
    const struct mock_verdict verdict = connection->verdict;
    const void *body = verdict.body;
    switch (verdict.action) {
    case MOCK_ANSWER_ERROR:
        body = mock_error_response(request, verdict.error_code);
        __attribute__((fallthrough));
    case MOCK_ANSWER_BODY:
        if (body != NULL)
            mock_answer_connection(connection, body, RJ_RULE_NONE);
        else
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return false;
    case MOCK_DELAY_REQUEST:
    case MOCK_HOLD_REQUEST:
    case MOCK_DROP_REQUEST:
        park(connection);
        mock_keep_request_back(connection, bytes);
        return false;
    case MOCK_DISCONNECT_BEFORE:
        mock_close_connection(connection, MOCK_CLOSED_FAULT);
        return false;
    case MOCK_PASS: case MOCK_DELAY_ANSWER: case MOCK_HOLD_ANSWER: case MOCK_DROP_ANSWER: case MOCK_DISCONNECT_AFTER:
    case MOCK_CUT_ANSWER:
        break;
    }
    return true;
}

static bool may_look_at(struct connection *connection, struct rj_bytes bytes)
{
    return connection->sasl == NULL || mock_sasl_screen(connection, bytes);
}

void mock_process_frame(struct connection *connection, struct rj_bytes bytes, bool was_judged)
{
    struct mock_cluster *cluster = connection->cluster;
    reset_arena(cluster);
    cluster->depth++;
    connection->verdict = (struct mock_verdict){.action = MOCK_PASS};
    if (may_look_at(connection, bytes) && decode_frame(connection, bytes)) {
        if (!was_judged && is_watched(cluster))
            connection->verdict = judge_request(cluster, &connection->request);
        if (connection->sasl != NULL && !mock_sasl_admits(connection)) {
            /* it is closing */
        } else if (connection->verdict.action == MOCK_PASS) {
            serve(connection);
        } else if (goes_on(connection, bytes)) {
            serve(connection);
            if (connection->verdict.action == MOCK_DISCONNECT_AFTER)
                mock_close_connection(connection, MOCK_CLOSED_FAULT);
        }
    }
    cluster->depth--;
}

/* ---- Requests from the host -------------------------------------------------------------------------------------- */

const void *mock_ask(struct mock_cluster *cluster, int16_t api_key, int16_t version, const void *request_body)
{
    const struct rj_message_schema *schema = rj_response_schema(api_key);
    if (schema == NULL || api_key < 0 || api_key >= 128 || cluster->row_by_key[api_key] < 0)
        return NULL;
    reset_arena(cluster);
    cluster->depth++;
    struct request request = {.cluster = cluster, .broker_id = -1, .api_key = api_key, .version = version,
                              .client_id = RJ_STRING("rejoin"), .body = request_body};
    bool is_answered = mock_dispatch_request(&request) == OUTCOME_ANSWERED;
    cluster->depth--;
    void *copy = NULL;
    if (is_answered) {
        rj_arena_reset(&cluster->ask_arena);
        copy = rj_arena_alloc(&cluster->ask_arena, schema->root->size);
        if (copy != NULL && rj_copy_message(schema, request.body, &cluster->ask_arena, copy) != RJ_OK)
            copy = NULL;
    }
    mock_flush_connections(cluster);
    return copy;
}
