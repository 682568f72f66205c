/* What a coordinator holds. Private to proto/src/coord.
 *
 * A group is known by its id for as long as it exists or one of its timers runs: Kafka's timers are named by group and
 * member id and outlive both (a replaced static member's timer runs out without effect). The ids that a group has
 * handed out or accepted are identities; a member is what an identity becomes once it is in the group. */
#ifndef REJOIN_COORD_STATE_H
#define REJOIN_COORD_STATE_H

#include "coord/map.h"
#include "coord/memory.h"
#include "coord/output.h"
#include "coord/timers.h"
#include "rejoin/coord.h"

#include <assert.h>
#include <string.h>

/* Who asked, and how to answer. */
struct rj_origin {
    uint64_t connection_id;
    int32_t correlation_id;
    int16_t api_key, version;
};

/* A JoinGroup or SyncGroup that waits. Where waiting holds but answered too, Kafka has completed the answer early (a
 * failed write) while the member still counts as waiting. */
struct rj_parked {
    struct rj_parked *next, **previous; /* among the parked requests of connections with the same bucket */
    struct rj_origin origin;
    uint64_t ticket; /* tells this request from one that took its place */
    bool waiting, answered;
};

/* One protocol of a member, in its order of preference. */
struct rj_protocol {
    struct rj_string name;
    struct rj_bytes metadata;
    struct rj_protocol_counter *counter;
    bool is_subscription; /* topics are known */
    const struct rj_string *topics;
    int32_t topic_count;
};

/* A member's protocols; one allocation with all that they point to. */
struct rj_protocols {
    struct rj_protocol *items;
    int32_t count;
    int64_t topic_count, topic_bytes; /* over all protocols */
    size_t bytes;
};

/* How many members offer a protocol; a name offered twice by one member counts twice (join-duplicate-protocols). */
struct rj_protocol_counter {
    struct rj_map_node node;
    int32_t count;
    int32_t holds;             /* protocols that refer to it */
    int32_t votes, first_vote; /* during one vote */
};

/* What a heartbeat looks at stands first, and nothing of the member beyond it does: with thousands of members the cost of
 * a heartbeat is that of bringing these bytes, and the id behind them, into the cache. */
struct rj_identity {
    struct rj_map_node node;  /* by id in the group's identities */
    struct rj_member *member; /* NULL: not in the group */
    struct rj_timer timer;    /* session, new member or promised id */
    int32_t session_timeout_ms; /* of the member that it is or is to become */
    int32_t holds;            /* writes that refer to it */
    struct rj_group *group;
    bool is_pending;          /* promised by MEMBER_ID_REQUIRED, not yet in the group */
    bool is_pending_sync;     /* has not sent SyncGroup in this generation */
};

struct rj_member {
    struct rj_map_node node;     /* by id in java.util.HashMap order */
    struct rj_map_node instance; /* by instance id; key.data == NULL: dynamic */
    struct rj_identity *identity;
    struct rj_string client_id, client_host;
    int32_t rebalance_timeout_ms;
    struct rj_protocols *protocols;
    struct rj_bytes assignment; /* its own allocation, or empty */
    struct rj_parked join, sync;
    bool is_new;
};

/* The topics that the group subscribed to when its last join phase ended. */
struct rj_subscribed {
    bool is_known;
    uint32_t mask; /* slots - 1; slots == NULL: no topics */
    struct rj_string *slots;
};

/* What a deletion without a result has ended, as it was (always Empty), once the group was made anew. Reads of committed
 * state see the oldest; it comes back where the records that followed fail. */
struct rj_past_life {
    struct rj_past_life *older;
    uint64_t created_by, deleted_by, visible_from;
    int32_t generation_id;
    int64_t state_since_ms;
    struct rj_string protocol_type;
    struct rj_subscribed subscribed;
};

enum rj_join_timer { RJ_JOIN_TIMER_PHASE, RJ_JOIN_TIMER_INITIAL };

