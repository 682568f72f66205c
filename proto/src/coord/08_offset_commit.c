/* OffsetCommit (API key 8).
 *
 * 0  (kept in ZooKeeper once)
 * 1  GenerationId, MemberId, and a timestamp for each partition
 * 2  RetentionTimeMs instead of the timestamp
 * 3  ThrottleTimeMs; 4 answered before throttling (KIP-219)
 * 5  RetentionTimeMs is gone (KIP-211)
 * 6  CommittedLeaderEpoch (KIP-320)
 * 7  GroupInstanceId (KIP-345)
 * 8  flexible
 * 9  the generation may be a member epoch; GROUP_ID_NOT_FOUND (KIP-848)
 * 10 topic ids instead of names */
#include "coord/commit.h"
#include "coord/rebalance.h"

static struct rj_verdict judge_broker(const struct rj_commit *commit)
{
    const struct rj_coord *coord = commit->call->coord;
    RJ_REQUIRE(coord->config.is_active, OC_NOT_ACTIVE, COORDINATOR_NOT_AVAILABLE);
    RJ_REQUIRE(coord->status != RJ_COORD_UNLOADED, OC_WRONG_BROKER, NOT_COORDINATOR);
    RJ_REQUIRE(coord->status != RJ_COORD_LOADING, OC_LOADING, COORDINATOR_LOAD_IN_PROGRESS);
    if (RJ_WITHOUT(OC_NULL_GROUP, rj_string_is_empty(commit->request->group_id)))
        return (struct rj_verdict){RJ_RULE_OC_NULL_GROUP, RJ_KAFKA_INVALID_GROUP_ID};
    return RJ_ACCEPTED;
}

static struct rj_verdict judge_no_group(const struct rj_commit *commit)
{
    bool anonymous = RJ_DOES(OC_NOGROUP_SIMPLE, commit->request->generation_id_or_member_epoch < 0);
    if (RJ_HOLDS(OC_NOGROUP_GENERATION, anonymous))
        return RJ_ACCEPTED;
    int16_t error = commit->call->origin.version >= 9 ? commit->call->coord->config.behaviour.commit_unknown_group_error
                                                      : RJ_KAFKA_ILLEGAL_GENERATION;
    return (struct rj_verdict){RJ_RULE_OC_NOGROUP_GENERATION, error};
}

static bool is_anonymous(const struct rj_offset_commit_request *request)
{
    return request->generation_id_or_member_epoch < 0 && request->member_id.len == 0
           && request->group_instance_id.data == NULL;
}

static struct rj_verdict judge_group(const struct rj_commit *commit)
{
    const struct rj_offset_commit_request *request = commit->request;
    const struct rj_group *group = commit->group;
    RJ_REQUIRE(group->state != RJ_GROUP_DEAD, OC_DEAD, COORDINATOR_NOT_AVAILABLE);
    if (RJ_DOES(OC_EMPTY_ANON, request->generation_id_or_member_epoch < 0 && group->state == RJ_GROUP_EMPTY))
        return RJ_ACCEPTED; /* whatever the ids say */
    if (is_anonymous(request))
        return RJ_HOLDS(OC_ANON_NONEMPTY, false)
                   ? RJ_ACCEPTED : (struct rj_verdict){RJ_RULE_OC_ANON_NONEMPTY, RJ_KAFKA_UNKNOWN_MEMBER_ID};
    struct rj_verdict verdict =
        rj_judge_member(group, commit->member, request->member_id, request->group_instance_id,
                        (struct rj_rule_set){RJ_RULE_OC_MEMBER_CHECKS, RJ_RULE_OC_MEMBER_CHECKS,
                                             RJ_RULE_OC_MEMBER_CHECKS});
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    RJ_REQUIRE(request->generation_id_or_member_epoch == group->generation_id, OC_MEMBER_CHECKS, ILLEGAL_GENERATION);
    RJ_REQUIRE(group->state != RJ_GROUP_COMPLETING, OC_COMPLETING, REBALANCE_IN_PROGRESS);
    if (RJ_WITHOUT(OC_PREPARING_OK, group->state == RJ_GROUP_PREPARING))
        return (struct rj_verdict){RJ_RULE_OC_PREPARING_OK, RJ_KAFKA_REBALANCE_IN_PROGRESS};
    return RJ_ACCEPTED;
}

static struct rj_verdict judge(const struct rj_commit *commit)
{
    struct rj_verdict verdict = judge_broker(commit);
    if (verdict.rule != RJ_RULE_NONE)
        return verdict;
    return commit->group == NULL ? judge_no_group(commit) : judge_group(commit);
}

/* An accepted commit is a sign of life (oc-session). */
static void keep_session(const struct rj_commit *commit)
{
    struct rj_group *group = commit->group;
    struct rj_identity *identity = commit->identity;
    if (RJ_DOES(OC_SESSION, commit->member != NULL
                                && (group->state == RJ_GROUP_STABLE || group->state == RJ_GROUP_PREPARING)))
        rj_restart_session(group, identity, identity->session_timeout_ms);
}

void rj_fail_offset_commit(void *body, int16_t error) { rj_commit_fail(body, error); }

/* A group that only keeps offsets: Empty, without a protocol type. */
static bool create_simple_group(struct rj_commit *commit)
{
    commit->group = rj_group_prepare(commit->call->coord, commit->request->group_id);
    commit->creates_group = true;
    return commit->group != NULL;
}

bool rj_offset_commit(const struct rj_call *call)
{
    const struct rj_offset_commit_request *request = call->body;
    struct rj_commit commit = {.call = call, .request = request, .producer_id = -1};
    commit.group = rj_group_find(call->coord, request->group_id);
    commit.identity = commit.group ? rj_identity_find(commit.group, request->member_id) : NULL;
    commit.member = commit.identity ? commit.identity->member : NULL;
    commit.is_direct = call->is_assured && commit.group != NULL && call->coord->first_write == NULL;
    if (!rj_commit_begin(&commit, 0))
        return false;
    if (!RJ_HOLDS(OC_AUTH_GROUP,
                  rj_is_allowed(call->rights, RJ_RESOURCE_GROUP, request->group_id, RJ_OPERATION_READ))) {
        rj_commit_refuse_all(&commit,
                             (struct rj_verdict){RJ_RULE_OC_AUTH_GROUP, RJ_KAFKA_GROUP_AUTHORIZATION_FAILED});
        rj_commit_answer(&commit);
        return true;
    }
    rj_commit_check_topics(&commit);
    if (RJ_DOES(OC_ALL_FILTERED, commit.forwarded_count == 0)) {
        rj_commit_answer(&commit);
        return true;
    }
    struct rj_verdict verdict = judge(&commit);
    if (verdict.rule != RJ_RULE_NONE) {
        rj_commit_refuse_forwarded(&commit, verdict);
        rj_commit_answer(&commit);
        return true;
    }
    if (commit.group == NULL && !create_simple_group(&commit)) {
        rj_write_discard(call->coord, commit.write);
        return false;
    }
    if (!rj_commit_prepare(&commit))
        return false;
    if (commit.creates_group)
        rj_group_open(commit.group);
    keep_session(&commit);
    rj_commit_apply(&commit);
    return true;
}
