/* Unequal subscriptions: keep what is validly owned, give every free partition to its least loaded subscriber, then
 * move partitions one by one from loaded to less loaded members until no move helps; go back to before the moves
 * where they did not improve the balance. */
#include "assign/java_order.h"
#include "assign/sticky.h"

#include <string.h>

/* The partitions of one topic that were moved from one member to another: a java.util.HashSet, whose first element
 * decides which partition moves back. */
struct moved_set { int32_t topic, from, to, count, capacity; };

struct general {
    struct sticky *sticky;
    int32_t *sorted_topics;     /* by subscribers, then name */
    int32_t *sorted_partitions; /* of these topics in this order */
    int32_t sorted_count;
    int32_t *free_partitions;   /* those without an owner after the claims, in the same order */
    int32_t free_count;
    bool *takes_part;           /* of a member: may anything of it be moved? */
    int32_t *previous_owner;    /* of a partition: an older claim than the newest generation; NO_ONE */
    int32_t *previous_generation;
    bool revoked_some;          /* claims were dropped for subscription or rack */
    int32_t *moved_from;        /* of a partition; NO_ONE: was not moved. It went to its owner of then */
    int32_t *moved_to;
    int64_t *moved_when;        /* order of insertion */
    int64_t move_count;
    struct moved_set *sets;
    int32_t set_count;
};

/* ---- Preparation ---- */

static bool fewer_subscribers(const void *context, int32_t a, int32_t b)
{
    const struct assign_context *all = context;
    return all->subscribers[a].count < all->subscribers[b].count;
}

static enum rj_err sort_partitions(struct general *build)
{
    struct assign_context *context = build->sticky->context;
    for (int32_t t = 0; t < context->topic_count; t++)
        build->sorted_topics[t] = t;
    if (!rj_assign_sort(context->arena, build->sorted_topics, context->topic_count, fewer_subscribers, context))
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < context->topic_count; i++) {
        int32_t t = build->sorted_topics[i];
        for (int32_t p = context->first_partition[t]; p < context->first_partition[t + 1]; p++)
            build->sorted_partitions[build->sorted_count++] = p;
    }
    return RJ_OK;
}

/* Claims older than the newest generation, the newest of them for each partition. */
static void note_previous_owners(struct general *build)
{
    struct sticky *sticky = build->sticky;
    for (int32_t i = 0; i < sticky->context->member_count; i++) {
        int32_t m = sticky->walk[i];
        const struct claim *claim = &sticky->claims[m];
        if (claim->generation >= sticky->max_generation)
            continue;
        for (int32_t k = 0; k < claim->partitions.count; k++) {
            int32_t p = claim->partitions.items[k];
            if (build->previous_owner[p] != NO_ONE && claim->generation <= build->previous_generation[p])
                continue;
            build->previous_owner[p] = m;
            build->previous_generation[p] = claim->generation;
        }
    }
}

static void keep_claims(struct general *build)
{
    struct sticky *sticky = build->sticky;
    for (int32_t p = 0; p < sticky->context->partition_count; p++) {
        int32_t m = sticky->claimant[p];
        if (m == NO_ONE)
            continue;
        if (!rj_assign_subscribes(sticky->context, m, sticky->context->topic_of[p]) ||
            rj_sticky_rack_mismatch(sticky, m, p))
            build->revoked_some = true;
        else
            rj_sticky_give(sticky, p, m);
    }
    for (int32_t i = 0; i < build->sorted_count; i++)
        if (sticky->context->owner[build->sorted_partitions[i]] == NO_ONE)
            build->free_partitions[build->free_count++] = build->sorted_partitions[i];
}

/* Fewest partitions first, then by id. */
static bool comes_before(const struct sticky *sticky, int32_t a, int32_t b)
{
    return sticky->count[a] != sticky->count[b] ? sticky->count[a] < sticky->count[b]
                                                : sticky->context->rank[a] < sticky->context->rank[b];
}

