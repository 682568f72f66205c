/* CreateTopics, DeleteTopics, CreatePartitions. */
#include "mock/topic_configs.h"

#include <stdio.h>

/* The settings that a new topic is given. A name that comes twice has its last value. */
static int16_t judge_new_configs(struct request *request, const struct rj_create_topics_request_creatable_topic *asked,
                                 struct topic_configs *configs, char *why, size_t why_len)
{
    int16_t error = RJ_KAFKA_NONE;
    for (int32_t i = 0; i < asked->configs.count && error == RJ_KAFKA_NONE; i++) {
        struct rj_string name = asked->configs.items[i].name, value = asked->configs.items[i].value;
        if (rj_string_is_null(value)) {
            snprintf(why, why_len, "Null value not supported for topic configs: %.*s",
                     name.len < 200 ? (int)name.len : 200, name.data);
            return RJ_KAFKA_INVALID_CONFIG;
        }
        error = mock_set_topic_config(request->cluster, configs, name, value, why, why_len);
    }
    return error == RJ_KAFKA_NONE ? mock_judge_topic_configs(request->cluster, configs, why, why_len) : error;
}

/* What is wrong with one topic of a CreateTopics request; plan is what it would be. */
static int16_t judge_new_topic(struct request *request, const struct rj_create_topics_request_creatable_topic *asked,
                               struct topic_plan *plan, char *why, size_t why_len)
{
    const struct mock_cluster *cluster = request->cluster;
    plan->name = asked->name;
    plan->partition_count = asked->num_partitions == -1 ? cluster->options.default_partition_count
                                                        : asked->num_partitions;
    plan->replication_factor = asked->replication_factor == -1 ? 1 : asked->replication_factor;
    if (asked->assignments.count > 0) {
        if (asked->num_partitions != -1 || asked->replication_factor != -1)
            return RJ_KAFKA_INVALID_REQUEST;
        plan->partition_count = asked->assignments.count;
        plan->replication_factor = (int16_t)asked->assignments.items[0].broker_ids.count;
    }
    if (!mock_valid_topic_name(asked->name))
        return RJ_KAFKA_INVALID_TOPIC_EXCEPTION;
    if (mock_find_topic(cluster, asked->name) != NULL)
        return RJ_KAFKA_TOPIC_ALREADY_EXISTS;
    int16_t error = judge_new_configs(request, asked, plan->configs, why, why_len);
    if (error != RJ_KAFKA_NONE)
        return error;
    if (plan->partition_count < 1)
        return RJ_KAFKA_INVALID_PARTITIONS;
    if (plan->replication_factor < 1 || plan->replication_factor > cluster->options.broker_count)
        return RJ_KAFKA_INVALID_REPLICATION_FACTOR;
    return RJ_KAFKA_NONE;
}

/* Which of the topics are named more than once; NULL: no memory. */
static bool *find_repeated(struct request *request, const struct rj_create_topics_request *asked)
{
    struct named *named = mock_arena_array(request, (size_t)asked->topics.count + 1, sizeof(*named));
    for (int32_t i = 0; named != NULL && i < asked->topics.count; i++)
        named[i] = (struct named){0, asked->topics.items[i].name};
    return named ? mock_find_repeated(request, named, asked->topics.count) : NULL;
}

static struct rj_string message_of(int16_t error_code)
{
    switch (error_code) {
    case RJ_KAFKA_NONE: return RJ_NULL_STRING;
    case RJ_KAFKA_TOPIC_ALREADY_EXISTS: return RJ_STRING("The topic exists.");
    case RJ_KAFKA_INVALID_PARTITIONS: return RJ_STRING("The partitions must become more, and be at least 1.");
    case RJ_KAFKA_INVALID_REPLICATION_FACTOR: return RJ_STRING("There are not as many brokers.");
    case RJ_KAFKA_INVALID_TOPIC_EXCEPTION: return RJ_STRING("The name is not valid.");
    case RJ_KAFKA_POLICY_VIOLATION: return RJ_STRING("The mock cluster's limit of partitions would be passed.");
    case RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION: return RJ_STRING("There is no such topic.");
    case RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED: return RJ_STRING("Authorization failed.");
    case RJ_KAFKA_INVALID_REQUEST: return RJ_STRING("The topic is named twice, or has both counts and assignments.");
    default: return RJ_STRING("The request was refused.");
    }
}

static bool may_create(const struct request *request, struct rj_string name)
{
    return mock_may_cluster(request, RJ_OPERATION_CREATE) || mock_may_topic(request, name, RJ_OPERATION_CREATE);
}

static bool tell_new_topic(struct request *request, const struct rj_create_topics_request_creatable_topic *asked,
                           const struct topic_plan *plan,
                           struct rj_create_topics_response_creatable_topic_result *out)
{
    const struct topic *topic = mock_find_topic(request->cluster, plan->name);
    /* One that is only validated has an id too. */
    out->topic_id = topic ? topic->topic_id : mock_random_uuid(request->cluster);
    out->configs.count = 0;
    if (!mock_may_topic(request, plan->name, RJ_OPERATION_DESCRIBE_CONFIGS)) {
        out->topic_config_error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
        return true;
    }
    out->num_partitions = plan->partition_count;
    out->replication_factor = plan->replication_factor;
    return request->version < 5 || mock_tell_new_configs(request, asked, plan->configs, out);
}

