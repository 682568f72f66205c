/* Writes on their way. */
#include "coord/writes.h"

#include "coord/offsets.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/reply.h"

#define ALIGNMENT sizeof(union { long long whole; double real; void *pointer; })

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

struct rj_write *rj_write_prepare(struct rj_coord *coord, size_t body_len, int32_t partition_count,
                                  int32_t group_count)
{
    size_t fixed = aligned(sizeof(struct rj_write)), touched = (size_t)partition_count * sizeof(void *),
           deleted = (size_t)group_count * sizeof(void *);
    if (!rj_timers_reserve(&coord->timers, 1, &coord->memory))
        return NULL;
    struct rj_write *write = rj_memory_alloc(&coord->memory, fixed + aligned(touched + deleted) + body_len);
    if (write == NULL) {
        rj_timers_forget(&coord->timers, 1);
        return NULL;
    }
    memset(write, 0, sizeof(*write));
    write->timer.kind = RJ_TIMER_WRITE;
    write->origin.api_key = -1;
    write->touched = (struct rj_offset_partition **)((char *)write + fixed);
    write->deleted = (struct rj_group **)(write->touched + partition_count);
    write->room = (char *)write + fixed + aligned(touched + deleted);
    write->room_end = write->room + body_len;
    return write;
}

void *rj_write_take(struct rj_write *write, size_t size)
{
    size = aligned(size);
    assert((size_t)(write->room_end - write->room) >= size);
    void *piece = write->room;
    write->room += size;
    return piece;
}

struct rj_string rj_write_string(struct rj_write *write, struct rj_string from)
{
    if (from.data == NULL)
        return from;
    char *copy = rj_write_take(write, (size_t)from.len + 1);
    memcpy(copy, from.data, (size_t)from.len);
    return (struct rj_string){copy, from.len};
}

void rj_write_set_group(struct rj_write *write, struct rj_group *group)
{
    rj_group_hold(group);
    write->group = group;
}

void rj_write_set_identity(struct rj_write *write, struct rj_identity *identity)
{
    rj_identity_hold(identity);
    write->identity = identity;
}

/* Frees the write's memory when the next step begins, so that its answer can go out. */
static void retire(struct rj_coord *coord, struct rj_write *write)
{
    rj_timer_cancel(&coord->timers, &write->timer);
    rj_timers_forget(&coord->timers, 1);
    for (int32_t i = 0; i < write->assigned_count; i++)
        if (write->assigned[i].bytes.len > 0)
            rj_memory_retire(&coord->memory, write->assigned[i].bytes.data);
    if (write->old_protocols != NULL)
        rj_protocols_release(write->group, write->old_protocols);
    if (write->identity != NULL)
        rj_identity_drop(write->identity);
    if (write->replaced != NULL)
        rj_identity_drop(write->replaced);
    for (int32_t i = 0; i < write->group_count; i++)
        rj_group_drop(write->deleted[i]);
    if (write->group != NULL)
        rj_group_drop(write->group);
    rj_memory_retire(&coord->memory, write);
}

void rj_write_discard(struct rj_coord *coord, struct rj_write *write)
{
    if (write != NULL)
        retire(coord, write);
}

static void unlink_write(struct rj_coord *coord, struct rj_write *write)
{
    *(write->older ? &write->older->newer : &coord->first_write) = write->newer;
    *(write->newer ? &write->newer->older : &coord->last_write) = write->older;
}

static void enqueue(struct rj_coord *coord, struct rj_write *write)
{
    write->newer = NULL;
    write->older = coord->last_write;
    *(coord->last_write ? &coord->last_write->newer : &coord->first_write) = write;
    coord->last_write = write;
    rj_timer_start(&coord->timers, &write->timer, coord->now_ms, coord->config.offsets_commit_timeout_ms);
}

void rj_write_start(struct rj_coord *coord, struct rj_write *write, enum rj_write_kind kind,
                    const struct rj_offsets_record *records, int32_t record_count)
{
    write->kind = kind;
    write->append_id = ++coord->next_append_id;
    *rj_output_append(coord->output) = (struct rj_append){
        .append_id = write->append_id, .records = records, .record_count = record_count,
        .timestamp_ms = coord->now_ms, .producer_id = -1, .producer_epoch = -1};
    enqueue(coord, write);
}

