/* The capture reader: packets into conversations, into the passive checker and into the story of each group.
 *
 * Input: one byte, then by its lowest bit
 *   0: raw packets of a link type (2 bits of the byte): length (2 bytes), bytes, in turn
 *   1: one connection as messages: direction and cutting (1 byte), length (2 bytes), bytes, in turn. It is captured twice, once
 *      as one segment a message, once cut into pieces that come twice or in the wrong order; both must give the same requests and
 *      answers. */
#include "lib/fuzz.h"

#include "capture/dialogue.h"
#include "capture/packet.h"
#include "capture/story.h"
#include "capture/verdict.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 64, ETHERNET_LEN = 14, IPV4_LEN = 20, TCP_LEN = 20, MAX_SEGMENT_LEN = 32 * 1024, DLT_ETHERNET = 1 };

/* ---- What comes out --------------------------------------------------------------------------------------------------- */

struct seen { uint32_t hash; uint64_t requests, ended; };

static void mix(struct seen *seen, const struct capture_exchange *exchange, uint32_t kind)
{
    uint32_t facts[6] = {seen->hash, kind, (uint32_t)exchange->api_key, (uint32_t)exchange->version,
                         (uint32_t)exchange->correlation_id, exchange->request_err * 32u + exchange->response_err};
    seen->hash = fuzz_hash(seen->hash, facts, sizeof(facts));
}

static void on_request(void *context, struct capture_exchange *exchange)
{
    struct seen *seen = context;
    seen->requests++;
    mix(seen, exchange, 1);
}

static void on_response(void *context, struct capture_exchange *exchange)
{
    struct seen *seen = context;
    seen->ended += exchange->request_frame != 0;
    mix(seen, exchange, 2);
}

static void on_dropped(void *context, struct capture_exchange *exchange)
{
    struct seen *seen = context;
    seen->ended++;
    mix(seen, exchange, 3);
}

/* A reader with everything behind it that a capture goes through. */
struct course {
    struct dialogue *dialogue;
    struct rj_checker *checker;
    struct story *story;
    struct oddities *oddities;
    struct capture_sink sinks[4]; /* the dialogue keeps a pointer to them */
    struct seen seen;
    uint64_t frame;
    int64_t time_us;
};

static void begin(struct course *course, int link_type)
{
    memset(course, 0, sizeof(*course));
    course->time_us = 1000000;
    if (rj_check_create(&course->checker, &rejoin_heap, NULL) != RJ_OK)
        abort();
    course->story = story_create();
    course->oddities = oddities_create();
    course->sinks[0] = (struct capture_sink){.context = &course->seen, .request = on_request, .response = on_response,
                                             .dropped = on_dropped};
    course->sinks[1] = verdict_sink(course->checker);
    course->sinks[2] = story_sink(course->story);
    course->sinks[3] = oddities_sink(course->oddities);
    course->dialogue = dialogue_create(link_type, course->sinks, 4);
}

static void give(struct course *course, const uint8_t *data, uint32_t len)
{
    struct capture_packet packet = {++course->frame, course->time_us += 1000, data, len, len};
    dialogue_packet(course->dialogue, &packet);
}

static void end(struct course *course)
{
    dialogue_finish(course->dialogue);
    const struct capture_counts *counts = dialogue_counts(course->dialogue);
    FUZZ_REQUIRE(course->seen.requests == course->seen.ended && counts->requests == course->seen.requests,
                 "exchange-ends", "%llu requests began, %llu ended, %llu counted", (unsigned long long)course->seen.requests,
                 (unsigned long long)course->seen.ended, (unsigned long long)counts->requests);
    rj_check_finish(course->checker, course->time_us / 1000);
    story_finish(course->story, counts);
    json_t *documents[] = {verdict_json(course->checker, course->oddities, counts, ""),
                           story_json(course->story, counts, "")};
    for (int i = 0; i < 2; i++) {
        char *text = json_dumps(documents[i], 0);
        FUZZ_REQUIRE(text != NULL, "json", "a document that cannot be printed");
        free(text);
        json_decref(documents[i]);
    }
    story_destroy(course->story);
    oddities_destroy(course->oddities);
    rj_check_destroy(course->checker);
    dialogue_destroy(course->dialogue);
}

/* ---- Raw packets ------------------------------------------------------------------------------------------------------ */

static void run_packets(struct fuzz_reader *reader, uint8_t settings)
{
    static const int link_types[] = {DLT_ETHERNET, 113, 276, 0};
    struct course course;
    begin(&course, link_types[settings >> 1 & 3]);
    while (reader->len > 2) {
        size_t len = fuzz_take_uint16(reader);
        len = len < reader->len ? len : reader->len;
        uint8_t *exact = malloc(len ? len : 1); /* so that a read behind its end is seen */
        if (exact == NULL)
            abort();
        memcpy(exact, reader->data, len);
        reader->data += len;
        reader->len -= len;
        give(&course, exact, (uint32_t)len);
        free(exact);
    }
    end(&course);
}

