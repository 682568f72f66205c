/* rejoin bench: what a server costs under load, how long groups take to form, how long it takes to start. */
#include "cli/commands.h"

#include "bench/load.h"
#include "bench/process.h"
#include "bench/start.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: rejoin bench load  --bootstrap HOST:PORT [OPTION...]\n"
    "       rejoin bench join  --bootstrap HOST:PORT [OPTION...]\n"
    "       rejoin bench start [--runs N] [--json] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "load: joins the members (JoinGroup v4, one connection each), then sends heartbeats (v3) or commits of six\n"
    "partitions (v7) over a few connections and reports the server's CPU time a request, requests a second, latency.\n"
    "join: only joins, and reports the time from the first JoinGroup sent to the last member stable.\n"
    "start: runs a server that prints 'ready HOST:PORT' and reports the time from exec to its first answer.\n"
    "\n"
    "  --bootstrap HOST:PORT   the one broker of the cluster\n"
    "  --request LIST          heartbeat, commit or both with a comma (default: both)\n"
    "  --in-flight LIST        requests in flight on a connection (default: 1,16)\n"
    "  --groups N              groups (default 1)\n"
    "  --members N             members of each group (default 64)\n"
    "  --connections N         connections that carry the load (default 16)\n"
    "  --requests N            measured requests of each kind (default 100000)\n"
    "  --warmup N              requests before that (default: a tenth)\n"
    "  --server-pid PID        whose CPU time and memory to report\n"
    "  --topic NAME            with at least six partitions (default t)\n"
    "  --group-prefix NAME     groups are called NAME-0, NAME-1, ... (default: bench-PID)\n"
    "  --session-timeout-ms N  (default 60000)\n"
    "  --deadline-ms N         for joining (default 120000)\n"
    "  --leader-delay-ms N     a leader waits so long before its SyncGroup (default 0): librdkafka's mock refuses\n"
    "                          followers that come after it\n"
    "  --no-join               the server has canned answers: invent the members\n"
    "  --runs N                start: how often; the median is reported (default 11)\n"
    "  --json                  one JSON document instead of a table\n"
    "\n"
    "exit codes: 0 measured, 1 the server answered wrongly or too late, 3 usage\n";

enum { MAX_LIST = 8 };

struct options {
    struct bench_plan plan;
    struct bench_load load;
    int16_t requests[2];
    int request_kinds;
    uint32_t in_flight[MAX_LIST];
    int in_flight_count;
    bool has_bootstrap, has_warmup, no_join, as_json;
    int runs;
    char group_prefix[64];
};

enum {
    OPTION_BOOTSTRAP = 1, OPTION_REQUEST, OPTION_IN_FLIGHT, OPTION_GROUPS, OPTION_MEMBERS, OPTION_CONNECTIONS,
    OPTION_REQUESTS, OPTION_WARMUP, OPTION_SERVER_PID, OPTION_TOPIC, OPTION_GROUP_PREFIX, OPTION_SESSION_TIMEOUT,
    OPTION_DEADLINE, OPTION_LEADER_DELAY, OPTION_NO_JOIN, OPTION_RUNS, OPTION_JSON, OPTION_HELP,
};

static const struct option long_options[] = {
    {"bootstrap", required_argument, NULL, OPTION_BOOTSTRAP}, {"request", required_argument, NULL, OPTION_REQUEST},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT}, {"groups", required_argument, NULL, OPTION_GROUPS},
    {"members", required_argument, NULL, OPTION_MEMBERS},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"requests", required_argument, NULL, OPTION_REQUESTS}, {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"server-pid", required_argument, NULL, OPTION_SERVER_PID}, {"topic", required_argument, NULL, OPTION_TOPIC},
    {"group-prefix", required_argument, NULL, OPTION_GROUP_PREFIX},
    {"session-timeout-ms", required_argument, NULL, OPTION_SESSION_TIMEOUT},
    {"deadline-ms", required_argument, NULL, OPTION_DEADLINE}, {"no-join", no_argument, NULL, OPTION_NO_JOIN},
    {"leader-delay-ms", required_argument, NULL, OPTION_LEADER_DELAY},
    {"runs", required_argument, NULL, OPTION_RUNS}, {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0},
};

