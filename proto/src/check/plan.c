/* Rules on what a generation's leader assigns to whom. */
#include "check/state.h"

#include <string.h>

struct seat { struct rj_string topic; int32_t index; struct rj_string member; bool taken; };

/* Who is given which partition: an open-addressing table in scratch memory. */
struct seats { struct seat *items; uint32_t size; };

struct plan {
    const struct dialogue_part *part;
    struct group *group;
    struct generation *generation;
    const struct rj_check_message *response;
    struct rj_consumer_protocol_assignment *assignments; /* one for each in the leader's request */
    int32_t count;
    struct seats seats;
};

static struct finding about_plan(const struct plan *plan, enum rj_rule rule, struct rj_string member)
{
    const struct kept_message *sent = plan->generation->plan;
    return (struct finding){.rule = rule, .group = plan->group, .member_id = member, .client_id = sent->client_id,
                            .stream = sent->stream, .frame = sent->frame,
                            .other_frame = plan->generation->list ? plan->generation->list->frame : 0,
                            .time_ms = sent->time_ms};
}

static struct seat *seat_of(const struct seats *seats, struct rj_string topic, int32_t index)
{
    uint32_t hash = ((uint32_t)(uintptr_t)topic.data >> 3) * 2654435761u + (uint32_t)index * 40503u;
    uint32_t at = (hash ^ hash >> 15) & (seats->size - 1);
    while (seats->items[at].taken && !(same(seats->items[at].topic, topic) && seats->items[at].index == index))
        at = (at + 1) & (seats->size - 1);
    return &seats->items[at];
}

static struct rj_string planned_member(const struct plan *plan, int32_t index)
{
    const struct rj_sync_group_request *sent = plan->generation->plan->body;
    return rj_intern(plan->part->checker, sent->assignments.items[index].member_id);
}

/* Reads the assignments and seats every partition; judges t-one-owner on the way. */
static bool seat_everything(struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    const struct rj_sync_group_request *sent = plan->generation->plan->body;
    uint32_t partitions = 0;
    plan->count = sent->assignments.count;
    plan->assignments = rj_arena_alloc(&checker->scratch, (size_t)plan->count * sizeof(*plan->assignments));
    for (int32_t i = 0; plan->assignments != NULL && i < plan->count; i++) {
        if (!rj_read_assignment(checker, sent->assignments.items[i].assignment, &plan->assignments[i]))
            return false;
        for (int32_t j = 0; j < plan->assignments[i].assigned_partitions.count; j++)
            partitions += (uint32_t)plan->assignments[i].assigned_partitions.items[j].partitions.count;
    }
    plan->seats.size = 16;
    while (plan->seats.size < partitions * 2)
        plan->seats.size *= 2;
    plan->seats.items = rj_arena_alloc(&checker->scratch, plan->seats.size * sizeof(struct seat));
    if (plan->assignments == NULL || plan->seats.items == NULL)
        return false;
    memset(plan->seats.items, 0, plan->seats.size * sizeof(struct seat));
    return true;
}

static void judge_one_owner(struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    const struct seat *clash = NULL;
    struct rj_string second = RJ_EMPTY_STRING;
    for (int32_t i = 0; i < plan->count; i++)
        for (int32_t j = 0; j < plan->assignments[i].assigned_partitions.count; j++) {
            const struct rj_consumer_protocol_assignment_topic_partition *one =
                &plan->assignments[i].assigned_partitions.items[j];
            for (int32_t k = 0; k < one->partitions.count; k++) {
                struct rj_string topic = rj_intern(checker, one->topic);
                struct seat *seat = seat_of(&plan->seats, topic, one->partitions.items[k]);
                if (seat->taken && clash == NULL && !same(seat->member, planned_member(plan, i))) {
                    clash = seat;
                    second = planned_member(plan, i);
                }
                if (!seat->taken)
                    *seat = (struct seat){topic, one->partitions.items[k], planned_member(plan, i), true};
            }
        }
    if (!rj_is_disjoint_assignor(plan->generation->protocol_name) ||
        rj_judged(checker, RJ_RULE_T_ONE_OWNER, clash == NULL))
        return;
    struct finding finding = about_plan(plan, RJ_RULE_T_ONE_OWNER, second);
    rj_expected(rj_report(checker, &finding, "generation %d gives partition %d of %v to %v and to %v",
                          (int)plan->generation->id, (int)clash->index, clash->topic, clash->member, second),
                "one owner for each partition");
}

