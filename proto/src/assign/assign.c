/* The entry: turns members and topics into numbers, calls the assignor, turns owners into assignments. */
#include "assign/context.h"

#include <assert.h>
#include <string.h>

static const struct { const char *name; bool cooperative; } assignors[RJ_ASSIGNOR_COUNT] = {
    [RJ_ASSIGNOR_RANGE] = {"range", false},
    [RJ_ASSIGNOR_ROUND_ROBIN] = {"roundrobin", false},
    [RJ_ASSIGNOR_STICKY] = {"sticky", false},
    [RJ_ASSIGNOR_COOPERATIVE_STICKY] = {"cooperative-sticky", true},
};

struct rj_string rj_assignor_name(enum rj_assignor assignor)
{
    return (struct rj_string){assignors[assignor].name, (int32_t)strlen(assignors[assignor].name)};
}

bool rj_assignor_by_name(struct rj_string name, enum rj_assignor *assignor)
{
    for (int i = 0; i < RJ_ASSIGNOR_COUNT; i++)
        if (rj_string_equal(name, rj_assignor_name((enum rj_assignor)i))) {
            *assignor = (enum rj_assignor)i;
            return true;
        }
    return false;
}

bool rj_assignor_is_cooperative(enum rj_assignor assignor) { return assignors[assignor].cooperative; }

void *rj_assign_alloc(struct rj_arena *arena, int64_t count, size_t size)
{
    if (count < 0 || (uint64_t)count > SIZE_MAX / 2 / size)
        return NULL;
    void *memory = rj_arena_alloc(arena, (size_t)count * size);
    if (memory != NULL)
        memset(memory, 0, (size_t)count * size);
    return memory;
}

/* Bottom-up merge sort: stable, and n log n whatever a peer sends. */
bool rj_assign_sort(struct rj_arena *arena, int32_t *items, int32_t count, assign_less less, const void *context)
{
    int32_t *from = items, *to = rj_arena_alloc(arena, (size_t)count * sizeof *to);
    if (to == NULL)
        return false;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t start = 0; start < count; start += 2 * width) {
            int64_t middle = start + width < count ? start + width : count;
            int64_t end = start + 2 * width < count ? start + 2 * width : count;
            int64_t left = start, right = middle;
            for (int64_t k = start; k < end; k++) {
                bool take_right = left == middle || (right < end && less(context, from[right], from[left]));
                to[k] = take_right ? from[right++] : from[left++];
            }
        }
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, (size_t)count * sizeof *items);
    return true;
}

static bool topic_name_less(const void *context, int32_t a, int32_t b)
{
    const struct rj_assign_topic *topics = context;
    return rj_java_compare(topics[a].name, topics[b].name) < 0;
}

static bool member_id_less(const void *context, int32_t a, int32_t b)
{
    const struct rj_assign_member *members = context;
    return rj_java_compare(members[a].member_id, members[b].member_id) < 0;
}

static bool member_info_less(const void *context, int32_t a, int32_t b)
{
    const struct rj_assign_member *left = (const struct rj_assign_member *)context + a;
    const struct rj_assign_member *right = (const struct rj_assign_member *)context + b;
    bool left_static = !rj_string_is_null(left->instance_id), right_static = !rj_string_is_null(right->instance_id);
    if (left_static != right_static)
        return left_static;
    return left_static ? rj_java_compare(left->instance_id, right->instance_id) < 0
                       : rj_java_compare(left->member_id, right->member_id) < 0;
}

static int32_t *identity(struct rj_arena *arena, int32_t count)
{
    int32_t *items = rj_assign_alloc(arena, count, sizeof *items);
    for (int32_t i = 0; items != NULL && i < count; i++)
        items[i] = i;
    return items;
}

