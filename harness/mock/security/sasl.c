/* Authentication of a connection, as Kafka's SaslServerAuthenticator has it: first ApiVersions at most once, then
 * SaslHandshake, then the mechanism's tokens: in SaslAuthenticate, or as bare frames after a handshake of version 0. */
#include "mock/internal.h"
#include "mock/security/sasl_messages.h"
#include "mock/security/scram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { API_VERSIONS = 18, SASL_HANDSHAKE = 17, SASL_AUTHENTICATE = 36 };
enum {
    MAX_RECEIVE_LEN = 524288,    /* sasl.server.max.receive.size: frames before a connection is authenticated */
    REAUTHENTICATION_GAP_MS = 1000, /* a handshake sooner after the last one is an ordinary, illegal request */
};

enum sasl_state {
    SASL_START,         /* ApiVersions or SaslHandshake */
    SASL_VERSIONS_TOLD, /* SaslHandshake */
    SASL_TOKENS,        /* SaslAuthenticate, or bare tokens */
    SASL_BAD_MECHANISM, /* of a re-authentication: whatever comes next ends it */
    SASL_THROUGH,
};

struct sasl {
    enum sasl_state state;
    enum mock_mechanism mechanism;
    bool has_bare_tokens;
    bool is_again;                 /* this is a re-authentication */
    struct scram_exchange *scram;
    const struct mock_user *user;  /* who it is; of a re-authentication: who it was */
    int64_t handshake_ms;          /* of the last re-authentication; 0: none */
    int64_t expires_ms;            /* INT64_MAX: never */
};

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static struct rj_string text_view(const char *text)
{
    return text ? (struct rj_string){text, (int32_t)strlen(text)} : RJ_NULL_STRING;
}

/* The host without the slash in front of it. */
static void set_rights(struct connection *connection, const char *principal)
{
    struct mock_acls *acls = connection->cluster->acls;
    char host[PEER_LEN];
    snprintf(host, sizeof(host), "%.*s", connection->client_host.len - 1, connection->client_host.data + 1);
    connection->rights = acls ? mock_acls_rights(acls, principal, host) : NULL;
    if (connection->cluster->host_rights != NULL)
        connection->rights = connection->cluster->host_rights;
}

void mock_set_rights(struct mock_cluster *cluster, const struct rj_rights *rights)
{
    cluster->host_rights = rights;
    for (struct connection *connection = cluster->connections; connection != NULL; connection = connection->next) {
        const struct mock_user *user = connection->sasl ? connection->sasl->user : NULL;
        set_rights(connection, user ? user->principal : "User:ANONYMOUS");
    }
}

bool mock_sasl_begin(struct connection *connection)
{
    struct mock_cluster *cluster = connection->cluster;
    connection->frame_limit = cluster->options.limits.frame_len;
    set_rights(connection, "User:ANONYMOUS");
    if (cluster->users == NULL)
        return true;
    connection->sasl = calloc(1, sizeof(*connection->sasl));
    if (connection->frame_limit > MAX_RECEIVE_LEN)
        connection->frame_limit = MAX_RECEIVE_LEN;
    return connection->sasl != NULL;
}

void mock_sasl_end(struct connection *connection)
{
    if (connection->sasl == NULL)
        return;
    scram_free(connection->sasl->scram);
    free(connection->sasl);
    connection->sasl = NULL;
}

static void refuse(struct connection *connection, const char *why)
{
    mock_log_line(connection->cluster, "%s: %s; connection closed", connection->peer, why);
    mock_close_connection(connection, MOCK_CLOSED_AUTHENTICATION);
}

static int32_t session_lifetime_ms(const struct mock_cluster *cluster)
{
    bool has_sessions = cluster->high_by_key[SASL_AUTHENTICATE] >= 1; /* since 2.2 */
    return has_sessions ? cluster->options.connections_max_reauth_ms : 0;
}

static void get_through(struct connection *connection, const struct mock_user *user)
{
    struct sasl *sasl = connection->sasl;
    int32_t lifetime_ms = session_lifetime_ms(connection->cluster);
    sasl->state = SASL_THROUGH;
    sasl->user = user;
    sasl->expires_ms = lifetime_ms > 0 ? mock_now_ms(connection->cluster) + lifetime_ms : INT64_MAX;
    scram_free(sasl->scram);
    sasl->scram = NULL;
    set_rights(connection, user->principal);
    connection->frame_limit = connection->cluster->options.limits.frame_len;
}

/* ---- Tokens ------------------------------------------------------------------------------------------------------ */

/* What became of a token. Of a failure: what the client is told of it. */
struct step { bool is_failed, is_done; struct rj_string answer; const char *why; const struct mock_user *user; };

