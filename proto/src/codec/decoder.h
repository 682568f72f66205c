/* What the walker and the loop over plans share when they decode. */
#ifndef REJOIN_CODEC_DECODER_H
#define REJOIN_CODEC_DECODER_H

#include "base/arena_block.h"
#include "codec/path.h"
#include "codec/plan.h"

struct decoder {
    const uint8_t *start, *at, *end;
    struct rj_arena *arena;
    size_t arena_limit_len; /* the arena's used_len may not pass it */
    struct place place;
    bool flexible;
    const struct rj_oddity_sink *oddities; /* NULL: nobody asks. The walker alone tells */
    int32_t oddity_count;
};

/* At the start of the bytes, which are not NULL; without a limit of the arena. */
static inline struct decoder decoder_of(const struct place *place, const uint8_t *bytes, size_t len,
                                        struct rj_arena *arena)
{
    return (struct decoder){.start = bytes, .at = bytes, .end = bytes + len, .arena = arena,
                            .arena_limit_len = SIZE_MAX, .place = *place,
                            .flexible = place->version >= place->schema->flexible_from};
}

/* From the arena, within the budget; NULL when either says no. */
static inline void *decoder_take(struct decoder *d, size_t size)
{
    if (size > d->arena_limit_len - d->arena->used_len)
        return NULL;
    void *memory = arena_take(d->arena, size);
    if (memory == NULL)
        memory = rj_arena_alloc(d->arena, size);
    return d->arena->used_len > d->arena_limit_len ? NULL : memory;
}

/* The tagged fields that end a structure. */
enum rj_err rj_decoder_read_tagged(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                                   const struct path *up);
/* The whole message by its plan; false: something is unusual, ask the walker. */
bool rj_plan_decode(struct decoder *d, const struct plan *plan, void *message);
/* The whole message by its rows. */
enum rj_err rj_walk_decode(struct decoder *d, void *message);

#endif
