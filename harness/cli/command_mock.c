/* rejoin mock: a mock cluster on its own. */
#include "cli/commands.h"

#include "mock/control.h"
#include "mock/record.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: rejoin mock [OPTION...]\n"
    "\n"
    "Runs a mock Kafka cluster in one process. Its first line of output is 'ready HOST:PORT[,HOST:PORT...]', when it\n"
    "accepts connections. SIGTERM and SIGINT end it. Malformed frames and limits that are hit are told on stderr.\n"
    "\n"
    "  --listen HOST:PORT[,HOST:PORT...]  numeric addresses, one a broker; PORT 0 picks a free one; further brokers\n"
    "                                     listen on free ports of the first HOST (default 127.0.0.1:0)\n"
    "  --brokers N                        how many brokers (default 1, or as many as --listen names)\n"
    "  --advertise HOST                   the host that clients are told (default: the one that is listened on)\n"
    "  --topic NAME:PARTITIONS            a topic that exists from the start; may be repeated\n"
    "  --auto-create-topics on|off        topics that clients ask for come into being (default on)\n"
    "  --initial-rebalance-delay-ms N     group.initial.rebalance.delay.ms (default 3000)\n"
    "  --min-session-timeout-ms N         group.min.session.timeout.ms (default 6000)\n"
    "  --kafka-version X.Y                0.11 to 4.2: what this release advertises, and its coordinator's behaviour\n"
    "                                     (default 4.1)\n"
    "  --faults FILE                      what to do to which requests, as JSON: a list of\n"
    "                                     {\"match\": {api, version, group, client_id, member, broker, nth, from,\n"
    "                                     count}, \"do\": {action, error, delay_ms, cut_len}}\n"
    "  --users FILE                       who may connect, by SASL PLAIN or SCRAM-SHA-256; one a line:\n"
    "                                     NAME PASSWORD [mechanisms=PLAIN,SCRAM-SHA-256] [iterations=N] [salt=BASE64]\n"
    "  --acls FILE                        what they may do, by the rules of Kafka's StandardAuthorizer; one a line:\n"
    "                                     allow|deny PRINCIPAL HOST OPERATION[,OPERATION...] RESOURCE\n"
    "                                     super PRINCIPAL\n"
    "                                     PRINCIPAL User:NAME or User:*, HOST an address or *, RESOURCE Cluster, or\n"
    "                                     Topic, Group or TransactionalId with NAME, *, or prefixed NAME;\n"
    "                                     without --users everybody is User:ANONYMOUS\n"
    "  --connections-max-reauth-ms N      sessions end unless they authenticate again (default 0: they do not end)\n"
    "  --tls-cert FILE --tls-key FILE     PEM files; every listener speaks TLS 1.2 and 1.3\n"
    "  --record FILE.pcapng               every frame as a capture that Wireshark and rejoin check read\n"
    "  --control SOCKET                   a unix socket for rejoin ctl\n"
    "  --data-dir DIR                     topics, records, groups and offsets live there, in Kafka's formats; a mock\n"
    "                                     that is started on it again, whenever it was killed, is the same cluster\n"
    "  --fsync always|interval[:MS]|never when what was written there is forced to disk: before it is acknowledged,\n"
    "                                     every MS (1000), or when the system likes (never, as Kafka; the default)\n"
    "  --offsets-retention-ms N           offsets.retention.minutes, in ms (default 7 days)\n"
    "  --offsets-segment-bytes N          a partition of __consumer_offsets of that length is compacted (default 4 MiB)\n"
    "  --offsets-retention-check-interval-ms N  how often offsets are looked at for that (default 10 minutes)\n"
    "  --help\n"
    "\n"
    "exit codes: 0 ended by a signal, 3 wrong options or files, 4 it cannot listen or cannot have the data directory\n";

