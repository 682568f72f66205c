/* Answers in the words of the language, and the text of a scenario with new expectations. */
#include "scenario/run.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void blank(struct rejoin_buffer *out)
{
    if (out->len > 0 && out->data[out->len - 1] != ' ')
        rejoin_buffer_text(out, " ");
}

static void show_error(int64_t code, struct rejoin_buffer *out)
{
    const char *name = rj_kafka_error_name((int16_t)code);
    if (name != NULL)
        rejoin_buffer_text(out, name);
    else
        rejoin_buffer_format(out, "%d", (int)code);
}

/* $name of whoever had that value first; NULL: nobody. */
static const char *name_of(const struct scn_run *run, const json_t *value)
{
    const char *name;
    json_t *one;
    if (!json_is_string(value) || json_string_length(value) < 8)
        return NULL;
    json_object_foreach (run->names, name, one) /* in the order in which they were learned */
        if (json_equal(one, value))
            return name;
    return NULL;
}

/* A member id that a broker has made: it is another one every time. */
static bool is_made_up(const json_t *value)
{
    enum { UUID_LEN = 36 };
    static const int dashes[] = {8, 13, 18, 23};
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (len <= UUID_LEN)
        return false;
    for (size_t i = 0; i < sizeof(dashes) / sizeof(dashes[0]); i++)
        if (text[len - UUID_LEN + (size_t)dashes[i]] != '-')
            return false;
    return true;
}

static bool is_plain(const char *text)
{
    if (*text == 0 || strcmp(text, "null") == 0 || strchr("$?*!{", *text) != NULL
        || (text[0] == '0' && text[1] == 'x'))
        return false;
    for (const char *c = text; *c != 0; c++)
        if (*c <= ' ' || *c >= 0x7f || strchr("\"|,:/#{}", *c) != NULL)
            return false;
    return true;
}

static void show_text(const char *text, struct rejoin_buffer *out)
{
    if (is_plain(text)) {
        rejoin_buffer_text(out, text);
        return;
    }
    json_t *string = json_string(text);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY);
    rejoin_buffer_text(out, quoted);
    free(quoted);
    json_decref(string);
}

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Bytes in base64, as text where they are. */
static void show_bytes(const char *base64, struct rejoin_buffer *out)
{
    size_t size = strlen(base64), len = 0;
    char *bytes = rejoin_alloc(size + 1);
    uint32_t bits = 0;
    int have = 0;
    bool text = true;
    for (size_t i = 0; i < size && digit(base64[i]) >= 0; i++) {
        bits = bits << 6 | (uint32_t)digit(base64[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes[len] = (char)(bits >> have);
            text = text && bytes[len] >= ' ' && bytes[len] < 0x7f;
            len++;
        }
    }
    bytes[len] = 0;
    if (text) {
        show_text(bytes, out);
    } else {
        rejoin_buffer_text(out, "0x");
        for (size_t i = 0; i < len; i++)
            rejoin_buffer_format(out, "%02x", (uint8_t)bytes[i]);
    }
    free(bytes);
}

static void show_value(const struct scn_run *run, const struct rj_schema_field *field, const json_t *value,
                       struct rejoin_buffer *out)
{
    const char *name = name_of(run, value);
    if (name != NULL) {
        rejoin_buffer_format(out, "$%s", name);
    } else if (is_made_up(value)) {
        rejoin_buffer_text(out, "*");
    } else if (json_is_string(value) && field->type == RJ_TYPE_BYTES) {
        show_bytes(json_string_value(value), out);
    } else if (json_is_string(value)) {
        show_text(json_string_value(value), out);
    } else if (json_is_integer(value) && strstr(field->name, "rrorCode") != NULL) {
        show_error(json_integer_value(value), out);
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        rejoin_buffer_text(out, text);
        free(text);
    }
}

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

static void show_id(const struct scn_run *run, const json_t *id, struct rejoin_buffer *out)
{
    static const struct rj_schema_field string = {.name = "", .type = RJ_TYPE_STRING};
    if (json_is_string(id) && json_string_length(id) == 0)
        return;
    show_value(run, &string, id, out);
}

static void show_left_member(const struct scn_run *run, const json_t *member, struct rejoin_buffer *out)
{
    const json_t *instance = json_object_get(member, "groupInstanceId");
    show_id(run, json_object_get(member, "memberId"), out);
    if (!json_is_null(instance)) {
        rejoin_buffer_text(out, "/");
        show_id(run, instance, out);
    }
    rejoin_buffer_text(out, ":");
    show_error(json_integer_value(json_object_get(member, "errorCode")), out);
}

/* members=$m1,$m2 or groups=g:Stable */
static void show_list(const struct scn_run *run, const struct scn_exchange *exchange, const char *name,
                      struct rejoin_buffer *out)
{
    struct scn_place place = {NULL, NULL};
    scn_find_place(exchange, name, &place);
    blank(out);
    rejoin_buffer_format(out, "%s=%s", name, json_array_size(place.value) == 0 ? "\"\"" : "");
    size_t i;
    const json_t *one;
    json_array_foreach (place.value, i, one) {
        rejoin_buffer_text(out, i ? "," : "");
        if (exchange->api_key == 13) {
            show_left_member(run, one, out);
            continue;
        }
        const json_t *state = json_object_get(one, "groupState");
        show_id(run, json_object_get(one, strcmp(name, "groups") == 0 ? "groupId" : "memberId"), out);
        if (strcmp(name, "groups") == 0 && json_string_length(state) > 0)
            rejoin_buffer_format(out, ":%s", json_string_value(state));
    }
}

static void show_partition(const struct scn_run *run, const json_t *topic, const json_t *entry,
                           struct rejoin_buffer *out)
{
    const json_t *name = json_object_get(topic, "name"), *offset = json_object_get(entry, "committedOffset");
    const char *text = json_string_value(name);
    text = text ? text : name_of(run, json_object_get(topic, "topicId"));
    int64_t error = json_integer_value(json_object_get(entry, "errorCode"));
    blank(out);
    rejoin_buffer_format(out, "%s-%d=", text ? text : "?",
                         (int)json_integer_value(json_object_get(entry, "partitionIndex")));
    if (error != 0 || offset == NULL) {
        show_error(error, out);
        return;
    }
    if (json_integer_value(offset) == -1)
        rejoin_buffer_text(out, "none");
    else
        rejoin_buffer_format(out, "%lld", (long long)json_integer_value(offset));
    if (json_string_length(json_object_get(entry, "metadata")) > 0) {
        rejoin_buffer_text(out, ":");
        show_text(json_string_value(json_object_get(entry, "metadata")), out);
    }
}

static int show_partitions(const struct scn_run *run, const struct scn_exchange *exchange, struct rejoin_buffer *out)
{
    size_t i, k;
    const json_t *topic, *entry;
    int count = 0;
    json_array_foreach (scn_topics(exchange), i, topic)
        json_array_foreach (json_object_get(topic, "partitions"), k, entry) {
            show_partition(run, topic, entry, out);
            count++;
        }
    return count;
}

/* g=ERROR of DeleteGroups and DescribeGroups. */
static void show_results(const struct scn_exchange *exchange, const char *list, struct rejoin_buffer *out)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(exchange->body, list), i, one) {
        blank(out);
        rejoin_buffer_format(out, "%s=", json_string_value(json_object_get(one, "groupId")));
        show_error(json_integer_value(json_object_get(one, "errorCode")), out);
    }
}

