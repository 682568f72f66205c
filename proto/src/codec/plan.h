/* Plans: what a structure's rows come to in one version, as steps for a tight loop. They are generated from the same
 * definitions as the rows (proto/schema/plans.py). A loop that meets anything unusual gives up, and the walker, which
 * reads the rows, does the whole message again and says what is wrong. */
#ifndef REJOIN_CODEC_PLAN_H
#define REJOIN_CODEC_PLAN_H

#include "rejoin/codec.h"

/* For what runs once a field: a call would take longer than the work. */
#ifdef __GNUC__
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE __attribute__((noinline)) /* for what is rare, or long */
#else
#define ALWAYS_INLINE static inline
#define NEVER_INLINE
#endif

enum plan_op {
    OP_END,
    /* Argument: bytes that this number and those behind it take, up to the next step of another kind; 0 in those. */
    OP_BOOL, OP_INT8, OP_INT16, OP_INT32, OP_INT64, OP_UUID,
    /* This number and that of the next step, in one turn. */
    OP_INT32_INT64, OP_INT32_INT32, OP_INT64_INT64, OP_INT16_INT32, OP_INT32_INT16,
    OP_STRING, OP_STRING_NULLABLE, OP_COMPACT_STRING, OP_COMPACT_STRING_NULLABLE,
    OP_BYTES, OP_BYTES_NULLABLE, OP_COMPACT_BYTES, OP_COMPACT_BYTES_NULLABLE,
    OP_ARRAY, OP_ARRAY_NULLABLE, OP_COMPACT_ARRAY, OP_COMPACT_ARRAY_NULLABLE, /* argument: plan of the elements */
    OP_LIST, OP_LIST_NULLABLE, OP_COMPACT_LIST, OP_COMPACT_LIST_NULLABLE,     /* argument: operation of the elements */
    OP_STRUCT,                   /* embedded; argument: its plan */
    OP_POINTER, OP_POINTER_PRESENT, /* nullable structure; PRESENT: not in this version */
    OP_TAGS, OP_TAGS_WALK,       /* the last step. WALK: even an empty section needs the walker. Argument: 1 where the
                                    schema knows no tagged field, so that unknown ones alone decide */
    OP_SET1, OP_SET2, OP_SET4, OP_SET8, OP_SET8_MAX, OP_EMPTY, /* defaults */
    OP_SET_NULL, OP_SET_ZERO16, OP_NULL_VIEW,
    /* Checks pass where a default is held. ROW: by the row whose index is the argument. */
    OP_CHECK1, OP_CHECK2, OP_CHECK4, OP_CHECK8, OP_CHECK8_MAX, OP_CHECK_ZERO16, OP_CHECK_NULL, OP_CHECK_EMPTY,
    OP_CHECK_ROW,
};

struct plan_step { uint8_t op; uint16_t offset; int32_t argument; };

struct plan {
    const struct rj_schema_struct *rows;
    uint16_t size;            /* of the C structure */
    uint16_t least_len;       /* bytes on the wire, at least */
    /* Where in rj_plan_steps these begin: setting the defaults that are not zero; checking those of tagged fields;
     * writing, which first checks the fields that the version cannot carry; reading, which first sets these. */
    uint16_t init, tagged, write, read;
    uint16_t copied; /* 1: they are too many for that, so that defaults are to be copied before reading */
    uint16_t hot;    /* above 0: plan_hot.c has loops made for it, at this place of plan_readers and plan_writers */
};

extern const struct plan_step rj_plan_steps[];
extern const struct plan rj_plans[];
extern const uint16_t rj_plans_of_versions[];

static inline const struct plan *plan_of(const struct rj_message_schema *schema, int16_t version)
{
    return &rj_plans[rj_plans_of_versions[schema->first_plan + (uint32_t)(version - schema->versions.low)]];
}

/* Sets the element to its defaults. */
void rj_plan_init(const struct plan *plan, void *element);

#endif
