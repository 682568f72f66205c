/* The life of a generation: entering a rebalance, collecting joins, completing, assignments, expiry of members. */
#ifndef REJOIN_COORD_REBALANCE_H
#define REJOIN_COORD_REBALANCE_H

#include "coord/group.h"

/* Why something happens, for the state changes that the update reports. */
struct rj_cause { enum rj_rule rule; struct rj_string member_id; };

enum rj_outcome {
    RJ_OUTCOME_NONE,
    RJ_OUTCOME_EMPTIED,     /* the group is Empty now: its record must be written */
    RJ_OUTCOME_VOTE_FAILED, /* no protocol is supported by all: the phase hangs (join-duplicate-protocols) */
};

/* The only function that writes a group's state. Asserts that the table allows the step. */
void rj_group_enter(struct rj_group *group, enum rj_group_state state, struct rj_cause cause);
bool rj_transition_allowed(enum rj_group_state from, enum rj_group_state to);

/* What the functions below may need at most, where joining (NULL: nobody) comes to the group's members. Must be
 * reserved before them. */
struct rj_output_need rj_cascade_need(const struct rj_group *group, bool joining);
bool rj_cascade_reserve(struct rj_group *group, const struct rj_protocols *joining, bool is_joining);
void rj_cascade_release(struct rj_coord *coord); /* what was not needed, at the end of a step */

enum rj_outcome rj_prepare_rebalance(struct rj_group *group, struct rj_cause cause);
enum rj_outcome rj_maybe_complete_join(struct rj_group *group, struct rj_cause cause);
enum rj_outcome rj_rebalance_or_complete(struct rj_group *group, struct rj_cause cause);
enum rj_outcome rj_complete_join(struct rj_group *group, struct rj_cause cause);
void rj_reset_assignments(struct rj_group *group, int16_t error, enum rj_rule rule);
void rj_propagate_assignments(struct rj_group *group, int16_t error, enum rj_rule rule);
void rj_restart_session(struct rj_group *group, struct rj_identity *identity, int32_t timeout_ms);
/* Removes a member whose parked JoinGroup, if any, gets UNKNOWN_MEMBER_ID with an empty id. */
void rj_evict(struct rj_group *group, struct rj_member *member, enum rj_rule rule);

enum rj_outcome rj_expire_session(struct rj_identity *identity);
enum rj_outcome rj_expire_join(struct rj_group *group);
enum rj_outcome rj_expire_sync(struct rj_group *group);

/* Answers to parked requests. Nothing happens where nobody waits. */
void rj_answer_join_error(struct rj_group *group, struct rj_member *member, struct rj_string member_id, int16_t error,
                          enum rj_rule rule);
void rj_answer_join(struct rj_group *group, struct rj_member *member, struct rj_string leader, bool with_members,
                    bool skip_assignment);
void rj_answer_sync(struct rj_group *group, struct rj_member *member, int16_t error, enum rj_rule rule);

#endif
