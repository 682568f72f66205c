#include "suite/run.h"

#include "mock/record.h"
#include "suite/faults.h"
#include "suite/judge.h"
#include "support/memory.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS 20
#define STALL_MS 250 /* a tick that comes so much later: this machine held us up, not the client */

enum phase { PHASE_STEPS, PHASE_STOPPING, PHASE_CLOSING, PHASE_DONE };

struct client_process {
    struct suite_run *run;
    int32_t index;
    struct driver_process *driver;
    int32_t stop_mark; /* 0: not asked to end */
    bool killed;
};

struct suite_run {
    const struct suite_case *test;
    struct suite_run_options options;
    struct mock_cluster *cluster;
    struct mock_observer observer;
    struct mock_interposer interposer;
    struct mock_recorder *recorder;
    struct trace trace;
    struct client_process processes[SUITE_MAX_PROCESSES];
    struct fault_slots faults;
    const struct suite_fault *edited; /* whose answer is changed next; NULL: none */
    const char *refused_id;           /* member id that was answered 25 or 82, as it is from then on; NULL: none */
    const struct suite_fault *refused_with;
    enum phase phase;
    int32_t step, mark;
    int64_t began_ms, step_began_ms, ended_ms, last_tick_ms, stalled_ms;
    uv_timer_t tick;
    bool ran_to_its_end, timed_out;
    char harness_error[256];
    struct suite_verdict verdict;
    void (*done)(void *context, struct suite_run *run);
    void *context;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms(const struct suite_run *run) { return (int64_t)uv_now(run->options.loop); }

/* ---- What the cluster tells ------------------------------------------------------------------------------------- */

static void saw_connection(void *context, const struct mock_connection_event *event)
{
    struct suite_run *run = context;
    if (run->phase != PHASE_CLOSING)
        trace_add_connection(&run->trace, event);
}

static void saw_frame(void *context, const struct mock_frame *frame)
{
    struct suite_run *run = context;
    trace_add_frame(&run->trace, frame);
}

static void saw_group(void *context, int64_t time_us, int32_t broker_id, const struct rj_state_change *change)
{
    struct suite_run *run = context;
    char text[256];
    const struct rj_rule_row *rule = change->rule != RJ_RULE_NONE ? rj_rule_row(change->rule) : NULL;
    snprintf(text, sizeof(text), "%s -> %s, generation %d%s%s", rj_group_state_name(change->from),
             rj_group_state_name(change->to), change->generation_id, rule != NULL ? ", " : "",
             rule != NULL ? rule->id : "");
    struct trace_event *event = trace_add_text(&run->trace, TRACE_GROUP, time_us, -1, text);
    event->broker_id = broker_id;
    event->generation = change->generation_id;
}

/* A broker takes about a millisecond for what a client asks when it looks for its coordinator. A mock that answers in a
 * fiftieth of that, and several questions with one write, makes librdkafka open and drop its coordinator connection until
 * the session is over, which it does not do with Kafka 4.1.1: there it needs two or three connections. */
static struct mock_verdict unhurried(const struct mock_frame *request)
{
    bool waits = request->api_key == API_VERSIONS || request->api_key == API_FIND_COORDINATOR;
    return (struct mock_verdict){.action = waits ? MOCK_DELAY_ANSWER : MOCK_PASS, .delay_ms = waits ? 1 : 0};
}

/* Who is unknown, or fenced, is so for all that it asks, until it comes with another id. */
static void remember_refused_id(struct suite_run *run, const struct suite_fault *fault, const struct trace_event *event)
{
    static const struct suite_fault unknown = {.action = MOCK_ANSWER_ERROR, .error = RJ_KAFKA_UNKNOWN_MEMBER_ID};
    static const struct suite_fault fenced = {.action = MOCK_ANSWER_ERROR, .error = RJ_KAFKA_FENCED_INSTANCE_ID};
    const struct suite_fault *both[] = {&unknown, &fenced};
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        if (fault->action == MOCK_ANSWER_ERROR && fault->error == both[i]->error && event->member_id[0] != '\0') {
            run->refused_id = event->member_id;
            run->refused_with = both[i];
        }
}

static struct mock_verdict interpose(void *context, const struct mock_frame *request)
{
    struct suite_run *run = context;
    struct trace_event *event = &run->trace.events[run->trace.count - 1];
    const struct suite_fault *fault = fault_for(&run->faults, event);
    if (fault == NULL && run->refused_id != NULL && strcmp(run->refused_id, event->member_id) == 0 &&
        event->api_key != API_LEAVE_GROUP)
        fault = run->refused_with;
    if (fault == NULL || event->kind != TRACE_REQUEST || event->correlation_id != request->correlation_id)
        return unhurried(request);
    char text[128];
    fault_describe(fault, text, sizeof(text));
    event->injected = true;
    event->text = trace_copy(&run->trace, text);
    remember_refused_id(run, fault, event);
    run->edited = fault->last_partition_only ? fault : NULL;
    if (run->edited != NULL)
        return (struct mock_verdict){.action = MOCK_PASS};
    return (struct mock_verdict){.action = fault->action, .error_code = fault->error, .delay_ms = fault->delay_ms,
                                 .hold_id = fault->hold_id};
}

/* The answer to the request that was just asked about: no other comes in between unless it is parked, and OffsetCommit
 * is not. */
static void edit(void *context, const struct mock_frame *request, void *body)
{
    struct suite_run *run = context;
    if (run->edited == NULL || request->api_key != API_OFFSET_COMMIT)
        return;
    struct rj_offset_commit_response *answer = body;
    if (answer->topics.count > 0 && answer->topics.items[answer->topics.count - 1].partitions.count > 0) {
        struct rj_offset_commit_response_topic *topic = &answer->topics.items[answer->topics.count - 1];
        topic->partitions.items[topic->partitions.count - 1].error_code = run->edited->error;
    }
    run->edited = NULL;
}

/* ---- The clients ------------------------------------------------------------------------------------------------ */

static void saw_line(void *context, const char *line)
{
    struct client_process *process = context;
    struct trace *trace = &process->run->trace;
    if (line[0] != '{')
        return;
    json_t *report = json_loads(line, 0, NULL);
    if (report == NULL || json_string_value(json_object_get(report, "event")) == NULL) {
        json_decref(report);
        return;
    }
    trace_add_text(trace, TRACE_CLIENT, now_us(), process->index, line)->report = report;
}

static void saw_exit(void *context)
{
    struct client_process *process = context;
    char text[96];
    int code = driver_exit(process->driver);
    if (code < 0)
        snprintf(text, sizeof(text), "client %d ended by signal %d", process->index + 1, -code);
    else
        snprintf(text, sizeof(text), "client %d ended with exit status %d", process->index + 1, code);
    trace_add_text(&process->run->trace, TRACE_CASE, now_us(), process->index, text);
}

void suite_start(struct suite_run *run, int32_t index)
{
    const struct suite_client *client = &run->test->client;
    struct client_process *process = &run->processes[index];
    char deadline[16], seed[24], instance[24], client_id[24];
    char session[16], heartbeat[16], commit[16], rebalance[16];
    char error[256] = "";
    snprintf(deadline, sizeof(deadline), "%d", run->options.case_timeout_ms);
    snprintf(seed, sizeof(seed), "%" PRIu64, run->options.seed);
    snprintf(instance, sizeof(instance), "instance-%d", index + 1);
    snprintf(client_id, sizeof(client_id), "client-%d", index + 1);
    snprintf(session, sizeof(session), "%d", SUITE_SESSION_TIMEOUT_MS);
    snprintf(heartbeat, sizeof(heartbeat), "%d", SUITE_HEARTBEAT_INTERVAL_MS);
    snprintf(commit, sizeof(commit), "%d",
             client->commit_interval_ms ? client->commit_interval_ms : SUITE_COMMIT_INTERVAL_MS);
    snprintf(rebalance, sizeof(rebalance), "%d", SUITE_REBALANCE_TIMEOUT_MS);
    const struct driver_variable variables[] = {
        {"REJOIN_BOOTSTRAP", mock_bootstrap(run->cluster)}, {"REJOIN_GROUP", SUITE_GROUP},
        {"REJOIN_TOPICS", SUITE_TOPIC},
        {"REJOIN_CASE", run->options.case_id != NULL ? run->options.case_id : run->test->id},
        {"REJOIN_DEADLINE_MS", deadline}, {"REJOIN_SEED", seed}, {"REJOIN_PROTOCOL", "classic"},
        {"REJOIN_INSTANCE_ID", client->is_static ? instance : NULL}, {"REJOIN_ASSIGNOR", client->assignor},
        {"REJOIN_CLIENT_ID", client_id}, {"REJOIN_SESSION_TIMEOUT_MS", session},
        {"REJOIN_HEARTBEAT_INTERVAL_MS", heartbeat}, {"REJOIN_COMMIT_INTERVAL_MS", commit},
        {"REJOIN_REBALANCE_TIMEOUT_MS", rebalance},
    };
    if (process->driver != NULL) { /* started again after it ended: what it printed before is not kept */
        if (!driver_closed(process->driver))
            return;
        driver_free(process->driver);
    }
    *process = (struct client_process){.run = run, .index = index};
    const struct driver_callbacks callbacks = {saw_line, saw_exit, process};
    char text[64];
    snprintf(text, sizeof(text), "client %d is started", index + 1);
    suite_say(run, text);
    process->driver = driver_start(run->options.loop, run->options.driver, variables,
                                   (int32_t)(sizeof(variables) / sizeof(variables[0])), &callbacks, error,
                                   sizeof(error));
    if (process->driver == NULL)
        snprintf(run->harness_error, sizeof(run->harness_error), "%s", error);
}

static void ask_to_end(struct suite_run *run, int32_t index, bool by_force)
{
    struct client_process *process = &run->processes[index];
    if (process->driver == NULL || driver_ended(process->driver))
        return;
    if (process->stop_mark == 0) {
        char text[64];
        snprintf(text, sizeof(text), "client %d gets %s", index + 1, by_force ? "SIGKILL" : "SIGTERM");
        process->stop_mark = trace_add_text(&run->trace, TRACE_CASE, now_us(), index, text)->number;
    }
    if (by_force) {
        process->killed = true;
        driver_kill(process->driver);
    } else {
        driver_stop(process->driver);
    }
}

void suite_stop(struct suite_run *run, int32_t process) { ask_to_end(run, process, false); }
void suite_kill(struct suite_run *run, int32_t process) { ask_to_end(run, process, true); }

bool suite_started(const struct suite_run *run, int32_t process) { return run->processes[process].driver != NULL; }

bool suite_ended(const struct suite_run *run, int32_t process)
{
    return suite_started(run, process) && driver_closed(run->processes[process].driver);
}

int suite_exit(const struct suite_run *run, int32_t process)
{
    return suite_started(run, process) ? driver_exit(run->processes[process].driver) : -1;
}

int32_t suite_stop_mark(const struct suite_run *run, int32_t process) { return run->processes[process].stop_mark; }

static bool all_ended(const struct suite_run *run)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (suite_started(run, i) && !suite_ended(run, i))
            return false;
    return true;
}

