/* OffsetFetch (API key 9).
 *
 * 1  offsets that are kept in Kafka
 * 2  null Topics means all of them; an error of the group (KIP-88)
 * 3  ThrottleTimeMs; 4 answered before throttling (KIP-219)
 * 5  CommittedLeaderEpoch (KIP-320)
 * 6  flexible
 * 7  RequireStable (KIP-447)
 * 8  several groups in one request (KIP-709)
 * 9  MemberId and MemberEpoch (KIP-848), which classic groups ignore
 * 10 topic ids instead of names */
#include "coord/api.h"
#include "coord/offsets.h"
#include "coord/writes.h"

typedef struct rj_offset_fetch_response_group answer_group;
typedef struct rj_offset_fetch_response_topics answer_topics;
typedef struct rj_offset_fetch_response_partitions answer_partition;

/* One group's part, in the form of versions 8 and up. */
struct facts {
    const struct rj_call *call;
    struct rj_string group_id;
    bool is_all, require_stable, names_member;
    bool is_dead; /* the group has no offsets any more, open transactions still count */
    const struct rj_offset_fetch_request_topics *topics; /* v8+ */
    const struct rj_offset_fetch_request_topic *old_topics; /* v0-v7 */
    int32_t topic_count;
    struct rj_group *group; /* as this read sees it; NULL: does not exist */
};

struct asked_topic { struct rj_string name; struct rj_uuid topic_id; struct rj_int32_array partitions; };

static struct asked_topic topic_at(const struct facts *facts, int32_t t)
{
    if (facts->old_topics != NULL)
        return (struct asked_topic){.name = facts->old_topics[t].name,
                                    .partitions = facts->old_topics[t].partition_indexes};
    return (struct asked_topic){facts->topics[t].name, facts->topics[t].topic_id, facts->topics[t].partition_indexes};
}

static void find_group(struct facts *facts)
{
    const struct rj_coord *coord = facts->call->coord;
    facts->group = facts->require_stable ? rj_group_find(coord, facts->group_id)
                                         : rj_group_find_committed(coord, facts->group_id);
    facts->is_dead = facts->group != NULL && facts->group->state == RJ_GROUP_DEAD;
}

static struct facts look_up(const struct rj_call *call, int32_t index)
{
    const struct rj_offset_fetch_request *request = call->body;
    struct facts facts = {.call = call, .require_stable = request->require_stable};
    if (call->origin.version >= 8) {
        const struct rj_offset_fetch_request_group *group = &request->groups.items[index];
        facts.group_id = group->group_id;
        facts.topics = group->topics.items;
        facts.topic_count = group->topics.count;
        facts.names_member = group->member_id.data != NULL;
    } else {
        facts.group_id = request->group_id;
        facts.old_topics = request->topics.items;
        facts.topic_count = request->topics.count;
    }
    facts.is_all = RJ_DOES(OF_NULL_TOPICS, facts.topic_count < 0);
    find_group(&facts);
    return facts;
}

