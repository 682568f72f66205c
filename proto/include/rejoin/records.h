/* What the records fields of Produce and Fetch hold: record batches (magic 2, since Kafka 0.11) and message sets
 * (magic 0 and 1). Structure, checksums and single records; decompression is the caller's, since it needs libraries.
 *
 * Sources: Kafka's documentation of the message format; org.apache.kafka.common.record. */
#ifndef REJOIN_RECORDS_H
#define REJOIN_RECORDS_H

#include "rejoin/base.h"

enum {
    RJ_BATCH_HEADER_LEN = 61,        /* of magic 2, up to and with the record count */
    RJ_BATCH_LENGTH_PREFIX_LEN = 12, /* base offset and length, the same in every magic */
    RJ_MESSAGE_MIN_LEN = 26,         /* offset, size, crc, magic, attributes, null key, null value (magic 0) */
};

enum rj_compression {
    RJ_COMPRESSION_NONE = 0, RJ_COMPRESSION_GZIP = 1, RJ_COMPRESSION_SNAPPY = 2, RJ_COMPRESSION_LZ4 = 3,
    RJ_COMPRESSION_ZSTD = 4,
};

enum rj_batch_attribute {
    RJ_BATCH_COMPRESSION_MASK = 7,
    RJ_BATCH_LOG_APPEND_TIME = 8,
    RJ_BATCH_TRANSACTIONAL = 16,  /* from here on: magic 2 only */
    RJ_BATCH_CONTROL = 32,
    RJ_BATCH_DELETE_HORIZON = 64, /* base_timestamp_ms is then the delete horizon */
};

/* One batch of magic 2, or one message of magic 0 or 1 (which, compressed, wraps a message set of its own). */
struct rj_record_batch {
    int64_t base_offset;           /* magic 0, 1: the message's; of a compressed message: that of its last inner one */
    size_t len;                    /* whole, with base offset and length: the next batch starts here */
    int32_t partition_leader_epoch; /* magic 0, 1: -1 */
    int8_t magic;                  /* 0, 1, 2 */
    uint32_t crc;
    int16_t attributes;            /* enum rj_batch_attribute; bits that are not defined are kept */
    int32_t last_offset_delta;     /* magic 0, 1: 0 */
    int64_t base_timestamp_ms, max_timestamp_ms; /* magic 1: both the message's; magic 0: -1 */
    int64_t producer_id;           /* -1: none */
    int16_t producer_epoch;        /* -1: none */
    int32_t base_sequence;         /* -1: none */
    int32_t record_count;          /* magic 0, 1: 1 */
    struct rj_bytes records;       /* view: magic 2: what follows the count, compressed as attributes say;
                                      magic 0, 1: the message's value (null possible) */
    struct rj_bytes key;           /* view: magic 0, 1: the message's key (null possible) */
};

static inline enum rj_compression rj_batch_compression(const struct rj_record_batch *batch)
{
    return (enum rj_compression)(batch->attributes & RJ_BATCH_COMPRESSION_MASK);
}

/* Reads and validates the batch (or message) at the start of bytes: length, magic, CRC (CRC-32C in magic 2, CRC-32
 * before), count and offset delta not negative. More may follow at batch->len.
 * RJ_ERR_SHORT: bytes end inside the batch, which is normal at the end of a Fetch answer (a broker cuts the last
 * one); batch->len is then what it would take if that is known, else 0.
 * RJ_ERR_CORRUPT: magic not 0, 1, 2, or a wrong CRC. RJ_ERR_LENGTH: a length or count that cannot be.
 * fault->field is the field's name in Kafka's documentation (baseOffset, batchLength, crc, recordsCount ...). */
enum rj_err rj_batch_read(struct rj_bytes bytes, struct rj_record_batch *batch, struct rj_fault *fault);
/* The same for bytes whose checksum is not to be looked at (a capture that was cut, a batch known to be good). */
enum rj_err rj_batch_read_unchecked(struct rj_bytes bytes, struct rj_record_batch *batch, struct rj_fault *fault);

/* Sets base offset and partition leader epoch of a magic 2 batch in place; neither is under the CRC. Of a message of
 * magic 0 or 1 it sets the offset alone. batch points to a batch that rj_batch_read accepted. */
