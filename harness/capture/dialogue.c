#include "capture/dialogue.h"

#include "capture/frames.h"
#include "capture/packet.h"
#include "capture/reassembly.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection that has said nothing plausible in so many bytes of one direction does not speak Kafka. */
#define DETECTION_LIMIT (256u << 10)

/* So long bytes are waited for that the receiver has acknowledged; captures shuffle packets within less. */
#define PATIENCE_US 200000

struct exchange {
    struct capture_exchange shown; /* first: sinks get its address */
    struct rj_arena request_arena, response_arena;
    uint8_t *request_bytes, *response_bytes;
    struct exchange *next;
};

struct half {
    struct reassembly bytes;
    bool lost;         /* a hole was met: the next frame's start has to be found */
    size_t skip_len;   /* bytes of a frame with a hole in it that are still to come */
    bool syn_seen;
    int64_t behind_since_us; /* bytes are missing that the peer has; 0: none are */
};

enum stream_kind { STREAM_UNKNOWN, STREAM_KAFKA, STREAM_OTHER };

struct stream {
    struct capture_stream shown; /* first */
    struct capture_endpoint ends[2];
    struct half halves[2];       /* halves[i]: bytes sent by ends[i] */
    int client;                  /* which end sends requests, where known */
    enum stream_kind kind;
    bool closed, raw_tokens;
    bool had_gap;
    uint64_t first_frame;
    int64_t first_time_us;
    struct exchange *oldest, **newest;
    struct stream *next_in_bucket;
};

enum { BUCKET_COUNT = 4096 };

struct server { struct capture_endpoint endpoint; struct server *next; };

struct dialogue {
    int link_type;
    const struct capture_sink *sinks;
    int sink_count;
    struct capture_counts counts;
    struct stream *buckets[BUCKET_COUNT];
    struct stream **streams; /* all, by order of appearance */
    size_t stream_count, stream_capacity;
    uint64_t kafka_count;
    struct server *servers;  /* endpoints that were seen to answer Kafka requests */
};

struct dialogue *dialogue_create(int link_type, const struct capture_sink *sinks, int sink_count)
{
    struct dialogue *dialogue = rejoin_alloc_zeroed(1, sizeof(*dialogue));
    dialogue->link_type = link_type;
    dialogue->sinks = sinks;
    dialogue->sink_count = sink_count;
    return dialogue;
}

const struct capture_counts *dialogue_counts(const struct dialogue *dialogue) { return &dialogue->counts; }

/* ---- Exchanges -------------------------------------------------------------------------------------------------- */

static void exchange_free(struct exchange *exchange)
{
    rj_arena_release(&exchange->request_arena);
    rj_arena_release(&exchange->response_arena);
    free(exchange->request_bytes);
    free(exchange->response_bytes);
    free(exchange);
}

static uint8_t *copy_bytes(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = rejoin_alloc(len);
    memcpy(copy, bytes, len);
    return copy;
}

static size_t arena_limit(size_t len) { return (64u << 10) + 24 * len; }

static struct exchange *exchange_new(struct stream *stream, const uint8_t *frame, size_t len)
{
    struct exchange *exchange = rejoin_alloc_zeroed(1, sizeof(*exchange));
    rj_arena_init(&exchange->request_arena, &rejoin_heap, arena_limit(len));
    rj_arena_init(&exchange->response_arena, &rejoin_heap, 0);
    exchange->request_bytes = copy_bytes(frame, len);
    exchange->shown.stream = &stream->shown;
    exchange->shown.api_key = exchange->shown.version = -1;
    return exchange;
}

static void enqueue(struct stream *stream, struct exchange *exchange)
{
    if (stream->oldest == NULL)
        stream->newest = &stream->oldest;
    *stream->newest = exchange;
    stream->newest = &exchange->next;
}

static void unlink_exchange(struct stream *stream, struct exchange **at)
{
    struct exchange *exchange = *at;
    *at = exchange->next;
    if (stream->newest == &exchange->next)
        stream->newest = at;
    exchange->next = NULL;
}

