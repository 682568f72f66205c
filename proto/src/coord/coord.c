/* The step: one event in, one update out. */
#include "coord/api.h"
#include "coord/load.h"
#include "coord/offsets.h"
#include "coord/parked.h"
#include "coord/rebalance.h"
#include "coord/reply.h"
#include "coord/writes.h"

enum rj_err rj_coord_create(struct rj_coord **result, const struct rj_allocator *allocator,
                            const struct rj_limits *limits, const struct rj_config *config)
{
    return rj_coord_create_sharing(result, allocator, limits, config, NULL);
}

enum rj_err rj_coord_create_sharing(struct rj_coord **result, const struct rj_allocator *allocator,
                                    const struct rj_limits *limits, const struct rj_config *config,
                                    struct rj_shared_output *shared)
{
    struct rj_coord *coord = allocator->alloc(allocator->context, sizeof(*coord));
    if (coord == NULL)
        return RJ_ERR_MEMORY;
    memset(coord, 0, sizeof(*coord));
    coord->memory = (struct rj_memory){.allocator = *allocator, .limit_bytes = limits->bytes};
    coord->limits = *limits;
    coord->config = *config;
    coord->output = shared ? &shared->output : &coord->own_output;
    coord->expiry_timer.kind = RJ_TIMER_EXPIRY;
    if ((shared == NULL && !rj_output_begin(coord->output, &coord->memory)) ||
        !rj_timers_reserve(&coord->timers, 1, &coord->memory)) {
        rj_coord_destroy(coord);
        return RJ_ERR_MEMORY;
    }
    *result = coord;
    return RJ_OK;
}

void rj_coord_destroy(struct rj_coord *coord)
{
    if (coord == NULL)
        return;
    struct rj_allocator allocator = coord->memory.allocator;
    rj_forget_everything(coord);
    if (coord->output == &coord->own_output)
        rj_output_release(coord->output);
    rj_memory_collect(&coord->memory);
    rj_map_release(&coord->groups);
    rj_map_release(&coord->transactions);
    rj_timers_release(&coord->timers);
    allocator.free(allocator.context, coord, sizeof(*coord));
}

int64_t rj_next_deadline_ms(const struct rj_coord *coord) { return rj_timers_next_ms(&coord->timers); }

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

struct api { int16_t api_key; bool (*serve)(const struct rj_call *call); };

static const struct api apis[] = {
    {8, rj_offset_commit},   {9, rj_offset_fetch},   {11, rj_join_group},        {12, rj_heartbeat},
    {13, rj_leave_group},    {14, rj_sync_group},    {15, rj_describe_groups},   {16, rj_list_groups},
    {28, rj_txn_offset_commit}, {42, rj_delete_groups}, {47, rj_offset_delete},
};

static const struct api *api_by_key(int16_t api_key)
{
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
        if (apis[i].api_key == api_key)
            return &apis[i];
    return NULL;
}

static enum rj_err serve(struct rj_coord *coord, const struct rj_event *event)
{
    const struct api *api = api_by_key(event->as.request.api_key);
    if (api == NULL)
        return RJ_ERR_API;
    struct rj_call call = {
        .coord = coord,
        .origin = {event->as.request.connection_id, event->as.request.correlation_id, event->as.request.api_key,
                   event->as.request.version},
        .client_id = RJ_DOES(WIRE_NULL_CLIENT_ID, event->as.request.client_id.data == NULL)
                         ? RJ_EMPTY_STRING
                         : event->as.request.client_id,
        .client_host = event->as.request.client_host.data ? event->as.request.client_host : RJ_EMPTY_STRING,
        .body = event->as.request.body, .rights = event->as.request.rights,
        .subscriptions = event->as.request.subscriptions, .entropy = &event->entropy,
        .is_assured = event->is_assured};
    if (RJ_DOES(LIMIT_MEMORY, !api->serve(&call))) {
        rj_output_reset(coord->output);
        rj_refuse_for_memory(coord, &call.origin, call.body);
    }
    return RJ_OK;
}

/* ---- Timers ------------------------------------------------------------------------------------------------------ */

static void write_emptied(struct rj_group *group, enum rj_outcome outcome)
{
    struct rj_coord *coord = group->coord;
    if (outcome != RJ_OUTCOME_EMPTIED)
        return;
    struct rj_write *write = coord->spare_write;
    coord->spare_write = NULL;
    struct rj_offsets_record *record = rj_output_take(coord->output, sizeof(*record));
    *record = rj_group_record(group, NULL);
    coord->next_position++;
    rj_write_set_group(write, group);
    rj_write_start(coord, write, RJ_WRITE_EMPTY, record, 1);
}

static bool fire_session(struct rj_identity *identity)
{
    struct rj_group *group = identity->group;
    if (!rj_cascade_reserve(group, NULL, false))
        return false;
    rj_group_hold(group);
    rj_identity_hold(identity);
    write_emptied(group, rj_expire_session(identity));
    rj_identity_drop(identity);
    rj_group_drop(group);
    return true;
}

