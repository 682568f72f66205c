/* TLS of a connection. OpenSSL reads what the socket brought and leaves what is to be written in a buffer: the loop
 * has one way to read and one to write, with or without TLS. */
#include "mock/internal.h"
#include "mock/security/openssl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HANDSHAKE_LIMIT_LEN = 32 * 1024, /* what a client sends until it is through; real ones send below 4 KiB */
    RECORD_LEN = 16 * 1024,          /* the most that one TLS record holds */
};

struct tls_context { SSL_CTX *context; BIO_METHOD *method; };

struct tls {
    SSL *ssl;
    struct rj_bytes incoming; /* while bytes are being opened: those that are left of them */
    struct buffer sealed;     /* to be written */
    size_t handshake_len;     /* what came until the handshake was complete */
    bool is_open;             /* the handshake is complete */
    bool is_broken;           /* no more of OpenSSL than its last alert */
};

/* ---- Certificate and key ----------------------------------------------------------------------------------------- */

/* Nobody sits at a terminal to be asked. */
static int no_password(char *out, int out_len, int is_writing, void *context)
{
    (void)out, (void)out_len, (void)is_writing, (void)context;
    return 0;
}

static const char *reason(void)
{
    const char *text = openssl.ERR_reason_error_string(openssl.ERR_get_error());
    return text ? text : "no reason given";
}

static bool load_files(SSL_CTX *context, const struct mock_options *options, char *error, size_t error_len)
{
    openssl.ERR_clear_error();
    if (openssl.SSL_CTX_use_certificate_chain_file(context, options->tls_cert_path) != 1)
        snprintf(error, error_len, "%s: expected a certificate as PEM, and those that signed it behind it: %s",
                 options->tls_cert_path, reason());
    else if (openssl.SSL_CTX_use_PrivateKey_file(context, options->tls_key_path, SSL_FILETYPE_PEM) != 1)
        snprintf(error, error_len, "%s: expected a private key as PEM without a password: %s", options->tls_key_path,
                 reason());
    else if (openssl.SSL_CTX_check_private_key(context) != 1)
        snprintf(error, error_len, "%s: expected the private key of the certificate in %s: %s", options->tls_key_path,
                 options->tls_cert_path, reason());
    else
        return true;
    return false;
}

static int bio_read(BIO *bio, char *out, int out_len);
static int bio_write(BIO *bio, const char *bytes, int len);
static long bio_control(BIO *bio, int command, long number, void *pointer);

bool mock_tls_start(struct mock_cluster *cluster, char *error, size_t error_len)
{
    if (!openssl_load_tls(error, error_len))
        return false;
    struct tls_context *tls = rejoin_alloc_zeroed(1, sizeof(*tls));
    cluster->tls = tls;
    tls->context = openssl.SSL_CTX_new(openssl.TLS_server_method());
    tls->method = openssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "connection");
    if (tls->context == NULL || tls->method == NULL) {
        snprintf(error, error_len, "OpenSSL cannot begin: %s", reason());
        return false;
    }
    openssl.BIO_meth_set_read(tls->method, bio_read);
    openssl.BIO_meth_set_write(tls->method, bio_write);
    openssl.BIO_meth_set_ctrl(tls->method, bio_control);
    openssl.SSL_CTX_ctrl(tls->context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    openssl.SSL_CTX_ctrl(tls->context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL); /* idle ones have none */
    openssl.SSL_CTX_ctrl(tls->context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    openssl.SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
    openssl.SSL_CTX_set_default_passwd_cb(tls->context, no_password);
    return load_files(tls->context, &cluster->options, error, error_len);
}

void mock_tls_stop(struct mock_cluster *cluster)
{
    if (cluster->tls == NULL)
        return;
    if (cluster->tls->context != NULL)
        openssl.SSL_CTX_free(cluster->tls->context);
    if (cluster->tls->method != NULL)
        openssl.BIO_meth_free(cluster->tls->method);
    free(cluster->tls);
    cluster->tls = NULL;
}

/* ---- What OpenSSL takes for the socket --------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *out, int out_len)
{
    struct tls *tls = openssl.BIO_get_data(bio);
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (tls->incoming.len == 0) {
        openssl.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    int len = out_len < tls->incoming.len ? out_len : tls->incoming.len;
    memcpy(out, tls->incoming.data, (size_t)len);
    tls->incoming.data += len;
    tls->incoming.len -= len;
    return len;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls *tls = openssl.BIO_get_data(bio);
    openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    return mock_buffer_append(&tls->sealed, bytes, (size_t)len) ? len : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

bool mock_tls_begin(struct connection *connection)
{
    const struct tls_context *context = connection->cluster->tls;
    if (context == NULL)
        return true;
    struct tls *tls = calloc(1, sizeof(*tls));
    connection->tls = tls;
    BIO *bio = tls ? openssl.BIO_new(context->method) : NULL;
    if (bio == NULL)
        return false;
    tls->ssl = openssl.SSL_new(context->context);
    if (tls->ssl == NULL)
        return false; /* the few bytes of the BIO are lost, where there are none anyway */
    openssl.BIO_set_data(bio, tls);
    openssl.BIO_set_init(bio, 1);
    openssl.SSL_set_bio(tls->ssl, bio, bio);
    openssl.SSL_set_accept_state(tls->ssl);
    return true;
}

