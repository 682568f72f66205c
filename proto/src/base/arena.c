/* The bump allocator over blocks. */
#include "base/arena_block.h"

#include <string.h>

/* Blocks double up to BLOCK_LEN. What is larger than BIG_LEN gets a block of its own behind the newest one, which stays
 * in use: so no more than a quarter of a block is ever left over, and memory taken stays near memory handed out. */
enum { FIRST_BLOCK_LEN = 4096, BLOCK_LEN = 65536, BIG_LEN = BLOCK_LEN / 4, KEPT_LEN = 1 << 20 };

void rj_arena_init(struct rj_arena *arena, const struct rj_allocator *allocator, size_t limit_len)
{
    *arena = (struct rj_arena){.allocator = allocator, .limit_len = limit_len};
}

static struct rj_arena_block *new_block(struct rj_arena *arena, size_t wanted)
{
    struct rj_arena_block *block = arena->allocator->alloc(arena->allocator->context, wanted);
    if (block == NULL)
        return NULL;
    *block = (struct rj_arena_block){.size = wanted, .used = arena_aligned(sizeof(*block))};
    arena->allocated_len += wanted;
    ARENA_POISON((char *)block + block->used, block->size - block->used);
    return block;
}

/* The block that has room for size bytes: a new one, never past the limit while an exact fit still goes. */
static struct rj_arena_block *add_block(struct rj_arena *arena, size_t size)
{
    size_t header = arena_aligned(sizeof(struct rj_arena_block));
    if (size > SIZE_MAX - header)
        return NULL;
    size_t needed = header + size, left = arena->limit_len - arena->allocated_len;
    if (needed > left)
        return NULL;
    bool alone = arena->newest != NULL && size > BIG_LEN;
    size_t wanted = arena->newest == NULL ? FIRST_BLOCK_LEN
                    : arena->newest->size < BLOCK_LEN / 2 ? arena->newest->size * 2 : BLOCK_LEN;
    if (arena->newest == NULL && arena->wanted_len > wanted)
        wanted = arena->wanted_len;
    if (alone || wanted < needed)
        wanted = needed;
    struct rj_arena_block *block = new_block(arena, wanted < left ? wanted : left);
    if (block == NULL)
        return NULL;
    if (alone) {
        block->older = arena->newest->older;
        arena->newest->older = block;
    } else {
        block->older = arena->newest;
        arena->newest = block;
    }
    return block;
}

void *rj_arena_alloc(struct rj_arena *arena, size_t size)
{
    size = size ? size : 1;
    if (size > SIZE_MAX / 2)
        return NULL;
    void *memory = arena_take(arena, size);
    if (memory != NULL)
        return memory;
    size_t whole = arena_aligned(size);
    struct rj_arena_block *block = add_block(arena, whole + ARENA_GAP_LEN);
    if (block == NULL)
        return NULL;
    memory = (char *)block + block->used;
    block->used += whole + ARENA_GAP_LEN;
    arena->used_len += whole;
    ARENA_UNPOISON(memory, size);
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
    ARENA_UNPOISON(block, block->size);
    arena->allocator->free(arena->allocator->context, block, block->size);
}

/* One block of the size that was needed serves the next round; many small ones are given back for it. */
void rj_arena_reset(struct rj_arena *arena)
{
    struct rj_arena_block *only = arena->newest;
    arena->used_len = 0;
    if (only != NULL && only->older == NULL && only->size <= KEPT_LEN) {
        only->used = arena_aligned(sizeof(*only));
        ARENA_POISON((char *)only + only->used, only->size - only->used);
        return;
    }
    arena->wanted_len = arena->allocated_len < KEPT_LEN ? arena->allocated_len : KEPT_LEN;
    rj_arena_release(arena);
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

/* Newer blocks stand before the marked one; blocks of large pieces directly behind it. */
void rj_arena_rewind(struct rj_arena *arena, const struct arena_mark *mark)
{
    struct rj_arena_block *older;
    for (; arena->newest != mark->newest; arena->newest = older) {
        older = arena->newest->older;
        free_block(arena, arena->newest);
    }
    arena->used_len = mark->used_len;
    if (mark->newest == NULL)
        return;
    for (; mark->newest->older != mark->older; mark->newest->older = older) {
        older = mark->newest->older->older;
        free_block(arena, mark->newest->older);
    }
    mark->newest->used = mark->newest_used;
    ARENA_POISON((char *)mark->newest + mark->newest_used, mark->newest->size - mark->newest_used);
}
