/* A rebalance from the member's side: prepare, JoinGroup, SyncGroup, take the new assignment. */
#include "consumer/state.h"

#include <string.h>

bool rj_partition_is_owned(const struct rj_consumer *c, const struct partition *partition)
{
    (void)c;
    return !partition->is_ghost;
}

bool rj_partition_is_revoking(const struct rj_consumer *c, const struct partition *partition)
{
    (void)c;
    return !partition->is_ghost && partition->is_revoking;
}

/* ---- Prepare ----------------------------------------------------------------------------------------------------- */

static bool is_subscribed(const struct rj_consumer *c, struct rj_string topic)
{
    for (int32_t i = 0; i < c->topics.count; i++)
        if (rj_string_equal(c->topics.items[i], topic))
            return true;
    return false;
}

/* Which partitions go before the JoinGroup: eager all, cooperative those of topics no longer subscribed. */
static bool mark_for_revocation(struct rj_consumer *c)
{
    bool some = false;
    bool keeps_all = !c->is_cooperative && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_KEEP_ON_REVOKE);
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        bool goes = c->is_cooperative ? !is_subscribed(c, partition->topic) : !keeps_all;
        partition->is_revoking = goes && !partition->is_ghost;
        some = some || partition->is_revoking;
    }
    return some;
}

static void begin(struct rj_consumer *c)
{
    c->rejoin_at_ms = 0;
    c->state = RJ_CONSUMER_PREPARING;
    c->prepare_deadline_ms = c->now_ms + c->config.max_poll_interval_ms;
    if (!mark_for_revocation(c) || !c->config.commit_on_revoke || !rj_membership_is_member(c) ||
        rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_SKIP_COMMIT_BEFORE_REVOKE))
        return;
    rj_commit_consumed(c, COMMIT_BEFORE_REVOKE, 0, rj_partition_is_revoking);
}

static struct rj_bytes cooperative_user_data(struct rj_consumer *c)
{
    uint8_t *data = rj_consumer_step_alloc(c, 4, 1);
    if (data == NULL)
        return RJ_NULL_BYTES;
    uint32_t generation = (uint32_t)c->cooperative_generation;
    for (int i = 0; i < 4; i++)
        data[i] = (uint8_t)(generation >> (24 - 8 * i));
    return (struct rj_bytes){data, 4};
}

/* What is owned, grouped by topic; the partitions of one topic need not stand together. */
static void list_owned(struct rj_consumer *c, struct rj_consumer_protocol_subscription *subscription)
{
    struct rj_consumer_protocol_subscription_topic_partition *topics =
        rj_consumer_step_alloc(c, c->partition_count, sizeof *topics);
    int32_t count = 0;
    for (int32_t i = 0; topics != NULL && i < c->partition_count; i++) {
        const struct partition *partition = &c->partitions[i];
        if (partition->is_ghost)
            continue;
        int32_t t = 0;
        while (t < count && !rj_string_equal(topics[t].topic, partition->topic))
            t++;
        if (t == count) {
            topics[count].topic = rj_consumer_step_string(c, partition->topic);
            topics[count].partitions.items = rj_consumer_step_alloc(c, c->partition_count, sizeof(int32_t));
            if (topics[count++].partitions.items == NULL)
                return;
        }
        topics[t].partitions.items[topics[t].partitions.count++] = partition->number;
    }
    subscription->owned_partitions.items = topics;
    subscription->owned_partitions.count = count;
}

static struct rj_string *sorted_topics(struct rj_consumer *c)
{
    struct rj_string *topics = rj_consumer_step_alloc(c, c->topics.count, sizeof *topics);
    for (int32_t i = 0; topics != NULL && i < c->topics.count; i++) {
        int32_t at = i;
        struct rj_string topic = rj_consumer_step_string(c, c->topics.items[i]);
        for (; at > 0 && rj_java_compare(topic, topics[at - 1]) < 0; at--)
            topics[at] = topics[at - 1];
        topics[at] = topic;
    }
    return topics;
}

