/* Memory of the consumer: growing lists, owned strings, and what lives for one step. A failure is noted once and ends
 * the step. */
#include "consumer/state.h"

#include <string.h>

bool rj_consumer_grow(struct rj_consumer *c, void **items, int32_t *capacity, int32_t count, size_t size)
{
    if (count < *capacity)
        return true;
    int32_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *memory = c->allocator.alloc(c->allocator.context, (size_t)wanted * size);
    if (memory == NULL) {
        c->out_of_memory = true;
        return false;
    }
    if (count > 0)
        memcpy(memory, *items, (size_t)count * size);
    if (*items != NULL)
        c->allocator.free(c->allocator.context, *items, (size_t)*capacity * size);
    *items = memory;
    *capacity = wanted;
    return true;
}

void rj_consumer_free_string(struct rj_consumer *c, struct rj_string *slot)
{
    if (slot->data != NULL && slot->len > 0)
        c->allocator.free(c->allocator.context, (void *)(uintptr_t)slot->data, (size_t)slot->len);
    *slot = RJ_EMPTY_STRING;
}

bool rj_consumer_set_string(struct rj_consumer *c, struct rj_string *slot, struct rj_string value)
{
    struct rj_string copy = RJ_EMPTY_STRING;
    if (value.len > 0) {
        char *data = c->allocator.alloc(c->allocator.context, (size_t)value.len);
        if (data == NULL) {
            c->out_of_memory = true;
            return false;
        }
        memcpy(data, value.data, (size_t)value.len);
        copy = (struct rj_string){data, value.len};
    }
    rj_consumer_free_string(c, slot);
    *slot = copy;
    return true;
}

void *rj_consumer_step_alloc(struct rj_consumer *c, int64_t count, size_t size)
{
    void *memory = rj_arena_alloc(&c->step, (size_t)count * size);
    if (memory == NULL)
        c->out_of_memory = true;
    else
        memset(memory, 0, (size_t)count * size);
    return memory;
}

struct rj_string rj_consumer_step_string(struct rj_consumer *c, struct rj_string value)
{
    bool ok = true;
    struct rj_string copy = rj_arena_copy_string(&c->step, value, &ok);
    if (!ok)
        c->out_of_memory = true;
    return ok ? copy : RJ_EMPTY_STRING;
}

void rj_consumer_wake(struct rj_consumer *c, int64_t at_ms)
{
    if (at_ms < c->deadline_ms)
        c->deadline_ms = at_ms;
}

int64_t rj_consumer_backoff_ms(struct rj_consumer *c, int32_t failures)
{
    if (rj_consumer_has_fault(c, RJ_CONSUMER_FAULT_HOT_LOOP))
        return 0;
    int64_t delay = c->config.retry_backoff_ms;
    for (int32_t i = 1; i < failures && delay < c->config.retry_backoff_max_ms; i++)
        delay *= 2;
    if (delay > c->config.retry_backoff_max_ms)
        delay = c->config.retry_backoff_max_ms;
    c->random = c->random * 1664525 + 1013904223; /* spread by a fifth either way, as Kafka does (KIP-580) */
    return delay * (80 + (int64_t)(c->random >> 16) % 41) / 100;
}
