#include "capture/pcap_file.h"

#include "support/memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capture_file {
    pcap_t *pcap;
    uint64_t packet_count;
    char error[PCAP_ERRBUF_SIZE];
};

/* The functions of libpcap that are used, found at run time. */
static struct {
    pcap_t *(*fopen_offline)(FILE *file, char *error);
    int (*next_ex)(pcap_t *pcap, struct pcap_pkthdr **header, const u_char **data);
    int (*datalink)(pcap_t *pcap);
    char *(*geterr)(pcap_t *pcap);
    void (*close)(pcap_t *pcap);
} libpcap;

static bool find_function(void *library, const char *name, void *function, size_t size)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, size); /* ISO C has no cast from an object pointer to a function pointer */
    return address != NULL;
}

static bool load_libpcap(char *error, size_t error_len)
{
    if (libpcap.close != NULL)
        return true;
    void *library = dlopen("libpcap.so.0.8", RTLD_NOW);
    if (library == NULL)
        library = dlopen("libpcap.so.1", RTLD_NOW);
    if (library == NULL) {
        snprintf(error, error_len, "captures are read by libpcap, which is not installed (Debian: libpcap0.8): %s",
                 dlerror());
        return false;
    }
    bool found = find_function(library, "pcap_fopen_offline", &libpcap.fopen_offline, sizeof(libpcap.fopen_offline)) &&
                 find_function(library, "pcap_next_ex", &libpcap.next_ex, sizeof(libpcap.next_ex)) &&
                 find_function(library, "pcap_datalink", &libpcap.datalink, sizeof(libpcap.datalink)) &&
                 find_function(library, "pcap_geterr", &libpcap.geterr, sizeof(libpcap.geterr)) &&
                 find_function(library, "pcap_close", &libpcap.close, sizeof(libpcap.close));
    if (!found) {
        snprintf(error, error_len, "the installed libpcap lacks a function: %s", dlerror());
        libpcap.close = NULL;
        dlclose(library);
    }
    return found;
}

struct capture_file *capture_file_open(const char *path, char *error, size_t error_len)
{
    if (!load_libpcap(error, error_len))
        return NULL;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(path, "rb");
    if (stream == NULL) {
        snprintf(error, error_len, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char reason[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = libpcap.fopen_offline(stream, reason);
    if (pcap == NULL) {
        snprintf(error, error_len, "%s: byte 0: expected a pcap or pcapng file: %s", is_stdin ? "stdin" : path, reason);
        if (!is_stdin)
            fclose(stream);
        return NULL;
    }
    struct capture_file *file = rejoin_alloc_zeroed(1, sizeof(*file));
    file->pcap = pcap;
    return file;
}

int capture_file_next(struct capture_file *file, struct capture_packet *packet)
{
    struct pcap_pkthdr *header;
    const u_char *data;
    int got = libpcap.next_ex(file->pcap, &header, &data);
    if (got == PCAP_ERROR_BREAK)
        return 0;
    if (got != 1) {
        snprintf(file->error, sizeof(file->error), "%s", libpcap.geterr(file->pcap));
        return -1;
    }
    packet->number = ++file->packet_count;
    packet->time_us = (int64_t)header->ts.tv_sec * 1000000 + header->ts.tv_usec;
    packet->data = data;
    packet->len = header->caplen;
    packet->wire_len = header->len < header->caplen ? header->caplen : header->len;
    return 1;
}

const char *capture_file_error(const struct capture_file *file) { return file->error; }

int capture_file_link_type(const struct capture_file *file) { return libpcap.datalink(file->pcap); }

void capture_file_close(struct capture_file *file)
{
    if (file == NULL)
        return;
    libpcap.close(file->pcap);
    free(file);
}
