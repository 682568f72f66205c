/* Tells each group's story: who joined, each rebalance with its cause, how long it took, who owned what. */
#ifndef REJOIN_CAPTURE_STORY_H
#define REJOIN_CAPTURE_STORY_H

#include "capture/dialogue.h"

#include <jansson.h>
#include <stdio.h>

/* Why a rebalance happened: one enumeration, also in harness/schemas/explain.json. */
#define STORY_CAUSE_MAP(X)                                                                                             \
    X(UNKNOWN, "unknown", "for a reason that the capture does not show")                                               \
    X(MEMBER_JOINED, "member-joined", "a member joined")                                                               \
    X(MEMBER_LEFT, "member-left", "a member left")                                                                     \
    X(MEMBER_REMOVED, "member-removed", "another client removed a member")                                             \
    X(MEMBER_EXPIRED, "member-expired", "a member was silent for its session timeout")                                 \
    X(MEMBER_REJOINED, "member-rejoined", "a member joined again")                                                     \
    X(SUBSCRIPTION_CHANGED, "subscription-changed", "a member's subscription changed")                                 \
    X(PARTITIONS_CHANGED, "partitions-changed", "a subscribed topic has another number of partitions")                 \
    X(PARTITIONS_REVOKED, "partitions-revoked", "a cooperative member gave up partitions and joined again")            \
    X(LEADER_REJOINED, "leader-rejoined", "the leader joined again")                                                   \
    X(STATIC_RETURNED, "static-returned", "a static member returned")                                                  \
    X(COORDINATOR_MOVED, "coordinator-moved", "the coordinator moved or restarted")

enum story_cause {
#define STORY_CAUSE_ENUM(symbol, name, sentence) STORY_##symbol,
    STORY_CAUSE_MAP(STORY_CAUSE_ENUM)
#undef STORY_CAUSE_ENUM
    STORY_CAUSE_COUNT
};

const char *story_cause_name(enum story_cause cause);

struct story;

struct story *story_create(void);
struct capture_sink story_sink(struct story *story);
/* After the capture was read. */
void story_finish(struct story *story, const struct capture_counts *counts);
/* The document that harness/schemas/explain.json describes. The caller owns the reference. */
json_t *story_json(const struct story *story, const struct capture_counts *counts, const char *note);
void story_print(const struct story *story, const struct capture_counts *counts, const char *note, FILE *out);
void story_destroy(struct story *story);

#endif
