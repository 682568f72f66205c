#include "support_random.h"

#include "codec/wire.h"

#include <stdlib.h>

uint32_t test_random(uint64_t *state, uint32_t limit)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*state >> 33) % limit);
}

static struct rj_bytes random_bytes(uint64_t *state, struct rj_arena *arena)
{
    int32_t len = (int32_t)test_random(state, 6);
    uint8_t *data = rj_arena_alloc(arena, (size_t)len);
    for (int32_t i = 0; i < len; i++)
        data[i] = (uint8_t)('a' + test_random(state, 26));
    return (struct rj_bytes){data, len};
}

struct filler { int16_t version; uint32_t items; uint64_t *state; struct rj_arena *arena; bool flexible; };

static void fill_struct(const struct filler *f, const struct rj_schema_struct *rows, void *structure);

static void fill_element(const struct filler *f, const struct rj_schema_field *field, void *element)
{
    uint64_t bits = (uint64_t)test_random(f->state, UINT32_MAX) << 32 | test_random(f->state, UINT32_MAX);
    if (field->type == RJ_TYPE_STRUCT)
        fill_struct(f, field->element, element);
    else if (field->type == RJ_TYPE_BOOL)
        *(bool *)element = bits & 1;
    else if (field->type == RJ_TYPE_UUID)
        for (int i = 0; i < 16; i++)
            ((struct rj_uuid *)element)->bytes[i] = (uint8_t)test_random(f->state, 256);
    else if (wire_size(field->type) == 0)
        *(struct rj_bytes *)element = random_bytes(f->state, f->arena);
    else
        memcpy(element, &bits, wire_size(field->type));
}

static void fill_array(const struct filler *f, const struct rj_schema_field *field, struct any_array *array)
{
    size_t size = memory_size(field);
    array->count = (int32_t)test_random(f->state, f->items + 1);
    array->items = rj_arena_alloc(f->arena, (size_t)array->count * size);
    for (int32_t i = 0; i < array->count; i++)
        fill_element(f, field, (char *)array->items + (size_t)i * size);
}

static void fill_field(const struct filler *f, const struct rj_schema_field *field, void *member)
{
    bool null = rj_in_range(field->nullable, f->version) && test_random(f->state, 4) == 0;
    if (field->flags & RJ_FIELD_ARRAY) {
        fill_array(f, field, member);
        if (null)
            *(struct any_array *)member = (struct any_array){NULL, -1};
    } else if (is_pointer(field)) {
        void *inner = rj_arena_alloc(f->arena, field->element->size);
        fill_struct(f, field->element, inner);
        *(void **)member = null ? NULL : inner;
    } else {
        fill_element(f, field, member);
        if (null)
            *(struct rj_bytes *)member = RJ_NULL_BYTES;
    }
}

static void fill_unknown_tags(const struct filler *f, const struct rj_schema_struct *rows, void *structure)
{
    struct rj_unknown_tags *tags = rj_arena_alloc(f->arena, sizeof(*tags));
    tags->items = rj_arena_alloc(f->arena, 2 * sizeof(*tags->items));
    tags->count = (int32_t)test_random(f->state, 3);
    for (int32_t i = 0; i < tags->count; i++)
        tags->items[i] = (struct rj_unknown_tag){1000 + 1000 * (uint32_t)i, random_bytes(f->state, f->arena)};
    *unknown_tags_of(structure, rows) = tags->count > 0 ? tags : NULL;
}

static void fill_struct(const struct filler *f, const struct rj_schema_struct *rows, void *structure)
{
    rj_struct_init(rows, structure);
    for (uint32_t i = 0; i < rows->field_count; i++)
        if (rj_in_range(rows->fields[i].versions, f->version))
            fill_field(f, &rows->fields[i], member_of(structure, &rows->fields[i]));
    if (f->flexible && test_random(f->state, 8) == 0)
        fill_unknown_tags(f, rows, structure);
}

void test_fill_message(const struct rj_message_schema *schema, int16_t version, uint32_t items, uint64_t *state,
                       struct rj_arena *arena, void *message)
{
    struct filler f = {version, items, state, arena, version >= schema->flexible_from};
    fill_struct(&f, schema->root, message);
}

static void *count_alloc(void *context, size_t size)
{
    struct test_counter *counter = context;
    counter->taken_len += size;
    if (counter->taken_len > counter->peak_len)
        counter->peak_len = counter->taken_len;
    return malloc(size);
}

static void count_free(void *context, void *memory, size_t size)
{
    ((struct test_counter *)context)->taken_len -= size;
    free(memory);
}

struct rj_allocator test_counting_heap(struct test_counter *counter)
{
    return (struct rj_allocator){count_alloc, count_free, counter};
}
