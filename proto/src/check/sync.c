/* Rules of SyncGroup: who may send it, and what becomes of the leader's assignments. */
#include "check/state.h"

#include <string.h>

static bool same_plan(const struct rj_sync_group_request *a, const struct rj_sync_group_request *b)
{
    if (a->assignments.count != b->assignments.count)
        return false;
    for (int32_t i = 0; i < a->assignments.count; i++)
        if (!rj_string_equal(a->assignments.items[i].member_id, b->assignments.items[i].member_id) ||
            !rj_bytes_equal(a->assignments.items[i].assignment, b->assignments.items[i].assignment))
            return false;
    return true;
}

static void remember_plan(const struct dialogue_part *part, const struct group *group, const struct member *member)
{
    const struct rj_sync_group_request *body = part->request->body;
    struct generation *generation = rj_find_generation(group, body->generation_id);
    if (generation == NULL || !same(generation->leader, member->id) || generation->list == NULL ||
        generation->list->body == NULL || !same(generation->list_receiver, member->id) ||
        ((const struct rj_join_group_response *)generation->list->body)->skip_assignment)
        return; /* only who was given the list in sight makes the plan; a leader that returned sends none */
    if (generation->plan == NULL)
        generation->plan = rj_hold(part->request);
    else if (!same_plan(generation->plan->body, body))
        generation->plan_unsure = true;
}

void rj_check_sync_request(const struct dialogue_part *part)
{
    const struct rj_sync_group_request *body = part->request->body;
    struct group *group = rj_touch_group(part, body->group_id);
    struct member *member = group ? rj_generation_used(part, group, body->member_id, body->generation_id) : NULL;
    if (member == NULL)
        return;
    member->sync_pending = true;
    member->seen_ms = part->request->time_ms;
    remember_plan(part, group, member);
    if (group->blind || !member->born || !rj_was_given(member, body->generation_id))
        return;
    if (rj_judged(part->checker, RJ_RULE_T_SYNC_AFTER_JOIN, body->generation_id == member->generation))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_SYNC_AFTER_JOIN, member, NULL);
    finding.other_frame = member->generation_frame;
    rj_expected(rj_report(part->checker, &finding,
                          "SyncGroup carries generation %d after the member was given generation %d",
                          (int)body->generation_id, (int)member->generation), "generation %d", (int)member->generation);
}

static void judge_bytes(const struct dialogue_part *part, const struct member *member,
                        const struct generation *generation, const struct rj_check_message *response)
{
    const struct rj_sync_group_response *body = response->body;
    if (generation == NULL || generation->plan == NULL || generation->plan_unsure || generation->replaced ||
        member->group->blind)
        return;
    const struct rj_sync_group_request *plan = generation->plan->body;
    struct rj_bytes sent = RJ_NULL_BYTES;
    for (int32_t i = 0; i < plan->assignments.count; i++) /* a member that stands there twice: the last one counts */
        if (rj_string_equal(plan->assignments.items[i].member_id, member->id))
            sent = plan->assignments.items[i].assignment;
    if (sent.data == NULL && member->instance_id.len > 0)
        return; /* it may have taken the place of an id that stands there */
    bool holds = sent.len == body->assignment.len &&
                 (sent.len == 0 || memcmp(sent.data, body->assignment.data, (size_t)sent.len) == 0);
    if (rj_judged(part->checker, RJ_RULE_T_SYNC_BYTES, holds))
        return;
    struct finding finding = rj_finding_of(part, RJ_RULE_T_SYNC_BYTES, member, response);
    finding.third_frame = generation->plan->frame;
    rj_expected(rj_report(part->checker, &finding,
                          "the member is given %d bytes of assignment, which are not those that the "
                          "leader sent for it", (int)body->assignment.len), "the leader's %d bytes", (int)sent.len);
}

static void remember_assignment(struct rj_checker *checker, struct member *member, struct rj_bytes bytes)
{
    struct rj_consumer_protocol_assignment assignment;
    rj_list_release(checker, &member->previous_assignment);
    member->previous_assignment = member->assignment;
    member->assignment = (struct list){0};
    if (!rj_read_assignment(checker, bytes, &assignment))
        return;
    for (int32_t i = 0; i < assignment.assigned_partitions.count; i++)
        for (int32_t j = 0; j < assignment.assigned_partitions.items[i].partitions.count; j++) {
            struct partition *partition = rj_list_add(checker, &member->assignment, sizeof(*partition));
            if (partition != NULL)
                *partition = (struct partition){rj_intern(checker, assignment.assigned_partitions.items[i].topic),
                                                assignment.assigned_partitions.items[i].partitions.items[j]};
        }
}

void rj_check_sync_response(const struct dialogue_part *part, const struct rj_check_message *response)
{
    const struct rj_sync_group_request *request = part->request->body;
    const struct rj_sync_group_response *body = response->body;
    struct group *group = rj_touch_group(part, request->group_id);
    struct member *member = group ? rj_find_member(group, rj_intern(part->checker, request->member_id)) : NULL;
    if (group == NULL || group->is_consumer)
        return;
    if (member != NULL)
        member->sync_pending = false;
    rj_member_answered(part, group, member, request->generation_id, request->group_instance_id, body->error_code,
                       response);
    if (body->error_code != RJ_KAFKA_NONE || member == NULL)
        return;
    struct generation *generation = rj_find_generation(group, request->generation_id);
    judge_bytes(part, member, generation, response);
    if (member->synced_generation != request->generation_id) {
        member->synced_generation = request->generation_id;
        member->synced_frame = response->frame;
        remember_assignment(part->checker, member, body->assignment);
        if (generation != NULL) {
            generation->synced_count++;
            generation->synced_frame = response->frame;
        }
    }
    if (generation != NULL && !generation->plan_judged && generation->plan != NULL)
        rj_plan_accepted(part, group, generation, response);
}
