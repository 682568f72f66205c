/* Rules of OffsetCommit and OffsetFetch. */
#include "check/state.h"

enum { COMMITS_KEPT = 32, EXPIRY_POSSIBLE_MS = 60000 };

static struct slot *slot_of(struct rj_checker *checker, struct group *group, struct partition partition, bool create)
{
    for (int32_t i = 0; i < group->slots.count; i++) {
        struct slot *slot = LIST_AT(&group->slots, struct slot, i);
        if (slot->partition.index == partition.index && same(slot->partition.topic, partition.topic))
            return slot;
    }
    struct slot *slot = create ? rj_list_add(checker, &group->slots, sizeof(*slot)) : NULL;
    if (slot != NULL) {
        slot->partition = partition;
        slot->owner = RJ_EMPTY_STRING;
    }
    return slot;
}

static struct rj_string topic_named(struct rj_checker *checker, struct rj_string name, const struct rj_uuid *id)
{
    static const struct rj_uuid none;
    if (name.len > 0 || rj_uuid_equal(id, &none))
        return rj_intern(checker, name);
    const struct topic *topic = rj_find_topic_id(checker, id);
    return topic ? topic->name : RJ_EMPTY_STRING;
}

/* ---- OffsetCommit ------------------------------------------------------------------------------------------------ */

static void judge_completing(const struct dialogue_part *part, const struct member *member, int32_t generation)
{
    if (member->group->blind || !member->born || generation != member->generation)
        return;
    if (rj_judged(part->checker, RJ_RULE_T_COMMIT_NOT_COMPLETING, member->synced_generation == generation))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_COMMIT_NOT_COMPLETING, member, NULL);
    finding.other_frame = member->generation_frame;
    rj_expected(rj_report(part->checker, &finding,
                          "a commit with generation %d before that generation's assignment arrived",
                          (int)generation), "no commit between JoinGroup and SyncGroup success");
}

static void judge_assigned(const struct dialogue_part *part, const struct member *member, struct partition partition)
{
    if (member->group->blind || !member->born || member->synced_generation == 0 || partition.topic.len == 0)
        return;
    if (rj_judged(part->checker, RJ_RULE_T_COMMIT_ASSIGNED, rj_has_partition(&member->assignment, partition) ||
                                                         rj_has_partition(&member->previous_assignment, partition)))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_COMMIT_ASSIGNED, member, NULL);
    finding.other_frame = member->synced_frame;
    rj_expected(rj_report(part->checker, &finding, "partition %d of %v is committed by a member that does not own it",
                          (int)partition.index, partition.topic), "commits of assigned or just revoked partitions");
}

static void remember_commit(const struct dialogue_part *part, struct group *group, struct partition partition,
                            int64_t offset, struct rj_string member)
{
    struct slot *slot = slot_of(part->checker, group, partition, true);
    if (slot == NULL)
        return;
    if (slot->commits.count == COMMITS_KEPT)
        rj_list_remove(&slot->commits, 0);
    struct commit *commit = rj_list_add(part->checker, &slot->commits, sizeof(*commit));
    if (commit != NULL)
        *commit = (struct commit){.offset = offset, .member = member, .request_frame = part->request->frame};
}

void rj_check_commit_request(const struct dialogue_part *part)
{
    struct rj_checker *checker = part->checker;
    const struct rj_offset_commit_request *body = part->request->body;
    struct group *group = rj_touch_group(part, body->group_id);
    bool by_member = body->generation_id_or_member_epoch >= 0 && body->member_id.len > 0;
    struct member *member = group && by_member ?
        rj_generation_used(part, group, body->member_id, body->generation_id_or_member_epoch) : NULL;
    if (group == NULL)
        return;
    if (member != NULL) {
        member->seen_ms = part->request->time_ms;
        judge_completing(part, member, body->generation_id_or_member_epoch);
    }
    for (int32_t i = 0; i < body->topics.count; i++)
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++) {
            struct partition partition = {
                topic_named(checker, body->topics.items[i].name, &body->topics.items[i].topic_id),
                body->topics.items[i].partitions.items[j].partition_index};
            if (member != NULL)
                judge_assigned(part, member, partition);
            remember_commit(part, group, partition, body->topics.items[i].partitions.items[j].committed_offset,
                            rj_intern(checker, body->member_id));
        }
}

