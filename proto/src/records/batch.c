/* Reading batches and messages, and setting in place what a broker sets. */
#include "rejoin/records.h"

#include "codec/path.h"
#include "codec/wire.h"

/* Where the fields of a magic 2 batch stand. Up to the magic the older formats agree in place, not in meaning. */
enum {
    AT_BASE_OFFSET = 0, AT_LENGTH = 8, AT_LEADER_EPOCH = 12, AT_MAGIC = 16, AT_CRC = 17, AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23, AT_BASE_TIMESTAMP = 27, AT_MAX_TIMESTAMP = 35, AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51, AT_BASE_SEQUENCE = 53, AT_RECORD_COUNT = 57,
    /* and of a message */
    AT_MESSAGE_CRC = 12, AT_MESSAGE_ATTRIBUTES = 17, AT_MESSAGE_TIMESTAMP = 18,
};

static enum rj_err fail(struct rj_fault *fault, enum rj_err err, size_t offset, const char *field, const char *found,
                        int64_t number, const char *expected)
{
    struct place place = {NULL, -1, fault};
    struct path path = {NULL, field, -1};
    return rj_fault_set_number(&place, err, offset, &path, found, number, expected);
}

static enum rj_err read_v2(struct rj_bytes bytes, struct rj_record_batch *batch, bool check, struct rj_fault *fault)
{
    const uint8_t *at = bytes.data;
    batch->partition_leader_epoch = (int32_t)get_u32(at + AT_LEADER_EPOCH);
    batch->crc = get_u32(at + AT_CRC);
    batch->attributes = (int16_t)get_u16(at + AT_ATTRIBUTES);
    batch->last_offset_delta = (int32_t)get_u32(at + AT_LAST_OFFSET_DELTA);
    batch->base_timestamp_ms = (int64_t)get_u64(at + AT_BASE_TIMESTAMP);
    batch->max_timestamp_ms = (int64_t)get_u64(at + AT_MAX_TIMESTAMP);
    batch->producer_id = (int64_t)get_u64(at + AT_PRODUCER_ID);
    batch->producer_epoch = (int16_t)get_u16(at + AT_PRODUCER_EPOCH);
    batch->base_sequence = (int32_t)get_u32(at + AT_BASE_SEQUENCE);
    batch->record_count = (int32_t)get_u32(at + AT_RECORD_COUNT);
    batch->records = (struct rj_bytes){at + RJ_BATCH_HEADER_LEN, (int32_t)(batch->len - RJ_BATCH_HEADER_LEN)};
    if (check) {
        uint32_t own = rj_crc32c((struct rj_bytes){at + AT_ATTRIBUTES, (int32_t)(batch->len - AT_ATTRIBUTES)});
        if (own != batch->crc)
            return fail(fault, RJ_ERR_CORRUPT, AT_CRC, "crc", "checksum ", batch->crc, "the CRC-32C of the batch");
    }
    if (batch->last_offset_delta < 0)
        return fail(fault, RJ_ERR_LENGTH, AT_LAST_OFFSET_DELTA, "lastOffsetDelta", "delta ",
                    batch->last_offset_delta, "a delta that is not negative");
    if (batch->record_count < 0)
        return fail(fault, RJ_ERR_LENGTH, AT_RECORD_COUNT, "recordsCount", "count ", batch->record_count,
                    "a count that is not negative");
    return RJ_OK;
}

/* A length and bytes; negative: null. */
static bool read_sized(const uint8_t *start, size_t len, size_t *at, struct rj_bytes *out)
{
    if (len - *at < 4)
        return false;
    int32_t size = (int32_t)get_u32(start + *at);
    *at += 4;
    *out = RJ_NULL_BYTES;
    if (size < 0)
        return true;
    if ((size_t)size > len - *at)
        return false;
    *out = (struct rj_bytes){start + *at, size};
    *at += (size_t)size;
    return true;
}

