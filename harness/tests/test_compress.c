/* Compressions: what is written is read back; damage and bombs are refused. */
#include "records/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PLAIN_LEN = 200000 };

static struct rj_bytes plain_bytes(void)
{
    static uint8_t plain[PLAIN_LEN];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * i >> 7);
    return (struct rj_bytes){plain, sizeof(plain)};
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int compression = RJ_COMPRESSION_NONE; compression <= RJ_COMPRESSION_ZSTD; compression++)
        for (int8_t magic = 0; magic <= 2; magic++) {
            struct rejoin_buffer squeezed = {0}, again = {0};
            const char *why;
            assert_int_equal(rejoin_compress((enum rj_compression)compression, magic, plain_bytes(), &squeezed), RJ_OK);
            assert_int_equal(rejoin_decompress((enum rj_compression)compression, magic,
                                               rejoin_buffer_bytes(&squeezed), PLAIN_LEN, &again, &why), RJ_OK);
            assert_true(rj_bytes_equal(rejoin_buffer_bytes(&again), plain_bytes()));
            again.len = 0;
            assert_int_equal(rejoin_decompress((enum rj_compression)compression, magic,
                                               rejoin_buffer_bytes(&squeezed), PLAIN_LEN - 1, &again, &why),
                             RJ_ERR_LIMIT);
            assert_int_equal(again.len, 0);
            rejoin_buffer_free(&squeezed);
            rejoin_buffer_free(&again);
        }
}

/* Every cut of a short input is refused (a bare snappy block of nothing excepted), no changed byte does harm. */
static void test_damage(void **state)
{
    (void)state;
    struct rj_bytes plain = {plain_bytes().data, 300};
    for (int compression = RJ_COMPRESSION_GZIP; compression <= RJ_COMPRESSION_ZSTD; compression++) {
        struct rejoin_buffer squeezed = {0}, again = {0};
        const char *why;
        rejoin_compress((enum rj_compression)compression, 2, plain, &squeezed);
        for (size_t len = 0; len < squeezed.len; len++) {
            if (compression == RJ_COMPRESSION_SNAPPY && len == 16)
                continue; /* the framing's header alone is an empty stream */
            if (compression == RJ_COMPRESSION_ZSTD && len == 0)
                continue;
            assert_int_not_equal(rejoin_decompress((enum rj_compression)compression, 2,
                                                   (struct rj_bytes){squeezed.data, (int32_t)len}, PLAIN_LEN, &again,
                                                   &why), RJ_OK);
        }
        for (size_t i = 0; i < squeezed.len; i++)
            for (int bit = 0; bit < 8; bit++) {
                squeezed.data[i] ^= (uint8_t)(1 << bit);
                rejoin_decompress((enum rj_compression)compression, 2, rejoin_buffer_bytes(&squeezed), PLAIN_LEN,
                                  &again, &why);
                again.len = 0;
                squeezed.data[i] ^= (uint8_t)(1 << bit);
            }
        rejoin_buffer_free(&squeezed);
        rejoin_buffer_free(&again);
    }
}

static void test_snappy_without_framing(void **state)
{
    (void)state;
    static const uint8_t bare[] = {3, 8, 'a', 'b', 'c'};
    struct rejoin_buffer plain = {0};
    const char *why;
    assert_int_equal(rejoin_decompress(RJ_COMPRESSION_SNAPPY, 2, (struct rj_bytes){bare, sizeof(bare)}, 100, &plain,
                                       &why), RJ_OK);
    assert_int_equal(plain.len, 3);
    rejoin_buffer_free(&plain);
}

static void test_wrong_lz4_checksum_differs(void **state)
{
    (void)state;
    struct rejoin_buffer old = {0}, new = {0};
    rejoin_compress(RJ_COMPRESSION_LZ4, 0, plain_bytes(), &old);
    rejoin_compress(RJ_COMPRESSION_LZ4, 1, plain_bytes(), &new);
    assert_int_equal(old.len, new.len);
    assert_int_not_equal(old.data[6], new.data[6]);
    old.data[6] = new.data[6];
    assert_memory_equal(old.data, new.data, old.len);
    rejoin_buffer_free(&old);
    rejoin_buffer_free(&new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_snappy_without_framing),
        cmocka_unit_test(test_wrong_lz4_checksum_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
