/* Any bytes as the body of any request: API key, version, allocation that fails (0: none), body. */
#include "lib/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_check_any_body(rj_request_schema, data, len);
    return 0;
}
