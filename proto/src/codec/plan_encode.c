/* Encoding by plan. As in plan_decode.c, whatever is not plain sailing is left to the walker in encode.c. */
#include "codec/encoder.h"
#include "codec/wire.h"

/* Where bytes go; NULL stands for "ask the walker" throughout. */
struct sink { struct encoder *e; uint8_t *end; };

static uint8_t *run(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in, int32_t count);

static inline uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static int varint_len(uint32_t value)
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

/* Most names are short: a call of memcpy would take longer than the copy. */
ALWAYS_INLINE void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 64) {
        memcpy(to, from, len);
    } else if (len >= 32) {
        uint8_t first[32], last[32];
        memcpy(first, from, 32);
        memcpy(last, from + len - 32, 32);
        memcpy(to, first, 32);
        memcpy(to + len - 32, last, 32);
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

/* The same in compact form, which short views take in one go. */
ALWAYS_INLINE uint8_t *put_compact_view(uint8_t *end, uint8_t *at, bool nullable, int32_t max_len, const void *member)
{
    const struct rj_bytes *view = member;
    if (view->data == NULL) {
        if (at == end || !nullable)
            return NULL;
        *at = 0;
        return at + 1;
    }
    uint32_t len = (uint32_t)view->len;
    if (len > (uint32_t)max_len || (size_t)(end - at) < (size_t)len + 5) {
        struct sink sink = {NULL, end};
        return put_view(&sink, at, 0, nullable, max_len, member);
    }
    at = put_varint(at, len + 1);
    copy_short(at, view->data, len);
    return at + len;
}

static uint8_t *put_count(const struct sink *sink, uint8_t *at, bool compact, bool nullable,
                          const struct any_array *array)
{
    if (array->count < 0 && !nullable)
        return NULL;
    return put_length(sink, at, compact ? 0 : 4, array->count < 0 ? 0 : (uint32_t)array->count + 1);
}

static uint8_t *put_list_items(const struct sink *sink, enum plan_op op, uint8_t *at, const struct any_array *array)
{
    static const uint8_t wire_lens[] = {[OP_BOOL] = 1, [OP_INT8] = 1, [OP_INT16] = 2, [OP_INT32] = 4, [OP_INT64] = 8,
                                        [OP_UUID] = 16};
    const void *items = array->items;
    if (op <= OP_UUID && (sink->end - at) / wire_lens[op] < array->count)
        return NULL;
    if (op == OP_INT32) {
        for (int32_t i = 0; i < array->count; i++)
            put_u32(at + 4 * (size_t)i, ((const uint32_t *)items)[i]);
        return at + 4 * (size_t)(array->count > 0 ? array->count : 0);
    }
    for (int32_t i = 0; at != NULL && i < array->count; i++) {
        if (op > OP_UUID) {
            bool string = op == OP_STRING || op == OP_COMPACT_STRING;
            int size = op == OP_STRING ? 2 : op == OP_BYTES ? 4 : 0;
            at = put_view(sink, at, size, false, string ? STRING_LEN_MAX : INT32_MAX, (const struct rj_bytes *)items + i);
            continue;
        }
        if (op == OP_INT64)
            put_u64(at, ((const uint64_t *)items)[i]);
        else if (op == OP_INT16)
            put_u16(at, ((const uint16_t *)items)[i]);
        else if (op == OP_UUID)
            memcpy(at, (const struct rj_uuid *)items + i, sizeof(struct rj_uuid));
        else
            *at = ((const uint8_t *)items)[i];
        at += wire_lens[op];
    }
    return at;
}

static uint8_t *put_tags(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in)
{
    struct encoder *e = sink->e;
    e->len = (size_t)(at - e->out);
    if (rj_encoder_write_tagged(e, plan->rows, in, NULL) != RJ_OK || e->len > e->out_len)
        return NULL;
    return e->out + e->len;
}

static uint8_t *put_pointer(const struct sink *sink, const struct plan *plan, uint8_t *at, bool nullable,
                            const char *inner)
{
    if (nullable) {
        if (at == sink->end)
            return NULL;
        *at++ = inner == NULL ? 0xff : 1;
    }
    if (inner == NULL)
        return nullable ? at : NULL;
    return run(sink, plan, at, inner, 1);
}

static bool check_passes(const struct plan *plan, const struct plan_step *step, const void *member)
{
    static const struct rj_uuid zero;
    switch (step->op) {
    case OP_CHECK1: return *(const int8_t *)member == step->argument;
    case OP_CHECK2: return *(const int16_t *)member == step->argument;
    case OP_CHECK4: return *(const int32_t *)member == step->argument;
    case OP_CHECK8: return *(const int64_t *)member == step->argument;
    case OP_CHECK8_MAX: return *(const int64_t *)member == INT64_MAX;
    case OP_CHECK_ZERO16: return memcmp(member, &zero, sizeof(zero)) == 0;
    case OP_CHECK_NULL: return *(const void *const *)member == NULL;
    case OP_CHECK_EMPTY: return ((const struct rj_bytes *)member)->data != NULL && ((const struct rj_bytes *)member)->len == 0;
    default: return rj_is_default(&plan->rows->fields[step->argument], member);
    }
}

static inline bool checks_pass(const struct plan *plan, uint16_t first, const char *in)
{
    for (const struct plan_step *step = rj_plan_steps + first; step->op != OP_END; step++)
        if (!check_passes(plan, step, in + step->offset))
            return false;
    return true;
}

/* Steps that do not come in tight loops. */
static uint8_t *rare(const struct sink *sink, const struct plan *plan, const struct plan_step *step, uint8_t *at,
                     const char *in)
{
    const void *member = in + step->offset;
    const struct any_array *array = member;
    int op = step->op;
    if (op >= OP_CHECK1)
        return check_passes(plan, step, member) ? at : NULL;
    if (op >= OP_ARRAY && op <= OP_COMPACT_ARRAY_NULLABLE) {
        at = put_count(sink, at, op >= OP_COMPACT_ARRAY, (op - OP_ARRAY) & 1, array);
        return at == NULL ? NULL : run(sink, &rj_plans[step->argument], at, array->items, array->count);
    }
    if (op >= OP_LIST && op <= OP_COMPACT_LIST_NULLABLE) {
        at = put_count(sink, at, op >= OP_COMPACT_LIST, (op - OP_LIST) & 1, array);
        return at == NULL ? NULL : put_list_items(sink, (enum plan_op)step->argument, at, array);
    }
    if (op == OP_STRUCT)
        return run(sink, &rj_plans[step->argument], at, member, 1);
    if (op == OP_POINTER || op == OP_POINTER_PRESENT)
        return put_pointer(sink, &rj_plans[step->argument], at, op == OP_POINTER, *(const char *const *)member);
    return put_tags(sink, plan, at, in);
}

static inline bool tags_are_empty(const struct plan *plan, const struct plan_step *step, const char *in)
{
    if (step->argument != 0)
        return *(const struct rj_unknown_tags *const *)(const void *)(in + step->offset) == NULL;
    return checks_pass(plan, plan->tagged, in);
}

/* A number of size bytes; room for it and its neighbours is looked at once. */
#define NUMBER(size, store)                                                                                            \
    if (end - at < step->argument)                                                                                     \
        return NULL;                                                                                                   \
    store;                                                                                                             \
    at += (size);                                                                                                      \
    continue

#define WRITE16(to, from) put_u16(to, *(const uint16_t *)(const void *)(from))
#define WRITE32(to, from) put_u32(to, *(const uint32_t *)(const void *)(from))
#define WRITE64(to, from) put_u64(to, *(const uint64_t *)(const void *)(from))
/* Two of them; the second one's member stands in the next step, which is thereby done. */
#define PAIR(first, second) NUMBER(((first) + (second)) / 8, WRITE##first(at, member);                                  \
                                   WRITE##second(at + (first) / 8, in + (++step)->offset))

static uint8_t *run(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in, int32_t count)
{
    uint8_t *const end = sink->end;
    const struct plan_step *const first = rj_plan_steps + plan->write;
    for (; count > 0; count--, in += plan->size) {
        for (const struct plan_step *step = first;; step++) {
            const void *member = in + step->offset;
            switch (step->op) {
            case OP_BOOL: NUMBER(1, *at = *(const bool *)member);
            case OP_INT8: NUMBER(1, *at = *(const uint8_t *)member);
            case OP_INT16: NUMBER(2, WRITE16(at, member));
            case OP_INT32: NUMBER(4, WRITE32(at, member));
            case OP_INT64: NUMBER(8, WRITE64(at, member));
            case OP_INT32_INT64: PAIR(32, 64);
            case OP_INT32_INT32: PAIR(32, 32);
            case OP_INT64_INT64: PAIR(64, 64);
            case OP_INT16_INT32: PAIR(16, 32);
            case OP_INT32_INT16: PAIR(32, 16);
            case OP_UUID: NUMBER(16, memcpy(at, member, 16));
            case OP_STRING: at = put_view(sink, at, 2, false, STRING_LEN_MAX, member); break;
            case OP_STRING_NULLABLE: at = put_view(sink, at, 2, true, STRING_LEN_MAX, member); break;
            case OP_COMPACT_STRING: at = put_compact_view(end, at, false, STRING_LEN_MAX, member); break;
            case OP_COMPACT_STRING_NULLABLE: at = put_compact_view(end, at, true, STRING_LEN_MAX, member); break;
            case OP_BYTES: at = put_view(sink, at, 4, false, INT32_MAX, member); break;
            case OP_BYTES_NULLABLE: at = put_view(sink, at, 4, true, INT32_MAX, member); break;
            case OP_COMPACT_BYTES: at = put_compact_view(end, at, false, INT32_MAX, member); break;
            case OP_COMPACT_BYTES_NULLABLE: at = put_compact_view(end, at, true, INT32_MAX, member); break;
            case OP_TAGS:
                if (at < end && tags_are_empty(plan, step, in)) {
                    *at++ = 0;
                    goto next;
                }
                at = put_tags(sink, plan, at, in);
                break;
            case OP_END: goto next;
            case OP_CHECK_NULL: at = *(const void *const *)member == NULL ? at : NULL; break;
            case OP_CHECK4: at = *(const int32_t *)member == step->argument ? at : NULL; break;
            case OP_CHECK8: at = *(const int64_t *)member == step->argument ? at : NULL; break;
            default: at = rare(sink, plan, step, at, in);
            }
            if (at == NULL)
                return NULL;
        }
    next:;
    }
    return at;
}

bool rj_plan_encode(struct encoder *e, const struct plan *plan, const void *message)
{
    if (e->out == NULL)
        return false;
    struct sink sink = {e, e->out + e->out_len};
    uint8_t *end = run(&sink, plan, e->out, message, 1);
    if (end != NULL)
        e->len = (size_t)(end - e->out);
    return end != NULL;
}
