#include "support/buffer.h"

#include "support/memory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct rejoin_buffer *buffer, size_t len)
{
    if (buffer->size - buffer->len >= len)
        return;
    buffer->size = buffer->size * 2 > buffer->len + len ? buffer->size * 2 : buffer->len + len + 256;
    buffer->data = rejoin_realloc(buffer->data, buffer->size);
}

void rejoin_buffer_add(struct rejoin_buffer *buffer, const void *data, size_t len)
{
    make_room(buffer, len);
    if (len > 0)
        memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
}

void rejoin_buffer_text(struct rejoin_buffer *buffer, const char *text) { rejoin_buffer_add(buffer, text, strlen(text)); }

void rejoin_buffer_format(struct rejoin_buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    make_room(buffer, (size_t)len + 1);
    vsnprintf((char *)buffer->data + buffer->len, (size_t)len + 1, format, again);
    va_end(again);
    buffer->len += (size_t)len;
}

void rejoin_buffer_free(struct rejoin_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct rejoin_buffer){0};
}

bool rejoin_buffer_read(struct rejoin_buffer *buffer, FILE *file)
{
    size_t len;
    do {
        make_room(buffer, 65536);
        len = fread(buffer->data + buffer->len, 1, buffer->size - buffer->len, file);
        buffer->len += len;
    } while (len > 0);
    return !ferror(file);
}

static void write_buffer(void *context, const char *text, size_t len) { rejoin_buffer_add(context, text, len); }

struct rj_writer rejoin_buffer_writer(struct rejoin_buffer *buffer)
{
    return (struct rj_writer){write_buffer, buffer};
}

static void write_file(void *context, const char *text, size_t len) { fwrite(text, 1, len, context); }

struct rj_writer rejoin_file_writer(FILE *file) { return (struct rj_writer){write_file, file}; }
