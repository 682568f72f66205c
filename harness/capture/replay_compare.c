/* The broker's answer and the core's, field by field. */
#include "capture/replay_state.h"

#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- Counting fields --------------------------------------------------------------------------------------------- */

static uint64_t count_fields(const struct rj_schema_struct *structure, int16_t version, const char *at)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < structure->field_count; i++) {
        const struct rj_schema_field *field = &structure->fields[i];
        if (!rj_in_range(field->versions, version))
            continue;
        if (field->flags & RJ_FIELD_ARRAY) {
            struct { char *items; int32_t count; } array;
            memcpy(&array, at + field->offset, sizeof(array));
            count++; /* its length */
            for (int32_t j = 0; j < array.count; j++)
                count += field->type == RJ_TYPE_STRUCT ?
                    count_fields(field->element, version, array.items + (size_t)j * field->element->size) : 1;
        } else if (field->type == RJ_TYPE_STRUCT && !rj_in_range(field->nullable, version)) {
            count += count_fields(field->element, version, at + field->offset);
        } else {
            count++;
        }
    }
    return count;
}

/* ---- Order that means nothing ------------------------------------------------------------------------------------ */

static int compare_text(struct rj_string a, struct rj_string b)
{
    int32_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, (size_t)len) : 0;
    return order != 0 ? order : a.len - b.len;
}

static int compare_members(const void *a, const void *b)
{
    return compare_text(((const struct rj_join_group_response_member *)a)->member_id,
                        ((const struct rj_join_group_response_member *)b)->member_id);
}

static int compare_described(const void *a, const void *b)
{
    return compare_text(((const struct rj_describe_groups_response_described_group_member *)a)->member_id,
                        ((const struct rj_describe_groups_response_described_group_member *)b)->member_id);
}

static int compare_offset_topics(const void *a, const void *b)
{
    return compare_text(((const struct rj_offset_fetch_response_topics *)a)->name,
                        ((const struct rj_offset_fetch_response_topics *)b)->name);
}

static int compare_offset_partitions(const void *a, const void *b)
{
    return ((const struct rj_offset_fetch_response_partitions *)a)->partition_index -
           ((const struct rj_offset_fetch_response_partitions *)b)->partition_index;
}

static int compare_committed(const void *a, const void *b)
{
    return ((const struct rj_offset_commit_response_partition *)a)->partition_index -
           ((const struct rj_offset_commit_response_partition *)b)->partition_index;
}

static int compare_fetched(const void *a, const void *b)
{
    return ((const struct rj_offset_fetch_response_partition *)a)->partition_index -
           ((const struct rj_offset_fetch_response_partition *)b)->partition_index;
}

/* Kafka lists members, and the partitions of "all topics", in the order of its hash maps; the Scala coordinator
 * (to 3.9) all partitions of offset answers. */
