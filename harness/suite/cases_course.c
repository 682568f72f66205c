/* Cases on the normal course of one member: joining, syncing, heartbeating; on slow answers and old brokers. */
#include "suite/judge.h"
#include "suite/steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JOIN_ANSWER(event) ((const struct rj_join_group_response *)(event)->body)
#define JOIN_REQUEST(event) ((const struct rj_join_group_request *)(event)->body)

/* ---- smoke, canary ---------------------------------------------------------------------------------------------- */

static bool until_fetched(struct suite_run *run) { return trace_request(suite_trace(run), 0, API_FETCH) != NULL; }

static void judge_smoke(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the client joins the group, heartbeats and fetches";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync = trace_success(trace, 0, API_SYNC_GROUP);
    const struct trace_event *beat = trace_success(trace, sync != NULL ? sync->number : 0, API_HEARTBEAT);
    const struct trace_event *fetch = trace_request(trace, 0, API_FETCH);
    if (sync == NULL || beat == NULL || fetch == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected,
                      sync == NULL   ? "no SyncGroup succeeded"
                      : beat == NULL ? "no Heartbeat succeeded"
                                     : "no Fetch came");
    else
        judge_say(verdict, SUITE_PASS, sync, fetch, expected, "in the group %s, first Fetch %s", judge_where(sync).text,
                  judge_where(fetch).text);
}

const struct suite_case suite_smoke = {
    .id = "smoke/joins-and-fetches", .rule = "cl-sync-fields",
    .requirement = "A client that is told nothing else joins its group, heartbeats and fetches.", .source = "KIP-62",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 15000, NULL},
              {"the client fetches", until_fetched, 5000, NULL}},
    .judge = judge_smoke};

/* A client that speaks to the cluster took the case for one that it knows. */
static bool until_all_is_clear(struct suite_run *run)
{
    return suite_ended(run, 0) || trace_request(suite_trace(run), 0, TRACE_ANY_API) != NULL;
}

static void judge_canary(const struct suite_run *run, struct suite_verdict *verdict)
{
    judge_missing(run, verdict, SUITE_FAIL, "a case that nobody knows is refused with exit status 89",
                  "the driver took it for a case that it knows");
}

const struct suite_case suite_canary = {
    .id = "canary", .rule = "cl-sync-fields", .requirement = "A driver says so when it does not know a case.",
    .source = "rejoin",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the driver refuses the case", until_all_is_clear, 600000, NULL}},
    .judge = judge_canary};

/* ---- JoinGroup -------------------------------------------------------------------------------------------------- */

static void judge_promised_id(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the JoinGroup after a 79 carries the member id of its answer, at once";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *answer = trace_answer(trace, 0, API_JOIN_GROUP);
    while (answer != NULL && answer->error != RJ_KAFKA_MEMBER_ID_REQUIRED)
        answer = trace_answer(trace, answer->number, API_JOIN_GROUP);
    if (answer == NULL) {
        const struct trace_event *join = trace_request(trace, 0, API_JOIN_GROUP);
        if (join == NULL)
            judge_missing(run, verdict, SUITE_FAIL, expected, "no JoinGroup came");
        else
            judge_say(verdict, join->version < 4 ? SUITE_INFO : SUITE_INCONCLUSIVE, join, NULL, expected,
                      "JoinGroup v%d %s is not asked for a member id", join->version, judge_where(join).text);
        return;
    }
    const struct trace_event *next = trace_request(trace, answer->number, API_JOIN_GROUP);
    if (next == NULL) {
        judge_say(verdict, SUITE_FAIL, answer, NULL, expected, "no JoinGroup came after the 79 %s",
                  judge_where(answer).text);
        return;
    }
    bool same = strcmp(next->member_id, answer->member_id) == 0;
    bool at_once = next->at_us - answer->at_us < 500000;
    judge_say(verdict, !same ? SUITE_FAIL : at_once ? SUITE_PASS : SUITE_WARN, answer, next, expected,
              "the 79 %s gave %s; JoinGroup %s carried %s", judge_where(answer).text, answer->member_id,
              judge_where(next).text,
              same                           ? "it"
              : next->member_id[0] != '\0' ? next->member_id
                                             : "an empty member id");
}

