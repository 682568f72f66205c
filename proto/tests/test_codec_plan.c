/* The loops over plans do all ordinary messages alone: the walker is for what is wrong. */
#include "codec/decoder.h"
#include "codec/encoder.h"
#include "codec/wire.h"
#include "support_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Memory as it is when it was used before. */
static void *dirty_alloc(void *context, size_t size)
{
    (void)context;
    void *memory = malloc(size);
    return memory != NULL ? memset(memory, 0xaa, size) : NULL;
}

static void dirty_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static const struct rj_allocator dirty_heap = {dirty_alloc, dirty_free, NULL};

/* What the version does not carry holds its default, in every structure. */
static void check_absent(const struct rj_schema_struct *rows, const void *structure, int16_t version)
{
    for (uint32_t i = 0; i < rows->field_count; i++) {
        const struct rj_schema_field *field = &rows->fields[i];
        const void *member = (const char *)structure + field->offset;
        if (!rj_in_range(field->versions, version)) {
            if (!rj_is_default(field, member) && !(is_pointer(field) && *(void *const *)member == NULL))
                fail_msg("%s.%s is not its default in v%d", rows->name, field->name, version);
            continue;
        }
        if (field->type != RJ_TYPE_STRUCT)
            continue;
        const struct any_array *array = member;
        if (field->flags & RJ_FIELD_ARRAY)
            for (int32_t j = 0; j < array->count; j++)
                check_absent(field->element, (const char *)array->items + (size_t)j * field->element->size, version);
        else if (!is_pointer(field))
            check_absent(field->element, member, version);
        else if (*(void *const *)member != NULL)
            check_absent(field->element, *(void *const *)member, version);
    }
}

static void check_version(const struct rj_message_schema *schema, int16_t version, uint64_t *state)
{
    struct rj_arena arena;
    rj_arena_init(&arena, &dirty_heap, SIZE_MAX);
    void *message = rj_arena_alloc(&arena, schema->root->size);
    void *again = rj_arena_alloc(&arena, schema->root->size);
    test_fill_message(schema, version, 5, state, &arena, message);
    size_t len;
    assert_int_equal(rj_encoded_len(schema, version, message, &len, NULL), RJ_OK);
    uint8_t *bytes = malloc(len + 1);
    struct encoder e = {.out = bytes, .out_len = len, .place = {schema, version, NULL}, .flexible = true};
    assert_true(rj_plan_encode(&e, plan_of(schema, version), message));
    assert_int_equal(e.len, len);
    if (len > 0) {
        e.out_len = len - 1;
        assert_false(rj_plan_encode(&e, plan_of(schema, version), message));
    }
    struct decoder d = decoder_of(&(struct place){schema, version, NULL}, bytes, len, &arena);
    assert_true(rj_plan_decode(&d, plan_of(schema, version), again));
    assert_ptr_equal(d.at, d.end);
    assert_int_equal(rj_compare(schema, version, message, again, false, NULL, NULL), 0);
    check_absent(schema->root, again, version);
    free(bytes);
    rj_arena_release(&arena);
}

static void test_every_version(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < rj_all_schemas_count; i++)
        for (int16_t v = rj_all_schemas[i]->versions.low; v <= rj_all_schemas[i]->versions.high; v++)
            for (int round = 0; round < 5; round++)
                check_version(rj_all_schemas[i], v, &random);
}

/* ---- Damaged bytes ---------------------------------------------------------------------------------------------- */

static long compared, accepted;

/* What the plan takes, the walker takes as the same message of as many bytes. The bytes are copied to a piece of their
 * own length, so that the sanitizer sees every byte too far. */
