#include "mock/record.h"
#include "support/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IP_LEN = 20, TCP_LEN = 20, SEGMENT_LEN = 60000, /* an IPv4 packet holds 65,535 */
    FLAG_FIN = 1, FLAG_SYN = 2, FLAG_PUSH = 8, FLAG_ACK = 16,
    KAFKA_PORT = 9092, LINK_RAW_IP = 101,
};

struct recorded_connection {
    struct recorded_connection *next;
    uint64_t id;
    uint32_t client_ip, server_ip; /* host order */
    uint16_t client_port;
    uint32_t client_sequence, server_sequence; /* of the next byte */
};

struct mock_recorder {
    struct mock_cluster *cluster;
    struct mock_observer observer;
    FILE *file;
    struct recorded_connection *connections;
    bool failed;
};

/* ---- pcapng ------------------------------------------------------------------------------------------------------ */

static void put(struct mock_recorder *recorder, const void *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, recorder->file) != len)
        recorder->failed = true;
}

static void put_u32(struct mock_recorder *recorder, uint32_t value) { put(recorder, &value, sizeof(value)); }

static void put_padding(struct mock_recorder *recorder, size_t len)
{
    static const uint8_t zeros[4];
    put(recorder, zeros, (4 - len % 4) % 4);
}

static uint32_t padded(size_t len) { return (uint32_t)((len + 3) / 4 * 4); }

/* Section header with a comment that says what the packets are, and one interface of raw IP packets in microseconds. */
static void put_headers(struct mock_recorder *recorder)
{
    static const char comment[] = "Made by rejoin mock: the frames are real, the TCP packets around them are not. "
                                  "Broker N is shown as 127.0.0.(N+1):9092.";
    uint32_t comment_len = sizeof(comment) - 1, len = 28 + 4 + padded(comment_len) + 4;
    put_u32(recorder, 0x0a0d0d0a);
    put_u32(recorder, len);
    put_u32(recorder, 0x1a2b3c4d); /* tells the byte order */
    put_u32(recorder, 1);          /* version 1.0 */
    put_u32(recorder, UINT32_MAX); /* section length: not known */
    put_u32(recorder, UINT32_MAX);
    put_u32(recorder, 1 | comment_len << 16);
    put(recorder, comment, comment_len);
    put_padding(recorder, comment_len);
    put_u32(recorder, 0); /* end of options */
    put_u32(recorder, len);
    put_u32(recorder, 1);
    put_u32(recorder, 20);
    put_u32(recorder, LINK_RAW_IP);
    put_u32(recorder, 0); /* no snapshot length */
    put_u32(recorder, 20);
}

static void put_packet(struct mock_recorder *recorder, int64_t time_us, const uint8_t *headers,
                       struct rj_bytes payload)
{
    uint32_t packet_len = IP_LEN + TCP_LEN + (uint32_t)payload.len, len = 32 + padded(packet_len);
    put_u32(recorder, 6);
    put_u32(recorder, len);
    put_u32(recorder, 0); /* the interface */
    put_u32(recorder, (uint32_t)((uint64_t)time_us >> 32));
    put_u32(recorder, (uint32_t)time_us);
    put_u32(recorder, packet_len);
    put_u32(recorder, packet_len);
    put(recorder, headers, IP_LEN + TCP_LEN);
    put(recorder, payload.data, (size_t)payload.len);
    put_padding(recorder, packet_len);
    put_u32(recorder, len);
}

/* ---- TCP/IP ------------------------------------------------------------------------------------------------------ */