/* ---- Options --------------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, long long low, long long high, long long *number)
{
    char *end;
    *number = strtoll(text, &end, 10);
    if (*text != '\0' && *end == '\0' && *number >= low && *number <= high)
        return true;
    fprintf(stderr, "rejoin bench: '%s' is not a number from %lld to %lld\n", text, low, high);
    return false;
}

static bool parse_requests(struct options *options, const char *text)
{
    options->request_kinds = 0;
    if (strcmp(text, "heartbeat") == 0 || strcmp(text, "heartbeat,commit") == 0)
        options->requests[options->request_kinds++] = RJ_API_HEARTBEAT;
    if (strcmp(text, "commit") == 0 || strcmp(text, "heartbeat,commit") == 0)
        options->requests[options->request_kinds++] = RJ_API_OFFSET_COMMIT;
    if (options->request_kinds == 0)
        fprintf(stderr, "rejoin bench: --request '%s': expected heartbeat, commit or heartbeat,commit\n", text);
    return options->request_kinds > 0;
}

static bool parse_in_flight(struct options *options, char *text)
{
    options->in_flight_count = 0;
    for (char *rest = text, *word; (word = strtok_r(rest, ",", &rest)) != NULL;) {
        long long number;
        if (options->in_flight_count == MAX_LIST || !parse_number(word, 1, 10000, &number))
            return false;
        options->in_flight[options->in_flight_count++] = (uint32_t)number;
    }
    return options->in_flight_count > 0;
}

static bool parse_numeric(struct options *options, int option, const char *text)
{
    long long number, low = option == OPTION_WARMUP || option == OPTION_LEADER_DELAY ? 0 : 1;
    if (!parse_number(text, low, 1000000000, &number))
        return false;
    switch (option) {
    case OPTION_GROUPS: options->plan.group_count = (uint32_t)number; break;
    case OPTION_MEMBERS: options->plan.members_per_group = (uint32_t)number; break;
    case OPTION_CONNECTIONS: options->load.connection_count = (uint32_t)number; break;
    case OPTION_REQUESTS: options->load.request_count = (uint64_t)number; break;
    case OPTION_WARMUP: options->load.warmup_count = (uint64_t)number; options->has_warmup = true; break;
    case OPTION_SERVER_PID: options->plan.server_pid = options->load.server_pid = (int)number; break;
    case OPTION_SESSION_TIMEOUT: options->plan.session_timeout_ms = (int32_t)number; break;
    case OPTION_LEADER_DELAY: options->plan.leader_delay_ms = (int32_t)number; break;
    case OPTION_DEADLINE: options->plan.deadline_ms = (int32_t)number; break;
    default: options->runs = (int)number; break;
    }
    return true;
}

static bool parse_option(struct options *options, int option)
{
    switch (option) {
    case OPTION_BOOTSTRAP:
        options->has_bootstrap = bench_parse_address(optarg, &options->plan.address);
        if (!options->has_bootstrap)
            fprintf(stderr, "rejoin bench: --bootstrap '%s': expected HOST:PORT, HOST an IPv4 address\n", optarg);
        return options->has_bootstrap;
    case OPTION_REQUEST: return parse_requests(options, optarg);
    case OPTION_IN_FLIGHT: return parse_in_flight(options, optarg);
    case OPTION_TOPIC: options->plan.topic = optarg; return true;
    case OPTION_GROUP_PREFIX: options->plan.group_prefix = optarg; return true;
    case OPTION_NO_JOIN: options->no_join = true; return true;
    case OPTION_JSON: options->as_json = true; return true;
    case '?': return false;
    default: return parse_numeric(options, option, optarg);
    }
}

static void set_defaults(struct options *options)
{
    memset(options, 0, sizeof(*options));
    snprintf(options->group_prefix, sizeof(options->group_prefix), "bench-%d", (int)getpid());
    options->plan.group_prefix = options->group_prefix;
    options->plan.group_count = 1;
    options->plan.members_per_group = 64;
    options->plan.topic = "t";
    options->plan.session_timeout_ms = 60000;
    options->plan.deadline_ms = 120000;
    options->load.connection_count = 16;
    options->load.request_count = 100000;
    options->requests[0] = RJ_API_HEARTBEAT;
    options->requests[1] = RJ_API_OFFSET_COMMIT;
    options->request_kinds = 2;
    options->in_flight[0] = 1;
    options->in_flight[1] = 16;
    options->in_flight_count = 2;
    options->runs = 11;
}

/* ---- Measuring ------------------------------------------------------------------------------------------------- */

