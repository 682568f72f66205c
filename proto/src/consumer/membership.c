/* Membership between rebalances: heartbeats, the poll interval, and what an error makes of it. */
#include "consumer/state.h"

bool rj_membership_is_member(const struct rj_consumer *c)
{
    return c->generation_id != NO_GENERATION_ID && c->member_id.len > 0 && !c->id_is_promised;
}

struct rj_string rj_membership_instance_id(const struct rj_consumer *c, int16_t version, int16_t since)
{
    if (version < since || rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_NO_INSTANCE_ID))
        return RJ_NULL_STRING;
    return c->config.instance_id;
}

void rj_membership_want_rejoin(struct rj_consumer *c, const char *reason)
{
    if (!c->rejoin_wanted)
        c->rejoin_reason = reason;
    c->rejoin_wanted = true;
}

/* cl-lost-vs-revoked: another member may own them already, so nothing is committed for them. */
void rj_membership_reset(struct rj_consumer *c, bool keep_id, const char *reason)
{
    if (!keep_id) {
        rj_consumer_set_string(c, &c->member_id, RJ_EMPTY_STRING);
        c->id_is_promised = false;
    }
    c->generation_id = NO_GENERATION_ID;
    c->membership++;
    c->group.is_leader = false;
    c->group.has_signature = false;
    rj_commit_give_up(c, RJ_KAFKA_UNKNOWN_MEMBER_ID);
    bool owned = false;
    for (int32_t i = 0; i < c->partition_count; i++)
        owned = owned || !c->partitions[i].is_ghost;
    if (owned)
        rj_consumer_tell_partitions(c, RJ_CONSUMER_LOST, NULL);
    rj_partition_remove(c, NULL);
    if (c->state != RJ_CONSUMER_FAILED && c->state != RJ_CONSUMER_DONE)
        c->state = RJ_CONSUMER_UNJOINED;
    c->rejoin_wanted = false;
    rj_membership_want_rejoin(c, reason);
}

void rj_membership_react(struct rj_consumer *c, const struct in_flight *request, struct verdict verdict,
                         int16_t error_code)
{
    bool is_stale = request->membership != c->membership;
    switch (verdict.reaction) {
    case REACTION_REDISCOVER:
        if (request->connection_id != 0 && rj_connection_by_id(c, request->connection_id) != NULL)
            rj_discovery_forget_coordinator(c);
        if (c->coordinator_retry_at_ms < c->now_ms + rj_consumer_backoff_ms(c, 1))
            c->coordinator_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, 1);
        break;
    case REACTION_REJOIN:
        if (!is_stale && c->state == RJ_CONSUMER_STABLE) {
            if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_DROP_ID_ON_27))
                rj_membership_reset(c, false, "rebalance in progress");
            rj_membership_want_rejoin(c, "the coordinator asked for a rebalance");
        }
        break;
    case REACTION_RESET_KEEP_ID:
        if (!is_stale)
            rj_membership_reset(c, true, "the generation is over");
        break;
    case REACTION_RESET:
        if (!is_stale)
            rj_membership_reset(c, rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_KEEP_ID_AFTER_25),
                                "the member id is unknown");
        break;
    case REACTION_FATAL:
        if (!is_stale)
            rj_consumer_fail(c, request->api_key, error_code, verdict.rule, "the coordinator refused for good");
        break;
    case REACTION_DONE:
    case REACTION_IGNORE:
    case REACTION_RETRY:
    case REACTION_TAKE_ID:
    case REACTION_REPORT:
        break;
    }
}

static bool heartbeat_is_ignored(const struct rj_consumer *c, int16_t error_code)
{
    switch (error_code) {
    case RJ_KAFKA_REBALANCE_IN_PROGRESS:
        return rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_27);
    case RJ_KAFKA_UNKNOWN_MEMBER_ID:
        return rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_25);
    case RJ_KAFKA_ILLEGAL_GENERATION:
        return rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_HEARTBEAT_22);
    case RJ_KAFKA_COORDINATOR_NOT_AVAILABLE:
    case RJ_KAFKA_NOT_COORDINATOR:
        return rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_IGNORE_16);
    default:
        return false;
    }
}