void mock_tls_end(struct connection *connection)
{
    struct tls *tls = connection->tls;
    if (tls == NULL)
        return;
    if (tls->ssl != NULL)
        openssl.SSL_free(tls->ssl);
    mock_buffer_free(&tls->sealed);
    free(tls);
    connection->tls = NULL;
}

/* OpenSSL's word on a call that did not succeed. false: the connection is at its end. */
static bool goes_on(struct connection *connection, int result)
{
    struct tls *tls = connection->tls;
    int error = openssl.SSL_get_error(tls->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    if (error == SSL_ERROR_ZERO_RETURN) {
        mock_close_connection(connection, MOCK_CLOSED_BY_PEER);
        return false;
    }
    tls->is_broken = true;
    mock_log_line(connection->cluster, "%s: TLS %s: %s; connection closed", connection->peer,
                  tls->is_open ? "failed" : "handshake failed", reason());
    mock_close_connection(connection, MOCK_CLOSED_MALFORMED);
    return false;
}

static bool shake_hands(struct connection *connection)
{
    struct tls *tls = connection->tls;
    tls->handshake_len += (size_t)tls->incoming.len;
    int result = openssl.SSL_do_handshake(tls->ssl);
    if (result != 1) {
        if (!goes_on(connection, result))
            return false;
    } else {
        tls->is_open = true;
    }
    if (!tls->is_open && tls->handshake_len > HANDSHAKE_LIMIT_LEN) {
        mock_log_line(connection->cluster, "%s: a TLS handshake of more than %d bytes is refused; connection closed",
                      connection->peer, HANDSHAKE_LIMIT_LEN);
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return false;
    }
    return true;
}

bool mock_tls_open(struct connection *connection, struct rj_bytes bytes)
{
    uint8_t plain[RECORD_LEN];
    struct tls *tls = connection->tls;
    openssl.ERR_clear_error();
    tls->incoming = bytes;
    if (!tls->is_open && !shake_hands(connection))
        return false;
    while (tls->is_open) {
        int len = openssl.SSL_read(tls->ssl, plain, sizeof(plain));
        if (len <= 0) {
            if (!goes_on(connection, len))
                return false;
            break;
        }
        if (!mock_buffer_append(&connection->in, plain, (size_t)len)) {
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
            return false;
        }
    }
    tls->incoming = RJ_EMPTY_BYTES;
    return true;
}

bool mock_tls_seal(struct connection *connection, bool is_last)
{
    struct tls *tls = connection->tls;
    struct buffer *out = &connection->out;
    bool ok = true;
    if (tls->ssl == NULL)
        return false;
    openssl.ERR_clear_error();
    for (size_t at = 0; ok && !tls->is_broken && at < out->len;) {
        size_t left = out->len - at;
        int len = openssl.SSL_write(tls->ssl, out->data + at, left < INT32_MAX ? (int)left : INT32_MAX);
        ok = len > 0;
        at += ok ? (size_t)len : 0;
    }
    if (is_last && tls->is_open && !tls->is_broken)
        openssl.SSL_shutdown(tls->ssl);
    struct buffer sealed = tls->sealed;
    tls->sealed = *out;
    tls->sealed.len = 0;
    *out = sealed;
    if (tls->sealed.capacity > RECORD_LEN)
        mock_buffer_free(&tls->sealed);
    return ok;
}

bool mock_tls_has_sealed(const struct connection *connection) { return connection->tls->sealed.len > 0; }
