/* The reference client: the consumer core with sockets, a clock and a voice. */
#ifndef REJOIN_CONSUME_CONSUME_H
#define REJOIN_CONSUME_CONSUME_H

#include "rejoin/consumer.h"

enum consume_commit {
    CONSUME_COMMIT_AUTO,   /* by the core: at intervals, before partitions are given up, on close */
    CONSUME_COMMIT_MANUAL, /* after each batch of records, and before partitions are given up */
    CONSUME_COMMIT_NONE,
};

struct consume_options {
    struct rj_consumer_config config;
    enum consume_commit commit;
    bool json;           /* events as JSON lines, else as text for people */
    int64_t max_records; /* close after so many; -1: never */
    int64_t duration_ms; /* close after that time; -1: never */
};

/* Joins the group and stays until SIGTERM or SIGINT, max_records, duration_ms or a fatal error. 0: closed in good
 * order, 1: a fatal error was printed, 4: the host itself failed. */
int consume_run(const struct consume_options *options);

#endif
