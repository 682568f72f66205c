#include "support_heap.h"

#include <stdlib.h>
#include <string.h>

static void *heap_alloc(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void heap_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

const struct rj_allocator test_heap = {heap_alloc, heap_free, NULL};

static uint8_t digit(char c) { return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

struct rj_bytes test_hex(const char *hex)
{
    uint8_t *out = malloc(strlen(hex) / 2 + 1);
    int32_t len = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        out[len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex++;
    }
    return (struct rj_bytes){out, len};
}
