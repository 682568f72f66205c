/* Cases with two or three members of the client under test: who assigns, who owns what, who gives up what and when. */
#include "suite/judge.h"
#include "suite/steps.h"

#include <stdio.h>
#include <string.h>

#define JOIN_ANSWER(event) ((const struct rj_join_group_response *)(event)->body)
#define SYNC_REQUEST(event) ((const struct rj_sync_group_request *)(event)->body)
#define SYNC_ANSWER(event) ((const struct rj_sync_group_response *)(event)->body)

static void start_others(struct suite_run *run)
{
    suite_start(run, 1);
    suite_start(run, 2);
}

/* ---- Who assigns ------------------------------------------------------------------------------------------------ */

static bool is_leader(const struct trace_event *join) { return JOIN_ANSWER(join)->members.count > 0; }

/* The first listed member for which the leader's SyncGroup has no entry; NULL: all are there. */
static const struct rj_join_group_response_member *left_out(const struct trace_event *join,
                                                            const struct trace_event *sync)
{
    for (int32_t i = 0; i < JOIN_ANSWER(join)->members.count; i++) {
        const struct rj_join_group_response_member *member = &JOIN_ANSWER(join)->members.items[i];
        bool there = false;
        for (int32_t j = 0; j < SYNC_REQUEST(sync)->assignments.count; j++)
            there |= rj_string_equal(SYNC_REQUEST(sync)->assignments.items[j].member_id, member->member_id);
        if (!there)
            return member;
    }
    return NULL;
}

static void judge_leader(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the leader's SyncGroup has an entry for every member that JoinGroup listed";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_success(trace, 0, API_JOIN_GROUP), *last = NULL;
    int32_t most = 0;
    for (; join != NULL; join = trace_success(trace, join->number, API_JOIN_GROUP)) {
        const struct trace_event *sync = trace_request(trace, join->number, API_SYNC_GROUP);
        while (sync != NULL && (strcmp(sync->member_id, join->member_id) != 0 || sync->generation != join->generation))
            sync = trace_request(trace, sync->number, API_SYNC_GROUP);
        if (!is_leader(join) || sync == NULL || sync->body == NULL || JOIN_ANSWER(join)->skip_assignment)
            continue;
        const struct rj_join_group_response_member *missing = left_out(join, sync);
        last = sync;
        most = JOIN_ANSWER(join)->members.count > most ? JOIN_ANSWER(join)->members.count : most;
        if (missing != NULL) {
            judge_say(verdict, SUITE_FAIL, join, sync, expected, "JoinGroup answer %s listed %d members, SyncGroup %s "
                      "leaves out %.*s", judge_where(join).text, JOIN_ANSWER(join)->members.count,
                      judge_where(sync).text, missing->member_id.len, missing->member_id.data);
            return;
        }
    }
    if (most < 2)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the group never had two members");
    else
        judge_say(verdict, SUITE_PASS, last, NULL, expected, "in every generation, with up to %d members", most);
}

static void judge_follower(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "a follower's SyncGroup has no assignments";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync = trace_request(trace, 0, API_SYNC_GROUP), *last = NULL;
    for (; sync != NULL; sync = trace_request(trace, sync->number, API_SYNC_GROUP)) {
        const struct trace_event *join = judge_granted(trace, sync->number, sync->member_id);
        if (join == NULL || sync->body == NULL || is_leader(join))
            continue;
        last = sync;
        if (SYNC_REQUEST(sync)->assignments.count > 0) {
            judge_say(verdict, SUITE_FAIL, join, sync, expected, "SyncGroup %s of the follower %s has %d",
                      judge_where(sync).text, sync->member_id, SYNC_REQUEST(sync)->assignments.count);
            return;
        }
    }
    if (last == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "there never was a follower");
    else
        judge_say(verdict, SUITE_PASS, last, NULL, expected, "none, as in SyncGroup %s", judge_where(last).text);
}

/* ---- Who owns what ---------------------------------------------------------------------------------------------- */

