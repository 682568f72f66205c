/* rejoin encode: JSON -> bytes. It takes what `rejoin decode` prints. */
#include "cli/codec_options.h"
#include "cli/commands.h"
#include "rejoin/conn.h"
#include "support/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: rejoin encode --api KEY|NAME --version V [--kind request|response] [OPTION...] [FILE]\n"
    "       rejoin encode --frame [--kind response --api KEY|NAME --version V] [OPTION...] [FILE]\n"
    "       rejoin encode --type TYPE [OPTION...] [FILE]\n\n"
    "Reads JSON as `rejoin decode` prints it from FILE or stdin, and prints the bytes as hexadecimal digits.\n"
    "Fields that are left out hold their default; a name that the version does not have is refused.\n\n"
    "  --api KEY|NAME     11 or JoinGroup\n"
    "  --version V        of the API\n"
    "  --kind KIND        request (default) or response\n"
    "  --frame            {\"header\":{...},\"body\":{...}} -> a whole frame with its 4-byte length; of a request the\n"
    "                     header says API and version\n"
    "  --length HOW       with (default) or without that length\n"
    "  --type TYPE        consumer-subscription, consumer-assignment, sticky-userdata, offsets-key, offsets-value\n"
    "                     (with --record-type)\n"
    "  --record-type N    the number that opens the key of a record of __consumer_offsets\n"
    "  --binary           print bytes, not hexadecimal digits\n\n"
    "exit codes: 0 encoded; 1 refused: the fault is on stderr; 3 usage\n";

struct job {
    const struct codec_options *options;
    struct rj_string text;
    struct rj_arena arena;
    struct rejoin_buffer out;
    struct rj_fault fault;
    const char *what;
};

static enum rj_err refuse(struct job *job, const char *field, const char *expected)
{
    job->fault = (struct rj_fault){.err = RJ_ERR_JSON, .api_key = -1, .version = -1};
    snprintf(job->fault.field, sizeof(job->fault.field), "%s", field);
    snprintf(job->fault.found, sizeof(job->fault.found), "something else");
    snprintf(job->fault.expected, sizeof(job->fault.expected), "%s", expected);
    return RJ_ERR_JSON;
}

static enum rj_err parse(struct job *job, const struct rj_message_schema *schema, int16_t version,
                         struct rj_string text, void **message)
{
    job->what = schema->name;
    *message = rj_arena_alloc(&job->arena, schema->root->size);
    return *message == NULL ? RJ_ERR_MEMORY
                            : rj_parse_json(schema, version, text, &job->arena, *message, &job->fault);
}

static enum rj_err encode(struct job *job, const struct rj_message_schema *schema, int16_t version,
                          struct rj_string text)
{
    void *message;
    size_t len;
    enum rj_err err = parse(job, schema, version, text, &message);
    if (err == RJ_OK)
        err = rj_encoded_len(schema, version, message, &len, &job->fault);
    if (err != RJ_OK)
        return err;
    uint8_t *bytes = rejoin_alloc(len);
    err = rj_encode(schema, version, message, bytes, len, &len, &job->fault);
    if (err == RJ_OK)
        rejoin_buffer_add(&job->out, bytes, len);
    free(bytes);
    return err;
}

/* A member of the outer object as text again; free() it. NULL: it is not there. */
static char *member_text(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return member == NULL ? NULL : json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY);
}

