/* A growing run of bytes: text that is being printed, a file that is being read. */
#ifndef REJOIN_SUPPORT_BUFFER_H
#define REJOIN_SUPPORT_BUFFER_H

#include "rejoin/codec.h"

#include <stdio.h>

struct rejoin_buffer { uint8_t *data; size_t len, size; }; /* all zero: empty; data is the caller's to free */

void rejoin_buffer_add(struct rejoin_buffer *buffer, const void *data, size_t len);
void rejoin_buffer_text(struct rejoin_buffer *buffer, const char *text);
void rejoin_buffer_format(struct rejoin_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rejoin_buffer_free(struct rejoin_buffer *buffer); /* and makes it empty */
/* All that the file still has; false: reading failed (errno says why). */
bool rejoin_buffer_read(struct rejoin_buffer *buffer, FILE *file);

static inline struct rj_bytes rejoin_buffer_bytes(const struct rejoin_buffer *buffer)
{
    return (struct rj_bytes){buffer->data != NULL ? buffer->data : (const uint8_t *)"", (int32_t)buffer->len};
}

/* Prints into the buffer. */
struct rj_writer rejoin_buffer_writer(struct rejoin_buffer *buffer);
/* Prints into a FILE. */
struct rj_writer rejoin_file_writer(FILE *file);

#endif
