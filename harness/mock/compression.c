/* Decompression of records into the arena of the request. */
#include "mock/internal.h"
#include "records/compress.h"

enum { PLAIN_LIMIT_LEN = 256 * 1024 * 1024 }; /* a small batch may claim to be huge */

bool mock_decompress(enum rj_compression compression, int8_t magic, struct rj_bytes compressed, struct rj_arena *arena,
                struct rj_bytes *plain)
{
    struct rejoin_buffer buffer = {0};
    const char *why;
    bool ok = rejoin_decompress(compression, magic, compressed, PLAIN_LIMIT_LEN, &buffer, &why) == RJ_OK;
    if (ok)
        *plain = rj_arena_copy_bytes(arena, rejoin_buffer_bytes(&buffer), &ok);
    rejoin_buffer_free(&buffer);
    return ok;
}
