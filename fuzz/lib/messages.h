/* The oracles on one message: what must hold of any bytes that are decoded by a schema. */
#ifndef REJOIN_FUZZ_MESSAGES_H
#define REJOIN_FUZZ_MESSAGES_H

#include "lib/fuzz.h"
#include "rejoin/codec.h"

/* What a message holds that its JSON form cannot carry. */
struct fuzz_traits {
    bool has_unknown_tags;
    bool has_bad_text;    /* a string that is not UTF-8 */
    bool has_odd_number;  /* a float64 that is no number */
};
struct fuzz_traits fuzz_message_traits(const struct rj_message_schema *schema, int16_t version, const void *message);

/* A version that the message has: the byte itself where it is one, else taken modulo. */
int16_t fuzz_pick_version(const struct rj_message_schema *schema, uint8_t byte);

/* Decodes the body and checks everything that follows from it: memory, faults, encoding, JSON, comparing, copying.
 * fail_at > 0: that allocation fails. */
void fuzz_check_body(const struct rj_message_schema *schema, int16_t version, struct rj_bytes body, uint64_t fail_at);
/* Decodes the body by the plan and by the rows: fuzz/lib/plans.c. */
void fuzz_check_plan(const struct rj_message_schema *schema, int16_t version, struct rj_bytes body);
/* An input of API key, version, allocation that fails, body; where schema_of has no such key, the next that it has. */
void fuzz_check_any_body(const struct rj_message_schema *(*schema_of)(int16_t api_key), const uint8_t *data,
                         size_t len);
/* Parses the text as JSON of the message and checks the message that it gives. */
void fuzz_check_json(const struct rj_message_schema *schema, int16_t version, struct rj_string text);

#endif
