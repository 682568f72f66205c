/* What members claim, and whose claim holds (KAFKA-12984): the higher generation wins; within one generation a
 * partition that two claim is taken from both. */
#include "assign/java_order.h"
#include "assign/sticky.h"

#include <string.h>

/* Members in the order of a java.util.HashMap keyed by member id that was filled in the order of input. */
static bool bucket_less(const void *context, int32_t a, int32_t b)
{
    const int32_t *buckets = context;
    return buckets[a] < buckets[b];
}

static enum rj_err walk_as_java(struct sticky *sticky)
{
    struct assign_context *context = sticky->context;
    int32_t capacity = rj_java_map_capacity(context->member_count);
    int32_t *buckets = rj_assign_alloc(context->arena, context->member_count, sizeof *buckets);
    sticky->walk = rj_assign_alloc(context->arena, context->member_count, sizeof *sticky->walk);
    if (buckets == NULL || sticky->walk == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++) {
        buckets[m] = rj_java_map_bucket(rj_java_hash(context->members[m].member_id), capacity);
        sticky->walk[m] = m;
    }
    bool ok = rj_assign_sort(context->arena, sticky->walk, context->member_count, bucket_less, buckets);
    return ok ? RJ_OK : RJ_ERR_MEMORY;
}

static void add_claim(const struct assign_context *context, struct claim *claim, int32_t topic, int32_t number)
{
    if (topic != NO_ONE && number >= 0 && number < context->topics[topic]->partition_count)
        claim->partitions.items[claim->partitions.count++] = context->first_partition[topic] + number;
}

static enum rj_err claim_from_owned(const struct assign_context *context, struct claim *claim,
                                    const struct rj_consumer_protocol_subscription *subscription)
{
    int64_t most = 0;
    for (int32_t i = 0; i < subscription->owned_partitions.count; i++)
        most += subscription->owned_partitions.items[i].partitions.count;
    claim->partitions.items = rj_assign_alloc(context->arena, most, sizeof(int32_t));
    if (claim->partitions.items == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < subscription->owned_partitions.count; i++) {
        struct rj_consumer_protocol_subscription_topic_partition *owned = &subscription->owned_partitions.items[i];
        int32_t topic = rj_assign_find_topic(context, owned->topic);
        for (int32_t k = 0; k < owned->partitions.count; k++)
            add_claim(context, claim, topic, owned->partitions.items[k]);
    }
    return RJ_OK;
}

/* cooperative-sticky: the subscription says it all since its version 2; before, the generation is in the user data. */
static enum rj_err read_cooperative(const struct assign_context *context, struct claim *claim,
                                    const struct rj_consumer_protocol_subscription *subscription)
{
    struct rj_cooperative_sticky_assignor_user_data data;
    size_t used_len;
    if (claim->subscription_generation >= 0) {
        claim->has_generation = true;
        claim->generation = claim->subscription_generation;
    } else if (subscription->user_data.data != NULL) {
        claim->has_generation = true;
        if (rj_decode_prefix(&rj_cooperative_sticky_assignor_user_data_schema, 0, subscription->user_data,
                             context->arena, &data, &used_len, NULL) == RJ_OK)
            claim->generation = data.generation;
    }
    return claim_from_owned(context, claim, subscription);
}

/* sticky: the user data says it all, in version 1 (with a generation) or 0. What cannot be read is no claim. */
static enum rj_err read_sticky(const struct assign_context *context, struct claim *claim,
                               const struct rj_consumer_protocol_subscription *subscription)
{
    struct rj_sticky_assignor_user_data data;
    size_t used_len;
    struct rj_bytes bytes = subscription->user_data;
    if (bytes.data == NULL || bytes.len == 0)
        return RJ_OK;
    claim->has_generation = true;
    enum rj_err err = rj_decode_prefix(&rj_sticky_assignor_user_data_schema, 1, bytes, context->arena, &data,
                                       &used_len, NULL);
    if (err == RJ_OK) {
        claim->generation = data.generation;
    } else {
        err = rj_decode_prefix(&rj_sticky_assignor_user_data_schema, 0, bytes, context->arena, &data, &used_len, NULL);
        claim->has_generation = err != RJ_OK; /* Java: unreadable is generation -1, version 0 is none */
        if (err != RJ_OK)
            return err == RJ_ERR_MEMORY ? err : RJ_OK;
    }
    int64_t most = 0;
    for (int32_t i = 0; i < data.previous_assignment.count; i++)
        most += data.previous_assignment.items[i].partitions.count;
    claim->partitions.items = rj_assign_alloc(context->arena, most, sizeof(int32_t));
    if (claim->partitions.items == NULL)
        return RJ_ERR_MEMORY;
    for (int32_t i = 0; i < data.previous_assignment.count; i++) {
        struct rj_sticky_assignor_user_data_topic_assignment *previous = &data.previous_assignment.items[i];
        int32_t topic = rj_assign_find_topic(context, previous->topic);
        for (int32_t k = 0; k < previous->partitions.count; k++)
            add_claim(context, claim, topic, previous->partitions.items[k]);
    }
    return RJ_OK;
}

