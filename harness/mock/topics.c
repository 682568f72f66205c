/* The topics of the cluster. */
#include "mock/storage/storage.h"
#include "mock/topic_configs.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(struct rj_string a, struct rj_string b)
{
    int32_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, (size_t)len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Where the name stands, or would. */
static int32_t name_position(const struct mock_cluster *cluster, struct rj_string name, bool *found)
{
    int32_t low = 0, high = cluster->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = compare_names(cluster->topics[middle]->name_view, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct topic *mock_find_topic(const struct mock_cluster *cluster, struct rj_string name)
{
    bool found;
    int32_t at = name_position(cluster, name, &found);
    return found ? cluster->topics[at] : NULL;
}

struct topic *mock_find_topic_by_id(const struct mock_cluster *cluster, const struct rj_uuid *topic_id)
{
    for (int32_t i = 0; i < cluster->topic_count; i++)
        if (rj_uuid_equal(&cluster->topics[i]->topic_id, topic_id))
            return cluster->topics[i];
    return NULL;
}

struct log *mock_find_log(const struct topic *topic, int32_t partition)
{
    return partition >= 0 && partition < topic->partition_count ? topic->partitions[partition] : NULL;
}

int32_t mock_partition_leader(const struct mock_cluster *cluster, const struct topic *topic, int32_t partition)
{
    if (topic == cluster->offsets_topic)
        return cluster->coordinators[partition].broker_id;
    return (topic->first_leader + partition) % cluster->options.broker_count;
}

/* Kafka's rule: 1 to 249 of letters, digits, '.', '_' and '-', and neither "." nor "..". */
bool mock_valid_topic_name(struct rj_string name)
{
    if (name.len < 1 || name.len > 249)
        return false;
    for (int32_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return !rj_string_equal(name, RJ_STRING(".")) && !rj_string_equal(name, RJ_STRING(".."));
}

static int16_t check_count(const struct mock_cluster *cluster, int32_t old_count, int32_t new_count)
{
    if (new_count < 1)
        return RJ_KAFKA_INVALID_PARTITIONS;
    if (new_count - old_count > cluster->options.limits.partition_count - cluster->total_partition_count)
        return RJ_KAFKA_POLICY_VIOLATION;
    return RJ_KAFKA_NONE;
}

int16_t mock_grow_topic(struct mock_cluster *cluster, struct topic *topic, int32_t new_partition_count)
{
    int16_t error = check_count(cluster, topic->partition_count, new_partition_count);
    if (error != RJ_KAFKA_NONE)
        return error;
    struct log **partitions = realloc(topic->partitions, (size_t)new_partition_count * sizeof(struct log *));
    if (partitions == NULL)
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    topic->partitions = partitions;
    while (topic->partition_count < new_partition_count) {
        partitions[topic->partition_count] = mock_log_create();
        if (partitions[topic->partition_count] == NULL)
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
        if (cluster->storage != NULL && !mock_storage_attach(cluster, topic, topic->partition_count)) {
            mock_log_free(partitions[topic->partition_count]);
            return RJ_KAFKA_KAFKA_STORAGE_ERROR;
        }
        topic->partition_count++;
        cluster->total_partition_count++;
    }
    if (cluster->storage != NULL)
        error = mock_storage_save(cluster, NULL);
    mock_coordinators_topics_changed(cluster);
    return error;
}

static void free_topic(struct mock_cluster *cluster, struct topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        cluster->records_len -= topic->partitions[i]->bytes_len;
        mock_log_free(topic->partitions[i]);
    }
    cluster->total_partition_count -= topic->partition_count;
    free(topic->partitions);
    mock_topic_configs_free(topic->configs);
    free(topic->name);
    free(topic);
}

static void take_topic_out(struct mock_cluster *cluster, struct topic *topic)
{
    bool found;
    int32_t at = name_position(cluster, topic->name_view, &found);
    cluster->topic_count--;
    memmove(cluster->topics + at, cluster->topics + at + 1,
            (size_t)(cluster->topic_count - at) * sizeof(struct topic *));
    cluster->topics_version++;
    mock_answer_all_fetches(cluster);
    mock_coordinators_topics_changed(cluster);
    if (cluster->storage != NULL)
        mock_storage_remove_topic(cluster, topic);
    free_topic(cluster, topic);
}

/* Whether it can be made, and where it will stand. */
static int16_t judge_plan(const struct mock_cluster *cluster, const struct topic_plan *plan, int32_t *at)
{
    bool found;
    if (!mock_valid_topic_name(plan->name))
        return RJ_KAFKA_INVALID_TOPIC_EXCEPTION;
    *at = name_position(cluster, plan->name, &found);
    return found ? RJ_KAFKA_TOPIC_ALREADY_EXISTS : check_count(cluster, 0, plan->partition_count);
}

static struct topic *new_topic(struct mock_cluster *cluster, const struct topic_plan *plan)
{
    struct topic *topic = rejoin_alloc_zeroed(1, sizeof(*topic));
    topic->name = rejoin_alloc_zeroed((size_t)plan->name.len + 1, 1);
    memcpy(topic->name, plan->name.data, (size_t)plan->name.len);
    topic->name_view = (struct rj_string){topic->name, plan->name.len};
    topic->topic_id = plan->topic_id ? *plan->topic_id : mock_random_uuid(cluster);
    topic->is_internal = plan->is_internal;
    topic->replication_factor = plan->replication_factor;
    topic->first_leader = plan->first_leader;
    topic->configs = plan->configs;
    return topic;
}

int16_t mock_add_planned_topic(struct mock_cluster *cluster, const struct topic_plan *plan)
{
    int32_t at = 0;
    int16_t error = judge_plan(cluster, plan, &at);
    struct topic **topics = NULL;
    if (error == RJ_KAFKA_NONE) {
        topics = realloc(cluster->topics, (size_t)(cluster->topic_count + 1) * sizeof(struct topic *));
        error = topics ? RJ_KAFKA_NONE : RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    if (error != RJ_KAFKA_NONE) {
        mock_topic_configs_free(plan->configs);
        return error;
    }
    cluster->topics = topics;
    struct topic *topic = new_topic(cluster, plan);
    memmove(topics + at + 1, topics + at, (size_t)(cluster->topic_count - at) * sizeof(struct topic *));
    topics[at] = topic;
    cluster->topic_count++;
    cluster->topics_version++;
    error = mock_grow_topic(cluster, topic, plan->partition_count); /* which writes it down, whole */
    if (error != RJ_KAFKA_NONE)
        take_topic_out(cluster, topic);
    return error;
}

int16_t mock_add_topic(struct mock_cluster *cluster, struct rj_string name, int32_t partition_count, bool is_internal)
{
    struct topic_plan plan = {.name = name, .is_internal = is_internal, .partition_count = partition_count,
                              .replication_factor = 1};
    return mock_add_planned_topic(cluster, &plan);
}

int16_t mock_change_topic_configs(struct mock_cluster *cluster, struct topic *topic, struct topic_configs *configs)
{
    struct topic_configs *old = topic->configs;
    topic->configs = configs;
    int16_t error = cluster->storage != NULL ? mock_storage_save(cluster, NULL) : RJ_KAFKA_NONE;
    if (error != RJ_KAFKA_NONE)
        topic->configs = old;
    mock_topic_configs_free(error == RJ_KAFKA_NONE ? old : configs);
    return error;
}

int16_t mock_remove_topic(struct mock_cluster *cluster, struct topic *topic)
{
    if (cluster->storage != NULL) {
        mock_storage_sync(cluster); /* appends on their way have an end first */
        int16_t error = mock_storage_save(cluster, topic);
        if (error != RJ_KAFKA_NONE)
            return error;
    }
    take_topic_out(cluster, topic);
    return RJ_KAFKA_NONE;
}

void mock_free_topics(struct mock_cluster *cluster)
{
    for (int32_t i = 0; i < cluster->topic_count; i++)
        free_topic(cluster, cluster->topics[i]);
    free(cluster->topics);
}

/* ---- The host's side --------------------------------------------------------------------------------------------- */

static struct rj_string view(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

int16_t mock_create_topic(struct mock_cluster *cluster, const char *name, int32_t partition_count)
{
    int16_t error = mock_add_topic(cluster, view(name), partition_count, false);
    mock_flush_connections(cluster);
    return error;
}

int16_t mock_add_partitions(struct mock_cluster *cluster, const char *name, int32_t new_partition_count)
{
    struct topic *topic = mock_find_topic(cluster, view(name));
    if (topic == NULL)
        return RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (new_partition_count <= topic->partition_count)
        return RJ_KAFKA_INVALID_PARTITIONS;
    int16_t error = mock_grow_topic(cluster, topic, new_partition_count);
    mock_flush_connections(cluster);
    return error;
}

int16_t mock_delete_topic(struct mock_cluster *cluster, const char *name)
{
    struct topic *topic = mock_find_topic(cluster, view(name));
    if (topic == NULL)
        return RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int16_t error = mock_remove_topic(cluster, topic);
    mock_flush_connections(cluster);
    return error;
}

int32_t mock_partition_count(const struct mock_cluster *cluster, const char *name)
{
    const struct topic *topic = mock_find_topic(cluster, view(name));
    return topic ? topic->partition_count : -1;
}

static struct log *log_of(const struct mock_cluster *cluster, const char *name, int32_t partition)
{
    const struct topic *topic = mock_find_topic(cluster, view(name));
    return topic ? mock_find_log(topic, partition) : NULL;
}

bool mock_log_range(const struct mock_cluster *cluster, const char *name, int32_t partition, int64_t *start_offset,
                    int64_t *end_offset)
{
    struct log *log = log_of(cluster, name, partition);
    if (log == NULL)
        return false;
    *start_offset = log->start_offset;
    *end_offset = log->end_offset;
    return true;
}

struct rj_bytes mock_read(const struct mock_cluster *cluster, const char *name, int32_t partition, int64_t offset)
{
    struct log *log = log_of(cluster, name, partition);
    return log ? mock_log_read(log, offset, INT32_MAX, true) : RJ_EMPTY_BYTES;
}
