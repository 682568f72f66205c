/* The log of the virtual coordinator: what was appended, and replaying it. */
#include "core/core.h"

#include "support/memory.h"

#include <inttypes.h>
#include <string.h>

static const struct rj_message_schema *schema_of(int16_t record_type, enum rj_message_kind kind)
{
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (rj_all_schemas[i]->kind == kind && rj_all_schemas[i]->api_key == record_type)
            return rj_all_schemas[i];
    return NULL;
}

static struct core_record *new_record(struct core_session *session)
{
    if (session->log_count == session->log_size) {
        session->log_size = session->log_size ? session->log_size * 2 : 64;
        session->log = rejoin_realloc(session->log, session->log_size * sizeof(*session->log));
    }
    struct core_record *record = &session->log[session->log_count++];
    memset(record, 0, sizeof(*record));
    return record;
}

static void *copy(struct core_session *session, const struct rj_message_schema *schema, const void *message)
{
    void *to = message ? rj_arena_alloc(&session->log_arena, schema->root->size) : NULL;
    if (to != NULL && rj_copy_message(schema, message, &session->log_arena, to) != RJ_OK)
        return NULL;
    return to;
}

static void report(struct core_session *session, uint64_t append_id, int16_t error)
{
    struct rj_event event = {.type = RJ_EVENT_APPEND_RESULT, .as.append_result = {append_id, error}};
    core_step(session, &event);
}

static void remember(struct core_session *session, uint64_t append_id)
{
    if (session->uncommitted_count == session->uncommitted_size) {
        session->uncommitted_size = session->uncommitted_size ? session->uncommitted_size * 2 : 16;
        session->uncommitted =
            rejoin_realloc(session->uncommitted, session->uncommitted_size * sizeof(*session->uncommitted));
    }
    session->uncommitted[session->uncommitted_count++] = append_id;
}

void core_take_append(struct core_session *session, const struct rj_append *append)
{
    uint64_t append_id = append->append_id; /* the update goes with the next step */
    if (session->fail_count > 0) {
        session->fail_count--;
        report(session, append_id, session->fail_error);
        return;
    }
    size_t first = session->log_count;
    for (int32_t i = 0; i < append->record_count; i++) {
        const struct rj_offsets_record *from = &append->records[i];
        struct core_record *record = new_record(session);
        record->record_type = from->record_type;
        record->value_version = from->value_version;
        record->producer_id = append->producer_id;
        record->key = copy(session, schema_of(from->record_type, RJ_MESSAGE_KEY), from->key);
        record->value = copy(session, schema_of(from->record_type, RJ_MESSAGE_VALUE), from->value);
    }
    if (session->records)
        core_print_records(session, first, session->log_count);
    if (append_id == 0)
        return;
    if (session->auto_commit)
        report(session, append_id, 0);
    else
        remember(session, append_id);
}

void core_op_commit(struct core_session *session)
{
    size_t count = session->uncommitted_count;
    for (size_t i = 0; i < count; i++)
        report(session, session->uncommitted[i], 0);
    session->uncommitted_count = 0;
}

void core_append_marker(struct core_session *session, int64_t producer_id, bool commits)
{
    size_t first = session->log_count;
    struct core_record *record = new_record(session);
    record->is_marker = true;
    record->commits = commits;
    record->producer_id = producer_id;
    if (session->records)
        core_print_records(session, first, session->log_count);
}

/* "OffsetCommit" of OffsetCommitKey. */
static void print_type(FILE *out, const struct rj_message_schema *key)
{
    fprintf(out, "\"%.*s\"", (int)(strlen(key->name) - strlen("Key")), key->name);
}

static void print_record(struct core_session *session, size_t at)
{
    const struct core_record *record = &session->log[at];
    struct rj_writer writer = rejoin_file_writer(session->out);
    fprintf(session->out, "{\"offset\":%zu", at);
    if (record->producer_id >= 0)
        fprintf(session->out, ",\"producer_id\":%" PRId64, record->producer_id);
    if (record->is_marker) {
        fprintf(session->out, ",\"marker\":\"%s\"}", record->commits ? "COMMIT" : "ABORT");
        return;
    }
    const struct rj_message_schema *key = schema_of(record->record_type, RJ_MESSAGE_KEY);
    fputs(",\"type\":", session->out);
    print_type(session->out, key);
    fputs(",\"key\":", session->out);
    rj_print_json(key, 0, record->key, &writer);
    if (record->value == NULL) {
        fputs(",\"value\":null}", session->out);
        return;
    }
    fprintf(session->out, ",\"value_version\":%d,\"value\":", record->value_version);
    rj_print_json(schema_of(record->record_type, RJ_MESSAGE_VALUE), record->value_version, record->value, &writer);
    fputc('}', session->out);
}

void core_print_records(struct core_session *session, size_t from, size_t to)
{
    fprintf(session->out, "{\"offsets_partition\":%d,\"at_ms\":%" PRId64 ",\"records\":[", CORE_GROUPS_PARTITION,
            session->now_ms - session->start_ms);
    for (size_t i = from; i < to; i++) {
        if (i > from)
            fputc(',', session->out);
        print_record(session, i);
    }
    fputs("]}\n", session->out);
}

void core_op_log(struct core_session *session) { core_print_records(session, 0, session->log_count); }

/* ---- Unloading and loading --------------------------------------------------------------------------------------- */

void core_op_unload(struct core_session *session)
{
    struct rj_event event = {.type = RJ_EVENT_UNLOAD};
    session->is_unloaded = true;
    session->is_loading = false;
    core_step(session, &event);
    session->uncommitted_count = 0;
}

static void load_marker(struct core_session *session, const struct core_record *record)
{
    struct rj_event event = {.type = RJ_EVENT_TRANSACTION_MARKER,
                             .as.transaction_marker = {record->producer_id, 0, record->commits}};
    core_step(session, &event);
}

static void load_record(struct core_session *session, size_t at)
{
    const struct core_record *record = &session->log[at];
    if (record->is_marker) {
        load_marker(session, record);
        return;
    }
    struct rj_event event = {.type = RJ_EVENT_LOAD_RECORD};
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    event.as.load_record.record = (struct rj_offsets_record){
        .record_type = record->record_type, .key = record->key, .value = record->value,
        .value_version = record->value_version};
    event.as.load_record.producer_id = record->producer_id;
    event.as.load_record.log_offset = (int64_t)at;
    if (record->record_type == 2 && record->value != NULL) {
        const struct rj_group_metadata_value *value = record->value;
        struct rj_bytes *metadata = rj_arena_alloc(&arena, (size_t)value->members.count * sizeof(*metadata));
        for (int32_t i = 0; i < value->members.count; i++)
            metadata[i] = value->members.items[i].subscription;
        event.as.load_record.record.subscriptions = core_views(&arena, metadata, value->members.count);
    }
    core_step(session, &event);
    rj_arena_release(&arena);
}

void core_op_load(struct core_session *session, bool finish)
{
    if (!session->is_unloaded || session->is_loading)
        return; /* Kafka's coordinator has it already */
    session->is_loading = true;
    struct rj_event event = {.type = RJ_EVENT_LOAD_BEGIN};
    core_step(session, &event);
    if (finish)
        core_op_load_end(session);
}

void core_op_load_end(struct core_session *session)
{
    if (!session->is_loading)
        return;
    session->is_unloaded = session->is_loading = false;
    for (size_t i = 0; i < session->log_count; i++)
        load_record(session, i);
    struct rj_event event = {.type = RJ_EVENT_LOAD_END};
    core_step(session, &event);
}
