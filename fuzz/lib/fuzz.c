#include "lib/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *oracle, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "\nORACLE %s: ", oracle);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

void fuzz_trace(const char *format, ...)
{
    static int wanted = -1;
    if (wanted < 0)
        wanted = getenv("FUZZ_TRACE") != NULL;
    if (!wanted)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- Input ---------------------------------------------------------------------------------------------------- */

uint8_t fuzz_take_byte(struct fuzz_reader *reader)
{
    if (reader->len == 0)
        return 0;
    reader->len--;
    return *reader->data++;
}

uint16_t fuzz_take_uint16(struct fuzz_reader *reader)
{
    uint16_t high = fuzz_take_byte(reader);
    return (uint16_t)(high << 8 | fuzz_take_byte(reader));
}

struct rj_bytes fuzz_take_rest(struct fuzz_reader *reader)
{
    struct rj_bytes rest = {reader->data != NULL ? reader->data : (const uint8_t *)"", (int32_t)reader->len};
    reader->len = 0;
    return rest;
}

/* ---- Memory --------------------------------------------------------------------------------------------------- */

static void *counted_alloc(void *context, size_t size)
{
    struct fuzz_heap *heap = context;
    if (++heap->allocation_count >= heap->fail_at && heap->fail_at != 0) {
        heap->failed = true;
        return NULL;
    }
    void *memory = malloc(size ? size : 1);
    if (memory == NULL)
        return NULL;
    memset(memory, 0xa5, size); /* "not zeroed" is part of the contract */
    heap->live_len += size;
    if (heap->live_len > heap->peak_len)
        heap->peak_len = heap->live_len;
    return memory;
}

static void counted_free(void *context, void *memory, size_t size)
{
    struct fuzz_heap *heap = context;
    if (memory == NULL)
        return;
    FUZZ_REQUIRE(size <= heap->live_len, "heap-balance", "%zu bytes freed where %zu live", size, heap->live_len);
    heap->live_len -= size;
    free(memory);
}

void fuzz_heap_init(struct fuzz_heap *heap, uint64_t fail_at)
{
    *heap = (struct fuzz_heap){.fail_at = fail_at};
    heap->allocator = (struct rj_allocator){counted_alloc, counted_free, heap};
}

void fuzz_heap_finish(const struct fuzz_heap *heap, const char *oracle)
{
    FUZZ_REQUIRE(heap->live_len == 0, oracle, "%zu bytes were not given back", heap->live_len);
}

size_t fuzz_decode_bound(size_t input_len) { return 64 * 1024 + 24 * input_len; }

uint32_t fuzz_hash(uint32_t seed, const void *data, size_t len)
{
    uint32_t hash = seed ^ 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 16777619u;
    return hash ^ hash >> 15;
}
