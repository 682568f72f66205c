/* Writing by plan: what the loop over steps (plan_encode.c) and the loops made of them (plan_hot.c) are built of. NULL
 * stands for "ask the walker" throughout. */
#ifndef REJOIN_CODEC_PLAN_WRITE_H
#define REJOIN_CODEC_PLAN_WRITE_H

#include "codec/encoder.h"
#include "codec/wire.h"

/* Where bytes go. */
struct sink { struct encoder *e; uint8_t *end; };

/* Writes count elements that lie behind one another in in. */
typedef uint8_t *plan_writer(const struct sink *sink, uint8_t *at, const char *in, int32_t count);

/* Of hot plans, by plan->hot. */
extern plan_writer *const rj_plan_writers[];

uint8_t *rj_plan_write_array(const struct sink *sink, const struct plan *element, uint8_t *at, bool compact, bool nullable,
                          const void *member);
uint8_t *rj_plan_write_list(const struct sink *sink, enum plan_op op, uint8_t *at, bool compact, bool nullable,
                         const void *member);
uint8_t *rj_plan_write_embedded(const struct sink *sink, const struct plan *plan, uint8_t *at, const void *member);
uint8_t *rj_plan_write_pointer(const struct sink *sink, const struct plan *plan, uint8_t *at, bool nullable,
                            const void *member);
uint8_t *rj_plan_write_tags(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in);

static inline uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static inline int varint_len(uint32_t value)
{
    int len = 1;
    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

/* A length or count, plus one: 0 is null. size: 2 or 4 bytes, 0 compact. */
static inline uint8_t *put_length(const struct sink *sink, uint8_t *at, int size, uint32_t plus_one)
{
    if (sink->end - at < 5 && sink->end - at < (size != 0 ? size : varint_len(plus_one)))
        return NULL;
    if (size == 0)
        return put_varint(at, plus_one);
    if (size == 2)
        put_u16(at, (uint16_t)(plus_one - 1));
    else
        put_u32(at, plus_one - 1);
    return at + size;
}

static NEVER_INLINE void copy_longer(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 128) {
        memcpy(to, from, len);
    } else if (len >= 64) {
        uint8_t first[64], last[64];
        memcpy(first, from, 64);
        memcpy(last, from + len - 64, 64);
        memcpy(to, first, 64);
        memcpy(to + len - 64, last, 64);
    } else {
        uint8_t first[32], last[32];
        memcpy(first, from, 32);
        memcpy(last, from + len - 32, 32);
        memcpy(to, first, 32);
        memcpy(to + len - 32, last, 32);
    }
}

