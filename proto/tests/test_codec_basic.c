/* Single messages whose bytes were worked out by hand from Kafka's definitions, and faults. */
#include "base/arena_block.h"
#include "rejoin/conn.h"
#include "support_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rj_arena arena;

static int setup(void **state)
{
    (void)state;
    rj_arena_init(&arena, &test_heap, SIZE_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rj_arena_release(&arena);
    return 0;
}

static void test_heartbeat_v4_is_compact(void **state)
{
    (void)state;
    struct rj_bytes bytes = test_hex("02 67 00000007 02 6d 00 00");
    struct rj_heartbeat_request request;
    assert_int_equal(rj_decode(&rj_heartbeat_request_schema, 4, bytes, &arena, &request, NULL), RJ_OK);
    assert_true(rj_string_equal(request.group_id, RJ_STRING("g")));
    assert_int_equal(request.generation_id, 7);
    assert_true(rj_string_equal(request.member_id, RJ_STRING("m")));
    assert_true(rj_string_is_null(request.group_instance_id));
    uint8_t out[64];
    size_t len;
    assert_int_equal(rj_encode(&rj_heartbeat_request_schema, 4, &request, out, sizeof(out), &len, NULL), RJ_OK);
    assert_int_equal(len, bytes.len);
    assert_memory_equal(out, bytes.data, len);
    assert_int_equal(rj_encoded_len(&rj_heartbeat_request_schema, 4, &request, &len, NULL), RJ_OK);
    assert_int_equal(len, bytes.len);
    assert_int_equal(rj_encode(&rj_heartbeat_request_schema, 4, &request, out, 9, &len, NULL), RJ_ERR_SPACE);
}

static void test_unknown_tags_survive(void **state)
{
    (void)state;
    struct rj_bytes bytes = test_hex("02 67 00000007 02 6d 00 02 05 01 aa 07 00");
    struct rj_heartbeat_request request;
    assert_int_equal(rj_decode(&rj_heartbeat_request_schema, 4, bytes, &arena, &request, NULL), RJ_OK);
    assert_non_null(request.unknown_tags);
    assert_int_equal(request.unknown_tags->count, 2);
    assert_int_equal(request.unknown_tags->items[0].tag, 5);
    uint8_t out[64];
    size_t len;
    assert_int_equal(rj_encode(&rj_heartbeat_request_schema, 4, &request, out, sizeof(out), &len, NULL), RJ_OK);
    assert_int_equal(len, bytes.len);
    assert_memory_equal(out, bytes.data, len);
}

static void test_fault_names_the_field(void **state)
{
    (void)state;
    /* OffsetCommitRequest v2: group, generation, member, retention, one topic of two partitions, the second cut. */
    struct rj_bytes bytes = test_hex("0001 67 00000001 0000 ffffffffffffffff 00000001 0001 74 00000002"
                                     "00000000 0000000000000005 0000  00000001 000000");
    struct rj_offset_commit_request request;
    struct rj_fault fault;
    assert_int_equal(rj_decode(&rj_offset_commit_request_schema, 2, bytes, &arena, &request, &fault), RJ_ERR_SHORT);
    assert_string_equal(fault.field, "topics[0].partitions[1].committedOffset");
    assert_int_equal(fault.offset, 46);
    assert_int_equal(fault.api_key, 8);
    assert_string_equal(fault.found, "bytes left: 3");
    assert_string_equal(fault.expected, "at least 8 bytes");
    assert_int_equal(request.topics.count, 1);
    assert_int_equal(request.topics.items[0].partitions.count, 2);
    assert_int_equal(request.topics.items[0].partitions.items[0].committed_offset, 5);
    assert_int_equal(request.topics.items[0].partitions.items[1].partition_index, 1);
}

static void test_value_that_a_version_cannot_carry(void **state)
{
    (void)state;
    struct rj_heartbeat_request request;
    struct rj_fault fault;
    size_t len;
    rj_message_init(&rj_heartbeat_request_schema, &request);
    request.group_instance_id = RJ_STRING("i");
    assert_int_equal(rj_encoded_len(&rj_heartbeat_request_schema, 2, &request, &len, &fault), RJ_ERR_VALUE);
    assert_string_equal(fault.field, "groupInstanceId");
    request.group_instance_id = RJ_NULL_STRING;
    request.member_id = RJ_NULL_STRING;
    assert_int_equal(rj_encoded_len(&rj_heartbeat_request_schema, 2, &request, &len, &fault), RJ_ERR_NULL);
    assert_int_equal(rj_encoded_len(&rj_heartbeat_request_schema, 5, &request, &len, &fault), RJ_ERR_VERSION);
}

static void test_request_frame_round_trip(void **state)
{
    (void)state;
    struct rj_heartbeat_request body;
    rj_message_init(&rj_heartbeat_request_schema, &body);
    body.group_id = RJ_STRING("group");
    uint8_t out[128];
    size_t len;
    assert_int_equal(rj_encode_request_frame(12, 4, 99, RJ_STRING("me"), &body, out, sizeof(out), &len, NULL), RJ_OK);
    uint32_t frame_len;
    assert_int_equal(rj_frame_next((struct rj_bytes){out, (int32_t)len}, 10, &frame_len), -1);
    assert_int_equal(rj_frame_next((struct rj_bytes){out, 3}, 1000, &frame_len), 0);
    assert_int_equal(frame_len, 0);
    assert_int_equal(rj_frame_next((struct rj_bytes){out, (int32_t)len - 1}, 1000, &frame_len), 0);
    assert_int_equal(frame_len, len - 4);
    assert_int_equal(rj_frame_next((struct rj_bytes){out, (int32_t)len}, 1000, &frame_len), 1);
    assert_int_equal(frame_len, len - 4);
    struct rj_bytes frame = {out + 4, (int32_t)frame_len};
    struct rj_request_frame request;
    assert_int_equal(rj_decode_request_header(frame, &request, &arena, NULL), RJ_OK);
    assert_int_equal(request.api_key, 12);
    assert_int_equal(request.version, 4);
    assert_int_equal(request.correlation_id, 99);
    assert_true(rj_string_equal(request.client_id, RJ_STRING("me")));
    assert_int_equal(rj_decode_request_body(frame, &request, &arena, NULL), RJ_OK);
    assert_true(rj_string_equal(((struct rj_heartbeat_request *)request.body)->group_id, RJ_STRING("group")));
}

/* Whole, and cut at every byte: in memory of its own, so that a sanitizer sees a byte read too many. */
static void peek(int16_t api_key, int16_t version, const void *body, bool has_ids)
{
    uint8_t out[512];
    size_t len;
    assert_int_equal(rj_encode_request_frame(api_key, version, 1, version % 2 ? RJ_STRING("me") : RJ_NULL_STRING, body,
                                             out, sizeof(out), &len, NULL), RJ_OK);
    bool found = false;
    for (size_t cut = 0; cut <= len - 4; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, out + 4, cut);
        part = realloc(part, cut ? cut : 1);
        struct rj_string group_id = RJ_NULL_STRING, member_id = RJ_NULL_STRING;
        bool before = found;
        found = rj_peek_member((struct rj_bytes){part, (int32_t)cut}, &group_id, &member_id);
        assert_true(found || !before); /* once all is there it stays */
        assert_true(!found || (rj_string_equal(group_id, RJ_STRING("group")) &&
                               rj_string_equal(member_id, RJ_STRING("member"))));
        free(part);
    }
    assert_int_equal(found, has_ids);
}

