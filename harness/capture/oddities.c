#include "capture/oddities.h"

#include "capture/text.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* Beyond so many different ones they are counted only: a capture's author must not decide how long a report gets. */
enum { FINDING_LIMIT = 200 };

struct finding {
    enum rj_rule rule;
    const struct rj_message_schema *schema;
    int16_t version;
    uint64_t stream, frame, times;
    int64_t time_ms;
    size_t offset; /* from the start of the frame, its length not counted */
    char field[128];
    char *client_id;
};

struct oddities {
    struct finding findings[FINDING_LIMIT];
    int count;
    uint64_t total;
    struct finding at_hand;     /* what is true of all oddities of the part that is being read */
    struct rj_string client_id; /* its client's */
    size_t base;                /* where it begins in its frame */
    struct finding *latest;
};

struct oddities *oddities_create(void) { return rejoin_alloc_zeroed(1, sizeof(struct oddities)); }

uint64_t oddities_total(const struct oddities *oddities) { return oddities->total; }

void oddities_destroy(struct oddities *oddities)
{
    for (int i = 0; i < oddities->count; i++)
        free(oddities->findings[i].client_id);
    free(oddities);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool is_same(const struct finding *finding, const struct finding *other, enum rj_rule rule)
{
    return finding->rule == rule && finding->schema == other->schema && finding->version == other->version &&
           finding->stream == other->stream;
}

static struct finding *find(struct oddities *oddities, enum rj_rule rule)
{
    if (oddities->latest != NULL && is_same(oddities->latest, &oddities->at_hand, rule))
        return oddities->latest;
    for (int i = 0; i < oddities->count; i++)
        if (is_same(&oddities->findings[i], &oddities->at_hand, rule))
            return &oddities->findings[i];
    return NULL;
}

static void note(void *context, const struct rj_oddity *oddity)
{
    struct oddities *oddities = context;
    struct finding *finding = find(oddities, oddity->rule);
    oddities->total++;
    if (finding == NULL && oddities->count < FINDING_LIMIT) {
        finding = &oddities->findings[oddities->count++];
        *finding = oddities->at_hand;
        finding->rule = oddity->rule;
        finding->offset = oddities->base + oddity->offset;
        finding->client_id = text_of(oddities->client_id);
        snprintf(finding->field, sizeof(finding->field), "%s", oddity->field);
    }
    if (finding != NULL)
        finding->times++;
    oddities->latest = finding;
}

/* One part of a frame, header or body. */
static void read_part(struct oddities *oddities, const struct rj_message_schema *schema, int16_t version,
                      struct rj_bytes part, size_t base)
{
    struct rj_oddity_sink sink = {note, oddities};
    struct rj_arena arena;
    oddities->at_hand.schema = schema;
    oddities->at_hand.version = version;
    oddities->base = base;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX); /* it decoded once within the bounds of decoding */
    rj_find_oddities(schema, version, part, &arena, &sink);
    rj_arena_release(&arena);
}

static void read_frame(struct oddities *oddities, const struct capture_part *part)
{
    if (part->header_schema == NULL)
        return;
    struct rj_bytes header = {part->frame.data, (int32_t)part->body_offset};
    struct rj_bytes body = {part->frame.data + part->body_offset, part->frame.len - (int32_t)part->body_offset};
    read_part(oddities, part->header_schema, part->header_version, header, 0);
    read_part(oddities, part->body_schema, part->body_version, body, part->body_offset);
}

static void begin(struct oddities *oddities, const struct capture_exchange *exchange, uint64_t frame, int64_t time_us)
{
    oddities->at_hand = (struct finding){.stream = exchange->stream->id, .frame = frame, .time_ms = time_us / 1000};
    oddities->client_id = exchange->client_id;
}

static void on_request(void *context, struct capture_exchange *exchange)
{
    begin(context, exchange, exchange->request_frame, exchange->request_time_us);
    read_frame(context, &exchange->request_part);
}

static void on_response(void *context, struct capture_exchange *exchange)
{
    begin(context, exchange, exchange->response_frame, exchange->response_time_us);
    read_frame(context, &exchange->response_part);
}

struct capture_sink oddities_sink(struct oddities *oddities)
{
    return (struct capture_sink){.context = oddities, .request = on_request, .response = on_response};
}

/* ---- Showing ----------------------------------------------------------------------------------------------------- */

static json_t *finding_json(const struct finding *finding)
{
    const struct rj_rule_row *row = rj_rule_row(finding->rule);
    return json_pack("{ss ss ss si ss ss sI sI sI sI sI ss}", "rule", row->id, "strength", "warning", "message",
                     finding->schema->name, "version", (int)finding->version, "field", finding->field, "client_id",
                     finding->client_id, "stream", (json_int_t)finding->stream, "frame", (json_int_t)finding->frame,
                     "offset", (json_int_t)finding->offset, "time_ms", (json_int_t)finding->time_ms, "times",
                     (json_int_t)finding->times, "rule_sentence", row->sentence);
}

json_t *oddities_json(const struct oddities *oddities)
{
    json_t *rows = json_array();
    for (int i = 0; i < oddities->count; i++)
        json_array_append_new(rows, finding_json(&oddities->findings[i]));
    return rows;
}

static void print_finding(const struct finding *finding, FILE *out)
{
    const struct rj_rule_row *row = rj_rule_row(finding->rule);
    char time[32];
    text_time(finding->time_ms * 1000, time, sizeof(time));
    fprintf(out, "\nWARNING %s (odd encoding)\n  %s v%d: %s%sbyte %zu of its frame: %s\n  frame %llu at %s, connection "
            "%llu", row->id, finding->schema->name, finding->version, finding->field, finding->field[0] ? " at " : "at ",
            finding->offset, row->sentence, (unsigned long long)finding->frame, time,
            (unsigned long long)finding->stream);
    if (finding->client_id[0] != 0)
        fprintf(out, ", client %s", finding->client_id);
    if (finding->times > 1)
        fprintf(out, "; %llu times in this connection", (unsigned long long)finding->times);
    fputs("\n", out);
}

void oddities_print(const struct oddities *oddities, FILE *out)
{
    for (int i = 0; i < oddities->count; i++)
        print_finding(&oddities->findings[i], out);
    if (oddities->total > 0)
        fprintf(out, "\n%llu odd encodings that Kafka's readers accept\n", (unsigned long long)oddities->total);
}
