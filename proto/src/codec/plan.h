/* Plans: what a structure's rows come to in one version, as steps for a tight loop. They are generated from the same
 * definitions as the rows (proto/schema/plans.py). A loop that meets anything unusual gives up, and the walker, which
 * reads the rows, does the whole message again and says what is wrong. */
#ifndef REJOIN_CODEC_PLAN_H
#define REJOIN_CODEC_PLAN_H

#include "rejoin/codec.h"

enum plan_op {
    OP_END,
    OP_NEED, /* argument: bytes of the numbers that follow, up to the next step of another kind */
    OP_BOOL, OP_INT8, OP_INT16, OP_INT32, OP_INT64, OP_UUID,
    OP_STRING, OP_STRING_NULLABLE, OP_COMPACT_STRING, OP_COMPACT_STRING_NULLABLE,
    OP_BYTES, OP_BYTES_NULLABLE, OP_COMPACT_BYTES, OP_COMPACT_BYTES_NULLABLE,
    OP_ARRAY, OP_ARRAY_NULLABLE, OP_COMPACT_ARRAY, OP_COMPACT_ARRAY_NULLABLE, /* argument: plan of the elements */
    OP_LIST, OP_LIST_NULLABLE, OP_COMPACT_LIST, OP_COMPACT_LIST_NULLABLE,     /* argument: operation of the elements */
    OP_STRUCT,                   /* embedded; argument: its plan */
    OP_POINTER, OP_POINTER_PRESENT, /* nullable structure; PRESENT: not in this version */
    OP_TAGS, OP_TAGS_WALK,       /* WALK: even an empty section needs the walker */
    OP_SET1, OP_SET2, OP_SET4, OP_SET8, OP_SET8_MAX, OP_EMPTY, /* defaults that are not zero */
    OP_CHECK, /* argument: index of a field that this version cannot carry */
};

struct plan_step { uint8_t op; uint16_t offset; int32_t argument; };

struct plan {
    const struct rj_schema_struct *rows;
    uint16_t size;            /* of the C structure */
    uint16_t least_len;       /* bytes on the wire, at least */
    uint16_t init, check, run; /* where in plan_steps theirs begin */
    bool has_tagged;          /* tagged fields that the schema knows */
};

extern const struct plan_step plan_steps[];
extern const struct plan plans[];
extern const uint16_t plans_of_versions[];

static inline const struct plan *plan_of(const struct rj_message_schema *schema, int16_t version)
{
    return &plans[plans_of_versions[schema->first_plan + (uint32_t)(version - schema->versions.low)]];
}

/* Sets the element to its defaults. */
void plan_init(const struct plan *plan, void *element);

#endif
