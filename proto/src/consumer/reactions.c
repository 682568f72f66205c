/* What a classic client does about each error of each answer. */
#include "consumer/state.h"

#define CELL(reaction, rule) {REACTION_##reaction, RJ_RULE_##rule}
#define NONE {REACTION_DONE, RJ_RULE_NONE} /* not expected: the last row decides */

enum column { JOIN, SYNC, HEARTBEAT, COMMIT, OFFSET_FETCH, FIND, LEAVE, COLUMN_COUNT };

/* Rows are errors, columns APIs. Heartbeat 14: no broker sends it, and nothing is lost by waiting. SyncGroup 14: Java
 * takes it for fatal although coordinators since 4.0 send it while they load; a rejoin is safe. */
static const struct { int16_t error; struct verdict cells[COLUMN_COUNT]; } table[] = {
    /*    JoinGroup                             SyncGroup                             Heartbeat
          OffsetCommit                          OffsetFetch                           FindCoordinator  LeaveGroup */
    {14, {CELL(RETRY, CL_JOIN_14_BACKOFF),      CELL(REJOIN, CL_SYNC_27_REJOIN),      CELL(IGNORE, CL_HB_CADENCE),
          CELL(RETRY, CL_COMMIT_14_RETRY),      CELL(RETRY, CL_OFFSET_FETCH_RETRY),   NONE,            NONE}},
    {15, {CELL(REDISCOVER, CL_JOIN_16_REDISCOVER), CELL(REDISCOVER, CL_SYNC_16_REDISCOVER), CELL(REDISCOVER, CL_HB_16),
          CELL(REDISCOVER, CL_COMMIT_16),       CELL(REDISCOVER, CL_OFFSET_FETCH_RETRY), CELL(RETRY, CL_FIND_15_RETRY),
          NONE}},
    {16, {CELL(REDISCOVER, CL_JOIN_16_REDISCOVER), CELL(REDISCOVER, CL_SYNC_16_REDISCOVER), CELL(REDISCOVER, CL_HB_16),
          CELL(REDISCOVER, CL_COMMIT_16),       CELL(REDISCOVER, CL_OFFSET_FETCH_RETRY), NONE,         NONE}},
    {22, {NONE,                                 CELL(RESET_KEEP_ID, CL_SYNC_22_KEEP_ID), CELL(RESET_KEEP_ID, CL_HB_22),
          CELL(RESET_KEEP_ID, CL_COMMIT_22),    NONE,                                 NONE,            NONE}},
    {25, {CELL(RESET, CL_JOIN_25_RESET),        CELL(RESET, CL_SYNC_25_RESET),        CELL(RESET, CL_HB_25_RESET),
          CELL(RESET, CL_COMMIT_25),            NONE,                                 NONE,            NONE}},
    {27, {CELL(RETRY, CL_JOIN_27_RETRY),        CELL(REJOIN, CL_SYNC_27_REJOIN),
          CELL(REJOIN, CL_HB_27_REJOIN_SAME_ID),
          CELL(REJOIN, CL_COMMIT_27),           CELL(RETRY, CL_OFFSET_FETCH_RETRY),   NONE,            NONE}},
    {79, {CELL(TAKE_ID, CL_JOIN_79_REJOIN),     NONE,                                 NONE,
          NONE,                                 NONE,                                 NONE,            NONE}},
    {81, {CELL(FATAL, CL_JOIN_81_FATAL),        NONE,                                 NONE,
          NONE,                                 NONE,                                 NONE,            NONE}},
    {82, {CELL(FATAL, CL_JOIN_82_FATAL),        CELL(FATAL, CL_SYNC_82_FATAL),        CELL(FATAL, CL_HB_82),
          CELL(FATAL, CL_COMMIT_82),            NONE,                                 NONE,            NONE}},
    {7,  {NONE,                                 NONE,                                 NONE,
          CELL(REDISCOVER, CL_COMMIT_16),       CELL(RETRY, CL_OFFSET_FETCH_RETRY),   NONE,            NONE}},
    {3,  {NONE,                                 NONE,                                 NONE,
          CELL(RETRY, CL_COMMIT_14_RETRY),      NONE,                                 NONE,            NONE}},
    {88, {NONE,                                 NONE,                                 NONE,
          NONE,                                 CELL(RETRY, CL_OFFSET_FETCH_88),      NONE,            NONE}},
    {24, {NONE,                                 NONE,                                 NONE,
          NONE,                                 NONE,                           CELL(FATAL, CL_FIND_FATAL), NONE}},
    {30, {NONE,                                 NONE,                                 NONE,
          NONE,                                 NONE,                           CELL(FATAL, CL_FIND_FATAL), NONE}},
};

/* Every other error. */
static const struct verdict others[COLUMN_COUNT] = {
    CELL(FATAL, CL_JOIN_FATAL), CELL(FATAL, CL_SYNC_FATAL), CELL(FATAL, CL_HB_FATAL), CELL(REPORT, CL_COMMIT_12),
    CELL(REPORT, CL_OFFSET_FETCH_FATAL), CELL(RETRY, CL_FIND_15_RETRY), CELL(IGNORE, CL_LEAVE_IGNORE),
};

static enum column column_of(int16_t api_key)
{
    switch (api_key) {
    case RJ_API_JOIN_GROUP:
        return JOIN;
    case RJ_API_SYNC_GROUP:
        return SYNC;
    case RJ_API_HEARTBEAT:
        return HEARTBEAT;
    case RJ_API_OFFSET_COMMIT:
        return COMMIT;
    case RJ_API_OFFSET_FETCH:
        return OFFSET_FETCH;
    case RJ_API_FIND_COORDINATOR:
        return FIND;
    default:
        return LEAVE;
    }
}

struct verdict rj_consumer_judge(int16_t api_key, int16_t error_code)
{
    enum column column = column_of(api_key);
    if (error_code == 0)
        return (struct verdict){REACTION_DONE, RJ_RULE_NONE};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].error == error_code && table[i].cells[column].reaction != REACTION_DONE)
            return table[i].cells[column];
    return others[column];
}
