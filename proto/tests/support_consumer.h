/* One consumer core against a script: the test answers its requests one by one, in virtual time. Connections open at
 * once; ApiVersions, Metadata and FindCoordinator are answered by the script itself. */
#ifndef REJOIN_TESTS_SUPPORT_CONSUMER_H
#define REJOIN_TESTS_SUPPORT_CONSUMER_H

#include "rejoin/consumer.h"

#include <setjmp.h>

struct scripted_request {
    uint32_t connection_id;
    int32_t correlation_id;
    int16_t api_key, version;
    const void *body; /* a copy that lives as long as the script */
    int64_t sent_ms;
};

struct scripted {
    struct rj_consumer_config config;
    struct rj_consumer *consumer;
    struct rj_arena arena;
    int64_t now_ms;
    int32_t partition_count;        /* of every topic */
    int16_t find_error;             /* the next FindCoordinator is answered with it, once */
    int16_t high[32];               /* the highest version that the broker advertises; -1: as high as the schema */
    struct scripted_request out[64]; /* waiting for an answer */
    int32_t out_count;
    char trace[2048];               /* what happened, in words: "find", "assigned t/0 t/1", "lost", "fatal 82", ... */
    struct rj_string_array topics;
    struct rj_string topic;
    struct rj_consumer_bootstrap address;
    bool is_closed;
    const struct rj_allocator *allocator; /* of the consumer; test_heap unless changed before scripted_begin */
    jmp_buf *out_of_memory;         /* where to go when a step finds no memory; NULL: that is a failure */
    bool traces_requests;           /* group requests go into the trace, too: "Join(m)", "Heartbeat(1 m)" ... */
};

void scripted_start(struct scripted *script);  /* fills everything with defaults; config may then be changed */
void scripted_begin(struct scripted *script);  /* creates the consumer and steps it for the first time */
void scripted_end(struct scripted *script);
void scripted_step(struct scripted *script, struct rj_consumer_event event);
void scripted_trace(struct scripted *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The oldest request of that API that waits; time goes on from deadline to deadline until there is one. NULL: none came
 * within limit_ms. -1: a request of any API. */
struct scripted_request *scripted_wait(struct scripted *script, int16_t api_key, int64_t limit_ms);
void scripted_answer(struct scripted *script, const struct scripted_request *request, const void *body);
void scripted_disconnect(struct scripted *script, uint32_t connection_id);
/* Lets time pass; requests pile up. */
void scripted_pass(struct scripted *script, int64_t ms);

/* Takes the consumer through JoinGroup (as member m, who leads two that are not there) and SyncGroup to a stable
 * generation. */
void scripted_join(struct scripted *script, int32_t generation_id);
void scripted_answer_join(struct scripted *script, int32_t generation_id, const char *member_id, bool as_leader);
/* Assigns partitions 0 to count-1 of the topic. */
void scripted_answer_sync(struct scripted *script, int32_t count);
void scripted_answer_error(struct scripted *script, const struct scripted_request *request, int16_t error_code);

#endif
