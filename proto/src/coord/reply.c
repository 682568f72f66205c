/* Answers that several files build. */
#include "coord/reply.h"

#include "coord/group.h"

void rj_reply(struct rj_coord *coord, const struct rj_origin *origin, const void *body, enum rj_rule rule)
{
    *rj_output_reply(coord->output) = (struct rj_reply){
        .connection_id = origin->connection_id, .correlation_id = origin->correlation_id,
        .api_key = origin->api_key, .version = origin->version, .body = body, .rule = rule};
}

struct rj_join_group_response *rj_join_response(struct rj_coord *coord, int16_t version)
{
    struct rj_join_group_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_join_group_response){
        .generation_id = -1, .protocol_name = version >= 7 ? RJ_NULL_STRING : RJ_EMPTY_STRING,
        .leader = RJ_EMPTY_STRING, .member_id = RJ_EMPTY_STRING};
    return response;
}

struct rj_sync_group_response *rj_sync_response(struct rj_coord *coord)
{
    struct rj_sync_group_response *response = rj_output_take(coord->output, sizeof(*response));
    *response = (struct rj_sync_group_response){.assignment = RJ_EMPTY_BYTES};
    return response;
}

struct rj_join_group_response_member_array rj_join_members(struct rj_group *group)
{
    int32_t count = (int32_t)group->members.count, i = 0;
    struct rj_join_group_response_member *items =
        rj_output_take(group->coord->output, (size_t)count * sizeof(*items));
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        struct rj_bytes metadata = rj_protocols_metadata(member->protocols, group->protocol_name);
        if (RJ_WITHOUT(JOINC_LEADER_IN_MEMBERS, group->leader == member->identity))
            continue;
        items[i++] = (struct rj_join_group_response_member){
            .member_id = member->node.key, .group_instance_id = member->instance.key,
            .metadata = metadata.data ? metadata : RJ_EMPTY_BYTES};
    }
    return (struct rj_join_group_response_member_array){items, i};
}

void rj_refuse_join(struct rj_coord *coord, const struct rj_origin *origin, struct rj_string member_id,
                    struct rj_verdict verdict)
{
    struct rj_join_group_response *response = rj_join_response(coord, origin->version);
    response->error_code = verdict.error;
    if (RJ_WITHOUT(JOIN_ERROR_SHAPE, true))
        response->generation_id = 0;
    response->member_id = rj_output_string(coord->output, member_id);
    rj_reply(coord, origin, response, verdict.rule);
}

void rj_refuse_sync(struct rj_coord *coord, const struct rj_origin *origin, struct rj_verdict verdict)
{
    struct rj_sync_group_response *response = rj_sync_response(coord);
    response->error_code = verdict.error;
    rj_reply(coord, origin, response, verdict.rule);
}

struct rj_output_need rj_refusal_need(void)
{
    return (struct rj_output_need){.replies = 1, .bytes = 256};
}
