/* The state of one consumer, and what its parts offer to each other.
 *
 * Every step takes its event in, then drives: each part looks at the state and does what is due now, and says when it
 * wants to be looked at again. Nothing is done because of where the code came from, only because of what the state
 * is. */
#ifndef REJOIN_SRC_CONSUMER_STATE_H
#define REJOIN_SRC_CONSUMER_STATE_H

#include "rejoin/consumer.h"

enum { HIGHEST_API = 32, NO_NODE = -1, NO_GENERATION_ID = -1 };

/* ---- Parts of the state ----------------------------------------------------------------------------------------- */

enum connection_state { CONNECTION_OPENING, CONNECTION_ASKING_VERSIONS, CONNECTION_READY };

struct connection {
    uint32_t id;
    enum rj_connection_role role;
    int32_t node_id;
    enum connection_state state;
    int16_t versions_version;                 /* of the ApiVersions request that is out */
    int16_t low[HIGHEST_API], high[HIGHEST_API]; /* what the broker serves; low > high: nothing */
    int64_t opened_ms;
};

struct in_flight {
    uint32_t connection_id;
    int32_t correlation_id;
    int16_t api_key, version;
    int64_t deadline_ms;
    uint32_t membership;      /* consumer->membership when it was sent: older ones are stale */
    bool ignored;             /* its answer means nothing (deliberate faults, overtaken requests) */
};

struct node {
    int32_t node_id, port;
    struct rj_string host, rack;
    int32_t failures;
    int64_t retry_at_ms;
};

struct known_partition { int32_t leader, leader_epoch; struct rj_string_array racks; };

struct known_topic {
    struct rj_string name;
    int16_t error_code;
    struct known_partition *partitions;
    int32_t partition_count;
};

/* One answer to Metadata; lives in its own arena and is replaced as a whole. */
struct metadata {
    struct rj_arena arena;
    struct node *nodes;
    int32_t node_count;
    struct known_topic *topics;
    int32_t topic_count;
    bool is_known;
};

enum position_state {
    POSITION_UNKNOWN,   /* the committed offset has to be fetched */
    POSITION_ASKING,    /* OffsetFetch is out */
    POSITION_RESETTING, /* ListOffsets has to be sent */
    POSITION_LISTING,   /* ListOffsets is out */
    POSITION_READY,
    POSITION_STUCK,     /* no offset and no reset policy, or no right to read: the application was told */
};

struct partition {
    struct rj_string topic; /* allocated */
    int32_t number;
    enum position_state state;
    int64_t position;       /* the next offset to fetch; what the application consumed ends before it */
    int64_t committed;      /* the last offset that is known to be committed; -1: none */
    int32_t leader_epoch;
    int64_t retry_at_ms;
    int32_t fetch_correlation_id; /* of the Fetch that is out for it; 0: none */
    bool handed_out;        /* records are with the application */
    bool is_revoking;       /* about to be given up: fetched no more */
    bool is_ghost;          /* given up, but still fetched (deliberate fault) */
};

enum commit_reason { COMMIT_AUTOMATIC, COMMIT_ASKED, COMMIT_BEFORE_REVOKE };

struct commit {
    struct commit *next;
    struct rj_arena arena; /* holds the offsets */
    uint64_t commit_id;
    enum commit_reason reason;
    struct rj_consumer_offset *offsets;
    int16_t *errors;       /* of offsets[i], from the last answer */
    int32_t offset_count;
    int32_t failures;
    int64_t retry_at_ms;
    bool is_out;
};

/* What the leader was told about its group; lives until the next JoinGroup success. */
struct group {
    struct rj_arena arena;
    struct rj_assign_member *members;
    int32_t member_count;
    struct rj_string_array topics; /* of all members, each once */
    uint64_t signature;            /* of the topics' partitions when they were assigned */
    bool is_leader, skips_assignment, has_signature;
};

struct rj_consumer {
    struct rj_allocator allocator;
    struct rj_consumer_config config; /* its strings are in config_arena */
    struct rj_arena config_arena, step;
    struct rj_string_array topics;    /* the subscription; allocated */
    bool is_cooperative;
    enum rj_consumer_state state;
    bool out_of_memory;

