/* Bytes -> typed messages.
 *
 * Odd encodings that Kafka's own readers accept are accepted here too: a negative length is null whatever the number,
 * a varint may have leading zero groups, the high bits of a fifth varint byte are dropped, tagged fields may come in
 * any order and more than once (the last one counts), the size of a known tagged field is not looked at, a boolean
 * is true for any byte but 0. Each has a rule (area encoding); the places that accept one tell who asks. */
#include "codec/decoder.h"
#include "codec/json.h"
#include "codec/wire.h"
#include "rejoin/codec.h"

enum { FIXED_BUDGET_LEN = 65536, BUDGET_FACTOR = 24 };

static enum rj_err read_struct(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                               const struct path *up);

static size_t left(const struct decoder *d) { return (size_t)(d->end - d->at); }

static size_t offset(const struct decoder *d) { return (size_t)(d->at - d->start); }

static enum rj_err fail_short(const struct decoder *d, const struct path *path, size_t needed)
{
    char expected[64];
    struct text text = text_in(expected, sizeof(expected));
    rj_text_add(&text, "at least ");
    rj_text_add_number(&text, (int64_t)needed);
    rj_text_add(&text, needed == 1 ? " byte" : " bytes");
    return rj_fault_set_number(&d->place, RJ_ERR_SHORT, offset(d), path, "bytes left: ", (int64_t)left(d), expected);
}

static void note(struct decoder *d, enum rj_rule rule, size_t at, const struct path *path)
{
    if (d->oddities == NULL)
        return;
    char field[sizeof(((struct rj_fault *)0)->field)] = "";
    struct text text = text_in(field, sizeof(field));
    rj_text_add_path(&text, path);
    d->oddity_count++;
    d->oddities->note(d->oddities->context, &(struct rj_oddity){rule, at, field});
}

/* As Kafka reads it: at most 5 bytes, what does not fit 32 bits is dropped. */
static enum rj_err read_varint(struct decoder *d, uint32_t *value, const struct path *path)
{
    *value = 0;
    for (int i = 0; i < 5; i++) {
        if (d->at + i == d->end)
            return fail_short(d, path, (size_t)i + 1);
        uint8_t byte = d->at[i];
        *value |= (uint32_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (i > 0 && byte == 0)
                note(d, RJ_RULE_ENC_VARINT_LONG, offset(d), path);
            if (i == 4 && byte > 0x0f)
                note(d, RJ_RULE_ENC_VARINT_WIDE, offset(d), path);
            d->at += i + 1;
            return RJ_OK;
        }
    }
    return rj_fault_set(&d->place, RJ_ERR_VARINT, offset(d), path, "5 bytes with the high bit set",
                        "a varint of at most 5 bytes");
}

static enum rj_err fail_memory(const struct decoder *d, const struct path *path, size_t size)
{
    bool limit = size > d->arena_limit_len - d->arena->used_len;
    return rj_fault_set_number(&d->place, limit ? RJ_ERR_LIMIT : RJ_ERR_MEMORY, offset(d), path, "bytes needed: ",
                               (int64_t)size, limit ? "64 KiB + 24 times the input" : "memory from the allocator");
}

/* Length or count in the encoding of this version; negative is null. */
static enum rj_err read_length(struct decoder *d, const struct rj_schema_field *field, bool is_count, int32_t *length,
                               const struct path *path)
{
    if (d->flexible && !(field->flags & RJ_FIELD_NEVER_COMPACT)) {
        uint32_t plus_one;
        enum rj_err err = read_varint(d, &plus_one, path);
        *length = (int32_t)(plus_one - 1);
        return err;
    }
    size_t size = field->type == RJ_TYPE_STRING && !is_count ? 2 : 4;
    if (left(d) < size)
        return fail_short(d, path, size);
    *length = size == 2 ? (int16_t)get_u16(d->at) : (int32_t)get_u32(d->at);
    d->at += size;
    return RJ_OK;
}

static enum rj_err check_null(struct decoder *d, const struct rj_schema_field *field, size_t at, int32_t length,
                              const struct path *path)
{
    if (rj_in_range(field->nullable, d->place.version)) {
        if (length != -1)
            note(d, RJ_RULE_ENC_NEGATIVE_LENGTH, at, path);
        return RJ_OK;
    }
    return rj_fault_set_number(&d->place, RJ_ERR_NULL, at, path, "length ", length, "a length that is not negative");
}

