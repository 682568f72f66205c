/* Memory of one coordinator. */
#include "coord/memory.h"

#include <assert.h>
#include <string.h>

#define ALIGNMENT sizeof(union { long long whole; double real; void *pointer; })

enum { FIRST_OUTPUT_LEN = 4096, LARGE_OUTPUT_LEN = 256 * 1024 };

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static size_t header_len(void) { return aligned(sizeof(struct rj_block)); }

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

/* ---- Output ------------------------------------------------------------------------------------------------------ */

void rj_output_reset(struct rj_output *output)
{
    output->reply_count = output->append_count = output->change_count = 0;
    output->block_used = aligned(sizeof(struct rj_block));
    if (output->blocks == NULL || output->blocks->next == NULL)
        return;
    struct rj_block *largest = NULL;
    for (struct rj_block *block = output->blocks; block != NULL; block = block->next)
        if (largest == NULL || block->size > largest->size)
            largest = block;
    for (struct rj_block *block = output->blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block != largest)
            rj_memory_free(output->memory, block);
    }
    output->blocks = largest;
    largest->next = NULL;
}

void rj_output_release(struct rj_output *output)
{
    rj_output_reset(output);
    rj_memory_free(output->memory, output->blocks);
    rj_memory_free(output->memory, output->replies);
    rj_memory_free(output->memory, output->appends);
    rj_memory_free(output->memory, output->changes);
}

static void *grow(struct rj_memory *memory, void *items, int32_t count, int32_t *room, int64_t extra, size_t size)
{
    int64_t needed = count + extra;
    if (needed <= *room)
        return items;
    if (needed > INT32_MAX / 2)
        return NULL;
    int64_t wanted = *room ? *room : 4;
    while (wanted < needed)
        wanted *= 2;
    void *larger = rj_memory_alloc(memory, (size_t)wanted * size);
    if (larger == NULL)
        return NULL;
    if (count)
        memcpy(larger, items, (size_t)count * size);
    rj_memory_free(memory, items);
    *room = (int32_t)wanted;
    return larger;
}

static bool grow_lists(struct rj_output *output, const struct rj_output_need *need)
{
    struct rj_memory *memory = output->memory;
    void *list = grow(memory, output->replies, output->reply_count, &output->reply_room, need->replies,
                      sizeof(struct rj_reply));
    if (list == NULL && need->replies > 0)
        return false;
    output->replies = list ? list : output->replies;
    list = grow(memory, output->appends, output->append_count, &output->append_room, need->appends,
                sizeof(struct rj_append));
    if (list == NULL && need->appends > 0)
        return false;
    output->appends = list ? list : output->appends;
    list = grow(memory, output->changes, output->change_count, &output->change_room, need->changes,
                sizeof(struct rj_state_change));
    if (list == NULL && need->changes > 0)
        return false;
    output->changes = list ? list : output->changes;
    return true;
}

bool rj_output_reserve(struct rj_output *output, struct rj_output_need need)
{
    struct rj_memory *memory = output->memory;
    bool lists_fit = need.replies <= output->reply_room - output->reply_count
                     && need.appends <= output->append_room - output->append_count
                     && need.changes <= output->change_room - output->change_count;
    if (!lists_fit && !grow_lists(output, &need))
        return false;
    if (output->blocks != NULL && output->blocks->size - output->block_used >= need.bytes)
        return true;
    size_t wanted = aligned(sizeof(struct rj_block)) + need.bytes;
    if (wanted < FIRST_OUTPUT_LEN)
        wanted = FIRST_OUTPUT_LEN;
    /* A quarter more, so that a large group that grows member by member does not need another block for each. */
    size_t roomy = wanted > LARGE_OUTPUT_LEN ? wanted / 4 * 5 : wanted;
    struct rj_block *block = rj_memory_alloc(memory, roomy);
    if (block == NULL)
        block = rj_memory_alloc(memory, roomy = wanted);
    if (block == NULL)
        return false;
    *block = (struct rj_block){.next = output->blocks, .size = roomy};
    output->blocks = block;
    output->block_used = aligned(sizeof(struct rj_block));
    return true;
}

size_t rj_output_len(size_t size) { return aligned(size ? size : 1); }

void *rj_output_take(struct rj_output *output, size_t size)
{
    size = rj_output_len(size);
    assert(output->blocks != NULL && output->blocks->size - output->block_used >= size);
    void *piece = (char *)output->blocks + output->block_used;
    output->block_used += size;
    return piece;
}

struct rj_bytes rj_output_bytes(struct rj_output *output, struct rj_bytes from)
{
    if (from.data == NULL)
        return from;
    void *copy = rj_output_take(output, (size_t)from.len);
    memcpy(copy, from.data, (size_t)from.len);
    return (struct rj_bytes){copy, from.len};
}

struct rj_string rj_output_string(struct rj_output *output, struct rj_string from)
{
    struct rj_bytes copy = rj_output_bytes(output, (struct rj_bytes){(const uint8_t *)from.data, from.len});
    return (struct rj_string){(const char *)copy.data, copy.len};
}

struct rj_reply *rj_output_reply(struct rj_output *output)
{
    assert(output->reply_count < output->reply_room);
    return &output->replies[output->reply_count++];
}

struct rj_append *rj_output_append(struct rj_output *output)
{
    assert(output->append_count < output->append_room);
    return &output->appends[output->append_count++];
}

struct rj_state_change *rj_output_change(struct rj_output *output)
{
    assert(output->change_count < output->change_room);
    return &output->changes[output->change_count++];
}
