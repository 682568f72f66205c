/* Committing offsets. */
#include "coord/commit.h"

#include "coord/offsets.h"
#include "coord/reply.h"

typedef struct rj_offset_commit_request_topic request_topic;
typedef struct rj_offset_commit_request_partition request_partition;

/* Kafka's units: UTF-16, not bytes. */
static int64_t utf16_len(struct rj_string text)
{
    int64_t len = 0;
    for (int32_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];
        len += (c & 0xc0) != 0x80;
        len += c >= 0xf0;
    }
    return len;
}

static int64_t partitions_of(const struct rj_offset_commit_request *request)
{
    int64_t count = 0;
    for (int32_t t = 0; t < request->topics.count; t++)
        count += request->topics.items[t].partitions.count;
    return count;
}

static size_t room_for(const struct rj_offset_commit_request *request)
{
    size_t room = sizeof(struct rj_offset_commit_response) + 64;
    for (int32_t t = 0; t < request->topics.count; t++)
        room += sizeof(struct rj_offset_commit_response_topic) + (size_t)request->topics.items[t].name.len + 64
                + (size_t)request->topics.items[t].partitions.count
                      * sizeof(struct rj_offset_commit_response_partition);
    return room;
}

/* ---- The answer -------------------------------------------------------------------------------------------------- */

/* From the room of the answer. */
static void *take(struct rj_commit *commit, size_t size)
{
    return commit->write ? rj_write_take(commit->write, size) : rj_output_take(commit->call->coord->output, size);
}

static struct rj_string take_string(struct rj_commit *commit, struct rj_string from)
{
    return commit->write ? rj_write_string(commit->write, from)
                         : rj_output_string(commit->call->coord->output, from);
}

static void begin_topic(struct rj_commit *commit, int32_t t, int32_t *answer)
{
    struct rj_offset_commit_response_topic_array *topics = &commit->response->topics;
    const request_topic *asked = &commit->request->topics.items[t];
    *answer = topics->count;
    topics->items[topics->count++] = (struct rj_offset_commit_response_topic){
        .name = take_string(commit, asked->name), .topic_id = asked->topic_id,
        .partitions.items = take(commit, (size_t)asked->partitions.count * sizeof(*topics->items->partitions.items))};
}

static void add_answer(struct rj_commit *commit, int32_t t, int32_t partition, int16_t error, enum rj_rule rule)
{
    int32_t *answer = &commit->topics[t].answer;
    if (*answer < 0)
        begin_topic(commit, t, answer);
    struct rj_offset_commit_response_topic *topic = &commit->response->topics.items[*answer];
    topic->partitions.items[topic->partitions.count++] =
        (struct rj_offset_commit_response_partition){.partition_index = partition, .error_code = error};
    if (commit->rule == RJ_RULE_NONE)
        commit->rule = rule;
}

/* The answer to a topic whose partitions are all accepted. */
static void accept_topic(struct rj_commit *commit, int32_t t)
{
    const request_topic *asked = &commit->request->topics.items[t];
    begin_topic(commit, t, &commit->topics[t].answer);
    struct rj_offset_commit_response_topic *topic = &commit->response->topics.items[commit->topics[t].answer];
    struct rj_offset_commit_response_partition *items = topic->partitions.items;
    for (int32_t p = 0; p < asked->partitions.count; p++)
        items[p] = (struct rj_offset_commit_response_partition){
            .partition_index = asked->partitions.items[p].partition_index};
    topic->partitions.count = asked->partitions.count;
}

/* ---- The broker's own checks ------------------------------------------------------------------------------------- */

static const struct rj_topic *topic_of(const struct rj_call *call, const request_topic *asked)
{
    const struct rj_topic_table *topics = call->coord->topics;
    if (topics == NULL)
        return NULL;
    bool by_id = call->origin.api_key == 8 && call->origin.version >= 10;
    return by_id ? rj_topic_by_id(topics, &asked->topic_id) : rj_topic_by_name(topics, asked->name);
}

