/* Record batches and message sets. */
#include "rejoin/records.h"
#include "support_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint8_t out[4096];

static struct rj_bytes bytes_of(const char *text) { return (struct rj_bytes){(const uint8_t *)text, (int32_t)strlen(text)}; }

static void test_checksums(void **state)
{
    (void)state;
    assert_int_equal(rj_crc32c(bytes_of("123456789")), 0xe3069283);
    assert_int_equal(rj_crc32(bytes_of("123456789")), 0xcbf43926);
}

/* Three records at offsets 100, 101, 105; the second has null key and value, the third two headers. */
static size_t write_three(int8_t magic, const struct rj_record_batch *like)
{
    const struct rj_record_header headers[] = {{RJ_STRING("h"), bytes_of("1")}, {RJ_STRING(""), RJ_NULL_BYTES}};
    struct rj_batch_writer writer;
    size_t len;
    rj_batch_begin(&writer, magic, 100, out, sizeof(out));
    rj_batch_add(&writer, &(struct rj_record){100, 1000, bytes_of("k"), bytes_of("v"), 0, RJ_NULL_BYTES}, NULL, 0);
    rj_batch_add(&writer, &(struct rj_record){101, 900, RJ_NULL_BYTES, RJ_NULL_BYTES, 0, RJ_NULL_BYTES}, NULL, 0);
    rj_batch_add(&writer, &(struct rj_record){105, 2000, RJ_EMPTY_BYTES, bytes_of("w"), 0, RJ_NULL_BYTES}, headers, 2);
    assert_int_equal(rj_batch_finish(&writer, like, &len, NULL), RJ_OK);
    struct rj_batch_writer counter;
    size_t counted;
    rj_batch_begin(&counter, magic, 100, NULL, 0);
    rj_batch_add(&counter, &(struct rj_record){100, 1000, bytes_of("k"), bytes_of("v"), 0, RJ_NULL_BYTES}, NULL, 0);
    rj_batch_add(&counter, &(struct rj_record){101, 900, RJ_NULL_BYTES, RJ_NULL_BYTES, 0, RJ_NULL_BYTES}, NULL, 0);
    rj_batch_add(&counter, &(struct rj_record){105, 2000, RJ_EMPTY_BYTES, bytes_of("w"), 0, RJ_NULL_BYTES}, headers, 2);
    assert_int_equal(rj_batch_finish(&counter, like, &counted, NULL), RJ_ERR_SPACE);
    assert_int_equal(counted, len);
    return len;
}

static void check_three(struct rj_record_reader *reader, int8_t magic)
{
    struct rj_record record;
    struct rj_record_header header;
    bool more;
    assert_int_equal(rj_record_next(reader, &record, &more, NULL), RJ_OK);
    assert_true(more);
    assert_int_equal(record.offset, 100);
    assert_int_equal(record.timestamp_ms, magic > 0 ? 1000 : -1);
    assert_true(rj_bytes_equal(record.value, bytes_of("v")));
    assert_int_equal(rj_record_next(reader, &record, &more, NULL), RJ_OK);
    assert_int_equal(record.offset, 101);
    assert_int_equal(record.timestamp_ms, magic > 0 ? 900 : -1);
    assert_null(record.key.data);
    assert_null(record.value.data);
    assert_int_equal(rj_record_next(reader, &record, &more, NULL), RJ_OK);
    assert_int_equal(record.offset, 105);
    assert_non_null(record.key.data);
    assert_int_equal(record.key.len, 0);
    assert_int_equal(record.header_count, magic == 2 ? 2 : 0);
    if (magic == 2) {
        assert_true(rj_record_header_next(&record, &header));
        assert_true(rj_string_equal(header.key, RJ_STRING("h")));
        assert_true(rj_record_header_next(&record, &header));
        assert_null(header.value.data);
    }
    assert_false(rj_record_header_next(&record, &header));
    assert_int_equal(rj_record_next(reader, &record, &more, NULL), RJ_OK);
    assert_false(more);
}

static void test_batch_round_trip(void **state)
{
    (void)state;
    struct rj_record_batch like = {.partition_leader_epoch = 7, .attributes = RJ_BATCH_TRANSACTIONAL | 1,
                                   .producer_id = 9, .producer_epoch = 2, .base_sequence = 44};
    size_t len = write_three(2, &like);
    struct rj_record_batch batch;
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
    assert_int_equal(batch.len, len);
    assert_int_equal(batch.base_offset, 100);
    assert_int_equal(batch.last_offset_delta, 5);
    assert_int_equal(batch.base_timestamp_ms, 1000);
    assert_int_equal(batch.max_timestamp_ms, 2000);
    assert_int_equal(batch.partition_leader_epoch, 7);
    assert_int_equal(batch.producer_id, 9);
    assert_int_equal(batch.producer_epoch, 2);
    assert_int_equal(batch.base_sequence, 44);
    assert_int_equal(batch.attributes, RJ_BATCH_TRANSACTIONAL);
    assert_int_equal(batch.record_count, 3);
    struct rj_record_reader reader;
    rj_record_reader_init(&reader, &batch, batch.records);
    check_three(&reader, 2);
}

