/* Timers of one coordinator: a heap by deadline, ties in the order of scheduling.
 *
 * A timer that is moved to a later time stays where it is in the heap and is put right when it reaches the top: a
 * heartbeat, which does nothing else to its timer, costs the same with ten members as with ten thousand. */
#ifndef REJOIN_COORD_TIMERS_H
#define REJOIN_COORD_TIMERS_H

#include "coord/memory.h"

enum rj_timer_kind { RJ_TIMER_SESSION, RJ_TIMER_JOIN, RJ_TIMER_SYNC, RJ_TIMER_WRITE, RJ_TIMER_EXPIRY };

struct rj_timer {
    int64_t deadline_ms;
    uint64_t order; /* of scheduling */
    uint32_t place; /* in the heap, from 1; 0: not running */
    uint8_t kind;   /* enum rj_timer_kind: what it is embedded in */
};

/* The time and order that a timer had when it was last put right: never behind its own. */
struct rj_queued { int64_t deadline_ms; uint64_t order; struct rj_timer *timer; };

struct rj_timers {
    struct rj_queued *heap; /* from 1 */
    uint32_t count, room;
    uint32_t known; /* timers that exist, running or not: room for all of them is reserved */
    uint64_t next_order;
    struct rj_memory *memory;
};

/* Announces count more timers. False: no memory. */
bool rj_timers_reserve(struct rj_timers *timers, uint32_t count, struct rj_memory *memory);
void rj_timers_forget(struct rj_timers *timers, uint32_t count); /* the reverse */
void rj_timers_release(struct rj_timers *timers);
/* Or restarts it. One without a delay comes before all others that are due. */
void rj_timer_start(struct rj_timers *timers, struct rj_timer *timer, int64_t now_ms, int64_t delay_ms);
void rj_timer_cancel(struct rj_timers *timers, struct rj_timer *timer);
/* Never later than the next timer; earlier where that has been moved and not yet put right. INT64_MAX: none. */
int64_t rj_timers_next_ms(const struct rj_timers *timers);
/* Takes out the next timer that is due; NULL: none. */
struct rj_timer *rj_timers_pop(struct rj_timers *timers, int64_t now_ms);

#endif
