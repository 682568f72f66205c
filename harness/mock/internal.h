/* What the files of the mock cluster share. Nothing outside harness/mock includes this. */
#ifndef REJOIN_MOCK_INTERNAL_H
#define REJOIN_MOCK_INTERNAL_H

#include "mock/security/acls.h"
#include "mock/log.h"
#include "mock/mock.h"
#include "mock/transactions/transactions.h"
#include "mock/security/users.h"
#include "rejoin/records.h"
#include "support/memory.h"
#include "support/slab.h"

enum { OFFSETS_PARTITION_COUNT = 50, PEER_LEN = 64, UUID_TEXT_LEN = 22 };

/* ---- Topics ---------------------------------------------------------------------------------------------------- */

struct topic {
    char *name;
    struct rj_string name_view;
    struct rj_uuid topic_id;
    bool is_internal;
    int32_t partition_count;
    struct log **partitions; /* pointers stay when partitions are added */
    int16_t replication_factor; /* as metadata tells it; there is one copy */
    int32_t first_leader;    /* partition p is led by broker (first_leader + p) mod broker count */
    struct topic_configs *configs; /* topic_configs.h */
};

/* What a topic is made of. */
struct topic_plan {
    struct rj_string name;
    const struct rj_uuid *topic_id; /* NULL: a new one */
    bool is_internal;
    int32_t partition_count;
    int16_t replication_factor;
    int32_t first_leader;
    struct topic_configs *configs; /* taken in any case */
};

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

struct connection;

/* What a handler works on. It lives on the stack of dispatch, or in the connection while it is parked. */
struct request {
    struct mock_cluster *cluster;
    struct connection *connection; /* NULL: mock_ask */
    int32_t broker_id;
    int16_t api_key, version;
    int32_t correlation_id;
    struct rj_string client_id;
    const void *body;
    struct rj_bytes frame;
    size_t body_offset;
};

/* What became of a request that a handler was given. */
enum outcome {
    OUTCOME_ANSWERED, /* answer_request was called */
    OUTCOME_PARKED,   /* it will be */
    OUTCOME_SILENT,   /* there is none: Produce with acks 0 */
    OUTCOME_CLOSE,    /* the connection must go */
};

struct api_row {
    int16_t api_key, low, high; /* the versions that the handler serves */
    enum outcome (*handle)(struct request *request);
};
extern const struct api_row mock_api_rows[];
extern const int mock_api_row_count;

/* ---- Connections ------------------------------------------------------------------------------------------------- */

enum parked_on { PARKED_NOT, PARKED_COORDINATOR, PARKED_FETCH, PARKED_FAULT };

struct buffer { uint8_t *data; size_t len, capacity; };

union address { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; };

struct connection {
    uv_tcp_t handle;
    struct mock_cluster *cluster;
    int32_t broker_id;
    uint64_t id;
    struct connection *next, *previous; /* of the cluster */
    struct connection *next_in_bucket;  /* by id */
    struct connection *next_dirty;
    bool is_dirty, is_closing, is_reading, is_processing, is_closing_after_write;
    union address peer_address, local_address;
    char *host_and_port;          /* "/127.0.0.1:51234" */
    const char *peer;             /* behind its slash */
    struct rj_string client_host; /* "/127.0.0.1", as Kafka writes it: the part before the port */
    uint64_t received_len;  /* bytes of whole frames taken so far: the offset of the next frame in the stream */

    struct buffer in;       /* bytes behind the last frame that was taken */
    struct buffer out;      /* answers, not yet given to the kernel; without memory while there are none */
    size_t writing_len;     /* in uv_write requests */
    size_t held_len;        /* its part of the cluster's held_len */
    int64_t heard_ms;       /* when bytes came last, on the loop's clock */

    uint32_t frame_limit;   /* the longest frame it may send, less before it is authenticated */
    const struct rj_rights *rights; /* what its principal may do; NULL: everything */
    struct sasl *sasl;      /* NULL: nobody has to authenticate */
    struct tls *tls;        /* NULL: plain */