static void judge_falling(const struct dialogue_part *part, const struct member *member, struct slot *slot,
                          int64_t offset, int32_t generation, const struct rj_check_message *response)
{
    bool goes_on = member != NULL && same(slot->owner, member->id) && slot->owner_generation == generation;
    if (goes_on && !member->group->blind && !rj_judged(part->checker, RJ_RULE_T_COMMIT_MONOTONIC,
                                                       offset >= slot->owner_offset)) {
        struct finding finding = rj_finding_of(part, RJ_RULE_T_COMMIT_MONOTONIC, member, response);
        rj_expected(rj_report(part->checker, &finding,
                              "the owner's committed offset of partition %d of %v goes from %l back "
                              "to %l", (int)slot->partition.index, slot->partition.topic, slot->owner_offset, offset),
                    "%l or more, unless the application went back on purpose", slot->owner_offset);
    }
    slot->owner = member ? member->id : RJ_EMPTY_STRING;
    slot->owner_offset = offset;
    slot->owner_generation = generation;
}

static void commit_answered(const struct dialogue_part *part, struct group *group, const struct member *member,
                            struct partition partition, int16_t error, const struct rj_check_message *response)
{
    const struct rj_offset_commit_request *request = part->request->body;
    struct slot *slot = slot_of(part->checker, group, partition, false);
    for (int32_t i = slot ? slot->commits.count - 1 : -1; i >= 0; i--) {
        struct commit *commit = LIST_AT(&slot->commits, struct commit, i);
        if (commit->request_frame != part->request->frame || commit->response_frame != 0)
            continue;
        commit->response_frame = response->frame;
        commit->response_ms = response->time_ms;
        commit->error = error;
        commit->unsure = error == RJ_KAFKA_REQUEST_TIMED_OUT || error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
                         error == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE || error == RJ_KAFKA_NOT_COORDINATOR ||
                         error == RJ_KAFKA_UNKNOWN_SERVER_ERROR;
        if (error == RJ_KAFKA_NONE)
            judge_falling(part, member, slot, commit->offset, request->generation_id_or_member_epoch, response);
        return;
    }
}

/* Of a partition list: how many of the first stand in the second as well. */
static void judge_mixed(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_offset_commit_request *request = part->request->body;
    const struct rj_offset_commit_response *body = response->body;
    int32_t asked = 0, answered = 0, matched = 0;
    for (int32_t i = 0; i < request->topics.count; i++)
        asked += request->topics.items[i].partitions.count;
    for (int32_t t = 0; t < body->topics.count; t++) {
        answered += body->topics.items[t].partitions.count;
        for (int32_t i = 0; i < request->topics.count; i++) {
            if (!rj_string_equal(body->topics.items[t].name, request->topics.items[i].name) ||
                !rj_uuid_equal(&body->topics.items[t].topic_id, &request->topics.items[i].topic_id))
                continue;
            for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++)
                for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
                    matched += body->topics.items[t].partitions.items[p].partition_index ==
                               request->topics.items[i].partitions.items[j].partition_index;
        }
    }
    if (rj_judged(part->checker, RJ_RULE_T_COMMIT_MIXED, asked == answered && matched >= asked))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_COMMIT_MIXED, NULL, response);
    finding.group = rj_check_group_of(part->checker, request->group_id);
    finding.member_id = rj_intern(part->checker, request->member_id);
    rj_expected(rj_report(part->checker, &finding,
                          "%d partitions were committed, %d were answered, %d of them asked for",
                          (int)asked, (int)answered, (int)matched), "the partitions of the request");
}

/* What the answer says about the member: the first code that is about it and not about a partition. */
static bool group_error(const struct rj_offset_commit_response *body, int16_t *error)
{
    bool accepted = false;
    for (int32_t i = 0; i < body->topics.count; i++)
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++) {
            *error = body->topics.items[i].partitions.items[j].error_code;
            switch (*error) {
            case RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS: case RJ_KAFKA_COORDINATOR_NOT_AVAILABLE:
            case RJ_KAFKA_NOT_COORDINATOR: case RJ_KAFKA_ILLEGAL_GENERATION: case RJ_KAFKA_UNKNOWN_MEMBER_ID:
            case RJ_KAFKA_REBALANCE_IN_PROGRESS: case RJ_KAFKA_FENCED_INSTANCE_ID:
                return true;
            default:
                accepted |= *error == RJ_KAFKA_NONE;
            }
        }
    *error = RJ_KAFKA_NONE;
    return accepted;
}

