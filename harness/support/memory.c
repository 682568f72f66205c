#include "support/memory.h"

#include <stdio.h>
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

const struct rj_allocator rejoin_heap = {heap_alloc, heap_free, NULL};

static void *or_die(void *memory)
{
    if (memory != NULL)
        return memory;
    fputs("rejoin: out of memory\n", stderr);
    exit(4);
}

void *rejoin_alloc(size_t size) { return or_die(malloc(size ? size : 1)); }

void *rejoin_alloc_zeroed(size_t count, size_t size) { return or_die(calloc(count ? count : 1, size ? size : 1)); }

void *rejoin_realloc(void *memory, size_t size) { return or_die(realloc(memory, size ? size : 1)); }

char *rejoin_strdup(const char *text) { return or_die(strdup(text)); }
