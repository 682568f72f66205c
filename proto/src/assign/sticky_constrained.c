/* Equal subscriptions: every member keeps what it owns up to its quota, the rest is dealt in a circle. With racks,
 * only what lies in the member's rack is kept, and matches are dealt first. Quotas: every member gets `least`,
 * `extra_count` of them one more. */
#include "assign/sticky.h"

#include <string.h>

struct constrained {
    struct sticky *sticky;
    int32_t least, most;
    int32_t expected_over_count, over_count; /* members that shall have / have more than least */
    struct int_list below;      /* members below least */
    struct int_list at_least;   /* members at least that may still get one more */
    int32_t *given_up_by;       /* of a partition: who had to let it go for quota or rack; NO_ONE */
    int32_t *free_partitions;   /* to be dealt, in order */
    int32_t free_count;
};

static void append(struct int_list *list, int32_t item) { list->items[list->count++] = item; }

static void remove_at(struct int_list *list, int32_t index)
{
    list->count--;
    memmove(&list->items[index], &list->items[index + 1], (size_t)(list->count - index) * sizeof *list->items);
}

/* By partition number, then topic. */
static bool kept_first(const void *context, int32_t a, int32_t b)
{
    const struct assign_context *all = context;
    int32_t number_a = a - all->first_partition[all->topic_of[a]];
    int32_t number_b = b - all->first_partition[all->topic_of[b]];
    return number_a != number_b ? number_a < number_b : a < b;
}

static bool rank_less(const void *context, int32_t a, int32_t b)
{
    const struct assign_context *all = context;
    return all->rank[a] < all->rank[b];
}

/* What the member owns for good: valid claims in its rack, by partition number, then topic. */
static bool owned_list(struct constrained *build, int32_t member, struct int_list *owned)
{
    struct sticky *sticky = build->sticky;
    const struct claim *claim = &sticky->claims[member];
    owned->items = rj_assign_alloc(sticky->context->arena, claim->partitions.count, sizeof(int32_t));
    owned->count = 0;
    if (owned->items == NULL)
        return false;
    for (int32_t i = 0; i < claim->partitions.count; i++) {
        int32_t p = claim->partitions.items[i];
        if (sticky->claimant[p] != member)
            continue;
        if (rj_sticky_rack_mismatch(sticky, member, p))
            build->given_up_by[p] = member;
        else if (!sticky->disputed[p])
            append(owned, p);
    }
    if (!rj_assign_sort(sticky->context->arena, owned->items, owned->count, kept_first, sticky->context))
        return false;
    int32_t distinct = 0;
    for (int32_t i = 0; i < owned->count; i++)
        if (distinct == 0 || owned->items[distinct - 1] != owned->items[i])
            owned->items[distinct++] = owned->items[i];
    owned->count = distinct;
    return true;
}

