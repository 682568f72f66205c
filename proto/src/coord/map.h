/* A hash map by string with the iteration order of java.util.HashMap: buckets ascending, within a bucket the order of
 * insertion; 16 buckets, doubled when more than three quarters as many entries are in. Kafka's own maps decide who
 * leads a group and in which order members are listed, so the order is part of the protocol's behaviour. (A bucket of
 * more than eight in a table of 64 or more becomes a tree in Java, whose order is not reproduced.)
 *
 * Nodes are embedded in what they index. Insertion cannot fail once rj_map_reserve has succeeded. */
#ifndef REJOIN_COORD_MAP_H
#define REJOIN_COORD_MAP_H

#include "coord/memory.h"

struct rj_map_node {
    struct rj_map_node *next;
    struct rj_string key;
    uint32_t hash;
};

struct rj_map {
    struct rj_map_node **buckets;
    uint32_t capacity;  /* in use, as Java would have it */
    uint32_t allocated; /* buckets there is memory for */
    uint32_t count;
    uint32_t first_capacity; /* a power of two for a map whose order is nobody's business; 0: Java's 16 */
    struct rj_memory *memory;
};

/* HashMap's spread of Java's String.hashCode (rj_java_hash). */
uint32_t rj_member_hash(struct rj_string id);
/* For keys that a client chooses freely, where Java's hash would be easy to collide on. */
uint32_t rj_mixed_hash(struct rj_string key);
uint32_t rj_number_hash(uint64_t number);

/* Room for extra more nodes. */
bool rj_map_reserve(struct rj_map *map, uint32_t extra, struct rj_memory *memory);
void rj_map_insert(struct rj_map *map, struct rj_map_node *node, struct rj_string key, uint32_t hash);
void rj_map_remove(struct rj_map *map, struct rj_map_node *node);
struct rj_map_node *rj_map_find(const struct rj_map *map, struct rj_string key, uint32_t hash);
void rj_map_release(struct rj_map *map); /* the buckets; the nodes are the caller's */

struct rj_map_node *rj_map_first(const struct rj_map *map);
struct rj_map_node *rj_map_next(const struct rj_map *map, const struct rj_map_node *node);

#define RJ_MAP_EACH(node, map)                                                                                         \
    for (struct rj_map_node *node = rj_map_first(map), *node##_next;                                                   \
         node != NULL && (node##_next = rj_map_next(map, node), true); node = node##_next)

#endif