static const char *judge_plain(struct mock_users *users, const struct sasl_plain *plain, const struct mock_user **user)
{
    if (plain->name.len == 0)
        return "Authentication failed: username not specified";
    if (plain->password.len == 0)
        return "Authentication failed: password not specified";
    *user = mock_find_user(users, plain->name, MECHANISM_PLAIN);
    if (*user == NULL || !rj_string_equal(text_view((*user)->password), plain->password))
        return "Authentication failed: Invalid username or password";
    if (plain->authorization_id.len > 0 && !rj_string_equal(plain->authorization_id, plain->name))
        return "Authentication failed: Client requested an authorization id that is different from username";
    return NULL;
}

static struct step take_plain(struct request *request, struct rj_bytes token)
{
    enum { WHY_LEN = 80 };
    struct sasl_plain plain;
    struct step step = {.is_done = true, .answer = RJ_EMPTY_STRING};
    int part_count;
    if (sasl_read_plain(token, &plain, &part_count)) {
        step.why = judge_plain(request->cluster->users, &plain, &step.user);
        step.is_failed = step.why != NULL;
        return step;
    }
    char *why = mock_arena_array(request, 1, WHY_LEN);
    if (why != NULL)
        snprintf(why, WHY_LEN, "Invalid SASL/PLAIN response: expected 3 tokens, got %d", part_count);
    step.why = why;
    step.is_failed = true;
    return step;
}

static struct step take_scram(struct request *request, struct rj_bytes token)
{
    struct sasl *sasl = request->connection->sasl;
    struct step step = {.is_done = sasl->scram != NULL};
    if (sasl->scram == NULL)
        step.answer = scram_take_first(&sasl->scram, request->cluster->users, token, &step.why);
    else
        step.answer = scram_take_final(sasl->scram, token, !mock_release_is_at_least(request->cluster, "4.0"),
                                       &step.why);
    step.is_failed = rj_string_is_null(step.answer);
    if (step.is_failed && step.why == NULL)
        step.why = sasl->is_again ? "Authentication failed during re-authentication due to invalid credentials with "
                                    "SASL mechanism SCRAM-SHA-256"
                                  : "Authentication failed during authentication due to invalid credentials with SASL "
                                    "mechanism SCRAM-SHA-256";
    if (!step.is_failed && step.is_done)
        step.user = scram_user(sasl->scram);
    return step;
}

static struct step take_token(struct request *request, struct rj_bytes token)
{
    enum { WHY_LEN = 640 };
    struct sasl *sasl = request->connection->sasl;
    struct step step = sasl->mechanism == MECHANISM_PLAIN ? take_plain(request, token) : take_scram(request, token);
    if (!step.is_failed && step.is_done && sasl->is_again && step.user != sasl->user) {
        char *why = mock_arena_array(request, 1, WHY_LEN);
        if (why != NULL)
            snprintf(why, WHY_LEN, "Cannot change principals during re-authentication from User.%s: User.%s",
                     sasl->user->name, step.user->name);
        step.why = why;
        step.is_failed = true;
    }
    return step;
}

static void take_bare_token(struct connection *connection, struct rj_bytes token)
{
    struct request request = {.cluster = connection->cluster, .connection = connection};
    struct step step = take_token(&request, token);
    if (step.is_failed)
        refuse(connection, step.why ? step.why : "authentication failed");
    else if (!mock_answer_bare(connection, (struct rj_bytes){(const uint8_t *)step.answer.data, step.answer.len}))
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
    else if (step.is_done)
        get_through(connection, step.user);
}

/* ---- What comes before a request is looked at -------------------------------------------------------------------- */

/* Only sessions that end can be renewed (KIP-368). */
static bool begins_again(struct connection *connection, int16_t api_key)
{
    struct sasl *sasl = connection->sasl;
    int64_t now_ms = mock_now_ms(connection->cluster);
    if (api_key != SASL_HANDSHAKE || sasl->expires_ms == INT64_MAX ||
        (sasl->handshake_ms != 0 && now_ms - sasl->handshake_ms < REAUTHENTICATION_GAP_MS))
        return false;
    sasl->handshake_ms = now_ms;
    sasl->is_again = true;
    sasl->has_bare_tokens = false;
    sasl->state = SASL_VERSIONS_TOLD;
    return true;
}

static bool refuse_api(struct connection *connection, int16_t api_key)
{
    char why[128];
    const char *name = api_key >= 0 ? rj_api_name(api_key) : NULL;
    snprintf(why, sizeof(why), "%s (API %d) before the connection is authenticated", name ? name : "unknown", api_key);
    refuse(connection, why);
    return false;
}

bool mock_sasl_screen(struct connection *connection, struct rj_bytes frame)
{
    struct sasl *sasl = connection->sasl;
    if (sasl->state == SASL_TOKENS && sasl->has_bare_tokens) {
        take_bare_token(connection, frame);
        return false;
    }
    int16_t api_key = frame.len >= 2 ? (int16_t)(frame.data[0] << 8 | frame.data[1]) : -1;
    switch (sasl->state) {
    case SASL_START:
        return api_key == API_VERSIONS || api_key == SASL_HANDSHAKE || refuse_api(connection, api_key);
    case SASL_VERSIONS_TOLD:
        return api_key == SASL_HANDSHAKE || refuse_api(connection, api_key);
    case SASL_TOKENS:
        return true; /* mock_sasl_admits: others get an answer */
    case SASL_BAD_MECHANISM:
        refuse(connection, "a re-authentication with another mechanism than before");
        return false;
    case SASL_THROUGH:
        if (begins_again(connection, api_key) || mock_now_ms(connection->cluster) <= sasl->expires_ms)
            return true;
        refuse(connection, "its session has expired without a re-authentication");
        return false;
    }
    return false;
}

