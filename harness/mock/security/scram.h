/* The server's side of SCRAM-SHA-256 (RFC 5802, 7677), without I/O. */
#ifndef REJOIN_MOCK_SCRAM_H
#define REJOIN_MOCK_SCRAM_H

#include "mock/security/users.h"

struct scram_exchange;

/* Both return the answer to the client's message: a string in memory of the exchange, valid until the next call; null:
 * the exchange has failed, *why says it to the client in Kafka's words; NULL there: it is told no more than that its
 * credentials are invalid. */
struct rj_string scram_take_first(struct scram_exchange **exchange, struct mock_users *users, struct rj_bytes token,
                                  const char **why);
/* takes_longer_nonce: one that only ends with the exchange's nonce will do, as in Kafka before 4.0.
 * librdkafka before 2.6.1 sends its own part twice. */
struct rj_string scram_take_final(struct scram_exchange *exchange, struct rj_bytes token, bool takes_longer_nonce,
                                  const char **why);
const struct mock_user *scram_user(const struct scram_exchange *exchange);
void scram_free(struct scram_exchange *exchange); /* NULL: nothing */

#endif
