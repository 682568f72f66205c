/* SyncGroup (API key 14).
 *
 * 1  ThrottleTimeMs; 2 answered before throttling (KIP-219)
 * 3  GroupInstanceId (KIP-345)
 * 4  flexible
 * 5  ProtocolType and ProtocolName in both directions (KIP-559) */
#include "coord/api.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/reply.h"
#include "coord/writes.h"

struct facts {
    const struct rj_sync_group_request *request;
    struct rj_group *group;
    struct rj_member *member;
};

static struct facts look_up(const struct rj_call *call)
{
    struct facts facts = {.request = call->body};
    facts.group = rj_group_find(call->coord, facts.request->group_id);
    facts.member = facts.group ? rj_member_find(facts.group, facts.request->member_id) : NULL;
    return facts;
}

static bool differs(struct rj_string asked, struct rj_string actual)
{
    return asked.data != NULL && actual.data != NULL && !rj_string_equal(asked, actual);
}

static struct rj_verdict judge_broker(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_sync_group_request *request = facts->request;
    const struct rj_coord *coord = call->coord;
    RJ_REQUIRE(call->origin.version < 5
                   || (request->protocol_type.data != NULL && request->protocol_name.data != NULL),
               SYNC_V5_MISSING_PROTOCOL, INCONSISTENT_GROUP_PROTOCOL);
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, request->group_id, RJ_OPERATION_READ), SYNC_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(coord->config.is_active, SYNC_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(request->group_id), SYNC_GROUP_ID_EMPTY, INVALID_GROUP_ID);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, SYNC_WRONG_BROKER, NOT_COORDINATOR);
    if (!RJ_HOLDS(SYNC_LOADING, coord->status != RJ_COORD_LOADING))
        return (struct rj_verdict){RJ_RULE_SYNC_LOADING, coord->config.behaviour.sync_while_loading_error};
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_member(const struct facts *facts)
{
    const struct rj_sync_group_request *request = facts->request;
    const struct rj_group *group = facts->group;
    RJ_REQUIRE(group != NULL && group->state != RJ_GROUP_EMPTY, SYNC_UNKNOWN_GROUP, UNKNOWN_MEMBER_ID);
    RJ_REQUIRE(group->state != RJ_GROUP_DEAD, SYNC_DEAD, COORDINATOR_NOT_AVAILABLE);
    struct rj_verdict verdict =
        rj_judge_member(group, facts->member, request->member_id, request->group_instance_id,
                        (struct rj_rule_set){RJ_RULE_SYNC_INSTANCE_UNKNOWN, RJ_RULE_SYNC_INSTANCE_FENCED,
                                             RJ_RULE_SYNC_UNKNOWN_MEMBER});
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    RJ_REQUIRE(request->generation_id == group->generation_id, SYNC_GENERATION, ILLEGAL_GENERATION);
    RJ_REQUIRE(!differs(request->protocol_type, group->protocol_type)
                   && !differs(request->protocol_name, group->protocol_name),
               SYNC_PROTOCOL_MISMATCH, INCONSISTENT_GROUP_PROTOCOL);
    return RJ_ACCEPTED;
}

/* ---- The leader's assignment ------------------------------------------------------------------------------------- */

static int compare(const struct rj_assigned *a, const struct rj_assigned *b)
{
    struct rj_string x = a->member_id, y = b->member_id;
    int order = memcmp(x.data, y.data, (size_t)(x.len < y.len ? x.len : y.len));
    return order ? order : x.len - y.len;
}

/* Stable: of two entries for one member the later stays behind the earlier. */
static void sort(struct rj_assigned *items, struct rj_assigned *spare, int32_t count)
{
    for (int32_t width = 1; width < count; width *= 2) {
        for (int32_t start = 0; start < count; start += 2 * width) {
            int32_t middle = start + width < count ? start + width : count;
            int32_t end = start + 2 * width < count ? start + 2 * width : count, a = start, b = middle;
            for (int32_t i = start; i < end; i++)
                spare[i] = a < middle && (b >= end || compare(&items[a], &items[b]) <= 0) ? items[a++] : items[b++];
        }
        memcpy(items, spare, (size_t)count * sizeof(*items));
    }
}

/* Of several entries for one member the last wins. */
static int32_t keep_last(struct rj_assigned *items, int32_t count)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++)
        if (i + 1 == count || compare(&items[i], &items[i + 1]) != 0)
            items[kept++] = items[i];
    return kept;
}

static struct rj_write *prepare_assignment(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_sync_group_request_assignment_array *asked = &facts->request->assignments;
    struct rj_memory *memory = &call->coord->memory;
    size_t room = 2 * (size_t)asked->count * sizeof(struct rj_assigned) + 64;
    for (int32_t i = 0; i < asked->count; i++)
        if ((size_t)asked->items[i].assignment.len > call->coord->limits.member_bytes)
            return NULL;
    struct rj_write *write = rj_write_prepare(call->coord, room, 0, 0);
    if (write == NULL)
        return NULL;
    write->assigned = rj_write_take(write, (size_t)asked->count * sizeof(struct rj_assigned));
    struct rj_assigned *spare = rj_write_take(write, (size_t)asked->count * sizeof(struct rj_assigned));
    int32_t count = 0;
    for (int32_t i = 0; i < asked->count; i++) /* ids that are not members have no effect */
        if (rj_member_find(facts->group, asked->items[i].member_id) != NULL)
            write->assigned[count++] =
                (struct rj_assigned){asked->items[i].member_id, asked->items[i].assignment};
    sort(write->assigned, spare, count);
    count = keep_last(write->assigned, count);
    for (int32_t i = 0; i < count; i++) {
        struct rj_assigned *assigned = &write->assigned[i];
        struct rj_bytes copy = RJ_EMPTY_BYTES;
        if (RJ_WITHOUT(SYNC_BYTES_OPAQUE, assigned->bytes.len > 0))
            assigned->bytes.len--;
        if (assigned->bytes.len > 0 && !rj_memory_copy_bytes(memory, assigned->bytes, &copy)) {
            rj_write_discard(call->coord, write);
            return NULL;
        }
        assigned->bytes = copy;
        /* The member's own id: should the member leave before the result, nothing looks at the assignment any more. */
        assigned->member_id = rj_member_find(facts->group, assigned->member_id)->node.key;
        write->assigned_count = i + 1;
    }
    return write;
}