    /* The one request that is not answered yet. */
    enum parked_on parked;
    struct request request;     /* while parked: client_id is in kept_client_id, no frame, no body */
    struct buffer kept_client_id;
    int32_t parked_partition;   /* of __consumer_offsets */
    struct waiting_fetch *fetch;
    struct mock_verdict verdict; /* of the request being answered */
    struct buffer kept_frame;   /* of a delayed or held request, or with an answer that is held back */
    bool holds_answer;          /* kept_frame is an answer */
    enum rj_rule kept_rule;     /* what refused the request, then */
    int64_t due_us;             /* of PARKED_FAULT, by mock_now_us; INT64_MAX: not by time */
    struct connection *next_due;
};

/* ---- Coordinators ------------------------------------------------------------------------------------------------ */

struct coordinator {
    struct rj_coord *coord; /* NULL: nobody asked for a group of this partition yet */
    int32_t broker_id;      /* the partition's leader */
    int64_t deadline_ms;
    int64_t loads_until_ms; /* 0: loaded */
    struct log *log;        /* the partition of __consumer_offsets; NULL until something was appended */
    size_t compact_at_len;  /* when its log has grown to that, it is compacted */
};

/* ---- The cluster ------------------------------------------------------------------------------------------------- */

struct broker {
    struct mock_cluster *cluster;
    uv_tcp_t listener;
    uint16_t port;
};

struct mock_cluster {
    uv_loop_t *loop;
    struct mock_options options; /* strings copied */
    struct rj_config config;
    struct broker *brokers;
    char *bootstrap;
    char cluster_id[UUID_TEXT_LEN + 1];
    bool is_stopping;
    int open_handles;
    void (*stopped)(void *context);
    void *stopped_context;

    struct mock_api *apis; /* advertised, by key */
    int api_count;
    struct mock_users *users;   /* NULL: nobody has to authenticate */
    struct mock_acls *acls;     /* NULL: everybody may do everything */
    const struct rj_rights *host_rights; /* of mock_set_rights; NULL: those of the ACLs */
    struct tls_context *tls;    /* NULL: connections are plain */

    int8_t row_by_key[128];  /* index into mock_api_rows, -1: not served */
    int16_t low_by_key[128], high_by_key[128];

    int64_t wall_base_ms;    /* wall clock minus uv_now */
    int64_t wall_base_us;    /* wall clock minus uv_hrtime */
    uint64_t random_state[2];

    struct connection *connections;
    uint32_t connection_count;
    uint64_t last_connection_id;
    size_t held_len;         /* limits.held_len is about it */
    struct rj_allocator coordinator_allocator;
    struct slab coordinator_slab; /* what it takes memory from */
    size_t coordinators_len;
    struct rj_shared_output *coordinators_output; /* NULL until there is a coordinator */
    struct connection *buckets[1024];
    struct connection *dirty;
    uint8_t *read_buffer; /* READ_BUFFER_LEN bytes, for connections with nothing left over */
    struct buffer spare_out; /* lent to a connection with answers; without memory while it is lent */

    struct rj_arena arena;     /* of the request being processed */
    struct rj_arena ask_arena; /* of mock_ask's answer */
    int depth;                 /* of dispatch: requests are asked within requests */

    struct topic **topics; /* sorted by name, bytewise */
    int32_t topic_count;
    int32_t total_partition_count;
    size_t records_len;
    struct rj_topic_table table; /* what the coordinators know */
    struct topic *offsets_topic; /* __consumer_offsets; NULL until something was appended */

    struct rj_topic *owned_table;  /* its items */
    struct buffer scratch;         /* batches are built here */
    struct connection *stepping;   /* whose request a coordinator is being asked */
    struct coordinator coordinators[OFFSETS_PARTITION_COUNT];
    int32_t fail_append_count;
    int16_t fail_append_error;
    /* Answers for connection 0 come here: requests that span groups are asked group by group. */
    void (*collect)(void *context, const struct rj_reply *reply);
    void *collect_context;

    struct waiting_fetch *waiting_fetches;
    bool has_news; /* records arrived that a fetch may be waiting for */
    struct fetch_session *sessions;
    int32_t session_count;
    uint64_t topics_version; /* counts changes of topics: pointers to a topic or log hold for one version */

