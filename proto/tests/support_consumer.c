#include "support_consumer.h"

#include "support_heap.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void scripted_trace(struct scripted *script, const char *format, ...)
{
    size_t len = strlen(script->trace);
    va_list arguments;
    va_start(arguments, format);
    if (len > 0 && len + 1 < sizeof script->trace)
        script->trace[len++] = ',';
    vsnprintf(script->trace + len, sizeof script->trace - len, format, arguments);
    va_end(arguments);
}

void scripted_start(struct scripted *script)
{
    memset(script, 0, sizeof *script);
    memset(script->high, 0xff, sizeof script->high);
    rj_arena_init(&script->arena, &test_heap, SIZE_MAX);
    script->now_ms = 1000;
    script->allocator = &test_heap;
    script->partition_count = 2;
    script->topic = RJ_STRING("t");
    script->topics = (struct rj_string_array){&script->topic, 1};
    script->address = (struct rj_consumer_bootstrap){RJ_STRING("seed"), 9092};
    rj_consumer_config_init(&script->config);
    script->config.bootstrap = &script->address;
    script->config.bootstrap_count = 1;
    script->config.group_id = RJ_STRING("g");
    script->config.topics = script->topics;
    script->config.assignor_count = 1;
    script->config.auto_commit_interval_ms = 0;
}

void scripted_begin(struct scripted *script)
{
    enum rj_err err = rj_consumer_create(&script->consumer, script->allocator, &script->config);
    if (err == RJ_ERR_MEMORY && script->out_of_memory != NULL)
        longjmp(*script->out_of_memory, 1);
    assert(err == RJ_OK);
    scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
}

void scripted_end(struct scripted *script)
{
    rj_consumer_destroy(script->consumer);
    rj_arena_release(&script->arena);
}

static void trace_partitions(struct scripted *script, const char *word, const struct rj_consumer_action *action)
{
    scripted_trace(script, "%s", word);
    for (int32_t i = 0; i < action->as.partitions.partition_count; i++) {
        size_t len = strlen(script->trace);
        snprintf(script->trace + len, sizeof script->trace - len, " %d", action->as.partitions.partitions[i].partition);
    }
}

#define TEXT(string) (string).len > 0 ? (string).len : 1, (string).len > 0 ? (string).data : "-"

static int32_t owned_count(const struct rj_join_group_request *join)
{
    struct rj_consumer_protocol_subscription subscription;
    struct rj_arena arena;
    int32_t count = 0;
    rj_arena_init(&arena, &test_heap, SIZE_MAX);
    if (rj_decode_subscription(join->protocols.items[0].metadata, &arena, &subscription, NULL, NULL) == RJ_OK)
        for (int32_t i = 0; i < subscription.owned_partitions.count; i++)
            count += subscription.owned_partitions.items[i].partitions.count;
    rj_arena_release(&arena);
    return count;
}

static void trace_commit(struct scripted *script, const struct rj_offset_commit_request *commit)
{
    int32_t count = 0;
    for (int32_t t = 0; t < commit->topics.count; t++)
        count += commit->topics.items[t].partitions.count;
    scripted_trace(script, "Commit(%d %.*s %d)", commit->generation_id_or_member_epoch, TEXT(commit->member_id), count);
}

/* Ids as "-" where empty; generation first. Join: id, owned partitions. Sync: generation, id, instance, assignments. */
static void trace_request(struct scripted *script, int16_t api_key, const void *body)
{
    const struct rj_join_group_request *join = body;
    const struct rj_sync_group_request *sync = body;
    const struct rj_heartbeat_request *heartbeat = body;
    const struct rj_leave_group_request *leave = body;
    if (api_key == RJ_API_JOIN_GROUP)
        scripted_trace(script, "Join(%.*s %d)", TEXT(join->member_id), owned_count(join));
    else if (api_key == RJ_API_SYNC_GROUP)
        scripted_trace(script, "Sync(%d %.*s %.*s %d)", sync->generation_id, TEXT(sync->member_id),
                       TEXT(sync->group_instance_id), sync->assignments.count);
    else if (api_key == RJ_API_HEARTBEAT)
        scripted_trace(script, "Heartbeat(%d %.*s)", heartbeat->generation_id, TEXT(heartbeat->member_id));
    else if (api_key == RJ_API_OFFSET_COMMIT)
        trace_commit(script, body);
    else if (api_key == RJ_API_LEAVE_GROUP)
        scripted_trace(script, "Leave(%.*s)", TEXT(leave->members.items[0].member_id));
    else if (api_key == RJ_API_FETCH)
        scripted_trace(script, "Fetch");
}