/* Strings, bytes and records: views into the input. nullable is false for the elements of an array. */
static enum rj_err read_view(struct decoder *d, const struct rj_schema_field *field, bool is_element, void *out,
                             const struct path *path)
{
    size_t at = offset(d);
    int32_t length;
    enum rj_err err = read_length(d, field, false, &length, path);
    if (err != RJ_OK)
        return err;
    if (length < 0) {
        if (is_element)
            return rj_fault_set_number(&d->place, RJ_ERR_NULL, at, path, "length ", length,
                                       "a length that is not negative");
        err = check_null(d, field, at, length, path);
        if (err == RJ_OK)
            *(struct rj_bytes *)out = RJ_NULL_BYTES;
        return err;
    }
    if (field->type == RJ_TYPE_STRING && length > STRING_LEN_MAX)
        return rj_fault_set_number(&d->place, RJ_ERR_LENGTH, at, path, "length ", length, "at most 32767");
    if ((size_t)length > left(d))
        return fail_short(d, path, (size_t)length);
    *(struct rj_bytes *)out = (struct rj_bytes){d->at, length};
    if (d->oddities != NULL && field->type == RJ_TYPE_STRING && !rj_is_utf8(*(struct rj_bytes *)out))
        note(d, RJ_RULE_ENC_UTF8, at, path);
    d->at += length;
    return RJ_OK;
}

static enum rj_err read_number(struct decoder *d, enum rj_type type, void *out, const struct path *path)
{
    uint32_t size = wire_size(type);
    if (left(d) < size)
        return fail_short(d, path, size);
    const uint8_t *at = d->at;
    d->at += size;
    switch (type) {
    case RJ_TYPE_BOOL:
        *(bool *)out = *at != 0;
        if (*at > 1)
            note(d, RJ_RULE_ENC_BOOL, offset(d) - 1, path);
        break;
    case RJ_TYPE_INT8: *(int8_t *)out = (int8_t)*at; break;
    case RJ_TYPE_INT16:
    case RJ_TYPE_UINT16: *(uint16_t *)out = get_u16(at); break;
    case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32: *(uint32_t *)out = get_u32(at); break;
    case RJ_TYPE_INT64:
    case RJ_TYPE_FLOAT64: {
        uint64_t bits = get_u64(at);
        memcpy(out, &bits, sizeof(bits));
        break;
    }
    case RJ_TYPE_UUID: memcpy(out, at, sizeof(struct rj_uuid)); break;
    case RJ_TYPE_STRING:
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS:
    case RJ_TYPE_STRUCT: break;
    }
    return RJ_OK;
}

static enum rj_err read_element(struct decoder *d, const struct rj_schema_field *field, void *out,
                                const struct path *path)
{
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_STRUCT:
        rj_struct_init(field->element, out);
        return read_struct(d, field->element, out, path);
    case RJ_TYPE_STRING:
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS: return read_view(d, field, true, out, path);
    case RJ_TYPE_BOOL:
    case RJ_TYPE_INT8:
    case RJ_TYPE_INT16:
    case RJ_TYPE_UINT16:
    case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32:
    case RJ_TYPE_INT64:
    case RJ_TYPE_FLOAT64:
    case RJ_TYPE_UUID: break;
    }
    return read_number(d, field->type, out, path);
}

static enum rj_err read_array(struct decoder *d, const struct rj_schema_field *field, struct any_array *out,
                              const struct path *path)
{
    size_t at = offset(d);
    int32_t count;
    enum rj_err err = read_length(d, field, true, &count, path);
    if (err != RJ_OK)
        return err;
    *out = (struct any_array){NULL, count < 0 ? -1 : 0};
    if (count < 0)
        return check_null(d, field, at, count, path);
    if (count == 0)
        return RJ_OK;
    if ((size_t)count > left(d)) /* no element takes less than a byte */
        return rj_fault_set_number(&d->place, RJ_ERR_LENGTH, at, path, "count ", count, "no more than the bytes left");
    size_t size = memory_size(field);
    out->items = decoder_take(d, (size_t)count * size);
    if (out->items == NULL)
        return fail_memory(d, path, (size_t)count * size);
    struct path step = {path->up, path->name, 0};
    for (; out->count < count; out->count++) {
        step.index = out->count;
        err = read_element(d, field, (char *)out->items + (size_t)out->count * size, &step);
        if (err != RJ_OK) {
            out->count += field->type == RJ_TYPE_STRUCT; /* the part of it that was read */
            return err;
        }
    }
    return RJ_OK;
}

static enum rj_err new_pointer(struct decoder *d, const struct rj_schema_field *field, void **out,
                               const struct path *path)
{
    *out = decoder_take(d, field->element->size);
    if (*out == NULL)
        return fail_memory(d, path, field->element->size);
    rj_struct_init(field->element, *out);
    return RJ_OK;
}

