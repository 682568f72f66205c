/* What principals may do, by the rules of Kafka's StandardAuthorizer. The file of --acls has one entry a line:
 *
 *   allow|deny PRINCIPAL HOST OPERATION[,OPERATION...] RESOURCE
 *   super PRINCIPAL                    it may do everything
 *
 * PRINCIPAL is User:NAME, or User:* for everybody; HOST the peer's numeric address or *; OPERATION and RESOURCE are
 * Kafka's words in Kafka's spelling or in lower case: Topic NAME, Group NAME, TransactionalId NAME, Cluster. NAME * is
 * any; "prefixed NAME" is all that begin so. What nothing allows is refused; a deny wins. Words as word_file.h says. */
#ifndef REJOIN_MOCK_ACLS_H
#define REJOIN_MOCK_ACLS_H

#include "rejoin/coord.h"

#include <stdbool.h>
#include <stddef.h>

struct mock_acls;

struct mock_acls *mock_acls_read(const char *path, char *error, size_t error_len); /* NULL: error says why */
void mock_acls_free(struct mock_acls *acls);

/* What that principal ("User:alice") may do from that host ("127.0.0.1"). NULL: everything, it is a super user. Kept
 * and given again for the same principal and host, until mock_acls_free. */
const struct rj_rights *mock_acls_rights(struct mock_acls *acls, const char *principal, const char *host);

/* Kafka's authorizeByResourceType: whether there is any name at all with which it would be allowed. */
bool mock_is_allowed_somewhere(const struct rj_rights *rights, enum rj_resource_type type,
                               enum rj_operation operation);

/* Bits 1 << operation of all that is allowed on that resource (KIP-430). */
int32_t mock_authorized_operations(const struct rj_rights *rights, enum rj_resource_type type, struct rj_string name);

#endif
