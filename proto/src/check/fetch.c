/* Rules on Fetch, which names no member: it is held against a member only where its client id leaves no doubt. */
#include "check/state.h"

/* Client ids that libraries use where the application chose none: any number of clients may share them. */
static bool is_common_client_id(struct rj_string id)
{
    static const struct rj_string common[] = {
        {"", 0}, {"rdkafka", 7}, {"sarama", 6}, {"kgo", 3}, {"kafkajs", 7}, {"kafka-python", 12}, {"node-rdkafka", 12},
        {"confluent-kafka", 15}, {"console-consumer", 16}, {"my-app", 6},
    };
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
        if (rj_string_equal(id, common[i]))
            return true;
    return false;
}

/* The only member that this client id ever had at a time; NULL: none, or more than one. */
static struct member *sole_member(const struct rj_checker *checker, struct rj_string client_id)
{
    struct member *sole = NULL;
    if (is_common_client_id(client_id))
        return NULL;
    for (int32_t g = 0; g < checker->groups.count; g++) {
        const struct group *group = *LIST_AT(&checker->groups, struct group *, g);
        for (int32_t i = 0; i < group->members.count; i++) {
            struct member *member = *LIST_AT(&group->members, struct member *, i);
            if (!same(member->client_id, client_id) || member->generations.count == 0)
                continue;
            if (sole != NULL)
                return NULL;
            sole = member;
        }
    }
    return sole != NULL && sole->born && sole->state == MEMBER_IN && !sole->group->blind ? sole : NULL;
}

static bool is_subscribed(struct rj_checker *checker, const struct member *member, struct rj_string topic)
{
    struct rj_consumer_protocol_subscription subscription;
    const struct rj_join_group_request *join = member->accepted_join ? member->accepted_join->body : NULL;
    if (join == NULL || join->protocols.count == 0 ||
        !rj_read_subscription(checker, join->protocols.items[0].metadata, &subscription))
        return false;
    for (int32_t i = 0; i < subscription.topics.count; i++)
        if (rj_string_equal(subscription.topics.items[i], topic))
            return true;
    return false;
}

static struct finding about_fetch(enum rj_rule rule, const struct member *member,
                                  const struct rj_check_message *request, uint64_t other_frame)
{
    return (struct finding){.rule = rule, .group = member->group, .member = member, .client_id = member->client_id,
                            .stream = request->stream, .frame = request->frame, .other_frame = other_frame,
                            .time_ms = request->time_ms};
}

static void judge_assigned(struct rj_checker *checker, const struct member *member, struct partition partition,
                           const struct rj_check_message *request)
{
    if (rj_judged(checker, RJ_RULE_T_FETCH_ASSIGNED, rj_has_partition(&member->assignment, partition) ||
                                                  rj_has_partition(&member->previous_assignment, partition)))
        return;
    struct finding finding = about_fetch(RJ_RULE_T_FETCH_ASSIGNED, member, request, member->synced_frame);
    rj_expected(rj_report(checker, &finding, "partition %d of %v is fetched by a member that does not own it",
                          (int)partition.index, partition.topic), "fetches of assigned partitions");
}

static void judge_stopped(struct rj_checker *checker, const struct member *member, struct partition partition,
                          const struct rj_check_message *request)
{
    const struct generation *generation = rj_find_generation(member->group, member->synced_generation);
    if (generation == NULL || rj_is_cooperative(generation->protocol_name) ||
        !rj_is_disjoint_assignor(generation->protocol_name))
        return;
    bool joining = member->join_pending || member->generation != member->synced_generation;
    if (rj_judged(checker, RJ_RULE_T_EAGER_FETCH_STOP, !joining))
        return;
    struct finding finding = about_fetch(RJ_RULE_T_EAGER_FETCH_STOP, member, request, member->latest_join->frame);
    rj_expected(rj_report(checker, &finding,
                          "partition %d of %v is fetched while its eager owner joins the next generation",
                          (int)partition.index, partition.topic), "no fetch between JoinGroup and SyncGroup success");
}

