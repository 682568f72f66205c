/* Free-format printing after Steele and White, reading by long division: slow, short and exact. */
#include "codec/decimal.h"

#include <stdint.h>
#include <string.h>

/* 3,200 bits hold the largest product below: 10^440 shifted by 1,130. */
enum { WORDS = 100, DIGITS_MAX = 40, MANTISSA_BITS = 53, EXPONENT_MIN = -1074, SCALE_LIMIT = 400 };

struct big { uint32_t words[WORDS]; };

static void big_set(struct big *big, uint64_t value)
{
    memset(big, 0, sizeof(*big));
    big->words[0] = (uint32_t)value;
    big->words[1] = (uint32_t)(value >> 32);
}

static void big_multiply(struct big *big, uint32_t by, uint32_t plus)
{
    uint64_t carry = plus;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)big->words[i] * by;
        big->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void big_shift(struct big *big, int bits)
{
    for (; bits >= 31; bits -= 31)
        big_multiply(big, UINT32_C(1) << 31, 0);
    big_multiply(big, UINT32_C(1) << bits, 0);
}

static int big_compare(const struct big *a, const struct big *b)
{
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->words[i] != b->words[i])
            return a->words[i] < b->words[i] ? -1 : 1;
    return 0;
}

static void big_add(struct big *a, const struct big *b)
{
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (uint64_t)a->words[i] + b->words[i];
        a->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void big_subtract(struct big *a, const struct big *b)
{
    int64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (int64_t)a->words[i] - b->words[i];
        a->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static int big_compare_sum(const struct big *a, const struct big *b, const struct big *with)
{
    struct big sum = *a;
    big_add(&sum, b);
    return big_compare(&sum, with);
}

/* value = rest / scale; half the way to the neighbours is above and below, over the same scale. */
struct ratio { struct big rest, scale, above, below; bool even; };

static void split(double value, struct ratio *ratio)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    bool narrow = mantissa == 0 && exponent > 1; /* the neighbour below is half as far away */
    mantissa |= exponent > 0 ? UINT64_C(1) << 52 : 0;
    exponent = (exponent > 0 ? exponent - 1 : 0) + EXPONENT_MIN;
    int extra = narrow ? 2 : 1;
    big_set(&ratio->rest, mantissa);
    big_set(&ratio->scale, 1);
    big_set(&ratio->below, 1);
    big_shift(&ratio->rest, extra + (exponent > 0 ? exponent : 0));
    big_shift(&ratio->scale, extra + (exponent < 0 ? -exponent : 0));
    big_shift(&ratio->below, exponent > 0 ? exponent : 0);
    ratio->above = ratio->below;
    big_shift(&ratio->above, extra - 1);
    ratio->even = (mantissa & 1) == 0;
}

/* Digits d1 d2 ... with value = 0.d1d2... * 10^*point. */
static int digits_of(double value, char *digits, int *point)
{
    struct ratio r;
    split(value, &r);
    *point = 0;
    while (big_compare_sum(&r.rest, &r.above, &r.scale) >= (r.even ? 0 : 1)) {
        big_multiply(&r.scale, 10, 0);
        ++*point;
    }
    for (;;) {
        struct big ten = r.rest;
        big_add(&ten, &r.above);
        big_multiply(&ten, 10, 0);
        if (big_compare(&ten, &r.scale) >= (r.even ? 0 : 1))
            break;
        big_multiply(&r.rest, 10, 0);
        big_multiply(&r.above, 10, 0);
        big_multiply(&r.below, 10, 0);
        --*point;
    }
    for (int count = 0;;) {
        big_multiply(&r.rest, 10, 0);
        big_multiply(&r.above, 10, 0);
        big_multiply(&r.below, 10, 0);
        int digit = 0;
        for (; big_compare(&r.rest, &r.scale) >= 0; digit++)
            big_subtract(&r.rest, &r.scale);
        bool low = big_compare(&r.rest, &r.below) < (r.even ? 1 : 0);
        bool high = big_compare_sum(&r.rest, &r.above, &r.scale) >= (r.even ? 0 : 1);
        if (low || high) {
            big_multiply(&r.rest, 2, 0);
            bool up = low && high ? big_compare(&r.rest, &r.scale) >= 0 : high;
            digits[count++] = (char)('0' + digit + up);
            return count;
        }
        digits[count++] = (char)('0' + digit);
    }
}

static size_t add_digits(char *out, size_t at, const char *digits, int count, int from, int to)
{
    for (int i = from; i < to; i++)
        out[at++] = i >= 0 && i < count ? digits[i] : '0';
    return at;
}

static size_t print_finite(double value, char *out, size_t at)
{
    char digits[DECIMAL_LEN_MAX];
    int point, count = digits_of(value, digits, &point);
    if (point > -3 && point <= 7) {
        at = add_digits(out, at, digits, count, point < 1 ? -1 : 0, point < 1 ? 0 : point);
        out[at++] = '.';
        return add_digits(out, at, digits, count, point, count > point + 1 ? count : point + 1);
    }
    out[at++] = digits[0];
    out[at++] = '.';
    at = add_digits(out, at, digits, count, 1, count > 2 ? count : 2);
    out[at++] = 'E';
    int exponent = point - 1;
    if (exponent < 0)
        out[at++] = '-';
    exponent = exponent < 0 ? -exponent : exponent;
    if (exponent >= 100)
        out[at++] = (char)('0' + exponent / 100);
    if (exponent >= 10)
        out[at++] = (char)('0' + exponent / 10 % 10);
    out[at++] = (char)('0' + exponent % 10);
    return at;
}

size_t rj_decimal_print(double value, char out[DECIMAL_LEN_MAX])
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    size_t at = 0;
    bool finite = (bits >> 52 & 0x7ff) != 0x7ff;
    if (!finite && (bits & ((UINT64_C(1) << 52) - 1)) != 0) {
        memcpy(out, "NaN", 3);
        return 3;
    }
    if (bits >> 63)
        out[at++] = '-';
    const char *word = finite ? "0.0" : "Infinity";
    if (finite && (bits & INT64_MAX) != 0) {
        bits &= INT64_MAX;
        memcpy(&value, &bits, sizeof(value));
        return print_finite(value, out, at);
    }
    memcpy(out + at, word, strlen(word));
    return at + strlen(word);
}

