/* The data directory: what a restarted cluster still has, what a torn or corrupt file leads to, and a disk that fails. */
#include "support_mock.h"

#include "rejoin/records.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- A disk that fails ------------------------------------------------------------------------------------------- */

static struct { int write_errno, sync_errno, cut_errno; size_t room_len; int writes, syncs; } disk;

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t len);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t len);

/* As a file system that runs full does: what there is room for is written, the next write fails. */
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    disk.writes++;
    if (disk.write_errno == 0)
        return __real_pwrite(fd, bytes, len, at);
    if (disk.room_len == 0) {
        errno = disk.write_errno;
        return -1;
    }
    if (len > disk.room_len)
        len = disk.room_len;
    disk.room_len -= len;
    return __real_pwrite(fd, bytes, len, at);
}

int __wrap_fdatasync(int fd)
{
    disk.syncs++;
    errno = disk.sync_errno;
    return disk.sync_errno ? -1 : __real_fdatasync(fd);
}

int __wrap_ftruncate(int fd, off_t len)
{
    errno = disk.cut_errno;
    return disk.cut_errno ? -1 : __real_ftruncate(fd, len);
}

/* ---- Clusters on a directory ------------------------------------------------------------------------------------- */

struct setting {
    uv_loop_t loop;
    char folder[64];
    char said[8192]; /* all lines of the log */
    enum mock_fsync fsync;
    char error[1024];
};

static void hear(void *context, const char *line)
{
    struct setting *setting = context;
    size_t len = strlen(setting->said);
    snprintf(setting->said + len, sizeof(setting->said) - len, "%s\n", line);
}

static enum mock_start start(struct setting *setting, struct mock_cluster **cluster)
{
    struct mock_topic topic = {"t", 3};
    struct mock_options options;
    mock_options_init(&options);
    options.topics = &topic;
    options.topic_count = 1;
    options.broker_count = 2;
    options.data_dir = setting->folder;
    options.fsync = setting->fsync;
    options.log = hear;
    options.log_context = setting;
    setting->said[0] = setting->error[0] = 0;
    assert_int_equal(uv_loop_init(&setting->loop), 0);
    enum mock_start started = mock_start(cluster, &setting->loop, &options, setting->error, sizeof(setting->error));
    if (started != MOCK_STARTED) {
        uv_run(&setting->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&setting->loop), 0);
    }
    return started;
}

static struct mock_cluster *start_well(struct setting *setting)
{
    struct mock_cluster *cluster;
    enum mock_start started = start(setting, &cluster);
    if (started != MOCK_STARTED)
        print_message("%s\n", setting->error);
    assert_int_equal(started, MOCK_STARTED);
    return cluster;
}

static struct mock_cluster *restart(struct setting *setting, struct mock_cluster *cluster)
{
    support_stop(cluster, &setting->loop);
    return start_well(setting);
}

static int make_folder(void **state)
{
    struct setting *setting = calloc(1, sizeof(*setting));
    strcpy(setting->folder, "/tmp/rejoin-storage-XXXXXX");
    memset(&disk, 0, sizeof(disk));
    *state = setting;
    return mkdtemp(setting->folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    struct setting *setting = *state;
    char command[128];
    memset(&disk, 0, sizeof(disk));
    snprintf(command, sizeof(command), "rm -rf %s", setting->folder);
    int status = system(command);
    free(setting);
    return status;
}

/* The file in which the group's records are. */
static const char *group_file(const struct setting *setting, const char *group, char path[256])
{
    int32_t partition = rj_coordinator_partition((struct rj_string){group, (int32_t)strlen(group)}, 50);
    snprintf(path, 256, "%s/__consumer_offsets-%d/00000000000000000000.log", setting->folder, partition);
    return path;
}

static struct rj_bytes read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long len = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc((size_t)len + 1);
    assert_int_equal(fread(bytes, 1, (size_t)len, file), len);
    fclose(file);
    return (struct rj_bytes){bytes, (int32_t)len};
}

static void write_file(const char *path, struct rj_bytes bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, (size_t)bytes.len, file), bytes.len);
    fclose(file);
}

static int64_t produce(struct mock_cluster *cluster, int32_t partition, const char *value)
{
    int64_t start_offset, end_offset;
    struct rj_bytes bytes = {(const uint8_t *)value, (int32_t)strlen(value)};
    assert_int_equal(mock_append(cluster, "t", partition, RJ_NULL_BYTES, bytes), 0);
    assert_true(mock_log_range(cluster, "t", partition, &start_offset, &end_offset));
    return end_offset - 1;
}

