/* A mock cluster that lives in the caller's event loop: N brokers, each with a listener of its own, topics with real
 * records in memory, and the group coordinators of the core.
 *
 * One thread: every function is called from the loop's thread, every callback comes from it. Nothing is global, so a
 * program may run several clusters. */
#ifndef REJOIN_MOCK_MOCK_H
#define REJOIN_MOCK_MOCK_H

#include "rejoin/conn.h"
#include "rejoin/coord.h"

#include <uv.h>

struct mock_cluster;

/* ---- Options ------------------------------------------------------------------------------------------------- */

struct mock_topic { const char *name; int32_t partition_count; };

/* What a peer can make the cluster keep. Reasons stand at mock_options_init. */
struct mock_limits {
    uint32_t frame_len;            /* a larger request closes its connection before it is read; 100 MiB as Kafka */
    uint32_t connection_count;     /* over all brokers; the next one takes the place of the one that was silent longest,
                                      of those whose request is not parked, or is closed at once */
    size_t unsent_len;             /* answers that a connection has not taken; it is not read until it has */
    size_t held_len;               /* frames that are not whole and answers that are not taken, of all connections
                                      together; beyond it the connection that holds most is closed */
    size_t coordinators_len;       /* what all coordinators hold together; then they answer 15 by rule limit-memory */
    size_t records_len;            /* of all topics together; then Produce answers 56 KAFKA_STORAGE_ERROR */
    int32_t partition_count;       /* of all topics together */
    struct rj_limits coordinator;  /* of each of the 50 coordinators */
};

/* When what was written to the data directory is forced out of the system's cache. A killed process loses nothing
 * acknowledged in any case; a machine without power may, unless each write was forced out before it was acknowledged. */
enum mock_fsync { MOCK_FSYNC_NEVER, MOCK_FSYNC_INTERVAL, MOCK_FSYNC_ALWAYS };

struct mock_options {
    const char *listen_host;       /* numeric address; "127.0.0.1" */
    const uint16_t *ports;         /* of brokers 0, 1, ...; 0 or missing: a free one */
    int32_t port_count;
    const char *advertise_host;    /* in Metadata and FindCoordinator; NULL: listen_host */
    int32_t broker_count;          /* 1; ids are 0, 1, ... */
    const struct mock_topic *topics;
    int32_t topic_count;
    const char *kafka_version;     /* "0.11" to "4.2"; "4.1": the versions advertised and the coordinator's behaviour */
    int32_t initial_rebalance_delay_ms; /* 3 000 as Kafka */
    int32_t min_session_timeout_ms; /* group.min.session.timeout.ms; 6 000 as Kafka */
    int64_t offsets_retention_ms;  /* 0: Kafka's offsets.retention.minutes, 7 days */
    int64_t offsets_retention_check_interval_ms; /* 0: Kafka's 10 minutes */
    size_t offsets_segment_len;    /* a partition of __consumer_offsets that has grown to that is compacted */
    int32_t transaction_marker_delay_ms; /* 0; from the end of a transaction to its markers: until then it is still
                                          * ending, and what its producer asks is answered CONCURRENT_TRANSACTIONS */
    bool auto_create_topics;       /* true as Kafka; new topics have default_partition_count partitions */
    int32_t default_partition_count; /* 1 as Kafka */
    uint64_t seed;                 /* of member ids, topic ids, producer ids; 0: from the system */
    const struct rj_config *config; /* all coordinator settings; NULL: those of kafka_version with the delay above */
    const char *data_dir;          /* NULL: all in memory; else the cluster lives there and outlives the process */
    enum mock_fsync fsync;         /* MOCK_FSYNC_NEVER as Kafka; with a data_dir only */
    int32_t fsync_interval_ms;     /* 1 000 */
    const char *users_path;        /* who may connect (users.h); NULL: everybody, as User:ANONYMOUS */
    const char *acls_path;         /* what they may do (acls.h); NULL: everything */
    int32_t connections_max_reauth_ms; /* 0 as Kafka: sessions do not end (KIP-368) */
    const char *tls_cert_path, *tls_key_path; /* PEM; NULL: connections are plain */
    struct mock_limits limits;
    /* One line, no newline, for what a person running the mock wants to see: a malformed frame with peer, offset, API,
     * version and field path; a limit that was hit. NULL: nobody wants to. */
    void (*log)(void *context, const char *line);
    void *log_context;
};

void mock_options_init(struct mock_options *options); /* the values above */

/* ---- Life ---------------------------------------------------------------------------------------------------- */

/* Copies the options, reads the data directory, binds and listens; connections are served as soon as the loop runs. On
 * failure *cluster is NULL and error says why. */
enum mock_start {
    MOCK_STARTED, MOCK_BAD_OPTION, MOCK_CANNOT_LISTEN,
    MOCK_BAD_DATA,      /* what stands in the data directory is not what was written there */
    MOCK_CANNOT_STORE,  /* the data directory is in use by another process, or the system refuses it */
};
enum mock_start mock_start(struct mock_cluster **cluster, uv_loop_t *loop, const struct mock_options *options,
                           char *error, size_t error_len);
