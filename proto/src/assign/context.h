/* What the assignors share: the input turned into numbers. Members and topics are indexes, a partition is its number
 * in the list of all partitions of all subscribed topics (topics by name, then partition), and a result is the owner
 * of each. */
#ifndef REJOIN_SRC_ASSIGN_CONTEXT_H
#define REJOIN_SRC_ASSIGN_CONTEXT_H

#include "rejoin/assign.h"

enum { NO_ONE = -1, NO_RACK = -1 };

struct int_list { int32_t *items; int32_t count; };

struct assign_context {
    struct rj_arena *arena;
    const struct rj_assign_member *members;
    int32_t member_count;
    const struct rj_assign_topic **topics; /* subscribed by somebody and with partitions; by name */
    int32_t topic_count;
    int32_t *first_partition;       /* of a topic; topic_count + 1 items, the last is partition_count */
    int32_t *topic_of;              /* of a partition */
    int32_t partition_count;
    struct int_list *topics_of;     /* of a member, ascending */
    struct int_list *subscribers;   /* of a topic, in members' order of input */
    int32_t *rank;                  /* of a member among all by id: members compare by it */
    int32_t *rack_of;               /* of a member */
    struct int_list *racks_of;      /* of a partition: distinct racks of its replicas. NULL: nobody has a rack */
    int32_t rack_count;
    int32_t *owner;                 /* the result: of a partition, NO_ONE where nobody gets it */
    bool as_java;                   /* rj_assign_as_java */
    bool java_throws;               /* set where Java would run into a null pointer */
};

/* As rj_assign, but for the second of the two things that assign.h says differ from Java: a partition may go back to a
 * previous owner that no longer subscribes to its topic. RJ_ERR_VALUE where Java's builder throws over it. For the
 * comparison with Java's classes alone. */
enum rj_err rj_assign_as_java(enum rj_assignor assignor, const struct rj_assign_member *members, int32_t member_count,
                              const struct rj_assign_topic *topics, int32_t topic_count, struct rj_arena *arena,
                              struct rj_consumer_protocol_assignment *assignments);

void *rj_assign_alloc(struct rj_arena *arena, int64_t count, size_t size); /* zeroed; NULL: no memory */
int32_t rj_assign_find_topic(const struct assign_context *context, struct rj_string name); /* NO_ONE: not among them */
bool rj_assign_subscribes(const struct assign_context *context, int32_t member, int32_t topic);
bool rj_assign_has_rack(const struct assign_context *context, int32_t partition, int32_t rack);

/* Should racks decide? Some member of the list has a rack on which some of the partitions are, and not every partition
 * is on every rack (KIP-881). */
bool rj_assign_racks_matter(const struct assign_context *context, const struct int_list *members,
                            int32_t first_partition, int32_t end_partition, bool *matter);

/* Sorts item numbers; less(context, a, b) says whether a comes before b. Stable. false: no memory. */
typedef bool (*assign_less)(const void *context, int32_t a, int32_t b);
bool rj_assign_sort(struct rj_arena *arena, int32_t *items, int32_t count, assign_less less, const void *context);

/* Each fills context->owner. */
enum rj_err rj_assign_range(struct assign_context *context);
enum rj_err rj_assign_round_robin(struct assign_context *context);
enum rj_err rj_assign_sticky(struct assign_context *context, bool cooperative);

/* All members, static ones first by instance id, then the others by member id. */
enum rj_err rj_assign_member_order(const struct assign_context *context, int32_t **order);

#endif
