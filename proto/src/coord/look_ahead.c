/* The way from two ids to a member, gone once without waiting: bucket of groups, group, bucket of ids, identity. */
#include "coord/group.h"

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif

enum { CACHE_LINE_LEN = 64, USUAL_ID_LEN = 48 };

static void fetch_range(const void *from, size_t len)
{
    for (size_t at = 0; at < len; at += CACHE_LINE_LEN)
        FETCH((const char *)from + at);
    FETCH((const char *)from + len - 1);
}

static const void *bucket_of(const struct rj_map *map, uint32_t hash)
{
    return map->capacity == 0 ? NULL : &map->buckets[hash & (map->capacity - 1)];
}

static const void *first_in(const void *bucket) { return *(struct rj_map_node *const *)bucket; }

static const struct rj_map_node *with_hash(const struct rj_map_node *node, uint32_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

void rj_look_ahead(const struct rj_coord *coord, struct rj_string group_id, struct rj_string member_id,
                   struct rj_ahead *ahead)
{
    ahead->group_hash = rj_mixed_hash(group_id);
    ahead->member_hash = rj_mixed_hash(member_id);
    ahead->step = 0;
    ahead->at = bucket_of(&coord->groups, ahead->group_hash);
    FETCH(ahead->at);
}

bool rj_look_further(struct rj_ahead *ahead)
{
    if (ahead->at == NULL)
        return false;
    switch (ahead->step++) {
    case 0:
        if ((ahead->at = first_in(ahead->at)) == NULL)
            return false;
        fetch_range(ahead->at, offsetof(struct rj_group, holds));
        FETCH((const struct rj_group *)ahead->at + 1); /* its id */
        return true;
    case 1: {
        const struct rj_map_node *node = with_hash(ahead->at, ahead->group_hash);
        ahead->at = node == NULL ? NULL
                                 : bucket_of(&RJ_CONTAINER(node, struct rj_group, node)->identities, ahead->member_hash);
        FETCH(ahead->at);
        return ahead->at != NULL;
    }
    case 2:
        if ((ahead->at = first_in(ahead->at)) == NULL)
            return false;
        fetch_range(ahead->at, sizeof(struct rj_identity) + USUAL_ID_LEN);
        return true;
    default:
        ahead->at = NULL;
        return false;
    }
}