    int64_t next_producer_id;
    struct transactions transactions;
    bool verifies_transactions; /* whether a partition was added before something is written (since 3.6) */
    struct storage *storage; /* storage.h; NULL: all in memory */

    uv_timer_t timer;
    int64_t timer_ms; /* when it fires; INT64_MAX: not */

    struct connection *due;  /* PARKED_FAULT, unsorted */
    struct mock_observer *observers;
    struct mock_interposer interposer;
    struct mock_faults *faults;
};

/* cluster.c */
void mock_log_line(struct mock_cluster *cluster, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t mock_now_us(const struct mock_cluster *cluster);
uint64_t mock_random_number(struct mock_cluster *cluster);
struct rj_uuid mock_random_uuid(struct mock_cluster *cluster);
void mock_uuid_print(const struct rj_uuid *uuid, char text[UUID_TEXT_LEN + 1]); /* as Kafka prints it */
bool mock_uuid_parse(const char *text, struct rj_uuid *uuid);                   /* false: it is none */
void mock_wake_at(struct mock_cluster *cluster, int64_t due_ms); /* the timer fires then at the latest */
void mock_handle_closed(struct mock_cluster *cluster);           /* one uv handle less */
struct rj_string mock_advertised_host(const struct mock_cluster *cluster);

/* connection.c */
void mock_accept_connection(uv_stream_t *listener, int status);
struct connection *mock_find_connection(struct mock_cluster *cluster, uint64_t id);
void mock_close_connection(struct connection *connection, enum mock_connection_end why);
/* Encodes the typed body as the answer to connection->request and goes on with what the connection has sent since. */
void mock_answer_connection(struct connection *connection, const void *body, enum rj_rule rule);
void mock_flush_connections(struct mock_cluster *cluster);
void mock_process_input(struct connection *connection);
/* The parked request has got its answer, or will never get one: what is behind it goes on with the next flush. */
void mock_resume_connection(struct connection *connection);
void mock_buffer_free(struct buffer *buffer);
bool mock_buffer_reserve(struct buffer *buffer, size_t more_len); /* room for that many behind len */
bool mock_buffer_append(struct buffer *buffer, const void *bytes, size_t len);

/* A frame that is no Kafka message: its length, then the bytes. false: no memory. */
bool mock_answer_bare(struct connection *connection, struct rj_bytes bytes);

/* sasl.c */
bool mock_sasl_begin(struct connection *connection); /* also without users: its rights and limits; false: no memory */
void mock_sasl_end(struct connection *connection);
/* Of a connection with sasl: whether the frame may be looked at as a request; false: it is dealt with. */
bool mock_sasl_screen(struct connection *connection, struct rj_bytes frame);
bool mock_sasl_admits(struct connection *connection); /* the decoded request, likewise */
void mock_sasl_versions_told(struct request *request);
enum outcome mock_handle_sasl_handshake(struct request *request);
enum outcome mock_handle_sasl_authenticate(struct request *request);

/* tls.c; the functions of a connection that has none do nothing but succeed */
bool mock_tls_start(struct mock_cluster *cluster, char *error, size_t error_len);
void mock_tls_stop(struct mock_cluster *cluster);
bool mock_tls_begin(struct connection *connection); /* false: no memory */
void mock_tls_end(struct connection *connection);
/* Of a connection with TLS. Puts what the bytes hold behind connection->in; false: it is closing. */
bool mock_tls_open(struct connection *connection, struct rj_bytes bytes);
bool mock_tls_has_sealed(const struct connection *connection); /* something is to be written that is not in out */
/* connection->out becomes what goes over the wire; is_last: and no more will. false: it cannot. */
bool mock_tls_seal(struct connection *connection, bool is_last);

/* Whether the principal of the request may do that. */
static inline const struct rj_rights *mock_rights_of(const struct request *request)
{
    return request->connection ? request->connection->rights : NULL;
}
static inline bool mock_may(const struct request *request, enum rj_resource_type type, struct rj_string name,
                            enum rj_operation operation)
{
    const struct rj_rights *rights = mock_rights_of(request);
    return rights == NULL || rj_is_allowed(rights, type, name, operation);
}
static inline bool mock_may_topic(const struct request *request, struct rj_string name, enum rj_operation operation)
{
    return mock_may(request, RJ_RESOURCE_TOPIC, name, operation);
}
static inline bool mock_may_cluster(const struct request *request, enum rj_operation operation)
{
    return mock_may(request, RJ_RESOURCE_CLUSTER, RJ_STRING("kafka-cluster"), operation);
}

/* dispatch.c */
enum outcome mock_dispatch_request(struct request *request);
void mock_process_frame(struct connection *connection, struct rj_bytes frame, bool was_judged);
/* A response of the request's API in the arena, every field at its default; NULL: no memory. */
void *mock_new_response(struct request *request);
void *mock_arena_array(struct request *request, size_t count, size_t size); /* zeroed; NULL: no memory */
struct rj_string mock_arena_text(struct request *request, const char *text); /* a copy; null: "", or no memory */
/* array.items becomes count zeroed elements of the arena; false: no memory. */
#define NEW_ITEMS(request, array, item_count)                                                                          \
    ((array).count = (int32_t)(item_count),                                                                            \
     (array).items = mock_arena_array((request), (size_t)(item_count), sizeof(*(array).items)), (array).items != NULL)
enum outcome mock_answer_request(struct request *request, const void *body, enum rj_rule rule);
void mock_tell_frame(struct mock_cluster *cluster, const struct mock_frame *frame);
void mock_frame_of_request(const struct request *request, struct mock_frame *frame);

/* repeated.c: which of what a request names, of a type, come more than once. A peer may name very many: this sorts. NULL:
 * no memory. */
struct named { int8_t type; struct rj_string name; };
bool *mock_find_repeated(struct request *request, const struct named *named, int32_t count);

/* delays.c: requests and answers that a fault keeps back. */
void mock_keep_request_back(struct connection *connection, struct rj_bytes frame);
void mock_keep_answer_back(struct connection *connection, struct rj_bytes frame);
/* Tells the observers of an answer (with its length prefix) that was kept back and leaves now. */
void mock_tell_kept_answer(struct connection *connection, struct rj_bytes frame);
void mock_release_due(struct mock_cluster *cluster, int64_t *next_ms);
void mock_forget_delay(struct connection *connection);

/* versions.c */
bool mock_choose_versions(struct mock_cluster *cluster); /* false: no such release */
bool mock_release_is_at_least(const struct mock_cluster *cluster, const char *release); /* "4.0" */
enum outcome mock_handle_api_versions(struct request *request);

/* error_shapes.c */
void *mock_error_response(struct request *request, int16_t error_code); /* NULL: no memory */

/* topics.c */
struct topic *mock_find_topic(const struct mock_cluster *cluster, struct rj_string name);
struct topic *mock_find_topic_by_id(const struct mock_cluster *cluster, const struct rj_uuid *topic_id);
struct log *mock_find_log(const struct topic *topic, int32_t partition); /* NULL: out of range */
int32_t mock_partition_leader(const struct mock_cluster *cluster, const struct topic *topic, int32_t partition);
int16_t mock_add_planned_topic(struct mock_cluster *cluster, const struct topic_plan *plan);
/* With a new id, one replica and no settings of its own. */
int16_t mock_add_topic(struct mock_cluster *cluster, struct rj_string name, int32_t partition_count, bool is_internal);
int16_t mock_grow_topic(struct mock_cluster *cluster, struct topic *topic, int32_t new_partition_count);
int16_t mock_remove_topic(struct mock_cluster *cluster, struct topic *topic); /* 0 or Kafka's error */
void mock_free_topics(struct mock_cluster *cluster);
bool mock_valid_topic_name(struct rj_string name);

/* metadata.c */
struct rj_int32_array mock_replicas_of(struct request *request, const struct topic *topic, int32_t partition);

/* groups.c */
/* The records as one batch in the scratch buffer, at offsets that are so far behind one another (NULL: each one behind
 * the one before). 0 or the error that the append ends with. */
int16_t mock_encode_append(struct mock_cluster *cluster, const struct rj_append *append, const int32_t *deltas,
                           struct rj_bytes *batch);
enum outcome mock_handle_group_request(struct request *request);
enum outcome mock_handle_find_coordinator(struct request *request);
/* Writes the marker to that partition of __consumer_offsets and tells its coordinator. 0 or Kafka's error. */
int16_t mock_end_offsets_transaction(struct mock_cluster *cluster, int32_t partition, const struct marker *marker);
void mock_coordinators_topics_changed(struct mock_cluster *cluster);
void mock_coordinators_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms);
void mock_coordinators_disconnect(struct mock_cluster *cluster, struct connection *connection);
void mock_free_coordinators(struct mock_cluster *cluster);
bool mock_load_coordinators(struct mock_cluster *cluster); /* from the records of a data directory; false: it cannot */

