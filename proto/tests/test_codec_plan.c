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
    struct decoder d = {.start = bytes, .at = bytes, .end = bytes + len, .arena = &arena,
                        .arena_limit_len = SIZE_MAX, .place = {schema, version, NULL},
                        .flexible = version >= schema->flexible_from};
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
        cmocka_unit_test(test_defaults_are_those_of_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
