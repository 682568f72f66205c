/* What surrounds the virtual coordinator: its settings, topics and rights. */
#include "core/core.h"

#include "support/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const int64_t default_start_ms = 1700000000000;

static void reset(struct core_session *session)
{
    rj_coord_destroy(session->coord);
    session->coord = NULL;
    core_forget_requests(session);
    rj_arena_reset(&session->log_arena);
    rj_arena_reset(&session->topic_arena[0]);
    rj_arena_reset(&session->topic_arena[1]);
    json_object_clear(session->saved);
    free(session->rights);
    session->rights = NULL;
    session->right_count = 0;
    session->denies = false;
    session->log_count = 0;
    session->uuid_count = session->uuid_next = 0;
    session->fail_count = 0;
    session->uncommitted_count = 0;
    session->topics[0] = session->topics[1] = (struct rj_topic_table){NULL, 0};
}

void core_open(struct core_session *session, FILE *out)
{
    memset(session, 0, sizeof(*session));
    session->out = out;
    session->saved = json_object();
    rj_arena_init(&session->log_arena, &rejoin_heap, SIZE_MAX);
    rj_arena_init(&session->topic_arena[0], &rejoin_heap, SIZE_MAX);
    rj_arena_init(&session->topic_arena[1], &rejoin_heap, SIZE_MAX);
}

void core_close(struct core_session *session)
{
    reset(session);
    rj_arena_release(&session->log_arena);
    rj_arena_release(&session->topic_arena[0]);
    rj_arena_release(&session->topic_arena[1]);
    json_decref(session->saved);
    free(session->log);
    free(session->uuids);
    free(session->uncommitted);
}

/* ---- Settings ---------------------------------------------------------------------------------------------------- */

static int64_t setting(const json_t *op, const char *alias, const char *property, int64_t otherwise)
{
    const json_t *value = json_object_get(op, alias);
    const json_t *by_property = json_object_get(json_object_get(op, "props"), property);
    value = by_property ? by_property : value;
    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : otherwise;
}

static void read_settings(struct rj_config *config, const json_t *op)
{
    enum { MS_PER_MINUTE = 60000 };
    const char *release = json_string_value(json_object_get(op, "kafka_version"));
    rj_config_init(config);
    if (release != NULL)
        rj_config_for_release(config, (struct rj_string){release, (int32_t)strlen(release)});
    config->group_initial_rebalance_delay_ms =
        (int32_t)setting(op, "initial_delay_ms", "group.initial.rebalance.delay.ms", 3000);
    config->group_min_session_timeout_ms =
        (int32_t)setting(op, "min_session_ms", "group.min.session.timeout.ms", config->group_min_session_timeout_ms);
    config->group_max_session_timeout_ms =
        (int32_t)setting(op, "max_session_ms", "group.max.session.timeout.ms", config->group_max_session_timeout_ms);
    config->group_max_size = (int32_t)setting(op, "max_size", "group.max.size", INT32_MAX);
    config->offsets_retention_ms =
        MS_PER_MINUTE * setting(op, "offsets_retention_minutes", "offsets.retention.minutes", 10080);
    config->offsets_retention_check_interval_ms =
        setting(op, "", "offsets.retention.check.interval.ms", config->offsets_retention_check_interval_ms);
    config->offsets_commit_timeout_ms =
        (int32_t)setting(op, "", "offsets.commit.timeout.ms", config->offsets_commit_timeout_ms);
    config->offset_metadata_max_bytes =
        (int32_t)setting(op, "", "offset.metadata.max.bytes", config->offset_metadata_max_bytes);
    config->new_member_join_timeout_ms =
        (int32_t)setting(op, "", "group.new.member.join.timeout.ms", config->new_member_join_timeout_ms);
}

static bool flag(const json_t *op, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(op, name);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

void core_op_config(struct core_session *session, const json_t *op)
{
    int64_t max_size = setting(op, "max_size", "group.max.size", INT32_MAX);
    if (max_size < 1) { /* a broker does not start with it */
        core_error(session, "ConfigException: Invalid value %" PRId64 " for configuration group.max.size: Value must be "
                   "at least 1", max_size);
        return;
    }
    reset(session);
    read_settings(&session->config, op);
    const json_t *seed = json_object_get(op, "seed"), *start = json_object_get(op, "start_ms");
    java_random_seed(&session->random, json_is_integer(seed) ? json_integer_value(seed) : 0);
    session->start_ms = json_is_integer(start) ? json_integer_value(start) : default_start_ms;
    session->now_ms = session->start_ms;
    session->auto_commit = flag(op, "auto_commit", true);
    session->ordered = flag(op, "ordered", true);
    session->quiet = flag(op, "quiet", false);
    session->records_always = flag(op, "records", false);
    session->trace = flag(op, "trace", false);
    session->changes = flag(op, "changes", false);
    session->tells_disconnects = flag(op, "tells_disconnects", false);
    struct rj_limits limits;
    rj_limits_init(&limits);
    limits.groups = (int32_t)setting(op, "limit_groups", "", limits.groups);
    if (rj_coord_create(&session->coord, &rejoin_heap, &limits, &session->config) != RJ_OK)
        abort();
    session->is_unloaded = true;
    core_op_load(session, true);
}

/* ---- Topics ------------------------------------------------------------------------------------------------------ */

static int compare_topics(const void *a, const void *b)
{
    struct rj_string x = ((const struct rj_topic *)a)->name, y = ((const struct rj_topic *)b)->name;
    int order = memcmp(x.data, y.data, (size_t)(x.len < y.len ? x.len : y.len));
    return order ? order : x.len - y.len;
}

/* Where the operation gives no id: a fixed one. */
static struct rj_uuid id_for(const char *name)
{
    struct rj_uuid id;
    struct java_random random;
    int64_t seed = 0;
    for (const char *c = name; *c != 0; c++)
        seed = seed * 131 + *c;
    java_random_seed(&random, seed);
    java_random_bytes(&random, id.bytes, sizeof(id.bytes));
    return id;
}

static struct rj_topic *find_topic(struct rj_topic *topics, int32_t count, const char *name)
{
    for (int32_t i = 0; name != NULL && i < count; i++)
        if (rj_string_equal(topics[i].name, (struct rj_string){name, (int32_t)strlen(name)}))
            return &topics[i];
    return NULL;
}

static void put_topic(struct rj_arena *arena, struct rj_topic *topics, int32_t *count, const json_t *from)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    const char *id = json_string_value(json_object_get(from, "id"));
    int32_t partitions = (int32_t)json_integer_value(json_object_get(from, "partitions"));
    if (name == NULL)
        return;
    struct rj_uuid topic_id;
    bool has_id = id != NULL && core_parse_uuid(id, &topic_id), ok = true;
    struct rj_topic *topic = find_topic(topics, *count, name);
    if (topic == NULL || (has_id && !rj_uuid_equal(&topic->topic_id, &topic_id))) {
        topic = topic ? topic : &topics[(*count)++];
        struct rj_string view = {name, (int32_t)strlen(name)};
        *topic = (struct rj_topic){.name = rj_arena_copy_string(arena, view, &ok),
                                   .topic_id = has_id ? topic_id : id_for(name)};
    }
    if (partitions > topic->partition_count)
        topic->partition_count = partitions;
}

