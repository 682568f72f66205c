/* Cases in which one request is refused, or its connection is lost, and the client must come back the way that the
 * protocol wants it: one table, one course, one judge. */
#include "suite/judge.h"
#include "suite/steps.h"

#include <stdio.h>
#include <string.h>

/* Judged by what comes behind the refusal. */
enum then {
    REJOINS, /* a JoinGroup follows and the client is in the group again */
    STAYS,   /* the same member goes on in the same generation */
    COMMITS, /* the same member commits again in the same generation */
    FETCHES, /* OffsetFetch is asked again and answered */
    FINDS,   /* FindCoordinator is asked again and the client joins */
    UNHARMED, /* heartbeats go on in the same generation; the commit need not be repeated */
    STOPS,   /* nothing more is sent for this member */
    GIVES_UP, /* as STOPS, but asking again in a while harms nobody */
    WAITS,   /* it may ask again, with pauses */
    REJOINS_OR_TELLS, /* as REJOINS, but Kafka's own client ends with an error */
};

enum next_id { ID_ANY, ID_KEPT, ID_KEPT_OR_WARN, ID_EMPTY };

struct refusal {
    int16_t api_key;
    enum then then;
    enum next_id next_id;
    bool rediscovers; /* FindCoordinator must come first */
};

/* More requests than this within a second of a refusal are a loop without a pause: Kafka's own client makes up to ten, a
 * client that does not wait makes hundreds. What lies between waits, but not long. */
#define HOT_LOOP_COUNT 50
#define SHORT_PAUSES_COUNT 15
#define QUIET_MS 2500

static const struct refusal *refusal_of(const struct suite_run *run) { return suite_case_of(run)->parameters; }

static const struct trace_event *refused(const struct suite_run *run)
{
    return trace_injected(suite_trace(run), 0, refusal_of(run)->api_key);
}

static bool until_refused(struct suite_run *run) { return refused(run) != NULL; }

static bool wants_rejoin(const struct suite_run *run)
{
    const struct suite_fault *fault = &suite_case_of(run)->faults[0];
    return fault->api_key == API_JOIN_GROUP && fault->match == SUITE_WITH_ID && refused(run) == NULL;
}

/* A JoinGroup with a member id is the second of a new member that was answered 79. Static members, and clients that
 * join with a version below 4, are in the group at once, and carry their id when they join again. */
static bool until_member_or_refused(struct suite_run *run)
{
    return !wants_rejoin(run) || trace_success(suite_trace(run), suite_mark(run), API_HEARTBEAT) != NULL;
}

static void make_it_rejoin(struct suite_run *run)
{
    if (!wants_rejoin(run))
        return;
    suite_say(run, "a heartbeat will tell of a rebalance");
    suite_arm(run, &(struct suite_fault){.api_key = API_HEARTBEAT, .from = 1, .count = 1, .action = MOCK_ANSWER_ERROR,
                                         .error = RJ_KAFKA_REBALANCE_IN_PROGRESS});
}

static bool back_in_group(const struct trace *trace, int32_t after)
{
    const struct trace_event *join = trace_request(trace, after, API_JOIN_GROUP);
    return join != NULL && trace_success(trace, join->number, API_SYNC_GROUP) != NULL;
}

/* A SyncGroup that was lost, or refused only for the moment, may be sent again as it was: the success of it, NULL if
 * there is none. */
static const struct trace_event *synced_again(const struct suite_run *run, const struct trace_event *refusal)
{
    const struct trace *trace = suite_trace(run);
    int16_t error = refusal->error;
    bool may = refusal_of(run)->api_key == API_SYNC_GROUP &&
               (refusal->kind == TRACE_CLOSED || error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
                error == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE || error == RJ_KAFKA_NOT_COORDINATOR);
    const struct trace_event *success = may ? trace_success(trace, refusal->number, API_SYNC_GROUP) : NULL;
    const struct trace_event *join = trace_request(trace, refusal->number, API_JOIN_GROUP);
    return success != NULL && (join == NULL || join->number > success->number) ? success : NULL;
}

/* The member was silent for so long after the refusal that the coordinator dropped it. */
static const struct trace_event *expired(const struct trace *trace, int32_t after)
{
    for (int32_t number = after + 1; number <= trace->count; number++)
        if (trace_at(trace, number)->kind == TRACE_GROUP && strstr(trace_at(trace, number)->text, "session-expiry"))
            return trace_at(trace, number);
    return NULL;
}

