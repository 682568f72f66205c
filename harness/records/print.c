#include "records/print.h"

#include "records/compress.h"

#include <stdlib.h>
#include <string.h>

static const char *const compression_names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

void rejoin_print_json_string(struct rj_string string, struct rejoin_buffer *out)
{
    /* The walker knows how to print a string of any bytes: lend it one as a message. */
    struct rj_sasl_handshake_request carrier;
    rj_message_init(&rj_sasl_handshake_request_schema, &carrier);
    carrier.mechanism = string.data != NULL ? string : RJ_EMPTY_STRING;
    struct rejoin_buffer json = {0};
    struct rj_writer writer = rejoin_buffer_writer(&json);
    rj_print_json(&rj_sasl_handshake_request_schema, 0, &carrier, &writer);
    size_t prefix_len = strlen("{\"mechanism\":");
    rejoin_buffer_add(out, json.data + prefix_len, json.len - prefix_len - 1);
    rejoin_buffer_free(&json);
}

static void print_text(const char *text, struct rejoin_buffer *out)
{
    rejoin_print_json_string((struct rj_string){text, (int32_t)strlen(text)}, out);
}

void rejoin_print_fault(const struct rj_fault *fault, struct rejoin_buffer *out)
{
    rejoin_buffer_format(out, "{\"err\":\"%s\",\"sentence\":", rj_err_name(fault->err));
    print_text(rj_err_sentence(fault->err), out);
    rejoin_buffer_format(out, ",\"offset\":%zu", fault->offset);
    if (fault->api_key >= 0)
        rejoin_buffer_format(out, ",\"apiKey\":%d", fault->api_key);
    if (fault->version >= 0)
        rejoin_buffer_format(out, ",\"version\":%d", fault->version);
    rejoin_buffer_text(out, ",\"field\":");
    print_text(fault->field, out);
    rejoin_buffer_text(out, ",\"found\":");
    print_text(fault->found, out);
    rejoin_buffer_text(out, ",\"expected\":");
    print_text(fault->expected, out);
    rejoin_buffer_text(out, "}");
}

static void print_bytes(struct rj_bytes bytes, struct rejoin_buffer *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (bytes.data == NULL) {
        rejoin_buffer_text(out, "null");
        return;
    }
    rejoin_buffer_text(out, "\"");
    for (int32_t i = 0; i < bytes.len; i += 3) {
        int32_t len = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t three = (uint32_t)bytes.data[i] << 16 | (uint32_t)(len > 1 ? bytes.data[i + 1] : 0) << 8 |
                         (len > 2 ? bytes.data[i + 2] : 0);
        const char four[4] = {letters[three >> 18], letters[three >> 12 & 63], len > 1 ? letters[three >> 6 & 63] : '=',
                              len > 2 ? letters[three & 63] : '='};
        rejoin_buffer_add(out, four, sizeof(four));
    }
    rejoin_buffer_text(out, "\"");
}

static void print_record(struct rj_record *record, bool has_headers, struct rejoin_buffer *out)
{
    rejoin_buffer_format(out, "{\"offset\":%lld,\"timestamp\":%lld,\"key\":", (long long)record->offset,
                         (long long)record->timestamp_ms);
    print_bytes(record->key, out);
    rejoin_buffer_text(out, ",\"value\":");
    print_bytes(record->value, out);
    if (has_headers) {
        struct rj_record_header header;
        rejoin_buffer_text(out, ",\"headers\":[");
        for (bool first = true; rj_record_header_next(record, &header); first = false) {
            rejoin_buffer_text(out, first ? "{\"key\":" : ",{\"key\":");
            rejoin_print_json_string(header.key, out);
            rejoin_buffer_text(out, ",\"value\":");
            print_bytes(header.value, out);
            rejoin_buffer_text(out, "}");
        }
        rejoin_buffer_text(out, "]");
    }
    rejoin_buffer_text(out, "}");
}

