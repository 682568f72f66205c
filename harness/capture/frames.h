/* What Kafka frames look like from outside: used to find Kafka among other connections and to find back into a stream
 * after a hole. */
#ifndef REJOIN_CAPTURE_FRAMES_H
#define REJOIN_CAPTURE_FRAMES_H

#include "rejoin/conn.h"

/* No frame is larger than this (socket.request.max.bytes; fetch.max.bytes stays below it). */
#define CAPTURE_FRAME_LIMIT (100u << 20)

enum plausible { PLAUSIBLE_NO, PLAUSIBLE_PERHAPS /* more bytes are needed */, PLAUSIBLE_YES };

/* Does a request frame stand at the start of these bytes? YES only if all of it is there and decodes. */
enum plausible frames_request_plausible(const uint8_t *bytes, size_t len);

#endif
