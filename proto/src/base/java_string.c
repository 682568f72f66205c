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

int32_t rj_java_hash(struct rj_string string)
{
    uint32_t hash = 0;
    for (int32_t i = 0; i < string.len;) {
        uint32_t point = next_code_point(string, &i);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}