static bool any_started(const struct suite_run *run)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (suite_started(run, i))
            return true;
    return false;
}

/* ---- What steps and judges use ---------------------------------------------------------------------------------- */

const struct trace *suite_trace(const struct suite_run *run) { return &run->trace; }
const struct suite_case *suite_case_of(const struct suite_run *run) { return run->test; }
struct mock_cluster *suite_mock(struct suite_run *run) { return run->cluster; }
int32_t suite_steps_done(const struct suite_run *run) { return run->step; }
bool suite_ran_to_its_end(const struct suite_run *run) { return run->ran_to_its_end; }
int32_t suite_mark(const struct suite_run *run) { return run->mark; }
int64_t suite_step_age_ms(const struct suite_run *run) { return now_ms(run) - run->step_began_ms; }

void suite_say(struct suite_run *run, const char *text)
{
    trace_add_text(&run->trace, TRACE_CASE, now_us(), -1, text);
}

void suite_arm(struct suite_run *run, const struct suite_fault *fault)
{
    char text[128], line[192];
    fault_describe(fault, text, sizeof(text));
    snprintf(line, sizeof(line), "armed for %s: %s", rj_api_name(fault->api_key), text);
    suite_say(run, line);
    if (!fault_arm(&run->faults, fault))
        snprintf(run->harness_error, sizeof(run->harness_error), "more than %d faults in one case", SUITE_MAX_FAULTS);
}

