/* One direction of a TCP connection as a stream of bytes: puts segments in order, drops what comes twice, and knows
 * where bytes are missing. Sequence numbers wrap. Where copies of a byte differ the first one seen counts. */
#ifndef REJOIN_CAPTURE_REASSEMBLY_H
#define REJOIN_CAPTURE_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reassembly_piece;
struct reassembly_mark { uint64_t end; uint64_t frame; int64_t time_us; }; /* bytes before end came with that frame */

struct reassembly {
    bool started;        /* next_sequence is known */
    uint32_t next_sequence;
    uint32_t peer_acknowledged; /* the other side has everything before this */
    bool has_acknowledged;
    uint32_t written_off; /* what was acknowledged, not seen, and is not waited for any more ends here */
    bool has_written_off;
    bool cut;            /* the capture kept only a part of a segment: what follows can never come */
    uint8_t *bytes;      /* unread bytes: bytes[start .. end) */
    size_t start, end, capacity;
    uint64_t position;   /* of bytes[start] in the stream, counted over everything that was read */
    struct reassembly_mark *marks;
    size_t mark_count, mark_capacity;
    struct reassembly_piece *pieces; /* behind a hole, sorted by sequence */
    size_t piece_bytes;
    int64_t hole_since_us;
};

void reassembly_init(struct reassembly *stream);
void reassembly_release(struct reassembly *stream);

/* The connection opened: the first byte has this sequence number. */
void reassembly_start(struct reassembly *stream, uint32_t first_sequence);
/* Takes a segment in. len bytes are there of wire_len. Bytes that are far outside the window are ignored. */
void reassembly_add(struct reassembly *stream, uint32_t sequence, const uint8_t *data, uint32_t len,
                    uint32_t wire_len, uint64_t frame, int64_t time_us);
void reassembly_acknowledged(struct reassembly *stream, uint32_t acknowledgement);

/* How many bytes are missing before the next ones that are there, where they will not come any more: the peer has
 * acknowledged them and some time has passed, too much has piled up, or at_end. 0: nothing is known to be lost. */
uint32_t reassembly_lost_len(const struct reassembly *stream, int64_t now_us, bool at_end);
/* The peer has acknowledged bytes that were not seen, or some stand behind a hole. */
bool reassembly_is_behind(const struct reassembly *stream);
/* What was acknowledged and not seen is lost; it is not waited for. */
void reassembly_write_off(struct reassembly *stream);
/* Goes on behind the hole; unread bytes before it are dropped. */
void reassembly_skip_hole(struct reassembly *stream);

size_t reassembly_unread_len(const struct reassembly *stream);
const uint8_t *reassembly_unread(const struct reassembly *stream);
void reassembly_consume(struct reassembly *stream, size_t len);
/* The packet that brought the last of the next len unread bytes. */
struct reassembly_mark reassembly_mark_at(const struct reassembly *stream, size_t len);

#endif