static void drop_exchange(struct dialogue *dialogue, struct stream *stream, struct exchange **at)
{
    struct exchange *exchange = *at;
    unlink_exchange(stream, at);
    dialogue->counts.unanswered++;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].dropped)
            dialogue->sinks[i].dropped(dialogue->sinks[i].context, &exchange->shown);
    exchange_free(exchange);
}

static struct exchange **find_exchange(struct stream *stream, int32_t correlation_id)
{
    struct exchange **at = &stream->oldest;
    while (*at != NULL && (*at)->shown.correlation_id != correlation_id)
        at = &(*at)->next;
    return at;
}

static bool expects_no_answer(const struct capture_exchange *exchange)
{
    return exchange->api_key == RJ_API_PRODUCE && exchange->request != NULL &&
           ((const struct rj_produce_request *)exchange->request)->acks == 0;
}

static void take_request(struct dialogue *dialogue, struct stream *stream, const uint8_t *frame, size_t len,
                         struct reassembly_mark mark)
{
    struct exchange *exchange = exchange_new(stream, frame, len);
    struct capture_exchange *shown = &exchange->shown;
    struct rj_bytes bytes = {exchange->request_bytes, (int32_t)len};
    struct rj_request_frame request = {.api_key = -1, .version = -1};
    shown->request_frame = mark.frame;
    shown->request_time_us = mark.time_us;
    shown->request_err = rj_decode_request_header(bytes, &request, &exchange->request_arena, &shown->request_fault);
    if (shown->request_err == RJ_OK)
        shown->request_err = rj_decode_request_body(bytes, &request, &exchange->request_arena, &shown->request_fault);
    shown->api_key = request.api_key;
    shown->version = request.version;
    shown->correlation_id = request.correlation_id;
    shown->client_id = request.client_id;
    shown->request = shown->request_err == RJ_OK ? request.body : NULL;
    if (shown->request != NULL)
        shown->request_part = (struct capture_part){
            bytes, request.body_offset, &rj_request_header_schema, request.schema,
            rj_request_header_version(request.api_key, request.version), request.version};
    if (shown->request_err != RJ_OK && (stream->had_gap || stream->raw_tokens)) {
        exchange_free(exchange); /* no frame at all, perhaps: nobody is blamed for it */
        return;
    }
    dialogue->counts.requests++;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].request)
            dialogue->sinks[i].request(dialogue->sinks[i].context, shown);
    if (expects_no_answer(shown))
        exchange_free(exchange);
    else
        enqueue(stream, exchange);
}

static void decode_response(struct exchange *exchange, const uint8_t *frame, size_t len)
{
    struct capture_exchange *shown = &exchange->shown;
    struct rj_response_frame response = {0};
    exchange->response_bytes = copy_bytes(frame, len);
    rj_arena_init(&exchange->response_arena, &rejoin_heap, arena_limit(len));
    if (rj_response_schema(shown->api_key) == NULL) {
        shown->response_err = RJ_ERR_API;
        return;
    }
    shown->response_err = rj_decode_response((struct rj_bytes){exchange->response_bytes, (int32_t)len}, shown->api_key,
                                             shown->version, &response, &exchange->response_arena,
                                             &shown->response_fault);
    shown->response = shown->response_err == RJ_OK ? response.body : NULL;
    shown->response_version = response.version;
    if (shown->response != NULL)
        shown->response_part = (struct capture_part){
            {exchange->response_bytes, (int32_t)len}, response.body_offset, &rj_response_header_schema, response.schema,
            rj_response_header_version(shown->api_key, shown->version), response.version};
}

static void tell_gap(struct dialogue *dialogue, struct stream *stream, int end, uint64_t frame)
{
    stream->had_gap = true;
    if (stream->kind != STREAM_KAFKA)
        return;
    dialogue->counts.gaps++;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].gap)
            dialogue->sinks[i].gap(dialogue->sinks[i].context, &stream->shown,
                                   end == stream->client ? RJ_CHECK_REQUESTS : RJ_CHECK_RESPONSES, frame);
}

