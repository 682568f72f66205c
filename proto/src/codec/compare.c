/* Differences between two messages of one schema. */
#include "codec/json.h"
#include "codec/path.h"
#include "codec/wire.h"

enum { VALUE_TEXT_LEN = 512, PATH_TEXT_LEN = 256 };

struct comparer {
    int16_t version;
    bool by_key;
    int count;
    void (*differ)(void *context, const struct rj_difference *difference);
    void *context;
};

static void compare_structs(struct comparer *c, const struct rj_schema_struct *rows, const void *left,
                            const void *right, const struct path *up);

static void write_text(void *context, const char *piece, size_t len)
{
    struct text *text = context;
    size_t room = text->size - 1 - text->len;
    if (room == 0)
        return;
    if (len > room) {
        memcpy(text->out + text->len, piece, room);
        text->len = text->size - 1;
        memcpy(text->out + text->len - 3, "...", 3);
    } else {
        memcpy(text->out + text->len, piece, len);
        text->len += len;
    }
    text->out[text->len] = '\0';
}

/* field NULL: unknown tags, which are not printed. A NULL side is one that has no such element. whole: the member is the field's, not an element of its array. */
static void report(struct comparer *c, const struct rj_schema_field *field, bool whole, const void *left,
                   const void *right, const struct path *path)
{
    c->count++;
    if (c->differ == NULL)
        return;
    char texts[2][VALUE_TEXT_LEN] = {"", ""}, path_text[PATH_TEXT_LEN] = "";
    const void *sides[2] = {left, right};
    for (int i = 0; i < 2; i++) {
        struct text text = text_in(texts[i], VALUE_TEXT_LEN);
        struct rj_writer writer = {write_text, &text};
        if (sides[i] != NULL && field != NULL)
            (whole ? rj_json_print_field : rj_json_print_element)(field, c->version, sides[i], &writer);
    }
    struct text text = text_in(path_text, sizeof(path_text));
    rj_text_add_path(&text, path);
    c->differ(c->context, &(struct rj_difference){path_text, left != NULL ? texts[0] : NULL,
                                                  right != NULL ? texts[1] : NULL});
}

static bool same_value(const struct rj_schema_field *field, const void *left, const void *right)
{
    uint32_t size = wire_size(field->type);
    return size != 0 ? memcmp(left, right, memory_size(field)) == 0
                     : rj_bytes_equal(*(const struct rj_bytes *)left, *(const struct rj_bytes *)right);
}

static void compare_elements(struct comparer *c, const struct rj_schema_field *field, const void *left,
                             const void *right, const struct path *path)
{
    if (field->type == RJ_TYPE_STRUCT)
        compare_structs(c, field->element, left, right, path);
    else if (!same_value(field, left, right))
        report(c, field, false, left, right, path);
}

/* Whether the elements agree in every key field of this version; false when there is none. */
static bool same_key(const struct comparer *c, const struct rj_schema_struct *rows, const void *left,
                     const void *right)
{
    bool any = false;
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        if (!(field->flags & RJ_FIELD_KEY) || !rj_in_range(field->versions, c->version))
            continue;
        any = true;
        if (!same_value(field, const_member_of(left, field), const_member_of(right, field)))
            return false;
    }
    return any;
}

static bool has_key(const struct comparer *c, const struct rj_schema_field *field)
{
    for (uint32_t i = 0; field->type == RJ_TYPE_STRUCT && i < field->element->field_count; i++)
        if ((field->element->fields[i].flags & RJ_FIELD_KEY) &&
            rj_in_range(field->element->fields[i].versions, c->version))
            return true;
    return false;
}

static const void *item(const struct rj_schema_field *field, const struct any_array *array, int32_t index)
{
    return (const char *)array->items + (size_t)index * memory_size(field);
}

/* The element with the key of wanted: looked for from hint on, so that arrays of one order take linear time. */
static int32_t find_by_key(const struct comparer *c, const struct rj_schema_field *field,
                           const struct any_array *array, int32_t hint, const void *wanted)
{
    for (int32_t i = 0; i < array->count; i++) {
        int32_t at = (int32_t)(((int64_t)hint + i) % array->count);
        if (same_key(c, field->element, item(field, array, at), wanted))
            return at;
    }
    return -1;
}

