/* Scenarios over TCP: many runs side by side in one libuv loop. target_wire.c has connections and time, wire_mock.c and
 * wire_broker.c what is different between a mock in this process and a broker. */
#ifndef REJOIN_SCENARIO_WIRE_H
#define REJOIN_SCENARIO_WIRE_H

#include "mock/mock.h"
#include "scenario/ask.h"
#include "scenario/run.h"

#include <uv.h>

struct wire_connection {
    uv_tcp_t handle;
    uv_connect_t connect;
    struct wire_run *run;
    int index;
    struct rejoin_buffer received, waiting; /* waiting: to be sent when it is connected */
    bool is_connected, is_closing;
};

struct wire_run {
    struct scn_run *run;
    struct wire *wire;
    uv_timer_t timer;
    struct wire_connection *connections[32]; /* by index of the scenario; NULL: not open */
    struct sockaddr_storage address;         /* of the coordinator of "g" */
    struct mock_cluster *mock;
    struct mock_observer observer;
    struct rj_right *rights;                 /* of everybody on the mock; NULL: all */
    struct rj_rights right_list;
    bool is_over;
};

struct wire {
    uv_loop_t loop;
    uv_timer_t starter;
    struct wire_run **runs; /* of this pass */
    int count, next, active, at_once, last_pass;
    enum scn_target_kind kind;
    const struct scn_options *options;
    scn_done done;
    void *context;
    char prefix[32];
    struct sockaddr_storage address; /* of the broker */
    struct scn_ask ask;              /* to the broker */
    struct { int16_t low, high; } versions[128]; /* that the broker advertises; low > high: none */
    json_t *settings;                /* of the broker: name -> value */
};

extern const struct scn_target scn_mock_target, scn_broker_target;

/* Parts of both targets. */
int64_t wire_now_ms(struct scn_run *run);
bool wire_send(struct scn_run *run, struct scn_exchange *exchange, const json_t *body);
void wire_disconnect(struct scn_run *run, int connection);

/* begins-txn, commits-txn and aborts-txn, through requests that ask answers (wire_txn.c). ask takes body. */
typedef json_t *(*wire_asker)(struct wire_run *run, int16_t api_key, int16_t version, json_t *body);
bool wire_is_txn(const struct scn_step *step);
enum scn_control wire_control_txn(struct wire_run *run, const struct scn_step *step, wire_asker ask);

/* The mock of one run; false: the run has ended. */
bool wire_mock_open(struct wire_run *run);
void wire_mock_close(struct wire_run *run);

/* What all runs on a broker share: versions, settings, topics. False: error. */
bool wire_broker_open(struct wire *wire, char *error, size_t error_len);
/* Topics of all runs of a pass. */
bool wire_broker_make_topics(struct wire *wire, char *error, size_t error_len);
void wire_broker_drop_topics(struct wire *wire);
void wire_broker_close(struct wire *wire);
bool wire_broker_begin(struct wire_run *run); /* false: the run has ended */

#endif