bool mock_sasl_admits(struct connection *connection)
{
    struct request *request = &connection->request;
    if (connection->sasl->state != SASL_TOKENS || request->api_key == SASL_AUTHENTICATE)
        return true;
    const void *body = mock_error_response(request, RJ_KAFKA_ILLEGAL_SASL_STATE);
    if (body != NULL)
        mock_answer_connection(connection, body, RJ_RULE_NONE);
    return refuse_api(connection, request->api_key);
}

void mock_sasl_versions_told(struct request *request)
{
    struct sasl *sasl = request->connection ? request->connection->sasl : NULL;
    if (sasl != NULL && sasl->state == SASL_START)
        sasl->state = SASL_VERSIONS_TOLD;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static bool list_mechanisms(struct request *request, struct rj_sasl_handshake_response *response)
{
    if (!NEW_ITEMS(request, response->mechanisms, MECHANISM_COUNT))
        return false;
    response->mechanisms.count = 0;
    for (int i = 0; i < MECHANISM_COUNT; i++)
        if (mock_is_enabled(request->cluster->users, i))
            response->mechanisms.items[response->mechanisms.count++] = text_view(mock_mechanism_names[i]);
    return true;
}

static bool choose_mechanism(const struct mock_cluster *cluster, struct rj_string name, enum mock_mechanism *mechanism)
{
    for (int i = 0; i < MECHANISM_COUNT; i++)
        if (mock_is_enabled(cluster->users, i) && rj_string_equal(name, text_view(mock_mechanism_names[i]))) {
            *mechanism = i;
            return true;
        }
    return false;
}

enum outcome mock_handle_sasl_handshake(struct request *request)
{
    const struct rj_sasl_handshake_request *asked = request->body;
    struct connection *connection = request->connection;
    struct sasl *sasl = connection ? connection->sasl : NULL;
    struct rj_sasl_handshake_response *response = mock_new_response(request);
    if (response == NULL)
        return OUTCOME_CLOSE;
    if (sasl == NULL || sasl->state == SASL_THROUGH) {
        response->error_code = RJ_KAFKA_ILLEGAL_SASL_STATE;
        return mock_answer_request(request, response, RJ_RULE_NONE);
    }
    enum mock_mechanism mechanism;
    bool is_known = choose_mechanism(request->cluster, asked->mechanism, &mechanism);
    if (!is_known)
        response->error_code = RJ_KAFKA_UNSUPPORTED_SASL_MECHANISM;
    if (!list_mechanisms(request, response))
        return OUTCOME_CLOSE;
    mock_answer_connection(connection, response, RJ_RULE_NONE);
    if (!is_known) {
        refuse(connection, "it wants a mechanism that no user has");
        return OUTCOME_ANSWERED;
    }
    sasl->state = sasl->is_again && mechanism != sasl->mechanism ? SASL_BAD_MECHANISM : SASL_TOKENS;
    sasl->mechanism = mechanism;
    sasl->has_bare_tokens = request->version == 0;
    return OUTCOME_ANSWERED;
}

enum outcome mock_handle_sasl_authenticate(struct request *request)
{
    const struct rj_sasl_authenticate_request *asked = request->body;
    struct connection *connection = request->connection;
    struct sasl *sasl = connection ? connection->sasl : NULL;
    struct rj_sasl_authenticate_response *response = mock_new_response(request);
    if (response == NULL)
        return OUTCOME_CLOSE;
    response->auth_bytes = RJ_EMPTY_BYTES;
    if (sasl == NULL || sasl->state != SASL_TOKENS) {
        response->error_code = RJ_KAFKA_ILLEGAL_SASL_STATE;
        response->error_message = RJ_STRING("SaslAuthenticate request received after successful authentication");
        return mock_answer_request(request, response, RJ_RULE_NONE);
    }
    struct step step = take_token(request, asked->auth_bytes);
    if (step.is_failed) {
        response->error_code = RJ_KAFKA_SASL_AUTHENTICATION_FAILED;
        response->error_message = text_view(step.why);
        mock_answer_connection(connection, response, RJ_RULE_NONE);
        refuse(connection, step.why ? step.why : "authentication failed");
        return OUTCOME_ANSWERED;
    }
    response->auth_bytes = (struct rj_bytes){(const uint8_t *)step.answer.data, step.answer.len};
    if (step.is_done)
        response->session_lifetime_ms = session_lifetime_ms(request->cluster);
    mock_answer_connection(connection, response, RJ_RULE_NONE);
    if (step.is_done)
        get_through(connection, step.user);
    return OUTCOME_ANSWERED;
}
