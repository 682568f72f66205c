/* The invariants of the whole state. */
#include "coord/group.h"
#include "coord/offsets.h"

struct report { const char *broken; };

static void expect(struct report *report, bool holds, const char *what)
{
    if (!holds && report->broken == NULL)
        report->broken = what;
}

static void check_map(struct report *report, const struct rj_map *map)
{
    uint32_t count = 0;
    for (uint32_t bucket = 0; bucket < map->capacity; bucket++)
        for (const struct rj_map_node *node = map->buckets[bucket]; node != NULL; node = node->next) {
            expect(report, (node->hash & (map->capacity - 1)) == bucket, "a map's node is in its bucket");
            count++;
        }
    expect(report, count == map->count, "a map counts its nodes");
    expect(report, map->capacity <= map->allocated, "a map's buckets are allocated");
}

static void check_parked(struct report *report, const struct rj_parked *parked)
{
    expect(report, parked->previous == NULL || *parked->previous == parked, "a parked request is in its list");
    expect(report, parked->previous == NULL || (parked->waiting && !parked->answered),
           "only a request that waits is in the list of its connection");
}

static void check_member(struct report *report, const struct rj_group *group, struct rj_member *member)
{
    expect(report, member->identity->member == member, "a member and its identity know each other");
    expect(report, member->identity->group == group, "a member's identity is of its group");
    expect(report, rj_string_equal(member->node.key, member->identity->node.key), "a member has its identity's id");
    expect(report, !member->identity->is_pending, "a member is not promised any more");
    expect(report,
           member->instance.key.data == NULL || rj_member_by_instance(group, member->instance.key) == member,
           "an instance id leads to its member");
    expect(report, !member->sync.waiting || group->state == RJ_GROUP_COMPLETING,
           "SyncGroups are parked in CompletingRebalance only");
    check_parked(report, &member->join);
    check_parked(report, &member->sync);
}

static void check_members(struct report *report, struct rj_group *group)
{
    int32_t awaiting = 0, instances = 0;
    int64_t topics = 0;
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        check_member(report, group, member);
        awaiting += member->join.waiting;
        instances += member->instance.key.data != NULL;
        topics += member->protocols->topic_count;
    }
    expect(report, awaiting == group->awaiting_join_count, "a group counts its parked joins");
    expect(report, (uint32_t)instances == group->instances.count, "a group counts its instance ids");
    expect(report, topics == group->topic_count, "a group counts the topics of its members");
    int32_t pending = 0, pending_sync = 0;
    RJ_MAP_EACH (id_node, &group->identities) {
        struct rj_identity *identity = rj_identity_of(id_node);
        pending += identity->is_pending;
        pending_sync += identity->is_pending_sync;
        expect(report, identity->holds >= 0, "holds are not negative");
        expect(report,
               identity->member != NULL || identity->is_pending || identity->is_pending_sync || identity->holds > 0
                   || identity->timer.place != 0,
               "an identity that nothing refers to is gone");
    }
    expect(report, pending == group->pending_count, "a group counts its promised ids");
    expect(report, pending_sync == group->pending_sync_count, "a group counts who has not synced");
}

static void check_counters(struct report *report, const struct rj_group *group)
{
    RJ_MAP_EACH (node, &group->counters) {
        const struct rj_protocol_counter *counter = RJ_CONTAINER(node, struct rj_protocol_counter, node);
        int32_t count = 0;
        RJ_MAP_EACH (member_node, &group->members) {
            const struct rj_protocols *protocols = rj_member_of(member_node)->protocols;
            for (int32_t i = 0; i < protocols->count; i++)
                count += protocols->items[i].counter == counter;
        }
        expect(report, count == counter->count || group->miscounts, "a protocol counts who offers it");
        expect(report, counter->holds > 0, "a protocol that nobody offers is gone");
    }
}

