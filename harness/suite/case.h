/* A case of the client suite: a cluster, one or more processes of the client under test, what is done to them step by
 * step, and a judge that reads the observed trace.
 *
 * A case judges by what the mock saw, never by the client's exit code alone. */
#ifndef REJOIN_SUITE_CASE_H
#define REJOIN_SUITE_CASE_H

#include "suite/apis.h"
#include "suite/trace.h"

#include "rejoin/errors.h"

#define SUITE_MAX_PROCESSES 4
#define SUITE_MAX_STEPS 12
#define SUITE_MAX_FAULTS 6
#define SUITE_TOPIC "rejoin-suite"
#define SUITE_GROUP "rejoin-suite"

/* ---- Results ---------------------------------------------------------------------------------------------------- */

#define SUITE_RESULT_MAP(X)                                                                                            \
    X(PASS, "PASS")                   /* as Kafka demands */                                                           \
    X(PASS_LENIENT, "PASS-LENIENT")   /* allowed, but not what Kafka's own client does */                              \
    X(WARN, "WARN")                   /* a SHOULD was not kept */                                                      \
    X(INFO, "INFO")                   /* observed, nothing to judge */                                                 \
    X(FAIL, "FAIL")                   /* a MUST was broken */                                                          \
    X(UNSUPPORTED, "UNSUPPORTED")     /* the driver says that the client cannot do this (exit 89) */                   \
    X(SKIPPED, "SKIPPED")             /* not run, with the reason */                                                   \
    X(INCONCLUSIVE, "INCONCLUSIVE")   /* what was to be judged did not come up, or the driver reports too little */    \
    X(CRASH, "CRASH")                 /* the client was ended by a signal that nobody sent */                          \
    X(HANG, "HANG")                   /* the client did not end after SIGTERM */                                       \
    X(HARNESS_ERROR, "HARNESS-ERROR") /* our fault */

enum suite_result {
#define SUITE_RESULT_ENUM(name, text) SUITE_##name,
    SUITE_RESULT_MAP(SUITE_RESULT_ENUM)
#undef SUITE_RESULT_ENUM
    SUITE_RESULT_COUNT
};

const char *suite_result_name(enum suite_result result);
/* PASS, PASS-LENIENT, WARN and INFO do not make a run fall short. */
bool suite_result_is_fine(enum suite_result result);

struct suite_verdict {
    enum suite_result result;
    char expected[256];
    char seen[512];     /* with frame numbers and times */
    int32_t frames[4];  /* numbers in the timeline that the verdict rests on; 0: none */
};

/* ---- Faults ----------------------------------------------------------------------------------------------------- */

enum suite_match {
    SUITE_ANY,
    SUITE_WITH_ID,    /* the request carries a member id */
    SUITE_WITHOUT_ID,
    SUITE_PAST_79, /* a JoinGroup that the coordinator has no reason to answer 79: with an id, static, or older than v4 */
};

/* Applied to the matching requests number from .. from+count-1, counted from when it was armed. */
struct suite_fault {
    int16_t api_key;
    enum suite_match match;
    int32_t from, count;        /* count 0: the slot is empty */
    enum mock_action action;
    int16_t error;
    int32_t delay_ms;
    uint64_t hold_id;
    bool last_partition_only;   /* of an OffsetCommit: processed, but the last partition is answered with error */
};

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

struct suite_run;
struct suite_case;

/* A step waits until its condition holds (NULL: at once), at most within_ms, then acts (NULL: nothing). When the time
 * is over the later steps are left out, the clients are asked to end, and the judge is called all the same. */
struct suite_step {
    const char *what;   /* what is waited for, as it is said in a verdict: "the client joins the group again" */
    bool (*until)(struct suite_run *run);
    int32_t within_ms;
    void (*then)(struct suite_run *run);
};

struct suite_cluster {
    int32_t broker_count;     /* 0: 1 */
    int32_t partition_count;  /* of SUITE_TOPIC; 0: 2 */
    int32_t records;          /* in each partition before the clients start; 0: 20 */
    const char *kafka_version; /* NULL: the newest */
};

struct suite_client {
    bool is_static;           /* the processes get REJOIN_INSTANCE_ID */
    const char *assignor;     /* NULL: the client's default */
    bool needs_reports;       /* without the driver's events the case is INCONCLUSIVE */
    int32_t commit_interval_ms; /* 0: SUITE_COMMIT_INTERVAL_MS */
};

struct suite_case {
    const char *id;           /* "join/79-rejoins-with-the-given-id" */
    const char *rule;         /* id in the rule book */
    const char *requirement;  /* one sentence */
    const char *source;       /* KIP, or class and method or test of Kafka at a release */
    struct suite_cluster cluster;
    struct suite_client client;
    struct suite_fault faults[SUITE_MAX_FAULTS]; /* armed from the start */
    struct suite_step steps[SUITE_MAX_STEPS];    /* ended by one without what */
    void (*judge)(const struct suite_run *run, struct suite_verdict *verdict);
    const void *parameters;   /* for judges and steps that several cases share */
};

/* All cases, in the order in which they are listed; NULL beyond the last. */
int suite_case_count(void);
const struct suite_case *suite_case_at(int index);
extern const struct suite_case suite_smoke;  /* must pass before any other counts */
extern const struct suite_case suite_canary; /* its id gets a random tail; the driver must not support it */

/* ---- What steps and judges may use ------------------------------------------------------------------------------ */

const struct trace *suite_trace(const struct suite_run *run);
const struct suite_case *suite_case_of(const struct suite_run *run);
struct mock_cluster *suite_mock(struct suite_run *run);
/* How many steps were done; the number of steps when the case ran to its end. */
int32_t suite_steps_done(const struct suite_run *run);
bool suite_ran_to_its_end(const struct suite_run *run);
/* Number of the last event when the current step began: conditions look behind it. */
int32_t suite_mark(const struct suite_run *run);
int64_t suite_step_age_ms(const struct suite_run *run);

void suite_start(struct suite_run *run, int32_t process);
void suite_stop(struct suite_run *run, int32_t process); /* SIGTERM, SIGKILL 5 s later */
void suite_kill(struct suite_run *run, int32_t process); /* SIGKILL at once */
bool suite_started(const struct suite_run *run, int32_t process);
bool suite_ended(const struct suite_run *run, int32_t process);
/* Exit status, or minus the signal; only when it ended. */
int suite_exit(const struct suite_run *run, int32_t process);
/* Number of the event at which the process was asked to end (by a step or at the end of the case); 0: never. */
int32_t suite_stop_mark(const struct suite_run *run, int32_t process);

void suite_arm(struct suite_run *run, const struct suite_fault *fault);
void suite_say(struct suite_run *run, const char *text); /* a TRACE_CASE line */
void suite_append_records(struct suite_run *run, int32_t count_per_partition);
void suite_move_coordinator(struct suite_run *run, int32_t loading_ms); /* to another broker */
void suite_release(struct suite_run *run, uint64_t hold_id);

#define SUITE_SESSION_TIMEOUT_MS 6000
#define SUITE_HEARTBEAT_INTERVAL_MS 300
#define SUITE_COMMIT_INTERVAL_MS 300
#define SUITE_REBALANCE_TIMEOUT_MS 10000

#endif
