/* AlterConfigs and IncrementalAlterConfigs: of topics. A resource changes whole or not at all. */
#include "mock/topic_configs.h"

#include <stdarg.h>
#include <stdio.h>

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { OPERATION_SET, OPERATION_DELETE, OPERATION_APPEND, OPERATION_SUBTRACT };
enum { WHY_LEN = 700 };

/* Both APIs ask the same: what of one setting, and of one resource. */
struct change { struct rj_string name; int8_t operation; struct rj_string value; };
struct resource { int8_t type; struct rj_string name; struct change *changes; int32_t count; bool is_repeated; };
struct verdict { int16_t error_code; struct rj_string message; };

/* What both requests are, and what comes of them; in the arena. */
struct alteration {
    struct request *request;
    bool replaces; /* what is not named falls back to its default */
    bool validate_only;
    struct resource *resources;
    struct verdict *verdicts;
    int32_t count;
};

/* Longer names are cut in messages. */
#define NAME_FORMAT "%.*s"
#define NAME_OF(text) ((text).len < 249 ? (int)(text).len : 249), (text).data

/* Returns false. A message that is empty, or that there is no memory for, is null. */
static bool refuse(struct alteration *alteration, struct verdict *verdict, int16_t error_code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool refuse(struct alteration *alteration, struct verdict *verdict, int16_t error_code, const char *format, ...)
{
    char text[WHY_LEN];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    *verdict = (struct verdict){error_code, mock_arena_text(alteration->request, text)};
    return false;
}

/* ---- Judging ----------------------------------------------------------------------------------------------------- */

static bool judge_rights(struct alteration *alteration, const struct resource *resource, struct verdict *verdict)
{
    if (resource->type == RESOURCE_TOPIC)
        return mock_may_topic(alteration->request, resource->name, RJ_OPERATION_ALTER_CONFIGS)
               || refuse(alteration, verdict, RJ_KAFKA_TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed.");
    return mock_may_cluster(alteration->request, RJ_OPERATION_ALTER_CONFIGS)
           || refuse(alteration, verdict, RJ_KAFKA_CLUSTER_AUTHORIZATION_FAILED, "Cluster authorization failed.");
}

static bool repeats_a_setting(const struct alteration *alteration, const struct resource *resource)
{
    struct named *named = mock_arena_array(alteration->request, (size_t)resource->count + 1, sizeof(*named));
    for (int32_t i = 0; named != NULL && i < resource->count; i++)
        named[i] = (struct named){0, resource->changes[i].name};
    const bool *repeated = named ? mock_find_repeated(alteration->request, named, resource->count) : NULL;
    bool any = repeated == NULL;
    for (int32_t i = 0; repeated != NULL && i < resource->count; i++)
        any = any || repeated[i];
    return any;
}

/* What Kafka's brokers look at before they ask the controller. */
static bool judge_form(struct alteration *alteration, const struct resource *resource, struct verdict *verdict)
{
    if (resource->is_repeated)
        return refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST, "Each resource must appear at most once.");
    if (resource->type != RESOURCE_TOPIC && resource->type != RESOURCE_BROKER)
        return refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST, "Unknown resource type %d", resource->type);
    if (repeats_a_setting(alteration, resource))
        return refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST, "Error due to duplicate config keys");
    for (int32_t i = 0; i < resource->count; i++)
        if (resource->changes[i].operation != OPERATION_DELETE && rj_string_is_null(resource->changes[i].value))
            return refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST, "Null value not supported for : " NAME_FORMAT,
                          NAME_OF(resource->changes[i].name));
    if (resource->type == RESOURCE_BROKER)
        return refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST,
                      "The mock's brokers keep the settings that they were started with.");
    return resource->name.len > 0
           || refuse(alteration, verdict, RJ_KAFKA_INVALID_REQUEST, "Default topic resources are not allowed.");
}

static bool apply(struct alteration *alteration, struct topic_configs *configs, const struct change *change,
                  struct verdict *verdict)
{
    const struct mock_cluster *cluster = alteration->request->cluster;
    char why[WHY_LEN] = "";
    int16_t error_code = RJ_KAFKA_NONE;
    switch (change->operation) {
    case OPERATION_SET:
        error_code = mock_set_topic_config(cluster, configs, change->name, change->value, why, sizeof(why));
        break;
    case OPERATION_DELETE: mock_unset_topic_config(cluster, configs, change->name); break;
    case OPERATION_APPEND:
    case OPERATION_SUBTRACT:
        error_code = mock_change_topic_list(cluster, configs, change->name, change->value,
                                            change->operation == OPERATION_SUBTRACT, why, sizeof(why));
        break;
    default: error_code = RJ_KAFKA_UNKNOWN_SERVER_ERROR; break;
    }
    return error_code == RJ_KAFKA_NONE || refuse(alteration, verdict, error_code, "%s", why);
}

/* Whether the settings could be these. Kafka looks at them before it looks for the topic. */
static bool judge_whole(struct alteration *alteration, const struct resource *resource, const struct topic *topic,
                        const struct topic_configs *configs, struct verdict *verdict)
{
    char why[WHY_LEN] = "";
    int16_t error_code = mock_judge_topic_configs(alteration->request->cluster, configs, why, sizeof(why));
    if (error_code != RJ_KAFKA_NONE)
        return refuse(alteration, verdict, error_code, "%s", why);
    return topic != NULL || refuse(alteration, verdict, RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                   "The topic '" NAME_FORMAT "' does not exist.", NAME_OF(resource->name));
}

