/* Finding schemas, and which header a message wears. */
#include "rejoin/messages.h"

#include <string.h>

static const struct rj_message_schema *schema_of(int16_t api_key, enum rj_message_kind kind)
{
    if (api_key < 0 || api_key >= rj_api_index_count)
        return NULL;
    return kind == RJ_MESSAGE_REQUEST ? rj_api_index[api_key].request : rj_api_index[api_key].response;
}

const struct rj_message_schema *rj_request_schema(int16_t api_key) { return schema_of(api_key, RJ_MESSAGE_REQUEST); }

const struct rj_message_schema *rj_response_schema(int16_t api_key) { return schema_of(api_key, RJ_MESSAGE_RESPONSE); }

const char *rj_api_name(int16_t api_key)
{
    return api_key < 0 || api_key >= rj_api_index_count ? NULL : rj_api_index[api_key].name;
}

const struct rj_message_schema *rj_schema_by_name(struct rj_string name)
{
    for (int i = 0; i < rj_all_schemas_count; i++) {
        const char *own = rj_all_schemas[i]->name;
        if (rj_string_equal(name, (struct rj_string){own, (int32_t)strlen(own)}))
            return rj_all_schemas[i];
    }
    return NULL;
}

int16_t rj_request_header_version(int16_t api_key, int16_t version)
{
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    return schema != NULL && version >= schema->flexible_from ? 2 : 1;
}

int16_t rj_response_header_version(int16_t api_key, int16_t version)
{
    const struct rj_message_schema *schema = rj_response_schema(api_key);
    if (api_key == RJ_API_API_VERSIONS)
        return 0; /* a client that does not know the version must still read the answer */
    return schema != NULL && version >= schema->flexible_from ? 1 : 0;
}
