/* The log of the sequence target: what the coordinator asks to append, and the coordinator rebuilt from it. */
#include "lib/world.h"

#include <stdlib.h>
#include <string.h>

static const struct rj_message_schema *record_schema(int16_t record_type, enum rj_message_kind kind)
{
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (rj_all_schemas[i]->kind == kind && rj_all_schemas[i]->api_key == record_type)
            return rj_all_schemas[i];
    return NULL;
}

static uint8_t *encode_part(const struct rj_message_schema *schema, int16_t version, const void *part, size_t *len)
{
    struct rj_fault fault;
    FUZZ_REQUIRE(schema != NULL, "record-type", "no such record type");
    enum rj_err err = rj_encoded_len(schema, version, part, len, &fault);
    FUZZ_REQUIRE(err == RJ_OK, "record-encode", "%s v%d: %s at %s", schema->name, version, rj_err_name(err), fault.field);
    uint8_t *bytes = malloc(*len ? *len : 1);
    if (bytes == NULL)
        abort();
    rj_encode(schema, version, part, bytes, *len, len, &fault);
    return bytes;
}

void world_keep_records(struct world *world, const struct rj_append *append)
{
    FUZZ_REQUIRE(world->append_count == 0 ||
                 world->appends[(world->append_head + world->append_count - 1) % WORLD_MAX_APPENDS].append_id !=
                     append->append_id, "append-id", "an id that comes twice");
    FUZZ_REQUIRE(append->append_id != 0 || (world->append_count == 0 && !world->appends_wait), "append-assured",
                 "taken for granted behind %u others", world->append_count);
    if (world->append_count == WORLD_MAX_APPENDS || world->record_count + (uint32_t)append->record_count > WORLD_MAX_RECORDS)
        fuzz_fail("append-flood", "%u appends, %u records", world->append_count, world->record_count);
    if (append->append_id != 0)
        world->appends[(world->append_head + world->append_count++) % WORLD_MAX_APPENDS] =
            (struct world_append){append->append_id, world->record_count, (uint32_t)append->record_count};
    for (int32_t i = 0; i < append->record_count; i++) {
        const struct rj_offsets_record *from = &append->records[i];
        struct world_record *record = &world->records[world->record_count++];
        *record = (struct world_record){.record_type = from->record_type, .value_version = from->value_version,
                                        .producer_id = append->producer_id};
        const struct rj_message_schema *key = record_schema(from->record_type, RJ_MESSAGE_KEY);
        record->key = encode_part(key, key != NULL ? key->versions.low : 0, from->key, &record->key_len);
        if (from->value != NULL)
            record->value = encode_part(record_schema(from->record_type, RJ_MESSAGE_VALUE), from->value_version,
                                        from->value, &record->value_len);
    }
    if (append->append_id == 0)
        world->acknowledged_count = world->record_count;
}

static void drop_record(struct world_record *record)
{
    free(record->key);
    free(record->value);
}

/* The oldest append that waits. A failed one leaves no records. */
void world_resolve_append(struct world *world, int16_t error_code)
{
    struct world_append append = world->appends[world->append_head];
    world->append_head = (world->append_head + 1) % WORLD_MAX_APPENDS;
    world->append_count--;
    if (error_code == 0) {
        world->acknowledged_count = append.first_record + append.record_count;
    } else {
        for (uint32_t i = 0; i < append.record_count; i++)
            drop_record(&world->records[append.first_record + i]);
        uint32_t behind = append.first_record + append.record_count;
        memmove(&world->records[append.first_record], &world->records[behind],
                (world->record_count - behind) * sizeof(world->records[0]));
        world->record_count -= append.record_count;
        for (uint32_t i = 0; i < world->append_count; i++)
            world->appends[(world->append_head + i) % WORLD_MAX_APPENDS].first_record -= append.record_count;
    }
    struct rj_event event = {.type = RJ_EVENT_APPEND_RESULT};
    fuzz_trace("%lld  append %llu of %u records: error %d", (long long)world->now_ms,
               (unsigned long long)append.append_id, append.record_count, error_code);
    event.as.append_result.append_id = append.append_id;
    event.as.append_result.error_code = error_code;
    world_step(world, &event);
}

/* The broker writes it behind everything that was appended before. */
void world_keep_marker(struct world *world, int64_t producer_id, bool commits)
{
    while (world->append_count > 0)
        world_resolve_append(world, 0);
    if (world->record_count == WORLD_MAX_RECORDS)
        return;
    world->records[world->record_count++] = (struct world_record){.producer_id = producer_id, .commits = commits};
    world->acknowledged_count = world->record_count;
}

static void load_marker(struct world *world, const struct world_record *record)
{
    struct rj_event event = {.type = RJ_EVENT_TRANSACTION_MARKER};
    event.as.transaction_marker.producer_id = record->producer_id;
    event.as.transaction_marker.commit = record->commits;
    world_step(world, &event);
}

/* ---- Loading -------------------------------------------------------------------------------------------------------- */

