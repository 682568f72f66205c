/* What a mock cluster says and hears, as a capture: a pcapng file of TCP packets made up around the frames. */
#ifndef REJOIN_MOCK_RECORD_H
#define REJOIN_MOCK_RECORD_H

#include "mock/mock.h"

struct mock_recorder;

/* Records every connection that is opened from now on. Broker N appears as 127.0.0.(N + 1):9092, Kafka's port by which
 * Wireshark knows the protocol; the clients keep their addresses. NULL: the file cannot be written, error says why. */
struct mock_recorder *mock_record_start(struct mock_cluster *cluster, const char *path, char *error, size_t error_len);
/* Closes the file; false: something could not be written. Needed before mock_stop's done, in any case once. */
bool mock_record_end(struct mock_recorder *recorder);

#endif
