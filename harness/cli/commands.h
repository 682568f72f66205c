/* The sub-commands of rejoin. Each is a function of its own file: command_X.c. */
#ifndef REJOIN_CLI_COMMANDS_H
#define REJOIN_CLI_COMMANDS_H

#include "rejoin/rules.h"

#include <stdbool.h>

/* Exit codes of every sub-command. */
enum rejoin_exit {
    REJOIN_EXIT_FINE = 0,
    REJOIN_EXIT_FELL_SHORT = 1,     /* what was tested fell short */
    REJOIN_EXIT_STALE = 2,          /* an expectation is stale */
    REJOIN_EXIT_USAGE = 3,          /* unknown flag, missing or unreadable file */
    REJOIN_EXIT_HARNESS = 4,        /* the harness itself failed */
    REJOIN_EXIT_NOTHING_TESTED = 5,
    REJOIN_EXIT_UNSUPPORTED = 89,   /* drivers: the client cannot do that */
};

/* argv[0] is the sub-command's name. */
int command_bench(int argc, char **argv);
int command_check(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_report(int argc, char **argv);
int command_core(int argc, char **argv);
int command_consume(int argc, char **argv);
int command_test_client(int argc, char **argv);
int command_mock(int argc, char **argv);
int command_ctl(int argc, char **argv);
int command_run(int argc, char **argv);
int command_rules(int argc, char **argv);
int command_version(int argc, char **argv);
int command_decode(int argc, char **argv);
int command_encode(int argc, char **argv);

/* Switches that rule off (--without of the knock-out build). false: there is no such rule, or this is another build. */
bool rejoin_knock_out(const char *id);
#ifdef REJOIN_KNOCKOUT
extern enum rj_rule rj_knocked_out; /* the core's: which one is off */
#endif

#endif
