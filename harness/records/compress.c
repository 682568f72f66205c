#include "records/compress.h"

#include "support/memory.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK_LEN = 65536, XERIAL_BLOCK_LEN = 32768, XERIAL_HEADER_LEN = 16, LZ4_MAGIC_LEN = 4, LZ4_FLAGS_AT = 4 };

/* Where output goes, and how much it may become. */
struct sink {
    struct rejoin_buffer *out;
    size_t limit_len, start_len;
    const char **why;
};

static bool pour(struct sink *sink, const void *data, size_t len)
{
    if (len > sink->limit_len - (sink->out->len - sink->start_len))
        return false;
    rejoin_buffer_add(sink->out, data, len);
    return true;
}

static enum rj_err corrupt(struct sink *sink, const char *why)
{
    *sink->why = why;
    return RJ_ERR_CORRUPT;
}

static enum rj_err over_limit(struct sink *sink)
{
    *sink->why = "more than the limit comes out";
    return RJ_ERR_LIMIT;
}

/* ---- gzip ------------------------------------------------------------------------------------------------------ */

static enum rj_err inflate_members(struct rj_bytes in, struct sink *sink, z_stream *stream)
{
    uint8_t chunk[CHUNK_LEN];
    stream->next_in = (uint8_t *)(uintptr_t)in.data;
    stream->avail_in = (uInt)in.len;
    for (;;) {
        stream->next_out = chunk;
        stream->avail_out = sizeof(chunk);
        int status = inflate(stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END)
            return corrupt(sink, status == Z_BUF_ERROR ? "the gzip stream ends early" : "not gzip");
        if (!pour(sink, chunk, sizeof(chunk) - stream->avail_out))
            return over_limit(sink);
        if (status != Z_STREAM_END)
            continue;
        if (stream->avail_in == 0)
            return RJ_OK;
        inflateReset(stream); /* another member follows */
    }
}

static enum rj_err gunzip(struct rj_bytes in, struct sink *sink)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return RJ_ERR_MEMORY;
    enum rj_err err = inflate_members(in, sink, &stream);
    inflateEnd(&stream);
    return err;
}

static enum rj_err gzip(struct rj_bytes in, struct rejoin_buffer *out)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return RJ_ERR_MEMORY;
    size_t bound = deflateBound(&stream, (uLong)in.len);
    uint8_t *chunk = rejoin_alloc(bound);
    stream.next_in = (uint8_t *)(uintptr_t)in.data;
    stream.avail_in = (uInt)in.len;
    stream.next_out = chunk;
    stream.avail_out = (uInt)bound;
    deflate(&stream, Z_FINISH);
    rejoin_buffer_add(out, chunk, bound - stream.avail_out);
    deflateEnd(&stream);
    free(chunk);
    return RJ_OK;
}

/* ---- snappy ---------------------------------------------------------------------------------------------------- */

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum rj_err unsnappy_block(const uint8_t *at, size_t len, struct sink *sink)
{
    size_t plain_len;
    if (snappy_uncompressed_length((const char *)at, len, &plain_len) != SNAPPY_OK)
        return corrupt(sink, "not snappy");
    if (plain_len > sink->limit_len - (sink->out->len - sink->start_len))
        return over_limit(sink);
    if (plain_len > len * 64 + 64) /* a copy of at most 64 bytes takes two: more cannot be true */
        return corrupt(sink, "a snappy block that claims more than it can hold");
    char *plain = rejoin_alloc(plain_len);
    bool ok = snappy_uncompress((const char *)at, len, plain, &plain_len) == SNAPPY_OK;
    if (ok)
        rejoin_buffer_add(sink->out, plain, plain_len);
    free(plain);
    return ok ? RJ_OK : corrupt(sink, "a damaged snappy block");
}

static enum rj_err unsnappy(struct rj_bytes in, struct sink *sink)
{
    if (in.len < XERIAL_HEADER_LEN || memcmp(in.data, xerial_magic, sizeof(xerial_magic)) != 0)
        return unsnappy_block(in.data, (size_t)in.len, sink);
    const uint8_t *at = in.data + XERIAL_HEADER_LEN, *end = in.data + in.len;
    while (end - at >= 4) {
        uint32_t len = big_endian(at);
        at += 4;
        if (len > (size_t)(end - at))
            return corrupt(sink, "a snappy block that ends early");
        enum rj_err err = unsnappy_block(at, len, sink);
        if (err != RJ_OK)
            return err;
        at += len;
    }
    return at == end ? RJ_OK : corrupt(sink, "bytes behind the last snappy block");
}

