/* What OffsetCommit and TxnOffsetCommit share: the checks of topics, the records, and the answer. */
#ifndef REJOIN_COORD_COMMIT_H
#define REJOIN_COORD_COMMIT_H

#include "coord/api.h"
#include "coord/writes.h"

struct rj_commit {
    const struct rj_call *call;
    const struct rj_offset_commit_request *request;
    struct rj_group *group;      /* NULL: does not exist */
    struct rj_identity *identity; /* NULL: the group does not know the id */
    struct rj_member *member;    /* NULL: not in the group */
    /* Committed in this step, its records' result taken for granted: nothing has to be kept for a later one. */
    bool is_direct;
    int64_t producer_id;         /* -1: plain */
    int16_t producer_epoch;
    struct rj_write *write;      /* NULL where it is direct */
    struct rj_offset_commit_response *response; /* in the write, or in the output */
    enum rj_rule rule;           /* the first that refused something */
    struct rj_commit_topic {
        const struct rj_topic *known; /* NULL: the broker does not know it */
        struct rj_verdict verdict;    /* on the topic as a whole */
        int32_t answer;               /* index in the answer, or -1 */
        bool is_stored;               /* all that it names is accepted */
    } *topics;                   /* one for each of the request */
    int32_t forwarded_count;     /* partitions that the broker's own checks let through */
    bool is_clean;               /* they let all of them through */
    int32_t record_count;
    struct rj_commit_record {
        struct rj_offset_partition *partition; /* held */
        struct rj_offset *offset;              /* NULL: the committed one takes the new value */
        const struct rj_offset_commit_request_topic *topic;
        const struct rj_offset_commit_request_partition *asked;
    } *records;
    bool creates_group;
};

/* Room for the answer. extra_len: of the write's room, for the caller. */
bool rj_commit_begin(struct rj_commit *commit, size_t extra_len);
/* Answers what the broker's own checks refuse, and counts what they let through. */
void rj_commit_check_topics(struct rj_commit *commit);
/* Puts an error on every partition of the request, or on those that were let through. */
void rj_commit_refuse_all(struct rj_commit *commit, struct rj_verdict verdict);
void rj_commit_refuse_forwarded(struct rj_commit *commit, struct rj_verdict verdict);
/* The values of all that was let through. False: no memory; the write is discarded. */
bool rj_commit_prepare(struct rj_commit *commit);
/* Writes, or answers where there is nothing to write. */
void rj_commit_apply(struct rj_commit *commit);
/* Everything is refused: the answer goes out at once. */
void rj_commit_answer(struct rj_commit *commit);
void rj_txn_convert_answer(struct rj_commit *commit); /* in 28_txn_offset_commit.c */
void rj_commit_fail(struct rj_offset_commit_response *response, int16_t error);

#endif
