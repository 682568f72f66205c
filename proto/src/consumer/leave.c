/* The end of a membership: commit, give up, leave. */
#include "consumer/state.h"

static bool shall_leave(const struct rj_consumer *c)
{
    if (c->member_id.len == 0)
        return false;
    bool is_static = !rj_string_is_null(c->config.instance_id);
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_NEVER_LEAVE))
        return false;
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_LEAVE_STATIC) || c->config.leave_policy == RJ_LEAVE_ALWAYS)
        return true;
    return c->config.leave_policy == RJ_LEAVE_DEFAULT && !is_static;
}

void rj_leave_send(struct rj_consumer *c, const char *reason)
{
    struct connection *connection = rj_connection_to_coordinator(c);
    if (connection == NULL)
        return;
    int16_t version = rj_connection_version(c, connection, RJ_API_LEAVE_GROUP);
    struct rj_leave_group_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    struct rj_leave_group_request_member_identity *member = rj_consumer_step_alloc(c, 1, sizeof *member);
    if (request == NULL || member == NULL)
        return;
    rj_message_init(&rj_leave_group_request_schema, request);
    request->group_id = c->config.group_id;
    if (version >= 3) {
        member->member_id = rj_consumer_step_string(c, c->member_id);
        member->group_instance_id = c->config.instance_id;
        if (version >= 5) {
            member->reason.data = reason;
            while (reason[member->reason.len] != '\0')
                member->reason.len++;
        }
        request->members.items = member;
        request->members.count = 1;
    } else {
        request->member_id = rj_consumer_step_string(c, c->member_id);
    }
    struct in_flight *sent = rj_consumer_send(c, connection, RJ_API_LEAVE_GROUP, version, request);
    if (sent != NULL)
        sent->ignored = !c->is_closing;
    rj_consumer_ignore_answers(c, RJ_API_HEARTBEAT); /* cl-leave-no-more */
    if (!rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_HEARTBEAT_AFTER_LEAVE) || !c->is_closing)
        return;
    struct rj_heartbeat_request *heartbeat = rj_consumer_step_alloc(c, 1, sizeof *heartbeat);
    if (heartbeat == NULL)
        return;
    rj_message_init(&rj_heartbeat_request_schema, heartbeat);
    heartbeat->group_id = c->config.group_id;
    heartbeat->generation_id = c->generation_id;
    heartbeat->member_id = rj_consumer_step_string(c, c->member_id);
    sent = rj_consumer_send(c, connection, RJ_API_HEARTBEAT, rj_connection_version(c, connection, RJ_API_HEARTBEAT),
                            heartbeat);
    if (sent != NULL)
        sent->ignored = true;
}

void rj_leave_done(struct rj_consumer *c)
{
    if (c->state == RJ_CONSUMER_DONE)
        return;
    c->state = RJ_CONSUMER_DONE;
    c->membership++;
    while (c->connection_count > 0)
        rj_connection_close(c, c->connections[0].id);
    rj_consumer_act(c, RJ_CONSUMER_CLOSED);
}

/* cl-close-commit-first: what was consumed is committed, then given up, then the group is left. */
static bool commit_first(struct rj_consumer *c)
{
    if (c->state == RJ_CONSUMER_STABLE || c->state == RJ_CONSUMER_REVOKING || c->state == RJ_CONSUMER_PREPARING) {
        c->state = RJ_CONSUMER_LEAVING;
        if (rj_membership_is_member(c) && c->config.commit_on_revoke &&
            !rj_commit_is_pending(c, COMMIT_BEFORE_REVOKE) &&
            !rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_SKIP_COMMIT_BEFORE_REVOKE))
            rj_commit_consumed(c, COMMIT_BEFORE_REVOKE, 0, rj_partition_is_owned);
    } else if (c->state != RJ_CONSUMER_LEAVING) {
        /* A JoinGroup or SyncGroup that is parked would hold the LeaveGroup back: leave over a new connection. */
        bool is_parked = c->state == RJ_CONSUMER_JOINING || c->state == RJ_CONSUMER_SYNCING;
        struct connection *connection = is_parked ? rj_connection_for(c, RJ_CONNECTION_COORDINATOR, c->coordinator_node)
                                                  : NULL;
        int32_t node_id = c->coordinator_node;
        c->state = RJ_CONSUMER_LEAVING;
        if (connection != NULL) {
            c->coordinator_node = NO_NODE; /* keeps connection_lost from taking the coordinator for dead */
            rj_connection_close(c, connection->id);
            c->coordinator_node = node_id;
        }
    }
    for (int32_t i = 0; i < c->partition_count; i++)
        c->partitions[i].is_revoking = true;
    return rj_commit_is_pending(c, COMMIT_BEFORE_REVOKE) || rj_commit_is_pending(c, COMMIT_ASKED) ||
           rj_commit_is_pending(c, COMMIT_AUTOMATIC);
}

void rj_leave_drive(struct rj_consumer *c)
{
    if (!c->is_closing || c->state == RJ_CONSUMER_DONE)
        return;
    if (c->state == RJ_CONSUMER_FAILED || c->now_ms >= c->close_deadline_ms) {
        rj_commit_give_up(c, RJ_KAFKA_REQUEST_TIMED_OUT);
        rj_rebalance_finish_revocation(c);
        rj_leave_done(c);
        return;
    }
    rj_consumer_wake(c, c->close_deadline_ms);
    if (commit_first(c))
        return;
    rj_rebalance_finish_revocation(c);
    if (!shall_leave(c)) {
        rj_leave_done(c);
        return;
    }
    if (!rj_consumer_is_out(c, RJ_API_LEAVE_GROUP))
        rj_leave_send(c, "the consumer is being closed");
}
