/* Building answers. The output must have been reserved. */
#ifndef REJOIN_COORD_REPLY_H
#define REJOIN_COORD_REPLY_H

#include "coord/state.h"

/* Appends the answer to the update. */
void rj_reply(struct rj_coord *coord, const struct rj_origin *origin, const void *body, enum rj_rule rule);

/* Protocol name "" stands for null up to v6, where it cannot be null. */
struct rj_join_group_response *rj_join_response(struct rj_coord *coord, int16_t version);
struct rj_sync_group_response *rj_sync_response(struct rj_coord *coord);
/* All members with their metadata for the group's protocol. */
struct rj_join_group_response_member_array rj_join_members(struct rj_group *group);

void rj_refuse_join(struct rj_coord *coord, const struct rj_origin *origin, struct rj_string member_id,
                    struct rj_verdict verdict);
void rj_refuse_sync(struct rj_coord *coord, const struct rj_origin *origin, struct rj_verdict verdict);

/* What one refusal needs, the echoed string aside. */
struct rj_output_need rj_refusal_need(void);

#endif
