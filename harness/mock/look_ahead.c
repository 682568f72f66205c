/* Several requests that one read brought are looked at before the first is processed, so that the memory of their
 * groups and members is fetched side by side and not one after the other. With ten thousand groups and 16 requests in
 * flight that is a third of a heartbeat's time. */
#include "mock/internal.h"

#include "rejoin/conn.h"

enum {
    AHEAD_COUNT = 16,
    /* Below that all of it stays in a core's own cache (1 to 2 MB today), and looking ahead is time lost. */
    CACHED_LEN = 2 * 1024 * 1024,
};

size_t mock_look_ahead(const struct mock_cluster *cluster, uint32_t frame_limit, const uint8_t *bytes, size_t len)
{
    struct rj_ahead ahead[AHEAD_COUNT];
    size_t seen_len = 0;
    int count = 0;
    if (cluster->coordinators_len < CACHED_LEN)
        return len;
    for (uint32_t frame_len; count < AHEAD_COUNT; seen_len += 4 + (size_t)frame_len) {
        size_t left = len - seen_len;
        struct rj_bytes stream = {bytes + seen_len, left > INT32_MAX ? INT32_MAX : (int32_t)left};
        if (rj_frame_next(stream, frame_limit, &frame_len) != 1)
            break;
        struct rj_string group_id, member_id;
        const struct rj_coord *coord;
        if (rj_peek_member((struct rj_bytes){stream.data + 4, (int32_t)frame_len}, &group_id, &member_id) &&
            (coord = mock_group_coordinator(cluster, group_id)->coord) != NULL)
            rj_look_ahead(coord, group_id, member_id, &ahead[count++]);
    }
    for (bool is_going = count > 1; is_going;) {
        is_going = false;
        for (int i = 0; i < count; i++)
            is_going |= rj_look_further(&ahead[i]);
    }
    return seen_len > 0 ? seen_len : len;
}
