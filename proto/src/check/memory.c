/* Lists, interned strings, kept messages, and finding things. */
#include "check/state.h"

#include <string.h>

void *rj_checker_alloc(struct rj_checker *checker, size_t size)
{
    void *memory = checker->allocator.alloc(checker->allocator.context, size);
    if (memory == NULL)
        checker->out_of_memory = true;
    else
        memset(memory, 0, size);
    return memory;
}

void rj_checker_free(struct rj_checker *checker, void *memory, size_t size)
{
    if (memory != NULL)
        checker->allocator.free(checker->allocator.context, memory, size);
}

void *rj_list_add(struct rj_checker *checker, struct list *list, size_t item_size)
{
    if (list->count == list->capacity) {
        int32_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        char *items = rj_checker_alloc(checker, (size_t)capacity * item_size);
        if (items == NULL)
            return NULL;
        if (list->count > 0)
            memcpy(items, list->items, (size_t)list->count * item_size);
        rj_checker_free(checker, list->items, (size_t)list->capacity * item_size);
        list->items = items;
        list->capacity = capacity;
        list->item_size = item_size;
    }
    void *item = (char *)list->items + (size_t)list->count++ * item_size;
    memset(item, 0, item_size);
    return item;
}

void rj_list_remove(struct list *list, int32_t index)
{
    char *at = (char *)list->items + (size_t)index * list->item_size;
    memmove(at, at + list->item_size, (size_t)(list->count - index - 1) * list->item_size);
    list->count--;
}

void rj_list_release(struct rj_checker *checker, struct list *list)
{
    rj_checker_free(checker, list->items, (size_t)list->capacity * list->item_size);
    *list = (struct list){0};
}

/* ---- Strings ----------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(struct rj_string text)
{
    uint32_t hash = 2166136261u;
    for (int32_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 16777619u;
    return hash;
}

static struct string_entry *entry_for(struct string_entry *table, uint32_t size, struct rj_string text, uint32_t hash)
{
    uint32_t at = hash & (size - 1);
    while (table[at].text.data != NULL && (table[at].hash != hash || !rj_string_equal(table[at].text, text)))
        at = (at + 1) & (size - 1);
    return &table[at];
}

static bool grow_table(struct rj_checker *checker)
{
    uint32_t size = checker->table_size == 0 ? 64 : checker->table_size * 2;
    struct string_entry *table = rj_checker_alloc(checker, size * sizeof(*table));
    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < checker->table_size; i++)
        if (checker->table[i].text.data != NULL)
            *entry_for(table, size, checker->table[i].text, checker->table[i].hash) = checker->table[i];
    rj_checker_free(checker, checker->table, checker->table_size * sizeof(*table));
    checker->table = table;
    checker->table_size = size;
    return true;
}

struct rj_string rj_intern(struct rj_checker *checker, struct rj_string text)
{
    bool ok = true;
    if (text.data == NULL || text.len == 0)
        return RJ_EMPTY_STRING;
    if (checker->table_used * 2 >= checker->table_size && !grow_table(checker))
        return RJ_EMPTY_STRING;
    uint32_t hash = hash_of(text);
    struct string_entry *entry = entry_for(checker->table, checker->table_size, text, hash);
    if (entry->text.data == NULL) {
        struct rj_string copy = rj_arena_copy_string(&checker->strings, text, &ok);
        if (!ok) {
            checker->out_of_memory = true;
            return RJ_EMPTY_STRING;
        }
        *entry = (struct string_entry){copy, hash};
        checker->table_used++;
    }
    return entry->text;
}

/* ---- Kept messages ----------------------------------------------------------------------------------------------- */

struct kept_message *rj_keep_message(struct rj_checker *checker, const struct rj_check_message *message,
                                     const struct rj_message_schema *schema)
{
    struct kept_message *kept = rj_checker_alloc(checker, sizeof(*kept));
    if (kept == NULL)
        return NULL;
    kept->holders = 1;
    kept->schema = schema;
    kept->stream = message->stream;
    kept->frame = message->frame;
    kept->time_ms = message->time_ms;
    kept->api_key = message->api_key;
    kept->version = message->version;
    kept->correlation_id = message->correlation_id;
    kept->client_id = rj_intern(checker, message->client_id);
    rj_arena_init(&kept->arena, &checker->allocator, SIZE_MAX);
    if (schema != NULL && message->body != NULL) {
        kept->body = rj_arena_alloc(&kept->arena, schema->root->size);
        if (kept->body == NULL || rj_copy_message(schema, message->body, &kept->arena, kept->body) != RJ_OK) {
            checker->out_of_memory = true;
            kept->body = NULL;
        }
    }
    return kept;
}

