/* What the checker remembers. Strings are interned: equal ones have the same address. Requests that are unanswered, or
 * that later verdicts need, are kept as copies with a count of those who hold them. */
#ifndef REJOIN_CHECK_STATE_H
#define REJOIN_CHECK_STATE_H

#include "rejoin/check.h"
#include "rejoin/errors.h"

struct list { void *items; int32_t count, capacity; size_t item_size; };

struct kept_message {
    int32_t holders;
    struct rj_arena arena;
    const struct rj_message_schema *schema;
    void *body; /* NULL: of no interest, or not decoded */
    uint64_t stream, frame;
    int64_t time_ms;
    int16_t api_key, version;
    int32_t correlation_id;
    struct rj_string client_id;
    uint64_t trigger_before; /* JoinGroup: the group's trigger_frame before this request */
    bool overtaken;          /* a younger request of the stream was answered first, which was reported */
};

struct version_range { int16_t api_key, low, high; };

/* What the next JoinGroup on a stream for a group has to carry. */
enum expectation_kind { EXPECT_PROMISED, EXPECT_KEPT, EXPECT_DROPPED };
struct expectation { enum expectation_kind kind; struct group *group; struct rj_string member_id; uint64_t frame; };

enum { RECENT_ANSWERS = 16 };

struct stream {
    uint64_t id;
    bool from_start, gap, has_request, has_response, has_ranges;
    int64_t seen_ms;      /* its latest message */
    int64_t gap_since_ms; /* what seen_ms was when bytes were lost first */
    struct rj_string client_id;
    struct list pending;      /* struct kept_message * */
    struct list ranges;       /* struct version_range */
    struct list expectations; /* struct expectation */
    struct list groups;       /* struct group *: that were spoken of on this stream */
    struct list coordinators_asked; /* struct group *: FindCoordinator was asked for */
    int32_t recent[RECENT_ANSWERS]; /* correlation ids that were answered */
    uint32_t recent_count;
};

struct partition { struct rj_string topic; int32_t index; };

enum member_state {
    MEMBER_PROMISED, /* its id came with MEMBER_ID_REQUIRED */
    MEMBER_IN,
    MEMBER_LEFT, MEMBER_REPLACED, MEMBER_REFUSED, /* refused: answered UNKNOWN_MEMBER_ID */
};

struct given { int32_t generation; uint64_t frame; };

struct member {
    struct rj_string id, instance_id, client_id;
    struct group *group;
    enum member_state state;
    bool born;                 /* its id was given inside what was seen */
    bool left_by_itself;
    uint64_t stream;           /* of its latest JoinGroup */
    uint64_t promised_frame, state_frame;
    struct list generations;   /* struct given, all that it was given */
    int32_t generation;        /* the latest of them; 0: none */
    uint64_t generation_frame;
    int32_t synced_generation; /* the latest that it was given an assignment for; 0: none */
    uint64_t synced_frame;
    struct kept_message *latest_join;   /* request */
    struct kept_message *accepted_join; /* the request that its generation answered */
    bool join_pending, sync_pending;
    int32_t session_timeout_low_ms, session_timeout_high_ms, rebalance_timeout_ms;
    int64_t alive_request_ms;  /* when the latest request that restarts its session timer was sent */
    int64_t alive_response_ms; /* when it was last answered with success */
    int64_t seen_ms;           /* its latest request or answer */
    int64_t fetched_ms;        /* its latest Fetch request; 0: none */
    int32_t told_generation;   /* 27 was answered to it for this generation */
    int64_t told_ms;
    uint64_t told_frame;
    struct list assignment, previous_assignment; /* struct partition */
};

struct accepted { struct member *member; uint64_t frame, request_frame; int64_t request_ms; };

struct generation {
    int32_t id;
    struct rj_string protocol_type, protocol_name, leader;
    bool has_type;
    uint64_t first_frame;
    int64_t first_ms;
    struct list accepted;           /* struct accepted */
    struct kept_message *list;      /* the JoinGroup response that carries the members */
    struct rj_string list_receiver;
    bool list_judged;
    bool replaced;                  /* a static member was replaced in it */
    struct kept_message *plan;      /* the leader's SyncGroup request */
    bool plan_unsure;               /* the leader sent different ones */
    bool plan_judged;
    int32_t synced_count;
    uint64_t synced_frame;          /* of the latest SyncGroup success */
    uint64_t ended_frame;           /* 27 was answered for it to a member that had synced */
};

struct commit {
    int64_t offset;
    struct rj_string member;
    uint64_t request_frame, response_frame; /* 0: not answered */
    int64_t response_ms;
    int16_t error; /* of the answer */
    bool unsure;   /* an answer after which it may or may not have happened */
};

