/* What a step asks its host to do. */
#include "consumer/state.h"

#include <string.h>

struct rj_consumer_action *rj_consumer_act(struct rj_consumer *c, enum rj_consumer_action_type type)
{
    void *items = c->actions;
    if (!rj_consumer_grow(c, &items, &c->action_capacity, c->action_count, sizeof *c->actions))
        return NULL;
    c->actions = items;
    struct rj_consumer_action *action = &c->actions[c->action_count++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

static void tell_error(struct rj_consumer *c, int16_t api_key, int16_t error_code, enum rj_rule rule,
                       const char *sentence, bool is_fatal)
{
    struct rj_consumer_action *action = rj_consumer_act(c, RJ_CONSUMER_ERROR);
    if (action == NULL)
        return;
    action->as.error.api_key = api_key;
    action->as.error.error_code = error_code;
    action->as.error.rule = rule;
    action->as.error.sentence = sentence;
    action->as.error.is_fatal = is_fatal;
}

void rj_consumer_report(struct rj_consumer *c, int16_t api_key, int16_t error_code, enum rj_rule rule,
                        const char *sentence)
{
    tell_error(c, api_key, error_code, rule, sentence, false);
}

void rj_consumer_fail(struct rj_consumer *c, int16_t api_key, int16_t error_code, enum rj_rule rule,
                      const char *sentence)
{
    if (c->state == RJ_CONSUMER_FAILED || c->state == RJ_CONSUMER_DONE)
        return;
    c->state = RJ_CONSUMER_FAILED;
    c->membership++;
    c->generation_id = NO_GENERATION_ID;
    rj_commit_give_up(c, error_code);
    if (c->partition_count > 0)
        rj_consumer_tell_partitions(c, RJ_CONSUMER_LOST, NULL);
    rj_partition_remove(c, NULL);
    tell_error(c, api_key, error_code, rule, sentence, true);
}

void rj_consumer_tell_partitions(struct rj_consumer *c, enum rj_consumer_action_type type, partition_filter select)
{
    struct rj_consumer_partition *list = rj_consumer_step_alloc(c, c->partition_count, sizeof *list);
    int32_t count = 0;
    if (list == NULL)
        return;
    for (int32_t i = 0; i < c->partition_count; i++) {
        const struct partition *partition = &c->partitions[i];
        if (partition->is_ghost || (select != NULL && !select(c, partition)))
            continue;
        list[count++] = (struct rj_consumer_partition){
            .topic = rj_consumer_step_string(c, partition->topic),
            .partition = partition->number,
            .offset = partition->state == POSITION_READY ? partition->position : -1,
        };
    }
    struct rj_consumer_action *action = rj_consumer_act(c, type);
    if (action == NULL)
        return;
    action->as.partitions.partitions = list;
    action->as.partitions.partition_count = count;
    action->as.partitions.generation_id = c->generation_id;
    action->as.partitions.member_id = rj_consumer_step_string(c, c->member_id);
    action->as.partitions.is_leader = c->group.is_leader;
}