static void compare_by_key(struct comparer *c, const struct rj_schema_field *field, const struct any_array *left,
                           const struct any_array *right, struct path *step)
{
    int32_t hint = 0;
    for (step->index = 0; step->index < left->count; step->index++) {
        const void *own = item(field, left, step->index);
        int32_t at = find_by_key(c, field, right, hint, own);
        if (at < 0) {
            report(c, field, false, own, NULL, step);
            continue;
        }
        compare_elements(c, field, own, item(field, right, at), step);
        hint = at + 1;
    }
    hint = 0;
    for (step->index = 0; step->index < right->count; step->index++) {
        const void *own = item(field, right, step->index);
        int32_t at = find_by_key(c, field, left, hint, own);
        if (at < 0)
            report(c, field, false, NULL, own, step);
        else
            hint = at + 1;
    }
}

static void compare_arrays(struct comparer *c, const struct rj_schema_field *field, const struct any_array *left,
                           const struct any_array *right, const struct path *path)
{
    if ((left->count < 0) != (right->count < 0)) {
        report(c, field, true, left, right, path);
        return;
    }
    struct path step = {path->up, path->name, 0};
    if (c->by_key && has_key(c, field)) {
        compare_by_key(c, field, left, right, &step);
        return;
    }
    for (; step.index < left->count || step.index < right->count; step.index++) {
        if (step.index >= left->count)
            report(c, field, false, NULL, item(field, right, step.index), &step);
        else if (step.index >= right->count)
            report(c, field, false, item(field, left, step.index), NULL, &step);
        else
            compare_elements(c, field, item(field, left, step.index), item(field, right, step.index), &step);
    }
}

static void compare_fields(struct comparer *c, const struct rj_schema_field *field, const void *left,
                           const void *right, const struct path *up)
{
    struct path path = {up, field->name, -1};
    if (field->flags & RJ_FIELD_ARRAY) {
        compare_arrays(c, field, left, right, &path);
        return;
    }
    if (!is_pointer(field)) {
        compare_elements(c, field, left, right, &path);
        return;
    }
    const void *a = *(void *const *)left, *b = *(void *const *)right;
    if ((a == NULL) != (b == NULL))
        report(c, field, true, left, right, &path);
    else if (a != NULL)
        compare_structs(c, field->element, a, b, &path);
}

static bool same_tags(const struct rj_unknown_tags *left, const struct rj_unknown_tags *right)
{
    int32_t count = left != NULL ? left->count : 0;
    if (count != (right != NULL ? right->count : 0))
        return false;
    for (int32_t i = 0; i < count; i++)
        if (left->items[i].tag != right->items[i].tag ||
            !rj_bytes_equal(left->items[i].value, right->items[i].value))
            return false;
    return true;
}

static void compare_structs(struct comparer *c, const struct rj_schema_struct *rows, const void *left,
                            const void *right, const struct path *up)
{
    for (uint32_t i = 0; i < rows->field_count; i++)
        if (rj_in_range(rows->fields[i].versions, c->version))
            compare_fields(c, &rows->fields[i], const_member_of(left, &rows->fields[i]),
                           const_member_of(right, &rows->fields[i]), up);
    if (rows->unknown_tags_offset == RJ_NO_UNKNOWN_TAGS ||
        same_tags(const_unknown_tags_of(left, rows), const_unknown_tags_of(right, rows)))
        return;
    struct path path = {up, UNKNOWN_TAGS_NAME, -1};
    report(c, NULL, false, NULL, NULL, &path);
}

int rj_compare(const struct rj_message_schema *schema, int16_t version, const void *left, const void *right,
               bool by_key, void (*differ)(void *context, const struct rj_difference *difference), void *context)
{
    struct comparer c = {version, by_key, 0, differ, context};
    compare_structs(&c, schema->root, left, right, NULL);
    return c.count;
}
