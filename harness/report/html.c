/* index.html: one page that needs nothing else. What is judged is plain HTML; the timelines are drawn by page.js from
 * the same results, which the page carries. */
#include "report/assets.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fputc(*text, out);
    }
}

/* "#12" becomes a link to row 12 of the case's timeline. */
static void put_linked(FILE *out, const char *text, size_t test)
{
    while (*text != '\0') {
        size_t digits = *text == '#' ? strspn(text + 1, "0123456789") : 0;
        if (digits > 0) {
            fprintf(out, "<a class=\"frame\" href=\"#c%zu-%.*s\">#%.*s</a>", test, (int)digits, text + 1, (int)digits,
                    text + 1);
            text += digits + 1;
        } else {
            char one[2] = {*text++, '\0'};
            put_escaped(out, one);
        }
    }
}

static void put_badge(FILE *out, const char *result) { fprintf(out, "<b class=\"badge r-%s\">%s</b>", result, result); }

static const char *const shown_order[] = {"PASS", "PASS-LENIENT", "INFO", "WARN", "FAIL", "CRASH", "HANG", "XPASS",
                                          "XFAIL", "UNSUPPORTED", "SKIPPED", "INCONCLUSIVE", "HARNESS-ERROR"};
#define SHOWN_COUNT (sizeof(shown_order) / sizeof(shown_order[0]))

static size_t count_shown(const json_t *cases, const char *result)
{
    const json_t *test;
    size_t index, count = 0;
    json_array_foreach(cases, index, test)
        count += strcmp(report_shown_result(test), result) == 0;
    return count;
}

static void put_head(const json_t *results, FILE *out)
{
    const json_t *client = json_object_get(results, "client");
    const char *name = report_text(client, "name");
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>rejoin: ", out);
    put_escaped(out, name[0] != '\0' ? name : report_text(results, "driver"));
    fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<header><h1>", report_page_css);
    put_escaped(out, name[0] != '\0' ? name : "A client");
    fputs(" <span>", out);
    put_escaped(out, report_text(client, "version"));
    fputs("</span></h1>\n<p class=\"sub\">Kafka's consumer-group protocol, judged by <b>rejoin ", out);
    put_escaped(out, report_text(json_object_get(results, "tool"), "version"));
    fputs("</b> on what its mock cluster saw</p>\n<dl class=\"meta\"><dt>driver</dt><dd><code>", out);
    put_escaped(out, report_text(results, "driver"));
    fprintf(out, "</code></dd><dt>when</dt><dd>%s, %.1f s</dd><dt>seed</dt><dd>%lld</dd></dl></header>\n",
            report_text(results, "started_at"),
            (double)json_integer_value(json_object_get(results, "duration_ms")) / 1000,
            (long long)json_integer_value(json_object_get(results, "seed")));
}

static void put_overview(const json_t *results, FILE *out)
{
    const json_t *cases = json_object_get(results, "cases"), *stale = json_object_get(results, "stale"), *text;
    size_t total = json_array_size(cases), index;
    fputs("<main>\n", out);
    if (report_text(results, "void")[0] != '\0') {
        fputs("<p class=\"void\"><b>No verdict counts.</b> ", out);
        put_escaped(out, report_text(results, "void"));
        fputs("</p>\n", out);
    }
    json_array_foreach(stale, index, text) {
        fputs("<p class=\"void\"><b>Stale expectation.</b> ", out);
        put_escaped(out, json_string_value(text));
        fputs("</p>\n", out);
    }
    size_t fell_short = (size_t)json_integer_value(json_object_get(json_object_get(results, "summary"), "fell_short"));
    fprintf(out, "<p class=\"lead\"><b>%zu of %zu</b> cases as Kafka demands or allows; <b%s>%zu</b> fell short.</p>\n",
            count_shown(cases, "PASS") + count_shown(cases, "PASS-LENIENT"), total,
            fell_short > 0 ? " class=\"bad\"" : "", fell_short);
    fputs("<div class=\"bar\">", out);
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        size_t count = count_shown(cases, shown_order[i]);
        if (count > 0)
            fprintf(out, "<i class=\"r-%s\" style=\"flex:%zu\" title=\"%zu %s\"></i>", shown_order[i], count, count,
                    shown_order[i]);
    }
    fprintf(out, "</div>\n<nav class=\"chips\"><button data-result=\"\" class=\"on\">all <b>%zu</b></button>", total);
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        size_t count = count_shown(cases, shown_order[i]);
        if (count > 0)
            fprintf(out, "<button data-result=\"%s\"><i class=\"r-%s\"></i>%s <b>%zu</b></button>", shown_order[i],
                    shown_order[i], shown_order[i], count);
    }
    fputs("<input type=\"search\" placeholder=\"filter: id, rule, text\" aria-label=\"filter\"></nav>\n", out);
}