/* Of the group's partition; it may have no rj_coord yet. */
static inline const struct coordinator *mock_group_coordinator(const struct mock_cluster *cluster,
                                                               struct rj_string group_id)
{
    return &cluster->coordinators[rj_coordinator_partition(group_id, OFFSETS_PARTITION_COUNT)];
}

/* look_ahead.c: fetches what the steps of the next requests will look at. How many bytes of requests it looked at. */
size_t mock_look_ahead(const struct mock_cluster *cluster, uint32_t frame_limit, const uint8_t *bytes, size_t len);

/* compaction.c */
/* Calls for each batch of a log of our own records, which are not compressed; false: take said so, or no memory. */
bool mock_each_batch(const struct log *log, bool (*take)(void *context, const struct rj_record_batch *batch),
                     void *context);
void mock_compact(struct mock_cluster *cluster, struct log *log);

/* The other handlers. */
enum outcome mock_handle_metadata(struct request *request);
enum outcome mock_handle_describe_topic_partitions(struct request *request);
enum outcome mock_handle_describe_cluster(struct request *request);
enum outcome mock_handle_create_topics(struct request *request);
enum outcome mock_handle_delete_topics(struct request *request);
enum outcome mock_handle_create_partitions(struct request *request);
enum outcome mock_handle_describe_configs(struct request *request);
enum outcome mock_handle_list_config_resources(struct request *request);
enum outcome mock_handle_alter_configs(struct request *request);
enum outcome mock_handle_incremental_alter_configs(struct request *request);
enum outcome mock_handle_produce(struct request *request);
enum outcome mock_handle_init_producer_id(struct request *request);
enum outcome mock_handle_list_offsets(struct request *request);
enum outcome mock_handle_offset_for_leader_epoch(struct request *request);
enum outcome mock_handle_fetch(struct request *request);

