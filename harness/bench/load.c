#include "bench/load.h"

#include "bench/process.h"
#include "rejoin/errors.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a frame: length, API key, version, correlation id; in an answer: length, correlation id. */
enum { REQUEST_CORRELATION_OFFSET = 8, RESPONSE_CORRELATION_LEN = 4 };

struct template { uint8_t *frame; size_t len; }; /* the request of one member, whole but for its correlation id */

/* One connection: its requests go through its members in turn and are answered in order, so that the times of the
 * requests in flight are a ring. */
struct lane {
    int64_t *sent_ns;
    uint32_t sent, answered;     /* also the correlation ids */
    uint32_t next_member;
    uint32_t answered_of_batch;  /* to be replaced when all that came is read */
};

struct generator {
    const struct bench_load *load;
    struct bench_loop loop;
    struct rj_arena arena;
    struct template *templates;
    uint32_t template_count;
    struct lane *lanes;
    uint8_t *first_answer; /* behind the correlation id: all must be like it */
    int32_t first_answer_len;
    uint64_t to_send, to_answer;
    int64_t *latencies_ns;
    uint64_t latency_count;
};

/* ---- Requests ------------------------------------------------------------------------------------------------- */

static void queue_heartbeat(struct bench_loop *loop, struct bench_connection *scratch,
                            struct rj_string group_id, const struct bench_member *member)
{
    struct rj_heartbeat_request heartbeat;
    rj_message_init(&rj_heartbeat_request_schema, &heartbeat);
    heartbeat.group_id = group_id;
    heartbeat.generation_id = member->generation_id;
    heartbeat.member_id = bench_string(member->member_id);
    bench_queue_request(loop, scratch, RJ_API_HEARTBEAT, BENCH_HEARTBEAT_VERSION, 0, &heartbeat);
}

static void queue_commit(struct bench_loop *loop, struct bench_connection *scratch, const char *topic_name,
                         struct rj_string group_id, const struct bench_member *member)
{
    struct rj_offset_commit_request_partition partitions[BENCH_COMMIT_PARTITIONS];
    memset(partitions, 0, sizeof(partitions));
    for (int32_t i = 0; i < BENCH_COMMIT_PARTITIONS; i++) {
        partitions[i].partition_index = i;
        partitions[i].committed_offset = 1000 + i;
        partitions[i].committed_leader_epoch = -1;
        partitions[i].commit_timestamp = -1;
        partitions[i].committed_metadata = RJ_EMPTY_STRING;
    }
    struct rj_offset_commit_request_topic topic;
    memset(&topic, 0, sizeof(topic));
    topic.name = bench_string(topic_name);
    topic.partitions.items = partitions;
    topic.partitions.count = BENCH_COMMIT_PARTITIONS;
    struct rj_offset_commit_request commit;
    rj_message_init(&rj_offset_commit_request_schema, &commit);
    commit.group_id = group_id;
    commit.generation_id_or_member_epoch = member->generation_id;
    commit.member_id = bench_string(member->member_id);
    commit.topics.items = &topic;
    commit.topics.count = 1;
    bench_queue_request(loop, scratch, RJ_API_OFFSET_COMMIT, BENCH_COMMIT_VERSION, 0, &commit);
}

static void make_templates(struct generator *generator, const struct bench_plan *plan,
                           const struct bench_members *members)
{
    generator->template_count = members->count;
    generator->templates = rejoin_alloc_zeroed(members->count, sizeof(*generator->templates));
    for (uint32_t i = 0; i < members->count; i++) {
        const struct bench_member *member = &members->items[i];
        struct bench_connection scratch = {.fd = -1};
        char name[64];
        struct rj_string group_id = bench_group_name(plan, member->group, name, sizeof(name));
        if (generator->load->api_key == RJ_API_HEARTBEAT)
            queue_heartbeat(&generator->loop, &scratch, group_id, member);
        else
            queue_commit(&generator->loop, &scratch, plan->topic, group_id, member);
        generator->templates[i] = (struct template){scratch.out, scratch.out_len};
    }
}

