/* JoinGroup (API key 11).
 *
 * 0  the session timeout is the rebalance timeout too
 * 1  RebalanceTimeoutMs (KIP-62)
 * 2  ThrottleTimeMs in the answer; 3 answered before throttling (KIP-219)
 * 4  an empty member id is answered with MEMBER_ID_REQUIRED and an id (KIP-394)
 * 5  GroupInstanceId (KIP-345)
 * 6  flexible
 * 7  ProtocolType in the answer, ProtocolName may be null (KIP-559)
 * 8  Reason (KIP-800)
 * 9  SkipAssignment in the answer (KIP-814) */
#include "coord/api.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/reply.h"
#include "coord/writes.h"

enum { UUID_TEXT_LEN = 36 };

struct facts {
    const struct rj_join_group_request *request;
    struct rj_string member_id;
    bool is_unknown; /* the member id is empty */
    int32_t rebalance_timeout_ms;
    struct rj_group *group; /* NULL: does not exist */
    struct rj_identity *identity;
    struct rj_member *member; /* by member id */
    struct rj_member *holder; /* by instance id */
};

static struct facts look_up(const struct rj_call *call)
{
    const struct rj_join_group_request *request = call->body;
    struct facts facts = {.request = request, .member_id = request->member_id,
                          .is_unknown = rj_string_is_empty(request->member_id),
                          .rebalance_timeout_ms = call->origin.version == 0 ? request->session_timeout_ms
                                                                            : request->rebalance_timeout_ms};
    facts.group = rj_group_find(call->coord, request->group_id);
    if (facts.group == NULL)
        return facts;
    facts.identity = rj_identity_find(facts.group, facts.member_id);
    facts.member = facts.identity ? facts.identity->member : NULL;
    if (request->group_instance_id.data != NULL)
        facts.holder = rj_member_by_instance(facts.group, request->group_instance_id);
    return facts;
}

/* ---- Judging ----------------------------------------------------------------------------------------------------- */

