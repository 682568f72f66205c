/* The order in which java.util.HashMap walks its entries: by bucket, within one bucket in the order of insertion.
 * Kafka's sticky assignors walk such maps, and their results depend on it. (A bucket of eight or more entries becomes
 * a tree, whose order is not reproduced.) */
#ifndef REJOIN_SRC_ASSIGN_JAVA_ORDER_H
#define REJOIN_SRC_ASSIGN_JAVA_ORDER_H

#include <stdint.h>

int32_t rj_java_map_capacity(int32_t entry_count); /* of a map that grew to so many entries from new HashMap<>() */
int32_t rj_java_map_bucket(int32_t hash, int32_t capacity);

#endif
