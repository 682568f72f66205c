#include "suite/judge.h"

#include "rejoin/codec.h"
#include "suite/run.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EXIT_UNSUPPORTED 89
#define EXIT_SKIPPED 77

const char *suite_result_name(enum suite_result result)
{
    static const char *const names[] = {
#define SUITE_RESULT_NAME(name, text) text,
        SUITE_RESULT_MAP(SUITE_RESULT_NAME)
#undef SUITE_RESULT_NAME
    };
    return names[result];
}

bool suite_result_is_fine(enum suite_result result)
{
    return result == SUITE_PASS || result == SUITE_PASS_LENIENT || result == SUITE_WARN || result == SUITE_INFO;
}

/* ---- Words ------------------------------------------------------------------------------------------------------ */

struct judge_where judge_where(const struct trace_event *event)
{
    struct judge_where where;
    if (event == NULL)
        snprintf(where.text, sizeof(where.text), "nowhere");
    else
        snprintf(where.text, sizeof(where.text), "#%d at %.3f s", event->number, (double)event->at_us / 1e6);
    return where;
}

void judge_say(struct suite_verdict *verdict, enum suite_result result, const struct trace_event *first,
               const struct trace_event *second, const char *expected, const char *seen, ...)
{
    *verdict = (struct suite_verdict){.result = result};
    snprintf(verdict->expected, sizeof(verdict->expected), "%s", expected);
    va_list arguments;
    va_start(arguments, seen);
    vsnprintf(verdict->seen, sizeof(verdict->seen), seen, arguments);
    va_end(arguments);
    verdict->frames[0] = first != NULL ? first->number : 0;
    verdict->frames[1] = second != NULL ? second->number : 0;
}

static void add_words(char *out, size_t out_len, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add_words(char *out, size_t out_len, const char *format, ...)
{
    size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, out_len - used, format, arguments);
    va_end(arguments);
}

static void add_exits(const struct suite_run *run, char *out, size_t out_len)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++) {
        if (!suite_started(run, i) || !suite_ended(run, i) || suite_stop_mark(run, i) != 0)
            continue;
        int code = suite_exit(run, i);
        add_words(out, out_len, code < 0 ? ", and was ended by signal %d" : ", and ended by itself with status %d",
                  code < 0 ? -code : code);
    }
}

const char *judge_aftermath(const struct suite_run *run, int32_t after, char *out, size_t out_len)
{
    static const int16_t apis[] = {API_FIND_COORDINATOR, API_JOIN_GROUP, API_SYNC_GROUP, API_HEARTBEAT,
                                   API_OFFSET_COMMIT, API_OFFSET_FETCH, API_LEAVE_GROUP};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        int32_t count = trace_count_requests(suite_trace(run), after, apis[i]);
        if (count > 0)
            add_words(out, out_len, "%s%d %s", out[0] != '\0' ? ", " : "", count, rj_api_name(apis[i]));
    }
    if (out[0] == '\0')
        add_words(out, out_len, "no request of the group APIs");
    add_exits(run, out, out_len);
    return out;
}

void judge_missing(const struct suite_run *run, struct suite_verdict *verdict, enum suite_result result,
                   const char *expected, const char *missing)
{
    char aftermath[256];
    judge_say(verdict, result, NULL, NULL, expected, "%s; the client sent %s", missing,
              judge_aftermath(run, 0, aftermath, sizeof(aftermath)));
}

/* ---- What is the same for all cases ----------------------------------------------------------------------------- */

static bool is_crash_signal(int number)
{
    return number == SIGSEGV || number == SIGABRT || number == SIGBUS || number == SIGFPE || number == SIGILL ||
           number == SIGTRAP || number == SIGSYS;
}

/* The signal that ended a process of this run though nobody sent it; 0: none. A shell in between tells it as 128+n. */
static int crash_signal(const struct suite_run *run)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++) {
        if (!suite_started(run, i))
            continue;
        int code = suite_exit(run, i);
        if (code < 0 && is_crash_signal(-code))
            return -code;
        if (code > 128 && is_crash_signal(code - 128))
            return code - 128;
    }
    return 0;
}

static bool ended_with(const struct suite_run *run, int status)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++)
        if (suite_started(run, i) && suite_exit(run, i) == status)
            return true;
    return false;
}

/* What a driver that leaves with 77 says on its standard output: "SKIPPED: why". */
static void judge_skipped(const struct suite_run *run, struct suite_verdict *verdict)
{
    size_t len;
    const char *text = driver_output(suite_run_process(run, 0), false, &len);
    size_t line = 0;
    while (line < len && text[line] != '\n')
        line++;
    judge_say(verdict, SUITE_SKIPPED, NULL, NULL, "the driver has all that it needs", "%.*s", (int)line, text);
}

