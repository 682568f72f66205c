#include "capture/packet.h"

#include <arpa/inet.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

#ifndef DLT_LINUX_SLL2
#define DLT_LINUX_SLL2 276
#endif

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_VLAN = 0x8100, TYPE_SERVICE_VLAN = 0x88a8, PROTOCOL_TCP = 6 };

/* What is left of a packet. */
struct rest { const uint8_t *data; uint32_t len; };

static bool drop(struct rest *rest, uint32_t len)
{
    if (rest->len < len)
        return false;
    rest->data += len;
    rest->len -= len;
    return true;
}

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

/* Moves past the header of an Ethernet-like link whose type stands at type_offset, and past VLAN tags. */
static bool drop_typed_header(struct rest *rest, uint32_t type_offset, uint32_t header_len)
{
    if (rest->len < header_len)
        return false;
    uint16_t type = get16(rest->data + type_offset);
    drop(rest, header_len);
    while (type == TYPE_VLAN || type == TYPE_SERVICE_VLAN) {
        if (rest->len < 4)
            return false;
        type = get16(rest->data + 2);
        drop(rest, 4);
    }
    return type == TYPE_IPV4 || type == TYPE_IPV6;
}

bool capture_link_type_known(int link_type)
{
    switch (link_type) {
    case DLT_EN10MB: case DLT_LINUX_SLL: case DLT_LINUX_SLL2: case DLT_RAW: case 14: case 101: case DLT_IPV4:
    case DLT_IPV6: case DLT_NULL: case DLT_LOOP:
        return true;
    default:
        return false;
    }
}

static bool drop_link_header(int link_type, struct rest *rest)
{
    switch (link_type) {
    case DLT_EN10MB:
        return drop_typed_header(rest, 12, 14);
    case DLT_LINUX_SLL:
        return drop_typed_header(rest, 14, 16);
    case DLT_LINUX_SLL2:
        return drop_typed_header(rest, 0, 20);
    case DLT_NULL: /* the address family in the byte order of the capturing host: the IP version says the same */
    case DLT_LOOP:
        return drop(rest, 4);
    default: /* raw IP: DLT_RAW (12 or 14), LINKTYPE_RAW (101), DLT_IPV4, DLT_IPV6 */
        return true;
    }
}

/* Sets the addresses and leaves the TCP header in *rest; *wire_len is its length with payload, on the wire. */
static bool parse_ipv4(struct rest *rest, struct capture_segment *segment, uint32_t *wire_len)
{
    const uint8_t *ip = rest->data;
    if (rest->len < 20)
        return false;
    uint32_t header_len = (ip[0] & 0x0fu) * 4u;
    uint32_t total_len = get16(ip + 2);
    bool is_fragment = (get16(ip + 6) & 0x3fff) != 0;
    if (header_len < 20 || ip[9] != PROTOCOL_TCP || is_fragment)
        return false;
    if (total_len == 0) /* segmentation offload: the card fills it in */
        total_len = rest->len;
    if (total_len < header_len || !drop(rest, header_len))
        return false;
    segment->from.address_len = segment->to.address_len = 4;
    memcpy(segment->from.address, ip + 12, 4);
    memcpy(segment->to.address, ip + 16, 4);
    *wire_len = total_len - header_len;
    return true;
}

static bool parse_ipv6(struct rest *rest, struct capture_segment *segment, uint32_t *wire_len)
{
    const uint8_t *ip = rest->data;
    if (rest->len < 40)
        return false;
    uint32_t left = get16(ip + 4);
    uint8_t next = ip[6];
    segment->from.address_len = segment->to.address_len = 16;
    memcpy(segment->from.address, ip + 8, 16);
    memcpy(segment->to.address, ip + 24, 16);
    drop(rest, 40);
    if (left == 0)
        left = rest->len;
    while (next == 0 || next == 43 || next == 60) { /* hop-by-hop, routing, destination options */
        if (rest->len < 8)
            return false;
        next = rest->data[0];
        uint32_t option_len = (rest->data[1] + 1u) * 8u;
        if (option_len > left || !drop(rest, option_len))
            return false;
        left -= option_len;
    }
    *wire_len = left;
    return next == PROTOCOL_TCP;
}

bool capture_parse_packet(int link_type, const uint8_t *data, uint32_t len, struct capture_segment *segment)
{
    struct rest rest = {data, len};
    uint32_t wire_len;
    memset(segment, 0, sizeof(*segment));
    if (!drop_link_header(link_type, &rest) || rest.len < 1)
        return false;
    uint8_t ip_version = rest.data[0] >> 4;
    if (ip_version == 4 ? !parse_ipv4(&rest, segment, &wire_len) :
        ip_version == 6 ? !parse_ipv6(&rest, segment, &wire_len) : true)
        return false;
    if (rest.len > wire_len) /* Ethernet pads short frames */
        rest.len = wire_len;
    if (rest.len < 20)
        return false;
    const uint8_t *tcp = rest.data;
    uint32_t header_len = (tcp[12] >> 4) * 4u;
    if (header_len < 20 || !drop(&rest, header_len))
        return false;
    segment->from.port = get16(tcp);
    segment->to.port = get16(tcp + 2);
    segment->sequence = get32(tcp + 4);
    segment->acknowledgement = get32(tcp + 8);
    segment->flags = tcp[13];
    segment->payload = rest.data;
    segment->len = rest.len;
    segment->wire_len = wire_len - header_len;
    return true;
}

bool capture_endpoint_equal(const struct capture_endpoint *a, const struct capture_endpoint *b)
{
    return a->port == b->port && a->address_len == b->address_len &&
           memcmp(a->address, b->address, a->address_len) == 0;
}

void capture_print_endpoint(const struct capture_endpoint *endpoint, char *out, size_t out_len)
{
    char address[INET6_ADDRSTRLEN] = "";
    inet_ntop(endpoint->address_len == 4 ? AF_INET : AF_INET6, endpoint->address, address, sizeof(address));
    snprintf(out, out_len, endpoint->address_len == 4 ? "%s:%u" : "[%s]:%u", address, endpoint->port);
}
