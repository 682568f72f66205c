/* The map in java.util.HashMap order. */
#include "coord/map.h"


#include <assert.h>
#include <string.h>

enum { FIRST_CAPACITY = 16 };

uint32_t rj_member_hash(struct rj_string id)
{
    uint32_t hash = (uint32_t)rj_java_hash(id);
    return hash ^ hash >> 16;
}

uint32_t rj_number_hash(uint64_t number)
{
    number = (number ^ number >> 33) * 0xff51afd7ed558ccdull;
    number = (number ^ number >> 33) * 0xc4ceb9fe1a85ec53ull;
    return (uint32_t)(number ^ number >> 33);
}

static uint64_t mix_word(uint64_t hash, const char *eight)
{
    uint64_t word;
    memcpy(&word, eight, sizeof(word));
    hash = (hash ^ word) * 0x2127599bf4325c37ull;
    return hash ^ hash >> 29;
}

uint32_t rj_mixed_hash(struct rj_string key)
{
    uint64_t hash = 0x9e3779b97f4a7c15ull + (uint64_t)(uint32_t)key.len;
    int32_t i = 0;
    for (; i + 8 <= key.len; i += 8)
        hash = mix_word(hash, key.data + i);
    if (i < key.len && i > 0) /* the last eight again, for the rest among them */
        return rj_number_hash(mix_word(hash, key.data + key.len - 8));
    for (; i < key.len; i++)
        hash = (hash ^ (uint8_t)key.data[i]) * 0x100000001b3ull;
    return rj_number_hash(hash);
}

static uint32_t first_capacity(const struct rj_map *map)
{
    return map->first_capacity != 0 ? map->first_capacity : FIRST_CAPACITY;
}

static uint32_t capacity_for(const struct rj_map *map, uint32_t count)
{
    uint32_t capacity = first_capacity(map);
    while (count > capacity / 4 * 3)
        capacity *= 2;
    return capacity;
}

bool rj_map_reserve(struct rj_map *map, uint32_t extra, struct rj_memory *memory)
{
    uint32_t wanted = capacity_for(map, map->count + extra);
    if (wanted <= map->allocated)
        return true;
    struct rj_map_node **buckets = rj_memory_alloc(memory, wanted * sizeof(struct rj_map_node *));
    if (buckets == NULL)
        return false;
    if (map->buckets != NULL) {
        memcpy(buckets, map->buckets, map->capacity * sizeof(struct rj_map_node *));
        rj_memory_free(memory, map->buckets);
    }
    map->buckets = buckets;
    map->allocated = wanted;
    map->memory = memory;
    return true;
}

static void append(struct rj_map *map, struct rj_map_node *node)
{
    struct rj_map_node **link = &map->buckets[node->hash & (map->capacity - 1)];
    while (*link != NULL)
        link = &(*link)->next;
    node->next = NULL;
    *link = node;
}

/* Doubles the buckets in use; what was in one goes to it or to its twin, in the same order. */
static void grow(struct rj_map *map)
{
    if (map->capacity == 0) {
        map->capacity = first_capacity(map);
        memset(map->buckets, 0, map->capacity * sizeof(struct rj_map_node *));
        return;
    }
    uint32_t old = map->capacity;
    map->capacity *= 2;
    assert(map->capacity <= map->allocated);
    memset(map->buckets + old, 0, old * sizeof(struct rj_map_node *));
    for (uint32_t i = 0; i < old; i++) {
        struct rj_map_node **low = &map->buckets[i], **high = &map->buckets[i + old];
        for (struct rj_map_node *node = *low, *next; node != NULL; node = next) {
            next = node->next;
            struct rj_map_node ***tail = node->hash & old ? &high : &low;
            **tail = node;
            *tail = &node->next;
        }
        *low = *high = NULL;
    }
}

void rj_map_insert(struct rj_map *map, struct rj_map_node *node, struct rj_string key, uint32_t hash)
{
    node->key = key;
    node->hash = hash;
    if (map->capacity == 0)
        grow(map);
    append(map, node);
    map->count++;
    if (map->count > map->capacity / 4 * 3)
        grow(map);
}

void rj_map_remove(struct rj_map *map, struct rj_map_node *node)
{
    struct rj_map_node **link = &map->buckets[node->hash & (map->capacity - 1)];
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    map->count--;
}

struct rj_map_node *rj_map_find(const struct rj_map *map, struct rj_string key, uint32_t hash)
{
    if (map->capacity == 0)
        return NULL;
    struct rj_map_node *node = map->buckets[hash & (map->capacity - 1)];
    while (node != NULL && (node->hash != hash || !rj_string_equal(node->key, key)))
        node = node->next;
    return node;
}

void rj_map_release(struct rj_map *map)
{
    if (map->buckets != NULL)
        rj_memory_free(map->memory, map->buckets);
    *map = (struct rj_map){.first_capacity = map->first_capacity};
}

static struct rj_map_node *from_bucket(const struct rj_map *map, uint32_t bucket)
{
    for (; bucket < map->capacity; bucket++)
        if (map->buckets[bucket] != NULL)
            return map->buckets[bucket];
    return NULL;
}

struct rj_map_node *rj_map_first(const struct rj_map *map) { return from_bucket(map, 0); }

struct rj_map_node *rj_map_next(const struct rj_map *map, const struct rj_map_node *node)
{
    return node->next ? node->next : from_bucket(map, (node->hash & (map->capacity - 1)) + 1);
}
