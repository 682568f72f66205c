/* Typed messages -> bytes. One walker sizes and writes: sizing is writing without a place to write to. */
#include "codec/encoder.h"
#include "codec/wire.h"
#include "rejoin/codec.h"

static enum rj_err write_struct(struct encoder *e, const struct rj_schema_struct *rows, const void *structure,
                                const struct path *up);

/* Where the next size bytes go; NULL when only counting or when they do not fit (the caller of the walker sees
 * len > out_len at the end). */
static uint8_t *room(struct encoder *e, size_t size)
{
    size_t at = e->len;
    e->len += size;
    return e->out != NULL && e->len <= e->out_len ? e->out + at : NULL;
}

static void write_varint(struct encoder *e, uint32_t value)
{
    uint8_t bytes[5];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    uint8_t *out = room(e, len);
    if (out != NULL)
        memcpy(out, bytes, len);
}

static void write_number(struct encoder *e, enum rj_type type, const void *member)
{
    uint8_t *out = room(e, wire_size(type));
    if (out == NULL)
        return;
    switch (type) {
    case RJ_TYPE_BOOL: *out = *(const bool *)member; break;
    case RJ_TYPE_INT8: *out = *(const uint8_t *)member; break;
    case RJ_TYPE_INT16:
    case RJ_TYPE_UINT16: put_u16(out, *(const uint16_t *)member); break;
    case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32: put_u32(out, *(const uint32_t *)member); break;
    case RJ_TYPE_INT64:
    case RJ_TYPE_FLOAT64: {
        uint64_t bits;
        memcpy(&bits, member, sizeof(bits));
        put_u64(out, bits);
        break;
    }
    case RJ_TYPE_UUID: memcpy(out, member, sizeof(struct rj_uuid)); break;
    case RJ_TYPE_STRING:
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS:
    case RJ_TYPE_STRUCT: break;
    }
}

/* -1 is null. */
static void write_length(struct encoder *e, const struct rj_schema_field *field, bool is_count, int32_t length)
{
    if (e->flexible && !(field->flags & RJ_FIELD_NEVER_COMPACT)) {
        write_varint(e, (uint32_t)length + 1);
        return;
    }
    size_t size = field->type == RJ_TYPE_STRING && !is_count ? 2 : 4;
    uint8_t *out = room(e, size);
    if (out == NULL)
        return;
    if (size == 2)
        put_u16(out, (uint16_t)length);
    else
        put_u32(out, (uint32_t)length);
}

static enum rj_err check_null(const struct encoder *e, const struct rj_schema_field *field, const struct path *path)
{
    if (rj_in_range(field->nullable, e->place.version))
        return RJ_OK;
    return rj_fault_set(&e->place, RJ_ERR_NULL, e->len, path, "null", "a value: this version allows no null");
}

static enum rj_err write_view(struct encoder *e, const struct rj_schema_field *field, bool is_element,
                              const void *member, const struct path *path)
{
    struct rj_bytes view = *(const struct rj_bytes *)member;
    if (view.data == NULL) {
        if (is_element)
            return rj_fault_set(&e->place, RJ_ERR_NULL, e->len, path, "null", "a value: an array holds no null");
        enum rj_err err = check_null(e, field, path);
        if (err == RJ_OK)
            write_length(e, field, false, -1);
        return err;
    }
    if (view.len < 0 || (field->type == RJ_TYPE_STRING && view.len > STRING_LEN_MAX))
        return rj_fault_set_number(&e->place, RJ_ERR_VALUE, e->len, path, "length ", view.len, "at most 32767");
    write_length(e, field, false, view.len);
    uint8_t *out = room(e, (size_t)view.len);
    if (out != NULL)
        memcpy(out, view.data, (size_t)view.len);
    return RJ_OK;
}

static enum rj_err write_array(struct encoder *e, const struct rj_schema_field *field, const struct any_array *array,
                               const struct path *path)
{
    enum rj_err err = array->count < 0 ? check_null(e, field, path) : RJ_OK;
    if (err != RJ_OK)
        return err;
    write_length(e, field, true, array->count < 0 ? -1 : array->count);
    size_t size = memory_size(field);
    struct path step = {path->up, path->name, 0};
    for (int32_t i = 0; i < array->count; i++) {
        const void *item = (const char *)array->items + (size_t)i * size;
        step.index = i;
        if (field->type == RJ_TYPE_STRUCT)
            err = write_struct(e, field->element, item, &step);
        else if (wire_size(field->type) == 0)
            err = write_view(e, field, true, item, &step);
        else
            write_number(e, field->type, item);
        if (err != RJ_OK)
            return err;
    }
    return RJ_OK;
}

static enum rj_err write_pointer(struct encoder *e, const struct rj_schema_field *field, const void *const *member,
                                 const struct path *path)
{
    enum rj_err err = *member == NULL ? check_null(e, field, path) : RJ_OK;
    if (err != RJ_OK)
        return err;
    if (rj_in_range(field->nullable, e->place.version)) {
        uint8_t *out = room(e, 1);
        uint8_t null = is_tagged(field, e->place.version) ? 0 : 0xff;
        if (out != NULL)
            *out = *member == NULL ? null : 1;
    }
    return *member == NULL ? RJ_OK : write_struct(e, field->element, *member, path);
}