static void put_int32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_int32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* Sends as many requests as fit, in one write. */
static void send_batch(struct generator *generator, struct bench_connection *connection, uint32_t count)
{
    struct lane *lane = &generator->lanes[connection->index];
    int64_t now_ns = bench_now_ns();
    for (; count > 0 && generator->to_send > 0; count--, generator->to_send--) {
        const struct template *template = &generator->templates[lane->next_member];
        lane->next_member += generator->load->connection_count;
        if (lane->next_member >= generator->template_count)
            lane->next_member = connection->index % generator->template_count;
        uint8_t *out = bench_reserve(connection, template->len);
        memcpy(out, template->frame, template->len);
        put_int32(out + REQUEST_CORRELATION_OFFSET, lane->sent);
        connection->out_len += template->len;
        lane->sent_ns[lane->sent++ % generator->load->in_flight] = now_ns;
    }
    bench_flush(&generator->loop, connection);
}

/* ---- Answers -------------------------------------------------------------------------------------------------- */

static int16_t first_error(const struct generator *generator, const void *body)
{
    if (generator->load->api_key == RJ_API_HEARTBEAT)
        return ((const struct rj_heartbeat_response *)body)->error_code;
    const struct rj_offset_commit_response *commit = body;
    if (commit->topics.count != 1 || commit->topics.items[0].partitions.count != BENCH_COMMIT_PARTITIONS)
        return RJ_KAFKA_UNKNOWN_SERVER_ERROR;
    for (int32_t i = 0; i < BENCH_COMMIT_PARTITIONS; i++)
        if (commit->topics.items[0].partitions.items[i].error_code != 0)
            return commit->topics.items[0].partitions.items[i].error_code;
    return 0;
}

/* The first answer is decoded and must be a success; it is the pattern for the others. */
static bool keep_first(struct generator *generator, struct rj_bytes frame)
{
    struct rj_response_frame response;
    struct rj_fault fault;
    int16_t api_key = generator->load->api_key;
    int16_t version = api_key == RJ_API_HEARTBEAT ? BENCH_HEARTBEAT_VERSION : BENCH_COMMIT_VERSION;
    enum rj_err err = rj_decode_response(frame, api_key, version, &response, &generator->arena, &fault);
    int16_t error_code = err == RJ_OK ? first_error(generator, response.body) : 0;
    if (err != RJ_OK || error_code != 0) {
        bench_fail(&generator->loop, "the first %s was answered with %s", rj_api_name(api_key),
                   err != RJ_OK ? rj_err_sentence(err) : rj_kafka_error_name(error_code));
        return false;
    }
    generator->first_answer_len = frame.len - RESPONSE_CORRELATION_LEN;
    generator->first_answer = rejoin_alloc((size_t)generator->first_answer_len);
    memcpy(generator->first_answer, frame.data + RESPONSE_CORRELATION_LEN, (size_t)generator->first_answer_len);
    return true;
}

static bool on_answer(void *context, struct bench_connection *connection, struct rj_bytes frame)
{
    struct generator *generator = context;
    struct lane *lane = &generator->lanes[connection->index];
    if (generator->first_answer == NULL && !keep_first(generator, frame))
        return false;
    if (frame.len != generator->first_answer_len + RESPONSE_CORRELATION_LEN ||
        memcmp(frame.data + RESPONSE_CORRELATION_LEN, generator->first_answer,
               (size_t)generator->first_answer_len) != 0) {
        bench_fail(&generator->loop, "answer %u of connection %u is not like the first", lane->answered,
                   connection->index);
        return false;
    }
    if (get_int32(frame.data) != lane->answered || lane->answered == lane->sent) {
        bench_fail(&generator->loop, "connection %u answered %u where %u was due", connection->index,
                   get_int32(frame.data), lane->answered);
        return false;
    }
    generator->latencies_ns[generator->latency_count++] =
        bench_now_ns() - lane->sent_ns[lane->answered++ % generator->load->in_flight];
    lane->answered_of_batch++;
    generator->to_answer--;
    return true;
}