static bool found_between(const struct trace *trace, const struct trace_event *from, const struct trace_event *to)
{
    const struct trace_event *find = trace_request(trace, from->number, API_FIND_COORDINATOR);
    return find != NULL && find->number < to->number;
}

/* The first success of this API behind the refusal. One that was on its way when the refusal left does not count where
 * the client must find the coordinator first. */
static const struct trace_event *success_after(const struct trace *trace, const struct trace_event *refusal,
                                               int16_t api_key, bool rediscovers)
{
    const struct trace_event *success = trace_success(trace, refusal->number, api_key);
    for (; success != NULL && rediscovers; success = trace_success(trace, success->number, api_key)) {
        const struct trace_event *request = trace_request_of(trace, success);
        if (request == NULL || request->at_us - refusal->at_us >= JUDGE_IN_FLIGHT_US ||
            found_between(trace, refusal, request))
            break;
    }
    return success;
}

static bool until_recovered(struct suite_run *run)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *refusal = refused(run);
    int32_t after = refusal->number;
    switch (refusal_of(run)->then) {
    case REJOINS:
    case REJOINS_OR_TELLS:
        return back_in_group(trace, after) || synced_again(run, refusal) != NULL || suite_ended(run, 0);
    case UNHARMED:
    case STAYS:
        return success_after(trace, refusal, API_HEARTBEAT, refusal_of(run)->rediscovers) != NULL ||
               expired(trace, after) != NULL;
    case COMMITS:
        return success_after(trace, refusal, API_OFFSET_COMMIT, refusal_of(run)->rediscovers) != NULL ||
               expired(trace, after) != NULL;
    case FETCHES:
        return trace_success(trace, after, API_OFFSET_FETCH) != NULL;
    case FINDS:
        return trace_success(trace, after, API_SYNC_GROUP) != NULL;
    case STOPS:
    case GIVES_UP:
    case WAITS:
        return suite_step_age_ms(run) >= QUIET_MS || suite_ended(run, 0);
    }
    return true;
}

/* A member that is unknown must be unknown to the coordinator too, or its ghost would hold up the next rebalance. */
static void after_refusal(struct suite_run *run)
{
    const struct trace_event *refusal = refused(run);
    if (refusal->kind == TRACE_ANSWER && suite_case_of(run)->faults[0].error == RJ_KAFKA_UNKNOWN_MEMBER_ID)
        step_forget(run, trace_request_of(suite_trace(run), refusal)->member_id);
}

static bool is_commit_that_rejoins(const struct suite_run *run)
{
    const struct refusal *refusal = refusal_of(run);
    return refusal->api_key == API_OFFSET_COMMIT && (refusal->then == REJOINS || refusal->then == STOPS);
}

/* A refused commit tells of a rebalance that heartbeats would tell of as well: clients may wait for that. */
static bool until_heartbeat_must_tell(struct suite_run *run)
{
    return !is_commit_that_rejoins(run) || suite_step_age_ms(run) >= 700 || suite_ended(run, 0) ||
           trace_request(suite_trace(run), refused(run)->number, API_JOIN_GROUP) != NULL;
}

static void heartbeat_tells(struct suite_run *run)
{
    const struct suite_fault *fault = &suite_case_of(run)->faults[0];
    if (!is_commit_that_rejoins(run) || suite_ended(run, 0) ||
        trace_request(suite_trace(run), refused(run)->number, API_JOIN_GROUP) != NULL)
        return;
    suite_arm(run, &(struct suite_fault){.api_key = API_HEARTBEAT, .from = 1, .count = fault->count,
                                         .action = MOCK_ANSWER_ERROR, .error = fault->error});
}

/* ---- The judge -------------------------------------------------------------------------------------------------- */

