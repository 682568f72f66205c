/* What the commands that read one capture share: the argument behind the options, and a JSON document on stdout. */
#ifndef REJOIN_CLI_CAPTURE_OPTIONS_H
#define REJOIN_CLI_CAPTURE_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

/* --help was given, or an option that is unknown (getopt has said so): the exit code. */
int capture_help(const char *text);
int capture_unknown_option(const char *command);
/* -1 when one argument is left behind the options, and *path is it; otherwise says so and returns the exit code. */
int capture_path(const char *command, int argc, char **argv, const char **path);
/* A number from `low` that an option was given as text; false: says what was expected. */
bool capture_number(const char *command, const char *option, const char *text, int low, int *number);
/* Prints the document and lets it go. */
void capture_print_json(json_t *document);

#endif
