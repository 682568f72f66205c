/* Cases on leaving, on static members, and on a coordinator that moves. */
#include "suite/judge.h"
#include "suite/steps.h"

#include <stdio.h>
#include <string.h>

/* ---- Leaving ---------------------------------------------------------------------------------------------------- */

static const struct trace_event *leave_on_close(const struct suite_run *run)
{
    int32_t stop = suite_stop_mark(run, 0);
    return stop != 0 ? trace_request(suite_trace(run), stop, API_LEAVE_GROUP) : NULL;
}

static void judge_leaves(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "LeaveGroup with the member id: the others need not wait for the session timeout";
    const struct trace *trace = suite_trace(run);
    int32_t stop = suite_stop_mark(run, 0);
    const struct trace_event *granted = judge_granted(trace, stop, NULL);
    const struct trace_event *leave = leave_on_close(run);
    char aftermath[256];
    if (granted == NULL || stop == 0)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the client was not in the group when it was asked to end");
    else if (leave == NULL)
        judge_say(verdict, SUITE_FAIL, trace_at(trace, stop), NULL, expected,
                  "no LeaveGroup after SIGTERM %s, only %s", judge_where(trace_at(trace, stop)).text,
                  judge_aftermath(run, stop, aftermath, sizeof(aftermath)));
    else
        judge_say(verdict, strcmp(leave->member_id, granted->member_id) == 0 ? SUITE_PASS : SUITE_FAIL, granted, leave,
                  expected, "LeaveGroup %s with member id %s; JoinGroup %s had given %s", judge_where(leave).text,
                  leave->member_id, judge_where(granted).text, granted->member_id);
}

static void judge_nothing_after_leave(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "no Heartbeat, SyncGroup, JoinGroup or OffsetCommit with an id that left";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *leave = leave_on_close(run);
    const struct trace_event *answer = leave != NULL ? trace_answer_of(trace, leave) : NULL;
    if (leave == NULL) {
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "the client did not leave");
        return;
    }
    for (int32_t i = leave->number; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        bool with_id = event->kind == TRACE_REQUEST && event->api_key != API_LEAVE_GROUP &&
                       strcmp(event->member_id, leave->member_id) == 0 && event->member_id[0] != '\0';
        if (with_id) {
            judge_say(verdict, SUITE_FAIL, leave, event, expected, "%s %s after LeaveGroup %s",
                      rj_api_name(event->api_key), judge_where(event).text, judge_where(leave).text);
            return;
        }
    }
    judge_say(verdict, SUITE_PASS, leave, answer, expected, "none after LeaveGroup %s", judge_where(leave).text);
}

static void judge_commits_first(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "what was consumed is committed, then LeaveGroup";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *leave = leave_on_close(run);
    const struct trace_event *commit = leave != NULL ? trace_request(trace, leave->number, API_OFFSET_COMMIT) : NULL;
    if (leave == NULL) {
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "the client did not leave");
        return;
    }
    if (commit != NULL) {
        judge_say(verdict, SUITE_FAIL, leave, commit, expected, "OffsetCommit %s came after LeaveGroup %s",
                  judge_where(commit).text, judge_where(leave).text);
        return;
    }
    const struct trace_event *last = trace_request_before(trace, leave->number, API_OFFSET_COMMIT);
    if (last == NULL)
        judge_say(verdict, SUITE_WARN, leave, NULL, expected, "the client left %s without ever having committed",
                  judge_where(leave).text);
    else
        judge_say(verdict, SUITE_PASS, last, leave, expected, "last OffsetCommit %s, LeaveGroup %s",
                  judge_where(last).text, judge_where(leave).text);
}

static void judge_ends_all_the_same(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the client ends, whatever LeaveGroup is answered";
    const struct trace_event *leave = leave_on_close(run);
    if (leave == NULL)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "the client did not leave");
    else
        judge_say(verdict, SUITE_PASS, leave, NULL, expected, "LeaveGroup %s was refused, the client ended",
                  judge_where(leave).text);
}