/* ---- Restarts ---------------------------------------------------------------------------------------------------- */

static void a_restarted_cluster_is_the_same(void **state)
{
    struct setting *setting = *state;
    struct mock_cluster *cluster = start_well(setting);
    int64_t start_offset, end_offset;
    assert_int_equal(support_commit(cluster, "g", 0, 5), 0);
    assert_int_equal(support_commit(cluster, "g", 0, 7), 0);
    assert_int_equal(produce(cluster, 1, "first"), 0);
    assert_int_equal(produce(cluster, 1, "second"), 1);
    assert_int_equal(mock_create_topic(cluster, "made-later", 2), 0);
    assert_int_equal(mock_add_partitions(cluster, "made-later", 4), 0);
    assert_int_equal(mock_create_topic(cluster, "gone", 1), 0);
    assert_int_equal(mock_delete_topic(cluster, "gone"), 0);
    int32_t other = 1 - mock_coordinator_of(cluster, "g");
    assert_true(mock_move_coordinator(cluster, "g", other, 0));
    for (int i = 0; i < 3; i++) {
        cluster = restart(setting, cluster);
        assert_string_equal(setting->said, "");
        assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 7 + i);
        assert_int_equal(mock_partition_count(cluster, "made-later"), 4);
        assert_int_equal(mock_partition_count(cluster, "gone"), -1);
        assert_int_equal(mock_coordinator_of(cluster, "g"), other);
        assert_true(mock_log_range(cluster, "t", 1, &start_offset, &end_offset));
        assert_int_equal(end_offset, 2 + i);
        struct rj_record_batch batch;
        assert_int_equal(rj_batch_read(mock_read(cluster, "t", 1, 1), &batch, NULL), RJ_OK);
        assert_int_equal(batch.base_offset, 1);
        assert_int_equal(support_commit(cluster, "g", 0, 8 + i), 0);
        assert_int_equal(produce(cluster, 1, "another"), 2 + i);
    }
    support_stop(cluster, &setting->loop);
}

static void a_topic_made_again_has_none_of_the_old_records(void **state)
{
    struct setting *setting = *state;
    struct mock_cluster *cluster = start_well(setting);
    char path[256], command[600];
    produce(cluster, 0, "old");
    snprintf(path, sizeof(path), "%s/t-0", setting->folder);
    snprintf(command, sizeof(command), "cp -r %s %s.kept", path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(mock_delete_topic(cluster, "t"), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(mock_create_topic(cluster, "t", 3), 0);
    support_stop(cluster, &setting->loop);
    /* As if the mock had been killed before it removed the files. */
    snprintf(command, sizeof(command), "mv %s.kept %s", path, path);
    assert_int_equal(system(command), 0);
    cluster = start_well(setting);
    assert_non_null(strstr(setting->said, "/t-0: of a topic that was deleted"));
    assert_int_equal(produce(cluster, 0, "new"), 0);
    support_stop(cluster, &setting->loop);
}

static void a_directory_has_one_user(void **state)
{
    struct setting *setting = *state, other = *setting;
    struct mock_cluster *cluster = start_well(setting), *second;
    assert_int_equal(start(&other, &second), MOCK_CANNOT_STORE);
    assert_non_null(strstr(other.error, "in use by another process"));
    support_stop(cluster, &setting->loop);
    support_stop(start_well(&other), &other.loop);
}

static void a_foreign_directory_is_refused(void **state)
{
    struct setting *setting = *state;
    struct mock_cluster *cluster;
    char path[256];
    snprintf(path, sizeof(path), "%s/precious", setting->folder);
    write_file(path, (struct rj_bytes){(const uint8_t *)"x", 1});
    assert_int_equal(start(setting, &cluster), MOCK_BAD_DATA);
    assert_non_null(strstr(setting->error, "not written by rejoin"));
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/cluster.json", setting->folder);
    write_file(path, (struct rj_bytes){(const uint8_t *)"{\n \"version\": 1,\n]", 18});
    assert_int_equal(start(setting, &cluster), MOCK_BAD_DATA);
    assert_non_null(strstr(setting->error, "cluster.json:3:"));
}

/* ---- Torn and corrupt files -------------------------------------------------------------------------------------- */

enum { COMMITS = 12 };

static struct rj_bytes commit_some(struct setting *setting, char path[256])
{
    struct mock_cluster *cluster = start_well(setting);
    for (int i = 1; i <= COMMITS; i++)
        assert_int_equal(support_commit(cluster, "g", 0, i), 0);
    support_stop(cluster, &setting->loop);
    return read_file(group_file(setting, "g", path));
}

/* How many whole batches the first len bytes hold, and where they end. */
static int whole_batches(struct rj_bytes bytes, int32_t len, int32_t *end)
{
    struct rj_record_batch batch;
    int count = 0;
    *end = 0;
    while (rj_batch_read((struct rj_bytes){bytes.data + *end, len - *end}, &batch, NULL) == RJ_OK) {
        *end += (int32_t)batch.len;
        count++;
    }
    return count;
}

static int64_t latest_commit(int batch_count) { return batch_count > 0 ? batch_count : -1; }

static void a_tail_torn_anywhere_is_cut_off(void **state)
{
    struct setting *setting = *state;
    char path[256];
    struct rj_bytes whole = commit_some(setting, path);
    int32_t end;
    assert_int_equal(whole_batches(whole, whole.len, &end), COMMITS);
    for (int32_t len = 0; len < whole.len; len += len < 300 || len > whole.len - 150 ? 1 : 37) {
        write_file(path, (struct rj_bytes){whole.data, len});
        int count = whole_batches(whole, len, &end);
        struct mock_cluster *cluster = start_well(setting);
        assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), latest_commit(count));
        assert_int_equal(strstr(setting->said, "are cut off") != NULL, end < len);
        assert_int_equal(strstr(setting->said, path) != NULL, end < len);
        /* It goes on from there. */
        assert_int_equal(support_commit(cluster, "g", 0, 100), 0);
        cluster = restart(setting, cluster);
        assert_string_equal(setting->said, "");
        assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 100);
        support_stop(cluster, &setting->loop);
    }
    free((void *)(uintptr_t)whole.data);
}