static enum rj_err read_message(struct rj_bytes bytes, struct rj_record_batch *batch, bool check,
                                struct rj_fault *fault)
{
    const uint8_t *start = bytes.data;
    size_t at = AT_MESSAGE_TIMESTAMP;
    batch->partition_leader_epoch = -1;
    batch->producer_id = batch->producer_epoch = -1;
    batch->base_sequence = -1;
    batch->record_count = 1;
    batch->crc = get_u32(start + AT_MESSAGE_CRC);
    batch->attributes = start[AT_MESSAGE_ATTRIBUTES];
    batch->base_timestamp_ms = -1;
    if (check && rj_crc32((struct rj_bytes){start + AT_MAGIC, (int32_t)(batch->len - AT_MAGIC)}) != batch->crc)
        return fail(fault, RJ_ERR_CORRUPT, AT_MESSAGE_CRC, "crc", "checksum ", batch->crc, "the CRC-32 of the message");
    if (batch->magic == 1) {
        if (batch->len < at + 8)
            return fail(fault, RJ_ERR_LENGTH, AT_LENGTH, "messageSize", "bytes left: ", (int64_t)(batch->len - at),
                        "8 bytes of timestamp");
        batch->base_timestamp_ms = (int64_t)get_u64(start + at);
        at += 8;
    }
    batch->max_timestamp_ms = batch->base_timestamp_ms;
    size_t key_at = at;
    if (!read_sized(start, batch->len, &at, &batch->key))
        return fail(fault, RJ_ERR_LENGTH, key_at, "key", "bytes left: ", (int64_t)(batch->len - at),
                    "a key inside the message");
    size_t value_at = at;
    if (!read_sized(start, batch->len, &at, &batch->records))
        return fail(fault, RJ_ERR_LENGTH, value_at, "value", "bytes left: ", (int64_t)(batch->len - at),
                    "a value inside the message");
    return at == batch->len ? RJ_OK
                            : fail(fault, RJ_ERR_TRAILING, at, "messageSize", "bytes left: ",
                                   (int64_t)(batch->len - at), "the end of the message behind its value");
}

static enum rj_err read_batch(struct rj_bytes bytes, struct rj_record_batch *batch, bool check, struct rj_fault *fault)
{
    *batch = (struct rj_record_batch){0};
    if (bytes.len < RJ_BATCH_LENGTH_PREFIX_LEN)
        return fail(fault, RJ_ERR_SHORT, 0, "baseOffset", "bytes left: ", bytes.len, "at least 12 bytes");
    batch->base_offset = (int64_t)get_u64(bytes.data + AT_BASE_OFFSET);
    int32_t length = (int32_t)get_u32(bytes.data + AT_LENGTH);
    if (length < RJ_MESSAGE_MIN_LEN - RJ_BATCH_LENGTH_PREFIX_LEN)
        return fail(fault, RJ_ERR_LENGTH, AT_LENGTH, "batchLength", "length ", length, "at least 14");
    batch->len = (size_t)length + RJ_BATCH_LENGTH_PREFIX_LEN;
    if (bytes.len > AT_MAGIC) {
        batch->magic = (int8_t)bytes.data[AT_MAGIC];
        if (batch->magic < 0 || batch->magic > 2)
            return fail(fault, RJ_ERR_CORRUPT, AT_MAGIC, "magic", "magic ", batch->magic, "0, 1 or 2");
        if (batch->magic == 2 && batch->len < RJ_BATCH_HEADER_LEN)
            return fail(fault, RJ_ERR_LENGTH, AT_LENGTH, "batchLength", "length ", length, "at least 49");
    }
    if ((size_t)bytes.len < batch->len)
        return fail(fault, RJ_ERR_SHORT, (size_t)bytes.len, "batchLength", "bytes left: ", bytes.len,
                    "the whole batch");
    return batch->magic == 2 ? read_v2(bytes, batch, check, fault) : read_message(bytes, batch, check, fault);
}

enum rj_err rj_batch_read(struct rj_bytes bytes, struct rj_record_batch *batch, struct rj_fault *fault)
{
    return read_batch(bytes, batch, true, fault);
}

enum rj_err rj_batch_read_unchecked(struct rj_bytes bytes, struct rj_record_batch *batch, struct rj_fault *fault)
{
    return read_batch(bytes, batch, false, fault);
}

void rj_batch_assign(uint8_t *batch, int64_t base_offset, int32_t partition_leader_epoch)
{
    put_u64(batch + AT_BASE_OFFSET, (uint64_t)base_offset);
    if (batch[AT_MAGIC] == 2)
        put_u32(batch + AT_LEADER_EPOCH, (uint32_t)partition_leader_epoch);
}

/* The CRC of magic 2 covers everything from the attributes on. */
static void seal(uint8_t *batch, size_t len)
{
    put_u32(batch + AT_LENGTH, (uint32_t)(len - RJ_BATCH_LENGTH_PREFIX_LEN));
    put_u32(batch + AT_CRC, rj_crc32c((struct rj_bytes){batch + AT_ATTRIBUTES, (int32_t)(len - AT_ATTRIBUTES)}));
}

