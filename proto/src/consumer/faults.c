/* The deliberate faults: names, what each does, and the rule that it breaks. */
#include "consumer/state.h"

#include <assert.h>
#include <string.h>

static const struct { const char *name, *rule_id, *sentence; } rows[RJ_CONSUMER_FAULT_COUNT] = {
#define RJ_FAULT_ROW(symbol, name, rule, sentence) [RJ_CONSUMER_FAULT_##symbol] = {name, rule, sentence},
    RJ_CONSUMER_FAULT_MAP(RJ_FAULT_ROW)
#undef RJ_FAULT_ROW
};

_Static_assert(RJ_CONSUMER_FAULT_COUNT <= 64, "faults are bits of a uint64_t");

struct rj_string rj_consumer_fault_name(enum rj_consumer_fault fault)
{
    return (struct rj_string){rows[fault].name, (int32_t)strlen(rows[fault].name)};
}

const char *rj_consumer_fault_sentence(enum rj_consumer_fault fault) { return rows[fault].sentence; }

enum rj_rule rj_consumer_fault_rule(enum rj_consumer_fault fault)
{
    struct rj_string id = {rows[fault].rule_id, (int32_t)strlen(rows[fault].rule_id)};
    return rj_rule_by_id(id);
}

bool rj_consumer_fault_by_name(struct rj_string name, enum rj_consumer_fault *fault)
{
    for (int i = 0; i < RJ_CONSUMER_FAULT_COUNT; i++)
        if (rj_string_equal(name, rj_consumer_fault_name((enum rj_consumer_fault)i))) {
            *fault = (enum rj_consumer_fault)i;
            return true;
        }
    return false;
}

bool rj_consumer_has_fault(const struct rj_consumer *c, enum rj_consumer_fault fault)
{
    return (c->config.faults >> fault & 1) != 0;
}
