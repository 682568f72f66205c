/* Single records of a batch or a message set. */
#include "rejoin/records.h"

#include "codec/path.h"
#include "codec/wire.h"

static enum rj_err fail(const struct rj_record_reader *reader, struct rj_fault *fault, enum rj_err err,
                        const char *field, const char *found, int64_t number, const char *expected)
{
    struct place place = {NULL, -1, fault};
    struct path path = {NULL, field, -1};
    return rj_fault_set_number(&place, err, reader->start_len - (size_t)reader->rest.len, &path, found, number,
                               expected);
}

static struct rj_bytes behind(struct rj_bytes bytes, int32_t len)
{
    return (struct rj_bytes){bytes.data + len, bytes.len - len};
}

/* A zigzag varint of at most 5 (32 bits) or 10 bytes; false: it does not end, or too late. */
static bool take_varint(struct rj_bytes *from, int max_len, int64_t *value)
{
    uint64_t bits = 0;
    for (int i = 0; i < max_len && i < from->len; i++) {
        bits |= (uint64_t)(from->data[i] & 0x7f) << (7 * i);
        if (from->data[i] < 0x80) {
            if (max_len == 5)
                bits = (uint32_t)bits;
            *value = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
            *from = behind(*from, i + 1);
            return true;
        }
    }
    return false;
}

static bool take_int(struct rj_bytes *from, int32_t *value)
{
    int64_t wide;
    bool ok = take_varint(from, 5, &wide);
    *value = ok ? (int32_t)wide : 0;
    return ok;
}

/* A length and bytes; negative is null. */
static bool take_sized(struct rj_bytes *from, struct rj_bytes *out)
{
    int32_t len;
    *out = RJ_NULL_BYTES;
    if (!take_int(from, &len) || len > from->len)
        return false;
    if (len < 0)
        return true;
    *out = (struct rj_bytes){from->data, len};
    *from = behind(*from, len);
    return true;
}

/* Offset of the last message of a set; every message must be whole. */
static int64_t last_offset(struct rj_bytes set)
{
    int64_t last = 0;
    while (set.len >= RJ_BATCH_LENGTH_PREFIX_LEN) {
        int32_t size = (int32_t)get_u32(set.data + 8);
        if (size < 0 || size > set.len - RJ_BATCH_LENGTH_PREFIX_LEN)
            break;
        last = (int64_t)get_u64(set.data);
        set = behind(set, RJ_BATCH_LENGTH_PREFIX_LEN + size);
    }
    return last;
}

void rj_record_reader_init(struct rj_record_reader *reader, const struct rj_record_batch *batch, struct rj_bytes plain)
{
    static const uint8_t nothing[1];
    if (plain.data == NULL)
        plain = (struct rj_bytes){nothing, 0};
    *reader = (struct rj_record_reader){.batch = *batch, .rest = plain, .left_count = batch->record_count,
                                        .start_len = (size_t)plain.len};
    if (batch->magic == 2)
        return;
    if (rj_batch_compression(batch) == RJ_COMPRESSION_NONE) {
        reader->rest = (struct rj_bytes){nothing, 0};
        reader->start_len = 0;
        return;
    }
    reader->left_count = -1;
    /* Relative offsets of magic 1: the last inner message has the offset of the wrapper. */
    reader->inner_base = batch->magic == 1 ? (int64_t)((uint64_t)batch->base_offset - (uint64_t)last_offset(plain)) : 0;
}

static bool headers_are_whole(struct rj_bytes *from, int32_t count)
{
    struct rj_bytes key, value;
    for (int32_t i = 0; i < count; i++)
        if (!take_sized(from, &key) || key.data == NULL || !take_sized(from, &value))
            return false;
    return true;
}

