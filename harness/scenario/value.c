/* Words of a scenario as values in JSON. */
#include "scenario/run.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

static const char *piece_end(const char *at, char separator)
{
    for (bool quoted = false; *at != 0; at++) {
        if (quoted && *at == '\\' && at[1] != 0)
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == separator && !quoted)
            break;
    }
    return at;
}

char *scn_next_piece(const char **at)
{
    if (*at == NULL)
        return NULL;
    const char *end = piece_end(*at, ',');
    char *piece = rejoin_alloc((size_t)(end - *at) + 1);
    memcpy(piece, *at, (size_t)(end - *at));
    piece[end - *at] = 0;
    *at = *end == ',' ? end + 1 : NULL;
    return piece;
}

char *scn_cut_piece(char *piece, char separator)
{
    char *end = piece + (piece_end(piece, separator) - piece);
    if (*end == 0)
        return NULL;
    *end = 0;
    return end + 1;
}

/* ---- Single values ----------------------------------------------------------------------------------------------- */

json_t *scn_text_value(const struct scn_run *run, const char *text)
{
    if (text[0] == '"')
        return json_loads(text, JSON_DECODE_ANY, NULL);
    if (strcmp(text, "null") == 0)
        return json_null();
    if (text[0] == '$')
        return json_incref(json_object_get(run->names, text + 1));
    return json_string(text);
}

json_t *scn_base64(const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = bytes;
    char *text = rejoin_alloc((len + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)from[i] << 16 | (i + 1 < len ? (uint32_t)from[i + 1] << 8 : 0)
                         | (i + 2 < len ? from[i + 2] : 0);
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
        *to++ = i + 2 < len ? digits[group & 63] : '=';
    }
    *to = 0;
    json_t *value = json_string(text);
    free(text);
    return value;
}

static json_t *hex_value(const char *digits)
{
    size_t len = strlen(digits) / 2;
    uint8_t *bytes = rejoin_alloc(len + 1);
    bool ok = strlen(digits) % 2 == 0;
    for (size_t i = 0; i < len && ok; i++) {
        unsigned value = 0;
        ok = sscanf(digits + 2 * i, "%2x", &value) == 1;
        bytes[i] = (uint8_t)value;
    }
    json_t *result = ok ? scn_base64(bytes, len) : NULL;
    free(bytes);
    return result;
}

json_t *scn_bytes_value(const struct scn_run *run, const char *text)
{
    if (text[0] == '0' && text[1] == 'x')
        return hex_value(text + 2);
    json_t *value = scn_text_value(run, text);
    if (text[0] == '$' || !json_is_string(value))
        return value;
    json_t *bytes = scn_base64(json_string_value(value), json_string_length(value));
    json_decref(value);
    return bytes;
}

static json_t *number_value(const char *text, bool is_time, bool is_error)
{
    int16_t code;
    if (is_error && scn_error_by_name(text, &code))
        return json_integer(code);
    if (is_time && scn_time_ms(text) >= 0)
        return json_integer(scn_time_ms(text));
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return *text != 0 && *end == 0 && errno == 0 ? json_integer(number) : NULL;
}

static json_t *scalar_value(const struct scn_run *run, const struct rj_schema_field *field, const char *text,
                            bool is_time, const char **expected)
{
    if (text[0] == '$') {
        *expected = "the name of an actor, a topic, or one that ?NAME took before";
        return scn_text_value(run, text);
    }
    size_t name_len = strlen(field->name);
    bool is_error = name_len >= 9 && strcmp(field->name + name_len - 8, "rrorCode") == 0;
    is_error = is_error || strcmp(field->name, "errorCode") == 0;
    switch (field->type) {
    case RJ_TYPE_STRING: *expected = "a string"; return scn_text_value(run, text);
    case RJ_TYPE_UUID: *expected = "an id"; return scn_text_value(run, text);
    case RJ_TYPE_BYTES: *expected = "text or 0x and hex digits"; return scn_bytes_value(run, text);
    case RJ_TYPE_BOOL:
        *expected = "true or false";
        return strcmp(text, "true") == 0 ? json_true() : strcmp(text, "false") == 0 ? json_false() : NULL;
    case RJ_TYPE_STRUCT:
    case RJ_TYPE_RECORDS:
    case RJ_TYPE_FLOAT64: *expected = "{JSON} for this field"; return NULL;
    default:
        *expected = is_time ? "a time or a number" : is_error ? "a number or the name of an error" : "a number";
        return number_value(text, is_time, is_error);
    }
}