static struct rj_string string_of(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

static enum rj_err encode_frame_of(struct job *job, struct rj_string header_text, struct rj_string body_text)
{
    void *parsed_header, *body;
    bool response = job->options->response;
    const struct rj_message_schema *header_schema = response ? &rj_response_header_schema : &rj_request_header_schema;
    enum rj_err err = parse(job, header_schema, header_schema->versions.high, header_text, &parsed_header);
    if (err != RJ_OK)
        return err;
    int16_t key = (int16_t)job->options->api_key, version = (int16_t)job->options->version;
    const struct rj_request_header *header = parsed_header;
    if (!response) {
        key = header->request_api_key;
        version = header->request_api_version;
    }
    const struct rj_message_schema *schema = response ? rj_response_schema(key) : rj_request_schema(key);
    if (schema == NULL)
        return refuse(job, "header.requestApiKey", "an API key of Kafka's");
    err = parse(job, schema, version, body_text, &body);
    if (err != RJ_OK)
        return err;
    size_t body_len, len;
    err = rj_encoded_len(schema, version, body, &body_len, &job->fault);
    if (err != RJ_OK)
        return err;
    size_t room = body_len + INT16_MAX + 64;
    uint8_t *bytes = rejoin_alloc(room);
    err = response ? rj_encode_response_frame(key, version,
                                              ((const struct rj_response_header *)parsed_header)->correlation_id, body,
                                              bytes, room, &len, &job->fault)
                   : rj_encode_request_frame(key, version, header->correlation_id, header->client_id, body, bytes,
                                             room, &len, &job->fault);
    size_t skipped_len = job->options->length == CODEC_WITHOUT_LENGTH ? 4 : 0;
    if (err == RJ_OK)
        rejoin_buffer_add(&job->out, bytes + skipped_len, len - skipped_len);
    free(bytes);
    return err;
}

static enum rj_err encode_frame(struct job *job, const json_t *root)
{
    char *header = member_text(root, "header"), *body = member_text(root, "body");
    enum rj_err err = header == NULL || body == NULL ? refuse(job, "", "{\"header\":{...},\"body\":{...}}")
                                                     : encode_frame_of(job, string_of(header), string_of(body));
    free(header);
    free(body);
    return err;
}

/* {"version":N,"data":{...}} or {"type":N,"data":{...}}: two bytes, then the message. */
static enum rj_err encode_opened(struct job *job, const json_t *root, const char *name,
                                 const struct rj_message_schema *schema)
{
    const json_t *number = json_object_get(root, name);
    char *data = member_text(root, "data");
    enum rj_err err = RJ_OK;
    int16_t opening = (int16_t)json_integer_value(number), version = opening;
    if (schema == NULL) {
        schema = codec_record_schema(opening, RJ_MESSAGE_KEY);
        version = 0;
    }
    if (number == NULL || data == NULL || schema == NULL) {
        err = refuse(job, schema == NULL ? "type" : "", schema == NULL ? "a record type of __consumer_offsets"
                                                                       : "an object with its number and \"data\"");
    } else {
        const uint8_t bytes[2] = {(uint8_t)(opening >> 8), (uint8_t)opening};
        rejoin_buffer_add(&job->out, bytes, sizeof(bytes));
        err = encode(job, schema, version, string_of(data));
    }
    free(data);
    return err;
}

static enum rj_err encode_sticky(struct job *job, const json_t *root)
{
    const char *form = json_string_value(json_object_get(root, "form"));
    const struct rj_message_schema *schema = form != NULL ? rj_schema_by_name(string_of(form)) : NULL;
    char *data = member_text(root, "data");
    int16_t version = (int16_t)json_integer_value(json_object_get(root, "version"));
    enum rj_err err = schema == NULL || data == NULL
                          ? refuse(job, "form", "StickyAssignorUserData or CooperativeStickyAssignorUserData")
                          : encode(job, schema, version, string_of(data));
    free(data);
    return err;
}

static enum rj_err encode_wrapped(struct job *job)
{
    json_error_t error;
    json_t *root = json_loadb(job->text.data, (size_t)job->text.len, JSON_ALLOW_NUL, &error);
    enum rj_err err = RJ_ERR_JSON;
    if (!json_is_object(root)) {
        err = refuse(job, "", root == NULL ? error.text : "an object");
        job->fault.offset = root == NULL ? (size_t)error.position : 0;
    } else if (job->options->type == CODEC_API) {
        err = encode_frame(job, root);
    } else if (job->options->type == CODEC_STICKY_USERDATA) {
        err = encode_sticky(job, root);
    } else if (job->options->type == CODEC_OFFSETS_KEY) {
        err = encode_opened(job, root, "type", NULL);
    } else {
        err = encode_opened(job, root, "version",
                            job->options->type == CODEC_CONSUMER_SUBSCRIPTION ? &rj_consumer_protocol_subscription_schema
                            : job->options->type == CODEC_CONSUMER_ASSIGNMENT
                                ? &rj_consumer_protocol_assignment_schema
                                : codec_record_schema(job->options->record_type, RJ_MESSAGE_VALUE));
    }
    json_decref(root);
    return err;
}

static enum rj_err encode_input(struct job *job)
{
    job->what = "input";
    if (job->options->type != CODEC_API || job->options->frame)
        return encode_wrapped(job);
    int16_t key = (int16_t)job->options->api_key, version = (int16_t)job->options->version;
    return encode(job, job->options->response ? rj_response_schema(key) : rj_request_schema(key), version, job->text);
}

static void print_bytes(const struct job *job)
{
    if (job->options->binary) {
        fwrite(job->out.data, 1, job->out.len, stdout);
        return;
    }
    for (size_t i = 0; i < job->out.len; i++)
        printf("%02x", job->out.data[i]);
    putchar('\n');
}

int command_encode(int argc, char **argv)
{
    struct codec_options options;
    struct rejoin_buffer input;
    int status = codec_options_read(argc, argv, help, &options);
    if (status == 0 && options.type == CODEC_RECORD_BATCH) {
        fputs("rejoin encode: --type record-batch can only be decoded\n", stderr);
        status = REJOIN_EXIT_USAGE;
    }
    if (status == 0)
        status = codec_input_read(&options, argv[0], false, &input);
    if (status != 0)
        return status;
    struct job job = {.options = &options, .text = {(const char *)rejoin_buffer_bytes(&input).data,
                                                    (int32_t)input.len}};
    rj_arena_init(&job.arena, &rejoin_heap, SIZE_MAX);
    enum rj_err err = encode_input(&job);
    if (err == RJ_OK)
        print_bytes(&job);
    else
        codec_print_fault(argv[0], job.what, &job.fault);
    rj_arena_release(&job.arena);
    rejoin_buffer_free(&job.out);
    rejoin_buffer_free(&input);
    return err == RJ_OK ? REJOIN_EXIT_FINE : REJOIN_EXIT_FELL_SHORT;
}
