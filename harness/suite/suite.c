#include "suite/suite.h"

#include "cli/commands.h"
#include "report/report.h"
#include "suite/evidence.h"
#include "suite/results.h"
#include "support/memory.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A driver may build or install what it needs on its first use. */
#define CANARY_TIMEOUT_MS 600000
#define STALL_SPOILS_MS 500
#define MAX_ATTEMPTS 3

struct work {
    const struct suite_options *options;
    struct driver_spec driver;
    uv_loop_t loop;
    const struct suite_case **cases; /* chosen ones */
    json_t **outcomes;               /* one each; NULL: not run yet */
    int32_t count, next, running;
    int32_t *attempts, *again, again_count; /* of each case; indices of those to be run again */
    enum { STAGE_CANARY, STAGE_SMOKE, STAGE_CASES } stage;
    char canary_id[48], void_reason[384], today[16];
    json_t *canary, *smoke, *client;
    struct results_summary summary;
    bool nothing_to_test; /* the driver said that a piece is missing */
    bool is_over;         /* no further case is begun */
    char error[512];
};

/* ---- Choosing --------------------------------------------------------------------------------------------------- */

bool suite_is_chosen(const struct suite_options *options, const char *id)
{
    for (int32_t i = 0; i < options->pattern_count; i++)
        if (fnmatch(options->patterns[i], id, 0) == 0)
            return true;
    return options->pattern_count == 0;
}

int suite_chosen(const struct suite_options *options)
{
    const struct suite_case *test;
    int count = 0;
    for (int i = 0; (test = suite_case_at(i)) != NULL; i++)
        count += suite_is_chosen(options, test->id);
    return count;
}