/* The least loaded subscriber, in the partition's rack where that is asked for; NO_ONE: none is. */
static int32_t least_loaded(const struct general *build, int32_t partition, bool by_rack)
{
    const struct sticky *sticky = build->sticky;
    struct int_list subscribers = sticky->context->subscribers[sticky->context->topic_of[partition]];
    int32_t best = NO_ONE;
    for (int32_t i = 0; i < subscribers.count; i++) {
        int32_t m = subscribers.items[i];
        if (by_rack && rj_sticky_rack_mismatch(sticky, m, partition))
            continue;
        if (best == NO_ONE || comes_before(sticky, m, best))
            best = m;
    }
    return best;
}

static void give_free(struct general *build)
{
    struct sticky *sticky = build->sticky;
    for (int pass = sticky->racks_matter ? 0 : 1; pass < 2; pass++)
        for (int32_t i = 0; i < build->free_count; i++) {
            int32_t p = build->free_partitions[i];
            int32_t m = sticky->context->owner[p] == NO_ONE ? least_loaded(build, p, pass == 0) : NO_ONE;
            if (m != NO_ONE)
                rj_sticky_give(sticky, p, m);
        }
}

/* ---- Moves ---- */

/* org.apache.kafka.common.TopicPartition.hashCode */
static int32_t partition_hash(const struct assign_context *context, int32_t partition)
{
    int32_t topic = context->topic_of[partition];
    uint32_t number = (uint32_t)(partition - context->first_partition[topic]);
    return (int32_t)(31 * (31 + number) + (uint32_t)rj_java_hash(context->topics[topic]->name));
}

static struct moved_set *find_set(struct general *build, int32_t topic, int32_t from, int32_t to)
{
    for (int32_t i = 0; i < build->set_count; i++)
        if (build->sets[i].topic == topic && build->sets[i].from == from && build->sets[i].to == to)
            return &build->sets[i];
    return NULL;
}

/* The one that Java's iterator over the set gives first. */
static int32_t first_of_set(const struct general *build, const struct moved_set *set)
{
    const struct assign_context *context = build->sticky->context;
    int32_t best = NO_ONE, best_bucket = 0;
    for (int32_t p = context->first_partition[set->topic]; p < context->first_partition[set->topic + 1]; p++) {
        if (build->moved_from[p] != set->from || build->moved_to[p] != set->to)
            continue;
        int32_t bucket = rj_java_map_bucket(partition_hash(context, p), set->capacity);
        if (best == NO_ONE || bucket < best_bucket ||
            (bucket == best_bucket && build->moved_when[p] < build->moved_when[best])) {
            best = p;
            best_bucket = bucket;
        }
    }
    return best;
}

static void forget_move(struct general *build, int32_t partition)
{
    struct moved_set *set = find_set(build, build->sticky->context->topic_of[partition], build->moved_from[partition],
                                     build->moved_to[partition]);
    if (--set->count == 0)
        *set = build->sets[--build->set_count];
    build->moved_from[partition] = build->moved_to[partition] = NO_ONE;
}

static void note_move(struct general *build, int32_t partition, int32_t from, int32_t to)
{
    int32_t topic = build->sticky->context->topic_of[partition];
    if (build->moved_from[partition] != NO_ONE) {
        int32_t origin = build->moved_from[partition];
        forget_move(build, partition);
        if (origin == to)
            return; /* back where it came from */
        from = origin;
    }
    struct moved_set *set = find_set(build, topic, from, to);
    if (set == NULL) {
        set = &build->sets[build->set_count++];
        *set = (struct moved_set){topic, from, to, 0, 16};
    }
    set->count++;
    if (set->capacity < rj_java_map_capacity(set->count))
        set->capacity = rj_java_map_capacity(set->count);
    build->moved_from[partition] = from;
    build->moved_to[partition] = to;
    build->moved_when[partition] = build->move_count++;
}