static void judge_resumed(struct rj_checker *checker, const struct member *member, struct partition partition,
                          int64_t offset, const struct rj_check_message *request)
{
    for (int32_t i = 0; i < checker->resumes.count; i++) {
        struct resume resume = *LIST_AT(&checker->resumes, struct resume, i);
        if (!same(resume.client_id, member->client_id) || resume.partition.index != partition.index ||
            !same(resume.partition.topic, partition.topic))
            continue;
        rj_list_remove(&checker->resumes, i);
        if (offset != resume.offset && request->time_ms <= resume.time_ms + SHUFFLE_MS)
            return; /* it may have been sent before */
        if (rj_judged(checker, RJ_RULE_T_COMMIT_RESUME, offset == resume.offset))
            return;
        struct finding finding = about_fetch(RJ_RULE_T_COMMIT_RESUME, member, request, resume.frame);
        rj_expected(rj_report(checker, &finding, "the first fetch of partition %d of %v starts at %l",
                              (int)partition.index,
                              partition.topic, offset), "%l, the committed offset", resume.offset);
        return;
    }
}

bool rj_fetched_just_before(const struct rj_checker *checker, struct rj_string client_id, int64_t time_ms)
{
    const struct member *member = sole_member(checker, client_id);
    return member != NULL && member->fetched_ms != 0 && time_ms <= member->fetched_ms + SHUFFLE_MS;
}

/* A fetch session repeats only what changed: a partition that is left out is fetched from where it was. */
static void forget_resumes(struct rj_checker *checker, struct rj_string client_id)
{
    for (int32_t i = checker->resumes.count - 1; i >= 0; i--)
        if (same(LIST_AT(&checker->resumes, struct resume, i)->client_id, client_id))
            rj_list_remove(&checker->resumes, i);
}

void rj_check_fetch_request(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message)
{
    const struct rj_fetch_request *body = message->body;
    struct rj_string client_id = rj_intern(checker, message->client_id);
    struct member *member = sole_member(checker, client_id);
    (void)stream;
    if (member != NULL)
        member->fetched_ms = message->time_ms;
    if (member == NULL || member->synced_generation == 0) {
        forget_resumes(checker, client_id); /* this may be the first fetch of them, by whomever */
        return;
    }
    for (int32_t i = 0; i < body->topics.count; i++) {
        const struct topic *by_id = message->version >= 13 ? rj_find_topic_id(checker, &body->topics.items[i].topic_id)
                                                           : NULL;
        struct rj_string topic = message->version < 13 ? rj_intern(checker, body->topics.items[i].topic) :
                                 by_id ? by_id->name : RJ_EMPTY_STRING;
        if (topic.len == 0 || !is_subscribed(checker, member, topic))
            continue;
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++) {
            struct partition partition = {topic, body->topics.items[i].partitions.items[j].partition};
            judge_assigned(checker, member, partition, message);
            judge_stopped(checker, member, partition, message);
            judge_resumed(checker, member, partition, body->topics.items[i].partitions.items[j].fetch_offset, message);
        }
    }
    if (body->session_epoch > 0)
        forget_resumes(checker, client_id);
}

void rj_check_metadata_response(struct rj_checker *checker, const struct rj_metadata_response *response)
{
    for (int32_t i = 0; i < response->topics.count; i++) {
        struct rj_string name = rj_intern(checker, response->topics.items[i].name);
        int32_t count = response->topics.items[i].partitions.count;
        if (name.len == 0 || response->topics.items[i].error_code != RJ_KAFKA_NONE)
            continue;
        struct topic *topic = rj_find_topic(checker, name);
        if (topic == NULL) {
            topic = rj_list_add(checker, &checker->topics, sizeof(*topic));
            if (topic == NULL)
                return;
            *topic = (struct topic){name, response->topics.items[i].topic_id, count, false};
        }
        topic->count_changed |= topic->partition_count != count;
        if (count > topic->partition_count)
            topic->partition_count = count;
        static const struct rj_uuid none;
        if (!rj_uuid_equal(&response->topics.items[i].topic_id, &none))
            topic->id = response->topics.items[i].topic_id;
    }
}
