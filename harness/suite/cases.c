#include "suite/cases.h"

/* Filled once from the tables of the files, in the order of a member's life. */
static const struct { const struct suite_case *const *cases; const int *count; } tables[] = {
    {suite_course_cases, &suite_course_cases_count}, {suite_refusal_cases, &suite_refusal_cases_count},
    {suite_commit_cases, &suite_commit_cases_count}, {suite_group_cases, &suite_group_cases_count},
    {suite_leave_cases, &suite_leave_cases_count},
};

int suite_case_count(void)
{
    int count = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        count += *tables[i].count;
    return count;
}

const struct suite_case *suite_case_at(int index)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (index < *tables[i].count)
            return tables[i].cases[index];
        index -= *tables[i].count;
    }
    return NULL;
}
