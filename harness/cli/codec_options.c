#include "cli/codec_options.h"

#include "cli/commands.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct { const char *name; enum codec_type type; } types[] = {
    {"consumer-subscription", CODEC_CONSUMER_SUBSCRIPTION}, {"consumer-assignment", CODEC_CONSUMER_ASSIGNMENT},
    {"sticky-userdata", CODEC_STICKY_USERDATA}, {"offsets-key", CODEC_OFFSETS_KEY},
    {"offsets-value", CODEC_OFFSETS_VALUE}, {"record-batch", CODEC_RECORD_BATCH},
};

static int usage(const char *command, const char *what, const char *value, const char *expected)
{
    fprintf(stderr, "rejoin %s: %s '%s': expected %s; try 'rejoin %s --help'\n", command, what, value, expected, command);
    return REJOIN_EXIT_USAGE;
}

static bool read_number(const char *text, int *number)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    *number = (int)value;
    return errno == 0 && *end == '\0' && end != text && value >= 0 && value <= INT16_MAX;
}

static bool read_api(const char *text, int *api_key)
{
    if (read_number(text, api_key))
        return rj_request_schema((int16_t)*api_key) != NULL;
    for (*api_key = 0; *api_key < rj_api_index_count; ++*api_key)
        if (rj_api_name((int16_t)*api_key) != NULL && strcasecmp(text, rj_api_name((int16_t)*api_key)) == 0)
            return true;
    return false;
}