static void check_group(struct report *report, struct rj_group *group)
{
    check_map(report, &group->members);
    check_map(report, &group->identities);
    check_map(report, &group->instances);
    check_map(report, &group->counters);
    check_map(report, &group->topics);
    check_members(report, group);
    check_counters(report, group);
    bool has_members = group->members.count > 0;
    expect(report, group->exists || !has_members, "a group that does not exist has no members");
    expect(report, group->state != RJ_GROUP_EMPTY || !has_members, "an empty group has no members");
    expect(report,
           !group->exists || (group->state != RJ_GROUP_STABLE && group->state != RJ_GROUP_COMPLETING) || has_members,
           "a generation has members");
    expect(report, group->generation_id >= 0, "a generation is not negative");
    expect(report, group->state == RJ_GROUP_PREPARING || group->state == RJ_GROUP_STABLE
                       || group->awaiting_join_count == 0
                       || (group->state == RJ_GROUP_COMPLETING && !rj_all_offer_chosen(group)),
           "joins are parked in PreparingRebalance, in Stable while a replacement is written, or where the list for the "
           "leader could not be made");
    expect(report, !has_members || group->protocol_type.data != NULL, "a group with members has a protocol type");
}

static void check_offsets(struct report *report, const struct rj_group *group, int64_t *partitions)
{
    int64_t plain = 0, open = 0;
    RJ_MAP_EACH (topic_node, &group->topics) {
        const struct rj_offset_topic *topic = rj_offset_topic_of(topic_node);
        check_map(report, &topic->partitions);
        expect(report, topic->partitions.count > 0, "a topic without partitions is gone");
        RJ_MAP_EACH (node, &topic->partitions) {
            const struct rj_offset_partition *partition = rj_offset_partition_of(node);
            ++*partitions;
            plain += rj_offset_latest(partition) != NULL;
            for (const struct rj_offset *one = partition->transactional; one != NULL; one = one->older)
                open += one->removed_by == 0;
            for (const struct rj_offset *one = partition->plain; one != NULL; one = one->older)
                expect(report, one->append_id != 0 || one->older == NULL,
                       "nothing is kept behind the committed offset");
        }
    }
    expect(report, plain == group->offset_count, "a group counts its offsets");
    expect(report, open == group->transaction_count, "a group counts its open offsets");
}

static void check_timers(struct report *report, const struct rj_timers *timers)
{
    expect(report, timers->count <= timers->known, "a running timer is announced");
    for (uint32_t i = 1; i <= timers->count; i++) {
        const struct rj_queued *queued = &timers->heap[i];
        expect(report, queued->timer->place == i, "a timer knows its place");
        expect(report, queued->deadline_ms <= queued->timer->deadline_ms, "a timer is not queued behind its time");
        expect(report, i == 1 || timers->heap[i / 2].deadline_ms <= queued->deadline_ms, "the heap is ordered");
    }
}

static void check_writes(struct report *report, const struct rj_coord *coord)
{
    uint64_t newest = 0;
    const struct rj_write *older = NULL;
    for (const struct rj_write *write = coord->first_write; write != NULL; write = write->newer) {
        expect(report, write->older == older, "writes are linked both ways");
        expect(report, write->append_id == 0 || write->append_id > newest, "writes stand in their order");
        newest = write->append_id ? write->append_id : newest;
        older = write;
    }
    expect(report, coord->last_write == older, "the last write is the newest");
    expect(report, coord->first_write == NULL || coord->first_write->append_id != 0,
           "nobody waits behind nothing");
}

bool rj_check(const struct rj_coord *coord, const char **broken)
{
    struct report report = {NULL};
    int64_t partitions = 0;
    check_map(&report, &coord->groups);
    RJ_MAP_EACH (node, &coord->groups) {
        check_group(&report, rj_group_of(node));
        check_offsets(&report, rj_group_of(node), &partitions);
    }
    expect(&report, partitions == coord->offset_count, "the coordinator counts its partitions");
    expect(&report, coord->status != RJ_COORD_UNLOADED || coord->groups.count == 0, "nothing is kept after unloading");
    check_timers(&report, &coord->timers);
    check_writes(&report, coord);
    *broken = report.broken;
    return report.broken == NULL;
}
