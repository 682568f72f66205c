/* Rules of one member: its ids, its generations, how long it may be silent, what it does after each answer. */
#include "check/state.h"

struct finding rj_finding_of(const struct dialogue_part *part, enum rj_rule rule, const struct member *member,
                             const struct rj_check_message *response)
{
    return (struct finding){
        .rule = rule, .group = member ? member->group : NULL, .member = member, .member_id = RJ_EMPTY_STRING,
        .client_id = part->request->client_id, .stream = part->stream->id,
        .frame = response ? response->frame : part->request->frame,
        .other_frame = response ? part->request->frame : 0,
        .time_ms = response ? response->time_ms : part->request->time_ms,
    };
}

void rj_expect_next_join(const struct dialogue_part *part, enum expectation_kind kind, struct group *group,
                         struct rj_string member_id, uint64_t frame)
{
    struct list *list = &part->stream->expectations;
    struct expectation *entry = NULL;
    for (int32_t i = 0; i < list->count && entry == NULL; i++)
        if (LIST_AT(list, struct expectation, i)->group == group)
            entry = LIST_AT(list, struct expectation, i);
    if (entry == NULL)
        entry = rj_list_add(part->checker, list, sizeof(*entry));
    if (entry != NULL)
        *entry = (struct expectation){kind, group, member_id, frame};
}

void rj_forget_expectations(struct rj_checker *checker, const struct group *group, struct rj_string member_id)
{
    for (int32_t s = 0; s < checker->streams.count; s++) {
        struct list *list = &(*LIST_AT(&checker->streams, struct stream *, s))->expectations;
        for (int32_t i = list->count - 1; i >= 0; i--)
            if (LIST_AT(list, struct expectation, i)->group == group &&
                same(LIST_AT(list, struct expectation, i)->member_id, member_id))
                rj_list_remove(list, i);
    }
}

void rj_coordinator_trouble(struct group *group, int16_t error, uint64_t frame)
{
    if (error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE ||
        error == RJ_KAFKA_NOT_COORDINATOR)
        group->disturbed_frame = frame;
}

void rj_remove_member(struct member *member, enum member_state state, uint64_t frame)
{
    if (member->state == state)
        return;
    member->state = state;
    member->state_frame = frame;
}

/* ---- A request that carries a member id and a generation -------------------------------------------------------- */

void rj_id_used(const struct dialogue_part *part, const struct member *member)
{
    if (member->group->blind || member->state != MEMBER_LEFT || !member->left_by_itself)
        return;
    rj_judged(part->checker, RJ_RULE_T_LEAVE_FINAL, false);
    struct finding finding = rj_finding_of(part, RJ_RULE_T_LEAVE_FINAL, member, NULL);
    finding.other_frame = member->state_frame;
    rj_expected(rj_report(part->checker, &finding, "%s carries the id of a member that has left",
                          rj_api_name(part->request->api_key)), "no request with that id after LeaveGroup succeeded");
}

static void unknown_id_used(const struct dialogue_part *part, struct group *group, struct rj_string member_id,
                            int32_t generation)
{
    if (!part->checker->config.from_start || group->blind) {
        if (group->missing == NULL)
            group->missing = "a member's JoinGroup was not seen";
        return;
    }
    rj_judged(part->checker, RJ_RULE_T_HB_KNOWN_GEN, false);
    struct finding finding = rj_finding_of(part, RJ_RULE_T_HB_KNOWN_GEN, NULL, NULL);
    finding.group = group;
    finding.member_id = member_id;
    rj_expected(rj_report(part->checker, &finding,
                          "%s carries member id %v and generation %d, but nobody was given that id",
                          rj_api_name(part->request->api_key), member_id, (int)generation),
                "an id from a JoinGroup answer");
}