#define GROUP_PARTITIONS 4
#define ALL_PARTITIONS ((UINT64_C(1) << GROUP_PARTITIONS) - 1)

static void judge_one_owner(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "in the last generation every partition has exactly one owner";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *newest = judge_granted(trace, trace->count + 2, NULL);
    uint64_t owned = 0, twice = 0;
    int32_t members = 0;
    char text[2][128];
    for (int32_t i = 0; newest != NULL && i < trace->count; i++) {
        const struct trace_event *answer = &trace->events[i];
        const struct trace_event *request = trace_request_of(trace, answer);
        uint64_t partitions;
        if (answer->api_key != API_SYNC_GROUP || request == NULL || answer->error != 0 || answer->body == NULL ||
            request->generation != newest->generation)
            continue;
        if (!judge_assignment(trace, SYNC_ANSWER(answer)->assignment, &partitions)) {
            judge_say(verdict, SUITE_FAIL, answer, NULL, expected, "the assignment %s cannot be read or names other "
                      "topics", judge_where(answer).text);
            return;
        }
        twice |= owned & partitions;
        owned |= partitions;
        members++;
    }
    if (members < 2)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the group never had two members");
    else
        judge_say(verdict, twice != 0 || owned != ALL_PARTITIONS ? SUITE_FAIL : SUITE_PASS, newest, NULL, expected,
                  "%d members in generation %d; without an owner: %s; with two: %s", members, newest->generation,
                  judge_partitions(ALL_PARTITIONS & ~owned, text[0], sizeof(text[0])),
                  judge_partitions(twice, text[1], sizeof(text[1])));
}

static void judge_idle(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "a member without partitions heartbeats and stays";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *idle = NULL;
    for (int32_t i = 0; i < trace->count; i++) {
        const struct trace_event *answer = &trace->events[i];
        uint64_t partitions;
        if (answer->kind == TRACE_ANSWER && answer->api_key == API_SYNC_GROUP && answer->error == 0 &&
            answer->body != NULL && trace_request_of(trace, answer) != NULL &&
            judge_assignment(trace, SYNC_ANSWER(answer)->assignment, &partitions) && partitions == 0)
            idle = answer;
    }
    if (idle == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "nobody was without a partition");
        return;
    }
    const char *member = trace_request_of(trace, idle)->member_id;
    int32_t beats = 0, first_stop = trace->count;
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (suite_started(run, i) && suite_stop_mark(run, i) != 0 && suite_stop_mark(run, i) < first_stop)
            first_stop = suite_stop_mark(run, i);
    for (int32_t number = idle->number + 1; number < first_stop; number++) {
        const struct trace_event *event = trace_at(trace, number);
        if (event->kind != TRACE_REQUEST || strcmp(event->member_id, member) != 0)
            continue;
        if (event->api_key == API_LEAVE_GROUP) {
            judge_say(verdict, SUITE_FAIL, idle, event, expected, "%s left %s", member, judge_where(event).text);
            return;
        }
        beats += event->api_key == API_HEARTBEAT;
    }
    judge_say(verdict, beats > 0 ? SUITE_PASS : SUITE_FAIL, idle, NULL, expected,
              "%s got nothing %s and sent %d heartbeats after it", member, judge_where(idle).text, beats);
}

/* What the member may commit under this generation: what the SyncGroup of that generation gave it. */
static bool owned_in(const struct trace *trace, const char *member_id, int32_t generation, uint64_t *partitions)
{
    bool found = false;
    for (int32_t i = 0; i < trace->count; i++) {
        const struct trace_event *answer = &trace->events[i];
        const struct trace_event *request = trace_request_of(trace, answer);
        if (answer->api_key == API_SYNC_GROUP && answer->error == 0 && answer->body != NULL && request != NULL &&
            request->generation == generation && strcmp(request->member_id, member_id) == 0)
            found = judge_assignment(trace, SYNC_ANSWER(answer)->assignment, partitions);
    }
    return found;
}

