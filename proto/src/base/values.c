/* Comparing views. */
#include "rejoin/base.h"

#include <string.h>

static bool same(const void *a, int32_t a_len, const void *b, int32_t b_len)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a_len == b_len && (a_len == 0 || memcmp(a, b, (size_t)a_len) == 0);
}

bool rj_string_equal(struct rj_string a, struct rj_string b) { return same(a.data, a.len, b.data, b.len); }

bool rj_bytes_equal(struct rj_bytes a, struct rj_bytes b) { return same(a.data, a.len, b.data, b.len); }

bool rj_uuid_equal(const struct rj_uuid *a, const struct rj_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
