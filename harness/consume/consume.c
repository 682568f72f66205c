/* The host of one consumer core: libuv carries out what it asks for. */
#include "consume/consume.h"

#include "consume/print.h"
#include "records/compress.h"
#include "rejoin/conn.h"
#include "support/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

enum {
    POLL_INTERVAL_MS = 100,            /* the application asks for records this often */
    FRAME_MAX_LEN = 256 << 20,         /* an answer beyond that is taken for damage */
    PLAIN_MAX_LEN = 64 << 20,          /* of one decompressed batch */
};

/* A request whose answer is awaited; answers come in the order of requests. */
struct awaited { int32_t correlation_id; int16_t api_key, version; };

struct link {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_getaddrinfo_t resolving;
    struct consume_host *host;
    uint32_t id;
    bool is_closed;     /* the core is done with it, or was told that it broke */
    struct rejoin_buffer input;
    struct awaited *awaited;
    int32_t awaited_count, awaited_size;
    int port;
    struct link *next;
};

struct consumed { char *topic; int32_t partition, leader_epoch; int64_t offset; };

struct consume_host {
    uv_loop_t loop;
    uv_timer_t deadline, poll, duration;
    uv_signal_t terminate, interrupt;
    const struct consume_options *options;
    struct rj_consumer *consumer;
    struct consume_printer printer;
    struct rj_arena arena; /* of one answer */
    struct link *links;
    struct consumed *consumed;
    int32_t consumed_count, consumed_size;
    int64_t record_count;
    uint64_t commits_asked;
    bool is_commit_out, is_commit_due;
    bool is_stepping, is_done;
    int exit_code;
};

static void step(struct consume_host *host, struct rj_consumer_event event);

static int64_t now_ms(struct consume_host *host)
{
    uv_update_time(&host->loop);
    return (int64_t)uv_now(&host->loop);
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static void free_link(uv_handle_t *handle)
{
    struct link *link = handle->data;
    struct link **at = &link->host->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    rejoin_buffer_free(&link->input);
    free(link->awaited);
    free(link);
}

static void close_link(struct link *link)
{
    link->is_closed = true;
    if (!uv_is_closing((uv_handle_t *)&link->tcp))
        uv_close((uv_handle_t *)&link->tcp, free_link);
}

/* The core hears of it once, and not of what it closed itself. */
static void break_link(struct link *link)
{
    if (link->is_closed)
        return;
    struct consume_host *host = link->host;
    uint32_t id = link->id;
    close_link(link);
    step(host, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_DISCONNECTED, .as.disconnected = {id}});
}

static bool take_frame(struct link *link, struct rj_bytes frame)
{
    struct consume_host *host = link->host;
    struct rj_response_frame response;
    struct rj_fault fault;
    if (link->awaited_count == 0)
        return false;
    struct awaited awaited = link->awaited[0];
    memmove(link->awaited, link->awaited + 1, (size_t)--link->awaited_count * sizeof awaited);
    rj_arena_reset(&host->arena);
    enum rj_err err = rj_decode_response(frame, awaited.api_key, awaited.version, &response, &host->arena, &fault);
    if (err != RJ_OK || response.correlation_id != awaited.correlation_id) {
        fprintf(stderr, "rejoin consume: bad answer to %s v%d: %s at %zu (%s), correlation id %d for %d\n",
                rj_api_name(awaited.api_key), awaited.version, rj_err_sentence(err), err == RJ_OK ? 0 : fault.offset,
                err == RJ_OK ? "" : fault.field, response.correlation_id, awaited.correlation_id);
        return false;
    }
    step(host, (struct rj_consumer_event){
                   .type = RJ_CONSUMER_EVENT_RESPONSE,
                   .as.response = {link->id, awaited.correlation_id, awaited.api_key, response.version,
                                   response.body}});
    return true;
}

static void take_input(struct link *link)
{
    size_t taken = 0;
    uint32_t frame_len;
    int found = 0;
    while (!link->is_closed) {
        struct rj_bytes rest = {link->input.data + taken, (int32_t)(link->input.len - taken)};
        found = rj_frame_next(rest, FRAME_MAX_LEN, &frame_len);
        if (found != 1)
            break;
        taken += 4 + frame_len;
        if (!take_frame(link, (struct rj_bytes){rest.data + 4, (int32_t)frame_len})) {
            found = -1;
            break;
        }
    }
    if (link->is_closed)
        return;
    memmove(link->input.data, link->input.data + taken, link->input.len - taken);
    link->input.len -= taken;
    if (found < 0)
        break_link(link);
}