void suite_append_records(struct suite_run *run, int32_t count_per_partition)
{
    int32_t partitions = mock_partition_count(run->cluster, SUITE_TOPIC);
    for (int32_t p = 0; p < partitions; p++)
        for (int32_t i = 0; i < count_per_partition; i++) {
            int64_t start = 0, end = 0;
            char value[48];
            mock_log_range(run->cluster, SUITE_TOPIC, p, &start, &end);
            int len = snprintf(value, sizeof(value), "record-%d-%" PRId64, p, end);
            mock_append(run->cluster, SUITE_TOPIC, p, RJ_NULL_BYTES,
                        (struct rj_bytes){(const uint8_t *)value, len});
        }
}

void suite_move_coordinator(struct suite_run *run, int32_t loading_ms)
{
    int32_t from = mock_coordinator_of(run->cluster, SUITE_GROUP);
    int32_t to = (from + 1) % mock_broker_count(run->cluster);
    char text[96];
    snprintf(text, sizeof(text), "the group's coordinator moves from broker %d to broker %d", from, to);
    suite_say(run, text);
    if (!mock_move_coordinator(run->cluster, SUITE_GROUP, to, loading_ms))
        snprintf(run->harness_error, sizeof(run->harness_error), "the mock cannot move a coordinator");
}