static void keep_request(struct scripted *script, const struct rj_consumer_action *action)
{
    const struct rj_message_schema *schema = rj_request_schema(action->as.send.api_key);
    void *copy = rj_arena_alloc(&script->arena, schema->root->size);
    enum rj_err err = rj_copy_message(schema, action->as.send.body, &script->arena, copy);
    size_t len;
    assert(err == RJ_OK && script->out_count < 64);
    /* Whatever is sent must be something that its version can carry. */
    err = rj_encoded_len(schema, action->as.send.version, copy, &len, NULL);
    assert(err == RJ_OK);
    (void)err;
    if (script->traces_requests)
        trace_request(script, action->as.send.api_key, copy);
    script->out[script->out_count++] = (struct scripted_request){
        action->as.send.connection_id, action->as.send.correlation_id, action->as.send.api_key,
        action->as.send.version,       copy,                           script->now_ms};
}

struct opened { uint32_t ids[16]; int32_t count; };

static void take_action(struct scripted *script, const struct rj_consumer_action *action, struct opened *opened)
{
    switch (action->type) {
    case RJ_CONSUMER_CONNECT:
        opened->ids[opened->count++] = action->as.connect.connection_id;
        break;
    case RJ_CONSUMER_DISCONNECT:
        for (int32_t i = 0; i < script->out_count;)
            if (script->out[i].connection_id == action->as.disconnect.connection_id)
                script->out[i] = script->out[--script->out_count];
            else
                i++;
        break;
    case RJ_CONSUMER_SEND:
        keep_request(script, action);
        break;
    case RJ_CONSUMER_ASSIGNED:
        trace_partitions(script, "assigned", action);
        break;
    case RJ_CONSUMER_REVOKED:
        trace_partitions(script, "revoked", action);
        break;
    case RJ_CONSUMER_LOST:
        trace_partitions(script, "lost", action);
        break;
    case RJ_CONSUMER_RECORDS:
        scripted_trace(script, "records %d", action->as.records.partition);
        break;
    case RJ_CONSUMER_COMMITTED:
        scripted_trace(script, "committed %d", action->as.partitions.error_code);
        break;
    case RJ_CONSUMER_ERROR:
        scripted_trace(script, "%s %d", action->as.error.is_fatal ? "fatal" : "error", action->as.error.error_code);
        assert(action->as.error.rule != RJ_RULE_NONE);
        break;
    case RJ_CONSUMER_CLOSED:
        scripted_trace(script, "closed");
        script->is_closed = true;
        break;
    }
}

void scripted_step(struct scripted *script, struct rj_consumer_event event)
{
    struct rj_consumer_update update;
    struct opened opened = {.count = 0};
    event.now_ms = script->now_ms;
    enum rj_err err = rj_consumer_step(script->consumer, &event, &update);
    if (err == RJ_ERR_MEMORY && script->out_of_memory != NULL) {
        assert(update.action_count == 0 && rj_consumer_next_deadline_ms(script->consumer) == INT64_MAX);
        longjmp(*script->out_of_memory, 1);
    }
    assert(err == RJ_OK);
    for (int32_t i = 0; i < update.action_count; i++)
        take_action(script, &update.actions[i], &opened);
    for (int32_t i = 0; i < opened.count; i++)
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CONNECTED,
                                                         .as.connected = {opened.ids[i]}});
}