static void put_be16(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put_be32(uint8_t *out, uint32_t value)
{
    put_be16(out, value >> 16);
    put_be16(out + 2, value & 0xffff);
}

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return len % 2 ? sum + ((uint32_t)bytes[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* One packet; the sender's sequence moves on. */
static void send_packet(struct mock_recorder *recorder, struct recorded_connection *connection, bool from_client,
                        int flags, struct rj_bytes payload, int64_t time_us)
{
    uint8_t headers[IP_LEN + TCP_LEN] = {0x45}, *tcp = headers + IP_LEN;
    uint32_t *sequence = from_client ? &connection->client_sequence : &connection->server_sequence;
    uint32_t acknowledged = from_client ? connection->server_sequence : connection->client_sequence;
    put_be16(headers + 2, IP_LEN + TCP_LEN + (uint32_t)payload.len);
    headers[6] = 0x40; /* do not fragment */
    headers[8] = 64;   /* hops */
    headers[9] = 6;    /* TCP */
    put_be32(headers + 12, from_client ? connection->client_ip : connection->server_ip);
    put_be32(headers + 16, from_client ? connection->server_ip : connection->client_ip);
    put_be16(headers + 10, fold(add_words(0, headers, IP_LEN)));
    put_be16(tcp, from_client ? connection->client_port : KAFKA_PORT);
    put_be16(tcp + 2, from_client ? KAFKA_PORT : connection->client_port);
    put_be32(tcp + 4, *sequence);
    put_be32(tcp + 8, flags & FLAG_ACK ? acknowledged : 0);
    tcp[12] = TCP_LEN / 4 << 4;
    tcp[13] = (uint8_t)flags;
    put_be16(tcp + 14, 65535); /* window */
    uint32_t sum = add_words(0, headers + 12, 8) + 6 + TCP_LEN + (uint32_t)payload.len; /* the pseudo header */
    sum = add_words(sum, tcp, TCP_LEN);
    put_be16(tcp + 16, fold(add_words(sum, payload.data, (size_t)payload.len)));
    *sequence += (uint32_t)payload.len + !!(flags & (FLAG_SYN | FLAG_FIN));
    put_packet(recorder, time_us, headers, payload);
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

static struct recorded_connection *find_recorded(struct mock_recorder *recorder, uint64_t id)
{
    struct recorded_connection *connection = recorder->connections;
    while (connection != NULL && connection->id != id)
        connection = connection->next;
    return connection;
}

static void open_recorded(struct mock_recorder *recorder, const struct mock_connection_event *event)
{
    struct recorded_connection *connection = rejoin_alloc_zeroed(1, sizeof(*connection));
    const struct sockaddr_in *peer = (const struct sockaddr_in *)(const void *)event->peer_address;
    bool is_v4 = peer->sin_family == AF_INET;
    connection->id = event->connection_id;
    connection->client_ip = is_v4 ? ntohl(peer->sin_addr.s_addr) : 0x0a000001; /* an IPv6 peer is shown as 10.0.0.1 */
    connection->client_port = ntohs(peer->sin_port); /* at the same place in sockaddr_in6 */
    connection->server_ip = 0x7f000001 + (uint32_t)event->broker_id;
    connection->client_sequence = 1000;
    connection->server_sequence = 5000;
    connection->next = recorder->connections;
    recorder->connections = connection;
    send_packet(recorder, connection, true, FLAG_SYN, RJ_EMPTY_BYTES, event->time_us);
    send_packet(recorder, connection, false, FLAG_SYN | FLAG_ACK, RJ_EMPTY_BYTES, event->time_us);
    send_packet(recorder, connection, true, FLAG_ACK, RJ_EMPTY_BYTES, event->time_us);
}

static void close_recorded(struct mock_recorder *recorder, struct recorded_connection *connection, bool by_client,
                           int64_t time_us)
{
    send_packet(recorder, connection, by_client, FLAG_FIN | FLAG_ACK, RJ_EMPTY_BYTES, time_us);
    send_packet(recorder, connection, !by_client, FLAG_FIN | FLAG_ACK, RJ_EMPTY_BYTES, time_us);
    send_packet(recorder, connection, by_client, FLAG_ACK, RJ_EMPTY_BYTES, time_us);
    struct recorded_connection **link = &recorder->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    free(connection);
    fflush(recorder->file);
}

static void record_connection(void *context, const struct mock_connection_event *event)
{
    struct mock_recorder *recorder = context;
    if (event->what == MOCK_OPENED) {
        open_recorded(recorder, event);
        return;
    }
    struct recorded_connection *connection = find_recorded(recorder, event->connection_id);
    if (connection != NULL)
        close_recorded(recorder, connection, event->what == MOCK_CLOSED_BY_PEER, event->time_us);
}

static void record_frame(void *context, const struct mock_frame *frame)
{
    struct mock_recorder *recorder = context;
    struct recorded_connection *connection = find_recorded(recorder, frame->connection_id);
    if (connection == NULL)
        return;
    uint8_t prefixed[SEGMENT_LEN];
    size_t at = 0, total = (size_t)frame->bytes.len;
    put_be32(prefixed, (uint32_t)total);
    for (size_t room = SEGMENT_LEN - 4, start = 4; at < total || start == 4; room = SEGMENT_LEN, start = 0) {
        size_t len = total - at < room ? total - at : room;
        memcpy(prefixed + start, frame->bytes.data + at, len);
        at += len;
        send_packet(recorder, connection, !frame->is_response, FLAG_PUSH | FLAG_ACK,
                    (struct rj_bytes){prefixed, (int32_t)(start + len)}, frame->time_us);
    }
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

struct mock_recorder *mock_record_start(struct mock_cluster *cluster, const char *path, char *error, size_t error_len)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        snprintf(error, error_len, "%s: cannot be written: %m", path);
        return NULL;
    }
    struct mock_recorder *recorder = rejoin_alloc_zeroed(1, sizeof(*recorder));
    recorder->cluster = cluster;
    recorder->file = file;
    recorder->observer = (struct mock_observer){
        .connection = record_connection, .frame = record_frame, .context = recorder};
    put_headers(recorder);
    fflush(file);
    mock_add_observer(cluster, &recorder->observer);
    return recorder;
}

bool mock_record_end(struct mock_recorder *recorder)
{
    mock_remove_observer(recorder->cluster, &recorder->observer);
    while (recorder->connections != NULL) {
        struct recorded_connection *connection = recorder->connections;
        recorder->connections = connection->next;
        free(connection);
    }
    bool ok = !recorder->failed && fclose(recorder->file) == 0;
    free(recorder);
    return ok;
}
