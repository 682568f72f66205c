/* Tombstones: expiry by retention, deleted topics, and what DeleteGroups and OffsetDelete write. */
#include "coord/offsets.h"

#include "coord/reply.h"
#include "coord/writes.h"

enum { OFFSET_COMMIT_TYPE = 1 };

size_t rj_offset_record_len(void)
{
    return rj_output_len(sizeof(struct rj_offset_commit_key)) + rj_output_len(sizeof(struct rj_offset_commit_value));
}

/* Version 1 where the offset has an expiry of its own. Kafka writes 4 since 4.1 (with the topic's id), 3 before. */
struct rj_offsets_record rj_offset_record_in(struct rj_offset_commit_key *key, struct rj_offset_commit_value *value,
                                             const struct rj_offset_partition *partition,
                                             const struct rj_offset *offset)
{
    const struct rj_group *group = partition->topic->group;
    *key = (struct rj_offset_commit_key){.group = group->node.key, .topic = partition->topic->node.key,
                                         .partition = partition->partition};
    struct rj_offsets_record record = {.record_type = OFFSET_COMMIT_TYPE, .key = key, .value_version = 3};
    if (offset->is_tombstone)
        return record;
    *value = (struct rj_offset_commit_value){
        .offset = offset->offset, .leader_epoch = offset->leader_epoch, .metadata = offset->metadata,
        .commit_timestamp = offset->commit_timestamp_ms, .expire_timestamp = offset->expire_timestamp_ms,
        .topic_id = offset->topic_id};
    record.value_version = offset->expire_timestamp_ms >= 0 ? 1
                           : group->coord->config.behaviour.offsets_with_topic_id ? 4 : 3;
    record.value = value;
    return record;
}

struct rj_offsets_record rj_offset_record(struct rj_output *output, const struct rj_offset_partition *partition,
                                          const struct rj_offset *offset)
{
    struct rj_offset_commit_key *key = rj_output_take(output, sizeof(*key));
    struct rj_offset_commit_value *value = offset->is_tombstone ? NULL : rj_output_take(output, sizeof(*value));
    return rj_offset_record_in(key, value, partition, offset);
}

bool rj_sweep_reserve(struct rj_sweep *sweep, struct rj_coord *coord, int32_t partitions, int32_t groups,
                      size_t body_len)
{
    *sweep = (struct rj_sweep){.coord = coord};
    size_t records = (size_t)partitions + (size_t)groups;
    struct rj_output_need need = {
        .replies = 1, .appends = 1,
        .bytes = rj_output_len(records * sizeof(struct rj_offsets_record))
                 + rj_output_len((size_t)partitions * sizeof(struct rj_offset *))
                 + records * (rj_offset_record_len() + rj_output_len(sizeof(struct rj_group_metadata_key)))};
    if (!rj_output_reserve(coord->output, need))
        return false;
    sweep->write = rj_write_prepare(coord, body_len, partitions, groups);
    if (sweep->write == NULL)
        return false;
    sweep->records = rj_output_take(coord->output, records * sizeof(struct rj_offsets_record));
    sweep->tombstones = rj_output_take(coord->output, (size_t)partitions * sizeof(struct rj_offset *));
    for (int32_t i = 0; i < partitions; i++) {
        sweep->tombstones[i] = rj_offset_prepare(coord, RJ_EMPTY_STRING);
        if (sweep->tombstones[i] != NULL)
            continue;
        while (i-- > 0)
            rj_memory_free(&coord->memory, sweep->tombstones[i]);
        rj_write_discard(coord, sweep->write);
        return false;
    }
    sweep->write->origin.api_key = -1;
    sweep->write->partition_count = 0;
    sweep->reserved_count = partitions;
    return true;
}

void rj_sweep_partition(struct rj_sweep *sweep, struct rj_offset_partition *partition)
{
    struct rj_offset *tombstone = sweep->tombstones[sweep->partition_count++];
    tombstone->is_tombstone = true;
    tombstone->append_id = sweep->coord->next_append_id + 1;
    tombstone->position = sweep->coord->next_position++;
    rj_offset_push(partition, tombstone);
    partition->holds++;
    sweep->write->touched[sweep->write->partition_count++] = partition;
    sweep->records[sweep->record_count++] = rj_offset_record(sweep->coord->output, partition, tombstone);
}

void rj_sweep_group(struct rj_sweep *sweep, struct rj_group *group)
{
    sweep->records[sweep->record_count++] = rj_group_tombstone(group);
    sweep->coord->next_position++;
    group->exists = false;
    group->deleted_by = sweep->coord->next_append_id + 1;
    rj_group_hold(group);
    sweep->write->deleted[sweep->write->group_count++] = group;
}

void rj_sweep_finish(struct rj_sweep *sweep, enum rj_write_kind kind)
{
    for (int32_t i = sweep->partition_count; i < sweep->reserved_count; i++)
        rj_memory_free(&sweep->coord->memory, sweep->tombstones[i]);
    if (sweep->record_count > 0)
        rj_write_start(sweep->coord, sweep->write, kind, sweep->records, sweep->record_count);
    else
        rj_write_wait(sweep->coord, sweep->write);
}

/* ---- Expiry by retention ----------------------------------------------------------------------------------------- */

/* What a group's offsets expire from: exp-empty, exp-stable, exp-simple, exp-rebalancing. */
enum basis { BASIS_NEVER, BASIS_STATE, BASIS_COMMIT };