static void answer(struct rj_coord *coord, struct rj_write *write)
{
    if (!write->answered && write->origin.api_key >= 0)
        rj_reply(coord, &write->origin, write->body, write->rule);
    write->answered = true;
}

void rj_write_answer(struct rj_coord *coord, struct rj_write *write)
{
    answer(coord, write);
    retire(coord, write);
}

void rj_write_wait(struct rj_coord *coord, struct rj_write *write)
{
    write->kind = RJ_WRITE_REPLY;
    if (coord->first_write != NULL) {
        enqueue(coord, write);
        return;
    }
    rj_write_answer(coord, write);
}

void rj_write_queue(struct rj_coord *coord, struct rj_write *write, enum rj_write_kind kind)
{
    write->kind = kind;
    enqueue(coord, write);
}

struct rj_write *rj_turn_prepare(struct rj_coord *coord, bool *ok)
{
    if (coord->first_write == NULL)
        return NULL;
    struct rj_write *turn = rj_write_prepare(coord, 0, 0, 0);
    *ok = *ok && turn != NULL;
    return turn;
}

void rj_turn_start(struct rj_write *turn, const struct rj_origin *origin, struct rj_identity *identity,
                   uint64_t ticket)
{
    if (turn == NULL)
        return;
    struct rj_coord *coord = identity->group->coord;
    turn->kind = RJ_WRITE_TURN;
    turn->origin = *origin;
    turn->ticket = ticket;
    rj_write_set_group(turn, identity->group);
    rj_write_set_identity(turn, identity);
    enqueue(coord, turn);
}

void rj_writes_overwritten(struct rj_coord *coord, uint64_t ticket)
{
    for (struct rj_write *write = coord->first_write; write != NULL; write = write->newer)
        if (write->ticket == ticket)
            write->is_overwritten = true;
}

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

int16_t rj_append_error(int16_t api_key, int16_t error)
{
    switch (error) {
    case RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case RJ_KAFKA_NOT_ENOUGH_REPLICAS:
    case RJ_KAFKA_REQUEST_TIMED_OUT:
        return RJ_DOES(OF_UNAVAILABLE, api_key == 9) ? RJ_KAFKA_NOT_COORDINATOR : RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
    case RJ_KAFKA_NOT_LEADER_OR_FOLLOWER:
    case RJ_KAFKA_KAFKA_STORAGE_ERROR:
        return RJ_KAFKA_NOT_COORDINATOR;
    case RJ_KAFKA_MESSAGE_TOO_LARGE:
    case RJ_KAFKA_RECORD_LIST_TOO_LARGE:
    case RJ_KAFKA_INVALID_FETCH_SIZE:
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    case RJ_KAFKA_NETWORK_EXCEPTION:
        return api_key == 11 || api_key == 14 ? error : RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    default:
        return error;
    }
}

static void fail_body(struct rj_write *write, int16_t error)
{
    switch (write->origin.api_key) {
    case 8: rj_fail_offset_commit(write->body, error); break;
    case 9: rj_fail_offset_fetch(write->body, write->origin.version, error); break;
    case 12: rj_fail_heartbeat(write->body, error); break;
    case 13: rj_fail_leave_group(write->body, error); break;
    case 28:
        if (write->origin.version < 2 && error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS)
            error = RJ_KAFKA_COORDINATOR_NOT_AVAILABLE; /* toc-old-loading */
        rj_fail_txn_offset_commit(write->body, error);
        break;
    case 42: rj_fail_delete_groups(write->body, error); break;
    case 47: rj_fail_offset_delete(write->body, error); break;
    default: break;
    }
}

/* The parked JoinGroup that the write belongs to, while nothing has taken its place. */
static struct rj_member *waiting_joiner(const struct rj_write *write)
{
    struct rj_member *member = write->identity ? write->identity->member : NULL;
    return member != NULL && member->join.waiting && member->join.ticket == write->ticket ? member : NULL;
}

