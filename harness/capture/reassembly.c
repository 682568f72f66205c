#include "capture/reassembly.h"

#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* A hole that the receiver has acknowledged is given up after this time; captures shuffle packets within less. */
#define HOLE_PATIENCE_US 200000
/* So much may wait behind a hole, whatever was acknowledged: TCP windows are smaller on ordinary paths. */
#define PILE_LIMIT (8u << 20)
/* A segment further away than this from what is expected belongs to no window. */
#define WINDOW_LIMIT (1 << 30)

struct reassembly_piece {
    struct reassembly_piece *next;
    uint32_t sequence, len;
    uint64_t frame;
    int64_t time_us;
    uint8_t data[];
};

void reassembly_init(struct reassembly *stream) { memset(stream, 0, sizeof(*stream)); }

static void free_pieces(struct reassembly *stream)
{
    while (stream->pieces != NULL) {
        struct reassembly_piece *next = stream->pieces->next;
        free(stream->pieces);
        stream->pieces = next;
    }
    stream->piece_bytes = 0;
}

void reassembly_release(struct reassembly *stream)
{
    free_pieces(stream);
    free(stream->bytes);
    free(stream->marks);
    reassembly_init(stream);
}

void reassembly_start(struct reassembly *stream, uint32_t first_sequence)
{
    stream->started = true;
    stream->next_sequence = first_sequence;
}

