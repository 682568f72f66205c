#include "capture/replay_state.h"

#include "capture/text.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* The broker starts a timer a little after the packet that causes it was captured, and answers a little after a timer
 * ended: within this time of a deadline what the broker answered says which came first. */
enum { TIMER_SLACK_MS = 60 };

void *replay_grow(void *items, size_t count, size_t item_size)
{
    if ((count & (count + 1)) == 0) /* 0, 1, 3, 7: the room doubles */
        items = rejoin_realloc(items, (count + 1) * 2 * item_size);
    return items;
}

struct replay *replay_create(const struct replay_options *options)
{
    struct replay *replay = rejoin_alloc_zeroed(1, sizeof(*replay));
    replay->options = *options;
    rj_arena_init(&replay->arena, &rejoin_heap, SIZE_MAX);
    return replay;
}

/* ---- Recording --------------------------------------------------------------------------------------------------- */

static bool is_for_core(int16_t api_key)
{
    switch (api_key) {
    case RJ_API_JOIN_GROUP: case RJ_API_SYNC_GROUP: case RJ_API_HEARTBEAT: case RJ_API_LEAVE_GROUP:
    case RJ_API_OFFSET_COMMIT: case RJ_API_OFFSET_FETCH: case RJ_API_DESCRIBE_GROUPS: case RJ_API_DELETE_GROUPS:
    case RJ_API_OFFSET_DELETE:
        return true;
    default:
        return false;
    }
}

/* The one group that a request is about; false: none, or several. */
static bool group_id_of(const struct capture_exchange *exchange, struct rj_string *id)
{
    switch (exchange->api_key) {
    case RJ_API_JOIN_GROUP: *id = ((const struct rj_join_group_request *)exchange->request)->group_id; return true;
    case RJ_API_SYNC_GROUP: *id = ((const struct rj_sync_group_request *)exchange->request)->group_id; return true;
    case RJ_API_HEARTBEAT: *id = ((const struct rj_heartbeat_request *)exchange->request)->group_id; return true;
    case RJ_API_LEAVE_GROUP: *id = ((const struct rj_leave_group_request *)exchange->request)->group_id; return true;
    case RJ_API_OFFSET_COMMIT:
        *id = ((const struct rj_offset_commit_request *)exchange->request)->group_id;
        return true;
    case RJ_API_OFFSET_DELETE:
        *id = ((const struct rj_offset_delete_request *)exchange->request)->group_id;
        return true;
    case RJ_API_OFFSET_FETCH: {
        const struct rj_offset_fetch_request *body = exchange->request;
        *id = exchange->version < 8 ? body->group_id :
              body->groups.count == 1 ? body->groups.items[0].group_id : RJ_NULL_STRING;
        return id->data != NULL;
    }
    case RJ_API_DESCRIBE_GROUPS: {
        const struct rj_describe_groups_request *body = exchange->request;
        *id = body->groups.count == 1 ? body->groups.items[0] : RJ_NULL_STRING;
        return id->data != NULL;
    }
    case RJ_API_DELETE_GROUPS: {
        const struct rj_delete_groups_request *body = exchange->request;
        *id = body->groups_names.count == 1 ? body->groups_names.items[0] : RJ_NULL_STRING;
        return id->data != NULL;
    }
    default:
        return false;
    }
}

static struct replay_group *group_of(struct replay *replay, struct rj_string id)
{
    for (size_t i = 0; i < replay->group_count; i++)
        if (strlen(replay->groups[i]->id) == (size_t)id.len &&
            memcmp(replay->groups[i]->id, id.data, (size_t)id.len) == 0)
            return replay->groups[i];
    replay->groups = replay_grow(replay->groups, replay->group_count, sizeof(replay->groups[0]));
    struct replay_group *group = rejoin_alloc_zeroed(1, sizeof(*group));
    group->id = text_of(id);
    group->inferred_delay_ms = -1;
    return replay->groups[replay->group_count++] = group;
}

static void add_event(struct replay *replay, enum replay_event_kind kind, struct replay_exchange *exchange,
                      uint64_t stream, int64_t time_ms)
{
    replay->events = replay_grow(replay->events, replay->event_count, sizeof(replay->events[0]));
    replay->events[replay->event_count++] = (struct replay_event){kind, exchange, stream, time_ms};
}

static struct replay_lane *lane_of(struct replay *replay, uint64_t stream)
{
    while (replay->lane_count <= stream) {
        replay->lanes = replay_grow(replay->lanes, replay->lane_count, sizeof(replay->lanes[0]));
        replay->lanes[replay->lane_count++] = (struct replay_lane){0};
    }
    return &replay->lanes[stream];
}