static bool subscription_bytes(struct rj_consumer *c, enum rj_assignor assignor, struct rj_bytes *bytes)
{
    struct rj_consumer_protocol_subscription subscription;
    int16_t version = c->config.subscription_version;
    rj_message_init(&rj_consumer_protocol_subscription_schema, &subscription);
    subscription.topics.items = sorted_topics(c);
    subscription.topics.count = c->topics.count;
    if (assignor == RJ_ASSIGNOR_STICKY && c->has_sticky)
        subscription.user_data = c->sticky_user_data;
    if (assignor == RJ_ASSIGNOR_COOPERATIVE_STICKY)
        subscription.user_data = cooperative_user_data(c);
    if (version >= 1 && (c->is_cooperative || rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_KEEP_ON_REVOKE)))
        list_owned(c, &subscription);
    if (version >= 2)
        subscription.generation_id = c->generation_id;
    if (version >= 3)
        subscription.rack_id = c->config.rack;
    if (c->out_of_memory || rj_encode_subscription(&subscription, version, &c->step, bytes) != RJ_OK) {
        c->out_of_memory = true;
        return false;
    }
    return true;
}

static struct rj_join_group_request *join_request(struct rj_consumer *c, int16_t version)
{
    struct rj_join_group_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_join_group_request_protocol *protocols =
        rj_consumer_step_alloc(c, c->config.assignor_count, sizeof *protocols);
    if (request == NULL || protocols == NULL)
        return NULL;
    rj_message_init(&rj_join_group_request_schema, request);
    for (int32_t i = 0; i < c->config.assignor_count; i++) {
        protocols[i].name = rj_assignor_name(c->config.assignors[i]);
        if (!subscription_bytes(c, c->config.assignors[i], &protocols[i].metadata))
            return NULL;
    }
    request->group_id = c->config.group_id;
    request->session_timeout_ms = c->config.session_timeout_ms;
    if (version >= 1)
        request->rebalance_timeout_ms = c->config.max_poll_interval_ms;
    request->member_id = rj_consumer_step_string(c, c->member_id);
    if (version >= 5)
        request->group_instance_id = c->config.instance_id;
    request->protocol_type = RJ_STRING("consumer");
    request->protocols.items = protocols;
    request->protocols.count = c->config.assignor_count;
    if (version >= 8 && c->rejoin_reason != NULL)
        request->reason = (struct rj_string){c->rejoin_reason, (int32_t)strlen(c->rejoin_reason)};
    return request;
}

static void send_join(struct rj_consumer *c, struct connection *connection)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_JOIN_GROUP);
    if (!rj_string_is_null(c->config.instance_id) && version < 5) {
        rj_consumer_fail(c, RJ_API_JOIN_GROUP, RJ_KAFKA_UNSUPPORTED_VERSION, RJ_RULE_CL_UNKNOWN_VERSION_FLOOR,
                         "the broker's JoinGroup cannot carry a group instance id");
        return;
    }
    const struct rj_join_group_request *request = join_request(c, version);
    if (request == NULL)
        return;
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_TWO_JOINS)) {
        struct in_flight *first = rj_consumer_send(c, connection, RJ_API_JOIN_GROUP, version, request);
        if (first != NULL)
            first->ignored = true;
    }
    if (rj_consumer_send(c, connection, RJ_API_JOIN_GROUP, version, request) == NULL)
        return;
    c->state = RJ_CONSUMER_JOINING;
    c->rejoin_wanted = false;
}

static void drive_assigning(struct rj_consumer *c);

static void drive_preparing(struct rj_consumer *c)
{
    if (rj_commit_is_pending(c, COMMIT_BEFORE_REVOKE)) {
        if (c->now_ms < c->prepare_deadline_ms) {
            rj_consumer_wake(c, c->prepare_deadline_ms);
            return;
        }
        rj_commit_give_up(c, RJ_KAFKA_REQUEST_TIMED_OUT);
    }
    rj_rebalance_finish_revocation(c);
    struct connection *connection = rj_connection_to_coordinator(c);
    if (connection != NULL && !rj_commit_is_pending(c, COMMIT_ASKED) && !rj_commit_is_pending(c, COMMIT_AUTOMATIC))
        send_join(c, connection);
}

