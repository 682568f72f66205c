/* Commits: a queue, one at a time, so that none overtakes another (cl-commit-order). */
#include "consumer/state.h"

#include <string.h>

static void drop_first(struct rj_consumer *c)
{
    struct commit *commit = c->commits;
    c->commits = commit->next;
    rj_arena_release(&commit->arena);
    c->allocator.free(c->allocator.context, commit, sizeof *commit);
}

bool rj_commit_is_pending(const struct rj_consumer *c, enum commit_reason reason)
{
    for (const struct commit *commit = c->commits; commit != NULL; commit = commit->next)
        if (commit->reason == reason)
            return true;
    return false;
}

/* A new one at the end of the queue, with room for so many offsets; NULL: no memory. */
static struct commit *enqueue(struct rj_consumer *c, enum commit_reason reason, uint64_t commit_id, int32_t most)
{
    struct commit *commit = c->allocator.alloc(c->allocator.context, sizeof *commit);
    if (commit == NULL) {
        c->out_of_memory = true;
        return NULL;
    }
    memset(commit, 0, sizeof *commit);
    commit->reason = reason;
    commit->commit_id = commit_id;
    rj_arena_init(&commit->arena, &c->allocator, SIZE_MAX);
    struct commit **end = &c->commits;
    while (*end != NULL)
        end = &(*end)->next;
    *end = commit;
    commit->offsets = rj_arena_alloc(&commit->arena, (size_t)(most + 1) * sizeof *commit->offsets);
    commit->errors = rj_arena_alloc(&commit->arena, (size_t)(most + 1) * sizeof *commit->errors);
    if (commit->offsets == NULL || commit->errors == NULL) {
        c->out_of_memory = true;
        return NULL;
    }
    memset(commit->errors, 0, (size_t)(most + 1) * sizeof *commit->errors);
    return commit;
}

static void add_offset(struct rj_consumer *c, struct commit *commit, const struct rj_consumer_offset *offset)
{
    bool ok = true;
    struct rj_consumer_offset *to = &commit->offsets[commit->offset_count];
    *to = *offset;
    to->topic = rj_arena_copy_string(&commit->arena, offset->topic, &ok);
    to->metadata = rj_arena_copy_string(&commit->arena, offset->metadata, &ok);
    if (ok)
        commit->offset_count++;
    else
        c->out_of_memory = true;
}

/* Deliberate fault: offset 0 for the first partition that somebody else owns. */
static void add_unowned(struct rj_consumer *c, struct commit *commit)
{
    const struct known_topic *topic = c->topics.count > 0 ? rj_metadata_topic(c, c->topics.items[0]) : NULL;
    for (int32_t p = 0; topic != NULL && p < topic->partition_count; p++)
        if (rj_partition_find(c, topic->name, p) == NULL) {
            add_offset(c, commit, &(struct rj_consumer_offset){topic->name, p, 0, -1, RJ_NULL_STRING});
            return;
        }
}

static bool is_uncommitted(const struct partition *partition)
{
    return !partition->is_ghost && partition->state == POSITION_READY && partition->position != partition->committed;
}

bool rj_commit_consumed(struct rj_consumer *c, enum commit_reason reason, uint64_t commit_id, partition_filter select)
{
    int32_t count = 0;
    for (int32_t i = 0; i < c->partition_count; i++)
        count += is_uncommitted(&c->partitions[i]) && (select == NULL || select(c, &c->partitions[i]));
    if (count == 0 && reason != COMMIT_ASKED)
        return false;
    struct commit *commit = enqueue(c, reason, commit_id, count + 1);
    for (int32_t i = 0; commit != NULL && i < c->partition_count; i++) {
        const struct partition *partition = &c->partitions[i];
        if (is_uncommitted(partition) && (select == NULL || select(c, partition)))
            add_offset(c, commit, &(struct rj_consumer_offset){partition->topic, partition->number,
                                                              partition->position, partition->leader_epoch,
                                                              RJ_NULL_STRING});
    }
    if (commit != NULL && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_COMMIT_UNOWNED))
        add_unowned(c, commit);
    return commit != NULL;
}

void rj_commit_offsets(struct rj_consumer *c, uint64_t commit_id, const struct rj_consumer_offset *offsets,
                       int32_t count)
{
    struct commit *commit = enqueue(c, COMMIT_ASKED, commit_id, count);
    for (int32_t i = 0; commit != NULL && i < count; i++)
        add_offset(c, commit, &offsets[i]);
}