static void check_like_walker(const struct rj_message_schema *schema, int16_t version, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    struct rj_arena arena;
    rj_arena_init(&arena, &dirty_heap, SIZE_MAX);
    void *by_plan = rj_arena_alloc(&arena, schema->root->size), *by_rows = rj_arena_alloc(&arena, schema->root->size);
    struct decoder plan = decoder_of(&(struct place){schema, version, NULL}, copy, len, &arena);
    compared++;
    if (rj_plan_decode(&plan, plan_of(schema, version), by_plan)) {
        struct rj_fault fault;
        struct decoder walker = decoder_of(&(struct place){schema, version, &fault}, copy, len, &arena);
        accepted++;
        if (rj_walk_decode(&walker, by_rows) != RJ_OK)
            fail_msg("%s v%d: the plan takes %zu bytes, the walker: %s", schema->name, version, len,
                     rj_err_sentence(fault.err));
        if (plan.at != walker.at || rj_compare(schema, version, by_plan, by_rows, false, NULL, NULL) != 0)
            fail_msg("%s v%d: plan and walker read different messages of %zu bytes", schema->name, version, len);
        check_absent(schema->root, by_plan, version);
    }
    free(copy);
    rj_arena_release(&arena);
}

/* Bytes that mean most: null, the ends of one-byte and of longer varints, signs. */
static const uint8_t telling[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xff};

static void damage_version(const struct rj_message_schema *schema, int16_t version, uint32_t items, uint64_t *state)
{
    enum { LONGEST = 600 };
    struct rj_arena arena;
    rj_arena_init(&arena, &dirty_heap, SIZE_MAX);
    void *message = rj_arena_alloc(&arena, schema->root->size);
    test_fill_message(schema, version, items, state, &arena, message);
    size_t len;
    assert_int_equal(rj_encoded_len(schema, version, message, &len, NULL), RJ_OK);
    uint8_t *bytes = malloc(len + 1);
    assert_int_equal(rj_encode(schema, version, message, bytes, len, &len, NULL), RJ_OK);
    /* Of a long message its end, and places by chance. */
    size_t step = 1 + len / LONGEST;
    for (size_t cut = test_random(state, (uint32_t)step); cut <= len; cut += step)
        check_like_walker(schema, version, bytes, cut);
    for (size_t at = test_random(state, (uint32_t)step); at < len; at += step) {
        uint8_t was = bytes[at];
        bytes[at] = telling[test_random(state, sizeof(telling))];
        check_like_walker(schema, version, bytes, len);
        check_like_walker(schema, version, bytes, at + 1 + test_random(state, (uint32_t)(len - at)));
        bytes[at] = was;
    }
    free(bytes);
    rj_arena_release(&arena);
}

static void test_takes_nothing_that_the_walker_refuses(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int i = 0; i < rj_all_schemas_count; i++)
        for (int16_t v = rj_all_schemas[i]->versions.low; v <= rj_all_schemas[i]->versions.high; v++)
            for (uint32_t items = 1; items <= 3; items++)
                damage_version(rj_all_schemas[i], v, items, &random);
    print_message("%ld damaged messages, of which plans took %ld\n", compared, accepted);
    assert_true(accepted > compared / 10);
}

static void test_defaults_are_those_of_the_rows(void **state)
{
    (void)state;
    for (int i = 0; i < rj_all_schemas_count; i++) {
        const struct rj_message_schema *schema = rj_all_schemas[i];
        char *by_plan = malloc(schema->root->size + 1);
        memset(by_plan, 0xaa, schema->root->size);
        rj_plan_init(plan_of(schema, schema->versions.low), by_plan);
        for (uint32_t j = 0; j < schema->root->field_count; j++) {
            const struct rj_schema_field *field = &schema->root->fields[j];
            bool made = is_pointer(field) && field->default_kind != RJ_DEFAULT_NULL; /* by the decoder only */
            assert_true(made || rj_is_default(field, by_plan + field->offset));
        }
        free(by_plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version),
        cmocka_unit_test(test_takes_nothing_that_the_walker_refuses),
        cmocka_unit_test(test_defaults_are_those_of_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
