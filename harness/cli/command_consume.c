/* rejoin consume: the reference client on the command line, and as a driver (exec:rejoin consume). */
#include "cli/commands.h"

#include "consume/consume.h"
#include "rejoin/consumer.h"
#include "support/memory.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESSES_MAX = 64, TOPICS_MAX = 256 };

enum flag {
    OPTION_BOOTSTRAP = 256, OPTION_GROUP, OPTION_TOPIC, OPTION_ASSIGNOR, OPTION_INSTANCE_ID, OPTION_CLIENT_ID,
    OPTION_RACK, OPTION_COMMIT, OPTION_RESET, OPTION_MAX_RECORDS, OPTION_DURATION_MS, OPTION_JSON,
    OPTION_SESSION_TIMEOUT_MS,
    OPTION_HEARTBEAT_INTERVAL_MS, OPTION_REBALANCE_TIMEOUT_MS, OPTION_COMMIT_INTERVAL_MS, OPTION_METADATA_MAX_AGE_MS,
    OPTION_MAX_VERSION, OPTION_LEAVE, OPTION_MISBEHAVE, OPTION_LIST_MISBEHAVIOURS, OPTION_HELP,
};

static const struct option options[] = {
    {"bootstrap", required_argument, NULL, OPTION_BOOTSTRAP},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"assignor", required_argument, NULL, OPTION_ASSIGNOR},
    {"instance-id", required_argument, NULL, OPTION_INSTANCE_ID},
    {"client-id", required_argument, NULL, OPTION_CLIENT_ID},
    {"rack", required_argument, NULL, OPTION_RACK},
    {"commit", required_argument, NULL, OPTION_COMMIT},
    {"reset", required_argument, NULL, OPTION_RESET},
    {"max-records", required_argument, NULL, OPTION_MAX_RECORDS},
    {"duration-ms", required_argument, NULL, OPTION_DURATION_MS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"session-timeout-ms", required_argument, NULL, OPTION_SESSION_TIMEOUT_MS},
    {"heartbeat-interval-ms", required_argument, NULL, OPTION_HEARTBEAT_INTERVAL_MS},
    {"rebalance-timeout-ms", required_argument, NULL, OPTION_REBALANCE_TIMEOUT_MS},
    {"commit-interval-ms", required_argument, NULL, OPTION_COMMIT_INTERVAL_MS},
    {"metadata-max-age-ms", required_argument, NULL, OPTION_METADATA_MAX_AGE_MS},
    {"max-version", required_argument, NULL, OPTION_MAX_VERSION},
    {"leave", required_argument, NULL, OPTION_LEAVE},
    {"misbehave", required_argument, NULL, OPTION_MISBEHAVE},
    {"list-misbehaviours", no_argument, NULL, OPTION_LIST_MISBEHAVIOURS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: rejoin consume --bootstrap HOST:PORT[,HOST:PORT...] --group ID --topic NAME [OPTION...]\n"
    "\n"
    "Joins a consumer group on any broker and prints what happens, until SIGTERM or SIGINT.\n"
    "\n"
    "  --bootstrap LIST           first addresses to ask                       (REJOIN_BOOTSTRAP)\n"
    "  --group ID                 group id                                     (REJOIN_GROUP)\n"
    "  --topic NAME               subscribe; may be repeated                   (REJOIN_TOPICS, a comma list)\n"
    "  --assignor NAME[,NAME...]  range, roundrobin, sticky, cooperative-sticky (REJOIN_ASSIGNOR);\n"
    "                             default range,cooperative-sticky. The rebalance is cooperative if all named are\n"
    "  --instance-id ID           static membership                            (REJOIN_INSTANCE_ID)\n"
    "  --client-id ID             default rejoin                               (REJOIN_CLIENT_ID)\n"
    "  --rack ID                  where this client is, for rack-aware assignors\n"
    "  --commit auto|manual|none  auto: at intervals; manual: after each batch of records. Both also before\n"
    "                             partitions are given up. Default auto\n"
    "  --reset earliest|latest|none  where to begin without a committed offset; default earliest\n"
    "  --max-records N            close after N records\n"
    "  --duration-ms N            close after that time                        (REJOIN_DEADLINE_MS)\n"
    "  --json                     events as JSON lines; implied by REJOIN_CASE\n"
    "  --session-timeout-ms N     default 45000                                (REJOIN_SESSION_TIMEOUT_MS)\n"
    "  --heartbeat-interval-ms N  default 3000                                 (REJOIN_HEARTBEAT_INTERVAL_MS)\n"
    "  --rebalance-timeout-ms N   max.poll.interval.ms, default 300000         (REJOIN_REBALANCE_TIMEOUT_MS)\n"
    "  --commit-interval-ms N     of --commit auto, default 5000               (REJOIN_COMMIT_INTERVAL_MS)\n"
    "  --metadata-max-age-ms N    default 300000\n"
    "  --max-version API:VERSION  use no higher version of that API, e.g. JoinGroup:3; may be repeated\n"
    "  --leave default|always|never  whether to leave the group on close; default: dynamic members do\n"
    "  --misbehave NAME           break one rule on purpose; may be repeated\n"
    "  --list-misbehaviours       the names, the rules that they break, and what the client then does\n"
    "\n"
    "Flags win over the environment. Exit codes: 0 closed in good order, 1 a fatal error was printed, 3 usage,\n"
    "4 the client itself failed, 89 REJOIN_CASE or REJOIN_PROTOCOL asks for what this client cannot do.\n";

/* What the command line and the environment name, kept for as long as the run. */
struct arguments {
    struct consume_options consume;
    struct rj_consumer_bootstrap addresses[ADDRESSES_MAX];
    struct rj_string topics[TOPICS_MAX];
    struct kept_text *kept; /* what addresses and topics point into */
    bool has_failed;
};

struct kept_text {
    struct kept_text *next;
    char chars[];
};

/* A copy to cut up, which lives as long as the arguments. */
static char *keep(struct arguments *arguments, const char *value)
{
    struct kept_text *kept = rejoin_alloc(sizeof(*kept) + strlen(value) + 1);
    kept->next = arguments->kept;
    arguments->kept = kept;
    return strcpy(kept->chars, value);
}

static void free_kept(struct arguments *arguments)
{
    while (arguments->kept != NULL) {
        struct kept_text *next = arguments->kept->next;
        free(arguments->kept);
        arguments->kept = next;
    }
}

static struct rj_string text(const char *chars) { return (struct rj_string){chars, (int32_t)strlen(chars)}; }

static void refuse(struct arguments *arguments, const char *name, const char *value, const char *expected)
{
    fprintf(stderr, "rejoin consume: %s '%s': expected %s\n", name, value, expected);
    arguments->has_failed = true;
}

static int64_t number(struct arguments *arguments, const char *name, const char *value, int64_t most)
{
    char *end;
    long long parsed = strtoll(value, &end, 10);
    if (*value == '\0' || *end != '\0' || parsed < 0 || parsed > most) {
        refuse(arguments, name, value, "a number of that range");
        return 0;
    }
    return parsed;
}

static int choice(struct arguments *arguments, const char *name, const char *value, const char *const *choices)
{
    char expected[128] = "";
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(value, choices[i]) == 0)
            return i;
        size_t len = strlen(expected);
        snprintf(expected + len, sizeof expected - len, "%s%s", i > 0 ? " or " : "", choices[i]);
    }
    refuse(arguments, name, value, expected);
    return 0;
}

