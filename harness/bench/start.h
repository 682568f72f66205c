/* How long a server takes from exec to its first answer. */
#ifndef REJOIN_BENCH_START_H
#define REJOIN_BENCH_START_H

#include <stdbool.h>
#include <stdint.h>

struct bench_start {
    int64_t ready_ns;        /* from just before fork to its line "ready HOST:PORT..." */
    int64_t answered_ns;     /* likewise, to its answer to ApiVersions */
    int64_t resident_bytes;
    int64_t program_bytes, library_bytes;
    char problem[256];
};

/* Starts the program, whose first line of output must be "ready HOST:PORT[,...]", asks once, ends it by SIGTERM.
 * false: start->problem. */
bool bench_measure_start(char *const command[], struct bench_start *start);

#endif
