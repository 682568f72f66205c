/* Feeds a capture's dialogue to the passive checker, and shows what it found. */
#ifndef REJOIN_CAPTURE_VERDICT_H
#define REJOIN_CAPTURE_VERDICT_H

#include "capture/oddities.h"

/* A sink that feeds the checker. */
struct capture_sink verdict_sink(struct rj_checker *checker);

/* The document that harness/schemas/check.json describes. The caller owns the reference. */
json_t *verdict_json(const struct rj_checker *checker, const struct oddities *oddities,
                     const struct capture_counts *counts, const char *note);
void verdict_print(const struct rj_checker *checker, const struct oddities *oddities,
                   const struct capture_counts *counts, const char *note, FILE *out);
/* Breaches that count: hard ones, hard-if-complete ones of completely seen groups; strict: warnings too. */
uint64_t verdict_failures(const struct rj_checker *checker, bool strict);

/* Rows of "not judged": why a trace rule, or a group, was not or not fully judged. */
const char *verdict_strength_name(enum rj_rule_strength strength); /* "hard", "hard-if-complete", "warning" */

#endif
