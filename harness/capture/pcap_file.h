/* Packets of a capture file. libpcap is loaded when the first file is opened, so that the other sub-commands of rejoin
 * neither need it nor pay for it. */
#ifndef REJOIN_CAPTURE_PCAP_FILE_H
#define REJOIN_CAPTURE_PCAP_FILE_H

#include <stddef.h>
#include <stdint.h>

struct capture_packet {
    uint64_t number;     /* 1-based, as Wireshark counts */
    int64_t time_us;     /* since the Unix epoch */
    const uint8_t *data; /* valid until the next packet is read */
    uint32_t len;        /* captured */
    uint32_t wire_len;   /* on the wire; larger than len where the capture cut it */
};

struct capture_file;

/* pcap or pcapng; "-" is stdin. NULL: *error says why (file, what was expected). */
struct capture_file *capture_file_open(const char *path, char *error, size_t error_len);
/* 1: a packet; 0: the end; -1: the file ends in the middle of a packet or is damaged there: capture_file_error(). */
int capture_file_next(struct capture_file *file, struct capture_packet *packet);
const char *capture_file_error(const struct capture_file *file);
int capture_file_link_type(const struct capture_file *file); /* libpcap's DLT_* */
void capture_file_close(struct capture_file *file);

#endif