static void judge_commits_owned(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "every commit names partitions that the member owns in the generation it carries";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *commit = trace_request(trace, 0, API_OFFSET_COMMIT);
    int32_t judged = 0, after_takeover = 0;
    for (; commit != NULL; commit = trace_request(trace, commit->number, API_OFFSET_COMMIT)) {
        const struct rj_offset_commit_request *request = commit->body;
        uint64_t owned = 0, named = 0;
        if (request == NULL || !owned_in(trace, commit->member_id, commit->generation, &owned))
            continue;
        for (int32_t i = 0; i < request->topics.count; i++)
            for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
                named |= UINT64_C(1) << (request->topics.items[i].partitions.items[j].partition_index & 63);
        judged++;
        after_takeover += owned != ALL_PARTITIONS;
        if ((named & ~owned) != 0) {
            char text[2][128];
            judge_say(verdict, SUITE_FAIL, commit, NULL, expected,
                      "OffsetCommit %s in generation %d names partitions %s, owned were %s", judge_where(commit).text,
                      commit->generation, judge_partitions(named, text[0], sizeof(text[0])),
                      judge_partitions(owned, text[1], sizeof(text[1])));
            return;
        }
    }
    if (after_takeover == 0)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "nothing was committed after the second member came");
    else
        judge_say(verdict, SUITE_PASS, NULL, NULL, expected, "%d commits, %d of them after the second member came",
                  judged, after_takeover);
}

/* The partitions that a client's fetch session names, from its Fetch requests: a full one sets them, others add and
 * take away (KIP-227). */
static uint64_t session_partitions(const struct trace_event *fetch, uint64_t before)
{
    const struct rj_fetch_request *request = fetch->body;
    uint64_t partitions = fetch->version < 7 || request->session_epoch <= 0 ? 0 : before;
    for (int32_t i = 0; i < request->topics.count; i++)
        for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
            partitions |= UINT64_C(1) << (request->topics.items[i].partitions.items[j].partition & 63);
    for (int32_t i = 0; i < request->forgotten_topics_data.count; i++)
        for (int32_t j = 0; j < request->forgotten_topics_data.items[i].partitions.count; j++)
            partitions &= ~(UINT64_C(1) << (request->forgotten_topics_data.items[i].partitions.items[j] & 63));
    return partitions;
}

/* How long after the SyncGroup answer a Fetch that was on its way may still come; Fetch waits up to 500 ms. */
#define FETCH_SETTLES_US 1000000

static void judge_fetches_owned(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "after the rebalance the first member fetches only what it still owns";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *first = trace_success(trace, 0, API_SYNC_GROUP), *sync = NULL, *last = NULL;
    const char *member = first != NULL ? trace_request_of(trace, first)->member_id : "";
    const char *client = first != NULL ? trace_request_of(trace, first)->client_id : "";
    for (const struct trace_event *answer = first; answer != NULL;
         answer = trace_success(trace, answer->number, API_SYNC_GROUP))
        if (strcmp(trace_request_of(trace, answer)->member_id, member) == 0)
            sync = answer;
    uint64_t owned = ALL_PARTITIONS, named = 0;
    if (sync != NULL)
        judge_assigned(trace, sync->number + 1, member, &owned);
    if (sync == NULL || owned == ALL_PARTITIONS) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the first member never shared its partitions");
        return;
    }
    for (const struct trace_event *fetch = trace_request(trace, 0, API_FETCH); fetch != NULL;
         fetch = trace_request(trace, fetch->number, API_FETCH)) {
        if (strcmp(fetch->client_id, client) != 0 || fetch->body == NULL)
            continue;
        named = session_partitions(fetch, named);
        last = fetch;
        if ((named & ~owned) != 0 && fetch->at_us - sync->at_us > FETCH_SETTLES_US) {
            char text[2][128];
            judge_say(verdict, SUITE_FAIL, sync, fetch, expected, "Fetch %s asks for partitions %s, owned since %s: %s",
                      judge_where(fetch).text, judge_partitions(named, text[0], sizeof(text[0])),
                      judge_where(sync).text, judge_partitions(owned, text[1], sizeof(text[1])));
            return;
        }
    }
    if (last == NULL || last->at_us - sync->at_us <= FETCH_SETTLES_US)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "no Fetch of the first member came after it");
    else
        judge_say(verdict, SUITE_PASS, sync, last, expected, "owned since %s, last Fetch %s", judge_where(sync).text,
                  judge_where(last).text);
}

