/* Committed offsets. */
#include "coord/offsets.h"

#include "coord/writes.h"

static struct rj_offset_topic *topic_find(const struct rj_group *group, struct rj_string name)
{
    struct rj_map_node *node = rj_map_find(&group->topics, name, rj_mixed_hash(name));
    return node ? rj_offset_topic_of(node) : NULL;
}

/* Partitions are numbers: the key's four bytes. */
static struct rj_map_node *partition_node(const struct rj_offset_topic *topic, int32_t partition)
{
    const struct rj_map *map = &topic->partitions;
    if (map->capacity == 0)
        return NULL;
    struct rj_map_node *node = map->buckets[rj_number_hash((uint32_t)partition) & (map->capacity - 1)];
    while (node != NULL && rj_offset_partition_of(node)->partition != partition)
        node = node->next;
    return node;
}

struct rj_offset_partition *rj_offset_partition_find(const struct rj_group *group, struct rj_string topic,
                                                     int32_t partition)
{
    struct rj_offset_topic *found = topic_find(group, topic);
    struct rj_map_node *node = found ? partition_node(found, partition) : NULL;
    return node ? rj_offset_partition_of(node) : NULL;
}

struct rj_offset_topic *rj_offset_topic_prepare(struct rj_group *group, struct rj_string name)
{
    struct rj_offset_topic *topic = topic_find(group, name);
    if (topic != NULL)
        return topic;
    struct rj_memory *memory = &group->coord->memory;
    if (!rj_map_reserve(&group->topics, 1, memory))
        return NULL;
    topic = rj_memory_zalloc(memory, sizeof(*topic) + (size_t)name.len + 1);
    if (topic == NULL)
        return NULL;
    char *key = (char *)(topic + 1);
    memcpy(key, name.data, (size_t)name.len);
    topic->group = group;
    rj_map_insert(&group->topics, &topic->node, (struct rj_string){key, name.len}, rj_mixed_hash(name));
    return topic;
}

static void topic_forget_if_idle(struct rj_offset_topic *topic)
{
    if (topic->partitions.count > 0)
        return;
    struct rj_memory *memory = &topic->group->coord->memory;
    rj_map_remove(&topic->group->topics, &topic->node);
    rj_map_release(&topic->partitions);
    rj_memory_retire(memory, topic);
}

struct rj_offset_partition *rj_offset_partition_prepare(struct rj_offset_topic *topic, int32_t index)
{
    struct rj_coord *coord = topic->group->coord;
    struct rj_map_node *node = partition_node(topic, index);
    if (node != NULL)
        return rj_offset_partition_of(node);
    struct rj_offset_partition *partition = NULL;
    if (coord->offset_count < coord->limits.offsets && rj_map_reserve(&topic->partitions, 1, &coord->memory))
        partition = rj_memory_zalloc(&coord->memory, sizeof(*partition));
    if (partition == NULL) {
        topic_forget_if_idle(topic);
        return NULL;
    }
    partition->topic = topic;
    partition->partition = index;
    struct rj_string key = {(const char *)&partition->partition, sizeof(partition->partition)};
    rj_map_insert(&topic->partitions, &partition->node, key, rj_number_hash((uint32_t)index));
    coord->offset_count++;
    return partition;
}

void rj_offset_partition_drop(struct rj_offset_partition *partition)
{
    partition->holds--;
    rj_offset_partition_forget_if_idle(partition);
}

void rj_offset_partition_forget_if_idle(struct rj_offset_partition *partition)
{
    if (partition->plain != NULL || partition->transactional != NULL || partition->holds > 0)
        return;
    struct rj_offset_topic *topic = partition->topic;
    struct rj_coord *coord = topic->group->coord;
    rj_map_remove(&topic->partitions, &partition->node);
    coord->offset_count--;
    rj_memory_retire(&coord->memory, partition);
    topic_forget_if_idle(topic);
}

struct rj_offset *rj_offset_prepare(struct rj_coord *coord, struct rj_string metadata)
{
    struct rj_offset *offset = rj_memory_alloc(&coord->memory, sizeof(*offset) + (size_t)metadata.len + 1);
    if (offset == NULL)
        return NULL;
    memset(offset, 0, sizeof(*offset));
    char *text = (char *)(offset + 1);
    if (metadata.len > 0)
        memcpy(text, metadata.data, (size_t)metadata.len);
    offset->metadata = (struct rj_string){text, metadata.len};
    offset->producer_id = -1;
    offset->leader_epoch = -1;
    offset->expire_timestamp_ms = -1;
    return offset;
}

static struct rj_transaction *transaction_find(const struct rj_coord *coord, int64_t producer_id)
{
    struct rj_string key = {(const char *)&producer_id, sizeof(producer_id)};
    struct rj_map_node *node = rj_map_find(&coord->transactions, key, rj_number_hash((uint64_t)producer_id));
    return node ? RJ_CONTAINER(node, struct rj_transaction, node) : NULL;
}

