/* rejoin decode: bytes -> JSON. */
#include "cli/codec_options.h"
#include "cli/commands.h"
#include "cli/frame_reading.h"
#include "records/print.h"
#include "rejoin/conn.h"
#include "support/memory.h"

#include <string.h>

static const char help[] =
    "usage: rejoin decode --api KEY|NAME --version V [--kind request|response] [OPTION...] [FILE]\n"
    "       rejoin decode --frame [--kind response --api KEY|NAME --version V] [OPTION...] [FILE]\n"
    "       rejoin decode --type TYPE [OPTION...] [FILE]\n\n"
    "Prints the message in FILE or on stdin as JSON, in the form of Kafka's own converters; records as base64.\n\n"
    "  --api KEY|NAME     11 or JoinGroup\n"
    "  --version V        of the API; with --type: of what carries no version in its bytes\n"
    "  --kind KIND        request (default) or response\n"
    "  --frame            the input is a whole frame: header and body\n"
    "  --length HOW       with or without: whether the frame's 4-byte length opens it. Else the way that decodes is\n"
    "                     taken; where both do, this must be said; where none does, both faults are told\n"
    "  --type TYPE        what has no API key: consumer-subscription, consumer-assignment, sticky-userdata,\n"
    "                     offsets-key, offsets-value (with --record-type), record-batch (batches and message sets)\n"
    "  --record-type N    the number that opens the key of a record of __consumer_offsets\n"
    "  --binary           the input is bytes, not hexadecimal digits\n\n"
    "Encodings that Kafka's readers accept although its writers make none (a varint longer than needed, bytes behind the\n"
    "last field, ...) are accepted, and told by rule: on stderr and as \"odd\" in the JSON (unknown tags, which stand in\n"
    "the message, on stderr only). 'rejoin rules --area encoding' lists them.\n\n"
    "exit codes: 0 decoded; 1 refused: the fault is on stderr and, with all that could be read before it, in the JSON;\n"
    "            3 usage, or a frame that decodes with its length and without\n";

/* The limit for what compressed records may become. */
static const size_t plain_limit_len = (size_t)1 << 28;

struct job {
    const struct codec_options *options;
    struct rj_bytes input;
    struct rj_arena arena;
    struct rejoin_buffer out;
    struct rj_fault fault;
    const char *what; /* the message's name */
    struct rejoin_buffer odd; /* JSON objects, comma between */
    size_t odd_base;          /* where in the input the bytes at hand begin */
    long odd_count, odd_tag_count;
    bool unsized; /* a frame whose length is not known: bytes left over may mean that it is something else */
    bool is_ambiguous;
};

/* More of them are counted only. */
enum { ODD_SHOWN = 100 };

static void note_oddity(void *context, const struct rj_oddity *oddity)
{
    struct job *job = context;
    const struct rj_rule_row *rule = rj_rule_row(oddity->rule);
    size_t offset = job->odd_base + oddity->offset;
    job->odd_tag_count += oddity->rule == RJ_RULE_ENC_TAG_UNKNOWN;
    if (job->odd_count++ >= ODD_SHOWN)
        return;
    fprintf(stderr, "rejoin decode: %s: %s%sbyte %zu: odd but accepted by %s: %s\n", job->what, oddity->field,
            oddity->field[0] ? " at " : "at ", offset, rule->id, rule->sentence);
    rejoin_buffer_format(&job->odd, "%s{\"rule\":\"%s\",\"offset\":%zu,\"field\":\"%s\"}", job->odd.len > 0 ? "," : "",
                         rule->id, offset, oddity->field);
}

/* What in the message's bytes no writer of Kafka's makes. Bytes behind it are odd too, and so no reason to refuse it. */
static enum rj_err accept(struct job *job, enum rj_err err, const struct rj_message_schema *schema, int16_t version,
                          struct rj_bytes bytes, size_t base)
{
    if (err != RJ_OK && (err != RJ_ERR_TRAILING || job->unsized))
        return err;
    struct rj_oddity_sink sink = {note_oddity, job};
    job->odd_base = base;
    rj_find_oddities(schema, version, bytes, &job->arena, &sink);
    return RJ_OK;
}

static struct rj_bytes bytes_from(struct rj_bytes bytes, size_t offset)
{
    return (struct rj_bytes){bytes.data + offset, bytes.len - (int32_t)offset};
}

