/* Any text as the JSON of any message: index of the message, version, text. */
#include "lib/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_reader reader = {data, len};
    const struct rj_message_schema *schema = rj_all_schemas[fuzz_take_byte(&reader) % rj_all_schemas_count];
    int16_t version = fuzz_pick_version(schema, fuzz_take_byte(&reader));
    struct rj_bytes rest = fuzz_take_rest(&reader);
    fuzz_check_json(schema, version, (struct rj_string){(const char *)rest.data, rest.len});
    return 0;
}
