/* What the walker and the loop over plans share when they encode. */
#ifndef REJOIN_CODEC_ENCODER_H
#define REJOIN_CODEC_ENCODER_H

#include "codec/path.h"
#include "codec/plan.h"

struct encoder {
    uint8_t *out;     /* NULL: only the length is wanted */
    size_t out_len;   /* room in out */
    size_t len;       /* written, or needed */
    struct place place;
    bool flexible;
};

/* The tagged fields that end a structure. */
enum rj_err rj_encoder_write_tagged(struct encoder *e, const struct rj_schema_struct *rows, const void *structure,
                                    const struct path *up);
/* The whole message by its plan; false: something is unusual, ask the walker. */
bool rj_plan_encode(struct encoder *e, const struct plan *plan, const void *message);

#endif
