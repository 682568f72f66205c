/* Cases on offsets: what is committed, as whom, when; where a new owner begins; what the application gets. */
#include "suite/judge.h"
#include "suite/steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- A rebalance between two commits ---------------------------------------------------------------------------- */

static void ask_for_rebalance(struct suite_run *run)
{
    suite_arm(run, &(struct suite_fault){.api_key = API_HEARTBEAT, .from = 1, .count = 1, .action = MOCK_ANSWER_ERROR,
                                         .error = RJ_KAFKA_REBALANCE_IN_PROGRESS});
}

static void ask_for_slow_rebalance(struct suite_run *run)
{
    suite_arm(run, &(struct suite_fault){.api_key = API_SYNC_GROUP, .from = 1, .count = 1,
                                         .action = MOCK_DELAY_ANSWER, .delay_ms = 1500});
    ask_for_rebalance(run);
}

static void append_some(struct suite_run *run) { suite_append_records(run, 10); }

static bool until_second_join(struct suite_run *run)
{
    return trace_success(suite_trace(run), suite_mark(run), API_JOIN_GROUP) != NULL;
}

static bool until_two_more_commits(struct suite_run *run)
{
    const struct trace_event *first = trace_success(suite_trace(run), suite_mark(run), API_OFFSET_COMMIT);
    return first != NULL && trace_success(suite_trace(run), first->number, API_OFFSET_COMMIT) != NULL;
}

static int32_t count_generations(const struct trace *trace)
{
    int32_t count = 0, last = INT32_MIN;
    const struct trace_event *join = trace_success(trace, 0, API_JOIN_GROUP);
    for (; join != NULL; join = trace_success(trace, join->number, API_JOIN_GROUP)) {
        count += join->generation != last;
        last = join->generation;
    }
    return count;
}

static void judge_commit_identity(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "every OffsetCommit carries the member id and the generation of the last JoinGroup";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *granted;
    enum judge_identity identity;
    int32_t commits = trace_count_requests(trace, 0, API_OFFSET_COMMIT);
    const struct trace_event *wrong = judge_wrong_identity(trace, API_OFFSET_COMMIT, &identity, &granted);
    if (wrong != NULL) {
        judge_say(verdict, SUITE_FAIL, granted, wrong, expected,
                  "OffsetCommit %s carries generation %d and member id %s; JoinGroup had given generation %d %s",
                  judge_where(wrong).text, wrong->generation, wrong->member_id,
                  granted != NULL ? granted->generation : -1, judge_where(granted).text);
        return;
    }
    const struct trace_event *last = judge_granted(trace, trace->count + 2, NULL);
    if (last == NULL || commits == 0 || count_generations(trace) < 2)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "there were no commits in two generations");
    else if (trace_request(trace, last->number, API_OFFSET_COMMIT) == NULL)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "nothing was committed after the rebalance");
    else
        judge_say(verdict, SUITE_PASS, last, trace_request(trace, last->number, API_OFFSET_COMMIT), expected,
                  "%d commits in %d generations, all as they should be", commits, count_generations(trace));
}

static void judge_commit_between(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "no OffsetCommit between the success of JoinGroup and that of SyncGroup";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *join = trace_success(trace, 0, API_JOIN_GROUP);
    int32_t generations = count_generations(trace);
    for (; join != NULL; join = trace_success(trace, join->number, API_JOIN_GROUP)) {
        const struct trace_event *sync = trace_success(trace, join->number, API_SYNC_GROUP);
        const struct trace_event *commit = trace_request(trace, join->number, API_OFFSET_COMMIT);
        while (commit != NULL && commit->generation != join->generation)
            commit = trace_request(trace, commit->number, API_OFFSET_COMMIT);
        if (commit != NULL && sync != NULL && commit->number < sync->number) {
            judge_say(verdict, SUITE_FAIL, join, commit, expected,
                      "OffsetCommit %s of the new generation came between JoinGroup %s and SyncGroup %s; "
                      "Kafka answers 27",
                      judge_where(commit).text, judge_where(join).text, judge_where(sync).text);
            return;
        }
    }
    if (generations < 2)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the client did not rejoin");
    else
        judge_say(verdict, SUITE_PASS, NULL, NULL, expected, "none in %d generations", generations);
}

