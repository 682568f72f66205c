/* The assignors of Kafka's Java client, as pure functions: subscriptions and partition counts in, assignments out.
 *
 * The results are those of kafka-clients 4.1.1 (org.apache.kafka.clients.consumer.*Assignor), compared as sets of
 * partitions for each member, and for sticky even where Java's own answer hangs on the order of its hash maps: that
 * order is reproduced. Two things differ on purpose. A claim of a partition that does not exist is dropped (Java's
 * constrained builder then loses its place and hands partitions out twice). And a partition never goes back to a
 * previous owner that no longer subscribes to its topic (Java's general builder may do that). */
#ifndef REJOIN_ASSIGN_H
#define REJOIN_ASSIGN_H

#include "rejoin/codec.h"

enum rj_assignor {
    RJ_ASSIGNOR_RANGE,
    RJ_ASSIGNOR_ROUND_ROBIN,
    RJ_ASSIGNOR_STICKY,
    RJ_ASSIGNOR_COOPERATIVE_STICKY,
    RJ_ASSIGNOR_COUNT
};

/* The protocol name on the wire: "range", "roundrobin", "sticky", "cooperative-sticky". */
struct rj_string rj_assignor_name(enum rj_assignor assignor);
bool rj_assignor_by_name(struct rj_string name, enum rj_assignor *assignor); /* false: no such assignor */
/* May a member that uses this assignor keep its partitions while it rejoins (KIP-429)? */
bool rj_assignor_is_cooperative(enum rj_assignor assignor);

struct rj_assign_member {
    struct rj_string member_id;
    struct rj_string instance_id; /* null: dynamic. Static members come first, by instance id */
    /* What the member sent: topics, and for the sticky ones what it claims to own. sticky reads its own user data
     * only; cooperative-sticky reads owned_partitions and generation_id, or the generation of the user data. The rack
     * is used by range and sticky (KIP-881). */
    const struct rj_consumer_protocol_subscription *subscription;
};

struct rj_assign_topic {
    struct rj_string name;
    int32_t partition_count;
    /* The racks of each partition's replicas, partition_count items (a null or missing rack is left out); NULL:
     * unknown. */
    const struct rj_string_array *partition_racks;
};

/* Computes assignments[i] for members[i]; user_data is null in each. Topics may come in any order and may include some
 * that nobody wants; a subscribed topic that is not among them, or has no partitions, is skipped. Assigned partitions
 * are sorted by topic and number. All that is returned lives in the arena; topic names are views of topics[].
 * member_count may be 0.
 * RJ_ERR_MEMORY when the arena has no memory, RJ_ERR_LIMIT when there are more than INT32_MAX partitions. */
enum rj_err rj_assign(enum rj_assignor assignor, const struct rj_assign_member *members, int32_t member_count,
                      const struct rj_assign_topic *topics, int32_t topic_count, struct rj_arena *arena,
                      struct rj_consumer_protocol_assignment *assignments);

#endif