struct rj_group {
    struct rj_map_node node; /* by id */
    struct rj_coord *coord;
    /* What every request looks at stands together. */
    struct rj_map identities;
    enum rj_group_state state, previous_state;
    int32_t generation_id;
    /* Existence: exists is what the next request sees, is_committed whether a read of committed state sees it, or the
     * oldest of its past lives. */
    bool exists, is_committed;
    uint64_t created_by, deleted_by; /* append ids without a result; 0: none */
    struct rj_past_life *past, *spare_past; /* newest first; what the next one is kept in */
    uint64_t visible_from;           /* created without a record: committed with that append or a later one; 0: no */
    int32_t holds;                   /* writes that refer to it */

    int64_t state_since_ms; /* -1: unknown (an old record) */
    struct rj_string protocol_type; /* null: a simple group. Its own allocation */
    struct rj_protocol_counter *protocol; /* chosen, held; NULL: none */
    struct rj_string protocol_name; /* its name; null: none */
    struct rj_identity *leader;     /* its holds count this */
    struct rj_map members, instances, counters;
    int32_t pending_count, pending_sync_count, awaiting_join_count;
    int64_t topic_count, topic_bytes; /* over all protocols of all members */
    bool new_member_added;
    bool miscounts; /* protocols of a member that is no more were counted (rj_group_miscount) */
    struct rj_subscribed subscribed;

    struct rj_timer join_timer, sync_timer;
    enum rj_join_timer join_timer_kind;
    int32_t initial_delay_ms, initial_remaining_ms;
    int32_t sync_timer_generation;

    struct rj_map topics;        /* of committed offsets, by name */
    int64_t offset_count;        /* partitions with a plain offset in the latest state */
    int64_t transaction_count;   /* open transactional offsets that no tombstone removes */
};

/* ---- Offsets ----------------------------------------------------------------------------------------------------- */

/* One record's worth. A partition keeps the committed one and, newest first, those without a result. */
struct rj_offset {
    struct rj_offset *older;
    uint64_t append_id;    /* 0: committed */
    int64_t position;      /* in the log's order */
    int64_t producer_id;   /* -1: plain */
    struct rj_offset_partition *partition; /* of a transactional one */
    struct rj_offset *next_of_producer;
    uint64_t removed_by;   /* append id of a tombstone that removes an open transactional one; 0: none */
    bool is_tombstone;
    int64_t offset, commit_timestamp_ms, expire_timestamp_ms; /* expire -1: by retention */
    int32_t leader_epoch;
    struct rj_uuid topic_id;
    struct rj_string metadata;
};

struct rj_offset_partition {
    struct rj_map_node node; /* by partition index (hash only) */
    struct rj_offset_topic *topic;
    int32_t partition;
    struct rj_offset *plain;         /* newest first */
    struct rj_offset *transactional; /* open ones, newest first, any producer */
    int32_t holds;                   /* writes that refer to it */
};

struct rj_offset_topic {
    struct rj_map_node node; /* by name */
    struct rj_group *group;
    struct rj_map partitions;
};

/* ---- Writes ------------------------------------------------------------------------------------------------------ */

enum rj_write_kind {
    RJ_WRITE_REPLY,     /* an answer that waits for its records, or (append_id 0) for the records before it */
    RJ_WRITE_NEW_GROUP, /* the empty record of a group that a JoinGroup created */
    RJ_WRITE_EMPTY,     /* the record of a group that became empty */
    RJ_WRITE_ASSIGNMENT, /* the leader's SyncGroup */
    RJ_WRITE_STATIC,    /* a static member was replaced in Stable */
    RJ_WRITE_QUIET,     /* tombstones that nobody waits for */
    RJ_WRITE_EXPIRED,   /* those of the periodic clean-up, whose next run is put off when they take too long */
    RJ_WRITE_TURN,      /* the turn of a parked JoinGroup or SyncGroup behind the writes before it */
};

struct rj_assigned { struct rj_string member_id; struct rj_bytes bytes; };

