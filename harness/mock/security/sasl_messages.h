/* What the tokens of SASL say: PLAIN (RFC 4616) and SCRAM (RFC 5802), in the form in which Kafka takes them. Views into
 * the token; no I/O, no memory. */
#ifndef REJOIN_MOCK_SASL_MESSAGES_H
#define REJOIN_MOCK_SASL_MESSAGES_H

#include "rejoin/base.h"

#include <stdbool.h>
#include <stddef.h>

/* [authorization id] NUL name NUL password. false: not three parts; *part_count is how many Kafka counts, at most 4. */
struct sasl_plain { struct rj_string authorization_id, name, password; };
bool sasl_read_plain(struct rj_bytes token, struct sasl_plain *plain, int *part_count);

/* "n,[a=...],[m=...,]n=NAME,r=NONCE[,x=...]". No channel binding; what follows the nonce is only kept. */
struct scram_first {
    struct rj_string authorization_id; /* as it stands there; empty where there is none */
    struct rj_string name;             /* with =2C and =3D as they stand there */
    struct rj_string nonce;
    struct rj_string bare;             /* from n= on, which the proof is about; Kafka leaves out m= */
};
bool scram_read_first(struct rj_bytes token, struct scram_first *first);

/* "c=BASE64,r=NONCE[,x=...],p=BASE64" */
struct scram_final {
    struct rj_string nonce;
    struct rj_string without_proof; /* c= and r=; Kafka leaves out what follows them */
    struct rj_string proof;         /* base64 */
};
bool scram_read_final(struct rj_bytes token, struct scram_final *final);

/* =2C becomes a comma and =3D an equals sign, into out, which has room for name.len. */
struct rj_string scram_unescape(struct rj_string name, char *out);

bool sasl_read_base64(struct rj_string text, uint8_t *out, size_t out_len, size_t *len); /* false: bad, or no room */
/* Writes (len + 2) / 3 * 4 characters and a 0 byte. */
void sasl_write_base64(const uint8_t *bytes, size_t len, char *out);

#endif
