/* Performing a scenario on a target. One struct scn_run is one performance: a state machine that a target drives.
 *
 *     while ((wait = scn_run_poll(run)) != SCN_OVER)   let time pass until run->wake_ms, or until an answer came
 *
 * The core (target_core.c) lets virtual time pass, a wire (target_wire.c) waits in a libuv loop with many runs. */
#ifndef REJOIN_SCENARIO_RUN_H
#define REJOIN_SCENARIO_RUN_H

#include "scenario/scenario.h"
#include "support/buffer.h"

enum scn_verdict { SCN_RUNNING, SCN_PASSED, SCN_FAILED, SCN_NOT_RUN, SCN_STALE, SCN_BROKEN /* the harness failed */ };
const char *scn_verdict_name(enum scn_verdict verdict); /* "passed" */

/* A request and what came of it. */
struct scn_exchange {
    struct scn_exchange *next;
    const struct scn_step *step;
    int actor, connection;
    int16_t api_key, version;
    int32_t correlation_id;
    int64_t sent_ms, answered_ms;
    int64_t arrived_ms;    /* at the target, as far as one can know; 0: not yet */
    bool answered, closed; /* closed: the connection was, instead */
    bool consumed;         /* a step has looked at it */
    json_t *body;          /* of the answer, with the names of the scenario */
    enum rj_rule rule;
    bool knows_rule;
};

enum scn_control { SCN_DONE, SCN_BUSY, SCN_CANNOT };

struct scn_run;
struct scn_target {
    enum scn_target_kind kind;
    const char *name;        /* "core" */
    bool is_exact;           /* virtual time: answers come to the millisecond */
    bool tells_rules;
    int64_t settle_ms;       /* from "arrived" until a request that is not answered at once has had its effect */
    int64_t (*now_ms)(struct scn_run *run);
    /* Both may call scn_run_take_answer before they return. body is the caller's. False: run->why says why not. */
    bool (*send)(struct scn_run *run, struct scn_exchange *exchange, const json_t *body);
    void (*disconnect)(struct scn_run *run, int connection);
    /* A step that is no request. SCN_BUSY: called again when time has passed or an answer came. */
    enum scn_control (*control)(struct scn_run *run, const struct scn_step *step);
};

struct scn_actor_state { int32_t generation; const char *protocol; int64_t producer_id; int16_t producer_epoch; };

struct scn_run {
    const struct scenario *scenario;
    const struct scn_target *target;
    void *host;              /* the target's */
    int kafka_version;       /* scn_version */
    char prefix[40];         /* of groups, topics and transactional ids; "": none */
    bool rewrites;           /* takes what comes for what is expected */

    enum scn_verdict verdict;
    char why[1024];
    int line;                /* that it failed at */
    int tries;               /* before this one; on a wire what fails runs again */
    char before[256];        /* why the try before failed */
    bool seen_rules[RJ_RULE_COUNT]; /* rules that refused or made something happen */
    char *rewritten[64];     /* by line, 1-based: the new expectation */

    int at;                  /* the next step */
    bool entered, leaves_out;
    int64_t due_ms, last_ms, instant_ms, spread_ms, not_before_ms, wake_ms;
    int64_t lead_ms; /* how much earlier than said the last step came, its successor being just behind an edge */
    struct scn_actor_state actors[24];
    struct scn_exchange *exchanges, **exchanges_end;
    json_t *names;           /* what $NAME stands for */
};

enum scn_wait { SCN_UNTIL /* wake_ms */, SCN_FOR_ANSWER /* or wake_ms */, SCN_OVER };

void scn_run_init(struct scn_run *run, const struct scenario *scenario, const struct scn_target *target, void *host,
                  int kafka_version);