static const char *expectation(const struct refusal *refusal)
{
    switch (refusal->then) {
    case REJOINS:
        return refusal->next_id == ID_EMPTY    ? "a JoinGroup with an empty member id, and back in the group"
               : refusal->next_id == ID_ANY    ? "a JoinGroup, and back in the group"
               : refusal->rediscovers          ? "FindCoordinator, then a JoinGroup with the same member id"
                                               : "a JoinGroup with the same member id, and back in the group";
    case STAYS:
        return refusal->rediscovers ? "FindCoordinator, then heartbeats in the same generation without a new JoinGroup"
                                    : "heartbeats go on in the same generation without a new JoinGroup";
    case COMMITS:
        return "the offsets are committed again, as the same member of the same generation";
    case FETCHES:
        return "OffsetFetch is sent again until it is answered";
    case FINDS:
        return "FindCoordinator is sent again after a pause, and the client joins";
    case UNHARMED:
        return "heartbeats go on in the same generation without a new JoinGroup";
    case WAITS:
        return "a pause between attempts";
    case REJOINS_OR_TELLS:
        return "a JoinGroup, and back in the group";
    case STOPS:
        return "no further JoinGroup, SyncGroup, Heartbeat or OffsetCommit of this member";
    case GIVES_UP:
        return "the client stops and tells the application";
    }
    return "";
}

static int32_t count_within_a_second(const struct trace *trace, const struct trace_event *refusal, int16_t api_key)
{
    int32_t count = 0;
    for (const struct trace_event *event = trace_request(trace, refusal->number, api_key);
         event != NULL && event->at_us < refusal->at_us + 1000000; event = trace_request(trace, event->number, api_key))
        count++;
    return count;
}

/* Sets the verdict and returns true when the API was asked over and over without a pause. */
static bool judge_hot_loop(const struct suite_run *run, const struct trace_event *refusal, int16_t api_key,
                           struct suite_verdict *verdict)
{
    int32_t count = count_within_a_second(suite_trace(run), refusal, api_key);
    if (count <= HOT_LOOP_COUNT)
        return false;
    judge_say(verdict, SUITE_FAIL, refusal, NULL, "a pause between attempts",
              "%d %s within a second of the refusal %s", count, rj_api_name(api_key), judge_where(refusal).text);
    return true;
}

/* The member id that the refused request carried. */
static const char *refused_id(const struct trace *trace, const struct trace_event *refusal)
{
    const struct trace_event *request = refusal->kind == TRACE_ANSWER ? trace_request_of(trace, refusal) : NULL;
    for (int32_t i = refusal->number - 1; request == NULL && i >= 1; i--)
        if (trace_at(trace, i)->kind == TRACE_REQUEST && trace_at(trace, i)->injected)
            request = trace_at(trace, i);
    return request != NULL ? request->member_id : "";
}

static void judge_next_id(const struct trace *trace, const struct refusal *refusal, const struct trace_event *event,
                          const struct trace_event *join, struct suite_verdict *verdict)
{
    const char *before = refused_id(trace, event);
    bool kept = strcmp(join->member_id, before) == 0;
    bool wanted = refusal->next_id == ID_ANY || (refusal->next_id == ID_EMPTY ? join->member_id[0] == '\0' : kept);
    enum suite_result otherwise = refusal->next_id == ID_KEPT_OR_WARN ? SUITE_WARN : SUITE_FAIL;
    judge_say(verdict, wanted ? SUITE_PASS : otherwise, event, join, expectation(refusal),
              "after the refusal %s JoinGroup %s carried %s%s", judge_where(event).text, judge_where(join).text,
              join->member_id[0] == '\0' ? "an empty member id"
              : kept                     ? "the same member id "
                                         : "another member id, ",
              join->member_id);
}

/* The old id was tried once more, refused once more, and then forgotten. */
static bool forgot_later(const struct trace *trace, const struct trace_event *join)
{
    const struct trace_event *answer = trace_answer_of(trace, join);
    const struct trace_event *next = trace_request(trace, join->number, API_JOIN_GROUP);
    return answer != NULL && answer->error == RJ_KAFKA_UNKNOWN_MEMBER_ID && next != NULL &&
           next->member_id[0] == '\0' && trace_success(trace, next->number, API_SYNC_GROUP) != NULL;
}

static void judge_sync_again(const struct suite_run *run, const struct refusal *refusal,
                             const struct trace_event *event, const struct trace_event *success,
                             struct suite_verdict *verdict)
{
    const struct trace_event *request = trace_request_of(suite_trace(run), success);
    if (judge_hot_loop(run, event, API_SYNC_GROUP, verdict))
        return;
    bool lost_its_way = event->error == RJ_KAFKA_NOT_COORDINATOR && !found_between(suite_trace(run), event, request);
    judge_say(verdict, lost_its_way ? SUITE_FAIL : SUITE_PASS_LENIENT, event, request, expectation(refusal),
              "after the refusal %s SyncGroup was sent again %s%s and succeeded, without another JoinGroup",
              judge_where(event).text, judge_where(request).text,
              lost_its_way ? " to the same broker without FindCoordinator" : "");
}

