/* JSON -> typed messages. The reader is led by the schema: it never nests deeper than the message does. */
#include "codec/json.h"

#include "codec/decimal.h"
#include "codec/path.h"
#include "codec/wire.h"

struct parser {
    const char *start, *at, *end;
    struct rj_arena *arena;
    struct place place;
};

static enum rj_err parse_struct(struct parser *p, const struct rj_schema_struct *rows, void *out,
                                const struct path *up);

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static enum rj_err fail_err(const struct parser *p, enum rj_err err, const struct path *path, const char *expected)
{
    char found[24] = "end of input";
    if (p->at < p->end) {
        struct text text = text_in(found, sizeof(found));
        char piece[13];
        size_t len = (size_t)(p->end - p->at) < sizeof(piece) - 1 ? (size_t)(p->end - p->at) : sizeof(piece) - 1;
        memcpy(piece, p->at, len);
        piece[len] = '\0';
        rj_text_add(&text, piece);
        for (size_t i = 0; i < text.len; i++)
            if ((uint8_t)found[i] < 0x20 || (uint8_t)found[i] >= 0x7f)
                found[i] = '?';
    }
    return rj_fault_set(&p->place, err, (size_t)(p->at - p->start), path, found, expected);
}

static enum rj_err fail(const struct parser *p, const struct path *path, const char *expected)
{
    return fail_err(p, RJ_ERR_JSON, path, expected);
}

static enum rj_err fail_memory(const struct parser *p, const struct path *path)
{
    return fail_err(p, RJ_ERR_MEMORY, path, "memory from the allocator");
}

/* Steps over the character if it is the next one. */
static bool accept(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool accept_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);
    skip_blanks(p);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return false;
    p->at += len;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The four digits behind \u; -1: there are none. */
static int32_t hex_four(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(leads[len] | c);
    return len;
}

/* One escape, *from behind its backslash. A surrogate without its other half becomes U+FFFD, as bytes that Java
 * writes would be. Returns how much was written; 0: no escape of JSON. */
static size_t unescape(const char **from, const char *end, char *out)
{
    static const char letters[] = "btnfr\"\\/", values[] = "\b\t\n\f\r\"\\/";
    const char *at = *from;
    for (size_t i = 0; i < sizeof(letters) - 1; i++)
        if (*at == letters[i]) {
            *out = values[i];
            *from = at + 1;
            return 1;
        }
    int32_t high = *at == 'u' ? hex_four(at + 1, end) : -1;
    if (high < 0)
        return 0;
    *from = at += 5;
    if (high < 0xd800 || high > 0xdfff)
        return put_utf8(out, (uint32_t)high);
    int32_t low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex_four(at + 2, end) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return put_utf8(out, 0xfffd);
    *from = at + 6;
    return put_utf8(out, 0x10000 + ((uint32_t)(high - 0xd800) << 10 | (uint32_t)(low - 0xdc00)));
}

