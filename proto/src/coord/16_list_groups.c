/* ListGroups (API key 16).
 *
 * 1  ThrottleTimeMs; 2 answered before throttling (KIP-219)
 * 3  flexible
 * 4  StatesFilter and GroupState (KIP-518)
 * 5  TypesFilter and GroupType (KIP-848) */
#include "coord/api.h"
#include "coord/reply.h"

static struct rj_verdict judge(const struct rj_call *call)
{
    RJ_REQUIRE(call->coord->config.is_active, LG_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(call->coord->status != RJ_COORD_LOADING, LG_PARTIAL, COORDINATOR_LOAD_IN_PROGRESS);
    return RJ_ACCEPTED;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_word(struct rj_string text, const char *word)
{
    if (text.len != (int32_t)strlen(word))
        return false;
    for (int32_t i = 0; i < text.len; i++)
        if (lower(text.data[i]) != lower(word[i]))
            return false;
    return true;
}

static bool passes(struct rj_string_array filter, const char *word)
{
    for (int32_t i = 0; i < filter.count; i++)
        if (same_word(filter.items[i], word))
            return true;
    return filter.count <= 0 || !RJ_DOES(LG_FILTER, true);
}

static enum rj_group_state state_of(const struct rj_group *group)
{
    return group->past != NULL ? RJ_GROUP_EMPTY : group->state;
}

static struct rj_string protocol_type_of(const struct rj_group *group)
{
    const struct rj_past_life *life = rj_group_oldest_life(group);
    struct rj_string type = life ? life->protocol_type : group->protocol_type;
    return type.data ? type : RJ_EMPTY_STRING;
}

static bool is_listed(const struct rj_call *call, const struct rj_group *group, bool sees_all)
{
    const struct rj_list_groups_request *request = call->body;
    return rj_group_is_visible(group) && passes(request->states_filter, rj_group_state_name(state_of(group)))
           && passes(request->types_filter, "classic")
           && (sees_all
               || RJ_HOLDS(LG_AUTH, rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, group->node.key,
                                                  RJ_OPERATION_DESCRIBE)));
}

bool rj_list_groups(const struct rj_call *call)
{
    struct rj_coord *coord = call->coord;
    uint32_t most = coord->groups.count;
    struct rj_output_need need = {
        .replies = 1,
        .bytes = sizeof(struct rj_list_groups_response) + most * sizeof(struct rj_list_groups_response_listed_group)
                 + 128};
    if (!rj_output_reserve(coord->output, need))
        return false;
    struct rj_list_groups_response *response = rj_output_take(coord->output, sizeof(*response));
    struct rj_verdict verdict = judge(call);
    *response = (struct rj_list_groups_response){.error_code = verdict.error};
    response->groups.items = rj_output_take(coord->output, most * sizeof(*response->groups.items));
    bool sees_all = rj_is_allowed(call->rights, RJ_RESOURCE_CLUSTER, RJ_STRING("kafka-cluster"), RJ_OPERATION_DESCRIBE);
    bool lists = verdict.rule == RJ_RULE_NONE && coord->status == RJ_COORD_ACTIVE;
    if (coord->status == RJ_COORD_LOADING)
        lists = coord->config.behaviour.list_groups_partial_while_loading;
    RJ_MAP_EACH (node, &coord->groups) {
        struct rj_group *group = rj_group_of(node);
        if (!lists || !is_listed(call, group, sees_all))
            continue;
        const char *state = rj_group_state_name(state_of(group));
        response->groups.items[response->groups.count++] = (struct rj_list_groups_response_listed_group){
            .group_id = group->node.key,
            .protocol_type = protocol_type_of(group),
            .group_state = {state, (int32_t)strlen(state)}, 
            .group_type = RJ_DOES(LG_FIELDS, true) ? RJ_STRING("classic") : RJ_EMPTY_STRING};
    }
    rj_reply(coord, &call->origin, response, verdict.rule);
    return true;
}
