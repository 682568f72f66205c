/* Reading by plan: what the loop over steps (plan_decode.c) and the loops made of them (plan_hot.c) are built of. NULL
 * stands for "ask the walker" throughout. */
#ifndef REJOIN_CODEC_PLAN_READ_H
#define REJOIN_CODEC_PLAN_READ_H

#include "codec/decoder.h"
#include "codec/wire.h"

/* Reads count elements that lie behind one another in out, set to their defaults before where the plan says so. */
typedef const uint8_t *plan_reader(struct decoder *d, const uint8_t *at, char *out, int32_t count);

/* Of hot plans, by plan->hot. */
extern plan_reader *const rj_plan_readers[];

const uint8_t *rj_plan_read_array(struct decoder *d, const struct plan *element, const uint8_t *at, bool compact,
                               bool nullable, void *member);
const uint8_t *rj_plan_read_list(struct decoder *d, enum plan_op op, const uint8_t *at, bool compact, bool nullable,
                              void *member);
const uint8_t *rj_plan_read_embedded(struct decoder *d, const struct plan *plan, const uint8_t *at, void *member);
const uint8_t *rj_plan_read_pointer(struct decoder *d, const struct plan *plan, const uint8_t *at, bool nullable,
                                 void *member);
const uint8_t *rj_plan_read_tags(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out);

