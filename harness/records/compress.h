/* The compressions of Kafka's records, through their libraries. */
#ifndef REJOIN_RECORDS_COMPRESS_H
#define REJOIN_RECORDS_COMPRESS_H

#include "rejoin/records.h"
#include "support/buffer.h"

/* Adds the decompressed bytes to plain. Reads what Kafka's clients write: gzip of several members, snappy bare and
 * in the framing of the Java library, lz4 frames with the wrong header checksum of message format 0, zstd.
 * limit_len bounds what one call may produce: RJ_ERR_LIMIT beyond it. RJ_ERR_CORRUPT: not of this compression, or
 * damaged; *why then says more. Nothing is added on failure. */
enum rj_err rejoin_decompress(enum rj_compression compression, int8_t magic, struct rj_bytes compressed,
                              size_t limit_len, struct rejoin_buffer *plain, const char **why);

/* The reverse, as the Java client writes it (snappy in its framing; lz4 of magic 0 with the wrong checksum). */
enum rj_err rejoin_compress(enum rj_compression compression, int8_t magic, struct rj_bytes plain,
                            struct rejoin_buffer *compressed);

#endif