/* transaction_requests.c */
enum outcome mock_handle_add_partitions_to_txn(struct request *request);
enum outcome mock_handle_add_offsets_to_txn(struct request *request);
enum outcome mock_handle_end_txn(struct request *request);
void mock_transactions_begin(struct mock_cluster *cluster); /* fills cluster->transactions */
void mock_transactions_recover(struct mock_cluster *cluster); /* of a data directory, after its coordinators */
void mock_transactions_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms);
int32_t mock_transaction_coordinator(const struct mock_cluster *cluster, struct rj_string transactional_id);
/* The control batch that ends the producer's transaction in that partition. 0 or Kafka's error. */
int16_t mock_append_marker(struct mock_cluster *cluster, struct log *log, const struct marker *marker);
/* The same in whatever topic. */
int16_t mock_end_transaction_in(struct mock_cluster *cluster, const struct topic *topic, int32_t partition,
                                const struct marker *marker);
enum outcome mock_handle_write_txn_markers(struct request *request); /* write_markers.c */
/* What a version of Produce or TxnOffsetCommit wants of the transaction coordinator (KIP-890). */
enum transaction_question {
    TRANSACTION_OLD_ERRORS,      /* is the partition in the transaction? INVALID_TXN_STATE: no */
    TRANSACTION_KNOWS_ABORTABLE, /* the same; TRANSACTION_ABORTABLE: no */
    TRANSACTION_TAKES_IN,        /* take it in */
};
/* Whether the producer may write to that partition in its transaction. 0 or the error of the answer. */
int16_t mock_verify_transaction(struct mock_cluster *cluster, struct rj_string transactional_id,
                                struct producer_identity producer, struct rj_string topic, int32_t partition,
                                const struct log *log, enum transaction_question question);
