/* rejoin run: scenario files on a target. */
#include "cli/commands.h"
#include "scenario/files.h"
#include "scenario/run.h"
#include "support/memory.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: rejoin run [--target core|mock|HOST:PORT] [--kafka-version X.Y] [OPTION...] FILE|FOLDER...\n\n"
    "Runs scenarios (*.scn; folders are searched): the core in virtual time (the default), a mock over TCP in this\n"
    "process, or a broker. `rejoin run --grammar` prints the language.\n\n"
    "  --target TARGET        core, mock, or the address of a broker\n"
    "  --user NAME:PASSWORD   by SASL PLAIN, on a broker with an authorizer (ci/kafka ... --authorizer)\n"
    "  --admin NAME:PASSWORD  a super user there, who says what the user may do; both together\n"
    "  --kafka-version X.Y    what the core and the mock behave like, or what the broker is (4.1)\n"
    "  --rewrite              writes what comes for what is expected into the files, to be reviewed as a diff\n"
    "  --at-once N            scenarios side by side on a wire (100)\n"
    "  --longest TIME         leaves out scenarios that last longer: 10s\n"
    "  --settings             only prints each file and the broker settings that it needs beyond the usual ones\n"
    "  --json                 one JSON document instead of lines\n"
    "  --verbose              also a line for each that passed\n"
#ifdef REJOIN_KNOCKOUT
    "  --without RULE         that rule is switched off\n"
#endif
    "\n"
    "A file that a target cannot run is listed with the reason and is no pass. What fails on a wire runs again, at most\n"
    "twice, few at a time; what passes then is listed as `again` with what went wrong before, and counted.\n\n"
    "exit codes: 0 all that ran passed; 1 one failed; 2 an expectation of one Kafka version is out of date; 3 usage, a\n"
    "            file that cannot be read; 4 the harness failed; 5 nothing was run\n";

struct options {
    struct scn_options run;
    const char *target;
    int64_t longest_ms;
    bool wants_help, wants_grammar, json, settings;
};

struct tally {
    const struct options *options;
    int counts[SCN_BROKEN + 1], again; /* again: passed, but not at once */
    json_t *list;
    bool covered[RJ_RULE_COUNT];
};

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && fputs(text, file) >= 0;
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok)
        fprintf(stderr, "rejoin run: %s: %s\n", path, strerror(errno));
    return ok;
}

static void take_rewrite(struct tally *tally, struct scn_run *run)
{
    char *text = run->verdict == SCN_PASSED ? scn_rewrite(run) : NULL;
    if (text != NULL && write_file(run->scenario->path, text) && !tally->options->json)
        printf("rewritten %s\n", run->scenario->path);
    free(text);
}

/* A scenario that breaks a rule has to have met it. The knock-out build knows which were met, effects too; elsewhere
 * what lines expect of !RULE has been compared already. */
static void prove(struct scn_run *run)
{
#ifdef REJOIN_KNOCKOUT
    bool tells = run->target != NULL && run->target->kind == SCN_CORE;
    if (run->verdict != SCN_PASSED || !run->scenario->trips || !tells || run->seen_rules[run->scenario->rule]
        || rj_knocked_out == run->scenario->rule)
        return;
    run->verdict = SCN_FAILED;
    run->line = 1;
    snprintf(run->why, sizeof(run->why), "it says that it trips rule %s, which was never met",
             rj_rule_row(run->scenario->rule)->id);
#else
    (void)run;
#endif
}

static void print_result(const struct scn_run *run, bool verbose)
{
    if (run->verdict == SCN_PASSED && run->tries > 0) {
        printf("again    %s: passed on try %d; before, %s\n", run->scenario->path, run->tries + 1, run->before);
    } else if (run->verdict == SCN_PASSED) {
        if (verbose)
            printf("passed   %s\n", run->scenario->path);
    } else if (run->line > 0) {
        printf("%-8s %s:%d: %s\n", scn_verdict_name(run->verdict), run->scenario->path, run->line, run->why);
    } else {
        printf("%-8s %s: %s\n", scn_verdict_name(run->verdict), run->scenario->path, run->why);
    }
    fflush(stdout);
}

