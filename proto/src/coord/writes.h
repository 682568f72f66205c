/* Records on their way to the log, and the answers that wait for them.
 *
 * Kafka completes an answer when the log is replicated up to it: an answer without records of its own waits for the
 * writes before it too. A write that has no result within offsets.commit.timeout.ms is answered as if it had failed,
 * but its effects stay, since its records may still be in the log. */
#ifndef REJOIN_COORD_WRITES_H
#define REJOIN_COORD_WRITES_H

#include "coord/group.h"

struct rj_write *rj_write_prepare(struct rj_coord *coord, size_t body_len, int32_t partition_count,
                                  int32_t group_count);
void rj_write_discard(struct rj_coord *coord, struct rj_write *write); /* one that was not started */
void *rj_write_take(struct rj_write *write, size_t size);
struct rj_string rj_write_string(struct rj_write *write, struct rj_string from);

/* Appends the records, and from now on waits for the result. */
void rj_write_start(struct rj_coord *coord, struct rj_write *write, enum rj_write_kind kind,
                    const struct rj_offsets_record *records, int32_t record_count);
/* An answer without records: goes out at once where nothing is on its way (then the write is done with). */
void rj_write_wait(struct rj_coord *coord, struct rj_write *write);
void rj_write_answer(struct rj_coord *coord, struct rj_write *write); /* at once, whatever is on its way */
/* Takes a turn without records or an answer. */
void rj_write_queue(struct rj_coord *coord, struct rj_write *write, enum rj_write_kind kind);
/* A parked request waits its turn behind the writes on their way: if they take too long it is refused, although it
 * goes on to count as parked. prepare gives NULL where nothing is on its way; *ok false: no memory. */
struct rj_write *rj_turn_prepare(struct rj_coord *coord, bool *ok);
void rj_turn_start(struct rj_write *turn, const struct rj_origin *origin, struct rj_identity *identity,
                   uint64_t ticket);
/* The parked request with this ticket is replaced. */
void rj_writes_overwritten(struct rj_coord *coord, uint64_t ticket);
void rj_write_set_group(struct rj_write *write, struct rj_group *group);
void rj_write_set_identity(struct rj_write *write, struct rj_identity *identity);

/* False: no memory, nothing has changed. */
bool rj_write_result(struct rj_coord *coord, uint64_t append_id, int16_t error);
bool rj_write_expire(struct rj_coord *coord, struct rj_write *write);
void rj_writes_disconnect(struct rj_coord *coord, uint64_t connection_id);
/* Answers all with the error, which is not mapped, and forgets them. */
bool rj_writes_reserve_unload(struct rj_coord *coord, struct rj_output_need *need);
void rj_writes_unload(struct rj_coord *coord, int16_t error);
void rj_writes_release(struct rj_coord *coord);

/* What a failed append means to a request (2.10 of the rule book): Kafka's code for the answer. */
int16_t rj_append_error(int16_t api_key, int16_t error);

/* Each API turns its prepared answer into that of a failure. */
void rj_fail_offset_commit(void *body, int16_t error);
void rj_fail_txn_offset_commit(void *body, int16_t error);
void rj_fail_offset_fetch(void *body, int16_t version, int16_t error);
void rj_fail_heartbeat(void *body, int16_t error);
void rj_fail_leave_group(void *body, int16_t error);
void rj_fail_delete_groups(void *body, int16_t error);
void rj_fail_offset_delete(void *body, int16_t error);

/* Records in the output. The value of a group takes the assignments of a write where it has some. */
size_t rj_group_record_len(const struct rj_group *group);
struct rj_offsets_record rj_group_record(struct rj_group *group, const struct rj_write *write);
struct rj_offsets_record rj_empty_group_record(struct rj_group *group);
struct rj_offsets_record rj_group_tombstone(struct rj_group *group);
struct rj_assigned *rj_assigned_find(const struct rj_write *write, struct rj_string member_id);

#endif