enum rj_err rj_sticky_read_claims(struct sticky *sticky, bool cooperative)
{
    struct assign_context *context = sticky->context;
    sticky->claims = rj_assign_alloc(context->arena, context->member_count, sizeof *sticky->claims);
    if (sticky->claims == NULL || walk_as_java(sticky) != RJ_OK)
        return RJ_ERR_MEMORY;
    for (int32_t m = 0; m < context->member_count; m++) {
        const struct rj_consumer_protocol_subscription *subscription = context->members[m].subscription;
        struct claim *claim = &sticky->claims[m];
        claim->generation = NO_GENERATION;
        claim->subscription_generation = subscription->generation_id >= 0 ? subscription->generation_id : NO_GENERATION;
        enum rj_err err = cooperative ? read_cooperative(context, claim, subscription)
                                      : read_sticky(context, claim, subscription);
        if (err != RJ_OK)
            return err;
    }
    return RJ_OK;
}

/* One claimed partition of one member against whoever claimed it before. */
static void settle_one(struct sticky *sticky, int32_t member, int32_t partition)
{
    int32_t generation = sticky->claims[member].generation;
    int32_t *examined = sticky->context->owner; /* last one examined with a claim that held; free for use until a
                                                   builder fills it */
    int32_t rival = examined[partition];
    if (rival == NO_ONE) {
        sticky->claimant[partition] = examined[partition] = member;
        return;
    }
    int32_t rival_generation = sticky->claims[rival].subscription_generation;
    if (generation == rival_generation) {
        sticky->disputed[partition] = true;
        if (sticky->claimant[partition] == rival)
            sticky->claimant[partition] = NO_ONE;
        examined[partition] = member;
    } else if (generation > rival_generation) {
        sticky->claimant[partition] = examined[partition] = member;
    }
}

/* The same topics, by their names as sent: also topics without metadata count. */
static bool same_topics(struct rj_string_array a, struct rj_string_array b)
{
    if (a.count != b.count)
        return false;
    for (int32_t i = 0; i < a.count; i++) {
        bool found = rj_string_equal(a.items[i], b.items[i]);
        for (int32_t k = 0; k < b.count && !found; k++)
            found = rj_string_equal(a.items[i], b.items[k]);
        if (!found)
            return false;
    }
    return true;
}

enum rj_err rj_sticky_settle_claims(struct sticky *sticky)
{
    struct assign_context *context = sticky->context;
    sticky->disputed = rj_assign_alloc(context->arena, context->partition_count, sizeof *sticky->disputed);
    sticky->claimant = rj_assign_alloc(context->arena, context->partition_count, sizeof *sticky->claimant);
    if (sticky->disputed == NULL || sticky->claimant == NULL)
        return RJ_ERR_MEMORY;
    memset(sticky->claimant, 0xff, (size_t)context->partition_count * sizeof *sticky->claimant);
    sticky->max_generation = NO_GENERATION;
    sticky->equal_subscriptions = true;
    for (int32_t i = 0; i < context->member_count; i++) {
        int32_t m = sticky->walk[i];
        sticky->equal_subscriptions = sticky->equal_subscriptions &&
            same_topics(context->members[m].subscription->topics,
                        context->members[sticky->walk[0]].subscription->topics);
        if (sticky->claims[m].generation > sticky->max_generation)
            sticky->max_generation = sticky->claims[m].generation;
        for (int32_t k = 0; k < sticky->claims[m].partitions.count; k++)
            settle_one(sticky, m, sticky->claims[m].partitions.items[k]);
    }
    for (int32_t p = 0; p < context->partition_count; p++)
        context->owner[p] = NO_ONE;
    return RJ_OK;
}