struct member *rj_generation_used(const struct dialogue_part *part, struct group *group, struct rj_string member_id,
                                  int32_t generation)
{
    struct rj_checker *checker = part->checker;
    const char *api = rj_api_name(part->request->api_key);
    struct rj_string id = rj_intern(checker, member_id);
    struct member *member = rj_find_member(group, id);
    if (member_id.len == 0 || group->is_consumer)
        return NULL;
    if (member == NULL) {
        unknown_id_used(part, group, id, generation);
        return NULL;
    }
    rj_id_used(part, member);
    if (group->blind || !member->born)
        return member;
    bool promised_only = member->generations.count == 0;
    if (promised_only && part->request->api_key == RJ_API_HEARTBEAT) {
        rj_judged(checker, RJ_RULE_T_HB_NOT_BEFORE_JOIN, false);
        struct finding finding = rj_finding_of(part, RJ_RULE_T_HB_NOT_BEFORE_JOIN, member, NULL);
        finding.other_frame = member->promised_frame;
        rj_expected(rj_report(checker, &finding,
                              "a heartbeat carries an id that was only promised by MEMBER_ID_REQUIRED"),
                    "heartbeats after a JoinGroup success");
        return member;
    }
    if (part->request->api_key == RJ_API_HEARTBEAT)
        rj_judged(checker, RJ_RULE_T_HB_NOT_BEFORE_JOIN, true);
    if (rj_judged(checker, RJ_RULE_T_HB_KNOWN_GEN, rj_was_given(member, generation)))
        return member;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_HB_KNOWN_GEN, member, NULL);
    finding.other_frame = member->generation_frame;
    rj_expected(rj_report(checker, &finding, "%s carries generation %d, which this member was never given", api,
                          (int)generation), "generation %d, its latest", (int)member->generation);
    return member;
}

/* ---- Its answer -------------------------------------------------------------------------------------------------- */

/* After a heartbeat: was the member silent for so long that the coordinator must have removed it? */
static void judge_evict(const struct dialogue_part *part, struct member *member,
                        const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    int64_t limit = member->session_timeout_high_ms + (int64_t)checker->config.timer_slack_ms;
    if (member->group->blind || member->session_timeout_high_ms == 0 || member->alive_response_ms == 0 ||
        member->group->disturbed_frame > member->generation_frame || member->join_pending ||
        member->sync_pending || member->state != MEMBER_IN)
        return;
    int64_t silent_ms = part->request->time_ms - member->alive_response_ms;
    if (rj_judged(checker, RJ_RULE_T_MEMBER_EVICT, silent_ms <= limit))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_MEMBER_EVICT, member, response);
    rj_expected(rj_report(checker, &finding, "%s is accepted although the member was silent for %l ms with a session "
                          "timeout of %d ms", rj_api_name(response->api_key), silent_ms,
                          (int)member->session_timeout_high_ms), "UNKNOWN_MEMBER_ID (25)");
}

static void judge_static_one(const struct dialogue_part *part, const struct member *member,
                             const struct rj_check_message *response)
{
    if (member->group->blind || member->instance_id.len == 0)
        return;
    bool late = member->state == MEMBER_REPLACED && part->request->frame > member->state_frame;
    if (rj_judged(part->checker, RJ_RULE_T_STATIC_ONE, !late))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_STATIC_ONE, member, response);
    finding.third_frame = member->state_frame;
    rj_expected(rj_report(part->checker, &finding, "%s of a static member that was replaced is accepted",
                          rj_api_name(response->api_key)),
                              "FENCED_INSTANCE_ID (82), or UNKNOWN_MEMBER_ID (25) without the "
                "instance id");
}

/* Was there another reason to forget this member, or may there have been one that nothing shows? */
static bool may_be_gone(const struct member *member, int32_t generation, int64_t now_ms)
{
    const struct group *group = member->group;
    bool rebalance_may_be_over = group->trigger_ms != INT64_MAX &&
                                 now_ms - group->trigger_ms >= member->rebalance_timeout_ms;
    return group->blind || !member->born || member->state != MEMBER_IN || group->latest_generation != generation ||
           member->generation != generation || member->synced_generation != generation ||
           group->disturbed_frame > member->generation_frame || member->told_generation == generation ||
           rebalance_may_be_over || member->alive_request_ms == 0;
}

