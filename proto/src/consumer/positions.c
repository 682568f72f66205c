/* Owned partitions and where to read them from: the committed offset, or the reset policy where there is none. */
#include "consumer/state.h"

#include <string.h>

struct partition *rj_partition_find(struct rj_consumer *c, struct rj_string topic, int32_t number)
{
    for (int32_t i = 0; i < c->partition_count; i++)
        if (c->partitions[i].number == number && rj_string_equal(c->partitions[i].topic, topic))
            return &c->partitions[i];
    return NULL;
}

struct partition *rj_partition_add(struct rj_consumer *c, struct rj_string topic, int32_t number)
{
    struct partition *partition = rj_partition_find(c, topic, number);
    struct rj_string name = RJ_EMPTY_STRING;
    if (partition != NULL) {
        name = partition->topic; /* a ghost comes back to life */
    } else {
        void *items = c->partitions;
        if (!rj_consumer_grow(c, &items, &c->partition_capacity, c->partition_count, sizeof *c->partitions))
            return NULL;
        c->partitions = items;
        if (!rj_consumer_set_string(c, &name, topic))
            return NULL;
        partition = &c->partitions[c->partition_count++];
    }
    *partition = (struct partition){.topic = name, .number = number, .position = -1, .committed = -1,
                                    .leader_epoch = -1};
    return partition;
}

/* Ghosts stay: they are what the deliberate fault fetch-revoked is about. */
void rj_partition_remove(struct rj_consumer *c, partition_filter select)
{
    int32_t left = 0;
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        bool goes = !partition->is_ghost && (select == NULL || select(c, partition));
        if (goes && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_FETCH_REVOKED) && partition->state == POSITION_READY) {
            partition->is_ghost = true;
            partition->is_revoking = partition->handed_out = false;
            partition->fetch_correlation_id = 0;
            goes = false;
        }
        if (goes)
            rj_consumer_free_string(c, &partition->topic);
        else
            c->partitions[left++] = *partition;
    }
    c->partition_count = left;
}

static bool has_topic(const struct rj_string *names, int32_t count, struct rj_string name, int32_t *at)
{
    for (*at = 0; *at < count; ++*at)
        if (rj_string_equal(names[*at], name))
            return true;
    return false;
}

struct topic_numbers { struct rj_string *names; struct rj_int32_array *numbers; int32_t count; };

/* The partitions whose committed offset is to be asked for, by topic; they count as asked. */
static bool list_unknown(struct rj_consumer *c, struct topic_numbers *list)
{
    list->names = rj_consumer_step_alloc(c, c->partition_count, sizeof *list->names);
    list->numbers = rj_consumer_step_alloc(c, c->partition_count, sizeof *list->numbers);
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        int32_t t;
        if (c->out_of_memory || partition->state != POSITION_UNKNOWN || partition->is_ghost || partition->is_revoking ||
            c->now_ms < partition->retry_at_ms)
            continue;
        if (!has_topic(list->names, list->count, partition->topic, &t)) {
            list->names[t] = rj_consumer_step_string(c, partition->topic);
            list->numbers[t].items = rj_consumer_step_alloc(c, c->partition_count, sizeof(int32_t));
            list->count++;
        }
        if (list->numbers[t].items != NULL)
            list->numbers[t].items[list->numbers[t].count++] = partition->number;
        partition->state = POSITION_ASKING;
    }
    return !c->out_of_memory && list->count > 0;
}

static bool fill_offset_fetch(struct rj_consumer *c, int16_t version, const struct topic_numbers *list,
                              struct rj_offset_fetch_request *request)
{
    if (version >= 7)
        request->require_stable = true;
    if (version < 8) {
        request->group_id = c->config.group_id;
        request->topics.items = rj_consumer_step_alloc(c, list->count, sizeof *request->topics.items);
        for (int32_t t = 0; request->topics.items != NULL && t < list->count; t++) {
            request->topics.items[t].name = list->names[t];
            request->topics.items[t].partition_indexes = list->numbers[t];
        }
        request->topics.count = list->count;
        return request->topics.items != NULL;
    }
    struct rj_offset_fetch_request_group *group = rj_consumer_step_alloc(c, 1, sizeof *group);
    if (group == NULL)
        return false;
    group->group_id = c->config.group_id;
    group->member_epoch = -1; /* of KIP-848; a classic member names neither id nor epoch */
    group->topics.items = rj_consumer_step_alloc(c, list->count, sizeof *group->topics.items);
    for (int32_t t = 0; group->topics.items != NULL && t < list->count; t++) {
        group->topics.items[t].name = list->names[t];
        group->topics.items[t].partition_indexes = list->numbers[t];
    }
    group->topics.count = list->count;
    request->groups.items = group;
    request->groups.count = 1;
    return group->topics.items != NULL;
}