static void print_message(struct job *job, const struct rj_message_schema *schema, int16_t version,
                          const void *message)
{
    struct rj_writer writer = rejoin_buffer_writer(&job->out);
    rj_print_json(schema, version, message, &writer);
}

static void *new_message(struct job *job, const struct rj_message_schema *schema)
{
    void *message = rj_arena_alloc(&job->arena, schema->root->size);
    if (message == NULL)
        message = rejoin_alloc(schema->root->size);
    job->what = schema->name;
    return message;
}

static enum rj_err decode_body(struct job *job)
{
    int16_t key = (int16_t)job->options->api_key, version = (int16_t)job->options->version;
    const struct rj_message_schema *schema = job->options->response ? rj_response_schema(key) : rj_request_schema(key);
    void *message = new_message(job, schema);
    enum rj_err err = rj_decode(schema, version, job->input, &job->arena, message, &job->fault);
    print_message(job, schema, version, message);
    return accept(job, err, schema, version, job->input, 0);
}

/* {"header":{...},"body":{...}} */
static void print_frame(struct job *job, const struct rj_message_schema *header_schema, int16_t header_version,
                        const void *header, const struct rj_message_schema *schema, int16_t version, const void *body)
{
    rejoin_buffer_text(&job->out, "{\"header\":");
    print_message(job, header_schema, header_version, header);
    if (body != NULL) {
        rejoin_buffer_text(&job->out, ",\"body\":");
        print_message(job, schema, version, body);
    }
    rejoin_buffer_text(&job->out, "}");
}

static enum rj_err decode_request_frame(struct job *job)
{
    struct rj_request_frame request;
    job->what = "request";
    enum rj_err err = rj_decode_request_header(job->input, &request, &job->arena, &job->fault);
    if (request.schema != NULL)
        job->what = request.schema->name;
    if (err == RJ_OK)
        err = rj_decode_request_body(job->input, &request, &job->arena, &job->fault);
    struct rj_request_header header;
    rj_message_init(&rj_request_header_schema, &header);
    header.request_api_key = request.api_key;
    header.request_api_version = request.version;
    header.correlation_id = request.correlation_id;
    header.client_id = request.client_id;
    print_frame(job, &rj_request_header_schema, 1, &header, request.schema, request.version, request.body);
    if (request.body == NULL)
        return err;
    accept(job, RJ_OK, &rj_request_header_schema, rj_request_header_version(request.api_key, request.version),
           (struct rj_bytes){job->input.data, (int32_t)request.body_offset}, 0);
    return accept(job, err, request.schema, request.version, bytes_from(job->input, request.body_offset),
                  request.body_offset);
}

static enum rj_err decode_response_frame(struct job *job)
{
    struct rj_response_frame response;
    enum rj_err err = rj_decode_response(job->input, (int16_t)job->options->api_key, (int16_t)job->options->version,
                                         &response, &job->arena, &job->fault);
    job->what = response.schema->name;
    struct rj_response_header header;
    rj_message_init(&rj_response_header_schema, &header);
    header.correlation_id = response.correlation_id;
    print_frame(job, &rj_response_header_schema, 0, &header, response.schema, response.version, response.body);
    if (response.body == NULL)
        return err;
    accept(job, RJ_OK, &rj_response_header_schema,
           rj_response_header_version((int16_t)job->options->api_key, (int16_t)job->options->version),
           (struct rj_bytes){job->input.data, (int32_t)response.body_offset}, 0);
    return accept(job, err, response.schema, response.version, bytes_from(job->input, response.body_offset),
                  response.body_offset);
}

static enum rj_err decode_frame(struct job *job)
{
    struct frame_reading with_length, without;
    frame_readings(job->options, job->input, &job->arena, &with_length, &without);
    const struct frame_reading *chosen = frame_reading_choose(job->options, &with_length, &without);
    job->is_ambiguous = chosen == NULL;
    if (job->is_ambiguous) {
        frame_reading_tell_both(&with_length);
        return RJ_OK;
    }
    bool is_guessed = job->options->length == CODEC_LENGTH_GUESSED;
    job->input = chosen->frame;
    job->unsized = !chosen->is_sized && is_guessed;
    enum rj_err err = job->options->response ? decode_response_frame(job) : decode_request_frame(job);
    struct rj_fault fault;
    if (!frame_reading_check_length(chosen, &fault) && (err == RJ_OK || chosen->said_len < 0)) {
        job->fault = fault;
        return fault.err;
    }
    frame_reading_tell_length(chosen);
    if (err != RJ_OK && is_guessed)
        frame_reading_tell_other(chosen, chosen->is_sized ? &without : &with_length);
    return err;
}

