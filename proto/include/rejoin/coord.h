/* The group coordinator without I/O: one event in, one update out.
 *
 * One rj_coord is one partition of __consumer_offsets. The host owns the log: records that an update asks for are
 * appended by the host, which reports the outcome in an RJ_EVENT_APPEND_RESULT; replies that depend on them come out
 * of that step. There are no callbacks but the allocator, and no list of timers: rj_next_deadline_ms is the only clock
 * contract. The coordinator sees typed messages (messages.h), never bytes. */
#ifndef REJOIN_COORD_H
#define REJOIN_COORD_H

#include "rejoin/errors.h"
#include "rejoin/messages.h"
#include "rejoin/rules.h"

struct rj_coord;

/* ---- Configuration -------------------------------------------------------------------------------------------- */

/* Behaviour that differs between Kafka releases (the switches of the rule book). rj_config_for_release fills them. */
struct rj_behaviour {
    int16_t heartbeat_in_completing_error; /* 27 before 2.7, 0 since (KAFKA-10134) */
    int16_t sync_while_loading_error;      /* 27 in the Scala coordinator (default to 3.9), 14 in the Java one */
    bool pending_sync_expires;             /* since 3.0 (KAFKA-12890) */
    bool unstable_plain_offsets;           /* Scala: 88 also for plain commits that are not replicated yet */
    bool list_groups_partial_while_loading; /* Scala: 14 together with the groups at hand; Java: 14 and none */
    bool member_id_required;               /* since 2.2 (KIP-394) */
    bool pending_leave_rebalances;         /* Java: a promised member id that leaves starts a rebalance as a member does;
                                            * Scala: it is only forgotten, and no longer waited for */
    bool stable_sync_restarts_session;     /* Scala: a SyncGroup answered in Stable is a sign of life; Java: it is not */
    bool refused_join_ends_phase;          /* Scala: where everybody else has joined, refusing a member for the group's
                                            * size ends the join phase; Java: it goes on until its time is over */
    bool expiry_ends_initial_delay;        /* Java: where all others have joined; Scala: the initial delay is always waited
                                            * for */
    bool groups_have_configs;              /* since 4.0: DESCRIBE_CONFIGS and ALTER_CONFIGS are operations on a group */
    int16_t commit_unknown_group_error;    /* of an OffsetCommit from version 9 on that names a generation of a group
                                            * that does not exist: 22 (as before version 9) in the Scala coordinator, 69 */
    bool txn_makes_group_first;            /* Scala: a TxnOffsetCommit makes its group before it is judged: one with a
                                            * generation gets 25 and leaves an Empty group behind; Java: 22 and none */
    bool offsets_with_topic_id;            /* since 4.1: offsets are written as version 4 of their record */
};

/* Broker settings by Kafka's names (dots as underscores). */
struct rj_config {
    int32_t group_min_session_timeout_ms;     /* 6 000 */
    int32_t group_max_session_timeout_ms;     /* 1 800 000 */
    int32_t group_initial_rebalance_delay_ms; /* 3 000 */
    int32_t group_max_size;                   /* INT32_MAX */
    int32_t new_member_join_timeout_ms;       /* 300 000; a constant in Kafka */
    int32_t offset_metadata_max_bytes;        /* 4 096, counted in UTF-16 units as Kafka does */
    int64_t offsets_retention_ms;             /* 7 days */
    int64_t offsets_retention_check_interval_ms; /* 600 000 */
    int32_t offsets_commit_timeout_ms;        /* 5 000: how long a write may stay without a result */
    int32_t offsets_topic_num_partitions;     /* 50 */
    bool is_active;                           /* false: the component has not started, everything is refused with 15 */
    struct rj_behaviour behaviour;
};

void rj_config_init(struct rj_config *config); /* Kafka 4.1's defaults */
/* "0.11" to "4.2" ("4.1.1" is taken as 4.1); false: no such release. */
bool rj_config_for_release(struct rj_config *config, struct rj_string release);

/* The most that one coordinator keeps. A request that would pass a limit is refused by rule limit-memory. */
struct rj_limits {
    int32_t groups;          /* against group ids invented by a hostile client */
    int32_t members_per_group; /* members and promised ids together */
    int32_t offsets;         /* partitions with a committed offset, over all groups */
    size_t member_bytes;     /* protocols and assignment of one member */
    size_t bytes;            /* everything that this coordinator holds */
};

void rj_limits_init(struct rj_limits *limits);

/* ---- Topics, as the broker's metadata knows them ----------------------------------------------------------------- */

struct rj_topic {
    struct rj_string name;
    struct rj_uuid topic_id;
    int32_t partition_count;
};

/* Sorted by name, bytewise. Belongs to the host and must stay as it is until the step with the next
 * RJ_EVENT_TOPIC_METADATA has returned. */
struct rj_topic_table { const struct rj_topic *items; int32_t count; };

