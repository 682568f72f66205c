/* Frames and headers: what stands between bytes on a connection and typed messages. */
#ifndef REJOIN_CONN_H
#define REJOIN_CONN_H

#include "rejoin/codec.h"

/* Looks at the start of a byte stream. Returns 1 and the frame's length (4-byte prefix not counted) when the whole
 * frame is there, 0 when more bytes are needed (*frame_len is then the frame's length if its prefix is there, else 0),
 * -1 when the prefix is negative or larger than max_frame_len: the connection must be closed. */
int rj_frame_next(struct rj_bytes stream, uint32_t max_frame_len, uint32_t *frame_len);

struct rj_request_frame {
    int16_t api_key, version;
    int32_t correlation_id;
    struct rj_string client_id;              /* null possible */
    const struct rj_message_schema *schema;  /* of the request */
    size_t body_offset;                      /* where the body starts in the frame */
    void *body;                              /* typed, in the arena; NULL until decoded */
};

/* Decodes the header only: enough to route, refuse and answer. RJ_ERR_API, RJ_ERR_VERSION, RJ_ERR_SHORT ...; in
 * the first two cases api_key, version and correlation_id are set, so that an ApiVersions of an unknown version can be
 * answered. */
enum rj_err rj_decode_request_header(struct rj_bytes frame, struct rj_request_frame *request, struct rj_arena *arena,
                                     struct rj_fault *fault);
/* Decodes the body of a request whose header is decoded. Offsets in the fault count from the frame's start. On
 * RJ_ERR_TRAILING the body is whole and may be used: Kafka's brokers (3.9.1, 4.2.0: AbstractRequest.parseRequest) do not
 * look at what follows a body. */
enum rj_err rj_decode_request_body(struct rj_bytes frame, struct rj_request_frame *request, struct rj_arena *arena,
                                   struct rj_fault *fault);

/* Group and member id of an OffsetCommit, Heartbeat or SyncGroup frame that is not decoded, for a host that wants to have
 * ready what its step will look at (rj_look_ahead). They point into the frame and are nothing but a guess: the rest of the
 * frame may be malformed. false: another request or version, or one that is read only by decoding it. */
bool rj_peek_member(struct rj_bytes frame, struct rj_string *group_id, struct rj_string *member_id);

struct rj_response_frame {
    int32_t correlation_id;
    const struct rj_message_schema *schema;
    size_t body_offset;
    void *body;
    int16_t version; /* that the body is in: the asked one, but 0 for an ApiVersions answered with error 35 */
};

/* The API and version are those of the request that it answers. An ApiVersions answer with error 35 is read as v0. */
enum rj_err rj_decode_response(struct rj_bytes frame, int16_t api_key, int16_t version,
                               struct rj_response_frame *response, struct rj_arena *arena, struct rj_fault *fault);

/* Whole frames, 4-byte length prefix included; *len is set. RJ_ERR_SPACE tells in *len how much is needed. */
enum rj_err rj_encode_request_frame(int16_t api_key, int16_t version, int32_t correlation_id,
                                    struct rj_string client_id, const void *body, uint8_t *out, size_t out_len,
                                    size_t *len, struct rj_fault *fault);
enum rj_err rj_encode_response_frame(int16_t api_key, int16_t version, int32_t correlation_id, const void *body,
                                     uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault);

#endif
