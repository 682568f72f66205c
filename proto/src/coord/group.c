/* Groups, identities and members. */
#include "coord/group.h"

#include "coord/offsets.h"
#include "coord/parked.h"
#include "coord/writes.h"

enum { FEW = 4 }; /* most groups have few members and one or two protocols */

/* ---- Groups ------------------------------------------------------------------------------------------------------ */

static struct rj_group *find_any(const struct rj_coord *coord, struct rj_string group_id)
{
    return rj_group_of(rj_map_find(&coord->groups, group_id, rj_mixed_hash(group_id)));
}

struct rj_group *rj_group_find(const struct rj_coord *coord, struct rj_string group_id)
{
    struct rj_group *group = find_any(coord, group_id);
    return group != NULL && group->exists ? group : NULL;
}

struct rj_group *rj_group_find_committed(const struct rj_coord *coord, struct rj_string group_id)
{
    struct rj_group *group = find_any(coord, group_id);
    return group != NULL && rj_group_is_visible(group) ? group : NULL;
}

bool rj_group_is_visible(const struct rj_group *group)
{
    const struct rj_past_life *life = rj_group_oldest_life(group);
    uint64_t visible_from = life != NULL ? life->visible_from : group->visible_from;
    return group->is_committed
           || ((group->exists || life != NULL) && visible_from != 0
               && group->coord->committed_append_id >= visible_from);
}

struct rj_group *rj_group_prepare(struct rj_coord *coord, struct rj_string group_id)
{
    struct rj_memory *memory = &coord->memory;
    struct rj_group *group = find_any(coord, group_id);
    if (group != NULL && group->deleted_by != 0 && group->spare_past == NULL)
        group->spare_past = rj_memory_zalloc(memory, sizeof(*group->spare_past));
    if (group != NULL)
        return group->deleted_by != 0 && group->spare_past == NULL ? NULL : group;
    if (coord->groups.count >= (uint32_t)coord->limits.groups || !rj_map_reserve(&coord->groups, 1, memory)
        || !rj_timers_reserve(&coord->timers, 2, memory))
        return NULL;
    group = rj_memory_zalloc(memory, sizeof(*group) + (size_t)group_id.len + 1);
    if (group == NULL) {
        rj_timers_forget(&coord->timers, 2);
        return NULL;
    }
    char *key = (char *)(group + 1);
    memcpy(key, group_id.data, (size_t)group_id.len);
    group->coord = coord;
    group->identities.first_capacity = group->counters.first_capacity = FEW;
    group->join_timer.kind = RJ_TIMER_JOIN;
    group->sync_timer.kind = RJ_TIMER_SYNC;
    rj_map_insert(&coord->groups, &group->node, (struct rj_string){key, group_id.len}, rj_mixed_hash(group_id));
    return group;
}

static void set_string(struct rj_memory *memory, struct rj_string *field, struct rj_string owned)
{
    rj_memory_retire(memory, field->data);
    *field = owned;
}

/* Everything but the timers, the ids they belong to, and the offsets. */
static void reset(struct rj_group *group)
{
    struct rj_memory *memory = &group->coord->memory;
    RJ_MAP_EACH (node, &group->members)
        rj_member_remove(group, rj_member_of(node));
    RJ_MAP_EACH (node, &group->identities) {
        struct rj_identity *identity = rj_identity_of(node);
        rj_group_set_pending(group, identity, false);
        rj_group_set_pending_sync(group, identity, false);
        rj_identity_forget_if_idle(identity);
    }
    rj_group_set_leader(group, NULL);
    set_string(memory, &group->protocol_type, RJ_NULL_STRING);
    rj_group_set_protocol(group, NULL);
    rj_memory_retire(memory, group->subscribed.slots);
    group->subscribed = (struct rj_subscribed){.is_known = false};
    group->generation_id = 0;
    group->new_member_added = group->miscounts = false;
    /* A new object in Java: its member map is as small as at first. */
    rj_map_release(&group->members);
}

/* ---- Lives ------------------------------------------------------------------------------------------------------- */

