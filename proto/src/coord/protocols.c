/* Protocols that members offer, the vote among them, and the topics they subscribe to. */
#include "coord/group.h"

struct sizes { size_t items, topics, text; int64_t topic_count, topic_bytes; };

static const struct rj_consumer_protocol_subscription *view_of(const struct rj_subscription_views *views, int32_t i)
{
    return views != NULL && i < views->count ? views->items[i] : NULL;
}

static struct sizes measure(const struct rj_join_group_request_protocol_array *protocols,
                            const struct rj_subscription_views *views)
{
    struct sizes sizes = {.items = sizeof(struct rj_protocols) + (size_t)protocols->count * sizeof(struct rj_protocol)};
    for (int32_t i = 0; i < protocols->count; i++) {
        sizes.text += (size_t)protocols->items[i].name.len + (size_t)protocols->items[i].metadata.len + 2;
        const struct rj_consumer_protocol_subscription *view = view_of(views, i);
        for (int32_t t = 0; view != NULL && t < view->topics.count; t++) {
            sizes.topic_count++;
            sizes.topic_bytes += view->topics.items[t].len;
        }
    }
    sizes.topics = (size_t)sizes.topic_count * sizeof(struct rj_string);
    return sizes;
}

static char *put(char *at, const void *data, int32_t len)
{
    if (len > 0)
        memcpy(at, data, (size_t)len);
    return at + len + 1;
}

struct rj_protocol_counter *rj_counter_prepare(struct rj_group *group, struct rj_string name)
{
    uint32_t hash = rj_mixed_hash(name);
    struct rj_map_node *node = rj_map_find(&group->counters, name, hash);
    if (node != NULL)
        return RJ_CONTAINER(node, struct rj_protocol_counter, node);
    struct rj_memory *memory = &group->coord->memory;
    if (!rj_map_reserve(&group->counters, 1, memory))
        return NULL;
    struct rj_protocol_counter *counter = rj_memory_zalloc(memory, sizeof(*counter) + (size_t)name.len + 1);
    if (counter == NULL)
        return NULL;
    put((char *)(counter + 1), name.data, name.len);
    rj_map_insert(&group->counters, &counter->node, (struct rj_string){(char *)(counter + 1), name.len}, hash);
    return counter;
}

struct rj_protocols *rj_protocols_prepare(struct rj_group *group,
                                          const struct rj_join_group_request_protocol_array *protocols,
                                          const struct rj_subscription_views *views)
{
    struct rj_coord *coord = group->coord;
    struct sizes sizes = measure(protocols, views);
    size_t bytes = sizes.items + sizes.topics + (size_t)sizes.topic_bytes + sizes.text;
    if (bytes > coord->limits.member_bytes)
        return NULL;
    struct rj_protocols *copy = rj_memory_zalloc(&coord->memory, bytes);
    if (copy == NULL)
        return NULL;
    copy->items = (struct rj_protocol *)(copy + 1);
    copy->topic_count = sizes.topic_count;
    copy->topic_bytes = sizes.topic_bytes;
    copy->bytes = bytes;
    struct rj_string *topic = (struct rj_string *)((char *)copy + sizes.items);
    char *text = (char *)topic + sizes.topics;
    for (int32_t i = 0; i < protocols->count; i++) {
        const struct rj_join_group_request_protocol *from = &protocols->items[i];
        const struct rj_consumer_protocol_subscription *view = view_of(views, i);
        struct rj_protocol *to = &copy->items[i];
        to->name = (struct rj_string){text, from->name.len};
        text = put(text, from->name.data, from->name.len);
        to->metadata = (struct rj_bytes){(uint8_t *)text, from->metadata.len};
        text = put(text, from->metadata.data, from->metadata.len);
        to->is_subscription = view != NULL;
        to->topics = topic;
        to->topic_count = view != NULL ? view->topics.count : 0;
        for (int32_t t = 0; t < to->topic_count; t++) {
            struct rj_string name = view->topics.items[t];
            *topic++ = (struct rj_string){text, name.len};
            if (name.len > 0)
                memcpy(text, name.data, (size_t)name.len);
            text += name.len;
        }
        to->counter = rj_counter_prepare(group, from->name);
        if (to->counter == NULL) {
            rj_protocols_release(group, copy);
            return NULL;
        }
        to->counter->holds++;
        copy->count++;
    }
    return copy;
}

void rj_counter_drop(struct rj_group *group, struct rj_protocol_counter *counter)
{
    if (--counter->holds > 0)
        return;
    rj_map_remove(&group->counters, &counter->node);
    rj_memory_retire(&group->coord->memory, counter);
}

void rj_group_set_protocol(struct rj_group *group, struct rj_protocol_counter *counter)
{
    struct rj_protocol_counter *old = group->protocol;
    if (counter != NULL)
        counter->holds++;
    group->protocol = counter;
    group->protocol_name = counter != NULL ? counter->node.key : RJ_NULL_STRING;
    if (old != NULL)
        rj_counter_drop(group, old);
}