static void judge_early_evict(const struct dialogue_part *part, const struct member *member, int32_t generation,
                              struct rj_string instance_id, const struct rj_check_message *response)
{
    if (may_be_gone(member, generation, response->time_ms) || !rj_string_equal(rj_intern(part->checker, instance_id),
                                                                               member->instance_id))
        return;
    int64_t silent_ms = response->time_ms - member->alive_request_ms;
    if (rj_judged(part->checker, RJ_RULE_T_NO_EARLY_EVICT, silent_ms >= member->session_timeout_low_ms - 500))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_NO_EARLY_EVICT, member, response);
    rj_expected(rj_report(part->checker, &finding,
                          "the member is unknown %l ms after it last showed itself, with a session "
                          "timeout of %d ms, and nothing else explains it", silent_ms,
                              (int)member->session_timeout_low_ms),
                "the member stays until its session timeout");
}

static void told_to_rejoin(const struct dialogue_part *part, struct member *member, int32_t generation,
                           const struct rj_check_message *response)
{
    struct generation *current = rj_find_generation(member->group, generation);
    bool is_heartbeat = response->api_key == RJ_API_HEARTBEAT;
    if (is_heartbeat && member->told_generation != generation) {
        member->told_generation = generation;
        member->told_ms = response->time_ms;
        member->told_frame = response->frame;
    }
    if (is_heartbeat && current != NULL && current->ended_frame == 0 && member->synced_generation == generation &&
        part->request->frame > member->synced_frame)
        current->ended_frame = response->frame;
    if (member->state == MEMBER_IN && part->stream->id == member->stream)
        rj_expect_next_join(part, EXPECT_KEPT, member->group, member->id, response->frame);
}

/* 0 for a generation that 27 has ended: a group never comes back to it. */
static void judge_ended(const struct dialogue_part *part, const struct member *member, int32_t generation,
                        const struct rj_check_message *response)
{
    const struct generation *current = rj_find_generation(member->group, generation);
    if (member->group->blind || current == NULL)
        return;
    bool came_back = current->ended_frame != 0 && part->request->frame > current->ended_frame &&
                     member->group->disturbed_frame < current->ended_frame;
    if (rj_judged(part->checker, RJ_RULE_T_27_WINDOW, !came_back))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_27_WINDOW, member, response);
    finding.third_frame = current->ended_frame;
    rj_expected(rj_report(part->checker, &finding, "generation %d goes on although REBALANCE_IN_PROGRESS had ended it",
                          (int)generation), "REBALANCE_IN_PROGRESS (27) until the next generation");
}

void rj_member_answered(const struct dialogue_part *part, struct group *group, struct member *member,
                        int32_t generation,
                        struct rj_string instance_id, int16_t error, const struct rj_check_message *response)
{
    rj_coordinator_trouble(group, error, response->frame);
    if (member == NULL)
        return;
    member->seen_ms = response->time_ms;
    if (error == RJ_KAFKA_NONE || error == RJ_KAFKA_REBALANCE_IN_PROGRESS) {
        judge_static_one(part, member, response);
        if (response->api_key == RJ_API_HEARTBEAT)
            judge_evict(part, member, response);
        if (response->api_key == RJ_API_HEARTBEAT && !group->blind && member->state == MEMBER_IN)
            rj_judged(part->checker, RJ_RULE_T_NO_EARLY_EVICT, true); /* it was not refused */
    }
    if (error == RJ_KAFKA_NONE && response->api_key == RJ_API_HEARTBEAT)
        judge_ended(part, member, generation, response);
    if (error == RJ_KAFKA_REBALANCE_IN_PROGRESS)
        told_to_rejoin(part, member, generation, response);
    if (error == RJ_KAFKA_UNKNOWN_MEMBER_ID) {
        judge_early_evict(part, member, generation, instance_id, response);
        if (member->state == MEMBER_IN)
            rj_remove_member(member, MEMBER_REFUSED, response->frame);
        bool was_member = member->generations.count > 0; /* an id that was only promised is kept for the JoinGroup */
        if (was_member && response->api_key != RJ_API_OFFSET_COMMIT && part->stream->id == member->stream)
            rj_expect_next_join(part, EXPECT_DROPPED, group, member->id, response->frame);
    } else if (error == RJ_KAFKA_NONE || (error == RJ_KAFKA_REBALANCE_IN_PROGRESS &&
                                          response->api_key == RJ_API_HEARTBEAT)) {
        if (member->state == MEMBER_REFUSED)
            rj_remove_member(member, MEMBER_IN, response->frame);
        if (response->api_key != RJ_API_SYNC_GROUP)
            member->alive_request_ms = part->request->time_ms;
        member->alive_response_ms = response->time_ms;
    }
}

