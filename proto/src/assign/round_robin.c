/* roundrobin: all partitions of all topics in order, dealt to the members in a circle; who does not subscribe is passed
 * over. Racks do not matter. */
#include "assign/context.h"

enum rj_err rj_assign_round_robin(struct assign_context *context)
{
    int32_t *order, next = 0;
    if (rj_assign_member_order(context, &order) != RJ_OK)
        return RJ_ERR_MEMORY;
    for (int32_t p = 0; p < context->partition_count; p++) {
        while (!rj_assign_subscribes(context, order[next], context->topic_of[p]))
            next = (next + 1) % context->member_count; /* ends: every topic here has a subscriber */
        context->owner[p] = order[next];
        next = (next + 1) % context->member_count;
    }
    return RJ_OK;
}
