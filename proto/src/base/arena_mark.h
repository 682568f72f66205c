/* Going back to an earlier state of an arena. */
#ifndef REJOIN_BASE_ARENA_MARK_H
#define REJOIN_BASE_ARENA_MARK_H

#include "rejoin/base.h"

struct arena_mark { struct rj_arena_block *newest, *older; size_t newest_used, used_len; };

struct arena_mark rj_arena_mark(const struct rj_arena *arena);
/* Gives back what was taken since the mark. The arena must not have been reset in between. */
void rj_arena_rewind(struct rj_arena *arena, const struct arena_mark *mark);

#endif
