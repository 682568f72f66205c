/* The ids of a request that is still bytes. */
#include "rejoin/conn.h"

#include "codec/plan_read.h"

enum { API_AT = 0, VERSION_AT = 2, CLIENT_ID_AT = 8, GENERATION_LEN = 4 };

/* Where the body begins; NULL: the bytes end before, or there are tags in the header, which nobody sends. */
static const uint8_t *skip_header(struct rj_bytes frame, bool is_flexible)
{
    const uint8_t *end = frame.data + frame.len;
    struct rj_bytes client_id;
    const uint8_t *at = plain_view(frame.data + CLIENT_ID_AT, end, true, true, &client_id);
    if (at == NULL || !is_flexible)
        return at;
    return at < end && *at == 0 ? at + 1 : NULL;
}

static const uint8_t *read_id(const uint8_t *at, const uint8_t *end, bool is_flexible, struct rj_string *id)
{
    return is_flexible ? compact_view(at, end, INT16_MAX, false, id) : plain_view(at, end, true, false, id);
}

bool rj_peek_member(struct rj_bytes frame, struct rj_string *group_id, struct rj_string *member_id)
{
    /* API key -> the first version with an id, the first flexible one. Behind the group's id stands a generation, behind
     * that the member's, in all of them. */
    static const struct { int16_t first, flexible_from; } ranges[] = {
        [RJ_API_OFFSET_COMMIT] = {1, 8}, [RJ_API_HEARTBEAT] = {0, 4}, [RJ_API_SYNC_GROUP] = {0, 4},
    };
    if (frame.len < CLIENT_ID_AT)
        return false;
    uint16_t api_key = get_u16(frame.data + API_AT), version = get_u16(frame.data + VERSION_AT);
    if (api_key >= sizeof(ranges) / sizeof(ranges[0]) || ranges[api_key].flexible_from == 0
        || version < ranges[api_key].first)
        return false;
    bool is_flexible = version >= ranges[api_key].flexible_from;
    const uint8_t *end = frame.data + frame.len, *at = skip_header(frame, is_flexible);
    if (at != NULL)
        at = read_id(at, end, is_flexible, group_id);
    return at != NULL && end - at >= GENERATION_LEN
           && read_id(at + GENERATION_LEN, end, is_flexible, member_id) != NULL;
}