static void test_ids_are_seen_before_decoding(void **state)
{
    (void)state;
    struct rj_offset_commit_request commit;
    rj_message_init(&rj_offset_commit_request_schema, &commit);
    commit.group_id = RJ_STRING("group");
    for (int16_t v = 0; v <= rj_offset_commit_request_schema.versions.high; v++) {
        commit.member_id = v >= 1 ? RJ_STRING("member") : RJ_EMPTY_STRING;
        peek(8, v, &commit, v >= 1);
    }
    struct rj_heartbeat_request heartbeat;
    rj_message_init(&rj_heartbeat_request_schema, &heartbeat);
    heartbeat.group_id = RJ_STRING("group");
    heartbeat.member_id = RJ_STRING("member");
    for (int16_t v = 0; v <= rj_heartbeat_request_schema.versions.high; v++)
        peek(12, v, &heartbeat, true);
    struct rj_sync_group_request sync;
    rj_message_init(&rj_sync_group_request_schema, &sync);
    sync.group_id = RJ_STRING("group");
    sync.member_id = RJ_STRING("member");
    for (int16_t v = 0; v <= rj_sync_group_request_schema.versions.high; v++)
        peek(14, v, &sync, true);
    struct rj_join_group_request join;
    rj_message_init(&rj_join_group_request_schema, &join);
    join.group_id = RJ_STRING("group");
    peek(11, 5, &join, false);
}