/* Whether a nullable structure follows: a byte that is not negative or, in a tagged field, a varint above 0. */
static enum rj_err read_present(struct decoder *d, const struct rj_schema_field *field, bool *present,
                                const struct path *path)
{
    size_t at = offset(d);
    if (is_tagged(field, d->place.version)) {
        uint32_t value;
        enum rj_err err = read_varint(d, &value, path);
        *present = (int32_t)value > 0;
        if (err == RJ_OK && value > 1)
            note(d, RJ_RULE_ENC_PRESENT, at, path);
        return err;
    }
    if (left(d) < 1)
        return fail_short(d, path, 1);
    *present = (int8_t)*d->at >= 0;
    if (*d->at != 1 && *d->at != 0xff)
        note(d, RJ_RULE_ENC_PRESENT, at, path);
    d->at++;
    return RJ_OK;
}

static enum rj_err read_pointer(struct decoder *d, const struct rj_schema_field *field, void **out,
                                const struct path *path)
{
    bool present = true;
    enum rj_err err = RJ_OK;
    *out = NULL;
    if (rj_in_range(field->nullable, d->place.version))
        err = read_present(d, field, &present, path);
    if (err != RJ_OK || !present)
        return err;
    err = new_pointer(d, field, out, path);
    return err != RJ_OK ? err : read_struct(d, field->element, *out, path);
}

static enum rj_err read_field(struct decoder *d, const struct rj_schema_field *field, void *structure,
                              const struct path *up)
{
    struct path path = {up, field->name, -1};
    void *member = member_of(structure, field);
    if (field->flags & RJ_FIELD_ARRAY)
        return read_array(d, field, member, &path);
    if (is_pointer(field))
        return read_pointer(d, field, member, &path);
    if (field->type == RJ_TYPE_STRUCT)
        return read_struct(d, field->element, member, &path);
    if (wire_size(field->type) == 0)
        return read_view(d, field, false, member, &path);
    return read_number(d, field->type, member, &path);
}

static enum rj_err keep_unknown(struct decoder *d, struct rj_unknown_tags **tags, uint32_t tag, uint32_t size,
                                uint32_t rest, const struct path *path)
{
    if (size > left(d))
        return fail_short(d, path, size);
    if (*tags == NULL) {
        size_t len = sizeof(**tags) + (size_t)rest * sizeof(*(*tags)->items);
        struct rj_unknown_tags *fresh = decoder_take(d, len);
        if (fresh == NULL)
            return fail_memory(d, path, len);
        *fresh = (struct rj_unknown_tags){(struct rj_unknown_tag *)(void *)(fresh + 1), 0};
        *tags = fresh;
    }
    (*tags)->items[(*tags)->count++] = (struct rj_unknown_tag){tag, {d->at, (int32_t)size}};
    d->at += size;
    return RJ_OK;
}

static const struct rj_schema_field *field_of_tag(const struct rj_schema_struct *rows, int16_t version, uint32_t tag)
{
    for (uint32_t i = 0; i < rows->field_count; i++)
        if (is_tagged(&rows->fields[i], version) && (uint32_t)rows->fields[i].tag == tag)
            return &rows->fields[i];
    return NULL;
}

/* A tag that comes again replaces what its first coming left: nothing of that may stay in an embedded structure. */
static enum rj_err read_known(struct decoder *d, const struct rj_schema_field *field, void *out,
                              const struct path *up)
{
    if (field->type == RJ_TYPE_STRUCT && !(field->flags & RJ_FIELD_ARRAY) && !is_pointer(field))
        rj_struct_init(field->element, member_of(out, field));
    return read_field(d, field, out, up);
}

/* Tagged nullable structures whose default is not null but a structure of defaults. */
static enum rj_err set_tagged_pointers(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                                       const struct path *path)
{
    enum rj_err err = RJ_OK;
    for (uint32_t i = 0; err == RJ_OK && i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        if (is_pointer(field) && field->default_kind != RJ_DEFAULT_NULL && is_tagged(field, d->place.version))
            err = new_pointer(d, field, member_of(out, field), path);
    }
    return err;
}

struct tags_seen { int64_t highest; uint64_t known; /* a bit each; Kafka's tags are small */ };

static void note_tag(struct decoder *d, struct tags_seen *seen, uint32_t tag, bool is_known, size_t at,
                     const struct path *path)
{
    bool again = tag == seen->highest || (is_known && tag < 64 && seen->known >> tag & 1);
    if (!is_known)
        note(d, RJ_RULE_ENC_TAG_UNKNOWN, at, path);
    if (again)
        note(d, RJ_RULE_ENC_TAG_REPEATED, at, path);
    else if (tag < seen->highest)
        note(d, RJ_RULE_ENC_TAG_ORDER, at, path);
    if (tag > seen->highest)
        seen->highest = tag;
    if (tag < 64)
        seen->known |= (uint64_t)1 << tag;
}

