/* The timer heap. */
#include "coord/timers.h"

#include <assert.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

bool rj_timers_reserve(struct rj_timers *timers, uint32_t count, struct rj_memory *memory)
{
    if (timers->known + count + 1 > timers->room) {
        uint32_t room = timers->room ? timers->room : FIRST_ROOM;
        while (timers->known + count + 1 > room)
            room *= 2;
        struct rj_timer **heap = rj_memory_alloc(memory, room * sizeof(struct rj_timer *));
        if (heap == NULL)
            return false;
        if (timers->heap != NULL) {
            memcpy(heap, timers->heap, (timers->count + 1) * sizeof(struct rj_timer *));
            rj_memory_free(memory, timers->heap);
        }
        timers->heap = heap;
        timers->room = room;
        timers->memory = memory;
    }
    timers->known += count;
    return true;
}

void rj_timers_forget(struct rj_timers *timers, uint32_t count)
{
    assert(timers->known >= count);
    timers->known -= count;
}

void rj_timers_release(struct rj_timers *timers)
{
    if (timers->heap != NULL)
        rj_memory_free(timers->memory, timers->heap);
    *timers = (struct rj_timers){.count = 0};
}

static bool before(const struct rj_timer *a, const struct rj_timer *b)
{
    return a->queued_ms != b->queued_ms ? a->queued_ms < b->queued_ms : a->queued_order < b->queued_order;
}

static void put(struct rj_timers *timers, uint32_t place, struct rj_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void rise(struct rj_timers *timers, struct rj_timer *timer)
{
    uint32_t place = timer->place;
    for (; place > 1 && before(timer, timers->heap[place / 2]); place /= 2)
        put(timers, place, timers->heap[place / 2]);
    put(timers, place, timer);
}

static void sink(struct rj_timers *timers, struct rj_timer *timer)
{
    uint32_t place = timer->place;
    for (;;) {
        uint32_t child = place * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], timer))
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

void rj_timer_start(struct rj_timers *timers, struct rj_timer *timer, int64_t now_ms, int64_t delay_ms)
{
    static const uint64_t with_delay = 1ull << 63;
    int64_t deadline_ms = now_ms + delay_ms;
    timer->deadline_ms = deadline_ms;
    timer->order = timers->next_order++ | (delay_ms > 0 ? with_delay : 0);
    if (timer->place != 0 && deadline_ms >= timer->queued_ms && delay_ms > 0)
        return;
    timer->queued_ms = deadline_ms;
    timer->queued_order = timer->order;
    if (timer->place == 0) {
        assert(timers->count < timers->known);
        put(timers, ++timers->count, timer);
    }
    rise(timers, timer);
    sink(timers, timer); /* one without a delay may take the place of one that is overdue */
}

void rj_timer_cancel(struct rj_timers *timers, struct rj_timer *timer)
{
    if (timer->place == 0)
        return;
    struct rj_timer *last = timers->heap[timers->count--];
    if (last != timer) {
        put(timers, timer->place, last);
        rise(timers, last);
        sink(timers, last);
    }
    timer->place = 0;
}

int64_t rj_timers_next_ms(const struct rj_timers *timers)
{
    return timers->count ? timers->heap[1]->queued_ms : INT64_MAX;
}

struct rj_timer *rj_timers_pop(struct rj_timers *timers, int64_t now_ms)
{
    while (timers->count > 0 && timers->heap[1]->queued_ms <= now_ms) {
        struct rj_timer *first = timers->heap[1];
        if (first->queued_order == first->order) {
            rj_timer_cancel(timers, first);
            return first;
        }
        first->queued_ms = first->deadline_ms;
        first->queued_order = first->order;
        sink(timers, first);
    }
    return NULL;
}