    int64_t now_ms, deadline_ms;
    uint32_t random;

    struct rj_consumer_action *actions;
    int32_t action_count, action_capacity;

    struct connection *connections;
    int32_t connection_count, connection_capacity;
    struct in_flight *in_flight;
    int32_t in_flight_count, in_flight_capacity;
    uint32_t next_connection_id;
    int32_t next_correlation_id;
    int32_t bootstrap_next, bootstrap_failures;
    int64_t bootstrap_retry_at_ms;

    struct metadata metadata;
    bool metadata_wanted;
    int64_t metadata_at_ms, metadata_retry_at_ms;
    int32_t metadata_failures;

    int32_t coordinator_node; /* NO_NODE: unknown */
    struct rj_string coordinator_host; /* allocated */
    int32_t coordinator_port, coordinator_failures;
    int64_t coordinator_retry_at_ms;

    struct rj_string member_id; /* allocated; "" before the first answer */
    int32_t generation_id, previous_generation_id;
    uint32_t membership;        /* grows whenever member id or generation change */
    bool id_is_promised;        /* the id is known from a MEMBER_ID_REQUIRED only */
    enum rj_assignor assignor;  /* that the group chose */
    struct group group;
    bool rejoin_wanted;
    const char *rejoin_reason;
    int64_t rejoin_at_ms;       /* not before */
    int16_t join_error;         /* the last one; 0: none since the last success */
    int32_t join_failures;
    int64_t prepare_deadline_ms;
    int64_t sync_at_ms;         /* deliberate fault: commits then, between JoinGroup and SyncGroup */
    struct rj_arena target_arena;
    struct rj_consumer_protocol_assignment target; /* while REVOKING */
    bool has_sticky;                               /* what the sticky assignor remembers: */
    struct rj_arena sticky_arena;
    struct rj_bytes sticky_user_data;              /* the last assignment, in its own format */
    int32_t cooperative_generation;                /* -1: nothing was ever assigned */

    int64_t heartbeat_at_ms, heartbeat_ok_ms;
    int64_t polled_ms;
    bool poll_expired;

    struct partition *partitions;
    int32_t partition_count, partition_capacity;
    struct commit *commits; /* oldest first */
    int64_t auto_commit_at_ms;

    bool is_closing;
    int64_t close_deadline_ms;
};

/* ---- memory.c, actions.c ----------------------------------------------------------------------------------------- */

bool rj_consumer_grow(struct rj_consumer *c, void **items, int32_t *capacity, int32_t count, size_t size);
bool rj_consumer_set_string(struct rj_consumer *c, struct rj_string *slot, struct rj_string value);
void rj_consumer_free_string(struct rj_consumer *c, struct rj_string *slot);
void *rj_consumer_step_alloc(struct rj_consumer *c, int64_t count, size_t size); /* zeroed, until the next step */
struct rj_string rj_consumer_step_string(struct rj_consumer *c, struct rj_string value);
/* "Look again at that time". */
void rj_consumer_wake(struct rj_consumer *c, int64_t at_ms);
int64_t rj_consumer_backoff_ms(struct rj_consumer *c, int32_t failures); /* failures >= 1 */
bool rj_consumer_has_fault(const struct rj_consumer *c, enum rj_consumer_fault fault);

/* NULL: no memory. */
struct rj_consumer_action *rj_consumer_act(struct rj_consumer *c, enum rj_consumer_action_type type);
void rj_consumer_report(struct rj_consumer *c, int16_t api_key, int16_t error_code, enum rj_rule rule,
                        const char *sentence);
void rj_consumer_fail(struct rj_consumer *c, int16_t api_key, int16_t error_code, enum rj_rule rule,
                      const char *sentence);
/* ASSIGNED, REVOKED or LOST for the partitions that select says; all: select NULL. */
typedef bool (*partition_filter)(const struct rj_consumer *c, const struct partition *partition);
void rj_consumer_tell_partitions(struct rj_consumer *c, enum rj_consumer_action_type type, partition_filter select);

