/* Counting judgements and wording breaches. */
#include "check/state.h"

#include <stdarg.h>
#include <string.h>

struct text { char *out; size_t len, used; };

static void put(struct text *text, const char *from, size_t len)
{
    size_t room = text->len - 1 - text->used;
    if (len > room)
        len = room;
    memcpy(text->out + text->used, from, len);
    text->used += len;
    text->out[text->used] = 0;
}

static void put_number(struct text *text, int64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        put(text, "-", 1);
    put(text, digits + at, sizeof(digits) - at);
}

static void put_string(struct text *text, struct rj_string string)
{
    put(text, "'", 1);
    put(text, string.len > 0 ? string.data : "", (size_t)string.len);
    put(text, "'", 1);
}

static void word(char *out, size_t len, const char *format, va_list arguments)
{
    struct text text = {out, len, 0};
    out[0] = 0;
    for (const char *at = format; *at != 0; at++) {
        if (*at != '%') {
            put(&text, at, 1);
            continue;
        }
        at++;
        if (*at == 's') {
            const char *string = va_arg(arguments, const char *);
            put(&text, string, strlen(string));
        } else if (*at == 'v') {
            put_string(&text, va_arg(arguments, struct rj_string));
        } else if (*at == 'd') {
            put_number(&text, va_arg(arguments, int));
        } else {
            put_number(&text, va_arg(arguments, int64_t));
        }
    }
}

bool rj_judged(struct rj_checker *checker, enum rj_rule rule, bool holds)
{
    checker->judged[rule]++;
    return holds;
}

struct rj_violation *rj_report(struct rj_checker *checker, const struct finding *finding, const char *sentence, ...)
{
    if (checker->violations.count >= checker->config.violation_limit) {
        checker->dropped++;
        return NULL;
    }
    struct rj_violation *violation = rj_list_add(checker, &checker->violations, sizeof(*violation));
    if (violation == NULL)
        return NULL;
    violation->rule = finding->rule;
    violation->group = finding->group ? finding->group->id : RJ_EMPTY_STRING;
    violation->member = finding->member ? finding->member->id : finding->member_id;
    violation->client_id = finding->client_id;
    violation->stream = finding->stream;
    violation->time_ms = finding->time_ms;
    const uint64_t frames[] = {finding->frame, finding->other_frame, finding->third_frame};
    for (int i = 0; i < 3; i++)
        if (frames[i] != 0)
            violation->frames[violation->frame_count++] = frames[i];
    va_list arguments;
    va_start(arguments, sentence);
    word(violation->sentence, sizeof(violation->sentence), sentence, arguments);
    va_end(arguments);
    return violation;
}

void rj_expected(struct rj_violation *violation, const char *text, ...)
{
    if (violation == NULL)
        return;
    va_list arguments;
    va_start(arguments, text);
    word(violation->expected, sizeof(violation->expected), text, arguments);
    va_end(arguments);
}

uint64_t rj_check_judged(const struct rj_checker *checker, enum rj_rule rule)
{
    return rule > RJ_RULE_NONE && rule < RJ_RULE_COUNT ? checker->judged[rule] : 0;
}

int32_t rj_check_violation_count(const struct rj_checker *checker) { return checker->violations.count; }

const struct rj_violation *rj_check_violation(const struct rj_checker *checker, int32_t index)
{
    return LIST_AT(&checker->violations, struct rj_violation, index);
}

uint64_t rj_check_violations_dropped(const struct rj_checker *checker) { return checker->dropped; }

static const struct group *known_group(const struct rj_checker *checker, struct rj_string id)
{
    for (int32_t i = 0; i < checker->groups.count; i++)
        if (rj_string_equal((*LIST_AT(&checker->groups, struct group *, i))->id, id))
            return *LIST_AT(&checker->groups, struct group *, i);
    return NULL;
}

bool rj_check_group_complete(const struct rj_checker *checker, struct rj_string id, const char **reason)
{
    const struct group *group = known_group(checker, id);
    const char *why = group == NULL ? "the group was not seen" :
                      group->missing != NULL ? group->missing :
                      !group->began ? "no generation was seen from the first JoinGroup of all its members on" : NULL;
    if (reason != NULL)
        *reason = why;
    return why == NULL;
}

bool rj_check_counts(const struct rj_checker *checker, const struct rj_violation *violation)
{
    switch (rj_rule_row(violation->rule)->strength) {
    case RJ_STRENGTH_HARD:
        return true;
    case RJ_STRENGTH_HARD_IF_COMPLETE:
        return rj_check_group_complete(checker, violation->group, NULL);
    case RJ_STRENGTH_WARNING:
    case RJ_STRENGTH_NONE:
    default:
        return false;
    }
}
