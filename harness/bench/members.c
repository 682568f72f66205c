#include "bench/members.h"

#include "bench/process.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEARTBEAT_INTERVAL_MS = 50, FIND_COORDINATOR_VERSION = 1, FIND_RETRY_US = 20000 };

/* A group on its way to Stable. */
struct group {
    int32_t leader_generation; /* whose leader saw all members; -1: there is none yet */
    uint32_t stable_count;     /* in that generation */
    struct bench_connection *leader; /* its SyncGroup is held back; NULL: nothing is */
    int64_t held_since_ns;
};

struct joining {
    const struct bench_plan *plan;
    struct bench_members *members;
    struct bench_loop loop;
    struct rj_arena arena;
    struct group *groups;
    uint32_t groups_done;
    uint32_t first_group, wave_groups; /* those that join now */
    bool coordinator_found;
};

static struct bench_member *member_of(const struct joining *joining, const struct bench_connection *connection)
{
    return &joining->members->items[joining->first_group * joining->plan->members_per_group + connection->index];
}

struct rj_string bench_string(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

struct rj_string bench_group_name(const struct bench_plan *plan, uint32_t group, char *buffer, size_t buffer_len)
{
    snprintf(buffer, buffer_len, "%s-%u", plan->group_prefix, group);
    return bench_string(buffer);
}

void bench_queue_request(struct bench_loop *loop, struct bench_connection *connection, int16_t api_key,
                         int16_t version, int32_t correlation_id, const void *body)
{
    struct rj_fault fault;
    size_t len = 256;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint8_t *out = bench_reserve(connection, len);
        enum rj_err err = rj_encode_request_frame(api_key, version, correlation_id, RJ_STRING("rejoin-bench"), body,
                                                  out, len, &len, &fault);
        if (err == RJ_OK) {
            connection->out_len += len;
            return;
        }
        if (err != RJ_ERR_SPACE) {
            bench_fail(loop, "%s request: %s: %s", rj_api_name(api_key), fault.field, rj_err_sentence(err));
            return;
        }
    }
}

/* ---- Requests ------------------------------------------------------------------------------------------------- */

static void send_request(struct joining *joining, struct bench_connection *connection, int16_t api_key,
                         int16_t version, const void *body)
{
    struct bench_member *member = member_of(joining, connection);
    bench_queue_request(&joining->loop, connection, api_key, version, ++member->correlation_id, body);
    bench_flush(&joining->loop, connection);
}

static void send_join(struct joining *joining, struct bench_connection *connection)
{
    struct bench_member *member = member_of(joining, connection);
    /* ConsumerProtocolSubscription v0: one topic, no user data. */
    uint8_t metadata[128];
    size_t metadata_len = 0;
    struct rj_string topic = bench_string(joining->plan->topic);
    struct rj_consumer_protocol_subscription subscription;
    rj_message_init(&rj_consumer_protocol_subscription_schema, &subscription);
    subscription.topics = (struct rj_string_array){&topic, 1};
    metadata[0] = metadata[1] = 0;
    rj_encode(&rj_consumer_protocol_subscription_schema, 0, &subscription, metadata + 2, sizeof(metadata) - 2,
              &metadata_len, NULL);
    struct rj_join_group_request_protocol protocol;
    memset(&protocol, 0, sizeof(protocol));
    protocol.name = RJ_STRING("range");
    protocol.metadata = (struct rj_bytes){metadata, (int32_t)metadata_len + 2};

    char name[64];
    struct rj_join_group_request join;
    rj_message_init(&rj_join_group_request_schema, &join);
    join.group_id = bench_group_name(joining->plan, member->group, name, sizeof(name));
    join.session_timeout_ms = joining->plan->session_timeout_ms;
    join.rebalance_timeout_ms = joining->plan->session_timeout_ms;
    join.member_id = bench_string(member->member_id);
    join.protocol_type = RJ_STRING("consumer");
    join.protocols = (struct rj_join_group_request_protocol_array){&protocol, 1};
    member->state = BENCH_JOINING;
    send_request(joining, connection, RJ_API_JOIN_GROUP, BENCH_JOIN_VERSION, &join);
}

