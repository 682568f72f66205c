/* Whether an answer is what a scenario expects. */
#include "scenario/run.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Finding things in an answer --------------------------------------------------------------------------------- */

/* The only element of the answer's only list of structures: groups.0 of DescribeGroups. */
static bool descend(const struct rj_schema_struct **within, json_t **value, int16_t version)
{
    for (uint32_t i = 0; i < (*within)->field_count; i++) {
        const struct rj_schema_field *field = &(*within)->fields[i];
        json_t *list = json_object_get(*value, field->name);
        if (field->type != RJ_TYPE_STRUCT || !rj_in_range(field->versions, version) || json_array_size(list) != 1)
            continue;
        *within = field->element;
        *value = json_array_get(list, 0);
        return true;
    }
    return false;
}

static bool walk(const struct rj_schema_struct *within, int16_t version, json_t *value, const char *path,
                 struct scn_place *place)
{
    char name[100];
    bool is_time;
    const struct rj_schema_field *field = NULL;
    for (const char *at = path; at != NULL;) {
        size_t len = strcspn(at, ".");
        if (len == 0 || len >= sizeof(name))
            return false;
        memcpy(name, at, len);
        name[len] = 0;
        at = at[len] == '.' ? at + len + 1 : NULL;
        if (json_is_array(value)) {
            char *end;
            value = json_array_get(value, strtoul(name, &end, 10));
            if (*end != 0 || value == NULL)
                return false;
            continue;
        }
        if (within == NULL)
            return false;
        field = scn_find_field(within, scn_long_name(name, within, version, &is_time), version);
        value = field ? json_object_get(value, field->name) : NULL;
        if (value == NULL)
            return false;
        within = field->element;
    }
    *place = (struct scn_place){value, field};
    return true;
}

bool scn_find_place(const struct scn_exchange *exchange, const char *path, struct scn_place *place)
{
    const struct rj_schema_struct *within = rj_response_schema(exchange->api_key)->root;
    json_t *value = exchange->body;
    if (walk(within, exchange->version, value, path, place))
        return true;
    return descend(&within, &value, exchange->version) && walk(within, exchange->version, value, path, place);
}

json_t *scn_topics(const struct scn_exchange *exchange)
{
    struct scn_place place;
    return scn_find_place(exchange, "topics", &place) ? place.value : NULL;
}

json_t *scn_find_partition(const struct scn_run *run, const struct scn_exchange *exchange, const char *topic,
                           int32_t partition)
{
    json_t *one, *entry, *id = json_object_get(run->names, topic);
    size_t i, k;
    json_array_foreach (scn_topics(exchange), i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        bool here = name ? strcmp(name, topic) == 0 : id != NULL && json_equal(json_object_get(one, "topicId"), id);
        json_array_foreach (json_object_get(one, "partitions"), k, entry)
            if (here && json_integer_value(json_object_get(entry, "partitionIndex")) == partition)
                return entry;
    }
    return NULL;
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/* Calls see for each error code below a value. */
static void each_error(const json_t *value, void (*see)(void *context, int16_t code), void *context)
{
    const char *name;
    json_t *inner;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)value, name, inner) {
        if (strcmp(name, "errorCode") == 0)
            see(context, (int16_t)json_integer_value(inner));
        each_error(inner, see, context);
    }
    json_array_foreach (value, i, inner)
        each_error(inner, see, context);
}

struct errors { int count; int16_t first; bool differ; };

static void collect_error(void *context, int16_t code)
{
    struct errors *errors = context;
    errors->differ = errors->differ || (errors->count > 0 && errors->first != code);
    if (errors->count++ == 0)
        errors->first = code;
}

bool scn_main_error(const struct scn_exchange *exchange, int16_t *code)
{
    const json_t *top = json_object_get(exchange->body, "errorCode");
    *code = (int16_t)json_integer_value(top);
    if (top != NULL && *code != 0)
        return true;
    struct errors errors = {.count = 0};
    each_error(exchange->body, collect_error, &errors);
    if (top == NULL)
        *code = errors.first;
    return !errors.differ;
}

