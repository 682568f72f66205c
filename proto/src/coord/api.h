/* The requests. Each function returns false where memory or a limit does not allow the request: then nothing has
 * changed and the caller answers by rule limit-memory. */
#ifndef REJOIN_COORD_API_H
#define REJOIN_COORD_API_H

#include "coord/group.h"

struct rj_call {
    struct rj_coord *coord;
    struct rj_origin origin;
    struct rj_string client_id, client_host;
    const void *body;
    const struct rj_rights *rights;
    const struct rj_subscription_views *subscriptions;
    const struct rj_uuid *entropy;
    bool is_assured; /* see rj_event */
};

bool rj_offset_commit(const struct rj_call *call);
bool rj_offset_fetch(const struct rj_call *call);
bool rj_join_group(const struct rj_call *call);
bool rj_heartbeat(const struct rj_call *call);
bool rj_leave_group(const struct rj_call *call);
bool rj_sync_group(const struct rj_call *call);
bool rj_describe_groups(const struct rj_call *call);
bool rj_list_groups(const struct rj_call *call);
bool rj_txn_offset_commit(const struct rj_call *call);
bool rj_delete_groups(const struct rj_call *call);
bool rj_offset_delete(const struct rj_call *call);

/* ---- Admission: what a state does with a request that is otherwise in order (2.14 of the rule book) -------------- */

enum rj_request_kind {
    RJ_REQUEST_JOIN_NEW,        /* JoinGroup with an empty id */
    RJ_REQUEST_JOIN_PROMISED,   /* with an id from MEMBER_ID_REQUIRED */
    RJ_REQUEST_JOIN_LEADER,     /* of members: */
    RJ_REQUEST_JOIN_FOLLOWER,
    RJ_REQUEST_SYNC_LEADER,
    RJ_REQUEST_SYNC_FOLLOWER,
    RJ_REQUEST_HEARTBEAT,
    RJ_REQUEST_COMMIT,          /* OffsetCommit with member id and generation */
    RJ_REQUEST_COMMIT_ANONYMOUS, /* without both */
    RJ_REQUEST_TXN_COMMIT,
    RJ_REQUEST_TXN_COMMIT_ANONYMOUS,
    RJ_REQUEST_LEAVE,
    RJ_REQUEST_DELETE_GROUP,
    RJ_REQUEST_KIND_COUNT
};

enum rj_admission {
    RJ_ADMIT_REFUSE,  /* with the cell's error */
    RJ_ADMIT_PARK,    /* rebalance if there is none yet, and wait for its end */
    RJ_ADMIT_SAME,    /* answer at once where the protocols are unchanged, else park */
    RJ_ADMIT_ANSWER,  /* at once */
    RJ_ADMIT_WAIT,    /* for the leader's assignment */
    RJ_ADMIT_STORE,   /* the leader's assignment */
};

struct rj_cell { enum rj_admission admission; enum rj_rule rule; int16_t error; };
const struct rj_cell *rj_admission_cell(enum rj_request_kind kind, enum rj_group_state state);

/* ---- What several requests check --------------------------------------------------------------------------------- */

/* The member that a request names: instance id first, as Kafka does. member: found by the id, or NULL. */
struct rj_rule_set { enum rj_rule instance_unknown, instance_fenced, unknown_member; };
struct rj_verdict rj_judge_member(const struct rj_group *group, const struct rj_member *member,
                                  struct rj_string member_id, struct rj_string instance_id, struct rj_rule_set rules);

#endif
