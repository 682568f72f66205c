/* Feeds a checker with made-up requests and answers, one call each. Frames count up by one and time by 10 ms. */
#ifndef REJOIN_TESTS_SUPPORT_TRACE_H
#define REJOIN_TESTS_SUPPORT_TRACE_H

#include "rejoin/check.h"
#include "rejoin/errors.h"

enum { TRACE_STREAMS = 32 };

struct trace {
    struct rj_checker *checker;
    uint64_t frame;
    int64_t time_ms;
    int32_t correlation_ids[TRACE_STREAMS];
    const char *clients[TRACE_STREAMS]; /* client id of each stream; NULL: "client" */
    enum rj_err err;                    /* the first that the checker returned */
};

struct trace_protocol { const char *name; struct rj_bytes metadata; };
struct trace_member { const char *id, *instance_id; struct rj_bytes metadata; };
struct trace_share { const char *member; struct rj_bytes assignment; };

struct rj_string trace_string(const char *text); /* NULL stays null */

int32_t trace_ask(struct trace *trace, uint64_t stream, int16_t api_key, int16_t version, const void *body);
void trace_answer(struct trace *trace, uint64_t stream, int16_t api_key, int16_t version, int32_t correlation_id,
                  const void *body);

/* A new connection, from its first byte, with an ApiVersions exchange. */
void trace_connect(struct trace *trace, uint64_t stream, const char *client_id);
void trace_metadata(struct trace *trace, uint64_t stream, int partition_count); /* topic "t" */

/* JoinGroup v9. member "": none yet. Returns the correlation id. */
int32_t trace_join(struct trace *trace, uint64_t stream, const char *group, const char *member, const char *instance,
                   const struct trace_protocol *protocols, int count);
void trace_joined(struct trace *trace, uint64_t stream, int32_t correlation_id, int16_t error, int32_t generation,
                  const char *protocol, const char *leader, const char *member, const struct trace_member *list,
                  int count);
int32_t trace_sync(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                   const struct trace_share *shares, int count);
void trace_synced(struct trace *trace, uint64_t stream, int32_t correlation_id, int16_t error,
                  struct rj_bytes assignment);
/* Request and answer at once. */
void trace_heartbeat(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                     const char *instance, int16_t error);
void trace_leave(struct trace *trace, uint64_t stream, const char *group, const char *member, int16_t error);
/* Partition index of topic "t"; the answer names answered_partition. */
void trace_commit(struct trace *trace, uint64_t stream, const char *group, int32_t generation, const char *member,
                  int32_t partition, int64_t offset, int16_t error, int32_t answered_partition);
void trace_fetch_offset(struct trace *trace, uint64_t stream, const char *group, int32_t partition, int64_t offset);
void trace_fetch(struct trace *trace, uint64_t stream, int32_t partition, int64_t offset, int32_t session_epoch);

/* ConsumerProtocolSubscription v2 to "t" with what it owns of it, and ConsumerProtocolAssignment of partitions of "t".
 * Partitions as a string of digits: "012". The bytes are static and good for the 64 latest calls. */
struct rj_bytes trace_subscription(const char *owned, int32_t generation);
struct rj_bytes trace_assignment(const char *topic, const char *partitions);

#endif
