/* What has to be known before the first request is fed to the core: the topics, the generations with their leaders, the
 * broker's initial rebalance delay, and what was there before the capture began. */
#include "capture/replay_state.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- Topics ------------------------------------------------------------------------------------------------------ */

static int compare_topics(const void *a, const void *b)
{
    const struct rj_topic *left = a, *right = b;
    int32_t len = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = memcmp(left->name.data, right->name.data, (size_t)len);
    return order != 0 ? order : left->name.len - right->name.len;
}

static void note_topic(struct replay *replay, struct rj_string name, const struct rj_uuid *id, int32_t partition_count)
{
    bool ok = true;
    struct rj_topic *topic = NULL;
    for (int32_t i = 0; i < replay->topic_table.count && topic == NULL; i++)
        if (rj_string_equal(replay->topics[i].name, name))
            topic = &replay->topics[i];
    if (topic == NULL) {
        replay->topics = replay_grow(replay->topics, (size_t)replay->topic_table.count, sizeof(replay->topics[0]));
        topic = &replay->topics[replay->topic_table.count++];
        *topic = (struct rj_topic){.name = rj_arena_copy_string(&replay->arena, name, &ok)};
    }
    if (id != NULL)
        topic->topic_id = *id;
    if (partition_count > topic->partition_count)
        topic->partition_count = partition_count;
}

/* From what brokers said, and from commits that they accepted. */
static void collect_topics(struct replay *replay)
{
    for (size_t i = 0; i < replay->exchange_count; i++) {
        const struct replay_exchange *exchange = replay->exchanges[i];
        if (exchange->response == NULL)
            continue;
        if (exchange->api_key == RJ_API_METADATA) {
            const struct rj_metadata_response *body = exchange->response;
            for (int32_t t = 0; t < body->topics.count; t++)
                if (body->topics.items[t].error_code == RJ_KAFKA_NONE && body->topics.items[t].name.len > 0)
                    note_topic(replay, body->topics.items[t].name, &body->topics.items[t].topic_id,
                               body->topics.items[t].partitions.count);
        } else if (exchange->api_key == RJ_API_OFFSET_COMMIT) {
            const struct rj_offset_commit_response *body = exchange->response;
            for (int32_t t = 0; t < body->topics.count; t++)
                for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++)
                    if (body->topics.items[t].partitions.items[p].error_code != RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION &&
                        body->topics.items[t].name.len > 0)
                        note_topic(replay, body->topics.items[t].name, NULL,
                                   body->topics.items[t].partitions.items[p].partition_index + 1);
        }
    }
    if (replay->topic_table.count > 0)
        qsort(replay->topics, (size_t)replay->topic_table.count, sizeof(replay->topics[0]), compare_topics);
    replay->topic_table.items = replay->topics;
}

/* ---- Generations ------------------------------------------------------------------------------------------------- */

static void note_generation(struct replay_group *group, const struct replay_exchange *exchange)
{
    const struct rj_join_group_response *body = exchange->response;
    for (size_t i = 0; i < group->generation_count; i++)
        if (group->generations[i].id == body->generation_id)
            return;
    group->generations = replay_grow(group->generations, group->generation_count, sizeof(group->generations[0]));
    group->generations[group->generation_count++] = (struct replay_generation){
        body->generation_id, exchange->response_frame, body->leader, body->protocol_name};
}

/* A member id that no answer of the capture gave: the group had members before it began. */
static bool was_given(const struct replay *replay, const struct replay_group *group, struct rj_string member_id)
{
    for (size_t i = 0; i < replay->exchange_count; i++) {
        const struct replay_exchange *exchange = replay->exchanges[i];
        if (exchange->group != group || exchange->api_key != RJ_API_JOIN_GROUP || exchange->response == NULL)
            continue;
        const struct rj_join_group_request *request = exchange->request;
        const struct rj_join_group_response *response = exchange->response;
        if (request->member_id.len == 0 && rj_string_equal(response->member_id, member_id))
            return true;
    }
    return false;
}

