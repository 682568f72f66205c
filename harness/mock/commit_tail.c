#include "mock/commit_tail.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_LEN = 4096,
    LIMIT_LEN = 128 * 1024, /* some 500 commits of six partitions, compacted in some 50 us */
    TOPIC_NAME_LEN = 249,   /* at most */
};

/* The records of one commit for one topic. Those of a commit lie behind one another and have the same base offset.
 * Behind it stand the group's id and the topic's name, then the records; each part is aligned. */
struct run {
    uint32_t len;           /* to the next run */
    uint32_t record_count;
    int64_t base_offset;    /* of the commit's batch */
    int64_t timestamp_ms;   /* of its records */
    struct rj_uuid topic_id;
    uint32_t group_len, topic_len;
};

/* Its metadata stands behind it. */
struct kept {
    int64_t offset, commit_timestamp_ms;
    int32_t partition, leader_epoch;
    int32_t delta;          /* of its log offset; -1: a newer one has its key (while compacting) */
    uint16_t metadata_len;
    int16_t value_version;
};

static size_t aligned(size_t len) { return (len + 7) & ~(size_t)7; }

static size_t kept_len(const struct kept *kept) { return sizeof(*kept) + aligned(kept->metadata_len); }

static struct run *run_at(const struct log_tail *tail, uint32_t at) { return (struct run *)(void *)(tail->bytes + at); }

static struct rj_string group_of(const struct run *run)
{
    return (struct rj_string){(const char *)(run + 1), run->group_len};
}

static struct rj_string topic_of(const struct run *run)
{
    return (struct rj_string){(const char *)(run + 1) + run->group_len, run->topic_len};
}

/* At least eight; what fills up the last eight is zero. */
static size_t names_len(const struct run *run) { return aligned((size_t)run->group_len + run->topic_len + 1); }

static struct kept *first_kept(struct run *run) { return (struct kept *)(void *)((char *)(run + 1) + names_len(run)); }

static struct kept *next_kept(struct kept *kept) { return (struct kept *)(void *)((char *)kept + kept_len(kept)); }

/* ---- Adding ------------------------------------------------------------------------------------------------------ */

size_t mock_tail_len(const struct rj_offset_commit_request *commit, size_t request_len)
{
    size_t a_topic = sizeof(struct run) + 8 + (size_t)commit->group_id.len + TOPIC_NAME_LEN;
    /* A partition takes at least 14 bytes on the wire, and its metadata what it takes there. */
    return (size_t)commit->topics.count * a_topic + request_len / 14 * (sizeof(struct kept) + 8) + request_len;
}

static bool same_text(struct rj_string a, struct rj_string b)
{
    return (a.data == b.data && a.len == b.len) || rj_string_equal(a, b);
}

static bool is_of_topic(const struct rj_offsets_record *record, struct rj_string name, struct rj_uuid id)
{
    const struct rj_offset_commit_key *key = record->key;
    const struct rj_offset_commit_value *value = record->value;
    return same_text(key->topic, name) && rj_uuid_equal(&value->topic_id, &id);
}

static uint8_t *begin_run(uint8_t *at, const struct log *log, const struct rj_append *append, int32_t first)
{
    const struct rj_offset_commit_key *key = append->records[first].key;
    const struct rj_offset_commit_value *value = append->records[first].value;
    struct run *run = (struct run *)(void *)at;
    *run = (struct run){.base_offset = log->end_offset, .timestamp_ms = append->timestamp_ms,
                        .topic_id = value->topic_id, .group_len = (uint32_t)key->group.len,
                        .topic_len = (uint32_t)key->topic.len};
    memset((char *)(run + 1) + names_len(run) - 8, 0, 8);
    memcpy(run + 1, key->group.data, run->group_len);
    memcpy((char *)(run + 1) + run->group_len, key->topic.data, run->topic_len);
    return (uint8_t *)(run + 1) + names_len(run);
}