const struct rj_past_life *rj_group_oldest_life(const struct rj_group *group)
{
    const struct rj_past_life *life = group->past;
    while (life != NULL && life->older != NULL)
        life = life->older;
    return life;
}

/* Drops the one that the link points to, and all that are older. */
static void drop_lives(struct rj_group *group, struct rj_past_life **link)
{
    struct rj_memory *memory = &group->coord->memory;
    for (struct rj_past_life *life = *link, *older; life != NULL; life = older) {
        older = life->older;
        rj_memory_retire(memory, life->protocol_type.data);
        rj_memory_retire(memory, life->subscribed.slots);
        rj_memory_retire(memory, life);
    }
    *link = NULL;
}

static void keep_life(struct rj_group *group)
{
    struct rj_past_life *life = group->spare_past;
    *life = (struct rj_past_life){group->past, group->created_by, group->deleted_by, group->visible_from,
                                  group->generation_id, group->state_since_ms, group->protocol_type,
                                  group->subscribed};
    group->past = life;
    group->spare_past = NULL;
    group->protocol_type = RJ_NULL_STRING;
    group->subscribed = (struct rj_subscribed){.is_known = false};
    group->deleted_by = group->created_by = 0;
}

void rj_group_take_back(struct rj_group *group)
{
    rj_group_close(group);
    group->created_by = group->deleted_by = 0;
    struct rj_past_life *life = group->past;
    if (life == NULL)
        return;
    group->past = life->older;
    group->exists = life->deleted_by == 0;
    group->created_by = life->created_by;
    group->deleted_by = life->deleted_by;
    group->visible_from = life->visible_from;
    group->state = RJ_GROUP_EMPTY;
    group->generation_id = life->generation_id;
    group->state_since_ms = life->state_since_ms;
    group->protocol_type = life->protocol_type;
    group->subscribed = life->subscribed;
    rj_memory_retire(&group->coord->memory, life);
}

static struct rj_past_life **link_of_deletion(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life **link = &group->past;
    while (*link != NULL && (*link)->deleted_by != append_id)
        link = &(*link)->older;
    return link;
}

static struct rj_past_life **link_of_creation(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life **link = &group->past;
    while (*link != NULL && (*link)->created_by != append_id)
        link = &(*link)->older;
    return link;
}

void rj_group_written(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life **made = link_of_creation(group, append_id);
    if (group->created_by == append_id) {
        group->created_by = 0;
        drop_lives(group, &group->past);
    } else if (*made != NULL) {
        (*made)->created_by = 0;
        drop_lives(group, &(*made)->older);
    }
    if (group->exists || group->deleted_by > append_id || group->past != NULL)
        group->is_committed = true;
}

void rj_group_deleted(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life **link = link_of_deletion(group, append_id);
    if (group->deleted_by == append_id) {
        group->deleted_by = 0;
        link = &group->past;
    } else if (*link == NULL) {
        return;
    }
    drop_lives(group, link);
    const struct rj_past_life *next = rj_group_oldest_life(group);
    bool exists = next != NULL || group->exists || group->deleted_by != 0;
    uint64_t pending = next ? next->created_by | next->visible_from : group->created_by | group->visible_from;
    group->is_committed = exists && pending == 0;
}

void rj_group_not_deleted(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life *life = *link_of_deletion(group, append_id);
    if (group->deleted_by == append_id) {
        group->deleted_by = 0;
        group->exists = true;
    } else if (life != NULL) {
        life->deleted_by = 0; /* it comes back when the life that followed it is taken back */
    }
}

bool rj_group_is_made_by(const struct rj_group *group, uint64_t append_id)
{
    return group->exists && group->created_by == append_id;
}

void rj_group_not_made(struct rj_group *group, uint64_t append_id)
{
    struct rj_past_life **link = link_of_creation(group, append_id), *life = *link;
    if (group->created_by == append_id) {
        rj_group_take_back(group);
    } else if (life != NULL) {
        *link = life->older;
        life->older = NULL;
        drop_lives(group, &life);
    }
}