void scn_run_free(struct scn_run *run);
enum scn_wait scn_run_poll(struct scn_run *run);
/* Ends it with that verdict, unless it has one. */
void scn_run_end(struct scn_run *run, enum scn_verdict verdict, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* An answer (body NULL: the connection closed instead), at the target's time. Takes the body. */
void scn_run_take_answer(struct scn_run *run, struct scn_exchange *exchange, json_t *body, int64_t at_ms);
struct scn_exchange *scn_run_exchange(struct scn_run *run, int32_t correlation_id); /* NULL: none waits for that one */
/* Whether this scenario can be run there at all; false: why. */
bool scn_fits(const struct scenario *scenario, enum scn_target_kind kind, const char *target_name, int kafka_version,
              char *why, size_t why_len);

/* ---- Requests (build.c) ------------------------------------------------------------------------------------------ */

/* The request's body as JSON; NULL: run has ended. */
json_t *scn_build(struct scn_run *run, const struct scn_step *step, int16_t version);
const char *scn_client_id(const struct scn_run *run, int actor); /* NULL: none is sent (client=null) */
/* Puts the prefix before names of groups and topics, or takes it off all strings. */
void scn_add_prefix(const struct scn_run *run, json_t *body);
json_t *scn_take_prefix(const struct scn_run *run, json_t *body); /* a new reference; takes body */

/* ---- Values (value.c) -------------------------------------------------------------------------------------------- */

/* The next piece of A,B,"C,D"; NULL: no more. *at moves on. The piece is a new string. */
char *scn_next_piece(const char **at);
/* The piece's part before the first separator outside quotes, and the rest (NULL: none): both within piece. */
char *scn_cut_piece(char *piece, char separator);
/* A text or "quoted" text or $name as JSON; NULL: no such name. */
json_t *scn_text_value(const struct scn_run *run, const char *text);
/* The same as bytes in base64: text, "text", 0x00ff, null, $name. */
json_t *scn_bytes_value(const struct scn_run *run, const char *text);
json_t *scn_base64(const void *bytes, size_t len);
/* A value of the field's type; NULL: error says what was expected. */
json_t *scn_typed_value(const struct scn_run *run, const struct rj_schema_field *field, const struct scn_field *from,
                        bool is_time, const char **expected);
/* A copy in which every string "$name" is what it stands for; NULL: *missing is the name that nothing stands for. */
json_t *scn_substitute(const struct scn_run *run, const json_t *value, const char **missing);
/* Kafka's name in a structure for a short one; names that are not short stay. */
const char *scn_long_name(const char *name, const struct rj_schema_struct *within, int16_t version, bool *is_time);
const struct rj_schema_field *scn_find_field(const struct rj_schema_struct *within, const char *name, int16_t version);

/* ---- Answers (expect.c, show.c) ---------------------------------------------------------------------------------- */

/* Whether the exchange is as expected; false: why. Takes ?names. */
bool scn_matches(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect, char *why,
                 size_t why_len);
/* A place in an answer. */
struct scn_place { json_t *value; const struct rj_schema_field *field; };
bool scn_find_place(const struct scn_exchange *exchange, const char *path, struct scn_place *place);
/* The partition of OffsetFetch, OffsetCommit and the like; NULL: the answer has none such. */
json_t *scn_find_partition(const struct scn_run *run, const struct scn_exchange *exchange, const char *topic,
                           int32_t partition);
json_t *scn_topics(const struct scn_exchange *exchange); /* where an answer has them; NULL: it has none */
/* The error that a bare word is compared with: the whole answer's, else that of all parts. False: parts differ. */
bool scn_main_error(const struct scn_exchange *exchange, int16_t *code);
/* What came, in the words of the language: the fields that the expectation names, or where it names none all that
 * matters. */
void scn_show(const struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect,
              struct rejoin_buffer *out);
/* The scenario's text with the new expectations of a run; NULL: it stays as it is. */
char *scn_rewrite(const struct scn_run *run);

/* ---- Targets ----------------------------------------------------------------------------------------------------- */

struct scn_options {
    const char *kafka_version;     /* "4.1" */
    const char *address;           /* of a broker */
    const char *user, *admin;      /* "NAME:PASSWORD" there, by SASL PLAIN; NULL: nobody authenticates */
    bool rewrites;
    int at_once;                   /* runs side by side on a wire */
    bool verbose;
};

/* Each performs all runs (initialised by the caller with scenario and nothing else) and sets their verdicts; done is
 * called as each ends. False: error says why nothing could be run. */
typedef void (*scn_done)(void *context, struct scn_run *run);
bool scn_run_on_core(struct scn_run *runs, int count, const struct scn_options *options, scn_done done, void *context,
                     char *error, size_t error_len);
bool scn_run_on_wire(struct scn_run *runs, int count, enum scn_target_kind kind, const struct scn_options *options,
                     scn_done done, void *context, char *error, size_t error_len);

#endif
