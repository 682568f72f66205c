/* Records as JSON: what `rejoin decode --type record-batch` prints. */
#ifndef REJOIN_RECORDS_PRINT_H
#define REJOIN_RECORDS_PRINT_H

#include "rejoin/records.h"
#include "support/buffer.h"

/* Prints [{batch}, ...]: the header's fields, and "records", each with offset, timestamp, key, value (base64, or null)
 * and headers. Compressed batches are decompressed, up to limit_len bytes in all. On failure what was read so far is
 * printed, the array closed, and *fault filled with offsets from the start of bytes. */
enum rj_err rejoin_print_records(struct rj_bytes bytes, size_t limit_len, struct rejoin_buffer *out,
                                 struct rj_fault *fault);

/* "..." with JSON's escapes; bytes that are not UTF-8 become U+FFFD. */
void rejoin_print_json_string(struct rj_string string, struct rejoin_buffer *out);
/* A fault as an object: err, sentence, offset, apiKey, api, version, field, found, expected. */
void rejoin_print_fault(const struct rj_fault *fault, struct rejoin_buffer *out);

#endif
