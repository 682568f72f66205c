#include "suite/apis.h"

static void view_leave(const struct rj_leave_group_request *request, int16_t version, struct api_view *view)
{
    view->group = request->group_id;
    if (version < 3) {
        view->member_id = request->member_id;
    } else if (request->members.count > 0) {
        view->member_id = request->members.items[0].member_id;
        view->instance_id = request->members.items[0].group_instance_id;
    }
}

static void view_offset_fetch(const struct rj_offset_fetch_request *request, int16_t version, struct api_view *view)
{
    if (version < 8) {
        view->group = request->group_id;
    } else if (request->groups.count > 0) {
        view->group = request->groups.items[0].group_id;
        view->member_id = request->groups.items[0].member_id;
    }
}

static void view_find(const struct rj_find_coordinator_request *request, int16_t version, struct api_view *view)
{
    if (version < 4)
        view->group = request->key;
    else if (request->coordinator_keys.count > 0)
        view->group = request->coordinator_keys.items[0];
}

/* The fields that Join, Sync, Heartbeat and OffsetCommit share, whatever they call the generation. */
#define VIEW(request, generation_field)                                                                                \
    (struct api_view)                                                                                                  \
    {                                                                                                                  \
        .group = (request)->group_id, .member_id = (request)->member_id,                                               \
        .instance_id = (request)->group_instance_id, .generation = (generation_field)                                  \
    }

bool api_view_request(int16_t api_key, int16_t version, const void *body, struct api_view *view)
{
    *view = (struct api_view){.generation = INT32_MIN};
    if (body == NULL)
        return false;
    switch (api_key) {
    case API_JOIN_GROUP: {
        const struct rj_join_group_request *request = body;
        *view = VIEW(request, INT32_MIN);
        return true;
    }
    case API_SYNC_GROUP: {
        const struct rj_sync_group_request *request = body;
        *view = VIEW(request, request->generation_id);
        return true;
    }
    case API_HEARTBEAT: {
        const struct rj_heartbeat_request *request = body;
        *view = VIEW(request, request->generation_id);
        return true;
    }
    case API_OFFSET_COMMIT: {
        const struct rj_offset_commit_request *request = body;
        *view = VIEW(request, request->generation_id_or_member_epoch);
        return true;
    }
    case API_LEAVE_GROUP:
        view_leave(body, version, view);
        return true;
    case API_OFFSET_FETCH:
        view_offset_fetch(body, version, view);
        return true;
    case API_FIND_COORDINATOR:
        view_find(body, version, view);
        return true;
    default:
        return false;
    }
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

static int16_t either(int16_t first, int16_t second) { return first != 0 ? first : second; }

static int16_t leave_error(const struct rj_leave_group_response *answer)
{
    int16_t error = answer->error_code;
    for (int32_t i = 0; i < answer->members.count; i++)
        error = either(error, answer->members.items[i].error_code);
    return error;
}

static int16_t commit_error(const struct rj_offset_commit_response *answer)
{
    int16_t error = 0;
    for (int32_t i = 0; i < answer->topics.count; i++)
        for (int32_t j = 0; j < answer->topics.items[i].partitions.count; j++)
            error = either(error, answer->topics.items[i].partitions.items[j].error_code);
    return error;
}

static int16_t offset_fetch_error(const struct rj_offset_fetch_response *answer)
{
    int16_t error = answer->error_code;
    for (int32_t i = 0; i < answer->topics.count; i++)
        for (int32_t j = 0; j < answer->topics.items[i].partitions.count; j++)
            error = either(error, answer->topics.items[i].partitions.items[j].error_code);
    for (int32_t i = 0; i < answer->groups.count; i++) {
        const struct rj_offset_fetch_response_group *group = &answer->groups.items[i];
        error = either(error, group->error_code);
        for (int32_t j = 0; j < group->topics.count; j++)
            for (int32_t k = 0; k < group->topics.items[j].partitions.count; k++)
                error = either(error, group->topics.items[j].partitions.items[k].error_code);
    }
    return error;
}

static int16_t find_error(const struct rj_find_coordinator_response *answer, int16_t version)
{
    if (version < 4)
        return answer->error_code;
    int16_t error = 0;
    for (int32_t i = 0; i < answer->coordinators.count; i++)
        error = either(error, answer->coordinators.items[i].error_code);
    return error;
}

bool api_view_answer(int16_t api_key, int16_t version, const void *body, struct api_view *view)
{
    *view = (struct api_view){.generation = INT32_MIN};
    if (body == NULL)
        return false;
    switch (api_key) {
    case API_JOIN_GROUP: {
        const struct rj_join_group_response *answer = body;
        view->member_id = answer->member_id;
        view->generation = answer->generation_id;
        view->error = answer->error_code;
        return true;
    }
    case API_SYNC_GROUP:
        view->error = ((const struct rj_sync_group_response *)body)->error_code;
        return true;
    case API_HEARTBEAT:
        view->error = ((const struct rj_heartbeat_response *)body)->error_code;
        return true;
    case API_OFFSET_COMMIT:
        view->error = commit_error(body);
        return true;
    case API_LEAVE_GROUP:
        view->error = leave_error(body);
        return true;
    case API_OFFSET_FETCH:
        view->error = offset_fetch_error(body);
        return true;
    case API_FIND_COORDINATOR:
        view->error = find_error(body, version);
        return true;
    default:
        return false;
    }
}
