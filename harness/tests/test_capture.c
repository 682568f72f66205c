/* Reassembly and the dialogue: TCP streams in every kind of disorder, packets made by hand. */
#include "capture/dialogue.h"
#include "capture/packet.h"
#include "capture/reassembly.h"

#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- Reassembly -------------------------------------------------------------------------------------------------- */

struct arrival { uint32_t sequence; const char *text; };

static void add_text(struct reassembly *stream, uint32_t sequence, const char *text, uint64_t frame)
{
    uint32_t len = (uint32_t)strlen(text);
    reassembly_add(stream, sequence, (const uint8_t *)text, len, len, frame, (int64_t)frame * 1000);
}

static void assert_reads(const struct reassembly *stream, const char *text)
{
    assert_int_equal(reassembly_unread_len(stream), strlen(text));
    assert_memory_equal(reassembly_unread(stream), text, strlen(text));
}

/* However segments arrive, the bytes come out in order, and once. */
static void test_segments_in_any_order_give_the_same_bytes(void **state)
{
    (void)state;
    static const struct { const char *what; struct arrival arrivals[6]; int count; } cases[] = {
        {"in order", {{100, "abc"}, {103, "def"}, {106, "ghi"}}, 3},
        {"swapped", {{103, "def"}, {100, "abc"}, {106, "ghi"}}, 3},
        {"backwards", {{106, "ghi"}, {103, "def"}, {100, "abc"}}, 3},
        {"sent twice", {{100, "abc"}, {100, "abc"}, {103, "def"}, {103, "def"}, {106, "ghi"}}, 5},
        {"sent again joined", {{100, "abc"}, {106, "ghi"}, {100, "abcdef"}, {103, "defghi"}}, 4},
        {"overlapping", {{100, "abcd"}, {102, "cdefg"}, {105, "fghi"}}, 3},
        {"overlapping behind a hole", {{104, "efg"}, {102, "cdefgh"}, {107, "hi"}, {100, "abc"}}, 4},
        {"byte by byte around", {{108, "i"}, {100, "abcdefgh"}}, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reassembly stream;
        reassembly_init(&stream);
        reassembly_start(&stream, 100);
        for (int j = 0; j < cases[i].count; j++)
            add_text(&stream, cases[i].arrivals[j].sequence, cases[i].arrivals[j].text, (uint64_t)j + 1);
        print_message("%s\n", cases[i].what);
        assert_reads(&stream, "abcdefghi");
        reassembly_release(&stream);
    }
}

static void test_sequence_numbers_wrap(void **state)
{
    (void)state;
    struct reassembly stream;
    reassembly_init(&stream);
    reassembly_start(&stream, 0xfffffffcu);
    add_text(&stream, 2, "ghi", 1);
    add_text(&stream, 0xfffffffcu, "abcdef", 2);
    assert_reads(&stream, "abcdefghi");
    assert_int_equal(stream.next_sequence, 5);
    reassembly_release(&stream);
}

static void test_first_segment_seen_starts_a_stream_in_the_middle(void **state)
{
    (void)state;
    struct reassembly stream;
    reassembly_init(&stream);
    add_text(&stream, 5000, "abc", 1);
    add_text(&stream, 4997, "xyz", 2); /* older than what was seen: gone */
    assert_reads(&stream, "abc");
    reassembly_release(&stream);
}

/* A hole is lost when the receiver has the bytes and time has passed, when too much waits, or at the end. */
static void test_hole_is_given_up_in_time(void **state)
{
    (void)state;
    struct reassembly stream;
    reassembly_init(&stream);
    reassembly_start(&stream, 100);
    add_text(&stream, 100, "abc", 1);
    add_text(&stream, 106, "ghi", 2);
    assert_int_equal(reassembly_lost_len(&stream, 10000000, false), 0); /* may still come */
    reassembly_acknowledged(&stream, 109);
    assert_int_equal(reassembly_lost_len(&stream, 3000, false), 0); /* shuffled by the capture, perhaps */
    assert_int_equal(reassembly_lost_len(&stream, 300000, false), 3);
    assert_int_equal(reassembly_lost_len(&stream, 3000, true), 3);
    reassembly_skip_hole(&stream);
    assert_reads(&stream, "ghi");
    assert_int_equal(stream.position, 6);
    reassembly_release(&stream);
}

static void test_marks_name_the_packet_that_completed(void **state)
{
    (void)state;
    struct reassembly stream;
    reassembly_init(&stream);
    reassembly_start(&stream, 100);
    add_text(&stream, 100, "abc", 7);
    add_text(&stream, 106, "ghi", 8);
    add_text(&stream, 103, "def", 9); /* fills the hole: all that follows comes with it */
    assert_int_equal(reassembly_mark_at(&stream, 3).frame, 7);
    assert_int_equal(reassembly_mark_at(&stream, 4).frame, 9);
    assert_int_equal(reassembly_mark_at(&stream, 9).frame, 9);
    reassembly_consume(&stream, 5);
    assert_int_equal(reassembly_mark_at(&stream, 1).frame, 9);
    reassembly_release(&stream);
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

static size_t put16(uint8_t *at, uint32_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return 2;
}

static size_t put32(uint8_t *at, uint32_t number) { return put16(at, number >> 16) + put16(at + 2, number); }

/* Raw IPv4 or IPv6 with TCP; wrong checksums throughout. */
static size_t make_ip(uint8_t *out, int ip, uint16_t from, uint16_t to, uint32_t sequence, uint32_t acknowledgement,
                      uint8_t flags, const uint8_t *payload, size_t len)
{
    size_t header = ip == 4 ? 20 : 40;
    memset(out, 0, header + 20);
    if (ip == 4) {
        out[0] = 0x45;
        put16(out + 2, (uint32_t)(header + 20 + len));
        out[9] = 6;
        memcpy(out + 12, "\x7f\0\0\1\x7f\0\0\1", 8);
    } else {
        out[0] = 0x60;
        put16(out + 4, (uint32_t)(20 + len));
        out[6] = 6;
        out[23] = out[39] = 1;
    }
    uint8_t *tcp = out + header;
    put16(tcp, from);
    put16(tcp + 2, to);
    put32(tcp + 4, sequence);
    put32(tcp + 8, acknowledgement);
    tcp[12] = 0x50;
    tcp[13] = flags;
    put16(tcp + 16, 0xdead);
    if (len > 0)
        memcpy(tcp + 20, payload, len);
    return header + 20 + len;
}

static size_t make_linked(uint8_t *out, int link_type, bool vlan, int ip, size_t (*make)(uint8_t *out, int ip))
{
    uint8_t packet[256];
    size_t len = make(packet, ip), at = 0;
    uint32_t type = ip == 4 ? 0x0800 : 0x86dd;
    memset(out, 0, 32);
    if (link_type == DLT_EN10MB) {
        at = 12;
        if (vlan) {
            at += put16(out + at, 0x8100);
            at += put16(out + at, 42);
        }
        at += put16(out + at, type);
    } else if (link_type == DLT_LINUX_SLL) {
        put16(out + 14, type);
        at = 16;
    } else if (link_type == 276) { /* Linux cooked v2 */
        put16(out, type);
        at = 20;
    } else if (link_type == DLT_NULL) {
        at = 4;
    }
    memcpy(out + at, packet, len);
    if (link_type == DLT_EN10MB)
        return at + len + 6; /* padding behind the packet */
    return at + len;
}

static size_t make_abc(uint8_t *out, int ip)
{
    return make_ip(out, ip, 1234, 9092, 7, 9, CAPTURE_TCP_ACK, (const uint8_t *)"abc", 3);
}

static void test_link_and_address_kinds(void **state)
{
    (void)state;
    static const int links[] = {DLT_EN10MB, DLT_LINUX_SLL, 276, DLT_RAW, DLT_NULL};
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        for (int ip = 4; ip <= 6; ip += 2)
            for (int vlan = 0; vlan <= (links[i] == DLT_EN10MB); vlan++) {
                uint8_t packet[256];
                struct capture_segment segment;
                size_t len = make_linked(packet, links[i], vlan, ip, make_abc);
                assert_true(capture_parse_packet(links[i], packet, (uint32_t)len, &segment));
                assert_int_equal(segment.from.port, 1234);
                assert_int_equal(segment.to.port, 9092);
                assert_int_equal(segment.sequence, 7);
                assert_int_equal(segment.acknowledgement, 9);
                assert_int_equal(segment.len, 3);
                assert_int_equal(segment.wire_len, 3);
                assert_memory_equal(segment.payload, "abc", 3);
                for (uint32_t cut = 0; cut < len - 9; cut++) /* never reads past the end */
                    if (capture_parse_packet(links[i], packet, cut, &segment))
                        assert_true(segment.len < 3);
            }
}

/* ---- The dialogue ------------------------------------------------------------------------------------------------ */

struct heard { int requests, responses, dropped, gaps, opened, closed, undecoded; bool from_start;
               uint64_t last_request_frame, last_response_frame; int32_t last_correlation_id; };

static void hear_opened(void *context, struct capture_stream *stream, uint64_t frame, int64_t time_us)
{
    struct heard *heard = context;
    (void)frame;
    (void)time_us;
    heard->opened++;
    heard->from_start = stream->from_start;
}

static void hear_request(void *context, struct capture_exchange *exchange)
{
    struct heard *heard = context;
    heard->requests++;
    heard->undecoded += exchange->request == NULL;
    heard->last_request_frame = exchange->request_frame;
}

static void hear_response(void *context, struct capture_exchange *exchange)
{
    struct heard *heard = context;
    heard->responses++;
    heard->undecoded += exchange->response == NULL;
    heard->last_response_frame = exchange->response_frame;
    heard->last_correlation_id = exchange->correlation_id;
}

static void hear_dropped(void *context, struct capture_exchange *exchange)
{
    (void)exchange;
    ((struct heard *)context)->dropped++;
}

static void hear_gap(void *context, struct capture_stream *stream, enum rj_check_direction direction, uint64_t frame)
{
    (void)stream;
    (void)direction;
    (void)frame;
    ((struct heard *)context)->gaps++;
}

static void hear_closed(void *context, struct capture_stream *stream, uint64_t frame, int64_t time_us)
{
    (void)stream;
    (void)frame;
    (void)time_us;
    ((struct heard *)context)->closed++;
}

struct line {
    struct heard heard;
    struct capture_sink sink;
    struct dialogue *dialogue;
    uint64_t packets;
    int64_t time_us;
    uint32_t sequences[2]; /* next of the client, of the server */
};

static void line_send(struct line *line, int end, uint32_t sequence, uint8_t flags, const uint8_t *payload, size_t len)
{
    uint8_t packet[4096];
    uint16_t client = 40000, server = 19092;
    size_t size = make_ip(packet, 4, end == 0 ? client : server, end == 0 ? server : client, sequence,
                          line->sequences[!end], flags, payload, len);
    struct capture_packet captured = {++line->packets, line->time_us += 100000, packet, (uint32_t)size, (uint32_t)size};
    dialogue_packet(line->dialogue, &captured);
}

static void line_start(struct line *line, bool handshake)
{
    memset(line, 0, sizeof(*line));
    line->sink = (struct capture_sink){&line->heard, hear_opened, hear_request, hear_response, hear_dropped, hear_gap,
                                       hear_closed};
    line->dialogue = dialogue_create(DLT_RAW, &line->sink, 1);
    line->sequences[0] = 1000;
    line->sequences[1] = 2000;
    if (!handshake)
        return;
    line_send(line, 0, 999, CAPTURE_TCP_SYN, NULL, 0);
    line_send(line, 1, 1999, CAPTURE_TCP_SYN | CAPTURE_TCP_ACK, NULL, 0);
}

static void line_end(struct line *line)
{
    dialogue_finish(line->dialogue);
    dialogue_destroy(line->dialogue);
}

static void line_data(struct line *line, int end, const uint8_t *payload, size_t len)
{
    line_send(line, end, line->sequences[end], CAPTURE_TCP_ACK, payload, len);
    line->sequences[end] += (uint32_t)len;
}

static size_t heartbeat_request(uint8_t *out, size_t out_len, int32_t correlation_id)
{
    struct rj_heartbeat_request body;
    size_t len = 0;
    rj_message_init(&rj_heartbeat_request_schema, &body);
    body.group_id = RJ_STRING("group");
    body.generation_id = 3;
    body.member_id = RJ_STRING("member");
    assert_int_equal(rj_encode_request_frame(RJ_API_HEARTBEAT, 4, correlation_id, RJ_STRING("client"), &body, out,
                                             out_len, &len, NULL), RJ_OK);
    return len;
}

static size_t heartbeat_response(uint8_t *out, size_t out_len, int32_t correlation_id)
{
    struct rj_heartbeat_response body;
    size_t len = 0;
    rj_message_init(&rj_heartbeat_response_schema, &body);
    assert_int_equal(rj_encode_response_frame(RJ_API_HEARTBEAT, 4, correlation_id, &body, out, out_len, &len, NULL),
                     RJ_OK);
    return len;
}

static void exchange(struct line *line, int32_t correlation_id)
{
    uint8_t frame[256];
    line_data(line, 0, frame, heartbeat_request(frame, sizeof(frame), correlation_id));
    line_data(line, 1, frame, heartbeat_response(frame, sizeof(frame), correlation_id));
}

static void test_exchanges_are_paired(void **state)
{
    (void)state;
    struct line line;
    line_start(&line, true);
    exchange(&line, 1);
    exchange(&line, 2);
    assert_int_equal(line.heard.opened, 1);
    assert_true(line.heard.from_start);
    assert_int_equal(line.heard.requests, 2);
    assert_int_equal(line.heard.responses, 2);
    assert_int_equal(line.heard.undecoded, 0);
    assert_int_equal(line.heard.last_request_frame, 5); /* two packets of the handshake, one exchange */
    assert_int_equal(line.heard.last_response_frame, 6);
    line_send(&line, 0, line.sequences[0], CAPTURE_TCP_FIN | CAPTURE_TCP_ACK, NULL, 0);
    assert_int_equal(line.heard.closed, 1);
    line_end(&line);
}

/* Cut anywhere, the frame is the packet that completed the message. */
static void test_message_in_two_segments_belongs_to_the_second(void **state)
{
    (void)state;
    uint8_t frame[256];
    size_t len = heartbeat_request(frame, sizeof(frame), 1);
    for (size_t cut = 1; cut < len; cut++) {
        struct line line;
        line_start(&line, true);
        line_data(&line, 0, frame, cut);
        assert_int_equal(line.heard.requests, 0);
        line_data(&line, 0, frame + cut, len - cut);
        assert_int_equal(line.heard.requests, 1);
        assert_int_equal(line.heard.last_request_frame, 4);
        line_end(&line);
    }
}

/* The capture lost a whole packet of the server: its request stays unanswered, the next one is paired rightly. */
static void test_lost_response_loses_one_exchange(void **state)
{
    (void)state;
    struct line line;
    uint8_t frame[256];
    line_start(&line, true);
    exchange(&line, 1);
    line_data(&line, 0, frame, heartbeat_request(frame, sizeof(frame), 2));
    line.sequences[1] += (uint32_t)heartbeat_response(frame, sizeof(frame), 2);
    exchange(&line, 3);
    exchange(&line, 4);
    exchange(&line, 5);
    assert_int_equal(line.heard.gaps, 1);
    assert_int_equal(line.heard.requests, 5);
    assert_int_equal(line.heard.responses, 4);
    assert_int_equal(line.heard.dropped, 1);
    assert_int_equal(line.heard.last_correlation_id, 5);
    assert_int_equal(line.heard.undecoded, 0);
    line_end(&line);
}

/* The capture lost a request: its answer is no answer to nothing. */
static void test_answer_to_a_lost_request_is_left_out(void **state)
{
    (void)state;
    struct line line;
    uint8_t frame[256];
    line_start(&line, true);
    exchange(&line, 1);
    line.sequences[0] += (uint32_t)heartbeat_request(frame, sizeof(frame), 2);
    line_data(&line, 1, frame, heartbeat_response(frame, sizeof(frame), 2));
    exchange(&line, 3);
    exchange(&line, 4);
    assert_true(line.heard.gaps > 0);
    assert_int_equal(line.heard.requests, 3);
    assert_int_equal(line.heard.responses, 3);
    assert_int_equal(line.heard.undecoded, 0);
    line_end(&line);
}

/* Half a request is lost: the reader finds the next frame's start by itself. */
static void test_reader_finds_back_after_a_hole_in_a_request(void **state)
{
    (void)state;
    struct line line;
    uint8_t frame[256];
    line_start(&line, true);
    exchange(&line, 1);
    size_t len = heartbeat_request(frame, sizeof(frame), 2);
    line_data(&line, 0, frame, 2);          /* not even the length is whole */
    line.sequences[0] += (uint32_t)(len - 12); /* lost */
    line_data(&line, 0, frame + len - 10, 10);
    line_data(&line, 1, frame, heartbeat_response(frame, sizeof(frame), 2));
    for (int32_t id = 3; id < 6; id++)
        exchange(&line, id);
    assert_true(line.heard.gaps > 0);
    assert_int_equal(line.heard.requests, 4);
    assert_int_equal(line.heard.responses, 4); /* the answer to what was lost is nobody's */
    assert_int_equal(line.heard.undecoded, 0);
    line_end(&line);
}

/* Retransmission of everything, twice: nothing is heard twice. */
static void test_retransmissions_are_heard_once(void **state)
{
    (void)state;
    struct line line;
    uint8_t frame[256];
    line_start(&line, true);
    for (int32_t id = 1; id < 4; id++) {
        size_t len = heartbeat_request(frame, sizeof(frame), id);
        line_data(&line, 0, frame, len);
        line_send(&line, 0, line.sequences[0] - (uint32_t)len, CAPTURE_TCP_ACK, frame, len);
        len = heartbeat_response(frame, sizeof(frame), id);
        line_data(&line, 1, frame, len);
        line_send(&line, 1, line.sequences[1] - (uint32_t)len, CAPTURE_TCP_ACK, frame, len);
    }
    assert_int_equal(line.heard.requests, 3);
    assert_int_equal(line.heard.responses, 3);
    line_end(&line);
}

/* No SYN, first packet in the middle of a request: what follows is understood; nobody is blamed for the start. */
static void test_capture_may_begin_in_mid_stream(void **state)
{
    (void)state;
    struct line line;
    uint8_t frame[256];
    line_start(&line, false);
    size_t len = heartbeat_request(frame, sizeof(frame), 1);
    line_data(&line, 0, frame + 9, len - 9);
    line_data(&line, 1, frame, heartbeat_response(frame, sizeof(frame), 1));
    exchange(&line, 2);
    exchange(&line, 3);
    assert_int_equal(line.heard.opened, 1);
    assert_false(line.heard.from_start);
    assert_int_equal(line.heard.requests, 2);
    assert_int_equal(line.heard.responses, 2);
    assert_int_equal(line.heard.undecoded, 0);
    line_end(&line);
}

static void test_other_protocols_are_not_taken_for_kafka(void **state)
{
    (void)state;
    static const char *const talks[][2] = {
        {"GET / HTTP/1.1\r\nHost: kafka:9092\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x16\x03\x03\x00\x7a\x02"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\r\n"},
    };
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
        struct line line;
        line_start(&line, true);
        for (int turn = 0; turn < 8; turn++)
            line_data(&line, turn % 2, (const uint8_t *)talks[i][turn % 2], strlen(talks[i][turn % 2]));
        assert_int_equal(line.heard.opened, 0);
        assert_int_equal(line.heard.requests, 0);
        line_end(&line);
    }
}

/* The same ports again: a second connection with a dialogue of its own. */
static void test_ports_may_be_used_again(void **state)
{
    (void)state;
    struct line line;
    line_start(&line, true);
    exchange(&line, 1);
    line_send(&line, 0, line.sequences[0], CAPTURE_TCP_FIN | CAPTURE_TCP_ACK, NULL, 0);
    line.sequences[0] = 70001;
    line.sequences[1] = 80001;
    line_send(&line, 0, 70000, CAPTURE_TCP_SYN, NULL, 0);
    line_send(&line, 1, 80000, CAPTURE_TCP_SYN | CAPTURE_TCP_ACK, NULL, 0);
    exchange(&line, 1);
    assert_int_equal(line.heard.opened, 2);
    assert_int_equal(line.heard.requests, 2);
    assert_int_equal(line.heard.responses, 2);
    line_end(&line);
}

/* Produce with acks=0 is not answered: the next answer belongs to the next request. */
static void test_produce_without_acks_expects_nothing(void **state)
{
    (void)state;
    struct line line;
    struct rj_produce_request body;
    uint8_t frame[256];
    size_t len = 0;
    line_start(&line, true);
    exchange(&line, 1);
    rj_message_init(&rj_produce_request_schema, &body);
    body.acks = 0;
    assert_int_equal(rj_encode_request_frame(RJ_API_PRODUCE, 9, 2, RJ_STRING("client"), &body, frame, sizeof(frame),
                                             &len, NULL), RJ_OK);
    line_data(&line, 0, frame, len);
    exchange(&line, 3);
    dialogue_finish(line.dialogue);
    assert_int_equal(line.heard.requests, 3);
    assert_int_equal(line.heard.responses, 2);
    assert_int_equal(line.heard.dropped, 0);
    dialogue_destroy(line.dialogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_in_any_order_give_the_same_bytes),
        cmocka_unit_test(test_sequence_numbers_wrap),
        cmocka_unit_test(test_first_segment_seen_starts_a_stream_in_the_middle),
        cmocka_unit_test(test_hole_is_given_up_in_time),
        cmocka_unit_test(test_marks_name_the_packet_that_completed),
        cmocka_unit_test(test_link_and_address_kinds),
        cmocka_unit_test(test_exchanges_are_paired),
        cmocka_unit_test(test_message_in_two_segments_belongs_to_the_second),
        cmocka_unit_test(test_lost_response_loses_one_exchange),
        cmocka_unit_test(test_answer_to_a_lost_request_is_left_out),
        cmocka_unit_test(test_reader_finds_back_after_a_hole_in_a_request),
        cmocka_unit_test(test_retransmissions_are_heard_once),
        cmocka_unit_test(test_capture_may_begin_in_mid_stream),
        cmocka_unit_test(test_other_protocols_are_not_taken_for_kafka),
        cmocka_unit_test(test_ports_may_be_used_again),
        cmocka_unit_test(test_produce_without_acks_expects_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