static void judge_rejoin(const struct suite_run *run, const struct refusal *refusal, const struct trace_event *event,
                         struct suite_verdict *verdict)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_request(trace, event->number, API_JOIN_GROUP);
    const struct trace_event *again = synced_again(run, event);
    int32_t stop = suite_stop_mark(run, 0);
    char aftermath[256];
    judge_aftermath(run, event->number, aftermath, sizeof(aftermath));
    if (again != NULL) {
        judge_sync_again(run, refusal, event, again, verdict);
        return;
    }
    if (join == NULL || (stop != 0 && join->number > stop)) {
        judge_say(verdict, SUITE_FAIL, event, NULL, expectation(refusal),
                  "no JoinGroup came after the refusal %s, only %s", judge_where(event).text, aftermath);
        return;
    }
    if (judge_hot_loop(run, event, API_JOIN_GROUP, verdict))
        return;
    judge_next_id(trace, refusal, event, join, verdict);
    if (verdict->result == SUITE_FAIL && refusal->next_id == ID_EMPTY && forgot_later(trace, join))
        judge_say(verdict, SUITE_PASS_LENIENT, event, join, expectation(refusal),
                  "after the refusal %s JoinGroup %s tried the old member id once more, was refused and forgot it then",
                  judge_where(event).text, judge_where(join).text);
    /* A JoinGroup at the old coordinator is answered 16 in its turn: the detour costs time, no more. */
    bool detour = refusal->api_key == API_SYNC_GROUP;
    if (verdict->result == SUITE_PASS && refusal->rediscovers && !found_between(trace, event, join))
        judge_say(verdict, detour ? SUITE_WARN : SUITE_FAIL, event, join, expectation(refusal),
                  "JoinGroup %s went to the same broker without FindCoordinator since the refusal %s",
                  judge_where(join).text, judge_where(event).text);
    if (suite_result_is_fine(verdict->result) && !back_in_group(trace, event->number))
        judge_say(verdict, SUITE_FAIL, event, join, expectation(refusal),
                  "after the refusal %s the client never got another SyncGroup answer: %s", judge_where(event).text,
                  aftermath);
}

/* STAYS, COMMITS, FETCHES, FINDS: the API must succeed again. */
static void judge_again(const struct suite_run *run, const struct refusal *refusal, const struct trace_event *event,
                        struct suite_verdict *verdict)
{
    const struct trace *trace = suite_trace(run);
    int16_t api_key = refusal->then == UNHARMED ? API_HEARTBEAT : refusal->api_key;
    const struct trace_event *success = success_after(trace, event, api_key, refusal->rediscovers);
    const struct trace_event *join = trace_request(trace, event->number, API_JOIN_GROUP);
    const struct trace_event *silent = expired(trace, event->number);
    char aftermath[256];
    judge_aftermath(run, event->number, aftermath, sizeof(aftermath));
    if (silent != NULL && (success == NULL || silent->number < success->number)) {
        judge_say(verdict, SUITE_FAIL, event, silent, expectation(refusal),
                  "after the refusal %s the member was silent until its session expired %s: %s",
                  judge_where(event).text, judge_where(silent).text, aftermath);
        return;
    }
    const struct trace_event *early = success == NULL ? trace_success(trace, event->number, api_key) : NULL;
    if (early != NULL) {
        const struct trace_event *again = trace_request_of(trace, early);
        judge_say(verdict, SUITE_FAIL, event, again, expectation(refusal),
                  "%s %s went to the same broker without FindCoordinator since the refusal %s", rj_api_name(api_key),
                  judge_where(again).text, judge_where(event).text);
        return;
    }
    if (success == NULL) {
        judge_say(verdict, SUITE_FAIL, event, NULL, expectation(refusal),
                  "no %s succeeded after the refusal %s, only %s", rj_api_name(api_key),
                  judge_where(event).text, aftermath);
        return;
    }
    if (judge_hot_loop(run, event, refusal->api_key, verdict))
        return;
    const struct trace_event *request = trace_request_of(trace, success);
    judge_say(verdict, SUITE_PASS, event, request, expectation(refusal), "after the refusal %s %s %s succeeded",
              judge_where(event).text, rj_api_name(api_key), judge_where(request).text);
    if (refusal->rediscovers && !found_between(trace, event, request))
        judge_say(verdict, SUITE_FAIL, event, request, expectation(refusal),
                  "%s %s went to the same broker without FindCoordinator since the refusal %s",
                  rj_api_name(api_key), judge_where(request).text, judge_where(event).text);
    else if (refusal->then != FINDS && refusal->then != FETCHES && join != NULL && join->number < success->number)
        judge_say(verdict, SUITE_PASS_LENIENT, event, join, expectation(refusal),
                  "after the refusal %s the client joined again (%s), which costs the group a rebalance",
                  judge_where(event).text, judge_where(join).text);
}

