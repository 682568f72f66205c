#include "mock/topic_configs.h"

#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LEVELS_LOW (-131072)
#define LONGEST "9223372036854775807"
#define COMPRESSIONS "uncompressed, zstd, lz4, snappy, gzip, producer"

/* LogConfig of 3.9.1 and 4.1.1 (4.0 took away three). Those of releases before 3.9 are not told apart. */
const struct topic_config_row mock_topic_config_rows[TOPIC_CONFIG_COUNT] = {
    {"cleanup.policy", CONFIG_LIST, "delete", 0, 0, "compact, delete", false},
    {"compression.gzip.level", CONFIG_INT, "-1", -1, 9, NULL, false},
    {"compression.lz4.level", CONFIG_INT, "9", 1, 17, NULL, false},
    {"compression.type", CONFIG_STRING, "producer", 0, 0, COMPRESSIONS, false},
    {"compression.zstd.level", CONFIG_INT, "3", LEVELS_LOW, 22, NULL, false},
    {"delete.retention.ms", CONFIG_LONG, "86400000", 0, INT64_MAX, NULL, false},
    {"file.delete.delay.ms", CONFIG_LONG, "60000", 0, INT64_MAX, NULL, false},
    {"flush.messages", CONFIG_LONG, LONGEST, 1, INT64_MAX, NULL, false},
    {"flush.ms", CONFIG_LONG, LONGEST, 0, INT64_MAX, NULL, false},
    {"follower.replication.throttled.replicas", CONFIG_LIST, "", 0, 0, NULL, false},
    {"index.interval.bytes", CONFIG_INT, "4096", 0, INT32_MAX, NULL, false},
    {"leader.replication.throttled.replicas", CONFIG_LIST, "", 0, 0, NULL, false},
    {"local.retention.bytes", CONFIG_LONG, "-2", -2, INT64_MAX, NULL, false},
    {"local.retention.ms", CONFIG_LONG, "-2", -2, INT64_MAX, NULL, false},
    {"max.compaction.lag.ms", CONFIG_LONG, LONGEST, 1, INT64_MAX, NULL, false},
    {"max.message.bytes", CONFIG_INT, "1048588", 0, INT32_MAX, NULL, false},
    {"message.downconversion.enable", CONFIG_BOOLEAN, "true", 0, 0, NULL, true},
    {"message.format.version", CONFIG_STRING, "3.0-IV1", 0, 0, NULL, true},
    {"message.timestamp.after.max.ms", CONFIG_LONG, "3600000", 0, INT64_MAX, NULL, false},
    {"message.timestamp.before.max.ms", CONFIG_LONG, LONGEST, 0, INT64_MAX, NULL, false},
    {"message.timestamp.difference.max.ms", CONFIG_LONG, LONGEST, 0, INT64_MAX, NULL, true},
    {"message.timestamp.type", CONFIG_STRING, "CreateTime", 0, 0, "CreateTime, LogAppendTime", false},
    {"min.cleanable.dirty.ratio", CONFIG_DOUBLE, "0.5", 0, 1, NULL, false},
    {"min.compaction.lag.ms", CONFIG_LONG, "0", 0, INT64_MAX, NULL, false},
    {"min.insync.replicas", CONFIG_INT, "1", 1, INT32_MAX, NULL, false},
    {"preallocate", CONFIG_BOOLEAN, "false", 0, 0, NULL, false},
    {"remote.log.copy.disable", CONFIG_BOOLEAN, "false", 0, 0, NULL, false},
    {"remote.log.delete.on.disable", CONFIG_BOOLEAN, "false", 0, 0, NULL, false},
    {"remote.storage.enable", CONFIG_BOOLEAN, "false", 0, 0, NULL, false},
    {"retention.bytes", CONFIG_LONG, "-1", INT64_MIN, INT64_MAX, NULL, false},
    {"retention.ms", CONFIG_LONG, "604800000", -1, INT64_MAX, NULL, false},
    {"segment.bytes", CONFIG_INT, "1073741824", 1048576, INT32_MAX, NULL, false},
    {"segment.index.bytes", CONFIG_INT, "10485760", 4, INT32_MAX, NULL, false},
    {"segment.jitter.ms", CONFIG_LONG, "0", 0, INT64_MAX, NULL, false},
    {"segment.ms", CONFIG_LONG, "604800000", 1, INT64_MAX, NULL, false},
    {"unclean.leader.election.enable", CONFIG_BOOLEAN, "false", 0, 0, NULL, false},
};

