/* Scenarios on the coordinator in virtual time. */
#include "scenario/run.h"

#include "core/core.h"
#include "rejoin/errors.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef REJOIN_KNOCKOUT
enum { TRACES = true };
#else
enum { TRACES = false };
#endif

struct core_host {
    struct core_session session;
    char *text;   /* what the session has printed */
    size_t text_len;
    FILE *out;
    size_t read;  /* of the text */
};

/* ---- Reading what the session says ------------------------------------------------------------------------------- */

static void take_answer(struct scn_run *run, json_t *line)
{
    struct scn_exchange *exchange =
        scn_run_exchange(run, (int32_t)json_integer_value(json_object_get(line, "corr")));
    const char *rule = json_string_value(json_object_get(line, "rule"));
    if (exchange == NULL)
        return;
    exchange->knows_rule = true;
    if (rule != NULL)
        exchange->rule = rj_rule_by_id((struct rj_string){rule, (int32_t)strlen(rule)});
    json_t *body = json_object_get(line, "body");
    scn_run_take_answer(run, exchange, body ? json_incref(body) : NULL,
                        json_integer_value(json_object_get(line, "at_ms")));
}

static void take_line(struct scn_run *run, json_t *line)
{
    const json_t *error = json_object_get(line, "error"), *change = json_object_get(line, "change");
    const json_t *met = json_object_get(json_object_get(line, "trace"), "rules"), *one;
    size_t i;
    json_array_foreach (met, i, one) /* in the knock-out build */
        run->seen_rules[rj_rule_by_id((struct rj_string){json_string_value(one), (int32_t)json_string_length(one)})] =
            true;
    if (json_object_get(line, "corr") != NULL)
        take_answer(run, line);
    else if (change != NULL) {
        const char *rule = json_string_value(json_object_get(change, "rule"));
        if (rule != NULL)
            run->seen_rules[rj_rule_by_id((struct rj_string){rule, (int32_t)strlen(rule)})] = true;
    } else if (error != NULL && json_object_get(line, "line") != NULL) {
        snprintf(run->why, sizeof(run->why), "%s", json_string_value(error));
    }
}

/* Hands over an operation and takes what comes of it; takes op. False: run->why says why it was refused. */
static bool operate(struct scn_run *run, json_t *op)
{
    struct core_host *host = run->host;
    char *line = json_dumps(op, JSON_COMPACT);
    json_decref(op);
    run->why[0] = 0;
    core_line(&host->session, line, strlen(line));
    free(line);
    fflush(host->out);
    while (host->read < host->text_len) {
        const char *at = host->text + host->read, *end = memchr(at, '\n', host->text_len - host->read);
        size_t len = end ? (size_t)(end - at) : host->text_len - host->read;
        json_t *said = json_loadb(at, len, 0, NULL);
        take_line(run, said);
        json_decref(said);
        host->read += len + 1;
    }
    return run->why[0] == 0;
}

/* ---- The target -------------------------------------------------------------------------------------------------- */

static int64_t core_now(struct scn_run *run)
{
    struct core_host *host = run->host;
    return host->session.now_ms - host->session.start_ms;
}

static bool core_send(struct scn_run *run, struct scn_exchange *exchange, const json_t *body)
{
    return operate(run, json_pack("{s:s, s:i, s:i, s:i, s:i, s:s?, s:O}", "op", "request", "conn",
                                  exchange->connection, "corr", exchange->correlation_id, "api", exchange->api_key,
                                  "version", exchange->version, "client_id", scn_client_id(run, exchange->actor),
                                  "body", body));
}

static void core_disconnect(struct scn_run *run, int connection)
{
    operate(run, json_pack("{s:s, s:i}", "op", "disconnect", "conn", connection));
}

/* The 22 characters that stand for a topic: its name and a count, so that one that is made anew has another id. */
static json_t *topic_id(const char *name, int made)
{
    char id[23];
    int len = 0;
    for (const char *c = name; *c != 0 && len < 18; c++)
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))
            id[len++] = *c;
    while (len < 20)
        id[len++] = '_';
    id[len++] = (char)('A' + made % 26);
    id[len++] = 'A';
    id[len] = 0;
    return json_string(id);
}

static bool put_topic(struct scn_run *run, const char *name, int32_t partitions)
{
    json_t *id = json_object_get(run->names, name);
    if (id == NULL) {
        id = topic_id(name, run->at);
        json_object_set_new(run->names, name, id);
    }
    return operate(run, json_pack("{s:s, s:[{s:s, s:i, s:O}]}", "op", "topics", "topics", "name", name, "partitions",
                                  partitions, "id", id));
}