static int32_t count_after_stop_signals(const struct suite_run *run, const struct trace_event *event,
                                        const struct trace_event **first)
{
    static const int16_t apis[] = {API_JOIN_GROUP, API_SYNC_GROUP, API_HEARTBEAT, API_OFFSET_COMMIT};
    int32_t count = 0;
    *first = NULL;
    for (int32_t i = event->number; i < suite_trace(run)->count; i++) {
        const struct trace_event *later = &suite_trace(run)->events[i];
        for (size_t j = 0; j < sizeof(apis) / sizeof(apis[0]); j++)
            if (later->kind == TRACE_REQUEST && later->api_key == apis[j] &&
                later->at_us - event->at_us > JUDGE_IN_FLIGHT_US) {
                count++;
                *first = *first != NULL ? *first : later;
            }
    }
    return count;
}

/* A JoinGroup with an empty member id would fence the instance that took this one's place. */
static bool takes_place_back(const struct suite_run *run, const struct trace_event *event)
{
    const struct trace_event *join = trace_request(suite_trace(run), event->number, API_JOIN_GROUP);
    while (join != NULL && join->member_id[0] != '\0')
        join = trace_request(suite_trace(run), join->number, API_JOIN_GROUP);
    return join != NULL;
}

static void judge_stop(const struct suite_run *run, const struct refusal *refusal, const struct trace_event *event,
                       struct suite_verdict *verdict)
{
    const struct trace_event *first;
    int32_t count = count_after_stop_signals(run, event, &first);
    bool told = trace_report(suite_trace(run), event->number, "error", 0) != NULL;
    if (judge_hot_loop(run, event, refusal->api_key, verdict))
        return;
    if (count == 0) {
        judge_say(verdict, SUITE_PASS, event, NULL, expectation(refusal), "the client stopped after the refusal %s%s",
                  judge_where(event).text, told ? " and reported the error" : "");
        return;
    }
    enum suite_result stops_not = told && !takes_place_back(run, event) ? SUITE_WARN : SUITE_FAIL;
    bool ended = suite_ended(run, 0) && suite_stop_mark(run, 0) == 0;
    if (ended && !takes_place_back(run, event))
        stops_not = SUITE_PASS_LENIENT; /* it ended with the error that the last of them was answered */
    judge_say(verdict, refusal->then == STOPS ? stops_not : SUITE_PASS_LENIENT, event, first, expectation(refusal),
              "after the refusal %s the client still sent %d request%s, first %s %s%s", judge_where(event).text, count,
              count == 1 ? "" : "s", rj_api_name(first->api_key), judge_where(first).text,
              told ? "; it did report the error" : "");
}

static void judge_rejoin_or_tell(const struct suite_run *run, const struct refusal *refusal,
                                 const struct trace_event *event, struct suite_verdict *verdict)
{
    bool told = trace_report(suite_trace(run), event->number, "error", 0) != NULL;
    bool ended_by_itself = suite_ended(run, 0) && suite_stop_mark(run, 0) == 0;
    judge_rejoin(run, refusal, event, verdict);
    bool kafka_does_so = refusal->api_key == API_SYNC_GROUP;
    if (verdict->result == SUITE_FAIL && (told || ended_by_itself))
        judge_say(verdict, kafka_does_so ? SUITE_PASS_LENIENT : SUITE_WARN, event, NULL, expectation(refusal),
                  "after the refusal %s the client ended with an error%s", judge_where(event).text,
                  kafka_does_so ? ", as Kafka's own does" : "");
}