bool mock_has_topic_config(const struct mock_cluster *cluster, int which)
{
    return !mock_topic_config_rows[which].only_before_4 || !mock_release_is_at_least(cluster, "4.0");
}

int mock_find_topic_config(const struct mock_cluster *cluster, struct rj_string name)
{
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) {
        const char *known = mock_topic_config_rows[i].name;
        if (strlen(known) == (size_t)name.len && memcmp(known, name.data, (size_t)name.len) == 0)
            return mock_has_topic_config(cluster, i) ? i : -1;
    }
    return -1;
}

/* Two that 4.0 changed. */
static bool is_row_of_3(const struct mock_cluster *cluster, int which, const char *name)
{
    return strcmp(mock_topic_config_rows[which].name, name) == 0 && !mock_release_is_at_least(cluster, "4.0");
}

static int64_t least_of(const struct mock_cluster *cluster, int which)
{
    return is_row_of_3(cluster, which, "segment.bytes") ? 14 : mock_topic_config_rows[which].least;
}

const char *mock_topic_config_default(const struct mock_cluster *cluster, int which)
{
    return is_row_of_3(cluster, which, "message.timestamp.after.max.ms") ? LONGEST
                                                                          : mock_topic_config_rows[which].otherwise;
}

const char *mock_topic_config(const struct topic_configs *configs, int which)
{
    return configs != NULL ? configs->values[which] : NULL;
}

/* ---- A topic's own ----------------------------------------------------------------------------------------------- */

struct topic_configs *mock_topic_configs_copy(const struct topic_configs *configs)
{
    struct topic_configs *copy = rejoin_alloc_zeroed(1, sizeof(*copy));
    for (int i = 0; configs != NULL && i < TOPIC_CONFIG_COUNT; i++)
        if (configs->values[i] != NULL)
            copy->values[i] = rejoin_strdup(configs->values[i]);
    return copy;
}

void mock_topic_configs_free(struct topic_configs *configs)
{
    for (int i = 0; configs != NULL && i < TOPIC_CONFIG_COUNT; i++)
        free(configs->values[i]);
    free(configs);
}