static void take_result(void *context, struct scn_run *run)
{
    struct tally *tally = context;
    if (tally->options->run.rewrites)
        take_rewrite(tally, run);
    else
        prove(run);
    tally->counts[run->verdict]++;
    if (run->verdict == SCN_PASSED)
        tally->covered[run->scenario->rule] = true;
    if (run->verdict == SCN_PASSED && run->tries > 0)
        tally->again++;
    if (!tally->options->json)
        print_result(run, tally->options->run.verbose);
    json_array_append_new(tally->list,
                          json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s}", "file", run->scenario->path, "rule",
                                    rj_rule_row(run->scenario->rule)->id, "kind",
                                    run->scenario->trips ? "trips" : "keeps", "result",
                                    scn_verdict_name(run->verdict), "tries", run->tries + 1, "line", run->line, "why", run->why));
    scn_run_free(run);
}

static int sum_up(struct tally *tally)
{
    const int *counts = tally->counts;
    int failed = counts[SCN_FAILED], rules = 0;
    json_t *covered = json_array();
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++)
        if (tally->covered[rule]) {
            json_array_append_new(covered, json_string(rj_rule_row((enum rj_rule)rule)->id));
            rules++;
        }
    if (tally->options->json) {
        json_t *all = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:O, s:O}", "target", tally->options->target,
                                "kafka_version", tally->options->run.kafka_version, "passed", counts[SCN_PASSED],
                                "on_second_try", tally->again, "failed", failed, "stale", counts[SCN_STALE], "broken", counts[SCN_BROKEN], "not_run",
                                counts[SCN_NOT_RUN], "rules", covered, "scenarios", tally->list);
        json_dumpf(all, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(all);
    } else {
        char again[48] = "";
        if (tally->again > 0)
            snprintf(again, sizeof(again), " (%d on a second try)", tally->again);
        printf("%d passed%s, %d failed, %d not run, %d stale, %d broken; %d rules\n", counts[SCN_PASSED], again, failed,
               counts[SCN_NOT_RUN], counts[SCN_STALE], counts[SCN_BROKEN], rules);
    }
    json_decref(covered);
    if (counts[SCN_BROKEN] > 0)
        return REJOIN_EXIT_HARNESS;
    if (failed > 0)
        return REJOIN_EXIT_FELL_SHORT;
    if (counts[SCN_STALE] > 0)
        return REJOIN_EXIT_STALE;
    return counts[SCN_PASSED] > 0 ? REJOIN_EXIT_FINE : REJOIN_EXIT_NOTHING_TESTED;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static int run_all(const struct options *options, struct scenario **scenarios, int count)
{
    struct tally tally = {.options = options, .list = json_array()};
    struct scn_run *runs = rejoin_alloc_zeroed((size_t)count + 1, sizeof(*runs));
    char error[512] = "";
    for (int i = 0; i < count; i++)
        runs[i].scenario = scenarios[i];
    bool ok;
    if (strcmp(options->target, "core") == 0) {
        ok = scn_run_on_core(runs, count, &options->run, take_result, &tally, error, sizeof(error));
    } else {
        enum scn_target_kind kind = strcmp(options->target, "mock") == 0 ? SCN_MOCK : SCN_BROKER;
        ok = scn_run_on_wire(runs, count, kind, &options->run, take_result, &tally, error, sizeof(error));
    }
    int code = REJOIN_EXIT_HARNESS;
    if (ok)
        code = sum_up(&tally);
    else
        fprintf(stderr, "rejoin run: %s\n", error);
    json_decref(tally.list);
    free(runs);
    return code;
}

/* FILE PROPERTY=VALUE... of settings that a broker needs to be started with. */
static void print_settings(const struct scenario *scenario)
{
    printf("%s", scenario->path);
    for (int i = 0; i < SCN_SETTING_COUNT; i++)
        if (scn_settings[i].property != NULL && scenario->settings[i] != scn_settings[i].otherwise)
            printf(" %s=%lld", scn_settings[i].property,
                   (long long)(scenario->settings[i] / (i == SCN_RETENTION ? 60000 : 1)));
    putchar('\n');
}

