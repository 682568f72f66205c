/* Encoding by plan. As in plan_decode.c, whatever is not plain sailing is left to the walker in encode.c. */
#include "codec/plan_write.h"

static uint8_t *run(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in, int32_t count);

static inline uint8_t *write_elements(const struct sink *sink, const struct plan *plan, uint8_t *at, const void *in,
                                      int32_t count)
{
    if (plan->hot != 0)
        return rj_plan_writers[plan->hot](sink, at, in, count);
    return run(sink, plan, at, in, count);
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

uint8_t *rj_plan_write_array(const struct sink *sink, const struct plan *element, uint8_t *at, bool compact, bool nullable,
                          const void *member)
{
    const struct any_array *array = member;
    at = put_count(sink, at, compact, nullable, array);
    return at == NULL ? NULL : write_elements(sink, element, at, array->items, array->count);
}

uint8_t *rj_plan_write_list(const struct sink *sink, enum plan_op op, uint8_t *at, bool compact, bool nullable,
                         const void *member)
{
    const struct any_array *array = member;
    at = put_count(sink, at, compact, nullable, array);
    return at == NULL ? NULL : put_list_items(sink, op, at, array);
}

uint8_t *rj_plan_write_tags(const struct sink *sink, const struct plan *plan, uint8_t *at, const char *in)
{
    struct encoder *e = sink->e;
    e->len = (size_t)(at - e->out);
    if (rj_encoder_write_tagged(e, plan->rows, in, NULL) != RJ_OK || e->len > e->out_len)
        return NULL;
    return e->out + e->len;
}

uint8_t *rj_plan_write_embedded(const struct sink *sink, const struct plan *plan, uint8_t *at, const void *member)
{
    return write_elements(sink, plan, at, member, 1);
}

uint8_t *rj_plan_write_pointer(const struct sink *sink, const struct plan *plan, uint8_t *at, bool nullable,
                            const void *member)
{
    const void *inner = *(const void *const *)member;
    if (nullable) {
        if (at == sink->end)
            return NULL;
        *at++ = inner == NULL ? 0xff : 1;
    }
    if (inner == NULL)
        return nullable ? at : NULL;
    return write_elements(sink, plan, at, inner, 1);
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
    int op = step->op;
    if (op >= OP_CHECK1)
        return check_passes(plan, step, member) ? at : NULL;
    if (op >= OP_ARRAY && op <= OP_COMPACT_ARRAY_NULLABLE)
        return rj_plan_write_array(sink, &rj_plans[step->argument], at, op >= OP_COMPACT_ARRAY, (op - OP_ARRAY) & 1, member);
    if (op >= OP_LIST && op <= OP_COMPACT_LIST_NULLABLE)
        return rj_plan_write_list(sink, (enum plan_op)step->argument, at, op >= OP_COMPACT_LIST, (op - OP_LIST) & 1, member);
    if (op == OP_STRUCT)
        return rj_plan_write_embedded(sink, &rj_plans[step->argument], at, member);
    if (op == OP_POINTER || op == OP_POINTER_PRESENT)
        return rj_plan_write_pointer(sink, &rj_plans[step->argument], at, op == OP_POINTER, member);
    return rj_plan_write_tags(sink, plan, at, in);
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
                at = rj_plan_write_tags(sink, plan, at, in);
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
    uint8_t *end = rj_plan_write_embedded(&sink, plan, e->out, message);
    if (end != NULL)
        e->len = (size_t)(end - e->out);
    return end != NULL;
}