/* ---- Static members --------------------------------------------------------------------------------------------- */

static const struct trace_event *without_instance(const struct trace *trace)
{
    for (int32_t i = 0; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        bool can_carry = (event->api_key == API_JOIN_GROUP && event->version >= 5) ||
                         (event->api_key == API_SYNC_GROUP && event->version >= 3) ||
                         (event->api_key == API_HEARTBEAT && event->version >= 3) ||
                         (event->api_key == API_OFFSET_COMMIT && event->version >= 7);
        bool must = can_carry || event->api_key == API_JOIN_GROUP || event->api_key == API_SYNC_GROUP ||
                    event->api_key == API_HEARTBEAT;
        if (event->kind == TRACE_REQUEST && must && event->instance_id == NULL)
            return event;
    }
    return NULL;
}

static void judge_instance_everywhere(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the instance id in every JoinGroup, SyncGroup, Heartbeat and OffsetCommit";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync = trace_success(trace, 0, API_SYNC_GROUP);
    const struct trace_event *without = without_instance(trace);
    if (without != NULL)
        judge_say(verdict, SUITE_FAIL, without, NULL, expected, "%s v%d %s has none", rj_api_name(without->api_key),
                  without->version, judge_where(without).text);
    else if (sync == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup succeeded");
    else
        judge_say(verdict, SUITE_PASS, sync, NULL, expected, "in %d requests",
                  trace_count_requests(trace, 0, API_JOIN_GROUP) + trace_count_requests(trace, 0, API_SYNC_GROUP) +
                      trace_count_requests(trace, 0, API_HEARTBEAT) +
                      trace_count_requests(trace, 0, API_OFFSET_COMMIT));
}

static void judge_static_stays(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "no LeaveGroup on close, so that the member may come back without a rebalance";
    const struct trace_event *leave = leave_on_close(run);
    if (trace_success(suite_trace(run), 0, API_SYNC_GROUP) == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup succeeded");
    else if (leave != NULL)
        judge_say(verdict, SUITE_WARN, leave, NULL, expected, "LeaveGroup %s", judge_where(leave).text);
    else
        judge_say(verdict, SUITE_PASS, NULL, NULL, expected, "none");
}

static void start_again(struct suite_run *run) { suite_start(run, 0); }

/* Number of the event at which the first client was started again; 0: it was not. */
static int32_t second_start(const struct trace *trace)
{
    int32_t starts = 0;
    for (int32_t number = 1; number <= trace->count; number++)
        if (trace_at(trace, number)->kind == TRACE_CASE &&
            strcmp(trace_at(trace, number)->text, "client 1 is started") == 0 && ++starts == 2)
            return number;
    return 0;
}

static void judge_static_returns(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "an empty member id, the same instance id, and the group goes on in its generation";
    const struct trace *trace = suite_trace(run);
    int32_t restart = second_start(trace);
    const struct trace_event *first = judge_granted(trace, restart, NULL);
    const struct trace_event *again = restart != 0 ? trace_success(trace, restart, API_JOIN_GROUP) : NULL;
    if (first == NULL || again == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the member did not come back");
        return;
    }
    const struct trace_event *request = trace_request_of(trace, again);
    bool same_instance = request->instance_id != NULL && trace_request_of(trace, first)->instance_id != NULL &&
                         strcmp(request->instance_id, trace_request_of(trace, first)->instance_id) == 0;
    bool synced = trace_success(trace, again->number, API_SYNC_GROUP) != NULL;
    enum suite_result result = !same_instance || request->member_id[0] != '\0' || !synced ? SUITE_FAIL
                               : again->generation == first->generation                   ? SUITE_PASS
                                                                                          : SUITE_WARN;
    judge_say(verdict, result, request, again, expected,
              "JoinGroup %s with instance id %s and %s; generation %d before, %d after%s", judge_where(request).text,
              request->instance_id != NULL ? request->instance_id : "null",
              request->member_id[0] != '\0' ? request->member_id : "an empty member id", first->generation,
              again->generation, synced ? "" : "; no SyncGroup succeeded");
}

static void judge_static_floor(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "an error for the application rather than a silent dynamic member";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_success(trace, 0, API_JOIN_GROUP);
    if (join == NULL)
        judge_say(verdict, SUITE_PASS, NULL, NULL, expected, "the client did not join");
    else
        judge_say(verdict, SUITE_WARN, trace_request_of(trace, join), join, expected,
                  "JoinGroup v%d %s has no place for the instance id, and the client joined all the same",
                  join->version, judge_where(trace_request_of(trace, join)).text);
}

static bool until_joined_or_six_seconds(struct suite_run *run)
{
    return until_joined(run) || suite_step_age_ms(run) >= 6000 || suite_ended(run, 0);
}

/* ---- A coordinator that moves ----------------------------------------------------------------------------------- */

static void move_away(struct suite_run *run) { suite_move_coordinator(run, 300); }

static const struct trace_event *moved(const struct trace *trace)
{
    for (int32_t number = 1; number <= trace->count; number++)
        if (trace_at(trace, number)->kind == TRACE_CASE && strstr(trace_at(trace, number)->text, "coordinator moves"))
            return trace_at(trace, number);
    return NULL;
}

static const struct trace_event *beat_elsewhere(const struct trace *trace)
{
    const struct trace_event *from = moved(trace);
    if (from == NULL)
        return NULL;
    const struct trace_event *before = trace_request_before(trace, from->number, API_HEARTBEAT);
    const struct trace_event *beat = trace_success(trace, from->number, API_HEARTBEAT);
    while (beat != NULL && before != NULL && beat->broker_id == before->broker_id)
        beat = trace_success(trace, beat->number, API_HEARTBEAT);
    return beat;
}

static bool until_beat_elsewhere(struct suite_run *run) { return beat_elsewhere(suite_trace(run)) != NULL; }

static void judge_follows_coordinator(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "FindCoordinator, then heartbeats at the new coordinator in the same generation";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *from = moved(trace), *beat = beat_elsewhere(trace);
    char aftermath[256];
    if (from == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the client never was in the group");
        return;
    }
    if (beat == NULL) {
        judge_say(verdict, SUITE_FAIL, from, NULL, expected,
                  "no heartbeat succeeded at the new coordinator after the move %s: %s", judge_where(from).text,
                  judge_aftermath(run, from->number, aftermath, sizeof(aftermath)));
        return;
    }
    const struct trace_event *join = trace_request(trace, from->number, API_JOIN_GROUP);
    bool joined = join != NULL && join->number < beat->number;
    judge_say(verdict, joined ? SUITE_PASS_LENIENT : SUITE_PASS, from, beat, expected,
              "moved %s, first heartbeat at the new coordinator %s%s", judge_where(from).text, judge_where(beat).text,
              joined ? ", after a rebalance that was not needed" : "");
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

#define CLOSES                                                                                                         \
    .steps = {{"the client is started", NULL, 0, step_start_first},                                                    \
              {"the client is in the group", until_stable, 10000, NULL},                                               \
              {"the client consumed for a while", until_a_second_passed, 2000, step_stop_first},                       \
              {"the client ends", until_first_ended, 8000, NULL}}

static const struct suite_case leave_close = {
    .id = "leave/on-close", .rule = "cl-leave-on-close",
    .requirement = "A dynamic member that is closed leaves its group.",
    .source = "ConsumerCoordinatorTest.testLeaveGroupOnClose 4.1", CLOSES, .judge = judge_leaves};

static const struct suite_case leave_last = {
    .id = "leave/nothing-after-it", .rule = "cl-leave-no-more",
    .requirement = "After LeaveGroup nothing is sent with the old member id.",
    .source = "AbstractCoordinator.maybeLeaveGroup 4.1", CLOSES, .judge = judge_nothing_after_leave};

static const struct suite_case leave_commit = {
    .id = "leave/commits-first", .rule = "cl-close-commit-first",
    .requirement = "On close offsets are committed before LeaveGroup.",
    .source = "ConsumerCoordinator.close 4.1", CLOSES, .judge = judge_commits_first};

static const struct suite_case leave_refused = {
    .id = "leave/refused-ends-all-the-same", .rule = "cl-leave-ignore",
    .requirement = "A refused LeaveGroup does not keep the client from ending.",
    .source = "AbstractCoordinator.LeaveGroupResponseHandler 4.1",
    .faults = {{.api_key = API_LEAVE_GROUP, .from = 1, .count = 1000, .action = MOCK_ANSWER_ERROR,
                .error = RJ_KAFKA_UNKNOWN_MEMBER_ID}},
    CLOSES, .judge = judge_ends_all_the_same};

static const struct suite_case leave_lost = {
    .id = "leave/connection-lost-ends-all-the-same", .rule = "cl-leave-ignore",
    .requirement = "A connection lost during LeaveGroup does not keep the client from ending.",
    .source = "AbstractCoordinator.maybeLeaveGroup 4.1",
    .faults = {{.api_key = API_LEAVE_GROUP, .from = 1, .count = 1000, .action = MOCK_DISCONNECT_BEFORE}},
    CLOSES, .judge = judge_ends_all_the_same};

static const struct suite_case static_everywhere = {
    .id = "static/carries-its-instance-id", .rule = "cl-sync-fields",
    .requirement = "A static member carries its instance id in every request that has a place for it.",
    .source = "KIP-345", .client = {.is_static = true},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, NULL},
              {"the client consumed for a while", until_a_second_passed, 2000, NULL}},
    .judge = judge_instance_everywhere};

static const struct suite_case static_close = {
    .id = "static/stays-on-close", .rule = "cl-static-close",
    .requirement = "A static member that is closed does not leave its group unless it is told to.",
    .source = "KIP-345; KIP-1092; AbstractCoordinatorTest.testLeaveGroupSentWithGroupInstanceIdUnSet 4.1",
    .client = {.is_static = true}, CLOSES, .judge = judge_static_stays};

static const struct suite_case static_returns = {
    .id = "static/comes-back-without-a-rebalance", .rule = "cl-static-close",
    .requirement = "A static member that is started again takes its place in the same generation.",
    .source = "KIP-345", .client = {.is_static = true},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, NULL},
              {"the client consumed for a while", until_settled, 2000, step_stop_first},
              {"the client ends", until_first_ended, 8000, start_again},
              {"the client is in the group again", until_joined, 10000, NULL}},
    .judge = judge_static_returns};