enum {
    OPTION_LISTEN = 1, OPTION_BROKERS, OPTION_ADVERTISE, OPTION_TOPIC, OPTION_AUTO_CREATE, OPTION_DELAY,
    OPTION_MIN_SESSION, OPTION_VERSION, OPTION_FAULTS, OPTION_RECORD, OPTION_CONTROL, OPTION_DATA_DIR, OPTION_FSYNC, OPTION_RETENTION,
    OPTION_RETENTION_CHECK, OPTION_SEGMENT, OPTION_USERS, OPTION_ACLS, OPTION_REAUTH, OPTION_TLS_CERT, OPTION_TLS_KEY,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"brokers", required_argument, NULL, OPTION_BROKERS},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"auto-create-topics", required_argument, NULL, OPTION_AUTO_CREATE},
    {"initial-rebalance-delay-ms", required_argument, NULL, OPTION_DELAY},
    {"min-session-timeout-ms", required_argument, NULL, OPTION_MIN_SESSION},
    {"kafka-version", required_argument, NULL, OPTION_VERSION},
    {"faults", required_argument, NULL, OPTION_FAULTS},
    {"users", required_argument, NULL, OPTION_USERS},
    {"acls", required_argument, NULL, OPTION_ACLS},
    {"connections-max-reauth-ms", required_argument, NULL, OPTION_REAUTH},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"record", required_argument, NULL, OPTION_RECORD},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"fsync", required_argument, NULL, OPTION_FSYNC},
    {"offsets-retention-ms", required_argument, NULL, OPTION_RETENTION},
    {"offsets-segment-bytes", required_argument, NULL, OPTION_SEGMENT},
    {"offsets-retention-check-interval-ms", required_argument, NULL, OPTION_RETENTION_CHECK},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

enum { TOPIC_LIMIT = 1024, PORT_LIMIT = 1000 };

struct run {
    struct mock_options options;
    struct mock_topic topics[TOPIC_LIMIT];
    uint16_t ports[PORT_LIMIT];
    char host[64];
    const char *faults_path, *record_path, *control_path;
    struct mock_recorder *recorder;
    struct mock_control *control;
    struct mock_cluster *cluster;
    uv_signal_t signals[2];
};

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static int usage_error(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "rejoin mock: --%s %s: expected %s\n", option, value, expected);
    return REJOIN_EXIT_USAGE;
}

static bool read_number(const char *text, long low, long high, int32_t *out)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || errno != 0 || number < low || number > high)
        return false;
    *out = (int32_t)number;
    return true;
}

/* HOST:PORT[,HOST:PORT...] of one host; [HOST]:PORT where it has colons. */
static bool read_listen(struct run *run, char *text)
{
    run->options.port_count = 0;
    for (char *rest = text, *part; (part = strsep(&rest, ",")) != NULL;) {
        char *colon = strrchr(part, ':');
        int32_t port;
        if (colon == NULL || !read_number(colon + 1, 0, 65535, &port) || run->options.port_count == PORT_LIMIT)
            return false;
        *colon = 0;
        size_t len = strlen(part);
        if (len > 2 && part[0] == '[' && part[len - 1] == ']') {
            part[len - 1] = 0;
            part++;
        }
        if (run->options.port_count > 0 && strcmp(run->host, part) != 0)
            return false;
        if (strlen(part) >= sizeof(run->host) || *part == 0)
            return false;
        strcpy(run->host, part);
        run->ports[run->options.port_count++] = (uint16_t)port;
    }
    run->options.listen_host = run->host;
    run->options.ports = run->ports;
    return true;
}

static bool read_topic(struct run *run, char *text)
{
    char *colon = strrchr(text, ':');
    int32_t at = run->options.topic_count;
    if (colon == NULL || colon == text || at == TOPIC_LIMIT ||
        !read_number(colon + 1, 1, 100000, &run->topics[at].partition_count))
        return false;
    *colon = 0;
    run->topics[at].name = text;
    run->options.topics = run->topics;
    run->options.topic_count++;
    return true;
}

static bool read_fsync(struct run *run, const char *text)
{
    static const char interval[] = "interval:";
    run->options.fsync = strcmp(text, "always") == 0  ? MOCK_FSYNC_ALWAYS
                         : strcmp(text, "never") == 0 ? MOCK_FSYNC_NEVER
                                                      : MOCK_FSYNC_INTERVAL;
    if (run->options.fsync != MOCK_FSYNC_INTERVAL || strcmp(text, "interval") == 0)
        return true;
    return strncmp(text, interval, strlen(interval)) == 0 &&
           read_number(text + strlen(interval), 1, INT32_MAX, &run->options.fsync_interval_ms);
}