enum rj_err rj_assign_member_order(const struct assign_context *context, int32_t **order)
{
    *order = identity(context->arena, context->member_count);
    bool ok = *order != NULL &&
              rj_assign_sort(context->arena, *order, context->member_count, member_info_less, context->members);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

int32_t rj_assign_find_topic(const struct assign_context *context, struct rj_string name)
{
    int32_t low = 0, high = context->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = rj_java_compare(context->topics[middle]->name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NO_ONE;
}

bool rj_assign_subscribes(const struct assign_context *context, int32_t member, int32_t topic)
{
    struct int_list topics = context->topics_of[member];
    int32_t low = 0, high = topics.count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (topics.items[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return low < topics.count && topics.items[low] == topic;
}

bool rj_assign_has_rack(const struct assign_context *context, int32_t partition, int32_t rack)
{
    struct int_list racks = context->racks_of[partition];
    for (int32_t i = 0; i < racks.count; i++)
        if (racks.items[i] == rack)
            return true;
    return false;
}

/* All topics with partitions, by name, each once. */
static enum rj_err take_topics(struct assign_context *context, const struct rj_assign_topic *topics, int32_t count)
{
    int32_t *order = identity(context->arena, count);
    context->topics = rj_assign_alloc(context->arena, count, sizeof *context->topics);
    if (order == NULL || context->topics == NULL ||
        !rj_assign_sort(context->arena, order, count, topic_name_less, topics))
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < count; i++) {
        const struct rj_assign_topic *topic = &topics[order[i]];
        bool repeated = context->topic_count > 0 &&
                        rj_string_equal(context->topics[context->topic_count - 1]->name, topic->name);
        if (topic->partition_count > 0 && !repeated)
            context->topics[context->topic_count++] = topic;
    }
    return RJ_OK;
}

static bool number_less(const void *context, int32_t a, int32_t b)
{
    (void)context;
    return a < b;
}

/* What each member subscribes to among context->topics. */
static enum rj_err take_subscriptions(struct assign_context *context)
{
    context->topics_of = rj_assign_alloc(context->arena, context->member_count, sizeof *context->topics_of);
    if (context->topics_of == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++) {
        struct rj_string_array names = context->members[m].subscription->topics;
        struct int_list *list = &context->topics_of[m];
        list->items = rj_assign_alloc(context->arena, names.count > 0 ? names.count : 0, sizeof *list->items);
        if (list->items == NULL)
            return RJ_ERR_MEMORY;
        int32_t found = 0;
        for (int32_t i = 0; i < names.count; i++) {
            int32_t topic = rj_assign_find_topic(context, names.items[i]);
            if (topic != NO_ONE)
                list->items[found++] = topic;
        }
        if (!rj_assign_sort(context->arena, list->items, found, number_less, NULL))
            return RJ_ERR_MEMORY;
        for (int32_t i = 0; i < found; i++)
            if (list->count == 0 || list->items[list->count - 1] != list->items[i])
                list->items[list->count++] = list->items[i];
    }
    return RJ_OK;
}

/* Leaves out the topics that nobody subscribes to, and fills what is known by topic. */
static enum rj_err narrow_topics(struct assign_context *context)
{
    int32_t *kept_as = rj_assign_alloc(context->arena, context->topic_count, sizeof *kept_as);
    int32_t *wanted = rj_assign_alloc(context->arena, context->topic_count, sizeof *wanted);
    if (kept_as == NULL || wanted == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++)
        for (int32_t i = 0; i < context->topics_of[m].count; i++)
            wanted[context->topics_of[m].items[i]]++;
    int32_t kept = 0;
    for (int32_t t = 0; t < context->topic_count; t++) {
        if (wanted[t] == 0)
            continue;
        kept_as[t] = kept;
        wanted[kept] = wanted[t];
        context->topics[kept++] = context->topics[t];
    }
    context->topic_count = kept;
    context->subscribers = rj_assign_alloc(context->arena, kept, sizeof *context->subscribers);
    if (context->subscribers == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < kept; t++) {
        context->subscribers[t].items = rj_assign_alloc(context->arena, wanted[t], sizeof(int32_t));
        if (context->subscribers[t].items == NULL)
            return RJ_ERR_MEMORY;
    }
    for (int32_t m = 0; m < context->member_count; m++)
        for (int32_t i = 0; i < context->topics_of[m].count; i++) {
            int32_t topic = kept_as[context->topics_of[m].items[i]];
            context->topics_of[m].items[i] = topic;
            context->subscribers[topic].items[context->subscribers[topic].count++] = m;
        }
    return RJ_OK;
}

static enum rj_err number_partitions(struct assign_context *context)
{
    int64_t total = 0;
    context->first_partition = rj_assign_alloc(context->arena, (int64_t)context->topic_count + 1, sizeof(int32_t));
    if (context->first_partition == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < context->topic_count; t++) {
        context->first_partition[t] = (int32_t)total;
        total += context->topics[t]->partition_count;
        if (total > INT32_MAX)
            return RJ_ERR_LIMIT;
    }
    context->partition_count = (int32_t)total;
    context->first_partition[context->topic_count] = context->partition_count;
    context->topic_of = rj_assign_alloc(context->arena, total, sizeof *context->topic_of);
    context->owner = rj_assign_alloc(context->arena, total, sizeof *context->owner);
    if (context->topic_of == NULL || context->owner == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < context->topic_count; t++)
        for (int32_t p = context->first_partition[t]; p < context->first_partition[t + 1]; p++) {
            context->topic_of[p] = t;
            context->owner[p] = NO_ONE;
        }
    return RJ_OK;
}

static enum rj_err rank_members(struct assign_context *context)
{
    int32_t *order = identity(context->arena, context->member_count);
    context->rank = rj_assign_alloc(context->arena, context->member_count, sizeof *context->rank);
    if (order == NULL || context->rank == NULL ||
        !rj_assign_sort(context->arena, order, context->member_count, member_id_less, context->members))
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < context->member_count; i++)
        context->rank[order[i]] = i;
    return RJ_OK;
}

/* Hands the owners out as assignments: partitions ascending, hence sorted by topic and number. */
static enum rj_err write_assignments(const struct assign_context *context,
                                     struct rj_consumer_protocol_assignment *assignments)
{
    int32_t *last_topic = rj_assign_alloc(context->arena, context->member_count, sizeof *last_topic);
    int32_t *topic_counts = rj_assign_alloc(context->arena, context->member_count, sizeof *topic_counts);
    int32_t *counts = rj_assign_alloc(context->arena, context->member_count, sizeof *counts);
    int32_t **numbers = rj_assign_alloc(context->arena, context->member_count, sizeof *numbers);
    if (last_topic == NULL || topic_counts == NULL || counts == NULL || numbers == NULL)
        return RJ_ERR_MEMORY;
    memset(last_topic, 0xff, (size_t)context->member_count * sizeof *last_topic);
    for (int32_t p = 0; p < context->partition_count; p++) {
        int32_t m = context->owner[p];
        if (m == NO_ONE)
            continue;
        counts[m]++;
        topic_counts[m] += last_topic[m] != context->topic_of[p];
        last_topic[m] = context->topic_of[p];
    }
    for (int32_t m = 0; m < context->member_count; m++) {
        rj_message_init(&rj_consumer_protocol_assignment_schema, &assignments[m]);
        numbers[m] = rj_assign_alloc(context->arena, counts[m], sizeof **numbers);
        assignments[m].assigned_partitions.items =
            rj_assign_alloc(context->arena, topic_counts[m], sizeof *assignments[m].assigned_partitions.items);
        if (numbers[m] == NULL || assignments[m].assigned_partitions.items == NULL)
            return RJ_ERR_MEMORY;
        assignments[m].assigned_partitions.count = 0;
    }
    memset(last_topic, 0xff, (size_t)context->member_count * sizeof *last_topic);
    for (int32_t p = 0; p < context->partition_count; p++) {
        int32_t m = context->owner[p], topic = context->topic_of[p];
        if (m == NO_ONE)
            continue;
        struct rj_consumer_protocol_assignment_topic_partition_array *list = &assignments[m].assigned_partitions;
        if (last_topic[m] != topic) {
            last_topic[m] = topic;
            list->items[list->count].topic = context->topics[topic]->name;
            list->items[list->count].partitions = (struct rj_int32_array){numbers[m], 0};
            list->count++;
        }
        *numbers[m]++ = p - context->first_partition[topic];
        list->items[list->count - 1].partitions.count++;
    }
    return RJ_OK;
}

enum rj_err rj_assign_take_racks(struct assign_context *context);

static enum rj_err assign(struct assign_context *context, enum rj_assignor assignor,
                          const struct rj_assign_topic *topics, int32_t topic_count,
                          struct rj_consumer_protocol_assignment *assignments)
{
    enum rj_err err = take_topics(context, topics, topic_count);
    if (err == RJ_OK)
        err = take_subscriptions(context);
    if (err == RJ_OK)
        err = narrow_topics(context);
    if (err == RJ_OK)
        err = number_partitions(context);
    if (err == RJ_OK)
        err = rank_members(context);
    if (err == RJ_OK)
        err = rj_assign_take_racks(context);
    if (err == RJ_OK && context->member_count > 0) {
        if (assignor == RJ_ASSIGNOR_RANGE)
            err = rj_assign_range(context);
        else if (assignor == RJ_ASSIGNOR_ROUND_ROBIN)
            err = rj_assign_round_robin(context);
        else
            err = rj_assign_sticky(context, assignor == RJ_ASSIGNOR_COOPERATIVE_STICKY);
    }
    return err == RJ_OK ? write_assignments(context, assignments) : err;
}

enum rj_err rj_assign(enum rj_assignor assignor, const struct rj_assign_member *members, int32_t member_count,
                      const struct rj_assign_topic *topics, int32_t topic_count, struct rj_arena *arena,
                      struct rj_consumer_protocol_assignment *assignments)
{
    struct assign_context context = {.arena = arena, .members = members, .member_count = member_count};
    enum rj_err err = assign(&context, assignor, topics, topic_count, assignments);
    assert(!context.java_throws);
    return err;
}

enum rj_err rj_assign_as_java(enum rj_assignor assignor, const struct rj_assign_member *members, int32_t member_count,
                              const struct rj_assign_topic *topics, int32_t topic_count, struct rj_arena *arena,
                              struct rj_consumer_protocol_assignment *assignments)
{
    struct assign_context context = {.arena = arena, .members = members, .member_count = member_count, .as_java = true};
    enum rj_err err = assign(&context, assignor, topics, topic_count, assignments);
    return err == RJ_OK && context.java_throws ? RJ_ERR_VALUE : err;
}
