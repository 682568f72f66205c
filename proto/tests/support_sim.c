#include "support_sim.h"

#include "support_heap.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 4096, API_MAX = 32 };

/* One TCP connection. Numbers are never used again. */
struct link {
    int consumer;
    uint32_t connection_id; /* the consumer's name for it */
    int broker;
    bool is_open, is_coordinator, is_busy;
    int64_t to_broker_ms, to_consumer_ms; /* nothing overtakes what was sent before */
    struct message *waiting;              /* requests behind the one that is being answered */
};

enum message_kind { MESSAGE_CONNECTED, MESSAGE_DISCONNECTED, MESSAGE_REQUEST, MESSAGE_RESPONSE, MESSAGE_EMPTY_FETCH };

struct message {
    struct message *next;
    struct rj_arena arena;
    enum message_kind kind;
    int64_t at_ms, order;
    int link;
    int32_t correlation_id;
    int16_t api_key, version;
    void *body;
};

struct logged { struct logged *next; struct rj_offsets_record record; };

struct broker { struct rj_coord *coord; };

struct client {
    struct rj_consumer *consumer;
    struct rj_consumer_config config;
    bool is_live, is_closing, is_closed, is_paused;
    uint32_t owned;
    int rebalance_count, lost_count;
    int16_t fatal_error;
    int32_t generation_id;
    int requests[API_MAX];
    int64_t polled_ms;
};

struct sim {
    struct sim_config config;
    uint64_t random;
    int64_t now_ms, order;
    struct broker brokers[SIM_BROKERS_MAX];
    int coordinator;
    struct rj_topic topic;
    struct rj_topic_table topics;
    struct client clients[SIM_CONSUMERS_MAX];
    int client_count;
    struct link links[LINKS_MAX];
    int link_count;
    struct message *queue; /* by time */
    struct rj_arena log_arena;
    struct logged *log, **log_end;
    uint32_t lose_one_in;
    int32_t produce_rate;
    int64_t produced_ms;
    int64_t end_offset[SIM_PARTITIONS_MAX], consumed[SIM_PARTITIONS_MAX], committed[SIM_PARTITIONS_MAX];
    int64_t gap_count;
    struct rj_consumer_bootstrap addresses[SIM_BROKERS_MAX];
    struct rj_string topic_name;
};

static const char *const hosts[SIM_BROKERS_MAX] = {"b0", "b1", "b2"};

uint32_t sim_random(struct sim *sim, uint32_t below)
{
    sim->random += 0x9e3779b97f4a7c15;
    uint64_t z = sim->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % below);
}

static struct rj_uuid entropy(struct sim *sim)
{
    struct rj_uuid uuid;
    for (int i = 0; i < 16; i++)
        uuid.bytes[i] = (uint8_t)sim_random(sim, 256);
    return uuid;
}

/* ---- The queue of what is under way ------------------------------------------------------------------------------ */

static struct message *new_message(enum message_kind kind, int link)
{
    struct message *message = calloc(1, sizeof *message);
    assert(message != NULL);
    message->kind = kind;
    message->link = link;
    rj_arena_init(&message->arena, &test_heap, SIZE_MAX);
    return message;
}

static void free_message(struct message *message)
{
    rj_arena_release(&message->arena);
    free(message);
}

static void *copy_body(struct message *message, const struct rj_message_schema *schema, const void *body)
{
    void *copy = rj_arena_alloc(&message->arena, schema->root->size);
    enum rj_err err = rj_copy_message(schema, body, &message->arena, copy);
    assert(err == RJ_OK);
    (void)err;
    return copy;
}

static void enqueue(struct sim *sim, struct message *message, int64_t at_ms)
{
    struct message **at = &sim->queue;
    message->at_ms = at_ms;
    message->order = sim->order++;
    while (*at != NULL && (*at)->at_ms <= at_ms)
        at = &(*at)->next;
    message->next = *at;
    *at = message;
}

static int64_t delay(struct sim *sim) { return 1 + sim_random(sim, (uint32_t)sim->config.delay_max_ms + 1); }

static void to_broker(struct sim *sim, struct message *message)
{
    struct link *link = &sim->links[message->link];
    int64_t at_ms = sim->now_ms + delay(sim);
    link->to_broker_ms = at_ms > link->to_broker_ms ? at_ms : link->to_broker_ms;
    enqueue(sim, message, link->to_broker_ms);
}

static void to_consumer(struct sim *sim, struct message *message)
{
    struct link *link = &sim->links[message->link];
    int64_t at_ms = sim->now_ms + delay(sim);
    link->to_consumer_ms = at_ms > link->to_consumer_ms ? at_ms : link->to_consumer_ms;
    enqueue(sim, message, link->to_consumer_ms);
}

/* ---- Brokers ----------------------------------------------------------------------------------------------------- */