void rj_membership_take_heartbeat(struct rj_consumer *c, const struct in_flight *request,
                                  const struct rj_heartbeat_response *response)
{
    struct verdict verdict = rj_consumer_judge(RJ_API_HEARTBEAT, response->error_code);
    if (verdict.reaction == REACTION_DONE || verdict.reaction == REACTION_REJOIN ||
        heartbeat_is_ignored(c, response->error_code))
        c->heartbeat_ok_ms = c->now_ms;
    if (!heartbeat_is_ignored(c, response->error_code))
        rj_membership_react(c, request, verdict, response->error_code);
}

/* A connection or an answer is gone: the id is kept, and the JoinGroup comes again (cl-join-retain-id). */
void rj_membership_request_lost(struct rj_consumer *c, const struct in_flight *request)
{
    if (request->api_key == RJ_API_LEAVE_GROUP) {
        if (c->state == RJ_CONSUMER_LEAVING)
            rj_leave_done(c);
        return;
    }
    bool was_join = request->api_key == RJ_API_JOIN_GROUP && c->state == RJ_CONSUMER_JOINING;
    bool was_sync = request->api_key == RJ_API_SYNC_GROUP && c->state == RJ_CONSUMER_SYNCING;
    if (!was_join && !was_sync)
        return;
    c->state = RJ_CONSUMER_UNJOINED;
    rj_membership_want_rejoin(c, was_join ? "the answer to JoinGroup was lost" : "the answer to SyncGroup was lost");
}

static void send_heartbeat(struct rj_consumer *c, struct connection *connection)
{
    int16_t version = rj_connection_version(c, connection, RJ_API_HEARTBEAT);
    struct rj_heartbeat_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (request == NULL)
        return;
    rj_message_init(&rj_heartbeat_request_schema, request);
    request->group_id = c->config.group_id;
    request->generation_id = c->generation_id;
    request->member_id = rj_consumer_step_string(c, c->member_id);
    request->group_instance_id = rj_membership_instance_id(c, version, 3);
    rj_consumer_send(c, connection, RJ_API_HEARTBEAT, version, request);
    c->heartbeat_at_ms = c->now_ms + c->config.heartbeat_interval_ms;
}

static void drive_heartbeat(struct rj_consumer *c)
{
    if (!rj_membership_is_member(c) || c->state == RJ_CONSUMER_JOINING || c->state == RJ_CONSUMER_LEAVING)
        return;
    int64_t session_end_ms = c->heartbeat_ok_ms + c->config.session_timeout_ms;
    if (c->now_ms >= session_end_ms) {
        /* cl-session-local: the coordinator does not answer; look for it anew, keep the membership. */
        c->heartbeat_ok_ms = c->now_ms;
        rj_discovery_forget_coordinator(c);
        return;
    }
    rj_consumer_wake(c, session_end_ms);
    struct connection *connection = rj_connection_to_coordinator(c);
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_NO_HEARTBEATS) || connection == NULL ||
        rj_consumer_is_out(c, RJ_API_HEARTBEAT))
        return;
    if (c->now_ms >= c->heartbeat_at_ms)
        send_heartbeat(c, connection);
    rj_consumer_wake(c, c->heartbeat_at_ms);
}

static void drive_poll_interval(struct rj_consumer *c)
{
    bool has_joined = c->member_id.len > 0 && c->state != RJ_CONSUMER_LEAVING;
    if (!has_joined || c->is_closing || c->poll_expired || c->state == RJ_CONSUMER_JOINING ||
        c->state == RJ_CONSUMER_SYNCING) /* what is out is waited for */
        return;
    int64_t expires_ms = c->polled_ms + c->config.max_poll_interval_ms;
    if (c->now_ms < expires_ms) {
        rj_consumer_wake(c, expires_ms);
        return;
    }
    c->poll_expired = true;
    rj_consumer_report(c, -1, RJ_KAFKA_UNKNOWN_SERVER_ERROR, RJ_RULE_CL_POLL_INTERVAL,
                       "the application did not poll for max_poll_interval_ms");
    bool is_dynamic = rj_string_is_null(c->config.instance_id);
    if (is_dynamic)
        rj_leave_send(c, "consumer poll timeout has expired.");
    rj_membership_reset(c, !is_dynamic, "the application polls again");
}

void rj_membership_drive(struct rj_consumer *c)
{
    drive_poll_interval(c);
    drive_heartbeat(c);
}