void core_op_topics(struct core_session *session, const json_t *op)
{
    const json_t *added = json_object_get(op, "topics"), *deleted = json_object_get(op, "delete"), *one;
    size_t i;
    /* The coordinator compares the new table with the one it has. */
    const struct rj_topic_table *now = &session->topics[session->topic_table];
    int other = !session->topic_table;
    struct rj_arena *arena = &session->topic_arena[other];
    rj_arena_reset(arena);
    struct rj_topic *topics =
        rj_arena_alloc(arena, ((size_t)now->count + json_array_size(added)) * sizeof(*topics));
    int32_t count = 0;
    bool ok = true;
    for (int32_t k = 0; k < now->count; k++) {
        topics[count] = now->items[k];
        topics[count].name = rj_arena_copy_string(arena, topics[count].name, &ok);
        bool gone = false;
        json_array_foreach (deleted, i, one)
            gone = gone || find_topic(&topics[count], 1, json_string_value(one)) != NULL;
        count += !gone;
    }
    json_array_foreach (added, i, one)
        put_topic(arena, topics, &count, one);
    qsort(topics, (size_t)count, sizeof(*topics), compare_topics);
    session->topics[other] = (struct rj_topic_table){topics, count};
    session->topic_table = other;
    struct rj_event event = {.type = RJ_EVENT_TOPIC_METADATA, .as.topic_metadata = {&session->topics[other]}};
    core_step(session, &event);
}

/* ---- Rights: everything is allowed but what "deny" lists --------------------------------------------------------- */

static const struct { const char *name; int code; } types[] = {
    {"TOPIC", RJ_RESOURCE_TOPIC}, {"GROUP", RJ_RESOURCE_GROUP}, {"CLUSTER", RJ_RESOURCE_CLUSTER},
    {"TRANSACTIONAL_ID", RJ_RESOURCE_TRANSACTIONAL_ID}}, operations[] = {
    {"ALL", RJ_OPERATION_ALL}, {"READ", RJ_OPERATION_READ}, {"WRITE", RJ_OPERATION_WRITE},
    {"CREATE", RJ_OPERATION_CREATE}, {"DELETE", RJ_OPERATION_DELETE}, {"ALTER", RJ_OPERATION_ALTER},
    {"DESCRIBE", RJ_OPERATION_DESCRIBE}};

static void add_right(struct core_session *session, struct rj_right right)
{
    session->rights = rejoin_realloc(session->rights, (session->right_count + 1) * sizeof(*session->rights));
    session->rights[session->right_count++] = right;
}

static void deny(struct core_session *session, const json_t *rule)
{
    const char *type = json_string_value(json_object_get(rule, "type")), *operation =
        json_string_value(json_object_get(rule, "op")), *name = json_string_value(json_object_get(rule, "name"));
    struct rj_right right = {.is_deny = true, .operation = RJ_OPERATION_ALL, .name = RJ_STRING("*")};
    bool ok = true;
    for (size_t i = 0; operation != NULL && i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].name, operation) == 0)
            right.operation = (enum rj_operation)operations[i].code;
    if (name != NULL)
        right.name = rj_arena_copy_string(&session->log_arena, (struct rj_string){name, (int32_t)strlen(name)}, &ok);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (type != NULL && strcmp(types[i].name, type) != 0)
            continue;
        right.resource_type = (enum rj_resource_type)types[i].code;
        add_right(session, right);
    }
}

void core_op_deny(struct core_session *session, const json_t *op)
{
    free(session->rights);
    session->rights = NULL;
    session->right_count = 0;
    session->denies = true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        add_right(session, (struct rj_right){.resource_type = (enum rj_resource_type)types[i].code,
                                             .operation = RJ_OPERATION_ALL, .name = RJ_STRING("*")});
    const json_t *rules = json_object_get(op, "rules"), *rule;
    size_t i;
    if (rules == NULL)
        deny(session, NULL);
    json_array_foreach (rules, i, rule)
        deny(session, rule);
}
