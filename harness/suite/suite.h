/* The client suite as a whole: canary and smoke case first, then the chosen cases side by side, then the results. */
#ifndef REJOIN_SUITE_SUITE_H
#define REJOIN_SUITE_SUITE_H

#include "suite/expectations.h"
#include "suite/run.h"

struct suite_options {
    const char *driver;            /* SPEC as given */
    const char *out;               /* folder */
    const char *const *patterns;   /* ids or globs; none: all cases */
    int32_t pattern_count;
    int32_t jobs;                  /* cases side by side */
    int32_t case_timeout_ms;
    uint64_t seed;
    struct expectations *expectations; /* NULL: none */
    const char *program;           /* how rejoin was called: for repro.sh */
    bool quiet;                    /* only the summary */
};

/* Runs and writes OUT/results.json and what derives from it. Returns an exit code of cli/commands.h. */
int suite_execute(const struct suite_options *options);

/* The number of cases that the patterns choose. */
int suite_chosen(const struct suite_options *options);
bool suite_is_chosen(const struct suite_options *options, const char *id);
void suite_list(const struct suite_options *options, FILE *out, bool as_json);

#endif
