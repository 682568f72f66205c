/* The mutator of the sequence target for AFL++, which does not call LLVMFuzzerCustomMutator: a library that afl-fuzz loads
 * (AFL_CUSTOM_MUTATOR_LIBRARY). It is built without instrumentation, as afl-fuzz itself is. */
#include "lib/sequence.h"

#include <stdlib.h>
#include <string.h>

enum { LEN_MAX = SEQUENCE_HEADER_LEN + SEQUENCE_MAX_OPS * SEQUENCE_OP_LEN };

struct mutator { uint32_t seed; uint8_t out[LEN_MAX]; };

void *afl_custom_init(void *afl, unsigned int seed);
void afl_custom_deinit(void *data);
size_t afl_custom_fuzz(void *data, uint8_t *input, size_t len, uint8_t **out, uint8_t *other, size_t other_len,
                       size_t max_len);

void *afl_custom_init(void *afl, unsigned int seed)
{
    (void)afl;
    struct mutator *mutator = calloc(1, sizeof(*mutator));
    if (mutator != NULL)
        mutator->seed = seed;
    return mutator;
}

void afl_custom_deinit(void *data) { free(data); }

size_t afl_custom_fuzz(void *data, uint8_t *input, size_t len, uint8_t **out, uint8_t *other, size_t other_len,
                       size_t max_len)
{
    struct mutator *mutator = data;
    size_t cap = max_len < LEN_MAX ? max_len : LEN_MAX;
    uint32_t seed = ++mutator->seed;
    size_t out_len = seed % 8 == 0 && other != NULL
                         ? sequence_splice(input, len, other, other_len, mutator->out, cap, seed) : 0;
    if (out_len == 0) {
        out_len = len < cap ? len : cap;
        memcpy(mutator->out, input, out_len);
    }
    *out = mutator->out;
    return sequence_mutate(mutator->out, out_len, cap, seed);
}