static void *copy_body(struct replay_exchange *exchange, const struct rj_message_schema *schema, const void *body)
{
    void *copy = body ? rj_arena_alloc(&exchange->arena, schema->root->size) : NULL;
    if (copy == NULL || rj_copy_message(schema, body, &exchange->arena, copy) != RJ_OK)
        return NULL;
    return copy;
}

static void on_request(void *context, struct capture_exchange *seen)
{
    struct replay *replay = context;
    struct replay_exchange *exchange = rejoin_alloc_zeroed(1, sizeof(*exchange));
    struct rj_string id;
    bool ok = true;
    rj_arena_init(&exchange->arena, &rejoin_heap, SIZE_MAX);
    exchange->stream = seen->stream->id;
    exchange->api_key = seen->api_key;
    exchange->version = seen->version;
    exchange->correlation_id = seen->correlation_id;
    exchange->client_id = rj_arena_copy_string(&exchange->arena, seen->client_id, &ok);
    exchange->client_host = text_host(seen->stream->client);
    exchange->request_frame = seen->request_frame;
    exchange->request_ms = seen->request_time_us / 1000;
    exchange->expects_answer = !(seen->api_key == RJ_API_PRODUCE && seen->request != NULL &&
                                 ((const struct rj_produce_request *)seen->request)->acks == 0);
    if (seen->request != NULL && is_for_core(seen->api_key)) {
        exchange->request = copy_body(exchange, rj_request_schema(seen->api_key), seen->request);
        if (group_id_of(seen, &id))
            exchange->group = group_of(replay, id);
    }
    if (seen->request != NULL && seen->api_key == RJ_API_CONSUMER_GROUP_HEARTBEAT)
        group_of(replay, ((const struct rj_consumer_group_heartbeat_request *)seen->request)->group_id)
            ->is_consumer = true;
    replay->exchanges = replay_grow(replay->exchanges, replay->exchange_count, sizeof(replay->exchanges[0]));
    replay->exchanges[replay->exchange_count++] = exchange;
    seen->sink_data = exchange;
    struct replay_lane *lane = lane_of(replay, exchange->stream);
    lane->items = replay_grow(lane->items, lane->count, sizeof(lane->items[0]));
    lane->items[lane->count++] = exchange;
    add_event(replay, REPLAY_REQUEST, exchange, exchange->stream, exchange->request_ms);
}

static int16_t captured_error(const struct replay_exchange *exchange)
{
    if (exchange->response == NULL)
        return RJ_KAFKA_NONE;
    if (exchange->api_key == RJ_API_HEARTBEAT)
        return ((const struct rj_heartbeat_response *)exchange->response)->error_code;
    if (exchange->api_key == RJ_API_SYNC_GROUP)
        return ((const struct rj_sync_group_response *)exchange->response)->error_code;
    if (exchange->api_key == RJ_API_JOIN_GROUP)
        return ((const struct rj_join_group_response *)exchange->response)->error_code;
    if (exchange->api_key == RJ_API_LEAVE_GROUP)
        return ((const struct rj_leave_group_response *)exchange->response)->error_code;
    if (exchange->api_key == RJ_API_OFFSET_COMMIT) {
        const struct rj_offset_commit_response *body = exchange->response;
        return body->topics.count > 0 && body->topics.items[0].partitions.count > 0 ?
               body->topics.items[0].partitions.items[0].error_code : RJ_KAFKA_NONE;
    }
    if (exchange->api_key == RJ_API_OFFSET_FETCH) {
        const struct rj_offset_fetch_response *body = exchange->response;
        return body->groups.count > 0 ? body->groups.items[0].error_code : body->error_code;
    }
    return RJ_KAFKA_NONE;
}


static void on_response(void *context, struct capture_exchange *seen)
{
    struct replay *replay = context;
    struct replay_exchange *exchange = seen->sink_data;
    if (exchange == NULL)
        return;
    exchange->captured_answer = true;
    exchange->response_frame = seen->response_frame;
    exchange->response_ms = seen->response_time_us / 1000;
    if (seen->response != NULL && (exchange->group != NULL || seen->api_key == RJ_API_METADATA))
        exchange->response = copy_body(exchange, rj_response_schema(seen->api_key), seen->response);
    int16_t error = exchange->group ? captured_error(exchange) : RJ_KAFKA_NONE;
    exchange->unavailable = error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
                            error == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE || error == RJ_KAFKA_NOT_COORDINATOR;
    add_event(replay, REPLAY_RESPONSE, exchange, exchange->stream, exchange->response_ms);
}

