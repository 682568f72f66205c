/* Appends of a cluster with a data directory: all of one turn of the loop are written together. */
#include "mock/storage/storage.h"

#include <stdlib.h>
#include <string.h>

bool mock_storage_is_waiting(const struct log *log) { return log->file != NULL && log->file->is_waiting; }

/* ---- Taking them in ---------------------------------------------------------------------------------------------- */

static void turn_ends(uv_check_t *check)
{
    struct mock_cluster *cluster = check->data;
    struct storage *storage = cluster->storage;
    if (cluster->depth == 0)
        rj_arena_reset(&cluster->arena);
    mock_storage_sync(cluster);
    mock_flush_connections(cluster);
    if (storage->append_count > 0)
        return; /* what was answered, or what came in behind it, appended again: the next turn */
    uv_check_stop(&storage->check);
    uv_idle_stop(&storage->idle);
    storage->is_turning = false;
}

static void stay_awake(uv_idle_t *idle) { (void)idle; }

static struct waiting_append *new_append(struct storage *storage)
{
    if (storage->append_count == storage->append_capacity) {
        storage->append_capacity = storage->append_capacity ? storage->append_capacity * 2 : 64;
        storage->appends = rejoin_realloc(storage->appends, storage->append_capacity * sizeof(*storage->appends));
    }
    if (!storage->is_turning && !storage->is_closing) {
        uv_check_start(&storage->check, turn_ends);
        uv_idle_start(&storage->idle, stay_awake);
        storage->is_turning = true;
    }
    return &storage->appends[storage->append_count++];
}

/* Puts the batch behind those that wait for the file; *base_offset is what it will have. 0 or Kafka's error. */
static int16_t take_batch(struct storage *storage, struct log_file *file, struct rj_bytes bytes, int64_t *base_offset)
{
    struct mock_cluster *cluster = file->cluster;
    struct rj_record_batch batch;
    size_t taken_len = cluster->records_len + file->waiting.len;
    if (rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    if (taken_len > cluster->options.limits.records_len || batch.len > cluster->options.limits.records_len - taken_len ||
        !mock_buffer_append(&file->waiting, bytes.data, batch.len))
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    if (!file->is_waiting) {
        file->next_offset = file->log->end_offset;
        file->next_waiting = storage->waiting;
        storage->waiting = file;
        file->is_waiting = true;
    }
    *base_offset = file->next_offset;
    rj_batch_assign(file->waiting.data + file->waiting.len - batch.len, *base_offset, 0);
    file->next_offset += batch.last_offset_delta + 1;
    return RJ_KAFKA_NONE;
}

void mock_storage_append(struct mock_cluster *cluster, struct log *log, struct rj_bytes batch, int16_t error_code,
                         storage_done *done, void *context, uint64_t number)
{
    struct storage *storage = cluster->storage;
    size_t at = log->file->waiting.len;
    int64_t base_offset = -1;
    if (error_code == RJ_KAFKA_NONE)
        error_code = take_batch(storage, log->file, batch, &base_offset);
    *new_append(storage) = (struct waiting_append){
        .file = log->file, .at = at, .len = log->file->waiting.len - at, .error_code = error_code,
        .base_offset = base_offset, .done = done, .context = context, .number = number};
}

static void empty_buffer(struct buffer *buffer)
{
    enum { KEPT_LEN = 16 * 1024 };
    buffer->len = 0;
    if (buffer->capacity > KEPT_LEN)
        mock_buffer_free(buffer);
}

/* ---- Writing them ------------------------------------------------------------------------------------------------ */

static void write_files(struct storage *storage, struct log_file *files)
{
    for (struct log_file *file = files; file != NULL; file = file->next_waiting)
        file->error_code = mock_file_write(storage, file);
    if (storage->fsync != MOCK_FSYNC_ALWAYS)
        return;
    for (struct log_file *file = files; file != NULL; file = file->next_waiting)
        if (file->error_code == RJ_KAFKA_NONE)
            file->error_code = mock_file_sync(storage, file);
}

/* The batch is on disk: into the log in memory with it. */
static int16_t commit_append(struct mock_cluster *cluster, const struct waiting_append *append)
{
    struct log_file *file = append->file;
    struct rj_bytes bytes = {file->waiting.data + append->at, (int32_t)append->len};
    struct rj_record_batch batch;
    if (file->error_code != RJ_KAFKA_NONE)
        return file->error_code;
    if (rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    struct log_batch entry = mock_log_batch_of(&batch, bytes.data);
    int64_t base_offset;
    file->error_code = mock_append_in_memory(cluster, file->log, &entry, &base_offset);
    if (file->error_code != RJ_KAFKA_NONE) /* what nobody can read must not be there either */
        mock_file_cut(cluster->storage, file, file->len - (int64_t)(file->waiting.len - append->at));
    return file->error_code;
}

void mock_storage_sync(struct mock_cluster *cluster)
{
    struct storage *storage = cluster->storage;
    struct waiting_append *appends = storage->appends;
    struct log_file *files = storage->waiting;
    size_t count = storage->append_count;
    storage->appends = NULL; /* those who are told may append again */
    storage->append_count = storage->append_capacity = 0;
    storage->waiting = NULL;
    write_files(storage, files);
    for (size_t i = 0; i < count; i++)
        if (appends[i].error_code == RJ_KAFKA_NONE)
            appends[i].error_code = commit_append(cluster, &appends[i]);
    for (struct log_file *file = files, *next; file != NULL; file = next) {
        next = file->next_waiting;
        file->is_waiting = false;
        file->next_waiting = NULL;
        empty_buffer(&file->waiting);
    }
    for (size_t i = 0; i < count; i++) {
        bool failed = appends[i].error_code != RJ_KAFKA_NONE;
        appends[i].done(cluster, appends[i].context, appends[i].number, appends[i].error_code,
                        failed ? -1 : appends[i].base_offset);
    }
    free(appends);
}

struct now { int16_t error_code; int64_t base_offset; };

static void note_now(struct mock_cluster *cluster, void *context, uint64_t number, int16_t error_code,
                     int64_t base_offset)
{
    (void)cluster;
    (void)number;
    *(struct now *)context = (struct now){error_code, base_offset};
}

int16_t mock_storage_append_now(struct mock_cluster *cluster, struct log *log, struct rj_bytes batch,
                                int64_t *base_offset)
{
    struct now now = {RJ_KAFKA_NONE, -1};
    mock_storage_append(cluster, log, batch, RJ_KAFKA_NONE, note_now, &now, 0);
    mock_storage_sync(cluster);
    *base_offset = now.base_offset;
    return now.error_code;
}
