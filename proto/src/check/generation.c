/* Rules of one generation: who is in it, under which protocol, and what its leader is told. */
#include "check/state.h"

#include <string.h>

/* ---- Rules on one JoinGroup success ------------------------------------------------------------------------------ */

static void judge_monotonic(const struct dialogue_part *part, const struct rj_check_message *response,
                            const struct member *member, int32_t generation)
{
    const struct group *group = member->group;
    if (member->generation == 0 || group->blind || group->disturbed_frame > member->generation_frame)
        return;
    if (rj_judged(part->checker, RJ_RULE_T_GEN_MONOTONIC, generation >= member->generation))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_GEN_MONOTONIC, member, response);
    finding.third_frame = member->generation_frame;
    rj_expected(rj_report(part->checker, &finding, "the member was in generation %d and is given generation %d",
                          (int)member->generation, (int)generation), "generation %d or a later one",
                              (int)member->generation);
}

static bool same_protocols(const struct kept_message *left, const struct kept_message *right)
{
    const struct rj_join_group_request *a = left->body, *b = right->body;
    if (a->protocols.count != b->protocols.count)
        return false;
    for (int32_t i = 0; i < a->protocols.count; i++)
        if (!rj_string_equal(a->protocols.items[i].name, b->protocols.items[i].name) ||
            !rj_bytes_equal(a->protocols.items[i].metadata, b->protocols.items[i].metadata))
            return false;
    return true;
}

/* Has every member of this generation its assignment and shown itself lately, and has nothing else happened that may
 * start a rebalance? */
static bool is_quiet(const struct dialogue_part *part, const struct group *group, const struct generation *generation,
                     int64_t now_ms)
{
    if (generation->list == NULL || group->trigger_frame != part->request->frame ||
        part->request->trigger_before > generation->synced_frame)
        return false;
    const struct rj_join_group_response *list = generation->list->body;
    if (generation->synced_count < list->members.count)
        return false;
    for (int32_t i = 0; i < list->members.count; i++) {
        const struct member *member = rj_find_member(group, rj_intern(part->checker, list->members.items[i].member_id));
        if (member == NULL || member->state != MEMBER_IN || now_ms - member->seen_ms >= member->session_timeout_low_ms)
            return false;
    }
    return true;
}

/* t-leader-rejoin and t-stable-follower-fast: a member of a stable group joined again. */
static void judge_rejoin(const struct dialogue_part *part, const struct rj_check_message *response,
                         const struct member *member, int32_t generation)
{
    struct rj_checker *checker = part->checker;
    const struct group *group = member->group;
    const struct generation *before = rj_find_generation(group, member->synced_generation);
    const struct rj_join_group_request *request = part->request->body;
    if (request->member_id.len == 0 || before == NULL || member->synced_generation != member->generation ||
        part->request->frame <= member->synced_frame || group->blind ||
        group->disturbed_frame > member->generation_frame || before->replaced)
        return;
    if (same(before->leader, member->id)) {
        if (rj_judged(checker, RJ_RULE_T_LEADER_REJOIN, generation > before->id))
            return;
        struct finding finding = rj_finding_of(part, RJ_RULE_T_LEADER_REJOIN, member, response);
        finding.third_frame = member->synced_frame;
        rj_expected(rj_report(checker, &finding, "the leader joins again and stays in generation %d", (int)generation),
                    "generation %d", (int)before->id + 1);
        return;
    }
    if (member->accepted_join == NULL || !same_protocols(member->accepted_join, part->request) ||
        member->told_generation == before->id)
        return;
    bool unchanged = generation == before->id;
    if (!unchanged && !is_quiet(part, group, before, response->time_ms))
        return;
    if (rj_judged(checker, RJ_RULE_T_STABLE_FOLLOWER_FAST, unchanged))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_STABLE_FOLLOWER_FAST, member, response);
    finding.third_frame = member->synced_frame;
    rj_expected(rj_report(checker, &finding,
                          "a follower joins a stable group again with the same protocols and is given "
                          "generation %d after %d", (int)generation, (int)before->id), "generation %d",
                              (int)before->id);
}

static void judge_same_protocol(const struct dialogue_part *part, const struct rj_check_message *response,
                                const struct member *member, const struct generation *generation)
{
    struct rj_checker *checker = part->checker;
    const struct rj_join_group_response *body = response->body;
    const struct rj_join_group_request *request = part->request->body;
    bool same_name = same(generation->protocol_name, rj_intern(checker, body->protocol_name));
    bool same_type = response->version < 7 || !generation->has_type ||
                     same(generation->protocol_type, rj_intern(checker, body->protocol_type));
    bool may_differ = generation->replaced || (request->member_id.len == 0 && request->group_instance_id.len > 0);
    bool same_leader = may_differ || same(generation->leader, rj_intern(checker, body->leader));
    if (member->group->blind || rj_judged(checker, RJ_RULE_T_GEN_SAME_PROTOCOL, same_name && same_type && same_leader))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_GEN_SAME_PROTOCOL, member, response);
    finding.other_frame = generation->first_frame;
    rj_expected(rj_report(checker, &finding, "generation %d has %s %v here and another one in an earlier answer",
                          (int)generation->id, !same_name ? "protocol" : !same_type ? "protocol type" : "leader",
                          !same_name ? body->protocol_name : !same_type ? body->protocol_type : body->leader),
                "protocol %v of type %v with leader %v", generation->protocol_name, generation->protocol_type,
                generation->leader);
}

