/* What the walker and the loop over plans share when they decode. */
#ifndef REJOIN_CODEC_DECODER_H
#define REJOIN_CODEC_DECODER_H

#include "codec/path.h"
#include "codec/plan.h"

struct decoder {
    const uint8_t *start, *at, *end;
    struct rj_arena *arena;
    size_t arena_limit_len; /* the arena's used_len may not pass it */
    struct place place;
    bool flexible;
};

/* From the arena, within the budget; NULL when either says no. */
void *rj_decoder_take(struct decoder *d, size_t size);
/* The tagged fields that end a structure. */
enum rj_err rj_decoder_read_tagged(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                                   const struct path *up);
/* The whole message by its plan; false: something is unusual, ask the walker. */
bool rj_plan_decode(struct decoder *d, const struct plan *plan, void *message);

#endif