static enum scn_control control_topic(struct scn_run *run, const struct scn_step *step)
{
    const char *name = step->fields.items[0].value, *what = step->fields.items[1].value;
    if (strcmp(what, "gone") != 0)
        return put_topic(run, name, atoi(what)) ? SCN_DONE : SCN_CANNOT;
    json_object_del(run->names, name);
    return operate(run, json_pack("{s:s, s:[s]}", "op", "topics", "delete", name)) ? SCN_DONE : SCN_CANNOT;
}

static json_t *deny_op(const struct scn_step *step)
{
    if (step->fields.count == 1)
        return strcmp(step->fields.items[0].value, "nothing") == 0 ? json_pack("{s:s, s:[]}", "op", "deny", "rules")
                                                                   : json_pack("{s:s}", "op", "deny");
    json_t *rule = json_pack("{s:s, s:s}", "op", step->fields.items[0].value, "type", step->fields.items[1].value);
    if (step->fields.count > 2)
        json_object_set_new(rule, "name", json_string(step->fields.items[2].value));
    return json_pack("{s:s, s:[o]}", "op", "deny", "rules", rule);
}

/* The core has no transactions, only their commits and their markers: any producer id will do. */
static bool control_txn(struct scn_run *run, const struct scn_step *step)
{
    enum { FIRST_PRODUCER_ID = 1000 };
    struct scn_actor_state *state = &run->actors[step->actor];
    if (step->verb == SCN_BEGINS_TXN) {
        state->producer_id = FIRST_PRODUCER_ID + step->actor;
        return true;
    }
    return operate(run, json_pack("{s:s, s:s, s:I, s:i, s:b}", "op", "end_txn", "group", "g", "producer_id",
                                  (json_int_t)state->producer_id, "producer_epoch", state->producer_epoch, "commit",
                                  step->verb == SCN_COMMITS_TXN));
}

static json_t *end_txn_op(const struct scn_run *run, const struct scn_step *step)
{
    json_t *producer = scn_text_value(run, step->fields.items[0].value);
    long long id = json_is_string(producer) ? atoll(json_string_value(producer)) : json_integer_value(producer);
    json_decref(producer);
    return json_pack("{s:s, s:s, s:I, s:i, s:b}", "op", "end_txn", "group", "g", "producer_id", (json_int_t)id,
                     "producer_epoch", atoi(step->fields.items[1].value), "commit",
                     strcmp(step->fields.items[2].value, "commit") == 0);
}

static const char *const simple_ops[SCN_VERB_COUNT] = {
    [SCN_RELOAD] = "reload", [SCN_UNLOAD] = "unload", [SCN_LEADERLESS] = "unload", [SCN_LOADING] = "load_begin",
    [SCN_LOADED] = "load_end", [SCN_RELEASE_APPENDS] = "commit", [SCN_INACTIVE] = "inactive"};

static json_t *op_of(struct scn_run *run, const struct scn_step *step)
{
    const struct scn_field *words = step->fields.items;
    if (simple_ops[step->verb] != NULL)
        return json_pack("{s:s}", "op", simple_ops[step->verb]);
    if (step->verb == SCN_FAIL_APPEND)
        return json_pack("{s:s, s:s, s:i}", "op", "fail_append", "error", words[0].value, "count",
                         step->fields.count > 1 ? atoi(words[1].value) : 1);
    if (step->verb == SCN_DENY)
        return deny_op(step);
    if (step->verb == SCN_FORCE)
        return json_pack("{s:s, s:s, s:s}", "op", "force_dead", "group", words[0].value, "state",
                         strcmp(words[1].value, "Empty") == 0 ? "EMPTY" : "DEAD");
    return step->verb == SCN_END_TXN ? end_txn_op(run, step) : NULL;
}

static enum scn_control core_control(struct scn_run *run, const struct scn_step *step)
{
    if (step->verb == SCN_TOPIC)
        return control_topic(run, step);
    if (step->verb == SCN_BEGINS_TXN || step->verb == SCN_COMMITS_TXN || step->verb == SCN_ABORTS_TXN)
        return control_txn(run, step) ? SCN_DONE : SCN_CANNOT;
    if (step->verb == SCN_SET) {
        const struct scn_field *word = &step->fields.items[0];
        if (word->name == NULL || strcmp(word->name, "max-size") != 0) {
            snprintf(run->why, sizeof(run->why), "only max-size can be set");
            return SCN_CANNOT;
        }
        return operate(run, json_pack("{s:s, s:i}", "op", "max_size", "value", atoi(word->value))) ? SCN_DONE
                                                                                                  : SCN_CANNOT;
    }
    struct core_host *host = run->host;
    if (step->verb == SCN_HOLD_APPENDS || step->verb == SCN_RELEASE_APPENDS)
        host->session.auto_commit = step->verb == SCN_RELEASE_APPENDS;
    json_t *op = op_of(run, step);
    return op == NULL || operate(run, op) ? SCN_DONE : SCN_CANNOT;
}

