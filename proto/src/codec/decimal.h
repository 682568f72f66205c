/* Doubles <-> decimal text, exact in both directions and without the C library. Only quota values need them. */
#ifndef REJOIN_CODEC_DECIMAL_H
#define REJOIN_CODEC_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

enum { DECIMAL_LEN_MAX = 32 };

/* The shortest digits that read back as value, laid out as Java's Double.toString does: 1.0, 1.5E10, NaN, -Infinity.
 * Returns the length; no NUL. */
size_t rj_decimal_print(double value, char out[DECIMAL_LEN_MAX]);

/* The double nearest to a JSON number ([-]digits[.digits][e[+-]digits]); false when text is none. */
bool rj_decimal_parse(const char *text, size_t len, double *value);

#endif
