/* Core against core: consumers and coordinators in virtual time, with a network between them that delays, loses and
 * breaks. Everything follows from the seed.
 *
 * Brokers answer ApiVersions, Metadata, FindCoordinator, ListOffsets and Fetch from what the simulation holds, the
 * rest by their rj_coord. A broker takes the next request of a connection when the answer to the last one has left,
 * as Kafka does. The log of __consumer_offsets is common to all brokers, so that a coordinator can move. */
#ifndef REJOIN_TESTS_SUPPORT_SIM_H
#define REJOIN_TESTS_SUPPORT_SIM_H

#include "rejoin/consumer.h"
#include "rejoin/coord.h"

enum { SIM_BROKERS_MAX = 3, SIM_CONSUMERS_MAX = 8, SIM_PARTITIONS_MAX = 16 };

struct sim_config {
    uint64_t seed;
    int32_t brokers;
    int32_t partitions;                 /* of the only topic, t */
    int32_t initial_rebalance_delay_ms;
    int32_t delay_max_ms;               /* of a message, each way */
    const char *release;                /* what the brokers advertise and how they behave; NULL: 4.1 */
};

struct sim;

struct sim *sim_create(const struct sim_config *config);
void sim_destroy(struct sim *sim);

/* A consumer with defaults for the simulation: group g, topic t, session 10 s, heartbeats every second. */
void sim_consumer_config(struct sim *sim, struct rj_consumer_config *config);
int sim_start_consumer(struct sim *sim, const struct rj_consumer_config *config); /* its number */
void sim_close_consumer(struct sim *sim, int consumer);  /* in good order */
void sim_kill_consumer(struct sim *sim, int consumer);   /* gone without a word; its connections break */
void sim_pause_polling(struct sim *sim, int consumer, bool paused);

void sim_run(struct sim *sim, int64_t ms);
int64_t sim_now_ms(const struct sim *sim);
uint32_t sim_random(struct sim *sim, uint32_t below);

void sim_break_connections(struct sim *sim, int consumer, bool of_coordinator_only);
void sim_lose_answers(struct sim *sim, uint32_t one_in); /* 0: none. The connection breaks with the answer */
void sim_move_coordinator(struct sim *sim, int broker);  /* 16 from the old one; the new one loads the log */
void sim_add_partitions(struct sim *sim, int32_t count);
void sim_produce(struct sim *sim, int32_t records_per_second);

/* What the consumers were told. */
const struct rj_consumer *sim_consumer(const struct sim *sim, int consumer);
uint32_t sim_owned(const struct sim *sim, int consumer); /* bit set of partitions */
int sim_count_owned(const struct sim *sim, int consumer);
int sim_rebalance_count(const struct sim *sim, int consumer);  /* assignments told */
int sim_lost_count(const struct sim *sim, int consumer);
int16_t sim_fatal_error(const struct sim *sim, int consumer);  /* 0: none */
bool sim_is_closed(const struct sim *sim, int consumer);
bool sim_is_live(const struct sim *sim, int consumer); /* neither killed nor asked to close */
/* Every partition is owned by exactly one live consumer, all of them are stable in one generation, which is the
 * coordinator's. false: why says what is wrong. */
bool sim_is_settled(const struct sim *sim, char *why, size_t why_len);
struct rj_string sim_instance_id(const struct sim *sim, int consumer);
bool sim_has_instance(const struct sim *sim, struct rj_string instance_id); /* is a live or closing one so named? */
int64_t sim_committed(const struct sim *sim, int32_t partition); /* as a consumer reported it last; -1: never */
int64_t sim_consumed(const struct sim *sim, int32_t partition);  /* the highest offset anybody consumed, plus one */
/* Records that were skipped: a partition was read on from beyond what had been consumed before. */
int64_t sim_gap_count(const struct sim *sim);
int sim_requests(const struct sim *sim, int consumer, int16_t api_key); /* that it sent */

#endif