static void print_opening(struct job *job, const char *name, int number)
{
    rejoin_buffer_format(&job->out, "{\"%s\":%d,\"data\":", name, number);
}

/* A version in two bytes, then the message. Readers of Kafka's take a version above their own for their highest. */
static enum rj_err decode_versioned(struct job *job, const struct rj_message_schema *schema, bool newer_is_read)
{
    void *message = new_message(job, schema);
    rj_message_init(schema, message);
    int16_t version = schema->versions.high;
    enum rj_err err = RJ_ERR_SHORT;
    size_t consumed_len = 0;
    job->fault = (struct rj_fault){.err = err, .api_key = -1, .version = -1, .field = "version",
                                   .found = "end of input", .expected = "two bytes of version"};
    if (job->input.len >= 2) {
        int16_t own = (int16_t)(job->input.data[0] << 8 | job->input.data[1]);
        version = own > version && newer_is_read ? version : own;
        print_opening(job, "version", own);
        struct rj_bytes rest = {job->input.data + 2, job->input.len - 2};
        err = newer_is_read
                  ? rj_decode_prefix(schema, version, rest, &job->arena, message, &consumed_len, &job->fault)
                  : rj_decode(schema, version, rest, &job->arena, message, &job->fault);
        job->fault.offset += 2;
        if (!newer_is_read || own == version) /* what follows in a newer one is no secret */
            err = accept(job, err, schema, version, rest, 2);
    } else {
        rejoin_buffer_text(&job->out, "{\"data\":");
    }
    print_message(job, schema, version, message);
    rejoin_buffer_text(&job->out, "}");
    return err;
}

static enum rj_err decode_offsets_key(struct job *job)
{
    int type = job->input.len >= 2 ? job->input.data[0] << 8 | job->input.data[1] : -1;
    const struct rj_message_schema *schema = codec_record_schema(type, RJ_MESSAGE_KEY);
    if (schema == NULL) {
        job->what = "key";
        job->fault = (struct rj_fault){.err = type < 0 ? RJ_ERR_SHORT : RJ_ERR_VERSION, .api_key = -1, .version = -1,
                                       .field = "type", .expected = "a record type of __consumer_offsets"};
        snprintf(job->fault.found, sizeof(job->fault.found), "type %d", type);
        rejoin_buffer_text(&job->out, "{}");
        return job->fault.err;
    }
    void *message = new_message(job, schema);
    print_opening(job, "type", type);
    struct rj_bytes rest = bytes_from(job->input, 2);
    enum rj_err err = rj_decode(schema, 0, rest, &job->arena, message, &job->fault);
    job->fault.offset += 2;
    print_message(job, schema, 0, message);
    rejoin_buffer_text(&job->out, "}");
    return accept(job, err, schema, 0, rest, 2);
}

struct sticky_form { const struct rj_message_schema *schema; int16_t version; };

static enum rj_err decode_sticky_form(struct job *job, const struct sticky_form *form, struct rj_fault *fault)
{
    void *message = new_message(job, form->schema);
    enum rj_err err = rj_decode(form->schema, form->version, job->input, &job->arena, message, fault);
    job->out.len = 0;
    rejoin_buffer_format(&job->out, "{\"form\":\"%s\",\"version\":%d,\"data\":", form->schema->name, form->version);
    print_message(job, form->schema, form->version, message);
    rejoin_buffer_text(&job->out, "}");
    return err;
}

/* The bytes do not say which of the three forms they have; without --version the first that fits is taken. Where none
 * does, bytes may be left over behind one: a cut generation is none for Kafka's StickyAssignor. The last one tried
 * again is the first, so that its fault and what could be read are told. */