void rj_batch_set_log_append_time(uint8_t *batch, int64_t now_ms)
{
    put_u16(batch + AT_ATTRIBUTES, (uint16_t)(get_u16(batch + AT_ATTRIBUTES) | RJ_BATCH_LOG_APPEND_TIME));
    put_u64(batch + AT_MAX_TIMESTAMP, (uint64_t)now_ms);
    seal(batch, get_u32(batch + AT_LENGTH) + (size_t)RJ_BATCH_LENGTH_PREFIX_LEN);
}

enum rj_err rj_batch_set_compressed(uint8_t *batch, size_t out_len, enum rj_compression compression,
                                    struct rj_bytes compressed, size_t *len, struct rj_fault *fault)
{
    *len = RJ_BATCH_HEADER_LEN + (size_t)compressed.len;
    if (*len > out_len)
        return fail(fault, RJ_ERR_SPACE, out_len, "records", "room: ", (int64_t)out_len, "room for the whole batch");
    if (compressed.len > 0)
        memmove(batch + RJ_BATCH_HEADER_LEN, compressed.data, (size_t)compressed.len);
    uint16_t attributes = get_u16(batch + AT_ATTRIBUTES);
    put_u16(batch + AT_ATTRIBUTES, (uint16_t)((attributes & ~RJ_BATCH_COMPRESSION_MASK) | (uint16_t)compression));
    seal(batch, *len);
    return RJ_OK;
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static uint8_t *room(struct rj_batch_writer *writer, size_t size)
{
    size_t at = writer->len;
    writer->len += size;
    return writer->out != NULL && writer->len <= writer->out_len ? writer->out + at : NULL;
}

static void add_bytes(struct rj_batch_writer *writer, const void *data, int32_t len)
{
    uint8_t *out = len > 0 ? room(writer, (size_t)len) : NULL;
    if (out != NULL)
        memcpy(out, data, (size_t)len);
}

static void add_varint(struct rj_batch_writer *writer, int64_t value)
{
    uint8_t bytes[10];
    int32_t len = 0;
    uint64_t rest = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); /* zigzag */
    for (; rest >= 0x80; rest >>= 7)
        bytes[len++] = (uint8_t)(rest | 0x80);
    bytes[len++] = (uint8_t)rest;
    add_bytes(writer, bytes, len);
}

static int64_t varint_len(int64_t value)
{
    int64_t len = 1;
    for (uint64_t rest = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); rest >= 0x80; rest >>= 7)
        len++;
    return len;
}

void rj_batch_begin(struct rj_batch_writer *writer, int8_t magic, int64_t base_offset, uint8_t *out, size_t out_len)
{
    *writer = (struct rj_batch_writer){.out = out, .out_len = out_len, .magic = magic, .base_offset = base_offset,
                                       .base_timestamp_ms = -1, .max_timestamp_ms = -1, .last_offset = base_offset};
    if (magic == 2)
        room(writer, RJ_BATCH_HEADER_LEN);
}

static int64_t sized_len(struct rj_bytes bytes)
{
    return bytes.data == NULL ? varint_len(-1) : varint_len(bytes.len) + bytes.len;
}

static void add_sized(struct rj_batch_writer *writer, struct rj_bytes bytes)
{
    add_varint(writer, bytes.data == NULL ? -1 : bytes.len);
    add_bytes(writer, bytes.data, bytes.data == NULL ? 0 : bytes.len);
}

static struct rj_bytes bytes_of(struct rj_string string)
{
    return (struct rj_bytes){(const uint8_t *)string.data, string.len};
}

static void add_v2(struct rj_batch_writer *writer, const struct rj_record *record,
                   const struct rj_record_header *headers, int32_t header_count)
{
    int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp_ms - (uint64_t)writer->base_timestamp_ms);
    int64_t offset_delta = (int64_t)((uint64_t)record->offset - (uint64_t)writer->base_offset);
    int32_t count = headers != NULL ? header_count : record->header_count;
    int64_t headers_len = headers != NULL ? 0 : record->headers.len;
    for (int32_t i = 0; headers != NULL && i < header_count; i++)
        headers_len += sized_len(bytes_of(headers[i].key)) + sized_len(headers[i].value);
    add_varint(writer, 1 + varint_len(timestamp_delta) + varint_len(offset_delta) + sized_len(record->key) +
                           sized_len(record->value) + varint_len(count) + headers_len);
    add_bytes(writer, "", 1); /* attributes: none is defined */
    add_varint(writer, timestamp_delta);
    add_varint(writer, offset_delta);
    add_sized(writer, record->key);
    add_sized(writer, record->value);
    add_varint(writer, count);
    if (headers == NULL)
        add_bytes(writer, record->headers.data, record->headers.len);
    for (int32_t i = 0; headers != NULL && i < header_count; i++) {
        add_sized(writer, bytes_of(headers[i].key));
        add_sized(writer, headers[i].value);
    }
}