static void take_response(struct dialogue *dialogue, struct stream *stream, const uint8_t *frame, size_t len,
                          struct reassembly_mark mark)
{
    int32_t correlation_id = (int32_t)((uint32_t)frame[0] << 24 | (uint32_t)frame[1] << 16 | (uint32_t)frame[2] << 8 |
                                       frame[3]);
    struct exchange **at = find_exchange(stream, correlation_id);
    struct exchange *exchange = *at;
    if (exchange == NULL) {
        if (stream->had_gap || stream->raw_tokens || !stream->shown.from_start)
            return; /* its request was not seen */
        exchange = exchange_new(stream, frame, 0);
        exchange->shown.correlation_id = correlation_id;
        exchange->shown.response_err = RJ_ERR_API;
    } else {
        /* Older requests whose answers fell into a hole will not be answered any more. */
        while (stream->had_gap && stream->oldest != exchange)
            drop_exchange(dialogue, stream, &stream->oldest);
        unlink_exchange(stream, find_exchange(stream, correlation_id));
        decode_response(exchange, frame, len);
    }
    exchange->shown.is_answered = true;
    exchange->shown.response_frame = mark.frame;
    exchange->shown.response_time_us = mark.time_us;
    if (exchange->shown.api_key == RJ_API_SASL_HANDSHAKE && exchange->shown.version == 0)
        stream->raw_tokens = true;
    dialogue->counts.responses++;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].response)
            dialogue->sinks[i].response(dialogue->sinks[i].context, &exchange->shown);
    exchange_free(exchange);
}

/* ---- From bytes to frames ---------------------------------------------------------------------------------------- */