static bool match_error(const struct scn_exchange *exchange, const char *name, char *why, size_t why_len)
{
    int16_t code, found = 0;
    if (!scn_error_by_name(name, &code)) {
        snprintf(why, why_len, "expected '%s', which is no error of Kafka's and no other form of an expectation", name);
        return false;
    }
    bool same = scn_main_error(exchange, &found);
    if (same && found == code)
        return true;
    const char *found_name = rj_kafka_error_name(found);
    snprintf(why, why_len, "expected %s, found %s%s", name, found_name ? found_name : "an unknown error",
             same ? "" : " and others in parts of the answer");
    return false;
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static void say(char *why, size_t why_len, const char *path, const char *expected, const json_t *found)
{
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    snprintf(why, why_len, "%s: expected %s, found %.300s", path, expected, text ? text : "nothing");
    free(text);
}

static bool equal_value(const struct scn_run *run, const struct rj_schema_field *field, const json_t *found,
                        const char *expected)
{
    struct scn_field word = {.value = expected};
    const char *ignored = "";
    bool is_time = json_is_integer(found);
    json_t *value = scn_typed_value(run, field, &word, is_time, &ignored);
    bool same = value != NULL && json_equal(value, found);
    json_decref(value);
    return same;
}

static bool is_filled(const json_t *value)
{
    return value != NULL && !json_is_null(value) && !(json_is_string(value) && json_string_length(value) == 0)
           && !(json_is_array(value) && json_array_size(value) == 0);
}

/* A|B, *, ?name or one value. */
static bool match_value(struct scn_run *run, const struct rj_schema_field *field, json_t *found,
                        const struct scn_field *word)
{
    if (word->is_quoted) {
        const char *ignored = "";
        json_t *value = scn_typed_value(run, field, word, false, &ignored);
        bool same = value != NULL && json_equal(value, found);
        json_decref(value);
        return same;
    }
    if (strcmp(word->value, "*") == 0)
        return is_filled(found);
    if (word->value[0] == '?')
        return json_object_set(run->names, word->value + 1, found) == 0;
    char *text = rejoin_strdup(word->value);
    bool same = false;
    for (char *at = text; at != NULL && !same;) {
        char *rest = scn_cut_piece(at, '|');
        same = equal_value(run, field, found, at);
        at = rest;
    }
    free(text);
    return same;
}

static bool match_field(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_field *word,
                        char *why, size_t why_len)
{
    struct scn_place place;
    if (!scn_find_place(exchange, word->name, &place)) {
        snprintf(why, why_len, "expected the field %s, which this answer does not have", word->name);
        return false;
    }
    if (match_value(run, place.field, place.value, word))
        return true;
    say(why, why_len, word->name, word->value, place.value);
    return false;
}

static bool match_json(const json_t *found, const json_t *expected)
{
    const char *name;
    json_t *inner;
    size_t i;
    if (json_is_object(expected)) {
        json_object_foreach ((json_t *)(uintptr_t)expected, name, inner)
            if (!match_json(json_object_get(found, name), inner))
                return false;
        return json_is_object(found);
    }
    if (!json_is_array(expected))
        return found != NULL && json_equal(found, expected);
    if (json_array_size(found) != json_array_size(expected))
        return false;
    json_array_foreach (expected, i, inner)
        if (!match_json(json_array_get(found, i), inner))
            return false;
    return true;
}

/* ---- Lists of members and groups --------------------------------------------------------------------------------- */

static bool has_text(const json_t *element, const char *key, const json_t *value)
{
    const json_t *found = json_object_get(element, key);
    return value != NULL && found != NULL && json_equal(found, value);
}

/* ID[/INSTANCE]:ERROR of LeaveGroup. */
static bool match_left_member(const struct scn_run *run, const json_t *element, char *piece)
{
    char *error = scn_cut_piece(piece, ':'), *instance = scn_cut_piece(piece, '/');
    int16_t code = 0;
    json_t *id = scn_text_value(run, piece), *with = instance ? scn_text_value(run, instance) : json_null();
    bool same = (strcmp(piece, "*") == 0 || has_text(element, "memberId", id)) && has_text(element, "groupInstanceId", with)
                && (error == NULL || scn_error_by_name(error, &code))
                && json_integer_value(json_object_get(element, "errorCode")) == code;
    json_decref(id);
    json_decref(with);
    return same;
}

/* ID of a member, or GROUP or GROUP:STATE. */
static bool match_element(const struct scn_run *run, const json_t *element, const char *key, char *piece)
{
    char *state = scn_cut_piece(piece, ':');
    json_t *id = scn_text_value(run, piece);
    const char *found = json_string_value(json_object_get(element, "groupState"));
    bool same = (strcmp(piece, "*") == 0 || has_text(element, key, id)) && (state == NULL || (found != NULL && strcmp(found, state) == 0));
    json_decref(id);
    return same;
}

static bool match_list(const struct scn_run *run, const struct scn_exchange *exchange, const struct scn_field *word,
                       char *why, size_t why_len)
{
    struct scn_place place;
    const char *key = strcmp(word->name, "groups") == 0 ? "groupId" : "memberId";
    bool found = scn_find_place(exchange, word->name, &place);
    size_t count = found ? json_array_size(place.value) : 0, pieces = 0, matched = 0;
    bool ordered = exchange->api_key == 13;
    const char *at = word->value;
    for (char *piece; *word->value != 0 && (piece = scn_next_piece(&at)) != NULL; free(piece), pieces++)
        for (size_t i = ordered ? pieces : 0; i < (ordered ? pieces + 1 : count); i++) {
            char *copy = rejoin_strdup(piece);
            const json_t *element = json_array_get(place.value, i);
            bool same = ordered ? match_left_member(run, element, copy) : match_element(run, element, key, copy);
            free(copy);
            if (same) {
                matched++;
                break;
            }
        }
    if (found && pieces == count && matched == count)
        return true;
    say(why, why_len, word->name, word->value, found ? place.value : NULL);
    return false;
}

/* ---- Partitions and groups --------------------------------------------------------------------------------------- */

static bool match_offset(const struct scn_run *run, const json_t *entry, const char *expected)
{
    char *text = rejoin_strdup(expected), *metadata = scn_cut_piece(text, ':'), *end;
    long long offset = strcmp(text, "none") == 0 ? -1 : strtoll(text, &end, 10);
    bool number = strcmp(text, "none") == 0 || *end == 0;
    json_t *kept = metadata ? scn_text_value(run, metadata) : NULL;
    bool same = number && json_integer_value(json_object_get(entry, "committedOffset")) == offset
                && json_integer_value(json_object_get(entry, "errorCode")) == 0
                && (metadata == NULL || (kept != NULL && json_equal(json_object_get(entry, "metadata"), kept)));
    json_decref(kept);
    free(text);
    return same;
}

static bool match_partition(const struct scn_run *run, const struct scn_exchange *exchange,
                            const struct scn_field *word, const char *topic, int32_t partition, char *why,
                            size_t why_len)
{
    const json_t *entry = scn_find_partition(run, exchange, topic, partition);
    int16_t code;
    bool same = entry != NULL;
    if (same && scn_error_by_name(word->value, &code))
        same = json_integer_value(json_object_get(entry, "errorCode")) == code;
    else if (same)
        same = match_offset(run, entry, word->value);
    if (!same)
        say(why, why_len, word->name, word->value, entry);
    return same;
}

/* The element of DeleteGroups' or DescribeGroups' answer; NULL: none. */
static const json_t *find_group(const struct scn_exchange *exchange, const char *name)
{
    const json_t *list = json_object_get(exchange->body, "results"), *one;
    size_t i;
    list = list ? list : json_object_get(exchange->body, "groups");
    json_array_foreach (list, i, one) {
        const char *id = json_string_value(json_object_get(one, "groupId"));
        if (id != NULL && strcmp(id, name) == 0)
            return one;
    }
    return NULL;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static bool match_word(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_field *word,
                       char *why, size_t why_len)
{
    char topic[300];
    int32_t partition;
    int16_t code;
    if (word->json != NULL) {
        const char *missing = NULL;
        json_t *expected = scn_substitute(run, word->json, &missing);
        bool same = missing == NULL && match_json(exchange->body, expected);
        json_decref(expected);
        if (!same)
            say(why, why_len, "the answer", missing ? missing : "that JSON", exchange->body);
        return same;
    }
    if (word->name == NULL)
        return match_error(exchange, word->value, why, why_len);
    if (!word->is_quoted && (strcmp(word->name, "members") == 0 || strcmp(word->name, "groups") == 0))
        return match_list(run, exchange, word, why, why_len);
    if (scn_topics(exchange) != NULL && scn_split_partition(word->name, topic, sizeof(topic), &partition))
        return match_partition(run, exchange, word, topic, partition, why, why_len);
    const json_t *group = find_group(exchange, word->name);
    if (group != NULL && scn_error_by_name(word->value, &code)) {
        bool same = json_integer_value(json_object_get(group, "errorCode")) == code;
        if (!same)
            say(why, why_len, word->name, word->value, group);
        return same;
    }
    return match_field(run, exchange, word, why, why_len);
}

bool scn_matches(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect, char *why,
                 size_t why_len)
{
    if (expect->kind == SCN_EXPECT_CLOSED) {
        snprintf(why, why_len, "expected the connection to be closed, found an answer");
        return exchange->closed;
    }
    if (exchange->closed) {
        snprintf(why, why_len, "expected an answer, but the connection was closed");
        return false;
    }
    for (int i = 0; i < expect->fields.count; i++)
        if (!match_word(run, exchange, &expect->fields.items[i], why, why_len))
            return false;
    if (expect->rule == RJ_RULE_NONE || !exchange->knows_rule || exchange->rule == expect->rule)
        return true;
    snprintf(why, why_len, "expected rule %s, found %s", rj_rule_row(expect->rule)->id,
             exchange->rule ? rj_rule_row(exchange->rule)->id : "no rule");
    return false;
}