void scripted_answer(struct scripted *script, const struct scripted_request *request, const void *body)
{
    struct scripted_request answered = *request;
    int32_t at = (int32_t)(request - script->out);
    memmove(&script->out[at], &script->out[at + 1], (size_t)(--script->out_count - at) * sizeof answered);
    scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_RESPONSE,
                                                     .as.response = {answered.connection_id, answered.correlation_id,
                                                                     answered.api_key, answered.version, body}});
}

static void *new_body(struct scripted *script, int16_t api_key)
{
    const struct rj_message_schema *schema = rj_response_schema(api_key);
    void *body = rj_arena_alloc(&script->arena, schema->root->size);
    rj_message_init(schema, body);
    return body;
}

static void answer_versions(struct scripted *script, const struct scripted_request *request)
{
    struct rj_api_versions_response *response = new_body(script, RJ_API_API_VERSIONS);
    response->api_keys.items = rj_arena_alloc(&script->arena, 32 * sizeof *response->api_keys.items);
    for (int16_t key = 0; key < 32; key++) {
        const struct rj_message_schema *schema = rj_request_schema(key);
        if (schema == NULL)
            continue;
        int16_t high = script->high[key] >= 0 ? script->high[key] : schema->versions.high;
        response->api_keys.items[response->api_keys.count++] =
            (struct rj_api_versions_response_api_version){key, schema->versions.low, high, NULL};
    }
    scripted_answer(script, request, response);
}

static void answer_metadata(struct scripted *script, const struct scripted_request *request)
{
    const struct rj_metadata_request *asked = request->body;
    struct rj_metadata_response *response = new_body(script, RJ_API_METADATA);
    response->brokers.items = rj_arena_alloc(&script->arena, sizeof *response->brokers.items);
    response->brokers.items[0] = (struct rj_metadata_response_broker){1, RJ_STRING("b1"), 9092, RJ_NULL_STRING, NULL};
    response->brokers.count = 1;
    response->topics.count = asked->topics.count;
    response->topics.items =
        rj_arena_alloc(&script->arena, (size_t)(asked->topics.count + 1) * sizeof *response->topics.items);
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_metadata_response_topic *topic = &response->topics.items[i];
        memset(topic, 0, sizeof *topic);
        topic->name = asked->topics.items[i].name;
        topic->partitions.count = script->partition_count;
        topic->partitions.items =
            rj_arena_alloc(&script->arena, (size_t)script->partition_count * sizeof *topic->partitions.items);
        for (int32_t p = 0; p < script->partition_count; p++)
            topic->partitions.items[p] =
                (struct rj_metadata_response_partition){.partition_index = p, .leader_id = 1, .leader_epoch = 0};
    }
    scripted_answer(script, request, response);
}

static void answer_find(struct scripted *script, const struct scripted_request *request)
{
    struct rj_find_coordinator_response *response = new_body(script, RJ_API_FIND_COORDINATOR);
    int16_t error = script->find_error;
    script->find_error = 0;
    scripted_trace(script, "find");
    if (request->version >= 4) {
        response->coordinators.items = rj_arena_alloc(&script->arena, sizeof *response->coordinators.items);
        response->coordinators.items[0] = (struct rj_find_coordinator_response_coordinator){
            RJ_STRING("g"), 1, RJ_STRING("b1"), 9092, error, RJ_NULL_STRING, NULL};
        response->coordinators.count = 1;
    } else {
        response->error_code = error;
        response->node_id = 1;
        response->host = RJ_STRING("b1");
        response->port = 9092;
    }
    scripted_answer(script, request, response);
}

/* Answers what the script answers by itself; false: nothing of that kind waits. */
static bool answer_discovery(struct scripted *script)
{
    for (int32_t i = 0; i < script->out_count; i++) {
        const struct scripted_request *request = &script->out[i];
        if (request->api_key == RJ_API_API_VERSIONS)
            answer_versions(script, request);
        else if (request->api_key == RJ_API_METADATA)
            answer_metadata(script, request);
        else if (request->api_key == RJ_API_FIND_COORDINATOR)
            answer_find(script, request);
        else
            continue;
        return true;
    }
    return false;
}

