/* Any bytes as record batches and message sets, checksums aside: nothing is read outside of the input, records get
 * fewer with every step, every refusal names its field. */
#include "lib/fuzz.h"
#include "rejoin/records.h"

static void check_records(const struct rj_record_batch *batch, struct rj_bytes plain)
{
    struct rj_record_reader reader;
    struct rj_record record;
    struct rj_record_header header;
    bool more;
    int32_t steps = 0;
    rj_record_reader_init(&reader, batch, plain);
    while (rj_record_next(&reader, &record, &more, NULL) == RJ_OK && more) {
        FUZZ_REQUIRE(steps <= plain.len + 1, "records-end", "%d records of %d bytes", steps, plain.len);
        steps++;
        int32_t headers = record.header_count;
        while (rj_record_header_next(&record, &header)) {
            FUZZ_REQUIRE(header.key.data != NULL, "header-key", "a header without a key");
            headers--;
        }
        FUZZ_REQUIRE(headers == 0, "header-count", "%d headers are missing", headers);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rj_bytes rest = {data, (int32_t)len};
    struct rj_record_batch batch;
    struct rj_fault fault;
    for (enum rj_err err = RJ_OK; err == RJ_OK && rest.len > 0;) {
        err = rj_batch_read_unchecked(rest, &batch, &fault);
        if (err != RJ_OK) {
            FUZZ_REQUIRE(fault.err == err && fault.field[0] != '\0', "fault", "%s without its field", rj_err_name(err));
            return 0;
        }
        FUZZ_REQUIRE(batch.len <= (size_t)rest.len && batch.len >= RJ_MESSAGE_MIN_LEN, "batch-length", "%zu of %d",
                     batch.len, rest.len);
        check_records(&batch, batch.records); /* as a set, where it says that it is compressed */
        rj_batch_read(rest, &batch, NULL);
        rest = (struct rj_bytes){rest.data + batch.len, rest.len - (int32_t)batch.len};
    }
    return 0;
}