/* ---- One connection ----------------------------------------------------------------------------------------------------- */

struct message { const uint8_t *data; uint32_t len; uint8_t cutting; bool from_server; };

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value);
}

/* An Ethernet frame with one TCP segment between 127.0.0.1:40000 and :9092. */
static void give_segment(struct course *course, bool from_server, uint8_t flags, const uint32_t sequences[2],
                         uint32_t sequence, const uint8_t *data, uint32_t len)
{
    static uint8_t packet[ETHERNET_LEN + IPV4_LEN + TCP_LEN + MAX_SEGMENT_LEN];
    uint8_t *ip = packet + ETHERNET_LEN, *tcp = ip + IPV4_LEN;
    memset(packet, 0, ETHERNET_LEN + IPV4_LEN + TCP_LEN);
    put16(packet + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, IPV4_LEN + TCP_LEN + len);
    ip[8] = 64;
    ip[9] = 6;
    put32(ip + 12, 0x7f000001);
    put32(ip + 16, 0x7f000001);
    put16(tcp, from_server ? 9092 : 40000);
    put16(tcp + 2, from_server ? 40000 : 9092);
    put32(tcp + 4, sequence);
    put32(tcp + 8, sequences[!from_server]);
    tcp[12] = 0x50;
    tcp[13] = flags;
    put16(tcp + 14, 65535);
    if (len > 0)
        memcpy(tcp + TCP_LEN, data, len);
    give(course, packet, ETHERNET_LEN + IPV4_LEN + TCP_LEN + len);
}

static void give_message(struct course *course, const struct message *message, uint32_t sequences[2], bool in_pieces)
{
    uint32_t *sequence = &sequences[message->from_server];
    uint8_t flags = CAPTURE_TCP_ACK;
    uint32_t piece = in_pieces ? 1 + ((uint32_t)message->cutting >> 3) : message->len;
    bool twice = in_pieces && (message->cutting & 2), swapped = in_pieces && (message->cutting & 4);
    for (uint32_t at = 0; at < message->len; at += piece) {
        uint32_t len = message->len - at < piece ? message->len - at : piece;
        uint32_t behind = at + len, next = message->len - behind < piece ? message->len - behind : piece;
        if (swapped && next > 0) { /* the next piece first, and once more in its turn */
            give_segment(course, message->from_server, flags, sequences, *sequence + behind, message->data + behind, next);
        }
        for (int times = twice ? 2 : 1; times > 0; times--)
            give_segment(course, message->from_server, flags, sequences, *sequence + at, message->data + at, len);
    }
    *sequence += message->len;
}

static struct seen run_connection(const struct message *messages, int count, bool in_pieces)
{
    struct course course;
    uint32_t sequences[2] = {UINT32_MAX - 100, 7000}; /* of client and server; the client's wraps */
    begin(&course, DLT_ETHERNET);
    give_segment(&course, false, CAPTURE_TCP_SYN, sequences, sequences[0]++, NULL, 0);
    give_segment(&course, true, CAPTURE_TCP_SYN | CAPTURE_TCP_ACK, sequences, sequences[1]++, NULL, 0);
    for (int i = 0; i < count; i++)
        give_message(&course, &messages[i], sequences, in_pieces);
    end(&course);
    return course.seen;
}

static void run_messages(struct fuzz_reader *reader)
{
    struct message messages[MAX_MESSAGES];
    int count = 0;
    while (reader->len > 3 && count < MAX_MESSAGES) {
        struct message *message = &messages[count++];
        message->cutting = fuzz_take_byte(reader);
        message->from_server = message->cutting & 1;
        uint32_t len = fuzz_take_uint16(reader);
        len = len < reader->len ? len : (uint32_t)reader->len;
        message->len = len < MAX_SEGMENT_LEN ? len : MAX_SEGMENT_LEN;
        message->data = reader->data;
        reader->data += len;
        reader->len -= len;
    }
    struct seen whole = run_connection(messages, count, false), in_pieces = run_connection(messages, count, true);
    FUZZ_REQUIRE(whole.hash == in_pieces.hash && whole.requests == in_pieces.requests, "segmentation",
                 "%llu requests whole, %llu in pieces", (unsigned long long)whole.requests,
                 (unsigned long long)in_pieces.requests);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_reader reader = {data, len};
    uint8_t settings = fuzz_take_byte(&reader);
    if (settings & 1)
        run_messages(&reader);
    else
        run_packets(&reader, settings);
    return 0;
}