static uint8_t *add_record(uint8_t *at, const struct rj_offsets_record *record, int32_t delta)
{
    const struct rj_offset_commit_key *key = record->key;
    const struct rj_offset_commit_value *value = record->value;
    struct kept *kept = (struct kept *)(void *)at;
    *kept = (struct kept){.offset = value->offset, .commit_timestamp_ms = value->commit_timestamp,
                          .partition = key->partition, .leader_epoch = value->leader_epoch, .delta = delta,
                          .metadata_len = (uint16_t)value->metadata.len, .value_version = record->value_version};
    if (value->metadata.len > 0)
        memcpy(kept + 1, value->metadata.data, kept->metadata_len);
    return at + kept_len(kept);
}

void mock_tail_add(struct log *log, const struct rj_append *append)
{
    struct log_tail *tail = log->tail;
    uint8_t *start = tail->bytes + tail->len, *at = start;
    const struct rj_offsets_record *const records = append->records;
    const int32_t count = append->record_count;
    for (int32_t i = 0; i < count;) {
        struct run *run = (struct run *)(void *)at;
        int32_t first = i;
        const struct rj_string name = ((const struct rj_offset_commit_key *)records[i].key)->topic;
        const struct rj_uuid id = ((const struct rj_offset_commit_value *)records[i].value)->topic_id;
        at = begin_run(at, log, append, first);
        do {
            at = add_record(at, &records[i], i);
            i++;
        } while (i < count && is_of_topic(&records[i], name, id));
        run->record_count = (uint32_t)(i - first);
        run->len = (uint32_t)(at - (uint8_t *)run);
        tail->run_count++;
    }
    uint32_t len = (uint32_t)(at - start);
    tail->len += len;
    tail->record_count += (uint32_t)append->record_count;
    log->bytes_len += len;
    log->end_offset += append->record_count;
    tail->cluster->records_len += len;
    tail->cluster->has_news = true;
}

/* ---- Compacting -------------------------------------------------------------------------------------------------- */

struct seen { uint64_t key; struct kept *newest; };

struct compacting {
    struct log_tail *tail;
    uint32_t *runs;       /* where they stand, oldest first, but for repeated ones */
    uint32_t run_count, record_count; /* of those */
    uint32_t *shapes;     /* by hash: 1 + where a run with these names and partitions stands */
    uint32_t *names;      /* by hash: 1 + index of a run with that group and topic */
    struct seen *seen;    /* by hash of name and partition */
    uint32_t shape_mask, name_mask, seen_mask;
};

static uint32_t mask_for(uint32_t count)
{
    uint32_t size = 16;
    while (size < 2 * count)
        size *= 2;
    return size - 1;
}

static uint32_t hash_of(uint64_t number) { return (uint32_t)(number * 0x9e3779b97f4a7c15u >> 32); }

static uint64_t mixed(uint64_t hash, uint64_t more)
{
    hash = (hash ^ more) * 0x2127599bf4325c37u;
    return hash ^ hash >> 29;
}

static uint64_t hash_names(const struct run *run)
{
    const uint64_t *eights = (const void *)(run + 1);
    uint64_t hash = run->group_len;
    for (size_t i = 0; i < names_len(run) / 8; i++)
        hash = mixed(hash, eights[i]);
    return hash;
}

static bool same_names(const struct run *a, const struct run *b)
{
    if (a->group_len != b->group_len || a->topic_len != b->topic_len)
        return false;
    const uint64_t *of_a = (const void *)(a + 1), *of_b = (const void *)(b + 1);
    for (size_t i = 0; i < names_len(a) / 8; i++)
        if (of_a[i] != of_b[i])
            return false;
    return true;
}

/* ---- Repeated runs */

static uint64_t hash_shape(struct run *run)
{
    uint64_t hash = hash_names(run);
    struct kept *kept = first_kept(run);
    for (uint32_t i = 0; i < run->record_count; i++, kept = next_kept(kept))
        hash = mixed(hash, (uint32_t)kept->partition);
    return hash;
}

