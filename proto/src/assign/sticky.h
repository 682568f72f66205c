/* sticky and cooperative-sticky: what members claim to own, and the two ways to build an assignment from it. */
#ifndef REJOIN_SRC_ASSIGN_STICKY_H
#define REJOIN_SRC_ASSIGN_STICKY_H

#include "assign/context.h"

enum { NO_GENERATION = -1 };

/* What one member says that it owns. */
struct claim {
    struct int_list partitions;  /* that exist, in the order of its list, repeated where it repeats them */
    int32_t generation;          /* of the claim; NO_GENERATION: it names none */
    bool has_generation;         /* it names one, be it -1 */
    int32_t subscription_generation; /* of the subscription's own field; Java settles conflicts by this one */
};

struct sticky {
    struct assign_context *context;
    struct claim *claims;        /* of a member */
    int32_t *walk;               /* members in the order in which Java's hash map gives them */
    int32_t max_generation;
    bool equal_subscriptions;
    bool *disputed;              /* of a partition: claimed twice in one generation */
    int32_t *claimant;           /* of a partition: whose claim is valid */
    bool racks_matter;
    bool *withheld;              /* of a partition: moves between members, nobody gets it this round (cooperative) */
    int32_t *count;              /* of a member: partitions that it owns in the result so far */
};

enum rj_err rj_sticky_read_claims(struct sticky *sticky, bool cooperative); /* fills claims and walk */
enum rj_err rj_sticky_settle_claims(struct sticky *sticky);                  /* fills the next five */

enum rj_err rj_sticky_build_constrained(struct sticky *sticky); /* everybody subscribes to the same topics */
enum rj_err rj_sticky_build_general(struct sticky *sticky);

/* Has the member a rack that matters, and no replica of the partition is there? */
bool rj_sticky_rack_mismatch(const struct sticky *sticky, int32_t member, int32_t partition);
void rj_sticky_give(struct sticky *sticky, int32_t partition, int32_t member); /* from its owner, if it has one */

#endif
