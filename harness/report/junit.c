/* JUnit as CI systems read it: what fell short is a failure, our own faults are errors, what says nothing is skipped.
 */
#include "report/report.h"

#include <string.h>

static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '&')
            fputs("&amp;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c >= 0x20 || c == '\n' || c == '\t')
            fputc(c, out);
    }
}

static bool is_one_of(const char *result, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(result, *names) == 0)
            return true;
    return false;
}

static const char *const failures[] = {"FAIL", "CRASH", "HANG", "XPASS", NULL};
static const char *const errors[] = {"HARNESS-ERROR", NULL};
static const char *const skipped[] = {"SKIPPED", "UNSUPPORTED", "INCONCLUSIVE", "XFAIL", NULL};

static void put_case(const json_t *test, FILE *out)
{
    const char *result = report_shown_result(test);
    const char *tag = is_one_of(result, failures)  ? "failure"
                      : is_one_of(result, errors)  ? "error"
                      : is_one_of(result, skipped) ? "skipped"
                                                   : NULL;
    fputs("    <testcase classname=\"rejoin.", out);
    put_escaped(out, report_text(test, "area"));
    fputs("\" name=\"", out);
    put_escaped(out, report_text(test, "id"));
    fprintf(out, "\" time=\"%.3f\">\n", (double)json_integer_value(json_object_get(test, "duration_ms")) / 1000);
    if (tag != NULL) {
        fprintf(out, "      <%s message=\"", tag);
        put_escaped(out, result);
        fputs(": ", out);
        put_escaped(out, report_text(test, "seen"));
        fputs("\">", out);
        put_escaped(out, report_text(test, "requirement"));
        fputs("\nexpected: ", out);
        put_escaped(out, report_text(test, "expected"));
        fputs("\nseen: ", out);
        put_escaped(out, report_text(test, "seen"));
        fputs("\nrule: ", out);
        put_escaped(out, report_text(json_object_get(test, "rule"), "id"));
        fprintf(out, "</%s>\n", tag);
    } else if (strcmp(result, "PASS") != 0) {
        fputs("      <system-out>", out);
        put_escaped(out, result);
        fputs(": ", out);
        put_escaped(out, report_text(test, "seen"));
        fputs("</system-out>\n", out);
    }
    fputs("    </testcase>\n", out);
}

void report_junit(const json_t *results, FILE *out)
{
    const json_t *cases = json_object_get(results, "cases"), *test;
    size_t index, failed = 0, broken = 0, left_out = 0;
    json_array_foreach(cases, index, test) {
        failed += is_one_of(report_shown_result(test), failures);
        broken += is_one_of(report_shown_result(test), errors);
        left_out += is_one_of(report_shown_result(test), skipped);
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
    fprintf(out, "  <testsuite name=\"rejoin %s\" tests=\"%zu\" "
            "failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" timestamp=\"%s\" time=\"%.3f\">\n",
            report_text(results, "kind"), json_array_size(cases), failed, broken, left_out,
            report_text(results, "started_at"),
            (double)json_integer_value(json_object_get(results, "duration_ms")) / 1000);
    json_array_foreach(cases, index, test)
        put_case(test, out);
    fputs("  </testsuite>\n</testsuites>\n", out);
}