json_t *scn_typed_value(const struct scn_run *run, const struct rj_schema_field *field, const struct scn_field *from,
                        bool is_time, const char **expected)
{
    if (from->is_quoted && field->type == RJ_TYPE_BYTES)
        return scn_base64(from->value, strlen(from->value));
    if (from->is_quoted && (field->flags & RJ_FIELD_ARRAY) == 0)
        return field->type == RJ_TYPE_STRING ? json_string(from->value)
                                             : scalar_value(run, field, from->value, is_time, expected);
    if ((field->flags & RJ_FIELD_ARRAY) == 0)
        return scalar_value(run, field, from->value, is_time, expected);
    if (strcmp(from->value, "null") == 0)
        return json_null();
    json_t *list = json_array();
    const char *at = from->value;
    for (char *piece; *from->value != 0 && (piece = scn_next_piece(&at)) != NULL; free(piece)) {
        json_t *one = scalar_value(run, field, piece, is_time, expected);
        if (one != NULL) {
            json_array_append_new(list, one);
            continue;
        }
        free(piece);
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *scn_substitute(const struct scn_run *run, const json_t *value, const char **missing)
{
    const char *text = json_string_value(value);
    if (text != NULL && text[0] == '$') {
        json_t *named = json_object_get(run->names, text + 1);
        *missing = named ? *missing : text;
        return named ? json_incref(named) : NULL;
    }
    if (!json_is_object(value) && !json_is_array(value))
        return json_deep_copy(value);
    json_t *copy = json_is_object(value) ? json_object() : json_array();
    const char *name;
    json_t *inner;
    size_t i;
    json_object_foreach ((json_t *)(uintptr_t)value, name, inner)
        json_object_set_new(copy, name, scn_substitute(run, inner, missing));
    json_array_foreach (value, i, inner)
        json_array_append_new(copy, scn_substitute(run, inner, missing));
    return copy;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

const struct rj_schema_field *scn_find_field(const struct rj_schema_struct *within, const char *name, int16_t version)
{
    for (uint32_t i = 0; i < within->field_count; i++)
        if (strcmp(within->fields[i].name, name) == 0 && rj_in_range(within->fields[i].versions, version))
            return &within->fields[i];
    return NULL;
}

static const struct { const char *name, *kafkas; bool is_time; } short_names[] = {
    {"group", "groupId", false}, {"member", "memberId", false}, {"instance", "groupInstanceId", false},
    {"generation", "generationId", false}, {"generation", "generationIdOrMemberEpoch", false},
    {"type", "protocolType", false}, {"protocol", "protocolName", false}, {"protocol", "protocolData", false},
    {"session", "sessionTimeoutMs", true}, {"rebalance", "rebalanceTimeoutMs", true}, {"state", "groupState", false},
    {"error", "errorCode", false}, {"stable", "requireStable", false}, {"retention", "retentionTimeMs", true},
    {"producer", "producerId", false}, {"epoch", "producerEpoch", false}, {"txn", "transactionalId", false},
};

const char *scn_long_name(const char *name, const struct rj_schema_struct *within, int16_t version, bool *is_time)
{
    *is_time = false;
    for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++)
        if (strcmp(short_names[i].name, name) == 0 && scn_find_field(within, short_names[i].kafkas, version) != NULL) {
            *is_time = short_names[i].is_time;
            return short_names[i].kafkas;
        }
    return name;
}
