/* Loading by replay, and unloading. */
#include "coord/load.h"

#include "coord/offsets.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/writes.h"

enum { OFFSET_COMMIT_LEGACY = 0, OFFSET_COMMIT = 1, GROUP_METADATA = 2 };

void rj_forget_everything(struct rj_coord *coord)
{
    rj_writes_release(coord);
    RJ_MAP_EACH (node, &coord->groups)
        rj_group_destroy(rj_group_of(node));
    rj_timer_cancel(&coord->timers, &coord->expiry_timer);
}

void rj_load_begin(struct rj_coord *coord)
{
    rj_forget_everything(coord);
    coord->status = RJ_COORD_LOADING;
    coord->next_position = 0;
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static bool load_member(struct rj_group *group, const struct rj_group_metadata_value *value, int32_t i,
                        const struct rj_subscription_views *views)
{
    const struct rj_group_metadata_value_member_metadata *from = &value->members.items[i];
    struct rj_join_group_request_protocol protocol = {
        .name = value->protocol.data ? value->protocol : RJ_EMPTY_STRING, .metadata = from->subscription};
    struct rj_join_group_request_protocol_array one = {&protocol, 1};
    const struct rj_consumer_protocol_subscription *view = views && i < views->count ? views->items[i] : NULL;
    struct rj_subscription_views one_view = {&view, 1};
    struct rj_member_source source = {
        from->group_instance_id, from->client_id, from->client_host,
        from->rebalance_timeout == -1 ? from->session_timeout : from->rebalance_timeout, from->session_timeout};
    if (rj_member_find(group, from->member_id) != NULL)
        return true; /* a record that names a member twice */
    struct rj_identity *identity = rj_identity_prepare(group, from->member_id);
    if (identity == NULL)
        return false;
    struct rj_protocols *protocols = rj_protocols_prepare(group, &one, &one_view);
    struct rj_member *member = protocols ? rj_member_prepare(identity, &source, protocols) : NULL;
    struct rj_bytes assignment = RJ_EMPTY_BYTES;
    if (member == NULL
        || (from->assignment.len > 0 && !rj_memory_copy_bytes(&group->coord->memory, from->assignment, &assignment))) {
        if (member == NULL)
            rj_protocols_release(group, protocols);
        else
            rj_member_discard(member);
        rj_identity_forget_if_idle(identity);
        return false;
    }
    if (member->instance.key.data != NULL && rj_member_by_instance(group, member->instance.key) != NULL)
        member->instance.key = RJ_NULL_STRING; /* likewise an instance id */
    rj_member_set_assignment(group, member, assignment);
    rj_member_add(group, member);
    return true;
}

static bool load_names(struct rj_group *group, const struct rj_group_metadata_value *value)
{
    struct rj_memory *memory = &group->coord->memory;
    if (value->protocol_type.len > 0 && !rj_memory_copy_string(memory, value->protocol_type, &group->protocol_type))
        return false;
    if (value->leader.data != NULL) {
        struct rj_identity *leader = rj_identity_prepare(group, value->leader);
        if (leader == NULL)
            return false;
        rj_group_set_leader(group, leader);
    }
    if (value->protocol.data != NULL) {
        struct rj_protocol_counter *counter = rj_counter_prepare(group, value->protocol);
        if (counter == NULL)
            return false;
        rj_group_set_protocol(group, counter);
    }
    return true;
}

static bool load_group(struct rj_coord *coord, struct rj_string group_id, const struct rj_group_metadata_value *value,
                       const struct rj_subscription_views *views)
{
    struct rj_group *group = rj_group_prepare(coord, group_id);
    if (group == NULL)
        return false;
    group->is_committed = false;
    rj_group_open(group);
    group->is_committed = true;
    if (value == NULL) {
        rj_group_close(group);
        group->is_committed = false;
        rj_group_forget_if_idle(group);
        return true;
    }
    bool ok = load_names(group, value);
    for (int32_t i = 0; ok && i < value->members.count; i++)
        ok = load_member(group, value, i, views);
    uint32_t mask = 0;
    struct rj_string *slots = ok ? rj_subscribed_prepare(group, NULL, &mask, &ok) : NULL;
    if (!ok) {
        rj_group_close(group);
        group->is_committed = false;
        rj_group_forget_if_idle(group);
        return false;
    }
    rj_subscribed_compute(group, slots, mask);
    group->generation_id = value->generation;
    group->state = group->members.count > 0 ? RJ_GROUP_STABLE : RJ_GROUP_EMPTY;
    if (RJ_WITHOUT(LOAD_NO_REBALANCE_STATE, group->members.count > 0))
        group->state = RJ_GROUP_PREPARING;
    group->state_since_ms = value->current_state_timestamp;
    return true;
}

struct loaded_offset {
    struct rj_string group_id, topic, metadata;
    int32_t partition;
    bool is_tombstone;
    struct rj_offset_commit_value value;
};

static bool load_offset(struct rj_coord *coord, const struct loaded_offset *from, int64_t producer_id,
                        int64_t log_offset)
{
    struct rj_group *group = rj_group_prepare(coord, from->group_id);
    if (group == NULL)
        return false;
    struct rj_offset_topic *topic = rj_offset_topic_prepare(group, from->topic);
    struct rj_offset_partition *partition = topic ? rj_offset_partition_prepare(topic, from->partition) : NULL;
    struct rj_offset *offset = partition ? rj_offset_prepare(coord, from->metadata) : NULL;
    bool ok = offset != NULL && (producer_id < 0 || rj_transaction_prepare(coord, producer_id) != NULL);
    if (ok) {
        offset->is_tombstone = from->is_tombstone;
        offset->offset = from->value.offset;
        offset->leader_epoch = from->value.leader_epoch;
        offset->commit_timestamp_ms = from->value.commit_timestamp;
        offset->expire_timestamp_ms = from->value.expire_timestamp;
        offset->topic_id = from->value.topic_id;
        offset->producer_id = from->is_tombstone ? -1 : producer_id;
        offset->position = log_offset;
        if (!group->exists && !from->is_tombstone) {
            rj_group_open(group);
            group->is_committed = true;
        }
        rj_offset_push(partition, offset);
    } else {
        rj_memory_free(&coord->memory, offset);
    }
    if (partition != NULL)
        rj_offset_partition_forget_if_idle(partition);
    rj_group_forget_if_idle(group);
    return ok;
}

bool rj_load_record(struct rj_coord *coord, const struct rj_offsets_record *record, int64_t producer_id,
                    int64_t log_offset)
{
    if (coord->status != RJ_COORD_LOADING)
        return true;
    if (log_offset >= coord->next_position)
        coord->next_position = log_offset + 1;
    struct loaded_offset offset = {.is_tombstone = record->value == NULL, .metadata = RJ_EMPTY_STRING};
    switch (record->record_type) {
    case GROUP_METADATA:
        return load_group(coord, ((const struct rj_group_metadata_key *)record->key)->group, record->value,
                          record->subscriptions);
    case OFFSET_COMMIT_LEGACY:
    case OFFSET_COMMIT: {
        const struct rj_offset_commit_key *key = record->key; /* both keys have the same fields */
        offset.group_id = key->group;
        offset.topic = key->topic;
        offset.partition = key->partition;
        if (record->value != NULL) {
            offset.value = *(const struct rj_offset_commit_value *)record->value;
            offset.metadata = offset.value.metadata;
        }
        return load_offset(coord, &offset, producer_id, log_offset);
    }
    default: return true; /* groups of other protocols */
    }
}

bool rj_load_end(struct rj_coord *coord)
{
    if (coord->status != RJ_COORD_LOADING)
        return true;
    RJ_MAP_EACH (check, &coord->groups)
        if (!rj_cascade_reserve(rj_group_of(check), NULL, false))
            return false;
    coord->status = RJ_COORD_ACTIVE;
    RJ_MAP_EACH (node, &coord->groups) {
        struct rj_group *group = rj_group_of(node);
        RJ_MAP_EACH (member_node, &group->members) {
            struct rj_member *member = rj_member_of(member_node);
            if (RJ_DOES(LOAD_STATE, true))
                rj_restart_session(group, member->identity, member->identity->session_timeout_ms);
        }
        if (RJ_DOES(LOAD_OVERSIZE, (int64_t)group->members.count > coord->config.group_max_size)
            && rj_cascade_reserve(group, NULL, false))
            rj_prepare_rebalance(group, (struct rj_cause){RJ_RULE_LOAD_OVERSIZE, RJ_NULL_STRING});
    }
    rj_timer_start(&coord->timers, &coord->expiry_timer,
                   coord->now_ms, coord->config.offsets_retention_check_interval_ms);
    return true;
}

/* ---- Unloading --------------------------------------------------------------------------------------------------- */

static void unload_group(struct rj_group *group)
{
    enum rj_group_state before = group->state;
    rj_group_enter(group, RJ_GROUP_DEAD, (struct rj_cause){RJ_RULE_UNLOAD_PARKED_JOIN, RJ_NULL_STRING});
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        if (RJ_DOES(UNLOAD_PARKED_JOIN, before == RJ_GROUP_PREPARING && member->join.waiting))
            rj_answer_join_error(group, member, node->key, RJ_KAFKA_NOT_COORDINATOR, RJ_RULE_UNLOAD_PARKED_JOIN);
        else if (RJ_DOES(UNLOAD_PARKED_SYNC, before != RJ_GROUP_PREPARING && member->sync.waiting))
            rj_answer_sync(group, member, RJ_KAFKA_NOT_COORDINATOR, RJ_RULE_UNLOAD_PARKED_SYNC);
    }
}

bool rj_unload(struct rj_coord *coord)
{
    struct rj_output_need need = {.changes = coord->groups.count};
    RJ_MAP_EACH (check, &coord->groups) {
        struct rj_output_need one = rj_cascade_need(rj_group_of(check), false);
        need.replies += one.replies;
        need.changes += one.changes;
        need.bytes += one.bytes;
    }
    if (!rj_writes_reserve_unload(coord, &need) || !rj_output_reserve(coord->output, need))
        return false;
    rj_writes_unload(coord, RJ_KAFKA_NOT_COORDINATOR);
    RJ_MAP_EACH (node, &coord->groups)
        if (rj_group_of(node)->exists)
            unload_group(rj_group_of(node));
    rj_forget_everything(coord);
    coord->status = RJ_COORD_UNLOADED;
    return true;
}
