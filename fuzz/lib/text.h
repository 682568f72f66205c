/* A text that grows, ended by a zero byte: what a message or an answer prints to. */
#ifndef REJOIN_FUZZ_TEXT_H
#define REJOIN_FUZZ_TEXT_H

#include "rejoin/codec.h"

struct fuzz_text { char *data; size_t len, cap; }; /* all zero: nothing yet; data is the caller's to free */

void fuzz_text_add(struct fuzz_text *text, const char *piece, size_t len);
/* Prints to the text. */
struct rj_writer fuzz_text_writer(struct fuzz_text *text);

#endif