/* The rest of a varint whose first byte had its high bit set; NULL: it is longer or odd. */
static NEVER_INLINE const uint8_t *varint_rest(const uint8_t *at, const uint8_t *end, uint32_t *value)
{
    uint32_t result = *value & 0x7f;
    for (int shift = 7; shift < 28 && at < end; shift += 7) {
        uint32_t byte = *at++;
        result |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

/* A length or count in compact form, plus one as it stands on the wire: 0 is null. */
ALWAYS_INLINE const uint8_t *compact_length(const uint8_t *at, const uint8_t *end, uint32_t *plus_one)
{
    if (at == end)
        return NULL;
    *plus_one = *at++;
    return *plus_one < 0x80 ? at : varint_rest(at, end, plus_one);
}

/* The same for the older form of 2 or 4 bytes; anything negative becomes 0. */
ALWAYS_INLINE const uint8_t *plain_length(const uint8_t *at, const uint8_t *end, int size, uint32_t *plus_one)
{
    if (end - at < size)
        return NULL;
    int32_t length = size == 2 ? (int16_t)get_u16(at) : (int32_t)get_u32(at);
    *plus_one = length < 0 ? 0 : (uint32_t)length + 1;
    return at + size;
}

ALWAYS_INLINE const uint8_t *take_view(const uint8_t *at, const uint8_t *end, uint32_t plus_one, uint32_t max_len,
                                       bool nullable, void *member)
{
    struct rj_bytes *out = member;
    if (plus_one == 0) {
        *out = RJ_NULL_BYTES;
        return nullable ? at : NULL;
    }
    uint32_t len = plus_one - 1;
    if (len > max_len || len > (size_t)(end - at))
        return NULL;
    out->data = at;
    out->len = (int32_t)len;
    return at + len;
}

ALWAYS_INLINE const uint8_t *compact_view(const uint8_t *at, const uint8_t *end, uint32_t max_len, bool nullable,
                                          void *member)
{
    uint32_t plus_one;
    at = compact_length(at, end, &plus_one);
    return at == NULL ? NULL : take_view(at, end, plus_one, max_len, nullable, member);
}

static inline const uint8_t *plain_view(const uint8_t *at, const uint8_t *end, bool is_string, bool nullable,
                                        void *member)
{
    uint32_t plus_one;
    at = plain_length(at, end, is_string ? 2 : 4, &plus_one);
    return at == NULL ? NULL : take_view(at, end, plus_one, INT32_MAX, nullable, member);
}

/* The number of elements; sets up the array where there are none. */
ALWAYS_INLINE const uint8_t *array_count(const uint8_t *at, const uint8_t *end, bool compact, bool nullable,
                                  struct any_array *out, uint32_t *count)
{
    uint32_t plus_one;
    at = compact ? compact_length(at, end, &plus_one) : plain_length(at, end, 4, &plus_one);
    if (at == NULL || (plus_one == 0 && !nullable))
        return NULL;
    *count = plus_one == 0 ? 0 : plus_one - 1;
    *out = (struct any_array){NULL, plus_one == 0 ? -1 : 0};
    return at;
}

/* An array's count and the room for its elements; *count 0: there is no more to do. */
ALWAYS_INLINE const uint8_t *array_begin(struct decoder *d, const uint8_t *at, bool compact, bool nullable,
                                         size_t least_len, size_t size, struct any_array *out, uint32_t *count)
{
    at = array_count(at, d->end, compact, nullable, out, count);
    if (at == NULL || *count == 0)
        return at;
    if ((uint64_t)*count * least_len > (size_t)(d->end - at))
        return NULL;
    void *items = decoder_take(d, (size_t)*count * size);
    if (items == NULL)
        return NULL;
    *out = (struct any_array){items, (int32_t)*count};
    return at;
}

/* ---- The words of plan_hot.c ---------------------------------------------------------------------------------- */

/* A reader knows that the bytes which an element takes at least are there, and keeps that up: rest is what comes behind
 * the field at hand, at least. So numbers are not asked about. */
ALWAYS_INLINE const uint8_t *hot_view(const uint8_t *at, const uint8_t *end, int size, ptrdiff_t rest, uint32_t max_len,
                                      bool nullable, void *member)
{
    uint32_t plus_one;
    if (size != 0) {
        int32_t length = size == 2 ? (int16_t)get_u16(at) : (int32_t)get_u32(at);
        plus_one = length < 0 ? 0 : (uint32_t)length + 1;
        at += size;
    } else {
        plus_one = *at++;
        if (plus_one >= 0x80 && (at = varint_rest(at, end, &plus_one)) == NULL)
            return NULL;
    }
    struct rj_bytes *out = member;
    if (plus_one == 0) {
        *out = RJ_NULL_BYTES;
        return nullable && end - at >= rest ? at : NULL;
    }
    uint32_t len = plus_one - 1;
    if (len > max_len || (ptrdiff_t)len > end - at - rest)
        return NULL;
    out->data = at;
    out->len = (int32_t)len;
    return at + len;
}

ALWAYS_INLINE const uint8_t *hot_int32_list(struct decoder *d, const uint8_t *at, bool compact, bool nullable,
                                            void *member)
{
    uint32_t count;
    struct any_array *out = member;
    at = array_begin(d, at, compact, nullable, 4, 4, out, &count);
    if (at == NULL || count == 0)
        return at;
    for (uint32_t i = 0; i < count; i++, at += 4)
        ((uint32_t *)out->items)[i] = get_u32(at);
    return at;
}

#define HOT_AT(type, offset) (*(type *)(void *)(out + (offset)))
#define HOT_ELEMENTS(size, least)                                                                                      \
    const uint8_t *const end = d->end;                                                                                 \
    for (; count > 0; count--, out += (size)) {                                                                        \
        if (end - at < (least))                                                                                        \
            return NULL;
#define HOT_END                                                                                                        \
    }                                                                                                                  \
    return at;
#define HOT_BOOL(offset) HOT_AT(bool, offset) = *at++ != 0
#define HOT_INT8(offset) HOT_AT(uint8_t, offset) = *at++
#define HOT_INT16(offset) HOT_AT(uint16_t, offset) = get_u16(at), at += 2
#define HOT_INT32(offset) HOT_AT(uint32_t, offset) = get_u32(at), at += 4
#define HOT_INT64(offset) HOT_AT(uint64_t, offset) = get_u64(at), at += 8
#define HOT_UUID(offset) memcpy(out + (offset), at, 16), at += 16
#define HOT_VIEW(offset, size, rest, max_len, nullable)                                                                \
    if ((at = hot_view(at, end, size, rest, max_len, nullable, out + (offset))) == NULL)                               \
    return NULL
/* Behind what was read by a call, nothing is known of the bytes left. */
#define HOT_CALL(rest, call)                                                                                           \
    if ((at = (call)) == NULL || end - at < (rest))                                                                    \
    return NULL
#define HOT_ARRAY(offset, rest, compact, nullable, reader, size, least)                                                \
    {                                                                                                                  \
        uint32_t elements;                                                                                             \
        struct any_array *array = (struct any_array *)(void *)(out + (offset));                                        \
        HOT_CALL(0, array_begin(d, at, compact, nullable, least, size, array, &elements));                             \
        if (elements > 0)                                                                                              \
            at = reader(d, at, array->items, (int32_t)elements);                                                       \
        HOT_CALL(rest, at);                                                                                            \
    }
#define HOT_TAGS(offset, plan)                                                                                         \
    HOT_AT(void *, offset) = NULL;                                                                                     \
    if (*at == 0)                                                                                                      \
        at++;                                                                                                          \
    else                                                                                                               \
        HOT_CALL(0, rj_plan_read_tags(d, &rj_plans[plan], at, out))

#endif