/* ---- connections.c ----------------------------------------------------------------------------------------------- */

struct connection *rj_connection_by_id(struct rj_consumer *c, uint32_t id);
struct connection *rj_connection_for(struct rj_consumer *c, enum rj_connection_role role, int32_t node_id);
/* Opens one if there is none; NULL while it is not ready. */
struct connection *rj_connection_ready(struct rj_consumer *c, enum rj_connection_role role, int32_t node_id);
struct connection *rj_connection_for_discovery(struct rj_consumer *c);
struct connection *rj_connection_to_coordinator(struct rj_consumer *c);
void rj_connection_close(struct rj_consumer *c, uint32_t id); /* asks the host to, and drops what is in flight */
void rj_connection_lost(struct rj_consumer *c, uint32_t id);  /* the host says so */
void rj_connection_take_versions(struct rj_consumer *c, struct connection *connection, int16_t version,
                                 const struct rj_api_versions_response *response);
void rj_connection_opened(struct rj_consumer *c, struct connection *connection);
int16_t rj_connection_version(const struct rj_consumer *c, const struct connection *connection, int16_t api_key);

/* Sends; body lives until the next step. NULL: no memory, or the broker serves no version (the consumer failed). */
struct in_flight *rj_consumer_send(struct rj_consumer *c, struct connection *connection, int16_t api_key,
                                   int16_t version,
                                   const void *body);
bool rj_consumer_is_out(const struct rj_consumer *c, int16_t api_key);
void rj_consumer_ignore_answers(struct rj_consumer *c, int16_t api_key);

/* ---- reactions.c ------------------------------------------------------------------------------------------------- */

enum reaction {
    REACTION_DONE,          /* no error */
    REACTION_IGNORE,        /* an error that changes nothing */
    REACTION_RETRY,         /* again after the back-off */
    REACTION_REDISCOVER,    /* find the coordinator, then again */
    REACTION_REJOIN,        /* with id and generation kept */
    REACTION_RESET_KEEP_ID, /* the generation is void: rejoin with the id */
    REACTION_RESET,         /* the membership is void: rejoin with an empty id */
    REACTION_TAKE_ID,       /* rejoin with the id of the answer */
    REACTION_REPORT,        /* tell the application, go on */
    REACTION_FATAL,
};
struct verdict { enum reaction reaction; enum rj_rule rule; };

/* What the client does about an error of an API: the table of the rule book. */
struct verdict rj_consumer_judge(int16_t api_key, int16_t error_code);

/* ---- discovery.c ------------------------------------------------------------------------------------------------- */

void rj_discovery_drive(struct rj_consumer *c);
void rj_discovery_take_metadata(struct rj_consumer *c, const struct rj_metadata_response *response);
void rj_discovery_take_coordinator(struct rj_consumer *c, const struct rj_find_coordinator_response *response,
                                   int16_t version);
void rj_discovery_failed(struct rj_consumer *c, int16_t api_key); /* the request got lost */
void rj_discovery_forget_coordinator(struct rj_consumer *c);
const struct known_topic *rj_metadata_topic(const struct rj_consumer *c, struct rj_string name);
const struct known_partition *rj_metadata_partition(const struct rj_consumer *c, struct rj_string topic,
                                                    int32_t number);

/* ---- membership.c, rebalance.c ----------------------------------------------------------------------------------- */

void rj_membership_drive(struct rj_consumer *c);
void rj_membership_take_heartbeat(struct rj_consumer *c, const struct in_flight *request,
                                  const struct rj_heartbeat_response *response);
void rj_membership_reset(struct rj_consumer *c, bool keep_id, const char *reason); /* partitions are lost */
void rj_membership_want_rejoin(struct rj_consumer *c, const char *reason);
void rj_membership_request_lost(struct rj_consumer *c, const struct in_flight *request);
/* Carries out REJOIN, the resets, FATAL and REDISCOVER for a request other than JoinGroup. */
void rj_membership_react(struct rj_consumer *c, const struct in_flight *request, struct verdict verdict,
                         int16_t error_code);