static void give_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    static char space[65536];
    *buffer = uv_buf_init(space, sizeof space);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct link *link = stream->data;
    if (link->is_closed || len == 0)
        return;
    if (len < 0) {
        break_link(link);
        return;
    }
    rejoin_buffer_add(&link->input, buffer->base, (size_t)len);
    take_input(link);
}

static void on_connect(uv_connect_t *connecting, int status)
{
    struct link *link = connecting->handle->data;
    if (link->is_closed)
        return;
    if (status < 0) {
        break_link(link);
        return;
    }
    uv_tcp_nodelay(&link->tcp, 1);
    uv_read_start((uv_stream_t *)&link->tcp, give_space, on_read);
    step(link->host, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CONNECTED, .as.connected = {link->id}});
}

static void on_resolved(uv_getaddrinfo_t *resolving, int status, struct addrinfo *found)
{
    struct link *link = resolving->data;
    if (link->is_closed) {
        uv_freeaddrinfo(found);
        uv_close((uv_handle_t *)&link->tcp, free_link); /* put off until the resolver let go of it */
        return;
    }
    if (status < 0 || uv_tcp_connect(&link->connecting, &link->tcp, found->ai_addr, on_connect) < 0) {
        resolving->data = NULL;
        break_link(link);
    }
    uv_freeaddrinfo(found);
}

