/* DescribeConfigs and ListConfigResources: settings as they are. */
#include "mock/topic_configs.h"

#include <stdio.h>
#include <string.h>

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };              /* Kafka's ConfigResource.Type */
enum { SOURCE_TOPIC = 1, SOURCE_STATIC_BROKER = 4, SOURCE_DEFAULT = 5 }; /* ConfigSource */

struct setting { const char *name, *value; int8_t type, source; };

/* Those of the topic, in the arena; how many. NULL: no memory. */
static struct setting *topic_settings(struct request *request, const struct topic_configs *configs, int *count)
{
    struct setting *settings = mock_arena_array(request, TOPIC_CONFIG_COUNT, sizeof(*settings));
    *count = 0;
    for (int i = 0; settings != NULL && i < TOPIC_CONFIG_COUNT; i++) {
        const struct topic_config_row *row = &mock_topic_config_rows[i];
        const char *own = mock_topic_config(configs, i);
        if (mock_has_topic_config(request->cluster, i))
            settings[(*count)++] =
                (struct setting){row->name, own ? own : mock_topic_config_default(request->cluster, i),
                                 (int8_t)row->type, own ? SOURCE_TOPIC : SOURCE_DEFAULT};
    }
    return settings;
}

enum { BROKER_SETTING_COUNT = 9, NUMBER_LEN = 24 };

/* The broker's settings, with their values as text in the arena. */
static struct setting *broker_settings(struct request *request)
{
    const struct mock_cluster *cluster = request->cluster;
    const struct rj_config *config = &cluster->config;
    const struct { const char *name; int64_t value; } numbers[BROKER_SETTING_COUNT - 1] = {
        {"group.initial.rebalance.delay.ms", config->group_initial_rebalance_delay_ms},
        {"group.max.session.timeout.ms", config->group_max_session_timeout_ms},
        {"group.max.size", config->group_max_size},
        {"group.min.session.timeout.ms", config->group_min_session_timeout_ms},
        {"num.partitions", cluster->options.default_partition_count},
        {"offset.metadata.max.bytes", config->offset_metadata_max_bytes},
        {"offsets.topic.num.partitions", config->offsets_topic_num_partitions},
        {"offsets.retention.minutes", config->offsets_retention_ms / 60000},
    };
    struct setting *settings = mock_arena_array(request, BROKER_SETTING_COUNT, sizeof(*settings));
    char *text = mock_arena_array(request, BROKER_SETTING_COUNT, NUMBER_LEN);
    if (settings == NULL || text == NULL)
        return NULL;
    settings[0] = (struct setting){"auto.create.topics.enable", cluster->options.auto_create_topics ? "true" : "false",
                                   CONFIG_BOOLEAN, SOURCE_STATIC_BROKER};
    for (int i = 1; i < BROKER_SETTING_COUNT; i++, text += NUMBER_LEN) {
        snprintf(text, NUMBER_LEN, "%lld", (long long)numbers[i - 1].value);
        settings[i] = (struct setting){numbers[i - 1].name, text, CONFIG_INT, SOURCE_STATIC_BROKER};
    }
    return settings;
}

