/* range: topic by topic, a contiguous run for each subscriber; with racks (KIP-881) first what matches within the same
 * quotas. Topics that have the same subscribers and as many partitions are kept aligned: one member gets partition
 * number k of all of them (KAFKA-14891). */
#include "assign/context.h"

struct topic_state {
    struct int_list consumers;   /* subscribers in member order */
    int32_t *assigned_count;     /* of consumers.items[i] */
    int32_t per_consumer;        /* what each gets ... */
    int32_t extra_count;         /* ... and how many more may still get one more */
    int32_t unassigned_count;
    bool uses_racks;             /* some subscriber has a rack */
    bool racks_matter;
    bool is_grouped;             /* already dealt with as part of a group of topics */
};

static int32_t assignable_count(const struct topic_state *state, int32_t consumer)
{
    int32_t count = state->per_consumer + (state->extra_count > 0) - state->assigned_count[consumer];
    return count > 0 ? count : 0;
}

static bool racks_match(const struct assign_context *context, int32_t member, int32_t partition)
{
    return context->rack_of[member] == NO_RACK || rj_assign_has_rack(context, partition, context->rack_of[member]);
}

static void note_assigned(struct topic_state *state, int32_t consumer, int32_t count)
{
    state->assigned_count[consumer] += count;
    if (state->assigned_count[consumer] > state->per_consumer)
        state->extra_count--;
    state->unassigned_count -= count;
}

/* Each consumer in turn takes the first free partitions that it may have, up to its quota. */
static void assign_runs(struct assign_context *context, struct topic_state *state, int32_t topic, bool matching_only)
{
    for (int32_t c = 0; c < state->consumers.count && state->unassigned_count > 0; c++) {
        int32_t member = state->consumers.items[c], most = assignable_count(state, c), taken = 0;
        for (int32_t p = context->first_partition[topic]; p < context->first_partition[topic + 1] && taken < most; p++)
            if (context->owner[p] == NO_ONE && (!matching_only || racks_match(context, member, p))) {
                context->owner[p] = member;
                taken++;
            }
        if (taken > 0)
            note_assigned(state, c, taken);
    }
}

static bool same_group(const struct assign_context *context, const struct topic_state *states, int32_t a, int32_t b)
{
    if (context->topics[a]->partition_count != context->topics[b]->partition_count ||
        states[a].consumers.count != states[b].consumers.count || !states[a].uses_racks || !states[b].uses_racks)
        return false;
    for (int32_t i = 0; i < states[a].consumers.count; i++)
        if (states[a].consumers.items[i] != states[b].consumers.items[i])
            return false;
    return true;
}

/* May this consumer have partition number `number` of every topic of the group, racks and quotas considered? */
static bool takes_all(const struct assign_context *context, const struct topic_state *states,
                      const struct int_list *group, int32_t consumer, int32_t number)
{
    for (int32_t i = 0; i < group->count; i++) {
        int32_t topic = group->items[i], member = states[topic].consumers.items[consumer];
        if (!racks_match(context, member, context->first_partition[topic] + number) ||
            assignable_count(&states[topic], consumer) == 0)
            return false;
    }
    return true;
}

static void assign_aligned(struct assign_context *context, struct topic_state *states, const struct int_list *group)
{
    int32_t first = group->items[0];
    for (int32_t number = 0; number < context->topics[first]->partition_count; number++)
        for (int32_t c = 0; c < states[first].consumers.count; c++) {
            if (!takes_all(context, states, group, c, number))
                continue;
            for (int32_t i = 0; i < group->count; i++) {
                int32_t topic = group->items[i];
                context->owner[context->first_partition[topic] + number] = states[topic].consumers.items[c];
                note_assigned(&states[topic], c, 1);
            }
            break;
        }
}

static enum rj_err prepare(struct assign_context *context, struct topic_state *states)
{
    int32_t *order;
    if (rj_assign_member_order(context, &order) != RJ_OK)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < context->topic_count; t++) {
        int32_t count = context->subscribers[t].count;
        states[t].consumers.items = rj_assign_alloc(context->arena, count, sizeof(int32_t));
        states[t].assigned_count = rj_assign_alloc(context->arena, count, sizeof(int32_t));
        if (states[t].consumers.items == NULL || states[t].assigned_count == NULL)
            return RJ_ERR_MEMORY;
        states[t].per_consumer = context->topics[t]->partition_count / count;
        states[t].extra_count = context->topics[t]->partition_count % count;
        states[t].unassigned_count = context->topics[t]->partition_count;
    }
    for (int32_t i = 0; i < context->member_count; i++) {
        int32_t member = order[i];
        for (int32_t k = 0; k < context->topics_of[member].count; k++) {
            struct topic_state *state = &states[context->topics_of[member].items[k]];
            state->consumers.items[state->consumers.count++] = member;
            state->uses_racks = state->uses_racks || context->rack_of[member] != NO_RACK;
        }
    }
    for (int32_t t = 0; t < context->topic_count; t++)
        if (!rj_assign_racks_matter(context, &states[t].consumers, context->first_partition[t],
                                    context->first_partition[t + 1], &states[t].racks_matter))
            return RJ_ERR_MEMORY;
    return RJ_OK;
}

static enum rj_err assign_matching(struct assign_context *context, struct topic_state *states)
{
    struct int_list group = {rj_assign_alloc(context->arena, context->topic_count, sizeof(int32_t)), 0};
    if (group.items == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < context->topic_count; t++) {
        if (states[t].is_grouped)
            continue;
        group.count = 0;
        group.items[group.count++] = t;
        for (int32_t u = t + 1; u < context->topic_count; u++)
            if (!states[u].is_grouped && same_group(context, states, t, u)) {
                states[u].is_grouped = true;
                group.items[group.count++] = u;
            }
        if (group.count > 1)
            assign_aligned(context, states, &group);
        else if (states[t].racks_matter)
            assign_runs(context, &states[t], t, true);
    }
    return RJ_OK;
}

enum rj_err rj_assign_range(struct assign_context *context)
{
    struct topic_state *states = rj_assign_alloc(context->arena, context->topic_count, sizeof *states);
    if (states == NULL || prepare(context, states) != RJ_OK)
        return RJ_ERR_MEMORY;
    bool racks_matter = false;
    for (int32_t t = 0; t < context->topic_count; t++)
        racks_matter = racks_matter || states[t].racks_matter;
    if (racks_matter && assign_matching(context, states) != RJ_OK)
        return RJ_ERR_MEMORY;
    for (int32_t t = 0; t < context->topic_count; t++)
        assign_runs(context, &states[t], t, false);
    return RJ_OK;
}
