#include "suite/expectations.h"

#include "support/memory.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expectation {
    const char *id, *contains, *reason, *expires;
    enum suite_result result;
    bool passed;
    char passed_id[96];
};

struct expectations {
    json_t *root;
    struct expectation *items;
    size_t count;
};

static bool result_by_name(const char *name, enum suite_result *result)
{
    for (int i = 0; i < SUITE_RESULT_COUNT; i++)
        if (strcmp(name, suite_result_name((enum suite_result)i)) == 0) {
            *result = (enum suite_result)i;
            return true;
        }
    return false;
}

static bool is_date(const char *text)
{
    static const char pattern[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof(pattern); i++)
        if (pattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i])
            return false;
    return true;
}

/* NULL: fine; else what is wrong with the entry. */
static const char *read_entry(json_t *entry, struct expectation *out)
{
    static const char *const keys[] = {"id", "result", "contains", "reason", "url", "expires"};
    const char *key;
    json_t *value;
    if (!json_is_object(entry))
        return "expected an object";
    json_object_foreach(entry, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            known |= strcmp(key, keys[i]) == 0;
        if (!known)
            return "unknown key; expected id, result, contains, reason, url, expires";
        if (!json_is_string(value))
            return "expected a string for every key";
    }
    const char *result = json_string_value(json_object_get(entry, "result"));
    *out = (struct expectation){.id = json_string_value(json_object_get(entry, "id")),
                                .contains = json_string_value(json_object_get(entry, "contains")),
                                .reason = json_string_value(json_object_get(entry, "reason")),
                                .expires = json_string_value(json_object_get(entry, "expires"))};
    if (out->id == NULL || result == NULL || out->reason == NULL)
        return "id, result and reason are required";
    if (!result_by_name(result, &out->result))
        return "result: expected one of FAIL, WARN, CRASH, HANG, UNSUPPORTED, INCONCLUSIVE, ...";
    if (out->expires != NULL && !is_date(out->expires))
        return "expires: expected YYYY-MM-DD";
    return NULL;
}

struct expectations *expectations_read(const char *path, char *error, size_t error_len)
{
    json_error_t fault;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL) {
        snprintf(error, error_len, "%s:%d:%d: %s", path, fault.line < 0 ? 0 : fault.line,
                 fault.column < 0 ? 0 : fault.column, fault.text);
        return NULL;
    }
    struct expectations *expectations = rejoin_alloc_zeroed(1, sizeof(*expectations));
    expectations->root = root;
    expectations->count = json_array_size(root);
    expectations->items = rejoin_alloc_zeroed(expectations->count, sizeof(*expectations->items));
    const char *wrong = json_is_array(root) ? NULL : "expected an array of expectations";
    size_t index = 0;
    for (; wrong == NULL && index < expectations->count; index++)
        wrong = read_entry(json_array_get(root, index), &expectations->items[index]);
    if (wrong != NULL) {
        snprintf(error, error_len, "%s: entry %zu: %s", path, index, wrong);
        expectations_free(expectations);
        return NULL;
    }
    return expectations;
}

void expectations_free(struct expectations *expectations)
{
    if (expectations == NULL)
        return;
    json_decref(expectations->root);
    free(expectations->items);
    free(expectations);
}

const char *overlay_name(enum overlay overlay)
{
    return overlay == OVERLAY_XFAIL ? "XFAIL" : overlay == OVERLAY_XPASS ? "XPASS" : NULL;
}

static bool is_expired(const struct expectation *item, const char *today)
{
    return item->expires != NULL && strcmp(item->expires, today) < 0;
}

enum overlay expectations_apply(struct expectations *expectations, const char *id,
                                const struct suite_verdict *verdict, const char *today, const char **reason)
{
    *reason = NULL;
    for (size_t i = 0; expectations != NULL && i < expectations->count; i++) {
        struct expectation *item = &expectations->items[i];
        if (fnmatch(item->id, id, 0) != 0 || is_expired(item, today))
            continue;
        bool said = item->contains == NULL || strstr(verdict->seen, item->contains) != NULL ||
                    strstr(verdict->expected, item->contains) != NULL;
        if (verdict->result == item->result && said) {
            *reason = item->reason;
            return OVERLAY_XFAIL;
        }
        if (verdict->result == SUITE_PASS || verdict->result == SUITE_PASS_LENIENT) {
            item->passed = true;
            snprintf(item->passed_id, sizeof(item->passed_id), "%s", id);
            *reason = item->reason;
            return OVERLAY_XPASS;
        }
    }
    return OVERLAY_NONE;
}

static bool names_a_case(const struct expectation *item)
{
    const struct suite_case *test;
    for (int i = 0; (test = suite_case_at(i)) != NULL; i++)
        if (fnmatch(item->id, test->id, 0) == 0)
            return true;
    return false;
}

int expectations_stale(const struct expectations *expectations, const char *today,
                       void (*stale)(void *context, const char *text), void *context)
{
    int count = 0;
    for (size_t i = 0; expectations != NULL && i < expectations->count; i++) {
        const struct expectation *item = &expectations->items[i];
        char text[320] = "";
        if (is_expired(item, today))
            snprintf(text, sizeof(text), "the expectation for %s expired on %s", item->id, item->expires);
        else if (!names_a_case(item))
            snprintf(text, sizeof(text), "the expectation for %s names no case", item->id);
        else if (item->passed)
            snprintf(text, sizeof(text), "%s is fine now: the expectation for %s can go", item->passed_id, item->id);
        if (text[0] == '\0')
            continue;
        count++;
        stale(context, text);
    }
    return count;
}