void rj_protocols_release(struct rj_group *group, struct rj_protocols *protocols)
{
    if (protocols == NULL)
        return;
    for (int32_t i = 0; i < protocols->count; i++)
        rj_counter_drop(group, protocols->items[i].counter);
    rj_memory_retire(&group->coord->memory, protocols);
}

bool rj_protocols_match(const struct rj_protocols *protocols, const struct rj_join_group_request_protocol_array *asked)
{
    if (protocols->count != asked->count)
        return false;
    for (int32_t i = 0; i < protocols->count; i++)
        if (!rj_string_equal(protocols->items[i].name, asked->items[i].name)
            || !rj_bytes_equal(protocols->items[i].metadata, asked->items[i].metadata))
            return false;
    return true;
}

/* The first by that name; NULL: it is not offered. */
static const struct rj_protocol *find_protocol(const struct rj_protocols *protocols, struct rj_string name)
{
    for (int32_t i = 0; i < protocols->count; i++)
        if (rj_string_equal(protocols->items[i].name, name))
            return &protocols->items[i];
    return NULL;
}

struct rj_bytes rj_protocols_metadata(const struct rj_protocols *protocols, struct rj_string name)
{
    const struct rj_protocol *protocol = find_protocol(protocols, name);
    return protocol ? protocol->metadata : RJ_NULL_BYTES;
}

bool rj_group_supports(const struct rj_group *group, struct rj_string protocol_type,
                       const struct rj_join_group_request_protocol_array *protocols)
{
    if (RJ_DOES(JOIN_PROTOCOL_SUPPORT, group->state == RJ_GROUP_EMPTY))
        return protocol_type.len > 0 && protocols->count > 0;
    if (!rj_string_equal(group->protocol_type, protocol_type))
        return false;
    for (int32_t i = 0; i < protocols->count; i++) {
        struct rj_string name = protocols->items[i].name;
        struct rj_map_node *node = rj_map_find(&group->counters, name, rj_mixed_hash(name));
        int32_t count = node ? RJ_CONTAINER(node, struct rj_protocol_counter, node)->count : 0;
        if (count == (int32_t)group->members.count) /* any name while everybody has left */
            return true;
    }
    return false;
}

/* ---- The vote ---------------------------------------------------------------------------------------------------- */

static struct rj_protocol_counter *voted_by(const struct rj_member *member, int32_t members)
{
    for (int32_t i = 0; i < member->protocols->count; i++)
        if (!RJ_DOES(VOTE_CANDIDATES, member->protocols->items[i].counter->count != members))
            return member->protocols->items[i].counter;
    return NULL;
}

/* Kafka takes the first of the tied names in the order of a HashMap that holds the names voted for. */
static bool comes_first(const struct rj_protocol_counter *a, const struct rj_protocol_counter *b, uint32_t capacity)
{
    uint32_t bucket_a = rj_member_hash(a->node.key) & (capacity - 1);
    uint32_t bucket_b = rj_member_hash(b->node.key) & (capacity - 1);
    return bucket_a != bucket_b ? bucket_a < bucket_b : a->first_vote < b->first_vote;
}

struct rj_protocol_counter *rj_group_vote(struct rj_group *group)
{
    int32_t names = 0, voter = 0;
    RJ_MAP_EACH (node, &group->counters)
        RJ_CONTAINER(node, struct rj_protocol_counter, node)->votes = 0;
    RJ_MAP_EACH (node, &group->members) {
        struct rj_protocol_counter *choice = voted_by(rj_member_of(node), (int32_t)group->members.count);
        if (choice == NULL)
            return NULL;
        if (choice->votes++ == 0) {
            choice->first_vote = voter;
            names++;
        }
        voter++;
    }
    uint32_t capacity = 16;
    while ((uint32_t)names > capacity / 4 * 3)
        capacity *= 2;
    struct rj_protocol_counter *best = NULL;
    RJ_MAP_EACH (node, &group->counters) {
        struct rj_protocol_counter *counter = RJ_CONTAINER(node, struct rj_protocol_counter, node);
        bool wins = counter->votes > 0
                    && (best == NULL || counter->votes > best->votes
                        || (counter->votes == best->votes && comes_first(counter, best, capacity)));
        if (RJ_WITHOUT(VOTE_CHOICE, best != NULL && counter->votes > 0 && counter->votes != best->votes))
            wins = !wins;
        if (wins)
            best = counter;
    }
    return best;
}

/* ---- Subscribed topics ------------------------------------------------------------------------------------------- */

static uint32_t slots_for(uint64_t topic_count)
{
    uint32_t slots = 8;
    while (slots < 2 * topic_count && slots < (1u << 31))
        slots *= 2;
    return slots;
}

