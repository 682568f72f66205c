/* The tables of cases, one a file; cases.c joins them. */
#ifndef REJOIN_SUITE_CASES_H
#define REJOIN_SUITE_CASES_H

#include "suite/case.h"

extern const struct suite_case *const suite_course_cases[];
extern const int suite_course_cases_count;
extern const struct suite_case *const suite_refusal_cases[];
extern const int suite_refusal_cases_count;
extern const struct suite_case *const suite_commit_cases[];
extern const int suite_commit_cases_count;
extern const struct suite_case *const suite_group_cases[];
extern const int suite_group_cases_count;
extern const struct suite_case *const suite_leave_cases[];
extern const int suite_leave_cases_count;

#endif
