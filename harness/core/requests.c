/* Requests and answers of the virtual coordinator. */
#include "core/core.h"

#include "rejoin/conn.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int16_t core_api_key(const json_t *api)
{
    if (json_is_integer(api))
        return (int16_t)json_integer_value(api);
    const char *name = json_string_value(api);
    for (int16_t key = 0; name != NULL && key < 128; key++)
        if (rj_api_name(key) != NULL && strcmp(rj_api_name(key), name) == 0)
            return key;
    return -1;
}

const struct rj_subscription_views *core_views(struct rj_arena *arena, const struct rj_bytes *metadata, int32_t count)
{
    struct rj_subscription_views *views = rj_arena_alloc(arena, sizeof(*views));
    const struct rj_consumer_protocol_subscription **items =
        rj_arena_alloc(arena, (size_t)count * sizeof(*items) + 1);
    for (int32_t i = 0; i < count; i++) {
        /* Kafka reads the version and then the layout of version 0, which opens every later one. */
        struct rj_consumer_protocol_subscription *one = rj_arena_alloc(arena, sizeof(*one));
        size_t used;
        items[i] = NULL;
        if (metadata[i].len >= 2
            && rj_decode_prefix(&rj_consumer_protocol_subscription_schema, 0,
                                (struct rj_bytes){metadata[i].data + 2, metadata[i].len - 2}, arena, one, &used, NULL)
                   == RJ_OK)
            items[i] = one;
    }
    *views = (struct rj_subscription_views){items, count};
    return views;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void free_request(struct core_request *request)
{
    rj_arena_release(&request->arena);
    json_decref(request->save);
    free(request->client_id);
    free(request->client_host);
    free(request->refusal);
    free(request);
}

void core_forget_requests(struct core_session *session)
{
    while (session->requests != NULL) {
        struct core_request *request = session->requests;
        session->requests = request->next;
        free_request(request);
    }
}

int core_parked(const struct core_session *session)
{
    int count = 0;
    for (const struct core_request *request = session->requests; request != NULL; request = request->next)
        count++;
    return count;
}

/* Fields that this version does not have are left out with a warning, as the oracle does. */
static json_t *drop_unknown_fields(struct core_session *session, const struct rj_message_schema *schema,
                                   int16_t version, json_t *body)
{
    json_t *kept = json_object(), *value;
    const char *name;
    json_object_foreach (body, name, value) {
        bool known = false;
        for (uint32_t i = 0; i < schema->root->field_count; i++)
            known = known
                    || (strcmp(schema->root->fields[i].name, name) == 0
                        && rj_in_range(schema->root->fields[i].versions, version));
        if (known) {
            json_object_set(kept, name, value);
            continue;
        }
        json_t *warning = json_pack("{s:s++, s:s}", "warn", "field ", name,
                                    " unknown in this version, or left at its default", "api",
                                    rj_api_name(schema->api_key));
        json_dumpf(warning, session->out, JSON_COMPACT);
        fputc('\n', session->out);
        json_decref(warning);
    }
    return kept;
}

/* A list of names in which some are null: no wire can carry that, but a host that makes typed requests may. In JSON, whose
 * reader is as strict as the wire, they are empty. */
static bool is_list_of_names(const struct rj_schema_field *field, const json_t *value)
{
    return field->type == RJ_TYPE_STRING && json_is_array(value);
}

static void blank_names(const struct rj_message_schema *schema, json_t *body)
{
    for (uint32_t i = 0; i < schema->root->field_count; i++) {
        const char *field_name = schema->root->fields[i].name;
        json_t *list = json_object_get(body, field_name), *name;
        size_t k;
        if (!is_list_of_names(&schema->root->fields[i], list))
            continue;
        json_t *names = json_array();
        json_array_foreach (list, k, name)
            json_array_append_new(names, json_is_null(name) ? json_string("") : json_incref(name));
        json_object_set_new(body, field_name, names);
    }
}

static void put_null_names(const struct rj_message_schema *schema, const json_t *body, void *request)
{
    for (uint32_t i = 0; i < schema->root->field_count; i++) {
        const struct rj_schema_field *field = &schema->root->fields[i];
        json_t *list = json_object_get(body, field->name), *name;
        size_t k;
        if (!is_list_of_names(field, list))
            continue;
        struct rj_string_array *names = (void *)((char *)request + field->offset);
        json_array_foreach (list, k, name)
            if (json_is_null(name))
                names->items[k] = RJ_NULL_STRING;
    }
}

static bool read_body(struct core_session *session, struct core_request *request, const json_t *op)
{
    const struct rj_message_schema *schema = rj_request_schema(request->api_key);
    if (schema == NULL || !rj_in_range(schema->versions, request->version)) {
        request->refusal = rejoin_strdup("InvalidRequestException: unknown api or version");
        return true;
    }
    json_t *body = json_object_get(op, "body");
    json_t *kept_fields = json_is_object(body) ? drop_unknown_fields(session, schema, request->version, body) : json_object();
    blank_names(schema, kept_fields);
    char *text = json_dumps(kept_fields, JSON_COMPACT);
    json_decref(kept_fields);
    struct rj_fault fault = {.err = RJ_OK};
    request->body = rj_arena_alloc(&request->arena, schema->root->size);
    char *kept = rj_arena_alloc(&request->arena, strlen(text) + 1);
    memcpy(kept, text, strlen(text) + 1);
    enum rj_err err = rj_parse_json(schema, request->version, (struct rj_string){kept, (int32_t)strlen(kept)},
                                    &request->arena, request->body, &fault);
    free(text);
    if (err == RJ_OK)
        put_null_names(schema, body, request->body);
    else
        core_error(session, "%s: %s: found %s, expected %s", rj_err_name(err), fault.field, fault.found,
                   fault.expected);
    return err == RJ_OK;
}

static int nibble(char c)
{
    char lower = (char)(c | 32);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool read_hex(struct core_request *request, const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = rj_arena_alloc(&request->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)((unsigned)nibble(hex[2 * i]) << 4 | (unsigned)nibble(hex[2 * i + 1]));
    struct rj_bytes frame = {bytes, (int32_t)len};
    struct rj_request_frame parsed = {.api_key = -1};
    struct rj_fault fault = {.err = RJ_OK};
    enum rj_err err = rj_decode_request_header(frame, &parsed, &request->arena, &fault);
    if (err == RJ_OK)
        err = rj_decode_request_body(frame, &parsed, &request->arena, &fault);
    request->api_key = parsed.api_key;
    request->version = parsed.version;
    request->correlation_id = parsed.correlation_id;
    request->body = parsed.body;
    free(request->client_id);
    request->client_id = NULL;
    if (parsed.client_id.data != NULL) {
        request->client_id = rejoin_alloc((size_t)parsed.client_id.len + 1);
        memcpy(request->client_id, parsed.client_id.data, (size_t)parsed.client_id.len);
        request->client_id[parsed.client_id.len] = 0;
    }
    if (err != RJ_OK)
        request->refusal = rejoin_strdup(rj_err_name(err));
    return true;
}

static const char *text_or(const json_t *op, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(op, name));
    return text ? text : otherwise;
}

static struct core_request *read_request(struct core_session *session, const json_t *op)
{
    struct core_request *request = rejoin_alloc_zeroed(1, sizeof(*request));
    rj_arena_init(&request->arena, &rejoin_heap, SIZE_MAX);
    request->id = ++session->next_request_id;
    request->connection = json_integer_value(json_object_get(op, "conn"));
    request->correlation_id = (int32_t)json_integer_value(json_object_get(op, "corr"));
    request->api_key = core_api_key(json_object_get(op, "api"));
    const json_t *version = json_object_get(op, "version");
    const struct rj_message_schema *schema = rj_request_schema(request->api_key);
    request->version = version ? (int16_t)json_integer_value(version) : schema ? schema->versions.high : 0;
    if (!json_is_null(json_object_get(op, "client_id")))
        request->client_id = rejoin_strdup(text_or(op, "client_id", "c"));
    const char *host = text_or(op, "client_host", "127.0.0.1");
    request->client_host = rejoin_alloc(strlen(host) + 2);
    snprintf(request->client_host, strlen(host) + 2, "/%s", host);
    request->save = json_incref(json_object_get(op, "save"));
    request->wants_hex = json_is_true(json_object_get(op, "hex_out"));
    const char *hex = json_string_value(json_object_get(op, "hex"));
    request->wants_hex = request->wants_hex || hex != NULL;
    if (!(hex ? read_hex(request, hex) : read_body(session, request, op))) {
        free_request(request);
        return NULL;
    }
    return request;
}

/* ---- Answering --------------------------------------------------------------------------------------------------- */

static void print_head(struct core_session *session, const struct core_request *request)
{
    fprintf(session->out, "{\"conn\":%" PRId64 ",\"corr\":%" PRId32 ",\"api\":%d,\"version\":%d,\"at_ms\":%" PRId64,
            request->connection, request->correlation_id, request->api_key, request->version,
            session->now_ms - session->start_ms);
}

static void print_hex(struct core_session *session, const struct core_request *request, const void *body)
{
    size_t len = 0;
    rj_encode_response_frame(request->api_key, request->version, request->correlation_id, body, NULL, 0, &len, NULL);
    uint8_t *bytes = rejoin_alloc(len);
    if (rj_encode_response_frame(request->api_key, request->version, request->correlation_id, body, bytes, len, &len,
                                 NULL) == RJ_OK) {
        fputs(",\"hex\":\"", session->out);
        for (size_t i = 4; i < len; i++)
            fprintf(session->out, "%02x", bytes[i]);
        fputc('"', session->out);
    }
    free(bytes);
}

static json_t *at_pointer(json_t *body, const char *pointer)
{
    char name[128];
    while (body != NULL && pointer != NULL && *pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        snprintf(name, sizeof(name), "%.*s", (int)len, pointer);
        body = json_is_array(body) ? json_array_get(body, (size_t)strtoul(name, NULL, 10))
                                   : json_object_get(body, name);
        pointer += len;
    }
    return body;
}

static void save(struct core_session *session, const struct core_request *request, const char *text)
{
    json_t *body = json_loads(text, 0, NULL);
    const char *name;
    json_t *pointer;
    json_object_foreach (request->save, name, pointer) {
        char variable[128];
        snprintf(variable, sizeof(variable), "$%s", name);
        json_t *value = at_pointer(body, json_string_value(pointer));
        if (value != NULL)
            json_object_set(session->saved, variable, value);
    }
    json_decref(body);
}

static void dispatch(struct core_session *session, struct core_request *request);

static void finish(struct core_session *session, struct core_request *request)
{
    struct core_request **link = &session->requests;
    while (*link != request)
        link = &(*link)->next;
    *link = request->next;
    int64_t connection = request->connection;
    bool closed = request->closed;
    free_request(request);
    if (closed || !session->ordered)
        return;
    for (struct core_request *next = session->requests; next != NULL; next = next->next)
        if (next->connection == connection && !next->in_flight && !next->closed) {
            next->in_flight = true;
            dispatch(session, next);
            return;
        }
}

void core_take_reply(struct core_session *session, const struct rj_reply *reply)
{
    struct core_request *request = session->requests;
    while (request != NULL && request->id != reply->connection_id)
        request = request->next;
    if (request == NULL)
        return;
    if (!request->closed || session->tells_disconnects) {
        struct rejoin_buffer text = {0};
        struct rj_writer writer = rejoin_buffer_writer(&text);
        rj_print_json(rj_response_schema(reply->api_key), reply->version, reply->body, &writer);
        print_head(session, request);
        fprintf(session->out, ",\"body\":%.*s", (int)text.len, (const char *)text.data);
        if (request->wants_hex)
            print_hex(session, request, reply->body);
        if (reply->rule != RJ_RULE_NONE)
            fprintf(session->out, ",\"rule\":\"%s\"", rj_rule_row(reply->rule)->id);
        fputs("}\n", session->out);
        rejoin_buffer_add(&text, "", 1);
        if (request->save != NULL)
            save(session, request, (const char *)text.data);
        rejoin_buffer_free(&text);
    }
    request->answered = true;
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

static void draw_uuid(struct core_session *session, struct rj_uuid *uuid, struct java_random *after, bool *from_list)
{
    *after = session->random;
    *from_list = session->uuid_next < session->uuid_count;
    if (*from_list)
        *uuid = session->uuids[session->uuid_next];
    else
        java_random_bytes(after, uuid->bytes, sizeof(uuid->bytes));
}

static void close_connection(struct core_session *session, struct core_request *request)
{
    if (!request->closed) {
        print_head(session, request);
        fprintf(session->out, ",\"close\":\"%s\"}\n", request->refusal);
    }
    int64_t connection = request->connection;
    finish(session, request);
    core_op_disconnect(session, connection);
}

static void dispatch(struct core_session *session, struct core_request *request)
{
    if (request->refusal != NULL) {
        close_connection(session, request);
        return;
    }
    struct rj_event event = {.type = RJ_EVENT_REQUEST};
    struct java_random after;
    bool from_list;
    draw_uuid(session, &event.entropy, &after, &from_list);
    event.as.request.connection_id = request->id;
    event.as.request.correlation_id = request->correlation_id;
    event.as.request.api_key = request->api_key;
    event.as.request.version = request->version;
    event.as.request.client_id = request->client_id
        ? (struct rj_string){request->client_id, (int32_t)strlen(request->client_id)} : RJ_NULL_STRING;
    event.as.request.client_host = (struct rj_string){request->client_host, (int32_t)strlen(request->client_host)};
    event.as.request.body = request->body;
    struct rj_rights rights = {session->rights, (int32_t)session->right_count};
    event.as.request.rights = session->denies ? &rights : NULL;
    if (request->api_key == 11) {
        const struct rj_join_group_request *join = request->body;
        struct rj_bytes *metadata =
            rj_arena_alloc(&request->arena, (size_t)join->protocols.count * sizeof(*metadata) + 1);
        for (int32_t i = 0; i < join->protocols.count; i++)
            metadata[i] = join->protocols.items[i].metadata;
        event.as.request.subscriptions = core_views(&request->arena, metadata, join->protocols.count);
    }
    /* Every other one, so that both ways are held to Kafka's. */
    event.is_assured = session->auto_commit && session->fail_count == 0 && (request->correlation_id & 1) != 0;
    request->in_flight = true;
    if (session->trace)
        core_trace(session, request->api_key, request->body);
    enum rj_err err = core_step(session, &event);
    if (err == RJ_ERR_API) {
        request->refusal = rejoin_strdup("InvalidRequestException: not served by the coordinator");
        close_connection(session, request);
        return;
    }
    if (!session->entropy_used)
        return;
    if (from_list)
        session->uuid_next++;
    else
        session->random = after;
}

bool core_finish_answered(struct core_session *session)
{
    for (struct core_request *request = session->requests; request != NULL; request = request->next)
        if (request->answered) {
            finish(session, request);
            return true;
        }
    return false;
}

/* Its answer never comes. */
static bool is_forgotten(const struct core_session *session, const struct core_request *request)
{
    return request->closed && session->tells_disconnects;
}

void core_op_request(struct core_session *session, const json_t *op)
{
    struct core_request *request = read_request(session, op);
    if (request == NULL)
        return;
    bool busy = false;
    struct core_request **link = &session->requests;
    for (; *link != NULL; link = &(*link)->next)
        busy = busy || ((*link)->connection == request->connection && !is_forgotten(session, *link));
    *link = request;
    if (!busy || !session->ordered)
        dispatch(session, request);
}

void core_op_disconnect(struct core_session *session, int64_t connection)
{
    for (struct core_request *request = session->requests, *next; request != NULL; request = next) {
        next = request->next;
        if (request->connection != connection)
            continue;
        /* One that is in flight goes on: its answer, which nobody sees, ends it; or, where the coordinator is told, none
         * ever comes. */
        request->closed = true;
        if (!request->in_flight) {
            finish(session, request);
        } else if (session->tells_disconnects) {
            struct rj_event event = {.type = RJ_EVENT_DISCONNECT, .as.disconnect = {request->id}};
            core_step(session, &event);
        }
    }
}
