/* Which versions of which API each release of Kafka advertises, cut with what is served. */
#include "mock/internal.h"

#include <stdlib.h>
#include <string.h>

/* Derived from the kafka-clients jar of the last patch release of each (ApiKeys: oldestVersion, latestVersion without
 * unstable ones) and, for 3.9, 4.1 and 4.2, from what a broker answers. */
static const char *const releases[] = {
    "0.11", "1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "3.0", "3.1", "3.2", "3.3",
    "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2",
};
enum { RELEASE_COUNT = sizeof(releases) / sizeof(releases[0]), RELEASE_3_6 = 18, RELEASE_4_0 = 22 };

struct version_row {
    int16_t api_key;
    int8_t low_since_4;          /* the lowest version that 4.0 and later take; earlier ones took 0 */
    int8_t high[RELEASE_COUNT];  /* the highest version; N: the release does not have the API */
};
#define N (-1)
static const struct version_row version_rows[] = {
/*release: major    0   1   1   2   2   2   2   2   2   2   2   2   3   3   3   3   3   3   3   3   3   3   4   4   4*/
/*         minor   11   0   1   0   1   2   3   4   5   6   7   8   0   1   2   3   4   5   6   7   8   9   0   1   2*/
    { 0, 3, {       3,  5,  5,  6,  7,  7,  7,  8,  8,  8,  8,  9,  9,  9,  9,  9,  9,  9,  9, 10, 11, 11, 12, 13, 13}},
    { 1, 4, {       5,  6,  7,  8, 10, 10, 11, 11, 11, 11, 12, 12, 12, 13, 13, 13, 13, 15, 15, 16, 16, 17, 17, 18, 18}},
    { 2, 1, {       2,  2,  2,  3,  4,  5,  5,  5,  5,  5,  5,  6,  7,  7,  7,  7,  7,  8,  8,  8,  8,  9, 10, 10, 11}},
    { 3, 0, {       4,  5,  5,  6,  7,  7,  8,  9,  9,  9,  9, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13}},
    { 8, 2, {       3,  3,  3,  4,  6,  6,  7,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,  9, 10}},
    { 9, 1, {       3,  3,  3,  4,  5,  5,  5,  6,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,  8,  9,  9,  9,  9,  9, 10}},
    {10, 0, {       1,  1,  1,  2,  2,  2,  2,  3,  3,  3,  3,  3,  4,  4,  4,  4,  4,  4,  4,  4,  5,  6,  6,  6,  6}},
    {11, 0, {       2,  2,  2,  3,  3,  4,  5,  6,  7,  7,  7,  7,  7,  7,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9,  9}},
    {12, 0, {       1,  1,  1,  2,  2,  2,  3,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4}},
    {13, 0, {       1,  1,  1,  2,  2,  2,  2,  4,  4,  4,  4,  4,  4,  4,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5}},
    {14, 0, {       1,  1,  1,  2,  2,  2,  3,  4,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5}},
    {15, 0, {       1,  1,  1,  2,  2,  2,  3,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  5,  6,  6,  6}},
    {16, 0, {       1,  1,  1,  2,  2,  2,  2,  3,  3,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  5,  5,  5,  5,  5}},
    {17, 0, {       0,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1}},
    {18, 0, {       1,  1,  1,  2,  2,  2,  2,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  4,  4,  4,  4}},
    {19, 2, {       2,  2,  2,  3,  3,  3,  3,  5,  5,  5,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7}},
    {20, 1, {       1,  1,  1,  2,  3,  3,  3,  4,  4,  4,  5,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6}},
    {22, 0, {       0,  0,  0,  1,  1,  1,  1,  2,  3,  3,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  5,  5,  5,  5,  5}},
    {23, 2, {       0,  0,  0,  1,  2,  2,  3,  3,  3,  3,  3,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4}},
    {24, 0, {       0,  0,  0,  1,  1,  1,  1,  1,  1,  1,  2,  3,  3,  3,  3,  3,  3,  3,  4,  4,  5,  5,  5,  5,  5}},
    {25, 0, {       0,  0,  0,  1,  1,  1,  1,  1,  1,  1,  2,  3,  3,  3,  3,  3,  3,  3,  3,  3,  4,  4,  4,  4,  4}},
    {26, 0, {       0,  0,  0,  1,  1,  1,  1,  1,  1,  1,  2,  3,  3,  3,  3,  3,  3,  3,  3,  3,  4,  4,  5,  5,  5}},
    {27, 1, {       0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  2}},
    {28, 0, {       0,  0,  0,  1,  2,  2,  2,  2,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  4,  4,  5,  5,  5}},
    {32, 1, {       0,  0,  1,  2,  2,  2,  2,  2,  2,  3,  3,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4}},
    {33, 0, {       0,  0,  0,  1,  1,  1,  1,  1,  1,  1,  1,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2}},
    {36, 0, {       N,  0,  0,  0,  0,  1,  1,  1,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2}},
    {37, 0, {       N,  0,  0,  1,  1,  1,  1,  1,  2,  2,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3}},
    {42, 0, {       N,  N,  0,  1,  1,  1,  1,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2}},
    {44, 0, {       N,  N,  N,  N,  N,  N,  0,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1}},
    {47, 0, {       N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0}},
    {60, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,  1,  2,  2,  2}},
    {61, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0}},
    {65, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0}},
    {66, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,  1,  2,  2}},
    {68, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  1,  1,  1}},
    {69, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  1,  1,  1}},
    {74, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  1,  1}},
    {75, 0, {       N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  0,  0,  0,  0,  0}},
};
#undef N

