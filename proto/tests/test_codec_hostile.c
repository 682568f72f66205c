/* Bytes that nobody should send: for every message and version each truncation, single changed bytes, and lengths and
 * counts at their limits. Nothing may be read outside of the input (the sanitizers watch), nothing taken beyond 64 KiB
 * and 24 times the input, and what is accepted must print and encode. */
#include "rejoin/conn.h"
#include "codec/wire.h"
#include "support_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct test_counter counter;
static struct rj_allocator heap;
static double worst;
static char worst_name[64];
static long decoded, accepted;
/* REJOIN_HOSTILE_SHARE=N: a machine that is emulated changes one byte in N only, and stuffs one version in N. */
static size_t share = 1;

static void ignore_text(void *context, const char *text, size_t len)
{
    (void)context;
    (void)text;
    (void)len;
}

/* input is copied to a piece of its own length, so that the sanitizer sees every byte too far. */
static enum rj_err decode_copy(const struct rj_message_schema *schema, int16_t version, const uint8_t *bytes,
                               size_t len, struct rj_fault *fault)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    struct rj_arena arena;
    counter = (struct test_counter){0};
    rj_arena_init(&arena, &heap, SIZE_MAX);
    void *message = malloc(schema->root->size > 0 ? schema->root->size : 1);
    enum rj_err err = rj_decode(schema, version, (struct rj_bytes){copy, (int32_t)len}, &arena, message, fault);
    decoded++;
    if (counter.peak_len > 65536 + 24 * len)
        fail_msg("%s v%d: %zu bytes taken for %zu", schema->name, version, counter.peak_len, len);
    struct rj_writer writer = {ignore_text, NULL};
    rj_print_json(schema, version, message, &writer);
    if (err == RJ_OK) {
        size_t again;
        accepted++;
        if (rj_encoded_len(schema, version, message, &again, NULL) == RJ_OK && len > 10000 &&
            (double)counter.peak_len / (double)len > worst) {
            worst = (double)counter.peak_len / (double)len;
            snprintf(worst_name, sizeof(worst_name), "%s v%d", schema->name, version);
        }
    }
    free(message);
    rj_arena_release(&arena);
    free(copy);
    return err;
}

/* A random message's bytes; free() them. */
static uint8_t *seed_of(const struct rj_message_schema *schema, int16_t version, uint32_t items, uint64_t *state,
                        size_t *len)
{
    struct rj_arena arena;
    rj_arena_init(&arena, &heap, SIZE_MAX);
    void *message = malloc(schema->root->size > 0 ? schema->root->size : 1);
    test_fill_message(schema, version, items, state, &arena, message);
    assert_int_equal(rj_encoded_len(schema, version, message, len, NULL), RJ_OK);
    uint8_t *bytes = malloc(*len > 0 ? *len : 1);
    assert_int_equal(rj_encode(schema, version, message, bytes, *len, len, NULL), RJ_OK);
    free(message);
    rj_arena_release(&arena);
    return bytes;
}

typedef void version_check(const struct rj_message_schema *schema, int16_t version, uint64_t *state);

/* One version in step; not always the same of each message. */
static void each_version_of(size_t step, version_check *check)
{
    uint64_t state = 1;
    size_t at = 0;
    for (int i = 0; i < rj_all_schemas_count; i++)
        for (int16_t v = rj_all_schemas[i]->versions.low; v <= rj_all_schemas[i]->versions.high; v++)
            if (at++ % step == 0)
                check(rj_all_schemas[i], v, &state);
}

static void each_version(version_check *check) { each_version_of(1, check); }

/* Where the first change is made: another place in each version. */
static size_t first_change(int16_t version) { return (size_t)version % share; }

static void check_truncations(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    size_t len;
    uint8_t *bytes = seed_of(schema, version, 2, state, &len);
    struct rj_fault fault;
    assert_int_equal(decode_copy(schema, version, bytes, len, &fault), RJ_OK);
    for (size_t cut = 0; cut < len; cut++) {
        enum rj_err err = decode_copy(schema, version, bytes, cut, &fault);
        assert_true(err == RJ_ERR_SHORT || err == RJ_ERR_LENGTH);
        assert_true(fault.offset <= cut);
        assert_int_equal(fault.err, err);
        assert_true(fault.field[0] != '\0' && fault.found[0] != '\0' && fault.expected[0] != '\0');
    }
    bytes = realloc(bytes, len + 1);
    bytes[len] = 0;
    assert_int_equal(decode_copy(schema, version, bytes, len + 1, &fault), RJ_ERR_TRAILING);
    assert_int_equal(fault.offset, len);
    free(bytes);
}

