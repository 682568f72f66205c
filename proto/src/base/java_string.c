/* Strings as Java sees them: sequences of UTF-16 units. */
#include "rejoin/base.h"

/* UTF-8 bytes compare as code points do; UTF-16 puts what lies beyond U+FFFF (first byte 0xf0 and up, there written
 * with surrogates from 0xd800) before U+E000 to U+FFFF (first bytes 0xee and 0xef). */
static int unit_order(uint8_t byte)
{
    if (byte == 0xee || byte == 0xef)
        return 0x200 + byte;
    return byte;
}

int rj_java_compare(struct rj_string a, struct rj_string b)
{
    int32_t shorter = a.len < b.len ? a.len : b.len;
    for (int32_t i = 0; i < shorter; i++) {
        uint8_t left = (uint8_t)a.data[i], right = (uint8_t)b.data[i];
        if (left != right)
            return unit_order(left) - unit_order(right);
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

/* One code point; what is not UTF-8 counts as one unit a byte. */
static uint32_t next_code_point(struct rj_string string, int32_t *at)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)string.data[*at];
    int32_t len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (len <= 1 || len > string.len - *at) {
        (*at)++;
        return first;
    }
    uint32_t point = first & (0x7f >> len);
    for (int32_t i = 1; i < len; i++) {
        uint8_t next = (uint8_t)string.data[*at + i];
        if ((next & 0xc0) != 0x80) {
            (*at)++;
            return first;
        }
        point = point << 6 | (next & 0x3f);
    }
    if (point < least[len]) {
        (*at)++;
        return first;
    }
    *at += len;
    return point;
}

/* Eight units at once: neighbours are joined to pairs in lanes of 16 bits, pairs to fours in lanes of 32. */
static uint32_t hash_eight(uint32_t hash, uint64_t eight)
{
    enum { POWER_4 = 31 * 31 * 31 * 31 };
    static const uint64_t bytes = 0x00ff00ff00ff00ffu, words = 0x0000ffff0000ffffu;
    uint64_t pairs = (eight & bytes) * 31 + (eight >> 8 & bytes);
    uint64_t fours = (pairs & words) * (31 * 31) + (pairs >> 16 & words);
    return (hash * POWER_4 + (uint32_t)fours) * POWER_4 + (uint32_t)(fours >> 32);
}

static uint64_t little_endian(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24
           | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

int32_t rj_java_hash(struct rj_string string)
{
    static const uint64_t beyond_ascii = 0x8080808080808080u;
    uint32_t hash = 0;
    int32_t i = 0;
    for (; i + 8 <= string.len; i += 8) {
        uint64_t eight = little_endian(string.data + i);
        if (eight & beyond_ascii)
            break;
        hash = hash_eight(hash, eight);
    }
    while (i < string.len) {
        if ((uint8_t)string.data[i] < 0x80) {
            hash = 31 * hash + (uint8_t)string.data[i++];
            continue;
        }
        uint32_t point = next_code_point(string, &i);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}
