/* The timer heap. */
#include "coord/timers.h"

#include <assert.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

bool rj_timers_reserve(struct rj_timers *timers, uint32_t count, struct rj_memory *memory)
{
    if (timers->known + count + 1 > timers->room) {
        uint32_t room = timers->room ? timers->room : FIRST_ROOM;
        while (timers->known + count + 1 > room)
            room *= 2;
        struct rj_queued *heap = rj_memory_alloc(memory, room * sizeof(*heap));
        if (heap == NULL)
            return false;
        if (timers->heap != NULL) {
            memcpy(heap, timers->heap, (timers->count + 1) * sizeof(*heap));
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

static bool before(const struct rj_queued *a, const struct rj_queued *b)
{
    return a->deadline_ms != b->deadline_ms ? a->deadline_ms < b->deadline_ms : a->order < b->order;
}

static void put(struct rj_timers *timers, uint32_t place, struct rj_queued queued)
{
    timers->heap[place] = queued;
    queued.timer->place = place;
}

static void rise(struct rj_timers *timers, uint32_t place)
{
    struct rj_queued queued = timers->heap[place];
    for (; place > 1 && before(&queued, &timers->heap[place / 2]); place /= 2)
        put(timers, place, timers->heap[place / 2]);
    put(timers, place, queued);
}

static void sink(struct rj_timers *timers, uint32_t place)
{
    struct rj_queued queued = timers->heap[place];
    for (;;) {
        uint32_t child = place * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && before(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (!before(&timers->heap[child], &queued))
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, queued);
}

/* Where it stands in the heap is looked at last: a timer that only moves on costs no memory but its own. */
static bool stays(const struct rj_timers *timers, const struct rj_timer *timer, int64_t deadline_ms)
{
    return timer->place != 0
           && (deadline_ms >= timer->deadline_ms || deadline_ms >= timers->heap[timer->place].deadline_ms);
}

void rj_timer_start(struct rj_timers *timers, struct rj_timer *timer, int64_t now_ms, int64_t delay_ms)
{
    static const uint64_t with_delay = 1ull << 63;
    int64_t deadline_ms = now_ms + delay_ms;
    bool is_later = delay_ms > 0 && stays(timers, timer, deadline_ms);
    timer->deadline_ms = deadline_ms;
    timer->order = timers->next_order++ | (delay_ms > 0 ? with_delay : 0);
    if (is_later)
        return;
    if (timer->place == 0) {
        assert(timers->count < timers->known);
        timer->place = ++timers->count;
    }
    timers->heap[timer->place] = (struct rj_queued){deadline_ms, timer->order, timer};
    rise(timers, timer->place);
    sink(timers, timer->place); /* one without a delay may take the place of one that is overdue */
}

void rj_timer_cancel(struct rj_timers *timers, struct rj_timer *timer)
{
    if (timer->place == 0)
        return;
    struct rj_queued last = timers->heap[timers->count--];
    if (last.timer != timer) {
        put(timers, timer->place, last);
        rise(timers, last.timer->place);
        sink(timers, last.timer->place);
    }
    timer->place = 0;
}

int64_t rj_timers_next_ms(const struct rj_timers *timers)
{
    return timers->count ? timers->heap[1].deadline_ms : INT64_MAX;
}

struct rj_timer *rj_timers_pop(struct rj_timers *timers, int64_t now_ms)
{
    while (timers->count > 0 && timers->heap[1].deadline_ms <= now_ms) {
        struct rj_queued *first = &timers->heap[1];
        struct rj_timer *timer = first->timer;
        if (first->order == timer->order) {
            rj_timer_cancel(timers, timer);
            return timer;
        }
        first->deadline_ms = timer->deadline_ms;
        first->order = timer->order;
        sink(timers, 1);
    }
    return NULL;
}
