/* Faults from a JSON file: rules that match requests and say what to do with them. */
#include "mock/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault_rule {
    int32_t api_key, version, broker_id; /* -1: any */
    char *group, *client_id, *member;    /* NULL: any; a '*' at the end of member: any that begins so */
    int32_t nth, from, count;            /* 0: not given */
    int32_t matched_count;
    struct mock_verdict verdict;
};

struct mock_faults { struct fault_rule *rules; int32_t count; };

static const struct { const char *name; enum mock_action action; } action_names[] = {
    {"pass", MOCK_PASS}, {"answer-error", MOCK_ANSWER_ERROR}, {"delay-request", MOCK_DELAY_REQUEST},
    {"delay-answer", MOCK_DELAY_ANSWER}, {"hold-request", MOCK_HOLD_REQUEST}, {"hold-answer", MOCK_HOLD_ANSWER},
    {"drop-request", MOCK_DROP_REQUEST}, {"drop-answer", MOCK_DROP_ANSWER},
    {"disconnect-before", MOCK_DISCONNECT_BEFORE}, {"disconnect-after", MOCK_DISCONNECT_AFTER},
    {"cut-answer", MOCK_CUT_ANSWER},
};

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool read_number(const json_t *object, const char *key, int32_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX)
        return false;
    *out = (int32_t)json_integer_value(value);
    return true;
}

static bool read_text(const json_t *object, const char *key, char **out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return false;
    *out = rejoin_strdup(json_string_value(value));
    return true;
}

static bool read_api(const json_t *match, int32_t *api_key)
{
    const json_t *value = json_object_get(match, "api");
    if (!json_is_string(value))
        return read_number(match, "api", api_key);
    for (int16_t key = 0; key < 128; key++) {
        const char *name = rj_api_name(key);
        if (name != NULL && strcmp(name, json_string_value(value)) == 0) {
            *api_key = key;
            return true;
        }
    }
    return false;
}

static bool read_error(const json_t *what, int16_t *error_code)
{
    const json_t *value = json_object_get(what, "error");
    if (value == NULL)
        return true;
    if (json_is_integer(value)) {
        *error_code = (int16_t)json_integer_value(value);
        return true;
    }
    for (int16_t code = -1; json_is_string(value) && code < 1000; code++) {
        const char *name = rj_kafka_error_name(code);
        if (name != NULL && strcmp(name, json_string_value(value)) == 0) {
            *error_code = code;
            return true;
        }
    }
    return false;
}

static bool read_action(const json_t *what, enum mock_action *action)
{
    const char *name = json_string_value(json_object_get(what, "action"));
    for (size_t i = 0; name != NULL && i < sizeof(action_names) / sizeof(action_names[0]); i++)
        if (strcmp(action_names[i].name, name) == 0) {
            *action = action_names[i].action;
            return true;
        }
    return false;
}

/* The first key that is not among the known ones; NULL: all are. */
static const char *unknown_key(json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        int i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        if (known[i] == NULL)
            return key;
    }
    return NULL;
}