static void refuse_early(struct rj_coord *coord, struct rj_write *write, int16_t error)
{
    if (write->origin.api_key == 14)
        rj_refuse_sync(coord, &write->origin, (struct rj_verdict){RJ_RULE_APPEND_ERROR, error});
    else if (write->origin.api_key == 11)
        rj_refuse_join(coord, &write->origin, RJ_EMPTY_STRING,
                       (struct rj_verdict){RJ_RULE_JOIN_APPEND_ERROR, RJ_DOES(JOIN_APPEND_ERROR, true) ? error : 0});
}

/* Kafka completes the answer but does not touch the member, which goes on counting as parked. */
static void answer_early(struct rj_coord *coord, struct rj_write *write, int16_t error)
{
    struct rj_member *member = write->identity ? write->identity->member : NULL;
    if (write->is_overwritten) {
        refuse_early(coord, write, error);
        return;
    }
    if (member == NULL)
        return;
    struct rj_parked *parked = write->origin.api_key == 14 ? &member->sync : &member->join;
    if (parked->waiting && parked->ticket == write->ticket && rj_parked_take(parked))
        refuse_early(coord, write, error);
}

static void finish_assignment(struct rj_write *write, int16_t error)
{
    struct rj_group *group = write->group;
    if (!group->exists
        || RJ_DOES(SYNC_LEADER_RACE,
                   group->state != RJ_GROUP_COMPLETING || group->generation_id != write->generation_id))
        return;
    if (RJ_DOES(SYNC_LEADER_WRITE_FAIL, error != 0)) {
        rj_reset_assignments(group, error, RJ_RULE_SYNC_LEADER_WRITE_FAIL);
        rj_rebalance_or_complete(group, (struct rj_cause){RJ_RULE_SYNC_LEADER_WRITE_FAIL, RJ_NULL_STRING});
        return;
    }
    RJ_MAP_EACH (node, &group->members) {
        struct rj_assigned *assigned = rj_assigned_find(write, node->key);
        rj_member_set_assignment(group, rj_member_of(node), assigned ? assigned->bytes : RJ_EMPTY_BYTES);
        if (assigned != NULL)
            assigned->bytes = RJ_EMPTY_BYTES;
    }
    rj_propagate_assignments(group, 0, RJ_RULE_NONE);
    rj_group_enter(group, RJ_GROUP_STABLE,
                   (struct rj_cause){RJ_RULE_SYNC_COMPLETING_LEADER, write->identity->node.key});
}

/* The replacement that took the place of this one in the meantime; NULL: none whose write is on its way. */
static const struct rj_write *next_replacement(const struct rj_write *write)
{
    const struct rj_write *next = write->newer;
    while (next != NULL && (next->kind != RJ_WRITE_STATIC || next->replaced != write->identity))
        next = next->newer;
    return next;
}

/* Of a member that was replaced again Kafka takes back the protocols, which are counted, before it finds out that the
 * member is not in the group any more. */
static void miscount_protocols(const struct rj_write *write)
{
    const struct rj_write *next = next_replacement(write);
    if (next != NULL && next->old_protocols != NULL)
        rj_group_miscount(write->group, next->old_protocols, write->old_protocols);
}

static void undo_replacement(struct rj_write *write)
{
    struct rj_group *group = write->group;
    struct rj_member *member = write->identity->member;
    if (!group->exists)
        return;
    if (member == NULL) {
        miscount_protocols(write);
        return;
    }
    member->rebalance_timeout_ms = write->old_rebalance_timeout_ms;
    member->identity->session_timeout_ms = write->old_session_timeout_ms;
    rj_member_set_protocols(group, member, write->old_protocols);
    write->old_protocols = NULL;
    if (member->join.waiting) { /* of a later JoinGroup: forgotten, unless the writes before it fail too */
        if (!member->join.answered)
            rj_writes_overwritten(group->coord, member->join.ticket);
        rj_parked_forget(&member->join);
        group->awaiting_join_count--;
    }
    rj_answer_sync(group, member, RJ_KAFKA_FENCED_INSTANCE_ID, RJ_RULE_STATIC_REPLACE_OLD_SYNC);
    rj_member_rename(group, member, write->replaced);
    rj_restart_session(group, member->identity, member->identity->session_timeout_ms);
}