static struct scripted_request *find_out(struct scripted *script, int16_t api_key)
{
    for (int32_t i = 0; i < script->out_count; i++)
        if (api_key < 0 || script->out[i].api_key == api_key)
            return &script->out[i];
    return NULL;
}

struct scripted_request *scripted_wait(struct scripted *script, int16_t api_key, int64_t limit_ms)
{
    int64_t end_ms = script->now_ms + limit_ms;
    for (;;) {
        while (answer_discovery(script))
            ;
        struct scripted_request *found = find_out(script, api_key);
        int64_t next_ms = rj_consumer_next_deadline_ms(script->consumer);
        if (found != NULL || next_ms > end_ms)
            return found;
        script->now_ms = next_ms > script->now_ms ? next_ms : script->now_ms + 1;
        scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
    }
}

void scripted_pass(struct scripted *script, int64_t ms)
{
    int64_t end_ms = script->now_ms + ms;
    while (scripted_wait(script, 32767, end_ms - script->now_ms) == NULL && script->now_ms < end_ms)
        script->now_ms = end_ms;
    scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
}

void scripted_disconnect(struct scripted *script, uint32_t connection_id)
{
    for (int32_t i = 0; i < script->out_count;)
        if (script->out[i].connection_id == connection_id)
            script->out[i] = script->out[--script->out_count];
        else
            i++;
    scripted_step(script, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_DISCONNECTED,
                                                     .as.disconnected = {connection_id}});
}

void scripted_answer_join(struct scripted *script, int32_t generation_id, const char *member_id, bool as_leader)
{
    const struct scripted_request *request = scripted_wait(script, RJ_API_JOIN_GROUP, 60000);
    assert(request != NULL);
    const struct rj_join_group_request *asked = request->body;
    struct rj_join_group_response *response = new_body(script, RJ_API_JOIN_GROUP);
    response->generation_id = generation_id;
    response->protocol_name = asked->protocols.items[0].name;
    response->member_id = (struct rj_string){member_id, (int32_t)strlen(member_id)};
    response->leader = as_leader ? response->member_id : RJ_STRING("another");
    if (as_leader) { /* with two members that are not there */
        static const char *const others[] = {"x", "y"};
        response->members.items = rj_arena_alloc(&script->arena, 3 * sizeof *response->members.items);
        for (int32_t i = 0; i < 3; i++)
            response->members.items[i] = (struct rj_join_group_response_member){
                i == 0 ? response->member_id : (struct rj_string){others[i - 1], 1},
                i == 0 ? asked->group_instance_id : RJ_NULL_STRING, asked->protocols.items[0].metadata, NULL};
        response->members.count = 3;
    }
    scripted_answer(script, request, response);
}

void scripted_answer_sync(struct scripted *script, int32_t count)
{
    const struct scripted_request *request = scripted_wait(script, RJ_API_SYNC_GROUP, 60000);
    assert(request != NULL);
    struct rj_sync_group_response *response = new_body(script, RJ_API_SYNC_GROUP);
    struct rj_consumer_protocol_assignment assignment;
    struct rj_consumer_protocol_assignment_topic_partition topic = {script->topic, {NULL, count}};
    rj_message_init(&rj_consumer_protocol_assignment_schema, &assignment);
    topic.partitions.items = rj_arena_alloc(&script->arena, (size_t)(count + 1) * sizeof(int32_t));
    for (int32_t p = 0; p < count; p++)
        topic.partitions.items[p] = p;
    assignment.assigned_partitions.items = &topic;
    assignment.assigned_partitions.count = count > 0;
    enum rj_err err = rj_encode_assignment(&assignment, 3, &script->arena, &response->assignment);
    assert(err == RJ_OK);
    (void)err;
    scripted_answer(script, request, response);
}