int32_t mock_broker_count(const struct mock_cluster *cluster);
uint16_t mock_port(const struct mock_cluster *cluster, int32_t broker_id);
/* "127.0.0.1:PORT,127.0.0.1:PORT", owned by the cluster. */
const char *mock_bootstrap(const struct mock_cluster *cluster);
/* Closes everything. The cluster is freed and done is called (NULL: nobody) in a later turn of the loop; the pointer
 * must not be used after this call. */
void mock_stop(struct mock_cluster *cluster, void (*done)(void *context), void *context);

/* ---- Watching ------------------------------------------------------------------------------------------------ */

/* One request received or one response about to be sent. Everything is valid during the call only. */
struct mock_frame {
    bool is_response;
    int32_t broker_id;
    uint64_t connection_id;    /* counts from 1, never reused in a cluster */
    const char *peer;          /* "127.0.0.1:51234" */
    const struct sockaddr *peer_address, *local_address;
    int64_t time_us;           /* since the Unix epoch; never goes back */
    int16_t api_key, version;  /* of the request; -1 where its header could not be read */
    int32_t correlation_id;
    struct rj_string client_id;
    struct rj_bytes bytes;     /* the frame without its 4-byte length */
    size_t body_offset;        /* in bytes */
    const struct rj_message_schema *schema; /* of body */
    int16_t body_version;      /* = version, but 0 for an ApiVersions answered with error 35 */
    const void *body;          /* typed; NULL where it could not be decoded or is not one */
    const struct rj_fault *fault; /* request only: why it was refused (the connection closes next); NULL: it was not */
    enum rj_rule rule;         /* response only: what refused it; RJ_RULE_NONE */
};

enum mock_connection_end {
    MOCK_OPENED,
    MOCK_CLOSED_BY_PEER, MOCK_CLOSED_MALFORMED, MOCK_CLOSED_LIMIT, MOCK_CLOSED_UNSUPPORTED, MOCK_CLOSED_FAULT,
    MOCK_CLOSED_AUTHENTICATION, /* it did not authenticate, or no more */
    MOCK_CLOSED_BY_HOST, /* mock_disconnect, mock_stop */
};

struct mock_connection_event {
    enum mock_connection_end what;
    int32_t broker_id;
    uint64_t connection_id;
    const char *peer;
    const struct sockaddr *peer_address, *local_address;
    int64_t time_us;
};

/* Any member may be NULL. The observer belongs to the caller and must stay until mock_remove_observer or until the
 * cluster is gone. Callbacks must not call back into the cluster, except for the reading functions below. */
struct mock_observer {
    void (*connection)(void *context, const struct mock_connection_event *event);
    void (*frame)(void *context, const struct mock_frame *frame);
    /* A group changed its state; change->rule says why. */
    void (*group)(void *context, int64_t time_us, int32_t broker_id, const struct rj_state_change *change);
    void *context;
    struct mock_observer *next; /* the cluster's */
};
void mock_add_observer(struct mock_cluster *cluster, struct mock_observer *observer);
void mock_remove_observer(struct mock_cluster *cluster, struct mock_observer *observer);

/* ---- Faults -------------------------------------------------------------------------------------------------- */

/* "Processed" means that the broker or coordinator acted on the request. Answers leave a connection in the order of its
 * requests, so whatever keeps an answer back keeps back everything behind it on that connection. */
enum mock_action {
    MOCK_PASS,
    MOCK_ANSWER_ERROR,      /* not processed; answered in the API's shape with error_code wherever it has a place */
    MOCK_ANSWER_BODY,       /* not processed; answered with body */
    MOCK_DELAY_REQUEST,     /* processed delay_ms later */
    MOCK_DELAY_ANSWER,      /* processed now, answered delay_ms after the answer is ready */
    MOCK_HOLD_REQUEST,      /* processed when mock_release(hold_id) is called */
    MOCK_HOLD_ANSWER,       /* processed now, answered when mock_release(hold_id) is called */
    MOCK_DROP_REQUEST,      /* not processed, never answered */
    MOCK_DROP_ANSWER,       /* processed, never answered */
    MOCK_DISCONNECT_BEFORE, /* not processed; the connection is closed */
    MOCK_DISCONNECT_AFTER,  /* processed; then the connection is closed without an answer, also where it is parked */
    MOCK_CUT_ANSWER,        /* processed; cut_len bytes of the answer (with its length prefix) leave, then it closes */
};

struct mock_verdict {
    enum mock_action action;
    int16_t error_code;
    int32_t delay_ms;
    uint64_t hold_id;
    uint32_t cut_len;
    const void *body;  /* typed response of the request's API; needed until the interposer returns only */
};

