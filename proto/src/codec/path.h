/* Where in a message the walker stands, and how that becomes a fault. */
#ifndef REJOIN_CODEC_PATH_H
#define REJOIN_CODEC_PATH_H

#include "rejoin/schema.h"

/* One step from the root of the message; they are chained on the walker's stack, and rendered only on failure. */
struct path {
    const struct path *up; /* NULL: name is the first step */
    const char *name;      /* Kafka's JSON name */
    int32_t index;         /* of the array's element; -1: none */
};

/* Text of a fixed size that ends in "..." where it was cut. */
struct text { char *out; size_t size, len; };

static inline struct text text_in(char *out, size_t size) { return (struct text){out, size, 0}; }
void rj_text_add(struct text *text, const char *piece);
void rj_text_add_number(struct text *text, int64_t number);
void rj_text_add_path(struct text *text, const struct path *path);

/* What every walker knows of the message at hand. */
struct place { const struct rj_message_schema *schema; int16_t version; struct rj_fault *fault; };

/* Fills the fault (when there is one) and returns err. found may be cut off by a number: "length " and -7. */
enum rj_err rj_fault_set(const struct place *place, enum rj_err err, size_t offset, const struct path *path,
                         const char *found, const char *expected);
enum rj_err rj_fault_set_number(const struct place *place, enum rj_err err, size_t offset, const struct path *path,
                                const char *found, int64_t number, const char *expected);

#endif
