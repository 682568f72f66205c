/* The JSON form, comparing and copying. */
#include "rejoin/codec.h"
#include "support_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rj_arena arena;
static char printed[65536];
static size_t printed_len;

static void write_printed(void *context, const char *text, size_t len)
{
    (void)context;
    assert_true(printed_len + len < sizeof(printed));
    memcpy(printed + printed_len, text, len);
    printed_len += len;
    printed[printed_len] = '\0';
}

static const char *print(const struct rj_message_schema *schema, int16_t version, const void *message)
{
    struct rj_writer writer = {write_printed, NULL};
    printed_len = 0;
    rj_print_json(schema, version, message, &writer);
    return printed;
}

static struct rj_string text_of(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

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

static void test_round_trip(void **state)
{
    (void)state;
    const char *json = "{\"groupId\":\"g\\\"\\\\\\n\\u0001\xc3\xa9\",\"generationIdOrMemberEpoch\":-1,\"memberId\":\"\","
                       "\"groupInstanceId\":null,\"topics\":[{\"topicId\":\"AAECAwQFBgcICQoLDA0ODw\",\"partitions\":["
                       "{\"partitionIndex\":0,\"committedOffset\":9223372036854775807,\"committedLeaderEpoch\":-1,"
                       "\"committedMetadata\":null}]}]}";
    struct rj_offset_commit_request request;
    assert_int_equal(rj_parse_json(&rj_offset_commit_request_schema, 10, text_of(json), &arena, &request, NULL), RJ_OK);
    assert_int_equal(request.group_id.len, 7);
    assert_int_equal(request.topics.items[0].topic_id.bytes[15], 15);
    assert_string_equal(print(&rj_offset_commit_request_schema, 10, &request), json);
}

static void test_tagged_fields_only_where_not_default(void **state)
{
    (void)state;
    struct rj_api_versions_response response;
    rj_message_init(&rj_api_versions_response_schema, &response);
    assert_string_equal(print(&rj_api_versions_response_schema, 3, &response),
                        "{\"errorCode\":0,\"apiKeys\":[],\"throttleTimeMs\":0}");
    response.finalized_features_epoch = 0;
    assert_string_equal(print(&rj_api_versions_response_schema, 3, &response),
                        "{\"errorCode\":0,\"apiKeys\":[],\"throttleTimeMs\":0,\"finalizedFeaturesEpoch\":0}");
}

static void test_bytes_and_unknown_tags(void **state)
{
    (void)state;
    const char *json = "{\"groupId\":\"\",\"generationId\":0,\"memberId\":\"\",\"groupInstanceId\":null,"
                       "\"protocolType\":null,\"protocolName\":null,\"assignments\":[{\"memberId\":\"m\","
                       "\"assignment\":\"AAEC/w==\",\"_unknownTaggedFields\":[{\"tag\":3,\"value\":\"AA==\"}]}]}";
    struct rj_sync_group_request request;
    assert_int_equal(rj_parse_json(&rj_sync_group_request_schema, 5, text_of(json), &arena, &request, NULL), RJ_OK);
    assert_int_equal(request.assignments.items[0].assignment.len, 4);
    assert_string_equal(print(&rj_sync_group_request_schema, 5, &request), json);
}

static void test_not_utf8_is_replaced(void **state)
{
    (void)state;
    struct rj_heartbeat_request request;
    rj_message_init(&rj_heartbeat_request_schema, &request);
    request.group_id = RJ_STRING("a\xff" "b\xe2\x82" "c\xed\xa0\x80");
    assert_string_equal(print(&rj_heartbeat_request_schema, 0, &request),
                        "{\"groupId\":\"a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\xef\xbf\xbd\","
                        "\"generationId\":0,\"memberId\":\"\"}");
}

static void check_double(double value, const char *expected)
{
    struct rj_describe_client_quotas_response response;
    struct rj_describe_client_quotas_response_entry_data entry;
    struct rj_describe_client_quotas_response_value_data data;
    rj_message_init(&rj_describe_client_quotas_response_schema, &response);
    memset(&entry, 0, sizeof(entry));
    memset(&data, 0, sizeof(data));
    data.key = RJ_STRING("k");
    data.value = value;
    entry.values.items = &data;
    entry.values.count = 1;
    response.entries.items = &entry;
    response.entries.count = 1;
    const char *json = print(&rj_describe_client_quotas_response_schema, 0, &response);
    char wanted[64];
    strcpy(wanted, "\"value\":");
    strcat(wanted, expected);
    strcat(wanted, "}");
    if (strstr(json, wanted) == NULL)
        fail_msg("%s is not in %s", wanted, json);
    struct rj_describe_client_quotas_response again;
    assert_int_equal(rj_parse_json(&rj_describe_client_quotas_response_schema, 0, text_of(json), &arena, &again, NULL),
                     RJ_OK);
    assert_memory_equal(&again.entries.items[0].values.items[0].value, &value, sizeof(value));
}

static void test_doubles(void **state)
{
    (void)state;
    check_double(0.0, "0.0");
    check_double(-0.0, "-0.0");
    check_double(1.0, "1.0");
    check_double(0.1, "0.1");
    check_double(0.001, "0.001");
    check_double(0.00099, "9.9E-4");
    check_double(100.0, "100.0");
    check_double(1234567.5, "1234567.5");
    check_double(1e7, "1.0E7");
    check_double(1.7976931348623157e308, "1.7976931348623157E308");
    check_double(2.2250738585072014e-308, "2.2250738585072014E-308");
    check_double(5e-324, "5.0E-324");
    check_double(-2.0 / 3, "-0.6666666666666666");
    check_double(9007199254740993.0, "9.007199254740992E15");
    check_double((double)INFINITY, "\"Infinity\"");
    check_double((double)-INFINITY, "\"-Infinity\"");
}

static void test_random_doubles(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = seed ^ seed >> 29;
        double value, read;
        memcpy(&value, &bits, sizeof(value));
        if ((bits >> 52 & 0x7ff) == 0x7ff)
            continue;
        char text[64];
        snprintf(text, sizeof(text), "%.17g", value);
        read = strtod(text, NULL);
        assert_memory_equal(&read, &value, sizeof(value));
        char document[256];
        snprintf(document, sizeof(document),
                 "{\"entries\":[{\"values\":[{\"value\":%s}]}]}", text);
        struct rj_describe_client_quotas_response response;
        assert_int_equal(rj_parse_json(&rj_describe_client_quotas_response_schema, 0, text_of(document), &arena,
                                       &response, NULL), RJ_OK);
        assert_memory_equal(&response.entries.items[0].values.items[0].value, &value, sizeof(value));
        const char *shown = strstr(print(&rj_describe_client_quotas_response_schema, 0, &response), "\"value\":");
        assert_non_null(shown);
        read = strtod(shown + strlen("\"value\":"), NULL);
        assert_memory_equal(&read, &value, sizeof(value));
    }
}