static void judge_subscription_names_topic(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "protocol type consumer, and in each protocol a subscription that names the topic";
    const struct trace_event *join = trace_request(suite_trace(run), 0, API_JOIN_GROUP);
    if (join == NULL || join->body == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "no JoinGroup came");
        return;
    }
    const struct rj_join_group_request *request = JOIN_REQUEST(join);
    const char *wrong = NULL;
    if (!rj_string_equal(request->protocol_type, RJ_STRING("consumer")))
        wrong = "another protocol type";
    else if (request->protocols.count <= 0)
        wrong = "no protocol";
    else if (request->session_timeout_ms <= 0 || (join->version >= 1 && request->rebalance_timeout_ms <= 0))
        wrong = "a timeout that is not positive";
    for (int32_t i = 0; wrong == NULL && i < request->protocols.count; i++) {
        struct judge_subscription subscription;
        if (!judge_subscription(suite_trace(run), request->protocols.items[i].metadata, &subscription))
            wrong = "a subscription that cannot be read";
        else if (!subscription.names_topic)
            wrong = "a subscription without the topic";
    }
    judge_say(verdict, wrong != NULL ? SUITE_FAIL : SUITE_PASS, join, NULL, expected, "JoinGroup %s has %s",
              judge_where(join).text, wrong != NULL ? wrong : "all of it");
}

/* A request of this member that must not come while `request` waits for its answer. */
static const struct trace_event *impatient(const struct trace *trace, const struct trace_event *request)
{
    const struct trace_event *answer = trace_answer_of(trace, request);
    int32_t end = answer != NULL ? answer->number : trace->count + 1;
    for (int32_t i = request->number + 1; i < end; i++) {
        const struct trace_event *event = trace_at(trace, i);
        if (event->kind == TRACE_REQUEST && (event->api_key == API_JOIN_GROUP || event->api_key == API_SYNC_GROUP ||
                                             event->api_key == API_LEAVE_GROUP))
            return event;
    }
    return NULL;
}

static const struct trace_event *delayed_request(const struct trace *trace, int16_t api_key)
{
    const struct trace_event *request = trace_request(trace, 0, api_key);
    while (request != NULL && !request->injected)
        request = trace_request(trace, request->number, api_key);
    return request;
}

static void judge_waits(const struct suite_run *run, int16_t api_key, struct suite_verdict *verdict)
{
    static const char expected[] = "one request, however long its answer takes, and in the group after it";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *request = delayed_request(trace, api_key);
    if (request == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "the request to be answered late never came");
        return;
    }
    const struct trace_event *second = impatient(trace, request);
    const struct trace_event *sync = trace_success(trace, request->number, API_SYNC_GROUP);
    if (second != NULL)
        judge_say(verdict, SUITE_FAIL, request, second, expected, "while %s %s waited for its answer, %s %s came",
                  rj_api_name(api_key), judge_where(request).text, rj_api_name(second->api_key),
                  judge_where(second).text);
    else if (sync == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup succeeded after the late answer");
    else
        judge_say(verdict, SUITE_PASS, request, sync, expected, "the client waited; in the group %s",
                  judge_where(sync).text);
}

static void judge_join_waits(const struct suite_run *run, struct suite_verdict *verdict)
{
    judge_waits(run, API_JOIN_GROUP, verdict);
}

static void judge_sync_waits(const struct suite_run *run, struct suite_verdict *verdict)
{
    judge_waits(run, API_SYNC_GROUP, verdict);
}

