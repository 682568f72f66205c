/* The state of the virtual coordinator as JSON, and its codec operations. */
#include "core/core.h"

#include "rejoin/conn.h"
#include "rejoin/inspect.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *text(struct rj_string string)
{
    return string.data ? json_stringn(string.data, (size_t)string.len) : json_null();
}

/* ---- Answers of the coordinator itself, off the record ----------------------------------------------------------- */

static json_t *ask(struct core_session *session, int16_t api_key, int16_t version, const void *body)
{
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .now_ms = session->now_ms};
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.body = body;
    struct rj_update update;
    if (rj_step(session->coord, &event, &update) != RJ_OK || update.reply_count != 1)
        return NULL;
    struct rejoin_buffer printed = {0};
    struct rj_writer writer = rejoin_buffer_writer(&printed);
    rj_print_json(rj_response_schema(api_key), version, update.replies[0].body, &writer);
    json_t *answer = json_loadb((const char *)printed.data, printed.len, 0, NULL);
    rejoin_buffer_free(&printed);
    return answer;
}

static json_t *describe(struct core_session *session, struct rj_string group_id)
{
    struct rj_describe_groups_request request = {.groups = {&group_id, 1}};
    json_t *answer = ask(session, 15, 6, &request);
    json_t *group = json_incref(json_array_get(json_object_get(answer, "groups"), 0));
    json_decref(answer);
    return group;
}

static json_t *offsets(struct core_session *session, struct rj_string group_id)
{
    struct rj_offset_fetch_request_group asked = {.group_id = group_id, .member_epoch = -1, .topics = {NULL, -1}};
    struct rj_offset_fetch_request request = {.groups = {&asked, 1}};
    json_t *answer = ask(session, 9, 9, &request), *all = json_object(), *topic, *partition;
    json_t *topics = json_object_get(json_array_get(json_object_get(answer, "groups"), 0), "topics");
    size_t i, k;
    json_array_foreach (topics, i, topic)
        json_array_foreach (json_object_get(topic, "partitions"), k, partition) {
            char name[512];
            snprintf(name, sizeof(name), "%s-%" JSON_INTEGER_FORMAT, json_string_value(json_object_get(topic, "name")),
                     json_integer_value(json_object_get(partition, "partitionIndex")));
            json_object_set(all, name, json_object_get(partition, "committedOffset"));
        }
    json_decref(answer);
    return all;
}

static json_t *listed_groups(struct core_session *session)
{
    struct rj_list_groups_request request = {.states_filter = {NULL, 0}, .types_filter = {NULL, 0}};
    json_t *answer = ask(session, 16, 5, &request), *groups = json_object(), *one;
    size_t i;
    json_array_foreach (json_object_get(answer, "groups"), i, one) {
        const char *id = json_string_value(json_object_get(one, "groupId"));
        struct rj_string group_id = {id, (int32_t)strlen(id)};
        json_object_set_new(groups, id,
                            json_pack("{s:O, s:O, s:O, s:o, s:o}", "type", json_object_get(one, "groupType"), "state",
                                      json_object_get(one, "groupState"), "protocol_type",
                                      json_object_get(one, "protocolType"), "describe", describe(session, group_id),
                                      "offsets", offsets(session, group_id)));
    }
    json_decref(answer);
    return groups;
}

/* ---- What no request shows --------------------------------------------------------------------------------------- */

static void see_group(void *context, const struct rj_group_view *group)
{
    json_t *one = json_pack("{s:s, s:i, s:o, s:o, s:[], s:{}, s:[], s:[], s:i}", "state",
                            rj_group_state_name(group->state), "generation", group->generation_id, "leader",
                            text(group->leader), "protocol", text(group->protocol_name), "members_in_map_order",
                            "static", "pending_join", "pending_sync", "awaiting_join", group->awaiting_join_count);
    json_object_setn_new(context, group->group_id.data, (size_t)group->group_id.len, one);
}

static void insert_sorted(json_t *list, json_t *name)
{
    size_t i = 0;
    while (i < json_array_size(list)
           && strcmp(json_string_value(json_array_get(list, i)), json_string_value(name)) < 0)
        i++;
    json_array_insert_new(list, i, name);
}

static void see_id(void *context, const struct rj_group_view *group, const struct rj_id_view *id)
{
    json_t *one = json_object_getn(context, group->group_id.data, (size_t)group->group_id.len);
    if (id->is_member)
        json_array_append_new(json_object_get(one, "members_in_map_order"), text(id->member_id));
    if (id->instance_id.data != NULL)
        json_object_setn_new(json_object_get(one, "static"), id->instance_id.data, (size_t)id->instance_id.len,
                             text(id->member_id));
    if (id->is_promised)
        insert_sorted(json_object_get(one, "pending_join"), text(id->member_id));
    if (id->is_pending_sync)
        insert_sorted(json_object_get(one, "pending_sync"), text(id->member_id));
}

static void see_timer(void *context, const struct rj_timer_view *timer)
{
    static const char *const names[] = {"heartbeat", "join", "sync", "OperationTimeout", "expire-group-metadata"};
    struct rejoin_buffer key = {0};
    rejoin_buffer_text(&key, names[timer->kind]);
    if (timer->group_id.data != NULL)
        rejoin_buffer_format(&key, "-%.*s", (int)timer->group_id.len, timer->group_id.data);
    if (timer->member_id.data != NULL)
        rejoin_buffer_format(&key, "-%.*s", (int)timer->member_id.len, timer->member_id.data);
    json_array_append_new(context, json_pack("{s:I, s:o}", "at_ms", (json_int_t)timer->deadline_ms, "key",
                                             json_stringn((const char *)key.data, key.len)));
    rejoin_buffer_free(&key);
}