static uint32_t get_len(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool response_decodes(const struct capture_exchange *request, const uint8_t *frame, uint32_t len)
{
    struct rj_response_frame response = {0};
    struct rj_arena arena;
    if (rj_response_schema(request->api_key) == NULL)
        return false;
    rj_arena_init(&arena, &rejoin_heap, arena_limit(len));
    bool good = rj_decode_response((struct rj_bytes){frame, (int32_t)len}, request->api_key, request->version,
                                   &response, &arena, NULL) == RJ_OK;
    rj_arena_release(&arena);
    return good;
}

/* Does a response to one of the unanswered requests start here? */
static enum plausible response_plausible(struct stream *stream, const uint8_t *bytes, size_t len)
{
    if (len < 8)
        return PLAUSIBLE_PERHAPS;
    uint32_t frame_len = get_len(bytes);
    if (frame_len < 4 || frame_len > CAPTURE_FRAME_LIMIT)
        return PLAUSIBLE_NO;
    struct exchange *request = *find_exchange(stream, (int32_t)get_len(bytes + 4));
    if (request == NULL)
        return PLAUSIBLE_NO;
    if (len - 4 < frame_len)
        return PLAUSIBLE_PERHAPS;
    return response_decodes(&request->shown, bytes + 4, frame_len) ? PLAUSIBLE_YES : PLAUSIBLE_NO;
}

/* Looks for a frame's start in the unread bytes and drops what stands before it. */
static bool find_frame_start(struct stream *stream, struct half *half, bool is_request)
{
    const uint8_t *bytes = reassembly_unread(&half->bytes);
    size_t len = reassembly_unread_len(&half->bytes);
    for (size_t at = 0; at < len; at++) {
        enum plausible plausible = is_request ? frames_request_plausible(bytes + at, len - at) :
                                                response_plausible(stream, bytes + at, len - at);
        if (plausible == PLAUSIBLE_NO)
            continue;
        reassembly_consume(&half->bytes, at);
        if (plausible == PLAUSIBLE_YES)
            half->lost = false;
        return plausible == PLAUSIBLE_YES;
    }
    reassembly_consume(&half->bytes, len);
    return false;
}

static void skip_rest_of_frame(struct half *half)
{
    size_t len = reassembly_unread_len(&half->bytes);
    if (len > half->skip_len)
        len = half->skip_len;
    reassembly_consume(&half->bytes, len);
    half->skip_len -= len;
}

static void pass_hole(struct dialogue *dialogue, struct stream *stream, int end, uint32_t hole, uint64_t frame)
{
    struct half *half = &stream->halves[end];
    size_t unread = reassembly_unread_len(&half->bytes);
    size_t wanted = half->skip_len;
    if (!half->lost && wanted == 0 && unread >= 4)
        wanted = 4 + (size_t)get_len(reassembly_unread(&half->bytes)) - unread;
    if (wanted >= hole)
        half->skip_len = wanted - hole; /* the hole lies within one frame: the next one's start is known */
    else {
        half->lost = true;
        half->skip_len = 0;
    }
    reassembly_skip_hole(&half->bytes);
    tell_gap(dialogue, stream, end, frame);
}

/* The next whole frame of one direction. only_answers: not a response that answers no known request. False: there is
 * none, or not yet. */
static bool read_frame(struct dialogue *dialogue, struct stream *stream, int end, bool only_answers)
{
    struct half *half = &stream->halves[end];
    bool is_request = end == stream->client;
    skip_rest_of_frame(half);
    while (half->skip_len == 0) {
        if (half->lost && !find_frame_start(stream, half, is_request))
            return false;
        size_t len = reassembly_unread_len(&half->bytes);
        const uint8_t *bytes = reassembly_unread(&half->bytes);
        if (len < 4)
            return false;
        uint32_t frame_len = get_len(bytes);
        if (frame_len < 4 || frame_len > CAPTURE_FRAME_LIMIT) {
            half->lost = stream->had_gap = true; /* not a frame: find back in */
            reassembly_consume(&half->bytes, 1);
            continue;
        }
        if (len - 4 < frame_len || (only_answers && *find_exchange(stream, (int32_t)get_len(bytes + 4)) == NULL))
            return false;
        struct reassembly_mark mark = reassembly_mark_at(&half->bytes, 4 + (size_t)frame_len);
        if (is_request)
            take_request(dialogue, stream, bytes + 4, frame_len, mark);
        else
            take_response(dialogue, stream, bytes + 4, frame_len, mark);
        reassembly_consume(&half->bytes, 4 + (size_t)frame_len);
        return true;
    }
    return false;
}

/* ---- Which connections speak Kafka ----------------------------------------------------------------------------- */

static bool is_known_server(const struct dialogue *dialogue, const struct capture_endpoint *endpoint)
{
    for (const struct server *server = dialogue->servers; server != NULL; server = server->next)
        if (capture_endpoint_equal(&server->endpoint, endpoint))
            return true;
    return false;
}

static void becomes_kafka(struct dialogue *dialogue, struct stream *stream, int client)
{
    const struct capture_endpoint *server = &stream->ends[!client];
    stream->kind = STREAM_KAFKA;
    stream->client = client;
    stream->shown.id = dialogue->kafka_count++;
    stream->shown.from_start = stream->halves[0].syn_seen && stream->halves[1].syn_seen;
    capture_print_endpoint(&stream->ends[client], stream->shown.client, sizeof(stream->shown.client));
    capture_print_endpoint(server, stream->shown.server, sizeof(stream->shown.server));
    if (!is_known_server(dialogue, server)) {
        struct server *entry = rejoin_alloc(sizeof(*entry));
        *entry = (struct server){*server, dialogue->servers};
        dialogue->servers = entry;
    }
    dialogue->counts.streams++;
    if (!stream->shown.from_start)
        dialogue->counts.mid_streams++;
    for (int end = 0; end < 2; end++)
        stream->halves[end].lost |= !stream->halves[end].syn_seen;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].opened)
            dialogue->sinks[i].opened(dialogue->sinks[i].context, &stream->shown, stream->first_frame,
                                      stream->first_time_us);
    if (stream->had_gap) /* before it was known for Kafka */
        for (int end = 0; end < 2; end++)
            tell_gap(dialogue, stream, end, stream->first_frame);
}

