#include "mock/security/scram.h"

#include "mock/security/openssl.h"
#include "mock/security/sasl_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_BYTES = 18, NONCE_LEN = 24, TOKEN_LIMIT_LEN = 16 * 1024 }; /* real ones have some hundred bytes */

struct scram_exchange {
    struct mock_user *user;
    char *first_bare;   /* the client's, then a comma and the server's: the beginning of what is signed */
    size_t first_len;
    char *server_first; /* within first_bare */
    int32_t nonce_len;  /* at server_first + 2 */
    char answer[64];    /* "v=" and 32 bytes in base64 */
};

static const struct rj_string failed = {NULL, -1};

static bool hmac(const uint8_t *key, const void *bytes, size_t len, uint8_t out[SHA_256_LEN])
{
    unsigned out_len = SHA_256_LEN;
    return openssl.HMAC(openssl.EVP_sha256(), key, SHA_256_LEN, bytes, len, out, &out_len) != NULL;
}

static bool sha256(const uint8_t *bytes, uint8_t out[SHA_256_LEN])
{
    return openssl.EVP_Digest(bytes, SHA_256_LEN, out, NULL, openssl.EVP_sha256(), NULL) == 1;
}

static bool derive_keys(struct mock_user *user)
{
    uint8_t salted[SHA_256_LEN], client_key[SHA_256_LEN];
    if (user->has_keys)
        return true;
    user->has_keys = openssl.PKCS5_PBKDF2_HMAC(user->password, (int)strlen(user->password), user->salt,
                                               (int)user->salt_len, user->iterations, openssl.EVP_sha256(),
                                               SHA_256_LEN, salted) == 1 &&
                     hmac(salted, "Client Key", 10, client_key) && sha256(client_key, user->stored_key) &&
                     hmac(salted, "Server Key", 10, user->server_key);
    return user->has_keys;
}

/* "BARE,r=CLIENT SERVER,s=SALT,i=COUNT" */
static bool write_first(struct scram_exchange *exchange, const struct scram_first *first)
{
    uint8_t random[NONCE_BYTES];
    char nonce[NONCE_LEN + 1], salt[(SALT_LIMIT_LEN + 2) / 3 * 4 + 1];
    if (openssl.RAND_bytes(random, sizeof(random)) != 1)
        return false;
    sasl_write_base64(random, sizeof(random), nonce);
    sasl_write_base64(exchange->user->salt, exchange->user->salt_len, salt);
    size_t room = (size_t)first->bare.len + (size_t)first->nonce.len + sizeof(nonce) + sizeof(salt) + 32;
    exchange->first_bare = malloc(room);
    if (exchange->first_bare == NULL)
        return false;
    exchange->first_len = (size_t)snprintf(exchange->first_bare, room, "%.*s,r=%.*s%s,s=%s,i=%d", first->bare.len,
                                           first->bare.data, first->nonce.len, first->nonce.data, nonce, salt,
                                           exchange->user->iterations);
    exchange->server_first = exchange->first_bare + first->bare.len + 1;
    exchange->nonce_len = first->nonce.len + NONCE_LEN;
    return true;
}

struct rj_string scram_take_first(struct scram_exchange **out, struct mock_users *users, struct rj_bytes token,
                                  const char **why)
{
    struct scram_first first;
    char name[768]; /* three for each byte of the longest */
    *out = NULL;
    *why = NULL;
    if (token.len > TOKEN_LIMIT_LEN || !scram_read_first(token, &first) || first.name.len > (int32_t)sizeof(name))
        return failed;
    struct mock_user *user = mock_find_user(users, scram_unescape(first.name, name), MECHANISM_SCRAM_SHA_256);
    if (user == NULL)
        return failed;
    struct rj_string own = {user->name, (int32_t)strlen(user->name)};
    if (first.authorization_id.len > 0 && !rj_string_equal(first.authorization_id, own)) {
        *why = "Authentication failed: Client requested an authorization id that is different from username";
        return failed;
    }
    struct scram_exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL)
        return failed;
    exchange->user = user;
    if (!derive_keys(user) || !write_first(exchange, &first)) {
        scram_free(exchange);
        return failed;
    }
    *out = exchange;
    size_t start = (size_t)(exchange->server_first - exchange->first_bare);
    return (struct rj_string){exchange->server_first, (int32_t)(exchange->first_len - start)};
}

/* The client knows its key: the proof is the key, disguised by a signature that it shares with the server. */
static bool is_proved(const struct mock_user *user, const char *signed_text, size_t len,
                      const uint8_t proof[SHA_256_LEN])
{
    uint8_t key[SHA_256_LEN], stored[SHA_256_LEN];
    if (!hmac(user->stored_key, signed_text, len, key))
        return false;
    for (int i = 0; i < SHA_256_LEN; i++)
        key[i] ^= proof[i];
    return sha256(key, stored) && openssl.CRYPTO_memcmp(stored, user->stored_key, SHA_256_LEN) == 0;
}

static bool ends_with(struct rj_string text, struct rj_string end)
{
    return text.len >= end.len && memcmp(text.data + text.len - end.len, end.data, (size_t)end.len) == 0;
}

struct rj_string scram_take_final(struct scram_exchange *exchange, struct rj_bytes token, bool takes_longer_nonce,
                                  const char **why)
{
    struct scram_final final;
    uint8_t proof[SHA_256_LEN], signature[SHA_256_LEN];
    size_t proof_len;
    *why = NULL;
    if (token.len > TOKEN_LIMIT_LEN || !scram_read_final(token, &final))
        return failed;
    struct rj_string nonce = {exchange->server_first + 2, exchange->nonce_len};
    if (takes_longer_nonce ? !ends_with(final.nonce, nonce) : !rj_string_equal(final.nonce, nonce))
        return failed;
    if (!sasl_read_base64(final.proof, proof, sizeof(proof), &proof_len) || proof_len != SHA_256_LEN)
        return failed;
    size_t room = exchange->first_len + (size_t)final.without_proof.len + 2;
    char *text = malloc(room);
    if (text == NULL)
        return failed;
    size_t len = (size_t)snprintf(text, room, "%s,%.*s", exchange->first_bare, final.without_proof.len,
                                  final.without_proof.data);
    bool ok = is_proved(exchange->user, text, len, proof) && hmac(exchange->user->server_key, text, len, signature);
    free(text);
    if (!ok)
        return failed;
    memcpy(exchange->answer, "v=", 2);
    sasl_write_base64(signature, sizeof(signature), exchange->answer + 2);
    return (struct rj_string){exchange->answer, (int32_t)strlen(exchange->answer)};
}

const struct mock_user *scram_user(const struct scram_exchange *exchange) { return exchange->user; }

void scram_free(struct scram_exchange *exchange)
{
    if (exchange == NULL)
        return;
    free(exchange->first_bare);
    free(exchange);
}