/* The member that a request names and an answer accepts; null: none. */
static struct rj_string accepted_member(const struct replay_exchange *exchange)
{
    if (exchange->response == NULL)
        return RJ_NULL_STRING;
    if (exchange->api_key == RJ_API_HEARTBEAT &&
        ((const struct rj_heartbeat_response *)exchange->response)->error_code == RJ_KAFKA_NONE)
        return ((const struct rj_heartbeat_request *)exchange->request)->member_id;
    if (exchange->api_key == RJ_API_SYNC_GROUP &&
        ((const struct rj_sync_group_response *)exchange->response)->error_code == RJ_KAFKA_NONE)
        return ((const struct rj_sync_group_request *)exchange->request)->member_id;
    if (exchange->api_key == RJ_API_JOIN_GROUP &&
        ((const struct rj_join_group_response *)exchange->response)->error_code == RJ_KAFKA_NONE)
        return ((const struct rj_join_group_response *)exchange->response)->member_id;
    if (exchange->api_key == RJ_API_LEAVE_GROUP) {
        const struct rj_leave_group_request *request = exchange->request;
        const struct rj_leave_group_response *response = exchange->response;
        if (exchange->version < 3)
            return response->error_code == RJ_KAFKA_NONE ? request->member_id : RJ_NULL_STRING;
        if (response->members.count > 0 && response->members.items[0].error_code == RJ_KAFKA_NONE &&
            response->members.items[0].member_id.len > 0)
            return response->members.items[0].member_id;
    }
    return RJ_NULL_STRING;
}

static void look_for_unseen(const struct replay *replay, struct replay_group *group,
                            const struct replay_exchange *exchange)
{
    struct rj_string member = accepted_member(exchange);
    if (member.data != NULL && !was_given(replay, group, member))
        group->unseen_members = true;
    if (exchange->api_key != RJ_API_JOIN_GROUP || exchange->response == NULL)
        return;
    const struct rj_join_group_response *response = exchange->response;
    for (int32_t i = 0; i < response->members.count; i++)
        group->unseen_members |= !was_given(replay, group, response->members.items[i].member_id);
}

static int compare_generations(const void *a, const void *b)
{
    uint64_t left = ((const struct replay_generation *)a)->first_frame;
    uint64_t right = ((const struct replay_generation *)b)->first_frame;
    return (left > right) - (left < right);
}

static void collect_generations(struct replay *replay)
{
    for (size_t i = 0; i < replay->exchange_count; i++) {
        const struct replay_exchange *exchange = replay->exchanges[i];
        if (exchange->group == NULL || exchange->request == NULL)
            continue;
        look_for_unseen(replay, exchange->group, exchange);
        if (exchange->api_key == RJ_API_JOIN_GROUP && exchange->response != NULL &&
            ((const struct rj_join_group_response *)exchange->response)->error_code == RJ_KAFKA_NONE)
            note_generation(exchange->group, exchange);
    }
    for (size_t i = 0; i < replay->group_count; i++)
        if (replay->groups[i]->generation_count > 1)
            qsort(replay->groups[i]->generations, replay->groups[i]->generation_count,
                  sizeof(struct replay_generation), compare_generations);
}

/* ---- The initial rebalance delay --------------------------------------------------------------------------------- */

/* With this delay, and members joining at these offsets after the first one, when does the initial phase end? */
static int64_t initial_phase_end(int64_t delay_ms, const int64_t *offsets_ms, size_t count)
{
    int64_t end_ms = delay_ms;
    for (bool extended = delay_ms > 0; extended;) {
        extended = false;
        for (size_t i = 0; i < count; i++)
            extended |= offsets_ms[i] >= end_ms - delay_ms && offsets_ms[i] < end_ms;
        if (extended)
            end_ms += delay_ms;
    }
    return end_ms;
}

static bool is_accepted_join(const struct replay_exchange *exchange, const struct replay_group *group,
                             int32_t generation)
{
    if (exchange->group != group || exchange->api_key != RJ_API_JOIN_GROUP || exchange->response == NULL)
        return false;
    const struct rj_join_group_response *response = exchange->response;
    return response->error_code == RJ_KAFKA_NONE && response->generation_id == generation;
}

static void infer_delay(const struct replay *replay, struct replay_group *group)
{
    int64_t offsets_ms[64], first_ms = -1, took_ms = 0;
    size_t count = 0;
    for (size_t i = 0; group->generation_count > 0 && i < replay->exchange_count; i++) {
        const struct replay_exchange *exchange = replay->exchanges[i];
        if (!is_accepted_join(exchange, group, group->generations[0].id))
            continue;
        if (first_ms < 0) {
            first_ms = exchange->request_ms;
            took_ms = exchange->response_ms - first_ms;
        } else if (count < 64 && exchange->request_ms < first_ms + took_ms) {
            offsets_ms[count++] = exchange->request_ms - first_ms;
        }
    }
    if (first_ms < 0)
        return;
    for (int64_t windows = 1; windows <= 8; windows++) {
        int64_t delay_ms = took_ms / windows;
        int64_t end_ms = initial_phase_end(delay_ms, offsets_ms, count);
        if (end_ms <= took_ms && end_ms > took_ms - delay_ms / 2 - 1) {
            group->inferred_delay_ms = (int32_t)delay_ms;
            return;
        }
    }
}