static bool same_shape(struct run *a, struct run *b)
{
    if (a->record_count != b->record_count || !same_names(a, b))
        return false;
    struct kept *of_a = first_kept(a), *of_b = first_kept(b);
    for (uint32_t i = 0; i < a->record_count; i++, of_a = next_kept(of_a), of_b = next_kept(of_b))
        if (of_a->partition != of_b->partition)
            return false;
    return true;
}

static bool is_repeated(const struct compacting *compacting, uint32_t at)
{
    struct run *run = run_at(compacting->tail, at);
    for (uint32_t place = hash_of(hash_shape(run));; place++) {
        uint32_t *slot = &compacting->shapes[place & compacting->shape_mask];
        if (*slot == 0) {
            *slot = at + 1;
            return false;
        }
        if (same_shape(run, run_at(compacting->tail, *slot - 1)))
            return true;
    }
}

/* Lists the runs without those whose keys are just those of a newer one: most, as members commit what is assigned to
 * them over and over. */
static void list_runs(struct compacting *compacting)
{
    const struct log_tail *tail = compacting->tail;
    for (uint32_t i = 0, at = 0; i < tail->run_count; at += run_at(tail, at)->len)
        compacting->runs[i++] = at;
    uint32_t first = tail->run_count;
    for (uint32_t i = tail->run_count; i-- > 0;) {
        uint32_t at = compacting->runs[i];
        if (is_repeated(compacting, at))
            continue;
        compacting->runs[--first] = at;
        compacting->record_count += run_at(tail, at)->record_count;
    }
    compacting->run_count = tail->run_count - first;
    memmove(compacting->runs, compacting->runs + first, compacting->run_count * sizeof(*compacting->runs));
}

/* ---- Records one by one */

/* A number that stands for the run's group and topic. */
static uint32_t name_of(struct compacting *compacting, uint32_t index)
{
    const struct run *run = run_at(compacting->tail, compacting->runs[index]);
    for (uint32_t at = hash_of(hash_names(run));; at++) {
        uint32_t *slot = &compacting->names[at & compacting->name_mask];
        if (*slot == 0)
            *slot = index + 1;
        const struct run *other = run_at(compacting->tail, compacting->runs[*slot - 1]);
        if (other == run || same_names(other, run))
            return *slot;
    }
}

/* Newer runs were marked before; within one run the later record counts. */
static void mark_superseded(struct compacting *compacting, uint32_t index)
{
    struct run *run = run_at(compacting->tail, compacting->runs[index]);
    uint64_t name = (uint64_t)name_of(compacting, index) << 32;
    struct kept *kept = first_kept(run);
    for (uint32_t i = 0; i < run->record_count; i++, kept = next_kept(kept)) {
        uint64_t key = name | (uint32_t)kept->partition;
        uint32_t at = hash_of(key) & compacting->seen_mask;
        while (compacting->seen[at].key != 0 && compacting->seen[at].key != key)
            at = (at + 1) & compacting->seen_mask;
        struct seen *seen = &compacting->seen[at];
        bool is_newest = seen->key == 0 || (char *)seen->newest < (char *)run + run->len;
        if (seen->key != 0 && is_newest)
            seen->newest->delta = -1;
        if (is_newest)
            *seen = (struct seen){key, kept};
        else
            kept->delta = -1;
    }
}

/* Moves what is left of the run to the place at; returns what follows it. */
static uint8_t *move_run(struct run *run, uint8_t *at, uint32_t *left_count)
{
    uint32_t count = run->record_count, left = 0;
    struct kept *kept = first_kept(run), *next;
    size_t head_len = sizeof(*run) + names_len(run);
    struct run *to = (struct run *)(void *)at;
    memmove(to, run, head_len);
    at += head_len;
    for (; count > 0; count--, kept = next) {
        next = next_kept(kept);
        if (kept->delta < 0)
            continue;
        size_t len = kept_len(kept);
        memmove(at, kept, len);
        at += len;
        left++;
    }
    *left_count = left;
    if (left == 0)
        return (uint8_t *)to;
    to->record_count = left;
    to->len = (uint32_t)(at - (uint8_t *)to);
    return at;
}