static void ask_committed(struct rj_consumer *c, struct connection *connection)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_OFFSET_FETCH);
    struct topic_numbers list = {NULL, NULL, 0};
    struct rj_offset_fetch_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (request == NULL || !list_unknown(c, &list))
        return;
    rj_message_init(&rj_offset_fetch_request_schema, request);
    if (fill_offset_fetch(c, version, &list, request))
        rj_consumer_send(c, connection, RJ_API_OFFSET_FETCH, version, request);
}

/* ListOffsets to one leader for everything of it that is to be reset; one topic entry a partition is legal and
 * simple. */
static void ask_listed(struct rj_consumer *c, struct connection *connection, int32_t leader)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_LIST_OFFSETS);
    struct rj_list_offsets_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_list_offsets_request_list_offsets_topic *topics =
        rj_consumer_step_alloc(c, c->partition_count, sizeof *topics);
    int32_t count = 0;
    if (request == NULL || topics == NULL)
        return;
    rj_message_init(&rj_list_offsets_request_schema, request);
    request->replica_id = -1;
    if (version >= 2)
        request->isolation_level = c->config.isolation_level;
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        const struct known_partition *known = rj_metadata_partition(c, partition->topic, partition->number);
        if (partition->state != POSITION_RESETTING || known == NULL || known->leader != leader ||
            partition->is_revoking || c->now_ms < partition->retry_at_ms)
            continue;
        struct rj_list_offsets_request_list_offsets_partition *item = rj_consumer_step_alloc(c, 1, sizeof *item);
        if (item == NULL)
            return;
        *item = (struct rj_list_offsets_request_list_offsets_partition){
            .partition_index = partition->number,
            .current_leader_epoch = version >= 4 ? known->leader_epoch : -1,
            .timestamp = c->config.auto_offset_reset == RJ_OFFSET_RESET_EARLIEST ? -2 : -1,
            .max_num_offsets = 1};
        topics[count].name = rj_consumer_step_string(c, partition->topic);
        topics[count].partitions.items = item;
        topics[count++].partitions.count = 1;
        partition->state = POSITION_LISTING;
    }
    request->topics.items = topics;
    request->topics.count = count;
    if (count > 0)
        rj_consumer_send(c, connection, RJ_API_LIST_OFFSETS, version, request);
}

static void drive_resets(struct rj_consumer *c)
{
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        if (partition->state != POSITION_RESETTING || partition->is_revoking)
            continue;
        if (c->now_ms < partition->retry_at_ms) {
            rj_consumer_wake(c, partition->retry_at_ms);
            continue;
        }
        const struct known_partition *known = rj_metadata_partition(c, partition->topic, partition->number);
        if (known == NULL || known->leader == NO_NODE) {
            c->metadata_wanted = true;
            partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
            rj_consumer_wake(c, partition->retry_at_ms);
            continue;
        }
        struct connection *connection = rj_connection_ready(c, RJ_CONNECTION_DATA, known->leader);
        if (connection != NULL)
            ask_listed(c, connection, known->leader);
    }
}

void rj_positions_drive(struct rj_consumer *c)
{
    if (c->is_closing || !c->config.fetch_records)
        return;
    bool unknown = false;
    for (int32_t i = 0; i < c->partition_count; i++) {
        const struct partition *partition = &c->partitions[i];
        if (partition->state != POSITION_UNKNOWN || partition->is_ghost || partition->is_revoking)
            continue;
        if (c->now_ms < partition->retry_at_ms)
            rj_consumer_wake(c, partition->retry_at_ms);
        else
            unknown = true;
    }
    struct connection *connection = unknown && c->state != RJ_CONSUMER_JOINING && c->state != RJ_CONSUMER_SYNCING &&
                                            !rj_consumer_is_out(c, RJ_API_OFFSET_FETCH)
                                        ? rj_connection_to_coordinator(c)
                                        : NULL;
    if (connection != NULL)
        ask_committed(c, connection);
    drive_resets(c);
}