/* Moves the partition, or rather one of the same topic that had gone the opposite way. */
static void move(struct general *build, int32_t partition, int32_t to)
{
    struct assign_context *context = build->sticky->context;
    int32_t from = context->owner[partition];
    if (build->moved_from[partition] != NO_ONE)
        from = build->moved_from[partition];
    struct moved_set *opposite = find_set(build, context->topic_of[partition], to, from);
    if (opposite != NULL)
        partition = first_of_set(build, opposite);
    note_move(build, partition, context->owner[partition], to);
    rj_sticky_give(build->sticky, partition, to);
}

/* ---- Balance ---- */

static int64_t potential_count(const struct assign_context *context, int32_t member)
{
    int64_t count = 0;
    for (int32_t i = 0; i < context->topics_of[member].count; i++)
        count += context->topics[context->topics_of[member].items[i]]->partition_count;
    return count;
}

/* Can no member take one more from a member that has at least two more than it? */
static bool is_balanced(const struct general *build, int32_t *most_of_topic)
{
    const struct sticky *sticky = build->sticky;
    const struct assign_context *context = sticky->context;
    int32_t fewest = INT32_MAX, most = -1;
    for (int32_t m = 0; m < context->member_count; m++) {
        if (!build->takes_part[m])
            continue;
        fewest = sticky->count[m] < fewest ? sticky->count[m] : fewest;
        most = sticky->count[m] > most ? sticky->count[m] : most;
    }
    if (fewest >= most - 1)
        return true;
    memset(most_of_topic, 0, (size_t)context->topic_count * sizeof *most_of_topic);
    for (int32_t p = 0; p < context->partition_count; p++) {
        int32_t *count = &most_of_topic[context->topic_of[p]];
        if (sticky->count[context->owner[p]] > *count)
            *count = sticky->count[context->owner[p]];
    }
    for (int32_t m = 0; m < context->member_count; m++) {
        if (!build->takes_part[m] || sticky->count[m] == potential_count(context, m))
            continue; /* it has all that it can have */
        for (int32_t i = 0; i < context->topics_of[m].count; i++)
            if (sticky->count[m] + 1 < most_of_topic[context->topics_of[m].items[i]])
                return false;
    }
    return true;
}

/* Sum over all pairs of members of the difference of their counts. */
static int64_t balance_score(const struct general *build, const int32_t *count)
{
    int64_t score = 0;
    for (int32_t a = 0; a < build->sticky->context->member_count; a++)
        for (int32_t b = 0; build->takes_part[a] && b < a; b++)
            if (build->takes_part[b])
                score += count[a] > count[b] ? count[a] - count[b] : count[b] - count[a];
    return score;
}

/* One round over the list; true: something moved. */
static bool move_once(struct general *build, const int32_t *partitions, int32_t count, int32_t *most_of_topic)
{
    struct sticky *sticky = build->sticky;
    const struct assign_context *context = sticky->context;
    bool moved = false;
    for (int32_t i = 0; i < count && !is_balanced(build, most_of_topic); i++) {
        int32_t p = partitions[i], previous = build->previous_owner[p], owner = context->owner[p];
        bool may_return = previous != NO_ONE &&
                          (context->as_java || rj_assign_subscribes(context, previous, context->topic_of[p]));
        if (may_return && !build->takes_part[previous]) {
            sticky->context->java_throws = true; /* a subscriber of a topic that others want takes part */
            return false;
        }
        if (may_return && sticky->count[owner] > sticky->count[previous] + 1) {
            move(build, p, previous);
            moved = true;
            continue;
        }
        int32_t best = least_loaded(build, p, false);
        if (sticky->count[owner] > sticky->count[best] + 1) {
            move(build, p, best);
            moved = true;
        }
    }
    return moved;
}

static bool move_all(struct general *build, const int32_t *partitions, int32_t count, int32_t *most_of_topic)
{
    bool moved = false;
    while (move_once(build, partitions, count, most_of_topic))
        moved = true;
    return moved;
}

