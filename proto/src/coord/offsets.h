/* Committed offsets. Each partition keeps the value that is replicated and those on their way: reads of committed
 * state see the first, everything else the newest. */
#ifndef REJOIN_COORD_OFFSETS_H
#define REJOIN_COORD_OFFSETS_H

#include "coord/group.h"

struct rj_offset_partition *rj_offset_partition_find(const struct rj_group *group, struct rj_string topic,
                                                     int32_t partition);
/* Found or made; NULL: no memory or limit. A topic without partitions must not stay: a partition follows, or fails and
 * takes the topic with it. */
struct rj_offset_topic *rj_offset_topic_prepare(struct rj_group *group, struct rj_string name);
struct rj_offset_partition *rj_offset_partition_prepare(struct rj_offset_topic *topic, int32_t partition);
void rj_offset_partition_drop(struct rj_offset_partition *partition); /* one hold less */
void rj_offset_partition_forget_if_idle(struct rj_offset_partition *partition);
struct rj_offset *rj_offset_prepare(struct rj_coord *coord, struct rj_string metadata); /* plain, nothing set */
struct rj_transaction *rj_transaction_prepare(struct rj_coord *coord, int64_t producer_id);

/* The value joins its partition; position and append_id must be set. A tombstone also removes what transactions hold
 * open. */
void rj_offset_push(struct rj_offset_partition *partition, struct rj_offset *offset);
const struct rj_offset *rj_offset_latest(const struct rj_offset_partition *partition);    /* NULL: none */
const struct rj_offset *rj_offset_committed(const struct rj_offset_partition *partition); /* NULL: none */
bool rj_offset_is_open(const struct rj_offset_partition *partition); /* in some transaction */

void rj_offsets_committed(struct rj_write *write);
void rj_offsets_rolled_back(struct rj_write *write);
void rj_transaction_end(struct rj_coord *coord, int64_t producer_id, bool commit);
void rj_offsets_release(struct rj_group *group);

/* Every partition of the group that has something latest: a plain offset or an open one. */
typedef void rj_offset_visit(void *context, struct rj_offset_partition *partition);
void rj_offsets_each(struct rj_group *group, rj_offset_visit *visit, void *context);

static inline struct rj_offset_topic *rj_offset_topic_of(struct rj_map_node *node)
{
    return RJ_CONTAINER(node, struct rj_offset_topic, node);
}
static inline struct rj_offset_partition *rj_offset_partition_of(struct rj_map_node *node)
{
    return RJ_CONTAINER(node, struct rj_offset_partition, node);
}

/* Tombstones for partitions and groups: count them, reserve, then write them in one batch. */
struct rj_sweep {
    struct rj_coord *coord;
    struct rj_write *write;
    struct rj_offset **tombstones; /* one a partition */
    struct rj_offsets_record *records;
    int32_t partition_count, group_count, record_count;
    int32_t reserved_count; /* of tombstones */
};
bool rj_sweep_reserve(struct rj_sweep *sweep, struct rj_coord *coord, int32_t partitions, int32_t groups,
                      size_t body_len);
void rj_sweep_partition(struct rj_sweep *sweep, struct rj_offset_partition *partition);
void rj_sweep_group(struct rj_sweep *sweep, struct rj_group *group); /* which must have no members */
/* Starts the write, or answers at once where nothing was swept. */
void rj_sweep_finish(struct rj_sweep *sweep, enum rj_write_kind kind);

/* The record of a plain or transactional commit. */
struct rj_offsets_record rj_offset_record(struct rj_output *output, const struct rj_offset_partition *partition,
                                          const struct rj_offset *offset);
size_t rj_offset_record_len(void);
/* The same in places of the caller's. */
struct rj_offsets_record rj_offset_record_in(struct rj_offset_commit_key *key, struct rj_offset_commit_value *value,
                                             const struct rj_offset_partition *partition,
                                             const struct rj_offset *offset);

/* The periodic clean-up, and what the deletion of topics removes. False: no memory, nothing has changed. */
bool rj_expire_offsets(struct rj_coord *coord);
bool rj_topics_changed(struct rj_coord *coord, const struct rj_topic_table *topics);

#endif