/* ---- Heartbeat --------------------------------------------------------------------------------------------------- */

static void judge_gap(const struct dialogue_part *part, const struct member *member)
{
    if (member->group->blind || member->seen_ms == 0 || member->session_timeout_high_ms == 0 ||
        member->state != MEMBER_IN || member->join_pending || member->sync_pending)
        return;
    int64_t gap_ms = part->request->time_ms - member->seen_ms;
    if (rj_judged(part->checker, RJ_RULE_T_HB_GAP, gap_ms < member->session_timeout_high_ms))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_HB_GAP, member, NULL);
    rj_expected(rj_report(part->checker, &finding, "the member was silent for %l ms with a session timeout of %d ms",
                          gap_ms,
                          (int)member->session_timeout_high_ms), "a heartbeat every third of the session timeout");
}

static void judge_late_rejoin(const struct dialogue_part *part, struct member *member)
{
    if (member->told_generation == 0 || member->told_generation != member->generation || member->group->blind ||
        member->rebalance_timeout_ms <= 0 || member->told_ms < 0)
        return;
    bool is_join = part->request->api_key == RJ_API_JOIN_GROUP;
    int64_t late_ms = part->request->time_ms - member->told_ms - member->rebalance_timeout_ms;
    if (!is_join && late_ms <= 0)
        return;
    member->told_ms = -1; /* judged once */
    if (rj_judged(part->checker, RJ_RULE_T_REJOIN_AFTER_27, late_ms <= 0))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_REJOIN_AFTER_27, member, NULL);
    finding.other_frame = member->told_frame;
    rj_expected(rj_report(part->checker, &finding,
                          "the member %s %l ms after its rebalance timeout of %d ms had passed",
                          is_join ? "joins" : "has not joined", late_ms, (int)member->rebalance_timeout_ms),
                "a JoinGroup within the rebalance timeout");
}

void rj_check_heartbeat_request(const struct dialogue_part *part)
{
    const struct rj_heartbeat_request *body = part->request->body;
    struct group *group = rj_touch_group(part, body->group_id);
    struct member *member = group ? rj_generation_used(part, group, body->member_id, body->generation_id) : NULL;
    if (member == NULL)
        return;
    judge_gap(part, member);
    judge_late_rejoin(part, member);
    member->seen_ms = part->request->time_ms;
}

void rj_check_heartbeat_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_heartbeat_request *request = part->request->body;
    const struct rj_heartbeat_response *body = response->body;
    struct group *group = rj_touch_group(part, request->group_id);
    if (group == NULL || group->is_consumer)
        return;
    rj_member_answered(part, group, rj_find_member(group, rj_intern(part->checker, request->member_id)),
                       request->generation_id, request->group_instance_id, body->error_code, response);
}

/* ---- LeaveGroup -------------------------------------------------------------------------------------------------- */