static const struct suite_case static_floor = {
    .id = "static/refuses-an-old-broker", .rule = "cl-unknown-version-floor",
    .requirement = "A static member does not join a broker whose versions cannot carry its instance id.",
    .source = "KIP-345", .cluster = {.kafka_version = "2.2"}, .client = {.is_static = true},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client decides", until_joined_or_six_seconds, 7000, NULL}},
    .judge = judge_static_floor};

static const struct suite_case coordinator_moves = {
    .id = "coordinator/moves-while-stable", .rule = "cl-hb-16",
    .requirement = "When the coordinator moves to another broker the member follows it and keeps its membership.",
    .source = "ConsumerCoordinatorTest.testNotCoordinator 4.1", .cluster = {.broker_count = 2},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, move_away},
              {"it heartbeats at the new coordinator", until_beat_elsewhere, 12000, NULL},
              {"what follows is seen", until_settled, 1000, NULL}},
    .judge = judge_follows_coordinator};

const struct suite_case *const suite_leave_cases[] = {
    &leave_close, &leave_last, &leave_commit, &leave_refused, &leave_lost, &static_everywhere, &static_close,
    &static_returns, &static_floor, &coordinator_moves,
};
const int suite_leave_cases_count = sizeof(suite_leave_cases) / sizeof(suite_leave_cases[0]);