/* ---- Ranges ----------------------------------------------------------------------------------------------------- */

struct committed { int64_t last[64]; };

/* Checks one commit against what was committed before it; NULL: fine. */
static const char *commit_wrong(const struct trace_event *commit, int64_t end_offset, struct committed *before,
                                char *out, size_t out_len)
{
    const struct rj_offset_commit_request *request = commit->body;
    for (int32_t i = 0; i < request->topics.count; i++)
        for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++) {
            const struct rj_offset_commit_request_partition *partition = &request->topics.items[i].partitions.items[j];
            int64_t offset = partition->committed_offset;
            int32_t index = partition->partition_index & 63;
            const char *wrong = offset < 0                     ? "is negative"
                                : offset > end_offset          ? "lies behind the end of the log"
                                : offset < before->last[index] ? "is smaller than the commit before"
                                                               : NULL;
            snprintf(out, out_len, "partition %d: offset %" PRId64 " %s", partition->partition_index, offset,
                     wrong != NULL ? wrong : "");
            if (wrong != NULL)
                return out;
            before->last[index] = offset;
        }
    return NULL;
}

#define RANGE_END 30 /* 20 records, then 10 more */

static void judge_commit_range(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "offsets from 0 to the end of the log, never smaller than before";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *commit = trace_request(trace, 0, API_OFFSET_COMMIT);
    struct committed before = {{0}};
    char text[128];
    int32_t count = 0;
    for (; commit != NULL; commit = trace_request(trace, commit->number, API_OFFSET_COMMIT)) {
        if (commit->body == NULL)
            continue;
        const char *wrong = commit_wrong(commit, RANGE_END, &before, text, sizeof(text));
        if (wrong != NULL) {
            judge_say(verdict, SUITE_FAIL, commit, NULL, expected, "OffsetCommit %s, %s", judge_where(commit).text,
                      wrong);
            return;
        }
        count++;
    }
    if (count == 0)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "the client never committed");
    else
        judge_say(verdict, SUITE_PASS, NULL, NULL, expected, "%d commits", count);
}

/* ---- Where a new owner begins ----------------------------------------------------------------------------------- */

static bool until_second_fetches(struct suite_run *run)
{
    return trace_request(suite_trace(run), suite_mark(run), API_FETCH) != NULL && until_settled(run);
}

/* The smallest offset that the Fetch requests behind `after` name first for a partition; -1: none does. */
static int64_t first_fetch_offset(const struct trace *trace, int32_t after, int32_t partition,
                                  const struct trace_event **where)
{
    const struct trace_event *fetch = trace_request(trace, after, API_FETCH);
    for (; fetch != NULL; fetch = trace_request(trace, fetch->number, API_FETCH)) {
        const struct rj_fetch_request *request = fetch->body;
        for (int32_t i = 0; request != NULL && i < request->topics.count; i++)
            for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
                if (request->topics.items[i].partitions.items[j].partition == partition) {
                    *where = fetch;
                    return request->topics.items[i].partitions.items[j].fetch_offset;
                }
    }
    return -1;
}

static int64_t last_committed(const struct trace *trace, int32_t before, int32_t partition)
{
    for (int32_t number = before - 1; number >= 1; number--) {
        const struct trace_event *commit = trace_at(trace, number);
        if (commit->kind != TRACE_REQUEST || commit->api_key != API_OFFSET_COMMIT || commit->body == NULL)
            continue;
        const struct trace_event *answer = trace_answer_of(trace, commit);
        const struct rj_offset_commit_request *request = commit->body;
        if (answer == NULL || answer->error != 0)
            continue;
        for (int32_t i = 0; i < request->topics.count; i++)
            for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
                if (request->topics.items[i].partitions.items[j].partition_index == partition)
                    return request->topics.items[i].partitions.items[j].committed_offset;
    }
    return -1;
}