static struct rj_verdict judge_request(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_join_group_request *request = facts->request;
    const struct rj_config *config = &call->coord->config;
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, request->group_id, RJ_OPERATION_READ), JOIN_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    RJ_REQUIRE(config->is_active, JOIN_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(request->group_id), JOIN_GROUP_ID_EMPTY, INVALID_GROUP_ID);
    RJ_REQUIRE(config->group_min_session_timeout_ms <= request->session_timeout_ms
                   && request->session_timeout_ms <= config->group_max_session_timeout_ms,
               JOIN_SESSION_RANGE, INVALID_SESSION_TIMEOUT);
    RJ_REQUIRE(call->coord->status != RJ_COORD_UNLOADED, JOIN_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(call->coord->status != RJ_COORD_LOADING, JOIN_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    if (RJ_WITHOUT(JOIN_REBALANCE_TIMEOUT_FREE, facts->rebalance_timeout_ms <= 0))
        return (struct rj_verdict){RJ_RULE_JOIN_REBALANCE_TIMEOUT_FREE, RJ_KAFKA_INVALID_SESSION_TIMEOUT};
    RJ_REQUIRE(facts->group != NULL || facts->is_unknown, JOIN_NOGROUP_KNOWN_ID, UNKNOWN_MEMBER_ID);
    return RJ_ACCEPTED;
}

/* Whether the group's size allows it; counted by parked joins while they are collected, so that a group that has
 * become too large sheds its last joiners. */
static bool fits(const struct rj_call *call, const struct facts *facts)
{
    int32_t most = call->coord->config.group_max_size;
    if (RJ_WITHOUT(JOIN_MAX_SIZE_PENDING, facts->is_unknown && facts->group->pending_count > 0))
        most -= facts->group->pending_count;
    if (facts->group->state == RJ_GROUP_PREPARING)
        return (facts->member != NULL && facts->member->join.waiting) || facts->group->awaiting_join_count < most;
    if (facts->group->state == RJ_GROUP_COMPLETING || facts->group->state == RJ_GROUP_STABLE)
        return facts->member != NULL || (int64_t)facts->group->members.count < most;
    return true;
}

static struct rj_verdict judge_new(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_join_group_request *request = facts->request;
    RJ_REQUIRE(facts->group->state != RJ_GROUP_DEAD, JOIN_NEW_DEAD, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(fits(call, facts), JOIN_MAX_SIZE, GROUP_MAX_SIZE_REACHED);
    RJ_REQUIRE(rj_group_supports(facts->group, request->protocol_type, &request->protocols), JOIN_NEW_INCONSISTENT,
               INCONSISTENT_GROUP_PROTOCOL);
    bool mixes = facts->group->members.count > 0
                 && (request->group_instance_id.data != NULL) != (facts->group->instances.count > 0);
    if (RJ_WITHOUT(STATIC_AND_DYNAMIC_MIX, mixes))
        return (struct rj_verdict){RJ_RULE_STATIC_AND_DYNAMIC_MIX, RJ_KAFKA_INCONSISTENT_GROUP_PROTOCOL};
    RJ_REQUIRE(facts->holder == NULL || facts->group->state != RJ_GROUP_EMPTY, STATIC_EMPTY_DEAD,
               UNKNOWN_SERVER_ERROR);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_known(const struct rj_call *call, const struct facts *facts)
{
    const struct rj_join_group_request *request = facts->request;
    bool is_promised = RJ_DOES(JOIN_PENDING_ACCEPT, facts->identity != NULL && facts->identity->is_pending);
    if (RJ_WITHOUT(LOAD_PENDING_LOST, facts->identity == NULL && facts->group->identities.count == 0))
        return (struct rj_verdict){RJ_RULE_LOAD_PENDING_LOST, RJ_KAFKA_MEMBER_ID_REQUIRED};
    RJ_REQUIRE(facts->group->state != RJ_GROUP_DEAD, JOIN_KNOWN_DEAD, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(fits(call, facts), JOIN_MAX_SIZE, GROUP_MAX_SIZE_REACHED);
    RJ_REQUIRE(rj_group_supports(facts->group, request->protocol_type, &request->protocols), JOIN_KNOWN_INCONSISTENT,
               INCONSISTENT_GROUP_PROTOCOL);
    RJ_REQUIRE(!is_promised || request->group_instance_id.data == NULL, JOIN_PENDING_WITH_INSTANCE,
               UNKNOWN_SERVER_ERROR);
    if (is_promised)
        return RJ_ACCEPTED;
    return rj_judge_member(facts->group, facts->member, facts->member_id, request->group_instance_id,
                           (struct rj_rule_set){RJ_RULE_JOIN_UNKNOWN_INSTANCE, RJ_RULE_JOIN_FENCED_INSTANCE,
                                                RJ_RULE_JOIN_UNKNOWN_MEMBER});
}

/* Which refusals echo the member id. */
static struct rj_string echo(const struct facts *facts, enum rj_rule rule)
{
    bool no_echo = rule == RJ_RULE_JOIN_AUTH || rule == RJ_RULE_JOIN_WRONG_BROKER || rule == RJ_RULE_JOIN_LOADING
                   || rule == RJ_RULE_JOIN_MAX_SIZE || rule == RJ_RULE_JOIN_PENDING_WITH_INSTANCE
                   || rule == RJ_RULE_STATIC_EMPTY_DEAD;
    return no_echo ? RJ_EMPTY_STRING : facts->member_id;
}

/* ---- Applying ---------------------------------------------------------------------------------------------------- */

static void park(const struct rj_call *call, struct rj_group *group, struct rj_member *member)
{
    if (!member->join.waiting)
        group->awaiting_join_count++;
    rj_park(call->coord, &member->join, &call->origin);
}

/* Kafka's operation throws: the request is answered, the member still counts as parked. */
static void after(const struct rj_call *call, struct rj_member *member, enum rj_outcome outcome,
                  struct rj_write *turn)
{
    if (outcome != RJ_OUTCOME_VOTE_FAILED && member->join.waiting && !member->join.answered)
        rj_turn_start(turn, &call->origin, member->identity, member->join.ticket);
    else
        rj_write_discard(call->coord, turn);
    if (outcome == RJ_OUTCOME_VOTE_FAILED && rj_parked_take(&member->join))
        rj_refuse_join(call->coord, &call->origin, RJ_EMPTY_STRING,
                       (struct rj_verdict){RJ_RULE_JOIN_DUPLICATE_PROTOCOLS, RJ_KAFKA_UNKNOWN_SERVER_ERROR});
}

static struct rj_string new_id(const struct rj_call *call, const struct facts *facts, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const struct rj_pins *pins = call->coord->pins;
    call->coord->entropy_used = true;
    if (pins != NULL && pins->member_id.data != NULL)
        return pins->member_id;
    struct rj_string prefix =
        facts->request->group_instance_id.data ? facts->request->group_instance_id : call->client_id;
    if (prefix.len > 0)
        memcpy(text, prefix.data, (size_t)prefix.len);
    char *at = text + prefix.len;
    for (int i = 0; i < 16; i++) {
        uint8_t byte = call->entropy->bytes[i];
        byte = i == 6 ? (uint8_t)((byte & 0x0f) | 0x40) : i == 8 ? (uint8_t)((byte & 0x3f) | 0x80) : byte;
        if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    return (struct rj_string){text, prefix.len + 1 + UUID_TEXT_LEN};
}

static void promise(const struct rj_call *call, struct rj_identity *identity, int32_t session_timeout_ms)
{
    struct rj_coord *coord = call->coord;
    rj_group_set_pending(identity->group, identity, true);
    if (RJ_DOES(TMR_PENDING_MEMBER, true))
        rj_timer_start(&coord->timers, &identity->timer, coord->now_ms, session_timeout_ms);
    if (RJ_WITHOUT(JOIN_PENDING_REQUIRES_NONSTABLE_OK, identity->group->state == RJ_GROUP_STABLE))
        identity->group->generation_id++;
    struct rj_join_group_response *response = rj_join_response(coord, call->origin.version);
    response->error_code = RJ_KAFKA_MEMBER_ID_REQUIRED;
    response->member_id = identity->node.key;
    rj_reply(coord, &call->origin, response, RJ_RULE_JOIN_NEW_DYNAMIC_V4);
}

static bool add(const struct rj_call *call, const struct facts *facts, struct rj_identity *identity,
                enum rj_rule rule)
{
    struct rj_group *group = facts->group;
    struct rj_coord *coord = call->coord;
    const struct rj_join_group_request *request = facts->request;
    struct rj_member_source source = {request->group_instance_id, call->client_id, call->client_host,
                                      facts->rebalance_timeout_ms, request->session_timeout_ms};
    struct rj_protocols *protocols = rj_protocols_prepare(group, &request->protocols, call->subscriptions);
    if (protocols == NULL)
        return false;
    struct rj_string type = RJ_NULL_STRING;
    struct rj_member *member = NULL;
    bool ok = true;
    struct rj_write *turn = rj_turn_prepare(coord, &ok);
    if (!ok || !rj_cascade_reserve(group, protocols, true)
        || (group->members.count == 0 && !rj_memory_copy_string(&coord->memory, request->protocol_type, &type))
        || (member = rj_member_prepare(identity, &source, protocols)) == NULL) {
        rj_protocols_release(group, protocols);
        rj_memory_retire(&coord->memory, type.data);
        rj_write_discard(coord, turn);
        return false;
    }
    member->is_new = true;
    if (group->state == RJ_GROUP_PREPARING && group->previous_state == RJ_GROUP_EMPTY)
        group->new_member_added = true;
    if (type.data != NULL) {
        rj_memory_retire(&coord->memory, group->protocol_type.data);
        group->protocol_type = type;
    }
    rj_member_add(group, member);
    park(call, group, member);
    bool has_five_minutes = RJ_DOES(TMR_NEW_MEMBER, true)
                            && (call->origin.version >= 4 || RJ_DOES(TMR_NEW_OLD_PROTO, true));
    rj_restart_session(group, member->identity, has_five_minutes ? coord->config.new_member_join_timeout_ms
                                                       : member->identity->session_timeout_ms);
    if (RJ_WITHOUT(INIT_DELAY_CAP, group->state == RJ_GROUP_PREPARING && group->previous_state == RJ_GROUP_EMPTY))
        group->initial_remaining_ms = rj_group_rebalance_timeout_ms(group);
    after(call, member, rj_rebalance_or_complete(group, (struct rj_cause){rule, identity->node.key}), turn);
    return true;
}

static void update(const struct rj_call *call, const struct facts *facts, struct rj_member *member,
                   struct rj_protocols *protocols)
{
    rj_member_set_protocols(facts->group, member, protocols);
    if (RJ_WITHOUT(TMR_REJOIN_NO_RESET, true))
        rj_restart_session(facts->group, member->identity, member->identity->session_timeout_ms);
    member->rebalance_timeout_ms = facts->rebalance_timeout_ms;
    member->identity->session_timeout_ms = facts->request->session_timeout_ms;
    park(call, facts->group, member);
}

/* Whether a member that rejoins is answered with the current generation; else it is parked, and rule says why. */
static bool is_answered_at_once(const struct facts *facts, const struct rj_cell *cell, enum rj_rule *rule)
{
    bool same = cell->admission == RJ_ADMIT_SAME
                && rj_protocols_match(facts->member->protocols, &facts->request->protocols);
    *rule = cell->rule;
    if (cell->admission == RJ_ADMIT_SAME && !same)
        *rule = facts->group->state == RJ_GROUP_STABLE ? RJ_RULE_JOIN_STABLE_FOLLOWER_CHANGED
                                                       : RJ_RULE_JOIN_COMPLETING_CHANGED;
    if (!RJ_DOES_BY(*rule, true) || RJ_WITHOUT(JOIN_REASON_IGNORED, facts->request->reason.len > 0)
        || RJ_WITHOUT(STATIC_KNOWN_ID_REJOIN, facts->member->instance.key.data != NULL))
        same = !same;
    return same;
}

static bool answer_at_once(const struct rj_call *call, const struct facts *facts)
{
    struct rj_group *group = facts->group;
    bool leads = group->leader == facts->identity;
    if (!rj_output_reserve(call->coord->output, rj_cascade_need(group, false)))
        return false;
    if (RJ_DOES(JOIN_DUPLICATE_PROTOCOLS, leads && !rj_all_offer_chosen(group))) { /* its list cannot be made */
        rj_refuse_join(call->coord, &call->origin, RJ_EMPTY_STRING,
                       (struct rj_verdict){RJ_RULE_JOIN_DUPLICATE_PROTOCOLS, RJ_KAFKA_UNKNOWN_SERVER_ERROR});
        return true;
    }
    struct rj_join_group_response *response = rj_join_response(call->coord, call->origin.version);
    response->generation_id = group->generation_id;
    response->protocol_type = group->protocol_type;
    response->protocol_name = group->protocol_name;
    response->leader = group->leader ? group->leader->node.key : RJ_EMPTY_STRING;
    response->member_id = facts->member->node.key;
    if (leads)
        response->members = rj_join_members(group);
    rj_reply(call->coord, &call->origin, response, RJ_RULE_NONE);
    return true;
}

static bool rejoin(const struct rj_call *call, const struct facts *facts)
{
    struct rj_group *group = facts->group;
    struct rj_member *member = facts->member;
    bool leads = group->leader == facts->identity;
    const struct rj_cell *cell =
        rj_admission_cell(leads ? RJ_REQUEST_JOIN_LEADER : RJ_REQUEST_JOIN_FOLLOWER, group->state);
    if (cell->admission == RJ_ADMIT_REFUSE) {
        rj_refuse_join(call->coord, &call->origin, facts->member_id, (struct rj_verdict){cell->rule, cell->error});
        return true;
    }
    enum rj_rule rule;
    if (is_answered_at_once(facts, cell, &rule))
        return answer_at_once(call, facts);
    struct rj_protocols *protocols =
        rj_protocols_prepare(group, &facts->request->protocols, call->subscriptions);
    if (protocols == NULL)
        return false;
    bool ok = true;
    struct rj_write *turn = rj_turn_prepare(call->coord, &ok);
    if (!ok || !rj_cascade_reserve(group, protocols, true)) {
        rj_protocols_release(group, protocols);
        rj_write_discard(call->coord, turn);
        return false;
    }
    update(call, facts, member, protocols);
    after(call, member, rj_rebalance_or_complete(group, (struct rj_cause){rule, member->node.key}), turn);
    return true;
}

/* ---- Static replacement ------------------------------------------------------------------------------------------ */

static void persist_replacement(const struct rj_call *call, struct rj_group *group, struct rj_write *write,
                                struct rj_member *member)
{
    write->origin = call->origin;
    write->ticket = member->join.ticket;
    struct rj_offsets_record *record = rj_output_take(call->coord->output, sizeof(*record));
    *record = rj_group_record(group, NULL);
    call->coord->next_position++;
    rj_write_start(call->coord, write, RJ_WRITE_STATIC, record, 1);
}

static void apply_replacement(const struct rj_call *call, const struct facts *facts, struct rj_identity *identity,
                              struct rj_protocols *protocols, struct rj_write *write, struct rj_write *turn)
{
    struct rj_group *group = facts->group;
    struct rj_member *member = facts->holder;
    struct rj_identity *old = member->identity;
    rj_write_set_group(write, group);
    rj_write_set_identity(write, identity);
    rj_identity_hold(old);
    write->replaced = old;
    write->old_leader = group->leader ? rj_write_string(write, group->leader->node.key) : RJ_NULL_STRING;
    if (RJ_DOES(STATIC_REPLACE_OLD_JOIN, member->join.waiting))
        rj_answer_join_error(group, member, old->node.key, RJ_KAFKA_FENCED_INSTANCE_ID,
                             RJ_RULE_STATIC_REPLACE_OLD_JOIN);
    if (RJ_DOES(STATIC_REPLACE_OLD_SYNC, member->sync.waiting))
        rj_answer_sync(group, member, RJ_KAFKA_FENCED_INSTANCE_ID, RJ_RULE_STATIC_REPLACE_OLD_SYNC);
    rj_member_rename(group, member, identity);
    member->is_new = false;
    rj_restart_session(group, member->identity, RJ_DOES(STATIC_REPLACE_TIMEOUTS, true) /* still the old timeout */
                                          ? member->identity->session_timeout_ms
                                          : facts->request->session_timeout_ms);
    write->old_rebalance_timeout_ms = member->rebalance_timeout_ms;
    write->old_session_timeout_ms = member->identity->session_timeout_ms;
    write->old_protocols = rj_member_swap_protocols(group, member, protocols);
    member->rebalance_timeout_ms = facts->rebalance_timeout_ms;
    member->identity->session_timeout_ms = facts->request->session_timeout_ms;
    park(call, group, member);
    struct rj_cause cause = {RJ_RULE_STATIC_PREPARING, identity->node.key};
    enum rj_outcome outcome = RJ_OUTCOME_NONE;
    if (group->state == RJ_GROUP_STABLE) {
        struct rj_protocol_counter *next = rj_group_vote(group);
        if (next != NULL && (RJ_DOES(STATIC_STABLE_SAME_PROTOCOL, next == group->protocol)
                             || RJ_WITHOUT(STATIC_STABLE_OTHER_PROTOCOL, next != group->protocol))) {
            persist_replacement(call, group, write, member);
            rj_write_discard(call->coord, turn);
            return;
        }
        cause.rule = RJ_RULE_STATIC_STABLE_OTHER_PROTOCOL;
        outcome = next == NULL ? RJ_OUTCOME_VOTE_FAILED : rj_rebalance_or_complete(group, cause);
    } else if (group->state == RJ_GROUP_COMPLETING) {
        cause.rule = RJ_RULE_STATIC_COMPLETING;
        if (RJ_DOES(STATIC_COMPLETING, true))
            outcome = rj_prepare_rebalance(group, cause);
    } else if (RJ_DOES(STATIC_PREPARING, true)) {
        outcome = rj_maybe_complete_join(group, cause);
    }
    after(call, member, outcome, turn);
    rj_write_discard(call->coord, write);
}

static bool replace(const struct rj_call *call, const struct facts *facts, struct rj_identity *identity)
{
    struct rj_group *group = facts->group;
    size_t leader_len = group->leader ? (size_t)group->leader->node.key.len : 0;
    struct rj_protocols *protocols =
        rj_protocols_prepare(group, &facts->request->protocols, call->subscriptions);
    struct rj_write *write = rj_write_prepare(call->coord, leader_len + 64, 0, 0);
    bool ok = true;
    struct rj_write *turn = rj_turn_prepare(call->coord, &ok);
    if (!ok || protocols == NULL || write == NULL || !rj_cascade_reserve(group, protocols, true)
        || !rj_map_reserve(&group->members, 1, &call->coord->memory)) {
        rj_protocols_release(group, protocols);
        rj_write_discard(call->coord, write);
        rj_write_discard(call->coord, turn);
        return false;
    }
    apply_replacement(call, facts, identity, protocols, write, turn);
    return true;
}

/* ---- New members ------------------------------------------------------------------------------------------------- */

static bool enter_new(const struct rj_call *call, const struct facts *facts)
{
    struct rj_group *group = facts->group;
    bool is_static = facts->request->group_instance_id.data != NULL;
    size_t room = (size_t)facts->request->group_instance_id.len + (size_t)call->client_id.len + UUID_TEXT_LEN + 2;
    struct rj_output_need need = {.replies = 2, .bytes = room + 512};
    if (!rj_output_reserve(call->coord->output, need))
        return false;
    char *text = rj_output_take(call->coord->output, room);
    struct rj_string id = new_id(call, facts, text);
    if (RJ_WITHOUT(JOIN_STATIC_ID_FRESH, facts->holder != NULL))
        id = facts->holder->node.key;
    struct rj_identity *identity = rj_identity_prepare(group, id);
    if (identity == NULL)
        return false;
    bool done = true;
    if (RJ_DOES(JOIN_NEW_STATIC_KNOWN_INSTANCE, facts->holder != NULL))
        done = replace(call, facts, identity);
    else if (RJ_DOES(JOIN_NEW_STATIC_UNKNOWN_INSTANCE, is_static && facts->holder == NULL))
        done = add(call, facts, identity, RJ_RULE_JOIN_NEW_STATIC_UNKNOWN_INSTANCE);
    else if (RJ_DOES(JOIN_NEW_DYNAMIC_V4, call->origin.version >= 4
                                              && call->coord->config.behaviour.member_id_required)
             || RJ_WITHOUT(JOIN_NEW_DYNAMIC_OLD, call->origin.version < 4))
        promise(call, identity, facts->request->session_timeout_ms);
    else
        done = add(call, facts, identity, RJ_RULE_JOIN_NEW_DYNAMIC_OLD);
    if (!done)
        rj_identity_forget_if_idle(identity);
    return done;
}

/* A group's first JoinGroup writes its record, whatever the answer is. */
static bool enter_new_group(const struct rj_call *call, struct facts *facts)
{
    struct rj_coord *coord = call->coord;
    struct rj_group *group = rj_group_prepare(coord, facts->request->group_id);
    if (group == NULL)
        return false;
    facts->group = group;
    struct rj_write *write = rj_write_prepare(coord, 0, 0, 0);
    struct rj_output_need need = {.appends = 1, .replies = 1, .bytes = 1024};
    if (write == NULL || !rj_output_reserve(coord->output, need)) {
        rj_write_discard(coord, write);
        rj_group_forget_if_idle(group);
        return false;
    }
    rj_group_open(group);
    struct rj_offsets_record *record = rj_output_take(coord->output, sizeof(*record));
    *record = rj_empty_group_record(group);
    struct rj_verdict verdict = judge_new(call, facts);
    if (verdict.rule != RJ_RULE_NONE) {
        rj_refuse_join(coord, &call->origin, echo(facts, verdict.rule), verdict);
    } else if (!enter_new(call, facts)) {
        rj_group_take_back(group);
        rj_write_discard(coord, write);
        rj_group_forget_if_idle(group);
        return false;
    }
    struct rj_member *first = rj_member_of(rj_map_first(&group->members));
    rj_write_set_group(write, group);
    if (first != NULL) {
        rj_write_set_identity(write, first->identity);
        write->ticket = first->join.ticket;
        write->origin = call->origin;
    }
    coord->next_position++;
    rj_write_start(coord, write, RJ_WRITE_NEW_GROUP, record, RJ_DOES(JOIN_NOGROUP_EMPTY_ID, true));
    group->created_by = write->append_id;
    return true;
}

/* A member refused for the group's size is forgotten; its timer runs out without effect. */
static void forget_refused(const struct facts *facts)
{
    struct rj_identity *identity = facts->identity;
    if (facts->member != NULL)
        rj_member_remove(facts->group, facts->member);
    else if (identity != NULL)
        rj_group_set_pending(facts->group, identity, false);
}

static bool refuse_for_size(const struct rj_call *call, const struct facts *facts, struct rj_verdict verdict)
{
    bool may_end_phase = call->coord->config.behaviour.refused_join_ends_phase;
    if (may_end_phase && !rj_cascade_reserve(facts->group, NULL, false))
        return false;
    forget_refused(facts);
    rj_refuse_join(call->coord, &call->origin, echo(facts, verdict.rule), verdict);
    if (may_end_phase)
        rj_maybe_complete_join(facts->group, (struct rj_cause){verdict.rule, RJ_NULL_STRING});
    return true;
}

bool rj_join_group(const struct rj_call *call)
{
    struct facts facts = look_up(call);
    struct rj_output_need need = rj_refusal_need();
    need.bytes += (size_t)facts.member_id.len;
    if (!rj_output_reserve(call->coord->output, need))
        return false;
    struct rj_verdict verdict = judge_request(call, &facts);
    if (verdict.rule == RJ_RULE_NONE && facts.group == NULL)
        return enter_new_group(call, &facts);
    if (verdict.rule == RJ_RULE_NONE)
        verdict = facts.is_unknown ? judge_new(call, &facts) : judge_known(call, &facts);
    if (verdict.rule == RJ_RULE_JOIN_MAX_SIZE)
        return refuse_for_size(call, &facts, verdict);
    if (verdict.rule != RJ_RULE_NONE) {
        rj_refuse_join(call->coord, &call->origin, echo(&facts, verdict.rule), verdict);
        return true;
    }
    if (facts.is_unknown)
        return enter_new(call, &facts);
    if (facts.identity->is_pending)
        return add(call, &facts, facts.identity, RJ_RULE_JOIN_PENDING_ACCEPT);
    return rejoin(call, &facts);
}