/* What is expected where it is wrong; NULL: the rule is read. */
static const char *read_rule(json_t *entry, struct fault_rule *rule)
{
    static const char *const entry_keys[] = {"match", "do", NULL};
    static const char *const match_keys[] = {"api", "version", "group", "client_id", "member", "broker", "nth", "from",
                                             "count", NULL};
    static const char *const do_keys[] = {"action", "error", "delay_ms", "cut_len", "hold_id", NULL};
    json_t *match = json_object_get(entry, "match"), *what = json_object_get(entry, "do");
    int32_t cut_len = 0, hold_id = 0;
    *rule = (struct fault_rule){.api_key = -1, .version = -1, .broker_id = -1};
    if (!json_is_object(what) || (match != NULL && !json_is_object(match)))
        return "an object {\"match\": {...}, \"do\": {...}}";
    if (unknown_key(entry, entry_keys) != NULL)
        return "no other keys than match and do";
    if (match != NULL && unknown_key(match, match_keys) != NULL)
        return "in match only api, version, group, client_id, member, broker, nth, from, count";
    if (unknown_key(what, do_keys) != NULL)
        return "in do only action, error, delay_ms, cut_len, hold_id";
    if (!read_api(match, &rule->api_key))
        return "match.api: the name of an API (\"JoinGroup\") or its key";
    if (!read_number(match, "version", &rule->version) || !read_number(match, "broker", &rule->broker_id) ||
        !read_number(match, "nth", &rule->nth) || !read_number(match, "from", &rule->from) ||
        !read_number(match, "count", &rule->count))
        return "match.version, broker, nth, from, count: whole numbers from 0";
    if (!read_text(match, "group", &rule->group) || !read_text(match, "client_id", &rule->client_id) ||
        !read_text(match, "member", &rule->member))
        return "match.group, client_id, member: strings";
    if (!read_action(what, &rule->verdict.action))
        return "do.action: pass, answer-error, delay-request, delay-answer, hold-request, hold-answer, drop-request, "
               "drop-answer, disconnect-before, disconnect-after or cut-answer";
    if (!read_error(what, &rule->verdict.error_code))
        return "do.error: one of Kafka's error codes or its name (\"NOT_COORDINATOR\")";
    if (rule->verdict.action == MOCK_ANSWER_ERROR && json_object_get(what, "error") == NULL)
        return "do.error with the action answer-error";
    if (!read_number(what, "delay_ms", &rule->verdict.delay_ms) || !read_number(what, "cut_len", &cut_len) ||
        !read_number(what, "hold_id", &hold_id))
        return "do.delay_ms, cut_len, hold_id: whole numbers from 0";
    rule->verdict.cut_len = (uint32_t)cut_len;
    rule->verdict.hold_id = (uint64_t)hold_id;
    return NULL;
}

/* jansson keeps no places: the entry's line is found again by counting objects at the top of the list. */
static void place_of_entry(const char *text, size_t text_len, size_t entry, int *line, int *column)
{
    int depth = 0, at_line = 1, at_column = 0;
    bool in_string = false;
    size_t found = 0;
    for (size_t i = 0; i < text_len; i++) {
        at_column++;
        if (text[i] == '\n') {
            at_line++;
            at_column = 0;
        } else if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) {
            in_string = !in_string;
        } else if (!in_string && (text[i] == '{' || text[i] == '[')) {
            if (depth++ == 1 && found++ == entry)
                break;
        } else if (!in_string && (text[i] == '}' || text[i] == ']')) {
            depth--;
        }
    }
    *line = at_line;
    *column = at_column;
}

struct mock_faults *mock_faults_parse(const char *name, const char *text, size_t text_len, char *error,
                                      size_t error_len)
{
    json_error_t problem;
    json_t *root = json_loadb(text, text_len, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL || !json_is_array(root)) {
        snprintf(error, error_len, "%s:%d:%d: %s", name, root ? 1 : problem.line, root ? 1 : problem.column,
                 root ? "expected a list [{\"match\": ..., \"do\": ...}, ...]" : problem.text);
        json_decref(root);
        return NULL;
    }
    struct mock_faults *faults = rejoin_alloc_zeroed(1, sizeof(*faults));
    faults->rules = rejoin_alloc_zeroed(json_array_size(root), sizeof(*faults->rules));
    for (size_t i = 0; i < json_array_size(root); i++) {
        const char *expected = read_rule(json_array_get(root, i), &faults->rules[faults->count++]);
        if (expected != NULL) {
            int line, column;
            place_of_entry(text, text_len, i, &line, &column);
            snprintf(error, error_len, "%s:%d:%d: expected %s", name, line, column, expected);
            mock_faults_free(faults);
            json_decref(root);
            return NULL;
        }
    }
    json_decref(root);
    return faults;
}

