/* What tests of the mock cluster share: they ask it without a connection. */
#ifndef REJOIN_TESTS_SUPPORT_MOCK_H
#define REJOIN_TESTS_SUPPORT_MOCK_H

#include "mock/mock.h"

/* Stops the cluster and runs the loop to its end. */
void support_stop(struct mock_cluster *cluster, uv_loop_t *loop);
/* Commits an offset of topic t as a client that is no member; the error code of the partition. */
int16_t support_commit(struct mock_cluster *cluster, const char *group, int32_t partition, int64_t offset);

/* A socket of the test's own, connected to that port and not blocking. */
int support_connect(uint16_t port);

#endif