static void judge_one_join(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "one JoinGroup with the member id, then SyncGroup";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *first = delayed_request(trace, API_JOIN_GROUP);
    const struct trace_event *sync = trace_success(trace, 0, API_SYNC_GROUP);
    const struct trace_event *second = first != NULL ? trace_request(trace, first->number, API_JOIN_GROUP) : NULL;
    if (first == NULL || sync == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup succeeded");
    else if (second != NULL && second->number < sync->number)
        judge_say(verdict, SUITE_FAIL, first, second, expected, "JoinGroup %s was not refused, and %s came another",
                  judge_where(first).text, judge_where(second).text);
    else
        judge_say(verdict, SUITE_PASS, first, sync, expected, "JoinGroup %s, SyncGroup answered %s",
                  judge_where(first).text, judge_where(sync).text);
}

/* ---- SyncGroup -------------------------------------------------------------------------------------------------- */

static const char *sync_differs(const struct trace_event *sync, const struct trace_event *join_request,
                                const struct trace_event *join)
{
    const struct rj_sync_group_request *request = sync->body;
    const struct rj_join_group_response *answer = join->body;
    if (request->generation_id != answer->generation_id)
        return "another generation";
    if (!rj_string_equal(request->member_id, answer->member_id))
        return "another member id";
    const struct rj_string asked = JOIN_REQUEST(join_request)->group_instance_id;
    if (sync->version >= 3 && !rj_string_equal(request->group_instance_id, asked))
        return "another instance id";
    if (sync->version < 5 || join->version < 7)
        return NULL;
    if (!rj_string_equal(request->protocol_type, answer->protocol_type))
        return "another protocol type";
    return rj_string_equal(request->protocol_name, answer->protocol_name) ? NULL : "another protocol name";
}

static void judge_sync_fields(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "generation, member id, instance id, protocol type and name of the JoinGroup answer";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_success(trace, 0, API_JOIN_GROUP);
    const struct trace_event *sync = join != NULL ? trace_request(trace, join->number, API_SYNC_GROUP) : NULL;
    if (sync == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup followed a JoinGroup success");
        return;
    }
    for (; sync != NULL; sync = trace_request(trace, sync->number, API_SYNC_GROUP)) {
        join = judge_granted(trace, sync->number, NULL);
        const char *wrong = sync_differs(sync, trace_request_of(trace, join), join);
        judge_say(verdict, wrong != NULL ? SUITE_FAIL : SUITE_PASS, join, sync, expected,
                  "SyncGroup %s carries %s the JoinGroup answer %s", judge_where(sync).text,
                  wrong != NULL ? wrong : "what was given by", judge_where(join).text);
        if (wrong != NULL)
            return;
    }
}

/* ---- Heartbeat -------------------------------------------------------------------------------------------------- */

static void judge_no_early_heartbeat(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "no Heartbeat before JoinGroup succeeded, above all not with a promised member id";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *success = trace_success(trace, 0, API_JOIN_GROUP);
    const struct trace_event *beat = trace_request(trace, 0, API_HEARTBEAT);
    if (beat != NULL && (success == NULL || beat->number < success->number))
        judge_say(verdict, SUITE_FAIL, beat, success, expected, "Heartbeat %s with member id %s, JoinGroup success %s",
                  judge_where(beat).text, beat->member_id, judge_where(success).text);
    else if (success == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "no JoinGroup succeeded");
    else
        judge_say(verdict, SUITE_PASS, success, beat, expected, "JoinGroup success %s, first Heartbeat %s",
                  judge_where(success).text, judge_where(beat).text);
}

static void judge_heartbeat_while_parked(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "heartbeats go on while SyncGroup waits for its answer";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync = delayed_request(trace, API_SYNC_GROUP);
    const struct trace_event *answer = sync != NULL ? trace_answer_of(trace, sync) : NULL;
    if (answer == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "no SyncGroup could be answered late");
        return;
    }
    const struct trace_event *beat = trace_request(trace, sync->number, API_HEARTBEAT);
    bool same_connection = beat != NULL && beat->connection_id == sync->connection_id;
    if (beat != NULL && beat->number < answer->number)
        judge_say(verdict, SUITE_PASS, sync, beat, expected, "Heartbeat %s while SyncGroup %s waited until %s",
                  judge_where(beat).text, judge_where(sync).text, judge_where(answer).text);
    else
        judge_say(verdict, same_connection ? SUITE_INFO : SUITE_PASS_LENIENT, sync, answer, expected,
                  "none was seen between SyncGroup %s and its answer %s%s", judge_where(sync).text,
                  judge_where(answer).text,
                  same_connection ? "; the client heartbeats on the same connection, which a broker does not read "
                                    "meanwhile, and the coordinator keeps a waiting member"
                                  : "; the coordinator keeps a waiting member all the same");
}

static bool until_three_heartbeats(struct suite_run *run)
{
    return trace_count_requests(suite_trace(run), suite_mark(run), API_HEARTBEAT) >= 3;
}

