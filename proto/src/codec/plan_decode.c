/* Decoding by plan: no fault, no path, no default is thought of here. Whatever is not plain sailing ends the loop, and
 * the walker in decode.c begins anew. */
#include "codec/plan_read.h"

static const uint8_t *run(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out, int32_t count);

static inline const uint8_t *read_elements(struct decoder *d, const struct plan *plan, const uint8_t *at, void *out,
                                           int32_t count)
{
    if (plan->hot != 0)
        return rj_plan_readers[plan->hot](d, at, out, count);
    return run(d, plan, at, out, count);
}

static void set_default(const struct plan_step *step, void *member)
{
    switch (step->op) {
    case OP_SET1: *(int8_t *)member = (int8_t)step->argument; break;
    case OP_SET2: *(int16_t *)member = (int16_t)step->argument; break;
    case OP_SET4: *(int32_t *)member = step->argument; break;
    case OP_SET8: *(int64_t *)member = step->argument; break;
    case OP_SET8_MAX: *(int64_t *)member = INT64_MAX; break;
    case OP_SET_NULL: *(void **)member = NULL; break;
    case OP_SET_ZERO16: memset(member, 0, 16); break;
    case OP_NULL_VIEW: *(struct rj_bytes *)member = RJ_NULL_BYTES; break;
    default: *(struct rj_string *)member = RJ_EMPTY_STRING;
    }
}

/* Sets the element to its defaults; it need not be zeroed before. */
void rj_plan_init(const struct plan *plan, void *element)
{
    char *out = element;
    memset(out, 0, plan->size);
    for (const struct plan_step *step = rj_plan_steps + plan->init; step->op != OP_END; step++)
        set_default(step, out + step->offset);
}

/* All elements alike: the first by its steps, the others as copies, twice as many each time. */
static void init_elements(const struct plan *plan, char *items, size_t count)
{
    rj_plan_init(plan, items);
    for (size_t done = 1; done < count;) {
        size_t more = done < count - done ? done : count - done;
        memcpy(items + done * plan->size, items, more * plan->size);
        done += more;
    }
}

const uint8_t *rj_plan_read_array(struct decoder *d, const struct plan *element, const uint8_t *at, bool compact,
                               bool nullable, void *member)
{
    struct any_array *out = member;
    uint32_t count;
    at = array_begin(d, at, compact, nullable, element->least_len, element->size, out, &count);
    if (at == NULL || count == 0)
        return at;
    if (element->copied)
        init_elements(element, out->items, count);
    return read_elements(d, element, at, out->items, (int32_t)count);
}

static const struct { uint8_t wire_len, memory_len; } element_sizes[] = {
    [OP_BOOL] = {1, sizeof(bool)}, [OP_INT8] = {1, 1}, [OP_INT16] = {2, 2}, [OP_INT32] = {4, 4}, [OP_INT64] = {8, 8},
    [OP_UUID] = {16, 16}, [OP_STRING] = {2, sizeof(struct rj_string)}, [OP_COMPACT_STRING] = {1, sizeof(struct rj_string)},
    [OP_BYTES] = {4, sizeof(struct rj_bytes)}, [OP_COMPACT_BYTES] = {1, sizeof(struct rj_bytes)},
};

static const uint8_t *list_items(enum plan_op op, const uint8_t *at, const uint8_t *end, void *items, uint32_t count)
{
    bool is_string = op == OP_STRING || op == OP_COMPACT_STRING;
    if (op == OP_INT32) {
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)items)[i] = get_u32(at + 4 * (size_t)i);
        return at + 4 * (size_t)count;
    }
    for (uint32_t i = 0; at != NULL && i < count; i++) {
        if (op == OP_COMPACT_STRING || op == OP_COMPACT_BYTES) {
            at = compact_view(at, end, is_string ? STRING_LEN_MAX : INT32_MAX, false, (struct rj_bytes *)items + i);
        } else if (op == OP_STRING || op == OP_BYTES) {
            at = plain_view(at, end, is_string, false, (struct rj_bytes *)items + i);
        } else if (op == OP_INT64) {
            ((uint64_t *)items)[i] = get_u64(at);
            at += 8;
        } else if (op == OP_INT16) {
            ((uint16_t *)items)[i] = get_u16(at);
            at += 2;
        } else if (op == OP_UUID) {
            memcpy((struct rj_uuid *)items + i, at, sizeof(struct rj_uuid));
            at += sizeof(struct rj_uuid);
        } else if (op == OP_BOOL) {
            ((bool *)items)[i] = *at++ != 0;
        } else {
            ((uint8_t *)items)[i] = *at++;
        }
    }
    return at;
}

const uint8_t *rj_plan_read_list(struct decoder *d, enum plan_op op, const uint8_t *at, bool compact, bool nullable,
                              void *member)
{
    struct any_array *out = member;
    uint32_t count;
    at = array_begin(d, at, compact, nullable, element_sizes[op].wire_len, element_sizes[op].memory_len, out, &count);
    return at == NULL || count == 0 ? at : list_items(op, at, d->end, out->items, count);
}

const uint8_t *rj_plan_read_embedded(struct decoder *d, const struct plan *plan, const uint8_t *at, void *member)
{
    if (plan->copied)
        rj_plan_init(plan, member);
    return read_elements(d, plan, at, member, 1);
}