/* Topics with one subscriber, and members that have only such and have them all, are out of it. */
static void narrow(struct general *build)
{
    struct sticky *sticky = build->sticky;
    const struct assign_context *context = sticky->context;
    for (int32_t m = 0; m < context->member_count; m++)
        build->takes_part[m] = sticky->count[m] < potential_count(context, m);
    for (int32_t p = 0; p < context->partition_count; p++)
        if (context->subscribers[context->topic_of[p]].count > 1)
            build->takes_part[context->owner[p]] = true;
    int32_t *lists[] = {build->sorted_partitions, build->free_partitions};
    int32_t *counts[] = {&build->sorted_count, &build->free_count};
    for (int l = 0; l < 2; l++) {
        int32_t left = 0;
        for (int32_t i = 0; i < *counts[l]; i++)
            if (context->subscribers[context->topic_of[lists[l][i]]].count > 1)
                lists[l][left++] = lists[l][i];
        *counts[l] = left;
    }
}

static enum rj_err balance(struct general *build)
{
    struct sticky *sticky = build->sticky;
    struct assign_context *context = sticky->context;
    size_t partitions_len = (size_t)context->partition_count * sizeof(int32_t);
    size_t members_len = (size_t)context->member_count * sizeof(int32_t);
    int32_t *owner_before = rj_arena_alloc(context->arena, partitions_len);
    int32_t *count_before = rj_arena_alloc(context->arena, members_len);
    int32_t *most_of_topic = rj_assign_alloc(context->arena, context->topic_count, sizeof *most_of_topic);
    if (owner_before == NULL || count_before == NULL || most_of_topic == NULL)
        return RJ_ERR_MEMORY;
    bool from_nothing = build->free_count == context->partition_count;
    give_free(build);
    narrow(build);
    memcpy(owner_before, context->owner, partitions_len);
    memcpy(count_before, sticky->count, members_len);
    if (!build->revoked_some)
        move_all(build, build->free_partitions, build->free_count, most_of_topic);
    bool moved = move_all(build, build->sorted_partitions, build->sorted_count, most_of_topic);
    if (!from_nothing && moved && balance_score(build, sticky->count) >= balance_score(build, count_before)) {
        memcpy(context->owner, owner_before, partitions_len);
        memcpy(sticky->count, count_before, members_len);
    }
    return RJ_OK;
}

enum rj_err rj_sticky_build_general(struct sticky *sticky)
{
    struct assign_context *context = sticky->context;
    int32_t partitions = context->partition_count;
    struct general build = {
        .sticky = sticky,
        .sorted_topics = rj_assign_alloc(context->arena, context->topic_count, sizeof(int32_t)),
        .sorted_partitions = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .free_partitions = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .takes_part = rj_assign_alloc(context->arena, context->member_count, sizeof(bool)),
        .previous_owner = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .previous_generation = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .moved_from = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .moved_to = rj_assign_alloc(context->arena, partitions, sizeof(int32_t)),
        .moved_when = rj_assign_alloc(context->arena, partitions, sizeof(int64_t)),
        .sets = rj_assign_alloc(context->arena, partitions, sizeof(struct moved_set)),
    };
    if (build.sorted_topics == NULL || build.sorted_partitions == NULL || build.free_partitions == NULL ||
        build.takes_part == NULL || build.previous_owner == NULL || build.previous_generation == NULL ||
        build.moved_from == NULL || build.moved_to == NULL || build.moved_when == NULL || build.sets == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t p = 0; p < partitions; p++)
        build.previous_owner[p] = build.moved_from[p] = build.moved_to[p] = NO_ONE;
    if (sort_partitions(&build) != RJ_OK)
        return RJ_ERR_MEMORY;
    note_previous_owners(&build);
    keep_claims(&build);
    return balance(&build);
}