/* 4.0 and later advertise Produce from 0, because librdkafka before 2.10 takes a missing version 0 for a broker without
 * its message format, and yet close a connection that sends 0 to 2 (KAFKA-18659). */
static bool is_advertised_from_zero(int16_t api_key, int release) { return api_key == 0 && release >= RELEASE_4_0; }

static int find_release(const char *version)
{
    for (int i = 0; i < RELEASE_COUNT; i++) {
        size_t len = strlen(releases[i]);
        if (strncmp(version, releases[i], len) == 0 && (version[len] == 0 || version[len] == '.'))
            return i;
    }
    return -1;
}

bool mock_release_is_at_least(const struct mock_cluster *cluster, const char *release)
{
    return find_release(cluster->options.kafka_version) >= find_release(release);
}

static const struct version_row *find_row(int16_t api_key)
{
    for (size_t i = 0; i < sizeof(version_rows) / sizeof(version_rows[0]); i++)
        if (version_rows[i].api_key == api_key)
            return &version_rows[i];
    return NULL;
}

bool mock_choose_versions(struct mock_cluster *cluster)
{
    int release = find_release(cluster->options.kafka_version);
    if (release < 0)
        return false;
    cluster->verifies_transactions = release >= RELEASE_3_6;
    cluster->transactions.version = release >= RELEASE_4_0 ? 2 : 0;
    memset(cluster->row_by_key, -1, sizeof(cluster->row_by_key));
    cluster->apis = calloc((size_t)mock_api_row_count, sizeof(*cluster->apis));
    if (cluster->apis == NULL)
        return false;
    for (int i = 0; i < mock_api_row_count; i++) {
        const struct api_row *served = &mock_api_rows[i];
        const struct version_row *row = find_row(served->api_key);
        int16_t low = release >= RELEASE_4_0 ? row->low_since_4 : 0;
        int16_t high = row->high[release];
        if (low < served->low)
            low = served->low;
        if (high > served->high)
            high = served->high;
        if (low > high)
            continue;
        cluster->row_by_key[served->api_key] = (int8_t)i;
        cluster->low_by_key[served->api_key] = low;
        cluster->high_by_key[served->api_key] = high;
        cluster->apis[cluster->api_count++] = (struct mock_api){
            served->api_key, is_advertised_from_zero(served->api_key, release) ? 0 : low, high};
    }
    return true;
}

int mock_apis(const struct mock_cluster *cluster, const struct mock_api **apis)
{
    *apis = cluster->apis;
    return cluster->api_count;
}

/* A name or version of client software: letters and digits, dots and dashes inside (KIP-511). */
static bool is_software_word(struct rj_string word)
{
    for (int32_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool is_inner = (c == '.' || c == '-') && i > 0 && i < word.len - 1;
        if (!is_plain && !is_inner)
            return false;
    }
    return word.len > 0;
}

/* The one feature that clients look for: producers end their transactions with EndTxn 5 where it is finalized (KIP-890).
 * In version 3 Kafka leaves out what is supported from 0 on. */
static void tell_features(const struct request *request, struct rj_api_versions_response *response)
{
    enum { VERSION = 2 };
    static const struct rj_api_versions_response_supported_feature_key supported = {
        .name = {"transaction.version", 19}, .min_version = 0, .max_version = VERSION};
    static const struct rj_api_versions_response_finalized_feature_key finalized = {
        .name = {"transaction.version", 19}, .max_version_level = VERSION, .min_version_level = VERSION};
    response->supported_features.items = (void *)(uintptr_t)&supported;
    response->supported_features.count = request->version >= 4;
    response->finalized_features.items = (void *)(uintptr_t)&finalized;
    response->finalized_features.count = 1;
    response->finalized_features_epoch = 0;
}

enum outcome mock_handle_api_versions(struct request *request)
{
    const struct rj_api_versions_request *asked = request->body;
    struct mock_cluster *cluster = request->cluster;
    struct rj_api_versions_response *response = mock_new_response(request);
    if (response == NULL)
        return OUTCOME_CLOSE;
    if (request->version >= 3 && (!is_software_word(asked->client_software_name) ||
                                  !is_software_word(asked->client_software_version))) {
        response->error_code = RJ_KAFKA_INVALID_REQUEST;
        return mock_answer_request(request, response, RJ_RULE_NONE);
    }
    struct rj_api_versions_response_api_version *items =
        mock_arena_array(request, (size_t)cluster->api_count, sizeof(*items));
    if (items == NULL)
        return OUTCOME_CLOSE;
    for (int i = 0; i < cluster->api_count; i++) {
        items[i].api_key = cluster->apis[i].api_key;
        items[i].min_version = cluster->apis[i].low;
        items[i].max_version = cluster->apis[i].high;
    }
    if (request->version >= 3 && cluster->transactions.version >= 2)
        tell_features(request, response);
    response->api_keys.items = items;
    response->api_keys.count = cluster->api_count;
    mock_sasl_versions_told(request);
    return mock_answer_request(request, response, RJ_RULE_NONE);
}