void rj_rebalance_drive(struct rj_consumer *c)
{
    bool may_begin = c->state == RJ_CONSUMER_UNJOINED || (c->state == RJ_CONSUMER_STABLE && c->rejoin_wanted);
    if (may_begin && !c->poll_expired && c->topics.count > 0) {
        if (c->now_ms < c->rejoin_at_ms)
            rj_consumer_wake(c, c->rejoin_at_ms);
        else if (c->state == RJ_CONSUMER_STABLE || rj_connection_to_coordinator(c) != NULL)
            begin(c);
    }
    if (c->state == RJ_CONSUMER_PREPARING)
        drive_preparing(c);
    if (c->state == RJ_CONSUMER_ASSIGNING)
        drive_assigning(c);
    if (c->state == RJ_CONSUMER_REVOKING && !rj_commit_is_pending(c, COMMIT_BEFORE_REVOKE)) {
        rj_rebalance_finish_revocation(c);
        rj_rebalance_take_assignment(c, &c->target);
    }
}

/* Tells REVOKED for what is marked, and forgets it. */
void rj_rebalance_finish_revocation(struct rj_consumer *c)
{
    bool some = false;
    for (int32_t i = 0; i < c->partition_count; i++)
        some = some || rj_partition_is_revoking(c, &c->partitions[i]);
    if (!some)
        return;
    rj_consumer_tell_partitions(c, RJ_CONSUMER_REVOKED, rj_partition_is_revoking);
    rj_partition_remove(c, rj_partition_is_revoking);
}

/* ---- JoinGroup --------------------------------------------------------------------------------------------------- */

/* When to join again after a failure: at once the first time, backed off where it fails in the same way again. */
static void join_failed(struct rj_consumer *c, int16_t error_code, bool at_once)
{
    c->join_failures = error_code == c->join_error ? c->join_failures + 1 : 1;
    c->join_error = error_code;
    int32_t waits = at_once ? c->join_failures - 1 : c->join_failures;
    c->rejoin_at_ms = waits > 0 ? c->now_ms + rj_consumer_backoff_ms(c, waits) : c->now_ms;
}

static void heartbeat_with_promised_id(struct rj_consumer *c)
{
    struct connection *connection = rj_connection_to_coordinator(c);
    struct rj_heartbeat_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (connection == NULL || request == NULL)
        return;
    rj_message_init(&rj_heartbeat_request_schema, request);
    request->group_id = c->config.group_id;
    request->member_id = rj_consumer_step_string(c, c->member_id);
    struct in_flight *sent = rj_consumer_send(c, connection, RJ_API_HEARTBEAT,
                                              rj_connection_version(c, connection, RJ_API_HEARTBEAT), request);
    if (sent != NULL)
        sent->ignored = true;
}

static void join_refused(struct rj_consumer *c, const struct in_flight *request,
                         const struct rj_join_group_response *response)
{
    int16_t error = response->error_code;
    struct verdict verdict = rj_consumer_judge(RJ_API_JOIN_GROUP, error);
    if (error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_FATAL_14))
        verdict.reaction = REACTION_FATAL;
    if (error == RJ_KAFKA_FENCED_INSTANCE_ID && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_REJOIN_AFTER_82))
        verdict.reaction = REACTION_RESET;
    c->state = RJ_CONSUMER_UNJOINED;
    join_failed(c, error, verdict.reaction == REACTION_TAKE_ID || verdict.reaction == REACTION_RESET ||
                              error == RJ_KAFKA_REBALANCE_IN_PROGRESS);
    if (verdict.reaction == REACTION_TAKE_ID) {
        if (!rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_EMPTY_ID_AFTER_79)) {
            rj_consumer_set_string(c, &c->member_id, response->member_id);
            c->id_is_promised = true;
            c->membership++;
        }
        if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_HEARTBEAT_PROMISED_ID))
            heartbeat_with_promised_id(c);
        rj_membership_want_rejoin(c, "rejoining with the id that the coordinator gave");
    } else {
        rj_membership_want_rejoin(c, "JoinGroup was refused");
        rj_membership_react(c, request, verdict, error);
    }
}

