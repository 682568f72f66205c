#include "lib/messages.h"

#include "lib/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- What a message holds ------------------------------------------------------------------------------------- */

static bool is_utf8(const uint8_t *text, int32_t len)
{
    for (int32_t i = 0; i < len;) {
        uint8_t first = text[i];
        int32_t more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 :
                       first >= 0xf0 && first < 0xf5 ? 3 : -1;
        if (more < 0 || len - i <= more)
            return false;
        for (int32_t j = 1; j <= more; j++)
            if ((text[i + j] & 0xc0) != 0x80)
                return false;
        uint8_t second = more > 0 ? text[i + 1] : 0;
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
            (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90))
            return false;
        i += more + 1;
    }
    return true;
}

static void look_at_struct(const struct rj_schema_struct *structure, int16_t version, const uint8_t *element,
                           struct fuzz_traits *traits);

static void look_at_value(const struct rj_schema_field *field, int16_t version, const void *value,
                          struct fuzz_traits *traits)
{
    double number;
    const struct rj_string *text = value;
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_STRING:
        if (text->data != NULL && !is_utf8((const uint8_t *)text->data, text->len))
            traits->has_bad_text = true;
        break;
    case RJ_TYPE_FLOAT64:
        memcpy(&number, value, sizeof(number));
        if (!isfinite(number))
            traits->has_odd_number = true;
        break;
    case RJ_TYPE_STRUCT:
        look_at_struct(field->element, version, value, traits);
        break;
    case RJ_TYPE_BOOL: case RJ_TYPE_INT8: case RJ_TYPE_INT16: case RJ_TYPE_UINT16: case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32: case RJ_TYPE_INT64: case RJ_TYPE_BYTES: case RJ_TYPE_RECORDS: case RJ_TYPE_UUID:
        break;
    }
}

static size_t value_size(const struct rj_schema_field *field)
{
    switch ((enum rj_type)field->type) {
    case RJ_TYPE_STRING: return sizeof(struct rj_string);
    case RJ_TYPE_FLOAT64: return sizeof(double);
    case RJ_TYPE_STRUCT: return field->element->size;
    case RJ_TYPE_BOOL: case RJ_TYPE_INT8: case RJ_TYPE_INT16: case RJ_TYPE_UINT16: case RJ_TYPE_INT32:
    case RJ_TYPE_UINT32: case RJ_TYPE_INT64: case RJ_TYPE_BYTES: case RJ_TYPE_RECORDS: case RJ_TYPE_UUID:
        break;
    }
    return 0; /* nothing to look at */
}

/* All arrays have one layout: the items, then their count. */
struct any_array { const uint8_t *items; int32_t count; };

static void look_at_struct(const struct rj_schema_struct *structure, int16_t version, const uint8_t *element,
                           struct fuzz_traits *traits)
{
    if (structure->unknown_tags_offset != RJ_NO_UNKNOWN_TAGS) {
        const struct rj_unknown_tags *tags;
        memcpy(&tags, element + structure->unknown_tags_offset, sizeof(void *));
        if (tags != NULL && tags->count > 0)
            traits->has_unknown_tags = true;
    }
    for (uint32_t i = 0; i < structure->field_count; i++) {
        const struct rj_schema_field *field = &structure->fields[i];
        if (!rj_in_range(field->versions, version))
            continue;
        const uint8_t *member = element + field->offset;
        if (field->flags & RJ_FIELD_ARRAY) {
            struct any_array array;
            memcpy(&array, member, sizeof(array));
            size_t size = value_size(field);
            for (int32_t j = 0; size > 0 && j < array.count; j++)
                look_at_value(field, version, array.items + (size_t)j * size, traits);
        } else if (field->type == RJ_TYPE_STRUCT && field->nullable.low <= field->nullable.high) {
            const uint8_t *pointed;
            memcpy(&pointed, member, sizeof(pointed));
            if (pointed != NULL)
                look_at_struct(field->element, version, pointed, traits);
        } else {
            look_at_value(field, version, member, traits);
        }
    }
}

struct fuzz_traits fuzz_message_traits(const struct rj_message_schema *schema, int16_t version, const void *message)
{
    struct fuzz_traits traits = {false, false, false};
    look_at_struct(schema->root, version, message, &traits);
    return traits;
}