static void judge_cadence(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "a Heartbeat at least once a session timeout, with the member's id and generation";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_request(trace, 0, API_JOIN_GROUP);
    const struct trace_event *previous = trace_request(trace, 0, API_HEARTBEAT), *granted;
    enum judge_identity identity;
    if (join == NULL || previous == NULL || join->body == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "no Heartbeat came");
        return;
    }
    const struct trace_event *wrong = judge_wrong_identity(trace, API_HEARTBEAT, &identity, &granted);
    if (wrong != NULL) {
        judge_say(verdict, SUITE_FAIL, wrong, granted, expected, "Heartbeat %s with generation %d and member id %s",
                  judge_where(wrong).text, wrong->generation, wrong->member_id);
        return;
    }
    int64_t session_us = (int64_t)JOIN_REQUEST(join)->session_timeout_ms * 1000, longest_us = 0;
    const struct trace_event *beat = previous;
    while ((beat = trace_request(trace, previous->number, API_HEARTBEAT)) != NULL) {
        longest_us = beat->at_us - previous->at_us > longest_us ? beat->at_us - previous->at_us : longest_us;
        previous = beat;
    }
    bool in_time = longest_us > 0 && longest_us < session_us;
    judge_say(verdict, in_time ? SUITE_PASS : SUITE_FAIL, previous, NULL, expected,
              longest_us > 0 ? "longest gap %.3f s, session timeout %.3f s" : "no second Heartbeat (%.3f s; %.3f s)",
              (double)longest_us / 1e6, (double)session_us / 1e6);
}

static void judge_one_at_a_time(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "no second Heartbeat while one waits for its answer";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *slow = delayed_request(trace, API_HEARTBEAT);
    if (slow == NULL) {
        judge_missing(run, verdict, SUITE_FAIL, expected, "no Heartbeat came that could be answered late");
        return;
    }
    const struct trace_event *answer = trace_answer_of(trace, slow);
    const struct trace_event *next = trace_request(trace, slow->number, API_HEARTBEAT);
    bool overlaps = next != NULL && (answer == NULL || next->number < answer->number);
    judge_say(verdict, overlaps ? SUITE_WARN : SUITE_PASS, slow, next, expected,
              overlaps ? "Heartbeat %s was still waiting when %s came" : "Heartbeat %s waited alone, the next came %s",
              judge_where(slow).text, judge_where(next).text);
}

/* ---- Old brokers ------------------------------------------------------------------------------------------------ */

static void judge_joins_old(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the client falls back to what the broker advertises and joins";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *sync = trace_success(trace, 0, API_SYNC_GROUP);
    const struct trace_event *join = trace_request(trace, 0, API_JOIN_GROUP);
    if (sync == NULL)
        judge_missing(run, verdict, SUITE_UNSUPPORTED, expected, "no SyncGroup succeeded");
    else
        judge_say(verdict, SUITE_PASS, join, sync, expected, "JoinGroup v%d, SyncGroup v%d, in the group %s",
                  join->version, sync->version, judge_where(sync).text);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

static const struct suite_case join_79 = {
    .id = "join/79-rejoins-with-the-given-id", .rule = "cl-join-79-rejoin",
    .requirement = "A JoinGroup answered 79 is sent again at once with the member id that came with the answer.",
    .source = "KIP-394; AbstractCoordinatorTest.testJoinGroupRequestWithMemberIdRequired 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL}},
    .judge = judge_promised_id};

static const struct suite_case join_subscription = {
    .id = "join/names-its-topics", .rule = "cl-join-subscription",
    .requirement = "A JoinGroup offers at least one protocol, each with a subscription that names the topics.",
    .source = "KIP-62; ConsumerCoordinator.metadata 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL}},
    .judge = judge_subscription_names_topic};

static const struct suite_case join_slow = {
    .id = "join/slow-answer-is-waited-for", .rule = "cl-join-timeout",
    .requirement = "A JoinGroup that is parked for seconds is waited for, not repeated.",
    .source = "AbstractCoordinatorTest.testJoinGroupRequestTimeout 4.1",
    .faults = {{.api_key = API_JOIN_GROUP, .match = SUITE_PAST_79, .from = 1, .count = 1,
                .action = MOCK_DELAY_ANSWER, .delay_ms = 4000}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 15000, NULL}},
    .judge = judge_join_waits};

static const struct suite_case join_once = {
    .id = "join/one-at-a-time", .rule = "cl-one-rebalance",
    .requirement = "A member has one JoinGroup outstanding.", .source = "AbstractCoordinator.ensureActiveGroup 4.1",
    .faults = {{.api_key = API_JOIN_GROUP, .match = SUITE_PAST_79, .from = 1, .count = 1,
                .action = MOCK_DELAY_ANSWER, .delay_ms = 500}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL}},
    .judge = judge_one_join};

