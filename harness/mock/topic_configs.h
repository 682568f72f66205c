/* The settings of topics: which there are, what a value must be, and what a topic's own are. They are kept and
 * described as Kafka does; what the mock does with a topic's records follows from none of them. */
#ifndef REJOIN_MOCK_TOPIC_CONFIGS_H
#define REJOIN_MOCK_TOPIC_CONFIGS_H

#include "mock/internal.h"

/* Kafka's ConfigDef.Type, as DescribeConfigs tells it. */
enum config_type {
    CONFIG_BOOLEAN = 1, CONFIG_STRING = 2, CONFIG_INT = 3, CONFIG_LONG = 5, CONFIG_DOUBLE = 6, CONFIG_LIST = 7
};

struct topic_config_row {
    const char *name;
    enum config_type type;
    const char *otherwise;  /* where the topic says nothing */
    int64_t least, most;    /* of numbers */
    const char *words;      /* that a text, or each element of a list, must be one of: "compact, delete"; NULL: any */
    bool only_before_4;
};
enum { TOPIC_CONFIG_COUNT = 36 };
extern const struct topic_config_row mock_topic_config_rows[TOPIC_CONFIG_COUNT]; /* by name */

/* What a topic has been given; NULL: nothing. By the number of the row. */
struct topic_configs { char *values[TOPIC_CONFIG_COUNT]; };

bool mock_has_topic_config(const struct mock_cluster *cluster, int which); /* in the release that it plays */
/* Which row; -1: the release has no such setting. */
int mock_find_topic_config(const struct mock_cluster *cluster, struct rj_string name);
/* What is in force. */
const char *mock_topic_config(const struct topic_configs *configs, int which);
const char *mock_topic_config_default(const struct mock_cluster *cluster, int which);

struct topic_configs *mock_topic_configs_copy(const struct topic_configs *configs); /* of NULL: nothing is given */
void mock_topic_configs_free(struct topic_configs *configs);
/* Sets it, in the form in which Kafka tells it. 0, or INVALID_CONFIG and in why what is wrong. */
int16_t mock_set_topic_config(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name,
                              struct rj_string value, char *why, size_t why_len);
/* Puts the elements into a list, or takes them out of it; the default where nothing is given yet. Likewise. */
int16_t mock_change_topic_list(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name,
                               struct rj_string elements, bool takes_out, char *why, size_t why_len);
/* What no single value tells: two that do not go together. Likewise. */
int16_t mock_judge_topic_configs(const struct mock_cluster *cluster, const struct topic_configs *configs, char *why,
                                 size_t why_len);
void mock_unset_topic_config(const struct mock_cluster *cluster, struct topic_configs *configs, struct rj_string name);

/* What CreateTopics answers of them (configs.c). false: no memory. */
bool mock_tell_new_configs(struct request *request, const struct rj_create_topics_request_creatable_topic *asked,
                           const struct topic_configs *configs,
                           struct rj_create_topics_response_creatable_topic_result *out);
/* The topic's are these from now on, on disk too. 0, or 56 and nothing has changed. Takes them in any case. */
int16_t mock_change_topic_configs(struct mock_cluster *cluster, struct topic *topic, struct topic_configs *configs);

#endif
