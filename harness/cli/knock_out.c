/* Switching one rule off, which only the knock-out build can do. */
#include "cli/commands.h"

#include <string.h>

#ifdef REJOIN_KNOCKOUT
bool rejoin_knock_out(const char *id)
{
    rj_knocked_out = rj_rule_by_id((struct rj_string){id, (int32_t)strlen(id)});
    return rj_knocked_out != RJ_RULE_NONE;
}
#else
bool rejoin_knock_out(const char *id)
{
    (void)id;
    return false;
}
#endif