struct slot { /* the committed offset of one partition */
    struct partition partition;
    struct list commits; /* struct commit, the latest few */
    bool unsure;         /* something else may have written it */
    struct rj_string owner;
    int64_t owner_offset;
    int32_t owner_generation;
};

struct group {
    struct rj_string id;
    struct list members;     /* struct member * */
    struct list generations; /* struct generation *, the latest few */
    struct list slots;       /* struct slot */
    int32_t latest_generation;
    bool began;              /* a generation was seen all of whose members were born inside what was seen */
    const char *missing;     /* why not everything was seen; NULL: it was */
    bool blind;              /* bytes of it were lost: rules that need everything are judged no more */
    bool is_consumer;        /* KIP-848: classic rules do not apply */
    bool other_writers;      /* transactional commits */
    uint64_t disturbed_frame; /* its coordinator moved or restarted, or it was deleted; 0: never */
    uint64_t trigger_frame;  /* the latest request that may start a rebalance */
    int64_t trigger_ms;      /* the first one of this generation; INT64_MAX: none */
};

struct topic { struct rj_string name; struct rj_uuid id; int32_t partition_count; bool count_changed; };

/* What a new owner fetched as its start: its first Fetch is held against it. */
struct resume {
    struct rj_string client_id;
    struct partition partition;
    int64_t offset;
    uint64_t frame;
    int64_t time_ms;
};

/* Captures shuffle packets of different connections within this time. */
enum { SHUFFLE_MS = 5 };

struct string_entry { struct rj_string text; uint32_t hash; };

struct rj_checker {
    struct rj_allocator allocator;
    struct rj_check_config config;
    bool out_of_memory;
    struct rj_arena strings;        /* the interned ones */
    struct string_entry *table;     /* open addressing; a power of two */
    uint32_t table_size, table_used;
    struct rj_arena scratch;        /* for embedded formats during one call */
    struct list streams;            /* struct stream * */
    struct stream *latest_stream;
    struct list groups;             /* struct group * */
    struct list topics;             /* struct topic */
    struct list resumes;            /* struct resume */
    struct list violations;         /* struct rj_violation */
    uint64_t dropped;
    uint64_t judged[RJ_RULE_COUNT];
};

/* ---- memory.c ---------------------------------------------------------------------------------------------------- */

void *rj_checker_alloc(struct rj_checker *checker, size_t size); /* zeroed; NULL sets out_of_memory */
void rj_checker_free(struct rj_checker *checker, void *memory, size_t size);
void *rj_list_add(struct rj_checker *checker, struct list *list, size_t item_size); /* zeroed; NULL: no memory */
void rj_list_remove(struct list *list, int32_t index);
void rj_list_release(struct rj_checker *checker, struct list *list);
#define LIST_AT(list, type, index) (&((type *)(list)->items)[index])

struct rj_string rj_intern(struct rj_checker *checker, struct rj_string text); /* null becomes the empty string */
static inline bool same(struct rj_string a, struct rj_string b) { return a.data == b.data; } /* of interned ones */

struct kept_message *rj_keep_message(struct rj_checker *checker, const struct rj_check_message *message,
                                     const struct rj_message_schema *schema);
struct kept_message *rj_hold(struct kept_message *message);
void rj_let_go(struct rj_checker *checker, struct kept_message **message);

struct stream *rj_stream_of(struct rj_checker *checker, uint64_t id);
struct group *rj_check_group_of(struct rj_checker *checker, struct rj_string id);
struct member *rj_find_member(const struct group *group, struct rj_string id); /* id interned; NULL: none */
struct member *rj_add_member(struct rj_checker *checker, struct group *group, struct rj_string id);
struct member *rj_find_instance(const struct group *group, struct rj_string instance_id);
struct generation *rj_find_generation(const struct group *group, int32_t id);
struct generation *rj_add_generation(struct rj_checker *checker, struct group *group, int32_t id);
struct topic *rj_find_topic(struct rj_checker *checker, struct rj_string name);
const struct topic *rj_find_topic_id(const struct rj_checker *checker, const struct rj_uuid *id);
bool rj_was_given(const struct member *member, int32_t generation);
bool rj_has_partition(const struct list *partitions, struct partition partition);

/* ---- report.c ---------------------------------------------------------------------------------------------------- */

/* Counts a judgement. Returns holds. */
bool rj_judged(struct rj_checker *checker, enum rj_rule rule, bool holds);