static enum basis basis_of(const struct rj_group *group)
{
    if (RJ_DOES(EXP_SIMPLE, group->protocol_type.data == NULL))
        return BASIS_COMMIT;
    if (RJ_DOES(EXP_EMPTY, group->protocol_type.data != NULL && group->state == RJ_GROUP_EMPTY))
        return group->state_since_ms >= 0 ? BASIS_STATE : BASIS_COMMIT;
    if (RJ_DOES(EXP_STABLE, rj_is_consumer(group) && group->subscribed.is_known && group->state == RJ_GROUP_STABLE)
        || RJ_WITHOUT(EXP_REBALANCING, group->state == RJ_GROUP_PREPARING || group->state == RJ_GROUP_COMPLETING))
        return BASIS_COMMIT;
    return BASIS_NEVER;
}

static bool is_expired(const struct rj_group *group, enum basis basis, const struct rj_offset_partition *partition)
{
    const struct rj_offset *offset = rj_offset_latest(partition);
    int64_t now_ms = group->coord->now_ms;
    if (offset == NULL || basis == BASIS_NEVER || rj_group_is_subscribed(group, partition->topic->node.key)
        || RJ_DOES(EXP_PENDING_TXN, rj_offset_is_open(partition)))
        return false;
    if (RJ_DOES(EXP_EXPLICIT, offset->expire_timestamp_ms >= 0))
        return now_ms >= offset->expire_timestamp_ms;
    int64_t since_ms = basis == BASIS_STATE ? group->state_since_ms : offset->commit_timestamp_ms;
    return now_ms - since_ms >= group->coord->config.offsets_retention_ms;
}

/* Counts what would go, or with a sweep removes it. */
static void expire_group(struct rj_group *group, struct rj_sweep *sweep, int32_t *partitions, int32_t *groups)
{
    if (!group->exists)
        return;
    enum basis basis = basis_of(group);
    int64_t left = group->offset_count;
    RJ_MAP_EACH (topic_node, &group->topics) {
        RJ_MAP_EACH (node, &rj_offset_topic_of(topic_node)->partitions) {
            struct rj_offset_partition *partition = rj_offset_partition_of(node);
            if (!is_expired(group, basis, partition))
                continue;
            left--;
            ++*partitions;
            if (sweep != NULL)
                rj_sweep_partition(sweep, partition);
        }
    }
    if (left > 0 || group->transaction_count > 0 || group->state != RJ_GROUP_EMPTY
        || !RJ_DOES(EXP_GROUP_TOMBSTONE, true))
        return;
    ++*groups;
    if (sweep != NULL)
        rj_sweep_group(sweep, group);
}

static void expire_all(struct rj_coord *coord, struct rj_sweep *sweep, int32_t *partitions, int32_t *groups)
{
    *partitions = *groups = 0;
    RJ_MAP_EACH (node, &coord->groups)
        expire_group(rj_group_of(node), sweep, partitions, groups);
}

/* With nothing to remove the clean-up still waits its turn behind the writes on their way, and is put off with them. */
static bool wait_turn_to_expire(struct rj_coord *coord)
{
    if (coord->first_write == NULL)
        return true;
    struct rj_write *write = rj_write_prepare(coord, 0, 0, 0);
    if (write != NULL)
        rj_write_queue(coord, write, RJ_WRITE_EXPIRED);
    return write != NULL;
}

bool rj_expire_offsets(struct rj_coord *coord)
{
    int32_t partitions, groups;
    expire_all(coord, NULL, &partitions, &groups);
    if (partitions + groups == 0)
        return wait_turn_to_expire(coord);
    struct rj_sweep sweep;
    if (!rj_sweep_reserve(&sweep, coord, partitions, groups, 0))
        return false;
    expire_all(coord, &sweep, &partitions, &groups);
    rj_sweep_finish(&sweep, RJ_WRITE_EXPIRED);
    return true;
}

/* ---- Deleted topics ---------------------------------------------------------------------------------------------- */

static bool is_gone(const struct rj_topic_table *before, const struct rj_topic_table *after, struct rj_string name)
{
    const struct rj_topic *old = rj_topic_by_name(before, name);
    const struct rj_topic *now = rj_topic_by_name(after, name);
    return old != NULL && (now == NULL || !rj_uuid_equal(&old->topic_id, &now->topic_id));
}

static int32_t sweep_topics(struct rj_coord *coord, const struct rj_topic_table *topics, struct rj_sweep *sweep)
{
    int32_t count = 0;
    RJ_MAP_EACH (group_node, &coord->groups) {
        RJ_MAP_EACH (topic_node, &rj_group_of(group_node)->topics) {
            if (!is_gone(coord->topics, topics, topic_node->key))
                continue;
            RJ_MAP_EACH (node, &rj_offset_topic_of(topic_node)->partitions) {
                struct rj_offset_partition *partition = rj_offset_partition_of(node);
                if (rj_offset_latest(partition) == NULL && !rj_offset_is_open(partition))
                    continue;
                count++;
                if (sweep != NULL)
                    rj_sweep_partition(sweep, partition);
            }
        }
    }
    return count;
}

bool rj_topics_changed(struct rj_coord *coord, const struct rj_topic_table *topics)
{
    int32_t count = coord->topics != NULL ? sweep_topics(coord, topics, NULL) : 0;
    if (RJ_DOES(EXP_TOPIC_DELETED, count > 0)) {
        struct rj_sweep sweep;
        if (!rj_sweep_reserve(&sweep, coord, count, 0, 0))
            return false;
        sweep_topics(coord, topics, &sweep);
        rj_sweep_finish(&sweep, RJ_WRITE_QUIET);
    }
    coord->topics = topics;
    return true;
}