static bool read_type(const char *text, enum codec_type *type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(text, types[i].name) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

/* What belongs together. */
static int check(const struct codec_options *options, const char *command)
{
    bool needs_api = options->type == CODEC_API && (!options->frame || options->response);
    if (needs_api && (options->api_key < 0 || options->version < 0)) {
        fprintf(stderr, "rejoin %s: --api and --version are needed, or --type, or --frame for a request; "
                        "try 'rejoin %s --help'\n", command, command);
        return REJOIN_EXIT_USAGE;
    }
    if (options->type == CODEC_OFFSETS_VALUE && options->record_type < 0) {
        fprintf(stderr, "rejoin %s: --type offsets-value needs --record-type, which stands in the record's key\n",
                command);
        return REJOIN_EXIT_USAGE;
    }
    if (options->length != CODEC_LENGTH_GUESSED && !options->frame) {
        fprintf(stderr, "rejoin %s: --length goes with --frame\n", command);
        return REJOIN_EXIT_USAGE;
    }
    if (options->api_key < 0 || options->version < 0)
        return 0;
    const struct rj_message_schema *schema = options->response ? rj_response_schema((int16_t)options->api_key)
                                                               : rj_request_schema((int16_t)options->api_key);
    if (!rj_in_range(schema->versions, (int16_t)options->version)) {
        fprintf(stderr, "rejoin %s: %s has the versions %d to %d, not %d\n", command, schema->name,
                schema->versions.low, schema->versions.high, options->version);
        return REJOIN_EXIT_USAGE;
    }
    return 0;
}

static int read_option(int option, const char *command, struct codec_options *options)
{
    switch (option) {
    case 'a':
        return read_api(optarg, &options->api_key) ? 0 : usage(command, "--api", optarg, "an API key or name of Kafka's");
    case 'v': return read_number(optarg, &options->version) ? 0 : usage(command, "--version", optarg, "a number");
    case 'k':
        options->response = strcmp(optarg, "response") == 0;
        return options->response || strcmp(optarg, "request") == 0
                   ? 0 : usage(command, "--kind", optarg, "request or response");
    case 't':
        return read_type(optarg, &options->type)
                   ? 0 : usage(command, "--type", optarg, "consumer-subscription, consumer-assignment, "
                               "sticky-userdata, offsets-key, offsets-value or record-batch");
    case 'r':
        return read_number(optarg, &options->record_type) &&
                       codec_record_schema(options->record_type, RJ_MESSAGE_VALUE) != NULL
                   ? 0 : usage(command, "--record-type", optarg, "the number of a record type of __consumer_offsets");
    case 'f': options->frame = true; return 0;
    case 'l':
        options->length = strcmp(optarg, "without") == 0 ? CODEC_WITHOUT_LENGTH : CODEC_WITH_LENGTH;
        return strcmp(optarg, "with") == 0 || strcmp(optarg, "without") == 0
                   ? 0 : usage(command, "--length", optarg, "with or without");
    case 'b': options->binary = true; return 0;
    default: fprintf(stderr, "Try 'rejoin %s --help'\n", command); return REJOIN_EXIT_USAGE;
    }
}

int codec_options_read(int argc, char **argv, const char *help, struct codec_options *options)
{
    static const struct option long_options[] = {
        {"api", required_argument, NULL, 'a'}, {"version", required_argument, NULL, 'v'},
        {"kind", required_argument, NULL, 'k'}, {"type", required_argument, NULL, 't'},
        {"record-type", required_argument, NULL, 'r'}, {"frame", no_argument, NULL, 'f'},
        {"length", required_argument, NULL, 'l'}, {"binary", no_argument, NULL, 'b'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    *options = (struct codec_options){.api_key = -1, .version = -1, .record_type = -1};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(REJOIN_EXIT_FINE);
        }
        int status = read_option(option, argv[0], options);
        if (status != 0)
            return status;
    }
    if (optind + 1 < argc)
        return usage(argv[0], "argument", argv[optind + 1], "one file at most");
    options->file = optind < argc ? argv[optind] : NULL;
    return check(options, argv[0]);
}

static int digit_of(int c) { return c >= '0' && c <= '9' ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1; }

/* In place. Blanks, commas, colons and 0x are stepped over. */
static int unhex(const char *name, const char *command, struct rejoin_buffer *input)
{
    size_t len = 0, line = 1, column = 0, digits = 0;
    for (size_t i = 0; i < input->len; i++) {
        int c = input->data[i];
        column++;
        if (c == '\n') {
            line++;
            column = 0;
        }
        if (isspace(c) || c == ',' || c == ':')
            continue;
        if (c == '0' && digits % 2 == 0 && i + 1 < input->len && (input->data[i + 1] | 0x20) == 'x') {
            i++;
            column++;
            continue;
        }
        int digit = digit_of(c);
        if (digit < 0) {
            fprintf(stderr, "rejoin %s: %s:%zu:%zu: expected hexadecimal digits (or give --binary)\n", command, name,
                    line, column);
            return REJOIN_EXIT_USAGE;
        }
        if (digits++ % 2 == 0)
            input->data[len] = (uint8_t)(digit << 4);
        else
            input->data[len++] |= (uint8_t)digit;
    }
    input->len = len;
    if (digits % 2 != 0) {
        fprintf(stderr, "rejoin %s: %s:%zu:%zu: expected an even number of hexadecimal digits\n", command, name, line,
                column);
        return REJOIN_EXIT_USAGE;
    }
    return 0;
}

int codec_input_read(const struct codec_options *options, const char *command, bool hex, struct rejoin_buffer *input)
{
    bool is_stdin = options->file == NULL || strcmp(options->file, "-") == 0;
    const char *name = is_stdin ? "<stdin>" : options->file;
    FILE *file = is_stdin ? stdin : fopen(options->file, "rb");
    *input = (struct rejoin_buffer){0};
    bool ok = file != NULL && rejoin_buffer_read(input, file);
    if (!ok)
        fprintf(stderr, "rejoin %s: %s: %s\n", command, name, strerror(errno));
    if (file != NULL && !is_stdin)
        fclose(file);
    if (ok && input->len > INT32_MAX) {
        fprintf(stderr, "rejoin %s: %s: larger than any message can be (2 GB)\n", command, name);
        ok = false;
    }
    int status = ok ? 0 : REJOIN_EXIT_USAGE;
    if (ok && hex && !options->binary)
        status = unhex(name, command, input);
    if (status != 0)
        rejoin_buffer_free(input);
    return status;
}

const struct rj_message_schema *codec_record_schema(int record_type, enum rj_message_kind kind)
{
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (rj_all_schemas[i]->kind == kind && rj_all_schemas[i]->api_key == record_type)
            return rj_all_schemas[i];
    return NULL;
}

void codec_print_fault(const char *command, const char *what, const struct rj_fault *fault)
{
    fprintf(stderr, "rejoin %s: %s", command, what);
    if (fault->version >= 0)
        fprintf(stderr, " v%d", fault->version);
    fprintf(stderr, ": %s%sbyte %zu: %s: found %s, expected %s\n", fault->field, fault->field[0] ? " at " : "at ",
            fault->offset, rj_err_sentence(fault->err), fault->found, fault->expected);
}
