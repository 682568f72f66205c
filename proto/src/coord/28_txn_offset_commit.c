/* TxnOffsetCommit (API key 28).
 *
 * 1  answered before throttling (KIP-219)
 * 2  CommittedLeaderEpoch
 * 3  MemberId, GenerationId, GroupInstanceId (KIP-447); flexible
 * 4  TRANSACTION_ABORTABLE (KIP-890)
 * 5  the same fields, for transactions of KIP-890's second part */
#include "coord/commit.h"

static struct rj_verdict judge_rights(const struct rj_call *call, const struct rj_txn_offset_commit_request *request)
{
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_TRANSACTIONAL_ID, request->transactional_id, RJ_OPERATION_WRITE),
               TOC_AUTH, TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    RJ_REQUIRE(rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, request->group_id, RJ_OPERATION_READ), TOC_AUTH,
               GROUP_AUTHORIZATION_FAILED);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_broker(const struct rj_commit *commit)
{
    const struct rj_coord *coord = commit->call->coord;
    RJ_REQUIRE(coord->config.is_active, OC_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(!rj_string_is_empty(commit->request->group_id), TOC_GROUP_ID_EMPTY, INVALID_GROUP_ID);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, OC_WRONG_BROKER, NOT_COORDINATOR);
    if (commit->call->origin.version < 2)
        RJ_REQUIRE(coord->status != RJ_COORD_LOADING, TOC_OLD_LOADING, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(coord->status != RJ_COORD_LOADING, OC_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    return RJ_ACCEPTED;
}

static struct rj_verdict judge(const struct rj_commit *commit)
{
    const struct rj_offset_commit_request *request = commit->request;
    const struct rj_group *group = commit->group;
    struct rj_verdict verdict = judge_broker(commit);
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    if (!RJ_HOLDS(TOC_CHECKS, group != NULL || request->generation_id_or_member_epoch < 0))
        return (struct rj_verdict){RJ_RULE_TOC_CHECKS, commit->call->coord->config.behaviour.txn_makes_group_first
                                                           ? RJ_KAFKA_UNKNOWN_MEMBER_ID
                                                           : RJ_KAFKA_ILLEGAL_GENERATION};
    if (group == NULL)
        return RJ_ACCEPTED;
    RJ_REQUIRE(group->state != RJ_GROUP_DEAD, OC_DEAD, COORDINATOR_NOT_AVAILABLE);
    bool has_ids = request->generation_id_or_member_epoch >= 0 || request->member_id.len > 0
                   || request->group_instance_id.data != NULL;
    if (RJ_DOES(TOC_ANON_OK, !has_ids) || (request->generation_id_or_member_epoch < 0 && group->state == RJ_GROUP_EMPTY))
        return RJ_ACCEPTED;
    verdict = rj_judge_member(group, rj_member_find(group, request->member_id), request->member_id,
                              request->group_instance_id,
                              (struct rj_rule_set){RJ_RULE_TOC_CHECKS, RJ_RULE_TOC_CHECKS, RJ_RULE_TOC_CHECKS});
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    RJ_REQUIRE(request->generation_id_or_member_epoch == group->generation_id, TOC_CHECKS, ILLEGAL_GENERATION);
    if (RJ_WITHOUT(TOC_NEVER_27, group->state == RJ_GROUP_COMPLETING))
        return (struct rj_verdict){RJ_RULE_TOC_NEVER_27, RJ_KAFKA_REBALANCE_IN_PROGRESS};
    return RJ_ACCEPTED;
}

/* The same request as a plain commit, in the output. */
static struct rj_offset_commit_request *as_plain(struct rj_output *output,
                                                 const struct rj_txn_offset_commit_request *request)
{
    struct rj_offset_commit_request *plain = rj_output_take(output, sizeof(*plain));
    *plain = (struct rj_offset_commit_request){
        .group_id = request->group_id, .generation_id_or_member_epoch = request->generation_id,
        .member_id = request->member_id, .group_instance_id = request->group_instance_id, .retention_time_ms = -1};
    plain->topics.count = request->topics.count;
    plain->topics.items = rj_output_take(output, (size_t)request->topics.count * sizeof(*plain->topics.items));
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct rj_txn_offset_commit_request_topic *from = &request->topics.items[t];
        struct rj_offset_commit_request_topic *to = &plain->topics.items[t];
        *to = (struct rj_offset_commit_request_topic){.name = from->name};
        to->partitions.count = from->partitions.count;
        to->partitions.items =
            rj_output_take(output, (size_t)from->partitions.count * sizeof(*to->partitions.items));
        for (int32_t p = 0; p < from->partitions.count; p++)
            to->partitions.items[p] = (struct rj_offset_commit_request_partition){
                .partition_index = from->partitions.items[p].partition_index,
                .committed_offset = from->partitions.items[p].committed_offset,
                .committed_leader_epoch = from->partitions.items[p].committed_leader_epoch, .commit_timestamp = -1,
                .committed_metadata = from->partitions.items[p].committed_metadata};
    }
    return plain;
}

static size_t plain_len(const struct rj_txn_offset_commit_request *request)
{
    size_t len = rj_output_len(sizeof(struct rj_offset_commit_request)) + 64;
    for (int32_t t = 0; t < request->topics.count; t++)
        len += sizeof(struct rj_offset_commit_request_topic) + 64
               + (size_t)request->topics.items[t].partitions.count * sizeof(struct rj_offset_commit_request_partition);
    return len;
}

/* The answer of the plain commit in this API's type; partitions look alike in both. */
void rj_txn_convert_answer(struct rj_commit *commit)
{
    const struct rj_offset_commit_response *plain = commit->response;
    struct rj_txn_offset_commit_response *response = rj_write_take(commit->write, sizeof(*response));
    *response = (struct rj_txn_offset_commit_response){.throttle_time_ms = 0};
    response->topics.items =
        rj_write_take(commit->write, (size_t)plain->topics.count * sizeof(*response->topics.items));
    for (int32_t t = 0; t < plain->topics.count; t++) {
        const struct rj_offset_commit_response_topic *from = &plain->topics.items[t];
        struct rj_txn_offset_commit_response_topic *to = &response->topics.items[response->topics.count++];
        *to = (struct rj_txn_offset_commit_response_topic){.name = from->name};
        to->partitions.items =
            rj_write_take(commit->write, (size_t)from->partitions.count * sizeof(*to->partitions.items));
        for (int32_t p = 0; p < from->partitions.count; p++)
            to->partitions.items[to->partitions.count++] = (struct rj_txn_offset_commit_response_partition){
                .partition_index = from->partitions.items[p].partition_index,
                .error_code = from->partitions.items[p].error_code};
    }
    commit->write->body = response;
}

static size_t answer_len(const struct rj_txn_offset_commit_request *request)
{
    size_t len = sizeof(struct rj_txn_offset_commit_response) + 64;
    for (int32_t t = 0; t < request->topics.count; t++)
        len += sizeof(struct rj_txn_offset_commit_response_topic) + 64
               + (size_t)request->topics.items[t].partitions.count
                     * sizeof(struct rj_txn_offset_commit_response_partition);
    return len;
}

void rj_fail_txn_offset_commit(void *body, int16_t error)
{
    struct rj_txn_offset_commit_response *response = body;
    for (int32_t t = 0; t < response->topics.count; t++)
        for (int32_t p = 0; p < response->topics.items[t].partitions.count; p++) {
            int16_t *code = &response->topics.items[t].partitions.items[p].error_code;
            if (*code == 0 || *code == RJ_KAFKA_OFFSET_METADATA_TOO_LARGE)
                *code = error;
        }
}

static bool accept(struct rj_commit *commit)
{
    struct rj_coord *coord = commit->call->coord;
    if (commit->group == NULL) {
        commit->group = rj_group_prepare(coord, commit->request->group_id);
        commit->creates_group = true;
        if (commit->group == NULL) {
            rj_write_discard(coord, commit->write);
            return false;
        }
    }
    if (!rj_commit_prepare(commit))
        return false;
    if (commit->creates_group)
        rj_group_open(commit->group);
    rj_commit_apply(commit);
    return true;
}

/* The group that the Scala coordinator makes before it looks for the member: without a record, so that it is committed
 * as it is. Not where the deletion of an earlier one is on its way. */
static bool leave_group_behind(const struct rj_commit *commit)
{
    struct rj_group *group = rj_group_prepare(commit->call->coord, commit->request->group_id);
    if (group == NULL)
        return false;
    if (group->deleted_by != 0 || group->past != NULL)
        return true;
    rj_group_open(group);
    group->is_committed = true;
    return true;
}

bool rj_txn_offset_commit(const struct rj_call *call)
{
    const struct rj_txn_offset_commit_request *request = call->body;
    struct rj_output *output = call->coord->output;
    struct rj_output_need need = {.bytes = plain_len(request)};
    if (!rj_output_reserve(output, need))
        return false;
    struct rj_commit commit = {.call = call, .request = as_plain(output, request),
                               .producer_id = request->producer_id, .producer_epoch = request->producer_epoch};
    commit.group = rj_group_find(call->coord, request->group_id);
    if (!rj_commit_begin(&commit, answer_len(request)))
        return false;
    struct rj_verdict verdict = judge_rights(call, request);
    if (verdict.rule != RJ_RULE_NONE) {
        rj_commit_refuse_all(&commit, verdict);
    } else {
        rj_commit_check_topics(&commit);
        verdict = judge(&commit);
        if (commit.forwarded_count > 0 && verdict.rule == RJ_RULE_NONE)
            return accept(&commit);
        if (commit.forwarded_count > 0 && commit.group == NULL && verdict.rule == RJ_RULE_TOC_CHECKS
            && call->coord->config.behaviour.txn_makes_group_first && !leave_group_behind(&commit)) {
            rj_write_discard(call->coord, commit.write);
            return false;
        }
        if (commit.forwarded_count > 0)
            rj_commit_refuse_forwarded(&commit, verdict);
    }
    rj_txn_convert_answer(&commit);
    rj_commit_answer(&commit);
    return true;
}