void mock_unset_topic_config(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name)
{
    int which = mock_find_topic_config(cluster, name);
    if (which < 0)
        return;
    free(configs->values[which]);
    configs->values[which] = NULL;
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* Without the blanks around it, ending with 0. */
static char *trimmed(struct rj_string text)
{
    while (text.len > 0 && (uint8_t)text.data[0] <= ' ') {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (uint8_t)text.data[text.len - 1] <= ' ')
        text.len--;
    char *copy = rejoin_alloc((size_t)text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.data, (size_t)text.len);
    copy[text.len] = 0;
    return copy;
}

static struct rj_string view(const char *text) { return (struct rj_string){text, (int32_t)strlen(text)}; }

/* The next element of a list, trimmed; NULL: no more. */
static char *next_element(struct rj_string *list)
{
    if (list->data == NULL)
        return NULL;
    const char *comma = list->len > 0 ? memchr(list->data, ',', (size_t)list->len) : NULL;
    struct rj_string element = {list->data, comma ? (int32_t)(comma - list->data) : list->len};
    *list = comma ? (struct rj_string){comma + 1, list->len - element.len - 1} : RJ_NULL_STRING;
    return trimmed(element);
}

static bool is_word_of(const char *words, const char *text)
{
    struct rj_string list = view(words);
    bool found = false;
    for (char *word; (word = next_element(&list)) != NULL; free(word))
        found = found || strcmp(word, text) == 0;
    return found;
}

/* PARTITION:BROKER */
static bool is_replica(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && text[digits] == ':' && text[digits + 1] != 0
           && text[digits + 1 + strspn(text + digits + 1, "0123456789")] == 0;
}

static bool fits_element(const struct topic_config_row *row, const char *element, const char *whole)
{
    if (row->words != NULL)
        return is_word_of(row->words, element);
    return strcmp(whole, "*") == 0 || is_replica(element);
}

/* In place: elements without blanks around them. */
static bool read_list(const struct topic_config_row *row, char *text, char *why, size_t why_len)
{
    struct rj_string list = view(text);
    char *copy = rejoin_alloc((size_t)list.len + 1), *end = copy, *element;
    bool fits = true;
    for (*end = 0; *text != 0 && (element = next_element(&list)) != NULL; free(element)) {
        if (fits && !fits_element(row, element, text)) {
            fits = false;
            if (row->words != NULL)
                snprintf(why, why_len, "Invalid value %.200s for configuration %s: String must be one of: %s", element,
                         row->name, row->words);
            else
                snprintf(why, why_len, "Invalid value [%.200s] for configuration %s: %s must be the literal '*' or a "
                                       "list of replicas in the following format: [partitionId]:[brokerId],"
                                       "[partitionId]:[brokerId],...", text, row->name, row->name);
        }
        end += sprintf(end, "%s%s", end > copy ? "," : "", element);
    }
    strcpy(text, copy);
    free(copy);
    return fits;
}

/* A whole number as Java reads it, anew in *text. */
static bool read_number(const struct topic_config_row *row, int64_t least, char **text, char *why, size_t why_len)
{
    char *end;
    const char *digits = *text + (**text == '+' || **text == '-');
    errno = 0;
    int64_t number = strtoll(*text, &end, 10);
    bool is_int = row->type == CONFIG_INT;
    if (*digits < '0' || *digits > '9' || *end != 0 || errno != 0
        || (is_int && (number < INT32_MIN || number > INT32_MAX))) {
        snprintf(why, why_len, "Invalid value %.200s for configuration %s: Not a number of type %s", *text, row->name,
                 is_int ? "INT" : "LONG");
        return false;
    }
    bool no_level = row->least == -1 && row->most == 9 && number == 0; /* of gzip: 1 to 9, or -1 */
    if (number < least || number > row->most || no_level) {
        if (row->least == -1 && row->most == 9)
            snprintf(why, why_len, "Invalid value %lld for configuration %s: Value must be between 1 and 9 or equal to "
                                   "-1", (long long)number, row->name);
        else
            snprintf(why, why_len, "Invalid value %lld for configuration %s: Value must be %s %lld", (long long)number,
                     row->name, number < least ? "at least" : "no more than",
                     (long long)(number < least ? least : row->most));
        return false;
    }
    free(*text);
    *text = rejoin_alloc(24);
    snprintf(*text, 24, "%lld", (long long)number);
    return true;
}

/* A number between 0 and 1, anew in *text: the shortest that means the same. */
static bool read_ratio(const struct topic_config_row *row, char **text, char *why, size_t why_len)
{
    char *end, shortest[40];
    double number = strtod(*text, &end);
    if (**text == 0 || *end != 0) {
        snprintf(why, why_len, "Invalid value %.200s for configuration %s: Not a number of type DOUBLE", *text,
                 row->name);
        return false;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(shortest, sizeof(shortest), "%.*g", digits, number);
        if (strtod(shortest, NULL) >= number && strtod(shortest, NULL) <= number)
            break;
    }
    if (strchr(shortest, '.') == NULL)
        strcat(shortest, ".0");
    if (!(number >= (double)row->least && number <= (double)row->most)) {
        snprintf(why, why_len, "Invalid value %s for configuration %s: Value must be %s", shortest, row->name,
                 number > (double)row->most ? "no more than 1" : "at least 0");
        return false;
    }
    free(*text);
    *text = rejoin_strdup(shortest);
    return true;
}

static bool read_boolean(const struct topic_config_row *row, char *text, char *why, size_t why_len)
{
    for (int i = 0; i < 2; i++)
        if (strcasecmp(text, i ? "true" : "false") == 0) {
            strcpy(text, i ? "true" : "false");
            return true;
        }
    snprintf(why, why_len, "Invalid value %.200s for configuration %s: Expected value to be either true or false", text,
             row->name);
    return false;
}

static bool read_text(const struct topic_config_row *row, const char *text, char *why, size_t why_len)
{
    if (row->words == NULL || is_word_of(row->words, text))
        return true;
    snprintf(why, why_len, "Invalid value %.200s for configuration %s: String must be one of: %s", text, row->name,
             row->words);
    return false;
}

static bool read_value(const struct mock_cluster *cluster, int which, char **text, char *why, size_t why_len)
{
    const struct topic_config_row *row = &mock_topic_config_rows[which];
    switch (row->type) {
    case CONFIG_BOOLEAN: return read_boolean(row, *text, why, why_len);
    case CONFIG_DOUBLE: return read_ratio(row, text, why, why_len);
    case CONFIG_LIST: return read_list(row, *text, why, why_len);
    case CONFIG_INT:
    case CONFIG_LONG: return read_number(row, least_of(cluster, which), text, why, why_len);
    case CONFIG_STRING: break;
    }
    return read_text(row, *text, why, why_len);
}

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

int16_t mock_set_topic_config(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name,
                              struct rj_string value, char *why, size_t why_len)
{
    int which = mock_find_topic_config(cluster, name);
    if (which < 0) {
        snprintf(why, why_len, "Unknown topic config name: %.*s", name.len < 200 ? (int)name.len : 200, name.data);
        return RJ_KAFKA_INVALID_CONFIG;
    }
    char *text = trimmed(value);
    if (!read_value(cluster, which, &text, why, why_len)) {
        free(text);
        return RJ_KAFKA_INVALID_CONFIG;
    }
    free(configs->values[which]);
    configs->values[which] = text;
    return RJ_KAFKA_NONE;
}

static bool has_element(struct rj_string list, const char *element)
{
    bool found = false;
    for (char *one; (one = next_element(&list)) != NULL; free(one))
        found = found || strcmp(one, element) == 0;
    return found;
}

/* What of `from` is not in `other`, behind what stands in out. */
static void add_elements(char *out, struct rj_string from, struct rj_string other)
{
    for (char *element; from.len > 0 && (element = next_element(&from)) != NULL; free(element))
        if (!has_element(other, element))
            sprintf(out + strlen(out), "%s%s", *out ? "," : "", element);
}

int16_t mock_change_topic_list(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name,
                               struct rj_string elements, bool takes_out, char *why, size_t why_len)
{
    int which = mock_find_topic_config(cluster, name);
    if (which < 0 || mock_topic_config_rows[which].type != CONFIG_LIST) {
        snprintf(why, why_len, "Can't %s to key %.*s because its type is not LIST.", takes_out ? "SUBTRACT" : "APPEND",
                 name.len < 200 ? (int)name.len : 200, name.data);
        return RJ_KAFKA_INVALID_CONFIG;
    }
    const char *own = mock_topic_config(configs, which);
    struct rj_string before = view(own ? own : mock_topic_config_default(cluster, which));
    char *text = rejoin_alloc((size_t)before.len + (size_t)elements.len + 2);
    *text = 0;
    add_elements(text, before, takes_out ? elements : RJ_NULL_STRING);
    if (!takes_out)
        add_elements(text, elements, before);
    int16_t error = mock_set_topic_config(cluster, configs, name, view(text), why, why_len);
    free(text);
    return error;
}

static int64_t number_of(const struct mock_cluster *cluster, const struct topic_configs *configs, const char *name)
{
    int which = mock_find_topic_config(cluster, view(name));
    const char *own = mock_topic_config(configs, which);
    return strtoll(own ? own : mock_topic_config_default(cluster, which), NULL, 10);
}

int16_t mock_judge_topic_configs(const struct mock_cluster *cluster, const struct topic_configs *configs, char *why,
                                 size_t why_len)
{
    int of_remote = mock_find_topic_config(cluster, RJ_STRING("remote.storage.enable"));
    const char *remote = mock_topic_config(configs, of_remote);
    int64_t least_lag_ms = number_of(cluster, configs, "min.compaction.lag.ms");
    int64_t most_lag_ms = number_of(cluster, configs, "max.compaction.lag.ms");
    if (remote != NULL && strcmp(remote, "true") == 0)
        snprintf(why, why_len, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured "
                               "with remote log storage.");
    else if (least_lag_ms > most_lag_ms)
        snprintf(why, why_len, "conflict topic config setting min.compaction.lag.ms (%lld) > max.compaction.lag.ms "
                               "(%lld)", (long long)least_lag_ms, (long long)most_lag_ms);
    else
        return RJ_KAFKA_NONE;
    return RJ_KAFKA_INVALID_CONFIG;
}