static const void *decode_part(const struct rj_message_schema *schema, int16_t version, const uint8_t *bytes, size_t len,
                               struct rj_arena *arena)
{
    void *part = rj_arena_alloc(arena, schema->root->size);
    enum rj_err err = rj_decode(schema, version, (struct rj_bytes){bytes, (int32_t)len}, arena, part, NULL);
    FUZZ_REQUIRE(err == RJ_OK, "record-decode", "%s v%d: %s", schema->name, version, rj_err_name(err));
    return part;
}

static const struct rj_subscription_views *views_of(const struct rj_group_metadata_value *value, struct rj_arena *arena)
{
    struct rj_subscription_views *views = rj_arena_alloc(arena, sizeof(*views));
    const struct rj_consumer_protocol_subscription **items =
        rj_arena_alloc(arena, (size_t)value->members.count * sizeof(void *));
    for (int32_t i = 0; i < value->members.count; i++)
        items[i] = world_subscription(value->members.items[i].subscription, arena);
    *views = (struct rj_subscription_views){items, value->members.count};
    return views;
}

static void load_record(struct world *world, uint32_t index)
{
    const struct world_record *record = &world->records[index];
    if (record->key == NULL) {
        load_marker(world, record);
        return;
    }
    struct rj_event event = {.type = RJ_EVENT_LOAD_RECORD};
    struct rj_offsets_record *to = &event.as.load_record.record;
    const struct rj_message_schema *key = record_schema(record->record_type, RJ_MESSAGE_KEY);
    to->record_type = record->record_type;
    to->value_version = record->value_version;
    to->key = decode_part(key, key->versions.low, record->key, record->key_len, &world->scratch);
    if (record->value != NULL)
        to->value = decode_part(record_schema(record->record_type, RJ_MESSAGE_VALUE), record->value_version,
                                record->value, record->value_len, &world->scratch);
    if (record->record_type == 2 && to->value != NULL)
        to->subscriptions = views_of(to->value, &world->scratch);
    event.as.load_record.producer_id = record->producer_id;
    event.as.load_record.log_offset = index;
    world_step(world, &event);
}

void world_load_some(struct world *world, uint32_t count)
{
    for (; count > 0 && world->loaded_count < world->acknowledged_count; count--)
        load_record(world, world->loaded_count++);
    if (world->loaded_count < world->acknowledged_count)
        return;
    world->is_loading = false;
    struct rj_event event = {.type = RJ_EVENT_LOAD_END};
    world_step(world, &event);
}

/* The appends without a result are lost with the leadership. */
static void forget_unacknowledged(struct world *world)
{
    for (uint32_t i = world->acknowledged_count; i < world->record_count; i++)
        drop_record(&world->records[i]);
    world->record_count = world->acknowledged_count;
    world->append_count = 0;
}

static void lose_and_regain(struct world *world)
{
    struct rj_event event = {.type = RJ_EVENT_UNLOAD};
    fuzz_trace("%lld  unload, then load %u records", (long long)world->now_ms, world->acknowledged_count);
    forget_unacknowledged(world);
    world_step(world, &event);
    forget_unacknowledged(world);
    memset(world->state_known, 0, sizeof(world->state_known)); /* loading tells of no states */
    event = (struct rj_event){.type = RJ_EVENT_LOAD_BEGIN};
    world_step(world, &event);
    world->is_loading = true;
    world->loaded_count = 0;
}

static int64_t members_in(const char *description)
{
    int64_t count = 0;
    for (const char *at = description; (at = strstr(at, "\"memberId\"")) != NULL; at++)
        count++;
    return count;
}

/* A group that was stable with everything acknowledged is the same after a failover, and so are all offsets. One that
 * has become too large since (its limit was lowered) rebalances: of that only the offsets are compared. */
void world_reload(struct world *world, const struct sequence_op *op)
{
    char *before[SEQUENCE_GROUPS] = {NULL};
    bool at_once = op->a < 128 && !world->is_loading;
    bool compares = at_once && world->append_count == 0;
    bool was_stable[SEQUENCE_GROUPS] = {false};
    for (uint8_t group = 0; compares && group < SEQUENCE_GROUPS; group++) {
        was_stable[group] = world->state_known[group] && world->group_state[group] == RJ_GROUP_STABLE;
        before[group] = world_describe(world, group, !was_stable[group]);
        if (was_stable[group] && members_in(before[group]) > world->config.group_max_size) {
            was_stable[group] = false;
            before[group] = world_describe(world, group, true);
        }
    }
    lose_and_regain(world);
    while (at_once && world->is_loading)
        world_load_some(world, WORLD_MAX_RECORDS);
    /* Loading may itself append (an expired member, a group over its size). */
    for (uint8_t group = 0; compares && !world->may_wedge && group < SEQUENCE_GROUPS; group++) {
        const char *after = world_describe(world, group, !was_stable[group]);
        FUZZ_REQUIRE(strcmp(before[group], after) == 0, "durability", "after a reload %s\nbecame %s", before[group], after);
    }
}

void world_end_log(struct world *world)
{
    for (uint32_t i = 0; i < world->record_count; i++)
        drop_record(&world->records[i]);
}