static bool read_ms(const char *text, int64_t *out)
{
    int32_t number;
    bool ok = read_number(text, 1, INT32_MAX, &number);
    *out = ok ? number : 0;
    return ok;
}

static bool read_segment_len(const char *text, size_t *out)
{
    int32_t number = 0;
    bool ok = read_number(text, 1024, INT32_MAX, &number);
    *out = (size_t)number;
    return ok;
}

/* What is kept and how long: -1: go on; otherwise the exit code. */
static int take_storage_option(struct run *run, int option)
{
    switch (option) {
    case OPTION_DATA_DIR:
        run->options.data_dir = optarg;
        return *optarg != 0 ? -1 : usage_error("data-dir", optarg, "a directory");
    case OPTION_FSYNC:
        return read_fsync(run, optarg) ? -1 : usage_error("fsync", optarg, "always, interval, interval:MS or never");
    case OPTION_SEGMENT:
        return read_segment_len(optarg, &run->options.offsets_segment_len)
                   ? -1 : usage_error("offsets-segment-bytes", optarg, "a number of bytes, at least 1024");
    case OPTION_RETENTION:
        return read_ms(optarg, &run->options.offsets_retention_ms)
                   ? -1 : usage_error("offsets-retention-ms", optarg, "a number of milliseconds, at least 1");
    case OPTION_RETENTION_CHECK:
        return read_ms(optarg, &run->options.offsets_retention_check_interval_ms)
                   ? -1 : usage_error("offsets-retention-check-interval-ms", optarg,
                                      "a number of milliseconds, at least 1");
    default: fputs("rejoin mock --help explains the options\n", stderr); return REJOIN_EXIT_USAGE;
    }
}

/* -1: go on; otherwise the exit code. */
static int take_option(struct run *run, int option, int32_t *brokers)
{
    char shown[128]; /* as it was: reading it cuts argv's string into parts */
    snprintf(shown, sizeof(shown), "%s", optarg ? optarg : "");
    switch (option) {
    case OPTION_LISTEN:
        return read_listen(run, optarg)
                   ? -1 : usage_error("listen", shown, "HOST:PORT[,HOST:PORT...] of one numeric host");
    case OPTION_BROKERS:
        return read_number(optarg, 1, 1000, brokers) ? -1 : usage_error("brokers", shown, "a number from 1 to 1000");
    case OPTION_ADVERTISE: run->options.advertise_host = optarg; return -1;
    case OPTION_TOPIC:
        return read_topic(run, optarg) ? -1 : usage_error("topic", shown, "NAME:PARTITIONS, at most 1024 times");
    case OPTION_AUTO_CREATE:
        run->options.auto_create_topics = strcmp(optarg, "on") == 0;
        return strcmp(optarg, "on") == 0 || strcmp(optarg, "off") == 0
                   ? -1 : usage_error("auto-create-topics", shown, "on or off");
    case OPTION_DELAY:
        return read_number(optarg, 0, INT32_MAX, &run->options.initial_rebalance_delay_ms)
                   ? -1 : usage_error("initial-rebalance-delay-ms", shown, "a number of milliseconds");
    case OPTION_MIN_SESSION:
        return read_number(optarg, 0, INT32_MAX, &run->options.min_session_timeout_ms)
                   ? -1 : usage_error("min-session-timeout-ms", shown, "a number of milliseconds");
    case OPTION_VERSION: run->options.kafka_version = optarg; return -1;
    case OPTION_FAULTS: run->faults_path = optarg; return -1;
    case OPTION_USERS: run->options.users_path = optarg; return -1;
    case OPTION_ACLS: run->options.acls_path = optarg; return -1;
    case OPTION_REAUTH:
        return read_number(optarg, 0, INT32_MAX, &run->options.connections_max_reauth_ms)
                   ? -1 : usage_error("connections-max-reauth-ms", shown, "a number of milliseconds");
    case OPTION_TLS_CERT: run->options.tls_cert_path = optarg; return -1;
    case OPTION_TLS_KEY: run->options.tls_key_path = optarg; return -1;
    case OPTION_RECORD: run->record_path = optarg; return -1;
    case OPTION_CONTROL: run->control_path = optarg; return -1;
    case OPTION_HELP: fputs(help, stdout); return REJOIN_EXIT_FINE;
    default: return take_storage_option(run, option);
    }
}