static void test_header_of_unknown_version_still_routes(void **state)
{
    (void)state;
    struct rj_request_frame request;
    struct rj_fault fault;
    assert_int_equal(rj_decode_request_header(test_hex("0012 0063 00000005 ffff"), &request, &arena, &fault),
                     RJ_ERR_VERSION);
    assert_int_equal(request.api_key, 18);
    assert_int_equal(request.version, 99);
    assert_int_equal(request.correlation_id, 5);
    assert_int_equal(rj_decode_request_header(test_hex("7000 0063 00000005 ffff"), &request, &arena, &fault),
                     RJ_ERR_API);
    assert_int_equal(rj_decode_request_header(test_hex("0012 0000 00"), &request, &arena, &fault), RJ_ERR_SHORT);
}

static void test_api_versions_error_35_is_read_as_v0(void **state)
{
    (void)state;
    struct rj_response_frame response;
    struct rj_bytes frame = test_hex("00000005 0023 00000001 0012 0000 0004");
    assert_int_equal(rj_decode_response(frame, 18, 4, &response, &arena, NULL), RJ_OK);
    assert_int_equal(response.version, 0);
    const struct rj_api_versions_response *body = response.body;
    assert_int_equal(body->error_code, 35);
    assert_int_equal(body->api_keys.items[0].max_version, 4);
}

static void test_lookups(void **state)
{
    (void)state;
    assert_ptr_equal(rj_request_schema(11), &rj_join_group_request_schema);
    assert_ptr_equal(rj_response_schema(11), &rj_join_group_response_schema);
    assert_null(rj_request_schema(-1));
    assert_null(rj_request_schema(999));
    assert_string_equal(rj_api_name(8), "OffsetCommit");
    assert_null(rj_api_name(4));
    assert_ptr_equal(rj_schema_by_name(RJ_STRING("SyncGroupRequest")), &rj_sync_group_request_schema);
    assert_int_equal(rj_request_header_version(12, 3), 1);
    assert_int_equal(rj_request_header_version(12, 4), 2);
    assert_int_equal(rj_response_header_version(12, 4), 1);
    assert_int_equal(rj_response_header_version(18, 4), 0);
    for (int i = 0; i < rj_all_schemas_count; i++) {
        const char *name = rj_all_schemas[i]->name;
        assert_ptr_equal(rj_schema_by_name((struct rj_string){name, (int32_t)strlen(name)}), rj_all_schemas[i]);
    }
}

/* Each piece of an arena is alone: the sanitizer sees who reads past it or keeps it too long. */
static void test_arena_poisons(void **state)
{
    (void)state;
#ifdef ARENA_POISONS
    struct rj_arena own;
    rj_arena_init(&own, &test_heap, SIZE_MAX);
    char *first = rj_arena_alloc(&own, 12), *second = rj_arena_alloc(&own, 100);
    assert_false(__asan_address_is_poisoned(first + 11));
    assert_true(__asan_address_is_poisoned(first + 12));
    assert_true(__asan_address_is_poisoned(second - 1));
    assert_true(__asan_address_is_poisoned(second + 100));
    struct arena_mark mark = arena_mark(&own);
    char *third = rj_arena_alloc(&own, 8);
    assert_false(__asan_address_is_poisoned(third));
    rj_arena_rewind(&own, &mark);
    assert_true(__asan_address_is_poisoned(third));
    assert_false(__asan_address_is_poisoned(second + 99));
    rj_arena_reset(&own);
    assert_true(__asan_address_is_poisoned(first));
    rj_arena_release(&own);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat_v4_is_compact),
        cmocka_unit_test(test_unknown_tags_survive),
        cmocka_unit_test(test_ids_are_seen_before_decoding),
        cmocka_unit_test(test_fault_names_the_field),
        cmocka_unit_test(test_value_that_a_version_cannot_carry),
        cmocka_unit_test(test_request_frame_round_trip),
        cmocka_unit_test(test_header_of_unknown_version_still_routes),
        cmocka_unit_test(test_api_versions_error_35_is_read_as_v0),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_arena_poisons),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