/* ---- Changing ---------------------------------------------------------------------------------------------------- */

static void alter_resource(struct alteration *alteration, const struct resource *resource, struct verdict *verdict)
{
    struct mock_cluster *cluster = alteration->request->cluster;
    if (!judge_form(alteration, resource, verdict) || !judge_rights(alteration, resource, verdict))
        return;
    struct topic *topic = mock_find_topic(cluster, resource->name);
    struct topic_configs *configs =
        mock_topic_configs_copy(topic != NULL && !alteration->replaces ? topic->configs : NULL);
    bool ok = true;
    for (int32_t i = 0; i < resource->count && ok; i++)
        ok = apply(alteration, configs, &resource->changes[i], verdict);
    ok = ok && judge_whole(alteration, resource, topic, configs, verdict);
    if (!ok || alteration->validate_only)
        mock_topic_configs_free(configs);
    else if (mock_change_topic_configs(cluster, topic, configs) != RJ_KAFKA_NONE)
        refuse(alteration, verdict, RJ_KAFKA_KAFKA_STORAGE_ERROR, "cluster.json cannot be written.");
}

/* Room for so many resources; false: no memory. */
static bool begin(struct alteration *alteration, int32_t count)
{
    alteration->count = count;
    alteration->resources = mock_arena_array(alteration->request, (size_t)count + 1, sizeof(*alteration->resources));
    alteration->verdicts = mock_arena_array(alteration->request, (size_t)count + 1, sizeof(*alteration->verdicts));
    return alteration->resources != NULL && alteration->verdicts != NULL;
}

static bool add_resource(struct alteration *alteration, int32_t i, int8_t type, struct rj_string name, int32_t count)
{
    struct change *changes = mock_arena_array(alteration->request, (size_t)count + 1, sizeof(*changes));
    alteration->resources[i] = (struct resource){type, name, changes, count, false};
    return changes != NULL;
}

static bool alter_all(struct alteration *alteration)
{
    struct named *named = mock_arena_array(alteration->request, (size_t)alteration->count + 1, sizeof(*named));
    for (int32_t i = 0; named != NULL && i < alteration->count; i++)
        named[i] = (struct named){alteration->resources[i].type, alteration->resources[i].name};
    const bool *repeated = named ? mock_find_repeated(alteration->request, named, alteration->count) : NULL;
    if (repeated == NULL)
        return false;
    for (int32_t i = 0; i < alteration->count; i++) {
        alteration->resources[i].is_repeated = repeated[i];
        alteration->verdicts[i] = (struct verdict){RJ_KAFKA_NONE, RJ_NULL_STRING};
        alter_resource(alteration, &alteration->resources[i], &alteration->verdicts[i]);
    }
    return true;
}

enum outcome mock_handle_alter_configs(struct request *request)
{
    const struct rj_alter_configs_request *asked = request->body;
    struct alteration alteration = {.request = request, .replaces = true, .validate_only = asked->validate_only};
    struct rj_alter_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->resources.count)
        || !begin(&alteration, asked->resources.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->resources.count; i++) {
        const struct rj_alter_configs_request_alter_configs_resource *from = &asked->resources.items[i];
        if (!add_resource(&alteration, i, from->resource_type, from->resource_name, from->configs.count))
            return OUTCOME_CLOSE;
        for (int32_t k = 0; k < from->configs.count; k++)
            alteration.resources[i].changes[k] =
                (struct change){from->configs.items[k].name, OPERATION_SET,
                                from->configs.items[k].value};
    }
    if (!alter_all(&alteration))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < alteration.count; i++)
        response->responses.items[i] = (struct rj_alter_configs_response_alter_configs_resource_response){
            .error_code = alteration.verdicts[i].error_code, .error_message = alteration.verdicts[i].message,
            .resource_type = alteration.resources[i].type, .resource_name = alteration.resources[i].name};
    return mock_answer_request(request, response, RJ_RULE_NONE);
}

enum outcome mock_handle_incremental_alter_configs(struct request *request)
{
    const struct rj_incremental_alter_configs_request *asked = request->body;
    struct alteration alteration = {.request = request, .replaces = false, .validate_only = asked->validate_only};
    struct rj_incremental_alter_configs_response *response = mock_new_response(request);
    if (response == NULL || !NEW_ITEMS(request, response->responses, asked->resources.count)
        || !begin(&alteration, asked->resources.count))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < asked->resources.count; i++) {
        const struct rj_incremental_alter_configs_request_alter_configs_resource *from = &asked->resources.items[i];
        if (!add_resource(&alteration, i, from->resource_type, from->resource_name, from->configs.count))
            return OUTCOME_CLOSE;
        for (int32_t k = 0; k < from->configs.count; k++)
            alteration.resources[i].changes[k] =
                (struct change){from->configs.items[k].name, from->configs.items[k].config_operation,
                                from->configs.items[k].value};
    }
    if (!alter_all(&alteration))
        return OUTCOME_CLOSE;
    for (int32_t i = 0; i < alteration.count; i++)
        response->responses.items[i] = (struct rj_incremental_alter_configs_response_alter_configs_resource_response){
            .error_code = alteration.verdicts[i].error_code, .error_message = alteration.verdicts[i].message,
            .resource_type = alteration.resources[i].type, .resource_name = alteration.resources[i].name};
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
