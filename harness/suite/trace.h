/* What was seen in one case: every frame that the mock received or sent, every connection, what the case did and what
 * the client reported, in one order, numbered from 1. The numbers are those of the printed timeline. */
#ifndef REJOIN_SUITE_TRACE_H
#define REJOIN_SUITE_TRACE_H

#include "mock/mock.h"

#include <jansson.h>

enum trace_kind {
    TRACE_REQUEST, TRACE_ANSWER, TRACE_OPENED, TRACE_CLOSED,
    TRACE_CASE,   /* the case did something: text says what */
    TRACE_CLIENT, /* a line of the driver's events: text, and report where it was JSON */
    TRACE_GROUP,  /* the group changed its state: text */
};

struct trace_event {
    enum trace_kind kind;
    int32_t number;        /* from 1 */
    int64_t at_us;         /* since the case began */
    int32_t broker_id;     /* -1: none */
    uint64_t connection_id;
    int32_t process;       /* TRACE_CASE and TRACE_CLIENT: which of the case's clients, from 0; -1: none */
    /* Frames. body is a copy that lives as long as the trace; NULL where it could not be read or is only bulk. */
    int16_t api_key, version;
    int32_t correlation_id;
    const char *client_id;
    const struct rj_message_schema *schema;
    const void *body;
    uint32_t frame_len;
    int32_t pair;          /* number of the answer to this request, or of the request of this answer; 0: none yet */
    enum rj_rule rule;     /* answers: what refused the request */
    /* What the group APIs have in common; member_id is "" and generation INT32_MIN where there is none. */
    const char *group, *member_id, *instance_id; /* instance_id: NULL is null */
    int32_t generation;
    int16_t error;         /* answers: the first error anywhere in it */
    bool injected;         /* requests: a fault was applied to it; answers: to its request */
    const char *text;      /* what the fault was; or the event in words */
    json_t *report;        /* TRACE_CLIENT */
};

struct trace {
    struct trace_event *events;
    int32_t count, capacity;
    int64_t started_us;    /* Unix epoch */
    struct rj_arena arena;
};

void trace_init(struct trace *trace, int64_t started_us);
void trace_release(struct trace *trace);

/* The event that it adds is valid until the next one is added. */
struct trace_event *trace_add_frame(struct trace *trace, const struct mock_frame *frame);
struct trace_event *trace_add_connection(struct trace *trace, const struct mock_connection_event *event);
struct trace_event *trace_add_text(struct trace *trace, enum trace_kind kind, int64_t time_us, int32_t process,
                                   const char *text);
const char *trace_copy(struct trace *trace, const char *text);

/* number: from 1; NULL when there is no such event. */
static inline const struct trace_event *trace_at(const struct trace *trace, int32_t number)
{
    return number >= 1 && number <= trace->count ? &trace->events[number - 1] : NULL;
}

/* ---- Looking for events --------------------------------------------------------------------------------------- */

#define TRACE_ANY_API INT16_MIN

/* The first event behind number `after` (0: from the start) that satisfies; NULL: none. */
const struct trace_event *trace_request(const struct trace *trace, int32_t after, int16_t api_key);
const struct trace_event *trace_answer(const struct trace *trace, int32_t after, int16_t api_key);
/* An answer with error 0 to this API. */
const struct trace_event *trace_success(const struct trace *trace, int32_t after, int16_t api_key);
/* An answer, or the end of a request that gets none, on which a fault was applied. */
const struct trace_event *trace_injected(const struct trace *trace, int32_t after, int16_t api_key);
const struct trace_event *trace_request_of(const struct trace *trace, const struct trace_event *answer);
const struct trace_event *trace_answer_of(const struct trace *trace, const struct trace_event *request);
/* The last request of this API before number `before`. */
const struct trace_event *trace_request_before(const struct trace *trace, int32_t before, int16_t api_key);
int32_t trace_count_requests(const struct trace *trace, int32_t after, int16_t api_key);

/* "client" lines: the first whose "event" is this word; process -1: of any client. */
const struct trace_event *trace_report(const struct trace *trace, int32_t after, const char *event, int32_t process);
int32_t trace_count_reports(const struct trace *trace, const char *event, int32_t process);

bool trace_is_group_api(int16_t api_key); /* Join, Sync, Heartbeat, Leave, Commit, OffsetFetch, FindCoordinator */
const char *trace_error_name(int16_t error, char *out, size_t out_len); /* "27 REBALANCE_IN_PROGRESS" */

/* One line of the ladder, without its newline. */
void trace_format(const struct trace *trace, const struct trace_event *event, char *out, size_t out_len);

#endif