/* Most names are short: a call of memcpy would take longer than the copy. */
ALWAYS_INLINE void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len >= 32) {
        copy_longer(to, from, len);
    } else if (len >= 16) {
        uint8_t first[16], last[16];
        memcpy(first, from, 16);
        memcpy(last, from + len - 16, 16);
        memcpy(to, first, 16);
        memcpy(to + len - 16, last, 16);
    } else if (len >= 8) {
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + len - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + len - 8, &last, 8);
    } else if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + len - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + len - 4, &last, 4);
    } else if (len > 0) {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

static inline uint8_t *put_view(const struct sink *sink, uint8_t *at, int size, bool nullable, int32_t max_len,
                                const void *member)
{
    const struct rj_bytes *view = member;
    if (view->data == NULL)
        return nullable ? put_length(sink, at, size, 0) : NULL;
    if (view->len < 0 || view->len > max_len)
        return NULL;
    at = put_length(sink, at, size, (uint32_t)view->len + 1);
    if (at == NULL || sink->end - at < view->len)
        return NULL;
    copy_short(at, view->data, (size_t)view->len);
    return at + view->len;
}

static inline uint8_t *put_count(const struct sink *sink, uint8_t *at, bool compact, bool nullable,
                          const struct any_array *array)
{
    if (array->count < 0 && !nullable)
        return NULL;
    return put_length(sink, at, compact ? 0 : 4, array->count < 0 ? 0 : (uint32_t)array->count + 1);
}

/* ---- The words of plan_hot.c ---------------------------------------------------------------------------------- */

/* A writer knows that there is room for what an element takes at least, and keeps that up: rest is what comes behind the
 * field at hand, at least. */
ALWAYS_INLINE uint8_t *hot_put_view(const struct sink *sink, uint8_t *at, int size, ptrdiff_t rest, uint32_t max_len,
                                    bool nullable, const void *member)
{
    const struct rj_bytes *view = member;
    uint32_t len = (uint32_t)view->len;
    if (view->data == NULL) {
        if (!nullable)
            return NULL;
        if (size == 0)
            *at++ = 0;
        else
            memset(at, 0xff, (size_t)size), at += size;
        return at;
    }
    if (len > max_len)
        return NULL;
    if (size == 0 && len >= 0x7f) {
        at = put_length(sink, at, 0, len + 1);
        if (at == NULL)
            return NULL;
    } else if (size == 0) {
        *at++ = (uint8_t)(len + 1);
    } else if (size == 2) {
        put_u16(at, (uint16_t)len);
        at += 2;
    } else {
        put_u32(at, len);
        at += 4;
    }
    if ((ptrdiff_t)len > sink->end - at - rest)
        return NULL;
    copy_short(at, view->data, len);
    return at + len;
}

ALWAYS_INLINE uint8_t *hot_put_int32_list(const struct sink *sink, uint8_t *at, bool compact, bool nullable,
                                          const void *member)
{
    const struct any_array *array = member;
    at = put_count(sink, at, compact, nullable, array);
    if (at == NULL || (sink->end - at) / 4 < array->count)
        return NULL;
    for (int32_t i = 0; i < array->count; i++, at += 4)
        put_u32(at, ((const uint32_t *)array->items)[i]);
    return at;
}

static inline bool hot_is_zero16(const void *member)
{
    uint64_t halves[2];
    memcpy(halves, member, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

static inline bool hot_is_empty(const void *member)
{
    const struct rj_bytes *view = member;
    return view->data != NULL && view->len == 0;
}

#define HOT_FROM(type, offset) (*(type const *)(const void *)(in + (offset)))
#define HOT_PUT_ELEMENTS(size, least)                                                                                  \
    uint8_t *const end = sink->end;                                                                                    \
    for (; count > 0; count--, in += (size)) {                                                                         \
        if (end - at < (least))                                                                                        \
            return NULL;
#define HOT_PUT_BOOL(offset) *at++ = HOT_FROM(bool, offset)
#define HOT_PUT_INT8(offset) *at++ = HOT_FROM(uint8_t, offset)
#define HOT_PUT_INT16(offset) put_u16(at, HOT_FROM(uint16_t, offset)), at += 2
#define HOT_PUT_INT32(offset) put_u32(at, HOT_FROM(uint32_t, offset)), at += 4
#define HOT_PUT_INT64(offset) put_u64(at, HOT_FROM(uint64_t, offset)), at += 8
#define HOT_PUT_UUID(offset) memcpy(at, in + (offset), 16), at += 16
#define HOT_PUT_VIEW(offset, size, rest, max_len, nullable)                                                            \
    if ((at = hot_put_view(sink, at, size, rest, max_len, nullable, in + (offset))) == NULL)                           \
    return NULL
#define HOT_PUT_CALL(rest, call)                                                                                       \
    if ((at = (call)) == NULL || end - at < (rest))                                                                    \
    return NULL
#define HOT_PUT_ARRAY(offset, rest, compact, nullable, writer)                                                         \
    {                                                                                                                  \
        const struct any_array *array = (const struct any_array *)(const void *)(in + (offset));                       \
        HOT_PUT_CALL(0, put_count(sink, at, compact, nullable, array));                                                \
        HOT_PUT_CALL(rest, writer(sink, at, array->items, array->count));                                              \
    }
#define HOT_PUT_TAGS(are_empty, plan)                                                                                  \
    if (are_empty)                                                                                                     \
        *at++ = 0;                                                                                                     \
    else                                                                                                               \
        HOT_PUT_CALL(0, rj_plan_write_tags(sink, &rj_plans[plan], at, in))
/* What a field of defaults holds. */
#define HOT_IS(type, offset, value) (HOT_FROM(type, offset) == (value))
#define HOT_CHECK(passes)                                                                                              \
    if (!(passes))                                                                                                     \
    return NULL

#endif
