/* Measures our codec: a line a message, "NAME BYTES DECODE_NS ENCODE_NS ALLOCATIONS", the best of several rounds.
 * allocations: made while decoding or encoding, after the first time.
 *
 * usage: bench_codec FOLDER ROUNDS   writes each message's bytes into FOLDER/NAME.bin first, for the programs beside. */
#include "rejoin/codec.h"
#include "support/buffer.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUND_NS = 4000000 };

static int rounds;

#define MEMBER_ID "consumer-orders-1-0d1a8a5e-6d2b-4c5e-9f63-"
#define SUBSCRIPTION "AAMAAAABAAZvcmRlcnP/////AAAAAP////8AAA=="
#define RECORDS                                                                                                        \
    "AAAAAAAAAAAAAAA+AAAAAAJZmZmZAAAAAAAAAAABjAAAAAAAAAGMAAAAAAD//////////////wAAAAEYAAAABmtleQx2YWx1ZQAA"

struct sample { const char *name, *message; int16_t version; void (*json)(struct rejoin_buffer *out); };

static long allocations;

static void *counting_alloc(void *context, size_t size)
{
    (void)context;
    allocations++;
    return malloc(size);
}

static void counting_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static const struct rj_allocator counting_heap = {counting_alloc, counting_free, NULL};

static void heartbeat(struct rejoin_buffer *out)
{
    rejoin_buffer_text(out, "{\"groupId\":\"orders\",\"generationId\":42,\"memberId\":\"" MEMBER_ID "000000000001\"}");
}

static void join_group(struct rejoin_buffer *out)
{
    rejoin_buffer_text(out, "{\"generationId\":42,\"protocolType\":\"consumer\",\"protocolName\":\"range\",\"leader\":\""
                            MEMBER_ID "000000000000\",\"memberId\":\"" MEMBER_ID "000000000000\",\"members\":[");
    for (int i = 0; i < 100; i++)
        rejoin_buffer_format(out, "%s{\"memberId\":\"" MEMBER_ID "%012d\",\"metadata\":\"" SUBSCRIPTION "\"}",
                             i > 0 ? "," : "", i);
    rejoin_buffer_text(out, "]}");
}

static void offset_commit(struct rejoin_buffer *out)
{
    rejoin_buffer_text(out, "{\"groupId\":\"orders\",\"generationIdOrMemberEpoch\":42,\"memberId\":\"" MEMBER_ID
                            "000000000001\",\"topics\":[");
    for (int i = 0; i < 10; i++) {
        rejoin_buffer_format(out, "%s{\"name\":\"topic-%d\",\"partitions\":[", i > 0 ? "," : "", i);
        for (int j = 0; j < 10; j++)
            rejoin_buffer_format(out, "%s{\"partitionIndex\":%d,\"committedOffset\":%d,\"committedLeaderEpoch\":5}",
                                 j > 0 ? "," : "", j, 100000 + i);
        rejoin_buffer_text(out, "]}");
    }
    rejoin_buffer_text(out, "]}");
}

static void fetch(struct rejoin_buffer *out)
{
    rejoin_buffer_text(out, "{\"responses\":[{\"topicId\":\"AAECAwQFBgcICQoLDA0ODw\",\"partitions\":[");
    for (int i = 0; i < 100; i++)
        rejoin_buffer_format(out, "%s{\"partitionIndex\":%d,\"highWatermark\":1000,\"lastStableOffset\":1000,"
                                  "\"logStartOffset\":0,\"abortedTransactions\":null,\"records\":\"" RECORDS "\"}",
                             i > 0 ? "," : "", i);
    rejoin_buffer_text(out, "]}]}");
}

