/* Which of two ways a frame is meant: with the 4 bytes of length that open it on the wire, or without them. */
#ifndef REJOIN_CLI_FRAME_READING_H
#define REJOIN_CLI_FRAME_READING_H

#include "cli/codec_options.h"

/* What comes of one way. */
struct frame_reading {
    bool is_sized;         /* with the length */
    bool is_response;
    int64_t said_len;      /* what the length says; -1: there is none, or it is negative */
    int32_t found_len;     /* how many bytes follow it */
    struct rj_bytes frame; /* what is behind the length, and no more than it says */
    bool opens;            /* its header is one, of an API and version that Kafka has */
    enum rj_err err;       /* of header and body */
    struct rj_fault fault;
    const char *what;      /* "request", or the name of the message */
};

/* Reads the input both ways. Allocates from the arena, and keeps nothing of it. */
void frame_readings(const struct codec_options *options, struct rj_bytes input, struct rj_arena *arena,
                    struct frame_reading *with_length, struct frame_reading *without);
/* The one that the options name, or that decodes; where none does, the likelier one. NULL: both decode. */
const struct frame_reading *frame_reading_choose(const struct codec_options *options,
                                                 const struct frame_reading *with_length,
                                                 const struct frame_reading *without);
/* Whether the length is there and is that of what follows; false: fault says what is wrong with it. */
bool frame_reading_check_length(const struct frame_reading *reading, struct rj_fault *fault);
/* Lines on stderr: that both ways decode; that the length is not that of what follows; what the other way would have
 * been, where the chosen one does not decode and the other is likely at all. */
void frame_reading_tell_both(const struct frame_reading *with_length);
void frame_reading_tell_length(const struct frame_reading *reading);
void frame_reading_tell_other(const struct frame_reading *chosen, const struct frame_reading *other);

#endif