static void check_changes(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    size_t len;
    uint8_t *bytes = seed_of(schema, version, 2, state, &len);
    struct rj_fault fault;
    for (size_t i = first_change(version); i < len; i += share) {
        uint8_t kept = bytes[i];
        for (size_t j = 0; j < sizeof(values) + 2; j++) {
            bytes[i] = j < sizeof(values) ? values[j] : (uint8_t)(kept + (j == sizeof(values) ? 1 : -1));
            decode_copy(schema, version, bytes, len, &fault);
        }
        bytes[i] = kept;
    }
    free(bytes);
}

/* Lengths, counts and varints at their limits, written over every place. */
static void check_boundaries(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    static const struct { uint8_t len, bytes[6]; } limits[] = {
        {2, {0xff, 0xff}}, {2, {0xff, 0xfe}}, {2, {0x80, 0x00}}, {2, {0x7f, 0xff}},
        {4, {0xff, 0xff, 0xff, 0xff}}, {4, {0xff, 0xff, 0xff, 0xfe}}, {4, {0x80, 0, 0, 0}},
        {4, {0x7f, 0xff, 0xff, 0xff}}, {4, {0x00, 0xff, 0xff, 0xff}},
        {5, {0xff, 0xff, 0xff, 0xff, 0x0f}}, {5, {0xff, 0xff, 0xff, 0xff, 0x07}}, {5, {0x80, 0x80, 0x80, 0x80, 0x08}},
        {5, {0x80, 0x80, 0x80, 0x80, 0x00}}, {5, {0xff, 0xff, 0xff, 0xff, 0x7f}}, {6, {0xff, 0xff, 0xff, 0xff, 0xff, 1}},
        {3, {0x80, 0x80, 0x02}}, {3, {0xff, 0xff, 0x03}},
    };
    size_t len;
    uint8_t *bytes = seed_of(schema, version, 2, state, &len), *kept = malloc(len + 1);
    struct rj_fault fault;
    memcpy(kept, bytes, len);
    for (size_t i = first_change(version); i < len; i += share)
        for (size_t j = 0; j < sizeof(limits) / sizeof(limits[0]); j++) {
            size_t own = limits[j].len < len - i ? limits[j].len : len - i;
            memcpy(bytes + i, limits[j].bytes, own);
            decode_copy(schema, version, bytes, len, &fault);
            memcpy(bytes + i, kept + i, own);
        }
    free(kept);
    free(bytes);
}

/* The largest legal amplification: many of the smallest elements, in one message of every version. */
static void check_amplification(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    enum { LEN = 100000 };
    static uint8_t zeros[LEN];
    struct rj_fault fault;
    size_t len;
    uint8_t *bytes = seed_of(schema, version, 60, state, &len);
    assert_int_equal(decode_copy(schema, version, bytes, len, &fault), RJ_OK);
    free(bytes);
    for (int value = 0; value <= 2; value++) {
        memset(zeros, value, LEN);
        decode_copy(schema, version, zeros, LEN, &fault);
    }
}

/* Fills the wanted-th array of the message with many elements of defaults, those around it with one. */
struct stuffing { int16_t version; int wanted, seen; struct rj_arena *arena; };

enum { MANY = 10000 };

static void stuff(struct stuffing *s, const struct rj_schema_struct *rows, void *structure)
{
    for (uint32_t i = 0; i < rows->field_count && s->seen <= s->wanted; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        void *member = member_of(structure, field);
        if (!rj_in_range(field->versions, s->version))
            continue;
        if (field->type == RJ_TYPE_STRUCT && !(field->flags & RJ_FIELD_ARRAY) && !is_pointer(field))
            stuff(s, field->element, member);
        if (!(field->flags & RJ_FIELD_ARRAY))
            continue;
        struct any_array *array = member, before = *array;
        int32_t count = s->seen++ == s->wanted ? MANY : 1;
        size_t size = memory_size(field);
        *array = (struct any_array){rj_arena_alloc(s->arena, (size_t)count * size), count};
        memset(array->items, 0, (size_t)count * size);
        for (int32_t j = 0; j < count; j++) {
            void *element = (char *)array->items + (size_t)j * size;
            if (field->type == RJ_TYPE_STRUCT)
                rj_struct_init(field->element, element);
            else if (wire_size(field->type) == 0)
                *(struct rj_bytes *)element = RJ_EMPTY_BYTES;
        }
        if (count == MANY)
            return;
        if (field->type == RJ_TYPE_STRUCT)
            stuff(s, field->element, array->items);
        if (s->seen <= s->wanted)
            *array = before;
    }
}

