#include "capture/story_state.h"

#include "capture/text.h"
#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *story_cause_name(enum story_cause cause)
{
    static const char *const names[] = {
#define STORY_CAUSE_NAME(symbol, name, sentence) name,
        STORY_CAUSE_MAP(STORY_CAUSE_NAME)
#undef STORY_CAUSE_NAME
    };
    return names[cause];
}

struct story *story_create(void) { return rejoin_alloc_zeroed(1, sizeof(struct story)); }

struct story_rebalance *story_latest(const struct story_group *group)
{
    return group->rebalance_count > 0 ? &group->rebalances[group->rebalance_count - 1] : NULL;
}

bool story_is_alive(const struct story *story, const struct story_member *member)
{
    return member->presence == STORY_IN &&
           (story->end_us == 0 || story->end_us - member->seen_us < (int64_t)member->session_timeout_ms * 1000);
}

/* ---- Finding and adding ------------------------------------------------------------------------------------------ */

static bool is(const char *known, struct rj_string text)
{
    return strlen(known) == (size_t)text.len && (text.len == 0 || memcmp(known, text.data, (size_t)text.len) == 0);
}

static struct story_group *group_of(struct story *story, struct rj_string id)
{
    for (size_t i = 0; i < story->group_count; i++)
        if (is(story->groups[i]->id, id))
            return story->groups[i];
    story->groups = rejoin_realloc(story->groups, (story->group_count + 1) * sizeof(story->groups[0]));
    struct story_group *group = rejoin_alloc_zeroed(1, sizeof(*group));
    group->id = text_of(id);
    return story->groups[story->group_count++] = group;
}

static struct story_member *member_of(const struct story_group *group, struct rj_string id)
{
    for (size_t i = group->member_count; i-- > 0;)
        if (is(group->members[i]->id, id))
            return group->members[i];
    return NULL;
}

static struct story_member *instance_of(const struct story_group *group, struct rj_string instance_id)
{
    for (size_t i = group->member_count; instance_id.len > 0 && i-- > 0;)
        if (is(group->members[i]->instance_id, instance_id) && group->members[i]->presence == STORY_IN)
            return group->members[i];
    return NULL;
}

static struct story_member *add_member(struct story_group *group, const struct capture_exchange *exchange,
                                       struct rj_string id, enum story_presence presence)
{
    const struct rj_join_group_request *request = exchange->request;
    struct story_member *member = rejoin_alloc_zeroed(1, sizeof(*member));
    group->members = rejoin_realloc(group->members, (group->member_count + 1) * sizeof(group->members[0]));
    group->members[group->member_count++] = member;
    member->id = text_of(id);
    member->instance_id = text_of(request->group_instance_id);
    member->client_id = text_of(exchange->client_id);
    member->host = text_host(exchange->stream->client);
    member->presence = presence;
    member->started_us = member->join_us = exchange->request_time_us;
    member->session_timeout_ms = request->session_timeout_ms;
    return member;
}

__attribute__((format(printf, 6, 7)))
static void add_event(struct story_group *group, const struct story_member *member, const char *kind, uint64_t frame,
                      int64_t time_us, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    group->events = rejoin_realloc(group->events, (group->event_count + 1) * sizeof(group->events[0]));
    group->events[group->event_count++] = (struct story_event){
        time_us, frame, rejoin_strdup(text), rejoin_strdup(kind), rejoin_strdup(member ? member->client_id : ""),
        rejoin_strdup(member ? member->id : "")};
}

/* ---- Triggers ---------------------------------------------------------------------------------------------------- */

static void free_trigger(struct story_trigger *trigger)
{
    free(trigger->client_id);
    free(trigger->member_id);
    free(trigger->reason);
    *trigger = (struct story_trigger){0};
}

static void set_trigger(struct story_group *group, enum story_cause cause, const char *client_id,
                        const char *member_id, struct rj_string reason, uint64_t frame, int64_t time_us)
{
    if (group->trigger.set)
        return; /* the first one started it */
    group->trigger = (struct story_trigger){true, cause, rejoin_strdup(client_id), rejoin_strdup(member_id),
                                            text_of(reason), frame, time_us};
}

/* What a request seemed to start did not happen. */
static void drop_trigger(struct story_group *group, uint64_t frame)
{
    if (group->trigger.set && group->trigger.frame == frame)
        free_trigger(&group->trigger);
}

