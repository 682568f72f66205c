/* What an arena is made of: for those who take from it in a tight loop, and for going back to an earlier state. */
#ifndef REJOIN_BASE_ARENA_BLOCK_H
#define REJOIN_BASE_ARENA_BLOCK_H

#include "rejoin/base.h"

/* Under AddressSanitizer what was not handed out is poisoned and each piece ends in a gap, so that touching what lies
 * behind one is seen. Other builds know nothing of it. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
enum { ARENA_GAP_LEN = 16 };
#define ARENA_POISON(memory, len) __asan_poison_memory_region(memory, len)
#define ARENA_UNPOISON(memory, len) __asan_unpoison_memory_region(memory, len)
#else
enum { ARENA_GAP_LEN = 0 };
#define ARENA_POISON(memory, len) ((void)(memory), (void)(len))
#define ARENA_UNPOISON(memory, len) ((void)(memory), (void)(len))
#endif

struct rj_arena_block {
    struct rj_arena_block *older;
    size_t size; /* of the whole block, header included */
    size_t used; /* likewise */
};

#define ARENA_ALIGNMENT sizeof(union { long long whole; double real; void *pointer; })

static inline size_t arena_aligned(size_t size) { return (size + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1); }

/* rj_arena_alloc, where the newest block has room; NULL: it has not. */
static inline void *arena_take(struct rj_arena *arena, size_t size)
{
    struct rj_arena_block *block = arena->newest;
    if (block == NULL || size == 0 || size > SIZE_MAX / 2)
        return NULL;
    size_t whole = arena_aligned(size);
    if (block->size - block->used < whole + ARENA_GAP_LEN)
        return NULL;
    void *memory = (char *)block + block->used;
    block->used += whole + ARENA_GAP_LEN;
    arena->used_len += whole;
    ARENA_UNPOISON(memory, size);
    return memory;
}

struct arena_mark { struct rj_arena_block *newest, *older; size_t newest_used, used_len; };

static inline struct arena_mark arena_mark(const struct rj_arena *arena)
{
    const struct rj_arena_block *newest = arena->newest;
    return (struct arena_mark){arena->newest, newest != NULL ? newest->older : NULL, newest != NULL ? newest->used : 0,
                               arena->used_len};
}

/* Gives back what was taken since the mark. The arena must not have been reset in between. */
void rj_arena_rewind(struct rj_arena *arena, const struct arena_mark *mark);

#endif