void suite_release(struct suite_run *run, uint64_t hold_id)
{
    suite_say(run, "what was held back is let go");
    mock_release(run->cluster, hold_id);
}

/* ---- The course of a case --------------------------------------------------------------------------------------- */

static void cluster_gone(void *context)
{
    struct suite_run *run = context;
    run->phase = PHASE_DONE;
    run->ended_ms = now_ms(run);
    run->done(run->context, run);
}

static void tick_closed(uv_handle_t *handle)
{
    struct suite_run *run = handle->data;
    if (run->recorder != NULL)
        mock_record_end(run->recorder);
    run->recorder = NULL;
    if (run->cluster != NULL)
        mock_stop(run->cluster, cluster_gone, run);
    else
        cluster_gone(run);
}

static void begin_step(struct suite_run *run)
{
    run->mark = run->trace.count;
    run->step_began_ms = now_ms(run);
}

static void begin_stopping(struct suite_run *run)
{
    run->phase = PHASE_STOPPING;
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        suite_stop(run, i);
}

static void advance_steps(struct suite_run *run)
{
    while (run->phase == PHASE_STEPS) {
        const struct suite_step *step = &run->test->steps[run->step];
        if (run->step == SUITE_MAX_STEPS || step->what == NULL) {
            run->ran_to_its_end = true;
            begin_stopping(run);
        } else if (run->harness_error[0] != '\0') {
            begin_stopping(run);
        } else if (step->until == NULL || step->until(run)) {
            if (step->then != NULL)
                step->then(run);
            run->step++;
            begin_step(run);
        } else if (suite_step_age_ms(run) >= step->within_ms || (any_started(run) && all_ended(run)) ||
                   now_ms(run) - run->began_ms >= run->options.case_timeout_ms) {
            char text[192];
            snprintf(text, sizeof(text), "waited %" PRId64 " ms in vain until %s", suite_step_age_ms(run), step->what);
            suite_say(run, text);
            begin_stopping(run);
        } else {
            return;
        }
    }
}

/* Time in which this process did not run is not held against the client. */
static void take_stall(struct suite_run *run)
{
    int64_t late_ms = now_ms(run) - run->last_tick_ms - TICK_MS;
    run->last_tick_ms = now_ms(run);
    if (late_ms < STALL_MS)
        return;
    char text[96];
    snprintf(text, sizeof(text), "the machine held the harness up for %" PRId64 " ms", late_ms);
    suite_say(run, text);
    run->stalled_ms += late_ms;
    run->step_began_ms += late_ms;
    run->began_ms += late_ms;
}

static void advance(uv_timer_t *timer)
{
    struct suite_run *run = timer->data;
    take_stall(run);
    if (run->phase == PHASE_STEPS)
        advance_steps(run);
    if (run->phase == PHASE_STOPPING && all_ended(run)) {
        judge_run(run, run->harness_error, &run->verdict);
        run->phase = PHASE_CLOSING;
        uv_close((uv_handle_t *)&run->tick, tick_closed);
    }
}

