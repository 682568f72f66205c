/* The files of a data directory: writing them, cutting them back, and reading what a killed process left. */
#include "mock/storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_LIMIT = 256 }; /* descriptors are for connections; a file that is not open is opened when it is written */

static const char log_name[] = "00000000000000000000.log"; /* a segment by its first offset; there is only the first */

/* ---- Small helpers ----------------------------------------------------------------------------------------------- */

const char *mock_storage_path(char room[PATH_ROOM], const char *folder, const char *name)
{
    if (snprintf(room, PATH_ROOM, "%s/%s", folder, name) >= PATH_ROOM)
        *room = 0;
    return room;
}

static bool write_all(int fd, const uint8_t *bytes, size_t len, int64_t at)
{
    while (len > 0) {
        ssize_t written = pwrite(fd, bytes, len, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        len -= (size_t)written;
        at += written;
    }
    return true;
}

bool mock_file_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void go_offline(struct log_file *file, const char *what)
{
    struct storage *storage = file->cluster->storage;
    if (!storage->is_offline)
        mock_log_line(file->cluster, "%s/%s: %s: %s; nothing more is written to %s until the mock is started again",
                      file->folder, log_name, what, strerror(errno), storage->path);
    storage->is_offline = true;
}

/* The folder that a path stands in. */
static bool sync_parent(const char *path)
{
    char folder[PATH_ROOM];
    size_t len = (size_t)(strrchr(path, '/') - path);
    if (len >= sizeof(folder))
        return false;
    memcpy(folder, path, len);
    folder[len] = 0;
    return mock_file_sync_folder(folder);
}

bool mock_file_replace(const struct storage *storage, const char *path, const void *bytes, size_t len)
{
    char beside[PATH_ROOM + 4];
    snprintf(beside, sizeof(beside), "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    bool is_synced = storage->fsync != MOCK_FSYNC_NEVER;
    bool ok = write_all(fd, bytes, len, 0) && (!is_synced || fsync(fd) == 0);
    ok = close(fd) == 0 && ok;
    ok = ok && rename(beside, path) == 0;
    if (!ok) {
        int error = errno;
        unlink(beside);
        errno = error;
        return false;
    }
    return !is_synced || sync_parent(path);
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

void mock_file_close(struct storage *storage, struct log_file *file)
{
    if (file->fd < 0)
        return;
    if (file->is_unsynced && storage->fsync != MOCK_FSYNC_NEVER)
        mock_file_sync(storage, file);
    close(file->fd);
    file->fd = -1;
    storage->open_count--;
}

/* Kafka's file of this name: the id tells the topic from one of the same name that was deleted before. */
static bool write_topic_id(const struct storage *storage, const struct log_file *file)
{
    char path[PATH_ROOM], text[64], id[UUID_TEXT_LEN + 1];
    mock_uuid_print(&file->topic_id, id);
    int len = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id);
    return mock_file_replace(storage, mock_storage_path(path, file->folder, "partition.metadata"), text, (size_t)len);
}

static bool create_folder(const struct storage *storage, struct log_file *file)
{
    if (mkdir(file->folder, 0777) != 0 && errno != EEXIST)
        return false;
    return write_topic_id(storage, file) && (storage->fsync == MOCK_FSYNC_NEVER || sync_parent(file->folder));
}

/* Opens the file for writing, with its folder where it is new. */
static bool open_file(struct storage *storage, struct log_file *file)
{
    char path[PATH_ROOM];
    if (file->fd >= 0)
        return true;
    if (storage->open_count >= OPEN_LIMIT)
        for (struct log_file *other = storage->files; other != NULL; other = other->next)
            mock_file_close(storage, other);
    if (!file->exists && !create_folder(storage, file))
        return false;
    file->fd = open(mock_storage_path(path, file->folder, log_name), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return false;
    storage->open_count++;
    if (!file->exists && storage->fsync != MOCK_FSYNC_NEVER && !mock_file_sync_folder(file->folder))
        return false;
    file->exists = true;
    return true;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

void mock_file_cut(struct storage *storage, struct log_file *file, int64_t len)
{
    (void)storage;
    if (file->fd < 0 || ftruncate(file->fd, len) != 0)
        go_offline(file, "cannot be cut back");
    file->len = len;
}

int16_t mock_file_write(struct storage *storage, struct log_file *file)
{
    if (storage->is_offline)
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    if (file->len + (int64_t)file->waiting.len > INT32_MAX) { /* as far as Kafka's tools read a segment */
        mock_log_line(file->cluster, "%s/%s: would grow beyond 2 GiB; the append is refused", file->folder, log_name);
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    if (!open_file(storage, file) || !write_all(file->fd, file->waiting.data, file->waiting.len, file->len)) {
        mock_log_line(file->cluster, "%s/%s: cannot append %zu bytes at byte %lld: %s", file->folder, log_name,
                      file->waiting.len, (long long)file->len, strerror(errno));
        if (file->fd >= 0)
            mock_file_cut(storage, file, file->len);
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    file->len += (int64_t)file->waiting.len;
    file->is_unsynced = true;
    return RJ_KAFKA_NONE;
}

/* What an fsync that failed has left in the cache is unknown (a second one would succeed and mean nothing). */
int16_t mock_file_sync(struct storage *storage, struct log_file *file)
{
    if (!file->is_unsynced)
        return RJ_KAFKA_NONE;
    if (storage->is_offline || file->fd < 0 || fdatasync(file->fd) != 0) {
        go_offline(file, "cannot be forced to disk");
        return RJ_KAFKA_KAFKA_STORAGE_ERROR;
    }
    file->is_unsynced = false;
    return RJ_KAFKA_NONE;
}

/* ---- Compaction -------------------------------------------------------------------------------------------------- */

/* Compaction may take the last records away; an empty batch keeps the next offset, as Kafka's cleaner does it. */
static bool add_end_mark(struct buffer *contents, int64_t end_offset)
{
    struct rj_batch_writer writer;
    size_t len = 0;
    if (!mock_buffer_reserve(contents, RJ_BATCH_HEADER_LEN))
        return false;
    rj_batch_begin(&writer, 2, end_offset - 1, contents->data + contents->len, RJ_BATCH_HEADER_LEN);
    if (rj_batch_finish(&writer, NULL, &len, NULL) != RJ_OK)
        return false;
    contents->len += len;
    return true;
}

static bool contents_of(const struct log *log, struct buffer *contents)
{
    int64_t next_offset = log->start_offset;
    for (int32_t s = 0; s < log->segment_count; s++) {
        const struct log_segment *segment = &log->segments[s];
        if (!mock_buffer_append(contents, segment->bytes, segment->len))
            return false;
        if (segment->entry_count > 0)
            next_offset = segment->entries[segment->entry_count - 1].last_offset + 1;
    }
    return next_offset >= log->end_offset || add_end_mark(contents, log->end_offset);
}

void mock_storage_rewrite(struct mock_cluster *cluster, struct log *log)
{
    struct storage *storage = cluster->storage;
    struct log_file *file = log->file;
    struct buffer contents = {0};
    char path[PATH_ROOM];
    if (!storage->is_offline && file->exists && contents_of(log, &contents)) {
        if (mock_file_replace(storage, mock_storage_path(path, file->folder, log_name), contents.data, contents.len)) {
            if (file->fd >= 0) { /* of the old one */
                close(file->fd);
                file->fd = -1;
                storage->open_count--;
            }
            file->is_unsynced = false;
            file->len = (int64_t)contents.len;
        } else {
            mock_log_line(cluster, "%s: cannot be replaced by its compacted contents: %s; it stays as it is", path,
                          strerror(errno));
        }
    }
    mock_buffer_free(&contents);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static int64_t int64_at(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

static struct rj_bytes view(const uint8_t *bytes, int64_t len)
{
    return (struct rj_bytes){bytes, len > INT32_MAX ? INT32_MAX : (int32_t)len};
}

/* Where a whole batch of a later offset begins behind position; -1: nowhere, so that what stands at position is the
 * end of a write that was cut short. */
static int64_t find_batch_behind(const uint8_t *bytes, int64_t len, int64_t position, int64_t offset)
{
    enum { MAGIC_AT = 16 };
    struct rj_record_batch batch;
    for (int64_t at = position + 1; at + RJ_BATCH_HEADER_LEN <= len; at++)
        if (bytes[at + MAGIC_AT] == 2 && int64_at(bytes + at) > offset &&
            rj_batch_read(view(bytes + at, len - at), &batch, NULL) == RJ_OK)
            return at;
    return -1;
}

static bool take_stored(struct mock_cluster *cluster, struct log *log, const struct rj_record_batch *batch,
                        const uint8_t *bytes)
{
    if (batch->record_count > 0) {
        struct log_batch entry = mock_log_batch_of(batch, bytes);
        log->end_offset = batch->base_offset;
        if (mock_log_append(log, &entry) < 0)
            return false;
        cluster->records_len += entry.len;
    }
    log->end_offset = batch->base_offset + batch->last_offset_delta + 1;
    return true;
}

/* Where reading ended: at the end of the bytes, or at what is not the next batch. */
struct stop { int64_t position; const char *why; bool is_whole; /* a good batch, but not the next one */ };

/* false: no memory. */
static bool take_batches(struct log_file *file, const uint8_t *bytes, int64_t len, struct stop *stop)
{
    struct rj_record_batch batch;
    *stop = (struct stop){0};
    while (stop->position < len) {
        enum rj_err err = rj_batch_read(view(bytes + stop->position, len - stop->position), &batch, NULL);
        stop->is_whole = err == RJ_OK && (batch.magic != 2 || batch.base_offset < file->log->end_offset);
        stop->why = stop->is_whole ? "a batch that belongs elsewhere" : rj_err_sentence(err);
        if (err != RJ_OK || stop->is_whole)
            return true;
        if (!take_stored(file->cluster, file->log, &batch, bytes + stop->position))
            return false;
        stop->position += (int64_t)batch.len;
    }
    return true;
}

static bool read_bytes(struct log_file *file, const uint8_t *bytes, int64_t len, char *error, size_t error_len)
{
    struct stop stop;
    if (!take_batches(file, bytes, len, &stop)) {
        snprintf(error, error_len, "%s/%s: no memory for its records", file->folder, log_name);
        return false;
    }
    file->len = stop.position;
    if (stop.position == len)
        return true;
    long long at = stop.position, offset = file->log->end_offset;
    int64_t behind = stop.is_whole ? stop.position : find_batch_behind(bytes, len, stop.position, offset);
    if (behind >= 0) {
        snprintf(error, error_len,
                 "%s/%s: byte %lld, where offset %lld is due: %s, and there is a whole batch at byte %lld, so that it "
                 "is no write that was cut short. 'truncate -s %lld' makes it readable and loses what is behind",
                 file->folder, log_name, at, offset, stop.why, (long long)behind, at);
        return false;
    }
    mock_log_line(file->cluster, "%s/%s: the last %lld bytes, from byte %lld on where offset %lld is due, are no whole "
                  "batch (%s) and are cut off", file->folder, log_name, (long long)len - at, at, offset, stop.why);
    return true;
}

static bool cannot_read(const char *path, char *error, size_t error_len)
{
    snprintf(error, error_len, "%s: cannot be read: %s", path, strerror(errno));
    return false;
}

bool mock_file_read(struct log_file *file, char *error, size_t error_len)
{
    char path[PATH_ROOM];
    struct stat what;
    int fd = open(mock_storage_path(path, file->folder, log_name), O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true; /* nothing was ever appended */
    file->exists = fd >= 0;
    if (fd < 0 || fstat(fd, &what) != 0)
        return cannot_read(path, error, error_len);
    void *bytes = what.st_size > 0 ? mmap(NULL, (size_t)what.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    bool ok = bytes != MAP_FAILED ? read_bytes(file, bytes, what.st_size, error, error_len)
                                  : cannot_read(path, error, error_len);
    if (what.st_size > 0 && bytes != MAP_FAILED)
        munmap(bytes, (size_t)what.st_size);
    if (ok && file->len < what.st_size && ftruncate(fd, file->len) != 0)
        ok = cannot_read(path, error, error_len);
    close(fd);
    return ok;
}