static void coordinator_trouble(struct story_group *group, int16_t error, const struct capture_exchange *exchange)
{
    if (error != RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS && error != RJ_KAFKA_COORDINATOR_NOT_AVAILABLE &&
        error != RJ_KAFKA_NOT_COORDINATOR)
        return;
    if (group->moved_frame == 0)
        add_event(group, NULL, "coordinator-moved", exchange->response_frame, exchange->response_time_us,
                  "the coordinator answers %s", rj_kafka_error_name(error));
    group->moved_frame = exchange->response_frame;
    group->moved_us = exchange->response_time_us;
}

/* ---- JoinGroup --------------------------------------------------------------------------------------------------- */

static bool contains(const char *text, struct rj_string in)
{
    size_t len = strlen(text);
    for (size_t at = 0; at + len <= (size_t)in.len; at++)
        if (memcmp(in.data + at, text, len) == 0)
            return true;
    return false;
}

/* Why does a member that knows its id, and was not told to, join again? */
static enum story_cause why_again(const struct story_group *group, const struct story_member *member,
                                  const json_t *topics, const json_t *owned, struct rj_string reason)
{
    const struct story_rebalance *latest = story_latest(group);
    bool leads = latest != NULL && strcmp(latest->leader, member->id) == 0;
    if (member->topics != NULL && topics != NULL && !json_equal(member->topics, (json_t *)(uintptr_t)topics))
        return STORY_SUBSCRIPTION_CHANGED;
    if (latest != NULL && group->partitions_frame > latest->ended_frame)
        return STORY_PARTITIONS_CHANGED;
    if (group->moved_frame != 0 && latest != NULL && group->moved_frame > latest->ended_frame)
        return STORY_COORDINATOR_MOVED;
    if (contains("metadata has changed", reason))
        return STORY_PARTITIONS_CHANGED;
    bool cooperative = latest != NULL && strcmp(latest->protocol, "cooperative-sticky") == 0;
    if (cooperative && owned != NULL && !contains("topic", reason) &&
        (contains("revoke", reason) || (member->assignment != NULL &&
                                        json_equal(member->assignment, (json_t *)(uintptr_t)owned))))
        return STORY_PARTITIONS_REVOKED;
    return leads ? STORY_LEADER_REJOINED : STORY_MEMBER_REJOINED;
}

static void on_join_request(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_join_group_request *request = exchange->request;
    struct story_group *group = group_of(story, request->group_id);
    struct story_member *member = member_of(group, request->member_id);
    json_t *topics = NULL, *owned = NULL;
    group->partitions_frame = story->partitions_frame;
    text_subscription(request, &topics, &owned);
    char *client_id = text_of(exchange->client_id);
    struct rj_string reason = request->reason.data ? request->reason : RJ_EMPTY_STRING;
    bool known_instance = instance_of(group, request->group_instance_id) != NULL;
    if (request->member_id.len == 0) {
        bool at_once = exchange->version < 4 || request->group_instance_id.len > 0;
        if (known_instance)
            set_trigger(group, STORY_STATIC_RETURNED, client_id, "", reason, exchange->request_frame,
                        exchange->request_time_us);
        else if (at_once)
            set_trigger(group, STORY_MEMBER_JOINED, client_id, "", reason, exchange->request_frame,
                        exchange->request_time_us);
    } else if (member == NULL) {
        member = add_member(group, exchange, request->member_id, STORY_IN); /* joined before the capture began */
    } else if (member->presence == STORY_PROMISED) {
        set_trigger(group, STORY_MEMBER_JOINED, client_id, member->id, reason, exchange->request_frame,
                    exchange->request_time_us);
    } else if (member->generation > 0 && member->told_generation != member->generation) {
        set_trigger(group, why_again(group, member, topics, owned, reason), client_id, member->id, reason,
                    exchange->request_frame, exchange->request_time_us);
    }
    if (member != NULL) {
        member->join_us = member->seen_us = exchange->request_time_us;
        member->session_timeout_ms = request->session_timeout_ms;
        json_decref(member->topics);
        json_decref(member->owned);
        member->topics = topics;
        member->owned = owned;
    } else {
        json_decref(topics);
        json_decref(owned);
    }
    free(client_id);
}