/* The end of a file that a machine without power leaves: it has its length, but not its contents. */
static void zeros_and_rubbish_at_the_end_are_cut_off(void **state)
{
    struct setting *setting = *state;
    char path[256];
    struct rj_bytes whole = commit_some(setting, path);
    for (int rubbish = 0; rubbish < 2; rubbish++)
        for (int32_t more = 1; more < 400; more += 57) {
            uint8_t *longer = calloc((size_t)(whole.len + more), 1);
            memcpy(longer, whole.data, (size_t)whole.len);
            memset(longer + whole.len, rubbish ? 0xa5 : 0, (size_t)more);
            write_file(path, (struct rj_bytes){longer, whole.len + more});
            free(longer);
            struct mock_cluster *cluster = start_well(setting);
            assert_non_null(strstr(setting->said, "are cut off"));
            assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), COMMITS);
            support_stop(cluster, &setting->loop);
        }
    free((void *)(uintptr_t)whole.data);
}

static void a_corrupt_middle_is_an_error(void **state)
{
    struct setting *setting = *state;
    char path[256], expected[300];
    struct rj_bytes whole = commit_some(setting, path);
    uint8_t *bytes = (uint8_t *)(uintptr_t)whole.data;
    struct mock_cluster *cluster;
    int32_t end;
    for (int32_t at = 0; at < whole.len; at += 7) {
        int before = whole_batches(whole, at, &end);
        bool is_epoch = at - end >= 12 && at - end < 16; /* under no checksum, and it means nothing here */
        bool is_last = before == COMMITS - 1;            /* then nothing tells it from a torn write */
        if (is_epoch || is_last)
            continue;
        bytes[at] ^= 0x40;
        write_file(path, whole);
        assert_int_equal(start(setting, &cluster), MOCK_BAD_DATA);
        snprintf(expected, sizeof(expected), "%s: byte %d, where offset %d is due", path, end, before);
        if (at - end >= 8) /* a wrong base offset may be a later one, which compaction would leave */
            assert_non_null(strstr(setting->error, expected));
        assert_non_null(strstr(setting->error, path));
        bytes[at] ^= 0x40;
    }
    write_file(path, whole);
    support_stop(start_well(setting), &setting->loop);
    free(bytes);
}

/* ---- Compaction -------------------------------------------------------------------------------------------------- */