void rj_group_open(struct rj_group *group)
{
    if (group->deleted_by != 0)
        keep_life(group);
    reset(group);
    group->exists = true;
    group->visible_from = 0;
    group->state = RJ_GROUP_EMPTY;
    group->previous_state = RJ_GROUP_DEAD;
    group->state_since_ms = group->coord->now_ms;
}

void rj_group_close(struct rj_group *group)
{
    group->exists = false;
    reset(group);
}

void rj_group_hold(struct rj_group *group) { group->holds++; }

void rj_group_drop(struct rj_group *group)
{
    group->holds--;
    rj_group_forget_if_idle(group);
}

void rj_group_forget_if_idle(struct rj_group *group)
{
    if (group->exists || group->is_committed || group->past != NULL || group->holds > 0 || group->identities.count > 0
        || group->join_timer.place != 0 || group->sync_timer.place != 0 || group->topics.count > 0)
        return;
    rj_group_destroy(group);
}

void rj_group_destroy(struct rj_group *group)
{
    struct rj_coord *coord = group->coord;
    reset(group);
    drop_lives(group, &group->past);
    rj_memory_retire(&coord->memory, group->spare_past);
    rj_offsets_release(group);
    RJ_MAP_EACH (node, &group->identities) {
        struct rj_identity *identity = rj_identity_of(node);
        rj_timer_cancel(&coord->timers, &identity->timer);
        rj_timers_forget(&coord->timers, 1);
        rj_memory_retire(&coord->memory, identity);
    }
    rj_timer_cancel(&coord->timers, &group->join_timer);
    rj_timer_cancel(&coord->timers, &group->sync_timer);
    rj_timers_forget(&coord->timers, 2);
    rj_map_release(&group->identities);
    rj_map_release(&group->members);
    rj_map_release(&group->instances);
    rj_map_release(&group->counters);
    rj_map_release(&group->topics);
    rj_map_remove(&coord->groups, &group->node);
    rj_memory_retire(&coord->memory, group);
}

/* ---- Identities -------------------------------------------------------------------------------------------------- */

struct rj_identity *rj_identity_find(const struct rj_group *group, struct rj_string id)
{
    return rj_identity_of(rj_map_find(&group->identities, id, rj_mixed_hash(id)));
}

struct rj_identity *rj_identity_prepare(struct rj_group *group, struct rj_string id)
{
    struct rj_identity *identity = rj_identity_find(group, id);
    if (identity != NULL)
        return identity;
    struct rj_coord *coord = group->coord;
    if (group->identities.count >= (uint32_t)coord->limits.members_per_group
        || !rj_map_reserve(&group->identities, 1, &coord->memory)
        || !rj_timers_reserve(&coord->timers, 1, &coord->memory))
        return NULL;
    identity = rj_memory_zalloc(&coord->memory, sizeof(*identity) + (size_t)id.len + 1);
    if (identity == NULL) {
        rj_timers_forget(&coord->timers, 1);
        return NULL;
    }
    char *key = (char *)(identity + 1);
    memcpy(key, id.data, (size_t)id.len);
    identity->group = group;
    identity->timer.kind = RJ_TIMER_SESSION;
    rj_map_insert(&group->identities, &identity->node, (struct rj_string){key, id.len}, rj_mixed_hash(id));
    return identity;
}

void rj_identity_hold(struct rj_identity *identity) { identity->holds++; }

void rj_identity_drop(struct rj_identity *identity)
{
    identity->holds--;
    rj_identity_forget_if_idle(identity);
}

void rj_identity_forget_if_idle(struct rj_identity *identity)
{
    if (identity->member != NULL || identity->is_pending || identity->is_pending_sync || identity->holds > 0
        || identity->timer.place != 0)
        return;
    struct rj_group *group = identity->group;
    rj_map_remove(&group->identities, &identity->node);
    rj_timers_forget(&group->coord->timers, 1);
    rj_memory_retire(&group->coord->memory, identity);
}