/* The outcome of the first in the queue; what was committed is noted. */
static void finish_first(struct rj_consumer *c, int16_t error_code)
{
    struct commit *commit = c->commits;
    struct rj_consumer_partition *list = rj_consumer_step_alloc(c, commit->offset_count, sizeof *list);
    struct rj_consumer_action *action = list == NULL ? NULL : rj_consumer_act(c, RJ_CONSUMER_COMMITTED);
    if (action == NULL)
        return;
    for (int32_t i = 0; i < commit->offset_count; i++) {
        const struct rj_consumer_offset *offset = &commit->offsets[i];
        int16_t error = commit->errors[i] != 0 ? commit->errors[i] : error_code;
        list[i] = (struct rj_consumer_partition){rj_consumer_step_string(c, offset->topic), offset->partition, error,
                                                 offset->offset};
        struct partition *partition = rj_partition_find(c, offset->topic, offset->partition);
        if (error == 0 && partition != NULL)
            partition->committed = offset->offset;
        if (error_code == 0)
            error_code = error;
    }
    action->as.partitions.partitions = list;
    action->as.partitions.partition_count = commit->offset_count;
    action->as.partitions.generation_id = c->generation_id;
    action->as.partitions.member_id = rj_consumer_step_string(c, c->member_id);
    action->as.partitions.is_leader = c->group.is_leader;
    action->as.partitions.commit_id = commit->commit_id;
    action->as.partitions.error_code = error_code;
    drop_first(c);
}

void rj_commit_give_up(struct rj_consumer *c, int16_t error_code)
{
    rj_consumer_ignore_answers(c, RJ_API_OFFSET_COMMIT);
    while (c->commits != NULL && !c->out_of_memory)
        finish_first(c, error_code);
}

static int32_t find_topic(const struct rj_offset_commit_request *request, struct rj_string name)
{
    for (int32_t i = 0; i < request->topics.count; i++)
        if (rj_string_equal(request->topics.items[i].name, name))
            return i;
    return -1;
}

static bool fill_topics(struct rj_consumer *c, const struct commit *commit, int16_t version,
                        struct rj_offset_commit_request *request)
{
    request->topics.items = rj_consumer_step_alloc(c, commit->offset_count, sizeof *request->topics.items);
    for (int32_t i = 0; request->topics.items != NULL && i < commit->offset_count; i++) {
        const struct rj_consumer_offset *offset = &commit->offsets[i];
        int32_t t = find_topic(request, offset->topic);
        if (t < 0) {
            t = request->topics.count++;
            request->topics.items[t].name = offset->topic;
            request->topics.items[t].partitions.items =
                rj_consumer_step_alloc(c, commit->offset_count, sizeof(struct rj_offset_commit_request_partition));
            if (request->topics.items[t].partitions.items == NULL)
                return false;
        }
        struct rj_offset_commit_request_partition_array *partitions = &request->topics.items[t].partitions;
        partitions->items[partitions->count++] = (struct rj_offset_commit_request_partition){
            .partition_index = offset->partition,
            .committed_offset = offset->offset,
            .committed_leader_epoch = version >= 6 ? offset->leader_epoch : -1,
            .commit_timestamp = -1,
            .committed_metadata = rj_string_is_null(offset->metadata) ? RJ_EMPTY_STRING : offset->metadata,
        };
    }
    return request->topics.items != NULL;
}

static void send_first(struct rj_consumer *c, struct connection *connection)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_OFFSET_COMMIT);
    struct rj_offset_commit_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (request == NULL)
        return;
    rj_message_init(&rj_offset_commit_request_schema, request);
    request->group_id = c->config.group_id;
    request->generation_id_or_member_epoch = c->generation_id;
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_OLD_GENERATION_COMMIT) && c->previous_generation_id >= 0)
        request->generation_id_or_member_epoch = c->previous_generation_id;
    request->member_id = rj_consumer_step_string(c, c->member_id);
    request->group_instance_id = rj_membership_instance_id(c, version, 7);
    if (fill_topics(c, c->commits, version, request) &&
        rj_consumer_send(c, connection, RJ_API_OFFSET_COMMIT, version, request) != NULL)
        c->commits->is_out = true;
}

/* cl-commit-generation: only with a membership, and never between JoinGroup and SyncGroup. */
static bool may_commit(const struct rj_consumer *c)
{
    return rj_membership_is_member(c) && c->state != RJ_CONSUMER_JOINING && c->state != RJ_CONSUMER_ASSIGNING &&
           c->state != RJ_CONSUMER_SYNCING;
}

void rj_commit_drive(struct rj_consumer *c)
{
    if (c->state == RJ_CONSUMER_STABLE && c->config.auto_commit_interval_ms > 0) {
        if (c->now_ms >= c->auto_commit_at_ms) {
            c->auto_commit_at_ms = c->now_ms + c->config.auto_commit_interval_ms;
            if (!rj_commit_is_pending(c, COMMIT_AUTOMATIC))
                rj_commit_consumed(c, COMMIT_AUTOMATIC, 0, NULL);
        }
        rj_consumer_wake(c, c->auto_commit_at_ms);
    }
    while (c->commits != NULL && !c->commits->is_out && !c->out_of_memory) {
        struct connection *connection;
        if (c->commits->offset_count == 0) {
            finish_first(c, 0); /* nothing to say */
        } else if (c->now_ms < c->commits->retry_at_ms) {
            rj_consumer_wake(c, c->commits->retry_at_ms);
            return;
        } else if (may_commit(c) && (connection = rj_connection_to_coordinator(c)) != NULL) {
            send_first(c, connection);
            return;
        } else {
            return;
        }
    }
}

