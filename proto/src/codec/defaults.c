/* Default values: setting them and recognising them. */
#include "codec/wire.h"
#include "rejoin/codec.h"

static void set_number(const struct rj_schema_field *field, void *member)
{
    int64_t number = field->default_kind == RJ_DEFAULT_NUMBER ? field->default_number : 0;
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_BOOL: *(bool *)member = number != 0; break;
    case RJ_TYPE_INT8: *(int8_t *)member = (int8_t)number; break;
    case RJ_TYPE_INT16:
    case RJ_TYPE_UINT16: *(uint16_t *)member = (uint16_t)number; break;
    case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32: *(uint32_t *)member = (uint32_t)number; break;
    case RJ_TYPE_INT64: *(int64_t *)member = number; break;
    case RJ_TYPE_FLOAT64: *(double *)member = (double)number; break;
    case RJ_TYPE_STRING:
        *(struct rj_string *)member = field->default_kind == RJ_DEFAULT_NULL ? RJ_NULL_STRING : RJ_EMPTY_STRING;
        break;
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS:
        *(struct rj_bytes *)member = field->default_kind == RJ_DEFAULT_NULL ? RJ_NULL_BYTES : RJ_EMPTY_BYTES;
        break;
    case RJ_TYPE_UUID: memset(member, 0, sizeof(struct rj_uuid)); break;
    case RJ_TYPE_STRUCT: break;
    }
}

static void set_default(const struct rj_schema_field *field, void *member)
{
    if (field->flags & RJ_FIELD_ARRAY)
        *(struct any_array *)member = (struct any_array){NULL, field->default_kind == RJ_DEFAULT_NULL ? -1 : 0};
    else if (is_pointer(field))
        *(void **)member = NULL;
    else if (field->type == RJ_TYPE_STRUCT)
        rj_struct_init(field->element, member);
    else
        set_number(field, member);
}

void rj_struct_init(const struct rj_schema_struct *structure, void *element)
{
    memset(element, 0, structure->size);
    for (uint32_t i = 0; i < structure->field_count; i++)
        set_default(&structure->fields[i], member_of(element, &structure->fields[i]));
}

void rj_message_init(const struct rj_message_schema *schema, void *message) { rj_struct_init(schema->root, message); }

static bool struct_is_default(const struct rj_schema_struct *rows, const void *structure)
{
    if (rows->unknown_tags_offset != RJ_NO_UNKNOWN_TAGS) {
        const struct rj_unknown_tags *tags = const_unknown_tags_of(structure, rows);
        if (tags != NULL && tags->count > 0)
            return false;
    }
    for (uint32_t i = 0; i < rows->field_count; i++)
        if (!rj_is_default(&rows->fields[i], const_member_of(structure, &rows->fields[i])))
            return false;
    return true;
}

static bool number_is_default(const struct rj_schema_field *field, const void *member)
{
    int64_t number = field->default_kind == RJ_DEFAULT_NUMBER ? field->default_number : 0;
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_BOOL: return *(const bool *)member == (number != 0);
    case RJ_TYPE_INT8: return *(const int8_t *)member == number;
    case RJ_TYPE_INT16: return *(const int16_t *)member == number;
    case RJ_TYPE_UINT16: return *(const uint16_t *)member == number;
    case RJ_TYPE_INT32: return *(const int32_t *)member == number;
    case RJ_TYPE_UINT32: return *(const uint32_t *)member == number;
    case RJ_TYPE_INT64: return *(const int64_t *)member == number;
    case RJ_TYPE_FLOAT64: return *(const double *)member == (double)number;
    case RJ_TYPE_UUID: {
        static const struct rj_uuid zero;
        return rj_uuid_equal(member, &zero);
    }
    case RJ_TYPE_STRING:
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS:
    case RJ_TYPE_STRUCT: break;
    }
    return false;
}

bool rj_is_default(const struct rj_schema_field *field, const void *member)
{
    bool null = field->default_kind == RJ_DEFAULT_NULL;
    if (field->flags & RJ_FIELD_ARRAY) {
        int32_t count = ((const struct any_array *)member)->count;
        return null ? count < 0 : count == 0;
    }
    if (is_pointer(field)) {
        const void *inner = *(void *const *)member;
        return null ? inner == NULL : inner != NULL && struct_is_default(field->element, inner);
    }
    if (field->type == RJ_TYPE_STRUCT)
        return struct_is_default(field->element, member);
    if (field->type == RJ_TYPE_STRING || field->type == RJ_TYPE_BYTES || field->type == RJ_TYPE_RECORDS) {
        const struct rj_bytes *bytes = member; /* a string has the same shape */
        return null ? bytes->data == NULL : bytes->data != NULL && bytes->len == 0;
    }
    return number_is_default(field, member);
}