static const struct trace_event *start_of_second(const struct trace *trace)
{
    for (int32_t number = 1; number <= trace->count; number++)
        if (trace_at(trace, number)->kind == TRACE_CASE &&
            strcmp(trace_at(trace, number)->text, "client 2 is started") == 0)
            return trace_at(trace, number);
    return NULL;
}

static void judge_resumes(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the next owner asks OffsetFetch and begins at the committed offset";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *second = start_of_second(trace), *fetch = NULL;
    int32_t after = second != NULL ? second->number : trace->count;
    const struct trace_event *asked = trace_request(trace, after, API_OFFSET_FETCH);
    int32_t compared = 0;
    for (int32_t partition = 0; partition < 2; partition++) {
        int64_t committed = last_committed(trace, after, partition);
        int64_t began = first_fetch_offset(trace, after, partition, &fetch);
        if (committed < 0 || began < 0)
            continue;
        compared++;
        if (asked == NULL || asked->number > fetch->number || began != committed) {
            judge_say(verdict, SUITE_FAIL, asked, fetch, expected,
                      "partition %d: committed %" PRId64 ", OffsetFetch %s, first Fetch %s at offset %" PRId64,
                      partition, committed, judge_where(asked).text, judge_where(fetch).text, began);
            return;
        }
    }
    if (compared == 0)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "nothing was committed, or nothing fetched after it");
    else
        judge_say(verdict, SUITE_PASS, asked, fetch, expected, "OffsetFetch %s, first Fetch %s, %d partitions",
                  judge_where(asked).text, judge_where(fetch).text, compared);
}

/* ---- Delivery --------------------------------------------------------------------------------------------------- */

#define DELIVERY_PARTITIONS 2
#define DELIVERY_PER_PARTITION 30

/* The position after all records, as committed. */
static bool until_all_delivered(struct suite_run *run)
{
    return trace_count_reports(suite_trace(run), "record", -1) >= DELIVERY_PARTITIONS * DELIVERY_PER_PARTITION &&
           until_settled(run);
}

static void judge_delivery(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "every record is delivered, before and after the rebalance";
    int32_t seen[DELIVERY_PARTITIONS][DELIVERY_PER_PARTITION] = {{0}};
    int32_t lost = 0, repeated = 0, foreign = 0, first_lost = -1;
    const struct trace *trace = suite_trace(run);
    const struct trace_event *report = trace_report(trace, 0, "record", -1);
    for (; report != NULL; report = trace_report(trace, report->number, "record", -1)) {
        json_int_t partition = json_integer_value(json_object_get(report->report, "partition"));
        json_int_t offset = json_integer_value(json_object_get(report->report, "offset"));
        if (partition < 0 || partition >= DELIVERY_PARTITIONS || offset < 0 || offset >= DELIVERY_PER_PARTITION)
            foreign++;
        else
            seen[partition][offset]++;
    }
    for (int32_t p = 0; p < DELIVERY_PARTITIONS; p++)
        for (int32_t o = 0; o < DELIVERY_PER_PARTITION; o++) {
            lost += seen[p][o] == 0;
            first_lost = seen[p][o] == 0 && first_lost < 0 ? p * DELIVERY_PER_PARTITION + o : first_lost;
            repeated += seen[p][o] > 1;
        }
    if (lost > 0)
        judge_say(verdict, SUITE_FAIL, NULL, NULL, expected, "%d of %d records never came, the first is partition %d "
                  "offset %d", lost, DELIVERY_PARTITIONS * DELIVERY_PER_PARTITION, first_lost / DELIVERY_PER_PARTITION,
                  first_lost % DELIVERY_PER_PARTITION);
    else if (foreign > 0)
        judge_say(verdict, SUITE_FAIL, NULL, NULL, expected, "%d records that nobody produced", foreign);
    else
        judge_say(verdict, repeated > 0 ? SUITE_PASS_LENIENT : SUITE_PASS, NULL, NULL, expected,
                  "all %d records, %d of them more than once", DELIVERY_PARTITIONS * DELIVERY_PER_PARTITION, repeated);
}

