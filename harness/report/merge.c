#include "report/report.h"

#include <string.h>

json_t *report_read(const char *path, char *error, size_t error_len)
{
    json_error_t fault;
    json_t *results = json_load_file(path, 0, &fault);
    if (results == NULL) {
        snprintf(error, error_len, "%s:%d:%d: %s", path, fault.line < 0 ? 0 : fault.line,
                 fault.column < 0 ? 0 : fault.column, fault.text);
        return NULL;
    }
    if (json_integer_value(json_object_get(results, "schema")) != 1 ||
        !json_is_array(json_object_get(results, "cases"))) {
        snprintf(error, error_len, "%s: no results.json of rejoin (expected \"schema\": 1 and \"cases\")", path);
        json_decref(results);
        return NULL;
    }
    return results;
}

static json_t *find_case(const json_t *cases, const char *id, size_t *where)
{
    json_t *test;
    json_array_foreach(cases, (*where), test)
        if (strcmp(report_text(test, "id"), id) == 0)
            return test;
    return NULL;
}

static void recount(json_t *results)
{
    json_t *summary = json_object_get(results, "summary"), *cases = json_object_get(results, "cases"), *value, *test;
    const char *name;
    size_t index;
    json_object_foreach(summary, name, value)
        json_integer_set(value, 0);
    json_array_foreach(cases, index, test) {
        const char *result = report_text(test, "result"), *overlay = report_text(test, "overlay");
        bool short_of = strcmp(result, "FAIL") == 0 || strcmp(result, "CRASH") == 0 || strcmp(result, "HANG") == 0;
        json_t *count = json_object_get(summary, result), *laid_over = json_object_get(summary, overlay);
        if (count != NULL)
            json_integer_set(count, json_integer_value(count) + 1);
        if (overlay[0] != '\0' && laid_over != NULL)
            json_integer_set(laid_over, json_integer_value(laid_over) + 1);
        json_t *fell_short = json_object_get(summary, "fell_short");
        if (short_of && strcmp(overlay, "XFAIL") != 0)
            json_integer_set(fell_short, json_integer_value(fell_short) + 1);
    }
    json_integer_set(json_object_get(summary, "total"), (json_int_t)json_array_size(cases));
}

json_t *report_merge(json_t *const *documents, int count)
{
    json_t *merged = json_deep_copy(documents[0]);
    json_t *cases = json_object_get(merged, "cases"), *duration = json_object_get(merged, "duration_ms");
    for (int i = 1; i < count; i++) {
        size_t index, where;
        json_t *test;
        json_array_foreach(json_object_get(documents[i], "cases"), index, test) {
            if (find_case(cases, report_text(test, "id"), &where) != NULL)
                json_array_set(cases, where, test);
            else
                json_array_append(cases, test);
        }
        json_integer_set(duration, json_integer_value(duration) +
                                       json_integer_value(json_object_get(documents[i], "duration_ms")));
    }
    recount(merged);
    return merged;
}

/* How bad a result is: a larger one is worse. */
static int badness(const char *shown)
{
    static const char *const order[] = {"PASS", "PASS-LENIENT", "INFO", "XFAIL", "SKIPPED", "UNSUPPORTED",
                                        "INCONCLUSIVE", "WARN", "XPASS", "FAIL", "HANG", "CRASH", "HARNESS-ERROR"};
    for (int i = 0; i < (int)(sizeof(order) / sizeof(order[0])); i++)
        if (strcmp(order[i], shown) == 0)
            return i;
    return 0;
}

int report_compare(const json_t *before, const json_t *after, FILE *out)
{
    const json_t *old_cases = json_object_get(before, "cases"), *new_cases = json_object_get(after, "cases");
    const json_t *test;
    size_t index, where;
    int worse = 0, changed = 0;
    json_array_foreach(new_cases, index, test) {
        const json_t *old = find_case(old_cases, report_text(test, "id"), &where);
        const char *now = report_shown_result(test), *then = old != NULL ? report_shown_result(old) : "(new)";
        if (strcmp(now, then) == 0)
            continue;
        bool is_worse = old != NULL && badness(now) > badness(then);
        worse += is_worse;
        changed++;
        fprintf(out, "%-7s %-46s %s -> %s\n", old == NULL ? "new" : is_worse ? "worse" : "better",
                report_text(test, "id"), then, now);
        if (is_worse)
            fprintf(out, "        %s\n", report_text(test, "seen"));
    }
    json_array_foreach(old_cases, index, test)
        if (find_case(new_cases, report_text(test, "id"), &where) == NULL) {
            changed++;
            fprintf(out, "gone    %-46s %s\n", report_text(test, "id"), report_shown_result(test));
        }
    fprintf(out, "%d cases, %d changed, %d worse\n", (int)json_array_size(new_cases), changed, worse);
    return worse;
}