/* A rebalance that no request explains: somebody who is missing now was silent for too long. */
static void find_expired(struct story_group *group, struct story_rebalance *rebalance,
                         const struct rj_join_group_response *list, const struct capture_exchange *exchange)
{
    for (size_t i = 0; i < group->member_count; i++) {
        struct story_member *member = group->members[i];
        bool listed = false;
        for (int32_t j = 0; j < list->members.count; j++)
            listed |= is(member->id, list->members.items[j].member_id);
        if (member->presence != STORY_IN || listed || member->generation == list->generation_id)
            continue;
        member->presence = STORY_GONE;
        int64_t silent_ms = (rebalance->trigger.time_us - member->seen_us) / 1000;
        bool expired = silent_ms >= member->session_timeout_ms - 500;
        if (expired)
            add_event(group, member, "expired", rebalance->trigger.frame, exchange->response_time_us,
                      "was removed after %lld ms of silence (session timeout %d ms)",
                      (long long)silent_ms, (int)member->session_timeout_ms);
        else
            add_event(group, member, "dropped", rebalance->trigger.frame, exchange->response_time_us,
                      "did not join in time: generation %d is without it", (int)list->generation_id);
        if (rebalance->trigger.cause != STORY_UNKNOWN || !expired)
            continue;
        rebalance->trigger.cause = STORY_MEMBER_EXPIRED;
        free(rebalance->trigger.client_id);
        free(rebalance->trigger.member_id);
        rebalance->trigger.client_id = rejoin_strdup(member->client_id);
        rebalance->trigger.member_id = rejoin_strdup(member->id);
    }
}

static struct story_rebalance *add_rebalance(struct story_group *group, const struct capture_exchange *exchange)
{
    const struct rj_join_group_response *response = exchange->response;
    const struct story_rebalance *before = story_latest(group);
    bool continued = before != NULL && before->generation > 0;
    group->rebalances = rejoin_realloc(group->rebalances,
                                       (group->rebalance_count + 1) * sizeof(group->rebalances[0]));
    struct story_rebalance *rebalance = &group->rebalances[group->rebalance_count++];
    *rebalance = (struct story_rebalance){.generation = response->generation_id, .continued = continued,
                                          .protocol = text_of(response->protocol_name),
                                          .leader = text_of(response->leader), .members = json_object(),
                                          .ended_us = exchange->response_time_us,
                                          .ended_frame = exchange->response_frame};
    bool told_first = group->told_frame != 0 && (!group->trigger.set || group->told_frame < group->trigger.frame);
    if (group->trigger.set && !told_first) {
        rebalance->trigger = group->trigger;
        group->trigger = (struct story_trigger){0};
    } else {
        bool moved = group->moved_frame != 0;
        rebalance->trigger = (struct story_trigger){
            true, moved ? STORY_COORDINATOR_MOVED : STORY_UNKNOWN, rejoin_strdup(""), rejoin_strdup(""),
            rejoin_strdup(""), moved ? group->moved_frame : told_first ? group->told_frame : exchange->request_frame,
            moved ? group->moved_us : told_first ? group->told_us : exchange->request_time_us};
        free_trigger(&group->trigger);
    }
    group->told_frame = group->moved_frame = 0;
    return rebalance;
}

static struct story_member *joined_as(struct story_group *group, const struct capture_exchange *exchange)
{
    const struct rj_join_group_request *request = exchange->request;
    const struct rj_join_group_response *response = exchange->response;
    struct story_member *member = member_of(group, response->member_id);
    struct story_member *old = request->member_id.len == 0 ? instance_of(group, request->group_instance_id) : NULL;
    if (member == NULL) {
        member = add_member(group, exchange, response->member_id, STORY_IN);
        text_subscription(request, &member->topics, &member->owned);
    }
    if (old != NULL && old != member) {
        old->presence = STORY_GONE;
        member->assignment = json_incref(old->assignment);
        member->has_assignment = old->has_assignment;
        member->returned_generation = story_latest(group) ? response->generation_id : 0;
        add_event(group, member, "static-returned", exchange->response_frame, exchange->response_time_us,
                  "returned as instance %s under a new member id", member->instance_id);
    } else if (member->generation == 0) {
        add_event(group, member, "joined", exchange->response_frame, exchange->response_time_us, "joined from %s",
                  member->host);
    }
    member->presence = STORY_IN;
    return member;
}

static void on_join_response(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_join_group_request *request = exchange->request;
    const struct rj_join_group_response *response = exchange->response;
    struct story_group *group = group_of(story, request->group_id);
    coordinator_trouble(group, response->error_code, exchange);
    if (response->error_code == RJ_KAFKA_MEMBER_ID_REQUIRED && member_of(group, response->member_id) == NULL)
        add_member(group, exchange, response->member_id, STORY_PROMISED);
    if (response->error_code != RJ_KAFKA_NONE) {
        struct story_member *refused = member_of(group, request->member_id);
        drop_trigger(group, exchange->request_frame);
        if (refused != NULL && response->error_code == RJ_KAFKA_UNKNOWN_MEMBER_ID)
            refused->presence = STORY_GONE;
        return;
    }
    struct story_member *member = joined_as(group, exchange);
    struct story_rebalance *latest = story_latest(group);
    bool fresh = latest == NULL || latest->generation != response->generation_id;
    if (fresh) {
        latest = add_rebalance(group, exchange);
        member->returned_generation = 0;
    } else {
        drop_trigger(group, exchange->request_frame); /* answered in the same generation */
    }
    if (member->generation != response->generation_id && member->returned_generation != response->generation_id) {
        int64_t waited_us = exchange->request_time_us - latest->trigger.time_us;
        if (waited_us > latest->slowest_us || latest->slowest == NULL) {
            latest->slowest_us = waited_us;
            latest->slowest = member;
        }
    }
    member->generation = response->generation_id;
    member->seen_us = exchange->response_time_us;
    if (response->members.count > 0)
        find_expired(group, latest, response, exchange);
}