/* The same for all groups of a broker: the shortest one that was seen; round numbers are likelier than others. */
static void choose_delay(struct replay *replay)
{
    replay->delay_ms = replay->options.initial_rebalance_delay_ms;
    if (replay->delay_ms >= 0)
        return;
    int32_t shortest = -1;
    for (size_t i = 0; i < replay->group_count; i++) {
        infer_delay(replay, replay->groups[i]);
        int32_t inferred = replay->groups[i]->inferred_delay_ms;
        if (inferred >= 0 && (shortest < 0 || inferred < shortest))
            shortest = inferred;
    }
    if (shortest < 0)
        shortest = 3000;
    replay->delay_ms = shortest >= 100 ? shortest / 100 * 100 : 0;
}

/* ---- Offsets that were there before ------------------------------------------------------------------------------ */

static struct replay_seed *seed_of(struct replay_group *group, struct rj_string topic, int32_t partition)
{
    for (size_t i = 0; i < group->seed_count; i++)
        if (group->seeds[i].partition == partition && rj_string_equal(group->seeds[i].topic, topic))
            return &group->seeds[i];
    group->seeds = replay_grow(group->seeds, group->seed_count, sizeof(group->seeds[0]));
    group->seeds[group->seed_count] = (struct replay_seed){.topic = topic, .partition = partition, .settled = true};
    return &group->seeds[group->seed_count++];
}

static bool is_new_seed(const struct replay_group *group, struct rj_string topic, int32_t partition)
{
    for (size_t i = 0; i < group->seed_count; i++)
        if (group->seeds[i].partition == partition && rj_string_equal(group->seeds[i].topic, topic))
            return false;
    return true;
}

static void note_fetched(struct replay_group *group, struct rj_string topic, int32_t partition, int64_t offset,
                         int32_t leader_epoch, struct rj_string metadata, int64_t time_ms)
{
    if (!is_new_seed(group, topic, partition))
        return;
    struct replay_seed *seed = seed_of(group, topic, partition);
    rj_message_init(&rj_offset_commit_value_schema, &seed->value);
    seed->settled = offset < 0; /* nothing was there */
    seed->value.offset = offset;
    seed->value.leader_epoch = leader_epoch;
    seed->value.metadata = metadata.data ? metadata : RJ_EMPTY_STRING;
    seed->value.commit_timestamp = time_ms;
}

static void collect_seeds(const struct replay_exchange *exchange)
{
    struct replay_group *group = exchange->group;
    if (exchange->api_key == RJ_API_OFFSET_COMMIT && exchange->request != NULL) {
        const struct rj_offset_commit_request *body = exchange->request;
        for (int32_t t = 0; t < body->topics.count; t++)
            for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++)
                seed_of(group, body->topics.items[t].name, body->topics.items[t].partitions.items[p].partition_index);
    }
    if (exchange->api_key != RJ_API_OFFSET_FETCH || exchange->response == NULL)
        return;
    const struct rj_offset_fetch_response *body = exchange->response;
    for (int32_t t = 0; t < body->topics.count; t++)
        for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++)
            note_fetched(group, body->topics.items[t].name, body->topics.items[t].partitions.items[p].partition_index,
                         body->topics.items[t].partitions.items[p].committed_offset,
                         body->topics.items[t].partitions.items[p].committed_leader_epoch,
                         body->topics.items[t].partitions.items[p].metadata, exchange->request_ms);
    for (int32_t g = 0; g < body->groups.count; g++)
        for (int32_t t = 0; t < body->groups.items[g].topics.count; t++)
            for (int32_t p = 0; p < body->groups.items[g].topics.items[t].partitions.count; p++)
                note_fetched(group, body->groups.items[g].topics.items[t].name,
                             body->groups.items[g].topics.items[t].partitions.items[p].partition_index,
                             body->groups.items[g].topics.items[t].partitions.items[p].committed_offset,
                             body->groups.items[g].topics.items[t].partitions.items[p].committed_leader_epoch,
                             body->groups.items[g].topics.items[t].partitions.items[p].metadata,
                             exchange->request_ms);
}

void replay_prepare(struct replay *replay)
{
    collect_topics(replay);
    collect_generations(replay);
    choose_delay(replay);
    for (size_t i = 0; i < replay->exchange_count; i++)
        if (replay->exchanges[i]->group != NULL)
            collect_seeds(replay->exchanges[i]);
}