/* ---- Errors of single partitions, and commits before a rebalance ------------------------------------------------- */

static bool names_partition(const struct trace_event *commit, int32_t partition)
{
    const struct rj_offset_commit_request *request = commit->body;
    for (int32_t i = 0; request != NULL && i < request->topics.count; i++)
        for (int32_t j = 0; j < request->topics.items[i].partitions.count; j++)
            if (request->topics.items[i].partitions.items[j].partition_index == partition)
                return true;
    return false;
}

/* The partition that was answered with an error though the others were not; -1: none. */
static int32_t refused_partition(const struct trace_event *answer)
{
    const struct rj_offset_commit_response *response = answer->body;
    for (int32_t i = 0; response != NULL && i < response->topics.count; i++)
        for (int32_t j = 0; j < response->topics.items[i].partitions.count; j++)
            if (response->topics.items[i].partitions.items[j].error_code != 0)
                return response->topics.items[i].partitions.items[j].partition_index;
    return -1;
}

static bool until_partition_refused(struct suite_run *run)
{
    return trace_injected(suite_trace(run), 0, API_OFFSET_COMMIT) != NULL;
}

static const struct trace_event *committed_again(const struct trace *trace)
{
    const struct trace_event *refusal = trace_injected(trace, 0, API_OFFSET_COMMIT);
    if (refusal == NULL)
        return NULL;
    const struct trace_event *again = trace_request(trace, refusal->number, API_OFFSET_COMMIT);
    while (again != NULL && !names_partition(again, refused_partition(refusal)))
        again = trace_request(trace, again->number, API_OFFSET_COMMIT);
    return again;
}

static bool until_committed_again(struct suite_run *run) { return committed_again(suite_trace(run)) != NULL; }

static void judge_per_partition(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "the partition whose commit failed is committed again";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *refusal = trace_injected(trace, 0, API_OFFSET_COMMIT);
    const struct trace_event *again = committed_again(trace);
    if (refusal == NULL)
        judge_missing(run, verdict, SUITE_INCONCLUSIVE, expected, "the client never committed");
    else if (again == NULL)
        judge_say(verdict, SUITE_FAIL, refusal, NULL, expected,
                  "partition %d was answered 14 %s and never committed again, not on close either",
                  refused_partition(refusal), judge_where(refusal).text);
    else
        judge_say(verdict, SUITE_PASS, refusal, again, expected, "partition %d was answered 14 %s, committed again %s",
                  refused_partition(refusal), judge_where(refusal).text, judge_where(again).text);
}

static void judge_commits_before_rejoin(const struct suite_run *run, struct suite_verdict *verdict)
{
    static const char expected[] = "what was consumed is committed before the rejoin";
    const struct trace *trace = suite_trace(run);
    const struct trace_event *told = trace_injected(trace, 0, API_HEARTBEAT);
    const struct trace_event *join = told != NULL ? trace_request(trace, told->number, API_JOIN_GROUP) : NULL;
    const struct trace_event *commit =
        join != NULL ? trace_request_before(trace, join->number, API_OFFSET_COMMIT) : NULL;
    if (join == NULL)
        judge_missing(run, verdict, SUITE_FAIL, expected, "the client did not rejoin");
    else if (commit == NULL)
        judge_say(verdict, SUITE_WARN, told, join, expected,
                  "told of the rebalance %s, JoinGroup %s, no OffsetCommit before it: its records are delivered again",
                  judge_where(told).text, judge_where(join).text);
    else
        judge_say(verdict, SUITE_PASS, commit, join, expected, "OffsetCommit %s, JoinGroup %s",
                  judge_where(commit).text, judge_where(join).text);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

static const struct suite_case commit_identity = {
    .id = "commit/uses-the-current-generation", .rule = "cl-commit-generation",
    .requirement = "After a rebalance commits carry the new generation.",
    .source = "ConsumerCoordinator.sendOffsetCommitRequest 4.1; KAFKA-19242",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client commits", until_committed, 12000, ask_for_rebalance},
              {"the client joins the next generation", until_second_join, 10000, append_some},
              {"the client commits again", until_two_more_commits, 6000, NULL}},
    .judge = judge_commit_identity};