void rj_check_leave_request(const struct dialogue_part *part)
{
    const struct rj_leave_group_request *body = part->request->body;
    struct group *group = rj_touch_group(part, body->group_id);
    if (group == NULL)
        return;
    group->trigger_frame = part->request->frame;
    if (group->trigger_ms == INT64_MAX)
        group->trigger_ms = part->request->time_ms;
}

static void member_left(const struct dialogue_part *part, struct group *group, struct rj_string member_id,
                        struct rj_string instance_id, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    struct member *member = member_id.len > 0 ? rj_find_member(group, rj_intern(checker, member_id)) :
                                                rj_find_instance(group, rj_intern(checker, instance_id));
    if (member == NULL)
        return;
    if (!group->blind)
        rj_judged(checker, RJ_RULE_T_LEAVE_FINAL, true);
    member->left_by_itself = member_id.len > 0 &&
                             (part->stream->id == member->stream || same(part->request->client_id, member->client_id));
    rj_remove_member(member, MEMBER_LEFT, response->frame);
    rj_forget_expectations(checker, group, member->id);
}

void rj_check_leave_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_leave_group_request *request = part->request->body;
    const struct rj_leave_group_response *body = response->body;
    struct group *group = rj_touch_group(part, request->group_id);
    if (group == NULL)
        return;
    rj_coordinator_trouble(group, body->error_code, response->frame);
    if (body->error_code != RJ_KAFKA_NONE)
        return;
    if (part->request->version < 3)
        member_left(part, group, request->member_id, RJ_EMPTY_STRING, response);
    for (int32_t i = 0; part->request->version >= 3 && i < body->members.count; i++)
        if (body->members.items[i].error_code == RJ_KAFKA_NONE)
            member_left(part, group, body->members.items[i].member_id, body->members.items[i].group_instance_id,
                        response);
}

/* ---- FindCoordinator --------------------------------------------------------------------------------------------- */

static void coordinator_asked(const struct dialogue_part *part, struct rj_string key, uint64_t frame)
{
    struct list *asked = &part->stream->coordinators_asked;
    struct group *group = rj_touch_group(part, key);
    for (int32_t i = 0; group != NULL && i < asked->count; i++)
        if (*LIST_AT(asked, struct group *, i) == group) {
            group->disturbed_frame = frame; /* asked again: the client has lost its coordinator */
            return;
        }
    struct group **entry = group ? rj_list_add(part->checker, asked, sizeof(*entry)) : NULL;
    if (entry != NULL)
        *entry = group;
}

void rj_check_find_coordinator_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_find_coordinator_request *request = part->request->body;
    const struct rj_find_coordinator_response *body = response->body;
    if (request->key_type != 0)
        return;
    if (part->request->version < 4 && body->error_code == RJ_KAFKA_NONE)
        coordinator_asked(part, request->key, response->frame);
    for (int32_t i = 0; part->request->version >= 4 && i < body->coordinators.count; i++)
        if (body->coordinators.items[i].error_code == RJ_KAFKA_NONE)
            coordinator_asked(part, body->coordinators.items[i].key, response->frame);
}

/* ---- JoinGroup, as far as it concerns one member ----------------------------------------------------------------- */

