/* The bump allocator over blocks. */
#include "rejoin/base.h"

#include <string.h>

/* Under AddressSanitizer what was not handed out is poisoned and each piece ends in a gap, so that writing behind one
 * is seen. Other builds know nothing of it. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
enum { GAP_LEN = 16 };
#define POISON(memory, len) __asan_poison_memory_region(memory, len)
#define UNPOISON(memory, len) __asan_unpoison_memory_region(memory, len)
#else
enum { GAP_LEN = 0 };
#define POISON(memory, len) ((void)(memory), (void)(len))
#define UNPOISON(memory, len) ((void)(memory), (void)(len))
#endif

struct rj_arena_block {
    struct rj_arena_block *older;
    size_t size; /* of the whole block, header included */
    size_t used; /* likewise */
};

#define ALIGNMENT sizeof(union { long long whole; double real; void *pointer; })

enum { FIRST_BLOCK_LEN = 4096 };

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

void rj_arena_init(struct rj_arena *arena, const struct rj_allocator *allocator, size_t limit_len)
{
    *arena = (struct rj_arena){.allocator = allocator, .limit_len = limit_len};
}

/* A block with room for size bytes: doubling, but never past the limit while an exact fit still goes. */
static bool add_block(struct rj_arena *arena, size_t size)
{
    size_t header = aligned(sizeof(struct rj_arena_block));
    if (size > SIZE_MAX - header)
        return false;
    size_t needed = header + size;
    size_t left = arena->limit_len - arena->allocated_len;
    if (needed > left)
        return false;
    size_t wanted = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK_LEN;
    if (wanted < needed)
        wanted = needed;
    if (wanted > left)
        wanted = left;
    struct rj_arena_block *block = arena->allocator->alloc(arena->allocator->context, wanted);
    if (block == NULL)
        return false;
    *block = (struct rj_arena_block){.older = arena->newest, .size = wanted, .used = header};
    arena->newest = block;
    arena->allocated_len += wanted;
    POISON((char *)block + header, wanted - header);
    return true;
}

void *rj_arena_alloc(struct rj_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT - GAP_LEN)
        return NULL;
    size_t asked = size;
    size = aligned(size ? size : 1);
    size_t needed = size + GAP_LEN;
    if ((arena->newest == NULL || arena->newest->size - arena->newest->used < needed) && !add_block(arena, needed))
        return NULL;
    void *memory = (char *)arena->newest + arena->newest->used;
    arena->newest->used += needed;
    arena->used_len += size;
    UNPOISON(memory, asked);
    return memory;
}

struct rj_bytes rj_arena_copy_bytes(struct rj_arena *arena, struct rj_bytes from, bool *ok)
{
    if (from.data == NULL)
        return from;
    uint8_t *copy = rj_arena_alloc(arena, (size_t)from.len);
    if (copy == NULL) {
        *ok = false;
        return RJ_NULL_BYTES;
    }
    memcpy(copy, from.data, (size_t)from.len);
    return (struct rj_bytes){copy, from.len};
}

struct rj_string rj_arena_copy_string(struct rj_arena *arena, struct rj_string from, bool *ok)
{
    struct rj_bytes copy = rj_arena_copy_bytes(arena, (struct rj_bytes){(const uint8_t *)from.data, from.len}, ok);
    return (struct rj_string){(const char *)copy.data, copy.len};
}

static void free_block(struct rj_arena *arena, struct rj_arena_block *block)
{
    arena->allocated_len -= block->size;
    UNPOISON(block, block->size);
    arena->allocator->free(arena->allocator->context, block, block->size);
}

void rj_arena_reset(struct rj_arena *arena)
{
    struct rj_arena_block *largest = arena->newest;
    for (struct rj_arena_block *block = arena->newest; block != NULL; block = block->older)
        if (block->size > largest->size)
            largest = block;
    for (struct rj_arena_block *block = arena->newest, *older; block != NULL; block = older) {
        older = block->older;
        if (block != largest)
            free_block(arena, block);
    }
    arena->newest = largest;
    arena->used_len = 0;
    if (largest != NULL) {
        largest->older = NULL;
        largest->used = aligned(sizeof(*largest));
        POISON((char *)largest + largest->used, largest->size - largest->used);
    }
}

void rj_arena_release(struct rj_arena *arena)
{
    for (struct rj_arena_block *block = arena->newest, *older; block != NULL; block = older) {
        older = block->older;
        free_block(arena, block);
    }
    arena->newest = NULL;
    arena->used_len = 0;
}