static void drop_superseded(struct compacting *compacting)
{
    struct log_tail *tail = compacting->tail;
    uint8_t *at = tail->bytes;
    uint32_t run_count = 0, record_count = 0;
    for (uint32_t i = 0; i < compacting->run_count; i++) {
        uint32_t left;
        at = move_run(run_at(tail, compacting->runs[i]), at, &left);
        run_count += left > 0;
        record_count += left;
    }
    tail->len = (uint32_t)(at - tail->bytes);
    tail->run_count = run_count;
    tail->record_count = record_count;
}

/* Without memory it stays as it is. */
static void compact(struct log *log)
{
    struct log_tail *tail = log->tail;
    uint32_t before_len = tail->len;
    struct compacting compacting = {.tail = tail, .shape_mask = mask_for(tail->run_count)};
    compacting.runs = malloc(tail->run_count * sizeof(*compacting.runs));
    compacting.shapes = calloc(compacting.shape_mask + 1, sizeof(*compacting.shapes));
    if (compacting.runs != NULL && compacting.shapes != NULL) {
        list_runs(&compacting);
        compacting.name_mask = mask_for(compacting.run_count);
        compacting.seen_mask = mask_for(compacting.record_count);
        compacting.names = calloc(compacting.name_mask + 1, sizeof(*compacting.names));
        compacting.seen = calloc(compacting.seen_mask + 1, sizeof(*compacting.seen));
    }
    if (compacting.names != NULL && compacting.seen != NULL) {
        for (uint32_t i = compacting.run_count; i-- > 0;)
            mark_superseded(&compacting, i);
        drop_superseded(&compacting);
        log->bytes_len -= before_len - tail->len;
        tail->cluster->records_len -= before_len - tail->len;
    }
    free(compacting.runs);
    free(compacting.shapes);
    free(compacting.names);
    free(compacting.seen);
}

/* ---- Writing out ------------------------------------------------------------------------------------------------- */

/* The typed records of the runs from *at on that belong to one batch. */
static bool batch_of(const struct log_tail *tail, uint32_t *at, struct rj_arena *arena, struct rj_append *append,
                     int32_t **deltas)
{
    struct run *first = run_at(tail, *at);
    uint32_t end = *at, count = 0;
    for (; end < tail->len && run_at(tail, end)->base_offset == first->base_offset; end += run_at(tail, end)->len)
        count += run_at(tail, end)->record_count;
    struct rj_offsets_record *records = rj_arena_alloc(arena, count * sizeof(*records));
    struct rj_offset_commit_key *keys = rj_arena_alloc(arena, count * sizeof(*keys));
    struct rj_offset_commit_value *values = rj_arena_alloc(arena, count * sizeof(*values));
    *deltas = rj_arena_alloc(arena, count * sizeof(**deltas));
    if (records == NULL || keys == NULL || values == NULL || *deltas == NULL)
        return false;
    *append = (struct rj_append){.records = records, .timestamp_ms = first->timestamp_ms, .producer_id = -1,
                                 .producer_epoch = -1};
    for (; *at < end; *at += run_at(tail, *at)->len) {
        struct run *run = run_at(tail, *at);
        struct kept *kept = first_kept(run);
        for (uint32_t i = 0; i < run->record_count; i++, kept = next_kept(kept)) {
            int32_t n = append->record_count++;
            keys[n] = (struct rj_offset_commit_key){.group = group_of(run), .topic = topic_of(run),
                                                    .partition = kept->partition};
            values[n] = (struct rj_offset_commit_value){
                .offset = kept->offset, .leader_epoch = kept->leader_epoch,
                .metadata = {(const char *)(kept + 1), kept->metadata_len},
                .commit_timestamp = kept->commit_timestamp_ms, .expire_timestamp = -1, .topic_id = run->topic_id};
            records[n] = (struct rj_offsets_record){.record_type = 1, .key = &keys[n], .value = &values[n],
                                                    .value_version = kept->value_version};
            (*deltas)[n] = kept->delta;
        }
    }
    return true;
}