static void on_drained(void *context, struct bench_connection *connection)
{
    struct generator *generator = context;
    struct lane *lane = &generator->lanes[connection->index];
    uint32_t count = lane->answered_of_batch;
    lane->answered_of_batch = 0;
    send_batch(generator, connection, count);
}

/* ---- The course ------------------------------------------------------------------------------------------------ */

enum { STALL_MS = 10000 };

static bool run_requests(struct generator *generator, uint64_t count)
{
    generator->to_send = generator->to_answer = count;
    generator->latency_count = 0;
    for (uint32_t i = 0; i < generator->load->connection_count; i++)
        send_batch(generator, &generator->loop.connections[i], generator->load->in_flight);
    int64_t progress_ns = bench_now_ns();
    while (generator->to_answer > 0) {
        uint64_t before = generator->to_answer;
        if (!bench_loop_run_once(&generator->loop, STALL_MS))
            return false;
        if (generator->to_answer != before)
            progress_ns = bench_now_ns();
        if (bench_now_ns() - progress_ns > STALL_MS * INT64_C(1000000)) {
            bench_fail(&generator->loop, "no answer for %d ms", STALL_MS);
            return false;
        }
    }
    return true;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void measure(struct generator *generator, struct bench_result *result)
{
    const struct bench_load *load = generator->load;
    int64_t cpu_before_ns = 0, cpu_after_ns = 0;
    bool measured = load->server_pid != 0 && bench_process_cpu_ns(load->server_pid, &cpu_before_ns);
    int64_t begun_ns = bench_now_ns();
    if (!run_requests(generator, load->request_count))
        return;
    result->elapsed_ns = bench_now_ns() - begun_ns;
    result->request_count = load->request_count;
    measured = measured && bench_process_cpu_ns(load->server_pid, &cpu_after_ns);
    result->server_cpu_ns = measured ? cpu_after_ns - cpu_before_ns : -1;
    qsort(generator->latencies_ns, generator->latency_count, sizeof(int64_t), compare_ns);
    result->latency_p50_ns = generator->latencies_ns[generator->latency_count / 2];
    result->latency_p99_ns = generator->latencies_ns[generator->latency_count * 99 / 100];
}

static void release(struct generator *generator)
{
    for (uint32_t i = 0; i < generator->load->connection_count; i++)
        free(generator->lanes[i].sent_ns);
    for (uint32_t i = 0; i < generator->template_count; i++)
        free(generator->templates[i].frame);
    free(generator->lanes);
    free(generator->templates);
    free(generator->latencies_ns);
    free(generator->first_answer);
    rj_arena_release(&generator->arena);
    bench_loop_close(&generator->loop);
}

bool bench_run_load(const struct bench_plan *plan, const struct bench_members *members,
                    const struct bench_load *load, struct bench_result *result)
{
    struct generator generator = {.load = load};
    memset(result, 0, sizeof(*result));
    generator.loop.context = &generator;
    generator.loop.on_frame = on_answer;
    generator.loop.on_drained = on_drained;
    rj_arena_init(&generator.arena, &rejoin_heap, SIZE_MAX);
    uint64_t most = load->warmup_count > load->request_count ? load->warmup_count : load->request_count;
    generator.latencies_ns = rejoin_alloc_zeroed(most, sizeof(int64_t));
    generator.lanes = rejoin_alloc_zeroed(load->connection_count, sizeof(struct lane));
    for (uint32_t i = 0; i < load->connection_count; i++) {
        generator.lanes[i].sent_ns = rejoin_alloc_zeroed(load->in_flight, sizeof(int64_t));
        generator.lanes[i].next_member = i % members->count;
    }
    make_templates(&generator, plan, members);
    if (bench_loop_open(&generator.loop, &plan->address, load->connection_count) &&
        run_requests(&generator, load->warmup_count))
        measure(&generator, result);
    snprintf(result->problem, sizeof(result->problem), "%s", generator.loop.problem);
    release(&generator);
    return result->problem[0] == '\0';
}