static const struct rj_message_schema *record_schema(enum rj_message_kind kind, int16_t record_type)
{
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (rj_all_schemas[i]->kind == kind && rj_all_schemas[i]->api_key == record_type)
            return rj_all_schemas[i];
    return NULL;
}

static void log_record(struct sim *sim, const struct rj_offsets_record *record)
{
    struct logged *logged = rj_arena_alloc(&sim->log_arena, sizeof *logged);
    const struct rj_message_schema *key = record_schema(RJ_MESSAGE_KEY, record->record_type);
    const struct rj_message_schema *value = record_schema(RJ_MESSAGE_VALUE, record->record_type);
    void *key_copy = rj_arena_alloc(&sim->log_arena, key->root->size), *value_copy = NULL;
    rj_copy_message(key, record->key, &sim->log_arena, key_copy);
    if (record->value != NULL) {
        value_copy = rj_arena_alloc(&sim->log_arena, value->root->size);
        rj_copy_message(value, record->value, &sim->log_arena, value_copy);
    }
    logged->next = NULL;
    logged->record = *record;
    logged->record.key = key_copy;
    logged->record.value = value_copy;
    *sim->log_end = logged;
    sim->log_end = &logged->next;
}

static void take_update(struct sim *sim, int broker, const struct rj_update *update);

static void step_broker(struct sim *sim, int broker, struct rj_event event)
{
    struct rj_update update;
    const char *broken = "";
    event.now_ms = sim->now_ms;
    event.entropy = entropy(sim);
    rj_step(sim->brokers[broker].coord, &event, &update);
    if (!rj_check(sim->brokers[broker].coord, &broken)) {
        fprintf(stderr, "broker %d at %lld ms: %s\n", broker, (long long)sim->now_ms, broken);
        abort();
    }
    take_update(sim, broker, &update);
}

static void reply(struct sim *sim, int at, int32_t correlation_id, int16_t api_key, int16_t version, const void *body)
{
    struct link *link = &sim->links[at];
    link->is_busy = false;
    if (!link->is_open)
        return;
    struct message *message = new_message(MESSAGE_RESPONSE, at);
    message->correlation_id = correlation_id;
    message->api_key = api_key;
    message->version = version;
    message->body = copy_body(message, rj_response_schema(api_key), body);
    to_consumer(sim, message);
    if (link->waiting != NULL) {
        struct message *next = link->waiting;
        link->waiting = next->next;
        enqueue(sim, next, sim->now_ms);
    }
}

/* Appends first, then what is parked on them: an update's memory is gone with the next step. */
static void take_update(struct sim *sim, int broker, const struct rj_update *update)
{
    uint64_t append_ids[64];
    int32_t append_count = update->append_count;
    assert(append_count <= 64);
    for (int32_t i = 0; i < update->reply_count; i++)
        reply(sim, (int)update->replies[i].connection_id, update->replies[i].correlation_id, update->replies[i].api_key,
              update->replies[i].version, update->replies[i].body);
    for (int32_t i = 0; i < append_count; i++) {
        append_ids[i] = update->appends[i].append_id;
        for (int32_t r = 0; r < update->appends[i].record_count; r++)
            log_record(sim, &update->appends[i].records[r]);
    }
    for (int32_t i = 0; i < append_count; i++)
        step_broker(sim, broker, (struct rj_event){.type = RJ_EVENT_APPEND_RESULT,
                                                   .as.append_result = {append_ids[i], 0}});
}

/* The subscriptions inside a JoinGroup or a GroupMetadataValue, as a host of the coordinator decodes them. */
static const struct rj_subscription_views *decode_views(struct rj_arena *arena, const struct rj_bytes *items,
                                                        int32_t count)
{
    struct rj_subscription_views *views = rj_arena_alloc(arena, sizeof *views);
    const struct rj_consumer_protocol_subscription **list = rj_arena_alloc(arena, (size_t)(count + 1) * sizeof *list);
    for (int32_t i = 0; i < count; i++) {
        struct rj_consumer_protocol_subscription *subscription = rj_arena_alloc(arena, sizeof *subscription);
        list[i] = rj_decode_subscription(items[i], arena, subscription, NULL, NULL) == RJ_OK ? subscription : NULL;
    }
    *views = (struct rj_subscription_views){list, count};
    return views;
}

static void ask_coordinator(struct sim *sim, struct message *message)
{
    struct link *link = &sim->links[message->link];
    struct rj_event event = {.type = RJ_EVENT_REQUEST};
    event.as.request.connection_id = (uint64_t)message->link;
    event.as.request.correlation_id = message->correlation_id;
    event.as.request.api_key = message->api_key;
    event.as.request.version = message->version;
    event.as.request.client_id = sim->clients[link->consumer].config.client_id;
    event.as.request.client_host = RJ_STRING("/127.0.0.1");
    event.as.request.body = message->body;
    if (message->api_key == RJ_API_JOIN_GROUP) {
        const struct rj_join_group_request *join = message->body;
        struct rj_bytes metadata[RJ_ASSIGNOR_COUNT];
        for (int32_t i = 0; i < join->protocols.count; i++)
            metadata[i] = join->protocols.items[i].metadata;
        event.as.request.subscriptions = decode_views(&message->arena, metadata, join->protocols.count);
    }
    link->is_busy = true;
    step_broker(sim, link->broker, event);
}

