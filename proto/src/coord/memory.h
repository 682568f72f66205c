/* Memory of one coordinator: state that is counted against its limit, and the output of a step.
 *
 * What is freed during a step stays readable until the next one begins, because the step's replies may point to it. */
#ifndef REJOIN_COORD_MEMORY_H
#define REJOIN_COORD_MEMORY_H

#include "rejoin/coord.h"

struct rj_block {
    struct rj_block *next;
    size_t size; /* header included */
};

struct rj_memory {
    struct rj_allocator allocator;
    size_t used_bytes, limit_bytes;
    struct rj_block *retired;
};

void *rj_memory_alloc(struct rj_memory *memory, size_t size); /* not zeroed; NULL: none, or the limit is reached */
void *rj_memory_zalloc(struct rj_memory *memory, size_t size);
void rj_memory_free(struct rj_memory *memory, const void *pointer);   /* at once; NULL is fine */
void rj_memory_retire(struct rj_memory *memory, const void *pointer); /* when the next step begins; NULL is fine */
void rj_memory_collect(struct rj_memory *memory);
/* A copy that ends with a NUL byte behind its len; null stays null (and needs no memory). */
bool rj_memory_copy_string(struct rj_memory *memory, struct rj_string from, struct rj_string *to);
bool rj_memory_copy_bytes(struct rj_memory *memory, struct rj_bytes from, struct rj_bytes *to);

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
};

struct rj_output_need { int64_t replies, appends, changes; size_t bytes; };

void rj_output_reset(struct rj_output *output);
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

#endif