static const struct suite_case sync_slow = {
    .id = "sync/slow-answer-is-waited-for", .rule = "cl-one-rebalance",
    .requirement = "A SyncGroup that is parked for seconds is waited for, without another JoinGroup or SyncGroup.",
    .source = "AbstractCoordinator.ensureActiveGroup 4.1",
    .faults = {{.api_key = API_SYNC_GROUP, .from = 1, .count = 1, .action = MOCK_DELAY_ANSWER, .delay_ms = 3000}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 15000, NULL}},
    .judge = judge_sync_waits};

static const struct suite_case sync_fields = {
    .id = "sync/carries-what-join-gave", .rule = "cl-sync-fields",
    .requirement = "SyncGroup carries exactly what the JoinGroup answer gave.",
    .source = "KIP-559; AbstractCoordinator.onLeaderElected 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL}},
    .judge = judge_sync_fields};

static const struct suite_case heartbeat_early = {
    .id = "heartbeat/not-before-join-succeeded", .rule = "cl-hb-start",
    .requirement = "While JoinGroup is parked, nothing is sent with the member id that a 79 promised.",
    .source = "KIP-394; AbstractCoordinator.HeartbeatThread 4.1",
    .faults = {{.api_key = API_JOIN_GROUP, .match = SUITE_PAST_79, .from = 1, .count = 1,
                .action = MOCK_DELAY_ANSWER, .delay_ms = 2000}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client heartbeats", until_stable, 15000, NULL}},
    .judge = judge_no_early_heartbeat};

static const struct suite_case heartbeat_parked = {
    .id = "heartbeat/goes-on-while-sync-is-parked", .rule = "cl-hb-start",
    .requirement = "Heartbeats begin with the JoinGroup success, also while SyncGroup waits for the leader.",
    .source = "KAFKA-10134; AbstractCoordinatorTest.testHeartbeatSentWhenCompletingRebalance 4.1",
    .faults = {{.api_key = API_SYNC_GROUP, .from = 1, .count = 1, .action = MOCK_DELAY_ANSWER, .delay_ms = 4000}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 15000, NULL}},
    .judge = judge_heartbeat_while_parked};

static const struct suite_case heartbeat_cadence = {
    .id = "heartbeat/keeps-its-cadence", .rule = "cl-hb-cadence",
    .requirement = "A member heartbeats at least once a session timeout, as the member that it is.",
    .source = "AbstractCoordinator.HeartbeatThread 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL},
              {"three heartbeats came", until_three_heartbeats, 15000, NULL}},
    .judge = judge_cadence};

static const struct suite_case heartbeat_slow = {
    .id = "heartbeat/one-at-a-time", .rule = "cl-hb-cadence",
    .requirement = "While a heartbeat waits for its answer no other is sent.",
    .source = "AbstractCoordinator.HeartbeatThread 4.1",
    .faults = {{.api_key = API_HEARTBEAT, .from = 2, .count = 1, .action = MOCK_DELAY_ANSWER, .delay_ms = 2000}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_joined, 10000, NULL},
              {"three heartbeats came", until_three_heartbeats, 15000, NULL}},
    .judge = judge_one_at_a_time};

static const struct suite_case version_2_0 = {
    .id = "version/joins-a-2.0-broker", .rule = "cl-version-range",
    .requirement = "A broker of Kafka 2.0 is spoken to in the versions that it advertises.",
    .source = "KIP-35; KIP-511", .cluster = {.kafka_version = "2.0"},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, NULL}},
    .judge = judge_joins_old};

static const struct suite_case version_2_4 = {
    .id = "version/joins-a-2.4-broker", .rule = "cl-version-range",
    .requirement = "A broker of Kafka 2.4 is spoken to in the versions that it advertises.",
    .source = "KIP-35; KIP-511", .cluster = {.kafka_version = "2.4"},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, NULL}},
    .judge = judge_joins_old};

const struct suite_case *const suite_course_cases[] = {
    &join_79, &join_subscription, &join_slow, &join_once, &sync_fields, &sync_slow, &heartbeat_early, &heartbeat_parked,
    &heartbeat_cadence, &heartbeat_slow, &version_2_0, &version_2_4,
};
const int suite_course_cases_count = sizeof(suite_course_cases) / sizeof(suite_course_cases[0]);
