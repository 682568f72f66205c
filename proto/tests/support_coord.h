/* A coordinator with its log kept by the test: events in, answers out. */
#ifndef REJOIN_TESTS_SUPPORT_COORD_H
#define REJOIN_TESTS_SUPPORT_COORD_H

#include "rejoin/coord.h"

/* An allocator that fails at one call and knows what is not given back. */
struct counting_heap {
    struct rj_allocator allocator;
    int64_t calls, fail_at; /* fail_at 0: never */
    int64_t live_bytes;
};
void counting_heap_init(struct counting_heap *heap);

struct coord_world {
    struct counting_heap heap;
    struct rj_coord *coord;
    int64_t now_ms;
    uint64_t connection;
    uint8_t entropy;
    bool holds_writes;         /* results are not reported */
    bool assures;              /* events are assured: see struct rj_event */
    uint64_t last_append_id;
    int16_t append_error;      /* of the next results */
    int32_t append_count;      /* batches so far */
    const struct rj_update *update;
    struct rj_update last;
    /* The newest answer to the newest request; api_key -1: it is parked. Also what any answer said last. */
    struct rj_reply reply;
    char member_id[128];       /* of the newest JoinGroup answer */
    int32_t generation_id;
    int16_t error;
    enum rj_rule rule;
    bool answered;
};

void coord_world_open(struct coord_world *world, const struct rj_config *config);
void coord_world_close(struct coord_world *world); /* asserts that everything was given back */
enum rj_err coord_world_step(struct coord_world *world, struct rj_event *event);
void coord_world_advance(struct coord_world *world, int64_t ms);

/* Each sends one request on a connection of its own and gives its error; PARKED: no answer yet. */
enum { PARKED = 1000 };
int send_request(struct coord_world *world, int16_t api_key, int16_t version, const void *body);
int send_join(struct coord_world *world, int16_t version, const char *member_id, const char *instance_id,
              const char *protocol);
int send_sync(struct coord_world *world, const char *member_id, int32_t generation_id, bool with_assignment);
int send_heartbeat(struct coord_world *world, const char *member_id, int32_t generation_id);
int send_leave(struct coord_world *world, const char *member_id);
int send_commit(struct coord_world *world, const char *member_id, int32_t generation_id, int64_t offset);
int64_t fetch_offset(struct coord_world *world);
/* A world whose group "g" has committed offset 3, and 8 is on its way to the log: the number of that append. */
uint64_t open_with_held_commit(struct coord_world *world);
/* The group "g" is in that state, with a leader and a follower (PREPARING: the leader has not rejoined). */
struct pair { char leader[128], follower[128]; int32_t generation_id; };
struct pair bring_to(struct coord_world *world, enum rj_group_state state);

struct rj_string str(const char *text); /* NULL gives null */

#endif
