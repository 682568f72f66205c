/* OUT/results.json: everything that a report needs, in a fixed order. */
#ifndef REJOIN_SUITE_RESULTS_H
#define REJOIN_SUITE_RESULTS_H

#include "suite/suite.h"

#define RESULTS_SCHEMA 1

/* One case as JSON. evidence: its folder within OUT; NULL: none was left. The caller owns it. */
json_t *results_case(const struct suite_run *run, enum overlay overlay, const char *reason, const char *evidence);
/* A case that was not run. */
json_t *results_skipped(const struct suite_case *test, const char *reason);

struct results_summary {
    int32_t total, counts[SUITE_RESULT_COUNT], xfail, xpass, stale;
    int32_t fell_short; /* FAIL, CRASH, HANG that nobody expected */
};

/* The whole document; takes the references of client, canary, smoke, cases and stale. void_reason: NULL if the verdicts
 * count. */
json_t *results_document(const struct suite_options *options, const struct results_summary *summary,
                         const char *started_at, int64_t duration_ms, const char *void_reason, json_t *client,
                         json_t *canary, json_t *smoke, json_t *cases, json_t *stale);

/* What the client called itself in ApiVersions v3 and newer, and the versions that it used. */
json_t *results_client(const struct suite_run *run);

#endif