/* Sends the leaders' SyncGroups that were held back long enough. */
static void send_held(struct joining *joining, int64_t now_ns)
{
    for (uint32_t i = 0; i < joining->plan->group_count; i++) {
        struct group *group = &joining->groups[i];
        if (group->leader != NULL && now_ns - group->held_since_ns >= joining->plan->leader_delay_ms * INT64_C(1000000)) {
            bench_flush(&joining->loop, group->leader);
            group->leader = NULL;
        }
    }
}

/* The leader gives everyone the same few bytes: how partitions are divided is no part of what is measured. */
static void send_sync(struct joining *joining, struct bench_connection *connection,
                      const struct rj_join_group_response *joined)
{
    static const uint8_t assignment[] = {0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct bench_member *member = member_of(joining, connection);
    char name[64];
    struct rj_sync_group_request sync;
    rj_message_init(&rj_sync_group_request_schema, &sync);
    sync.group_id = bench_group_name(joining->plan, member->group, name, sizeof(name));
    sync.generation_id = member->generation_id;
    sync.member_id = bench_string(member->member_id);
    int32_t count = joined->members.count > 0 ? joined->members.count : 0;
    struct rj_sync_group_request_assignment *items = rejoin_alloc_zeroed((size_t)count, sizeof(*items));
    for (int32_t i = 0; i < count; i++) {
        items[i].member_id = joined->members.items[i].member_id;
        items[i].assignment = (struct rj_bytes){assignment, sizeof(assignment)};
    }
    sync.assignments = (struct rj_sync_group_request_assignment_array){items, count};
    member->state = BENCH_SYNCING;
    bench_queue_request(&joining->loop, connection, RJ_API_SYNC_GROUP, BENCH_SYNC_VERSION, ++member->correlation_id, &sync);
    free(items);
    if (joining->plan->leader_delay_ms > 0 && rj_string_equal(joined->leader, sync.member_id)) {
        joining->groups[member->group].leader = connection;
        joining->groups[member->group].held_since_ns = bench_now_ns();
    } else {
        bench_flush(&joining->loop, connection);
    }
}

static void send_heartbeat(struct joining *joining, struct bench_connection *connection)
{
    struct bench_member *member = member_of(joining, connection);
    char name[64];
    struct rj_heartbeat_request heartbeat;
    rj_message_init(&rj_heartbeat_request_schema, &heartbeat);
    heartbeat.group_id = bench_group_name(joining->plan, member->group, name, sizeof(name));
    heartbeat.generation_id = member->generation_id;
    heartbeat.member_id = bench_string(member->member_id);
    member->state = BENCH_HEARTBEATING;
    send_request(joining, connection, RJ_API_HEARTBEAT, BENCH_HEARTBEAT_VERSION, &heartbeat);
}

/* ---- Answers -------------------------------------------------------------------------------------------------- */

static void count_stable(struct joining *joining, const struct bench_member *member)
{
    struct group *group = &joining->groups[member->group];
    if (group->leader_generation == member->generation_id &&
        ++group->stable_count == joining->plan->members_per_group)
        joining->groups_done++;
}

static void leave_generation(struct joining *joining, const struct bench_member *member)
{
    struct group *group = &joining->groups[member->group];
    if (group->leader_generation != member->generation_id)
        return;
    if (group->stable_count == joining->plan->members_per_group)
        joining->groups_done--;
    group->leader_generation = -1;
}

/* Whether the answer only says that the member must join (again). */
static bool is_retriable(int16_t error_code)
{
    return error_code == RJ_KAFKA_REBALANCE_IN_PROGRESS || error_code == RJ_KAFKA_ILLEGAL_GENERATION ||
           error_code == RJ_KAFKA_MEMBER_ID_REQUIRED;
}

/* Of the only broker there is: it has not yet become the coordinator that it said it was. */
static bool is_coming_up(int16_t error_code)
{
    return error_code == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error_code == RJ_KAFKA_NOT_COORDINATOR ||
           error_code == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE;
}

static bool refuse(struct joining *joining, const char *what, int16_t error_code)
{
    const char *name = rj_kafka_error_name(error_code);
    bench_fail(&joining->loop, "%s was answered with error %d (%s)", what, error_code, name ? name : "unknown");
    return false;
}

static bool on_join(struct joining *joining, struct bench_connection *connection,
                    const struct rj_join_group_response *joined)
{
    struct bench_member *member = member_of(joining, connection);
    if (is_coming_up(joined->error_code)) {
        member->state = BENCH_WAITING;
        return true;
    }
    if (joined->error_code != 0 && !is_retriable(joined->error_code))
        return refuse(joining, "JoinGroup", joined->error_code);
    if (joined->member_id.len > 0) {
        free(member->member_id);
        member->member_id = strndup(joined->member_id.data, (size_t)joined->member_id.len);
    }
    if (joined->error_code != 0) {
        send_join(joining, connection);
        return true;
    }
    member->generation_id = joined->generation_id;
    if (rj_string_equal(joined->leader, joined->member_id)) {
        joining->members->rebalances++;
        bool complete = (uint32_t)joined->members.count == joining->plan->members_per_group;
        joining->groups[member->group].leader_generation = complete ? joined->generation_id : -1;
        joining->groups[member->group].stable_count = 0;
    }
    send_sync(joining, connection, joined);
    return true;
}

static bool on_sync_or_heartbeat(struct joining *joining, struct bench_connection *connection, int16_t error_code)
{
    struct bench_member *member = member_of(joining, connection);
    if (error_code != 0 && !is_retriable(error_code))
        return refuse(joining, member->state == BENCH_SYNCING ? "SyncGroup" : "Heartbeat", error_code);
    if (error_code != 0) {
        if (member->state == BENCH_HEARTBEATING)
            leave_generation(joining, member);
        send_join(joining, connection);
        return true;
    }
    if (member->state == BENCH_SYNCING)
        count_stable(joining, member);
    member->state = BENCH_STABLE;
    return true;
}

/* Of the answers only the error codes matter, which SyncGroup v3 and Heartbeat v3 carry in one place. They are read there
 * and not decoded, because librdkafka's mock sends a null assignment with an error, which the protocol does not allow. */
static bool read_error_code(struct rj_bytes frame, int32_t *correlation_id, int16_t *error_code)
{
    enum { ERROR_OFFSET = 8, LEN_AT_LEAST = 10 }; /* correlation id, throttle time, error code */
    if (frame.len < LEN_AT_LEAST)
        return false;
    const uint8_t *in = frame.data;
    *correlation_id = (int32_t)((uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3]);
    *error_code = (int16_t)((uint16_t)in[ERROR_OFFSET] << 8 | in[ERROR_OFFSET + 1]);
    return true;
}

static bool wrong_answer(struct joining *joining, const char *what, const char *problem)
{
    bench_fail(&joining->loop, "%s answer: %s", what, problem);
    return false;
}

static bool on_frame(void *context, struct bench_connection *connection, struct rj_bytes frame)
{
    struct joining *joining = context;
    struct bench_member *member = member_of(joining, connection);
    if (member->state == BENCH_STABLE || member->state == BENCH_WAITING)
        return wrong_answer(joining, "an", "nothing had asked for it");
    if (member->state != BENCH_JOINING) {
        int32_t correlation_id;
        int16_t error_code;
        const char *what = member->state == BENCH_SYNCING ? "SyncGroup" : "Heartbeat";
        if (!read_error_code(frame, &correlation_id, &error_code) || correlation_id != member->correlation_id)
            return wrong_answer(joining, what, "too short, or of another request");
        return on_sync_or_heartbeat(joining, connection, error_code);
    }
    struct rj_response_frame response;
    struct rj_fault fault;
    rj_arena_reset(&joining->arena);
    enum rj_err err = rj_decode_response(frame, RJ_API_JOIN_GROUP, BENCH_JOIN_VERSION, &response, &joining->arena,
                                         &fault);
    if (err != RJ_OK || response.correlation_id != member->correlation_id)
        return wrong_answer(joining, "JoinGroup", err != RJ_OK ? rj_err_sentence(err) : "of another request");
    return on_join(joining, connection, response.body);
}

/* ---- The coordinator ------------------------------------------------------------------------------------------- */

static bool on_coordinator(void *context, struct bench_connection *connection, struct rj_bytes frame)
{
    struct joining *joining = context;
    struct rj_response_frame response;
    struct rj_fault fault;
    (void)connection;
    rj_arena_reset(&joining->arena);
    enum rj_err err = rj_decode_response(frame, RJ_API_FIND_COORDINATOR, FIND_COORDINATOR_VERSION, &response,
                                         &joining->arena, &fault);
    if (err != RJ_OK) {
        bench_fail(&joining->loop, "FindCoordinator answer: %s", rj_err_sentence(err));
        return false;
    }
    const struct rj_find_coordinator_response *found = response.body;
    if (found->error_code != 0 && found->error_code != RJ_KAFKA_COORDINATOR_NOT_AVAILABLE)
        return refuse(joining, "FindCoordinator", found->error_code);
    if (found->error_code == 0 && found->port != ntohs(joining->plan->address.sin_port)) {
        bench_fail(&joining->loop, "the coordinator is on port %d: bench wants one broker", found->port);
        return false;
    }
    if (found->error_code == 0)
        joining->coordinator_found = true;
    else
        usleep(FIND_RETRY_US);
    return true;
}

/* Kafka creates __consumer_offsets when the first client asks for a coordinator, and answers 15 until it stands. */
static bool await_coordinator(struct joining *joining)
{
    char name[64];
    struct rj_find_coordinator_request find;
    rj_message_init(&rj_find_coordinator_request_schema, &find);
    find.key = bench_group_name(joining->plan, 0, name, sizeof(name));
    joining->loop.on_frame = on_coordinator;
    bool going = bench_loop_open(&joining->loop, &joining->plan->address, 1);
    int64_t deadline_ns = bench_now_ns() + (int64_t)joining->plan->deadline_ms * 1000000;
    while (going && !joining->coordinator_found) {
        bench_queue_request(&joining->loop, &joining->loop.connections[0], RJ_API_FIND_COORDINATOR,
                            FIND_COORDINATOR_VERSION, 1, &find);
        bench_flush(&joining->loop, &joining->loop.connections[0]);
        going = bench_loop_run_once(&joining->loop, joining->plan->deadline_ms);
        if (going && bench_now_ns() > deadline_ns) {
            bench_fail(&joining->loop, "no coordinator within %d ms", joining->plan->deadline_ms);
            going = false;
        }
    }
    snprintf(joining->members->problem, sizeof(joining->members->problem), "%s", joining->loop.problem);
    bench_loop_close(&joining->loop);
    return going;
}

/* ---- The course ------------------------------------------------------------------------------------------------ */

static void alloc_members(const struct bench_plan *plan, struct bench_members *members)
{
    memset(members, 0, sizeof(*members));
    members->count = plan->group_count * plan->members_per_group;
    members->items = rejoin_alloc_zeroed(members->count, sizeof(*members->items));
    for (uint32_t i = 0; i < members->count; i++) {
        members->items[i].group = i / plan->members_per_group;
        members->items[i].member_id = rejoin_strdup("");
    }
}

static bool is_whole(const struct joining *joining, const struct group *group)
{
    return group->leader_generation >= 0 && group->stable_count == joining->plan->members_per_group;
}

/* The members of a group that is whole need none while the others join. */
static void heartbeat_all(struct joining *joining)
{
    send_held(joining, bench_now_ns());
    for (uint32_t i = 0; i < joining->loop.connection_count; i++) {
        const struct bench_member *member = member_of(joining, &joining->loop.connections[i]);
        if (member->state == BENCH_WAITING)
            send_join(joining, &joining->loop.connections[i]);
        else if (member->state == BENCH_STABLE && !is_whole(joining, &joining->groups[member->group]))
            send_heartbeat(joining, &joining->loop.connections[i]);
    }
}

/* A rebalance that nobody is told of by an answer is noticed by the next round of heartbeats. */
static bool run_until_stable(struct joining *joining)
{
    int64_t begun_ns = bench_now_ns();
    int64_t deadline_ns = begun_ns + (int64_t)joining->plan->deadline_ms * 1000000;
    int64_t heartbeat_ns = begun_ns + HEARTBEAT_INTERVAL_MS * INT64_C(1000000);
    joining->groups_done = 0;
    for (uint32_t i = 0; i < joining->loop.connection_count; i++)
        send_join(joining, &joining->loop.connections[i]);
    while (joining->groups_done < joining->wave_groups) {
        if (!bench_loop_run_once(&joining->loop, HEARTBEAT_INTERVAL_MS))
            return false;
        int64_t now_ns = bench_now_ns();
        if (now_ns > deadline_ns) {
            bench_fail(&joining->loop, "%u of %u groups stable after %d ms", joining->groups_done, joining->wave_groups,
                       joining->plan->deadline_ms);
            return false;
        }
        if (now_ns >= heartbeat_ns && joining->groups_done < joining->wave_groups) {
            heartbeat_all(joining);
            heartbeat_ns = now_ns + HEARTBEAT_INTERVAL_MS * INT64_C(1000000);
        }
    }
    joining->members->joined_in_ns += bench_now_ns() - begun_ns;
    return true;
}

static bool all_at_rest(const struct joining *joining)
{
    for (uint32_t i = 0; i < joining->loop.connection_count; i++)
        if (member_of(joining, &joining->loop.connections[i])->state != BENCH_STABLE)
            return false;
    return joining->groups_done == joining->wave_groups;
}

/* What the server needs for members that go on as they are: each has sent a heartbeat on its connection. */
static bool measure_memory(struct joining *joining)
{
    int64_t deadline_ns = bench_now_ns() + (int64_t)joining->plan->deadline_ms * 1000000;
    for (uint32_t i = 0; i < joining->loop.connection_count; i++)
        if (member_of(joining, &joining->loop.connections[i])->state == BENCH_STABLE)
            send_heartbeat(joining, &joining->loop.connections[i]);
    while (!all_at_rest(joining)) {
        if (!bench_loop_run_once(&joining->loop, HEARTBEAT_INTERVAL_MS))
            return false;
        send_held(joining, bench_now_ns());
        if (bench_now_ns() > deadline_ns) {
            bench_fail(&joining->loop, "not all heartbeats answered after %d ms", joining->plan->deadline_ms);
            return false;
        }
    }
    joining->members->own_bytes_after = bench_process_own_bytes(joining->plan->server_pid);
    return true;
}

/* Groups join in waves, so that 10,000 groups of three do not need 30,000 sockets at a time. */
static bool join_in_waves(struct joining *joining)
{
    enum { CONNECTIONS_AT_ONCE = 9000 };
    const struct bench_plan *plan = joining->plan;
    uint32_t groups_at_once = CONNECTIONS_AT_ONCE / plan->members_per_group;
    groups_at_once = groups_at_once > 0 ? groups_at_once : 1;
    bool joined = true;
    for (uint32_t first = 0; joined && first < plan->group_count; first += groups_at_once) {
        uint32_t left = plan->group_count - first;
        joining->first_group = first;
        joining->wave_groups = left < groups_at_once ? left : groups_at_once;
        joined = bench_loop_open(&joining->loop, &plan->address, joining->wave_groups * plan->members_per_group) &&
                 run_until_stable(joining);
        if (joined && plan->server_pid != 0 && joining->wave_groups == left)
            joined = measure_memory(joining);
        snprintf(joining->members->problem, sizeof(joining->members->problem), "%s", joining->loop.problem);
        bench_loop_close(&joining->loop);
    }
    return joined;
}

bool bench_join(const struct bench_plan *plan, struct bench_members *members)
{
    struct joining joining = {.plan = plan, .members = members};
    alloc_members(plan, members);
    rj_arena_init(&joining.arena, &rejoin_heap, SIZE_MAX);
    joining.groups = rejoin_alloc_zeroed(plan->group_count, sizeof(struct group));
    for (uint32_t i = 0; i < plan->group_count; i++)
        joining.groups[i].leader_generation = -1;
    joining.loop.context = &joining;
    members->own_bytes_before = members->own_bytes_after = -1;
    bool joined = await_coordinator(&joining);
    if (plan->server_pid != 0)
        members->own_bytes_before = bench_process_own_bytes(plan->server_pid);
    joining.loop.on_frame = on_frame;
    joined = joined && join_in_waves(&joining);
    rj_arena_release(&joining.arena);
    free(joining.groups);
    return joined;
}

void bench_members_invent(const struct bench_plan *plan, struct bench_members *members)
{
    alloc_members(plan, members);
    for (uint32_t i = 0; i < members->count; i++) {
        char member_id[64];
        /* As long as the ids that Kafka gives: client id, '-', a uuid of 36 characters. */
        snprintf(member_id, sizeof(member_id), "rejoin-bench-00000000-0000-4000-8000-%012u", i);
        free(members->items[i].member_id);
        members->items[i].member_id = rejoin_strdup(member_id);
        members->items[i].generation_id = 1;
    }
}

void bench_members_release(struct bench_members *members)
{
    for (uint32_t i = 0; i < members->count; i++)
        free(members->items[i].member_id);
    free(members->items);
    memset(members, 0, sizeof(*members));
}