static const struct trace_event *refused_frame(const struct trace *trace)
{
    for (int32_t i = 0; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        bool malformed = event->kind == TRACE_REQUEST && event->text != NULL && !event->injected;
        bool not_advertised = event->kind == TRACE_CLOSED && event->text != NULL &&
                              strstr(event->text, "not advertised") != NULL;
        if (malformed || not_advertised)
            return event;
    }
    return NULL;
}

static bool judge_before(struct suite_run *run, const char *harness_error, struct suite_verdict *verdict)
{
    const struct trace *trace = suite_trace(run);
    const struct trace_event *refused = refused_frame(trace);
    if (harness_error[0] != '\0') {
        judge_say(verdict, SUITE_HARNESS_ERROR, NULL, NULL, "the harness runs the case", "%s", harness_error);
    } else if (ended_with(run, EXIT_SKIPPED)) {
        judge_skipped(run, verdict);
    } else if (ended_with(run, EXIT_UNSUPPORTED)) {
        judge_say(verdict, SUITE_UNSUPPORTED, NULL, NULL, "the client can do what the case asks for",
                  "the driver ended with status 89: unsupported");
    } else if (trace_request(trace, 0, TRACE_ANY_API) == NULL) {
        char aftermath[256];
        judge_say(verdict, crash_signal(run) ? SUITE_CRASH : SUITE_FAIL, NULL, NULL,
                  "the client connects to the cluster", "no request ever arrived; the client sent %s",
                  judge_aftermath(run, 0, aftermath, sizeof(aftermath)));
    } else if (refused != NULL) {
        judge_say(verdict, SUITE_FAIL, refused, NULL, "every request can be read, in a version that was advertised",
                  "%s: %s", judge_where(refused).text, refused->text);
    } else {
        return false;
    }
    return true;
}

static void judge_after(struct suite_run *run, struct suite_verdict *verdict)
{
    int signal_number = crash_signal(run);
    if (signal_number != 0) {
        verdict->result = SUITE_CRASH;
        add_words(verdict->seen, sizeof(verdict->seen), "; a client was ended by signal %d (%s)", signal_number,
                  strsignal(signal_number));
        return;
    }
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++) {
        const struct driver_process *process = suite_run_process(run, i);
        if (process == NULL || !driver_was_forced(process))
            continue;
        if (suite_result_is_fine(verdict->result))
            verdict->result = SUITE_HANG;
        add_words(verdict->seen, sizeof(verdict->seen), "; client %d did not end within %d s of SIGTERM", i + 1,
                  DRIVER_GRACE_MS / 1000);
        return;
    }
}

void judge_run(struct suite_run *run, const char *harness_error, struct suite_verdict *verdict)
{
    const struct suite_case *test = suite_case_of(run);
    if (judge_before(run, harness_error, verdict))
        return;
    if (test->client.needs_reports && trace_report(suite_trace(run), 0, "record", -1) == NULL) {
        judge_say(verdict, SUITE_INCONCLUSIVE, NULL, NULL, "the driver reports the records that the client delivers",
                  "no {\"event\":\"record\"} line on its standard output");
        return;
    }
    test->judge(run, verdict);
    judge_after(run, verdict);
}

/* ---- Identity --------------------------------------------------------------------------------------------------- */

const struct trace_event *judge_granted(const struct trace *trace, int32_t before, const char *member_id)
{
    for (int32_t i = before - 2; i >= 0; i--) {
        const struct trace_event *event = &trace->events[i];
        if (event->kind == TRACE_ANSWER && event->api_key == API_JOIN_GROUP && event->error == 0 &&
            (member_id == NULL || strcmp(event->member_id, member_id) == 0))
            return event;
    }
    return NULL;
}

enum judge_identity judge_identity(const struct trace *trace, const struct trace_event *request,
                                   const struct trace_event **granted)
{
    bool anonymous = request->member_id[0] == '\0' && request->generation < 0;
    *granted = NULL;
    if (anonymous && request->api_key == API_OFFSET_COMMIT)
        return IDENTITY_FINE;
    *granted = judge_granted(trace, request->number, request->member_id);
    if (*granted == NULL)
        return IDENTITY_NEVER_JOINED;
    bool on_its_way = request->at_us - (*granted)->at_us < JUDGE_IN_FLIGHT_US;
    if (request->generation == (*granted)->generation || (on_its_way && request->generation < (*granted)->generation))
        return IDENTITY_FINE;
    return IDENTITY_STALE;
}

