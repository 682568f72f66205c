#include "bench/connection.h"

#include "support/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_LEN = 64 * 1024, MAX_FRAME_LEN = 64 * 1024 * 1024, EVENTS_AT_ONCE = 256, SPARE_FILES = 64 };

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_fail(struct bench_loop *loop, const char *format, ...)
{
    if (loop->problem[0] != '\0')
        return; /* the first problem explains the others */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(loop->problem, sizeof(loop->problem), format, arguments);
    va_end(arguments);
}

bool bench_parse_address(const char *text, struct sockaddr_in *address)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end;
    long port = strtol(colon + 1, &end, 10);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (colon[1] == '\0' || *end != '\0' || port < 1 || port > 65535)
        return false;
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &address->sin_addr) == 1;
}

/* Ten thousand members have ten thousand connections. */
static void raise_file_limit(uint32_t connection_count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < connection_count + SPARE_FILES) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int connect_socket(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* Blocking until connected, so that a listen queue that overflows slows us down instead of failing. */
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

bool bench_loop_open(struct bench_loop *loop, const struct sockaddr_in *address, uint32_t count)
{
    raise_file_limit(count);
    loop->problem[0] = '\0';
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->connections = rejoin_alloc_zeroed(count, sizeof(*loop->connections));
    loop->connection_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct bench_connection *connection = &loop->connections[i];
        connection->index = i;
        connection->fd = connect_socket(address);
        if (connection->fd < 0) {
            bench_fail(loop, "connection %u of %u: %s", i + 1, count, strerror(errno));
            return false;
        }
        loop->connection_count++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    }
    return true;
}

void bench_loop_close(struct bench_loop *loop)
{
    for (uint32_t i = 0; i < loop->connection_count; i++) {
        close(loop->connections[i].fd);
        free(loop->connections[i].in);
        free(loop->connections[i].out);
    }
    free(loop->connections);
    close(loop->epoll_fd);
    loop->connections = NULL;
    loop->connection_count = 0;
}

static void grow(uint8_t **buffer, size_t *cap, size_t needed)
{
    if (needed <= *cap)
        return;
    size_t wanted = *cap ? *cap : 512;
    while (wanted < needed)
        wanted *= 2;
    *buffer = rejoin_realloc(*buffer, wanted);
    *cap = wanted;
}

uint8_t *bench_reserve(struct bench_connection *connection, size_t len)
{
    if (connection->out_sent == connection->out_len)
        connection->out_sent = connection->out_len = 0;
    grow(&connection->out, &connection->out_cap, connection->out_len + len);
    return connection->out + connection->out_len;
}

static void want_write(struct bench_loop *loop, struct bench_connection *connection, bool wanted)
{
    if (connection->wants_write == wanted)
        return;
    connection->wants_write = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

void bench_flush(struct bench_loop *loop, struct bench_connection *connection)
{
    while (connection->out_sent < connection->out_len) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
                            connection->out_len - connection->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            connection->out_sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            want_write(loop, connection, true);
            return;
        } else {
            bench_fail(loop, "sending on connection %u: %s", connection->index, strerror(errno));
            return;
        }
    }
    want_write(loop, connection, false);
}

/* Hands over the whole frames and keeps the rest. */
static bool take_frames(struct bench_loop *loop, struct bench_connection *connection)
{
    size_t taken = 0;
    bool going = true;
    while (going) {
        struct rj_bytes stream = {connection->in + taken, (int32_t)(connection->in_len - taken)};
        uint32_t frame_len;
        int found = rj_frame_next(stream, MAX_FRAME_LEN, &frame_len);
        if (found == 0)
            break;
        if (found < 0) {
            bench_fail(loop, "connection %u: a frame of a length that cannot be", connection->index);
            return false;
        }
        going = loop->on_frame(loop->context, connection, (struct rj_bytes){stream.data + 4, (int32_t)frame_len});
        taken += 4 + frame_len;
    }
    if (taken > 0)
        memmove(connection->in, connection->in + taken, connection->in_len - taken);
    connection->in_len -= taken;
    return going;
}

static bool read_ready(struct bench_loop *loop, struct bench_connection *connection)
{
    for (;;) {
        grow(&connection->in, &connection->in_cap, connection->in_len + 1);
        size_t room = connection->in_cap - connection->in_len;
        ssize_t got = recv(connection->fd, connection->in + connection->in_len, room, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            bench_fail(loop, "connection %u: %s", connection->index,
                       got == 0 ? "the server closed it" : strerror(errno));
            return false;
        }
        connection->in_len += (size_t)got;
        if ((size_t)got < room)
            break;
        grow(&connection->in, &connection->in_cap, connection->in_cap * 2 < READ_LEN ? READ_LEN : connection->in_cap * 2);
    }
    if (!take_frames(loop, connection))
        return false;
    if (loop->on_drained != NULL)
        loop->on_drained(loop->context, connection);
    return loop->problem[0] == '\0';
}

bool bench_loop_run_once(struct bench_loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int ready = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
    for (int i = 0; i < ready; i++) {
        struct bench_connection *connection = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            bench_flush(loop, connection);
        if ((events[i].events & ~(uint32_t)EPOLLOUT) && !read_ready(loop, connection))
            return false;
    }
    return loop->problem[0] == '\0';
}