const uint8_t *rj_plan_read_pointer(struct decoder *d, const struct plan *plan, const uint8_t *at, bool nullable,
                                 void *member)
{
    void **out = member;
    *out = NULL;
    if (nullable) {
        if (at == d->end)
            return NULL;
        if ((int8_t)*at++ < 0)
            return at;
    }
    *out = decoder_take(d, plan->size);
    if (*out == NULL)
        return NULL;
    return rj_plan_read_embedded(d, plan, at, *out);
}

const uint8_t *rj_plan_read_tags(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out)
{
    d->at = at;
    *unknown_tags_of(out, plan->rows) = NULL;
    return rj_decoder_read_tagged(d, plan->rows, out, NULL) == RJ_OK ? d->at : NULL;
}

/* Steps that do not come in tight loops. */
static const uint8_t *rare(struct decoder *d, const struct plan *plan, const struct plan_step *step,
                           const uint8_t *at, char *out)
{
    void *member = out + step->offset;
    int op = step->op;
    if (op >= OP_SET1) {
        set_default(step, member);
        return at;
    }
    if (op >= OP_ARRAY && op <= OP_COMPACT_ARRAY_NULLABLE)
        return rj_plan_read_array(d, &rj_plans[step->argument], at, op >= OP_COMPACT_ARRAY, (op - OP_ARRAY) & 1, member);
    if (op >= OP_LIST && op <= OP_COMPACT_LIST_NULLABLE)
        return rj_plan_read_list(d, (enum plan_op)step->argument, at, op >= OP_COMPACT_LIST, (op - OP_LIST) & 1, member);
    if (op == OP_STRUCT)
        return rj_plan_read_embedded(d, &rj_plans[step->argument], at, member);
    if (op == OP_POINTER || op == OP_POINTER_PRESENT)
        return rj_plan_read_pointer(d, &rj_plans[step->argument], at, op == OP_POINTER, member);
    return rj_plan_read_tags(d, plan, at, out);
}

/* A number of size bytes, as the step says; the room for it and its neighbours is looked at once. */
#define NUMBER(size, store)                                                                                            \
    if (end - at < step->argument)                                                                                     \
        return NULL;                                                                                                   \
    store;                                                                                                             \
    at += (size);                                                                                                      \
    continue

#define READ16(from, to) *(uint16_t *)(void *)(to) = get_u16(from)
#define READ32(from, to) *(uint32_t *)(void *)(to) = get_u32(from)
#define READ64(from, to) *(uint64_t *)(void *)(to) = get_u64(from)
/* Two of them; the second one's member stands in the next step, which is thereby done. */
#define PAIR(first, second) NUMBER(((first) + (second)) / 8, READ##first(at, member);                                   \
                                   READ##second(at + (first) / 8, out + (++step)->offset))

/* Reads count elements that lie behind one another in out. Returns where it stopped; NULL: the walker must look. */
static const uint8_t *run(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out, int32_t count)
{
    const uint8_t *const end = d->end;
    const struct plan_step *const first = rj_plan_steps + plan->read;
    for (; count > 0; count--, out += plan->size) {
        for (const struct plan_step *step = first;; step++) {
            char *member = out + step->offset;
            switch (step->op) {
            case OP_BOOL: NUMBER(1, *(bool *)member = *at != 0);
            case OP_INT8: NUMBER(1, *(uint8_t *)member = *at);
            case OP_INT16: NUMBER(2, READ16(at, member));
            case OP_INT32: NUMBER(4, READ32(at, member));
            case OP_INT64: NUMBER(8, READ64(at, member));
            case OP_INT32_INT64: PAIR(32, 64);
            case OP_INT32_INT32: PAIR(32, 32);
            case OP_INT64_INT64: PAIR(64, 64);
            case OP_INT16_INT32: PAIR(16, 32);
            case OP_INT32_INT16: PAIR(32, 16);
            case OP_UUID: NUMBER(16, memcpy(member, at, 16));
            case OP_STRING: at = plain_view(at, end, true, false, member); break;
            case OP_STRING_NULLABLE: at = plain_view(at, end, true, true, member); break;
            case OP_COMPACT_STRING: at = compact_view(at, end, STRING_LEN_MAX, false, member); break;
            case OP_COMPACT_STRING_NULLABLE: at = compact_view(at, end, STRING_LEN_MAX, true, member); break;
            case OP_BYTES: at = plain_view(at, end, false, false, member); break;
            case OP_BYTES_NULLABLE: at = plain_view(at, end, false, true, member); break;
            case OP_COMPACT_BYTES: at = compact_view(at, end, INT32_MAX, false, member); break;
            case OP_COMPACT_BYTES_NULLABLE: at = compact_view(at, end, INT32_MAX, true, member); break;
            case OP_TAGS:
                if (at < end && *at == 0) {
                    at++;
                    *(void **)(void *)member = NULL;
                    goto next;
                }
                at = rj_plan_read_tags(d, plan, at, out);
                break;
            case OP_END: goto next;
            case OP_SET8: *(int64_t *)(void *)member = step->argument; continue;
            case OP_SET_NULL: *(void **)(void *)member = NULL; continue;
            case OP_SET4: *(int32_t *)(void *)member = step->argument; continue;
            case OP_EMPTY: *(struct rj_string *)(void *)member = RJ_EMPTY_STRING; continue;
            default: at = rare(d, plan, step, at, out);
            }
            if (at == NULL)
                return NULL;
        }
    next:;
    }
    return at;
}

bool rj_plan_decode(struct decoder *d, const struct plan *plan, void *message)
{
    const uint8_t *at = rj_plan_read_embedded(d, plan, d->at, message);
    if (at != NULL)
        d->at = at;
    return at != NULL;
}
