/* Typed messages -> JSON, as Kafka's own *JsonConverter classes write it. */
#include "codec/json.h"

#include "codec/decimal.h"
#include "codec/path.h"
#include "codec/wire.h"

static void put(const struct rj_writer *writer, const char *text) { writer->write(writer->context, text, strlen(text)); }

static void put_number(const struct rj_writer *writer, int64_t number)
{
    char digits[24];
    struct text text = text_in(digits, sizeof(digits));
    rj_text_add_number(&text, number);
    writer->write(writer->context, digits, text.len);
}

/* How many bytes at at form one character of UTF-8; negative: that many bytes are no character, and stand for one
 * U+FFFD (the longest part that could have begun one, as Java's decoder counts). */
static int character_len(const uint8_t *at, const uint8_t *end)
{
    if (*at < 0x80)
        return 1;
    int len = *at >= 0xc2 && *at <= 0xdf ? 2 : *at >= 0xe0 && *at <= 0xef ? 3 : *at >= 0xf0 && *at <= 0xf4 ? 4 : 0;
    if (len == 0)
        return -1;
    uint8_t low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
    uint8_t high = *at == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < len; i++) {
        if (at + i == end || at[i] < low || at[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return *at == 0xed && at[1] >= 0xa0 ? -len : len; /* half a surrogate pair */
}

bool rj_is_utf8(struct rj_bytes bytes)
{
    const uint8_t *at = bytes.data, *end = at + bytes.len;
    for (int len; at < end; at += len)
        if ((len = character_len(at, end)) < 0)
            return false;
    return true;
}

static void put_escape(const struct rj_writer *writer, uint8_t c)
{
    static const char names[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\", hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < sizeof(names) - 1; i++)
        if (c == (uint8_t)names[i]) {
            writer->write(writer->context, (char[2]){'\\', letters[i]}, 2);
            return;
        }
    writer->write(writer->context, (char[6]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

static void put_string(const struct rj_writer *writer, struct rj_string string)
{
    const uint8_t *at = (const uint8_t *)string.data, *end = at + string.len, *run = at;
    put(writer, "\"");
    while (at < end) {
        int len = character_len(at, end);
        if (len > 0 && *at >= 0x20 && *at != '"' && *at != '\\') {
            at += len;
            continue;
        }
        writer->write(writer->context, (const char *)run, (size_t)(at - run));
        if (len < 0)
            put(writer, "\xef\xbf\xbd");
        else
            put_escape(writer, *at);
        at += len < 0 ? -len : len;
        run = at;
    }
    writer->write(writer->context, (const char *)run, (size_t)(at - run));
    put(writer, "\"");
}

static void put_base64(const struct rj_writer *writer, struct rj_bytes bytes, const char *last_two, bool pad)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char out[5] = "";
    put(writer, "\"");
    for (int32_t i = 0; i < bytes.len; i += 3) {
        int32_t len = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t three = (uint32_t)bytes.data[i] << 16 | (uint32_t)(len > 1 ? bytes.data[i + 1] : 0) << 8 |
                         (len > 2 ? bytes.data[i + 2] : 0);
        for (int j = 0; j < 4; j++, three <<= 6) {
            uint32_t six = three >> 18 & 63;
            out[j] = j > len ? '=' : six < 62 ? letters[six] : last_two[six - 62];
        }
        writer->write(writer->context, out, pad ? 4 : (size_t)len + 1);
    }
    put(writer, "\"");
}

static void put_bytes(const struct rj_writer *writer, struct rj_bytes bytes) { put_base64(writer, bytes, "+/", true); }

static void put_double(const struct rj_writer *writer, double value)
{
    char out[DECIMAL_LEN_MAX];
    size_t len = rj_decimal_print(value, out);
    bool word = out[len - 1] == 'N' || out[len - 1] == 'y';
    put(writer, word ? "\"" : "");
    writer->write(writer->context, out, len);
    put(writer, word ? "\"" : "");
}

static void put_unknown_tags(const struct rj_writer *writer, const struct rj_unknown_tags *tags, bool first)
{
    put(writer, first ? "\"" UNKNOWN_TAGS_NAME "\":[" : ",\"" UNKNOWN_TAGS_NAME "\":[");
    for (int32_t i = 0; i < tags->count; i++) {
        put(writer, i > 0 ? ",{\"tag\":" : "{\"tag\":");
        put_number(writer, tags->items[i].tag);
        put(writer, ",\"value\":");
        put_bytes(writer, tags->items[i].value);
        put(writer, "}");
    }
    put(writer, "]");
}

static void put_struct(const struct rj_writer *writer, const struct rj_schema_struct *rows, int16_t version,
                       const void *structure)
{
    bool first = true;
    put(writer, "{");
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        const void *member = const_member_of(structure, field);
        if (!rj_in_range(field->versions, version) || (is_tagged(field, version) && rj_is_default(field, member)))
            continue;
        put(writer, first ? "\"" : ",\"");
        put(writer, field->name);
        put(writer, "\":");
        rj_json_print_field(field, version, member, writer);
        first = false;
    }
    if (rows->unknown_tags_offset != RJ_NO_UNKNOWN_TAGS) {
        const struct rj_unknown_tags *tags = const_unknown_tags_of(structure, rows);
        if (tags != NULL && tags->count > 0)
            put_unknown_tags(writer, tags, first);
    }
    put(writer, "}");
}

void rj_json_print_element(const struct rj_schema_field *field, int16_t version, const void *element,
                           const struct rj_writer *writer)
{
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_BOOL: put(writer, *(const bool *)element ? "true" : "false"); break;
    case RJ_TYPE_INT8: put_number(writer, *(const int8_t *)element); break;
    case RJ_TYPE_INT16: put_number(writer, *(const int16_t *)element); break;
    case RJ_TYPE_UINT16: put_number(writer, *(const uint16_t *)element); break;
    case RJ_TYPE_INT32: put_number(writer, *(const int32_t *)element); break;
    case RJ_TYPE_UINT32: put_number(writer, *(const uint32_t *)element); break;
    case RJ_TYPE_INT64: put_number(writer, *(const int64_t *)element); break;
    case RJ_TYPE_FLOAT64: put_double(writer, *(const double *)element); break;
    case RJ_TYPE_UUID:
        put_base64(writer, (struct rj_bytes){((const struct rj_uuid *)element)->bytes, 16}, "-_", false);
        break;
    case RJ_TYPE_STRING:
        if (((const struct rj_string *)element)->data == NULL)
            put(writer, "null");
        else
            put_string(writer, *(const struct rj_string *)element);
        break;
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS:
        if (((const struct rj_bytes *)element)->data == NULL)
            put(writer, "null");
        else
            put_bytes(writer, *(const struct rj_bytes *)element);
        break;
    case RJ_TYPE_STRUCT: put_struct(writer, field->element, version, element); break;
    }
}

void rj_json_print_field(const struct rj_schema_field *field, int16_t version, const void *member,
                         const struct rj_writer *writer)
{
    if (is_pointer(field)) {
        const void *element = *(void *const *)member;
        if (element == NULL)
            put(writer, "null");
        else
            put_struct(writer, field->element, version, element);
        return;
    }
    if (!(field->flags & RJ_FIELD_ARRAY)) {
        rj_json_print_element(field, version, member, writer);
        return;
    }
    const struct any_array *array = member;
    if (array->count < 0) {
        put(writer, "null");
        return;
    }
    put(writer, "[");
    for (int32_t i = 0; i < array->count; i++) {
        if (i > 0)
            put(writer, ",");
        rj_json_print_element(field, version, (const char *)array->items + (size_t)i * memory_size(field), writer);
    }
    put(writer, "]");
}

void rj_print_json(const struct rj_message_schema *schema, int16_t version, const void *message,
                   const struct rj_writer *writer)
{
    put_struct(writer, schema->root, version, message);
}
