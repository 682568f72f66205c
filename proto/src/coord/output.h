/* What a step puts out: replies, appends and changes, and the bytes that they point to. */
#ifndef REJOIN_COORD_OUTPUT_H
#define REJOIN_COORD_OUTPUT_H

#include "coord/memory.h"

/* The update under construction. Everything is reserved before a request is applied; taking cannot fail then. */
struct rj_output {
    struct rj_memory *memory;
    struct rj_reply *replies;
    struct rj_append *appends;
    struct rj_state_change *changes;
    int32_t reply_count, append_count, change_count;
    int32_t reply_room, append_room, change_room; /* allocated */
    struct rj_block *blocks; /* of bytes, newest first */
    size_t block_used;
    uint32_t modest_steps;   /* since one needed much */
};

struct rj_output_need { int64_t replies, appends, changes; size_t bytes; };

/* Empties it, for the next step. What a rebalance of a large group took is given back when it was not needed for a while. */
void rj_output_reset(struct rj_output *output);
bool rj_output_begin(struct rj_output *output, struct rj_memory *memory); /* false: no memory */
void rj_output_release(struct rj_output *output);
/* Room for that much beyond what is used. False: no memory (what is there stays valid). */
bool rj_output_reserve(struct rj_output *output, struct rj_output_need need);
void *rj_output_take(struct rj_output *output, size_t size); /* not zeroed */
struct rj_string rj_output_string(struct rj_output *output, struct rj_string from);
struct rj_bytes rj_output_bytes(struct rj_output *output, struct rj_bytes from);
struct rj_reply *rj_output_reply(struct rj_output *output);
struct rj_append *rj_output_append(struct rj_output *output);
struct rj_state_change *rj_output_change(struct rj_output *output);

/* What one taken piece costs. */
size_t rj_output_len(size_t size);

/* Of several coordinators whose steps are used up one by one (rj_shared_output_create). */
struct rj_shared_output {
    struct rj_memory memory;
    struct rj_output output;
};

#endif