static void on_closed(void *context, struct capture_stream *stream, uint64_t frame, int64_t time_us)
{
    (void)frame;
    add_event(context, REPLAY_CLOSED, NULL, stream->id, time_us / 1000);
}

struct capture_sink replay_sink(struct replay *replay)
{
    return (struct capture_sink){.context = replay, .request = on_request, .response = on_response,
                                 .closed = on_closed};
}

/* ---- The core's side --------------------------------------------------------------------------------------------- */

/* The generation that comes next after a frame: what the broker chose for it at random is pinned. */
static void pin_generation(const struct replay_group *group, uint64_t frame, struct rj_pins *pins)
{
    for (size_t i = 0; i < group->generation_count; i++)
        if (group->generations[i].first_frame >= frame) {
            pins->leader = group->generations[i].leader;
            pins->protocol_name = group->generations[i].protocol;
            return;
        }
}

static struct replay_exchange *waiting_for(struct replay *replay, uint64_t stream, int32_t correlation_id)
{
    struct replay_lane *lane = lane_of(replay, stream);
    for (size_t i = lane->next; i-- > 0;)
        if (lane->items[i]->correlation_id == correlation_id)
            return lane->items[i];
    return NULL;
}

static void step(struct replay *replay, struct replay_group *group, struct rj_event *event);

/* Keeps the core's replies; records that it wants to write are written at once. */
static void take_update(struct replay *replay, struct replay_group *group, const struct rj_update *update)
{
    int32_t append_count = update->append_count;
    uint64_t *append_ids = rejoin_alloc((size_t)(append_count + 1) * sizeof(append_ids[0]));
    for (int32_t i = 0; i < append_count; i++)
        append_ids[i] = update->appends[i].append_id;
    for (int32_t i = 0; i < update->reply_count; i++) {
        const struct rj_reply *reply = &update->replies[i];
        struct replay_exchange *exchange = waiting_for(replay, reply->connection_id, reply->correlation_id);
        if (exchange == NULL || exchange->reply != NULL)
            continue;
        exchange->reply = copy_body(exchange, rj_response_schema(reply->api_key), reply->body);
        exchange->rule = reply->rule;
    }
    for (int32_t i = 0; i < append_count; i++) {
        struct rj_event event = {.type = RJ_EVENT_APPEND_RESULT, .as.append_result = {append_ids[i], 0}};
        step(replay, group, &event);
    }
    free(append_ids);
}

static void step(struct replay *replay, struct replay_group *group, struct rj_event *event)
{
    struct rj_update update;
    event->now_ms = replay->now_ms;
    if (rj_step(group->coord, event, &update) == RJ_OK)
        take_update(replay, group, &update);
}

static void advance_to(struct replay *replay, int64_t time_ms)
{
    if (time_ms > replay->now_ms)
        replay->now_ms = time_ms;
}

/* Fires what is due up to a time, one deadline after the other. */
static void tick(struct replay *replay, struct replay_group *group, uint64_t frame, int64_t until_ms)
{
    int64_t deadline_ms;
    for (int turns = 0; turns < 1000 && (deadline_ms = rj_next_deadline_ms(group->coord)) <= until_ms; turns++) {
        struct rj_pins pins = {RJ_NULL_STRING, RJ_NULL_STRING, RJ_NULL_STRING};
        struct rj_event event = {.type = RJ_EVENT_TICK, .pins = &pins};
        pin_generation(group, frame, &pins);
        advance_to(replay, deadline_ms);
        step(replay, group, &event);
    }
}

static const struct rj_subscription_views *read_subscriptions(struct replay_exchange *exchange,
                                                              struct rj_subscription_views *views)
{
    const struct rj_join_group_request *body = exchange->request;
    if (exchange->api_key != RJ_API_JOIN_GROUP || !rj_string_equal(body->protocol_type, RJ_STRING("consumer")))
        return NULL;
    const struct rj_consumer_protocol_subscription **items =
        rj_arena_alloc(&exchange->arena, (size_t)(body->protocols.count + 1) * sizeof(items[0]));
    for (int32_t i = 0; i < body->protocols.count; i++) {
        struct rj_bytes bytes = body->protocols.items[i].metadata;
        struct rj_consumer_protocol_subscription *one = rj_arena_alloc(&exchange->arena, sizeof(*one));
        const struct rj_message_schema *schema = &rj_consumer_protocol_subscription_schema;
        size_t consumed;
        int16_t version = bytes.len >= 2 ? (int16_t)(bytes.data[0] << 8 | bytes.data[1]) : -1;
        if (version > schema->versions.high)
            version = schema->versions.high;
        bool good = version >= 0 && rj_decode_prefix(schema, version, (struct rj_bytes){bytes.data + 2, bytes.len - 2},
                                                     &exchange->arena, one, &consumed, NULL) == RJ_OK;
        items[i] = good ? one : NULL;
    }
    views->items = items;
    return views;
}

