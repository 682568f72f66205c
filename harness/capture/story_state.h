/* What the story remembers of each group. */
#ifndef REJOIN_CAPTURE_STORY_STATE_H
#define REJOIN_CAPTURE_STORY_STATE_H

#include "capture/story.h"

enum story_presence { STORY_PROMISED, STORY_IN, STORY_GONE };

struct story_member {
    char *id, *instance_id, *client_id, *host;
    enum story_presence presence;
    int32_t generation;          /* of its latest JoinGroup success */
    int32_t returned_generation; /* it took a static member's place in this one */
    int32_t told_generation;     /* it was told REBALANCE_IN_PROGRESS for this one */
    int64_t join_us, seen_us;    /* its latest JoinGroup request; its latest sign of life */
    int64_t started_us;          /* of its first JoinGroup */
    int32_t session_timeout_ms;
    json_t *topics;              /* of its latest subscription, sorted; NULL: unknown */
    json_t *owned;               /* what it claimed to own in its latest JoinGroup */
    json_t *assignment;          /* topic -> partitions */
    bool has_assignment;
};

struct story_trigger {
    bool set;
    enum story_cause cause;
    char *client_id, *member_id, *reason;
    uint64_t frame;
    int64_t time_us;
};

struct story_rebalance {
    int32_t generation;
    struct story_trigger trigger;
    char *protocol, *leader;
    int64_t ended_us;            /* the latest SyncGroup success */
    uint64_t ended_frame;
    int64_t pause_us;            /* the longest time that a member stood without its assignment */
    const struct story_member *paused;
    int64_t slowest_us;          /* the last JoinGroup that it waited for */
    const struct story_member *slowest;
    bool continued;              /* there was a generation before it */
    json_t *members;
};

struct story_event { int64_t time_us; uint64_t frame; char *text, *kind, *client_id, *member_id; };

struct story_group {
    char *id;
    bool is_consumer;
    struct story_member **members;
    size_t member_count;
    struct story_rebalance *rebalances;
    size_t rebalance_count;
    struct story_event *events;
    size_t event_count;
    struct story_trigger trigger;   /* the first one since the latest generation */
    uint64_t told_frame;            /* the first 27 since then; 0: none */
    int64_t told_us;
    uint64_t moved_frame;           /* the latest answer 14, 15 or 16; 0: none */
    int64_t moved_us;
    uint64_t partitions_frame;      /* the latest change of a topic's partition count */
};

struct story_topic { char *name; int32_t partition_count; };

struct story {
    struct story_group **groups;
    size_t group_count;
    struct story_topic *topics;
    size_t topic_count;
    uint64_t partitions_frame;
    int64_t end_us;
};

struct story_rebalance *story_latest(const struct story_group *group); /* NULL: none */
bool story_is_alive(const struct story *story, const struct story_member *member);

#endif
