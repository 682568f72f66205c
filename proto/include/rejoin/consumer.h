/* The classic consumer group client without I/O: one event in, one update out.
 *
 * The consumer decides what is to be sent to which broker, and when; its host opens connections, turns typed
 * requests into bytes and back (conn.h), decodes records, and reads the clock. There are no callbacks but the
 * allocator. rj_consumer_next_deadline_ms is the only clock contract.
 *
 * A host's loop: step with RJ_CONSUMER_EVENT_TICK to begin; carry out the actions of each update in their order; step
 * for every connection that opens, closes or answers, and when the deadline is reached; step with
 * RJ_CONSUMER_EVENT_POLL whenever the application asks for records, at least every max_poll_interval_ms; report each
 * handed out batch of records by RJ_CONSUMER_EVENT_CONSUMED, which is what moves positions. Stop after an
 * RJ_CONSUMER_CLOSED action. */
#ifndef REJOIN_CONSUMER_H
#define REJOIN_CONSUMER_H

#include "rejoin/assign.h"
#include "rejoin/errors.h"
#include "rejoin/rules.h"

struct rj_consumer;

/* ---- Deliberate faults ------------------------------------------------------------------------------------------- */

/* Ways to be wrong, each breaking one rule: a suite is proved by noticing them.
 * X(symbol, name, rule id, what the client does) */
#define RJ_CONSUMER_FAULT_MAP(X)                                                                                       \
    X(KEEP_ID_AFTER_25, "keep-id-after-25", "cl-join-25-reset",                                                        \
      "rejoins with the old member id after UNKNOWN_MEMBER_ID")                                                        \
    X(OLD_GENERATION_COMMIT, "old-generation-commit", "cl-commit-generation",                                          \
      "commits with the previous generation after a rebalance")                                                        \
    X(HEARTBEAT_PROMISED_ID, "heartbeat-promised-id", "cl-hb-start",                                                   \
      "heartbeats with an id that it knows only from MEMBER_ID_REQUIRED, before it joins")                             \
    X(NEVER_LEAVE, "never-leave", "cl-leave-on-close", "closes as a dynamic member without LeaveGroup")               \
    X(IGNORE_16, "ignore-16", "cl-hb-16", "ignores NOT_COORDINATOR on heartbeats and commits")                         \
    X(IGNORE_HEARTBEAT_27, "ignore-heartbeat-27", "cl-hb-27-rejoin-same-id",                                           \
      "ignores REBALANCE_IN_PROGRESS on heartbeats")                                                                   \
    X(DROP_ID_ON_27, "drop-id-on-27", "cl-hb-27-rejoin-same-id",                                                       \
      "rejoins with an empty member id after REBALANCE_IN_PROGRESS")                                                   \
    X(OMIT_EMPTY_MEMBERS, "omit-empty-members", "cl-leader",                                                           \
      "leaves members that get no partition out of the leader's SyncGroup")                                            \
    X(FOLLOWER_ASSIGNS, "follower-assigns", "cl-leader", "sends assignments though it is not the leader")              \
    X(HOT_LOOP, "hot-loop", "cl-no-hot-loop", "retries 14, 15 and 16 without any back-off")                            \
    X(EMPTY_ID_AFTER_79, "empty-id-after-79", "cl-join-79-rejoin",                                                     \
      "answers MEMBER_ID_REQUIRED by another JoinGroup with an empty id")                                              \
    X(COMMIT_BETWEEN_JOIN_AND_SYNC, "commit-between-join-and-sync", "cl-commit-generation",                            \
      "commits with the new generation between JoinGroup and SyncGroup")                                               \
    X(FETCH_REVOKED, "fetch-revoked", "cl-fetch-owned-only", "keeps fetching partitions that were revoked")            \
    X(FATAL_14, "fatal-14", "cl-join-14-backoff", "takes COORDINATOR_LOAD_IN_PROGRESS on JoinGroup as final")          \
    X(IGNORE_HEARTBEAT_25, "ignore-heartbeat-25", "cl-hb-25-reset",                                                    \
      "ignores UNKNOWN_MEMBER_ID on heartbeats and goes on with the dead membership")                                  \
    X(IGNORE_HEARTBEAT_22, "ignore-heartbeat-22", "cl-hb-22", "ignores ILLEGAL_GENERATION on heartbeats")              \
    X(DROP_ID_ON_22, "drop-id-on-22", "cl-sync-22-keep-id",                                                            \
      "rejoins with an empty member id after ILLEGAL_GENERATION on SyncGroup")                                         \
    X(REJOIN_AFTER_82, "rejoin-after-82", "cl-join-82-fatal", "goes on trying after FENCED_INSTANCE_ID")               \
    X(NO_HEARTBEATS, "no-heartbeats", "cl-hb-cadence", "never sends a heartbeat")                                      \
    X(LEAVE_STATIC, "leave-static", "cl-static-close", "leaves on close although it is a static member")               \
    X(HEARTBEAT_AFTER_LEAVE, "heartbeat-after-leave", "cl-leave-no-more",                                              \
      "heartbeats once more behind its LeaveGroup")                                                                    \
    X(KEEP_ON_REVOKE, "keep-on-revoke", "cl-eager-revoke-all",                                                         \
      "claims and fetches its partitions through an eager rebalance")                                                  \
    X(SYNC_WRONG_GENERATION, "sync-wrong-generation", "cl-sync-fields", "sends SyncGroup with the generation before")  \
    X(TWO_JOINS, "two-joins", "cl-one-rebalance", "sends every JoinGroup twice")                                       \
    X(COMMIT_UNOWNED, "commit-unowned", "cl-commit-nonneg", "commits partitions that it does not own")                 \
    X(NO_INSTANCE_ID, "no-instance-id", "cl-sync-fields",                                                    \
      "leaves its instance id out of everything but JoinGroup")                                                        \
    X(IGNORE_COMMIT_ERRORS, "ignore-commit-errors", "cl-commit-per-partition",                                         \
      "takes a commit for done whatever the partitions' errors say")                                                   \
    X(SKIP_COMMIT_BEFORE_REVOKE, "skip-commit-before-revoke", "cl-commit-before-revoke",                               \
      "gives partitions up without committing what it consumed")