static bool start_cluster(struct suite_run *run)
{
    const struct suite_cluster *wanted = &run->test->cluster;
    struct mock_topic topic = {SUITE_TOPIC, wanted->partition_count ? wanted->partition_count : 2};
    struct mock_options options;
    mock_options_init(&options);
    options.broker_count = wanted->broker_count ? wanted->broker_count : 1;
    options.topics = &topic;
    options.topic_count = 1;
    options.initial_rebalance_delay_ms = 0;
    options.seed = run->options.seed;
    if (wanted->kafka_version != NULL)
        options.kafka_version = wanted->kafka_version;
    if (mock_start(&run->cluster, run->options.loop, &options, run->harness_error, sizeof(run->harness_error)) !=
        MOCK_STARTED)
        return false;
    run->observer = (struct mock_observer){.connection = saw_connection, .frame = saw_frame, .group = saw_group,
                                           .context = run};
    mock_add_observer(run->cluster, &run->observer);
    if (run->options.capture_path != NULL)
        run->recorder = mock_record_start(run->cluster, run->options.capture_path, run->harness_error,
                                          sizeof(run->harness_error));
    run->interposer = (struct mock_interposer){.request = interpose, .edit = edit, .context = run};
    mock_set_interposer(run->cluster, &run->interposer);
    suite_append_records(run, wanted->records ? wanted->records : 20);
    return true;
}

struct suite_run *suite_run_begin(const struct suite_case *test, const struct suite_run_options *options,
                                  void (*done)(void *context, struct suite_run *run), void *context)
{
    struct suite_run *run = rejoin_alloc_zeroed(1, sizeof(*run));
    run->test = test;
    run->options = *options;
    run->options.capture_path = options->capture_path != NULL ? rejoin_strdup(options->capture_path) : NULL;
    run->done = done;
    run->context = context;
    trace_init(&run->trace, now_us());
    uv_update_time(options->loop);
    run->began_ms = run->last_tick_ms = now_ms(run);
    for (int32_t i = 0; i < SUITE_MAX_FAULTS; i++)
        if (test->faults[i].count > 0)
            fault_arm(&run->faults, &test->faults[i]);
    uv_timer_init(options->loop, &run->tick);
    run->tick.data = run;
    uv_timer_start(&run->tick, advance, 0, TICK_MS);
    if (start_cluster(run))
        begin_step(run);
    return run;
}

/* ---- The outcome ------------------------------------------------------------------------------------------------ */

const struct suite_verdict *suite_run_verdict(const struct suite_run *run) { return &run->verdict; }

void suite_run_discount(struct suite_run *run, const char *reason)
{
    if (!suite_result_is_fine(run->verdict.result))
        return;
    run->verdict.result = SUITE_SKIPPED;
    snprintf(run->verdict.seen, sizeof(run->verdict.seen), "kept, but no pass counts: %s", reason);
}

int64_t suite_run_duration_ms(const struct suite_run *run) { return run->ended_ms - run->began_ms; }

int64_t suite_run_stalled_ms(const struct suite_run *run) { return run->stalled_ms; }

const char *suite_run_capture(const struct suite_run *run) { return run->options.capture_path; }

const struct driver_process *suite_run_process(const struct suite_run *run, int32_t process)
{
    return run->processes[process].driver;
}

enum suite_end suite_run_end(const struct suite_run *run)
{
    const struct client_process *first = &run->processes[0];
    if (first->driver == NULL || trace_success(&run->trace, 0, API_JOIN_GROUP) == NULL)
        return SUITE_END_NONE;
    if (first->killed || driver_was_forced(first->driver) || driver_exit(first->driver) < 0)
        return SUITE_END_ABORTED;
    bool left = trace_request(&run->trace, 0, API_LEAVE_GROUP) != NULL;
    return left || run->test->client.is_static ? SUITE_END_CLEAN : SUITE_END_LEFT_DIRTY;
}

const char *suite_end_name(enum suite_end end)
{
    static const char *const names[] = {
#define SUITE_END_NAME(name, text) text,
        SUITE_END_MAP(SUITE_END_NAME)
#undef SUITE_END_NAME
    };
    return names[end];
}

void suite_run_free(struct suite_run *run)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (run->processes[i].driver != NULL)
            driver_free(run->processes[i].driver);
    trace_release(&run->trace);
    free((char *)(uintptr_t)run->options.capture_path);
    free(run);
}
