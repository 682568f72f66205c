/* The end of a partition of __consumer_offsets in compact form: commits of offsets that nobody has read yet.
 *
 * Most commits are written over by the next ones before anybody looks at their records. So those whose result a
 * coordinator takes for granted (struct rj_append) stand here as numbers and names, with their offsets in the log; the
 * record batches are made of them when the log is read, written to otherwise, or the tail holds more than it may. A
 * full tail is compacted first, as the log is: of each key the newest stays. Never with a data directory, where
 * records are written before they are acknowledged. */
#ifndef REJOIN_MOCK_COMMIT_TAIL_H
#define REJOIN_MOCK_COMMIT_TAIL_H

#include "mock/internal.h"

struct log_tail {
    struct mock_cluster *cluster;
    uint8_t *bytes; /* runs, oldest first: see commit_tail.c */
    uint32_t len, capacity;
    uint32_t run_count, record_count;
};

/* Room for a commit that takes at most that many bytes; false: it must be stored as others are. */
bool mock_tail_reserve(struct mock_cluster *cluster, struct log *log, size_t len);
/* The most that the records of this commit take; request_len: of its bytes on the wire. */
size_t mock_tail_len(const struct rj_offset_commit_request *commit, size_t request_len);
/* Takes the records; the room must have been reserved. */
void mock_tail_add(struct log *log, const struct rj_append *append);

#endif