static int32_t listed_index(const struct plan *plan, struct rj_string member)
{
    if (plan->generation->list == NULL || plan->generation->list->body == NULL)
        return -1;
    const struct rj_join_group_response *list = plan->generation->list->body;
    for (int32_t i = 0; i < list->members.count; i++)
        if (rj_string_equal(list->members.items[i].member_id, member))
            return i;
    return -1;
}

static bool subscribes(const struct rj_consumer_protocol_subscription *subscription, struct rj_string topic)
{
    for (int32_t i = 0; i < subscription->topics.count; i++)
        if (rj_string_equal(subscription->topics.items[i], topic))
            return true;
    return false;
}

static void judge_subscribed(const struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    for (int32_t i = 0; i < plan->count; i++) {
        struct rj_consumer_protocol_subscription subscription;
        struct rj_string member = planned_member(plan, i);
        int32_t at = listed_index(plan, member);
        if (at < 0 || !rj_listed_subscription(checker, plan->generation, at, &subscription))
            continue;
        const struct rj_string *stranger = NULL;
        for (int32_t j = 0; j < plan->assignments[i].assigned_partitions.count; j++)
            if (plan->assignments[i].assigned_partitions.items[j].partitions.count > 0 &&
                !subscribes(&subscription, plan->assignments[i].assigned_partitions.items[j].topic))
                stranger = &plan->assignments[i].assigned_partitions.items[j].topic;
        if (rj_judged(checker, RJ_RULE_T_ASSIGN_SUBSCRIBED, stranger == NULL))
            continue;
        struct finding finding = about_plan(plan, RJ_RULE_T_ASSIGN_SUBSCRIBED, member);
        rj_expected(rj_report(checker, &finding,
                              "generation %d gives partitions of %v to %v, which did not subscribe to it",
                              (int)plan->generation->id, *stranger, member), "partitions of the member's own topics");
    }
}

static void judge_exists(const struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    for (uint32_t i = 0; i < plan->seats.size; i++) {
        const struct seat *seat = &plan->seats.items[i];
        const struct topic *topic = seat->taken ? rj_find_topic(checker, seat->topic) : NULL;
        if (topic == NULL || rj_judged(checker, RJ_RULE_T_ASSIGN_EXISTS, seat->index < topic->partition_count))
            continue;
        struct finding finding = about_plan(plan, RJ_RULE_T_ASSIGN_EXISTS, seat->member);
        rj_expected(rj_report(checker, &finding, "generation %d assigns partition %d of %v, which has %d partitions",
                              (int)plan->generation->id, (int)seat->index, seat->topic, (int)topic->partition_count),
                    "a partition below %d", (int)topic->partition_count);
    }
}

/* Somebody in the generation subscribed to the topic. */
static bool is_wanted(const struct plan *plan, struct rj_string topic)
{
    const struct rj_join_group_response *list = plan->generation->list->body;
    struct rj_consumer_protocol_subscription subscription;
    for (int32_t i = 0; i < list->members.count; i++)
        if (rj_listed_subscription(plan->part->checker, plan->generation, i, &subscription) &&
            subscribes(&subscription, topic))
            return true;
    return false;
}

static void judge_complete(const struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    if (!rj_is_disjoint_assignor(plan->generation->protocol_name) ||
        rj_is_cooperative(plan->generation->protocol_name) ||
        plan->generation->list == NULL || plan->generation->list->body == NULL)
        return;
    for (int32_t i = 0; i < checker->topics.count; i++) {
        const struct topic *topic = LIST_AT(&checker->topics, struct topic, i);
        int32_t left_out = -1;
        if (topic->count_changed || !is_wanted(plan, topic->name))
            continue;
        for (int32_t index = topic->partition_count - 1; index >= 0; index--)
            if (!seat_of(&plan->seats, topic->name, index)->taken)
                left_out = index;
        if (rj_judged(checker, RJ_RULE_T_ASSIGN_COMPLETE, left_out < 0))
            continue;
        struct finding finding = about_plan(plan, RJ_RULE_T_ASSIGN_COMPLETE, RJ_EMPTY_STRING);
        rj_expected(rj_report(checker, &finding, "generation %d gives partition %d of %v to nobody",
                              (int)plan->generation->id, (int)left_out, topic->name), "an owner for each partition");
    }
}

/* ---- t-coop-transfer --------------------------------------------------------------------------------------------- */