void rj_commit_request_lost(struct rj_consumer *c)
{
    if (c->commits == NULL || !c->commits->is_out)
        return;
    c->commits->is_out = false;
    c->commits->failures++;
    c->commits->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->commits->failures);
}

static void note_errors(struct commit *commit, const struct rj_offset_commit_response *response)
{
    for (int32_t i = 0; i < commit->offset_count; i++) {
        commit->errors[i] = RJ_KAFKA_UNKNOWN_SERVER_ERROR; /* unless the answer has it */
        for (int32_t t = 0; t < response->topics.count; t++) {
            const struct rj_offset_commit_response_topic *topic = &response->topics.items[t];
            if (!rj_string_equal(topic->name, commit->offsets[i].topic))
                continue;
            for (int32_t p = 0; p < topic->partitions.count; p++)
                if (topic->partitions.items[p].partition_index == commit->offsets[i].partition)
                    commit->errors[i] = topic->partitions.items[p].error_code;
        }
    }
}

/* cl-commit-per-partition: the weightiest reaction that any partition asks for. */
static struct verdict judge_all(const struct commit *commit, int16_t *error_code)
{
    struct verdict worst = {REACTION_DONE, RJ_RULE_NONE};
    *error_code = 0;
    for (int32_t i = 0; i < commit->offset_count; i++) {
        struct verdict verdict = rj_consumer_judge(RJ_API_OFFSET_COMMIT, commit->errors[i]);
        bool is_reset = verdict.reaction != REACTION_REPORT;
        bool was_report = worst.reaction == REACTION_REPORT;
        if (verdict.reaction == REACTION_DONE || (verdict.reaction <= worst.reaction && !(was_report && is_reset)) ||
            (verdict.reaction == REACTION_REPORT && worst.reaction >= REACTION_REDISCOVER))
            continue;
        worst = verdict;
        *error_code = commit->errors[i];
    }
    return worst;
}

/* Only what failed for the moment is sent again. */
static void keep_failed(struct rj_consumer *c, struct commit *commit)
{
    int32_t left = 0;
    for (int32_t i = 0; i < commit->offset_count; i++) {
        if (commit->errors[i] != 0) {
            commit->offsets[left++] = commit->offsets[i];
            continue;
        }
        struct partition *partition = rj_partition_find(c, commit->offsets[i].topic, commit->offsets[i].partition);
        if (partition != NULL)
            partition->committed = commit->offsets[i].offset;
    }
    commit->offset_count = left;
    memset(commit->errors, 0, (size_t)left * sizeof *commit->errors);
}

void rj_commit_take(struct rj_consumer *c, const struct in_flight *request,
                    const struct rj_offset_commit_response *response)
{
    struct commit *commit = c->commits;
    int16_t error = 0;
    if (commit == NULL || !commit->is_out)
        return;
    commit->is_out = false;
    note_errors(commit, response);
    struct verdict verdict = judge_all(commit, &error);
    bool ignores_16 = verdict.reaction == REACTION_REDISCOVER && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_16);
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_COMMIT_ERRORS) || ignores_16) {
        memset(commit->errors, 0, (size_t)commit->offset_count * sizeof *commit->errors);
        verdict.reaction = REACTION_DONE;
    }
    if (verdict.reaction == REACTION_RETRY || verdict.reaction == REACTION_REDISCOVER) {
        keep_failed(c, commit);
        commit->failures++;
        commit->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, commit->failures);
    } else {
        finish_first(c, 0);
    }
    rj_membership_react(c, request, verdict, error);
}

void rj_commit_between_join_and_sync(struct rj_consumer *c)
{
    struct connection *connection = rj_connection_to_coordinator(c);
    struct rj_offset_commit_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_consumer_offset *offset = rj_consumer_step_alloc(c, 1, sizeof *offset);
    if (connection == NULL || request == NULL || offset == NULL || c->topics.count == 0)
        return;
    int16_t version = rj_connection_version(c, connection, RJ_API_OFFSET_COMMIT), error = 0;
    *offset = (struct rj_consumer_offset){rj_consumer_step_string(c, c->topics.items[0]), 0, 0, -1, RJ_NULL_STRING};
    struct commit commit = {.offsets = offset, .errors = &error, .offset_count = 1};
    rj_message_init(&rj_offset_commit_request_schema, request);
    request->group_id = c->config.group_id;
    request->generation_id_or_member_epoch = c->generation_id;
    request->member_id = rj_consumer_step_string(c, c->member_id);
    request->group_instance_id = rj_membership_instance_id(c, version, 7);
    if (!fill_topics(c, &commit, version, request))
        return;
    struct in_flight *sent = rj_consumer_send(c, connection, RJ_API_OFFSET_COMMIT, version, request);
    if (sent != NULL)
        sent->ignored = true;
}