void rj_check_commit_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct rj_offset_commit_request *request = part->request->body;
    const struct rj_offset_commit_response *body = response->body;
    struct group *group = rj_touch_group(part, request->group_id);
    int16_t error;
    if (group == NULL)
        return;
    struct member *member = group->is_consumer ? NULL : rj_find_member(group, rj_intern(checker, request->member_id));
    judge_mixed(part, response);
    for (int32_t i = 0; i < body->topics.count; i++)
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++) {
            struct partition partition = {
                topic_named(checker, body->topics.items[i].name, &body->topics.items[i].topic_id),
                body->topics.items[i].partitions.items[j].partition_index};
            commit_answered(part, group, member, partition, body->topics.items[i].partitions.items[j].error_code,
                            response);
        }
    if (group_error(body, &error))
        rj_member_answered(part, group, request->generation_id_or_member_epoch >= 0 ? member : NULL,
                           request->generation_id_or_member_epoch, request->group_instance_id, error, response);
}

/* ---- OffsetFetch ------------------------------------------------------------------------------------------------- */

struct sight { bool settled; bool acceptable; bool failed_value, other_failed; int64_t last_ms; };

static bool succeeded_before(const struct commit *commit, uint64_t frame)
{
    return commit->response_frame != 0 && commit->response_frame < frame && commit->error == RJ_KAFKA_NONE;
}

/* May a fetch between two frames show this commit? */
static bool may_be_seen(const struct slot *slot, const struct commit *commit, uint64_t asked, uint64_t answered)
{
    bool open = commit->response_frame == 0 || commit->response_frame > asked;
    if (commit->unsure)
        return true;
    if (open)
        return commit->request_frame < answered && (commit->response_frame == 0 || commit->error == RJ_KAFKA_NONE);
    if (commit->error != RJ_KAFKA_NONE)
        return false;
    for (int32_t i = 0; i < slot->commits.count; i++) {
        const struct commit *later = LIST_AT(&slot->commits, struct commit, i);
        if (later != commit && later->request_frame > commit->response_frame && succeeded_before(later, asked))
            return false;
    }
    return true;
}

static struct sight look(const struct slot *slot, int64_t offset, uint64_t asked, uint64_t answered)
{
    struct sight sight = {0};
    for (int32_t i = 0; i < slot->commits.count; i++) {
        const struct commit *commit = LIST_AT(&slot->commits, struct commit, i);
        bool failed = commit->response_frame != 0 && commit->error != RJ_KAFKA_NONE && !commit->unsure;
        sight.settled |= succeeded_before(commit, asked);
        sight.acceptable |= commit->offset == offset && may_be_seen(slot, commit, asked, answered);
        sight.failed_value |= failed && commit->offset == offset;
        sight.other_failed |= failed && commit->offset != offset;
        if (commit->response_ms > sight.last_ms)
            sight.last_ms = commit->response_ms;
    }
    return sight;
}

static void judge_fetched(const struct dialogue_part *part, struct group *group, struct partition partition,
                          int64_t offset, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct slot *slot = slot_of(checker, group, partition, false);
    if (slot == NULL || slot->unsure || group->blind || group->other_writers || !group->began || group->missing != NULL)
        return; /* somebody else may have committed */
    struct sight sight = look(slot, offset, part->request->frame, response->frame);
    bool may_have_expired = offset == -1 && response->time_ms - sight.last_ms > EXPIRY_POSSIBLE_MS;
    if (!sight.settled || may_have_expired)
        return;
    if (sight.acceptable) {
        rj_judged(checker, RJ_RULE_T_OFFSET_FETCH_LATEST, true);
        if (sight.other_failed)
            rj_judged(checker, RJ_RULE_T_OFFSET_FETCH_NOT_FAILED, true);
        return;
    }
    enum rj_rule rule = sight.failed_value ? RJ_RULE_T_OFFSET_FETCH_NOT_FAILED : RJ_RULE_T_OFFSET_FETCH_LATEST;
    rj_judged(checker, rule, false);
    struct finding finding = rj_finding_of(part, rule, NULL, response);
    finding.group = group;
    const struct commit *latest = LIST_AT(&slot->commits, struct commit, slot->commits.count - 1);
    finding.third_frame = latest->request_frame;
    rj_expected(rj_report(checker, &finding, "OffsetFetch shows %l for partition %d of %v%s", offset,
                          (int)partition.index,
                          partition.topic, sight.failed_value ? ", which only a refused commit had" : ""),
                "the last committed offset");
}

