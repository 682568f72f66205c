/* What the replay keeps: the recorded exchanges, the core of each group, and the differences. */
#ifndef REJOIN_CAPTURE_REPLAY_STATE_H
#define REJOIN_CAPTURE_REPLAY_STATE_H

#include "capture/replay.h"

struct replay_exchange {
    uint64_t stream;
    int16_t api_key, version;
    int32_t correlation_id;
    struct rj_string client_id;
    char *client_host;
    uint64_t request_frame, response_frame;
    int64_t request_ms, response_ms;
    void *request, *response;         /* copies in the arena; NULL: not a group request, not decoded, not answered */
    struct replay_group *group;       /* NULL: not for the core */
    bool expects_answer, fed, captured_answer, answered; /* answered: that moment of the capture has come */
    bool unavailable;                 /* the coordinator was loading or elsewhere: nothing for the core */
    void *reply;                      /* the core's, in the arena; NULL: none yet */
    enum rj_rule rule;                /* why the core refused */
    struct rj_arena arena;
};

enum replay_event_kind { REPLAY_REQUEST, REPLAY_RESPONSE, REPLAY_CLOSED };
struct replay_event {
    enum replay_event_kind kind;
    struct replay_exchange *exchange;
    uint64_t stream;
    int64_t time_ms;
};

struct replay_generation { int32_t id; uint64_t first_frame; struct rj_string leader, protocol; };
struct replay_seed { struct rj_string topic; int32_t partition; struct rj_offset_commit_value value; bool settled; };

struct replay_group {
    char *id;
    struct replay_generation *generations; /* by first_frame */
    size_t generation_count;
    bool unseen_members;                   /* it had members before the capture began */
    bool is_consumer;
    struct replay_seed *seeds;             /* offsets that were there before */
    size_t seed_count;
    int64_t first_join_ms;
    int32_t inferred_delay_ms;             /* -1: nothing to infer from */
    struct rj_coord *coord;
};

/* The requests of one connection, in order: a broker reads the next one when the one before it is answered. */
struct replay_lane { struct replay_exchange **items; size_t count, next; };

struct replay_difference {
    uint64_t frame;
    int16_t api_key, version;
    char *field, *broker, *core;
    enum rj_rule rule;
};

struct replay {
    struct replay_options options;
    struct replay_exchange **exchanges;
    size_t exchange_count;
    struct replay_event *events;
    size_t event_count;
    struct replay_lane *lanes;             /* by stream id */
    size_t lane_count;
    struct replay_group **groups;
    size_t group_count;
    struct rj_topic *topics;
    struct rj_topic_table topic_table;
    struct rj_arena arena;                 /* names */
    int32_t delay_ms;                      /* used */
    struct replay_totals totals;
    struct replay_difference *differences;
    size_t difference_count;
    uint64_t unavailable;                  /* group requests that the coordinator could not serve */
    int64_t now_ms;
};

/* replay_prepare.c: what has to be known before the first request is fed. */
void replay_prepare(struct replay *replay);
/* replay_compare.c */
void replay_compare(struct replay *replay, struct replay_exchange *exchange);
void *replay_grow(void *items, size_t count, size_t item_size); /* room for one more */

#endif