/* false: no memory. */
static bool create_topic(struct request *request, const struct rj_create_topics_request *asked, int32_t i,
                         bool is_repeated, struct rj_create_topics_response_creatable_topic_result *out)
{
    struct topic_plan plan = {.configs = mock_topic_configs_copy(NULL)};
    char why[700] = "";
    if (is_repeated)
        out->error_code = RJ_KAFKA_INVALID_REQUEST;
    else if (!may_create(request, out->name))
        out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    else
        out->error_code = judge_new_topic(request, &asked->topics.items[i], &plan, why, sizeof(why));
    if (out->error_code == RJ_KAFKA_NONE && !asked->validate_only) {
        struct topic_plan taken = plan;
        taken.configs = mock_topic_configs_copy(plan.configs);
        out->error_code = mock_add_planned_topic(request->cluster, &taken);
    }
    out->error_message = *why ? mock_arena_text(request, why) : message_of(out->error_code);
    bool ok = out->error_code != RJ_KAFKA_NONE || tell_new_topic(request, &asked->topics.items[i], &plan, out);
    mock_topic_configs_free(plan.configs);
    return ok;
}

enum outcome mock_handle_create_topics(struct request *request)
{
    const struct rj_create_topics_request *asked = request->body;
    struct rj_create_topics_response *response = mock_new_response(request);
    const bool *repeated = find_repeated(request, asked);
    if (response == NULL || repeated == NULL || !NEW_ITEMS(request, response->topics, asked->topics.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_create_topics_response_creatable_topic_result *out = &response->topics.items[i];
        out->name = asked->topics.items[i].name;
        out->num_partitions = out->replication_factor = -1;
        out->configs.count = -1;
        if (!create_topic(request, asked, i, repeated[i], out))
            return OUTCOME_CLOSE;
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

/* Refuses a topic that the principal may not delete. Who may not see it either learns no more than he said himself. */
static bool is_refused(const struct request *request, const struct topic *topic, bool is_by_id,
                       struct rj_delete_topics_response_deletable_topic_result *out)
{
    struct rj_string name = is_by_id && topic != NULL ? topic->name_view : out->name;
    if ((is_by_id && topic == NULL) || mock_may_cluster(request, RJ_OPERATION_DELETE))
        return false;
    bool may_see = mock_may_topic(request, name, RJ_OPERATION_DESCRIBE);
    if (mock_may_topic(request, name, RJ_OPERATION_DELETE) || (!is_by_id && may_see && topic == NULL))
        return false;
    out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    out->error_message = RJ_STRING("Topic authorization failed.");
    if (is_by_id && may_see)
        out->name = name;
    return true;
}

enum outcome mock_handle_delete_topics(struct request *request)
{
    const struct rj_delete_topics_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_delete_topics_response *response = mock_new_response(request);
    int32_t count = request->version >= 6 ? asked->topics.count : asked->topic_names.count;
    if (response == NULL || !NEW_ITEMS(request, response->responses, count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < count; i++) {
        struct rj_delete_topics_response_deletable_topic_result *out = &response->responses.items[i];
        out->name = request->version >= 6 ? asked->topics.items[i].name : asked->topic_names.items[i];
        bool is_by_id = rj_string_is_null(out->name);
        if (is_by_id)
            out->topic_id = asked->topics.items[i].topic_id;
        struct topic *topic = is_by_id ? mock_find_topic_by_id(cluster, &out->topic_id)
                                       : mock_find_topic(cluster, out->name);
        if (is_refused(request, topic, is_by_id, out))
            continue;
        if (topic == NULL) {
            out->error_code = is_by_id ? RJ_KAFKA_UNKNOWN_TOPIC_ID : RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            out->error_message = message_of(RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
            continue;
        }
        out->topic_id = topic->topic_id;
        if (is_by_id) {
            bool ok = true;
            out->name = rj_arena_copy_string(&cluster->arena, topic->name_view, &ok);
        }
        if (topic == cluster->offsets_topic)
            out->error_code = RJ_KAFKA_INVALID_REQUEST;
        else
            out->error_code = mock_remove_topic(cluster, topic);
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

enum outcome mock_handle_create_partitions(struct request *request)
{
    const struct rj_create_partitions_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_create_partitions_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->topics.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->topics.count; i++) {
        struct rj_create_partitions_response_create_partitions_topic_result *out = &response->results.items[i];
        out->name = asked->topics.items[i].name;
        struct topic *topic = mock_find_topic(cluster, out->name);
        if (!mock_may_topic(request, out->name, RJ_OPERATION_ALTER)) {
            out->error_code = RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED;
            out->error_message = RJ_NULL_STRING;
            continue;
        }
        if (topic == NULL)
            out->error_code = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else if (asked->topics.items[i].count <= topic->partition_count)
            out->error_code = RJ_KAFKA_INVALID_PARTITIONS;
        else if (!asked->validate_only)
            out->error_code = mock_grow_topic(cluster, topic, asked->topics.items[i].count);
        out->error_message = message_of(out->error_code);
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