struct kept_message *rj_hold(struct kept_message *message)
{
    if (message != NULL)
        message->holders++;
    return message;
}

void rj_let_go(struct rj_checker *checker, struct kept_message **message)
{
    struct kept_message *kept = *message;
    *message = NULL;
    if (kept == NULL || --kept->holders > 0)
        return;
    rj_arena_release(&kept->arena);
    rj_checker_free(checker, kept, sizeof(*kept));
}

/* ---- Finding things ---------------------------------------------------------------------------------------------- */

struct stream *rj_stream_of(struct rj_checker *checker, uint64_t id)
{
    if (checker->latest_stream != NULL && checker->latest_stream->id == id)
        return checker->latest_stream;
    struct stream *stream = NULL;
    for (int32_t i = checker->streams.count - 1; i >= 0 && stream == NULL; i--)
        if ((*LIST_AT(&checker->streams, struct stream *, i))->id == id)
            stream = *LIST_AT(&checker->streams, struct stream *, i);
    if (stream == NULL) {
        stream = rj_checker_alloc(checker, sizeof(*stream));
        struct stream **entry = stream ? rj_list_add(checker, &checker->streams, sizeof(*entry)) : NULL;
        if (entry == NULL) {
            rj_checker_free(checker, stream, sizeof(*stream));
            return NULL;
        }
        *entry = stream;
        stream->id = id;
        stream->from_start = checker->config.from_start;
        stream->client_id = RJ_EMPTY_STRING;
    }
    return checker->latest_stream = stream;
}

struct group *rj_check_group_of(struct rj_checker *checker, struct rj_string id)
{
    id = rj_intern(checker, id);
    for (int32_t i = 0; i < checker->groups.count; i++)
        if (same((*LIST_AT(&checker->groups, struct group *, i))->id, id))
            return *LIST_AT(&checker->groups, struct group *, i);
    struct group *group = rj_checker_alloc(checker, sizeof(*group));
    struct group **entry = group ? rj_list_add(checker, &checker->groups, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        rj_checker_free(checker, group, sizeof(*group));
        return NULL;
    }
    *entry = group;
    group->id = id;
    group->began = checker->config.from_start;
    group->trigger_ms = INT64_MAX;
    return group;
}

struct member *rj_find_member(const struct group *group, struct rj_string id)
{
    for (int32_t i = group->members.count - 1; i >= 0; i--)
        if (same((*LIST_AT(&group->members, struct member *, i))->id, id))
            return *LIST_AT(&group->members, struct member *, i);
    return NULL;
}

struct member *rj_find_instance(const struct group *group, struct rj_string instance_id)
{
    for (int32_t i = group->members.count - 1; i >= 0; i--) {
        struct member *member = *LIST_AT(&group->members, struct member *, i);
        if (same(member->instance_id, instance_id) && member->state == MEMBER_IN)
            return member;
    }
    return NULL;
}

struct member *rj_add_member(struct rj_checker *checker, struct group *group, struct rj_string id)
{
    struct member *member = rj_checker_alloc(checker, sizeof(*member));
    struct member **entry = member ? rj_list_add(checker, &group->members, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        rj_checker_free(checker, member, sizeof(*member));
        return NULL;
    }
    *entry = member;
    member->id = id;
    member->group = group;
    member->instance_id = member->client_id = RJ_EMPTY_STRING;
    member->session_timeout_low_ms = INT32_MAX;
    return member;
}

struct generation *rj_find_generation(const struct group *group, int32_t id)
{
    for (int32_t i = group->generations.count - 1; i >= 0; i--)
        if ((*LIST_AT(&group->generations, struct generation *, i))->id == id)
            return *LIST_AT(&group->generations, struct generation *, i);
    return NULL;
}

static void release_generation(struct rj_checker *checker, struct generation *generation)
{
    rj_list_release(checker, &generation->accepted);
    rj_let_go(checker, &generation->list);
    rj_let_go(checker, &generation->plan);
    rj_checker_free(checker, generation, sizeof(*generation));
}

enum { GENERATIONS_KEPT = 8 };

