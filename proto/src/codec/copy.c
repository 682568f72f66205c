/* Deep copies. */
#include "codec/path.h"
#include "codec/wire.h"
#include "rejoin/codec.h"

static bool copy_inside(const struct rj_schema_struct *rows, struct rj_arena *arena, void *structure);

/* Replaces what items points to by a copy of it. */
static bool copy_items(struct rj_arena *arena, void **items, size_t len)
{
    void *copy = rj_arena_alloc(arena, len);
    if (copy == NULL)
        return false;
    if (len > 0)
        memcpy(copy, *items, len);
    *items = copy;
    return true;
}

/* The element was copied as bytes; what it points to is copied now. */
static bool copy_element(const struct rj_schema_field *field, struct rj_arena *arena, void *element)
{
    bool ok = true;
    if (field->type == RJ_TYPE_STRUCT)
        return copy_inside(field->element, arena, element);
    if (wire_size(field->type) == 0) {
        struct rj_bytes *view = element;
        *view = rj_arena_copy_bytes(arena, *view, &ok);
    }
    return ok;
}

static bool copy_field(const struct rj_schema_field *field, struct rj_arena *arena, void *member)
{
    if (is_pointer(field)) {
        void **pointer = member;
        return *pointer == NULL || (copy_items(arena, pointer, field->element->size) &&
                                    copy_inside(field->element, arena, *pointer));
    }
    if (!(field->flags & RJ_FIELD_ARRAY))
        return copy_element(field, arena, member);
    struct any_array *array = member;
    if (array->count <= 0)
        return true;
    size_t size = memory_size(field);
    bool ok = copy_items(arena, &array->items, (size_t)array->count * size);
    for (int32_t i = 0; ok && i < array->count; i++)
        ok = copy_element(field, arena, (char *)array->items + (size_t)i * size);
    return ok;
}

static bool copy_tags(struct rj_arena *arena, struct rj_unknown_tags **tags)
{
    void *items = (*tags)->items;
    struct rj_unknown_tags *copy = rj_arena_alloc(arena, sizeof(*copy));
    if (copy == NULL || !copy_items(arena, &items, (size_t)(*tags)->count * sizeof(*(*tags)->items)))
        return false;
    *copy = (struct rj_unknown_tags){items, (*tags)->count};
    *tags = copy;
    bool ok = true;
    for (int32_t i = 0; i < copy->count; i++)
        copy->items[i].value = rj_arena_copy_bytes(arena, copy->items[i].value, &ok);
    return ok;
}

static bool copy_inside(const struct rj_schema_struct *rows, struct rj_arena *arena, void *structure)
{
    for (uint32_t i = 0; i < rows->field_count; i++)
        if (!copy_field(&rows->fields[i], arena, member_of(structure, &rows->fields[i])))
            return false;
    if (rows->unknown_tags_offset == RJ_NO_UNKNOWN_TAGS)
        return true;
    struct rj_unknown_tags **tags = unknown_tags_of(structure, rows);
    return *tags == NULL || copy_tags(arena, tags);
}

enum rj_err rj_copy_message(const struct rj_message_schema *schema, const void *from, struct rj_arena *arena, void *to)
{
    memcpy(to, from, schema->root->size);
    return copy_inside(schema->root, arena, to) ? RJ_OK : RJ_ERR_MEMORY;
}