/* t-join-79-follow and t-rejoin-id: does this JoinGroup carry the id that the last answer asks for? */
static void judge_expectation(const struct dialogue_part *part, struct group *group, struct rj_string id,
                              struct rj_string instance_id)
{
    struct list *list = &part->stream->expectations;
    int32_t at = 0;
    while (at < list->count && LIST_AT(list, struct expectation, at)->group != group)
        at++;
    if (at == list->count)
        return;
    struct expectation expectation = *LIST_AT(list, struct expectation, at);
    rj_list_remove(list, at);
    if (group->blind || instance_id.len > 0 || group->disturbed_frame > expectation.frame)
        return;
    const struct member *member = rj_find_member(group, expectation.member_id);
    enum rj_rule rule = expectation.kind == EXPECT_PROMISED ? RJ_RULE_T_JOIN_79_FOLLOW : RJ_RULE_T_REJOIN_ID;
    bool carries = same(id, expectation.member_id);
    if (rj_judged(part->checker, rule, expectation.kind == EXPECT_DROPPED ? !carries : carries))
        return;
    struct finding finding = rj_finding_of(part, rule, member, NULL);
    finding.group = group;
    finding.other_frame = expectation.frame;
    const char *why = expectation.kind == EXPECT_PROMISED ? "MEMBER_ID_REQUIRED gave another one" :
                      expectation.kind == EXPECT_KEPT ? "after REBALANCE_IN_PROGRESS the member keeps its id" :
                                                        "it was answered UNKNOWN_MEMBER_ID";
    struct rj_violation *violation = rj_report(part->checker, &finding, "JoinGroup carries member id %v, but %s", id,
                                               why);
    if (expectation.kind == EXPECT_DROPPED)
        rj_expected(violation, "an empty member id");
    else
        rj_expected(violation, "member id %v", expectation.member_id);
}

static void remember_timeouts(struct member *member, const struct rj_join_group_request *body, int16_t version)
{
    int32_t rebalance_timeout_ms = version >= 1 ? body->rebalance_timeout_ms : body->session_timeout_ms;
    if (body->session_timeout_ms > member->session_timeout_high_ms)
        member->session_timeout_high_ms = body->session_timeout_ms;
    if (body->session_timeout_ms < member->session_timeout_low_ms)
        member->session_timeout_low_ms = body->session_timeout_ms;
    if (rebalance_timeout_ms > member->rebalance_timeout_ms)
        member->rebalance_timeout_ms = rebalance_timeout_ms;
}

void rj_check_join_request(const struct dialogue_part *part)
{
    struct rj_checker *checker = part->checker;
    const struct rj_join_group_request *body = part->request->body;
    struct group *group = rj_touch_group(part, body->group_id);
    struct rj_string id = rj_intern(checker, body->member_id);
    if (group == NULL)
        return;
    group->is_consumer = false;
    part->request->trigger_before = group->trigger_frame;
    group->trigger_frame = part->request->frame;
    if (group->trigger_ms == INT64_MAX)
        group->trigger_ms = part->request->time_ms;
    judge_expectation(part, group, id, body->group_instance_id);
    if (id.len == 0)
        return;
    struct member *member = rj_find_member(group, id);
    if (member == NULL) {
        member = rj_add_member(checker, group, id);
        if (member == NULL)
            return;
        member->state = MEMBER_IN;
        member->client_id = part->request->client_id;
        member->instance_id = rj_intern(checker, body->group_instance_id);
    } else {
        rj_id_used(part, member);
        judge_late_rejoin(part, member);
    }
    member->join_pending = true;
    member->stream = part->stream->id;
    member->seen_ms = part->request->time_ms;
    rj_let_go(checker, &member->latest_join);
    member->latest_join = rj_hold(part->request);
    remember_timeouts(member, body, part->request->version);
}

static bool is_uuid(struct rj_string text)
{
    for (int32_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex)
            return false;
    }
    return text.len == 36;
}

static void judge_id_format(const struct dialogue_part *part, const struct member *member,
                            const struct rj_check_message *response)
{
    const struct rj_join_group_request *request = part->request->body;
    struct rj_string prefix = request->group_instance_id.len > 0 ? request->group_instance_id :
                                                                   part->request->client_id;
    struct rj_string id = member->id;
    bool holds = id.len == prefix.len + 37 &&
                 rj_string_equal((struct rj_string){id.data, prefix.len},
                                 (struct rj_string){prefix.len > 0 ? prefix.data : id.data, prefix.len}) &&
                 id.data[prefix.len] == '-' && is_uuid((struct rj_string){id.data + prefix.len + 1, 36});
    if (rj_judged(part->checker, RJ_RULE_T_ID_FORMAT, holds))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_ID_FORMAT, member, response);
    rj_expected(rj_report(part->checker, &finding, "the new member id is %v", id), "%v, a dash and a UUID", prefix);
}