static enum rj_err read_body(struct rj_record_reader *reader, struct rj_bytes body, struct rj_record *record,
                             struct rj_fault *fault)
{
    const struct rj_record_batch *batch = &reader->batch;
    int64_t timestamp_delta;
    int32_t offset_delta;
    body = behind(body, 1); /* attributes */
    if (!take_varint(&body, 10, &timestamp_delta))
        return fail(reader, fault, RJ_ERR_VARINT, "timestampDelta", "bytes left: ", body.len, "a varlong");
    if (!take_int(&body, &offset_delta))
        return fail(reader, fault, RJ_ERR_VARINT, "offsetDelta", "bytes left: ", body.len, "a varint");
    if (!take_sized(&body, &record->key))
        return fail(reader, fault, RJ_ERR_LENGTH, "key", "bytes left: ", body.len, "a key inside the record");
    if (!take_sized(&body, &record->value))
        return fail(reader, fault, RJ_ERR_LENGTH, "value", "bytes left: ", body.len, "a value inside the record");
    if (!take_int(&body, &record->header_count) || record->header_count < 0 || record->header_count > body.len)
        return fail(reader, fault, RJ_ERR_LENGTH, "headersCount", "bytes left: ", body.len,
                    "a count that is not negative");
    record->headers = body;
    if (!headers_are_whole(&body, record->header_count))
        return fail(reader, fault, RJ_ERR_LENGTH, "headers", "bytes left: ", body.len, "headers inside the record");
    if (body.len != 0)
        return fail(reader, fault, RJ_ERR_TRAILING, "length", "bytes left: ", body.len, "the end of the record");
    record->headers.len -= body.len;
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)offset_delta);
    record->timestamp_ms = batch->attributes & RJ_BATCH_LOG_APPEND_TIME
                               ? batch->max_timestamp_ms
                               : (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)timestamp_delta);
    return RJ_OK;
}

static enum rj_err next_v2(struct rj_record_reader *reader, struct rj_record *record, bool *more,
                           struct rj_fault *fault)
{
    if (reader->left_count == 0)
        return reader->rest.len == 0 ? RJ_OK
                                     : fail(reader, fault, RJ_ERR_TRAILING, "records", "bytes left: ",
                                            reader->rest.len, "the end of the batch");
    int32_t len;
    struct rj_bytes rest = reader->rest;
    if (!take_int(&rest, &len) || len < 1 || len > rest.len)
        return fail(reader, fault, rest.len == 0 ? RJ_ERR_SHORT : RJ_ERR_LENGTH, "length", "bytes left: ", rest.len,
                    "a record inside the batch");
    enum rj_err err = read_body(reader, (struct rj_bytes){rest.data, len}, record, fault);
    if (err != RJ_OK)
        return err;
    reader->rest = behind(rest, len);
    reader->left_count--;
    *more = true;
    return RJ_OK;
}

static void from_message(const struct rj_record_batch *message, int64_t offset, struct rj_record *record)
{
    record->offset = offset;
    record->timestamp_ms = message->base_timestamp_ms;
    record->key = message->key;
    record->value = message->records;
}

static enum rj_err next_inner(struct rj_record_reader *reader, struct rj_record *record, bool *more,
                              struct rj_fault *fault)
{
    if (reader->rest.len == 0)
        return RJ_OK;
    struct rj_record_batch inner;
    enum rj_err err = rj_batch_read(reader->rest, &inner, fault);
    if (err != RJ_OK) {
        if (fault != NULL)
            fault->offset += reader->start_len - (size_t)reader->rest.len;
        return err;
    }
    if (inner.magic != reader->batch.magic || rj_batch_compression(&inner) != RJ_COMPRESSION_NONE)
        return fail(reader, fault, RJ_ERR_CORRUPT, "magic", "magic ", inner.magic,
                    "that of the outer message, not compressed again");
    from_message(&inner, (int64_t)((uint64_t)inner.base_offset + (uint64_t)reader->inner_base), record);
    if (reader->batch.attributes & RJ_BATCH_LOG_APPEND_TIME)
        record->timestamp_ms = reader->batch.base_timestamp_ms;
    reader->rest = behind(reader->rest, (int32_t)inner.len);
    *more = true;
    return RJ_OK;
}

enum rj_err rj_record_next(struct rj_record_reader *reader, struct rj_record *record, bool *more,
                           struct rj_fault *fault)
{
    *more = false;
    *record = (struct rj_record){.timestamp_ms = -1};
    if (reader->batch.magic == 2)
        return next_v2(reader, record, more, fault);
    if (reader->left_count < 0)
        return next_inner(reader, record, more, fault);
    if (reader->left_count == 0)
        return RJ_OK;
    reader->left_count = 0;
    from_message(&reader->batch, reader->batch.base_offset, record);
    *more = true;
    return RJ_OK;
}

bool rj_record_header_next(struct rj_record *record, struct rj_record_header *header)
{
    struct rj_bytes key;
    if (record->header_count == 0 || !take_sized(&record->headers, &key) ||
        !take_sized(&record->headers, &header->value))
        return false;
    header->key = (struct rj_string){(const char *)key.data, key.len};
    record->header_count--;
    return true;
}
