#include "cli/capture_options.h"

#include "cli/commands.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

int capture_help(const char *text)
{
    fputs(text, stdout);
    return REJOIN_EXIT_FINE;
}

int capture_unknown_option(const char *command)
{
    fprintf(stderr, "rejoin %s --help explains the options\n", command);
    return REJOIN_EXIT_USAGE;
}

int capture_path(const char *command, int argc, char **argv, const char **path)
{
    if (optind != argc - 1) {
        fprintf(stderr, "rejoin %s: expected one capture file; rejoin %s --help explains\n", command, command);
        return REJOIN_EXIT_USAGE;
    }
    *path = argv[optind];
    return -1;
}

bool capture_number(const char *command, const char *option, const char *text, int low, int *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != 0 || end == text || value < low || value > INT_MAX) {
        fprintf(stderr, "rejoin %s: --%s %s: expected a number from %d\n", command, option, text, low);
        return false;
    }
    *number = (int)value;
    return true;
}

void capture_print_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(document);
}
