/* Names of failures, Kafka's errors and rules. */
#include "rejoin/errors.h"
#include "rejoin/rules.h"

#include <string.h>

static const struct { const char *name, *sentence; } err_rows[] = {
#define RJ_ERR_ROW(name, sentence) {#name, sentence},
    RJ_ERR_MAP(RJ_ERR_ROW)
#undef RJ_ERR_ROW
};

const char *rj_err_name(enum rj_err err) { return err_rows[err].name; }

const char *rj_err_sentence(enum rj_err err) { return err_rows[err].sentence; }

const char *rj_kafka_error_name(int16_t code)
{
    static const struct { int16_t code; const char *name; } rows[] = {
#define RJ_KAFKA_ERROR_ROW(name, code) {code, #name},
        RJ_KAFKA_ERROR_MAP(RJ_KAFKA_ERROR_ROW)
#undef RJ_KAFKA_ERROR_ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == code)
            return rows[i].name;
    return NULL;
}

static const struct rj_rule_row rule_rows[] = {
#define RJ_RULE(symbol, id, area, role, level, strength, reach, since, until, error, sentence, source)                 \
    {id, area, role, level, strength, reach, since, until, error, sentence, source},
#include "rejoin/rules.def"
#undef RJ_RULE
};

const struct rj_rule_row *rj_rule_row(enum rj_rule rule) { return &rule_rows[rule - 1]; }

static const char *const reach_reasons[RJ_RULE_COUNT] = {
#define RJ_REACH_BECAUSE(symbol, reason) [RJ_RULE_##symbol] = reason,
#include "rejoin/reach.def"
#undef RJ_REACH_BECAUSE
};

const char *rj_rule_reach_reason(enum rj_rule rule) { return reach_reasons[rule]; }

enum rj_rule rj_rule_by_id(struct rj_string id)
{
    for (size_t i = 0; i < sizeof(rule_rows) / sizeof(rule_rows[0]); i++)
        if (rj_string_equal(id, (struct rj_string){rule_rows[i].id, (int32_t)strlen(rule_rows[i].id)}))
            return (enum rj_rule)(i + 1);
    return RJ_RULE_NONE;
}
