/* The rule book: one row a rule, in proto/rules.def. Ids are never renamed once released. */
#ifndef REJOIN_RULES_H
#define REJOIN_RULES_H

#include "rejoin/base.h"

enum rj_rule_role {
    RJ_ROLE_BROKER, RJ_ROLE_CLIENT, RJ_ROLE_TRACE,
    RJ_ROLE_CODEC, /* how the readers of both sides take bytes that no writer of Kafka's makes */
};
enum rj_rule_level {
    RJ_LEVEL_MUST, RJ_LEVEL_SHOULD, RJ_LEVEL_MAY,
    RJ_LEVEL_OBSERVED, /* behaviour with no text behind it, tied to the versions that the row names */
};
/* How a breach found in a trace counts. */
enum rj_rule_strength { RJ_STRENGTH_NONE, RJ_STRENGTH_HARD, RJ_STRENGTH_HARD_IF_COMPLETE, RJ_STRENGTH_WARNING };
/* Where a broker rule can be tripped. */
enum rj_rule_reach { RJ_REACH_NONE, RJ_REACH_WIRE, RJ_REACH_CONTROL, RJ_REACH_CORE };

enum rj_rule {
    RJ_RULE_NONE, /* nothing was refused or broken */
#define RJ_RULE(symbol, id, area, role, level, strength, reach, since, until, error, sentence, source) RJ_RULE_##symbol,
#include "rejoin/rules.def"
#undef RJ_RULE
    RJ_RULE_COUNT
};

struct rj_rule_row {
    const char *id;           /* "join-fenced-instance" */
    const char *area;         /* "join", "sync", "heartbeat", "leave", "offsets", "admin", "wire", "client", ... */
    enum rj_rule_role role;
    enum rj_rule_level level;
    enum rj_rule_strength strength; /* trace rules only */
    enum rj_rule_reach reach;       /* broker rules only */
    const char *since, *until;      /* Kafka versions; "" = from the beginning / still so */
    int16_t error;                  /* Kafka's code where the rule has one, else 0 */
    const char *sentence;           /* what must hold */
    const char *source;             /* KIP and section, or class and method at a release */
};

const struct rj_rule_row *rj_rule_row(enum rj_rule rule);    /* rule must be one of the enumeration, not NONE */
/* Why a broker rule cannot be tripped by requests alone (proto/reach.def); NULL: it can. */
const char *rj_rule_reach_reason(enum rj_rule rule);
enum rj_rule rj_rule_by_id(struct rj_string id);             /* RJ_RULE_NONE: no such rule */

#endif