static void put_matrix(const json_t *cases, FILE *out)
{
    const json_t *first, *test;
    size_t index, other;
    fputs("<section class=\"matrix\">", out);
    json_array_foreach(cases, index, first) {
        if (!report_opens_area(cases, index))
            continue;
        fputs("<div class=\"area\"><span>", out);
        put_escaped(out, report_text(first, "area"));
        fputs("</span><div>", out);
        json_array_foreach(cases, other, test) {
            if (strcmp(report_text(first, "area"), report_text(test, "area")) != 0)
                continue;
            fprintf(out, "<a href=\"#c%zu\" class=\"r-%s\" title=\"%s: ", other, report_shown_result(test),
                    report_shown_result(test));
            put_escaped(out, report_text(test, "id"));
            fputs("\"></a>", out);
        }
        fputs("</div></div>", out);
    }
    fputs("</section>\n", out);
}

static void put_evidence(const json_t *test, FILE *out)
{
    static const char *const files[] = {"timeline.txt", "case.pcapng", "faults.json", "client-1.stdout",
                                        "client-1.stderr", "repro.sh"};
    const char *folder = report_text(test, "evidence");
    if (folder[0] == '\0')
        return;
    fputs("<dt>evidence</dt><dd class=\"files\">", out);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        fputs("<a href=\"", out);
        put_escaped(out, folder);
        fprintf(out, "/%s\">%s</a> ", files[i], files[i]);
    }
    fputs("</dd>", out);
}

static void put_case(const json_t *test, size_t index, FILE *out)
{
    const json_t *rule = json_object_get(test, "rule");
    const char *shown = report_shown_result(test), *end = report_text(test, "session_end");
    fprintf(out, "<details class=\"case\" id=\"c%zu\" data-case=\"%zu\" data-result=\"%s\"><summary>", index, index,
            shown);
    put_badge(out, shown);
    fputs("<span class=\"what\"><code>", out);
    put_escaped(out, report_text(test, "id"));
    fputs("</code><span class=\"req\">", out);
    put_escaped(out, report_text(test, "requirement"));
    fputs("</span>", out);
    if (strcmp(shown, "PASS") != 0) {
        fputs("<span class=\"seen\">", out);
        put_escaped(out, report_text(test, "seen"));
        fputs("</span>", out);
    }
    fprintf(out, "</span><span class=\"time\">%.2f s</span></summary><div class=\"body\"><dl><dt>expected</dt><dd>",
            (double)json_integer_value(json_object_get(test, "duration_ms")) / 1000);
    put_escaped(out, report_text(test, "expected"));
    fputs("</dd><dt>seen</dt><dd>", out);
    put_linked(out, report_text(test, "seen"), index);
    if (report_text(test, "reason")[0] != '\0') {
        fputs("</dd><dt>known</dt><dd>", out);
        put_escaped(out, report_text(test, "reason"));
    }
    fputs("</dd><dt>rule</dt><dd><code>", out);
    put_escaped(out, report_text(rule, "id"));
    fprintf(out, "</code> <span class=\"level\">%s</span> ", report_text(rule, "level"));
    put_escaped(out, report_text(rule, "sentence"));
    fputs("</dd><dt>source</dt><dd>", out);
    put_escaped(out, report_text(test, "source"));
    fputs("</dd>", out);
    if (end[0] != '\0')
        fprintf(out, "<dt>session</dt><dd>%s</dd>", end);
    put_evidence(test, out);
    fputs("</dl><div class=\"ladder\"></div></div></details>\n", out);
}

/* Within a script element "</" would end it. */
static void put_results(const json_t *results, FILE *out)
{
    char *text = json_dumps(results, JSON_COMPACT | JSON_PRESERVE_ORDER);
    fputs("<script type=\"application/json\" id=\"results\">", out);
    for (const char *c = text; c != NULL && *c != '\0'; c++) {
        if (c[0] == '<')
            fputs("\\u003c", out);
        else
            fputc(*c, out);
    }
    fputs("</script>\n", out);
    free(text);
}

void report_html(const json_t *results, FILE *out)
{
    const json_t *cases = json_object_get(results, "cases"), *test;
    size_t index;
    put_head(results, out);
    put_overview(results, out);
    put_matrix(cases, out);
    fputs("<section class=\"cases\">\n", out);
    const char *area = "";
    json_array_foreach(cases, index, test) {
        if (strcmp(area, report_text(test, "area")) != 0) {
            area = report_text(test, "area");
            fputs("<h2>", out);
            put_escaped(out, area);
            fputs("</h2>\n", out);
        }
        put_case(test, index, out);
    }
    fputs("</section></main>\n", out);
    put_results(results, out);
    fprintf(out, "<script>\n%s</script></body></html>\n", report_page_js);
}