/* ---- The other requests ------------------------------------------------------------------------------------------ */

static void on_sync(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_sync_group_request *request = exchange->request;
    const struct rj_sync_group_response *response = exchange->response;
    struct story_group *group = group_of(story, request->group_id);
    struct story_member *member = member_of(group, request->member_id);
    struct story_rebalance *latest = story_latest(group);
    coordinator_trouble(group, response->error_code, exchange);
    if (member == NULL)
        return;
    member->seen_us = exchange->response_time_us;
    if (response->error_code != RJ_KAFKA_NONE || latest == NULL || latest->generation != request->generation_id)
        return;
    int64_t pause_us = exchange->response_time_us - member->join_us;
    bool cooperative = strcmp(latest->protocol, "cooperative-sticky") == 0;
    if (json_object_get(latest->members, member->id) == NULL && member->has_assignment && !cooperative &&
        latest->continued && member->returned_generation != latest->generation && pause_us > latest->pause_us) {
        latest->pause_us = pause_us;
        latest->paused = member;
    }
    json_decref(member->assignment);
    member->assignment = text_assignment(response->assignment);
    member->has_assignment = true;
    if (json_object_get(latest->members, member->id) == NULL && member->returned_generation != latest->generation) {
        json_object_set_new(latest->members, member->id,
                            json_pack("{ss sO}", "client_id", member->client_id, "assignment", member->assignment));
        latest->ended_us = exchange->response_time_us;
        latest->ended_frame = exchange->response_frame;
    }
}

static void on_heartbeat(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_heartbeat_request *request = exchange->request;
    const struct rj_heartbeat_response *response = exchange->response;
    struct story_group *group = group_of(story, request->group_id);
    struct story_member *member = member_of(group, request->member_id);
    coordinator_trouble(group, response->error_code, exchange);
    if (member == NULL)
        return;
    if (response->error_code == RJ_KAFKA_REBALANCE_IN_PROGRESS) {
        member->told_generation = request->generation_id;
        if (group->told_frame == 0) {
            group->told_frame = exchange->response_frame;
            group->told_us = exchange->response_time_us;
        }
    }
    if (response->error_code == RJ_KAFKA_UNKNOWN_MEMBER_ID && member->presence == STORY_IN) {
        member->presence = STORY_GONE;
        add_event(group, member, "refused", exchange->response_frame, exchange->response_time_us,
                  "is not known any more (UNKNOWN_MEMBER_ID)");
    } else if (response->error_code != RJ_KAFKA_UNKNOWN_MEMBER_ID) {
        member->seen_us = exchange->request_time_us;
    }
}

static void left(struct story_group *group, struct story_member *member, const struct capture_exchange *exchange,
                 struct rj_string reason)
{
    if (member == NULL || member->presence == STORY_GONE)
        return;
    bool itself = is(member->client_id, exchange->client_id);
    bool was_in = member->presence == STORY_IN;
    char *said = text_of(reason);
    member->presence = STORY_GONE;
    add_event(group, member, itself ? "left" : "removed", exchange->response_frame, exchange->response_time_us,
              "%s%s%s", itself ? "left" : "was removed by another client", said[0] ? ": " : "", said);
    free(said);
    if (was_in)
        set_trigger(group, itself ? STORY_MEMBER_LEFT : STORY_MEMBER_REMOVED, member->client_id, member->id, reason,
                    exchange->request_frame, exchange->request_time_us);
}

static void on_leave(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_leave_group_request *request = exchange->request;
    const struct rj_leave_group_response *response = exchange->response;
    struct story_group *group = group_of(story, request->group_id);
    coordinator_trouble(group, response->error_code, exchange);
    if (response->error_code != RJ_KAFKA_NONE)
        return;
    if (exchange->version < 3)
        left(group, member_of(group, request->member_id), exchange, RJ_EMPTY_STRING);
    for (int32_t i = 0; exchange->version >= 3 && i < response->members.count; i++) {
        if (response->members.items[i].error_code != RJ_KAFKA_NONE)
            continue;
        struct story_member *member = member_of(group, response->members.items[i].member_id);
        if (member == NULL)
            member = instance_of(group, response->members.items[i].group_instance_id);
        left(group, member, exchange, i < request->members.count ? request->members.items[i].reason : RJ_EMPTY_STRING);
    }
}

