/* Random messages, from the rows alone, and an allocator that counts. */
#ifndef REJOIN_TESTS_SUPPORT_RANDOM_H
#define REJOIN_TESTS_SUPPORT_RANDOM_H

#include "rejoin/codec.h"

uint32_t test_random(uint64_t *state, uint32_t limit);
/* Fills every field that the version carries; what it needs lives in the arena. items: of each array, at most. */
void test_fill_message(const struct rj_message_schema *schema, int16_t version, uint32_t items, uint64_t *state,
                       struct rj_arena *arena, void *message);

struct test_counter { size_t taken_len, peak_len; };
/* The heap, with what is taken from it now and at most. */
struct rj_allocator test_counting_heap(struct test_counter *counter);

#endif
