/* Frames and headers. */
#include "rejoin/conn.h"

#include "codec/path.h"
#include "codec/wire.h"

enum { UNSUPPORTED_VERSION = 35, REQUEST_HEADER_FIXED_LEN = 8 };

int rj_frame_next(struct rj_bytes stream, uint32_t max_frame_len, uint32_t *frame_len)
{
    *frame_len = 0;
    if (stream.len < 4)
        return 0;
    uint32_t len = get_u32(stream.data);
    if (len > INT32_MAX || len > max_frame_len)
        return -1;
    *frame_len = len;
    return (uint32_t)stream.len - 4 >= len;
}

static enum rj_err fault_shift(enum rj_err err, struct rj_fault *fault, size_t by)
{
    if (err != RJ_OK && fault != NULL)
        fault->offset += by;
    return err;
}

enum rj_err rj_decode_request_header(struct rj_bytes frame, struct rj_request_frame *request, struct rj_arena *arena,
                                     struct rj_fault *fault)
{
    *request = (struct rj_request_frame){.api_key = -1, .version = -1};
    struct place place = {&rj_request_header_schema, 0, fault};
    if (frame.len < REQUEST_HEADER_FIXED_LEN) {
        struct path path = {NULL, frame.len < 2 ? "requestApiKey" : frame.len < 4 ? "requestApiVersion"
                                                                                  : "correlationId", -1};
        return rj_fault_set_number(&place, RJ_ERR_SHORT, 0, &path, "bytes: ", frame.len,
                                   "a header of at least 8 bytes");
    }
    request->api_key = (int16_t)get_u16(frame.data);
    request->version = (int16_t)get_u16(frame.data + 2);
    request->correlation_id = (int32_t)get_u32(frame.data + 4);
    request->schema = rj_request_schema(request->api_key);
    struct path path = {NULL, "requestApiKey", -1};
    if (request->schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, &path, "API key ", request->api_key, "an API key of Kafka's");
    place = (struct place){request->schema, request->version, fault};
    path.name = "requestApiVersion";
    if (!rj_in_range(request->schema->versions, request->version))
        return rj_fault_set_number(&place, RJ_ERR_VERSION, 2, &path, "version ", request->version,
                                "a version of this API");
    struct rj_request_header header;
    enum rj_err err = rj_decode_prefix(&rj_request_header_schema,
                                       rj_request_header_version(request->api_key, request->version), frame, arena,
                                       &header, &request->body_offset, fault);
    request->client_id = header.client_id;
    if (err != RJ_OK && fault != NULL) {
        fault->api_key = request->api_key;
        fault->version = request->version;
    }
    return err;
}

enum rj_err rj_decode_request_body(struct rj_bytes frame, struct rj_request_frame *request, struct rj_arena *arena,
                                   struct rj_fault *fault)
{
    struct rj_bytes body = {frame.data + request->body_offset, frame.len - (int32_t)request->body_offset};
    request->body = rj_arena_alloc(arena, request->schema->root->size);
    if (request->body == NULL) {
        struct place place = {request->schema, request->version, fault};
        return rj_fault_set(&place, RJ_ERR_MEMORY, 0, NULL, "no memory", "memory for the body");
    }
    return fault_shift(rj_decode(request->schema, request->version, body, arena, request->body, fault), fault,
                       request->body_offset);
}

enum rj_err rj_decode_response(struct rj_bytes frame, int16_t api_key, int16_t version,
                               struct rj_response_frame *response, struct rj_arena *arena, struct rj_fault *fault)
{
    *response = (struct rj_response_frame){.version = version, .schema = rj_response_schema(api_key)};
    struct place place = {NULL, version, fault};
    if (response->schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, NULL, "API key ", api_key, "an API key of Kafka's");
    struct rj_response_header header;
    enum rj_err err = rj_decode_prefix(&rj_response_header_schema, rj_response_header_version(api_key, version), frame,
                                       arena, &header, &response->body_offset, fault);
    response->correlation_id = header.correlation_id;
    if (err != RJ_OK) {
        if (fault != NULL)
            fault->api_key = api_key;
        return err;
    }
    struct rj_bytes body = {frame.data + response->body_offset, frame.len - (int32_t)response->body_offset};
    /* A broker that does not know the version asked for answers in version 0, which every client can read. */
    if (api_key == RJ_API_API_VERSIONS && body.len >= 2 && get_u16(body.data) == UNSUPPORTED_VERSION)
        response->version = 0;
    response->body = rj_arena_alloc(arena, response->schema->root->size);
    if (response->body == NULL) {
        place.schema = response->schema;
        return rj_fault_set(&place, RJ_ERR_MEMORY, 0, NULL, "no memory", "memory for the body");
    }
    return fault_shift(rj_decode(response->schema, response->version, body, arena, response->body, fault), fault,
                       response->body_offset);
}

/* Header and body behind a length prefix. */
static enum rj_err encode_frame(const struct rj_message_schema *header_schema, int16_t header_version,
                                const void *header, const struct rj_message_schema *schema, int16_t version,
                                const void *body, uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault)
{
    size_t header_len = 0, body_len = 0;
    size_t room = out_len > 4 ? out_len - 4 : 0;
    uint8_t *at = out_len > 4 ? out + 4 : NULL;
    *len = 0;
    enum rj_err err = rj_encode(header_schema, header_version, header, at, room, &header_len, fault);
    if (err != RJ_OK && err != RJ_ERR_SPACE)
        return err;
    bool fits = err == RJ_OK && at != NULL;
    err = rj_encode(schema, version, body, fits ? at + header_len : NULL, fits ? room - header_len : 0, &body_len,
                    fault);
    if (err != RJ_OK && err != RJ_ERR_SPACE)
        return err;
    *len = 4 + header_len + body_len;
    if (*len > out_len || *len - 4 > INT32_MAX) {
        struct place place = {schema, version, fault};
        return rj_fault_set_number(&place, RJ_ERR_SPACE, 0, NULL, "room: ", (int64_t)out_len,
                                   "room for the whole frame");
    }
    put_u32(out, (uint32_t)(*len - 4));
    return RJ_OK;
}

enum rj_err rj_encode_request_frame(int16_t api_key, int16_t version, int32_t correlation_id,
                                    struct rj_string client_id, const void *body, uint8_t *out, size_t out_len,
                                    size_t *len, struct rj_fault *fault)
{
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    struct place place = {NULL, version, fault};
    *len = 0;
    if (schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, NULL, "API key ", api_key, "an API key of Kafka's");
    struct rj_request_header header;
    rj_message_init(&rj_request_header_schema, &header);
    header.request_api_key = api_key;
    header.request_api_version = version;
    header.correlation_id = correlation_id;
    header.client_id = client_id;
    return encode_frame(&rj_request_header_schema, rj_request_header_version(api_key, version), &header, schema,
                        version, body, out, out_len, len, fault);
}

enum rj_err rj_encode_response_frame(int16_t api_key, int16_t version, int32_t correlation_id, const void *body,
                                     uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault)
{
    const struct rj_message_schema *schema = rj_response_schema(api_key);
    struct place place = {NULL, version, fault};
    *len = 0;
    if (schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, NULL, "API key ", api_key, "an API key of Kafka's");
    struct rj_response_header header;
    rj_message_init(&rj_response_header_schema, &header);
    header.correlation_id = correlation_id;
    return encode_frame(&rj_response_header_schema, rj_response_header_version(api_key, version), &header, schema,
                        version, body, out, out_len, len, fault);
}
