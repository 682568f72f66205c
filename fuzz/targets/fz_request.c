/* Any bytes as the body of any request: API key, version, allocation that fails (0: none), body. */
#include "lib/messages.h"

static const struct rj_message_schema *pick_schema(uint8_t key)
{
    const struct rj_message_schema *schema = rj_request_schema(key);
    for (int16_t other = key % 93; schema == NULL; other = (int16_t)((other + 1) % 93))
        schema = rj_request_schema(other);
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_reader reader = {data, len};
    const struct rj_message_schema *schema = pick_schema(fuzz_take_byte(&reader));
    int16_t version = fuzz_pick_version(schema, fuzz_take_byte(&reader));
    uint64_t fail_at = fuzz_take_byte(&reader);
    fuzz_check_body(schema, version, fuzz_take_rest(&reader), fail_at);
    return 0;
}
