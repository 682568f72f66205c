/* The facts that the engines see besides edges. This file is compiled without instrumentation of its own.
 *
 * libFuzzer reads 8-bit counters from the section __libfuzzer_extra_counters (its size must be a multiple of 8) and
 * clears them before each run. AFL++ 4.04 has no such section; but its runtime numbers whatever stands in
 * __sancov_guards like edges, and a guard is hit by calling the callback that an edge calls. */
#include "lib/fuzz.h"

static uint8_t seen[FUZZ_FACTS];
static uint32_t seen_count;

#if defined(REJOIN_FUZZ_AFL)
extern void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
__attribute__((section("__sancov_guards"), used)) uint32_t fuzz_fact_guards[FUZZ_FACTS];
static void tell_engine(uint32_t fact) { __sanitizer_cov_trace_pc_guard(&fuzz_fact_guards[fact]); }
#elif defined(REJOIN_FUZZ_LIBFUZZER)
/* Not static and marked used: an array that is only written would be optimised away, in silence. */
extern uint8_t fuzz_fact_counters[FUZZ_FACTS];
__attribute__((section("__libfuzzer_extra_counters"), used, aligned(8))) uint8_t fuzz_fact_counters[FUZZ_FACTS];
static void tell_engine(uint32_t fact)
{
    if (fuzz_fact_counters[fact] < UINT8_MAX)
        fuzz_fact_counters[fact]++;
}
#else
static void tell_engine(uint32_t fact) { (void)fact; }
#endif

void fuzz_mark(uint32_t fact)
{
    fact %= FUZZ_FACTS;
    seen_count += !seen[fact];
    seen[fact] = 1;
    tell_engine(fact);
}

uint32_t fuzz_facts_seen(void) { return seen_count; }