const struct trace_event *judge_wrong_identity(const struct trace *trace, int16_t api_key,
                                               enum judge_identity *identity, const struct trace_event **granted)
{
    for (int32_t i = 0; i < trace->count; i++) {
        const struct trace_event *event = &trace->events[i];
        bool wanted = api_key == TRACE_ANY_API ? event->api_key == API_HEARTBEAT || event->api_key == API_SYNC_GROUP ||
                                                     event->api_key == API_OFFSET_COMMIT
                                               : event->api_key == api_key;
        if (event->kind != TRACE_REQUEST || !wanted)
            continue;
        *identity = judge_identity(trace, event, granted);
        if (*identity != IDENTITY_FINE)
            return event;
    }
    return NULL;
}

/* ---- Assignments ------------------------------------------------------------------------------------------------ */

/* Newer versions only add at the end: they are read as the newest that is known. */
static bool decode_prefixed(const struct rj_message_schema *schema, struct rj_bytes bytes, struct rj_arena *arena,
                            int16_t *version, void *message)
{
    if (bytes.data == NULL || bytes.len < 2)
        return false;
    *version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    if (*version < schema->versions.low)
        return false;
    int16_t read_as = *version > schema->versions.high ? schema->versions.high : *version;
    struct rj_bytes rest = {bytes.data + 2, bytes.len - 2};
    size_t consumed;
    return rj_decode_prefix(schema, read_as, rest, arena, message, &consumed, NULL) == RJ_OK;
}

static bool add_partition(struct rj_string topic, int32_t partition, uint64_t *partitions)
{
    if (!rj_string_equal(topic, RJ_STRING(SUITE_TOPIC)) || partition < 0 || partition > 63)
        return false;
    *partitions |= UINT64_C(1) << partition;
    return true;
}

bool judge_assignment(const struct trace *trace, struct rj_bytes bytes, uint64_t *partitions)
{
    struct rj_consumer_protocol_assignment assignment;
    struct rj_arena arena;
    int16_t version;
    *partitions = 0;
    if (bytes.len <= 0)
        return true;
    rj_arena_init(&arena, trace->arena.allocator, SIZE_MAX);
    bool fine = decode_prefixed(&rj_consumer_protocol_assignment_schema, bytes, &arena, &version, &assignment);
    for (int32_t i = 0; fine && i < assignment.assigned_partitions.count; i++) {
        const struct rj_consumer_protocol_assignment_topic_partition *topic = &assignment.assigned_partitions.items[i];
        for (int32_t j = 0; j < topic->partitions.count; j++)
            fine &= add_partition(topic->topic, topic->partitions.items[j], partitions);
    }
    rj_arena_release(&arena);
    return fine;
}

bool judge_subscription(const struct trace *trace, struct rj_bytes bytes, struct judge_subscription *subscription)
{
    struct rj_consumer_protocol_subscription decoded;
    struct rj_arena arena;
    *subscription = (struct judge_subscription){.generation = -1};
    rj_arena_init(&arena, trace->arena.allocator, SIZE_MAX);
    bool fine = decode_prefixed(&rj_consumer_protocol_subscription_schema, bytes, &arena, &subscription->version,
                                &decoded);
    for (int32_t i = 0; fine && i < decoded.topics.count; i++)
        subscription->names_topic |= rj_string_equal(decoded.topics.items[i], RJ_STRING(SUITE_TOPIC));
    for (int32_t i = 0; fine && subscription->version >= 1 && i < decoded.owned_partitions.count; i++) {
        const struct rj_consumer_protocol_subscription_topic_partition *topic = &decoded.owned_partitions.items[i];
        for (int32_t j = 0; j < topic->partitions.count; j++)
            fine &= add_partition(topic->topic, topic->partitions.items[j], &subscription->owned);
    }
    if (fine && subscription->version >= 2)
        subscription->generation = decoded.generation_id;
    rj_arena_release(&arena);
    return fine;
}

const char *judge_partitions(uint64_t partitions, char *out, size_t out_len)
{
    out[0] = '\0';
    for (int32_t i = 0; i < 64; i++)
        if (partitions >> i & 1)
            add_words(out, out_len, "%s%d", out[0] != '\0' ? "," : "", i);
    if (out[0] == '\0')
        add_words(out, out_len, "none");
    return out;
}

bool judge_assigned(const struct trace *trace, int32_t before, const char *member_id, uint64_t *partitions)
{
    for (int32_t i = before - 2; i >= 0; i--) {
        const struct trace_event *event = &trace->events[i];
        if (event->kind != TRACE_ANSWER || event->api_key != API_SYNC_GROUP || event->error != 0 ||
            event->body == NULL)
            continue;
        const struct trace_event *request = trace_request_of(trace, event);
        if (request != NULL && strcmp(request->member_id, member_id) == 0)
            return judge_assignment(trace, ((const struct rj_sync_group_response *)event->body)->assignment,
                                    partitions);
    }
    return false;
}