static double microseconds(int64_t ns) { return (double)ns / 1000.0; }

static void report_joined(const struct options *options, const struct bench_members *members, json_t *document)
{
    double joined_ms = (double)members->joined_in_ns / 1e6;
    json_object_set_new(document, "members", json_integer(members->count));
    json_object_set_new(document, "groups", json_integer(options->plan.group_count));
    json_object_set_new(document, "joined_in_ms", json_real(joined_ms));
    json_object_set_new(document, "rebalances", json_integer(members->rebalances));
    json_object_set_new(document, "own_bytes_before", json_integer(members->own_bytes_before));
    json_object_set_new(document, "own_bytes_after", json_integer(members->own_bytes_after));
    if (options->as_json || options->no_join)
        return;
    printf("%u members of %u groups stable in %.1f ms, %lld generations", members->count, options->plan.group_count,
           joined_ms, (long long)members->rebalances);
    if (members->own_bytes_after >= 0)
        printf("; the server's own memory %.2f -> %.2f MB", (double)members->own_bytes_before / 1e6,
               (double)members->own_bytes_after / 1e6);
    putchar('\n');
}

static void report_load(const struct options *options, const struct bench_load *load,
                        const struct bench_result *result, json_t *rows)
{
    double per_second = (double)result->request_count / ((double)result->elapsed_ns / 1e9);
    double cpu_us = result->server_cpu_ns < 0
                        ? -1 : microseconds(result->server_cpu_ns) / (double)result->request_count;
    const char *name = load->api_key == RJ_API_HEARTBEAT ? "heartbeat" : "commit";
    json_array_append_new(rows, json_pack("{s:s, s:i, s:i, s:I, s:f, s:f, s:f, s:f}", "request", name,
        "in_flight", (int)load->in_flight, "connections", (int)load->connection_count,
        "requests", (json_int_t)result->request_count, "server_cpu_us", cpu_us, "requests_per_s", per_second,
        "latency_p50_us", microseconds(result->latency_p50_ns), "latency_p99_us", microseconds(result->latency_p99_ns)));
    if (!options->as_json)
        printf("%-9s %4u in flight  %8.2f us server CPU  %9.0f /s  p50 %8.1f us  p99 %8.1f us\n", name,
               load->in_flight, cpu_us, per_second, microseconds(result->latency_p50_ns),
               microseconds(result->latency_p99_ns));
}

static bool run_loads(const struct options *options, const struct bench_members *members, json_t *rows)
{
    for (int i = 0; i < options->request_kinds; i++)
        for (int j = 0; j < options->in_flight_count; j++) {
            struct bench_load load = options->load;
            struct bench_result result;
            load.api_key = options->requests[i];
            load.in_flight = options->in_flight[j];
            if (!bench_run_load(&options->plan, members, &load, &result)) {
                fprintf(stderr, "rejoin bench: %s\n", result.problem);
                return false;
            }
            report_load(options, &load, &result, rows);
        }
    return true;
}