/* A request that is wholly there and decodes, at the connection's start (anywhere, where that was missed). */
static bool speaks_requests(struct stream *stream, int end, bool *perhaps)
{
    struct half *half = &stream->halves[end];
    const uint8_t *bytes = reassembly_unread(&half->bytes);
    size_t len = reassembly_unread_len(&half->bytes);
    for (size_t at = 0; at < len; at++) {
        enum plausible plausible = frames_request_plausible(bytes + at, len - at);
        if (plausible == PLAUSIBLE_YES)
            return true;
        *perhaps |= plausible == PLAUSIBLE_PERHAPS;
        if (half->syn_seen && !stream->had_gap)
            return false; /* its first bytes are not a request */
    }
    return false;
}

static void find_kind(struct dialogue *dialogue, struct stream *stream)
{
    bool perhaps = false;
    size_t longest = 0;
    for (int end = 0; end < 2; end++) {
        if (reassembly_unread_len(&stream->halves[end].bytes) > longest)
            longest = reassembly_unread_len(&stream->halves[end].bytes);
        if (is_known_server(dialogue, &stream->ends[!end]) && reassembly_unread_len(&stream->halves[end].bytes) > 0) {
            becomes_kafka(dialogue, stream, end);
            return;
        }
        if (is_known_server(dialogue, &stream->ends[end])) {
            perhaps = true; /* its client will speak */
            continue;
        }
        if (speaks_requests(stream, end, &perhaps)) {
            becomes_kafka(dialogue, stream, end);
            return;
        }
    }
    bool silent = longest == 0;
    bool hopeless = !perhaps;
    for (int end = 0; end < 2; end++)
        hopeless &= stream->halves[end].syn_seen && reassembly_unread_len(&stream->halves[end].bytes) > 0;
    if (!silent && (hopeless || longest > DETECTION_LIMIT)) {
        stream->kind = STREAM_OTHER;
        reassembly_release(&stream->halves[0].bytes);
        reassembly_release(&stream->halves[1].bytes);
    }
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

static uint32_t endpoint_hash(const struct capture_endpoint *endpoint)
{
    uint32_t hash = endpoint->port * 2654435761u;
    for (int i = 0; i < endpoint->address_len; i++)
        hash = (hash ^ endpoint->address[i]) * 16777619u;
    return hash;
}

static struct stream **bucket_of(struct dialogue *dialogue, const struct capture_segment *segment)
{
    uint32_t hash = endpoint_hash(&segment->from) + endpoint_hash(&segment->to); /* the same for both directions */
    return &dialogue->buckets[(hash >> 8) % BUCKET_COUNT];
}

static struct stream *find_stream(struct stream *bucket, const struct capture_segment *segment, int *end)
{
    for (struct stream *stream = bucket; stream != NULL; stream = stream->next_in_bucket)
        for (*end = 0; *end < 2; ++*end)
            if (capture_endpoint_equal(&stream->ends[*end], &segment->from) &&
                capture_endpoint_equal(&stream->ends[!*end], &segment->to))
                return stream;
    *end = 0;
    return NULL;
}

static struct stream *add_stream(struct dialogue *dialogue, struct stream **bucket,
                                 const struct capture_segment *segment, const struct capture_packet *packet)
{
    struct stream *stream = rejoin_alloc_zeroed(1, sizeof(*stream));
    stream->ends[0] = segment->from;
    stream->ends[1] = segment->to;
    stream->newest = &stream->oldest;
    stream->first_frame = packet->number;
    stream->first_time_us = packet->time_us;
    stream->next_in_bucket = *bucket; /* the newest first: a port that is used again finds its latest connection */
    *bucket = stream;
    if (dialogue->stream_count == dialogue->stream_capacity) {
        dialogue->stream_capacity = dialogue->stream_capacity * 2 + 64;
        dialogue->streams = rejoin_realloc(dialogue->streams, dialogue->stream_capacity * sizeof(dialogue->streams[0]));
    }
    dialogue->streams[dialogue->stream_count++] = stream;
    return stream;
}

/* Bytes that the peer has are missing: they may still come, as captures shuffle packets. */
static bool is_late(struct half *half, int64_t now_us)
{
    bool behind = reassembly_is_behind(&half->bytes);
    if (!behind)
        half->behind_since_us = 0;
    else if (half->behind_since_us == 0)
        half->behind_since_us = now_us;
    return behind;
}

/* They will not come any more. */
static bool give_up(struct dialogue *dialogue, struct stream *stream, int end, uint64_t frame, int64_t now_us,
                    bool at_end)
{
    struct half *half = &stream->halves[end];
    if (!is_late(half, now_us))
        return false;
    bool patience_is_over = at_end || now_us - half->behind_since_us >= PATIENCE_US;
    uint32_t hole = reassembly_lost_len(&half->bytes, now_us, at_end);
    if (hole > 0) {
        pass_hole(dialogue, stream, end, hole, frame);
        return true;
    }
    if (!patience_is_over || half->bytes.pieces != NULL)
        return false;
    reassembly_write_off(&half->bytes);
    tell_gap(dialogue, stream, end, frame);
    return true;
}

/* What is answered was asked before. While answers are missing that the client had, what it asked next has to wait, and
 * the other way round; where several frames of both directions are there, each answer follows its request. */
static void read_in_turn(struct dialogue *dialogue, struct stream *stream, int64_t now_us)
{
    int client = stream->client;
    bool requests_late = is_late(&stream->halves[client], now_us);
    bool responses_late = is_late(&stream->halves[!client], now_us);
    while (stream->halves[!client].lost && !responses_late && read_frame(dialogue, stream, client, false))
        ; /* a response is known behind a hole by the request that it answers */
    for (bool read = true; read;) {
        read = false;
        while (!requests_late && read_frame(dialogue, stream, !client, true))
            read = true;
        if (!responses_late && read_frame(dialogue, stream, client, false))
            read = true;
    }
    while (!requests_late && read_frame(dialogue, stream, !client, false))
        ;
}

static void read_stream(struct dialogue *dialogue, struct stream *stream, uint64_t frame, int64_t now_us, bool at_end)
{
    for (bool again = true; again;) {
        again = false;
        if (stream->kind == STREAM_UNKNOWN)
            find_kind(dialogue, stream);
        if (stream->kind == STREAM_KAFKA)
            read_in_turn(dialogue, stream, now_us);
        for (int end = 0; end < 2 && stream->kind != STREAM_OTHER; end++)
            again |= give_up(dialogue, stream, end, frame, now_us, at_end);
    }
}

static void close_stream(struct dialogue *dialogue, struct stream *stream, uint64_t frame, int64_t time_us)
{
    if (stream->closed)
        return;
    read_stream(dialogue, stream, frame, time_us, false);
    stream->closed = true;
    if (stream->kind != STREAM_KAFKA)
        return;
    for (int i = 0; i < dialogue->sink_count; i++)
        if (dialogue->sinks[i].closed)
            dialogue->sinks[i].closed(dialogue->sinks[i].context, &stream->shown, frame, time_us);
}

void dialogue_packet(struct dialogue *dialogue, const struct capture_packet *packet)
{
    struct capture_segment segment;
    int end;
    if (dialogue->counts.frames++ == 0)
        dialogue->counts.first_time_us = packet->time_us;
    dialogue->counts.last_time_us = packet->time_us;
    if (!capture_parse_packet(dialogue->link_type, packet->data, packet->len, &segment))
        return;
    struct stream **bucket = bucket_of(dialogue, &segment);
    struct stream *stream = find_stream(*bucket, &segment, &end);
    bool opens = (segment.flags & (CAPTURE_TCP_SYN | CAPTURE_TCP_ACK)) == CAPTURE_TCP_SYN;
    if (stream != NULL && opens && stream->halves[end].bytes.started &&
        stream->halves[end].bytes.next_sequence != segment.sequence + 1) {
        close_stream(dialogue, stream, packet->number, packet->time_us);
        stream = NULL; /* the same ports, used again */
        end = 0;
    }
    if (stream == NULL)
        stream = add_stream(dialogue, bucket, &segment, packet);
    if (stream->kind == STREAM_OTHER)
        return;
    struct half *half = &stream->halves[end];
    uint32_t sequence = segment.sequence;
    if (segment.flags & CAPTURE_TCP_SYN) {
        half->syn_seen = true;
        sequence++; /* the SYN takes a number */
        if (!half->bytes.started)
            reassembly_start(&half->bytes, sequence);
    }
    if (segment.flags & CAPTURE_TCP_ACK)
        reassembly_acknowledged(&stream->halves[!end].bytes, segment.acknowledgement);
    reassembly_add(&half->bytes, sequence, segment.payload, segment.len, segment.wire_len, packet->number,
                   packet->time_us);
    read_stream(dialogue, stream, packet->number, packet->time_us, false);
    if (segment.flags & (CAPTURE_TCP_FIN | CAPTURE_TCP_RST)) /* what the other side still says is read all the same */
        close_stream(dialogue, stream, packet->number, packet->time_us);
}

void dialogue_finish(struct dialogue *dialogue)
{
    for (size_t i = 0; i < dialogue->stream_count; i++) {
        struct stream *stream = dialogue->streams[i];
        if (!stream->closed)
            read_stream(dialogue, stream, dialogue->counts.frames, dialogue->counts.last_time_us, true);
        while (stream->oldest != NULL)
            drop_exchange(dialogue, stream, &stream->oldest);
    }
}

void dialogue_destroy(struct dialogue *dialogue)
{
    for (size_t i = 0; i < dialogue->stream_count; i++) {
        struct stream *stream = dialogue->streams[i];
        while (stream->oldest != NULL) {
            struct exchange **at = &stream->oldest;
            struct exchange *exchange = *at;
            unlink_exchange(stream, at);
            exchange_free(exchange);
        }
        reassembly_release(&stream->halves[0].bytes);
        reassembly_release(&stream->halves[1].bytes);
        free(stream);
    }
    while (dialogue->servers != NULL) {
        struct server *next = dialogue->servers->next;
        free(dialogue->servers);
        dialogue->servers = next;
    }
    free(dialogue->streams);
    free(dialogue);
}

bool capture_read(const char *path, const struct capture_sink *sinks, int sink_count, struct capture_counts *counts,
                  char *note, size_t note_len, char *error, size_t error_len)
{
    struct capture_file *file = capture_file_open(path, error, error_len);
    struct capture_packet packet;
    int got;
    if (file == NULL)
        return false;
    note[0] = 0;
    if (!capture_link_type_known(capture_file_link_type(file))) {
        snprintf(error, error_len, "%s: link type %d is not known; expected Ethernet, Linux cooked, raw IP or loopback",
                 path, capture_file_link_type(file));
        capture_file_close(file);
        return false;
    }
    struct dialogue *dialogue = dialogue_create(capture_file_link_type(file), sinks, sink_count);
    while ((got = capture_file_next(file, &packet)) == 1)
        dialogue_packet(dialogue, &packet);
    if (got < 0)
        snprintf(note, note_len, "%s is cut off or damaged after packet %llu: %s", path,
                 (unsigned long long)dialogue_counts(dialogue)->frames, capture_file_error(file));
    dialogue_finish(dialogue);
    *counts = *dialogue_counts(dialogue);
    dialogue_destroy(dialogue);
    capture_file_close(file);
    return true;
}