/* Unlike other refusals it names the group's generation, protocol and leader. */
static void refuse_replacement(struct rj_coord *coord, const struct rj_write *write, int16_t error)
{
    const struct rj_group *group = write->group;
    struct rj_join_group_response *response = rj_join_response(coord, write->origin.version);
    response->error_code = error;
    response->generation_id = group->generation_id;
    response->protocol_type = group->protocol_type;
    response->protocol_name = group->protocol_name.data ? group->protocol_name : response->protocol_name;
    response->leader = write->old_leader.data ? write->old_leader : RJ_EMPTY_STRING;
    rj_reply(coord, &write->origin, response, RJ_RULE_STATIC_STABLE_PERSIST_FAIL);
}

static void finish_replacement(struct rj_coord *coord, struct rj_write *write, int16_t error)
{
    struct rj_group *group = write->group;
    struct rj_member *member = waiting_joiner(write);
    if (error == 0) {
        if (member == NULL)
            return;
        bool informs = write->origin.version >= 9, leads = group->leader == member->identity;
        /* A rebalance has begun in the meantime: Kafka has no member list to give and leaves the request parked. */
        if (informs && leads && group->state == RJ_GROUP_PREPARING)
            return;
        rj_answer_join(group, member, informs ? group->leader->node.key : write->old_leader, informs && leads,
                       informs && leads);
        return;
    }
    bool owed = write->is_overwritten;
    write->is_overwritten = false;
    if (member != NULL) {
        owed = rj_parked_take(&member->join);
        rj_parked_forget(&member->join);
        group->awaiting_join_count--;
    }
    if (owed)
        refuse_replacement(coord, write, error);
    if (RJ_DOES(STATIC_STABLE_PERSIST_FAIL, true))
        undo_replacement(write);
}

/* What the failure of the write means, once: at its result or when it has taken too long. */
static void fail(struct rj_coord *coord, struct rj_write *write, int16_t error)
{
    switch (write->kind) {
    case RJ_WRITE_REPLY:
        if (write->origin.api_key >= 0 && !write->answered) {
            if (RJ_DOES(APPEND_ERROR, true))
                fail_body(write, rj_append_error(write->origin.api_key, error));
            write->rule = RJ_RULE_APPEND_ERROR;
        }
        answer(coord, write);
        break;
    case RJ_WRITE_NEW_GROUP:
    case RJ_WRITE_TURN: answer_early(coord, write, rj_append_error(write->origin.api_key, error)); break;
    case RJ_WRITE_ASSIGNMENT:
        finish_assignment(write, rj_append_error(14, error));
        answer_early(coord, write, rj_append_error(14, error));
        break;
    case RJ_WRITE_STATIC:
        finish_replacement(coord, write, rj_append_error(11, error));
        answer_early(coord, write, rj_append_error(11, error));
        break;
    case RJ_WRITE_EXPIRED:
        rj_timer_start(&coord->timers, &coord->expiry_timer,
                       coord->now_ms, coord->config.offsets_retention_check_interval_ms);
        break;
    case RJ_WRITE_EMPTY:
    case RJ_WRITE_QUIET: break;
    }
    write->answered = true;
}

static void succeed(struct rj_coord *coord, struct rj_write *write)
{
    if (write->append_id > coord->committed_append_id)
        coord->committed_append_id = write->append_id;
    if (write->group != NULL)
        rj_group_written(write->group, write->append_id);
    rj_offsets_committed(write);
    if (write->answered)
        return;
    if (write->kind == RJ_WRITE_ASSIGNMENT)
        finish_assignment(write, 0);
    else if (write->kind == RJ_WRITE_STATIC)
        finish_replacement(coord, write, 0);
    else if (write->kind == RJ_WRITE_REPLY)
        answer(coord, write);
}

/* In a group that is rolled back. */
static void answer_waiting(struct rj_group *group, int16_t error)
{
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        rj_answer_join_error(group, member, RJ_EMPTY_STRING, rj_append_error(11, error), RJ_RULE_JOIN_APPEND_ERROR);
        if (member->sync.waiting) /* for a leader's record, which can no longer be kept either */
            rj_answer_sync(group, member, rj_append_error(14, error), RJ_RULE_SYNC_LEADER_WRITE_FAIL);
    }
}