static void add_fixed_sized(struct rj_batch_writer *writer, struct rj_bytes bytes)
{
    uint8_t size[4];
    put_u32(size, bytes.data == NULL ? UINT32_MAX : (uint32_t)bytes.len);
    add_bytes(writer, size, sizeof(size));
    add_bytes(writer, bytes.data, bytes.data == NULL ? 0 : bytes.len);
}

static void add_message(struct rj_batch_writer *writer, const struct rj_record *record)
{
    size_t start = writer->len;
    uint8_t head[AT_MESSAGE_TIMESTAMP + 8] = {0};
    put_u64(head + AT_BASE_OFFSET, (uint64_t)record->offset);
    head[AT_MAGIC] = (uint8_t)writer->magic;
    put_u64(head + AT_MESSAGE_TIMESTAMP, (uint64_t)record->timestamp_ms);
    add_bytes(writer, head, writer->magic == 1 ? (int32_t)sizeof(head) : AT_MESSAGE_TIMESTAMP);
    add_fixed_sized(writer, record->key);
    add_fixed_sized(writer, record->value);
    if (writer->out == NULL || writer->len > writer->out_len)
        return;
    uint8_t *message = writer->out + start;
    size_t len = writer->len - start;
    put_u32(message + AT_LENGTH, (uint32_t)(len - RJ_BATCH_LENGTH_PREFIX_LEN));
    put_u32(message + AT_MESSAGE_CRC, rj_crc32((struct rj_bytes){message + AT_MAGIC, (int32_t)(len - AT_MAGIC)}));
}

void rj_batch_add(struct rj_batch_writer *writer, const struct rj_record *record,
                  const struct rj_record_header *headers, int32_t header_count)
{
    if (writer->record_count == 0)
        writer->base_timestamp_ms = record->timestamp_ms;
    if (writer->record_count == 0 || record->timestamp_ms > writer->max_timestamp_ms)
        writer->max_timestamp_ms = record->timestamp_ms;
    writer->last_offset = record->offset;
    writer->record_count++;
    if (writer->magic == 2)
        add_v2(writer, record, headers, header_count);
    else
        add_message(writer, record);
}

enum rj_err rj_batch_finish(struct rj_batch_writer *writer, const struct rj_record_batch *like, size_t *len,
                            struct rj_fault *fault)
{
    enum { INHERITED = RJ_BATCH_LOG_APPEND_TIME | RJ_BATCH_TRANSACTIONAL | RJ_BATCH_CONTROL };
    *len = writer->len;
    if (writer->len > writer->out_len || writer->len > INT32_MAX)
        return fail(fault, RJ_ERR_SPACE, writer->out_len, "records", "room: ", (int64_t)writer->out_len,
                    "room for the whole batch");
    if (writer->magic != 2)
        return RJ_OK;
    uint8_t *out = writer->out;
    put_u64(out + AT_BASE_OFFSET, (uint64_t)writer->base_offset);
    put_u32(out + AT_LEADER_EPOCH, (uint32_t)(like != NULL ? like->partition_leader_epoch : -1));
    out[AT_MAGIC] = 2;
    put_u16(out + AT_ATTRIBUTES, (uint16_t)(like != NULL ? like->attributes & INHERITED : 0));
    put_u32(out + AT_LAST_OFFSET_DELTA, (uint32_t)((uint64_t)writer->last_offset - (uint64_t)writer->base_offset));
    put_u64(out + AT_BASE_TIMESTAMP, (uint64_t)writer->base_timestamp_ms);
    put_u64(out + AT_MAX_TIMESTAMP, (uint64_t)writer->max_timestamp_ms);
    put_u64(out + AT_PRODUCER_ID, (uint64_t)(like != NULL ? like->producer_id : -1));
    put_u16(out + AT_PRODUCER_EPOCH, (uint16_t)(like != NULL ? like->producer_epoch : -1));
    put_u32(out + AT_BASE_SEQUENCE, (uint32_t)(like != NULL ? like->base_sequence : -1));
    put_u32(out + AT_RECORD_COUNT, (uint32_t)writer->record_count);
    seal(out, writer->len);
    return RJ_OK;
}
