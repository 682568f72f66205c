/* The leader's work: know the whole group, wait for metadata of all its topics, assign, send. */
#include "consumer/state.h"

#include <string.h>

static bool take_member(struct rj_consumer *c, const struct rj_join_group_response_member *from,
                        struct rj_assign_member *to)
{
    bool ok = true;
    struct rj_arena *arena = &c->group.arena;
    struct rj_consumer_protocol_subscription *subscription = rj_arena_alloc(arena, sizeof *subscription);
    to->member_id = rj_arena_copy_string(arena, from->member_id, &ok);
    to->instance_id = rj_arena_copy_string(arena, from->group_instance_id, &ok);
    struct rj_bytes metadata = rj_arena_copy_bytes(arena, from->metadata, &ok);
    if (!ok || subscription == NULL) {
        c->out_of_memory = true;
        return false;
    }
    to->subscription = subscription;
    return rj_decode_subscription(metadata, arena, subscription, NULL, NULL) == RJ_OK;
}

/* The topics of all members, each once. */
static bool collect_topics(struct rj_consumer *c)
{
    int64_t most = 0;
    for (int32_t m = 0; m < c->group.member_count; m++)
        most += c->group.members[m].subscription->topics.count;
    struct rj_string_array *topics = &c->group.topics;
    topics->items = rj_arena_alloc(&c->group.arena, (size_t)(most + 1) * sizeof *topics->items);
    if (topics->items == NULL) {
        c->out_of_memory = true;
        return false;
    }
    for (int32_t m = 0; m < c->group.member_count; m++) {
        const struct rj_string_array *wanted = &c->group.members[m].subscription->topics;
        for (int32_t i = 0; i < wanted->count; i++) {
            bool known = false;
            for (int32_t k = 0; k < topics->count && !known; k++)
                known = rj_string_equal(topics->items[k], wanted->items[i]);
            if (!known)
                topics->items[topics->count++] = wanted->items[i];
        }
    }
    return true;
}

bool rj_leader_take_group(struct rj_consumer *c, const struct rj_join_group_response *response)
{
    struct group *group = &c->group;
    rj_arena_reset(&group->arena);
    group->members = NULL;
    group->member_count = 0;
    group->topics = (struct rj_string_array){NULL, 0};
    group->has_signature = false;
    group->skips_assignment = response->skip_assignment;
    group->is_leader = rj_string_equal(response->leader, response->member_id) &&
                       (response->members.count > 0 || response->skip_assignment);
    if (!group->is_leader)
        return true;
    group->members = rj_arena_alloc(&group->arena, (size_t)(response->members.count + 1) * sizeof *group->members);
    if (group->members == NULL) {
        c->out_of_memory = true;
        return false;
    }
    for (int32_t i = 0; i < response->members.count; i++) {
        if (!take_member(c, &response->members.items[i], &group->members[i])) {
            rj_consumer_fail(c, RJ_API_JOIN_GROUP, RJ_KAFKA_INCONSISTENT_GROUP_PROTOCOL, RJ_RULE_CL_LEADER,
                             "a member's subscription cannot be read");
            return false;
        }
        group->member_count++;
    }
    if (!collect_topics(c))
        return false;
    if (group->skips_assignment)
        rj_leader_note_signature(c);
    return true;
}

static uint64_t mix(uint64_t hash, const void *data, int32_t len)
{
    for (int32_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3; /* FNV-1a */
    return hash;
}

/* Names, partition counts and racks of the group's topics. */
uint64_t rj_rebalance_signature(const struct rj_consumer *c)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (int32_t i = 0; i < c->group.topics.count; i++) {
        const struct known_topic *topic = rj_metadata_topic(c, c->group.topics.items[i]);
        int32_t count = topic == NULL ? 0 : topic->partition_count;
        hash = mix(hash, c->group.topics.items[i].data, c->group.topics.items[i].len);
        hash = mix(hash, &count, sizeof count);
        for (int32_t p = 0; p < count; p++)
            for (int32_t r = 0; r < topic->partitions[p].racks.count; r++)
                hash = mix(hash, topic->partitions[p].racks.items[r].data, topic->partitions[p].racks.items[r].len);
    }
    return hash;
}

void rj_leader_note_signature(struct rj_consumer *c)
{
    c->group.signature = rj_rebalance_signature(c);
    c->group.has_signature = true;
}

/* Was every topic of the group asked for? A topic that does not exist has its answer too. */
static bool knows_topics(const struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->group.topics.count; i++)
        if (rj_metadata_topic(c, c->group.topics.items[i]) == NULL)
            return false;
    return c->metadata.is_known;
}

static struct rj_assign_topic *assign_topics(struct rj_consumer *c)
{
    struct rj_assign_topic *topics = rj_consumer_step_alloc(c, c->group.topics.count, sizeof *topics);
    for (int32_t i = 0; topics != NULL && i < c->group.topics.count; i++) {
        const struct known_topic *known = rj_metadata_topic(c, c->group.topics.items[i]);
        struct rj_string_array *racks = rj_consumer_step_alloc(c, known->partition_count, sizeof *racks);
        if (racks == NULL)
            return NULL;
        for (int32_t p = 0; p < known->partition_count; p++)
            racks[p] = known->partitions[p].racks;
        topics[i] = (struct rj_assign_topic){known->name, known->partition_count, racks};
    }
    return topics;
}

static void assign_and_send(struct rj_consumer *c)
{
    struct group *group = &c->group;
    struct rj_assign_topic *topics = assign_topics(c);
    struct rj_consumer_protocol_assignment *assignments =
        rj_consumer_step_alloc(c, group->member_count, sizeof *assignments);
    struct rj_sync_group_request_assignment *list = rj_consumer_step_alloc(c, group->member_count, sizeof *list);
    if (topics == NULL || assignments == NULL || list == NULL)
        return;
    if (rj_assign(c->assignor, group->members, group->member_count, topics, group->topics.count, &c->step,
                  assignments) != RJ_OK) {
        c->out_of_memory = true;
        return;
    }
    int32_t count = 0;
    for (int32_t m = 0; m < group->member_count; m++) {
        if (assignments[m].assigned_partitions.count == 0 &&
            rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_OMIT_EMPTY_MEMBERS))
            continue;
        list[count].member_id = group->members[m].member_id;
        if (rj_encode_assignment(&assignments[m], c->config.subscription_version, &c->step,
                                 &list[count++].assignment) != RJ_OK) {
            c->out_of_memory = true;
            return;
        }
    }
    rj_leader_note_signature(c);
    rj_rebalance_send_sync(c, list, count);
}

void rj_leader_drive(struct rj_consumer *c)
{
    if (knows_topics(c))
        assign_and_send(c);
    else if (!c->metadata_wanted && !rj_consumer_is_out(c, RJ_API_METADATA))
        c->metadata_wanted = true; /* cl-leader-metadata; discovery_drive asks */
}
