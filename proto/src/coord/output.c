/* The update under construction. */
#include "coord/output.h"

#include <assert.h>
#include <string.h>

enum {
    KEPT_LEN = 64 * 1024, /* never less, so that a refusal for want of memory can always be said */
    LARGE_LEN = 256 * 1024,
    MODEST_ROOM = 16,   /* of a list that is kept */
    MODEST_STEPS = 8,   /* in a row: while members join one after the other there is none */
};

/* Where there is no memory for the smaller piece, the larger one stays: there must be room for a refusal at any time. */
static void shrink_block(struct rj_output *output)
{
    struct rj_block *block = rj_memory_alloc(output->memory, KEPT_LEN);
    if (block == NULL)
        return;
    rj_memory_free(output->memory, output->blocks);
    *block = (struct rj_block){.size = KEPT_LEN};
    output->blocks = block;
}

static void *shrink_list(struct rj_memory *memory, void *items, int32_t *room, size_t size)
{
    void *smaller = *room > MODEST_ROOM ? rj_memory_alloc(memory, MODEST_ROOM * size) : NULL;
    if (smaller == NULL)
        return items;
    rj_memory_free(memory, items);
    *room = MODEST_ROOM;
    return smaller;
}

static void shrink(struct rj_output *output)
{
    struct rj_memory *memory = output->memory;
    output->modest_steps = 0;
    shrink_block(output);
    output->replies = shrink_list(memory, output->replies, &output->reply_room, sizeof(struct rj_reply));
    output->appends = shrink_list(memory, output->appends, &output->append_room, sizeof(struct rj_append));
    output->changes = shrink_list(memory, output->changes, &output->change_room, sizeof(struct rj_state_change));
}

void rj_output_reset(struct rj_output *output)
{
    output->reply_count = output->append_count = output->change_count = 0;
    output->block_used = rj_memory_aligned(sizeof(struct rj_block));
    if (output->blocks == NULL)
        return;
    if (output->blocks->next == NULL) {
        if (output->blocks->size > KEPT_LEN && output->modest_steps++ > MODEST_STEPS)
            shrink(output);
        return;
    }
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

bool rj_output_begin(struct rj_output *output, struct rj_memory *memory)
{
    *output = (struct rj_output){.memory = memory};
    struct rj_output_need need = {.replies = 1, .appends = 1, .changes = 1, .bytes = 1}; /* and no less than KEPT_LEN */
    return rj_output_reserve(output, need);
}

void rj_output_release(struct rj_output *output)
{
    for (struct rj_block *block = output->blocks, *next; block != NULL; block = next) {
        next = block->next;
        rj_memory_free(output->memory, block);
    }
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
    if (need.bytes > KEPT_LEN)
        output->modest_steps = 0;
    if (output->blocks != NULL && output->blocks->size - output->block_used >= need.bytes)
        return true;
    size_t wanted = rj_memory_aligned(sizeof(struct rj_block)) + need.bytes;
    if (wanted < KEPT_LEN)
        wanted = KEPT_LEN;
    /* A quarter more, so that a large group that grows member by member does not need another block for each. */
    size_t roomy = wanted > LARGE_LEN ? wanted / 4 * 5 : wanted;
    struct rj_block *block = rj_memory_alloc(memory, roomy);
    if (block == NULL)
        block = rj_memory_alloc(memory, roomy = wanted);
    if (block == NULL)
        return false;
    *block = (struct rj_block){.next = output->blocks, .size = roomy};
    output->blocks = block;
    output->block_used = rj_memory_aligned(sizeof(struct rj_block));
    return true;
}

size_t rj_output_len(size_t size) { return rj_memory_aligned(size ? size : 1); }

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

/* ---- One for several coordinators -------------------------------------------------------------------------------- */

enum rj_err rj_shared_output_create(struct rj_shared_output **result, const struct rj_allocator *allocator,
                                    size_t limit_bytes)
{
    struct rj_shared_output *shared = allocator->alloc(allocator->context, sizeof(*shared));
    if (shared == NULL)
        return RJ_ERR_MEMORY;
    *shared = (struct rj_shared_output){.memory = {.allocator = *allocator, .limit_bytes = limit_bytes}};
    *result = shared;
    if (rj_output_begin(&shared->output, &shared->memory))
        return RJ_OK;
    rj_shared_output_destroy(shared);
    *result = NULL;
    return RJ_ERR_MEMORY;
}

void rj_shared_output_destroy(struct rj_shared_output *shared)
{
    if (shared == NULL)
        return;
    struct rj_allocator allocator = shared->memory.allocator;
    rj_output_release(&shared->output);
    allocator.free(allocator.context, shared, sizeof(*shared));
}
