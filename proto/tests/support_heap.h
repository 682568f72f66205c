/* The C library's heap as an allocator, for tests. */
#ifndef REJOIN_TESTS_SUPPORT_HEAP_H
#define REJOIN_TESTS_SUPPORT_HEAP_H

#include "rejoin/base.h"

extern const struct rj_allocator test_heap;

/* "00 0a ff" -> bytes; blanks are skipped. The result lives until the process ends. */
struct rj_bytes test_hex(const char *hex);

#endif