void rj_batch_assign(uint8_t *batch, int64_t base_offset, int32_t partition_leader_epoch);
/* As a broker does with message.timestamp.type=LogAppendTime: sets the attribute and the maximum timestamp of a magic 2
 * batch and renews its CRC. */
void rj_batch_set_log_append_time(uint8_t *batch, int64_t now_ms);

uint32_t rj_crc32c(struct rj_bytes bytes);                /* Castagnoli: magic 2 */
uint32_t rj_crc32(struct rj_bytes bytes);                 /* as zlib's: magic 0 and 1 */

/* ---- Records -------------------------------------------------------------------------------------------------- */

struct rj_record_header { struct rj_string key; struct rj_bytes value; /* null possible */ };

struct rj_record {
    int64_t offset;
    int64_t timestamp_ms;     /* -1: none (magic 0) */
    struct rj_bytes key;      /* null possible */
    struct rj_bytes value;    /* null possible */
    int32_t header_count;     /* magic 0, 1: 0 */
    struct rj_bytes headers;  /* view of their encoding, for rj_record_header_next */
};

/* Goes through the records of one batch. Copies nothing: records are views into the bytes. */
struct rj_record_reader {
    struct rj_record_batch batch;
    struct rj_bytes rest;     /* not yet read */
    int32_t left_count;       /* records still to come; message sets: -1 */
    int64_t inner_base;       /* message sets of magic 1: what relative offsets are added to */
    size_t start_len;
};

/* batch: as rj_batch_read gave it. plain: its records field, decompressed by the caller if the attributes say that it
 * is compressed. For magic 0 and 1: a message that is not compressed yields itself (plain is not looked at); of a
 * compressed one plain is the inner message set, whose offsets are put right (magic 1 counts from 0, and the wrapper
 * has the offset of the last). */
void rj_record_reader_init(struct rj_record_reader *reader, const struct rj_record_batch *batch, struct rj_bytes plain);
/* RJ_OK and *more true: *record holds the next one. *more false: the end (RJ_OK), or the fault that is returned.
 * The count of a magic 2 batch must match its records (RJ_ERR_SHORT, RJ_ERR_TRAILING). */
enum rj_err rj_record_next(struct rj_record_reader *reader, struct rj_record *record, bool *more,
                           struct rj_fault *fault);
/* Takes the next header off record->headers; false at the end. The encoding was checked by rj_record_next. */
bool rj_record_header_next(struct rj_record *record, struct rj_record_header *header);

/* ---- Writing --------------------------------------------------------------------------------------------------- */

/* Builds one batch of magic 2, or a message set of magic 0 or 1, uncompressed, in the caller's buffer. When a call
 * finds no room it writes nothing more, and all further calls only count: finish then returns RJ_ERR_SPACE with the
 * length that is needed. */
struct rj_batch_writer {
    uint8_t *out;
    size_t out_len, len;
    int8_t magic;
    int64_t base_offset, base_timestamp_ms, max_timestamp_ms, last_offset;
    int32_t record_count;
};

/* out may be NULL with out_len 0: only counts. */
void rj_batch_begin(struct rj_batch_writer *writer, int8_t magic, int64_t base_offset, uint8_t *out, size_t out_len);
/* record->offset must not go down (message sets keep it, magic 2 stores it relative to base_offset). Headers: an array,
 * or NULL and 0 to take record->headers as they are encoded. Magic 0 drops the timestamp, magic 0 and 1 the headers,
 * as Kafka's down-conversion does. */
void rj_batch_add(struct rj_batch_writer *writer, const struct rj_record *record,
                  const struct rj_record_header *headers, int32_t header_count);
/* Completes lengths, counts and CRC. like: takes over producer id, epoch, base sequence, leader epoch and the
 * transactional, control and log-append-time bits of that batch; NULL: none of them. A batch of magic 2 without
 * records is legal (record count 0). *len is the length of all. */
enum rj_err rj_batch_finish(struct rj_batch_writer *writer, const struct rj_record_batch *like, size_t *len,
                            struct rj_fault *fault);
/* The caller compressed the records of a finished magic 2 batch: puts the compressed bytes in their place (out_len of
 * room at batch; *len is the new length) and renews length, attributes and CRC. */
enum rj_err rj_batch_set_compressed(uint8_t *batch, size_t out_len, enum rj_compression compression,
                                    struct rj_bytes compressed, size_t *len, struct rj_fault *fault);

#endif
