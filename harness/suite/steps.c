#include "suite/steps.h"

#include "suite/judge.h"

#include <string.h>

void step_start_first(struct suite_run *run) { suite_start(run, 0); }
void step_start_second(struct suite_run *run) { suite_start(run, 1); }
void step_start_third(struct suite_run *run) { suite_start(run, 2); }
void step_stop_first(struct suite_run *run) { suite_stop(run, 0); }
void step_kill_first(struct suite_run *run) { suite_kill(run, 0); }

bool until_joined(struct suite_run *run)
{
    return trace_success(suite_trace(run), suite_mark(run), API_SYNC_GROUP) != NULL;
}

bool until_stable(struct suite_run *run)
{
    const struct trace_event *sync = trace_success(suite_trace(run), suite_mark(run), API_SYNC_GROUP);
    return sync != NULL && trace_success(suite_trace(run), sync->number, API_HEARTBEAT) != NULL;
}

bool until_committed(struct suite_run *run)
{
    return trace_success(suite_trace(run), suite_mark(run), API_OFFSET_COMMIT) != NULL;
}

bool until_first_ended(struct suite_run *run) { return suite_ended(run, 0); }

bool until_settled(struct suite_run *run) { return suite_step_age_ms(run) >= 500; }

bool until_a_second_passed(struct suite_run *run) { return suite_step_age_ms(run) >= 1000; }

/* Members with a successful SyncGroup of the newest generation that anybody joined. */
bool step_group_has(const struct suite_run *run, int32_t member_count)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *newest = judge_granted(trace, trace->count + 2, NULL);
    const char *seen[16];
    int32_t count = 0;
    if (newest == NULL)
        return false;
    for (int32_t i = 0; i < trace->count && count < 16; i++) {
        const struct trace_event *answer = &trace->events[i];
        if (answer->kind != TRACE_ANSWER || answer->api_key != API_SYNC_GROUP || answer->error != 0)
            continue;
        const struct trace_event *request = trace_request_of(trace, answer);
        if (request == NULL || request->generation != newest->generation)
            continue;
        int32_t j = 0;
        while (j < count && strcmp(seen[j], request->member_id) != 0)
            j++;
        if (j == count)
            seen[count++] = request->member_id;
    }
    return count == member_count;
}

bool until_two_members(struct suite_run *run) { return step_group_has(run, 2); }
bool until_three_members(struct suite_run *run) { return step_group_has(run, 3); }

void step_forget(struct suite_run *run, const char *member_id)
{
    struct rj_leave_group_request_member_identity member = {
        .member_id = {member_id, (int32_t)strlen(member_id)}, .group_instance_id = RJ_NULL_STRING,
        .reason = RJ_STRING("removed by the suite"),
    };
    struct rj_leave_group_request request = {
        .group_id = RJ_STRING(SUITE_GROUP), .member_id = RJ_EMPTY_STRING, .members = {&member, 1},
    };
    suite_say(run, "the coordinator forgets the member");
    mock_ask(suite_mock(run), API_LEAVE_GROUP, 5, &request);
}
