/* What actors learn from answers, and what clients can see of a group. */
#include "lib/world.h"

#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors in answers --------------------------------------------------------------------------------------------- */

struct any_array { const uint8_t *items; int32_t count; };

static int16_t first_error(const struct rj_schema_struct *structure, int16_t version, const uint8_t *element)
{
    for (uint32_t i = 0; i < structure->field_count; i++) {
        const struct rj_schema_field *field = &structure->fields[i];
        if (!rj_in_range(field->versions, version))
            continue;
        int16_t error_code = 0;
        if (field->type == RJ_TYPE_INT16 && strcmp(field->name, "errorCode") == 0) {
            memcpy(&error_code, element + field->offset, sizeof(error_code));
        } else if (field->type == RJ_TYPE_STRUCT && (field->flags & RJ_FIELD_ARRAY)) {
            struct any_array array;
            memcpy(&array, element + field->offset, sizeof(array));
            for (int32_t j = 0; j < array.count && error_code == 0; j++)
                error_code = first_error(field->element, version, array.items + (size_t)j * field->element->size);
        }
        if (error_code != 0)
            return error_code;
    }
    return 0;
}

int16_t world_error_of(int16_t api_key, int16_t version, const void *body)
{
    return first_error(rj_response_schema(api_key)->root, version, body);
}

/* ---- Learning ------------------------------------------------------------------------------------------------------- */

static void learn_member_id(struct world_actor *actor, uint8_t group, struct rj_string id)
{
    if (id.len == 0 || id.len >= WORLD_ID_LEN || rj_string_equal(id, world_string(actor->member_id[group])))
        return;
    if (actor->member_id[group][0] != '\0')
        memcpy(actor->stale_id[group], actor->member_id[group], WORLD_ID_LEN);
    memcpy(actor->member_id[group], id.data, (size_t)id.len);
    actor->member_id[group][id.len] = '\0';
}

void world_learn(struct world *world, struct world_actor *actor, uint8_t group, int16_t api_key, const void *body,
                 int16_t error_code)
{
    (void)world;
    if (api_key == RJ_API_JOIN_GROUP) {
        const struct rj_join_group_response *joined = body;
        if (error_code == 0 || error_code == RJ_KAFKA_MEMBER_ID_REQUIRED)
            learn_member_id(actor, group, joined->member_id);
        if (error_code == 0) {
            actor->generation_id[group] = joined->generation_id;
            actor->leads[group] = rj_string_equal(joined->leader, joined->member_id);
        }
    }
    bool forgets = error_code == RJ_KAFKA_UNKNOWN_MEMBER_ID || error_code == RJ_KAFKA_FENCED_INSTANCE_ID ||
                   (api_key == RJ_API_LEAVE_GROUP && error_code == 0);
    if (forgets && actor->member_id[group][0] != '\0') {
        memcpy(actor->stale_id[group], actor->member_id[group], WORLD_ID_LEN);
        actor->member_id[group][0] = '\0';
        actor->generation_id[group] = -1;
        actor->leads[group] = false;
    }
}

/* ---- Seeing --------------------------------------------------------------------------------------------------------- */

/* Asks as a client that no checker sees; the answer is printed at once. */
static void ask(struct world *world, int16_t api_key, int16_t version, const void *body, struct fuzz_text *text)
{
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .now_ms = world->now_ms};
    event.as.request.connection_id = UINT64_MAX;
    event.as.request.api_key = api_key;
    event.as.request.version = version;
    event.as.request.client_host = RJ_STRING("/127.0.0.1");
    event.as.request.body = body;
    struct rj_update update;
    uint64_t fail_at = world->heap.fail_at;
    bool failed = world->heap.failed;
    world->heap.fail_at = 0;
    enum rj_err err = rj_step(world->coord, &event, &update);
    world->heap.fail_at = fail_at;
    world->heap.failed = failed;
    FUZZ_REQUIRE(err == RJ_OK && update.reply_count == 1, "describe", "%s: %d replies", rj_api_name(api_key),
                 update.reply_count);
    struct rj_writer writer = fuzz_text_writer(text);
    rj_print_json(rj_response_schema(api_key), version, update.replies[0].body, &writer);
    fuzz_text_add(text, "\n", 1);
}

char *world_describe(struct world *world, uint8_t group, bool offsets_only)
{
    struct fuzz_text text = {NULL, 0, 0};
    struct rj_string name = world_string(world_group_id(group));
    if (!offsets_only) {
        struct rj_describe_groups_request describe;
        rj_message_init(&rj_describe_groups_request_schema, &describe);
        describe.groups = (struct rj_string_array){&name, 1};
        ask(world, RJ_API_DESCRIBE_GROUPS, 4, &describe, &text);
    }
    struct rj_offset_fetch_request fetch;
    rj_message_init(&rj_offset_fetch_request_schema, &fetch);
    fetch.group_id = name;
    fetch.topics = (struct rj_offset_fetch_request_topic_array){NULL, -1};
    ask(world, RJ_API_OFFSET_FETCH, 5, &fetch, &text);
    char *copy = rj_arena_alloc(&world->scratch, text.len + 1);
    memcpy(copy, text.data, text.len + 1);
    free(text.data);
    return copy;
}