static bool take_protocol(struct rj_consumer *c, const struct rj_join_group_response *response)
{
    if (response->protocol_type.data != NULL && !rj_string_equal(response->protocol_type, RJ_STRING("consumer"))) {
        rj_consumer_fail(c, RJ_API_JOIN_GROUP, RJ_KAFKA_INCONSISTENT_GROUP_PROTOCOL, RJ_RULE_CL_JOIN_PROTO_TYPE,
                         "the group is not of protocol type consumer");
        return false;
    }
    for (int32_t i = 0; i < c->config.assignor_count; i++)
        if (rj_string_equal(response->protocol_name, rj_assignor_name(c->config.assignors[i]))) {
            c->assignor = c->config.assignors[i];
            return true;
        }
    rj_consumer_fail(c, RJ_API_JOIN_GROUP, RJ_KAFKA_INCONSISTENT_GROUP_PROTOCOL, RJ_RULE_CL_JOIN_PROTO_TYPE,
                     "the coordinator chose a protocol that was not offered");
    return false;
}

void rj_rebalance_take_join(struct rj_consumer *c, const struct in_flight *request,
                            const struct rj_join_group_response *response)
{
    if (c->state != RJ_CONSUMER_JOINING)
        return;
    if (response->error_code != 0) {
        join_refused(c, request, response);
        return;
    }
    if (!take_protocol(c, response) || !rj_consumer_set_string(c, &c->member_id, response->member_id) ||
        !rj_leader_take_group(c, response))
        return;
    c->id_is_promised = false;
    if (c->generation_id != NO_GENERATION_ID)
        c->previous_generation_id = c->generation_id;
    c->generation_id = response->generation_id;
    c->membership++;
    c->heartbeat_at_ms = c->now_ms + c->config.heartbeat_interval_ms;
    c->heartbeat_ok_ms = c->now_ms;
    c->state = RJ_CONSUMER_ASSIGNING;
    /* The deliberate fault takes its time, so that its commit cannot be taken for one that was under way. */
    c->sync_at_ms = rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_COMMIT_BETWEEN_JOIN_AND_SYNC) ? c->now_ms + 500 : 0;
}

static void drive_assigning(struct rj_consumer *c)
{
    if (c->now_ms < c->sync_at_ms) {
        rj_consumer_wake(c, c->sync_at_ms);
        return;
    }
    if (c->sync_at_ms > 0) {
        c->sync_at_ms = 0;
        rj_commit_between_join_and_sync(c);
    }
    if (c->group.is_leader && !c->group.skips_assignment)
        rj_leader_drive(c);
    else
        rj_rebalance_send_sync(c, NULL, 0);
}

/* ---- SyncGroup --------------------------------------------------------------------------------------------------- */

/* Deliberate fault: everything for oneself, though nobody asked. */
static int32_t follower_assignment(struct rj_consumer *c, struct rj_sync_group_request_assignment *assignment)
{
    struct rj_consumer_protocol_assignment empty;
    rj_message_init(&rj_consumer_protocol_assignment_schema, &empty);
    assignment->member_id = rj_consumer_step_string(c, c->member_id);
    return rj_encode_assignment(&empty, 0, &c->step, &assignment->assignment) == RJ_OK;
}

