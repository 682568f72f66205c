/* A client that asks one thing at a time and waits for the answer: for what a run needs before its first step. */
#ifndef REJOIN_SCENARIO_ASK_H
#define REJOIN_SCENARIO_ASK_H

#include "rejoin/codec.h"
#include "support/buffer.h"

#include <jansson.h>
#include <sys/socket.h>

struct scn_ask { int socket; int32_t last_correlation_id; char error[256]; };

/* "HOST:PORT" as an address. False: error says why. */
bool scn_resolve(const char *address, struct sockaddr_storage *out, char *error, size_t error_len);
bool scn_ask_open(struct scn_ask *ask, const struct sockaddr_storage *address); /* false: ask->error */
void scn_ask_close(struct scn_ask *ask);
/* The answer's body; NULL: ask->error. Takes body. */
json_t *scn_ask(struct scn_ask *ask, int16_t api_key, int16_t version, json_t *body);

/* A whole frame, appended to out. False: error says why the body is no such request. */
bool scn_encode(int16_t api_key, int16_t version, int32_t correlation_id, const char *client_id, const json_t *body,
                struct rejoin_buffer *out, char *error, size_t error_len);
/* The body of an answer (a frame without its length) as JSON; NULL: error says why it is none. */
json_t *scn_decode(struct rj_bytes frame, int16_t api_key, int16_t version, char *error, size_t error_len);

#endif
