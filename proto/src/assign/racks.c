/* Racks (KIP-881): which replica lies where, and whether that should decide anything. */
#include "assign/context.h"

struct rack_names { struct rj_string *items; int32_t count; };

static int32_t find_rack(const struct rack_names *names, struct rj_string name)
{
    for (int32_t i = 0; i < names->count; i++)
        if (rj_string_equal(names->items[i], name))
            return i;
    return NO_RACK;
}

/* Racks get numbers in the order in which they turn up; there are few of them. */
static int32_t number_rack(struct rack_names *names, struct rj_string name)
{
    int32_t rack = find_rack(names, name);
    if (rack != NO_RACK)
        return rack;
    names->items[names->count] = name;
    return names->count++;
}

static enum rj_err take_partition_racks(struct assign_context *context, struct rack_names *names, int32_t partition,
                                        const struct rj_string_array *racks)
{
    struct int_list *list = &context->racks_of[partition];
    list->items = rj_assign_alloc(context->arena, racks->count > 0 ? racks->count : 0, sizeof *list->items);
    if (list->items == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < racks->count; i++) {
        if (rj_string_is_null(racks->items[i]))
            continue;
        int32_t rack = number_rack(names, racks->items[i]);
        if (!rj_assign_has_rack(context, partition, rack))
            list->items[list->count++] = rack;
    }
    return RJ_OK;
}

enum rj_err rj_assign_take_racks(struct assign_context *context);

enum rj_err rj_assign_take_racks(struct assign_context *context)
{
    int64_t most = context->member_count;
    for (int32_t t = 0; t < context->topic_count; t++)
        for (int32_t p = 0; context->topics[t]->partition_racks != NULL && p < context->topics[t]->partition_count; p++)
            most += context->topics[t]->partition_racks[p].count;
    struct rack_names names = {rj_assign_alloc(context->arena, most, sizeof *names.items), 0};
    context->rack_of = rj_assign_alloc(context->arena, context->member_count, sizeof *context->rack_of);
    if (names.items == NULL || context->rack_of == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++) {
        struct rj_string rack = context->members[m].subscription->rack_id;
        context->rack_of[m] = rj_string_is_empty(rack) ? NO_RACK : number_rack(&names, rack);
    }
    context->rack_count = names.count;
    if (names.count == 0)
        return RJ_OK;
    context->racks_of = rj_assign_alloc(context->arena, context->partition_count, sizeof *context->racks_of);
    if (context->racks_of == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t p = 0; p < context->partition_count; p++) {
        const struct rj_assign_topic *topic = context->topics[context->topic_of[p]];
        int32_t number = p - context->first_partition[context->topic_of[p]];
        if (topic->partition_racks != NULL &&
            take_partition_racks(context, &names, p, &topic->partition_racks[number]) != RJ_OK)
            return RJ_ERR_MEMORY;
    }
    context->rack_count = names.count;
    return RJ_OK;
}

bool rj_assign_racks_matter(const struct assign_context *context, const struct int_list *members,
                            int32_t first_partition, int32_t end_partition, bool *matter)
{
    *matter = false;
    if (context->racks_of == NULL)
        return true;
    bool *seen = rj_assign_alloc(context->arena, context->rack_count, sizeof *seen);
    if (seen == NULL)
        return false;
    int32_t rack_count = 0;
    for (int32_t p = first_partition; p < end_partition; p++)
        for (int32_t i = 0; i < context->racks_of[p].count; i++) {
            rack_count += !seen[context->racks_of[p].items[i]];
            seen[context->racks_of[p].items[i]] = true;
        }
    bool meet = false;
    for (int32_t i = 0; i < members->count; i++) {
        int32_t rack = context->rack_of[members->items[i]];
        meet = meet || (rack != NO_RACK && seen[rack]);
    }
    for (int32_t p = first_partition; meet && p < end_partition && !*matter; p++)
        *matter = context->racks_of[p].count != rack_count;
    return true;
}