static void test_assign_leaves_the_checksum_good(void **state)
{
    (void)state;
    size_t len = write_three(2, NULL);
    struct rj_record_batch batch;
    rj_batch_assign(out, 5000, 3);
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
    assert_int_equal(batch.base_offset, 5000);
    assert_int_equal(batch.partition_leader_epoch, 3);
    rj_batch_set_log_append_time(out, 77);
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
    struct rj_record_reader reader;
    struct rj_record record;
    bool more;
    rj_record_reader_init(&reader, &batch, batch.records);
    assert_int_equal(rj_record_next(&reader, &record, &more, NULL), RJ_OK);
    assert_int_equal(record.timestamp_ms, 77);
    assert_int_equal(record.offset, 5000);
}

static void test_message_sets(void **state)
{
    (void)state;
    for (int8_t magic = 0; magic < 2; magic++) {
        size_t len = write_three(magic, NULL);
        struct rj_bytes set = {out, (int32_t)len};
        /* As the inside of a compressed message, whose offset is that of the last. */
        struct rj_record_batch wrapper = {.magic = magic, .attributes = RJ_COMPRESSION_GZIP, .base_offset = 105,
                                          .record_count = 1};
        struct rj_record_reader reader;
        rj_record_reader_init(&reader, &wrapper, set);
        check_three(&reader, magic);
        wrapper.base_offset = 1105;
        struct rj_record record;
        bool more;
        rj_record_reader_init(&reader, &wrapper, set);
        assert_int_equal(rj_record_next(&reader, &record, &more, NULL), RJ_OK);
        assert_int_equal(record.offset, magic == 1 ? 1100 : 100);
        /* And one by one. */
        struct rj_record_batch message;
        assert_int_equal(rj_batch_read(set, &message, NULL), RJ_OK);
        assert_int_equal(message.magic, magic);
        assert_int_equal(message.base_offset, 100);
        rj_record_reader_init(&reader, &message, message.records);
        assert_int_equal(rj_record_next(&reader, &record, &more, NULL), RJ_OK);
        assert_true(more);
        assert_true(rj_bytes_equal(record.key, bytes_of("k")));
        assert_int_equal(rj_record_next(&reader, &record, &more, NULL), RJ_OK);
        assert_false(more);
    }
}

/* Every single changed byte is refused by name or stands outside the checksum; every cut is SHORT. */
static void test_damage_is_found(void **state)
{
    (void)state;
    for (int8_t magic = 0; magic <= 2; magic++) {
        size_t len = write_three(magic, NULL);
        struct rj_record_batch batch;
        assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
        len = batch.len;
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)cut}, &batch, NULL), RJ_ERR_SHORT);
        for (size_t i = magic == 2 ? 16 : 12; i < len; i++) {
            out[i] ^= 0x40;
            assert_int_not_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
            out[i] ^= 0x40;
        }
    }
}

/* Records are read without undefined behaviour whatever the bytes say, and never beyond them. */
static void test_hostile_records(void **state)
{
    (void)state;
    size_t len = write_three(2, NULL);
    for (size_t i = RJ_BATCH_HEADER_LEN - 4; i < len; i++)
        for (int value = 0; value < 256; value++) {
            uint8_t kept = out[i];
            out[i] = (uint8_t)value;
            struct rj_record_batch batch;
            struct rj_record_reader reader;
            struct rj_record record;
            struct rj_record_header header;
            bool more = rj_batch_read_unchecked((struct rj_bytes){out, (int32_t)len}, &batch, NULL) == RJ_OK;
            rj_record_reader_init(&reader, &batch, batch.records);
            while (more && rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more)
                while (rj_record_header_next(&record, &header))
                    assert_true(header.key.data != NULL);
            out[i] = kept;
        }
}

static void test_fault_names_the_field(void **state)
{
    (void)state;
    size_t len = write_three(2, NULL);
    struct rj_record_batch batch;
    struct rj_fault fault;
    out[len - 1] ^= 1;
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, &fault), RJ_ERR_CORRUPT);
    assert_string_equal(fault.field, "crc");
    assert_int_equal(fault.offset, 17);
    out[16] = 3;
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, &fault), RJ_ERR_CORRUPT);
    assert_string_equal(fault.field, "magic");
}

static void test_compressed_batch_is_sealed_again(void **state)
{
    (void)state;
    write_three(2, NULL);
    size_t len;
    assert_int_equal(rj_batch_set_compressed(out, sizeof(out), RJ_COMPRESSION_ZSTD, bytes_of("squeezed"), &len, NULL),
                     RJ_OK);
    struct rj_record_batch batch;
    assert_int_equal(rj_batch_read((struct rj_bytes){out, (int32_t)len}, &batch, NULL), RJ_OK);
    assert_int_equal(rj_batch_compression(&batch), RJ_COMPRESSION_ZSTD);
    assert_true(rj_bytes_equal(batch.records, bytes_of("squeezed")));
    assert_int_equal(rj_batch_set_compressed(out, 68, RJ_COMPRESSION_ZSTD, bytes_of("squeezed"), &len, NULL),
                     RJ_ERR_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_batch_round_trip),
        cmocka_unit_test(test_assign_leaves_the_checksum_good),
        cmocka_unit_test(test_message_sets),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_hostile_records),
        cmocka_unit_test(test_fault_names_the_field),
        cmocka_unit_test(test_compressed_batch_is_sealed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
