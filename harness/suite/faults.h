/* The faults of a case: which request they hit, and how they are told. */
#ifndef REJOIN_SUITE_FAULTS_H
#define REJOIN_SUITE_FAULTS_H

#include "suite/case.h"

struct fault_slots {
    struct { struct suite_fault fault; int32_t seen; } slots[SUITE_MAX_FAULTS];
    int32_t count;
};

bool fault_arm(struct fault_slots *slots, const struct suite_fault *fault); /* false: no room */
/* Counts the request in every slot that it matches; the first slot whose turn it is decides. NULL: none. */
const struct suite_fault *fault_for(struct fault_slots *slots, const struct trace_event *request);
/* "answered 27 REBALANCE_IN_PROGRESS", "connection closed before it was processed". */
void fault_describe(const struct suite_fault *fault, char *out, size_t out_len);
/* The form that rejoin mock --faults reads. Owned by the caller. */
json_t *fault_to_json(const struct suite_fault *fault);

#endif