enum rj_consumer_fault {
#define RJ_FAULT_ENUM(symbol, name, rule, sentence) RJ_CONSUMER_FAULT_##symbol,
    RJ_CONSUMER_FAULT_MAP(RJ_FAULT_ENUM)
#undef RJ_FAULT_ENUM
    RJ_CONSUMER_FAULT_COUNT
};

struct rj_string rj_consumer_fault_name(enum rj_consumer_fault fault); /* "keep-id-after-25" */
enum rj_rule rj_consumer_fault_rule(enum rj_consumer_fault fault);     /* that it breaks */
const char *rj_consumer_fault_sentence(enum rj_consumer_fault fault);  /* what the client does */
bool rj_consumer_fault_by_name(struct rj_string name, enum rj_consumer_fault *fault); /* false: no such fault */

/* ---- Configuration ----------------------------------------------------------------------------------------------- */

enum rj_offset_reset { RJ_OFFSET_RESET_EARLIEST, RJ_OFFSET_RESET_LATEST, RJ_OFFSET_RESET_NONE };
enum rj_leave_policy {
    RJ_LEAVE_DEFAULT, /* dynamic members leave on close, static ones do not */
    RJ_LEAVE_ALWAYS,
    RJ_LEAVE_NEVER,
};

struct rj_consumer_bootstrap { struct rj_string host; int32_t port; };

/* Kafka's names, dots as underscores. Strings and arrays are copied by rj_consumer_create. */
struct rj_consumer_config {
    const struct rj_consumer_bootstrap *bootstrap;
    int32_t bootstrap_count;             /* at least 1 */
    struct rj_string group_id, client_id;
    struct rj_string instance_id;        /* null: dynamic */
    struct rj_string rack;               /* null: none */
    struct rj_string_array topics;
    enum rj_assignor assignors[RJ_ASSIGNOR_COUNT]; /* in order of preference; no name twice */
    int32_t assignor_count;              /* at least 1. The client rebalances cooperatively only if all of them can */
    int16_t subscription_version;        /* 3 */
    int32_t session_timeout_ms;          /* 45 000 */
    int32_t heartbeat_interval_ms;       /* 3 000 */
    int32_t max_poll_interval_ms;        /* 300 000; also the rebalance timeout */
    int32_t auto_commit_interval_ms;     /* 5 000; 0: commits only by RJ_CONSUMER_EVENT_COMMIT */
    bool commit_on_revoke;               /* true: what was consumed is committed before partitions are given up */
    int32_t retry_backoff_ms;            /* 100 */
    int32_t retry_backoff_max_ms;        /* 1 000 */
    int32_t request_timeout_ms;          /* 30 000 */
    int32_t metadata_max_age_ms;         /* 300 000 */
    int32_t close_timeout_ms;            /* 30 000 */
    int32_t fetch_max_wait_ms;           /* 500 */
    int32_t fetch_min_bytes;             /* 1 */
    int32_t fetch_max_bytes;             /* 52 428 800 */
    int32_t max_partition_fetch_bytes;   /* 1 048 576 */
    int8_t isolation_level;              /* 0 read_uncommitted, 1 read_committed */
    bool fetch_records;                  /* true; false: only the membership, nothing is fetched */
    enum rj_offset_reset auto_offset_reset;
    enum rj_leave_policy leave_policy;
    bool allow_auto_create_topics;       /* true */
    /* The highest version to use of each API (index: API key); -1: as high as this client knows. */
    int16_t version_caps[32];
    uint64_t faults;                     /* bit set of enum rj_consumer_fault */
};