struct finding {
    enum rj_rule rule;
    const struct group *group;   /* may be NULL */
    const struct member *member; /* likewise */
    struct rj_string member_id;  /* where there is no member */
    struct rj_string client_id;
    uint64_t stream, frame, other_frame, third_frame; /* 0: none */
    int64_t time_ms;
};
/* Reports a breach. The text knows %s (const char *), %v (struct rj_string), %d (int), %l (int64_t). NULL: no room. */
struct rj_violation *rj_report(struct rj_checker *checker, const struct finding *finding, const char *sentence, ...);
void rj_expected(struct rj_violation *violation, const char *text, ...);

/* ---- One file an area. Requests come with the kept copy, responses with the request that they answer. ---------- */

struct dialogue_part { struct rj_checker *checker; struct stream *stream; struct kept_message *request; };

void rj_check_connection_request(struct rj_checker *checker, struct stream *stream,
                                 const struct rj_check_message *message);
struct kept_message *rj_check_connection_response(struct rj_checker *checker, struct stream *stream,
                                                  const struct rj_check_message *message);
void rj_check_api_versions_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_check_errors_response(const struct dialogue_part *part, const struct rj_check_message *response);

void rj_check_join_request(const struct dialogue_part *part);
void rj_check_join_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_generation_success(const struct dialogue_part *part, const struct rj_check_message *response,
                           struct member *member);
void rj_generations_finish(struct rj_checker *checker);
void rj_check_sync_request(const struct dialogue_part *part);
void rj_check_sync_response(const struct dialogue_part *part, const struct rj_check_message *response);
/* The leader's assignments took effect: judges what they give to whom. */
void rj_plan_accepted(const struct dialogue_part *part, struct group *group, struct generation *generation,
                      const struct rj_check_message *response);
/* The subscription that a listed member sent, as the leader was given it; false: none that can be read. */
bool rj_listed_subscription(struct rj_checker *checker, const struct generation *generation, int32_t index,
                            struct rj_consumer_protocol_subscription *subscription);
void rj_check_heartbeat_request(const struct dialogue_part *part);
void rj_check_heartbeat_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_check_leave_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_check_leave_request(const struct dialogue_part *part);
void rj_check_commit_request(const struct dialogue_part *part);
void rj_check_commit_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_check_offset_fetch_response(const struct dialogue_part *part, const struct rj_check_message *response);
void rj_offsets_disturbed(const struct dialogue_part *part); /* OffsetDelete, DeleteGroups, TxnOffsetCommit */
void rj_topics_deleted(struct rj_checker *checker);
/* Whether the member that this client id stands for sent a Fetch so shortly before that the two may be out of order. */
bool rj_fetched_just_before(const struct rj_checker *checker, struct rj_string client_id, int64_t time_ms);
void rj_check_fetch_request(struct rj_checker *checker, struct stream *stream, const struct rj_check_message *message);
void rj_check_metadata_response(struct rj_checker *checker, const struct rj_metadata_response *response);
void rj_check_find_coordinator_response(const struct dialogue_part *part, const struct rj_check_message *response);

/* Shared by the areas that act for a member: */
struct group *rj_touch_group(const struct dialogue_part *part, struct rj_string id);
struct finding rj_finding_of(const struct dialogue_part *part, enum rj_rule rule, const struct member *member,
                             const struct rj_check_message *response); /* response NULL: the request's frame */
void rj_expect_next_join(const struct dialogue_part *part, enum expectation_kind kind, struct group *group,
                         struct rj_string member_id, uint64_t frame);
void rj_forget_expectations(struct rj_checker *checker, const struct group *group, struct rj_string member_id);
/* Rules on a request that carries a member id and a generation (Heartbeat, SyncGroup, OffsetCommit). */
struct member *rj_generation_used(const struct dialogue_part *part, struct group *group, struct rj_string member_id,
                                  int32_t generation);
void rj_id_used(const struct dialogue_part *part, const struct member *member); /* t-leave-final */
/* What an answer to such a request says about the member. */
void rj_member_answered(const struct dialogue_part *part, struct group *group, struct member *member,
                        int32_t generation,
                        struct rj_string instance_id, int16_t error, const struct rj_check_message *response);
void rj_coordinator_trouble(struct group *group, int16_t error, uint64_t frame);
void rj_remove_member(struct member *member, enum member_state state, uint64_t frame);

/* ---- embedded.c: what members put inside JoinGroup and SyncGroup. Memory is scratch. ---------------------------- */

bool rj_read_subscription(struct rj_checker *checker, struct rj_bytes bytes,
                          struct rj_consumer_protocol_subscription *subscription);
/* An empty assignment is legal and holds nothing. */
bool rj_read_assignment(struct rj_checker *checker, struct rj_bytes bytes,
                        struct rj_consumer_protocol_assignment *assignment);
bool rj_is_disjoint_assignor(struct rj_string protocol_name);
bool rj_is_cooperative(struct rj_string protocol_name);

#endif