static enum rj_err snap(struct rj_bytes in, struct rejoin_buffer *out)
{
    static const uint8_t versions[8] = {0, 0, 0, 1, 0, 0, 0, 1};
    rejoin_buffer_add(out, xerial_magic, sizeof(xerial_magic));
    rejoin_buffer_add(out, versions, sizeof(versions));
    size_t bound = snappy_max_compressed_length(XERIAL_BLOCK_LEN);
    char *block = rejoin_alloc(bound);
    for (int32_t at = 0; at < in.len; at += XERIAL_BLOCK_LEN) {
        size_t plain_len = (size_t)(in.len - at < XERIAL_BLOCK_LEN ? in.len - at : XERIAL_BLOCK_LEN), len = bound;
        snappy_compress((const char *)in.data + at, plain_len, block, &len);
        const uint8_t size[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
        rejoin_buffer_add(out, size, sizeof(size));
        rejoin_buffer_add(out, block, len);
    }
    free(block);
    return RJ_OK;
}

/* ---- lz4 ------------------------------------------------------------------------------------------------------- */

/* xxHash32 with seed 0 of fewer than 16 bytes: enough for the header checksum of an lz4 frame. */
static uint32_t short_xxhash32(const uint8_t *at, size_t len)
{
    const uint32_t p1 = 2654435761U, p2 = 2246822519U, p3 = 3266489917U, p4 = 668265263U, p5 = 374761393U;
    uint32_t hash = p5 + (uint32_t)len;
    for (; len >= 4; at += 4, len -= 4) {
        hash += ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24) * p3;
        hash = (hash << 17 | hash >> 15) * p4;
    }
    for (; len > 0; at++, len--) {
        hash += *at * p5;
        hash = (hash << 11 | hash >> 21) * p1;
    }
    hash = (hash ^ hash >> 15) * p2;
    hash = (hash ^ hash >> 13) * p3;
    return hash ^ hash >> 16;
}

/* Where the header checksum stands: behind flags, block size and, if flagged, 8 bytes of length and 4 of dictionary. */
static size_t lz4_checksum_at(const uint8_t *frame)
{
    return LZ4_FLAGS_AT + 2 + (frame[LZ4_FLAGS_AT] & 8 ? 8 : 0) + (frame[LZ4_FLAGS_AT] & 1 ? 4 : 0);
}

/* Message format 0 was written with a checksum that takes the frame's magic number in. */
static uint8_t lz4_checksum(const uint8_t *frame, size_t at, bool wrong)
{
    size_t from = wrong ? 0 : LZ4_FLAGS_AT;
    return (uint8_t)(short_xxhash32(frame + from, at - from) >> 8);
}

static enum rj_err lz4_frames(const uint8_t *at, size_t len, struct sink *sink, LZ4F_dctx *context)
{
    uint8_t chunk[CHUNK_LEN];
    size_t hint = 1;
    while (len > 0 || hint == 0) {
        size_t out_len = sizeof(chunk), in_len = len;
        hint = LZ4F_decompress(context, chunk, &out_len, at, &in_len, NULL);
        if (LZ4F_isError(hint))
            return corrupt(sink, "not an lz4 frame");
        if (!pour(sink, chunk, out_len))
            return over_limit(sink);
        at += in_len;
        len -= in_len;
        if (hint == 0 && len == 0)
            return RJ_OK;
        if (in_len == 0 && out_len == 0)
            break;
    }
    return corrupt(sink, "the lz4 frame ends early");
}

static enum rj_err unlz4(struct rj_bytes in, int8_t magic, struct sink *sink)
{
    LZ4F_dctx *context;
    if (in.len < LZ4_MAGIC_LEN + 3 || lz4_checksum_at(in.data) >= (size_t)in.len)
        return corrupt(sink, "not an lz4 frame");
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return RJ_ERR_MEMORY;
    uint8_t *copy = NULL;
    size_t at = lz4_checksum_at(in.data);
    /* Kafka looks at the header checksum from magic 1 on only. */
    if (magic == 0 || in.data[at] == lz4_checksum(in.data, at, true)) {
        copy = rejoin_alloc((size_t)in.len);
        memcpy(copy, in.data, (size_t)in.len);
        copy[at] = lz4_checksum(copy, at, false);
    }
    enum rj_err err = lz4_frames(copy != NULL ? copy : in.data, (size_t)in.len, sink, context);
    LZ4F_freeDecompressionContext(context);
    free(copy);
    return err;
}

