/* A step summary for CI: the counts, what is no pass, and a row for each area. */
#include "report/report.h"

#include <string.h>

static void put_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void put_counts(const json_t *results, FILE *out)
{
    const char *name;
    json_t *value, *summary = json_object_get(results, "summary");
    const char *between = "";
    json_object_foreach(summary, name, value) {
        if (strcmp(name, "total") == 0 || strcmp(name, "fell_short") == 0 || json_integer_value(value) == 0)
            continue;
        fprintf(out, "%s**%lld** %s", between, (long long)json_integer_value(value), name);
        between = " · ";
    }
    fprintf(out, "%sof %lld cases in %.1f s\n\n", between[0] != '\0' ? " " : "",
            (long long)json_integer_value(json_object_get(summary, "total")),
            (double)json_integer_value(json_object_get(results, "duration_ms")) / 1000);
}

static void put_areas(const json_t *cases, FILE *out)
{
    size_t index, other;
    const json_t *first, *test;
    fputs("| area | cases |\n|---|---|\n", out);
    json_array_foreach(cases, index, first) {
        if (!report_opens_area(cases, index))
            continue;
        fputs("| ", out);
        put_cell(out, report_text(first, "area"));
        fputs(" |", out);
        json_array_foreach(cases, other, test) {
            const char *shown = report_shown_result(test);
            if (strcmp(report_text(first, "area"), report_text(test, "area")) == 0)
                fprintf(out, " %s", strcmp(shown, "PASS") == 0 ? "✓" : shown);
        }
        fputs(" |\n", out);
    }
}

void report_markdown(const json_t *results, FILE *out)
{
    const json_t *cases = json_object_get(results, "cases"), *client = json_object_get(results, "client"), *test;
    size_t index;
    fprintf(out, "## rejoin %s: %s %s\n\n`%s`, seed %lld\n\n", report_text(results, "kind"),
            report_text(client, "name"), report_text(client, "version"), report_text(results, "driver"),
            (long long)json_integer_value(json_object_get(results, "seed")));
    if (report_text(results, "void")[0] != '\0')
        fprintf(out, "**VOID**: %s\n\n", report_text(results, "void"));
    put_counts(results, out);
    fputs("| result | case | expected | seen |\n|---|---|---|---|\n", out);
    json_array_foreach(cases, index, test) {
        if (strcmp(report_shown_result(test), "PASS") == 0)
            continue;
        fprintf(out, "| %s | `%s` | ", report_shown_result(test), report_text(test, "id"));
        put_cell(out, report_text(test, "expected"));
        fputs(" | ", out);
        put_cell(out, report_text(test, "seen"));
        fputs(" |\n", out);
    }
    fputc('\n', out);
    put_areas(cases, out);
}
