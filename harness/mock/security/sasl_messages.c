#include "mock/security/sasl_messages.h"

#include <string.h>

/* ---- Characters -------------------------------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_base64(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '/'; }

/* RFC 5802's value-char without the comma, as Kafka has it: ASCII without NUL. */
static bool is_value(char c) { return c != 0 && (unsigned char)c < 0x80 && c != ','; }

static bool is_printable(char c) { return c >= 0x21 && c <= 0x7e && c != ','; }

/* ---- A token, from left to right --------------------------------------------------------------------------------- */

struct reader { const char *at, *end; };

static bool take_text(struct reader *reader, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
        return false;
    reader->at += len;
    return true;
}

/* At least one of these characters. */
static bool take_run(struct reader *reader, bool (*belongs)(char c), struct rj_string *run)
{
    const char *start = reader->at;
    while (reader->at < reader->end && belongs(*reader->at))
        reader->at++;
    *run = (struct rj_string){start, (int32_t)(reader->at - start)};
    return run->len > 0;
}

/* Base64 that is whole: fours, the last of them filled up with one or two '='. Empty is whole. */
static bool take_base64(struct reader *reader, struct rj_string *run)
{
    const char *start = reader->at;
    int padding = 0;
    take_run(reader, is_base64, run);
    while (reader->at < reader->end && *reader->at == '=' && padding < 2) {
        reader->at++;
        padding++;
    }
    *run = (struct rj_string){start, (int32_t)(reader->at - start)};
    return run->len % 4 == 0;
}

/* A name, in which '=' stands only in =2C and =3D. */
static bool take_name(struct reader *reader, struct rj_string *name)
{
    const char *start = reader->at;
    while (reader->at < reader->end && is_value(*reader->at)) {
        if (*reader->at == '=') {
            const char *rest = reader->at + 1;
            if (reader->end - rest < 2 || (memcmp(rest, "2C", 2) != 0 && memcmp(rest, "3D", 2) != 0))
                return false;
        }
        reader->at++;
    }
    *name = (struct rj_string){start, (int32_t)(reader->at - start)};
    return name->len > 0;
}

/* ",LETTERS=VALUE" as often as it stands there; one that is called stop ends them. */
static bool take_extensions(struct reader *reader, const char *stop)
{
    struct rj_string run;
    while (reader->at < reader->end) {
        struct reader ahead = *reader;
        if (stop != NULL && take_text(&ahead, stop))
            return true;
        if (!take_text(reader, ",") || !take_run(reader, is_letter, &run) || !take_text(reader, "=") ||
            !take_run(reader, is_value, &run))
            return false;
    }
    return true;
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

bool sasl_read_plain(struct rj_bytes token, struct sasl_plain *plain, int *part_count)
{
    struct rj_string *parts[] = {&plain->authorization_id, &plain->name, &plain->password};
    const char *at = (const char *)token.data, *end = at + (token.len > 0 ? token.len : 0);
    *part_count = 0;
    for (;;) {
        const char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        const char *stop = nul != NULL ? nul : end;
        if (*part_count < 3)
            *parts[*part_count] = (struct rj_string){at, (int32_t)(stop - at)};
        ++*part_count;
        if (nul == NULL || *part_count == 4)
            break;
        at = nul + 1;
    }
    return *part_count == 3;
}

bool scram_read_first(struct rj_bytes token, struct scram_first *first)
{
    struct reader reader = {(const char *)token.data, (const char *)token.data + (token.len > 0 ? token.len : 0)};
    struct rj_string reserved;
    *first = (struct scram_first){.authorization_id = RJ_EMPTY_STRING};
    if (token.len <= 0 || !take_text(&reader, "n,") ||
        (take_text(&reader, "a=") && !take_name(&reader, &first->authorization_id)) || !take_text(&reader, ","))
        return false;
    if (take_text(&reader, "m=") && (!take_run(&reader, is_value, &reserved) || !take_text(&reader, ",")))
        return false;
    const char *bare = reader.at;
    if (!take_text(&reader, "n=") || !take_name(&reader, &first->name) || !take_text(&reader, ",r=") ||
        !take_run(&reader, is_printable, &first->nonce) || !take_extensions(&reader, NULL))
        return false;
    first->bare = (struct rj_string){bare, (int32_t)(reader.end - bare)};
    return true;
}

bool scram_read_final(struct rj_bytes token, struct scram_final *final)
{
    struct reader reader = {(const char *)token.data, (const char *)token.data + (token.len > 0 ? token.len : 0)};
    struct rj_string channel;
    if (token.len <= 0)
        return false;
    if (!take_text(&reader, "c=") || !take_base64(&reader, &channel) || !take_text(&reader, ",r=") ||
        !take_run(&reader, is_printable, &final->nonce))
        return false;
    final->without_proof = (struct rj_string){(const char *)token.data,
                                              (int32_t)(reader.at - (const char *)token.data)};
    return take_extensions(&reader, ",p=") && take_text(&reader, ",p=") && take_base64(&reader, &final->proof) &&
           reader.at == reader.end;
}

struct rj_string scram_unescape(struct rj_string name, char *out)
{
    int32_t len = 0;
    for (int32_t i = 0; i < name.len; i++) {
        bool is_escape = name.data[i] == '=' && i + 2 < name.len;
        out[len++] = is_escape ? (name.data[i + 1] == '2' ? ',' : '=') : name.data[i];
        i += is_escape ? 2 : 0;
    }
    return (struct rj_string){out, len};
}

/* ---- Base64 ------------------------------------------------------------------------------------------------------ */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool sasl_read_base64(struct rj_string text, uint8_t *out, size_t out_len, size_t *len)
{
    struct reader reader = {text.data, text.data + (text.len > 0 ? text.len : 0)};
    struct rj_string whole;
    *len = 0;
    if (text.len <= 0)
        return text.len == 0;
    if (!take_base64(&reader, &whole) || reader.at != reader.end)
        return false;
    uint32_t bits = 0;
    int bit_count = 0;
    for (int32_t i = 0; i < text.len && text.data[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, text.data[i]) - digits);
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        if (*len == out_len)
            return false;
        out[(*len)++] = (uint8_t)(bits >> bit_count);
    }
    return true;
}

void sasl_write_base64(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        *out++ = digits[bits >> 18 & 63];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    *out = 0;
}