/* Is what this member says it owns still its own? Claims from a generation that others have passed are void. */
static bool claims_count(const struct plan *plan, const struct rj_consumer_protocol_subscription *subscription,
                         struct rj_string member_id, int32_t newest)
{
    const struct member *member = rj_find_member(plan->group, rj_intern(plan->part->checker, member_id));
    if (subscription->generation_id >= 0)
        return subscription->generation_id == newest;
    return newest < 0 && member != NULL && member->synced_generation == plan->generation->id - 1;
}

struct claim { struct rj_string topic; int32_t index; struct rj_string member; bool twice; };

static int32_t newest_claim(const struct plan *plan)
{
    const struct rj_join_group_response *list = plan->generation->list->body;
    struct rj_consumer_protocol_subscription subscription;
    int32_t newest = -1;
    for (int32_t i = 0; i < list->members.count; i++)
        if (rj_listed_subscription(plan->part->checker, plan->generation, i, &subscription) &&
            subscription.generation_id > newest)
            newest = subscription.generation_id;
    return newest;
}

static void add_claim(const struct plan *plan, struct list *claims, struct rj_string topic, int32_t index,
                      struct rj_string member)
{
    for (int32_t i = 0; i < claims->count; i++) {
        struct claim *claim = LIST_AT(claims, struct claim, i);
        if (same(claim->topic, topic) && claim->index == index) {
            claim->twice = true;
            return;
        }
    }
    struct claim *claim = rj_list_add(plan->part->checker, claims, sizeof(*claim));
    if (claim != NULL)
        *claim = (struct claim){topic, index, member, false};
}

static void collect_claims(const struct plan *plan, struct list *claims)
{
    struct rj_checker *checker = plan->part->checker;
    const struct rj_join_group_response *list = plan->generation->list->body;
    int32_t newest = newest_claim(plan);
    for (int32_t i = 0; i < list->members.count; i++) {
        struct rj_consumer_protocol_subscription subscription;
        struct rj_string member = rj_intern(checker, list->members.items[i].member_id);
        if (!rj_listed_subscription(checker, plan->generation, i, &subscription) ||
            !claims_count(plan, &subscription, member, newest))
            continue;
        for (int32_t j = 0; j < subscription.owned_partitions.count; j++)
            for (int32_t k = 0; k < subscription.owned_partitions.items[j].partitions.count; k++)
                add_claim(plan, claims, rj_intern(checker, subscription.owned_partitions.items[j].topic),
                          subscription.owned_partitions.items[j].partitions.items[k], member);
    }
}

static void judge_transfer(const struct plan *plan)
{
    struct rj_checker *checker = plan->part->checker;
    struct list claims = {0};
    if (!rj_is_cooperative(plan->generation->protocol_name) || plan->generation->list == NULL ||
        plan->generation->list->body == NULL)
        return;
    collect_claims(plan, &claims);
    const struct claim *taken_away = NULL;
    struct rj_string taker = RJ_EMPTY_STRING;
    for (int32_t i = 0; i < claims.count; i++) {
        const struct claim *claim = LIST_AT(&claims, struct claim, i);
        const struct seat *seat = seat_of(&plan->seats, claim->topic, claim->index);
        if (!claim->twice && seat->taken && !same(seat->member, claim->member)) {
            taken_away = claim;
            taker = seat->member;
        }
    }
    if (!rj_judged(checker, RJ_RULE_T_COOP_TRANSFER, taken_away == NULL)) {
        struct finding finding = about_plan(plan, RJ_RULE_T_COOP_TRANSFER, taker);
        rj_expected(rj_report(checker, &finding, "generation %d gives partition %d of %v to %v while %v still owns it",
                              (int)plan->generation->id, (int)taken_away->index, taken_away->topic, taker,
                              taken_away->member), "nobody, until its owner has given it up in the next generation");
    }
    rj_list_release(checker, &claims);
}

void rj_plan_accepted(const struct dialogue_part *part, struct group *group, struct generation *generation,
                      const struct rj_check_message *response)
{
    struct plan plan = {.part = part, .group = group, .generation = generation, .response = response};
    generation->plan_judged = true;
    if (group->blind || generation->plan_unsure || !rj_string_equal(generation->protocol_type, RJ_STRING("consumer")) ||
        generation->plan->body == NULL || !seat_everything(&plan))
        return;
    judge_one_owner(&plan);
    judge_subscribed(&plan);
    judge_exists(&plan);
    judge_complete(&plan);
    judge_transfer(&plan);
}