/* A broker that does not lead the partition of the group says so, in the shape of each answer. */
static void refuse_as_not_coordinator(struct sim *sim, struct message *message)
{
    struct rj_coord *nobody;
    struct rj_limits limits;
    struct rj_config config;
    struct rj_update update;
    rj_limits_init(&limits);
    rj_config_init(&config);
    rj_coord_create(&nobody, &test_heap, &limits, &config);
    rj_step(nobody, &(struct rj_event){.type = RJ_EVENT_UNLOAD, .now_ms = sim->now_ms}, &update);
    struct rj_coord *real = sim->brokers[sim->links[message->link].broker].coord;
    sim->brokers[sim->links[message->link].broker].coord = nobody;
    ask_coordinator(sim, message);
    sim->brokers[sim->links[message->link].broker].coord = real;
    rj_coord_destroy(nobody);
}

static void answer_versions(struct sim *sim, struct message *message)
{
    struct rj_api_versions_response response;
    struct rj_api_versions_response_api_version ranges[API_MAX];
    rj_message_init(&rj_api_versions_response_schema, &response);
    for (int16_t key = 0; key < API_MAX; key++) {
        const struct rj_message_schema *schema = rj_request_schema(key);
        if (schema != NULL)
            ranges[response.api_keys.count++] = (struct rj_api_versions_response_api_version){
                key, schema->versions.low, schema->versions.high, NULL};
    }
    response.api_keys.items = ranges;
    reply(sim, message->link, message->correlation_id, message->api_key, message->version, &response);
}

static void answer_metadata(struct sim *sim, struct message *message)
{
    struct rj_metadata_response response;
    struct rj_metadata_response_broker brokers[SIM_BROKERS_MAX];
    struct rj_metadata_response_partition partitions[SIM_PARTITIONS_MAX];
    struct rj_metadata_response_topic topic = {.name = sim->topic_name, .topic_id = sim->topic.topic_id};
    rj_message_init(&rj_metadata_response_schema, &response);
    for (int b = 0; b < sim->config.brokers; b++)
        brokers[b] = (struct rj_metadata_response_broker){b, sim->addresses[b].host, 9092, RJ_NULL_STRING, NULL};
    for (int32_t p = 0; p < sim->topic.partition_count; p++)
        partitions[p] = (struct rj_metadata_response_partition){.partition_index = p,
                                                                .leader_id = p % sim->config.brokers};
    topic.partitions.items = partitions;
    topic.partitions.count = sim->topic.partition_count;
    response.brokers.items = brokers;
    response.brokers.count = sim->config.brokers;
    response.topics.items = &topic;
    response.topics.count = 1;
    reply(sim, message->link, message->correlation_id, message->api_key, message->version, &response);
}

static void answer_find(struct sim *sim, struct message *message)
{
    struct rj_find_coordinator_response response;
    struct rj_string host = sim->addresses[sim->coordinator].host;
    struct rj_find_coordinator_response_coordinator found = {RJ_STRING("g"), sim->coordinator, host, 9092, 0,
                                                             RJ_NULL_STRING, NULL};
    rj_message_init(&rj_find_coordinator_response_schema, &response);
    if (message->version >= 4) {
        response.coordinators.items = &found;
        response.coordinators.count = 1;
    } else {
        response.node_id = sim->coordinator;
        response.host = host;
        response.port = 9092;
    }
    reply(sim, message->link, message->correlation_id, message->api_key, message->version, &response);
}

static void answer_list_offsets(struct sim *sim, struct message *message)
{
    const struct rj_list_offsets_request *asked = message->body;
    struct rj_list_offsets_response response;
    rj_message_init(&rj_list_offsets_response_schema, &response);
    response.topics.count = asked->topics.count;
    response.topics.items =
        rj_arena_alloc(&message->arena, (size_t)(asked->topics.count + 1) * sizeof *response.topics.items);
    for (int32_t t = 0; t < asked->topics.count; t++) {
        struct rj_list_offsets_response_list_offsets_partition_response *partition =
            rj_arena_alloc(&message->arena, sizeof *partition);
        memset(partition, 0, sizeof *partition);
        partition->partition_index = asked->topics.items[t].partitions.items[0].partition_index;
        partition->leader_epoch = -1;
        response.topics.items[t] = (struct rj_list_offsets_response_list_offsets_topic_response){
            asked->topics.items[t].name, {partition, 1}, NULL};
    }
    reply(sim, message->link, message->correlation_id, message->api_key, message->version, &response);
}

