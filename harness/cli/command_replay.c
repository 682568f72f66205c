/* rejoin replay: a capture's group requests through the core, its answers beside the broker's. */
#include "cli/capture_options.h"
#include "cli/commands.h"

#include "capture/replay.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "usage: rejoin replay FILE [OPTION...]\n"
    "\n"
    "Feeds the group requests of a capture (pcap or pcapng; - is stdin) to the core in virtual time and compares every\n"
    "answer with the broker's, field by field. Random choices of the broker (member ids, a new leader, tied votes) are\n"
    "pinned; within a few milliseconds of a timer the broker's answer says what came first.\n"
    "\n"
    "  --json                            one JSON document (harness/schemas/replay.json)\n"
    "  --kafka-version X.Y               the broker's release, 0.11 to 4.2 (default 4.1)\n"
    "  --initial-rebalance-delay-ms N    the broker's group.initial.rebalance.delay.ms (default: inferred)\n"
    "  --help\n"
    "\n"
    "exit codes: 0 all fields equal, 1 differences, 3 the file cannot be read, 5 nothing to compare\n";

enum { OPTION_JSON = 1, OPTION_KAFKA_VERSION, OPTION_DELAY, OPTION_HELP };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON}, {"kafka-version", required_argument, NULL, OPTION_KAFKA_VERSION},
    {"initial-rebalance-delay-ms", required_argument, NULL, OPTION_DELAY}, {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct options { struct replay_options replay; const char *path; bool as_json; };

/* -1: go on; otherwise the exit code. */
static int parse(int argc, char **argv, struct options *options)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPTION_JSON)
            options->as_json = true;
        else if (option == OPTION_KAFKA_VERSION)
            options->replay.kafka_version = optarg;
        else if (option == OPTION_DELAY) {
            if (!capture_number("replay", "initial-rebalance-delay-ms", optarg, 0,
                                &options->replay.initial_rebalance_delay_ms))
                return REJOIN_EXIT_USAGE;
        } else {
            return option == OPTION_HELP ? capture_help(help) : capture_unknown_option("replay");
        }
    }
    return capture_path("replay", argc, argv, &options->path);
}

static int show(const struct replay *replay, const struct options *options, const struct capture_counts *counts,
                const char *note)
{
    if (options->as_json)
        capture_print_json(replay_json(replay, counts, note));
    else
        replay_print(replay, counts, note, stdout);
    struct replay_totals totals = replay_totals(replay);
    if (totals.requests == 0) {
        fprintf(stderr, "rejoin replay: %s holds no group request that can be compared\n", options->path);
        return REJOIN_EXIT_NOTHING_TESTED;
    }
    return totals.differences > 0 ? REJOIN_EXIT_FELL_SHORT : REJOIN_EXIT_FINE;
}

int command_replay(int argc, char **argv)
{
    struct options options = {.replay = {.kafka_version = "4.1", .initial_rebalance_delay_ms = -1}};
    struct capture_counts counts;
    char note[512], error[512];
    int code = parse(argc, argv, &options);
    if (code >= 0)
        return code;
    struct replay *replay = replay_create(&options.replay);
    struct capture_sink sink = replay_sink(replay);
    if (!capture_read(options.path, &sink, 1, &counts, note, sizeof(note), error, sizeof(error)) ||
        !replay_run(replay, error, sizeof(error))) {
        fprintf(stderr, "rejoin replay: %s\n", error);
        code = REJOIN_EXIT_USAGE;
    } else {
        code = show(replay, &options, &counts, note);
    }
    replay_destroy(replay);
    return code;
}