int16_t fuzz_pick_version(const struct rj_message_schema *schema, uint8_t byte)
{
    int16_t low = schema->versions.low, high = schema->versions.high;
    if (byte >= low && byte <= high)
        return byte;
    return (int16_t)(low + byte % (high - low + 1));
}

/* ---- Oracles --------------------------------------------------------------------------------------------------- */

static struct fuzz_text print_message(const struct rj_message_schema *schema, int16_t version, const void *message)
{
    struct fuzz_text text = {NULL, 0, 0};
    struct rj_writer writer = fuzz_text_writer(&text);
    fuzz_text_add(&text, "", 0);
    rj_print_json(schema, version, message, &writer);
    return text;
}

/* A fault says what and where, within the input, in text that ends. */
static void check_fault(enum rj_err err, const struct rj_fault *fault, size_t input_len)
{
    FUZZ_REQUIRE(err > RJ_OK && err < RJ_ERR_COUNT, "fault-code", "error %d", (int)err);
    FUZZ_REQUIRE(fault->err == err, "fault-code", "returned %s, the fault says %d", rj_err_name(err), (int)fault->err);
    FUZZ_REQUIRE(fault->offset <= input_len, "fault-offset", "offset %zu of %zu", fault->offset, input_len);
    FUZZ_REQUIRE(memchr(fault->field, 0, sizeof(fault->field)) && memchr(fault->found, 0, sizeof(fault->found)) &&
                 memchr(fault->expected, 0, sizeof(fault->expected)), "fault-text", "a text that does not end");
}

/* Kafka reads unknown tags in any order but writes none out of order, and so does the codec: such a message can be read
 * and printed only. */
static bool can_be_encoded(const struct rj_message_schema *schema, int16_t version, const void *message)
{
    size_t len;
    return !fuzz_message_traits(schema, version, message).has_unknown_tags ||
           rj_encoded_len(schema, version, message, &len, NULL) != RJ_ERR_TAG;
}

/* Encodes into a buffer of exactly the announced length; the caller frees. */
static struct rj_bytes encode_exactly(const struct rj_message_schema *schema, int16_t version, const void *message)
{
    struct rj_fault fault;
    size_t announced = 0, written = 0;
    enum rj_err err = rj_encoded_len(schema, version, message, &announced, &fault);
    FUZZ_REQUIRE(err == RJ_OK, "encode", "%s v%d: a decoded message cannot be encoded: %s at %s", schema->name, version,
                 rj_err_name(err), fault.field);
    uint8_t *out = malloc(announced ? announced : 1);
    if (out == NULL)
        abort();
    err = rj_encode(schema, version, message, out, announced, &written, &fault);
    FUZZ_REQUIRE(err == RJ_OK && written == announced, "encode-len", "%s v%d: %s, %zu bytes where %zu were announced",
                 schema->name, version, rj_err_name(err), written, announced);
    if (announced > 0) {
        uint8_t *shorter = malloc(announced);
        err = rj_encode(schema, version, message, shorter, announced - 1, &written, &fault);
        FUZZ_REQUIRE(err == RJ_ERR_SPACE, "encode-space", "%s v%d: %s with a byte too few", schema->name, version,
                     rj_err_name(err));
        free(shorter);
    }
    return (struct rj_bytes){out, (int32_t)announced};
}

static void *new_message(const struct rj_message_schema *schema)
{
    void *message = malloc(schema->root->size ? schema->root->size : 1);
    if (message == NULL)
        abort();
    memset(message, 0xa5, schema->root->size);
    return message;
}

static void require_expected_oddity(void *context, const struct rj_oddity *oddity)
{
    const struct rj_message_schema *schema = context;
    FUZZ_REQUIRE(oddity->rule == RJ_RULE_ENC_UTF8 || oddity->rule == RJ_RULE_ENC_TAG_UNKNOWN, "own-oddity",
                 "%s: own encoding breaks %s at byte %zu, %s", schema->name, rj_rule_row(oddity->rule)->id,
                 oddity->offset, oddity->field);
}

