#include "report/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

const char *report_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

bool report_opens_area(const json_t *cases, size_t index)
{
    const char *area = report_text(json_array_get(cases, index), "area");
    for (size_t before = 0; before < index; before++)
        if (strcmp(area, report_text(json_array_get(cases, before), "area")) == 0)
            return false;
    return true;
}

const char *report_shown_result(const json_t *test)
{
    const char *overlay = report_text(test, "overlay");
    return overlay[0] != '\0' ? overlay : report_text(test, "result");
}

static void results_json(const json_t *results, FILE *out)
{
    json_dumpf(results, out, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    fputc('\n', out);
}

bool report_write_all(json_t *results, const char *folder, char *error, size_t error_len)
{
    static const struct {
        const char *name;
        void (*write)(const json_t *results, FILE *out);
    } reports[] = {
        {"results.json", results_json}, {"junit.xml", report_junit}, {"summary.md", report_markdown},
        {"index.html", report_html},
    };
    for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", folder, reports[i].name);
        FILE *out = fopen(path, "w");
        if (out == NULL) {
            snprintf(error, error_len, "cannot write %s: %s", path, strerror(errno));
            return false;
        }
        reports[i].write(results, out);
        if (fclose(out) != 0) {
            snprintf(error, error_len, "cannot write %s: %s", path, strerror(errno));
            return false;
        }
    }
    return true;
}