static void produce(struct sim *sim)
{
    while (sim->produce_rate > 0 && sim->produced_ms < sim->now_ms) {
        sim->produced_ms += 1000 / sim->produce_rate;
        sim->end_offset[sim_random(sim, (uint32_t)sim->topic.partition_count)]++;
    }
}

/* "Records" are the number of the offset behind them. Empty answers wait as long as the client asked for. */
static bool answer_fetch(struct sim *sim, struct message *message, bool even_empty)
{
    const struct rj_fetch_request *asked = message->body;
    struct rj_fetch_response response;
    struct rj_fetch_response_partition_data data[SIM_PARTITIONS_MAX];
    struct rj_fetch_response_fetchable_topic_response topic = {.topic = sim->topic_name};
    static uint8_t numbers[SIM_PARTITIONS_MAX][8];
    rj_message_init(&rj_fetch_response_schema, &response);
    produce(sim);
    for (int32_t i = 0; asked->topics.count > 0 && i < asked->topics.items[0].partitions.count; i++) {
        const struct rj_fetch_request_fetch_partition *partition = &asked->topics.items[0].partitions.items[i];
        int64_t end = sim->end_offset[partition->partition];
        if (end <= partition->fetch_offset)
            continue;
        if (end > partition->fetch_offset + 20)
            end = partition->fetch_offset + 20;
        struct rj_fetch_response_partition_data *item = &data[topic.partitions.count];
        memset(item, 0, sizeof *item);
        item->partition_index = partition->partition;
        item->aborted_transactions.count = -1;
        item->preferred_read_replica = -1;
        for (int b = 0; b < 8; b++)
            numbers[topic.partitions.count][b] = (uint8_t)(end >> 8 * b);
        item->records = (struct rj_bytes){numbers[topic.partitions.count++], 8};
    }
    if (topic.partitions.count == 0 && !even_empty)
        return false;
    topic.partitions.items = data;
    response.responses.items = &topic;
    response.responses.count = topic.partitions.count > 0;
    reply(sim, message->link, message->correlation_id, message->api_key, message->version, &response);
    return true;
}

/* true: the message is kept. */
static bool take_request(struct sim *sim, struct message *message)
{
    struct link *link = &sim->links[message->link];
    if (!link->is_open)
        return false;
    if (link->is_busy) {
        struct message **end = &link->waiting;
        while (*end != NULL)
            end = &(*end)->next;
        message->next = NULL;
        *end = message;
        return true;
    }
    switch (message->api_key) {
    case RJ_API_API_VERSIONS:
        answer_versions(sim, message);
        break;
    case RJ_API_METADATA:
        answer_metadata(sim, message);
        break;
    case RJ_API_FIND_COORDINATOR:
        answer_find(sim, message);
        break;
    case RJ_API_LIST_OFFSETS:
        answer_list_offsets(sim, message);
        break;
    case RJ_API_FETCH:
        if (answer_fetch(sim, message, false))
            break;
        link->is_busy = true;
        message->kind = MESSAGE_EMPTY_FETCH;
        enqueue(sim, message, sim->now_ms + ((const struct rj_fetch_request *)message->body)->max_wait_ms);
        return true;
    default:
        if (link->broker == sim->coordinator)
            ask_coordinator(sim, message);
        else
            refuse_as_not_coordinator(sim, message);
    }
    return false;
}

/* ---- Consumers --------------------------------------------------------------------------------------------------- */

static void step_consumer(struct sim *sim, int number, struct rj_consumer_event event);

static int find_link(const struct sim *sim, int consumer, uint32_t connection_id)
{
    for (int i = sim->link_count - 1; i >= 0; i--)
        if (sim->links[i].consumer == consumer && sim->links[i].connection_id == connection_id)
            return i;
    return -1;
}

static void shut_link(struct sim *sim, int at, bool tell_consumer)
{
    struct link *link = &sim->links[at];
    if (!link->is_open)
        return;
    link->is_open = false;
    while (link->waiting != NULL) {
        struct message *message = link->waiting;
        link->waiting = message->next;
        free_message(message);
    }
    step_broker(sim, link->broker, (struct rj_event){.type = RJ_EVENT_DISCONNECT,
                                                     .as.disconnect = {(uint64_t)at}});
    if (tell_consumer)
        to_consumer(sim, new_message(MESSAGE_DISCONNECTED, at));
}

static int broker_of(const struct sim *sim, struct rj_string host)
{
    for (int b = 0; b < sim->config.brokers; b++)
        if (rj_string_equal(sim->addresses[b].host, host))
            return b;
    assert(false);
    return 0;
}

