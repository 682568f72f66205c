#include "support/slab.h"

#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WATCHED true
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define IS_WATCHED true
#endif
#ifndef IS_WATCHED
#define IS_WATCHED false
#endif

enum { CACHE_LINE_LEN = 64, FIRST_CHUNK_LEN = 1024, LAST_CHUNK_LEN = 32 * 1024 };

struct slab_piece { struct slab_piece *next; };
struct slab_chunk { struct slab_chunk *next; };

static bool is_small(size_t size) { return !IS_WATCHED && size > 0 && size <= SLAB_LARGEST; }

static size_t rounded(size_t size) { return (size + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP; }

/* The chunk's own link takes a cache line, so that pieces of 64, 128, ... bytes straddle none. Each of a size is twice as
 * large as the one before: a few pieces of many sizes shall not take many pages. */
static bool take_chunk(struct slab *slab, struct slab_room *room)
{
    size_t len = room->chunk_len == 0 ? FIRST_CHUNK_LEN : (size_t)room->chunk_len * 2;
    room->chunk_len = (uint32_t)(len < LAST_CHUNK_LEN ? len : LAST_CHUNK_LEN);
    struct slab_chunk *chunk = aligned_alloc(CACHE_LINE_LEN, room->chunk_len);
    if (chunk == NULL)
        return false;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    room->at = (char *)chunk + CACHE_LINE_LEN;
    room->end = (char *)chunk + room->chunk_len;
    return true;
}

void *slab_alloc(struct slab *slab, size_t size)
{
    if (!is_small(size))
        return malloc(size);
    size = rounded(size);
    struct slab_room *room = &slab->rooms[size / SLAB_STEP - 1];
    if (room->freed != NULL) {
        struct slab_piece *piece = room->freed;
        room->freed = piece->next;
        return piece;
    }
    if ((size_t)(room->end - room->at) < size && !take_chunk(slab, room))
        return NULL;
    void *memory = room->at;
    room->at += size;
    return memory;
}

void slab_free(struct slab *slab, void *memory, size_t size)
{
    if (!is_small(size)) {
        free(memory);
        return;
    }
    if (memory == NULL)
        return;
    struct slab_room *room = &slab->rooms[rounded(size) / SLAB_STEP - 1];
    struct slab_piece *piece = memory;
    piece->next = room->freed;
    room->freed = piece;
}

void slab_release(struct slab *slab)
{
    while (slab->chunks != NULL) {
        struct slab_chunk *next = slab->chunks->next;
        free(slab->chunks);
        slab->chunks = next;
    }
    *slab = (struct slab){.chunks = NULL};
}