bool rj_membership_is_member(const struct rj_consumer *c); /* has id and generation of a JoinGroup success */
struct rj_string rj_membership_instance_id(const struct rj_consumer *c, int16_t version, int16_t since);

void rj_rebalance_drive(struct rj_consumer *c);
void rj_rebalance_take_join(struct rj_consumer *c, const struct in_flight *request,
                            const struct rj_join_group_response *response);
void rj_rebalance_take_sync(struct rj_consumer *c, const struct in_flight *request,
                            const struct rj_sync_group_response *response);
uint64_t rj_rebalance_signature(const struct rj_consumer *c); /* of the group's topics as metadata has them now */
void rj_rebalance_take_assignment(struct rj_consumer *c, const struct rj_consumer_protocol_assignment *assignment);
void rj_rebalance_finish_revocation(struct rj_consumer *c);
void rj_rebalance_send_sync(struct rj_consumer *c, const struct rj_sync_group_request_assignment *assignments,
                            int32_t count);
bool rj_partition_is_owned(const struct rj_consumer *c, const struct partition *partition); /* not a ghost */
bool rj_partition_is_revoking(const struct rj_consumer *c, const struct partition *partition);

/* ---- leader.c ---------------------------------------------------------------------------------------------------- */

/* Keeps what the JoinGroup answer says of the group. false: it cannot be read, and the consumer failed. */
bool rj_leader_take_group(struct rj_consumer *c, const struct rj_join_group_response *response);
void rj_leader_drive(struct rj_consumer *c); /* while ASSIGNING */
void rj_leader_note_signature(struct rj_consumer *c);

/* ---- leave.c ----------------------------------------------------------------------------------------------------- */

void rj_leave_drive(struct rj_consumer *c); /* while closing */
void rj_leave_send(struct rj_consumer *c, const char *reason); /* for dynamic members that stop polling, and on close */
void rj_leave_done(struct rj_consumer *c);

/* ---- commit.c ---------------------------------------------------------------------------------------------------- */

void rj_commit_drive(struct rj_consumer *c);
/* Everything consumed and not yet committed, of the partitions that select says. false: there is nothing to commit. */
bool rj_commit_consumed(struct rj_consumer *c, enum commit_reason reason, uint64_t commit_id, partition_filter select);
void rj_commit_offsets(struct rj_consumer *c, uint64_t commit_id, const struct rj_consumer_offset *offsets,
                       int32_t count);
void rj_commit_take(struct rj_consumer *c, const struct in_flight *request,
                    const struct rj_offset_commit_response *response);
void rj_commit_request_lost(struct rj_consumer *c);
bool rj_commit_is_pending(const struct rj_consumer *c, enum commit_reason reason);
void rj_commit_give_up(struct rj_consumer *c, int16_t error_code); /* all that wait, because the membership is gone */
void rj_commit_between_join_and_sync(struct rj_consumer *c);       /* deliberate fault */

/* ---- positions.c, fetch.c ---------------------------------------------------------------------------------------- */

void rj_positions_drive(struct rj_consumer *c);
void rj_positions_take_committed(struct rj_consumer *c, const struct in_flight *request,
                                 const struct rj_offset_fetch_response *response);
void rj_positions_take_listed(struct rj_consumer *c, const struct rj_list_offsets_response *response);
void rj_positions_request_lost(struct rj_consumer *c, int16_t api_key);
struct partition *rj_partition_find(struct rj_consumer *c, struct rj_string topic, int32_t number); /* ghosts too */
struct partition *rj_partition_add(struct rj_consumer *c, struct rj_string topic, int32_t number);
void rj_partition_remove(struct rj_consumer *c, partition_filter select);

void rj_fetch_drive(struct rj_consumer *c);
void rj_fetch_take(struct rj_consumer *c, const struct in_flight *request, const struct rj_fetch_response *response);
void rj_fetch_request_lost(struct rj_consumer *c, const struct in_flight *request);

#endif
