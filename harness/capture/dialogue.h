/* From packets to Kafka requests and responses: follows TCP connections, finds those that speak Kafka by what they
 * say, cuts them into frames, decodes them and pairs each response with its request. */
#ifndef REJOIN_CAPTURE_DIALOGUE_H
#define REJOIN_CAPTURE_DIALOGUE_H

#include "capture/pcap_file.h"
#include "rejoin/check.h"
#include "rejoin/conn.h"

struct capture_stream {
    uint64_t id;          /* 0, 1, ... in the order in which the connections appeared */
    char client[64];      /* "127.0.0.1:40418" */
    char server[64];
    bool from_start;      /* its SYN was seen */
    void *sink_data;      /* the sink's own */
};

/* A decoded frame (its length not counted), where header and body are needed as bytes. */
struct capture_part {
    struct rj_bytes frame;
    size_t body_offset;
    const struct rj_message_schema *header_schema, *body_schema; /* NULL: not decoded */
    int16_t header_version, body_version;
};

struct capture_exchange {
    const struct capture_stream *stream;
    int16_t api_key, version;
    int32_t correlation_id;
    struct rj_string client_id; /* null possible */
    uint64_t request_frame, response_frame; /* of the packets that completed them; 0: not seen */
    int64_t request_time_us, response_time_us;
    const void *request, *response; /* typed; NULL: not decoded */
    struct capture_part request_part, response_part;
    enum rj_err request_err, response_err;
    struct rj_fault request_fault, response_fault; /* where err is not RJ_OK */
    int16_t response_version; /* 0 for an ApiVersions that was answered with error 35 */
    bool is_answered;
    void *sink_data;
};

/* Who wants to know. Functions may be NULL. The exchange and all it points to live until response returns, or until
 * dropped is called. */
struct capture_sink {
    void *context;
    void (*opened)(void *context, struct capture_stream *stream, uint64_t frame, int64_t time_us);
    void (*request)(void *context, struct capture_exchange *exchange);
    /* A response that answers no known request comes in an exchange without request (request_frame 0). */
    void (*response)(void *context, struct capture_exchange *exchange);
    void (*dropped)(void *context, struct capture_exchange *exchange); /* it stays without an answer */
    void (*gap)(void *context, struct capture_stream *stream, enum rj_check_direction direction, uint64_t frame);
    void (*closed)(void *context, struct capture_stream *stream, uint64_t frame, int64_t time_us);
};

struct capture_counts {
    uint64_t frames;          /* packets read */
    uint64_t streams;         /* connections that speak Kafka */
    uint64_t requests, responses;
    uint64_t unanswered;      /* requests without a response at the end, Produce with acks=0 not counted */
    uint64_t gaps;            /* holes in Kafka connections */
    uint64_t mid_streams;     /* Kafka connections whose beginning was not seen */
    int64_t first_time_us, last_time_us;
};

struct dialogue;

struct dialogue *dialogue_create(int link_type, const struct capture_sink *sinks, int sink_count);
void dialogue_packet(struct dialogue *dialogue, const struct capture_packet *packet);
/* The capture is over: what is buffered is used up, open exchanges are dropped, streams are not closed. */
void dialogue_finish(struct dialogue *dialogue);
const struct capture_counts *dialogue_counts(const struct dialogue *dialogue);
void dialogue_destroy(struct dialogue *dialogue);

/* Reads a whole file into the sinks. Returns false with *error where it cannot be read at all. *note is set (to the
 * empty string otherwise) where the file is cut off or damaged after what was read. */
bool capture_read(const char *path, const struct capture_sink *sinks, int sink_count, struct capture_counts *counts,
                  char *note, size_t note_len, char *error, size_t error_len);

#endif
