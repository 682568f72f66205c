/* The floor of the comparison: a bare epoll server that answers every request with canned bytes and the right
 * correlation id. One read and one write for all that a connection has ready, no decoding, no state.
 *
 * It prints "ready 127.0.0.1:PORT" and ends on SIGTERM. It knows ApiVersions v0, Heartbeat v3 and OffsetCommit v7
 * with one topic "t" of six partitions, the requests that `rejoin bench` sends. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_LEN = 64 * 1024, EVENTS_AT_ONCE = 64, API_VERSIONS = 18, HEARTBEAT = 12, OFFSET_COMMIT = 8,
       PARTITIONS = 6, REQUEST_HEADER_LEN = 12, MAX_ANSWER_LEN = 128, MAX_FRAME_LEN = 32 * 1024 };

struct connection { int fd; size_t len; uint8_t in[BUFFER_LEN]; };

static uint8_t out[BUFFER_LEN];

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static size_t put32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
    return 4;
}

static size_t put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
    return 2;
}

/* Writes the body behind the correlation id. */
static size_t put_body(uint8_t *to, unsigned api_key)
{
    size_t len = 0;
    if (api_key == API_VERSIONS) { /* no error, no APIs */
        len += put16(to, 0);
        return len + put32(to + len, 0);
    }
    len += put32(to, 0); /* throttle */
    if (api_key == HEARTBEAT)
        return len + put16(to + len, 0);
    len += put32(to + len, 1);
    len += put16(to + len, 1);
    to[len++] = 't';
    len += put32(to + len, PARTITIONS);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        len += put32(to + len, i);
        len += put16(to + len, 0);
    }
    return len;
}

static void answer_all(struct connection *connection)
{
    size_t taken = 0, out_len = 0;
    while (connection->len - taken >= REQUEST_HEADER_LEN) {
        const uint8_t *frame = connection->in + taken;
        uint32_t frame_len = get32(frame);
        if (frame_len > MAX_FRAME_LEN)
            exit(1);
        if (connection->len - taken < 4 + frame_len)
            break;
        uint8_t *answer = out + out_len;
        memcpy(answer + 4, frame + 8, 4);
        size_t body_len = put_body(answer + 8, (unsigned)frame[4] << 8 | frame[5]);
        put32(answer, (uint32_t)(4 + body_len));
        out_len += 8 + body_len;
        taken += 4 + frame_len;
        if (out_len > BUFFER_LEN - MAX_ANSWER_LEN) {
            if (write(connection->fd, out, out_len) < 0)
                return;
            out_len = 0;
        }
    }
    if (taken > 0)
        memmove(connection->in, connection->in + taken, connection->len - taken);
    connection->len -= taken;
    if (out_len > 0 && write(connection->fd, out, out_len) < 0)
        return; /* the peer has gone; the next read says so */
}

static int listen_anywhere(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t len = sizeof(*address);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) < 0) {
        perror("epoll server");
        exit(1);
    }
    return fd;
}

static void accept_one(int epoll_fd, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    struct connection *connection = fd < 0 ? NULL : calloc(1, sizeof(*connection));
    if (connection == NULL)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void end(int number) { (void)number; _exit(0); }

int main(void)
{
    struct sockaddr_in address;
    int listener = listen_anywhere(&address), epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_AT_ONCE];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    printf("ready 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_one(epoll_fd, listener);
                continue;
            }
            ssize_t got = read(connection->fd, connection->in + connection->len, BUFFER_LEN - connection->len);
            if (got > 0) {
                connection->len += (size_t)got;
                answer_all(connection);
            } else {
                close(connection->fd);
                free(connection);
            }
        }
    }
}
