/* A scenario: a short text that says what is sent, when, and what must come back. `grammar.c` has the language,
 * `parse.c` makes a struct scenario of it, `run.c` performs it on a target, `show.c` writes new expectations.
 * Everything that a scenario points to lives in its arena. */
#ifndef REJOIN_SCENARIO_SCENARIO_H
#define REJOIN_SCENARIO_SCENARIO_H

#include "rejoin/codec.h"
#include "rejoin/rules.h"

#include <jansson.h>

extern const char scenario_grammar[]; /* the whole language, for people */

/* ---- What a line is made of -------------------------------------------------------------------------------------- */

/* One word of a line: NAME=VALUE, a bare word, or {JSON}. */
struct scn_field {
    const char *name;   /* "generation"; NULL for a bare word or JSON */
    const char *value;  /* "7", "$m1", "?id", "t-0"; quotes are off */
    bool is_quoted;     /* then $ and ? have no meaning */
    json_t *json;       /* of a word in braces */
    const char *word;   /* the whole as it is written: "generation=7" */
    int line, column;
};

struct scn_fields { const struct scn_field *items; int count; };

enum scn_expect_kind { SCN_EXPECT_ANSWER, SCN_EXPECT_WAITS, SCN_EXPECT_CLOSED };

/* What must come back; alternatives hold on the Kafka versions that their condition names. */
struct scn_expect {
    enum scn_expect_kind kind;
    struct scn_fields fields;
    enum rj_rule rule;           /* that refused it; RJ_RULE_NONE: not said */
    int line, column;            /* of the first word behind '<' */
    int end_column;              /* behind its last word */
    enum { SCN_ALWAYS, SCN_BELOW, SCN_FROM, SCN_EXACTLY } condition;
    int kafka_version;           /* scn_version */
    const char *why;             /* of an alternative */
    struct scn_expect *next;     /* the next alternative */
};

enum scn_verb {
    SCN_SEND,        /* ACTOR > API ... */
    SCN_ANSWER,      /* ACTOR < ... */
    SCN_PAUSE,       /* only a time */
    SCN_WAITS, SCN_DISCONNECTS, SCN_BEGINS_TXN, SCN_COMMITS_TXN, SCN_ABORTS_TXN, SCN_STABLE, SCN_TOPIC,
    SCN_RELOAD, SCN_UNLOAD, SCN_LOADING, SCN_LOADED, SCN_LEADERLESS,
    SCN_FAIL_APPEND, SCN_HOLD_APPENDS, SCN_RELEASE_APPENDS,
    SCN_DENY, SCN_FORCE, SCN_INACTIVE, SCN_SET, SCN_END_TXN,
    SCN_VERB_COUNT
};

enum scn_target_kind { SCN_CORE = 1, SCN_MOCK = 2, SCN_BROKER = 4 };

struct scn_verb_row {
    const char *name;  /* "fail-append"; NULL: not a word of the language */
    int targets;       /* enum scn_target_kind, or-ed: who can do it */
    int least, most;   /* words behind it */
    bool of_actor;     /* ACTOR comes first */
    const char *words; /* for messages: what is expected behind it */
};
extern const struct scn_verb_row scn_verbs[SCN_VERB_COUNT];

struct scn_step {
    enum scn_verb verb;
    int line, column;
    int64_t delay_ms;        /* after the step before */
    bool whenever;           /* however long it takes until the answer is there */
    bool only_if_new;        /* of `stable`: left out where the actor has a member id */
    int actor, connection;   /* indexes of scenario->actors, scenario->connections; -1: none */
    int16_t api_key, version; /* version -1: the default */
    struct scn_fields fields; /* of a request, or the words behind another verb */
    struct scn_expect *expect; /* of an answer, or of a request that is answered at once; NULL: none */
};

/* ---- The whole --------------------------------------------------------------------------------------------------- */

struct scn_actor {
    const char *name;
    struct scn_fields defaults; /* of `member` */
    int line;                   /* where it was declared; 0: nowhere */
};

struct scn_topic { const char *name; int32_t partition_count; int line; };

enum scn_setting {
    SCN_INITIAL_DELAY, SCN_MIN_SESSION, SCN_MAX_SESSION, SCN_MAX_SIZE, SCN_RETENTION, SCN_RETENTION_CHECK,
    SCN_METADATA_MAX, SCN_COMMIT_TIMEOUT, SCN_NEW_MEMBER_TIMEOUT, SCN_LIMIT_GROUPS, SCN_SETTING_COUNT
};

struct scn_setting_row {
    const char *name;      /* "initial-delay" */
    const char *property;  /* Kafka's; NULL: Kafka has no such setting */
    bool is_time;          /* in milliseconds, written as 3s */
    int64_t otherwise;     /* where no `config` line says more */
    int targets;
    const char *what;
};
extern const struct scn_setting_row scn_settings[SCN_SETTING_COUNT];

struct scenario {
    struct rj_arena arena;
    const char *path;
    enum rj_rule rule;
    bool trips;                  /* or it keeps the rule */
    const char *sentence;
    int64_t settings[SCN_SETTING_COUNT];
    bool has_setting[SCN_SETTING_COUNT]; /* a line says so */
    struct scn_topic topics[8];
    int topic_count;
    struct scn_actor actors[24];
    int actor_count;
    const char *connections[32]; /* names: an actor's own has the actor's */
    int connection_count;
    int16_t versions[128];       /* of `use`; -1: the default */
    int from_version, below_version; /* of `needs`; 0: none */
    bool needs_core;                 /* it says so: no other target can do what it asks for */
    const char *needs_why;
    const struct scn_step *steps;
    int step_count;
    char **lines;                /* the text, for rewriting */
    int line_count;
    json_t *jsons;               /* what the JSON words point into */
};

struct scn_error { int line, column; char text[256]; };

/* NULL: *error says where and what was expected. The text need not end with 0. */
struct scenario *scenario_parse(const char *path, const char *text, size_t text_len, struct scn_error *error);
struct scenario *scenario_read(const char *path, struct scn_error *error); /* error->line 0: the file itself */
void scenario_free(struct scenario *scenario);

/* "4.1", "4.1.1" and "3.9" as numbers in order: 401, 309; 0: not a version. */
int scn_version(const char *text);
/* Whole milliseconds of "10s", "+1.5s", "300ms", "2min", "1h"; -1: not a time. */
int64_t scn_time_ms(const char *text);
/* The version that a request of this step is sent in. */
int16_t scn_step_version(const struct scenario *scenario, const struct scn_step *step);
/* How long it takes in real time at least. */
int64_t scn_duration_ms(const struct scenario *scenario);
/* Which targets can do all of its verbs; *why names the first that cannot be done on some (NULL possible). */
int scn_targets(const struct scenario *scenario, const struct scn_step **why);
/* Which part of the expectation holds on that version. */
const struct scn_expect *scn_expect_for(const struct scn_expect *expect, int kafka_version);
/* "t-0": the topic and the partition; false: not of that form. */
bool scn_split_partition(const char *text, char *topic, size_t topic_len, int32_t *partition);
int16_t scn_api_by_name(const char *name); /* -1: unknown */
bool scn_error_by_name(const char *name, int16_t *code);

#endif