void rj_rebalance_send_sync(struct rj_consumer *c, const struct rj_sync_group_request_assignment *assignments,
                            int32_t count)
{
    struct connection *connection = rj_connection_to_coordinator(c);
    if (connection == NULL) {
        c->state = RJ_CONSUMER_UNJOINED; /* it went between JoinGroup and SyncGroup */
        rj_membership_want_rejoin(c, "the coordinator was lost before SyncGroup");
        return;
    }
    int16_t version = rj_connection_version(c, connection, RJ_API_SYNC_GROUP);
    struct rj_sync_group_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_sync_group_request_assignment *list = rj_consumer_step_alloc(c, count + 1, sizeof *list);
    if (request == NULL || list == NULL)
        return;
    rj_message_init(&rj_sync_group_request_schema, request);
    for (int32_t i = 0; i < count; i++)
        list[i] = assignments[i];
    if (count == 0 && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_FOLLOWER_ASSIGNS))
        count = follower_assignment(c, &list[0]);
    request->group_id = c->config.group_id;
    request->generation_id = c->generation_id - rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_SYNC_WRONG_GENERATION);
    request->member_id = rj_consumer_step_string(c, c->member_id);
    request->group_instance_id = rj_membership_instance_id(c, version, 3);
    if (version >= 5) {
        request->protocol_type = RJ_STRING("consumer");
        request->protocol_name = rj_assignor_name(c->assignor);
    }
    request->assignments.items = list;
    request->assignments.count = count;
    if (rj_consumer_send(c, connection, RJ_API_SYNC_GROUP, version, request) != NULL)
        c->state = RJ_CONSUMER_SYNCING;
}

static void sync_refused(struct rj_consumer *c, const struct in_flight *request, int16_t error)
{
    struct verdict verdict = rj_consumer_judge(RJ_API_SYNC_GROUP, error);
    c->state = RJ_CONSUMER_UNJOINED;
    rj_membership_want_rejoin(c, "SyncGroup was refused");
    join_failed(c, error, error != RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS && verdict.reaction != REACTION_REDISCOVER);
    if (verdict.reaction == REACTION_RESET_KEEP_ID && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_DROP_ID_ON_22))
        verdict.reaction = REACTION_RESET;
    if (verdict.reaction == REACTION_REJOIN && rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_DROP_ID_ON_27))
        verdict.reaction = REACTION_RESET;
    rj_membership_react(c, request, verdict, error);
}

/* Keeps the assignment in the sticky assignor's own format, for the next JoinGroup. */
static void remember_for_sticky(struct rj_consumer *c, const struct rj_consumer_protocol_assignment *assignment)
{
    struct rj_sticky_assignor_user_data data = {.generation = c->generation_id};
    size_t len = 0;
    c->cooperative_generation = c->generation_id;
    rj_arena_reset(&c->sticky_arena);
    data.previous_assignment.count = assignment->assigned_partitions.count;
    data.previous_assignment.items = rj_consumer_step_alloc(c, assignment->assigned_partitions.count + 1,
                                                            sizeof *data.previous_assignment.items);
    if (data.previous_assignment.items == NULL)
        return;
    for (int32_t i = 0; i < assignment->assigned_partitions.count; i++) {
        data.previous_assignment.items[i].topic = assignment->assigned_partitions.items[i].topic;
        data.previous_assignment.items[i].partitions = assignment->assigned_partitions.items[i].partitions;
    }
    uint8_t *bytes = NULL;
    if (rj_encoded_len(&rj_sticky_assignor_user_data_schema, 1, &data, &len, NULL) == RJ_OK && len <= INT32_MAX)
        bytes = rj_arena_alloc(&c->sticky_arena, len);
    c->has_sticky = bytes != NULL &&
                    rj_encode(&rj_sticky_assignor_user_data_schema, 1, &data, bytes, len, &len, NULL) == RJ_OK;
    c->sticky_user_data = (struct rj_bytes){bytes, (int32_t)len};
}

static bool is_in(const struct rj_consumer_protocol_assignment *assignment, const struct partition *partition)
{
    for (int32_t i = 0; i < assignment->assigned_partitions.count; i++) {
        const struct rj_consumer_protocol_assignment_topic_partition *topic = &assignment->assigned_partitions.items[i];
        if (!rj_string_equal(topic->topic, partition->topic))
            continue;
        for (int32_t k = 0; k < topic->partitions.count; k++)
            if (topic->partitions.items[k] == partition->number)
                return true;
    }
    return false;
}

static bool partition_is_new(const struct rj_consumer *c, const struct partition *partition)
{
    (void)c;
    return !partition->is_ghost && partition->state == POSITION_UNKNOWN && partition->retry_at_ms < 0;
}

