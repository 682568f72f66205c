#include "assign/java_order.h"

int32_t rj_java_map_capacity(int32_t entry_count)
{
    int32_t capacity = 16;
    while (capacity < 1 << 30 && entry_count > capacity / 4 * 3)
        capacity *= 2;
    return capacity;
}

int32_t rj_java_map_bucket(int32_t hash, int32_t capacity)
{
    uint32_t bits = (uint32_t)hash;
    return (int32_t)((bits ^ bits >> 16) & (uint32_t)(capacity - 1));
}
