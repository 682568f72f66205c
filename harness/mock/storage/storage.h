/* The data directory: what a cluster keeps so that a restarted one is the same cluster, whenever it was killed.
 *
 *   DIR/.lock                                     held by the process that uses the directory
 *   DIR/cluster.json                              cluster id, topics with their ids and settings, producer ids given
 *                                                 out, which broker leads which partition of __consumer_offsets
 *   DIR/TOPIC-PARTITION/partition.metadata        the topic's id, as Kafka writes it
 *   DIR/TOPIC-PARTITION/00000000000000000000.log  record batches, as Kafka writes them: kafka-dump-log reads it
 *
 * A batch waits, with all others of the same turn of the loop, to be written with one write (and one fsync) a file.
 * Only then does it come into the partition's log in memory, where fetches and loading coordinators see it, and only
 * then is its appender told: what is read or acknowledged is on disk, and what could not be written was never there.
 *
 * Everything here is for a cluster with a data directory (cluster->storage not NULL). */
#ifndef REJOIN_MOCK_STORAGE_H
#define REJOIN_MOCK_STORAGE_H

#include "mock/internal.h"

enum { PATH_ROOM = 4096, FOLDER_LIMIT_LEN = 3000 }; /* of DIR; names in it are at most 260 bytes */
/* folder/name in room; empty where it would not fit. */
const char *mock_storage_path(char room[PATH_ROOM], const char *folder, const char *name);

/* What became of an append: 0 and the offset of the batch, or Kafka's error. It may append again. */
typedef void storage_done(struct mock_cluster *cluster, void *context, uint64_t number, int16_t error_code,
                          int64_t base_offset);

/* ---- Appending (storage.c) --------------------------------------------------------------------------------------- */

/* One batch of magic 2 that is known to be good; the bytes are copied. done is told once, never from within this call,
 * in the order of the calls. error_code not 0: nothing is written, done is told this error in its turn. */
void mock_storage_append(struct mock_cluster *cluster, struct log *log, struct rj_bytes batch, int16_t error_code,
                         storage_done *done, void *context, uint64_t number);
/* Writes all that waits and tells the appenders, now. Not while an update of a coordinator is being read. */
void mock_storage_sync(struct mock_cluster *cluster);
/* The same for one batch: 0 and its offset, or Kafka's error. */
int16_t mock_storage_append_now(struct mock_cluster *cluster, struct log *log, struct rj_bytes batch,
                                int64_t *base_offset);
bool mock_storage_is_waiting(const struct log *log); /* for bytes of this log to be written */

/* ---- The directory (storage_directory.c) ------------------------------------------------------------------------- */

/* Takes the directory (made where it is missing), and brings back its topics with their records. */
enum mock_start mock_storage_open(struct mock_cluster *cluster, char *error, size_t error_len);
void mock_storage_close(struct mock_cluster *cluster); /* writes what waits and closes the handles */
void mock_storage_free(struct mock_cluster *cluster);  /* lets go of the directory; when the handles are closed */
/* The topics as they are now, without one (NULL: all of them). 0, or 56: it could not be written. */
int16_t mock_storage_save(struct mock_cluster *cluster, const struct topic *without);
/* The partition's log gets a file (made when something is appended). false: no memory. */
bool mock_storage_attach(struct mock_cluster *cluster, const struct topic *topic, int32_t partition);
/* Its files; cluster.json was saved without it before. */
void mock_storage_remove_topic(struct mock_cluster *cluster, struct topic *topic);
int64_t mock_storage_next_producer_id(struct mock_cluster *cluster); /* -1: it could not be written down */
/* The log was compacted in memory: the file takes the same contents, at once or not at all. */
void mock_storage_rewrite(struct mock_cluster *cluster, struct log *log);

/* ---- Files (storage_files.c) -------------------------------------------------------------------------------------- */

struct log_file {
    struct mock_cluster *cluster;
    struct log *log;
    char *folder;             /* DIR/TOPIC-PARTITION */
    struct rj_uuid topic_id;
    int fd;                   /* -1: closed */
    int64_t len;              /* of whole batches */
    bool exists;              /* folder and file are there */
    bool is_unsynced;         /* written and not yet fsynced */
    struct buffer waiting;    /* batches of this turn */
    int64_t next_offset;      /* behind those */
    bool is_waiting;          /* in storage->waiting */
    struct log_file *next_waiting;
    struct log_file *next, *previous; /* all of them */
    int16_t error_code;       /* of this turn's write */
    size_t compact_at_len;    /* of __transaction_state: when its log has grown to that, it is compacted */
};

struct waiting_append {
    struct log_file *file;
    size_t at, len;           /* in file->waiting */
    int16_t error_code;
    int64_t base_offset;
    storage_done *done;
    void *context;
    uint64_t number;
};

struct storage {
    char *path;
    int lock_fd;
    bool is_open;             /* everything was read; what changes from now on is written */
    bool is_offline;          /* an fsync failed or a file could not be cut back: nothing is certain any more */
    enum mock_fsync fsync;
    int64_t reserved_producer_id; /* those below are written down as given out */
    struct log_file *files;
    int open_count;           /* of files with an fd */
    struct log_file *waiting;
    struct waiting_append *appends; /* in the order of their calls */
    size_t append_count, append_capacity;
    bool is_turning;          /* the handles below are at work */
    bool is_closing;          /* they are closed: what is appended now comes from the cluster's end and is let go */
    uv_idle_t idle;           /* keeps the loop from sleeping while something waits */
    uv_check_t check;         /* writes it when the turn has read what had come in */
    uv_timer_t fsync_timer;
};

/* Writes file->waiting behind the file's end. 0, or 56, and then the file is as it was. */
int16_t mock_file_write(struct storage *storage, struct log_file *file);
int16_t mock_file_sync(struct storage *storage, struct log_file *file); /* 0 or 56 */
void mock_file_cut(struct storage *storage, struct log_file *file, int64_t len);
void mock_file_close(struct storage *storage, struct log_file *file);
/* Reads the file's batches, where there is a file, into the log. A last batch that is not whole is cut off, with a line that says so. false:
 * something else is wrong, and error says where and what to do. */
bool mock_file_read(struct log_file *file, char *error, size_t error_len);
/* path becomes what bytes hold, or stays as it was: a file beside it takes its place. false: errno says why. */
bool mock_file_replace(const struct storage *storage, const char *path, const void *bytes, size_t len);
bool mock_file_sync_folder(const char *path);

#endif