static void compaction_keeps_the_file_small_and_the_offsets(void **state)
{
    enum { MANY = 60000 };
    struct setting *setting = *state;
    struct mock_cluster *cluster = start_well(setting);
    char path[256];
    struct stat what;
    int64_t start_offset, end_offset, again_end;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(support_commit(cluster, "g", i % 3, i), 0);
    assert_int_equal(stat(group_file(setting, "g", path), &what), 0);
    assert_true(what.st_size < 5 * 1024 * 1024);
    int32_t partition = rj_coordinator_partition(RJ_STRING("g"), 50);
    assert_true(mock_log_range(cluster, "__consumer_offsets", partition, &start_offset, &end_offset));
    assert_int_equal(end_offset, MANY);
    cluster = restart(setting, cluster);
    assert_string_equal(setting->said, "");
    for (int32_t p = 0; p < 3; p++)
        assert_int_equal(mock_committed_offset(cluster, "g", "t", p), MANY - 3 + p);
    assert_true(mock_log_range(cluster, "__consumer_offsets", partition, &start_offset, &again_end));
    assert_int_equal(again_end, end_offset);
    support_stop(cluster, &setting->loop);
}

static int16_t delete_group(struct mock_cluster *cluster, const char *group)
{
    struct rj_string name = {group, (int32_t)strlen(group)};
    struct rj_delete_groups_request request;
    rj_message_init(&rj_delete_groups_request_schema, &request);
    request.groups_names = (struct rj_string_array){&name, 1};
    const struct rj_delete_groups_response *answer = mock_ask(cluster, 42, 2, &request);
    assert_non_null(answer);
    return answer->results.items[0].error_code;
}

static int64_t size_of(const char *path)
{
    struct stat what;
    return stat(path, &what) == 0 ? what.st_size : -1;
}

/* Another group of the same partition of __consumer_offsets. */
static const char *neighbour_of(const char *group, char name[16])
{
    int32_t partition = rj_coordinator_partition((struct rj_string){group, (int32_t)strlen(group)}, 50), found = -1;
    for (int i = 0; found != partition; i++) {
        int len = snprintf(name, 16, "other-%d", i);
        found = rj_coordinator_partition((struct rj_string){name, len}, 50);
    }
    return name;
}

/* The last records are tombstones, compaction takes them away, and a restart does not give their offsets again. */
static void check_tombstones_at_the_end(struct setting *setting, bool with_neighbour)
{
    struct mock_cluster *cluster = start_well(setting);
    char path[256], name[16];
    int64_t start_offset, end_offset, again_end, committed_len = 0, deleted_len = 0;
    group_file(setting, "g", path);
    if (with_neighbour)
        assert_int_equal(support_commit(cluster, neighbour_of("g", name), 0, 5), 0);
    for (int round = 0; round == 0 || deleted_len > committed_len; round++) {
        for (int i = 0; i <= round % 7; i++) /* so that the file does not always grow full at the same point */
            assert_int_equal(support_commit(cluster, "g", 0, 1), 0);
        committed_len = size_of(path);
        assert_int_equal(delete_group(cluster, "g"), 0);
        deleted_len = size_of(path);
        assert_true(round < 100000);
    }
    assert_int_equal(deleted_len == RJ_BATCH_HEADER_LEN, !with_neighbour);
    int32_t partition = rj_coordinator_partition(RJ_STRING("g"), 50);
    assert_true(mock_log_range(cluster, "__consumer_offsets", partition, &start_offset, &end_offset));
    cluster = restart(setting, cluster);
    assert_string_equal(setting->said, "");
    assert_true(mock_log_range(cluster, "__consumer_offsets", partition, &start_offset, &again_end));
    assert_int_equal(again_end, end_offset);
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), -1);
    assert_int_equal(support_commit(cluster, "g", 0, 2), 0);
    cluster = restart(setting, cluster);
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 2);
    if (with_neighbour)
        assert_int_equal(mock_committed_offset(cluster, name, "t", 0), 5);
    support_stop(cluster, &setting->loop);
}

static void offsets_of_compacted_tombstones_are_not_given_again(void **state)
{
    check_tombstones_at_the_end(*state, false);
}

static void nor_are_they_where_older_records_stay(void **state)
{
    check_tombstones_at_the_end(*state, true);
}

/* ---- A disk that fails ------------------------------------------------------------------------------------------- */