void scripted_join(struct scripted *script, int32_t generation_id)
{
    scripted_answer_join(script, generation_id, "m", true);
    scripted_answer_sync(script, script->partition_count);
}

static void error_for_commit(struct scripted *script, const struct rj_offset_commit_request *asked,
                             struct rj_offset_commit_response *response, int16_t error_code)
{
    struct rj_arena *arena = &script->arena;
    response->topics.count = asked->topics.count;
    response->topics.items = rj_arena_alloc(arena, (size_t)(asked->topics.count + 1) * sizeof *response->topics.items);
    for (int32_t t = 0; t < asked->topics.count; t++) {
        int32_t count = asked->topics.items[t].partitions.count;
        struct rj_offset_commit_response_topic *topic = &response->topics.items[t];
        memset(topic, 0, sizeof *topic);
        topic->name = asked->topics.items[t].name;
        topic->partitions.count = count;
        topic->partitions.items = rj_arena_alloc(arena, (size_t)(count + 1) * sizeof *topic->partitions.items);
        for (int32_t p = 0; p < count; p++) /* the last one only: every partition's error counts */
            topic->partitions.items[p] = (struct rj_offset_commit_response_partition){
                asked->topics.items[t].partitions.items[p].partition_index, p == count - 1 ? error_code : 0, NULL};
    }
}

static void error_for_offset_fetch(struct scripted *script, const struct scripted_request *request,
                                   struct rj_offset_fetch_response *response, int16_t error_code)
{
    if (request->version < 8) {
        response->error_code = error_code;
        return;
    }
    response->groups.items = rj_arena_alloc(&script->arena, sizeof *response->groups.items);
    memset(response->groups.items, 0, sizeof *response->groups.items);
    response->groups.items[0].error_code = error_code;
    response->groups.items[0].group_id = RJ_STRING("g");
    response->groups.count = 1;
    if (error_code != 0)
        return;
    const struct rj_offset_fetch_request *asked = request->body;
    struct rj_offset_fetch_response_topics *topic = rj_arena_alloc(&script->arena, sizeof *topic);
    struct rj_int32_array numbers = asked->groups.items[0].topics.items[0].partition_indexes;
    memset(topic, 0, sizeof *topic);
    topic->name = script->topic;
    topic->partitions.items = rj_arena_alloc(&script->arena, (size_t)numbers.count * sizeof *topic->partitions.items);
    topic->partitions.count = numbers.count;
    for (int32_t i = 0; i < numbers.count; i++)
        topic->partitions.items[i] = (struct rj_offset_fetch_response_partitions){
            .partition_index = numbers.items[i], .committed_offset = 5, .committed_leader_epoch = -1};
    response->groups.items[0].topics.items = topic;
    response->groups.items[0].topics.count = 1;
}

void scripted_answer_error(struct scripted *script, const struct scripted_request *request, int16_t error_code)
{
    void *body = new_body(script, request->api_key);
    switch (request->api_key) {
    case RJ_API_JOIN_GROUP:
        ((struct rj_join_group_response *)body)->error_code = error_code;
        ((struct rj_join_group_response *)body)->member_id =
            error_code == RJ_KAFKA_MEMBER_ID_REQUIRED ? RJ_STRING("promised") : RJ_EMPTY_STRING;
        break;
    case RJ_API_SYNC_GROUP:
        ((struct rj_sync_group_response *)body)->error_code = error_code;
        break;
    case RJ_API_HEARTBEAT:
        ((struct rj_heartbeat_response *)body)->error_code = error_code;
        break;
    case RJ_API_LEAVE_GROUP:
        ((struct rj_leave_group_response *)body)->error_code = error_code;
        break;
    case RJ_API_OFFSET_COMMIT:
        error_for_commit(script, request->body, body, error_code);
        break;
    default:
        error_for_offset_fetch(script, request, body, error_code);
    }
    scripted_answer(script, request, body);
}
