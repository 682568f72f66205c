/* Memory of one coordinator. */
#include "coord/memory.h"

#include <string.h>

static size_t header_len(void) { return rj_memory_aligned(sizeof(struct rj_block)); }

void *rj_memory_alloc(struct rj_memory *memory, size_t size)
{
    if (size > memory->limit_bytes)
        return NULL;
    size += header_len();
    if (memory->used_bytes > memory->limit_bytes || size > memory->limit_bytes - memory->used_bytes)
        return NULL;
    struct rj_block *block = memory->allocator.alloc(memory->allocator.context, size);
    if (block == NULL)
        return NULL;
    block->size = size;
    memory->used_bytes += size;
    return (char *)block + header_len();
}

void *rj_memory_zalloc(struct rj_memory *memory, size_t size)
{
    void *pointer = rj_memory_alloc(memory, size);
    if (pointer != NULL)
        memset(pointer, 0, size);
    return pointer;
}

/* What is freed may have been handed on as const in the meantime. */
static struct rj_block *block_of(const void *pointer)
{
    return (struct rj_block *)((uintptr_t)pointer - header_len());
}

void rj_memory_free(struct rj_memory *memory, const void *pointer)
{
    if (pointer == NULL)
        return;
    struct rj_block *block = block_of(pointer);
    memory->used_bytes -= block->size;
    memory->allocator.free(memory->allocator.context, block, block->size);
}

void rj_memory_retire(struct rj_memory *memory, const void *pointer)
{
    if (pointer == NULL)
        return;
    struct rj_block *block = block_of(pointer);
    block->next = memory->retired;
    memory->retired = block;
}

void rj_memory_collect(struct rj_memory *memory)
{
    while (memory->retired != NULL) {
        struct rj_block *block = memory->retired;
        memory->retired = block->next;
        rj_memory_free(memory, (char *)block + header_len());
    }
}

bool rj_memory_copy_string(struct rj_memory *memory, struct rj_string from, struct rj_string *to)
{
    struct rj_bytes copy;
    if (!rj_memory_copy_bytes(memory, (struct rj_bytes){(const uint8_t *)from.data, from.len}, &copy))
        return false;
    *to = (struct rj_string){(const char *)copy.data, copy.len};
    return true;
}

bool rj_memory_copy_bytes(struct rj_memory *memory, struct rj_bytes from, struct rj_bytes *to)
{
    *to = from;
    if (from.data == NULL)
        return true;
    uint8_t *copy = rj_memory_alloc(memory, (size_t)from.len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, from.data, (size_t)from.len);
    copy[from.len] = 0;
    to->data = copy;
    return true;
}