/* KAFKA_STORAGE_ERROR of an append is NOT_COORDINATOR to the group (rules.md 2.10). */
static void a_full_disk_refuses_and_forgets(void **state)
{
    struct setting *setting = *state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    struct mock_cluster *cluster = start_well(setting);
    char path[256];
    struct stat before, after;
    for (size_t i = 0; i < 3; i++)
        for (size_t room_len = 0; room_len < 200; room_len += 61) {
            assert_int_equal(support_commit(cluster, "g", 0, 10), 0);
            assert_int_equal(stat(group_file(setting, "g", path), &before), 0);
            disk.write_errno = errors[i];
            disk.room_len = room_len < 100 ? room_len : 100; /* a batch has more */
            assert_int_equal(support_commit(cluster, "g", 0, 11), RJ_KAFKA_NOT_COORDINATOR);
            assert_int_equal(mock_append(cluster, "t", 0, RJ_NULL_BYTES, RJ_EMPTY_BYTES),
                             RJ_KAFKA_KAFKA_STORAGE_ERROR);
            assert_int_equal(mock_create_topic(cluster, "more", 1), RJ_KAFKA_KAFKA_STORAGE_ERROR);
            assert_int_equal(mock_partition_count(cluster, "more"), -1);
            assert_int_equal(mock_delete_topic(cluster, "t"), RJ_KAFKA_KAFKA_STORAGE_ERROR);
            assert_int_equal(mock_partition_count(cluster, "t"), 3);
            assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 10);
            disk.write_errno = 0;
            assert_int_equal(stat(path, &after), 0);
            assert_int_equal(after.st_size, before.st_size);
        }
    assert_non_null(strstr(setting->said, "cannot append"));
    assert_non_null(strstr(setting->said, "No space left on device"));
    assert_int_equal(support_commit(cluster, "g", 0, 12), 0);
    cluster = restart(setting, cluster);
    assert_string_equal(setting->said, "");
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 12);
    support_stop(cluster, &setting->loop);
}

static void nothing_is_written_behind_a_failed_fsync(void **state)
{
    struct setting *setting = *state;
    setting->fsync = MOCK_FSYNC_ALWAYS;
    struct mock_cluster *cluster = start_well(setting);
    assert_int_equal(support_commit(cluster, "g", 0, 1), 0);
    assert_true(disk.syncs > 0);
    disk.sync_errno = EIO;
    assert_int_equal(support_commit(cluster, "g", 0, 2), RJ_KAFKA_NOT_COORDINATOR);
    disk.sync_errno = 0; /* the second one would succeed, and mean nothing */
    assert_int_equal(support_commit(cluster, "g", 0, 3), RJ_KAFKA_NOT_COORDINATOR);
    assert_int_equal(mock_append(cluster, "t", 0, RJ_NULL_BYTES, RJ_EMPTY_BYTES), RJ_KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 1);
    assert_non_null(strstr(setting->said, "cannot be forced to disk"));
    cluster = restart(setting, cluster);
    assert_int_equal(support_commit(cluster, "g", 0, 4), 0);
    support_stop(cluster, &setting->loop);
}

static void nothing_is_written_behind_what_cannot_be_cut_back(void **state)
{
    struct setting *setting = *state;
    struct mock_cluster *cluster = start_well(setting);
    assert_int_equal(support_commit(cluster, "g", 0, 1), 0);
    disk.write_errno = ENOSPC;
    disk.room_len = 50;
    disk.cut_errno = EIO;
    assert_int_equal(support_commit(cluster, "g", 0, 2), RJ_KAFKA_NOT_COORDINATOR);
    disk.write_errno = disk.cut_errno = 0;
    assert_int_equal(support_commit(cluster, "g", 0, 3), RJ_KAFKA_NOT_COORDINATOR);
    cluster = restart(setting, cluster);
    assert_non_null(strstr(setting->said, "are cut off"));
    assert_int_equal(mock_committed_offset(cluster, "g", "t", 0), 1);
    support_stop(cluster, &setting->loop);
}

int main(void)
{
#define ON_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        ON_A_FOLDER(a_restarted_cluster_is_the_same),
        ON_A_FOLDER(a_topic_made_again_has_none_of_the_old_records),
        ON_A_FOLDER(a_directory_has_one_user),
        ON_A_FOLDER(a_foreign_directory_is_refused),
        ON_A_FOLDER(a_tail_torn_anywhere_is_cut_off),
        ON_A_FOLDER(zeros_and_rubbish_at_the_end_are_cut_off),
        ON_A_FOLDER(a_corrupt_middle_is_an_error),
        ON_A_FOLDER(compaction_keeps_the_file_small_and_the_offsets),
        ON_A_FOLDER(offsets_of_compacted_tombstones_are_not_given_again),
        ON_A_FOLDER(nor_are_they_where_older_records_stay),
        ON_A_FOLDER(a_full_disk_refuses_and_forgets),
        ON_A_FOLDER(nothing_is_written_behind_a_failed_fsync),
        ON_A_FOLDER(nothing_is_written_behind_what_cannot_be_cut_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
