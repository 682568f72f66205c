/* Decoding by plan: no fault, no path, no default is thought of here. Whatever is not plain sailing ends the loop, and
 * the walker in decode.c begins anew. */
#include "codec/decoder.h"
#include "codec/wire.h"

static const uint8_t *run(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out, int32_t count);

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

/* The rest of a varint whose first byte had its high bit set; NULL: it is longer or odd. */
static const uint8_t *varint_rest(const uint8_t *at, const uint8_t *end, uint32_t *value)
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
static const uint8_t *array_count(const uint8_t *at, const uint8_t *end, bool compact, bool nullable,
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

static const uint8_t *array(struct decoder *d, const struct plan *element, const uint8_t *at, bool compact,
                            bool nullable, void *member)
{
    struct any_array *out = member;
    uint32_t count;
    at = array_count(at, d->end, compact, nullable, out, &count);
    if (at == NULL || count == 0)
        return at;
    if ((uint64_t)count * element->least_len > (size_t)(d->end - at))
        return NULL;
    char *items = rj_decoder_take(d, (size_t)count * element->size);
    if (items == NULL)
        return NULL;
    if (element->copied)
        init_elements(element, items, count);
    *out = (struct any_array){items, (int32_t)count};
    return run(d, element, at, items, (int32_t)count);
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

static const uint8_t *list(struct decoder *d, enum plan_op op, const uint8_t *at, bool compact, bool nullable,
                           void *member)
{
    struct any_array *out = member;
    uint32_t count;
    at = array_count(at, d->end, compact, nullable, out, &count);
    if (at == NULL || count == 0)
        return at;
    if ((uint64_t)count * element_sizes[op].wire_len > (size_t)(d->end - at))
        return NULL;
    void *items = rj_decoder_take(d, (size_t)count * element_sizes[op].memory_len);
    if (items == NULL)
        return NULL;
    *out = (struct any_array){items, (int32_t)count};
    return list_items(op, at, d->end, items, count);
}

static const uint8_t *embedded(struct decoder *d, const struct plan *plan, const uint8_t *at, void *member)
{
    if (plan->copied)
        rj_plan_init(plan, member);
    return run(d, plan, at, member, 1);
}

static const uint8_t *pointer(struct decoder *d, const struct plan *plan, const uint8_t *at, bool nullable, void **out)
{
    *out = NULL;
    if (nullable) {
        if (at == d->end)
            return NULL;
        if ((int8_t)*at++ < 0)
            return at;
    }
    *out = rj_decoder_take(d, plan->size);
    if (*out == NULL)
        return NULL;
    return embedded(d, plan, at, *out);
}

static const uint8_t *tags(struct decoder *d, const struct plan *plan, const uint8_t *at, char *out)
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
        return array(d, &rj_plans[step->argument], at, op >= OP_COMPACT_ARRAY, (op - OP_ARRAY) & 1, member);
    if (op >= OP_LIST && op <= OP_COMPACT_LIST_NULLABLE)
        return list(d, (enum plan_op)step->argument, at, op >= OP_COMPACT_LIST, (op - OP_LIST) & 1, member);
    if (op == OP_STRUCT)
        return embedded(d, &rj_plans[step->argument], at, member);
    if (op == OP_POINTER || op == OP_POINTER_PRESENT)
        return pointer(d, &rj_plans[step->argument], at, op == OP_POINTER, member);
    return tags(d, plan, at, out);
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
                at = tags(d, plan, at, out);
                break;
            case OP_END: goto next;
            case OP_SET8: *(int64_t *)(void *)member = step->argument; continue;
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
    if (plan->copied)
        rj_plan_init(plan, message);
    const uint8_t *at = run(d, plan, d->at, message, 1);
    if (at != NULL)
        d->at = at;
    return at != NULL;
}
