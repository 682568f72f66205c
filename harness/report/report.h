/* Reports that derive from results.json and from nothing else. */
#ifndef REJOIN_REPORT_REPORT_H
#define REJOIN_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Writes results.json, junit.xml, summary.md and index.html into the folder. false: error says why. */
bool report_write_all(json_t *results, const char *folder, char *error, size_t error_len);

void report_junit(const json_t *results, FILE *out);
void report_markdown(const json_t *results, FILE *out);
void report_html(const json_t *results, FILE *out);

/* NULL: error says file, line, column and what was expected. */
json_t *report_read(const char *path, char *error, size_t error_len);
/* The cases of several runs of one kind as one document: a case in a later file replaces the same case of an earlier
 * one. The caller owns it. */
json_t *report_merge(json_t *const *documents, int count);
/* What changed from the old to the new: cases whose result differs, came or went. Returns how many got worse. */
int report_compare(const json_t *before, const json_t *after, FILE *out);

/* What of a case's name in results.json is shown: its overlay, else its result. */
const char *report_shown_result(const json_t *test);
/* The areas are shown in the order in which they come up first, each with all its cases. */
bool report_opens_area(const json_t *cases, size_t index); /* no case before this one is of its area */
const char *report_text(const json_t *object, const char *key); /* "" where there is none */

#endif