static void connect(struct sim *sim, int number, const struct rj_consumer_action *action)
{
    assert(sim->link_count < LINKS_MAX);
    int at = sim->link_count++;
    sim->links[at] = (struct link){.consumer = number,
                                   .connection_id = action->as.connect.connection_id,
                                   .broker = broker_of(sim, action->as.connect.host),
                                   .is_open = true,
                                   .is_coordinator = action->as.connect.role == RJ_CONNECTION_COORDINATOR};
    to_consumer(sim, new_message(MESSAGE_CONNECTED, at));
}

static void send(struct sim *sim, int number, const struct rj_consumer_action *action)
{
    int at = find_link(sim, number, action->as.send.connection_id);
    sim->clients[number].requests[action->as.send.api_key]++;
    if (at < 0 || !sim->links[at].is_open)
        return;
    struct message *message = new_message(MESSAGE_REQUEST, at);
    message->correlation_id = action->as.send.correlation_id;
    message->api_key = action->as.send.api_key;
    message->version = action->as.send.version;
    message->body = copy_body(message, rj_request_schema(message->api_key), action->as.send.body);
    to_broker(sim, message);
}

static uint32_t bits(const struct rj_consumer_action *action)
{
    uint32_t set = 0;
    for (int32_t i = 0; i < action->as.partitions.partition_count; i++)
        set |= 1u << action->as.partitions.partitions[i].partition;
    return set;
}

/* Two members of one generation never own one partition. */
static void take_assigned(struct sim *sim, int number, const struct rj_consumer_action *action)
{
    struct client *client = &sim->clients[number];
    client->owned |= bits(action);
    client->generation_id = action->as.partitions.generation_id;
    client->rebalance_count++;
    for (int i = 0; i < sim->client_count; i++) {
        const struct client *other = &sim->clients[i];
        /* A replaced static member learns of it with its next heartbeat. */
        bool replaced = !rj_string_is_null(client->config.instance_id) &&
                        rj_string_equal(client->config.instance_id, other->config.instance_id);
        bool clash = i != number && other->is_live && other->generation_id == client->generation_id && !replaced &&
                     (other->owned & client->owned) != 0;
        if (!clash)
            continue;
        fprintf(stderr, "seed %llu, %lld ms: consumers %d and %d both own %x in generation %d\n",
                (unsigned long long)sim->config.seed, (long long)sim->now_ms, number, i, other->owned & client->owned,
                client->generation_id);
        abort();
    }
}

static void take_committed(struct sim *sim, const struct rj_consumer_action *action)
{
    for (int32_t i = 0; i < action->as.partitions.partition_count; i++)
        if (action->as.partitions.partitions[i].error_code == 0)
            sim->committed[action->as.partitions.partitions[i].partition] =
                action->as.partitions.partitions[i].offset;
}

static struct rj_consumer_offset take_records(struct sim *sim, const struct rj_consumer_action *action)
{
    int64_t end = 0;
    int32_t partition = action->as.records.partition;
    for (int b = 0; b < 8; b++)
        end |= (int64_t)action->as.records.records.data[b] << 8 * b;
    if (action->as.records.fetch_offset > sim->consumed[partition])
        sim->gap_count += action->as.records.fetch_offset - sim->consumed[partition];
    if (end > sim->consumed[partition])
        sim->consumed[partition] = end;
    return (struct rj_consumer_offset){sim->topic_name, partition, end, -1, RJ_NULL_STRING};
}

static void take_action(struct sim *sim, int number, const struct rj_consumer_action *action)
{
    struct client *client = &sim->clients[number];
    int at;
    switch (action->type) {
    case RJ_CONSUMER_CONNECT:
        connect(sim, number, action);
        break;
    case RJ_CONSUMER_DISCONNECT:
        at = find_link(sim, number, action->as.disconnect.connection_id);
        if (at >= 0)
            shut_link(sim, at, false);
        break;
    case RJ_CONSUMER_SEND:
        send(sim, number, action);
        break;
    case RJ_CONSUMER_ASSIGNED:
        take_assigned(sim, number, action);
        break;
    case RJ_CONSUMER_LOST:
        client->lost_count++;
        client->owned &= ~bits(action);
        break;
    case RJ_CONSUMER_REVOKED:
        client->owned &= ~bits(action);
        break;
    case RJ_CONSUMER_COMMITTED:
        take_committed(sim, action);
        break;
    case RJ_CONSUMER_ERROR:
        if (action->as.error.is_fatal)
            client->fatal_error = action->as.error.error_code;
        break;
    case RJ_CONSUMER_CLOSED:
        client->is_closed = true;
        client->is_live = false;
        break;
    case RJ_CONSUMER_RECORDS:
        break;
    }
}