/* Nothing that Kafka's writers would not make, but for what the message holds: bytes that are not UTF-8, unknown tags.
 * Decoding alone would not see it: a reader takes a wrong size of a tagged field. */
static void check_oddities(const struct rj_message_schema *schema, int16_t version, struct rj_bytes encoded,
                           struct rj_arena *arena)
{
    struct rj_oddity_sink sink = {require_expected_oddity, (void *)(uintptr_t)schema};
    rj_find_oddities(schema, version, encoded, arena, &sink);
}

/* Decoding what was encoded gives the same message, and the same bytes again. */
static void check_second_round(const struct rj_message_schema *schema, int16_t version, const void *message,
                               struct rj_bytes encoded)
{
    struct fuzz_heap heap;
    struct rj_arena arena;
    struct rj_fault fault;
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    void *again = new_message(schema);
    enum rj_err err = rj_decode(schema, version, encoded, &arena, again, &fault);
    FUZZ_REQUIRE(err == RJ_OK, "round-trip", "%s v%d: own encoding refused: %s at %s, offset %zu", schema->name, version,
                 rj_err_name(err), fault.field, fault.offset);
    check_oddities(schema, version, encoded, &arena);
    struct rj_bytes twice = encode_exactly(schema, version, again);
    FUZZ_REQUIRE(rj_bytes_equal(encoded, twice), "round-trip", "%s v%d: encoding is not stable", schema->name, version);
    if (!fuzz_message_traits(schema, version, message).has_odd_number) {
        int differences = rj_compare(schema, version, message, again, false, NULL, NULL);
        FUZZ_REQUIRE(differences == 0, "compare", "%s v%d: %d differences after a round trip", schema->name, version,
                     differences);
    }
    free((void *)(uintptr_t)twice.data);
    free(again);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}

/* The copy outlives what it was copied from. */
static struct rj_bytes encode_copy(const struct rj_message_schema *schema, int16_t version, const void *message,
                                   struct rj_arena *arena, void *copy)
{
    enum rj_err err = rj_copy_message(schema, message, arena, copy);
    FUZZ_REQUIRE(err == RJ_OK, "copy", "%s v%d: %s", schema->name, version, rj_err_name(err));
    return encode_exactly(schema, version, copy);
}

/* Printing, parsing and printing again gives the same text; the parsed message has the same bytes, unknown tags apart. */
static void check_json(const struct rj_message_schema *schema, int16_t version, const void *message,
                       struct rj_bytes encoded)
{
    struct fuzz_traits traits = fuzz_message_traits(schema, version, message);
    struct fuzz_text text = print_message(schema, version, message);
    if (traits.has_bad_text || traits.has_odd_number) {
        free(text.data);
        return;
    }
    FUZZ_REQUIRE(is_utf8((const uint8_t *)text.data, (int32_t)text.len), "json-utf8", "%s v%d", schema->name, version);
    struct fuzz_heap heap;
    struct rj_arena arena;
    struct rj_fault fault;
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    void *parsed = new_message(schema);
    struct rj_string view = {text.data, (int32_t)text.len};
    enum rj_err err = rj_parse_json(schema, version, view, &arena, parsed, &fault);
    FUZZ_REQUIRE(err == RJ_OK, "json-parse", "%s v%d: own JSON refused: %s at %s, offset %zu: found %s, expected %s",
                 schema->name, version, rj_err_name(err), fault.field, fault.offset, fault.found, fault.expected);
    struct rj_bytes from_json = encode_exactly(schema, version, parsed);
    FUZZ_REQUIRE(traits.has_unknown_tags || rj_bytes_equal(from_json, encoded), "json-round-trip",
                 "%s v%d: other bytes after JSON: %.300s", schema->name, version, text.data);
    struct fuzz_text text_again = print_message(schema, version, parsed);
    FUZZ_REQUIRE(text.len == text_again.len && memcmp(text.data, text_again.data, text.len) == 0, "json-round-trip",
                 "%s v%d: other JSON after JSON: %.200s", schema->name, version, text.data);
    free((void *)(uintptr_t)from_json.data);
    free(text_again.data);
    free(text.data);
    free(parsed);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}