struct rj_string *rj_subscribed_prepare(struct rj_group *group, const struct rj_protocols *joining, uint32_t *mask,
                                        bool *ok)
{
    int64_t count = group->topic_count + (joining ? joining->topic_count : 0);
    int64_t bytes = group->topic_bytes + (joining ? joining->topic_bytes : 0);
    *mask = 0;
    if (count == 0)
        return NULL;
    uint32_t slots = slots_for((uint64_t)count);
    struct rj_string *table = rj_memory_alloc(&group->coord->memory, slots * sizeof(*table) + (size_t)bytes + 1);
    if (table == NULL)
        *ok = false;
    *mask = slots - 1;
    return table;
}

static struct rj_string *slot_for(struct rj_string *slots, uint32_t mask, struct rj_string topic)
{
    uint32_t i = rj_mixed_hash(topic) & mask;
    while (slots[i].data != NULL && !rj_string_equal(slots[i], topic))
        i = (i + 1) & mask;
    return &slots[i];
}

static void add_topic(struct rj_string *slots, uint32_t mask, struct rj_string topic, char **text)
{
    struct rj_string *slot = slot_for(slots, mask, topic);
    if (slot->data != NULL)
        return;
    if (topic.len > 0)
        memcpy(*text, topic.data, (size_t)topic.len);
    *slot = (struct rj_string){*text, topic.len};
    *text += topic.len;
}

/* Copies a member's topics of the chosen protocol; false: its metadata is not a subscription. */
static bool add_topics(const struct rj_protocols *protocols, struct rj_string name, struct rj_string *slots,
                       uint32_t mask, char **text)
{
    const struct rj_protocol *protocol = find_protocol(protocols, name);
    if (protocol == NULL || !protocol->is_subscription)
        return false;
    for (int32_t t = 0; t < protocol->topic_count; t++)
        add_topic(slots, mask, protocol->topics[t], text);
    return true;
}

/* NULL: the member does not offer what was chosen, which a name given twice makes possible. */
static const struct rj_protocol *chosen_of(const struct rj_group *group, const struct rj_member *member)
{
    return find_protocol(member->protocols, group->protocol_name);
}

bool rj_subscribed_is_readable(const struct rj_group *group)
{
    if (!rj_is_consumer(group))
        return true;
    RJ_MAP_EACH (node, &group->members) {
        const struct rj_protocol *chosen = chosen_of(group, rj_member_of(node));
        if (chosen == NULL)
            return false;
        if (!chosen->is_subscription)
            return true;
    }
    return true;
}

bool rj_all_offer_chosen(const struct rj_group *group)
{
    RJ_MAP_EACH (node, &group->members)
        if (chosen_of(group, rj_member_of(node)) == NULL)
            return false;
    return true;
}

/* The room was made for members that all want different topics; they seldom do. Without memory it stays as it is. */
static void fit_subscribed(struct rj_group *group)
{
    struct rj_memory *memory = &group->coord->memory;
    struct rj_subscribed *large = &group->subscribed;
    size_t count = 0, bytes = 0;
    for (uint32_t i = 0; large->slots != NULL && i <= large->mask; i++) {
        count += large->slots[i].data != NULL;
        bytes += (size_t)large->slots[i].len;
    }
    uint32_t slots = slots_for(count);
    if (slots >= large->mask)
        return;
    struct rj_string *table = rj_memory_zalloc(memory, slots * sizeof(*table) + bytes + 1);
    if (table == NULL)
        return;
    char *text = (char *)(table + slots);
    for (uint32_t i = 0; i <= large->mask; i++)
        if (large->slots[i].data != NULL)
            add_topic(table, slots - 1, large->slots[i], &text);
    rj_memory_retire(memory, large->slots);
    large->slots = table;
    large->mask = slots - 1;
}

void rj_subscribed_compute(struct rj_group *group, struct rj_string *slots, uint32_t mask)
{
    rj_memory_retire(&group->coord->memory, group->subscribed.slots);
    group->subscribed = (struct rj_subscribed){.slots = slots, .mask = mask};
    if (!rj_is_consumer(group))
        return;
    if (group->members.count > 0 && group->protocol_name.data == NULL)
        return;
    if (slots != NULL)
        memset(slots, 0, (mask + (size_t)1) * sizeof(*slots));
    char *text = slots ? (char *)(slots + mask + 1) : NULL;
    RJ_MAP_EACH (node, &group->members)
        if (!add_topics(rj_member_of(node)->protocols, group->protocol_name, slots, mask, &text))
            return;
    group->subscribed.is_known = true;
    fit_subscribed(group);
}

bool rj_group_is_subscribed(const struct rj_group *group, struct rj_string topic)
{
    if (!group->subscribed.is_known)
        return rj_is_consumer(group);
    return group->subscribed.slots != NULL
           && slot_for(group->subscribed.slots, group->subscribed.mask, topic)->data != NULL;
}