static struct rj_string view(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

static bool is_asked(const struct rj_describe_configs_request_describe_configs_resource *asked, const char *name)
{
    if (asked->configuration_keys.count < 0)
        return true;
    for (int32_t i = 0; i < asked->configuration_keys.count; i++)
        if (rj_string_equal(asked->configuration_keys.items[i], view(name)))
            return true;
    return asked->configuration_keys.count == 0;
}

static bool describe_settings(struct request *request, const struct setting *settings, int count,
                              const struct rj_describe_configs_request_describe_configs_resource *asked,
                              struct rj_describe_configs_response_describe_configs_result *out)
{
    if (!NEW_ITEMS(request, out->configs, count))
        return false;
    out->configs.count = 0;
    int16_t version = request->version; /* 0 tells whether it is the default, later ones where it comes from */
    for (int i = 0; i < count; i++) {
        if (!is_asked(asked, settings[i].name))
            continue;
        struct rj_describe_configs_response_describe_configs_resource_result *config =
            &out->configs.items[out->configs.count++];
        *config = (struct rj_describe_configs_response_describe_configs_resource_result){
            .name = view(settings[i].name), .value = view(settings[i].value),
            .read_only = settings[i].source == SOURCE_STATIC_BROKER, /* nobody can change the brokers' */
            .is_default = version == 0 && settings[i].source == SOURCE_DEFAULT, .config_source = settings[i].source,
            .config_type = settings[i].type};
    }
    return true;
}

static bool may_describe(const struct request *request,
                         const struct rj_describe_configs_request_describe_configs_resource *resource,
                         struct rj_describe_configs_response_describe_configs_result *out)
{
    bool is_topic = resource->resource_type == RESOURCE_TOPIC;
    bool may = is_topic ? mock_may_topic(request, resource->resource_name, RJ_OPERATION_DESCRIBE_CONFIGS)
                        : mock_may_cluster(request, RJ_OPERATION_DESCRIBE_CONFIGS);
    if (!may) {
        out->error_code = is_topic ? RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED : RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
        out->error_message = is_topic ? RJ_STRING("Topic authorization failed.")
                                      : RJ_STRING("Cluster authorization failed.");
    }
    return may;
}

/* As it was asked for, blanks and all; DescribeConfigs tells it as it was understood. */
static struct rj_string asked_value(const struct rj_create_topics_request_creatable_topic *asked, const char *name)
{
    for (int32_t i = asked->configs.count; i-- > 0;)
        if (rj_string_equal(asked->configs.items[i].name, view(name)))
            return asked->configs.items[i].value;
    return RJ_NULL_STRING;
}

bool mock_tell_new_configs(struct request *request, const struct rj_create_topics_request_creatable_topic *asked,
                           const struct topic_configs *configs,
                           struct rj_create_topics_response_creatable_topic_result *out)
{
    int count;
    struct setting *settings = topic_settings(request, configs, &count);
    if (settings == NULL || !NEW_ITEMS(request, out->configs, count))
        return false;
    for (int i = 0; i < count; i++)
        out->configs.items[i] = (struct rj_create_topics_response_creatable_topic_configs){
            .name = view(settings[i].name), .config_source = settings[i].source,
            .value = settings[i].source == SOURCE_TOPIC ? asked_value(asked, settings[i].name)
                                                        : view(settings[i].value)};
    return true;
}

enum outcome mock_handle_describe_configs(struct request *request)
{
    const struct rj_describe_configs_request *asked = request->body;
    struct rj_describe_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->results, asked->resources.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->resources.count; i++) {
        const struct rj_describe_configs_request_describe_configs_resource *resource = &asked->resources.items[i];
        struct rj_describe_configs_response_describe_configs_result *out = &response->results.items[i];
        const struct setting *settings = NULL;
        int count = 0;
        out->resource_type = resource->resource_type;
        out->resource_name = resource->resource_name;
        if (!may_describe(request, resource, out))
            continue;
        if (resource->resource_type == RESOURCE_TOPIC) {
            const struct topic *topic = mock_find_topic(request->cluster, resource->resource_name);
            if (topic == NULL) {
                out->error_code = RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
                continue;
            }
            settings = topic_settings(request, topic->configs, &count);
        } else if (resource->resource_type == RESOURCE_BROKER) {
            settings = broker_settings(request);
            count = BROKER_SETTING_COUNT;
        } else {
            out->error_code = RJ_KAFKA_INVALID_REQUEST;
            out->error_message = RJ_STRING("Only topics and brokers have settings here.");
            continue;
        }
        if (settings == NULL || !describe_settings(request, settings, count, resource, out))
            return OUTCOME_CLOSE;
    }
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

static bool is_type_asked(const struct rj_list_config_resources_request *asked, int16_t version, int8_t type)
{
    if (version == 0)
        return false; /* version 0 lists client metrics only, and there are none */
    for (int32_t i = 0; i < asked->resource_types.count; i++)
        if (asked->resource_types.items[i] == type)
            return true;
    return asked->resource_types.count <= 0;
}

enum outcome mock_handle_list_config_resources(struct request *request)
{
    const struct rj_list_config_resources_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_list_config_resources_response *response = mock_new_response(request);
    int32_t broker_count = cluster->options.broker_count;
    if (response != NULL && !mock_may_cluster(request, RJ_OPERATION_DESCRIBE_CONFIGS)) {
        response->error_code = RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
        return mock_answer_request(request, response, RJ_RULE_NONE);
    }
    if (response == NULL || !NEW_ITEMS(request, response->config_resources, cluster->topic_count + broker_count))
        return OUTCOME_CLOSE;
    int32_t count = 0;
    if (is_type_asked(asked, request->version, RESOURCE_TOPIC))
        for (int32_t i = 0; i < cluster->topic_count; i++)
            response->config_resources.items[count++] = (struct rj_list_config_resources_response_config_resource){
                .resource_name = cluster->topics[i]->name_view, .resource_type = RESOURCE_TOPIC};
    if (is_type_asked(asked, request->version, RESOURCE_BROKER)) {
        char *names = mock_arena_array(request, (size_t)broker_count, NUMBER_LEN);
        if (names == NULL)
            return OUTCOME_CLOSE;
        for (int32_t i = 0; i < broker_count; i++, names += NUMBER_LEN) {
            snprintf(names, NUMBER_LEN, "%d", i);
            response->config_resources.items[count++] = (struct rj_list_config_resources_response_config_resource){
                .resource_name = view(names), .resource_type = RESOURCE_BROKER};
        }
    }
    response->config_resources.count = count;
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