static void check_decoded(const struct rj_message_schema *schema, int16_t version, const void *message,
                          struct rj_bytes body, uint8_t *input)
{
    struct rj_bytes encoded = encode_exactly(schema, version, message);
    FUZZ_REQUIRE(version >= schema->flexible_from || encoded.len == body.len, "round-trip",
                 "%s v%d: %d bytes became %d", schema->name, version, body.len, encoded.len);
    check_second_round(schema, version, message, encoded);
    check_json(schema, version, message, encoded);

    struct fuzz_heap heap;
    struct rj_arena arena;
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    void *copy = new_message(schema);
    struct rj_bytes of_copy = encode_copy(schema, version, message, &arena, copy);
    memset(input, 0x5a, (size_t)body.len);
    struct rj_bytes later = encode_exactly(schema, version, copy);
    FUZZ_REQUIRE(rj_bytes_equal(of_copy, encoded) && rj_bytes_equal(later, encoded), "copy",
                 "%s v%d: the copy is not the message", schema->name, version);
    free((void *)(uintptr_t)later.data);
    free((void *)(uintptr_t)of_copy.data);
    free((void *)(uintptr_t)encoded.data);
    free(copy);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}

void fuzz_check_body(const struct rj_message_schema *schema, int16_t version, struct rj_bytes body, uint64_t fail_at)
{
    struct fuzz_heap heap;
    struct rj_arena arena;
    struct rj_fault fault;
    fuzz_heap_init(&heap, fail_at);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    uint8_t *input = malloc(body.len ? (size_t)body.len : 1);
    if (input == NULL)
        abort();
    memcpy(input, body.data, (size_t)body.len);
    struct rj_bytes own = {input, body.len};
    void *message = new_message(schema);
    enum rj_err err = rj_decode(schema, version, own, &arena, message, &fault);
    FUZZ_REQUIRE(arena.used_len <= fuzz_decode_bound((size_t)body.len), "amplification",
                 "%s v%d: %zu bytes of memory for %d bytes of input", schema->name, version, arena.used_len, body.len);
    FUZZ_REQUIRE(!heap.failed || err == RJ_ERR_MEMORY, "memory-fault", "%s v%d: %s where the allocator said no",
                 schema->name, version, rj_err_name(err));
    if (err != RJ_OK) {
        check_fault(err, &fault, (size_t)body.len);
        free(print_message(schema, version, message).data); /* what was read so far can be printed */
    } else if (can_be_encoded(schema, version, message)) {
        check_decoded(schema, version, message, own, input);
    } else {
        free(print_message(schema, version, message).data);
    }
    free(message);
    free(input);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}

void fuzz_check_any_body(const struct rj_message_schema *(*schema_of)(int16_t api_key), const uint8_t *data,
                         size_t len)
{
    struct fuzz_reader reader = {data, len};
    uint8_t key = fuzz_take_byte(&reader);
    const struct rj_message_schema *schema = schema_of(key);
    for (int16_t other = key % 93; schema == NULL; other = (int16_t)((other + 1) % 93))
        schema = schema_of(other);
    int16_t version = fuzz_pick_version(schema, fuzz_take_byte(&reader));
    uint64_t fail_at = fuzz_take_byte(&reader);
    struct rj_bytes body = fuzz_take_rest(&reader);
    fuzz_check_plan(schema, version, body);
    fuzz_check_body(schema, version, body, fail_at);
}

void fuzz_check_json(const struct rj_message_schema *schema, int16_t version, struct rj_string text)
{
    struct fuzz_heap heap;
    struct rj_arena arena;
    struct rj_fault fault;
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    void *message = new_message(schema);
    enum rj_err err = rj_parse_json(schema, version, text, &arena, message, &fault);
    size_t len;
    if (err != RJ_OK) {
        check_fault(err, &fault, (size_t)text.len);
    } else if (rj_encoded_len(schema, version, message, &len, &fault) == RJ_OK) {
        struct rj_bytes encoded = encode_exactly(schema, version, message);
        check_second_round(schema, version, message, encoded);
        check_json(schema, version, message, encoded);
        free((void *)(uintptr_t)encoded.data);
    }
    free(message);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}
