/* Looking inside a coordinator: for tests, `rejoin core` and whoever hunts a bug. Nothing here is needed to run one. */
#ifndef REJOIN_INSPECT_H
#define REJOIN_INSPECT_H

#include "rejoin/coord.h"

/* Views are valid until the next step. */
struct rj_group_view {
    struct rj_string group_id;
    enum rj_group_state state;
    int32_t generation_id;
    struct rj_string protocol_type, protocol_name, leader; /* null: none */
    int32_t member_count, awaiting_join_count, pending_sync_count, promised_count;
    int64_t offset_count;
};

/* An id that the group knows: a member, a promised id, one that has not synced, or one whose timer still runs. */
struct rj_id_view {
    struct rj_string member_id, instance_id; /* instance id null: none */
    bool is_member, is_promised, is_pending_sync;
};

struct rj_timer_view {
    enum { RJ_TIMER_OF_SESSION, RJ_TIMER_OF_JOIN, RJ_TIMER_OF_SYNC, RJ_TIMER_OF_WRITE, RJ_TIMER_OF_EXPIRY } kind;
    int64_t deadline_ms;
    struct rj_string group_id, member_id; /* null: none */
};

/* NULL callbacks are skipped. Members of a group come first, in map order (that of java.util.HashMap), then its other
 * ids. Timers come in no order. */
struct rj_inspector {
    void *context;
    void (*group)(void *context, const struct rj_group_view *group);
    void (*id)(void *context, const struct rj_group_view *group, const struct rj_id_view *id);
    void (*timer)(void *context, const struct rj_timer_view *timer);
};
void rj_inspect(const struct rj_coord *coord, const struct rj_inspector *inspector);

/* Puts a group into a state that no event leads to, so that the rules for it can be tried: Dead, which Kafka's groups
 * are in only between the loss of a partition and its removal. False: no such group. */
bool rj_force_group_state(struct rj_coord *coord, struct rj_string group_id, enum rj_group_state state);

#endif