static void step_consumer(struct sim *sim, int number, struct rj_consumer_event event)
{
    struct client *client = &sim->clients[number];
    struct rj_consumer_update update;
    struct rj_consumer_offset consumed[SIM_PARTITIONS_MAX];
    int consumed_count = 0;
    event.now_ms = sim->now_ms;
    event.entropy = entropy(sim);
    enum rj_err err = rj_consumer_step(client->consumer, &event, &update);
    assert(err == RJ_OK);
    (void)err;
    for (int32_t i = 0; i < update.action_count; i++) {
        take_action(sim, number, &update.actions[i]);
        if (update.actions[i].type == RJ_CONSUMER_RECORDS)
            consumed[consumed_count++] = take_records(sim, &update.actions[i]);
    }
    for (int i = 0; i < consumed_count; i++)
        step_consumer(sim, number, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CONSUMED,
                                                              .as.consumed = consumed[i]});
}

static void deliver(struct sim *sim, struct message *message)
{
    struct link *link = &sim->links[message->link];
    struct rj_consumer_event event = {.type = RJ_CONSUMER_EVENT_TICK};
    if (message->kind == MESSAGE_REQUEST) {
        if (!take_request(sim, message))
            free_message(message);
        return;
    }
    if (message->kind == MESSAGE_EMPTY_FETCH) {
        if (link->is_open)
            answer_fetch(sim, message, true);
        free_message(message);
        return;
    }
    if (message->kind == MESSAGE_RESPONSE && link->is_open && sim->lose_one_in > 0 &&
        sim_random(sim, sim->lose_one_in) == 0)
        shut_link(sim, message->link, true);
    bool reaches = sim->clients[link->consumer].is_live && (link->is_open || message->kind == MESSAGE_DISCONNECTED);
    if (message->kind == MESSAGE_CONNECTED) {
        event.type = RJ_CONSUMER_EVENT_CONNECTED;
        event.as.connected.connection_id = link->connection_id;
    } else if (message->kind == MESSAGE_DISCONNECTED) {
        event.type = RJ_CONSUMER_EVENT_DISCONNECTED;
        event.as.disconnected.connection_id = link->connection_id;
    } else {
        event.type = RJ_CONSUMER_EVENT_RESPONSE;
        event.as.response.connection_id = link->connection_id;
        event.as.response.correlation_id = message->correlation_id;
        event.as.response.api_key = message->api_key;
        event.as.response.version = message->version;
        event.as.response.body = message->body;
    }
    if (reaches)
        step_consumer(sim, link->consumer, event);
    free_message(message);
}

/* ---- The run ----------------------------------------------------------------------------------------------------- */

static int64_t next_ms(const struct sim *sim)
{
    int64_t next = sim->queue != NULL ? sim->queue->at_ms : INT64_MAX;
    for (int b = 0; b < sim->config.brokers; b++)
        if (rj_next_deadline_ms(sim->brokers[b].coord) < next)
            next = rj_next_deadline_ms(sim->brokers[b].coord);
    for (int i = 0; i < sim->client_count; i++) {
        const struct client *client = &sim->clients[i];
        if (!client->is_live)
            continue;
        if (rj_consumer_next_deadline_ms(client->consumer) < next)
            next = rj_consumer_next_deadline_ms(client->consumer);
        if (!client->is_paused && client->polled_ms + 1000 < next)
            next = client->polled_ms + 1000;
    }
    return next;
}

static void poll_consumers(struct sim *sim)
{
    for (int i = 0; i < sim->client_count; i++) {
        struct client *client = &sim->clients[i];
        if (client->is_live && rj_consumer_next_deadline_ms(client->consumer) <= sim->now_ms)
            step_consumer(sim, i, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
        if (client->is_live && !client->is_paused && client->polled_ms + 1000 <= sim->now_ms) {
            client->polled_ms = sim->now_ms;
            step_consumer(sim, i, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_POLL});
        }
    }
}

void sim_run(struct sim *sim, int64_t ms)
{
    int64_t end_ms = sim->now_ms + ms, steps_at_once = 0;
    while (next_ms(sim) <= end_ms) {
        int64_t next = next_ms(sim);
        steps_at_once = next > sim->now_ms ? 0 : steps_at_once + 1;
        if (steps_at_once > 10000) {
            fprintf(stderr, "seed %llu: time stands still at %lld ms\n", (unsigned long long)sim->config.seed,
                    (long long)sim->now_ms);
            abort();
        }
        if (next > sim->now_ms)
            sim->now_ms = next;
        while (sim->queue != NULL && sim->queue->at_ms <= sim->now_ms) {
            struct message *message = sim->queue;
            sim->queue = message->next;
            deliver(sim, message);
        }
        for (int b = 0; b < sim->config.brokers; b++)
            if (rj_next_deadline_ms(sim->brokers[b].coord) <= sim->now_ms)
                step_broker(sim, b, (struct rj_event){.type = RJ_EVENT_TICK});
        poll_consumers(sim);
    }
    sim->now_ms = end_ms;
}