struct rj_write {
    struct rj_write *newer, *older;
    struct rj_timer timer;
    enum rj_write_kind kind;
    uint64_t append_id;
    bool answered; /* timed out, or its connection is gone */
    bool is_overwritten; /* its parked request was replaced by a later one and waits for nothing else any more */
    struct rj_origin origin; /* api_key -1: nobody waits */
    void *body;    /* the answer, in the write's own memory */
    enum rj_rule rule;
    struct rj_group *group; /* held; NULL: none or several */
    struct rj_identity *identity, *replaced; /* held; NULL: none */
    uint64_t ticket;
    int32_t generation_id;
    struct rj_assigned *assigned; /* sorted by member id */
    int32_t assigned_count;
    struct rj_protocols *old_protocols;
    int32_t old_rebalance_timeout_ms, old_session_timeout_ms;
    struct rj_string old_leader;
    int32_t partition_count; /* of offsets touched; touched[] lies behind the structure */
    struct rj_offset_partition **touched;
    int32_t group_count;     /* of groups deleted */
    struct rj_group **deleted;
    char *room, *room_end;   /* for the answer */
};

/* A few: every coordinator has them, and most hold no parked request. Only a connection that ends looks through one. */
enum { RJ_PARKED_BUCKETS = 64 };

enum rj_coord_status { RJ_COORD_ACTIVE, RJ_COORD_LOADING, RJ_COORD_UNLOADED };

struct rj_transaction {
    struct rj_map_node node; /* by producer id (hash only) */
    int64_t producer_id;
    struct rj_offset *first; /* of its open offsets, newest first */
};

struct rj_coord {
    struct rj_memory memory;
    struct rj_limits limits;
    struct rj_config config;
    enum rj_coord_status status;
    int64_t now_ms;
    const struct rj_topic_table *topics;
    struct rj_map groups;
    struct rj_map transactions;
    struct rj_timers timers;
    struct rj_timer expiry_timer;
    struct rj_write *first_write, *last_write; /* oldest, newest */
    uint64_t next_append_id, committed_append_id, next_ticket;
    int64_t next_position; /* in the log */
    int64_t offset_count;
    struct rj_parked *parked[RJ_PARKED_BUCKETS];
    struct rj_output *output, own_output; /* own, or one that is shared */
    /* Reserved for what a rebalance may need. */
    struct rj_write *spare_write;
    struct rj_string *subscribed;  /* of the coming generation */
    uint32_t subscribed_mask;
    const struct rj_pins *pins; /* of the step */
    bool entropy_used;
};

/* A verdict on a request: the rule that refuses it and Kafka's error, or RJ_RULE_NONE and 0. */
struct rj_verdict { enum rj_rule rule; int16_t error; };
#define RJ_ACCEPTED ((struct rj_verdict){RJ_RULE_NONE, 0})

/* Where a rule stands in the code. In the knock-out build one rule can be switched off, and each counts its hits; in
 * every other build these are their conditions.
 * HOLDS: a guard; unless the condition holds, the request is refused. Without the rule it always holds.
 * DOES: an effect, or a way that is taken where the condition holds. Without the rule it is not.
 * WITHOUT: what a rule forbids. Only true without the rule, where the condition holds. */
#ifdef REJOIN_KNOCKOUT
bool rj_rule_holds(enum rj_rule rule, bool condition);
bool rj_rule_does(enum rj_rule rule, bool condition);
bool rj_rule_without(enum rj_rule rule, bool condition);
#define RJ_HOLDS_BY(rule, condition) rj_rule_holds(rule, condition)
#define RJ_DOES_BY(rule, condition) rj_rule_does(rule, condition)
#define RJ_WITHOUT_BY(rule, condition) rj_rule_without(rule, condition)
#else
#define RJ_HOLDS_BY(rule, condition) (condition)
#define RJ_DOES_BY(rule, condition) (condition)
#define RJ_WITHOUT_BY(rule, condition) (false && (condition))
#endif
#define RJ_HOLDS(RULE, condition) RJ_HOLDS_BY(RJ_RULE_##RULE, condition)
#define RJ_DOES(RULE, condition) RJ_DOES_BY(RJ_RULE_##RULE, condition)
#define RJ_WITHOUT(RULE, condition) RJ_WITHOUT_BY(RJ_RULE_##RULE, condition)
#define RJ_REQUIRE(condition, RULE, ERROR)                                                                             \
    do {                                                                                                               \
        if (!RJ_HOLDS(RULE, condition))                                                                                \
            return (struct rj_verdict){RJ_RULE_##RULE, RJ_KAFKA_##ERROR};                                              \
    } while (0)

#define RJ_CONTAINER(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

#endif
