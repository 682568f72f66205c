/* rejoin explain: the story of each group in a capture. */
#include "cli/capture_options.h"
#include "cli/commands.h"

#include "capture/story.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "usage: rejoin explain FILE [--json]\n"
    "\n"
    "Tells the story of each group in a capture (pcap or pcapng; - is stdin): who joined, why each rebalance happened,\n"
    "how long it took and whom it waited for, who owned what.\n"
    "\n"
    "  --json   one JSON document (harness/schemas/explain.json)\n"
    "  --help\n"
    "\n"
    "exit codes: 0 told, 3 the file cannot be read, 5 the capture has no Kafka connection\n";

enum { OPTION_JSON = 1, OPTION_HELP };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON}, {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0},
};

int command_explain(int argc, char **argv)
{
    struct capture_counts counts;
    char note[512], error[512];
    const char *path;
    bool as_json = false;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option != OPTION_JSON)
            return option == OPTION_HELP ? capture_help(help) : capture_unknown_option("explain");
        as_json = true;
    }
    int code = capture_path("explain", argc, argv, &path);
    if (code >= 0)
        return code;
    struct story *story = story_create();
    struct capture_sink sink = story_sink(story);
    if (!capture_read(path, &sink, 1, &counts, note, sizeof(note), error, sizeof(error))) {
        fprintf(stderr, "rejoin explain: %s\n", error);
        story_destroy(story);
        return REJOIN_EXIT_USAGE;
    }
    story_finish(story, &counts);
    if (as_json)
        capture_print_json(story_json(story, &counts, note));
    else
        story_print(story, &counts, note, stdout);
    story_destroy(story);
    if (counts.requests > 0)
        return REJOIN_EXIT_FINE;
    fprintf(stderr, "rejoin explain: %s holds no Kafka connection\n", path);
    return REJOIN_EXIT_NOTHING_TESTED;
}
