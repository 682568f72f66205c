/* rejoin rules: the rule book. */
#include "cli/commands.h"
#include "rejoin/errors.h"
#include "rejoin/rules.h"
#include "scenario/files.h"
#include "scenario/scenario.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: rejoin rules [OPTION...] [ID...]\n\n"
    "Lists the rules of Kafka's group protocol, or shows those that are named.\n\n"
    "  --area AREA     join, sync, heartbeat, leave, offsets, transactions, admin, loading, timers, static, ...\n"
    "  --role ROLE     broker, client, trace or codec\n"
    "  --reach REACH   where a broker rule can be tripped: wire, control or core\n"
    "  --error CODE    rules with this error of Kafka\n"
    "  --json          one object a rule and line\n"
    "  --markdown      the table of the documentation\n"
    "  --coverage      for each broker rule the scenarios that trip it and that keep it\n"
    "  --missing       only what has none yet: \"RULE trips\" or \"RULE keeps\" a line\n"
    "  --scenarios FOLDER   where they are (harness/scenarios, where there is such a folder)\n\n"
    "exit codes: 0 fine; 1 an id that is no rule; 3 usage, a scenario that cannot be read\n";

static const char *const roles[] = {"broker", "client", "trace", "codec"};
static const char *const levels[] = {"MUST", "SHOULD", "MAY", "OBSERVED"};
static const char *const strengths[] = {"", "hard", "hard-if-complete", "warning"};
static const char *const reaches[] = {"", "wire", "control", "core"};

enum form { FORM_LIST, FORM_JSON, FORM_MARKDOWN, FORM_COVERAGE, FORM_MISSING };

struct filter { const char *area, *role, *reach, *error, *scenarios; enum form form; };

/* The scenarios of all rules. */
struct cases { struct scn_files files; struct { enum rj_rule rule; bool trips; } *of; };

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

/* ---- Cases ------------------------------------------------------------------------------------------------------- */

static bool read_cases(const char *folder, struct cases *cases)
{
    static const char usual[] = "harness/scenarios";
    *cases = (struct cases){.of = NULL};
    if (folder == NULL && access(usual, R_OK) != 0)
        return true; /* a binary far from its source */
    if (!scn_add_path(&cases->files, folder ? folder : usual, "rejoin rules"))
        return false;
    cases->of = calloc((size_t)cases->files.count + 1, sizeof(*cases->of));
    for (int i = 0; cases->of != NULL && i < cases->files.count; i++) {
        struct scn_error error;
        struct scenario *scenario = scenario_read(cases->files.paths[i], &error);
        if (scenario == NULL) {
            fprintf(stderr, "%s:%d:%d: %s\n", cases->files.paths[i], error.line, error.column, error.text);
            return false;
        }
        cases->of[i].rule = scenario->rule;
        cases->of[i].trips = scenario->trips;
        scenario_free(scenario);
    }
    return cases->of != NULL;
}

static void free_cases(struct cases *cases)
{
    scn_free_files(&cases->files);
    free(cases->of);
}

static int count_cases(const struct cases *cases, enum rj_rule rule, bool trips)
{
    int count = 0;
    for (int i = 0; i < cases->files.count; i++)
        count += cases->of[i].rule == rule && cases->of[i].trips == trips;
    return count;
}

static void print_cases(const struct cases *cases, enum rj_rule rule)
{
    for (int pass = 1; pass >= 0; pass--)
        for (int i = 0; i < cases->files.count; i++)
            if (cases->of[i].rule == rule && cases->of[i].trips == (pass == 1))
                printf("  %s  %s\n", pass == 1 ? "trips" : "keeps", cases->files.paths[i]);
}