static void check_refused(const char *json, enum rj_err expected, const char *field, size_t offset)
{
    struct rj_offset_commit_request request;
    struct rj_fault fault;
    assert_int_equal(rj_parse_json(&rj_offset_commit_request_schema, 8, text_of(json), &arena, &request, &fault),
                     expected);
    assert_string_equal(fault.field, field);
    assert_int_equal(fault.offset, offset);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refused("", RJ_ERR_JSON, "", 0);
    check_refused("{", RJ_ERR_JSON, "", 1);
    check_refused("{} x", RJ_ERR_JSON, "", 3);
    check_refused("{\"group\":1}", RJ_ERR_JSON, "", 1);
    check_refused("{\"retentionTimeMs\":1}", RJ_ERR_JSON, "", 1);
    check_refused("{\"groupId\":null}", RJ_ERR_NULL, "groupId", 11);
    check_refused("{\"groupId\":\"a}", RJ_ERR_JSON, "groupId", 14);
    check_refused("{\"groupId\":\"\\x\"}", RJ_ERR_JSON, "groupId", 12);
    check_refused("{\"generationIdOrMemberEpoch\":2147483648}", RJ_ERR_JSON, "generationIdOrMemberEpoch", 29);
    check_refused("{\"topics\":[{\"partitions\":[{},{\"partitionIndex\":1.5}]}]}", RJ_ERR_JSON,
                  "topics[0].partitions[1].partitionIndex", 47);
    check_refused("{\"topics\":[{}", RJ_ERR_JSON, "topics", 13);
}

struct seen { char text[1024]; };

static void note_difference(void *context, const struct rj_difference *difference)
{
    struct seen *seen = context;
    strcat(seen->text, difference->field);
    strcat(seen->text, " ");
    strcat(seen->text, difference->left ? difference->left : "-");
    strcat(seen->text, " ");
    strcat(seen->text, difference->right ? difference->right : "-");
    strcat(seen->text, "\n");
}

static void test_compare(void **state)
{
    (void)state;
    const char *left = "{\"apiKeys\":[{\"apiKey\":1,\"maxVersion\":3},{\"apiKey\":2},{\"apiKey\":3}]}";
    const char *right = "{\"errorCode\":35,\"apiKeys\":[{\"apiKey\":2},{\"apiKey\":1,\"maxVersion\":4}]}";
    struct rj_api_versions_response a, b;
    const struct rj_message_schema *schema = &rj_api_versions_response_schema;
    assert_int_equal(rj_parse_json(schema, 0, text_of(left), &arena, &a, NULL), RJ_OK);
    assert_int_equal(rj_parse_json(schema, 0, text_of(right), &arena, &b, NULL), RJ_OK);
    assert_int_equal(rj_compare(schema, 0, &a, &a, true, NULL, NULL), 0);
    struct seen seen = {""};
    assert_int_equal(rj_compare(schema, 0, &a, &b, true, note_difference, &seen), 3);
    assert_string_equal(seen.text, "errorCode 0 35\napiKeys[0].maxVersion 3 4\n"
                                   "apiKeys[2] {\"apiKey\":3,\"minVersion\":0,\"maxVersion\":0} -\n");
    seen.text[0] = '\0';
    assert_int_equal(rj_compare(schema, 0, &a, &b, false, note_difference, &seen), 6);
}

static void test_copy_outlives_the_input(void **state)
{
    (void)state;
    char json[] = "{\"groupId\":\"g\",\"memberId\":\"m\",\"protocols\":[{\"name\":\"range\",\"metadata\":\"AAEC\"}]}";
    struct rj_join_group_request from, to;
    const struct rj_message_schema *schema = &rj_join_group_request_schema;
    assert_int_equal(rj_parse_json(schema, 5, text_of(json), &arena, &from, NULL), RJ_OK);
    assert_int_equal(rj_copy_message(schema, &from, &arena, &to), RJ_OK);
    assert_int_equal(rj_compare(schema, 5, &from, &to, false, NULL, NULL), 0);
    memset(json, 'x', sizeof(json) - 1);
    assert_true(rj_string_equal(to.protocols.items[0].name, RJ_STRING("range")));
    assert_int_equal(rj_compare(schema, 5, &from, &to, false, NULL, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_tagged_fields_only_where_not_default),
        cmocka_unit_test(test_bytes_and_unknown_tags),
        cmocka_unit_test(test_not_utf8_is_replaced),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_random_doubles),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_copy_outlives_the_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
