#include "consume/print.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void print_line(json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT);
    if (text != NULL)
        puts(text);
    fflush(stdout);
    free(text);
    json_decref(event);
}

static void print_time(const struct consume_printer *printer, int64_t now_ms)
{
    printf("%8.3f  ", (double)(now_ms - printer->since_ms) / 1000);
}

/* A JSON string, or null for what is null or not UTF-8. */
static json_t *json_text(const char *data, int32_t len)
{
    json_t *text = data == NULL ? NULL : json_stringn(data, (size_t)len);
    return text != NULL ? text : json_null();
}

static json_t *member_of(json_t *object, struct rj_string key, json_t *fresh)
{
    char name[32768];
    snprintf(name, sizeof name, "%.*s", key.len, key.data);
    json_t *member = json_object_get(object, name);
    if (member != NULL) {
        json_decref(fresh);
        return member;
    }
    json_object_set_new(object, name, fresh);
    return fresh;
}

static const char *event_name(enum rj_consumer_action_type type)
{
    return type == RJ_CONSUMER_ASSIGNED ? "assigned" : type == RJ_CONSUMER_REVOKED ? "revoked" : "lost";
}

void consume_print_partitions(const struct consume_printer *printer, int64_t now_ms,
                              const struct rj_consumer_action *action)
{
    int32_t count = action->as.partitions.partition_count;
    const struct rj_consumer_partition *list = action->as.partitions.partitions;
    struct rj_string member_id = action->as.partitions.member_id;
    if (!printer->json) {
        print_time(printer, now_ms);
        printf("%s", event_name(action->type));
        for (int32_t i = 0; i < count; i++)
            printf(" %.*s-%d", list[i].topic.len, list[i].topic.data, list[i].partition);
        printf("%s  (generation %d, %.*s%s)\n", count == 0 ? " nothing" : "", action->as.partitions.generation_id,
               member_id.len, member_id.data, action->as.partitions.is_leader ? ", leader" : "");
        fflush(stdout);
        return;
    }
    json_t *partitions = json_object();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(member_of(partitions, list[i].topic, json_array()), json_integer(list[i].partition));
    print_line(json_pack("{s:s,s:o,s:i,s:o,s:b}", "event", event_name(action->type), "partitions", partitions,
                         "generation", action->as.partitions.generation_id, "member_id",
                         json_text(member_id.data, member_id.len), "leader", action->as.partitions.is_leader));
}

void consume_print_committed(const struct consume_printer *printer, int64_t now_ms,
                             const struct rj_consumer_action *action)
{
    const struct rj_consumer_partition *list = action->as.partitions.partitions;
    int16_t error = action->as.partitions.error_code;
    if (action->as.partitions.partition_count == 0)
        return;
    if (!printer->json) {
        print_time(printer, now_ms);
        printf("commit");
        for (int32_t i = 0; i < action->as.partitions.partition_count; i++) {
            printf(" %.*s-%d@%lld", list[i].topic.len, list[i].topic.data, list[i].partition,
                   (long long)list[i].offset);
            if (list[i].error_code != 0)
                printf("=%s", rj_kafka_error_name(list[i].error_code));
        }
        puts("");
        fflush(stdout);
        return;
    }
    json_t *offsets = json_object();
    for (int32_t i = 0; i < action->as.partitions.partition_count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", list[i].partition);
        json_object_set_new(member_of(offsets, list[i].topic, json_object()), number, json_integer(list[i].offset));
    }
    json_t *event = json_pack("{s:s,s:o}", "event", "commit", "offsets", offsets);
    if (error != 0)
        json_object_set_new(event, "error", json_string(rj_kafka_error_name(error)));
    print_line(event);
}

void consume_print_error(const struct consume_printer *printer, int64_t now_ms, const struct rj_consumer_action *action)
{
    const char *rule = action->as.error.rule == RJ_RULE_NONE ? "" : rj_rule_row(action->as.error.rule)->id;
    const char *api = action->as.error.api_key < 0 ? NULL : rj_api_name(action->as.error.api_key);
    char message[512];
    if (api != NULL)
        snprintf(message, sizeof message, "%s: %s (%s %d)", api, action->as.error.sentence,
                 rj_kafka_error_name(action->as.error.error_code), action->as.error.error_code);
    else
        snprintf(message, sizeof message, "%s", action->as.error.sentence);
    if (printer->json) {
        print_line(json_pack("{s:s,s:s,s:b,s:i,s:s}", "event", "error", "message", message, "fatal",
                             action->as.error.is_fatal, "error_code", action->as.error.error_code, "rule", rule));
        return;
    }
    print_time(printer, now_ms);
    printf("%s%s  [%s]\n", action->as.error.is_fatal ? "fatal: " : "error: ", message, rule);
    fflush(stdout);
}

void consume_print_record(const struct consume_printer *printer, int64_t now_ms, struct rj_string topic,
                          int32_t partition, const struct rj_record *record)
{
    const char *value = (const char *)record->value.data, *key = (const char *)record->key.data;
    if (printer->json) {
        print_line(json_pack("{s:s,s:o,s:i,s:I,s:o,s:o}", "event", "record", "topic", json_text(topic.data, topic.len),
                             "partition", partition, "offset", (json_int_t)record->offset, "key",
                             json_text(key, record->key.len), "value", json_text(value, record->value.len)));
        return;
    }
    print_time(printer, now_ms);
    printf("record %.*s-%d@%lld ", topic.len, topic.data, partition, (long long)record->offset);
    if (value == NULL)
        puts("null");
    else
        printf("%.*s\n", record->value.len, value);
}

void consume_print_closed(const struct consume_printer *printer, int64_t now_ms, int64_t record_count)
{
    if (printer->json) {
        print_line(json_pack("{s:s,s:I}", "event", "closed", "records", (json_int_t)record_count));
        return;
    }
    print_time(printer, now_ms);
    printf("closed after %lld records\n", (long long)record_count);
    fflush(stdout);
}