static void print_document(const struct options *options, json_t *document)
{
    if (options->as_json) {
        json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        putchar('\n');
    }
    json_decref(document);
}

static int run_on_server(const struct options *options, bool with_load)
{
    struct bench_members members;
    json_t *document = json_object(), *rows = json_array();
    json_object_set_new(document, "loads", rows);
    bool fine = true;
    if (options->no_join)
        bench_members_invent(&options->plan, &members);
    else
        fine = bench_join(&options->plan, &members);
    if (!fine)
        fprintf(stderr, "rejoin bench: %s\n", members.problem);
    else
        report_joined(options, &members, document);
    if (fine && with_load)
        fine = run_loads(options, &members, rows);
    bench_members_release(&members);
    print_document(options, document);
    return fine ? REJOIN_EXIT_FINE : REJOIN_EXIT_FELL_SHORT;
}

static int compare_int64(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int run_start(const struct options *options, char **command)
{
    enum { MAX_RUNS = 1000 };
    int64_t ready_ns[MAX_RUNS], answered_ns[MAX_RUNS];
    int runs = options->runs < MAX_RUNS ? options->runs : MAX_RUNS;
    struct bench_start start;
    for (int i = 0; i < runs; i++) {
        if (!bench_measure_start(command, &start)) {
            fprintf(stderr, "rejoin bench: %s\n", start.problem);
            return REJOIN_EXIT_FELL_SHORT;
        }
        ready_ns[i] = start.ready_ns;
        answered_ns[i] = start.answered_ns;
    }
    qsort(ready_ns, (size_t)runs, sizeof(int64_t), compare_int64);
    qsort(answered_ns, (size_t)runs, sizeof(int64_t), compare_int64);
    double ready_ms = (double)ready_ns[runs / 2] / 1e6, answered_ms = (double)answered_ns[runs / 2] / 1e6;
    if (!options->as_json)
        printf("%s: ready %.2f ms, first answer %.2f ms after exec (medians of %d); resident %.1f MB; program %.2f MB, "
               "libraries %.2f MB\n", command[0], ready_ms, answered_ms, runs, (double)start.resident_bytes / 1e6,
               (double)start.program_bytes / 1e6, (double)start.library_bytes / 1e6);
    print_document(options, json_pack("{s:f, s:f, s:i, s:I, s:I, s:I}", "ready_ms", ready_ms, "answered_ms", answered_ms,
        "runs", runs, "resident_bytes", (json_int_t)start.resident_bytes, "program_bytes",
        (json_int_t)start.program_bytes, "library_bytes", (json_int_t)start.library_bytes));
    return REJOIN_EXIT_FINE;
}

int command_bench(int argc, char **argv)
{
    struct options options;
    set_defaults(&options);
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return REJOIN_EXIT_FINE;
    }
    const char *what = argc >= 2 ? argv[1] : "";
    bool load = strcmp(what, "load") == 0, join = strcmp(what, "join") == 0, start = strcmp(what, "start") == 0;
    if (!load && !join && !start) {
        fprintf(stderr, "rejoin bench: expected load, join or start; rejoin bench --help explains them\n");
        return REJOIN_EXIT_USAGE;
    }
    for (int option; (option = getopt_long(argc - 1, argv + 1, "+", long_options, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            fputs(help, stdout);
            return REJOIN_EXIT_FINE;
        }
        if (!parse_option(&options, option))
            return REJOIN_EXIT_USAGE;
    }
    if (!options.has_warmup)
        options.load.warmup_count = options.load.request_count / 10;
    char **rest = argv + 1 + optind;
    if (start ? *rest == NULL : *rest != NULL || !options.has_bootstrap) {
        fprintf(stderr, "rejoin bench %s: %s\n", what, start ? "expected a command behind --" :
                *rest != NULL ? "a word that is no option" : "--bootstrap HOST:PORT is missing");
        return REJOIN_EXIT_USAGE;
    }
    return start ? run_start(&options, rest) : run_on_server(&options, load);
}
