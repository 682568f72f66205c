/* Conditions and acts that the steps of several cases share. */
#ifndef REJOIN_SUITE_STEPS_H
#define REJOIN_SUITE_STEPS_H

#include "suite/case.h"

void step_start_first(struct suite_run *run);
void step_start_second(struct suite_run *run);
void step_start_third(struct suite_run *run);
void step_stop_first(struct suite_run *run);
void step_kill_first(struct suite_run *run);

bool until_joined(struct suite_run *run);       /* a SyncGroup succeeded since the step before */
bool until_stable(struct suite_run *run);       /* and then a heartbeat */
bool until_committed(struct suite_run *run);    /* an OffsetCommit succeeded since the step before */
bool until_first_ended(struct suite_run *run);
bool until_settled(struct suite_run *run);      /* 500 ms passed */
bool until_a_second_passed(struct suite_run *run);

/* So many members have answered SyncGroups of one generation. */
bool step_group_has(const struct suite_run *run, int32_t member_count);
bool until_two_members(struct suite_run *run);
bool until_three_members(struct suite_run *run);

/* The coordinator forgets a member, as if an administrator had removed it. */
void step_forget(struct suite_run *run, const char *member_id);

#endif