/* Nothing may call back into the core while it is in a step, so that even failures wait for the loop. */
static void connect_link(struct consume_host *host, const struct rj_consumer_action *action)
{
    char name[256], service[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct link *link = rejoin_alloc_zeroed(1, sizeof *link);
    link->host = host;
    link->id = action->as.connect.connection_id;
    link->next = host->links;
    host->links = link;
    uv_tcp_init(&host->loop, &link->tcp);
    link->tcp.data = link->resolving.data = link;
    snprintf(name, sizeof name, "%.*s", action->as.connect.host.len, action->as.connect.host.data);
    snprintf(service, sizeof service, "%d", action->as.connect.port);
    if (uv_getaddrinfo(&host->loop, &link->resolving, on_resolved, name, service, &hints) < 0) {
        fprintf(stderr, "rejoin consume: cannot resolve %s\n", name);
        exit(4);
    }
}

static struct link *find_link(struct consume_host *host, uint32_t id)
{
    for (struct link *link = host->links; link != NULL; link = link->next)
        if (link->id == id && !link->is_closed)
            return link;
    return NULL;
}

static void disconnect_link(struct link *link)
{
    link->is_closed = true;
    /* A name that is still being resolved keeps the link alive: on_resolved closes it. */
    if (uv_cancel((uv_req_t *)&link->resolving) != 0 && link->connecting.handle != NULL)
        close_link(link);
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

struct sending { uv_write_t write; uint8_t bytes[]; };

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* a broken connection shows itself in on_read */
    free(write->data);
}

static void send_request(struct consume_host *host, const struct rj_consumer_action *action)
{
    struct link *link = find_link(host, action->as.send.connection_id);
    struct rj_string client_id = host->options->config.client_id;
    struct rj_fault fault;
    size_t len = 0;
    if (link == NULL)
        return;
    int16_t api_key = action->as.send.api_key, version = action->as.send.version;
    rj_encode_request_frame(api_key, version, action->as.send.correlation_id, client_id, action->as.send.body, NULL, 0,
                            &len, &fault);
    struct sending *sending = rejoin_alloc(sizeof *sending + len);
    enum rj_err err = rj_encode_request_frame(api_key, version, action->as.send.correlation_id, client_id,
                                              action->as.send.body, sending->bytes, len, &len, &fault);
    if (err != RJ_OK) {
        fprintf(stderr, "rejoin consume: %s v%d cannot be encoded: %s (%s)\n", rj_api_name(api_key), version,
                rj_err_sentence(err), fault.field);
        exit(4);
    }
    if (link->awaited_count == link->awaited_size) {
        link->awaited_size = link->awaited_size == 0 ? 8 : link->awaited_size * 2;
        link->awaited = rejoin_realloc(link->awaited, (size_t)link->awaited_size * sizeof *link->awaited);
    }
    link->awaited[link->awaited_count++] = (struct awaited){action->as.send.correlation_id, api_key, version};
    uv_buf_t buffer = uv_buf_init((char *)sending->bytes, (unsigned)len);
    sending->write.data = sending;
    if (uv_write(&sending->write, (uv_stream_t *)&link->tcp, &buffer, 1, on_written) < 0)
        free(sending);
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

static void note_consumed(struct consume_host *host, struct rj_string topic, int32_t partition, int64_t offset,
                          int32_t leader_epoch)
{
    if (host->consumed_count == host->consumed_size) {
        host->consumed_size = host->consumed_size == 0 ? 8 : host->consumed_size * 2;
        host->consumed = rejoin_realloc(host->consumed, (size_t)host->consumed_size * sizeof *host->consumed);
    }
    char *name = rejoin_alloc((size_t)topic.len + 1);
    memcpy(name, topic.data, (size_t)topic.len);
    name[topic.len] = '\0';
    host->consumed[host->consumed_count++] = (struct consumed){name, partition, leader_epoch, offset};
}

static bool enough(const struct consume_host *host)
{
    return host->options->max_records >= 0 && host->record_count >= host->options->max_records;
}

/* Prints the records of one batch from *offset on; *offset moves behind what was printed. */
static void take_batch(struct consume_host *host, const struct rj_consumer_action *action,
                       const struct rj_record_batch *batch, int64_t *offset)
{
    struct rejoin_buffer plain = {0};
    struct rj_record_reader reader;
    struct rj_record record;
    struct rj_fault fault;
    bool more = true;
    const char *why = "";
    struct rj_bytes bytes = batch->records;
    if (rj_batch_compression(batch) != RJ_COMPRESSION_NONE) {
        if (rejoin_decompress(rj_batch_compression(batch), batch->magic, bytes, PLAIN_MAX_LEN, &plain, &why) != RJ_OK) {
            fprintf(stderr, "rejoin consume: a batch at offset %lld cannot be decompressed: %s\n",
                    (long long)batch->base_offset, why);
            rejoin_buffer_free(&plain);
            return;
        }
        bytes = rejoin_buffer_bytes(&plain);
    }
    rj_record_reader_init(&reader, batch, bytes);
    while (!enough(host) && rj_record_next(&reader, &record, &more, &fault) == RJ_OK && more) {
        if (record.offset < *offset)
            continue;
        *offset = record.offset + 1;
        host->record_count++;
        consume_print_record(&host->printer, now_ms(host), action->as.records.topic, action->as.records.partition,
                             &record);
    }
    rejoin_buffer_free(&plain);
}

static void take_records(struct consume_host *host, const struct rj_consumer_action *action)
{
    struct rj_bytes rest = action->as.records.records;
    struct rj_record_batch batch;
    struct rj_fault fault;
    int64_t offset = action->as.records.fetch_offset;
    int32_t leader_epoch = -1;
    while (!enough(host) && rest.len > 0 && rj_batch_read(rest, &batch, &fault) == RJ_OK) {
        bool is_control = batch.magic >= 2 && (batch.attributes & RJ_BATCH_CONTROL) != 0;
        if (!is_control)
            take_batch(host, action, &batch, &offset);
        int64_t behind = batch.base_offset + batch.last_offset_delta + 1;
        if (offset < behind && !enough(host))
            offset = behind; /* compaction leaves gaps, control batches hold nothing for the application */
        leader_epoch = batch.partition_leader_epoch;
        rest.data += batch.len;
        rest.len -= (int32_t)batch.len;
    }
    fflush(stdout);
    note_consumed(host, action->as.records.topic, action->as.records.partition, offset, leader_epoch);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void take_action(struct consume_host *host, const struct rj_consumer_action *action)
{
    struct link *link;
    switch (action->type) {
    case RJ_CONSUMER_CONNECT:
        connect_link(host, action);
        break;
    case RJ_CONSUMER_DISCONNECT:
        link = find_link(host, action->as.disconnect.connection_id);
        if (link != NULL)
            disconnect_link(link);
        break;
    case RJ_CONSUMER_SEND:
        send_request(host, action);
        break;
    case RJ_CONSUMER_ASSIGNED:
    case RJ_CONSUMER_REVOKED:
    case RJ_CONSUMER_LOST:
        consume_print_partitions(&host->printer, now_ms(host), action);
        break;
    case RJ_CONSUMER_RECORDS:
        take_records(host, action);
        break;
    case RJ_CONSUMER_COMMITTED:
        if (action->as.partitions.commit_id != 0)
            host->is_commit_out = false;
        consume_print_committed(&host->printer, now_ms(host), action);
        break;
    case RJ_CONSUMER_ERROR:
        consume_print_error(&host->printer, now_ms(host), action);
        if (action->as.error.is_fatal)
            host->exit_code = 1;
        break;
    case RJ_CONSUMER_CLOSED:
        host->is_done = true;
        break;
    }
}

static void step_once(struct consume_host *host, struct rj_consumer_event event)
{
    struct rj_consumer_update update;
    event.now_ms = now_ms(host);
    if (getrandom(event.entropy.bytes, sizeof event.entropy.bytes, 0) < 0)
        memset(&event.entropy, 0, sizeof event.entropy);
    if (rj_consumer_step(host->consumer, &event, &update) != RJ_OK) {
        fputs("rejoin consume: out of memory\n", stderr);
        exit(4);
    }
    for (int32_t i = 0; i < update.action_count; i++)
        take_action(host, &update.actions[i]);
}

static void finish(struct consume_host *host)
{
    consume_print_closed(&host->printer, now_ms(host), host->record_count);
    uv_close((uv_handle_t *)&host->deadline, NULL);
    uv_close((uv_handle_t *)&host->poll, NULL);
    uv_close((uv_handle_t *)&host->duration, NULL);
    uv_close((uv_handle_t *)&host->terminate, NULL);
    uv_close((uv_handle_t *)&host->interrupt, NULL);
}

static void on_deadline(uv_timer_t *timer)
{
    step(timer->data, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_TICK});
}

/* What the steps left to do: positions to report, commits to ask for, the end, the next deadline. */
static void step(struct consume_host *host, struct rj_consumer_event event)
{
    if (host->is_done)
        return;
    step_once(host, event);
    while (host->consumed_count > 0 && !host->is_done) {
        struct consumed consumed = host->consumed[--host->consumed_count];
        struct rj_string topic = {consumed.topic, (int32_t)strlen(consumed.topic)};
        step_once(host, (struct rj_consumer_event){
                            .type = RJ_CONSUMER_EVENT_CONSUMED,
                            .as.consumed = {topic, consumed.partition, consumed.offset, consumed.leader_epoch,
                                            RJ_NULL_STRING}});
        free(consumed.topic);
        host->is_commit_due = host->options->commit == CONSUME_COMMIT_MANUAL;
    }
    if (host->is_commit_due && !host->is_commit_out && !host->is_done) {
        host->is_commit_due = false;
        host->is_commit_out = true;
        step_once(host, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_COMMIT,
                                                   .as.commit = {++host->commits_asked, NULL, 0}});
    }
    if (!host->is_done && (enough(host) || rj_consumer_state(host->consumer) == RJ_CONSUMER_FAILED))
        step_once(host, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
    if (host->is_done) {
        finish(host);
        return;
    }
    int64_t deadline_ms = rj_consumer_next_deadline_ms(host->consumer), wait_ms = deadline_ms - now_ms(host);
    if (deadline_ms == INT64_MAX)
        uv_timer_stop(&host->deadline);
    else
        uv_timer_start(&host->deadline, on_deadline, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void on_poll(uv_timer_t *timer)
{
    step(timer->data, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_POLL});
}

static void on_duration(uv_timer_t *timer)
{
    step(timer->data, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    step(handle->data, (struct rj_consumer_event){.type = RJ_CONSUMER_EVENT_CLOSE});
}

static void start(struct consume_host *host)
{
    uv_timer_init(&host->loop, &host->deadline);
    uv_timer_init(&host->loop, &host->poll);
    uv_timer_init(&host->loop, &host->duration);
    uv_signal_init(&host->loop, &host->terminate);
    uv_signal_init(&host->loop, &host->interrupt);
    host->deadline.data = host->poll.data = host->duration.data = host->terminate.data = host->interrupt.data = host;
    uv_signal_start(&host->terminate, on_signal, SIGTERM);
    uv_signal_start(&host->interrupt, on_signal, SIGINT);
    uv_timer_start(&host->poll, on_poll, 0, POLL_INTERVAL_MS);
    if (host->options->duration_ms >= 0)
        uv_timer_start(&host->duration, on_duration, (uint64_t)host->options->duration_ms, 0);
}

int consume_run(const struct consume_options *options)
{
    struct consume_host host = {.options = options};
    if (rj_consumer_create(&host.consumer, &rejoin_heap, &options->config) != RJ_OK || uv_loop_init(&host.loop) < 0) {
        fputs("rejoin consume: the client cannot be set up\n", stderr);
        return 4;
    }
    signal(SIGPIPE, SIG_IGN);
    rj_arena_init(&host.arena, &rejoin_heap, SIZE_MAX);
    host.printer = (struct consume_printer){options->json, now_ms(&host)};
    start(&host);
    uv_run(&host.loop, UV_RUN_DEFAULT);
    for (int32_t i = 0; i < host.consumed_count; i++)
        free(host.consumed[i].topic);
    free(host.consumed);
    rj_arena_release(&host.arena);
    rj_consumer_destroy(host.consumer);
    uv_loop_close(&host.loop);
    return host.exit_code;
}