static void on_commit(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_offset_commit_request *request = exchange->request;
    const struct rj_offset_commit_response *response = exchange->response;
    struct story_group *group = request->member_id.len > 0 ? group_of(story, request->group_id) : NULL;
    struct story_member *member = group ? member_of(group, request->member_id) : NULL;
    if (member != NULL && response->topics.count > 0 && response->topics.items[0].partitions.count > 0 &&
        response->topics.items[0].partitions.items[0].error_code == RJ_KAFKA_NONE)
        member->seen_us = exchange->request_time_us;
}

static void on_metadata(struct story *story, const struct capture_exchange *exchange)
{
    const struct rj_metadata_response *response = exchange->response;
    for (int32_t i = 0; i < response->topics.count; i++) {
        const struct rj_metadata_response_topic *seen = &response->topics.items[i];
        struct story_topic *topic = NULL;
        for (size_t j = 0; j < story->topic_count && topic == NULL; j++)
            if (is(story->topics[j].name, seen->name))
                topic = &story->topics[j];
        if (seen->error_code != RJ_KAFKA_NONE || seen->name.data == NULL)
            continue;
        if (topic == NULL) {
            story->topics = rejoin_realloc(story->topics, (story->topic_count + 1) * sizeof(story->topics[0]));
            topic = &story->topics[story->topic_count++];
            *topic = (struct story_topic){text_of(seen->name), seen->partitions.count};
        }
        if (topic->partition_count != seen->partitions.count)
            story->partitions_frame = exchange->response_frame;
        topic->partition_count = seen->partitions.count;
    }
}

/* ---- The sink ---------------------------------------------------------------------------------------------------- */

static void on_request(void *story, struct capture_exchange *exchange)
{
    if (exchange->api_key == RJ_API_JOIN_GROUP && exchange->request != NULL)
        on_join_request(story, exchange);
    if (exchange->api_key == RJ_API_CONSUMER_GROUP_HEARTBEAT && exchange->request != NULL)
        group_of(story, ((const struct rj_consumer_group_heartbeat_request *)exchange->request)->group_id)
            ->is_consumer = true;
}

static void on_response(void *story, struct capture_exchange *exchange)
{
    if (exchange->request == NULL || exchange->response == NULL)
        return;
    switch (exchange->api_key) {
    case RJ_API_JOIN_GROUP: on_join_response(story, exchange); break;
    case RJ_API_SYNC_GROUP: on_sync(story, exchange); break;
    case RJ_API_HEARTBEAT: on_heartbeat(story, exchange); break;
    case RJ_API_LEAVE_GROUP: on_leave(story, exchange); break;
    case RJ_API_OFFSET_COMMIT: on_commit(story, exchange); break;
    case RJ_API_METADATA: on_metadata(story, exchange); break;
    default: break;
    }
}

struct capture_sink story_sink(struct story *story)
{
    return (struct capture_sink){.context = story, .request = on_request, .response = on_response};
}

void story_finish(struct story *story, const struct capture_counts *counts) { story->end_us = counts->last_time_us; }

static void free_group(struct story_group *group)
{
    for (size_t i = 0; i < group->member_count; i++) {
        struct story_member *member = group->members[i];
        free(member->id);
        free(member->instance_id);
        free(member->client_id);
        free(member->host);
        json_decref(member->topics);
        json_decref(member->owned);
        json_decref(member->assignment);
        free(member);
    }
    for (size_t i = 0; i < group->rebalance_count; i++) {
        free_trigger(&group->rebalances[i].trigger);
        free(group->rebalances[i].protocol);
        free(group->rebalances[i].leader);
        json_decref(group->rebalances[i].members);
    }
    for (size_t i = 0; i < group->event_count; i++) {
        free(group->events[i].text);
        free(group->events[i].kind);
        free(group->events[i].client_id);
        free(group->events[i].member_id);
    }
    free_trigger(&group->trigger);
    free(group->members);
    free(group->rebalances);
    free(group->events);
    free(group->id);
    free(group);
}

void story_destroy(struct story *story)
{
    for (size_t i = 0; i < story->group_count; i++)
        free_group(story->groups[i]);
    for (size_t i = 0; i < story->topic_count; i++)
        free(story->topics[i].name);
    free(story->groups);
    free(story->topics);
    free(story);
}
