/* Any bytes as what has no API key: headers, ConsumerProtocol, user data of assignors, keys and values of
 * __consumer_offsets. Index among them, version, allocation that fails (0: none), body. */
#include "lib/messages.h"

static const struct rj_message_schema *pick_schema(uint8_t index)
{
    int matching = 0;
    for (int i = 0; i < rj_all_schemas_count; i++)
        matching += rj_all_schemas[i]->kind >= RJ_MESSAGE_HEADER;
    int wanted = index % matching;
    for (int i = 0;; i++)
        if (rj_all_schemas[i]->kind >= RJ_MESSAGE_HEADER && wanted-- == 0)
            return rj_all_schemas[i];
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
