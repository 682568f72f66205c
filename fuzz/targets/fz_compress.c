/* Any bytes as compressed records, or as the metrics of a PushTelemetry, which are compressed the same ways.
 * Input: compression, magic, the limit of what may come out (2 bytes), the compressed bytes. No more than the limit comes
 * out, nothing where it is refused; no allocation follows from a claimed length; what came out survives compression. */
#include "lib/fuzz.h"
#include "records/compress.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* What a decompressor may ask for beside a few times its limit and its input. */
enum { CHUNKS_LEN = 512 << 10 };

/* ---- The harness's allocation, watched (harness/support/memory.c is not linked) ------------------------------------- */

static size_t allocation_limit_len = SIZE_MAX;

static void *checked(void *memory, size_t size)
{
    FUZZ_REQUIRE(size <= allocation_limit_len, "allocation", "%zu bytes at once, %zu are enough", size,
                 allocation_limit_len);
    return memory != NULL ? realloc(memory, size ? size : 1) : malloc(size ? size : 1);
}

static void *or_abort(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void *rejoin_alloc(size_t size) { return or_abort(checked(NULL, size)); }

void *rejoin_realloc(void *memory, size_t size) { return or_abort(checked(memory, size)); }

/* ---------------------------------------------------------------------------------------------------------------- */

/* What Kafka's clients would write for the same bytes is read back. */
static void check_round(enum rj_compression compression, int8_t magic, struct rj_bytes plain)
{
    struct rejoin_buffer squeezed = {0}, again = {0};
    const char *why = NULL;
    enum rj_err err = rejoin_compress(compression, magic, plain, &squeezed);
    FUZZ_REQUIRE(err == RJ_OK, "compress", "%s", rj_err_name(err));
    err = rejoin_decompress(compression, magic, rejoin_buffer_bytes(&squeezed), (size_t)plain.len, &again, &why);
    FUZZ_REQUIRE(err == RJ_OK && rj_bytes_equal(plain, rejoin_buffer_bytes(&again)), "round-trip", "%s: %s",
                 rj_err_name(err), why != NULL ? why : "other bytes");
    rejoin_buffer_free(&squeezed);
    rejoin_buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char before[] = "before";
    struct fuzz_reader reader = {data, len};
    enum rj_compression compression = (enum rj_compression)(fuzz_take_byte(&reader) % 5);
    int8_t magic = (int8_t)(fuzz_take_byte(&reader) % 3);
    size_t limit_len = fuzz_take_uint16(&reader), before_len = strlen(before);
    struct rj_bytes rest = fuzz_take_rest(&reader);
    struct rejoin_buffer plain = {0};
    const char *why = NULL;
    rejoin_buffer_text(&plain, before);
    allocation_limit_len = CHUNKS_LEN + 2 * limit_len + (size_t)rest.len;
    enum rj_err err = rejoin_decompress(compression, magic, rest, limit_len, &plain, &why);
    allocation_limit_len = SIZE_MAX;
    FUZZ_REQUIRE(plain.len >= before_len && memcmp(plain.data, before, before_len) == 0, "before", "%zu", plain.len);
    if (err == RJ_OK) {
        FUZZ_REQUIRE(plain.len - before_len <= limit_len, "limit", "%zu bytes, %zu are allowed", plain.len - before_len,
                     limit_len);
        check_round(compression, magic, (struct rj_bytes){plain.data + before_len, (int32_t)(plain.len - before_len)});
    } else {
        FUZZ_REQUIRE(err == RJ_ERR_CORRUPT || err == RJ_ERR_LIMIT, "error", "%s", rj_err_name(err));
        FUZZ_REQUIRE(plain.len == before_len && why != NULL, "refused", "%zu bytes, %s", plain.len,
                     why != NULL ? why : "without a reason");
    }
    rejoin_buffer_free(&plain);
    return 0;
}