static void add_addresses(struct arguments *arguments, const char *value)
{
    struct rj_consumer_config *config = &arguments->consume.config;
    char *list = keep(arguments, value), *rest = NULL;
    for (char *item = strtok_r(list, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(item, ':');
        if (colon == NULL || colon == item || config->bootstrap_count == ADDRESSES_MAX) {
            refuse(arguments, "--bootstrap", value, "HOST:PORT[,HOST:PORT...]");
            return;
        }
        *colon = '\0';
        if (*item == '[' && colon[-1] == ']') {
            item++;
            colon[-1] = '\0';
        }
        arguments->addresses[config->bootstrap_count++] =
            (struct rj_consumer_bootstrap){text(item), (int32_t)number(arguments, "--bootstrap", colon + 1, 65535)};
    }
    config->bootstrap = arguments->addresses;
}

static void add_topics(struct arguments *arguments, const char *value)
{
    struct rj_string_array *topics = &arguments->consume.config.topics;
    char *list = keep(arguments, value), *rest = NULL;
    for (char *item = strtok_r(list, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        if (topics->count == TOPICS_MAX) {
            refuse(arguments, "--topic", value, "at most 256 topics");
            return;
        }
        arguments->topics[topics->count++] = text(item);
    }
    topics->items = arguments->topics;
}

static void set_assignors(struct arguments *arguments, const char *value)
{
    struct rj_consumer_config *config = &arguments->consume.config;
    char *list = rejoin_strdup(value), *rest = NULL;
    config->assignor_count = 0;
    for (char *item = strtok_r(list, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        enum rj_assignor assignor;
        if (config->assignor_count == RJ_ASSIGNOR_COUNT || !rj_assignor_by_name(text(item), &assignor)) {
            refuse(arguments, "--assignor", value, "range, roundrobin, sticky or cooperative-sticky");
            break;
        }
        config->assignors[config->assignor_count++] = assignor;
    }
    free(list);
}

static void cap_version(struct arguments *arguments, const char *value)
{
    const char *colon = strchr(value, ':');
    for (int16_t api_key = 0; colon != NULL && api_key < 32; api_key++) {
        const char *name = rj_api_name(api_key);
        if (name == NULL || strlen(name) != (size_t)(colon - value) || strncmp(name, value, strlen(name)) != 0)
            continue;
        arguments->consume.config.version_caps[api_key] =
            (int16_t)number(arguments, "--max-version", colon + 1, INT16_MAX);
        return;
    }
    refuse(arguments, "--max-version", value, "API:VERSION, such as JoinGroup:3");
}

static void misbehave(struct arguments *arguments, const char *value)
{
    enum rj_consumer_fault fault;
    if (rj_consumer_fault_by_name(text(value), &fault))
        arguments->consume.config.faults |= (uint64_t)1 << fault;
    else
        refuse(arguments, "--misbehave", value, "one of --list-misbehaviours");
}

static void list_misbehaviours(void)
{
    for (int i = 0; i < RJ_CONSUMER_FAULT_COUNT; i++) {
        enum rj_consumer_fault fault = (enum rj_consumer_fault)i;
        enum rj_rule rule = rj_consumer_fault_rule(fault);
        printf("%-28s %-26s %s\n", rj_consumer_fault_name(fault).data, rj_rule_row(rule)->id,
               rj_consumer_fault_sentence(fault));
    }
}

static void take_text_option(struct arguments *arguments, int option, const char *value)
{
    static const char *const commits[] = {"auto", "manual", "none", NULL};
    static const char *const resets[] = {"earliest", "latest", "none", NULL};
    static const char *const leaves[] = {"default", "always", "never", NULL};
    struct rj_consumer_config *config = &arguments->consume.config;
    if (option == OPTION_GROUP)
        config->group_id = text(value);
    else if (option == OPTION_INSTANCE_ID)
        config->instance_id = text(value);
    else if (option == OPTION_CLIENT_ID)
        config->client_id = text(value);
    else if (option == OPTION_RACK)
        config->rack = text(value);
    else if (option == OPTION_BOOTSTRAP)
        add_addresses(arguments, value);
    else if (option == OPTION_TOPIC)
        add_topics(arguments, value);
    else if (option == OPTION_ASSIGNOR)
        set_assignors(arguments, value);
    else if (option == OPTION_COMMIT)
        arguments->consume.commit = (enum consume_commit)choice(arguments, "--commit", value, commits);
    else if (option == OPTION_RESET)
        config->auto_offset_reset = (enum rj_offset_reset)choice(arguments, "--reset", value, resets);
    else if (option == OPTION_LEAVE)
        config->leave_policy = (enum rj_leave_policy)choice(arguments, "--leave", value, leaves);
    else if (option == OPTION_MAX_VERSION)
        cap_version(arguments, value);
    else if (option == OPTION_MISBEHAVE)
        misbehave(arguments, value);
}

static void take_option(struct arguments *arguments, int option, const char *value)
{
    struct rj_consumer_config *config = &arguments->consume.config;
    switch (option) {
    case OPTION_MAX_RECORDS:
        arguments->consume.max_records = number(arguments, "--max-records", value, INT64_MAX);
        break;
    case OPTION_DURATION_MS:
        arguments->consume.duration_ms = number(arguments, "--duration-ms", value, INT64_MAX);
        break;
    case OPTION_JSON:
        arguments->consume.json = true;
        break;
    case OPTION_SESSION_TIMEOUT_MS:
        config->session_timeout_ms = (int32_t)number(arguments, "--session-timeout-ms", value, INT_MAX);
        break;
    case OPTION_HEARTBEAT_INTERVAL_MS:
        config->heartbeat_interval_ms = (int32_t)number(arguments, "--heartbeat-interval-ms", value, INT_MAX);
        break;
    case OPTION_REBALANCE_TIMEOUT_MS:
        config->max_poll_interval_ms = (int32_t)number(arguments, "--rebalance-timeout-ms", value, INT_MAX);
        break;
    case OPTION_COMMIT_INTERVAL_MS:
        config->auto_commit_interval_ms = (int32_t)number(arguments, "--commit-interval-ms", value, INT_MAX);
        break;
    case OPTION_METADATA_MAX_AGE_MS:
        config->metadata_max_age_ms = (int32_t)number(arguments, "--metadata-max-age-ms", value, INT_MAX);
        break;
    default:
        take_text_option(arguments, option, value);
    }
}

/* Areas of the suite that this client can be tested in (harness/drivers/README.md). */
static bool knows_case(const char *id)
{
    static const char *const areas[] = {"smoke", "join", "sync", "heartbeat", "commit", "offset-fetch", "coordinator",
                                        "leave", "static", "group", "cooperative", "version", "delivery"};
    size_t len = strcspn(id, "/");
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        if (strlen(areas[i]) == len && strncmp(areas[i], id, len) == 0)
            return true;
    return id[len] == '\0';
}

/* What a driver is told by its environment. --json and an early end of usage are the caller's. */
static int take_environment(struct arguments *arguments)
{
    static const struct { const char *name; int option; } variables[] = {
        {"REJOIN_BOOTSTRAP", OPTION_BOOTSTRAP}, {"REJOIN_GROUP", OPTION_GROUP}, {"REJOIN_TOPICS", OPTION_TOPIC},
        {"REJOIN_ASSIGNOR", OPTION_ASSIGNOR}, {"REJOIN_INSTANCE_ID", OPTION_INSTANCE_ID},
        {"REJOIN_CLIENT_ID", OPTION_CLIENT_ID}, {"REJOIN_DEADLINE_MS", OPTION_DURATION_MS},
        {"REJOIN_SESSION_TIMEOUT_MS", OPTION_SESSION_TIMEOUT_MS},
        {"REJOIN_HEARTBEAT_INTERVAL_MS", OPTION_HEARTBEAT_INTERVAL_MS},
        {"REJOIN_REBALANCE_TIMEOUT_MS", OPTION_REBALANCE_TIMEOUT_MS},
        {"REJOIN_COMMIT_INTERVAL_MS", OPTION_COMMIT_INTERVAL_MS},
    };
    const char *driver_case = getenv("REJOIN_CASE"), *protocol = getenv("REJOIN_PROTOCOL");
    if (driver_case != NULL)
        arguments->consume.json = true;
    if (driver_case != NULL && !knows_case(driver_case))
        return REJOIN_EXIT_UNSUPPORTED;
    if (protocol != NULL && *protocol != '\0' && strcmp(protocol, "classic") != 0)
        return REJOIN_EXIT_UNSUPPORTED;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i].name);
        if (value != NULL && *value != '\0')
            take_option(arguments, variables[i].option, value);
    }
    return REJOIN_EXIT_FINE;
}

