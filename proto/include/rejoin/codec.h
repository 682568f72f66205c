/* Bytes and JSON <-> typed messages, driven by the schema rows. The codec knows nothing of groups.
 *
 * Every function returns RJ_OK or what is wrong, and then fills *fault (which may be NULL). None asserts on bytes
 * from outside. */
#ifndef REJOIN_CODEC_H
#define REJOIN_CODEC_H

#include "rejoin/messages.h"
#include "rejoin/rules.h"

/* Sets every member of the message to its default; the message need not be initialised before. */
void rj_message_init(const struct rj_message_schema *schema, void *message);
/* The same for one element of an array (field->element). */
void rj_struct_init(const struct rj_schema_struct *structure, void *element);

/* Decodes exactly input (RJ_ERR_TRAILING otherwise). Strings, bytes and records are views into input, which must
 * outlive the message; arrays and nullable structures live in the arena. At most 64 KiB + 24 * input.len are taken
 * from the arena. Members that the version does not carry hold their default. The message may be half filled on
 * failure: what was read so far is there, the rest holds defaults, so that it can still be printed. */
enum rj_err rj_decode(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                      struct rj_arena *arena, void *message, struct rj_fault *fault);
/* The same, but leaves what follows: *consumed_len says how much was read. */
enum rj_err rj_decode_prefix(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                             struct rj_arena *arena, void *message, size_t *consumed_len, struct rj_fault *fault);

/* An encoding that no writer of Kafka's makes, but that its readers accept, and ours with them; the rule (area encoding)
 * says so. field: its path in JSON names, until note returns. */
struct rj_oddity { enum rj_rule rule; size_t offset; const char *field; };
struct rj_oddity_sink { void (*note)(void *context, const struct rj_oddity *oddity); void *context; };
/* Tells what is odd in a message that decodes, in the order of its bytes, and returns how many there are. It reads anew:
 * decoding itself never looks for them. What it takes from the arena it gives back. */
int32_t rj_find_oddities(const struct rj_message_schema *schema, int16_t version, struct rj_bytes input,
                         struct rj_arena *arena, const struct rj_oddity_sink *sink);

/* How many bytes rj_encode would write. RJ_ERR_VALUE: the message holds something that this version cannot carry (a
 * field that is not ignorable, a string beyond 32767 bytes); RJ_ERR_NULL: null where the version allows none;
 * RJ_ERR_TAG: unknown tags out of order. */
enum rj_err rj_encoded_len(const struct rj_message_schema *schema, int16_t version, const void *message,
                           size_t *len, struct rj_fault *fault);
/* Writes to out, sets *len. RJ_ERR_SPACE when out_len is too small (nothing useful is then in out). */
enum rj_err rj_encode(const struct rj_message_schema *schema, int16_t version, const void *message,
                      uint8_t *out, size_t out_len, size_t *len, struct rj_fault *fault);

/* Where printed text goes. write is called with pieces of any size. */
struct rj_writer { void (*write)(void *context, const char *text, size_t len); void *context; };

/* Kafka's own JSON form (its *JsonConverter): camelCase names, bytes and records as base64, uuids as Kafka's 22
 * characters, 64-bit numbers as numbers, tagged fields only where not default. One line, no blanks. Beyond Kafka's
 * form: records are printed whole, and tags that the schema does not know as "_unknownTaggedFields". Bytes that are
 * not UTF-8 become U+FFFD in strings, as Java reads them. */
void rj_print_json(const struct rj_message_schema *schema, int16_t version, const void *message,
                   const struct rj_writer *writer);
/* The reverse. Fields that are left out hold their default; unknown names are RJ_ERR_JSON. What it needs lives in
 * the arena, and views point into the text where nothing had to be unescaped. */
enum rj_err rj_parse_json(const struct rj_message_schema *schema, int16_t version, struct rj_string text,
                          struct rj_arena *arena, void *message, struct rj_fault *fault);

/* Calls differ for each field that differs in this version: its path and both values as JSON; returns how many.
 * Arrays are compared by position, or by their key fields where by_key is set; an element that one side lacks is one
 * difference, with NULL for that side (both are NULL where unknown tags differ). Long values are cut with "...". The
 * texts live until differ returns. differ may be NULL. */
struct rj_difference { const char *field; const char *left, *right; };
int rj_compare(const struct rj_message_schema *schema, int16_t version, const void *left, const void *right,
               bool by_key, void (*differ)(void *context, const struct rj_difference *difference), void *context);

/* A deep copy into the arena: strings and bytes too, so that the copy outlives the input. */
enum rj_err rj_copy_message(const struct rj_message_schema *schema, const void *from, struct rj_arena *arena,
                            void *to);

#endif
