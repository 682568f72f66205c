/* rejoin check: judges a capture by the trace rules. */
#include "cli/capture_options.h"
#include "cli/commands.h"

#include "capture/verdict.h"
#include "support/memory.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "usage: rejoin check FILE [OPTION...]\n"
    "\n"
    "Judges a capture (pcap or pcapng; - is stdin) by the trace rules of the rule book and prints which rules were\n"
    "judged, how often, and each breach with its frames; and, as warnings, encodings that Kafka's readers accept although\n"
    "its writers make none ('rejoin rules --area encoding').\n"
    "\n"
    "  --json              one JSON document (harness/schemas/check.json)\n"
    "  --strict            warnings count as breaches too\n"
    "  --group-max-size N  the broker's group.max.size, for t-max-size\n"
    "  --help\n"
    "\n"
    "exit codes: 0 no breach, 1 breaches (hard ones, hard-if-complete ones of groups that were seen whole; with\n"
    "            --strict warnings), 3 the file cannot be read, 5 the capture has no Kafka connection\n";

struct options { const char *path; bool as_json, strict; int group_max_size; };

enum { OPTION_JSON = 1, OPTION_STRICT, OPTION_GROUP_MAX_SIZE, OPTION_HELP };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON}, {"strict", no_argument, NULL, OPTION_STRICT},
    {"group-max-size", required_argument, NULL, OPTION_GROUP_MAX_SIZE}, {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* -1: go on; otherwise the exit code. */
static int parse(int argc, char **argv, struct options *options)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPTION_JSON)
            options->as_json = true;
        else if (option == OPTION_STRICT)
            options->strict = true;
        else if (option == OPTION_GROUP_MAX_SIZE) {
            if (!capture_number("check", "group-max-size", optarg, 1, &options->group_max_size))
                return REJOIN_EXIT_USAGE;
        } else {
            return option == OPTION_HELP ? capture_help(help) : capture_unknown_option("check");
        }
    }
    return capture_path("check", argc, argv, &options->path);
}

/* Reads and shows; the exit code. */
static int judge(const struct options *options, struct rj_checker *checker, struct oddities *oddities)
{
    struct capture_sink sinks[] = {verdict_sink(checker), oddities_sink(oddities)};
    struct capture_counts counts;
    char note[512], error[512];
    if (!capture_read(options->path, sinks, 2, &counts, note, sizeof(note), error, sizeof(error))) {
        fprintf(stderr, "rejoin check: %s\n", error);
        return REJOIN_EXIT_USAGE;
    }
    if (rj_check_finish(checker, counts.last_time_us / 1000) != RJ_OK) {
        fputs("rejoin check: no memory is left for the checker\n", stderr);
        return REJOIN_EXIT_HARNESS;
    }
    if (options->as_json)
        capture_print_json(verdict_json(checker, oddities, &counts, note));
    else
        verdict_print(checker, oddities, &counts, note, stdout);
    if (counts.requests == 0) {
        fprintf(stderr, "rejoin check: %s holds no Kafka connection\n", options->path);
        return REJOIN_EXIT_NOTHING_TESTED;
    }
    bool odd = options->strict && oddities_total(oddities) > 0;
    return odd || verdict_failures(checker, options->strict) > 0 ? REJOIN_EXIT_FELL_SHORT : REJOIN_EXIT_FINE;
}

int command_check(int argc, char **argv)
{
    struct options options = {0};
    struct rj_check_config config;
    struct rj_checker *checker;
    int code = parse(argc, argv, &options);
    if (code >= 0)
        return code;
    rj_check_config_init(&config);
    config.group_max_size = options.group_max_size;
    if (rj_check_create(&checker, &rejoin_heap, &config) != RJ_OK)
        return REJOIN_EXIT_HARNESS;
    struct oddities *oddities = oddities_create();
    code = judge(&options, checker, oddities);
    oddities_destroy(oddities);
    rj_check_destroy(checker);
    return code;
}