/* ---- All that matters -------------------------------------------------------------------------------------------- */

static void show_field(const struct scn_run *run, const struct scn_exchange *exchange, const char *name,
                       struct rejoin_buffer *out)
{
    struct scn_place place;
    if (!scn_find_place(exchange, name, &place))
        return;
    blank(out);
    rejoin_buffer_format(out, "%s=", name);
    show_value(run, place.field, place.value, out);
}

static void show_filled(const struct scn_run *run, const struct scn_exchange *exchange, const char *name,
                        struct rejoin_buffer *out)
{
    struct scn_place place;
    if (scn_find_place(exchange, name, &place) && !json_is_null(place.value) && !json_is_false(place.value)
        && (!json_is_string(place.value) || json_string_length(place.value) > 0))
        show_field(run, exchange, name, out);
}

static void show_join(const struct scn_run *run, const struct scn_exchange *exchange, bool failed,
                      struct rejoin_buffer *out)
{
    if (failed) {
        show_filled(run, exchange, "member", out);
        return;
    }
    static const char *const names[] = {"generation", "protocol", "leader", "member"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        show_field(run, exchange, names[i], out);
    show_filled(run, exchange, "skipAssignment", out);
    show_list(run, exchange, "members", out);
}

static void show_all(const struct scn_run *run, const struct scn_exchange *exchange, struct rejoin_buffer *out)
{
    int16_t code = 0;
    bool same = scn_main_error(exchange, &code);
    bool has_parts = exchange->api_key == 42 || (exchange->api_key == 13 && exchange->version >= 3 && code == 0)
                     || (scn_topics(exchange) != NULL && json_array_size(scn_topics(exchange)) > 0);
    if (same && !(has_parts && code == 0) && !(exchange->api_key == 42)) {
        blank(out);
        show_error(code, out);
    }
    switch (exchange->api_key) {
    case 8:
    case 9:
    case 28:
    case 47:
        if (code == 0 || !same)
            show_partitions(run, exchange, out);
        break;
    case 11: show_join(run, exchange, code != 0, out); break;
    case 13:
        if (exchange->version >= 3 && code == 0)
            show_list(run, exchange, "members", out);
        break;
    case 14: show_filled(run, exchange, "assignment", out); break;
    case 15:
        if (json_array_size(json_object_get(exchange->body, "groups")) != 1) {
            show_results(exchange, "groups", out);
            break;
        }
        show_filled(run, exchange, "state", out);
        show_filled(run, exchange, "protocol", out);
        show_list(run, exchange, "members", out);
        break;
    case 16:
        if (code == 0)
            show_list(run, exchange, "groups", out);
        break;
    case 42: show_results(exchange, "results", out); break;
    default: break;
    }
    if (out->len == 0)
        show_error(code, out);
}

/* ---- What an expectation names ----------------------------------------------------------------------------------- */

static void show_named(const struct scn_run *run, const struct scn_exchange *exchange, const struct scn_field *word,
                       struct rejoin_buffer *out)
{
    char topic[300], line[1024];
    int32_t partition;
    struct scn_run *quiet = (struct scn_run *)(uintptr_t)run;
    struct scn_expect one = {.fields = {word, 1}};
    if (word->json != NULL || scn_matches(quiet, exchange, &one, line, sizeof(line))) {
        const char *text = run->scenario->lines[exchange->step->line - 1];
        (void)text;
        blank(out);
        if (word->json != NULL) {
            char *json = json_dumps(word->json, JSON_COMPACT);
            rejoin_buffer_text(out, json);
            free(json);
            return;
        }
        rejoin_buffer_format(out, "%s%s", word->name ? word->name : "", word->name ? "=" : "");
        if (word->is_quoted)
            show_text(word->value, out);
        else
            rejoin_buffer_text(out, word->value);
        return;
    }
    if (word->name == NULL) {
        int16_t code = 0;
        scn_main_error(exchange, &code);
        blank(out);
        show_error(code, out);
    } else if (strcmp(word->name, "members") == 0 || strcmp(word->name, "groups") == 0) {
        show_list(run, exchange, word->name, out);
    } else if (scn_topics(exchange) != NULL && scn_split_partition(word->name, topic, sizeof(topic), &partition)) {
        size_t before = out->len;
        const json_t *entry = scn_find_partition(run, exchange, topic, partition);
        json_t *named = json_pack("{s:s}", "name", topic);
        if (entry != NULL)
            show_partition(run, named, entry, out);
        json_decref(named);
        (void)before;
    } else {
        show_field(run, exchange, word->name, out);
    }
}

void scn_show(const struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect,
              struct rejoin_buffer *out)
{
    if (exchange->closed) {
        rejoin_buffer_text(out, "closed");
        return;
    }
    if (expect == NULL || expect->kind != SCN_EXPECT_ANSWER || expect->fields.count == 0)
        show_all(run, exchange, out);
    for (int i = 0; expect != NULL && i < expect->fields.count; i++)
        show_named(run, exchange, &expect->fields.items[i], out);
    if (exchange->rule != RJ_RULE_NONE) {
        blank(out);
        rejoin_buffer_format(out, "!%s", rj_rule_row(exchange->rule)->id);
    }
}

/* ---- Rewriting --------------------------------------------------------------------------------------------------- */

static const struct scn_expect *expect_of_line(const struct scenario *scenario, int line)
{
    for (int i = 0; i < scenario->step_count; i++)
        for (const struct scn_expect *one = scenario->steps[i].expect; one != NULL; one = one->next)
            if (one->line == line && one->column > 0)
                return one;
    return NULL;
}

static void rewrite_line(const struct scn_run *run, int line, struct rejoin_buffer *out)
{
    const char *text = run->scenario->lines[line - 1];
    const char *wanted = line < 64 ? run->rewritten[line] : NULL;
    const struct scn_expect *expect = wanted ? expect_of_line(run->scenario, line) : NULL;
    if (expect == NULL) {
        rejoin_buffer_format(out, "%s\n", text);
        return;
    }
    size_t column = (size_t)expect->column - 1, end = (size_t)expect->end_column - 1;
    size_t keep = column < strlen(text) ? column : strlen(text);
    rejoin_buffer_add(out, text, keep);
    if (keep > 0 && text[keep - 1] != ' ')
        rejoin_buffer_text(out, " ");
    rejoin_buffer_format(out, "%s%s\n", wanted, end < strlen(text) ? text + end : "");
}

char *scn_rewrite(const struct scn_run *run)
{
    bool any = false;
    for (int i = 0; i < 64; i++)
        any = any || run->rewritten[i] != NULL;
    if (!any)
        return NULL;
    struct rejoin_buffer out = {0};
    for (int line = 1; line <= run->scenario->line_count; line++)
        rewrite_line(run, line, &out);
    rejoin_buffer_add(&out, "", 1);
    return (char *)out.data;
}