static int earlier(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t p = json_integer_value(json_object_get(x, "at_ms")), q = json_integer_value(json_object_get(y, "at_ms"));
    if (p != q)
        return p < q ? -1 : 1;
    return strcmp(json_string_value(json_object_get(x, "key")), json_string_value(json_object_get(y, "key")));
}

static json_t *sorted_timers(struct core_session *session, json_t *timers)
{
    size_t count = json_array_size(timers);
    json_t **list = rejoin_alloc((count + 1) * sizeof(*list)), *sorted = json_array();
    for (size_t i = 0; i < count; i++) {
        list[i] = json_array_get(timers, i);
        json_t *at = json_object_get(list[i], "at_ms");
        json_integer_set(at, json_integer_value(at) - session->start_ms);
    }
    qsort(list, count, sizeof(*list), earlier);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, list[i]);
    free(list);
    json_decref(timers);
    return sorted;
}

void core_op_state(struct core_session *session)
{
    json_t *groups = listed_groups(session), *classic = json_object(), *timers = json_array();
    rj_inspect(session->coord, &(struct rj_inspector){.context = classic, .group = see_group, .id = see_id});
    rj_inspect(session->coord, &(struct rj_inspector){.context = timers, .timer = see_timer});
    json_t *state = json_pack("{s:{s:I, s:o, s:o, s:o, s:{s:I}}}", "state", "at_ms",
                              (json_int_t)(session->now_ms - session->start_ms), "groups", groups, "classic", classic,
                              "timers", sorted_timers(session, timers), "log_end", "0",
                              (json_int_t)session->log_count);
    json_dumpf(state, session->out, JSON_COMPACT);
    fputc('\n', session->out);
    json_decref(state);
}

/* ---- Codec only -------------------------------------------------------------------------------------------------- */

void core_op_encode(struct core_session *session, const json_t *op)
{
    int16_t api_key = core_api_key(json_object_get(op, "api"));
    int16_t version = (int16_t)json_integer_value(json_object_get(op, "version"));
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    if (schema == NULL || !rj_in_range(schema->versions, version)) {
        core_error(session, "unknown api or version");
        return;
    }
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    const json_t *given = json_object_get(op, "body");
    char *body = json_is_object(given) ? json_dumps(given, JSON_COMPACT) : rejoin_strdup("{}");
    void *message = rj_arena_alloc(&arena, schema->root->size);
    struct rj_fault fault = {.err = RJ_OK};
    const char *client_id = json_string_value(json_object_get(op, "client_id"));
    client_id = client_id ? client_id : "c";
    enum rj_err err = rj_parse_json(schema, version, (struct rj_string){body, (int32_t)strlen(body)}, &arena, message,
                                    &fault);
    size_t len = 0;
    struct rj_string client = {client_id, (int32_t)strlen(client_id)};
    int32_t corr = (int32_t)json_integer_value(json_object_get(op, "corr"));
    if (err == RJ_OK)
        rj_encode_request_frame(api_key, version, corr, client, message, NULL, 0, &len, NULL);
    uint8_t *bytes = rj_arena_alloc(&arena, len);
    if (err == RJ_OK)
        err = rj_encode_request_frame(api_key, version, corr, client, message, bytes, len, &len, &fault);
    if (err != RJ_OK) {
        core_error(session, "%s: %s", rj_err_name(err), fault.field);
    } else {
        fputs("{\"hex\":\"", session->out);
        for (size_t i = 4; i < len; i++)
            fprintf(session->out, "%02x", bytes[i]);
        fputs("\"}\n", session->out);
    }
    free(body);
    rj_arena_release(&arena);
}

void core_op_decode(struct core_session *session, const json_t *op)
{
    int16_t api_key = core_api_key(json_object_get(op, "api"));
    int16_t version = (int16_t)json_integer_value(json_object_get(op, "version"));
    const char *hex = json_string_value(json_object_get(op, "hex"));
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    size_t len = hex ? strlen(hex) / 2 : 0;
    uint8_t *bytes = rj_arena_alloc(&arena, len);
    for (size_t i = 0; i < len; i++) {
        unsigned value = 0;
        sscanf(hex + 2 * i, "%2x", &value);
        bytes[i] = (uint8_t)value;
    }
    struct rj_response_frame response;
    struct rj_fault fault = {.err = RJ_OK};
    enum rj_err err =
        rj_decode_response((struct rj_bytes){bytes, (int32_t)len}, api_key, version, &response, &arena, &fault);
    if (err != RJ_OK) {
        core_error(session, "%s: %s", rj_err_name(err), fault.field);
    } else {
        struct rj_writer writer = rejoin_file_writer(session->out);
        fprintf(session->out, "{\"corr\":%" PRId32 ",\"left\":0,\"body\":", response.correlation_id);
        rj_print_json(response.schema, response.version, response.body, &writer);
        fputs("}\n", session->out);
    }
    rj_arena_release(&arena);
}
