/* Memory of one coordinator, counted against its limit.
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

/* The least multiple of every type's alignment that is not smaller. */
static inline size_t rj_memory_aligned(size_t size)
{
    enum { ALIGNMENT = sizeof(union { long long whole; double real; void *pointer; }) };
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *rj_memory_alloc(struct rj_memory *memory, size_t size); /* not zeroed; NULL: none, or the limit is reached */
void *rj_memory_zalloc(struct rj_memory *memory, size_t size);
void rj_memory_free(struct rj_memory *memory, const void *pointer);   /* at once; NULL is fine */
void rj_memory_retire(struct rj_memory *memory, const void *pointer); /* when the next step begins; NULL is fine */
void rj_memory_collect(struct rj_memory *memory);
/* A copy that ends with a NUL byte behind its len; null stays null (and needs no memory). */
bool rj_memory_copy_string(struct rj_memory *memory, struct rj_string from, struct rj_string *to);
bool rj_memory_copy_bytes(struct rj_memory *memory, struct rj_bytes from, struct rj_bytes *to);

#endif
