/* OpenSSL, loaded when users or TLS are asked for: a mock without them neither maps nor starts it, which would take
 * longer than everything else until the first answer. */
#ifndef REJOIN_MOCK_OPENSSL_H
#define REJOIN_MOCK_OPENSSL_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#define OPENSSL_CRYPTO_FUNCTIONS(function)                                                                             \
    function(PKCS5_PBKDF2_HMAC) function(EVP_sha256) function(EVP_Digest) function(HMAC) function(RAND_bytes)          \
    function(CRYPTO_memcmp) function(ERR_get_error) function(ERR_clear_error) function(ERR_reason_error_string)        \
    function(BIO_meth_new) function(BIO_meth_free) function(BIO_meth_set_read) function(BIO_meth_set_write)            \
    function(BIO_meth_set_ctrl) function(BIO_new) function(BIO_set_data) function(BIO_get_data) function(BIO_set_init) \
    function(BIO_set_flags) function(BIO_clear_flags)

#define OPENSSL_TLS_FUNCTIONS(function)                                                                                \
    function(TLS_server_method) function(SSL_CTX_new) function(SSL_CTX_free) function(SSL_CTX_ctrl)                    \
    function(SSL_CTX_set_options) function(SSL_CTX_set_default_passwd_cb) function(SSL_CTX_use_certificate_chain_file) \
    function(SSL_CTX_use_PrivateKey_file) function(SSL_CTX_check_private_key) function(SSL_new) function(SSL_free)     \
    function(SSL_set_bio) function(SSL_set_accept_state) function(SSL_do_handshake) function(SSL_read)                 \
    function(SSL_write) function(SSL_get_error) function(SSL_shutdown)

struct openssl_functions {
#define OPENSSL_MEMBER(name) __typeof__(name) *name;
    OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_MEMBER)
    OPENSSL_TLS_FUNCTIONS(OPENSSL_MEMBER)
#undef OPENSSL_MEMBER
};
extern struct openssl_functions openssl;

/* Once is enough, a second time does nothing. false: error says what to install. */
bool openssl_load_crypto(char *error, size_t error_len);
bool openssl_load_tls(char *error, size_t error_len); /* crypto too */

#endif
