/* Big-endian numbers and the sizes of types. */
#ifndef REJOIN_CODEC_WIRE_H
#define REJOIN_CODEC_WIRE_H

#include "rejoin/schema.h"

#include <string.h>

enum { STRING_LEN_MAX = INT16_MAX }; /* Kafka refuses longer strings in every encoding */

static inline uint16_t get_u16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t get_u64(const uint8_t *at) { return (uint64_t)get_u32(at) << 32 | get_u32(at + 4); }

static inline void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

/* Bytes that a number has on the wire; 0 for what has no fixed size. */
static inline uint32_t wire_size(enum rj_type type)
{
    static const uint8_t sizes[] = {
        [RJ_TYPE_BOOL] = 1, [RJ_TYPE_INT8] = 1, [RJ_TYPE_INT16] = 2, [RJ_TYPE_UINT16] = 2, [RJ_TYPE_INT32] = 4,
        [RJ_TYPE_UINT32] = 4, [RJ_TYPE_INT64] = 8, [RJ_TYPE_FLOAT64] = 8, [RJ_TYPE_UUID] = 16, [RJ_TYPE_STRUCT] = 0,
    };
    return sizes[type];
}

/* Bytes that one value of a type takes in memory (structures: their own size). */
static inline uint32_t memory_size(const struct rj_schema_field *field)
{
    static const uint8_t sizes[] = {
        [RJ_TYPE_BOOL] = sizeof(bool), [RJ_TYPE_INT8] = 1, [RJ_TYPE_INT16] = 2, [RJ_TYPE_UINT16] = 2,
        [RJ_TYPE_INT32] = 4, [RJ_TYPE_UINT32] = 4, [RJ_TYPE_INT64] = 8, [RJ_TYPE_FLOAT64] = 8,
        [RJ_TYPE_STRING] = sizeof(struct rj_string), [RJ_TYPE_BYTES] = sizeof(struct rj_bytes),
        [RJ_TYPE_RECORDS] = sizeof(struct rj_bytes), [RJ_TYPE_UUID] = 16, [RJ_TYPE_STRUCT] = 0,
    };
    return field->type == RJ_TYPE_STRUCT ? field->element->size : sizes[field->type];
}

/* Every array member has this shape: a pointer to its items and a count. */
struct any_array { void *items; int32_t count; };

static inline void *member_of(void *structure, const struct rj_schema_field *field)
{
    return (char *)structure + field->offset;
}

static inline const void *const_member_of(const void *structure, const struct rj_schema_field *field)
{
    return (const char *)structure + field->offset;
}

/* A nullable structure that is not an array is a pointer. */
static inline bool is_pointer(const struct rj_schema_field *field)
{
    return field->type == RJ_TYPE_STRUCT && !(field->flags & RJ_FIELD_ARRAY) &&
           field->nullable.low <= field->nullable.high;
}

static inline struct rj_unknown_tags **unknown_tags_of(void *structure, const struct rj_schema_struct *rows)
{
    return (struct rj_unknown_tags **)(void *)((char *)structure + rows->unknown_tags_offset);
}

static inline const struct rj_unknown_tags *const_unknown_tags_of(const void *structure,
                                                                  const struct rj_schema_struct *rows)
{
    return *(struct rj_unknown_tags *const *)(const void *)((const char *)structure + rows->unknown_tags_offset);
}

static inline bool is_tagged(const struct rj_schema_field *field, int16_t version)
{
    return field->tag >= 0 && rj_in_range(field->tagged, version);
}

/* Whether the member holds the field's default, unknown tags of embedded structures included. */
bool rj_is_default(const struct rj_schema_field *field, const void *member);

#endif
