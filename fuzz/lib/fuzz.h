/* What the fuzz targets share. A target is one file in fuzz/targets with one LLVMFuzzerTestOneInput; libFuzzer, AFL++
 * and the plain replayer call the same function. */
#ifndef REJOIN_FUZZ_H
#define REJOIN_FUZZ_H

#include "rejoin/base.h"

/* The entry of every target. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- Oracles -------------------------------------------------------------------------------------------------- */

/* Where an oracle says no: prints the oracle's name and the reason, then aborts, so that every engine keeps the input.
 * Names are stable: findings are sorted by them. */
#define FUZZ_REQUIRE(condition, oracle, ...)                                                                           \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fuzz_fail(oracle, __VA_ARGS__);                                                                            \
    } while (0)
void fuzz_fail(const char *oracle, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* One line on stderr where the environment has FUZZ_TRACE: for whoever reads a find. */
void fuzz_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Input ---------------------------------------------------------------------------------------------------- */

/* Takes bytes from the front. Total: behind the end everything is 0, so that any input is a valid one. */
struct fuzz_reader { const uint8_t *data; size_t len; };
uint8_t fuzz_take_byte(struct fuzz_reader *reader);
uint16_t fuzz_take_uint16(struct fuzz_reader *reader);
struct rj_bytes fuzz_take_rest(struct fuzz_reader *reader);

/* ---- Memory --------------------------------------------------------------------------------------------------- */

/* The heap, counted: how much lives, how much lived at most, and which allocation fails. */
struct fuzz_heap {
    struct rj_allocator allocator; /* its context is this heap; do not move it */
    size_t live_len, peak_len;
    uint64_t allocation_count;
    uint64_t fail_at;   /* the first allocation (counted from 1) that fails, with all behind it; 0: none does */
    bool failed;        /* it has */
};
void fuzz_heap_init(struct fuzz_heap *heap, uint64_t fail_at);
/* Everything was given back. */
void fuzz_heap_finish(const struct fuzz_heap *heap, const char *oracle);
/* What decoding so many bytes may take. */
size_t fuzz_decode_bound(size_t input_len);

/* ---- Feedback beyond edges -------------------------------------------------------------------------------------- */

/* Small facts about the abstract state, as extra counters of the engine. Kept small: the engines scan them after each
 * run. fact is taken modulo FUZZ_FACTS. */
enum { FUZZ_FACTS = 4096 };
void fuzz_mark(uint32_t fact);
/* How many different facts were marked in this process; for the replayer and the tests. */
uint32_t fuzz_facts_seen(void);

uint32_t fuzz_hash(uint32_t seed, const void *data, size_t len);

#endif
