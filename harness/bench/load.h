/* A steady load of heartbeats or commits from joined members, and what it costs the server. */
#ifndef REJOIN_BENCH_LOAD_H
#define REJOIN_BENCH_LOAD_H

#include "bench/members.h"

enum { BENCH_COMMIT_PARTITIONS = 6 };

struct bench_load {
    int16_t api_key;          /* RJ_API_HEARTBEAT or RJ_API_OFFSET_COMMIT */
    uint32_t connection_count;
    uint32_t in_flight;       /* requests on a connection that are not answered yet */
    uint64_t warmup_count, request_count;
    int server_pid;           /* 0: its CPU time is not measured */
};

struct bench_result {
    uint64_t request_count;
    int64_t elapsed_ns;
    int64_t server_cpu_ns;    /* -1: not measured */
    int64_t latency_p50_ns, latency_p99_ns;
    char problem[256];
};

/* false: result->problem. An answer with an error, out of order or that differs from the first is a problem. */
bool bench_run_load(const struct bench_plan *plan, const struct bench_members *members,
                    const struct bench_load *load, struct bench_result *result);

#endif
