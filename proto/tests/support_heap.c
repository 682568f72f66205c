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

/* What test_hex handed out, freed at exit so that a leak report is always about the code under test. */
struct handed_out {
    struct handed_out *next;
    uint8_t bytes[];
};
static struct handed_out *all;

static void free_all(void)
{
    while (all != NULL) {
        struct handed_out *next = all->next;
        free(all);
        all = next;
    }
}

struct rj_bytes test_hex(const char *hex)
{
    size_t digits = 0;
    for (const char *c = hex; *c != '\0'; c++)
        digits += *c != ' ';
    struct handed_out *one = malloc(sizeof(*one) + digits / 2); /* no byte more: reading behind it is noticed */
    if (all == NULL)
        atexit(free_all);
    one->next = all;
    all = one;
    uint8_t *out = one->bytes;
    int32_t len = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        out[len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex++;
    }
    return (struct rj_bytes){out, len};
}