static void feed(struct replay *replay, struct replay_exchange *exchange, int64_t time_ms)
{
    struct replay_group *group = exchange->group;
    struct rj_subscription_views views;
    struct rj_pins pins = {RJ_NULL_STRING, RJ_NULL_STRING, RJ_NULL_STRING};
    exchange->fed = true;
    if (group == NULL || group->coord == NULL || exchange->request == NULL || exchange->unavailable)
        return;
    tick(replay, group, exchange->request_frame,
         time_ms - (captured_error(exchange) == RJ_KAFKA_NONE ? TIMER_SLACK_MS : 0));
    advance_to(replay, time_ms);
    pin_generation(group, exchange->request_frame, &pins);
    if (exchange->api_key == RJ_API_JOIN_GROUP && exchange->response != NULL &&
        ((const struct rj_join_group_request *)exchange->request)->member_id.len == 0)
        pins.member_id = ((const struct rj_join_group_response *)exchange->response)->member_id;
    if (pins.member_id.len == 0)
        pins.member_id = RJ_NULL_STRING;
    struct rj_event event = {.type = RJ_EVENT_REQUEST, .pins = &pins};
    memcpy(event.entropy.bytes, &exchange->request_frame, sizeof(exchange->request_frame));
    event.as.request.connection_id = exchange->stream;
    event.as.request.correlation_id = exchange->correlation_id;
    event.as.request.api_key = exchange->api_key;
    event.as.request.version = exchange->version;
    event.as.request.client_id = exchange->client_id.data ? exchange->client_id : RJ_EMPTY_STRING;
    event.as.request.client_host = (struct rj_string){exchange->client_host, (int32_t)strlen(exchange->client_host)};
    event.as.request.body = exchange->request;
    event.as.request.subscriptions = read_subscriptions(exchange, &views);
    step(replay, group, &event);
}

/* Feeds what the broker may have read of a connection by now. */
static void feed_lane(struct replay *replay, uint64_t stream, const struct replay_event *now)
{
    struct replay_lane *lane = lane_of(replay, stream);
    while (lane->next < lane->count) {
        const struct replay_exchange *before = lane->next > 0 ? lane->items[lane->next - 1] : NULL;
        struct replay_exchange *exchange = lane->items[lane->next];
        bool is_muted = before != NULL && before->expects_answer && before->captured_answer && !before->answered;
        if (is_muted || exchange->request_ms > now->time_ms)
            return;
        lane->next++;
        feed(replay, exchange, now->time_ms);
    }
}

static void answered(struct replay *replay, struct replay_exchange *exchange, const struct replay_event *now)
{
    feed_lane(replay, exchange->stream, now);
    exchange->answered = true;
    if (exchange->group == NULL || exchange->group->coord == NULL || exchange->request == NULL)
        return;
    if (exchange->unavailable) {
        replay->unavailable++;
        return;
    }
    if (exchange->reply == NULL) /* a timer of the broker answered it */
        tick(replay, exchange->group, exchange->response_frame, exchange->response_ms);
    if (exchange->reply == NULL)
        tick(replay, exchange->group, exchange->response_frame, exchange->response_ms + TIMER_SLACK_MS);
    replay_compare(replay, exchange);
}

static void closed(struct replay *replay, uint64_t stream, int64_t time_ms)
{
    advance_to(replay, time_ms);
    for (size_t i = 0; i < replay->group_count; i++) {
        struct rj_event event = {.type = RJ_EVENT_DISCONNECT, .as.disconnect = {stream}};
        if (replay->groups[i]->coord != NULL)
            step(replay, replay->groups[i], &event);
    }
}

/* ---- Starting the cores ------------------------------------------------------------------------------------------ */

