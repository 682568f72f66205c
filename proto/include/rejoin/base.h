/* Values, memory and failures that every part of the core shares.
 *
 * The core does no I/O, reads no clock, draws no randomness and calls no malloc: all of that comes from its caller. */
#ifndef REJOIN_BASE_H
#define REJOIN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view of characters (UTF-8 on the wire, not NUL-terminated). data == NULL is Kafka's null; an empty string has a
 * non-null data and len 0. The bytes belong to whoever made the view: the decoded input, a literal, the caller. */
struct rj_string { const char *data; int32_t len; };

/* A view of bytes; data == NULL is null. */
struct rj_bytes { const uint8_t *data; int32_t len; };

struct rj_uuid { uint8_t bytes[16]; };

/* Arrays: items == NULL with count -1 is null; an empty array has count 0 (items may then be anything). */
struct rj_bool_array { bool *items; int32_t count; };
struct rj_int8_array { int8_t *items; int32_t count; };
struct rj_int16_array { int16_t *items; int32_t count; };
struct rj_uint16_array { uint16_t *items; int32_t count; };
struct rj_int32_array { int32_t *items; int32_t count; };
struct rj_uint32_array { uint32_t *items; int32_t count; };
struct rj_int64_array { int64_t *items; int32_t count; };
struct rj_float64_array { double *items; int32_t count; };
struct rj_string_array { struct rj_string *items; int32_t count; };
struct rj_bytes_array { struct rj_bytes *items; int32_t count; };
struct rj_uuid_array { struct rj_uuid *items; int32_t count; };

/* Tagged fields that the schema does not know. They are kept as they came, in the order of their tags, so that
 * encoding a decoded message gives the same bytes. */
struct rj_unknown_tag { uint32_t tag; struct rj_bytes value; };
struct rj_unknown_tags { struct rj_unknown_tag *items; int32_t count; };

/* The literal "..." as a view. */
#define RJ_STRING(literal) ((struct rj_string){(literal), (int32_t)sizeof(literal) - 1})
#define RJ_NULL_STRING ((struct rj_string){NULL, 0})
#define RJ_EMPTY_STRING ((struct rj_string){"", 0})
#define RJ_NULL_BYTES ((struct rj_bytes){NULL, 0})
#define RJ_EMPTY_BYTES ((struct rj_bytes){(const uint8_t *)"", 0})

bool rj_string_equal(struct rj_string a, struct rj_string b); /* null equals only null */
bool rj_bytes_equal(struct rj_bytes a, struct rj_bytes b);
bool rj_uuid_equal(const struct rj_uuid *a, const struct rj_uuid *b);
/* The order of Java's String.compareTo (UTF-16 units) on UTF-8 strings; negative, 0, positive. Null sorts as empty. */
int rj_java_compare(struct rj_string a, struct rj_string b);
/* Java's String.hashCode. */
int32_t rj_java_hash(struct rj_string string);
static inline bool rj_string_is_null(struct rj_string s) { return s.data == NULL; }
static inline bool rj_string_is_empty(struct rj_string s) { return s.data == NULL || s.len == 0; }

/* ---- Memory --------------------------------------------------------------------------------------------------- */

/* Where memory comes from. alloc returns NULL when there is none (the core then answers with a fault or by the rule
 * limit-memory, its state unchanged); the memory need not be zeroed and is aligned for any type. free is given the
 * size that was asked for. */
struct rj_allocator {
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *memory, size_t size);
    void *context;
};

/* A bump allocator over blocks of an rj_allocator: decoded messages live in one and go with it. */
struct rj_arena {
    const struct rj_allocator *allocator;
    struct rj_arena_block *newest;
    size_t used_len;      /* handed out since the last reset */
    size_t allocated_len; /* taken from the allocator, headers included */
    size_t limit_len;     /* allocated_len never passes it; SIZE_MAX: no limit */
    size_t wanted_len;    /* of the first block after a reset */
};

void rj_arena_init(struct rj_arena *arena, const struct rj_allocator *allocator, size_t limit_len);
/* Aligned for any type, not zeroed; NULL when the allocator or the limit says no. size 0 gives a non-null pointer. */
void *rj_arena_alloc(struct rj_arena *arena, size_t size);
/* Copies into the arena. A null view stays null. On failure *ok becomes false (it is never set to true). */
struct rj_string rj_arena_copy_string(struct rj_arena *arena, struct rj_string from, bool *ok);
struct rj_bytes rj_arena_copy_bytes(struct rj_arena *arena, struct rj_bytes from, bool *ok);
/* Forgets everything. What was needed so far, up to 1 MiB, is kept or taken in one piece by the next allocation, so
 * that a steady load allocates nothing. */
void rj_arena_reset(struct rj_arena *arena);
void rj_arena_release(struct rj_arena *arena); /* gives every block back */

/* ---- Failures ------------------------------------------------------------------------------------------------- */

/* What is wrong with bytes from outside. A bug of ours asserts instead; a refusal by the protocol is a success that
 * carries Kafka's error code. */
#define RJ_ERR_MAP(X)                                                                                                  \
    X(RJ_OK, "ok")                                                                                                     \
    X(RJ_ERR_SHORT, "the bytes end before the field does")                                                             \
    X(RJ_ERR_TRAILING, "bytes are left over behind the last field")                                                    \
    X(RJ_ERR_LENGTH, "a length or count that is negative or larger than what is left")                                 \
    X(RJ_ERR_NULL, "null where this version allows none")                                                              \
    X(RJ_ERR_VARINT, "a variable-length number that does not end or overflows")                                        \
    X(RJ_ERR_TAG, "tagged fields out of order, repeated, or of a wrong size")                                          \
    X(RJ_ERR_VERSION, "a version that this API does not have")                                                         \
    X(RJ_ERR_API, "an API key that is not known")                                                                      \
    X(RJ_ERR_LIMIT, "a limit would be passed")                                                                         \
    X(RJ_ERR_MEMORY, "the allocator has no memory")                                                                    \
    X(RJ_ERR_UTF8, "a string that is not UTF-8")                                                                       \
    X(RJ_ERR_JSON, "not the JSON form of this message")                                                                \
    X(RJ_ERR_VALUE, "a value that this version cannot carry")                                                          \
    X(RJ_ERR_SPACE, "the output buffer is too small")                                                                  \
    X(RJ_ERR_CORRUPT, "a checksum or magic number that is wrong")

enum rj_err {
#define RJ_ERR_ENUM(name, sentence) name,
    RJ_ERR_MAP(RJ_ERR_ENUM)
#undef RJ_ERR_ENUM
    RJ_ERR_COUNT
};

const char *rj_err_name(enum rj_err err);     /* "RJ_ERR_SHORT" */
const char *rj_err_sentence(enum rj_err err); /* "the bytes end before the field does" */

/* Where bytes were refused. Filled only on failure. */
struct rj_fault {
    enum rj_err err;
    size_t offset;      /* of the field, in bytes from the start of what was decoded (JSON: of the text) */
    int16_t api_key;    /* -1: none */
    int16_t version;    /* -1: none */
    char field[160];    /* path in Kafka's JSON names: topics[2].partitions[0].committedOffset; cut with "..." */
    char found[64];     /* what was there: "length -7", "0xff 0xff", "end of input" */
    char expected[64];  /* "int32 >= -1", "at least 4 bytes" */
};

#endif
