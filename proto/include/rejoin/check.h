/* The passive checker: follows requests and responses, wherever they come from (a capture, a live mock, a simulation,
 * fuzz input), and reports where a trace rule (role RJ_ROLE_TRACE of the rule book) is broken, with the frames.
 *
 * Feed everything in the order in which it was seen: the stream opened, each request when it was sent, each response
 * when it was sent, gaps, the stream closed. The checker pairs responses with requests itself. It sees typed messages
 * and decodes only what members put inside JoinGroup and SyncGroup. Nothing is asserted on what it is fed.
 *
 * A rule is judged only where what was seen allows a verdict: a capture that starts in mid-session, an answer that is
 * missing, a coordinator that moved or a group that was deleted make a rule unjudged, never a false alarm. */
#ifndef REJOIN_CHECK_H
#define REJOIN_CHECK_H

#include "rejoin/codec.h"
#include "rejoin/rules.h"

struct rj_checker;

struct rj_check_config {
    /* The source saw every client from before its first request (a mock, a simulation): an id that nobody was given is
     * then a breach, not a sign of something unseen. Captures leave it false; the checker then finds out by itself
     * which groups began inside the capture. */
    bool from_start;
    int32_t group_max_size;  /* the broker's setting; 0: not known, t-max-size is not judged */
    int32_t timer_slack_ms;  /* how late a broker's timer may fire before t-member-evict is broken */
    int32_t violation_limit; /* how many are kept; the others are only counted */
};

void rj_check_config_init(struct rj_check_config *config); /* a capture's: false, 0, 2 000, 1 000 */

/* One request or response. Everything it points to is needed during the call only. */
struct rj_check_message {
    uint64_t stream;            /* a connection; any number, never used again for another connection */
    uint64_t frame;             /* what a reader finds it by: packet number, event number; never goes back */
    int64_t time_ms;            /* never goes back */
    int16_t api_key, version;   /* of a response: those of the request that it answers, as the feeder paired it */
    int32_t correlation_id;
    struct rj_string client_id; /* of a request; null possible */
    const void *body;           /* the typed request or response; NULL: it could not be decoded */
    enum rj_err err;            /* what decoding said; RJ_ERR_API and RJ_ERR_VERSION: this API or version is not known */
};

enum rj_check_direction { RJ_CHECK_REQUESTS = 1, RJ_CHECK_RESPONSES = 2, RJ_CHECK_BOTH = 3 };

struct rj_violation {
    enum rj_rule rule;          /* its row has the strength and what must hold */
    struct rj_string group, member, client_id; /* empty where they do not apply */
    uint64_t stream;
    uint64_t frames[3];         /* the frame where it showed first, then those that it contradicts */
    int32_t frame_count;
    int64_t time_ms;
    char sentence[320];         /* what happened: "the generation went from 7 back to 6" */
    char expected[200];         /* what would have been right */
};

/* RJ_ERR_MEMORY only. The allocator is copied; config may be NULL (a capture's). */
enum rj_err rj_check_create(struct rj_checker **checker, const struct rj_allocator *allocator,
                            const struct rj_check_config *config);
void rj_check_destroy(struct rj_checker *checker);

/* A connection was seen to open (from_start: from its first byte). A stream that was never opened counts as one that
 * was met in the middle, unless the configuration says from_start. */
enum rj_err rj_check_open(struct rj_checker *checker, uint64_t stream, uint64_t frame, int64_t time_ms,
                          bool from_start);
enum rj_err rj_check_close(struct rj_checker *checker, uint64_t stream, uint64_t frame, int64_t time_ms);
/* Bytes of a stream were not seen. Breaches of the groups that it spoke of, found since its last message, are taken back
 * (hard ones are not): they may have been none. */
enum rj_err rj_check_gap(struct rj_checker *checker, uint64_t stream, enum rj_check_direction direction,
                         uint64_t frame);

/* RJ_OK or RJ_ERR_MEMORY; after the latter the checker knows less than was seen: it judges nothing any more. */
enum rj_err rj_check_request(struct rj_checker *checker, const struct rj_check_message *request);
enum rj_err rj_check_response(struct rj_checker *checker, const struct rj_check_message *response);
/* The API and version of the unanswered request that a response with this correlation id answers, for feeders that
 * need them to decode it; false: there is none. */
bool rj_check_pending(const struct rj_checker *checker, uint64_t stream, int32_t correlation_id, int16_t *api_key,
                      int16_t *version);
/* Nothing more comes: what was waiting for later messages is judged now. Call it once, before reading results. */
enum rj_err rj_check_finish(struct rj_checker *checker, int64_t time_ms);

/* How often a rule was judged, breaches included. */
uint64_t rj_check_judged(const struct rj_checker *checker, enum rj_rule rule);
/* In the order in which they were found; valid until the checker is destroyed. */
int32_t rj_check_violation_count(const struct rj_checker *checker);
const struct rj_violation *rj_check_violation(const struct rj_checker *checker, int32_t index);
uint64_t rj_check_violations_dropped(const struct rj_checker *checker); /* beyond config.violation_limit */
/* Was everything of this group seen, from its first generation on? *reason (may be NULL) says what was missing. */
bool rj_check_group_complete(const struct rj_checker *checker, struct rj_string group, const char **reason);
/* Does it count as a failure: hard always, hard-if-complete where the group was completely seen, warnings never. */
bool rj_check_counts(const struct rj_checker *checker, const struct rj_violation *violation);

#endif
