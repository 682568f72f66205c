/* java.util.Random's generator, and reading ids. */
#include "core/core.h"

#include <string.h>

static const uint64_t multiplier = 0x5deece66dull, mask = (1ull << 48) - 1;

void java_random_seed(struct java_random *random, int64_t seed)
{
    random->state = ((uint64_t)seed ^ multiplier) & mask;
}

void java_random_bytes(struct java_random *random, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        random->state = (random->state * multiplier + 0xb) & mask;
        uint32_t word = (uint32_t)(random->state >> 16);
        for (int k = 0; k < 4 && i < len; k++, word >>= 8)
            bytes[i++] = (uint8_t)word;
    }
}

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

static bool parse_base64(const char *text, struct rj_uuid *uuid)
{
    uint32_t bits = 0;
    int have = 0;
    size_t at = 0;
    for (size_t i = 0; i < 22; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8 && at < sizeof(uuid->bytes)) {
            have -= 8;
            uuid->bytes[at++] = (uint8_t)(bits >> have);
        }
    }
    return at == sizeof(uuid->bytes);
}

bool core_parse_uuid(const char *text, struct rj_uuid *uuid)
{
    if (text == NULL)
        return false;
    if (strlen(text) == 22)
        return parse_base64(text, uuid);
    if (strlen(text) != 36)
        return false;
    size_t at = 0;
    for (const char *c = text; *c != 0 && at < sizeof(uuid->bytes);) {
        if (*c == '-') {
            c++;
            continue;
        }
        unsigned value;
        if (sscanf(c, "%2x", &value) != 1)
            return false;
        uuid->bytes[at++] = (uint8_t)value;
        c += 2;
    }
    return at == sizeof(uuid->bytes);
}