static enum rj_err lz4(struct rj_bytes in, int8_t magic, struct rejoin_buffer *out)
{
    const LZ4F_preferences_t preferences = {.frameInfo = {.blockMode = LZ4F_blockIndependent}};
    size_t bound = LZ4F_compressFrameBound((size_t)in.len, &preferences);
    uint8_t *frame = rejoin_alloc(bound);
    size_t len = LZ4F_compressFrame(frame, bound, in.data, (size_t)in.len, &preferences);
    bool ok = !LZ4F_isError(len);
    if (ok && magic == 0)
        frame[lz4_checksum_at(frame)] = lz4_checksum(frame, lz4_checksum_at(frame), true);
    if (ok)
        rejoin_buffer_add(out, frame, len);
    free(frame);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

/* ---- zstd ------------------------------------------------------------------------------------------------------ */

static enum rj_err zstd_frames(struct rj_bytes in, struct sink *sink, ZSTD_DStream *stream)
{
    uint8_t chunk[CHUNK_LEN];
    ZSTD_inBuffer from = {in.data, (size_t)in.len, 0};
    size_t hint = 1;
    while (from.pos < from.size || hint != 0) {
        ZSTD_outBuffer to = {chunk, sizeof(chunk), 0};
        size_t before = from.pos;
        hint = ZSTD_decompressStream(stream, &to, &from);
        if (ZSTD_isError(hint))
            return corrupt(sink, "not zstd");
        if (!pour(sink, chunk, to.pos))
            return over_limit(sink);
        if (hint != 0 && from.pos == before && to.pos == 0)
            return corrupt(sink, "the zstd frame ends early");
    }
    return RJ_OK;
}

static enum rj_err unzstd(struct rj_bytes in, struct sink *sink)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (stream == NULL)
        return RJ_ERR_MEMORY;
    enum rj_err err = zstd_frames(in, sink, stream);
    ZSTD_freeDStream(stream);
    return err;
}

static enum rj_err zstd(struct rj_bytes in, struct rejoin_buffer *out)
{
    size_t bound = ZSTD_compressBound((size_t)in.len);
    uint8_t *frame = rejoin_alloc(bound);
    size_t len = ZSTD_compress(frame, bound, in.data, (size_t)in.len, 3);
    bool ok = !ZSTD_isError(len);
    if (ok)
        rejoin_buffer_add(out, frame, len);
    free(frame);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

/* ---------------------------------------------------------------------------------------------------------------- */

enum rj_err rejoin_decompress(enum rj_compression compression, int8_t magic, struct rj_bytes compressed,
                              size_t limit_len, struct rejoin_buffer *plain, const char **why)
{
    static const char *unread;
    struct sink sink = {plain, limit_len, plain->len, why != NULL ? why : &unread};
    enum rj_err err = RJ_ERR_CORRUPT;
    *sink.why = "a compression that Kafka does not have";
    switch (compression) {
    case RJ_COMPRESSION_NONE: err = pour(&sink, compressed.data, (size_t)compressed.len) ? RJ_OK : over_limit(&sink); break;
    case RJ_COMPRESSION_GZIP: err = gunzip(compressed, &sink); break;
    case RJ_COMPRESSION_SNAPPY: err = unsnappy(compressed, &sink); break;
    case RJ_COMPRESSION_LZ4: err = unlz4(compressed, magic, &sink); break;
    case RJ_COMPRESSION_ZSTD: err = unzstd(compressed, &sink); break;
    }
    if (err != RJ_OK)
        plain->len = sink.start_len;
    return err;
}

enum rj_err rejoin_compress(enum rj_compression compression, int8_t magic, struct rj_bytes plain,
                            struct rejoin_buffer *compressed)
{
    switch (compression) {
    case RJ_COMPRESSION_NONE: rejoin_buffer_add(compressed, plain.data, (size_t)plain.len); return RJ_OK;
    case RJ_COMPRESSION_GZIP: return gzip(plain, compressed);
    case RJ_COMPRESSION_SNAPPY: return snap(plain, compressed);
    case RJ_COMPRESSION_LZ4: return lz4(plain, magic, compressed);
    case RJ_COMPRESSION_ZSTD: return zstd(plain, compressed);
    }
    return RJ_ERR_VALUE;
}
