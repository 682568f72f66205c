/* What words mean: times, versions, errors, APIs; and what follows from a scenario as a whole. */
#include "scenario/scenario.h"

#include "rejoin/errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int scn_version(const char *text)
{
    int major = 0, minor = 0, patch = 0, len = 0;
    if (sscanf(text, "%2d.%2d%n", &major, &minor, &len) < 2 || major < 0 || minor < 0)
        return 0;
    if (text[len] != 0 && (sscanf(text + len, ".%2d%n", &patch, &len) < 1))
        return 0;
    return major * 100 + minor;
}

int64_t scn_time_ms(const char *text)
{
    static const struct { const char *unit; int64_t ms; } units[] = {
        {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *at = text + (*text == '+');
    int64_t whole = 0, thousandths = 0, scale = 1000;
    if (*at < '0' || *at > '9')
        return -1;
    for (; *at >= '0' && *at <= '9' && whole < 100000000; at++)
        whole = whole * 10 + (*at - '0');
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9' && scale > 1; at++)
            thousandths += (*at - '0') * (scale /= 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(at, units[i].unit) == 0)
            return whole * units[i].ms + thousandths * units[i].ms / 1000;
    return -1;
}

int16_t scn_api_by_name(const char *name)
{
    for (int16_t key = 0; key < rj_api_index_count; key++)
        if (rj_api_name(key) != NULL && rj_request_schema(key) != NULL && strcmp(rj_api_name(key), name) == 0)
            return key;
    return -1;
}

bool scn_error_by_name(const char *name, int16_t *code)
{
    for (int16_t i = -1; i < 200; i++)
        if (rj_kafka_error_name(i) != NULL && strcmp(rj_kafka_error_name(i), name) == 0) {
            *code = i;
            return true;
        }
    return false;
}

bool scn_split_partition(const char *text, char *topic, size_t topic_len, int32_t *partition)
{
    const char *dash = strrchr(text, '-');
    if (dash == NULL || dash == text || dash[1] < '0' || dash[1] > '9' || (size_t)(dash - text) >= topic_len)
        return false;
    char *end;
    long number = strtol(dash + 1, &end, 10);
    if (*end != 0 || number > 1000000)
        return false;
    memcpy(topic, text, (size_t)(dash - text));
    topic[dash - text] = 0;
    *partition = (int32_t)number;
    return true;
}

/* The highest version that Kafka 3.9 to 4.2 all advertise. */
static const struct { int16_t api_key, version; } defaults[] = {
    {1, 17}, {2, 9}, {3, 12}, {8, 9}, {9, 9}, {10, 6}, {11, 9}, {12, 4}, {13, 5}, {14, 5}, {15, 5}, {16, 5},
    {18, 4}, {19, 7}, {20, 6}, {22, 5}, {24, 5}, {25, 4}, {26, 4}, {28, 4}, {32, 4}, {37, 3}, {42, 2}, {47, 0}};

int16_t scn_step_version(const struct scenario *scenario, const struct scn_step *step)
{
    if (step->version >= 0)
        return step->version;
    if (scenario->versions[step->api_key] >= 0)
        return scenario->versions[step->api_key];
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        if (defaults[i].api_key == step->api_key)
            return defaults[i].version;
    return rj_request_schema(step->api_key)->versions.high;
}

int64_t scn_duration_ms(const struct scenario *scenario)
{
    int64_t duration_ms = 0;
    for (int i = 0; i < scenario->step_count; i++)
        duration_ms += scenario->steps[i].delay_ms;
    return duration_ms;
}

int scn_targets(const struct scenario *scenario, const struct scn_step **why)
{
    int targets = scenario->needs_core ? SCN_CORE : SCN_CORE | SCN_MOCK | SCN_BROKER;
    *why = NULL;
    for (int i = 0; i < SCN_SETTING_COUNT; i++)
        if (scenario->has_setting[i])
            targets &= scn_settings[i].targets;
    for (int i = 0; i < scenario->step_count; i++) {
        const struct scn_verb_row *row = &scn_verbs[scenario->steps[i].verb];
        if (row->name == NULL)
            continue;
        if (*why == NULL && row->targets != (SCN_CORE | SCN_MOCK | SCN_BROKER))
            *why = &scenario->steps[i];
        targets &= row->targets;
    }
    return targets;
}

const struct scn_expect *scn_expect_for(const struct scn_expect *expect, int kafka_version)
{
    for (const struct scn_expect *one = expect->next; one != NULL; one = one->next)
        if ((one->condition == SCN_BELOW && kafka_version < one->kafka_version)
            || (one->condition == SCN_FROM && kafka_version >= one->kafka_version)
            || (one->condition == SCN_EXACTLY && kafka_version == one->kafka_version))
            return one;
    return expect;
}