struct rj_transaction *rj_transaction_prepare(struct rj_coord *coord, int64_t producer_id)
{
    struct rj_transaction *transaction = transaction_find(coord, producer_id);
    if (transaction != NULL)
        return transaction;
    if (!rj_map_reserve(&coord->transactions, 1, &coord->memory))
        return NULL;
    transaction = rj_memory_zalloc(&coord->memory, sizeof(*transaction));
    if (transaction == NULL)
        return NULL;
    transaction->producer_id = producer_id;
    struct rj_string key = {(const char *)&transaction->producer_id, sizeof(transaction->producer_id)};
    rj_map_insert(&coord->transactions, &transaction->node, key, rj_number_hash((uint64_t)producer_id));
    return transaction;
}

static void transaction_forget_if_idle(struct rj_coord *coord, struct rj_transaction *transaction)
{
    if (transaction->first != NULL)
        return;
    rj_map_remove(&coord->transactions, &transaction->node);
    rj_memory_retire(&coord->memory, transaction);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

const struct rj_offset *rj_offset_latest(const struct rj_offset_partition *partition)
{
    return partition->plain != NULL && !partition->plain->is_tombstone ? partition->plain : NULL;
}

const struct rj_offset *rj_offset_committed(const struct rj_offset_partition *partition)
{
    const struct rj_offset *offset = partition->plain;
    while (offset != NULL && offset->append_id != 0)
        offset = offset->older;
    return offset != NULL && !offset->is_tombstone ? offset : NULL;
}

bool rj_offset_is_open(const struct rj_offset_partition *partition)
{
    for (const struct rj_offset *offset = partition->transactional; offset != NULL; offset = offset->older)
        if (offset->removed_by == 0)
            return true;
    return false;
}

static struct rj_group *group_of(const struct rj_offset_partition *partition) { return partition->topic->group; }

static void count_plain(struct rj_offset_partition *partition, int change)
{
    if (rj_offset_latest(partition) != NULL)
        group_of(partition)->offset_count += change;
}

static void set_removed(struct rj_offset *open, uint64_t append_id)
{
    group_of(open->partition)->transaction_count += (open->removed_by != 0) - (append_id != 0);
    open->removed_by = append_id;
}

/* Takes an open transactional offset out of everything. */
static void drop_open(struct rj_offset *open)
{
    struct rj_coord *coord = group_of(open->partition)->coord;
    struct rj_transaction *transaction = transaction_find(coord, open->producer_id);
    struct rj_offset **link = &transaction->first;
    while (*link != open)
        link = &(*link)->next_of_producer;
    *link = open->next_of_producer;
    link = &open->partition->transactional;
    while (*link != open)
        link = &(*link)->older;
    *link = open->older;
    if (open->removed_by == 0)
        group_of(open->partition)->transaction_count--;
    rj_memory_retire(&coord->memory, open);
    transaction_forget_if_idle(coord, transaction);
}

static void drop_older_than(struct rj_coord *coord, struct rj_offset *offset)
{
    for (struct rj_offset *older = offset->older, *next; older != NULL; older = next) {
        next = older->older;
        rj_memory_retire(&coord->memory, older);
    }
    offset->older = NULL;
}

static void drop_committed_tombstone(struct rj_offset_partition *partition)
{
    struct rj_offset **link = &partition->plain;
    while (*link != NULL && (*link)->append_id != 0)
        link = &(*link)->older;
    if (*link != NULL && (*link)->is_tombstone) {
        rj_memory_retire(&group_of(partition)->coord->memory, *link);
        *link = NULL;
    }
}

void rj_offset_push(struct rj_offset_partition *partition, struct rj_offset *offset)
{
    struct rj_group *group = group_of(partition);
    if (offset->producer_id >= 0) {
        struct rj_transaction *transaction = transaction_find(group->coord, offset->producer_id);
        offset->partition = partition;
        offset->next_of_producer = transaction->first;
        transaction->first = offset;
        offset->older = partition->transactional;
        partition->transactional = offset;
        group->transaction_count++;
        return;
    }
    count_plain(partition, -1);
    if (RJ_WITHOUT(OC_LAST_WINS, partition->plain != NULL && !offset->is_tombstone))
        offset->offset = partition->plain->offset;
    offset->older = partition->plain;
    partition->plain = offset;
    count_plain(partition, 1);
    for (struct rj_offset *open = partition->transactional, *next; offset->is_tombstone && open != NULL; open = next) {
        next = open->older;
        if (offset->append_id == 0)
            drop_open(open);
        else if (open->removed_by == 0)
            set_removed(open, offset->append_id);
    }
    if (offset->append_id == 0) {
        drop_older_than(group->coord, offset);
        drop_committed_tombstone(partition);
    }
}

/* ---- Results of writes ------------------------------------------------------------------------------------------- */

static void commit_partition(struct rj_offset_partition *partition, uint64_t append_id)
{
    struct rj_coord *coord = group_of(partition)->coord;
    for (struct rj_offset *offset = partition->plain; offset != NULL; offset = offset->older)
        if (offset->append_id == append_id) {
            offset->append_id = 0;
            drop_older_than(coord, offset);
            break;
        }
    drop_committed_tombstone(partition);
    for (struct rj_offset *open = partition->transactional, *next; open != NULL; open = next) {
        next = open->older;
        if (open->append_id == append_id)
            open->append_id = 0;
        if (open->removed_by == append_id)
            drop_open(open);
    }
}

static void roll_back_partition(struct rj_offset_partition *partition, uint64_t append_id)
{
    struct rj_coord *coord = group_of(partition)->coord;
    count_plain(partition, -1);
    for (struct rj_offset **link = &partition->plain; *link != NULL;) {
        struct rj_offset *offset = *link;
        if (offset->append_id != append_id) {
            link = &offset->older;
            continue;
        }
        *link = offset->older;
        rj_memory_retire(&coord->memory, offset);
    }
    count_plain(partition, 1);
    for (struct rj_offset *open = partition->transactional, *next; open != NULL; open = next) {
        next = open->older;
        if (open->append_id == append_id)
            drop_open(open);
        else if (open->removed_by == append_id)
            set_removed(open, 0);
    }
}

static void drop_touched(struct rj_write *write)
{
    for (int32_t i = 0; i < write->partition_count; i++)
        rj_offset_partition_drop(write->touched[i]);
    write->partition_count = 0;
}

void rj_offsets_committed(struct rj_write *write)
{
    for (int32_t i = 0; i < write->partition_count; i++)
        commit_partition(write->touched[i], write->append_id);
    drop_touched(write);
    for (int32_t i = 0; i < write->group_count; i++)
        rj_group_deleted(write->deleted[i], write->append_id);
}

void rj_offsets_rolled_back(struct rj_write *write)
{
    for (int32_t i = 0; i < write->partition_count; i++)
        roll_back_partition(write->touched[i], write->append_id);
    drop_touched(write);
    for (int32_t i = 0; i < write->group_count; i++)
        rj_group_not_deleted(write->deleted[i], write->append_id);
}

/* ---- Transactions ------------------------------------------------------------------------------------------------ */

/* A committed transaction's offset wins over plain ones that stand before it in the log. */
static void settle(struct rj_offset *open, bool commit)
{
    struct rj_offset_partition *partition = open->partition;
    struct rj_coord *coord = group_of(partition)->coord;
    bool wins = commit && open->removed_by == 0
                && (partition->plain == NULL || partition->plain->position < open->position);
    if (!wins) {
        drop_open(open);
        return;
    }
    struct rj_transaction *transaction = transaction_find(coord, open->producer_id);
    struct rj_offset **link = &transaction->first;
    while (*link != open)
        link = &(*link)->next_of_producer;
    *link = open->next_of_producer;
    link = &partition->transactional;
    while (*link != open)
        link = &(*link)->older;
    *link = open->older;
    group_of(partition)->transaction_count--;
    open->producer_id = -1;
    open->append_id = 0;
    rj_offset_push(partition, open);
}

/* Newest first: of two offsets of one partition the newest is what stays. */
void rj_transaction_end(struct rj_coord *coord, int64_t producer_id, bool commit)
{
    struct rj_transaction *transaction;
    while ((transaction = transaction_find(coord, producer_id)) != NULL && transaction->first != NULL) {
        struct rj_offset_partition *partition = transaction->first->partition;
        settle(transaction->first, commit);
        rj_offset_partition_forget_if_idle(partition);
    }
    if (transaction != NULL)
        transaction_forget_if_idle(coord, transaction);
}

void rj_offsets_release(struct rj_group *group)
{
    RJ_MAP_EACH (topic_node, &group->topics) {
        struct rj_offset_topic *topic = rj_offset_topic_of(topic_node);
        RJ_MAP_EACH (node, &topic->partitions) {
            struct rj_offset_partition *partition = rj_offset_partition_of(node);
            while (partition->transactional != NULL)
                drop_open(partition->transactional);
            count_plain(partition, -1);
            while (partition->plain != NULL) {
                struct rj_offset *offset = partition->plain;
                partition->plain = offset->older;
                rj_memory_retire(&group->coord->memory, offset);
            }
            partition->holds = 0;
            bool last = topic->partitions.count == 1;
            rj_offset_partition_forget_if_idle(partition);
            if (last)
                break;
        }
    }
}

void rj_offsets_each(struct rj_group *group, rj_offset_visit *visit, void *context)
{
    RJ_MAP_EACH (topic_node, &group->topics) {
        RJ_MAP_EACH (node, &rj_offset_topic_of(topic_node)->partitions) {
            struct rj_offset_partition *partition = rj_offset_partition_of(node);
            if (rj_offset_latest(partition) != NULL || rj_offset_is_open(partition))
                visit(context, partition);
        }
    }
}