const struct rj_topic *rj_topic_by_name(const struct rj_topic_table *table, struct rj_string name); /* NULL: none */
const struct rj_topic *rj_topic_by_id(const struct rj_topic_table *table, const struct rj_uuid *topic_id);

/* ---- What a principal may do ----------------------------------------------------------------------------------- */

enum rj_resource_type { RJ_RESOURCE_TOPIC = 2, RJ_RESOURCE_GROUP = 3, RJ_RESOURCE_CLUSTER = 4,
                        RJ_RESOURCE_TRANSACTIONAL_ID = 5 };   /* Kafka's codes */
enum rj_operation { RJ_OPERATION_ALL = 2, RJ_OPERATION_READ = 3, RJ_OPERATION_WRITE = 4, RJ_OPERATION_CREATE = 5,
                    RJ_OPERATION_DELETE = 6, RJ_OPERATION_ALTER = 7, RJ_OPERATION_DESCRIBE = 8,
                    RJ_OPERATION_CLUSTER_ACTION = 9, RJ_OPERATION_DESCRIBE_CONFIGS = 10,
                    RJ_OPERATION_ALTER_CONFIGS = 11, RJ_OPERATION_IDEMPOTENT_WRITE = 12 }; /* Kafka's codes */

struct rj_right { /* one ACL of the principal */
    enum rj_resource_type resource_type;
    enum rj_operation operation;
    struct rj_string name; /* "*": any */
    bool is_prefix, is_deny;
};
struct rj_rights { const struct rj_right *items; int32_t count; };

/* Kafka's rule: a deny wins, else an allow (READ, WRITE, DELETE and ALTER imply DESCRIBE), else no. rights == NULL:
 * there is no authorizer, everything is allowed. */
bool rj_is_allowed(const struct rj_rights *rights, enum rj_resource_type type, struct rj_string name,
                   enum rj_operation operation);

/* ---- Records of __consumer_offsets --------------------------------------------------------------------------- */

struct rj_offsets_record {
    int16_t record_type;  /* 0 and 1 offset commit, 2 classic group, ...: the key's schema has it as api_key */
    const void *key;      /* struct rj_offset_commit_key, rj_group_metadata_key, ... */
    const void *value;    /* NULL: tombstone */
    int16_t value_version;
    const struct rj_subscription_views *subscriptions; /* load only: of a GroupMetadataValue's members, else NULL */
};

/* The ConsumerProtocolSubscriptions inside a JoinGroupRequest (one a protocol) or a GroupMetadataValue (one a member),
 * decoded by the caller because the coordinator never sees bytes; items[i] == NULL where it is not one. */
struct rj_subscription_views { const struct rj_consumer_protocol_subscription *const *items; int32_t count; };

/* ---- Events ------------------------------------------------------------------------------------------------- */

enum rj_event_type {
    RJ_EVENT_REQUEST,
    RJ_EVENT_TICK,               /* time has passed; due whenever rj_next_deadline_ms is reached */
    RJ_EVENT_DISCONNECT,         /* replies to that connection are dropped from now on (rule wire-purge) */
    RJ_EVENT_TOPIC_METADATA,
    RJ_EVENT_CONFIG,
    RJ_EVENT_APPEND_RESULT,
    RJ_EVENT_LOAD_BEGIN,         /* this broker became the leader of the partition: LOADING until LOAD_END */
    RJ_EVENT_LOAD_RECORD,        /* one record, in log order */
    RJ_EVENT_LOAD_END,
    RJ_EVENT_UNLOAD,             /* lost leadership: parked requests get 16, the state is dropped */
    RJ_EVENT_TRANSACTION_MARKER,
};

/* Choices that a real broker made at random, pinned when its capture is replayed. Null members are not pinned. */
struct rj_pins {
    struct rj_string member_id;     /* the id that this request was given */
    struct rj_string leader;        /* of the generation that this event completes */
    struct rj_string protocol_name; /* likewise, among tied names */
};

struct rj_event {
    enum rj_event_type type;
    int64_t now_ms;              /* never goes back */
    struct rj_uuid entropy;      /* 16 random bytes for one new id; needed by JoinGroup requests only */
    /* The host vouches that whatever this step appends will be stored, before it does anything else with the update. The
     * coordinator may then take the result for granted (see rj_append) and save the second step. */
    bool is_assured;
    const struct rj_pins *pins;  /* NULL: none */
    union {
        struct {
            uint64_t connection_id;
            int32_t correlation_id;
            int16_t api_key, version;
            struct rj_string client_id;   /* null is read as "" (wire-null-client-id) */
            struct rj_string client_host; /* "/127.0.0.1" */
            const void *body;             /* the typed request; needed during the step only */
            const struct rj_rights *rights;
            const struct rj_subscription_views *subscriptions; /* of a JoinGroup of type "consumer", else NULL */
        } request;
        struct { uint64_t connection_id; } disconnect;
        struct { const struct rj_topic_table *topics; } topic_metadata;
        struct { const struct rj_config *config; } config;
        struct { uint64_t append_id; int16_t error_code; } append_result; /* Kafka's code; 0: committed */
        struct { struct rj_offsets_record record; int64_t producer_id; /* -1: not transactional */
                 int64_t log_offset; } load_record;
        struct { int64_t producer_id; int16_t producer_epoch; bool commit; } transaction_marker;
    } as;
};

