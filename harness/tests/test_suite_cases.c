/* What must hold of every case, whatever it tests. */
#include "suite/case.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_kebab_path(const char *id)
{
    int slashes = 0;
    for (const char *c = id; *c != '\0'; c++) {
        slashes += *c == '/';
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '/' && *c != '.')
            return false;
    }
    return slashes == 1 && id[0] != '/' && id[strlen(id) - 1] != '/';
}

static void test_ids_are_unique_and_kebab(void **state)
{
    (void)state;
    assert_true(suite_case_count() >= 30);
    for (int i = 0; i < suite_case_count(); i++) {
        assert_non_null(suite_case_at(i)); /* every case lies in an area that is listed */
        assert_true(is_kebab_path(suite_case_at(i)->id));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(suite_case_at(i)->id, suite_case_at(j)->id);
    }
    assert_null(suite_case_at(suite_case_count()));
}

static void test_rules_stand_in_the_rule_book(void **state)
{
    (void)state;
    for (int i = 0; i < suite_case_count(); i++) {
        const char *rule = suite_case_at(i)->rule;
        if (rj_rule_by_id((struct rj_string){rule, (int32_t)strlen(rule)}) == RJ_RULE_NONE)
            fail_msg("%s judges rule %s, which is not in the rule book", suite_case_at(i)->id, rule);
    }
}

static void test_requirements_are_sentences_with_a_source(void **state)
{
    (void)state;
    for (int i = 0; i < suite_case_count(); i++) {
        const struct suite_case *test = suite_case_at(i);
        size_t len = strlen(test->requirement);
        assert_true(len > 10 && test->requirement[len - 1] == '.' && isupper((unsigned char)test->requirement[0]));
        assert_true(strlen(test->source) > 3);
    }
}

static void test_steps_wait_within_a_limit(void **state)
{
    (void)state;
    for (int i = 0; i < suite_case_count(); i++) {
        const struct suite_case *test = suite_case_at(i);
        assert_non_null(test->judge);
        assert_true(test->steps[0].what != NULL);
        for (int s = 0; s < SUITE_MAX_STEPS && test->steps[s].what != NULL; s++)
            assert_true(test->steps[s].until == NULL || (test->steps[s].within_ms > 0 &&
                                                         test->steps[s].within_ms <= 30000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_unique_and_kebab),
        cmocka_unit_test(test_rules_stand_in_the_rule_book),
        cmocka_unit_test(test_requirements_are_sentences_with_a_source),
        cmocka_unit_test(test_steps_wait_within_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