int64_t sim_now_ms(const struct sim *sim) { return sim->now_ms; }

struct sim *sim_create(const struct sim_config *config)
{
    struct sim *sim = calloc(1, sizeof *sim);
    struct rj_limits limits;
    struct rj_config coordinator;
    assert(sim != NULL);
    sim->config = *config;
    sim->random = config->seed * 0x2545f4914f6cdd1d + 1;
    sim->now_ms = sim->produced_ms = 1000000;
    sim->log_end = &sim->log;
    rj_arena_init(&sim->log_arena, &test_heap, SIZE_MAX);
    sim->topic_name = RJ_STRING("t");
    sim->topic = (struct rj_topic){sim->topic_name, {{1}}, config->partitions};
    sim->topics = (struct rj_topic_table){&sim->topic, 1};
    rj_limits_init(&limits);
    rj_config_init(&coordinator);
    if (config->release != NULL)
        rj_config_for_release(&coordinator, (struct rj_string){config->release, (int32_t)strlen(config->release)});
    coordinator.group_initial_rebalance_delay_ms = config->initial_rebalance_delay_ms;
    coordinator.group_min_session_timeout_ms = 1;
    for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
        sim->committed[p] = -1;
    for (int b = 0; b < config->brokers; b++) {
        sim->addresses[b] = (struct rj_consumer_bootstrap){{hosts[b], 2}, 9092};
        rj_coord_create(&sim->brokers[b].coord, &test_heap, &limits, &coordinator);
        step_broker(sim, b, (struct rj_event){.type = RJ_EVENT_TOPIC_METADATA, .as.topic_metadata = {&sim->topics}});
    }
    return sim;
}

void sim_destroy(struct sim *sim)
{
    for (int i = 0; i < sim->client_count; i++)
        rj_consumer_destroy(sim->clients[i].consumer);
    for (int b = 0; b < sim->config.brokers; b++)
        rj_coord_destroy(sim->brokers[b].coord);
    for (int i = 0; i < sim->link_count; i++)
        while (sim->links[i].waiting != NULL) {
            struct message *message = sim->links[i].waiting;
            sim->links[i].waiting = message->next;
            free_message(message);
        }
    while (sim->queue != NULL) {
        struct message *message = sim->queue;
        sim->queue = message->next;
        free_message(message);
    }
    rj_arena_release(&sim->log_arena);
    free(sim);
}

void sim_consumer_config(struct sim *sim, struct rj_consumer_config *config)
{
    rj_consumer_config_init(config);
    config->bootstrap = sim->addresses;
    config->bootstrap_count = sim->config.brokers;
    config->group_id = RJ_STRING("g");
    config->topics = (struct rj_string_array){&sim->topic_name, 1};
    config->session_timeout_ms = 10000;
    config->heartbeat_interval_ms = 1000;
    config->max_poll_interval_ms = 30000;
    config->request_timeout_ms = 5000;
    config->metadata_max_age_ms = 5000;
    config->auto_offset_reset = RJ_OFFSET_RESET_EARLIEST;
}