static int read_and_run(const struct options *options, const struct scn_files *files)
{
    struct scenario **scenarios = rejoin_alloc_zeroed((size_t)files->count + 1, sizeof(struct scenario *));
    int count = 0, code = REJOIN_EXIT_FINE;
    for (int i = 0; i < files->count; i++) {
        struct scn_error error;
        struct scenario *scenario = scenario_read(files->paths[i], &error);
        if (scenario == NULL) {
            if (error.line > 0)
                fprintf(stderr, "%s:%d:%d: %s\n", files->paths[i], error.line, error.column, error.text);
            else
                fprintf(stderr, "rejoin run: %s: %s\n", files->paths[i], error.text);
            code = REJOIN_EXIT_USAGE;
        } else if (options->longest_ms >= 0 && scn_duration_ms(scenario) > options->longest_ms) {
            scenario_free(scenario);
        } else {
            scenarios[count++] = scenario;
        }
    }
    for (int i = 0; i < count && options->settings && code == REJOIN_EXIT_FINE; i++)
        print_settings(scenarios[i]);
    if (code == REJOIN_EXIT_FINE && !options->settings)
        code = run_all(options, scenarios, count);
    for (int i = 0; i < count; i++)
        scenario_free(scenarios[i]);
    free(scenarios);
    return code;
}

static bool read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"target", required_argument, NULL, 't'}, {"kafka-version", required_argument, NULL, 'k'},
        {"user", required_argument, NULL, 'u'}, {"admin", required_argument, NULL, 'a'},
        {"rewrite", no_argument, NULL, 'w'}, {"at-once", required_argument, NULL, 'n'},
        {"longest", required_argument, NULL, 'l'}, {"settings", no_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'}, {"verbose", no_argument, NULL, 'v'}, {"grammar", no_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
#ifdef REJOIN_KNOCKOUT
        {"without", required_argument, NULL, 'o'},
#endif
        {NULL, 0, NULL, 0}};
    int option;
    bool ok = true;
    while ((option = getopt_long(argc, argv, "hv", names, NULL)) != -1)
        switch (option) {
        case 't': options->target = options->run.address = optarg; break;
        case 'k': options->run.kafka_version = optarg; ok = ok && scn_version(optarg) != 0; break;
        case 'u': options->run.user = optarg; ok = ok && strchr(optarg, ':') != NULL; break;
        case 'a': options->run.admin = optarg; ok = ok && strchr(optarg, ':') != NULL; break;
        case 'w': options->run.rewrites = true; break;
        case 'n': options->run.at_once = atoi(optarg); ok = ok && options->run.at_once > 0; break;
        case 'l': options->longest_ms = scn_time_ms(optarg); ok = ok && options->longest_ms >= 0; break;
        case 's': options->settings = true; break;
        case 'j': options->json = true; break;
        case 'v': options->run.verbose = true; break;
        case 'g': options->wants_grammar = true; break;
        case 'o': ok = ok && rejoin_knock_out(optarg); break;
        case 'h': options->wants_help = true; break;
        default: return false;
        }
    ok = ok && (options->run.user == NULL) == (options->run.admin == NULL);
    return ok || (fprintf(stderr, "rejoin run: an option has a wrong value; --help lists them\n"), false);
}

int command_run(int argc, char **argv)
{
    struct options options = {.target = "core", .longest_ms = -1,
                              .run = {.kafka_version = "4.1", .at_once = 100}};
    if (!read_options(argc, argv, &options))
        return REJOIN_EXIT_USAGE;
    if (options.wants_help || options.wants_grammar) {
        fputs(options.wants_help ? help : scenario_grammar, stdout);
        return REJOIN_EXIT_FINE;
    }
    struct scn_files files = {NULL, 0};
    bool ok = true;
    for (int i = optind; i < argc; i++)
        ok = scn_add_path(&files, argv[i], "rejoin run") && ok;
    if (optind >= argc)
        ok = fprintf(stderr, "rejoin run: expected files or folders; --help says more\n") < 0;
    int code = ok ? read_and_run(&options, &files) : REJOIN_EXIT_USAGE;
    scn_free_files(&files);
    return code;
}