/* ---- Updates ------------------------------------------------------------------------------------------------ */

struct rj_reply {
    uint64_t connection_id;
    int32_t correlation_id;
    int16_t api_key, version;
    const void *body;   /* the typed response */
    enum rj_rule rule;  /* why it was refused (the first one, where several parts were); RJ_RULE_NONE: it was not */
};

struct rj_append {
    uint64_t append_id;     /* 0: taken for granted, no result is to be told; only where the event was assured */
    const struct rj_offsets_record *records;
    int32_t record_count;
    int64_t timestamp_ms;
    int64_t producer_id;    /* -1: not transactional */
    int16_t producer_epoch;
};

enum rj_group_state { RJ_GROUP_EMPTY, RJ_GROUP_PREPARING, RJ_GROUP_COMPLETING, RJ_GROUP_STABLE, RJ_GROUP_DEAD };

struct rj_state_change {
    struct rj_string group_id;
    enum rj_group_state from, to;
    int32_t generation_id;
    enum rj_rule rule;          /* what made it happen */
    struct rj_string member_id; /* whose doing it was; null: nobody's (a timer of the group) */
};

/* Everything an update points to is valid until the next step of the same coordinator. The order within each list is
 * the order in which it happened. */
struct rj_update {
    const struct rj_reply *replies;
    int32_t reply_count;
    const struct rj_append *appends;
    int32_t append_count;
    const struct rj_state_change *changes;
    int32_t change_count;
    bool entropy_used; /* a new member id was made from the event's entropy */
};

/* ---- Calls ---------------------------------------------------------------------------------------------------- */

/* The coordinator starts loaded and empty, with no topics. RJ_ERR_MEMORY only. allocator, limits and config are copied. */
enum rj_err rj_coord_create(struct rj_coord **coord, const struct rj_allocator *allocator,
                            const struct rj_limits *limits, const struct rj_config *config);
void rj_coord_destroy(struct rj_coord *coord);

/* A host with many coordinators may let them share the memory that their updates are put together in, which it destroys
 * after them: an update is then valid until the next step of any of them. It takes 64 KiB at least, and while a large group
 * rebalances more, but never more than limit_bytes. RJ_ERR_MEMORY only. shared NULL: as rj_coord_create. */
struct rj_shared_output;
enum rj_err rj_shared_output_create(struct rj_shared_output **shared, const struct rj_allocator *allocator,
                                    size_t limit_bytes);
void rj_shared_output_destroy(struct rj_shared_output *shared);
enum rj_err rj_coord_create_sharing(struct rj_coord **coord, const struct rj_allocator *allocator,
                                    const struct rj_limits *limits, const struct rj_config *config,
                                    struct rj_shared_output *shared);

/* RJ_OK, always with a valid update; RJ_ERR_API for a request that the coordinator does not serve, RJ_ERR_MEMORY for any
 * other event that there is no memory for (a request is answered by rule limit-memory instead): nothing has changed
 * then, the update is empty, and the event may be repeated. A tick stops behind a timer that writes records, so that
 * their answers come before the next timer's: tick until rj_next_deadline_ms lies ahead. */
enum rj_err rj_step(struct rj_coord *coord, const struct rj_event *event, struct rj_update *update);

/* Never later than the next timer, earlier where that was put off in the meantime (a tick then does nothing);
 * INT64_MAX: none. */
int64_t rj_next_deadline_ms(const struct rj_coord *coord);

/* For a host that has several requests at hand: brings what their steps will look at into the processor's cache, one piece
 * of the way with each call, so that the waits for memory of several requests fall together. That is worth its time where a
 * coordinator holds more than the cache does. Nothing changes; a wrong guess costs a little time. Between the first call
 * and the last one that returned true, no step of this coordinator may come, nor may the ids be freed. */
struct rj_ahead { const void *at; uint32_t group_hash, member_hash; int32_t step; };
void rj_look_ahead(const struct rj_coord *coord, struct rj_string group_id, struct rj_string member_id,
                   struct rj_ahead *ahead);
bool rj_look_further(struct rj_ahead *ahead); /* false: there is no more to bring */

/* Verifies every invariant of the whole state; false: *broken says which. For tests and fuzzing. */
bool rj_check(const struct rj_coord *coord, const char **broken);

const char *rj_group_state_name(enum rj_group_state state); /* Kafka's wire name: "CompletingRebalance" */

/* Kafka's partition for a group id: Math.abs of String.hashCode (over UTF-16 units) mod partitions. */
int32_t rj_coordinator_partition(struct rj_string group_id, int32_t partition_count);

#endif