static bool until_two_seconds_passed(struct suite_run *run) { return suite_step_age_ms(run) >= 2000; }

/* ---- Rebalances ------------------------------------------------------------------------------------------------- */

static void judge_makes_room(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the first member rejoins with its id when the second comes";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *first = trace_success(trace, 0, API_JOIN_GROUP);
    const struct trace_event *told = first != NULL ? trace_answer(trace, first->number, API_HEARTBEAT) : NULL;
    while (told != NULL && told->error != RJ_KAFKA_REBALANCE_IN_PROGRESS)
        told = trace_answer(trace, told->number, API_HEARTBEAT);
    const struct trace_event *join = told != NULL ? trace_request(trace, told->number, API_JOIN_GROUP) : NULL;
    while (join != NULL && strcmp(join->member_id, first->member_id) != 0)
        join = trace_request(trace, join->number, API_JOIN_GROUP);
    if (told == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no heartbeat heard of the rebalance");
    else if (join == NULL || !suite_ran_to_its_end(run))
        judge_say(verdict, SUITE_FAIL, told, join, expected,
                  "Heartbeat was answered 27 %s; JoinGroup with the same member id: %s", judge_where(told).text,
                  judge_where(join).text);
    else
        judge_say(verdict, SUITE_PASS, told, join, expected, "Heartbeat answered 27 %s, JoinGroup %s",
                  judge_where(told).text, judge_where(join).text);
}

/* The first JoinGroup with which the first member comes back after it had partitions. */
static const struct trace_event *first_rejoin(const struct trace *trace, const struct trace_event **sync)
{
    *sync = trace_success(trace, 0, API_SYNC_GROUP);
    if (*sync == NULL)
        return NULL;
    const char *member = trace_request_of(trace, *sync)->member_id;
    const struct trace_event *join = trace_request(trace, (*sync)->number, API_JOIN_GROUP);
    while (join != NULL && strcmp(join->member_id, member) != 0)
        join = trace_request(trace, join->number, API_JOIN_GROUP);
    return join;
}

static void judge_eager(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "an eager member claims no partitions when it rejoins";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync, *join = first_rejoin(trace, &sync);
    const struct rj_join_group_request *request = join != NULL ? join->body : NULL;
    for (int32_t i = 0; request != NULL && i < request->protocols.count; i++) {
        struct judge_subscription subscription;
        char text[128];
        if (!judge_subscription(trace, request->protocols.items[i].metadata, &subscription))
            continue;
        judge_say(verdict, subscription.owned != 0 ? SUITE_FAIL : SUITE_PASS, join, NULL, expected,
                  "JoinGroup %s, protocol %.*s, claims partitions: %s", judge_where(join).text,
                  request->protocols.items[i].name.len, request->protocols.items[i].name.data,
                  judge_partitions(subscription.owned, text, sizeof(text)));
        return;
    }
    if (join != NULL)
        judge_say(verdict, SUITE_INCONCLUSIVE, join, NULL, expected, "JoinGroup %s has no subscription that can be read",
                  judge_where(join).text);
    else
        judge_missing(run, verdict, SUITE_FAIL, expected, "the first member did not rejoin");
}

static bool offers(const struct trace_event *join, struct rj_string name, struct rj_bytes *metadata)
{
    const struct rj_join_group_request *request = join->body;
    for (int32_t i = 0; request != NULL && i < request->protocols.count; i++)
        if (rj_string_equal(request->protocols.items[i].name, name)) {
            *metadata = request->protocols.items[i].metadata;
            return true;
        }
    return false;
}

static void judge_coop_keeps(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the rejoin claims the partitions that the member owns";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync, *join = first_rejoin(trace, &sync);
    struct judge_subscription subscription;
    struct rj_bytes metadata;
    uint64_t owned = 0;
    char text[2][128];
    if (join == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the first member did not rejoin");
        return;
    }
    if (!offers(join, RJ_STRING("cooperative-sticky"), &metadata)) {
        judge_say(verdict, SUITE_UNSUPPORTED, join, NULL, expected, "the client does not offer cooperative-sticky");
        return;
    }
    judge_assigned(trace, join->number, join->member_id, &owned);
    bool read = judge_subscription(trace, metadata, &subscription);
    judge_say(verdict, read && subscription.owned == owned ? SUITE_PASS : SUITE_FAIL, sync, join, expected,
              "JoinGroup %s, subscription v%d, claims %s; the member owned %s", judge_where(join).text,
              subscription.version, judge_partitions(subscription.owned, text[0], sizeof(text[0])),
              judge_partitions(owned, text[1], sizeof(text[1])));
}

static void judge_coop_transfer(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "a partition is given up first and handed out a generation later";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync, *join = first_rejoin(trace, &sync);
    struct rj_bytes metadata;
    uint64_t owned = 0;
    if (join == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the first member did not rejoin");
        return;
    }
    if (!offers(join, RJ_STRING("cooperative-sticky"), &metadata)) {
        judge_say(verdict, SUITE_UNSUPPORTED, join, NULL, expected, "the client does not offer cooperative-sticky");
        return;
    }
    judge_assigned(trace, join->number, join->member_id, &owned);
    const struct trace_event *answer = trace_answer_of(trace, join);
    for (int32_t i = 0; answer != NULL && i < trace->count; i++) {
        const struct trace_event *other = &trace->events[i];
        const struct trace_event *request = trace_request_of(trace, other);
        uint64_t given = 0;
        char text[128];
        if (other->api_key != API_SYNC_GROUP || request == NULL || other->error != 0 || other->body == NULL ||
            request->generation != answer->generation || strcmp(request->member_id, join->member_id) == 0)
            continue;
        if (judge_assignment(trace, SYNC_ANSWER(other)->assignment, &given) && (given & owned) != 0) {
            judge_say(verdict, SUITE_FAIL, join, other, expected,
                      "partitions %s went straight to %s %s while the first member claimed them",
                      judge_partitions(given & owned, text, sizeof(text)), request->member_id,
                      judge_where(other).text);
            return;
        }
    }
    const struct trace_event *second = trace_request(trace, answer != NULL ? answer->number : 0, API_JOIN_GROUP);
    judge_say(verdict, second != NULL && suite_ran_to_its_end(run) ? SUITE_PASS : SUITE_FAIL, join, second, expected,
              "first rejoin %s, second round %s", judge_where(join).text, judge_where(second).text);
}

/* Two members own all partitions between them, each some. */
static bool until_shared(struct suite_run *run)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *newest = judge_granted(trace, trace->count + 2, NULL);
    uint64_t all = 0;
    int32_t owners = 0;
    for (int32_t i = 0; newest != NULL && i < trace->count; i++) {
        const struct trace_event *answer = &trace->events[i];
        const struct trace_event *request = trace_request_of(trace, answer);
        uint64_t partitions;
        if (answer->api_key == API_SYNC_GROUP && request != NULL && answer->error == 0 && answer->body != NULL &&
            request->generation == newest->generation &&
            judge_assignment(trace, SYNC_ANSWER(answer)->assignment, &partitions) && partitions != 0) {
            all |= partitions;
            owners++;
        }
    }
    return owners == 2 && all == ALL_PARTITIONS;
}

