/* What judges share: verdicts in words, the identity that a member may use, assignments. All pure but judge_run. */
#ifndef REJOIN_SUITE_JUDGE_H
#define REJOIN_SUITE_JUDGE_H

#include "suite/case.h"

/* The case's judge between what is the same for all: our own failures, exit 89, malformed frames, versions that were
 * not advertised, crashes, clients that do not end. harness_error "": none. */
void judge_run(struct suite_run *run, const char *harness_error, struct suite_verdict *verdict);

/* "#12 at 1.203 s" */
struct judge_where { char text[40]; };
struct judge_where judge_where(const struct trace_event *event);

/* Fills the verdict. first and second are the events that it rests on (NULL: none). expected is one clause without a
 * full stop; seen is formatted. */
void judge_say(struct suite_verdict *verdict, enum suite_result result, const struct trace_event *first,
               const struct trace_event *second, const char *expected, const char *seen, ...)
    __attribute__((format(printf, 6, 7)));

/* The client never came to what the case is about: FAIL with what it did last, or INCONCLUSIVE where that may be the
 * client's good right. missing is a clause: "a SyncGroup was answered". */
void judge_missing(const struct suite_run *run, struct suite_verdict *verdict, enum suite_result result,
                   const char *expected, const char *missing);

/* What the client did after an event, in a few words: "then 3 Heartbeat, 1 OffsetCommit, ended with status 1". */
const char *judge_aftermath(const struct suite_run *run, int32_t after, char *out, size_t out_len);

/* ---- Identity --------------------------------------------------------------------------------------------------- */

/* A request with a member id and generation must use what the last successful JoinGroup gave to this id. An older one
 * may still be on its way when the answer leaves: it counts when it arrives later than this after the answer. */
#define JUDGE_IN_FLIGHT_US 250000

enum judge_identity { IDENTITY_FINE, IDENTITY_NEVER_JOINED, IDENTITY_STALE };

/* How the identity of a Heartbeat, SyncGroup or OffsetCommit stands to the answers before it. *granted is the answer
 * that counts (NULL: none). */
enum judge_identity judge_identity(const struct trace *trace, const struct trace_event *request,
                                   const struct trace_event **granted);
/* The first request of this API (TRACE_ANY_API: of the three) whose identity is not fine; NULL: none. */
const struct trace_event *judge_wrong_identity(const struct trace *trace, int16_t api_key,
                                               enum judge_identity *identity, const struct trace_event **granted);

/* The last successful JoinGroup answer before number `before`; of this member id unless NULL. */
const struct trace_event *judge_granted(const struct trace *trace, int32_t before, const char *member_id);

/* ---- Assignments ------------------------------------------------------------------------------------------------ */

/* The partitions of SUITE_TOPIC as bits. Zero bytes are an empty assignment. false: not an assignment, or it names
 * another topic or a partition beyond 63. */
bool judge_assignment(const struct trace *trace, struct rj_bytes bytes, uint64_t *partitions);
/* What the subscription of a JoinGroup says; owned: v1 and newer, else 0. */
struct judge_subscription { int16_t version; bool names_topic; uint64_t owned; int32_t generation; };
bool judge_subscription(const struct trace *trace, struct rj_bytes bytes, struct judge_subscription *subscription);
/* "0,2" or "none". */
const char *judge_partitions(uint64_t partitions, char *out, size_t out_len);
/* What the member got by its last SyncGroup success before number `before`; false: it got none. */
bool judge_assigned(const struct trace *trace, int32_t before, const char *member_id, uint64_t *partitions);

#endif