void rj_consumer_config_init(struct rj_consumer_config *config); /* defaults; assignors range, cooperative-sticky */

/* ---- Events ------------------------------------------------------------------------------------------------------ */

struct rj_consumer_offset {
    struct rj_string topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;      /* -1: unknown */
    struct rj_string metadata; /* null: none */
};

enum rj_consumer_event_type {
    RJ_CONSUMER_EVENT_TICK,         /* time has passed; also begins everything */
    RJ_CONSUMER_EVENT_CONNECTED,    /* a connection of an RJ_CONSUMER_CONNECT action is open */
    RJ_CONSUMER_EVENT_DISCONNECTED, /* it could not be opened, or was closed by the other side, or broke */
    RJ_CONSUMER_EVENT_RESPONSE,
    RJ_CONSUMER_EVENT_POLL,         /* the application asks for records */
    RJ_CONSUMER_EVENT_CONSUMED,     /* the application is done with the records before an offset */
    RJ_CONSUMER_EVENT_COMMIT,       /* commit now */
    RJ_CONSUMER_EVENT_SUBSCRIBE,    /* other topics from now on */
    RJ_CONSUMER_EVENT_REJOIN,       /* the application wants a rebalance */
    RJ_CONSUMER_EVENT_CLOSE,        /* commit, give up, leave */
};

struct rj_consumer_event {
    enum rj_consumer_event_type type;
    int64_t now_ms;         /* never goes back */
    struct rj_uuid entropy; /* random bytes; they spread retries of several clients. May be zero */
    union {
        struct { uint32_t connection_id; } connected, disconnected;
        struct {
            uint32_t connection_id;
            int32_t correlation_id;
            int16_t api_key, version; /* version: as rj_response_frame has it */
            const void *body;         /* typed; needed until the next step where records were handed out */
        } response;
        struct rj_consumer_offset consumed; /* offset: the next one to read */
        struct {
            uint64_t commit_id;                       /* the host's; comes back in RJ_CONSUMER_COMMITTED; not 0 */
            const struct rj_consumer_offset *offsets; /* NULL: everything consumed so far */
            int32_t offset_count;
        } commit;
        struct { struct rj_string_array topics; } subscribe;
    } as;
};

/* ---- Updates ----------------------------------------------------------------------------------------------------- */

enum rj_consumer_action_type {
    RJ_CONSUMER_CONNECT,    /* open a connection and report it */
    RJ_CONSUMER_DISCONNECT, /* close it; nothing more is reported about it */
    RJ_CONSUMER_SEND,       /* a request */
    RJ_CONSUMER_ASSIGNED,   /* partitions were added (none: an empty assignment) */
    RJ_CONSUMER_REVOKED,    /* partitions were given up in good order */
    RJ_CONSUMER_LOST,       /* the membership is gone, others may own them already */
    RJ_CONSUMER_RECORDS,    /* fetched bytes of a partition */
    RJ_CONSUMER_COMMITTED,  /* the outcome of a commit, partition by partition */
    RJ_CONSUMER_ERROR,      /* something that the application should know */
    RJ_CONSUMER_CLOSED,     /* the last action ever */
};

enum rj_connection_role {
    RJ_CONNECTION_BOOTSTRAP, RJ_CONNECTION_DATA,
    RJ_CONNECTION_COORDINATOR, /* apart from data, so that a parked JoinGroup holds nothing back (cl-dedicated-conn) */
};

struct rj_consumer_partition {
    struct rj_string topic;
    int32_t partition;
    int16_t error_code; /* of a commit */
    int64_t offset;     /* RJ_CONSUMER_COMMITTED: what was committed; else the position, -1: not known yet */
};

