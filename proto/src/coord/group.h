/* Groups, the ids they know and their members: looking up, adding, removing. Nothing here decides anything.
 *
 * prepare functions allocate and change nothing that a request could see; what they return is used by the functions
 * that cannot fail, or given back. */
#ifndef REJOIN_COORD_GROUP_H
#define REJOIN_COORD_GROUP_H

#include "coord/state.h"

struct rj_group *rj_group_find(const struct rj_coord *coord, struct rj_string group_id); /* one that exists */
/* As a read of committed state sees it. */
struct rj_group *rj_group_find_committed(const struct rj_coord *coord, struct rj_string group_id);
bool rj_group_is_visible(const struct rj_group *group); /* to such a read */
/* The group by this id, made where there is none; it need not exist yet. NULL: no memory or limit. */
struct rj_group *rj_group_prepare(struct rj_coord *coord, struct rj_string group_id);
void rj_group_open(struct rj_group *group); /* it exists from now on, Empty, generation 0 */
void rj_group_close(struct rj_group *group); /* it does not exist any more; offsets are the caller's business */
void rj_group_take_back(struct rj_group *group); /* as before rj_group_open */
const struct rj_past_life *rj_group_oldest_life(const struct rj_group *group); /* NULL: it is in its only one */
/* Results of an append about the group. */
void rj_group_written(struct rj_group *group, uint64_t append_id);
void rj_group_deleted(struct rj_group *group, uint64_t append_id);
void rj_group_not_deleted(struct rj_group *group, uint64_t append_id);
bool rj_group_is_made_by(const struct rj_group *group, uint64_t append_id);
void rj_group_not_made(struct rj_group *group, uint64_t append_id); /* nobody may wait in it */
void rj_group_hold(struct rj_group *group);
void rj_group_drop(struct rj_group *group);
void rj_group_forget_if_idle(struct rj_group *group); /* frees it where nothing refers to it any more */
void rj_group_destroy(struct rj_group *group);        /* frees it with all that it holds */

struct rj_identity *rj_identity_find(const struct rj_group *group, struct rj_string id);
struct rj_identity *rj_identity_prepare(struct rj_group *group, struct rj_string id); /* found or made */
void rj_identity_hold(struct rj_identity *identity);
void rj_identity_drop(struct rj_identity *identity);
void rj_identity_forget_if_idle(struct rj_identity *identity);

struct rj_member *rj_member_find(const struct rj_group *group, struct rj_string id);
struct rj_member *rj_member_by_instance(const struct rj_group *group, struct rj_string instance_id);

struct rj_member_source {
    struct rj_string instance_id, client_id, client_host;
    int32_t rebalance_timeout_ms, session_timeout_ms;
};
/* A member that is in no group yet, with room in the group's maps for it. Takes over the protocols on success. */
struct rj_member *rj_member_prepare(struct rj_identity *identity, const struct rj_member_source *source,
                                    struct rj_protocols *protocols);
void rj_member_discard(struct rj_member *member); /* one that is in no group */
void rj_member_add(struct rj_group *group, struct rj_member *member);
/* Takes the member out and retires it. The next leader is the first in map order. */
void rj_member_remove(struct rj_group *group, struct rj_member *member);
/* The member goes on under another id, keeping instance id, client, timeouts, protocols and assignment. */
void rj_member_rename(struct rj_group *group, struct rj_member *member, struct rj_identity *identity);
void rj_member_set_protocols(struct rj_group *group, struct rj_member *member, struct rj_protocols *protocols);
/* The same, but gives back the old ones, which the caller owns then. */
struct rj_protocols *rj_member_swap_protocols(struct rj_group *group, struct rj_member *member,
                                              struct rj_protocols *protocols);
/* As if somebody who is in the group no longer offered came instead of gone: Kafka's counts go wrong so. */
void rj_group_miscount(struct rj_group *group, const struct rj_protocols *gone, const struct rj_protocols *came);
void rj_member_set_assignment(struct rj_group *group, struct rj_member *member, struct rj_bytes owned);
void rj_group_set_leader(struct rj_group *group, struct rj_identity *identity);
void rj_group_set_pending(struct rj_group *group, struct rj_identity *identity, bool pending);
void rj_group_set_pending_sync(struct rj_group *group, struct rj_identity *identity, bool pending);
void rj_group_clear_pending_sync(struct rj_group *group);

/* Protocols of a request, with counters in the group for each name. views may be NULL. */
struct rj_protocols *rj_protocols_prepare(struct rj_group *group,
                                          const struct rj_join_group_request_protocol_array *protocols,
                                          const struct rj_subscription_views *views);
struct rj_protocol_counter *rj_counter_prepare(struct rj_group *group, struct rj_string name);
void rj_counter_drop(struct rj_group *group, struct rj_protocol_counter *counter);
void rj_group_set_protocol(struct rj_group *group, struct rj_protocol_counter *counter); /* NULL: none */
void rj_protocols_release(struct rj_group *group, struct rj_protocols *protocols);
bool rj_protocols_match(const struct rj_protocols *protocols, const struct rj_join_group_request_protocol_array *asked);
/* The metadata for a protocol name; null data where the member does not offer it. */
struct rj_bytes rj_protocols_metadata(const struct rj_protocols *protocols, struct rj_string name);
/* Kafka's test for joining: see join-protocol-support. */
bool rj_group_supports(const struct rj_group *group, struct rj_string protocol_type,
                       const struct rj_join_group_request_protocol_array *protocols);
/* The vote; NULL where some member has no candidate. */
struct rj_protocol_counter *rj_group_vote(struct rj_group *group);
int32_t rj_group_rebalance_timeout_ms(const struct rj_group *group);

/* Room for the subscribed topics of the coming generation, not yet empty: each join takes it anew, most never use it. */
struct rj_string *rj_subscribed_prepare(struct rj_group *group, const struct rj_protocols *joining, uint32_t *mask,
                                        bool *ok);
/* Whether the subscriptions can be read: Kafka's read throws at the first member that does not offer the chosen
 * protocol (its vote may be wrong when somebody names one twice), unless one that is no subscription comes before. */
bool rj_subscribed_is_readable(const struct rj_group *group);
/* The same for the list that the leader gets, whatever the group is for. */
bool rj_all_offer_chosen(const struct rj_group *group);
void rj_subscribed_compute(struct rj_group *group, struct rj_string *slots, uint32_t mask);
bool rj_group_is_subscribed(const struct rj_group *group, struct rj_string topic);

bool rj_all_joined(const struct rj_group *group);
static inline bool rj_is_consumer(const struct rj_group *group)
{
    return rj_string_equal(group->protocol_type, RJ_STRING("consumer"));
}
static inline struct rj_group *rj_group_of(struct rj_map_node *node)
{
    return node ? RJ_CONTAINER(node, struct rj_group, node) : NULL;
}
static inline struct rj_identity *rj_identity_of(struct rj_map_node *node)
{
    return node ? RJ_CONTAINER(node, struct rj_identity, node) : NULL;
}
static inline struct rj_member *rj_member_of(struct rj_map_node *node)
{
    return node ? RJ_CONTAINER(node, struct rj_member, node) : NULL;
}

#endif