static void id_promised(const struct dialogue_part *part, struct group *group, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct rj_join_group_response *body = response->body;
    struct rj_string id = rj_intern(checker, body->member_id);
    struct member *member = rj_find_member(group, id);
    if (group->blind)
        return;
    if (!rj_judged(checker, RJ_RULE_T_79_FRESH, member == NULL)) {
        struct finding finding = rj_finding_of(part, RJ_RULE_T_79_FRESH, member, response);
        rj_expected(rj_report(checker, &finding, "MEMBER_ID_REQUIRED gives an id that was used before"), "a new id");
        return;
    }
    member = rj_add_member(checker, group, id);
    if (member == NULL)
        return;
    member->state = MEMBER_PROMISED;
    member->born = true;
    member->client_id = part->request->client_id;
    member->stream = part->stream->id;
    member->promised_frame = response->frame;
    judge_id_format(part, member, response);
    rj_expect_next_join(part, EXPECT_PROMISED, group, id, response->frame);
}

/* The member that a success without id in the request makes, or takes the place of. */
static struct member *new_member(const struct dialogue_part *part, struct group *group, struct rj_string id,
                                 const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct rj_join_group_request *request = part->request->body;
    struct rj_string instance_id = rj_intern(checker, request->group_instance_id);
    struct member *old = instance_id.len > 0 ? rj_find_instance(group, instance_id) : NULL;
    struct member *member = rj_find_member(group, id);
    if (member != NULL)
        return member;
    member = rj_add_member(checker, group, id);
    if (member == NULL)
        return NULL;
    member->born = true;
    member->instance_id = instance_id;
    judge_id_format(part, member, response);
    rj_let_go(checker, &member->latest_join);
    member->latest_join = rj_hold(part->request);
    remember_timeouts(member, request, part->request->version);
    if (old != NULL) {
        struct generation *current = rj_find_generation(group, ((const struct rj_join_group_response *)response->body)
                                                                ->generation_id);
        rj_remove_member(old, MEMBER_REPLACED, response->frame);
        rj_forget_expectations(checker, group, old->id);
        if (current != NULL)
            current->replaced = true;
        for (int32_t i = 0; i < old->assignment.count; i++) {
            struct partition *copy = rj_list_add(checker, &member->assignment, sizeof(*copy));
            if (copy != NULL)
                *copy = *LIST_AT(&old->assignment, struct partition, i);
        }
    }
    return member;
}

void rj_check_join_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    struct rj_checker *checker = part->checker;
    const struct rj_join_group_request *request = part->request->body;
    const struct rj_join_group_response *body = response->body;
    struct group *group = rj_touch_group(part, request->group_id);
    if (group == NULL)
        return;
    struct member *member = rj_find_member(group, rj_intern(checker, request->member_id));
    if (member != NULL && request->member_id.len > 0) {
        member->join_pending = member->latest_join != part->request && member->join_pending;
        member->seen_ms = response->time_ms;
    }
    rj_coordinator_trouble(group, body->error_code, response->frame);
    if (body->error_code == RJ_KAFKA_MEMBER_ID_REQUIRED)
        id_promised(part, group, response);
    else if (body->error_code == RJ_KAFKA_UNKNOWN_MEMBER_ID && request->member_id.len > 0) {
        if (member != NULL && member->state == MEMBER_IN)
            rj_remove_member(member, MEMBER_REFUSED, response->frame);
        if (member != NULL && member->state == MEMBER_PROMISED)
            rj_remove_member(member, MEMBER_REFUSED, response->frame);
        rj_expect_next_join(part, EXPECT_DROPPED, group, rj_intern(checker, request->member_id), response->frame);
    } else if (body->error_code == RJ_KAFKA_NONE) {
        if (request->member_id.len == 0)
            member = new_member(part, group, rj_intern(checker, body->member_id), response);
        if (member != NULL)
            rj_generation_success(part, response, member);
    }
}