static void print_coverage(const struct cases *cases, const struct filter *filter)
{
    int rules = 0, tripped = 0, kept = 0, both = 0;
    for (int i = 1; i < RJ_RULE_COUNT; i++) {
        enum rj_rule rule = (enum rj_rule)i;
        const struct rj_rule_row *row = rj_rule_row(rule);
        if (row->role != RJ_ROLE_BROKER || !passes(filter, row))
            continue;
        bool trips = count_cases(cases, rule, true) > 0, keeps = count_cases(cases, rule, false) > 0;
        rules++;
        tripped += trips;
        kept += keeps;
        both += trips && keeps;
        if (filter->form == FORM_COVERAGE) {
            printf("%s (%s, %s)%s%s\n", row->id, row->area, reaches[row->reach], trips ? "" : ": nothing trips it",
                   keeps ? "" : trips ? ": nothing keeps it" : ", nothing keeps it");
            print_cases(cases, rule);
        } else {
            printf("%s%s%s", trips ? "" : row->id, trips ? "" : " trips\n", keeps ? "" : row->id);
            printf("%s", keeps ? "" : " keeps\n");
        }
    }
    if (filter->form == FORM_COVERAGE)
        printf("%d broker rules: %d are tripped, %d are kept, %d both, by %d scenarios\n", rules, tripped, kept, both,
               cases->files.count);
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

static void print_versions(const struct rj_rule_row *row)
{
    if (row->since[0] != 0)
        printf("since %s", row->since);
    if (row->until[0] != 0)
        printf("%suntil %s", row->since[0] != 0 ? " " : "", row->until);
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
        const char *because = rj_rule_reach_reason(rj_rule_by_id((struct rj_string){row->id, (int32_t)strlen(row->id)}));
        printf("%s| %s | %s | %s%s%s |\n", row->since[0] != 0 || row->until[0] != 0 ? " " : "", row->sentence,
               row->source, reaches[row->reach], because ? ": " : "", because ? because : "");
    } else {
        printf("%-34s %-12s %-8s ", row->id, row->area, levels[row->level]);
        if (row->error != 0)
            printf("%3d ", row->error);
        else
            printf("    ");
        printf("%s\n", row->sentence);
    }
}

static void show(const struct rj_rule_row *row, const struct cases *cases)
{
    enum rj_rule rule = rj_rule_by_id((struct rj_string){row->id, (int32_t)strlen(row->id)});
    const char *because = rj_rule_reach_reason(rule);
    printf("%s\n  %s\n  %s, %s", row->id, row->sentence, roles[row->role], levels[row->level]);
    if (row->strength != RJ_STRENGTH_NONE)
        printf(", a breach in a trace is %s", strengths[row->strength]);
    if (row->reach != RJ_REACH_NONE)
        printf(", can be tripped by %s%s%s", reaches[row->reach], because ? ": " : "", because ? because : "");
    printf("\n");
    if (row->error != 0 && rj_kafka_error_name(row->error) != NULL)
        printf("  error %d %s\n", row->error, rj_kafka_error_name(row->error));
    if (row->since[0] != 0 || row->until[0] != 0) {
        printf("  ");
        print_versions(row);
        printf("\n");
    }
    printf("  source: %s\n", row->source);
    print_cases(cases, rule);
}

static int show_named(char **ids, int count, enum form form, const struct cases *cases)
{
    int code = REJOIN_EXIT_FINE;
    for (int i = 0; i < count; i++) {
        enum rj_rule rule = rj_rule_by_id((struct rj_string){ids[i], (int32_t)strlen(ids[i])});
        if (rule == RJ_RULE_NONE) {
            fprintf(stderr, "rejoin rules: no rule '%s'\n", ids[i]);
            code = REJOIN_EXIT_FELL_SHORT;
        } else if (form == FORM_LIST) {
            show(rj_rule_row(rule), cases);
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
        {"json", no_argument, NULL, 'j'}, {"markdown", no_argument, NULL, 'm'},
        {"coverage", no_argument, NULL, 'c'}, {"missing", no_argument, NULL, 'M'},
        {"scenarios", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'},
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
        case 'c': filter->form = FORM_COVERAGE; break;
        case 'M': filter->form = FORM_MISSING; break;
        case 's': filter->scenarios = optarg; break;
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
    struct cases cases;
    bool wants_cases = optind < argc || filter.form == FORM_COVERAGE || filter.form == FORM_MISSING;
    if (wants_cases && !read_cases(filter.scenarios, &cases))
        return REJOIN_EXIT_USAGE;
    if (wants_cases) {
        int code = optind < argc ? show_named(argv + optind, argc - optind, filter.form, &cases) : REJOIN_EXIT_FINE;
        if (optind >= argc)
            print_coverage(&cases, &filter);
        free_cases(&cases);
        return code;
    }
    if (filter.form == FORM_MARKDOWN)
        puts("| rule | role | level | error | versions | what must hold | source | tripped by |\n|---|---|---|---|---|---|---|---|");
    for (int rule = 1; rule < RJ_RULE_COUNT; rule++)
        if (passes(&filter, rj_rule_row((enum rj_rule)rule)))
            print_row(rj_rule_row((enum rj_rule)rule), filter.form);
    return REJOIN_EXIT_FINE;
}
