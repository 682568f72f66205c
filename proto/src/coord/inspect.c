/* Looking inside. */
#include "rejoin/inspect.h"

#include "coord/group.h"

static struct rj_group_view view_of(const struct rj_group *group)
{
    return (struct rj_group_view){
        .group_id = group->node.key, .state = group->state, .generation_id = group->generation_id,
        .protocol_type = group->protocol_type, .protocol_name = group->protocol_name,
        .leader = group->leader ? group->leader->node.key : RJ_NULL_STRING,
        .member_count = (int32_t)group->members.count, .awaiting_join_count = group->awaiting_join_count,
        .pending_sync_count = group->pending_sync_count, .promised_count = group->pending_count,
        .offset_count = group->offset_count};
}

static void show_id(const struct rj_inspector *inspector, const struct rj_group_view *view,
                    const struct rj_identity *identity)
{
    struct rj_id_view id = {.member_id = identity->node.key, .is_member = identity->member != NULL,
                            .is_promised = identity->is_pending, .is_pending_sync = identity->is_pending_sync};
    if (identity->member != NULL)
        id.instance_id = identity->member->instance.key;
    inspector->id(inspector->context, view, &id);
}

static void show_group(const struct rj_inspector *inspector, const struct rj_group *group)
{
    struct rj_group_view view = view_of(group);
    if (inspector->group != NULL)
        inspector->group(inspector->context, &view);
    if (inspector->id == NULL)
        return;
    RJ_MAP_EACH (node, &group->members)
        show_id(inspector, &view, rj_member_of(node)->identity);
    RJ_MAP_EACH (id_node, &group->identities)
        if (rj_identity_of(id_node)->member == NULL)
            show_id(inspector, &view, rj_identity_of(id_node));
}

static void show_timer(const struct rj_inspector *inspector, const struct rj_timer *timer)
{
    struct rj_timer_view view = {.deadline_ms = timer->deadline_ms};
    if (timer->kind == RJ_TIMER_SESSION) {
        const struct rj_identity *identity = RJ_CONTAINER(timer, const struct rj_identity, timer);
        view.kind = RJ_TIMER_OF_SESSION;
        view.group_id = identity->group->node.key;
        view.member_id = identity->node.key;
    } else if (timer->kind == RJ_TIMER_JOIN) {
        view.kind = RJ_TIMER_OF_JOIN;
        view.group_id = RJ_CONTAINER(timer, const struct rj_group, join_timer)->node.key;
    } else if (timer->kind == RJ_TIMER_SYNC) {
        view.kind = RJ_TIMER_OF_SYNC;
        view.group_id = RJ_CONTAINER(timer, const struct rj_group, sync_timer)->node.key;
    } else {
        view.kind = timer->kind == RJ_TIMER_WRITE ? RJ_TIMER_OF_WRITE : RJ_TIMER_OF_EXPIRY;
    }
    inspector->timer(inspector->context, &view);
}

void rj_inspect(const struct rj_coord *coord, const struct rj_inspector *inspector)
{
    RJ_MAP_EACH (node, &coord->groups)
        if (rj_group_of(node)->exists)
            show_group(inspector, rj_group_of(node));
    for (uint32_t i = 1; inspector->timer != NULL && i <= coord->timers.count; i++)
        show_timer(inspector, coord->timers.heap[i].timer);
}

bool rj_force_group_state(struct rj_coord *coord, struct rj_string group_id, enum rj_group_state state)
{
    struct rj_group *group = rj_group_find(coord, group_id);
    if (group != NULL)
        group->state = state;
    return group != NULL;
}
