/* What SASL tokens say: PLAIN and both messages of a SCRAM client.
 * Input: one byte that chooses the message, then the token. What is read lies within the token and is what the rules of
 * the message allow; base64 survives both ways. */
#include "lib/fuzz.h"
#include "mock/security/sasl_messages.h"

#include <stdlib.h>
#include <string.h>

static bool is_within(struct rj_string view, struct rj_bytes token)
{
    const char *start = (const char *)token.data;
    return view.len >= 0 && (view.len == 0 || (view.data >= start && view.data + view.len <= start + token.len));
}

static void read_plain(struct rj_bytes token)
{
    struct sasl_plain plain;
    int part_count;
    int32_t nuls = 0;
    for (int32_t i = 0; i < token.len; i++)
        nuls += token.data[i] == 0;
    bool ok = sasl_read_plain(token, &plain, &part_count);
    FUZZ_REQUIRE(ok == (nuls == 2), "plain-parts", "%d parts of %d NULs", part_count, nuls);
    if (!ok)
        return;
    FUZZ_REQUIRE(is_within(plain.name, token) && is_within(plain.password, token), "plain-within", "%d", part_count);
    FUZZ_REQUIRE(plain.authorization_id.len + plain.name.len + plain.password.len + 2 == token.len, "plain-whole", "%d",
                 token.len);
}

static void read_first(struct rj_bytes token)
{
    struct scram_first first;
    if (!scram_read_first(token, &first))
        return;
    FUZZ_REQUIRE(is_within(first.name, token) && is_within(first.nonce, token) && is_within(first.bare, token),
                 "first-within", "%d", token.len);
    FUZZ_REQUIRE(first.name.len > 0 && first.nonce.len > 0, "first-empty", "%d", first.name.len);
    FUZZ_REQUIRE(first.bare.data + first.bare.len == (const char *)token.data + token.len, "first-bare", "%d",
                 token.len);
    for (int32_t i = 0; i < token.len; i++)
        FUZZ_REQUIRE(token.data[i] > 0 && token.data[i] < 0x80, "first-characters", "%d", token.data[i]);
    char *name = malloc((size_t)first.name.len);
    struct rj_string plain = scram_unescape(first.name, name);
    FUZZ_REQUIRE(plain.len > 0 && plain.len <= first.name.len, "first-name", "%d", plain.len);
    free(name);
}

static void read_base64(struct rj_string text)
{
    size_t room = (size_t)text.len + 4, len = 0;
    uint8_t *bytes = malloc(room);
    char *again = malloc(room);
    if (sasl_read_base64(text, bytes, room, &len)) {
        FUZZ_REQUIRE(len * 4 <= (size_t)text.len * 3, "base64-len", "%zu of %d", len, text.len);
        sasl_write_base64(bytes, len, again);
        FUZZ_REQUIRE(strlen(again) == (size_t)text.len, "base64-again", "%zu of %d", strlen(again), text.len);
        size_t exact = 0;
        FUZZ_REQUIRE(len == 0 || !sasl_read_base64(text, bytes, len - 1, &exact), "base64-room", "%zu", len);
    }
    free(bytes);
    free(again);
}

static void read_final(struct rj_bytes token)
{
    struct scram_final final;
    if (!scram_read_final(token, &final))
        return;
    FUZZ_REQUIRE(is_within(final.nonce, token) && is_within(final.proof, token) &&
                     is_within(final.without_proof, token), "final-within", "%d", token.len);
    FUZZ_REQUIRE(final.nonce.len > 0 && final.proof.len % 4 == 0, "final-parts", "%d", final.proof.len);
    read_base64(final.proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 20)
        return 0;
    struct rj_bytes token = {data + 1, (int32_t)(size - 1)};
    switch (data[0] % 4) {
    case 0: read_plain(token); break;
    case 1: read_first(token); break;
    case 2: read_final(token); break;
    default: read_base64((struct rj_string){(const char *)token.data, token.len}); break;
    }
    return 0;
}
