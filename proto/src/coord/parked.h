/* JoinGroup and SyncGroup requests that wait for others. */
#ifndef REJOIN_COORD_PARKED_H
#define REJOIN_COORD_PARKED_H

#include "coord/state.h"

void rj_park(struct rj_coord *coord, struct rj_parked *parked, const struct rj_origin *origin);
void rj_parked_forget(struct rj_parked *parked); /* nobody waits any more; nothing is answered */
/* Whether there is somebody to answer: takes the request as answered. */
bool rj_parked_take(struct rj_parked *parked);
/* Requests of that connection are answered by nobody from now on. */
void rj_parked_disconnect(struct rj_coord *coord, uint64_t connection_id);

#endif