static void judge_waits(const struct suite_run *run, const struct refusal *refusal, const struct trace_event *event,
                        struct suite_verdict *verdict)
{
    const struct trace *trace = suite_trace(run);
    int32_t count = count_within_a_second(trace, event, refusal->api_key);
    if (judge_hot_loop(run, event, refusal->api_key, verdict))
        return;
    judge_say(verdict, count > SHORT_PAUSES_COUNT ? SUITE_WARN : SUITE_PASS, event, NULL, expectation(refusal),
              "%d %s in all, %d of them within a second of the first refusal %s",
              trace_count_requests(trace, 0, refusal->api_key), rj_api_name(refusal->api_key), count,
              judge_where(event).text);
}

static void judge_refusal(const struct suite_run *run, struct suite_verdict *verdict)
{
    const struct refusal *refusal = refusal_of(run);
    const struct trace_event *event = refused(run);
    if (event == NULL) {
        char missing[96];
        snprintf(missing, sizeof(missing), "no %s came that could be refused", rj_api_name(refusal->api_key));
        bool may = refusal->api_key == API_OFFSET_COMMIT || refusal->api_key == API_OFFSET_FETCH;
        judge_missing(run, verdict, may ? SUITE_INCONCLUSIVE : SUITE_FAIL, expectation(refusal), missing);
        return;
    }
    switch (refusal->then) {
    case REJOINS:
        judge_rejoin(run, refusal, event, verdict);
        break;
    case REJOINS_OR_TELLS:
        judge_rejoin_or_tell(run, refusal, event, verdict);
        break;
    case STAYS:
    case UNHARMED:
    case COMMITS:
    case FETCHES:
    case FINDS:
        judge_again(run, refusal, event, verdict);
        break;
    case STOPS:
    case GIVES_UP:
        judge_stop(run, refusal, event, verdict);
        break;
    case WAITS:
        judge_waits(run, refusal, event, verdict);
        break;
    }
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

/* kafka-go pauses for 5 s before it begins anew, twice where two requests are refused. */
#define RECOVERS_WITHIN_MS(THEN) ((THEN) == FINDS || (THEN) == FETCHES ? 15000 : 10000)

#define COURSE(THEN)                                                                                                   \
    .steps = {{"the client is started", NULL, 0, step_start_first},                                                    \
              {"it joins", until_member_or_refused, 10000, make_it_rejoin},                                            \
              {"its request is refused", until_refused, 10000, after_refusal},                                         \
              {"it hears of it otherwise", until_heartbeat_must_tell, 1000, heartbeat_tells},                          \
              {"it recovers", until_recovered, RECOVERS_WITHIN_MS(THEN), NULL},                                        \
              {"what follows is seen", until_settled, 1000, NULL}}

/* One request answered with an error; which and how often by the match. */
#define REFUSED(symbol, ID, RULE, API, MATCH, FROM, COUNT, ERROR, THEN, NEXT_ID, REDISCOVERS, STATIC, REQUIREMENT,     \
                SOURCE)                                                                                                \
    static const struct refusal symbol##_refusal = {API, THEN, NEXT_ID, REDISCOVERS};                                  \
    static const struct suite_case symbol = {                                                                          \
        .id = ID, .rule = RULE, .requirement = REQUIREMENT, .source = SOURCE, .client = {.is_static = STATIC},         \
        .faults = {{.api_key = API, .match = MATCH, .from = FROM, .count = COUNT, .action = MOCK_ANSWER_ERROR,         \
                    .error = RJ_KAFKA_##ERROR}},                                                                       \
        COURSE(THEN), .judge = judge_refusal, .parameters = &symbol##_refusal};

#define LOST(symbol, ID, RULE, API, MATCH, FROM, ACTION, THEN, NEXT_ID, REQUIREMENT, SOURCE)                           \
    static const struct refusal symbol##_refusal = {API, THEN, NEXT_ID, false};                                        \
    static const struct suite_case symbol = {                                                                          \
        .id = ID, .rule = RULE, .requirement = REQUIREMENT, .source = SOURCE,                                          \
        .faults = {{.api_key = API, .match = MATCH, .from = FROM, .count = 1, .action = ACTION}},                      \
        COURSE(THEN), .judge = judge_refusal, .parameters = &symbol##_refusal};

#include "suite/cases_refusals.def"

#undef REFUSED
#undef LOST
#define REFUSED(symbol, ...) &symbol,
#define LOST(symbol, ...) &symbol,
const struct suite_case *const suite_refusal_cases[] = {
#include "suite/cases_refusals.def"
};
const int suite_refusal_cases_count = sizeof(suite_refusal_cases) / sizeof(suite_refusal_cases[0]);