static int parse(int argc, char **argv, struct run *run)
{
    int option;
    int32_t brokers = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int exit_code = take_option(run, option, &brokers);
        if (exit_code >= 0)
            return exit_code;
    }
    if (optind < argc) {
        fprintf(stderr, "rejoin mock: '%s': it takes no arguments but options\n", argv[optind]);
        return REJOIN_EXIT_USAGE;
    }
    if (brokers == 0)
        brokers = run->options.port_count > 0 ? run->options.port_count : 1;
    if (brokers < run->options.port_count) {
        fprintf(stderr, "rejoin mock: --listen names %d brokers, --brokers %d\n", run->options.port_count, brokers);
        return REJOIN_EXIT_USAGE;
    }
    run->options.broker_count = brokers;
    return -1;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static void print_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

static void stop(struct run *run)
{
    if (run->control != NULL)
        mock_control_stop(run->control);
    if (run->recorder != NULL) {
        mock_disconnect(run->cluster, NULL); /* so that the capture has their ends */
        if (!mock_record_end(run->recorder))
            fprintf(stderr, "rejoin mock: %s: not everything could be written\n", run->record_path);
    }
    mock_stop(run->cluster, NULL, NULL);
}

static void end_run(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    (void)number;
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&run->signals[i], NULL);
    stop(run);
}

/* What needs the cluster: faults, the capture, the control socket. false: error says why. */
static bool attach(struct run *run, uv_loop_t *loop, char *error, size_t error_len)
{
    if (run->faults_path != NULL) {
        struct mock_faults *faults = mock_faults_read(run->faults_path, error, error_len);
        if (faults == NULL)
            return false;
        mock_set_faults(run->cluster, faults);
    }
    if (run->record_path != NULL) {
        run->recorder = mock_record_start(run->cluster, run->record_path, error, error_len);
        if (run->recorder == NULL)
            return false;
    }
    if (run->control_path != NULL)
        run->control = mock_control_start(run->cluster, loop, run->control_path, error, error_len);
    return run->control_path == NULL || run->control != NULL;
}

static int start(struct run *run, uv_loop_t *loop)
{
    char error[512];
    enum mock_start started = mock_start(&run->cluster, loop, &run->options, error, sizeof(error));
    bool is_started = started == MOCK_STARTED;
    if (is_started && attach(run, loop, error, sizeof(error)))
        return REJOIN_EXIT_FINE;
    fprintf(stderr, "rejoin mock: %s\n", error);
    if (is_started)
        stop(run);
    bool is_refused = started == MOCK_CANNOT_LISTEN || started == MOCK_CANNOT_STORE;
    return is_refused ? REJOIN_EXIT_HARNESS : REJOIN_EXIT_USAGE;
}

/* What a rebalance of thousands took for a moment goes back to the system. Left alone, glibc keeps ever larger pieces. */
static void return_large_pieces(void)
{
#ifdef __GLIBC__
    enum { LARGE_LEN = 48 * 1024 };
    mallopt(M_MMAP_THRESHOLD, LARGE_LEN);
    mallopt(M_TRIM_THRESHOLD, LARGE_LEN);
#endif
}

int command_mock(int argc, char **argv)
{
    static struct run run;
    mock_options_init(&run.options);
    run.options.log = print_line;
    int exit_code = parse(argc, argv, &run);
    if (exit_code >= 0)
        return exit_code;
    return_large_pieces();
    uv_loop_t *loop = uv_default_loop();
    signal(SIGPIPE, SIG_IGN);
    exit_code = start(&run, loop);
    if (exit_code != REJOIN_EXIT_FINE) {
        uv_run(loop, UV_RUN_DEFAULT);
        return exit_code;
    }
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &run.signals[i]);
        run.signals[i].data = &run;
        uv_signal_start(&run.signals[i], end_run, i == 0 ? SIGTERM : SIGINT);
    }
    printf("ready %s\n", mock_bootstrap(run.cluster));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return REJOIN_EXIT_FINE;
}