void rj_group_set_leader(struct rj_group *group, struct rj_identity *identity)
{
    struct rj_identity *old = group->leader;
    if (identity != NULL)
        rj_identity_hold(identity);
    group->leader = identity;
    if (old != NULL)
        rj_identity_drop(old);
}

void rj_group_set_pending(struct rj_group *group, struct rj_identity *identity, bool pending)
{
    group->pending_count += (int32_t)pending - (int32_t)identity->is_pending;
    identity->is_pending = pending;
}

void rj_group_set_pending_sync(struct rj_group *group, struct rj_identity *identity, bool pending)
{
    group->pending_sync_count += (int32_t)pending - (int32_t)identity->is_pending_sync;
    identity->is_pending_sync = pending;
}

void rj_group_clear_pending_sync(struct rj_group *group)
{
    if (group->pending_sync_count == 0)
        return;
    RJ_MAP_EACH (node, &group->identities) {
        struct rj_identity *identity = rj_identity_of(node);
        if (identity->is_pending_sync) {
            rj_group_set_pending_sync(group, identity, false);
            rj_identity_forget_if_idle(identity);
        }
    }
}

/* ---- Members ----------------------------------------------------------------------------------------------------- */

struct rj_member *rj_member_find(const struct rj_group *group, struct rj_string id)
{
    struct rj_identity *identity = rj_identity_find(group, id);
    return identity ? identity->member : NULL;
}

struct rj_member *rj_member_by_instance(const struct rj_group *group, struct rj_string instance_id)
{
    struct rj_map_node *node = rj_map_find(&group->instances, instance_id, rj_mixed_hash(instance_id));
    return node ? RJ_CONTAINER(node, struct rj_member, instance) : NULL;
}

static struct rj_string put_string(char **at, struct rj_string from)
{
    if (from.data == NULL)
        return from;
    struct rj_string copy = {*at, from.len};
    memcpy(*at, from.data, (size_t)from.len);
    *at += from.len + 1;
    return copy;
}

struct rj_member *rj_member_prepare(struct rj_identity *identity, const struct rj_member_source *source,
                                    struct rj_protocols *protocols)
{
    struct rj_group *group = identity->group;
    struct rj_memory *memory = &group->coord->memory;
    if (!rj_map_reserve(&group->members, 1, memory)
        || (source->instance_id.data != NULL && !rj_map_reserve(&group->instances, 1, memory)))
        return NULL;
    size_t text = (size_t)source->instance_id.len + (size_t)source->client_id.len + (size_t)source->client_host.len + 3;
    struct rj_member *member = rj_memory_zalloc(memory, sizeof(*member) + text);
    if (member == NULL)
        return NULL;
    char *at = (char *)(member + 1);
    member->instance.key = put_string(&at, source->instance_id);
    member->client_id = put_string(&at, source->client_id);
    member->client_host = put_string(&at, source->client_host);
    member->rebalance_timeout_ms = source->rebalance_timeout_ms;
    member->identity = identity;
    identity->session_timeout_ms = source->session_timeout_ms;
    member->protocols = protocols;
    member->assignment = RJ_EMPTY_BYTES;
    return member;
}

void rj_member_discard(struct rj_member *member)
{
    struct rj_group *group = member->identity->group;
    rj_protocols_release(group, member->protocols);
    rj_memory_retire(&group->coord->memory, member);
}

static void count_protocols(struct rj_group *group, const struct rj_protocols *protocols, int32_t change)
{
    for (int32_t i = 0; i < protocols->count; i++)
        protocols->items[i].counter->count += change;
    group->topic_count += change * protocols->topic_count;
    group->topic_bytes += change * protocols->topic_bytes;
}

void rj_group_miscount(struct rj_group *group, const struct rj_protocols *gone, const struct rj_protocols *came)
{
    for (int32_t i = 0; i < gone->count; i++)
        gone->items[i].counter->count--;
    for (int32_t i = 0; i < came->count; i++)
        came->items[i].counter->count++;
    group->miscounts = true;
}