static void undo(struct rj_write *write, int16_t error)
{
    rj_offsets_rolled_back(write);
    struct rj_group *group = write->group;
    if (group == NULL)
        return;
    if (rj_group_is_made_by(group, write->append_id))
        answer_waiting(group, error);
    rj_group_not_made(group, write->append_id);
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static bool reserve(struct rj_coord *coord, struct rj_write *write)
{
    /* The record of a commit may have made the group, and takes it back when it fails. */
    if (write->group != NULL && (write->kind != RJ_WRITE_REPLY || write->group->created_by == write->append_id))
        return rj_cascade_reserve(write->group, NULL, false);
    struct rj_output_need need = rj_refusal_need();
    need.bytes += 1024;
    return rj_output_reserve(coord->output, need);
}

/* Answers that only waited for the write in front of them. Their reply needs room only in the list. */
static bool reserve_waiters(struct rj_coord *coord, const struct rj_write *write)
{
    struct rj_output_need need = {.replies = 1};
    for (; write != NULL && write->append_id == 0; write = write->newer)
        need.replies++;
    return rj_output_reserve(coord->output, need);
}

static void finish_waiters(struct rj_coord *coord)
{
    while (coord->first_write != NULL && coord->first_write->append_id == 0) {
        struct rj_write *write = coord->first_write;
        unlink_write(coord, write);
        if (write->kind == RJ_WRITE_REPLY)
            answer(coord, write);
        retire(coord, write);
    }
}

bool rj_write_result(struct rj_coord *coord, uint64_t append_id, int16_t error)
{
    struct rj_write *write = coord->first_write;
    while (write != NULL && (write->append_id != append_id || append_id == 0))
        write = write->newer;
    if (write == NULL)
        return true;
    if (!reserve(coord, write) || !reserve_waiters(coord, write->newer))
        return false;
    rj_timer_cancel(&coord->timers, &write->timer);
    unlink_write(coord, write);
    if (error == 0) {
        succeed(coord, write);
    } else {
        if (!write->answered)
            fail(coord, write, error);
        undo(write, error);
    }
    retire(coord, write);
    finish_waiters(coord);
    return true;
}

bool rj_write_expire(struct rj_coord *coord, struct rj_write *write)
{
    if (write->answered)
        return true;
    if (!reserve(coord, write))
        return false;
    fail(coord, write, RJ_KAFKA_REQUEST_TIMED_OUT);
    if (write->append_id == 0) {
        unlink_write(coord, write);
        retire(coord, write);
    }
    return true;
}

void rj_writes_disconnect(struct rj_coord *coord, uint64_t connection_id)
{
    for (struct rj_write *write = coord->first_write; write != NULL; write = write->newer)
        if (write->origin.connection_id == connection_id)
            write->origin.api_key = -1;
}

bool rj_writes_reserve_unload(struct rj_coord *coord, struct rj_output_need *need)
{
    (void)coord;
    for (const struct rj_write *write = coord->first_write; write != NULL; write = write->newer) {
        need->replies++;
        need->bytes += 512;
    }
    return true;
}

void rj_writes_unload(struct rj_coord *coord, int16_t error)
{
    while (coord->first_write != NULL) {
        struct rj_write *write = coord->first_write;
        unlink_write(coord, write);
        if (write->kind == RJ_WRITE_REPLY && write->origin.api_key >= 0 && !write->answered) {
            if (RJ_DOES(UNLOAD_WRITE, true))
                fail_body(write, error);
            write->rule = RJ_RULE_UNLOAD_WRITE;
            answer(coord, write);
        } else if (write->kind != RJ_WRITE_REPLY && !write->answered) {
            if (write->kind == RJ_WRITE_STATIC)
                finish_replacement(coord, write, error);
            else if (write->kind == RJ_WRITE_ASSIGNMENT)
                finish_assignment(write, error);
            answer_early(coord, write, error);
        }
        retire(coord, write);
    }
}

void rj_writes_release(struct rj_coord *coord)
{
    while (coord->first_write != NULL) {
        struct rj_write *write = coord->first_write;
        unlink_write(coord, write);
        retire(coord, write);
    }
    rj_write_discard(coord, coord->spare_write);
    coord->spare_write = NULL;
}