enum rj_err rj_decoder_read_tagged(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                               const struct path *up)
{
    struct path path = {up, "taggedFields", -1};
    uint32_t count, tag, size;
    enum rj_err err = set_tagged_pointers(d, rows, out, &path);
    size_t count_at = offset(d);
    if (err == RJ_OK)
        err = read_varint(d, &count, &path);
    if (err != RJ_OK || (int32_t)count < 0) {
        if (err == RJ_OK)
            note(d, RJ_RULE_ENC_TAG_COUNT, count_at, &path);
        return err;
    }
    if (count > left(d) / 2) /* a tag and a size each */
        return rj_fault_set_number(&d->place, RJ_ERR_LENGTH, offset(d), &path, "count ", count,
                                   "no more than half of the bytes left");
    struct tags_seen seen = {-1, 0};
    for (uint32_t i = 0; i < count; i++) {
        size_t at = offset(d);
        path.index = (int32_t)i;
        if ((err = read_varint(d, &tag, &path)) != RJ_OK || (err = read_varint(d, &size, &path)) != RJ_OK)
            return err;
        const struct rj_schema_field *field = field_of_tag(rows, d->place.version, tag);
        if (d->oddities != NULL)
            note_tag(d, &seen, tag, field != NULL, at, &path);
        size_t begin = offset(d);
        err = field != NULL ? read_known(d, field, out, up)
                            : keep_unknown(d, unknown_tags_of(out, rows), tag, size, count - i, &path);
        if (err != RJ_OK)
            return err;
        if (offset(d) - begin != size)
            note(d, RJ_RULE_ENC_TAG_SIZE, at, &path);
    }
    return RJ_OK;
}

static enum rj_err read_struct(struct decoder *d, const struct rj_schema_struct *rows, void *out,
                               const struct path *up)
{
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        if (!rj_in_range(field->versions, d->place.version) || is_tagged(field, d->place.version))
            continue;
        enum rj_err err = read_field(d, field, out, up);
        if (err != RJ_OK)
            return err;
    }
    return d->flexible ? rj_decoder_read_tagged(d, rows, out, up) : RJ_OK;
}

enum rj_err rj_walk_decode(struct decoder *d, void *message)
{
    rj_message_init(d->place.schema, message);
    return read_struct(d, d->place.schema->root, message, NULL);
}

enum rj_err rj_decode_prefix(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                             struct rj_arena *arena, void *message, size_t *consumed_len, struct rj_fault *fault)
{
    static const uint8_t nothing[1];
    const uint8_t *data = input.data != NULL ? input.data : nothing;
    struct decoder d = decoder_of(&(struct place){schema, version, fault}, data, (size_t)input.len, arena);
    size_t budget = FIXED_BUDGET_LEN + BUDGET_FACTOR * (size_t)input.len;
    d.arena_limit_len = arena->used_len > SIZE_MAX - budget ? SIZE_MAX : arena->used_len + budget;
    *consumed_len = 0;
    if (!rj_in_range(schema->versions, version)) {
        rj_message_init(schema, message);
        return rj_fault_set_number(&d.place, RJ_ERR_VERSION, 0, NULL, "version ", version, "a version of this message");
    }
    struct arena_mark mark = arena_mark(arena);
    d.place.fault = NULL;
    if (rj_plan_decode(&d, plan_of(schema, version), message)) {
        *consumed_len = offset(&d);
        return RJ_OK;
    }
    rj_arena_rewind(arena, &mark);
    d.place.fault = fault;
    d.at = data;
    enum rj_err err = rj_walk_decode(&d, message);
    *consumed_len = offset(&d);
    return err;
}

enum rj_err rj_decode(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                      struct rj_arena *arena, void *message, struct rj_fault *fault)
{
    size_t consumed_len;
    enum rj_err err = rj_decode_prefix(schema, version, input, arena, message, &consumed_len, fault);
    if (err != RJ_OK || consumed_len == (size_t)input.len)
        return err;
    struct place place = {schema, version, fault};
    return rj_fault_set_number(&place, RJ_ERR_TRAILING, consumed_len, NULL, "bytes left: ",
                               (int64_t)((size_t)input.len - consumed_len), "the end of the message");
}

int32_t rj_find_oddities(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                         struct rj_arena *arena, const struct rj_oddity_sink *sink)
{
    if (!rj_in_range(schema->versions, version) || input.data == NULL)
        return 0;
    struct arena_mark mark = arena_mark(arena);
    struct decoder d = decoder_of(&(struct place){schema, version, NULL}, input.data, (size_t)input.len, arena);
    d.oddities = sink;
    void *message = rj_arena_alloc(arena, schema->root->size);
    if (message != NULL && rj_walk_decode(&d, message) == RJ_OK && d.at != d.end)
        note(&d, RJ_RULE_ENC_TRAILING, offset(&d), NULL);
    rj_arena_rewind(arena, &mark);
    return d.oddity_count;
}