/* Asked before each well-formed request is processed, after the observers saw it; edit may be NULL: it is shown each
 * typed answer before it is encoded and may change it in place (what it points the answer to must stay until the next
 * call). One interposer a cluster; NULL removes it. It must not call back into the cluster, except for reading
 * functions; to act on the cluster, start a uv_timer of 0 ms. */
struct mock_interposer {
    struct mock_verdict (*request)(void *context, const struct mock_frame *request);
    void (*edit)(void *context, const struct mock_frame *request, void *response_body);
    void *context;
};
void mock_set_interposer(struct mock_cluster *cluster, const struct mock_interposer *interposer);
/* Lets go everything that is held under hold_id; returns how many. */
int mock_release(struct mock_cluster *cluster, uint64_t hold_id);

/* Faults from a JSON file, on top of an interposer: the first rule that matches decides. The format:
 *   [{"match": {"api": "JoinGroup" or 11, "version": 9, "group": "g", "client_id": "c", "member": "id or prefix*",
 *               "broker": 0, "nth": 3, "from": 2, "count": 5},
 *     "do": {"action": "answer-error", "error": 16 or "NOT_COORDINATOR", "delay_ms": 100, "cut_len": 3}}]
 * Every key of match may be left out. In group, client_id and member a ? stands for any byte and a * at the end for any
 * rest, so that "?*" is whoever has an id. Matches are counted from 1 for each rule; nth picks one, from and count a run.
 * action is the name of an enum mock_action in kebab case; the others are those of struct mock_verdict.
 * Returns NULL and fills error (file:line:column: what was expected) when it cannot be read. */
struct mock_faults;
struct mock_faults *mock_faults_read(const char *path, char *error, size_t error_len);
struct mock_faults *mock_faults_parse(const char *name, const char *text, size_t text_len, char *error,
                                      size_t error_len);
/* The cluster owns them from now on; NULL removes them. */
void mock_set_faults(struct mock_cluster *cluster, struct mock_faults *faults);

/* ---- Reading and steering the cluster ------------------------------------------------------------------------- */

int64_t mock_now_ms(const struct mock_cluster *cluster); /* the clock that the coordinators see: Unix epoch */

/* 0, or Kafka's error code: 36 exists, 37 bad count, 17 bad name, 56 over a limit. */
int16_t mock_create_topic(struct mock_cluster *cluster, const char *name, int32_t partition_count);
int16_t mock_add_partitions(struct mock_cluster *cluster, const char *name, int32_t new_partition_count);
int16_t mock_delete_topic(struct mock_cluster *cluster, const char *name);
int32_t mock_partition_count(const struct mock_cluster *cluster, const char *topic); /* -1: no such topic */
/* First offset kept, and the offset that the next record gets; false: no such partition. */
bool mock_log_range(const struct mock_cluster *cluster, const char *topic, int32_t partition, int64_t *start_offset,
                    int64_t *end_offset);
/* Appends one record as a producer would. Null key or value possible. 0 or Kafka's error code. */
int16_t mock_append(struct mock_cluster *cluster, const char *topic, int32_t partition, struct rj_bytes key,
                    struct rj_bytes value);
/* The batches at and behind offset, as Fetch would give them: valid until the next append; empty at the end. */
struct rj_bytes mock_read(const struct mock_cluster *cluster, const char *topic, int32_t partition, int64_t offset);

/* What a group has committed; -1: nothing (or no such group). */
int64_t mock_committed_offset(struct mock_cluster *cluster, const char *group, const char *topic, int32_t partition);
/* Asks the cluster as a client on no connection would; any API that is answered at once, not Fetch or JoinGroup or
 * SyncGroup. NULL: it is not served, or it parked. The answer is valid until the next call. */
const void *mock_ask(struct mock_cluster *cluster, int16_t api_key, int16_t version, const void *request_body);

enum { MOCK_NO_BROKER = -1 };
int32_t mock_coordinator_of(const struct mock_cluster *cluster, const char *group); /* broker id */
/* The partition of __consumer_offsets that holds the group moves to another broker: parked requests get 16, requests to
 * the new coordinator 14 for loading_ms, then it goes on from its records. With MOCK_NO_BROKER it has no leader until it
 * is moved again: FindCoordinator answers 15, requests get 16. false: no such broker. */
bool mock_move_coordinator(struct mock_cluster *cluster, const char *group, int32_t broker_id, int32_t loading_ms);
/* Makes the next count appends of group records fail with Kafka's error_code. */
void mock_fail_appends(struct mock_cluster *cluster, int16_t error_code, int32_t count);
/* What everybody may do from now on, whoever he is; NULL: what acls_path says. They stay the caller's, and must stay. */
void mock_set_rights(struct mock_cluster *cluster, const struct rj_rights *rights);
/* Closes the connections of one client id (NULL: of all); returns how many. */
int mock_disconnect(struct mock_cluster *cluster, const char *client_id);

/* One line on each API that is served with the versions that are advertised. */
struct mock_api { int16_t api_key, low, high; };
int mock_apis(const struct mock_cluster *cluster, const struct mock_api **apis);

#endif