void suite_list(const struct suite_options *options, FILE *out, bool as_json)
{
    const struct suite_case *test;
    json_t *list = json_array();
    for (int i = 0; (test = suite_case_at(i)) != NULL; i++) {
        if (!suite_is_chosen(options, test->id))
            continue;
        if (as_json)
            json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "id", test->id, "rule", test->rule,
                                                  "requirement", test->requirement, "source", test->source));
        else
            fprintf(out, "%-46s %-26s %s\n", test->id, test->rule, test->requirement);
    }
    if (as_json) {
        json_dumpf(list, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        fputc('\n', out);
    }
    json_decref(list);
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

static void print_result(const struct work *work, const struct suite_run *run, enum overlay overlay,
                         const char *reason)
{
    const struct suite_verdict *verdict = suite_run_verdict(run);
    bool passed = verdict->result == SUITE_PASS;
    if (work->options->quiet)
        return;
    printf("%-13s %-46s %6.2f s\n",
           overlay != OVERLAY_NONE ? overlay_name(overlay) : suite_result_name(verdict->result),
           suite_case_of(run)->id, (double)suite_run_duration_ms(run) / 1000);
    if (!passed)
        printf("              expected: %s\n              seen: %s\n", verdict->expected, verdict->seen);
    if (overlay != OVERLAY_NONE)
        printf("              known: %s\n", reason);
    fflush(stdout);
}

static void count_result(struct results_summary *summary, enum suite_result result, enum overlay overlay)
{
    summary->total++;
    summary->counts[result]++;
    summary->xfail += overlay == OVERLAY_XFAIL;
    summary->xpass += overlay == OVERLAY_XPASS;
    bool short_of = result == SUITE_FAIL || result == SUITE_CRASH || result == SUITE_HANG;
    summary->fell_short += short_of && overlay != OVERLAY_XFAIL;
}

static json_t *take_outcome(struct work *work, struct suite_run *run, bool counts)
{
    if (counts && work->void_reason[0] != '\0')
        suite_run_discount(run, work->void_reason);
    const struct suite_verdict *verdict = suite_run_verdict(run);
    const struct suite_case *test = suite_case_of(run);
    const char *reason = NULL;
    char folder[128];
    enum overlay overlay = OVERLAY_NONE;
    if (counts) {
        overlay = expectations_apply(work->options->expectations, test->id, verdict, work->today, &reason);
        count_result(&work->summary, verdict->result, overlay);
        print_result(work, run, overlay, reason);
    }
    evidence_folder(test->id, folder, sizeof(folder));
    evidence_clear(work->options->out, test->id);
    bool leaves = verdict->result != SUITE_PASS && verdict->result != SUITE_UNSUPPORTED;
    const struct evidence_options options = {.out = work->options->out, .driver = work->options->driver,
                                             .seed = work->options->seed, .program = work->options->program};
    if (leaves && !evidence_write(run, &options, work->error, sizeof(work->error)))
        leaves = false;
    if (suite_run_capture(run) != NULL)
        remove(suite_run_capture(run)); /* where evidence is left, it was moved there */
    return results_case(run, overlay, reason, leaves ? folder : NULL);
}

static void advance(struct work *work);

static void canary_done(void *context, struct suite_run *run)
{
    struct work *work = context;
    const struct suite_verdict *verdict = suite_run_verdict(run);
    work->canary = take_outcome(work, run, false);
    json_object_set_new(work->canary, "id", json_string(work->canary_id));
    work->nothing_to_test = verdict->result == SUITE_SKIPPED;
    work->is_over = verdict->result != SUITE_UNSUPPORTED;
    if (verdict->result == SUITE_SKIPPED)
        snprintf(work->void_reason, sizeof(work->void_reason), "%.300s", verdict->seen);
    else if (verdict->result != SUITE_UNSUPPORTED)
        snprintf(work->void_reason, sizeof(work->void_reason),
                 "the driver must end with status 89 for a case that it does not know (%s): %.256s", work->canary_id,
                 suite_exit(run, 0) == 127 ? "its command was not found (status 127)" : verdict->seen);
}

static void smoke_done(void *context, struct suite_run *run)
{
    struct work *work = context;
    const struct suite_verdict *verdict = suite_run_verdict(run);
    work->smoke = take_outcome(work, run, false);
    work->client = results_client(run);
    /* A client that speaks to its group is worth a look at what it does wrong; one that does not would only wait. */
    work->is_over = verdict->result != SUITE_PASS && trace_request(suite_trace(run), 0, API_JOIN_GROUP) == NULL;
    if (verdict->result != SUITE_PASS)
        snprintf(work->void_reason, sizeof(work->void_reason), "the smoke case did not pass: %s: %.300s",
                 suite_result_name(verdict->result), verdict->seen);
}

/* A result that is no pass from a case in which the machine stood still says nothing about the client. */
static bool deserves_another(const struct suite_run *run, int32_t attempts)
{
    return suite_run_stalled_ms(run) >= STALL_SPOILS_MS && suite_run_verdict(run)->result != SUITE_PASS &&
           attempts < MAX_ATTEMPTS;
}

static void case_done(void *context, struct suite_run *run)
{
    struct work *work = context;
    for (int32_t i = 0; i < work->count; i++) {
        if (work->cases[i] != suite_case_of(run))
            continue;
        if (deserves_another(run, ++work->attempts[i]))
            work->again[work->again_count++] = i;
        else
            work->outcomes[i] = take_outcome(work, run, true);
    }
}

static void run_done(void *context, struct suite_run *run)
{
    struct work *work = context;
    if (work->stage == STAGE_CANARY)
        canary_done(work, run);
    else if (work->stage == STAGE_SMOKE)
        smoke_done(work, run);
    else
        case_done(work, run);
    suite_run_free(run);
    work->running--;
    if (work->stage != STAGE_CASES)
        work->stage = work->stage == STAGE_CANARY ? STAGE_SMOKE : STAGE_CASES;
    advance(work);
}

static void begin(struct work *work, const struct suite_case *test, const char *case_id)
{
    char name[128], capture[PATH_MAX];
    evidence_folder(test->id, name, sizeof(name));
    snprintf(capture, sizeof(capture), "%s/.%s.pcapng", work->options->out, name);
    const struct suite_run_options options = {
        .loop = &work->loop, .driver = &work->driver, .seed = work->options->seed,
        .case_timeout_ms = work->stage == STAGE_CANARY ? CANARY_TIMEOUT_MS : work->options->case_timeout_ms,
        .case_id = case_id, .capture_path = capture,
    };
    work->running++;
    suite_run_begin(test, &options, run_done, work);
}

static void advance(struct work *work)
{
    if (work->is_over || work->error[0] != '\0')
        return;
    if (work->stage == STAGE_CANARY) {
        begin(work, &suite_canary, work->canary_id);
    } else if (work->stage == STAGE_SMOKE) {
        begin(work, &suite_smoke, NULL);
    } else {
        while (work->running < work->options->jobs && work->next < work->count)
            begin(work, work->cases[work->next++], NULL);
        while (work->running < work->options->jobs && work->again_count > 0)
            begin(work, work->cases[work->again[--work->again_count]], NULL);
    }
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static void add_stale(void *context, const char *text)
{
    json_array_append_new(context, json_string(text));
    printf("STALE         %s\n", text);
}

static void print_summary(const struct work *work, int64_t duration_ms)
{
    const struct results_summary *summary = &work->summary;
    printf("\n");
    if (work->void_reason[0] != '\0')
        printf("VOID: %s\n", work->void_reason);
    printf("%d cases in %.1f s:", summary->total, (double)duration_ms / 1000);
    for (int i = 0; i < SUITE_RESULT_COUNT; i++)
        if (summary->counts[i] > 0)
            printf(" %d %s", summary->counts[i], suite_result_name((enum suite_result)i));
    if (summary->xfail + summary->xpass > 0)
        printf(" (%d XFAIL, %d XPASS)", summary->xfail, summary->xpass);
    printf("\nreport: %s/index.html\n", work->options->out);
}

static int exit_code(const struct work *work)
{
    const struct results_summary *summary = &work->summary;
    if (work->error[0] != '\0' || summary->counts[SUITE_HARNESS_ERROR] > 0)
        return REJOIN_EXIT_HARNESS;
    if (work->nothing_to_test)
        return REJOIN_EXIT_NOTHING_TESTED;
    if (work->void_reason[0] != '\0' || summary->fell_short > 0)
        return REJOIN_EXIT_FELL_SHORT;
    if (summary->stale > 0)
        return REJOIN_EXIT_STALE;
    int32_t judged = summary->total - summary->counts[SUITE_UNSUPPORTED] - summary->counts[SUITE_SKIPPED] -
                     summary->counts[SUITE_INCONCLUSIVE];
    return judged > 0 ? REJOIN_EXIT_FINE : REJOIN_EXIT_NOTHING_TESTED;
}

static json_t *collect_cases(struct work *work)
{
    json_t *cases = json_array();
    for (int32_t i = 0; i < work->count; i++) {
        if (work->outcomes[i] == NULL) {
            work->outcomes[i] = results_skipped(work->cases[i], work->void_reason);
            count_result(&work->summary, SUITE_SKIPPED, OVERLAY_NONE);
        }
        json_array_append_new(cases, work->outcomes[i]);
    }
    return cases;
}

static int finish(struct work *work, const char *started_at, int64_t duration_ms)
{
    json_t *cases = collect_cases(work), *stale = json_array();
    work->summary.stale = expectations_stale(work->options->expectations, work->today, add_stale, stale);
    json_t *document = results_document(work->options, &work->summary, started_at, duration_ms,
                                        work->void_reason[0] != '\0' ? work->void_reason : NULL,
                                        work->client != NULL ? work->client : json_object(),
                                        work->canary != NULL ? work->canary : json_null(),
                                        work->smoke != NULL ? work->smoke : json_null(), cases, stale);
    if (work->error[0] == '\0')
        report_write_all(document, work->options->out, work->error, sizeof(work->error));
    json_decref(document);
    print_summary(work, duration_ms);
    if (work->error[0] != '\0')
        fprintf(stderr, "rejoin test-client: %s\n", work->error);
    return exit_code(work);
}

static void choose(struct work *work)
{
    const struct suite_case *test;
    int32_t all = suite_case_count();
    work->cases = rejoin_alloc_zeroed((size_t)all, sizeof(*work->cases));
    work->outcomes = rejoin_alloc_zeroed((size_t)all, sizeof(*work->outcomes));
    work->attempts = rejoin_alloc_zeroed((size_t)all, sizeof(*work->attempts));
    work->again = rejoin_alloc_zeroed((size_t)all, sizeof(*work->again));
    for (int i = 0; (test = suite_case_at(i)) != NULL; i++)
        if (suite_is_chosen(work->options, test->id))
            work->cases[work->count++] = test;
}

int suite_execute(const struct suite_options *options)
{
    struct work work = {.options = options};
    char started_at[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(started_at, sizeof(started_at), "%Y-%m-%dT%H:%M:%SZ", &utc);
    strftime(work.today, sizeof(work.today), "%Y-%m-%d", &utc);
    if (!driver_parse(options->driver, &work.driver, work.error, sizeof(work.error)) ||
        !evidence_make(options->out, work.error, sizeof(work.error))) {
        fprintf(stderr, "rejoin test-client: %s\n", work.error);
        return REJOIN_EXIT_USAGE;
    }
    /* An area that every driver must refuse, a name that none can have seen. */
    uint64_t random = 0;
    uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
    snprintf(work.canary_id, sizeof(work.canary_id), "canary/%016" PRIx64, random);
    choose(&work);
    uv_loop_init(&work.loop);
    uint64_t began = uv_now(&work.loop);
    advance(&work);
    uv_run(&work.loop, UV_RUN_DEFAULT);
    uv_update_time(&work.loop);
    int code = finish(&work, started_at, (int64_t)(uv_now(&work.loop) - began));
    uv_loop_close(&work.loop);
    free(work.cases);
    free(work.outcomes);
    free(work.attempts);
    free(work.again);
    return code;
}