/* Adds what is new and tells it. Eager members own nothing at this point, so that everything is new to them. */
void rj_rebalance_take_assignment(struct rj_consumer *c, const struct rj_consumer_protocol_assignment *assignment)
{
    bool gave_up = c->state == RJ_CONSUMER_REVOKING;
    for (int32_t i = 0; i < assignment->assigned_partitions.count; i++) {
        const struct rj_consumer_protocol_assignment_topic_partition *topic = &assignment->assigned_partitions.items[i];
        for (int32_t k = 0; k < topic->partitions.count; k++) {
            struct partition *partition = rj_partition_find(c, topic->topic, topic->partitions.items[k]);
            if (partition != NULL && !partition->is_ghost)
                continue;
            partition = rj_partition_add(c, topic->topic, topic->partitions.items[k]);
            if (partition == NULL)
                return;
            partition->retry_at_ms = -1; /* new: partition_is_new */
        }
    }
    rj_consumer_tell_partitions(c, RJ_CONSUMER_ASSIGNED, partition_is_new);
    for (int32_t i = 0; i < c->partition_count; i++)
        if (c->partitions[i].retry_at_ms < 0)
            c->partitions[i].retry_at_ms = 0;
    c->state = RJ_CONSUMER_STABLE;
    c->auto_commit_at_ms = c->now_ms + c->config.auto_commit_interval_ms;
    if (gave_up && c->is_cooperative)
        rj_membership_want_rejoin(c, "partitions were given up");
}

static void take_target(struct rj_consumer *c)
{
    bool gives_up = false;
    for (int32_t i = 0; i < c->partition_count; i++) {
        struct partition *partition = &c->partitions[i];
        partition->is_revoking = !partition->is_ghost && !is_in(&c->target, partition);
        gives_up = gives_up || partition->is_revoking;
    }
    if (!gives_up) {
        rj_rebalance_take_assignment(c, &c->target);
        return;
    }
    /* cl-coop-two-step: give up first, with its commit; rebalance_drive goes on from here. */
    c->state = RJ_CONSUMER_REVOKING;
    if (c->config.commit_on_revoke && !rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_SKIP_COMMIT_BEFORE_REVOKE))
        rj_commit_consumed(c, COMMIT_BEFORE_REVOKE, 0, rj_partition_is_revoking);
}

void rj_rebalance_take_sync(struct rj_consumer *c, const struct in_flight *request,
                            const struct rj_sync_group_response *response)
{
    struct rj_fault fault;
    if (c->state != RJ_CONSUMER_SYNCING || request->membership != c->membership)
        return; /* cl-sync-late */
    if (response->error_code != 0) {
        sync_refused(c, request, response->error_code);
        return;
    }
    if (request->version >= 5 && response->protocol_name.data != NULL &&
        !rj_string_equal(response->protocol_name, rj_assignor_name(c->assignor))) {
        rj_consumer_fail(c, RJ_API_SYNC_GROUP, RJ_KAFKA_INCONSISTENT_GROUP_PROTOCOL, RJ_RULE_CL_SYNC_PROTO_NAME,
                         "SyncGroup names another protocol than JoinGroup did");
        return;
    }
    bool ok = true;
    rj_arena_reset(&c->target_arena);
    rj_message_init(&rj_consumer_protocol_assignment_schema, &c->target);
    struct rj_bytes bytes = rj_arena_copy_bytes(&c->target_arena, response->assignment, &ok);
    if (!ok) {
        c->out_of_memory = true;
        return;
    }
    if (bytes.len > 0 && rj_decode_assignment(bytes, &c->target_arena, &c->target, NULL, &fault) != RJ_OK) {
        rj_consumer_fail(c, RJ_API_SYNC_GROUP, RJ_KAFKA_UNKNOWN_SERVER_ERROR, RJ_RULE_CL_SYNC_FATAL,
                         "the assignment cannot be read");
        return;
    }
    c->join_error = 0;
    c->join_failures = 0;
    c->rejoin_reason = NULL;
    remember_for_sticky(c, &c->target);
    take_target(c);
}