static void load_record(struct replay *replay, struct replay_group *group, int16_t type, const void *key,
                        const void *value, int16_t value_version)
{
    struct rj_event event = {.type = RJ_EVENT_LOAD_RECORD};
    event.as.load_record.record = (struct rj_offsets_record){type, key, value, value_version, NULL};
    event.as.load_record.producer_id = -1;
    step(replay, group, &event);
}

/* A group that had generations or offsets before the capture began starts from the records that a broker would have. */
static void load_group(struct replay *replay, struct replay_group *group)
{
    struct rj_event begin = {.type = RJ_EVENT_LOAD_BEGIN}, end = {.type = RJ_EVENT_LOAD_END};
    int32_t before = group->generation_count > 0 ? group->generations[0].id - 1 : 0;
    struct rj_string id = {group->id, (int32_t)strlen(group->id)};
    if (before <= 0 && group->seed_count == 0)
        return;
    step(replay, group, &begin);
    if (before > 0) {
        struct rj_group_metadata_key key = {.group = id};
        struct rj_group_metadata_value value;
        rj_message_init(&rj_group_metadata_value_schema, &value);
        value.protocol_type = RJ_STRING("consumer");
        value.generation = before;
        value.protocol = value.leader = RJ_NULL_STRING;
        value.current_state_timestamp = replay->now_ms;
        load_record(replay, group, 2, &key, &value, 3);
    }
    for (size_t i = 0; i < group->seed_count; i++) {
        struct rj_offset_commit_key key = {id, group->seeds[i].topic, group->seeds[i].partition};
        if (!group->seeds[i].settled)
            load_record(replay, group, 1, &key, &group->seeds[i].value, 3);
    }
    step(replay, group, &end);
}

static bool start_core(struct replay *replay, struct replay_group *group, const struct rj_config *config)
{
    struct rj_limits limits;
    struct rj_event topics = {.type = RJ_EVENT_TOPIC_METADATA, .as.topic_metadata = {&replay->topic_table}};
    rj_limits_init(&limits);
    if (rj_coord_create(&group->coord, &rejoin_heap, &limits, config) != RJ_OK)
        return false;
    step(replay, group, &topics);
    load_group(replay, group);
    return true;
}

bool replay_run(struct replay *replay, char *error, size_t error_len)
{
    struct rj_config config;
    const char *version = replay->options.kafka_version;
    if (!rj_config_for_release(&config, (struct rj_string){version, (int32_t)strlen(version)})) {
        snprintf(error, error_len, "--kafka-version %s: expected a release from 0.11 to 4.2", version);
        return false;
    }
    replay_prepare(replay);
    config.group_initial_rebalance_delay_ms = replay->delay_ms;
    replay->now_ms = replay->event_count > 0 ? replay->events[0].time_ms : 0;
    for (size_t i = 0; i < replay->group_count; i++)
        if (!replay->groups[i]->unseen_members && !replay->groups[i]->is_consumer &&
            !start_core(replay, replay->groups[i], &config)) {
            snprintf(error, error_len, "no memory for the core");
            return false;
        }
    for (size_t i = 0; i < replay->event_count; i++) {
        const struct replay_event *event = &replay->events[i];
        if (event->kind == REPLAY_REQUEST)
            feed_lane(replay, event->stream, event);
        else if (event->kind == REPLAY_CLOSED)
            closed(replay, event->stream, event->time_ms);
        else {
            answered(replay, event->exchange, event);
            feed_lane(replay, event->stream, event);
        }
    }
    return true;
}

void replay_destroy(struct replay *replay)
{
    for (size_t i = 0; i < replay->exchange_count; i++) {
        rj_arena_release(&replay->exchanges[i]->arena);
        free(replay->exchanges[i]->client_host);
        free(replay->exchanges[i]);
    }
    for (size_t i = 0; i < replay->group_count; i++) {
        if (replay->groups[i]->coord != NULL)
            rj_coord_destroy(replay->groups[i]->coord);
        free(replay->groups[i]->id);
        free(replay->groups[i]->generations);
        free(replay->groups[i]->seeds);
        free(replay->groups[i]);
    }
    for (size_t i = 0; i < replay->difference_count; i++) {
        free(replay->differences[i].field);
        free(replay->differences[i].broker);
        free(replay->differences[i].core);
    }
    rj_arena_release(&replay->arena);
    for (size_t i = 0; i < replay->lane_count; i++)
        free(replay->lanes[i].items);
    free(replay->lanes);
    free(replay->exchanges);
    free(replay->events);
    free(replay->groups);
    free(replay->topics);
    free(replay->differences);
    free(replay);
}
