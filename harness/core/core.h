/* The coordinator in virtual time: operations as JSON lines in, answers as JSON lines out. The same form drives
 * Kafka's own coordinator (harness/oracle), so that the two can be compared line by line. Parts of `rejoin core`. */
#ifndef REJOIN_CORE_CORE_H
#define REJOIN_CORE_CORE_H

#include "rejoin/codec.h"
#include "rejoin/coord.h"
#include "support/buffer.h"

#include <jansson.h>
#include <stdio.h>

enum { CORE_GROUPS_PARTITION = 0 };

/* java.util.Random: what the oracle draws its ids from when it is given a seed. */
struct java_random { uint64_t state; };
void java_random_seed(struct java_random *random, int64_t seed);
void java_random_bytes(struct java_random *random, uint8_t *bytes, size_t len);

/* One record of the log, as Kafka would have written it. */
struct core_record {
    int16_t record_type, value_version;
    void *key, *value; /* typed, in the session's arena; value NULL: tombstone. Both NULL: a marker */
    bool is_marker, commits;
    int64_t producer_id;
};

struct core_request {
    struct core_request *next; /* behind another of its connection */
    uint64_t id;               /* the coordinator's connection id: one a request, so that "ordered" can be off */
    int64_t connection;
    int32_t correlation_id;
    int16_t api_key, version;
    char *client_id, *client_host;
    struct rj_arena arena; /* of the body */
    void *body;
    json_t *save;          /* names and JSON pointers */
    bool wants_hex, in_flight, answered, closed;
    char *refusal;         /* why the broker would close the connection */
};

struct core_session {
    FILE *out;
    struct rj_coord *coord;
    struct rj_config config;
    struct rj_arena log_arena, topic_arena[2];
    struct rj_topic_table topics[2]; /* the current one and the one before */
    int topic_table;
    struct core_record *log;
    size_t log_count, log_size;
    int64_t start_ms, now_ms; /* absolute */
    bool is_unloaded, is_loading; /* the partition is lost; it is being loaded again, which takes until load_end */
    bool auto_commit, ordered, quiet, records, records_always, denies, entropy_used, trace, changes;
    bool tells_disconnects; /* the coordinator, which then has to drop those answers itself */
    struct rj_right *rights;
    size_t right_count;
    struct java_random random;
    struct rj_uuid *uuids; /* to be used before the random ones */
    size_t uuid_count, uuid_next;
    struct core_request *requests; /* all that are not answered */
    uint64_t next_request_id;
    json_t *saved;
    int64_t line;
    int fail_count;
    int16_t fail_error;
    uint64_t *uncommitted; /* append ids without a result */
    size_t uncommitted_count, uncommitted_size;
};

void core_open(struct core_session *session, FILE *out);
void core_close(struct core_session *session);
/* One line of input. */
void core_line(struct core_session *session, const char *line, size_t len);

/* Steps the coordinator, prints what comes of it, and feeds back results of writes. */
enum rj_err core_step(struct core_session *session, struct rj_event *event);
/* Fires what is due, up to and including that time. */
void core_run_until(struct core_session *session, int64_t until_ms);
/* The next timer apart from housekeeping; INT64_MAX: none. */
int64_t core_next_timer_ms(const struct core_session *session);

void core_op_config(struct core_session *session, const json_t *op);
void core_op_topics(struct core_session *session, const json_t *op);
void core_op_request(struct core_session *session, const json_t *op);
void core_op_state(struct core_session *session);
void core_op_log(struct core_session *session);
void core_op_unload(struct core_session *session);
void core_op_load(struct core_session *session, bool finish);
void core_op_load_end(struct core_session *session);
void core_op_commit(struct core_session *session);
void core_op_disconnect(struct core_session *session, int64_t connection);
void core_op_encode(struct core_session *session, const json_t *op);
void core_op_decode(struct core_session *session, const json_t *op);
void core_op_deny(struct core_session *session, const json_t *op);

/* Says what the request is to its group, and the group's state: for tables of what a run has tried. */
void core_trace(struct core_session *session, int16_t api_key, const void *body);
void core_trace_rules(struct core_session *session);

/* Prints what changed and by which rule: {"change":{"group":"g","from":"Empty",...,"rule":"hb-preparing"}}. */
void core_print_change(struct core_session *session, const struct rj_state_change *change);

void core_forget_requests(struct core_session *session);
int core_parked(const struct core_session *session);
/* Takes one answered request off, which lets the next of its connection in. */
bool core_finish_answered(struct core_session *session);
void core_take_reply(struct core_session *session, const struct rj_reply *reply);
void core_take_append(struct core_session *session, const struct rj_append *append);
void core_print_records(struct core_session *session, size_t from, size_t to);
void core_append_marker(struct core_session *session, int64_t producer_id, bool commits);
void core_error(struct core_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool core_parse_uuid(const char *text, struct rj_uuid *uuid);
/* The core's own subscriptions behind each metadata of a JoinGroup or each member of a loaded group. */
const struct rj_subscription_views *core_views(struct rj_arena *arena, const struct rj_bytes *metadata, int32_t count);
/* ApiKeys: a number or a name; -1: unknown. */
int16_t core_api_key(const json_t *api);

#endif
