/* What a client is known to do wrong, kept beside the client: the run falls short only where it differs.
 *
 * The file is a JSON array of {"id": glob, "result": kind, "contains": text, "reason": why, "url": issue,
 * "expires": "YYYY-MM-DD"}; id, result and reason are required. */
#ifndef REJOIN_SUITE_EXPECTATIONS_H
#define REJOIN_SUITE_EXPECTATIONS_H

#include "suite/case.h"

struct expectations;

/* NULL: error says file, line and column, or entry and key, and what was expected. */
struct expectations *expectations_read(const char *path, char *error, size_t error_len);
void expectations_free(struct expectations *expectations);

enum overlay { OVERLAY_NONE, OVERLAY_XFAIL, OVERLAY_XPASS };
const char *overlay_name(enum overlay overlay); /* "XFAIL"; NULL for none */

/* What the expectations say to this verdict. *reason (NULL: none) belongs to them. today: "YYYY-MM-DD". */
enum overlay expectations_apply(struct expectations *expectations, const char *id,
                                const struct suite_verdict *verdict, const char *today, const char **reason);
/* After the run: calls stale for each expectation that is out of date: it expired, no case of the suite has such an id,
 * or a case that it names was fine. Returns how many. */
int expectations_stale(const struct expectations *expectations, const char *today,
                       void (*stale)(void *context, const char *text), void *context);

#endif