static bool write_batch(struct mock_cluster *cluster, struct log *log, int64_t base_offset,
                        const struct rj_append *append, const int32_t *deltas)
{
    struct rj_bytes bytes;
    struct rj_record_batch batch;
    if (mock_encode_append(cluster, append, deltas, &bytes) != RJ_KAFKA_NONE ||
        rj_batch_read_unchecked(bytes, &batch, NULL) != RJ_OK)
        return false;
    struct log_batch entry = mock_log_batch_of(&batch, bytes.data);
    log->end_offset = base_offset + deltas[0];
    return mock_log_append(log, &entry) >= 0;
}

/* How far it came. */
static uint32_t write_all(struct mock_cluster *cluster, struct log *log, const struct log_tail *tail)
{
    uint32_t written_len = 0, at = 0;
    while (at < tail->len) {
        struct rj_append append;
        int32_t *deltas;
        int64_t base_offset = run_at(tail, at)->base_offset;
        rj_arena_reset(&cluster->arena);
        if (!batch_of(tail, &at, &cluster->arena, &append, &deltas) ||
            !write_batch(cluster, log, base_offset, &append, deltas))
            break;
        written_len = at;
    }
    return written_len;
}

static void drop_written(struct log_tail *tail, uint32_t written_len)
{
    for (uint32_t at = 0; at < written_len; at += run_at(tail, at)->len) {
        tail->run_count--;
        tail->record_count -= run_at(tail, at)->record_count;
    }
    tail->len -= written_len;
    memmove(tail->bytes, tail->bytes + written_len, tail->len);
}

/* With an arena and a scratch buffer of its own: it comes in the midst of whatever looks at the log. */
bool mock_tail_settle(struct log *log)
{
    struct log_tail *tail = log->tail;
    if (tail == NULL || tail->len == 0)
        return true;
    struct mock_cluster *cluster = tail->cluster;
    struct rj_arena arena = cluster->arena;
    struct buffer scratch = cluster->scratch;
    int64_t end_offset = log->end_offset;
    size_t before_len = log->bytes_len;
    rj_arena_init(&cluster->arena, &rejoin_heap, SIZE_MAX);
    cluster->scratch = (struct buffer){0};
    log->tail = NULL; /* what is appended meanwhile is the tail itself */
    log->bytes_len -= tail->len;
    drop_written(tail, write_all(cluster, log, tail));
    log->bytes_len += tail->len;
    log->tail = tail;
    log->end_offset = end_offset;
    cluster->records_len = cluster->records_len - before_len + log->bytes_len;
    rj_arena_release(&cluster->arena);
    mock_buffer_free(&cluster->scratch);
    cluster->arena = arena;
    cluster->scratch = scratch;
    return tail->len == 0;
}

/* ---- Room -------------------------------------------------------------------------------------------------------- */

static bool make_room(struct log *log, size_t len)
{
    struct log_tail *tail = log->tail;
    if (tail->capacity < LIMIT_LEN) {
        uint32_t capacity = tail->capacity ? tail->capacity * 2 : FIRST_LEN;
        while (capacity - tail->len < len)
            capacity *= 2;
        uint8_t *bytes = realloc(tail->bytes, capacity);
        if (bytes == NULL)
            return false;
        tail->bytes = bytes;
        tail->capacity = capacity;
        return true;
    }
    compact(log);
    if (tail->len > LIMIT_LEN / 2)
        mock_tail_settle(log);
    return tail->capacity - tail->len >= len;
}

bool mock_tail_reserve(struct mock_cluster *cluster, struct log *log, size_t len)
{
    if (len > LIMIT_LEN / 4 || cluster->records_len + len > cluster->options.limits.records_len)
        return false;
    if (log->tail == NULL) {
        log->tail = calloc(1, sizeof(*log->tail));
        if (log->tail == NULL)
            return false;
        log->tail->cluster = cluster;
    }
    return log->tail->capacity - log->tail->len >= len || make_room(log, len);
}

void mock_tail_free(struct log *log)
{
    if (log->tail != NULL)
        free(log->tail->bytes);
    free(log->tail);
}
