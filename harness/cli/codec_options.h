/* What `rejoin decode` and `rejoin encode` are told, which is the same for both. */
#ifndef REJOIN_CLI_CODEC_OPTIONS_H
#define REJOIN_CLI_CODEC_OPTIONS_H

#include "support/buffer.h"

enum codec_type {
    CODEC_API, /* a request or response */
    CODEC_CONSUMER_SUBSCRIPTION, CODEC_CONSUMER_ASSIGNMENT, CODEC_STICKY_USERDATA, CODEC_OFFSETS_KEY,
    CODEC_OFFSETS_VALUE, CODEC_RECORD_BATCH,
};

/* Of a frame: whether the 4 bytes of length open it. */
enum codec_length { CODEC_LENGTH_GUESSED, CODEC_WITH_LENGTH, CODEC_WITHOUT_LENGTH };

struct codec_options {
    enum codec_type type;
    int api_key, version;      /* -1: not given */
    int record_type;           /* of __consumer_offsets; -1: not given */
    bool response;
    bool frame, binary;
    enum codec_length length;
    const char *file;          /* NULL or "-": stdin */
};

/* Returns 0, or the exit code to leave with after it printed why (or the help). */
int codec_options_read(int argc, char **argv, const char *help, struct codec_options *options);
/* The whole input; likewise. Text (encode) is left as it is; hex (decode) becomes bytes unless options->binary. */
int codec_input_read(const struct codec_options *options, const char *command, bool hex, struct rejoin_buffer *input);
/* The schema of the record type's key or value; NULL: Kafka has none. */
const struct rj_message_schema *codec_record_schema(int record_type, enum rj_message_kind kind);
/* One line: what, where, why. */
void codec_print_fault(const char *command, const char *what, const struct rj_fault *fault);

#endif