static void check_smallest_elements(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    (void)state;
    for (int wanted = 0;; wanted++) {
        struct rj_arena arena;
        rj_arena_init(&arena, &heap, SIZE_MAX);
        struct stuffing s = {version, wanted, 0, &arena};
        void *message = calloc(1, schema->root->size + 1);
        rj_message_init(schema, message);
        stuff(&s, schema->root, message);
        size_t len;
        struct rj_fault fault;
        if (s.seen > wanted) {
            assert_int_equal(rj_encoded_len(schema, version, message, &len, NULL), RJ_OK);
            uint8_t *bytes = malloc(len);
            assert_int_equal(rj_encode(schema, version, message, bytes, len, &len, NULL), RJ_OK);
            enum rj_err err = decode_copy(schema, version, bytes, len, &fault);
            if (err != RJ_OK)
                fail_msg("%s v%d %s: %s: %s", schema->name, version, fault.field, rj_err_name(err), fault.found);
            free(bytes);
        }
        free(message);
        rj_arena_release(&arena);
        if (s.seen <= wanted)
            return;
    }
}

static void test_smallest_elements(void **state)
{
    (void)state;
    each_version_of(share, check_smallest_elements);
}

static void test_truncations(void **state)
{
    (void)state;
    each_version(check_truncations);
}

static void test_changes(void **state)
{
    (void)state;
    each_version(check_changes);
}

static void test_boundaries(void **state)
{
    (void)state;
    each_version(check_boundaries);
}

static void test_amplification(void **state)
{
    (void)state;
    each_version_of(share, check_amplification);
}

static void put_varint(uint8_t **at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *(*at)++ = (uint8_t)(value | 0x80);
    *(*at)++ = (uint8_t)value;
}

/* CVE-2026-111115: unknown tags of two bytes each, all kept. */
static void test_many_unknown_tags(void **state)
{
    (void)state;
    enum { TAGS = 200000 };
    uint8_t *bytes = malloc(2 * TAGS + 32), *at = bytes;
    *at++ = 1; /* a HeartbeatRequest of empty strings */
    memset(at, 0, 4);
    at += 4;
    *at++ = 1;
    *at++ = 0;
    put_varint(&at, TAGS);
    for (int i = 0; i < TAGS; i++) {
        *at++ = 9;
        *at++ = 0;
    }
    struct rj_fault fault;
    assert_int_equal(decode_copy(&rj_heartbeat_request_schema, 4, bytes, (size_t)(at - bytes), &fault), RJ_OK);
    /* CVE-2021-4190: a count of tags that no input could hold. */
    at = bytes + 7;
    put_varint(&at, INT32_MAX);
    assert_int_equal(decode_copy(&rj_heartbeat_request_schema, 4, bytes, 1000, &fault), RJ_ERR_LENGTH);
    free(bytes);
}

static void test_refused_without_memory(void **state)
{
    (void)state;
    /* CVE-2022-34917: a count of two thousand million in a few bytes. */
    static const uint8_t metadata[] = {0x7f, 0xff, 0xff, 0xff, 0, 0};
    struct rj_fault fault;
    assert_int_equal(decode_copy(&rj_metadata_request_schema, 0, metadata, sizeof(metadata), &fault), RJ_ERR_LENGTH);
    assert_string_equal(fault.field, "topics");
    assert_string_equal(fault.found, "count 2147483647");
    assert_true(counter.peak_len == 0);
}

int main(void)
{
    heap = test_counting_heap(&counter);
    const char *wanted = getenv("REJOIN_HOSTILE_SHARE");
    if (wanted != NULL && atoi(wanted) > 1)
        share = (size_t)atoi(wanted);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_amplification),
        cmocka_unit_test(test_smallest_elements),
        cmocka_unit_test(test_many_unknown_tags),
        cmocka_unit_test(test_refused_without_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%ld inputs decoded, %ld of them accepted; most memory for an accepted one: %.1f times its bytes (%s)\n",
           decoded, accepted, worst, worst_name);
    if (share > 1)
        printf("not all: one byte in %zu was changed, one version in %zu stuffed (REJOIN_HOSTILE_SHARE)\n", share, share);
    return failed;
}