static enum rj_err decode_sticky(struct job *job)
{
    static const struct sticky_form forms[] = {
        {&rj_sticky_assignor_user_data_schema, 1}, {&rj_sticky_assignor_user_data_schema, 0},
        {&rj_cooperative_sticky_assignor_user_data_schema, 0}};
    enum { FORMS = sizeof(forms) / sizeof(forms[0]) };
    const struct sticky_form *first = NULL, *longer = NULL;
    for (int i = 0; i < FORMS; i++) {
        if (job->options->version >= 0 && job->options->version != forms[i].version)
            continue;
        enum rj_err err = decode_sticky_form(job, &forms[i], &job->fault);
        if (err == RJ_OK)
            return accept(job, RJ_OK, forms[i].schema, forms[i].version, job->input, 0);
        if (first == NULL)
            first = &forms[i];
        if (err == RJ_ERR_TRAILING && longer == NULL && forms[i].schema == &rj_sticky_assignor_user_data_schema)
            longer = &forms[i];
    }
    if (first == NULL) {
        job->fault = (struct rj_fault){.err = RJ_ERR_VERSION, .api_key = -1, .version = -1, .field = "--version",
                                       .found = "no such version", .expected = "0 or 1"};
        job->what = "sticky user data";
        rejoin_buffer_text(&job->out, "{}");
        return RJ_ERR_VERSION;
    }
    const struct sticky_form *form = longer != NULL ? longer : first;
    enum rj_err err = decode_sticky_form(job, form, &job->fault);
    return accept(job, err, form->schema, form->version, job->input, 0);
}

static enum rj_err decode_records(struct job *job)
{
    job->what = "records";
    rejoin_buffer_text(&job->out, "{\"batches\":");
    enum rj_err err = rejoin_print_records(job->input, plain_limit_len, &job->out, &job->fault);
    rejoin_buffer_text(&job->out, "}");
    return err;
}

static enum rj_err decode(struct job *job)
{
    switch (job->options->type) {
    case CODEC_API: return job->options->frame ? decode_frame(job) : decode_body(job);
    case CODEC_CONSUMER_SUBSCRIPTION: return decode_versioned(job, &rj_consumer_protocol_subscription_schema, true);
    case CODEC_CONSUMER_ASSIGNMENT: return decode_versioned(job, &rj_consumer_protocol_assignment_schema, true);
    case CODEC_STICKY_USERDATA: return decode_sticky(job);
    case CODEC_OFFSETS_KEY: return decode_offsets_key(job);
    case CODEC_OFFSETS_VALUE:
        return decode_versioned(job, codec_record_schema(job->options->record_type, RJ_MESSAGE_VALUE), false);
    case CODEC_RECORD_BATCH: return decode_records(job);
    }
    return RJ_ERR_API;
}

/* Opens a member behind the last one of the object that was printed. */
static void add_member(struct job *job, const char *name)
{
    job->out.len--;
    rejoin_buffer_format(&job->out, "%s\"%s\":", job->out.len > 1 ? "," : "", name);
}

static void add_fault(struct job *job)
{
    add_member(job, "fault");
    rejoin_print_fault(&job->fault, &job->out);
    rejoin_buffer_text(&job->out, "}");
}

static void add_oddities(struct job *job)
{
    if (job->odd_count > ODD_SHOWN)
        fprintf(stderr, "rejoin decode: %s: %ld more oddities\n", job->what, job->odd_count - ODD_SHOWN);
    if (job->odd_count == job->odd_tag_count)
        return;
    add_member(job, "odd");
    rejoin_buffer_text(&job->out, "[");
    rejoin_buffer_add(&job->out, job->odd.data, job->odd.len);
    rejoin_buffer_text(&job->out, "]}");
}

int command_decode(int argc, char **argv)
{
    struct codec_options options;
    struct rejoin_buffer input;
    int status = codec_options_read(argc, argv, help, &options);
    if (status == 0)
        status = codec_input_read(&options, argv[0], true, &input);
    if (status != 0)
        return status;
    struct job job = {.options = &options, .input = rejoin_buffer_bytes(&input)};
    rj_arena_init(&job.arena, &rejoin_heap, SIZE_MAX);
    enum rj_err err = decode(&job);
    if (job.is_ambiguous) {
        rj_arena_release(&job.arena);
        rejoin_buffer_free(&input);
        return REJOIN_EXIT_USAGE;
    }
    if (err != RJ_OK) {
        codec_print_fault(argv[0], job.what, &job.fault);
        add_fault(&job);
    }
    add_oddities(&job);
    fwrite(job.out.data, 1, job.out.len, stdout);
    putchar('\n');
    rj_arena_release(&job.arena);
    rejoin_buffer_free(&job.odd);
    rejoin_buffer_free(&job.out);
    rejoin_buffer_free(&input);
    return err == RJ_OK ? REJOIN_EXIT_FINE : REJOIN_EXIT_FELL_SHORT;
}