static enum rj_err parse_string(struct parser *p, struct rj_string *out, const struct path *path)
{
    if (!accept(p, '"'))
        return fail(p, path, "a string");
    const char *from = p->at;
    bool escaped = false;
    for (; p->at < p->end && *p->at != '"'; p->at++) {
        if ((uint8_t)*p->at < 0x20)
            return fail(p, path, "no control character in a string");
        if (*p->at == '\\') {
            escaped = true;
            if (++p->at == p->end)
                break;
        }
    }
    if (p->at == p->end || p->at - from > INT32_MAX)
        return fail(p, path, "the end of the string");
    const char *end = p->at++;
    *out = (struct rj_string){from, (int32_t)(end - from)};
    if (!escaped)
        return RJ_OK;
    char *text = rj_arena_alloc(p->arena, (size_t)(end - from)), *at = text;
    if (text == NULL)
        return fail_memory(p, path);
    while (from < end) {
        if (*from != '\\') {
            *at++ = *from++;
            continue;
        }
        from++;
        size_t len = unescape(&from, end, at);
        if (len == 0) {
            p->at = from - 1;
            return fail(p, path, "an escape of JSON");
        }
        at += len;
    }
    *out = (struct rj_string){text, (int32_t)(at - text)};
    return RJ_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Both alphabets, padding optional. Returns how much was written, -1: not base64. */
static int32_t decode_base64(struct rj_string text, uint8_t *out)
{
    uint32_t bits = 0;
    int32_t len = 0, digits = text.len;
    while (digits > 0 && text.data[digits - 1] == '=' && text.len - digits < 2)
        digits--;
    for (int32_t i = 0; i < digits; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0)
            out[len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return digits % 4 == 1 ? -1 : len;
}

static enum rj_err parse_bytes(struct parser *p, struct rj_bytes *out, const struct path *path)
{
    struct rj_string text;
    enum rj_err err = parse_string(p, &text, path);
    if (err != RJ_OK)
        return err;
    uint8_t *data = rj_arena_alloc(p->arena, (size_t)text.len);
    if (data == NULL)
        return fail_memory(p, path);
    int32_t len = decode_base64(text, data);
    *out = (struct rj_bytes){data, len};
    return len < 0 ? fail(p, path, "base64") : RJ_OK;
}

static enum rj_err parse_uuid(struct parser *p, struct rj_uuid *out, const struct path *path)
{
    struct rj_string text;
    uint8_t data[24];
    enum rj_err err = parse_string(p, &text, path);
    if (err != RJ_OK)
        return err;
    if (text.len > 24 || decode_base64(text, data) != 16)
        return fail(p, path, "a UUID of 22 base64 digits");
    memcpy(out->bytes, data, 16);
    return RJ_OK;
}

static struct rj_string number_token(struct parser *p)
{
    skip_blanks(p);
    const char *from = p->at;
    while (p->at < p->end && ((*p->at >= '0' && *p->at <= '9') || *p->at == '-' || *p->at == '+' || *p->at == '.' ||
                              *p->at == 'e' || *p->at == 'E'))
        p->at++;
    return (struct rj_string){from, (int32_t)(p->at - from)};
}

static enum rj_err parse_double(struct parser *p, double *out, const struct path *path)
{
    static const struct { const char *word; uint64_t bits; } words[] = {
        {"\"NaN\"", UINT64_C(0x7ff8) << 48}, {"\"Infinity\"", UINT64_C(0x7ff0) << 48},
        {"\"-Infinity\"", UINT64_C(0xfff0) << 48}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (accept_word(p, words[i].word)) {
            memcpy(out, &words[i].bits, sizeof(*out));
            return RJ_OK;
        }
    struct rj_string token = number_token(p);
    if (rj_decimal_parse(token.data, (size_t)token.len, out))
        return RJ_OK;
    p->at = token.data;
    return fail(p, path, "a number");
}

struct limits { int64_t low, high; const char *expected; };

static enum rj_err parse_integer(struct parser *p, struct limits limits, int64_t *out, const struct path *path)
{
    struct rj_string token = number_token(p);
    bool negative = token.len > 0 && token.data[0] == '-', ok = token.len > negative;
    uint64_t value = 0, high = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    for (int32_t i = negative; ok && i < token.len; i++) {
        uint64_t digit = (uint64_t)(token.data[i] - '0');
        ok = digit <= 9 && value <= (high - digit) / 10;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    if (ok && *out >= limits.low && *out <= limits.high)
        return RJ_OK;
    p->at = token.data;
    return fail(p, path, limits.expected);
}

static enum rj_err parse_number(struct parser *p, enum rj_type type, void *out, const struct path *path)
{
    static const struct limits limits[] = {
        [RJ_TYPE_INT8] = {INT8_MIN, INT8_MAX, "an int8"}, [RJ_TYPE_INT16] = {INT16_MIN, INT16_MAX, "an int16"},
        [RJ_TYPE_UINT16] = {0, UINT16_MAX, "a uint16"}, [RJ_TYPE_INT32] = {INT32_MIN, INT32_MAX, "an int32"},
        [RJ_TYPE_UINT32] = {0, UINT32_MAX, "a uint32"}, [RJ_TYPE_INT64] = {INT64_MIN, INT64_MAX, "an int64"},
    };
    int64_t number;
    enum rj_err err = parse_integer(p, limits[type], &number, path);
    if (err != RJ_OK)
        return err;
    if (type == RJ_TYPE_INT8)
        *(int8_t *)out = (int8_t)number;
    else if (type == RJ_TYPE_INT16 || type == RJ_TYPE_UINT16)
        *(uint16_t *)out = (uint16_t)number;
    else if (type == RJ_TYPE_INT32 || type == RJ_TYPE_UINT32)
        *(uint32_t *)out = (uint32_t)number;
    else
        *(int64_t *)out = number;
    return RJ_OK;
}

static enum rj_err parse_bool(struct parser *p, bool *out, const struct path *path)
{
    *out = accept_word(p, "true");
    return *out || accept_word(p, "false") ? RJ_OK : fail(p, path, "true or false");
}

static enum rj_err parse_element(struct parser *p, const struct rj_schema_field *field, void *out,
                                 const struct path *path)
{
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_BOOL: return parse_bool(p, out, path);
    case RJ_TYPE_FLOAT64: return parse_double(p, out, path);
    case RJ_TYPE_STRING: return parse_string(p, out, path);
    case RJ_TYPE_BYTES:
    case RJ_TYPE_RECORDS: return parse_bytes(p, out, path);
    case RJ_TYPE_UUID: return parse_uuid(p, out, path);
    case RJ_TYPE_STRUCT: rj_struct_init(field->element, out); return parse_struct(p, field->element, out, path);
    case RJ_TYPE_INT8:
    case RJ_TYPE_INT16:
    case RJ_TYPE_UINT16:
    case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32:
    case RJ_TYPE_INT64: break;
    }
    return parse_number(p, field->type, out, path);
}

/* Elements of the array whose '[' was just read: counts commas outside of strings and inner brackets. */
static size_t count_elements(const struct parser *p)
{
    const char *at = p->at;
    size_t commas = 0, depth = 0;
    bool any = false;
    for (; at < p->end; at++) {
        if (depth == 0 && *at == ']')
            break;
        any = any || (*at != ' ' && *at != '\t' && *at != '\n' && *at != '\r');
        commas += depth == 0 && *at == ',';
        depth += *at == '[' || *at == '{';
        depth -= (*at == ']' || *at == '}') && depth > 0;
        if (*at == '"')
            for (at++; at < p->end && *at != '"'; at++)
                at += *at == '\\' && at + 1 < p->end;
        if (at == p->end)
            break;
    }
    return any ? commas + 1 : 0;
}

static enum rj_err parse_array(struct parser *p, const struct rj_schema_field *field, struct any_array *out,
                               const struct path *path)
{
    if (!accept(p, '['))
        return fail(p, path, "an array");
    size_t count = count_elements(p), size = memory_size(field);
    out->count = 0;
    out->items = count > INT32_MAX ? NULL : rj_arena_alloc(p->arena, count * size);
    if (out->items == NULL)
        return fail_memory(p, path);
    struct path step = {path->up, path->name, 0};
    for (; (size_t)out->count < count; out->count++) {
        step.index = out->count;
        if (out->count > 0 && !accept(p, ','))
            return fail(p, &step, "',' or ']'");
        enum rj_err err = parse_element(p, field, (char *)out->items + (size_t)out->count * size, &step);
        if (err != RJ_OK)
            return err;
    }
    return accept(p, ']') ? RJ_OK : fail(p, path, "',' or ']'");
}

static enum rj_err parse_null(struct parser *p, const struct rj_schema_field *field, void *member,
                              const struct path *path)
{
    if (!rj_in_range(field->nullable, p->place.version)) {
        p->at -= strlen("null");
        return fail_err(p, RJ_ERR_NULL, path, "a value: this version allows no null");
    }
    if (field->flags & RJ_FIELD_ARRAY)
        *(struct any_array *)member = (struct any_array){NULL, -1};
    else if (field->type == RJ_TYPE_STRUCT)
        *(void **)member = NULL;
    else
        *(struct rj_bytes *)member = RJ_NULL_BYTES;
    return RJ_OK;
}

static enum rj_err parse_field(struct parser *p, const struct rj_schema_field *field, void *structure,
                               const struct path *up)
{
    struct path path = {up, field->name, -1};
    void *member = member_of(structure, field);
    if (accept_word(p, "null"))
        return parse_null(p, field, member, &path);
    if (field->flags & RJ_FIELD_ARRAY)
        return parse_array(p, field, member, &path);
    if (is_pointer(field)) {
        void *inner = rj_arena_alloc(p->arena, field->element->size);
        if (inner == NULL)
            return fail_memory(p, &path);
        *(void **)member = inner;
        return parse_element(p, field, inner, &path);
    }
    return parse_element(p, field, member, &path);
}

/* {"tag":9,"value":"base64"} */
static enum rj_err parse_tag(struct parser *p, struct rj_unknown_tag *out, const struct path *path)
{
    int64_t tag;
    bool ok = accept(p, '{') && accept_word(p, "\"tag\"") && accept(p, ':');
    if (!ok)
        return fail(p, path, "{\"tag\":NUMBER,\"value\":\"BASE64\"}");
    enum rj_err err = parse_integer(p, (struct limits){0, UINT32_MAX, "a uint32"}, &tag, path);
    if (err != RJ_OK)
        return err;
    out->tag = (uint32_t)tag;
    if (!accept(p, ',') || !accept_word(p, "\"value\"") || !accept(p, ':'))
        return fail(p, path, "\"value\":\"BASE64\"");
    err = parse_bytes(p, &out->value, path);
    return err == RJ_OK && !accept(p, '}') ? fail(p, path, "'}'") : err;
}

static enum rj_err parse_unknown_tags(struct parser *p, struct rj_unknown_tags **out, const struct path *up)
{
    struct path path = {up, UNKNOWN_TAGS_NAME, -1};
    if (!accept(p, '['))
        return fail(p, &path, "an array");
    size_t count = count_elements(p);
    struct rj_unknown_tags *tags =
        count > INT32_MAX ? NULL : rj_arena_alloc(p->arena, sizeof(*tags) + count * sizeof(*tags->items));
    if (tags == NULL)
        return fail_memory(p, &path);
    *tags = (struct rj_unknown_tags){(struct rj_unknown_tag *)(void *)(tags + 1), 0};
    *out = tags;
    for (; (size_t)tags->count < count; tags->count++) {
        path.index = tags->count;
        if (tags->count > 0 && !accept(p, ','))
            return fail(p, &path, "',' or ']'");
        enum rj_err err = parse_tag(p, &tags->items[tags->count], &path);
        if (err != RJ_OK)
            return err;
    }
    return accept(p, ']') ? RJ_OK : fail(p, &path, "',' or ']'");
}

static const struct rj_schema_field *field_by_name(const struct rj_schema_struct *rows, int16_t version,
                                                   struct rj_string name)
{
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const char *own = rows->fields[i].name;
        if (rj_in_range(rows->fields[i].versions, version) &&
            rj_string_equal(name, (struct rj_string){own, (int32_t)strlen(own)}))
            return &rows->fields[i];
    }
    return NULL;
}

static enum rj_err parse_member(struct parser *p, const struct rj_schema_struct *rows, void *out,
                                const struct path *up)
{
    struct rj_string name;
    skip_blanks(p);
    const char *at = p->at;
    enum rj_err err = parse_string(p, &name, up);
    if (err != RJ_OK)
        return err;
    const struct rj_schema_field *field = field_by_name(rows, p->place.version, name);
    bool tags = rows->unknown_tags_offset != RJ_NO_UNKNOWN_TAGS && rj_string_equal(name, RJ_STRING(UNKNOWN_TAGS_NAME));
    if (field == NULL && !tags) {
        p->at = at;
        return fail(p, up, "a field of this version");
    }
    if (!accept(p, ':'))
        return fail(p, up, "':'");
    return tags ? parse_unknown_tags(p, unknown_tags_of(out, rows), up) : parse_field(p, field, out, up);
}

/* Nullable structures whose default is not null. */
static enum rj_err set_pointers(struct parser *p, const struct rj_schema_struct *rows, void *out,
                                const struct path *up)
{
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        if (!is_pointer(field) || field->default_kind == RJ_DEFAULT_NULL)
            continue;
        void *inner = rj_arena_alloc(p->arena, field->element->size);
        if (inner == NULL)
            return fail_memory(p, up);
        rj_struct_init(field->element, inner);
        *(void **)member_of(out, field) = inner;
    }
    return RJ_OK;
}

static enum rj_err parse_struct(struct parser *p, const struct rj_schema_struct *rows, void *out,
                                const struct path *up)
{
    if (!accept(p, '{'))
        return fail(p, up, "an object");
    if (set_pointers(p, rows, out, up) != RJ_OK)
        return RJ_ERR_MEMORY;
    if (accept(p, '}'))
        return RJ_OK;
    do {
        enum rj_err err = parse_member(p, rows, out, up);
        if (err != RJ_OK)
            return err;
    } while (accept(p, ','));
    return accept(p, '}') ? RJ_OK : fail(p, up, "',' or '}'");
}

enum rj_err rj_parse_json(const struct rj_message_schema *schema, int16_t version, struct rj_string text,
                          struct rj_arena *arena, void *message, struct rj_fault *fault)
{
    const char *data = text.data != NULL ? text.data : "";
    struct parser p = {data, data, data + text.len, arena, {schema, version, fault}};
    rj_message_init(schema, message);
    if (!rj_in_range(schema->versions, version))
        return rj_fault_set_number(&p.place, RJ_ERR_VERSION, 0, NULL, "version ", version, "a version of this message");
    enum rj_err err = parse_struct(&p, schema->root, message, NULL);
    skip_blanks(&p);
    return err == RJ_OK && p.at != p.end ? fail(&p, NULL, "the end of the text") : err;
}
