/* Fails on purpose: a check that no engine finds this would make every other silence worthless. Two magic words behind
 * one another and a state that only a fact shows. */
#include "lib/fuzz.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_reader reader = {data, len};
    uint32_t score = 0;
    /* Each byte in turn must be the next letter; the facts, not the edges, tell how far an input came. */
    static const char word[] = "kafka";
    while (score < sizeof(word) - 1 && fuzz_take_byte(&reader) == (uint8_t)word[score])
        score++;
    fuzz_mark(score);
    FUZZ_REQUIRE(score < sizeof(word) - 1, "canary", "the word was found, as it must be");
    return 0;
}