static struct rj_verdict judge(const struct facts *facts)
{
    const struct rj_call *call = facts->call;
    const struct rj_coord *coord = call->coord;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, facts->group_id, RJ_OPERATION_DESCRIBE), OF_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(coord->config.is_active, OF_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, OF_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(coord->status != RJ_COORD_LOADING, OF_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    if (RJ_WITHOUT(OF_UNKNOWN_GROUP, facts->group == NULL))
        return (struct rj_verdict){RJ_RULE_OF_UNKNOWN_GROUP, RJ_KAFKA_GROUP_ID_NOT_FOUND};
    if (RJ_WITHOUT(OF_CLASSIC_IGNORES_MEMBER, facts->names_member))
        return (struct rj_verdict){RJ_RULE_OF_CLASSIC_IGNORES_MEMBER, RJ_KAFKA_UNKNOWN_MEMBER_ID};
    return RJ_ACCEPTED;
}

static const struct rj_topic *by_id(const struct facts *facts, const struct asked_topic *asked)
{
    return facts->call->coord->topics ? rj_topic_by_id(facts->call->coord->topics, &asked->topic_id) : NULL;
}

static struct rj_verdict judge_topic(const struct facts *facts, const struct asked_topic *asked)
{
    struct rj_string name = asked->name;
    if (facts->call->origin.version >= 10) {
        const struct rj_topic *topic = by_id(facts, asked);
        RJ_REQUIRE(topic != NULL, OF_TOPIC_ID_UNKNOWN, UNKNOWN_TOPIC_ID);
        name = topic->name;
    }
    RJ_REQUIRE(rj_is_allowed(facts->call->rights, RJ_RESOURCE_TOPIC, name, RJ_OPERATION_DESCRIBE), OF_AUTH,
               TOPIC_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

/* Some other transaction's offset, or with the Scala coordinator any that is not replicated, makes it unstable. */
static bool is_unstable(const struct facts *facts, const struct rj_offset_partition *partition)
{
    if (!facts->require_stable)
        return false;
    return rj_offset_is_open(partition)
           || (facts->call->coord->config.behaviour.unstable_plain_offsets && partition->plain != NULL
               && partition->plain->append_id != 0);
}

static struct rj_verdict judge_stable(const struct facts *facts, const struct rj_offset_partition *partition)
{
    RJ_REQUIRE(!is_unstable(facts, partition), OF_REQUIRE_STABLE, UNSTABLE_OFFSET_COMMIT);
    return RJ_ACCEPTED;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

static const struct rj_offset *value_of(const struct facts *facts, const struct rj_offset_partition *partition)
{
    if (facts->is_dead)
        return NULL;
    return facts->require_stable ? rj_offset_latest(partition) : rj_offset_committed(partition);
}

static size_t partition_len(const struct rj_offset *offset)
{
    return 2 * sizeof(answer_partition) + (offset ? (size_t)offset->metadata.len : 0) + 32;
}

static size_t all_len(const struct facts *facts)
{
    size_t len = 0;
    RJ_MAP_EACH (topic_node, &facts->group->topics) {
        len += sizeof(answer_topics) + sizeof(struct rj_offset_fetch_response_topic) + (size_t)topic_node->key.len + 96;
        RJ_MAP_EACH (node, &rj_offset_topic_of(topic_node)->partitions)
            len += partition_len(value_of(facts, rj_offset_partition_of(node)));
    }
    return len;
}

static size_t room_for(const struct facts *facts)
{
    size_t len = sizeof(answer_group) + (size_t)facts->group_id.len + 96;
    if (facts->is_all)
        return facts->group ? len + all_len(facts) : len;
    for (int32_t t = 0; t < facts->topic_count; t++) {
        struct asked_topic asked = topic_at(facts, t);
        struct rj_string name = asked.name;
        const struct rj_topic *known = facts->call->origin.version >= 10 ? by_id(facts, &asked) : NULL;
        if (known != NULL)
            name = known->name;
        len += sizeof(answer_topics) + sizeof(struct rj_offset_fetch_response_topic) + (size_t)name.len + 96;
        for (int32_t p = 0; p < asked.partitions.count; p++) {
            const struct rj_offset_partition *partition =
                facts->group ? rj_offset_partition_find(facts->group, name, asked.partitions.items[p]) : NULL;
            len += partition_len(partition ? value_of(facts, partition) : NULL);
        }
    }
    return len;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static answer_partition no_offset(int32_t index, int16_t error)
{
    return (answer_partition){.partition_index = index, .committed_offset = -1, .committed_leader_epoch = -1,
                              .metadata = RJ_EMPTY_STRING, .error_code = error};
}

static answer_partition offset_of(const struct facts *facts, struct rj_write *write, int32_t index,
                                  const struct rj_offset_partition *partition, const struct rj_uuid *topic_id)
{
    if (partition == NULL)
        return no_offset(index, RJ_DOES(OF_NONE, true) ? 0 : RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    struct rj_verdict verdict = judge_stable(facts, partition);
    const struct rj_offset *offset = value_of(facts, partition);
    if (verdict.rule != RJ_RULE_NONE) {
        write->rule = write->rule ? write->rule : verdict.rule;
        return no_offset(index, verdict.error);
    }
    static const struct rj_uuid zero;
    bool other_topic = RJ_DOES(OF_RECREATED_TOPIC, offset != NULL && topic_id != NULL
                                                       && !rj_uuid_equal(&offset->topic_id, &zero)
                                                       && !rj_uuid_equal(&offset->topic_id, topic_id));
    if (offset == NULL || other_topic)
        return no_offset(index, 0);
    return (answer_partition){.partition_index = index, .committed_offset = offset->offset,
                              .committed_leader_epoch = offset->leader_epoch,
                              .metadata = rj_write_string(write, offset->metadata)};
}

static void add_all(const struct facts *facts, struct rj_write *write, answer_group *group)
{
    group->topics.items = rj_write_take(write, facts->group->topics.count * sizeof(answer_topics));
    RJ_MAP_EACH (topic_node, &facts->group->topics) {
        struct rj_offset_topic *topic = rj_offset_topic_of(topic_node);
        if (!rj_is_allowed(facts->call->rights, RJ_RESOURCE_TOPIC, topic_node->key, RJ_OPERATION_DESCRIBE))
            continue;
        answer_topics *to = &group->topics.items[group->topics.count];
        *to = (answer_topics){.name = topic_node->key};
        const struct rj_topic *known =
            facts->call->coord->topics ? rj_topic_by_name(facts->call->coord->topics, topic_node->key) : NULL;
        if (known != NULL)
            to->topic_id = known->topic_id;
        to->partitions.items = rj_write_take(write, topic->partitions.count * sizeof(answer_partition));
        RJ_MAP_EACH (node, &topic->partitions) {
            struct rj_offset_partition *partition = rj_offset_partition_of(node);
            if (value_of(facts, partition) != NULL)
                to->partitions.items[to->partitions.count++] =
                    offset_of(facts, write, partition->partition, partition, NULL);
        }
        if (to->partitions.count == 0)
            continue;
        to->name = rj_write_string(write, to->name);
        group->topics.count++;
    }
}

static void add_topic(const struct facts *facts, struct rj_write *write, answer_group *group, int32_t t,
                      struct rj_verdict verdict)
{
    struct asked_topic asked = topic_at(facts, t);
    const struct rj_topic *known = facts->call->origin.version >= 10 ? by_id(facts, &asked) : NULL;
    struct rj_string name = known ? known->name : asked.name;
    answer_topics *to = &group->topics.items[group->topics.count++];
    *to = (answer_topics){.name = rj_write_string(write, name), .topic_id = asked.topic_id};
    to->partitions.items = rj_write_take(write, (size_t)asked.partitions.count * sizeof(answer_partition));
    for (int32_t p = 0; p < asked.partitions.count; p++) {
        int32_t index = asked.partitions.items[p];
        const struct rj_offset_partition *partition =
            facts->group ? rj_offset_partition_find(facts->group, name, index) : NULL;
        to->partitions.items[to->partitions.count++] =
            verdict.rule != RJ_RULE_NONE
                ? no_offset(index, verdict.error)
                : offset_of(facts, write, index, partition, known ? &asked.topic_id : NULL);
    }
}

/* Refused topics come last, as the broker adds them to the coordinator's answer. */
static void add_asked(const struct facts *facts, struct rj_write *write, answer_group *group)
{
    group->topics.items = rj_write_take(write, (size_t)facts->topic_count * sizeof(answer_topics));
    for (int refused = 0; refused < 2; refused++)
        for (int32_t t = 0; t < facts->topic_count; t++) {
            struct asked_topic asked = topic_at(facts, t);
            struct rj_verdict verdict = judge_topic(facts, &asked);
            if ((verdict.rule != RJ_RULE_NONE) != refused)
                continue;
            write->rule = write->rule ? write->rule : verdict.rule;
            add_topic(facts, write, group, t, verdict);
        }
}

static void fetch(const struct facts *facts, struct rj_write *write, answer_group *group)
{
    *group = (answer_group){.group_id = rj_write_string(write, facts->group_id)};
    struct rj_verdict verdict = judge(facts);
    group->error_code = verdict.error;
    if (verdict.rule != RJ_RULE_NONE)
        write->rule = write->rule ? write->rule : verdict.rule;
    else if (!facts->is_all)
        add_asked(facts, write, group);
    else if (facts->group != NULL && !facts->is_dead)
        add_all(facts, write, group);
}

/* v0 and v1 have no error of the group: it stands on each partition that was asked for. */
static void spread_error(const struct facts *facts, struct rj_write *write, answer_group *group)
{
    group->topics.items = rj_write_take(write, (size_t)facts->topic_count * sizeof(answer_topics));
    for (int32_t t = 0; t < facts->topic_count; t++)
        add_topic(facts, write, group, t, (struct rj_verdict){RJ_RULE_OF_V1_ERRORS, group->error_code});
}

static void convert(const struct facts *facts, struct rj_write *write, struct rj_offset_fetch_response *response)
{
    answer_group *group = &response->groups.items[0];
    if (RJ_DOES(OF_V1_ERRORS, facts->call->origin.version < 2 && group->error_code != 0 && facts->topic_count > 0))
        spread_error(facts, write, group);
    else
        response->error_code = group->error_code;
    struct rj_offset_fetch_response_topic *topics =
        rj_write_take(write, (size_t)group->topics.count * sizeof(*topics));
    for (int32_t t = 0; t < group->topics.count; t++) {
        const answer_topics *from = &group->topics.items[t];
        struct rj_offset_fetch_response_partition *partitions =
            rj_write_take(write, (size_t)from->partitions.count * sizeof(*partitions));
        for (int32_t p = 0; p < from->partitions.count; p++) {
            const answer_partition *one = &from->partitions.items[p];
            partitions[p] = (struct rj_offset_fetch_response_partition){
                .partition_index = one->partition_index, .committed_offset = one->committed_offset,
                .committed_leader_epoch = one->committed_leader_epoch, .metadata = one->metadata,
                .error_code = one->error_code};
        }
        topics[t] = (struct rj_offset_fetch_response_topic){
            .name = from->name, .partitions = {partitions, from->partitions.count}};
    }
    response->topics.items = topics;
    response->topics.count = group->topics.count;
    response->groups.count = 0;
}

void rj_fail_offset_fetch(void *body, int16_t version, int16_t error)
{
    struct rj_offset_fetch_response *response = body;
    for (int32_t g = 0; g < response->groups.count; g++)
        if (response->groups.items[g].error_code == 0) {
            response->groups.items[g].error_code = error;
            response->groups.items[g].topics.count = 0;
        }
    if (version >= 8)
        return;
    if (version >= 2) {
        response->error_code = error;
        response->topics.count = 0;
        return;
    }
    for (int32_t t = 0; t < response->topics.count; t++)
        for (int32_t p = 0; p < response->topics.items[t].partitions.count; p++) {
            struct rj_offset_fetch_response_partition *one = &response->topics.items[t].partitions.items[p];
            *one = (struct rj_offset_fetch_response_partition){
                .partition_index = one->partition_index, .committed_offset = -1, .committed_leader_epoch = -1,
                .metadata = RJ_EMPTY_STRING, .error_code = error};
        }
}

bool rj_offset_fetch(const struct rj_call *call)
{
    const struct rj_offset_fetch_request *request = call->body;
    struct rj_coord *coord = call->coord;
    int32_t count = call->origin.version >= 8 ? request->groups.count : 1;
    size_t room = sizeof(struct rj_offset_fetch_response) + 64;
    bool waits = false;
    for (int32_t i = 0; i < count; i++) {
        struct facts facts = look_up(call, i);
        room += room_for(&facts) * (call->origin.version < 2 ? 2 : 1);
        waits = waits || (facts.require_stable && judge(&facts).rule == RJ_RULE_NONE);
    }
    if (!rj_output_reserve(coord->output, (struct rj_output_need){.replies = 1}))
        return false;
    struct rj_write *write = rj_write_prepare(coord, room, 0, 0);
    if (write == NULL)
        return false;
    struct rj_offset_fetch_response *response = rj_write_take(write, sizeof(*response));
    *response = (struct rj_offset_fetch_response){.throttle_time_ms = 0};
    response->groups.items = rj_write_take(write, (size_t)count * sizeof(answer_group));
    write->origin = call->origin;
    write->body = response;
    for (int32_t i = 0; i < count; i++) {
        struct facts facts = look_up(call, i);
        if (RJ_WITHOUT(OF_BATCH, i > 0))
            break;
        fetch(&facts, write, &response->groups.items[response->groups.count++]);
        if (call->origin.version < 8)
            convert(&facts, write, response);
    }
    if (waits)
        rj_write_wait(coord, write);
    else
        rj_write_answer(coord, write);
    return true;
}