static void metadata(struct rejoin_buffer *out)
{
    rejoin_buffer_text(out, "{\"brokers\":[{\"nodeId\":1,\"host\":\"broker-1.example.com\",\"port\":9092},"
                            "{\"nodeId\":2,\"host\":\"broker-2.example.com\",\"port\":9092},"
                            "{\"nodeId\":3,\"host\":\"broker-3.example.com\",\"port\":9092}],"
                            "\"clusterId\":\"AAECAwQFBgcICQoLDA0ODw\",\"controllerId\":1,\"topics\":["
                            "{\"name\":\"orders\",\"topicId\":\"AAECAwQFBgcICQoLDA0ODw\",\"partitions\":[");
    for (int i = 0; i < 1000; i++)
        rejoin_buffer_format(out, "%s{\"partitionIndex\":%d,\"leaderId\":%d,\"leaderEpoch\":7,\"replicaNodes\":[1,2,3],"
                                  "\"isrNodes\":[1,2,3]}", i > 0 ? "," : "", i, i % 3 + 1);
    rejoin_buffer_text(out, "]}]}");
}

static const struct sample samples[] = {
    {"heartbeat_request_v4", "HeartbeatRequest", 4, heartbeat},
    {"join_group_response_v9_100", "JoinGroupResponse", 9, join_group},
    {"offset_commit_request_v8_10x10", "OffsetCommitRequest", 8, offset_commit},
    {"fetch_response_v13_100", "FetchResponse", 13, fetch},
    {"metadata_response_v12_1000", "MetadataResponse", 12, metadata},
};

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

struct job {
    const struct rj_message_schema *schema;
    int16_t version;
    struct rj_bytes bytes;
    void *message;
    uint8_t *out;
    struct rj_arena arena;
};

static void decode_once(struct job *job)
{
    rj_arena_reset(&job->arena);
    if (rj_decode(job->schema, job->version, job->bytes, &job->arena, job->message, NULL) != RJ_OK)
        abort();
}

static void encode_once(struct job *job)
{
    size_t len;
    if (rj_encode(job->schema, job->version, job->message, job->out, (size_t)job->bytes.len, &len, NULL) != RJ_OK)
        abort();
}

static double best_ns(struct job *job, void (*once)(struct job *job))
{
    double best = 1e18;
    for (int round = 0; round < rounds; round++) {
        long count = 0;
        double start = now_ns(), end = start;
        while (end - start < (double)ROUND_NS) {
            for (int i = 0; i < 20; i++)
                once(job);
            count += 20;
            end = now_ns();
        }
        if ((end - start) / (double)count < best)
            best = (end - start) / (double)count;
    }
    return best;
}

static void measure(const struct sample *sample, const char *folder)
{
    struct rejoin_buffer json = {0};
    struct rj_arena arena;
    struct rj_fault fault;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    sample->json(&json);
    const struct rj_message_schema *schema =
        rj_schema_by_name((struct rj_string){sample->message, (int32_t)strlen(sample->message)});
    void *message = rejoin_alloc(schema->root->size);
    struct rj_string text = {(const char *)json.data, (int32_t)json.len};
    size_t len;
    if (rj_parse_json(schema, sample->version, text, &arena, message, &fault) != RJ_OK ||
        rj_encoded_len(schema, sample->version, message, &len, &fault) != RJ_OK) {
        fprintf(stderr, "%s: %s\n", sample->name, fault.field);
        abort();
    }
    struct job job = {schema, sample->version, {NULL, (int32_t)len}, message, rejoin_alloc(len), {0}};
    encode_once(&job);
    uint8_t *bytes = rejoin_alloc(len);
    memcpy(bytes, job.out, len);
    job.bytes.data = bytes;
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s.bin", folder, sample->name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
        perror(path);
        exit(4);
    }
    rj_arena_init(&job.arena, &counting_heap, SIZE_MAX);
    decode_once(&job);
    decode_once(&job);
    allocations = 0;
    double decode_ns = best_ns(&job, decode_once), encode_ns = best_ns(&job, encode_once);
    printf("%s %zu %.1f %.1f %ld\n", sample->name, len, decode_ns, encode_ns, allocations);
    rj_arena_release(&job.arena);
    rj_arena_release(&arena);
    rejoin_buffer_free(&json);
    free(bytes);
    free(job.out);
    free(message);
}

int main(int argc, char **argv)
{
    rounds = argc == 3 ? atoi(argv[2]) : 0;
    if (rounds < 1) {
        fputs("usage: bench_codec FOLDER ROUNDS\n", stderr);
        return 3;
    }
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        measure(&samples[i], argv[1]);
    return 0;
}
