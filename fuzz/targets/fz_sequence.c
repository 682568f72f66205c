/* A program of operations on one coordinator; see lib/sequence.h for the format and lib/world.h for what is checked. */
#include "lib/world.h"

#include <stdlib.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t cap, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_len, const uint8_t *second, size_t second_len,
                                 uint8_t *out, size_t cap, unsigned int seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct world world;
    struct fuzz_reader reader = {data, len};
    struct sequence_op op;
    world_begin(&world, sequence_read_settings(&reader));
    for (int i = 0; i < SEQUENCE_MAX_OPS && sequence_read_op(&reader, &op); i++)
        world_run_op(&world, &op);
    world_heal(&world);
    world_end(&world);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t cap, unsigned int seed)
{
    return sequence_mutate(data, len, cap, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_len, const uint8_t *second, size_t second_len,
                                 uint8_t *out, size_t cap, unsigned int seed)
{
    return sequence_splice(first, first_len, second, second_len, out, cap, seed);
}
