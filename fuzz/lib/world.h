/* The world of the sequence target: one coordinator, its log, the actors that send requests, a passive checker that
 * sees what goes over their connections, and the oracles. */
#ifndef REJOIN_FUZZ_WORLD_H
#define REJOIN_FUZZ_WORLD_H

#include "lib/sequence.h"
#include "rejoin/check.h"
#include "rejoin/codec.h"
#include "rejoin/coord.h"

enum { WORLD_CONNECTIONS = 2, WORLD_ID_LEN = 128, WORLD_MAX_APPENDS = 512, WORLD_MAX_RECORDS = 4096 };

/* A connection carries one request at a time, as Kafka's do: what comes behind it would wait. */
struct world_connection {
    uint64_t id;              /* 0: not opened */
    bool is_busy;
    int32_t correlation_id;   /* of the request that is not answered */
    int16_t api_key, version;
    uint8_t group;
    char member_id[WORLD_ID_LEN]; /* that the request was sent with */
    struct rj_string instance_id;
    bool may_be_forgotten;        /* see forget_older */
};

struct world_actor {
    struct world_connection connections[WORLD_CONNECTIONS];
    char member_id[SEQUENCE_GROUPS][WORLD_ID_LEN], stale_id[SEQUENCE_GROUPS][WORLD_ID_LEN];
    int32_t generation_id[SEQUENCE_GROUPS];
    bool leads[SEQUENCE_GROUPS];
};

/* One of the log; key == NULL: the marker that ends a transaction. */
struct world_record { uint8_t *key, *value; size_t key_len, value_len; int16_t record_type, value_version;
                      int64_t producer_id; bool commits; };

struct world_append { uint64_t append_id; uint32_t first_record, record_count; };

struct world {
    struct fuzz_heap heap;           /* of the coordinator */
    struct fuzz_heap checker_heap;
    struct rj_coord *coord;
    struct rj_checker *checker;
    struct rj_config config;
    struct sequence_settings settings;
    int64_t now_ms;
    int32_t tick_count;
    uint64_t last_connection_id, event_number;
    int32_t last_correlation_id;
    uint32_t entropy_count;
    struct world_actor actors[SEQUENCE_ACTORS];
    enum rj_group_state group_state[SEQUENCE_GROUPS];
    bool state_known[SEQUENCE_GROUPS]; /* not after a reload, until the next change */
    struct rj_topic topics[2][SEQUENCE_TOPICS]; /* the table in force and the one before it */
    struct rj_topic_table topic_tables[2];
    uint32_t topics_in_force;
    /* The log: records of appends that were acknowledged, then those that were not yet. */
    uint32_t record_count, acknowledged_count;
    uint32_t append_head, append_count;
    bool appends_wait;               /* results come by OP_APPEND_RESULT only */
    bool is_loading;
    uint32_t loaded_count;
    uint32_t fail_next;              /* the next request's allocation that fails; 0: none */
    bool refused_for_memory;         /* some answer since it was cleared was by rule limit-memory */
    struct rj_arena scratch;         /* of one operation */
    struct fuzz_heap scratch_heap;
    uint64_t requests, accepted;     /* accepted: answered without an error */
    int32_t violations_seen;
    bool is_tight;  /* the coordinator's memory has a low limit */
    bool may_wedge; /* a member named a protocol twice: Kafka's vote then throws, and the group waits for ever */
    /* Not cleared between runs: too much for each of them. */
    struct world_append appends[WORLD_MAX_APPENDS];
    struct world_record records[WORLD_MAX_RECORDS];
};

void world_begin(struct world *world, struct sequence_settings settings);
void world_run_op(struct world *world, const struct sequence_op *op);
/* Hostility ends: every append succeeds, loading finishes, time passes; every request must be answered. */
void world_heal(struct world *world);
void world_end(struct world *world);

/* ---- Between the files of the world ------------------------------------------------------------------------------- */

/* Takes the event through the coordinator and judges what came out. */
enum rj_err world_step(struct world *world, struct rj_event *event);
void world_send_request(struct world *world, const struct sequence_op *op);
/* The error that an answer carries: the first that is not 0. */
int16_t world_error_of(int16_t api_key, int16_t version, const void *body);
/* What the answer tells its actor. */
void world_learn(struct world *world, struct world_actor *actor, uint8_t group, int16_t api_key, const void *body,
                 int16_t error_code);
void world_keep_records(struct world *world, const struct rj_append *append);
void world_resolve_append(struct world *world, int16_t error_code);
void world_keep_marker(struct world *world, int64_t producer_id, bool commits);
void world_reload(struct world *world, const struct sequence_op *op);
void world_load_some(struct world *world, uint32_t count);
void world_end_log(struct world *world);
/* What clients can see of a group, as text in the scratch arena; NULL: not while it loads. */
char *world_describe(struct world *world, uint8_t group, bool offsets_only);
const char *world_group_id(uint8_t group);
struct rj_string world_string(const char *text);
/* The subscription inside a member's metadata; NULL: it is none. */
const struct rj_consumer_protocol_subscription *world_subscription(struct rj_bytes metadata, struct rj_arena *arena);

#endif
