/* rejoin report: merges and compares results. */
#include "cli/commands.h"
#include "report/report.h"
#include "support/memory.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "usage: rejoin report --out DIR RESULTS.json...      writes junit.xml, summary.md and index.html anew\n"
    "       rejoin report --compare OLD.json NEW.json    prints what changed\n"
    "\n"
    "Several results are merged: a case in a later file replaces the same case of an earlier one.\n"
    "\n"
    "exit codes: 0 fine, 1 a case got worse (--compare) or fell short (--out), 3 usage, 4 a file cannot be written\n";

static int load(char **paths, int count, json_t **documents)
{
    char error[512];
    for (int i = 0; i < count; i++) {
        documents[i] = report_read(paths[i], error, sizeof(error));
        if (documents[i] == NULL) {
            fprintf(stderr, "rejoin report: %s\n", error);
            return REJOIN_EXIT_USAGE;
        }
    }
    return -1;
}

static int write_reports(json_t **documents, int count, const char *folder)
{
    char error[512];
    json_t *merged = report_merge(documents, count);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "rejoin report: cannot make %s: %s\n", folder, strerror(errno));
        return REJOIN_EXIT_HARNESS;
    }
    bool written = report_write_all(merged, folder, error, sizeof(error));
    json_int_t fell_short = json_integer_value(json_object_get(json_object_get(merged, "summary"), "fell_short"));
    json_decref(merged);
    if (!written)
        fprintf(stderr, "rejoin report: %s\n", error);
    return !written ? REJOIN_EXIT_HARNESS : fell_short > 0 ? REJOIN_EXIT_FELL_SHORT : REJOIN_EXIT_FINE;
}

int command_report(int argc, char **argv)
{
    static const struct option table[] = {{"out", required_argument, NULL, 'o'}, {"compare", no_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *folder = NULL;
    bool compare = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return REJOIN_EXIT_FINE;
        }
        if (option != 'o' && option != 'c') {
            fputs("rejoin report: 'rejoin report --help' lists the options\n", stderr);
            return REJOIN_EXIT_USAGE;
        }
        folder = option == 'o' ? optarg : folder;
        compare |= option == 'c';
    }
    int count = argc - optind;
    if (compare == (folder != NULL) || count < (compare ? 2 : 1) || (compare && count > 2)) {
        fputs("rejoin report: expected --out DIR RESULTS.json... or --compare OLD.json NEW.json\n", stderr);
        return REJOIN_EXIT_USAGE;
    }
    json_t **documents = rejoin_alloc_zeroed((size_t)count, sizeof(json_t *));
    int code = load(argv + optind, count, documents);
    if (code < 0)
        code = compare ? (report_compare(documents[0], documents[1], stdout) > 0 ? REJOIN_EXIT_FELL_SHORT
                                                                                 : REJOIN_EXIT_FINE)
                       : write_reports(documents, count, folder);
    for (int i = 0; i < count; i++)
        json_decref(documents[i]);
    free(documents);
    return code;
}