static const struct scn_target core_target = {
    .kind = SCN_CORE, .name = "the core", .is_exact = true, .tells_rules = true, .now_ms = core_now,
    .send = core_send, .disconnect = core_disconnect, .control = core_control};

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static bool configure(struct scn_run *run, const char *kafka_version)
{
    const struct scenario *scenario = run->scenario;
    json_t *properties = json_object();
    for (int i = 0; i < SCN_SETTING_COUNT; i++) {
        int64_t value = scenario->settings[i];
        if (i == SCN_RETENTION)
            value /= 60000;
        if (scn_settings[i].property != NULL)
            json_object_set_new(properties, scn_settings[i].property, json_integer(value));
    }
    json_object_set_new(properties, "group.new.member.join.timeout.ms",
                        json_integer(scenario->settings[SCN_NEW_MEMBER_TIMEOUT]));
    json_t *op = json_pack("{s:s, s:i, s:s, s:o, s:b, s:b, s:b}", "op", "config", "seed", 7, "kafka_version",
                           kafka_version, "props", properties, "changes", true, "trace", TRACES, "tells_disconnects",
                           true);
    if (scenario->settings[SCN_LIMIT_GROUPS] > 0)
        json_object_set_new(op, "limit_groups", json_integer(scenario->settings[SCN_LIMIT_GROUPS]));
    if (!operate(run, op))
        return false;
    for (int i = 0; i < scenario->topic_count; i++)
        put_topic(run, scenario->topics[i].name, scenario->topics[i].partition_count);
    return true;
}

static void advance(struct scn_run *run, enum scn_wait wait)
{
    struct core_host *host = run->host;
    int64_t now_ms = core_now(run), next_ms = core_next_timer_ms(&host->session);
    if (wait == SCN_UNTIL)
        operate(run, json_pack("{s:s, s:I}", "op", "advance", "ms", (json_int_t)(run->wake_ms - now_ms)));
    else if (next_ms != INT64_MAX && next_ms - host->session.start_ms <= run->wake_ms)
        operate(run, json_pack("{s:s, s:b}", "op", "advance", "to_next", true));
    else
        operate(run, json_pack("{s:s, s:I}", "op", "advance", "ms", (json_int_t)(run->wake_ms - now_ms)));
}

static const struct scn_step *unserved(const struct scenario *scenario)
{
    static const int16_t served[] = {8, 9, 11, 12, 13, 14, 15, 16, 28, 42, 47};
    for (int i = 0; i < scenario->step_count; i++) {
        bool found = scenario->steps[i].verb != SCN_SEND;
        for (size_t k = 0; k < sizeof(served) / sizeof(served[0]); k++)
            found = found || served[k] == scenario->steps[i].api_key;
        if (!found)
            return &scenario->steps[i];
    }
    return NULL;
}

static void run_one(struct scn_run *run, const struct scn_options *options)
{
    struct core_host host = {.text = NULL};
    const struct scenario *scenario = run->scenario;
    scn_run_init(run, scenario, &core_target, &host, scn_version(options->kafka_version));
    run->rewrites = options->rewrites;
    char why[256];
    const struct scn_step *beyond = unserved(scenario);
    if (beyond != NULL) {
        scn_run_end(run, SCN_NOT_RUN, beyond->line, "line %d: the core alone does not serve %s", beyond->line,
                    rj_api_name(beyond->api_key));
        return;
    }
    if (!scn_fits(scenario, SCN_CORE, core_target.name, run->kafka_version, why, sizeof(why))) {
        scn_run_end(run, SCN_NOT_RUN, 0, "%s", why);
        return;
    }
    host.out = open_memstream(&host.text, &host.text_len);
    core_open(&host.session, host.out);
    if (!configure(run, options->kafka_version))
        scn_run_end(run, SCN_BROKEN, 0, "%s", run->why);
    for (enum scn_wait wait; (wait = scn_run_poll(run)) != SCN_OVER;)
        advance(run, wait);
    core_close(&host.session);
    fclose(host.out);
    free(host.text);
}

bool scn_run_on_core(struct scn_run *runs, int count, const struct scn_options *options, scn_done done, void *context,
                     char *error, size_t error_len)
{
    (void)error;
    (void)error_len;
    for (int i = 0; i < count; i++) {
        run_one(&runs[i], options);
        done(context, &runs[i]);
    }
    return true;
}