/* The same for a TxnOffsetCommit; partition and log of __consumer_offsets. *refusal: its answer, NULL where the group's
 * coordinator is to be asked. false: no memory. */
bool mock_judge_txn_offset_commit(struct request *request, int32_t partition, const struct log *log,
                                  const void **refusal);

/* transaction_log.c */
/* Writes down what the transaction is now, where there is a data directory. 0 or Kafka's error. */
int16_t mock_keep_transaction(struct mock_cluster *cluster, const struct transaction *transaction);
bool mock_load_transactions(struct mock_cluster *cluster); /* from the data directory; false: it cannot */

/* transaction_views.c */
enum outcome mock_handle_describe_transactions(struct request *request);
enum outcome mock_handle_list_transactions(struct request *request);
enum outcome mock_handle_describe_producers(struct request *request);

/* produce.c */
struct log_batch mock_log_batch_of(const struct rj_record_batch *batch, const uint8_t *bytes);
int16_t mock_append_in_memory(struct mock_cluster *cluster, struct log *log, const struct log_batch *batch,
                              int64_t *base_offset);
int64_t mock_next_producer_id(struct mock_cluster *cluster); /* -1: it could not be written down */
/* Appends one batch of magic 2 that is known to be good and tells those who wait for it. 0 or Kafka's error. With a
 * data directory it is written (and all else that waits) before this returns: not while an update is being read. */
int16_t mock_append_bytes(struct mock_cluster *cluster, struct log *log, struct rj_bytes bytes);

/* fetch.c */
void mock_wake_fetches(struct mock_cluster *cluster); /* answers those that have enough by now */
void mock_fetches_tick(struct mock_cluster *cluster, int64_t now_ms, int64_t *next_ms);
void mock_forget_fetch(struct connection *connection);
void mock_answer_all_fetches(struct mock_cluster *cluster); /* with what there is */

/* fetch_sessions.c */
struct fetch_item {
    char *topic_name;          /* owned; NULL: by topic_id */
    struct rj_uuid topic_id;
    int32_t partition, max_bytes, current_leader_epoch;
    int64_t fetch_offset;
    int64_t told_high_watermark, told_log_start; /* in the last answer; -1: never told */
    struct topic *topic;       /* found for topics_version; NULL: there is none */
    uint64_t topics_version;
};
struct fetch_session {
    struct fetch_session *next;
    int32_t id, epoch;         /* id 0: of one request only; epoch: that the next request must have */
    int32_t broker_id;
    bool uses_topic_ids;
    int64_t last_used_ms;
    struct waiting_fetch *waiting;
    struct fetch_item *items;
    int32_t item_count, item_capacity;
    int32_t first;             /* the item that an answer begins with, so that all get their turn */
};
/* The session that the request names or asks for, with its partitions brought up to date; *is_full: every partition is
 * to be answered, not only those with news. NULL: *error says why. */
struct fetch_session *mock_session_of_request(struct request *request, bool *is_full, int16_t *error);
void mock_session_release(struct mock_cluster *cluster, struct fetch_session *session); /* frees it if it has no id */
void mock_free_sessions(struct mock_cluster *cluster);

/* compression.c */
/* Decompresses into the arena; false: it cannot, or the bytes are bad. */
bool mock_decompress(enum rj_compression compression, int8_t magic, struct rj_bytes compressed, struct rj_arena *arena,
                struct rj_bytes *plain);

/* faults.c */
bool mock_faults_judge(struct mock_faults *faults, const struct mock_frame *request, struct mock_verdict *verdict);
void mock_faults_free(struct mock_faults *faults);

#endif
