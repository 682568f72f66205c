/* The load generator's connections: non-blocking sockets over epoll with whole frames in and batched frames out. */
#ifndef REJOIN_BENCH_CONNECTION_H
#define REJOIN_BENCH_CONNECTION_H

#include "rejoin/conn.h"

#include <netinet/in.h>

struct bench_connection {
    int fd;
    uint32_t index;
    uint8_t *in;       /* received, not yet taken */
    size_t in_len, in_cap;
    uint8_t *out;      /* to be sent */
    size_t out_len, out_sent, out_cap;
    bool wants_write;  /* as epoll knows it */
};

struct bench_loop {
    int epoll_fd;
    struct bench_connection *connections;
    uint32_t connection_count;
    /* Called for each whole frame, length prefix not included. false: stop, *problem is set. */
    bool (*on_frame)(void *context, struct bench_connection *connection, struct rj_bytes frame);
    /* Called when everything that had come was handed over: the moment to send a batch. May be NULL. */
    void (*on_drained)(void *context, struct bench_connection *connection);
    void *context;
    char problem[256]; /* why the loop stopped; "" while all is well */
};

/* Parses HOST:PORT (HOST an IPv4 address or "localhost"). */
bool bench_parse_address(const char *text, struct sockaddr_in *address);
/* Connects count sockets. false: loop->problem says why. */
bool bench_loop_open(struct bench_loop *loop, const struct sockaddr_in *address, uint32_t count);
void bench_loop_close(struct bench_loop *loop);
/* Room for len bytes behind what is queued; the caller fills it and adds to out_len. */
uint8_t *bench_reserve(struct bench_connection *connection, size_t len);
/* Sends what is queued, as far as the socket takes it. */
void bench_flush(struct bench_loop *loop, struct bench_connection *connection);
/* Handles what is ready, waiting at most timeout_ms. false: loop->problem says why. */
bool bench_loop_run_once(struct bench_loop *loop, int timeout_ms);

void bench_fail(struct bench_loop *loop, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t bench_now_ns(void); /* monotonic */

#endif