static void set_identity(struct rj_group *group, struct rj_member *member, struct rj_identity *identity)
{
    member->identity = identity;
    identity->member = member;
    rj_map_insert(&group->members, &member->node, identity->node.key, rj_member_hash(identity->node.key));
}

void rj_member_add(struct rj_group *group, struct rj_member *member)
{
    struct rj_identity *identity = member->identity;
    set_identity(group, member, identity);
    if (member->instance.key.data != NULL)
        rj_map_insert(&group->instances, &member->instance, member->instance.key, rj_mixed_hash(member->instance.key));
    if (RJ_DOES(JOIN_FIRST_IS_LEADER, group->leader == NULL))
        rj_group_set_leader(group, identity);
    count_protocols(group, member->protocols, 1);
    rj_group_set_pending(group, identity, false);
}

void rj_member_remove(struct rj_group *group, struct rj_member *member)
{
    struct rj_identity *identity = member->identity;
    struct rj_memory *memory = &group->coord->memory;
    rj_identity_hold(identity); /* giving up the lead may let go of it */
    rj_map_remove(&group->members, &member->node);
    if (member->instance.key.data != NULL)
        rj_map_remove(&group->instances, &member->instance);
    count_protocols(group, member->protocols, -1);
    if (member->join.waiting)
        group->awaiting_join_count--;
    /* A SyncGroup of somebody who leaves is never answered, unless the writes before it fail. */
    if (member->sync.waiting && !member->sync.answered)
        rj_writes_overwritten(group->coord, member->sync.ticket);
    rj_parked_forget(&member->join);
    rj_parked_forget(&member->sync);
    identity->member = NULL;
    if (group->leader == identity) {
        struct rj_member *next = rj_member_of(rj_map_first(&group->members));
        rj_group_set_leader(group, next ? next->identity : NULL);
    }
    rj_group_set_pending(group, identity, false);
    rj_group_set_pending_sync(group, identity, false);
    rj_identity_drop(identity);
    rj_protocols_release(group, member->protocols);
    if (member->assignment.len > 0)
        rj_memory_retire(memory, member->assignment.data);
    rj_memory_retire(memory, member);
}

void rj_member_rename(struct rj_group *group, struct rj_member *member, struct rj_identity *identity)
{
    struct rj_identity *old = member->identity;
    rj_identity_hold(old);
    rj_map_remove(&group->members, &member->node);
    old->member = NULL;
    identity->session_timeout_ms = old->session_timeout_ms;
    set_identity(group, member, identity);
    if (RJ_DOES(STATIC_REPLACE_INHERIT, group->leader == old))
        rj_group_set_leader(group, identity);
    rj_identity_drop(old);
}

struct rj_protocols *rj_member_swap_protocols(struct rj_group *group, struct rj_member *member,
                                              struct rj_protocols *protocols)
{
    struct rj_protocols *old = member->protocols;
    count_protocols(group, old, -1);
    member->protocols = protocols;
    count_protocols(group, protocols, 1);
    return old;
}

void rj_member_set_protocols(struct rj_group *group, struct rj_member *member, struct rj_protocols *protocols)
{
    rj_protocols_release(group, rj_member_swap_protocols(group, member, protocols));
}

void rj_member_set_assignment(struct rj_group *group, struct rj_member *member, struct rj_bytes owned)
{
    if (member->assignment.len > 0)
        rj_memory_retire(&group->coord->memory, member->assignment.data);
    member->assignment = owned;
}

bool rj_all_joined(const struct rj_group *group)
{
    return group->members.count == (uint32_t)group->awaiting_join_count
           && !RJ_DOES(JOINC_CONDITION, group->pending_count != 0);
}

int32_t rj_group_rebalance_timeout_ms(const struct rj_group *group)
{
    int32_t longest = 0;
    RJ_MAP_EACH (node, &group->members) {
        int32_t timeout = rj_member_of(node)->rebalance_timeout_ms;
        longest = RJ_DOES(REBALANCE_TIMEOUT_MAX, timeout > longest) ? timeout : longest;
    }
    return longest;
}
