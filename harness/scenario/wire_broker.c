/* A broker that is there already: what it advertises, how it is set, topics. */
#include "scenario/rights.h"
#include "scenario/wire.h"

#include "rejoin/errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES = 200, TRY_EVERY_MS = 50, BROKER_RESOURCE = 4 };

static void pause_ms(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static json_t *ask(struct wire *wire, int16_t api_key, int16_t version, json_t *body)
{
    return scn_ask(&wire->ask, api_key, version, body);
}

/* ---- What the broker is ------------------------------------------------------------------------------------------ */

static bool read_versions(struct wire *wire)
{
    json_t *answer = ask(wire, 18, 0, json_object()), *one;
    size_t i;
    for (size_t k = 0; k < sizeof(wire->versions) / sizeof(wire->versions[0]); k++)
        wire->versions[k].low = 1;
    json_array_foreach (json_object_get(answer, "apiKeys"), i, one) {
        json_int_t key = json_integer_value(json_object_get(one, "apiKey"));
        if (key < 0 || key >= (json_int_t)(sizeof(wire->versions) / sizeof(wire->versions[0])))
            continue;
        wire->versions[key].low = (int16_t)json_integer_value(json_object_get(one, "minVersion"));
        wire->versions[key].high = (int16_t)json_integer_value(json_object_get(one, "maxVersion"));
    }
    bool ok = answer != NULL;
    json_decref(answer);
    return ok;
}

static bool read_settings(struct wire *wire)
{
    json_t *metadata = ask(wire, 3, 5, json_pack("{s:[]}", "topics"));
    json_int_t node = json_integer_value(
        json_object_get(json_array_get(json_object_get(metadata, "brokers"), 0), "nodeId"));
    json_decref(metadata);
    json_t *answer = ask(wire, 32, 1, json_pack("{s:[{s:i, s:o, s:n}]}", "resources", "resourceType", BROKER_RESOURCE,
                                                "resourceName", json_sprintf("%d", (int)node), "configurationKeys"));
    json_t *configs = json_object_get(json_array_get(json_object_get(answer, "results"), 0), "configs"), *one;
    size_t i;
    wire->settings = json_object();
    json_array_foreach (configs, i, one)
        if (json_is_string(json_object_get(one, "value")))
            json_object_set(wire->settings, json_string_value(json_object_get(one, "name")),
                            json_object_get(one, "value"));
    bool ok = answer != NULL;
    json_decref(answer);
    return ok;
}

/* The coordinator answers when __consumer_offsets is there. Asked for a transaction's, the broker makes that log too. */
static bool wait_for_coordinator(struct wire *wire)
{
    json_decref(ask(wire, 10, 1, json_pack("{s:s, s:i}", "key", wire->prefix, "keyType", 1)));
    for (int i = 0; i < TRIES; i++) {
        json_t *answer = ask(wire, 10, 0, json_pack("{s:s}", "key", wire->prefix));
        json_int_t error = json_integer_value(json_object_get(answer, "errorCode"));
        bool failed = answer == NULL;
        json_decref(answer);
        if (failed)
            return false;
        if (error == 0) {
            answer = ask(wire, 12, 0, json_pack("{s:s, s:i, s:s}", "groupId", wire->prefix, "generationId", 1,
                                                "memberId", "x"));
            error = json_integer_value(json_object_get(answer, "errorCode"));
            json_decref(answer);
            if (error == RJ_KAFKA_UNKNOWN_MEMBER_ID)
                return true;
        }
        pause_ms(TRY_EVERY_MS);
    }
    snprintf(wire->ask.error, sizeof(wire->ask.error), "it has no group coordinator after 10 s");
    return false;
}

/* ---- Topics ------------------------------------------------------------------------------------------------------ */

/* The id where the topic has that many partitions (-1: is gone), all with a leader; NULL: not yet. */
static json_t *find_topic(struct wire *wire, const char *name, int partitions)
{
    json_t *answer = ask(wire, 3, 10, json_pack("{s:[{s:s}], s:b}", "topics", "name", name, "allowAutoTopicCreation", 0));
    json_t *topic = json_array_get(json_object_get(answer, "topics"), 0), *one,
           *list = json_object_get(topic, "partitions"), *id = NULL;
    json_int_t error = json_integer_value(json_object_get(topic, "errorCode"));
    bool ready = partitions < 0 ? error == RJ_KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                : error == 0 && json_array_size(list) == (size_t)partitions;
    size_t i;
    json_array_foreach (list, i, one)
        ready = ready && json_integer_value(json_object_get(one, "leaderId")) >= 0;
    if (ready)
        id = json_object_get(topic, "topicId") ? json_incref(json_object_get(topic, "topicId")) : json_null();
    json_decref(answer);
    return id;
}

static json_t *new_topic(const char *prefix, const char *name, int partitions)
{
    return json_pack("{s:o, s:i, s:i, s:[], s:[]}", "name", json_sprintf("%s%s", prefix, name), "numPartitions",
                     partitions, "replicationFactor", -1, "assignments", "configs");
}

/* All topics of all runs in one request: a broker takes long enough over one. */
static bool create_topics(struct wire *wire)
{
    json_t *topics = json_array();
    for (int i = 0; i < wire->count; i++) {
        const struct scenario *scenario = wire->runs[i]->run->scenario;
        for (int k = 0; k < scenario->topic_count; k++)
            json_array_append_new(topics, new_topic(wire->runs[i]->run->prefix, scenario->topics[k].name,
                                                    scenario->topics[k].partition_count));
    }
    if (json_array_size(topics) == 0) {
        json_decref(topics);
        return true;
    }
    json_t *answer = ask(wire, 19, 5, json_pack("{s:o, s:i}", "topics", topics, "timeoutMs", 60000)), *one;
    bool ok = answer != NULL;
    size_t i;
    json_array_foreach (json_object_get(answer, "topics"), i, one)
        if (json_integer_value(json_object_get(one, "errorCode")) != 0 && ok) {
            const char *why = json_string_value(json_object_get(one, "errorMessage"));
            snprintf(wire->ask.error, sizeof(wire->ask.error), "a topic could not be made: %.200s", why ? why : "?");
            ok = false;
        }
    json_decref(answer);
    return ok;
}

void wire_broker_drop_topics(struct wire *wire)
{
    json_t *names = json_array();
    for (int i = 0; i < wire->count; i++) {
        const struct scenario *scenario = wire->runs[i]->run->scenario;
        for (int k = 0; k < scenario->topic_count; k++)
            json_array_append_new(names, json_sprintf("%s%s", wire->runs[i]->run->prefix, scenario->topics[k].name));
    }
    if (json_array_size(names) > 0)
        json_decref(ask(wire, 20, 4, json_pack("{s:O, s:i}", "topicNames", names, "timeoutMs", 10000)));
    json_decref(names);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

bool wire_broker_open(struct wire *wire, char *error, size_t error_len)
{
    if (!scn_resolve(wire->options->address, &wire->address, error, error_len))
        return false;
    bool ok = scn_ask_open(&wire->ask, &wire->address) && (wire->options->user == NULL || wire_open_rights(wire))
              && read_versions(wire) && read_settings(wire) && wait_for_coordinator(wire);
    if (!ok)
        snprintf(error, error_len, "%s: %s", wire->options->address, wire->ask.error);
    return ok;
}

bool wire_broker_make_topics(struct wire *wire, char *error, size_t error_len)
{
    bool ok = create_topics(wire);
    if (!ok)
        snprintf(error, error_len, "%s: %s", wire->options->address, wire->ask.error);
    return ok;
}

void wire_broker_close(struct wire *wire)
{
    scn_ask_close(&wire->ask);
    json_decref(wire->settings);
}

static bool is_served(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    for (int i = 0; i < scenario->step_count; i++) {
        const struct scn_step *step = &scenario->steps[i];
        if (step->verb != SCN_SEND)
            continue;
        int16_t version = scn_step_version(scenario, step);
        if (run->wire->versions[step->api_key].low <= version && version <= run->wire->versions[step->api_key].high)
            continue;
        scn_run_end(run->run, SCN_NOT_RUN, 0, "line %d: the broker does not advertise %s v%d", step->line,
                    rj_api_name(step->api_key), version);
        return false;
    }
    return true;
}

static bool has_users(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    for (int i = 0; i < scenario->step_count; i++)
        if (scenario->steps[i].verb == SCN_DENY && run->wire->options->user == NULL) {
            scn_run_end(run->run, SCN_NOT_RUN, 0, "line %d: needs a broker with an authorizer, --user and --admin",
                        scenario->steps[i].line);
            return false;
        }
    if (run->wire->options->user == NULL || wire_set_denials(run->wire, NULL, 0))
        return true;
    scn_run_end(run->run, SCN_BROKEN, 0, "%s", run->wire->ask.error);
    return false;
}

static bool is_set_so(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    for (int i = 0; i < SCN_SETTING_COUNT; i++) {
        const char *property = scn_settings[i].property;
        const char *value = property ? json_string_value(json_object_get(run->wire->settings, property)) : NULL;
        long long wanted = (long long)(scenario->settings[i] / (i == SCN_RETENTION ? 60000 : 1));
        if (value == NULL || atoll(value) == wanted)
            continue;
        scn_run_end(run->run, SCN_NOT_RUN, 0, "needs a broker with %s=%lld, this one has %s", property, wanted, value);
        return false;
    }
    return true;
}

bool wire_broker_begin(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    run->address = run->wire->address;
    if (!is_served(run) || !is_set_so(run) || !has_users(run))
        return false;
    for (int i = 0; i < scenario->topic_count; i++) {
        char name[400];
        json_t *id = NULL;
        snprintf(name, sizeof(name), "%s%s", run->run->prefix, scenario->topics[i].name);
        for (int k = 0; k < TRIES && id == NULL; k++) {
            id = find_topic(run->wire, name, scenario->topics[i].partition_count);
            if (id == NULL)
                pause_ms(TRY_EVERY_MS);
        }
        if (id == NULL) {
            scn_run_end(run->run, SCN_BROKEN, 0, "topic %s does not come up", name);
            return false;
        }
        json_object_set_new(run->run->names, scenario->topics[i].name, id);
    }
    return true;
}

/* ---- Control ----------------------------------------------------------------------------------------------------- */

static enum scn_control control_rights(struct wire_run *run, const struct scn_step *step)
{
    struct rj_right rights[RIGHTS_MOST];
    char name[400];
    int count = scn_rights(run->run, step, name, sizeof(name), rights);
    if (count > 0 && wire_set_denials(run->wire, rights, count))
        return SCN_DONE;
    if (count > 0)
        snprintf(run->run->why, sizeof(run->run->why), "%s", run->wire->ask.error);
    return SCN_CANNOT;
}

static json_t *ask_for(struct wire_run *run, int16_t api_key, int16_t version, json_t *body)
{
    return ask(run->wire, api_key, version, body);
}

/* Asks for it where it is not so yet; done when the metadata say so. */
static enum scn_control broker_control(struct scn_run *run, const struct scn_step *step)
{
    struct wire_run *of_wire = run->host;
    struct wire *wire = of_wire->wire;
    char name[400];
    if (step->verb == SCN_DENY)
        return control_rights(of_wire, step);
    if (wire_is_txn(step))
        return wire_control_txn(of_wire, step, ask_for);
    if (step->verb != SCN_TOPIC) {
        snprintf(run->why, sizeof(run->why), "a broker cannot be told to");
        return SCN_CANNOT;
    }
    const char *what = step->fields.items[1].value, *topic = step->fields.items[0].value;
    int partitions = strcmp(what, "gone") == 0 ? -1 : atoi(what);
    snprintf(name, sizeof(name), "%s%s", run->prefix, topic);
    json_t *id = find_topic(wire, name, partitions);
    if (id != NULL) {
        if (partitions < 0)
            json_object_del(run->names, topic);
        else
            json_object_set(run->names, topic, id);
        json_decref(id);
        return SCN_DONE;
    }
    json_t *answer;
    if (partitions < 0)
        answer = ask(wire, 20, 4, json_pack("{s:[s], s:i}", "topicNames", name, "timeoutMs", 10000));
    else if (json_object_get(run->names, topic) == NULL)
        answer = ask(wire, 19, 5, json_pack("{s:[o], s:i}", "topics", new_topic(run->prefix, topic, partitions),
                                            "timeoutMs", 10000));
    else
        answer = ask(wire, 37, 1, json_pack("{s:[{s:s, s:i, s:n}], s:i}", "topics", "name", name, "count", partitions,
                                            "assignments", "timeoutMs", 10000));
    json_decref(answer);
    return SCN_BUSY;
}

const struct scn_target scn_broker_target = {
    .kind = SCN_BROKER, .name = "a broker", .settle_ms = 60, .now_ms = wire_now_ms, .send = wire_send,
    .disconnect = wire_disconnect, .control = broker_control};
