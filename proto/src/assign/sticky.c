/* The frame of sticky and cooperative-sticky: choose the builder, then hold back what must first be revoked. */
#include "assign/sticky.h"

bool rj_sticky_rack_mismatch(const struct sticky *sticky, int32_t member, int32_t partition)
{
    int32_t rack = sticky->context->rack_of[member];
    return sticky->racks_matter && rack != NO_RACK && !rj_assign_has_rack(sticky->context, partition, rack);
}

void rj_sticky_give(struct sticky *sticky, int32_t partition, int32_t member)
{
    int32_t *owner = &sticky->context->owner[partition];
    if (*owner != NO_ONE)
        sticky->count[*owner]--;
    *owner = member;
    sticky->count[member]++;
}

/* General builder, cooperative: a partition that its new owner does not claim, and that somebody who claims it lost.
 * Claims of any age count, as the claimant may still be working on it. */
static enum rj_err withhold_moving(struct sticky *sticky)
{
    struct assign_context *context = sticky->context;
    bool *claimed_by_owner = rj_assign_alloc(context->arena, context->partition_count, sizeof *claimed_by_owner);
    if (claimed_by_owner == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++)
        for (int32_t i = 0; i < sticky->claims[m].partitions.count; i++) {
            int32_t p = sticky->claims[m].partitions.items[i];
            if (context->owner[p] == m)
                claimed_by_owner[p] = true;
            else
                sticky->withheld[p] = true;
        }
    for (int32_t p = 0; p < context->partition_count; p++)
        sticky->withheld[p] = sticky->withheld[p] && !claimed_by_owner[p];
    return RJ_OK;
}

enum rj_err rj_assign_sticky(struct assign_context *context, bool cooperative)
{
    struct sticky sticky = {.context = context};
    struct int_list everybody = {rj_assign_alloc(context->arena, context->member_count, sizeof(int32_t)),
                                 context->member_count};
    sticky.count = rj_assign_alloc(context->arena, context->member_count, sizeof *sticky.count);
    sticky.withheld = rj_assign_alloc(context->arena, context->partition_count, sizeof *sticky.withheld);
    if (everybody.items == NULL || sticky.count == NULL || sticky.withheld == NULL ||
        rj_sticky_read_claims(&sticky, cooperative) != RJ_OK || rj_sticky_settle_claims(&sticky) != RJ_OK)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++)
        everybody.items[m] = m;
    if (!rj_assign_racks_matter(context, &everybody, 0, context->partition_count, &sticky.racks_matter))
        return RJ_ERR_MEMORY;
    if (context->partition_count == 0)
        return RJ_OK;
    enum rj_err err = sticky.equal_subscriptions
        ? rj_sticky_build_constrained(&sticky) : rj_sticky_build_general(&sticky);
    if (err == RJ_OK && cooperative && !sticky.equal_subscriptions)
        err = withhold_moving(&sticky);
    for (int32_t p = 0; err == RJ_OK && cooperative && p < context->partition_count; p++)
        if (sticky.withheld[p])
            context->owner[p] = NO_ONE;
    return err;
}