struct mock_faults *mock_faults_read(const char *path, char *error, size_t error_len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(error, error_len, "%s: cannot be read: %m", path);
        return NULL;
    }
    char *text = NULL;
    size_t len = 0, got = 1;
    while (got > 0) {
        text = rejoin_realloc(text, len + 65536);
        got = fread(text + len, 1, 65536, file);
        len += got;
    }
    fclose(file);
    struct mock_faults *faults = mock_faults_parse(path, text, len, error, error_len);
    free(text);
    return faults;
}

void mock_faults_free(struct mock_faults *faults)
{
    if (faults == NULL)
        return;
    for (int32_t i = 0; i < faults->count; i++) {
        free(faults->rules[i].group);
        free(faults->rules[i].client_id);
        free(faults->rules[i].member);
    }
    free(faults->rules);
    free(faults);
}

/* ---- Matching ---------------------------------------------------------------------------------------------------- */

/* The string field of that name at the top of the request, or of its first group; null: it has none. */
static struct rj_string request_text(const struct mock_frame *frame, const char *name)
{
    const struct rj_schema_struct *root = frame->schema->root;
    for (uint32_t i = 0; frame->body != NULL && i < root->field_count; i++) {
        const struct rj_schema_field *field = &root->fields[i];
        if (field->type == RJ_TYPE_STRING && !(field->flags & RJ_FIELD_ARRAY) && strcmp(field->c_name, name) == 0 &&
            rj_in_range(field->versions, frame->version))
            return *(const struct rj_string *)(const void *)((const char *)frame->body + field->offset);
    }
    return RJ_NULL_STRING;
}

static struct rj_string first_of(const struct rj_string_array *strings)
{
    return strings->count > 0 ? strings->items[0] : RJ_NULL_STRING;
}

static struct rj_string request_group(const struct mock_frame *frame)
{
    const void *body = frame->body;
    switch (frame->api_key) {
    case 9:
        if (frame->version >= 8) {
            const struct rj_offset_fetch_request *fetch = body;
            return fetch->groups.count > 0 ? fetch->groups.items[0].group_id : RJ_NULL_STRING;
        }
        break;
    case 10: {
        const struct rj_find_coordinator_request *find = body;
        return frame->version >= 4 ? first_of(&find->coordinator_keys) : find->key;
    }
    case 15: return first_of(&((const struct rj_describe_groups_request *)body)->groups);
    case 42: return first_of(&((const struct rj_delete_groups_request *)body)->groups_names);
    default: break;
    }
    return request_text(frame, "group_id");
}

/* In wanted a ? stands for any byte, and a * at its end for any rest. */
static bool text_matches(const char *wanted, struct rj_string found)
{
    if (wanted == NULL)
        return true;
    if (found.data == NULL)
        return false;
    size_t len = strlen(wanted), found_len = (size_t)found.len;
    bool any_rest = len > 0 && wanted[len - 1] == '*';
    len -= any_rest;
    if (any_rest ? found_len < len : found_len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (wanted[i] != '?' && wanted[i] != found.data[i])
            return false;
    return true;
}

static bool rule_matches(const struct fault_rule *rule, const struct mock_frame *frame)
{
    return (rule->api_key < 0 || rule->api_key == frame->api_key) &&
           (rule->version < 0 || rule->version == frame->version) &&
           (rule->broker_id < 0 || rule->broker_id == frame->broker_id) &&
           text_matches(rule->client_id, frame->client_id) &&
           (rule->group == NULL || text_matches(rule->group, request_group(frame))) &&
           (rule->member == NULL || text_matches(rule->member, request_text(frame, "member_id")));
}

bool mock_faults_judge(struct mock_faults *faults, const struct mock_frame *request, struct mock_verdict *verdict)
{
    for (int32_t i = 0; i < faults->count; i++) {
        struct fault_rule *rule = &faults->rules[i];
        if (!rule_matches(rule, request))
            continue;
        int32_t at = ++rule->matched_count;
        int32_t from = rule->from > 0 ? rule->from : 1;
        bool applies = rule->nth > 0 ? at == rule->nth
                                     : at >= from && (rule->count == 0 || at < from + rule->count);
        if (applies) {
            *verdict = rule->verdict;
            return true;
        }
    }
    return false;
}