static enum rj_err write_field(struct encoder *e, const struct rj_schema_field *field, const void *structure,
                               const struct path *up)
{
    struct path path = {up, field->name, -1};
    const void *member = const_member_of(structure, field);
    if (field->flags & RJ_FIELD_ARRAY)
        return write_array(e, field, member, &path);
    if (is_pointer(field))
        return write_pointer(e, field, member, &path);
    if (field->type == RJ_TYPE_STRUCT)
        return write_struct(e, field->element, member, &path);
    if (wire_size(field->type) == 0)
        return write_view(e, field, false, member, &path);
    write_number(e, field->type, member);
    return RJ_OK;
}

static enum rj_err write_tagged_field(struct encoder *e, const struct rj_schema_field *field, const void *structure,
                                      const struct path *up)
{
    struct encoder sizer = *e;
    sizer.out = NULL;
    sizer.len = 0;
    enum rj_err err = write_field(&sizer, field, structure, up);
    if (err != RJ_OK)
        return err;
    write_varint(e, (uint32_t)field->tag);
    write_varint(e, (uint32_t)sizer.len);
    return write_field(e, field, structure, up);
}

/* The tagged field of this version that holds no default and has the lowest tag above after; NULL: none. */
static const struct rj_schema_field *next_tagged(const struct rj_schema_struct *rows, int16_t version,
                                                 const void *structure, int32_t after)
{
    const struct rj_schema_field *next = NULL;
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        if (is_tagged(field, version) && field->tag > after && (next == NULL || field->tag < next->tag) &&
            !rj_is_default(field, const_member_of(structure, field)))
            next = field;
    }
    return next;
}

enum rj_err rj_encoder_write_tagged(struct encoder *e, const struct rj_schema_struct *rows, const void *structure,
                                const struct path *up)
{
    const struct rj_unknown_tags *unknown = const_unknown_tags_of(structure, rows);
    int32_t unknown_count = unknown != NULL ? unknown->count : 0, known_count = 0, last = -1;
    const struct rj_schema_field *field;
    for (field = NULL; (field = next_tagged(rows, e->place.version, structure, last)) != NULL; last = field->tag)
        known_count++;
    write_varint(e, (uint32_t)known_count + (uint32_t)unknown_count);
    struct path path = {up, "taggedFields", 0};
    int64_t last_tag = -1;
    field = next_tagged(rows, e->place.version, structure, -1);
    for (int32_t i = 0; field != NULL || i < unknown_count;) {
        if (field != NULL && (i == unknown_count || (uint32_t)field->tag <= unknown->items[i].tag)) {
            enum rj_err err = write_tagged_field(e, field, structure, up);
            if (err != RJ_OK)
                return err;
            last_tag = field->tag;
            field = next_tagged(rows, e->place.version, structure, field->tag);
            continue;
        }
        const struct rj_unknown_tag *own = &unknown->items[i];
        path.index = i++;
        if (own->tag <= last_tag)
            return rj_fault_set_number(&e->place, RJ_ERR_TAG, e->len, &path, "tag ", own->tag,
                                       "tags in rising order");
        last_tag = own->tag;
        write_varint(e, own->tag);
        write_varint(e, (uint32_t)own->value.len);
        uint8_t *out = room(e, (size_t)own->value.len);
        if (out != NULL)
            memcpy(out, own->value.data, (size_t)own->value.len);
    }
    return RJ_OK;
}

static enum rj_err write_struct(struct encoder *e, const struct rj_schema_struct *rows, const void *structure,
                                const struct path *up)
{
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        enum rj_err err = RJ_OK;
        if (!rj_in_range(field->versions, e->place.version)) {
            if (!(field->flags & RJ_FIELD_IGNORABLE) && !rj_is_default(field, const_member_of(structure, field))) {
                struct path path = {up, field->name, -1};
                err = rj_fault_set(&e->place, RJ_ERR_VALUE, e->len, &path, "a value",
                                   "the default: this version has no such field");
            }
        } else if (!is_tagged(field, e->place.version)) {
            err = write_field(e, field, structure, up);
        }
        if (err != RJ_OK)
            return err;
    }
    return e->flexible ? rj_encoder_write_tagged(e, rows, structure, up) : RJ_OK;
}

static enum rj_err encode(struct encoder *e, const void *message)
{
    if (!rj_in_range(e->place.schema->versions, e->place.version))
        return rj_fault_set_number(&e->place, RJ_ERR_VERSION, 0, NULL, "version ", e->place.version,
                                   "a version of this message");
    e->flexible = e->place.version >= e->place.schema->flexible_from;
    return write_struct(e, e->place.schema->root, message, NULL);
}

enum rj_err rj_encoded_len(const struct rj_message_schema *schema, int16_t version, const void *message, size_t *len,
                           struct rj_fault *fault)
{
    struct encoder e = {.place = {schema, version, fault}};
    enum rj_err err = encode(&e, message);
    *len = e.len;
    return err;
}

enum rj_err rj_encode(const struct rj_message_schema *schema, int16_t version, const void *message, uint8_t *out,
                      size_t out_len, size_t *len, struct rj_fault *fault)
{
    struct encoder e = {.out = out, .out_len = out_len, .place = {schema, version, NULL}, .flexible = true};
    if (rj_in_range(schema->versions, version) && rj_plan_encode(&e, plan_of(schema, version), message)) {
        *len = e.len;
        return RJ_OK;
    }
    e.len = 0;
    e.place.fault = fault;
    enum rj_err err = encode(&e, message);
    *len = e.len;
    if (err == RJ_OK && e.len > out_len)
        return rj_fault_set_number(&e.place, RJ_ERR_SPACE, out_len, NULL, "room: ", (int64_t)out_len,
                                   "as much as rj_encoded_len says");
    return err;
}