static struct rj_verdict judge_topic(const struct rj_call *call, const request_topic *asked,
                                     const struct rj_topic *topic)
{
    bool by_id = call->origin.api_key == 8 && call->origin.version >= 10;
    RJ_REQUIRE(topic != NULL || !by_id, OC_TOPIC_ID_UNKNOWN, UNKNOWN_TOPIC_ID);
    struct rj_string name = by_id ? topic->name : asked->name;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_TOPIC, name, RJ_OPERATION_READ), OC_AUTH_TOPIC,
               TOPIC_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_partition(const struct rj_topic *topic, int32_t partition)
{
    RJ_REQUIRE(topic != NULL && partition >= 0 && partition < topic->partition_count, OC_UNKNOWN_PARTITION,
               UNKNOWN_TOPIC_OR_PARTITION);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_one(const struct rj_commit *commit, int32_t t, int32_t p)
{
    const struct rj_commit_topic *topic = &commit->topics[t];
    if (topic->verdict.rule != RJ_RULE_NONE)
        return topic->verdict;
    return judge_partition(topic->known, commit->request->topics.items[t].partitions.items[p].partition_index);
}

/* What a direct commit needs in the output for its answer and its records. */
static size_t direct_room(const struct rj_offset_commit_request *request)
{
    size_t room = room_for(request) + (size_t)request->topics.count * sizeof(struct rj_offset_commit_response_topic);
    for (int32_t t = 0; t < request->topics.count; t++)
        for (int32_t p = 0; p < request->topics.items[t].partitions.count; p++) {
            int32_t len = request->topics.items[t].partitions.items[p].committed_metadata.len;
            room += len > 0 ? rj_output_len((size_t)len) : 0;
        }
    return room;
}

bool rj_commit_begin(struct rj_commit *commit, size_t extra_len)
{
    const struct rj_call *call = commit->call;
    struct rj_coord *coord = call->coord;
    const struct rj_offset_commit_request *request = commit->request;
    int64_t count = partitions_of(request);
    struct rj_output_need need = {
        .replies = 1, .appends = 1, .changes = 1,
        .bytes = rj_output_len((size_t)request->topics.count * sizeof(struct rj_commit_topic)) + 256
                 + (size_t)count * (sizeof(struct rj_commit_record) + sizeof(struct rj_offsets_record)
                                    + rj_offset_record_len())
                 + (commit->is_direct ? direct_room(request) : 0)};
    if (!rj_output_reserve(coord->output, need))
        return false;
    if (!commit->is_direct) {
        commit->write = rj_write_prepare(coord, room_for(request) + extra_len, (int32_t)count, 0);
        if (commit->write == NULL)
            return false;
        commit->write->origin = call->origin;
    }
    commit->response = take(commit, sizeof(*commit->response));
    *commit->response = (struct rj_offset_commit_response){.throttle_time_ms = 0};
    commit->response->topics.items =
        take(commit, (size_t)request->topics.count * sizeof(struct rj_offset_commit_response_topic));
    if (commit->write != NULL)
        commit->write->body = commit->response;
    commit->topics = rj_output_take(coord->output, (size_t)request->topics.count * sizeof(struct rj_commit_topic));
    commit->records = rj_output_take(coord->output, (size_t)count * sizeof(struct rj_commit_record));
    for (int32_t t = 0; t < request->topics.count; t++) {
        const request_topic *asked = &request->topics.items[t];
        const struct rj_topic *known = topic_of(call, asked);
        commit->topics[t] = (struct rj_commit_topic){known, judge_topic(call, asked, known), -1, false};
    }
    return true;
}

static void add_refused(struct rj_commit *commit, int32_t t, int32_t p, struct rj_verdict verdict)
{
    add_answer(commit, t, commit->request->topics.items[t].partitions.items[p].partition_index, verdict.error,
               verdict.rule);
}

void rj_commit_check_topics(struct rj_commit *commit)
{
    for (int32_t t = 0; t < commit->request->topics.count; t++)
        for (int32_t p = 0; p < commit->request->topics.items[t].partitions.count; p++) {
            struct rj_verdict verdict = judge_one(commit, t, p);
            if (verdict.rule == RJ_RULE_NONE)
                commit->forwarded_count++;
            else
                add_refused(commit, t, p, verdict);
        }
    commit->is_clean = commit->response->topics.count == 0;
}

void rj_commit_refuse_all(struct rj_commit *commit, struct rj_verdict verdict)
{
    for (int32_t t = 0; t < commit->request->topics.count; t++)
        for (int32_t p = 0; p < commit->request->topics.items[t].partitions.count; p++)
            add_refused(commit, t, p, verdict);
}

void rj_commit_refuse_forwarded(struct rj_commit *commit, struct rj_verdict verdict)
{
    for (int32_t t = 0; t < commit->request->topics.count; t++)
        for (int32_t p = 0; p < commit->request->topics.items[t].partitions.count; p++)
            if (judge_one(commit, t, p).rule == RJ_RULE_NONE)
                add_refused(commit, t, p, verdict);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* A topic that nobody in the group subscribes to. */
static bool is_foreign(const struct rj_commit *commit, int32_t t)
{
    const struct rj_topic *topic = commit->topics[t].known;
    return topic != NULL && commit->group->state == RJ_GROUP_STABLE && commit->group->subscribed.is_known
           && !rj_group_is_subscribed(commit->group, topic->name);
}

static struct rj_verdict judge_value(const struct rj_commit *commit, int32_t t, const request_partition *asked)
{
    if (RJ_WITHOUT(OC_ANY_TOPIC, is_foreign(commit, t))
        || RJ_WITHOUT(OC_NO_VALUE_CHECK, asked->committed_offset < 0))
        return (struct rj_verdict){RJ_RULE_OC_ANY_TOPIC, RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION};
    int32_t max_len = commit->call->coord->config.offset_metadata_max_bytes;
    /* There are never more units than bytes. */
    RJ_REQUIRE(asked->committed_metadata.len <= max_len || utf16_len(asked->committed_metadata) <= max_len,
               OC_METADATA_SIZE, OFFSET_METADATA_TOO_LARGE);
    return RJ_ACCEPTED;
}

static void fill_value(const struct rj_commit *commit, const struct rj_commit_record *record, struct rj_offset *offset)
{
    const request_partition *asked = record->asked;
    const struct rj_offset_commit_request *request = commit->request;
    int64_t now_ms = commit->call->coord->now_ms;
    offset->offset = asked->committed_offset;
    offset->leader_epoch = asked->committed_leader_epoch;
    offset->commit_timestamp_ms = commit->call->origin.version == 1 && asked->commit_timestamp != -1
                                      && commit->producer_id < 0 ? asked->commit_timestamp : now_ms;
    offset->expire_timestamp_ms = RJ_DOES(OC_RETENTION, request->retention_time_ms != -1)
                                      ? now_ms + request->retention_time_ms : -1;
    offset->topic_id = record->topic->topic_id;
}

/* The committed value, where a direct commit may write over it. */
static struct rj_offset *reusable(const struct rj_commit *commit, const struct rj_offset_partition *partition,
                                  int32_t metadata_len)
{
    struct rj_offset *offset = partition->plain;
    bool fits = commit->is_direct && offset != NULL && offset->append_id == 0 && offset->older == NULL
                && !offset->is_tombstone && metadata_len <= offset->metadata.len && partition->transactional == NULL;
    return fits ? offset : NULL;
}

static bool prepare_one(struct rj_commit *commit, struct rj_offset_topic *topic, const request_topic *asked_topic,
                        const request_partition *asked)
{
    struct rj_coord *coord = commit->call->coord;
    struct rj_string metadata = asked->committed_metadata.data ? asked->committed_metadata : RJ_EMPTY_STRING;
    struct rj_offset_partition *partition = rj_offset_partition_prepare(topic, asked->partition_index);
    if (partition == NULL)
        return false;
    struct rj_commit_record record = {partition, NULL, asked_topic, asked};
    if (reusable(commit, partition, metadata.len) == NULL) {
        record.offset = rj_offset_prepare(coord, metadata);
        if (record.offset == NULL) {
            rj_offset_partition_forget_if_idle(partition);
            return false;
        }
        fill_value(commit, &record, record.offset);
        record.offset->producer_id = commit->producer_id;
    }
    partition->holds++; /* the write's, until its result */
    commit->records[commit->record_count++] = record;
    return true;
}

static bool prepare_topic(struct rj_commit *commit, int32_t t)
{
    const request_topic *asked = &commit->request->topics.items[t];
    struct rj_offset_topic *topic = NULL;
    bool by_id = commit->call->origin.version >= 10 && commit->producer_id < 0;
    int32_t before = commit->record_count;
    for (int32_t p = 0; p < asked->partitions.count; p++) {
        if ((!commit->is_clean && judge_one(commit, t, p).rule != RJ_RULE_NONE)
            || judge_value(commit, t, &asked->partitions.items[p]).rule != RJ_RULE_NONE)
            continue;
        if (topic == NULL)
            topic = rj_offset_topic_prepare(commit->group, by_id ? commit->topics[t].known->name : asked->name);
        if (topic == NULL || !prepare_one(commit, topic, asked, &asked->partitions.items[p]))
            return false;
    }
    commit->topics[t].is_stored = commit->record_count - before == asked->partitions.count && topic != NULL;
    return true;
}

static void give_up(struct rj_commit *commit)
{
    for (int32_t i = 0; i < commit->record_count; i++) {
        rj_memory_free(&commit->call->coord->memory, commit->records[i].offset);
        rj_offset_partition_drop(commit->records[i].partition);
    }
    rj_write_discard(commit->call->coord, commit->write);
    if (commit->group != NULL)
        rj_group_forget_if_idle(commit->group);
}

bool rj_commit_prepare(struct rj_commit *commit)
{
    bool ok = true;
    for (int32_t t = 0; ok && t < commit->request->topics.count; t++)
        ok = prepare_topic(commit, t);
    if (ok && commit->producer_id >= 0)
        ok = rj_transaction_prepare(commit->call->coord, commit->producer_id) != NULL;
    if (!ok)
        give_up(commit);
    return ok;
}

/* Answers what the broker's own checks let through. */
static void add_results(struct rj_commit *commit)
{
    for (int32_t t = 0; t < commit->request->topics.count; t++) {
        const request_topic *asked = &commit->request->topics.items[t];
        if (commit->is_clean && commit->topics[t].is_stored) {
            accept_topic(commit, t);
            continue;
        }
        for (int32_t p = 0; p < asked->partitions.count; p++) {
            if (!commit->is_clean && judge_one(commit, t, p).rule != RJ_RULE_NONE)
                continue;
            struct rj_verdict verdict = judge_value(commit, t, &asked->partitions.items[p]);
            add_answer(commit, t, asked->partitions.items[p].partition_index, verdict.error, verdict.rule);
        }
    }
}

/* The records' values are on their way: committed with the result of the write. */
static void start_write(struct rj_commit *commit, struct rj_offsets_record *records)
{
    struct rj_coord *coord = commit->call->coord;
    struct rj_write *write = commit->write;
    for (int32_t i = 0; i < commit->record_count; i++) {
        struct rj_offset *offset = commit->records[i].offset;
        struct rj_offset_partition *partition = commit->records[i].partition;
        offset->append_id = coord->next_append_id + 1;
        offset->position = coord->next_position++;
        rj_offset_push(partition, offset);
        records[i] = rj_offset_record(coord->output, partition, offset);
        write->touched[i] = partition;
    }
    write->partition_count = commit->record_count;
    rj_write_start(coord, write, RJ_WRITE_REPLY, records, commit->record_count);
    struct rj_append *append = &coord->output->appends[coord->output->append_count - 1];
    append->producer_id = commit->producer_id;
    append->producer_epoch = commit->producer_id >= 0 ? commit->producer_epoch : -1;
    if (commit->creates_group)
        commit->group->created_by = write->append_id;
}

/* Puts a committed value in the place of the one before; returns it. */
static struct rj_offset *put_value(struct rj_commit *commit, const struct rj_commit_record *record)
{
    int64_t position = commit->call->coord->next_position++;
    record->partition->holds--;
    if (record->offset != NULL) {
        record->offset->position = position;
        rj_offset_push(record->partition, record->offset);
        return record->offset;
    }
    struct rj_offset *offset = record->partition->plain;
    struct rj_string metadata = record->asked->committed_metadata;
    fill_value(commit, record, offset);
    offset->position = position;
    offset->metadata.len = metadata.len > 0 ? metadata.len : 0;
    if (metadata.len > 0)
        memcpy((char *)(offset + 1), metadata.data, (size_t)metadata.len);
    return offset;
}

/* Everything is committed at once. A record may not point into its value, which a later record of the same partition
 * may write over. */
static void commit_directly(struct rj_commit *commit, struct rj_offsets_record *records)
{
    struct rj_coord *coord = commit->call->coord;
    size_t count = (size_t)commit->record_count;
    struct rj_offset_commit_key *keys = rj_output_take(coord->output, count * sizeof(*keys));
    struct rj_offset_commit_value *values = rj_output_take(coord->output, count * sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        const struct rj_offset *offset = put_value(commit, &commit->records[i]);
        records[i] = rj_offset_record_in(&keys[i], &values[i], commit->records[i].partition, offset);
        if (offset->metadata.len > 0)
            values[i].metadata = rj_output_string(coord->output, offset->metadata);
    }
    *rj_output_append(coord->output) = (struct rj_append){
        .append_id = 0, .records = records, .record_count = commit->record_count, .timestamp_ms = coord->now_ms,
        .producer_id = -1, .producer_epoch = -1};
    coord->committed_append_id = ++coord->next_append_id;
    rj_group_written(commit->group, coord->committed_append_id);
    rj_commit_answer(commit);
}

void rj_commit_apply(struct rj_commit *commit)
{
    struct rj_coord *coord = commit->call->coord;
    struct rj_write *write = commit->write;
    add_results(commit);
    if (commit->producer_id >= 0)
        rj_txn_convert_answer(commit);
    if (write != NULL) {
        write->rule = commit->rule;
        rj_write_set_group(write, commit->group);
    }
    if (commit->record_count > 0) {
        struct rj_offsets_record *records =
            rj_output_take(coord->output, (size_t)commit->record_count * sizeof(*records));
        if (write != NULL)
            start_write(commit, records);
        else
            commit_directly(commit, records);
        return;
    }
    if (commit->creates_group)
        commit->group->visible_from = coord->next_append_id + 1;
    if (write != NULL)
        rj_write_wait(coord, write);
    else
        rj_commit_answer(commit);
}

void rj_commit_answer(struct rj_commit *commit)
{
    struct rj_coord *coord = commit->call->coord;
    if (commit->write == NULL) {
        rj_reply(coord, &commit->call->origin, commit->response, commit->rule);
        return;
    }
    commit->write->rule = commit->rule;
    rj_write_answer(coord, commit->write);
}

/* What the broker itself refused keeps its error. */
void rj_commit_fail(struct rj_offset_commit_response *response, int16_t error)
{
    for (int32_t t = 0; t < response->topics.count; t++)
        for (int32_t p = 0; p < response->topics.items[t].partitions.count; p++) {
            int16_t *code = &response->topics.items[t].partitions.items[p].error_code;
            if (*code == 0 || *code == RJ_KAFKA_OFFSET_METADATA_TOO_LARGE)
                *code = error;
        }
}
