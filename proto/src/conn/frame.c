/* Frames and headers. */
#include "rejoin/conn.h"

#include "codec/path.h"
#include "codec/plan.h"
#include "codec/plan_read.h"
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

/* Most headers hold a client id and no tags; false: the walker must look. */
static bool read_usual_header(struct rj_bytes frame, int16_t header_version, struct rj_request_frame *request)
{
    enum { CLIENT_ID_AT = REQUEST_HEADER_FIXED_LEN + 2 };
    if (frame.len < CLIENT_ID_AT)
        return false;
    int32_t len = (int16_t)get_u16(frame.data + REQUEST_HEADER_FIXED_LEN);
    int32_t end = CLIENT_ID_AT + (len > 0 ? len : 0), tags_len = header_version == 2;
    if (frame.len < end + tags_len || (tags_len > 0 && frame.data[end] != 0))
        return false;
    request->client_id = len < 0 ? RJ_NULL_STRING : (struct rj_string){(const char *)frame.data + CLIENT_ID_AT, len};
    request->body_offset = (size_t)(end + tags_len);
    return true;
}

/* A header that is too short, or of an API or a version that is none. */
static NEVER_INLINE enum rj_err refuse_header(struct rj_bytes frame, const struct rj_request_frame *request,
                                              struct rj_fault *fault)
{
    struct place place = {&rj_request_header_schema, 0, fault};
    struct path path = {NULL, "requestApiKey", -1};
    if (frame.len < REQUEST_HEADER_FIXED_LEN) {
        if (frame.len >= 2)
            path.name = frame.len < 4 ? "requestApiVersion" : "correlationId";
        return rj_fault_set_number(&place, RJ_ERR_SHORT, 0, &path, "bytes: ", frame.len,
                                   "a header of at least 8 bytes");
    }
    if (request->schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, &path, "API key ", request->api_key, "an API key of Kafka's");
    place = (struct place){request->schema, request->version, fault};
    path.name = "requestApiVersion";
    return rj_fault_set_number(&place, RJ_ERR_VERSION, 2, &path, "version ", request->version, "a version of this API");
}

static NEVER_INLINE enum rj_err walk_header(struct rj_bytes frame, int16_t header_version,
                                            struct rj_request_frame *request, struct rj_arena *arena,
                                            struct rj_fault *fault)
{
    struct rj_request_header header;
    enum rj_err err = rj_decode_prefix(&rj_request_header_schema, header_version, frame, arena, &header,
                                       &request->body_offset, fault);
    request->client_id = header.client_id;
    if (err != RJ_OK && fault != NULL) {
        fault->api_key = request->api_key;
        fault->version = request->version;
    }
    return err;
}

enum rj_err rj_decode_request_header(struct rj_bytes frame, struct rj_request_frame *request, struct rj_arena *arena,
                                     struct rj_fault *fault)
{
    *request = (struct rj_request_frame){.api_key = -1, .version = -1};
    if (frame.len < REQUEST_HEADER_FIXED_LEN)
        return refuse_header(frame, request, fault);
    request->api_key = (int16_t)get_u16(frame.data);
    request->version = (int16_t)get_u16(frame.data + 2);
    request->correlation_id = (int32_t)get_u32(frame.data + 4);
    request->schema = rj_request_schema(request->api_key);
    if (request->schema == NULL || !rj_in_range(request->schema->versions, request->version))
        return refuse_header(frame, request, fault);
    int16_t header_version = request->version >= request->schema->flexible_from ? 2 : 1;
    return read_usual_header(frame, header_version, request) ? RJ_OK
                                                             : walk_header(frame, header_version, request, arena, fault);
}

static const uint8_t *read_id(const uint8_t *at, const uint8_t *end, bool is_flexible, struct rj_string *id)
{
    return is_flexible ? compact_view(at, end, INT16_MAX, false, id) : plain_view(at, end, true, false, id);
}

/* Those in which the group's id comes first, then a generation, then the member's. */
static bool begins_with_ids(int16_t api_key, int16_t version)
{
    return (api_key == RJ_API_OFFSET_COMMIT && version >= 1) || api_key == RJ_API_HEARTBEAT ||
           api_key == RJ_API_SYNC_GROUP;
}

bool rj_peek_member(struct rj_bytes frame, struct rj_string *group_id, struct rj_string *member_id)
{
    enum { GENERATION_LEN = 4 };
    if (frame.len < REQUEST_HEADER_FIXED_LEN)
        return false;
    int16_t api_key = (int16_t)get_u16(frame.data), version = (int16_t)get_u16(frame.data + 2);
    if (!begins_with_ids(api_key, version))
        return false;
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    bool is_flexible = version >= schema->flexible_from;
    struct rj_request_frame request;
    if (!rj_in_range(schema->versions, version) || !read_usual_header(frame, is_flexible ? 2 : 1, &request))
        return false;
    const uint8_t *end = frame.data + frame.len;
    const uint8_t *at = read_id(frame.data + request.body_offset, end, is_flexible, group_id);
    return at != NULL && end - at >= GENERATION_LEN &&
           read_id(at + GENERATION_LEN, end, is_flexible, member_id) != NULL;
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

/* The body behind a length prefix and a header, which stand at the start of out already where they fit. */
static enum rj_err encode_body(size_t header_len, const struct rj_message_schema *schema, int16_t version,
                               const void *body, uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault)
{
    size_t body_len = 0, before = 4 + header_len;
    bool fits = out_len > before;
    enum rj_err err = rj_encode(schema, version, body, fits ? out + before : NULL, fits ? out_len - before : 0,
                                &body_len, fault);
    if (err != RJ_OK && err != RJ_ERR_SPACE)
        return err;
    *len = before + body_len;
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
    size_t header_len = 0;
    enum rj_err err = rj_encode(&rj_request_header_schema, rj_request_header_version(api_key, version), &header,
                                out_len > 4 ? out + 4 : NULL, out_len > 4 ? out_len - 4 : 0, &header_len, fault);
    if (err != RJ_OK && err != RJ_ERR_SPACE)
        return err;
    return encode_body(header_len, schema, version, body, out, out_len, len, fault);
}

enum rj_err rj_encode_response_frame(int16_t api_key, int16_t version, int32_t correlation_id, const void *body,
                                     uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault)
{
    const struct rj_message_schema *schema = rj_response_schema(api_key);
    struct place place = {NULL, version, fault};
    *len = 0;
    if (schema == NULL)
        return rj_fault_set_number(&place, RJ_ERR_API, 0, NULL, "API key ", api_key, "an API key of Kafka's");
    /* The header is a correlation id and, from its version 1 on, an empty section of tags. */
    size_t header_len = rj_response_header_version(api_key, version) == 0 ? 4 : 5;
    if (out_len >= 4 + header_len) {
        put_u32(out + 4, (uint32_t)correlation_id);
        if (header_len == 5)
            out[8] = 0;
    }
    return encode_body(header_len, schema, version, body, out, out_len, len, fault);
}
