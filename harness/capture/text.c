#include "capture/text.h"

#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *text_of(struct rj_string string)
{
    size_t len = string.data ? (size_t)string.len : 0;
    char *copy = rejoin_alloc(len + 1);
    if (len > 0)
        memcpy(copy, string.data, len);
    copy[len] = 0;
    json_t *valid = json_stringn(copy, len);
    for (size_t i = 0; i < len; i++)
        if (copy[i] == 0 || (valid == NULL && (copy[i] & 0x80) != 0))
            copy[i] = '?';
    json_decref(valid);
    return copy;
}

char *text_host(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    size_t len = colon ? (size_t)(colon - endpoint) : strlen(endpoint);
    char *host = rejoin_alloc(len + 2);
    snprintf(host, len + 2, "/%.*s", (int)len, endpoint);
    return host;
}

static bool embedded_version(struct rj_bytes bytes, const struct rj_message_schema *schema, int16_t *version)
{
    if (bytes.data == NULL || bytes.len < 2)
        return false;
    *version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    if (*version > schema->versions.high)
        *version = schema->versions.high;
    return *version >= 0;
}

static bool decode_embedded(const struct rj_message_schema *schema, struct rj_bytes bytes, struct rj_arena *arena,
                            void *message)
{
    int16_t version;
    size_t consumed;
    return embedded_version(bytes, schema, &version) &&
           rj_decode_prefix(schema, version, (struct rj_bytes){bytes.data + 2, bytes.len - 2}, arena, message,
                            &consumed, NULL) == RJ_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static void add_partitions(json_t *object, struct rj_string topic, struct rj_int32_array partitions)
{
    char *name = text_of(topic);
    json_t *numbers = json_array();
    qsort(partitions.items, (size_t)partitions.count, sizeof(partitions.items[0]), compare_numbers);
    for (int32_t i = 0; i < partitions.count; i++)
        json_array_append_new(numbers, json_integer(partitions.items[i]));
    if (partitions.count > 0)
        json_object_set_new(object, name, numbers);
    else
        json_decref(numbers);
    free(name);
}

static int compare_strings(const void *a, const void *b)
{
    const struct rj_string *left = a, *right = b;
    int order = memcmp(left->data, right->data, (size_t)(left->len < right->len ? left->len : right->len));
    return order != 0 ? order : left->len - right->len;
}

void text_subscription(const struct rj_join_group_request *request, json_t **topics, json_t **owned)
{
    struct rj_consumer_protocol_subscription subscription;
    struct rj_arena arena;
    *topics = *owned = NULL;
    if (request->protocols.count == 0 || !rj_string_equal(request->protocol_type, RJ_STRING("consumer")))
        return;
    struct rj_bytes metadata = request->protocols.items[0].metadata;
    rj_arena_init(&arena, &rejoin_heap, (64u << 10) + 24 * (size_t)(metadata.len > 0 ? metadata.len : 0));
    if (decode_embedded(&rj_consumer_protocol_subscription_schema, metadata, &arena, &subscription)) {
        *topics = json_array();
        *owned = json_object();
        qsort(subscription.topics.items, (size_t)subscription.topics.count, sizeof(struct rj_string), compare_strings);
        for (int32_t i = 0; i < subscription.topics.count; i++) {
            char *topic = text_of(subscription.topics.items[i]);
            json_array_append_new(*topics, json_string(topic));
            free(topic);
        }
        for (int32_t i = 0; i < subscription.owned_partitions.count; i++)
            add_partitions(*owned, subscription.owned_partitions.items[i].topic,
                           subscription.owned_partitions.items[i].partitions);
    }
    rj_arena_release(&arena);
}

json_t *text_assignment(struct rj_bytes bytes)
{
    struct rj_consumer_protocol_assignment assignment;
    struct rj_arena arena;
    json_t *object = json_object();
    rj_arena_init(&arena, &rejoin_heap, (64u << 10) + 24 * (size_t)(bytes.len > 0 ? bytes.len : 0));
    if (decode_embedded(&rj_consumer_protocol_assignment_schema, bytes, &arena, &assignment))
        for (int32_t i = 0; i < assignment.assigned_partitions.count; i++)
            add_partitions(object, assignment.assigned_partitions.items[i].topic,
                           assignment.assigned_partitions.items[i].partitions);
    rj_arena_release(&arena);
    return object;
}

void text_partitions(const json_t *assignment, char *out, size_t out_len)
{
    size_t used = 0;
    const char *topic;
    json_t *numbers;
    snprintf(out, out_len, "nothing");
    json_object_foreach((json_t *)(uintptr_t)assignment, topic, numbers) {
        size_t count = json_array_size(numbers);
        used += (size_t)snprintf(out + used, used < out_len ? out_len - used : 0, "%s%s ", used ? "; " : "", topic);
        for (size_t i = 0; i < count && used < out_len; i++) {
            json_int_t first = json_integer_value(json_array_get(numbers, i)), last = first;
            while (i + 1 < count && json_integer_value(json_array_get(numbers, i + 1)) == last + 1)
                last = json_integer_value(json_array_get(numbers, ++i));
            used += (size_t)snprintf(out + used, out_len - used, first == last ? "%lld" : "%lld-%lld",
                                     (long long)first, (long long)last);
            if (i + 1 < count && used < out_len)
                used += (size_t)snprintf(out + used, out_len - used, ",");
        }
        if (used >= out_len)
            return;
    }
}

void text_time(int64_t time_us, char *out, size_t out_len)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    snprintf(out, out_len, "%02d:%02d:%02d.%03d", utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(time_us / 1000 % 1000));
}
