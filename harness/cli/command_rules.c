/* rejoin rules: the rule book. */
#include "cli/commands.h"
#include "rejoin/errors.h"
#include "rejoin/rules.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: rejoin rules [OPTION...] [ID...]\n\n"
    "Lists the rules of Kafka's group protocol, or shows those that are named.\n\n"
    "  --area AREA     join, sync, heartbeat, leave, offsets, transactions, admin, loading, timers, static, ...\n"
    "  --role ROLE     broker, client or trace\n"
    "  --reach REACH   where a broker rule can be tripped: wire, control or core\n"
    "  --error CODE    rules with this error of Kafka\n"
    "  --json          one object a rule and line\n"
    "  --markdown      the table of the documentation\n\n"
    "exit codes: 0 fine; 1 an id that is no rule; 3 usage\n";

static const char *const roles[] = {"broker", "client", "trace"};
static const char *const levels[] = {"MUST", "SHOULD", "MAY", "OBSERVED"};
static const char *const strengths[] = {"", "hard", "hard-if-complete", "warning"};
static const char *const reaches[] = {"", "wire", "control", "core"};

enum form { FORM_LIST, FORM_JSON, FORM_MARKDOWN };

struct filter { const char *area, *role, *reach, *error; enum form form; };

static bool passes(const struct filter *filter, const struct rj_rule_row *row)
{
    char code[16];
    snprintf(code, sizeof(code), "%d", row->error);
    return (filter->area == NULL || strcmp(filter->area, row->area) == 0)
           && (filter->role == NULL || strcmp(filter->role, roles[row->role]) == 0)
           && (filter->reach == NULL || strcmp(filter->reach, reaches[row->reach]) == 0)
           && (filter->error == NULL || (row->error != 0 && strcmp(filter->error, code) == 0));
}

static void print_json(const struct rj_rule_row *row)
{
    json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "id", row->id, "area", row->area,
                            "role", roles[row->role], "level", levels[row->level], "strength",
                            strengths[row->strength], "reach", reaches[row->reach], "since", row->since, "until",
                            row->until, "error", row->error, "sentence", row->sentence, "source", row->source);
    json_dumpf(one, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(one);
}

static void print_versions(const struct rj_rule_row *row)
{
    if (row->since[0] != 0)
        printf("since %s ", row->since);
    if (row->until[0] != 0)
        printf("until %s ", row->until);
}

static void print_row(const struct rj_rule_row *row, enum form form)
{
    if (form == FORM_JSON) {
        print_json(row);
    } else if (form == FORM_MARKDOWN) {
        printf("| `%s` | %s | %s | ", row->id, roles[row->role], levels[row->level]);
        if (row->error != 0)
            printf("%d", row->error);
        printf(" | ");
        print_versions(row);
        printf("| %s | %s |\n", row->sentence, row->source);
    } else {
        printf("%-34s %-12s %-8s ", row->id, row->area, levels[row->level]);
        if (row->error != 0)
            printf("%3d ", row->error);
        else
            printf("    ");
        printf("%s\n", row->sentence);
    }
}

static void show(const struct rj_rule_row *row)
{
    printf("%s\n  %s\n  %s, %s", row->id, row->sentence, roles[row->role], levels[row->level]);
    if (row->strength != RJ_STRENGTH_NONE)
        printf(", a breach in a trace is %s", strengths[row->strength]);
    if (row->reach != RJ_REACH_NONE)
        printf(", can be tripped by %s", reaches[row->reach]);
    printf("\n");
    if (row->error != 0 && rj_kafka_error_name(row->error) != NULL)
        printf("  error %d %s\n", row->error, rj_kafka_error_name(row->error));
    if (row->since[0] != 0 || row->until[0] != 0) {
        printf("  ");
        print_versions(row);
        printf("\n");
    }
    printf("  source: %s\n", row->source);
}

static int show_named(char **ids, int count, enum form form)
{
    int code = REJOIN_EXIT_FINE;
    for (int i = 0; i < count; i++) {
        enum rj_rule rule = rj_rule_by_id((struct rj_string){ids[i], (int32_t)strlen(ids[i])});
        if (rule == RJ_RULE_NONE) {
            fprintf(stderr, "rejoin rules: no rule '%s'\n", ids[i]);
            code = REJOIN_EXIT_FELL_SHORT;
        } else if (form == FORM_LIST) {
            show(rj_rule_row(rule));
        } else {
            print_row(rj_rule_row(rule), form);
        }
    }
    return code;
}

static bool read_options(int argc, char **argv, struct filter *filter, bool *wants_help)
{
    static const struct option options[] = {
        {"area", required_argument, NULL, 'a'}, {"role", required_argument, NULL, 'r'},
        {"reach", required_argument, NULL, 'R'}, {"error", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'}, {"markdown", no_argument, NULL, 'm'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (option) {
        case 'a': filter->area = optarg; break;
        case 'r': filter->role = optarg; break;
        case 'R': filter->reach = optarg; break;
        case 'e': filter->error = optarg; break;
        case 'j': filter->form = FORM_JSON; break;
        case 'm': filter->form = FORM_MARKDOWN; break;
        case 'h': *wants_help = true; break;
        default: return false;
        }
    return true;
}

int command_rules(int argc, char **argv)
{
    struct filter filter = {.form = FORM_LIST};
    bool wants_help = false;
    if (!read_options(argc, argv, &filter, &wants_help))
        return REJOIN_EXIT_USAGE;
    if (wants_help) {
        fputs(help, stdout);
        return REJOIN_EXIT_FINE;
    }
    if (optind < argc)
        return show_named(argv + optind, argc - optind, filter.form);
    if (filter.form == FORM_MARKDOWN)
        puts("| rule | role | level | error | versions | what must hold | source |\n|---|---|---|---|---|---|---|");
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++)
        if (passes(&filter, rj_rule_row((enum rj_rule)rule)))
            print_row(rj_rule_row((enum rj_rule)rule), filter.form);
    return REJOIN_EXIT_FINE;
}