static void print_batch_header(const struct rj_record_batch *batch, struct rejoin_buffer *out)
{
    int compression = rj_batch_compression(batch);
    rejoin_buffer_format(out, "{\"baseOffset\":%lld,\"length\":%zu,\"magic\":%d,\"crc\":%u,\"attributes\":%d,"
                              "\"compression\":\"%s\",\"timestampType\":\"%s\"",
                         (long long)batch->base_offset, batch->len - RJ_BATCH_LENGTH_PREFIX_LEN, batch->magic,
                         batch->crc, batch->attributes, compression <= 4 ? compression_names[compression] : "unknown",
                         batch->attributes & RJ_BATCH_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime");
    if (batch->magic < 2)
        return;
    rejoin_buffer_format(out, ",\"transactional\":%s,\"control\":%s,\"partitionLeaderEpoch\":%d,\"lastOffsetDelta\":%d,"
                              "\"baseTimestamp\":%lld,\"maxTimestamp\":%lld,\"producerId\":%lld,\"producerEpoch\":%d,"
                              "\"baseSequence\":%d,\"recordsCount\":%d",
                         batch->attributes & RJ_BATCH_TRANSACTIONAL ? "true" : "false",
                         batch->attributes & RJ_BATCH_CONTROL ? "true" : "false", batch->partition_leader_epoch,
                         batch->last_offset_delta, (long long)batch->base_timestamp_ms,
                         (long long)batch->max_timestamp_ms, (long long)batch->producer_id, batch->producer_epoch,
                         batch->base_sequence, batch->record_count);
}

static enum rj_err print_batch_records(const struct rj_record_batch *batch, size_t limit_len,
                                       struct rejoin_buffer *out, struct rj_fault *fault)
{
    struct rejoin_buffer plain = {0};
    struct rj_bytes records = batch->records;
    rejoin_buffer_text(out, ",\"records\":[");
    if (rj_batch_compression(batch) != RJ_COMPRESSION_NONE) {
        const char *why = "";
        struct rj_bytes from = records.data != NULL ? records : RJ_EMPTY_BYTES;
        enum rj_err err = rejoin_decompress(rj_batch_compression(batch), batch->magic, from, limit_len, &plain, &why);
        if (err != RJ_OK) {
            *fault = (struct rj_fault){.err = err, .api_key = -1, .version = -1, .field = "records"};
            snprintf(fault->found, sizeof(fault->found), "%s", why);
            snprintf(fault->expected, sizeof(fault->expected), "records compressed as the attributes say");
            rejoin_buffer_text(out, "]");
            rejoin_buffer_free(&plain);
            return err;
        }
        records = rejoin_buffer_bytes(&plain);
    }
    struct rj_record_reader reader;
    struct rj_record record;
    bool more = true;
    rj_record_reader_init(&reader, batch, records);
    enum rj_err err = RJ_OK;
    for (bool first = true; (err = rj_record_next(&reader, &record, &more, fault)) == RJ_OK && more; first = false) {
        rejoin_buffer_text(out, first ? "" : ",");
        print_record(&record, batch->magic == 2, out);
    }
    rejoin_buffer_text(out, "]");
    rejoin_buffer_free(&plain);
    return err;
}

enum rj_err rejoin_print_records(struct rj_bytes bytes, size_t limit_len, struct rejoin_buffer *out,
                                 struct rj_fault *fault)
{
    size_t offset = 0;
    enum rj_err err = RJ_OK;
    rejoin_buffer_text(out, "[");
    while (err == RJ_OK && offset < (size_t)bytes.len) {
        struct rj_record_batch batch;
        err = rj_batch_read((struct rj_bytes){bytes.data + offset, bytes.len - (int32_t)offset}, &batch, fault);
        if (err == RJ_OK) {
            rejoin_buffer_text(out, offset > 0 ? "," : "");
            print_batch_header(&batch, out);
            err = print_batch_records(&batch, limit_len, out, fault);
            rejoin_buffer_text(out, "}");
        }
        if (err != RJ_OK)
            fault->offset += offset;
        offset += batch.len;
    }
    rejoin_buffer_text(out, "]");
    return err;
}