int sim_start_consumer(struct sim *sim, const struct rj_consumer_config *config)
{
    int number = sim->client_count++;
    assert(number < SIM_CONSUMERS_MAX);
    struct client *client = &sim->clients[number];
    client->config = *config;
    client->is_live = true;
    client->polled_ms = sim->now_ms;
    enum rj_err err = rj_consumer_create(&client->consumer, &test_heap, config);
    assert(err == RJ_OK);
    (void)err;
    step_consumer(sim, number, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
    return number;
}

void sim_close_consumer(struct sim *sim, int consumer)
{
    sim->clients[consumer].is_closing = true;
    step_consumer(sim, consumer, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
}

void sim_kill_consumer(struct sim *sim, int consumer)
{
    sim->clients[consumer].is_live = false;
    sim->clients[consumer].owned = 0;
    for (int i = 0; i < sim->link_count; i++)
        if (sim->links[i].consumer == consumer)
            shut_link(sim, i, false);
}

void sim_pause_polling(struct sim *sim, int consumer, bool paused)
{
    sim->clients[consumer].is_paused = paused;
}

void sim_break_connections(struct sim *sim, int consumer, bool of_coordinator_only)
{
    for (int i = 0; i < sim->link_count; i++)
        if (sim->links[i].consumer == consumer && (sim->links[i].is_coordinator || !of_coordinator_only))
            shut_link(sim, i, true);
}

void sim_lose_answers(struct sim *sim, uint32_t one_in) { sim->lose_one_in = one_in; }

static void load_record(struct sim *sim, int broker, const struct rj_offsets_record *record)
{
    struct rj_arena arena;
    struct rj_offsets_record loaded = *record;
    rj_arena_init(&arena, &test_heap, SIZE_MAX);
    if (record->record_type == 2 && record->value != NULL) {
        const struct rj_group_metadata_value *value = record->value;
        struct rj_bytes *items = rj_arena_alloc(&arena, (size_t)(value->members.count + 1) * sizeof *items);
        for (int32_t i = 0; i < value->members.count; i++)
            items[i] = value->members.items[i].subscription;
        loaded.subscriptions = decode_views(&arena, items, value->members.count);
    }
    step_broker(sim, broker, (struct rj_event){.type = RJ_EVENT_LOAD_RECORD, .as.load_record = {loaded, -1, 0}});
    rj_arena_release(&arena);
}

void sim_move_coordinator(struct sim *sim, int broker)
{
    int old = sim->coordinator;
    if (old == broker)
        return;
    sim->coordinator = broker;
    step_broker(sim, old, (struct rj_event){.type = RJ_EVENT_UNLOAD});
    step_broker(sim, broker, (struct rj_event){.type = RJ_EVENT_LOAD_BEGIN});
    for (const struct logged *logged = sim->log; logged != NULL; logged = logged->next)
        load_record(sim, broker, &logged->record);
    step_broker(sim, broker, (struct rj_event){.type = RJ_EVENT_LOAD_END});
}

void sim_add_partitions(struct sim *sim, int32_t count)
{
    sim->topic.partition_count += count;
    for (int b = 0; b < sim->config.brokers; b++)
        step_broker(sim, b, (struct rj_event){.type = RJ_EVENT_TOPIC_METADATA, .as.topic_metadata = {&sim->topics}});
}

void sim_produce(struct sim *sim, int32_t records_per_second)
{
    produce(sim);
    sim->produce_rate = records_per_second;
    sim->produced_ms = sim->now_ms;
}

/* ---- Questions --------------------------------------------------------------------------------------------------- */

const struct rj_consumer *sim_consumer(const struct sim *sim, int consumer) { return sim->clients[consumer].consumer; }
uint32_t sim_owned(const struct sim *sim, int consumer) { return sim->clients[consumer].owned; }
int sim_rebalance_count(const struct sim *sim, int consumer) { return sim->clients[consumer].rebalance_count; }
int sim_lost_count(const struct sim *sim, int consumer) { return sim->clients[consumer].lost_count; }
int16_t sim_fatal_error(const struct sim *sim, int consumer) { return sim->clients[consumer].fatal_error; }
bool sim_is_closed(const struct sim *sim, int consumer) { return sim->clients[consumer].is_closed; }
struct rj_string sim_instance_id(const struct sim *sim, int consumer)
{
    return sim->clients[consumer].config.instance_id;
}

bool sim_has_instance(const struct sim *sim, struct rj_string instance_id)
{
    for (int i = 0; i < sim->client_count; i++)
        if (sim->clients[i].is_live && rj_string_equal(sim->clients[i].config.instance_id, instance_id))
            return true;
    return false;
}

bool sim_is_live(const struct sim *sim, int consumer)
{
    return sim->clients[consumer].is_live && !sim->clients[consumer].is_closing;
}

int64_t sim_committed(const struct sim *sim, int32_t partition) { return sim->committed[partition]; }
int64_t sim_consumed(const struct sim *sim, int32_t partition) { return sim->consumed[partition]; }
int64_t sim_gap_count(const struct sim *sim) { return sim->gap_count; }

int sim_count_owned(const struct sim *sim, int consumer)
{
    int count = 0;
    for (uint32_t set = sim->clients[consumer].owned; set != 0; set &= set - 1)
        count++;
    return count;
}

int sim_requests(const struct sim *sim, int consumer, int16_t api_key)
{
    return sim->clients[consumer].requests[api_key];
}

bool sim_is_settled(const struct sim *sim, char *why, size_t why_len)
{
    uint32_t all = 0;
    int32_t generation_id = -1;
    for (int i = 0; i < sim->client_count; i++) {
        const struct client *client = &sim->clients[i];
        if (!client->is_live)
            continue;
        int32_t its = rj_consumer_generation_id(client->consumer);
        enum rj_consumer_state state = rj_consumer_state(client->consumer);
        if (state != RJ_CONSUMER_STABLE) {
            snprintf(why, why_len, "consumer %d is %s, fatal error %d", i, rj_consumer_state_name(state),
                     client->fatal_error);
            return false;
        }
        if (generation_id != -1 && its != generation_id) {
            snprintf(why, why_len, "consumer %d is in generation %d, another in %d", i, its, generation_id);
            return false;
        }
        if ((all & client->owned) != 0) {
            snprintf(why, why_len, "consumer %d owns %x, which others own too", i, all & client->owned);
            return false;
        }
        generation_id = its;
        all |= client->owned;
    }
    if (all != (1u << sim->topic.partition_count) - 1) {
        snprintf(why, why_len, "partitions %x of %d are owned", all, sim->topic.partition_count);
        return false;
    }
    return true;
}
