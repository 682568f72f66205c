/* Small pieces of memory that live long, those of one size side by side: what thousands of members are looked up by lies
 * on few pages, and a request finds it in the cache. A sanitized build takes each piece from the heap, so that it is watched.
 *
 * What is freed is taken again for the same size; pages go back to the heap with the slab. */
#ifndef REJOIN_SUPPORT_SLAB_H
#define REJOIN_SUPPORT_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { SLAB_STEP = 16, SLAB_LARGEST = 512 };

struct slab_room { char *at, *end; struct slab_piece *freed; uint32_t chunk_len; };

/* All zero: empty. */
struct slab {
    struct slab_room rooms[SLAB_LARGEST / SLAB_STEP]; /* by size */
    struct slab_chunk *chunks;
};

/* Of more than SLAB_LARGEST bytes: from the heap. NULL: no memory. */
void *slab_alloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, void *memory, size_t size); /* the size it was taken with; NULL is fine */
void slab_release(struct slab *slab); /* and all small pieces in it */

#endif