static void judge_one_leader(const struct dialogue_part *part, const struct rj_check_message *response,
                             const struct member *member, const struct generation *generation)
{
    const struct rj_join_group_response *body = response->body;
    bool leads = rj_string_equal(body->leader, member->id);
    bool has_list = body->members.count > 0;
    bool second = has_list && generation->list_receiver.len > 0 && !same(generation->list_receiver, member->id) &&
                  !generation->replaced;
    if (member->group->blind || rj_judged(part->checker, RJ_RULE_T_GEN_ONE_LEADER, leads == has_list && !second))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_GEN_ONE_LEADER, member, response);
    rj_expected(rj_report(part->checker, &finding, second ? "two members of generation %d are given the member list" :
                          leads ? "the leader of generation %d is given no member list" :
                            "a follower of generation %d is given the member list", (int)generation->id),
                "the member list for %v alone", generation->leader);
}

/* ---- Rules on the leader's list ---------------------------------------------------------------------------------- */

static const struct accepted *accepted_as(const struct generation *generation, const struct member *member)
{
    for (int32_t i = 0; i < generation->accepted.count; i++)
        if (LIST_AT(&generation->accepted, struct accepted, i)->member == member)
            return LIST_AT(&generation->accepted, struct accepted, i);
    return NULL;
}

/* The JoinGroup with which a member is in this generation. */
static const struct kept_message *join_of(const struct generation *generation, const struct member *member)
{
    return member->generation == generation->id ? member->accepted_join : member->latest_join;
}

static bool is_listed(struct rj_checker *checker, const struct generation *generation, const struct member *member)
{
    const struct rj_join_group_response *list = generation->list->body;
    for (int32_t i = 0; i < list->members.count; i++)
        if (same(rj_intern(checker, list->members.items[i].member_id), member->id))
            return true;
    return false;
}

static struct finding about_list(enum rj_rule rule, const struct group *group, const struct generation *generation,
                                 const struct member *member)
{
    return (struct finding){.rule = rule, .group = group, .member = member, .member_id = RJ_EMPTY_STRING,
                            .client_id = generation->list->client_id, .stream = generation->list->stream,
                            .frame = generation->list->frame, .time_ms = generation->list->time_ms};
}

static void judge_listed(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                         const struct accepted *accepted)
{
    if (generation->replaced || rj_judged(checker, RJ_RULE_T_LEADER_LIST_COMPLETE,
                                          is_listed(checker, generation, accepted->member)))
        return;
    struct finding finding = about_list(RJ_RULE_T_LEADER_LIST_COMPLETE, group, generation, accepted->member);
    finding.other_frame = accepted->frame;
    rj_expected(rj_report(checker, &finding, "%v was accepted in generation %d and is not in its leader's list",
                          accepted->member->id, (int)generation->id), "a list of all members");
}

static void judge_barrier(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                          const struct accepted *accepted)
{
    const struct member *member = accepted->member;
    if (!member->born || member->instance_id.len > 0 || generation->replaced || !is_listed(checker, generation, member))
        return;
    if (rj_judged(checker, RJ_RULE_T_JOIN_BARRIER, accepted->request_ms <= generation->first_ms + SHUFFLE_MS))
        return;
    struct finding finding = about_list(RJ_RULE_T_JOIN_BARRIER, group, generation, member);
    finding.other_frame = accepted->request_frame;
    finding.third_frame = generation->first_frame;
    rj_expected(rj_report(checker, &finding, "generation %d starts with %v, which had not sent its JoinGroup",
                          (int)generation->id, member->id),
                              "JoinGroup of every dynamic member before the first answer");
}