static const struct suite_case commit_between = {
    .id = "commit/not-between-join-and-sync", .rule = "cl-commit-generation",
    .requirement = "Between the success of JoinGroup and that of SyncGroup nothing is committed.",
    .source = "ConsumerCoordinator.sendOffsetCommitRequest 4.1; franz-go 1.13.2",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client commits", until_committed, 12000, ask_for_slow_rebalance},
              {"the client joins the next generation", until_second_join, 10000, append_some},
              {"the client is in the group", until_joined, 10000, NULL}},
    .judge = judge_commit_between};

static const struct suite_case commit_range = {
    .id = "commit/stays-in-range", .rule = "cl-commit-nonneg",
    .requirement = "Committed offsets lie in the log and do not go back while the owner stays.",
    .source = "KAFKA-18641; ConsumerCoordinator 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client commits", until_committed, 12000, append_some},
              {"the client commits again", until_committed, 6000, NULL},
              {"what follows is seen", until_settled, 1000, NULL}},
    .judge = judge_commit_range};

static const struct suite_case commit_per_partition = {
    .id = "commit/looks-at-every-partition", .rule = "cl-commit-per-partition",
    .requirement = "A commit in which one partition failed is not taken for done.",
    .source = "ConsumerCoordinator.OffsetCommitResponseHandler 4.1; librdkafka 2791",
    .faults = {{.api_key = API_OFFSET_COMMIT, .match = SUITE_WITH_ID, .from = 1, .count = 1,
                .action = MOCK_ANSWER_ERROR, .error = RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS,
                .last_partition_only = true}},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"a partition of its commit is refused", until_partition_refused, 12000, NULL},
              {"it commits the partition again", until_committed_again, 8000, NULL}},
    .judge = judge_per_partition};

static const struct suite_case commit_before_rejoin = {
    .id = "commit/before-the-rejoin", .rule = "cl-commit-before-revoke",
    .requirement = "What was consumed is committed before partitions are given up for a rebalance.",
    .source = "ConsumerCoordinator.onJoinPrepare 4.1; KAFKA-14024", .client = {.commit_interval_ms = 60000},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client is in the group", until_stable, 10000, NULL},
              {"the client consumed for a while", until_a_second_passed, 2000, ask_for_rebalance},
              {"the client joins the next generation", until_second_join, 10000, NULL}},
    .judge = judge_commits_before_rejoin};

static const struct suite_case fetch_resumes = {
    .id = "offset-fetch/next-owner-resumes", .rule = "cl-fetch-owned-only",
    .requirement = "A new owner begins at the committed offset.",
    .source = "ConsumerCoordinator.initWithCommittedOffsetsIfNeeded 4.1",
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client commits", until_committed, 12000, NULL},
              {"what follows is seen", until_a_second_passed, 1500, step_stop_first},
              {"the client ends", until_first_ended, 6000, step_start_second},
              {"the next client fetches", until_second_fetches, 10000, NULL}},
    .judge = judge_resumes};

static const struct suite_case delivery = {
    .id = "delivery/every-record-across-a-rebalance", .rule = "cl-delivery",
    .requirement = "Every record of the assigned partitions reaches the application at least once.",
    .source = "KIP-62; KAFKA-14196", .client = {.needs_reports = true},
    .steps = {{"the client is started", NULL, 0, step_start_first},
              {"the client commits", until_committed, 12000, ask_for_rebalance},
              {"the client joins the next generation", until_second_join, 10000, append_some},
              {"all records are delivered", until_all_delivered, 6000, NULL}},
    .judge = judge_delivery};

const struct suite_case *const suite_commit_cases[] = {
    &commit_identity, &commit_between, &commit_per_partition, &commit_before_rejoin, &commit_range,
    &fetch_resumes, &delivery,
};
const int suite_commit_cases_count = sizeof(suite_commit_cases) / sizeof(suite_commit_cases[0]);
