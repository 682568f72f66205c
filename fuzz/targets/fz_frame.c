/* A connection's byte stream, cut into pieces: what is read out of it must not depend on how it was cut, and a length beyond
 * the limit, or a negative one, is refused as soon as its four bytes are there.
 * Input: the limit of a frame, the number of cuts, the cuts (lengths of the pieces, in turn), the stream. */
#include "lib/fuzz.h"
#include "rejoin/conn.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 64, MAX_CUTS = 16 };

/* What was seen, in order. */
struct seen {
    struct frame { uint32_t len; enum rj_err header_err, body_err; int16_t api_key, version; int32_t correlation_id;
                   size_t body_offset; } frames[MAX_FRAMES];
    uint32_t frame_count;
    bool refused; /* a length prefix that closes the connection */
};

/* The ids that are seen without decoding are those of the decoded body; NULL: there is none. */
static void check_peek(struct rj_bytes frame, const struct rj_request_frame *request)
{
    struct rj_string group_id, member_id, found[2];
    if (!rj_peek_member(frame, &group_id, &member_id) || request == NULL)
        return;
    if (request->api_key == RJ_API_OFFSET_COMMIT) {
        const struct rj_offset_commit_request *body = request->body;
        found[0] = body->group_id, found[1] = body->member_id;
    } else if (request->api_key == RJ_API_HEARTBEAT) {
        const struct rj_heartbeat_request *body = request->body;
        found[0] = body->group_id, found[1] = body->member_id;
    } else {
        FUZZ_REQUIRE(request->api_key == RJ_API_SYNC_GROUP, "peek", "ids of API %d", request->api_key);
        const struct rj_sync_group_request *body = request->body;
        found[0] = body->group_id, found[1] = body->member_id;
    }
    FUZZ_REQUIRE(rj_string_equal(found[0], group_id) && rj_string_equal(found[1], member_id), "peek",
                 "API %d v%d: '%.*s' and '%.*s'", request->api_key, request->version, group_id.len, group_id.data,
                 member_id.len, member_id.data);
}

static void read_frame(struct rj_bytes frame, struct seen *seen)
{
    struct fuzz_heap heap;
    struct rj_arena arena;
    struct rj_fault fault;
    struct rj_request_frame request = {.body = NULL};
    struct frame *row = &seen->frames[seen->frame_count++];
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    *row = (struct frame){.len = (uint32_t)frame.len, .body_err = RJ_OK};
    row->header_err = rj_decode_request_header(frame, &request, &arena, &fault);
    if (row->header_err == RJ_OK) {
        FUZZ_REQUIRE(request.schema != NULL && request.body_offset <= (size_t)frame.len, "frame-header",
                     "body at %zu of %d", request.body_offset, frame.len);
        row->body_err = rj_decode_request_body(frame, &request, &arena, &fault);
        FUZZ_REQUIRE(row->body_err != RJ_OK || request.body != NULL, "frame-body", "%s", rj_err_name(row->body_err));
    }
    check_peek(frame, row->header_err == RJ_OK && row->body_err == RJ_OK ? &request : NULL);
    if (row->header_err == RJ_OK || row->header_err == RJ_ERR_API || row->header_err == RJ_ERR_VERSION) {
        row->api_key = request.api_key;
        row->version = request.version;
        row->correlation_id = request.correlation_id;
        row->body_offset = row->header_err == RJ_OK ? request.body_offset : 0;
    }
    if (row->header_err != RJ_OK || row->body_err != RJ_OK)
        FUZZ_REQUIRE(fault.offset <= (size_t)frame.len, "fault-offset", "offset %zu of %d", fault.offset, frame.len);
    /* Header and body are two messages. */
    FUZZ_REQUIRE(arena.used_len <= 2 * fuzz_decode_bound((size_t)frame.len), "amplification", "%zu bytes for %d",
                 arena.used_len, frame.len);
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}

/* What a length prefix says is known when it is there: nobody waits for a frame that must not come. */
static void check_prefix(struct rj_bytes there, uint32_t max_frame_len, int found)
{
    if (there.len < 4)
        return;
    uint32_t len = (uint32_t)there.data[0] << 24 | (uint32_t)there.data[1] << 16 | (uint32_t)there.data[2] << 8 |
                   there.data[3];
    FUZZ_REQUIRE((found < 0) == (len > max_frame_len), "frame-refused", "length %u, limit %u: %d", len, max_frame_len,
                 found);
}

/* Feeds pieces whose lengths are the cuts in turn; no cuts: everything at once. */
static void read_stream(struct rj_bytes stream, uint32_t max_frame_len, const uint8_t *cuts, uint32_t cut_count,
                        struct seen *seen)
{
    int32_t taken = 0, arrived = cut_count > 0 ? 0 : stream.len;
    for (uint32_t turn = 0;; turn++) {
        while (seen->frame_count < MAX_FRAMES && !seen->refused) {
            uint32_t frame_len = 0;
            struct rj_bytes there = {stream.data + taken, arrived - taken};
            int found = rj_frame_next(there, max_frame_len, &frame_len);
            check_prefix(there, max_frame_len, found);
            if (found < 0)
                seen->refused = true;
            if (found <= 0)
                break;
            FUZZ_REQUIRE(frame_len <= max_frame_len && frame_len + 4 <= (uint32_t)there.len, "frame-len",
                         "%u of %d, limit %u", frame_len, there.len, max_frame_len);
            read_frame((struct rj_bytes){there.data + 4, (int32_t)frame_len}, seen);
            taken += 4 + (int32_t)frame_len;
        }
        if (arrived == stream.len)
            return;
        int32_t piece = 1 + cuts[turn % cut_count];
        arrived = stream.len - arrived < piece ? stream.len : arrived + piece;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_reader reader = {data, len};
    uint32_t max_frame_len = fuzz_take_uint16(&reader);
    uint32_t cut_count = 1 + fuzz_take_byte(&reader) % MAX_CUTS;
    uint8_t cuts[MAX_CUTS];
    for (uint32_t i = 0; i < cut_count; i++)
        cuts[i] = fuzz_take_byte(&reader);
    struct rj_bytes stream = fuzz_take_rest(&reader);
    static struct seen whole, in_pieces;
    memset(&whole, 0, sizeof(whole));
    memset(&in_pieces, 0, sizeof(in_pieces));
    read_stream(stream, max_frame_len, NULL, 0, &whole);
    read_stream(stream, max_frame_len, cuts, cut_count, &in_pieces);
    FUZZ_REQUIRE(memcmp(&whole, &in_pieces, sizeof(whole)) == 0, "split", "%u frames whole, %u in pieces",
                 whole.frame_count, in_pieces.frame_count);
    return 0;
}
