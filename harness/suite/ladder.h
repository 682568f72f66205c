/* The timeline of a case as text and as JSON rows. Bulk is left out: of Fetch and of delivered records only the first
 * few are shown, and how many were left out is said. */
#ifndef REJOIN_SUITE_LADDER_H
#define REJOIN_SUITE_LADDER_H

#include "suite/trace.h"

#include <stdio.h>

void ladder_write(FILE *out, const struct trace *trace);
/* [{"n","at_us","kind","broker","connection","client","api","version","generation","member","instance","error","rule",
 *   "pair","fault","text"}]; members without a value are left out. The caller owns it. */
json_t *ladder_to_json(const struct trace *trace);

#endif