static void remember_resume(const struct dialogue_part *part, struct partition partition, int64_t offset,
                            const struct rj_check_message *response)
{
    struct list *resumes = &part->checker->resumes;
    struct resume *entry = NULL;
    for (int32_t i = 0; i < resumes->count && entry == NULL; i++) {
        struct resume *one = LIST_AT(resumes, struct resume, i);
        if (same(one->client_id, part->request->client_id) && one->partition.index == partition.index &&
            same(one->partition.topic, partition.topic))
            entry = one;
    }
    if (entry == NULL)
        entry = rj_list_add(part->checker, resumes, sizeof(*entry));
    if (entry != NULL)
        *entry = (struct resume){part->request->client_id, partition, offset, response->frame, response->time_ms};
}

static void fetched(const struct dialogue_part *part, struct group *group, struct rj_string topic, int32_t index,
                    int16_t error, int64_t offset, const struct rj_check_message *response)
{
    struct partition partition = {topic, index};
    if (error != RJ_KAFKA_NONE || topic.len == 0)
        return;
    judge_fetched(part, group, partition, offset, response);
    /* A Fetch that was seen just before may have been sent after it: then it was the first. */
    if (offset >= 0 && !rj_fetched_just_before(part->checker, part->request->client_id, response->time_ms))
        remember_resume(part, partition, offset, response);
}

void rj_check_offset_fetch_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct rj_offset_fetch_request *request = part->request->body;
    const struct rj_offset_fetch_response *body = response->body;
    struct group *group = response->version < 8 ? rj_touch_group(part, request->group_id) : NULL;
    for (int32_t i = 0; group != NULL && body->error_code == RJ_KAFKA_NONE && i < body->topics.count; i++)
        for (int32_t j = 0; j < body->topics.items[i].partitions.count; j++)
            fetched(part, group, rj_intern(checker, body->topics.items[i].name),
                    body->topics.items[i].partitions.items[j].partition_index,
                    body->topics.items[i].partitions.items[j].error_code,
                    body->topics.items[i].partitions.items[j].committed_offset, response);
    for (int32_t g = 0; response->version >= 8 && g < body->groups.count; g++) {
        const struct rj_offset_fetch_response_group *one = &body->groups.items[g];
        group = one->error_code == RJ_KAFKA_NONE ? rj_touch_group(part, one->group_id) : NULL;
        for (int32_t i = 0; group != NULL && i < one->topics.count; i++)
            for (int32_t j = 0; j < one->topics.items[i].partitions.count; j++)
                fetched(part, group, topic_named(checker, one->topics.items[i].name, &one->topics.items[i].topic_id),
                        one->topics.items[i].partitions.items[j].partition_index,
                        one->topics.items[i].partitions.items[j].error_code,
                        one->topics.items[i].partitions.items[j].committed_offset, response);
    }
}

/* ---- What else changes offsets ----------------------------------------------------------------------------------- */

static void doubt(struct group *group)
{
    for (int32_t i = 0; group != NULL && i < group->slots.count; i++)
        LIST_AT(&group->slots, struct slot, i)->unsure = true;
}

void rj_topics_deleted(struct rj_checker *checker)
{
    for (int32_t i = 0; i < checker->groups.count; i++)
        doubt(*LIST_AT(&checker->groups, struct group *, i));
}

void rj_offsets_disturbed(const struct dialogue_part *part)
{
    struct rj_checker *checker = part->checker;
    if (part->request->api_key == RJ_API_TXN_OFFSET_COMMIT) {
        const struct rj_txn_offset_commit_request *body = part->request->body;
        struct group *group = rj_check_group_of(checker, body->group_id);
        if (group != NULL)
            group->other_writers = true;
    } else if (part->request->api_key == RJ_API_OFFSET_DELETE) {
        doubt(rj_check_group_of(checker, ((const struct rj_offset_delete_request *)part->request->body)->group_id));
    } else {
        const struct rj_delete_groups_request *body = part->request->body;
        for (int32_t i = 0; i < body->groups_names.count; i++) {
            struct group *group = rj_check_group_of(checker, body->groups_names.items[i]);
            doubt(group);
            if (group != NULL)
                group->disturbed_frame = part->request->frame;
        }
    }
}
