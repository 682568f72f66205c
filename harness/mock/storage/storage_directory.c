/* The data directory as a whole: its lock, cluster.json, the folders of partitions. */
#include "mock/storage/storage.h"
#include "mock/topic_configs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT_VERSION = 1, PRODUCER_ID_BLOCK_LEN = 1000 /* as Kafka's brokers take them */ };

static const char *path_in(const struct storage *storage, const char *name, char *room)
{
    return mock_storage_path(room, storage->path, name);
}

/* ---- The lock ---------------------------------------------------------------------------------------------------- */

/* What a directory that is used for the first time may hold. */
static bool is_empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    bool is_empty = folder != NULL;
    for (const struct dirent *entry; is_empty && (entry = readdir(folder)) != NULL;)
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                   strcmp(entry->d_name, ".lock") == 0 || strcmp(entry->d_name, "cluster.json.new") == 0;
    if (folder != NULL)
        closedir(folder);
    return is_empty;
}

/* Kafka locks the same file in the same way: neither starts on a directory that the other uses. */
static bool take_lock(struct storage *storage, char *error, size_t error_len)
{
    char path[PATH_ROOM], owner[24] = "";
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    storage->lock_fd = open(path_in(storage, ".lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (storage->lock_fd < 0) {
        snprintf(error, error_len, "%s: %s", path, strerror(errno));
        return false;
    }
    if (fcntl(storage->lock_fd, F_OFD_SETLK, &whole) != 0) {
        ssize_t len = pread(storage->lock_fd, owner, sizeof(owner) - 1, 0);
        owner[len > 0 ? len : 0] = 0;
        owner[strcspn(owner, "\n")] = 0;
        snprintf(error, error_len, "%s: in use by another process%s%s", storage->path, *owner ? ", " : "", owner);
        return false;
    }
    int len = snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
    if (ftruncate(storage->lock_fd, 0) != 0 || pwrite(storage->lock_fd, owner, (size_t)len, 0) != len) {
        snprintf(error, error_len, "%s: cannot be written: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static enum mock_start take_directory(struct storage *storage, char *error, size_t error_len)
{
    char path[PATH_ROOM];
    if (strlen(storage->path) > FOLDER_LIMIT_LEN) {
        snprintf(error, error_len, "the data directory's path is longer than %d bytes", FOLDER_LIMIT_LEN);
        return MOCK_BAD_OPTION;
    }
    if (mkdir(storage->path, 0777) != 0 && errno != EEXIST) {
        snprintf(error, error_len, "%s: cannot be made: %s", storage->path, strerror(errno));
        return MOCK_CANNOT_STORE;
    }
    if (access(path_in(storage, "cluster.json", path), F_OK) != 0 && !is_empty_folder(storage->path)) {
        snprintf(error, error_len, "%s: is not empty and has no cluster.json: it was not written by rejoin",
                 storage->path);
        return MOCK_BAD_DATA;
    }
    return take_lock(storage, error, error_len) ? MOCK_STARTED : MOCK_CANNOT_STORE;
}

/* ---- cluster.json ------------------------------------------------------------------------------------------------ */

static json_t *json_of_topic(const struct topic *topic)
{
    char id[UUID_TEXT_LEN + 1];
    mock_uuid_print(&topic->topic_id, id);
    json_t *configs = json_object();
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (mock_topic_config(topic->configs, i) != NULL)
            json_object_set_new(configs, mock_topic_config_rows[i].name,
                                json_string(mock_topic_config(topic->configs, i)));
    return json_pack("{s:s,s:s,s:i,s:i,s:i,s:b,s:o}", "name", topic->name, "id", id, "partitions",
                     topic->partition_count, "replication_factor", topic->replication_factor, "first_leader",
                     topic->first_leader, "internal", topic->is_internal, "configs", configs);
}

static json_t *json_of_cluster(const struct mock_cluster *cluster, const struct topic *without)
{
    json_t *topics = json_array(), *leaders = json_array();
    for (int32_t i = 0; i < cluster->topic_count; i++)
        if (cluster->topics[i] != without)
            json_array_append_new(topics, json_of_topic(cluster->topics[i]));
    for (int i = 0; i < OFFSETS_PARTITION_COUNT; i++)
        json_array_append_new(leaders, json_integer(cluster->coordinators[i].broker_id));
    return json_pack("{s:i,s:s,s:I,s:o,s:o}", "version", FORMAT_VERSION, "cluster_id", cluster->cluster_id,
                     "next_producer_id", (json_int_t)cluster->storage->reserved_producer_id, "coordinators", leaders,
                     "topics", topics);
}

int16_t mock_storage_save(struct mock_cluster *cluster, const struct topic *without)
{
    struct storage *storage = cluster->storage;
    char path[PATH_ROOM];
    if (!storage->is_open)
        return RJ_KAFKA_NONE; /* what is being read need not be written */
    if (storage->is_offline)
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    json_t *document = json_of_cluster(cluster, without);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    bool ok = text != NULL && mock_file_replace(storage, path_in(storage, "cluster.json", path), text, strlen(text));
    if (!ok)
        mock_log_line(cluster, "%s/cluster.json: cannot be written: %s", storage->path, strerror(errno));
    free(text);
    json_decref(document);
    return ok ? RJ_KAFKA_NONE : RJ_KAFKA_KAFKA_STORAGE_ERROR;
}

int64_t mock_storage_next_producer_id(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    if (cluster->next_producer_id >= storage->reserved_producer_id) {
        storage->reserved_producer_id = cluster->next_producer_id + PRODUCER_ID_BLOCK_LEN;
        if (mock_storage_save(cluster, NULL) != RJ_KAFKA_NONE) {
            storage->reserved_producer_id = cluster->next_producer_id;
            return -1;
        }
    }
    return cluster->next_producer_id++;
}

/* ---- The folders of partitions ----------------------------------------------------------------------------------- */

bool mock_storage_attach(struct mock_cluster *cluster, const struct topic *topic, int32_t partition)
{
    struct storage *storage = cluster->storage;
    struct log_file *file = calloc(1, sizeof(*file));
    char name[512], folder[PATH_ROOM];
    snprintf(name, sizeof(name), "%s-%d", topic->name, partition);
    path_in(storage, name, folder);
    if (file == NULL || (file->folder = strdup(folder)) == NULL) {
        free(file);
        return false;
    }
    file->cluster = cluster;
    file->log = topic->partitions[partition];
    file->topic_id = topic->topic_id;
    file->fd = -1;
    file->next = storage->files;
    if (file->next != NULL)
        file->next->previous = file;
    storage->files = file;
    file->log->file = file;
    return true;
}

static void free_file(struct storage *storage, struct log_file *file)
{
    mock_file_close(storage, file);
    if (file->next != NULL)
        file->next->previous = file->previous;
    if (file->previous != NULL)
        file->previous->next = file->next;
    else
        storage->files = file->next;
    mock_buffer_free(&file->waiting);
    free(file->folder);
    free(file);
}

/* Of a partition's folder: only what is written into one, so that nothing else can get lost. */
static void remove_folder(const char *folder)
{
    static const char *const names[] = {"00000000000000000000.log", "00000000000000000000.log.new",
                                        "partition.metadata", "partition.metadata.new"};
    char path[PATH_ROOM];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(mock_storage_path(path, folder, names[i]));
    }
    rmdir(folder);
}

void mock_storage_remove_topic(struct mock_cluster *cluster, struct topic *topic)
{
    struct storage *storage = cluster->storage;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct log_file *file = topic->partitions[i]->file;
        if (file == NULL)
            continue;
        file->is_unsynced = false; /* nobody will read it */
        if (file->exists)
            remove_folder(file->folder);
        free_file(storage, file);
        topic->partitions[i]->file = NULL;
    }
}

/* The topic id in a partition's folder; false: there is none. */
static bool read_topic_id(const char *folder, struct rj_uuid *topic_id)
{
    char path[PATH_ROOM], text[128] = "", id[UUID_TEXT_LEN + 1];
    FILE *file = fopen(mock_storage_path(path, folder, "partition.metadata"), "r");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return sscanf(text, "version: 0\ntopic_id: %22s", id) == 1 && mock_uuid_parse(id, topic_id);
}

/* The topic that a folder's name speaks of, by its last '-'; NULL: none. */
static const struct topic *topic_of_folder(const struct mock_cluster *cluster, const char *name)
{
    const char *dash = strrchr(name, '-');
    char *end = NULL;
    long partition = dash ? strtol(dash + 1, &end, 10) : -1;
    if (dash == NULL || dash[1] == 0 || *end != 0)
        return NULL;
    const struct topic *topic = mock_find_topic(cluster, (struct rj_string){name, (int32_t)(dash - name)});
    return topic != NULL && partition >= 0 && partition < topic->partition_count ? topic : NULL;
}

/* Folders of topics that cluster.json does not know, or knows by another id: the mock was killed while it deleted them,
 * or had made the first of a new topic's. */
static void remove_leftovers(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    DIR *directory = opendir(storage->path);
    char folder[PATH_ROOM];
    struct rj_uuid topic_id;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const struct topic *topic = topic_of_folder(cluster, entry->d_name);
        if (entry->d_name[0] == '.' || !read_topic_id(path_in(storage, entry->d_name, folder), &topic_id) ||
            (topic != NULL && rj_uuid_equal(&topic->topic_id, &topic_id)))
            continue;
        mock_log_line(cluster, "%s: of a topic that was deleted; it goes too", folder);
        remove_folder(folder);
    }
    if (directory != NULL)
        closedir(directory);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* Directories of before there were settings have none. One that the release of today does not know is left out, as
 * brokers that are upgraded do, and told. */
static bool read_configs(struct mock_cluster *cluster, const char *topic, json_t *entry, struct topic_configs *configs)
{
    char why[512];
    const char *name;
    json_t *value;
    json_object_foreach(entry, name, value) {
        const char *text = json_string_value(value);
        struct rj_string view = {name, (int32_t)strlen(name)};
        if (text == NULL)
            return false;
        if (mock_set_topic_config(cluster, configs, view, (struct rj_string){text, (int32_t)strlen(text)}, why,
                                  sizeof(why)) != RJ_KAFKA_NONE)
            mock_log_line(cluster, "%s/cluster.json: topic %s: %s; the setting goes", cluster->storage->path, topic,
                          why);
    }
    return entry == NULL || json_is_object(entry);
}

static bool read_topic(struct mock_cluster *cluster, json_t *entry)
{
    const char *name, *id;
    int partition_count, replication_factor, first_leader, is_internal;
    json_t *configs = NULL;
    struct rj_uuid topic_id;
    if (json_unpack(entry, "{s:s,s:s,s:i,s:i,s:i,s:b,s?o}", "name", &name, "id", &id, "partitions", &partition_count,
                    "replication_factor", &replication_factor, "first_leader", &first_leader, "internal",
                    &is_internal, "configs", &configs) != 0 || !mock_uuid_parse(id, &topic_id) || first_leader < 0)
        return false;
    struct topic_plan plan = {
        .name = {name, (int32_t)strlen(name)}, .topic_id = &topic_id, .is_internal = is_internal,
        .partition_count = partition_count, .replication_factor = (int16_t)replication_factor,
        .first_leader = first_leader, .configs = mock_topic_configs_copy(NULL)};
    if (read_configs(cluster, name, configs, plan.configs))
        return mock_add_planned_topic(cluster, &plan) == RJ_KAFKA_NONE;
    mock_topic_configs_free(plan.configs);
    return false;
}

static void read_leaders(struct mock_cluster *cluster, json_t *leaders)
{
    for (size_t i = 0; i < OFFSETS_PARTITION_COUNT && i < json_array_size(leaders); i++) {
        json_int_t broker_id = json_integer_value(json_array_get(leaders, i));
        if (broker_id >= 0 && broker_id < cluster->options.broker_count) /* else there are fewer brokers today */
            cluster->coordinators[i].broker_id = (int32_t)broker_id;
    }
}

static bool read_document(struct mock_cluster *cluster, json_t *document, const char *path, char *error,
                          size_t error_len)
{
    int version;
    const char *cluster_id;
    json_int_t next_producer_id;
    json_t *leaders, *topics, *entry;
    json_error_t problem;
    struct rj_uuid id;
    size_t i;
    if (json_unpack_ex(document, &problem, 0, "{s:i,s:s,s:I,s:o,s:o}", "version", &version, "cluster_id", &cluster_id,
                       "next_producer_id", &next_producer_id, "coordinators", &leaders, "topics", &topics) != 0) {
        snprintf(error, error_len, "%s: %s", path, problem.text);
        return false;
    }
    if (version != FORMAT_VERSION || !mock_uuid_parse(cluster_id, &id)) {
        snprintf(error, error_len, "%s: version %d with cluster id '%s': expected version %d and a uuid in base64",
                 path, version, cluster_id, FORMAT_VERSION);
        return false;
    }
    strcpy(cluster->cluster_id, cluster_id);
    cluster->next_producer_id = cluster->storage->reserved_producer_id = next_producer_id;
    read_leaders(cluster, leaders);
    json_array_foreach(topics, i, entry)
        if (!read_topic(cluster, entry)) {
            snprintf(error, error_len, "%s: topics[%zu] is not what was written there, or is beyond a limit", path, i);
            return false;
        }
    return true;
}

static bool read_cluster(struct mock_cluster *cluster, char *error, size_t error_len)
{
    struct storage *storage = cluster->storage;
    char path[PATH_ROOM];
    json_error_t problem;
    if (access(path_in(storage, "cluster.json", path), F_OK) != 0)
        return true; /* a new one */
    json_t *document = json_load_file(path, 0, &problem);
    if (document == NULL) {
        snprintf(error, error_len, "%s:%d:%d: %s", path, problem.line, problem.column, problem.text);
        return false;
    }
    bool ok = read_document(cluster, document, path, error, error_len);
    json_decref(document);
    return ok;
}

static bool read_logs(struct mock_cluster *cluster, char *error, size_t error_len)
{
    for (struct log_file *file = cluster->storage->files; file != NULL; file = file->next)
        if (!mock_file_read(file, error, error_len))
            return false;
    return true;
}

static void fsync_all(uv_timer_t *timer)
{
    struct mock_cluster *cluster = timer->data;
    for (struct log_file *file = cluster->storage->files; file != NULL; file = file->next)
        mock_file_sync(cluster->storage, file);
}

static void start_handles(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    uv_idle_init(cluster->loop, &storage->idle);
    uv_check_init(cluster->loop, &storage->check);
    uv_timer_init(cluster->loop, &storage->fsync_timer);
    storage->idle.data = storage->check.data = storage->fsync_timer.data = cluster;
    cluster->open_handles += 3;
    if (storage->fsync == MOCK_FSYNC_INTERVAL) {
        uint64_t interval_ms = (uint64_t)cluster->options.fsync_interval_ms;
        uv_timer_start(&storage->fsync_timer, fsync_all, interval_ms, interval_ms);
    }
}

enum mock_start mock_storage_open(struct mock_cluster *cluster, char *error, size_t error_len)
{
    struct storage *storage = rejoin_alloc_zeroed(1, sizeof(*storage));
    cluster->storage = storage;
    storage->path = rejoin_strdup(cluster->options.data_dir);
    storage->lock_fd = -1;
    storage->fsync = cluster->options.fsync;
    storage->reserved_producer_id = cluster->next_producer_id;
    start_handles(cluster);
    enum mock_start taken = take_directory(storage, error, error_len);
    if (taken != MOCK_STARTED)
        return taken;
    if (!read_cluster(cluster, error, error_len))
        return MOCK_BAD_DATA;
    remove_leftovers(cluster);
    if (!read_logs(cluster, error, error_len))
        return MOCK_BAD_DATA;
    storage->is_open = true;
    if (mock_storage_save(cluster, NULL) == RJ_KAFKA_NONE)
        return MOCK_STARTED;
    snprintf(error, error_len, "%s/cluster.json: cannot be written", storage->path);
    return MOCK_CANNOT_STORE;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void handle_closed(uv_handle_t *handle) { mock_handle_closed(handle->data); }

void mock_storage_close(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    mock_storage_sync(cluster);
    storage->is_closing = true;
    uv_close((uv_handle_t *)&storage->idle, handle_closed);
    uv_close((uv_handle_t *)&storage->check, handle_closed);
    uv_close((uv_handle_t *)&storage->fsync_timer, handle_closed);
}

void mock_storage_free(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    while (storage->files != NULL)
        free_file(storage, storage->files);
    if (storage->lock_fd >= 0)
        close(storage->lock_fd);
    free(storage->appends);
    free(storage->path);
    free(storage);
}
