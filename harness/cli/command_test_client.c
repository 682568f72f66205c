/* rejoin test-client: validates a client against the mock. */
#include "cli/commands.h"
#include "suite/suite.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: rejoin test-client --driver SPEC --out DIR [OPTION...] [ID|GLOB...]\n"
    "       rejoin test-client --list [--json] [ID|GLOB...]\n"
    "\n"
    "Runs a client against a mock cluster, once a case, and judges it by what the mock saw.\n"
    "\n"
    "  --driver SPEC           exec:COMMAND; the command gets REJOIN_BOOTSTRAP, REJOIN_GROUP, ... in its environment\n"
    "                          and may print events as JSON lines (harness/drivers/README.md)\n"
    "  --out DIR               results.json, junit.xml, summary.md, index.html, and a folder for each result that is\n"
    "                          no pass\n"
    "  --expectations FILE     JSON array of {id, result, contains, reason, url, expires}: what may fall short\n"
    "  --jobs N                cases side by side (4); they wait far more than they work\n"
    "  --case-timeout MS       the longest that the steps of a case may take (40000)\n"
    "  --seed N                of member ids and the like (from the clock)\n"
    "  --quiet                 prints the summary only\n"
    "  --list                  prints the cases and their rules; with --json as JSON\n"
    "\n"
    "exit codes: 0 fine, 1 the client fell short or no verdict counts, 2 an expectation is stale, 3 usage,\n"
    "            4 the harness itself failed, 5 nothing was tested\n";

enum {
    OPTION_DRIVER = 256, OPTION_OUT, OPTION_EXPECTATIONS, OPTION_JOBS, OPTION_CASE_TIMEOUT, OPTION_SEED, OPTION_QUIET,
    OPTION_LIST, OPTION_JSON,
};

static const struct option options_table[] = {
    {"driver", required_argument, NULL, OPTION_DRIVER}, {"out", required_argument, NULL, OPTION_OUT},
    {"expectations", required_argument, NULL, OPTION_EXPECTATIONS}, {"jobs", required_argument, NULL, OPTION_JOBS},
    {"case-timeout", required_argument, NULL, OPTION_CASE_TIMEOUT}, {"seed", required_argument, NULL, OPTION_SEED},
    {"quiet", no_argument, NULL, OPTION_QUIET}, {"list", no_argument, NULL, OPTION_LIST},
    {"json", no_argument, NULL, OPTION_JSON}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
};

struct parsed { struct suite_options suite; const char *expectations; bool list, json; };

static bool to_number(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *value >= low && *value <= high && text[0] != '-')
        return true;
    fprintf(stderr, "rejoin test-client: --%s: found '%s', expected a number from %" PRIu64 " to %" PRIu64 "\n", name,
            text, low, high);
    return false;
}

/* -1: go on; else the exit code. */
static int parse_option(int option, struct parsed *parsed)
{
    uint64_t number = 0;
    switch (option) {
    case OPTION_DRIVER:
        parsed->suite.driver = optarg;
        return -1;
    case OPTION_OUT:
        parsed->suite.out = optarg;
        return -1;
    case OPTION_EXPECTATIONS:
        parsed->expectations = optarg;
        return -1;
    case OPTION_JOBS:
        if (!to_number("jobs", optarg, 1, 64, &number))
            return REJOIN_EXIT_USAGE;
        parsed->suite.jobs = (int32_t)number;
        return -1;
    case OPTION_CASE_TIMEOUT:
        if (!to_number("case-timeout", optarg, 100, 3600000, &number))
            return REJOIN_EXIT_USAGE;
        parsed->suite.case_timeout_ms = (int32_t)number;
        return -1;
    case OPTION_SEED:
        return to_number("seed", optarg, 1, INT64_MAX, &parsed->suite.seed) ? -1 : REJOIN_EXIT_USAGE;
    case OPTION_QUIET:
        parsed->suite.quiet = true;
        return -1;
    case OPTION_LIST:
        parsed->list = true;
        return -1;
    case OPTION_JSON:
        parsed->json = true;
        return -1;
    case 'h':
        fputs(help, stdout);
        return REJOIN_EXIT_FINE;
    default:
        fputs("rejoin test-client: 'rejoin test-client --help' lists the options\n", stderr);
        return REJOIN_EXIT_USAGE;
    }
}

static int check(const struct parsed *parsed)
{
    for (int32_t i = 0; i < parsed->suite.pattern_count; i++) {
        const struct suite_options one = {.patterns = &parsed->suite.patterns[i], .pattern_count = 1};
        if (suite_chosen(&one) == 0) {
            fprintf(stderr, "rejoin test-client: no case matches '%s'; 'rejoin test-client --list' lists them\n",
                    parsed->suite.patterns[i]);
            return REJOIN_EXIT_USAGE;
        }
    }
    if (parsed->list)
        return -1;
    if (parsed->suite.driver == NULL || parsed->suite.out == NULL) {
        fprintf(stderr, "rejoin test-client: %s is required\n", parsed->suite.driver == NULL ? "--driver" : "--out");
        return REJOIN_EXIT_USAGE;
    }
    return -1;
}

/* What repro.sh calls: this program, wherever it lies. */
static const char *own_path(void)
{
    static char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (len <= 0)
        return "rejoin";
    path[len] = '\0';
    return path;
}

int command_test_client(int argc, char **argv)
{
    struct parsed parsed = {.suite = {.jobs = 4, .case_timeout_ms = 40000, .program = own_path()}};
    int option, code = -1;
    while (code < 0 && (option = getopt_long(argc, argv, "h", options_table, NULL)) != -1)
        code = parse_option(option, &parsed);
    if (code >= 0)
        return code;
    parsed.suite.patterns = (const char *const *)(argv + optind);
    parsed.suite.pattern_count = argc - optind;
    if ((code = check(&parsed)) >= 0)
        return code;
    if (parsed.list) {
        suite_list(&parsed.suite, stdout, parsed.json);
        return REJOIN_EXIT_FINE;
    }
    if (parsed.expectations != NULL) {
        char error[512];
        parsed.suite.expectations = expectations_read(parsed.expectations, error, sizeof(error));
        if (parsed.suite.expectations == NULL) {
            fprintf(stderr, "rejoin test-client: %s\n", error);
            return REJOIN_EXIT_USAGE;
        }
    }
    if (parsed.suite.seed == 0)
        parsed.suite.seed = (uint64_t)time(NULL);
    signal(SIGPIPE, SIG_IGN); /* a client that ends while it is answered */
    code = suite_execute(&parsed.suite);
    expectations_free(parsed.suite.expectations);
    return code;
}