void rj_positions_request_lost(struct rj_consumer *c, int16_t api_key)
{
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        bool was_asking = api_key == RJ_API_OFFSET_FETCH && partition->state == POSITION_ASKING;
        bool was_listing = api_key == RJ_API_LIST_OFFSETS && partition->state == POSITION_LISTING;
        if (!was_asking && !was_listing)
            continue;
        partition->state = was_asking ? POSITION_UNKNOWN : POSITION_RESETTING;
        partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
    }
}

static void take_offset(struct rj_consumer *c, const struct in_flight *request, struct rj_string topic, int32_t number,
                        int64_t offset, int32_t leader_epoch, int16_t error)
{
    struct partition *partition = rj_partition_find(c, topic, number);
    if (partition == NULL || partition->state != POSITION_ASKING)
        return;
    struct verdict verdict = rj_consumer_judge(RJ_API_OFFSET_FETCH, error);
    if (verdict.reaction == REACTION_REPORT) {
        partition->state = POSITION_STUCK;
        rj_consumer_report(c, RJ_API_OFFSET_FETCH, error, verdict.rule, "the committed offset cannot be fetched");
    } else if (verdict.reaction != REACTION_DONE) {
        partition->state = POSITION_UNKNOWN;
        partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
        rj_membership_react(c, request, verdict, error);
    } else if (offset >= 0) {
        partition->state = POSITION_READY;
        partition->position = partition->committed = offset;
        partition->leader_epoch = leader_epoch;
    } else if (c->config.auto_offset_reset == RJ_OFFSET_RESET_NONE) {
        partition->state = POSITION_STUCK;
        rj_consumer_report(c, RJ_API_OFFSET_FETCH, RJ_KAFKA_OFFSET_OUT_OF_RANGE, RJ_RULE_CL_FETCH_OWNED_ONLY,
                           "no committed offset and no reset policy");
    } else {
        partition->state = POSITION_RESETTING;
        partition->retry_at_ms = 0;
    }
}

/* An error of the whole answer counts for every partition that was asked for. */
static void take_common_error(struct rj_consumer *c, const struct in_flight *request, int16_t error)
{
    for (int32_t i = 0; i < c->partition_count; i++)
        if (c->partitions[i].state == POSITION_ASKING)
            take_offset(c, request, c->partitions[i].topic, c->partitions[i].number, -1, -1, error);
}

void rj_positions_take_committed(struct rj_consumer *c, const struct in_flight *request,
                                 const struct rj_offset_fetch_response *response)
{
    int16_t error = request->version < 8 ? response->error_code
                    : response->groups.count > 0 ? response->groups.items[0].error_code
                                                 : RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    if (error != 0) {
        take_common_error(c, request, error);
        return;
    }
    for (int32_t t = 0; request->version < 8 && t < response->topics.count; t++) {
        const struct rj_offset_fetch_response_topic *topic = &response->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct rj_offset_fetch_response_partition *partition = &topic->partitions.items[p];
            take_offset(c, request, topic->name, partition->partition_index, partition->committed_offset,
                        partition->committed_leader_epoch, partition->error_code);
        }
    }
    for (int32_t t = 0; request->version >= 8 && t < response->groups.items[0].topics.count; t++) {
        const struct rj_offset_fetch_response_topics *topic = &response->groups.items[0].topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct rj_offset_fetch_response_partitions *partition = &topic->partitions.items[p];
            take_offset(c, request, topic->name, partition->partition_index, partition->committed_offset,
                        partition->committed_leader_epoch, partition->error_code);
        }
    }
    rj_positions_request_lost(c, RJ_API_OFFSET_FETCH); /* what the answer left out is asked for again */
}

void rj_positions_take_listed(struct rj_consumer *c, const struct rj_list_offsets_response *response)
{
    for (int32_t t = 0; t < response->topics.count; t++)
        for (int32_t p = 0; p < response->topics.items[t].partitions.count; p++) {
            const struct rj_list_offsets_response_list_offsets_partition_response *item =
                &response->topics.items[t].partitions.items[p];
            struct partition *partition = rj_partition_find(c, response->topics.items[t].name, item->partition_index);
            if (partition == NULL || partition->state != POSITION_LISTING)
                continue;
            if (item->error_code == 0) {
                partition->state = POSITION_READY;
                partition->position = item->offset;
                partition->committed = -1;
                partition->leader_epoch = item->leader_epoch;
            } else {
                partition->state = POSITION_RESETTING;
                partition->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
                c->metadata_wanted = true;
            }
        }
}
