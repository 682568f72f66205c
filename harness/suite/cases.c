#include "suite/cases.h"

#include <string.h>

/* The tables of the files; the cases are listed by area, within an area in the order of the tables. */
static const struct { const struct suite_case *const *cases; const int *count; } tables[] = {
    {suite_course_cases, &suite_course_cases_count}, {suite_refusal_cases, &suite_refusal_cases_count},
    {suite_commit_cases, &suite_commit_cases_count}, {suite_group_cases, &suite_group_cases_count},
    {suite_leave_cases, &suite_leave_cases_count},
};

/* In the order of a member's life. */
static const char *const areas[] = {
    "coordinator", "version", "join", "sync", "heartbeat", "offset-fetch", "commit", "delivery", "group", "cooperative",
    "static", "leave",
};

#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))
#define AREA_COUNT (sizeof(areas) / sizeof(areas[0]))

int suite_case_count(void)
{
    int count = 0;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        count += *tables[i].count;
    return count;
}

static bool is_in(const struct suite_case *test, const char *area)
{
    size_t len = strlen(area);
    return strncmp(test->id, area, len) == 0 && test->id[len] == '/';
}

const struct suite_case *suite_case_at(int index)
{
    for (size_t a = 0; a < AREA_COUNT; a++)
        for (size_t t = 0; t < TABLE_COUNT; t++)
            for (int i = 0; i < *tables[t].count; i++)
                if (is_in(tables[t].cases[i], areas[a]) && index-- == 0)
                    return tables[t].cases[i];
    return NULL;
}
