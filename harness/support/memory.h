/* The C library's heap as an allocator of the core. */
#ifndef REJOIN_SUPPORT_MEMORY_H
#define REJOIN_SUPPORT_MEMORY_H

#include "rejoin/base.h"

extern const struct rj_allocator rejoin_heap;

/* malloc, calloc and strdup that end the program with exit code 4 and a message when there is no memory: for what
 * the harness cannot do without. Never for sizes that a peer chooses. */
void *rejoin_alloc(size_t size);
void *rejoin_alloc_zeroed(size_t count, size_t size);
void *rejoin_realloc(void *memory, size_t size);
char *rejoin_strdup(const char *text);

#endif
