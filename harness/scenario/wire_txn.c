/* Transactions of actors: what a producer's client would ask for them. */
#include "scenario/wire.h"

#include "rejoin/errors.h"

#include <stdio.h>
#include <string.h>

enum { FIND_COORDINATOR = 10, TRANSACTION_KEY = 1, INIT_PRODUCER_ID = 22, ADD_OFFSETS_TO_TXN = 25, END_TXN = 26, TXN_TIMEOUT_MS = 60000 };

bool wire_is_txn(const struct scn_step *step)
{
    return step->verb == SCN_BEGINS_TXN || step->verb == SCN_COMMITS_TXN || step->verb == SCN_ABORTS_TXN;
}

/* What a client tries again: the coordinator comes up, or the transaction before is not through yet. */
static bool is_passing(json_int_t error)
{
    return error == RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error == RJ_KAFKA_COORDINATOR_NOT_AVAILABLE
           || error == RJ_KAFKA_NOT_COORDINATOR || error == RJ_KAFKA_CONCURRENT_TRANSACTIONS;
}

static enum scn_control outcome(struct wire_run *run, const json_t *answer, const char *what)
{
    json_int_t error = json_integer_value(json_object_get(answer, "errorCode"));
    if (answer != NULL && error == 0)
        return SCN_DONE;
    if (answer != NULL && is_passing(error))
        return SCN_BUSY;
    const char *name = rj_kafka_error_name((int16_t)error);
    snprintf(run->run->why, sizeof(run->run->why), "%s: %s", what, answer == NULL ? "no answer" : name ? name : "?");
    return SCN_CANNOT;
}

/* A broker makes the topic of transactions when it is asked for a coordinator of one for the first time. */
static enum scn_control find_coordinator(struct wire_run *run, const struct scn_step *step, wire_asker ask)
{
    json_t *body = json_pack("{s:s, s:i}", "key", run->run->scenario->actors[step->actor].name, "keyType",
                             TRANSACTION_KEY);
    json_t *answer = ask(run, FIND_COORDINATOR, 1, body);
    enum scn_control result = outcome(run, answer, "FindCoordinator");
    json_decref(answer);
    return result;
}

static enum scn_control get_producer(struct wire_run *run, const struct scn_step *step, wire_asker ask)
{
    struct scn_actor_state *state = &run->run->actors[step->actor];
    if (state->producer_id >= 0)
        return SCN_DONE;
    enum scn_control found = find_coordinator(run, step, ask);
    if (found != SCN_DONE)
        return found;
    json_t *body = json_pack("{s:s, s:i}", "transactionalId", run->run->scenario->actors[step->actor].name,
                             "transactionTimeoutMs", TXN_TIMEOUT_MS);
    scn_add_prefix(run->run, body);
    json_t *answer = ask(run, INIT_PRODUCER_ID, 4, body);
    enum scn_control result = outcome(run, answer, "InitProducerId");
    if (result == SCN_DONE) {
        state->producer_id = json_integer_value(json_object_get(answer, "producerId"));
        state->producer_epoch = (int16_t)json_integer_value(json_object_get(answer, "producerEpoch"));
    }
    json_decref(answer);
    return result;
}

enum scn_control wire_control_txn(struct wire_run *run, const struct scn_step *step, wire_asker ask)
{
    struct scn_actor_state *state = &run->run->actors[step->actor];
    bool begins = step->verb == SCN_BEGINS_TXN;
    enum scn_control result = begins ? get_producer(run, step, ask) : SCN_DONE;
    if (result != SCN_DONE)
        return result;
    json_t *body = json_pack("{s:s, s:I, s:i}", "transactionalId", run->run->scenario->actors[step->actor].name,
                             "producerId", (json_int_t)state->producer_id, "producerEpoch", state->producer_epoch);
    if (begins)
        json_object_set_new(body, "groupId", json_string("g"));
    else
        json_object_set_new(body, "committed", json_boolean(step->verb == SCN_COMMITS_TXN));
    scn_add_prefix(run->run, body);
    json_t *answer = ask(run, begins ? ADD_OFFSETS_TO_TXN : END_TXN, 3, body);
    result = outcome(run, answer, begins ? "AddOffsetsToTxn" : "EndTxn");
    json_decref(answer);
    return result;
}
