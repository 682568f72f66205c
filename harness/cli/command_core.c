/* rejoin core: the coordinator in virtual time. */
#include "cli/commands.h"
#include "core/core.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: rejoin core [FILE]\n\n"
    "Runs the group coordinator in virtual time: operations as JSON lines from FILE or stdin, answers as JSON lines on\n"
    "stdout, each operation ended by a \"done\" line. harness/oracle/README.md describes the form; Kafka's own\n"
    "coordinator runs behind the same one there.\n\n"
    "  {\"op\":\"config\",\"seed\":1,\"initial_delay_ms\":0}                         a new coordinator at time 0\n"
    "  {\"op\":\"topics\",\"topics\":[{\"name\":\"t\",\"partitions\":6}]}\n"
    "  {\"op\":\"request\",\"conn\":1,\"corr\":1,\"api\":11,\"version\":9,\"body\":{...},\"save\":{\"m\":\"/memberId\"}}\n"
    "  {\"op\":\"advance\",\"ms\":1000}   or \"to_next\":true\n"
    "  disconnect, reload, unload, load, load_begin, load_end, commit, fail_append, end_txn, deny, inactive, max_size,\n"
    "  force_dead, state, log, encode, decode\n\n"
    "A refused request's answer carries the rule that refused it.\n\n"
#ifdef REJOIN_KNOCKOUT
    "  --without RULE   that rule is switched off\n\n"
#endif
    "exit codes: 0 fine; 3 usage, unreadable FILE\n";

int command_core(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
#ifdef REJOIN_KNOCKOUT
        {"without", required_argument, NULL, 'w'},
#endif
        {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return REJOIN_EXIT_FINE;
        }
        if (option != 'w' || !rejoin_knock_out(optarg))
            return REJOIN_EXIT_USAGE;
    }
    const char *path = optind < argc ? argv[optind] : NULL;
    FILE *in = path ? fopen(path, "r") : stdin;
    if (in == NULL) {
        fprintf(stderr, "rejoin core: %s: %s\n", path, strerror(errno));
        return REJOIN_EXIT_USAGE;
    }
    struct core_session session;
    core_open(&session, stdout);
    char *line = NULL;
    size_t size = 0;
    for (ssize_t len; (len = getline(&line, &size, in)) >= 0;) {
        core_line(&session, line, (size_t)len);
        if (path == NULL)
            fflush(stdout);
    }
    free(line);
    core_close(&session);
    if (path != NULL)
        fclose(in);
    return REJOIN_EXIT_FINE;
}