struct generation *rj_add_generation(struct rj_checker *checker, struct group *group, int32_t id)
{
    struct generation *generation = rj_checker_alloc(checker, sizeof(*generation));
    struct generation **entry = generation ? rj_list_add(checker, &group->generations, sizeof(*entry)) : NULL;
    if (entry == NULL) {
        rj_checker_free(checker, generation, sizeof(*generation));
        return NULL;
    }
    *entry = generation;
    generation->id = id;
    generation->protocol_type = generation->protocol_name = generation->leader = RJ_EMPTY_STRING;
    generation->list_receiver = RJ_EMPTY_STRING;
    if (group->generations.count > GENERATIONS_KEPT) {
        release_generation(checker, *LIST_AT(&group->generations, struct generation *, 0));
        rj_list_remove(&group->generations, 0);
    }
    return generation;
}

struct topic *rj_find_topic(struct rj_checker *checker, struct rj_string name)
{
    for (int32_t i = 0; i < checker->topics.count; i++)
        if (same(LIST_AT(&checker->topics, struct topic, i)->name, name))
            return LIST_AT(&checker->topics, struct topic, i);
    return NULL;
}

const struct topic *rj_find_topic_id(const struct rj_checker *checker, const struct rj_uuid *id)
{
    for (int32_t i = 0; i < checker->topics.count; i++)
        if (rj_uuid_equal(&LIST_AT(&checker->topics, struct topic, i)->id, id))
            return LIST_AT(&checker->topics, struct topic, i);
    return NULL;
}

bool rj_was_given(const struct member *member, int32_t generation)
{
    for (int32_t i = member->generations.count - 1; i >= 0; i--)
        if (LIST_AT(&member->generations, struct given, i)->generation == generation)
            return true;
    return false;
}

bool rj_has_partition(const struct list *partitions, struct partition partition)
{
    for (int32_t i = 0; i < partitions->count; i++) {
        const struct partition *one = LIST_AT(partitions, struct partition, i);
        if (one->index == partition.index && same(one->topic, partition.topic))
            return true;
    }
    return false;
}

/* ---- Giving everything back -------------------------------------------------------------------------------------- */

static void release_stream(struct rj_checker *checker, struct stream *stream)
{
    for (int32_t i = 0; i < stream->pending.count; i++)
        rj_let_go(checker, LIST_AT(&stream->pending, struct kept_message *, i));
    rj_list_release(checker, &stream->pending);
    rj_list_release(checker, &stream->ranges);
    rj_list_release(checker, &stream->expectations);
    rj_list_release(checker, &stream->groups);
    rj_list_release(checker, &stream->coordinators_asked);
    rj_checker_free(checker, stream, sizeof(*stream));
}

static void release_member(struct rj_checker *checker, struct member *member)
{
    rj_let_go(checker, &member->latest_join);
    rj_let_go(checker, &member->accepted_join);
    rj_list_release(checker, &member->generations);
    rj_list_release(checker, &member->assignment);
    rj_list_release(checker, &member->previous_assignment);
    rj_checker_free(checker, member, sizeof(*member));
}

static void release_group(struct rj_checker *checker, struct group *group)
{
    for (int32_t i = 0; i < group->members.count; i++)
        release_member(checker, *LIST_AT(&group->members, struct member *, i));
    for (int32_t i = 0; i < group->generations.count; i++)
        release_generation(checker, *LIST_AT(&group->generations, struct generation *, i));
    for (int32_t i = 0; i < group->slots.count; i++)
        rj_list_release(checker, &LIST_AT(&group->slots, struct slot, i)->commits);
    rj_list_release(checker, &group->members);
    rj_list_release(checker, &group->generations);
    rj_list_release(checker, &group->slots);
    rj_checker_free(checker, group, sizeof(*group));
}

void rj_check_destroy(struct rj_checker *checker)
{
    if (checker == NULL)
        return;
    for (int32_t i = 0; i < checker->streams.count; i++)
        release_stream(checker, *LIST_AT(&checker->streams, struct stream *, i));
    for (int32_t i = 0; i < checker->groups.count; i++)
        release_group(checker, *LIST_AT(&checker->groups, struct group *, i));
    rj_list_release(checker, &checker->streams);
    rj_list_release(checker, &checker->groups);
    rj_list_release(checker, &checker->topics);
    rj_list_release(checker, &checker->resumes);
    rj_list_release(checker, &checker->violations);
    rj_checker_free(checker, checker->table, checker->table_size * sizeof(*checker->table));
    rj_arena_release(&checker->strings);
    rj_arena_release(&checker->scratch);
    struct rj_allocator allocator = checker->allocator;
    allocator.free(allocator.context, checker, sizeof(*checker));
}