static void judge_echo(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                       const struct member *member, struct rj_bytes metadata)
{
    const struct rj_join_group_request *join = join_of(generation, member)->body;
    if (member->instance_id.len == 0 && accepted_as(generation, member) == NULL && !member->join_pending)
        return; /* that it was let in without a JoinGroup is t-join-barrier's */
    for (int32_t i = 0; i < join->protocols.count; i++) {
        if (!rj_string_equal(join->protocols.items[i].name, generation->protocol_name))
            continue;
        bool echoed = rj_bytes_equal(join->protocols.items[i].metadata, metadata);
        if (rj_judged(checker, RJ_RULE_T_MEMBER_METADATA_ECHO, echoed))
            return;
        struct finding finding = about_list(RJ_RULE_T_MEMBER_METADATA_ECHO, group, generation, member);
        finding.other_frame = join_of(generation, member)->frame;
        rj_expected(rj_report(checker, &finding,
                              "the leader of generation %d is given other metadata than %v sent for %v",
                              (int)generation->id, member->id, generation->protocol_name), "the member's own bytes");
        return;
    }
}

static bool offers(const struct kept_message *join, struct rj_string name)
{
    const struct rj_join_group_request *body = join->body;
    for (int32_t i = 0; i < body->protocols.count; i++)
        if (rj_string_equal(body->protocols.items[i].name, name))
            return true;
    return false;
}

static const struct kept_message *listed_join(struct rj_checker *checker, const struct group *group,
                                              const struct generation *generation, int32_t index)
{
    const struct rj_join_group_response *list = generation->list->body;
    return join_of(generation, rj_find_member(group, rj_intern(checker, list->members.items[index].member_id)));
}

static bool offered_by_all(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                           struct rj_string name)
{
    const struct rj_join_group_response *list = generation->list->body;
    for (int32_t i = 0; i < list->members.count; i++)
        if (!offers(listed_join(checker, group, generation, i), name))
            return false;
    return true;
}

/* Each member votes for its first name that all offer. */
static int votes_for(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                     struct rj_string name)
{
    const struct rj_join_group_response *list = generation->list->body;
    int votes = 0;
    for (int32_t i = 0; i < list->members.count; i++) {
        const struct rj_join_group_request *join = listed_join(checker, group, generation, i)->body;
        for (int32_t j = 0; j < join->protocols.count; j++)
            if (offered_by_all(checker, group, generation, join->protocols.items[j].name)) {
                votes += rj_string_equal(join->protocols.items[j].name, name);
                break;
            }
    }
    return votes;
}

static void judge_vote(struct rj_checker *checker, const struct group *group, const struct generation *generation)
{
    const struct rj_join_group_request *first = listed_join(checker, group, generation, 0)->body;
    struct rj_string chosen = generation->protocol_name;
    bool common = offered_by_all(checker, group, generation, chosen);
    int votes = votes_for(checker, group, generation, chosen);
    bool wins = common;
    for (int32_t i = 0; common && i < first->protocols.count; i++)
        wins &= votes_for(checker, group, generation, first->protocols.items[i].name) <= votes;
    if (rj_judged(checker, RJ_RULE_T_PROTOCOL_COMMON, wins))
        return;
    struct finding finding = about_list(RJ_RULE_T_PROTOCOL_COMMON, group, generation, NULL);
    rj_expected(rj_report(checker, &finding, "generation %d uses protocol %v, which %s", (int)generation->id, chosen,
                          common ? "another one outvotes" : "not every member offers"),
                              "the protocol that wins the vote");
}

/* All listed members are known: 1; some answers are still to come: 0. *born: each of them was born in sight. */
static bool list_is_known(struct rj_checker *checker, const struct group *group, const struct generation *generation,
                          bool *born)
{
    const struct rj_join_group_response *list = generation->list->body;
    *born = true;
    for (int32_t i = 0; i < list->members.count; i++) {
        const struct member *member = rj_find_member(group, rj_intern(checker, list->members.items[i].member_id));
        if (member == NULL || join_of(generation, member) == NULL)
            return false;
        *born &= member->born;
    }
    return true;
}

static void judge_list(struct rj_checker *checker, struct group *group, struct generation *generation)
{
    bool born;
    if (generation->list == NULL || generation->list_judged || group->blind ||
        !list_is_known(checker, group, generation, &born))
        return;
    const struct rj_join_group_response *list = generation->list->body;
    generation->list_judged = true;
    if (born)
        group->began = true;
    for (int32_t i = 0; i < generation->accepted.count; i++) {
        judge_listed(checker, group, generation, LIST_AT(&generation->accepted, struct accepted, i));
        judge_barrier(checker, group, generation, LIST_AT(&generation->accepted, struct accepted, i));
    }
    for (int32_t i = 0; i < list->members.count; i++) {
        const struct member *member = rj_find_member(group, rj_intern(checker, list->members.items[i].member_id));
        judge_echo(checker, group, generation, member, list->members.items[i].metadata);
    }
    judge_vote(checker, group, generation);
    if (checker->config.group_max_size > 0 &&
        !rj_judged(checker, RJ_RULE_T_MAX_SIZE, list->members.count <= checker->config.group_max_size)) {
        struct finding finding = about_list(RJ_RULE_T_MAX_SIZE, group, generation, NULL);
        rj_expected(rj_report(checker, &finding, "generation %d has %d members", (int)generation->id,
                              (int)list->members.count), "at most %d", (int)checker->config.group_max_size);
    }
}

