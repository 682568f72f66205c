/* rejoin: finds the sub-command and hands over. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"bench", command_bench, "measures a server: CPU a request, forming of groups, start"},
    {"mock", command_mock, "runs a mock cluster that unmodified clients can use"},
    {"ctl", command_ctl, "commands to a running mock over its control socket"},
    {"decode", command_decode, "prints a message's bytes as JSON"},
    {"encode", command_encode, "makes bytes of a message in JSON"},
    {"check", command_check, "judges a capture by the rule book"},
    {"explain", command_explain, "tells the story of each group in a capture"},
    {"replay", command_replay, "compares the core's answers with those of a capture"},
    {"report", command_report, "merges and compares results; writes JUnit, Markdown, HTML"},
    {"core", command_core, "runs the coordinator in virtual time: operations and answers as JSON lines"},
    {"consume", command_consume, "our reference client: joins a group on any broker, prints what happens"},
    {"test-client", command_test_client, "validates a client against the mock"},
    {"run", command_run, "runs scenario files on the core, the mock or a broker"},
    {"rules", command_rules, "lists and shows rules"},
    {"version", command_version, "prints the version"},
};

static void print_help(FILE *out)
{
    fputs("usage: rejoin COMMAND [OPTION...]   (rejoin COMMAND --help explains one)\n\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("\nexit codes: 0 fine, 1 what was tested fell short, 2 an expectation is stale, 3 usage,\n"
          "            4 the harness itself failed, 5 nothing was tested\n", out);
}

int command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("rejoin " REJOIN_VERSION);
    return REJOIN_EXIT_FINE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return REJOIN_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return REJOIN_EXIT_FINE;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "rejoin: no command '%s'; 'rejoin --help' lists them\n", argv[1]);
    return REJOIN_EXIT_USAGE;
}
