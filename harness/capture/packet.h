/* From a captured packet to its TCP segment. Checksums are not looked at: network cards that compute them leave wrong
 * ones in captures of the sending host. */
#ifndef REJOIN_CAPTURE_PACKET_H
#define REJOIN_CAPTURE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_endpoint {
    uint8_t address[16]; /* an IPv4 address uses the first 4 */
    uint8_t address_len; /* 4 or 16 */
    uint16_t port;
};

enum { CAPTURE_TCP_FIN = 1, CAPTURE_TCP_SYN = 2, CAPTURE_TCP_RST = 4, CAPTURE_TCP_ACK = 16 };

struct capture_segment {
    struct capture_endpoint from, to;
    uint32_t sequence, acknowledgement;
    uint8_t flags;
    const uint8_t *payload;
    uint32_t len;      /* captured payload */
    uint32_t wire_len; /* payload on the wire */
};

/* link_type is libpcap's DLT_*. false: not TCP, a fragment, or cut off before the payload. */
bool capture_parse_packet(int link_type, const uint8_t *data, uint32_t len, struct capture_segment *segment);
bool capture_link_type_known(int link_type);

bool capture_endpoint_equal(const struct capture_endpoint *a, const struct capture_endpoint *b);
/* "127.0.0.1:9092", "[::1]:9092" */
void capture_print_endpoint(const struct capture_endpoint *endpoint, char *out, size_t out_len);

#endif