bool rj_listed_subscription(struct rj_checker *checker, const struct generation *generation, int32_t index,
                            struct rj_consumer_protocol_subscription *subscription)
{
    const struct rj_join_group_response *list = generation->list->body;
    return rj_read_subscription(checker, list->members.items[index].metadata, subscription);
}

/* ---- Following --------------------------------------------------------------------------------------------------- */

/* A listed member that never came into sight: something of this group was not seen. */
static void close_generation(struct group *group, const struct generation *generation)
{
    if (generation->list != NULL && !generation->list_judged && group->missing == NULL)
        group->missing = "a member in the leader's list was not seen joining";
}

void rj_generations_finish(struct rj_checker *checker)
{
    for (int32_t i = 0; i < checker->groups.count; i++) {
        struct group *group = *LIST_AT(&checker->groups, struct group *, i);
        if (group->generations.count > 0)
            close_generation(group, *LIST_AT(&group->generations, struct generation *, group->generations.count - 1));
    }
}

static struct generation *next_generation(const struct dialogue_part *part, struct group *group,
                                          const struct rj_check_message *response)
{
    const struct rj_join_group_response *body = response->body;
    if (group->generations.count > 0)
        close_generation(group, *LIST_AT(&group->generations, struct generation *, group->generations.count - 1));
    struct generation *generation = rj_add_generation(part->checker, group, body->generation_id);
    if (generation == NULL)
        return NULL;
    generation->protocol_name = rj_intern(part->checker, body->protocol_name);
    generation->has_type = response->version >= 7;
    generation->protocol_type = rj_intern(part->checker, generation->has_type ? body->protocol_type :
                                          ((const struct rj_join_group_request *)part->request->body)->protocol_type);
    generation->leader = rj_intern(part->checker, body->leader);
    generation->first_frame = response->frame;
    generation->first_ms = response->time_ms;
    group->latest_generation = body->generation_id;
    group->trigger_ms = INT64_MAX;
    return generation;
}

static void update_member(const struct dialogue_part *part, const struct rj_check_message *response,
                          struct member *member)
{
    const struct rj_join_group_response *body = response->body;
    struct given *given = rj_list_add(part->checker, &member->generations, sizeof(*given));
    if (given != NULL)
        *given = (struct given){body->generation_id, response->frame};
    if (member->generation != body->generation_id) {
        member->alive_request_ms = response->time_ms; /* the join's completion restarts the session timer */
        member->generation_frame = response->frame;
    }
    member->generation = body->generation_id;
    member->client_id = part->request->client_id;
    member->stream = part->stream->id;
    rj_remove_member(member, MEMBER_IN, response->frame);
    rj_let_go(part->checker, &member->accepted_join);
    member->accepted_join = rj_hold(part->request);
    member->alive_response_ms = member->seen_ms = response->time_ms;
}

void rj_generation_success(const struct dialogue_part *part, const struct rj_check_message *response,
                           struct member *member)
{
    struct rj_checker *checker = part->checker;
    struct group *group = member->group;
    const struct rj_join_group_response *body = response->body;
    if (body->leader.len == 0) { /* a classic member of a KIP-848 group */
        group->is_consumer = true;
        return;
    }
    judge_monotonic(part, response, member, body->generation_id);
    judge_rejoin(part, response, member, body->generation_id);
    if (body->generation_id < group->latest_generation) /* deleted, expired, or restored from an older state */
        group->disturbed_frame = response->frame;
    update_member(part, response, member);
    struct generation *generation = rj_find_generation(group, body->generation_id);
    if (generation == NULL || body->generation_id != group->latest_generation)
        generation = next_generation(part, group, response);
    if (generation == NULL)
        return;
    judge_same_protocol(part, response, member, generation);
    judge_one_leader(part, response, member, generation);
    if (body->members.count > 0 && generation->list == NULL) {
        generation->list = rj_keep_message(checker, response, &rj_join_group_response_schema);
        if (generation->list != NULL)
            generation->list->client_id = part->request->client_id;
        generation->list_receiver = member->id;
    }
    if (accepted_as(generation, member) == NULL) {
        struct accepted *accepted = rj_list_add(checker, &generation->accepted, sizeof(*accepted));
        if (accepted != NULL)
            *accepted = (struct accepted){member, response->frame, part->request->frame, part->request->time_ms};
        if (accepted != NULL && generation->list_judged && !group->blind) {
            judge_listed(checker, group, generation, accepted);
            judge_barrier(checker, group, generation, accepted);
        }
    }
    if (generation->list != NULL && generation->list->body != NULL)
        judge_list(checker, group, generation);
}
