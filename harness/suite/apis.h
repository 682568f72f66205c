/* What the group APIs have in common, read from their typed messages: the group, who asks, in which generation, and the
 * error of the answer. Pure: views into the message. */
#ifndef REJOIN_SUITE_APIS_H
#define REJOIN_SUITE_APIS_H

#include "rejoin/messages.h"

enum {
    API_FETCH = 1, API_METADATA = 3, API_OFFSET_COMMIT = 8, API_OFFSET_FETCH = 9, API_FIND_COORDINATOR = 10,
    API_JOIN_GROUP = 11, API_HEARTBEAT = 12, API_LEAVE_GROUP = 13, API_SYNC_GROUP = 14, API_VERSIONS = 18,
};

struct api_view {
    struct rj_string group, member_id, instance_id; /* null where the message has none */
    int32_t generation;                             /* INT32_MIN: it has none */
    int16_t error;                                  /* the first that is not 0, anywhere in the answer */
};

/* false: none of the group APIs, or body is NULL. */
bool api_view_request(int16_t api_key, int16_t version, const void *body, struct api_view *view);
bool api_view_answer(int16_t api_key, int16_t version, const void *body, struct api_view *view);

#endif