static enum rj_err keep_owned(struct constrained *build)
{
    struct sticky *sticky = build->sticky;
    for (int32_t i = 0; i < sticky->context->member_count; i++) {
        int32_t member = sticky->walk[i], kept;
        struct int_list owned;
        if (!owned_list(build, member, &owned))
            return RJ_ERR_MEMORY;
        bool may_exceed = build->over_count < build->expected_over_count;
        if (owned.count < build->least) {
            kept = owned.count;
            append(&build->below, member);
        } else if (owned.count >= build->most && may_exceed) {
            kept = build->most;
            if (++build->over_count == build->expected_over_count)
                build->at_least.count = 0;
        } else {
            kept = build->least;
            if (may_exceed)
                append(&build->at_least, member);
        }
        for (int32_t k = 0; k < owned.count; k++)
            if (k < kept)
                rj_sticky_give(sticky, owned.items[k], member);
            else
                build->given_up_by[owned.items[k]] = member;
    }
    bool ok = rj_assign_sort(sticky->context->arena, build->below.items, build->below.count, rank_less,
                             sticky->context) &&
              rj_assign_sort(sticky->context->arena, build->at_least.items, build->at_least.count, rank_less,
                             sticky->context);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

static bool fewer_candidates(const void *context, int32_t a, int32_t b)
{
    const int32_t *candidate_count = context;
    return candidate_count[a] < candidate_count[b];
}

/* What nobody owns, by topic and number; with racks those first that fewer members find in their rack. */
static enum rj_err list_free(struct constrained *build)
{
    struct assign_context *context = build->sticky->context;
    build->free_partitions = rj_assign_alloc(context->arena, context->partition_count, sizeof(int32_t));
    if (build->free_partitions == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t p = 0; p < context->partition_count; p++)
        if (context->owner[p] == NO_ONE)
            build->free_partitions[build->free_count++] = p;
    if (!build->sticky->racks_matter)
        return RJ_OK;
    int32_t *members_on = rj_assign_alloc(context->arena, context->rack_count, sizeof *members_on);
    int32_t *candidate_count = rj_assign_alloc(context->arena, context->partition_count, sizeof *candidate_count);
    if (members_on == NULL || candidate_count == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++)
        if (context->rack_of[m] != NO_RACK)
            members_on[context->rack_of[m]]++;
    for (int32_t p = 0; p < context->partition_count; p++)
        for (int32_t i = 0; i < context->racks_of[p].count; i++)
            candidate_count[p] += members_on[context->racks_of[p].items[i]];
    bool ok = rj_assign_sort(context->arena, build->free_partitions, build->free_count, fewer_candidates,
                             candidate_count);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

/* A partition that somebody had to let go, or that two claimed, must be revoked before it is handed over. */
static int32_t deal(struct constrained *build, int32_t partition, int32_t member)
{
    struct sticky *sticky = build->sticky;
    rj_sticky_give(sticky, partition, member);
    int32_t giver = build->given_up_by[partition];
    if ((giver != NO_ONE && giver != member) || sticky->disputed[partition])
        sticky->withheld[partition] = true;
    return sticky->count[member];
}

/* The next member of the list, from an index on and around, whose rack has the partition; NO_ONE: none. */
static int32_t next_in_rack(const struct constrained *build, int32_t partition, const struct int_list *list,
                            int32_t from)
{
    const struct assign_context *context = build->sticky->context;
    for (int32_t i = 0; i < list->count; i++) {
        int32_t index = (from + i) % list->count, rack = context->rack_of[list->items[index]];
        if (rack != NO_RACK && rj_assign_has_rack(context, partition, rack))
            return index;
    }
    return NO_ONE;
}

/* Gives one free partition to a member in its rack if one is due; false: none is. */
static bool deal_in_rack(struct constrained *build, int32_t partition, int32_t *next)
{
    int32_t index = next_in_rack(build, partition, &build->below, *next);
    if (index != NO_ONE) {
        int32_t member = build->below.items[index];
        int32_t count = deal(build, partition, member);
        if (count >= build->least) {
            remove_at(&build->below, index);
            if (count < build->most && build->over_count < build->expected_over_count)
                append(&build->at_least, member);
        } else {
            index++;
        }
        *next = build->below.count == 0 ? 0 : index % build->below.count;
        return true;
    }
    index = next_in_rack(build, partition, &build->at_least, 0);
    if (index == NO_ONE)
        return false;
    if (deal(build, partition, build->at_least.items[index]) == build->most) {
        remove_at(&build->at_least, index);
        if (++build->over_count == build->expected_over_count)
            build->at_least.count = 0;
    }
    return true;
}

static void deal_by_rack(struct constrained *build)
{
    int32_t next = 0, left = 0;
    for (int32_t i = 0; i < build->free_count; i++)
        if (!deal_in_rack(build, build->free_partitions[i], &next))
            build->free_partitions[left++] = build->free_partitions[i];
    build->free_count = left;
}

static void deal_round_robin(struct constrained *build)
{
    int32_t next = 0, first_at_least = 0;
    for (int32_t i = 0; i < build->free_count; i++) {
        int32_t member;
        if (next == build->below.count)
            next = 0;
        if (build->below.count > 0)
            member = build->below.items[next++];
        else if (first_at_least < build->at_least.count)
            member = build->at_least.items[first_at_least++];
        else
            return; /* cannot be: the quotas add up to all partitions */
        if (deal(build, build->free_partitions[i], member) == build->least) {
            remove_at(&build->below, --next);
            append(&build->at_least, member);
        }
    }
}

enum rj_err rj_sticky_build_constrained(struct sticky *sticky)
{
    struct assign_context *context = sticky->context;
    int32_t members = context->member_count;
    struct constrained build = {
        .sticky = sticky,
        .least = context->partition_count / members,
        .most = context->partition_count / members + (context->partition_count % members != 0),
        .expected_over_count = context->partition_count % members,
        .below = {rj_assign_alloc(context->arena, members, sizeof(int32_t)), 0},
        .at_least = {rj_assign_alloc(context->arena, 2 * (int64_t)members, sizeof(int32_t)), 0},
        .given_up_by = rj_assign_alloc(context->arena, context->partition_count, sizeof(int32_t)),
    };
    if (build.below.items == NULL || build.at_least.items == NULL || build.given_up_by == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t p = 0; p < context->partition_count; p++)
        build.given_up_by[p] = NO_ONE;
    if (keep_owned(&build) != RJ_OK || list_free(&build) != RJ_OK)
        return RJ_ERR_MEMORY;
    if (sticky->racks_matter)
        deal_by_rack(&build);
    deal_round_robin(&build);
    return RJ_OK;
}