static void clear_pending_sync(struct rj_group *group, struct rj_member *member)
{
    bool is_last = group->pending_sync_count == 1 && member->identity->is_pending_sync;
    if (RJ_WITHOUT(SYNC_PENDING_CLEAR, is_last))
        return;
    rj_group_set_pending_sync(group, member->identity, false);
    if (group->pending_sync_count == 0)
        rj_timer_cancel(&group->coord->timers, &group->sync_timer);
}

/* A leader whose list could not be made (rj_all_offer_chosen) syncs: Kafka parks the request, fails to make the group's
 * record for the same reason and answers, but the member goes on counting as parked. */
static void fail_to_store(const struct rj_call *call, const struct facts *facts)
{
    rj_park(call->coord, &facts->member->sync, &call->origin);
    clear_pending_sync(facts->group, facts->member);
    if (rj_parked_take(&facts->member->sync))
        rj_refuse_sync(call->coord, &call->origin,
                       (struct rj_verdict){RJ_RULE_JOIN_DUPLICATE_PROTOCOLS, RJ_KAFKA_UNKNOWN_SERVER_ERROR});
}

static bool store(const struct rj_call *call, const struct facts *facts)
{
    struct rj_coord *coord = call->coord;
    struct rj_output_need need = {.replies = 1, .appends = 1, .bytes = rj_group_record_len(facts->group) + 256};
    struct rj_write *write = prepare_assignment(call, facts);
    if (write == NULL)
        return false;
    if (!rj_output_reserve(coord->output, need)) {
        rj_write_discard(coord, write);
        return false;
    }
    rj_park(coord, &facts->member->sync, &call->origin);
    clear_pending_sync(facts->group, facts->member);
    rj_write_set_group(write, facts->group);
    rj_write_set_identity(write, facts->member->identity);
    write->generation_id = facts->group->generation_id;
    write->origin = call->origin;
    write->ticket = facts->member->sync.ticket;
    struct rj_offsets_record *record = rj_output_take(coord->output, sizeof(*record));
    *record = rj_group_record(facts->group, write);
    coord->next_position++;
    rj_write_start(coord, write, RJ_WRITE_ASSIGNMENT, record, 1);
    return true;
}

static void answer_stored(const struct rj_call *call, const struct facts *facts)
{
    struct rj_sync_group_response *response = rj_sync_response(call->coord);
    if (RJ_DOES(SYNC_SUCCESS_SHAPE, true)) {
        response->protocol_type = facts->group->protocol_type;
        response->protocol_name = facts->group->protocol_name;
    }
    response->assignment = facts->member->assignment;
    rj_reply(call->coord, &call->origin, response, RJ_RULE_NONE);
    if (call->coord->config.behaviour.stable_sync_restarts_session)
        rj_restart_session(facts->group, facts->member->identity, facts->member->identity->session_timeout_ms);
}

bool rj_sync_group(const struct rj_call *call)
{
    struct facts facts = look_up(call);
    if (!rj_output_reserve(call->coord->output, rj_refusal_need()))
        return false;
    struct rj_verdict verdict = judge_broker(call, &facts);
    if (verdict.rule == RJ_RULE_NONE)
        verdict = judge_member(&facts);
    if (verdict.rule != RJ_RULE_NONE) {
        rj_refuse_sync(call->coord, &call->origin, verdict);
        return true;
    }
    bool leads = facts.group->leader == facts.member->identity;
    const struct rj_cell *cell =
        rj_admission_cell(leads ? RJ_REQUEST_SYNC_LEADER : RJ_REQUEST_SYNC_FOLLOWER, facts.group->state);
    if (cell->admission != RJ_ADMIT_REFUSE && !RJ_DOES_BY(cell->rule, true)) {
        rj_refuse_sync(call->coord, &call->origin, (struct rj_verdict){cell->rule, RJ_KAFKA_REBALANCE_IN_PROGRESS});
        return true;
    }
    if (cell->admission == RJ_ADMIT_STORE
        && RJ_DOES(JOIN_DUPLICATE_PROTOCOLS, !rj_all_offer_chosen(facts.group))) {
        fail_to_store(call, &facts);
        return true;
    }
    if (cell->admission == RJ_ADMIT_STORE)
        return store(call, &facts);
    if (cell->admission == RJ_ADMIT_REFUSE) {
        rj_refuse_sync(call->coord, &call->origin, (struct rj_verdict){cell->rule, cell->error});
        return true;
    }
    bool ok = true;
    struct rj_write *turn = cell->admission == RJ_ADMIT_WAIT ? rj_turn_prepare(call->coord, &ok) : NULL;
    if (!ok)
        return false;
    clear_pending_sync(facts.group, facts.member);
    if (cell->admission == RJ_ADMIT_WAIT) {
        rj_park(call->coord, &facts.member->sync, &call->origin);
        rj_turn_start(turn, &call->origin, facts.member->identity, facts.member->sync.ticket);
    } else {
        answer_stored(call, &facts);
    }
    return true;
}
