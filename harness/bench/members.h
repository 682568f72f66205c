/* Brings groups of members to Stable, each member on a connection of its own as real clients have it: Kafka answers a
 * connection in order, so members that shared one would wait for each other's parked joins. */
#ifndef REJOIN_BENCH_MEMBERS_H
#define REJOIN_BENCH_MEMBERS_H

#include "bench/connection.h"

/* The versions that every peer of the comparison speaks, so that the work is equal. */
enum { BENCH_JOIN_VERSION = 4, BENCH_SYNC_VERSION = 3, BENCH_HEARTBEAT_VERSION = 3, BENCH_COMMIT_VERSION = 7 };

struct bench_plan {
    struct sockaddr_in address; /* of the one broker; it coordinates every group */
    const char *group_prefix;   /* groups are called PREFIX-0, PREFIX-1, ... */
    uint32_t group_count, members_per_group;
    const char *topic;
    int32_t session_timeout_ms;
    int32_t deadline_ms;        /* for joining in all */
    int32_t leader_delay_ms;    /* before a leader sends its SyncGroup */
    int server_pid;             /* whose memory is looked at; 0: nobody's */
};

enum bench_member_state {
    BENCH_JOINING, BENCH_SYNCING, BENCH_STABLE, BENCH_HEARTBEATING,
    BENCH_WAITING, /* its coordinator comes up, as a fresh Kafka's do: it joins again with the next round */
};

struct bench_member {
    char *member_id;      /* owned; "" until the coordinator gave one */
    int32_t generation_id;
    int32_t correlation_id;
    uint32_t group;
    enum bench_member_state state;
};

struct bench_members {
    struct bench_member *items; /* group_count * members_per_group; those of a group stand together */
    uint32_t count;
    int64_t joined_in_ns;       /* from the first join sent to the last member stable; the waves added up */
    int64_t rebalances;         /* join answers that a leader got */
    int64_t own_bytes_before, own_bytes_after; /* of the server: before the first join; when all are stable, connected, and
                                   have had a heartbeat answered; -1: unknown */
    char problem[256];          /* what went wrong; "" otherwise */
};

/* false: members->problem. Release in both cases. */
bool bench_join(const struct bench_plan *plan, struct bench_members *members);
/* Members that only exist here: for a server with canned answers. */
void bench_members_invent(const struct bench_plan *plan, struct bench_members *members);
void bench_members_release(struct bench_members *members);
/* The group's name in a buffer of the caller. */
struct rj_string bench_group_name(const struct bench_plan *plan, uint32_t group, char *buffer, size_t buffer_len);
struct rj_string bench_string(const char *text);
/* Queues one request frame. */
void bench_queue_request(struct bench_loop *loop, struct bench_connection *connection, int16_t api_key,
                         int16_t version, int32_t correlation_id, const void *body);

#endif