/* ---- Leaving to others ------------------------------------------------------------------------------------------ */

static bool until_one_owns_all(struct suite_run *run)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *answer = trace_success(trace, suite_mark(run), API_SYNC_GROUP);
    uint64_t partitions = 0;
    for (; answer != NULL; answer = trace_success(trace, answer->number, API_SYNC_GROUP))
        if (answer->body != NULL && judge_assignment(trace, SYNC_ANSWER(answer)->assignment, &partitions) &&
            partitions == ALL_PARTITIONS)
            return true;
    return false;
}

static void judge_takes_over(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "when one member leaves the other rejoins and owns everything";
    const struct trace *trace = suite_trace(run);
    int32_t stop = suite_stop_mark(run, 0);
    const struct trace_event *leave = trace_request(trace, stop, API_LEAVE_GROUP);
    if (stop == 0 || leave == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the first member did not leave");
    else if (!suite_ran_to_its_end(run))
        judge_say(verdict, SUITE_FAIL, leave, NULL, expected,
                  "nobody owned all partitions within the session timeout after LeaveGroup %s",
                  judge_where(leave).text);
    else
        judge_say(verdict, SUITE_PASS, leave, trace_success(trace, leave->number, API_SYNC_GROUP), expected,
                  "LeaveGroup %s, all with one owner %s", judge_where(leave).text,
                  judge_where(trace_success(trace, leave->number, API_SYNC_GROUP)).text);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

static void append_some(struct suite_run *run) { suite_append_records(run, 10); }

static bool until_everyone_heartbeats(struct suite_run *run)
{
    return trace_count_requests(suite_trace(run), suite_mark(run), API_HEARTBEAT) >= 6 ||
           suite_step_age_ms(run) >= 4500;
}

#define THREE_MEMBERS                                                                                                  \
    .cluster = {.partition_count = GROUP_PARTITIONS},                                                                  \
    .steps = {{"the first client is started", NULL, 0, step_start_first},                                              \
              {"the first client is in the group", until_stable, 10000, start_others},                                 \
              {"three members are in the group", until_three_members, 15000, NULL}}

#define TWO_MEMBERS(CONDITION)                                                                                         \
    .cluster = {.partition_count = GROUP_PARTITIONS},                                                                  \
    .steps = {{"the first client is started", NULL, 0, step_start_first},                                              \
              {"the first client is in the group", until_stable, 10000, step_start_second},                            \
              {"two members are in the group", CONDITION, 15000, NULL}}

static const struct suite_case leader = {
    .id = "sync/leader-assigns-everyone", .rule = "cl-leader",
    .requirement = "The leader's SyncGroup has an assignment for every member, also for one without partitions.",
    .source = "AbstractCoordinator.onLeaderElected 4.1; sarama 2292", .cluster = {.partition_count = 2},
    .steps = {{"the first client is started", NULL, 0, step_start_first},
              {"the first client is in the group", until_stable, 10000, start_others},
              {"three members are in the group", until_three_members, 15000, NULL}},
    .judge = judge_leader};

static const struct suite_case follower = {
    .id = "sync/follower-sends-an-empty-list", .rule = "cl-leader",
    .requirement = "A follower's SyncGroup has no assignments.",
    .source = "AbstractCoordinator.onJoinFollower 4.1", TWO_MEMBERS(until_two_members), .judge = judge_follower};

static const struct suite_case one_owner = {
    .id = "group/every-partition-has-one-owner", .rule = "t-one-owner",
    .requirement = "The assignments of a generation are disjoint and complete.",
    .source = "KIP-429; AbstractPartitionAssignor 4.1", .client = {.assignor = "range"}, THREE_MEMBERS,
    .judge = judge_one_owner};

static const struct suite_case idle_member = {
    .id = "group/idle-member-stays", .rule = "cl-empty-assignment",
    .requirement = "A member without partitions stays in the group and heartbeats.",
    .source = "ConsumerCoordinator.onJoinComplete 4.1; kafkajs 1361", .cluster = {.partition_count = 1},
    .client = {.assignor = "range"},
    .steps = {{"the first client is started", NULL, 0, step_start_first},
              {"the first client is in the group", until_stable, 10000, step_start_second},
              {"two members are in the group", until_two_members, 15000, NULL},
              {"both heartbeat", until_everyone_heartbeats, 5000, NULL}},
    .judge = judge_idle};

static const struct suite_case makes_room = {
    .id = "group/first-makes-room-for-second", .rule = "cl-hb-27-rejoin-same-id",
    .requirement = "A member that hears of a rebalance by its heartbeat rejoins in time with its id.",
    .source = "AbstractCoordinator.HeartbeatResponseHandler 4.1", TWO_MEMBERS(until_two_members),
    .judge = judge_makes_room};

static const struct suite_case takes_over = {
    .id = "group/second-takes-over", .rule = "cl-leave-on-close",
    .requirement = "When one of two members is closed, the other owns all partitions before a session timeout.",
    .source = "KIP-62", .cluster = {.partition_count = GROUP_PARTITIONS}, .client = {.assignor = "range"},
    .steps = {{"the first client is started", NULL, 0, step_start_first},
              {"the first client is in the group", until_stable, 10000, step_start_second},
              {"two members are in the group", until_shared, 15000, step_stop_first},
              {"the second owns everything", until_one_owns_all, SUITE_SESSION_TIMEOUT_MS - 500, NULL}},
    .judge = judge_takes_over};

static const struct suite_case commits_owned = {
    .id = "commit/only-what-it-owns", .rule = "cl-commit-nonneg",
    .requirement = "A member commits only partitions that it owns in the generation that the commit carries.",
    .source = "ConsumerCoordinator 4.1; librdkafka 1.9", .cluster = {.partition_count = GROUP_PARTITIONS},
    .client = {.assignor = "range"},
    .steps = {{"the first client is started", NULL, 0, step_start_first},
              {"the first client commits", until_committed, 12000, step_start_second},
              {"two members are in the group", until_shared, 15000, append_some},
              {"a member commits", until_committed, 8000, NULL},
              {"what follows is seen", until_a_second_passed, 2000, NULL}},
    .judge = judge_commits_owned};

static const struct suite_case fetches_owned = {
    .id = "group/fetches-only-what-it-owns", .rule = "cl-fetch-owned-only",
    .requirement = "A partition that went to another member is no longer fetched.",
    .source = "ConsumerCoordinator.onJoinPrepare 4.1; kafka-python 3132",
    .cluster = {.partition_count = GROUP_PARTITIONS}, .client = {.assignor = "range"},
    .steps = {{"the first client is started", NULL, 0, step_start_first},
              {"the first client is in the group", until_stable, 10000, step_start_second},
              {"two members are in the group", until_shared, 15000, append_some},
              {"both fetch", until_two_seconds_passed, 2500, NULL}},
    .judge = judge_fetches_owned};

static const struct suite_case eager = {
    .id = "group/eager-claims-nothing", .rule = "cl-eager-revoke-all",
    .requirement = "With an eager assignor all partitions are given up before the rejoin.",
    .source = "KIP-429; ConsumerCoordinator.onJoinPrepare 4.1", .client = {.assignor = "range"},
    TWO_MEMBERS(until_two_members), .judge = judge_eager};

static const struct suite_case coop_keeps = {
    .id = "cooperative/keeps-what-it-owns", .rule = "cl-coop-keep",
    .requirement = "With a cooperative assignor the rejoin claims the partitions that the member owns.",
    .source = "KIP-429; ConsumerCoordinator.onJoinPrepare 4.1", .client = {.assignor = "cooperative-sticky"},
    TWO_MEMBERS(until_shared), .judge = judge_coop_keeps};

static const struct suite_case coop_transfer = {
    .id = "cooperative/gives-up-first", .rule = "cl-coop-two-step",
    .requirement = "With a cooperative assignor a partition is given up in one generation, handed out in a later one.",
    .source = "KIP-429; KAFKA-14639", .client = {.assignor = "cooperative-sticky"}, TWO_MEMBERS(until_shared),
    .judge = judge_coop_transfer};

const struct suite_case *const suite_group_cases[] = {
    &leader, &follower, &one_owner, &idle_member, &makes_room, &takes_over, &commits_owned, &fetches_owned, &eager,
    &coop_keeps,
    &coop_transfer,
};
const int suite_group_cases_count = sizeof(suite_group_cases) / sizeof(suite_group_cases[0]);