static void make_room(struct reassembly *stream, size_t len)
{
    if (stream->start > 0 && (stream->start == stream->end || stream->start > stream->capacity / 2)) {
        memmove(stream->bytes, stream->bytes + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
    }
    if (stream->capacity - stream->end >= len)
        return;
    stream->capacity = (stream->end + len) * 2;
    stream->bytes = rejoin_realloc(stream->bytes, stream->capacity);
}

static void append(struct reassembly *stream, const uint8_t *data, uint32_t len, uint64_t frame, int64_t time_us)
{
    make_room(stream, len);
    memcpy(stream->bytes + stream->end, data, len);
    stream->end += len;
    stream->next_sequence += len;
    uint64_t end = stream->position + (stream->end - stream->start);
    if (stream->mark_count > 0 && stream->marks[stream->mark_count - 1].frame == frame) {
        stream->marks[stream->mark_count - 1].end = end;
        return;
    }
    if (stream->mark_count == stream->mark_capacity) {
        stream->mark_capacity = stream->mark_capacity * 2 + 8;
        stream->marks = rejoin_realloc(stream->marks, stream->mark_capacity * sizeof(stream->marks[0]));
    }
    stream->marks[stream->mark_count++] = (struct reassembly_mark){end, frame, time_us};
}

static void keep_for_later(struct reassembly *stream, uint32_t sequence, const uint8_t *data, uint32_t len,
                           uint64_t frame, int64_t time_us)
{
    struct reassembly_piece **at = &stream->pieces;
    if (*at == NULL)
        stream->hole_since_us = time_us;
    while (*at != NULL && (int32_t)((*at)->sequence - sequence) <= 0) {
        if ((*at)->sequence == sequence && (*at)->len >= len)
            return; /* seen already */
        at = &(*at)->next;
    }
    struct reassembly_piece *piece = rejoin_alloc(sizeof(*piece) + len);
    *piece = (struct reassembly_piece){.next = *at, .sequence = sequence, .len = len, .frame = frame,
                                       .time_us = time_us};
    memcpy(piece->data, data, len);
    *at = piece;
    stream->piece_bytes += len;
}

/* Appends the pieces that follow without a hole. They become readable with the given packet, which filled the hole;
 * frame 0: with their own, as the hole was given up. */
static void take_pieces(struct reassembly *stream, uint64_t frame, int64_t time_us)
{
    while (stream->pieces != NULL && (int32_t)(stream->pieces->sequence - stream->next_sequence) <= 0) {
        struct reassembly_piece *piece = stream->pieces;
        uint32_t known = stream->next_sequence - piece->sequence;
        if (known < piece->len)
            append(stream, piece->data + known, piece->len - known, frame ? frame : piece->frame,
                   frame ? time_us : piece->time_us);
        stream->pieces = piece->next;
        stream->piece_bytes -= piece->len;
        if (stream->pieces != NULL)
            stream->hole_since_us = stream->pieces->time_us;
        free(piece);
    }
}

void reassembly_add(struct reassembly *stream, uint32_t sequence, const uint8_t *data, uint32_t len,
                    uint32_t wire_len, uint64_t frame, int64_t time_us)
{
    if (wire_len == 0)
        return;
    if (!stream->started)
        reassembly_start(stream, sequence);
    int32_t ahead = (int32_t)(sequence - stream->next_sequence);
    if (ahead > WINDOW_LIMIT || ahead < -WINDOW_LIMIT)
        return;
    if (len < wire_len && ahead + (int64_t)wire_len > 0)
        stream->cut = true;
    if (ahead <= 0) {
        uint32_t known = (uint32_t)-ahead;
        if (known < len)
            append(stream, data + known, len - known, frame, time_us);
        take_pieces(stream, frame, time_us);
    } else if (len > 0) {
        keep_for_later(stream, sequence, data, len, frame, time_us);
    }
}

void reassembly_acknowledged(struct reassembly *stream, uint32_t acknowledgement)
{
    if (!stream->has_acknowledged || (int32_t)(acknowledgement - stream->peer_acknowledged) > 0)
        stream->peer_acknowledged = acknowledgement;
    stream->has_acknowledged = true;
}

static bool is_acknowledged(const struct reassembly *stream)
{
    return stream->has_acknowledged && (int32_t)(stream->peer_acknowledged - stream->pieces->sequence) >= 0;
}

uint32_t reassembly_lost_len(const struct reassembly *stream, int64_t now_us, bool at_end)
{
    if (stream->pieces == NULL)
        return 0;
    uint32_t hole = stream->pieces->sequence - stream->next_sequence;
    if (at_end || stream->cut || stream->piece_bytes > PILE_LIMIT ||
        (is_acknowledged(stream) && now_us - stream->hole_since_us >= HOLE_PATIENCE_US))
        return hole;
    return 0;
}

void reassembly_skip_hole(struct reassembly *stream)
{
    uint32_t hole = stream->pieces->sequence - stream->next_sequence;
    stream->position += (stream->end - stream->start) + hole;
    stream->start = stream->end = 0;
    stream->mark_count = 0;
    stream->next_sequence += hole;
    stream->cut = false;
    take_pieces(stream, 0, 0);
}

bool reassembly_is_behind(const struct reassembly *stream)
{
    if (stream->pieces != NULL)
        return true;
    if (!stream->started || !stream->has_acknowledged ||
        (stream->has_written_off && (int32_t)(stream->peer_acknowledged - stream->written_off) <= 0))
        return false;
    return (int32_t)(stream->peer_acknowledged - stream->next_sequence) > 1; /* 1: a FIN takes a number */
}

void reassembly_write_off(struct reassembly *stream)
{
    stream->written_off = stream->peer_acknowledged;
    stream->has_written_off = true;
}

size_t reassembly_unread_len(const struct reassembly *stream) { return stream->end - stream->start; }

/* The sum of a null pointer and 0 is not C. */
const uint8_t *reassembly_unread(const struct reassembly *stream)
{
    return stream->bytes ? stream->bytes + stream->start : (const uint8_t *)"";
}

void reassembly_consume(struct reassembly *stream, size_t len)
{
    stream->start += len;
    stream->position += len;
    size_t gone = 0;
    while (gone < stream->mark_count && stream->marks[gone].end <= stream->position)
        gone++;
    if (gone > 0) {
        memmove(stream->marks, stream->marks + gone, (stream->mark_count - gone) * sizeof(stream->marks[0]));
        stream->mark_count -= gone;
    }
}

struct reassembly_mark reassembly_mark_at(const struct reassembly *stream, size_t len)
{
    uint64_t end = stream->position + len;
    for (size_t i = 0; i < stream->mark_count; i++)
        if (stream->marks[i].end >= end)
            return stream->marks[i];
    return stream->mark_count > 0 ? stream->marks[stream->mark_count - 1] : (struct reassembly_mark){0, 0, 0};
}