static bool fire_group(struct rj_group *group, enum rj_timer_kind kind)
{
    if (!rj_cascade_reserve(group, NULL, false))
        return false;
    rj_group_hold(group);
    write_emptied(group, kind == RJ_TIMER_JOIN ? rj_expire_join(group) : rj_expire_sync(group));
    rj_group_drop(group);
    return true;
}

static bool fire(struct rj_coord *coord, struct rj_timer *timer)
{
    switch ((enum rj_timer_kind)timer->kind) {
    case RJ_TIMER_SESSION: return fire_session(RJ_CONTAINER(timer, struct rj_identity, timer));
    case RJ_TIMER_JOIN: return fire_group(RJ_CONTAINER(timer, struct rj_group, join_timer), RJ_TIMER_JOIN);
    case RJ_TIMER_SYNC: return fire_group(RJ_CONTAINER(timer, struct rj_group, sync_timer), RJ_TIMER_SYNC);
    case RJ_TIMER_WRITE: return rj_write_expire(coord, RJ_CONTAINER(timer, struct rj_write, timer));
    case RJ_TIMER_EXPIRY:
        if (!rj_expire_offsets(coord))
            return false;
        rj_timer_start(&coord->timers, timer, coord->now_ms, coord->config.offsets_retention_check_interval_ms);
        return true;
    }
    return true;
}

/* Stops behind a timer that has written records, so that its answers come before the next timer's. */
static enum rj_err tick(struct rj_coord *coord)
{
    for (int32_t fired = 0; coord->output->append_count == 0; fired++) {
        struct rj_timer *timer = rj_timers_pop(&coord->timers, coord->now_ms);
        if (timer == NULL)
            break;
        if (fire(coord, timer))
            continue;
        rj_timer_start(&coord->timers, timer, timer->deadline_ms, 0);
        return fired > 0 ? RJ_OK : RJ_ERR_MEMORY;
    }
    return RJ_OK;
}

/* ---- The step ---------------------------------------------------------------------------------------------------- */

static enum rj_err dispatch(struct rj_coord *coord, const struct rj_event *event)
{
    switch (event->type) {
    case RJ_EVENT_REQUEST: return serve(coord, event);
    case RJ_EVENT_TICK: return tick(coord);
    case RJ_EVENT_DISCONNECT:
        if (!RJ_DOES(WIRE_PURGE, true))
            return RJ_OK;
        rj_parked_disconnect(coord, event->as.disconnect.connection_id);
        rj_writes_disconnect(coord, event->as.disconnect.connection_id);
        return RJ_OK;
    case RJ_EVENT_TOPIC_METADATA:
        return rj_topics_changed(coord, event->as.topic_metadata.topics) ? RJ_OK : RJ_ERR_MEMORY;
    case RJ_EVENT_CONFIG: coord->config = *event->as.config.config; return RJ_OK;
    case RJ_EVENT_APPEND_RESULT:
        return rj_write_result(coord, event->as.append_result.append_id, event->as.append_result.error_code)
                   ? RJ_OK
                   : RJ_ERR_MEMORY;
    case RJ_EVENT_LOAD_BEGIN: rj_load_begin(coord); return RJ_OK;
    case RJ_EVENT_LOAD_RECORD:
        return rj_load_record(coord, &event->as.load_record.record, event->as.load_record.producer_id,
                              event->as.load_record.log_offset)
                   ? RJ_OK
                   : RJ_ERR_MEMORY;
    case RJ_EVENT_LOAD_END: return rj_load_end(coord) ? RJ_OK : RJ_ERR_MEMORY;
    case RJ_EVENT_UNLOAD: return rj_unload(coord) ? RJ_OK : RJ_ERR_MEMORY;
    case RJ_EVENT_TRANSACTION_MARKER:
        rj_transaction_end(coord, event->as.transaction_marker.producer_id, event->as.transaction_marker.commit);
        coord->next_position++;
        return RJ_OK;
    }
    return RJ_OK;
}

enum rj_err rj_step(struct rj_coord *coord, const struct rj_event *event, struct rj_update *update)
{
    rj_output_reset(coord->output);
    rj_memory_collect(&coord->memory);
    if (event->now_ms > coord->now_ms)
        coord->now_ms = event->now_ms;
    if (coord->expiry_timer.place == 0 && coord->status == RJ_COORD_ACTIVE)
        rj_timer_start(&coord->timers, &coord->expiry_timer,
                       coord->now_ms, coord->config.offsets_retention_check_interval_ms);
    coord->pins = event->pins;
    coord->entropy_used = false;
    enum rj_err err = dispatch(coord, event);
    rj_cascade_release(coord);
    const struct rj_output *output = coord->output;
    *update = (struct rj_update){.replies = output->replies, .reply_count = output->reply_count,
                                 .appends = output->appends, .append_count = output->append_count,
                                 .changes = output->changes, .change_count = output->change_count,
                                 .entropy_used = coord->entropy_used};
    return err;
}