/* The number as digits * 10^exponent. Digits beyond DIGITS_MAX only say that there is more. */
struct number { struct big digits; int digit_count; int exponent; bool negative, zero; };

static bool is_digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static void add_digit(struct number *number, char c, bool fraction)
{
    if (c != '0')
        number->zero = false;
    if (number->zero || number->digit_count < DIGITS_MAX) {
        big_multiply(&number->digits, 10, (uint32_t)(c - '0'));
        number->digit_count += !number->zero;
        number->exponent -= fraction;
    } else {
        if (c != '0')
            number->digits.words[0] |= 1;
        number->exponent += !fraction;
    }
    if (number->exponent < -100000)
        number->exponent = -100000;
}

static bool scan(const char *at, const char *end, struct number *number)
{
    *number = (struct number){.zero = true};
    if (at < end && *at == '-') {
        number->negative = true;
        at++;
    }
    if (!is_digit(at, end))
        return false;
    for (; is_digit(at, end); at++)
        add_digit(number, *at, false);
    if (at < end && *at == '.') {
        if (!is_digit(++at, end))
            return false;
        for (; is_digit(at, end); at++)
            add_digit(number, *at, true);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        bool negative = ++at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        if (!is_digit(at, end))
            return false;
        int exponent = 0;
        for (; is_digit(at, end); at++)
            exponent = exponent < 100000 ? exponent * 10 + (*at - '0') : exponent;
        number->exponent += negative ? -exponent : exponent;
    }
    return at == end;
}

static uint64_t nearest(struct big *above, struct big *below)
{
    struct big limit = *below;
    int exponent = 0;
    big_shift(&limit, MANTISSA_BITS);
    while (big_compare(above, &limit) >= 0) { /* quotient below 2^53 */
        big_shift(below, 1);
        big_shift(&limit, 1);
        exponent++;
    }
    struct big half = *below;
    big_shift(&half, MANTISSA_BITS - 1);
    while (exponent > EXPONENT_MIN && big_compare(above, &half) < 0) {
        big_shift(above, 1);
        exponent--;
    }
    uint64_t quotient = 0;
    big_shift(above, 1); /* one bit more, for the rounding */
    for (int bit = MANTISSA_BITS; bit >= 0; bit--) {
        struct big step = *below;
        big_shift(&step, bit);
        if (big_compare(above, &step) >= 0) {
            big_subtract(above, &step);
            quotient |= UINT64_C(1) << bit;
        }
    }
    struct big zero;
    big_set(&zero, 0);
    bool up = (quotient & 1) && ((quotient & 2) || big_compare(above, &zero) != 0);
    quotient = (quotient >> 1) + up;
    if (quotient >> MANTISSA_BITS) {
        quotient >>= 1;
        exponent++;
    }
    if (quotient >> (MANTISSA_BITS - 1) == 0)
        return quotient; /* subnormal */
    int biased = exponent - EXPONENT_MIN + 1;
    return biased >= 0x7ff ? UINT64_C(0x7ff) << 52
                           : (uint64_t)biased << 52 | (quotient & ((UINT64_C(1) << 52) - 1));
}

bool rj_decimal_parse(const char *text, size_t len, double *value)
{
    struct number number;
    if (!scan(text, text + len, &number))
        return false;
    uint64_t bits = 0;
    int magnitude = number.exponent + number.digit_count; /* below 10^magnitude */
    if (!number.zero && magnitude > SCALE_LIMIT) {
        bits = UINT64_C(0x7ff) << 52;
    } else if (!number.zero && magnitude > -SCALE_LIMIT) {
        struct big below;
        big_set(&below, 1);
        for (int i = 0; i < number.exponent; i++)
            big_multiply(&number.digits, 10, 0);
        for (int i = 0; i > number.exponent; i--)
            big_multiply(&below, 10, 0);
        bits = nearest(&number.digits, &below);
    }
    bits |= (uint64_t)number.negative << 63;
    memcpy(value, &bits, sizeof(bits));
    return true;
}