/* A flag replaces what the environment said; the second of its kind adds. */
static void forget_environment(struct arguments *arguments, int option, bool *was_seen)
{
    if (*was_seen)
        return;
    *was_seen = true;
    if (option == OPTION_BOOTSTRAP)
        arguments->consume.config.bootstrap_count = 0;
    if (option == OPTION_TOPIC)
        arguments->consume.config.topics.count = 0;
}

static int take_flags(struct arguments *arguments, int argc, char **argv)
{
    bool seen_bootstrap = false, seen_topic = false;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            fputs(help, stdout);
            exit(REJOIN_EXIT_FINE);
        }
        if (option == OPTION_LIST_MISBEHAVIOURS) {
            list_misbehaviours();
            exit(REJOIN_EXIT_FINE);
        }
        if (option == '?')
            return REJOIN_EXIT_USAGE;
        if (option == OPTION_BOOTSTRAP)
            forget_environment(arguments, option, &seen_bootstrap);
        if (option == OPTION_TOPIC)
            forget_environment(arguments, option, &seen_topic);
        take_option(arguments, option, optarg);
    }
    if (optind < argc)
        refuse(arguments, "argument", argv[optind], "options only; 'rejoin consume --help' lists them");
    return arguments->has_failed ? REJOIN_EXIT_USAGE : REJOIN_EXIT_FINE;
}