struct rj_consumer_action {
    enum rj_consumer_action_type type;
    union {
        struct {
            uint32_t connection_id;
            enum rj_connection_role role;
            int32_t node_id; /* -1: bootstrap */
            struct rj_string host;
            int32_t port;
        } connect;
        struct { uint32_t connection_id; } disconnect;
        struct {
            uint32_t connection_id;
            int32_t correlation_id;
            int16_t api_key, version;
            const void *body; /* typed */
        } send;
        struct { /* assigned, revoked, lost; committed */
            const struct rj_consumer_partition *partitions;
            int32_t partition_count;
            int32_t generation_id;
            struct rj_string member_id;
            bool is_leader;
            uint64_t commit_id; /* 0: the consumer's own (automatic, before a revocation, on close) */
            int16_t error_code; /* of the commit as a whole: the first error in it */
        } partitions;
        struct {
            struct rj_string topic;
            int32_t partition;
            int64_t fetch_offset, high_watermark;
            struct rj_bytes records; /* batches as they came; the first may begin before fetch_offset. Report
                                        RJ_CONSUMER_EVENT_CONSUMED to go on behind them */
        } records;
        struct {
            int16_t error_code;  /* Kafka's; -1 with api_key -1: the client's own */
            int16_t api_key;
            bool is_fatal;       /* the consumer does nothing any more but close */
            enum rj_rule rule;   /* the client rule that decided it */
            const char *sentence;
        } error;
    } as;
};

/* What an update points to is valid until the next step of the same consumer. */
struct rj_consumer_update {
    const struct rj_consumer_action *actions;
    int32_t action_count;
};

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

enum rj_consumer_state {
    RJ_CONSUMER_UNJOINED,  /* no membership, or one whose rebalance has yet to begin */
    RJ_CONSUMER_PREPARING, /* what was consumed is being committed before partitions are given up */
    RJ_CONSUMER_JOINING,   /* JoinGroup is out */
    RJ_CONSUMER_ASSIGNING, /* leader: waits for metadata of the group's topics */
    RJ_CONSUMER_SYNCING,   /* SyncGroup is out */
    RJ_CONSUMER_REVOKING,  /* cooperative: commits what the new assignment takes away */
    RJ_CONSUMER_STABLE,
    RJ_CONSUMER_LEAVING,   /* LeaveGroup is out */
    RJ_CONSUMER_FAILED,    /* a fatal error was reported; only RJ_CONSUMER_EVENT_CLOSE is served */
    RJ_CONSUMER_DONE,
};

/* RJ_ERR_MEMORY; RJ_ERR_VALUE: a configuration that makes no sense (no bootstrap address, no group id, no assignor). */
enum rj_err rj_consumer_create(struct rj_consumer **consumer, const struct rj_allocator *allocator,
                               const struct rj_consumer_config *config);
void rj_consumer_destroy(struct rj_consumer *consumer);

/* RJ_OK, or RJ_ERR_MEMORY: the update is empty and the consumer failed for good (its host should close connections and
 * destroy it). Events about connections and requests that the consumer does not know are ignored. */
enum rj_err rj_consumer_step(struct rj_consumer *consumer, const struct rj_consumer_event *event,
                             struct rj_consumer_update *update);

/* The time of the next timer; INT64_MAX: none. */
int64_t rj_consumer_next_deadline_ms(const struct rj_consumer *consumer);

enum rj_consumer_state rj_consumer_state(const struct rj_consumer *consumer);
const char *rj_consumer_state_name(enum rj_consumer_state state); /* "stable" */
struct rj_string rj_consumer_member_id(const struct rj_consumer *consumer);
int32_t rj_consumer_generation_id(const struct rj_consumer *consumer); /* -1: none */
bool rj_consumer_owns(const struct rj_consumer *consumer, struct rj_string topic, int32_t partition);

/* ---- The embedded formats of protocol type "consumer" ------------------------------------------------------------ */

/* An int16 version, then the structure in that version. A reader takes a newer version as the newest that it knows and
 * ignores what follows. Views point into the input. */
enum rj_err rj_decode_subscription(struct rj_bytes input, struct rj_arena *arena,
                                   struct rj_consumer_protocol_subscription *subscription, int16_t *version,
                                   struct rj_fault *fault);
enum rj_err rj_decode_assignment(struct rj_bytes input, struct rj_arena *arena,
                                 struct rj_consumer_protocol_assignment *assignment, int16_t *version,
                                 struct rj_fault *fault);
/* The bytes live in the arena. */
enum rj_err rj_encode_subscription(const struct rj_consumer_protocol_subscription *subscription, int16_t version,
                                   struct rj_arena *arena, struct rj_bytes *output);
enum rj_err rj_encode_assignment(const struct rj_consumer_protocol_assignment *assignment, int16_t version,
                                 struct rj_arena *arena, struct rj_bytes *output);

#endif
