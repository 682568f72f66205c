#include "scenario/ask.h"

#include "rejoin/conn.h"
#include "support/memory.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_LIMIT_LEN = 64 * 1024 * 1024, PATIENCE_S = 10 };

/* ---- Frames and JSON --------------------------------------------------------------------------------------------- */

bool scn_encode(int16_t api_key, int16_t version, int32_t correlation_id, const char *client_id, const json_t *body,
                struct rejoin_buffer *out, char *error, size_t error_len)
{
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    char *text = json_dumps(body, JSON_COMPACT);
    void *message = rj_arena_alloc(&arena, schema->root->size);
    struct rj_fault fault = {.err = RJ_OK};
    struct rj_string client = {client_id, client_id ? (int32_t)strlen(client_id) : 0};
    size_t len = 0;
    enum rj_err err =
        rj_parse_json(schema, version, (struct rj_string){text, (int32_t)strlen(text)}, &arena, message, &fault);
    if (err == RJ_OK)
        err = rj_encode_request_frame(api_key, version, correlation_id, client, message, NULL, 0, &len, &fault);
    if (err == RJ_ERR_SPACE) {
        uint8_t *bytes = rj_arena_alloc(&arena, len);
        err = rj_encode_request_frame(api_key, version, correlation_id, client, message, bytes, len, &len, &fault);
        if (err == RJ_OK)
            rejoin_buffer_add(out, bytes, len);
    }
    if (err != RJ_OK)
        snprintf(error, error_len, "%s v%d: %s: found %s, expected %s", rj_api_name(api_key), version, fault.field,
                 fault.found, fault.expected);
    free(text);
    rj_arena_release(&arena);
    return err == RJ_OK;
}

json_t *scn_decode(struct rj_bytes frame, int16_t api_key, int16_t version, char *error, size_t error_len)
{
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    struct rj_response_frame response;
    struct rj_fault fault = {.err = RJ_OK};
    json_t *body = NULL;
    if (rj_decode_response(frame, api_key, version, &response, &arena, &fault) == RJ_OK) {
        struct rejoin_buffer text = {0};
        struct rj_writer writer = rejoin_buffer_writer(&text);
        rj_print_json(response.schema, response.version, response.body, &writer);
        body = json_loadb((const char *)text.data, text.len, 0, NULL);
        rejoin_buffer_free(&text);
    }
    if (body == NULL)
        snprintf(error, error_len, "an answer to %s v%d that cannot be read: %s at byte %zu: %s", rj_api_name(api_key),
                 version, fault.field, fault.offset, rj_err_sentence(fault.err));
    rj_arena_release(&arena);
    return body;
}

/* ---- The connection ---------------------------------------------------------------------------------------------- */

bool scn_resolve(const char *address, struct sockaddr_storage *out, char *error, size_t error_len)
{
    char *host = rejoin_strdup(address), *colon = strrchr(host, ':');
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int code = EAI_NONAME;
    if (colon != NULL) {
        *colon = 0;
        code = getaddrinfo(host, colon + 1, &hints, &found);
    }
    if (code == 0) {
        memset(out, 0, sizeof(*out));
        memcpy(out, found->ai_addr, found->ai_addrlen);
        freeaddrinfo(found);
    } else {
        snprintf(error, error_len, "'%s' is no address: %s", address,
                 colon ? gai_strerror(code) : "expected core, mock or HOST:PORT");
    }
    free(host);
    return code == 0;
}

static socklen_t address_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

bool scn_ask_open(struct scn_ask *ask, const struct sockaddr_storage *address)
{
    *ask = (struct scn_ask){.socket = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(ask->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(ask->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(ask->socket, (const struct sockaddr *)address, address_len(address)) == 0)
        return true;
    snprintf(ask->error, sizeof(ask->error), "cannot connect: %s", strerror(errno));
    scn_ask_close(ask);
    return false;
}

void scn_ask_close(struct scn_ask *ask)
{
    if (ask->socket >= 0)
        close(ask->socket);
    ask->socket = -1;
}

static bool write_all(struct scn_ask *ask, const uint8_t *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t now = send(ask->socket, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (now <= 0) {
            snprintf(ask->error, sizeof(ask->error), "cannot send: %s", strerror(errno));
            return false;
        }
        sent += (size_t)now;
    }
    return true;
}

static bool read_exactly(struct scn_ask *ask, uint8_t *bytes, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t now = recv(ask->socket, bytes + got, len - got, 0);
        if (now <= 0) {
            snprintf(ask->error, sizeof(ask->error), "no answer: %s", now == 0 ? "closed" : strerror(errno));
            return false;
        }
        got += (size_t)now;
    }
    return true;
}

json_t *scn_ask(struct scn_ask *ask, int16_t api_key, int16_t version, json_t *body)
{
    struct rejoin_buffer frame = {0};
    bool ok = scn_encode(api_key, version, ++ask->last_correlation_id, "rejoin", body, &frame, ask->error,
                         sizeof(ask->error))
              && write_all(ask, frame.data, frame.len);
    rejoin_buffer_free(&frame);
    json_decref(body);
    uint8_t prefix[4];
    if (!ok || !read_exactly(ask, prefix, sizeof(prefix)))
        return NULL;
    uint32_t len = (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 | prefix[3];
    if (len > ANSWER_LIMIT_LEN) {
        snprintf(ask->error, sizeof(ask->error), "an answer of %u bytes: this is no broker", len);
        return NULL;
    }
    uint8_t *bytes = rejoin_alloc(len + 1);
    json_t *answer = NULL;
    if (read_exactly(ask, bytes, len))
        answer = scn_decode((struct rj_bytes){bytes, (int32_t)len}, api_key, version, ask->error, sizeof(ask->error));
    free(bytes);
    return answer;
}