static int consume(struct arguments *arguments, int argc, char **argv)
{
    struct rj_consumer_config *config = &arguments->consume.config;
    rj_consumer_config_init(config);
    config->auto_offset_reset = RJ_OFFSET_RESET_EARLIEST;
    int unsupported = take_environment(arguments);
    int exit_code = take_flags(arguments, argc, argv);
    if (exit_code != REJOIN_EXIT_FINE)
        return exit_code;
    if (unsupported != REJOIN_EXIT_FINE)
        return unsupported;
    if (config->bootstrap_count == 0 || config->group_id.len == 0 || config->topics.count == 0) {
        fprintf(stderr, "rejoin consume: %s is missing\n", config->bootstrap_count == 0 ? "--bootstrap"
                                                           : config->group_id.len == 0  ? "--group"
                                                                                        : "--topic");
        return REJOIN_EXIT_USAGE;
    }
    if (arguments->consume.commit != CONSUME_COMMIT_AUTO)
        config->auto_commit_interval_ms = 0;
    config->commit_on_revoke = arguments->consume.commit != CONSUME_COMMIT_NONE;
    return consume_run(&arguments->consume);
}

int command_consume(int argc, char **argv)
{
    struct arguments arguments = {.consume = {.max_records = -1, .duration_ms = -1}};
    int exit_code = consume(&arguments, argc, argv);
    free_kept(&arguments);
    return exit_code;
}
