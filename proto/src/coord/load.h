/* Taking a partition over and giving it up. */
#ifndef REJOIN_COORD_LOAD_H
#define REJOIN_COORD_LOAD_H

#include "coord/state.h"

void rj_load_begin(struct rj_coord *coord);
bool rj_load_record(struct rj_coord *coord, const struct rj_offsets_record *record, int64_t producer_id,
                    int64_t log_offset);
bool rj_load_end(struct rj_coord *coord);
bool rj_unload(struct rj_coord *coord);
void rj_forget_everything(struct rj_coord *coord); /* groups, offsets, writes; nobody is answered */
/* The answer by rule limit-memory, as complete as there is room for. */
void rj_refuse_for_memory(struct rj_coord *coord, const struct rj_origin *origin, const void *request);

#endif