static void put_in_order(int16_t api_key, void *body)
{
    if (api_key == RJ_API_JOIN_GROUP) {
        struct rj_join_group_response *response = body;
        if (response->members.count > 1)
            qsort(response->members.items, (size_t)response->members.count, sizeof(response->members.items[0]),
                  compare_members);
    } else if (api_key == RJ_API_DESCRIBE_GROUPS) {
        struct rj_describe_groups_response *response = body;
        for (int32_t i = 0; i < response->groups.count; i++)
            if (response->groups.items[i].members.count > 1)
                qsort(response->groups.items[i].members.items, (size_t)response->groups.items[i].members.count,
                      sizeof(response->groups.items[i].members.items[0]), compare_described);
    } else if (api_key == RJ_API_OFFSET_COMMIT) {
        struct rj_offset_commit_response *response = body;
        for (int32_t t = 0; t < response->topics.count; t++)
            if (response->topics.items[t].partitions.count > 1)
                qsort(response->topics.items[t].partitions.items, (size_t)response->topics.items[t].partitions.count,
                      sizeof(response->topics.items[t].partitions.items[0]), compare_committed);
    } else if (api_key == RJ_API_OFFSET_FETCH) {
        struct rj_offset_fetch_response *response = body;
        for (int32_t t = 0; t < response->topics.count; t++)
            if (response->topics.items[t].partitions.count > 1)
                qsort(response->topics.items[t].partitions.items, (size_t)response->topics.items[t].partitions.count,
                      sizeof(response->topics.items[t].partitions.items[0]), compare_fetched);
        for (int32_t g = 0; g < response->groups.count; g++) {
            struct rj_offset_fetch_response_topics_array *topics = &response->groups.items[g].topics;
            for (int32_t t = 0; t < topics->count; t++)
                if (topics->items[t].partitions.count > 1)
                    qsort(topics->items[t].partitions.items, (size_t)topics->items[t].partitions.count,
                          sizeof(topics->items[t].partitions.items[0]), compare_offset_partitions);
            if (topics->count > 1)
                qsort(topics->items, (size_t)topics->count, sizeof(topics->items[0]), compare_offset_topics);
        }
    }
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

struct comparison { struct replay *replay; const struct replay_exchange *exchange; };

static void add_difference(struct replay *replay, const struct replay_exchange *exchange, const char *field,
                           const char *broker, const char *core)
{
    replay->differences = replay_grow(replay->differences, replay->difference_count, sizeof(replay->differences[0]));
    replay->differences[replay->difference_count++] = (struct replay_difference){
        exchange->response_frame, exchange->api_key, exchange->version, rejoin_strdup(field), rejoin_strdup(broker),
        rejoin_strdup(core), exchange->rule};
    replay->totals.differences++;
}

static void differ(void *context, const struct rj_difference *difference)
{
    const struct comparison *comparison = context;
    add_difference(comparison->replay, comparison->exchange, difference->field,
                   difference->left ? difference->left : "nothing there",
                   difference->right ? difference->right : "nothing there");
}

void replay_compare(struct replay *replay, struct replay_exchange *exchange)
{
    const struct rj_message_schema *schema = rj_response_schema(exchange->api_key);
    if (exchange->response == NULL)
        return;
    replay->totals.requests++;
    put_in_order(exchange->api_key, exchange->response);
    uint64_t fields = count_fields(schema->root, exchange->version, exchange->response);
    replay->totals.compared += fields;
    if (exchange->reply == NULL) {
        add_difference(replay, exchange, "", "an answer", "none: the core still waits");
        return;
    }
    struct comparison comparison = {replay, exchange};
    put_in_order(exchange->api_key, exchange->reply);
    int unequal = rj_compare(schema, exchange->version, exchange->response, exchange->reply, true, differ,
                             &comparison);
    replay->totals.equal += (uint64_t)unequal < fields ? fields - (uint64_t)unequal : 0;
}

/* ---- Showing ----------------------------------------------------------------------------------------------------- */

struct replay_totals replay_totals(const struct replay *replay) { return replay->totals; }

static const char *rule_id(enum rj_rule rule) { return rule == RJ_RULE_NONE ? "" : rj_rule_row(rule)->id; }

static json_t *text_or_null(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

json_t *replay_json(const struct replay *replay, const struct capture_counts *counts, const char *note)
{
    json_t *differences = json_array(), *notes = json_array();
    for (size_t i = 0; i < replay->difference_count; i++) {
        const struct replay_difference *one = &replay->differences[i];
        json_array_append_new(differences,
                              json_pack("{sI ss si ss so so ss}", "frame", (json_int_t)one->frame, "api",
                                        rj_api_name(one->api_key), "version", (int)one->version, "field", one->field,
                                        "broker", text_or_null(one->broker), "core", text_or_null(one->core), "rule",
                                        rule_id(one->rule)));
    }
    if (note[0] != 0)
        json_array_append_new(notes, json_string(note));
    for (size_t i = 0; i < replay->group_count; i++)
        if (replay->groups[i]->unseen_members || replay->groups[i]->is_consumer)
            json_array_append_new(notes, json_sprintf("group %s was not replayed: %s", replay->groups[i]->id,
                                                      replay->groups[i]->is_consumer ?
                                                          "it uses the KIP-848 protocol" :
                                                          "it had members before the capture began"));
    return json_pack("{sI sI sI sI sI sI so so}", "frames", (json_int_t)counts->frames, "requests",
                     (json_int_t)replay->totals.requests, "compared", (json_int_t)replay->totals.compared, "equal",
                     (json_int_t)replay->totals.equal, "unavailable", (json_int_t)replay->unavailable,
                     "initial_rebalance_delay_ms", (json_int_t)replay->delay_ms,
                     "differences", differences, "notes", notes);
}

void replay_print(const struct replay *replay, const struct capture_counts *counts, const char *note, FILE *out)
{
    const struct replay_totals *totals = &replay->totals;
    fprintf(out, "%llu frames, %llu group requests compared, %llu of %llu fields equal (%.2f %%)\n",
            (unsigned long long)counts->frames, (unsigned long long)totals->requests,
            (unsigned long long)totals->equal, (unsigned long long)totals->compared,
            totals->compared ? 100.0 * (double)totals->equal / (double)totals->compared : 0.0);
    fprintf(out, "core: Kafka %s, initial rebalance delay %d ms%s\n", replay->options.kafka_version,
            (int)replay->delay_ms, replay->options.initial_rebalance_delay_ms < 0 ? " (inferred)" : "");
    if (replay->unavailable > 0)
        fprintf(out, "left out: %llu requests that the broker refused as its coordinator was loading or elsewhere\n",
                (unsigned long long)replay->unavailable);
    for (size_t i = 0; i < replay->group_count; i++)
        if (replay->groups[i]->coord == NULL)
            fprintf(out, "group %s was not replayed: %s\n", replay->groups[i]->id, replay->groups[i]->is_consumer ?
                    "it uses the KIP-848 protocol" : "it had members before the capture began");
    if (note[0] != 0)
        fprintf(out, "note: %s\n", note);
    for (size_t i = 0; i < replay->difference_count; i++) {
        const struct replay_difference *one = &replay->differences[i];
        fprintf(out, "  frame %llu %s v%d %s: broker %s, core %s%s%s\n", (unsigned long long)one->frame,
                rj_api_name(one->api_key), (int)one->version, one->field, one->broker, one->core,
                one->rule ? ", rule " : "", rule_id(one->rule));
    }
}
