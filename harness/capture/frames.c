#include "capture/frames.h"

#include "support/memory.h"

/* Api key, version, correlation id, client id length. */
enum { REQUEST_HEADER_MIN_LEN = 10 };

static int32_t get32(const uint8_t *at)
{
    return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}

static int16_t get16(const uint8_t *at) { return (int16_t)(uint16_t)(at[0] << 8 | at[1]); }

static bool decodes(const uint8_t *frame, uint32_t frame_len)
{
    struct rj_bytes bytes = {frame, (int32_t)frame_len};
    struct rj_request_frame request;
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, (64u << 10) + 24 * (size_t)frame_len);
    bool good = rj_decode_request_header(bytes, &request, &arena, NULL) == RJ_OK &&
                rj_decode_request_body(bytes, &request, &arena, NULL) == RJ_OK;
    rj_arena_release(&arena);
    return good;
}

enum plausible frames_request_plausible(const uint8_t *bytes, size_t len)
{
    if (len < 4)
        return PLAUSIBLE_PERHAPS;
    int32_t frame_len = get32(bytes);
    if (frame_len < REQUEST_HEADER_MIN_LEN || (uint32_t)frame_len > CAPTURE_FRAME_LIMIT)
        return PLAUSIBLE_NO;
    if (len < 4 + REQUEST_HEADER_MIN_LEN)
        return PLAUSIBLE_PERHAPS;
    const struct rj_message_schema *schema = rj_request_schema(get16(bytes + 4));
    if (schema == NULL || !rj_in_range(schema->versions, get16(bytes + 6)))
        return PLAUSIBLE_NO;
    int16_t client_id_len = get16(bytes + 12);
    if (client_id_len < -1 || client_id_len > frame_len - REQUEST_HEADER_MIN_LEN)
        return PLAUSIBLE_NO;
    if (len - 4 < (size_t)frame_len)
        return PLAUSIBLE_PERHAPS;
    return decodes(bytes + 4, (uint32_t)frame_len) ? PLAUSIBLE_YES : PLAUSIBLE_NO;
}
