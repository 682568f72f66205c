/* Feeds the group requests of a capture to the core and compares its answers with the broker's, field by field. */
#ifndef REJOIN_CAPTURE_REPLAY_H
#define REJOIN_CAPTURE_REPLAY_H

#include "capture/dialogue.h"
#include "rejoin/coord.h"

#include <jansson.h>
#include <stdio.h>

struct replay_options {
    const char *kafka_version;            /* "4.1"; behaviour of the core */
    int32_t initial_rebalance_delay_ms;   /* -1: inferred from the capture */
};

struct replay;

struct replay *replay_create(const struct replay_options *options);
struct capture_sink replay_sink(struct replay *replay);  /* records; the capture is read first */
/* Runs what was recorded through the core. false: *error says why (an unknown Kafka version). */
bool replay_run(struct replay *replay, char *error, size_t error_len);

struct replay_totals { uint64_t requests, compared, equal, differences; };
struct replay_totals replay_totals(const struct replay *replay);
/* The document that harness/schemas/replay.json describes. The caller owns the reference. */
json_t *replay_json(const struct replay *replay, const struct capture_counts *counts, const char *note);
void replay_print(const struct replay *replay, const struct capture_counts *counts, const char *note, FILE *out);
void replay_destroy(struct replay *replay);

#endif
